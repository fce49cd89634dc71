"""The data gate: every fault counted with its money, rows set aside with the reason, nothing lost."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pandera.errors
from babel import Locale
from stdnum.pl import nip

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.read import repeated_headers
from terrlib.inputs.settings import Quality
from terrlib.inputs.tables import COLUMNS, KEYS, Column, schema
from terrlib.inputs.values import Reading, days, degrees, flag, fold, numbers, repaired, short_years

STOP, ASIDE, NOTE = "stop", "set_aside", "note"
RULES = {
    "missing_column": STOP,
    "duplicate_id": STOP,
    "no_rows": STOP,
    "not_usable": STOP,
    "ambiguous_number": STOP,
    "ambiguous_date": STOP,
    "repeated_header": ASIDE,
    "report_footer": ASIDE,
    "too_many_orphans": STOP,
    "no_id": ASIDE,
    "not_a_number": ASIDE,
    "not_a_date": ASIDE,
    "not_a_flag": NOTE,
    "blank_word": NOTE,
    "formula_without_value": NOTE,
    "won_by_stage": NOTE,
    "code_repaired": NOTE,
    "out_of_range": ASIDE,
    "total_row": ASIDE,
    "no_coordinates": ASIDE,
    "swapped_coordinates": ASIDE,
    "far_away": ASIDE,
    "outside_areas": ASIDE,
    "orphan": ASIDE,
    "closed_before_created": ASIDE,
    "after_as_of": ASIDE,
    "date_far_ahead": ASIDE,
    "foreign_country": ASIDE,
    "foreign_currency": ASIDE,
    "internal_account": ASIDE,
    "id_made": NOTE,
    "unknown_country": NOTE,
    "converted": NOTE,
    "status_mapped": NOTE,
    "unknown_status": NOTE,
    "inactive": NOTE,
    "blank_money": NOTE,
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
    "area_in_parts": NOTE,
    "area_overlap": NOTE,
    "area_gap": NOTE,
    "grid_made": NOTE,
}
# What a rule may not be: no plan can be made with such rows, or there is nothing to put aside.
FIXED = {"no_rows", "not_usable", "too_many_orphans", "ambiguous_number", "ambiguous_date"}
NO_NOTE = {
    "missing_column",
    "duplicate_id",
    "no_id",
    "not_a_number",
    "not_a_date",
    "out_of_range",
    "total_row",
    "no_coordinates",
    "outside_areas",
    "orphan",
    "closed_before_created",
    "after_as_of",
    "foreign_currency",
    "repeated_header",
    "report_footer",
    "projected_coordinates",
    "which_town",
}
MAY_GO_ASIDE = {
    "unknown_country",
    "unknown_status",
    "inactive",
    "blank_money",
    "negative_amount",
    "negative_account",
    "bad_tax_number",
    "same_tax_number",
    "same_name_and_place",
    "many_on_one_point",
} | {rule for rule, severity in RULES.items() if severity == ASIDE or rule in NO_NOTE}
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
    r"( konto| firma| klient| account| company| customer| test| \d+)*"
)
TOTALS = {
    *(
        "total",
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
MONEY = {"accounts": "revenue", "sales": "amount", "opportunities": "amount", "targets": "amount"}
LATE_SHARE, LATE_D = 0.01, 366
T = TypeVar("T")
# Stages that end a deal in Salesforce, HubSpot and Polish CRMs, folded and without blanks.
WON = {"closedwon", "won", "wygrana", "wygrane", "wygrany", "zamknietawygrana"}
LOST = {"closedlost", "lost", "przegrana", "przegrane", "przegrany", "zamknietaprzegrana"}
FINDINGS = ["table", "key", "rule", "severity", "field", "value", "message", "money"]


class Ledger:
    """Findings and rows set aside, gathered while the tables pass the gate."""

    def __init__(self, asked: Quality | None = None) -> None:
        self.asked = asked or Quality()
        self.severity = severities(self.asked)
        self.findings: list[tuple[Any, ...]] = []
        self.aside: dict[str, list[pd.DataFrame]] = {}
        self.measure: dict[str, str] = {}  # table -> the one column that holds its rows' money

    def find(self, table: str, rule: str, rows: pd.DataFrame, field: str, message: str) -> None:
        """Note one finding for each row, with the row's money."""
        key = KEYS.get(table)
        keys = rows[key].astype(str) if key in rows else [f"row {i + 2}" for i in rows.index]
        values = rows[field].astype(str) if field in rows else [""] * len(rows)
        # A total is the sum of other rows: its money is counted there.
        held = money_of(rows, self.money_column(table))
        amounts = [0.0] * len(rows) if rule == "total_row" else held
        severity = self.severity[rule]
        for name, value, money in zip(keys, values, amounts, strict=True):
            row = (table, name, rule, severity, field, str(value)[:80], message, money)
            self.findings.append(row)

    def money_column(self, table: str) -> str:
        """Column that holds the money of a table's rows, of those used and of those set aside."""
        return self.measure.get(table, MONEY.get(table, ""))

    def measured_by(self, table: str, columns: Collection[str]) -> None:
        """Settle the column of a table's money, once: potential where it has no revenue at all."""
        bare = table == "accounts" and "revenue" not in columns and "potential" in columns
        self.measure.setdefault(table, "potential" if bare else MONEY.get(table, ""))

    def set_aside(
        self, table: str, rule: str, rows: pd.DataFrame, bad: pd.Series, field: str, message: str
    ) -> pd.DataFrame:
        """Take the bad rows out of a table, with the reason; all stay where the rule only notes."""
        bad = bad.fillna(value=False).astype(bool)
        if bad.any():
            self.find(table, rule, rows[bad], field, message)
            if self.severity[rule] == NOTE:
                return rows
            out = rows[bad].drop(columns=[c for c in rows if c.startswith("_")])
            self.aside.setdefault(table, []).append(out.assign(reason=rule))
        return rows[~bad]

    def stop(self, table: str, rule: str, message: str, key: str = "", money: float = 0.0) -> None:
        """Note a fault that no run can go past."""
        self.findings.append((table, key, rule, STOP, "", "", message, money))

    def tried(self, table: str, do: Callable[[], T], otherwise: T) -> T:
        """Do what may refuse; a refusal becomes a stop of the table, told with all the others."""
        try:
            return do()
        except DataError as fault:
            self.stop(table, "not_usable", str(fault).removeprefix(f"{table}: "))
            return otherwise

    def stopped(self, table: str) -> bool:
        """Tell whether a table has a stop."""
        return any(row[0] == table and row[3] == STOP for row in self.findings)

    def refuse(self) -> None:
        """Refuse if there is a stop, listing all of them at once."""
        stops: dict[tuple[str, str], list[str]] = {}
        for row in self.findings:
            if row[3] == STOP:
                stops.setdefault((row[0], row[6]), []).append(row[1])
        said = []
        for (table, message), keys in stops.items():
            named = [key for key in keys if key]
            such = f" ({len(named)} rows, such as {', '.join(named[:3])})" if named else ""
            said.append(f"{table}: {message}{such}")
        if said:
            refusal = DataError("; ".join(said))
            refusal.findings = self.table()
            raise refusal

    def table(self) -> pd.DataFrame:
        """Every finding, sorted."""
        found = pd.DataFrame(self.findings, columns=FINDINGS)
        found["money"] = found["money"].astype(float)
        return found.sort_values(["table", "rule", "key"], kind="stable").reset_index(drop=True)


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
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(RULES)}"
            raise SettingsError(f"quality.rules: unknown rule '{rule}': {hint}")
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
            raise SettingsError(
                f"quality.rules: {rule} cannot be {severity}, only {' or '.join(allowed)}: "
                + (
                    "no plan can be made with such rows"
                    if severity == NOTE or rule in FIXED
                    else "it is about the table, and there is no row to set aside"
                )
            )
        chosen[rule] = severity
    return chosen


def money_of(rows: pd.DataFrame, column: str) -> list[float]:
    """Money of each row: what stands in the column of its table's money, else 0."""
    if "_money" in rows:
        return [float(money) for money in rows["_money"]]
    value = amounts(rows[column]) if column in rows else np.zeros(len(rows))
    return [round(float(v), 2) for v in value]


def amounts(column: pd.Series) -> np.ndarray:
    """Money of a column as numbers, read or still as written; 0 where there is none.

    Examples
    --------
    >>> amounts(pd.Series(["1 234,50 zł", "lots", ""])).tolist()
    [1234.5, 0.0, 0.0]
    """
    if not pd.api.types.is_numeric_dtype(column):
        column = numbers(column.map(lambda v: "" if pd.isna(v) else str(v))).found
    return pd.to_numeric(column, errors="coerce").fillna(0.0).to_numpy(float)


def from_stage(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Tell what is closed and won by the stage, where no column says so and stages do.

    Examples
    --------
    >>> rows = pd.DataFrame({"opp_id": list("abc"), "stage": ["Closed Won", "przegrana", "Oferta"]})
    >>> from_stage(Ledger(), "opportunities", rows)[["is_closed", "is_won"]].to_numpy().tolist()
    [['yes', 'yes'], ['yes', 'no'], ['no', 'no']]
    """
    if table != "opportunities" or "stage" not in rows or {"is_closed", "is_won"} <= set(rows):
        return rows
    stage = rows["stage"].map(fold).str.replace(" ", "")
    won, lost = stage.isin(WON), stage.isin(LOST)
    if not (won | lost).any():
        return rows
    told = {"is_closed": won | lost, "is_won": won}
    absent = {name: which for name, which in told.items() if name not in rows}
    message = (
        f"no column {', '.join(absent)}: told by the stage, {won.sum()} won and {lost.sum()} lost"
    )
    ledger.find(table, "won_by_stage", rows[won | lost], "stage", message)
    return rows.assign(
        **{name: which.map({True: "yes", False: "no"}) for name, which in absent.items()}
    )


def require_columns(ledger: Ledger, table: str, rows: pd.DataFrame) -> bool:
    """Note the required columns that a table lacks; tell whether it has them all."""
    needed = [c.name for c in COLUMNS[table].values() if c.required]
    missing = [name for name in needed if name not in rows]
    if table == "accounts" and not ({"lat", "lon"} <= set(rows) or "area_id" in rows):
        missing += [name for name in ("lat", "lon") if name not in rows]
    if missing:
        message = (
            f"no column {', '.join(missing)}; its columns are {', '.join(map(str, rows.columns[:12]))}; "
            f"if one of these is meant, map it in the settings under tables.{table}.columns"
        )
        if table != "accounts" and ledger.severity["missing_column"] == ASIDE:
            every = pd.Series(True, index=rows.index)  # noqa: FBT003
            ledger.set_aside(table, "missing_column", rows, every, missing[0], message)
        else:
            ledger.stop(table, "missing_column", message)
    return not missing


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
    rows = repair_codes(ledger, table, _tidied(ledger, table, rows, file))
    key = KEYS.get(table)
    if key and key not in rows:
        rows = rows.assign(**{key: [f"{i + 2:06d}" for i in range(len(rows))]})
        ledger.find(
            table,
            "id_made",
            rows.head(1),
            key,
            f"no column {key}: {len(rows)} ids were made from the row numbers",
        )
    name = key if key in rows else None
    rows = _without_totals(ledger, table, rows)
    if name:
        rows = ledger.set_aside(table, "no_id", rows, rows[name] == "", name, f"no {name}")
        twice = rows[name].duplicated(keep=False)
        if twice.any():
            ids = rows.loc[twice, name].unique()
            message = (
                f"{len(ids)} values of {name} stand on {int(twice.sum())} rows, such as "
                f"{', '.join(sorted(ids)[:3])}: each may stand on one row only"
            )
            if ledger.severity["duplicate_id"] == STOP:
                ledger.stop(table, "duplicate_id", message)
                rows = rows[~rows[name].duplicated()]
            again = rows[name].duplicated()
            message = f"its {name} stands on an earlier row, which is used"
            rows = ledger.set_aside(table, "duplicate_id", rows, again, name, message)
    out = rows.copy()
    for column in COLUMNS[table].values():
        if column.name not in out:
            continue
        rule = _UNREADABLE.get(column.kind)
        if rule is None:
            continue
        read = _read(rows[column.name], column, file)
        # A frame that has lost all its rows would take those of a longer column.
        values, bad = read.found.loc[out.index], read.bad
        _note_reading(ledger, table, rows.loc[out.index], column, read)
        if rule == "not_a_flag":
            ledger.find(
                table,
                rule,
                rows[bad],
                column.name,
                f"{column.name} is neither yes nor no: counted as blank",
            )
            out[column.name] = values
        elif table == "accounts" and column.kind == "degrees":
            out[column.name] = values.where(~bad)
        else:
            out[column.name] = values
            keep = rows.loc[out.index]
            message = _unreadable(column, rows.loc[bad, column.name])
            left = ledger.set_aside(table, rule, keep, bad.loc[out.index], column.name, message)
            out = out.loc[left.index]
    return _in_range(ledger, table, _complete(table, out))


def _without_totals(ledger: Ledger, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Set aside totals: by name, or without a code and as large as the rows that have one."""
    key = KEYS.get(table, "account_id")
    if key not in rows:
        return rows
    code = rows[key].str.strip()
    titled = rows["name"].map(_title).isin(TOTALS) if "name" in rows else code.isna()
    total = code.map(_title).isin(TOTALS) | (titled & (code == ""))
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
    message = "a total among the rows: counted as 0, since its rows are there"
    return ledger.set_aside(table, "total_row", rows, total, field, message)


def _title(text: str) -> str:
    """Fold a title; a report writes how many rows it sums beside it."""
    return re.sub(r" \d+ records?$", "", fold(text))


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
            limits = (
                f"{'' if rule.low is None else rule.low:g} to {'any' if rule.high is None else rule.high}"
                if rule.low is not None
                else f"at most {rule.high}"
            )
            rows = ledger.set_aside(
                table, "out_of_range", rows, bad, str(column), f"{column} should be {limits}"
            )
    return rows


def _tidied(ledger: Ledger, table: str, rows: pd.DataFrame, file: dict[str, Any]) -> pd.DataFrame:
    """Take repeated headers out; note what money each row holds, however it is written."""
    again = repeated_headers(rows)
    foot = rows.index[len(rows) - file.get("footer", 0) :]
    rows = rows.copy()
    rows.attrs = {}  # what the file says of itself is not to follow its rows around
    _note_unsaved(ledger, table, rows, file)
    ledger.measured_by(table, rows.columns)
    column = ledger.money_column(table)
    if column in rows:
        read = numbers(rows[column], file.get("decimal", "")).found
        rows["_money"] = money_of(pd.DataFrame({column: read}), column)
    first = str(rows.columns[0])
    message = "the header once more: were files joined?"
    rows = ledger.set_aside(table, "repeated_header", rows, again, first, message)
    below = pd.Series(rows.index.isin(foot), index=rows.index)
    message = "no row but the foot of a report: who made it, and when"
    return ledger.set_aside(table, "report_footer", rows, below, first, message)


def _note_unsaved(ledger: Ledger, table: str, rows: pd.DataFrame, file: dict[str, Any]) -> None:
    """Note formulas whose value was never stored: a program wrote them, and no spreadsheet opened them."""
    names = dict(zip(file.get("header", []), rows.columns, strict=False))
    for theirs, at in file.get("unsaved", {}).items():
        message = (
            f"the column {theirs} holds {len(at)} formulas without a stored value, which came as "
            "blank: open the file in a spreadsheet and save it"
        )
        ledger.find(
            table, "formula_without_value", rows.iloc[at], str(names.get(theirs, "")), message
        )


def _note_reading(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: Column, read: Reading
) -> None:
    if read.question:
        rule = "ambiguous_date" if column.kind == "date" else "ambiguous_number"
        where = f" under tables.{table}" if ": say " in read.question else ""
        ledger.stop(table, rule, f"{column.name}: {read.question}{where}")
    blank = rows[read.blank.loc[rows.index]]
    ledger.find(table, "blank_word", blank, column.name, "no value: counted as blank")


def _unreadable(column: Column, texts: pd.Series) -> str:
    two_digits = column.kind == "date" and short_years(texts)
    why = ": a year of two digits is not guessed" if two_digits else ""
    return f"{column.name} cannot be read as a {column.kind}{why}"


def _read(texts: pd.Series, column: Column, file: dict[str, str]) -> Reading:
    if column.kind == "date":
        return days(texts, file.get("dates", ""), file.get("epoch", ""))
    if column.kind == "degrees":
        marked = texts.str.contains("[NSEW°º]", case=False)
        plain = numbers(texts.where(~marked, ""), file.get("decimal", ""), column.high)
        found, bad = _one_by_one(texts[marked], degrees)
        return Reading(
            plain.found.where(~marked, found.reindex(texts.index).astype(float)),
            plain.bad | bad.reindex(texts.index, fill_value=False),
            plain.blank & ~marked,
            plain.question,
        )
    if column.kind != "flag":
        return numbers(texts, file.get("decimal", ""), column.high)
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
            message = f"a spreadsheet had taken zeros from {column}, or added .0: given back"
            ledger.find(table, "code_repaired", rows[better], column, message)
            rows = rows.assign(**{column: codes})
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
        for code, sign in SYMBOLS.items():
            own = currency if code == "USD" and currency in {"AUD", "CAD", "NZD"} else code
            with_sign = rows[column].str.contains(sign, case=False, regex=True)
            seen = seen.where(~with_sign, own)
    seen = seen.where(given == "", given)
    return rows.assign(currency=seen) if (seen != "").any() else rows


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
    code = rows["currency"].map(_currency_code)
    code = code.where(code != "", currency)
    foreign = code != currency
    rate = code.map(ledger.asked.rates)
    rows = rows.assign(currency=code)
    unknown = foreign & rate.isna()
    if unknown.all():
        found = ", ".join(sorted(code.unique()))
        ledger.stop(
            table,
            "no_rows",
            f"all its money is in {found}, none in {currency}: say currency: {found}",
        )
        return rows
    known = foreign & rate.notna()
    for column in [c.name for c in COLUMNS[table].values() if c.kind == "money"]:
        money = (rows[column] * rate).round(2)
        rows = rows.assign(**{column: rows[column].where(~known, money)})
    ledger.find(
        table,
        "converted",
        rows[known],
        "currency",
        f"turned into {currency} by the rates of the settings (quality.rates)",
    )
    return ledger.set_aside(
        table,
        "foreign_currency",
        rows,
        unknown,
        "currency",
        f"not in {currency}, its money as written: give quality: {{rates: {{EUR: 4.3}}}} to use it",
    )


def _currency_code(text: str) -> str:
    bare = text.strip().upper()
    signs = [code for code, sign in SYMBOLS.items() if re.fullmatch(sign, text.strip(), re.I)]
    return signs[0] if signs else CURRENCY_OF.get(fold(text), bare)


def in_country(ledger: Ledger, rows: pd.DataFrame, country: str) -> pd.DataFrame:
    """Set aside accounts of other countries, by the column `country`, and test accounts."""
    internal = rows["internal"].map(lambda v: v is True) | rows["name"].map(
        lambda name: bool(TESTS.fullmatch(fold(name)))
    )
    rows = ledger.set_aside(
        "accounts", "internal_account", rows, internal, "name", "a test or internal account"
    )
    code = rows["country"].map(_country_code)
    odd = (rows["country"] != "") & (code == "")
    message = f"no country of this name is known: taken for {country}"
    rows = ledger.set_aside("accounts", "unknown_country", rows, odd, "country", message)
    code = code.loc[rows.index]
    foreign = (code != "") & (code != country)
    if len(rows) and foreign.all() and ledger.severity["foreign_country"] == ASIDE:
        found = ", ".join(code.value_counts().index[:3])
        message = f"every account is in {found}, none in {country}: say country: {code.mode()[0]}"
        ledger.stop("accounts", "no_rows", message)
        return rows
    return ledger.set_aside(
        "accounts",
        "foreign_country",
        rows,
        foreign,
        "country",
        f"not in {country}, the country of the plan; quality: {{countries: keep}} plans with it",
    )


@cache
def _countries() -> dict[str, str]:
    named = {}
    for language in ("en", "pl", "de"):
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():  # noqa: PLR2004
                named[fold(name)] = code
    return named | {"usa": "US", "uk": "GB", "czech republic": "CZ", "rp": "PL", "pol": "PL"}


@cache
def _country_code(text: str) -> str:
    """Two letters of a country by its code or its English, Polish or German name; "" if unknown."""
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
        message = f"{len(group)} accounts say {word}: read as {to}"
        ledger.find("accounts", "status_mapped", first, "status", message)
    rows = ledger.set_aside(
        "accounts",
        "unknown_status",
        rows,
        (rows["status"] != "") & status.isna(),
        "status",
        f"status should be one of {', '.join(STATUSES)}: taken from the revenue instead; map it in "
        "the settings under tables.accounts.values",
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
        "inactive, and left out: quality: {inactive: keep} plans with it"
        if aside
        else "inactive, and used all the same: quality: {inactive: aside} plans without it",
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
    if not blank.all():
        rows = ledger.set_aside(
            "accounts", "blank_money", rows, blank, "revenue", "no revenue: counted as 0"
        )
    rows = ledger.set_aside(
        "accounts",
        "negative_account",
        rows,
        rows["revenue"] < 0,
        "revenue",
        "more was credited than sold: its revenue weighs 0",
    )
    if country == "PL":
        bad = (rows["tax_id"] != "") & ~rows["tax_id"].map(nip.is_valid)
        rows = ledger.set_aside(
            "accounts", "bad_tax_number", rows, bad, "tax_id", "not a valid tax number"
        )
    for kind, rule, field, message in _ALIKE:
        named = rows["account_id"].isin(pairs.loc[pairs["kind"] == kind, "account_id"])
        rows = ledger.set_aside("accounts", rule, rows, named, field, message)
    return rows


_ALIKE = (
    ("certain", "same_tax_number", "tax_id", "one firm twice, by its tax number; not merged"),
    ("likely", "same_name_and_place", "name", "one firm twice, by its name and place; not merged"),
    ("firm", "one_firm_many_sites", "tax_id", "one firm with several sites: not a duplicate"),
    ("site", "one_site_many_firms", "name", "several firms at one address: one stop"),
)


def credit_notes(ledger: Ledger, sales: pd.DataFrame) -> pd.DataFrame:
    """Note negative sales, or set them aside where the settings ask for that."""
    aside = ledger.severity["negative_amount"] == ASIDE
    return ledger.set_aside(
        "sales",
        "negative_amount",
        sales,
        sales["amount"] < 0,
        "amount",
        "a credit note, left out: quality: {negative: keep} counts it"
        if aside
        else "a credit note: kept; quality: {negative: aside} leaves it out",
    )


def require_accounts(ledger: Ledger, sales: pd.DataFrame, listed: set[str]) -> None:
    """Stop where too much of the sales belongs to accounts that are not in the file."""
    limit, share = ledger.asked.max_orphan_revenue, _orphan_share(sales, listed)
    if share > limit:
        strange = sales[~sales["account_id"].isin(listed)]
        ids = sorted(strange["account_id"].unique())
        ledger.stop(
            "sales",
            "too_many_orphans",
            f"{share:.1%} of the sales belong to {len(ids)} accounts that the accounts do not list, "
            f"such as {', '.join(ids[:3])}; at most {limit:.0%} may: are leading zeros lost? "
            "quality: {max_orphan_revenue: 1} goes on without them",
            money=float(strange["amount"].abs().sum()),
        )


def _orphan_share(rows: pd.DataFrame, listed: set[str]) -> float:
    """Share of the money of rows whose account is not in the file."""
    money = rows["amount"].abs() if "amount" in rows else pd.Series(0.0, index=rows.index)
    strange = ~rows["account_id"].isin(listed)
    return float(money[strange].sum() / money.sum()) if money.sum() else 0.0


def drop_orphans(
    ledger: Ledger, table: str, rows: pd.DataFrame, known: set[str], listed: set[str]
) -> pd.DataFrame:
    """Set aside rows whose account is not used.

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
    share = _orphan_share(rows, listed)
    gone = ~rows["account_id"].isin(known)
    return ledger.set_aside(
        table,
        "orphan",
        rows,
        gone,
        "account_id",
        "its account is not in the accounts, or was set aside there"
        + (f"; {share:.1%} of the money has no account at all" if share else ""),
    )


def within_reach(ledger: Ledger, table: str, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Set aside the few days that stand more than a year after all others, as a mistyped year does.

    One such day would become the last day that counts, and the year before it would be empty. At
    most one row in a hundred (and one of a small table of ten) is few.

    Examples
    --------
    >>> months = pd.date_range("2025-01-31", periods=12, freq="ME")
    >>> rows = pd.DataFrame({"account_id": "A", "date": [*months, pd.Timestamp("2062-12-01")]})
    >>> len(within_reach(Ledger(), "sales", rows, "date"))
    12
    """
    day = rows[column].dropna().sort_values(kind="stable")
    if len(day) < PILE:
        return rows
    few = max(int(len(day) * LATE_SHARE), 1)
    last = day.iloc[-few - 1 :]
    after = last[(last.diff() > pd.Timedelta(days=LATE_D))]
    late = rows[column] >= after.iloc[0] if len(after) else pd.Series(data=False, index=rows.index)
    return ledger.set_aside(
        table,
        "date_far_ahead",
        rows,
        late,
        column,
        "more than a year after all others, and few are so late: is the year mistyped? "
        "quality: {rules: {date_far_ahead: note}} takes it as written",
    )


def in_time(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: str, as_of: pd.Timestamp | None
) -> pd.DataFrame:
    """Set aside rows without a day, or after the last day that counts."""
    rows = ledger.set_aside(table, "not_a_date", rows, rows[column].isna(), column, f"no {column}")
    if as_of is None:
        return rows
    return ledger.set_aside(
        table,
        "after_as_of",
        rows,
        rows[column] > as_of,
        column,
        f"after {as_of.date()}, the last day before the quarter planned for",
    )
