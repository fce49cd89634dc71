"""Several ways of covering accounts at once: who is in which, and what counts where.

The run's own territories hold every account. An overlay (key accounts, specialists) holds those in
its scope once more, in territories and with reps of its own, and may be credited with measures;
what it is credited with counts there and nowhere else. An area that a contract leaves to a partner
counts nowhere. Salesforce Enterprise Territory Management knows the same: an account may lie in
several territories, and each sale is credited once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from terrlib.decisions.staffing import away
from terrlib.errors import DataError, InfeasibleError, SettingsError
from terrlib.inputs import units as shaping
from terrlib.inputs.load import MANAGER, overlay_reps
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import FIELD, PARTNER, Change, Overlay, Regions, Settings
from terrlib.measures.facts import MEASURES
from terrlib.measures.geometry import great_circle_km, road_km
from terrlib.measures.scorecard import territory_shapes
from terrlib.show.words import Told
from terrlib.solve.assign import EMPTY, assign

PRECEDENCE = ("named", "volume", "segment", "geography")
NAMED_CLASS = "A"  # accounts that stay with our own reps beside a partner
TRAITS = ("segment", "size_class", "abc", "tier", "class", "status", "industry", "area_id")
PRODUCT = "product_line"  # bought in the last 12 months
PLACES = ("town", "region", "postal_code", "language")
# What belongs to each measure of an account.
PARTS = {
    "workload_h": ["visits", "travel_km", "visit_h", "call_h", "travel_h", "workload_h"],
    "potential": ["potential", "potential_low", "potential_high", "white_space", "ev", "pipeline"],
    "revenue": ["revenue"],
    "count": ["count"],
}


def ordered(overlays: Mapping[str, Overlay]) -> list[str]:
    """Order overlays by who is credited first: named, volume, segment, geography; then as listed.

    Examples
    --------
    >>> ordered({"chains": Overlay(by="segment"), "key": Overlay(by="named")})
    ['key', 'chains']
    """
    return sorted(overlays, key=lambda name: PRECEDENCE.index(overlays[name].by))


def scope(market: Market, facts: pd.DataFrame, name: str, asked: Overlay) -> pd.Index:
    """Find the accounts that an overlay serves.

    Parameters
    ----------
    market
        Its accounts, and the table named_accounts.
    facts
        Indexed by account_id: segment, size_class, abc and the rest of `account_facts`.
    name, asked
        The overlay.

    Returns
    -------
    Index of account_id, sorted

    Raises
    ------
    SettingsError
        If an account, column or value does not exist, or nobody is in scope.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> facts = pd.DataFrame({"abc": ["A", "B"]}, index=["a", "b"])
    >>> market = SimpleNamespace(accounts=facts[[]])
    >>> scope(market, facts, "key", Overlay(who={"abc": "A"})).tolist()
    ['a']
    """
    if isinstance(asked.who, Mapping):
        found = _fitting(market, facts, name, asked.who)
    elif asked.who:
        _known(f"overlays.{name}.who", asked.who, list(facts.index), "account")
        found = facts.index[facts.index.isin(asked.who)]
    elif asked.by == "named":
        rows = market.named_accounts
        found = facts.index[facts.index.isin(rows.loc[rows["overlay"] == name, "account_id"])]
    else:
        found = facts.index
    if not len(found):
        named = asked.by == "named" and not asked.who
        key = "refusal.empty_scope_named" if named else "refusal.empty_scope"
        raise SettingsError(key, overlay=name)
    return found.sort_values()


def _fitting(
    market: Market, facts: pd.DataFrame, name: str, who: Mapping[str, list[str]]
) -> pd.Index:
    """Accounts with every value asked for."""
    where = f"overlays.{name}.who"
    known = {c: facts[c] for c in TRAITS if c in facts}
    known |= {c: market.accounts[c].reindex(facts.index) for c in PLACES if c in market.accounts}
    if PRODUCT in who:
        known[PRODUCT] = _bought(market)
    _known(where, list(who), [*known, PRODUCT], "column")
    found = facts.index
    for column, values in who.items():
        texts = known[column].astype(str)
        _known(f"{where}.{column}", values, sorted(set(texts) - {""}), "value")
        found = found[found.isin(texts.index[texts.isin(values)])]
    return found


def _bought(market: Market) -> pd.Series:
    """Product lines of the last 12 months: account_id, as often as it bought, -> product line."""
    sales = market.sales
    if len(sales) and market.as_of is not None:
        sales = sales[sales["date"] > market.as_of - pd.DateOffset(years=1)]
    return sales.set_index("account_id")["product_line"].fillna("")


def _known(where: str, asked: list[str], there: list[str], what: str) -> None:
    unknown = [one for one in asked if one not in set(there)]
    if unknown:
        near = difflib.get_close_matches(unknown[0], there, n=1)
        known = (
            Told("refusal.there_are", names=there[:8]) if there else Told("refusal.there_is_none")
        )
        hint = Told("refusal.did_you_mean_quoted", name=near[0]) if near else known
        many = {"n": len(unknown), "of": len(asked)}
        raise SettingsError(
            f"refusal.unknown_{what}", where=where, **many, name=unknown[0], hint=hint
        )


def credit(market: Market, facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Decide where each measure of each account counts: once.

    Parameters
    ----------
    market, facts
        Partners' exclusive areas; what is measured of every account.
    settings
        `overlays`. Where several are credited with one measure of one account, a named list goes
        before volume, volume before segment, segment before geography, and then the one listed
        first.

    Returns
    -------
    DataFrame indexed by account_id, one column for each of workload_h, potential, revenue, count
        field (the run's own territories), the overlay's name, or partner: left to the partner
        whose contract is exclusive there, but for A customers and named accounts.

    Raises
    ------
    SettingsError
        If the scope of an overlay is empty or asks for what does not exist.
    """
    table = pd.DataFrame(FIELD, index=facts.index, columns=MEASURES)
    left = exclusive_partner(market, facts) != ""
    for name in reversed(ordered(settings.overlays)):
        asked = settings.overlays[name]
        inside = scope(market, facts, name, asked)
        table.loc[inside, list(asked.credits)] = name
        if asked.by == "named":
            left[inside] = False
    table.loc[left] = PARTNER
    return table


def exclusive_partner(market: Market, facts: pd.DataFrame) -> pd.Series:
    """Partner to whom a contract leaves an account: account_id -> distributor_id, "" for none.

    A customers stay with our own reps, and so does all of an area that must be sold directly; a
    contract that ended before the quarter planned for leaves nothing.
    """
    none = pd.Series("", index=facts.index, dtype=object)
    areas = market.distributor_areas
    areas = areas[areas["exclusive"].fillna(value=False).astype(bool)] if len(areas) else areas
    if not len(areas):
        return none
    ended = [has_ended(market, day) for day in market.distributors["contract_end"]]
    gone = market.distributors.index[ended]
    strategic = market.areas.index[market.areas["must_direct"].fillna(value=False).astype(bool)]
    areas = areas[~areas["distributor_id"].isin(gone) & ~areas["area_id"].isin(strategic)]
    partner = areas.drop_duplicates("area_id").set_index("area_id")["distributor_id"]
    left = facts["area_id"].map(partner)
    return none.where(left.isna() | (facts["abc"] == NAMED_CLASS), left)


def has_ended(market: Market, contract_end: object) -> bool:
    """Whether a contract ended before the first day of the quarter planned for."""
    if pd.isna(contract_end) or not market.quarter[:4].isdigit():
        return False
    first = pd.Period(market.quarter, freq="Q").start_time
    return bool(pd.Timestamp(contract_end) < first)


def counted(
    facts: pd.DataFrame, credited: pd.DataFrame, name: str = FIELD, asked: Overlay | None = None
) -> pd.DataFrame:
    """Leave of every account only what counts in one way of covering accounts.

    Parameters
    ----------
    facts
        As `account_facts`.
    credited
        As `credit`, for the accounts of `facts` at least.
    name, asked
        The run's own territories, or an overlay. Of an overlay the measures that it is credited
        with are 0 where another goes before it; others describe its accounts and count elsewhere.

    Returns
    -------
    DataFrame
        `facts` with 0 in what counts elsewhere; the rows stay.
    """
    facts = facts.copy()
    for measure in MEASURES if asked is None else asked.credits:
        away = credited.loc[facts.index, measure] != name
        columns = [c for c in PARTS[measure] if c in facts]
        facts.loc[away, columns] = 0.0
    return facts


# ---------------------------------------------------------------------------- as a market


def overlay_market(market: Market, facts: pd.DataFrame, settings: Settings, name: str) -> Market:
    """Make an overlay a market of its own, so that it is drawn and staffed like any other.

    Parameters
    ----------
    market, facts
        The run's.
    settings
        `overlays[name]`, `crs`.
    name
        The overlay.

    Returns
    -------
    Market
        Accounts in scope, on the units that `by` asks for; its reps; its named accounts with a
        territory as overrides. Who holds what today, locks on units and prices of change speak of
        the run's own territories and are left out.

    Raises
    ------
    DataError
        If accounts of one unit are placed in several territories.
    SettingsError
        As `scope`.
    """
    asked = settings.overlays[name]
    accounts = market.accounts.loc[scope(market, facts, name, asked)].assign(protected=False)
    units, neighbors, accounts, places = _units(market, accounts, settings, asked.by)
    reps = market.specialists
    reps = reps[reps.index.isin(overlay_reps(reps, asked))] if len(reps) else market.reps.iloc[:0]
    held = market.named_accounts
    held = held[(held["overlay"] == name) & (held["territory"].fillna("") != "")]
    held = held[held["account_id"].isin(accounts.index)]
    unit_id = held["account_id"].map(accounts["unit_id"])
    overrides = pd.DataFrame({"unit_id": unit_id, "territory": held["territory"]}).drop_duplicates()
    if (torn := overrides["unit_id"].duplicated()).any():
        where = overrides.loc[torn, "unit_id"].iloc[0]
        raise DataError("refusal.named_torn", overlay=name, unit=where)
    locks = market.rep_locks
    return replace(
        market,
        accounts=accounts,
        units=units,
        neighbors=neighbors,
        places=places,
        reps=reps,
        rep_locks=locks[locks["rep_id"].isin(reps.index)].reset_index(drop=True),
        overrides=overrides.reindex(columns=market.overrides.columns),
        travel=market.travel if asked.by == "geography" else market.travel.iloc[:0],
        given=market.given | {"reps"} if len(reps) else market.given - {"reps"},
        **_without_today(market),
    )


def _without_today(market: Market) -> dict[str, pd.DataFrame]:
    """Tables that speak of the run's own units and territories, emptied."""
    names = ("assignments", "groups", "forbidden", "named_accounts")
    return {name: getattr(market, name).iloc[:0] for name in names}


def _units(
    market: Market, accounts: pd.DataFrame, settings: Settings, by: str
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, pd.DataFrame, bool]:
    """Units of an overlay, who touches whom, its accounts on them, and whether they are places."""
    if by == "geography":
        units, neighbors, places = market.units, market.neighbors, market.places
    else:
        crs = shaping.metric_crs(settings, market.accounts, market.areas)
        if by == "named":
            land = shapely.union_all(market.units.geometry.to_crs(crs).to_numpy())
            units, _, unit_of = shaping.location_units(accounts, land, crs)
            accounts, places = accounts.assign(unit_id=unit_of), True
        else:
            unit_of = (shaping.segments if by == "segment" else shaping.volumes)(accounts)
            accounts, places = accounts.assign(unit_id=unit_of), False
            units = shaping.class_units(accounts, crs)
        units, neighbors = units.sort_index(), shaping.no_pairs()
    size = accounts.groupby("unit_id").size().reindex(units.index, fill_value=0)
    return units.assign(n_accounts=size), neighbors, accounts, places


def overlay_settings(settings: Settings, name: str) -> Settings:
    """Settings of an overlay as those of a run: its number of territories, balance and names."""
    asked = settings.overlays[name]
    territories = settings.territories.model_copy(
        update={
            "count": asked.count,
            "balance": asked.balance,
            "centres": "free",
            "change": Change(),
            "whole": asked.by == "geography" and settings.territories.whole,
            "prefix": "".join(
                part[0] for part in name.replace("-", "_").split("_") if part
            ).upper(),
        }
    )
    changes = {"territories": territories, "overlays": {}, "regions": Regions()}
    return settings.model_copy(update=changes)


# ---------------------------------------------------------------------------- regions


def managers(market: Market, role: str = MANAGER) -> pd.DataFrame:
    """Those who lead regions, or partners (`CHANNEL_MANAGER`), in the quarter planned for."""
    reps = market.specialists
    return reps[(reps["role"] == role) & ~away(market, reps)] if len(reps) else reps


def region_market(market: Market, territory: pd.Series, measures: pd.DataFrame) -> Market:
    """Make territories the units of a market, so that regions are drawn like territories.

    Parameters
    ----------
    market
        Its units and who touches whom.
    territory
        unit_id -> territory.
    measures
        unit_id x workload_h, ...: where the middle of a territory lies.

    Returns
    -------
    Market
        Two territories touch where units of theirs do. Without rules, reps and today's alignment.
    """
    shapes = territory_shapes(market, territory).set_index("territory").geometry
    weight = measures["workload_h"].reindex(territory.index).fillna(0.0) + 1e-9
    place = market.units.loc[territory.index, ["lat", "lon", "x_km", "y_km"]]
    middle = place.mul(weight, axis=0).groupby(territory).sum()
    middle = middle.div(weight.groupby(territory).sum(), axis=0).rename_axis("unit_id")
    pairs = pd.DataFrame(
        np.sort(
            market.neighbors[["unit_a", "unit_b"]].apply(lambda c: c.map(territory)).to_numpy(str),
            axis=1,
        ),
        columns=["unit_a", "unit_b"],
    ).drop_duplicates()
    accounts = market.accounts.assign(protected=False)
    accounts["unit_id"] = accounts["unit_id"].map(territory)
    size = accounts.groupby("unit_id").size().reindex(middle.index, fill_value=0)
    units = gpd.GeoDataFrame(
        middle.assign(name=middle.index, n_accounts=size),
        geometry=shapes.reindex(middle.index).to_numpy(),
        crs=shapes.crs,
    )
    return replace(
        market,
        accounts=accounts,
        units=units,
        neighbors=pairs[pairs["unit_a"] != pairs["unit_b"]].reset_index(drop=True),
        reps=market.reps.iloc[:0],
        rep_locks=market.rep_locks.iloc[:0],
        overrides=market.overrides.iloc[:0],
        travel=market.travel.iloc[:0],
        **_without_today(market),
    )


def region_settings(settings: Settings, count: int) -> Settings:
    """Settings of the regions as those of a run."""
    territories = settings.territories.model_copy(
        update={
            "count": count,
            "balance": settings.regions.balance,
            "centres": "free",
            "change": Change(),
            "prefix": "R",
            "fair_share_by_fte": False,
        }
    )
    return settings.model_copy(
        update={"territories": territories, "overlays": {}, "regions": Regions()}
    )


def lead_regions(
    regions: pd.Series, units: pd.DataFrame, leads: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    """Give every region the manager who lives nearest to its territories, and that one's name for it.

    Parameters
    ----------
    regions
        territory -> region as drawn.
    units
        Indexed by territory: lat, lon of its middle.
    leads
        Indexed by rep_id: home_lat, home_lon, region; may be empty.
    settings
        `workload`, for km by road.

    Returns
    -------
    DataFrame, a row for each territory
        territory, region (the manager's `region`, else as drawn), rep_id (the manager, `VACANT`
        where there are fewer managers than regions)

    Examples
    --------
    >>> regions = pd.Series({"T1": "R1", "T2": "R2"})
    >>> units = pd.DataFrame({"lat": [52.0, 50.0], "lon": [19.0, 19.0]}, index=["T1", "T2"])
    >>> leads = pd.DataFrame(
    ...     {"home_lat": [50.1], "home_lon": [19.0], "region": ["South"]}, index=["M1"]
    ... )
    >>> lead_regions(regions, units, leads, Settings()).to_numpy().tolist()
    [['T1', 'R1', 'VACANT'], ['T2', 'South', 'M1']]
    """
    names = sorted(regions.unique())
    table = pd.DataFrame({"territory": regions.index, "region": regions.to_numpy()})
    table["rep_id"] = VACANT
    if not len(leads):
        return table
    at = units.loc[regions.index]
    way = great_circle_km(
        at["lat"].to_numpy()[:, None],
        at["lon"].to_numpy()[:, None],
        leads["home_lat"].to_numpy(float)[None],
        leads["home_lon"].to_numpy(float)[None],
    )
    km = pd.DataFrame(road_km(np.asarray(way), settings.workload), index=regions.index)
    cost = km.groupby(regions).sum().reindex(names).to_numpy(float)
    chosen, _ = assign(cost, None, np.full(len(names), float(cost.sum()) + 1))
    called = {
        name: (str(leads["region"].iloc[j]) or name, str(leads.index[j]))
        for name, j in zip(names, chosen, strict=True)
        if j != EMPTY
    }
    both = [called.get(name, (name, VACANT)) for name in table["region"]]
    return table.assign(region=[b[0] for b in both], rep_id=[b[1] for b in both])


def refuse_few_territories(count: int, territories: int) -> None:
    """Refuse more regions than there are territories.

    Raises
    ------
    InfeasibleError
        With both numbers.
    """
    if count > territories:
        raise InfeasibleError("refusal.too_few_for_regions", n=count, k=territories)
