"""What is to be sold: sums to the grosz, caps, quotas, and whether goals are fair."""

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.goals import (
    COVER,
    quotas,
    reconcile,
    reconciliation,
    set_goals,
    stretch,
    two_way,
)
from terrlib.decisions.timeline import forecast_of
from terrlib.errors import InfeasibleError
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import account_facts
from terrlib.money import split_exact
from tests.test_timeline import QUARTERS, TWO, deal, parts
from tests.worlds import line_market


def test_a_thousand_totals_are_split_to_the_grosz():
    rng = np.random.default_rng(3)
    for _ in range(1000):
        n = int(rng.integers(1, 9))
        total, weight = (
            int(rng.integers(0, 10**11)),
            rng.random((n, 4)) * (rng.random((n, 4)) > 0.3),
        )
        rows = split_exact(
            total, weight.sum(axis=1).tolist(), None, int(rng.choice([1, 100, 10_000]))
        )
        columns = split_exact(total, (weight.sum(axis=0) + 0.1).tolist())
        cells = two_way(rows, columns, weight)
        assert cells.sum(axis=1).tolist() == rows and cells.sum(axis=0).tolist() == columns
        assert (cells >= 0).all() and sum(rows) == total


def test_a_part_without_a_base_is_not_capped():
    base = np.array([100_00.0, 0.0])
    found = reconcile(300_00, np.ones(2), np.ones(2), base, Settings(), 1, ["old", "new"])
    assert found == [140_00, 160_00]


def test_caps_hold_for_random_goals():
    rng = np.random.default_rng(4)
    for _ in range(200):
        n = int(rng.integers(2, 8))
        base = rng.integers(1_000, 100_000, n).astype(float)
        low, high = base * 0.9, base * 1.4
        total = int(rng.integers(int(low.sum()) + 1, int(high.sum())))
        found = reconcile(
            total, rng.random(n), rng.random(n), base, Settings(), 1, list("abcdefgh"[:n])
        )
        assert sum(found) == total
        assert (np.array(found) >= low - 1).all() and (np.array(found) <= high + 1).all()


def test_a_gap_that_caps_leave_is_named():
    with pytest.raises(InfeasibleError, match=r"allow 0.90 to 1.40: 8.60 are left over"):
        reconcile(1000, np.ones(1), np.ones(1), np.array([100.0]), Settings(), 1, ["a"])


def test_what_a_new_rep_cannot_do_is_covered_or_spread_and_never_vanishes():
    rep = pd.DataFrame({"territory": ["a", "b", "c"], "rep_id": ["R1", "R2", "VACANT"]})
    for way in ("cover", "spread"):
        asked = Settings(goals={"ramp_shortfall": way})
        found = quotas(["a", "b", "c"], [1001, 1003, 997], rep, asked, {"R2": 0.675, "R1": 1.0})
        assert found["amount"].sum() == round(3001 * 1.05)
        assert (COVER in set(found["rep_id"])) == (way == "cover")
    alone = quotas(
        ["b"], [1000], rep[1:2], Settings(goals={"ramp_shortfall": "spread"}), {"R2": 0.5}
    )
    assert alone["amount"].sum() == 1050 and COVER in set(alone["rep_id"])  # nobody to spread over


def world(targets=(), **goals):
    deals = [
        deal(f"{k}{y}{m}", f"{y}-{m:02d}-01", f"{y}-{m + 2:02d}-01", True, 1000.0, f"A-{k}")
        for k in "ac"
        for y in (2024, 2025, 2026)
        for m in (1, 4, 6)
    ]
    given = {"targets": [{"quarter": q, "amount": a} for q, a in targets]} if targets else {}
    market = line_market(
        [100.0, 0.0, 50.0, 0.0], accounts=[{"potential": 900.0}] * 4, opportunities=deals, **given
    )
    facts = account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    expected = forecast_of(parts(2, reps=300.0), Settings(timeline={"draws": 500}))
    return market, facts, expected, Settings(goals=goals)


def test_targets_of_quarters_are_kept_and_growth_stays_in_its_caps():
    targets = list(zip(QUARTERS, [2000.0, 1800.0, 1900.0, 2100.01], strict=True))
    market, facts, expected, asked = world(targets)
    found = set_goals(market, facts, TWO, expected, asked)
    by = found.table.groupby("quarter")["amount"].sum()
    assert by.tolist() == [200000, 180000, 190000, 210001]
    assert found.caps == "held" and found.parts["base"].tolist() == [3000, 3000]
    assert found.parts["target"].sum() == 780001
    assert found.parts["growth"].between(-0.1, 0.41).all()


def test_default_caps_give_way_and_caps_that_were_set_do_not():
    targets = [(q, 9_000.0) for q in QUARTERS]
    market, facts, expected, asked = world(targets)
    assert set_goals(market, facts, TWO, expected, asked).caps == "lifted"
    with pytest.raises(InfeasibleError, match="does not fit the growth caps"):
        set_goals(market, facts, TWO, expected, Settings(goals={"max_growth": 0.4}))


def test_thin_history_leans_on_potential():
    market, facts, expected, asked = world(omega="credibility")
    found = set_goals(market, facts, TWO, expected, asked)
    assert found.parts["omega"].tolist() == pytest.approx([30 / 36, 30 / 36])


def test_the_gap_and_the_chance_are_of_the_same_draws():
    market, facts, expected, asked = world(total=9000)
    found = set_goals(market, facts, TWO, expected, asked)
    seen = reconciliation(found, expected)
    assert seen["top_down"] == 9000 and seen["bottom_up"] == pytest.approx(7200)
    assert seen["gap"] == pytest.approx(1800) and seen["gap_rate"] == pytest.approx(0.2)
    assert seen["chance"] == (expected.draws_total >= 9000).mean()


def test_where_a_simple_rule_was_closer_gap_and_chance_are_its_own():
    market, facts, expected, asked = world(total=9000)
    found = set_goals(market, facts, TWO, expected, asked)
    simple = {"mean": 8000.0, "p10": 7000.0, "p50": 8000.0, "p90": 9000.0}
    seen = reconciliation(found, expected, simple)
    assert seen["chance"] == pytest.approx(0.1) and seen["gap"] == pytest.approx(1000)
    assert seen["bottom_up"] == expected.year["mean"] and seen["expected"] == 8000


def test_equal_quotas_on_equal_territories_are_fair():
    market, facts, expected, asked = world(total=7200)
    rows, seen = stretch(set_goals(market, facts, TWO, expected, asked), expected, facts, TWO)
    assert rows["stretch"].tolist() == pytest.approx([1.05, 1.05], rel=0.05)
    assert seen["cv"] < 0.05 and seen["gini"] < 0.05 and seen["n"] == 2
    assert np.isnan(seen["rho_size"])  # two say nothing about a rank
    assert 0 <= seen["spread"] < 0.2 and 0.2 < seen["reaching"] < 0.6
