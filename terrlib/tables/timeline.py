"""What is shown of forecast and goals (notebook 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from terrlib import steps
from terrlib.runs import Run
from terrlib.show import charts
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence
from terrlib.tables.customers import TOP


def goal_numbers(run: Run) -> Shown:
    """Show goal and forecast of every quarter; the goals sum, the ranges do not."""
    kinds = {
        "quarter": "text",
        "target": "money0",
        "mean": "money0",
        "p10": "money0",
        "p90": "money0",
    }
    return table(fan_table(run), run.words, kinds)


def fan_table(run: Run) -> pd.DataFrame:
    """Forecast of the whole market by quarter beside the goal: quarter, target, mean, p10, p50, p90.

    target is NaN where nobody set a goal.
    """
    goal = steps.set_goals(run).table.groupby("quarter", as_index=False)["amount"].sum()
    goal["target"] = goal.pop("amount") / 100 if steps.goal_given(run) else float("nan")
    return steps.forecast_sales(run).total.merge(goal, on="quarter")


def goal_table(run: Run) -> pd.DataFrame:
    """Goal and forecast of every territory and quarter, in currency."""
    goal = steps.set_goals(run).table.rename(columns={"amount": "target"})
    goal["target"] = goal["target"] / 100
    return steps.forecast_sales(run).table.merge(goal, on=["territory", "quarter"])


def fan_chart(run: Run) -> go.Figure | Sentence:
    """Forecast with its range against the phased goal; nothing where nothing is expected."""
    rows = fan_table(run)
    if rows["mean"].sum() <= 0 and rows["target"].sum() <= 0:
        return Sentence("")
    return charts.fan(rows, run.words)


def backtest_chart(run: Run) -> go.Figure | Sentence:
    """Past forecasts of the next quarter beside what came; nothing where none can be made."""
    found = steps.backtest_forecast(run)
    if found.reason:
        return Sentence("")
    rows = found.rows[found.rows["step"] == 1]
    return charts.backtest(rows, run.words)


def waterfall_chart(run: Run) -> go.Figure | Sentence:
    """From the goal down to the forecast: where the gap is; nothing where nobody set a goal."""
    expected = steps.forecast_sales(run)
    parts = steps.set_goals(run).parts
    gap = (parts["bottom_up"] - parts["target"] / 100).set_axis(parts["territory"])
    if expected.year["mean"] <= 0 or not steps.goal_given(run):
        return NOTHING
    most = gap.abs().sort_values(ascending=False, kind="stable").index[:TOP]
    shown = gap[gap.index.isin(most)].sort_values(kind="stable")
    rows = [("goal", "absolute", float(parts["target"].sum()) / 100)]
    rows += [(str(name), "relative", float(x)) for name, x in shown.items()]
    if len(gap) > TOP:
        rows.append(("rest", "relative", float(gap[~gap.index.isin(most)].sum())))
    rows.append(("forecast", "total", expected.year["mean"]))
    return charts.waterfall(pd.DataFrame(rows, columns=["name", "kind", "amount"]), run.words)


def goal_chart(run: Run) -> go.Figure | Sentence:
    """Goal, expected sales and the chance to reach the quota, by territory."""
    if steps.forecast_sales(run).year["mean"] <= 0:
        return Sentence("")
    chance = steps.goal_stretch(run)[0].set_index("territory")["chance"]
    return charts.goals(goal_table(run), run.words, chance)


def payback_chart(run: Run) -> go.Figure | Sentence:
    """Margin of new sales with its range against the cost of the plan, from the start on."""
    expected, cost = steps.forecast_sales(run), steps.horizon_cost(run).sum()
    if expected.year["mean"] <= 0 or not cost.sum():
        return Sentence("")
    margin = run.settings.workload.margin
    draws = expected.draws.sum(axis=1, dtype=float).cumsum(axis=1) * margin
    low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
    rows = pd.DataFrame(
        {"quarter": cost.index, "low": low, "middle": middle, "high": high, "cost": cost.cumsum()}
    )
    return charts.payback(rows.reset_index(drop=True), run.words)


def matters_chart(run: Run) -> go.Figure | Sentence:
    """New sales at both ends of every assumption; nothing where nothing is expected."""
    rows = steps.what_matters(run)
    rows = rows[rows["swing"] > 0]
    if rows.empty:
        return Sentence("")
    return charts.tornado(rows, steps.forecast_sales(run).year["mean"], run.words)


def scenario_chart(run: Run) -> go.Figure | Sentence:
    """What other plans change in new sales, with the range draw by draw."""
    rows = steps.compare_scenarios(run)
    if rows["mean"].iloc[0] <= 0:
        return Sentence("")
    return charts.scenarios(rows.iloc[1:], run.words)
