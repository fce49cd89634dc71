"""How far, how long and how round: distances on the globe, roads, hours and shapes."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray

from terrlib.inputs.settings import Workload

EARTH_KM = 6371.0088
EQUAL_AREA = 6933
SHORT_KM, LONG_KM = 5.0, 50.0
STRETCHES_KM = (10.0, 40.0)


def great_circle_km(
    lat1: ArrayLike, lon1: ArrayLike, lat2: ArrayLike, lon2: ArrayLike
) -> NDArray[np.float64]:
    """Distance on the globe, km, by the haversine formula; arrays broadcast.

    Examples
    --------
    >>> round(float(great_circle_km(52.2297, 21.0122, 50.0647, 19.9450)))
    252
    """
    p1, l1, p2, l2 = (np.radians(np.asarray(v, dtype=float)) for v in (lat1, lon1, lat2, lon2))
    h = np.sin((p2 - p1) / 2) ** 2 + np.cos(p1) * np.cos(p2) * np.sin((l2 - l1) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(h, 0, 1)))


def nearest_km(points: pd.DataFrame, homes: pd.DataFrame) -> NDArray[np.float64]:
    """Straight-line km from each point to the nearest home; columns are latitude and longitude.

    Examples
    --------
    >>> homes = pd.DataFrame({"lat": [52.0, 50.0], "lon": [19.0, 19.0]})
    >>> nearest_km(homes.head(1), homes).tolist()
    [0.0]
    """
    (lat, lon), (home_lat, home_lon) = points.to_numpy(float).T, homes.to_numpy(float).T
    return great_circle_km(lat[:, None], lon[:, None], home_lat[None], home_lon[None]).min(axis=1)


def road_km(line_km: ArrayLike, workload: Workload) -> NDArray[np.float64]:
    """Length by road of a straight line, km: the line times a circuity that falls with its length.

    Source: Ballou, Rahardja and Sakai 2002 for long trips; log-linear between 5 and 50 km.

    Examples
    --------
    >>> road_km([2.0, 100.0], Workload()).round(1).tolist()
    [2.8, 121.0]
    """
    line = np.asarray(line_km, dtype=float)
    along = np.log(np.clip(line, SHORT_KM, LONG_KM) / SHORT_KM) / np.log(LONG_KM / SHORT_KM)
    return line * (
        workload.circuity_short + along * (workload.circuity_long - workload.circuity_short)
    )


def drive_h(km: ArrayLike, workload: Workload) -> NDArray[np.float64]:
    """Hours to drive by road: 10 km in town, 40 km regional, the rest on long roads.

    Farther is never faster.

    Examples
    --------
    >>> drive_h([35.0, 90.0], Workload()).round(2).tolist()
    [0.7, 1.45]
    """
    left = np.asarray(km, dtype=float)
    hours = np.zeros_like(left)
    for stretch, speed in zip((*STRETCHES_KM, np.inf), workload.speeds_kmh, strict=True):
        part = np.minimum(left, stretch)
        hours = hours + part / speed
        left = left - part
    return hours


def shape_measures(shapes: gpd.GeoSeries) -> pd.DataFrame:
    """Measure the shape of polygons.

    Parameters
    ----------
    shapes
        In any coordinate system.

    Returns
    -------
    DataFrame, same index
        area_km2      area, equal-area projection                           km2
        compactness   area over the area of the convex hull, 1.0 is convex  ratio

    Examples
    --------
    >>> square = gpd.GeoSeries([shapely.box(0, 0, 1, 1)], crs=4326)
    >>> shape_measures(square).round(2).values.tolist()
    [[12308.46, 1.0]]
    """
    flat = shapes.to_crs(EQUAL_AREA).to_numpy()
    area = shapely.area(flat)
    hull = shapely.area(shapely.convex_hull(flat))
    ratio = np.divide(area, hull, out=np.ones_like(area), where=hull > 0)
    return pd.DataFrame({"area_km2": area / 1e6, "compactness": ratio}, index=shapes.index)
