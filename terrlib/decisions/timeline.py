"""When the new sales come: pipeline, leads and reps, quarter by quarter, with an honest range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.decisions.spending import Spending
from terrlib.decisions.staffing import owner_of
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.winning import lag_pmf, open_deals, win_rates

CYCLE_CV = 0.6
MONTHS = 3
WORKED_SHARE_PER_MONTH = 1 / 12
LAG_END = 47


@dataclass(frozen=True)
class Forecast:
    """New sales by quarter; ranges of parts are never added up.

    Attributes
    ----------
    table
        territory, quarter, mean, p10, p50, p90: currency.
    total
        quarter, mean, p10, p50, p90 of the whole market, from the same draws.
    year
        mean, p10, p50, p90 of all quarters together.
    draws_total
        (draws,) new sales of the whole market and all quarters.
    sources
        territory, quarter, pipeline, leads, reps: expected sales by where they come from.
    """

    table: pd.DataFrame
    total: pd.DataFrame
    year: dict[str, float]
    draws_total: NDArray[np.float64]
    sources: pd.DataFrame


def next_quarters(quarter: str, n: int) -> list[str]:
    """Name n quarters from one on; an undated plan counts Q+1, Q+2, ...

    Examples
    --------
    >>> next_quarters("2026Q4", 3), next_quarters("undated", 2)
    (['2026Q4', '2027Q1', '2027Q2'], ['Q+1', 'Q+2'])
    """
    if not quarter[:4].isdigit():
        return [f"Q+{i + 1}" for i in range(n)]
    first = pd.Period(quarter, freq="Q")
    return [str(first + i) for i in range(n)]


def forecast(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    rep: pd.DataFrame,
    spent: Spending,
    settings: Settings,
) -> Forecast:
    """Simulate new sales of the coming quarters.

    Three sources: open deals, each won with the chance its age gives; leads that the reach plan
    buys,
    after their lag and a sales cycle; prospects that reps work by themselves, fewer while a rep is
    new
    to the territory. One shock shared by all territories moves all of them together.

    Parameters
    ----------
    market, facts, territory, rep
        The market, what is measured, who is where.
    spent
        The reach plan.
    settings
        `timeline`: quarters, ramp, shock, draws; `seed`.

    Returns
    -------
    Forecast
    """
    names = sorted(territory.unique())
    quarters = next_quarters(market.quarter, settings.timeline.quarters)
    rng = np.random.default_rng(settings.seed)
    shape = (len(names), len(quarters))
    draws = settings.timeline.draws
    pipe_mean, pipe = _pipeline(market, facts, territory, names, len(quarters), settings, rng)
    cycle = float(win_rates(market, pd.Series("", index=facts.index), settings).iloc[0]["cycle_m"])
    leads = _leads(market, spent, names, len(quarters), cycle)
    reps = _reps(facts, territory, rep, names, len(quarters), cycle, settings)
    value = _value_of_win(facts, territory, names)
    with np.errstate(divide="ignore", invalid="ignore"):
        wins = np.where(value[:, None] > 0, (leads + reps) / value[:, None], 0.0)
    counts = rng.poisson(np.tile(wins[None], (draws, 1, 1)))
    rate = rng.gamma(10.0, 0.1, size=(draws, 1, 1))
    new = counts * value[None, :, None] * rate
    sd = settings.timeline.macro_sd
    shock = np.exp(rng.normal(-sd * sd / 2, sd, size=(draws, 1, len(quarters)))) if sd else 1.0
    all_draws = (pipe + new) * shock
    mean = pipe_mean + leads + reps
    # Means are known without simulating; the draws are scaled so that ranges sit around them.
    seen = all_draws.mean(axis=0)
    all_draws = all_draws * np.where(seen > 0, mean / np.where(seen > 0, seen, 1), 1.0)[None]
    table = _ranges(all_draws, mean, names, quarters)
    whole = all_draws.sum(axis=1)
    total = _ranges(whole[:, None, :], mean.sum(axis=0)[None], [""], quarters).drop(
        columns="territory"
    )
    of_year = whole.sum(axis=1)
    year = {"mean": float(mean.sum())} | {
        f"p{q}": float(np.quantile(of_year, q / 100)) for q in (10, 50, 90)
    }
    index = pd.MultiIndex.from_product([names, quarters], names=["territory", "quarter"])
    sources = pd.DataFrame(
        {"pipeline": pipe_mean.reshape(-1), "leads": leads.reshape(-1), "reps": reps.reshape(-1)},
        index=index,
    ).reset_index()
    assert shape == mean.shape  # a wrong broadcast would spread sales over territories
    return Forecast(table, total, year, of_year, sources)


def _ranges(
    draws: NDArray[np.float64], mean: NDArray[np.float64], names: list[str], quarters: list[str]
) -> pd.DataFrame:
    low, mid, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
    index = pd.MultiIndex.from_product([names, quarters], names=["territory", "quarter"])
    columns = {"mean": mean, "p10": low, "p50": mid, "p90": high}
    return pd.DataFrame({c: v.reshape(-1) for c, v in columns.items()}, index=index).reset_index()


def _pipeline(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    names: list[str],
    n: int,
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Open deals: expected sales (territories, quarters) and draws of them."""
    deals = open_deals(market, settings)
    draws = settings.timeline.draws
    mean = np.zeros((len(names), n))
    out = np.zeros((draws, len(names), n))
    if deals.empty:
        return mean, out
    month = np.stack(deals["by_month"].to_numpy())[:, : n * MONTHS]
    quarter = month.reshape(len(deals), -1, MONTHS).sum(axis=2)
    if quarter.shape[1] < n:
        quarter = np.pad(quarter, ((0, 0), (0, n - quarter.shape[1])))
    place = {name: i for i, name in enumerate(names)}
    at = deals["account_id"].map(facts["unit_id"]).map(territory).map(place).to_numpy()
    amount = deals["amount"].to_numpy(float)
    np.add.at(mean, at, quarter * amount[:, None])
    edges = quarter.cumsum(axis=1)
    for d in range(draws):
        luck = rng.random(len(deals))
        when = (luck[:, None] >= edges).sum(axis=1)
        won = when < n
        np.add.at(out[d], (at[won], when[won]), amount[won])
    return mean, out


def _leads(
    market: Market, spent: Spending, names: list[str], n: int, cycle: float
) -> NDArray[np.float64]:
    """Sales from the reach plan, spent evenly over the horizon, after lag and cycle."""
    out = np.zeros((len(names), n))
    place = {name: i for i, name in enumerate(names)}
    for cell in spent.cells[["territory", "channel", "sales"]].itertuples(index=False):
        if not cell.sales > 0:
            continue
        lag = float(market.channels.loc[cell.channel, "lead_lag_m"]) + cycle
        out[place[cell.territory]] += _spread(float(cell.sales) / (n * MONTHS), lag, n)
    return out


def _reps(
    facts: pd.DataFrame,
    territory: pd.Series,
    rep: pd.DataFrame,
    names: list[str],
    n: int,
    cycle: float,
    settings: Settings,
) -> NDArray[np.float64]:
    """Sales that reps start by themselves with the prospects they work, ramped; none where vacant."""
    label = facts["unit_id"].map(territory)
    year = (
        (facts["ev"] / max(settings.workload.margin, 1e-9))
        .groupby(label)
        .sum()
        .reindex(names)
        .fillna(0.0)
    )
    owner = owner_of(rep)
    staffed = (owner.reindex(names) != "VACANT").to_numpy() | (owner == "VACANT").all()
    ramp = settings.timeline.ramp
    grow = np.array([ramp[min(q, len(ramp) - 1)] for q in range(n)])
    out = np.zeros((len(names), n))
    for i, name in enumerate(names):
        loss = 1.0 if staffed[i] else 1 - settings.staffing.vacancy_loss
        out[i] = _spread(float(year[name]) * WORKED_SHARE_PER_MONTH * loss, cycle, n, grow)
    return out


def _spread(
    monthly: float, lag: float, n: int, grow: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Sales by quarter of work worth `monthly` begun in every month, won after a lag."""
    pmf = lag_pmf(lag, CYCLE_CV, LAG_END)
    begun = np.repeat(np.ones(n) if grow is None else grow, MONTHS) * monthly
    months = np.convolve(begun, pmf)[: n * MONTHS]
    return months.reshape(n, MONTHS).sum(axis=1)


def _value_of_win(
    facts: pd.DataFrame, territory: pd.Series, names: list[str]
) -> NDArray[np.float64]:
    label = facts["unit_id"].map(territory)
    some = facts[facts["value"] > 0]
    return some["value"].groupby(label).mean().reindex(names).fillna(0.0).to_numpy(float)
