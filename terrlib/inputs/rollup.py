# ruff: noqa: PD003, PD004  # these are names of ibis
"""Millions of rows rolled up to units where they lie: files by DuckDB, tables in their own database.

Everything between the tables and the units is said once, in ibis expressions, and runs unchanged on
DuckDB and PostgreSQL. Money is decimal all the way, so that no sum depends on the order of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from terrlib.errors import DataError
from terrlib.inputs.files import as_text
from terrlib.inputs.quality import (
    ASIDE,
    FAR,
    LIKE_TEST,
    LIKE_TOTAL,
    NOTE,
    country_code,
    is_test,
    is_total,
    many_orphans,
    severities,
    usual_end,
)
from terrlib.inputs.settings import Settings
from terrlib.inputs.texts import MONEY, fetched, identifier, kept, typed, unclean
from terrlib.inputs.values import flag
from terrlib.show.words import Told, Words

SIZE_KM = 10.0
KM_PER_DEGREE = 111.2
POINT = dt.Decimal(14, 9)
SHOWN = 3
NEEDED = {"accounts": ("account_id",), "sales": ("account_id", "date", "amount")}
NUMBERS = {"accounts": ("lat", "lon", "revenue", "potential"), "sales": ("date", "amount")}
TEXTS = {
    "accounts": ("account_id", "area_id", "currency", "name", "country", "internal"),
    "sales": ("account_id", "currency"),
}
PLACED = (
    *("account_id", "unit_id", "reason", "lat", "lon", "revenue", "potential"),
    *("blank", "converted"),
)
CELL = 100_000  # more than there are columns in a row of cells

RULES = {
    "bad_line": ASIDE,
    "no_id": ASIDE,
    "not_a_number": ASIDE,
    "not_a_date": ASIDE,
    "out_of_range": ASIDE,
    "total_row": ASIDE,
    "internal_account": ASIDE,
    "foreign_country": ASIDE,
    "far_future": ASIDE,
    "foreign_currency": ASIDE,
    "converted": NOTE,
    "no_coordinates": ASIDE,
    "no_area": ASIDE,
    "after_as_of": ASIDE,
    "orphan": ASIDE,
    "account_set_aside": ASIDE,
    "older": NOTE,
    "blank_money": NOTE,
    "unit_without_point": NOTE,
}
FINDINGS = ["table", "rule", "severity", "n", "money", "message", "examples"]
# Money that these rules keep out is in no sum: it cannot be read, or not be added to the rest.
UNKNOWN = {"bad_line", "not_a_number", "foreign_currency"}
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
        table, rule, severity, n, money, message, examples. Money is blank where it is unknown.
    counts
        By table: rows and money that were read, used and set aside; the first equals the others.
        `money_unknown` is the number of rows whose money cannot be read, or not be added.
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
    asked: Settings | None = None,
) -> ir.Table:
    """Write the roll-up of accounts and sales to units, for whatever database holds them.

    Parameters
    ----------
    accounts
        account_id and lat and lon, or area_id; potential, revenue and currency where there are any.
        Numbers may be numbers or text, which is read as in a file.
    sales
        account_id, date, amount, and currency where there is one; without it revenue is that of the
        accounts.
    since, until
        Revenue is of the days after `since` up to `until`.
    unit
        None: a unit is an area_id. A number: it is a cell of about so many km. Cells are a
        rectangular grid in degrees: rows of unit / 111.2 degrees of latitude from the South Pole,
        each cut from 180 degrees west into columns that are as wide as high on the row's middle.
        Both databases have that arithmetic; hexagons (H3) they do not share.
    asked
        Settings that say how the tables write numbers and days, the currency and the rates.

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
    read = _typed(accounts, sales, asked or Settings())
    by = None if sales is None else _by_account(_lines(read["sales"]), since, until)
    return _units(_placed(read["accounts"], by, unit))


def roll_up_tables(
    accounts: ir.Table,
    sales: ir.Table | None = None,
    before: date | None = None,
    size_km: float = SIZE_KM,
    follow: Follow = lambda _: None,
    asked: Settings | None = None,
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
        Called with what is being done, as a sentence of the locale files.
    asked
        As in `roll_up`.

    Raises
    ------
    DataError
        If an account_id stands on two rows, a column is missing or can be read in two ways, or no
        account can be used.
    """
    follow("rollup.reading")
    settings = asked or Settings()
    read, words = _typed(accounts, sales, settings), Words(settings.locale, settings.currency)
    lines, by, seen, since, until = None, None, {}, None, None
    if sales is not None:
        lines = _lines(read["sales"])
        seen = _seen(lines, asked or Settings())
        until = min(seen["last"], before - timedelta(days=1)) if before else seen["last"]
        since = (pd.Timestamp(until) - pd.DateOffset(years=1)).date()
        follow("rollup.summing")
        by = _by_account(lines, since, until)
    follow("rollup.placing")
    unit = None if _has_areas(read["accounts"]) else size_km
    placed = kept(_placed(read["accounts"], by, unit))
    _refuse_twice(placed)
    follow("rollup.units_made")
    units = _written(_units(placed), potential="potential" in accounts.columns)
    if not len(units):
        raise DataError("refusal.no_usable_account")
    follow("rollup.counting")
    found, counts = _account_findings(placed, units)
    if lines is not None and by is not None:
        totals = _totals(lines, by, seen)
        owned = kept(_owned(by, placed, totals["ids"]))
        limit = (asked or Settings()).quality.max_orphan_revenue
        more, counts["sales"] = _sales_findings(lines, seen, owned, totals, until, limit)
        found += more
    return Rolled(units, findings_table(found, words), counts, since, until)


# What is said once, for every database.


def _typed(accounts: ir.Table, sales: ir.Table | None, asked: Settings) -> dict[str, ir.Table]:
    tables = {"accounts": accounts} | ({} if sales is None else {"sales": sales})
    for table, rows in tables.items():
        _require(table, rows)
    # No column is read that is not used: with sales, revenue is theirs.
    names = NUMBERS if sales is None else NUMBERS | {"accounts": ("lat", "lon", "potential")}
    slim = {
        table: rows.select(*(c for c in (*TEXTS[table], *names[table]) if c in rows.columns))
        for table, rows in tables.items()
    }
    read = typed(slim, names, asked)
    return read | {"accounts": _marked(read["accounts"], asked)}


def _marked(rows: ir.Table, asked: Settings) -> ir.Table:
    """Name the rule of the data gate by which an account is none of this market; "" if it is one.

    Of each column the distinct texts that may say so are fetched, and read by the gate itself.
    """

    def foreign(text: str) -> bool:
        return country_code(text) not in {"", asked.country}

    severity, marks = severities(asked.quality), []
    no_id = identifier(rows["account_id"]) == ""
    for rule, column, like, tells, where in (
        ("total_row", "account_id", LIKE_TOTAL, is_total, True),
        ("total_row", "name", LIKE_TOTAL, is_total, no_id),
        ("internal_account", "name", LIKE_TEST, is_test, True),
        ("internal_account", "internal", ".", _is_yes, True),
        ("foreign_country", "country", ".", foreign, True),
    ):
        if column in rows.columns and severity[rule] != NOTE:
            text = rows[column].cast(str)
            maybe = rows.filter(where, text.re_search(like)).select(text=text).distinct()
            said = [row["text"] for row in fetched(maybe) if tells(as_text(row["text"]))]
            marks += [(where & text.isin(said), rule)] if said else []
    return rows.mutate(mark=ibis.cases(*marks, else_="") if marks else ibis.literal(""))


def _is_yes(text: str) -> bool:
    try:
        return flag(text) is True
    except ValueError:
        return False


def _lines(sales: ir.Table) -> ir.Table:
    """Name the columns of sales; `unread` holds the text of what cannot be read."""
    return sales.select(
        "amount",
        "foreign",
        "converted",
        account_id=sales["account_id"].cast(str).fill_null(""),
        day=sales["date"],
        unread=ibis.cases(
            (sales["amount"].isnull(), sales["amount_text"]),
            (sales["date"].isnull(), sales["date_text"]),
        ),
    )


def _by_account(lines: ir.Table, since: date | None, until: date | None) -> ir.Table:
    """Sum by account the lines that can be read, up to the last day; computed once."""
    good = lines.filter(
        lines["amount"].notnull(),
        lines["foreign"].isnull(),
        lines["day"] <= ibis.literal(until, dt.date),
    )
    year = good["day"] > ibis.literal(since, dt.date)
    sums = good.group_by("account_id").agg(
        n=good.count(),
        money=good["amount"].sum(),
        n_year=good.count(where=year),
        revenue=good["amount"].sum(where=year).fill_null(0),
    )
    sums = kept(sums)
    if not unclean(sums, "account_id"):
        return sums
    # Ids are cleaned here, where there are few.
    again = sums.mutate(account_id=identifier(sums["account_id"])).group_by("account_id")
    return kept(again.agg(**{c: _[c].sum() for c in ("n", "money", "n_year", "revenue")}))


def _placed(accounts: ir.Table, by: ir.Table | None, size_km: float | None) -> ir.Table:
    """Give every account its unit, or the reason why it has none."""
    ids = {
        c: identifier(accounts[c]) if unclean(accounts, c) else accounts[c].cast(str)
        for c in ("account_id", "area_id")
        if c in accounts.columns
    }
    revenue, unread = ibis.null(MONEY), accounts["potential_bad"]
    if by is None:
        revenue = accounts["foreign"].isnull().ifelse(accounts["revenue"], None)
        unread |= accounts["revenue_bad"]
    rows = accounts.select(
        *("lat", "lon", "potential", "foreign", "converted", "mark"),
        **{"area_id": ibis.literal("")} | ids,
        revenue=revenue,
        unread=unread,
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
            (rows["mark"] == "total_row", "total_row"),
            (rows["account_id"] == "", "no_id"),
            (rows["unread"], "not_a_number"),
            (rows["potential"] < 0, "out_of_range"),
            (rows["foreign"].notnull(), "foreign_currency"),
            (rows["mark"] != "", rows["mark"]),
            (nowhere, "no_coordinates" if size_km else "no_area"),
            else_="",
        ),
        potential=rows["potential"].fill_null(0),
        # The rows of a total are there, each with its money.
        revenue=(rows["mark"] == "total_row").ifelse(0, rows["revenue"].fill_null(0)),
    )
    rows = rows.mutate(unit_id=_cell(rows, size_km) if size_km else rows["area_id"])
    return rows.select(*PLACED)


def _cell(rows: ir.Table, size_km: float) -> ir.IntegerValue:
    """Number the cell of each point: rows from south to north, columns from west to east."""
    step = size_km / KM_PER_DEGREE
    row = ((rows["lat"] + 90) / step).floor()
    middle = (row + 0.5) * step - 90
    # Near a pole a column would have no width.
    narrow = ibis.greatest((middle * (math.pi / 180)).cos(), 0.01)
    column = ((rows["lon"] + 180) * narrow / step).floor()
    return row.cast("int64") * CELL + column.cast("int64")


def _cell_name(cell: ir.IntegerValue) -> ir.StringValue:
    row, column = (part.cast(str).lpad(5, "0") for part in (cell // CELL, cell % CELL))
    return ibis.literal("R") + row + "C" + column


def _units(placed: ir.Table) -> ir.Table:
    used = placed.filter(placed["reason"] == "")
    units = used.group_by("unit_id").agg(
        n_accounts=used.count(),
        n_customers=used.count(where=used["revenue"] > 0),
        revenue=used["revenue"].sum(),
        potential=used["potential"].sum(),
        lat=_mean(used["lat"]),
        lon=_mean(used["lon"]),
    )
    if units["unit_id"].type().is_string():
        return units
    # Cells are named here, where there are few.
    return units.mutate(unit_id=_cell_name(units["unit_id"]))


def _mean(degrees: ir.Value) -> ir.Value:
    return degrees.cast(POINT).sum().cast(dt.float64) / degrees.count().nullif(0)


# What became of every row.


def _seen(lines: ir.Table, asked: Settings) -> dict[str, Any]:
    """Count in one pass the lines of each day and those that cannot be read; find the last day."""
    read, own = lines["amount"].notnull(), lines["foreign"].isnull()
    turned = read & own & lines["converted"]
    days = fetched(
        lines.group_by("day").agg(
            n=lines.count(),
            good=lines.count(where=read & own),
            money=lines["amount"].sum(where=own),
            not_a_number=lines.count(where=~read),
            foreign=lines.count(where=read & ~own),
            converted=lines.count(where=turned),
            turned=lines["amount"].sum(where=turned),
        )
    )
    good = {pd.Timestamp(row["day"]): row for row in days if row["day"] and row["good"]}
    if not good:
        raise DataError("refusal.no_usable_sale")
    count = pd.Series({day: row["good"] for day, row in good.items()}).sort_index()
    usual = usual_end(count) if severities(asked.quality)["far_future"] != NOTE else None
    reach = count.index[-1] if usual is None else usual + FAR
    far = [row for day, row in sorted(good.items()) if day > reach]
    bare = [row for row in days if row["day"] is None]
    names = ("n", "not_a_number", "foreign", "converted", "money", "turned")
    return {name: _sum(days, name) for name in names} | {
        "not_a_date": _sum(bare, "good"),
        "undated": _sum(bare, "money"),
        "far": _sum(far, "good"),
        "far_money": _sum(far, "money"),
        "far_days": [str(row["day"]) for row in far[:SHOWN]],
        "last": count.index[count.index <= reach][-1].date(),
        "reach": reach.date(),
    }


def _sum(rows: list[dict[str, Any]], name: str) -> Any:
    return sum(row[name] or 0 for row in rows)


def _totals(lines: ir.Table, by: ir.Table, seen: dict[str, Any]) -> dict[str, Any]:
    """Find totals among the lines: by the word for one, or without an id and the sum of the rest.

    Returns
    -------
    dict
        ids         accounts of `by` that are a word for a total
        undated     number and money of totals without a day
        blank       number and money of totals with a day and without an id
    """
    maybe = fetched(by.filter(by["account_id"].re_search(LIKE_TOTAL)))
    named = [row for row in maybe if is_total(row["account_id"])]
    blank_ids = bool(fetched(by.filter(by["account_id"] == "")))
    found = {"ids": [row["account_id"] for row in named], "undated": (0, 0), "blank": (0, 0)}
    if not blank_ids and not seen["not_a_date"]:
        return found
    code, day = lines["account_id"].strip(), lines["day"]
    own = lines["amount"].notnull() & lines["foreign"].isnull()
    loose = lines.filter(own, (code == "") | day.isnull()).mutate(code=code)
    undated = loose.filter(loose["day"].isnull(), loose["code"].re_search(LIKE_TOTAL))
    worded = [
        row
        for row in fetched(undated.group_by("code").agg(n=_.count(), money=_.amount.sum()))
        if is_total(as_text(row["code"]))
    ]
    bare = loose.filter(loose["code"] == "")
    without = fetched(bare.agg(n=_.count(), money=_.amount.sum()))
    coded = seen["money"] - _sum([*without, *worded, *named], "money")
    # Each line may be rounded, as in the gate; one that equals one other is no total.
    slack = Decimal("0.01") * max(seen["n"], 1)
    same = bare.filter(_.amount > 0, (_.amount - ibis.literal(coded, MONEY)).abs() <= slack)
    several = seen["n"] - _sum([*without, *worded, *named], "n") > 1
    sums = fetched(same.group_by("day").agg(n=_.count(), money=_.amount.sum())) if several else []
    bare_sums = [row for row in sums if row["day"] is None]
    dated_sums = [row for row in sums if row["day"] is not None]
    undated_ones = [*worded, *bare_sums]
    return found | {
        "undated": (_sum(undated_ones, "n"), _sum(undated_ones, "money")),
        "blank": (_sum(dated_sums, "n"), _sum(dated_sums, "money")),
    }


def _has_areas(accounts: ir.Table) -> bool:
    if "area_id" not in accounts.columns:
        return False
    return bool((identifier(accounts["area_id"]) != "").any().to_pyarrow().as_py())


def _refuse_twice(placed: ir.Table) -> None:
    known = placed.filter(placed["account_id"] != "")
    twice = known.group_by("account_id").agg(n=known.count()).filter(ibis._.n > 1)
    found = fetched(twice.agg(ids=twice.count(), n=twice["n"].sum()))[0]
    if found["ids"]:
        several = {"n": found["ids"], "rows": found["n"]}
        raise DataError("refusal.ids_twice", **several, examples=_examples(twice, "account_id"))


def _account_findings(
    placed: ir.Table, units: pd.DataFrame
) -> tuple[list[tuple[Any, ...]], dict[str, dict[str, Any]]]:
    seen = {
        row["reason"]: row
        for row in fetched(
            placed.group_by("reason").agg(
                n=placed.count(),
                money=placed["revenue"].sum(),
                n_blank=placed.count(where=placed["blank"]),
                n_turned=placed.count(where=placed["converted"]),
            )
        )
    }
    found = [
        ("accounts", rule, row["n"], row["money"], placed.filter(placed["reason"] == rule))
        for rule, row in seen.items()
        if rule
    ]
    used = seen.get("", {"n": 0, "money": Decimal(0), "n_blank": 0, "n_turned": 0})
    if 0 < used["n_blank"] < used["n"]:
        blank = placed.filter(placed["reason"] == "", placed["blank"])
        found.append(("accounts", "blank_money", used["n_blank"], 0, blank))
    if used["n_turned"]:
        turned = placed.filter(placed["reason"] == "", placed["converted"])
        money = fetched(turned.agg(money=turned["revenue"].sum()))[0]["money"]
        found.append(("accounts", "converted", used["n_turned"], money, turned))
    bare = units[units["lat"] == ""]
    if len(bare):
        money = sum(map(Decimal, bare["revenue"]), Decimal(0))
        first = list(bare["account_id"].head(SHOWN))
        found.append(("accounts", "unit_without_point", len(bare), money, first))
    rows = [(*row[:4], _first(row[4], "account_id")) for row in found]
    read, money = (sum(row[c] for row in seen.values()) for c in ("n", "money"))
    return rows, {"accounts": _count(read, money, used, rows)}


def _owned(by: ir.Table, placed: ir.Table, totals: list[str]) -> ir.Table:
    """Tell of the sums by account whether the account is used, was set aside, or is unknown."""
    known = placed.filter(placed["account_id"] != "")
    known = known.select(
        known="account_id", state=(known["reason"] == "").ifelse("used", "account_set_aside")
    )
    owned = by.left_join(known, by["account_id"] == known["known"])
    state = owned["state"].fill_null("orphan")
    if totals:
        state = owned["account_id"].isin(totals).ifelse("total_row", state)
    return owned.mutate(state=state)


def _states(owned: ir.Table, totals: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Sum the lines that have a day by what they belong to; totals without an id are no orphans."""
    rows = fetched(
        owned.group_by("state").agg(
            ids=owned.count(),
            n=owned["n"].sum(),
            money=owned["money"].sum(),
            gross=owned["money"].abs().sum(),
            n_year=owned["n_year"].sum(),
            revenue=owned["revenue"].sum(),
        )
    )
    none: dict[str, Any] = {"ids": 0, "n": 0, "money": Decimal(0), "gross": Decimal(0), "n_year": 0}
    names = ("used", "orphan", "account_set_aside", "total_row")
    states = {name: none | {"revenue": Decimal(0)} for name in names}
    states |= {row["state"]: row for row in rows}
    (n, money), orphan, total = totals["blank"], states["orphan"], states["total_row"]
    for state, by in ((orphan, -1), (total, 1)):
        state["n"] += by * n
        state["money"] += by * money
    orphan["gross"] -= money
    orphan["ids"] -= bool(n and not orphan["n"])
    return states


def _sales_findings(
    lines: ir.Table,
    seen: dict[str, Any],
    owned: ir.Table,
    totals: dict[str, Any],
    until: date | None,
    limit: float,
) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    states = _states(owned, totals)
    _refuse_orphans(states, owned, limit)
    found = _unread_findings(lines, seen, totals)
    for rule in ("orphan", "account_set_aside"):
        if n := states[rule]["n"]:
            first = _examples(owned.filter(owned["state"] == rule), "account_id")
            found.append(("sales", rule, n, states[rule]["money"], first))
    undated, summed = totals["undated"], states["total_row"]
    if n := summed["n"] + undated[0]:
        # A total is the sum of other rows: its money is counted there.
        found.append(("sales", "total_row", n, 0, totals["ids"][:SHOWN]))
    gone = [*states.values(), {"n": seen["far"], "money": seen["far_money"]}]
    late = seen["n"] - seen["not_a_number"] - seen["foreign"] - seen["not_a_date"]
    if n := late - _sum(gone, "n"):
        money = seen["money"] - seen["undated"] - _sum(gone, "money")
        own = lines.filter(lines["amount"].notnull(), lines["foreign"].isnull())
        ends = [ibis.literal(day, dt.date) for day in (until, seen["reach"])]
        after = own.filter(own["day"] > ends[0], own["day"] <= ends[1])
        first = _examples(after.mutate(text=after["day"].cast(str)), "text")
        found.append(("sales", "after_as_of", n, money, first))
    used = states["used"]
    if old := used["n"] - used["n_year"]:
        found.append(("sales", "older", old, used["money"] - used["revenue"], []))
    money = seen["money"] - summed["money"] - undated[1]
    return found, _count(seen["n"], money, used, found) | {
        "in_revenue": int(used["n_year"]),
        "money_in_revenue": _grosze(used["revenue"]),
    }


def _unread_findings(
    lines: ir.Table, seen: dict[str, Any], totals: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """Say which lines have no amount, no day, a day far away, or another currency."""
    found: list[tuple[Any, ...]] = []
    no_amount, no_day = lines["amount"].isnull(), lines["day"].isnull()
    if n := seen["not_a_number"]:
        found.append(("sales", "not_a_number", n, 0, _examples(lines.filter(no_amount), "unread")))
    if n := seen["not_a_date"] - totals["undated"][0]:
        undated = lines.filter(no_day & ~no_amount & lines["foreign"].isnull())
        money = seen["undated"] - totals["undated"][1]
        found.append(("sales", "not_a_date", n, money, _examples(undated, "unread")))
    if n := seen["far"]:
        found.append(("sales", "far_future", n, seen["far_money"], seen["far_days"]))
    if n := seen["foreign"]:
        found.append(("sales", "foreign_currency", n, 0, _by_currency(lines)))
    if n := seen["converted"]:
        found.append(("sales", "converted", n, seen["turned"], []))
    return found


def _refuse_orphans(states: dict[str, dict[str, Any]], owned: ir.Table, limit: float) -> None:
    """Refuse sales of which too much belongs to accounts not listed; an account weighs by its sum."""
    orphan = states["orphan"]
    gross = _sum([state for rule, state in states.items() if rule != "total_row"], "gross")
    if gross and orphan["gross"] > Decimal(repr(limit)) * gross:
        first = _examples(owned.filter(owned["state"] == "orphan"), "account_id")
        share = float(orphan["gross"] / gross)
        raise DataError(
            "refusal.stop", table="sales", what=many_orphans(share, limit, orphan["ids"], first)
        )


def _by_currency(lines: ir.Table) -> list[str]:
    """Sum foreign money by its currency, as written."""
    rows = lines.filter(lines["amount"].notnull(), lines["foreign"].notnull())
    sums = fetched(rows.group_by("foreign").agg(money=rows["amount"].sum()))
    return sorted(f"{row['foreign'][:12]} {_grosze(row['money'])}" for row in sums)[:SHOWN]


def _count(
    read: int, money: Decimal | None, used: dict[str, Any], found: list[tuple[Any, ...]]
) -> dict[str, Any]:
    money = money or Decimal(0)
    return {
        "read": int(read),
        "used": int(used["n"]),
        "set_aside": int(read - used["n"]),
        "money_read": _grosze(money),
        "money_used": _grosze(used["money"]),
        "money_set_aside": _grosze(money - used["money"]),
        "money_unknown": sum(int(n) for _, rule, n, lost, _ in found if _unknown(rule, lost)),
    }


def _first(rows: ir.Table | list[str], column: str) -> list[str]:
    return rows if isinstance(rows, list) else _examples(rows, column)


def _examples(rows: ir.Table, column: str) -> list[str]:
    """Return the first values in the order of their bytes, whatever the database sorts by."""
    low = rows.select(value=rows[column].fill_null("")).distinct().order_by("value").limit(SHOWN)
    return [str(row["value"])[:60] or "(blank)" for row in fetched(low)]


def findings_table(found: list[tuple[Any, ...]], words: Words) -> pd.DataFrame:
    """Make the table of findings in a reader's language; money is blank where it is unknown."""
    rows = [
        (
            table,
            rule,
            RULES[rule],
            n,
            "" if _unknown(rule, money) else _grosze(money),
            words.tell(Told(f"rollup.found_{rule}")),
            " | ".join(first),
        )
        for table, rule, n, money, first in sorted(found, key=lambda row: row[:2])
    ]
    return pd.DataFrame(rows, columns=FINDINGS)


def _unknown(rule: str, money: Any) -> bool:
    """Tell whether there is money of which nothing is known."""
    return rule in UNKNOWN and not money


def _written(expression: ir.Table, *, potential: bool) -> pd.DataFrame:
    """Fetch units as text, sorted by the bytes of their ids whatever the database sorts by."""
    rows = sorted(fetched(expression), key=lambda row: row["unit_id"])
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


def _grosze(money: Any) -> str:
    return str(Decimal(money or 0).quantize(Decimal("0.01"), ROUND_HALF_UP))


def _require(table: str, rows: ir.Table) -> None:
    missing = [c for c in NEEDED[table] if c not in rows.columns]
    if table == "accounts" and not ({"lat", "lon"} <= set(rows.columns) or "area_id" in rows):
        missing += [c for c in ("lat", "lon") if c not in rows.columns]
    if missing:
        found = ", ".join(rows.columns[:12])
        named = {"columns": ", ".join(missing), "found": found, "name": table}
        told = Told("finding.missing_column", **named)
        raise DataError("refusal.stop", table=table, what=told)
