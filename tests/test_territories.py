"""Every rule of territories, on rows of places that can be solved in one's head."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from terrlib import steps
from terrlib.decisions.impossible import conflict, impossible
from terrlib.decisions.rules import Rules, Terms, compile_problem, money, slots, terms_of
from terrlib.decisions.territories import (
    checks,
    curve,
    draw,
    fair_shares,
    frontier,
    lock_prices,
)
from terrlib.errors import DataError, InfeasibleError, SettingsError
from terrlib.inputs.settings import Settings, Territories, make_settings
from terrlib.inputs.units import class_units, join_islands, segments
from terrlib.measures.facts import account_facts, unit_measures
from tests.worlds import line_market

HOW = Territories(starts=2)
NONE = pd.Series(dtype=str)
PRICED = Terms(price=1.0, loss=1.0)


def measured(market):
    facts = account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    return unit_measures(facts, market.units.index)


def drawn(market, rules, fixed=None):
    return draw(market, measured(market), rules, HOW, 1, fixed)


def held(text):
    """Assignments of the accounts a, b, c, ...: "11122" gives three to T1 and two to T2."""
    return [
        {"account_id": f"A-{unit}", "territory": f"T{t}", "rep_id": f"R{t}"}
        for unit, t in zip("abcdefghij", text, strict=False)
    ]


def reps(*homes, fte=1.0):
    return [
        {"rep_id": f"R{i}", "name": f"Rep {i}", "home_lat": 52.0, "home_lon": lon, "fte": fte}
        for i, lon in enumerate(homes, 1)
    ]


def kept(market, rules, design):
    found = checks(market, measured(market), design.territory, rules, design.share)
    assert all(check.ok for check in found), [check for check in found if not check.ok]
    return {check.check: check for check in found}


# ---------------------------------------------------------------------------- rules that are kept


def test_units_that_belong_together_are_together():
    rules = Rules(2, {"count": 0.5}, together=(("b", "c", "d"),))
    market = line_market([1] * 4)
    label = drawn(market, rules).territory
    assert label["b"] == label["c"] == label["d"] != label["a"]
    assert "together_kept" in kept(market, rules, drawn(market, rules))


def test_units_that_belong_apart_are_apart():
    rules = Rules(2, {"count": 0.5}, apart=(("a", "b"),))
    market = line_market([1] * 4)
    label = drawn(market, rules).territory
    assert label.tolist()[1:] == [label["b"]] * 3 and label["a"] != label["b"]
    assert "apart_kept" in kept(market, rules, drawn(market, rules))


def test_a_unit_is_not_where_it_may_not_be():
    market = line_market([1] * 4, assignments=held("1122"))
    free, banned = Rules(2, {"count": 0.5}), (("b", "T1"),)
    assert drawn(market, free).territory.tolist() == ["T1", "T1", "T2", "T2"]
    rules = replace(free, forbidden=banned)
    design = drawn(market, rules)
    assert design.territory["b"] == "T2"
    assert "forbidden_kept" in kept(market, rules, design)


def test_a_protected_account_keeps_its_territory():
    market = line_market([1] * 4, assignments=held("1221"), accounts=[{"protected": True}])
    settings = make_settings({"territories": {"count": 2, "balance": {"count": 0.2}}})
    rules = steps.rules_of(market, settings)
    assert rules.protected == (("a", "T1"),)
    design = drawn(market, rules)
    assert design.territory["a"] == "T1"
    assert "protected_kept" in kept(market, rules, design)


def test_checks_see_what_is_broken():
    market = line_market([1] * 4, assignments=held("1122"))
    label = pd.Series(["T2", "T2", "T1", "T1"], index=list("abcd"))
    rules = Rules(
        2,
        together=(("a", "d"),),
        apart=(("a", "b"),),
        forbidden=(("a", "T2"),),
        protected=(("a", "T1"),),
        max_accounts=3,
        max_revenue=3,
    )
    found = {c.check: c.ok for c in checks(market, measured(market), label, rules)}
    broken = {name for name, ok in found.items() if not ok}
    assert broken == {
        "together_kept",
        "apart_kept",
        "forbidden_kept",
        "protected_kept",
        "moved_accounts",
        "moved_revenue",
    }


# ---------------------------------------------------------------------------- change


def test_the_price_of_change_decides_between_travel_and_today():
    # Cutting in the middle travels least; today five and three.
    market = line_market([1] * 8, assignments=held("11111222"))
    rules = Rules(2, {"count": 0.3}, terms=Terms(price=0.0))
    assert drawn(market, replace(rules, balance={"count": 0.1})).moved_accounts == 1
    dear = replace(rules, terms=Terms(price=1.0, switch=1e9))
    stays = drawn(market, dear)
    assert (stays.moved_accounts, stays.change) == (0, 0.0)
    assert stays.territory.tolist() == ["T1"] * 5 + ["T2"] * 3
    assert stays.cost == pytest.approx(stays.cost_km)


def test_at_most_so_many_accounts_change_hands():
    market = line_market([1] * 8, assignments=held("11111122"))
    rules = Rules(2, {"count": 0.3}, max_accounts=1)
    design = drawn(market, rules)
    assert design.moved_accounts == 1 and "moved_accounts" in kept(market, rules, design)


def test_the_money_of_change_is_the_formula():
    market = line_market([100.0] * 4, assignments=held("1222"))
    terms = Terms(price=1.0, loss=0.1, switch=5.0)
    design = drawn(market, Rules(2, {"count": 0.1}, terms=terms))
    assert (design.moved_accounts, design.moved_revenue) == (1, 100.0)
    assert design.change == pytest.approx(0.1 * 100 + 5)
    assert design.cost == pytest.approx(design.cost_km + 15)


def test_a_km_costs_two_ways_and_the_hour_of_a_rep():
    settings = make_settings(
        {"workload": {"hours_per_day": 8, "km_rate": 1.0, "speeds_kmh": [30, 50, 90]}}
    )
    terms = terms_of(line_market([1]), settings)
    hour = 180_000 / (202 * 8)
    assert terms.km_money == pytest.approx(2 / 8 * (1.0 + hour / 50))
    assert terms.minute_money == pytest.approx(2 / 8 * (50 / 60 + hour / 60))
    assert terms.price == 0.0  # nobody holds anything today


# ---------------------------------------------------------------------------- travel


def test_reps_have_their_territory_around_their_home():
    market = line_market([1] * 4, reps=reps(19.4, 19.0), assignments=held("2211"))
    rules = Rules(2, {"count": 0.1}, terms=Terms(homes=True))
    design = drawn(market, rules)
    assert design.territory.tolist() == ["T2", "T2", "T1", "T1"]
    assert design.centre.to_dict() == {"T1": "R1", "T2": "R2"}
    assert design.bound_here == design.bound_km


def test_homes_need_a_rep_for_each_territory():
    market = line_market([1] * 4, reps=reps(19.0))
    with pytest.raises(SettingsError, match="1 reps for 2 territories; set count to 1"):
        drawn(market, Rules(2, terms=Terms(homes=True)))


def test_squared_travel_is_the_square():
    market = line_market([1] * 4)
    plain = compile_problem(market, measured(market), Rules(2), NONE)[0]
    squared = drawn(market, Rules(2, {"count": 0.1}, terms=Terms(square=True)))
    w, step = plain.weight, plain.xy[1, 0] - plain.xy[0, 0]
    # Two points at weights v and w are, squared, vw / (v + w) times their distance squared away.
    both = w[0] * w[1] / (w[0] + w[1]) + w[2] * w[3] / (w[2] + w[3])
    assert squared.cost == pytest.approx(both * step**2)


def matrix(market, ways):
    rows = pd.DataFrame(ways, columns=["unit_id", "to", "minutes"]).assign(km=np.nan)
    return replace(market, travel=rows)


def test_the_users_own_matrix_counts_instead_of_the_map():
    # A mountain between b and c: a is nearer to d by road than to b.
    near = {frozenset("ad"), frozenset("bc")}
    ways = [
        (a, b, 0 if a == b else 5 if frozenset((a, b)) in near else 60)
        for a in "abcd"
        for b in "abcd"
    ]
    market = replace(matrix(line_market([1] * 4), ways), places=True)
    rules = Rules(2, {"count": 0.1}, whole=False)
    label = drawn(market, rules).territory
    assert label["a"] == label["d"] != label["b"] == label["c"]
    assert money(market, Terms(minute_money=3.0)) == 3.0


def test_a_matrix_with_gaps_is_refused_with_their_number():
    market = matrix(line_market([1] * 3), [("a", "b", 5.0)])
    with pytest.raises(DataError, match="5 of 9 pairs have no minutes, such as a to c, b to a"):
        drawn(market, Rules(2))


def test_a_ferry_joins_and_a_cut_parts():
    market = line_market([1] * 3)
    given = pd.DataFrame({"unit_a": ["a", "b"], "unit_b": ["c", "a"], "kind": ["bridge", "cut"]})

    class Silent:
        def find(self, *args):
            pass

    pairs = join_islands(Silent(), market.units, market.neighbors, given)
    assert pairs.to_numpy().tolist() == [["a", "c"], ["b", "c"]]
    with pytest.raises(DataError, match="touch, bridge or cut, not 'boat'"):
        join_islands(Silent(), market.units, market.neighbors, given.assign(kind="boat"))


# ---------------------------------------------------------------------------- slots


def test_a_slot_has_the_name_and_the_share_of_the_rep_who_holds_it_today():
    people = [*reps(19.0), {**reps(19.5)[0], "rep_id": "R2", "fte": 0.5}]
    market = line_market([1] * 6, reps=people, assignments=held("111122"))
    rules = Rules(2, {"count": 0.1}, shares=(1.0, 0.5))
    table = slots(market, measured(market), rules, NONE)
    assert table["name"].tolist() == ["T1", "T2"] and table["rep_id"].tolist() == ["R1", "R2"]
    design = drawn(market, rules)
    assert design.territory.value_counts().to_dict() == {"T1": 4, "T2": 2}
    again = fair_shares(design.territory, measured(market), rules, market)
    assert again.to_dict() == design.share.to_dict()


# ---------------------------------------------------------------------------- numbers, segments


def test_of_a_range_the_cheapest_that_is_not_too_full_is_picked():
    market = line_market([1] * 6)
    work = measured(market)
    terms = Terms(capacity_h=float(work["workload_h"].sum()) / 2, rep_cost=1e6)
    asked = [Rules(k, {"count": 0.35}, terms=terms) for k in (1, 2, 3)]
    found = curve(market, work, asked, HOW, 1)
    assert (found.picked, found.reason) == (2, "least_total")
    assert found.table["utilisation"].round(2).tolist() == [2.0, 1.0, 0.67]
    assert found.table["cost"].is_monotonic_decreasing
    tight = [replace(r, terms=replace(terms, capacity_h=1e-3)) for r in asked]
    assert (
        curve(market, work, tight, HOW, 1).picked,
        curve(market, work, tight, HOW, 1).reason,
    ) == (
        3,
        "fullest",
    )


def test_a_range_is_two_ends():
    assert make_settings({"territories": {"count": [2, 4]}}).territories.count == (2, 4)
    market = line_market([1] * 6)
    settings = make_settings({"territories": {"count": [2, 4], "balance": {"count": 0.5}}})
    assert [r.n_territories for r in steps.range_of(market, settings)] == [2, 3, 4]
    for wrong in (0, [4, 2], [1], "many", True):
        with pytest.raises(SettingsError, match="a number from 1 up, or the ends of a range"):
            make_settings({"territories": {"count": wrong}})


def test_segments_are_divided_without_travel_and_without_touching():
    market = line_market([4, 3, 2, 1])
    rows = market.accounts.assign(
        industry=["food", "wood", "food", "wood"], employees=[5.0, 60.0, 300.0, 20.0]
    )
    rows = rows.assign(unit_id=segments(rows))
    units = class_units(rows, 2180).assign(n_accounts=1)
    assert units.index.tolist() == ["food/large", "food/micro", "wood/medium", "wood/small"]
    market = replace(
        market, accounts=rows, units=units, neighbors=market.neighbors.head(0), places=False
    )
    rules = Rules(2, {"revenue": 0.05})
    design = drawn(market, rules)
    assert design.territory["food/micro"] == design.territory["wood/small"]
    assert design.cost == 0 and design.status == "optimal"
    assert "one_piece" not in kept(market, rules, design)


# ---------------------------------------------------------------------------- prices


def test_wider_balance_never_costs_more():
    market = line_market([3, 1, 1, 1, 1, 2])
    table = frontier(
        market, measured(market), Rules(2, {"revenue": 0.3}), HOW, 1, [0.05, 0.12, 0.6]
    )
    assert table["status"].tolist()[0] == "none"
    assert table["cost"].dropna().is_monotonic_decreasing
    assert (table["bound"].dropna() <= table["cost"].dropna() + 1e-6).all()


def test_a_lock_costs_what_it_costs():
    market = line_market([1] * 4, assignments=held("1122"))
    rules = Rules(2, {"count": 0.5}, apart=(("a", "b"),))
    table = lock_prices(market, measured(market), rules, HOW, 1, pd.Series({"d": "T2"}))
    table = table.set_index("lock")
    assert table.loc["apart", "price"] > 0 and table.loc["overrides", "price"] == pytest.approx(0)
    assert (table["price"] <= table["at_most"] + 1e-6).all()


# ---------------------------------------------------------------------------- impossible

TODAY = held("11111122")


@pytest.mark.parametrize(
    ("revenue", "rules", "fixed", "sentence"),
    [
        (
            [10, 10, 10, 90],
            Rules(2, {"revenue": 0.1}),
            {},
            "d alone holds 75.0% of revenue, but a territory may hold at most 55.0%: allow a "
            "balance of 50% or more, or balance another measure",
        ),
        (
            [1, 1, 1, 1],
            Rules(2, {"count": 0.2}),
            {"a": "x", "b": "x", "c": "x"},
            "the units placed by hand in x hold 75.0% of count, but a territory may hold at most "
            "60.0%: allow a balance of 50% or more, or take at least 15.0% of it out of the overrides",
        ),
        (
            [1, 1, 1, 1],
            Rules(2, {"count": 0.2}, together=(("a", "b", "c"),)),
            {},
            "a and the units it has to be together with hold 75.0% of count, but a territory may hold "
            "at most 60.0%: allow a balance of 50% or more, or take at least 15.0% of it out of the group",
        ),
        (
            [2, 2, 2, 1],
            Rules(2, {"revenue": 0.1}),
            {},
            "of the 3 largest units some territory holds 2, which is at least 57.1% of revenue, but a "
            "territory may hold at most 55.0%: allow a balance of 15% or more, or draw fewer territories",
        ),
        (
            [1, 1, 1, 1],
            Rules(2, {"count": 0.1}, shares=(1.0, 0.5)),
            {},
            "no set of units holds between 30.0% and 36.7% of count, the nearest holds 25.0%: the "
            "tolerance is finer than the 4 units allow; allow a balance of 25% or more, or use smaller "
            "units",
        ),
        (
            [1, 1],
            Rules(3),
            {},
            "3 territories cannot be made of 2 units: draw at most 2, or use smaller units",
        ),
        (
            [1, 1, 1],
            Rules(2, apart=(("a", "b", "c"),)),
            {},
            "3 units have to be apart (a, b, ...), but there are only 2 territories: draw 3, or take 1 "
            "out of the group",
        ),
        (
            [1] * 8,
            Rules(2, {"count": 0.1}, max_accounts=1),
            {},
            "at least 2 of accounts have to change hands so that count is in balance, but at most 1 "
            "may: allow 2 or more (territories.change.max_accounts), or wider balance",
        ),
        (
            [1] * 4,
            Rules(2, protected=(("a", "T1"),)),
            {"a": "T2"},
            "a holds a protected account of T1, but an override puts it in T2: take one of the two "
            "away, or split the unit",
        ),
    ],
)
def test_the_impossible_is_explained_before_solving(revenue, rules, fixed, sentence):
    market = line_market(revenue, **({"assignments": TODAY} if rules.max_accounts else {}))
    assert sentence in impossible(market, measured(market), rules, pd.Series(fixed, dtype=str))


def test_an_island_below_the_limit_is_explained():
    market = line_market([5, 5, 5, 1])
    parted = replace(market, neighbors=market.neighbors.iloc[:2])
    assert (
        "d and what it touches (1 units) touch nothing else and hold 6.2% of revenue, but a territory "
        "must hold at least 35.0%: allow a balance of 88% or more, or put a ferry or bridge into the "
        "table neighbors"
    ) in impossible(parted, measured(parted), Rules(2, {"revenue": 0.3}))


def test_the_widening_named_in_a_refusal_works():
    market = line_market([2, 3, 2])
    with pytest.raises(InfeasibleError) as refused:
        drawn(market, Rules(2, {"revenue": 0.05}))
    tolerance = float(re.search(r"were found with revenue: ([\d.]+)", str(refused.value))[1])
    assert tolerance == 0.43  # 2 + 3 against 2; without touching 3 against 4 would do
    kept(market, Rules(2, {"revenue": tolerance}), drawn(market, Rules(2, {"revenue": tolerance})))


def test_the_limit_on_change_named_in_a_refusal_works_and_no_smaller_one():
    # In turn T1 and T2: in two pieces of the row at least four of nine change hands.
    market = line_market([1] * 9, assignments=held("121212121"))
    rules = Rules(2, {"count": 0.2}, max_accounts=1)
    with pytest.raises(InfeasibleError, match=r"territories were found with max_accounts: 4;"):
        drawn(market, rules)
    kept(market, replace(rules, max_accounts=4), drawn(market, replace(rules, max_accounts=4)))
    with pytest.raises(InfeasibleError):
        drawn(market, replace(rules, max_accounts=3))
    # Arithmetic refuses both limits; both are widened as far as the other rules need.
    market = line_market([1] * 8, assignments=TODAY)
    with pytest.raises(InfeasibleError, match=r"found with max_accounts: 2, max_revenue: 2$"):
        drawn(market, Rules(2, {"count": 0.1}, max_accounts=1, max_revenue=1))


def test_rules_that_conflict_are_named_and_no_others():
    market = line_market([1] * 6)
    rules = Rules(
        2, {"count": 0.4, "revenue": 0.9}, together=(("a", "f"), ("b", "c")), apart=(("d", "e"),)
    )
    found = conflict(market, measured(market), rules, NONE)
    assert set(found) == {("together", "a, f"), ("pieces", "")}
    with pytest.raises(InfeasibleError, match=r"these rules cannot hold together: .*a, f together"):
        drawn(market, rules)
