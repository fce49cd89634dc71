"""Decisions on markets small enough to decide in one's head."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib.decisions import staffing
from terrlib.decisions.channels import break_even, choose_channels
from terrlib.decisions.goals import quotas, reconcile, two_way
from terrlib.decisions.moves import change_hands, cheapest_moves, handover
from terrlib.decisions.naming import keep_names
from terrlib.decisions.rules import held_amounts
from terrlib.decisions.staffing import assign_reps
from terrlib.decisions.territories import Rules, checks, draw, impossible
from terrlib.decisions.territories import moves as drawn_moves
from terrlib.decisions.timeline import next_quarters
from terrlib.errors import DataError, InfeasibleError, SettingsError
from terrlib.inputs.settings import Settings, Territories
from terrlib.measures.facts import account_facts, unit_measures
from terrlib.review import review
from tests.worlds import line_market

HOW = Territories(starts=2)


def measured(market):
    facts = account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    return facts, unit_measures(facts, market.units.index)


def drawn(market, rules, fixed=None):
    return draw(market, measured(market)[1], rules, HOW, 1, fixed)


def test_a_row_of_equal_places_is_cut_in_the_middle():
    label = drawn(line_market([1, 1, 1, 1]), Rules(2, {"revenue": 0.1})).territory
    assert label["a"] == label["b"] != label["c"] == label["d"]


def test_the_order_of_the_rows_changes_nothing():
    market = line_market([3, 1, 2, 4, 1, 2])
    _, measures = measured(market)
    rules = Rules(2, {"revenue": 0.3})
    one = draw(market, measures, rules, HOW, 1).territory
    other = draw(market, measures.iloc[::-1], rules, HOW, 1).territory
    assert one.sort_index().equals(other.sort_index())


def test_every_check_holds_and_the_bound_is_below_the_cost():
    market = line_market([3, 1, 2, 4, 1, 2])
    rules = Rules(2, {"revenue": 0.3, "count": 0.4})
    design = drawn(market, rules)
    assert all(c.ok for c in checks(market, measured(market)[1], design.territory, rules))
    assert 0 <= design.bound_km <= design.cost_km + 1e-9


def test_a_half_time_slot_gets_half():
    design = drawn(line_market([1] * 6), Rules(2, {"revenue": 0.1}, (1.0, 0.5)))
    assert sorted(design.territory.value_counts()) == [2, 4]


def test_a_unit_placed_by_hand_is_where_it_was_put():
    market = line_market(
        [1, 1, 1, 1],
        overrides=[{"unit_id": "b", "territory": "East"}, {"unit_id": "a", "territory": "West"}],
    )
    fixed = market.overrides.set_index("unit_id")["territory"]
    design = drawn(market, Rules(2, {"count": 0.6}), fixed)
    assert design.territory[["a", "b"]].tolist() == ["West", "East"]
    assert all(c.ok for c in checks(market, measured(market)[1], design.territory, Rules(2)))


def test_a_check_that_does_not_hold_says_which_territory_and_how_far():
    market = line_market([1, 1, 1, 1])
    label = pd.Series(["x", "x", "x", "y"], index=list("abcd"))
    found = {
        c.check: c for c in checks(market, measured(market)[1], label, Rules(2, {"count": 0.1}))
    }
    assert not found["balance_count"].ok and found["one_piece"].ok
    label = pd.Series(["x", "y", "x", "y"], index=list("abcd"))
    assert not {c.check: c for c in checks(market, measured(market)[1], label, Rules(2))}[
        "one_piece"
    ].ok


@pytest.mark.parametrize(
    ("revenue", "rules", "sentence"),
    [
        ([10, 10, 10, 90], Rules(2, {"revenue": 0.1}), r"d alone holds 75.0% of revenue, .* 55.0%"),
        ([1, 1], Rules(3), "3 territories cannot be made of 2 units: draw at most 2"),
        ([0, 0, 0], Rules(2, {"revenue": 0.1}), "revenue is 0 everywhere"),
    ],
)
def test_an_impossible_rule_is_explained_with_numbers(revenue, rules, sentence):
    with pytest.raises(InfeasibleError, match=sentence):
        drawn(line_market(revenue), rules)


def test_an_island_that_is_too_small_is_named():
    market = line_market([5, 5, 5, 1])
    parted = market.neighbors[market.neighbors["unit_b"] != "d"]
    market = type(market)(**{**vars(market), "neighbors": parted})
    reasons = impossible(market, measured(market)[1], Rules(2, {"revenue": 0.3}))
    assert reasons[-1].startswith("d and what it touches (1 units) touch nothing else")


def test_more_names_by_hand_than_territories_are_refused():
    market = line_market([1, 1, 1])
    fixed = pd.Series({"a": "x", "b": "y", "c": "z"})
    assert (
        "name 3 territories, but only 2"
        in impossible(market, measured(market)[1], Rules(2), fixed)[0]
    )


def test_a_tolerance_finer_than_the_units_is_refused_with_what_works():
    with pytest.raises(InfeasibleError, match=r"58.8% of revenue, .* allow a balance of 18%"):
        drawn(line_market([2.5, 3.5, 2.5]), Rules(2, {"revenue": 0.05}))


def test_rules_are_checked_when_they_are_made():
    with pytest.raises(SettingsError, match="did you mean 'workload_h'"):
        Rules(2, {"workload": 0.1})
    with pytest.raises(SettingsError, match="at least 1"):
        Rules(0)


def labels(values):
    return pd.Series(list(values), index=[f"u{i}" for i in range(len(values))])


def test_matching_is_best_overall_not_greedy():
    # Greatest overlap first would give x the name T1 (6 kept) and leave y with T2 (0 kept).
    # Crossing them keeps 5 + 5.
    old, new = labels(["T1", "T2", "T1"]), labels("xxy")
    assert keep_names(new, old, weight=labels([6.0, 5.0, 5.0])).tolist() == ["T2", "T2", "T1"]


def test_a_unit_without_weight_is_refused():
    with pytest.raises(DataError, match="1 units have no weight, such as u1"):
        keep_names(labels("xy"), labels("ab"), labels([1.0, None]))


def reps(*rows):
    blank = {"fte": 1.0, "skills": "", "home_lat": 52.0, "home_lon": 19.0, "cost_year": 120_000.0}
    return [{"rep_id": f"R{i}", "name": f"Rep {i}"} | blank | row for i, row in enumerate(rows, 1)]


def test_without_reps_every_territory_is_vacant():
    market = line_market([1, 1])
    found = assign_reps(market, measured(market)[0], pd.Series({"a": "T1", "b": "T2"}), Settings())
    assert found.rep["rep_id"].tolist() == ["VACANT", "VACANT"]


def test_reps_take_the_territory_at_their_door():
    market = line_market([9e5] * 6, reps=reps({"home_lon": 19.5}, {"home_lon": 19.0}))
    territory = pd.Series(["W"] * 3 + ["E"] * 3, index=list("abcdef"))
    found = assign_reps(market, measured(market)[0], territory, Settings())
    assert dict(found.rep.itertuples(index=False)) == {"E": "R1", "W": "R2"}
    assert found.total <= found.present_total or found.present_total == 0
    parts = found.costs[staffing.COMPONENTS].sum(axis=1)
    assert np.allclose(parts, found.costs["total"])


def test_the_break_even_of_rep_and_partner():
    assert round(break_even(0.35, 0.03, 0.22, 0.8, 180_000, 15_000), 2) == 763888.89
    assert break_even(0.35, 0.33, 0.0, 1.0, 1.0, 0.0) == float("inf")


def test_without_partners_all_is_sold_directly():
    market = line_market([1, 1])
    territory = pd.Series({"a": "T1", "b": "T2"})
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": "VACANT"})
    found = choose_channels(market, measured(market)[0], territory, rep, Settings())
    assert found["channel"].tolist() == ["direct", "direct"]
    assert set(found["reason"]) == {"no_partners_given"}


def test_handover_lists_just_what_changes():
    market = line_market(
        [100, 100, 100],
        assignments=[
            {"account_id": "A-a", "territory": "T1", "rep_id": "R1"},
            {"account_id": "A-b", "territory": "T1", "rep_id": "R1"},
        ],
    )
    territory = pd.Series({"a": "T1", "b": "T2", "c": "T2"})
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": ["R1", "R2"]})
    moves = handover(market, measured(market)[0], territory, rep, Settings())
    assert dict(zip(moves["account_id"], moves["reason"], strict=True)) == {
        "A-b": "other_territory",
        "A-c": "no_owner",
    }
    assert change_hands(moves)["account_id"].tolist() == ["A-b"]
    assert moves.set_index("account_id")["risk"].gt(0).to_dict() == {"A-b": True, "A-c": False}


def test_who_is_held_by_a_vacancy_or_placed_by_hand_is_told_so():
    held = [{"account_id": f"A-{a}", "territory": "T1"} for a in "abc"]
    for row, rep_id in zip(held, ("VACANT", "R1", "R1"), strict=True):
        row["rep_id"] = rep_id
    by_hand = [{"unit_id": "b", "territory": "T2", "reason": "umowa", "who": "dyrektor"}]
    market = line_market([100, 100, 100], assignments=held, overrides=by_hand)
    territory = pd.Series({"a": "T2", "b": "T2", "c": "T2"})
    rep = pd.DataFrame({"territory": ["T2"], "rep_id": ["R2"]})
    moves = handover(market, measured(market)[0], territory, rep, Settings())
    assert moves["reason"].tolist() == ["no_owner", "override", "other_territory"]
    assert moves["risk"].gt(0).tolist() == [False, True, True]
    assert drawn_moves(market, territory) == (2, 200.0)  # nor does the solver count the vacancy
    assert held_amounts(market)["accounts"].tolist() == [0, 1, 1]


def test_where_the_last_plan_and_todays_owners_disagree_is_told():
    held = [
        {"account_id": "A-a", "territory": "T1", "rep_id": "R1"},
        {"account_id": "A-b", "territory": "T1", "rep_id": ""},
        {"account_id": "A-c", "territory": "T1", "rep_id": "R1"},
    ]
    market = line_market([100, 100, 100, 100], assignments=held)
    facts, measures = measured(market)
    last = {
        "accounts": pd.DataFrame(
            {
                "account_id": ["A-a", "A-b", "A-c", "A-d", "A-z"],
                "territory": ["T1", "T1", "T1", "T2", "T2"],
                "rep_id": ["R2", "R2", "R1", "R2", "R2"],
                "name": ["", "", "", "", "Gone"],
            }
        ),
        "decisions/territory": pd.DataFrame({"unit_id": list("abcd"), "territory": "T1"}),
    }
    territory = pd.Series("T1", index=list("abcd"))
    found = review(last, market, facts, measures, territory, Rules(1, {"count": 0.5}))
    assert found.apart.to_numpy().tolist() == [["A-a", "T1, R2", "T1, R1"], ["A-d", "T2, R2", ""]]
    assert found.lost.to_numpy().tolist() == [["A-z", "Gone", "T2"]]
    assert found.gained.empty


def test_the_cheapest_move_is_over_the_border_and_keeps_pieces_whole():
    market = line_market([1, 1, 1, 1, 1, 1])
    label = pd.Series(["x"] * 4 + ["y"] * 2, index=list("abcdef"))
    share = pd.Series({"x": 0.5, "y": 0.5})
    moves = cheapest_moves(market, measured(market)[1], label, {"count": 0.1}, share)
    assert moves[["territory", "unit_id", "to_territory"]].to_numpy().tolist() == [
        ["x", "d", "y"],
        ["y", "d", "y"],
    ]


def test_a_move_that_nobody_would_see_is_no_help():
    market = line_market([1000, 1000, 5, 1000])  # c is the only unit that may leave y
    label = pd.Series(list("yyyx"), index=list("abcd"))
    share = pd.Series({"x": 0.5, "y": 0.5})
    assert cheapest_moves(market, measured(market)[1], label, {"revenue": 0.1}, share).empty


def test_goals_between_caps():
    found = reconcile(
        1_000_000_000,
        np.array([4.0, 3, 2]),
        np.array([3.0, 3, 4]),
        np.array([360e6, 280e6, 220e6]),
        Settings(),
        1,
        ["a", "b", "c"],
    )
    assert found == [373903226, 318096774, 308000000]
    with pytest.raises(InfeasibleError, match="does not fit the growth caps"):
        reconcile(10, np.ones(1), np.ones(1), np.array([100.0]), Settings(), 1, ["a"])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    st.lists(st.floats(0, 1e6), min_size=4, max_size=4),
    st.integers(0, 100),
)
def test_a_table_of_goals_has_both_sums(rows, shares, seed):
    weight = np.random.default_rng(seed).random((len(rows), 4))
    columns = np.floor(np.array(shares) / max(sum(shares), 1e-9) * sum(rows)).astype(int)
    columns[0] += sum(rows) - columns.sum()
    cells = two_way(rows, columns.tolist(), weight)
    assert cells.sum(axis=1).tolist() == rows
    assert cells.sum(axis=0).tolist() == columns.tolist()
    assert (cells >= 0).all()


def test_quotas_add_the_over_assignment_exactly():
    table = quotas(["a", "b", "c"], [100, 100, 101], None, Settings())
    assert table["amount"].sum() == round(301 * 1.05)


def test_quarters_follow_one_another():
    assert next_quarters("2026Q4", 2) == ["2026Q4", "2027Q1"]
