"""First solutions: spread-out seeds, prices that even out the load, pieces joined.

Balanced location-allocation: units go to the centre that is cheapest after a price on its load;
prices
rise where a territory is too full and fall where it is too empty; centres move to the middle;
repeat.
The cells of fixed prices are a power diagram, hence convex and nearly in one piece.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from terrlib.solve.partition import FREE, Problem

ROUNDS = 12
PRICE_STEPS = 60


def first_labels(problem: Problem, rng: np.random.Generator) -> NDArray[np.int64]:
    """Make territories that are connected and roughly in balance.

    Parameters
    ----------
    problem
        What to divide.
    rng
        Source of the seeds.

    Returns
    -------
    (n,) labels
        Every territory holds a unit and fixed units are where they belong; bounds may be missed.
    """
    target = (problem.low + problem.high) / 2
    centre = _seeds(problem, rng)
    label = np.zeros(problem.n, dtype=np.int64)
    for _ in range(ROUNDS):
        label = _allocate(problem, problem.xy[centre], target)
        moved = _recentre(problem, label, centre)
        if (moved == centre).all():
            break
        centre = moved
    return join_pieces(problem, label, centre)


def _seeds(problem: Problem, rng: np.random.Generator) -> NDArray[np.int64]:
    """Weighted k-means++ (Arthur and Vassilvitskii 2007), after fixed units and given seeds."""
    weight = problem.load[:, 0] + 1e-3 * max(float(problem.load[:, 0].mean()), 1e-9)
    chosen = np.full(problem.k, FREE)
    nearest = np.full(problem.n, np.inf)
    for t in range(problem.k):
        held = np.flatnonzero(problem.fixed == t)
        begin = held[0] if len(held) else problem.seed[t]
        if begin != FREE and begin not in chosen:
            chosen[t] = begin
            nearest = np.minimum(nearest, ((problem.xy - problem.xy[begin]) ** 2).sum(1))
    for t in np.flatnonzero(chosen == FREE).tolist():
        odds = weight * np.where(np.isinf(nearest), 1.0, nearest)
        odds[problem.fixed != FREE] = 0.0
        odds[chosen[chosen != FREE]] = 0.0
        if not odds.sum():
            odds = np.where(np.isin(np.arange(problem.n), chosen), 0.0, 1.0)
        chosen[t] = rng.choice(problem.n, p=odds / odds.sum())
        nearest = np.minimum(nearest, ((problem.xy - problem.xy[chosen[t]]) ** 2).sum(1))
    return chosen


def _allocate(
    problem: Problem, centre: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Give units to centres under prices that are raised where load is above its target."""
    square = ((problem.xy[:, None, :] - centre[None]) ** 2).sum(2)
    scale = float(np.median(square.min(1))) + 1e-9
    price = np.zeros(problem.k)
    fixed = problem.fixed != FREE
    best, best_off = np.zeros(problem.n, dtype=np.int64), np.inf
    for step in range(PRICE_STEPS):
        label = np.argmin(square + price[None], axis=1)
        label[fixed] = problem.fixed[fixed]
        load = np.zeros_like(target)
        np.add.at(load, label, problem.load)
        off = (load / np.maximum(target, 1e-12) - 1).mean(axis=1)
        worst = float(np.abs(off).max())
        if worst < best_off:
            best, best_off = label, worst
        price += scale * 4.0 / (1 + 0.1 * step) * np.clip(off, -0.5, 1.0)
    return best


def _recentre(
    problem: Problem, label: NDArray[np.int64], centre: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Move each centre to the unit nearest the weighted mean of its territory."""
    moved = centre.copy()
    for t in range(problem.k):
        mine = np.flatnonzero(label == t)
        if len(mine):
            weight = problem.load[mine, 0] + 1e-9
            mean = (problem.xy[mine] * weight[:, None]).sum(0) / weight.sum()
            moved[t] = mine[np.argmin(((problem.xy[mine] - mean) ** 2).sum(1))]
    return moved


def join_pieces(
    problem: Problem, label: NDArray[np.int64], centre: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Keep the piece of each territory around its centre and let the pieces grow over the rest.

    A unit is taken by the piece it touches whose centre is nearest; the nearest is taken first.
    """
    out = np.full(problem.n, FREE)
    seeds = [np.flatnonzero(problem.fixed == t) for t in range(problem.k)]
    taken: set[int] = set()
    for t in range(problem.k):
        root = int(seeds[t][0]) if len(seeds[t]) else int(centre[t])
        if root in taken:
            root = next(i for i in range(problem.n) if i not in taken and problem.fixed[i] == FREE)
        taken.add(root)
        out[root] = t
    for t in range(problem.k):
        queue = [int(i) for i in np.flatnonzero(out == t)]
        while queue:
            i = queue.pop()
            for j in problem.touch[problem.start[i] : problem.start[i + 1]]:
                if out[j] == FREE and label[j] == t and problem.fixed[j] in (FREE, t):
                    out[j] = t
                    queue.append(int(j))
    heap: list[tuple[float, int, int]] = []

    def offer(i: int) -> None:
        for j in problem.touch[problem.start[i] : problem.start[i + 1]]:
            if out[j] == FREE and problem.fixed[j] in (FREE, out[i]):
                away = float(((problem.xy[j] - problem.xy[centre[out[i]]]) ** 2).sum())
                heapq.heappush(heap, (away, int(j), int(out[i])))

    for i in np.flatnonzero(out != FREE).tolist():
        offer(i)
    while heap:
        _, j, t = heapq.heappop(heap)
        if out[j] == FREE:
            out[j] = t
            offer(j)
    left = out == FREE
    out[left] = np.where(problem.fixed[left] != FREE, problem.fixed[left], label[left])
    return out
