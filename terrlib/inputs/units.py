"""What is not split: areas or account locations as units, and who touches whom."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from terrlib.errors import DataError
from terrlib.inputs.quality import Ledger
from terrlib.inputs.settings import Settings

NEAR_KM = 5.0
SHARED_KM = 0.05


def metric_crs(settings: Settings, lon: pd.Series, lat: pd.Series) -> CRS:
    """Choose the projection in metres: the one of the settings, else the UTM zone of the accounts."""
    if settings.crs:
        return CRS.from_epsg(settings.crs)
    zone = int((float(lon.median()) + 180) // 6) + 1
    return CRS.from_epsg((32600 if float(lat.median()) >= 0 else 32700) + min(zone, 60))


def place_in_areas(
    ledger: Ledger, accounts: pd.DataFrame, areas: gpd.GeoDataFrame, crs: CRS
) -> pd.DataFrame:
    """Give every account its area: where its point lies, else the nearest within 5 km, else as stated.

    Parameters
    ----------
    ledger
        Where findings go.
    accounts
        Typed and located accounts.
    areas
        area_id, geometry in EPSG:4326.
    crs
        Projection in metres.

    Returns
    -------
    DataFrame
        Accounts with `area_id`, and with a point inside their area where they had none.
    """
    shapes = areas.to_crs(crs).set_index("area_id")["geometry"]
    located = accounts["lat"].notna().to_numpy()
    points = gpd.GeoSeries(
        gpd.points_from_xy(accounts.loc[located, "lon"], accounts.loc[located, "lat"]), crs=4326
    ).to_crs(crs)
    who, where = shapes.sindex.query(points.values, predicate="within")
    found = pd.Series("", index=accounts.index[located], dtype=object)
    found.iloc[who] = shapes.index.to_numpy()[where]
    lost = np.flatnonzero((found == "").to_numpy())
    if len(lost):
        (_, near), away = shapes.sindex.nearest(
            points.to_numpy()[lost], return_distance=True, return_all=False
        )
        close = away <= NEAR_KM * 1000
        found.iloc[lost[close]] = shapes.index.to_numpy()[near[close]]
        ledger.find(
            "accounts",
            "moved_to_nearest_area",
            accounts.loc[found.index[lost[close]]],
            "town",
            f"outside every area, but within {NEAR_KM:g} km of one: counted there",
        )
    stated = accounts["area_id"].where(accounts["area_id"].isin(shapes.index), "")
    differs = (stated.loc[found.index] != "") & (found != "") & (stated.loc[found.index] != found)
    ledger.find(
        "accounts",
        "other_area_than_stated",
        accounts.loc[found.index[differs]],
        "area_id",
        "its point lies in another area than stated: the point decides",
    )
    area = stated.where(~accounts["lat"].notna(), found.reindex(accounts.index)).fillna("")
    accounts = ledger.set_aside(
        "accounts",
        "outside_areas",
        accounts.assign(_area=area),
        area == "",
        "town",
        f"more than {NEAR_KM:g} km outside every area, or in an area that is not given",
    )
    accounts = accounts.assign(area_id=accounts["_area"]).drop(columns="_area")
    middle = gpd.GeoSeries(shapes.representative_point()).to_crs(4326)
    home = accounts["area_id"].map(middle)
    blank = accounts["lat"].isna()
    lat = accounts["lat"].where(~blank, home.map(lambda p: p.y))
    lon = accounts["lon"].where(~blank, home.map(lambda p: p.x))
    return accounts.assign(lat=lat, lon=lon)


def project(accounts: pd.DataFrame, crs: CRS) -> pd.DataFrame:
    """Add `x_km`, `y_km` to accounts with a point."""
    points = gpd.GeoSeries(gpd.points_from_xy(accounts["lon"], accounts["lat"]), crs=4326).to_crs(
        crs
    )
    return accounts.assign(x_km=points.x.to_numpy() / 1000, y_km=points.y.to_numpy() / 1000)


def repair(ledger: Ledger, areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Repair invalid polygons, and say how many."""
    bad = ~areas.geometry.is_valid
    ledger.find(
        "areas", "area_repaired", areas[bad], "name", "its polygon crosses itself: repaired"
    )
    mended = areas.geometry.where(~bad, shapely.make_valid(areas.geometry.values))
    return areas.set_geometry(gpd.GeoSeries(mended, crs=areas.crs))


def area_units(areas: gpd.GeoDataFrame, crs: CRS) -> tuple[gpd.GeoDataFrame, pd.DataFrame]:
    """Make every area a unit; two touch where they share more than 50 m of border.

    Returns
    -------
    units, neighbors
        As in `Market`.
    """
    areas = areas.sort_values("area_id")
    shapes = areas.geometry.to_crs(crs)
    values = shapes.to_numpy()
    # Borders drawn apart by a few metres still touch: grow each by half the tolerance.
    grown = shapely.buffer(values, SHARED_KM * 100)
    i, j = shapely.STRtree(grown).query(grown, predicate="intersects")
    i, j = i[i < j], j[i < j]
    shared = shapely.area(shapely.intersection(grown[i], grown[j])) / (SHARED_KM * 200)
    keep = shared > SHARED_KM * 1000 * 4
    ids = areas["area_id"].to_numpy()
    inner = shapes.representative_point()
    place = inner.to_crs(4326)
    units = gpd.GeoDataFrame(
        {
            "name": areas["name"].to_numpy(),
            "lat": place.y.to_numpy(),
            "lon": place.x.to_numpy(),
            "x_km": inner.x.to_numpy() / 1000,
            "y_km": inner.y.to_numpy() / 1000,
        },
        geometry=areas.geometry.to_numpy(),
        index=pd.Index(ids, name="unit_id"),
        crs=4326,
    )
    return units, _pairs(ids[i[keep]], ids[j[keep]])


def location_units(
    accounts: pd.DataFrame, outline: shapely.Geometry | None, crs: CRS
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, pd.Series]:
    """Make every account location a unit; two touch where their Voronoi cells share an edge.

    Parameters
    ----------
    accounts
        Indexed by account_id, with x_km, y_km, lat, lon, name.
    outline
        The land in the metric projection, or None for a hull of the accounts.
    crs
        Projection in metres.

    Returns
    -------
    units, neighbors, unit_of
        The last is account_id -> unit_id; accounts on one point are one unit, named after the
        first.
    """
    spot = accounts.sort_index().reset_index()
    first = spot.groupby(["x_km", "y_km"])["account_id"].transform("first")
    unit_of = pd.Series(first.to_numpy(), index=pd.Index(spot["account_id"], name="account_id"))
    units = spot[spot["account_id"] == first].set_index("account_id").rename_axis("unit_id")
    points = shapely.points(units["x_km"].to_numpy() * 1000, units["y_km"].to_numpy() * 1000)
    cloud = shapely.multipoints(points)
    reach = max(
        float(np.sqrt(max(shapely.convex_hull(cloud).area, 1.0) / max(len(units), 1))), 1000.0
    )
    land = outline if outline is not None else shapely.buffer(shapely.convex_hull(cloud), reach / 2)
    if len(units) == 1:
        cells = np.array([land])
        pairs = np.empty((2, 0), dtype=int)
    else:
        hull = shapely.buffer(shapely.union(shapely.envelope(land), shapely.envelope(cloud)), reach)
        made = shapely.get_parts(shapely.voronoi_polygons(cloud, extend_to=hull, ordered=True))
        shapely.prepare(land)
        whole = shapely.contains(land, made)
        cells = made.copy()
        cells[~whole] = shapely.intersection(made[~whole], land)
        empty = shapely.is_empty(cells)
        cells[empty] = shapely.buffer(points[empty], 500)
        pairs = _shared_edges(made, cells, empty)
    frame = gpd.GeoDataFrame(
        units[["name", "lat", "lon", "x_km", "y_km"]], geometry=cells, crs=crs
    ).to_crs(4326)
    ids = units.index.to_numpy()
    return frame, _pairs(ids[pairs[0]], ids[pairs[1]]), unit_of


def _shared_edges(made: np.ndarray, cells: np.ndarray, offshore: np.ndarray) -> np.ndarray:
    """Pairs of cells that share a piece of edge on the land, i < j."""
    i, j = shapely.STRtree(made).query(made, predicate="intersects")
    i, j = i[i < j], j[i < j]
    edge = shapely.intersection(made[i], made[j])
    on_land = shapely.intersects(cells[i], cells[j]) | offshore[i] | offshore[j]
    long = shapely.length(edge) > 1.0
    # Far outside the land two cells may share an edge that no road follows: it must lie on both.
    return np.vstack([i, j])[:, long & on_land]


VOLUME_STEPS = 20
SIZES = ((10, "micro"), (50, "small"), (250, "medium"), (np.inf, "large"))


def segments(accounts: pd.DataFrame) -> pd.Series:
    """Name the market segment of every account: industry/size, size by the classes of the EU.

    Source: Commission Recommendation 2003/361/EC, by number of employees alone.

    Examples
    --------
    >>> segments(pd.DataFrame({"industry": ["food", ""], "employees": [30.0, np.nan]})).tolist()
    ['food/small', '-/-']
    """
    size = pd.Series("-", index=accounts.index)
    for limit, name in reversed(SIZES):
        size = size.mask(accounts["employees"] < limit, name)
    return accounts["industry"].replace("", "-").fillna("-") + "/" + size


def volumes(accounts: pd.DataFrame) -> pd.Series:
    """Name the volume class of every account: steps V01, V02, ... down the accounts by revenue.

    A step holds a twentieth of revenue and number together (the mean of both shares), so that
    neither a large account nor many small ones make a step too large to balance.

    Examples
    --------
    >>> rows = pd.DataFrame({"revenue": [60.0, 30, 10, 0]}, index=list("abcd"))
    >>> volumes(rows).tolist()
    ['V05', 'V12', 'V16', 'V19']
    """
    ranked = (
        accounts["revenue"].clip(lower=0).sort_index().sort_values(ascending=False, kind="stable")
    )
    share = ranked / max(float(ranked.sum()), 1e-12) / 2 + 1 / len(ranked) / 2
    step = np.ceil((share.cumsum() - share / 2) * VOLUME_STEPS).clip(1, VOLUME_STEPS).astype(int)
    return step.map("V{:02d}".format).reindex(accounts.index)


def class_units(accounts: pd.DataFrame, crs: CRS) -> gpd.GeoDataFrame:
    """Make every class of accounts a unit; its geometry is a disc of 500 m around each account."""
    by = accounts.groupby("unit_id")
    points = shapely.points(accounts["x_km"].to_numpy() * 1000, accounts["y_km"].to_numpy() * 1000)
    discs = pd.Series(shapely.buffer(points, 500, quad_segs=2), index=accounts.index)
    middle = by[["lat", "lon", "x_km", "y_km"]].mean()
    shapes = [shapely.union_all(discs[rows].to_numpy()) for rows in by.groups.values()]
    return gpd.GeoDataFrame(
        middle.assign(name=middle.index)[["name", "lat", "lon", "x_km", "y_km"]],
        geometry=shapes,
        crs=crs,
    ).to_crs(4326)


def no_pairs() -> pd.DataFrame:
    """Nobody touches anybody."""
    return _pairs(np.array([]), np.array([]))


def join_islands(
    ledger: Ledger, units: gpd.GeoDataFrame, neighbors: pd.DataFrame, given: pd.DataFrame
) -> pd.DataFrame:
    """Add the pairs a user gave, part those marked `cut`, and note units that touch nobody.

    Raises
    ------
    DataError
        If a given pair names a unit that does not exist, or is of an unknown kind.
    """
    odd = given.loc[~given["kind"].fillna("").isin(["", "touch", "bridge", "cut"]), "kind"]
    if len(odd):
        raise DataError(f"neighbors: a kind is touch, bridge or cut, not {odd.iloc[0]!r}")
    unknown = sorted(set(given["unit_a"]).union(given["unit_b"]) - set(units.index))
    if unknown:
        raise DataError(
            f"neighbors: {len(unknown)} units do not exist, such as {', '.join(unknown[:3])}"
        )
    cut = (given["kind"] == "cut").to_numpy()
    joined, parted = (
        _pairs(*given.loc[rows, ["unit_a", "unit_b"]].to_numpy().T) for rows in (~cut, cut)
    )
    both = pd.concat([neighbors, joined]).drop_duplicates()
    both = both.merge(parted, how="left", indicator=True).query("_merge == 'left_only'")
    both = both[["unit_a", "unit_b"]].sort_values(["unit_a", "unit_b"]).reset_index(drop=True)
    touched = set(both["unit_a"]).union(both["unit_b"])
    alone = units.index[~units.index.isin(touched)]
    if len(alone) and len(units) > 1:
        rows = pd.DataFrame({"area_id": alone, "name": units.loc[alone, "name"].to_numpy()})
        ledger.find(
            "areas",
            "unit_without_neighbor",
            rows,
            "name",
            "touches no other unit: an island? Put its ferry or bridge into the table neighbors",
        )
    return both


def _pairs(a: np.ndarray, b: np.ndarray) -> pd.DataFrame:
    pairs = pd.DataFrame(
        [sorted((str(one), str(other))) for one, other in zip(a, b, strict=True)],
        columns=["unit_a", "unit_b"],
        dtype=str,
    )
    return pairs.sort_values(["unit_a", "unit_b"]).reset_index(drop=True)
