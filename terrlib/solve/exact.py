"""Proof that nothing is cheaper, for small problems: the Hess model and a tree over places of centres.

    minimise    sum_ic  c_ic x_ic                          unit i, candidate c for a centre

    subject to  sum_c x_ic = 1,   sum_{c in G} y_c = 1     each unit; each group of candidates
                low_cm y_c <= sum_i load_im x_ic <= high_cm y_c
                x_ic <= y_c,   y_c = x_ic where i is the unit of c

(Hess et al. 1965). Candidates are the units where all slots are alike, else unit and slot. The linear
relaxation is solved over near pairs; pairs are priced in, rows x_ic <= y_c are added where broken,
and pairs whose reduced cost lifts it above a known answer are deleted. Candidates are grouped by the
nearest centre of the known answer; that a group holds two centres is mostly disproven at once, so
every group holds one. The tree then halves groups by place. Where one candidate of every group is
left, the rest is `assign_units`, where pieces, blocks, apart and caps come in.
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy.sparse import csr_array

from terrlib.solve.milp import (
    SCALE,
    Mask,
    assign_units,
    change_costs,
    load_model,
    polish,
    slot_costs,
    solver,
)
from terrlib.solve.partition import (
    FREE,
    Floats,
    Ints,
    Problem,
    Solution,
    evaluate,
    feasible,
    travel,
)

GAP = 1e-6
WORTHLESS = 2e-4  # share of the relaxation for which no more pairs are priced in
DEAD = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kObjectiveBound)
STARTS = 6  # where no answer is known
FEW = 3  # candidates of a group that are tried one by one
NEAR = 1.6  # fair shares of units that a candidate is first linked with


def prove(problem: Problem, label: Ints | None, nodes: int) -> Solution:
    """Find an answer and prove that nothing is cheaper.

    Parameters
    ----------
    problem
        Centres given, or units and n up to about 120; for means nothing is proven.
    label
        (n,) a known answer; the better, the quicker the proof.
    nodes
        Nodes of the tree, and of each MILP in it.

    Returns
    -------
    Solution
        "optimal" where the proof was finished, else what is known.

    Raises
    ------
    ValueError
        Where no answer is known and none was found.

    Examples
    --------
    >>> from terrlib.solve.partition import touch_graph
    >>> way = touch_graph(4, np.array([[0, 1], [1, 2], [2, 3]]))
    >>> row = Problem(np.c_[[0.0, 1, 2, 4], np.zeros(4)], np.ones(4), np.ones((4, 1)),
    ...     np.full((2, 1), 1.0), np.full((2, 1), 3.0), *way, np.full(4, -1), np.full(2, -1))
    >>> done = prove(row, None, 1_000)
    >>> done.cost, done.status, done.label.tolist()
    (2.0, 'optimal', [0, 0, 0, 1])
    """
    known = _known(problem, label, nodes)
    if problem.centre_kind == "given":
        cost = slot_costs(problem, np.zeros(problem.n, dtype=np.int64), problem.seed)
        found = assign_units(problem, cost, nodes, start=known)
        known = found.label if found.label is not None else known
        bound, work = found.bound, 1
    elif problem.centre_kind == "mean" or known is None:
        bound, work = 0.0, 0
    else:
        known, bound, work = _search(problem, known, nodes)
    if known is None:
        msg = "no territories that keep every rule were found"
        raise ValueError(msg)
    worth = evaluate(problem, known)[0]
    bound = min(max(bound, 0.0), worth)
    done = worth - bound <= GAP * max(abs(worth), 1e-12)
    here = bound if problem.centre_kind == "given" else float("nan")
    return Solution(known, worth, bound, "optimal" if done else "feasible", (), here, work)


def _known(problem: Problem, label: Ints | None, nodes: int) -> Ints | None:
    """Return the given labels where they keep every rule, else the best of some starts."""
    if label is not None and feasible(problem, label):
        return label
    if problem.centre_kind == "given":
        return None
    rng = np.random.default_rng(0)
    best, worth = None, np.inf
    for _ in range(STARTS):
        centre = rng.choice(problem.n, problem.k, replace=False)
        first = travel(problem, centre).argmin(1)
        first[centre] = np.arange(problem.k)
        for _ in range(5):
            centre = evaluate(problem, first)[1]
            if (centre == FREE).any():
                break
            first = travel(problem, centre).argmin(1)
            first[centre] = np.arange(problem.k)
        found, cost = polish(problem, first, nodes)
        if feasible(problem, found) and cost < worth:
            best, worth = found, cost
    return best


def _alike(problem: Problem) -> bool:
    """Whether slots may be swapped without a change of anything."""
    return bool(
        (problem.low == problem.low[0]).all()
        and (problem.high == problem.high[0]).all()
        and (problem.fixed == FREE).all()
        and (problem.banned is None or not len(problem.banned))
        and (problem.present is None or (problem.present == FREE).all())
    )


class _Relaxation:
    """The linear relaxation over the pairs `keep` (n, c), with the rows x_ic <= y_c found so far."""

    def __init__(
        self, problem: Problem, cost: Floats, spot: Ints, slot: Ints, keep: Mask, linked: Mask
    ) -> None:
        n, m = problem.load.shape
        self.cost, self.spot, self.keep = cost, spot, keep
        self.load = problem.load * (SCALE / np.maximum(problem.high.max(0), 1e-9))
        scale = SCALE / np.maximum(problem.high.max(0), 1e-9)
        self.low, self.high = problem.low[slot] * scale, problem.high[slot] * scale
        self.linked = np.zeros_like(linked)
        self.highs = solver(1, GAP)
        c = len(spot)
        self.column = np.full(keep.shape, -1)
        i, j = np.nonzero(keep)
        self.column[i, j] = np.arange(len(i))
        self.i, self.j = i, j
        own = self.own = self.column[spot, np.arange(c)]
        there = np.flatnonzero(own >= 0)
        row, col, value = [i], [np.arange(len(i))], [np.ones(len(i))]
        for q in range(m):
            for side, edge in enumerate((self.low, self.high)):
                base = n + (2 * q + side) * c
                row += [base + j, base + there]
                col += [np.arange(len(i)), own[there]]
                value += [self.load[i, q], -edge[there, q]]
        shape = (n + 2 * m * c, len(i))
        rows = csr_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape)
        rows.sum_duplicates()
        low = np.r_[np.ones(n), np.tile(np.r_[np.zeros(c), np.full(c, -np.inf)], m)]
        high = np.r_[np.ones(n), np.tile(np.r_[np.full(c, np.inf), np.zeros(c)], m)]
        load_model(self.highs, cost[i, j], rows, low, high, np.ones(len(i)))
        self.link(linked & keep)

    def link(self, pairs: Mask) -> None:
        """Add rows x_ic <= y_c."""
        pairs = pairs & ~self.linked & self.keep
        pairs[self.spot, np.arange(len(self.spot))] = False
        i, j = np.nonzero(pairs)
        if len(i):
            index = np.stack([self.column[i, j], self.own[j]], axis=1).ravel().astype(np.int32)
            begin = np.arange(0, 2 * len(i), 2, dtype=np.int32)
            value = np.tile([1.0, -1.0], len(i))
            self.highs.addRows(
                len(i), np.full(len(i), -np.inf), np.zeros(len(i)), 2 * len(i), begin, index, value
            )
            self.linked |= pairs

    def count(self, group: Ints, least: float, most: float) -> int:
        """Add a row on how many candidates of a group are centres; tell its number."""
        index = self.own[group]
        index = index[index >= 0].astype(np.int32)
        self.highs.addRow(least, most, len(index), index, np.ones(len(index)))
        return self.highs.getNumRow() - 1

    def limit(self, alive: Mask, open_: Mask) -> None:
        """Keep to candidates that are alive, and use those that are open."""
        there = np.flatnonzero(self.own >= 0)
        self.highs.changeColsBounds(
            len(there),
            self.own[there].astype(np.int32),
            open_[there].astype(float),
            alive[there].astype(float),
        )

    def value(self, upper: float) -> float:
        """Return the value of the relaxation; inf where it is not below `upper`."""
        self.highs.setOptionValue("objective_bound", upper)
        while True:
            self.highs.run()
            status = self.highs.getModelStatus()
            if status in DEAD:
                return np.inf
            if status != highspy.HighsModelStatus.kOptimal:
                return -np.inf  # nothing is known
            worth = self.highs.getInfo().objective_function_value
            if worth >= upper:
                return np.inf
            x = np.array(self.highs.getSolution().col_value)
            over = x > x[self.own[self.j]] + 1e-6
            if not over.any():
                return float(worth)
            pairs = np.zeros_like(self.keep)
            pairs[self.i[over], self.j[over]] = True
            before = self.linked.sum()
            self.link(pairs)
            if self.linked.sum() == before:
                return float(worth)

    def reduced(self, all_: Mask) -> Floats:
        """Reduced costs of all pairs, in the model or not."""
        n, m = self.load.shape
        dual = np.array(self.highs.getSolution().row_dual)
        price = dual[n : n + 2 * m * len(self.spot)].reshape(m, 2, -1).sum(1)
        rest = np.where(all_, self.cost - dual[:n, None] - self.load @ price, np.inf)
        rest[self.i, self.j] = np.array(self.highs.getSolution().col_dual)
        return rest


def _root(
    problem: Problem, cost: Floats, spot: Ints, slot: Ints, keep: Mask, groups: Ints, upper: float
) -> tuple[_Relaxation, Mask, float]:
    """Solve the relaxation over near pairs, price the others in, delete what is too dear."""
    every = np.arange(len(spot))
    rank = np.where(keep, cost, np.inf).argsort(0, kind="stable").argsort(0)
    active = keep & (rank < int(NEAR * problem.n / problem.k) + 3)
    active[spot, every] = keep[spot, every]
    linked = np.zeros_like(keep)
    while True:
        model = _Relaxation(problem, cost, spot, slot, active, linked)
        for g in range(groups.max() + 1):
            size = 1.0 if groups.max() else float(problem.k)
            model.count(np.flatnonzero(groups == g), size, size)
        worth = model.value(np.inf)
        if not np.isfinite(worth):
            if active.sum() == keep.sum():
                return model, keep, np.inf
            active = keep.copy()
            continue
        rest = model.reduced(keep)
        linked = model.linked
        # Rows x_ic <= y_c of the pairs left out take what is below 0 from the y_c of a candidate.
        short = np.where(keep & ~active, np.minimum(rest, 0.0), 0.0)
        own = rest[spot, every]
        paid = own + short.sum(0)
        lost = np.minimum(paid, 0.0) - np.minimum(own, 0.0)
        if lost.sum() > -WORTHLESS * abs(worth):
            worth += float(lost.sum())
            rest[short < 0] = 0.0
            rest[spot, every] = np.maximum(paid, np.minimum(own, 0.0))
            break
        active |= (short < 0) & (lost < 0)
    keep = keep & (rest <= upper - worth)
    keep[:, ~keep[spot, every]] = False
    model = _Relaxation(problem, cost, spot, slot, keep, linked)
    return model, keep, worth


def _search(problem: Problem, known: Ints, nodes: int) -> tuple[Ints, float, int]:
    """Prove an answer, or find better ones and prove the last."""
    n, k = problem.n, problem.k
    may = problem.allowed()
    alike = _alike(problem)
    units, change = np.arange(n), change_costs(problem)
    spot = units if alike else np.tile(units, k)
    slot = np.zeros(n, dtype=np.int64) if alike else np.repeat(np.arange(k), n)
    cost = travel(problem, units) if alike else np.tile(travel(problem, units), (1, k))
    cost = cost + change[:, slot]
    keep = np.ones((n, n), dtype=bool) if alike else may[:, slot]
    keep = keep & keep[spot, np.arange(len(spot))]
    worth, centre = evaluate(problem, known)
    model, keep, bound = _root(problem, cost, spot, slot, keep, slot, worth * (1 - GAP / 2))
    if not np.isfinite(bound):
        return known, 0.0, 1
    every = np.arange(len(spot))
    alive = keep[spot, every]
    group = travel(problem, centre)[spot].argmin(1) if alike else slot
    cutoff = worth * (1 - GAP / 2)
    if alike:
        model.count(every, float(k), float(k))
    kind = 1 if _one_each(model, group, k, cutoff, alike) else FREE
    stack = [(bound, alive, np.zeros(len(spot), dtype=bool))]
    left, work = np.inf, 0
    while stack:
        before, alive, open_ = stack.pop()
        if work >= nodes or before >= cutoff:
            left = min(left, before)
            continue
        work += 1
        model.limit(alive, open_)
        value = model.value(cutoff)
        if not np.isfinite(value):
            left = min(left, np.inf if value > 0 else before)
            continue
        solution = model.highs.getSolution()
        at = np.maximum(model.own, 0)
        dear = np.array(solution.col_dual)[at] > cutoff - value
        x = np.array(solution.col_value)[at]
        alive = alive & ~(dear & ~open_)
        if alive.sum() == k:
            chosen = np.flatnonzero(alive)
            chosen = chosen[np.argsort(group[chosen], kind="stable")] if alike else chosen
            leaf = _leaf(problem, cost, spot, keep, chosen, nodes, cutoff)
            left = min(left, leaf[1])
            if leaf[0] is not None and evaluate(problem, leaf[0])[0] < worth:
                known, worth = polish(problem, leaf[0], nodes)
                cutoff = worth * (1 - GAP / 2)
            continue
        parts = _parts(problem, spot, group, alive, open_, x, kind)
        stack += [(value, part, used) for part, used in parts]
    return known, min(left, cutoff), work


def _one_each(model: _Relaxation, group: Ints, k: int, cutoff: float, alike: bool) -> bool:  # noqa: FBT001
    """Ask for one centre in every group where two in one are disproven; tell whether they are."""
    rows = [model.count(np.flatnonzero(group == g), 0.0, float(k)) for g in range(k)]
    for row in rows if alike else []:
        model.highs.changeRowBounds(row, 2.0, float(k))
        possible = model.value(cutoff) < np.inf
        model.highs.changeRowBounds(row, 0.0, float(k) if possible else 1.0)
        if possible:
            return False
    for row in rows:
        model.highs.changeRowBounds(row, 1.0, 1.0)
    return True


def _parts(
    problem: Problem, spot: Ints, group: Ints, alive: Mask, open_: Mask, x: Floats, kind: int
) -> list[tuple[Mask, Mask]]:
    """Branch: halve a group by place, or take and leave a candidate; the likeliest branch last."""
    if kind == FREE:
        free = np.flatnonzero(alive & ~open_)
        c = free[np.abs(x[free] - 0.5).argmin()]
        without, taken = alive.copy(), open_.copy()
        without[c], taken[c] = False, True
        return [(without, open_), (alive, taken)]
    k = problem.k
    top = np.full(k, -1.0)
    np.maximum.at(top, group[alive], x[alive])
    size = np.bincount(group[alive], minlength=k)
    g = int(np.where(size > 1, top, np.inf).argmin())
    members = np.flatnonzero(alive & (group == g))
    if len(members) <= FEW:
        parts: list[Ints] = [members[[a]] for a in range(len(members))]
    else:
        xy = problem.xy[spot[members]]
        members = members[np.argsort(xy[:, np.ptp(xy, axis=0).argmax()], kind="stable")]
        half = int(np.searchsorted(np.cumsum(x[members]), 0.5)) + 1
        half = min(max(half, 1), len(members) - 1)
        parts = [members[:half], members[half:]]
    found = []
    for part in sorted(parts, key=lambda some: x[some].sum()):
        rest = alive.copy()
        rest[group == g] = False
        rest[part] = True
        found.append((rest, open_))
    return found


def _leaf(
    problem: Problem, cost: Floats, spot: Ints, keep: Mask, chosen: Ints, nodes: int, upper: float
) -> tuple[Ints | None, float]:
    """Labels for chosen candidates, one per slot, and a bound of them."""
    may = keep[:, chosen].copy()
    may[spot[chosen]] = np.eye(len(chosen), dtype=bool)
    found = assign_units(problem, cost[:, chosen], nodes, may, None, GAP / 4, spot[chosen], upper)
    return found.label, found.bound
