"""Rules of change, locks and names, on worlds small enough to try every map."""

import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.impossible import conflict, impossible
from terrlib.decisions.rules import Rules, compile_problem, slots
from terrlib.decisions.territories import checks
from terrlib.solve.partition import feasible
from tests.test_territories import NONE, measured
from tests.worlds import line_market


def shared(units, holders, revenue, **given):
    """Accounts on shared units: account i is on units[i] and held by holders[i]."""
    ids = [f"A-{letter}" for letter in "abcdefgh"[: len(units)]]
    market = line_market(
        revenue,
        accounts=[{"unit_id": unit} for unit in units],
        assignments=[
            {"account_id": one, "territory": name, "rep_id": ""}
            for one, name in zip(ids, holders, strict=True)
        ],
        **given,
    )
    return market


def test_a_unit_of_several_counts_what_really_moves():
    # T1 holds one dear account of a, T2 two cheap ones: under T1 two accounts move, under T2 one.
    market = shared("aaabc", ["T1", "T2", "T2", "T1", "T2"], [9, 1, 1, 5, 5])
    one = Rules(2, max_accounts=1, whole=False)
    assert impossible(market, measured(market), one) == []
    none = impossible(market, measured(market), Rules(2, max_accounts=0, whole=False))
    assert "at least 1 of accounts have to change hands" in none[0]
    problem, slot = compile_problem(market, measured(market), one, NONE)
    t1, t2 = (slot["name"].tolist().index(name) for name in ("T1", "T2"))
    assert problem.moved[0, [t1, t2], 0].tolist() == [2, 1]


@pytest.mark.parametrize("seed", range(12))
def test_impossible_is_never_said_where_a_map_exists(seed):
    rng = np.random.default_rng(seed)
    units = rng.choice(list("abcd"), 6).tolist()
    holders = rng.choice(["T1", "T2"], 6).tolist()
    market = shared(units, holders, rng.integers(1, 9, 6).tolist())
    measures = measured(market)
    rules = Rules(
        2,
        {"revenue": float(rng.choice([0.2, 0.5]))},
        max_accounts=int(rng.integers(0, 4)),
        max_revenue=int(rng.integers(4, 20)),
        whole=False,
    )
    problem, slot = compile_problem(market, measures, rules, NONE)
    names = slots(market, measures, rules, NONE)["name"].to_numpy()
    exists = False
    for label in map(np.array, product(range(2), repeat=len(measures))):
        territory = pd.Series(names[label], index=measures.index)
        share = slot.set_index("name")["share"]
        kept = all(c.ok for c in checks(market, measures, territory, rules, share))
        assert kept == feasible(problem, label)
        exists |= kept
    if exists:
        assert impossible(market, measures, rules) == []
        assert conflict(market, measures, rules, NONE) == ()


def test_the_solver_says_nothing_in_the_terminal():
    said = subprocess.run(
        [sys.executable, "-c", "from terrlib.solve.milp import solver; solver(1, 0.0).run()"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert said.stdout == said.stderr == ""
