"""What an account could buy, from us or anybody, and what of it we do not sell yet."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.inputs.settings import Settings

FEWEST_CUSTOMERS = 40
SHRINK = 20.0


def account_potential(facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Estimate the realistic wallet of every account.

    A given potential wins; then a high quantile of what similar customers buy, by regression on
    their size where enough is known, else by cells of segment and size; else what they buy today.

    Parameters
    ----------
    facts
        Indexed by account_id: status, revenue, potential (given, NaN where not), employees,
        segment, size_class.
    settings
        `customers.potential_quantile`.

    Returns
    -------
    DataFrame, same index
        potential       money a year, never less than the revenue           currency
        potential_low, potential_high   range; equal to it where given      currency
        potential_src   given, quantile, cell or revenue
        white_space     potential less revenue, >= 0                        currency

    Notes
    -----
    The wallet as a high conditional quantile follows Perlich, Rosset, Lawrence and Zadrozny (2007).
    Its level depends on the quantile: it ranks accounts better than it measures them.
    """
    tau = settings.customers.potential_quantile
    buying = (facts["revenue"] > 0) & (facts["status"] != "lost")
    given = facts["potential"].notna()
    out = pd.DataFrame(index=facts.index)
    levels = (max(0.5, 2 * tau - 0.9), tau, min(0.95, tau + 0.1))
    if (buying & facts["employees"].gt(0)).sum() >= FEWEST_CUSTOMERS:
        low, mid, high = _by_regression(facts, buying, levels)
        src = np.where(facts["employees"].gt(0), "quantile", "cell")
        cells = _by_cells(facts, buying, levels)
        low, mid, high = (
            np.where(src == "quantile", a, b) for a, b in zip((low, mid, high), cells, strict=True)
        )
    elif buying.sum() >= 1 and facts["segment"].nunique() + facts["size_class"].nunique() > 2:  # noqa: PLR2004
        low, mid, high = _by_cells(facts, buying, levels)
        src = np.full(len(facts), "cell")
    else:
        low = mid = high = np.zeros(len(facts))
        src = np.full(len(facts), "revenue")
    revenue = facts["revenue"].clip(lower=0).to_numpy(float)
    told = facts["potential"].fillna(0.0).to_numpy(float)
    mid = np.maximum(np.where(given, told, mid), revenue)
    out["potential"] = mid
    out["potential_low"] = np.minimum(np.maximum(np.where(given, told, low), revenue), mid)
    out["potential_high"] = np.maximum(np.where(given, told, high), mid)
    out["potential_src"] = np.where(
        given, "given", np.where((mid <= revenue) & (src == "revenue"), "revenue", src)
    )
    out["white_space"] = out["potential"] - revenue
    return out


def _by_regression(
    facts: pd.DataFrame, buying: pd.Series, levels: tuple[float, ...]
) -> list[NDArray[np.float64]]:
    from sklearn.linear_model import QuantileRegressor  # slow to import

    size = np.log(facts["employees"].clip(lower=1).fillna(1.0)).to_numpy(float)
    common = facts.loc[buying, "segment"].value_counts()
    names = sorted(common.index[common >= SHRINK])[1:]
    features = np.column_stack([size, *[(facts["segment"] == n).to_numpy(float) for n in names]])
    known = (buying & facts["employees"].gt(0)).to_numpy()
    y = np.log(facts["revenue"].clip(lower=1).to_numpy(float))
    found = []
    for level in levels:
        model = QuantileRegressor(quantile=level, alpha=0, solver="highs")
        model.fit(features[known], y[known])
        found.append(np.exp(model.predict(features)))
    return found


def _by_cells(
    facts: pd.DataFrame, buying: pd.Series, levels: tuple[float, ...]
) -> list[NDArray[np.float64]]:
    """Quantile of a cell of segment and size, shrunk to the whole base by n / (n + 20)."""
    cell = facts["segment"].astype(str) + "/" + facts["size_class"].astype(str)
    grouped = facts.loc[buying, "revenue"].groupby(cell[buying])
    n = cell.map(grouped.size()).fillna(0.0).to_numpy(float)
    found = []
    for level in levels:
        base = float(facts.loc[buying, "revenue"].quantile(level))
        own = cell.map(grouped.quantile(level)).fillna(base).to_numpy(float)
        found.append((n * own + SHRINK * base) / (n + SHRINK))
    return found
