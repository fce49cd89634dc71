"""How good the forecast would have been: made again at past quarters, beside two simple rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.decisions.timeline import (
    KEYS,
    MONTHS,
    QUARTERS,
    Z80,
    Parts,
    cycle_pmf,
    seasonality,
    simulate,
    spread_over_months,
    won_amounts,
)
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.winning import WON, deals, open_deals, wilson, win_rates

Floats = NDArray[np.float64]
METHODS = ("ours", "last_year", "trailing")
LEVELS = (0.1, 0.5, 0.9)
COVERED = 0.8
DRAWS = 1000
FIRST_M = 12
FEWEST_ORIGINS = 4
MOST_ORIGINS = 8
FEWEST_ERRORS = 4
ASSUMED_ERROR = (-0.3, 0.3)  # of a simple rule with too short a record to know better


@dataclass(frozen=True)
class Backtest:
    """Forecasts made again at past ends of quarters, and what came.

    Attributes
    ----------
    rows
        origin (last quarter known), quarter, step (1 is the next), method (ours, last_year,
        trailing), actual, p10, p50, p90, mean: currency.
    scores
        Indexed by method: wape (sum of |error| over sum of actual), bias (sum of error over sum of
        actual), pinball (mean of the levels, over mean actual), coverage, coverage_low,
        coverage_high (80% interval of Wilson, as if all were independent), n; the same forecasts
        for every method.
    best
        The method with the least WAPE; "" where nothing can be tested.
    widen
        What half-widths of our ranges have to be multiplied by to have held 80%, at least 1.
    origins
        Number of origins.
    reason
        "" or why nothing was tested: no_deals, short (fewer than four origins).
    """

    rows: pd.DataFrame
    scores: pd.DataFrame
    best: str
    widen: float
    origins: int
    reason: str


NOTHING = pd.DataFrame(
    columns=["origin", "quarter", "step", "method", "actual", "p10", "p50", "p90", "mean"]
)


def backtest(market: Market, settings: Settings) -> Backtest:
    """Forecast new sales of the whole market again from past ends of quarters.

    Parameters
    ----------
    market
        Deals with the days they were created and closed.
    settings
        `timeline`, `seed`.

    Returns
    -------
    Backtest
        From the end of the fourth full quarter of the record on, once a sales cycle has passed; each
        origin knows only what was known then: deals not yet closed are open, later ones are not there.

    Notes
    -----
    What a past reach plan and past reps were to do is not in the data. The flow of new deals at an
    origin is therefore that of the twelve months before it, with the win rate and the value of that
    day; the open deals, the cycle, the season and the chances are simulated as in the forecast. The
    simple rules are the same quarter a year ago and the mean of the last four quarters, with the
    errors they made at earlier steps of the same record as their range.

    Examples
    --------
    See the tests: a world of pure seasons, where the rule of last year wins.
    """
    actual = comparable(market, settings)
    if not actual.sum():
        return Backtest(NOTHING, pd.DataFrame(), "", 1.0, 0, "no_deals")
    last = actual.index[-1]
    origins = actual.index[QUARTERS - 1 : -1][-MOST_ORIGINS:]
    if len(origins) < FEWEST_ORIGINS:
        return Backtest(NOTHING, pd.DataFrame(), "", 1.0, len(origins), "short")
    rows = []
    for origin in origins:
        steps = min(QUARTERS, (last - origin).n)
        names = [str(origin + h) for h in range(1, steps + 1)]
        ours = _ours(as_known(market, origin.end_time.normalize()), names, settings)
        past = actual[:origin].to_numpy()
        for h, name in enumerate(names, 1):
            seen = float(actual[origin + h])
            common = {"origin": str(origin), "quarter": name, "step": h, "actual": seen}
            rows.append(common | {"method": "ours"} | ours[h - 1])
            for method in METHODS[1:]:
                rows.append(common | {"method": method} | _naive(past, h, method))
    found = pd.DataFrame(rows)[list(NOTHING.columns)]
    scores = _scores(found)
    best = str(scores["wape"].idxmin())
    return Backtest(found, scores, best, conformal(found), len(origins), "")


def won_by_quarter(market: Market) -> pd.Series:
    """Sum won deals over every full quarter of the record, by the day they were closed: currency."""
    table = deals(market)
    won = market.opportunities.loc[table.index[table["outcome"] == WON]]
    if market.as_of is None or won.empty:
        return pd.Series(dtype=float)
    last = (market.as_of + pd.Timedelta(days=1)).to_period("Q") - 1
    first = market.opportunities["created_date"].min().to_period("Q")
    by = won["amount"].astype(float).groupby(won["close_date"].dt.to_period("Q")).sum()
    return by.reindex(pd.period_range(first, last, freq="Q"), fill_value=0.0)


def comparable(market: Market, settings: Settings) -> pd.Series:
    """Won deals of the quarters in which the record is whole: see `won_by_quarter`.

    Wins of the first sales cycle come from deals older than the record, which are not in it; a
    simple rule that looked back on them would seem worse than it is. Less is left out where four
    origins would not be left.
    """
    found = won_by_quarter(market)
    if found.empty:
        return found
    cycle = float(win_rates(market, pd.Series(dtype=str), settings).iloc[0]["cycle_m"])
    skip = int(np.ceil(cycle / MONTHS))
    return found.iloc[max(min(skip, len(found) - QUARTERS - FEWEST_ORIGINS), 0) :]


def as_known(market: Market, day: pd.Timestamp) -> Market:
    """Return the market as it was known at the end of a day: later deals and sales are not there."""
    deals_ = market.opportunities
    deals_ = deals_[deals_["created_date"] <= day]
    sales = market.sales[market.sales["date"] <= day] if len(market.sales) else market.sales
    stages = market.stages[market.stages["date"] <= day] if len(market.stages) else market.stages
    return replace(market, opportunities=deals_, stages=stages, sales=sales, as_of=day)


def inflow(market: Market, quarters: list[str], settings: Settings) -> Parts:
    """Make the parts of a forecast of the whole market from its record of deals alone.

    Open deals, and new ones that begin as often as in the last twelve months: see `backtest`.
    """
    table, n = deals(market), len(quarters)
    rates = win_rates(market, pd.Series(dtype=str), settings).iloc[0]
    open_ = open_deals(market, settings)
    chance = np.zeros((len(open_), n * MONTHS))
    if len(open_):
        month = np.stack(open_["by_month"].to_numpy())[:, : n * MONTHS]
        chance[:, : month.shape[1]] = month
    assert market.as_of is not None
    begun = market.opportunities["created_date"] > market.as_of - pd.DateOffset(months=FIRST_M)
    amount = table.loc[table["outcome"] == WON, "amount"].dropna()
    value = float(amount.mean()) if len(amount) else 0.0
    p = float(rates["p_win"])
    monthly = float(begun.sum()) / FIRST_M * p * value
    new = spread_over_months(np.full((1, n * MONTHS), monthly), cycle_pmf(market, settings))
    season = np.repeat(seasonality(market, quarters), MONTHS)
    new = new * season * (new.sum() / (new * season).sum() if new.sum() > 0 else 1.0)
    sd = float(rates["high"] - rates["low"]) / (2 * Z80)
    return Parts(
        pd.MultiIndex.from_tuples([("", "")], names=KEYS),
        quarters,
        np.zeros(len(open_), dtype=np.int64),
        open_["amount"].to_numpy(float),
        chance,
        np.zeros((0, 1, n * MONTHS)),
        new,
        np.array([value]),
        won_amounts(market),
        np.zeros(0),
        np.zeros(0),
        p,
        max(p * (1 - p) / sd**2 - 1, 1.0) if sd > 0 else np.inf,
        0.0,
    )


def _ours(market: Market, quarters: list[str], settings: Settings) -> list[dict[str, float]]:
    parts = inflow(market, quarters, settings)
    asked = settings.model_copy(
        update={"timeline": settings.timeline.model_copy(update={"draws": DRAWS})}
    )
    draws = simulate(parts, asked)[:, 0, :].astype(float)
    mean = parts.mean()[0]
    return [
        {"mean": float(mean[q])}
        | {f"p{round(100 * level)}": float(np.quantile(draws[:, q], level)) for level in LEVELS}
        for q in range(len(quarters))
    ]


def stage_scores(market: Market, settings: Settings) -> dict[str, float]:
    """Score the chances of deals that were open at past ends of quarters, with and without stages.

    Parameters
    ----------
    market
        Deals and `stages`.
    settings
        As `winning.open_deals`.

    Returns
    -------
    dict
        by_stage, by_age: mean squared error (Brier 1950) of the chance to be won within the next
        quarter, of all deals that were open at up to eight past ends of quarters; n: their number.
        Empty where no stage is recorded, or no deal was open then.

    Examples
    --------
    See the tests: stages that tell something, and stages that tell nothing.
    """
    if not len(market.stages) or market.as_of is None:
        return {}
    table = deals(market)
    won_on = market.opportunities["close_date"].where(table["outcome"] == WON)
    errors: dict[str, list[float]] = {"by_stage": [], "by_age": []}
    for origin in comparable(market, settings).index[QUARTERS - 1 : -1][-MOST_ORIGINS:]:
        then, until = (q.end_time.normalize() for q in (origin, origin + 1))
        known = as_known(market, then)
        for name, seen in (
            ("by_stage", known),
            ("by_age", replace(known, stages=known.stages.iloc[:0])),
        ):
            open_ = open_deals(seen, settings)
            if not len(open_):
                continue
            said = np.stack(open_["by_month"].to_numpy())[:, :MONTHS].sum(axis=1)
            came = (won_on.reindex(open_.index) <= until).to_numpy(float)
            errors[name] += ((said - came) ** 2).tolist()
    n = len(errors["by_age"])
    return {name: float(np.mean(x)) for name, x in errors.items()} | {"n": n} if n else {}


def naive_point(past: Floats, step: int, method: str) -> float:
    """Forecast of a simple rule, `step` quarters after the last of `past`.

    Examples
    --------
    >>> [naive_point(np.array([1.0, 2, 3, 4]), h, "last_year") for h in (1, 4)]
    [1.0, 4.0]
    >>> naive_point(np.array([1.0, 2, 3, 4]), 2, "trailing")
    2.5
    """
    if method == "trailing":
        return float(past[-QUARTERS:].mean())
    return float(past[len(past) - QUARTERS + (step - 1) % QUARTERS])


def _naive(past: Floats, step: int, method: str) -> dict[str, float]:
    """A simple rule's forecast, with the range of the errors it made before."""
    point = naive_point(past, step, method)
    errors = naive_errors(past, step, method)
    low, high = np.quantile(errors, [0.1, 0.9]) if len(errors) >= FEWEST_ERRORS else ASSUMED_ERROR
    return {
        "mean": point,
        "p10": max(point * (1 + min(float(low), 0.0)), 0.0),
        "p50": point,
        "p90": point * (1 + max(float(high), 0.0)),
    }


def naive_errors(past: Floats, step: int, method: str) -> Floats:
    """Errors a rule made within `past`, as shares of what it said."""
    found = []
    for end in range(QUARTERS, len(past) - step + 1):
        said = naive_point(past[:end], step, method)
        if said > 0:
            found.append(past[end + step - 1] / said - 1)
    return np.array(found)


def _scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Score every method on the same forecasts."""
    found = {}
    for method, mine in rows.groupby("method", sort=False):
        error = mine["mean"] - mine["actual"]
        total = max(float(mine["actual"].sum()), 1e-9)
        within = ((mine["actual"] >= mine["p10"]) & (mine["actual"] <= mine["p90"])).mean()
        loss = np.mean(
            [
                pinball(mine["actual"].to_numpy(), mine[f"p{round(100 * q)}"].to_numpy(), q)
                for q in LEVELS
            ]
        )
        low, high = wilson(float(within), len(mine))
        found[method] = {
            "wape": float(error.abs().sum()) / total,
            "bias": float(error.sum()) / total,
            "pinball": float(loss) / max(float(mine["actual"].mean()), 1e-9),
            "coverage": float(within),
            "coverage_low": low,
            "coverage_high": high,
            "n": len(mine),
        }
    return pd.DataFrame(found).T.rename_axis("method")


def pinball(actual: Floats, quantile: Floats, level: float) -> float:
    """Mean loss of a quantile forecast: what is above costs `level`, what is below 1 - `level`.

    Examples
    --------
    >>> pinball(np.array([10.0, 10.0]), np.array([8.0, 12.0]), 0.9)
    1.0
    """
    gap = actual - quantile
    return float(np.maximum(level * gap, (level - 1) * gap).mean())


def conformal(rows: pd.DataFrame) -> float:
    """Find what half-widths must be multiplied by for past ranges to have held 80%, at least 1.

    Split conformal prediction (Vovk 2005): the error over the half-width on its side, its quantile
    at ceil(0.8 (n + 1)) / n.

    Examples
    --------
    >>> rows = pd.DataFrame({"method": "ours", "p10": 0.0, "p50": 1.0, "p90": 2.0,
    ...     "actual": [1.5, 0.5, 1.0, 3.0, 3.0]})
    >>> conformal(rows)
    2.0
    """
    mine = rows[rows["method"] == "ours"]
    error = mine["actual"] - mine["p50"]
    half = np.where(error >= 0, mine["p90"] - mine["p50"], mine["p50"] - mine["p10"])
    ratio = np.sort((error.abs() / np.maximum(half, 1e-9)).to_numpy())
    if not len(ratio):
        return 1.0
    at = min(int(np.ceil(COVERED * (len(ratio) + 1))), len(ratio))
    return float(max(ratio[at - 1], 1.0))


def headline(
    market: Market, found: Backtest, quarters: list[str], settings: Settings
) -> dict[str, float] | None:
    """Say what the better simple rule expects of the whole horizon; None where ours is best.

    Returns
    -------
    dict
        mean, p10, p50, p90: currency. The range is that of the errors the rule made before, those
        of the whole horizon at once.
    """
    if found.best in ("", "ours"):
        return None
    past = comparable(market, settings).to_numpy()
    n = len(quarters)
    point = sum(naive_point(past, h, found.best) for h in range(1, n + 1))
    errors = []
    for end in range(QUARTERS, len(past) - n + 1):
        said = sum(naive_point(past[:end], h, found.best) for h in range(1, n + 1))
        if said > 0:
            errors.append(past[end : end + n].sum() / said - 1)
    low, high = np.quantile(errors, [0.1, 0.9]) if len(errors) >= FEWEST_ERRORS else ASSUMED_ERROR
    return {
        "mean": point,
        "p10": max(point * (1 + min(float(low), 0.0)), 0.0),
        "p50": point,
        "p90": point * (1 + max(float(high), 0.0)),
    }
