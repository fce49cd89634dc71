"""Rules of change, locks and names, on worlds small enough to try every map."""

import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
import shapely

from terrlib import steps
from terrlib.decisions.impossible import conflict, impossible
from terrlib.decisions.rules import Rules, compile_problem, slots
from terrlib.decisions.territories import checks, draw
from terrlib.errors import DataError, InfeasibleError
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import make_settings
from terrlib.measures.scorecard import territory_shapes
from terrlib.show.charts import lock_prices
from terrlib.show.words import Words
from terrlib.solve.partition import feasible
from tests.test_territories import HOW, NONE, measured
from tests.worlds import line_market


def shared(units, holders, revenue, **given):
    """Accounts on shared units: account i is on units[i] and held by holders[i]."""
    ids = [f"A-{letter}" for letter in "abcdefgh"[: len(units)]]
    return line_market(
        revenue,
        accounts=[{"unit_id": unit} for unit in units],
        assignments=[
            {"account_id": one, "territory": name, "rep_id": ""}
            for one, name in zip(ids, holders, strict=True)
        ],
        **given,
    )


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


def test_names_that_nobody_knows_are_refused_with_the_nearest():
    market = shared("ab", ["North", "South"], [1, 1])
    rules = Rules(2, forbidden=(("a", "Suoth"),))
    said = impossible(market, measured(market), rules, pd.Series({"b": "Nroth"}))
    assert "an override puts b in Nroth, which nobody holds today: did you mean North?" in said
    assert "a is forbidden in Suoth, but there is no such territory: did you mean South?" in said
    fresh = shared("ab", ["T1", "T2"], [1, 1])
    assert impossible(fresh, measured(fresh), Rules(2), pd.Series({"b": "T10"})) == []


def test_the_group_of_a_conflict_is_named():
    market = line_market(
        [1] * 6, groups=[{"rule": "apart", "group": "port", "unit_id": u} for u in "de"]
    )
    rules = Rules(2, {"count": 0.4}, together=(("a", "f"),), apart=(("d", "e"), ("b", "c")))
    with pytest.raises(InfeasibleError, match=r"the group port \(d, e\) apart"):
        draw(market, measured(market), rules, HOW, 1)


ACCOUNTS = "account_id,name,lat,lon,revenue,area_id\nA,Alfa,52,19,1,\nB,Beta,52,19.1,2,\n"


def loaded(folder, **tables):
    """A market of two accounts and further tables, as a user would give them."""
    (folder / "accounts.csv").write_text(ACCOUNTS)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    names = {name: f"{name}.csv" for name in ("accounts", *tables)}
    return load_market(make_settings({"tables": names, "units": "accounts"}), folder)


def test_an_account_of_two_territories_is_refused(tmp_path):
    rows = "account_id,territory\nA,T1\nB,T2\nA,T2\n"
    with pytest.raises(DataError, match=r"several present territories.*A: T1 and T2"):
        loaded(tmp_path, assignments=rows)


def test_a_unit_placed_twice_is_refused(tmp_path):
    unit = loaded(tmp_path).units.index[0]
    rows = f"unit_id,territory\n{unit},T1\n{unit},T2\n"
    with pytest.raises(DataError, match=f"1 units are placed.*{unit} in T1 and in T2"):
        loaded(tmp_path, overrides=rows)


def test_a_matrix_leads_to_units_that_exist_and_once(tmp_path):
    a, b = loaded(tmp_path).units.index
    with pytest.raises(DataError, match="1 places under `to` are no unit and no rep, such as Zet"):
        loaded(tmp_path, travel=f"unit_id,to,km\n{a},{b},1\n{a},Zet,3\n")
    with pytest.raises(DataError, match=f"1 pairs have two different ways, such as {a} to {b}"):
        loaded(tmp_path, travel=f"unit_id,to,km\n{a},{b},1\n{a},{b},3\n")


def test_no_locks_draw_no_chart():
    none = pd.DataFrame(columns=["name", "lock", "price", "at_most", "kind"])
    assert lock_prices(none, Words("en", "PLN")) is None


def test_a_tolerance_that_pieces_do_not_allow_is_told_with_the_finest_found():
    # In one piece the 4 in the middle goes to either side: 8 against 12, where 10 is fair.
    market = line_market([1] * 8 + [4] + [1] * 8)
    rules = Rules(2, {"revenue": 0.01})
    assert impossible(market, measured(market), rules) == []
    with pytest.raises(InfeasibleError) as refused:
        draw(market, measured(market), rules, HOW, 1)
    assert (
        "the finest balance found is revenue: 0.2: allow --balance revenue:0.2, or use smaller units"
    ) in str(refused.value)
    draw(market, measured(market), Rules(2, {"revenue": 0.2}), HOW, 1)


def test_a_tolerance_finer_than_large_round_amounts_is_told_by_arithmetic():
    # All are multiples of 100,000, and a third of 5,200,000 is none.
    market = line_market([300_000] * 10 + [200_000] * 11)
    said = impossible(market, measured(market), Rules(3, {"revenue": 0.001}))
    assert (
        "the tolerance is finer than the 21 units allow; allow a balance of 2% or more" in said[0]
    )
    cents = line_market([3.5] * 10 + [2.5] * 11)  # multiples of a half; a third of 62.5 is none
    assert "finer than the 21 units" in "".join(
        impossible(cents, measured(cents), Rules(3, {"revenue": 0.001}))
    )


def test_where_balance_alone_is_missed_much_work_is_not_spent_on_other_reasons(monkeypatch):
    market = line_market([1] * 8 + [4] + [1] * 8)
    monkeypatch.setattr("terrlib.decisions.territories.CLASH_PAIRS", 1)
    monkeypatch.setattr("terrlib.decisions.territories.conflict", None)  # would be called in vain
    with pytest.raises(InfeasibleError, match=r"the finest balance found is revenue: 0\.2:"):
        draw(market, measured(market), Rules(2, {"revenue": 0.01}), HOW, 1)


@pytest.mark.parametrize("km", ["", "-3", "far"])
def test_a_check_refuses_a_matrix_that_lacks_a_pair(tmp_path, km):
    a, b = loaded(tmp_path).units.index
    market = loaded(tmp_path, travel=f"unit_id,to,km\n{a},{b},1\n{b},{a},{km}\n")
    asked = make_settings({"territories": {"count": 2, "balance": {"count": 0.5}}})
    with pytest.raises(DataError, match=f"1 of 4 pairs have no km, such as {b} to {a}: give every"):
        steps.refuse_impossible(market, asked)
    assert km == "" or market.quality["table"].eq("travel").sum() == 1


def test_no_sliver_is_left_between_the_cells_of_a_territory(tmp_path):
    rng = np.random.default_rng(3)
    places = [
        f"A{i},Firm {i},{50.5 + 3 * rng.random():.5f},{17 + 5 * rng.random():.5f},1,"
        for i in range(300)
    ]
    header = ACCOUNTS.splitlines()[0]
    (tmp_path / "many.csv").write_text("\n".join([header, *places]))
    asked = make_settings({"tables": {"accounts": "many.csv"}, "units": "accounts"})
    market = load_market(asked, tmp_path)
    xy = market.units[["x_km", "y_km"]].to_numpy()
    for _ in range(10):  # to the nearest of eight, so that no territory encloses another
        away = ((xy[:, None] - xy[None, rng.choice(300, 8, replace=False)]) ** 2).sum(2)
        nearest = pd.Series(away.argmin(1).astype(str), index=market.units.index)
        shapes = territory_shapes(market, nearest).geometry.to_numpy()
        assert sum(len(part.interiors) for part in shapely.get_parts(shapes)) == 0
