"""Solve a districting problem: search, polish, proof."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from terrlib.solve.bound import lower_bound
from terrlib.solve.construct import first_labels
from terrlib.solve.exact import prove
from terrlib.solve.milp import assign_units, polish, slot_costs
from terrlib.solve.partition import Ints, Problem, Solution, broken, evaluate
from terrlib.solve.search import Effort, search
from terrlib.solve.subsets import best_of_all, may_enumerate

TINY = 1e-6
POLISH_PAIRS = 20_000  # units times slots up to which a MILP is asked
NODES = 500
PROOF_UNITS = 120  # units up to which the least cost is proven
PROOF_NODES = 20_000


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
    many = starts or int(np.clip(8_000 // problem.n, 2, 16)) * effort
    return Effort(many, many // 4, int(np.clip(6_000 // problem.n, 1, 3)) * effort)


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
        First solutions; 0 chooses by size.

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
    found = search(problem, seed, plan_effort(problem, effort, starts))
    label, cost, here = found.label, found.cost, float("nan")
    if problem.n * problem.k <= POLISH_PAIRS:
        if found.misses:
            label = _repair(problem, label, found.work)
        label, cost = polish(problem, label, NODES)
    elif found.misses:
        raise NotFound(label, broken(problem, label), found.work, proven=False)
    if (problem.n <= PROOF_UNITS and problem.centre_kind != "mean") or problem.home is not None:
        proven = prove(problem, label, PROOF_NODES * effort)
        label, cost = proven.label, proven.cost
        if proven.status == "optimal":
            return replace(proven, work=found.work)
        here = proven.bound_here
    bound = lower_bound(problem, cost, effort)
    value = min(max(bound.value, 0.0), cost)
    return Solution(
        label=label,
        cost=cost,
        bound=value,
        status="optimal" if cost - value <= TINY * abs(cost) else "feasible",
        relaxed=bound.relaxed,
        bound_here=here,
        work=found.work,
    )


def _enumerate(problem: Problem, seed: int) -> Solution:
    label = best_of_all(problem)
    if label is None:
        near = first_labels(problem, np.random.default_rng(seed))
        raise NotFound(near, broken(problem, near), 0, proven=True)
    cost, _ = evaluate(problem, label)
    return Solution(
        label, cost, cost, "optimal", (), cost if problem.home is not None else np.nan, 0
    )


def _repair(problem: Problem, label: Ints, work: int) -> Ints:
    """Ask the MILP for any labels that keep every rule, near those that do not."""
    _, centre = evaluate(problem, label)
    asked = assign_units(problem, slot_costs(problem, label, centre), NODES)
    if asked.label is None:
        raise NotFound(label, broken(problem, label), work, proven=asked.proven_none)
    return asked.label
