"""Proven bounds against brute force, and against what is proven of published instances."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from terrlib.solve.bound import lower_bound
from terrlib.solve.partition import (
    FREE,
    Problem,
    evaluate,
    excess,
    pieces,
    touch_graph,
)
from tests.instances import FOLDER, as_problem, leaving, read_instance


def random_problem(seed, n=7, k=2, kind="unit", measures=2, slack=0.35):
    """Units on a random tree with a few more borders."""
    rng = np.random.default_rng(seed)
    pairs = [(rng.integers(0, i), i) for i in range(1, n)]
    pairs += [(a, b) for a, b in rng.integers(0, n, (3, 2)) if a != b]
    start, touch = touch_graph(n, np.array(pairs, dtype=np.int64))
    load = rng.integers(1, 6, (n, measures)).astype(float)
    fair = np.tile(load.sum(0) / k, (k, 1))
    xy = rng.integers(0, 10, (n, 2)).astype(float)
    away = np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(2))
    return Problem(
        xy=xy,
        weight=rng.integers(0, 4, n).astype(float),
        load=load,
        low=fair * (1 - slack),
        high=fair * (1 + slack),
        start=start,
        touch=touch,
        fixed=np.full(n, FREE),
        seed=np.full(k, FREE),
        square=kind in {"mean", "matrix"},
        matrix=np.rint(away) + rng.integers(0, 2, (n, n)) if kind == "matrix" else None,
        home=rng.integers(0, 10, (n, k)).astype(float) if kind == "given" else None,
    )


def kept(problem, label):
    """Whether labels keep every rule."""
    blocks = [] if problem.block is None else np.unique(problem.block)
    same = all(len(set(label[problem.block == b])) == 1 for b in blocks)
    moved = problem.cap is None or np.all(problem.gone(label) <= problem.cap + 1e-9)
    return (
        len(set(label)) == problem.k
        and same
        and moved
        and problem.allowed()[np.arange(problem.n), label].all()
        and excess(problem, label).max() <= 1e-9
        and (not problem.whole or pieces(problem, label).max() <= 1)
    )


def truth(problem):
    """Cost of the best answer by trying all, infinite if there is none, and its centres."""
    best, centre, label = np.inf, None, None
    for each in itertools.product(range(problem.k), repeat=problem.n):
        trial = np.array(each)
        if kept(problem, trial):
            cost, at = evaluate(problem, trial)
            if cost < best:
                best, centre, label = cost, at, trial
    return best, centre, label


@pytest.mark.parametrize("kind", ["unit", "matrix", "mean", "given"])
@pytest.mark.parametrize("seed", range(6))
def test_no_bound_is_above_the_best_answer(kind, seed):
    problem = random_problem(seed, 7 if seed % 2 else 6, 2 if seed % 2 else 3, kind, 1 + seed % 3)
    best = truth(problem)[0]
    if not np.isfinite(best):
        pytest.skip("no answer")
    for upper in (best, 2 * best + 1):  # the steps follow `upper`, the truth does not
        bound = lower_bound(problem, upper)
        assert 0 <= bound.value <= best + 1e-6
        assert bound.relaxed == ("divided", "pieces")


@pytest.mark.parametrize("kind", ["unit", "mean", "given"])
@pytest.mark.parametrize("seed", range(4))
def test_rules_of_units_only_raise_the_best_answer(kind, seed):
    rng = np.random.default_rng(seed)
    plain = random_problem(seed, 7, 2, kind, 1, 0.6)
    fixed = plain.fixed.copy()
    fixed[:2] = [0, 1]
    present = rng.integers(-1, 2, 7)
    problem = replace(
        plain,
        fixed=fixed,
        banned=np.array([[2, 1]]),
        block=np.array([0, 1, 2, 3, 3, 4, 5]),
        apart=np.array([[5, 6]]),
        present=present,
        price=rng.integers(0, 5, 7).astype(float),
        moved=leaving(present, 2),
        cap=np.array([3.0]),
    )
    best = truth(problem)[0]
    if not np.isfinite(best):
        pytest.skip("no answer")
    bound = lower_bound(problem, 2 * best + 1)
    assert bound.value <= best + 1e-6
    left = ("pieces", "apart") if kind == "given" else ("pieces", "apart", "cap")
    assert bound.relaxed == ("divided", *left)


@pytest.mark.parametrize("kind", ["unit", "matrix", "mean"])
@pytest.mark.parametrize("seed", range(4))
def test_slots_that_differ_are_told_apart(kind, seed):
    rng = np.random.default_rng(seed)
    plain = random_problem(seed, 7, 2, kind, 1 + seed % 2, 0.8)
    part_time = np.array([[0.6], [1.4]])
    fixed = plain.fixed.copy()
    fixed[0] = 1
    problem = replace(
        plain,
        low=plain.low * part_time,
        high=plain.high * part_time,
        fixed=fixed,
        banned=np.array([[2, 1], [4, 0]]),
        present=rng.integers(-1, 2, 7),
        price=rng.integers(0, 9, 7).astype(float),
    )
    best = truth(problem)[0]
    if not np.isfinite(best):
        pytest.skip("no answer")
    for upper in (best, 2 * best + 1, np.inf, np.nan):
        bound = lower_bound(problem, upper)
        assert 0 <= bound.value <= best + 1e-6
        assert bound.relaxed == ("divided", "pieces")


def test_a_price_of_change_is_proven_to_the_last_unit():
    """Two pairs of neighbours that are torn apart today: staying costs 18 of travel, moving 6."""
    xy = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0]])
    start, touch = touch_graph(4, np.array([[0, 1], [1, 2], [2, 3]]))
    two = np.full((2, 1), 2.0)
    problem = Problem(
        xy, np.ones(4), np.ones((4, 1)), two, two, start, touch, np.full(4, -1), np.full(2, -1),
        present=np.array([0, 1, 0, 1]), price=np.full(4, 3.0),
    )  # fmt: skip
    assert truth(problem)[0] == 8.0
    assert lower_bound(problem, 20.0).value == pytest.approx(8.0, rel=1e-4)


def test_given_centres_without_pieces_are_proven_to_the_last_unit():
    """Three units of load 1, two homes that hold two each: the third costs 5 wherever it goes."""
    xy = np.zeros((3, 2))
    start, touch = touch_graph(3, np.array([[0, 1]]))
    problem = Problem(
        xy, np.ones(3), np.ones((3, 1)), np.zeros((2, 1)), np.full((2, 1), 2.0), start, touch,
        np.full(3, -1), np.full(2, -1), home=np.array([[1.0, 6], [1, 6], [1, 6]]), whole=False,
    )  # fmt: skip
    bound = lower_bound(problem, 100.0)
    assert bound.value == pytest.approx(8.0, rel=1e-4)
    assert bound.relaxed == ("divided",)


@pytest.mark.parametrize(
    ("name", "gap"), [("ctdp_2DU60-05-1", 0.01), ("ctdp_2DU100-05-1", 0.02), ("hess_NE", 0.001)]
)
def test_published_optima_are_nearly_proven(name, gap):
    if not (FOLDER / f"{name}.json").exists():
        pytest.skip(f"no instance {name} in {FOLDER}")
    instance = read_instance(name)
    best = instance["known"].get("optimum", instance["known"]["best"])
    bound = lower_bound(as_problem(instance), 1.01 * best)
    assert (1 - gap) * best <= bound.value <= best * (1 + 1e-6)
