"""Search for cheap labels: many starts, their best parts combined, then region after region.

    start      units merged to a few a slot (`coarsen`), seeds and prices (`construct`), annealed
               while large and again while small (`improve`)
    combine    two answers: units that both put together stay together, the rest is annealed again
               (the multilevel crossover of Sanders and Schulz 2012)
    region     a slot and those around it are solved again, the rest as it is (`region`)

Each task has a seed of its own and tasks of one round do not see each other, so the labels are the
same on one thread as on two. Work is counted in moves tried: about n times a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from terrlib.solve.coarsen import coarsen
from terrlib.solve.construct import first_labels, join_pieces
from terrlib.solve.improve import Schedule, improve
from terrlib.solve.partition import FREE, Floats, Ints, Problem, evaluate, excess, misses
from terrlib.solve.region import restrict, slot_graph, slots_around

WORKERS = 2  # threads; the answer does not depend on it
TOGETHER = 2  # pairs combined, or regions solved, that do not see each other
AROUND = 6  # slots of a region
FAR = 20_000  # units
COARSE, FINE = 40_000, 12_000  # moves tried for each merged unit, for each unit
HOT = Schedule(COARSE, heat=2.0, cool=0.005)
WARM = Schedule(COARSE, heat=0.25, cool=0.02)
BORDER = Schedule(FINE, heat=0.25, cool=0.02)
REPAIRS = 6  # rounds on the regions around slots that miss a bound
MERGED = 0.7  # of the units: with more left, merging is not worth it


@dataclass(frozen=True)
class Levels:
    """How the levels of a search are annealed.

    Attributes
    ----------
    per_slot
        Merged units of a slot.
    hot, warm
        With merged units: from nothing, and from labels.
    border
        With the units.
    afresh
        Whether every other region is solved from nothing.
    """

    per_slot: int
    hot: Schedule
    warm: Schedule
    border: Schedule
    afresh: bool


QUICK = Levels(14, HOT, WARM, BORDER, afresh=True)
# Small merged units, cooled slowly, find a better layout of the whole; to solve its regions from
# nothing then wins less than to heat them again.
SLOW = Levels(
    25,
    Schedule(2 * COARSE, heat=2.0, cool=0.02),
    Schedule(COARSE, heat=0.5, cool=0.05),
    Schedule(FINE, heat=0.5, cool=0.05),
    afresh=False,
)


@dataclass(frozen=True)
class Found:
    """Labels with what they miss and what they cost; the least of several is the best."""

    label: Ints
    misses: float
    cost: float
    toll: Floats | None = None
    work: int = 0

    @property
    def rank(self) -> tuple[float, float]:
        """Order: first what is missed, then the cost."""
        return round(self.misses, 9), self.cost

    @property
    def promise(self) -> float:
        """Cost after the regions are evened out, guessed: a fair share missed doubles it."""
        return self.cost * (1 + self.misses)


@dataclass(frozen=True)
class Effort:
    """How much to search.

    Attributes
    ----------
    starts
        Answers to begin with.
    combine
        Rounds of combining, each of as many pairs as there are threads.
    passes
        Times that every slot is the middle of a region.
    pace
        Moves tried as a share of the usual, 0 to 1.
    levels
        How merged units and units are annealed.
    """

    starts: int
    combine: int
    passes: int
    pace: float = 1.0
    levels: Levels = QUICK


def search(problem: Problem, seed: int, effort: Effort) -> list[Found]:
    """Find cheap labels.

    Parameters
    ----------
    problem
        What to divide.
    seed
        Same seed, same answer.
    effort
        How much to search.

    Returns
    -------
    list of Found
        Different labels, the best first; `misses` is 0 where they keep every rule.
    """
    pool = _all(_start(problem, seed, i, effort) for i in range(effort.starts))
    for turn in range(effort.combine if effort.starts > 1 else 0):
        rng = np.random.default_rng([seed, 2, turn])
        pairs = [rng.choice(len(pool), 2, replace=False) for _ in range(TOGETHER)]
        tasks = [
            _combine(problem, pool[min(a, b)], pool[max(a, b)], (seed, turn, at), effort.levels)
            for at, (a, b) in enumerate(pairs)
        ]
        pool = _survivors(pool, _all(tasks))
    if problem.k > AROUND:
        pool.sort(key=lambda found: found.promise)
        everywhere = np.arange(problem.k)
        for turn in range(effort.passes):
            pace = effort.pace / 2
            pool[0] = _pass(problem, pool[0], (seed, turn), everywhere, pace, effort.levels)
        for turn in range(REPAIRS):
            amiss = np.flatnonzero((excess(problem, pool[0].label) > 0).any(1))
            if not pool[0].misses or not len(amiss):
                break
            # What a region cannot even out is evened out with more around it.
            wide, before = AROUND * (turn + 1), pool[0].misses
            again = (seed, effort.passes + turn)
            pool[0] = _pass(problem, pool[0], again, amiss, 1.0, effort.levels, wide)
            if wide >= problem.k and pool[0].misses >= before:
                break  # there is no more around it
    return sorted(pool, key=lambda found: found.rank)


def _all(tasks: Iterable[Callable[[], Found]]) -> list[Found]:
    """Do tasks side by side; the kernels of the search let go of the interpreter's lock."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda task: task(), tasks))


def _start(problem: Problem, seed: int, number: int, effort: Effort) -> Callable[[], Found]:
    def task() -> Found:
        rng = np.random.default_rng([seed, 1, number])
        if number == 0 and problem.present is not None:
            return _from_today(problem, rng)
        return _levels(problem, None, None, rng, effort.pace, effort.levels)

    return task


def _from_today(problem: Problem, rng: np.random.Generator) -> Found:
    """Begin with the labels of today, joined where they are in pieces; change little."""
    assert problem.present is not None
    label = problem.present.copy()
    held = label != FREE
    at = np.tile(problem.xy.mean(0), (problem.k, 1))
    for t in range(problem.k):
        mine = held & (label == t)
        if mine.any():
            middle = problem.xy[mine].mean(0)
            own = np.flatnonzero(mine)
            at[t] = problem.xy[own[((problem.xy[own] - middle) ** 2).sum(1).argmin()]]
    label = join_pieces(problem, label, at) if problem.whole else first_labels(problem, rng)
    return _anneal(problem, label, rng, WARM, 1.0)


def _combine(
    problem: Problem, one: Found, other: Found, seed: tuple[int, int, int], levels: Levels
) -> Callable[[], Found]:
    def task() -> Found:
        rng = np.random.default_rng([seed[0], 3, *seed[1:]])
        apart = one.label * problem.k + other.label
        return _levels(problem, one, apart, rng, 1.0, levels)

    return task


def _levels(
    problem: Problem,
    begin: Found | None,
    apart: Ints | None,
    rng: np.random.Generator,
    pace: float,
    levels: Levels,
) -> Found:
    """Anneal with merged units, from labels or from a first solution, then with the units."""
    merged, group = coarsen(problem, min(levels.per_slot * problem.k, problem.n // 2), rng, apart)
    if merged.n > MERGED * problem.n:
        if begin is None:
            return _anneal(problem, first_labels(problem, rng), rng, levels.hot, pace)
        return _anneal(problem, begin.label, rng, levels.warm, pace, begin.toll)
    if begin is None:
        rough = _anneal(merged, first_labels(merged, rng), rng, levels.hot, pace)
    else:
        label = np.zeros(merged.n, dtype=np.int64)
        label[group] = begin.label
        rough = _anneal(merged, label, rng, levels.warm, pace, begin.toll)
    # Above FAR the units are left to the regions, which fit into the processor's cache.
    pace = pace if problem.n <= FAR else pace / 4
    fine = _anneal(problem, rough.label[group], rng, levels.border, pace, rough.toll)
    return replace(fine, work=rough.work + fine.work)


def _anneal(
    problem: Problem,
    label: Ints,
    rng: np.random.Generator,
    plan: Schedule,
    pace: float,
    toll: Floats | None = None,
) -> Found:
    plan = replace(plan, proposals=int(plan.proposals * problem.n * pace))
    label, cost, toll, work = improve(problem, label, int(rng.integers(2**31)), plan, toll)
    return Found(label, misses(problem, label), cost, toll, work)


def _survivors(pool: list[Found], children: list[Found]) -> list[Found]:
    """Let a child that is better than the worst, and new, take its place."""
    pool = list(pool)
    for child in children:
        worst = max(range(len(pool)), key=lambda i: pool[i].rank)
        known = any((child.label == found.label).all() for found in pool)
        if child.rank < pool[worst].rank and not known:
            pool[worst] = child
    return pool


def _pass(
    problem: Problem,
    best: Found,
    seed: tuple[int, int],
    middles: Ints,
    pace: float,
    levels: Levels,
    wide: int = AROUND,
) -> Found:
    """Make slots the middle of a region once; regions that do not meet go side by side."""
    order = np.random.default_rng([seed[0], 4, seed[1]]).permutation(middles).tolist()
    label, work, number = best.label.copy(), best.work, 0
    toll = None if best.toll is None else best.toll.copy()
    while order:
        batch: list[Ints] = []
        used: set[int] = set()
        graph = slot_graph(problem, label)
        for middle in order[: 4 * TOGETHER]:
            slots = slots_around(graph, middle, wide)
            if used.isdisjoint(slots.tolist()):
                batch.append(slots)
                used |= set(slots.tolist())
                order.remove(middle)
            if len(batch) == TOGETHER:
                break
        tasks = []
        for slots in batch:
            number += 1
            rng = np.random.default_rng([seed[0], 5, seed[1], number])
            stands = replace(best, label=label, toll=toll)
            tasks.append(_region(problem, stands, slots, rng, pace, levels))
        for found, slots in zip(_all(tasks), batch, strict=True):
            work += found.work
            label[np.isin(label, slots)] = slots[found.label]
            if toll is not None and found.toll is not None:
                toll[:, slots] = found.toll
    return Found(label, misses(problem, label), evaluate(problem, label)[0], toll, work)


def _region(
    problem: Problem,
    best: Found,
    slots: Ints,
    rng: np.random.Generator,
    pace: float,
    levels: Levels,
) -> Callable[[], Found]:
    """Solve a region again, from nothing or from what stands there; what stands if nothing is won."""
    part, units = restrict(problem, best.label, slots)
    label = np.searchsorted(slots, best.label[units])
    toll = None if best.toll is None else best.toll[:, slots]
    now = Found(label, misses(part, label), evaluate(part, label)[0], toll)

    def task() -> Found:
        afresh = levels.afresh and bool(rng.integers(2))
        begin, apart = (None, None) if afresh else (now, label)
        found = _levels(part, begin, apart, rng, pace, levels)
        return min(now, found, key=lambda each: each.rank)

    return task
