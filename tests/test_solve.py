"""Solvers against brute force, on problems small enough to try every answer."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib.errors import InfeasibleError
from terrlib.solve.allocate import waterfill
from terrlib.solve.assign import assign, regret
from terrlib.solve.bound import median_bound
from terrlib.solve.construct import first_labels
from terrlib.solve.improve import improve, total_cost
from terrlib.solve.partition import FREE, Problem, feasible, pieces, touch_graph


def problem_of(xy, pairs, load, k, tolerance):
    load = np.asarray(load, float)[:, None]
    fair = np.full((k, 1), load.sum() / k)
    start, touch = touch_graph(len(xy), np.array(pairs, dtype=np.int64).reshape(-1, 2))
    nothing = np.full(k, FREE)
    return Problem(
        np.asarray(xy, float),
        load[:, 0],
        load,
        fair * (1 - tolerance),
        fair * (1 + tolerance),
        start,
        touch,
        np.full(len(xy), FREE),
        nothing,
    )


def brute_force(problem):
    """Cheapest labels that keep every rule, by trying all; None if there are none."""
    best = None
    for label in itertools.product(range(problem.k), repeat=problem.n):
        label = np.array(label)
        if len(set(label)) == problem.k and feasible(problem, label):
            cost = total_cost(problem.xy, problem.weight, label, problem.k)[0]
            best = cost if best is None or cost < best else best
    return best


@st.composite
def small_problems(draw):
    n = draw(st.integers(3, 6))
    k = draw(st.integers(2, 3))
    xy = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=n, max_size=n))
    load = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    tree = [(draw(st.integers(0, i - 1)), i) for i in range(1, n)]
    more = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=5))
    pairs = tree + [(a, b) for a, b in more if a != b]
    return problem_of(xy, pairs, load, k, draw(st.sampled_from([0.3, 0.6, 0.9])) + 0.001)


@settings(max_examples=60, deadline=None)
@given(small_problems(), st.integers(0, 3))
def test_no_answer_breaks_a_rule_or_beats_trying_everything(problem, seed):
    truth = brute_force(problem)
    label = first_labels(problem, np.random.default_rng(seed))
    assert set(label) == set(range(problem.k))
    found, cost, ok, _ = improve(problem, label, seed, 20_000)
    if ok:
        assert feasible(problem, found)
        assert truth is not None and cost >= truth - 1e-9
        assert median_bound(problem.xy, problem.weight, problem.k, cost) <= truth + 1e-6


def test_a_row_of_equal_units_is_cut_in_the_middle():
    xy = [(i, 0) for i in range(6)]
    problem = problem_of(xy, [(i, i + 1) for i in range(5)], [1] * 6, 2, 0.01)
    label = first_labels(problem, np.random.default_rng(1))
    found, cost, ok, _ = improve(problem, label, 1, 50_000)
    assert ok and cost == 4
    assert found[0] == found[1] == found[2] != found[3] == found[4] == found[5]


def test_pieces_are_counted_on_the_graph_and_not_by_distance():
    problem = problem_of([(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 2)], [1, 1, 1], 2, 0.9)
    assert pieces(problem, np.array([0, 1, 0])).tolist() == [2, 1]


def test_the_cheapest_centre_is_the_weighted_median():
    xy = np.array([(0.0, 0), (1, 0), (10, 0)])
    cost, centre = total_cost(xy, np.array([1.0, 1, 5]), np.zeros(3, dtype=np.int64), 1)
    assert (cost, centre.tolist()) == (19.0, [2])


costs = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(costs)
def test_assignment_equals_trying_every_order(rows):
    cost = np.array(rows, float)
    best = min(sum(cost[i, p[i]] for i in range(4)) for p in itertools.permutations(range(4)))
    columns, total = assign(cost)
    assert total == best
    assert sorted(columns) == [0, 1, 2, 3]


@settings(max_examples=40, deadline=None)
@given(costs, st.integers(0, 3), st.integers(0, 3))
def test_forbidding_a_pair_never_lowers_the_cost(rows, i, j):
    cost, none = np.array(rows, float), np.zeros((4, 4), dtype=bool)
    empty = np.full(4, 50.0)
    free = assign(cost, none, empty)
    banned = none.copy()
    banned[i, j] = True
    columns, total = assign(cost, banned, empty)
    assert total >= free[1] - 1e-9
    assert columns[i] != j
    assert (regret(cost, none, empty, *free) >= 0).all()


def test_a_row_nobody_may_take_stays_empty():
    columns, total = assign(
        np.ones((2, 2)), np.array([[True, True], [False, False]]), np.full(2, 7.0)
    )
    assert columns.tolist() == [-1, 0]
    assert total == 8.0


def test_the_golden_split_of_money_has_one_marginal_return():
    value = np.array([200e3, 120e3, 60e3, 30e3])
    rate = 1 / np.array([30e3, 15e3, 20e3, 8e3])
    low, high = np.array([5e3, 0, 5e3, 0]), np.array([80e3, 40e3, 40e3, 20e3])
    x, price = waterfill(value, rate, low, high, 100e3)
    assert x.round(2).tolist() == [48426.68, 26948.16, 16314.30, 8310.87]
    assert round(price, 5) == 1.32697
    assert round(float((value * (1 - np.exp(-rate * x))).sum()), 2) == 313131.26


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_no_other_split_of_the_same_money_is_worth_more(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    value, rate = rng.uniform(1, 100, n), rng.uniform(0.001, 1, n)
    high = rng.uniform(1, 50, n)
    budget = float(high.sum() * rng.uniform(0.1, 0.9))
    x, _ = waterfill(value, rate, np.zeros(n), high, budget)
    assert abs(x.sum() - budget) < 1e-6 * budget
    best = (value * (1 - np.exp(-rate * x))).sum()
    for _ in range(20):
        other = rng.dirichlet(np.ones(n)) * budget
        if (other <= high).all():
            assert (value * (1 - np.exp(-rate * other))).sum() <= best * (1 + 1e-9)


def test_a_budget_outside_the_limits_is_refused():
    with pytest.raises(InfeasibleError, match="the limits allow 0 to 10"):
        waterfill(np.ones(2), np.ones(2), np.zeros(2), np.full(2, 5.0), 11)
