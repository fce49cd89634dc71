"""Rep or partner: where the contribution of selling through a distributor is higher than our own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp

from terrlib.decisions.overlays import NAMED_CLASS, has_ended
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import planning_year
from terrlib.measures.workload import capacity_h, yearly_cost

COLUMNS = [
    "territory",
    "channel",
    "distributor_id",
    "direct",
    "indirect",
    "hybrid",
    "breakeven",
    "safety",
    "flips_by",
    "flips_at",
    "reason",
]
KINDS = ("indirect", "hybrid")
CONTRACT = "exclusive_contract"


def break_even(
    margin: float,
    direct_rate: float,
    discount: float,
    reach: float,
    fixed_direct: float,
    fixed_partner: float,
) -> float:
    """Sales a year above which an own rep contributes more than a partner; inf if never.

    Parameters
    ----------
    margin, direct_rate, discount
        Shares of sales: contribution margin, variable cost of own sales, the partner's discount.
    reach
        Share of our own sales that the partner would make.
    fixed_direct, fixed_partner
        Cost a year of serving the territory ourselves, and of supporting the partner.

    Examples
    --------
    >>> round(break_even(0.35, 0.03, 0.22, 0.8, 180_000, 15_000), 2)
    763888.89
    """
    slope = (margin - direct_rate) - (margin - discount) * reach
    return (fixed_direct - fixed_partner) / slope if slope > 0 else float("inf")


@dataclass(frozen=True)
class _Case:
    """Contribution of a territory sold by a partner, wholly or beside our own rep: money a year."""

    partner: str
    kind: str
    contribution: float
    sales: float  # what the partner carries
    reach: float
    support: float
    discount: float
    taken: float = 0.0  # our own sales to the accounts that the partner would serve
    cost: float = 0.0  # of serving those ourselves
    kept: float = 0.0  # contribution of the accounts that stay ours


def choose_channels(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    rep: pd.DataFrame,
    settings: Settings,
    left: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Choose for each territory: own rep, partner, or named accounts own and the rest partner.

    Parameters
    ----------
    market, facts
        Distributors with the areas they cover, their capacity and contract.
    territory
        unit_id -> territory.
    rep
        territory, rep_id; the rep's cost counts where there is one.
    settings
        `channels`, `workload`.
    left
        Indexed by account_id: distributor_id, sales (ours, currency a year) of accounts that an
        exclusive contract leaves to a partner before anything is chosen. In `facts` they count 0.

    Returns
    -------
    DataFrame, a row for each territory
        territory, channel (direct, indirect, hybrid), distributor_id ("" where direct)
        direct, indirect, hybrid   contribution a year of each with the best partner, currency (NaN:
                   not possible)
        breakeven  sales, to the accounts that the partner would serve, above which direct pays
                   more than that partner, currency
        safety     how far those sales are from it, share of sales
        flips_by, flips_at   what would turn the choice between rep and partner with the least
                   relative change, `channels.hysteresis` counted: sales (currency, to the same
                   accounts), discount (share) or reach (share of our sales); "" and NaN without
                   a partner
        reason     a key: why

    Notes
    -----
    maximise the contribution of all territories together, one way of selling for each, a partner
    with no more sales than it can carry; solved to the proof by HiGHS. Where reps sell today, which
    an alignment tells, a change must pay by `channels.hysteresis`; else the larger wins. A territory
    with an area that must be sold directly stays so, and a contract that has ended offers nothing.
    A territory with accounts left to a partner is hybrid with that partner, or indirect where all of
    it is left or pays more so; what is left to a partner uses up what that partner can carry, and
    its support is paid in that territory whatever else is chosen there. See `selling_partner` for
    who sells to which account.
    """
    left = _nothing_left(facts) if left is None else left
    bound = _bound_to(left, facts["unit_id"].map(territory))
    label = facts["unit_id"].map(territory)
    hour = _cost_of_hour(market, rep, settings)
    names = sorted(territory.unique())
    rows: dict[str, list[object]] = {}
    offers: list[tuple[str, _Case, float]] = []
    for name in names:
        mine = facts[label == name]
        rate = hour.get(name, hour[""])
        rows[name], found = _options(market, mine, name, rate, settings, bound.get(name, ""))
        offers += found
    table = pd.DataFrame(rows.values(), columns=COLUMNS).set_index("territory")
    for name, partner in bound.items():
        all_left = facts.index[label == name].isin(left.index).all()
        row = ["indirect" if all_left else "hybrid", partner, CONTRACT]
        table.loc[name, ["channel", "distributor_id", "reason"]] = row
    taken = _best(offers, _room(market, facts, left))
    for name in {name for name, _, _ in offers}:
        case = taken.get(name)
        if case is None and name in bound:
            continue
        if case is None:
            table.loc[name, "reason"] = "partner_is_full"
            continue
        columns = ["channel", "distributor_id", "reason"]
        table.loc[name, columns] = [case.kind, case.partner, f"{case.kind}_pays_more"]
    return table.reset_index()


def selling_partner(
    facts: pd.DataFrame,
    territory: pd.Series,
    chosen: pd.DataFrame,
    left: pd.Series,
    ours: Collection[str] = (),
) -> pd.Series:
    """Tell who sells to every account: a partner, or our own people.

    Parameters
    ----------
    facts, territory
        Indexed by account_id: unit_id, abc; unit_id -> territory.
    chosen
        territory, channel, distributor_id, reason: as `choose_channels`.
    left
        account_id -> partner to whom an exclusive contract leaves the account.
    ours
        Accounts that an overlay works for.

    Returns
    -------
    Series, account_id -> distributor_id, "" where we sell
        What a contract leaves is the partner's. All of an indirect territory is, and all but A
        customers of one that is hybrid because that pays; where a contract alone makes it hybrid, no
        more than is left. What an overlay works for stays ours.

    Examples
    --------
    >>> facts = pd.DataFrame({"unit_id": ["u", "u"], "abc": ["A", "B"]}, index=["a", "b"])
    >>> row = {"territory": "T1", "channel": "hybrid", "distributor_id": "D1"}
    >>> pays, contract = (pd.DataFrame([row | {"reason": r}]) for r in ("hybrid_pays_more", CONTRACT))
    >>> nothing = pd.Series(dtype=object)
    >>> selling_partner(facts, pd.Series({"u": "T1"}), pays, nothing).to_dict()
    {'a': '', 'b': 'D1'}
    >>> selling_partner(facts, pd.Series({"u": "T1"}), contract, nothing).to_dict()
    {'a': '', 'b': ''}
    """
    of = chosen.set_index("territory").reindex(facts["unit_id"].map(territory))
    of = of.set_axis(facts.index)
    rest = (of["channel"] == "hybrid") & (of["reason"] != CONTRACT) & (facts["abc"] != NAMED_CLASS)
    sells = ((of["channel"] == "indirect") | rest) & ~facts.index.isin(list(ours))
    return left.reindex(facts.index).fillna(of["distributor_id"].where(sells, ""))


def _nothing_left(facts: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"distributor_id": "", "sales": 0.0}, index=facts.index[:0])


def _bound_to(left: pd.DataFrame, label: pd.Series) -> dict[str, str]:
    """Territory -> partner to whom most of its accounts are left."""
    rows = left.assign(territory=label.reindex(left.index))
    by = rows.groupby(["territory", "distributor_id"])["sales"].agg(["sum", "size"]).reset_index()
    by = by.sort_values(["sum", "size", "distributor_id"], ascending=[False, False, True])
    return dict(by.drop_duplicates("territory")[["territory", "distributor_id"]].to_numpy())


def _room(market: Market, facts: pd.DataFrame, left: pd.DataFrame) -> dict[str, float]:
    """Sales that each partner can still carry beside what is left to it already."""
    areas = market.distributor_areas
    rate = areas.groupby(["distributor_id", "area_id"])["coverage_rate"].max().rename("rate")
    rows = left.assign(area_id=facts["area_id"].reindex(left.index))
    rows = rows.join(rate, on=["distributor_id", "area_id"])
    push = rows["distributor_id"].map(market.distributors["push_factor"]).astype(float)
    sold = (rows["sales"] * rows["rate"].fillna(0.0).astype(float) * push).groupby(
        rows["distributor_id"]
    )
    room = market.distributors["annual_capacity"].astype(float)
    return (room - sold.sum().reindex(room.index).fillna(0.0)).clip(lower=0.0).to_dict()


def _best(
    offers: list[tuple[str, _Case, float]], capacity: Mapping[str, float]
) -> dict[str, _Case]:
    """Of all offers those that gain most together, one a territory, no partner above its capacity."""
    if not offers:
        return {}
    gain = np.array([gain for _, _, gain in offers])
    names = sorted({name for name, _, _ in offers})
    partners = sorted({case.partner for _, case, _ in offers})
    once = np.array([[float(name == n) for name, _, _ in offers] for n in names])
    load = np.array([[c.sales * (c.partner == p) for _, c, _ in offers] for p in partners])
    room = np.array([float(capacity[p]) for p in partners])
    # A hair for the place in the list, so that of equal offers always the same is taken.
    hair = 1e-9 * np.abs(gain).max() * np.arange(len(offers)) / len(offers)
    found = milp(
        (hair - gain) / np.abs(gain).max(),
        constraints=[
            LinearConstraint(once, -np.inf, 1),
            LinearConstraint(load / 1e6, -np.inf, room / 1e6),
        ],
        integrality=np.ones(len(offers)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    chosen = np.flatnonzero(np.round(found.x) > 0)
    return {offers[i][0]: offers[i][1] for i in chosen}


def _cost_of_hour(market: Market, rep: pd.DataFrame, settings: Settings) -> dict[str, float]:
    full = capacity_h(settings, planning_year(market), market.country)
    own = yearly_cost(market.reps, settings) / (full * market.reps["fte"])
    hour = {"": settings.workload.rep_cost_year / full}
    return hour | {
        t: own[r] for t, r in rep[["territory", "rep_id"]].itertuples(index=False) if r in own
    }


def _options(
    market: Market,
    mine: pd.DataFrame,
    name: str,
    hour: float,
    settings: Settings,
    bound: str = "",
) -> tuple[list[object], list[tuple[str, _Case, float]]]:
    """The row of a territory sold directly, and every offer that is better by enough."""
    w, c = settings.workload, settings.channels
    sales, own_cost = _own(mine, hour, settings)
    direct = (w.margin - c.direct_cost_rate) * sales - own_cost
    cases = _cases(market, mine, hour, settings, bound)
    if not cases:
        reason = "no_partner_covers" if len(market.distributors) else "no_partners_given"
        none = [np.nan, np.nan, np.nan, np.nan, "", np.nan]
        return [name, "direct", "", direct, *none, reason], []
    first = max(cases, key=lambda case: case.contribution)
    whole = {k: max((x.contribution for x in cases if x.kind == k), default=np.nan) for k in KINDS}
    even = break_even(
        w.margin, c.direct_cost_rate, first.discount, first.reach, first.cost, first.support
    )
    kept = _must_be_direct(market, mine)
    needed = c.hysteresis if market.has("assignments") else 0.0
    flips = _flips(first, needed, settings)
    offers = [
        (name, case, case.contribution - direct)
        for case in cases
        if case.contribution - direct > needed * max(abs(direct), abs(case.contribution))
    ]
    reason = "direct_pays_more" if first.contribution <= direct else "within_hysteresis"
    known = first.taken > 0 and np.isfinite(even)
    safety = abs(first.taken - even) / first.taken if known else np.nan
    row = [name, "direct", "", direct, *whole.values(), even, safety, *flips]
    return [*row, "must_be_direct" if kept else reason], [] if kept else offers


def _cases(
    market: Market, mine: pd.DataFrame, hour: float, settings: Settings, bound: str
) -> list[_Case]:
    """Every way a partner could sell here, with its contribution; only the one that is here anyway."""
    w, c = settings.workload, settings.channels
    named = mine["abc"] == NAMED_CLASS
    named_sales, named_cost = _own(mine[named], hour, settings)
    extra = (w.margin - c.direct_cost_rate) * named_sales - named_cost
    ways = [("indirect", mine, 0.0), ("hybrid", mine[~named], extra)]
    found = []
    for partner in market.distributors.itertuples():
        away = has_ended(market, partner.contract_end) or bound not in ("", partner.Index)
        if away or _coverage(market, mine, partner.Index) <= 0:
            continue
        net = w.margin - partner.discount_rate
        support = 0.0 if bound else partner.support_cost_year
        for kind, served, kept in ways:
            reach = partner.push_factor * _coverage(market, served, partner.Index)
            taken, cost = _own(served, hour, settings)
            sold = taken * reach
            gained = net * sold - support + kept
            found.append(
                _Case(
                    partner.Index, kind, gained, sold, reach, support, partner.discount_rate,
                    taken, cost, kept,
                )
            )  # fmt: skip
    return found


def _own(mine: pd.DataFrame, hour: float, settings: Settings) -> tuple[float, float]:
    """Sales to expect of accounts that we serve ourselves, and what their hours and ways cost."""
    w = settings.workload
    sales = mine["revenue"].clip(lower=0).sum() + (mine["ev"] / max(w.margin, 1e-9)).sum()
    cost = mine["workload_h"].sum() * hour + mine["travel_km"].sum() * w.km_rate
    return float(sales), float(cost)


def _must_be_direct(market: Market, mine: pd.DataFrame) -> bool:
    strategic = market.areas.index[market.areas["must_direct"].fillna(value=False).astype(bool)]
    return bool(mine["area_id"].isin(strategic).any())


def _flips(case: _Case, needed: float, settings: Settings) -> tuple[str, float]:
    """Which of sales, discount and reach turns rep against partner with the least relative change.

    The choice turns where the partner's contribution is what ours has to be exceeded by: 1 / (1 -
    needed) times ours, and (1 - needed) times where that is a loss.
    """
    w, c = settings.workload, settings.channels
    rate, net = w.margin - c.direct_cost_rate, w.margin - case.discount
    own = case.kept + rate * case.taken - case.cost
    gain, loss = 1 / max(1 - needed, 1e-9), 1 - needed
    enough = own * (gain if own >= 0 else loss) - case.kept + case.support
    at = {
        "discount": w.margin - enough / max(case.taken * case.reach, 1e-9),
        "reach": enough / (net * case.taken) if net * case.taken > 0 else np.inf,
    }
    even = []
    for times, sign in ((gain, 1.0), (loss, -1.0)):
        slope = net * case.reach - times * rate
        fixed = case.support - case.kept + times * (case.kept - case.cost)
        sales = fixed / slope if slope else np.inf
        if sign * (case.kept + rate * sales - case.cost) >= 0:
            even.append(sales)
    at["sales"] = min(even, key=lambda s: abs(s - case.taken), default=np.inf)
    now = {"sales": case.taken, "discount": case.discount, "reach": case.reach}
    moved = {
        key: abs(value / now[key] - 1)
        for key, value in at.items()
        if np.isfinite(value) and value > 0 and now[key] > 0
    }
    if not moved:
        return "", np.nan
    key = min(moved, key=lambda k: (moved[k], k))
    return key, float(at[key])


def _coverage(market: Market, mine: pd.DataFrame, partner: str) -> float:
    """Share of a territory's revenue and white space that a partner reaches."""
    areas = market.distributor_areas
    rate = areas[areas["distributor_id"] == partner].groupby("area_id")["coverage_rate"].max()
    weight = mine["revenue"].clip(lower=0) + mine["white_space"]
    reached = mine["area_id"].map(rate).fillna(0.0)
    return float((weight * reached).sum() / weight.sum()) if weight.sum() else 0.0
