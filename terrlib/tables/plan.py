"""What is shown of the whole plan and since the last one (notebooks 0, 6 and 7)."""

from __future__ import annotations

import re

import geopandas as gpd
import pandas as pd

from terrlib import steps
from terrlib.runs import Run
from terrlib.show import briefs
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence
from terrlib.tables.customers import TOP, numbers, span, told, with_area_names

LABELLED = 6
BASE = {
    "town": "text",
    "n_customers": "number",
    "n_prospects": "number",
    "revenue": "short",
    "elsewhere": "short",
    "growth_rate": "percent1",
    "abc_a_share": "percent",
    "potential": "short",
    "white_space": "short",
}
CHANCES = {
    "p_base": "text",
    "cycle_m": "number",
    "consent_email_rate": "percent",
    "consent_phone_rate": "percent",
    "distributor_coverage": "percent",
}


def headline_numbers(run: Run) -> Shown:
    """Show the plan in six numbers."""
    drawn, year = steps.territories(run), steps.expected_year(run)
    return numbers(
        run,
        {
            "territories": "number",
            "accounts": "number",
            "revenue": "money0",
            "goal": "money0",
            "expected": "money0",
            "budget": "money0",
        },
        territories=len(drawn.card),
        accounts=int(drawn.card["accounts"].sum()),
        revenue=float(steps.account_facts(run)["revenue"].sum()),
        goal=steps.goal_and_forecast(run)["top_down"] if steps.goal_given(run) else None,
        expected=year["mean"],
        budget=steps.split_budget(run).total / 100,
    )


def plan_numbers(run: Run) -> Shown:
    """Show how many rows each of the five tables has."""
    plan = steps.assemble_plan(run)
    rows = [(run.words.label(name), len(plan[name])) for name in plan if name.startswith("plan/")]
    found = pd.DataFrame(rows, columns=["table", "rows"])
    return table(found, run.words, {"table": "text", "rows": "number"})


def review_numbers(run: Run, last_run: str = "") -> Shown:
    """Show the review in four numbers."""
    review = steps.review_run(run, last_run)
    return numbers(
        run,
        {"gained": "number", "lost": "number", "outside": "number", "moved_accounts": "number"},
        gained=len(review.gained),
        lost=len(review.lost),
        outside=review.drift.loc[~review.drift["ok"], "territory"].nunique(),
        moved_accounts=len(steps.changes(run)),
    )


def attractive_areas(run: Run) -> pd.DataFrame:
    """Areas by attractiveness and ability to win with their decision; the best ranked have a label.

    `above` says whether it stands above or below.
    """
    rows = with_area_names(run, steps.attractiveness(run)).sort_values("potential", ascending=False)
    rows = rows.assign(label=rows["area"].where(rows["rank"] <= LABELLED, ""), above=True)
    # Names of neighbours stand above and below in turn, so that fewer of them meet.
    named = rows[rows["label"] != ""].sort_values(["ability", "area"]).index
    rows.loc[named[1::2], "above"] = False
    return rows


def customer_paragraphs(run: Run) -> Sentence:
    """Describe the customer base of every territory, a paragraph each."""
    names = steps.customer_base(run)["territory"]
    return Sentence("\n\n".join(customer_paragraph(run, str(name)) for name in names))


def customer_paragraph(run: Run, territory: str) -> Sentence:
    """Describe the customer base of one territory: every number is in `steps.customer_base`."""
    rows, town = steps.customer_base(run), steps.territories(run).card["town"].get(territory)
    titled = f"{territory} · {town}" if town else territory
    row = rows[rows["territory"] == territory].iloc[0]
    return briefs.area_paragraph(run.words, titled, row)


def target_table(run: Run) -> gpd.GeoDataFrame:
    """Areas with their decision and geometry: territories where there are no areas."""
    rows = with_area_names(run, steps.assemble_plan(run)["plan/areas"])
    money = ["expected_contribution", "low", "high"]
    rows[money] = rows[money] / 100
    if len(run.market.areas):
        shapes = run.market.areas[["geometry"]].rename_axis("area_id").reset_index()
        return gpd.GeoDataFrame(shapes.merge(rows, on="area_id"), crs=shapes.crs)
    shapes = steps.territories(run).map[["territory", "geometry"]]
    return gpd.GeoDataFrame(shapes.merge(rows, on="territory"), crs=shapes.crs)


def top_areas(run: Run, n: int = TOP) -> Shown:
    """Show the best target areas."""
    rows = with_area_names(run, steps.assemble_plan(run)["plan/areas"]).sort_values("rank")
    money = ["expected_contribution", "low", "high"]
    rows[money] = rows[money] / 100
    rows = told(rows, *money, "prob_top")
    kinds = {
        "rank": "number",
        "area": "text",
        "territory": "text",
        "decision": "label",
        "expected_contribution": "money0",
        "low": "money0",
        "high": "money0",
        "prob_top": "percent",
        "reason": "label",
    }
    return table(rows.head(n), run.words, kinds)


def customer_table(run: Run) -> Shown:
    """Show the customer base by territory: the numbers of its paragraph."""
    rows = told(steps.customer_base(run), "revenue", "potential")
    rows["white_space"] = rows["white_space"].where(rows["potential"].notna())
    rows["town"] = rows["territory"].map(steps.territories(run).card["town"])
    rows["elsewhere"] = rows["elsewhere"].where(rows["elsewhere"] > 0)
    rows["p_base"] = [
        span(run, "percent", r.p_win, r.p_win_low, r.p_win_high) or None for r in rows.itertuples()
    ]
    known = rows.columns[rows.notna().any()]
    # In one table they would not fit the page.
    return Shown(
        "".join(
            table(rows, run.words, {"territory": "text"} | {c: k[c] for c in k if c in known})
            for k in (BASE, CHANCES)
        )
    )


def gained_and_lost(run: Run, last_run: str = "") -> Shown | Sentence:
    """Show the accounts gained and lost since the earlier run; nothing where there is none."""
    review = steps.review_run(run, last_run)
    if not review.compared:
        return NOTHING
    rows = pd.concat([review.gained.assign(change="gained"), review.lost.assign(change="lost")])
    kinds = {"change": "label", "account_id": "text", "name": "text", "territory": "text"}
    return table(rows, run.words, kinds, limit=TOP)


def drift_table(run: Run, last_run: str = "") -> Shown:
    """Show how far each territory of the alignment in force is from its fair share."""
    kinds = {"territory": "text", "measure": "label", "index": "percent", "tolerance": "percent"}
    rows = steps.review_run(run, last_run).drift
    return table(rows[~rows["ok"]], run.words, kinds)


def repair_table(run: Run, last_run: str = "") -> Shown:
    """Show the cheapest single move that helps each territory outside its tolerance."""
    kinds = {
        "territory": "text",
        "unit_id": "text",
        "unit_name": "text",
        "from_territory": "text",
        "to_territory": "text",
        "measure": "label",
        "index_before": "percent",
        "index_after": "percent",
    }
    rows = steps.review_run(run, last_run).repairs
    return table(
        rows.assign(unit_name=rows["unit_id"].map(run.market.units["name"])), run.words, kinds
    )


def checks_table(run: Run, checks: pd.DataFrame) -> Shown:
    """Show every check with its value and limit."""
    rows = checks.assign(
        check=[_check_name(run, str(name)) for name in checks["check"]],
        ok=["yes" if ok else "no" for ok in checks["ok"]],
        **{c: [_decimals(run, str(text)) for text in checks[c]] for c in ("value", "limit")},
    )
    return table(
        rows, run.words, {"check": "text", "ok": "label", "value": "text", "limit": "text"}
    )


def _check_name(run: Run, name: str) -> str:
    """Name of a check; of one that regions or overlays have to pass as territories do, both."""
    what, _, rule = name.partition(".")
    whole = run.words.label(f"check.{name}")
    if what in ("regions", "overlay"):
        return f"{run.words.label(f'check.{what}')}: {run.words.label(f'check.{rule}')}"
    return whole


def _decimals(run: Run, text: str) -> str:
    """Write decimal points as the reader does; the rest of the text is left."""
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text) if run.words.locale == "pl" else text
