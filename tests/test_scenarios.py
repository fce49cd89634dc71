"""What matters: plans compared with the same luck, and assumptions moved one by one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.scenarios import (
    Scenario,
    World,
    _shifted,
    compare,
    overlaid,
    scenarios,
    tornado,
)
from terrlib.decisions.spending import split_budget
from terrlib.inputs.settings import Settings
from tests.test_timeline import CHANNEL, TWO, nothing, parts, reps, world


def told(**changes):
    market, facts = world(
        reps=[{"rep_id": r, "fte": 1.0} for r in ("R1", "R2")],
        channels=[CHANNEL | {"fixed_cost": 0.0, "cost_per_contact": 10.0, "max_contacts": 3.0}],
    )
    settings = Settings(timeline={"draws": 500}, budget={"total": 1000})
    spent = split_budget(market, facts, TWO, settings, reps("R1", "VACANT"))
    return replace(
        World(market, facts, TWO, reps("R1", "VACANT"), spent, settings, None, None, 1000.0),
        **changes,
    )


def test_a_plan_compared_with_itself_differs_by_nothing():
    p = parts(2, [(0, 500.0, [0.2, 0.2, 0, 0])], reps=40.0, worth=20.0)
    found = compare([Scenario("plan", p, 10.0), Scenario("again", p, 10.0)], Settings())
    again = found.iloc[1]
    assert again[["more", "more_low", "more_high", "contribution_more"]].tolist() == [0, 0, 0, 0]
    assert again["noise"] and not found["noise"].iloc[0]


def test_ten_per_cent_more_wins_are_told_from_luck_by_common_luck():
    p = parts(6, [(i % 6, 50.0, [0.2, 0.2, 0.1, 0]) for i in range(120)], reps=100.0, value=20.0)
    found = compare(
        [Scenario("plan", p, 0.0), Scenario("more", p.scaled(won=1.1), 0.0)], Settings()
    )
    more = found.iloc[1]
    assert more["more"] == pytest.approx(0.1 * found["mean"].iloc[0])
    assert not more["noise"] and more["better"] > 0.95
    assert more["p10"] < found["p90"].iloc[0]  # the ranges overlap, and yet one is surely better


def test_a_difference_smaller_than_its_luck_is_called_luck():
    p = parts(1, [(0, 900.0, [0.3, 0, 0, 0])], reps=0.0)
    q = parts(1, [(0, 899.0, [0, 0.31, 0, 0])], reps=0.0)
    found = compare([Scenario("plan", p, 0.0), Scenario("other", q, 0.0)], Settings())
    assert found["noise"].tolist() == [False, True]


def test_more_reps_and_money_never_sell_less():
    found = {s.key: s for s in scenarios(told())}
    assert set(found) == {
        "plan", "rep_more", "budget_less", "budget_more", "win_less", "win_more",
    }  # fmt: skip
    sales = {k: s.parts.mean().sum() for k, s in found.items()}
    assert sales["rep_more"] > sales["plan"]
    assert sales["budget_less"] <= sales["budget_more"]
    assert sales["win_less"] < sales["plan"] < sales["win_more"]
    assert found["rep_more"].cost == 1000 + 180_000
    assert found["budget_less"].cost < found["budget_more"].cost


VISIT = CHANNEL | {"channel": "visit", "fixed_cost": 0.0, "cost_per_contact": 100.0}
VISIT |= {"max_contacts": 50.0, "lead_lag_m": 0.0, "rep_h": 20.0, "min_spend": 0.0}


def busy(total=20_000):
    """Two full-time reps whose hours end before the money for visits does."""
    market, facts = world(
        reps=[{"rep_id": r, "fte": 1.0} for r in ("R1", "R2")],
        channels=[VISIT],
    )
    facts = facts.assign(workload_h=500.0, status="customer")
    settings = Settings(timeline={"draws": 100}, budget={"total": total})
    spent = split_budget(market, facts, TWO, settings, reps("R1", "R2"))
    return World(market, facts, TWO, reps("R1", "R2"), spent, settings)


def test_a_rep_more_makes_the_visits_that_nobody_had_hours_for():
    told = busy()
    assert (told.spent.cells["binding"] == "hours").all()
    found = {s.key: s for s in scenarios(told)}
    assert found["rep_more"].parts.leads.sum() > 1.1 * found["plan"].parts.leads.sum()
    assert found["rep_more"].parts.reps == pytest.approx(found["plan"].parts.reps)


def test_visits_of_another_budget_have_no_more_hours_than_there_are():
    found = {s.key: s for s in scenarios(busy())}
    assert found["budget_more"].parts.leads == pytest.approx(found["plan"].parts.leads)


def test_a_larger_budget_never_lowers_what_is_expected():
    market, facts = world(channels=[CHANNEL | VISIT | {"rep_h": 0.0, "max_contacts": 3.0}])
    expected = []
    for total in (100, 200, 400, 800, 1600):
        settings = Settings(budget={"total": total, "round_to": 1})
        spent = split_budget(market, facts, TWO, settings)
        p = World(market, facts, TWO, reps("R1", "R2"), spent, settings).parts()
        expected.append(p.mean().sum() + p.after)
    assert (np.diff(expected) > 0).all()


def test_a_lost_partner_leaves_what_a_vacancy_leaves():
    market, _ = world()
    partner = [{"distributor_id": "D1", "push_factor": 0.8, "support_cost_year": 400.0}]
    base = told()
    market = replace(base.market, distributors=pd.DataFrame(partner).set_index("distributor_id"))
    sold = pd.DataFrame(
        {"territory": ["T1", "T2"], "channel": ["direct", "indirect"], "distributor_id": ["", "D1"]}
    )
    found = {s.key: s for s in scenarios(replace(base, market=market, sold=sold))}
    lost, plan = found["partner_lost"], found["plan"]
    assert lost.parts.reps[1] == pytest.approx(0.3 * plan.parts.reps[1])
    assert lost.parts.reps[0] == pytest.approx(plan.parts.reps[0])
    assert lost.cost == 600
    table = tornado(replace(base, market=market, sold=sold))
    assert "partner_lag" in set(table["assumption"])


def test_the_tornado_orders_swings_and_leaves_out_what_moves_nothing():
    found = tornado(told())
    assert found["swing"].is_monotonic_decreasing
    assert (found["sales_low"] <= found["sales_high"]).all()
    keys = set(found["assumption"])
    assert {"win_rate", "economy", "delay", "vacancy", "margin"} <= keys
    assert "handover" not in keys and "partner_lag" not in keys
    margin = found.set_index("assumption").loc["margin"]
    plan = told().parts().mean().sum()
    assert margin["swing"] == 0
    assert margin["contribution_high"] - margin["contribution_low"] == pytest.approx(0.1 * plan)


def test_a_month_earlier_loses_nothing_and_a_month_later_only_what_leaves():
    p = parts(1, [(0, 100.0, [0.3, 0.0, 0.0, 0.3])], reps=10.0)
    plan = p.mean().sum()
    assert _shifted(p, 1).mean().sum() == pytest.approx(plan - 10 - 10)
    assert _shifted(p, -1).mean().sum() == pytest.approx(plan + 10 + 10)


def test_sales_after_the_horizon_stand_beside_a_scenario():
    p = parts(1, reps=10.0)
    q = replace(p, after=50.0)
    found = compare([Scenario("plan", p, 0.0), Scenario("more", q, 0.0)], Settings())
    assert found["after_more"].tolist() == [0.0, 50.0] and found["more"].tolist() == [0.0, 0.0]


def test_little_data_has_scenarios_of_nothing():
    market, facts = world(opportunities=[], channels=[])
    empty = World(
        market, facts.assign(ev=0.0), TWO, reps("VACANT", "VACANT"), nothing(), Settings()
    )
    assert [s.key for s in scenarios(empty)] == ["plan", "win_less", "win_more"]
    table = compare(scenarios(empty), Settings(timeline={"draws": 100}))
    assert table["noise"].tolist() == [False, True, True]
    assert tornado(empty).empty


def test_an_overlay_changes_one_thing():
    s = Settings(budget={"total": 5}, timeline={"draws": 100})
    found = overlaid(s, timeline={"macro_sd": 0.3})
    assert found.timeline.draws == 100 and found.budget.total == 5
    assert np.isclose(found.timeline.macro_sd, 0.3)
