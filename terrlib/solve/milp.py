"""Cheapest assignment of units to slots whose centres are given, every rule kept: a MILP with cuts.

    minimise    sum_gt  C_gt x_gt                          g a block of units, x_gt in {0, 1}

    subject to  sum_t x_gt = 1                             each block
                low_tm <= sum_g L_gm x_gt <= high_tm       each measure of each slot
                x_at + x_bt <= 1                           a and b apart
                sum_{g, t not today's slot of g} V_gc x_gt <= cap_c
                x_bt + x_at - 1 <= sum_{c in S} x_ct       S separates b from a within slot t

The last rows are the a,b-separator cuts of contiguity (Carvajal et al. 2013; Oehrlein and Haunert
2017). They are added only where an answer comes apart: first to the linear relaxation, then to the
MILP. Where a must be in t, its x is 1 and drops out. Columns whose reduced cost lifts the relaxation
above a known answer are deleted. Every model solved is a relaxation, so its bound holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, diags_array, vstack
from scipy.sparse.csgraph import connected_components

from terrlib.solve.partition import (
    FREE,
    Floats,
    Ints,
    Problem,
    broken,
    evaluate,
    feasible,
    means,
    travel,
    travel_home,
)

GAP = 1e-6
SOLVED = 2  # an answer that keeps every row, in the words of HiGHS
LP_ROUNDS = 60
MILP_ROUNDS = 40
SCALE = 1_000.0  # upper bound of a balance row: HiGHS keeps rows within 1e-6, we keep 1e-9
PER_PIECE = 6  # cuts for one stray piece
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Assignment:
    """Slots for given costs.

    Attributes
    ----------
    label
        (n,) slot of each unit, every rule kept; None where none was found.
    cost
        Its cost; inf where there is none.
    bound
        Proven: no answer over the candidates can cost less.
    proven_none
        Whether it is proven that no answer keeps every rule over the candidates.
    nodes
        Branch-and-bound nodes that it took.
    """

    label: Ints | None
    cost: float
    bound: float
    proven_none: bool
    nodes: int = 0


def assign_units(
    problem: Problem,
    cost: Floats,
    nodes: int,
    candidates: Mask | None = None,
    start: Ints | None = None,
    gap: float = 1e-6,
    centre: Ints | None = None,
    upper: float = np.inf,
    steps: float = np.inf,
) -> Assignment:
    """Find the cheapest assignment that keeps every rule of a problem.

    Parameters
    ----------
    problem
        The rules; its own costs are not looked at.
    cost
        (n, k) cost of a unit in a slot, the price of change in it.
    nodes
        Branch-and-bound nodes of one solve.
    candidates
        (n, k) where units may go; everywhere where None.
    start
        (n,) labels to begin with, used where they keep every rule.
    gap
        Relative gap at which an answer counts as cheapest.
    centre
        (k,) unit at the centre of each slot; pieces grow from it where it must be in its slot.
    upper
        Only cheaper answers are of interest: no bound above it, no label dearer.
    steps
        Steps of the simplex method after which no round with new cuts is begun: where bounds are tight,
        each takes as long as the first.

    Returns
    -------
    Assignment
        The best labels found, with a bound that holds over the candidates.

    Examples
    --------
    >>> from terrlib.solve.partition import touch_graph
    >>> way = touch_graph(4, np.array([[0, 1], [1, 2], [2, 3]]))
    >>> row = Problem(np.c_[np.arange(4.0), np.zeros(4)], np.ones(4), np.ones((4, 1)),
    ...     np.full((2, 1), 2.0), np.full((2, 1), 2.0), *way, np.full(4, -1), np.full(2, -1))
    >>> assign_units(row, travel(row, np.array([0, 1])), 1_000).label.tolist()
    [0, 0, 1, 1]
    """
    may = problem.allowed() if candidates is None else problem.allowed() & candidates
    group = np.arange(problem.n) if problem.block is None else problem.block
    group = np.unique(group, return_inverse=True)[1].astype(np.int64)
    size = int(group.max()) + 1
    together = np.ones((size, problem.k), dtype=bool)
    np.logical_and.at(together, group, may)
    root = _roots(together[group], centre)
    if problem.whole:
        together = _reachable(problem, together, group, root)
    if not together.any(1).all():
        return Assignment(None, np.inf, np.inf, proven_none=True)
    best, limit = None, upper
    if start is not None and feasible(problem, start) and together[group, start].all():
        best, upper = start, _price(cost, start)
        limit = min(limit, upper)
    else:
        upper = np.inf
    shared = np.zeros((size, problem.k))
    np.add.at(shared, group, cost)
    found = _solve(problem, shared, together, group, root, nodes, gap, 0.0, limit, steps)
    if found.label is not None and broken(problem, found.label):
        # An answer within the tolerance of HiGHS but not within ours: ask again, a little narrower.
        narrow = _solve(problem, shared, together, group, root, nodes, gap, 1e-7, limit, steps)
        used = found.nodes + narrow.nodes
        found = replace(narrow, bound=found.bound, proven_none=False, nodes=used)
        if found.label is not None and broken(problem, found.label):
            found = Assignment(None, np.inf, found.bound, proven_none=False, nodes=used)
    label = found.label
    value = np.inf if label is None else _price(cost, label)
    if value < upper:
        best, upper = label, value
    none = found.proven_none and best is None
    return Assignment(best, upper, np.inf if none else min(found.bound, upper), none, found.nodes)


def settle(problem: Problem, label: Ints, rounds: int = 30) -> tuple[float, Ints]:
    """Move units to fit centres and centres to fit units until both rest, pieces left aside.

    Balanced location-allocation (Hess et al. 1965): each round is a transport problem, solved as a
    linear program; the few units it splits go where most of them is.

    Returns
    -------
    cost, label
        Cost of the last transport problem, which no answer with these centres can undercut, and the
        labels it was made for: they may miss a bound or be in pieces.
    """
    n, k, m = problem.n, problem.k, problem.load.shape[1]
    unit, slot = np.divmod(np.arange(n * k), k)
    once = csr_array((np.ones(n * k), (unit, np.arange(n * k))), shape=(n, n * k))
    held = [
        csr_array((problem.load[unit, c], (slot, np.arange(n * k))), shape=(k, n * k))
        for c in range(m)
    ]
    rows = vstack([*held, *(-each for each in held)])
    limit = np.concatenate([problem.high.T.ravel(), -problem.low.T.ravel()])
    scale = np.maximum(np.abs(limit), 1e-12)
    rows = (diags_array(1 / scale) @ rows).tocsr()
    upper = problem.allowed().ravel().astype(float)
    worth, best = np.inf, label
    for _ in range(rounds):
        _, centre = evaluate(problem, label)
        cost = slot_costs(problem, label, centre).ravel()
        found = linprog(
            cost, rows, limit / scale, once, np.ones(n), np.c_[np.zeros(n * k), upper], "highs-ds"
        )
        if found.x is None or found.fun >= worth * (1 - 1e-9):
            break
        worth, best = float(found.fun), label
        label = found.x.reshape(n, k).argmax(1).astype(np.int64)
        if (np.bincount(label, minlength=k) == 0).any():
            break
    return worth, best


def slot_costs(problem: Problem, label: Ints, centre: Ints) -> Floats:
    """Cost of every unit in every slot, (n, k), where the centres of labels stay."""
    if problem.centre_kind == "given":
        cost = travel_home(problem)
    elif problem.centre_kind == "unit":
        cost = travel(problem, centre)
    else:
        gap = problem.xy[:, None, :] - means(problem, label)[None]
        cost = problem.weight[:, None] * (gap**2).sum(2)
    return cost + change_costs(problem)


def change_costs(problem: Problem) -> Floats:
    """Price of change of every unit in every slot, (n, k)."""
    cost = np.zeros((problem.n, problem.k))
    if problem.present is not None and problem.price is not None:
        has = problem.present != FREE
        cost[has] = problem.price[has, None]
        cost[has, problem.present[has]] = 0.0
    return cost


class _Silent(highspy.Highs):
    """HiGHS introduces itself as soon as call-backs are enabled, so it is hushed before that."""

    def enableCallbacks(self) -> None:  # noqa: N802
        self.setOptionValue("output_flag", False)  # noqa: FBT003
        super().enableCallbacks()


def solver(nodes: int, gap: float) -> highspy.Highs:
    """HiGHS, silent, on one thread and with a fixed seed: the same answer every time."""
    highs = _Silent()
    options: dict[str, Any] = {
        "threads": 1,
        "random_seed": 0,
        "mip_rel_gap": gap,
        "mip_abs_gap": 0.0,
        "mip_max_nodes": nodes,
    }
    for name, value in options.items():
        highs.setOptionValue(name, value)
    return highs


def load_model(
    highs: highspy.Highs, cost: Floats, rows: csr_array, low: Floats, high: Floats, upper: Floats
) -> None:
    """Pass a linear model with columns from 0 to `upper`."""
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = rows.shape
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, np.zeros(len(cost)), upper
    model.row_lower_, model.row_upper_ = low, high
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_ = rows.indptr, rows.indices
    model.a_matrix_.value_ = rows.data
    highs.passModel(model)


def split(problem: Problem, inside: Mask) -> tuple[int, Ints]:
    """Pieces of the units `inside` (n,): how many, and the piece of every unit (-1 outside)."""
    i = np.repeat(np.arange(problem.n), np.diff(problem.start))
    both = inside[i] & inside[problem.touch]
    graph = csr_array(
        (np.ones(both.sum()), (i[both], problem.touch[both])), shape=(problem.n, problem.n)
    )
    _, part = connected_components(graph, directed=False)
    names, part = np.unique(part[inside], return_inverse=True)
    full = np.full(problem.n, FREE)
    full[inside] = part
    return len(names), full


def separators(problem: Problem, piece: Ints, trunk: Ints, open_: Mask) -> list[Ints]:
    """Minimal sets of units that part a piece from the trunk of its slot, by either end.

    Parameters
    ----------
    problem
        Its touch graph.
    piece, trunk
        Units of two pieces of one slot.
    open_
        (n,) units that may be in the slot.

    Returns
    -------
    list of (s,)
        One set near the piece, and one near the trunk where that is another.
    """
    found: list[Ints] = []
    for near, far in ((piece, trunk), (trunk, piece)):
        wall = np.zeros(problem.n, dtype=bool)
        wall[_beside(problem, near)] = True
        wall[near] = False
        wall &= open_
        _, part = split(problem, open_ & ~wall)
        side = part == part[far[0]]
        touched = np.zeros(problem.n, dtype=bool)
        touched[_beside(problem, np.flatnonzero(side))] = True
        cut = np.flatnonzero(wall & touched)
        if not found or not np.array_equal(cut, found[0]):
            found.append(cut)
    return found


def _beside(problem: Problem, units: Ints) -> Ints:
    """Return the units that touch any of these."""
    return np.concatenate(
        [problem.touch[problem.start[i] : problem.start[i + 1]] for i in units]
        or [np.empty(0, dtype=np.int64)]
    )


def _price(cost: Floats, label: Ints) -> float:
    return float(cost[np.arange(len(label)), label].sum())


def _roots(may: Mask, centre: Ints | None) -> Ints:
    """Return a unit that must be in each slot, its centre before others; -1 where there is none."""
    root = np.full(may.shape[1], FREE)
    only = may.sum(1) == 1
    for t in range(may.shape[1]):
        held = np.flatnonzero(only & may[:, t])
        if centre is not None and centre[t] in held:
            root[t] = centre[t]
        elif len(held):
            root[t] = held[0]
    return root


def _reachable(problem: Problem, may: Mask, group: Ints, root: Ints) -> Mask:
    """Leave out candidates that cannot be linked with the root of their slot."""
    may = may.copy()
    for t in np.flatnonzero(root != FREE):
        _, part = split(problem, may[group, t])
        lost = np.zeros(len(may), dtype=bool)
        lost[group[part != part[root[t]]]] = True
        may[lost, t] = False
    return may


def _model(
    problem: Problem, may: Mask, group: Ints, column: Ints, narrower: float
) -> tuple[csr_array, Floats, Floats]:
    """Rows of the model without contiguity, and their bounds."""
    g, t = np.nonzero(may)
    size, k, count = len(may), problem.k, len(g)
    load = np.zeros((size, problem.load.shape[1]))
    np.add.at(load, group, problem.load)
    row, col, value = [g], [np.arange(count)], [np.ones(count)]
    low, high = [np.ones(size)], [np.ones(size)]

    def add(rows: Ints, columns: Ints, values: Floats, least: Floats, most: Floats) -> None:
        row.append(rows + sum(map(len, low)))
        col.append(columns)
        value.append(values)
        low.append(least)
        high.append(most)

    every = np.arange(count)
    for m in range(load.shape[1]):
        factor = SCALE / np.maximum(problem.high[:, m], 1e-9)
        factor[~np.isfinite(factor) | (factor == 0.0)] = 1.0
        room = narrower * SCALE
        low_m, high_m = problem.low[:, m] * factor, problem.high[:, m] * factor
        add(t, every, load[g, m] * factor[t], low_m + room, np.maximum(high_m - room, low_m))
    add(t, every, np.ones(count), np.ones(k), np.full(k, np.inf))
    if problem.apart is not None and len(problem.apart):
        pair = np.repeat(np.arange(len(problem.apart) * k), 2).reshape(-1, k, 2)
        where = column[group[problem.apart]].transpose(0, 2, 1)
        real = where >= 0
        count = len(problem.apart) * k
        add(
            pair[real],
            where[real],
            np.ones(int(real.sum())),
            np.full(count, -np.inf),
            np.ones(count),
        )
    if problem.moved is not None and problem.cap is not None:
        for c, most in enumerate(problem.cap):
            amount = np.zeros((size, k))
            np.add.at(amount, group, problem.moved[:, :, c])
            factor_c = SCALE / max(float(most), 1e-9) if most > 0 else 1.0
            end = np.array([most * factor_c])
            add(np.zeros_like(g), every, amount[g, t] * factor_c, np.array([-np.inf]), end)
    shape = (sum(map(len, low)), len(every))
    rows = csr_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape)
    rows.sum_duplicates()
    rows.sort_indices()
    return rows, np.concatenate(low), np.concatenate(high)


def _cuts(
    problem: Problem, cost: Floats, may: Mask, group: Ints, column: Ints, root: Ints, x: Floats
) -> list[tuple[Ints, Floats, float]]:
    """Cuts that labels in pieces break: columns, their factors, and the most that they may sum to."""
    share = np.where(column >= 0, x[column], 0.0)
    label = share.argmax(1)[group]
    found = []
    for t in range(problem.k):
        inside = label == t
        count, part = split(problem, inside)
        if count <= 1:
            continue
        open_ = may[group, t]
        weight = np.bincount(part[inside], problem.load.sum(1)[inside] + 1e-9)
        main = int(weight.argmax())
        if root[t] != FREE and part[root[t]] >= 0:
            main = part[root[t]]
        trunk = np.flatnonzero(part == main)
        a = int(root[t]) if root[t] != FREE else int(trunk[cost[group[trunk], t].argmin()])
        for p in range(count):
            if p == main:
                continue
            piece = np.flatnonzero(part == p)
            for wall in separators(problem, piece, trunk, open_):
                through = np.unique(column[group[wall], t])
                held = share[group[wall], t].sum()
                fresh = piece[np.unique(group[piece], return_index=True)[1]]
                for b in fresh[np.argsort(-share[group[fresh], t], kind="stable")][:PER_PIECE]:
                    # A root that must be in the slot, or comes along with b, drops out of the cut.
                    far = root[t] == FREE and group[a] != group[b]
                    ends = [column[group[a], t]] if far else []
                    worth = share[group[b], t] + (share[group[a], t] - 1 if far else 0)
                    if worth > held + 1e-4:
                        index = np.concatenate([through, [column[group[b], t]], ends])
                        factor = np.r_[-np.ones(len(through)), np.ones(1 + len(ends))]
                        index, factor = _merge(index.astype(np.int64), factor)
                        found.append((index, factor, float(len(ends))))
    return found


def _merge(index: Ints, factor: Floats) -> tuple[Ints, Floats]:
    """Sum the factors of a column that a row names twice, as blocks on both sides of a wall do."""
    names, at = np.unique(index, return_inverse=True)
    return names, np.bincount(at, factor).astype(float)


def _add(highs: highspy.Highs, cuts: list[tuple[Ints, Floats, float]]) -> None:
    begin = np.cumsum([0, *(len(index) for index, _, _ in cuts)])
    highs.addRows(
        len(cuts),
        np.full(len(cuts), -highspy.kHighsInf),
        np.array([most for _, _, most in cuts]),
        int(begin[-1]),
        begin[:-1].astype(np.int32),
        np.concatenate([index for index, _, _ in cuts]).astype(np.int32),
        np.concatenate([factor for _, factor, _ in cuts]),
    )


def _solve(
    problem: Problem,
    cost: Floats,
    may: Mask,
    group: Ints,
    root: Ints,
    nodes: int,
    gap: float,
    narrower: float,
    upper: float,
    steps: float,
) -> Assignment:
    """Solve the model over blocks, adding cuts until the answer is in one piece."""
    column = np.full(may.shape, -1)
    column[may] = np.arange(may.sum())
    g, t = np.nonzero(may)
    price = cost[g, t]
    rows, low, high = _model(problem, may, group, column, narrower)
    highs = solver(nodes, gap)
    load_model(highs, price, rows, low, high, np.ones(len(g)))

    def look(x: Floats) -> list[tuple[Ints, Floats, float]]:
        return _cuts(problem, cost, may, group, column, root, x) if problem.whole else []

    bound = _relax(highs, look)
    if bound == np.inf:
        return Assignment(None, np.inf, np.inf, proven_none=True)
    if bound >= upper:
        return Assignment(None, np.inf, upper, proven_none=False)
    every, end = np.arange(len(g), dtype=np.int32), np.ones(len(g))
    if np.isfinite(upper) and np.isfinite(bound):
        gone = np.array(highs.getSolution().col_dual) > upper - bound + GAP * abs(upper)
        end[gone] = 0.0
        highs.changeColsBounds(len(g), every, np.zeros(len(g)), end)
    highs.changeColsIntegrality(len(g), every, np.full(len(g), highspy.HighsVarType.kInteger))
    used, rounds = 0, MILP_ROUNDS
    while rounds and steps > 0:
        rounds -= 1
        highs.setOptionValue("mip_max_nodes", max(nodes - used, 1))
        highs.run()
        info = highs.getInfo()
        used += max(int(info.mip_node_count), 0)
        steps -= info.simplex_iteration_count
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            none = not np.isfinite(upper)
            return Assignment(None, np.inf, np.inf if none else upper, none, used)
        x = np.array(highs.getSolution().col_value)
        value = info.objective_function_value
        solved = info.primal_solution_status == SOLVED
        if solved and abs(price @ x - value) > GAP * abs(value):
            highs.clearSolver()  # HiGHS gave the answer from before the last cuts: ask afresh
            continue
        bound = max(bound, info.mip_dual_bound)
        if not solved:
            break
        cuts = look(x)
        if not cuts:
            label = np.where(column >= 0, x[column], 0.0).argmax(1)
            worth = _price(cost, label)
            return Assignment(label[group], worth, min(bound, upper), proven_none=False, nodes=used)
        _add(highs, cuts)
    return Assignment(None, np.inf, min(bound, upper), proven_none=False, nodes=used)


def _relax(
    highs: highspy.Highs, look: Callable[[Floats], list[tuple[Ints, Floats, float]]]
) -> float:
    """Value of the linear relaxation with cuts: inf where it has no answer, -inf where unknown."""
    bound = -np.inf
    for _ in range(LP_ROUNDS):
        highs.run()
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return np.inf
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return -np.inf
        bound = highs.getInfo().objective_function_value
        cuts = look(np.array(highs.getSolution().col_value))
        if not cuts:
            break
        _add(highs, cuts)
    return float(bound)
