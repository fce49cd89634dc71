"""First solutions: spread-out seeds, prices that even out the load, pieces joined.

Balanced location-allocation (Hess et al. 1965; prices as in Aurenhammer, Hoffmann and Aronov 1998):
a unit goes to the centre that is cheapest after a price on its load; prices rise where a slot is too
full and fall where it is too empty; centres move to the middle; repeat. The cells of fixed prices
are a power diagram, hence convex and nearly in one piece. Only the nearest centres of a unit are
looked at, so the cost is about n log k.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from terrlib.solve.partition import FREE, Floats, Ints, Problem

ROUNDS = 12
PRICE_STEPS = 60
NEAREST = 16


def first_labels(problem: Problem, rng: np.random.Generator) -> Ints:
    """Make slots that are connected and roughly in balance.

    Parameters
    ----------
    problem
        What to divide.
    rng
        Source of the seeds.

    Returns
    -------
    (n,) labels
        Every slot holds a unit and fixed units are where they belong; other rules may be missed.
    """
    if not problem.whole:
        return fill_up(problem)
    centre = _seeds(problem, rng)
    at = problem.xy[centre]
    label = np.zeros(problem.n, dtype=np.int64)
    for _ in range(ROUNDS):
        label = _allocate(problem, at)
        at, before = _middles(problem, label, at), at
        if np.allclose(at, before):
            break
    return join_pieces(problem, label, at)


def fill_up(problem: Problem) -> Ints:
    """Give units that are no places to the emptiest slot that may have them, the largest first.

    Those that have a slot today stay there at first.
    """
    label = problem.fixed.copy()
    if problem.present is not None:
        label = np.where(label == FREE, problem.present, label)
    may = problem.allowed()
    label[~may[np.arange(problem.n), label]] = FREE
    middle = np.maximum((problem.low + problem.high) / 2, 1e-12)
    load = np.zeros_like(problem.low)
    held = label != FREE
    np.add.at(load, label[held], problem.load[held])
    share = (problem.load / middle.mean(0)).sum(1)
    for i in np.argsort(-share, kind="stable"):
        if label[i] == FREE:
            filled = np.where(may[i], ((load + problem.load[i]) / middle).max(1), np.inf)
            label[i] = int(filled.argmin())
            load[label[i]] += problem.load[i]
    return _none_empty(problem, label)


def _none_empty(problem: Problem, label: Ints) -> Ints:
    may = problem.allowed()
    for t in np.flatnonzero(np.bincount(label, minlength=problem.k) == 0):
        size = np.bincount(label, minlength=problem.k)
        free = np.flatnonzero((size[label] > 1) & (problem.fixed == FREE) & may[:, t])
        if len(free):
            label[free[0]] = t
    return label


def _seeds(problem: Problem, rng: np.random.Generator) -> Ints:
    """Weighted k-means++ (Arthur and Vassilvitskii 2007), after fixed units, homes and given seeds."""
    weight = problem.load[:, 0] + 1e-3 * max(float(problem.load[:, 0].mean()), 1e-9)
    chosen = np.full(problem.k, FREE)
    nearest = np.full(problem.n, np.inf)
    taken = np.zeros(problem.n, dtype=bool)
    first = np.full(problem.k, FREE)
    held = np.flatnonzero(problem.fixed != FREE)[::-1]
    first[problem.fixed[held]] = held
    for t in range(problem.k):
        begin = first[t] if first[t] != FREE else problem.seed[t]
        if begin == FREE and problem.home is not None:
            begin = int(np.argmin(np.where(taken, np.inf, problem.home[:, t])))
        if begin != FREE and not taken[begin]:
            chosen[t] = begin
            taken[begin] = True
            nearest = np.minimum(nearest, ((problem.xy - problem.xy[begin]) ** 2).sum(1))
    for t in np.flatnonzero(chosen == FREE).tolist():
        odds = weight * np.where(np.isinf(nearest), 1.0, nearest)
        odds[problem.fixed != FREE] = 0.0
        odds[taken] = 0.0
        if not odds.sum():
            odds = np.where(taken, 0.0, 1.0)
        chosen[t] = rng.choice(problem.n, p=odds / odds.sum())
        taken[chosen[t]] = True
        nearest = np.minimum(nearest, ((problem.xy - problem.xy[chosen[t]]) ** 2).sum(1))
    return chosen


def _allocate(problem: Problem, at: Floats) -> Ints:
    """Give units to centres under prices that are raised where the load is above its target."""
    count = min(NEAREST, problem.k)
    away, near = cKDTree(at).query(problem.xy, k=count)
    away, near = away.reshape(problem.n, count), near.reshape(problem.n, count).astype(np.int64)
    return _even_out(away**2, near, problem.load, (problem.low + problem.high) / 2, problem.fixed)


@njit(cache=True, nogil=True)
def _even_out(square, near, load, target, fixed):
    n, m = load.shape
    k = len(target)
    scale = np.median(square[:, 0]) + 1e-9
    price = np.zeros(k)
    best, best_off = np.zeros(n, dtype=np.int64), np.inf
    label = np.zeros(n, dtype=np.int64)
    for step in range(PRICE_STEPS):
        held = np.zeros((k, m))
        for i in range(n):
            t = fixed[i]
            if t < 0:
                least = np.inf
                for a in range(near.shape[1]):
                    value = square[i, a] + price[near[i, a]]
                    if value < least:
                        least, t = value, near[i, a]
            label[i] = t
            for c in range(m):
                held[t, c] += load[i, c]
        worst = 0.0
        pace = scale * 4.0 / (1.0 + 0.1 * step)
        for t in range(k):
            off = 0.0
            for c in range(m):
                off += (held[t, c] / max(target[t, c], 1e-12) - 1.0) / m
            worst = max(worst, abs(off))
            price[t] += pace * min(max(off, -0.5), 1.0)
        if worst < best_off:
            best_off = worst
            best[:] = label
    return best


def _middles(problem: Problem, label: Ints, at: Floats) -> Floats:
    """Weighted mean of every slot; where it was if the slot is empty."""
    weight = problem.weight + 1e-9 * max(float(problem.weight.max()), 1.0)
    total = np.bincount(label, weights=weight, minlength=problem.k)
    mean = np.column_stack(
        [np.bincount(label, weights=weight * c, minlength=problem.k) for c in problem.xy.T]
    )
    some = total > 0
    out = at.copy()
    out[some] = mean[some] / total[some, None]
    return out


def join_pieces(problem: Problem, label: Ints, at: Floats) -> Ints:
    """Keep the piece of each slot around its centre and let the pieces grow over the rest.

    A unit is taken by the piece it touches whose centre is nearest; the nearest is taken first.

    Parameters
    ----------
    problem, label
        What is divided; -1 where a unit has no label yet.
    at
        (k, 2) where the slots have their middles.

    Returns
    -------
    (n,) labels
        Every slot has a unit; each is in one piece where fixed units and the graph allow.
    """
    out = np.full(problem.n, FREE)
    may = problem.allowed()
    start, touch, xy = problem.start, problem.touch, problem.xy
    held = np.flatnonzero(problem.fixed != FREE)
    out[held] = problem.fixed[held]
    taken = out != FREE
    for t in np.flatnonzero(np.bincount(out[held], minlength=problem.k) == 0).tolist():
        away = ((xy - at[t]) ** 2).sum(1)
        own = np.flatnonzero((label == t) & ~taken & may[:, t])
        open_ = own if len(own) else np.flatnonzero(~taken & may[:, t])
        if len(open_):
            root = int(open_[away[open_].argmin()])
            out[root], taken[root] = t, True
    queue = np.flatnonzero(out != FREE).tolist()
    while queue:
        i = queue.pop()
        for j in touch[start[i] : start[i + 1]]:
            if out[j] == FREE and label[j] == out[i] and may[j, out[i]]:
                out[j] = out[i]
                queue.append(int(j))
    heap: list[tuple[float, int, int]] = []

    def offer(i: int) -> None:
        t = int(out[i])
        for j in touch[start[i] : start[i + 1]]:
            if out[j] == FREE and may[j, t]:
                dx, dy = xy[j, 0] - at[t, 0], xy[j, 1] - at[t, 1]
                heapq.heappush(heap, (float(dx * dx + dy * dy), int(j), t))

    for i in np.flatnonzero(out != FREE).tolist():
        offer(i)
    while heap:
        _, j, t = heapq.heappop(heap)
        if out[j] == FREE:
            out[j] = t
            offer(j)
    for left in np.flatnonzero(out == FREE):
        old = label[left]
        out[left] = old if old != FREE and may[left, old] else int(may[left].argmax())
    return out
