"""The problem of dividing units among territories, and its answer.

    minimise    sum_i  w_i * d(i, c(s_i))  +  sum_i  p_i * [s_i is not the slot of i today]

    subject to  low_tm <= sum_{i: s_i = t} load_im <= high_tm      each measure m of each slot t
                the units of each slot are connected on the touch graph     (where `whole`)
                every slot holds at least one unit
                s_i = fixed_i  where a unit is fixed,   s_i is not t  for (i, t) in `banned`
                s_i = s_j  in one block,                s_i is not s_j  for (i, j) in `apart`
                sum_i moved_{i s_i c} <= cap_c

where s_i is the slot (a territory without its name yet) of unit i, d is the travel to the centre c of
a slot, squared where `square`, and the centre is

    given   home[:, t] holds the travel to it (a rep's home),
    unit    else the unit of the slot for which the sum is least (a weighted median; Hess et al. 1965),
    mean    else, where `square` and no matrix is given, the weighted mean of the slot's positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

FREE = -1
TOLERANCE = 1e-9
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Give each of n units to one of k slots; the formulas are in the module's docstring.

    Attributes
    ----------
    xy
        (n, 2) positions, km.
    weight
        (n,) how often a unit is travelled to, w >= 0.
    load
        (n, m) measures to balance, >= 0.
    low, high
        (k, m) bounds on the measures of each slot; an upper one of inf becomes the sum of all.
    start, touch
        Touch graph: unit i touches touch[start[i]:start[i + 1]].
    fixed
        (n,) slot of a unit, -1 where it is free.
    seed
        (k,) unit around which a slot is begun, -1 where any will do; a hint, not a rule.
    square
        Whether travel counts squared: rounder shapes.
    matrix
        (n, n) travel from unit i to a centre at unit j; straight lines between `xy` where None.
    home
        (n, k) travel from unit i to the given centre of slot t; None where centres are free.
    whole
        Whether slots must be in one piece; False where units are not places.
    banned
        (b, 2) unit and a slot it may not be in.
    block
        (n,) units with the same number stay together; None where each is on its own.
    apart
        (a, 2) units that may not be in one slot.
    present
        (n,) slot of a unit today, -1 where it has none; None where nobody has one.
    price
        (n,) p >= 0, cost of leaving today's slot, in the unit of weight times travel.
    moved, cap
        (n, k, c) amounts that change hands where a unit is in a slot; (c,) at most so much may.
    """

    xy: Floats
    weight: Floats
    load: Floats
    low: Floats
    high: Floats
    start: Ints
    touch: Ints
    fixed: Ints
    seed: Ints
    square: bool = False
    matrix: Floats | None = None
    home: Floats | None = None
    whole: bool = True
    banned: Ints | None = None
    block: Ints | None = None
    apart: Ints | None = None
    present: Ints | None = None
    price: Floats | None = None
    moved: Floats | None = None
    cap: Floats | None = None

    def __post_init__(self) -> None:
        # Breaches are told relative to the upper bound, so it has to be a number.
        total = np.broadcast_to(self.load.sum(0), self.high.shape)
        object.__setattr__(self, "high", np.where(np.isfinite(self.high), self.high, total))

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.xy)

    @property
    def k(self) -> int:
        """Number of slots."""
        return len(self.low)

    @property
    def centre_kind(self) -> Literal["given", "unit", "mean"]:
        """What the centre of a slot is."""
        if self.home is not None:
            return "given"
        return "mean" if self.square and self.matrix is None else "unit"

    def allowed(self) -> NDArray[np.bool_]:
        """(n, k) where a unit may be: `fixed` and `banned` as one table."""
        may = np.ones((self.n, self.k), dtype=bool)
        held = np.flatnonzero(self.fixed != FREE)
        may[held] = False
        may[held, self.fixed[held]] = True
        if self.banned is not None and len(self.banned):
            may[self.banned[:, 0], self.banned[:, 1]] = False
        return may

    def gone(self, label: Ints) -> Floats:
        """(c,) amounts that change hands."""
        if self.moved is None:
            return np.zeros(0)
        return self.moved[np.arange(self.n), label].sum(0)

    def leaves(self, label: Ints) -> NDArray[np.bool_]:
        """(n,) whether a unit leaves the slot it is in today."""
        if self.present is None:
            return np.zeros(self.n, dtype=bool)
        return (self.present != FREE) & (label != self.present)


@dataclass(frozen=True)
class Solution:
    """Slots that keep every rule of a problem.

    Attributes
    ----------
    label
        (n,) slot of each unit.
    cost
        Travel and price of change, in the unit of weight times travel.
    bound
        Proven: no answer can cost less than this.
    status
        "optimal" where `bound` proves that nothing is cheaper, else "feasible".
    relaxed
        The rules that the proof of the bound leaves out, such as "pieces"; () where none.
    bound_here
        Proven: no answer with these same centres can cost less; nan where it was not asked.
    work
        Work done, in moves tried.
    """

    label: Ints
    cost: float
    bound: float
    status: Literal["optimal", "feasible"]
    relaxed: tuple[str, ...]
    bound_here: float
    work: int


def touch_graph(n: int, pairs: Ints) -> tuple[Ints, Ints]:
    """Turn pairs of touching units into the lists `start`, `touch`.

    Examples
    --------
    >>> start, touch = touch_graph(3, np.array([[0, 1], [1, 2]]))
    >>> start.tolist(), touch.tolist()
    ([0, 1, 3, 4], [1, 0, 2, 1])
    """
    both = np.vstack([pairs, pairs[:, ::-1]]) if len(pairs) else np.empty((0, 2), dtype=np.int64)
    graph = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
    graph.sum_duplicates()
    graph.sort_indices()
    return graph.indptr.astype(np.int64), graph.indices.astype(np.int64)


def travel(problem: Problem, centre: Ints) -> Floats:
    """Cost of travel from every unit to centres at the units `centre`, (n, len(centre))."""
    if problem.matrix is not None:
        away = problem.matrix[:, centre]
    else:
        gap = problem.xy[:, None, :] - problem.xy[centre][None]
        away = np.sqrt((gap**2).sum(2))
    return problem.weight[:, None] * (away**2 if problem.square else away)


def travel_home(problem: Problem) -> Floats:
    """Cost of travel from every unit to the given centres, (n, k)."""
    assert problem.home is not None
    return problem.weight[:, None] * (problem.home**2 if problem.square else problem.home)


@njit(cache=True, nogil=True)
def _medians(order, ends, xy, weight, square, matrix):
    """Least travel of the units order[ends[t]:ends[t + 1]] of each slot, and the unit it is to."""
    k = len(ends) - 1
    cost, centre = np.zeros(k), np.full(k, FREE)
    for t in range(k):
        best = np.inf
        for a in range(ends[t], ends[t + 1]):
            j, total = order[a], 0.0
            for b in range(ends[t], ends[t + 1]):
                i = order[b]
                if len(matrix):
                    away = matrix[i, j]
                    away = away * away if square else away
                else:
                    dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
                    away = dx * dx + dy * dy if square else np.sqrt(dx * dx + dy * dy)
                total += weight[i] * away
                if total >= best:
                    break
            if total < best or centre[t] == FREE:
                best, centre[t] = total, j
        cost[t] = best if centre[t] != FREE else 0.0
    return cost, centre


def evaluate(problem: Problem, label: Ints) -> tuple[float, Ints]:
    """Cost of labels by the definition, and the unit at the centre of every slot (-1: no unit).

    Examples
    --------
    >>> start, touch = touch_graph(3, np.array([[0, 1], [1, 2]]))
    >>> one = Problem(np.array([[0.0, 0], [1, 0], [5, 0]]), np.ones(3), np.ones((3, 1)),
    ...     np.zeros((2, 1)), np.full((2, 1), 9.0), start, touch, np.full(3, -1), np.full(2, -1))
    >>> evaluate(one, np.array([0, 0, 1]))
    (1.0, array([0, 2]))
    """
    cost, centre = 0.0, np.full(problem.k, FREE)
    if problem.centre_kind == "mean":
        gap = problem.xy - means(problem, label)[label]
        cost = float((problem.weight * (gap**2).sum(1)).sum())
    elif problem.centre_kind == "given":
        cost = float(travel_home(problem)[np.arange(problem.n), label].sum())
    else:
        order = np.argsort(label, kind="stable")
        ends = np.searchsorted(label[order], np.arange(problem.k + 1))
        table = np.zeros((0, 0)) if problem.matrix is None else problem.matrix
        each, centre = _medians(order, ends, problem.xy, problem.weight, problem.square, table)
        cost = float(each.sum())
    if problem.price is not None:
        cost += float(problem.price[problem.leaves(label)].sum())
    return cost, centre


def means(problem: Problem, label: Ints) -> Floats:
    """Weighted mean of the positions of every slot, (k, 2); 0 where it weighs nothing."""
    total = np.bincount(label, problem.weight, problem.k)
    sums = [np.bincount(label, problem.weight * axis, problem.k) for axis in problem.xy.T]
    return np.column_stack(sums) / np.where(total > 0, total, 1.0)[:, None]


def loads(problem: Problem, label: Ints) -> Floats:
    """Sum of every measure over every slot, (k, m)."""
    sums = [np.bincount(label, column, problem.k) for column in problem.load.T]
    return np.column_stack(sums)


def excess(problem: Problem, label: Ints) -> Floats:
    """How far each measure of each slot is outside its bounds, (k, m), 0 where it is inside."""
    load = loads(problem, label)
    return np.maximum(np.maximum(problem.low - load, load - problem.high), 0.0)


def pieces(problem: Problem, label: Ints) -> Ints:
    """Count the connected pieces of every slot, (k,)."""
    i = np.repeat(np.arange(problem.n), np.diff(problem.start))
    same = label[i] == label[problem.touch]
    graph = csr_array(
        (np.ones(same.sum()), (i[same], problem.touch[same])), shape=(problem.n, problem.n)
    )
    _, part = connected_components(graph, directed=False)
    of_part = np.zeros(part.max() + 1, dtype=np.int64)
    of_part[part] = label
    return np.bincount(of_part, minlength=problem.k)


def broken(problem: Problem, label: Ints) -> tuple[str, ...]:
    """Names of the rules that labels break: () where they keep every one.

    The names: balance, pieces, empty, fixed, banned, together, apart, cap.
    """
    size = np.bincount(label, minlength=problem.k)
    scale = np.maximum(np.abs(problem.high), 1.0)
    held = problem.fixed != FREE
    barred = problem.banned if problem.banned is not None else np.zeros((0, 2), dtype=np.int64)
    found = {
        "balance": bool((excess(problem, label) > TOLERANCE * scale).any()),
        "pieces": problem.whole and bool((pieces(problem, label) > 1).any()),
        "empty": bool((size == 0).any()),
        "fixed": bool((label[held] != problem.fixed[held]).any()),
        "banned": bool((label[barred[:, 0]] == barred[:, 1]).any()),
    }
    if problem.block is not None:
        first = np.unique(problem.block, return_index=True, return_inverse=True)
        found["together"] = bool((label != label[first[1]][first[2]]).any())
    if problem.apart is not None and len(problem.apart):
        found["apart"] = bool((label[problem.apart[:, 0]] == label[problem.apart[:, 1]]).any())
    if problem.moved is not None and problem.cap is not None:
        total = problem.gone(label)
        found["cap"] = bool((total > problem.cap + TOLERANCE * np.maximum(problem.cap, 1.0)).any())
    return tuple(name for name, is_broken in found.items() if is_broken)


def misses(problem: Problem, label: Ints) -> float:
    """How far labels are from keeping every rule, in fair shares and counts; 0 where they do."""
    middle = np.maximum((problem.low + problem.high) / 2, 1e-12)
    total = float((excess(problem, label) / middle).sum())
    rules = broken(problem, label)
    if not rules:
        return 0.0
    if "pieces" in rules:
        total += float((pieces(problem, label) - 1).clip(0).sum())
    if "apart" in rules and problem.apart is not None:
        total += float((label[problem.apart[:, 0]] == label[problem.apart[:, 1]]).sum())
    if "cap" in rules and problem.moved is not None and problem.cap is not None:
        over = problem.gone(label) - problem.cap
        total += float((over.clip(0) / np.maximum(problem.cap, 1e-9)).sum())
    return total + len({"empty", "fixed", "banned", "together"} & set(rules))


def feasible(problem: Problem, label: Ints) -> bool:
    """Tell whether labels keep every rule; says nothing of their cost."""
    return not broken(problem, label)
