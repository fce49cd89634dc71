"""What is shown of reach, budget and launches (notebook 4)."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from terrlib import steps
from terrlib.decisions.spending import channel_curves
from terrlib.plan import COSTS
from terrlib.runs import Run
from terrlib.show import charts
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence

BANDS = 15


def budget_numbers(run: Run) -> Shown | Sentence:
    """Show the budget by channel; nothing where there are no channels."""
    if not run.market.has("channels"):
        return NOTHING
    return table(reach_by_channel(run), run.words, REACH)


REACH = {
    "channel_name": "text",
    "reachable": "number",
    "no_consent": "number",
    "amount": "money0",
    "leads": "number",
    "wins": "number",
    "sales": "money0",
    "cost_per_lead": "money0",
    "cost_per_win": "money0",
    "evidence": "label",
}


def reach_by_channel(run: Run) -> pd.DataFrame:
    """Reach, spend and expected result of every channel; amounts in currency."""
    cells = steps.split_budget(run).cells
    columns = ["reachable", "outside", "no_consent", "amount", "leads", "wins", "sales"]
    by = cells.groupby("channel", as_index=False)
    rows = by[columns].sum().merge(by["evidence"].first(), on="channel")
    rows["amount"] = rows["amount"] / 100
    for what in ("lead", "win"):
        some = rows[f"{what}s"].where((rows[f"{what}s"] > 0) & (rows["amount"] > 0))
        rows[f"cost_per_{what}"] = rows["amount"] / some
    rows["channel_name"] = [steps.channel_name(run, channel) for channel in rows["channel"]]
    return rows


def reach_chart(run: Run) -> go.Figure | Sentence:
    """Draw whom each channel can reach, and who has not consented."""
    rows = reach_by_channel(run)
    return charts.reach(rows, run.words) if len(rows) else NOTHING


def consent_chart(run: Run) -> go.Figure | Sentence:
    """Draw what the missing consents are worth."""
    rows = steps.split_budget(run).reach.consents
    rows = rows.groupby("consent", as_index=False)[["accounts", "value"]].sum()
    return charts.consents(rows, run.words) if len(rows) else NOTHING


def response_chart(run: Run) -> go.Figure | Sentence:
    """Draw the response curve of every channel, with what it rests on."""
    rows = channel_curves(steps.split_budget(run))
    return charts.responses(rows, run.words, steps.channel_names(run)) if len(rows) else NOTHING


def budget_chart(run: Run) -> go.Figure | Sentence:
    """Draw the budget by territory and channel, with what the next unit of money would return."""
    spent = steps.split_budget(run)
    if not spent.total:
        return NOTHING
    return charts.budget_heat(spent.cells, run.words, steps.channel_names(run))


def total_chart(run: Run) -> go.Figure | Sentence:
    """Draw what smaller and larger budgets would bring."""
    rows = steps.doubt_budget(run).totals
    if not len(rows):
        return NOTHING
    planned = rows["total"] == steps.split_budget(run).spendable
    return charts.budget_totals(rows.assign(planned=planned), run.words)


def band_chart(run: Run) -> go.Figure | Sentence:
    """Draw how far the largest amounts could be changed for next to nothing."""
    rows = steps.doubt_budget(run).band
    if not len(rows):
        return NOTHING
    rows = rows[rows["amount"] > 0].nlargest(BANDS, "amount")
    names = rows["channel"].map(steps.channel_names(run))
    return charts.budget_band(rows.assign(name=rows["territory"] + " · " + names), run.words)


def result_chart(run: Run) -> go.Figure | Sentence:
    """Draw profit and loss of every territory: what comes in above the line, costs below."""
    rows = steps.area_results(run).groupby("territory").sum(numeric_only=True) / 100
    if not len(rows):
        return NOTHING
    rows[COSTS] = -rows[COSTS]
    return charts.area_results(rows.reset_index(), run.words)


def launch_chart(run: Run) -> go.Figure | Sentence:
    """Tasks of every wave of new areas on the calendar; nothing where none is opened."""
    tasks = steps.launch_tasks(run)
    if tasks.empty:
        return Sentence("")
    place = zip(tasks["territory"], tasks["area_id"], strict=True)
    rows = tasks.assign(area=[steps.area_name(run, *p) for p in place])
    quarters = steps.forecast_sales(run).parts.quarters
    by = rows.groupby(["wave", "task", "start", "end", "owner"], as_index=False, sort=False)
    found = by["area"].agg(", ".join)
    found["quarter"] = [quarters[w - 1] for w in found["wave"]]
    return charts.gantt(found, run.words)


def budget_by_category(run: Run) -> pd.DataFrame:
    """Budget of the whole plan by category and quarter, in currency."""
    rows = steps.assemble_plan(run)["plan/budget"]
    found = rows.groupby(["category", "quarter"], as_index=False)["amount"].sum()
    return found.assign(amount=found["amount"] / 100)


def reach_table(run: Run) -> Shown | Sentence:
    """Show how each channel reaches the customers, or say that there are no channels."""
    if not run.market.has("channels"):
        return run.words.say("missing.channels")
    return table(reach_by_channel(run), run.words, REACH)
