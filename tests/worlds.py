"""Markets small enough to solve in one's head."""

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely.geometry import box

from terrlib.inputs.market import Market
from terrlib.runs import said_findings
from terrlib.show.words import Words

COLUMNS: dict[str, tuple[str, str]] = {
    # table -> (name of the index, columns); what Market promises, for tables nobody gave.
    "reps": (
        "rep_id",
        "name home_lat home_lon role fte seniority skills cost_year languages hired leaves "
        "max_home_km can_relocate max_territories region",
    ),
    "sales": ("", "account_id date amount product_line"),
    "opportunities": (
        "opp_id",
        "account_id created_date close_date stage is_closed is_won amount type lead_source rep_id",
    ),
    "stages": ("", "opp_id date stage"),
    "channels": (
        "channel",
        "label_pl label_en consent_needed fixed_cost cost_per_contact max_contacts response_rate "
        "response_rate_source lead_to_opp_rate lead_lag_m rep_h min_spend named category",
    ),
    "responses": ("", "month channel area_id territory spend leads"),
    "judged": ("", "channel zero plus50 saturation spend leads"),
    "distributors": (
        "distributor_id",
        "name discount_rate push_factor support_cost_year annual_capacity contract_end",
    ),
    "distributor_areas": ("", "distributor_id area_id coverage_rate exclusive"),
    "assignments": ("", "account_id territory rep_id segment"),
    "activities": ("", "account_id date kind minutes"),
    "targets": ("", "quarter amount"),
    "market_structure": ("", "area_id industry size_class n_firms"),
    "overrides": ("", "unit_id territory reason who date"),
    "groups": ("", "rule group unit_id"),
    "forbidden": ("", "unit_id territory reason"),
    "rep_locks": ("", "territory rep_id rule reason"),
    "named_accounts": ("", "overlay account_id territory"),
    "travel": ("", "unit_id to km minutes"),
    "quality": ("", "table key rule severity field value message money"),
}
LAT, LON, STEP = 52.0, 19.0, 0.1
KM_PER_DEGREE = 6371.0088 * 3.141592653589793 / 180
KM_PER_DEGREE_LON = KM_PER_DEGREE * 0.6156614753256583  # at 52 degrees north


def empty(table: str) -> pd.DataFrame:
    """One of the tables nobody gave."""
    index, columns = COLUMNS[table]
    frame = pd.DataFrame({name: pd.Series(dtype=object) for name in columns.split()})
    return frame.rename_axis(index or None)


def table(name: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of one table, with the columns that were left out added as blanks."""
    index, columns = COLUMNS[name]
    frame = pd.DataFrame(list(rows))
    wanted = ([index] if index else []) + columns.split()
    frame = frame.reindex(columns=wanted)
    for column in frame.columns[frame.columns.str.endswith("date")]:
        frame[column] = pd.to_datetime(frame[column])
    return frame.set_index(index).sort_index() if index else frame


def line_market(
    revenue: Sequence[float],
    *,
    accounts: Sequence[dict[str, Any]] | None = None,
    as_of: str | None = "2026-09-30",
    quarter: str = "2026Q4",
    **given: Sequence[dict[str, Any]],
) -> Market:
    """One square unit per number in a row, west to east: a, b, c, ... with one account in each.

    Parameters
    ----------
    revenue
        Revenue of the account in the middle of each square; 0 makes it a prospect.
    accounts
        One mapping per number with columns to replace, like {"employees": 12, "unit_id": "a"};
        an account keeps the id A-a, A-b, ... whatever its columns.
    given
        Rows of further tables: reps=[...], sales=[...], opportunities=[...], assignments=[...].

    The squares are 0.1 degrees wide (6.85 km) at 52 degrees north and touch their neighbours only.
    """
    n = len(revenue)
    names = list(ascii_lowercase[:n]) if n <= 26 else [f"u{i:04d}" for i in range(n)]
    lon = [LON + STEP * i for i in range(n)]
    place = {
        "lat": [LAT] * n,
        "lon": lon,
        "x_km": [KM_PER_DEGREE_LON * (x - LON) for x in lon],
        "y_km": [0.0] * n,
    }
    units = gpd.GeoDataFrame(
        {"name": names, **place, "n_accounts": [1] * n},
        index=pd.Index(names, name="unit_id"),
        geometry=[box(x - STEP / 2, LAT - STEP / 2, x + STEP / 2, LAT + STEP / 2) for x in lon],
        crs=4326,
    )
    plain = pd.DataFrame(
        {
            "name": [f"Account {name}" for name in names],
            "status": ["customer" if r > 0 else "prospect" for r in revenue],
            "unit_id": names,
            "area_id": [""] * n,
            "site_id": [f"A-{name}" for name in names],
            **place,
            "revenue": [float(r) for r in revenue],
            "potential": [float("nan")] * n,
            "industry": [""] * n,
            "employees": [float("nan")] * n,
            "annual_turnover": [float("nan")] * n,
            "customer_since": [pd.NaT] * n,
            "town": names,
            "region": [""] * n,
            "postal_code": [""] * n,
            "protected": [False] * n,
            "consent_email": [False] * n,
            "consent_phone": [False] * n,
            "consent_sms": [False] * n,
            "consent_post": [True] * n,
            "consents_known": [True] * n,
        },
        index=pd.Index([f"A-{name}" for name in names], name="account_id"),
    )
    for account_id, change in zip(plain.index, accounts or [], strict=False):
        for column, value in change.items():
            plain.loc[account_id, column] = value
    if "channels" in given:
        plain_channel = {"named": True, "category": "marketing"}
        given["channels"] = [plain_channel | row for row in given["channels"]]
    tables = {name: table(name, given[name]) if name in given else empty(name) for name in COLUMNS}
    return Market(
        accounts=plain,
        units=units,
        neighbors=pd.DataFrame({"unit_a": names[:-1], "unit_b": names[1:]}, dtype=object),
        areas=gpd.GeoDataFrame(
            {"name": [], "region": [], "lat": [], "lon": [], "must_direct": []},
            index=pd.Index([], name="area_id", dtype=object),
            geometry=[],
            crs=4326,
        ),
        given=frozenset({"accounts", *given}),
        set_aside={},
        as_of=None if as_of is None else pd.Timestamp(as_of),
        quarter=quarter,
        currency="PLN",
        country="PL",
        **tables,
    )


def said(market, locale="en"):
    """Findings of a market with their sentences, as quality.csv holds them."""
    return said_findings(Words(locale, market.currency), market.quality)
