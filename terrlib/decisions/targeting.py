"""Where to look for new sales: areas by what they promise, how sure that is, and what there is to do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import two_years
from terrlib.measures.facts import planning_year, wins_a_year
from terrlib.measures.profile import partner_coverage
from terrlib.measures.workload import capacity_h
from terrlib.money import to_minor

COLUMNS = [
    "territory",
    "area_id",
    "rank",
    "decision",
    "expected_contribution",
    "low",
    "high",
    "prob_top",
    "reason",
]
KEYS = ["territory", "area_id"]
SOUGHT = ("attack", "grow", "test")
TARGETED = (*SOUGHT, "defend")
DRAWS = 500
CERTAIN, CONTENDER = 0.8, 0.4
TOP_SHARE = 0.25
FEWEST_DEALS = 3
WIDE = 1.5
MOST = 0.5
Z80 = 1.2815515655446004  # normal quantile of 90%: half of an 80% range
Floats = NDArray[np.float64]


def target_areas(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    channel: pd.DataFrame,
    settings: Settings,
    rep: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Rank areas by the contribution of new sales less the cost to serve, and decide about each.

    Parameters
    ----------
    market, facts, territory, channel, settings, rep
        See `area_scores`.

    Returns
    -------
    DataFrame, one row for each territory and area (the whole territory, "", where there are none)
        territory, area_id
        rank                    1 is the largest expected contribution
        decision, reason        see `decide`
        expected_contribution, low, high   minor units a year
        prob_top                chance of being among the best quarter of areas

    Examples
    --------
    See `area_scores` and `decide`, of which this is the short form.
    """
    scores = area_scores(market, facts, territory, channel, settings, rep)
    table = pd.concat([scores, decide(scores)], axis=1)
    order = table.sort_values(
        ["expected_contribution", *KEYS], ascending=[False, True, True], kind="stable"
    )
    table["rank"] = pd.Series(np.arange(1, len(table) + 1), index=order.index)
    for column in ("expected_contribution", "low", "high"):
        table[column] = to_minor(table[column])
    return table[COLUMNS]


def area_scores(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    channel: pd.DataFrame,
    settings: Settings,
    rep: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Measure what every area promises within a year, and what a decision about it rests on.

    Parameters
    ----------
    market, facts
        Deals and reps; what is measured of every account.
    territory
        unit_id -> territory.
    channel
        territory, channel (direct, indirect, hybrid).
    settings
        Margin, cost and hours of a rep; `seed` and `timeline.macro_sd` for the ranges.
    rep
        territory, rep_id; a vacant territory counts as one full-time rep. Where not given, the
        reps are shared out evenly, one full-time rep a territory where there are no reps.

    Returns
    -------
    DataFrame, a row for each territory and area, sorted
        territory, area_id
        from_prospects     wins x (value x margin - cost to serve), wins being deals times the
                           share of prospects there are hours for times p_win, at most what fills
                           the white space                                     currency a year
        from_customers     the same of customers, whose hours are spent anyway   currency a year
        expected_contribution, low, high   their sum; 10% and 90% of draws       currency a year
        prob_top           chance of being among the best quarter              share
        effort_h           hours to work all prospects                           hours a year
        per_hour           expected contribution by hour of effort; inf without  currency
        free_h             hours the territory has left beside its customers     hours a year
        p_contact          share of its prospects there are hours for            share
        a_share            share of revenue that A customers hold                share
        wallet_share       revenue over potential                                share
        deals              deals closed here                                     count
        indirect           whether a partner sells here

    Notes
    -----
    500 draws: chances of a win within their range, higher or lower together for all accounts of a
    segment, for they rest on the same deals; the value of a win as far as won amounts drawn again
    have another mean; the potential of each account within its range. The chances of all areas add
    up to the number of best places, or of areas that promise anything.
    """
    rows = facts.sort_index()
    rows = rows.assign(
        territory=rows["unit_id"].map(territory), area_id=rows["area_id"].astype(str)
    )
    rows["indirect"] = rows["territory"].isin(
        channel.loc[channel["channel"] == "indirect", "territory"]
    )
    new = rows["status"] != "customer"
    rows["effort_h"] = rows["workload_h"].where(new, 0.0)
    hours = capacity_h(settings, planning_year(market), market.country)
    hour = settings.workload.rep_cost_year / hours
    free, contact = _hours_left(market, rows, hours, rep)
    # What a won prospect costs in hours a year, once it is served; a customer is served already.
    cost = rows["effort_h"].to_numpy(float) * hour
    reached = np.where(new & ~rows["indirect"], rows["territory"].map(contact), 1.0)
    start = rows["p_opp"].to_numpy(float) * reached

    def promise(p_win: Floats, value: Floats, white: Floats) -> Floats:
        # An account that costs more than it brings is not pursued.
        wins = wins_a_year(start, p_win, value, white)
        return wins * np.maximum(value * settings.workload.margin - cost, 0.0)

    keys = rows[KEYS].drop_duplicates().sort_values(KEYS).reset_index(drop=True)
    at = pd.MultiIndex.from_frame(keys).get_indexer(pd.MultiIndex.from_frame(rows[KEYS]))

    def sums(values: pd.Series | Floats) -> Floats:
        weights = np.asarray(values, float)
        return np.bincount(at, weights=weights, minlength=len(keys)).astype(float)

    own = promise(*rows[["p_win", "value", "white_space"]].to_numpy(float).T)
    table = keys.assign(from_prospects=sums(own * new), from_customers=sums(own * ~new))
    mean = table["from_prospects"] + table["from_customers"]
    draws: Floats = np.stack([sums(promise(*drawn)) for drawn in _draws(market, rows, settings)])
    table["expected_contribution"] = mean
    rng = np.random.default_rng(settings.seed)
    shock = rng.lognormal(0.0, settings.timeline.macro_sd, size=(DRAWS, 1))
    low, high = np.quantile(draws * shock, [0.1, 0.9], axis=0)
    table["low"], table["high"] = np.minimum(low, mean), np.maximum(high, mean)
    table["prob_top"] = _chance_of_top(draws, mean.to_numpy(float))
    table["effort_h"] = sums(rows["effort_h"])
    effort = table["effort_h"].to_numpy(float)
    table["per_hour"] = np.divide(mean, effort, out=np.full(len(keys), np.inf), where=effort > 0)
    table["free_h"] = table["territory"].map(free)
    table["p_contact"] = table["territory"].map(contact)
    money, potential = sums(rows["revenue"].clip(lower=0)), sums(rows["potential"])
    held = sums(rows["revenue"].clip(lower=0) * (rows["abc"] == "A"))
    table["a_share"] = np.divide(held, money, out=np.zeros(len(keys)), where=money > 0)
    table["wallet_share"] = np.divide(
        money, potential, out=np.zeros(len(keys)), where=potential > 0
    )
    closed = market.opportunities.loc[market.opportunities["is_closed"].astype(bool), "account_id"]
    table["deals"] = sums(closed.value_counts().reindex(rows.index).fillna(0.0))
    table["indirect"] = sums(rows["indirect"]) > 0
    return table


def _hours_left(
    market: Market, rows: pd.DataFrame, hours: float, rep: pd.DataFrame | None
) -> tuple[pd.Series, pd.Series]:
    """Hours beside those of customers, and the share of prospects they are enough for."""
    names = sorted(rows["territory"].unique())
    if rep is not None:
        there = rep["rep_id"].map(market.reps["fte"].astype(float)).fillna(1.0)
        fte = there.groupby(rep["territory"]).sum().reindex(names).fillna(1.0)
    else:
        whole = float(market.reps["fte"].sum()) if len(market.reps) else float(len(names))
        fte = pd.Series(whole / len(names), index=names)
    by = rows.groupby("territory")
    served = by["workload_h"].sum() - by["effort_h"].sum()
    free = (fte * hours - served).clip(lower=0.0)
    effort = by["effort_h"].sum()
    contact = (free / effort.where(effort > 0)).clip(upper=1.0).fillna(1.0)
    return free, contact


def _draws(
    market: Market, rows: pd.DataFrame, settings: Settings
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Win rates, values and white space of all accounts, as often as there are draws."""
    rng = np.random.default_rng([settings.seed, DRAWS])
    group = rows["segment"].where(rows["segment"] != "", "all")
    names, place = np.unique(group.to_numpy(str), return_inverse=True)
    p, low, high = logit(
        rows[["p_win", "p_win_low", "p_win_high"]].clip(1e-6, 1 - 1e-6).T.to_numpy()
    )
    luck = rng.standard_normal((DRAWS, len(names)))
    deals = market.opportunities
    won = deals[deals["is_won"].astype(bool) & (deals["amount"] > 0)].sort_index()
    amount, whose = won["amount"].to_numpy(float), won["account_id"].map(group).to_numpy()
    worth = np.ones((DRAWS, len(names)))
    for j, name in enumerate(names):
        mine = amount[whose == name]
        mine = mine if len(mine) else amount
        if len(mine):
            worth[:, j] = rng.choice(mine, (DRAWS, len(mine))).mean(axis=1) / mine.mean()
    mid, revenue = rows["potential"].to_numpy(float), rows["revenue"].clip(lower=0).to_numpy(float)
    bounds = rows[["potential_low", "potential_high"]].to_numpy(float)
    safe = np.where(mid > 0, mid, 1.0)
    down, up = (
        np.abs(np.log(np.where((side > 0) & (mid > 0), side, safe) / safe)) for side in bounds.T
    )

    value = rows["value"].to_numpy(float)
    for shift, times in zip(luck, worth, strict=True):
        z = rng.standard_normal(len(rows)) / Z80
        white = np.maximum(mid * np.exp(z * np.where(z > 0, up, down)) - revenue, 0.0)
        chance = expit(p + shift[place] * (high - low) / (2 * Z80))
        yield chance, np.minimum(value * times[place], white), white


def _chance_of_top(draws: Floats, mean: Floats) -> Floats:
    """Share of draws in which each area is among the best; equal areas share a place."""
    top = min(max(1, round(len(mean) * TOP_SHARE)), int((mean > 0).sum()))
    if not top:
        return np.zeros(len(mean))
    last = -np.partition(-draws, top - 1, axis=1)[:, top - 1 : top]
    above, equal = draws > last, draws == last
    left = top - above.sum(axis=1, keepdims=True)
    return (above + equal * left / equal.sum(axis=1, keepdims=True)).mean(axis=0)


def decide(scores: pd.DataFrame) -> pd.DataFrame:
    """Decide what to do in every area, with the reason.

    Parameters
    ----------
    scores
        See `area_scores`.

    Returns
    -------
    DataFrame, same index
        decision    attack, grow, test, defend, partner or not_now
        reason      a key that holds for the row: see the notes

    Notes
    -----
    The first that holds:

    - partner, sold_by_partner: sold indirectly;
    - not_now, nothing_known: no area promises anything;
    - a candidate (prob_top of 0.4 or more) that the hours of its territory are enough for, taken by
      contribution per hour: test, little_evidence where it is no certain one (below 0.8) and fewer
      than 3 deals were closed there or its range is wider than 1.5 times what is expected; grow,
      customers_can_buy_more where more than half is expected from customers; else attack,
      surely_among_best or maybe_among_best;
    - best_of_territory: attack or grow, the best per hour of a territory that has no such area;
    - defend, large_customers_here: A customers hold more than half of its revenue, and more than half
      of what its accounts could buy is bought;
    - not_now, hours_are_full where it is a candidate, else others_promise_more.

    Examples
    --------
    >>> scores = pd.DataFrame({"territory": ["T1", "T1"], "area_id": ["a", "b"],
    ...     "from_prospects": [90.0, 0.0], "from_customers": [10.0, 0.0],
    ...     "expected_contribution": [100.0, 0.0], "low": [80.0, 0.0], "high": [130.0, 0.0],
    ...     "prob_top": [1.0, 0.0], "effort_h": [5.0, 5.0], "per_hour": [20.0, 0.0],
    ...     "free_h": 50.0, "a_share": 0.0, "wallet_share": 0.1, "deals": 9, "indirect": False})
    >>> decide(scores).values.tolist()
    [['attack', 'surely_among_best'], ['not_now', 'others_promise_more']]
    """
    s = scores
    mean = s["expected_contribution"]
    candidate = ~s["indirect"] & (s["prob_top"] >= CONTENDER) & (mean > 0)
    order = s.sort_values(["per_hour", *KEYS], ascending=[False, True, True], kind="stable").index
    spent = s["effort_h"].where(candidate, 0.0).loc[order].groupby(s["territory"].loc[order])
    before = (spent.cumsum() - s["effort_h"].where(candidate, 0.0)).reindex(s.index)
    chosen = candidate & ((before < s["free_h"]) | (s["effort_h"] == 0))
    certain = s["prob_top"] >= CERTAIN
    unsure = (s["deals"] < FEWEST_DEALS) | (s["high"] - s["low"] > WIDE * mean)
    empty = ~chosen.groupby(s["territory"]).transform("any")
    able = (empty & ~s["indirect"] & (mean > 0)).loc[order]
    first = (able & (able.groupby(s["territory"].loc[order]).cumsum() == 1)).reindex(s.index)
    buying = s["from_customers"] > MOST * mean
    held = (s["a_share"] > MOST) & (s["wallet_share"] > MOST)
    rules = [
        (s["indirect"], "partner", "sold_by_partner"),
        (pd.Series(not mean.sum() > 0, index=s.index), "not_now", "nothing_known"),
        (chosen & ~certain & unsure, "test", "little_evidence"),
        (chosen & buying, "grow", "customers_can_buy_more"),
        (chosen & certain, "attack", "surely_among_best"),
        (chosen, "attack", "maybe_among_best"),
        (first & buying, "grow", "best_of_territory"),
        (first, "attack", "best_of_territory"),
        (held, "defend", "large_customers_here"),
        (candidate, "not_now", "hours_are_full"),
    ]
    holds, decision, reason = zip(*rules, strict=True)
    return pd.DataFrame(
        {
            "decision": np.select(holds, decision, "not_now"),
            "reason": np.select(holds, reason, "others_promise_more"),
        },
        index=s.index,
    )


def attractiveness(market: Market, facts: pd.DataFrame, territory: pd.Series) -> pd.DataFrame:
    """Set how attractive every area is against our ability to win there.

    Parameters
    ----------
    market
        Sales for growth, consents, coverage by distributors.
    facts
        What is measured of every account.
    territory
        unit_id -> territory.

    Returns
    -------
    DataFrame, a row for each territory and area, sorted
        territory, area_id
        attractiveness   mean place by white_space and growth, 0 the last to 1 the first     share
        ability          mean place by p_win, presence, consent and coverage                   share
        potential        size of the bubble                                          currency a year
        white_space      what could be bought and is not                             currency a year
        growth           sales of the last 12 months over those of the 12 before, less 1;
                         NaN where either is not known                                       ratio
        p_win            mean chance of a win                                                share
        presence         share of accounts that are customers                                share
        consent          share of accounts that may be phoned or e-mailed                    share
        coverage         share that the best distributor reaches; NaN without distributors   share

    Notes
    -----
    The two axes of the portfolio matrix of General Electric and McKinsey. A part not known of an area
    is left out of its mean; areas that are equal in a part share a place, and all have 0.5 where they
    are equal throughout.

    Examples
    --------
    The axes depend on order only, so a change of currency moves no bubble:

    >>> _place(pd.Series([10.0, 30.0, 20.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    rows = facts.assign(territory=facts["unit_id"].map(territory))
    agreed = market.accounts[["consent_email", "consent_phone"]].astype(bool).any(axis=1)
    rows["consent"] = agreed.reindex(rows.index).astype(float)
    rows["presence"] = rows["status"].eq("customer").astype(float)
    rows[["now", "before"]] = two_years(market, rows.index)
    by = rows.groupby(KEYS)
    sums, means = ["potential", "white_space", "now", "before"], ["p_win", "presence", "consent"]
    table = by[sums].sum().join(by[means].mean()).reset_index()
    table["growth"] = table["now"] / table["before"].where(table["before"] > 0) - 1
    table["coverage"] = partner_coverage(market, table["area_id"])
    for axis, parts in (
        ("attractiveness", ["white_space", "growth"]),
        ("ability", ["p_win", "presence", "consent", "coverage"]),
    ):
        table[axis] = table[parts].apply(_place).mean(axis=1)
    named = ["attractiveness", "ability", "potential", "white_space", "growth", *means, "coverage"]
    return table[[*KEYS, *named]]


def _place(values: pd.Series) -> pd.Series:
    """Place among the known values, 0 the last and 1 the first; equals share one."""
    n = values.notna().sum()
    return (values.rank() - 1) / (n - 1) if n > 1 else values.where(values.isna(), 0.5)
