"""Rep or partner: where the contribution of selling through a distributor is higher than our own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import planning_year
from terrlib.measures.workload import capacity_h

COLUMNS = [
    "territory",
    "channel",
    "distributor_id",
    "direct",
    "indirect",
    "hybrid",
    "breakeven",
    "reason",
]


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


def choose_channels(
    market: Market, facts: pd.DataFrame, territory: pd.Series, rep: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    """Choose for each territory: own rep, partner, or named accounts own and the rest partner.

    Parameters
    ----------
    market, facts
        Distributors with the areas they cover.
    territory
        unit_id -> territory.
    rep
        territory, rep_id; the rep's cost counts where there is one.
    settings
        `channels`, `workload`.

    Returns
    -------
    DataFrame, a row for each territory
        territory, channel (direct, indirect, hybrid), distributor_id ("" where direct),
        direct, indirect, hybrid   contribution a year of each, currency (NaN: not possible)
        breakeven                  sales above which direct pays more, currency
        reason                     a key: why

    Notes
    -----
    A change from selling directly must pay by `channels.hysteresis`. A partner takes territories in
    the order of what they gain, until its capacity is full.
    """
    label = facts["unit_id"].map(territory)
    rows, offers = [], []
    hour = _cost_of_hour(market, rep, settings)
    for name in sorted(territory.unique()):
        mine = facts[label == name]
        row, offer = _options(market, mine, name, hour.get(name, hour[""]), settings)
        rows.append(row)
        offers += offer
    table = pd.DataFrame(rows, columns=COLUMNS).set_index("territory")
    left = market.distributors["annual_capacity"].to_dict()
    for gain, name, partner, kind, sales in sorted(offers, key=lambda o: (-o[0], o[1])):
        if gain <= 0 or table.loc[name, "channel"] != "direct":
            continue
        if sales > left[partner]:
            table.loc[name, "reason"] = "partner_is_full"
            continue
        left[partner] -= sales
        table.loc[name, ["channel", "distributor_id", "reason"]] = [
            kind,
            partner,
            f"{kind}_pays_more",
        ]
    return table.reset_index()


def _cost_of_hour(market: Market, rep: pd.DataFrame, settings: Settings) -> dict[str, float]:
    full = capacity_h(settings, planning_year(market), market.country)
    own = market.reps["cost_year"].fillna(settings.workload.rep_cost_year) / (
        full * market.reps["fte"]
    )
    hour = {"": settings.workload.rep_cost_year / full}
    return hour | {
        t: own[r] for t, r in rep[["territory", "rep_id"]].itertuples(index=False) if r in own
    }


def _options(
    market: Market, mine: pd.DataFrame, name: str, hour: float, settings: Settings
) -> tuple[list[object], list[tuple[float, str, str, str, float]]]:
    w, c = settings.workload, settings.channels
    sales = float(mine["revenue"].clip(lower=0).sum() + (mine["ev"] / max(w.margin, 1e-9)).sum())
    own_cost = float(mine["workload_h"].sum()) * hour
    direct = (w.margin - c.direct_cost_rate) * sales - own_cost
    best: tuple[float, str, float, float, float, float] | None = None
    for partner in market.distributors.itertuples():
        cover = _coverage(market, mine, partner.Index)
        if cover <= 0:
            continue
        reach = partner.push_factor * cover
        net = w.margin - partner.discount_rate
        support = partner.support_cost_year
        indirect = net * sales * reach - support
        named = mine[mine["abc"] == "A"]
        named_sales = float(named["revenue"].clip(lower=0).sum())
        hybrid = (
            (w.margin - c.direct_cost_rate) * named_sales
            - float(named["workload_h"].sum()) * hour
            + net * (sales - named_sales) * reach
            - support
        )
        option = (max(indirect, hybrid), partner.Index, indirect, hybrid, reach, support)
        if best is None or option[0] > best[0]:
            best = option
    reason = "no_partners_given" if not len(market.distributors) else "no_partner_covers"
    if best is None:
        return [name, "direct", "", direct, np.nan, np.nan, np.nan, reason], []
    top, partner_id, indirect, hybrid, reach, support = best
    discount = float(market.distributors.loc[partner_id, "discount_rate"])
    even = break_even(w.margin, c.direct_cost_rate, discount, reach, own_cost, support)
    needed = c.hysteresis * max(abs(direct), abs(top))
    kind = "indirect" if indirect >= hybrid else "hybrid"
    reason = "direct_pays_more" if top <= direct else "within_hysteresis"
    gain = top - direct - needed
    row = [name, "direct", "", direct, indirect, hybrid, even, reason]
    handled = sales * reach
    return row, [(gain, name, partner_id, kind, handled)]


def _coverage(market: Market, mine: pd.DataFrame, partner: str) -> float:
    """Share of a territory's revenue and white space that a partner reaches."""
    areas = market.distributor_areas
    rate = areas[areas["distributor_id"] == partner].groupby("area_id")["coverage_rate"].max()
    weight = mine["revenue"].clip(lower=0) + mine["white_space"]
    reached = mine["area_id"].map(rate).fillna(0.0)
    return float((weight * reached).sum() / weight.sum()) if weight.sum() else 0.0
