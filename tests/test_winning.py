"""How often deals are won: by hand, against what was planted, and how sure one may be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib.inputs.settings import Settings
from terrlib.measures import winning
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]
WHOLE = pd.Series({"A-a": ""})


def deal(name, began, ended=None, *, won=False, account="A-a", **more):
    """One deal, open where it has no end."""
    return {
        "opp_id": name,
        "account_id": account,
        "created_date": began,
        "close_date": ended or "2027-01-31",
        "is_closed": ended is not None,
        "is_won": won,
        "amount": 100.0,
        "type": "",
        "lead_source": "",
    } | more


def simulated(rng, n, p, account="A-a"):
    """Deals of three years with growing inflow; wins take ten months on average, losses three."""
    began = 36 * (np.sqrt(1 + 15 * rng.random(n)) - 1) / 3
    won = rng.random(n) < p
    takes = np.where(won, rng.gamma(4, 2.5, n), rng.gamma(2, 1.5, n))
    first, last = pd.Timestamp("2023-10-01"), pd.Timestamp("2026-09-30")
    day = [
        first + pd.to_timedelta((m * 30.4375).astype(int), unit="D") for m in (began, began + takes)
    ]
    closed = day[1] <= last
    table = {"account_id": account, "created_date": day[0], "close_date": day[1]}
    table |= {"is_closed": closed, "is_won": won & closed, "amount": 1.0}
    index = pd.Index([f"O{i:04d}" for i in range(n)], name="opp_id")
    return pd.DataFrame(table, index=index)


def test_without_open_deals_counting_is_right():
    days = [f"2026-0{i}-01" for i in range(2, 6)]
    market = line_market(
        [1.0],
        opportunities=[deal(d, "2026-01-01", d, won=i in {0, 2}) for i, d in enumerate(days)],
    )
    whole = winning.win_rates(market, WHOLE, Settings()).iloc[0]
    assert whole["p_win"] == whole["naive"] == 0.5
    assert (whole["low"], whole["high"]) == pytest.approx(winning.wilson(0.5, 4), abs=0.06)
    assert whole["tail"] == pytest.approx(0)
    # won on 1 February and on 1 April: 31 and 90 days
    assert whole["naive_cycle_m"] == pytest.approx((31 + 90) / 2 / 30.4375)


def test_a_deal_still_open_ends_as_those_that_reached_its_age():
    # Two lost after a month; of the two older than that one was won, so the other will be.
    market = line_market(
        [1.0],
        opportunities=[
            deal("a", "2026-01-01", "2026-02-01"),
            deal("b", "2026-01-01", "2026-02-01"),
            deal("c", "2026-01-01", "2026-09-01", won=True),
            deal("d", "2026-08-01"),
        ],
    )
    whole = winning.win_rates(market, WHOLE, Settings()).iloc[0]
    assert whole["naive"] == pytest.approx(1 / 3)
    assert whole["p_win"] == pytest.approx(1 / 2)
    assert whole["low"] < whole["naive"] < whole["p_win"] < whole["high"]


def test_what_is_open_when_the_record_ends_is_the_tail():
    market = line_market(
        [1.0],
        opportunities=[
            deal("a", "2026-03-01", "2026-04-01"),
            deal("b", "2026-03-01", "2026-05-01", won=True),
            deal("c", "2026-03-01"),
            deal("d", "2026-03-01"),
        ],
    )
    whole = winning.win_rates(market, WHOLE, Settings()).iloc[0]
    assert whole["tail"] == pytest.approx(0.5)
    assert whole["p_win"] == pytest.approx(0.5)


def test_a_tiny_group_is_as_unsure_as_it_is_small():
    many = [
        deal(f"M{i:03d}", "2026-01-01", f"2026-0{2 + i % 6}-01", won=i % 4 == 0, account="A-b")
        for i in range(200)
    ]
    few = [deal(f"F{i}", "2026-01-01", "2026-02-01") for i in range(3)]
    market = line_market([1.0, 1.0], opportunities=[*many, *few])
    rates = winning.win_rates(market, pd.Series({"A-a": "few", "A-b": "many"}), Settings())
    few, many = rates.set_index("group").loc["few"], rates.set_index("group").loc["many"]
    # (0 won + 20 * 50/203) / (3 + 20)
    assert few["p_win"] == pytest.approx(20 * 50 / 203 / 23)
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])
    assert few["naive"] == few["naive_low"] == 0


def test_without_deals_the_assumption_stands_and_nothing_is_drawn():
    market = line_market([1.0])
    whole = winning.win_rates(market, WHOLE, Settings()).iloc[0]
    assert whole["p_win"] == Settings().customers.win_rate
    assert (whole["naive_low"], whole["naive_high"], whole["tail"]) == (0, 1, 1)
    assert winning.cycle_curves(market, WHOLE, Settings()).empty


def test_curves_add_up_and_end_at_the_win_rate(sample, truth):
    market, asked = sample
    curves = winning.cycle_curves(market, truth["segment"], asked)
    assert np.allclose(curves[["won", "lost", "open"]].sum(axis=1), 1)
    assert (curves["low"] <= curves["won"] + 1e-12).all()
    assert (curves["won"] <= curves["high"] + 1e-12).all()
    by = curves.groupby("group")
    assert (by["won"].diff().fillna(0) >= 0).all() and (by["lost"].diff().fillna(0) >= 0).all()
    rates = winning.win_rates(market, truth["segment"], asked).set_index("group")
    end = by.last()
    assert np.allclose(end["won"] / (end["won"] + end["lost"]), rates["p_win"][end.index])
    assert np.allclose(end["open"], rates["tail"][end.index])


def test_the_sample_is_read_right_where_counting_is_not(sample, truth):
    market, asked = sample
    rates = winning.win_rates(market, truth["segment"], asked).set_index("group")
    planted = truth.groupby("segment")["p_win"].first()
    planted[""] = market.opportunities["account_id"].map(truth["p_win"]).mean()
    true = planted[rates.index]
    assert ((rates["p_win"] - true).abs() < 0.03).all()
    assert ((rates["naive"] - true).abs() > 0.05).all()
    assert rates["low"].le(true).all() and rates["high"].ge(true).all()
    assert (rates["naive_high"] < true).all()
    # planted: ten months to a win
    assert ((rates["cycle_m"] - 10).abs() < 1).all()
    assert (rates["naive_cycle_m"] < 9).all()
    assert (rates["cycle_median_m"] < rates["cycle_m"]).all()


def test_rows_in_another_order_change_nothing(sample, truth):
    from dataclasses import replace

    market, asked = sample
    mixed = replace(market, opportunities=market.opportunities.sample(frac=1, random_state=3))
    one, two = (winning.win_rates(m, truth["segment"], asked) for m in (market, mixed))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.slow
def test_eighty_percent_intervals_hold_the_truth_four_times_in_five():
    rng = np.random.default_rng(11)
    held, counted = [], []
    for seed in range(200):
        n, p = int(rng.integers(60, 400)), float(rng.uniform(0.1, 0.5))
        market = line_market([1.0])
        table = simulated(rng, n, p)
        market = type(market)(**{**vars(market), "opportunities": table})
        whole = winning.win_rates(market, WHOLE, Settings(seed=seed)).iloc[0]
        held.append(whole["low"] <= p <= whole["high"])
        counted.append(whole["naive_low"] <= p <= whole["naive_high"])
    assert 0.70 <= np.mean(held) <= 0.90
    assert np.mean(counted) < 0.5


def of_year(day, account="A-a"):
    return pd.DataFrame({"account_id": [account], "date": pd.to_datetime([day])})


def test_what_an_account_was_on_the_eve_of_a_deal():
    sales = [{"account_id": "A-a", "date": "2024-06-01", "amount": 9.0, "product_line": ""}] + [
        {"account_id": "A-b", "date": d, "amount": 9.0, "product_line": ""}
        for d in ("2022-01-01", "2026-03-01")
    ]
    market = line_market([1.0, 1.0, 0.0], sales=sales)
    days = ["2024-06-01", "2024-06-02", "2026-06-01", "2026-06-02"]
    was = [winning.status_before(market, Settings(), of_year(d)).item() for d in days]
    # Two years without a purchase are up on the second of June.
    assert was == ["prospect", "customer", "customer", "lost"]
    days = ["2023-12-31", "2024-01-02", "2026-03-01", "2026-03-02"]
    was = [winning.status_before(market, Settings(), of_year(d, "A-b")).item() for d in days]
    # Sales begin in 2022, so nobody can be known to have been away for two years before 2024.
    assert was == ["customer", "lost", "lost", "customer"]
    assert winning.status_before(market, Settings(), of_year(days[0], "A-c")).item() == "prospect"


def test_a_customer_who_was_won_is_no_evidence_that_customers_ask():
    # Ten prospects, of whom five asked half a year ago; all five were won, and never asked again.
    asked = [deal(f"O{a}", "2026-03-01", "2026-04-01", won=True, account=f"A-{a}") for a in "abcde"]
    market = line_market([5.0] * 5 + [0.0] * 5, opportunities=asked)
    rate = winning.deals_a_year(market, Settings())
    # Five are prospects on two of the four days that are looked at, and customers on the other two.
    assert rate["prospect"] == pytest.approx((5 + 20 * 0.1) / (5 + 2.5 + 20))
    assert rate["customer"] == pytest.approx((0 + 20 * 0.1) / (2.5 + 20))
    assert rate["lost"] == rate["inactive"] == 0.1


def test_nothing_born_after_a_deal_tells_who_opened_it(sample):
    market, asked = sample
    rng, table = np.random.default_rng(11), market.opportunities.copy()
    for column in ("amount", "stage", "rep_id"):
        table[column] = rng.permutation(table[column].to_numpy())
    opened = table.sort_values("created_date", kind="stable")
    last = opened.index[~opened["account_id"].duplicated(keep="last")]
    for column in ("is_closed", "is_won"):
        table.loc[last, column] = rng.permutation(table.loc[last, column].to_numpy())
    # A deal cannot close before it begins, nor tell of one that began before it closed.
    table.loc[last, "close_date"] = table.loc[last, "created_date"] + pd.to_timedelta(
        rng.integers(1, 300, len(last)), unit="D"
    )
    accounts = market.accounts.copy()
    dated = winning.first_purchase(market).index.intersection(accounts.index)
    accounts.loc[dated, "status"] = rng.permutation(accounts.loc[dated, "status"].to_numpy())
    for column in ("revenue", "potential"):
        accounts[column] = rng.permutation(accounts[column].to_numpy())
    after = replace(market, opportunities=table, accounts=accounts)
    when = market.opportunities.rename(columns={"created_date": "date"})[["account_id", "date"]]
    one, two = (winning.status_before(m, asked, when) for m in (market, after))
    pd.testing.assert_series_equal(one, two)
    only = replace(market, accounts=accounts, opportunities=table.assign(
        **{c: market.opportunities[c] for c in ("is_closed", "is_won", "close_date")}
    ))  # fmt: skip
    pd.testing.assert_series_equal(*(winning.deals_a_year(m, asked) for m in (market, only)))


def test_the_median_cycle_has_a_range_that_holds_it():
    market = replace(
        line_market([1.0]), opportunities=simulated(np.random.default_rng(5), 300, 0.3)
    )
    rates = winning.win_rates(market, pd.Series({"A-a": "x"}), Settings())
    assert (rates["cycle_low"] < rates["cycle_median_m"]).all()
    assert (rates["cycle_median_m"] < rates["cycle_high"]).all()
    assert rates["cycle_low"].gt(rates["cycle_median_m"] - 3).all()
    lost = line_market([1.0], opportunities=[deal("L", "2026-01-01", "2026-02-01")])
    assert np.isnan(winning.win_rates(lost, WHOLE, Settings())["cycle_low"]).all()


def test_an_old_open_deal_is_no_surer_than_what_is_known_of_old_deals():
    lost = [deal(f"L{i}", "2026-01-01", "2026-02-05") for i in range(5)]
    won = [deal(f"W{i}", "2026-01-01", "2026-06-05", won=True) for i in range(5)]
    still = [deal("young", "2026-06-29"), deal("old", "2025-01-01")]
    market = line_market([1.0], opportunities=[*lost, *won, *still])
    # 5/12 are lost after a month; of the seven twelfths left five in six are won, and 7/72 outlive it:
    # 7 in 13 of all are won. The old one is one of those, and nothing more is known of it.
    odds = winning.open_deals(market, Settings())
    assert odds.loc["old", "p_win"] == pytest.approx(7 / 13)
    # Of 42/72 that reach three months 35/72 are won, and 7 in 13 of those that outlive the record:
    # 12 in 13, by five deals that ended later, beside twenty of 7 in 13.
    assert odds.loc["young", "p_win"] == pytest.approx((5 * 12 + 20 * 7) / 13 / 25)
    assert np.allclose([b.sum() for b in odds["by_month"]], odds["p_win"])
    found = winning.stale_deals(market, Settings())
    assert found == {
        "n": 1, "amount": 100.0, "ended": 0, "won": 0, "p_win": pytest.approx(7 / 13),
    }  # fmt: skip


def test_deals_that_nobody_closes_do_not_grow_sure_with_age():
    """Wins and losses come within half a year; what is lost and never closed stays open for good."""
    ended = [
        deal(f"E{i:02d}", "2026-01-01", f"2026-0{2 + i % 6}-01", won=i % 4 == 0) for i in range(40)
    ]
    dead = [deal(f"D{i:02d}", f"2024-{1 + i % 12:02d}-01") for i in range(40)]
    odds = winning.open_deals(line_market([1.0], opportunities=[*ended, *dead]), Settings())
    assert odds["p_win"].max() < 0.5


def test_before_the_first_win_an_open_deal_has_the_assumed_chance():
    lost = [deal(f"L{i}", "2026-01-01", "2026-02-01") for i in range(5)]
    market = line_market([1.0], opportunities=[*lost, deal("new", "2026-09-30")])
    # Of six, five are lost after a month; the sixth, and twenty more, have 20%.
    odds = winning.open_deals(market, Settings())
    assert 0.15 < odds["p_win"].item() < 0.2
    assert odds["by_month"].item().sum() == pytest.approx(odds["p_win"].item())


def with_stages(n=400, seed=4, noise=False):
    """Deals qualified for six months, then offered: of the offered 8 of 10 are won, of the rest none.

    A third is lost in qualification. With noise, the name of a stage tells nothing.
    """
    rng = np.random.default_rng(seed)
    rows, stages = [], []
    for i in range(n):
        begun = pd.Timestamp("2022-01-01") + pd.Timedelta(days=int(rng.integers(0, 1640)))
        offered = rng.random() < 2 / 3
        told = begun + pd.Timedelta(days=int(rng.integers(90, 270)))
        end = told + pd.Timedelta(days=int(rng.integers(10, 90))) if offered else told
        known = end <= pd.Timestamp("2026-09-30")
        won = bool(offered and rng.random() < 0.8)
        rows.append(
            {"opp_id": f"O{i}", "account_id": "A-a", "created_date": begun,
             "close_date": end if known else pd.NaT, "is_closed": known, "is_won": known and won,
             "amount": 100.0}
        )  # fmt: skip
        name = rng.choice(["q", "o"]) if noise else "q"
        stages.append({"opp_id": f"O{i}", "date": begun, "stage": name})
        if offered and told <= pd.Timestamp("2026-09-30") and not noise:
            stages.append({"opp_id": f"O{i}", "date": told, "stage": "o"})
    return line_market([1.0], opportunities=rows, stages=stages)


def test_the_stage_of_an_open_deal_counts_where_past_ones_tell_of_it():
    market = with_stages()
    found = winning.open_deals(market, Settings())
    now = market.stages.drop_duplicates("opp_id", keep="last").set_index("opp_id")["stage"]
    by = found["p_win"].groupby(now.reindex(found.index)).mean()
    assert by["o"] == pytest.approx(0.8, abs=0.08) and by["q"] == pytest.approx(0.53, abs=0.1)
    steps = np.stack(found["by_month"].to_numpy())
    assert steps.sum(axis=1) == pytest.approx(found["p_win"])
    plain = winning.open_deals(replace(market, stages=market.stages.iloc[:0]), Settings())
    # As old and offered is worth more than as old, and closes sooner.
    offered = now.reindex(found.index) == "o"
    assert (found["p_win"] - plain["p_win"])[offered].mean() > 0.1
    assert steps[offered, :3].sum() > 0.9 * steps[offered].sum()


def test_a_stage_that_few_went_through_changes_little():
    market = with_stages()
    rare = [{"opp_id": o, "date": pd.Timestamp("2026-09-29"), "stage": "rare"}
            for o in winning.open_deals(market, Settings()).index]  # fmt: skip
    closed = market.opportunities.index[market.opportunities["is_won"]][0]
    day = market.opportunities.loc[closed, "close_date"]
    rare.append({"opp_id": closed, "date": day, "stage": "rare"})
    told = replace(market, stages=pd.DataFrame(rare))
    none = replace(market, stages=market.stages.iloc[:0])
    one, all_ = (winning.open_deals(m, Settings())["p_win"] for m in (told, none))
    assert (one - all_).abs().max() <= 1 / 21 + 1e-9


def test_open_deals_by_stage_and_age_add_up():
    market = replace(
        line_market([1.0]), opportunities=simulated(np.random.default_rng(6), 300, 0.3)
    )
    table = market.opportunities.assign(stage=np.where(np.arange(300) % 2, "offer", ""))
    market = replace(market, opportunities=table)
    found, odds = winning.open_by_stage(market, Settings()), winning.open_deals(market, Settings())
    assert found["n"].sum() == len(odds) and found["amount"].sum() == odds["amount"].sum()
    assert found["expected"].sum() == pytest.approx((odds["p_win"] * odds["amount"]).sum())
    assert set(found["stage"]) == {"", "offer"} and set(found["age"]) <= set(winning.AGES)
    won, closed = table["is_won"].sum(), table["is_closed"].sum()
    assert found["naive"].tolist() == pytest.approx([won / closed] * len(found))
    young = odds[odds["age_m"] < 3]
    assert found.loc[found["age"] == "0-3", "n"].sum() == len(young)
    none = line_market([1.0], opportunities=[deal("L", "2026-01-01", "2026-02-01")])
    assert winning.open_by_stage(none, Settings()).empty
