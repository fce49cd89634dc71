"""The sample is shaped like real data, its faults are there, and its truth can be recovered."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import RobustScaler
from stdnum.pl import nip

from terrlib.inputs.load import load_market
from terrlib.inputs.settings import TABLES, load_settings
from terrlib.measures.facts import account_facts
from terrlib.measures.scorecard import scorecard
from terrlib.measures.winning import win_rates

ROOT = Path(__file__).parents[1]
SAMPLE, TRUTH = ROOT / "data" / "sample", ROOT / "tests" / "truth"
# What the gate calls a planted fault; "" is mended without a word: the area or the number is known.
RULES = {
    "accounts": {
        "bad_tax_number": "bad_tax_number",
        "blanks_in_name": "",
        "entered_twice": "same_tax_number",
        "missing_coordinates": "",
        "no_break_space": "",
        "no_coordinates_no_area": "no_coordinates",
        "other_area_than_stated": "other_area_than_stated",
        "outside_areas": "outside_areas",
        "swapped_coordinates": "swapped_coordinates",
        "zero_coordinates": "",
    },
    "opportunities": {
        "bad_amount": "not_a_number",
        "bad_date": "not_a_date",
        "closed_before_created": "closed_before_created",
        "money_as_text": "",
        "orphan": "orphan",
    },
    "sales": {
        "bad_amount": "not_a_number",
        "bad_date": "not_a_date",
        "credit_note": "negative_amount",
        "money_as_text": "",
        "orphan": "orphan",
        "total_row": "total_row",
    },
}
UNUSED = {
    "activities",
    "rep_locks",
    "neighbors",
    "groups",
    "forbidden",
    "travel",
    "postal_centroids",
    "gazetteer",
}
UNUSED |= {"market_structure", "stages"}


def raw(name):
    return pd.read_csv(SAMPLE / f"{name}.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def faults():
    return pd.read_csv(TRUTH / "faults.csv", dtype=str)


@pytest.fixture(scope="module")
def settings():
    return load_settings(SAMPLE / "settings.yml")


@pytest.fixture(scope="module")
def market(settings):
    return load_market(settings, SAMPLE)


@pytest.fixture(scope="module")
def facts(market, settings, truth):
    segment = truth["segment"].reindex(market.accounts.index, fill_value="drobni")
    return account_facts(market, settings, segment)


@pytest.fixture(scope="module")
def today(market):
    held = market.assignments.set_index("account_id")["territory"]
    return held.reindex(market.accounts.index.intersection(held.index))


def test_it_has_the_tables_and_rows_promised(market, settings):
    assert set(settings.tables) == set(TABLES) - UNUSED
    assert abs(len(raw("accounts")) - 1200) <= 10
    status = market.accounts["status"].value_counts(normalize=True)
    assert status["customer"] == pytest.approx(1 / 3, abs=0.02)
    assert len(raw("opportunities")) == 3000
    assert raw("opportunities")["is_closed"].value_counts()["false"] > 500
    assert (len(market.reps), len(market.distributors), len(market.channels)) == (16, 4, 7)
    assert sorted(market.reps["fte"])[:3] == [0.5, 0.5, 1.0]
    assert market.reps.index[market.reps["leaves"].notna()].tolist() == ["R04"]
    assert market.specialists["role"].value_counts().to_dict() == {"manager": 3, "kam": 2}
    assert set(market.named_accounts["account_id"]) <= set(market.accounts.index)
    assert market.distributor_areas["exclusive"].sum() == 3
    months = market.sales["date"].dt.to_period("M")
    assert (months.nunique(), str(months.max())) == (36, "2026-09")
    assert market.targets["quarter"].tolist() == ["2026Q4", "2027Q1", "2027Q2", "2027Q3"]
    assert market.as_of == pd.Timestamp("2026-09-30")


def test_it_is_small_and_written_as_promised():
    files = [path for path in SAMPLE.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3e6
    for path in files:
        assert b"\r" not in path.read_bytes() and path.read_text(encoding="utf-8").endswith("\n")
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert all(word in readme for word in ("GeoNames", "CC BY 4.0", "Natural Earth", "approximate"))


def test_the_script_makes_every_file_of_it_again_byte_for_byte(tmp_path):
    """Some nine seconds on a quiet machine, half of them npm's."""
    if not shutil.which("npm"):
        pytest.skip("npm is not there, which the script fetches places by")
    once = {"npm_config_fetch_retries": "0", "npm_config_fetch_timeout": "20000"}
    made = subprocess.run(
        [sys.executable, ROOT / "data/make_sample.py", tmp_path],
        env=os.environ | once, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode and "npm install" in made.stderr:
        pytest.skip("npm could not fetch the places")
    assert made.returncode == 0, made.stderr
    by_hand = {"README.md", "settings.yml"}
    for there, again in ((SAMPLE, tmp_path), (TRUTH, tmp_path / "truth")):
        files = {p.name for p in there.iterdir() if p.is_file()} - by_hand
        assert files == {p.name for p in again.iterdir() if p.is_file()}
        for name in files:
            assert (there / name).read_bytes() == (again / name).read_bytes(), name


def test_there_are_380_areas_of_one_piece_that_tile_the_country(market):
    areas = market.areas
    assert len(areas) == 380 and areas.index.str.fullmatch(r"\d{4}").all()
    assert (areas.geometry.geom_type == "Polygon").all() and areas.geometry.is_valid.all()
    assert shapely.coverage_is_valid(areas.geometry.to_numpy())
    assert (areas["name"].str.startswith("powiat ") == (areas.index.str[2:].astype(int) < 61)).all()
    assert areas.to_crs(3035).area.sum() / 1e6 == pytest.approx(313_000, rel=0.02)
    assert areas.groupby(areas.index.str[:2]).size()["14"] == 42
    reached, frontier = {areas.index[0]}, {areas.index[0]}
    pairs = market.neighbors[["unit_a", "unit_b"]].to_numpy()
    pairs = pd.DataFrame(np.vstack([pairs, pairs[:, ::-1]])).groupby(0)[1].agg(set)
    while frontier:
        frontier = set().union(*pairs[list(frontier)]) - reached
        reached |= frontier
    assert len(reached) == 380


def test_sales_are_as_lopsided_as_real_ones(market):
    earned = market.accounts["revenue"][market.accounts["revenue"] > 0].sort_values()
    assert earned.tail(round(len(earned) / 5)).sum() / earned.sum() == pytest.approx(0.73, abs=0.03)
    assert earned.iloc[-1] / earned.sum() == pytest.approx(0.034, abs=0.007)
    year = market.sales.groupby((market.sales["date"] - pd.Timestamp("2023-10-01")).dt.days // 365)
    growth = year["amount"].sum().iloc[:3].pct_change().dropna()
    assert growth.between(-0.02, 0.18).all()


def test_tax_numbers_are_valid_and_nobodys(faults):
    accounts = raw("accounts").set_index("account_id")["tax_id"]
    planted = faults.loc[faults["fault"] == "bad_tax_number", "key"]
    assert accounts.str.startswith("900").all()
    assert set(accounts.index[~accounts.map(nip.is_valid)]) == set(planted)


def test_about_two_per_cent_of_the_rows_are_faulty(faults):
    rows = sum(len(raw(table)) for table in TABLES if table not in UNUSED)
    assert len(faults) / rows == pytest.approx(0.02, abs=0.005)
    assert not faults.duplicated(["table", "key"]).any()
    planted = faults.groupby("table")["fault"].agg(set).to_dict()
    assert planted == {table: set(rules) for table, rules in RULES.items()}


def test_every_planted_fault_is_in_the_files(faults):
    accounts = raw("accounts").set_index("account_id")
    deals = raw("opportunities").set_index("opp_id")
    sales = raw("sales")
    sales.index = [f"row {i + 2}" for i in sales.index]
    known = set(accounts.index)
    day, number = r"\d{4}-\d\d-\d\d", r"-?\d+(\.\d+)?"
    holds = {
        ("accounts", "zero_coordinates"): (accounts["lat"] == "0") & (accounts["lon"] == "0"),
        ("accounts", "missing_coordinates"): accounts["lat"].eq("") & accounts["area_id"].ne(""),
        ("accounts", "no_coordinates_no_area"): accounts["lat"].eq("") & accounts["area_id"].eq(""),
        ("accounts", "swapped_coordinates"): accounts["lon"].str.fullmatch(r"(49|5[0-4])\.\d+"),
        ("accounts", "outside_areas"): accounts["lat"].str.startswith("55."),
        ("accounts", "other_area_than_stated"): (accounts["area_id"] == "1465")
        & (accounts["town"] != "Warszawa"),
        ("accounts", "bad_tax_number"): ~accounts["tax_id"].map(nip.is_valid),
        ("accounts", "blanks_in_name"): accounts["name"].str.endswith(" \u00a0"),
        ("accounts", "no_break_space"): accounts["name"].str.contains("\\w\u00a0\\w"),
        ("accounts", "entered_twice"): accounts["tax_id"].duplicated(keep=False),
        ("opportunities", "orphan"): ~deals["account_id"].isin(known),
        ("opportunities", "bad_date"): ~deals["created_date"].str.fullmatch(day),
        ("opportunities", "closed_before_created"): deals["close_date"].lt(deals["created_date"])
        & deals["created_date"].str.fullmatch(day),
        ("opportunities", "bad_amount"): deals["amount"] == "b.d.",
        ("opportunities", "money_as_text"): deals["amount"].str.endswith(" zł"),
        ("sales", "orphan"): ~sales["account_id"].isin({*known, "RAZEM"}),
        ("sales", "bad_date"): ~sales["date"].str.fullmatch(day + "|")
        | sales["date"].str[-2:].eq("32"),
        ("sales", "bad_amount"): ~sales["amount"].str.fullmatch(number + "|.* zł"),
        ("sales", "money_as_text"): sales["amount"].str.endswith(" zł"),
        ("sales", "credit_note"): sales["amount"].str.startswith("-"),
        ("sales", "total_row"): sales["account_id"] == "RAZEM",
    }
    for (table, fault), found in holds.items():
        planted = faults.loc[(faults["table"] == table) & (faults["fault"] == fault), "key"]
        assert set(found.index[found]) == set(planted), (table, fault)
    assert len(holds) == faults.groupby(["table", "fault"]).ngroups


def test_the_gate_finds_the_faults_and_hardly_anything_else(market, faults):
    rule = [RULES[table][fault] for table, fault in faults[["table", "fault"]].to_numpy()]
    planted = faults.assign(rule=rule).query("rule != ''")
    planted = set(planted[["table", "key", "rule"]].itertuples(index=False, name=None))
    found = market.quality[market.quality["rule"] != "inactive"]  # says what is, blames nobody
    found = set(found[["table", "key", "rule"]].itertuples(index=False, name=None))
    assert len(planted & found) / len(planted) >= 0.95
    rows = len(market.accounts) + len(market.sales) + len(market.opportunities)
    assert len(found - planted) / rows < 0.01
    assert not (market.quality["severity"] == "stop").any()


def test_todays_alignment_is_visibly_unfair(market, facts, today):
    card = scorecard(market, facts, today, None)
    assert card.index.tolist() == [f"T{i:02d}" for i in range(1, 17)]
    assert card["workload_h_index"].min() == pytest.approx(0.45, abs=0.1)
    assert card["workload_h_index"].max() == pytest.approx(2.3, abs=0.2)
    assert (card["workload_h_index"].sub(1).abs() > 0.15).sum() >= 10


def test_a_fair_plan_is_possible(facts, market):
    """No county and no account outgrows the smallest share of a territory that has to hold it."""
    assert facts["workload_h"].sum() / (1212 * 0.85) == pytest.approx(
        market.reps["fte"].sum(), abs=0.7
    )
    share = facts.groupby("unit_id")[["workload_h", "potential", "count"]].sum()
    assert (share / share.sum()).max().max() < 0.04
    assert facts["potential"].max() / facts["potential"].sum() < 0.012


def test_open_deals_fool_the_naive_win_rate_and_not_ours(market, settings, truth):
    deals = market.opportunities
    true = truth["p_win"].reindex(deals["account_id"])
    closed = deals[deals["is_closed"]]
    assert true.mean() - closed["is_won"].mean() > 0.05
    segment = truth["segment"].reindex(market.accounts.index, fill_value="drobni")
    rate = win_rates(market, segment, settings).set_index("group")["p_win"]
    assert rate[""] == pytest.approx(true.mean(), abs=0.03)
    for name, p_win in truth.groupby("segment")["p_win"].first().items():
        assert rate[name] == pytest.approx(p_win, abs=0.03)


def test_wins_take_longer_than_losses(market):
    closed = market.opportunities[market.opportunities["is_closed"]]
    days = (closed["close_date"] - closed["created_date"]).dt.days
    assert days[closed["is_won"]].median() > 2 * days[~closed["is_won"]].median()


def test_nobody_buys_before_the_first_win(market):
    """A customer won within the data has no sales before the month of the win."""
    deals = market.opportunities
    first = deals[deals["is_won"] & (deals["type"] == "new_logo")].set_index("account_id")[
        "close_date"
    ]
    assert first.index.is_unique
    sold = market.sales.groupby("account_id")["date"].min().reindex(first.index).dropna()
    assert (sold.dt.to_period("M") >= first[sold.index].dt.to_period("M")).all()
    prospects = market.accounts.index[market.accounts["status"] == "prospect"]
    assert not market.sales["account_id"].isin(prospects).any()


def test_three_segments_can_be_told_apart(market, truth):
    ours = market.accounts[market.accounts["status"] == "customer"]
    year = market.sales[market.sales["date"] > "2025-09-30"].groupby("account_id")
    features = pd.DataFrame(
        {
            "employees": np.log1p(ours["employees"]),
            "revenue": np.log1p(ours["revenue"].clip(lower=0)),
            "orders": np.log1p(year["date"].nunique().reindex(ours.index, fill_value=0)),
            "breadth": year["product_line"].nunique().reindex(ours.index, fill_value=0),
        }
    )
    found = KMeans(3, n_init=10, random_state=0).fit_predict(RobustScaler().fit_transform(features))
    assert adjusted_rand_score(truth["segment"].reindex(ours.index), found) >= 0.8


def test_wallets_can_be_ranked(facts, truth):
    both = facts.join(truth["wallet"], how="inner")
    assert both["potential"].corr(both["wallet"], method="spearman") >= 0.85
    earned = both[both["revenue"] > 0]
    assert (earned["revenue"] / earned["wallet"]).between(0, 1).all()


def test_shapes_and_areas_agree():
    shapes = json.loads((SAMPLE / "areas.geojson").read_text(encoding="utf-8"))
    assert [f["properties"] for f in shapes["features"]] == [
        {"area_id": code} for code in raw("areas")["area_id"]
    ]
    polygons = gpd.GeoDataFrame.from_features(shapes, crs=4326).set_index("area_id")
    inner = raw("areas").set_index("area_id")[["lat", "lon"]].astype(float)
    points = gpd.GeoSeries.from_xy(inner["lon"], inner["lat"], crs=4326)
    assert polygons.contains(points).all()
