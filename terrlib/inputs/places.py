"""Where accounts are: from coordinates as exported, else from what else is known of their place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS, Transformer

from terrlib.errors import DataError
from terrlib.inputs.quality import PILE, STOP, Ledger, country_code
from terrlib.inputs.settings import Settings
from terrlib.inputs.values import fold
from terrlib.show.words import Told, either

# South, north, west, east in degrees, outlying islands left out.
BOXES = {
    "PL": (49.0, 54.9, 14.1, 24.2),
    "DE": (47.2, 55.1, 5.8, 15.1),
    "CZ": (48.5, 51.1, 12.0, 18.9),
    "SK": (47.7, 49.7, 16.8, 22.6),
    "UA": (44.3, 52.4, 22.1, 40.3),
    "BY": (51.2, 56.2, 23.1, 32.8),
    "LT": (53.8, 56.5, 20.9, 26.9),
    "LV": (55.6, 58.1, 20.9, 28.3),
    "EE": (57.5, 59.8, 21.7, 28.3),
    "AT": (46.3, 49.1, 9.5, 17.2),
    "HU": (45.7, 48.6, 16.1, 22.9),
    "RO": (43.6, 48.3, 20.2, 29.8),
    "FR": (41.3, 51.2, -5.2, 9.6),
    "GB": (49.8, 60.9, -8.7, 1.8),
    "NL": (50.7, 53.6, 3.3, 7.3),
    "BE": (49.4, 51.6, 2.5, 6.5),
    "SE": (55.3, 69.1, 10.9, 24.2),
    "US": (18.9, 71.5, -179.2, -66.9),
}
# Latitude and longitude along the border, to a tenth of a degree: within 11 km of it everywhere.
OUTLINES = {
    "PL": "52.9 14.1, 53.2 14.4, 53.7 14.2, 53.7 14.5, 53.8 14.6, 53.9 14.2, 54.3 16.1, 54.5 16.5, "
    "54.8 17.5, 54.9 18.3, 54.6 18.9, 54.7 18.5, 54.4 18.6, 54.4 18.9, 54.5 19.6, 54.4 22.9, "
    "54.2 23.4, 52.7 23.9, 52.3 23.2, 52.1 23.7, 51.6 23.5, 50.9 24.1, 50.8 24.0, 50.5 24.1, "
    "49.6 22.7, 49.0 22.9, 49.4 21.6, 49.3 20.9, 49.4 20.3, 49.2 20.0, 49.2 19.8, 49.4 19.8, "
    "49.6 19.5, 49.4 19.0, 49.9 18.5, 50.1 17.6, 50.3 17.7, 50.4 16.9, 50.2 17.0, 50.1 16.6, "
    "50.4 16.2, 50.6 16.3, 50.6 16.0, 50.8 15.4, 51.0 15.2, 50.9 14.8, 51.3 15.0, 51.8 14.6, "
    "52.1 14.7, 52.3 14.5, 52.6 14.6",
}
BORDER_KM = 20.0
MARGIN = 1.5
METRES = {"PL": (2180, 2176, 2177, 2178, 2179, 32633, 32634)}
WEB = 3857
WHOLE = 0.9
POSTAL_KM = 15.0
TOWN_KM = 5.0
DEGREE_KM = 111.2
# By what a table could place accounts that have no point; each has an id, if nothing else.
_HINTS = {
    "town": "no_coordinates_but_town",
    "postal_code": "no_coordinates_but_code",
    "account_id": "no_coordinates",
}
# Town, the places so called, how many more of them there are: the rows that ask which is meant.
Questions = dict[tuple[str, str, int], list[object]]
QUALITIES = ("exact", "postal", "town", "area")


def locate(
    ledger: Ledger,
    rows: pd.DataFrame,
    area_ids: pd.Series,
    tables: dict[str, pd.DataFrame],
    settings: Settings,
) -> pd.DataFrame:
    """Put accounts on the map, marked with how precisely; set aside those that cannot be.

    Parameters
    ----------
    ledger
        Where findings go.
    rows
        Typed accounts, their coordinates as given: degrees or metres.
    area_ids
        The areas given; an account without a point may stand in the middle of one.
    tables
        postal_centroids and gazetteer, as typed; absent or empty where not given.
    settings
        country, crs and geography.

    Returns
    -------
    DataFrame
        Accounts with lat, lon (NaN for those that stand in their area), geo_quality, and `_guessed`
        for those whose point was found otherwise than from their coordinates.

    Raises
    ------
    DataError
        If the coordinates of most accounts can be read two ways, or are swapped.
    """
    rows = _to_degrees(ledger, rows, settings)
    lat, lon = rows["lat"], rows["lon"]
    none = lat.isna() | lon.isna() | ((lat == 0) & (lon == 0)) | ~_on_earth(lat, lon)
    rows = rows.assign(lat=lat.where(~none), lon=lon.where(~none))
    rows = _far_or_swapped(ledger, rows, settings)
    if not len(area_ids):  # else they tell what lies outside
        rows = _without_foreign(ledger, rows, settings.country)
    rows = _settle_quality(ledger, rows)
    rows = _by_postal_code(ledger, rows, tables.get("postal_centroids"), settings)
    rows = _by_town(ledger, rows, tables.get("gazetteer"), area_ids)
    for column, message in _HINTS.items():
        lost = rows["lat"].isna() & ~rows["area_id"].isin(area_ids) & (rows[column] != "")
        rows = ledger.set_aside("accounts", "no_coordinates", rows, lost, column, message)
    return rows


def find_homes(
    ledger: Ledger,
    reps: pd.DataFrame,
    accounts: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    country: str,
) -> pd.DataFrame:
    """Find the homes of reps: as given, else by their postal code or their town; name the homeless.

    Parameters
    ----------
    ledger
        Where findings go; reps without a home are a stop, unless the settings set them aside.
    reps
        Typed reps. A home at 0, 0 is none.
    accounts
        Located accounts: a home outside the country is doubted only where most of them are in it.
    tables
        postal_centroids and gazetteer, as typed; absent or empty where not given.
    country
        The country of the plan.

    Examples
    --------
    >>> reps = pd.DataFrame({"rep_id": ["R1"], "name": ["Ewa Lis"], "home_lat": [0.0],
    ...     "home_lon": [0.0], "home_town": ["Łódź"], "home_region": "", "home_postal_code": ""})
    >>> towns = pd.DataFrame({"town": ["Łódź"], "region": "", "area_id": "", "lat": 51.8, "lon": 19.5})
    >>> accounts = pd.DataFrame({"lat": [52.0], "lon": [21.0]})
    >>> find_homes(Ledger(), reps, accounts, {"gazetteer": towns}, "PL")["home_lat"].tolist()
    [51.8]
    """
    columns = ["lat", "lon", "town", "region", "postal_code"]
    place = reps[[f"home_{column}" for column in columns]].set_axis(columns, axis=1)
    none = place[["lat", "lon"]].isna().any(axis=1) | (place[["lat", "lon"]] == 0).all(axis=1)
    point = place[["lat", "lon"]].mask(none)
    centroids, gazetteer = tables.get("postal_centroids"), tables.get("gazetteer")
    questions: Questions = {}
    if centroids is not None and len(centroids):
        coded = _middle_of(centroids, place["postal_code"])
        here = point["lat"].isna() & coded["lat"].notna()
        ledger.find("reps", "home_by_postal_code", reps[here], "home_postal_code")
        point = point.fillna(coded)
    if gazetteer is not None and len(gazetteer):
        lost = place[point["lat"].isna()].assign(area_id="")
        towns, questions = _towns_of(lost, gazetteer, set())
        ledger.find("reps", "home_by_town", reps.loc[towns.index], "home_town")
        point = point.fillna(towns)
    reps = reps.assign(home_lat=point["lat"], home_lon=point["lon"])
    asked = {key: _which(*question) for question, keys in questions.items() for key in keys}
    named = reps["rep_id"].where(reps["name"] == "", reps["rep_id"] + " (" + reps["name"] + ")")
    most = _inside(accounts["lat"], accounts["lon"], country).mean() > 0.5  # noqa: PLR2004
    lost = point["lat"].isna()
    far = ~lost & most & ~_inside(point["lat"], point["lon"], country, MARGIN)
    for rule, bad in (("no_home", lost), ("home_far_away", far)):
        if bad.any() and ledger.severity[rule] == STOP:
            names = [
                Told("refusal.home_of", rep=named[key], town=asked[key])
                if key in asked
                else named[key]
                for key in point.index[bad]
            ]
            told = Told(f"refusal.{rule}", n=int(bad.sum()), reps=names, country=country)
            ledger.stop("reps", rule, told)
        else:
            reps = ledger.set_aside("reps", rule, reps, bad.reindex(reps.index), "home_town")
    return reps


def piles(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """Note ten or more accounts on one point; the point of several postal codes is a town's middle.

    Examples
    --------
    >>> rows = pd.DataFrame({"account_id": range(10), "lat": 52.0, "lon": 21.0, "town": "A",
    ...     "postal_code": list("0123456789"), "geo_quality": "exact"})
    >>> piles(Ledger(), rows)["geo_quality"].unique().tolist()
    ['town']
    """
    # Who was put on a point by us stands there together by rights.
    exact = rows[rows["geo_quality"] == "exact"]
    by = exact.groupby(["lat", "lon"])
    piled = by["account_id"].transform("size") >= PILE
    one_code = (by["postal_code"].transform("nunique") == 1) & (exact["postal_code"] != "")
    middle = exact.index[piled & ~one_code]
    rows = rows.assign(geo_quality=rows["geo_quality"].mask(rows.index.isin(middle), "town"))
    return ledger.set_aside(
        "accounts",
        "many_on_one_point",
        rows,
        piled.reindex(rows.index, fill_value=False),
        "town",
        n=PILE,
    )


def _on_earth(lat: pd.Series, lon: pd.Series) -> pd.Series:
    return (lat.abs() <= 90) & (lon.abs() <= 180)  # noqa: PLR2004


def _inside(lat: pd.Series, lon: pd.Series, country: str, margin: float = 0.0) -> pd.Series:
    """Tell which points lie in the box of a country; none where its box is not known."""
    south, north, west, east = BOXES.get(country, (np.nan,) * 4)
    return lat.between(south - margin, north + margin) & lon.between(west - margin, east + margin)


def _in_use(point: pd.DataFrame, code: int) -> pd.Series:
    """Tell which points lie where a projection is meant to be used."""
    west, south, east, north = CRS.from_epsg(code).area_of_use.bounds
    return point["lat"].between(south, north) & point["lon"].between(west, east)


def _to_degrees(ledger: Ledger, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Turn metres into degrees where all coordinates are metres; set single rows of them aside."""
    lat, lon = rows["lat"], rows["lon"]
    given = lat.notna() & lon.notna() & ~((lat == 0) & (lon == 0))
    metres = given & ~_on_earth(lat, lon)
    if not metres.any() or not (settings.country in BOXES or settings.crs):
        return rows
    read = {}
    codes = (
        dict.fromkeys([settings.crs, *METRES.get(settings.country, ()), WEB])
        if settings.country in BOXES
        else [settings.crs]  # nothing to compare others with
    )
    # A column called lat holds the northing; the other way round only if that fits nowhere.
    for north, east, order in ((lat, lon, "lat as northing"), (lon, lat, "lat as easting")):
        for code in filter(None, codes):
            to = Transformer.from_crs(code, 4326, always_xy=True)
            x, y = to.transform(east[metres].to_numpy(), north[metres].to_numpy())
            point = pd.DataFrame({"lat": y, "lon": x}, index=rows.index[metres])
            fits = (
                _inside(point["lat"], point["lon"], settings.country)
                if settings.country in BOXES
                else _in_use(point, code)
            )
            if fits.any():
                read[code, order] = (fits, point)
        if any(fits.mean() >= WHOLE for fits, _ in read.values()):
            break
    if metres.sum() < WHOLE * given.sum():
        any_fit = pd.Series(data=False, index=rows.index)
        for fits, _ in read.values():
            any_fit |= fits.reindex(rows.index, fill_value=False)
        names = ", ".join(f"EPSG:{code}" for code in dict.fromkeys(code for code, _ in read))
        return ledger.set_aside(
            "accounts",
            "projected_coordinates",
            rows,
            any_fit,
            "lat",
            names=names,
        )
    share = {key: float(fits.mean()) for key, (fits, _) in read.items()}
    best = [key for key, part in share.items() if part >= max(WHOLE, max(share.values()))]
    best = [key for key in best if key[0] == settings.crs] or best
    if not best:
        return rows
    if len(best) > 1:
        either_of = either("or", *(Told(f"EPSG:{code}") for code, _ in best))
        raise DataError("refusal.several_projections", n=int(metres.sum()), codes=either_of)
    code, order = best[0]
    fits, point = read[best[0]]
    ledger.find(
        "accounts",
        "read_as_projected",
        rows[metres].head(1),
        "lat",
        n=int(fits.sum()),
        code=str(code),
        order=order,
    )
    degrees = point.where(fits)
    return rows.assign(
        lat=lat.where(~metres, degrees["lat"].reindex(rows.index)),
        lon=lon.where(~metres, degrees["lon"].reindex(rows.index)),
    )


def _far_or_swapped(ledger: Ledger, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Set aside points that lie outside the country or far from all others, and swapped ones."""
    known, lat, lon = rows["lat"].notna(), rows["lat"], rows["lon"]
    inside = _inside(lat, lon, settings.country)
    turned_in = known & ~inside & _inside(lon, lat, settings.country)
    # A country left at its default is no reason to throw everybody out.
    boxed = int((inside | turned_in).sum()) > known.sum() / 2
    turn = settings.geography.swapped == "turn"
    if boxed and turned_in.sum() > known.sum() / 2 and known.sum() >= PILE and not turn:
        many = {"n": int(turned_in.sum()), "of": int(known.sum())}
        raise DataError("refusal.most_swapped", **many)
    swapped = turned_in & boxed
    far = known & ~swapped & ~_inside(lat, lon, settings.country, MARGIN) & boxed
    if known.sum() >= PILE:
        true = rows[["lat", "lon"]].where(~swapped)
        if turn:
            true = true.fillna({"lat": lon.where(swapped), "lon": lat.where(swapped)})
        middle = true.median() if true["lat"].notna().any() else rows[["lat", "lon"]].median()
        spread = (3 * (true - middle).abs().median()).fillna(0.0).clip(lower=2.0)
        off = ((rows[["lat", "lon"]] - middle).abs() / spread).max(axis=1)
        turned = (rows[["lon", "lat"]].set_axis(["lat", "lon"], axis=1) - middle).abs()
        swapped |= known & (off > 4) & ((turned / spread).max(axis=1) < 2)  # noqa: PLR2004
        far = ~swapped & (far | (known & (off > 6)))  # noqa: PLR2004
    if turn:
        ledger.find(
            "accounts",
            "coordinates_turned",
            rows[swapped],
            "lat",
        )
        rows = rows.assign(lat=lat.mask(swapped, lon), lon=lon.mask(swapped, lat))
    else:
        rows = ledger.set_aside(
            "accounts",
            "swapped_coordinates",
            rows,
            swapped,
            "lat",
        )
    return ledger.set_aside(
        "accounts",
        "far_away",
        rows,
        far.reindex(rows.index),
        "lat",
    )


def _without_foreign(ledger: Ledger, rows: pd.DataFrame, country: str) -> pd.DataFrame:
    """Set aside accounts of the country, or of none stated, whose points lie in another."""
    if country not in OUTLINES:
        return rows
    border = np.array([point.split() for point in OUTLINES[country].split(", ")], dtype=float)
    km = DEGREE_KM * np.array([1.0, np.cos(np.radians(border[:, 0].mean()))])
    # What lies far from all others was told already.
    near = _inside(rows["lat"], rows["lon"], country, MARGIN)
    known = rows.loc[near, ["lat", "lon"]]
    points = shapely.points(known.to_numpy(float) * km)
    away = known.index[shapely.distance(points, shapely.Polygon(border * km)) > BORDER_KM]
    # A country left at its default is no reason to throw everybody out.
    if len(away) > len(known) / 2:
        return rows
    own = rows["country"].map(country_code).isin(["", country])
    return ledger.set_aside(
        "accounts",
        "foreign_country",
        rows,
        own & rows.index.isin(away),
        "lat",
        "foreign_point",
        country=country,
        km=BORDER_KM,
    )


def _settle_quality(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the precision that was stated; a point of its own is exact otherwise."""
    stated = rows["geo_quality"].str.lower()
    ledger.find(
        "accounts",
        "unknown_geo_quality",
        rows[(stated != "") & ~stated.isin(QUALITIES)],
        "geo_quality",
        qualities=", ".join(QUALITIES),
    )
    known = rows["lat"].notna()
    quality = stated.where(stated.isin(QUALITIES), "exact").where(known, "area")
    return rows.assign(geo_quality=quality, _guessed=False)


def _placed(
    ledger: Ledger, rows: pd.DataFrame, points: pd.DataFrame, quality: str, message: str
) -> pd.DataFrame:
    """Give accounts without a point those of `points` (indexed alike: lat, lon)."""
    points = points.dropna()
    here = rows.index.isin(points.index) & rows["lat"].isna()
    field = "postal_code" if quality == "postal" else "town"
    ledger.find("accounts", f"placed_by_{field}", rows[here], field, message)
    return rows.assign(
        lat=rows["lat"].where(~here, points["lat"].reindex(rows.index)),
        lon=rows["lon"].where(~here, points["lon"].reindex(rows.index)),
        geo_quality=rows["geo_quality"].mask(here, quality),
        _guessed=rows["_guessed"] | here,
    )


def _km(one: pd.DataFrame, other: pd.DataFrame | pd.Series) -> pd.Series:
    north = one["lat"] - other["lat"]
    east = (one["lon"] - other["lon"]) * np.cos(np.radians(other["lat"]))
    return np.hypot(north, east) * DEGREE_KM


def _by_postal_code(
    ledger: Ledger, rows: pd.DataFrame, centroids: pd.DataFrame | None, settings: Settings
) -> pd.DataFrame:
    code = rows["postal_code"].where(rows["postal_code"] != "")
    if settings.geography.by_postal_code:
        located = rows.loc[rows["lat"].notna() & code.notna(), ["lat", "lon", "postal_code"]]
        middle = located.groupby("postal_code")[["lat", "lon"]].median()
        away = _km(located, middle.reindex(located["postal_code"]).set_axis(located.index))
        close = away.groupby(located["postal_code"]).max() <= POSTAL_KM
        points = middle[close].reindex(code).set_axis(rows.index)
        rows = _placed(ledger, rows, points, "postal", "placed_by_postal_code")
    if centroids is None or not len(centroids):
        return rows
    points = _middle_of(centroids, code)
    return _placed(ledger, rows, points, "postal", "placed_by_postal_centroid")


def _middle_of(centroids: pd.DataFrame, code: pd.Series) -> pd.DataFrame:
    """Point of every postal code by the table of their middles; NaN where it has none."""
    middle = centroids.groupby("postal_code")[["lat", "lon"]].median()
    return middle.reindex(code).set_axis(code.index)


def _towns_called(towns: pd.DataFrame, name: str, region: str, area: str) -> pd.DataFrame:
    """Towns of that name, in that region and area as far as both sides say."""
    found = towns[towns["_town"] == fold(name)] if fold(name) else towns[:0]
    for column, value in (("_region", fold(region)), ("area_id", area)):
        if value:
            found = found[(found[column] == value) | (found[column] == "")]
    return found


def _spots(found: pd.DataFrame) -> tuple[str, int]:
    """First five towns of one name, and how many more there are."""
    place = found["region"].where(found["region"] != "", found["area_id"])
    spots = found["lat"].map("{:.2f}".format) + " " + found["lon"].map("{:.2f}".format)
    names = sorted(f"{p} ({s})" for p, s in zip(place, spots, strict=True))
    return ", ".join(names[:5]), max(len(names) - 5, 0)


def _by_town(
    ledger: Ledger, rows: pd.DataFrame, gazetteer: pd.DataFrame | None, area_ids: pd.Series
) -> pd.DataFrame:
    """Put accounts into the only town of that name in their region; a second one is a question."""
    if gazetteer is None or not len(gazetteer):
        return rows
    points, questions = _towns_of(rows[rows["lat"].isna()], gazetteer, set(area_ids))
    if len(points):
        rows = _placed(ledger, rows, points, "town", "placed_by_town")
    for question, keys in questions.items():
        here = pd.Series(rows.index.isin(keys), index=rows.index)
        told = _which(*question)
        message, said = told.said.removeprefix("finding."), dict(told.filled)
        rows = ledger.set_aside("accounts", "which_town", rows, here, "town", message, **said)
    return rows


def _which(town: str, spots: str, more: int) -> Told:
    """Ask which town of a name is meant."""
    if more:
        return Told("finding.which_of_many_towns", town=town, spots=spots, more=more)
    return Told("finding.which_town", town=town, spots=spots)


def _towns_of(
    rows: pd.DataFrame, gazetteer: pd.DataFrame, stated: set[str]
) -> tuple[pd.DataFrame, Questions]:
    """Find the middle of the only town of that name; where there are several, the question."""
    towns = gazetteer.assign(
        _town=gazetteer["town"].map(fold), _region=gazetteer["region"].map(fold)
    ).dropna(subset=["lat", "lon"])
    points: dict[object, pd.Series] = {}
    questions: Questions = {}
    lost = rows.loc[rows["town"] != "", ["town", "region", "area_id"]]
    for key, name, region, area in lost.itertuples(name=None):
        found = _towns_called(towns, name, region, area)
        middle = found[["lat", "lon"]].median()
        if len(found) and (_km(found, middle) <= TOWN_KM).all():
            points[key] = middle
        elif len(found) and area not in stated:
            questions.setdefault((name, *_spots(found)), []).append(key)
    return pd.DataFrame(points, index=["lat", "lon"]).T, questions
