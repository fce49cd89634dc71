"""How often deals are won and how long it takes, with open deals counted right."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings

HORIZON_M = 36
DAYS_PER_MONTH = 30.4375
OPEN, WON, LOST = 0, 1, 2


def deals(market: Market) -> pd.DataFrame:
    """List opportunities as durations.

    Returns
    -------
    DataFrame, indexed by opp_id
        account_id
        months     age when closed, or on the last day that counts       months
        outcome    0 open, 1 won, 2 lost; closed after that day is open
        amount     value                                                 currency
    """
    table, as_of = market.opportunities, market.as_of
    if not len(table) or as_of is None:
        columns = {"account_id": str, "months": float, "outcome": int, "amount": float}
        return pd.DataFrame({c: pd.Series(dtype=t) for c, t in columns.items()})
    closed = table["is_closed"].astype(bool) & (table["close_date"] <= as_of)
    end = table["close_date"].where(closed, as_of)
    days = (end - table["created_date"]).dt.days.clip(lower=0)
    return pd.DataFrame(
        {
            "account_id": table["account_id"],
            "months": np.clip(days / DAYS_PER_MONTH, 0.01, HORIZON_M),
            "outcome": np.where(closed, np.where(table["is_won"], WON, LOST), OPEN),
            "amount": table["amount"],
        }
    )


def incidence(months: NDArray[np.float64], outcome: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cumulative incidence of winning and losing by month, by Aalen and Johansen.

    Parameters
    ----------
    months, outcome
        Age and outcome (0 open, 1 won, 2 lost) of each deal.

    Returns
    -------
    (HORIZON_M + 1, 2) array
        Probability of being won, and lost, by month 0, 1, ..., 36.

    Examples
    --------
    >>> incidence(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 2, 1, 2]))[-1].tolist()
    [0.5, 0.5]
    """
    from statsmodels.duration.survfunc import CumIncidenceRight  # slow to import

    grid = np.arange(HORIZON_M + 1, dtype=float)
    curves = np.zeros((HORIZON_M + 1, 2))
    if not (outcome > 0).any():
        return curves
    # Its variance, which is not used, divides by zero where the last deal closes.
    with np.errstate(divide="ignore", invalid="ignore"):
        found = CumIncidenceRight(months, outcome)
    for cause in range(min(2, len(found.cinc))):
        at = np.searchsorted(found.times, grid, side="right") - 1
        curve = np.concatenate([[0.0], found.cinc[cause]])
        curves[:, cause] = curve[at + 1]
    return curves


def win_rates(market: Market, groups: pd.Series, settings: Settings) -> pd.DataFrame:
    """Win rate and sales cycle by group, open deals counted as open.

    Parameters
    ----------
    market
        With or without opportunities.
    groups
        account_id -> group, such as a segment.
    settings
        `customers.kappa` closed deals of the whole base stand beside those of a group.

    Returns
    -------
    DataFrame, the whole base first, under the group ""
        group, n, won, lost, open  counts
        naive       won over closed                              share
        p_win       share of deals that are won in the end       share
        low, high   80% interval (Wilson, on the closed deals)   share
        cycle_m     mean time to a win                           months
    """
    table = deals(market)
    group = table["account_id"].map(groups).fillna("")
    pool = incidence(table["months"].to_numpy(), table["outcome"].to_numpy())
    rows = [_rate("", table, pool, pool, settings)]
    for name in sorted(set(group) - {""}):
        part = table[group == name]
        curve = incidence(part["months"].to_numpy(), part["outcome"].to_numpy())
        rows.append(_rate(str(name), part, curve, pool, settings))
    return pd.DataFrame(rows)


def _rate(
    name: str,
    part: pd.DataFrame,
    curve: NDArray[np.float64],
    pool: NDArray[np.float64],
    settings: Settings,
) -> dict[str, float | str | int]:
    won, lost = int((part["outcome"] == WON).sum()), int((part["outcome"] == LOST).sum())
    closed = won + lost
    kappa = 0.0 if name == "" else settings.customers.kappa
    if not pool[-1].sum():
        assumed, months = settings.customers.win_rate, settings.timeline.cycle_months
        return {
            "group": name,
            "n": len(part),
            "won": won,
            "lost": lost,
            "open": len(part) - closed,
            "naive": 0.0,
            "p_win": assumed,
            "low": assumed / 2,
            "high": min(1.0, assumed * 2),
            "cycle_m": months,
        }
    mixed = (closed * curve + kappa * pool) / (closed + kappa) if closed + kappa else pool
    p = float(mixed[-1, 0] / mixed[-1].sum())
    low, high = wilson(p, closed + kappa)
    steps = np.diff(mixed[:, 0])
    middle = np.arange(HORIZON_M) + 0.5
    cycle = float(steps @ middle / steps.sum()) if steps.sum() else settings.timeline.cycle_months
    return {
        "group": name,
        "n": len(part),
        "won": won,
        "lost": lost,
        "open": len(part) - closed,
        "naive": won / closed if closed else 0.0,
        "p_win": p,
        "low": low,
        "high": high,
        "cycle_m": cycle,
    }


def wilson(p: float, n: float, level: float = 0.80) -> tuple[float, float]:
    """Interval of a rate seen in n cases, by Wilson.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(0.25, 100)]
    [0.199, 0.309]
    """
    if n <= 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.5 + level / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def open_deals(market: Market, settings: Settings) -> pd.DataFrame:
    """Chance and timing of every open deal, given its age.

    Returns
    -------
    DataFrame, indexed by opp_id
        account_id
        amount     value                                              currency
        age_m      age                                                months
        p_win      (CIF_w(inf) - CIF_w(age)) / S(age)                 share
        by_month   36 chances of being won in each coming month; they add up to p_win
    """
    table = deals(market)
    still = table[table["outcome"] == OPEN]
    curve = incidence(table["months"].to_numpy(), table["outcome"].to_numpy())
    if not curve[-1].sum():
        lag = lag_pmf(settings.timeline.cycle_months, 0.6, HORIZON_M - 1)
        by_age = np.tile(lag * settings.customers.win_rate, (HORIZON_M + 1, 1))
    else:
        # Deals that outlive the horizon are counted lost: the curve is scaled to end at one.
        curve = curve / curve[-1].sum()
        steps = np.diff(curve[:, 0])
        alive = np.clip(1 - curve.sum(axis=1), 1e-9, None)
        by_age = np.zeros((HORIZON_M + 1, HORIZON_M))
        for age in range(HORIZON_M):
            by_age[age, : HORIZON_M - age] = steps[age:] / alive[age]
    age = np.floor(still["months"]).astype(int).clip(upper=HORIZON_M)
    by_month = by_age[age.to_numpy()]
    return pd.DataFrame(
        {
            "account_id": still["account_id"],
            "amount": still["amount"],
            "age_m": still["months"],
            "p_win": np.clip(by_month.sum(axis=1), 0, 1),
            "by_month": list(by_month),
        },
        index=still.index,
    )


def lag_pmf(mean_m: float, cv: float, last_m: int) -> NDArray[np.float64]:
    """Spread a lag over months: a gamma distribution cut at half months, its tail in the last one.

    Parameters
    ----------
    mean_m
        Mean, months, > 0.
    cv
        Standard deviation over mean.
    last_m
        Last month.

    Returns
    -------
    (last_m + 1,) array
        Probability of a lag of 0, 1, ... months; adds up to 1.

    Examples
    --------
    >>> lag_pmf(5, 0.6, 24)[:3].round(5).tolist()
    [0.00509, 0.06741, 0.13218]
    """
    shape = 1 / cv**2
    edges = np.concatenate([[0.0], np.arange(last_m) + 0.5, [np.inf]])
    return np.diff(stats.gamma.cdf(edges, shape, scale=mean_m / shape))
