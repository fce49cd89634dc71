"""Solve a districting problem: search, polish, proof."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from terrlib.solve.bound import Bound, left_out, lower_bound
from terrlib.solve.construct import first_labels
from terrlib.solve.exact import PAIRS, PARTS, provable, prove
from terrlib.solve.milp import assign_units, settle, slot_costs
from terrlib.solve.partition import Ints, Problem, Solution, broken, evaluate
from terrlib.solve.search import AROUND, SLOW, WORKERS, Effort, search
from terrlib.solve.subsets import best_of_all, may_enumerate

TINY = 1e-6
POLISH_PAIRS = 5_500  # units times slots times measures up to which a MILP is asked
MORE = 10_000  # units of the first solutions whose centres settle beside those of the search
REPAIR_PAIRS = 2_000  # and up to which it is asked for any answer at all
SOLVED_PAIRS = 4_500  # shared by the sets of centres that are solved exactly
GIVEN_PAIRS = 1_500  # and up to which given centres are solved to the proof
MANY_SLOTS, MANY_UNITS = 50, 5_000  # from where one pass of the regions does
SLOW_UNITS = 1_000  # from where the layout of few slots is worth cooling slowly
NODES, STEPS, QUICK_STEPS = 50, 50_000, 10_000  # of one such MILP: see `assign_units`
PROOF_UNITS = 150  # units up to which the least cost is sought with a proof, centres being units
PROOF_SLOTS = 5  # slots, all alike, up to which that is tried for more units
FEW_PARTS, FEW_PAIRS = 6, 3e7  # and how much of that, see `prove`


class NotFound(Exception):  # noqa: N818
    """No labels were found that keep every rule.

    Attributes
    ----------
    label
        (n,) the nearest labels seen.
    broken
        The rules that they break.
    proven
        Whether it is proven that none exist.
    work
        Moves tried.
    """

    def __init__(self, label: Ints, broken: tuple[str, ...], work: int, *, proven: bool) -> None:
        super().__init__(f"no labels keep every rule; the nearest break {', '.join(broken)}")
        self.label, self.broken, self.work, self.proven = label, broken, work, proven


def plan_effort(problem: Problem, effort: int, starts: int = 0) -> Effort:
    """Choose how much to search: the larger the problem, the less often the whole is done again."""
    if problem.n <= PROOF_UNITS:
        return Effort(starts or 4 * effort, effort, 0)
    if problem.k <= AROUND:
        return Effort(starts or int(np.clip(4_000 // problem.n, 4, 8)) * effort, 0, 0)
    if problem.k > MANY_SLOTS and problem.n <= MANY_UNITS:  # half as long, twice as often
        return Effort(starts or 4 * effort, effort, effort, 0.5)
    if SLOW_UNITS < problem.n <= MANY_UNITS and starts != 1:  # few starts, each of them better
        return Effort(starts or 2 * effort, 0, 3 * effort, levels=SLOW)
    if problem.n > MANY_UNITS:
        many, passes = starts or 2 * effort, 1
    else:
        many, passes = starts or int(np.clip(8_000 // problem.n, 4, 8)) * effort, 2
    if starts == 1:  # asked to be quick
        passes = 1
    pace = float(np.clip(effort * 12_000 / problem.n, 0.25, 1.0))
    return Effort(many, many // 4, passes * effort, pace)


def solve(problem: Problem, seed: int = 1, effort: int = 1, starts: int = 0) -> Solution:
    """Draw labels that keep every rule, cheap and with a proof of how cheap they could be.

    Parameters
    ----------
    problem
        What to divide.
    seed
        Same seed, same labels.
    effort
        1, 2, ...: how much work; the time grows with it.
    starts
        First solutions; 0 chooses by size. One of effort 1 is quick: no proof by trying all.

    Returns
    -------
    Solution

    Raises
    ------
    NotFound
        With the nearest labels.

    Examples
    --------
    >>> from terrlib.solve.partition import touch_graph
    >>> way = touch_graph(6, np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]))
    >>> row = Problem(np.c_[np.arange(6.0), np.zeros(6)], np.ones(6), np.ones((6, 1)),
    ...     np.full((2, 1), 3.0), np.full((2, 1), 3.0), *way, np.full(6, -1), np.full(2, -1))
    >>> found = solve(row)
    >>> found.cost, sorted(found.label.tolist())
    (4.0, [0, 0, 0, 1, 1, 1])
    """
    if may_enumerate(problem):
        return _enumerate(problem, seed)
    pool = search(problem, seed, plan_effort(problem, effort, starts))
    best, work, here = pool[0], sum(found.work for found in pool), float("nan")
    given = problem.centre_kind == "given" and problem.n * problem.k <= GIVEN_PAIRS
    quick = starts == 1 and effort == 1  # asked to be quick
    exact = given or (not quick and provable(problem, PROOF_UNITS, PROOF_SLOTS))
    if best.misses and _pairs(problem) > REPAIR_PAIRS:
        raise NotFound(best.label, broken(problem, best.label), work, proven=False)
    label = _repair(problem, best.label, work) if best.misses else best.label
    settling = problem.n > PROOF_UNITS and _pairs(problem) <= POLISH_PAIRS
    if problem.centre_kind == "unit" and settling:
        near = [found.label for found in pool] + _more(problem, seed, MORE // problem.n * effort)
        sets = max(1, SOLVED_PAIRS // _pairs(problem)) * effort
        label = _polish(problem, label, near, sets, QUICK_STEPS if quick else STEPS)
    cost, _ = evaluate(problem, label)
    if exact:
        small = given or problem.n <= PROOF_UNITS
        parts, pairs = (PARTS, PAIRS) if small else (FEW_PARTS, FEW_PAIRS)
        proven = prove(problem, label, parts * effort**2, pairs * effort**2)
        label, cost, here = proven.label, proven.cost, proven.bound_here
        if proven.status == "optimal":
            return replace(proven, work=work)
    if exact and not given:
        bound = Bound(proven.bound, left_out(problem))
    else:
        bound = lower_bound(problem, cost, effort)
    value = min(max(bound.value, 0.0), cost)
    return Solution(
        label=label,
        cost=cost,
        bound=value,
        status="optimal" if cost - value <= TINY * abs(cost) else "feasible",
        relaxed=bound.relaxed,
        bound_here=value if problem.home is not None else here,
        work=work,
    )


def _pairs(problem: Problem) -> int:
    return problem.n * problem.k * problem.load.shape[1]


def _enumerate(problem: Problem, seed: int) -> Solution:
    label = best_of_all(problem)
    if label is None:
        near = first_labels(problem, np.random.default_rng(seed))
        raise NotFound(near, broken(problem, near), 0, proven=True)
    cost, _ = evaluate(problem, label)
    return Solution(
        label, cost, cost, "optimal", (), cost if problem.home is not None else np.nan, 0
    )


def _more(problem: Problem, seed: int, count: int) -> list[Ints]:
    """First solutions beside those of the search: where centres settle is quick to see."""
    each = (np.random.default_rng([seed, 6, number]) for number in range(count))
    return [first_labels(problem, rng) for rng in each]


def _polish(problem: Problem, label: Ints, pool: list[Ints], most: int, steps: int) -> Ints:
    """Solve exactly for the most promising centres; those of the pool are settled and compared."""
    with ThreadPoolExecutor(WORKERS) as workers:
        settled = list(workers.map(lambda each: settle(problem, each), pool))
    settled.sort(key=lambda pair: pair[0])
    worth, _ = evaluate(problem, label)
    tried: list[float] = []
    for value, near in settled:
        if len(tried) == most or value >= worth:
            break
        if tried and value - tried[-1] <= TINY * abs(value):
            continue  # the same centres again
        tried.append(value)
        _, centre = evaluate(problem, near)
        may = np.ones((problem.n, problem.k), dtype=bool)
        may[centre] = np.eye(problem.k, dtype=bool)
        costs = slot_costs(problem, near, centre)
        found = assign_units(problem, costs, NODES, may, label, 1e-6, centre, steps=steps)
        if found.label is not None:
            cost, _ = evaluate(problem, found.label)
            if cost < worth:
                label, worth = found.label, cost
    return label


def _repair(problem: Problem, label: Ints, work: int) -> Ints:
    """Ask the MILP for any labels that keep every rule, near those that do not."""
    _, centre = evaluate(problem, label)
    asked = assign_units(problem, slot_costs(problem, label, centre), NODES, steps=STEPS)
    if asked.label is None:
        raise NotFound(label, broken(problem, label), work, proven=asked.proven_none)
    return asked.label
