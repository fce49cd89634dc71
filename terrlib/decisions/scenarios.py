"""What the forecast hangs on: every assumption moved by itself, and a few plans that might be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from terrlib.decisions.spending import Spending, split_budget
from terrlib.decisions.timeline import Z80, Parts, contact_share, ingredients, simulate
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings

Floats = NDArray[np.float64]
DRAWS = 2000
CENTS = 100
QUARTERS = 4
WIDE = (0.5, 1.5)
SLOW, FAST = 1.5, 1 / 1.5
FEWER_HOURS = 0.05
OTHER_MARGIN = 0.05
VACANCY = 0.2
SEEN = 0.1
NEW = "+"


@dataclass(frozen=True)
class World:
    """Everything a forecast is made of, so that one piece of it can be another.

    Attributes
    ----------
    market, facts, territory, rep, spent, settings, sold, start
        As in `timeline.forecast`.
    cost
        What the plan costs over the horizon, currency.
    """

    market: Market
    facts: pd.DataFrame
    territory: pd.Series
    rep: pd.DataFrame
    spent: Spending
    settings: Settings
    sold: pd.DataFrame | None = None
    start: pd.Series | None = None
    cost: float = 0.0

    def parts(self) -> Parts:
        """What is simulated."""
        return ingredients(
            self.market,
            self.facts,
            self.territory,
            self.rep,
            self.spent,
            self.settings,
            self.sold,
            self.start,
        )


@dataclass(frozen=True)
class Scenario:
    """Another plan: what would be simulated, and what it would cost over the horizon, currency."""

    key: str
    parts: Parts
    cost: float


def overlaid(settings: Settings, **changes: Any) -> Settings:
    """Lay changes over settings, as a settings file would.

    Examples
    --------
    >>> overlaid(Settings(), timeline={"macro_sd": 0.3}).timeline.macro_sd
    0.3
    """
    told = settings.model_dump(exclude_unset=True)
    for room, values in changes.items():
        told[room] = {**told.get(room, {}), **values}
    return Settings.model_validate(told)


def scenarios(world: World) -> list[Scenario]:
    """Make the plan, and what becomes of it with more and with less.

    Returns
    -------
    list of Scenario
        plan; rep_more (a rep hired on the first day, where most work is left undone; the same
        budget is split anew over the hours there are then); budget_less
        and budget_more; partner_lost (the partner with most sales, its territories without a
        successor); win_less and win_more. What the market does not have is left out.
    """
    base, asked = world.parts(), world.settings.timeline.what_if
    found = [Scenario("plan", base, world.cost)]
    if len(world.market.reps):
        found.append(_rep_more(world))
    total = world.settings.budget.total
    for key, factor in (("budget_less", 1 - asked.budget), ("budget_more", 1 + asked.budget)):
        if not total:
            continue
        other = overlaid(world.settings, budget={"total": total * factor})
        spent = split_budget(world.market, world.facts, world.territory, other, world.rep)
        more = (spent.total - world.spent.total) / CENTS
        parts = replace(world, settings=other, spent=spent).parts()
        found.append(Scenario(key, parts, world.cost + more * _years(world)))
    lost = _partner_lost(world, base)
    found += [lost] if lost is not None else []
    for key, factor in (("win_less", 1 - asked.win_rate), ("win_more", 1 + asked.win_rate)):
        found.append(Scenario(key, base.scaled(won=factor), world.cost))
    return found


def _years(world: World) -> float:
    return world.settings.timeline.quarters / QUARTERS


def _rep_more(world: World) -> Scenario:
    """Hire for a vacancy, else where the most promising work is left undone for want of hours."""
    facts, n = world.facts, world.settings.timeline.what_if.reps
    label = facts["unit_id"].map(world.territory)
    share = contact_share(world.market, facts, label, world.rep, world.settings)
    new = facts["status"] != "customer"
    left = facts["ev"].where(new, 0.0).groupby(label).sum() * (1 - share)
    all_of_it = facts["ev"].groupby(label).sum()
    vacant = world.rep.loc[world.rep["rep_id"] == VACANT, "territory"]
    gain = left.add(all_of_it.reindex(vacant).fillna(0.0), fill_value=0.0)
    gain = gain.add(_visits_undone(world.spent), fill_value=0.0)
    places = gain.sort_index().sort_values(ascending=False, kind="stable").index[:n]
    ramp = world.settings.timeline.ramp
    grow = [ramp[min(q, len(ramp) - 1)] for q in range(world.settings.timeline.quarters)]
    reps, rep = world.market.reps.copy(), world.rep.copy()
    for i, name in enumerate(places):
        rep_id = f"{NEW}{i + 1}"
        # A first year counts as the part of a rep that the ramp makes of it.
        hired = pd.DataFrame({"name": rep_id, "fte": float(np.mean(grow))}, index=[rep_id])
        reps = pd.concat([reps, hired.reindex(columns=reps.columns).astype(object)])
        if name in set(vacant):
            rep.loc[rep["territory"] == name, "rep_id"] = rep_id
        else:
            rep = pd.concat(
                [rep, pd.DataFrame({"territory": [name], "rep_id": [rep_id]})], ignore_index=True
            )
    reps["fte"] = reps["fte"].astype(float)
    market = replace(world.market, reps=reps.rename_axis(world.market.reps.index.name))
    cost = world.settings.workload.rep_cost_year * len(places) * _years(world)
    spent = split_budget(market, facts, world.territory, world.settings, rep)
    other = replace(world, market=market, rep=rep, spent=spent)
    return Scenario("rep_more", other.parts(), world.cost + cost)


def _visits_undone(spent: Spending) -> pd.Series:
    """Most that visits without hours would bring beyond what their money brings elsewhere, by territory."""
    offer, cells = spent.offer, spent.cells
    if offer is None:
        return pd.Series(dtype=float)
    room = (offer.high + offer.fixed - cells["amount"] / CENTS).clip(lower=0.0)
    beyond = (cells["marginal"] - spent.next_zloty).clip(lower=0.0) * room
    return beyond.where(cells["binding"] == "hours", 0.0).groupby(cells["territory"]).sum()


def _partner_lost(world: World, base: Parts) -> Scenario | None:
    if world.sold is None or "distributor_id" not in world.sold:
        return None
    sold = world.sold[world.sold["channel"] != "direct"]
    if sold.empty:
        return None
    names = base.places.get_level_values(0)
    sales = pd.Series(base.reps.sum(axis=1), index=names).groupby(level=0).sum()
    by = sold["territory"].map(sales).groupby(sold["distributor_id"]).sum().sort_index()
    partner = by.sort_values(ascending=False, kind="stable").index[0]
    gone = set(sold.loc[sold["distributor_id"] == partner, "territory"])
    kept = 1 - world.settings.staffing.vacancy_loss
    reps = np.where(names.isin(gone)[:, None], base.reps * kept, base.reps)
    support = world.market.distributors["support_cost_year"].get(partner, 0.0)
    saved = 0.0 if pd.isna(support) else float(support) * len(gone)
    return Scenario("partner_lost", replace(base, reps=reps), world.cost - saved * _years(world))


def compare(found: list[Scenario], settings: Settings) -> pd.DataFrame:
    """Compare scenarios with the first, draw by draw with the same luck.

    Returns
    -------
    DataFrame, a row for each scenario
        scenario
        mean, p10, p50, p90            new sales of the horizon            currency
        more, more_low, more_high      sales beyond those of the first: mean, and 10% and 90% of
                                       the differences draw by draw, or the mean where it lies
                                       beyond them (few draws, far apart)  currency
        better                         share of draws with more than the first
        contribution                   margin of the mean less cost        currency
        contribution_more              beyond that of the first            currency
        after_more                     sales after the horizon beyond those of the first, from what
                                       is done within it                   currency
        noise                          whether both signs occur in more than a tenth of the draws,
                                       or nothing differs: then luck decides which is better

    Notes
    -----
    Common random numbers: both plans meet the same shock, the same deals are lucky.
    """
    asked = overlaid(settings, timeline={"draws": min(settings.timeline.draws, DRAWS)})
    margin, rows = settings.workload.margin, []
    first = np.zeros(0)
    for i, scenario in enumerate(found):
        draws = simulate(scenario.parts, asked).sum(axis=(1, 2), dtype=float)
        first = draws if i == 0 else first
        gap = draws - first
        low, high = np.quantile(gap, [0.1, 0.9])
        mean = float(scenario.parts.mean().sum())
        more = mean - float(found[0].parts.mean().sum())
        rows.append(
            {"scenario": scenario.key, "mean": mean}
            | {f"p{q}": float(np.quantile(draws, q / 100)) for q in (10, 50, 90)}
            | {
                "more": more,
                "more_low": min(float(low), more),
                "more_high": max(float(high), more),
                "better": float((gap > 0).mean()),
                "contribution": margin * mean - scenario.cost,
                "after_more": scenario.parts.after - found[0].parts.after,
                "noise": i > 0 and _by_luck(gap),
            }
        )
    table = pd.DataFrame(rows)
    table["contribution_more"] = table["contribution"] - table["contribution"].iloc[0]
    return table


def _by_luck(gap: Floats) -> bool:
    more, less = float((gap > 0).mean()), float((gap < 0).mean())
    return min(more, less) >= SEEN or max(more, less) == 0


def tornado(world: World) -> pd.DataFrame:
    """Move each assumption by itself to the ends of its range: what new sales and contribution become.

    Means are known without drawing, so that no luck is in a difference.

    Returns
    -------
    DataFrame, the widest swing of sales first
        assumption
        sales_low, sales_high                  with the end that is worse, and better    currency
        contribution_low, contribution_high    the same                                  currency
        swing                                  sales_high - sales_low                    currency

        An assumption that moves neither is left out.

    Notes
    -----
    Ranges: win rate, deals begun, value of a win and economy by their 80% interval; responses by half; a month
    earlier and later; ramp by its power of 1.5; vacancy and handover by what studies found; hours
    and margin by five points.
    """
    base, margin = world.parts(), world.settings.workload.margin
    plan = float(base.mean().sum())
    rows = []
    for key, low, high, margins in _moved(world, base):
        sales = [low, high]
        gain = [s * m - world.cost for s, m in zip(sales, margins, strict=True)]
        rows.append((key, min(sales), max(sales), min(gain), max(gain)))
    columns = ["assumption", "sales_low", "sales_high", "contribution_low", "contribution_high"]
    table = pd.DataFrame(rows, columns=columns)
    table["swing"] = table["sales_high"] - table["sales_low"]
    least = max(plan, 1.0) * 1e-6
    moves = (table["swing"] > least) | (
        table["contribution_high"] - table["contribution_low"] > margin * least
    )
    order = table[moves].assign(gain=lambda t: t["contribution_high"] - t["contribution_low"])
    order = order.sort_values(["swing", "gain", "assumption"], ascending=[False, False, True])
    return order.drop(columns="gain").reset_index(drop=True)


def _moved(world: World, base: Parts) -> Iterator[tuple[str, float, float, tuple[float, float]]]:
    """Assumption, sales at both ends of its range, margin at both."""
    s = world.settings
    same = (s.workload.margin, s.workload.margin)
    plan = float(base.mean().sum())

    def sales(parts: Parts) -> float:
        return float(parts.mean().sum())

    def laid(**changes: Any) -> float:
        return sales(replace(world, settings=overlaid(s, **changes)).parts())

    if np.isfinite(base.p_win_worth) and 0 < base.p_win < 1:
        a, b = base.p_win * base.p_win_worth, (1 - base.p_win) * base.p_win_worth
        ends = [float(stats.beta.ppf(q, a, b)) / base.p_win for q in (0.1, 0.9)]
        low, high = (sales(base.scaled(won=e)) for e in ends)
        yield "win_rate", low, high, same
    low, high = (sales(base.scaled(reps=e)) for e in _started(world))
    yield "started", low, high, same
    low, high = (sales(base.scaled(leads=f)) for f in WIDE)
    yield "response", low, high, same
    cv = float(base.relative.std()) if len(base.relative) else s.timeline.value_cv
    wide = Z80 * cv / np.sqrt(max(len(base.relative), 1))
    ends = [max(1 - wide, 0.0), 1 + wide]
    low, high = (sales(base.scaled(leads=f, reps=f)) for f in ends)
    yield "value", low, high, same
    yield "delay", sales(_shifted(base, 1)), sales(_shifted(base, -1)), same
    if s.timeline.macro_sd:
        n = s.timeline.quarters
        phi = s.timeline.macro_phi ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        wide = Z80 * s.timeline.macro_sd * float(np.sqrt(phi.mean()))
        yield "economy", plan * max(1 - wide, 0.0), plan * (1 + wide), same
    ramp = s.timeline.ramp
    slow, fast = ({"ramp": tuple(r**p for r in ramp)} for p in (SLOW, FAST))
    yield "ramp", laid(timeline=slow), laid(timeline=fast), same
    loss = s.staffing.vacancy_loss
    ends = [min(loss + VACANCY, 1.0), max(loss - VACANCY, 0.0)]
    low, high = (laid(staffing={"vacancy_loss": e}) for e in ends)
    yield "vacancy", low, high, same
    ends = [s.staffing.high_loss, s.staffing.low_loss]
    low, high = (laid(staffing={"transition_loss": e}) for e in ends)
    yield "handover", low, high, same
    admin = s.workload.admin_share
    ends = [min(admin + FEWER_HOURS, 1.0), max(admin - FEWER_HOURS, 0.0)]
    low, high = (laid(workload={"admin_share": e}) for e in ends)
    yield "hours", low, high, same
    if world.sold is not None and (world.sold["channel"] != "direct").any():
        lag = s.timeline.partner_lag_months
        ends = [2 * lag, 0.0]
        low, high = (laid(timeline={"partner_lag_months": e}) for e in ends)
        yield "partner_lag", low, high, same
    margin = s.workload.margin
    yield "margin", plan, plan, (max(margin - OTHER_MARGIN, 0.0), min(margin + OTHER_MARGIN, 1.0))


def _started(world: World) -> tuple[float, float]:
    """Range of the deals begun in a year: by chance around those seen, by half where none were."""
    deals, end = world.market.opportunities, world.market.as_of
    if not len(deals) or end is None:
        return WIDE
    seen = int((deals["created_date"] > end - pd.DateOffset(years=1)).sum())
    wide = Z80 / np.sqrt(max(seen, 1))
    return max(1 - wide, 0.0), 1 + wide


def _shifted(parts: Parts, months: int) -> Parts:
    """Everything so many months later, or earlier.

    Nothing comes before the horizon: what would is sold in its first month. What enters at the end is
    as the month before.
    """

    def move(x: Floats) -> Floats:
        out = np.roll(x, months, axis=-1)
        if months > 0:
            out[..., :months] = 0.0
        else:
            out[..., months:] = x[..., -1:]
            out[..., 0] += x[..., :-months].sum(axis=-1)
        return out

    chance = move(parts.deal_month)
    chance = chance / np.maximum(chance.sum(axis=1, keepdims=True), 1.0)
    return replace(parts, deal_month=chance, leads=move(parts.leads), reps=move(parts.reps))
