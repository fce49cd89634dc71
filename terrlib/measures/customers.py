"""Who buys how much: ABC classes, concentration, size of firms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.inputs.units import SIZES

TIERS = ((0.50, "A"), (0.80, "B"), (0.95, "C"))


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


def concentration(revenue: pd.Series) -> dict[str, float]:
    """Measure how much of the revenue a few customers hold.

    Parameters
    ----------
    revenue
        Money of each customer, > 0.

    Returns
    -------
    dict
        top1_share, top5_share, top20_share (of the top fifth of customers), effective_number
        (1 / sum of squared shares, Hirschman-Herfindahl), gini.

    Examples
    --------
    >>> found = concentration(pd.Series([4.0, 2.0, 2.0, 1.0, 1.0]))
    >>> found["top1_share"], found["top20_share"], round(found["effective_number"], 2)
    (0.4, 0.4, 3.85)
    """
    share = np.sort(revenue.to_numpy(dtype=float))[::-1] / revenue.sum()
    n = len(share)
    return {
        "top1_share": float(share[0]),
        "top5_share": float(share[: max(1, round(n * 0.05))].sum()),
        "top20_share": float(share[: max(1, round(n * 0.20))].sum()),
        "effective_number": float(1 / (share**2).sum()),
        "gini": gini(revenue),
    }


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
