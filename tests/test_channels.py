"""Rep or partner: the golden break-even, contracts and capacity by hand, all ways tried on few."""

import itertools
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from terrlib.decisions.channels import _best, _Case, _flips, break_even, choose_channels
from terrlib.inputs.settings import Settings
from terrlib.measures import facts as measuring
from tests.worlds import line_market

PARTNER = {
    "distributor_id": "D1", "name": "Hurt", "discount_rate": 0.10, "push_factor": 1.0,
    "support_cost_year": 100.0, "annual_capacity": np.inf,
}  # fmt: skip


def market_of(revenue, partners, must_direct=False, **given):
    names = list("abcdef"[: len(revenue)])
    market = line_market(
        revenue,
        accounts=[{"area_id": n} for n in names],
        distributors=partners,
        distributor_areas=[
            {"distributor_id": p["distributor_id"], "area_id": n, "coverage_rate": 1.0}
            for p in partners
            for n in names
        ],
        **given,
    )
    areas = gpd.GeoDataFrame(
        {"name": names, "region": "", "lat": 52.0, "lon": 19.0, "must_direct": must_direct},
        index=pd.Index(names, name="area_id"),
        geometry=[box(i, 0, i + 1, 1) for i in range(len(names))],
        crs=4326,
    )
    return type(market)(**{**vars(market), "areas": areas})


def chosen(market):
    facts = measuring.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))
    names = sorted(market.units.index)
    territory = pd.Series([f"T{n}" for n in names], index=names)
    rep = pd.DataFrame({"territory": territory.to_numpy(), "rep_id": "VACANT"})
    return choose_channels(market, facts, territory, rep, Settings()).set_index("territory"), facts


def test_contributions_are_what_the_formula_says():
    market = market_of([10_000.0], [PARTNER])
    found, facts = chosen(market)
    row, a = found.loc["Ta"], facts.iloc[0]
    sales = a["revenue"] + a["ev"] / 0.35
    hour = 180_000 / 1212
    own_cost = a["workload_h"] * hour + a["travel_km"] * 1.15
    assert a["travel_km"] == pytest.approx(0, abs=1e-9)  # no home is given, and no other account
    assert row["direct"] == pytest.approx(0.32 * sales - own_cost)
    assert row["indirect"] == pytest.approx(0.25 * sales - 100)
    even = break_even(0.35, 0.03, 0.10, 1.0, own_cost, 100.0)
    assert row["breakeven"] == pytest.approx(even)
    # 0.07 of each sale is worth the hours: far above 10,000, so the partner sells.
    assert row["channel"] == "indirect" and row["reason"] == "indirect_pays_more"
    assert row["safety"] == pytest.approx(abs(sales - even) / sales)


HELD = [{"account_id": "A-a", "territory": "Ta", "rep_id": "R1"}]


@pytest.mark.parametrize("given", [{}, {"assignments": HELD}])
@pytest.mark.parametrize("support", [100.0, 4_000.0, 9_000.0])
def test_what_turns_the_choice_turns_it(given, support):
    """A little on this side of it the rep sells, a little beyond the partner; hysteresis counted."""
    partner = PARTNER | {"support_cost_year": support}
    row = chosen(market_of([100_000.0], [partner], **given))[0].loc["Ta"]
    change = {"discount": "discount_rate", "reach": "push_factor"}
    assert row["flips_by"] in change
    worse = 1.001 if row["flips_by"] == "discount" else 0.999
    for side, channel in ((worse, "direct"), (1 / worse, "indirect")):
        turned = partner | {change[row["flips_by"]]: row["flips_at"] * side}
        found = chosen(market_of([100_000.0], [turned], **given))[0].loc["Ta"]
        assert (found["channel"] == channel) or found["hybrid"] > found["indirect"]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1e4, 1e6), st.floats(0, 3e5), st.floats(0, 1e5), st.floats(0.05, 0.3),
    st.floats(0.2, 1.0), st.floats(-5e4, 1e5), st.sampled_from([0.0, 0.15]),
)  # fmt: skip
def test_at_the_turning_point_both_ways_are_worth_the_same(
    taken, cost, support, discount, reach, kept, needed
):
    case = _Case("D1", "hybrid", 0.0, 0.0, reach, support, discount, taken, cost, kept)
    key, at = _flips(case, needed, Settings())
    if not key:
        return
    case = replace(case, **{{"sales": "taken"}.get(key, key): at})
    own = kept + 0.32 * case.taken - cost
    partner = kept + (0.35 - case.discount) * case.taken * case.reach - support
    scale = max(abs(own), abs(partner), support, cost)
    assert abs(partner - own) == pytest.approx(
        needed * max(abs(own), abs(partner)), abs=1e-6 * scale
    )


def test_a_contract_that_has_ended_offers_nothing():
    ended = PARTNER | {"contract_end": "2026-09-30"}
    runs = PARTNER | {"contract_end": "2026-10-01"}
    assert chosen(market_of([10_000.0], [ended]))[0]["channel"].tolist() == ["direct"]
    assert chosen(market_of([10_000.0], [runs]))[0]["channel"].tolist() == ["indirect"]


def test_a_strategic_area_stays_direct():
    found = chosen(market_of([10_000.0], [PARTNER], must_direct=True))[0]
    assert found.loc["Ta", "reason"] == "must_be_direct" and found.loc["Ta", "channel"] == "direct"


def test_where_reps_sell_today_a_change_must_pay_enough():
    facts = chosen(market_of([10_000.0], [PARTNER]))[1].iloc[0]
    sales = facts["revenue"] + facts["ev"] / 0.35
    direct = 0.32 * sales - facts["workload_h"] * 180_000 / 1212
    support = 0.25 * sales - (direct + 0.05 * abs(direct))  # five per cent better than our own
    partner = PARTNER | {"support_cost_year": support}
    assert chosen(market_of([10_000.0], [partner]))[0]["channel"].tolist() == ["indirect"]
    held = [{"account_id": "A-a", "territory": "Ta", "rep_id": "R1"}]
    row = chosen(market_of([10_000.0], [partner], assignments=held))[0].loc["Ta"]
    assert row["channel"] == "direct" and row["reason"] == "within_hysteresis"


def test_a_full_partner_takes_what_gains_most():
    market = market_of([10_000.0, 9_000.0], [PARTNER | {"annual_capacity": 12_000.0}])
    found = chosen(market)[0]
    assert sorted(found["channel"]) != ["indirect", "indirect"]
    assert "partner_is_full" in set(found["reason"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_together_nothing_gains_more(data):
    names, partners = ["T1", "T2", "T3"], ["D1", "D2"]
    offers = [
        (t, _Case(p, "indirect", 0.0, data.draw(st.integers(1, 9)) * 1e6, 1.0, 0.0, 0.1),
         float(data.draw(st.integers(1, 20))))
        for t in names
        for p in partners
    ]  # fmt: skip
    room = {p: data.draw(st.integers(1, 15)) * 1e6 for p in partners}
    taken = _best(offers, room)
    value = {(t, c.partner): g for t, c, g in offers}
    sales = {(t, c.partner): c.sales for t, c, _ in offers}

    def worth(way):
        load = {
            p: sum(sales[(t, p)] for t, q in zip(names, way, strict=True) if q == p)
            for p in partners
        }
        if any(load[p] > room[p] for p in partners):
            return -1.0
        return sum(value[(t, p)] for t, p in zip(names, way, strict=True) if p)

    best = max(worth(way) for way in itertools.product([None, *partners], repeat=3))
    assert worth([taken[t].partner if t in taken else None for t in names]) == pytest.approx(best)
