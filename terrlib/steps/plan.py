"""The whole plan and its checks, the customer base, and what changed (notebooks 6 and 7)."""

from __future__ import annotations

from functools import cache

import pandas as pd

from terrlib import plan, review
from terrlib.checks import require
from terrlib.decisions import (
    targeting,
)
from terrlib.decisions import territories as drawing
from terrlib.measures import profile
from terrlib.runs import (
    Run,
    finished_run,
    read_table,
)
from terrlib.show.words import Sentence
from terrlib.steps.budget import reach_plan, target_areas, whole_budget, write_budget
from terrlib.steps.customers import account_facts, counted, overlay_runs, write_segments
from terrlib.steps.reps import account_owner, hand_over, selling, sold_by, write_reps
from terrlib.steps.territories import (
    overlay_checks,
    region_checks,
    rules,
    territories,
    unit_measures,
    write_territories,
)
from terrlib.steps.timeline import forecast_sales, set_goals, write_goals


def before(run: Run, *decisions: str) -> Sentence:
    """Say which earlier decisions this run lacks, so that they are computed here.

    Parameters
    ----------
    run
        The run that is open.
    *decisions
        Names under `decisions/`.
    """
    missing = [name for name in decisions if not run.holds(f"decisions/{name}")]
    if not missing:
        return run.words.say("before.all_there")
    names = ", ".join(run.words.label(name) for name in missing)
    return run.words.say("before.computed_here", names=names)


@cache
def assemble_plan(run: Run) -> dict[str, pd.DataFrame]:
    """Put the five tables together (notebook 06)."""
    facts, territory = account_facts(run), territories(run).territory
    return {
        "plan/areas": target_areas(run),
        "plan/customers": plan.customer_base(run.market, facts, territory),
        "plan/reach": reach_plan(run),
        "plan/budget": whole_budget(run),
        "plan/timeline": plan.timeline(set_goals(run).table, forecast_sales(run)),
        "accounts": plan.accounts(
            run.market,
            facts,
            territory,
            account_owner(run),
            sold_by(run),
        ),
    }


def write_plan(run: Run) -> pd.DataFrame:
    """Write the five tables and what a CRM imports; every check is recomputed from the files.

    Decisions that the folder lacks are written first, so that a plan alone is whole.
    """
    _write_missing(run)
    for name, rows in assemble_plan(run).items():
        run.write(name, rows)
    checks = check_run(run)
    run.write("checks", checks)
    return checks


def _write_missing(run: Run) -> None:
    """Write the decisions that this folder lacks: those it starts from, else as made here."""
    for decision, write in DECISIONS.items():
        name = f"decisions/{decision}"
        if not _there(run, name):
            if not run.has(name):
                write(run)
                continue
            for one in (run, *overlay_runs(run).values()):
                for file in (name, *BESIDE.get(decision, ())):
                    if one.holds(file):
                        one.write(file, one.read(file))


def check_run(run: Run) -> pd.DataFrame:
    """Recompute every check of a run from its written files.

    Raises
    ------
    PlanError
        If one does not hold.
    """
    tables = {name: read_table(run.folder, name) for name in plan.COLUMNS if _there(run, name)}
    label = tables["decisions/territory"].set_index("unit_id")["territory"]
    label = label.reindex(run.market.units.index)
    found = drawing.checks(run.market, unit_measures(run), label, rules(run))
    rolled = region_checks(run, read_table(run.folder, "region")) if _there(run, "region") else []
    teams_ = [one.folder for one in overlay_runs(run).values()]
    elsewhere = sum(int(read_table(f, "decisions/goal")["amount"].sum()) for f in teams_)
    return require([*found, *rolled, *overlay_checks(run), *plan.check_plan(tables, elsewhere)])


def _there(run: Run, name: str) -> bool:
    return (run.folder / f"{name}.csv").is_file()


@cache
def review_run(run: Run, last_run: str = "") -> review.Review:
    """Compare with an earlier run, and propose what to change (notebook 07)."""
    last = {}
    if last_run:
        root = finished_run(last_run)
        names = ("decisions/territory", "accounts", "scorecard")
        last = {name: read_table(root, name) for name in names}
    return review.review(
        last,
        run.market,
        account_facts(run),
        unit_measures(run),
        territories(run).territory,
        rules(run),
    )


def write_moves(run: Run) -> pd.DataFrame:
    """Write `decisions/moves.csv`: every account that changes hands, and why."""
    return run.write("decisions/moves", hand_over(run))


# What is written with a decision.
BESIDE = {"territory": ("scorecard", "scorecard_present", "region"), "rep": ("accounts",)}
DECISIONS = {
    "segment": write_segments,
    "territory": write_territories,
    "rep": write_reps,
    "channel": write_reps,
    "budget": write_budget,
    "goal": write_goals,
    "moves": write_moves,
}


def groups(run: Run, dimension: str) -> pd.Series:
    """account_id -> its group along a dimension.

    Parameters
    ----------
    run
        The run.
    dimension
        A column of `account_facts`; territory: as decided in the run, else that of today, "" where
        neither is known; channel: of the territory, as decided in the run, else "".
    """
    facts = account_facts(run)
    if dimension not in ("territory", "channel"):
        return facts[dimension]
    decided = run.has("decisions/territory")
    today = run.market.assignments.drop_duplicates("account_id").set_index("account_id")[
        "territory"
    ]
    of = facts["unit_id"].map(territories(run).territory) if decided else facts.index.map(today)
    found = pd.Series(of, index=facts.index)
    if dimension == "channel":
        known = decided and run.has("decisions/channel")
        found = found.map(selling(run).set_index("territory")["channel"] if known else {})
    return found.astype(object).fillna("").rename(dimension)


@cache
def customer_base(run: Run) -> pd.DataFrame:
    """Describe the customer base of every territory: see `profile.area_profile`.

    One column more: elsewhere, the revenue that counts in an overlay or with an exclusive partner.
    """
    facts, territory = account_facts(run), territories(run).territory
    other = facts["revenue"] - counted(run)["revenue"]
    return profile.area_profile(run.market, facts, territory).assign(
        elsewhere=lambda base: base["territory"].map(
            other.groupby(facts["unit_id"].map(territory)).sum().round(2)
        )
    )


@cache
def attractiveness(run: Run) -> pd.DataFrame:
    """How attractive every area is against our ability to win there, with what is decided."""
    areas = assemble_plan(run)["plan/areas"][["territory", "area_id", "decision", "rank"]]
    found = targeting.attractiveness(run.market, account_facts(run), territories(run).territory)
    return found.merge(areas, on=["territory", "area_id"], validate="one_to_one")
