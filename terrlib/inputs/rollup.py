# ruff: noqa: PD003, PD004  # these are names of ibis
"""Millions of rows rolled up to units where they lie: files by DuckDB, tables in their own database.

Everything between the tables and the units is said once, in ibis expressions, and runs unchanged on
DuckDB and PostgreSQL. Money is decimal all the way, so that no sum depends on the order of rows.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
from tqdm import tqdm

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.quality import ASIDE, NOTE
from terrlib.inputs.read import inside
from terrlib.inputs.settings import Settings, TableFile

SIZE_KM = 10.0
KM_PER_DEGREE = 111.2
LARGEST_BYTES = 256 * 2**30
MONEY = dt.Decimal(18, 4)
POINT = dt.Decimal(14, 9)
SHOWN = 3
PARQUET = {".parquet", ".pq"}
NEEDED = {"accounts": ("account_id",), "sales": ("account_id", "date", "amount")}
USED = ("account_id", "lat", "lon", "area_id", "potential", "revenue", "date", "amount")

# Patterns that RE2 and PostgreSQL read alike. At most 13 digits: no cast can overflow.
PLAIN = r"^-?[0-9]{1,13}([.][0-9]{1,18})?$"
MARKS = "[ \t\u00a0\u202f$€£]|zł|ZŁ|PLN|pln|EUR|eur|USD|usd"
# A comma before exactly three digits could part thousands: no amount, but it is one in degrees.
AMOUNT = r"^[+-]?[0-9]{1,13}([.][0-9]{1,18}|,[0-9]{1,2}|,[0-9]{4,18})?$"
DEGREES = r"^[+-]?[0-9]{1,3}([.,][0-9]{1,18})?$"
DAY = (
    r"^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]"
    r"|[13579][26])00)-02-29)([T ].*)?$"
)
RULES = {
    "bad_line": (ASIDE, "a line with more or fewer columns than the header, or broken text"),
    "no_id": (ASIDE, "no account_id"),
    "not_a_number": (ASIDE, "cannot be read as a number, or is blank where it is needed"),
    "not_a_date": (ASIDE, "cannot be read as a day"),
    "out_of_range": (ASIDE, "a potential below 0"),
    "no_coordinates": (ASIDE, "no coordinates: it cannot be put on the map"),
    "no_area": (ASIDE, "no area_id, though other accounts carry one"),
    "after_as_of": (ASIDE, "after the last day that counts"),
    "orphan": (ASIDE, "its account is not in the accounts"),
    "account_set_aside": (ASIDE, "its account was set aside"),
    "older": (NOTE, "more than 12 months before the last day: no part of the revenue"),
    "blank_money": (NOTE, "no potential: counted as 0"),
    "unit_without_point": (NOTE, "no account of the unit has coordinates"),
}
FINDINGS = ["table", "rule", "severity", "n", "money", "message", "examples"]
UNITS = ["account_id", "name", "lat", "lon", "revenue", "potential", "n_accounts", "n_customers"]
Follow = Callable[[str], None]


@dataclass(frozen=True)
class Rolled:
    """Units, and what became of every row.

    Attributes
    ----------
    units
        account_id (the unit's id), name, lat, lon, revenue, potential, n_accounts, n_customers; as
        text ready to be written, sorted by id.
    quality
        table, rule, severity, n, money, message, examples.
    counts
        By table: rows and money that were read, used and set aside; the first equals the others.
    since, until
        Revenue is of the days after `since` up to `until`; None without sales.
    """

    units: pd.DataFrame
    quality: pd.DataFrame
    counts: dict[str, dict[str, Any]]
    since: date | None
    until: date | None


def roll_up(
    accounts: ir.Table,
    sales: ir.Table | None,
    since: date | None,
    until: date | None,
    unit: float | None = None,
) -> ir.Table:
    """Write the roll-up of accounts and sales to units, for whatever database holds them.

    Parameters
    ----------
    accounts
        account_id and lat and lon, or area_id; potential and revenue where there are any. Numbers
        may be numbers or text.
    sales
        account_id, date, amount; without it revenue is that of the accounts.
    since, until
        Revenue is of the days after `since` up to `until`.
    unit
        None: a unit is an area_id. A number: it is a cell of about so many km. Cells are a
        rectangular grid in degrees: rows of unit / 111.2 degrees of latitude from the South Pole,
        each cut from 180 degrees west into columns that are as wide as high on the row's middle.
        Both databases have that arithmetic; hexagons (H3) they do not share.

    Returns
    -------
    ibis Table
        unit_id, n_accounts, n_customers (revenue above 0), revenue, potential (sums), lat, lon
        (means). Rows that cannot be used are left out; `roll_up_tables` counts them.

    Examples
    --------
    >>> accounts = ibis.memtable({"account_id": ["a", "b"], "area_id": ["N", "N"], "revenue": [1.5, 0]})
    >>> roll_up(accounts, None, None, None).to_pyarrow().select(["unit_id", "n_customers"]).to_pylist()
    [{'unit_id': 'N', 'n_customers': 1}]
    """
    by = None if sales is None else _by_account(_lines(sales), since, until)
    return _units(_placed(accounts, by, unit))


def roll_up_tables(
    accounts: ir.Table,
    sales: ir.Table | None = None,
    before: date | None = None,
    size_km: float = SIZE_KM,
    follow: Follow = lambda _: None,
) -> Rolled:
    """Roll up tables of one database, and count what could not be used, with its money.

    Parameters
    ----------
    accounts, sales
        As in `roll_up`, from any ibis backend that can hold temporary tables; those made here
        go with its connection.
    before
        First day that does not count; None counts all.
    size_km
        Side of a cell where no account carries an area_id.
    follow
        Called with what is being done.

    Raises
    ------
    DataError
        If an account_id stands on two rows, a column is missing, or no account can be used.
    """
    for table, rows in (("accounts", accounts), ("sales", sales)):
        _require(table, rows)
    lines, by, seen, since, until = None, None, {}, None, None
    if sales is not None:
        follow("reading sales")
        lines = _lines(sales)
        if any(sales[c].type().is_string() for c in ("date", "amount")):
            lines = _kept(lines)  # text is parsed once
        seen = _seen(lines)
        until = min(seen["last"], before - timedelta(days=1)) if before else seen["last"]
        since = (pd.Timestamp(until) - pd.DateOffset(years=1)).date()
        follow("summing sales by account")
        by = _kept(_by_account(lines, since, until))
    follow("placing accounts")
    unit = None if _has_areas(accounts) else size_km
    placed = _kept(_placed(accounts, by, unit))
    _refuse_twice(placed)
    follow("rolling up to units")
    units = _written(_units(placed), potential="potential" in accounts.columns)
    if not len(units):
        raise DataError(
            "accounts: no row can be used: give lat and lon in degrees, or an area_id, for each"
        )
    follow("counting what was set aside")
    found, counts = _account_findings(placed, units)
    if lines is not None and by is not None:
        more, counts["sales"] = _sales_findings(lines, seen, _kept(_owned(by, placed)), until)
        found += more
    return Rolled(units, _table(found), counts, since, until)


def roll_up_files(
    settings: Settings, folder: Path, out: Path, size_km: float = SIZE_KM
) -> dict[str, Any]:
    """Roll up the files of the settings' accounts and sales by DuckDB, in at most 3 GB, and write it.

    Writes accounts.csv (one row a unit, which `terrlib plan` takes), quality.csv and rollup.json.

    Parameters
    ----------
    settings, folder
        What is asked, and the folder of its tables; DuckDB can read these two files and no other.
    out
        Folder to write to.
    size_km
        Side of a cell where no account carries an area_id.

    Returns
    -------
    dict
        What rollup.json holds.

    Raises
    ------
    SettingsError, DataError
        What to mend.
    """
    began = time.monotonic()
    if "accounts" not in settings.tables:
        raise SettingsError(
            "the settings name no table of accounts: tables: {accounts: accounts.csv}"
        )
    if not 1 <= size_km <= 1000:  # noqa: PLR2004
        raise SettingsError(f"--resolution {size_km:g}: a cell's side should be 1 to 1000 km")
    named: dict[str, TableFile] = {
        t: settings.tables[t] for t in ("accounts", "sales") if t in settings.tables
    }
    paths = {t: inside(folder, spec.file, LARGEST_BYTES) for t, spec in named.items()}
    before = pd.Period(settings.quarter, freq="Q").start_time.date() if settings.quarter else None
    with tempfile.TemporaryDirectory() as spill:
        db = _duckdb(list(paths.values()), Path(spill))
        try:
            with _progress(db.con, 6 if "sales" in named else 4) as follow:
                follow("opening files")
                rows = {t: _opened(db, t, paths[t], spec) for t, spec in named.items()}
                rolled = roll_up_tables(
                    rows["accounts"], rows.get("sales"), before, size_km, follow
                )
                rolled = _with_rejects(db, rolled, paths)
        except ibis.common.exceptions.IbisError as error:
            raise DataError(f"the roll-up failed: {_short(error)}") from error
        except Exception as error:  # DuckDB says all sorts of things of a damaged file
            if type(error).__module__.split(".")[0] not in {"duckdb", "_duckdb"}:
                raise
            raise DataError(f"{_files(paths)} cannot be rolled up: {_short(error)}") from error
        finally:
            db.disconnect()
    facts = {
        "rows": rolled.counts,
        "units": len(rolled.units),
        "since": rolled.since and rolled.since.isoformat(),
        "until": rolled.until and rolled.until.isoformat(),
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": _peak_mb(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("terrlib", "duckdb", "ibis-framework")},
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, table in (("accounts", rolled.units), ("quality", rolled.quality)):
        table.to_csv(out / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
    (out / "rollup.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


# What is said once, for every database.


def _lines(sales: ir.Table) -> ir.Table:
    """Sales typed: what cannot be read is NULL, and `unread` holds its text."""
    amount, day = _number(sales["amount"], AMOUNT), _day(sales["date"])
    raw = ibis.cases(
        (amount.isnull(), sales["amount"].cast(str)), (day.isnull(), sales["date"].cast(str))
    )
    return sales.select(account_id=_id(sales["account_id"]), day=day, amount=amount, unread=raw)


def _by_account(lines: ir.Table, since: date | None, until: date | None) -> ir.Table:
    """Sum by account the lines that can be read, up to the last day."""
    good = lines.filter(lines["amount"].notnull(), lines["day"] <= ibis.literal(until, dt.date))
    year = good["day"] > ibis.literal(since, dt.date)
    sums = good.group_by("account_id").agg(
        n=good.count(),
        money=good["amount"].sum(),
        n_year=good.count(where=year),
        revenue=good["amount"].sum(where=year),
    )
    # Ids are trimmed here, where there are few.
    return (
        sums.mutate(account_id=sums["account_id"].strip(), revenue=sums["revenue"].fill_null(0))
        .group_by("account_id")
        .agg(**{c: ibis._[c].sum() for c in ("n", "money", "n_year", "revenue")})
    )


def _placed(accounts: ir.Table, by: ir.Table | None, size_km: float | None) -> ir.Table:
    """Give every account its unit, or the reason why it has none."""
    columns = set(accounts.columns)
    blank = ibis.null(str)
    text = {c: accounts[c] if c in columns else blank for c in USED[1:6]}
    rows = accounts.select(
        account_id=_id(accounts["account_id"]).strip(),
        area_id=_id(text["area_id"]).strip(),
        lat=_number(text["lat"], DEGREES, dt.float64),
        lon=_number(text["lon"], DEGREES, dt.float64),
        potential=_number(text["potential"], AMOUNT),
        revenue=_number(text["revenue"], AMOUNT) if by is None else ibis.null(MONEY),
        unread=_unread(text["potential"]) | (_unread(text["revenue"]) & (by is None)),
    )
    if by is not None:
        own = by.select(sold_to="account_id", sold="revenue")
        rows = rows.left_join(own, rows["account_id"] == own["sold_to"])
        rows = rows.mutate(revenue=rows["sold"]).drop("sold_to", "sold")
    here = rows["lat"].abs().fill_null(999) <= 90  # noqa: PLR2004
    here &= rows["lon"].abs().fill_null(999) <= 180  # noqa: PLR2004
    here &= (rows["lat"] != 0) | (rows["lon"] != 0)
    nowhere = ~here if size_km else rows["area_id"] == ""
    rows = rows.mutate(
        lat=here.ifelse(rows["lat"], None),
        lon=here.ifelse(rows["lon"], None),
        blank=rows["potential"].isnull(),
        reason=ibis.cases(
            (rows["account_id"] == "", "no_id"),
            (rows["unread"], "not_a_number"),
            (rows["potential"] < 0, "out_of_range"),
            (nowhere, "no_coordinates" if size_km else "no_area"),
            else_="",
        ),
        potential=rows["potential"].fill_null(0),
        revenue=rows["revenue"].fill_null(0),
    )
    return rows.mutate(unit_id=_cell(rows, size_km) if size_km else rows["area_id"])


def _cell(rows: ir.Table, size_km: float) -> ir.StringValue:
    step = size_km / KM_PER_DEGREE
    row = ((rows["lat"] + 90) / step).floor()
    middle = (row + 0.5) * step - 90
    # Near a pole a column would have no width.
    narrow = ibis.greatest((middle * (math.pi / 180)).cos(), 0.01)
    column = ((rows["lon"] + 180) * narrow / step).floor()
    parts = [part.cast("int64").cast(str).lpad(5, "0") for part in (row, column)]
    return ibis.literal("R") + parts[0] + "C" + parts[1]


def _units(placed: ir.Table) -> ir.Table:
    used = placed.filter(placed["reason"] == "")
    return used.group_by("unit_id").agg(
        n_accounts=used.count(),
        n_customers=used.count(where=used["revenue"] > 0),
        revenue=used["revenue"].sum(),
        potential=used["potential"].sum(),
        lat=_mean(used["lat"]),
        lon=_mean(used["lon"]),
    )


def _mean(degrees: ir.Value) -> ir.Value:
    return degrees.cast(POINT).sum().cast(dt.float64) / degrees.count().nullif(0)


def _id(column: ir.Value) -> ir.StringValue:
    return column.cast(str).fill_null("")


def _unread(column: ir.Value) -> ir.BooleanValue:
    if not column.type().is_string():
        return ibis.literal(value=False)
    return (column.fill_null("").strip() != "") & _number(column, AMOUNT).isnull()


def _number(column: ir.Value, pattern: str, kind: dt.DataType = MONEY) -> ir.Value:
    """Read a number, or text by the pattern; NULL where it is none."""
    if not column.type().is_string():
        if column.type().is_floating():
            column = (column.abs() < 1e13).ifelse(column, None)  # noqa: PLR2004
        return column.cast(kind)
    bare = column.re_replace(MARKS, "")
    return ibis.cases(
        (column.re_search(PLAIN), column),
        (bare.re_search(pattern), bare.replace(",", ".")),
    ).cast(kind)


def _day(column: ir.Value) -> ir.Value:
    if not column.type().is_string():
        return column.cast(dt.date)
    bare = column.strip()
    polish = bare.re_replace(r"^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})$", r"\3-0\2-0\1")
    polish = polish.re_replace(r"-0([0-9]{2})", r"-\1")
    return ibis.cases(
        (column.re_search(DAY), column.substr(0, 10)),
        (bare.re_search(DAY), bare.substr(0, 10)),
        (polish.re_search(DAY), polish),
    ).cast(dt.date)


# What became of every row.


def _kept(rows: ir.Table) -> ir.Table:
    """Compute rows once, as a temporary table that goes with the connection."""
    return ibis.get_backend(rows).create_table(ibis.util.gen_name("terrlib"), rows, temp=True)


def _seen(lines: ir.Table) -> dict[str, Any]:
    """Count in one pass the lines, those that cannot be read, and find the last day."""
    read, dated = lines["amount"].notnull(), lines["day"].notnull()
    seen = _rows(
        lines.agg(
            n=lines.count(),
            money=lines["amount"].sum(),
            not_a_number=lines.count(where=~read),
            not_a_date=lines.count(where=read & ~dated),
            undated=lines["amount"].sum(where=~dated),
            last=lines["day"].max(where=read),
        )
    )[0]
    if seen["last"] is None:
        raise DataError("sales: no line has both a day and an amount that can be read")
    return seen


def _has_areas(accounts: ir.Table) -> bool:
    if "area_id" not in accounts.columns:
        return False
    return bool((_id(accounts["area_id"]).strip() != "").any().to_pyarrow().as_py())


def _refuse_twice(placed: ir.Table) -> None:
    known = placed.filter(placed["account_id"] != "")
    twice = known.group_by("account_id").agg(n=known.count()).filter(ibis._.n > 1)
    found = _rows(twice.agg(ids=twice.count(), n=twice["n"].sum()))[0]
    if found["ids"]:
        first = ", ".join(_examples(twice, "account_id"))
        raise DataError(
            f"accounts: {found['ids']} values of account_id stand on {found['n']} rows, such as "
            f"{first}: each may stand on one row only"
        )


def _account_findings(
    placed: ir.Table, units: pd.DataFrame
) -> tuple[list[tuple[Any, ...]], dict[str, dict[str, Any]]]:
    seen = {
        row["reason"]: row
        for row in _rows(
            placed.group_by("reason").agg(
                n=placed.count(),
                money=placed["revenue"].sum(),
                n_blank=placed.count(where=placed["blank"]),
            )
        )
    }
    found = [
        ("accounts", rule, row["n"], row["money"], placed.filter(placed["reason"] == rule))
        for rule, row in seen.items()
        if rule
    ]
    used = seen.get("", {"n": 0, "money": Decimal(0), "n_blank": 0})
    if 0 < used["n_blank"] < used["n"]:
        blank = placed.filter(placed["reason"] == "", placed["blank"])
        found.append(("accounts", "blank_money", used["n_blank"], 0, blank))
    bare = units[units["lat"] == ""]
    if len(bare):
        money = sum(map(Decimal, bare["revenue"]), Decimal(0))
        first = list(bare["account_id"].head(SHOWN))
        found.append(("accounts", "unit_without_point", len(bare), money, first))
    rows = [(*row[:4], _first(row[4], "account_id")) for row in found]
    read, money = (sum(row[c] for row in seen.values()) for c in ("n", "money"))
    return rows, {"accounts": _count(read, money, used)}


def _owned(by: ir.Table, placed: ir.Table) -> ir.Table:
    """Tell of the sums by account whether the account is used, was set aside, or is unknown."""
    known = placed.filter(placed["account_id"] != "")
    known = known.select(
        known="account_id", state=(known["reason"] == "").ifelse("used", "account_set_aside")
    )
    owned = by.left_join(known, by["account_id"] == known["known"])
    return owned.mutate(state=owned["state"].fill_null("orphan"))


def _sales_findings(
    lines: ir.Table, seen: dict[str, Any], owned: ir.Table, until: date | None
) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    states = {
        row["state"]: row
        for row in _rows(
            owned.group_by("state").agg(
                n=owned["n"].sum(),
                money=owned["money"].sum(),
                n_year=owned["n_year"].sum(),
                revenue=owned["revenue"].sum(),
            )
        )
    }
    found: list[tuple[Any, ...]] = []
    for rule in ("orphan", "account_set_aside"):
        if row := states.get(rule):
            first = _examples(owned.filter(owned["state"] == rule), "account_id")
            found.append(("sales", rule, row["n"], row["money"], first))
    no_amount, no_day = lines["amount"].isnull(), lines["day"].isnull()
    if n := seen["not_a_number"]:
        found.append(("sales", "not_a_number", n, 0, _examples(lines.filter(no_amount), "unread")))
    if n := seen["not_a_date"]:
        first = _examples(lines.filter(no_day & ~no_amount), "unread")
        found.append(("sales", "not_a_date", n, seen["undated"], first))
    late = seen["n"] - seen["not_a_number"] - seen["not_a_date"]
    if late := late - sum(row["n"] for row in states.values()):
        money = seen["money"] - (seen["undated"] or 0) - sum(r["money"] for r in states.values())
        after = lines.filter(~no_amount, lines["day"] > ibis.literal(until, dt.date))
        first = _examples(after.mutate(text=after["day"].cast(str)), "text")
        found.append(("sales", "after_as_of", late, money, first))
    used = states.get("used", {"n": 0, "money": Decimal(0), "n_year": 0, "revenue": Decimal(0)})
    if old := used["n"] - used["n_year"]:
        found.append(("sales", "older", old, used["money"] - used["revenue"], []))
    return found, _count(seen["n"], seen["money"], used) | {
        "in_revenue": int(used["n_year"]),
        "money_in_revenue": _grosze(used["revenue"]),
    }


def _count(read: int, money: Decimal | None, used: dict[str, Any]) -> dict[str, Any]:
    money = money or Decimal(0)
    return {
        "read": int(read),
        "used": int(used["n"]),
        "set_aside": int(read - used["n"]),
        "money_read": _grosze(money),
        "money_used": _grosze(used["money"]),
        "money_set_aside": _grosze(money - used["money"]),
    }


def _first(rows: ir.Table | list[str], column: str) -> list[str]:
    return rows if isinstance(rows, list) else _examples(rows, column)


def _examples(rows: ir.Table, column: str) -> list[str]:
    """Return the first values in the order of their bytes, whatever the database sorts by."""
    low = rows.select(value=rows[column].fill_null("")).distinct().order_by("value").limit(SHOWN)
    return [str(row["value"])[:60] or "(blank)" for row in _rows(low)]


def _table(found: list[tuple[Any, ...]]) -> pd.DataFrame:
    rows = [
        (table, rule, RULES[rule][0], n, _grosze(money), RULES[rule][1], " | ".join(first))
        for table, rule, n, money, first in sorted(found, key=lambda row: row[:2])
    ]
    return pd.DataFrame(rows, columns=FINDINGS)


def _written(expression: ir.Table, *, potential: bool) -> pd.DataFrame:
    """Fetch units as text, sorted by the bytes of their ids whatever the database sorts by."""
    rows = sorted(_rows(expression), key=lambda row: row["unit_id"])
    cells = [
        (
            row["unit_id"],
            row["unit_id"],
            *("" if row[c] is None else f"{row[c]:.6f}" for c in ("lat", "lon")),
            _grosze(row["revenue"]),
            _grosze(row["potential"]) if potential else "",
            row["n_accounts"],
            row["n_customers"],
        )
        for row in rows
    ]
    return pd.DataFrame(cells, columns=UNITS)


def _rows(expression: ir.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return rows


def _grosze(money: Any) -> str:
    return str(Decimal(money or 0).quantize(Decimal("0.01"), ROUND_HALF_UP))


def _require(table: str, rows: ir.Table | None) -> None:
    if rows is None:
        return
    missing = [c for c in NEEDED[table] if c not in rows.columns]
    if table == "accounts" and not ({"lat", "lon"} <= set(rows.columns) or "area_id" in rows):
        missing += [c for c in ("lat", "lon") if c not in rows.columns]
    if missing:
        raise DataError(
            f"{table}: no column {', '.join(missing)}; its columns are "
            f"{', '.join(rows.columns[:12])}; if one of these is meant, map it in the settings under "
            f"tables.{table}.columns"
        )


# Files, by DuckDB.


def _duckdb(paths: list[Path], spill: Path) -> Any:
    """Open a database in memory that can read these files, and write nowhere but to `spill`."""
    db = ibis.duckdb.connect(
        memory_limit="3GB",
        threads=2,
        temp_directory=str(spill),
        preserve_insertion_order=False,
        autoinstall_known_extensions=False,
    )
    # How far a query is can then be asked by `_progress`; DuckDB itself prints nothing.
    db.raw_sql("SET enable_progress_bar = true")
    db.raw_sql("SET enable_progress_bar_print = false")
    allowed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    db.raw_sql(f"SET allowed_paths = [{allowed}]")
    db.raw_sql("SET enable_external_access = false")
    db.raw_sql("SET lock_configuration = true")
    return db


def _opened(db: Any, table: str, path: Path, spec: TableFile) -> ir.Table:
    """Open a file as a table under terrlib's names, of the columns that are used."""
    if set("*?[") & set(str(path)):
        raise SettingsError(
            f"{spec.file}: DuckDB takes * ? [ for patterns: rename the file or folder"
        )
    kind = path.suffix.lower()
    if kind in PARQUET:
        rows = db.read_parquet(str(path), table_name=f"file_{table}")
    elif kind in {".csv", ".txt", ".tsv"}:
        heads, separator = _header(path)
        rows = db.read_csv(
            str(path),
            table_name=f"file_{table}",
            auto_detect=False,
            header=True,
            delim=separator,
            quote='"',
            escape='"',
            columns=dict.fromkeys(heads, "VARCHAR"),
            store_rejects=True,
            rejects_scan=f"scans_{table}",
            rejects_table=f"rejects_{table}",
            rejects_limit=0,
        )
    else:
        raise SettingsError(f"{spec.file} ({table}): only CSV and Parquet files are rolled up")
    missing = [f"{ours}: {theirs}" for ours, theirs in spec.columns.items() if theirs not in rows]
    if missing:
        raise DataError(
            f"{spec.file} ({table}) has no column {', '.join(missing)}; its columns are "
            f"{', '.join(rows.columns[:12])}"
        )
    own = {c: c for c in rows.columns if c not in spec.columns and c not in spec.columns.values()}
    names = {ours: theirs for ours, theirs in (own | spec.columns).items() if ours in USED}
    if not names:
        raise DataError(f"{spec.file} ({table}): none of its columns is {', '.join(USED)}")
    rows = rows.select(**{ours: rows[theirs] for ours, theirs in names.items()})
    known = {c: values for c, values in spec.values.items() if c in names}  # noqa: PD011
    return rows.mutate(**{c: rows[c].substitute(values) for c, values in known.items()})


def _header(path: Path) -> tuple[list[str], str]:
    """Return the names and the separator of a CSV file; refuse what is no text in UTF-8."""
    with path.open("rb") as file:
        start = file.read(2**20)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(
            f"{path.name} is no text in UTF-8: files this large are read as UTF-8 or Parquet only"
        )
    line = text.split("\n", 1)[0].rstrip("\r")
    separator = max(";\t,|", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    if len(names) < 2 or len({name.lower() for name in names}) < len(names) or "" in names:  # noqa: PLR2004
        raise DataError(
            f"{path.name} is no table: its first line should hold names of columns, each once, "
            f"not {line[:60]!r}"
        )
    return names, separator


def _with_rejects(db: Any, rolled: Rolled, paths: dict[str, Path]) -> Rolled:
    """Add the lines of CSV files that are no rows."""
    found, counts = rolled.quality, dict(rolled.counts)
    for table in paths:
        if paths[table].suffix.lower() in PARQUET:
            continue
        # The file may have been scanned more than once, and a line may have several faults.
        bad = f"(SELECT line, min(csv_line) AS text FROM rejects_{table} GROUP BY line)"
        (n,) = db.con.execute(f"SELECT count(*) FROM {bad}").fetchone()
        if not n:
            continue
        low = db.con.execute(f"SELECT line, text FROM {bad} ORDER BY line LIMIT {SHOWN}").fetchall()
        first = [f"line {line}: {str(text).strip()[:60]}" for line, text in low]
        found = pd.concat([found, _table([(table, "bad_line", n, 0, first)])])
        seen = counts[table]
        counts[table] = seen | {"read": seen["read"] + n, "set_aside": seen["set_aside"] + n}
    found = found.sort_values(["table", "rule"], kind="stable").reset_index(drop=True)
    return Rolled(rolled.units, found, counts, rolled.since, rolled.until)


@contextmanager
def _progress(con: Any, steps: int) -> Iterator[Follow]:
    """Show a bar that moves with the steps, and within one as far as DuckDB knows."""
    done, stop = [-1], threading.Event()
    bar = tqdm(total=100 * steps, bar_format="{percentage:3.0f}% |{bar:24}| {desc} [{elapsed}]")

    def follow(what: str) -> None:
        done[0] += 1
        bar.set_description_str(what)
        bar.update(max(0, 100 * done[0] - bar.n))

    def watch() -> None:
        while not stop.wait(0.5):
            part = max(0.0, min(99.0, getattr(con, "query_progress", float)()))
            bar.update(max(0.0, 100 * done[0] + part - bar.n))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield follow
        bar.update(100 * steps - bar.n)
    finally:
        stop.set()
        watcher.join()
        bar.close()


def _peak_mb() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _files(paths: dict[str, Path]) -> str:
    return " or ".join(path.name for path in paths.values())


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
