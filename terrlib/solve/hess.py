"""The Hess model and its Lagrangian: what rewards for serving every unit once prove.

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
            sum_S w_i |x_i - mean|^2 = sum_S w_i |x_i - c|^2 - w(S) |mean - c|^2.

Where slots differ (price of change, uneven bounds, fixed or banned units) and are not too many,
every slot t has candidates of its own, at c_ij + p_i [t is not the slot of i today], its own bounds,
and a large cost where a unit may not be; L takes the least candidate of each slot.
Cells whose candidate is chosen are split into four, so that h matters only where it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from terrlib.solve.partition import FREE, Floats, Ints, Problem, travel

DENSE = 6000  # units up to which a table of all pairs is made
SLOTTED = 10_000_000  # units squared times slots up to which slots are told apart
SHRINK, LONGER, SHORTER = 0.3, 1.2, 0.95  # the r-algorithm's dilation and steps


@dataclass(frozen=True)
class Model:
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
    some, table, xy, weight, within, spot, half, square, slot, extra, load, low, high, own, reward,
    price, basis, values, rest,
):  # fmt: skip
    """Least cost of some candidates and the reduced costs of their units."""
    x = np.empty(len(reward))
    for place, j in enumerate(some):
        _row(j, table, xy, weight, within, spot, half, square, slot, extra, reward, rest[place])
        _solve(rest[place], load, low[slot[j]], high[slot[j]], own[j], price[j], basis[j], x)
        values[place] = _dual(rest[place], load, low[slot[j]], high[slot[j]], own[j], price[j])


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


def climb(
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


def together(problem: Problem) -> Ints:
    """Number what is in one slot for sure: blocks, and the units fixed to one slot."""
    n = problem.n
    part = (
        np.arange(n) if problem.block is None else np.unique(problem.block, return_inverse=True)[1]
    )
    held = problem.fixed != FREE
    ends = np.r_[np.arange(n), np.flatnonzero(held)], np.r_[n + part, 2 * n + problem.fixed[held]]
    graph = csr_array((np.ones(len(ends[0])), ends), shape=(2 * n + problem.k,) * 2)
    return np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)[1]


def sums(values: Floats, part: Ints, parts: int) -> Floats:
    """Sum the rows of a table by part."""
    merge = csr_array((np.ones(len(part)), (part, np.arange(len(part)))), shape=(parts, len(part)))
    return merge @ values


def slotted(problem: Problem) -> bool:
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


def tabled(problem: Problem) -> bool:
    """Whether the costs of all pairs of a unit and a centre are written down."""
    return problem.centre_kind == "unit" and (problem.matrix is not None or problem.n <= DENSE)


def made_model(problem: Problem, part: Ints, cells: int, slots: float = 0.0) -> Model:
    """Candidates for free centres over parts of units: units where there is a table, else cells.

    `slots` is what a unit costs in a slot it may not be in; where 0, all slots are alike.
    """
    parts = int(part.max()) + 1
    load = sums(problem.load, part, parts).T
    unit = np.maximum(load.mean(1), 1e-300)
    weight = sums(problem.weight[:, None], part, parts)[:, 0]
    count = np.bincount(part, minlength=parts)
    mass = np.where(weight[part] > 0, problem.weight, 1.0)
    total = np.where(weight > 0, weight, count)
    xy = sums(mass[:, None] * problem.xy, part, parts) / total[:, None]
    within = np.zeros(parts)
    if problem.square:
        gap = ((problem.xy - xy[part]) ** 2).sum(1)
        within = sums((problem.weight * gap)[:, None], part, parts)[:, 0]
    table = np.zeros((0, 0))
    own, spot, half = np.full(0, FREE), np.zeros((0, 2)), np.zeros(0)
    if tabled(problem):
        table = np.empty((problem.n, parts))
        for begin in range(0, problem.n, 256):
            some = np.arange(begin, min(begin + 256, problem.n))
            table[some] = sums(travel(problem, some), part, parts).T
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
        extra = np.ascontiguousarray(sums(change + slots * ~problem.allowed(), part, parts).T)
    s, g = len(low), len(spot)
    return Model(
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


class Lagrangian:
    """A model with the prices of its candidates, kept from call to call."""

    def __init__(self, model: Model) -> None:
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
        return climb(lambda v: self.look(v, group, count)[:2], reward, scale, upper, calls)

    def exact(self, reward: Floats, some: Ints) -> tuple[Floats, Floats]:
        """Least cost of some candidates, (s,), and the reduced costs of their units, (s, n)."""
        m = self.model
        values, rest = np.empty(len(some)), np.empty((len(some), len(reward)))
        _exact(
            some, m.table, m.xy, m.weight, m.within, m.spot, m.half, m.square, m.slot, m.extra, m.load, m.low,
            m.high, m.own, reward, self.price, self.basis, values, rest,
        )  # fmt: skip
        return values, rest

    def costs(self, some: Ints) -> Floats:
        """Costs of serving units from some candidates that are units, (s, n)."""
        m = self.model
        return m.table[some % len(m.table)] + m.extra[m.slot[some]]

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

    def inherit(self, coarse: Lagrangian, reward: Floats, group: Ints) -> Floats:
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


def begin(
    problem: Problem, part: Ints, upper: float, slots: float = 0.0
) -> tuple[Lagrangian, Floats]:
    """A search and its first rewards: a unit is worth its share of the cost."""
    search = Lagrangian(made_model(problem, part, max(300, 25 * problem.k), slots))
    weight = search.model.weight
    reward = weight + 1e-3 * weight.mean() + 1e-300
    return search, upper * reward / reward.sum()
