"""Who buys how much and how regularly: ABC, RFM, concentration, size of firms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.inputs.units import SIZES
from terrlib.measures.winning import DAYS_PER_MONTH

TIERS = ((0.50, "A"), (0.80, "B"), (0.95, "C"))
CLASSES = ["A", "B", "C", ""]
SPREAD = ["top1_share", "top5_share", "top20_share", "effective_number", "gini"]
FEW_CUSTOMERS = 25
FEWEST_PURCHASES = 3
TOP_OF_A_GROUP = 0.25
RFM_NAMES = ["champion", "loyal", "big_new", "regular", "at_risk", "lost"]
RFM_NUMBERS = ["recency_d", "frequency", "monetary", "r", "f", "m", "gap_d", "overdue_ratio"]


def abc(revenue: pd.Series, a: float, b: float) -> pd.Series:
    """Sort accounts into A, B and C by the share of revenue that stands before them.

    Parameters
    ----------
    revenue
        account_id -> money a year.
    a, b
        An account is A while those before it hold less than `a` of the sum, B while less than `b`.

    Returns
    -------
    Series, account_id -> "A", "B" or "C"
        The largest is always A; zero and negative revenue is C. Ties go by id.

    Examples
    --------
    >>> abc(pd.Series({"x": 80.0, "y": 15.0, "z": 5.0, "o": 0.0}), 0.8, 0.95).to_dict()
    {'x': 'A', 'y': 'B', 'z': 'C', 'o': 'C'}
    """
    table = pd.DataFrame({"id": revenue.index.astype(str), "money": revenue.to_numpy(dtype=float)})
    ranked = table.sort_values(["money", "id"], ascending=[False, True], kind="stable")
    positive = ranked["money"].clip(lower=0)
    # Rounded, so that an account at the very threshold does not hang on the last bit of a sum.
    before = (positive.cumsum() - positive).div(max(positive.sum(), 1e-12)).round(9)
    label = np.select(
        [(ranked["money"] > 0) & (before < a), (ranked["money"] > 0) & (before < b)],
        ["A", "B"],
        "C",
    )
    return pd.Series(label, index=ranked.index).sort_index().set_axis(revenue.index)


def tiers(ev: pd.Series) -> pd.Series:
    """Sort accounts into A, B, C, D: those before them hold less than 50, 80, 95% of the sum.

    Examples
    --------
    >>> tiers(pd.Series({"a": 6.0, "b": 3.0, "c": 0.9, "d": 0.1, "e": 0.0})).tolist()
    ['A', 'B', 'C', 'D', 'D']
    """
    ranked = ev.sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    total = float(ranked.sum())
    if not total > 0:
        return pd.Series("D", index=ev.index)
    # Rounded, so that an account at the very threshold does not hang on the last bit of a sum.
    before = ((ranked.cumsum() - ranked) / total).round(9)
    label = np.select([before < limit for limit, _ in TIERS], [name for _, name in TIERS], "D")
    return pd.Series(label, index=ranked.index).reindex(ev.index)


def pareto(facts: pd.DataFrame) -> pd.DataFrame:
    """Add up the revenue of customers, the largest first.

    Parameters
    ----------
    facts
        Indexed by account_id: revenue (currency a year), abc.

    Returns
    -------
    DataFrame, one row for each account with revenue, the largest first; ties go by id
        place    1, 2, ...                                   count
        share    of all revenue, down to this account        share
        abc      A, B, C

    Examples
    --------
    >>> facts = pd.DataFrame({"revenue": [1.0, 3.0, 0.0], "abc": ["B", "A", ""]}, index=list("xyz"))
    >>> pareto(facts)[["place", "share"]].values.tolist()
    [[1.0, 0.75], [2.0, 1.0]]
    """
    rows = facts[facts["revenue"] > 0].sort_index()
    rows = rows.sort_values("revenue", ascending=False, kind="stable")
    share = rows["revenue"].cumsum() / rows["revenue"].sum()
    return pd.DataFrame({"place": np.arange(1, len(rows) + 1), "share": share, "abc": rows["abc"]})


def concentration(revenue: pd.Series, limit: float = 0.10) -> dict[str, float]:
    """Measure how much of the revenue a few customers hold.

    Parameters
    ----------
    revenue
        Money of each customer, > 0.
    limit
        Share of one customer above which the whole depends on it (`customers.top_customer`).

    Returns
    -------
    dict
        top1_share, top5_share, top20_share (of the top fifth of customers), effective_number
        (1 / sum of squared shares, Hirschman-Herfindahl), gini, and depends_on_one: whether the
        largest customer holds more than `limit`.

    Examples
    --------
    >>> found = concentration(pd.Series([4.0, 2.0, 2.0, 1.0, 1.0]))
    >>> found["top1_share"], found["top20_share"], round(found["effective_number"], 2)
    (0.4, 0.4, 3.85)
    >>> found["depends_on_one"]
    True
    """
    share = np.sort(revenue.to_numpy(dtype=float))[::-1] / revenue.sum()
    n = len(share)
    return {
        "top1_share": float(share[0]),
        "top5_share": float(share[: max(1, round(n * 0.05))].sum()),
        "top20_share": float(share[: max(1, round(n * 0.20))].sum()),
        "effective_number": float(1 / (share**2).sum()),
        "gini": gini(revenue),
        "depends_on_one": bool(share[0] > limit),
    }


def concentration_by(
    facts: pd.DataFrame, dimension: str | pd.Series, limit: float = TOP_OF_A_GROUP
) -> pd.DataFrame:
    """Measure the concentration of revenue along any dimension, and inside each of its groups.

    Parameters
    ----------
    facts
        Indexed by account_id: revenue (net of credit notes, currency a year), and the dimension.
    dimension
        Name of a column (industry, size_class, area_id, ...), or account_id -> group (territory,
        channel, ...). Accounts without a group are put under "".
    limit
        Share of one customer above which a group depends on it.

    Returns
    -------
    DataFrame, most revenue first
        the dimension     the group
        n, customers      accounts; those of them with revenue              count
        revenue           net                                               currency a year
        share             of all revenue; NaN where there is none           share
        top1_share, top5_share, top20_share, effective_number, gini
                          as of `concentration`, inside the group; NaN without revenue
        depends_on_one    whether the largest customer holds more than `limit`

    Examples
    --------
    >>> facts = pd.DataFrame({"industry": ["inns", "inns", "bakers"], "revenue": [60.0, 20.0, 20.0]})
    >>> found = concentration_by(facts, "industry").set_index("industry")
    >>> found["share"].to_dict(), found["depends_on_one"].tolist()
    ({'inns': 0.8, 'bakers': 0.2}, [True, True])
    """
    group = facts[dimension] if isinstance(dimension, str) else dimension.reindex(facts.index)
    money = facts["revenue"].clip(lower=0.0)
    by = money.groupby(group.fillna("").astype(str).rename(group.name or "group"))
    table = pd.DataFrame({"n": by.size(), "customers": by.agg(lambda v: int((v > 0).sum()))})
    table["revenue"] = by.sum()
    table["share"] = table["revenue"] / (money.sum() or np.nan)
    inside = {name: concentration(v[v > 0], limit) for name, v in by if (v > 0).any()}
    table[SPREAD] = pd.DataFrame(inside, index=SPREAD).T.reindex(table.index).astype(float)
    table["depends_on_one"] = table["top1_share"] > limit
    return table.sort_index().sort_values("revenue", ascending=False, kind="stable").reset_index()


def nine_fields(facts: pd.DataFrame, a: float = 0.80, b: float = 0.95) -> pd.DataFrame:
    """Set what accounts buy against what they could buy: ABC of today by ABC of the potential.

    Parameters
    ----------
    facts
        Indexed by account_id: abc ("" for accounts that are no customers), revenue, potential,
        white_space (currency a year).
    a, b
        Thresholds of the ABC of potential, as of `abc`.

    Returns
    -------
    DataFrame, one row for each of the nine fields and for each class of those who are no customers
        abc, abc_potential            A, B, C; abc "" for no customer
        n                             accounts                                    count
        revenue, potential, white_space                                           currency a year
        new_sales    True for C or no customer today and A by potential: where new sales are

    Examples
    --------
    >>> facts = pd.DataFrame({"abc": ["A", "C", ""], "revenue": [90.0, 1.0, 0.0],
    ...     "potential": [95.0, 60.0, 50.0], "white_space": [5.0, 59.0, 50.0]}, index=list("xyz"))
    >>> nine_fields(facts).query("new_sales & n > 0")[["abc", "n", "white_space"]].values.tolist()
    [['C', 1, 59.0], ['', 1, 50.0]]
    """
    rows = facts.assign(abc_potential=abc(facts["potential"], a, b), n=1)
    fields = pd.MultiIndex.from_product([CLASSES, CLASSES[:3]], names=["abc", "abc_potential"])
    columns = ["n", "revenue", "potential", "white_space"]
    table = rows.groupby(["abc", "abc_potential"])[columns].sum().reindex(fields, fill_value=0)
    table = table.reset_index()
    table["new_sales"] = table["abc"].isin(["C", ""]) & (table["abc_potential"] == "A")
    return table


def new_sales(facts: pd.DataFrame, a: float = 0.80, b: float = 0.95) -> pd.DataFrame:
    """List the accounts of the off-diagonal of `nine_fields`, the most white space first.

    Parameters
    ----------
    facts, a, b
        As for `nine_fields`.

    Returns
    -------
    DataFrame, indexed by account_id
        The rows of `facts` that buy little or nothing and are A by potential. Ties go by id.

    Examples
    --------
    >>> facts = pd.DataFrame({"abc": ["A", "C", ""], "revenue": [90.0, 1.0, 0.0],
    ...     "potential": [95.0, 60.0, 50.0], "white_space": [5.0, 59.0, 50.0]}, index=list("xyz"))
    >>> new_sales(facts).index.tolist()
    ['y', 'z']
    """
    able = abc(facts["potential"], a, b) == "A"
    found = facts[able & facts["abc"].isin(["C", ""])].sort_index()
    return found.sort_values("white_space", ascending=False, kind="stable")


def purchases(market: Market, months: int) -> pd.DataFrame:
    """List the sales of the last months, credit notes among them: account_id, date, amount, ...

    Parameters
    ----------
    market
        With or without sales.
    months
        Length of the window that ends on the last day that counts.

    Returns
    -------
    DataFrame
        Rows of `Market.sales` in the window, by account, date and amount; none without sales.
    """
    sales = market.sales
    if not market.has("sales") or market.as_of is None:
        return sales.iloc[:0]
    start = market.as_of - pd.DateOffset(months=months)
    there = sales[(sales["date"] > start) & (sales["date"] <= market.as_of)]
    # Sorted, so that sums do not depend on the order of the file.
    return there.sort_values(["account_id", "date", "amount"], kind="stable")


def two_years(market: Market, accounts: pd.Index) -> pd.DataFrame:
    """Add up the sales of the last 12 months and of the 12 before, by account.

    Parameters
    ----------
    market
        With or without sales.
    accounts
        Ids to be told of.

    Returns
    -------
    DataFrame, indexed by `accounts`
        now, before   currency; both 0 throughout where sales do not reach back to within a month of
        two years.
    """
    end, sales = market.as_of, market.sales
    table = pd.DataFrame({"now": 0.0, "before": 0.0}, index=accounts)
    if end is None or not market.has("sales"):
        return table
    middle, start = end - pd.DateOffset(years=1), end - pd.DateOffset(years=2)
    if sales["date"].min() > start + pd.DateOffset(months=1):
        return table
    for column, since, until in (("now", middle, end), ("before", start, middle)):
        part = sales[(sales["date"] > since) & (sales["date"] <= until)]
        table[column] = part.groupby("account_id")["amount"].sum().reindex(accounts).fillna(0.0)
    return table


def rfm(market: Market, settings: Settings) -> pd.DataFrame:
    """Score customers by how lately, how often and for how much they buy, and find who is late.

    Parameters
    ----------
    market
        Its sales; without any, nobody is scored.
    settings
        `customers.rfm_months`, `customers.late`, `customers.at_risk`.

    Returns
    -------
    DataFrame, indexed by account_id
        recency_d      since the last purchase                                        days
        frequency      different months with a purchase                               count
        monetary       sales of the window less credit notes                          currency
        r, f, m        1 (worst) to 5, by rank; 1, 3 or 5 below 25 customers
        gap_d          usual (median) gap between months of purchase                  days
        overdue_ratio  recency_d over gap_d; needs 3 months of purchase
        rfm            champion, loyal, big_new, at_risk, lost or regular: the first that fits
        late           "", late (above `late`) or at_risk (above `at_risk`)
        Prospects and accounts without a purchase in the window have NaN and "".

    Notes
    -----
    Months, not invoices, are counted, so that a split invoice is no second purchase. The rules:
    champion r, f, m >= 4; loyal f >= 4; big_new r, m >= 4 and f <= 2; at_risk r <= 2 and f >= 3;
    lost r = 1 and f <= 2; regular otherwise.
    """
    asked, accounts = settings.customers, market.accounts
    sales = purchases(market, asked.rfm_months)
    sales = sales[sales["account_id"].map(accounts["status"]).fillna("prospect") != "prospect"]
    bought = sales[sales["amount"] > 0]
    month = bought["date"].dt.year * 12 + bought["date"].dt.month if len(bought) else bought["date"]
    months = bought.assign(month=month)[["account_id", "month"]].drop_duplicates()
    months = months.sort_values(["account_id", "month"])
    gap = months.groupby("account_id")["month"].diff().groupby(months["account_id"]).median()
    table = pd.DataFrame(index=months["account_id"].unique())
    if len(table):
        last = bought.groupby("account_id")["date"].max().reindex(table.index)
        table["recency_d"] = (market.as_of - last).dt.days.astype(float)
        table["frequency"] = months.groupby("account_id").size().astype(float)
        table["monetary"] = sales.groupby("account_id")["amount"].sum()
        table["r"] = _scores(-table["recency_d"])
        table["f"] = _scores(table["frequency"])
        table["m"] = _scores(table["monetary"])
        table["rfm"] = _named_by_rule(table)
        enough = table["frequency"] >= FEWEST_PURCHASES
        table["gap_d"] = (gap * DAYS_PER_MONTH).where(enough)
        table["overdue_ratio"] = table["recency_d"] / table["gap_d"]
        over = table["overdue_ratio"]
        table["late"] = np.select(
            [over > asked.at_risk, over > asked.late], ["at_risk", "late"], ""
        )
    table = table.reindex(index=accounts.index, columns=[*RFM_NUMBERS, "rfm", "late"])
    table[["rfm", "late"]] = table[["rfm", "late"]].fillna("").astype(object)
    return table.astype(dict.fromkeys(RFM_NUMBERS, float))


def _scores(values: pd.Series) -> pd.Series:
    """Rank into fifths, the least 1; into thirds where there are few, on the same scale."""
    bins = 3 if len(values) < FEW_CUSTOMERS else 5
    # Rounded, so that a rank at the very edge of a fifth does not hang on its last bit.
    fifth = np.ceil((values.rank(pct=True) * bins).round(9))
    return fifth if bins == 5 else 2 * fifth - 1  # noqa: PLR2004


def _named_by_rule(table: pd.DataFrame) -> pd.Series:
    r, f, m = table["r"], table["f"], table["m"]
    rules = {
        "champion": (r >= 4) & (f >= 4) & (m >= 4),  # noqa: PLR2004
        "loyal": f >= 4,  # noqa: PLR2004
        "big_new": (r >= 4) & (f <= 2) & (m >= 4),  # noqa: PLR2004
        "at_risk": (r <= 2) & (f >= 3),  # noqa: PLR2004
        "lost": (r == 1) & (f <= 2),  # noqa: PLR2004
    }
    return pd.Series(np.select(list(rules.values()), list(rules), "regular"), index=table.index)


def gini(values: pd.Series) -> float:
    """Gini coefficient of values >= 0: 0 when all are equal, towards 1 when one holds everything.

    Examples
    --------
    >>> round(gini(pd.Series([90, 100, 110, 130, 70])), 3)
    0.112
    """
    x = np.sort(values.to_numpy(dtype=float))
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum())) if x.sum() else 0.0


def size_class(employees: pd.Series) -> pd.Series:
    """Size of a firm by the EU classes: micro below 10 employees, small 50, medium 250, else large.

    Examples
    --------
    >>> size_class(pd.Series([3, 49, 250, None])).tolist()
    ['micro', 'small', 'large', 'unknown']
    """
    conditions = [employees.isna()] + [employees < limit for limit, _ in SIZES]
    names = ["unknown"] + [name for _, name in SIZES]
    return pd.Series(np.select(conditions, names, "large"), index=employees.index)
