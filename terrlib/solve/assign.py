"""Who takes what: one taker for each thing, at the least total cost, and always the same answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, maximum_bipartite_matching

VACANT = -1


@dataclass(frozen=True)
class Assignment:
    """The cheapest way to give each row one column.

    Attributes
    ----------
    column
        (n,) column of each row, VACANT (-1) where it has none.
    cost
        Total cost, of vacant rows and idle columns too; infinity if there is no assignment.
    blocked
        Rows that cannot all have a column, in order. Where vacancies are allowed, the rows that no
        column may take; where not, a set of rows that together have fewer columns than rows.
        Empty if nothing stands in the way.
    """

    column: NDArray[np.int64]
    cost: float
    blocked: tuple[int, ...]


def assign(
    cost: NDArray[np.float64],
    forbidden: NDArray[np.bool_] | None = None,
    vacancy: NDArray[np.float64] | None = None,
    idle: NDArray[np.float64] | None = None,
) -> Assignment:
    """Give each row one column, each column at most one row, at the least total cost.

    Among the cheapest answers it returns the one whose first row has the lowest column, then the
    second row, and so on; vacant comes last. So the answer is unique.

    Parameters
    ----------
    cost
        (n, m) cost of giving row i column j; any finite numbers, any unit.
    forbidden
        (n, m) pairs that may not be used; none by default.
    vacancy
        (n,) cost of leaving a row without a column; by default no row may be left.
    idle
        (m,) cost of a column that nobody gets; 0 by default.

    Returns
    -------
    Assignment
        Exact: no other assignment costs less. Without any, all rows are VACANT at infinite cost
        and `blocked` says which rows are in each other's way.

    Notes
    -----
    A linear assignment problem [1]_ on the (n + m) x (n + m) matrix that has a vacancy for each row
    and an idle row for each column. All optimal assignments are the perfect matchings of the pairs
    whose reduced cost is 0; among them the first is found by alternating paths.

    References
    ----------
    .. [1] Crouse, D. F. (2016). On implementing 2D rectangular assignment algorithms. IEEE
       Transactions on Aerospace and Electronic Systems 52(4). doi:10.1109/TAES.2016.140952

    Examples
    --------
    >>> best = assign(np.array([[4.0, 1, 3], [2, 0, 5], [3, 2, 2]]))
    >>> best.column.tolist(), best.cost
    ([1, 0, 2], 5.0)
    """
    n, m = cost.shape
    barred = np.zeros((n, m), dtype=bool) if forbidden is None else forbidden
    square = _square(cost, barred, vacancy, idle)
    try:
        column = linear_sum_assignment(square)[1]
    except ValueError:  # scipy's word for: every assignment uses a forbidden pair
        return Assignment(np.full(n, VACANT), np.inf, _fewer_columns_than_rows(~barred))
    column = _first_of_equals(square, column, n)
    total = float(square[np.arange(n + m), column].sum())
    alone = np.flatnonzero(barred.all(axis=1))
    return Assignment(np.where(column[:n] < m, column[:n], VACANT), total, tuple(alone.tolist()))


def regret(
    best: Assignment,
    cost: NDArray[np.float64],
    forbidden: NDArray[np.bool_] | None = None,
    vacancy: NDArray[np.float64] | None = None,
    idle: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Price of forbidding each pair of the best assignment: a low one is safe to override.

    Parameters
    ----------
    best
        What `assign` returned for the other arguments.
    cost, forbidden, vacancy, idle
        As in `assign`.

    Returns
    -------
    (n,) array, >= 0
        Cost of the best assignment without this pair less the cost of the best; infinity if there
        is none without it; 0 for vacant rows.

    Examples
    --------
    >>> cost = np.array([[1.0, 5], [2, 9]])
    >>> regret(assign(cost), cost).tolist()
    [3.0, 3.0]
    """
    price = np.zeros(len(cost))
    barred = np.zeros(cost.shape, dtype=bool) if forbidden is None else forbidden
    for i in np.flatnonzero(best.column != VACANT):
        without = barred.copy()
        without[i, best.column[i]] = True
        square = _square(cost, without, vacancy, idle)
        try:
            second = square[linear_sum_assignment(square)].sum()
        except ValueError:
            second = np.inf
        price[i] = max(0.0, second - best.cost)
    return price


def choose(
    value: NDArray[np.float64],
    load: NDArray[np.float64],
    resource: NDArray[np.int64],
    capacity: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Choose one option for each row so that the total value is greatest within the capacities.

    Parameters
    ----------
    value
        (n, o) worth of option j for row i; -infinity where it does not exist. Option 0 must exist
        and use nothing, so that there is always an answer.
    load
        (n, o) how much of its resource an option uses; >= 0.
    resource
        (o,) which resource an option uses, -1 for none.
    capacity
        Most that each resource gives; infinity for no limit.

    Returns
    -------
    (n,) option of each row. Exact: a mixed-integer program solved by HiGHS without a gap.

    Examples
    --------
    Both rows want option 1, which has room for one of them:

    >>> value = np.array([[0.0, 5], [0, 7]])
    >>> choose(value, np.ones((2, 2)), np.array([-1, 0]), np.array([1.0])).tolist()
    [0, 1]
    """
    n, options = value.shape
    cells = np.flatnonzero(np.isfinite(value).ravel())
    row, option = np.divmod(cells, options)
    limited = [r for r in range(len(capacity)) if np.isfinite(capacity[r])]
    rules = [LinearConstraint(coo_array((np.ones(len(cells)), (row, np.arange(len(cells))))), 1, 1)]
    for r in limited:
        used = np.where(resource[option] == r, load.ravel()[cells], 0.0)
        rules.append(LinearConstraint(used[None, :], -np.inf, capacity[r]))
    found = milp(
        -value.ravel()[cells],
        integrality=np.ones(len(cells)),
        bounds=Bounds(0, 1),
        constraints=rules,
        options={"mip_rel_gap": 0.0},
    )
    picked = np.zeros(n, dtype=np.int64)
    taken = found.x > 0.5  # noqa: PLR2004  # whole numbers, up to the solver's tolerance
    picked[row[taken]] = option[taken]
    return picked


def _square(
    cost: NDArray[np.float64],
    barred: NDArray[np.bool_],
    vacancy: NDArray[np.float64] | None,
    idle: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    n, m = cost.shape
    square = np.zeros((n + m, m + n))
    square[:n, :m] = np.where(barred, np.inf, cost)
    square[:n, m:] = np.inf if vacancy is None else np.asarray(vacancy, dtype=float)[:, None]
    square[n:, :m] = 0.0 if idle is None else idle
    return square


def _first_of_equals(
    square: NDArray[np.float64], column: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Exchange along pairs of reduced cost 0 until the first rows have the lowest columns."""
    size = len(square)
    column = column.copy()
    finite = square[np.isfinite(square)]
    tiny = 1e-10 * (1.0 + np.abs(finite).max(initial=0.0))
    step = square - square[np.arange(size), column][:, None]
    price = np.zeros(size)
    for _ in range(size):
        lower = np.minimum(price, (price[column][:, None] + step).min(axis=0))
        if (price - lower <= tiny / size).all():
            break
        price = lower
    tight = step + price[column][:, None] - price <= tiny
    free = np.ones(size, dtype=bool)
    for i in range(n):
        for j in np.flatnonzero(tight[i]):
            if j == column[i] or _exchange(tight, column, free, i, int(j)):
                break
        free[i] = False
    return column


def _exchange(
    tight: NDArray[np.bool_], column: NDArray[np.int64], free: NDArray[np.bool_], i: int, j: int
) -> bool:
    """Give row i column j, and each row so displaced another tight column, if that is possible."""
    holder = np.argsort(column)
    start, target = int(holder[j]), column[i]
    if not free[start]:
        return False
    came_from, queue = {start: j}, [start]
    while queue:
        row = queue.pop(0)
        if tight[row, target]:
            column[i], give = j, int(target)
            while True:
                column[row], give = give, int(column[row])
                if row == start:
                    return True
                row = int(holder[came_from[row]])
        for other in np.flatnonzero(tight[row]):
            following = int(holder[other])
            if free[following] and following != i and following not in came_from:
                came_from[following] = int(column[row])
                queue.append(following)
    return False


def _fewer_columns_than_rows(allowed: NDArray[np.bool_]) -> tuple[int, ...]:
    """Rows that can be reached from one left over, by alternating paths: Hall's condition fails."""
    n, m = allowed.shape
    alone = np.flatnonzero(~allowed.any(axis=1))
    if len(alone):
        return tuple(alone.tolist())
    of_row = maximum_bipartite_matching(coo_array(allowed).tocsr(), perm_type="column")
    first = int(np.flatnonzero(of_row < 0)[0])
    row, column = np.nonzero(allowed)
    held = np.flatnonzero(of_row >= 0)
    tail, head = np.concatenate([row, n + of_row[held]]), np.concatenate([n + column, held])
    graph = coo_array((np.ones(len(tail)), (tail, head)), shape=(n + m, n + m)).tocsr()
    reached = breadth_first_order(graph, first, return_predecessors=False)
    return tuple(sorted(int(i) for i in reached if i < n))
