"""How far the tables can be trusted: complete, valid, unique and timely, weighted by revenue."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from terrlib.inputs.quality import Ledger, amounts
from terrlib.inputs.tables import COLUMNS, KEYS

FRESH_D, STALE_D = 31, 365
DATED = {"sales": "date", "opportunities": "created_date", "activities": "date"}
MONEY = {"accounts": "revenue", "sales": "amount", "opportunities": "amount", "targets": "amount"}
# Set aside by choice, or not a row of data at all: no fault of the table.
CHOSEN = {
    "total_row",
    "inactive",
    "negative_amount",
    "negative_account",
    "foreign_country",
    "internal_account",
    "after_as_of",
    "same_name_and_place",
    "many_on_one_point",
}
TWICE = {"duplicate_id", "same_tax_number"}
TRUST = [
    "table",
    "rows",
    "rows_used",
    "complete",
    "valid",
    "unique",
    "timely",
    "score",
    "money",
    "money_used",
]


def trust(
    used: Mapping[str, pd.DataFrame],
    ledger: Ledger,
    given: Collection[str],
    alike: pd.DataFrame,
    as_of: pd.Timestamp | None,
    quarter: str = "",
) -> pd.DataFrame:
    """Score every table given.

    Parameters
    ----------
    used
        The rows that passed the gate.
    ledger
        The rows set aside, each with its reason.
    given
        Names of the tables that were given.
    alike
        As `duplicates.propose` returned it.
    as_of, quarter
        Last day that counts, and the quarter planned for.

    Returns
    -------
    DataFrame, one row a table
        rows, rows_used     the others are set aside: rows - rows_used of them
        complete    share of rows with every needed column filled
        valid       share of rows not set aside for a bad value
        unique      share of rows that are not certainly another row once more
        timely      1 up to 31 days between the last row and the day before the quarter (or as_of),
                    0 from 365 days on, a straight line between; NaN for tables without days
        score       geometric mean of those that are known
        money, money_used   revenue or amount of all rows but totals, and of the rows used; NaN
                    where the table holds none

    Notes
    -----
    Shares weigh each row by its own money, else by the revenue of its account, else alike. Money
    that cannot be read, or of an account that is not known, weighs as much as the mean row. Totals
    among the rows are no rows of data: they count in `rows` and nowhere else.
    """
    accounts = pd.concat([used["accounts"], *ledger.aside.get("accounts", [])])
    revenue = pd.Series(amounts(accounts["revenue"]), index=accounts["account_id"])
    revenue = revenue[~revenue.index.duplicated()]
    found = []
    for table in COLUMNS:
        if table not in given:
            continue
        rows = pd.concat(
            [used[table].assign(reason=""), *ledger.aside.get(table, [])], ignore_index=True
        )
        data = rows[~rows["reason"].isin({"total_row", "footer"})]
        weight = _weights(table, data, revenue)
        key = KEYS.get(table)
        again = data["reason"].isin(TWICE)
        if table == "accounts":
            certain = alike.loc[alike["kind"] == "certain", "account_id"]
            again |= data[key].isin(set(certain))
        shares = {
            "complete": _share(_filled(table, data), weight),
            "valid": _share(data["reason"].isin({"", *CHOSEN, *TWICE}), weight),
            "unique": _share(~again, weight),
            "timely": _timely(table, used[table], as_of, quarter),
        }
        known = [value for value in shares.values() if not np.isnan(value)]
        money = amounts(data[MONEY[table]]) if table in MONEY else np.full(len(data), np.nan)
        kept = (data["reason"] == "").to_numpy()
        found.append(
            {
                "table": table,
                "rows": len(rows),
                "rows_used": int(kept.sum()),
                **shares,
                "score": float(np.prod(known) ** (1 / len(known))) if known else np.nan,
                "money": _sum(money),
                "money_used": _sum(money[kept]),
            }
        )
    return pd.DataFrame(found, columns=TRUST)


def _sum(money: np.ndarray) -> float:
    return round(float(money.sum()), 2)


def _share(holds: pd.Series, weight: np.ndarray) -> float:
    return float(np.average(holds.astype(float), weights=weight)) if weight.sum() else np.nan


def _weights(table: str, rows: pd.DataFrame, revenue: pd.Series) -> np.ndarray:
    """Money of each row, or of its account; all alike where there is none."""
    if table in {"accounts", "sales"}:
        money = np.abs(amounts(rows[MONEY[table]]))
    elif "account_id" in rows:
        money = rows["account_id"].map(revenue).astype(float).abs().to_numpy()
    else:
        return np.ones(len(rows))
    bad = rows["reason"].isin({"not_a_number", "orphan"}).to_numpy() & ~(money > 0)
    bad |= np.isnan(money)
    if not np.nansum(money[~bad]) > 0:
        return np.ones(len(rows))
    return np.where(bad, money[~bad].mean(), money)


def _filled(table: str, rows: pd.DataFrame) -> pd.Series:
    """Whether every column that the table is of no use without is filled."""

    def there(column: str) -> pd.Series:
        if column not in rows:
            return pd.Series(False, index=rows.index)  # noqa: FBT003
        return rows[column].notna() & (rows[column].astype(str) != "")

    needed = [c.name for c in COLUMNS[table].values() if c.required]
    filled = pd.Series(True, index=rows.index)  # noqa: FBT003
    for column in needed + (["name"] if table == "accounts" else []):
        filled &= there(column)
    if table == "accounts":
        filled &= (there("lat") & there("lon")) | there("area_id")
    return filled


def _timely(table: str, rows: pd.DataFrame, as_of: pd.Timestamp | None, quarter: str) -> float:
    if table not in DATED or as_of is None or rows[DATED[table]].isna().all():
        return np.nan
    due = as_of
    if len(quarter) == len("2026Q4"):
        due = max(due, pd.Period(quarter, freq="Q").start_time - pd.Timedelta(days=1))
    days = (due - rows[DATED[table]].max()).days
    return float(np.clip((STALE_D - days) / (STALE_D - FRESH_D), 0, 1))
