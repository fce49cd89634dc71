"""Whom we reach, what money brings, and what is spent where: small cases worked out by hand."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import poisson

from terrlib import plan, tables, tell
from terrlib.decisions import spending
from terrlib.decisions.reach import missing_consents, reach_customers, reachable
from terrlib.errors import DataError, InfeasibleError, SettingsError
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import Settings, change_settings, make_settings
from terrlib.measures import response
from terrlib.measures.fitting import fit
from terrlib.runs import Run, read_table, write_table
from terrlib.show.words import Words
from terrlib.solve.allocate import allocate, flat, plain, round_within, waterfill

from .worlds import line_market, said

ROOT = Path(__file__).parents[1]
FORMS = [
    response.touches(100, 5, 0.1, 1),
    response.touches(80, 0.4, 0.02, 12),
    response.touches(50, 14, 0.5, np.inf),
    {"form": "exp", "top": 40.0, "scale": 900.0, "a": 0.0, "b": 1.0},
    response.judged(0.3, 1.25, 1.8, 1000.0, 40.0),
]
CURVES = pd.DataFrame(FORMS)


# Curves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("contacts", "rate", "mean"), [(1, 0.1, 1.4), (3, 0.3, 2.2), (7, 0.9, 9)])
def test_contacts_at_random_bring_what_the_sum_over_all_numbers_of_them_says(contacts, rate, mean):
    t = np.arange(200)
    due = 60 * (poisson.pmf(t, mean) * (1 - (1 - rate) ** np.minimum(t, contacts))).sum()
    curve = pd.DataFrame([response.touches(60, 2, rate, contacts)])
    assert response.leads(curve, np.array([mean * 120])) == pytest.approx([due], rel=1e-9)


def test_one_contact_and_contacts_without_limit_have_their_closed_forms():
    x = np.array([700.0])
    one, all_ = (pd.DataFrame([response.touches(100, 5, 0.1, f)]) for f in (1, np.inf))
    assert response.leads(one, x) == pytest.approx(0.1 * 100 * (1 - np.exp(-x / 500)))
    assert response.leads(all_, x) == pytest.approx(100 * (1 - np.exp(-0.1 * x / 500)))


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 5e4), st.floats(0.1, 5e3))
def test_more_money_never_brings_fewer_leads_and_mostly_less_than_before(x, more):
    at = np.array([[x, x + more, x + 2 * more]] * len(CURVES))
    first, second = np.diff(response.leads(CURVES, at)).T
    assert (np.array([first, second]) >= -1e-9).all()
    concave = (CURVES["form"] != "hill").to_numpy()
    assert (second[concave] <= first[concave] + 1e-9).all()
    rise = response.slope(CURVES, at)
    assert (np.diff(rise[concave]) <= 1e-12).all()


def test_slopes_are_the_differences_of_leads():
    x = np.full(len(CURVES), 800.0)
    due = (response.leads(CURVES, x + 0.01) - response.leads(CURVES, x - 0.01)) / 0.02
    assert response.slope(CURVES, x) == pytest.approx(due, rel=1e-5)


def test_an_s_is_worth_most_of_a_coin_where_the_line_from_nothing_touches_it():
    curve = CURVES.iloc[[4]]
    x = np.linspace(1, 5000, 100_000)
    best = x[np.argmax(response.leads(curve, x[None])[0] / x)]
    touch = response.tangent(float(curve["a"].iloc[0]), float(curve["b"].iloc[0])) * 1000
    assert best == pytest.approx(touch, rel=1e-3)
    assert response.tangent(1.0, 0.9) == 0.0


@pytest.mark.parametrize("answers", [(1.0, 1.2, 2), (0.3, 0.9, 2), (0.3, 2.0, 1.5), (0, 1.01, 9)])
def test_answers_that_do_not_rise_make_no_curve(answers):
    if answers == (0, 1.01, 9):
        assert response.adbudg(*answers)[0] > 0
        return
    with pytest.raises(DataError, match="make no curve"):
        response.adbudg(*answers)


def test_two_points_must_flatten():
    with pytest.raises(DataError, match="no curve that flattens"):
        response.two_points(100, 10, 25)


# History ------------------------------------------------------------------------------------------


def history(seed, top=0.03, scale=20.0, carry=0.3, areas=12, months=30, size=120, spread=1.5):
    """Months of areas with leads from a planted curve."""
    rng, rows = np.random.default_rng(seed), []
    for area in range(areas):
        luck, stock = np.exp(0.2 * rng.normal()), scale / (1 - carry)
        for m in range(months):
            spend = scale * rng.gamma(spread, 1 / spread)
            stock = spend + carry * stock
            season = 1 + 0.2 * np.sin(2 * np.pi * m / 12)
            mean = size * top * luck * season * -np.expm1(-stock * (1 - carry) / scale)
            month = pd.Timestamp("2024-01-01") + pd.DateOffset(months=m)
            rows.append((month, f"a{area}", size, spend * size, rng.poisson(mean)))
    return pd.DataFrame(rows, columns=["month", "area", "size", "spend", "leads"])


def test_a_history_too_short_too_thin_or_too_even_fits_no_curve():
    rows = history(1)
    assert fit(rows.head(23)).why == "few_months"
    assert fit(rows.assign(leads=rows["leads"].where(rows.index < 20, 0))).why == "few_leads"
    assert fit(rows.assign(spend=100.0)).why == "steady"
    # Leads in plain proportion to money: a constant cost per lead says all there is to say.
    even = rows.assign(leads=(rows["spend"] / 500).round())
    assert fit(even).why == "no_better"


def test_areas_that_brought_more_keep_some_of_it():
    rows = history(2)
    rows["leads"] = rows["leads"] * np.where(rows["area"] == "a3", 3, 1)
    found = fit(rows).area
    assert found.idxmax() == "a3" and 1.3 < found["a3"] < 3.0


@pytest.mark.parametrize("seed", [3, 4])
def test_fitted_curves_reach_nearly_all_that_the_planted_ones_allow(seed):
    planted = [(0.03, 20.0), (0.02, 8.0), (0.05, 60.0)]
    fits = [fit(history(seed * 10 + i, top, scale)) for i, (top, scale) in enumerate(planted)]
    assert [found.why for found in fits] == ["", "", ""]
    size = 120 * 12

    def curves(rows):
        return pd.DataFrame(
            [
                {"form": "exp", "top": size * top, "scale": size * scale, "a": 0.0, "b": 1.0}
                for top, scale in rows
            ]
        )

    true, seen = curves(planted), curves([(f.top, 1 / f.rate) for f in fits])
    worth = np.array([900.0, 700.0, 1200.0])[:, None]
    offers = [
        plain(
            lambda x, c=c: worth * response.leads(c, x),
            lambda x, c=c: worth * response.slope(c, x),
            np.full(3, 1e6),
        )
        for c in (true, seen)
    ]
    best, found = (allocate(offer, 60_000.0) for offer in offers)
    assert offers[0].value(found.x[:, None]).sum() >= 0.98 * best.value


@pytest.fixture(scope="module")
def sample_spent(sample):
    """The sample's budget over two territories of half the units each."""
    market, wanted = sample
    facts, territory = invented(market)
    return facts, territory, spending.split_budget(market, facts, territory, wanted)


def test_the_sample_reaches_98_percent_of_what_its_planted_curves_allow(sample_spent):
    spent = sample_spent[2]
    truth = pd.read_csv(ROOT / "tests/truth/responses.csv").set_index("channel")
    cells = spent.reach.cells.copy()
    fitted = cells["evidence"] == "fitted"
    assert set(cells.loc[fitted, "channel"]) == {"direct_mail", "online_ads", "phone"}
    for column in ("top", "scale"):
        year = 12 * cells["channel"].map(truth[column]) * cells["reachable"]
        cells[column] = cells[column].where(~fitted, year)
    true = spending._at(cells, spent.offer)
    best = allocate(true, spent.spendable)
    assert true.value(spent.best.x[:, None]).sum() >= 0.98 * best.value


# Allocation ---------------------------------------------------------------------------------------


def offer_of(curves, worth, high, **more):
    worth = np.asarray(worth, dtype=float)[:, None]
    return plain(
        lambda x: worth * response.leads(curves, x),
        lambda x: worth * response.slope(curves, x),
        np.asarray(high, dtype=float),
        **more,
    )


CONCAVE = CURVES.iloc[:4].reset_index(drop=True)
WORTH, HIGH = [50.0, 90.0, 30.0, 60.0], [500.0, 384.0, 2100.0, 3000.0]


def test_no_feasible_split_is_worth_more_and_a_linear_program_agrees():
    offer, budget = offer_of(CONCAVE, WORTH, HIGH), 2000.0
    best = allocate(offer, budget)
    assert best.x.sum() == pytest.approx(budget)
    rng, tried = np.random.default_rng(0), 0
    while tried < 200:
        other = rng.dirichlet(np.ones(4)) * budget
        if (other <= offer.high).all():
            tried += 1
            assert offer.value(other[:, None]).sum() <= best.value * (1 + 1e-6)
    points = np.array(HIGH)[:, None] * np.linspace(0, 1, 4001)
    width = np.diff(points).reshape(-1)
    steep = np.diff(offer.value(points)).reshape(-1) / width
    lp = linprog(-steep, np.ones((1, len(width))), [budget], bounds=np.c_[0 * width, width])
    assert -lp.fun == pytest.approx(best.value, rel=1e-6)


def test_row_limits_hold_and_cost_what_a_linear_program_says():
    share = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]])
    low, high = np.array([300.0, 0, 0]), np.array([np.inf, 1200.0, 600.0])
    offer = offer_of(CONCAVE, WORTH, HIGH, share=share, row_low=low, row_high=high)
    best = allocate(offer, 1800.0)
    sums = share @ best.x
    assert (sums >= low - 1e-6).all() and (sums <= high + 1e-6).all()
    points = np.array(HIGH)[:, None] * np.linspace(0, 1, 2001)
    width = np.diff(points).reshape(-1)
    steep = np.diff(offer.value(points)).reshape(-1) / width
    rows = np.repeat(share, 2000, axis=1)
    matrix = np.vstack([np.ones(len(width)), rows[1:], -rows[:1]])
    lp = linprog(-steep, matrix, [1800, 1200, 600, -300], bounds=np.c_[0 * width, width])
    assert -lp.fun == pytest.approx(best.value, rel=1e-5)


def test_points_that_fall_together_hide_nothing():
    # The best amount of the second is one of the points its curve is cut at.
    offer = plain(
        lambda x: 10 * np.sqrt(x), lambda x: 5 / np.sqrt(np.maximum(x, 1e-9)), np.full(2, 100.0)
    )
    best = allocate(offer, 50.0)
    low, high = flat(offer, best, 0.01)
    # sqrt(25 - d) + sqrt(25 + d) = 9.9 at d = 7.0
    assert low == pytest.approx([18, 18], abs=0.6) and high == pytest.approx([32, 32], abs=0.6)
    one = replace(offer, share=np.eye(2)[:1], row_low=np.array([-np.inf]), row_high=np.array([9.0]))
    assert allocate(one, 50.0).x == pytest.approx([9, 41], rel=1e-6)


def test_the_return_of_the_next_coin_never_rises_with_the_budget():
    offer = offer_of(CONCAVE, WORTH, HIGH)
    prices = [allocate(offer, budget).price for budget in np.linspace(50, 5900, 25)]
    assert (np.diff(prices) <= 1e-9).all()


def test_below_the_hurdle_money_is_left():
    offer = offer_of(CONCAVE, WORTH, HIGH, hurdle=0.8)
    best = allocate(offer, 5900.0)
    assert best.x.sum() < 5900 and best.price == pytest.approx(0.8)
    inner = (best.x > 0) & (best.x < offer.high)
    assert offer.slope(best.x[:, None])[inner, 0] == pytest.approx(0.8, rel=1e-6)


@pytest.mark.parametrize("budget", [300.0, 900.0, 2500.0])
def test_fixed_costs_and_an_s_are_settled_as_well_as_by_trying_everything(budget):
    curves = pd.DataFrame([FORMS[4], FORMS[4], FORMS[3], FORMS[0]])
    worth, fixed = np.array([60.0, 40.0, 55.0, 70.0]), np.array([0.0, 100, 200, 50])
    offer = offer_of(curves, worth, [4000.0, 4000, 3000, 500], fixed=fixed)
    best = allocate(offer, budget)
    assert best.x.sum() + fixed[best.x > 0].sum() <= budget + 1e-6
    step, most = budget / 20, 0.0
    for other in product(range(21), repeat=3):
        amount = np.array([*other, 20 - sum(other)]) * step
        if amount.min() < 0:
            continue
        x = np.clip(np.minimum(amount - fixed, offer.high), 0, None)
        most = max(most, offer.value(x[:, None]).sum())
    # An S is used from its tangent on or not at all: the grid may use a little of it.
    assert best.value >= most * 0.97


def test_amounts_within_the_band_cost_no_more_than_they_may():
    offer = offer_of(CONCAVE.iloc[[0, 3]].reset_index(drop=True), [50.0, 60.0], [500.0, 3000.0])
    best = allocate(offer, 1000.0)
    low, high = flat(offer, best, 0.01)
    assert (low < best.x - 1).all() and (best.x + 1 < high).all()
    assert low[0] == 0  # all for the second loses less than that
    lost = 1 - offer.value(np.array([[high[0]], [1000 - high[0]]])).sum() / best.value
    assert 0.005 < lost <= 0.01 + 1e-6


def test_nothing_to_spend_or_nobody_to_reach():
    offer = offer_of(CONCAVE, WORTH, HIGH)
    assert allocate(offer, 0.0).value == 0
    nobody = offer_of(CONCAVE, WORTH, np.zeros(4))
    assert allocate(nobody, 100.0).x.sum() == 0
    with pytest.raises(InfeasibleError, match="the limits allow 0 to 4"):
        waterfill(lambda x: 1 / (1 + x), np.zeros(2), np.full(2, 2.0), 5.0)


def test_a_thousand_totals_are_rounded_within_all_limits():
    rng = np.random.default_rng(5)
    areas, channels = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    share = np.vstack([areas == a for a in range(3)] + [channels == c for c in range(4)]) * 1.0
    for i in range(1000):
        amount = rng.exponential(3.0, 12) * (rng.random(12) > 0.2)
        sums = share @ amount
        low, high = np.floor(sums), np.ceil(sums)
        rows = slice(None) if i % 2 else slice(0, 0)
        found = round_within(
            amount, np.zeros(12), np.full(12, 99.0), share[rows], low[rows], high[rows]
        )
        assert found.sum() == np.floor(amount.sum() + 1e-6)
        assert (np.abs(found - amount) < 1).all()
        after = share[rows] @ found
        assert (after >= low[rows]).all() and (after <= high[rows]).all()


# Who can be reached, and the budget of a market ---------------------------------------------------

PHONE = {
    "channel": "phone",
    "consent_needed": "phone",
    "fixed_cost": 0.0,
    "cost_per_contact": 10.0,
    "max_contacts": 3.0,
    "response_rate": 0.2,
    "lead_to_opp_rate": 0.5,
    "rep_h": 0.0,
    "min_spend": 0.0,
}
LETTER = PHONE | {"channel": "letter", "consent_needed": "none", "cost_per_contact": 5.0}
LETTER |= {"response_rate": 0.05}
FAIR = PHONE | {"channel": "fair", "consent_needed": "none", "fixed_cost": 300.0}
FAIR |= {"response_rate": 0.3, "cost_per_contact": 60.0, "max_contacts": 1.0}
VISIT = PHONE | {"channel": "visit", "consent_needed": "none", "cost_per_contact": 100.0}
VISIT |= {"rep_h": 2.0}
REP = {"rep_id": "R1", "name": "R", "home_lat": 52.0, "home_lon": 19.0, "fte": 1.0}


def world(channels, consents=(True, True, True, False, False, False), **given):
    """Six prospects in two territories; the first three may be phoned."""
    accounts = [{"consent_phone": yes} for yes in consents]
    return line_market([0.0] * 6, accounts=accounts, channels=channels, **given)


def invented(market, value=20_000.0):
    """Every account alike, and half the units in each of two territories."""
    n = len(market.accounts)
    facts = market.accounts[["unit_id", "area_id", "status", "revenue"]].assign(
        p_win=0.25,
        p_win_low=0.2,
        p_win_high=0.3,
        value=value,
        ev=100.0,
        white_space=value,
        workload_h=10.0,
        travel_km=60.0,
    )
    units = market.units.index
    half = np.where(np.arange(len(units)) < len(units) / 2, "T1", "T2")
    assert n
    return facts, pd.Series(half, index=units)


def asked(total=2000.0, **more):
    return make_settings({"budget": {"total": total, "round_to": 10, **more}})


def test_missing_consent_means_no_and_is_worth_what_the_account_promises():
    market = world([PHONE, LETTER])
    facts, territory = invented(market)
    facts["status"] = ["prospect"] * 4 + ["lost", "prospect"]
    may = reachable(market, facts, "phone")
    assert may.tolist() == [True, True, True, False, False, False]
    assert reachable(market, facts, "none").tolist() == [True] * 4 + [False, True]
    assert not reachable(market, facts, "sms").any()
    found = missing_consents(market, facts, facts["unit_id"].map(territory))
    assert found.to_numpy().tolist() == [["T2", "phone", 2, 200.0]]


def test_a_market_of_six_spends_to_the_grosz_and_only_where_it_may():
    market = world([PHONE, LETTER, FAIR])
    facts, territory = invented(market)
    spent = spending.split_budget(market, facts, territory, asked(contingency=0.1))
    cells = spent.cells.set_index(["territory", "channel"])
    assert cells.loc[("T2", "phone"), ["reachable", "amount", "leads"]].tolist() == [0, 0, 0]
    assert cells.loc[("T2", "phone"), "no_consent"] == 3
    assert spent.contingency == 20_000
    assert int(cells["amount"].sum()) + spent.contingency + spent.unallocated == 200_000
    assert (cells["contacts"] <= cells["reachable"] * 3).all()
    # Whoever can be phoned or written to is, as often as allowed: 3 accounts, 3 contacts of 10.
    assert cells.loc[("T1", "phone"), "amount"] == 9_000
    assert cells.loc[("T1", "letter"), "amount"] == 4_500 // 1000 * 1000
    for part in ("leads", "wins", "sales"):
        assert (cells[f"{part}_low"] <= cells[part]).all()
        assert (cells[part] <= cells[f"{part}_high"]).all()
    assert set(cells["evidence"]) == {"mechanical"}
    again = spending.split_budget(market, facts, territory, asked(contingency=0.1))
    pd.testing.assert_frame_equal(again.cells, spent.cells)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400_000), st.floats(0, 0.4), st.sampled_from([1, 10, 100]))
def test_any_total_is_split_to_the_grosz(minor, contingency, step):
    market = world([PHONE, LETTER, FAIR, VISIT])
    facts, territory = invented(market)
    wanted = asked(minor / 100, contingency=contingency, round_to=step)
    spent = spending.split_budget(market, facts, territory, wanted)
    paid = spent.cells["amount"]
    assert int(paid.sum()) + spent.contingency + spent.unallocated == minor
    assert (paid >= 0).all() and (paid % (step * 100) == 0).all() and spent.unallocated >= 0
    fixed = spent.reach.cells["fixed_cost"] * 100
    assert ((paid == 0) | (paid >= fixed)).all()


def test_limits_of_territories_and_channels_hold_after_rounding():
    market = world([PHONE, LETTER, FAIR, VISIT])
    facts, territory = invented(market)
    limits = {
        "territory_limits": {"each": [200, 901], "T1": [333, 600]},
        "channel_limits": {"visit": [0, 455], "letter": [30, 1000]},
    }
    spent = spending.split_budget(market, facts, territory, asked(1500.0, **limits))
    paid = spent.cells["amount"] / 100
    by = paid.groupby(spent.cells["territory"]).sum()
    assert 333 <= by["T1"] <= 600 and 200 <= by["T2"] <= 901
    by = paid.groupby(spent.cells["channel"]).sum()
    assert by["visit"] <= 455 and by["letter"] >= 30
    assert "limits" in set(spent.cells["binding"])


def test_limits_that_cannot_hold_are_refused_in_a_sentence():
    market = world([PHONE, LETTER])
    facts, territory = invented(market)

    def split(**limits):
        return spending.split_budget(market, facts, territory, asked(100.0, **limits))

    with pytest.raises(SettingsError, match="no territory 'T9': known are T1, T2"):
        split(territory_limits={"T9": [0, 5]})
    with pytest.raises(InfeasibleError, match="territories add up to 160, but 90 can be spent"):
        split(territory_limits={"each": [80, 90]})
    with pytest.raises(InfeasibleError, match="phone has to get 100 at least, but at most 90"):
        spending.split_budget(
            market, facts, territory, asked(300.0, channel_limits={"phone": [95, 99]})
        )
    with pytest.raises(SettingsError, match="the least comes first"):
        asked(channel_limits={"phone": [9, 5]})


def test_visits_take_no_more_hours_than_reps_have_left():
    market = world([VISIT, LETTER], reps=[REP])
    facts, territory = invented(market)
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": ["R1", "VACANT"]})
    settings_ = change_settings(asked(3000.0), {"workload.hours_per_day": 0.028})
    # 202 days of 0.028 h, a quarter for the desk, 0.95 of the rest: 4.03 h, of which none are left.
    hours = spending._free_hours(market, facts, territory, settings_, rep)
    assert hours.tolist() == [0.0, 0.0]
    facts["workload_h"] = 0.0
    spent = spending.split_budget(market, facts, territory, settings_, rep)
    visits = spent.cells[spent.cells["channel"] == "visit"].set_index("territory")
    assert visits.loc["T2", "amount"] == 0 and visits.loc["T2", "binding"] == "hours"
    assert 0 < visits.loc["T1", "amount"] / 100 / 100 * 2 <= 4.1
    assert spending.hours_bind(spent)["channel"].unique().tolist() == ["visit"]


def test_with_a_hurdle_money_that_earns_too_little_is_left_and_named(tmp_path):
    market = world([PHONE, LETTER])
    facts, territory = invented(market, value=400.0)
    spent = spending.split_budget(market, facts, territory, asked(spend_all=False, hurdle=0.8))
    assert spent.unallocated > 0
    paid = spent.cells["amount"].sum()
    assert paid + spent.unallocated + spent.contingency == 200_000
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": "VACANT"})
    sold = pd.DataFrame({"territory": ["T1", "T2"], "channel": "direct", "distributor_id": ""})
    areas = pd.DataFrame({"territory": ["T1", "T2"], "area_id": "", "decision": ["grow", "attack"]})
    reached = plan.reach(market, facts, territory, areas, spent, rep, asked())
    year = plan.costs(market, facts, territory, [], sold, areas, spent, reached, asked())
    quarters = ["2026Q4", "2027Q1", "2027Q2", "2027Q3"]
    money = plan.budget(year, reached, quarters)
    idle = money[money["category"] == "unallocated"]
    assert set(idle["territory"]) == {"UNALLOCATED"}
    assert idle["amount"].sum() == spent.unallocated and money["amount"].sum() == 200_000
    # The second wave spends nothing in the first quarter.
    early = money[(money["quarter"] == "2026Q4") & (money["category"] == "marketing")]
    assert early["amount"].sum() == early.loc[early["territory"] == "T2", "amount"].sum()
    twice = plan.budget(year, reached, [*quarters, "2027Q4", "2028Q1", "2028Q2", "2028Q3"])
    assert twice["amount"].sum() == 400_000
    half = plan.budget(year, reached, quarters[:2]).groupby("category")["amount"].sum()
    whole = year.groupby("category")["amount"].sum()
    assert half.to_dict() == {name: (x + 1) // 2 for name, x in whole.items()}
    ours = pd.Series("", index=facts.index)
    result = plan.area_results(facts, territory, ours, year, reached, market, asked())
    assert (result["result"] == result["now"] + result["new"] - result["cost"]).all()
    assert result["cost"].sum() == 200_000 - spent.unallocated
    rows = write_table(tmp_path, "plan/reach", reached)
    back = read_table(tmp_path, "plan/reach")
    assert back["spend"].sum() == paid and len(back) == len(rows)
    assert back["owner"].unique().tolist() == ["marketing"]


def test_a_curve_with_an_s_gets_nothing_or_what_its_tangent_asks():
    answer = {"channel": "phone", "zero": 0.3, "plus50": 1.25, "saturation": 1.8}
    market = world([PHONE, LETTER], (True,) * 6, judged=[answer | {"spend": 60.0, "leads": 4.0}])
    facts, territory = invented(market)
    # Each territory has half of the 60 a year; x* is 0.86 of that, rounded up to a whole step.
    tangent = response.tangent(1.142857, 1.677272) * 30
    for total in range(10, 200, 10):
        wanted = asked(float(total), contingency=0, round_to=1)
        cells = spending.split_budget(market, facts, territory, wanted).cells
        phone = cells[cells["channel"] == "phone"]
        paid = phone["amount"] / 100
        assert ((paid == 0) | (paid >= 0.99 * tangent)).all()
        assert ((cells["amount"] == 0) | (cells["amount"] >= cells["least"])).all()
        assert (cells["amount"] <= cells["most"]).all()
        assert phone["least"].div(100).tolist() == pytest.approx([tangent] * 2, abs=1)
        assert (paid.sum() > 0) == (total >= phone["least"].min() / 100)


AREAS = [{"area_id": "x", "industry": "bakery"}] * 3 + [{"area_id": "y", "industry": "bakery"}] * 3


def open_world(**fair):
    """Three bakeries known in each of two areas; there are 13 in the first."""
    market = line_market(
        [0.0] * 6,
        accounts=[a | {"consent_phone": True} for a in AREAS],
        channels=[PHONE, FAIR | {"fixed_cost": 0.0, "named": False, "category": "events"} | fair],
        market_structure=[
            {"area_id": "x", "industry": "bakery", "size_class": "small", "n_firms": 13.0},
            {"area_id": "y", "industry": "bakery", "size_class": "small", "n_firms": 2.0},
        ],
    )
    facts, territory = invented(market)
    more = {"industry": "bakery", "size_class": "small", "potential": 9.0}
    return market, facts.assign(**more, potential_low=9.0, potential_high=9.0), territory


def test_firms_without_a_name_are_reached_where_none_is_needed_and_where_they_are():
    market, facts, territory = open_world()
    cells = reach_customers(market, facts, territory, asked()).cells
    at = cells.set_index(["territory", "channel"])["outside"]
    # Ten bakeries of x are no accounts; three tenths of them could be won.
    assert at.to_dict() == {
        ("T1", "fair"): 3.0, ("T1", "phone"): 0.0, ("T2", "fair"): 0.0, ("T2", "phone"): 0.0,
    }  # fmt: skip
    spent = spending.split_budget(market, facts, territory, asked(5000.0))
    paid = spent.cells.set_index(["territory", "channel"])
    assert paid.loc[("T1", "fair"), "amount"] == 2 * paid.loc[("T2", "fair"), "amount"] == 36_000
    assert paid.loc[("T1", "fair"), "leads"] == pytest.approx(2 * paid.loc[("T2", "fair"), "leads"])
    assert paid.loc[("T1", "fair"), "contacts"] == 6
    areas = pd.DataFrame({"territory": ["T1", "T2"], "area_id": ["x", "y"], "decision": "attack"})
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": "VACANT"})
    reached = plan.reach(market, facts, territory, areas, spent, rep, asked())
    fair = reached[reached["channel"] == "fair"].set_index("area_id")
    assert fair["outside"].to_dict() == {"x": 3.0, "y": 0.0}
    sold = pd.DataFrame({"territory": ["T1", "T2"], "channel": "direct", "distributor_id": ""})
    year = plan.costs(market, facts, territory, [], sold, areas, spent, reached, asked())
    by = year.groupby("category")["amount"].sum()
    assert by["events"] == 54_000 and by["marketing"] == paid["amount"].sum() - 54_000


def test_managers_answers_are_used_where_there_is_no_history():
    answer = {"channel": "phone", "zero": 0.3, "plus50": 1.25, "saturation": 1.8}
    market = world([PHONE, LETTER], judged=[answer | {"spend": 60.0, "leads": 4.0}])
    facts, territory = invented(market)
    found = reach_customers(market, facts, territory, asked())
    assert found.channels.set_index("channel")["evidence"].to_dict() == {
        "letter": "mechanical",
        "phone": "judged",
    }
    phone = found.cells[found.cells["channel"] == "phone"]
    x = np.array([60.0, 0.0])  # all that is spent today, on all who can be phoned
    assert response.leads(phone, x) == pytest.approx([4 * 0.7, 0.0])
    market = world([PHONE, LETTER], judged=[answer])
    found = reach_customers(market, facts, territory, asked())
    assert found.channels["why"].tolist() == ["no_history", "no_level"]


def test_doubt_of_two_territories_alike_is_none():
    market = world([LETTER])
    facts, territory = invented(market)
    wanted = asked(30.0, contingency=0, round_to=1)
    spent = spending.split_budget(market, facts, territory, wanted)
    doubt = spending.doubt_of(spent, wanted)
    assert doubt.regret["regret"].max() == pytest.approx(0, abs=1e-9)
    assert set(doubt.regret["scenario"]) == {"half", "more", "proportional"}


def test_the_sample_is_contacted_with_consent_only(sample, sample_spent, tmp_path):
    market, (facts, territory, spent) = sample[0], sample_spent
    pairs = facts.assign(territory=facts["unit_id"].map(territory))
    areas = pairs[["territory", "area_id"]].drop_duplicates().assign(decision="grow")
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": "VACANT"})
    reached = plan.reach(market, facts, territory, areas, spent, rep, sample[1])
    write_table(tmp_path, "plan/reach", reached)
    back = read_table(tmp_path, "plan/reach")
    assert back["spend"].sum() == spent.cells["amount"].sum()
    raw = pd.read_csv(ROOT / "data/sample/accounts.csv", dtype=str).set_index("account_id")
    for channel in ("email", "phone"):
        yes = raw[f"consent_{channel}"].reindex(facts.index) == "true"
        can = yes.groupby([pairs["territory"], pairs["area_id"]]).sum()
        rows = back[back["channel"] == channel].set_index(["territory", "area_id"])
        most = can.reindex(rows.index).fillna(0) * market.channels.loc[channel, "max_contacts"]
        assert (rows["contacts"] <= most).all() and rows["contacts"].sum() > 0
        assert (rows["leads_low"] <= rows["leads"] + 1e-9).all()


# What the data gate and the reader are told -------------------------------------------------------


def folder_of(tmp_path, **tables_):
    (tmp_path / "accounts.csv").write_text(
        "account_id,lat,lon,revenue\nA,52,19,100\nB,52.1,19.1,0\n", encoding="utf-8"
    )
    for name, text in tables_.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    named = {name: f"{name}.csv" for name in ("accounts", *tables_)}
    return load_market(make_settings({"tables": named}), tmp_path)


HEAD = "channel,cost_per_contact,response_rate,consent_needed\n"


def test_a_channel_without_names_cannot_ask_for_consent(tmp_path):
    head = HEAD.strip() + ",named,category\n"
    with pytest.raises(DataError, match="x needs consent \\(email\\), which only a firm known"):
        folder_of(tmp_path, channels=head + "x,1,0.1,email,no,\n")
    with pytest.raises(DataError, match="category is marketing or events, not 'party'"):
        folder_of(tmp_path, channels=head + "x,1,0.1,none,no,party\n")
    market = folder_of(tmp_path, channels=head + "x,1,0.1,none,no,\ny,1,0.1,email,,Events\n")
    assert market.channels["named"].tolist() == [False, True]
    assert market.channels["category"].tolist() == ["marketing", "events"]


def test_words_for_consents_and_answers_are_checked_at_the_door(tmp_path):
    with pytest.raises(
        DataError, match="consent_needed is none, email, phone, sms, post, not 'fax'"
    ):
        folder_of(tmp_path, channels=HEAD + "x,1,0.1,fax\n")
    answers = "channel,zero,plus50,saturation\n"
    with pytest.raises(DataError, match="the answers for x make no curve"):
        folder_of(tmp_path, channels=HEAD + "x,1,0.1,none\n", judged=answers + "x,0.5,1.5,1.2\n")
    market = folder_of(
        tmp_path,
        channels=HEAD + "x,1,0.1,Email\n",
        judged=answers + "x,0.5,1.2,1.5\n",
        responses="month,channel,spend,leads\n2026-01-01,x,5,1\n2026-01-01,y,5,1\n",
    )
    assert market.channels["consent_needed"].tolist() == ["email"]
    assert market.responses["channel"].tolist() == ["x"]
    assert market.set_aside["responses"]["channel"].tolist() == ["y"]
    told = said(market)
    assert "its channel is not among the channels" in told["message"].tolist()


def run_of(market, folder, locale="en", wanted=None):
    return Run("x", folder, None, wanted or Settings(), market, Words(locale, "PLN"))


SAYS = [tell.reach, tell.consents, tell.responses, tell.budget, tell.next_zloty, tell.doubt]
SHOWS = [
    tables.reach_chart,
    tables.consent_chart,
    tables.response_chart,
    tables.budget_chart,
    tables.total_chart,
    tables.band_chart,
]


@pytest.mark.parametrize("locale", ["pl", "en"])
@pytest.mark.parametrize(
    ("channels", "total"), [((), None), ((), 500.0), ((LETTER,), None), ((PHONE, FAIR), 500.0)]
)
def test_little_data_gives_sentences_and_no_errors(locale, channels, total, tmp_path):
    given_ = {"channels": list(channels)} if channels else {}
    market = line_market([0.0, 0.0, 9e5, 8e5], **given_)
    wanted = make_settings({"budget": {"total": total}, "territories": {"count": 2}})
    run = run_of(market, tmp_path, locale, wanted)
    said = [str(say(run)) for say in [*SAYS, tell.area_results]]
    assert said[0] and said[-1]
    # What is missing is said once, however many sections want it.
    told = [sentence for sentence in said if sentence]
    assert len(set(told)) == len(told)
    for show in [*SHOWS, tables.result_chart]:
        show(run)


def test_texts_of_data_are_escaped_where_money_is_told(tmp_path):
    mail = LETTER | {"label_en": "<i>mail</i>", "label_pl": "x"}
    market = line_market([0.0, 0.0, 9e5, 8e5], channels=[mail])
    wanted = make_settings({"budget": {"total": 60}, "territories": {"count": 2}})
    run = run_of(market, tmp_path, "en", wanted)
    said = "".join(say(run) for say in SAYS)
    assert "<i>" not in said
    shown = json.dumps([show(run).to_json() for show in SHOWS if hasattr(show(run), "to_json")])
    assert "<i>mail" not in shown


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_firms_outside_the_list_are_told_of(locale, tmp_path):
    market, _, _ = open_world(label_en="Fair", label_pl="Targi")
    run = run_of(market, tmp_path, locale, make_settings({"territories": {"count": 2}}))
    told = tell.reach(run)
    assert ("Targi" if locale == "pl" else "Fair need no name") in told and "3" in told
    names = [str(bar.name) for bar in tables.reach_chart(run).data]
    assert names[1] == ("firmy spoza bazy" if locale == "pl" else "firms outside the base")
