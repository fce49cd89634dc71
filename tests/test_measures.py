"""Measures by hand, and against the truth that was planted in the sample."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrlib.decisions.segments import find_segments
from terrlib.inputs.settings import Settings, Workload
from terrlib.measures import customers, facts, geometry, winning, workload
from terrlib.measures.scorecard import scorecard, territory_shapes
from terrlib.money import split_exact
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]


def test_win_rate_of_the_sample_is_found_where_counting_closed_deals_misses_it(sample, truth):
    market, asked = sample
    segment = truth["segment"].reindex(market.accounts.index)
    rates = winning.win_rates(market, segment, asked).set_index("group")
    mine = market.opportunities["account_id"].map(truth["p_win"])
    assert abs(rates.loc["", "p_win"] - mine.mean()) < 0.03
    assert abs(rates.loc["", "naive"] - mine.mean()) > 0.05
    for name, planted in truth.groupby("segment")["p_win"].mean().items():
        assert abs(rates.loc[name, "p_win"] - planted) < 0.03, name


def test_segments_of_the_sample_are_found(sample, truth):
    from sklearn.metrics import adjusted_rand_score

    market, asked = sample
    found = find_segments(market, asked)
    buying = market.accounts.index[market.accounts["revenue"] > 0]
    assert found.mode == "clusters"
    assert adjusted_rand_score(truth.loc[buying, "segment"], found.label[buying]) >= 0.8


def test_potential_ranks_accounts_as_their_planted_wallets_do(sample, truth):
    market, asked = sample
    label = find_segments(market, asked).label
    table = facts.account_facts(market, asked, label)
    assert table["potential"].corr(truth["wallet"].reindex(table.index), method="spearman") >= 0.85
    assert (table["potential"] >= table["revenue"].clip(lower=0) - 1e-6).all()
    assert (table["white_space"] >= -1e-6).all()


def test_no_segments_are_seen_where_there_are_none():
    rng = np.random.default_rng(5)
    rows = [{"employees": float(e)} for e in np.exp(rng.normal(3, 1, 150)).round() + 1]
    market = line_market(np.exp(rng.normal(10, 1, 150)).tolist(), accounts=rows)
    assert find_segments(market, Settings()).mode == "rules"


def test_two_deals_won_and_two_lost_in_turn():
    found = winning.incidence(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 2, 1, 2]))
    assert found[-1].tolist() == [0.5, 0.5]
    assert found[1].tolist() == [0.25, 0.0]


def test_open_deals_raise_the_rate_when_wins_are_slow():
    deal = {"account_id": "A-a", "amount": 100.0, "is_won": False, "created_date": "2026-01-01"}
    lost = [
        deal | {"opp_id": f"L{i}", "is_closed": True, "close_date": "2026-02-01"} for i in range(4)
    ]
    won = [
        deal | {"opp_id": f"W{i}", "is_closed": True, "is_won": True, "close_date": "2026-08-01"}
        for i in range(2)
    ]
    still = [
        deal | {"opp_id": f"O{i}", "is_closed": False, "created_date": "2026-04-01"}
        for i in range(4)
    ]
    market = line_market([1.0], opportunities=[*lost, *won, *still])
    whole = winning.win_rates(market, pd.Series({"A-a": ""}), Settings()).iloc[0]
    assert whole["naive"] == pytest.approx(1 / 3)
    assert whole["p_win"] > whole["naive"]
    odds = winning.open_deals(market, Settings())
    assert len(odds) == 4 and odds["p_win"].between(0, 1).all()
    assert np.allclose([b.sum() for b in odds["by_month"]], odds["p_win"])


def test_the_golden_lag():
    lag = winning.lag_pmf(5, 0.6, 24)
    assert lag[:8].round(5).tolist() == [
        0.00509,
        0.06741,
        0.13218,
        0.15682,
        0.15066,
        0.1289,
        0.10248,
        0.07745,
    ]
    assert lag.sum() == pytest.approx(1)
    assert lag @ np.arange(25) == pytest.approx(5.0000628, abs=1e-6)


def test_working_days_and_capacity_of_2026():
    assert workload.workdays(2026, "PL") == 251
    assert workload.workdays(2024, "PL") == 251
    assert workload.capacity_h(Settings(), 2026, "PL") == 1212


def test_accounts_of_one_site_are_one_stop():
    w = Settings()
    rows = [{"site_id": "A-a"}, {"site_id": "A-a"}, {}]
    for row in rows[:2]:
        row |= {"lat": 52.0, "lon": 19.0, "x_km": 0.0, "y_km": 0.0}
    apart = [{k: v for k, v in row.items() if k != "site_id"} for row in rows]

    def hours(rows):
        market = line_market([100.0, 100.0, 100.0], accounts=rows)
        table = market.accounts.assign(**{"class": ["A", "C", "C"]})
        return workload.account_workload(table, market.reps[["home_lat", "home_lon"]], w, 200.0)

    one, two = hours(rows), hours(apart)
    a, c = w.workload.classes["A"].visits, w.workload.classes["C"].visits
    # Only the way in is travelled where all hops are nought; 6 minutes a stop.
    access = w.workload.access_min / 60
    assert one["travel_h"].iloc[:2].sum() >= a * access
    assert one["travel_h"].iloc[0] / one["travel_h"].iloc[1] == pytest.approx(a / c)
    assert (one["visit_h"] == two["visit_h"]).all()
    lonely = hours([{**rows[0]}, {**rows[1]}, {**rows[0]}])
    assert lonely["travel_h"].sum() == pytest.approx(a * access)


def test_the_users_own_minutes_count_in_the_work_where_they_are_given():
    home = [{"rep_id": "R1", "home_lat": 52.0, "home_lon": 19.0}]
    rows = [{"unit_id": "b", "to": "R1", "minutes": 90.0}, {"unit_id": "b", "to": "a", "km": 1.0}]
    plain, own = (
        facts.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
        for market in (
            line_market([10.0, 10.0], reps=home),
            line_market([10.0, 10.0], reps=home, travel=rows),
        )
    )
    more = own["travel_h"] - plain["travel_h"]
    assert more["A-a"] == 0  # the matrix does not know the way there
    km = geometry.road_km([geometry.great_circle_km(52.0, 19.0, 52.0, 19.1)], Settings().workload)
    was = geometry.drive_h(km, Settings().workload)[0]
    # An hour and a half each way, shared by five stops, 24 times a year.
    assert more["A-b"] == pytest.approx(24 * 2 * (1.5 - was) / 5)
    assert own.loc["A-b", "travel_km"] == pytest.approx(plain.loc["A-b", "travel_km"])


def test_travel_of_one_visit_with_one_speed_and_one_circuity():
    flat = Workload(circuity_short=1.3, circuity_long=1.3, speeds_kmh=(65, 65, 65))
    km, _ = workload.visit_travel(np.array([40.0]), np.array([12.0]), flat)
    assert km[0] == pytest.approx(33.28)
    _, line = workload.visit_travel(np.array([40.0]), np.array([0.0]), flat)
    slow = flat.model_copy(update={"speeds_kmh": (35, 35, 35)})
    _, hop = workload.visit_travel(np.array([0.0]), np.array([12.0]), slow)
    assert line[0] + hop[0] - flat.access_min / 60 == pytest.approx(0.7765714)


def test_farther_is_never_faster_and_closer_never_costs_more():
    km = np.linspace(0, 300, 61)
    assert (np.diff(geometry.drive_h(geometry.road_km(km, Workload()), Workload())) >= 0).all()


def test_abc_has_its_limits_where_they_are():
    money = pd.Series([80.0, 15, 5, 0, -3], index=list("vwxyz"))
    assert customers.abc(money, 0.8, 0.95).tolist() == ["A", "B", "C", "C", "C"]


def test_the_town_of_a_territory_is_where_most_accounts_are_then_where_most_is_sold():
    named = [{"town": town} for town in ("rich", "most", "most", "poor", "more", "")]
    market = line_market([90.0, 10, 10, 10, 20, 0], accounts=named)
    table = facts.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    label = pd.Series(["W"] * 3 + ["E"] * 3, index=list("abcdef"))
    card = scorecard(market, table, table["unit_id"].map(label), label)
    assert card["town"].to_dict() == {"E": "more", "W": "most"}
    assert card["town_lon"].round(6).to_dict() == {"E": 19.4, "W": 19.15}


def test_the_scorecard_of_a_row_by_hand():
    market = line_market([100.0, 200, 300, 400])
    table = facts.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    label = pd.Series({"a": "W", "b": "W", "c": "E", "d": "E"})
    card = scorecard(market, table, table["unit_id"].map(label), label)
    assert card["revenue"].to_dict() == {"E": 700.0, "W": 300.0}
    assert card["revenue_index"].round(2).to_dict() == {"E": 1.4, "W": 0.6}
    assert card["pieces"].tolist() == [1, 1]
    assert card["accounts"].sum() == len(table)
    apart = pd.Series({"a": "W", "b": "E", "c": "W", "d": "E"})
    assert scorecard(market, table, table["unit_id"].map(apart), apart)["pieces"].tolist() == [2, 2]
    shapes = territory_shapes(market, label)
    assert shapes["territory"].tolist() == ["E", "W"]
    assert shapes.geometry.area.sum() == pytest.approx(market.units.geometry.area.sum(), rel=1e-5)


def test_sums_over_units_are_sums_over_accounts():
    market = line_market([100.0, 0, 300])
    table = facts.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    by_unit = facts.unit_measures(table, market.units.index)
    for measure in facts.MEASURES:
        assert by_unit[measure].sum() == pytest.approx(table[measure].sum())


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30), st.floats(0.1, 1e3))
def test_gini_is_scale_free_and_below_one(values, scale):
    one = customers.gini(pd.Series(values))
    assert -1e-9 <= one < 1
    assert customers.gini(pd.Series(values) * scale) == pytest.approx(one, abs=1e-9)


@given(
    st.integers(0, 10**15),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=12),
    st.sampled_from([1, 100, 10_000]),
)
def test_split_money_adds_up_and_no_part_is_a_step_off(total, weights, step):
    parts = split_exact(total, weights, step=step)
    assert sum(parts) == total
    whole = sum(weights) or len(weights)
    shares = [w / whole if sum(weights) else 1 / len(weights) for w in weights]
    off = [abs(p - total * s) for p, s in zip(parts, shares, strict=True)]
    assert max(off) <= 2 * step + total * 1e-9
