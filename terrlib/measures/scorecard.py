"""Measure a set of territories. Knows nothing of how it was made."""

from __future__ import annotations

from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from terrlib.inputs.market import Market
from terrlib.measures.facts import MEASURES
from terrlib.measures.geometry import great_circle_km, shape_measures

TOWN = ("town", "town_lat", "town_lon")


def scorecard(
    market: Market,
    facts: pd.DataFrame,
    of_account: pd.Series,
    of_unit: pd.Series | None = None,
    shares: pd.Series | None = None,
) -> pd.DataFrame:
    """Measure territories from their labels alone.

    Parameters
    ----------
    market, facts
        The accounts and what is measured of them.
    of_account
        account_id -> territory; accounts without a label are left out.
    of_unit
        unit_id -> territory, for shape and pieces; None where only accounts are known.
    shares
        territory -> fair share of every measure, adding up to 1; equal where None.

    Returns
    -------
    DataFrame, indexed by territory, sorted
        town            where most accounts are, of several the one where most is sold; a blank
                        town is called by the account's name
        town_lat, town_lon  middle of its accounts there; NaN off the map      degrees
        units           units                                                  count
        accounts, customers                                                    count
        revenue, potential, white_space                                        currency/year
        workload_h      time its accounts need                                 hours/year
        <measure>_index load over the fair share, 1.0 is fair; for workload_h,
                        potential, revenue, count                              ratio
        pieces          pieces on the graph of who touches whom, 1 is whole    count
        area_km2, compactness (area over its hull's)                           km2, ratio
        mean_km         workload-weighted distance to the middle account       km
        max_account_share   revenue of its largest account                     share
    """
    rows = facts.join(market.accounts[["lat", "lon", "town", "name"]])
    rows = rows.assign(territory=of_account.reindex(facts.index)).dropna(subset=["territory"])
    by = rows.groupby("territory", sort=True)
    names = of_unit.unique() if of_unit is not None else rows["territory"].unique()
    card = pd.DataFrame(index=pd.Index(sorted(names), name="territory"))
    card[list(TOWN)] = by.apply(_town).reindex(columns=list(TOWN))
    if not market.places:
        card[["town_lat", "town_lon"]] = np.nan
    card["units"] = (
        of_unit.groupby(of_unit).size() if of_unit is not None else by["unit_id"].nunique()
    )
    card["accounts"] = by.size()
    card["customers"] = rows["status"].eq("customer").groupby(rows["territory"]).sum()
    for column in ("revenue", "potential", "white_space", "workload_h"):
        card[column] = by[column].sum()
    fair = shares.reindex(card.index) if shares is not None else 1 / len(card)
    for measure in MEASURES:
        load = by[measure].sum().reindex(card.index).fillna(0.0)
        total = load.sum()
        card[f"{measure}_index"] = load / (fair * total) if total > 0 else 1.0
    card["mean_km"] = by.apply(_mean_km)
    largest = by["revenue"].max() / by["revenue"].sum().where(lambda v: v > 0)
    card["max_account_share"] = largest
    numbers = card.columns.drop(list(TOWN))
    card[numbers] = card[numbers].fillna(0.0)
    card["town"] = card["town"].fillna("")
    for column in ("units", "accounts", "customers"):
        card[column] = card[column].astype(int)
    if of_unit is None:
        return card
    card["pieces"] = pieces(of_unit, market.neighbors).reindex(card.index)
    shapes = territory_shapes(market, of_unit).set_index("territory").geometry
    return card.join(shape_measures(shapes))


def _town(rows: pd.DataFrame) -> pd.Series:
    towns = rows.assign(town=rows["town"].where(rows["town"] != "", rows["name"]))
    by = towns.groupby("town")
    # By revenue one large account in a village would give a region its name.
    size = by[["count", "revenue"]].sum()
    first = str(size.sort_values(["count", "revenue"], ascending=False, kind="stable").index[0])
    lat, lon = by[["lat", "lon"]].mean().loc[first]
    return pd.Series([first, lat, lon], index=list(TOWN))


def _mean_km(rows: pd.DataFrame) -> float:
    weight = rows["workload_h"].to_numpy(float)
    if not weight.sum():
        weight = np.ones(len(rows))
    lat, lon = (float(np.average(rows[c], weights=weight)) for c in ("lat", "lon"))
    return float(np.average(great_circle_km(rows["lat"], rows["lon"], lat, lon), weights=weight))


def pieces(of_unit: pd.Series, neighbors: pd.DataFrame) -> pd.Series:
    """Count the pieces of every territory on the graph of who touches whom.

    Examples
    --------
    >>> label = pd.Series({"a": "T1", "b": "T2", "c": "T1"})
    >>> pairs = pd.DataFrame({"unit_a": ["a", "b"], "unit_b": ["b", "c"]})
    >>> pieces(label, pairs).to_dict()
    {'T1': 2, 'T2': 1}
    """
    place = pd.Series(np.arange(len(of_unit)), index=of_unit.index)
    a, b = place[neighbors["unit_a"]].to_numpy(), place[neighbors["unit_b"]].to_numpy()
    label = of_unit.to_numpy()
    same = label[a] == label[b]
    graph = coo_array((np.ones(same.sum()), (a[same], b[same])), shape=(len(label), len(label)))
    _, part = connected_components(graph, directed=False)
    return pd.Series(part, index=of_unit.index).groupby(of_unit).nunique()


def territory_shapes(market: Market, of_unit: pd.Series) -> gpd.GeoDataFrame:
    """Join the cells of each territory: territory, geometry in EPSG:4326, one row each, sorted."""
    cells = market.units.geometry
    label = of_unit.reindex(cells.index)
    # Cells that share their edges to the digit leave no sliver; others are first laid on a grid.
    exact = shapely.coverage_is_valid(cells.to_numpy())
    join = shapely.coverage_union_all if exact else partial(shapely.union_all, grid_size=1e-7)
    rows = [(name, join(cells[label == name].to_numpy())) for name in sorted(label.unique())]
    names, shapes = zip(*rows, strict=True)
    return gpd.GeoDataFrame({"territory": list(names)}, geometry=list(shapes), crs=cells.crs)
