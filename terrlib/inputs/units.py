"""What is not split: areas or account locations as units, and who touches whom."""

from __future__ import annotations

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from terrlib.errors import DataError
from terrlib.inputs.quality import Ledger
from terrlib.inputs.settings import Settings
from terrlib.inputs.values import fold

SHARED_KM = 0.05
SLIVER = 0.001
APART_KM = 25.0
CELLS = 3000
FINEST = 9


def metric_crs(settings: Settings, accounts: pd.DataFrame, areas: gpd.GeoDataFrame) -> CRS:
    """Choose the projection in metres: of the settings, else the UTM zone of accounts or areas."""
    if settings.crs:
        return CRS.from_epsg(settings.crs)
    lon, lat = float(accounts["lon"].median()), float(accounts["lat"].median())
    if not np.isfinite([lon, lat]).all():
        west, south, east, north = areas.total_bounds
        lon, lat = (west + east) / 2, (south + north) / 2
    zone = int((lon + 180) // 6) + 1
    return CRS.from_epsg((32600 if lat >= 0 else 32700) + min(zone, 60))


def place_in_areas(
    ledger: Ledger,
    accounts: pd.DataFrame,
    areas: gpd.GeoDataFrame,
    crs: CRS,
    nearest_km: float,
) -> pd.DataFrame:
    """Give every account its area: where its point lies, else the nearest if near, else as stated.

    A point that was guessed from a postal code or a town counts only in the area stated.

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
    nearest_km
        How far outside every area a point still counts in the nearest.

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
        close = away <= nearest_km * 1000
        found.iloc[lost[close]] = shapes.index.to_numpy()[near[close]]
        ledger.find(
            "accounts",
            "moved_to_nearest_area",
            accounts.loc[found.index[lost[close]]],
            "town",
            km=nearest_km,
        )
    stated = accounts["area_id"].where(accounts["area_id"].isin(shapes.index), "")
    differs = (stated.loc[found.index] != "") & (found != "") & (stated.loc[found.index] != found)
    guessed = differs & accounts.loc[found.index, "_guessed"]
    dropped = accounts.index.isin(guessed.index[guessed])
    accounts = accounts.assign(
        lat=accounts["lat"].mask(dropped),
        lon=accounts["lon"].mask(dropped),
        geo_quality=accounts["geo_quality"].mask(dropped, "area"),
    )
    differs &= ~guessed
    ledger.find(
        "accounts",
        "other_area_than_stated",
        accounts.loc[found.index[differs]],
        "area_id",
    )
    area = stated.where(~accounts["lat"].notna(), found.reindex(accounts.index)).fillna("")
    accounts = ledger.set_aside(
        "accounts",
        "outside_areas",
        accounts.assign(_area=area),
        area == "",
        "town",
        km=nearest_km,
    )
    accounts = accounts.assign(area_id=accounts["_area"]).drop(columns="_area")
    _note_regions(ledger, accounts, areas)
    middle = gpd.GeoSeries(shapes.representative_point()).to_crs(4326)
    home = accounts["area_id"].map(middle)
    blank = accounts["lat"].isna()
    ledger.find(
        "accounts",
        "placed_in_area",
        accounts[blank],
        "area_id",
    )
    lat = accounts["lat"].where(~blank, home.map(lambda p: p.y))
    lon = accounts["lon"].where(~blank, home.map(lambda p: p.x))
    return accounts.assign(lat=lat, lon=lon)


def _note_regions(ledger: Ledger, accounts: pd.DataFrame, areas: gpd.GeoDataFrame) -> None:
    region = areas.set_index("area_id")["region"].fillna("").map(fold)
    stated = accounts["region"].map(fold)
    lies = accounts["area_id"].map(region)
    # A region that no area has is written another way: that is no contradiction.
    differs = stated.isin(set(region) - {""}) & (lies != "") & (lies != stated)
    ledger.find(
        "accounts",
        "other_region_than_stated",
        accounts[differs],
        "region",
    )


def project(accounts: pd.DataFrame, crs: CRS) -> pd.DataFrame:
    """Add `x_km`, `y_km` to accounts with a point."""
    points = gpd.GeoSeries(gpd.points_from_xy(accounts["lon"], accounts["lat"]), crs=4326).to_crs(
        crs
    )
    return accounts.assign(x_km=points.x.to_numpy() / 1000, y_km=points.y.to_numpy() / 1000)


def repair(ledger: Ledger, areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Repair invalid polygons, and say how many."""
    bad = ~areas.geometry.is_valid
    fixed = shapely.make_valid(areas.geometry.to_numpy(), method="structure", keep_collapsed=False)
    mended = gpd.GeoSeries(areas.geometry.where(~bad, fixed), crs=areas.crs)
    flat = areas["area_id"][~(shapely.area(mended.to_numpy()) > 0)]
    if len(flat):
        many = {"n": len(flat), "of": len(areas)}
        raise DataError("refusal.no_polygons", **many, examples=flat.head(3).tolist())
    plane = _equal_area(mended)
    before = areas.geometry.to_crs(plane).area / 1e6
    after = mended.to_crs(plane).area / 1e6
    for i in areas.index[bad]:
        ledger.find(
            "areas",
            "area_repaired",
            areas.loc[[i]],
            "name",
            before=float(before[i]),
            after=float(after[i]),
        )
    return areas.set_geometry(mended)


def _equal_area(shapes: gpd.GeoSeries) -> CRS:
    west, south, east, north = shapes.total_bounds
    return CRS.from_proj4(f"+proj=laea +lat_0={(south + north) / 2} +lon_0={(west + east) / 2}")


def join_parts(ledger: Ledger, areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Note areas drawn as several shapes; refuse a name that stands for places far apart.

    Parameters
    ----------
    ledger
        Where findings go.
    areas
        area_id, name, geometry in EPSG:4326, and `parts`, the number of shapes each came in.

    Raises
    ------
    DataError
        If areas are joined by a name (without a digit) whose shapes lie more than 25 km apart.
    """
    many = areas[areas["parts"] > 1]
    named = many[~many["area_id"].str.contains(r"\d")]
    plane = _equal_area(areas.geometry)
    twice = [
        name
        for name, shape in zip(named["area_id"], named.geometry.to_crs(plane), strict=True)
        if _widest_gap(shape) > APART_KM * 1000
    ]
    if twice:
        raise DataError("refusal.name_no_key", n=len(twice), km=APART_KM, examples=twice[:3])
    for i in many.index:
        parts = int(areas.loc[i, "parts"])
        ledger.find("areas", "area_in_parts", areas.loc[[i]], "name", n=parts)
    return areas.drop(columns="parts")


def _widest_gap(shape: shapely.Geometry) -> float:
    """Largest distance from a part to the largest part, in metres."""
    parts = shapely.get_parts(shape)
    return float(shapely.distance(parts, parts[np.argmax(shapely.area(parts))]).max())


def measure_areas(ledger: Ledger, areas: gpd.GeoDataFrame) -> None:
    """Note where areas overlap and where they leave a gap, in km2 and as a share of the outline.

    Less than a thousandth of the smaller area, or of the median area, is a sliver: not noted.

    Parameters
    ----------
    ledger
        Where findings go.
    areas
        area_id, name, valid polygons.
    """
    shapes = areas.geometry.to_crs(_equal_area(areas.geometry)).to_numpy()
    size = shapely.area(shapes)
    land = shapely.union_all(shapes)
    rings = [shapely.polygons(r) for p in shapely.get_parts(land) for r in p.interiors]
    outline = shapely.area(land) + sum(shapely.area(ring) for ring in rings)
    tree = shapely.STRtree(shapes)
    i, j = tree.query(shapes, predicate="intersects")
    i, j = i[i < j], j[i < j]
    both = shapely.area(shapely.intersection(shapes[i], shapes[j]))
    ids = areas["area_id"].to_numpy()
    wide = both > SLIVER * np.minimum(size[i], size[j])
    for a, b, part in zip(i[wide], j[wide], both[wide], strict=True):
        measured = {"km2": part / 1e6, "share": part / outline}
        ledger.find("areas", "area_overlap", areas.iloc[[a]], "name", other=ids[b], **measured)
    for ring in rings:
        if shapely.area(ring) > SLIVER * np.median(size):
            part = shapely.area(ring)
            measured = {"km2": part / 1e6, "share": part / outline}
            ledger.find(
                "areas", "area_gap", areas.iloc[[int(tree.nearest(ring))]], "name", **measured
            )


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


def grid_asked(ledger: Ledger, accounts: pd.DataFrame, settings: Settings) -> bool:
    """Tell whether cells of a grid are the units: asked for, or too many accounts and no word."""
    if settings.units == "grid":
        return True
    most = settings.geography.grid_above
    if "units" in settings.model_fields_set or len(accounts) <= most:
        return False
    ledger.find(
        "accounts",
        "grid_made",
        accounts.head(1).reset_index(),
        "account_id",
        n=len(accounts),
        most=most,
    )
    return True


def grid_units(
    accounts: pd.DataFrame, outline: shapely.Geometry | None, crs: CRS, depth: int | None
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, pd.Series]:
    """Make every H3 cell that holds an account a unit, where its accounts are on average.

    Parameters
    ----------
    accounts
        Indexed by account_id, with x_km, y_km, lat, lon, town.
    outline
        The land in the metric projection, or None for a hull of the cells.
    crs
        Projection in metres.
    depth
        Resolution of H3; None for the finest that makes no more than 3,000 units.

    Returns
    -------
    units, neighbors, unit_of
        As `location_units` makes them of one point a cell: cells without accounts are shared out,
        so that the map has no holes.
    """
    spot = accounts.sort_index()
    places = list(zip(spot["lat"], spot["lon"], strict=True))
    for resolution in range(FINEST, -1, -1) if depth is None else (depth,):
        cell = [h3.latlng_to_cell(lat, lon, resolution) for lat, lon in places]
        if len(set(cell)) <= CELLS:
            break
    unit_of = pd.Series(cell, index=spot.index)
    by = spot.groupby(unit_of)
    middle = by[["x_km", "y_km"]].mean().rename_axis("account_id")
    point = gpd.GeoSeries.from_xy(middle["x_km"] * 1000, middle["y_km"] * 1000, crs=crs)
    point = point.to_crs(4326)
    town = by["town"].agg(lambda names: names.mode().iloc[0])
    middle = middle.assign(lat=point.y, lon=point.x, name=town.where(town != "", town.index))
    frame, neighbors, _ = location_units(middle, outline, crs)
    return frame, neighbors, unit_of


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
        raise DataError("refusal.bad_neighbor_kind", found=odd.iloc[0])
    unknown = sorted(set(given["unit_a"]).union(given["unit_b"]) - set(units.index))
    if unknown:
        raise DataError("refusal.unknown_neighbors", n=len(unknown), examples=unknown[:3])
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
        )
    return both


def _pairs(a: np.ndarray, b: np.ndarray) -> pd.DataFrame:
    pairs = pd.DataFrame(
        [sorted((str(one), str(other))) for one, other in zip(a, b, strict=True)],
        columns=["unit_a", "unit_b"],
        dtype=str,
    )
    return pairs.sort_values(["unit_a", "unit_b"]).reset_index(drop=True)
