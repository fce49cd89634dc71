"""Everything that is measured of an account, in one table, and its sums over units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import abc, size_class, tiers
from terrlib.measures.ideal import Ideal, ideal_customers
from terrlib.measures.potential import Potential, account_potential
from terrlib.measures.winning import DAYS_PER_MONTH, assumed_chance, deals_a_year
from terrlib.measures.workload import account_workload, as_recorded, field_days, own_ways

PLACE = ["site_id", "lat", "lon", "x_km", "y_km"]
MEASURES = ["workload_h", "potential", "revenue", "count"]
DEFAULT_YEAR = 2026
YEAR_D = 365


def planning_year(market: Market) -> int:
    """Year whose calendar counts: of the quarter, else of the last day in the data, else 2026."""
    if market.quarter[:4].isdigit():
        return int(market.quarter[:4])
    return market.as_of.year if market.as_of is not None else DEFAULT_YEAR


def wallets(market: Market, settings: Settings) -> Potential:
    """Estimate what every account could buy, and say what that rests on.

    Parameters
    ----------
    market
        The trusted tables.
    settings
        `customers`.

    Returns
    -------
    Potential
        See `potential.account_potential`. Accounts are compared within their industry: segments are
        made of what is bought from us, and would call those who buy little elsewhere content.
    """
    a = market.accounts
    known = ["status", "industry", "area_id", "revenue", "potential", "employees"]
    rows = a[[*known, "annual_turnover"]].assign(
        segment=a["industry"],
        size_class=size_class(a["employees"]),
        tenure_m=_tenure_m(market),
    )
    return account_potential(rows, settings, market.market_structure)


def _tenure_m(market: Market) -> pd.Series:
    """Months as a customer; NaN where neither a date nor a first sale tells."""
    since, end = pd.to_datetime(market.accounts["customer_since"]), market.as_of
    if end is None:
        return pd.Series(np.nan, index=since.index)
    if market.has("sales") and (end - market.sales["date"].min()).days >= YEAR_D:
        # Sales that do not reach back a year begin after their customers did.
        first = market.sales.groupby("account_id")["date"].min().reindex(since.index)
        since = since.where(since <= first, first).fillna(since)
    return (end - since).dt.days / DAYS_PER_MONTH


def account_facts(
    market: Market,
    settings: Settings,
    segment: pd.Series,
    wallet: Potential | None = None,
    ideal: Ideal | None = None,
) -> pd.DataFrame:
    """Measure every account.

    Parameters
    ----------
    market
        The trusted tables.
    settings
        Defaults and thresholds.
    segment
        account_id -> segment, "" where there is none.
    wallet, ideal
        What `wallets` and `ideal_customers` returned, where they were asked already. The latter is
        never told the segments: those are made of what was bought, and so know who was won.

    Returns
    -------
    DataFrame, indexed by account_id, sorted
        unit_id, area_id, status, industry, segment   as given or decided
        size_class   micro, small, medium, large, unknown
        abc          A, B, C of customers by revenue, "" for others
        tier         A, B, C, D of prospects by expected contribution, "" for customers
        class        visit class: A, B, C, PA, PB, X
        revenue, potential, potential_low, potential_high, white_space, pipeline   currency a year
        potential_src   given, quantile, cell, segment or revenue
        wallet_share    revenue over potential, 0 where neither is known          share
        p_opp           deals an account of its status starts in a year           count
        p_win, p_win_low, p_win_high   chance that a deal is won; the assumption of the settings
                     where losses are not recorded                                 share
        value        mean sales of the first year if a deal is won, not above white space; where no
                     won deal tells it, `share_bought` of the white space           currency
        ev           expected contribution of new sales within a year, `wins_a_year` times
                     value times margin: its sales are never above white space     currency
        visits, travel_km; visit_h, call_h, travel_h, workload_h             a year, km; hours
        count        1
    """
    a = market.accounts
    facts = a[["unit_id", "area_id", "status", "industry", "revenue", "employees"]].copy()
    facts["revenue"] = facts["revenue"].clip(lower=0.0)  # more credited than sold weighs nothing
    facts["segment"] = segment.reindex(a.index).fillna("")
    facts["size_class"] = size_class(a["employees"])
    facts[PLACE] = a[PLACE]
    customer = facts["status"] == "customer"
    facts["abc"] = ""
    if customer.any():
        c = settings.customers
        facts.loc[customer, "abc"] = abc(facts.loc[customer, "revenue"], c.abc_a, c.abc_b)
    found = (wallet or wallets(market, settings)).table
    facts[found.columns] = found.reindex(facts.index)
    facts = _chances(market, facts, settings, ideal or ideal_customers(market, settings))
    facts["tier"] = tiers(facts.loc[~customer, "ev"]).reindex(facts.index).fillna("")
    facts["class"] = np.select(
        [
            customer,
            facts["status"].isin(["lost", "inactive"]),
            facts["tier"] == "A",
            facts["tier"] == "B",
        ],
        [facts["abc"], "X", "PA", "PB"],
        "X",
    )
    days = field_days(settings, planning_year(market), market.country)
    done = as_recorded(market, facts["class"], settings)
    ways = own_ways(market.travel, market.reps.index, settings.workload)
    homes = market.reps[["home_lat", "home_lon"]]
    hours = account_workload(facts, homes, done, days, ways=ways)
    facts[hours.columns] = hours
    facts["count"] = 1.0
    return facts.drop(columns=["employees", *PLACE])


def _chances(market: Market, facts: pd.DataFrame, settings: Settings, ideal: Ideal) -> pd.DataFrame:
    """Chance of a win, value of a win, expected contribution of every account."""
    score = ideal.score.reindex(facts.index)
    chances = ["p_win", "p_win_low", "p_win_high"]
    assumed = dict(zip(chances, assumed_chance(settings), strict=True))
    facts[chances] = score[chances].fillna(assumed)
    value = score["value"].fillna(facts["white_space"] * share_bought(facts))
    facts["value"] = np.minimum(value, facts["white_space"]).clip(lower=0.0)
    deals = market.opportunities
    still = deals[~deals["is_closed"].astype(bool)]
    facts["pipeline"] = still.groupby("account_id")["amount"].sum().reindex(facts.index).fillna(0.0)
    facts["p_opp"] = facts["status"].map(deals_a_year(market, settings))
    wins = wins_a_year(facts["p_opp"], facts["p_win"], facts["value"], facts["white_space"])
    facts["ev"] = wins * facts["value"] * settings.workload.margin
    return facts


def share_bought(facts: pd.DataFrame) -> float:
    """Share of what they could buy that customers buy from us; 1 where there are none to tell.

    Parameters
    ----------
    facts
        revenue and potential of every account, currency a year, >= 0.

    Examples
    --------
    >>> share_bought(pd.DataFrame({"revenue": [30.0, 10.0, 0.0], "potential": [60.0, 100.0, 500.0]}))
    0.25
    """
    buying = facts[facts["revenue"] > 0]
    return float(buying["revenue"].sum() / buying["potential"].sum()) if len(buying) else 1.0


def wins_a_year(deals: Any, p_win: Any, value: Any, white_space: Any) -> NDArray[np.float64]:
    """Expected number of deals won in a year, no more than fill the white space.

    Parameters
    ----------
    deals
        Deals that an account starts in a year, count, >= 0.
    p_win
        Chance that one is won.
    value, white_space
        Sales of a won deal, and what could still be bought in a year: currency, >= 0.

    Returns
    -------
    array
        deals * p_win, at most white_space / value: whoever starts many deals a year does not buy more
        than there is left to buy.

    Examples
    --------
    Six deals a year, half of them won, 10 each; 12 are left to buy, so 1.2 of them can be won:

    >>> wins_a_year([6.0, 1.0], [0.5, 0.5], [10.0, 10.0], [12.0, 12.0]).tolist()
    [1.2, 0.5]
    """
    wins, one, space = (
        np.asarray(x, float) for x in (np.multiply(deals, p_win), value, white_space)
    )
    return np.divide(space, one, out=wins.copy(), where=wins * one > space)


def unit_measures(facts: pd.DataFrame, units: pd.Index) -> pd.DataFrame:
    """Sum workload_h, potential, revenue and count over every unit; 0 where it holds no account.

    Examples
    --------
    >>> facts = pd.DataFrame({"unit_id": ["a", "a"], "workload_h": [1.0, 2.0],
    ...     "potential": [5.0, 5.0], "revenue": [3.0, 0.0], "count": [1.0, 1.0]})
    >>> unit_measures(facts, pd.Index(["a", "b"])).loc["a"].tolist()
    [3.0, 10.0, 3.0, 2.0]
    """
    return facts.groupby("unit_id")[MEASURES].sum().reindex(units).fillna(0.0)
