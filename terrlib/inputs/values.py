"""What a text of a table means: numbers, days, flags and codes, settled by the whole column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
import pandas as pd

from terrlib.show.words import Told

T = TypeVar("T")
YES = {"1", "true", "t", "yes", "y", "tak", "prawda", "x"}
NO = {"0", "false", "f", "no", "n", "nie", "fałsz", "falsz", ""}
BLANKS = {"n/a", "na", "nan", "#n/a", "#n/d!", "#n/d", "n/d", "brak", "null", "none", "-", "–", "—"}
TIMES = {"tys": 1e3, "tys.": 1e3, "k": 1e3, "mln": 1e6, "mln.": 1e6, "mld": 1e9, "bn": 1e9}
MONEY = re.compile(r"[$€£]|(?<![^\W\d_])(?:zł|zl|pln|usd|eur|gbp)(?![^\W\d_])\.?", re.IGNORECASE)
SIMPLE = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
PLAIN = re.compile(r"(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
GROUPED = re.compile(r"[0-9]{1,3}(?:([ '’.,])[0-9]{3})(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]*)?")
TWO_WAYS = re.compile(r"(?:[1-9][0-9]{0,2})[.,][0-9]{3}")
CLOCK = (
    r"(?:(?:T| +|, *)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?"
    r"(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?)?(?: ?r\.?)?"
)
YEAR_FIRST = re.compile(r"([0-9]{4})([-./])([0-9]{1,2})\2([0-9]{1,2})" + CLOCK)
COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
DAY_OR_MONTH = re.compile(r"([0-9]{1,2})([-./])([0-9]{1,2})\2([0-9]{4})" + CLOCK)
SHORT_YEAR = re.compile(r"([0-9]{1,2})([-./ ])([0-9]{1,2}|[^\W\d_]{3,})\2([0-9]{2})" + CLOCK)
NAMED = re.compile(r"([0-9]{1,2})[ .-]+([^\W\d_]+)\.?[ ,-]+([0-9]{4})" + CLOCK)
NAMED_FIRST = re.compile(r"([^\W\d_]{3,})\.? ([0-9]{1,2}),? ([0-9]{4})" + CLOCK)
MONTHS = [
    *("styczen stycznia january i", "luty lutego february ii", "marzec marca march iii"),
    *("kwiecien kwietnia april iv", "maj maja may v", "czerwiec czerwca june vi"),
    *("lipiec lipca july vii", "sierpien sierpnia august viii", "wrzesien wrzesnia september ix"),
    *("pazdziernik pazdziernika october x", "listopad listopada november xi"),
    "grudzien grudnia december xii",
]
STROKES = str.maketrans("łø", "lo")
LEGAL_FORM = re.compile(
    r"\b(sp\.?\s*z\s*o\.?\s*o\.?|s\.?\s?a\.?|s\.?\s?c\.?|sp\.?\s*j\.?|llc|inc|ltd)(?=\W|$)"
)
NO_WORD = re.compile("[^a-z0-9]+")
FIRST_YEAR, LAST_YEAR = 1900, 2100
POSTAL = 5
VOIVODESHIPS = {f"{code:02d}" for code in range(2, 33, 2)}


@dataclass(frozen=True)
class Reading:
    """A column that was read.

    Attributes
    ----------
    found
        The values, blank where there is none.
    bad
        True where a text is no such value.
    blank
        True where a word such as N/A or brak stands for a blank.
    question
        What has to be answered before the column can be read; "" where nothing has.
    """

    found: pd.Series
    bad: pd.Series
    blank: pd.Series
    question: str = ""


def numbers(
    texts: pd.Series,
    decimal: str = "",
    most: float | None = None,
    rows: pd.Series | None = None,
) -> Reading:
    """Read a column of numbers as people write them.

    Whether `1,234` is a thousand or a bit more than one is settled by the other values of the
    column, or by `decimal`, or because a thousand would be more than `most`; else it is asked.

    Parameters
    ----------
    texts
        Stripped texts.
    decimal
        "comma" or "point" where it is known.
    most
        The largest number that makes sense.
    rows
        How many rows each text stands for; one if None.

    Returns
    -------
    Reading
        `found` holds floats. Where values of both kinds stand in one column, those that could be
        read two ways are bad.

    Examples
    --------
    >>> numbers(pd.Series(["1,234", "12,5", "1 234,50 zł", "brak"])).found.tolist()
    [1.234, 12.5, 1234.5, nan]
    >>> numbers(pd.Series(["1,234", "1,234.5"])).found.tolist()
    [1234.0, 1234.5]
    >>> numbers(pd.Series(["1,234", "7"])).question
    '1 values such as 1,234 could mean 1.234 or 1234: say decimal: comma or decimal: point'
    """
    places, found = pd.factorize(texts, use_na_sentinel=False)
    known = pd.Series(found).astype(str)
    # Most numbers are plain, and mean the same in every column: they need no look at each.
    plain = known.str.fullmatch(SIMPLE.pattern) & ~known.str.fullmatch("-?" + TWO_WAYS.pattern)
    rest = known[~plain].tolist()
    parts = {text: part for text in rest if (part := _taken_apart(text)) is not None}
    signs = {found for _, bare in parts.values() if (found := _decimal_sign(bare, most))}
    signs |= {"."} if known[plain].str.contains(".", regex=False).any() else set()
    sign = {"comma": ",", "point": "."}.get(decimal) or (min(signs) if len(signs) == 1 else "")
    open_ = {text for text, (_, bare) in parts.items() if not sign and _two_ways(bare, most)}
    values = {t: _valued(*part, sign) for t, part in parts.items() if t not in open_}
    value = known.where(plain, "nan").astype(float)
    value[~plain] = [values.get(text, np.nan) for text in rest]
    blank = known.str.lower().isin(BLANKS)
    bad = (known != "") & ~blank & ~np.isfinite(value)
    question = ""
    if open_ and not signs:
        bare = parts[min(open_)][1]
        whole, decimals = re.split("[.,]", bare, maxsplit=1)
        question = Told(
            "refusal.two_numbers",
            n=_rows(texts.isin(open_), rows),
            example=min(open_),
            whole=whole,
            part=decimals,
            other=re.sub("[.,]", "", bare),
        )
    columns = pd.DataFrame({"found": value.mask(bad), "bad": bad, "blank": blank})
    columns = columns.astype({"bad": bool, "blank": bool}).iloc[places].set_axis(texts.index)
    return Reading(columns["found"], columns["bad"], columns["blank"], question)


def number(text: str) -> float:
    """Read a number as people write it; NaN for a blank.

    Raises
    ------
    ValueError
        If it is no number, or one that could be read two ways (1,234).

    Examples
    --------
    >>> [number(t) for t in ("1 234,50 zł", "$1,963.10 ", "1.234.567", "-5", "12,5", "(100)")]
    [1234.5, 1963.1, 1234567.0, -5.0, 12.5, -100.0]
    >>> [number(t) for t in ("1,5 tys. zł", "2 mln", "5-", "1'234.50", "12%")]
    [1500.0, 2000000.0, -5.0, 1234.5, 0.12]
    """
    read = numbers(pd.Series([text.strip()], dtype=str))
    if read.question or read.bad.iloc[0]:
        raise ValueError(text)
    return float(read.found.iloc[0])


def days(
    texts: pd.Series, order: str = "", epoch: str = "", rows: pd.Series | None = None
) -> Reading:
    """Read a column of days, ISO or Polish or any whose order the whole column proves.

    A day of a point in time is the one written, whatever the time zone.

    Parameters
    ----------
    texts
        Stripped texts.
    order
        "dmy" or "mdy": what comes first in 3/4/2026, where it is known.
    epoch
        Day 0 of the serial numbers of a spreadsheet, if the column comes from one.
    rows
        How many rows each text stands for; one if None.

    Returns
    -------
    Reading
        `found` holds timestamps. Years of two digits are bad; so is a day outside 1900 to 2100.

    Examples
    --------
    >>> days(pd.Series(["31/12/2026", "3/4/2026"])).found.dt.strftime("%Y-%m-%d").tolist()
    ['2026-12-31', '2026-04-03']
    >>> days(pd.Series(["3/4/2026", "3.04.2026"])).question
    '1 values such as 3/4/2026 could be 3 April or 4 March: say dates: dmy or dates: mdy'
    """
    known = [str(text) for text in texts.unique()]
    both = {text: _both_orders(text) for text in known}
    values: dict[str, date | None] = {}
    open_ = set()
    for sign in (".", "-", "/", ""):
        here = {text: both[text] for text in known if _sign(text) == sign}
        proofs = {
            "dmy" if mdy is None else "mdy"
            for dmy, mdy in here.values()
            if dmy != mdy and (dmy is None or mdy is None)
        }
        proven = min(proofs) if len(proofs) == 1 else ""
        # What is said of the file is of its own sign: a full stop has one order only.
        first = proven or order if sign == "." else order or proven
        # Nobody writes the month first and then a full stop.
        first = first or ("dmy" if sign == "." and not proofs else "")
        for text, (dmy, mdy) in here.items():
            if dmy is not None and mdy is not None and dmy != mdy and not first:
                open_.add(text)
            values[text] = {"dmy": dmy, "mdy": mdy}.get(first, dmy or mdy)
    if epoch:
        values |= {t: v for t in known if values[t] is None and (v := _serial(t, epoch))}
    blank = {text for text in known if _is_blank(text)}
    bad = {t for t in known if t and t not in blank and values[t] is None}
    read = pd.to_datetime(texts.map(values), errors="coerce").astype("datetime64[us]")
    question = _turned_by_a_spreadsheet(known)
    if open_:
        one, other = (found for found in both[min(open_)] if found is not None)
        n = _rows(texts.isin(open_), rows)
        question = Told("refusal.two_days", n=n, example=min(open_), one=one, other=other)
    return Reading(read, texts.isin(bad), texts.isin(blank), question)


def day(text: str) -> pd.Timestamp:
    """Read a day on its own; NaT for a blank.

    Raises
    ------
    ValueError
        If it is no day, or one that could be read two ways (3/4/2026).

    Examples
    --------
    >>> [str(day(t).date()) for t in ("2026-04-03", "3.04.2026", "2026-04-03T10:00:00")]
    ['2026-04-03', '2026-04-03', '2026-04-03']
    >>> [str(day(t).date()) for t in ("31 gru 2026", "31/12/2026", "2026-12-31T10:00:00Z")]
    ['2026-12-31', '2026-12-31', '2026-12-31']
    """
    read = days(pd.Series([text], dtype=str))
    if read.question or read.bad.iloc[0]:
        raise ValueError(text)
    return read.found.iloc[0]


def short_years(texts: pd.Series) -> int:
    """Count days with a year of two digits, which nobody should guess.

    Examples
    --------
    >>> short_years(pd.Series(["31.12.26", "31-gru-26", "2026-12-31"]))
    2
    """
    return sum(SHORT_YEAR.fullmatch(text) is not None for text in texts)


def degrees(text: str) -> float:
    r"""Read a latitude or longitude: decimal, or in degrees, minutes and seconds; NaN for a blank.

    Raises
    ------
    ValueError
        If it is no coordinate.

    Examples
    --------
    >>> [round(degrees(t), 4) for t in ("52,229", "52°13'47\"N", "0.5 W", "637 123,45")]
    [52.229, 52.2297, -0.5, 637123.45]
    """
    bare = re.sub(r"\s", "", text).upper()
    if re.fullmatch(r"[+-]?\d{1,3},\d+", bare):
        value = float(bare.replace(",", "."))
        if abs(value) <= 180:  # noqa: PLR2004
            return value
    mark = re.fullmatch(
        r"([NSEW])?([+-]?\d{1,3}(?:[.,]\d+)?)[°º]?"
        r"(?:(?<=[°º])(\d{1,2}(?:[.,]\d+)?)['′’](?:(\d{1,2}(?:[.,]\d+)?)(?:[\"″”]|''|′′))?)?([NSEW])?",
        bare,
    )
    if not mark or not re.search("[NSEW°º]", bare):
        return number(text)
    before, *parts, after = mark.groups()
    whole, minutes, seconds = (float((part or "0").replace(",", ".")) for part in parts)
    if (before and after) or max(minutes, seconds) >= 60:  # noqa: PLR2004
        raise ValueError(text)
    size = abs(whole) + minutes / 60 + seconds / 3600
    return -size if parts[0].startswith("-") or (before or after) in {"S", "W"} else size


def flag(text: str) -> bool | None:
    """Read yes or no in English or Polish; None for a blank.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> [flag(t) for t in ("tak", "NO", "1", "")]
    [True, False, True, None]
    """
    low = text.lower()
    if low in YES:
        return True
    if low in NO:
        return False if low else None
    raise ValueError(text)


def each(texts: pd.Series, read: Callable[[str], T]) -> pd.Series:
    """Read a column text by text, each distinct one once."""
    return texts.map({text: read(text) for text in texts.unique()})


def fold(text: str) -> str:
    """Fold a name for comparing: lower case, no accents, no punctuation, no legal form.

    Examples
    --------
    >>> fold("Łódzka Spółka „Żuk” Sp. z o.o.")
    'lodzka spolka zuk'
    """
    low = text.lower()
    if not low.isascii():
        low = unicodedata.normalize("NFKD", low.translate(STROKES))
        low = low.encode("ascii", "ignore").decode()
    return " ".join(NO_WORD.sub(" ", LEGAL_FORM.sub(" ", low)).split())


def repaired(
    codes: pd.Series, kind: str, known: set[str] | None = None
) -> tuple[pd.Series, pd.Series]:
    """Give codes back what a spreadsheet took: leading zeros, and the `.0` that it added.

    Parameters
    ----------
    codes
        Texts.
    kind
        postal_code: five digits where most codes of the column have five. area_id: as in `known`,
        or two, four, six or seven digits that start with the code of a Polish voivodeship where
        every code is that long or one shorter. tax_id: only the `.0` is taken away.
    known
        The ids that areas have; an area_id is repaired only into one of them.

    Returns
    -------
    codes, mask
        The codes, and which of them were repaired.

    Examples
    --------
    >>> repaired(pd.Series(["42420.0", "4242", "00950"]), "postal_code")[0].tolist()
    ['42420', '04242', '00950']
    >>> repaired(pd.Series(["2.0", "14.0", "32.0"]), "area_id")[0].tolist()
    ['02', '14', '32']
    >>> repaired(pd.Series(["201", "1465", "7"]), "area_id", {"0201", "1465"})[0].tolist()
    ['0201', '1465', '7']
    """
    whole = codes.str.replace(r"^([0-9]+)\.0+$", r"\1", regex=True)
    digits = whole.str.fullmatch(r"[0-9]+")
    size = whole.str.len().where(digits)
    if kind != "area_id":
        often = kind == "postal_code" and (size == POSTAL).sum() * 2 >= (codes != "").sum()
        better = whole.where(~((size == POSTAL - 1) & often), "0" + whole)
    elif known is not None:
        better = codes
        for candidate in (whole, "0" + whole):
            better = better.where(better.isin(known) | ~candidate.isin(known), candidate)
    else:
        padded = whole.where(size != size.max() - 1, "0" + whole)
        full = padded[codes != ""]
        fits = full.str.fullmatch(r"[0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{7}").all()
        fits = fits and (full.str.len() == size.max()).all()
        fits = fits and full.str[:2].isin(VOIVODESHIPS).all()
        better = padded if fits else codes
    return better, better != codes


def _rows(mask: pd.Series, rows: pd.Series | None) -> int:
    return int(mask.sum() if rows is None else rows[mask].sum())


def _is_blank(text: str) -> bool:
    return text.lower() in BLANKS


def _taken_apart(text: str) -> tuple[float, str] | None:
    """Split a number into its factor (sign, thousands, percent) and its digits; None for no number."""
    if SIMPLE.fullmatch(text):
        return (-1.0, text[1:]) if text[0] == "-" else (1.0, text)
    bare = MONEY.sub(" ", re.sub(r"\s", " ", text)).replace("−", "-").strip()
    bare = re.sub(r"[.,] ?[-–—]$", "", bare)  # 100,- has no groszes
    factor, minus = 1.0, False
    if found := re.fullmatch(r"\((.+)\)", bare):
        minus, bare = True, found[1].strip()
    if found := re.fullmatch(r"(.*[0-9][.,]?) ?(%|[A-Za-z]+\.?)", bare):
        word = found[2].lower()
        if word != "%" and word not in TIMES:
            return None
        factor, bare = 0.01 if word == "%" else TIMES[word], found[1].strip()
    if found := re.fullmatch(r"([-+–]?) ?([^-+–].*?) ?([-–]?)", bare):
        if found[1] and found[3]:
            return None
        minus, bare = minus or found[1] in {"-", "–"} or found[3] != "", found[2]
    fits = PLAIN.fullmatch(bare) or GROUPED.fullmatch(bare)
    return (-factor if minus else factor, bare) if fits else None


def _two_ways(bare: str, most: float | None) -> bool:
    fits = TWO_WAYS.fullmatch(bare) is not None
    return fits and (most is None or float(re.sub("[.,]", "", bare)) <= most)


def _decimal_sign(bare: str, most: float | None) -> str:
    """Tell which sign must be the decimal one; "" if the text does not say."""
    kinds = {sign for sign in ",." if sign in bare}
    if not kinds or _two_ways(bare, most):
        return ""
    if len(kinds) == 1 and bare.count(sign := min(kinds)) > 1:
        return "." if sign == "," else ","
    return max(kinds, key=bare.rfind)


def _valued(factor: float, bare: str, sign: str) -> float:
    if SIMPLE.fullmatch(bare) and not (sign == "," and TWO_WAYS.fullmatch(bare)):
        return float(bare) * factor if abs(factor) == 1 else float(f"{float(bare) * factor:.12g}")
    point = _decimal_sign(bare, None) or sign or ("." if "." in bare else ",")
    value = float(re.sub(r"[ '’.,]", lambda m: "." if m[0] == point else "", bare))
    # 1.1 times 1000 leaves a tail that nobody wrote
    return value * factor if abs(factor) == 1 else float(f"{value * factor:.12g}")


def _both_orders(text: str) -> tuple[date | None, date | None]:
    """Read a day with the day first and with the month first; alike where the order is plain."""
    if found := YEAR_FIRST.fullmatch(text):
        plain = _date(found[1], found[3], found[4])
    elif found := COMPACT.fullmatch(text):
        plain = _date(found[1], found[2], found[3])
    elif found := NAMED.fullmatch(text):
        plain = _date(found[3], _month(found[2]), found[1])
    elif found := NAMED_FIRST.fullmatch(text):
        plain = _date(found[3], _month(found[1]), found[2])
    elif found := DAY_OR_MONTH.fullmatch(text):
        return _date(found[4], found[3], found[1]), _date(found[4], found[1], found[3])
    else:
        plain = None
    return plain, plain


def _date(year: str, month: str | int, day_: str) -> date | None:
    try:
        found = date(int(year), int(month), int(day_))
    except ValueError:
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None


def _month(word: str) -> int:
    low = fold(word)
    for number_, names in enumerate(MONTHS, 1):
        roman = names.rsplit(" ", 1)[1]
        if low == roman or (len(low) > 2 and any(n.startswith(low) for n in names.split())):  # noqa: PLR2004
            return number_
    return 0


def _sign(text: str) -> str:
    """Return what stands between a day and a month whose order is not plain."""
    found = DAY_OR_MONTH.fullmatch(text)
    return found[2] if found else ""


def _serial(text: str, epoch: str) -> date | None:
    if not re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        return None
    found: date = (pd.Timestamp(epoch) + pd.Timedelta(days=int(text[:5]))).date()
    return found


def _turned_by_a_spreadsheet(known: list[str]) -> str:
    """Find the days that a spreadsheet took for years: 1931/5/18 was 31-5-18, 2005/5/18 5-5-18."""
    turned = [t for t in known if (f := YEAR_FIRST.fullmatch(t)) and f[2] == "/"]
    years = {int(t[:4]) for t in turned}
    if not years & {1930, 1931} or not years <= {1930, 1931, *range(2001, 2030)}:
        return ""
    return Told("refusal.turned_days", example=min(turned), day=min(turned)[2:4])
