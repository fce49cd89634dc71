"""When the new sales come: pipeline, leads and reps, quarter by quarter, with an honest range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from terrlib.decisions.reach import firms_outside, reachable
from terrlib.decisions.spending import Spending
from terrlib.decisions.staffing import owner_of
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import planning_year
from terrlib.measures.winning import (
    WON,
    deals,
    incidence,
    lag_pmf,
    open_deals,
    win_rates,
)
from terrlib.measures.workload import capacity_h

Floats = NDArray[np.float64]
RANGE = 0.8  # chance that what comes lies between p10 and p90
CYCLE_CV = 0.6
MONTHS = 3
YEAR_M = 12
LAG_END = 47
CAP = 0.995
FEWEST_WON = 10
WORTH = {"fitted": 200.0, "judged": 50.0, "mechanical": 10.0}
Z80 = 1.2815515655446004
BLOCK = 500
TABLE = 1 << 16
MOST_CELLS = 20_000_000
MANY = 30.0
TWO_YEARS = 2
QUARTERS = 4
KEYS = ["territory", "area_id"]


@dataclass(frozen=True)
class Parts:
    """What a forecast is made of, before chance has its say.

    Attributes
    ----------
    places
        (territory, area_id) of every place, sorted; area_id is "" where there are no areas.
    quarters
        Names of the quarters of the horizon.
    deal_place, deal_amount, deal_month
        Open deals: position of its place, currency, (deals, months) chance to be won in each month.
    leads
        (channels, places, months) expected sales of the reach plan, currency.
    reps
        (places, months) expected sales of what reps and partners start by themselves, currency.
    value
        (places,) mean sales of a win, currency.
    relative
        Amounts of won deals over their mean, capped at P99.5; empty where too few were won.
    rate, worth
        (channels,) response rates and the number of cases each is worth.
    p_win, p_win_worth
        Win rate of the base and the number of deals it is worth.
    after
        Expected sales of the same deals, leads and work after the horizon, currency.
    """

    places: pd.MultiIndex
    quarters: list[str]
    deal_place: NDArray[np.int64]
    deal_amount: Floats
    deal_month: Floats
    leads: Floats
    reps: Floats
    value: Floats
    relative: Floats
    rate: Floats
    worth: Floats
    p_win: float
    p_win_worth: float
    after: float

    def pipeline(self) -> Floats:
        """(places, quarters) expected sales of open deals."""
        out = np.zeros((len(self.places), len(self.quarters)))
        by_quarter = _by_quarter(self.deal_month)
        np.add.at(out, self.deal_place, by_quarter * self.deal_amount[:, None])
        return out

    def mean(self) -> Floats:
        """(places, quarters) expected sales."""
        return self.pipeline() + _by_quarter(self.leads.sum(axis=0) + self.reps)

    def scaled(self, won: float = 1.0, leads: float = 1.0, reps: float = 1.0) -> Parts:
        """Return the same with other chances of a win, more or fewer leads, or another force."""
        return replace(
            self,
            deal_month=_at_most_one(self.deal_month * won),
            leads=self.leads * won * leads,
            reps=self.reps * won * reps,
            p_win=min(self.p_win * won, 1.0),
        )


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
    draws
        (draws, places, quarters) new sales, float32; any sum of them is a forecast of that sum.
    parts
        What was simulated.
    first_sale
        territory -> first month (1 is the first of the horizon) by which a sale is more likely than
        not; NaN where that is not within the horizon.
    widened
        What half-widths were multiplied by: 1 unless past forecasts were too sure of themselves.
    """

    table: pd.DataFrame
    total: pd.DataFrame
    year: dict[str, float]
    draws_total: NDArray[np.float64]
    sources: pd.DataFrame
    draws: NDArray[np.float32]
    parts: Parts
    first_sale: pd.Series
    widened: float = 1.0

    def of_territories(self) -> NDArray[np.float32]:
        """(draws, territories, quarters), territories sorted by name."""
        return _grouped(self.draws, _first_level(self.parts.places))


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
    sold: pd.DataFrame | None = None,
    start: pd.Series | None = None,
    widen: float = 1.0,
) -> Forecast:
    """Simulate new sales of the coming quarters.

    Three sources: open deals, each won or not with the chance that its age and stage give; leads that the
    reach plan buys, after their lag and a sales cycle; deals that reps start by themselves, without
    those that channels brought last year (`bought_share`).

    Parameters
    ----------
    market, facts, territory, rep
        The market, what is measured, who is where; VACANT where nobody.
    spent
        The reach plan.
    settings
        `timeline`: quarters, ramp, shock, draws; `seed`.
    sold
        territory, channel, distributor_id; all direct where not given.
    start
        (territory, area_id) -> quarter of the horizon, from 0, in which an area is launched; the
        first where not given. An area with a quarter beyond the horizon gets no leads in it.
    widen
        What past forecasts say that half-widths have to be multiplied by, >= 1: see `backtest`.

    Returns
    -------
    Forecast

    Notes
    -----
    Method of a draw: one shock by quarter, lognormal with mean 1, first-order autoregressive, shared
    by all places; the win rate and every channel's response rate by a Beta distribution of what
    each is worth in cases; the mean of a win by the won deals there are; counts by Poisson, the
    value of each win drawn from those won before. The stage of an open deal counts where the table
    `stages` tells what closed deals went through: see `winning.open_deals`.

    Examples
    --------
    See `simulate` and `spread_over_months`, of which this is the sum.
    """
    parts = ingredients(market, facts, territory, rep, spent, settings, sold, start)
    return forecast_of(parts, settings, widen)


def forecast_of(parts: Parts, settings: Settings, widen: float = 1.0) -> Forecast:
    """Simulate parts and sum them up: see `forecast`."""
    draws = simulate(parts, settings)
    mean, names = parts.mean(), _first_level(parts.places)
    by_name = _grouped(draws, names)
    unique = sorted(set(names))
    mean_by_name = _grouped(mean[None], names)[0]
    whole = draws.sum(axis=1, dtype=float)
    table = _ranges(by_name, mean_by_name, unique, parts.quarters, widen)
    total = _ranges(whole[:, None, :], mean.sum(axis=0)[None], [""], parts.quarters, widen)
    of_year = spread_out(whole.sum(axis=1), widen)
    year = {"mean": float(mean.sum())} | {
        f"p{q}": float(np.quantile(of_year, q / 100)) for q in (10, 50, 90)
    }
    index = pd.MultiIndex.from_product([unique, parts.quarters], names=["territory", "quarter"])
    source = {
        "pipeline": parts.pipeline(),
        "leads": _by_quarter(parts.leads.sum(axis=0)),
        "reps": _by_quarter(parts.reps),
    }
    sources = pd.DataFrame(
        {k: _grouped(v[None], names)[0].reshape(-1) for k, v in source.items()}, index=index
    ).reset_index()
    return Forecast(
        table,
        total.drop(columns="territory"),
        year,
        of_year,
        sources,
        draws,
        parts,
        first_sale(parts),
        widen,
    )


# ---------------------------------------------------------------------------- ingredients


def ingredients(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    rep: pd.DataFrame,
    spent: Spending,
    settings: Settings,
    sold: pd.DataFrame | None = None,
    start: pd.Series | None = None,
) -> Parts:
    """Measure what is to be simulated: see `forecast` and `Parts`."""
    label = facts["unit_id"].map(territory)
    area = facts["area_id"].astype(str)
    n = settings.timeline.quarters
    if facts.groupby([label, area]).ngroups * n * settings.timeline.draws > MOST_CELLS:
        area = pd.Series("", index=facts.index)  # by territory: areas would not fit in memory
    where = pd.MultiIndex.from_arrays([label, area], names=KEYS)
    empty = [(name, "") for name in sorted(set(territory) - set(label))]
    places = pd.MultiIndex.from_tuples(sorted({*where, *empty}), names=KEYS)
    at = pd.Series(places.get_indexer(where), index=facts.index)
    quarters = next_quarters(market.quarter, n)
    season = np.repeat(seasonality(market, quarters), MONTHS)
    cycle = cycle_pmf(market, settings)
    rates = win_rates(market, pd.Series("", index=facts.index), settings).iloc[0]
    deals_ = open_deals(market, settings)
    chance = np.zeros((len(deals_), n * MONTHS))
    if len(deals_):
        month = np.stack(deals_["by_month"].to_numpy())[:, : n * MONTHS]
        chance[:, : month.shape[1]] = month
    leads, lead_all = _leads(market, spent, facts, at, places, n, cycle, start, settings)
    reps, rep_all = _reps(market, facts, at, places, rep, settings, sold, cycle, quarters)
    new = (leads.sum(axis=0) + reps).sum(axis=0)
    # Seasons move sales within the horizon; they make none.
    season = season * (new.sum() / (new @ season) if new @ season > 0 else 1.0)
    mean_value = facts.loc[facts["value"] > 0, "value"].groupby(at).mean()
    value = mean_value.reindex(range(len(places))).fillna(mean_value.mean()).fillna(0.0)
    channels = list(market.channels.index)
    grade = spent.cells.groupby("channel")["evidence"].first().reindex(channels)
    rate = market.channels["response_rate"].to_numpy(float)
    after = float((deals_["p_win"] * deals_["amount"]).sum()) - float(
        (chance.sum(axis=1) * deals_["amount"]).sum()
    )
    p, sd = float(rates["p_win"]), float(rates["high"] - rates["low"]) / (2 * Z80)
    return Parts(
        places,
        quarters,
        deals_["account_id"].map(at).to_numpy(np.int64),
        deals_["amount"].to_numpy(float),
        chance,
        leads * season,
        reps * season,
        value.to_numpy(float),
        won_amounts(market),
        rate,
        grade.astype(str).str.lower().map(WORTH).fillna(WORTH["mechanical"]).to_numpy(float),
        p,
        max(p * (1 - p) / sd**2 - 1, 1.0) if sd > 0 else np.inf,
        after + lead_all + rep_all - float(new.sum()),
    )


def won_amounts(market: Market) -> Floats:
    """Amounts of won deals over their mean, capped at P99.5; empty where fewer than ten were won."""
    table = deals(market)
    amount = table.loc[table["outcome"] == WON, "amount"].dropna().to_numpy(float)
    if len(amount) < FEWEST_WON or amount.sum() <= 0:
        return np.zeros(0)
    capped = np.minimum(amount, np.quantile(amount, CAP))
    return np.asarray(capped / capped.mean())


def cycle_pmf(market: Market, settings: Settings) -> Floats:
    """Chance that a deal which is won is won in month 0, 1, ... of its life; adds up to 1.

    By the curve of wins with open deals counted as open; a gamma lag with the mean of the settings
    where nothing was won.
    """
    table = deals(market)
    steps = np.diff(incidence(table["months"].to_numpy(), table["outcome"].to_numpy())[:, 0])
    if not steps.sum():
        return lag_pmf(settings.timeline.cycle_months, CYCLE_CV, LAG_END)
    return np.asarray(steps / steps.sum())


def seasonality(market: Market, quarters: list[str]) -> Floats:
    """Index of every quarter, mean 1 over a year, from at least two complete years of won deals.

    Parameters
    ----------
    market
        Won deals by the day they were closed; sales where they do not reach two years.
    quarters
        Names, such as 2026Q4.

    Returns
    -------
    (quarters,) array
        1 + Y / (Y + 2) x (index - 1), Y the complete years; 1 without two of them, or without dates.
    """
    flat = np.ones(len(quarters))
    if market.as_of is None or not quarters[0][:4].isdigit():
        return flat
    table = deals(market)
    won = market.opportunities.loc[table.index[table["outcome"] == WON]]
    for day, amount in (
        (won["close_date"], won["amount"]),
        (market.sales["date"], market.sales["amount"]),
    ):
        if not len(day):
            continue
        by = amount.astype(float).groupby(pd.to_datetime(day).dt.to_period("Q")).sum()
        end = (market.as_of + pd.Timedelta(days=1)).to_period("Q") - 1
        full = (by.index.max() if by.index.max() < end else end) - by.index.min()
        years = (full.n + 1) // QUARTERS if hasattr(full, "n") else 0
        if years < TWO_YEARS:
            continue
        span = pd.period_range(end - years * QUARTERS + 1, end, freq="Q")
        table_ = by.reindex(span).fillna(0.0).to_numpy().reshape(years, QUARTERS)
        if (table_.sum(axis=1) <= 0).any():
            continue
        seen = (table_ / table_.mean(axis=1, keepdims=True)).mean(axis=0)
        index = 1 + years / (years + 2) * (seen - 1)
        of = {period.quarter: float(index[i]) for i, period in enumerate(span[:QUARTERS])}
        return np.array([of[pd.Period(q, freq="Q").quarter] for q in quarters])
    return flat


def spread_over_months(begun: Floats, lag: Floats) -> Floats:
    """Move what begins in every month to the months it ends in, by a lag.

    Parameters
    ----------
    begun
        (..., months) begun in each month.
    lag
        Chance of a lag of 0, 1, ... months.

    Examples
    --------
    >>> spread_over_months(np.array([[8.0, 0, 0]]), np.array([0.25, 0.5, 0.25])).tolist()
    [[2.0, 4.0, 2.0]]
    """
    n = begun.shape[-1]
    matrix = sum(np.eye(n, k=k) * share for k, share in enumerate(lag[:n]) if share)
    return np.asarray(begun @ matrix) if np.ndim(matrix) else np.zeros_like(begun)


def _leads(
    market: Market,
    spent: Spending,
    facts: pd.DataFrame,
    at: pd.Series,
    places: pd.MultiIndex,
    n: int,
    cycle: Floats,
    start: pd.Series | None,
    settings: Settings,
) -> tuple[Floats, float]:
    """(channels, places, months) sales of the reach plan, and all of them with those after.

    The plan is a year's: a horizon of eight quarters spends and sells it twice.
    """
    channels = list(market.channels.index)
    out = np.zeros((len(channels), len(places), n * MONTHS))
    cells = spent.cells[spent.cells["sales"] > 0] if len(spent.cells) else spent.cells
    if not len(cells):
        return out, 0.0
    first = np.zeros(len(places))
    if start is not None and len(start):
        first = start.reindex(places).fillna(0).to_numpy(float)
    month = np.arange(n * MONTHS)
    begins = (month[None] >= first[:, None] * MONTHS).astype(float)
    begins *= n / QUARTERS / np.maximum(begins.sum(axis=1, keepdims=True), 1.0)
    names = _first_level(places)
    label = pd.Series(np.array(names)[at.to_numpy()], index=facts.index)
    firms = firms_outside(market, facts, label, settings).reindex(places).fillna(0.0).to_numpy()
    whole = 0.0
    for c, channel in enumerate(channels):
        mine = cells[cells["channel"] == channel].set_index("territory")["sales"]
        if mine.empty:
            continue
        may = reachable(market, facts, str(market.channels.loc[channel, "consent_needed"]))
        count = at[may].value_counts().reindex(range(len(places))).fillna(0.0).to_numpy()
        count = count + firms * (not market.channels.loc[channel, "named"])
        by_name = pd.Series(count).groupby(names).transform("sum").to_numpy()
        share = np.divide(count, by_name, out=np.zeros_like(count), where=by_name > 0)
        sales = pd.Series(names).map(mine).fillna(0.0).to_numpy(float) * share
        lag = market.channels.loc[channel, "lead_lag_m"]
        late = lag_pmf(float(lag), CYCLE_CV, LAG_END) if lag and lag > 0 else np.ones(1)
        out[c] = spread_over_months(sales[:, None] * begins, np.convolve(late, cycle))
        whole += float(sales.sum()) * n / QUARTERS
    return out, whole


def _reps(
    market: Market,
    facts: pd.DataFrame,
    at: pd.Series,
    places: pd.MultiIndex,
    rep: pd.DataFrame,
    settings: Settings,
    sold: pd.DataFrame | None,
    cycle: Floats,
    quarters: list[str],
) -> tuple[Floats, float]:
    """(places, months) sales of deals that reps or partners start, and all with those after.

    Visits of the reach plan are made in hours that this work leaves: they take nothing from it.
    """
    names = np.array(_first_level(places))
    label = pd.Series(names[at.to_numpy()], index=facts.index)
    contact = contact_share(market, facts, label, rep, settings)
    new = facts["status"] != "customer"
    worked = facts["visits"] + facts["call_h"] > 0
    sales = facts["ev"] / max(settings.workload.margin, 1e-9) * worked
    sales *= np.where(new, label.map(contact), 1.0) * (1 - bought_share(market, settings))
    year = sales.groupby(at).sum().reindex(range(len(places))).fillna(0.0).to_numpy(float)
    force = rep_force(market, facts, label, rep, settings, quarters)
    share = force.reindex(names).to_numpy(float)
    begun = year[:, None] / YEAR_M * np.repeat(share, MONTHS, axis=1)
    out = spread_over_months(begun, cycle)
    for row in (sold if sold is not None else pd.DataFrame()).itertuples(index=False):
        if row.channel != "indirect" or row.distributor_id not in market.distributors.index:
            continue
        # A partner needs no ramp of ours, reaches a share of what we would, and begins later.
        push = market.distributors.loc[row.distributor_id, "push_factor"]
        here = names == row.territory
        begun[here] = year[here, None] / YEAR_M * (1.0 if pd.isna(push) else float(push))
        lag = settings.timeline.partner_lag_months
        late = lag_pmf(lag, CYCLE_CV, LAG_END) if lag > 0 else np.ones(1)
        out[here] = spread_over_months(begun[here], np.convolve(late, cycle))
    return out, float(begun.sum())


def bought_share(market: Market, settings: Settings) -> float:
    """Share of the deals begun last year that channels brought, by what is recorded of their leads.

    The rate at which deals begin counts them too; this year they are the leads of the reach plan,
    and counting both would promise them twice.

    Parameters
    ----------
    market
        Deals; `responses` of the last twelve months, else what `judged` says of today's leads
        beyond those that come without spending.
    settings
        `budget.lead_to_deal_rate` where a channel has none.

    Returns
    -------
    float
        From 0 to 1; 0 where no deal is known to have begun.
    """
    if market.as_of is None or not len(market.opportunities):
        return 0.0
    since = market.as_of - pd.DateOffset(months=YEAR_M)
    begun = market.opportunities["created_date"].between(since, market.as_of, "right").sum()
    rate = market.channels["lead_to_opp_rate"].astype(float)
    rate = rate.fillna(settings.budget.lead_to_deal_rate)
    recent = market.responses[pd.to_datetime(market.responses["month"]) > since]
    leads = recent.groupby("channel")["leads"].sum().astype(float)
    told = market.judged.set_index("channel")
    told = ((1 - told["zero"].astype(float)) * told["leads"].astype(float)).groupby(level=0).sum()
    leads = leads.combine_first(told).reindex(rate.index).fillna(0.0)
    return float(min((leads * rate).sum() / begun, 1.0)) if begun else 0.0


def contact_share(
    market: Market, facts: pd.DataFrame, label: pd.Series, rep: pd.DataFrame, settings: Settings
) -> pd.Series:
    """Share of the work on non-customers that there are hours for once customers are served.

    Parameters
    ----------
    label
        account_id -> territory.

    Returns
    -------
    Series, territory -> share
        A vacant territory counts as one full-time rep: what is lost there is in `rep_force`.
    """
    hours = capacity_h(settings, planning_year(market), market.country)
    fte = rep["rep_id"].map(market.reps["fte"]) if len(market.reps) else pd.Series(dtype=float)
    fte = fte.reindex(rep.index).astype(float).fillna(1.0)
    capacity = (fte * hours).groupby(rep["territory"].to_numpy()).sum()
    effort = facts["workload_h"]
    is_new = facts["status"] != "customer"
    names = sorted(set(label))
    served = effort.where(~is_new, 0.0).groupby(label).sum().reindex(names).fillna(0.0)
    wanted = effort.where(is_new, 0.0).groupby(label).sum().reindex(names).fillna(0.0)
    free = (capacity.reindex(names).fillna(hours) - served).clip(lower=0.0)
    return (free / wanted.where(wanted > 0)).clip(upper=1.0).fillna(1.0)


def rep_force(
    market: Market,
    facts: pd.DataFrame,
    label: pd.Series,
    rep: pd.DataFrame,
    settings: Settings,
    quarters: list[str],
) -> pd.DataFrame:
    """Share of its own prospecting that each territory does in each quarter.

    Parameters
    ----------
    label
        account_id -> territory.
    rep
        territory, rep_id. Where the market has no reps at all, one for each territory is assumed;
        where it has and every territory is vacant, nobody is there to do anything.

    Returns
    -------
    DataFrame, territory x quarter
        1 is a settled rep. A rep hired less than a ramp ago does less, a vacant territory loses
        `staffing.vacancy_loss`, and accounts that change hands sell less while a rep is new to
        them, `staffing.transition_loss` x `handover_factor` of a year.
    """
    ramp, n = np.array(settings.timeline.ramp, float), len(quarters)
    table = pd.DataFrame(1.0, index=sorted({*label, *rep["territory"]}), columns=quarters)
    if not len(market.reps):
        return table
    owner = owner_of(rep)
    vacant = 1 - settings.staffing.vacancy_loss
    if (owner == VACANT).all():
        return table * 0.0
    grow = ramp[np.minimum(np.arange(n), len(ramp) - 1)]
    dip = _dip(market, facts, label, owner, settings)
    lost = 1 - grow
    lost = lost * QUARTERS / max(float((1 - ramp).sum()), 1e-9) if (ramp < 1).any() else 0 * lost
    for name in table.index:
        rep_id = owner.get(name, VACANT)
        if rep_id not in market.reps.index:
            table.loc[name] = vacant
            continue
        does = settled(market, str(rep_id), settings, quarters)
        table.loc[name] = does * np.clip(1 - dip.get(name, 0.0) * lost, 0.0, 1.0)
    return table


def settled(market: Market, rep_id: str, settings: Settings, quarters: list[str]) -> Floats:
    """Share of a settled rep's prospecting that a rep does in each quarter, by day of hire and leave.

    Returns
    -------
    (quarters,) array
        `timeline.ramp` from the quarter of hire on; what a vacancy leaves before it and after the
        last day. 1 where no day is known, or the plan has no dates.
    """
    does, ramp = np.ones(len(quarters)), settings.timeline.ramp
    if not quarters[0][:4].isdigit() or rep_id not in market.reps.index:
        return does
    vacant = 1 - settings.staffing.vacancy_loss
    hired, leaves = (market.reps.loc[rep_id].get(day) for day in ("hired", "leaves"))
    for q, name in enumerate(quarters):
        period = pd.Period(name, freq="Q")
        if not pd.isna(hired):
            since = (period - pd.Timestamp(hired).to_period("Q")).n
            does[q] = vacant if since < 0 else ramp[min(since, len(ramp) - 1)]
        if not pd.isna(leaves) and pd.Timestamp(leaves) < period.start_time:
            does[q] = vacant
    return does


def _dip(
    market: Market, facts: pd.DataFrame, label: pd.Series, owner: pd.Series, settings: Settings
) -> dict[str, float]:
    """Share of a year's prospecting that a territory loses because accounts change hands."""
    if not market.has("assignments"):
        return {}
    held = market.held("rep_id").reindex(facts.index).fillna("")
    moved = (held != "") & (held != label.map(owner))
    ev = facts["ev"].groupby(label).sum()
    share = facts["ev"].where(moved, 0.0).groupby(label).sum() / ev.where(ev > 0)
    loss = settings.staffing.transition_loss * settings.staffing.handover_factor
    return {str(k): float(v) for k, v in (share.fillna(0.0) * loss).items()}


# ---------------------------------------------------------------------------- simulation


def simulate(parts: Parts, settings: Settings) -> NDArray[np.float32]:
    """Draw new sales of every place and quarter.

    The same seed draws the same luck whatever the parts, so that two sets of parts differ by what
    they are and not by chance (common random numbers).

    Returns
    -------
    (draws, places, quarters) float32, currency

    Examples
    --------
    One open deal worth 100 with an even chance, no shock: half of all draws hold it.

    >>> one = Parts(pd.MultiIndex.from_tuples([("T1", "")], names=KEYS), ["Q+1"], np.array([0]),
    ...     np.array([100.0]), np.array([[0.5, 0.0, 0.0]]), np.zeros((0, 1, 3)), np.zeros((1, 3)),
    ...     np.ones(1), np.zeros(0), np.zeros(0), np.zeros(0), 0.5, np.inf, 0.0)
    >>> calm = Settings(timeline={"macro_sd": 0})
    >>> sorted(set(simulate(one, calm).ravel().tolist()))
    [0.0, 100.0]
    >>> bool(abs(simulate(one, calm).mean() - 50) < 3)
    True
    """
    t = settings.timeline
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(6)]
    n_q, n_p = len(parts.quarters), len(parts.places)
    won = _beta(parts.p_win, parts.p_win_worth, streams[0].random(t.draws))
    answered = np.stack(
        [
            _beta(rate, max(worth, 1 / max(rate, 1e-9)), luck)
            for rate, worth, luck in zip(
                parts.rate, parts.worth, streams[1].random((len(parts.rate), t.draws)), strict=True
            )
        ],
        axis=1,
    ) if len(parts.rate) else np.ones((t.draws, 0))  # fmt: skip
    out = np.zeros((t.draws, n_p, n_q), dtype=np.float32)
    _draw_deals(parts, won, streams[2], out)
    _draw_new(parts, won, answered, streams[3], streams[4], t.value_cv, out)
    if t.macro_sd:
        out *= macro_shock(t.draws, n_q, t.macro_sd, t.macro_phi, streams[5])[:, None, :]
    return out


def macro_shock(
    draws: int, n: int, sd: float, phi: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a lognormal shock with mean 1 that fades by `phi` a quarter: (draws, quarters)."""
    noise = rng.normal(size=(draws, n))
    level = np.empty((draws, n))
    level[:, 0] = noise[:, 0]
    for q in range(1, n):
        level[:, q] = phi * level[:, q - 1] + np.sqrt(1 - phi**2) * noise[:, q]
    scale = float(np.sqrt(np.log1p(sd**2)))
    return np.exp(scale * level - scale**2 / 2).astype(np.float32)


def _beta(rate: float, worth: float, luck: Floats) -> Floats:
    """Rates over their mean: Beta, mean `rate`, as sure as `worth` cases make it.

    A rate is worth one success at least: one of 0.1% cannot have been seen in ten cases.
    """
    if not 0 < rate < 1 or not np.isfinite(worth):
        return np.ones(len(luck))
    return np.asarray(stats.beta.ppf(luck, rate * worth, (1 - rate) * worth) / rate)


def _draw_deals(
    parts: Parts, won: Floats, rng: np.random.Generator, out: NDArray[np.float32]
) -> None:
    """Add the open deals that each draw wins, in blocks, so that many deals fit in memory."""
    n = len(parts.deal_amount)
    if not n:
        return
    edges = np.hstack([np.zeros((n, 1)), _by_quarter(parts.deal_month).cumsum(axis=1)])
    money = sparse.csr_array(
        (parts.deal_amount, (np.arange(n), parts.deal_place)), shape=(n, out.shape[1])
    )
    for first in range(0, len(out), BLOCK):
        rows = slice(first, min(first + BLOCK, len(out)))
        factor = won[rows, None]
        luck = rng.random((rows.stop - rows.start, n))
        for q in range(out.shape[2]):
            hit = (luck >= edges[:, q] * factor) & (luck < edges[:, q + 1] * factor)
            out[rows, :, q] += hit.astype(float) @ money


def _draw_new(
    parts: Parts,
    won: Floats,
    answered: Floats,
    counting: np.random.Generator,
    valuing: np.random.Generator,
    value_cv: float,
    out: NDArray[np.float32],
) -> None:
    """Add the wins of leads and of reps' own work: how many, and what each is worth."""
    leads = _by_quarter(parts.leads)
    reps = _by_quarter(parts.reps)
    draws, n_p, n_q = out.shape
    pool = parts.relative
    cv = float(pool.std()) if len(pool) else value_cv
    if not len(pool):
        pool = stats.gamma.ppf((np.arange(TABLE) + 0.5) / TABLE, 1 / cv**2, scale=cv**2)
    # Long enough that every win of a cell has a value of its own, the same in every scenario.
    values = pool[valuing.permutation(np.arange(TABLE) % len(pool))]
    sums = np.concatenate([[0.0], np.tile(values, 2).cumsum()])
    known = max(len(parts.relative), 1)
    level = valuing.gamma(known / cv**2, cv**2 / known, draws) if cv else np.ones(draws)
    level = np.asarray(level)
    worth = np.maximum(parts.value, 1e-9)
    for q in range(n_q):
        luck = counting.random((draws, n_p), dtype=np.float32)
        begin = valuing.integers(0, TABLE, (draws, n_p), dtype=np.int32)
        expected = np.asarray(answered @ leads[:, :, q] + reps[:, q]) * (parts.value > 0) / worth
        counts = _poisson(np.asarray(expected * won[:, None]), luck)
        few = np.minimum(counts, TABLE)
        amount = sums[begin + few] - sums[begin] + (counts - few)
        out[:, :, q] += amount * worth * level[:, None]


def _poisson(mean: Floats, luck: NDArray[np.float32]) -> NDArray[np.int64]:
    """Counts by inversion: more is expected, never fewer are drawn with the same luck."""
    counts = np.zeros(mean.size, dtype=np.int64)
    flat, u = mean.ravel(), luck.ravel().astype(float)
    large = np.flatnonzero(flat > MANY)
    counts[large] = stats.poisson.ppf(np.minimum(u[large], 1 - 1e-7), flat[large])
    chance = np.exp(-flat)
    still = np.flatnonzero((u > chance) & (flat <= MANY) & (flat > 0))
    step, reached = chance[still], chance[still]
    k = 0
    while len(still) and k < MANY * 5:
        k += 1
        counts[still] = k
        step = step * flat[still] / k
        reached = reached + step
        more = u[still] > reached
        still, step, reached = still[more], step[more], reached[more]
    return counts.reshape(mean.shape)


def first_sale(parts: Parts, chance: float = 0.5) -> pd.Series:
    """First month by which each territory more likely than not has sold something new.

    Returns
    -------
    Series, territory -> month
        1 is the first month of the horizon, NaN where it is later. Chances as expected: what is not
        known of them is not in it.
    """
    names = np.array(_first_level(parts.places))
    months = parts.reps.shape[1]
    worth = np.where(parts.value > 0, parts.value, np.inf)
    wins = (parts.leads.sum(axis=0) + parts.reps) / worth[:, None]
    none = -wins.cumsum(axis=1)
    by_then = np.clip(parts.deal_month.cumsum(axis=1), 0, 1 - 1e-12)
    np.add.at(none, parts.deal_place, np.log1p(-by_then))
    found = {}
    for name in sorted(set(names)):
        sold = 1 - np.exp(none[names == name].sum(axis=0)) >= chance
        found[name] = float(sold.argmax() + 1) if sold.any() else float("nan")
    assert all(np.isnan(v) or v <= months for v in found.values())
    return pd.Series(found, name="first_sale", dtype=float)


def break_even(
    draws: NDArray[np.float32], cost: Floats, margin: float, quarters: list[str]
) -> dict[str, object]:
    """Find the quarter from which on the margin of new sales covers their cost so far.

    Parameters
    ----------
    draws
        (draws, quarters) new sales, currency.
    cost
        (quarters,) cost, currency.
    margin
        Contribution margin of sales, share.
    quarters
        Names.

    Returns
    -------
    dict
        chance: share of draws that pay within the horizon; p10, p50, p90: the quarter by which that
        share of draws has paid, "" where it is later.

    Examples
    --------
    >>> sales = np.array([[10.0, 10.0], [30.0, 0.0]])
    >>> break_even(sales, np.array([10.0, 0.0]), 0.5, ["2027Q1", "2027Q2"])
    {'chance': 1.0, 'p10': '2027Q1', 'p50': '2027Q1', 'p90': '2027Q2'}
    """
    paid = draws.cumsum(axis=1, dtype=float) * margin >= cost.cumsum()
    # Paid for good: cost goes on, and a good first quarter alone has paid for nothing.
    reached = np.logical_and.accumulate(paid[:, ::-1], axis=1)[:, ::-1].mean(axis=0)
    found: dict[str, object] = {"chance": float(reached[-1])}
    for p in (10, 50, 90):
        there = np.flatnonzero(reached >= p / 100)
        found[f"p{p}"] = quarters[int(there[0])] if len(there) else ""
    return found


# ---------------------------------------------------------------------------- sums


def _first_level(places: pd.MultiIndex) -> list[str]:
    return [str(name) for name in places.get_level_values(0)]


def _grouped(draws: NDArray, names: list[str]) -> NDArray:
    """Sum over the places of each name: (draws, names, quarters); names are sorted, as places are."""
    first = np.unique(np.array(names), return_index=True)[1]
    return np.add.reduceat(draws, first, axis=1)


def _by_quarter(months: Floats) -> Floats:
    return months.reshape(*months.shape[:-1], months.shape[-1] // MONTHS, MONTHS).sum(axis=-1)


def _at_most_one(chance: Floats) -> Floats:
    total = chance.sum(axis=1, keepdims=True)
    return np.asarray(chance / np.maximum(total, 1.0))


def spread_out(draws: Floats, factor: float) -> Floats:
    """Move draws away from their median; sales are never negative.

    Examples
    --------
    >>> spread_out(np.array([1.0, 2.0, 4.0]), 2.0).tolist()
    [0.0, 2.0, 6.0]
    """
    if factor == 1.0:
        return draws
    middle = np.median(draws, axis=0)
    return np.maximum(middle + (draws - middle) * factor, 0.0)


def reaches(year: Mapping[str, float], goal: float) -> float:
    """Find the chance of a goal from a range alone: two halves of a normal, joined in the middle.

    Parameters
    ----------
    year
        p10, p50, p90: currency.
    goal
        Currency.

    Notes
    -----
    The split normal distribution (Fechner 1897), as central banks draw their fan charts by.

    Examples
    --------
    >>> year = {"p10": 80.0, "p50": 100.0, "p90": 140.0}
    >>> [round(reaches(year, goal), 3) for goal in (80.0, 100.0, 140.0)]
    [0.9, 0.5, 0.1]
    >>> reaches({"p10": 5.0, "p50": 5.0, "p90": 5.0}, 5.0)
    1.0
    """
    middle = year["p50"]
    half = year["p90"] - middle if goal > middle else middle - year["p10"]
    if half <= 0:
        return float(goal <= middle)
    return float(stats.norm.sf((goal - middle) / half * Z80))


def _ranges(
    draws: NDArray,
    mean: Floats,
    names: list[str],
    quarters: list[str],
    widen: float = 1.0,
) -> pd.DataFrame:
    low, mid, high = np.quantile(draws.astype(float), [0.1, 0.5, 0.9], axis=0)
    low, high = np.maximum(mid - (mid - low) * widen, 0.0), mid + (high - mid) * widen
    index = pd.MultiIndex.from_product([names, quarters], names=["territory", "quarter"])
    columns: Mapping[str, Floats] = {"mean": mean, "p10": low, "p50": mid, "p90": high}
    return pd.DataFrame({c: v.reshape(-1) for c, v in columns.items()}, index=index).reset_index()
