"""What is said of the plan as a whole, and since the last one (notebooks 0, 6 and 7)."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.decisions.moves import SEEN
from terrlib.decisions.targeting import CERTAIN, SOUGHT
from terrlib.decisions.timeline import RANGE
from terrlib.inputs.market import VACANT
from terrlib.inputs.settings import TABLES
from terrlib.review import Review
from terrlib.runs import Run
from terrlib.show.words import Sentence, joined
from terrlib.tell.customers import NAMED


def headline(run: Run) -> Sentence:
    """Say the whole plan in a sentence: territories, expected sales with their range, the goal."""
    say, card = run.words.say, steps.territories(run).card
    revenue = float(steps.account_facts(run)["revenue"].sum())
    drawn_ = say(
        "headline.territories" if revenue else "headline.territories_bare",
        n=len(card),
        accounts=int(card["accounts"].sum()),
        **({"revenue": revenue} if revenue else {}),
    )
    year = steps.expected_year(run)
    if year["mean"] <= 0:
        return joined(drawn_, say("headline.no_forecast"))
    expected = say(
        "headline.forecast",
        quarters=len(steps.forecast_sales(run).total),
        mean=year["mean"],
        low=year["p10"],
        high=year["p90"],
        sure=RANGE,
    )
    if not steps.goal_given(run):
        return joined(drawn_, expected, say("headline.no_goal"))
    seen = steps.goal_and_forecast(run)
    return joined(
        drawn_, expected, say("headline.goal", goal=seen["top_down"], chance=seen["chance"])
    )


def missing(run: Run) -> Sentence:
    """Say in one sentence each what could not be done for lack of tables."""
    say = run.words.say
    absent = [name for name in TABLES if name not in run.market.given and name in _NEEDED]
    if not absent:
        return say("missing.nothing")
    return Sentence("\n".join(f"- {say(f'missing.{name}')}" for name in absent))


_NEEDED = ("reps", "sales", "opportunities", "areas", "channels", "distributors", "assignments")


def targets(run: Run) -> Sentence:
    """Say in how many areas new sales are sought, what they promise, and how sure the first are."""
    areas = steps.assemble_plan(run)["plan/areas"]
    sought = areas[areas["decision"].isin(SOUGHT)]
    if not len(sought) or not sought["expected_contribution"].sum():
        return run.words.say("headline.no_forecast")
    first = sought.sort_values("rank").iloc[0]
    names = run.market.areas["name"] if len(run.market.areas) else {}
    return run.words.say(
        "targets.sought",
        n=len(sought),
        share=float(sought["expected_contribution"].sum() / areas["expected_contribution"].sum()),
        first=str(names.get(first["area_id"], first["territory"])),
        money=int(first["expected_contribution"]) / 100,
        low=int(first["low"]) / 100,
        high=int(first["high"]) / 100,
        certain=int((sought["prob_top"] >= CERTAIN).sum()),
        sure=CERTAIN,
    )


def checks(run: Run, table: pd.DataFrame) -> Sentence:
    """Say that every check holds."""
    return run.words.say("checks.all", n=len(table), ok=int(table["ok"].sum()))


def written(run: Run, name: str, rows: pd.DataFrame) -> Sentence:
    """Say which file was written, and with how many rows."""
    return run.words.say("run.written", file=f"{name}.csv", n=len(rows))


def gained_and_lost(run: Run, review: Review) -> Sentence:
    """Say how many accounts came and went since the earlier run."""
    if not review.compared:
        return run.words.say("review.first")
    said = run.words.say("review.accounts", gained=len(review.gained), lost=len(review.lost))
    return joined(said, apart(run, review))


def apart(run: Run, review: Review) -> Sentence:
    """Say of how many accounts the earlier run and who holds them today disagree, and of which."""
    if review.apart.empty:
        return Sentence("")
    names = run.market.accounts["name"]
    first = [
        run.words.say(
            "review.one_apart",
            name=str(names[row.account_id]),
            planned=row.planned or run.words.label(VACANT),
            held=row.held or run.words.label("nobody"),
        )
        for row in review.apart.head(NAMED).itertuples(index=False)
    ]
    return run.words.say("review.apart", n=len(review.apart), first="; ".join(first))


def drift(run: Run, review: Review) -> Sentence:
    """Say which territories of the alignment in force are outside their tolerance."""
    names = review.drift.loc[~review.drift["ok"], "territory"].unique()
    key = "review.drift" if len(names) else "review.no_drift"
    said = run.words.say(key, n=len(names), names=", ".join(map(str, names)))
    if not review.filled:
        return said
    whole = "review.whole_plan" if review.compared else "review.whole_today"
    return joined(said, run.words.say(whole, n=review.filled))


def repairs(run: Run, review: Review) -> Sentence:
    """Say which single moves would help, and for how many territories none does."""
    helped = review.repairs["territory"].nunique() if len(review.repairs) else 0
    outside = review.drift.loc[~review.drift["ok"], "territory"].nunique()
    if not outside:
        return run.words.say("review.nothing_to_repair")
    return run.words.say("review.repairs", helped=helped, outside=outside, seen=SEEN)
