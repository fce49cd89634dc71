"""What notebook 05 answers: on 30 firms that tell nothing, on worlds in the head, on the sample."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from terrlib import steps, tables, tell
from terrlib.decisions.goals import COVER
from terrlib.inputs.settings import Settings
from terrlib.plan import timeline
from terrlib.runs import Run
from terrlib.show import charts
from terrlib.show.words import Words
from tests.test_backtest import seasons
from tests.test_timeline import CHANNEL, deal
from tests.worlds import line_market

CHARTS = [
    tables.fan_chart,
    tables.backtest_chart,
    tables.waterfall_chart,
    tables.goal_chart,
    tables.launch_chart,
    tables.payback_chart,
    tables.matters_chart,
    tables.scenario_chart,
]
ANSWERS = [
    tell.forecast,
    tell.backtest,
    tell.goals,
    tell.stretch,
    tell.launches,
    tell.payback,
    tell.matters,
    tell.scenarios,
]


def run_of(folder, market, locale="en", **asked):
    settings = Settings(**{"territories": {"count": 2}, "timeline": {"draws": 500}} | asked)
    return Run("x", folder, None, settings, market, Words(locale, "PLN"))


@pytest.mark.parametrize("locale", ["pl", "en"])
def test_thirty_firms_and_nothing_else_say_what_cannot_be_known(tmp_path, locale):
    run = run_of(tmp_path, line_market([0.0] * 30, quarter="undated", as_of=None), locale)
    assert [chart(run) for chart in CHARTS] == [""] * len(CHARTS)
    assert all(answer(run) for answer in ANSWERS)
    written = timeline(steps.set_goals(run).table, steps.forecast_sales(run))
    assert len(written) == 8 and written[["target", "mean", "p90"]].to_numpy().sum() == 0


def busy(**given):
    """Six firms, a record of three years, two reps of whom one has just come, a channel."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(360):
        day = pd.Timestamp("2023-10-01") + pd.Timedelta(days=3 * i)
        end = day + pd.Timedelta(days=int(rng.integers(30, 200)))
        known = end <= pd.Timestamp("2026-09-30")
        rows.append(deal(i, day, end if known else None, known and i % 3 == 0,
                         float(rng.integers(50, 500)), f"A-{'abcdef'[i % 6]}"))  # fmt: skip
    told = {
        "opportunities": rows,
        "channels": [CHANNEL | {"fixed_cost": 0.0, "cost_per_contact": 1.0, "max_contacts": 5.0,
                                "label_pl": "Telefon", "label_en": "Phone"}],
        "reps": [
            {"rep_id": "R1", "name": "Ann", "home_lat": 52.0, "home_lon": 19.0, "fte": 1.0},
            {"rep_id": "R2", "name": "Bob", "home_lat": 52.0, "home_lon": 19.5, "fte": 1.0,
             "hired": pd.Timestamp("2026-10-01")},
        ],
    }  # fmt: skip
    firms = [{"potential": p} for p in (9000.0, 8000.0, 7000.0, 9000.0, 8000.0, 7000.0)]
    return line_market([900.0, 0, 500, 0, 700, 0], accounts=firms, **told | given)


def test_one_quarter_of_everything_is_said_and_drawn(tmp_path):
    for locale in ("pl", "en"):
        run = run_of(tmp_path, busy(), locale, budget={"total": 1000}, goals={"total": 60_000})
        said = [answer(run) for answer in ANSWERS]
        assert all(said) and len(set(map(str, said))) == len(ANSWERS)
        drawn = [chart(run) for chart in CHARTS]
        assert sum(isinstance(figure, go.Figure) for figure in drawn) >= 7
        assert ("do not carry this goal" in said[2]) == (locale == "en")
    quotas = steps.set_goals(run).quotas
    assert (quotas["rep_id"] == COVER).sum() == 1
    assert quotas["amount"].sum() == round(60_000_00 * 1.05)
    assert "somebody has to cover it" in tell.goals(run)


def test_the_timeline_has_goals_to_the_grosz_and_means_that_add_up(tmp_path):
    run = run_of(tmp_path, busy(), budget={"total": 1000}, goals={"total": 4_000.01})
    expected, goals = steps.forecast_sales(run), steps.set_goals(run)
    written = timeline(goals.table, expected)
    assert written["target"].sum() == 4_000_01
    assert abs(written["mean"].sum() / 100 - expected.year["mean"]) < 0.01 * len(written)
    assert (written["p10"] <= written["p50"]).all() and (written["p50"] <= written["p90"]).all()


def test_where_a_simple_rule_was_closer_the_headline_is_the_rules(tmp_path):
    market = seasons()
    run = run_of(tmp_path, market, territories={"count": 1})
    assert steps.expected_year(run)["mean"] == 3000
    if steps.forecast_sales(run).year["mean"] > 0:
        assert "a simple rule (the same quarter of last year) was closer" in tell.forecast(run)
    assert "A simple rule" in tell.backtest(run)


def test_areas_are_opened_where_the_plan_says_so(tmp_path):
    run = run_of(tmp_path, busy(), budget={"total": 1000})
    start, reached = steps.launches(run), steps.reach_plan(run)
    attacked = steps.target_areas(run).query("decision == 'attack'")
    assert len(start) <= len(attacked)
    for place, quarter in start.items():
        mine = reached[(reached["territory"] == place[0]) & (reached["area_id"] == place[1])]
        assert (mine["wave"] == quarter + 1).all()
    assert (steps.starts(run) >= 0).all()


def test_names_from_data_are_escaped_in_charts():
    words = Words("en", "PLN")
    rows = pd.DataFrame(
        {"name": ["goal", "<b>x", "forecast"], "kind": ["absolute", "relative", "total"],
         "amount": [5.0, -1.0, 4.0]}
    )  # fmt: skip
    assert charts.waterfall(rows, words).data[0].x[1] == "&lt;b&gt;x"
    tasks = pd.DataFrame(
        [{"wave": 1, "quarter": "2026Q4", "task": "review", "start": pd.Timestamp("2026-10-01"),
          "end": pd.Timestamp("2026-10-02"), "owner": "manager", "area": "<script>"}]
    )  # fmt: skip
    assert "<script>" not in str(charts.gantt(tasks, words).to_json())
