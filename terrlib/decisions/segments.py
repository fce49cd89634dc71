"""Groups of similar customers, only where there are some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import size_class

FEWEST = 90
SMALLEST, SMALLEST_SHARE = 30, 0.03
NULL_DRAWS = 12


@dataclass(frozen=True)
class Segments:
    """Segments of the accounts.

    Attributes
    ----------
    label
        account_id -> segment: S1, S2, ... by falling revenue, or a size class.
    mode
        clusters (more than chance) or rules (size classes instead).
    selection
        k, silhouette, null_mean, null_sd, z, smallest, chosen: every number of segments tried.
    profile
        Indexed by segment: name, n (customers), share_of_revenue, median_revenue, top_industry.
    """

    label: pd.Series
    mode: str
    selection: pd.DataFrame
    profile: pd.DataFrame


def find_segments(market: Market, settings: Settings) -> Segments:
    """Look for natural segments among the customers; say so if there are none.

    Parameters
    ----------
    market
        Customers with revenue; their sales, if given, add order frequency and breadth.
    settings
        `customers.segments_max`, `customers.segment_z`; `seed`.

    Returns
    -------
    Segments
        Accounts that buy nothing are put with the customers most like them by size and industry.

    Notes
    -----
    k-means for each k is compared with the same on Gaussian clouds of the same variances: a k
    counts
    only if its silhouette lies `segment_z` standard deviations above theirs and no segment is tiny.
    Silhouette alone finds segments in any data.
    """
    accounts = market.accounts
    buying = accounts["revenue"] > 0
    features = _features(market, accounts[buying])
    selection = pd.DataFrame(
        columns=["k", "silhouette", "null_mean", "null_sd", "z", "smallest", "chosen"]
    )
    if len(features) >= FEWEST:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn

        # One thread: small problems lose by sharing, and sums come out the same everywhere.
        with threadpool_limits(1):
            selection, best = _select(features.to_numpy(float), settings)
        if best is not None:
            label = _spread(accounts, _named(best, accounts.loc[buying, "revenue"]))
            return Segments(label, "clusters", selection, _profile(accounts, label))
    label = size_class(accounts["employees"])
    return Segments(label, "rules", selection, _profile(accounts, label))


def _features(market: Market, customers: pd.DataFrame) -> pd.DataFrame:
    """What customers are compared by, on robust scales."""
    table = pd.DataFrame(index=customers.index)
    table["revenue"] = np.log1p(customers["revenue"].clip(lower=0))
    if market.has("sales"):
        by = market.sales.groupby("account_id")
        months = by["date"].agg(lambda d: d.dt.to_period("M").nunique())
        table["frequency"] = np.log1p(months.reindex(table.index).fillna(0))
        table["breadth"] = by["product_line"].nunique().reindex(table.index).fillna(0)
    size = customers["employees"]
    table["employees"] = np.log1p(size.fillna(size.median() if size.notna().any() else 0.0))
    spread = table.quantile(0.75) - table.quantile(0.25)
    useful = table.columns[spread > 0]
    return (table[useful] - table[useful].median()) / spread[useful]


def _select(
    x: NDArray[np.float64], settings: Settings
) -> tuple[pd.DataFrame, NDArray[np.int64] | None]:
    from sklearn.cluster import KMeans  # slow to import
    from sklearn.metrics import silhouette_score

    rng = np.random.default_rng(settings.seed)
    center = x - x.mean(axis=0)
    _, size, axes = np.linalg.svd(center, full_matrices=False)
    clouds = [rng.normal(size=x.shape) * (size / np.sqrt(len(x))) @ axes for _ in range(NULL_DRAWS)]
    rows, labels = [], {}
    for k in range(2, settings.customers.segments_max + 1):
        labels[k] = KMeans(k, n_init=10, random_state=settings.seed).fit_predict(x)
        real = silhouette_score(x, labels[k])
        null = [
            silhouette_score(c, KMeans(k, n_init=1, random_state=settings.seed).fit_predict(c))
            for c in clouds
        ]
        sd = float(np.std(null)) + 1e-9
        smallest = int(np.bincount(labels[k]).min())
        rows.append((k, real, float(np.mean(null)), sd, (real - np.mean(null)) / sd, smallest))
    table = pd.DataFrame(rows, columns=["k", "silhouette", "null_mean", "null_sd", "z", "smallest"])
    fit = (table["z"] >= settings.customers.segment_z) & (
        table["smallest"] >= max(SMALLEST, SMALLEST_SHARE * len(x))
    )
    if not fit.any():
        return table.assign(chosen=False), None
    best = int(table.loc[table.loc[fit, "z"].idxmax(), "k"])
    return table.assign(chosen=table["k"] == best), labels[best]


def _named(cluster: NDArray[np.int64], revenue: pd.Series) -> pd.Series:
    """Name clusters S1, S2, ... by falling median revenue, so that names last."""
    raw = pd.Series(cluster, index=revenue.index)
    order = revenue.groupby(raw).median().sort_values(ascending=False, kind="stable").index
    return raw.map({c: f"S{i + 1}" for i, c in enumerate(order)})


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


def _profile(accounts: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
    rows = accounts.assign(segment=label)
    buying = rows[rows["revenue"] > 0]
    if buying.empty:
        buying = rows
    by = buying.groupby("segment")
    table = pd.DataFrame(
        {
            "n": by.size(),
            "share_of_revenue": by["revenue"].sum() / max(float(buying["revenue"].sum()), 1e-9),
            "median_revenue": by["revenue"].median(),
            "top_industry": by["industry"].agg(lambda s: s.value_counts().sort_index().idxmax()),
        }
    )
    table["name"] = [
        f"{s}: {i}" if i else str(s)
        for s, i in zip(table.index, table["top_industry"], strict=True)
    ]
    return table
