"""When new sales come: worlds whose forecast is known beforehand."""

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.reach import Reach
from terrlib.decisions.spending import COLUMNS as CELLS
from terrlib.decisions.spending import Spending
from terrlib.decisions.timeline import (
    KEYS,
    Parts,
    bought_share,
    break_even,
    cycle_pmf,
    first_sale,
    forecast,
    forecast_of,
    ingredients,
    macro_shock,
    rep_force,
    seasonality,
    simulate,
)
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import account_facts
from terrlib.measures.winning import lag_pmf
from tests.worlds import line_market

QUARTERS = ["2026Q4", "2027Q1", "2027Q2", "2027Q3"]
TWO = pd.Series({"a": "T1", "b": "T1", "c": "T2", "d": "T2"})


def settings(**timeline):
    return Settings(timeline=timeline)


def parts(n=2, deals=(), reps=0.0, leads=0.0, value=100.0, p_win=0.25, worth=np.inf):
    """n territories; open deals as (place, amount, quarterly chances); sales of a month."""
    chance = np.zeros((len(deals), 12))
    for i, (_, _, by_quarter) in enumerate(deals):
        chance[i] = np.repeat(np.array(by_quarter) / 3, 3)
    return Parts(
        pd.MultiIndex.from_tuples([(f"T{i + 1}", "") for i in range(n)], names=KEYS),
        QUARTERS,
        np.array([d[0] for d in deals], dtype=int),
        np.array([d[1] for d in deals], dtype=float),
        chance,
        np.full((1, n, 12), float(leads)),
        np.full((n, 12), float(reps)),
        np.full(n, value),
        np.zeros(0),
        np.array([0.05]),
        np.array([10.0]),
        p_win,
        worth,
        0.0,
    )


def deal(i, begun, closed, won, amount=100.0, account="A-a"):
    return {
        "opp_id": f"O{i}",
        "account_id": account,
        "created_date": begun,
        "close_date": closed,
        "is_closed": closed is not None,
        "is_won": won,
        "amount": amount,
    }


NOBODY = Reach(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())


def nothing():
    return Spending(pd.DataFrame(columns=CELLS), 0, 0, 0.0, 0, NOBODY)


def spend(market, territory, amount, sales, channel="phone"):
    rows = [
        {"territory": t, "channel": channel, "amount": amount, "sales": sales, "contacts": 0,
         "evidence": "mechanical"}
        for t in territory
    ]  # fmt: skip
    return Spending(
        pd.DataFrame(rows).reindex(columns=CELLS), amount * len(rows), 0, 1.0, 0, NOBODY
    )


CHANNEL = {"channel": "phone", "consent_needed": "none", "response_rate": 0.08, "lead_lag_m": 6.0}


def world(**given):
    deals = [deal(i, "2025-01-01", f"2025-{3 + i % 6:02d}-01", i % 4 == 0) for i in range(40)]
    deals += [deal(100 + i, "2026-08-01", None, False, 500.0) for i in range(10)]
    told = {"opportunities": deals, "channels": [CHANNEL]} | given
    market = line_market([100.0, 0.0, 50.0, 0.0], accounts=[{"potential": 900.0}] * 4, **told)
    facts = account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    return market, facts


def reps(*ids):
    return pd.DataFrame({"territory": ["T1", "T2"], "rep_id": ids})


def test_the_lag_of_a_lead_is_the_gamma_lag_and_sums_to_one():
    found = lag_pmf(5, 0.6, 24)
    first = [0.00509, 0.06741, 0.13218, 0.15682, 0.15066, 0.1289, 0.10248, 0.07745]
    assert found[:8].round(5).tolist() == first
    assert found.sum() == pytest.approx(1) and found @ np.arange(25) == pytest.approx(5, abs=1e-3)
    market, _ = world()
    assert cycle_pmf(market, Settings()).sum() == pytest.approx(1)
    assert cycle_pmf(line_market([1.0]), Settings()).sum() == pytest.approx(1)


def test_means_add_up_and_ranges_do_not():
    found = forecast_of(parts(4, [(0, 500.0, [0.5, 0, 0, 0])], reps=40.0), settings(draws=1000))
    assert found.table["mean"].sum() == pytest.approx(found.year["mean"], rel=1e-9)
    assert found.total["mean"].sum() == pytest.approx(found.year["mean"], rel=1e-9)
    assert (found.table["p10"] <= found.table["p50"]).all()
    assert (found.table["p50"] <= found.table["p90"]).all()
    assert found.total["p10"].sum() < found.year["p10"]
    assert found.table["p10"].sum() < found.total["p10"].sum()
    assert found.draws.dtype == np.float32
    assert np.allclose(found.of_territories().sum(axis=1), found.draws.sum(axis=1))


def test_twice_the_amounts_twice_everything():
    one = parts(2, [(0, 500.0, [0.2, 0.2, 0, 0])], reps=40.0, leads=20.0, worth=20.0)
    two = parts(2, [(0, 1000.0, [0.2, 0.2, 0, 0])], reps=80.0, leads=40.0, value=200.0, worth=20.0)
    a, b = (simulate(p, settings(draws=500)) for p in (one, two))
    assert np.allclose(2 * a, b, rtol=1e-5)
    assert np.array_equal(a, simulate(one, settings(draws=500)))


def test_the_draws_have_the_mean_that_is_told():
    p = parts(3, [(0, 500.0, [0.1, 0.2, 0.1, 0])], reps=400.0, leads=200.0, worth=30.0)
    found = simulate(p, settings(draws=20_000))
    assert found.mean(axis=0) == pytest.approx(p.mean(), rel=0.06)
    assert found.mean() == pytest.approx(p.mean().mean(), rel=0.02)


def test_more_is_never_less_with_the_same_luck():
    low, high = parts(reps=50.0, value=10.0), parts(reps=60.0, value=10.0)
    asked = settings(draws=500)
    fewer, more = (simulate(p, asked).sum(axis=(1, 2)) for p in (low, high))
    assert (more >= fewer - 1e-3).mean() > 0.99
    assert np.std(more - fewer) < 0.5 * np.std(more)


def test_a_shock_has_mean_one_and_remembers():
    found = macro_shock(100_000, 4, 0.15, 0.5, np.random.default_rng(1))
    assert found.mean(axis=0) == pytest.approx(1, abs=0.002)
    assert found.std(axis=0) == pytest.approx(0.15, abs=0.003)
    log = np.log(found)
    assert np.corrcoef(log[:, 0], log[:, 1])[0, 1] == pytest.approx(0.5, abs=0.01)


def test_nobody_and_no_money_leave_only_what_is_open():
    told = [{"rep_id": "R1", "name": "x", "home_lat": 52.0, "home_lon": 19.0, "fte": 1.0}]
    market, facts = world(reps=told)
    found = forecast(market, facts, TWO, reps("VACANT", "VACANT"), nothing(), Settings())
    assert found.sources[["leads", "reps"]].to_numpy().sum() == 0
    assert found.year["mean"] == pytest.approx(found.sources["pipeline"].sum())
    assert found.sources["pipeline"].sum() > 0
    staffed = forecast(market, facts, TWO, reps("R1", "VACANT"), nothing(), Settings())
    by = staffed.sources.groupby("territory")["reps"].sum()
    assert by["T1"] > by["T2"] > 0


def test_before_launch_and_lag_there_is_only_pipeline():
    market, facts = world()
    start = pd.Series({("T1", ""): 0, ("T2", ""): 2})
    idle = reps("VACANT", "VACANT")
    asked = Settings(workload={"classes": {}})
    facts = facts.assign(visits=0.0, call_h=0.0)
    spent = spend(market, ["T1", "T2"], 10_000, 1000.0)
    p = ingredients(market, facts, TWO, idle, spent, asked, None, start)
    leads = p.leads.sum(axis=0)
    assert (p.reps == 0).all()
    assert (leads[1, :6] == 0).all() and leads[1, 7:].sum() > 0
    assert leads[0, :6].sum() > 0
    never = pd.Series({("T1", ""): 4, ("T2", ""): 4})
    none = ingredients(market, facts, TWO, idle, spent, asked, None, never)
    assert none.leads.sum() == 0 and none.after > p.after


def test_deals_that_channels_brought_last_year_are_not_begun_by_reps_too():
    # Ten deals begun in the last twelve months; 3 of 6 leads of the phone became deals. The year
    # before does not count, nor do the leads that come by themselves (a quarter of 8 a year).
    told = [{"month": m, "channel": "phone", "spend": 1.0, "leads": n}
            for m, n in (("2026-03-01", 6.0), ("2025-03-01", 99.0))]  # fmt: skip
    mail = CHANNEL | {"channel": "mail", "lead_to_opp_rate": 0.25}
    judged = [
        {"channel": "mail", "zero": 0.5, "plus50": 1.2, "saturation": 1.5, "spend": 1, "leads": 8}
    ]
    phone = CHANNEL | {"lead_to_opp_rate": 0.5}
    market, facts = world(channels=[phone, mail], responses=told, judged=judged)
    assert bought_share(market, Settings()) == pytest.approx(0.3 + 0.1)
    plain, _ = world(channels=[phone, mail])
    assert bought_share(plain, Settings()) == 0
    less, all_ = (
        ingredients(m, facts, TWO, reps("R1", "R2"), nothing(), Settings()).reps
        for m in (market, plain)
    )
    assert less == pytest.approx(0.6 * all_) and less.sum() > 0


def test_a_rep_just_hired_grows_and_one_who_leaves_is_missed():
    told = [
        {"rep_id": "R1", "fte": 1.0, "hired": pd.Timestamp("2026-10-01")},
        {"rep_id": "R2", "fte": 1.0, "leaves": pd.Timestamp("2027-03-31")},
    ]
    market, facts = world(reps=told)
    label = facts["unit_id"].map(TWO)
    found = rep_force(market, facts, label, reps("R1", "R2"), Settings(), QUARTERS)
    assert found.loc["T1"].tolist() == [0.25, 0.6, 0.85, 1.0]
    assert found.loc["T2"].tolist() == pytest.approx([1.0, 1.0, 0.3, 0.3])


def test_accounts_that_change_hands_sell_less_at_first_and_a_years_loss_in_all():
    told = [{"rep_id": r, "fte": 1.0} for r in ("R1", "R2")]
    held = [{"account_id": f"A-{k}", "territory": "T1", "rep_id": "R1"} for k in "abcd"]
    market, facts = world(reps=told, assignments=held)
    label = facts["unit_id"].map(TWO)
    found = rep_force(market, facts, label, reps("R1", "R2"), Settings(), QUARTERS)
    assert found.loc["T1"].tolist() == [1, 1, 1, 1]
    assert found.loc["T2"].is_monotonic_increasing
    assert found.loc["T2"].mean() == pytest.approx(1 - 0.154 * 0.5)


def test_a_season_needs_two_years_and_is_shrunk():
    def market(years):
        rows = [
            deal(f"{y}{q}", f"{y}-01-01", f"{y}-{3 * q:02d}-15", True, 400.0 if q == 4 else 200.0)
            for y in years
            for q in (1, 2, 3, 4)
        ]
        return line_market([1.0], opportunities=rows, as_of="2025-12-31", quarter="2026Q1")

    quarters = ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    assert seasonality(market([2025]), quarters).tolist() == [1, 1, 1, 1]
    found = seasonality(market([2024, 2025]), quarters)
    assert found == pytest.approx([0.9, 0.9, 0.9, 1.3])  # half of the way to .8 and 1.6
    assert seasonality(market([2024, 2025]), ["Q+1"]).tolist() == [1]


def test_the_first_sale_is_the_month_it_becomes_likely():
    p = parts(3, [(0, 100.0, [0.9, 0, 0, 0]), (1, 100.0, [0, 0.6, 0, 0])])
    found = first_sale(p)
    assert found["T1"] == 2 and found["T2"] == 6 and np.isnan(found["T3"])


def test_what_never_pays_says_so():
    never = break_even(np.zeros((10, 2)), np.array([1.0, 1.0]), 0.5, ["x", "y"])
    assert never == {"chance": 0.0, "p10": "", "p50": "", "p90": ""}


def test_thirty_firms_without_anything_have_a_forecast_of_nothing():
    market = line_market([0.0] * 30, quarter="undated", as_of=None)
    facts = account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    territory = pd.Series("T1", index=market.units.index)
    rep = pd.DataFrame({"territory": ["T1"], "rep_id": ["VACANT"]})
    found = forecast(market, facts, territory, rep, nothing(), Settings())
    assert found.year == {"mean": 0.0, "p10": 0.0, "p50": 0.0, "p90": 0.0}
    assert found.table["quarter"].tolist() == ["Q+1", "Q+2", "Q+3", "Q+4"]


def test_ranges_hold_what_comes_eight_times_out_of_ten():
    """200 futures of a world like the one believed in, with a truth drawn anew in each."""
    rng = np.random.default_rng(5)
    n, amount = 12, rng.gamma(1, 400, 60)
    chance = rng.dirichlet([1, 1, 1, 1, 6], 60)[:, :4]
    deals = [(i % n, float(amount[i]), chance[i]) for i in range(60)]
    p = parts(n, deals, reps=150.0, leads=50.0, value=200.0, worth=60.0)
    found = forecast_of(p, settings(draws=4000))
    futures = simulate(p, settings(draws=4000).model_copy(update={"seed": 99}))[:200]
    low, high = (found.table[q].to_numpy().reshape(n, 4) for q in ("p10", "p90"))
    within = (futures >= low - 1e-6) & (futures <= high + 1e-6)
    assert 0.70 <= within.mean() <= 0.90
    whole = futures.sum(axis=1)
    total = (whole >= found.total["p10"].to_numpy()) & (whole <= found.total["p90"].to_numpy())
    assert 0.70 <= total.mean() <= 0.90
    year = whole.sum(axis=1)
    assert 0.70 <= ((year >= found.year["p10"]) & (year <= found.year["p90"])).mean() <= 0.90
