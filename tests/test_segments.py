"""Segments are found where some were planted, and nowhere else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions import segments
from terrlib.decisions.segments import find_segments
from terrlib.inputs.settings import Settings, change_settings
from tests.worlds import line_market

SEEDS = (1, 2)
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def found(sample):
    return find_segments(*sample)


@pytest.fixture(scope="module")
def truth():
    path = ROOT / "tests/truth/accounts.csv"
    return pd.read_csv(path, dtype={"account_id": str}).set_index("account_id")["segment"]


def buyers(market):
    return market.accounts.index[market.accounts["revenue"] > 0]


def one_cloud(market, seed):
    """The sample's market, its customers drawn anew from one Gaussian with the same covariance."""
    rng, ids = np.random.default_rng(seed), buyers(market)
    raw = segments._features(market, Settings(), market.accounts.loc[ids])[segments.KIND]
    raw = raw.fillna(raw.median())
    logs = np.log(raw)
    drawn = np.exp(rng.multivariate_normal(logs.mean(), logs.cov(), len(ids)))
    new = pd.DataFrame(drawn, index=ids, columns=raw.columns)
    accounts = market.accounts.copy()
    accounts.loc[ids, "revenue"] = new["revenue"]
    accounts.loc[ids, "employees"] = new["employees"].round().clip(lower=1)
    lines, rows = sorted(market.sales["product_line"].unique())[:6], []
    for one in new.itertuples():
        orders = max(2, round(2 * one.frequency))
        days = rng.integers(1, 720, orders)
        weight = rng.dirichlet(np.full(6, max(0.1, one.breadth - 1) / 2))
        amount = rng.gamma(4, 1, orders)
        rows.append(
            pd.DataFrame(
                {
                    "account_id": one.Index,
                    "date": market.as_of - pd.to_timedelta(days, unit="D"),
                    "amount": 2 * one.revenue * amount / amount.sum(),
                    "product_line": rng.choice(lines, orders, p=weight),
                }
            )
        )
    return replace(market, accounts=accounts, sales=pd.concat(rows, ignore_index=True))


def test_the_planted_segments_of_the_sample_are_found(sample, found, truth):
    from sklearn.metrics import adjusted_rand_score

    market, _ = sample
    ids = buyers(market)
    assert found.mode == "clusters"
    assert found.bic_agrees
    assert adjusted_rand_score(truth[ids], found.label[ids]) >= 0.8
    assert found.label.index.equals(market.accounts.index)
    assert found.label.notna().all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_segments_do_not_hang_on_the_seed(sample, found, seed):
    market, asked = sample
    other = find_segments(market, change_settings(asked, {"seed": seed}))
    assert (other.label == found.label).mean() > 0.98


@pytest.mark.parametrize("seed", SEEDS)
def test_one_cloud_of_customers_has_no_segments(sample, seed):
    market, asked = sample
    found = find_segments(one_cloud(market, seed), asked)
    assert found.mode == "rules"
    assert found.bic_agrees
    assert not found.selection["admissible"].any()


def test_the_selection_tells_what_was_tried_and_why_one_was_chosen(found, sample):
    market, asked = sample
    table = found.selection
    assert table.columns.tolist() == segments.SELECTION
    assert table["k"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert table["chosen"].sum() == 1
    best = table[table["chosen"]].iloc[0]
    assert best["z"] == table.loc[table["admissible"], "z"].max()
    right = table[table["admissible"]]
    assert (right["z"] >= asked.customers.segment_z).all()
    assert (right["min_jaccard"] >= asked.customers.segment_jaccard).all()
    assert (right["smallest"] >= max(30, 0.03 * len(buyers(market)))).all()


def test_the_profile_adds_up_and_says_what_sets_a_segment_apart(found, sample):
    market, _ = sample
    profile = found.profile
    assert profile["n"].sum() == len(buyers(market))
    assert profile["share_of_revenue"].sum() == pytest.approx(1)
    assert profile["revenue"].sum() == pytest.approx(market.accounts["revenue"].clip(lower=0).sum())
    assert profile["median_revenue"].is_monotonic_decreasing
    assert profile.loc["S1", "drivers"].count("|") == 4
    assert "revenue:+" in profile.loc["S1", "drivers"]
    assert (profile["jaccard"] >= 0.75).all()


def test_shuffled_rows_another_currency_and_other_names_change_no_segment(sample, found):
    market, asked = sample
    accounts, sales = market.accounts, market.sales.sample(frac=1, random_state=3)
    dear = replace(
        market,
        accounts=accounts.assign(revenue=accounts["revenue"] * 8).sample(frac=1, random_state=4),
        sales=sales.assign(amount=sales["amount"] * 8),
    )
    other = find_segments(dear, asked)
    # A logarithm of one and more is not quite without a unit, so a customer may change sides.
    assert (other.label[found.label.index] == found.label).mean() > 0.99
    new = {a: f"Z{i:05d}" for i, a in enumerate(accounts.index)}
    renamed = replace(
        market,
        accounts=accounts.rename(index=new),
        sales=market.sales.assign(account_id=market.sales["account_id"].map(new)),
    )
    assert find_segments(renamed, asked).label.tolist() == found.label.tolist()


def test_unchanged_data_keep_their_segments_next_quarter(sample, found):
    market, asked = sample
    swapped = found.label.map({"S1": "S7", "S2": "S1", "S3": "S2"})
    again = find_segments(market, asked, last=swapped)
    assert again.label.equals(swapped.rename(again.label.name))


def test_a_label_is_kept_by_half_of_its_customers_and_else_never_used_again():
    revenue = pd.Series(1.0, index=range(8))
    last = pd.Series(["S1"] * 4 + ["S2"] * 4)
    kept = segments._names(pd.Series([0, 0, 1, 1, 1, 1, 1, 1]), revenue, last)
    assert kept == {1: "S2", 0: "S1"}
    lost = segments._names(pd.Series([0, 1, 1, 1, 1, 1, 1, 1]), revenue, last)
    assert lost == {1: "S2", 0: "S3"}


def test_one_that_took_two_in_keeps_the_larger_name_and_rules_lend_theirs_to_nobody():
    revenue = pd.Series(1.0, index=range(16))
    last = pd.Series(["S1"] * 6 + ["S2"] * 5 + ["S1"] * 5)
    cluster = pd.Series([0] * 11 + [1] * 5)
    assert segments._names(cluster, revenue, last) == {0: "S1", 1: "S3"}
    rules = last.map({"S1": "inns/small/*", "S2": "*/*/*"})
    assert segments._names(cluster, revenue, rules) == {0: "S1", 1: "S2"}


def test_rules_leave_no_group_below_the_floor(sample):
    market, asked = sample
    ids = buyers(market)
    label = segments._by_rules(market.accounts, market.accounts.loc[ids], asked)
    assert label[ids].value_counts().min() >= 30
    assert set(label) == set(label[ids])
    assert label.str.count("/").eq(2).all()


def test_a_rest_below_the_floor_joins_the_smallest_group():
    kinds = ["inns"] * 40 + ["bakers"] * 35 + ["smiths"] * 5
    accounts = [{"industry": kind} for kind in kinds]
    found = find_segments(line_market([1.0] * 80, accounts=accounts), Settings())
    assert found.mode == "rules"
    assert found.profile["n"].min() >= 30
    assert found.profile["n"].sum() == 80
    assert found.label.iloc[-1] == "*/*/*"


def test_thirty_accounts_and_no_history_are_one_group_and_nothing_is_tried():
    market = line_market([0.0] * 30)
    found = find_segments(market, Settings())
    assert (found.mode, found.label.unique().tolist()) == ("rules", ["*/*/*"])
    assert found.selection.empty
    assert found.selection.columns.tolist() == segments.SELECTION
    assert found.profile.loc["*/*/*", "n"] == 30


def test_equal_customers_have_no_segments():
    found = find_segments(line_market([5.0] * 120), Settings())
    assert found.mode == "rules"
    assert found.selection.empty


def test_far_out_customers_are_no_segment():
    rng = np.random.default_rng(0)
    revenue = np.exp(np.append(rng.normal(8, 0.3, 150), rng.normal(14, 0.1, 5)))
    assert find_segments(line_market(revenue.tolist()), Settings()).mode == "rules"
