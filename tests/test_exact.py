"""Proofs of small problems, against trying every answer and against published optima."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import linprog

from terrlib.solve.boxes import Boxes
from terrlib.solve.exact import prove
from terrlib.solve.milp import assign_units, slot_costs
from terrlib.solve.partition import FREE, Problem, evaluate, feasible, touch_graph
from terrlib.solve.search import Effort, search
from tests.instances import FOLDER, as_problem, leaving, read_instance


def random_problem(seed: int) -> Problem:
    """Up to six places, joined by a tree and some more pairs, within wide bounds."""
    rng = np.random.default_rng(seed)
    n, k, m = int(rng.integers(4, 7)), int(rng.integers(2, 4)), int(rng.integers(1, 3))
    tree = [(i, int(rng.integers(i))) for i in range(1, n)]
    more = [tuple(rng.choice(n, 2, replace=False)) for _ in range(2)]
    load = rng.integers(1, 6, (n, m)).astype(float)
    share = load.sum(0) / k
    return Problem(
        xy=rng.random((n, 2)) * 10,
        weight=rng.random(n) + 0.1,
        load=load,
        low=np.tile(share * 0.5, (k, 1)),
        high=np.tile(share * 1.6, (k, 1)),
        **dict(zip(("start", "touch"), touch_graph(n, np.array(tree + more)), strict=True)),
        fixed=np.full(n, FREE),
        seed=np.full(k, FREE),
    )


def ruled(problem: Problem, seed: int, rule: str) -> Problem:
    """The problem with one more rule."""
    rng = np.random.default_rng(seed)
    n, k = problem.n, problem.k
    a, b = rng.choice(n, 2, replace=False)
    change = {
        "none": {},
        "square": {"square": True, "matrix": rng.random((n, n)) * 9},
        "loose": {"whole": False},
        "banned": {"banned": np.array([[a, 0], [b, 1]])},
        "fixed": {"fixed": np.where(np.arange(n) == a, 1, FREE)},
        "together": {"block": np.where(np.arange(n) == a, b, np.arange(n))},
        "apart": {"apart": np.array([[a, b]])},
        "uneven": {"high": problem.high * np.linspace(0.8, 1.3, k)[:, None]},
        "cap": {
            "present": (present := rng.integers(-1, k, n)),
            "price": rng.random(n),
            "moved": leaving(present, k),
            "cap": np.array([n / 2]),
        },
    }
    return replace(problem, **change[rule])


RULES = ["none", "square", "loose", "banned", "fixed", "together", "apart", "uneven", "cap"]


def every_answer(problem: Problem) -> list[np.ndarray]:
    """All labels that keep every rule."""
    labels = map(np.array, product(range(problem.k), repeat=problem.n))
    return [label for label in labels if feasible(problem, label)]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_proof_equals_trying_every_answer(rule: str, given: bool) -> None:
    for seed in range(2):
        problem = ruled(random_problem(seed), seed, rule)
        if given:
            rng = np.random.default_rng(seed)
            problem = replace(problem, home=rng.random((problem.n, problem.k)) * 10)
        answers = every_answer(problem)
        if not answers:
            if given:
                with pytest.raises(ValueError, match="no territories"):
                    prove(problem, None)
            continue
        costs = [evaluate(problem, label)[0] for label in answers]
        found = prove(problem, answers[int(np.argmax(costs))])
        assert feasible(problem, found.label)
        assert found.cost == pytest.approx(min(costs), rel=1e-6)
        assert found.bound <= min(costs) * (1 + 1e-9)
        assert found.status == "optimal"


@pytest.mark.parametrize("rule", RULES)
def test_assignment_equals_trying_every_answer(rule: str) -> None:
    for seed in range(2):
        problem = ruled(random_problem(seed), seed, rule)
        cost = np.random.default_rng(seed).random((problem.n, problem.k))
        answers = every_answer(problem)
        found = assign_units(problem, cost, 1_000)
        if not answers:
            assert found.label is None
            assert found.proven_none
            continue
        least = min(cost[np.arange(problem.n), label].sum() for label in answers)
        assert found.label is not None
        assert feasible(problem, found.label)
        assert found.cost == pytest.approx(least, rel=1e-6)
        assert found.bound <= least * (1 + 1e-9)
        short = assign_units(problem, cost, 1_000, steps=1)
        assert short.label is None or feasible(problem, short.label)
        assert short.bound <= least * (1 + 1e-9)
        assert not short.proven_none


def test_means_are_polished_by_squared_distance() -> None:
    problem = replace(random_problem(1), square=True)
    label = every_answer(problem)[0]
    cost = slot_costs(problem, label, np.full(problem.k, FREE))
    assert cost[np.arange(problem.n), label].sum() == pytest.approx(evaluate(problem, label)[0])


@pytest.mark.parametrize("name", ["ctdp_2DU60-05-1", "ctdp_2DU100-05-2"])
def test_published_optimum_is_proven(name: str) -> None:
    if not (FOLDER / f"{name}.json").exists():
        pytest.skip(f"the instance {name} is not here")
    instance = read_instance(name)
    problem = as_problem(instance)
    start = search(problem, 1, Effort(2, 0, 0))[0]
    assert not start.misses
    found = prove(problem, start.label)
    assert found.status == "optimal"
    assert found.cost == pytest.approx(instance["known"]["optimum"], rel=1e-6)


def test_a_proof_that_is_cut_short_still_holds() -> None:
    for seed in range(6):
        problem = random_problem(seed)
        answers = every_answer(problem)
        if answers:
            costs = [evaluate(problem, label)[0] for label in answers]
            found = prove(problem, answers[int(np.argmax(costs))], parts=0, pairs=0.0)
            assert found.bound <= min(costs) * (1 + 1e-9)
            assert found.cost >= min(costs) * (1 - 1e-9)


def test_boxes_tell_every_choice_of_centres_that_may_be_cheaper() -> None:
    """The transport problem of each pair of centres, solved on its own, against what boxes keep."""
    rng = np.random.default_rng(3)
    n, k = 12, 2
    xy, load = rng.random((n, 2)) * 10, rng.integers(1, 5, (n, 1)).astype(float)
    cost = np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(2))
    low, high = np.full((k, 1), load.sum() * 0.45), np.full((k, 1), load.sum() * 0.55)
    worth = {}
    for a, b in combinations(range(n), 2):
        found = linprog(
            np.r_[cost[a], cost[b]],
            A_ub=np.kron(np.r_[np.eye(k), -np.eye(k)], load[:, 0]),
            b_ub=np.r_[high[:, 0], -low[:, 0]],
            A_eq=np.hstack([np.eye(n)] * k),
            b_eq=np.ones(n),
            bounds=(0, 1),
        )
        worth[a, b] = found.fun
    upper = float(np.quantile(list(worth.values()), 0.2))
    every = np.arange(n)
    boxes = Boxes(xy, cost, np.zeros(n), 0.0, load, low, high, [every], np.zeros(k, dtype=np.int64))
    kept = {}
    while boxes.pending:
        choices, values, _ = boxes.walk(upper, 1_000)
        kept |= {tuple(sorted(c.tolist())): v for c, v in zip(choices, values, strict=True)}
    assert {pair for pair, value in worth.items() if value < upper} <= set(kept)
    assert all(value <= worth[pair] + 1e-9 for pair, value in kept.items())
    assert len(kept) < len(worth) / 2


def seven_places() -> Problem:
    """Seven places in three slots; the unit of a centre is dear to every other slot."""
    xy = [[9.37, 1.041], [2.563, 9.6], [9.875, 3.972], [7.583, 8.311], [9.959, 3.529]]
    xy += [[3.213, 6.235], [2.189, 5.899]]
    load = np.array([[0.0], [4], [1], [3], [7], [4], [1]])
    way = touch_graph(7, np.array([[i, i + 1] for i in range(6)]))
    return Problem(
        np.array(xy), np.array([3.0, 30, 3, 3, 20, 10, 1]), load, np.full((3, 1), 6.0),
        np.full((3, 1), 22 / 3), *way, np.full(7, FREE), np.full(3, FREE), whole=False,
    )  # fmt: skip


def test_the_proof_does_not_depend_on_where_it_starts() -> None:
    problem = seven_places()
    answers = every_answer(problem)
    best = min(evaluate(problem, label)[0] for label in answers)
    for label in [*answers[::7], np.array([1, 0, 0, 2, 1, 2, 0])]:
        found = prove(problem, label)
        assert found.status == "optimal"
        assert found.cost == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("seed", range(24))
def test_a_proof_holds_with_nothing_in_some_units_and_a_price_of_staying(seed: int) -> None:
    """Loads and weights of 0, blocks, no upper bound, a matrix that is not 0 from a unit to itself."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed)
    n = problem.n
    bare = replace(
        problem,
        weight=np.where(rng.random(n) < 0.3, 0.0, problem.weight),
        load=np.where(rng.random(problem.load.shape) < 0.3, 0.0, problem.load),
        low=problem.low * 0.5,
        high=problem.high if seed % 3 else np.full_like(problem.high, np.inf),
        matrix=rng.integers(0, 9, (n, n)).astype(float) if seed % 2 else None,
        block=np.where(np.arange(n) == 1, 0, np.arange(n)) if seed % 4 == 0 else None,
    )
    answers = every_answer(bare)
    for label in answers[:: max(1, len(answers) // 3)]:
        found = prove(bare, label)
        best = min(evaluate(bare, each)[0] for each in answers)
        assert found.status == "optimal"
        assert found.cost == pytest.approx(best, rel=1e-6, abs=1e-9)


def test_a_part_that_is_not_looked_at_to_the_end_keeps_its_bound() -> None:
    """Nearly a slot for each unit: the cheapest answer joins the two nearest pairs of units."""
    n, k = 150, 148
    xy = np.random.default_rng(0).random((n, 2)) * 100
    way = touch_graph(n, np.array([[i, i + 1] for i in range(n - 1)]))
    problem = Problem(
        xy, np.ones(n), np.ones((n, 1)), np.ones((k, 1)), np.full((k, 1), 3.0), *way,
        np.full(n, FREE), np.full(k, FREE), whole=False,
    )  # fmt: skip
    away = np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(2))[np.triu_indices(n, 1)]
    far = np.r_[0, 0, np.arange(k)]
    assert prove(problem, far[:n]).bound <= np.sort(away)[:2].sum() * (1 + 1e-9)
