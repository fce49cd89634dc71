"""Plan sales territories: who sells where, to whom, how, for how much, and by when.

What a notebook needs stands here: `open_run`, the steps, the tables, `tell`, `charts` and `maps`.
Each is imported when it is first asked for, so that no command waits for what it does not use.
"""

from importlib import import_module
from typing import Any

_MODULES = {"tell": "terrlib.tell", "charts": "terrlib.show.charts", "maps": "terrlib.show.maps"}
_NAMES = {
    "runs": "Run open_run",
    "steps": """
        account_facts assign_reps before channel_names choose_channels draw_territories
        find_segments forecast_sales hand_over review_run rules set_goals split_budget
        territories write_budget write_goals write_moves write_plan write_reps write_segments
        write_territories
    """,
    "tables": """
        attractive_areas backtest_chart balance_numbers band_chart budget_by_category
        budget_chart budget_numbers channel_table checks_table concentration_table
        concentration_tables consent_chart cost_chart count_table coverage_table
        customer_numbers customer_paragraphs customer_table cycle_chart deal_tables drift_table
        fairness_chart fairness_table fan_chart fan_table frontier_table gain_table
        gained_and_lost goal_chart goal_numbers goal_table handover_table headline_numbers
        ideal_chart launch_chart lock_table matters_chart neighbor_lines nine_fields_chart panel
        pareto_chart payback_chart plan_numbers quality_chart reach_chart reach_table
        region_table rep_table repair_table response_chart result_chart review_numbers
        rhythm_chart scenario_chart segment_chart sizing_chart sizing_table staff_map
        staffing_numbers target_table team_map top_areas total_chart trust_tables unit_table
        waterfall_chart white_space_chart white_space_map win_rate_chart workload_by_class
    """,
}
_HOMES = {name: f"terrlib.{home}" for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"terrlib has no {name!r}")


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_HOMES])
