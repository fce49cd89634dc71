"""The ideal customer: by hand, against what was planted, and no word that was not tested."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib.inputs.settings import Settings
from terrlib.measures import ideal, winning
from tests.test_winning import deal
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def found(sample, truth):
    """Scores of the sample with the planted segments, which were there before any deal."""
    return ideal.ideal_customers(*sample, truth["segment"])


def clear_market(n=1200, months=36, column="industry"):
    """Bakeries buy nine times in ten, garages once in ten; every deal is decided in two months."""
    rows = [{column: "bakery" if i % 2 else "garage"} for i in range(40)]
    market = line_market([0.0] * 40, accounts=rows)
    rng = np.random.default_rng(4)
    firm = rng.integers(40, size=n)
    began = pd.Timestamp("2023-10-01") + pd.to_timedelta(
        np.sort(rng.integers(30 * months - 70, size=n)), unit="D"
    )
    won = rng.random(n) < np.where(firm % 2, 0.9, 0.1)
    table = pd.DataFrame(
        {
            "account_id": market.accounts.index[firm],
            "created_date": began,
            "close_date": began + pd.Timedelta(days=60),
            "is_closed": True,
            "is_won": won,
            "amount": np.where(firm % 2, 500.0, 2000.0),
            "stage": "",
            "type": "",
            "lead_source": rng.choice(["fair", "phone"], n),
            "rep_id": rng.choice(["R1", "R2"], n),
        },
        index=pd.Index([f"O{i:04d}" for i in range(n)], name="opp_id"),
    )
    return replace(market, opportunities=table)


def test_few_deals_are_drawn_to_the_whole_as_far_as_they_are_few():
    rates = [ideal.shrunken_rate(w, n, 0.25, 20) for w, n in ((0, 3), (2, 10), (9, 20), (40, 120))]
    assert np.round(rates, 3).tolist() == [0.217, 0.233, 0.350, 0.321]


def test_a_plain_signal_that_cells_cannot_see_is_found_and_trusted():
    market = clear_market(column="region")
    found = ideal.ideal_customers(market, Settings())
    assert found.kind in {"logistic", "boosting"} and found.reason == "tested"
    p = found.score["p_win"].groupby(market.accounts["region"]).mean()
    assert p["bakery"] == pytest.approx(0.9, abs=0.06)
    assert p["garage"] == pytest.approx(0.1, abs=0.06)
    value = found.score["value"].groupby(market.accounts["region"]).mean()
    assert value.to_dict() == pytest.approx({"bakery": 500, "garage": 2000}, rel=0.05)
    card = found.levels.set_index(["feature", "level"])
    assert card.loc[("region", "bakery"), "ideal"] and not card.loc[("region", "garage"), "ideal"]
    assert card.loc[("region", "bakery"), "median_cycle_m"] == pytest.approx(60 / 30.4375)


def test_chance_without_a_cause_may_not_speak():
    market = clear_market()
    rng = np.random.default_rng(2)
    coin = market.opportunities.assign(is_won=rng.random(len(market.opportunities)) < 0.3)
    found = ideal.ideal_customers(replace(market, opportunities=coin), Settings())
    assert found.kind == "cells" and found.reason in {"no_skill", "bad_slope", "no_better"}
    assert found.score["p_win"].between(0.2, 0.4).all()


def test_scores_that_are_all_alike_have_no_slope_and_no_skill():
    # The mean of sixty times 0.3 is not quite 0.3, so they seem to differ by the last bit.
    p, won = np.full(60, 0.3), np.arange(60) % 2 * 1.0
    assert p.std() > 0
    found, table = ideal._tested(p, won)
    assert np.isnan(found["slope"]) and not found["brier_skill"] > 0
    assert found["brier"] == pytest.approx(0.29)
    assert table["n"].sum() == 60


def test_the_sample_is_scored_better_than_by_its_base_rate(found, sample, truth):
    assert found.metrics["brier_skill"] > 0
    assert found.metrics["auc"] > 0.55
    true = truth["p_win"].reindex(found.score.index)
    assert found.score["p_win"].corr(true) > 0.6
    assert (found.score["p_win"] - true).abs().mean() < 0.08
    # planted from best to worst: drobni, stali, kluczowi
    p = found.score["p_win"].groupby(truth["segment"]).mean()
    assert p["drobni"] > p["stali"] > p["kluczowi"]
    card = found.levels[found.levels["feature"] == "segment"].set_index("level")
    assert card["ideal"].to_dict() == {"drobni": True, "kluczowi": False, "stali": False}
    assert (card["n"].sum(), card["won"].sum()) == (2366, 540)


def test_every_bin_of_the_test_is_counted_and_scores_are_whole(found, sample):
    market, asked = sample
    assert found.calibration["n"].sum() == found.metrics["n_test"]
    assert (
        found.calibration["observed"]
        .between(found.calibration["low"], found.calibration["high"])
        .all()
    )
    score = found.score
    assert score.index.tolist() == sorted(market.accounts.index)
    assert (
        score["p_win_low"].le(score["p_win"]).all() and score["p_win"].le(score["p_win_high"]).all()
    )
    assert score["p_win_low"].ge(0).all() and score["p_win_high"].le(1).all()
    ev = score["p_win"] * score["value"] * asked.workload.margin
    assert np.allclose(score["icp_ev"], ev)


def test_scores_are_anchored_to_the_win_rate_with_open_deals(found, sample, truth):
    """Closed deals alone say 23%; the deals of the sample are won in 29%."""
    market, asked = sample
    mine = market.opportunities["account_id"].map(found.score["p_win"]).mean()
    whole = winning.win_rates(market, truth["segment"], asked).iloc[0]
    assert abs(mine - whole["p_win"]) < 0.03
    assert abs(mine - whole["naive"]) > 0.04


KNOWN_OF_A_DEAL = {"account_id", "created_date", "type", "lead_source"}
ITS_END = {"is_closed", "is_won", "close_date"}
KNOWN_OF_AN_ACCOUNT = {"industry", "region", "employees", "lat", "lon", "customer_since"}


def shuffled(table, keep, rng):
    """The table with every column permuted but those to keep."""
    free = table.columns.difference(list(keep))
    return table.assign(**{c: rng.permutation(table[c].to_numpy()) for c in free})


def test_nothing_born_after_a_deal_changes_its_chance(found, sample, truth):
    """Every column but those named above is permuted, whatever it is called."""
    market, asked = sample
    rng = np.random.default_rng(9)
    table = shuffled(market.opportunities, KNOWN_OF_A_DEAL | ITS_END, rng)
    still = ~table["is_closed"].to_numpy()
    hoped = table["close_date"].to_numpy().copy()
    hoped[still] = rng.permutation(hoped[still])
    table["close_date"] = hoped
    bought = market.sales["amount"] > 0
    sales = shuffled(market.sales[bought], {"account_id", "date"}, rng)
    after = replace(
        market,
        opportunities=table,
        accounts=shuffled(market.accounts, KNOWN_OF_AN_ACCOUNT, rng),
        sales=pd.concat([sales, market.sales[~bought]]),
        assignments=shuffled(market.assignments, set(), rng),
    )
    moved = (after.accounts != market.accounts).any()
    assert {"revenue", "potential", "status"} <= set(moved.index[moved])
    again = ideal.ideal_customers(after, asked, truth["segment"])
    chances = ["p_win", "p_win_low", "p_win_high"]
    pd.testing.assert_frame_equal(again.score[chances], found.score[chances])
    for name in ("auc", "brier", "slope", "anchor"):
        assert again.metrics[name] == found.metrics[name]


def test_nothing_born_after_a_deal_changes_what_a_model_says():
    market = clear_market(column="region")
    table, rng = market.opportunities.copy(), np.random.default_rng(9)
    for column in ("amount", "stage", "rep_id"):
        table[column] = rng.permutation(table[column].to_numpy())
    one, two = (
        ideal.ideal_customers(m, Settings()) for m in (market, replace(market, opportunities=table))
    )
    assert one.kind != "cells"
    chances = ["p_win", "p_win_low", "p_win_high"]
    pd.testing.assert_frame_equal(one.score[chances], two.score[chances])


def test_how_a_deal_ends_is_not_known_when_it_begins(sample):
    """The end of the last deal of an account can tell of no other, so it may change no feature."""
    market, _ = sample
    table = market.opportunities.sort_values(["created_date"], kind="stable")
    last = table.index[~table["account_id"].duplicated(keep="last")]
    other = table.copy()
    rng = np.random.default_rng(1)
    for column in ("close_date", "is_closed", "is_won", "amount", "stage", "rep_id"):
        other.loc[last, column] = rng.permutation(table.loc[last, column].to_numpy())
    one, two = (
        ideal.known_at_start(replace(market, opportunities=t), table) for t in (table, other)
    )
    # A close date handed to a deal that began after it is no date a deal can have.
    sound = other["close_date"] >= other["created_date"]
    pd.testing.assert_frame_equal(one[sound], two[sound])
    assert not {"amount", "stage", "close_date", "rep_id", "status"} & set(one.columns)


def test_the_test_knows_no_outcome_that_came_after_its_first_deal():
    market = clear_market(column="region")
    market = replace(market, accounts=market.accounts.assign(customer_since="2020-01-01"))
    one = ideal.ideal_customers(market, Settings())
    table = market.opportunities.copy()
    young = pd.Timedelta(days=one.metrics["immature_m"] * 30.4375)
    old = table[table["created_date"] <= market.as_of - young]
    old = old[old["close_date"] <= market.as_of]
    begins = old.sort_values("created_date")["created_date"].iloc[int(0.8 * len(old))]
    later = (table["created_date"] < begins) & (table["close_date"] >= begins)
    assert later.sum() > 20
    # Every deal that was open when the test began ends the other way: nobody could know.
    table.loc[later, "is_won"] = ~table.loc[later, "is_won"]
    two = ideal.ideal_customers(replace(market, opportunities=table), Settings())
    ours = {"n_won", "n_lost", "base", "anchor"}  # of all deals, and so not of the test
    assert {k: v for k, v in one.metrics.items() if k not in ours} == {
        k: v for k, v in two.metrics.items() if k not in ours
    }
    ended = (table["close_date"] < begins).sum()
    assert one.metrics["n_train"] + one.metrics["n_calibrate"] == ended
    pd.testing.assert_frame_equal(one.calibration, two.calibration)


def test_rows_in_another_order_change_nothing(found, sample, truth):
    market, asked = sample
    mixed = replace(
        market,
        opportunities=market.opportunities.sample(frac=1, random_state=3),
        accounts=market.accounts.sample(frac=1, random_state=4),
    )
    again = ideal.ideal_customers(mixed, asked, truth["segment"])
    pd.testing.assert_frame_equal(again.score, found.score)
    assert again.metrics == found.metrics


def test_a_deal_is_with_a_customer_only_after_the_first_win():
    market = line_market(
        [0.0],
        opportunities=[
            deal("a", "2026-01-01", "2026-03-01", won=True),
            deal("b", "2026-03-01"),
            deal("c", "2026-03-02"),
        ],
    )
    known = ideal.known_at_start(market, market.opportunities)
    assert known["prior_customer"].to_dict() == {"a": 0, "b": 0, "c": 1}


def test_the_nearest_home_of_a_rep_counts():
    home = {"home_lat": 52.0, "home_lon": 19.0}
    market = line_market(
        [0.0, 0.0, 0.0],
        reps=[{"rep_id": "R1"} | home, {"rep_id": "R2"} | home | {"home_lon": 19.2}],
        opportunities=[deal(n, "2026-01-01", account=f"A-{n}") for n in "abc"],
    )
    known = ideal.known_at_start(market, market.opportunities)
    assert known["distance_km"].round(2).tolist() == [0.0, 6.85, 0.0]


def test_under_fifty_wins_there_is_only_a_scorecard():
    market = clear_market(90)
    few = ideal.ideal_customers(market, Settings())
    assert few.kind == "cells" and few.reason == "few_won" and few.calibration.empty
    p = few.score["p_win"].groupby(market.accounts["industry"]).first()
    assert 0.1 < p["garage"] < 0.5 < p["bakery"] < 0.9
    won = (
        market.opportunities["is_won"]
        .groupby(market.opportunities["account_id"].map(market.accounts["industry"]))
        .agg(["sum", "size"])
    )
    p0 = market.opportunities["is_won"].mean()
    odds = ideal.shrunken_rate(won["sum"], won["size"], p0, 20)
    odds = odds / (1 - odds)
    # the anchor moves all cells alike
    assert p["bakery"] / (1 - p["bakery"]) / (p["garage"] / (1 - p["garage"])) == pytest.approx(
        odds["bakery"] / odds["garage"]
    )


def test_five_deals_lost_do_not_mean_that_nobody_buys():
    lost = [deal(f"L{i}", "2026-01-01", "2026-03-01") for i in range(5)]
    found = ideal.ideal_customers(line_market([0.0] * 3, opportunities=lost), Settings())
    assert (found.kind, found.reason) == ("cells", "few_won")
    # 5 deals of 0% beside 20 of the assumed 20%
    assert found.score["p_win"].tolist() == pytest.approx([0.16] * 3)
    assert found.score["value"].isna().all()


def test_without_losses_accounts_are_ranked_and_no_chance_is_told():
    market = clear_market()
    bakeries = [
        f for f in market.accounts.index[:] if market.accounts.loc[f, "industry"] == "bakery"
    ]
    table = market.opportunities
    table = table[table["is_won"] & table["account_id"].isin(bakeries[:15])]
    found = ideal.ideal_customers(replace(market, opportunities=table), Settings())
    assert (found.kind, found.reason) == ("lookalike", "no_lost")
    assert found.score[["p_win", "p_win_low", "p_win_high", "icp_ev"]].isna().all().all()
    rank = found.score["percentile"].groupby(market.accounts["industry"]).mean()
    assert rank["bakery"] > rank["garage"]


def test_thirty_accounts_and_nothing_else_cannot_be_known():
    found = ideal.ideal_customers(line_market([0.0] * 30), Settings())
    assert (found.kind, found.reason) == ("unknown", "no_deals")
    assert found.score["p_win"].tolist() == [Settings().customers.win_rate] * 30
    assert found.score[["value", "icp_ev", "percentile"]].isna().all().all()
    assert found.calibration.empty and found.levels.empty
