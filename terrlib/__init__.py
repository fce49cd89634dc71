"""Plan sales territories: who sells where, to whom, how, for how much, and by when.

What a notebook needs stands here: `open_run`, the steps, the tables, `tell`, `charts` and `maps`.
"""

from terrlib import tell
from terrlib.runs import Run, open_run
from terrlib.show import charts, maps
from terrlib.steps import (
    account_facts,
    assign_reps,
    before,
    channel_names,
    choose_channels,
    draw_territories,
    find_segments,
    forecast_sales,
    hand_over,
    ideal_customers,
    review_run,
    rules,
    set_goals,
    split_budget,
    territories,
    white_space,
    win_rates,
    write_budget,
    write_goals,
    write_moves,
    write_plan,
    write_reps,
    write_segments,
    write_territories,
)
from terrlib.tables import (
    balance_numbers,
    budget_by_category,
    budget_numbers,
    channel_table,
    checks_table,
    customer_numbers,
    customer_table,
    drift_table,
    fan_table,
    findings,
    gained_and_lost,
    goal_numbers,
    goal_table,
    handover_table,
    headline_numbers,
    neighbor_lines,
    panel,
    plan_numbers,
    reach_by_channel,
    reach_table,
    rep_table,
    repair_table,
    review_numbers,
    staff_map,
    staffing_costs,
    staffing_numbers,
    target_table,
    top_areas,
    unit_table,
    workload_by_class,
)

__all__ = [
    "Run", "account_facts", "assign_reps", "balance_numbers", "before", "budget_by_category",
    "budget_numbers", "channel_names", "channel_table", "charts", "checks_table", "choose_channels",
    "customer_numbers", "customer_table", "draw_territories", "drift_table", "fan_table",
    "find_segments", "findings", "forecast_sales", "gained_and_lost", "goal_numbers", "goal_table",
    "hand_over", "handover_table", "headline_numbers", "ideal_customers", "maps", "neighbor_lines",
    "open_run", "panel", "plan_numbers", "reach_by_channel", "reach_table", "rep_table",
    "repair_table", "review_numbers", "review_run", "rules", "set_goals", "split_budget",
    "staff_map", "staffing_costs", "staffing_numbers", "target_table", "tell", "territories",
    "top_areas", "unit_table", "white_space", "win_rates", "workload_by_class", "write_budget",
    "write_goals", "write_moves", "write_plan", "write_reps", "write_segments", "write_territories",
]
