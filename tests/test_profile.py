"""The customer base of an area, its next product and its paragraph."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib import plan
from terrlib.decisions.segments import find_segments
from terrlib.inputs.settings import Settings
from terrlib.measures import facts as measuring
from terrlib.measures.profile import area_profile, next_best_product
from terrlib.show.briefs import area_paragraph, segment_name, segment_statement
from terrlib.show.words import Words
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]
NO_BREAK = re.compile("[\u00a0\u202f]")


@pytest.fixture(scope="module")
def segments(sample):
    return find_segments(*sample)


@pytest.fixture(scope="module")
def facts(sample, segments):
    return measuring.account_facts(*sample, segments.label)


@pytest.fixture(scope="module")
def territory(sample):
    units = sample[0].units.index
    return pd.Series([f"T{i % 5:02d}" for i in range(len(units))], index=units)


def measured(market, segment=""):
    label = pd.Series(segment, index=market.accounts.index)
    return measuring.account_facts(market, Settings(), label)


def one_territory(market):
    return pd.Series("T01", index=market.units.index)


def sale(account, date, amount, line="paper"):
    return {"account_id": account, "date": date, "amount": amount, "product_line": line}


def test_thirty_accounts_without_a_history_have_honest_blanks():
    market = line_market([0.0] * 30)
    row = area_profile(market, measured(market), one_territory(market)).iloc[0]
    assert (row["n_customers"], row["n_prospects"], row["revenue"]) == (0, 30, 0.0)
    unknown = "growth_rate abc_a_share wallet_share p_win p_win_low p_win_high cycle_m"
    assert row[[*unknown.split(), "distributor_coverage"]].isna().all()
    assert (row[["top_needs", "top_lost_reasons", "top3_industries"]] == "").all()
    said = area_paragraph(Words("en", "PLN"), "T01", row)
    assert said.startswith("**T01** has 0 customers and 30 prospects. ")
    assert "Nothing is known of what they buy." in said
    assert next_best_product(market, measured(market))["product_line"].eq("").all()


def test_growth_compares_two_whole_years():
    old = [
        sale("A-a", f"{year}-{month:02d}-15", 100.0)
        for year in (2025, 2026)
        for month in range(1, 10)
    ]
    old += [sale("A-a", f"2024-{month}-15", 100.0) for month in (10, 11, 12)]
    old += [sale("A-a", f"2025-{month}-15", 150.0) for month in (10, 11, 12)]
    market = line_market([1350.0, 0.0], sales=old)
    row = area_profile(market, measured(market), one_territory(market)).iloc[0]
    assert row["growth_rate"] == pytest.approx(1350 / 1200 - 1)
    young = line_market([1350.0], sales=[r for r in old if r["date"] > "2025-01-01"])
    row = area_profile(young, measured(young), one_territory(young)).iloc[0]
    assert np.isnan(row["growth_rate"])


def test_a_line_that_the_segment_buys_is_what_the_one_without_it_lacks():
    names = [f"A-{a}" for a in "abcdefghijklmnopqrstuvwxyz"]
    rows = [sale(a, "2026-05-05", 10.0, "paper") for a in names]
    rows += [sale(a, "2026-06-05", 10.0, "tools") for a in names[1:]]
    market = line_market([10.0] * 26, sales=rows)
    table = measured(market, "S1")
    best = next_best_product(market, table)
    assert best.loc["A-a", "product_line"] == "tools"
    # 25 of 26 who buy paper buy tools, and so do 25 of 26 of all: paper tells nothing.
    assert best.loc["A-a", "lift"] == pytest.approx(1.0)
    assert best.loc["A-b":, "product_line"].eq("").all()
    assert best.loc["A-b":, "lift"].isna().all()
    needs = area_profile(market, table, pd.Series({u: u for u in market.units.index}))
    assert needs.set_index("territory")["top_needs"].to_dict()["a"] == "tools"
    assert needs["top_needs"].ne("").sum() == 1


def test_below_twenty_who_buy_both_no_lift_is_said_and_ties_go_by_name():
    rows = [sale("A-a", "2026-05-05", 1.0, "paper")]
    rows += [sale("A-b", "2026-05-05", 1.0, line) for line in ("paper", "tools", "glue")]
    market = line_market([1.0, 3.0, 0.0], sales=rows)
    best = next_best_product(market, measured(market, "S1"))
    assert best["product_line"].to_dict() == {"A-a": "glue", "A-b": "", "A-c": "paper"}
    assert best["lift"].isna().all()


def test_reasons_of_lost_deals_are_counted_where_they_are_given():
    deals = [
        {"opp_id": f"O{i}", "account_id": "A-a", "created_date": "2026-01-01",
         "close_date": "2026-03-01", "is_closed": True, "is_won": i == 3, "amount": 1.0}
        for i in range(4)
    ]  # fmt: skip
    market = line_market([1.0], opportunities=deals)
    reasons = market.opportunities.assign(lost_reason=["price", "delivery", "price", "price"])
    told = replace(market, opportunities=reasons)
    row = area_profile(told, measured(told), one_territory(told)).iloc[0]
    assert row["top_lost_reasons"] == "price 2|delivery 1"
    assert np.isnan(row["cycle_m"])
    assert row["p_win_low"] <= row["p_win"] <= row["p_win_high"]


def test_the_reach_of_partners_is_that_of_the_best_of_them():
    rows = [
        {"distributor_id": d, "area_id": "x", "coverage_rate": r}
        for d, r in (("D1", 0.2), ("D2", 0.6))
    ]
    places = [{"area_id": "x"}, {"area_id": "x"}, {"area_id": "y"}]
    market = line_market([1.0, 1.0, 1.0], accounts=places, distributor_areas=rows)
    row = area_profile(market, measured(market), one_territory(market)).iloc[0]
    assert row["distributor_coverage"] == pytest.approx(0.4)
    by_area = area_profile(
        market, measured(market), one_territory(market), ["territory", "area_id"]
    )
    assert by_area.set_index("area_id")["distributor_coverage"].to_dict() == {"x": 0.6, "y": 0.0}


def test_consents_that_nobody_knows_are_no_share_of_zero():
    said_no, unknown = (
        line_market([1.0, 1.0], accounts=[{"consents_known": known}] * 2) for known in (True, False)
    )
    for market, known in ((said_no, True), (unknown, False)):
        row = area_profile(market, measured(market), one_territory(market)).iloc[0]
        text = area_paragraph(Words("en", "PLN"), "T", row)
        assert ("0% may be sent e-mail" in text) is known
        assert ("not known" in text) is not known
        assert not market.accounts["consent_email"].any()


def test_areas_add_up_to_territories_and_the_plan_to_the_penny(sample, facts, territory):
    market, _ = sample
    whole = area_profile(market, facts, territory).set_index("territory")
    parts = area_profile(market, facts, territory, ["territory", "area_id"])
    for column in ("n_customers", "n_prospects", "revenue", "potential", "white_space"):
        assert parts.groupby("territory")[column].sum().to_numpy() == pytest.approx(
            whole[column].to_numpy()
        )
    base = plan.customer_base(market, facts, territory)
    assert base.columns.tolist() == list(plan.COLUMNS["plan/customers"])
    assert (base["potential"] == base["revenue"] + base["white_space"]).all()
    for share in ("wallet_share", "consent_email_rate", "distributor_coverage", "p_win"):
        assert base[share].dropna().between(0, 1).all()
    assert (whole["p_win_low"] <= whole["p_win"]).all()
    assert (whole["p_win"] <= whole["p_win_high"]).all()


def test_shuffling_changes_nothing_and_money_only_money(sample, facts, territory):
    market, _ = sample
    shuffled = replace(market, sales=market.sales.sample(frac=1, random_state=2))
    one = area_profile(market, facts, territory)
    pd.testing.assert_frame_equal(
        one, area_profile(shuffled, facts.sample(frac=1, random_state=2), territory)
    )
    dear = replace(market, sales=market.sales.assign(amount=market.sales["amount"] * 8))
    money = ["revenue", "potential", "white_space"]
    eight = facts.assign(**{c: facts[c] * 8 for c in money})
    other = area_profile(dear, eight, territory)
    pd.testing.assert_frame_equal(other.drop(columns=money), one.drop(columns=money))
    best = next_best_product(market, facts)
    again = next_best_product(shuffled, facts.sample(frac=1, random_state=5)).loc[best.index]
    pd.testing.assert_frame_equal(best, again)


def numbers(text, locale):
    """Every number of a paragraph with half a unit of its last digit; names are taken out before."""
    text = NO_BREAK.sub(" ", text)
    scale = {"%": 0.01, "k": 1e3, "tys.": 1e3, "M": 1e6, "mln": 1e6}
    point = "," if locale == "pl" else "."
    group = " " if locale == "pl" else ","
    whole = rf"(\d{{1,3}}(?:{re.escape(group)}\d{{3}})+|\d+)(?:{re.escape(point)}(\d+))?"
    pattern = whole + r"\s?(%|tys\.|mln|k\b|M\b)?"
    for whole, digits, unit in re.findall(pattern, text):
        value = float(whole.replace(group, "") + "." + (digits or "0"))
        factor = scale.get(unit, 1.0)
        yield value * factor, 0.5000001 * 10 ** -len(digits) * factor


@pytest.mark.parametrize("locale", ["pl", "en"])
@pytest.mark.parametrize("by", [["territory"], ["territory", "area_id"]])
def test_every_number_of_a_paragraph_is_in_its_row(sample, facts, territory, locale, by):
    market, _ = sample
    table = area_profile(market, facts, territory, by)
    for _, row in table.head(60).iterrows():
        said = area_paragraph(Words(locale, "PLN"), "X", row)
        known = [abs(float(v)) for v in row.to_numpy() if isinstance(v, (int, float, np.number))]
        known += [float(n) for n in re.findall(r" (\d+)(?:\||$)", row["top3_industries"])]
        found = list(numbers(said, locale))
        assert len(found) >= 4
        for value, near in found:
            assert any(abs(value - number) <= near for number in known), (value, said)


def test_polish_and_english_say_the_same_numbers(sample, facts, territory):
    market, _ = sample
    for _, row in area_profile(market, facts, territory).iterrows():
        polish, english = (
            sorted(n for n, _ in numbers(area_paragraph(Words(x, "PLN"), "X", row), x))
            for x in ("pl", "en")
        )
        assert polish == pytest.approx(english)


def test_names_of_places_and_lines_are_data():
    row = {
        "n_customers": 1,
        "n_prospects": 0,
        "revenue": 0.0,
        "potential": 0.0,
        "top_needs": "a<b|*c",
    }
    said = area_paragraph(Words("en", "PLN"), "T_1", row)
    assert r"**T\_1**" in said
    assert r"a&lt;b, \*c" in said


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_segments_are_named_by_what_they_are(segments, locale):
    words = Words(locale, "PLN")
    names = [segment_name(words, s, row) for s, row in segments.profile.iterrows()]
    assert len(set(names)) == len(names)
    assert names[0].startswith("S1: ")
    assert all("_" not in name and "trait" not in name for name in names)
    assert "3" in segment_statement(words, segments)


def test_no_segments_are_said_in_plain_words():
    found = find_segments(line_market([0.0] * 30), Settings())
    said = segment_statement(Words("en", "PLN"), found)
    assert said.startswith("Natural segments **were not looked for**")  # nobody buys
    from dataclasses import replace

    tried = replace(found, selection=pd.DataFrame({"k": [1, 2]}))
    assert segment_statement(Words("en", "PLN"), tried).startswith("**No natural segments were")
    assert segment_name(Words("pl", "PLN"), "*/*/*", found.profile.iloc[0]) == "wszyscy pozostali"
