"""The data gate: every fault counted with its money, rows set aside with the reason, nothing lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
from stdnum.pl import nip

from terrlib.errors import DataError
from terrlib.inputs.read import repeated_headers
from terrlib.inputs.tables import COLUMNS, KEYS, Column, schema
from terrlib.inputs.values import Reading, days, flag, fold, numbers, repaired, short_years

STOP, ASIDE, NOTE = "stop", "set_aside", "note"
RULES = {
    "missing_column": STOP,
    "duplicate_id": STOP,
    "no_rows": STOP,
    "ambiguous_number": STOP,
    "ambiguous_date": STOP,
    "repeated_header": ASIDE,
    "no_id": ASIDE,
    "not_a_number": ASIDE,
    "not_a_date": ASIDE,
    "not_a_flag": NOTE,
    "blank_word": NOTE,
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
}
STATUSES = ("customer", "prospect", "lost", "inactive")
TOTALS = {"total", "razem", "suma", "ogolem", "polska", "sum", "grand total", "p o l s k a"}
PILE = 10
POLE = 90
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
    if "_money" in rows:
        return [float(money) for money in rows["_money"]]
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


def _tidied(ledger: Ledger, table: str, rows: pd.DataFrame, file: dict[str, str]) -> pd.DataFrame:
    """Take repeated headers out; note what money each row holds, however it is written."""
    again = repeated_headers(rows)
    rows = rows.copy()
    rows.attrs = {}  # what the file says of itself is not to follow its rows around
    money = [c for c in ("amount", "potential", "revenue") if c in rows]
    decimal = file.get("decimal", "")
    amounts = pd.DataFrame({c: numbers(rows[c], decimal).found for c in money}, index=rows.index)
    rows["_money"] = money_of(amounts)
    message = "the header once more: were files joined?"
    return ledger.set_aside(table, "repeated_header", rows, again, str(rows.columns[0]), message)


def _note_reading(
    ledger: Ledger, table: str, rows: pd.DataFrame, column: Column, read: Reading
) -> None:
    if read.question:
        rule = "ambiguous_date" if column.kind == "date" else "ambiguous_number"
        ledger.stop(table, rule, f"{column.name}: {read.question} under tables.{table}")
    blank = rows[read.blank.loc[rows.index]]
    ledger.find(table, "blank_word", blank, column.name, "no value: counted as blank")


def _unreadable(column: Column, texts: pd.Series) -> str:
    two_digits = column.kind == "date" and short_years(texts)
    why = ": a year of two digits is not guessed" if two_digits else ""
    return f"{column.name} cannot be read as a {column.kind}{why}"


def _read(texts: pd.Series, column: Column, file: dict[str, str]) -> Reading:
    if column.kind == "date":
        return days(texts, file.get("dates", ""), file.get("epoch", ""))
    if column.kind != "flag":
        return numbers(texts, file.get("decimal", ""), column.high)
    values: dict[str, bool | None] = {}
    bad = set()
    for text in texts.unique():
        try:
            values[text] = flag(text)
        except ValueError:
            values[text] = None
            bad.add(text)
    return Reading(texts.map(values), texts.isin(bad), texts != texts)  # noqa: PLR0124


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


def locate(ledger: Ledger, rows: pd.DataFrame, has_areas: bool) -> pd.DataFrame:  # noqa: FBT001
    """Set aside accounts that are nowhere on the map, or where they cannot be.

    Parameters
    ----------
    ledger
        Where findings go.
    rows
        Typed accounts.
    has_areas
        Whether an account without a point may stand in its area's middle.
    """
    lat, lon = rows["lat"], rows["lon"]
    none = (
        lat.isna()
        | lon.isna()
        | ((lat == 0) & (lon == 0))
        | (lat.abs() > POLE)
        | (lon.abs() > 2 * POLE)
    )
    rows = rows.assign(lat=lat.where(~none), lon=lon.where(~none))
    stays = none & (rows["area_id"] != "") & has_areas
    rows = ledger.set_aside(
        "accounts",
        "no_coordinates",
        rows,
        none & ~stays,
        "town",
        "no coordinates and no area: it cannot be put on the map; give lat and lon, or its area_id",
    )
    known = rows["lat"].notna()
    ledger.find(
        "accounts",
        "placed_in_area",
        rows[~known],
        "area_id",
        "no coordinates: put into the middle of its area",
    )
    if known.sum() < PILE:
        return rows
    middle = rows.loc[known, ["lat", "lon"]].median()
    spread = 3 * (rows.loc[known, ["lat", "lon"]] - middle).abs().median()
    spread = spread.clip(lower=2.0)
    off = ((rows[["lat", "lon"]] - middle).abs() / spread).max(axis=1)
    turned = (rows[["lon", "lat"]].set_axis(["lat", "lon"], axis=1) - middle).abs()
    swapped = known & (off > 4) & ((turned / spread).max(axis=1) < 2)  # noqa: PLR2004
    rows = ledger.set_aside(
        "accounts",
        "swapped_coordinates",
        rows,
        swapped,
        "lat",
        "latitude and longitude look swapped: turned round the point lies among the others",
    )
    far = rows["lat"].notna() & (off.reindex(rows.index) > 6)  # noqa: PLR2004
    return ledger.set_aside(
        "accounts",
        "far_away",
        rows,
        far,
        "lat",
        "the point lies far from all others: another country, or a wrong geocode",
    )


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
    size = rows.groupby(["lat", "lon"])["account_id"].transform("size")
    ledger.find(
        "accounts",
        "many_on_one_point",
        rows[size >= PILE],
        "town",
        f"{PILE} or more accounts on one point: the middle of a town?",
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
