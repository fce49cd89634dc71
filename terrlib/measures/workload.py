"""Hours: what accounts need of visits, calls and travel, and what a rep has in a year."""

from __future__ import annotations

import datetime

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings, Workload
from terrlib.measures.geometry import drive_h, nearest_km, road_km

SATURDAY = 5
NEAREST = 3
NN_FACTOR = 0.87
WEEK_D = 5
FEWEST_RECORDED = 10


def workdays(year: int, country: str) -> int:
    """Count working days of a year: Monday to Friday, less a day for each holiday Monday to Saturday.

    Source: art. 130 of the Polish Labour Code; other countries lose only holidays from Monday to
    Friday.

    Examples
    --------
    >>> workdays(2026, "PL")
    251
    """
    first = datetime.date(year, 1, 1)
    days = [first + datetime.timedelta(n) for n in range(366)]
    weekdays = sum(d.year == year and d.weekday() < SATURDAY for d in days)
    last = SATURDAY if country == "PL" else SATURDAY - 1
    free = holidays.country_holidays(country, years=year) if has_calendar(country) else {}
    return weekdays - sum(d.weekday() <= last for d in free)


def has_calendar(country: str) -> bool:
    """Tell whether the holidays of a country are known; where not, none are counted.

    Examples
    --------
    >>> has_calendar("PL"), has_calendar("XX")
    (True, False)
    """
    return country in holidays.list_supported_countries()


def field_days(settings: Settings, year: int, country: str) -> float:
    """Days a year that a full-time rep is with customers.

    Examples
    --------
    >>> field_days(Settings(), 2026, "PL")
    202.0
    """
    w = settings.workload
    return float(workdays(year, country)) - w.leave_d - w.sick_d - w.training_d - w.meetings_d


def capacity_h(settings: Settings, year: int, country: str) -> float:
    """Hours a year that a full-time rep has for customers and travel.

    Examples
    --------
    >>> capacity_h(Settings(), 2026, "PL")
    1212.0
    """
    w = settings.workload
    return field_days(settings, year, country) * w.hours_per_day * (1 - w.admin_share)


def yearly_cost(reps: pd.DataFrame, settings: Settings) -> pd.Series:
    """Full cost a year of every rep, currency: as given, else that of full time by the time worked.

    Parameters
    ----------
    reps
        cost_year (currency), fte (1 is full time).
    settings
        `workload.rep_cost_year`.

    Examples
    --------
    >>> reps = pd.DataFrame({"cost_year": [100_000.0, None], "fte": [0.5, 0.5]}, index=["R1", "R2"])
    >>> yearly_cost(reps, Settings()).to_dict()
    {'R1': 100000.0, 'R2': 90000.0}
    """
    full = settings.workload.rep_cost_year * reps["fte"].astype(float)
    return reps["cost_year"].astype(float).fillna(full)


def as_recorded(market: Market, kinds: pd.Series, settings: Settings) -> Settings:
    """Take visits and calls from recorded activities instead of the assumptions, class by class.

    Parameters
    ----------
    market
        Its activities of the last 12 months.
    kinds
        account_id -> visit class.
    settings
        `workload.classes`; a class of fewer than 10 accounts or activities keeps what they say.

    Returns
    -------
    Settings
        Visits and calls are the median of the accounts of a class, those that got none among them;
        minutes the median of those noted.
    """
    done = market.activities
    if not len(done) or market.as_of is None:
        return settings
    recent = done[done["date"] > market.as_of - pd.DateOffset(years=1)]
    classes = dict(settings.workload.classes)
    for name, plan in classes.items():
        ids = kinds.index[kinds == name]
        mine = recent[recent["account_id"].isin(ids)]
        if min(len(ids), len(mine)) < FEWEST_RECORDED:
            continue
        changes: dict[str, float] = {}
        for kind, often, long in (
            ("visit", "visits", "visit_min"),
            ("call", "calls", "call_min"),
        ):
            rows = mine[mine["kind"] == kind]
            count = rows["account_id"].value_counts().reindex(ids).fillna(0)
            changes[often] = float(count.median())
            noted = rows["minutes"].dropna()
            if len(noted[noted > 0]):
                changes[long] = float(noted[noted > 0].median())
        classes[name] = plan.model_copy(update=changes)
    w = settings.workload.model_copy(update={"classes": classes})
    return settings.model_copy(update={"workload": w})


def account_workload(
    accounts: pd.DataFrame,
    homes: pd.DataFrame,
    settings: Settings,
    days: float,
    closer: float = 1.0,
    ways: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build up the hours a year of every account from visits, calls and travel.

    Travel uses what is fixed before territories are drawn: the nearest rep's home, and how close
    accounts lie in the whole market, so that solver and judge use the same hours.

    Parameters
    ----------
    accounts
        Indexed by account_id: class, site_id, lat, lon, x_km, y_km. Accounts of one site are one
        stop: as many as its most visited account asks for, its way shared by their visits.
    homes
        home_lat, home_lon of the reps; may be empty, then no way from home is counted.
    settings
        `workload`.
    days
        Field days of a rep, see `field_days`.
    closer
        What ways from home are multiplied by: below 1 with more reps than today.
    ways
        unit_id -> km, hours from the nearest home as the user gives them, see `own_ways`: taken
        instead where known; `accounts` then has unit_id.

    Returns
    -------
    DataFrame, same index
        visits, travel_km                       a year; km by road
        visit_h, call_h, travel_h, workload_h   hours a year; the last is the sum

    Notes
    -----
    Visits, minutes and calls by class are the build-up of Talley (1961). Travel is the additive form
    of Figliozzi's tour length (2008): the way from home shared by the stops of a day, and the hop
    to the next stop, which shrinks as more accounts are due in a week.
    """
    w = settings.workload
    kind = pd.DataFrame({k: v.model_dump() for k, v in w.classes.items()}).T
    mine = kind.reindex(accounts["class"]).fillna(0.0).set_axis(accounts.index)
    visits = mine["visits"]
    stops = as_stops(accounts, visits)
    from_home = np.zeros(len(stops))
    if len(homes):
        from_home = closer * nearest_km(stops[["lat", "lon"]], homes)
    hop = local_hop_km(stops[["x_km", "y_km"]].to_numpy(float), stops["visits"].to_numpy(), days)
    out = road_km(from_home, w)
    out_h = drive_h(out, w)
    if ways is not None and len(ways):
        unit = accounts.groupby("site_id")["unit_id"].first().reindex(stops.index)
        km, given_h = closer * ways.reindex(unit).to_numpy(float).T
        out = np.where(np.isnan(km), out, km)
        out_h = np.where(np.isnan(given_h), drive_h(out, w), given_h)
    shared = stops["visits"] / visits.groupby(accounts["site_id"]).sum().clip(1e-9)
    km, travel = (
        visits * accounts["site_id"].map(shared * each) for each in tour_share(out, out_h, hop, w)
    )
    visit_h = visits * (mine["visit_min"] + mine["prep_min"]) / 60
    call_h = mine["calls"] * mine["call_min"] / 60
    return pd.DataFrame(
        {
            "visits": visits,
            "travel_km": km,
            "visit_h": visit_h,
            "call_h": call_h,
            "travel_h": travel,
            "workload_h": visit_h + call_h + travel,
        }
    )


def own_ways(travel: pd.DataFrame, reps: pd.Index, w: Workload) -> pd.DataFrame:
    """Take from the user's matrix the way to every unit from the rep who is there soonest.

    Parameters
    ----------
    travel
        unit_id, to (rows to a rep count), km, minutes: one way by road; one of the two may be blank.
    reps
        rep_id.
    w
        Speeds, for hours where only km are given.

    Returns
    -------
    DataFrame, indexed by unit_id
        km (NaN where only minutes are given), hours

    Examples
    --------
    >>> rows = {"unit_id": "u", "to": ["R1", "R2"], "km": [35.0, 10.0], "minutes": [20.0, 30.0]}
    >>> own_ways(pd.DataFrame(rows), pd.Index(["R1", "R2"]), Workload()).round(2).loc["u"].tolist()
    [35.0, 0.33]
    """
    rows = travel[travel["to"].isin(reps)]
    km, minutes = rows["km"].astype(float), rows["minutes"].astype(float)
    hours = (minutes / 60).fillna(pd.Series(drive_h(km.to_numpy(), w), km.index))
    found = pd.DataFrame({"unit_id": rows["unit_id"], "km": km, "hours": hours})
    found = found.sort_values(["unit_id", "hours", "km"], kind="stable")
    return found.drop_duplicates("unit_id").set_index("unit_id")


def as_stops(accounts: pd.DataFrame, visits: pd.Series) -> pd.DataFrame:
    """Make accounts of one site one stop, with the visits that its most visited account asks for.

    Parameters
    ----------
    accounts
        site_id, lat, lon, x_km, y_km.
    visits
        Visits a year, same index.

    Returns
    -------
    DataFrame, indexed by site_id
        lat, lon, x_km, y_km, visits

    Examples
    --------
    >>> one = {"site_id": "s", "lat": 52.0, "lon": 19.0, "x_km": 0.0, "y_km": 0.0}
    >>> as_stops(pd.DataFrame([one, one]), pd.Series([12.0, 4.0]))["visits"].to_dict()
    {'s': 12.0}
    """
    here = accounts.assign(visits=visits).groupby("site_id", sort=True)
    return here[["lat", "lon", "x_km", "y_km"]].mean().assign(visits=here["visits"].max())


def local_hop_km(
    xy_km: NDArray[np.float64], visits: NDArray[np.float64], days: float
) -> NDArray[np.float64]:
    """Straight-line km from one stop to the next, by how close visited accounts lie.

    Parameters
    ----------
    xy_km
        (n, 2) positions, km.
    visits
        (n,) visits a year; accounts without visits have no hop.
    days
        Field days of a rep.
    """
    hop = np.zeros(len(xy_km))
    who = np.flatnonzero(visits > 0)
    if len(who) < 2:  # noqa: PLR2004
        return hop
    near = min(NEAREST, len(who) - 1)
    distance, _ = cKDTree(xy_km[who]).query(xy_km[who], k=near + 1)
    due = visits.sum() / max(days / WEEK_D, 1.0)
    density = np.sqrt(len(who) / max(1.0, min(len(who), due)))
    hop[who] = NN_FACTOR * distance[:, 1:].mean(axis=1) * density
    return hop


def visit_travel(
    home_km: NDArray[np.float64], hop_km: NDArray[np.float64], w: Workload
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Road km and hours of travel for one visit, its share of the day's tour.

    Parameters
    ----------
    home_km, hop_km
        Straight-line km from home and to the next stop.
    w
        Stops a day, circuity, speeds, minutes to park and walk in.

    Examples
    --------
    >>> flat = Workload(circuity_short=1.3, circuity_long=1.3, speeds_kmh=(35, 35, 35))
    >>> km, hours = visit_travel(np.array([40.0]), np.array([12.0]), flat)
    >>> round(float(km[0]), 2)
    33.28
    """
    out = road_km(home_km, w)
    return tour_share(out, drive_h(out, w), hop_km, w)


def tour_share(
    out_km: NDArray[np.float64],
    out_h: NDArray[np.float64],
    hop_km: NDArray[np.float64],
    w: Workload,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Road km and hours of travel for one visit, where the way from home is known by road.

    Parameters
    ----------
    out_km, out_h
        One way by road: km and hours. Beyond `overnight_h` a tour lasts `overnight_days` days.
    hop_km, w
        As for `visit_travel`.
    """
    stops = w.stops_per_day
    tour = stops * np.where(out_h > w.overnight_h, w.overnight_days, 1)
    hop = road_km(hop_km, w)
    km = 2 * out_km / tour + (1 - 1 / stops) * hop
    hours = 2 * out_h / tour + (1 - 1 / stops) * drive_h(hop, w) + w.access_min / 60
    return km, hours


def nights(out_h: NDArray[np.float64], w: Workload) -> NDArray[np.float64]:
    """Nights away for one visit: a tour of several days has a night less than days.

    Examples
    --------
    >>> nights(np.array([1.0, 3.0]), Workload()).tolist()
    [0.0, 0.1]
    """
    away = (w.overnight_days - 1) / (w.stops_per_day * w.overnight_days)
    return np.where(out_h > w.overnight_h, away, 0.0)
