"""From settings and a folder of files to a market that can be trusted."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from terrlib.errors import DataError, SettingsError
from terrlib.inputs import duplicates, mapping, places, quality, read, trust, units
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.quality import Ledger
from terrlib.inputs.settings import Overlay, Settings, TableFile, make_settings
from terrlib.inputs.tables import COLUMNS, CONSENTS, KEYS
from terrlib.inputs.values import fold
from terrlib.show.words import Told, either, some

UNDATED = "undated"
PLACES = ("accounts", "areas", "grid")
MANAGER = "manager"  # leads a region and holds no territory
CHANNEL_MANAGER = "channel_manager"  # leads partners and holds none either
LISTS = ("groups", "rep_locks", "named_accounts")
SIZE_CLASSES = tuple(name for _, name in units.SIZES)


def load_market(settings: Settings, folder: Path) -> Market:
    """Read every table that the settings name, pass the data gate, and freeze the market.

    Parameters
    ----------
    settings
        What is asked.
    folder
        The data folder; no file outside it is read.

    Raises
    ------
    SettingsError
        If a file is absent or outside the folder, or no accounts are named.
    DataError
        If the tables cannot be trusted; all stops at once.
    """
    if "accounts" not in settings.tables:
        raise SettingsError("refusal.no_accounts_named")
    ledger, raw, broken = Ledger(settings.quality), {}, []
    for table, spec in settings.tables.items():
        try:
            raw[table] = read.read_table(folder, table, spec)
        except DataError as fault:
            broken.append(fault.said)
    for told in broken:
        ledger.stop("files", "missing_column", told)
    raw = {t: quality.closed_by_stage(ledger, t, rows) for t, rows in raw.items()}
    good = [t for t in raw if quality.require_columns(ledger, t, raw[t], settings.tables)]
    rows = {t: _trusted(settings, ledger, t, raw[t]) for t in good}
    rows |= {t: quality.once(ledger, t, rows[t]) for t in LISTS if t in rows}
    if "accounts" in rows:
        rows["accounts"] = quality.in_country(ledger, rows["accounts"], settings.country)
    if "accounts" in rows and not len(rows["accounts"]):
        ledger.stop("accounts", "no_rows", Told("refusal.no_rows_left"))
    ledger.refuse()
    for table in COLUMNS:
        rows.setdefault(table, _empty(table))
    return _assemble(settings, folder, ledger, rows, frozenset(raw))


def _trusted(settings: Settings, ledger: Ledger, table: str, raw: pd.DataFrame) -> pd.DataFrame:
    signed = quality.written_currency(table, raw, settings.currency)
    typed = quality.merge_spellings(ledger, table, quality.typed(ledger, table, signed))
    return quality.in_currency(ledger, table, typed, settings.currency)


def read_lone(path: Path) -> pd.DataFrame:
    """Read a lone file as text, under its own column names.

    Raises
    ------
    DataError
        If it is no table.
    """
    return read.read_table(path.parent, "the file", TableFile(file=path.name))


def simplest_settings(path: Path, rows: pd.DataFrame | None = None) -> Settings:
    """Make settings for a lone file of accounts: columns recognised for certain are mapped.

    Parameters
    ----------
    path
        A CSV, Excel or Parquet file.
    rows
        What `read_lone` returned for it, where it was read already.

    Raises
    ------
    DataError
        If it is no table.
    """
    rows = read_lone(path) if rows is None else rows
    found = mapping.certain(mapping.propose(rows))
    columns = {ours: theirs for ours, theirs in found.items() if ours not in rows.columns}
    status = columns.get("status", "status")
    words = mapping.status_values(rows[status]) if status in rows.columns else {}
    stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem).strip("-")
    accounts = {"file": path.name, "columns": columns, "values": {"status": words} if words else {}}
    return make_settings({"plan": stem[:40] or "plan", "tables": {"accounts": accounts}})


def _empty(table: str) -> pd.DataFrame:
    dtypes = {"key": str, "text": str, "date": "datetime64[ns]", "flag": bool}
    return pd.DataFrame(
        {c.name: pd.Series(dtype=dtypes.get(c.kind, float)) for c in COLUMNS[table].values()}
    )


def _assemble(
    settings: Settings,
    folder: Path,
    ledger: Ledger,
    rows: dict[str, pd.DataFrame],
    given: frozenset[str],
) -> Market:
    listed = _match_ids(ledger, rows)
    try:
        areas = _areas(settings, folder, ledger, rows["areas"])
    except DataError as fault:
        # What else is wrong is told with it; without areas codes cannot be compared to any.
        ledger.stop("areas", "missing_column", fault.said)
        _note_orphans(ledger, rows, listed)
        ledger.refuse()
    for table in ("accounts", "distributor_areas", "market_structure", "responses"):
        rows[table] = quality.repair_codes(ledger, table, rows[table], areas["area_id"])
    rows["distributor_areas"] = _known_areas(ledger, rows["distributor_areas"], areas["area_id"])
    for table, column in (("sales", "date"), ("opportunities", "created_date")):
        rows[table] = quality.in_reach(ledger, table, rows[table], column)
    as_of, quarter = _when(settings, rows["sales"], rows["opportunities"])
    accounts = rows["accounts"]
    if ledger.severity["negative_amount"] == quality.ASIDE:
        rows["sales"] = quality.credit_notes(ledger, rows["sales"])
    if "sales" in given:
        # Before any account is set aside, so that the money it holds is stated.
        accounts = accounts.assign(revenue=_last_year(accounts, rows["sales"], as_of))
    accounts = _located(settings, ledger, rows, accounts, areas["area_id"])
    own = accounts[["lat", "lon"]].mask(accounts["_guessed"])
    crs = units.metric_crs(settings, accounts, areas)
    if len(areas):
        nearest_km = settings.geography.nearest_km
        accounts = units.place_in_areas(ledger, accounts, areas, crs, nearest_km)
    else:
        accounts = accounts.assign(area_id="")
    # A point that was guessed, or the middle of an area, is nobody's address.
    placed = accounts.assign(**own.loc[accounts.index])
    alike = duplicates.propose(placed, settings.country)
    site = duplicates.sites(placed)
    accounts = accounts.assign(site_id=site.loc[accounts["account_id"]].to_numpy())
    accounts = quality.note_accounts(ledger, accounts, settings.country, alike)
    accounts = places.piles(ledger, accounts).drop(columns="_guessed")
    known = set(accounts["account_id"])
    dated = {"sales": "date", "opportunities": "created_date", "activities": "date"}
    for table, column in dated.items():
        rows[table] = quality.drop_orphans(ledger, table, rows[table], known, listed)
        rows[table] = quality.in_time(ledger, table, rows[table], column, as_of)
    rows["assignments"] = quality.drop_orphans(
        ledger, "assignments", rows["assignments"], known, listed
    )
    rows["assignments"] = _one_territory(ledger, rows["assignments"])
    rows["opportunities"] = _opportunities(ledger, rows["opportunities"], as_of)
    rows["stages"] = _stages(ledger, rows["stages"], rows["opportunities"], as_of)
    sales = quality.credit_notes(ledger, rows["sales"])
    ledger.refuse()
    trusted = trust.trust({**rows, "accounts": accounts}, ledger, given, alike, as_of, quarter)
    accounts = units.project(_settled(accounts), crs)
    unit, neighbors, accounts = _units(settings, ledger, accounts, areas, crs, rows["neighbors"])
    _match_units(ledger, rows, unit)
    _note_owners(ledger, rows)
    rows["named_accounts"] = quality.drop_orphans(
        ledger, "named_accounts", rows["named_accounts"], known, listed
    )
    ledger.refuse()
    reps, specialists = _by_overlay(_reps(rows["reps"]), settings)
    return Market(
        accounts=accounts,
        units=unit.assign(
            n_accounts=accounts.groupby("unit_id").size().reindex(unit.index, fill_value=0)
        ),
        neighbors=neighbors,
        reps=reps,
        specialists=specialists,
        sales=sales.sort_values(["account_id", "date"], kind="stable").reset_index(drop=True),
        opportunities=rows["opportunities"].set_index("opp_id").sort_index(),
        areas=areas.set_index("area_id").sort_index(),
        channels=_channels(rows["channels"]),
        responses=_responses(ledger, rows["responses"], rows["channels"], areas["area_id"]),
        judged=_judged(ledger, rows["judged"], rows["channels"]),
        distributors=_filled(
            rows["distributors"].set_index("distributor_id").sort_index(),
            push_factor=1.0,
            support_cost_year=0.0,
            annual_capacity=np.inf,
        ),
        distributor_areas=_distributor_areas(rows["distributor_areas"]),
        assignments=rows["assignments"].sort_values("account_id").reset_index(drop=True),
        stages=rows["stages"],
        activities=_activities(rows["activities"]),
        targets=rows["targets"].sort_values("quarter").reset_index(drop=True),
        market_structure=_structure(ledger, rows["market_structure"], areas["area_id"]),
        overrides=_overrides(rows["overrides"], unit),
        groups=_groups(rows["groups"], unit),
        forbidden=_known_units("forbidden", rows["forbidden"], unit),
        rep_locks=_rep_locks(rows["rep_locks"], rows["reps"]["rep_id"]),
        named_accounts=_named_accounts(rows["named_accounts"], settings),
        travel=_travel(rows["travel"], unit, rows["reps"]["rep_id"]),
        given=given,
        quality=ledger.table(),
        set_aside={table: pd.concat(parts) for table, parts in sorted(ledger.aside.items())},
        as_of=as_of,
        quarter=quarter,
        currency=settings.currency,
        country=settings.country,
        places=settings.units in PLACES,
        trust=trusted,
        duplicates=alike,
    )


def _located(
    settings: Settings,
    ledger: Ledger,
    rows: dict[str, pd.DataFrame],
    accounts: pd.DataFrame,
    area_ids: pd.Series,
) -> pd.DataFrame:
    """Put accounts on the map, and with them the homes of the reps among `rows`."""
    accounts = places.locate(ledger, accounts, area_ids, rows, settings)
    if not len(accounts):
        ledger.stop("accounts", "no_rows", Told("refusal.no_places"))
        ledger.refuse()
    rows["reps"] = places.find_homes(ledger, rows["reps"], accounts, rows, settings.country)
    return accounts


def _match_ids(ledger: Ledger, rows: dict[str, pd.DataFrame]) -> set[str]:
    """Match the ids by which tables refer to one another; return those of all accounts listed."""
    known = {
        "account_id": _listed(rows["accounts"], ledger),
        "rep_id": set(rows["reps"]["rep_id"]),
        "opp_id": set(rows["opportunities"]["opp_id"]),
    }
    for table in rows:
        for column, ids in known.items():
            if column in rows[table] and column != KEYS.get(table):
                rows[table] = quality.match_ids(ledger, table, rows[table], column, ids)
    return known["account_id"]


def _match_units(ledger: Ledger, rows: dict[str, pd.DataFrame], unit: gpd.GeoDataFrame) -> None:
    """Match the ids of units; note territories that today's assignments do not know."""
    for table in ("overrides", "groups", "forbidden", "travel"):
        rows[table] = quality.match_ids(ledger, table, rows[table], "unit_id", set(unit.index))
    present = sorted(set(rows["assignments"]["territory"]) - {""})
    for table in ("overrides", "forbidden") if present else ():
        strange = rows[table][~rows[table]["territory"].isin(present)]
        names = some(present)
        ledger.find(table, "unknown_territory", strange, "territory", names=names)


def _known_areas(ledger: Ledger, rows: pd.DataFrame, area_ids: pd.Series) -> pd.DataFrame:
    """Set aside what partners cover in areas that are not given."""
    gone = ~rows["area_id"].isin(area_ids)
    message = "unknown_area" if len(area_ids) else "no_areas"
    return ledger.set_aside("distributor_areas", "unknown_area", rows, gone, "area_id", message)


def _note_orphans(ledger: Ledger, rows: dict[str, pd.DataFrame], listed: set[str]) -> None:
    """Look for orphans among all rows of accounts, where they cannot be placed."""
    known = set(rows["accounts"]["account_id"])
    for table in ("sales", "opportunities", "assignments"):
        quality.drop_orphans(ledger, table, rows[table], known, listed)


def _listed(accounts: pd.DataFrame, ledger: Ledger) -> set[str]:
    """Ids of every account of the file, used or set aside."""
    aside = ledger.aside.get("accounts", [])
    return set(pd.concat([accounts["account_id"], *(part["account_id"] for part in aside)]))


def _areas(
    settings: Settings, folder: Path, ledger: Ledger, rows: pd.DataFrame
) -> gpd.GeoDataFrame:
    empty = gpd.GeoDataFrame(rows.assign(lat=0.0, lon=0.0), geometry=[None] * len(rows), crs=4326)
    if not len(rows):
        return empty
    shapes = read.read_shapes(folder, settings.tables["areas"])
    if shapes is None:
        raise DataError("refusal.no_shapes")
    joined = gpd.GeoDataFrame(
        rows.merge(shapes, on="area_id", how="left"), geometry="geometry", crs=4326
    )
    bare = joined[joined.geometry.isna() | joined.geometry.is_empty]
    if len(bare):
        many = {"n": len(bare), "of": len(joined), "examples": bare["area_id"].head(3).tolist()}
        raise DataError("refusal.areas_without_shape", **many)
    joined = units.repair(ledger, units.join_parts(ledger, joined))
    units.measure_areas(ledger, joined)
    place = joined.geometry.representative_point()
    return joined.assign(
        name=joined["name"].where(joined["name"] != "", joined["area_id"]), lat=place.y, lon=place.x
    )


def _when(
    settings: Settings, sales: pd.DataFrame, deals: pd.DataFrame
) -> tuple[pd.Timestamp | None, str]:
    """Last day that counts and the quarter planned for; the clock is never asked."""
    shut = deals["is_closed"].fillna(value=False).astype(bool)
    told = pd.concat([deals["created_date"], deals["close_date"].where(shut)])
    dates = sales["date"] if sales["date"].notna().any() else told
    last = dates.max() if dates.notna().any() else None
    if settings.quarter is None:
        return (last, f"{last.year}Q{last.quarter}") if last is not None else (None, UNDATED)
    before = pd.Period(settings.quarter, freq="Q").start_time - pd.Timedelta(days=1)
    return (min(last, before) if last is not None else None), settings.quarter


def _last_year(
    accounts: pd.DataFrame, sales: pd.DataFrame, as_of: pd.Timestamp | None
) -> pd.Series:
    since = as_of - pd.DateOffset(years=1) if as_of is not None else None
    year = sales[(sales["date"] > since) & (sales["date"] <= as_of)] if since is not None else sales
    return (
        accounts["account_id"].map(year.groupby("account_id")["amount"].sum()).fillna(0.0).round(2)
    )


def _opportunities(ledger: Ledger, deals: pd.DataFrame, as_of: pd.Timestamp | None) -> pd.DataFrame:
    shut = deals["is_closed"].fillna(value=False).astype(bool)
    wrong = shut & (deals["close_date"] < deals["created_date"])
    deals = ledger.set_aside(
        "opportunities",
        "closed_before_created",
        deals,
        wrong,
        "close_date",
    )
    undated = deals["is_closed"].fillna(value=False).astype(bool) & deals["close_date"].isna()
    deals = ledger.set_aside(
        "opportunities", "not_a_date", deals, undated, "close_date", "closed_undated"
    )
    deals = ledger.set_aside(
        "opportunities", "blank_amount", deals, deals["amount"].isna(), "amount"
    )
    shut = deals["is_closed"].fillna(value=False).astype(bool)
    # On the last day that counts nobody knew how they would end: that day they were open.
    later = shut & (deals["close_date"] > as_of) if as_of is not None else shut & False
    ledger.find("opportunities", "closed_after_as_of", deals[later], "close_date", day=as_of)
    return deals.assign(
        is_closed=shut & ~later,
        is_won=deals["is_won"].fillna(value=False).astype(bool) & ~later,
        stage=deals["stage"].mask(later, ""),
    )


def _stages(
    ledger: Ledger, rows: pd.DataFrame, deals: pd.DataFrame, as_of: pd.Timestamp | None
) -> pd.DataFrame:
    """Days on which deals entered their stages; those of unknown deals and later days are set aside."""
    gone = ~rows["opp_id"].isin(deals["opp_id"])
    rows = ledger.set_aside("stages", "orphan", rows, gone, "opp_id", "orphan_deal")
    rows = quality.in_time(ledger, "stages", rows, "date", as_of)
    return rows.sort_values(["opp_id", "date"], kind="stable", ignore_index=True)


def _settled(accounts: pd.DataFrame) -> pd.DataFrame:
    flags = {
        "protected": False,
        "consent_email": False,
        "consent_phone": False,
        "consent_sms": False,
        "consent_post": True,
    }
    asked = accounts[["consent_email", "consent_phone", "consent_sms"]]
    settled = {
        column: accounts[column]
        .map(lambda v, b=blank: b if v is None or pd.isna(v) else bool(v))
        .astype(bool)
        for column, blank in flags.items()
    }
    name = accounts["name"].where(accounts["name"] != "", accounts["account_id"])
    accounts = accounts.assign(
        **settled,
        consents_known=asked.notna().any(axis=1),
        name=name,
        revenue=accounts["revenue"].fillna(0.0),
    )
    return accounts.set_index("account_id").sort_index()


def _units(
    settings: Settings,
    ledger: Ledger,
    accounts: pd.DataFrame,
    areas: gpd.GeoDataFrame,
    crs: CRS,
    given: pd.DataFrame,
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, pd.DataFrame]:
    if settings.units == "areas":
        if not len(areas):
            raise SettingsError("refusal.areas_needed")
        unit, neighbors = units.area_units(areas, crs)
        accounts = accounts.assign(unit_id=accounts["area_id"])
    elif settings.units not in PLACES:
        unit_of = (units.segments if settings.units == "segments" else units.volumes)(accounts)
        accounts = accounts.assign(unit_id=unit_of)
        return units.class_units(accounts, crs), units.no_pairs(), accounts
    else:
        land = shapely.union_all(areas.geometry.to_crs(crs).to_numpy()) if len(areas) else None
        if units.grid_asked(ledger, accounts, settings):
            depth = settings.geography.grid_resolution
            unit, neighbors, unit_of = units.grid_units(accounts, land, crs, depth)
        else:
            unit, neighbors, unit_of = units.location_units(accounts, land, crs)
        accounts = accounts.assign(unit_id=unit_of)
    return unit, units.join_islands(ledger, unit, neighbors, given), accounts


def _one_territory(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """An account has one present territory; of one that has several, none is guessed."""
    several = rows.groupby("account_id")["territory"].transform("nunique") > 1
    # Keyed by the account, so that the refusal names accounts and not lines.
    for one, names in rows[several].groupby("account_id")["territory"]:
        if ledger.severity["two_territories"] == quality.STOP:
            both = either("and", *map(Told, sorted(set(names))))
            key = Told("refusal.both_territories", account=one, both=both)
            told = Told("refusal.several_territories")
            ledger.stop("assignments", "two_territories", told, key)
    return ledger.set_aside("assignments", "two_territories", rows, several, "territory")


def _note_owners(ledger: Ledger, rows: dict[str, pd.DataFrame]) -> None:
    known = set(rows["reps"]["rep_id"])
    held = rows["assignments"]
    strangers = held[~held["rep_id"].isin(["", VACANT, *known])]
    if known:
        ledger.find("assignments", "rep_unknown", strangers, "rep_id")


def _structure(ledger: Ledger, rows: pd.DataFrame, areas: pd.Series) -> pd.DataFrame:
    """Firms by area, industry and size; those of areas that are not planned are set aside."""
    size = rows["size_class"].str.strip().str.lower()
    odd = sorted(set(size) - set(SIZE_CLASSES))
    if odd:
        raise DataError("refusal.bad_size_class", known=list(SIZE_CLASSES), found=odd[0])
    rows = rows.assign(size_class=size, n_firms=rows["n_firms"].fillna(0.0))
    keys = ["area_id", "industry", "size_class"]
    twice = rows[rows.assign(industry=rows["industry"].map(fold)).duplicated(keys)]
    if len(twice):
        first = twice.iloc[0][keys].tolist()
        raise DataError("refusal.structure_twice", n=len(twice), examples=first)
    if len(areas):
        outside = ~rows["area_id"].isin(areas)
        rows = ledger.set_aside(
            "market_structure", "orphan", rows, outside, "area_id", "orphan_area"
        )
    return rows.sort_values(keys, kind="stable").reset_index(drop=True)


def _overrides(rows: pd.DataFrame, unit: gpd.GeoDataFrame) -> pd.DataFrame:
    where = rows.drop_duplicates(["unit_id", "territory"]).groupby("unit_id")["territory"]
    torn = [
        Told("refusal.unit_in", unit=one, places=either("and_in", *map(Told, names)))
        for one, names in where
        if len(names) > 1
    ]
    if torn:
        raise DataError("refusal.overrides_torn", n=len(torn), examples=torn[:3])
    return _known_units("overrides", rows, unit)


def _travel(rows: pd.DataFrame, unit: gpd.GeoDataFrame, reps: pd.Series) -> pd.DataFrame:
    """The user's matrix: between units that exist, or to reps, and each pair once."""
    strange = rows.loc[~rows["to"].isin([*unit.index, *reps]), "to"].drop_duplicates()
    if len(strange):
        hint = _meant(strange.iloc[0], [*unit.index, *reps])
        several = {"n": len(strange), "examples": strange.head(3).tolist()}
        raise DataError("refusal.travel_to_nowhere", **several, hint=hint)
    twice = rows.drop_duplicates()
    twice = twice[twice.duplicated(["unit_id", "to"])]
    if len(twice):
        first = twice[["unit_id", "to"]].head(3).to_numpy()
        pairs = [Told("refusal.pair", one=a, other=b) for a, b in first]
        raise DataError("refusal.travel_twice", n=len(twice), examples=pairs)
    return _known_units("travel", rows, unit)


def _meant(name: str, known: Sequence[str]) -> Told:
    near = difflib.get_close_matches(name, known, n=1)
    return Told("refusal.did_you_mean", name=near[0]) if near else Told("refusal.correct_name")


def _known_units(table: str, rows: pd.DataFrame, unit: gpd.GeoDataFrame) -> pd.DataFrame:
    unknown = rows.loc[~rows["unit_id"].isin(unit.index), "unit_id"]
    if len(unknown):
        several = {"n": len(unknown), "examples": unknown.head(3).tolist()}
        hint = _meant(unknown.iloc[0], list(unit.index))
        raise DataError("refusal.unknown_units", table=table, **several, hint=hint)
    return rows.sort_values("unit_id", kind="stable").reset_index(drop=True)


def _groups(rows: pd.DataFrame, unit: gpd.GeoDataFrame) -> pd.DataFrame:
    odd = rows.loc[~rows["rule"].isin(["together", "apart"]), "rule"]
    if len(odd):
        raise DataError("refusal.bad_group_rule", found=odd.iloc[0])
    return _known_units("groups", rows, unit)


def _activities(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(kind=rows["kind"].str.lower().where(rows["kind"] != "", "visit"))
    odd = rows.loc[~rows["kind"].isin(["visit", "call"]), "kind"]
    if len(odd):
        raise DataError("refusal.bad_activities", n=len(odd), found=odd.iloc[0])
    return rows.sort_values(["account_id", "date"], kind="stable").reset_index(drop=True)


def _rep_locks(rows: pd.DataFrame, reps: pd.Series) -> pd.DataFrame:
    rows = rows.assign(rule=rows["rule"].str.lower().where(rows["rule"] != "", "lock"))
    odd = rows.loc[~rows["rule"].isin(["lock", "ban"]), "rule"]
    if len(odd):
        raise DataError("refusal.bad_lock_rule", found=odd.iloc[0])
    unknown = sorted(set(rows["rep_id"]) - set(reps))
    if unknown:
        raise DataError("refusal.lock_of_unknown_reps", n=len(unknown), found=unknown[0])
    twice = rows[(rows["rule"] == "lock") & rows.duplicated(["territory", "rule"], keep=False)]
    several = twice.groupby("territory")["rep_id"].nunique()
    if (several > 1).any():
        name = several.index[several > 1][0]
        raise DataError("refusal.locked_to_several", territory=name, n=int(several[name]))
    return rows.drop_duplicates().sort_values(["territory", "rep_id"]).reset_index(drop=True)


def _reps(rows: pd.DataFrame) -> pd.DataFrame:
    name, role = rows["name"].where(rows["name"] != "", rows["rep_id"]), rows["role"].str.lower()
    reps = rows.assign(name=name, role=role)
    reps = reps.set_index("rep_id").sort_index()
    return _filled(reps, fte=1.0, max_territories=1.0)


def _by_overlay(reps: pd.DataFrame, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the reps of the run's own territories from those of overlays and from who leads others."""
    taken: dict[str, str] = {}
    for name, asked in settings.overlays.items():
        for one in overlay_reps(reps, asked):
            if one not in reps.index:
                hint = _meant(one, list(reps.index))
                raise SettingsError("refusal.overlay_rep_unknown", overlay=name, rep=one, hint=hint)
            if one in taken:
                raise SettingsError(
                    "refusal.overlay_rep_taken", overlay=name, rep=one, other=taken[one]
                )
            taken[one] = name
    # Somebody with that title and no region is a rep like others.
    leads = (reps["role"] == MANAGER) & ((reps["region"] != "") | bool(settings.regions.count))
    apart = reps.index.isin(list(taken)) | leads | (reps["role"] == CHANNEL_MANAGER)
    return reps[~apart], reps[apart]


def overlay_reps(reps: pd.DataFrame, asked: Overlay) -> list[str]:
    """Ids of the reps of an overlay, as listed or by their role.

    Examples
    --------
    >>> reps = pd.DataFrame({"role": ["kam", "field"]}, index=["K1", "R1"])
    >>> overlay_reps(reps, Overlay(reps="kam"))
    ['K1']
    """
    if isinstance(asked.reps, str):
        return list(reps.index[reps["role"] == asked.reps])
    return list(dict.fromkeys(asked.reps))


def _distributor_areas(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage filled in; an area belongs to one exclusive partner."""
    rows = _filled(rows, coverage_rate=1.0)
    exclusive = rows["exclusive"].map(lambda v: v is not None and not pd.isna(v) and bool(v))
    rows = rows.assign(exclusive=exclusive.astype(bool))
    several = rows[rows["exclusive"]].groupby("area_id")["distributor_id"].nunique()
    if (several > 1).any():
        area = several.index[several > 1][0]
        raise DataError("refusal.several_exclusive", n=int((several > 1).sum()), area=area)
    return rows


def _named_accounts(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Named accounts of overlays that there are, each once."""
    unknown = sorted(set(rows["overlay"]) - set(settings.overlays))
    if unknown:
        hint = _meant(unknown[0], list(settings.overlays))
        raise DataError("refusal.unknown_overlay", overlay=unknown[0], hint=hint)
    twice = rows[rows.duplicated(["overlay", "account_id"])]
    if len(twice):
        first = twice["account_id"].iloc[0]
        raise DataError("refusal.named_twice", n=len(twice), account=first)
    return rows.sort_values(["overlay", "account_id"]).reset_index(drop=True)


def _channels(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.set_index("channel").sort_index()
    names = pd.Series(table.index, index=table.index)
    for label in ("label_pl", "label_en"):
        table[label] = table[label].where(table[label] != "", names)
    asked = table["consent_needed"].str.strip().str.lower()
    table["consent_needed"] = asked.where(asked != "", "none")
    odd = sorted(set(table["consent_needed"]) - {"none", *CONSENTS})
    if odd:
        raise DataError("refusal.bad_consent", known=list(CONSENTS), found=odd[0])
    table["named"] = table["named"].map(lambda v: v is None or pd.isna(v) or bool(v)).astype(bool)
    both = table.index[~table["named"] & (table["consent_needed"] != "none")]
    if len(both):
        needed = table.loc[both[0], "consent_needed"]
        raise DataError("refusal.unnamed_consent", channel=both[0], needed=needed)
    line = table["category"].str.strip().str.lower()
    table["category"] = line.where(line != "", "marketing")
    odd = sorted(set(table["category"]) - {"marketing", "events"})
    if odd:
        raise DataError("refusal.bad_category", found=odd[0])
    blanks = {"fixed_cost": 0.0, "max_contacts": 1.0, "lead_lag_m": 0.0, "rep_h": 0.0}
    return _filled(table, min_spend=0.0, **blanks)


def _responses(
    ledger: Ledger, rows: pd.DataFrame, channels: pd.DataFrame, areas: pd.Series
) -> pd.DataFrame:
    """What spending brought; rows of channels and areas that are not planned are set aside."""
    for column, known in (("channel", channels["channel"]), ("area_id", areas)):
        gone = (rows[column] != "") & ~rows[column].isin(known)
        message = "orphan_channel" if column == "channel" else "orphan_area"
        rows = ledger.set_aside("responses", "orphan", rows, gone, column, message)
    return rows.sort_values(["channel", "area_id", "territory", "month"]).reset_index(drop=True)


def _judged(ledger: Ledger, rows: pd.DataFrame, channels: pd.DataFrame) -> pd.DataFrame:
    """What managers expect of each channel; answers that make no curve stop the run."""
    gone = ~rows["channel"].isin(channels["channel"])
    rows = ledger.set_aside("judged", "orphan", rows, gone, "channel", "orphan_channel")
    if rows["channel"].duplicated().any():
        twice = rows.loc[rows["channel"].duplicated(), "channel"].iloc[0]
        raise DataError("refusal.judged_twice", channel=twice)
    for row in rows.itertuples():
        z, h, s = row.zero, row.plus50, row.saturation
        # The same answers as `measures.response.adbudg` needs: a curve that rises.
        if not (0 <= z < 1 < h < s and (s - 1) / (1 - z) * (h - z) > s - h):
            answers = {"zero": z, "plus50": h, "saturation": s}
            raise DataError("refusal.judged_no_curve", channel=row.channel, **answers)
    return rows.sort_values("channel").reset_index(drop=True)


def _filled(rows: pd.DataFrame, **blanks: float) -> pd.DataFrame:
    return rows.assign(**{column: rows[column].fillna(value) for column, value in blanks.items()})
