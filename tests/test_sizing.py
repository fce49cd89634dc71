"""How many reps: golden numbers, markets solved by hand, and what the sample says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrlib.inputs.settings import Settings, make_settings
from terrlib.measures import facts as measuring
from terrlib.measures import sizing
from tests.worlds import line_market


def facts_of(market, settings):
    return measuring.account_facts(market, settings, pd.Series("", index=market.accounts.index))


def sized(market, settings=None, target=0.0):
    settings = settings or Settings()
    return sizing.size_sales_force(market, facts_of(market, settings), settings, target)


REPS = [{"rep_id": f"R{i}", "home_lat": 52.0, "home_lon": 19.0, "fte": 1.0} for i in range(4)]


@given(st.floats(1, 100), st.floats(0.1, 0.6), st.floats(0.1, 0.6))
def test_no_number_of_reps_earns_more_than_the_best(present, margin, e):
    asked = (present, 1e7, margin, 180_000.0, e)
    best = sizing.most_profitable(*asked)
    low, high = sizing.flat_range(*asked)
    n = np.linspace(best * 0.2, best * 3, 200)
    profit = sizing._profit(n, *asked)
    top = float(sizing._profit(np.array(best), *asked))
    assert (profit <= top + 1e-6 * abs(top)).all() and low <= best <= high
    inside = profit >= 0.99 * top
    assert (inside == ((n >= low) & (n <= high))).mean() > 0.97  # but for the edges


def test_breakdown_divides_the_sales_wanted_by_what_a_rep_sells():
    found = sized(line_market([100.0] * 4, reps=REPS), target=100.0).methods.set_index("method")
    # 4 reps sell 400, 100 each; 500 wanted.
    assert found.loc["breakdown", "n_reps"] == pytest.approx(5.0)


def test_work_is_divided_by_the_hours_of_a_rep_as_far_as_they_are_planned():
    market = line_market([1000.0])
    market.accounts["class"] = "A"
    one = sized(market).methods.set_index("method").loc["workload"]
    hours = facts_of(market, Settings())["workload_h"].sum()
    assert one["n_reps"] == pytest.approx(hours / (1212.0 * 0.85))
    assert one["low"] == pytest.approx(hours / (1212.0 * 0.95))
    assert one["high"] == pytest.approx(hours / (1212.0 * 0.70))


def test_what_a_method_lacks_is_said():
    alone = sized(line_market([100.0])).methods.set_index("method")["missing"]
    assert alone.to_dict() == {
        "workload": "", "breakdown": "reps", "profit": "reps", "pipeline": "reps",
    }  # fmt: skip
    staffed = sized(line_market([100.0], reps=REPS)).methods.set_index("method")["missing"]
    assert staffed.to_dict() == {
        "workload": "", "breakdown": "target", "profit": "", "pipeline": "deals",
    }  # fmt: skip
    assert sized(line_market([0.0], reps=REPS)).methods.set_index("method")["missing"][
        "profit"
    ] == ("revenue")


def test_deals_that_the_target_asks_for_are_shared_among_those_who_start_them():
    days = pd.date_range("2025-11-01", periods=8, freq="MS").astype(str)
    deals = [
        {"opp_id": f"o{i}", "account_id": "A-a", "created_date": day, "close_date": "2026-09-01",
         "is_closed": True, "is_won": i < 4, "amount": 50.0}
        for i, day in enumerate(days)
    ]  # fmt: skip
    market = line_market([100.0], reps=REPS[:2], opportunities=deals)
    facts = facts_of(market, Settings())
    row = sizing.size_sales_force(market, facts, Settings(), 400.0).methods
    row = row.set_index("method").loc["pipeline"]
    # 8 deals a year by two reps; a deal brings its chance x 50.
    assert row["n_reps"] == pytest.approx(400 / (facts["p_win"].iloc[0] * 50) / 4)
    assert row["low"] < row["n_reps"] < row["high"]


def test_more_reps_have_shorter_ways(sample):
    market, asked = sample
    facts = facts_of(market, asked)
    near = sizing._reps_for_hours(market, facts, asked, 15.0, 1000.0)
    flat = asked.model_copy(
        update={"workload": asked.workload.model_copy(update={"stops_per_day": 50.0})}
    )
    assert sizing._reps_for_hours(market, facts, flat, 15.0, 1000.0) < near


def test_an_extrapolation_is_called_one(sample):
    market, asked = sample
    found = sizing.size_sales_force(market, facts_of(market, asked), asked, 1e7)
    assert found.far and found.present == pytest.approx(market.reps["fte"].sum())
    assert not found.profit.empty and set(found.profit["elasticity"]) == {"low", "middle", "high"}
    assert (found.defaults["low"] != found.defaults["high"]).all()
    less = make_settings({"sizing": {"elasticity": 0.1}})
    assert (
        sizing.size_sales_force(market, facts_of(market, less), less, 0.0)
        .methods.set_index("method")
        .loc["profit", "n_reps"]
        < found.methods.set_index("method").loc["profit", "n_reps"]
    )
