"""Who is there: the customer base of any group of accounts, and what it could buy next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.measures.customers import purchases, two_years
from terrlib.measures.winning import WON, deals, incidence, months_to_win

OWNED_MONTHS = 24
SHRINK = 20.0
FEWEST_TOGETHER = 20
FEWEST_WINS = 10
NAMED = 3
SIZE_ORDER = ["micro", "small", "medium", "large", "unknown"]


def area_profile(
    market: Market, facts: pd.DataFrame, territory: pd.Series, by: Sequence[str] = ("territory",)
) -> pd.DataFrame:
    """Describe the customer base of every group of accounts.

    Parameters
    ----------
    market
        Its sales, opportunities and partners; what they alone can tell is blank without them.
    facts
        What is measured of every account, see `facts.account_facts`.
    territory
        unit_id -> territory.
    by
        Columns that make the groups: territory, area_id, or any other of `facts`.

    Returns
    -------
    DataFrame, one row for each group, sorted by `by`; blank is NaN or ""
        (columns of `by`)
        n_customers, n_prospects, n_best_prospects (tier A)                      count
        revenue        of the last 12 months, less credit notes                  currency
        growth_rate    on the 12 months before; needs two years of sales         share
        abc_a_share    of the revenue, by class A customers                      share
        potential, white_space                                                   currency a year
        wallet_share   revenue over potential                                    share
        top_industry   the most common
        top3_industries, size_mix   accounts of each, like "inns 12|bakers 8"
        p_win, p_win_low, p_win_high   weighted by white space; needs a history of deals   share
        cycle_m        median time to a win, open deals counted right; needs 10 wins   months
        top_needs      product lines that customers here lack most, against their segments
        top_lost_reasons   of deals lost, like "price 5|delivery 2", where reasons are given
        consent_email_rate, consent_phone_rate   of all accounts; NaN: none known  share
        distributor_coverage   of its accounts, by the partner that reaches most of each area   share

    Raises
    ------
    KeyError
        If `by` names no column.
    """
    rows = facts.assign(territory=facts["unit_id"].map(territory))
    rows = rows.join(market.accounts[["consent_email", "consent_phone", "consents_known"]])
    keys = [rows[name] for name in by]
    grouped = rows.groupby(keys)
    sums = grouped[["revenue", "potential", "white_space"]].sum()
    table = pd.DataFrame(index=sums.index)
    table["n_customers"] = rows["status"].eq("customer").groupby(keys).sum()
    table["n_prospects"] = rows["status"].eq("prospect").groupby(keys).sum()
    best = rows["status"].eq("prospect") & rows["tier"].eq("A")
    table["n_best_prospects"] = best.groupby(keys).sum()
    table["revenue"] = sums["revenue"]
    table["growth_rate"] = _growth(market, keys)
    sold = sums["revenue"].where(sums["revenue"] > 0)
    table["abc_a_share"] = rows["revenue"].where(rows["abc"] == "A", 0.0).groupby(keys).sum() / sold
    table["potential"], table["white_space"] = sums["potential"], sums["white_space"]
    table["wallet_share"] = sums["revenue"] / sums["potential"].where(sums["potential"] > 0)
    table["top3_industries"] = grouped["industry"].agg(_counts)
    table["top_industry"] = [_first(text) for text in table["top3_industries"]]
    table["size_mix"] = grouped["size_class"].agg(_sizes)
    weight = rows["white_space"] + 1e-9 * (1 + rows["white_space"].max())
    for chance in ("p_win", "p_win_low", "p_win_high"):
        mean = (rows[chance] * weight).groupby(keys).sum() / weight.groupby(keys).sum()
        table[chance] = mean if market.has("opportunities") else np.nan
    table["cycle_m"] = _cycles(market, keys).reindex(table.index)
    table["top_needs"] = _needs(market, facts, keys).reindex(table.index).fillna("")
    table["top_lost_reasons"] = _lost(market, keys).reindex(table.index).fillna("")
    for consent in ("consent_email", "consent_phone"):
        table[f"{consent}_rate"] = grouped[consent].mean().where(grouped["consents_known"].any())
    table["distributor_coverage"] = partner_coverage(market, rows["area_id"]).groupby(keys).mean()
    return table.sort_index().reset_index()


def next_best_product(market: Market, facts: pd.DataFrame) -> pd.DataFrame:
    """Name the product line that each account lacks most, compared with its segment.

    Parameters
    ----------
    market
        Its sales with product lines; without any, everything is blank.
    facts
        Indexed by account_id: segment.

    Returns
    -------
    DataFrame, indexed by account_id, one row for each account of `facts`
        product_line  not bought in the last 24 months and bought by most customers of the segment,
                      shrunken to the whole base; "" where nothing is known or nothing is left
        lift          P(bought | another line the account buys) / P(bought), shrunken; of the line
                      with which it is greatest; NaN below 20 customers who buy both

    Notes
    -----
    The best line is the one with the greatest penetration of the segment times margin; no margins by
    line are among the tables, so every line has the same. Ties go by name. A small number of
    customers is shrunken with the weight of 20 of the whole base.
    """
    owned, expected = _penetration(market, facts)
    empty = pd.DataFrame({"product_line": "", "lift": np.nan}, index=facts.index)
    if owned.empty:
        return empty
    mine = owned.reindex(facts.index, fill_value=False)
    open_to = expected.where(~mine)
    # Rounded, so that equal chances are equal whatever the order of the sums.
    value = open_to.round(9).fillna(-1.0)
    best = value.idxmax(axis=1).where(value.max(axis=1) > 0, "")
    lift, together = _lift(owned)
    usable = lift.where(together >= FEWEST_TOGETHER)
    for account_id, line in best[(best != "") & mine.any(axis=1)].items():
        with_line = usable.loc[mine.columns[mine.loc[account_id]], line].dropna()
        if len(with_line):
            empty.loc[account_id, "lift"] = with_line.max()
    return empty.assign(product_line=best)


def _penetration(market: Market, facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who buys which line, and how likely accounts of the same segment are to buy it."""
    sales = purchases(market, OWNED_MONTHS)
    lines = sales["product_line"].fillna("").astype(str)
    sales = sales[(sales["amount"] > 0) & (lines != "") & sales["account_id"].isin(facts.index)]
    if not len(sales):
        return pd.DataFrame(), pd.DataFrame()
    owned = pd.crosstab(sales["account_id"], sales["product_line"].astype(str)) > 0
    segment = facts.loc[owned.index, "segment"]
    whole = owned.mean()
    count = segment.value_counts()
    seen = owned.groupby(segment).sum()
    rate = seen.add(SHRINK * whole, axis=1).div(count.reindex(seen.index) + SHRINK, axis=0)
    rate = rate.reindex(sorted(facts["segment"].unique())).fillna(whole)
    return owned, rate.loc[facts["segment"]].set_axis(facts.index)


def _lift(owned: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How much likelier a line (column) is with another (row), and how many customers buy both."""
    bought = owned.astype(float)
    together = bought.T @ bought
    whole, alone = bought.mean(), bought.sum()
    given = together.add(SHRINK * whole, axis=1).div(alone + SHRINK, axis=0)
    return given / whole, together


def _needs(market: Market, facts: pd.DataFrame, keys: list[pd.Series]) -> pd.Series:
    owned, expected = _penetration(market, facts)
    if owned.empty:
        return pd.Series(dtype=object)
    lacking = expected.loc[owned.index] - owned
    short = lacking.groupby([key[owned.index] for key in keys]).sum().round(6)
    # Less than half a customer is no need.
    named = [
        "|".join(row[row >= 0.5].sort_values(ascending=False, kind="stable").index[:NAMED])  # noqa: PLR2004
        for _, row in short.iterrows()
    ]
    return pd.Series(named, index=short.index, dtype=object)


def _growth(market: Market, keys: list[pd.Series]) -> pd.Series:
    """Sales of the last 12 months on those of the 12 before, where those are covered whole."""
    sold = two_years(market, keys[0].index).groupby(keys).sum()
    return sold["now"] / sold["before"].where(sold["before"] > 0) - 1


def _cycles(market: Market, keys: list[pd.Series]) -> pd.Series:
    table = deals(market)
    table = table[table["account_id"].isin(keys[0].index)]
    found = {}
    names = [key.reindex(table["account_id"]).to_numpy() for key in keys]
    for group, part in table.groupby(names):
        if (part["outcome"] == WON).sum() < FEWEST_WINS:
            continue
        curve = incidence(part["months"].to_numpy(), part["outcome"].to_numpy())
        found[group] = months_to_win(curve, 0.5)
    return _by_group(found, keys)


def _lost(market: Market, keys: list[pd.Series]) -> pd.Series:
    if "lost_reason" not in market.opportunities or not len(market.opportunities):
        return pd.Series(dtype=object)
    table = market.opportunities
    lost = table["is_closed"].astype(bool) & ~table["is_won"].astype(bool)
    table = table[lost & table["account_id"].isin(keys[0].index)]
    names = [key.reindex(table["account_id"]).to_numpy() for key in keys]
    said = {group: _counts(part["lost_reason"]) for group, part in table.groupby(names)}
    return _by_group(said, keys)


def _by_group(found: Mapping[Any, object], keys: list[pd.Series]) -> pd.Series:
    if not found:
        return pd.Series(dtype=object)
    names = [str(key.name) for key in keys]
    index = pd.MultiIndex.from_tuples(list(found), names=names)
    flat = index if len(keys) > 1 else index.get_level_values(0)
    return pd.Series(list(found.values()), index=flat)


def partner_coverage(market: Market, area_id: pd.Series) -> pd.Series:
    """Share of an area that the partner reaches who reaches most of it; NaN without partners."""
    if not len(market.distributor_areas):
        return pd.Series(np.nan, index=area_id.index)
    most = market.distributor_areas.groupby("area_id")["coverage_rate"].max()
    return area_id.map(most).fillna(0.0).astype(float)


def _counts(values: pd.Series) -> str:
    """Write the three most common values with their counts: "inns 12|bakers 8"."""
    known = values.fillna("").astype(str)
    count = known[known != ""].value_counts().sort_index()
    first = count.sort_values(ascending=False, kind="stable").head(NAMED)
    return "|".join(f"{name} {n}" for name, n in first.items())


def _sizes(values: pd.Series) -> str:
    count = values.value_counts().reindex(SIZE_ORDER).dropna().astype(int)
    return "|".join(f"{name} {n}" for name, n in count.items())


def _first(text: str) -> str:
    """Take the name of the first part of "inns 12|bakers 8"."""
    return text.split("|")[0].rpartition(" ")[0]
