"""Target areas in rows of squares solved by hand, and the reasons of the sample recomputed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrlib.decisions import targeting
from terrlib.decisions.segments import find_segments
from terrlib.inputs.settings import Settings, change_settings
from terrlib.measures import facts as measuring
from tests.test_winning import deal
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]
DIRECT = pd.DataFrame({"territory": ["T1"], "channel": ["direct"]})
TWO = pd.DataFrame({"territory": ["T1", "T2"], "channel": ["direct", "indirect"]})


def row(revenue, potential, asked=None, **given):
    """A row of squares that are areas of their own, with what their account could buy."""
    names = list("abcdefghijklmnopqrstuvwxyz"[: len(revenue)])
    told = [{"area_id": n, "potential": float(p)} for n, p in zip(names, potential, strict=True)]
    market = line_market(revenue, accounts=told, **given)
    label = pd.Series("", index=market.accounts.index)
    facts = measuring.account_facts(market, asked or Settings(), label)
    return market, facts, pd.Series("T1", index=names)


def line(**changes):
    """One area's scores, on which `decide` rests."""
    plain = {
        "territory": "T1",
        "area_id": "a",
        "from_prospects": 90.0,
        "from_customers": 10.0,
        "expected_contribution": 100.0,
        "low": 80.0,
        "high": 130.0,
        "prob_top": 0.9,
        "effort_h": 5.0,
        "per_hour": 20.0,
        "free_h": 50.0,
        "a_share": 0.0,
        "wallet_share": 0.1,
        "deals": 9,
        "indirect": False,
    }
    return plain | changes


def decided(*lines):
    table = targeting.decide(pd.DataFrame(lines))
    return list(table.itertuples(index=False, name=None))


OTHER = line(area_id="z", territory="T9")


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, ("attack", "surely_among_best")),
        ({"prob_top": 0.5}, ("attack", "maybe_among_best")),
        ({"from_customers": 60.0, "from_prospects": 40.0}, ("grow", "customers_can_buy_more")),
        ({"prob_top": 0.5, "deals": 2}, ("test", "little_evidence")),
        ({"prob_top": 0.5, "high": 231.0}, ("test", "little_evidence")),
        ({"deals": 2}, ("attack", "surely_among_best")),
        ({"indirect": True}, ("partner", "sold_by_partner")),
        ({"prob_top": 0.1}, ("attack", "best_of_territory")),
        ({"prob_top": 0.1, "from_customers": 60.0}, ("grow", "best_of_territory")),
        ({"prob_top": 0.1, "expected_contribution": 0.0}, ("not_now", "others_promise_more")),
    ],
)
def test_each_decision_by_hand(changes, decision):
    assert decided(line(**changes), OTHER)[0] == decision


def test_large_customers_that_buy_most_already_are_defended():
    held = {"prob_top": 0.1, "a_share": 0.6, "expected_contribution": 10.0}
    best = line(area_id="b")
    assert decided(best, line(**held, wallet_share=0.6))[1] == ("defend", "large_customers_here")
    assert decided(best, line(**held, wallet_share=0.4))[1] == ("not_now", "others_promise_more")


def test_hours_go_to_the_areas_that_pay_most_for_one():
    areas = [
        line(area_id="a", per_hour=10.0, effort_h=30.0),
        line(area_id="b", per_hour=30.0, effort_h=30.0),
        line(area_id="c", per_hour=20.0, effort_h=30.0),
        line(area_id="d", per_hour=np.inf, effort_h=0.0, from_customers=100.0),
    ]
    assert decided(*areas) == [
        ("not_now", "hours_are_full"),
        ("attack", "surely_among_best"),
        ("attack", "surely_among_best"),
        ("grow", "customers_can_buy_more"),
    ]


def test_where_nothing_promises_anything_nothing_is_decided():
    nothing = {"expected_contribution": 0.0, "prob_top": 0.0, "low": 0.0, "high": 0.0}
    assert decided(line(**nothing)) == [("not_now", "nothing_known")]
    market, facts, territory = row([0.0, 0.0], [0.0, 0.0])
    areas = targeting.target_areas(market, facts, territory, DIRECT, Settings())
    assert areas["prob_top"].eq(0).all() and areas["reason"].eq("nothing_known").all()


def test_the_contribution_of_a_prospect_and_a_customer_by_hand():
    market, facts, territory = row([0.0, 60_000.0], [100_000.0, 100_000.0])
    scores = targeting.area_scores(market, facts, territory, DIRECT, Settings())
    s = scores.set_index("area_id")
    # Without a history: one deal a year of ten accounts, a fifth won, a margin of 35%; a win
    # fills as much of the white space as the customer fills of its potential, six tenths.
    hours = facts["workload_h"]
    served = hours["A-a"] * 180_000 / 1212
    assert s.loc["a", "from_prospects"] == pytest.approx(0.1 * 0.2 * (60_000 * 0.35 - served))
    assert s.loc["b", "from_customers"] == pytest.approx(0.1 * 0.2 * 24_000 * 0.35)
    assert s.loc["a", "from_customers"] == s.loc["b", "from_prospects"] == 0
    assert s.loc["b", "per_hour"] == np.inf and s.loc["b", "wallet_share"] == 0.6
    assert s["free_h"].tolist() == pytest.approx([1212 - hours["A-b"]] * 2)


def test_where_nobody_buys_yet_a_win_is_taken_to_fill_the_white_space():
    _, facts, _ = row([0.0, 0.0], [100_000.0, 50_000.0])
    assert facts["value"].tolist() == [100_000.0, 50_000.0]


def test_many_deals_a_year_sell_no_more_than_there_is_left_to_buy():
    # Both accounts start eight deals in the year and win all but one, at 30 each: 210 a year or so.
    days = [f"2026-{month:02d}-01" for month in range(1, 9)]
    deals = [
        deal(f"{a}{day}", day, f"{day[:-2]}20", won=day != days[3], account=f"A-{a}", amount=30.0)
        for a in "ab"
        for day in days
    ]
    sales = [{"account_id": f"A-{a}", "date": "2024-01-01", "amount": 1.0} for a in "ab"]
    asked = change_settings(Settings(), {"customers.kappa": 1.0})
    told = {"opportunities": deals, "sales": sales}
    market, facts, territory = row([60.0, 60.0], [1000.0, 100.0], asked, **told)
    assert facts["value"].tolist() == pytest.approx([30.0, 30.0])
    wins = facts["p_opp"] * facts["p_win"]
    assert wins.gt(2).all()
    # The first has room for them all, the second for 40.
    expected = [wins["A-a"] * 30, 40.0]
    assert (facts["ev"] / asked.workload.margin).tolist() == pytest.approx(expected)
    scores = targeting.area_scores(market, facts, territory, DIRECT, asked)
    assert scores.set_index("area_id")["from_customers"].tolist() == pytest.approx(
        facts["ev"].tolist()
    )


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1e6)),
        min_size=1,
        max_size=5,
    )
)
def test_expected_sales_never_exceed_white_space_and_nothing_else_is_capped(rows):
    deals, p_win, value, white = np.array(rows).T
    wins = measuring.wins_a_year(deals, p_win, value, white)
    assert (wins * value <= white * (1 + 1e-9) + 1e-9).all() and (wins <= deals * p_win).all()
    free = deals * p_win * value <= white
    assert np.array_equal(wins[free & (value == 0)], (deals * p_win)[free & (value == 0)])
    assert np.allclose((wins * value)[free], (deals * p_win * value)[free])


def test_without_hours_for_prospects_only_customers_promise_anything():
    reps = [{"rep_id": "R", "home_lat": 52.0, "home_lon": 19.0, "fte": 0.04}]
    market, facts, territory = row([0.0, 60_000.0], [100_000.0] * 2, reps=reps)
    scores = targeting.area_scores(market, facts, territory, DIRECT, Settings()).set_index(
        "area_id"
    )
    assert facts.loc["A-b", "workload_h"] > 0.04 * 1212
    assert scores["p_contact"].eq(0).all() and scores.loc["a", "expected_contribution"] == 0
    held = pd.DataFrame({"territory": ["T1"], "rep_id": ["VACANT"]})
    vacant = targeting.area_scores(market, facts, territory, DIRECT, Settings(), held)
    assert vacant["p_contact"].eq(1).all()


def test_chances_add_up_to_the_places_and_equals_share_one():
    market, facts, territory = row([0.0] * 8, [50_000.0] * 8)
    scores = targeting.area_scores(market, facts, territory, DIRECT, Settings())
    assert scores["prob_top"].sum() == pytest.approx(2)
    draws = np.tile([[3.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]], (5, 1))
    assert targeting._chance_of_top(draws, draws[0]).tolist() == [1, 0.5, 0.5, 0, 0, 0, 0, 0]


def test_the_area_that_promises_most_is_surely_among_the_best():
    market, facts, territory = row([0.0] * 8, [900_000.0] + [50_000.0] * 7)
    areas = targeting.target_areas(market, facts, territory, DIRECT, Settings())
    best = areas.set_index("area_id").loc["a"]
    assert best["rank"] == 1 and best["prob_top"] == 1
    assert areas["expected_contribution"].dtype == np.int64


def test_each_territory_of_our_own_has_a_target_area_and_a_partners_has_none():
    market, facts, _ = row([0.0] * 8, [900_000.0] * 4 + [50_000.0] * 4)
    territory = pd.Series(["T1"] * 4 + ["T2"] * 2 + ["T3"] * 2, index=list("abcdefgh"))
    sold = pd.concat([TWO, pd.DataFrame({"territory": ["T3"], "channel": ["direct"]})])
    areas = targeting.target_areas(market, facts, territory, sold, Settings())
    sought = areas[areas["decision"].isin(targeting.SOUGHT)]
    assert set(sought["territory"]) == {"T1", "T3"}
    assert areas.loc[areas["territory"] == "T2", "decision"].eq("partner").all()


def test_another_currency_moves_no_rank_and_no_decision():
    market, facts, territory = row(
        [0.0, 9_000.0, 0.0, 500.0], [80_000.0, 40_000.0, 60_000.0, 900.0]
    )
    asked = Settings()
    other = asked.model_copy(
        update={
            "workload": asked.workload.model_copy(
                update={"rep_cost_year": asked.workload.rep_cost_year * 4}
            )
        }
    )
    money = [
        "revenue",
        "potential",
        "potential_low",
        "potential_high",
        "white_space",
        "value",
        "ev",
    ]
    scaled = facts.assign(**{column: facts[column] * 4 for column in money})
    one = targeting.target_areas(market, facts, territory, DIRECT, asked)
    four = targeting.target_areas(market, scaled, territory, DIRECT, other)
    same = ["area_id", "rank", "decision", "prob_top", "reason"]
    pd.testing.assert_frame_equal(one[same], four[same])


def test_neither_the_order_of_accounts_nor_the_names_of_territories_matter():
    market, facts, territory = row(
        [0.0, 9_000.0, 0.0, 500.0], [80_000.0, 40_000.0, 60_000.0, 900.0]
    )
    one = targeting.target_areas(market, facts, territory, DIRECT, Settings())
    mixed = facts.sample(frac=1, random_state=3)
    again = targeting.target_areas(market, mixed, territory, DIRECT, Settings())
    pd.testing.assert_frame_equal(again, one)
    named = targeting.target_areas(
        market,
        facts,
        territory.replace("T1", "North"),
        DIRECT.replace("T1", "North"),
        Settings(),
    )
    pd.testing.assert_frame_equal(named.assign(territory="T1"), one)


def test_attractiveness_and_ability_by_hand():
    day = {"amount": 100.0}
    sales = [
        {"account_id": "A-a", "date": "2024-10-01"} | day,
        {"account_id": "A-b", "date": "2025-01-01"} | day,
        {"account_id": "A-a", "date": "2026-01-01"} | day,
        {"account_id": "A-b", "date": "2026-01-01", "amount": 300.0},
    ]
    market, facts, territory = row([100.0, 300.0, 0.0], [150.0, 500.0, 900.0], sales=sales)
    table = targeting.attractiveness(market, facts, territory).set_index("area_id")
    assert table["growth"].tolist()[:2] == [0.0, 2.0] and np.isnan(table.loc["c", "growth"])
    # Places by white space 0, 0.5 and 1; by growth 0 and 1, and none for the prospect.
    assert table["attractiveness"].tolist() == [0.0, 0.75, 1.0]
    # Customers share the first places by presence; the rest is equal everywhere.
    assert table["ability"].tolist() == pytest.approx([(0.5 + 0.75 + 0.5) / 3] * 2 + [1 / 3])
    assert table["coverage"].isna().all()


@pytest.fixture(scope="module")
def measured(sample):
    market, asked = sample
    facts = measuring.account_facts(market, asked, find_segments(market, asked).label)
    territory = facts["area_id"].str[:2].groupby(facts["unit_id"]).first()
    sold = pd.DataFrame({"territory": sorted(territory.unique()), "channel": "direct"})
    sold.loc[0, "channel"] = "indirect"
    return market, asked, facts, territory, sold


def test_every_reason_of_the_sample_can_be_recomputed(measured):
    market, asked, facts, territory, sold = measured
    scores = targeting.area_scores(market, facts, territory, sold, asked)
    areas = targeting.target_areas(market, facts, territory, sold, asked)
    both = scores.join(areas[["decision", "reason", "rank"]])
    assert both["prob_top"].sum() == pytest.approx(round(len(both) / 4))
    assert (both["low"] <= both["expected_contribution"]).all()
    assert (both["expected_contribution"] <= both["high"]).all()
    why = dict(list(both.groupby("reason")))
    assert why["sold_by_partner"]["indirect"].all()
    assert (
        why["customers_can_buy_more"]["from_customers"] * 2
        > (why["customers_can_buy_more"]["expected_contribution"])
    ).all()
    unsure = (both["deals"] < 3) | (
        both["high"] - both["low"] > 1.5 * both["expected_contribution"]
    )
    tried = both["decision"].isin(["attack", "grow", "test"]) & (both["prob_top"].between(0.4, 0.8))
    assert both.loc[tried & unsure, "reason"].eq("little_evidence").all()
    assert (tried & unsure)[both["reason"] == "little_evidence"].all()
    assert (why["large_customers_here"][["a_share", "wallet_share"]] > 0.5).all(axis=None)
    assert (why["others_promise_more"]["prob_top"] < 0.4).all()
    own = set(sold.loc[sold["channel"] == "direct", "territory"])
    assert set(both.loc[both["decision"].isin(targeting.SOUGHT), "territory"]) == own
    assert both["rank"].sort_values().tolist() == list(range(1, len(both) + 1))


def test_more_accounts_of_other_areas_change_no_contribution(measured):
    market, asked, facts, territory, sold = measured
    part = facts[facts["area_id"].str[:2] != "32"]
    one = targeting.area_scores(market, facts, territory, sold, asked)
    less = targeting.area_scores(market, part, territory, sold, asked)
    kept = one[one["territory"] != "32"].reset_index(drop=True)
    assert np.allclose(kept["from_customers"], less["from_customers"])
