"""Groups of similar customers, only where there are some."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import abc, purchases, rfm, size_class

FEWEST = 90
SMALLEST, SMALLEST_SHARE = 30, 0.03
NULL_DRAWS, BOOTSTRAPS = 20, 50
STARTS, STARTS_AGAIN = 20, 5
LARGEST_SAMPLE = 2000
FAR = 3.0
DRIVERS = 5
KIND = ["revenue", "frequency", "breadth", "employees"]
COUNTED = ["revenue", "frequency", "breadth", "employees", "order_size", "overdue"]
REST = "*"
KEPT = 0.5


@dataclass(frozen=True)
class Segments:
    """Segments of the accounts.

    Attributes
    ----------
    label
        account_id -> segment. Clusters are S1, S2, ... by falling median revenue, or as they were
        called last quarter; rules are industry/size/class with * for the rest.
    mode
        clusters (more than chance) or rules (industry, size and ABC class instead).
    selection
        One row for each number of segments tried: k, silhouette, null_mean, null_sd, z,
        min_jaccard, mean_jaccard, bic, smallest, admissible, chosen. The row of k = 1 holds only
        the bic.
    profile
        Indexed by segment: n (customers), revenue, share_of_revenue, median_revenue and the medians
        of all else that customers are compared by, top_industry, jaccard (NaN for rules), drivers
        (what sets it apart, like "revenue:+1.8|frequency:+1.2": difference of its mean to that of
        the others in standard deviations, the 5 greatest), name (label and industry).
    bic_agrees
        Whether a second method, mixtures judged by BIC, also sees one group or more than one.
    """

    label: pd.Series
    mode: str
    selection: pd.DataFrame
    profile: pd.DataFrame
    bic_agrees: bool = True


SELECTION = [
    "k", "silhouette", "null_mean", "null_sd", "z", "min_jaccard", "mean_jaccard", "bic",
    "smallest", "admissible", "chosen",
]  # fmt: skip


def find_segments(market: Market, settings: Settings, last: pd.Series | None = None) -> Segments:
    """Look for natural segments among the customers; say so if there are none.

    Parameters
    ----------
    market
        Customers with revenue; they are compared by revenue and employees and, if sales are given,
        by purchases a year and by how many product lines they share them among.
    settings
        `customers.segments_max`, `customers.segment_z`, `customers.segment_jaccard`; `seed`.
    last
        account_id -> segment of last quarter. A segment that keeps at least half of the customers
        of an old one keeps its label; any other gets a label that was not used.

    Returns
    -------
    Segments
        Accounts that buy nothing are put with the customers most like them by size and industry.

    Notes
    -----
    k-means for each k is compared with the same on Gaussian clouds of the same variances along the
    principal axes. A k is admissible if its silhouette lies `segment_z` standard deviations above
    theirs, if every cluster is found again in resampled data (mean Jaccard of at least
    `segment_jaccard`, Hennig [1]_) and if none is smaller than 30 customers or 3% of them. The
    admissible k with the largest z is chosen. Silhouette alone finds segments in any data.

    Order size, growth and lateness describe segments and do not make them: the first is revenue
    over frequency, the others pass, and a customer does not change its kind by being late once. Nor
    does it when a rep moves house, so distances are left out. An unknown value counts as the
    median. Without segments, industry, size and ABC class make groups,
    of which none is smaller than 30 customers or 3% of them: what is smaller loses its class, then
    its size, then its industry.

    References
    ----------
    .. [1] Hennig, C. (2007). Cluster-wise assessment of cluster stability. Computational Statistics
       and Data Analysis 52(1). doi:10.1016/j.csda.2006.11.025
    """
    accounts = market.accounts.sort_index()
    customers = accounts[accounts["revenue"] > 0]
    raw = _features(market, settings, customers)
    selection, best, agrees = pd.DataFrame(columns=SELECTION), None, True
    jaccard: dict[int, float] = {}
    kind = raw[raw.columns.intersection(KIND)]
    if len(customers) >= FEWEST and len(kind.columns):
        import sklearn.cluster  # slow to import
        import sklearn.mixture  # noqa: F401
        from threadpoolctl import threadpool_limits  # comes with scikit-learn

        x = _scaled(kind).to_numpy(float)
        # One thread: small problems lose by sharing, and sums come out the same everywhere. Only
        # what is imported by now is held to it; else a call takes minutes on a busy machine.
        with threadpool_limits(1):
            selection, best, jaccard = _select(x, settings)
        agrees = (selection.loc[selection["bic"].idxmin(), "k"] == 1) == (best is None)
    if best is None:
        label = _by_rules(accounts, customers, settings)
        profile = _profile(accounts, label, raw)
        return Segments(label, "rules", selection, profile, agrees)
    names = _names(pd.Series(best, index=customers.index), customers["revenue"], last)
    label = _spread(accounts, pd.Series(best, index=customers.index).map(names))
    stable = {names[cluster]: value for cluster, value in jaccard.items()}
    profile = _profile(accounts, label, raw, stable)
    return Segments(label, "clusters", selection, profile, agrees)


def _features(market: Market, settings: Settings, customers: pd.DataFrame) -> pd.DataFrame:
    """What customers are compared by, in its own units; NaN where unknown."""
    table = pd.DataFrame({"revenue": customers["revenue"]}, index=customers.index)
    table["employees"] = customers["employees"].astype(float)
    months = settings.customers.rfm_months
    sales = purchases(market, months)
    bought = sales[sales["amount"] > 0]
    if len(bought) and market.as_of is not None:
        orders = bought.groupby(["account_id", "date"])["amount"].sum()
        first = market.sales.groupby("account_id")["date"].min()
        start = market.as_of - pd.DateOffset(months=months)
        # A customer of half a year is compared by its rhythm, not by what it had no time to buy.
        years = (market.as_of - first.clip(lower=start)).dt.days.clip(lower=90) / 365.25
        table["frequency"] = orders.groupby("account_id").size() / years
        spent = bought.groupby(["account_id", "product_line"])["amount"].sum()
        share = spent / spent.groupby("account_id").transform("sum")
        table["breadth"] = 1 / (share**2).groupby("account_id").sum()
        table["order_size"] = orders.groupby("account_id").median()
        middle = market.as_of - pd.DateOffset(years=1)
        recent = sales["date"] > middle
        now = sales[recent].groupby("account_id")["amount"].sum().reindex(table.index)
        was = sales[~recent & (sales["date"] > market.as_of - pd.DateOffset(years=2))]
        was = was.groupby("account_id")["amount"].sum().reindex(table.index)
        whole = first.reindex(table.index) <= market.as_of - pd.DateOffset(months=23)
        table["growth"] = (now / was - 1).where(whole & (was > 0) & (now > 0))
        table["overdue"] = rfm(market, settings)["overdue_ratio"].reindex(table.index)
    known = table.notna().mean() >= 0.5  # noqa: PLR2004
    return table.loc[:, known & (table.max() > table.min())]


def _scaled(raw: pd.DataFrame) -> pd.DataFrame:
    """Features on one scale: logarithms of money and counts, what lies far out pulled in."""
    from sklearn.pipeline import make_pipeline  # slow to import
    from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler

    x = raw.fillna(raw.median())
    counted = x.columns.intersection(COUNTED)
    x[counted] = np.log1p(x[counted])
    if "growth" in x:
        x["growth"] = np.log1p(x["growth"])
    near = FunctionTransformer(lambda v: np.clip(v, -FAR, FAR))
    # Quartiles of growth are close together; without equal variances it would outweigh all else.
    scale = make_pipeline(RobustScaler(), near, StandardScaler())
    return pd.DataFrame(scale.fit_transform(x), index=x.index, columns=x.columns)


def _select(
    x: NDArray[np.float64], settings: Settings
) -> tuple[pd.DataFrame, NDArray[np.int64] | None, dict[int, float]]:
    """Try every k; return the table, the labels of the one chosen and how stable they are."""
    from sklearn.cluster import KMeans  # slow to import
    from sklearn.metrics import silhouette_score

    asked, seed = settings.customers, settings.seed
    rng = np.random.default_rng(seed)
    every = x
    if len(x) > LARGEST_SAMPLE:
        x = x[np.sort(rng.choice(len(x), LARGEST_SAMPLE, replace=False))]
    center = x.mean(axis=0)
    _, size, axes = np.linalg.svd(x - center, full_matrices=False)
    spread = size / np.sqrt(len(x))
    clouds = [rng.normal(size=x.shape) * spread @ axes for _ in range(NULL_DRAWS)]
    samples = [rng.integers(0, len(x), len(x)) for _ in range(BOOTSTRAPS)]
    along = (x - center) @ axes.T
    rows: list[dict[str, float]] = [{"k": 1, "bic": _bic(along, 1, seed)}]
    models, stable = {}, {}
    for k in range(2, min(asked.segments_max, len(x) - 1) + 1):
        models[k] = KMeans(k, n_init=STARTS, random_state=seed).fit(x)
        label = models[k].labels_
        null = [
            silhouette_score(c, KMeans(k, n_init=STARTS_AGAIN, random_state=seed).fit_predict(c))
            for c in clouds
        ]
        stable[k] = _jaccard(x, label, samples, seed)
        real, sd = float(silhouette_score(x, label)), float(np.std(null)) + 1e-9
        rows.append(
            {
                "k": k,
                "silhouette": real,
                "null_mean": float(np.mean(null)),
                "null_sd": sd,
                "z": (real - float(np.mean(null))) / sd,
                "min_jaccard": float(stable[k].min()),
                "mean_jaccard": float(stable[k].mean()),
                "bic": _bic(along, k, seed),
                "smallest": int(np.bincount(models[k].predict(every)).min()),
            }
        )
    table = pd.DataFrame(rows).reindex(columns=SELECTION)
    table["admissible"] = (
        (table["z"] >= asked.segment_z)
        & (table["min_jaccard"] >= asked.segment_jaccard)
        & (table["smallest"] >= _floor(len(every)))
    )
    table["chosen"] = False
    if not table["admissible"].any():
        return table, None, {}
    at = table.loc[table["admissible"], "z"].idxmax()
    table.loc[at, "chosen"] = True
    best = int(table.loc[at, "k"])
    found = models[best].predict(every).astype(np.int64)
    return table, found, {i: float(v) for i, v in enumerate(stable[best])}


def _floor(n: int) -> int:
    """Fewest customers that make a segment of n."""
    return max(SMALLEST, int(np.ceil(SMALLEST_SHARE * n)))


def _jaccard(
    x: NDArray[np.float64],
    label: NDArray[np.int32],
    samples: list[NDArray[np.int64]],
    seed: int,
) -> NDArray[np.float64]:
    """How well each cluster is found again in resampled data: mean of the best Jaccard index."""
    from sklearn.cluster import KMeans  # slow to import

    k = int(label.max()) + 1
    found = np.zeros((len(samples), k))
    for b, sample in enumerate(samples):
        again = KMeans(k, n_init=STARTS_AGAIN, random_state=seed).fit_predict(x[sample])
        there, where = np.unique(sample, return_index=True)
        both = np.zeros((k, k))
        np.add.at(both, (label[there], again[where]), 1)
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
        found[b] = (both / np.maximum(either, 1)).max(axis=1)
    return found.mean(axis=0)


def _bic(along: NDArray[np.float64], k: int, seed: int) -> float:
    from sklearn.mixture import GaussianMixture  # slow to import

    # Along the principal axes, or one cloud of correlated features would look like several.
    model = GaussianMixture(k, covariance_type="diag", random_state=seed, reg_covar=1e-2, n_init=3)
    return float(model.fit(along).bic(along))


def _names(cluster: pd.Series, revenue: pd.Series, last: pd.Series | None = None) -> dict[int, str]:
    """Call clusters what most of their customers were called, else by falling median revenue."""
    order = revenue.groupby(cluster).median().sort_values(ascending=False, kind="stable").index
    used = pd.Series(dtype=object) if last is None else last.dropna().astype(str)
    used = used[used.str.fullmatch(r"S[0-9]+")]
    old = used.reindex(cluster.index).dropna()
    kept: dict[int, str] = {}
    if len(old):
        both = pd.crosstab(cluster[old.index], old)
        # Less than half of an old segment is none of it, and must not win a label from another.
        most = both.where(both / both.sum() >= KEPT, 0)
        for i, j in zip(*linear_sum_assignment(most, maximize=True), strict=True):
            if most.iloc[i, j] > 0:
                kept[int(both.index[i])] = str(both.columns[j])
    number = max((int(name[1:]) for name in used.unique()), default=0)
    for one in order:
        if one not in kept:
            number += 1
            kept[int(one)] = f"S{number}"
    return kept


def _by_rules(accounts: pd.DataFrame, customers: pd.DataFrame, settings: Settings) -> pd.Series:
    """Group by industry, size and ABC class, the small groups by less until none is too small."""
    of_customers = len(customers) >= SMALLEST
    rows = customers if of_customers else accounts
    cell = pd.DataFrame({"industry": rows["industry"], "size": size_class(rows["employees"])})
    asked = settings.customers
    cell["abc"] = abc(rows["revenue"], asked.abc_a, asked.abc_b) if of_customers else REST
    cell = cell.mask(cell.isin(["", "unknown"]), REST)
    floor = _floor(len(rows))
    for field in ("abc", "size", "industry"):
        few = cell.groupby(["industry", "size", "abc"])["abc"].transform("size") < floor
        cell.loc[few, field] = REST
    name = cell.agg("/".join, axis=1) if len(cell) else pd.Series("", index=cell.index)
    sizes = name.value_counts().sort_index(ascending=False)
    rest = "/".join([REST] * 3)
    if 0 < sizes.get(rest, 0) < floor and len(sizes) > 1:
        name = name.replace(sizes.drop(rest).idxmin(), rest)
    return _spread(accounts, name) if of_customers else name


def _spread(accounts: pd.DataFrame, of_customer: pd.Series) -> pd.Series:
    """Put accounts that do not buy with the customers of nearest size, first of their own industry."""
    label = of_customer.reindex(accounts.index)
    size = np.log1p(accounts["employees"].fillna(accounts["employees"].median())).fillna(0.0)
    known = accounts.loc[of_customer.index]
    far = 1 + float(size.max() - size.min())
    their_size, their_industry = size[known.index].to_numpy(), known["industry"].to_numpy()
    for industry, rows in accounts[label.isna()].groupby("industry"):
        away = np.abs(size[rows.index].to_numpy()[:, None] - their_size[None])
        away = away + far * (their_industry != industry)[None]
        near = np.argsort(away, axis=1, kind="stable")[:, :9]
        votes = of_customer.to_numpy()[near]
        label.loc[rows.index] = [pd.Series(v).value_counts().sort_index().idxmax() for v in votes]
    return label.astype(str)


def _profile(
    accounts: pd.DataFrame,
    label: pd.Series,
    raw: pd.DataFrame,
    jaccard: dict[str, float] | None = None,
) -> pd.DataFrame:
    rows = accounts.assign(segment=label)
    buying = rows[rows["revenue"] > 0]
    if buying.empty:
        buying = rows
    by = buying.groupby("segment")
    table = pd.DataFrame({"n": by.size(), "revenue": by["revenue"].sum()})
    table["share_of_revenue"] = table["revenue"] / max(float(buying["revenue"].sum()), 1e-9)
    table["median_revenue"] = by["revenue"].median()
    for feature in raw.columns.drop("revenue", errors="ignore"):
        table[f"median_{feature}"] = raw[feature].groupby(label[raw.index]).median()
    table["top_industry"] = by["industry"].agg(lambda s: s.value_counts().sort_index().idxmax())
    table["jaccard"] = pd.Series(jaccard or {}, dtype=float)
    table["drivers"] = _drivers(raw, label).reindex(table.index).fillna("")
    table["name"] = [
        f"{s}: {i}" if i and re.fullmatch(r"S[0-9]+", str(s)) else str(s)
        for s, i in zip(table.index, table["top_industry"], strict=True)
    ]
    return table


def _drivers(raw: pd.DataFrame, label: pd.Series) -> pd.Series:
    """What sets each segment apart from the others, the greatest difference first."""
    names = sorted(set(label[raw.index]))
    if len(names) < 2 or not len(raw.columns):  # noqa: PLR2004
        return pd.Series("", index=names, dtype=object)
    x, said = _scaled(raw), {}
    for name in names:
        inside = label[x.index] == name
        spread = np.sqrt((x[inside].var(ddof=0) + x[~inside].var(ddof=0)) / 2).clip(lower=1e-9)
        apart = ((x[inside].mean() - x[~inside].mean()) / spread).sort_index().round(2)
        first = apart.abs().sort_values(ascending=False, kind="stable").index[:DRIVERS]
        said[name] = "|".join(f"{feature}:{apart[feature]:+.1f}" for feature in first)
    return pd.Series(said, dtype=object)
