"""Local search: border units change sides while cost and breaches fall, and no territory comes apart.

Simulated annealing (Kirkpatrick et al. 1983) over single units and pairs on a border. A breach of a
bound costs a price that grows as the temperature falls, so the search may pass through unbalanced
territories but does not end in them. A move is made only if what it leaves stays in one piece.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from terrlib.solve.partition import FREE, Problem, feasible

STAGES = 40
SWAP_EVERY = 4


def improve(
    problem: Problem, label: NDArray[np.int64], seed: int, proposals: int
) -> tuple[NDArray[np.int64], float, bool, int]:
    """Improve connected territories.

    Parameters
    ----------
    problem, label
        Where to start; every territory is in one piece.
    seed
        Same seed, same answer.
    proposals
        Moves to try in all.

    Returns
    -------
    label, cost, ok, tried
        The cheapest labels seen that keep every rule (`ok`), else the last ones; moves tried.
    """
    label = label.copy()
    middle = np.maximum((problem.low + problem.high) / 2, 1e-12)
    free = problem.fixed == FREE
    work = _Work(problem, middle, free)
    cost, centre = total_cost(problem.xy, problem.weight, label, problem.k)
    typical = cost / max(problem.n, 1) + 1e-9
    best, best_cost, ok = label.copy(), np.inf, False
    if feasible(problem, label):
        best, best_cost, ok = label.copy(), cost, True
    for stage in range(STAGES):
        heat = typical * 1.0 * (1 - stage / STAGES) ** 2
        price = cost * 0.05 * 1.16**stage
        work.run(label, centre, heat, price, seed + stage, proposals // STAGES)
        cost, centre = total_cost(problem.xy, problem.weight, label, problem.k)
        if cost < best_cost and feasible(problem, label):
            best, best_cost, ok = label.copy(), cost, True
    if ok:
        label = best.copy()
        for stage in range(4):
            _, centre = total_cost(problem.xy, problem.weight, label, problem.k)
            work.run(label, centre, 0.0, cost * 1e6, seed + STAGES + stage, proposals // STAGES)
            cost, _ = total_cost(problem.xy, problem.weight, label, problem.k)
            if cost < best_cost and feasible(problem, label):
                best, best_cost = label.copy(), cost
    else:
        best, best_cost = label, cost
    return best, float(best_cost), ok, (STAGES + 4 * ok) * (proposals // STAGES)


class _Work:
    """The arrays of a problem in the order the search wants them."""

    def __init__(
        self, problem: Problem, middle: NDArray[np.float64], free: NDArray[np.bool_]
    ) -> None:
        self.problem, self.middle, self.free = problem, middle, free

    def run(
        self,
        label: NDArray[np.int64],
        centre: NDArray[np.int64],
        heat: float,
        price: float,
        seed: int,
        proposals: int,
    ) -> None:
        p = self.problem
        _anneal(
            label,
            centre,
            p.xy,
            p.weight,
            p.load,
            p.low,
            p.high,
            self.middle,
            p.start,
            p.touch,
            self.free,
            heat,
            price,
            np.uint64(seed * 2654435761 + 88172645463325252),
            proposals,
        )


@njit(cache=True, nogil=True)
def total_cost(
    xy: NDArray[np.float64], weight: NDArray[np.float64], label: NDArray[np.int64], k: int
) -> tuple[float, NDArray[np.int64]]:
    """Cost of labels, and the best centre of every territory (the first of equals)."""
    n = len(label)
    count = np.zeros(k + 1, dtype=np.int64)
    for i in range(n):
        count[label[i] + 1] += 1
    for t in range(k):
        count[t + 1] += count[t]
    order = np.empty(n, dtype=np.int64)
    fill = count[:-1].copy()
    for i in range(n):
        order[fill[label[i]]] = i
        fill[label[i]] += 1
    centre = np.zeros(k, dtype=np.int64)
    total = 0.0
    for t in range(k):
        best = np.inf
        for a in range(count[t], count[t + 1]):
            i = order[a]
            cost = 0.0
            for b in range(count[t], count[t + 1]):
                j = order[b]
                dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
                cost += weight[j] * np.sqrt(dx * dx + dy * dy)
                if cost >= best:
                    break
            if cost < best:
                best = cost
                centre[t] = i
        if best < np.inf:
            total += best
    return total, centre


@njit(cache=True, nogil=True)
def _stays_whole(i, label, start, touch, mark, queue, stamp):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Tell whether the territory of unit i stays in one piece without it, and does not vanish."""
    home = label[i]
    wanted = 0
    first = -1
    for a in range(start[i], start[i + 1]):
        j = touch[a]
        if label[j] == home:
            wanted += 1
            first = j
            mark[j] = stamp
    if wanted == 0:
        return False
    if wanted == 1:
        return True
    # Search from one neighbour until all others are met.
    seen = stamp + 1
    head, tail = 0, 1
    queue[0] = first
    mark[first] = seen
    met = 1
    while head < tail:
        u = queue[head]
        head += 1
        for a in range(start[u], start[u + 1]):
            v = touch[a]
            if v != i and label[v] == home and mark[v] != seen:
                if mark[v] == stamp:
                    met += 1
                    if met == wanted:
                        return True
                mark[v] = seen
                queue[tail] = v
                tail += 1
    return False


@njit(cache=True, nogil=True)
def _breach(load, low, high, middle, t, u, plus):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Breach of the bounds of territory t with (plus = 1, -1) or without (0) the loads u."""
    total = 0.0
    for m in range(low.shape[1]):
        value = load[t, m] + plus * u[m]
        if value < low[t, m]:
            total += (low[t, m] - value) / middle[t, m]
        elif value > high[t, m]:
            total += (value - high[t, m]) / middle[t, m]
    return total


@njit(cache=True, nogil=True)
def _anneal(  # type: ignore[no-untyped-def]  # noqa: ANN202, C901, PLR0912, PLR0915
    label,
    centre,
    xy,
    weight,
    load,
    low,
    high,
    middle,
    start,
    touch,
    free,
    heat,
    price,
    state,
    proposals,
):
    n, m = load.shape
    k = low.shape[0]
    sums = np.zeros((k, m))
    for i in range(n):
        for c in range(m):
            sums[label[i], c] += load[i, c]
    mark = np.zeros(n, dtype=np.int64)
    queue = np.empty(n, dtype=np.int64)
    zero = np.zeros(m)
    both = np.zeros(m)
    stamp = 2
    for step in range(proposals):
        # xorshift64: the same numbers on every machine and version.
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        i = int((state >> np.uint64(33)) % np.uint64(n))
        degree = start[i + 1] - start[i]
        if not free[i] or degree == 0:
            continue
        j = touch[start[i] + int((state >> np.uint64(12)) % np.uint64(degree))]
        s, t = label[i], label[j]
        if s == t:
            continue
        swap = step % SWAP_EVERY == 0 and free[j]
        dsx, dsy = xy[i, 0] - xy[centre[s], 0], xy[i, 1] - xy[centre[s], 1]
        dtx, dty = xy[i, 0] - xy[centre[t], 0], xy[i, 1] - xy[centre[t], 1]
        delta = weight[i] * (np.sqrt(dtx * dtx + dty * dty) - np.sqrt(dsx * dsx + dsy * dsy))
        for c in range(m):
            both[c] = load[i, c]
        if swap:
            ex, ey = xy[j, 0] - xy[centre[s], 0], xy[j, 1] - xy[centre[s], 1]
            fx, fy = xy[j, 0] - xy[centre[t], 0], xy[j, 1] - xy[centre[t], 1]
            delta += weight[j] * (np.sqrt(ex * ex + ey * ey) - np.sqrt(fx * fx + fy * fy))
            for c in range(m):
                both[c] -= load[j, c]
        before = _breach(sums, low, high, middle, s, zero, 0) + _breach(
            sums, low, high, middle, t, zero, 0
        )
        after = _breach(sums, low, high, middle, s, both, -1) + _breach(
            sums, low, high, middle, t, both, 1
        )
        delta += price * (after - before)
        if delta > 0:
            if heat <= 0.0:
                continue
            chance = ((state >> np.uint64(11)) & np.uint64(0xFFFFF)) / 1048576.0
            if np.exp(-delta / heat) <= chance:
                continue
        elif delta == 0.0 and heat <= 0.0:
            continue
        stamp += 2
        if not _stays_whole(i, label, start, touch, mark, queue, stamp):
            continue
        label[i] = t
        if swap:
            stamp += 2
            near = False
            for a in range(start[j], start[j + 1]):
                if label[touch[a]] == s:
                    near = True
            if not near or not _stays_whole(j, label, start, touch, mark, queue, stamp):
                label[i] = s
                continue
            label[j] = s
        for c in range(m):
            sums[s, c] -= both[c]
            sums[t, c] += both[c]
