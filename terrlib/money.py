"""Exact amounts: money is counted in whole minor units (grosze, cents) and split without loss."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from terrlib.errors import DataError


def to_minor(amount: pd.Series) -> pd.Series:
    """Turn amounts of currency into whole minor units.

    Parameters
    ----------
    amount
        Amounts in currency; blanks count as 0.

    Returns
    -------
    Series of int64, same index
        Minor units, halves rounded to even.

    Examples
    --------
    >>> to_minor(pd.Series([1.25, None, 0.1])).tolist()
    [125, 0, 10]
    """
    return (amount.astype(float).fillna(0.0) * 100).round().astype("int64")


def split_exact(
    total: int, weights: Sequence[float], keys: Sequence[str] | None = None, step: int = 1
) -> list[int]:
    """Split a total by weights so that the parts add up to it, to the last grosz.

    Each part is first its exact share rounded down to a whole step; the steps left over go to the
    largest remainders, ties to the larger weight and then to the earlier key (Hamilton's method of
    largest remainders). What is left of `total` below one step goes to the largest weight.

    Parameters
    ----------
    total
        Amount to split, in minor units; negative totals are split like their opposite.
    weights
        One weight >= 0 for each part; all zero means equal parts.
    keys
        Names of the parts, used only to break ties; the position where not given.
    step
        Parts are multiples of this many minor units, but for one that takes the remainder.

    Returns
    -------
    list of int
        One part for each weight; their sum is `total`.

    Raises
    ------
    DataError
        If there are no parts, or a weight is negative or not a number.

    Examples
    --------
    >>> split_exact(100000001, [1, 1, 1])
    [33333334, 33333334, 33333333]
    >>> split_exact(1000, [0.3333, 0.3333, 0.3334], step=100)
    [300, 300, 400]
    """
    share = np.asarray(weights, dtype=float)
    if not share.size or not np.isfinite(share).all() or (share < 0).any():
        raise DataError("refusal.weights_below_zero", weights=str(share[:5].tolist()))
    if total < 0:
        return [-part for part in split_exact(-total, weights, keys, step)]
    if not share.any():
        share = np.ones_like(share)
    # Exact fractions: floats would hand a grosz to the wrong part when totals are large.
    exact = [Fraction(float(w)) for w in share]
    whole, rest = divmod(int(total), step)
    scale = Fraction(whole) / sum(exact)
    quota = [w * scale for w in exact]
    parts = [int(q) for q in quota]
    names = list(keys) if keys is not None else [f"{i:012d}" for i in range(len(exact))]
    order = sorted(
        range(len(exact)), key=lambda i: (-(quota[i] - parts[i]), -exact[i], str(names[i]))
    )
    for i in order[: whole - sum(parts)]:
        parts[i] += 1
    parts = [part * step for part in parts]
    if rest:
        parts[min(range(len(exact)), key=lambda i: (-exact[i], str(names[i])))] += rest
    return parts
