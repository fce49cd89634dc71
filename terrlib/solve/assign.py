"""Who takes what: the cheapest one-to-one assignment, exactly, with places that may stay empty.

    minimise  sum c_ij x_ij + sum v_i y_i   subject to  sum_j x_ij + y_i = 1,  sum_i x_ij <= 1

Solved as a linear assignment problem (Crouse 2016) in which every row has an empty place of its
own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

EMPTY = -1
TIE = 1e-9


def assign(
    cost: NDArray[np.float64],
    forbidden: NDArray[np.bool_] | None = None,
    empty: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], float]:
    """Give each row at most one column, each column at most one row, at the least cost.

    Parameters
    ----------
    cost
        (n, m) cost of giving column j to row i.
    forbidden
        (n, m) pairs that may not be; none where None.
    empty
        (n,) cost of leaving a row empty; as good as forbidden where None.

    Returns
    -------
    (n,) column of each row (-1 where empty), total cost
        Of equally good answers always the same one: the lowest columns for the first rows.

    Examples
    --------
    >>> columns, total = assign(np.array([[4.0, 1, 3], [2, 0, 5], [3, 2, 2]]))
    >>> columns.tolist(), total
    ([1, 0, 2], 5.0)
    """
    n, m = cost.shape
    if not n:
        return np.zeros(0, dtype=np.int64), 0.0
    size = float(np.abs(cost).max(initial=0.0))
    wall = (size + 1.0) * (n + m) * 4
    leave = np.full(n, wall) if empty is None else empty
    wall = max(wall, float(np.abs(leave).max()) * 4 * (n + 1))
    full = np.full((n, m + n), wall * 2)
    full[:, :m] = cost if forbidden is None else np.where(forbidden, wall, cost)
    full[np.arange(n), m + np.arange(n)] = leave
    # A hair's breadth for the position makes the answer unique where costs tie.
    hair = TIE * max(size, 1.0) / (n * (m + n))
    row, column = np.arange(n)[:, None], np.arange(m + n)[None]
    _, chosen = linear_sum_assignment(full + hair * (n - row) * column / (m + n))
    picked = np.where(chosen < m, chosen, EMPTY)
    if forbidden is not None:
        held = np.flatnonzero(picked != EMPTY)
        banned = held[forbidden[held, picked[held]]]
        picked[banned] = EMPTY
    held = picked != EMPTY
    total = float(cost[held, picked[held]].sum())
    total += float(leave[~held].sum()) if empty is not None else 0.0
    return picked.astype(np.int64), total


def regret(
    cost: NDArray[np.float64],
    forbidden: NDArray[np.bool_],
    empty: NDArray[np.float64],
    chosen: NDArray[np.int64],
    total: float,
) -> NDArray[np.float64]:
    """Extra cost of the best answer in which a row may not have the column it has, (n,) >= 0.

    Examples
    --------
    >>> cost = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> none, empty = np.zeros((2, 2), dtype=bool), np.full(2, 9.0)
    >>> regret(cost, none, empty, *assign(cost, none, empty)).tolist()
    [2.0, 2.0]
    """
    extra = np.zeros(len(chosen))
    for i in np.flatnonzero(chosen != EMPTY):
        banned = forbidden.copy()
        banned[i, chosen[i]] = True
        extra[i] = max(0.0, assign(cost, banned, empty)[1] - total)
    return extra
