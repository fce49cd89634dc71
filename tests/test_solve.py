"""Solvers against brute force, on problems small enough to try every answer."""

import itertools
from dataclasses import replace

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib.errors import InfeasibleError
from terrlib.solve.allocate import waterfill
from terrlib.solve.assign import assign, regret
from terrlib.solve.coarsen import coarsen
from terrlib.solve.construct import first_labels
from terrlib.solve.partition import (
    FREE,
    Problem,
    broken,
    evaluate,
    feasible,
    misses,
    pieces,
    touch_graph,
)
from terrlib.solve.region import restrict, slot_graph, slots_around
from terrlib.solve.search import SLOW, Effort, Found, search
from terrlib.solve.solver import NotFound, plan_effort, solve
from tests.instances import leaving


def problem_of(xy, pairs, load, k, tolerance, **more):
    load = np.asarray(load, float)
    load = load[:, None] if load.ndim == 1 else load
    fair = np.tile(load.sum(0) / k, (k, 1))
    start, touch = touch_graph(len(xy), np.array(pairs, dtype=np.int64).reshape(-1, 2))
    return Problem(
        xy=np.asarray(xy, float),
        weight=load[:, 0],
        load=load,
        low=fair * (1 - tolerance),
        high=fair * (1 + tolerance),
        start=start,
        touch=touch,
        fixed=more.pop("fixed", np.full(len(xy), FREE)),
        seed=np.full(k, FREE),
        **more,
    )


def brute_force(problem):
    """Least cost over all labels that keep every rule; None if there are none.

    Every set of units is looked at once for its pieces, loads and travel; then all labels are tried.
    """
    n, k = problem.n, problem.k
    alone = replace(
        problem, low=np.zeros((1, 1)), high=np.zeros((1, 1)), load=np.zeros((n, 1)), price=None
    )
    sets = 1 << n
    whole, cost = np.zeros(sets, dtype=bool), np.full((sets, k), np.inf)
    for mask in range(1, sets):
        inside = np.array([(mask >> i) & 1 for i in range(n)])
        units = np.flatnonzero(inside)
        label = np.where(inside == 1, 0, np.arange(n) + 1)
        apart = replace(alone, low=np.zeros((n + 1, 1)))
        whole[mask] = not problem.whole or pieces(apart, label)[0] == 1
        for t in range(k):
            cost[mask, t] = _travel(problem, units, t)
    labels = np.array(list(itertools.product(range(k), repeat=n)))
    bits = 1 << np.arange(n)
    total = np.zeros(len(labels))
    good = np.ones(len(labels), dtype=bool)
    for t in range(k):
        mask = (labels == t) @ bits
        load = (labels == t).astype(float) @ problem.load
        good &= whole[mask] & (load <= problem.high[t] + 1e-9).all(1)
        good &= (load >= problem.low[t] - 1e-9).all(1)
        total += cost[mask, t]
    may = problem.allowed()
    for i in range(n):
        good &= may[i, labels[:, i]]
    if problem.block is not None:
        for i, j in itertools.combinations(range(n), 2):
            if problem.block[i] == problem.block[j]:
                good &= labels[:, i] == labels[:, j]
    for i, j in [] if problem.apart is None else problem.apart:
        good &= labels[:, i] != labels[:, j]
    if problem.present is not None:
        gone = (labels != problem.present) & (problem.present != FREE)
        if problem.price is not None:
            total += gone @ problem.price
        if problem.cap is not None:
            of_unit = np.arange(n)
            moved = problem.moved[of_unit, labels].sum(1)
            good &= (moved <= problem.cap + 1e-9).all(1)
    return float(total[good].min()) if good.any() else None


def _travel(problem, units, slot):
    """Travel of one set of units, written out."""
    weight = problem.weight[units]
    power = 2 if problem.square else 1
    if problem.home is not None:
        return (weight * problem.home[units, slot] ** power).sum()
    xy = problem.xy[units]
    if problem.square and problem.matrix is None:
        mean = (weight[:, None] * xy).sum(0) / max(weight.sum(), 1e-300)
        return (weight * ((xy - mean) ** 2).sum(1)).sum()
    if problem.matrix is not None:
        away = problem.matrix[np.ix_(units, units)]
    else:
        away = np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(2))
    return (weight[:, None] * away**power).sum(0).min()


def check(problem, seed=1):
    """The solver agrees with trying everything: on whether there is an answer, and on its cost."""
    truth = brute_force(problem)
    try:
        found = solve(problem, seed)
    except NotFound as none:
        assert truth is None, f"there is an answer of {truth}"
        assert none.broken
        return
    assert truth is not None
    assert feasible(problem, found.label)
    assert found.cost == pytest.approx(evaluate(problem, found.label)[0])
    assert found.cost >= truth - 1e-6 * max(truth, 1)
    assert found.bound <= truth + 1e-6 * max(truth, 1)
    if found.status == "optimal":
        assert found.cost == pytest.approx(truth, rel=1e-5, abs=1e-6)
    else:
        # All that is left without proof among small problems.
        assert problem.cap is not None
        assert problem.centre_kind == "mean"
        assert found.cost <= truth * 1.25 + 1e-9


GRAPHS = [
    (number, graph)
    for number, graph in enumerate(networkx.graph_atlas_g())
    if graph.number_of_nodes() > 1 and networkx.is_connected(graph)
]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_every_connected_graph_of_up_to_seven_units(part):
    assert len(GRAPHS) == 1 + 2 + 6 + 21 + 112 + 853
    for number, graph in GRAPHS[part::8]:
        rng = np.random.default_rng(number)
        n = graph.number_of_nodes()
        load = rng.integers(1, 6, (n, int(rng.integers(1, 3))))
        problem = problem_of(
            rng.integers(0, 9, (n, 2)),
            list(graph.edges),
            load,
            min(int(rng.integers(2, 4)), n),
            float(rng.choice([0.3, 0.5, 0.9])) + 0.001,
            square=bool(number % 3 == 0),
        )
        check(problem, number)


@st.composite
def ruled_problems(draw):
    """Small problems with every kind of rule."""
    n = draw(st.integers(3, 6))
    k = draw(st.integers(2, 3))
    tree = [(draw(st.integers(0, i - 1)), i) for i in range(1, n)]
    extra = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    more = {}
    if draw(st.booleans()):
        more["fixed"] = np.where(rng.random(n) < 0.2, rng.integers(0, k, n), FREE)
    if draw(st.booleans()):
        more["banned"] = np.array([[rng.integers(n), rng.integers(k)]])
    if draw(st.booleans()):
        more["block"] = np.where(np.arange(n) < 2, 0, np.arange(n))
    if draw(st.booleans()):
        more["apart"] = np.array([[0, n - 1]])
    if draw(st.booleans()):
        more["present"] = rng.integers(-1, k, n)
        more["price"] = rng.integers(0, 9, n).astype(float)
        if draw(st.booleans()):
            more["moved"] = leaving(more["present"], k)
            more["cap"] = np.array([float(rng.integers(0, n))])
    kind = draw(st.sampled_from(["line", "mean", "matrix", "home"]))
    if kind == "matrix":
        more["matrix"] = rng.integers(0, 9, (n, n)).astype(float)
    if kind == "home":
        more["home"] = rng.integers(0, 9, (n, k)).astype(float)
    pairs = tree + [(a, b) for a, b in extra if a != b]
    tolerance = draw(st.sampled_from([0.4, 0.7, 0.95]))
    return problem_of(
        rng.integers(0, 9, (n, 2)),
        pairs,
        rng.integers(1, 6, n),
        k,
        tolerance,
        square=kind == "mean",
        whole=draw(st.booleans()),
        **more,
    )


@settings(max_examples=150, deadline=None)
@given(ruled_problems(), st.integers(0, 3))
def test_no_answer_breaks_a_rule_or_beats_trying_everything(problem, seed):
    check(problem, seed)


def test_squared_travel_of_a_few_more_units_is_proven_too():
    rng = np.random.default_rng(4)
    pairs = [(i - step, i) for step in (1, 4) for i in range(step, 14)]
    load = rng.integers(1, 9, 14)
    problem = problem_of(rng.integers(0, 30, (14, 2)), pairs, load, 2, 0.05, square=True)
    labels = (np.arange(1 << 14)[:, None] >> np.arange(14)) & 1
    inside = np.abs(labels @ load - load.sum() / 2) <= 0.05 * load.sum() / 2
    kept = [label for label in labels[inside] if feasible(problem, label)]
    found = solve(problem)
    assert found.status == "optimal"
    assert found.cost == pytest.approx(min(evaluate(problem, label)[0] for label in kept))


def test_a_row_of_equal_units_is_cut_in_the_middle():
    xy = [(i, 0) for i in range(6)]
    found = solve(problem_of(xy, [(i, i + 1) for i in range(5)], [1] * 6, 2, 0.01))
    assert found.cost == 4
    assert found.status == "optimal"
    assert len(set(found.label[:3])) == len(set(found.label[3:])) == 1


def town(n=150, k=5, seed=7, **more):
    """A made-up country: random places that touch where their Delaunay triangles say."""
    from scipy.spatial import Delaunay

    rng = np.random.default_rng(seed)
    xy = rng.random((n, 2)) * 100
    sides = Delaunay(xy).simplices
    pairs = np.vstack([sides[:, [0, 1]], sides[:, [1, 2]], sides[:, [0, 2]]])
    return problem_of(xy, pairs, rng.pareto(2, n) + 1, k, 0.05, **more)


QUICK = Effort(2, 1, 1)


@pytest.mark.parametrize("square", [False, True])
def test_renaming_moving_scaling_and_mirroring_change_nothing_that_matters(square):
    problem = town(square=square)
    found = search(problem, 3, QUICK)[0]
    assert found.misses == 0
    power = 2 if square else 1
    far = search(replace(problem, xy=problem.xy * 10 + 500), 3, QUICK)[0]
    assert far.cost == pytest.approx(found.cost * 10**power, rel=0.02)
    heavy = search(replace(problem, weight=problem.weight * 4), 3, QUICK)[0]
    assert heavy.cost == pytest.approx(found.cost * 4, rel=0.02)
    order = np.random.default_rng(1).permutation(problem.n)
    place = np.argsort(order)
    i = np.repeat(np.arange(problem.n), np.diff(problem.start))
    start, touch = touch_graph(problem.n, np.column_stack([place[i], place[problem.touch]]))
    shuffled = replace(
        problem,
        xy=problem.xy[order],
        weight=problem.weight[order],
        load=problem.load[order],
        start=start,
        touch=touch,
    )
    again = search(shuffled, 3, QUICK)[0]
    assert again.misses == 0
    assert again.cost == pytest.approx(found.cost, rel=0.03)


def test_the_same_seed_gives_the_same_labels_on_one_thread_and_on_two(monkeypatch):
    problem = town(400, 9, square=True)
    two = search(problem, 5, QUICK)[0]
    monkeypatch.setattr("terrlib.solve.search.WORKERS", 1)
    one = search(problem, 5, QUICK)[0]
    assert (one.label == two.label).all()
    assert two.misses == 0


def test_a_small_miss_is_preferred_to_a_dear_map_and_never_handed_out_before_one_that_keeps_the_rules(
    monkeypatch,
):
    """Of 10 slots in a row of 20, one map is cheap and a hair out of balance, one dear and in balance."""
    xy = [(i, 0) for i in range(20)]
    row = problem_of(xy, [(i, i + 1) for i in range(19)], [1] * 20, 10, 0.01)
    label = np.arange(20) // 2
    near = Found(label, misses=0.001, cost=10.0)
    dear = Found(label, misses=0.0, cost=12.0)
    mended: list[float] = []

    def regions(problem, best, *_):
        mended.append(best.cost)
        return best

    monkeypatch.setattr("terrlib.solve.search._start", lambda *a: lambda: [dear, near][a[2]])
    monkeypatch.setattr("terrlib.solve.search._pass", regions)
    found = search(row, 1, Effort(2, 0, 1))
    assert mended[0] == 10.0
    assert found[0].cost == 12.0


def test_few_slots_of_many_units_are_cooled_slowly_and_all_others_quickly():
    many = town(1_100, 7, square=True)
    assert plan_effort(many, 1).levels == SLOW
    assert plan_effort(many, 1, starts=1).levels != SLOW
    assert plan_effort(town(400, 7, square=True), 1).levels != SLOW
    assert plan_effort(town(1_100, 60, square=True), 1).levels != SLOW


def test_merged_units_hold_what_their_units_held_and_touch_what_these_touched():
    problem = town()
    merged, group = coarsen(problem, 60)
    assert merged.n == 60
    assert merged.load.sum() == pytest.approx(problem.load.sum())
    assert merged.weight.sum() == pytest.approx(problem.weight.sum())
    for unit in range(60):
        inside = np.flatnonzero(group == unit)
        label = np.where(group == unit, 0, 1 + np.arange(problem.n))
        many = replace(problem, low=np.zeros((problem.n + 1, 1)))
        assert pieces(many, label)[0] == 1
        assert merged.load[unit].sum() == pytest.approx(problem.load[inside].sum())


def test_a_region_is_a_problem_of_its_own_and_costs_what_it_costs_in_the_whole():
    problem = town(square=True)
    label = search(problem, 1, QUICK)[0].label
    slots = slots_around(slot_graph(problem, label), 2, 3)
    part, units = restrict(problem, label, slots)
    now = np.searchsorted(slots, label[units])
    assert feasible(part, now)
    rest = problem.n - len(units)
    assert 0 < rest < problem.n
    others = [t for t in range(problem.k) if t not in slots]
    outside, _ = restrict(problem, label, np.array(others))
    there = np.searchsorted(others, label[np.isin(label, others)])
    whole = evaluate(part, now)[0] + evaluate(outside, there)[0]
    assert whole == pytest.approx(evaluate(problem, label)[0])


def test_first_labels_leave_nothing_empty_and_every_fixed_unit_in_its_place():
    fixed = np.full(150, FREE)
    fixed[[3, 40]] = 4, 1
    label = first_labels(town(fixed=fixed), np.random.default_rng(1))
    assert set(label) == set(range(5))
    assert label[[3, 40]].tolist() == [4, 1]


def test_pieces_are_counted_on_the_graph_and_not_by_distance():
    problem = problem_of([(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 2)], [1, 1, 1], 2, 0.9)
    assert pieces(problem, np.array([0, 1, 0])).tolist() == [2, 1]
    assert broken(problem, np.array([0, 1, 0])) == ("pieces",)
    assert misses(problem, np.array([0, 1, 0])) == 1


def test_the_cheapest_centre_is_the_weighted_median():
    problem = problem_of([(0, 0), (1, 0), (10, 0)], [(0, 1), (1, 2)], [1, 1, 5], 1, 0.5)
    cost, centre = evaluate(problem, np.zeros(3, dtype=np.int64))
    assert (cost, centre.tolist()) == (19.0, [2])


def test_no_labels_are_given_where_none_can_keep_the_rules():
    with pytest.raises(NotFound) as none:
        solve(problem_of([(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 2)], [1, 1, 8], 2, 0.1))
    assert none.value.broken == ("balance",)
    assert none.value.proven


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
    assert (regret(lambda f: assign(cost, f, empty), none, *free) >= 0).all()


def test_a_row_nobody_may_take_stays_empty():
    columns, total = assign(
        np.ones((2, 2)), np.array([[True, True], [False, False]]), np.full(2, 7.0)
    )
    assert columns.tolist() == [-1, 0]
    assert total == 8.0


def returns(value, rate):
    """Return of the next coin on value (1 - exp(-rate x))."""
    return lambda x: (value * rate)[:, None] * np.exp(-rate[:, None] * x)


def test_the_golden_split_of_money_has_one_marginal_return():
    value = np.array([200e3, 120e3, 60e3, 30e3])
    rate = 1 / np.array([30e3, 15e3, 20e3, 8e3])
    low, high = np.array([5e3, 0, 5e3, 0]), np.array([80e3, 40e3, 40e3, 20e3])
    x, price = waterfill(returns(value, rate), low, high, 100e3)
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
    x, _ = waterfill(returns(value, rate), np.zeros(n), high, budget)
    assert abs(x.sum() - budget) < 1e-6 * budget
    best = (value * (1 - np.exp(-rate * x))).sum()
    for _ in range(20):
        other = rng.dirichlet(np.ones(n)) * budget
        if (other <= high).all():
            assert (value * (1 - np.exp(-rate * other))).sum() <= best * (1 + 1e-9)


def test_a_budget_outside_the_limits_is_refused():
    with pytest.raises(InfeasibleError, match="the limits allow 0 to 10"):
        waterfill(returns(np.ones(2), np.ones(2)), np.zeros(2), np.full(2, 5.0), 11)
