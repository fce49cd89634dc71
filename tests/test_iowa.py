"""Real input: the licensed retailers of Iowa with a wholesaler's sales, dirt as exported."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from terrlib.cli import main
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import load_settings
from terrlib.measures.geometry import great_circle_km
from terrlib.runs import read_table
from terrlib.show.words import Words
from tests.replay import differing, plan_without_notebooks

HERE = Path(__file__).parent / "real"
IOWA = Path(__file__).parents[2] / "shared" / "real" / "iowa"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IOWA.is_dir(), reason=f"the real files are not at {IOWA}"),
]
TERRITORIES, TOLERANCE = 8, 0.05


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("iowa")
    asked = ["plan", str(HERE / "iowa.yml"), "--data", str(IOWA), "--out", str(out)]
    assert main(asked) == 0
    (folder,) = [path for path in out.iterdir() if not path.name.startswith(".")]
    return folder


def test_eight_territories_within_five_percent_on_all_vendors_sales(run):
    raw = pd.read_csv(IOWA / "stores_2022Q3.csv", dtype=str).set_index("Store Number")
    used = read_table(run, "accounts").set_index("account_id")["territory"]
    sales = raw["All Vendors Sales (Dollars)"].astype(float).fillna(0).reindex(used.index)
    ours = raw["Our Sales (Dollars)"].astype(float).fillna(0).reindex(used.index)
    total = np.maximum(sales, ours).groupby(used).sum()
    assert len(total) == TERRITORIES
    assert (total / total.mean() - 1).abs().max() <= TOLERANCE


def test_each_territory_is_in_one_piece(run):
    market = load_market(load_settings(HERE / "iowa.yml"), IOWA)
    label = read_table(run, "decisions/territory").set_index("unit_id")["territory"]
    label = label.reindex(market.units.index)
    place = {unit: i for i, unit in enumerate(market.units.index)}
    inside = market.neighbors[
        label[market.neighbors["unit_a"]].to_numpy() == label[market.neighbors["unit_b"]].to_numpy()
    ]
    i, j = inside["unit_a"].map(place), inside["unit_b"].map(place)
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(label), len(label)))
    assert connected_components(graph, directed=False)[0] == TERRITORIES


def test_no_store_and_no_money_is_lost(run):
    raw = pd.read_csv(IOWA / "stores_2022Q3.csv", dtype=str)
    aside = pd.read_csv(run / "set_aside" / "accounts.csv", dtype=str)
    used = read_table(run, "accounts")
    assert len(used) + len(aside) == len(raw)
    sales = raw["All Vendors Sales (Dollars)"].astype(float).fillna(0).sum()
    assert round(aside["potential"].astype(float).fillna(0).sum()) == round(
        sales
        - raw.set_index("Store Number")["All Vendors Sales (Dollars)"]
        .astype(float)
        .reindex(used["account_id"])
        .sum()
    )


def test_the_report_states_the_stores_without_coordinates_and_their_money(run):
    quality = read_table(run, "quality")
    rows = quality[quality["rule"] == "no_coordinates"]
    assert len(rows) == 125
    page = (run / "index.html").read_text(encoding="utf-8")
    assert "125" in page


def test_white_space_is_what_all_vendors_sell_less_what_we_do(run):
    raw = pd.read_csv(IOWA / "stores_2022Q3.csv", dtype=str).set_index("Store Number")
    ours, every = (
        raw[f"{who} Sales (Dollars)"].astype(float).fillna(0.0) for who in ("Our", "All Vendors")
    )
    used = read_table(run, "accounts")["account_id"]
    left = (every - ours).clip(lower=0.0).reindex(used)
    told = read_table(run, "plan/customers")["white_space"].astype(float) / 100  # cents
    assert told.sum() == pytest.approx(left.sum(), abs=1.0) and left.sum() > 3 * ours.sum()
    page = (run / "01_customers.html").read_text(encoding="utf-8")
    assert Words("en", "USD").write(left.sum(), "short") in page


def test_the_same_question_gives_the_same_bytes(run, tmp_path):
    assert not differing(run, plan_without_notebooks(HERE / "iowa.yml", tmp_path, IOWA))


def test_with_counties_as_units_the_same_request_is_refused_with_the_reason(tmp_path, capsys):
    asked = ["plan", str(HERE / "iowa_counties.yml"), "--data", str(IOWA), "--out", str(tmp_path)]
    assert main(asked) == 2
    told = capsys.readouterr().err
    assert "InfeasibleError" in told
    assert "Polk alone holds 23" in told
    assert not any(tmp_path.iterdir())


HOMES = {
    "R1": ("Des Moines", 41.587, -93.625),
    "R2": ("Cedar Rapids", 41.978, -91.666),
    "R3": ("Davenport", 41.524, -90.578),
    "R4": ("Sioux City", 42.500, -96.400),
    "R5": ("Waterloo", 42.493, -92.343),
    "R6": ("Council Bluffs", 41.262, -95.861),
    "R7": ("Mason City", 43.154, -93.201),
    "R8": ("Ottumwa", 41.013, -92.411),
}


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("homes")
    for name in ("stores_2022Q3.csv", "counties.geojson"):
        shutil.copy(IOWA / name, folder / name)
    rows = [(rep, *home) for rep, home in HOMES.items()]
    columns = ["rep_id", "name", "home_lat", "home_lon"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "reps.csv", index=False)
    out = tmp_path_factory.mktemp("staffed")
    asked = ["plan", str(HERE / "iowa_reps.yml"), "--data", str(folder), "--out", str(out)]
    assert main(asked) == 0
    (run,) = [path for path in out.iterdir() if not path.name.startswith(".")]
    return run


def test_eight_reps_at_home_in_iowa_take_a_territory_each(staffed):
    rep = read_table(staffed, "decisions/rep")
    assert sorted(rep["rep_id"]) == list(HOMES)
    assert pd.read_csv(staffed / "checks.csv")["ok"].all()
    crm = read_table(staffed, "accounts")
    assert set(crm["rep_id"]) == set(HOMES)
    stores = pd.read_csv(IOWA / "stores_2022Q3.csv", dtype=str).set_index("Store Number")
    place = stores.loc[crm["account_id"], ["Latitude", "Longitude"]].astype(float)
    home = pd.DataFrame(HOMES, ["name", "lat", "lon"]).T.astype({"lat": float, "lon": float})
    away = {
        rep_id: great_circle_km(place["Latitude"], place["Longitude"], row.lat, row.lon)
        for rep_id, row in home.iterrows()
    }
    km = pd.DataFrame(away).groupby(crm["territory"].to_numpy()).mean()
    # Of all ways to give the eight a territory each, none is nearer to home by a tenth.
    owner = rep.set_index("territory")["rep_id"]
    own = sum(km.loc[name, owner[name]] for name in km.index)
    rows, columns = linear_sum_assignment(km.to_numpy())
    assert own <= 1.1 * km.to_numpy()[rows, columns].sum()


def test_the_report_shows_their_ways(staffed):
    page = (staffed / "03_reps.html").read_text(encoding="utf-8")
    assert "spider" in page
    assert all(name in page for name, _, _ in HOMES.values())


def test_no_line_of_code_knows_iowa():
    for path in (Path(__file__).parents[1] / "terrlib").rglob("*.py"):
        assert "iowa" not in path.read_text(encoding="utf-8").lower()
