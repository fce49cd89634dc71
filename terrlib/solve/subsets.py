"""Few units: every set of them is looked at once, so the answer is proven for every centre.

    f_0(empty) = 0,   f_t(S) = min over R in S of  f_(t-1)(S without R) + c_t(R)

where c_t(R) is the cost of R as slot t, infinite where R breaks a rule; f_k(all) is the least cost.
The recursion is that of set partitioning (Bellman 1962) and takes k * 3^n steps.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from terrlib.solve.partition import Floats, Ints, Problem, travel, travel_home

MOST, MOST_MEANS = 12, 16  # units, and where centres are means: nothing else proves these


def may_enumerate(problem: Problem) -> bool:
    """Tell whether a problem is small enough; a cap on all moves together cannot be had by sets."""
    most = MOST_MEANS if problem.centre_kind == "mean" else MOST
    return problem.n <= most and (problem.cap is None or problem.moved is None)


def best_of_all(problem: Problem) -> Ints | None:
    """Find the cheapest labels that keep every rule, None where no labels do.

    Examples
    --------
    >>> from terrlib.solve.partition import touch_graph
    >>> way = touch_graph(4, np.array([[0, 1], [1, 2], [2, 3]]))
    >>> row = Problem(np.c_[[0.0, 1, 2, 4], np.zeros(4)], np.ones(4), np.ones((4, 1)),
    ...     np.full((2, 1), 2.0), np.full((2, 1), 2.0), *way, np.full(4, -1), np.full(2, -1))
    >>> best_of_all(row).tolist()
    [0, 0, 1, 1]
    """
    sets = np.arange(1 << problem.n)
    inside = ((sets[:, None] >> np.arange(problem.n)) & 1).astype(bool)
    cost = np.where(_kept(problem, sets, inside), _costs(problem, inside), np.inf)
    cost[0] = np.inf  # a slot holds at least one unit
    value, choice = _partition(np.ascontiguousarray(cost.T))
    if not np.isfinite(value):
        return None
    label, rest = np.zeros(problem.n, dtype=np.int64), len(sets) - 1
    for t in range(problem.k - 1, -1, -1):
        label[inside[choice[t, rest]]] = t
        rest ^= int(choice[t, rest])
    return label


def _costs(problem: Problem, inside: NDArray[np.bool_]) -> Floats:
    """Cost of every set as every slot, (2^n, k)."""
    units = np.arange(problem.n)
    weight = inside * problem.weight
    if problem.home is not None:
        cost = inside @ travel_home(problem)
    elif problem.centre_kind == "unit":
        at = np.where(inside, inside @ travel(problem, units), np.inf)
        cost = np.tile(at.min(1)[:, None], (1, problem.k))
    else:
        xy = problem.xy - problem.xy.mean(0)
        total = np.maximum(weight.sum(1), 1e-300)
        moment = weight @ (xy**2).sum(1) - ((weight @ xy) ** 2).sum(1) / total
        cost = np.tile(np.maximum(moment, 0.0)[:, None], (1, problem.k))
    if problem.present is not None and problem.price is not None:
        for t in range(problem.k):
            leaves = (problem.present >= 0) & (problem.present != t)
            cost[:, t] += inside @ (problem.price * leaves)
    return cost


def _kept(problem: Problem, sets: Ints, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether every set keeps the rules of every slot, (2^n, k)."""
    load = inside @ problem.load
    slack = 1e-9 * np.maximum(np.abs(problem.high), 1.0)
    kept = (load[:, None] >= problem.low - slack).all(2)
    kept &= (load[:, None] <= problem.high + slack).all(2)
    kept &= ~(inside.astype(np.int64) @ ~problem.allowed()).astype(bool)
    one = np.ones(len(sets), dtype=bool)
    if problem.whole:
        one &= _in_one_piece(problem, sets)
    if problem.block is not None:
        for number in np.unique(problem.block):
            held = inside[:, problem.block == number]
            one &= held.all(1) | ~held.any(1)
    if problem.apart is not None:
        for a, b in problem.apart:
            one &= ~(inside[:, a] & inside[:, b])
    return kept & one[:, None]


def _in_one_piece(problem: Problem, sets: Ints) -> NDArray[np.bool_]:
    near = [
        int(sum(1 << j for j in problem.touch[problem.start[i] : problem.start[i + 1]]))
        for i in range(problem.n)
    ]
    met = sets & -sets
    for _ in range(problem.n):
        for i in range(problem.n):
            met |= np.where((met >> i) & 1, near[i] & sets, 0)
    return met == sets


@njit(cache=True, nogil=True)
def _partition(cost):
    k, many = cost.shape
    least = np.full(many, np.inf)
    least[0] = 0.0
    choice = np.zeros((k, many), dtype=np.int64)
    for t in range(k):
        now = np.full(many, np.inf)
        for whole in range(many):
            part = whole
            while part > 0:
                value = least[whole ^ part] + cost[t, part]
                if value < now[whole]:
                    now[whole] = value
                    choice[t, whole] = part
                part = (part - 1) & whole
        least = now
    return least[many - 1], choice
