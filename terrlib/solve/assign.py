"""Who takes what: the cheapest one-to-one assignment, exactly, with places that may stay empty.

    minimise  sum c_ij x_ij + sum v_i y_i   subject to  sum_j x_ij + y_i = 1,  sum_i x_ij <= 1

Solved as a linear assignment problem (Crouse 2016) in which every row has an empty place of its
own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp

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


def assign_many(
    cost: NDArray[np.float64],
    forbidden: NDArray[np.bool_],
    empty: NDArray[np.float64],
    hours: NDArray[np.float64],
    limit: NDArray[np.float64],
    most: NDArray[np.int64],
) -> tuple[NDArray[np.int64], float]:
    """Give each row at most one column; a column may have several rows, within hours and a number.

        minimise  sum c_ij x_ij + sum v_i y_i   subject to  sum_j x_ij + y_i = 1,
        sum_i h_ij x_ij <= limit_j,  sum_i x_ij <= most_j,  x, y binary

    Parameters
    ----------
    cost, forbidden, empty
        As for `assign`.
    hours, limit
        (n, m) hours that row i takes of column j, (m,) hours there are.
    most
        (m,) rows that a column may have.

    Returns
    -------
    (n,) column of each row (-1 where empty), total cost
        Proven to be the least by HiGHS (branch and bound).

    Examples
    --------
    >>> cost, none = np.array([[1.0, 5.0], [1.0, 5.0]]), np.zeros((2, 2), dtype=bool)
    >>> hours, empty = np.full((2, 2), 10.0), np.full(2, 99.0)
    >>> assign_many(cost, none, empty, hours, np.array([20.0, 20.0]), np.array([2, 1]))[0].tolist()
    [0, 0]
    >>> assign_many(cost, none, empty, hours, np.array([15.0, 20.0]), np.array([2, 1]))[0].tolist()
    [0, 1]
    """
    n, m = cost.shape
    if not n:
        return np.zeros(0, dtype=np.int64), 0.0
    place = np.arange(n * m).reshape(n, m)
    one = sparse.lil_matrix((n, n * m + n))
    for i in range(n):
        one[i, place[i]] = 1.0
        one[i, n * m + i] = 1.0
    room = sparse.lil_matrix((m, n * m + n))
    count = sparse.lil_matrix((m, n * m + n))
    for j in range(m):
        room[j, place[:, j]] = hours[:, j]
        count[j, place[:, j]] = 1.0
    size = max(float(np.abs(cost).max(initial=0.0)), float(np.abs(empty).max()), 1.0)
    hair = TIE * (n - np.arange(n))[:, None] * np.arange(m)[None] / (n * m * m)
    found = milp(
        np.concatenate([(cost / size + hair).ravel(), empty / size]),
        constraints=[
            LinearConstraint(one.tocsr(), 1, 1),
            LinearConstraint(room.tocsr(), -np.inf, limit),
            LinearConstraint(count.tocsr(), -np.inf, most),
        ],
        integrality=np.ones(n * m + n),
        bounds=Bounds(0, np.concatenate([(~forbidden).astype(float).ravel(), np.ones(n)])),
        options={"mip_rel_gap": 0.0},
    )
    x = np.round(found.x[: n * m].reshape(n, m))
    picked = np.where(x.any(axis=1), x.argmax(axis=1), EMPTY)
    held = picked != EMPTY
    total = float(cost[held, picked[held]].sum() + empty[~held].sum())
    return picked.astype(np.int64), total


def regret(
    solve: Callable[[NDArray[np.bool_]], tuple[NDArray[np.int64], float]],
    forbidden: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    total: float,
) -> NDArray[np.float64]:
    """Extra cost of the best answer in which a row may not have the column it has, (n,) >= 0.

    Parameters
    ----------
    solve
        Forbidden pairs -> column of each row, total cost.
    forbidden
        (n, m) pairs that may not be anyway.
    chosen, total
        What `solve` says of them.

    Examples
    --------
    >>> cost = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> none, empty = np.zeros((2, 2), dtype=bool), np.full(2, 9.0)
    >>> regret(lambda f: assign(cost, f, empty), none, *assign(cost, none, empty)).tolist()
    [2.0, 2.0]
    """
    extra = np.zeros(len(chosen))
    for i in np.flatnonzero(chosen != EMPTY):
        banned = forbidden.copy()
        banned[i, chosen[i]] = True
        extra[i] = max(0.0, solve(banned)[1] - total)
    return extra
