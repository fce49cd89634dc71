"""A proof that no territories can cost less: Lagrangian bounds, with more work the tighter.

Free centres: the Hess model of `hess`, on merged units first where there are many. Centres given,
one per slot: the transport problem, whose dual has a closed form in the prices of the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from terrlib.solve.hess import (
    Lagrangian,
    begin,
    climb,
    made_model,
    slotted,
    sums,
    tabled,
    together,
)
from terrlib.solve.partition import FREE, Floats, Ints, Problem, travel, travel_home

WORK = 1_500_000_000  # pairs looked at
STAGES = 5  # times that cells are cut
COARSE = 1000  # units up to which rewards are sought one by one


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
    (2.0, ('divided', 'pieces'))
    """
    part = together(problem)
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
    return Bound(float(min(max(value, 0.0), most)), left_out(problem))


def left_out(problem: Problem) -> tuple[str, ...]:
    """Name what the bound of a problem leaves out; "divided": units may be cut among slots."""
    free = problem.home is None
    alike = free and not slotted(problem)
    slots = (problem.fixed != FREE).any()
    uneven = (problem.low != problem.low[0]).any() or (problem.high != problem.high[0]).any()
    out = {
        "divided": True,
        "pieces": problem.whole,
        "balance": alike and uneven,
        "change": alike and problem.price is not None and problem.price.any(),
        "apart": problem.apart is not None and len(problem.apart),
        "cap": free and problem.cap is not None and len(problem.cap),
        "slots": alike and (slots or (problem.banned is not None and len(problem.banned))),
    }
    return tuple(name for name, left in out.items() if left)


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
    moved = np.zeros((problem.n, k, 0)) if problem.moved is None or not capped else problem.moved
    cap = np.zeros(0) if problem.cap is None or not capped else problem.cap
    away = np.stack(
        [sums(moved[:, :, c], part, parts) for c in range(len(cap))] or [np.zeros((0, 0))]
    )
    cost = sums(cost, part, parts)
    cost[sums((~problem.allowed()).astype(float), part, parts) > 0] = np.inf
    if not np.isfinite(cost.min(1)).all():
        return upper
    load = sums(problem.load, part, parts)
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
    value, price = climb(value_and_slope, price, np.ones(k * m + caps), upper, calls)
    return value, reduce(price).min(1)


def _free(problem: Problem, part: Ints, upper: float, effort: int) -> float:
    """Bound where centres are free."""
    parts = int(part.max()) + 1
    told = slotted(problem)
    dear = 2 * upper + (0.0 if problem.price is None else 2 * float(problem.price.sum()))
    slots = max(dear, 1e-300) * told
    count = np.ones(problem.k, dtype=np.int64) if told else np.array([problem.k])
    if tabled(problem):
        search, reward = begin(problem, part, upper, slots)
        most = 1_500_000_000 if told else WORK
        calls = max(1, min(1500, most // (len(search.model.own) * len(reward)))) * effort
        return search.climb(reward, upper, calls, search.groups(), count)[0]
    most = max(COARSE, 4 * problem.k) * effort
    levels = [size for size in (most, 4 * most) if size < 0.7 * parts]
    groups = [_gather(problem, part, size) for size in levels] + [np.arange(parts)]
    search, reward = begin(problem, groups[0][part], upper, slots)
    value = 0.0
    for stage in range(STAGES):
        calls = min(60, WORK // 4 // (len(search.model.own) * len(reward)) + 1) * effort
        value, reward = search.climb(reward, upper, calls, search.groups(), count)
        if stage + 1 < STAGES and len(search.model.own) * parts < WORK // 10:
            search.split()
    for level in range(len(levels)):
        coarse, fine = groups[level], groups[level + 1]
        finer = Lagrangian(made_model(problem, fine[part], 1, slots))
        of = np.zeros(int(fine.max()) + 1, dtype=np.int64)
        of[fine] = coarse
        reward = finer.inherit(search, reward, of)
        calls = min(40, max(1, WORK // (len(finer.model.own) * len(of)))) * effort
        value, reward = finer.climb(reward, upper, calls, finer.groups(), count)
        search = finer
    return value


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
