"""The data gate: every fault counted with its money, rows set aside with the reason, nothing lost."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
from babel import Locale
from stdnum.pl import nip

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.files import is_footer
from terrlib.inputs.read import repeated_headers
from terrlib.inputs.settings import Quality
from terrlib.inputs.tables import COLUMNS, KEYS, Column, schema
from terrlib.inputs.values import (
    Reading,
    days,
    degrees,
    each,
    flag,
    fold,
    numbers,
    repaired,
    short_years,
)
from terrlib.show.words import Told, either, says

STOP, ASIDE, NOTE = "stop", "set_aside", "note"
RULES = {
    "missing_column": STOP,
    "duplicate_id": STOP,
    "no_rows": STOP,
    "ambiguous_number": STOP,
    "ambiguous_date": STOP,
    "repeated_header": ASIDE,
    "repeated_row": ASIDE,
    "too_many_orphans": STOP,
    "no_id": ASIDE,
    "not_a_number": ASIDE,
    "not_a_date": ASIDE,
    "not_a_flag": NOTE,
    "blank_word": NOTE,
    "formula_without_value": NOTE,
    "closed_by_stage": NOTE,
    "closed_after_as_of": NOTE,
    "code_repaired": NOTE,
    "spelling_merged": NOTE,
    "out_of_range": ASIDE,
    "total_row": ASIDE,
    "footer": ASIDE,
    "no_coordinates": ASIDE,
    "swapped_coordinates": ASIDE,
    "far_away": ASIDE,
    "outside_areas": ASIDE,
    "orphan": ASIDE,
    "unknown_area": ASIDE,
    "unknown_territory": NOTE,
    "account_set_aside": ASIDE,
    "closed_before_created": ASIDE,
    "after_as_of": ASIDE,
    "far_future": ASIDE,
    "foreign_country": ASIDE,
    "foreign_currency": ASIDE,
    "internal_account": ASIDE,
    "id_made": NOTE,
    "unknown_country": NOTE,
    "converted": NOTE,
    "status_mapped": NOTE,
    "unknown_status": NOTE,
    "inactive": NOTE,
    "no_revenue": NOTE,
    "blank_money": NOTE,
    "blank_amount": NOTE,
    "negative_amount": NOTE,
    "negative_account": NOTE,
    "bad_tax_number": NOTE,
    "same_tax_number": NOTE,
    "same_name_and_place": NOTE,
    "one_firm_many_sites": NOTE,
    "one_site_many_firms": NOTE,
    "many_on_one_point": NOTE,
    "moved_to_nearest_area": NOTE,
    "other_area_than_stated": NOTE,
    "area_repaired": NOTE,
    "unit_without_neighbor": NOTE,
    "two_territories": STOP,
    "rep_unknown": NOTE,
    "placed_in_area": NOTE,
    "projected_coordinates": ASIDE,
    "which_town": ASIDE,
    "read_as_projected": NOTE,
    "coordinates_turned": NOTE,
    "unknown_geo_quality": NOTE,
    "placed_by_postal_code": NOTE,
    "placed_by_town": NOTE,
    "other_region_than_stated": NOTE,
    "no_home": STOP,
    "home_far_away": STOP,
    "home_by_postal_code": NOTE,
    "home_by_town": NOTE,
    "area_in_parts": NOTE,
    "area_overlap": NOTE,
    "area_gap": NOTE,
    "grid_made": NOTE,
}
# What a rule may not be: no plan can be made with such rows, or there is nothing to put aside.
FIXED = {"no_rows", "too_many_orphans", "ambiguous_number", "ambiguous_date"}
NO_NOTE = {
    "two_territories",
    "missing_column",
    "duplicate_id",
    "no_id",
    "not_a_number",
    "not_a_date",
    "out_of_range",
    "total_row",
    "footer",
    "no_coordinates",
    "outside_areas",
    "orphan",
    "unknown_area",
    "account_set_aside",
    "closed_before_created",
    "after_as_of",
    "foreign_currency",
    "repeated_header",
    "repeated_row",
    "projected_coordinates",
    "which_town",
    "no_home",
}
MAY_GO_ASIDE = {
    "unknown_country",
    "unknown_status",
    "inactive",
    "blank_money",
    "blank_amount",
    "negative_amount",
    "negative_account",
    "bad_tax_number",
    "same_tax_number",
    "same_name_and_place",
    "many_on_one_point",
    "home_far_away",
} | {rule for rule, severity in RULES.items() if severity == ASIDE or rule in NO_NOTE}
# Stages of CRMs, folded and without blanks.
WON_STAGES = {
    "closedwon", "won", "wygrana", "wygrane", "zamknietawygrana", "wygranazamknieta", "sprzedane",
    "zrealizowana",
}  # fmt: skip
LOST_STAGES = {
    "closedlost", "lost", "przegrana", "przegrane", "zamknietaprzegrana", "przegranazamknieta",
    "utracona", "odrzucona",
}  # fmt: skip
STATUSES = ("customer", "prospect", "lost", "inactive")
# Words of CRMs, folded; what is not here is told apart by revenue, and said.
STATUS_WORDS = {
    "customer": "klient|klient aktywny|aktywny|aktywny klient|aktywna|staly klient|obecny klient|"
    "odbiorca|kupujacy|client|active|active customer|current customer|existing customer|won",
    "prospect": "potencjalny|potencjalny klient|klient potencjalny|potencjalna|nowy|lead|szansa|"
    "perspektywiczny|prospekt|potential|potential customer|target|suspect|new|opportunity|"
    "subscriber|marketing qualified lead|sales qualified lead|mql|sql|open|in progress",
    "lost": "byly|byly klient|byla|utracony|utracony klient|stracony|odszedl|former|"
    "former customer|ex customer|churned|lost customer|past customer",
    "inactive": "nieaktywny|nieaktywna|nieaktywny klient|klient nieaktywny|uspiony|zamkniety|"
    "zamknieta|zlikwidowany|zlikwidowana|zablokowany|archiwalny|dormant|closed|blocked|archived|"
    "suspended|inactive customer|out of business",
}
STATUS_OF = {word: to for to, words in STATUS_WORDS.items() for word in words.split("|")}
SYMBOLS = {"EUR": r"€|\bEUR\b", "USD": r"\$|\bUSD\b", "GBP": r"£|\bGBP\b", "PLN": r"zł|\bPLN\b"}
CURRENCY_OF = {"zl": "PLN", "zloty": "PLN", "euro": "EUR", "usd": "USD", "dolar": "USD"}
TESTS = re.compile(
    r"(konto |firma |klient |account |company |customer )?"
    r"(test|testowy|testowa|testowe|tester|demo|dummy|asdf|xxx+|do usuniecia|nie uzywac)"
    r"( konto| firma| klient| account| company| customer| test| do usuniecia| nie uzywac| \d+)*"
)
# What a name of a test account or of a total holds at least, for a database to look for.
LIKE_TEST = r"(?i)(test|demo|dummy|asdf|xxx|do usuni|nie u[zż]ywa)"
LIKE_TOTAL = r"(?i)(total|sum|razem|cznie|og[oó][lł]em|polska|p o l s k a)"
TOTALS = {
    *(
        "total",
        "totals",
        "grand total",
        "grand totals",
        "sum",
        "razem",
        "suma",
        "suma koncowa",
        "suma calkowita",
        "lacznie",
    ),
    *("ogolem", "w sumie", "podsumowanie", "polska", "p o l s k a"),
}
PILE = 10
# Of fewer dates nobody can say which one is lonely.
FEW_DATES = 10
FAR = pd.DateOffset(years=1)
LINE = re.compile(r"row (\d+)")  # how a finding keys a row without an id
SHOWN = 3  # of the rows with a fault
FINDINGS = ["table", "key", "rule", "severity", "field", "value", "message", "values", "money"]


class Ledger:
    """Findings and rows set aside, gathered while the tables pass the gate."""

    def __init__(self, asked: Quality | None = None) -> None:
        self.asked = asked or Quality()
        self.severity = severities(self.asked)
        self.findings: list[tuple[Any, ...]] = []
        self.aside: dict[str, list[pd.DataFrame]] = {}

    def find(
        self,
        table: str,
        rule: str,
        rows: pd.DataFrame,
        field: str,
        message: str = "",
        /,
        **values: Any,
    ) -> None:
        """Note one finding for each row; the row's money is its potential, revenue or amount.

        Parameters
        ----------
        table, rule, rows, field
            What is found, in which rows, and the column that shows it.
        message
            Name of the sentence under `finding` in the locale files; that of the rule if blank.
        **values
            What the sentence is filled with, in the language of its reader.
        """
        key = KEYS.get(table)
        keys = rows[key].astype(str) if key in rows else [f"row {i + 2}" for i in rows.index]
        cells = rows[field].astype(str) if field in rows else [""] * len(rows)
        # A total is the sum of other rows: its money is counted there.
        amounts = [0.0] * len(rows) if rule == "total_row" else money_of(rows)
        severity, filled = self.severity[rule], tuple(values.items())
        for name, value, money in zip(keys, cells, amounts, strict=True):
            row = (table, name, rule, severity, field, str(value)[:80])
            self.findings.append((*row, f"finding.{message or rule}", filled, money))

    def set_aside(
        self,
        table: str,
        rule: str,
        rows: pd.DataFrame,
        bad: pd.Series,
        field: str,
        message: str = "",
        /,
        **values: Any,
    ) -> pd.DataFrame:
        """Take the bad rows out of a table, with the reason; all stay where the rule only notes.

        The sentence and what fills it are given as for `find`.
        """
        bad = bad.fillna(value=False).astype(bool)
        if bad.any():
            self.find(table, rule, rows[bad], field, message, **values)
            if self.severity[rule] == NOTE:
                return rows
            out = rows[bad].drop(columns=[c for c in rows if c.startswith("_")])
            self.aside.setdefault(table, []).append(out.assign(reason=rule))
        return rows[~bad]

    def stop(self, table: str, rule: str, told: Told, key: str = "", money: float = 0.0) -> None:
        """Note a fault that no run can go past, in the words of the refusal."""
        self.findings.append((table, key, rule, STOP, "", "", told.said, told.filled, money))

    def refuse(self) -> None:
        """Refuse if there is a stop, listing all of them at once."""
        # By table, sentence, and whether it is only the settings that stop the run for it.
        stops: dict[tuple[str, str, bool], list[tuple[Any, ...]]] = {}
        worded = {(table, rule) for table, _, rule, _, field, *_ in self.findings if not field}
        for table, key, rule, severity, field, _, said, values, money in self.findings:
            if severity == STOP and (not field or (table, rule) not in worded):
                stops.setdefault((table, said, bool(field)), []).append((key, values, money))
        if stops:
            refusal = DataError(
                [
                    told
                    for (table, said, by_rule), rows in stops.items()
                    for told in _stops(table, said, rows, by_rule=by_rule)
                ]
            )
            refusal.findings = self.table()
            raise refusal

    def table(self) -> pd.DataFrame:
        """Every finding, sorted."""
        found = pd.DataFrame(self.findings, columns=FINDINGS)
        found["money"] = found["money"].astype(float)
        return found.sort_values(["table", "rule", "key"], kind="stable").reset_index(drop=True)


def row_name(key: str) -> str:
    """Name a row of a finding: by its id, or by its line where the table has no ids.

    Examples
    --------
    >>> row_name("K07"), row_name("row 5")
    ('K07', 'row 5')
    """
    line = LINE.fullmatch(key)
    return Told("finding.row", line=line[1]) if line else key


def _stops(table: str, said: str, rows: list[tuple[Any, ...]], *, by_rule: bool) -> Iterator[Told]:
    """Say faults of one kind: all in one where only the settings make them a stop."""
    kinds = list(dict.fromkeys(values for _, values, _ in rows))
    if by_rule:
        what = [Told(said, **dict(values)) for values in kinds[:SHOWN]]
        money = sum(money for *_, money in rows)
        known = {
            "what": what,
            "n": len(rows),
            "examples": [row_name(key) for key, *_ in rows[:SHOWN]],
        }
        if money:
            yield Told("refusal.stop_by_rule_money", table=table, **known, money=money)
        else:
            yield Told("refusal.stop_by_rule", table=table, **known)
        return
    for values in kinds:
        told = Told(said, **dict(values))
        named = [key for key, mine, _ in rows if key and mine == values]
        if named:
            shown = {"n": len(named), "examples": [row_name(key) for key in named[:SHOWN]]}
            yield Told("refusal.stop_with_rows", table=table, what=told, **shown)
        else:
            yield Told("refusal.stop", table=table, what=told)


def severities(asked: Quality) -> dict[str, str]:
    """Severity of every rule: the usual one, or the one that the settings ask for.

    Raises
    ------
    SettingsError
        If there is no such rule, or a plan cannot be made with it so.

    Examples
    --------
    >>> severities(Quality(rules={"far_away": "note"}))["far_away"]
    'note'
    """
    chosen = dict(RULES)
    for rule, aside in (
        ("inactive", asked.inactive == "aside"),
        ("negative_amount", asked.negative == "aside"),
        ("foreign_country", asked.countries == "aside"),
    ):
        chosen[rule] = ASIDE if aside else NOTE
    for rule, severity in asked.rules.items():
        if rule not in RULES:
            near = difflib.get_close_matches(rule, RULES, n=1)
            known = Told("refusal.known_are", names=list(RULES))
            hint = Told("refusal.did_you_mean_rule", name=near[0]) if near else known
            raise SettingsError("refusal.unknown_rule", rule=rule, hint=hint)
        allowed = [
            kind
            for kind, fits in (
                (STOP, True),
                (ASIDE, rule not in FIXED and rule in MAY_GO_ASIDE),
                (NOTE, rule not in FIXED | NO_NOTE),
            )
            if fits
        ]
        if severity not in allowed:
            needed = severity == NOTE or rule in FIXED
            key = "refusal.rule_needs_rows" if needed else "refusal.rule_is_of_table"
            ways = either("or", *map(Told, allowed))
            raise SettingsError(key, rule=rule, severity=severity, allowed=ways)
        chosen[rule] = severity
    return chosen


def money_of(rows: pd.DataFrame) -> list[float]:
    """Money a row stands for: in all rows its revenue, else its potential, else its amount, else 0.

    One column for the whole table, so that money used and money set aside add up to its sum.
    """
    if "_money" in rows:
        return [float(money) for money in rows["_money"]]
    for column in ("revenue", "potential", "amount"):
        if column in rows and (value := amounts(rows[column])).any():
            return [round(float(v), 2) for v in value]
    return [0.0] * len(rows)


def amounts(column: pd.Series) -> np.ndarray:
    """Money of a column as numbers, read or still as written; 0 where there is none.

    Examples
    --------
    >>> amounts(pd.Series(["1 234,50 zł", "lots", ""])).tolist()
    [1234.5, 0.0, 0.0]
    """
    if not pd.api.types.is_numeric_dtype(column):
        written = column.map(lambda value: isinstance(value, str)).astype(bool)
        column = column.mask(written, numbers(column[written]).found)
    return pd.to_numeric(column, errors="coerce").fillna(0.0).to_numpy(float)


# What puts a row without a point on the map: its column, and the table that knows the place.
PLACED_BY = {"town": "gazetteer", "postal_code": "postal_centroids"}
# Tables whose rows stand on the map, and what the names of the columns begin with that place them.
ON_THE_MAP = {"accounts": "", "reps": "home_"}


def require_columns(
    ledger: Ledger, table: str, rows: pd.DataFrame, given: Collection[str] = ()
) -> bool:
    """Note the required columns that a table lacks; tell whether it has them all.

    Parameters
    ----------
    ledger
        Where findings go.
    table, rows
        As `read.read_table` returned it.
    given
        Names of all tables: some place accounts and reps that have no coordinates.
    """
    needed = [c.name for c in COLUMNS[table].values() if c.required]
    start = ON_THE_MAP.get(table, "")
    point = [f"{start}{side}" for side in ("lat", "lon")] if table in ON_THE_MAP else []
    missing = [name for name in needed if name not in {*rows, *point}]
    ways = {f"{start}{column}": other for column, other in PLACED_BY.items()} if point else {}
    by = {column: other for column, other in ways.items() if column in rows}
    if not (set(point) <= set(rows) or "area_id" in rows or set(by.values()) & set(given)):
        missing += [name for name in point if name not in rows]
    if missing:
        columns, found = (", ".join(map(str, names)) for names in (missing, rows.columns[:12]))
        named = {"columns": columns, "found": found, "name": table}
        told = [Told("finding.missing_column", **named)]
        for column, other in by.items():
            needs = [c.name for c in COLUMNS[other].values() if c.required]
            told.append(Told("refusal.placed_by", other=other, needs=needs, column=column))
        if table != "accounts" and ledger.severity["missing_column"] == ASIDE:
            every = pd.Series(True, index=rows.index)  # noqa: FBT003
            ledger.set_aside(table, "missing_column", rows, every, missing[0], **named)
        else:
            several = Told("refusal.several", several=told)
            ledger.stop(table, "missing_column", several if by else told[0])
    return not missing


def closed_by_stage(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Tell deals won and lost by their stage, where no column says it: the rest is open.

    Examples
    --------
    >>> from terrlib.inputs.settings import Quality
    >>> rows = pd.DataFrame({"opp_id": list("abc"), "stage": ["Closed Won", "Przegrana", "Oferta"]})
    >>> closed_by_stage(Ledger(Quality()), "opportunities", rows)[["is_closed", "is_won"]].values
    array([['yes', 'yes'],
           ['yes', 'no'],
           ['no', 'no']], dtype=object)
    """
    if table != "opportunities" or "stage" not in rows or {"is_closed", "is_won"} <= set(rows):
        return rows
    stage = each(rows["stage"].fillna(""), lambda text: fold(str(text)).replace(" ", ""))
    won, lost = stage.isin(WON_STAGES), stage.isin(LOST_STAGES)
    told = {"is_closed": won | lost, "is_won": won}
    missing = [name for name in told if name not in rows]
    kept = rows.attrs
    rows = rows.assign(
        **{name: told[name].map({True: "yes", False: "no"}).astype(object) for name in missing}
    )
    rows.attrs = kept
    others = sorted(set(rows.loc[~(won | lost), "stage"]) - {""})
    said = {"columns": ", ".join(missing), "won": int(won.sum()), "lost": int(lost.sum())}
    open_ones = ", ".join(others[:4]) or "–"
    ledger.find(table, "closed_by_stage", rows.head(1), "stage", **said, others=open_ones)
    return rows


def typed(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of text into numbers, days and flags; rows that cannot be turned are set aside.

    Parameters
    ----------
    ledger
        Where findings go.
    table
        A key of `inputs.tables.COLUMNS`.
    rows
        As `read.read_table` returned it.

    Returns
    -------
    DataFrame
        The rows that can be used, with every column of the dictionary; unknown columns are dropped.
    """
    file = rows.attrs.get("file", {})
    _note_formulas(ledger, table, rows)
    rows = repair_codes(ledger, table, _tidied(ledger, table, rows, file))
    rows = _without_footers(ledger, table, rows)
    key = KEYS.get(table)
    if key and key not in rows:
        rows = rows.assign(**{key: [f"{i + 2:06d}" for i in range(len(rows))]})
        ledger.find(table, "id_made", rows.head(1), key, column=key, n=len(rows))
    name = key if key in rows else None
    rows = _without_totals(ledger, table, rows)
    if name:
        rows = ledger.set_aside(table, "no_id", rows, rows[name] == "", name, column=name)
        twice = rows[name].duplicated(keep=False)
        if twice.any():
            ids = rows.loc[twice, name].unique()
            if ledger.severity["duplicate_id"] == STOP:
                many = {"n": len(ids), "column": name, "rows": int(twice.sum())}
                told = Told("refusal.duplicate_id", **many, examples=sorted(ids)[:SHOWN])
                ledger.stop(table, "duplicate_id", told)
                rows = rows[~rows[name].duplicated()]
            again = rows[name].duplicated()
            rows = ledger.set_aside(table, "duplicate_id", rows, again, name, column=name)
    out = rows.copy()
    for column in COLUMNS[table].values():
        if column.name not in out:
            continue
        rule = _UNREADABLE.get(column.kind)
        if rule is None:
            continue
        read = read_column(rows[column.name], column, file)
        # A frame that has lost all its rows would take those of a longer column.
        values, bad = read.found.loc[out.index], read.bad
        _note_reading(ledger, table, rows.loc[out.index], column, read)
        if rule == "not_a_flag":
            ledger.find(table, rule, rows[bad], column.name, column=column.name)
            out[column.name] = values
        elif table == "accounts" and column.kind == "degrees":
            out[column.name] = values.where(~bad)
        else:
            out[column.name] = values
            keep = rows.loc[out.index]
            two_digits = column.kind == "date" and short_years(rows.loc[bad, column.name])
            left = ledger.set_aside(
                table,
                rule,
                keep,
                bad.loc[out.index],
                column.name,
                "short_year" if two_digits else rule,
                column=column.name,
            )
            out = out.loc[left.index]
    return _in_range(ledger, table, _complete(table, out))


def _note_formulas(ledger: Ledger, table: str, rows: pd.DataFrame) -> None:
    for column, n in rows.attrs.get("formulas", {}).items():
        if column in rows:
            blank = rows[rows[column] == ""]
            rule = "formula_without_value"
            ledger.find(table, rule, blank.head(1), column, column=column, n=int(n))


def _without_footers(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Set aside lines below the data: one cell that no row of data begins with, the others blank."""
    filled = rows.drop(columns="_money", errors="ignore").fillna("").astype(str)
    alone = (filled != "").sum(axis=1) == 1
    lines = ["".join(cells) for cells in filled[alone].to_numpy()]
    said = rows.index.isin(rows.index[alone][[is_footer(line) for line in lines]])
    # Below the first of them, up to the end, there is no data any more.
    footer = pd.Series(said | (said.cumsum() > 0) & alone[::-1].cummin()[::-1], index=rows.index)
    return ledger.set_aside(table, "footer", rows, footer, str(rows.columns[0]))


def _without_totals(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Set aside totals: by name, or without a code and as large as the rows that have one."""
    key = KEYS.get(table, "account_id")
    if key not in rows:
        return rows
    code = rows[key].str.strip()
    titled = each(rows["name"], is_total) if "name" in rows else code.isna()
    total = each(code, is_total).astype(bool) | (titled.astype(bool) & (code == ""))
    money = [c for c in ("revenue", "amount", "potential", "employees") if c in rows]
    suspect = ((code == "") | titled) & ~total
    for column in money if suspect.any() else []:
        value = pd.Series(amounts(rows[column]), index=rows.index).round(2)
        coded = ~(suspect | total)
        body = value.where(coded, 0.0)
        group = (~coded).cumsum()
        # Rows below it up to the next without a code, those above it, and all: two at least, since
        # one row without a code that equals one other is no total.
        for sums, n in (
            _block(body, coded, group),
            _block(body, coded, group, above=True),
            (body.sum(), coded.sum()),
        ):
            close = (value - sums).abs() <= 0.01 * max(len(rows), 1)  # each may be rounded
            total |= suspect & (value > 0) & close & (n > 1)
    field = money[0] if money else key
    return ledger.set_aside(table, "total_row", rows, total, field)


def _block(
    body: pd.Series, coded: pd.Series, group: pd.Series, *, above: bool = False
) -> tuple[pd.Series, pd.Series]:
    """Sum and number of the coded rows in a row's group, or in the group before it."""
    found = []
    for column in (body, coded.astype(int)):
        sums = column.groupby(group).sum()
        sums = sums.shift(fill_value=0) if above else sums
        found.append(group.map(sums))
    return found[0], found[1]


def _complete(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    blanks: dict[str, Any] = {"text": "", "key": "", "date": pd.NaT, "flag": None}
    for column in COLUMNS[table].values():
        if column.name not in rows:
            rows = rows.assign(**{column.name: blanks.get(column.kind, np.nan)})
        if column.kind in {"number", "money", "share", "degrees"}:
            rows = rows.assign(**{column.name: rows[column.name].astype(float)})
    return rows[list(COLUMNS[table])]


def _in_range(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    try:
        schema(table).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as faults:
        cases = faults.failure_cases.dropna(subset=["index"])
        for column, group in cases.groupby("column", sort=True):
            if table == "accounts" and column in {"lat", "lon"}:
                continue  # told apart below: swapped, zero or not of this world
            bad = pd.Series(rows.index.isin(group["index"]), index=rows.index)
            rule = COLUMNS[table][column]
            ends = {"low": rule.low, "high": rule.high}
            limits = {end: limit for end, limit in ends.items() if limit is not None}
            said = "_".join(["out_of_range", *limits])
            rows = ledger.set_aside(
                table, "out_of_range", rows, bad, str(column), said, column=column, **limits
            )
    return rows


def _tidied(ledger: Ledger, table: str, rows: pd.DataFrame, file: dict[str, str]) -> pd.DataFrame:
    """Take repeated headers out; note what money each row holds, however it is written."""
    again = repeated_headers(rows)
    rows = rows.copy()
    rows.attrs = {}  # what the file says of itself is not to follow its rows around
    money = [c for c in ("amount", "potential", "revenue") if c in rows]
    decimal = file.get("decimal", "")
    read = pd.DataFrame({c: numbers(rows[c], decimal).found for c in money}, index=rows.index)
    rows["_money"] = money_of(read)
    return ledger.set_aside(table, "repeated_header", rows, again, str(rows.columns[0]))


def _note_reading(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: Column, read: Reading
) -> None:
    if read.question:
        rule = "ambiguous_date" if column.kind == "date" else "ambiguous_number"
        ledger.stop(table, rule, asked_of(table, column, read))
    blank = rows[read.blank.loc[rows.index]]
    ledger.find(table, "blank_word", blank, column.name)


def asked_of(table: str, column: Column, read: Reading) -> Told:
    """Say what has to be answered before a column can be read, and where."""
    asked = {"column": column.name, "question": read.question}
    if says(read.question, "refusal.two_numbers", "refusal.two_days"):
        return Told("refusal.question_under", **asked, table=table)
    return Told("refusal.question", **asked)


def read_column(
    texts: pd.Series, column: Column, file: dict[str, str], rows: pd.Series | None = None
) -> Reading:
    """Read a column of clean texts as its kind says.

    Parameters
    ----------
    texts
        Stripped texts.
    column
        What it holds.
    file
        What is known of its file: dates, decimal, epoch.
    rows
        How many rows each text stands for; one if None.
    """
    if column.kind == "date":
        return days(texts, file.get("dates", ""), file.get("epoch", ""), rows)
    if column.kind == "degrees":
        marked = texts.str.contains("[NSEW°º]", case=False)
        plain = numbers(texts.where(~marked, ""), file.get("decimal", ""), column.high, rows)
        found, bad = _one_by_one(texts[marked], degrees)
        return Reading(
            plain.found.where(~marked, found.reindex(texts.index).astype(float)),
            plain.bad | bad.reindex(texts.index, fill_value=False),
            plain.blank & ~marked,
            plain.question,
        )
    if column.kind != "flag":
        return numbers(texts, file.get("decimal", ""), column.high, rows)
    found, bad = _one_by_one(texts, flag)
    return Reading(found, bad, texts != texts)  # noqa: PLR0124


def _one_by_one(texts: pd.Series, parse: Callable[[str], Any]) -> tuple[pd.Series, pd.Series]:
    """Parse every distinct text once; the second tells which could not be."""
    values: dict[str, Any] = {}
    bad = set()
    for text in texts.unique():
        try:
            values[text] = parse(text)
        except ValueError:
            values[text] = None
            bad.add(text)
    return texts.map(values), texts.isin(bad)


_UNREADABLE = {
    "number": "not_a_number",
    "money": "not_a_number",
    "share": "not_a_number",
    "degrees": "not_a_number",
    "date": "not_a_date",
    "flag": "not_a_flag",
}
_CODES = {"accounts": ("postal_code", "tax_id"), "areas": ("area_id",)}


def repair_codes(
    ledger: Ledger, table: str, rows: pd.DataFrame, areas: pd.Series | None = None
) -> pd.DataFrame:
    """Give codes their lost zeros back, and say so; with the ids of `areas`, those of areas only."""
    for column in _CODES.get(table, ()) if areas is None else ("area_id",):
        if column in rows:
            known = None if areas is None else set(areas)
            codes, better = repaired(rows[column], column, known)
            ledger.find(table, "code_repaired", rows[better], column, column=column)
            rows = rows.assign(**{column: codes})
    return rows


def match_ids(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: str, known: Collection[str]
) -> pd.DataFrame:
    """Give ids that match none of another table the zeros that table has, and say so.

    Parameters
    ----------
    ledger
        Where findings go.
    table, rows, column
        A typed table and its column of ids.
    known
        The ids of the other table; an id is taken for the only one it equals but for leading
        zeros, and stays as it is where there are several.

    Examples
    --------
    >>> ledger, rows = Ledger(), pd.DataFrame({"account_id": ["1", "007", "9", "2"]})
    >>> match_ids(ledger, "sales", rows, "account_id", ["001", "7", "2", "02"])
    ... # doctest: +NORMALIZE_WHITESPACE
      account_id
    0        001
    1          7
    2          9
    3          2
    >>> ledger.table()["value"].tolist()
    ['1', '007']
    """
    ids = rows[column]
    strange = ~ids.isin(known) & ids.str.fullmatch(_DIGITS)
    if not strange.any():
        return rows
    theirs = pd.Series(sorted(known), dtype=str)
    bare = theirs.str.replace(_DIGITS, r"\1", regex=True)
    meant = theirs.set_axis(bare)[~bare.duplicated(keep=False).to_numpy()]
    found = ids[strange].str.replace(_DIGITS, r"\1", regex=True).map(meant).dropna()
    ledger.find(table, "code_repaired", rows.loc[found.index], column, column=column)
    return rows.assign(**{column: ids.mask(ids.index.isin(found.index), found)})


_DIGITS = r"^0*([0-9]+?)(?:\.0+)?$"  # without the zeros before it and the .0 of a spreadsheet


# Columns whose texts are kinds: one kind written in two ways would be two.
CATEGORIES = {
    "accounts": ("industry", "region"),
    "sales": ("product_line",),
    "opportunities": ("stage", "type", "lead_source", "lost_reason"),
    "market_structure": ("industry",),
}


def merge_spellings(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Write kinds that differ in capitals or blanks only as most rows do, and say so.

    Of spellings equally common the first by the alphabet is kept, small letters last.

    Examples
    --------
    >>> rows = pd.DataFrame({"product_line": ["papier", "Papier", "papier ", "mydło", "papier"]})
    >>> merge_spellings(Ledger(), "sales", rows)["product_line"].tolist()
    ['papier', 'papier', 'papier', 'mydło', 'papier']
    """
    for column in CATEGORIES.get(table, ()):
        counts = (
            rows[column].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        )
        common: dict[str, str] = {}
        of = {
            text: common.setdefault(" ".join(text.split()).casefold(), text)
            for text in counts.index
        }
        merged = rows[column].map(of)
        other = merged != rows[column]
        ledger.find(table, "spelling_merged", rows[other], column, column=column)
        rows = rows.assign(**{column: merged})
    return rows


def written_currency(table: str, rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Fill the column `currency` from the signs and words beside amounts, where it says nothing.

    Examples
    --------
    >>> rows = pd.DataFrame({"account_id": ["1", "2"], "amount": ["5 €", "5"]})
    >>> written_currency("sales", rows, "PLN")["currency"].tolist()
    ['EUR', '']
    """
    if "currency" not in COLUMNS[table]:
        return rows
    given = rows["currency"] if "currency" in rows else pd.Series("", index=rows.index)
    seen = pd.Series("", index=rows.index)
    for column in [c.name for c in COLUMNS[table].values() if c.kind == "money" and c.name in rows]:
        sign = currency_sign(rows[column], currency)
        seen = seen.where(sign == "", sign)
    seen = seen.where(given == "", given)
    return rows.assign(currency=seen) if (seen != "").any() else rows


def currency_sign(texts: pd.Series, currency: str) -> pd.Series:
    """Tell the currency that a sign or word beside each amount names; "" where there is none."""
    seen = pd.Series("", index=texts.index)
    for code, sign in SYMBOLS.items():
        own = currency if code == "USD" and currency in {"AUD", "CAD", "NZD"} else code
        seen = seen.where(~texts.str.contains(sign, case=False, regex=True), own)
    return seen


def in_currency(ledger: Ledger, table: str, rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Turn money of other currencies into the run's by the given rates, else set its rows aside.

    Parameters
    ----------
    ledger
        Its settings hold the rates: currency a unit of the other is worth.
    table, rows
        A typed table.
    currency
        The run's.
    """
    if "currency" not in rows or not len(rows):
        return rows
    code = rows["currency"].map(currency_code)
    code = code.where(code != "", currency)
    foreign = code != currency
    rate = code.map(ledger.asked.rates)
    rows = rows.assign(currency=code)
    unknown = foreign & rate.isna()
    if unknown.all():
        ledger.stop(table, "no_rows", all_foreign(sorted(code.unique()), currency))
        return rows
    known = foreign & rate.notna()
    for column in [c.name for c in COLUMNS[table].values() if c.kind == "money"]:
        money = (rows[column] * rate).round(2)
        rows = rows.assign(**{column: rows[column].where(~known, money)})
    ledger.find(table, "converted", rows[known], "currency", currency=currency)
    example = "{rates: {EUR: 4.3}}"
    return ledger.set_aside(
        table, "foreign_currency", rows, unknown, "currency", currency=currency, example=example
    )


@cache
def currency_code(text: str) -> str:
    """Return the three letters of a currency by its code, sign or name."""
    bare = text.strip().upper()
    signs = [code for code, sign in SYMBOLS.items() if re.fullmatch(sign, text.strip(), re.I)]
    return signs[0] if signs else CURRENCY_OF.get(fold(text), bare)


def is_test(name: str) -> bool:
    """Tell whether a name is that of a test account.

    Examples
    --------
    >>> is_test("Firma testowa 2"), is_test("Testarossa sp. z o.o.")
    (True, False)
    """
    return TESTS.fullmatch(fold(name)) is not None


def is_total(text: str) -> bool:
    """Tell whether an id or a name is the word for a sum.

    Examples
    --------
    >>> is_total("RAZEM"), is_total("Suma Rzeczy sp. z o.o.")
    (True, False)
    """
    return fold(text) in TOTALS


def in_country(ledger: Ledger, rows: pd.DataFrame, country: str) -> pd.DataFrame:
    """Set aside accounts of other countries, by the column `country`, and test accounts."""
    internal = rows["internal"].map(lambda v: v is True) | rows["name"].map(is_test)
    rows = ledger.set_aside("accounts", "internal_account", rows, internal, "name")
    code = rows["country"].map(country_code)
    odd = (rows["country"] != "") & (code == "")
    rows = ledger.set_aside("accounts", "unknown_country", rows, odd, "country", country=country)
    code = code.loc[rows.index]
    foreign = (code != "") & (code != country)
    if len(rows) and foreign.all() and ledger.severity["foreign_country"] == ASIDE:
        found = ", ".join(code.value_counts().index[:3])
        where = {"found": found, "country": country, "most": code.mode()[0]}
        ledger.stop("accounts", "no_rows", Told("refusal.all_abroad", **where))
        return rows
    return ledger.set_aside(
        "accounts", "foreign_country", rows, foreign, "country", country=country
    )


def all_foreign(codes: list[str], currency: str) -> Told:
    """Say that a table holds no money of the run's currency."""
    return Told("refusal.all_foreign", found=", ".join(codes), currency=currency)


@cache
def _countries() -> dict[str, str]:
    named = {}
    for language in ("en", "pl", "de"):
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():  # noqa: PLR2004
                named[fold(name)] = code
    return named | {"usa": "US", "uk": "GB", "czech republic": "CZ", "rp": "PL", "pol": "PL"}


@cache
def country_code(text: str) -> str:
    """Two letters of a country by its code or its English, Polish or German name; "" if unknown.

    Examples
    --------
    >>> country_code("Niemcy"), country_code("pl"), country_code("Mordor")
    ('DE', 'PL', '')
    """
    bare = text.strip().upper()
    codes = _countries()
    return bare if bare in codes.values() else codes.get(fold(text), "")


def settle_status(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """Read status words of CRMs, Polish and English; derive the status from revenue where unknown."""
    said = rows["status"].map(fold)
    status = said.where(said.isin(STATUSES), said.map(STATUS_OF))
    for word, group in rows[~said.isin(STATUSES) & status.notna()].groupby("status", sort=True):
        to = STATUS_OF[fold(str(word))]
        first = group.head(1).assign(revenue=group["revenue"].sum())
        said = {"n": len(group), "word": str(word), "status": to}
        ledger.find("accounts", "status_mapped", first, "status", **said)
    rows = ledger.set_aside(
        "accounts",
        "unknown_status",
        rows,
        (rows["status"] != "") & status.isna(),
        "status",
        statuses=", ".join(STATUSES),
    )
    earned = np.where(rows["revenue"].fillna(0) > 0, "customer", "prospect")
    rows = rows.assign(status=status.loc[rows.index].fillna(pd.Series(earned, index=rows.index)))
    aside = ledger.severity["inactive"] == ASIDE
    return ledger.set_aside(
        "accounts",
        "inactive",
        rows,
        rows["status"] == "inactive",
        "status",
        "inactive" if aside else "inactive_kept",
    )


def note_accounts(
    ledger: Ledger, rows: pd.DataFrame, country: str, pairs: pd.DataFrame
) -> pd.DataFrame:
    """Note what is odd about accounts that are used all the same, and settle their status.

    Parameters
    ----------
    ledger
        Where findings go.
    rows
        Located accounts.
    country
        Whose tax numbers are checked.
    pairs
        As `duplicates.propose` returned it.
    """
    rows = settle_status(ledger, rows)
    blank = rows["revenue"].isna()
    if not (rows["revenue"] > 0).any():
        ledger.find("accounts", "no_revenue", rows.head(1), "revenue", n=len(rows))
    elif blank.any():
        rows = ledger.set_aside("accounts", "blank_money", rows, blank, "revenue")
    rows = ledger.set_aside("accounts", "negative_account", rows, rows["revenue"] < 0, "revenue")
    if country == "PL":
        bad = (rows["tax_id"] != "") & ~rows["tax_id"].map(nip.is_valid)
        rows = ledger.set_aside("accounts", "bad_tax_number", rows, bad, "tax_id")
    for kind, rule, field in _ALIKE:
        named = rows["account_id"].isin(pairs.loc[pairs["kind"] == kind, "account_id"])
        rows = ledger.set_aside("accounts", rule, rows, named, field)
    return rows


_ALIKE = (
    ("certain", "same_tax_number", "tax_id"),
    ("likely", "same_name_and_place", "name"),
    ("firm", "one_firm_many_sites", "tax_id"),
    ("site", "one_site_many_firms", "name"),
)


def once(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Set aside rows of a list that say what an earlier row says."""
    again = rows.duplicated()
    return ledger.set_aside(table, "repeated_row", rows, again, next(iter(COLUMNS[table])))


def credit_notes(ledger: Ledger, sales: pd.DataFrame) -> pd.DataFrame:
    """Note negative sales, or set them aside where the settings ask for that."""
    aside = ledger.severity["negative_amount"] == ASIDE
    return ledger.set_aside(
        "sales",
        "negative_amount",
        sales,
        sales["amount"] < 0,
        "amount",
        "negative_amount" if aside else "negative_amount_kept",
    )


def drop_orphans(
    ledger: Ledger, table: str, rows: pd.DataFrame, known: set[str], listed: set[str]
) -> pd.DataFrame:
    """Set aside rows whose account is not used; too much money of accounts not listed is a stop.

    Parameters
    ----------
    ledger
        Where findings go.
    table, rows
        A typed table with account_id.
    known
        Accounts that are used.
    listed
        Accounts of the file, used or set aside: the money of those set aside is stated there.
    """
    strange = ~rows["account_id"].isin(listed - {""})
    money, limit = (
        rows["amount"].abs() if "amount" in rows else None,
        ledger.asked.max_orphan_revenue,
    )
    share = float(money[strange].sum() / money.sum()) if money is not None and money.sum() else 0.0
    if table == "sales" and share > limit:
        ids = sorted(rows.loc[strange, "account_id"].unique())
        ledger.stop(
            table,
            "too_many_orphans",
            many_orphans(share, limit, len(ids), ids[:SHOWN]),
            money=float(money[strange].sum()),  # type: ignore[index]
        )
    rows = ledger.set_aside(
        table,
        "orphan",
        rows,
        strange,
        "account_id",
        "orphan_share" if share else "orphan",
        **({"share": share} if share else {}),
    )
    gone = ~rows["account_id"].isin(known)
    return ledger.set_aside(table, "account_set_aside", rows, gone, "account_id")


def many_orphans(share: float, limit: float, n: int, first: list[str]) -> Told:
    """Say that too much of the sales belongs to accounts that are not listed."""
    return Told("refusal.too_many_orphans", share=share, n=n, examples=first, limit=limit)


def usual_end(days: pd.Series) -> pd.Timestamp | None:
    """Day by which 99.9% of all dates are over; a date more than a year later is a typing error.

    Parameters
    ----------
    days
        Day -> how many dates fall on it, sorted.

    Returns
    -------
    Timestamp
        Never a single date far from all others; None of too few dates to tell.

    Examples
    --------
    >>> days = pd.Series({pd.Timestamp("2026-01-02"): 11, pd.Timestamp("2062-01-02"): 1})
    >>> usual_end(days)
    Timestamp('2026-01-02 00:00:00')
    """
    total = int(days.sum())
    if total < FEW_DATES:
        return None
    return days.index[days.cumsum() > 0.999 * (total - 1)][0]


def in_reach(ledger: Ledger, table: str, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Set aside days more than a year after `usual_end`: a typing error moves no year."""
    usual = usual_end(rows[column].value_counts().sort_index())
    if usual is None:
        return rows
    far = rows[column] > usual + FAR
    return ledger.set_aside(table, "far_future", rows, far, column, day=usual)


def in_time(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: str, as_of: pd.Timestamp | None
) -> pd.DataFrame:
    """Set aside rows without a day, or after the last day that counts."""
    undated = rows[column].isna()
    rows = ledger.set_aside(table, "not_a_date", rows, undated, column, "no_date", column=column)
    if as_of is None:
        return rows
    return ledger.set_aside(
        table,
        "after_as_of",
        rows,
        rows[column] > as_of,
        column,
        day=as_of,
    )
