"""Solve a part of the map again, the rest as it is (POPMUSIC: Taillard and Voss 2002).

A slot and the slots around it make a small problem of the same form. Where its answer is better than
what stands there, it takes its place. As every slot must hold its share, good maps differ locally:
the work is the number of regions times the work of one, whatever the size of the whole.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from terrlib.solve.partition import FREE, Ints, Problem


def slots_around(graph: csr_array, middle: int, count: int) -> Ints:
    """Pick `count` slots: `middle`, and those that touch it, and those that touch these, by nearness.

    `graph` is that of `slot_graph`.
    """
    order, seen = [middle], {middle}
    for t in order:
        if len(order) >= count:
            break
        row = slice(graph.indptr[t], graph.indptr[t + 1])
        near, border = graph.indices[row], graph.data[row]
        for u in near[np.argsort(-border, kind="stable")].tolist():
            if u not in seen:
                seen.add(u)
                order.append(u)
    return np.array(sorted(order[:count]), dtype=np.int64)


def slot_graph(problem: Problem, label: Ints) -> csr_array:
    """How many pairs of touching units two slots share, (k, k)."""
    i = np.repeat(np.arange(problem.n), np.diff(problem.start))
    a, b = label[i], label[problem.touch]
    cross = a != b
    graph = csr_array((np.ones(cross.sum()), (a[cross], b[cross])), shape=(problem.k, problem.k))
    graph.sum_duplicates()
    graph.sort_indices()
    return graph


def restrict(problem: Problem, label: Ints, slots: Ints) -> tuple[Problem, Ints]:
    """Make a problem of the units in some slots and these slots alone.

    Returns
    -------
    Problem, units
        Its unit i is units[i], its slot t is slots[t]. What is outside stays as `label` says, so
        pairs across the border hold, and amounts moved outside are taken off the cap.
    """
    p = problem
    units = np.flatnonzero(np.isin(label, slots))
    to_slot = np.full(p.k + 1, FREE)
    to_slot[slots] = np.arange(len(slots))  # the last entry keeps FREE as it is
    to_unit = np.full(p.n, FREE)
    to_unit[units] = np.arange(len(units))
    graph = csr_array((np.ones(len(p.touch), dtype=np.int8), p.touch, p.start), shape=(p.n, p.n))
    inner = graph[units][:, units]
    inner.sort_indices()
    banned = apart = block = present = price = cap = moved = None
    if p.banned is not None and len(p.banned):
        both = np.column_stack([to_unit[p.banned[:, 0]], to_slot[p.banned[:, 1]]])
        banned = both[(both != FREE).all(1)]
    if p.apart is not None and len(p.apart):
        both = to_unit[p.apart]
        apart = both[(both != FREE).all(1)]
    if p.block is not None:
        block = p.block[units]
    if p.present is not None:
        present = to_slot[p.present[units]]
        price = None if p.price is None else p.price[units]
    if p.moved is not None and p.cap is not None:
        moved = p.moved[np.ix_(units, slots)]
        inside = p.moved[units, label[units]].sum(0)
        cap = np.maximum(p.cap - (p.gone(label) - inside), 0.0)
    seed = np.where(p.seed[slots] == FREE, FREE, to_unit[p.seed[slots]])
    return replace(
        p,
        xy=p.xy[units],
        weight=p.weight[units],
        load=p.load[units],
        low=p.low[slots],
        high=p.high[slots],
        start=inner.indptr.astype(np.int64),
        touch=inner.indices.astype(np.int64),
        fixed=to_slot[p.fixed[units]],
        seed=seed,
        matrix=None if p.matrix is None else p.matrix[np.ix_(units, units)],
        home=None if p.home is None else p.home[np.ix_(units, slots)],
        banned=banned,
        block=block,
        apart=apart,
        present=present,
        price=price,
        moved=moved,
        cap=cap,
    ), units
