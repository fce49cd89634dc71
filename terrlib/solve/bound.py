"""A proof that no territories can cost less: Lagrangian bounds of the Hess model.

With y_j = 1 where a slot has its centre at the candidate j, every problem obeys

    minimise    sum_ij c_ij x_ij     subject to   sum_j x_ij = 1,   sum_j y_j = k,
                low_m y_j <= sum_i a_im x_ij <= high_m y_j,   0 <= x_ij <= y_j in {0, 1},   x_jj = y_j

Rewards v_i for "each unit once" leave one small linear program for every candidate,

    L(v) = sum_i v_i + the k least of f_j(v),     f_j(v) = min sum_i (c_ij - v_i) x_i  in the bounds,

and any v proves L(v) (Hess et al. 1965; Validi, Buchanan and Lykhovyd 2022). f_j is solved by its
dual,

    f_j(v) = max over l of  sum_m min(low_m l_m, high_m l_m) + sum_i min(0, c_ij - v_i - sum_m l_m a_im),

where any l is a bound again: only candidates that seem cheap with their last l are solved anew.
Rewards climb by the r-algorithm (Shor 1985). Candidates are

    unit    every unit; or the units within a square cell, c_ij = w_i max(0, d_ij - h),
    mean    a cell of half a diagonal h, c_ij = w_i (d_ij^2 - h^2): for units S with their mean in it
            sum_S w_i |x_i - mean|^2 = sum_S w_i |x_i - c|^2 - w(S) |mean - c|^2,
    given   one per slot, where L has a closed form in the l of the slots.

Where slots differ (price of change, uneven bounds, fixed or banned units) and are not too many,
every slot t has candidates of its own, at c_ij + p_i [t is not the slot of i today], its own bounds,
and a large cost where a unit may not be; L takes the least candidate of each slot.
Cells whose candidate is chosen are split into four, so that h matters only where it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from terrlib.solve.partition import (
    FREE,
    Floats,
    Ints,
    Problem,
    travel,
    travel_home,
)

WORK = 1_500_000_000  # pairs looked at
CALLS_ROOT, CALLS_NODE = 2000, 150  # looks at a node
DENSE = 6000  # units up to which a table of all pairs is made
SLOTTED = 10_000_000  # units squared times slots up to which slots are told apart
STAGES = 5  # times that cells are cut
COARSE = 1000  # units up to which rewards are sought one by one
SHRINK, LONGER, SHORTER = 0.3, 1.2, 0.95  # the r-algorithm's dilation and steps


@dataclass(frozen=True)
class Bound:
    """What is proven about the least cost.

    Attributes
    ----------
    value
        No answer can cost less.
    relaxed
        Rules of the problem that the proof leaves out.
    """

    value: float
    relaxed: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    """Units and candidates; `table` holds the costs, or they follow from places.

    Attributes
    ----------
    table
        (units, n) costs, over again for each slot; or (0, 0).
    xy, weight, within
        (n, 2), (n,), (n,) place, weight, and moment of a unit about its own place.
    spot, half
        (g, 2), (g,) centres of cells and half their diagonals.
    slot, extra, barred
        (g,) slot that a candidate is for; (s, n) what a unit costs in a slot beside travel;
        what it costs at the least where it may not be.
    load, low, high
        (m, n), (s, m), (s, m); the mean load of each measure is 1.
    own
        (g,) unit that a candidate is, -1 where none.
    """

    table: Floats
    xy: Floats
    weight: Floats
    within: Floats
    spot: Floats
    half: Floats
    square: bool
    slot: Ints
    extra: Floats
    barred: float
    load: Floats
    low: Floats
    high: Floats
    own: Ints


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, out):
    """Costs less rewards of a candidate."""
    n, beside = len(reward), extra[slot[j]]
    if len(table):
        costs = table[j % len(table)]
        for i in range(n):
            out[i] = costs[i] + beside[i] - reward[i]
    elif square:
        for i in range(n):
            dx, dy = xy[i, 0] - spot[j, 0], xy[i, 1] - spot[j, 1]
            gap = dx * dx + dy * dy - half[j] * half[j]
            out[i] = weight[i] * gap + within[i] + beside[i] - reward[i]
    else:
        for i in range(n):
            dx, dy = xy[i, 0] - spot[j, 0], xy[i, 1] - spot[j, 1]
            gap = max(np.sqrt(dx * dx + dy * dy) - half[j], 0.0)
            out[i] = weight[i] * gap + beside[i] - reward[i]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dual(rest, load, low, high, own, price):
    """Value of prices; `rest` is turned into reduced costs."""
    value = 0.0
    for q in range(len(low)):
        p = price[q]
        if p != 0.0:
            value += p * (low[q] if p > 0.0 else high[q])
            for i in range(len(rest)):
                rest[i] -= p * load[q, i]
    for i in range(len(rest)):
        value += min(rest[i], 0.0)
    if own >= 0:
        value += max(rest[own], 0.0)
    return value


@njit(cache=True, nogil=True)
def _solve(base, load, low, high, own, price, basis, x):
    """Least cost of one candidate by the dual simplex method with long steps; x is its answer.

    Every basis is dual feasible since every variable has two bounds, so any old basis will do.
    Variable n + q is the load of measure q.
    """
    m, n = load.shape
    column, cost, inverse = np.empty((m, m)), np.empty(m), np.empty((m, m))
    trial, rest, best = np.empty(m), np.empty(n), -np.inf
    at, size, who = np.empty(n + m), np.empty(n + m), np.empty(n + m, np.int64)
    for _ in range(20 + 20 * m):
        for b in range(m):
            v = basis[b]
            cost[b] = base[v] if v < n else 0.0
            for q in range(m):
                column[q, b] = load[q, v] if v < n else (-1.0 if v - n == q else 0.0)
        if abs(np.linalg.det(column)) < 1e-12:
            for q in range(m):
                basis[q] = n + q
            continue
        inverse[:] = np.linalg.inv(column)
        for q in range(m):
            trial[q] = 0.0
            for b in range(m):
                trial[q] += inverse[b, q] * cost[b]
            if abs(trial[q]) < 1e-13:
                trial[q] = 0.0
        rest[:] = base
        value = _dual(rest, load, low, high, own, trial)
        if value > best:
            best = value
            price[:] = trial
        for i in range(n):
            x[i] = 1.0 if rest[i] < 0.0 or i == own else 0.0
        for b in range(m):
            if basis[b] < n:
                x[basis[b]] = 0.0
        need = np.zeros(m)
        for q in range(m):
            total = 0.0
            for i in range(n):
                total += load[q, i] * x[i]
            need[q] = -total
            inside = False
            for b in range(m):
                inside |= basis[b] == n + q
            if not inside:
                need[q] += low[q] if trial[q] >= 0.0 else high[q]
        worst, leave, sign = 1e-9, -1, 1.0
        for b in range(m):
            level = 0.0
            for q in range(m):
                level += inverse[b, q] * need[q]
            v = basis[b]
            floor, ceiling = (0.0, 1.0) if v < n else (low[v - n], high[v - n])
            if v < n:
                x[v] = min(max(level, 0.0), 1.0)
            if level - ceiling > worst:
                worst, leave, sign = level - ceiling, b, 1.0
            if floor - level > worst:
                worst, leave, sign = floor - level, b, -1.0
        if leave < 0:
            break
        count = 0
        for i in range(n + m):
            if i == own:
                continue
            skip = False
            for b in range(m):
                skip |= basis[b] == i
            if skip:
                continue
            alpha = 0.0
            if i < n:
                for q in range(m):
                    alpha += inverse[leave, q] * load[q, i]
                reduced, width = rest[i], 1.0
            else:
                alpha = -inverse[leave, i - n]
                reduced, width = trial[i - n], high[i - n] - low[i - n]
            alpha *= sign
            if (reduced >= 0.0 and alpha > 1e-11) or (reduced < 0.0 and alpha < -1e-11):
                at[count], size[count], who[count] = reduced / alpha, abs(alpha) * width, i
                count += 1
        order, slope, enter = np.argsort(at[:count]), worst, -1
        for o in order:
            slope -= size[o]
            if slope <= 1e-12:
                enter = who[o]
                break
        if enter < 0:
            return np.inf if slope > 1e-6 else best  # the bounds cannot be kept here
        basis[leave] = enter
    return best


@njit(cache=True, nogil=True)
def _cheapest(
    table, xy, weight, within, spot, half, square, slot, extra, load, low, high, own, reward, group, count,
    price, basis, times, served
):  # fmt: skip
    """Sum of the `count[t]` least candidates of each group t; group -1 is left out.

    After so many solutions the bounds of the last prices must do: they are bounds too.
    """
    solves = 500 + 3 * count.sum()
    g, n = len(own), load.shape[1]
    rest, x, values = np.empty(n), np.empty(n), np.full(g, np.inf)
    for j in range(g):
        if group[j] >= 0:
            _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest)
            values[j] = _dual(rest, load, low[slot[j]], high[slot[j]], own[j], price[j])
    order, total = np.argsort(values), 0.0
    top = np.full((len(count), max(1, count.max())), np.inf)
    chosen = np.full(top.shape, -1)
    for j in order:
        t = group[j]
        if t < 0 or count[t] == 0 or values[j] >= top[t, count[t] - 1]:
            continue
        if solves > 0:
            solves -= 1
            _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest)
            values[j] = _solve(
                rest, load, low[slot[j]], high[slot[j]], own[j], price[j], basis[j], x
            )
        place = count[t]
        while place > 0 and top[t, place - 1] > values[j]:
            place -= 1
        for p in range(count[t] - 1, place, -1):
            top[t, p], chosen[t, p] = top[t, p - 1], chosen[t, p - 1]
        if place < count[t]:
            top[t, place], chosen[t, place] = values[j], j
    served[:] = 0.0
    times *= 0.97
    for t in range(len(count)):
        for p in range(count[t]):
            total += top[t, p]
            j = chosen[t, p]
            if j >= 0:
                times[j] += 1.0
                _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest)
                _solve(rest, load, low[slot[j]], high[slot[j]], own[j], price[j], basis[j], x)
                served += x
    return total + reward.sum(), values


@njit(cache=True, nogil=True)
def _exact(
    table, xy, weight, within, spot, half, square, slot, extra, load, low, high, own, reward,
    price, basis, values, rest,
):  # fmt: skip
    """Least cost of every candidate and the reduced costs of its units."""
    x = np.empty(len(reward))
    for j in range(len(own)):
        _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest[j])
        _solve(rest[j], load, low[slot[j]], high[slot[j]], own[j], price[j], basis[j], x)
        values[j] = _dual(rest[j], load, low[slot[j]], high[slot[j]], own[j], price[j])


@njit(cache=True, nogil=True)
def _near_basis(
    table, xy, weight, within, spot, half, square, slot, extra, load, reward, price, basis,
):  # fmt: skip
    """Bases of the units for which the prices are all but indifferent."""
    (m, n), rest = load.shape, np.empty(load.shape[1])
    for j in range(len(basis)):
        _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest)
        for q in range(m):
            for i in range(n):
                rest[i] -= price[j, q] * load[q, i]
        for q in range(m):
            at, least = -1, np.inf
            for i in range(n):
                size = abs(rest[i])
                if size < least * load[q, i]:
                    at, least = i, size / load[q, i]
            basis[j, q] = at if at >= 0 else n + q
            if at >= 0:
                rest[at] = np.inf


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _through(vector, along, count, back):
    """Shrink a vector along `count` directions, first to last or `back`."""
    for c in range(count):
        r = along[count - 1 - c if back else c]
        total = 0.0
        for i in range(len(r)):
            total += vector[i] * r[i]
        total *= SHRINK - 1.0
        for i in range(len(r)):
            vector[i] += total * r[i]


def _climb(
    value_and_slope: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    scale: Floats,
    upper: float,
    calls: int,
) -> tuple[float, Floats]:
    """Climb a concave function with corners by the r-algorithm; stop at `upper`.

    The space of steps is kept as a product of dilations: cheaper than a matrix up to 2 n steps.
    """
    at, dilated, count = start.copy(), np.empty((calls, len(start))), 0
    value, slope = value_and_slope(at)
    best, best_at = value, at.copy()
    length, used = 0.0, 1
    turned = slope * scale
    while used < calls and best < upper:
        norm = float(np.sqrt(turned @ turned))
        if norm <= 1e-12 * abs(upper):
            break
        if not length:
            length = max(upper - value, 1e-3 * abs(upper)) / norm
        step = turned / norm
        _through(step, dilated, count, True)  # noqa: FBT003
        step *= scale
        taken = 0
        while taken < 20 and used < calls:
            at = at + length * step
            value, slope = value_and_slope(at)
            taken, used = taken + 1, used + 1
            if value > best:
                best, best_at = value, at.copy()
            if taken > 2:
                length *= LONGER
            if slope @ step <= 0:
                break
        if taken == 1:
            length *= SHORTER
        before, turned = turned, slope * scale
        _through(turned, dilated, count, False)  # noqa: FBT003
        along = turned - before
        norm = float(np.sqrt(along @ along))
        if norm > 0:
            dilated[count] = along / norm
            turned += (SHRINK - 1.0) * (turned @ dilated[count]) * dilated[count]
            count += 1
    return best, best_at


def lower_bound(problem: Problem, upper: float, effort: int = 1) -> Bound:
    """Prove how much a problem costs at the least.

    Parameters
    ----------
    problem
        What is asked; rules that the proof leaves out are named in the answer.
    upper
        Cost of a known solution; it steers the steps and caps the value, never the validity;
        inf or nan where none is known.
    effort
        Times as many steps.

    Returns
    -------
    Bound
        At most `upper`, at least 0.

    Examples
    --------
    >>> from terrlib.solve.partition import touch_graph
    >>> xy = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [6.0, 0.0]])
    >>> start, touch = touch_graph(4, np.array([[0, 1], [1, 2], [2, 3]]))
    >>> row = Problem(xy, np.ones(4), np.ones((4, 1)), np.full((2, 1), 2.0), np.full((2, 1), 2.0),
    ...     start, touch, np.full(4, -1), np.full(2, -1))
    >>> bound = lower_bound(row, 2.0)
    >>> round(bound.value, 6), bound.relaxed
    (2.0, ('pieces',))
    """
    part = _together(problem)
    most = upper if np.isfinite(upper) else np.inf
    if most == np.inf:
        away = travel(problem, np.arange(0, problem.n, 1 + problem.n // 64))
        away = away if problem.home is None else travel_home(problem)
        upper = float(away.max(1).sum() + (0.0 if problem.price is None else problem.price.sum()))
    if problem.home is not None:
        value = _given(problem, part, upper, 400 * effort)
    elif problem.k >= problem.n:
        value = 0.0
    else:
        value = _free(problem, part, upper, effort)
    return Bound(float(min(max(value, 0.0), most)), _left_out(problem))


def _left_out(problem: Problem) -> tuple[str, ...]:
    """Name the rules of a problem that its bound leaves out."""
    free = problem.home is None
    alike = free and not _slotted(problem)
    slots = (problem.fixed != FREE).any()
    uneven = (problem.low != problem.low[0]).any() or (problem.high != problem.high[0]).any()
    out = {
        "pieces": problem.whole,
        "balance": alike and uneven,
        "change": alike and problem.price is not None and problem.price.any(),
        "apart": problem.apart is not None and len(problem.apart),
        "cap": free and problem.cap is not None and len(problem.cap),
        "slots": alike and (slots or (problem.banned is not None and len(problem.banned))),
    }
    return tuple(name for name, left in out.items() if left)


def _together(problem: Problem) -> Ints:
    """Number what is in one slot for sure: blocks, and the units fixed to one slot."""
    n = problem.n
    part = (
        np.arange(n) if problem.block is None else np.unique(problem.block, return_inverse=True)[1]
    )
    held = problem.fixed != FREE
    ends = np.r_[np.arange(n), np.flatnonzero(held)], np.r_[n + part, 2 * n + problem.fixed[held]]
    graph = csr_array((np.ones(len(ends[0])), ends), shape=(2 * n + problem.k,) * 2)
    return np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)[1]


def _sum(values: Floats, part: Ints, parts: int) -> Floats:
    """Sum the rows of a table by part."""
    merge = csr_array((np.ones(len(part)), (part, np.arange(len(part)))), shape=(parts, len(part)))
    return merge @ values


def _given(problem: Problem, part: Ints, upper: float, calls: int) -> float:
    """Bound where every slot has its centre: prices of the bounds and caps alone."""
    parts, k = int(part.max()) + 1, problem.k
    leaves = np.zeros((problem.n, k), dtype=bool)
    if problem.present is not None:
        leaves = (problem.present != FREE)[:, None] & (
            problem.present[:, None] != np.arange(k)[None]
        )
    cost = travel_home(problem)
    if problem.price is not None:
        cost = cost + problem.price[:, None] * leaves
    capped = problem.cap is not None and problem.moved is not None
    moved = np.zeros((problem.n, 0)) if problem.moved is None or not capped else problem.moved
    cap = np.zeros(0) if problem.cap is None or not capped else problem.cap
    away = np.stack(
        [_sum(moved[:, [c]] * leaves, part, parts) for c in range(len(cap))] or [np.zeros((0, 0))]
    )
    cost = _sum(cost, part, parts)
    cost[_sum((~problem.allowed()).astype(float), part, parts) > 0] = np.inf
    if not np.isfinite(cost.min(1)).all():
        return upper
    load = _sum(problem.load, part, parts)
    return _priced(cost, load, problem.low, problem.high, away, cap, upper, calls)[0]


def _priced(
    cost: Floats, load: Floats, low: Floats, high: Floats, away: Floats, cap: Floats,
    upper: float, calls: int,
) -> tuple[float, Floats]:  # fmt: skip
    """Bound for given centres, and the rewards that prove it."""
    k, m = low.shape
    unit = np.maximum(load.mean(0), 1e-300)
    load, low, high = load / unit, low / unit, np.minimum(high, load.sum(0)) / unit
    caps = len(cap)
    each = np.arange(len(cost))

    def reduce(price: Floats) -> Floats:
        rest = cost - load @ price[: k * m].reshape(k, m).T
        for c in range(caps):
            rest += max(price[k * m + c], 0.0) * away[c]
        return rest

    def value_and_slope(price: Floats) -> tuple[float, Floats]:
        rest = reduce(price)
        slot = rest.argmin(1)
        p = price[: k * m].reshape(k, m)
        held = np.stack([np.bincount(slot, load[:, q], minlength=k) for q in range(m)], axis=1)
        side = np.where(p > 0, low, np.where(p < 0, high, np.clip(held, low, high)))
        value = rest[each, slot].sum() + np.where(p != 0, p * side, 0.0).sum()
        slope = np.r_[(side - held).ravel(), np.zeros(caps)]
        for c in range(caps):
            if price[k * m + c] >= 0:
                value -= price[k * m + c] * cap[c]
                slope[k * m + c] = away[c][each, slot].sum() - cap[c]
            else:
                slope[k * m + c] = max(away[c][each, slot].sum() - cap[c], 0.0)
        return float(value), slope

    price = np.zeros(k * m + caps)
    value, price = _climb(value_and_slope, price, np.ones(k * m + caps), upper, calls)
    return value, reduce(price).min(1)


def _slotted(problem: Problem) -> bool:
    """Whether slots differ and every slot is to have candidates of its own."""
    differ = (
        (problem.low != problem.low[0]).any()
        or (problem.high != problem.high[0]).any()
        or (problem.price is not None and problem.present is not None and problem.price.any())
        or not problem.allowed().all()
    )
    return problem.home is None and bool(differ) and problem.n**2 * problem.k <= SLOTTED


def _change(problem: Problem) -> Floats:
    """Price of change of every unit in every slot, (n, k)."""
    assert problem.price is not None
    slots = np.arange(problem.k)[:, None]
    return np.stack([problem.price * problem.leaves(t) for t in slots], axis=1)


def _model(problem: Problem, part: Ints, cells: int, slots: float = 0.0) -> _Model:
    """Candidates for free centres over parts of units: units where there is a table, else cells.

    `slots` is what a unit costs in a slot it may not be in; where 0, all slots are alike.
    """
    parts = int(part.max()) + 1
    load = _sum(problem.load, part, parts).T
    unit = np.maximum(load.mean(1), 1e-300)
    weight = _sum(problem.weight[:, None], part, parts)[:, 0]
    count = np.bincount(part, minlength=parts)
    mass = np.where(weight[part] > 0, problem.weight, 1.0)
    total = np.where(weight > 0, weight, count)
    xy = _sum(mass[:, None] * problem.xy, part, parts) / total[:, None]
    within = np.zeros(parts)
    if problem.square:
        gap = ((problem.xy - xy[part]) ** 2).sum(1)
        within = _sum((problem.weight * gap)[:, None], part, parts)[:, 0]
    table = np.zeros((0, 0))
    own, spot, half = np.full(0, FREE), np.zeros((0, 2)), np.zeros(0)
    if _tabled(problem):
        table = np.empty((problem.n, parts))
        for begin in range(0, problem.n, 256):
            some = np.arange(begin, min(begin + 256, problem.n))
            table[some] = _sum(travel(problem, some), part, parts).T
        own, spot, half = part.astype(np.int64), problem.xy, np.zeros(problem.n)
    else:
        spot, half = _grid(problem.xy, cells)
        spot, half = _inhabited(problem, spot, half)
        own = np.full(len(spot), FREE)
    low, high = problem.low.min(0)[None], problem.high.max(0)[None]
    extra = np.zeros((1, parts))
    if slots:
        low, high = problem.low, problem.high
        change = np.zeros((problem.n, problem.k)) if problem.price is None else _change(problem)
        extra = np.ascontiguousarray(_sum(change + slots * ~problem.allowed(), part, parts).T)
    s, g = len(low), len(spot)
    return _Model(
        table, xy, weight, within, np.tile(spot, (s, 1)), np.tile(half, s), problem.square,
        np.repeat(np.arange(s), g), extra, slots or np.inf,
        np.ascontiguousarray(load / unit[:, None]), low / unit,
        np.minimum(high, problem.load.sum(0)) / unit, np.tile(own, s),
    )  # fmt: skip


def _grid(xy: Floats, cells: int) -> tuple[Floats, Floats]:
    """About so many square cells over all places: their centres and half diagonals."""
    floor, wide = xy.min(0), np.ptp(xy, axis=0)
    side = max(np.sqrt(wide.prod() / cells), wide.max() / cells)
    if side == 0:
        return floor[None], np.zeros(1)
    steps = [floor[q] + side * (np.arange(int(wide[q] / side) + 1) + 0.5) for q in (0, 1)]
    spot = np.stack(np.meshgrid(*steps), axis=-1).reshape(-1, 2)
    return spot, np.full(len(spot), side / np.sqrt(2))


def _inhabited(problem: Problem, spot: Floats, half: Floats) -> tuple[Floats, Floats]:
    """Cells that may hold a centre: those with a unit where centres are units."""
    if problem.centre_kind == "mean":
        return spot, half
    near = KDTree(spot)
    # a unit on the border of cells is in reach of each of them
    reach = near.query_ball_point(problem.xy, half.max() * (1 + 1e-9))
    gap = [
        np.abs(problem.xy[i] - spot[r]).max(1) <= half[r] / np.sqrt(2) * (1 + 1e-9)
        for i, r in enumerate(reach)
    ]
    keep = np.zeros(len(spot), dtype=bool)
    for r, inside in zip(reach, gap, strict=True):
        keep[np.asarray(r)[inside]] = True
    return spot[keep], half[keep]


class _Search:
    """A model with the prices of its candidates, kept from call to call."""

    def __init__(self, model: _Model) -> None:
        g, m = len(model.own), len(model.load)
        self.model = model
        self.price = np.zeros((g, m))
        self.basis = np.tile(len(model.weight) + np.arange(m), (g, 1))
        self.times = np.zeros(g)

    def look(self, reward: Floats, group: Ints, count: Ints) -> tuple[float, Floats, Floats]:
        """Value of rewards, its slope, and a bound of every candidate."""
        served = np.empty(len(reward))
        m = self.model
        value, values = _cheapest(
            m.table, m.xy, m.weight, m.within, m.spot, m.half, m.square, m.slot, m.extra, m.load, m.low, m.high,
            m.own, reward, group, count, self.price, self.basis, self.times, served,
        )  # fmt: skip
        return value, 1.0 - served, values

    def climb(
        self, reward: Floats, upper: float, calls: int, group: Ints, count: Ints
    ) -> tuple[float, Floats]:
        """Better rewards."""
        size = np.abs(reward)
        scale = np.sqrt(size + 0.01 * size.mean() + 1e-300)
        return _climb(lambda v: self.look(v, group, count)[:2], reward, scale, upper, calls)

    def exact(self, reward: Floats) -> tuple[Floats, Floats]:
        """Least cost of every candidate, (g,), and the reduced cost of every pair, (g, n)."""
        m = self.model
        values, rest = np.empty(len(m.own)), np.empty((len(m.own), len(reward)))
        _exact(
            m.table, m.xy, m.weight, m.within, m.spot, m.half, m.square, m.slot, m.extra, m.load, m.low, m.high,
            m.own, reward, self.price, self.basis, values, rest,
        )  # fmt: skip
        return values, rest

    def centres(self, reward: Floats) -> Floats:
        """Where the centres of a unit are in the mean of the candidates chosen of late, (n, 2)."""
        m = self.model
        x, rest, total = np.empty(len(reward)), np.empty(len(reward)), np.zeros((len(reward), 3))
        for j in np.flatnonzero(self.times > 0):
            _row(
                j,
                m.table,
                m.xy,
                m.weight,
                m.within,
                m.spot,
                m.half,
                m.square,
                m.slot,
                m.extra,
                reward,
                rest,
            )
            _solve(
                rest,
                m.load,
                m.low[m.slot[j]],
                m.high[m.slot[j]],
                m.own[j],
                self.price[j],
                self.basis[j],
                x,
            )
            total += (self.times[j] * x)[:, None] * np.r_[m.spot[j], 1.0]
        served = total[:, 2] > 0
        return np.where(
            served[:, None], total[:, :2] / np.where(served, total[:, 2], 1.0)[:, None], m.xy
        )

    def inherit(self, coarse: _Search, reward: Floats, group: Ints) -> Floats:
        """Take the cells and prices of a coarser model; share its rewards out to the units.

        A unit is worth its own way to the centre of its group, and a share by load of the rest.
        """
        old, m = coarse.model, self.model
        self.model = replace(m, spot=old.spot, half=old.half, own=old.own, slot=old.slot)
        # loads are in units of their means
        self.price = coarse.price * (len(old.weight) / len(m.weight))
        self.times = coarse.times.copy()
        away = ((m.xy - coarse.centres(reward)[group]) ** 2).sum(1)
        cost = m.weight * (away if m.square else np.sqrt(away)) + m.within
        size = m.load.sum(0) + 1e-9
        left = reward - np.bincount(group, cost, minlength=len(reward))
        reward = cost + (left / np.bincount(group, size, minlength=len(reward)))[group] * size
        self.basis = np.empty(coarse.basis.shape, dtype=np.int64)
        _near_basis(
            m.table, m.xy, m.weight, m.within, old.spot, old.half, m.square, old.slot, m.extra, m.load, reward,
            self.price, self.basis,
        )  # fmt: skip
        return reward

    def groups(self) -> Ints:
        """Candidates by slot, less those that may not be in it; all in one where slots are alike."""
        m, held = self.model, self.model.own >= 0
        barred = np.zeros(len(m.own), dtype=bool)
        barred[held] = m.extra[m.slot[held], m.own[held]] >= m.barred
        return np.where(barred, FREE, m.slot)

    def split(self) -> bool:
        """Cut the cells that were chosen of late into four."""
        m = self.model
        cut = (self.times > 0.05) & (m.half > 0)
        if not cut.any():
            return False
        turn = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]) / np.sqrt(8)
        spot = (m.spot[cut][:, None] + m.half[cut][:, None, None] * turn).reshape(-1, 2)
        half = np.repeat(m.half[cut] / 2, 4)
        price, basis = np.repeat(self.price[cut], 4, 0), np.repeat(self.basis[cut], 4, 0)
        self.price, self.basis = (
            np.vstack([self.price[~cut], price]),
            np.vstack([self.basis[~cut], basis]),
        )
        spot, half = np.vstack([m.spot[~cut], spot]), np.r_[m.half[~cut], half]
        self.times = np.zeros(len(spot))
        slot = np.r_[m.slot[~cut], np.repeat(m.slot[cut], 4)]
        self.model = replace(m, spot=spot, half=half, own=np.full(len(spot), FREE), slot=slot)
        return True


def _begin(
    problem: Problem, part: Ints, upper: float, slots: float = 0.0
) -> tuple[_Search, Floats]:
    """A search and its first rewards: a unit is worth its share of the cost."""
    search = _Search(_model(problem, part, max(300, 25 * problem.k), slots))
    weight = search.model.weight
    reward = weight + 1e-3 * weight.mean() + 1e-300
    return search, upper * reward / reward.sum()


def _free(problem: Problem, part: Ints, upper: float, effort: int) -> float:
    """Bound where centres are free."""
    parts = int(part.max()) + 1
    slotted = _slotted(problem)
    dear = 2 * upper + (0.0 if problem.price is None else 2 * float(problem.price.sum()))
    slots = max(dear, 1e-300) * slotted
    count = np.ones(problem.k, dtype=np.int64) if slotted else np.array([problem.k])
    if _tabled(problem):
        search, reward = _begin(problem, part, upper, slots)
        most = 1_500_000_000 if slotted else WORK
        calls = max(1, min(1500, most // (len(search.model.own) * len(reward)))) * effort
        return search.climb(reward, upper, calls, search.groups(), count)[0]
    most = max(COARSE, 4 * problem.k) * effort
    levels = [size for size in (most, 4 * most) if size < 0.7 * parts]
    groups = [_gather(problem, part, size) for size in levels] + [np.arange(parts)]
    search, reward = _begin(problem, groups[0][part], upper, slots)
    value = 0.0
    for stage in range(STAGES):
        calls = min(60, WORK // 4 // (len(search.model.own) * len(reward)) + 1) * effort
        value, reward = search.climb(reward, upper, calls, search.groups(), count)
        if stage + 1 < STAGES and len(search.model.own) * parts < WORK // 10:
            search.split()
    for level in range(len(levels)):
        coarse, fine = groups[level], groups[level + 1]
        finer = _Search(_model(problem, fine[part], 1, slots))
        of = np.zeros(int(fine.max()) + 1, dtype=np.int64)
        of[fine] = coarse
        reward = finer.inherit(search, reward, of)
        calls = min(40, max(1, WORK // (len(finer.model.own) * len(of)))) * effort
        value, reward = finer.climb(reward, upper, calls, finer.groups(), count)
        search = finer
    return value


def _tabled(problem: Problem) -> bool:
    """Whether the costs of all pairs of a unit and a centre are written down."""
    return problem.centre_kind == "unit" and (problem.matrix is not None or problem.n <= DENSE)


def _gather(problem: Problem, part: Ints, parts: int) -> Ints:
    """Group parts near one another; groups of a larger number lie within those of a smaller."""
    mass = problem.weight / max(problem.weight.mean(), 1e-300) + 1e-6
    mass = mass + (problem.load / np.maximum(problem.load.mean(0), 1e-300)).sum(1)
    total = np.bincount(part, mass)
    xy = np.stack([np.bincount(part, mass * problem.xy[:, q]) / total for q in (0, 1)], axis=1)
    group = np.zeros(len(total), dtype=np.int64)
    heap: list[tuple[float, int, tuple[Ints, Ints]]] = []

    def push(number: int, units: Ints) -> None:
        gap = xy[units] - np.average(xy[units], axis=0, weights=total[units])
        size, axes = np.linalg.eigh((total[units][:, None] * gap).T @ gap)
        along = gap @ axes[:, 1]
        heappush(heap, (-float(size.sum()), number, (units[along < 0], units[along >= 0])))

    push(0, np.arange(len(total)))
    for number in range(1, parts):
        _, old, (left, right) = heappop(heap)
        if not len(left) or not len(right):
            break
        group[right] = number
        push(old, left)
        push(number, right)
    return group


def reduced(
    problem: Problem, upper: float, effort: int = 1
) -> tuple[float, NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which centres, and which units with them, an answer cheaper than `upper` can have.

    Parameters
    ----------
    problem
        Free centres that are units, at most 6000 of them.
    upper
        Cost of a known solution.
    effort
        Times as many steps.

    Returns
    -------
    value, centre, pair
        The bound; (n,) whether a unit can be a centre; (n, n) whether unit i can be in the slot
        of a centre at unit j. What is left out proves a cost of `upper` or more by its reduced
        cost.
    """
    part = _together(problem)
    search, reward = _begin(problem, part, upper)
    calls = min(1500, WORK // search.model.table.size) * effort
    value, reward = search.climb(reward, upper, calls, search.groups(), np.array([problem.k]))
    values, rest = search.exact(reward)
    least = np.partition(values, problem.k - 1)[problem.k - 1]
    with_it = value + np.maximum(values - least, 0.0)
    limit = upper + 1e-9 * abs(upper)
    pair = with_it[:, None] + np.maximum(rest, 0.0) < limit
    return min(max(value, 0.0), upper), with_it < limit, pair[:, part].T


def branch_bound(problem: Problem, upper: float, nodes: int = 200) -> Bound:
    """Prove more for a few slots with free centres at units: branch on where the centres are.

    A node says how many centres lie in each of some regions; the region with the most spread is
    cut in two by a line, once for every number of centres on either side. Candidates that prove
    a cost of `upper` or more are left out for good. Best bound first.

    Parameters
    ----------
    problem
        Free centres that are units, at most 6000 of them; else the answer is `lower_bound`.
    upper
        Cost of a known solution: nothing is sought above it.
    nodes
        At most so many regions are cut.

    Returns
    -------
    Bound
        `upper` itself where nothing cheaper is left.
    """
    if not _tabled(problem) or _slotted(problem) or not np.isfinite(upper):
        return lower_bound(problem, upper)
    part = _together(problem)
    search, reward = _begin(problem, part, upper)
    limit = upper * (1 - 1e-9)
    root = _visit(search, reward, search.groups(), np.array([problem.k]), limit, CALLS_ROOT)
    heap, done, serial = [(root[0], 0, root[1:])], upper, 0
    for _ in range(nodes):
        if not heap or heap[0][0] >= min(limit, done):
            break
        value, _, (reward, group, count, times) = heappop(heap)
        cut = _cut(search.model.spot, group, count, times)
        if cut is None:
            done = min(done, value)
            continue
        t, left = cut
        beside = (group == t) & ~left
        for a in range(count[t] + 1):
            many = np.r_[count, count[t] - a]
            many[t] = a
            where = np.where(beside, len(count), group)
            where[(where >= 0) & (many[where] == 0)] = FREE
            child = _visit(search, reward, where, many, limit, CALLS_NODE)
            serial += 1
            if child[0] < limit:
                heappush(heap, (max(child[0], value), serial, child[1:]))
    value = min([done, upper] + [heap[0][0]] * bool(heap))
    return Bound(float(max(value, 0.0)), _left_out(problem))


_Node = tuple[float, Floats, Ints, Ints, Floats]


def _visit(
    search: _Search, reward: Floats, group: Ints, count: Ints, limit: float, calls: int
) -> _Node:
    """Bound of a node, its rewards, and the candidates that are left in it."""
    search.times[:] = 0.0
    value, reward = search.climb(reward, limit, calls, group, count)
    times = search.times.copy()
    if value >= limit:
        return value, reward, group, count, times
    _, _, values = search.look(reward, group, count)
    group = group.copy()
    for t in np.flatnonzero(count):
        here = np.flatnonzero(group == t)
        least = np.partition(values[here], count[t] - 1)[count[t] - 1]
        group[here[value + np.maximum(values[here] - least, 0.0) >= limit]] = FREE
    return value, reward, group, count, times


def _cut(spot: Floats, group: Ints, count: Ints, times: Floats) -> tuple[int, Any] | None:
    """Choose a group with more candidates than centres, and the half of it to one side."""
    best, choice = -1.0, None
    for t in np.flatnonzero(count):
        here = np.flatnonzero(group == t)
        if len(here) <= count[t]:
            continue
        mass = times[here] + 1e-6
        gap = spot[here] - np.average(spot[here], axis=0, weights=mass)
        spread = (mass[:, None] * gap).T @ gap
        size, axes = np.linalg.eigh(spread)
        if size[1] > best:
            along = gap @ axes[:, 1]
            left = np.zeros(len(group), dtype=bool)
            left[here[along < 0] if (along < 0).any() else here[: len(here) // 2]] = True
            best, choice = float(size[1]), (int(t), left)
    return choice
