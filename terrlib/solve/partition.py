"""The problem of dividing units among territories, and its answer.

    minimise    sum_i  w_i * d(i, c(s_i))          travel to the centre of one's territory
    subject to  low_tm <= sum_{i: s_i = t} load_im <= high_tm      each measure of each territory
                the units of each territory are connected on the touch graph
                s_i = fixed_i  where a unit is fixed,   every territory holds at least one unit

where s_i is the territory of unit i, and c(t), the centre of t, is the unit of t for which the sum
is
least (a weighted median).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

FREE = -1
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Problem:
    """Give each of n units to one of k territories.

    Attributes
    ----------
    xy
        (n, 2) positions, km.
    weight
        (n,) how often a unit is travelled to, >= 0.
    load
        (n, m) measures to balance, >= 0.
    low, high
        (k, m) bounds on the measures of each territory.
    start, touch
        Touch graph: unit i touches touch[start[i]:start[i + 1]].
    fixed
        (n,) territory of a unit, -1 where it is free.
    seed
        (k,) unit around which a territory is begun, -1 where any will do.
    """

    xy: NDArray[np.float64]
    weight: NDArray[np.float64]
    load: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    start: NDArray[np.int64]
    touch: NDArray[np.int64]
    fixed: NDArray[np.int64]
    seed: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.xy)

    @property
    def k(self) -> int:
        """Number of territories."""
        return len(self.low)


@dataclass(frozen=True)
class Solution:
    """Territories that keep every rule of a problem.

    Attributes
    ----------
    label
        (n,) territory of each unit.
    cost
        Travel, in the unit of weight times km.
    bound
        No answer can cost less than this.
    proposals
        Work done: moves tried.
    """

    label: NDArray[np.int64]
    cost: float
    bound: float
    proposals: int


def touch_graph(n: int, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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


def excess(problem: Problem, label: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far each measure of each territory is outside its bounds, (k, m), 0 where it is inside."""
    load = np.zeros_like(problem.low)
    np.add.at(load, label, problem.load)
    return np.maximum(np.maximum(problem.low - load, load - problem.high), 0.0)


def pieces(problem: Problem, label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the connected pieces of every territory, (k,)."""
    i = np.repeat(np.arange(problem.n), np.diff(problem.start))
    same = label[i] == label[problem.touch]
    graph = csr_array(
        (np.ones(same.sum()), (i[same], problem.touch[same])), shape=(problem.n, problem.n)
    )
    _, part = connected_components(graph, directed=False)
    of_part = np.zeros(part.max() + 1, dtype=np.int64)
    of_part[part] = label
    return np.bincount(of_part, minlength=problem.k)


def feasible(problem: Problem, label: NDArray[np.int64]) -> bool:
    """Tell whether labels keep every rule; says nothing of their cost."""
    fixed = problem.fixed != FREE
    scale = np.maximum(np.abs(problem.high), 1.0)
    return bool(
        (excess(problem, label) <= TOLERANCE * scale).all()
        and (pieces(problem, label) == 1).all()
        and (label[fixed] == problem.fixed[fixed]).all()
    )
