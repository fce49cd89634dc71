"""What notebook 01 answers: on 30 firms that tell nothing, on worlds in the head, on the sample."""

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from terrlib import steps, tables, tell
from terrlib.inputs.settings import Settings
from terrlib.measures import facts as measuring
from terrlib.runs import Run
from terrlib.show.words import Words, texts
from tests.test_winning import deal
from tests.worlds import line_market

CHARTS = [
    tables.pareto_chart,
    tables.nine_fields_chart,
    tables.rhythm_chart,
    tables.segment_chart,
    tables.win_rate_chart,
    tables.cycle_chart,
    tables.ideal_chart,
    tables.white_space_chart,
    tables.white_space_map,
    tables.concentration_table,
    tables.concentration_tables,
    tables.deal_tables,
]
ANSWERS = [
    tell.concentration,
    tell.nine_fields,
    tell.rhythm,
    tell.segments,
    tell.win_rate,
    tell.ideal_customer,
    tell.white_space,
]


def run_of(folder, market, locale="en", settings=None):
    return Run("x", folder, None, settings or Settings(), market, Words(locale, "PLN"))


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_thirty_firms_and_nothing_else_say_what_cannot_be_known(tmp_path, locale):
    run = run_of(tmp_path, line_market([0.0] * 30), locale)
    assert [chart(run) for chart in CHARTS] == [""] * len(CHARTS)
    said = [answer(run) for answer in ANSWERS]
    assert all(said) and len(set(map(str, said))) >= 5
    assert "20%" in tell.win_rate(run) and "20%" in tell.ideal_customer(run)


@pytest.mark.parametrize(("locale", "unknown"), [("pl", "nie wiadomo"), ("en", "not known")])
def test_what_nobody_told_is_not_known_and_not_nothing(tmp_path, locale, unknown):
    run = run_of(tmp_path, line_market([0.0] * 30), locale)
    assert tables.customer_numbers(run).count(unknown) == 3
    assert not re.search(r"\b0\b.(PLN|zł)", tables.customer_numbers(run))
    rich = run_of(tmp_path, line_market([5.0, 0.0]), locale)
    assert unknown not in tables.customer_numbers(rich)


def test_deals_open_for_a_year_are_named_stale_with_what_is_known_of_them(tmp_path):
    old = [deal(f"O{i}", "2025-08-01", amount=50.0) for i in range(3)]
    ended = [
        deal(f"E{i}", "2024-01-01", f"2025-02-{10 + i}", won=i < 1, account="A-b") for i in range(4)
    ]
    said = tell.win_rate(run_of(tmp_path, line_market([1.0, 1.0], opportunities=[*old, *ended])))
    assert "open for 12 months or more: **3** of them, worth 150 PLN" in said
    assert "ended so late: 4, of them won: 1" in said
    quick = [deal(f"E{i}", "2026-01-01", "2026-02-01", won=i < 1) for i in range(4)]
    market = line_market([1.0], opportunities=[*old, *quick])
    assert "No deal has ended so late yet" in tell.win_rate(run_of(tmp_path, market))
    young = line_market([1.0], opportunities=[deal("N", "2026-08-01"), *quick])
    assert "stale" not in tell.win_rate(run_of(tmp_path, young))


def test_what_a_win_is_taken_to_be_worth_is_said_where_no_win_tells(tmp_path):
    potential = [{"potential": 100.0}, {"potential": 80.0}]
    run = run_of(tmp_path, line_market([25.0, 0.0], accounts=potential))
    assert "today's customers buy of their potential (25%)" in tell.ideal_customer(run)
    facts = steps.account_facts(run)
    assert facts["value"].tolist() == [0.25 * 75, 0.25 * 80]
    nobody = run_of(tmp_path, line_market([0.0, 0.0], accounts=potential))
    assert "the most there can be" in tell.ideal_customer(nobody)


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_thirty_customers_without_a_history_are_compared_by_what_they_buy(tmp_path, locale):
    run = run_of(tmp_path, line_market([float(9 + i) for i in range(30)]), locale)
    assert isinstance(tables.pareto_chart(run), go.Figure)
    assert tables.rhythm_chart(run) == tables.win_rate_chart(run) == tables.ideal_chart(run) == ""
    assert all(answer(run) for answer in ANSWERS)


def bought(account, *days, amount=10.0):
    return [{"account_id": account, "date": day, "amount": amount} for day in days]


def test_who_is_late_is_said_with_the_money_they_bought_for(tmp_path):
    monthly = [f"2026-{month:02d}-15" for month in range(1, 10)]
    sales = [*bought("A-a", *monthly), *bought("A-b", *monthly[:5])]
    run = run_of(tmp_path, line_market([90.0, 50.0, 0.0], sales=sales))
    said = tell.rhythm(run)  # b last bought 138 days ago and used to buy every 30.4: 4.5 times
    assert "**1** (of 2 whose rhythm is known)" in said and "**50 PLN**" in said
    assert "more than 2.5 times" in said and "first on the list: Account b" in said


def test_firms_that_could_buy_much_and_buy_little_are_counted(tmp_path):
    told = [{"potential": p} for p in (100.0, 90.0, 5.0)]
    run = run_of(tmp_path, line_market([95.0, 0.0, 5.0], accounts=told))
    said = tell.nine_fields(run)  # only b: nothing bought, 90 possible; a has 5 of 95 left
    assert "**1** (first on the list: Account b)" in said and "**90 PLN**" in said and "95%" in said


def test_one_customer_too_large_is_named(tmp_path):
    run = run_of(tmp_path, line_market([80.0, 20.0]))
    assert "One customer (Account a) holds more than 10%" in tell.concentration(run)
    even = run_of(tmp_path, line_market([1.0] * 11))
    assert "One customer" not in tell.concentration(even)


def test_segments_keep_the_names_that_the_present_assignment_holds(sample, tmp_path):
    from dataclasses import replace

    market, asked = sample
    found = steps.find_segments(run_of(tmp_path, market, settings=asked))
    other = found.label.map({"S1": "S7", "S2": "S5", "S3": "S6"})
    held = market.assignments.assign(segment=market.assignments["account_id"].map(other))
    again = steps.find_segments(run_of(tmp_path, replace(market, assignments=held), settings=asked))
    assert (again.label == other).all()


def test_chances_do_not_know_the_segments(sample):
    market, asked = sample
    rng = np.random.default_rng(3)
    label = pd.Series(rng.choice(["S1", "S2"], len(market.accounts)), market.accounts.index)
    one = measuring.account_facts(market, asked, label)
    none = measuring.account_facts(market, asked, pd.Series("", index=label.index))
    chances = ["p_win", "p_win_low", "p_win_high", "p_opp"]
    pd.testing.assert_frame_equal(one[chances], none[chances])


def test_the_answers_of_the_sample_have_a_figure_and_a_sentence_each(sample, tmp_path):
    market, asked = sample
    for locale in ("pl", "en"):
        run = run_of(tmp_path, market, locale, asked)
        assert all(not isinstance(chart(run), str) or chart(run) for chart in CHARTS)
        assert all(answer(run) for answer in ANSWERS)
    calibrated = tables.ideal_chart(run)
    assert calibrated.layout.xaxis2.title.text  # a model was tried: its test is shown
    assert {trace.name for trace in tables.segment_chart(run).data} == set(
        tables.segment_names(run).values()
    )


GROUPS = [
    "concentration",
    "win_rate",
    "white_space",
    "potential",
    "nine",
    "rhythm",
    "ideal",
    "profile",
    "briefs",
    "quality",
]
NOUNS = {locale: {k[5:] for k in texts(locale) if k.startswith("noun.")} for locale in ("pl", "en")}
FREE = {  # what may follow a bare number, whatever it is
    "en": {"of", "whose", "times", "to", "and", "for", "likely", "were", "in"},
    "pl": {"z", "i", "od", "do"},
}
# Verbs that one and many have differently, and so may not follow a counted noun.
VERBS = {"en": "are|is|were|was|have|has|hold|holds|count|counts", "pl": "jest|są|ma|mają|znaczy"}


def sentences(locale, n):
    """Every sentence of these groups with each number n, and money and shares that are words."""
    words = Words(locale, "PLN")
    for key, text in texts(locale).items():
        if key.split(".")[0] not in GROUPS:
            continue
        values = {
            name: n if kind in NOUNS[locale] or kind in {"number", "short", "money0", "money"}
            else 0.5 if kind
            else "Xx"
            for name, kind in re.findall(r"{([a-z0-9_]+):?([a-z0-9]*)}", str(text))
        }  # fmt: skip
        yield key, str(text), str(words.say(key, **values))


@pytest.mark.parametrize("locale", ["pl", "en"])
@pytest.mark.parametrize("n", [1, 2, 5, 22])
def test_numbers_and_words_agree_in_every_sentence(locale, n):
    said = list(sentences(locale, n))
    assert len(said) > 50
    for key, text, written in said:
        if locale == "en":
            found = re.search(
                rf"(?<![\d.,])1 (?!times\b)[a-z]+s\b|(?<![\d.,])1 ({VERBS['en']})", written
            )
            assert n > 1 or not found, (key, written)
            assert n == 1 or not re.search(
                rf"(?<!\d){n} (deal|customer|account|month) ", written
            ), key
        # A bare number has no noun after it that would have to agree; a noun agrees by itself.
        for after in re.findall(r"{[a-z0-9_]+:number}\** ([^\W\d]+)", text):
            assert after in FREE[locale], (key, after)
        nouns = "|".join(NOUNS[locale])
        assert not re.search(rf":({nouns})}}\**\)? ({VERBS[locale]})\b", text), (key, text)


def test_counted_nouns_have_the_forms_of_their_language():
    pl, en = Words("pl", "PLN"), Words("en", "PLN")
    assert [pl.write(n, "deal") for n in (1, 2, 5, 22)] == [
        "1 otwarta szansa", "2 otwarte szanse", "5 otwartych szans", "22 otwarte szanse",
    ]  # fmt: skip
    assert [pl.write(n, "month") for n in (1, 2, 5, 22, 2.5)] == [
        "1 miesiąc", "2 miesiące", "5 miesięcy", "22 miesiące", "2,5 miesiąca",
    ]  # fmt: skip
    assert [pl.write(n, "times") for n in (1, 2, 5, 1.5)] == [
        "1 raz",
        "2 razy",
        "5 razy",
        "1,5 raza",
    ]
    assert [en.write(n, "deal") for n in (1, 2)] == ["1 open deal", "2 open deals"]
    assert "leaves out 1 open deal," in en.say("win_rate.naive", naive=0.2, open=1)


def test_firms_where_nobody_is_an_account_are_told_all_the_same(tmp_path):
    kind = {"industry": "mill", "size_class": "small"}
    there = [{"area_id": area, "n_firms": n} | kind for area, n in (("", 1), ("Q", 10))]
    told = [{"potential": 100.0, "industry": "mill", "employees": 20.0}]
    run = run_of(tmp_path, line_market([40.0], accounts=told, market_structure=there))
    rows = steps.white_space(run).set_index("name")
    # One of the firms in the first area is ours; ten beyond, 100 each, three in ten accessible.
    assert rows["n_outside"].to_dict() == {"a": 0, "Q": 10}
    assert rows["outside"].to_dict() == {"a": 0, "Q": 300}
    assert "300 PLN" in tell.white_space(run) and "10 accounts" in tell.white_space(run)


def honest(run):
    """Every answer of notebook 01 as text, none of it empty or broken."""
    said = [str(answer(run)) for answer in ANSWERS]
    assert all(said)
    assert not re.search(r"\b(nan|None|inf|NaN)\b|{|}", " ".join(said)), said
    for chart in CHARTS:
        assert "nan" not in str(getattr(chart(run), "layout", chart(run))).lower().split()
    return " ".join(said)


def deals_of(n, won, open_=0, account="A-a"):
    """Deals of one account: the first ones won, then lost, the last ones open."""
    day = pd.date_range("2025-01-01", periods=n, freq="10D")
    ends = ["2026-09-01" if i < n - open_ else None for i in range(n)]
    return [
        deal(f"{account}{i:03d}", d, end, won=i < won, account=account, stage="")
        for i, (d, end) in enumerate(zip(day, ends, strict=True))
    ]


@pytest.mark.parametrize("locale", ["pl", "en"])
@pytest.mark.parametrize("revenue", [0.0, 9.0])
def test_thirty_accounts_and_no_history_promise_nothing(tmp_path, locale, revenue):
    run = run_of(tmp_path, line_market([revenue] * 30), locale)
    assert str(run.words.say("headline.no_forecast")) in honest(run)
    facts = steps.account_facts(run)
    # What is bought today stands for the wallet, so nothing more is promised of anybody.
    assert facts["ev"].eq(0).all() and facts["p_opp"].eq(0.1).all()
    assert tables.deal_tables(run) == "" and (revenue > 0) == bool(tables.concentration_tables(run))


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_a_world_without_segments_says_so_and_shows_the_whole_only(tmp_path, locale):
    rng = np.random.default_rng(7)
    rows = [{"employees": float(e)} for e in np.exp(rng.normal(3, 1, 150)).round() + 1]
    market = line_market(
        np.exp(rng.normal(10, 1, 150)).tolist(), accounts=rows, opportunities=deals_of(60, 20, 10)
    )
    run = run_of(tmp_path, market, locale)
    said = honest(run)
    assert steps.find_segments(run).mode == "rules"
    assert str(run.words.say("briefs.rules", n=1, smallest=1))[:30] in said
    assert tables.deal_tables(run).count("<table") == 2
    assert "10" in tell.win_rate(run)


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_a_world_without_lost_deals_tells_no_win_rate(tmp_path, locale):
    wins = [d for a in "abcdefghijklmno" for d in deals_of(4, 3, 1, f"A-{a}")]
    rows = [{"employees": 20.0, "industry": "mill" if i % 2 else "inn"} for i in range(40)]
    market = line_market([9.0] * 15 + [0.0] * 25, accounts=rows, opportunities=wins)
    run = run_of(tmp_path, market, locale)
    said = honest(run)
    assert steps.no_losses(run) and str(run.words.say("win_rate.no_lost", won=45)) in said
    assert tables.win_rate_chart(run) == tables.cycle_chart(run) == tables.deal_tables(run) == ""
    # The assumption of the settings stands for a rate that cannot be known, and 100% is never told.
    assert steps.account_facts(run)["p_win"].eq(0.2).all() and "100%" not in tell.win_rate(run)


def test_one_open_deal_and_nothing_closed_is_told_as_it_is(tmp_path):
    run = run_of(tmp_path, line_market([5.0, 0.0], opportunities=deals_of(1, 0, 1)))
    said = honest(run)
    assert "no history of deals" in said
    assert tables.win_rate_chart(run) == tables.cycle_chart(run) == ""
    assert "<table" in tables.deal_tables(
        run
    )  # the deal is there, and nobody counts it as won or lost
