"""What is shown of reps, teams and partners (notebook 3)."""

from __future__ import annotations

import folium
import pandas as pd
import plotly.graph_objects as go

from terrlib import steps, tell
from terrlib.decisions.overlays import PARTNER
from terrlib.decisions.staffing import away, owner_of
from terrlib.inputs.market import VACANT
from terrlib.inputs.settings import FIELD
from terrlib.measures.fairness import by_group
from terrlib.runs import Run
from terrlib.show import charts, maps
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence
from terrlib.tables.customers import TOP, numbers


def staffing_numbers(run: Run) -> Shown:
    """Show the assignment in four numbers."""
    staffing, moves = steps.assign_reps(run), steps.changes(run)
    return numbers(
        run,
        {
            "territories": "number",
            "vacant": "number",
            "moved_accounts": "number",
            "moved_revenue": "money0",
        },
        territories=len(staffing.rep),
        vacant=int((staffing.rep["rep_id"] == VACANT).sum()),
        moved_accounts=len(moves),
        moved_revenue=float(moves["revenue"].sum()),
    )


def cost_chart(run: Run) -> go.Figure | Sentence:
    """Draw what the pairs cost, by what it is for, and their sum beside that of today's pairs."""
    found, keys = steps.assign_reps(run), ["territory", "rep_id"]
    plan = found.costs.merge(found.rep, on=keys)
    if plan.empty:
        return NOTHING
    today = found.costs.merge(found.present, on=keys)
    today = today if run.market.has("assignments") else today.iloc[:0]
    return charts.costs(plan, today, run.words)


def rep_names(run: Run) -> pd.Series:
    """rep_id -> name, those of overlays and the managers too."""
    both = [t["name"] for t in (run.market.reps, run.market.specialists) if len(t)]
    return pd.concat(both) if both else pd.Series(dtype=str)


def rep_table(run: Run) -> Shown:
    """Show who takes which territory, its hours, what the next best plan costs more, who takes over."""
    found, names = steps.assign_reps(run), rep_names(run)
    rows = found.load.merge(found.takeover[["territory", "next_rep", "extra"]], how="left")
    rows = rows.assign(
        rep=rows["rep_id"].map(names).fillna(run.words.label(VACANT)),
        next_rep=rows["next_rep"].map(names).fillna("–"),
        regret=rows["regret"].where(rows["rep_id"] != VACANT),
    )
    kinds = {
        "territory": "text",
        "rep": "text",
        "workload_h": "hours",
        "capacity_h": "hours",
        "utilisation": "percent",
        "regret": "money0",
        "next_rep": "text",
        "extra": "money0",
    }
    return table(rows, run.words, kinds)


def coverage_table(run: Run) -> Shown:
    """Show what counts where: in the territories, in each overlay, with partners; each once."""
    facts, where = steps.account_facts(run), steps.credit(run)
    rows = []
    for name in [FIELD, *run.settings.overlays, PARTNER]:
        mine = where == name
        if name == FIELD or mine.any(axis=None):
            sums = {m: float(facts.loc[mine[m], m].sum()) for m in ("workload_h", "revenue")}
            there = int(mine.any(axis=1).sum())
            rows.append({"overlay": tell.overlay_name(run, name), "accounts": there} | sums)
    kinds = {"overlay": "text", "accounts": "number", "workload_h": "hours", "revenue": "money0"}
    shown = table(pd.DataFrame(rows), run.words, kinds)
    if not run.settings.overlays:
        return shown
    return Shown(f"{shown}<h4>{run.words.say('overlays.who')}</h4>{_team_table(run)}")


def _team_table(run: Run) -> Shown:
    """Show who serves each territory of every overlay, and how full that rep's year is."""
    parts, names = [], rep_names(run)
    for name, team in steps.overlay_runs(run).items():
        card = steps.territories(team).card["accounts"]
        load = steps.assign_reps(team).load.join(card, on="territory")
        parts.append(load.assign(overlay=tell.overlay_name(run, name)))
    rows = pd.concat(parts)
    rows = rows.assign(rep=rows["rep_id"].map(names).fillna(run.words.label(VACANT)))
    kinds = {
        "overlay": "text",
        "territory": "text",
        "rep": "text",
        "accounts": "number",
        "workload_h": "hours",
        "capacity_h": "hours",
        "utilisation": "percent",
    }
    return table(rows, run.words, kinds)


REGION = {"workload_h": "hours", "workload_h_index": "percent", "revenue": "money0"}


def region_table(run: Run) -> Shown | Sentence:
    """Show every region with its manager, its territories and what they hold."""
    rows = steps.regions(run)
    if rows.empty:
        return NOTHING
    card = steps.territories(run).card
    joined = rows.join(card[["accounts", "revenue", "potential", "workload_h"]], on="territory")
    names = rep_names(run)
    by = joined.groupby(["region", "rep_id"], as_index=False).agg(
        territories=("territory", ", ".join),
        accounts=("accounts", "sum"),
        workload_h=("workload_h", "sum"),
        revenue=("revenue", "sum"),
    )
    by["workload_h_index"] = by["workload_h"] / by["workload_h"].mean()
    by["manager"] = by["rep_id"].map(names).fillna(run.words.label(VACANT))
    kinds = {"region": "text", "manager": "text", "territories": "text", "accounts": "number"}
    return table(by, run.words, kinds | REGION)


def fairness_chart(run: Run) -> go.Figure | Sentence:
    """Draw load and opportunity of every rep by id, today's beside the plan's."""
    found = steps.fairness(run)
    return charts.fairness(found.plan, found.today, run.words) if len(found.plan) else NOTHING


def fairness_table(run: Run) -> Shown | Sentence:
    """Show means of groups before and after: full and part time, new and experienced, seniority."""
    found = steps.fairness(run)
    rows = by_group(found.plan, found.today) if len(found.plan) else pd.DataFrame()
    if rows.empty:
        return NOTHING
    label = run.words.label
    rows["group"] = [
        label(f"{trait}.{value}") for trait, value in zip(rows["trait"], rows["value"], strict=True)
    ]
    kinds = {"group": "text", "reps": "number"}
    for column, kind in (("load", "percent"), ("per_hour", "money0")):
        kinds |= {f"{column}_today": kind} if len(found.today) else {}
        kinds |= {f"{column}_plan": kind}
    rows = rows.rename(columns={"load": "load_plan", "per_hour": "per_hour_plan"})
    return table(rows, run.words, kinds)


def channel_table(run: Run) -> Shown:
    """Show the contribution of rep, partner and both in every territory."""
    kinds = {
        "territory": "text",
        "channel": "label",
        "partner": "text",
        "direct": "money0",
        "indirect": "money0",
        "hybrid": "money0",
        "breakeven": "money0",
        "safety": "percent",
        "flips": "text",
        "reason": "label",
    }
    rows = steps.choose_channels(run)
    flips = [
        run.words.say(f"channels.flips_{by or 'none'}", at=at) if pd.notna(whole) else "–"
        for by, at, whole in rows[["flips_by", "flips_at", "indirect"]].itertuples(index=False)
    ]
    names = (
        run.market.distributors["name"] if len(run.market.distributors) else pd.Series(dtype=str)
    )
    partner = rows["distributor_id"].map(names).fillna("")
    return table(rows.assign(partner=partner, flips=flips), run.words, kinds)


def handover_table(run: Run) -> Shown:
    """Show the accounts that change hands, the riskiest first."""
    rows = steps.hand_over(run).sort_values(["risk", "account_id"], ascending=[False, True])
    rows = rows.assign(
        name=rows["account_id"].map(run.market.accounts["name"]),
        level="disruption_" + rows["level"],
        reason=_why_handed(run, rows),
    )
    kinds = {
        "name": "text",
        "from_rep": "text",
        "to_rep": "text",
        "revenue": "money0",
        "risk": "money0",
        "risk_high": "money0",
        "level": "label",
        "warm_by": "date",
        "reason": "text",
    }
    if rows["warm_by"].isna().all():
        del kinds["warm_by"]
    names = pd.concat([rep_names(run), pd.Series({VACANT: run.words.label(VACANT)})])
    rows = rows.assign(**{c: rows[c].map(names).fillna(rows[c]) for c in ("from_rep", "to_rep")})
    return table(rows, run.words, kinds, limit=TOP)


def _why_handed(run: Run, rows: pd.DataFrame) -> list[str]:
    """Reasons in the reader's language; of what was placed by hand, why and by whom."""
    by_hand = run.market.overrides.drop_duplicates("unit_id", keep="last").set_index("unit_id")
    unit, said = run.market.accounts["unit_id"], []
    for account, reason in rows[["account_id", "reason"]].itertuples(index=False):
        told = run.words.label(reason)
        if reason == "override":
            why = by_hand.loc[unit[account], ["reason", "who"]].astype(str)
            given = ", ".join(part for part in why if part)
            told = f"{told}: {given}" if given else told
        said.append(told)
    return said


def staff_map(run: Run) -> folium.Map:
    """Draw the territories with the homes of the reps, and lines to the accounts that each serves."""
    reps, shapes = run.market.reps, steps.territories(run).map
    if not len(reps):
        return maps.territory_map(shapes, run.words)
    lines = spider(run) if run.market.places else None
    homes = reps.loc[~away(run.market, reps), ["name", "home_lat", "home_lon"]]
    return maps.territory_map(shapes, run.words, homes, lines)


def team_map(run: Run) -> folium.Map | Sentence:
    """Draw the accounts that overlays serve, and from whose home; nothing where there are none."""
    teams = [t for t in steps.overlay_runs(run).values() if len(t.market.reps)]
    if not teams or not run.market.places:
        return NOTHING
    lines = pd.concat([spider(team) for team in teams])
    homes = pd.concat([t.market.reps[["name", "home_lat", "home_lon"]] for t in teams])
    return maps.team_map(steps.territories(run).map, lines, homes, run.words)


SPIDER_CELLS = 40  # squares along the longer side of the map whose accounts share a line


def spider(run: Run) -> pd.DataFrame:
    """Lines from each rep's home to the accounts of the territory, those that lie together as one.

    Columns: territory, rep_id, home_lat, home_lon, lat, lon (middle of the accounts weighted by
    hours), accounts, workload_h. Only accounts that need work are counted.
    """
    facts, place = steps.counted(run), run.market.accounts[["lat", "lon"]]
    rows = place.join(facts[["unit_id", "workload_h"]]).query("workload_h > 0")
    rows["territory"] = rows["unit_id"].map(steps.territories(run).territory)
    rows["rep_id"] = rows["territory"].map(owner_of(steps.reps(run)))
    rows = rows[rows["rep_id"].isin(run.market.reps.index)]
    step = float((place.max() - place.min()).max()) / SPIDER_CELLS or 1.0
    cell = ((rows[["lat", "lon"]] - place.min()) // step).add_suffix("_cell")
    weighted = rows[["lat", "lon"]].mul(rows["workload_h"], axis=0)
    rows = pd.concat([rows.drop(columns=["lat", "lon"]), weighted, cell], axis=1)
    by = rows.groupby(["territory", "rep_id", "lat_cell", "lon_cell"])
    lines = by[["lat", "lon", "workload_h"]].sum().assign(accounts=by.size())
    lines[["lat", "lon"]] = lines[["lat", "lon"]].div(lines["workload_h"], axis=0)
    homes = run.market.reps[["home_lat", "home_lon"]]
    return lines.reset_index().drop(columns=["lat_cell", "lon_cell"]).join(homes, on="rep_id")
