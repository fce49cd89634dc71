"""How many reps: four ways to answer, and how flat the profit is around the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings, change_settings
from terrlib.measures.facts import planning_year
from terrlib.measures.workload import (
    account_workload,
    as_recorded,
    capacity_h,
    field_days,
    own_ways,
    yearly_cost,
)

ROUNDS = 3
FLAT = 0.01  # of the best profit: less is no reason to choose one number over another
FAR = (0.7, 1.3)  # times today's reps: elasticities were measured within
WIDEST = (0.4, 2.5)  # times today's reps or the best number: what the curve shows
SWING = 0.2  # how much each default is moved to see what it does
PLACE = ["site_id", "lat", "lon", "x_km", "y_km"]
METHODS = ["method", "n_reps", "low", "high", "missing"]
LIMITS = {
    "use_target": (0.0, 1.0),
    "admin_share": (0.0, 1.0),
    "margin": (0.0, 1.0),
    "elasticity": (0.0, 0.99),
    "stops_per_day": (1.0, np.inf),
}
DEFAULTS = {
    "workload": ("sizing.use_target", "workload.admin_share", "workload.stops_per_day"),
    "profit": ("sizing.elasticity", "workload.margin", "workload.rep_cost_year"),
}


@dataclass(frozen=True)
class Sizing:
    """How many full-time reps the market is worth.

    Attributes
    ----------
    methods
        method (workload, breakdown, profit, pipeline), n_reps, low, high (full-time reps, NaN where
        unknown), missing (what a method lacks: reps, revenue, target or deals; "" where it speaks).
    profit
        n_reps, elasticity (low, middle, high), profit (currency a year), flat: within 1% of the
        best of the middle elasticity. Empty without reps or revenue.
    defaults
        method, default, low, high: number of reps with that default a fifth lower and a fifth
        higher.
    present
        Full-time reps today, 0 where none are given.
    far
        Whether the most profitable number is so far from today's that its elasticity is not known.
    """

    methods: pd.DataFrame
    profit: pd.DataFrame
    defaults: pd.DataFrame
    present: float
    far: bool


def size_sales_force(
    market: Market, facts: pd.DataFrame, settings: Settings, target: float
) -> Sizing:
    """Ask four methods how many full-time reps there should be.

    Parameters
    ----------
    market, facts
        Reps and deals; what is measured of every account.
    settings
        `sizing`, `workload`.
    target
        New sales wanted within a year, currency; 0 where nobody said.

    Returns
    -------
    Sizing

    Notes
    -----
    Workload: hours over capacity times the use aimed at; the way from home shrinks with the square
    root of the number of reps. Breakdown: sales wanted over what a rep sells today. Profit: sales
    grow with the number of reps to the power of their elasticity (Albers, Mantrala and Sridhar
    2010, doi:10.1509/jmkr.47.5.840). Pipeline: deals that the target asks for over those that a rep
    starts in a year.

    The profit is flat around its best, so the numbers within 1% of it are the answer and not the
    best itself (Sinha and Zoltners 2001, doi:10.1287/inte.31.3s.8.9673).
    """
    reps = float(market.reps["fte"].sum()) if len(market.reps) else 0.0
    revenue = float(facts["revenue"].sum())
    rows = [
        ("workload", *_by_workload(market, facts, settings, reps)),
        ("breakdown", *_by_breakdown(reps, revenue, target)),
        ("profit", *_by_profit(market, settings, reps, revenue)),
        ("pipeline", *_by_pipeline(market, facts, reps, target)),
    ]
    methods = pd.DataFrame(rows, columns=METHODS)
    best = float(methods.set_index("method").loc["profit", "n_reps"])
    far = bool(reps) and (best < FAR[0] * reps or best > FAR[1] * reps)
    curve = _curve(market, settings, reps, revenue, best)
    return Sizing(methods, curve, _defaults(market, facts, settings, reps, revenue), reps, far)


def most_profitable(
    present: float, sales: float, margin: float, cost: float, elasticity: float
) -> float:
    """Number of reps with the highest profit: sales x margin less cost, sales = S0 (n / n0)^e.

    Parameters
    ----------
    present, sales
        Reps and sales today.
    margin
        Share of sales.
    cost
        Of a rep a year, same currency as sales.
    elasticity
        Between 0 and 1: by how many per cent sales grow with one per cent more reps.

    Examples
    --------
    >>> round(most_profitable(16, 40e6, 0.35, 180_000, 0.31), 2)
    28.99
    """
    ratio = elasticity * margin * sales / (cost * present)
    return float(present * ratio ** (1 / (1 - elasticity)))


def flat_range(
    present: float, sales: float, margin: float, cost: float, e: float
) -> tuple[float, float]:
    """Numbers of reps whose profit is within 1% of the best: least and most.

    Examples
    --------
    A fifth less or more than the best costs less than one per cent:

    >>> low, high = flat_range(16, 40e6, 0.35, 180_000, 0.31)
    >>> low < 0.8 * 28.99 and high > 1.2 * 28.99
    True
    """
    from scipy.optimize import brentq

    best = most_profitable(present, sales, margin, cost, e)

    def short(n: float) -> float:
        return float(_profit(np.array(n), present, sales, margin, cost, e) - (1 - FLAT) * top)

    top = float(_profit(np.array(best), present, sales, margin, cost, e))
    if top <= 0:
        return best, best
    high = 2 * best
    while short(high) > 0:
        high *= 2
    return float(brentq(short, best * 1e-6, best)), float(brentq(short, best, high))


def _profit(
    n: np.ndarray, present: float, sales: float, margin: float, cost: float, e: float
) -> np.ndarray:
    return np.asarray(margin * sales * (n / present) ** e - cost * n)


def _by_workload(
    market: Market, facts: pd.DataFrame, settings: Settings, reps: float
) -> tuple[float, float, float, str]:
    s = settings.sizing
    full = capacity_h(settings, planning_year(market), market.country)
    found = [
        _reps_for_hours(market, facts, settings, reps, full * use)
        for use in (s.use_target, s.use_max, s.use_min)
    ]
    return found[0], found[1], found[2], ""


def _reps_for_hours(
    market: Market, facts: pd.DataFrame, settings: Settings, reps: float, hours: float
) -> float:
    """Reps whose hours are as many as the market needs when so many travel."""
    homes = market.reps[["home_lat", "home_lon"]]
    days = field_days(settings, planning_year(market), market.country)
    table = facts[["class", "unit_id"]].join(market.accounts[PLACE])
    ways = own_ways(market.travel, market.reps.index, settings.workload)
    settings = as_recorded(market, facts["class"], settings)
    n = reps or 1.0
    for _ in range(ROUNDS if reps else 1):
        closer = float(np.sqrt(reps / n)) if reps else 1.0
        hours_of = account_workload(table, homes, settings, days, closer, ways)["workload_h"]
        need = hours_of[facts["workload_h"] > 0].sum()  # the others' work is done by somebody else
        n = max(float(need) / hours, 1e-9)
    return n


def _by_breakdown(reps: float, revenue: float, target: float) -> tuple[float, float, float, str]:
    if not reps or revenue <= 0:
        return np.nan, np.nan, np.nan, "reps" if not reps else "revenue"
    if target <= 0:
        return np.nan, np.nan, np.nan, "target"
    n = (revenue + target) / (revenue / reps)
    return n, np.nan, np.nan, ""


def _by_profit(
    market: Market, settings: Settings, reps: float, revenue: float
) -> tuple[float, float, float, str]:
    if not reps or revenue <= 0:
        return np.nan, np.nan, np.nan, "reps" if not reps else "revenue"
    asked = (reps, revenue, settings.workload.margin, _cost(market, settings))
    low, high = flat_range(*asked, settings.sizing.elasticity)
    return most_profitable(*asked, settings.sizing.elasticity), low, high, ""


def _by_pipeline(
    market: Market, facts: pd.DataFrame, reps: float, target: float
) -> tuple[float, float, float, str]:
    deals = market.opportunities
    won = deals[deals["is_won"].astype(bool) & (deals["amount"] > 0)] if len(deals) else deals
    if not reps or not len(won) or market.as_of is None:
        return np.nan, np.nan, np.nan, "reps" if not reps else "deals"
    if target <= 0:
        return np.nan, np.nan, np.nan, "target"
    begun = deals.loc[deals["created_date"] > market.as_of - pd.DateOffset(years=1), "account_id"]
    if begun.empty:
        return np.nan, np.nan, np.nan, "deals"
    # Deals are with the accounts that start them, so their chances count as often as they did.
    chance = facts[["p_win", "p_win_low", "p_win_high"]].reindex(begun).mean()
    each = float(won["amount"].mean())
    carried = len(begun) / reps
    n, high, low = (target / (float(p) * each) / carried for p in chance)
    return n, low, high, ""


def _cost(market: Market, settings: Settings) -> float:
    """Cost a year of a full-time rep, the mean of those there are."""
    return float(yearly_cost(market.reps, settings).sum() / market.reps["fte"].astype(float).sum())


def _curve(
    market: Market, settings: Settings, reps: float, revenue: float, best: float
) -> pd.DataFrame:
    columns = ["n_reps", "elasticity", "profit", "flat"]
    if not reps or revenue <= 0:
        return pd.DataFrame(columns=columns)
    s, margin, cost = settings.sizing, settings.workload.margin, _cost(market, settings)
    low, high = flat_range(reps, revenue, margin, cost, s.elasticity)
    n = np.linspace(WIDEST[0] * min(reps, best), max(WIDEST[1] * reps, 1.2 * high), 81)
    parts = []
    for name, e in zip(
        ("low", "middle", "high"), (s.elasticity_low, s.elasticity, s.elasticity_high), strict=True
    ):
        profit = _profit(n, reps, revenue, margin, cost, e)
        flat = (n >= low) & (n <= high)
        parts.append(
            pd.DataFrame({"n_reps": n, "elasticity": name, "profit": profit, "flat": flat})
        )
    return pd.concat(parts, ignore_index=True)


def _defaults(
    market: Market, facts: pd.DataFrame, settings: Settings, reps: float, revenue: float
) -> pd.DataFrame:
    """What a fifth less and a fifth more of each default does to the number of reps."""
    rows = []
    for method, names in DEFAULTS.items():
        for name in names:
            ends = []
            for times in (1 - SWING, 1 + SWING):
                changed = _scaled(settings, name, times)
                if method == "workload":
                    n = _by_workload(market, facts, changed, reps)[0]
                else:
                    n = _by_profit(market, changed, reps, revenue)[0]
                ends.append(n)
            rows.append((method, name, *ends))
    table = pd.DataFrame(rows, columns=["method", "default", "low", "high"]).dropna()
    # A default that the user's own tables take the place of moves nothing.
    return table[table["low"] != table["high"]].reset_index(drop=True)


def _scaled(settings: Settings, name: str, times: float) -> Settings:
    room, field = name.split(".")
    least, most = LIMITS.get(field, (0.0, np.inf))
    value = float(getattr(getattr(settings, room), field)) * times
    return change_settings(settings, {name: min(max(value, least), most)})
