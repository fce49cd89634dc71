"""A finished run keeps its contract: every invariant is recomputed from its written files."""

import json
import re

import geopandas as gpd
import nbformat
import pandas as pd
import pytest

from terrlib import pipeline
from terrlib.cli import main
from terrlib.errors import InfeasibleError, PlanError
from terrlib.plan import BY_CHANNEL, COLUMNS
from terrlib.runs import NOTEBOOKS, open_run, read_table, write_table
from tests.replay import differing, plan_without_notebooks

DECISIONS = {"segment", "territory", "overrides", "rep", "channel", "budget", "goal", "moves"}
PLAN = {"areas", "customers", "reach", "budget", "timeline"}
SMALLEST = """account_id,name,lat,lon,revenue
1,Piekarnia Łan,52.23,21.01,100.50
2,"=HYPERLINK(""http://x"")",52.40,16.92,200
3,<script>alert(1)</script>,50.06,19.94,150
4,Hurtownia Żuk,51.11,17.03,90
5,Sklep Ćma,54.35,18.65,130
6,Zakład Ósmy,53.12,23.16,70
7,Fabryka Źródło,51.25,22.57,140
8,Serwis Święty,53.43,14.55,95
"""


def test_every_file_of_the_contract_is_there_with_its_columns(sample_run):
    assert {p.stem for p in (sample_run / "decisions").glob("*.csv")} == DECISIONS
    assert {p.stem for p in (sample_run / "plan").glob("*.csv")} == PLAN
    for name, kinds in COLUMNS.items():
        if (sample_run / f"{name}.csv").is_file():
            text = (sample_run / f"{name}.csv").read_text(encoding="utf-8")
            assert text.split("\n")[0] == ",".join(kinds)
            assert "\r" not in text
    for name in ("settings.yml", "run.json", "index.html", "territories.geojson", "checks.csv"):
        assert (sample_run / name).is_file()


def test_the_paragraph_of_each_territory_says_the_numbers_of_its_row(sample_run):
    page = (sample_run / "06_plan.html").read_text(encoding="utf-8")
    found = re.findall(r'<tr><td class="t">(T\d\d)</td>(.*?)</tr>', page)
    rows = pd.DataFrame(found).groupby(0)[1].sum()
    assert len(rows) == len(read_table(sample_run, "scorecard"))
    for name, row in rows.items():
        said = re.search(rf"<strong>{name} · .*?</p>", page, flags=re.DOTALL).group()
        sums = re.findall(r"<strong>([^<]*zł)</strong>", said)
        assert len(sums) == 2 and all(f">{money}<" in row for money in sums), (name, sums)


def test_rows_are_sorted_by_their_keys(sample_run):
    for name, kinds in COLUMNS.items():
        keys = [c for c, kind in kinds.items() if kind in {"key", "quarter"}]
        if keys and (sample_run / f"{name}.csv").is_file():
            rows = read_table(sample_run, name)[keys]
            assert rows.equals(rows.sort_values(keys, kind="stable").reset_index(drop=True)), name


def test_every_account_is_used_or_set_aside(sample_run):
    notes = json.loads((sample_run / "run.json").read_text(encoding="utf-8"))
    given = pd.read_csv(f"{notes['data']}/accounts.csv", dtype=str)
    used = read_table(sample_run, "accounts")
    aside = pd.read_csv(sample_run / "set_aside" / "accounts.csv", dtype=str)
    assert len(used) + len(aside) == len(given)
    assert used["account_id"].is_unique


def test_territories_agree_everywhere(sample_run):
    names = set(read_table(sample_run, "decisions/territory")["territory"])
    for name in (
        "decisions/rep",
        "decisions/channel",
        "decisions/goal",
        "plan/areas",
        "plan/timeline",
    ):
        assert set(read_table(sample_run, name)["territory"]) == names, name
    assert set(gpd.read_file(sample_run / "territories.geojson")["territory"]) == names
    assert set(read_table(sample_run, "scorecard")["territory"]) == names


def test_goals_and_budget_sum_to_the_grosz(sample_run):
    asked = json.loads((sample_run / "run.json").read_text(encoding="utf-8"))
    goal = read_table(sample_run, "decisions/goal")
    timeline = read_table(sample_run, "plan/timeline")
    others = sorted((sample_run / "overlays").iterdir())
    credited = sum(read_table(other, "decisions/goal")["amount"].sum() for other in others)
    assert credited > 0 and goal["amount"].sum() + credited == timeline["target"].sum()
    spent = read_table(sample_run, "decisions/budget")["amount"].sum()
    plan = read_table(sample_run, "plan/budget")
    assert plan.loc[plan["category"].isin(BY_CHANNEL), "amount"].sum() == spent
    reserve = plan.loc[plan["category"] == "contingency", "amount"].sum()
    assert spent + reserve == round(asked["asked"]["budget"]["total"] * 100)


def test_balance_recomputed_from_the_files(sample_run):
    asked = json.loads((sample_run / "run.json").read_text(encoding="utf-8"))["asked"]
    card = read_table(sample_run, "scorecard")
    for measure, tolerance in asked["territories"]["balance"].items():
        index = pd.to_numeric(card[f"{measure}_index"])
        assert (index - 1).abs().max() <= tolerance + 1e-6, measure
    assert (pd.to_numeric(card["pieces"]) == 1).all()
    assert read_table(sample_run, "checks")["ok"].eq("True").all()


def test_overrides_are_respected(sample_run):
    label = read_table(sample_run, "decisions/territory").set_index("unit_id")["territory"]
    fixed = read_table(sample_run, "decisions/overrides").set_index("unit_id")["territory"]
    assert len(fixed) and (label[fixed.index] == fixed).all()


def test_a_rerun_in_another_process_gives_the_same_bytes(sample_run, tmp_path):
    notes = json.loads((sample_run / "run.json").read_text(encoding="utf-8"))
    assert not differing(
        sample_run, plan_without_notebooks(f"{notes['data']}/settings.yml", tmp_path)
    )
    assert not list(sample_run.parent.glob(".*"))


def test_the_executed_copies_are_in_the_language_of_the_run(sample_run):
    for name in NOTEBOOKS:
        text = json.dumps(nbformat.read(sample_run / "notebooks" / f"{name}.ipynb", 4).cells[0])
        assert "Decyduje" in text and "Decides" not in text


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "accounts.csv").write_text(SMALLEST, encoding="utf-8")
    asked = ["plan", str(folder / "accounts.csv"), "--territories", "2", "--balance", "revenue:0.3"]
    assert main([*asked, "--out", str(folder / "reports")]) == 0
    return folder / "reports" / "accounts-undated"


def test_the_smallest_start_gives_territories_and_says_what_it_could_not_do(smallest):
    assert read_table(smallest, "decisions/territory")["territory"].nunique() == 2
    page = (smallest / "index.html").read_text(encoding="utf-8")
    assert "No reps given" in page and "No sales given" in page
    assert set(read_table(smallest, "decisions/rep")["rep_id"]) == {"VACANT"}


def test_text_from_data_stays_text(smallest):
    for path in smallest.rglob("*.html"):
        assert "<script>alert(1)" not in path.read_text(encoding="utf-8")
    for path in smallest.rglob("*.csv"):
        assert "\n=" not in path.read_text(encoding="utf-8")
        assert ",=" not in path.read_text(encoding="utf-8")


def test_a_finished_run_opens_as_a_draft(smallest, monkeypatch):
    run = open_run(str(smallest))
    assert run.folder.name.endswith("-draft") and run.folder != smallest
    assert run.read("decisions/territory").equals(read_table(smallest, "decisions/territory"))


def test_money_keeps_its_last_grosz_through_a_file(tmp_path):
    rows = pd.DataFrame({"territory": ["T1"], "quarter": ["2026Q4"], "amount": [12345678901234567]})
    write_table(tmp_path, "decisions/goal", rows)
    assert "123456789012345.67" in (tmp_path / "decisions/goal.csv").read_text(encoding="utf-8")
    assert read_table(tmp_path, "decisions/goal")["amount"].tolist() == [12345678901234567]


def test_a_missing_column_is_refused(tmp_path):
    with pytest.raises(PlanError, match="lacks the columns amount"):
        write_table(tmp_path, "decisions/goal", pd.DataFrame({"territory": [], "quarter": []}))


def test_where_nothing_is_known_of_potential_nothing_is_promised(smallest):
    page = (smallest / "index.html").read_text(encoding="utf-8")
    assert "No new sales can be forecast" in page
    areas = read_table(smallest, "plan/areas")
    assert not areas["decision"].eq("attack").any() and areas["prob_top"].eq(0).all()


def test_a_refused_plan_names_the_folder_it_leaves(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise InfeasibleError("no such map")

    (tmp_path / "a.csv").write_text("account_id,lat,lon\nA,52,21\nB,52.1,21\n")
    monkeypatch.setattr(pipeline, "execute", refuse)
    asked = ["plan", str(tmp_path / "a.csv"), "--territories", "1", "--out", str(tmp_path / "r")]
    assert main(asked) == 2
    (left,) = (tmp_path / "r").iterdir()
    said = capsys.readouterr().err
    assert "InfeasibleError: no such map\n" in said and f"{left};" in said
    (tmp_path / "a.csv").write_text("account_id,lat,lon\n")
    assert main([*asked[:-1], str(tmp_path / "none")]) == 2
    assert ".partial" not in capsys.readouterr().err
