"""Fewer, larger units first: neighbours that hardly matter apart are merged (multilevel search).

Ward's (1963) merge cost  w_i w_j / (w_i + w_j) |x_i - x_j|^2  between touching units, cheapest pairs
of mutual choice first, until a few units a slot are left. A border then moves in long strides, and the
layout of the whole map settles while the units are large; the borders settle when they are small again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from terrlib.solve.partition import FREE, Ints, Problem, touch_graph

LARGEST = 0.125  # of the least middle of a slot: larger units are not made


def coarsen(
    problem: Problem, count: int, rng: np.random.Generator | None = None, label: Ints | None = None
) -> tuple[Problem, Ints]:
    """Merge touching units until about `count` are left.

    Returns
    -------
    Problem, group
        The merged problem, and (n,) the merged unit of every unit. Units with a rule of their own
        stay alone. A merged unit stands at its weighted mean; a matrix keeps the rows of its
        heaviest unit.
    """
    p = problem
    group = np.arange(p.n)
    alone = _ruled(p)
    cap = LARGEST * ((p.low + p.high) / 2).min(0)
    a0 = np.repeat(np.arange(p.n), np.diff(p.start))
    # The same luck both ways: the cheapest pair of all is then always a mutual choice.
    luck = np.ones(p.n) if rng is None else rng.uniform(0.7, 1.4, p.n)
    same = True if label is None else label[a0] == label[p.touch]
    while True:
        size = int(group.max()) + 1
        weight = np.bincount(group, weights=p.weight, minlength=size)
        mass = weight + 1e-12 * max(float(weight.max()), 1.0)
        share = p.weight + 1e-12 * max(float(weight.max()), 1.0)
        total = np.bincount(group, weights=share, minlength=size)
        xy = (
            np.column_stack([np.bincount(group, weights=share * c) for c in p.xy.T])
            / total[:, None]
        )
        load = np.column_stack([np.bincount(group, weights=c, minlength=size) for c in p.load.T])
        single = np.bincount(group, weights=alone, minlength=size) > 0
        today = np.full(size, FREE)
        if p.present is not None:
            today[group] = p.present
        if size <= count:
            break
        a, b = group[a0], group[p.touch]
        fits = same & (a != b) & ~single[a] & ~single[b] & (today[a] == today[b])
        fits &= (load[a] + load[b] <= cap).all(1)
        chance = (luck[a0] * luck[p.touch])[fits]
        a, b = a[fits], b[fits]
        if not len(a):
            break
        ward = mass[a] * mass[b] / (mass[a] + mass[b]) * ((xy[a] - xy[b]) ** 2).sum(1) * chance
        order = np.lexsort((b, ward, a))
        a, b, ward = a[order], b[order], ward[order]
        first = np.concatenate([[True], a[1:] != a[:-1]])
        choice = np.full(size, FREE)
        price = np.full(size, np.inf)
        choice[a[first]], price[a[first]] = b[first], ward[first]
        lower = np.flatnonzero(choice != FREE)
        pick = choice[lower]
        lower = lower[(choice[pick] == lower) & (lower < pick)]
        if not len(lower):
            break
        lower = lower[np.argsort(price[lower], kind="stable")][: size - count]
        to = np.arange(size)
        to[choice[lower]] = lower
        group = np.unique(to[group], return_inverse=True)[1]
    return _merged(p, group, xy, weight, load, today), group


def _ruled(p: Problem) -> np.ndarray:
    """Where a unit has a rule of its own, so that it is not merged."""
    alone = p.fixed != FREE
    if p.banned is not None and len(p.banned):
        alone[p.banned[:, 0]] = True
    if p.apart is not None and len(p.apart):
        alone[p.apart.ravel()] = True
    if p.block is not None:
        _, back, count = np.unique(p.block, return_inverse=True, return_counts=True)
        alone |= count[back] > 1
    held = p.seed[p.seed != FREE]
    alone[held] = True
    return alone


def _merged(
    p: Problem, group: Ints, xy: np.ndarray, weight: np.ndarray, load: np.ndarray, today: Ints
) -> Problem:
    size = len(weight)
    order = np.lexsort((-p.weight, group))
    head = order[np.concatenate([[True], group[order][1:] != group[order][:-1]])]
    a, b = group[np.repeat(np.arange(p.n), np.diff(p.start))], group[p.touch]
    start, touch = touch_graph(size, np.column_stack([a, b])[a < b])

    def member(pairs: Ints | None, columns: int) -> Ints | None:
        if pairs is None:
            return None
        out = pairs.copy()
        out[:, :columns] = group[pairs[:, :columns]]
        return out

    def add(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        flat = values.reshape(p.n, -1)
        sums = csr_array((np.ones(p.n), (group, np.arange(p.n))), shape=(size, p.n)) @ flat
        return np.asarray(sums).reshape(size, *values.shape[1:])

    seed = np.where(p.seed == FREE, FREE, group[p.seed])
    return replace(
        p,
        xy=xy,
        weight=weight,
        load=load,
        start=start,
        touch=touch,
        fixed=p.fixed[head],
        seed=seed,
        matrix=None if p.matrix is None else p.matrix[np.ix_(head, head)],
        home=None if p.home is None else p.home[head],
        banned=member(p.banned, 1),
        block=None if p.block is None else p.block[head],
        apart=member(p.apart, 2),
        present=None if p.present is None else today,
        price=add(p.price),
        moved=add(p.moved),
    )
