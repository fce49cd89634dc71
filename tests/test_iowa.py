"""Real input: the licensed retailers of Iowa with a wholesaler's sales, dirt as exported."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from terrlib.cli import main
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import load_settings
from terrlib.runs import read_table
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


def test_the_same_question_gives_the_same_bytes(run, tmp_path):
    assert not differing(run, plan_without_notebooks(HERE / "iowa.yml", tmp_path, IOWA))


def test_with_counties_as_units_the_same_request_is_refused_with_the_reason(tmp_path, capsys):
    asked = ["plan", str(HERE / "iowa_counties.yml"), "--data", str(IOWA), "--out", str(tmp_path)]
    assert main(asked) == 2
    told = capsys.readouterr().err
    assert "InfeasibleError" in told
    assert "Polk alone holds 23" in told
    assert not any(tmp_path.iterdir())


def test_no_line_of_code_knows_iowa():
    for path in (Path(__file__).parents[1] / "terrlib").rglob("*.py"):
        assert "iowa" not in path.read_text(encoding="utf-8").lower()
