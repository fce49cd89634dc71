"""Proof that nothing is cheaper, where centres are given, or are few, or are among few units.

Given centres leave one assignment (`milp`). Else the Hess model (`hess`) rules out candidates and
pairs of a unit and a candidate that prove a cost above the known answer, every choice of the rest
is tried in boxes (`boxes`), and what is left there is assigned, where pieces, blocks, apart and caps
come in. Where the boxes are too many, the candidates are cut in two by a line, once for every number
of centres on either side, and rewards are sought anew for each part; best bound first.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from terrlib.solve.boxes import Boxes
from terrlib.solve.hess import begin, tabled, together
from terrlib.solve.milp import Mask, assign_units, change_costs, slot_costs
from terrlib.solve.partition import FREE, Floats, Ints, Problem, Solution, evaluate, travel

GAP = 1e-6
CALLS_ROOT, CALLS_PART = 1500, 150  # looks at rewards
LOOKS = 1_000_000  # pairs of a unit and a slot looked at in the boxes of one part
MILP_NODES, STEPS = 20_000, 150_000  # of the one assignment to given centres: see `assign_units`
LEAF_NODES = 800  # of all the assignments of a proof: easy ones take one or two
PARTS, PAIRS = 100, 1e8
LARGE = 4.0  # times the known cost: what may not be
MOST_UNITS = 2_000  # up to which all pairs are kept several times over
WORK = 6_000_000_000  # pairs of a candidate and a unit looked at while rewards are sought once


def prove(
    problem: Problem, label: Ints | None, parts: int = PARTS, pairs: float = PAIRS
) -> Solution:
    """Find an answer and prove that nothing is cheaper.

    Parameters
    ----------
    problem
        Centres given, or units; `provable` tells whether there are few enough.
    label
        (n,) a known answer that keeps every rule; the better, the quicker the proof. Needed where
        centres are units.
    parts
        How often the candidates may be cut in two.
    pairs
        Sum, over the choices of centres that are assigned, of (units times slots) squared: the time
        of an assignment grows about so.

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
    >>> done = prove(row, np.array([0, 1, 1, 1]))
    >>> done.cost, done.status, done.label.tolist()
    (2.0, 'optimal', [0, 0, 0, 1])
    """
    if problem.centre_kind == "given":
        cost = slot_costs(problem, np.zeros(problem.n, dtype=np.int64), problem.seed)
        found = assign_units(problem, cost, MILP_NODES, start=label, steps=STEPS)
        label = found.label if found.label is not None else label
        bound = found.bound
    elif label is not None:
        label, bound = _Tree(problem, label, pairs).search(parts)
    if label is None:
        msg = "no territories that keep every rule were found"
        raise ValueError(msg)
    worth = evaluate(problem, label)[0]
    bound = min(max(bound, 0.0), worth)
    done = worth - bound <= GAP * max(abs(worth), 1e-12)
    here = bound if problem.centre_kind == "given" else float("nan")
    return Solution(label, worth, bound, "optimal" if done else "feasible", (), here, 0)


def alike(problem: Problem) -> bool:
    """Whether slots may be swapped without a change of anything."""
    return bool(
        (problem.low == problem.low[0]).all()
        and (problem.high == problem.high[0]).all()
        and (problem.fixed == FREE).all()
        and (problem.banned is None or not len(problem.banned))
        and (problem.present is None or (problem.present == FREE).all())
    )


@dataclass(frozen=True)
class _Part:
    """Some candidates: `group` (g,) says where each may be a centre, -1 nowhere; `count` of each."""

    value: float
    reward: Floats
    group: Ints
    count: Ints
    times: Floats


class _Tree:
    """Parts of the candidates, with the best answer known."""

    def __init__(self, problem: Problem, known: Ints, pairs: float) -> None:
        self.problem, self.known = problem, known
        self.leaves = max(1, int(pairs / (problem.n * problem.k) ** 2))
        self.nodes = int(LEAF_NODES * max(pairs / PAIRS, 1))
        self.part = together(problem)
        self.alike = alike(problem)
        self.worth = evaluate(problem, known)[0]
        large = LARGE * self.worth + (0.0 if problem.price is None else problem.price.sum())
        self.large = max(float(large), 1e-9)
        slots = 0.0 if self.alike else self.large
        self.hess, self.reward = begin(problem, self.part, max(self.worth, 1e-300), slots)
        self.change = change_costs(problem)
        self.done: dict[tuple[int, ...], float] = {}

    @property
    def limit(self) -> float:
        """Nothing is sought that costs this much."""
        return self.worth * (1 - GAP / 2)

    def search(self, parts: int) -> tuple[Ints, float]:
        """The best answer and its bound."""
        k = self.problem.k
        count = np.array([k]) if self.alike else np.ones(k, dtype=np.int64)
        heap: list[tuple[float, int, _Part]] = []
        serial, left = 0, np.inf
        heap.append((0.0, 0, self._visit(self.reward, self.hess.groups(), count, CALLS_ROOT)))
        for _ in range(parts + 1):
            if not heap or heap[0][0] >= min(self.limit, left):
                break
            _, _, node = heappop(heap)
            finished, before = False, np.inf
            while not finished and self.worth < before:  # a better answer leaves fewer boxes
                before = self.worth
                finished, low = self._close(node)
            if finished:
                left = min(left, low)
                continue
            halves = _halves(self.hess.model.spot, node)
            if not halves:  # nothing to cut, and not all of it was looked at
                left = min(left, node.value)
            for group, many in halves:
                child = self._visit(node.reward, group, many, CALLS_PART)
                serial += 1
                if child.value < self.limit:
                    heappush(heap, (max(child.value, node.value), serial, child))
        waiting = [value for value, _, _ in heap[:1]]
        return self.known, min([left, self.limit, *waiting])

    def _visit(self, reward: Floats, group: Ints, count: Ints, calls: int) -> _Part:
        """Seek rewards for a part."""
        self.hess.times[:] = 0.0
        calls = max(1, min(calls, WORK // (len(self.hess.model.own) * len(reward))))
        value, reward = self.hess.climb(reward, self.limit, calls, group, count)
        return _Part(value, reward, group, count, self.hess.times.copy())

    def _close(self, node: _Part) -> tuple[bool, float]:
        """Try every choice of centres of a part; whether that was done, and the least it can cost."""
        hess, problem, limit = self.hess, self.problem, self.limit
        alive = np.flatnonzero(node.group >= 0)
        least, rest = hess.exact(node.reward, alive)
        base, extra = float(node.reward.sum()), np.zeros(len(alive))
        total = base
        for t in np.flatnonzero(node.count):
            here = node.group[alive] == t
            ranked = np.sort(least[here])
            total += ranked[: node.count[t]].sum()
            extra[here] = np.maximum(least[here] - ranked[node.count[t] - 1], 0.0)
        keep = total + extra < limit
        alive, least, rest, extra = alive[keep], least[keep], rest[keep], extra[keep]
        pair = (total + extra)[:, None] + np.maximum(rest, 0.0) < limit
        # `least` holds what a candidate's own unit costs already: it is in the slot for sure.
        pair[np.arange(len(alive)), hess.model.own[alive]] = True
        cost = np.where(pair, hess.costs(alive), self.large)
        m = hess.model
        groups = [np.flatnonzero(node.group[alive] == t) for t in np.flatnonzero(node.count)]
        counts = node.count[node.count > 0]
        if any(len(group) < many for group, many in zip(groups, counts, strict=True)):
            return True, np.inf
        order = np.argsort([m.slot[alive[group[0]]] for group in groups], kind="stable")
        groups = [groups[at] for at in order]
        tree = np.repeat(np.arange(len(groups)), counts[order])
        low, high = (np.broadcast_to(side, (problem.k, len(m.load))) for side in (m.low, m.high))
        boxes = Boxes(
            m.spot[alive], cost, least, base, m.load.T.copy(), low.copy(), high.copy(), groups, tree
        )
        budget, low_ = LOOKS // (problem.n * problem.k), np.inf
        while boxes.pending and budget > 0:
            choices, values, looks = boxes.walk(self.limit, budget)
            budget -= max(looks, 1)
            for at in np.argsort(values, kind="stable"):
                low_ = min(low_, self._leaf(alive[choices[at]], pair[choices[at]], values[at]))
        return not boxes.pending, low_

    def _leaf(self, chosen: Ints, pair: Mask, value: float) -> float:
        """Assign the units to chosen centres, one per slot; the least that can cost."""
        problem, centre = self.problem, chosen % self.problem.n
        if len(set(self.part[centre].tolist())) < problem.k:
            return np.inf  # two slots would share a unit, or a block
        key = tuple(sorted(chosen.tolist()))
        if key in self.done:
            return self.done[key]
        if value >= self.limit or not self.leaves or self.nodes <= 0:
            return float(value)
        self.leaves -= 1
        may = pair[:, self.part].T.copy()
        may[centre] = np.eye(problem.k, dtype=bool)
        cost = travel(problem, centre) + self.change
        found = assign_units(problem, cost, self.nodes, may, None, GAP / 4, centre, self.limit)
        self.nodes -= found.nodes
        if found.label is not None and evaluate(problem, found.label)[0] < self.worth:
            self.known, self.worth = found.label, evaluate(problem, found.label)[0]
        self.done[key] = found.bound
        return found.bound


def provable(problem: Problem, units: int, slots: int) -> bool:
    """Whether every choice of centres may be tried: few `units`, or few `slots` that are alike."""
    if problem.centre_kind != "unit" or not tabled(problem):
        return False
    few = problem.k <= slots and problem.n <= MOST_UNITS and alike(problem)
    return problem.n <= units or few


def _halves(spot: Floats, node: _Part) -> list[tuple[Ints, Ints]]:
    """Cut the group with the most spread by a line, once for every number of centres in a half."""
    best, choice = -1.0, None
    for t in np.flatnonzero(node.count):
        here = np.flatnonzero(node.group == t)
        if len(here) <= node.count[t]:
            continue
        mass = node.times[here] + 1e-6
        gap = spot[here] - np.average(spot[here], axis=0, weights=mass)
        size, axes = np.linalg.eigh((mass[:, None] * gap).T @ gap)
        if size[1] > best:
            along = gap @ axes[:, 1]
            left = here[along < 0]
            if not 0 < len(left) < len(here):  # all in one place
                left = here[: len(here) // 2]
            best, choice = float(size[1]), (t, left)
    if choice is None:
        return []
    t, left = choice
    beside = node.group == t
    beside[left] = False
    halves = []
    for a in range(int(node.count[t]) + 1):
        many = np.r_[node.count, node.count[t] - a]
        many[t] = a
        group = np.where(beside, len(node.count), node.group)
        group[(group >= 0) & (many[group] == 0)] = FREE
        sizes = np.bincount(group[group >= 0], minlength=len(many))
        if (sizes >= many).all():
            halves.append((group, many))
    return halves
