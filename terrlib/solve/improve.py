"""Local search: border units change sides while cost and breaches fall, and nothing comes apart.

Simulated annealing (Kirkpatrick et al. 1983) over the moves of one block of units to a slot that it
touches, and over swaps of two touching units. What a move is worth:

    change of travel  +  change of the price of change  +  price * change of the breach
    breach = sum_tm max(low_tm - load_tm, load_tm - high_tm, 0) / middle_tm
           + pairs of `apart` in one slot + sum_c max(moved_c - cap_c, 0) / cap_c

The price grows as the heat falls: the search may pass through unbalanced slots but does not end in
them. Travel to means is exact, from the sums of w, wx, wy, w|x|^2 of every slot; travel to units is
taken to the centres of the last stage, which are chosen anew after each stage. A move is made only
if what it leaves stays in one piece: first the neighbours of the unit are looked at, then the slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from terrlib.solve.partition import (
    FREE,
    Floats,
    Ints,
    Problem,
    broken,
    evaluate,
    loads,
    touch_graph,
    travel,
    travel_home,
)

MEAN, TABLE, LINE = 0, 1, 2
STAGES, STAGE = 160, 20_000  # at most; moves tried in each of fewer
COOL = 0.25  # share of the stages at no heat
PACE = 1.0  # of the price, how fast a toll rises with the breach
FIRM = 1.5  # how fast the price of a breach grows when there is no heat
SWAP_EVERY = 4
WIDEST = 3_000  # units looked at before a slot is taken to come apart


@dataclass(frozen=True)
class Schedule:
    """How long and how hot to search.

    Attributes
    ----------
    proposals
        Moves to try in all.
    heat, cool
        First temperature, in mean cost of a unit; the last one as a share of the first.
    price_from, price_to
        First and last price of a breach of a whole fair share, in mean cost of a slot.
    """

    proposals: int
    heat: float = 1.0
    cool: float = 0.01
    price_from: float = 1.0
    price_to: float = 10.0


def improve(
    problem: Problem, label: Ints, seed: int, schedule: Schedule, toll: Floats | None = None
) -> tuple[Ints, float, Floats, int]:
    """Improve labels.

    Parameters
    ----------
    problem, label
        Where to start; slots that are in one piece stay so.
    seed
        Same seed, same answer.
    schedule
        How long and how hot.
    toll
        (2, k, m) tolls to begin with, as an earlier search left them.

    Returns
    -------
    label, cost, toll, tried
        The cheapest labels seen that keep every rule, else the last ones; tolls; moves tried.
    """
    label = label.copy()
    work = _Work(problem)
    cost, centre = evaluate(problem, label)
    typical = max(cost, 1e-12) / max(problem.n, 1)
    slot = max(cost, 1e-12) / problem.k
    best, best_cost = label.copy(), np.inf if broken(problem, label) else cost
    stages = int(np.clip(schedule.proposals // STAGE, 40, STAGES))
    each = max(schedule.proposals // stages, 1)
    hot = int(stages * (1 - COOL))
    growth = (schedule.price_to / schedule.price_from) ** (1 / max(hot - 1, 1))
    toll = np.zeros((2, *problem.low.shape)) if toll is None else toll
    for stage in range(stages):
        cold = stage >= hot
        heat = schedule.heat * typical * schedule.cool ** (stage / hot) * (not cold)
        price = (
            slot * schedule.price_from * growth ** min(stage, hot) * FIRM ** max(stage - hot + 1, 0)
        )
        if stage == hot and np.isfinite(best_cost):
            label = best.copy()
        work.run(label, centre, heat, price, toll, seed * 1_000 + stage, each)
        toll = work.raise_toll(label, toll, PACE * price) if stage < hot else toll
        cost, centre = evaluate(problem, label)
        if cost < best_cost and not broken(problem, label):
            best, best_cost = label.copy(), cost
    if np.isfinite(best_cost):
        return best, best_cost, toll, stages * each
    return label, cost, toll, stages * each


class _Work:
    """The arrays of a problem in the order in which the search wants them."""

    def __init__(self, problem: Problem) -> None:
        p, n = problem, problem.n
        self.problem = p
        self.kind = {"given": TABLE, "mean": MEAN, "unit": LINE}[p.centre_kind]
        if p.matrix is not None and p.home is None:
            self.kind = TABLE
        self.table = travel_home(p) if p.home is not None else np.zeros((0, 0))
        block = np.arange(n) if p.block is None else np.unique(p.block, return_inverse=True)[1]
        self.block = block.astype(np.int64)
        order = np.argsort(block, kind="stable").astype(np.int64)
        self.members = order
        self.ends = np.searchsorted(block[order], np.arange(block.max() + 2)).astype(np.int64)
        self.free = p.fixed == FREE
        if not self.free.all():  # a block with a fixed unit does not move
            held = np.zeros(block.max() + 1, dtype=bool)
            held[block[~self.free]] = True
            self.free = ~held[block]
        some = p.banned is not None and len(p.banned)
        self.may = p.allowed() if some else np.zeros((0, 0), dtype=bool)
        pairs = p.apart if p.apart is not None else np.zeros((0, 2), dtype=np.int64)
        self.foe_start, self.foe = touch_graph(n, pairs)
        self.present = p.present if p.present is not None else np.full(n, FREE)
        self.price = p.price if p.price is not None else np.zeros(n)
        caps = p.moved is not None and p.cap is not None
        self.moved = p.moved if caps and p.moved is not None else np.zeros((n, p.k, 0))
        self.cap = p.cap if caps and p.cap is not None else np.zeros(0)
        self.middle = np.maximum((p.low + p.high) / 2, 1e-12)

    def run(
        self,
        label: Ints,
        centre: Ints,
        heat: float,
        price: float,
        toll: Floats,
        seed: int,
        proposals: int,
    ) -> None:
        """Search for a while with the centres as they are; changes `label`."""
        p = self.problem
        if self.kind == TABLE and p.home is None:
            self.table = travel(p, centre)
        at = p.xy[centre] if self.kind == LINE else np.zeros((p.k, 2))
        _anneal(
            label,
            (self.kind, p.square, p.xy, p.weight, self.table, at),
            (p.load, p.low, p.high, self.middle, (toll[0] - toll[1]) / self.middle),
            (p.start, p.touch, p.whole),
            (self.block, self.members, self.ends, self.free, self.may),
            (self.foe_start, self.foe, self.present, self.price, self.moved, self.cap),
            heat,
            price,
            np.uint64((seed * 2654435761 + 88172645463325252) % 2**63),
            proposals,
        )

    def raise_toll(self, label: Ints, toll: Floats, pace: float) -> Floats:
        """Raise the toll on what is above its bound, below its bound; let go of what is inside."""
        p = self.problem
        held = loads(p, label)
        over = np.stack([held - p.high, p.low - held]) / self.middle
        return np.maximum(toll + pace * over, 0.0)


@njit(cache=True, nogil=True)
def _random(state):
    """Next state of xorshift64 (Marsaglia 2003): the same numbers on every machine."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@njit(cache=True, nogil=True)
def _near_whole(i, home, label, start, touch, mark, stamp):
    """Tell whether the neighbours of i in its slot hang together among themselves."""
    wanted, first = 0, -1
    for a in range(start[i], start[i + 1]):
        j = touch[a]
        if label[j] == home:
            wanted += 1
            first = j
            mark[j] = stamp
    if wanted <= 1:
        return wanted, first, wanted == 1
    # Flood over the marked neighbours only; each is met by another that touches it.
    met = 1
    mark[first] = stamp + 1
    grew = True
    while grew and met < wanted:
        grew = False
        for a in range(start[i], start[i + 1]):
            j = touch[a]
            if mark[j] != stamp:
                continue
            for b in range(start[j], start[j + 1]):
                if mark[touch[b]] == stamp + 1:
                    mark[j] = stamp + 1
                    met += 1
                    grew = True
                    break
    return wanted, first, met == wanted


@njit(cache=True, nogil=True)
def _stays_whole(i, label, start, touch, mark, queue, stamp):
    """Tell whether the slot of i stays in one piece without it, and does not vanish."""
    home = label[i]
    wanted, first, near = _near_whole(i, home, label, start, touch, mark, stamp)
    if near or wanted == 0:
        return near
    seen = stamp + 2
    for a in range(start[i], start[i + 1]):
        j = touch[a]
        if label[j] == home:
            mark[j] = stamp
    head, tail, met = 0, 1, 1
    queue[0] = first
    mark[first] = seen
    while head < tail < WIDEST:
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
def _count_pieces(slot, size, label, start, touch, mark, queue, stamp):
    """Tell whether the slot is one piece, by a search from one unit of it."""
    first = -1
    for i in range(len(label)):
        if label[i] == slot:
            first = i
            break
    if first < 0:
        return False
    head, tail = 0, 1
    queue[0] = first
    mark[first] = stamp
    while head < tail:
        u = queue[head]
        head += 1
        for a in range(start[u], start[u + 1]):
            v = touch[a]
            if label[v] == slot and mark[v] != stamp:
                mark[v] = stamp
                queue[tail] = v
                tail += 1
    return tail == size


@njit(cache=True, nogil=True)
def _breach(sums, low, high, middle, t, more, sign):
    """Breach of the bounds of slot t with the loads `more` added (1), taken away (-1) or not (0)."""
    total = 0.0
    for m in range(low.shape[1]):
        value = sums[t, m] + sign * more[m]
        if value < low[t, m]:
            total += (low[t, m] - value) / middle[t, m]
        elif value > high[t, m]:
            total += (value - high[t, m]) / middle[t, m]
    return total


@njit(cache=True, nogil=True)
def _moment(w, x, y, q):
    return q - (x * x + y * y) / w if w > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _away(i, t, square, xy, weight, at):
    dx, dy = xy[i, 0] - at[t, 0], xy[i, 1] - at[t, 1]
    d = dx * dx + dy * dy
    return weight[i] * (d if square else np.sqrt(d))


@njit(cache=True, nogil=True)
def _foes(i, slot, label, foe_start, foe):
    count = 0
    for a in range(foe_start[i], foe_start[i + 1]):
        if label[foe[a]] == slot:
            count += 1
    return count


@njit(cache=True, nogil=True)
def _over(gone, cap, more):
    total = 0.0
    for c in range(len(cap)):
        total += max(gone[c] + more[c] - cap[c], 0.0) / max(cap[c], 1e-9)
    return total


@njit(cache=True, nogil=True)
def _anneal(label, trips, balance, graph, groups, change, heat, price, state, proposals):  # noqa: C901, PLR0912, PLR0915
    kind, square, xy, weight, table, at = trips
    load, low, high, middle, toll = balance
    start, touch, whole = graph
    block, members, ends, free, may = groups
    foe_start, foe, present, pay, moved, cap = change
    n, m = load.shape
    k = low.shape[0]
    sums = np.zeros((k, m))
    size = np.zeros(k, dtype=np.int64)
    stat = np.zeros((k, 4))
    own = np.empty((n, 4))
    gone = np.zeros(len(cap))
    # Moments are taken about the middle of the map: less is lost to rounding.
    x0, y0 = xy[:, 0].mean(), xy[:, 1].mean()
    for i in range(n):
        x, y, w = xy[i, 0] - x0, xy[i, 1] - y0, weight[i]
        own[i, 0], own[i, 1], own[i, 2], own[i, 3] = w, w * x, w * y, w * (x * x + y * y)
        t = label[i]
        size[t] += 1
        for c in range(m):
            sums[t, c] += load[i, c]
        for c in range(4):
            stat[t, c] += own[i, c]
        for c in range(len(cap)):
            gone[c] += moved[i, t, c]
    mark = np.zeros(n, dtype=np.int64)
    queue = np.empty(n + 1, dtype=np.int64)
    zero = np.zeros(m)
    both = np.zeros(m)
    shift = np.zeros(4)
    flow = np.zeros(len(cap))
    stamp = 0
    for step in range(proposals):
        state = _random(state)
        i = np.int64((state >> np.uint64(20)) % np.uint64(n))
        if not free[i]:
            continue
        state = _random(state)
        s = label[i]
        j = -1
        if whole:
            degree = start[i + 1] - start[i]
            if degree == 0:
                continue
            j = touch[start[i] + np.int64((state >> np.uint64(20)) % np.uint64(degree))]
            t = label[j]
        elif (state >> np.uint64(12)) & np.uint64(1):
            t = np.int64((state >> np.uint64(20)) % np.uint64(k))
        else:
            j = np.int64((state >> np.uint64(20)) % np.uint64(n))
            t = label[j]
        if s == t:
            continue
        b = block[i]
        one = ends[b + 1] - ends[b] == 1
        if size[s] <= ends[b + 1] - ends[b]:
            continue
        swap = step % SWAP_EVERY == 0 and j >= 0 and one and free[j]
        if swap and ends[block[j] + 1] - ends[block[j]] > 1:
            swap = False
        if len(may) > 0:
            ok = not swap or may[j, s]
            for a in range(ends[b], ends[b + 1]):
                ok = ok and may[members[a], t]
            if not ok:
                continue
        for c in range(m):
            both[c] = 0.0
        for c in range(4):
            shift[c] = 0.0
        for c in range(len(cap)):
            flow[c] = 0.0
        delta = 0.0
        breach = 0.0
        for a in range(ends[b], ends[b + 1] + (1 if swap else 0)):
            # the last round of a swap takes j the other way
            back = a == ends[b + 1]
            u = j if back else members[a]
            old, new, sign = (t, s, -1.0) if back else (s, t, 1.0)
            for c in range(m):
                both[c] += sign * load[u, c]
            if kind == 0:
                for c in range(4):
                    shift[c] += sign * own[u, c]
            elif kind == 1:
                delta += table[u, new] - table[u, old]
            else:
                delta += _away(u, new, square, xy, weight, at)
                delta -= _away(u, old, square, xy, weight, at)
            if present[u] >= 0:
                step_out = (1.0 if present[u] != new else 0.0) - (1.0 if present[u] != old else 0.0)
                delta += pay[u] * step_out
            for c in range(len(cap)):
                flow[c] += moved[u, new, c] - moved[u, old, c]
            if foe_start[u + 1] > foe_start[u]:
                breach += _foes(u, new, label, foe_start, foe)
                breach -= _foes(u, old, label, foe_start, foe)
        if kind == 0:
            delta += _moment(
                stat[s, 0] - shift[0],
                stat[s, 1] - shift[1],
                stat[s, 2] - shift[2],
                stat[s, 3] - shift[3],
            ) - _moment(stat[s, 0], stat[s, 1], stat[s, 2], stat[s, 3])
            delta += _moment(
                stat[t, 0] + shift[0],
                stat[t, 1] + shift[1],
                stat[t, 2] + shift[2],
                stat[t, 3] + shift[3],
            ) - _moment(stat[t, 0], stat[t, 1], stat[t, 2], stat[t, 3])
        for c in range(m):
            delta += (toll[t, c] - toll[s, c]) * both[c]
        breach += _breach(sums, low, high, middle, s, both, -1.0)
        breach += _breach(sums, low, high, middle, t, both, 1.0)
        breach -= _breach(sums, low, high, middle, s, zero, 0.0)
        breach -= _breach(sums, low, high, middle, t, zero, 0.0)
        if len(cap) > 0:
            breach += _over(gone, cap, flow) - _over(gone, cap, flow * 0.0)
        delta += price * breach
        if delta > 0.0:
            if delta > 20.0 * heat:
                continue
            state = _random(state)
            chance = np.float64(state >> np.uint64(11)) / 9007199254740992.0
            if np.exp(-delta / heat) <= chance:
                continue
        elif delta == 0.0 and heat <= 0.0:
            continue
        if whole:
            stamp += 4
            if one:
                if not _stays_whole(i, label, start, touch, mark, queue, stamp):
                    continue
                label[i] = t
                if swap:
                    near = False
                    for a in range(start[j], start[j + 1]):
                        if label[touch[a]] == s:
                            near = True
                            break
                    stamp += 4
                    if not near or not _stays_whole(j, label, start, touch, mark, queue, stamp):
                        label[i] = s
                        continue
                    label[j] = s
            else:
                width = ends[b + 1] - ends[b]
                for a in range(ends[b], ends[b + 1]):
                    label[members[a]] = t
                good = _count_pieces(
                    s, size[s] - width, label, start, touch, mark, queue, stamp
                ) and _count_pieces(t, size[t] + width, label, start, touch, mark, queue, stamp + 1)
                if not good:
                    for a in range(ends[b], ends[b + 1]):
                        label[members[a]] = s
                    continue
        else:
            for a in range(ends[b], ends[b + 1]):
                label[members[a]] = t
            if swap:
                label[j] = s
        moved_units = 0 if swap else ends[b + 1] - ends[b]
        size[s] -= moved_units
        size[t] += moved_units
        for c in range(m):
            sums[s, c] -= both[c]
            sums[t, c] += both[c]
        for c in range(4):
            stat[s, c] -= shift[c]
            stat[t, c] += shift[c]
        for c in range(len(cap)):
            gone[c] += flow[c]
