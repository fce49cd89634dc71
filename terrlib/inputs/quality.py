"""The data gate: every fault counted with its money, rows set aside with the reason, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
from stdnum.pl import nip

from terrlib.errors import DataError
from terrlib.inputs.read import day, degrees, flag, fold, number
from terrlib.inputs.tables import COLUMNS, KEYS, schema

STOP, ASIDE, NOTE = "stop", "set_aside", "note"
RULES = {
    "missing_column": STOP,
    "duplicate_id": STOP,
    "no_rows": STOP,
    "no_id": ASIDE,
    "not_a_number": ASIDE,
    "not_a_date": ASIDE,
    "not_a_flag": NOTE,
    "out_of_range": ASIDE,
    "total_row": ASIDE,
    "no_coordinates": ASIDE,
    "swapped_coordinates": ASIDE,
    "far_away": ASIDE,
    "outside_areas": ASIDE,
    "orphan": ASIDE,
    "closed_before_created": ASIDE,
    "after_as_of": ASIDE,
    "id_made": NOTE,
    "unknown_status": NOTE,
    "inactive": NOTE,
    "blank_money": NOTE,
    "negative_amount": NOTE,
    "bad_tax_number": NOTE,
    "same_tax_number": NOTE,
    "same_name_and_place": NOTE,
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
STATUSES = ("customer", "prospect", "lost", "inactive")
TOTALS = {"total", "razem", "suma", "ogolem", "polska", "sum", "grand total", "p o l s k a"}
PILE = 10
FINDINGS = ["table", "key", "rule", "severity", "field", "value", "message", "money"]


class Ledger:
    """Findings and rows set aside, gathered while the tables pass the gate."""

    def __init__(self) -> None:
        self.findings: list[tuple[Any, ...]] = []
        self.aside: dict[str, list[pd.DataFrame]] = {}

    def find(self, table: str, rule: str, rows: pd.DataFrame, field: str, message: str) -> None:
        """Note one finding for each row; the row's money is its potential, revenue or amount."""
        key = KEYS.get(table)
        keys = rows[key].astype(str) if key in rows else [f"row {i + 2}" for i in rows.index]
        values = rows[field].astype(str) if field in rows else [""] * len(rows)
        # A total is the sum of other rows: its money is counted there.
        amounts = [0.0] * len(rows) if rule == "total_row" else money_of(rows)
        for name, value, money in zip(keys, values, amounts, strict=True):
            row = (table, name, rule, RULES[rule], field, str(value)[:80], message, money)
            self.findings.append(row)

    def set_aside(
        self, table: str, rule: str, rows: pd.DataFrame, bad: pd.Series, field: str, message: str
    ) -> pd.DataFrame:
        """Take the bad rows out of a table, with the reason; return the others."""
        bad = bad.fillna(value=False).astype(bool)
        if bad.any():
            self.find(table, rule, rows[bad], field, message)
            out = rows[bad].drop(columns=[c for c in rows if c.startswith("_")])
            self.aside.setdefault(table, []).append(out.assign(reason=rule))
        return rows[~bad]

    def stop(self, table: str, rule: str, message: str, key: str = "") -> None:
        """Note a fault that no run can go past."""
        self.findings.append((table, key, rule, STOP, "", "", message, 0.0))

    def refuse(self) -> None:
        """Refuse if there is a stop, listing all of them at once."""
        stops = [row for row in self.findings if row[3] == STOP]
        if stops:
            raise DataError("; ".join(f"{row[0]}: {row[6]}" for row in stops))

    def table(self) -> pd.DataFrame:
        """Every finding, sorted."""
        found = pd.DataFrame(self.findings, columns=FINDINGS)
        found["money"] = found["money"].astype(float)
        return found.sort_values(["table", "rule", "key"], kind="stable").reset_index(drop=True)


def money_of(rows: pd.DataFrame) -> list[float]:
    """Money a row stands for: its revenue, else its potential, else its amount, else 0."""
    found = np.zeros(len(rows))
    for column in ("amount", "potential", "revenue"):
        if column in rows:
            value = (
                pd.to_numeric(pd.Series(rows[column]), errors="coerce").fillna(0.0).to_numpy(float)
            )
            found = (
                np.where(value != 0, value, found)
                if column != "revenue"
                else np.maximum(value, found)
            )
    return [round(float(v), 2) for v in found]


def require_columns(ledger: Ledger, table: str, rows: pd.DataFrame) -> bool:
    """Note the required columns that a table lacks; tell whether it has them all."""
    needed = [c.name for c in COLUMNS[table].values() if c.required]
    missing = [name for name in needed if name not in rows]
    if table == "accounts" and not ({"lat", "lon"} <= set(rows) or "area_id" in rows):
        missing += [name for name in ("lat", "lon") if name not in rows]
    if missing:
        ledger.stop(
            table,
            "missing_column",
            f"no column {', '.join(missing)}; its columns are {', '.join(map(str, rows.columns[:12]))}; "
            f"if one of these is meant, map it in the settings under tables.{table}.columns",
        )
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
    if name is None and "account_id" in rows:
        total = rows["account_id"].map(fold).isin(TOTALS)
        rows = ledger.set_aside(
            table, "total_row", rows, total, "account_id", "a total among the rows"
        )
    if name:
        folded = rows[name].map(fold)
        named = rows["name"].map(fold) if "name" in rows else folded
        total = folded.isin(TOTALS) | ((named.isin(TOTALS)) & (rows[name].str.strip() == ""))
        rows = ledger.set_aside(table, "total_row", rows, total, name, "a total among the rows")
        rows = ledger.set_aside(table, "no_id", rows, rows[name] == "", name, f"no {name}")
        twice = rows[name].duplicated(keep=False)
        if twice.any():
            ids = rows.loc[twice, name].unique()
            ledger.stop(
                table,
                "duplicate_id",
                f"{len(ids)} values of {name} stand on {int(twice.sum())} rows, such as "
                f"{', '.join(sorted(ids)[:3])}: each may stand on one row only",
            )
            rows = rows[~rows[name].duplicated()]
    out = rows.copy()
    for column in COLUMNS[table].values():
        if column.name not in out:
            continue
        parse = _PARSERS.get(column.kind)
        if parse is None:
            continue
        rule, function = parse
        values, bad = _parsed(rows[column.name], function)
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
            message = f"{column.name} cannot be read as a {column.kind}"
            left = ledger.set_aside(table, rule, keep, bad.loc[out.index], column.name, message)
            out = out.loc[left.index]
    return _in_range(ledger, table, _complete(table, out))


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


def _parsed(texts: pd.Series, function: Callable[[str], Any]) -> tuple[pd.Series, pd.Series]:
    """Parse every distinct text once."""
    values, bad = {}, set()
    for text in texts.unique():
        try:
            values[text] = function(text)
        except ValueError:
            values[text] = None
            bad.add(text)
    return texts.map(values), texts.isin(bad)


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "number": ("not_a_number", number),
    "money": ("not_a_number", number),
    "share": ("not_a_number", number),
    "degrees": ("not_a_number", degrees),
    "date": ("not_a_date", day),
    "flag": ("not_a_flag", flag),
}


def note_accounts(ledger: Ledger, rows: pd.DataFrame, country: str) -> pd.DataFrame:
    """Note what is odd about accounts that are used all the same, and settle their status."""
    known = rows["status"].str.lower().isin(STATUSES)
    odd = (rows["status"] != "") & ~known
    ledger.find(
        "accounts",
        "unknown_status",
        rows[odd],
        "status",
        f"status should be one of {', '.join(STATUSES)}: taken from the revenue instead",
    )
    earned = np.where(rows["revenue"].fillna(0) > 0, "customer", "prospect")
    rows = rows.assign(status=np.where(known, rows["status"].str.lower(), earned))
    ledger.find(
        "accounts",
        "inactive",
        rows[rows["status"] == "inactive"],
        "status",
        "inactive, and used all the same: take such rows out of the file to plan without them",
    )
    blank = rows["revenue"].isna()
    if not blank.all():
        ledger.find("accounts", "blank_money", rows[blank], "revenue", "no revenue: counted as 0")
    ledger.find(
        "accounts",
        "negative_amount",
        rows[rows["revenue"] < 0],
        "revenue",
        "negative revenue: kept",
    )
    if country == "PL":
        bad = (rows["tax_id"] != "") & ~rows["tax_id"].map(nip.is_valid)
        ledger.find("accounts", "bad_tax_number", rows[bad], "tax_id", "not a valid tax number")
    same = (rows["tax_id"] != "") & rows["tax_id"].duplicated(keep=False)
    ledger.find(
        "accounts",
        "same_tax_number",
        rows[same],
        "tax_id",
        "another account has the same tax number: one firm twice? Not merged",
    )
    place = (
        rows["name"].map(fold)
        + "|"
        + np.where(rows["postal_code"] != "", rows["postal_code"], rows["town"])
    )
    twin = (rows["name"] != "") & place.duplicated(keep=False) & ~same
    ledger.find(
        "accounts",
        "same_name_and_place",
        rows[twin],
        "name",
        "another account has the same name and place: one firm twice? Not merged",
    )
    return rows


def drop_orphans(ledger: Ledger, table: str, rows: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """Set aside rows whose account is not among the accounts of the file."""
    return ledger.set_aside(
        table,
        "orphan",
        rows,
        ~rows["account_id"].isin(known),
        "account_id",
        "its account is not in the accounts, or was set aside there",
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
