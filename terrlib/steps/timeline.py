"""Forecast, goals, and what they hang on (notebook 5)."""

from __future__ import annotations

from functools import cache

import pandas as pd

from terrlib.decisions import (
    backtest,
    goals,
    launch,
    overlays,
    scenarios,
    timeline,
)
from terrlib.runs import (
    Run,
)
from terrlib.steps.budget import reach_plan, split_budget, whole_budget
from terrlib.steps.customers import account_facts, credit, overlay_runs
from terrlib.steps.reps import reps, selling
from terrlib.steps.territories import territories


@cache
def backtest_forecast(run: Run) -> backtest.Backtest:
    """Forecast again from past quarters (notebook 05)."""
    return backtest.backtest(run.market, run.settings)


@cache
def stage_scores(run: Run) -> dict[str, float]:
    """Score chances of past open deals with and without their stages: see `backtest.stage_scores`."""
    return backtest.stage_scores(run.market, run.settings)


@cache
def simple_rule(run: Run) -> dict[str, float] | None:
    """What a simple rule expects of the horizon, where it was closer in the past; else None."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return backtest.headline(run.market, backtest_forecast(run), quarters, run.settings)


def expected_year(run: Run) -> dict[str, float]:
    """New sales of the whole horizon as the headline gives them: mean, p10, p50, p90."""
    return simple_rule(run) or forecast_sales(run).year


def goal_given(run: Run) -> bool:
    """Whether anybody set a goal; else the plan's is what is expected."""
    return set_goals(run).basis != "forecast"


def goal_and_forecast(run: Run) -> dict[str, float]:
    """Compare the goal with the forecast of the headline: see `goals.reconciliation`."""
    return goals.reconciliation(set_goals(run), forecast_sales(run), simple_rule(run))


@cache
def forecast_sales(run: Run) -> timeline.Forecast:
    """Forecast new sales by territory and quarter, with ranges (notebook 05)."""
    return timeline.forecast(
        run.market,
        account_facts(run),
        territories(run).territory,
        reps(run),
        split_budget(run),
        run.settings,
        selling(run),
        starts(run),
        backtest_forecast(run).widen,
    )


def area_name(run: Run, territory: str, area_id: str) -> str:
    """Name of an area, or of the territory where there are none."""
    if not len(run.market.areas) or area_id not in run.market.areas.index:
        return territory
    return str(run.market.areas.loc[area_id, "name"])


def starts(run: Run) -> pd.Series:
    """Quarter of the horizon, from 0, in which the reach plan begins in each area."""
    reached = reach_plan(run)
    return reached.groupby(launch.KEYS)["wave"].first().astype(int) - 1


def horizon_cost(run: Run) -> pd.DataFrame:
    """Cost of the plan by territory and quarter, currency: see `plan.budget`."""
    rows = whole_budget(run)
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    names = sorted(territories(run).territory.unique())
    table = rows.pivot_table(index="territory", columns="quarter", values="amount", aggfunc="sum")
    return table.reindex(index=names, columns=quarters).astype(float).fillna(0.0) / 100


@cache
def break_even(run: Run) -> pd.DataFrame:
    """Say when new sales have paid for the plan: territory ("" is the whole), p10, p50, p90, chance."""
    expected, cost = forecast_sales(run), horizon_cost(run)
    quarters, margin = expected.parts.quarters, run.settings.workload.margin
    draws = expected.of_territories()
    rows = [
        {"territory": name}
        | timeline.break_even(draws[:, i], cost.loc[name].to_numpy(), margin, quarters)
        for i, name in enumerate(cost.index)
    ]
    whole = timeline.break_even(draws.sum(axis=1), cost.sum().to_numpy(), margin, quarters)
    return pd.DataFrame([{"territory": ""} | whole, *rows])


def _world(run: Run) -> scenarios.World:
    return scenarios.World(
        run.market,
        account_facts(run),
        territories(run).territory,
        reps(run),
        split_budget(run),
        run.settings,
        selling(run),
        starts(run),
        float(horizon_cost(run).to_numpy().sum()),
    )


@cache
def compare_scenarios(run: Run) -> pd.DataFrame:
    """Compare the plan with others that might be (notebook 05)."""
    return scenarios.compare(scenarios.scenarios(_world(run)), run.settings)


@cache
def what_matters(run: Run) -> pd.DataFrame:
    """Move every assumption by itself (notebook 05)."""
    return scenarios.tornado(_world(run))


@cache
def goal_stretch(run: Run) -> tuple[pd.DataFrame, dict[str, float]]:
    """Measure whether quotas are fair and within reach (notebook 05)."""
    territory = territories(run).territory
    return goals.stretch(set_goals(run), forecast_sales(run), account_facts(run), territory)


@cache
def set_goals(run: Run) -> goals.Goals:
    """Set the goal of every territory and quarter (notebook 05)."""
    return goals.set_goals(
        run.market,
        account_facts(run),
        territories(run).territory,
        forecast_sales(run),
        run.settings,
        reps(run),
        credited_to(run),
    )


def credited_to(run: Run) -> pd.DataFrame:
    """Where the sales of every account are credited: account_id -> team, territory of that team."""
    facts = account_facts(run)
    rows = pd.DataFrame({"team": credit(run)["revenue"]})
    rows["territory"] = facts["unit_id"].map(territories(run).territory)
    for name, one in overlay_runs(run).items():
        mine = rows.index[rows["team"] == name]
        served = account_facts(one)["unit_id"].map(territories(one).territory)
        rows.loc[mine, "territory"] = served.reindex(mine)
    return rows


def own_goals(run: Run) -> pd.DataFrame:
    """Goals credited to the territories of a run, or of an overlay: territory, quarter, amount.

    Of a run's own territories what its partners are asked is part.
    """
    rows = set_goals(run.field or run).credited
    mine = (overlays.FIELD, overlays.PARTNER) if run.field is None else (run.overlay,)
    rows = rows[rows["team"].isin(mine)]
    return rows.groupby(["territory", "quarter"], as_index=False)["amount"].sum()


def quotas(run: Run) -> pd.DataFrame:
    """What reps are asked: territory, rep_id, amount; of the run's own territories or an overlay's."""
    if run.field is None:
        return set_goals(run).quotas
    return goals.team_quotas(run.market, own_goals(run), reps(run), run.settings)


def write_goals(run: Run) -> pd.DataFrame:
    """Write `decisions/goal.csv` of the run and of every overlay: each coin where it is credited."""
    for one in overlay_runs(run).values():
        one.write("decisions/goal", own_goals(one))
    return run.write("decisions/goal", own_goals(run))
