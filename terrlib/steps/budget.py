"""How the customers are reached, what is spent where, and when areas are opened (notebook 4)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from terrlib import plan
from terrlib.decisions import (
    launch,
    spending,
    targeting,
    timeline,
)
from terrlib.inputs.market import VACANT
from terrlib.runs import (
    Run,
)
from terrlib.steps.customers import account_facts
from terrlib.steps.reps import reps, selling, sold_by, teams
from terrlib.steps.territories import territories


@cache
def split_budget(run: Run) -> spending.Spending:
    """Split the budget over territory and channel (notebook 04)."""
    return spending.split_budget(
        run.market, account_facts(run), territories(run).territory, run.settings, reps(run)
    )


def write_budget(run: Run) -> pd.DataFrame:
    """Write `decisions/budget.csv`; what is left unspent stands in a row of its own."""
    spent = split_budget(run)
    rows = spent.cells[["territory", "channel", "amount", "least", "most", "binding"]]
    if spent.unallocated:
        idle = {"territory": plan.UNALLOCATED, "channel": "", "amount": spent.unallocated}
        idle |= {"least": 0, "most": spent.unallocated, "binding": ""}
        rows = pd.concat([rows, pd.DataFrame([idle])], ignore_index=True)
    return run.write("decisions/budget", rows)


@cache
def doubt_budget(run: Run) -> spending.Doubt:
    """Tell how far the split of the budget can be trusted (notebook 04)."""
    return spending.doubt_of(split_budget(run), run.settings)


@cache
def target_areas(run: Run) -> pd.DataFrame:
    """Rank the areas by what new sales they promise: `plan/areas`."""
    return targeting.target_areas(
        run.market,
        account_facts(run),
        territories(run).territory,
        selling(run),
        run.settings,
        reps(run),
    )


@cache
def whole_budget(run: Run) -> pd.DataFrame:
    """Every cost of the plan by area and quarter: `plan/budget`."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return plan.budget(year_costs(run), reach_plan(run), quarters)


@cache
def year_costs(run: Run) -> pd.DataFrame:
    """Every cost of a year of the plan by area (notebook 04): see `plan.costs`."""
    return plan.costs(
        run.market,
        account_facts(run),
        territories(run).territory,
        teams(run),
        selling(run),
        target_areas(run),
        split_budget(run),
        reach_plan(run),
        run.settings,
    )


@cache
def area_results(run: Run) -> pd.DataFrame:
    """Profit and loss of every area (notebook 04)."""
    return plan.area_results(
        account_facts(run),
        territories(run).territory,
        sold_by(run),
        year_costs(run),
        reach_plan(run),
        run.market,
        run.settings,
    )


@cache
def reach_plan(run: Run) -> pd.DataFrame:
    """The reach plan with the quarters in which areas are opened: `plan/reach`."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters + 1)
    return launch.into_reach(_reached(run), launches(run), quarters)


@cache
def _reached(run: Run) -> pd.DataFrame:
    return plan.reach(
        run.market,
        account_facts(run),
        territories(run).territory,
        target_areas(run),
        split_budget(run),
        reps(run),
        run.settings,
    )


@cache
def launches(run: Run) -> pd.Series:
    """Choose the quarter in which each area to attack is opened: see `launch.waves` (notebook 05)."""
    areas = target_areas(run)
    rows = areas[(areas["decision"] == launch.LAUNCHED) & (areas["expected_contribution"] > 0)]
    spend = _reached(run).groupby(launch.KEYS)["spend"].sum()
    cost = spend.reindex(pd.MultiIndex.from_frame(rows[launch.KEYS])).fillna(0.0) / 100
    rows = rows.assign(value=rows["expected_contribution"] / 100, cost=cost.to_numpy(float))
    held, n = reps(run), run.settings.timeline.quarters
    vacant = held.loc[held["rep_id"] == VACANT, "territory"] if run.market.has("reps") else []
    given = np.full(n, float(rows["cost"].sum()) / n)
    return launch.waves(rows, n, run.settings, frozenset(vacant), given)


@cache
def launch_tasks(run: Run) -> pd.DataFrame:
    """Date the tasks of every area that is opened: see `launch.gantt` (notebook 05)."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return launch.gantt(launches(run), quarters, run.market.country, run.market.as_of)


def channel_name(run: Run, channel: str) -> str:
    """Name of a channel in the language of the run."""
    return str(run.market.channels.loc[channel, f"label_{run.words.locale}"])


def channel_names(run: Run) -> dict[str, str]:
    """Names of all channels in the language of the run."""
    return {channel: channel_name(run, channel) for channel in run.market.channels.index}
