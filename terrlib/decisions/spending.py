"""What we spend on reaching customers: the budget over territory and channel, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.decisions.reach import Reach, lead_range, reach_customers, scaled
from terrlib.errors import InfeasibleError, SettingsError
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures import response
from terrlib.measures.facts import planning_year
from terrlib.measures.workload import capacity_h
from terrlib.solve.allocate import (
    Offer,
    Split,
    allocate,
    entering,
    flat,
    plain,
    round_within,
    worth_from,
)

Floats = NDArray[np.float64]
COLUMNS = [
    "territory",
    "channel",
    "reachable",
    "outside",
    "no_consent",
    "amount",
    "least",
    "most",
    "contacts",
    "leads",
    "leads_low",
    "leads_high",
    "opps",
    "wins",
    "wins_low",
    "wins_high",
    "sales",
    "sales_low",
    "sales_high",
    "marginal",
    "binding",
    "evidence",
]
EACH = "each"
ADVERTISING = 0.24
BEYOND = 2.0  # times the most that is spent on a channel, curves are shown
POINTS = 41
BINDS = 0.01  # of an amount or a return: less is no difference
HAIR = 1e-3  # of a step
WITHIN = 0.01  # of the best value: splits worth as much are as good
AS_GOOD = 0.02  # regret below which a proportional split is as good
COARSE = 20  # pieces of a curve where many splits are only compared
TOTALS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Spending:
    """The budget and what it should bring.

    Attributes
    ----------
    cells
        territory, channel, reachable, no_consent (accounts), outside (firms that are no accounts),
        amount, least, most (minor units; a cell gets nothing, or from its least to its most),
        contacts, leads,
        opps, wins, sales (currency), with ranges _low and _high (eight in ten) of leads, wins and
        sales, marginal (contribution of the next unit of money there; where nothing is spent, the
        most that each unit of any amount would bring, fixed costs included), binding (why that is
        not to be had: contacts, hours, limits, fixed, or ""), evidence (what the response curve
        rests on: fitted, judged or mechanical).
    total, contingency, unallocated
        Minor units; amounts, contingency and what is left unspent add up to the total.
    next_zloty
        Contribution that one more unit of money would bring.
    reach
        Who can be reached, and the curves.
    offer
        What the money was offered to, as the solver saw it.
    spendable
        Currency that was offered.
    best
        The split before amounts were rounded.
    """

    cells: pd.DataFrame
    total: int
    contingency: int
    next_zloty: float
    unallocated: int
    reach: Reach
    offer: Offer | None = None
    spendable: float = 0.0
    best: Split | None = None


@dataclass(frozen=True)
class Doubt:
    """How far the split can be trusted.

    Attributes
    ----------
    band
        territory, channel, amount, low, high (currency): amounts of splits worth nearly as much.
    regret
        scenario (half, more, or proportional), channel ("" for all), regret: share of the
        contribution that could have been had which is lost if the scenario is true. Proportional is
        what a plain split by reach and worth loses if the curves are right.
    totals
        total (currency), contribution, next: what other budgets would bring, and their next unit.
    """

    band: pd.DataFrame
    regret: pd.DataFrame
    totals: pd.DataFrame


def split_budget(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    settings: Settings,
    rep: pd.DataFrame | None = None,
) -> Spending:
    """Split the year's budget so that the next unit of money brings the same everywhere.

    Parameters
    ----------
    market, facts
        Channels, consents, and what is measured of the accounts.
    territory
        unit_id -> territory.
    settings
        `budget`; without a total nothing is spent.
    rep
        territory, rep_id: whose hours are left for visits; no limit where not given.

    Returns
    -------
    Spending
        Amounts, contingency and what is left unspent add up to the total, to the grosz. A channel's
        fixed cost is paid in every territory where it is used; a channel that does not earn it is
        not used there.

    Raises
    ------
    SettingsError
        If a limit names a territory or channel that there is not.
    InfeasibleError
        If the limits of the budget cannot hold together.
    """
    found = reach_customers(market, facts, territory, settings)
    cells, asked = found.cells, settings.budget
    total = round((asked.total or 0.0) * 100)
    if not total or cells.empty:
        return Spending(_results(cells, np.zeros(len(cells)), settings), 0, 0, 0.0, 0, found)
    step = round(asked.round_to * 100)
    spend = total - round(total * asked.contingency)
    spend -= spend % step
    hours = _free_hours(market, facts, territory, settings, rep)
    offer = _offer(market, cells, hours, settings, step / 100)
    _refuse_limits(cells, offer, spend / 100, settings)
    best = allocate(offer, spend / 100)
    amounts = _rounded(offer, best, spend // step, step)
    cells = _results(cells, amounts, settings)
    for end, limit in (("least", offer.least), ("most", offer.high)):
        usable = np.where(offer.high > 0, limit + offer.fixed, 0.0)
        cells[end] = np.round(usable * 100).astype(np.int64)
    # Contacts that all cost less than a step of the budget would still return something.
    slope = offer.slope(np.zeros((len(cells), 1)))[:, 0]
    first = np.where(offer.high > 0, entering(offer), slope)
    idle = cells["amount"] == 0
    cells["marginal"] = cells["marginal"].where(~idle, first)
    cells["binding"] = _binding(offer, best, first)
    left = spend - int(amounts.sum())
    return Spending(cells, total, total - spend, best.price, left, found, offer, spend / 100, best)


def _free_hours(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    settings: Settings,
    rep: pd.DataFrame | None,
) -> pd.Series:
    """Hours a year that reps have left in each territory; infinite where no reps are given."""
    names = sorted(territory.unique())
    if rep is None or not len(market.reps):
        return pd.Series(np.inf, index=names)
    full = capacity_h(settings, planning_year(market), market.country)
    # A rep of several territories divides the hours among them.
    times = rep["rep_id"].map(rep["rep_id"].value_counts())
    fte = rep["rep_id"].map(market.reps["fte"]).fillna(0.0) / times
    have = (full * settings.sizing.use_max * fte).groupby(rep["territory"]).sum()
    need = facts["workload_h"].groupby(facts["unit_id"].map(territory)).sum()
    return (have.reindex(names).fillna(0.0) - need.reindex(names).fillna(0.0)).clip(lower=0.0)


def _offer(
    market: Market, cells: pd.DataFrame, hours: pd.Series, settings: Settings, step: float
) -> Offer:
    """Curves, limits and fixed costs as the solver reads them; every limit in whole steps."""
    fixed = cells["fixed_cost"].to_numpy(float)
    people = cells["reachable"] + cells["outside"]
    full = (cells["cost_per_contact"] * people * cells["max_contacts"]).to_numpy(float)
    worth = (cells["value"] > 0) & (cells["top"] > 0)
    high = np.where(worth, full, 0.0)
    high = np.maximum(np.floor((high + fixed) / step + 1e-9) * step - fixed, 0.0)
    least = cells["channel"].map(market.channels["min_spend"]).fillna(0.0).to_numpy(float)
    # Less on a curve with an S than where it is steepest from nothing is wasted: as much, or none.
    least = np.maximum(least, worth_from(_at(cells, plain(_none, _none, high))))
    least = np.where(fixed + least > 0, np.ceil((fixed + least) / step - 1e-9) * step - fixed, 0.0)
    high = np.where(high < least, 0.0, high)
    share, low, most = _rows(cells, settings, step)
    # A cell may be rounded up by a step: its hours are kept free.
    per_zloty = (cells["rep_h"] / cells["cost_per_contact"]).to_numpy(float)
    names = [n for n in hours.index if np.isfinite(hours[n])]
    load = np.array([np.where(cells["territory"] == n, per_zloty, 0.0) for n in names])
    load = load.reshape(len(names), len(cells))
    room = np.maximum(hours[names].to_numpy(float) - load.sum(axis=1) * step, 0.0)
    some = load.any(axis=1)
    spendable = np.array([high[row > 0].sum() for row in load > 0]) if len(load) else np.zeros(0)
    binding = some & ((load @ high) > room) & (spendable > 0)
    return _at(
        cells,
        Offer(
            *(_none, _none),
            high,
            least,
            fixed,
            share,
            low,
            most,
            load[binding],
            room[binding],
            0.0 if settings.budget.spend_all else settings.budget.hurdle,
        ),
    )


def _none(x: Floats) -> Floats:
    return x * 0.0


def _at(cells: pd.DataFrame, offer: Offer) -> Offer:
    """Put the contribution of these curves into an offer."""
    value = cells["value"].to_numpy(float)[:, None]
    return replace(
        offer,
        value=lambda x: value * response.leads(cells, x),
        slope=lambda x: value * response.slope(cells, x),
    )


def _rows(cells: pd.DataFrame, settings: Settings, step: float) -> tuple[Floats, Floats, Floats]:
    """Limits of territories and channels, narrowed to whole steps."""
    rows, low, high = [], [], []
    for by, asked in (
        ("territory", settings.budget.territory_limits),
        ("channel", settings.budget.channel_limits),
    ):
        names = sorted(cells[by].unique())
        for name, (least, most) in _named(by, names, asked).items():
            rows.append((cells[by] == name).to_numpy(float))
            low.append(np.ceil(least / step - 1e-9) * step)
            high.append(np.floor(most / step + 1e-9) * step)
    return np.array(rows).reshape(len(rows), len(cells)), np.array(low), np.array(high)


def _named(
    by: str, names: list[str], asked: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Limits by name; `each` holds for every name that has none of its own."""
    unknown = [name for name in asked if name != EACH and name not in names]
    if unknown:
        key = f"refusal.no_such_{by}_limits"
        raise SettingsError(key, name=unknown[0], names=names, each=EACH)
    every = dict.fromkeys(names, asked[EACH]) if EACH in asked else {}
    return every | {name: limits for name, limits in asked.items() if name != EACH}


def _refuse_limits(cells: pd.DataFrame, offer: Offer, spend: float, settings: Settings) -> None:
    """Say in a sentence which limit cannot hold, before any solver runs."""
    of_territory = len(
        _named("territory", sorted(cells["territory"].unique()), settings.budget.territory_limits)
    )
    for kind, rows in (
        ("territories", slice(0, of_territory)),
        ("channels", slice(of_territory, None)),
    ):
        least = float(offer.row_low[rows].sum())
        if least > spend:
            raise InfeasibleError(f"refusal.least_beyond_budget_{kind}", least=least, spend=spend)
    most = np.where(offer.high > 0, offer.high + offer.fixed, 0.0)
    for i in np.flatnonzero(offer.row_low > 0):
        here = offer.share[i] > 0
        if most[here].sum() < offer.row_low[i]:
            by = "territory" if i < of_territory else "channel"
            name = cells.loc[here, by].iloc[0]
            money = {"least": float(offer.row_low[i]), "most": float(most[here].sum())}
            raise InfeasibleError("refusal.least_beyond_reach", name=name, **money, by=by)


def _rounded(offer: Offer, best: Split, steps: int, step: int) -> NDArray[np.int64]:
    """Amounts with fixed costs, in minor units: whole steps within every limit."""
    size = step / 100
    whole = np.where(best.x > 0, best.x + offer.fixed, 0.0)
    paid = np.where(best.used & (whole > 0), whole, 0.0) / size
    # What the solver left by a hair is not left unspent.
    if steps - paid.sum() < HAIR:
        paid *= min(steps / max(paid.sum(), 1e-12), 1 + 1e-6)
        paid[np.argmax(paid)] += max(steps - paid.sum(), 0.0)
    lower = np.where(paid > 0, np.ceil((offer.least + offer.fixed) / size - 1e-6), 0.0)
    lower = np.where(offer.least + offer.fixed > 0, lower, 0.0)
    upper = np.where(paid > 0, np.floor((offer.high + offer.fixed) / size + 1e-6), 0.0)
    found = round_within(
        np.clip(paid, lower, np.maximum(upper, lower)),
        lower,
        np.maximum(upper, lower),
        offer.share,
        np.round(offer.row_low / size),
        np.round(offer.row_high / size),
    )
    return found * step


def _binding(offer: Offer, best: Split, first: Floats) -> NDArray:
    """What keeps each amount from its next coin; "" where the next coin returns as much as elsewhere."""
    near = 1 + BINDS
    slope = offer.slope(best.x[:, None])[:, 0]
    more = np.where(best.x <= 0, first, slope) > best.price * near
    full = np.zeros(len(best.x), dtype=bool)
    for load, high in zip(offer.load, offer.load_high, strict=True):
        full |= (load > 0) & (load @ best.x * near >= high)
    ruled = np.zeros(len(best.x), dtype=bool)
    paid = np.where(best.x > 0, best.x + offer.fixed, 0.0)
    for share, high in zip(offer.share, offer.row_high, strict=True):
        ruled |= (share > 0) & (share @ paid * near >= high)
    conditions = [best.x * near >= offer.high, full, ruled, best.x <= 0]
    found = np.select([more & c for c in conditions], ["contacts", "hours", "limits", "fixed"], "")
    # What all contacts cost may be less than a step of the budget.
    return np.where((offer.high > 0) | ~more, found, "fixed")


def _results(cells: pd.DataFrame, amounts: NDArray, settings: Settings) -> pd.DataFrame:
    """What amounts (n,) in minor units should bring."""
    if cells.empty:
        return pd.DataFrame(columns=COLUMNS)
    cells = cells.assign(amount=np.asarray(amounts, dtype=np.int64))
    net = _net(cells, cells["amount"]).to_numpy()
    people = np.floor(cells["reachable"] + cells["outside"] + 1e-9)
    most = people * cells["max_contacts"].clip(lower=1)
    contacts = np.minimum(np.floor(net / cells["cost_per_contact"] + 1e-9), most)
    leads = response.leads(cells, net)
    low, high = lead_range(cells, net, settings.budget.doubt)
    opps = leads * cells["opp_rate"]
    wins = opps * cells["p_win"]
    # Two doubts that know nothing of each other add up by their squares.
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = {
            end: np.exp(
                sign
                * np.sqrt(
                    np.log(np.where(leads > 0, side / leads, 1.0)) ** 2
                    + np.log(
                        np.where(cells["p_win"] > 0, cells[f"p_win_{end}"] / cells["p_win"], 1.0)
                    )
                    ** 2
                )
            )
            for end, sign, side in (("low", -1.0, low), ("high", 1.0, high))
        }
    sales = leads * cells["sales_per_lead"]
    slope = cells["value"].to_numpy(float) * response.slope(cells, net)
    return cells.assign(
        contacts=contacts.astype(int),
        leads=leads,
        leads_low=np.minimum(low, leads),
        leads_high=np.maximum(high, leads),
        opps=opps,
        wins=wins,
        wins_low=wins * ends["low"],
        wins_high=wins * ends["high"],
        sales=sales,
        sales_low=sales * ends["low"],
        sales_high=sales * ends["high"],
        marginal=slope,
        least=0,
        most=0,
        binding="",
    )[COLUMNS]


def channel_curves(spent: Spending) -> pd.DataFrame:
    """Leads of every channel over the whole market by what is spent on it.

    Returns
    -------
    DataFrame
        channel, evidence, spend (currency, fixed costs apart), leads, planned (the row of the
        plan itself; the others spread the money by what reaching everybody costs).
    """
    cells, rows = spent.reach.cells, []
    if spent.offer is None:
        return pd.DataFrame(columns=["channel", "evidence", "spend", "leads", "planned"])
    paid = _net(cells, spent.cells["amount"])
    end = max(float(paid.groupby(cells["channel"]).sum().max()) * BEYOND, 1.0)
    for channel, part in cells.groupby("channel"):
        full = pd.Series(spent.offer.high, index=cells.index)[part.index]
        if not full.sum() > 0:
            continue
        at = np.linspace(0, min(end, float(full.sum())), POINTS)
        spread = (full / full.sum()).to_numpy()[:, None] * at
        said = {"channel": channel, "evidence": part["evidence"].iloc[0]}
        leads = response.leads(part, spread).sum(axis=0)
        rows += [
            {**said, "spend": x, "leads": y, "planned": False}
            for x, y in zip(at, leads, strict=True)
        ]
        planned = float(spent.cells.loc[part.index, "leads"].sum())
        rows.append(
            {**said, "spend": float(paid[part.index].sum()), "leads": planned, "planned": True}
        )
    return pd.DataFrame(rows)


def steepness(spent: Spending, market: Market, settings: Settings) -> pd.DataFrame:
    """Elasticity of every channel where the plan spends, beside what studies found.

    Returns
    -------
    DataFrame
        channel, elasticity (percent more leads for one percent more money), usual: 0.24 of
        advertising in the long run (Sethuraman, Tellis and Briesch 2011), that of selling where
        the channel takes a rep's hours.
    """
    cells, rows = spent.reach.cells, []
    if spent.offer is None:
        return pd.DataFrame(columns=["channel", "elasticity", "usual"])
    paid = _net(cells, spent.cells["amount"])
    for channel, part in cells.groupby("channel"):
        x = paid[part.index].to_numpy()
        leads = float(response.leads(part, x).sum())
        if leads > 0 and x.sum() > 0:
            rep = market.channels.loc[channel, "rep_h"] > 0
            rise = float((response.slope(part, x) * x).sum()) / leads
            rows.append((channel, rise, settings.sizing.elasticity if rep else ADVERTISING))
    return pd.DataFrame(rows, columns=["channel", "elasticity", "usual"])


def hours_bind(spent: Spending) -> pd.DataFrame:
    """Territories and channels where reps have no hours left for more: territory, channel."""
    offer, best = spent.offer, spent.best
    columns = ["territory", "channel"]
    if offer is None or best is None or not len(offer.load_high):
        return pd.DataFrame(columns=columns)
    full = offer.load @ best.x >= offer.load_high * (1 - WITHIN)
    return spent.cells.loc[(offer.load[full] > 0).any(axis=0), columns]


def _net(cells: pd.DataFrame, amount: pd.Series) -> pd.Series:
    """Money that goes to contacts, without what is paid for using a channel at all."""
    return (amount / 100 - cells["fixed_cost"]).clip(lower=0.0).where(amount > 0, 0.0)


def doubt_of(spent: Spending, settings: Settings) -> Doubt:
    """Tell how far a split of the budget can be trusted.

    Parameters
    ----------
    spent
        As `split_budget` returned it.
    settings
        `budget.doubt`.

    Returns
    -------
    Doubt
        Empty tables where no money was split.
    """
    offer, best, cells = spent.offer, spent.best, spent.reach.cells
    if offer is None or best is None or best.value <= 0:
        return Doubt(
            pd.DataFrame(columns=["territory", "channel", "amount", "low", "high"]),
            pd.DataFrame(columns=["scenario", "channel", "regret"]),
            pd.DataFrame(columns=["total", "contribution", "next"]),
        )
    low, high = flat(offer, best, WITHIN)
    paid = np.where(best.x > 0, offer.fixed, 0.0)
    band = cells[["territory", "channel"]].assign(
        amount=best.x + paid, low=low + np.where(low > 0, paid, 0.0), high=high + paid
    )
    regret = []
    names = sorted(cells["channel"].unique())
    for scenario, factor in zip(("half", "more"), settings.budget.doubt, strict=True):
        for channel in ["", *names] if len(names) > 1 else [""]:
            hit = (cells["channel"] == channel) | (channel == "")
            true = _at(scaled(cells, pd.Series(np.where(hit, factor, 1.0), cells.index)), offer)
            could = allocate(true, spent.spendable, COARSE)
            lost = 1 - _worth(true, best.x) / _worth(true, could.x, 1e-12)
            regret.append((scenario, channel, max(lost, 0.0)))
    plain = _proportional(offer, cells, float(best.x.sum() + paid.sum()))
    lost = 1 - _worth(offer, plain) / _worth(offer, best.x, 1e-12)
    regret.append(("proportional", "", max(lost, 0.0)))
    totals = []
    for times in TOTALS:
        try:
            other = best if times == 1 else allocate(offer, spent.spendable * times, COARSE)
        except InfeasibleError:
            continue  # the least amounts are more than that
        totals.append((spent.spendable * times, other.value, other.price))
    return Doubt(
        band.reset_index(drop=True),
        pd.DataFrame(regret, columns=["scenario", "channel", "regret"]),
        pd.DataFrame(totals, columns=["total", "contribution", "next"]),
    )


def _worth(offer: Offer, x: Floats, floor: float = 0.0) -> float:
    return max(float(offer.value(x[:, None]).sum()), floor)


def _proportional(offer: Offer, cells: pd.DataFrame, spend: float) -> Floats:
    """Plain split: money by what all who can be reached are worth, none above what reaches them.

    Share of margin times sales times responsiveness, after Albers (1998), is the rule of thumb.
    A channel whose share does not pay its fixed cost in a territory is left out there.
    """
    top = response.leads(cells, np.where(offer.high > 0, offer.high, 0.0))
    weight = np.where(offer.high > 0, cells["value"].to_numpy(float) * top, 0.0)
    while weight.any():
        low, high = 0.0, 1.0
        limit = np.where(weight > 0, offer.high + offer.fixed, 0.0)
        spend = min(spend, float(limit.sum()))
        while np.minimum(high * weight, limit).sum() < spend * (1 - 1e-9):
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            if np.minimum(middle * weight, limit).sum() < spend:
                low = middle
            else:
                high = middle
        amount = np.minimum(high * weight, limit)
        short = (weight > 0) & (amount < offer.fixed + np.maximum(offer.least, 1e-9))
        if not short.any():
            return np.asarray(np.maximum(amount - offer.fixed, 0.0) * (weight > 0))
        worst = np.argmin(np.where(short, amount - offer.fixed - offer.least, np.inf))
        weight[worst] = 0.0
    return np.zeros(len(cells))
