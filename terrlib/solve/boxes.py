"""All choices of centres, tried in boxes: a tree over places, one box of candidates for each slot.

The candidates of a slot are halved by place again and again into a binary tree of boxes. A choice of
one box for every slot costs at least

    max over l of  sum_i min_t (c_i(t) + sum_m l_tm a_im)  -  sum_tm max(low_tm l_tm, high_tm l_tm),

with c_i(t) the least travel of unit i to a candidate in the box of t: the dual of the transport
problem, where any l is a bound; and at least sum_i v_i + sum_t min_{j in t} f_j(v) (see `hess`).
What cannot be cheaper than a known answer is dropped; else the box of one slot is halved. Slots that
may be swapped share a tree, and a box that several of them hold is halved once for every number of
centres in either half. What is left at the end are the choices of single centres that could still
be cheaper. (Branch and bound over boxes of places: Drezner and Suzuki 2004, for one facility.)
"""

from __future__ import annotations

import numpy as np
from numba import njit

from terrlib.solve.partition import Floats, Ints

STEPS = 12  # of the prices of a choice
BATCH = 256  # choices of centres told at a time


class Boxes:
    """The search over boxes, halted whenever some choices of centres were found.

    Parameters
    ----------
    xy
        (c, 2) places of candidates.
    cost
        (c, n) cost of serving a unit from a candidate; large where that is ruled out.
    worth, base
        (c,) and a number: no choice of centres costs less than `base` and the sum of their worth.
    load, low, high
        (n, m), (k, m), (k, m) loads and their bounds.
    groups
        The candidates of a tree, once for every tree.
    tree
        (k,) tree that the centre of a slot is in. Slots of one tree must be alike.

    Attributes
    ----------
    pending
        Whether choices are left to be looked at.
    """

    def __init__(
        self, xy: Floats, cost: Floats, worth: Floats, base: float,
        load: Floats, low: Floats, high: Floats, groups: list[Ints], tree: Ints,
    ) -> None:  # fmt: skip
        sizes = [2 * len(group) - 1 for group in groups]
        roots = np.cumsum([0, *sizes[:-1]])
        trees = [_tree(xy, *each) for each in zip(groups, roots.tolist(), strict=True)]
        self.box = np.concatenate(trees)
        self.table = np.empty((len(self.box), cost.shape[1]))
        self.worth = np.empty(len(self.box))
        for v in range(len(self.box) - 1, -1, -1):
            left, right, _, j = self.box[v]
            leaf = left < 0
            self.table[v] = cost[j] if leaf else np.minimum(self.table[left], self.table[right])
            self.worth[v] = worth[j] if leaf else min(self.worth[left], self.worth[right])
        self.base, self.load, self.low, self.high = base, load, low, high
        k, m = low.shape
        # A box that c slots hold leaves at most c + 1 choices, and slots hold k boxes on every level.
        deep = 2 + k * (1 + int(np.ceil(np.log2(max(len(group) for group in groups)))))
        self.stack = np.zeros((deep, k), dtype=np.int64)
        self.price = np.zeros((deep, k, m))
        self.value = np.zeros(deep)
        self.stack[0] = roots[tree]
        self.top = 1

    @property
    def pending(self) -> bool:
        """Whether choices are left to be looked at."""
        return self.top > 0

    def walk(self, upper: float, most: int) -> tuple[Ints, Floats, int]:
        """Look on until some choices are found, none is left, or `most` were looked at.

        Returns
        -------
        choices, values, used
            (f, k) candidates, one for each slot, (f,) what they cost at the least; how many choices
            of boxes were looked at.
        """
        found = np.zeros((BATCH, len(self.low)), dtype=np.int64)
        values = np.zeros(BATCH)
        self.top, count, used = _walk(
            self.box, self.table, self.worth, self.base, self.load, self.low, self.high,
            self.stack, self.price, self.value, self.top, upper, most, found, values,
        )  # fmt: skip
        return self.box[found[:count], 3], values[:count], used


def _tree(xy: Floats, group: Ints, offset: int) -> Ints:
    """Boxes of a group, (2 g - 1, 4): left and right half (-1 for a single), size, candidate."""
    boxes: list[list[int]] = []
    todo = [(group, -1, 0)]
    while todo:
        part, parent, side = todo.pop()
        here = len(boxes)
        boxes.append([-1, -1, len(part), int(part[0])])
        if parent >= 0:
            boxes[parent][side] = offset + here
        if len(part) > 1:
            order = np.argsort(xy[part, np.ptp(xy[part], axis=0).argmax()], kind="stable")
            half = len(part) // 2
            todo += [(part[order[half:]], here, 1), (part[order[:half]], here, 0)]
    return np.array(boxes, dtype=np.int64)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _climb(table, ids, price, load, low, high, upper, steps, slot):
    """Best value of some steps up the dual; its prices, and the slot of every unit at them."""
    (k, m), n = price.shape, len(load)
    trial, best = price.copy(), -np.inf
    slope, least, now = np.zeros((k, m)), np.empty(n), np.empty(n, np.int64)
    for _ in range(steps):
        least[:] = np.inf
        for t in range(k):
            row = table[ids[t]]
            for i in range(n):
                cost = row[i]
                for q in range(m):
                    cost += trial[t, q] * load[i, q]
                if cost < least[i]:
                    least[i], now[i] = cost, t
        value, slope[:] = 0.0, 0.0
        for i in range(n):
            value += least[i]
            for q in range(m):
                slope[now[i], q] += load[i, q]
        size = 0.0
        for t in range(k):
            for q in range(m):
                p, held = trial[t, q], slope[t, q]
                value -= max(p * low[t, q], p * high[t, q])
                if p > 0.0 or (p == 0.0 and held > high[t, q]):
                    slope[t, q] = held - high[t, q]
                elif p < 0.0 or held < low[t, q]:
                    slope[t, q] = held - low[t, q]
                else:
                    slope[t, q] = 0.0
                size += slope[t, q] ** 2
        if value > best:
            best = value
            price[:], slot[:] = trial, now
        if value >= upper or size == 0.0:
            break
        length = (1.001 * upper - value) / size  # Polyak's step towards a value just above `upper`
        for t in range(k):
            for q in range(m):
                p = trial[t, q] + length * slope[t, q]
                trial[t, q] = p if p * trial[t, q] >= 0.0 else 0.0
    return best


@njit(cache=True, nogil=True)
def _widest(box, table, ids, slot):
    """The slot whose units gain most, in the worse half, when its box is halved; -1 if none can."""
    pick, most = -1, -1.0
    for t in range(len(ids)):
        left, right, size = box[ids[t], 0], box[ids[t], 1], box[ids[t], 2]
        if left < 0:
            continue
        here, a, b = table[ids[t]], 0.0, 0.0
        for i in range(len(slot)):
            if slot[i] == t:
                a += table[left, i] - here[i]
                b += table[right, i] - here[i]
        gain = min(a, b) + 1e-9 * size
        if gain > most:
            pick, most = t, gain
    return pick


@njit(cache=True, nogil=True)
def _walk(
    box, table, worth, base, load, low, high, stack, price, value, top, upper, most, found, values
):  # fmt: skip
    """Depth first, the cheaper half first."""
    k, m = low.shape
    slot, count, used = np.empty(len(load), np.int64), 0, 0
    child, prices = np.empty((k + 1, k), np.int64), np.empty((k + 1, k, m))
    bounds = np.empty(k + 1)
    while top > 0 and used < most and count < len(found):
        top -= 1
        if value[top] >= upper:
            continue
        used += 1
        ids, start, before = stack[top].copy(), price[top].copy(), value[top]
        _climb(table, ids, start, load, low, high, upper, 1, slot)
        pick = _widest(box, table, ids, slot)
        if pick < 0:
            found[count], values[count] = ids, before
            count += 1
            continue
        old, left, right = ids[pick], box[ids[pick], 0], box[ids[pick], 1]
        copies, made = (ids == old).sum(), 0
        for many in range(copies + 1):
            if many > box[left, 2] or copies - many > box[right, 2]:
                continue
            seen, least = 0, base
            for t in range(k):
                child[made, t] = ids[t]
                if ids[t] == old:
                    child[made, t] = left if seen < many else right
                    seen += 1
                least += worth[child[made, t]]
            if least >= upper:
                continue
            prices[made] = start
            reached = _climb(table, child[made], prices[made], load, low, high, upper, STEPS, slot)
            bounds[made] = max(before, least, reached)
            if bounds[made] < upper:
                made += 1
        for c in np.argsort(-bounds[:made]):
            stack[top], price[top], value[top] = child[c], prices[c], bounds[c]
            top += 1
    return top, count, used
