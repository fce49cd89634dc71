"""What a foreign column is: by its name and by what stands in it, with how sure that is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import linear_sum_assignment
from stdnum.pl import nip

from terrlib.inputs.names import (
    CITIES,
    LIARS,
    NAMES,
    OWN,
    REMARKS,
    STATUS,
    WORDS,
    column_key,
    year_of,
)
from terrlib.inputs.tables import COLUMNS, KEYS, Column
from terrlib.inputs.values import day, flag, fold, number
from terrlib.show.words import Told, Words

ENGLISH = Words("en", "")

LEAST, CERTAIN = 0.3, 0.8
NO_NAME = r"(unnamed|column|col|kolumna|kol|pole|field|var|[a-z])? ?\d*"
SOME, HALF, TELLING, MOST, NEARLY, WHOLE = 0.1, 0.5, 0.55, 0.8, 0.9, 0.99
FEW, MANY_ROWS, SAMPLE, STAFF, SHORT = 60, 20, 1000, 1000, 4
ALONE = {"industry": 0.35, "product_line": 0.35, "stage": 0.35, "territory": 0.35}
POLAND = {"lat": (49.0, 54.9), "lon": (14.07, 24.2)}
# Where most files come from: latitudes of Europe and North America; their longitudes.
METRES = ((1e5, 9.1e5), (5.4e6, 8.7e6))  # of the projections in use in Poland
ABROAD = {"lat": ((35.0, 72.0),), "lon": ((-180.0, -52.0), (-25.0, 24.2))}
Evidence = tuple[float, str]


@dataclass(frozen=True)
class _Look:
    """What stands in a foreign column; shares are of its filled cells (a sample of them)."""

    n: int
    blanks: int
    distinct: int
    unique: float
    numbers: np.ndarray
    folded: pd.Series
    number: float
    decimals: float
    fine: float
    signs: float
    day: float
    daylike: float
    flag: float
    yes: float
    code: float
    letters: float
    spaced: float
    postal: float
    zips: float
    tax: float
    example: str

    def within(self, *ranges: tuple[float, float]) -> float:
        """Share of the numbers in one of the ranges; zeros stand for blanks."""
        values = self.numbers[self.numbers != 0]
        inside = [(values >= low) & (values <= high) for low, high in ranges]
        return float(np.logical_or.reduce(inside).mean()) if len(values) else 0.0


def propose(rows: pd.DataFrame, table: str = "accounts") -> pd.DataFrame:
    """Propose which foreign column is which of ours.

    Parameters
    ----------
    rows
        A file as text, as `read.read_table` returns it.
    table
        What the file is: a key of `NAMES`.

    Returns
    -------
    DataFrame
        column, theirs, sure (0 to 1), why; in the order of our columns. A foreign column stands in
        it once at most, and none under `LEAST`. Among all ways to match, the one with the largest
        sum of squared certainties: one sure match counts more than two guesses. The order of the
        columns in the file plays no part.

    Examples
    --------
    >>> rows = pd.DataFrame({"Nr klienta": ["7", "8"], "Szer. geogr.": ["52.1", "50.2"]})
    >>> propose(rows)[["column", "theirs"]].to_numpy().tolist()
    [['account_id', 'Nr klienta'], ['lat', 'Szer. geogr.']]
    """
    return _match(_looks(rows), table)


def guess_table(rows: pd.DataFrame) -> tuple[str, float]:
    """Tell which of our tables a file is, and how sure that is (0 to 1).

    A table is likely if the columns it cannot do without are there, and if it explains many others.

    Examples
    --------
    >>> rows = pd.DataFrame({"Kod klienta": ["7", "7"], "Data faktury": ["2026-01-05", "2026-01-06"],
    ...                      "Netto": ["10,50", "7,20"]})
    >>> guess_table(rows)[0]
    'sales'
    """
    looks = _looks(rows)
    points = pd.Series({table: _fit(table, _match(looks, table)) for table in NAMES})
    total = float((points**2).sum())
    best = str(points.idxmax())
    return (best, round(float(points[best] ** 2 / total), 2)) if total else ("accounts", 0.0)


def certain(proposal: pd.DataFrame) -> dict[str, str]:
    """Pick what may be taken without asking: ours -> theirs.

    An id is taken even when in doubt: ids made from row numbers would hide that theirs repeat.
    """
    good = (proposal["sure"] >= CERTAIN) | (proposal["column"] == "account_id")
    return dict(proposal.loc[good, ["column", "theirs"]].to_numpy().tolist())


def status_values(texts: pd.Series) -> dict[str, str]:
    """Translate the words of a status column to ours, where they are known.

    Examples
    --------
    >>> status_values(pd.Series(["Klient", "customer", "Customer - Direct", "?"]))
    {'Customer - Direct': 'customer', 'Klient': 'customer'}
    """
    found = {text: STATUS.get(fold(text)) for text in sorted(set(texts))}
    return {text: ours for text, ours in found.items() if ours and ours != text}


def as_yaml(
    proposal: pd.DataFrame,
    file: str,
    table: str,
    rows: pd.DataFrame | None = None,
    words: Words = ENGLISH,
) -> str:
    """Write a proposal as YAML to paste into settings.yml.

    Parameters
    ----------
    proposal
        As `propose` returns it.
    file
        Name of the file.
    table
        What it is.
    rows
        The file as text, to add the words of a status and say which columns are not used.
    words
        Language of what is remarked on it.

    Examples
    --------
    >>> rows = pd.DataFrame({"NIP": ["9001000001"], "Szer. geogr.": [""]})
    >>> print(as_yaml(propose(rows), "a.csv", "accounts"))
    tables:
      accounts:
        file: a.csv
        columns:
          lat: Szer. geogr.  # 83%: a usual Polish name; no values in it
          tax_id: NIP  # 99%: a usual Polish name; valid tax numbers
          # lon: needed, and not found
    """
    lines = ["tables:", f"  {table}:", f"    file: {_scalar(file)}", "    columns:"]
    for found in proposal.itertuples():
        why = "".join(c if c.isprintable() else " " for c in words.tell(found.why))
        lines.append(f"      {found.column}: {_scalar(found.theirs)}  # {found.sure:.0%}: {why}")
    if not len(proposal):
        lines[-1] += " {}"
    taken = dict(zip(proposal["column"], proposal["theirs"], strict=True))
    needed = [c.name for c in COLUMNS[table].values() if c.required and c.name not in taken]
    if table == "accounts" and not ({"lat", "lon"} <= set(taken) or "area_id" in taken):
        needed += [c for c in ("lat", "lon") if c not in taken]
    lines += [f"      # {words.tell(Told('mapping.needed', column=name))}" for name in needed]
    if rows is None:
        return "\n".join(lines)
    if (
        table == "accounts"
        and "status" in taken
        and (values := status_values(rows[taken["status"]]))
    ):
        lines += ["    values:", "      status:"]
        lines += [f"        {_scalar(theirs)}: {ours}" for theirs, ours in values.items()]
    for name in _foreign(rows):
        if name not in set(taken.values()):
            reason = _liar(table, name)
            told = f" ({words.tell(reason)})" if reason else ""
            unused = words.tell(Told("mapping.unused"))
            lines.append(f"    # {unused}: {_scalar(name[:80])}{told}")
    return "\n".join(lines)


def say_taken(proposal: pd.DataFrame, file: str, words: Words = ENGLISH) -> str:
    """Say in one sentence which columns of a lone file are taken, and which are left as doubtful."""
    taken = certain(proposal)
    parts: dict[bool, list[Told]] = {True: [], False: []}
    for found in proposal.itertuples():
        if found.theirs != found.column:
            theirs = {"theirs": _scalar(found.theirs), "sure": found.sure}
            told = Told("mapping.column", column=found.column, **theirs)
            parts[found.column in taken].append(told)
    read = [Told("mapping.taken", file=_scalar(file), columns=parts[True])]
    if not parts[True]:
        read = [Told("mapping.own_names", file=_scalar(file))]
    if parts[False]:
        read.append(Told("mapping.doubtful", columns=parts[False]))
    return " ".join(words.tell(told) for told in read)


def say_guess(table: str, sure: float, file: str, words: Words = ENGLISH) -> str:
    """Say what a lone file seems to be, and what to do with the proposal.

    Examples
    --------
    >>> say_guess("accounts", 0.97, "a.csv").splitlines()[0]
    'a.csv looks like a table of accounts (97% sure).'
    """
    guess = Told("mapping.guess", file=_scalar(file), table=table, sure=sure)
    use = Told("mapping.accounts_use", certain=CERTAIN)
    if table != "accounts":
        use = Told("mapping.other_use")
    return f"{words.tell(guess)}\n{words.tell(use)}"


def _match(looks: dict[str, _Look], table: str) -> pd.DataFrame:
    theirs = list(looks)
    degrees = all(
        any(look.within(POLAND[side]) > MOST for look in looks.values()) for side in POLAND
    )
    metres = sum(look.within(*METRES) > MOST for look in looks.values()) > 1
    points = "degrees" if degrees else "metres" if metres else ""
    ours = [COLUMNS[table][name] for name in NAMES[table]]
    judged = [
        [_judge(table, column, name, looks[name], points) for name in theirs] for column in ours
    ]
    sure = np.array([[s for s, _ in line] for line in judged]).reshape(len(ours), len(theirs))
    sure[sure < LEAST] = 0.0
    pairs = zip(*linear_sum_assignment(sure**2, maximize=True), strict=True)
    found = [
        (ours[i].name, theirs[j], round(float(sure[i, j]), 2), judged[i][j][1])
        for i, j in pairs
        if sure[i, j]
    ]
    why = pd.Series([why for *_, why in found], dtype=object)  # sentences to be said again
    return pd.DataFrame(found, columns=["column", "theirs", "sure", "why"]).assign(why=why)


def _fit(table: str, found: pd.DataFrame) -> float:
    sure = found.set_index("column")["sure"]
    needed = [c.name for c in COLUMNS[table].values() if c.required]
    need = float(sure.reindex(needed).fillna(0.0).min()) if needed else 1.0
    if table == "accounts":
        point = min(sure.get("lat", 0.0), sure.get("lon", 0.0))
        place = max(point, *(sure.get(c, 0.0) for c in ("area_id", "postal_code", "town")), 0.3)
        need = sure.get("account_id", 0.6) * place
    # A table that lacks a column it needs may still be told, by the others.
    return float((need + 0.1) * (sure**2).sum())


def _foreign(rows: pd.DataFrame) -> list[str]:
    names = [str(c) for c in rows.columns]
    return sorted(name for name in names if name and names.count(name) == 1)


def _liar(table: str, name: str) -> str:
    return next(
        (
            Told(f"why.{why}")
            for t, form, why in LIARS
            if t in {"", table} and re.search(form, column_key(name))
        ),
        "",
    )


def _judge(table: str, column: Column, name: str, look: _Look, points: str) -> Evidence:
    """How sure it is that a foreign column is this one of ours, and why.

    `points` says what columns of the table could place it in Poland: degrees, metres, or none.
    """
    if name != column.name and _liar(table, name):
        return 0.0, ""
    key, known = column_key(name), NAMES[table]
    elsewhere = key not in known[column.name] and any(key in names for names in known.values())
    by_name, why = (0.0, "") if elsewhere else _named(known[column.name], column, name)
    content, seen = _content(table, column, look, points)
    # A name alone is 92% of itself. What confirms it is one more witness; what denies it takes
    # 60% away, so that a usual name stays a guess and a likeness of a name falls out.
    if by_name:
        sure = (
            1 - (1 - 0.92 * by_name) * (1 - content)
            if content > 0
            else 0.92 * by_name * (1 + 0.6 * content)
        )
        return sure, Told("refusal.several", several=[part for part in (why, seen) if part])
    if elsewhere:
        content *= 0.3
    elif content < TELLING and not re.fullmatch(NO_NAME, key):
        # Its name says something else, and what stands in it could be anything.
        content *= 0.5
    return (content, Told("why.content_alone", seen=seen)) if content > 0 else (0.0, "")


def _named(known: dict[str, Evidence], column: Column, name: str) -> Evidence:
    if name == column.name:
        return 1.0, Told(f"why.{OWN}")
    key = column_key(name)
    tokens = set(key.split())
    if not tokens:
        return 0.0, ""
    squashed = {k.replace(" ", ""): good for k, good in known.items()}
    sure, source = squashed.get(key.replace(" ", ""), (0.0, ""))
    why: str = Told(f"why.{source}") if source else ""
    if not sure:
        near = difflib.get_close_matches(key.replace(" ", ""), list(squashed), 1, 0.86)
        held = [k for k in known if set(k.split()) <= tokens and len(k) > 1]
        if near and len(key) > SHORT:
            sure, why = 0.75, Told("why.nearly", name=near[0])
        elif held:
            longest = max(held, key=lambda k: (len(k.split()), len(k)))
            sure = 0.5 + 0.3 * len(longest.split()) / len(tokens)
            why = Told("why.holds", name=longest)
    if sure and column.kind == "money":
        if key in REMARKS:
            return 0.7 * sure, Told("why.remark", why=why, remark=Told(f"why.{REMARKS[key]}"))
        if re.search(r"\b(tys|k|thousands?|mln|m(?! c)|millions?)\b", fold(name)):
            return 0.7 * sure, Told("why.thousands", why=why)
        if year := max(map(year_of, fold(name).split()), default=0):
            # Of several years the last is meant.
            return sure - 0.1 + (year - 1900) / 10_000, Told("why.of_year", why=why, year=year)
    return sure, why


def _looks(rows: pd.DataFrame) -> dict[str, _Look]:
    return {name: _look(rows[name]) for name in _foreign(rows)}


def _look(cells: pd.Series) -> _Look:
    texts = cells[cells != ""]
    n = len(texts)
    distinct = int(texts.nunique())
    some = texts.iloc[np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(int))] if n else texts
    some = some.str[:200]
    numbers, days, flags = (_parsed(some, f) for f in (number, day, flag))
    values = np.array([v for v in numbers if v is not None], dtype=float)
    folded = some.map(fold)

    def share(form: str) -> float:
        return float(some.str.fullmatch(form).mean()) if len(some) else 0.0

    daylike = share(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*")
    code = share(r"(?=.*\d)[\w./#-]{1,40}|[A-Za-z0-9]{15,40}")
    return _Look(
        n=n,
        blanks=len(cells) - n,
        distinct=distinct,
        unique=distinct / n if n else 0.0,
        numbers=values[np.isfinite(values)],
        folded=folded,
        number=_known(numbers),
        decimals=share(r".*\d[.,]\d{1,2}\D*"),
        fine=share(r"-?\d{1,3}[.,]\d{3,}"),
        signs=share(r"(?i).*([$€£]|zł|pln|eur|usd).*"),
        day=_known(days),
        daylike=daylike,
        flag=_known(flags),
        yes=sum(v is True for v in flags) / max(len(flags), 1),
        code=code - max(daylike, share(r"-?\d+[.,]\d+")),
        letters=float(some.str.count(r"[^\W\d_]").ge(3).mean()) if len(some) else 0.0,
        spaced=share(r".*\S\s+\S.*"),
        postal=share(r"\d{2}-\d{3}"),
        zips=share(r"\d{5}(-\d{4})?"),
        tax=float(some.map(nip.is_valid).mean()) if share(r".*\d{3}.*") else 0.0,
        example=str(some.iloc[0])[:30] if len(some) else "",
    )


def _parsed(texts: pd.Series, function: Callable[[str], Any]) -> list[Any]:
    def one(text: str) -> Any:
        try:
            return function(text)
        except ValueError:
            return None

    known = {text: one(text) for text in texts.unique()}
    return [known[text] for text in texts]


def _known(values: list[Any]) -> float:
    return sum(v is not None for v in values) / len(values) if values else 0.0


def _content(table: str, column: Column, look: _Look, points: str) -> Evidence:
    """What the cells say: above 0 they speak for it (how sure without a name), below 0 against."""
    if not look.n:
        return -0.1, Told("why.no_values")
    words = WORDS.get(column.name)
    if words is not None and look.folded.isin(words).mean() >= MOST:
        return 0.85 if column.name == "region" else 0.7, Told(
            "why.known_words", example=look.example
        )
    if column.kind == "degrees":
        return _degrees(column, look, points)
    if column.name in _SPECIAL:
        return _SPECIAL[column.name](look)
    if column.name == KEYS.get(table):
        return _own_key(look)
    return _KINDS[column.kind](column, look)


def _degrees(column: Column, look: _Look, points: str) -> Evidence:
    side, other = ("lat", "lon") if column.name.endswith("lat") else ("lon", "lat")
    limit = column.high or 0.0
    if look.number < HALF:
        return -1.0, Told("why.no_degrees", example=look.example)
    if look.within((-limit, limit)) < MOST:
        outside = (-1.0, Told("why.outside_degrees", limit=limit))
        metres = (0.05, Told("why.metres"))
        return metres if points == "metres" and look.within(*METRES) > MOST else outside
    poland = points == "degrees"
    low, high = POLAND[side]
    if poland and look.within(POLAND[side]) > MOST:
        return (
            0.6 if look.decimals + look.fine > HALF else 0.1,
            Told(f"why.{side}_of_poland", low=low, high=high),
        )
    if poland and look.within(POLAND[other]) > MOST:
        return -1.0, Told(f"why.{other}_swapped")
    if look.fine > HALF and look.within(*ABROAD[side]) > MOST:
        return 0.5, Told(f"why.like_{side}")
    return 0.0, ""


def _own_key(look: _Look) -> Evidence:
    if look.unique == 1:
        return (0.5 if look.code > MOST else 0.05), Told("why.unique")
    repeat = Told("why.repeated", n=look.n - look.distinct, of=look.n)
    return (-1.0 if look.unique < HALF else -0.1), repeat


def _key_of_another(column: Column, look: _Look) -> Evidence:
    if max(look.day, look.fine) > MOST or look.decimals > HALF:
        return -1.0, Told("why.no_ids", example=look.example)
    if column.name in {"area_id", "postal_code", "tax_id"} or look.code < MOST:
        return _few(column, look) if column.name == "territory" else (0.0, "")
    return (0.35, Told("why.repeated_codes")) if look.unique < 1 else (0.2, Told("why.codes"))


def _postal(look: _Look) -> Evidence:
    if look.postal >= MOST:
        return 0.85, Told("why.polish_codes")
    if look.zips >= MOST:
        return 0.3, Told("why.five_digits")
    return (
        (-1.0, Told("why.no_postal_codes", example=look.example))
        if look.code < HALF and look.spaced < HALF
        else (0.0, "")
    )


def _tax(look: _Look) -> Evidence:
    if look.tax >= MOST:
        return 0.9, Told("why.tax_numbers")
    return (
        (-1.0, Told("why.no_tax_numbers", example=look.example))
        if look.code < HALF and look.spaced < HALF
        else (-0.05, Told("why.not_polish_tax"))
    )


def _name(look: _Look) -> Evidence:
    if look.letters < HALF:
        return -0.8, Told("why.no_letters", example=look.example)
    if look.unique < SOME and look.n > MANY_ROWS:
        return -0.5, Told("why.few_texts", n=look.distinct)
    return (
        (0.4, Told("why.different_texts"))
        if look.unique > HALF and look.spaced > HALF
        else (0.05, "")
    )


def _town(look: _Look) -> Evidence:
    if look.letters < HALF:
        return -0.8, Told("why.no_letters", example=look.example)
    if look.folded.isin(CITIES).mean() > SOME:
        return 0.6, Told("why.cities")
    return 0.05, ""


def _street(look: _Look) -> Evidence:
    if look.letters < HALF:
        return -0.8, Told("why.no_letters", example=look.example)
    numbered = look.folded.str.contains(r"[a-z].*\d", regex=True).mean() > HALF
    return (0.4, Told("why.streets")) if numbered else (0.05, "")


def _employees(look: _Look) -> Evidence:
    whole = float((look.numbers == np.floor(look.numbers)).mean()) if len(look.numbers) else 0.0
    if look.number < HALF or look.within((0, np.inf)) < HALF:
        return -1.0, Told("why.no_people", example=look.example)
    if whole < NEARLY:
        return -0.6, Told("why.not_whole")
    if look.number < WHOLE:
        # A row is set aside for it: too much for a column that no plan needs.
        return -0.2, Told("why.some_no_numbers", share=1 - look.number)
    few = 2 / look.n < look.unique < 1 and float(np.median(look.numbers)) < STAFF
    return (0.32, Told("why.small_numbers")) if few else (0.05, "")


def _number(column: Column, look: _Look) -> Evidence:
    if look.number < HALF:
        return -1.0, Told("why.no_numbers", example=look.example)
    if look.number < MOST:
        return -0.3, Told("why.some_no_numbers", share=1 - look.number)
    low = -np.inf if column.low is None else column.low
    if look.within((low, column.high or np.inf)) < MOST and (look.numbers != 0).any():
        return -0.6, Told("why.outside")
    if column.kind == "money":
        if look.fine > MOST and look.unique > NEARLY and look.within((-180, 180)) == 1:
            return -0.5, Told("why.like_degrees")
        content = 0.4 if look.signs > HALF else 0.35 if look.decimals > HALF else 0.1
        alone = column.name in {"revenue", "amount"}
        return (content if alone else min(content, 0.2)), Told("why.amounts")
    return (0.4 if column.name == "fte" else 0.1), Told("why.numbers")


def _date(column: Column, look: _Look) -> Evidence:
    if MOST <= look.day < WHOLE:
        return -0.2, Told("why.some_no_days", share=1 - look.day)
    if look.day >= WHOLE:
        filled = (look.blanks == 0) == (column.name != "close_date")
        return (0.4 if filled else 0.3), Told("why.days")
    if look.daylike >= MOST:
        return -0.3, Told("why.two_ways", example=look.example)
    return -1.0, Told("why.no_days", example=look.example)


def _flag(column: Column, look: _Look) -> Evidence:
    if look.flag < MOST or look.distinct > SHORT:
        return -1.0, Told("why.no_flag", example=look.example)
    # What is won is closed: of two such columns the one with more yes is is_closed.
    more = {"is_closed": 0.3 + look.yes / 10, "is_won": 0.4 - look.yes / 10}
    return more.get(column.name, 0.1), Told("why.flags")


def _few(column: Column, look: _Look) -> Evidence:
    if look.n > MANY_ROWS and look.unique > NEARLY:
        return -0.7, Told("why.all_different")
    worded = look.letters > HALF or column.name in {"status", "territory"}
    if not worded:
        return -0.4, Told("why.no_words", example=look.example)
    few = look.distinct <= FEW and look.unique <= HALF
    return (ALONE.get(column.name, 0.1), Told("why.n_texts", n=look.distinct)) if few else (0.0, "")


_SPECIAL: dict[str, Callable[[_Look], Evidence]] = {
    "name": _name,
    "town": _town,
    "street": _street,
    "postal_code": _postal,
    "tax_id": _tax,
    "employees": _employees,
}
_KINDS: dict[str, Callable[[Column, _Look], Evidence]] = {
    "key": _key_of_another,
    "text": _few,
    "number": _number,
    "money": _number,
    "date": _date,
    "flag": _flag,
}


def _scalar(text: str) -> str:
    """One line of YAML that loads back to the text, whatever it holds."""
    style = None if text.isprintable() else '"'
    dumped = yaml.safe_dump(text, allow_unicode=True, width=1_000_000_000, default_style=style)
    return str(dumped).removesuffix("\n").removesuffix("...").rstrip()
