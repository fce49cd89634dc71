"""Every sentence a reader sees, in Polish or English, with numbers as that reader writes them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from functools import cache, reduce
from html import unescape
from importlib import resources
from string import Formatter
from typing import Any

import yaml
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

LOCALES = ("pl", "en")
MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
ESCAPED = re.compile(r"\\([\\`*_\[\]|~$])")
BIG = 1_000_000
THOUSAND = 10_000


class Sentence(str):
    """A sentence that a notebook shows as Markdown."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def joined(*sentences: str) -> Sentence:
    """Put sentences one after another; empty ones fall away.

    Examples
    --------
    >>> joined("One.", "", "Two.")
    'One. Two.'
    """
    return Sentence(" ".join(s for s in sentences if s))


# Where there is nothing to show nothing is shown: the sentence of the section says why.
NOTHING = Sentence("")


class Told(str):
    """A sentence in English that its reader's `Words` can say again: what a refusal is made of.

    Parameters
    ----------
    said
        `<group>.<sentence>` of the locale files; any other text is data and stays as it is.
    **values
        As for `Words.say`, or other such sentences, or lists of them, joined by commas, or by
        semicolons where the sentence asks for `each`.

    Attributes
    ----------
    said, filled
        As given, lists as tuples.

    Examples
    --------
    >>> more = Told("table.more", n=3)
    >>> more, Words("pl", "PLN").tell(more)
    ('and 3 more', 'i jeszcze 3')
    """

    said: str
    filled: tuple[tuple[str, Any], ...]

    def __new__(cls, said: str, /, **values: Any) -> Told:
        """Say it in English, and keep what it was made of."""
        english = Words("en", "")
        held = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        known = said in texts("en")
        told = super().__new__(cls, plain(english.say(said, **held)) if known else said)
        told.said, told.filled = said, tuple(held.items())
        return told


def says(told: str, *keys: str) -> bool:
    """Tell whether a refusal, or a sentence within it, is one of these; plain text is none.

    Examples
    --------
    >>> both = Told("refusal.several", several=[Told("table.more", n=3), Told("T1")])
    >>> says(both, "table.more"), says(both, "refusal.no_file"), says("table.more", "table.more")
    (True, False, False)
    """
    if not isinstance(told, Told):
        return False
    within = [
        part
        for _, value in told.filled
        for part in (value if isinstance(value, tuple) else (value,))
    ]
    return told.said in keys or any(isinstance(p, str) and says(p, *keys) for p in within)


def some(names: Sequence[object], most: int = 5) -> Told:
    """List the first of some names, and say how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(str(name)[:60] for name in names[:most])
    more = len(names) - most
    return Told("refusal.and_more", names=shown, n=more) if more > 0 else Told(shown)


def either(joint: str, *ways: Told) -> Told:
    """Join what may be one or the other, by a sentence of `first` and `second`.

    Examples
    --------
    >>> either("or", Told("a"), Told("b"), Told("c"))
    'a or b or c'
    """
    return reduce(lambda one, other: Told(f"refusal.{joint}", first=one, second=other), ways)


def plain(sentence: str) -> str:
    """A sentence of Markdown as plain text.

    Examples
    --------
    >>> plain("**T1** &lt; 3")
    'T1 < 3'
    """
    return unescape(unmarked(sentence))


def unmarked(sentence: str) -> str:
    """A sentence of Markdown as HTML without any emphasis."""
    return ESCAPED.sub(r"\1", sentence.replace("**", ""))


class Words(Formatter):
    """The language and currency of a reader.

    Parameters
    ----------
    locale
        pl or en.
    currency
        ISO code, such as PLN; "" where it is not known: amounts are then bare.
    """

    def __init__(self, locale: str, currency: str) -> None:
        self.locale, self.currency = locale, currency
        self._babel = "pl_PL" if locale == "pl" else "en_GB"
        self._texts = texts(locale)

    def say(self, key: str, **values: Any) -> Sentence:
        """Fill a sentence with values.

        Parameters
        ----------
        key
            `<group>.<sentence>` of the locale files.
        **values
            Numbers are written by the format in the sentence (`{x:money0}`, `{n:account}`, ...);
            text
            is data and is escaped.

        Raises
        ------
        KeyError
            If there is no such sentence.

        Examples
        --------
        >>> Words("en", "PLN").say("table.more", n=3)
        'and 3 more'
        """
        if key not in self._texts:
            near = difflib.get_close_matches(key, list(self._texts), n=1)
            raise KeyError(
                f"no sentence {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        return Sentence(self.vformat(str(self._texts[key]), (), values))

    def tell(self, text: str) -> str:
        """Say a refusal, or a part of one, in this language as plain text; other text as it is.

        Examples
        --------
        >>> Words("en", "PLN").tell("T1 < 3")
        'T1 < 3'
        """
        return plain(self._again(text)) if isinstance(text, Told) else text

    def _again(self, told: Told) -> str:
        known = told.said in self._texts
        return self.say(told.said, **dict(told.filled)) if known else self._escaped(told.said)

    def label(self, name: str) -> str:
        """Name of a column, measure, decision or rule; the name itself where it has none.

        Examples
        --------
        >>> Words("pl", "PLN").label("white_space")
        'niewykorzystany potencjał'
        """
        return str(self._texts.get(f"label.{name}", name))

    def source(self, setting: str, otherwise: str) -> str:
        """Where a default comes from, in the reader's language.

        Examples
        --------
        >>> Words("en", "PLN").source("no_such", "said by its author")
        'said by its author'
        """
        return str(self._texts.get(f"source.{setting}", otherwise))

    def help(self, rule: str) -> Sentence:
        """What would help against a finding about the data; "" where there is nothing to do.

        Examples
        --------
        >>> Words("en", "PLN").help("no_id")
        'Give the row an id.'
        """
        key = f"help.{rule}"
        return self.say(key) if key in self._texts else Sentence("")

    def table_label(self, name: str) -> str:
        """Name of an input table; `sales` the table is not `sales` the forecast.

        Examples
        --------
        >>> Words("pl", "PLN").table_label("sales")
        'sprzedaż'
        """
        return str(self._texts.get(f"label.table.{name}", self.label(name)))

    def write(self, value: Any, kind: str) -> str:
        """Write one value.

        Parameters
        ----------
        value
            A number, day or text.
        kind
            money, money0 (no pennies), short (thousands, millions), thousands (to compare amounts),
            percent, number, check_name, exact (every digit), hours, km, date, day_month, month_of,
            label, table (their
            names),
            or a noun to count, such as account.

        Examples
        --------
        >>> Words("pl", "PLN").write(1234567.891, "money").replace(chr(160), " ")
        '1 234 567,89 zł'
        >>> [Words("pl", "PLN").write(n, "account") for n in (1, 2, 5, 22)]
        ['1 firma', '2 firmy', '5 firm', '22 firmy']
        >>> Words("pl", "PLN").write(3.3, "rep")
        '3,3 pełnego etatu'
        """
        if kind in _WRITERS:
            return _WRITERS[kind](self, value)
        forms = self._texts.get(f"noun.{kind}")
        if forms is None:
            raise KeyError(f"no noun {kind!r}")
        form = Locale(self.locale).plural_form(value if float(value) % 1 else int(value))
        return f"{self.write(value, 'number')} {forms.get(form, forms['other'])}"

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write a value of a sentence; text from data is escaped for Markdown and HTML."""
        if isinstance(value, Told) and not format_spec:
            return self._again(value)
        if isinstance(value, list | tuple):
            between, kind = ("; ", "") if format_spec == "each" else (", ", format_spec)
            return between.join(self.format_field(one, kind) for one in value)
        return self.write(value, format_spec) if format_spec else self._escaped(value)

    def _escaped(self, value: Any) -> str:
        text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return MARKDOWN.sub(r"\\\1", " ".join(text.split()))

    def _decimal(self, value: Any, pattern: str) -> str:
        return str(format_decimal(value, format=pattern, locale=self._babel))

    def _money(self, value: Any, digits: str) -> str:
        if not self.currency:
            return self._decimal(value, f"#,##0{digits}")
        if self.locale == "pl":
            return str(
                format_currency(
                    value,
                    self.currency,
                    f"#,##0{digits} ¤",
                    locale=self._babel,
                    currency_digits=False,
                )
            )
        return str(
            format_currency(
                value, self.currency, f"#,##0{digits} ¤¤", locale=self._babel, currency_digits=False
            )
        )

    def _short(self, value: float, big: float = BIG) -> str:
        symbol = self._money(0, "").split()[-1]
        if abs(value) >= big:
            return f"{self._decimal(value / 1e6, '#,##0.0')}\u00a0{self._texts['unit.million']}\u00a0{symbol}"
        if abs(value) >= THOUSAND:
            return f"{self._decimal(value / 1e3, '#,##0')}\u00a0{self._texts['unit.thousand']}\u00a0{symbol}"
        return self._money(value, "")


_WRITERS = {
    "money": lambda w, v: w._money(v, ".00"),
    "money0": lambda w, v: w._money(round(float(v)), ""),
    "short": lambda w, v: w._short(float(v)),
    "thousands": lambda w, v: w._short(float(v), math.inf),
    "percent": lambda w, v: format_percent(v, "#,##0%", locale=w._babel),
    "percent1": lambda w, v: format_percent(v, "#,##0.0%", locale=w._babel),
    "number": lambda w, v: w._decimal(
        v, "#,##0" if abs(float(v)) >= 100 or float(v).is_integer() else "#,##0.0"
    ),
    "exact": lambda w, v: w._decimal(v, "#,##0.######"),
    "label": lambda w, v: w.label(v),
    "check_name": lambda w, v: w.label(f"check.{v}").removeprefix("check."),
    "table": lambda w, v: w.table_label(v),
    "hours": lambda w, v: f"{w._decimal(v, '#,##0')}\u00a0h",
    "km": lambda w, v: f"{w._decimal(v, '#,##0')}\u00a0km",
    "date": lambda w, v: format_date(v, "long", locale=w._babel),
    "day_month": lambda w, v: format_date(v, "d MMMM", locale=w._babel),
    "month_of": lambda w, v: format_date(v, "LLLL y", locale=w._babel),
}


@cache
def texts(locale: str) -> dict[str, Any]:
    """Every text of a locale under its dotted key; nouns keep their forms.

    Examples
    --------
    >>> set(texts("pl")) == set(texts("en"))
    True
    """
    raw = yaml.safe_load(
        (resources.files("terrlib.show") / "locale" / f"{locale}.yml").read_text("utf-8")
    )
    return {f"{group}.{key}": text for group, found in raw.items() for key, text in found.items()}
