"""What a run shows as a table or hands to a figure: rows picked, joined and named, nothing decided."""

from __future__ import annotations

import re

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from terrlib import steps, tell
from terrlib.decisions.overlays import PARTNER
from terrlib.decisions.spending import channel_curves
from terrlib.decisions.staffing import VACANT, away, owner_of
from terrlib.decisions.territories import Design
from terrlib.inputs.settings import FIELD
from terrlib.measures import customers
from terrlib.measures.fairness import by_group
from terrlib.measures.winning import AGES
from terrlib.plan import COSTS
from terrlib.runs import Run
from terrlib.show import briefs, charts, maps
from terrlib.show.panels import TerritoryPanel
from terrlib.show.tables import Shown, table
from terrlib.show.words import Sentence, Words

# Where there is nothing to draw nothing is drawn: the sentence of the section says why.
NOTHING = Sentence("")
TOP = 10
BANDS = 15
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


def _numbers(run: Run, kinds: dict[str, str], **values: float | None) -> Shown:
    """Show the headline numbers of a notebook, one a line; None is not known."""
    unknown = run.words.label("not_known")
    rows = [
        (
            run.words.label(key),
            unknown if values[key] is None else run.words.write(values[key], kind),
        )
        for key, kind in kinds.items()
    ]
    return table(
        pd.DataFrame(rows, columns=["measure", "value"]),
        run.words,
        {"measure": "text", "value": "text"},
    )


def told(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Blank those of the columns that hold nothing but zeros: what nobody knows is not nothing.

    Examples
    --------
    >>> told(pd.DataFrame({"revenue": [0.0, 0.0], "potential": [0.0, 2.0]}), "revenue", "potential")
       revenue  potential
    0      NaN        0.0
    1      NaN        2.0
    """
    return rows.assign(**{c: rows[c] if rows[c].any() else float("nan") for c in columns})


# ---------------------------------------------------------------------------- headline numbers


def headline_numbers(run: Run) -> Shown:
    """Show the plan in six numbers."""
    drawn, year = steps.territories(run), steps.expected_year(run)
    return _numbers(
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


def customer_numbers(run: Run) -> Shown:
    """Show the customer base in five numbers."""
    facts = steps.account_facts(run)
    return _numbers(
        run,
        {
            "accounts": "number",
            "customers": "number",
            "revenue": "money0",
            "potential": "money0",
            "white_space": "money0",
        },
        accounts=len(facts),
        customers=int((facts["status"] == "customer").sum()),
        revenue=float(facts["revenue"].sum()) or None,
        potential=float(facts["potential"].sum()) or None,
        white_space=float(facts["white_space"].sum()) if facts["potential"].sum() else None,
    )


def balance_numbers(run: Run) -> Shown:
    """Show each territory with its index of every balanced measure."""
    card = steps.territories(run).card.reset_index()
    kinds = {"territory": "text", "town": "text", "accounts": "number"}
    kinds |= {f"{measure}_index": "percent" for measure in steps.rules(run).balance}
    return table(card, run.words, kinds | {"pieces": "number"})


def staffing_numbers(run: Run) -> Shown:
    """Show the assignment in four numbers."""
    staffing, moves = steps.assign_reps(run), steps.changes(run)
    return _numbers(
        run,
        {
            "territories": "number",
            "vacant": "number",
            "moved_accounts": "number",
            "moved_revenue": "money0",
        },
        territories=len(staffing.rep),
        vacant=int((staffing.rep["rep_id"] == "VACANT").sum()),
        moved_accounts=len(moves),
        moved_revenue=float(moves["revenue"].sum()),
    )


def budget_numbers(run: Run) -> Shown | Sentence:
    """Show the budget by channel; nothing where there are no channels."""
    if not run.market.has("channels"):
        return NOTHING
    return table(reach_by_channel(run), run.words, REACH)


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


def plan_numbers(run: Run) -> Shown:
    """Show how many rows each of the five tables has."""
    plan = steps.assemble_plan(run)
    rows = [(run.words.label(name), len(plan[name])) for name in plan if name.startswith("plan/")]
    found = pd.DataFrame(rows, columns=["table", "rows"])
    return table(found, run.words, {"table": "text", "rows": "number"})


def review_numbers(run: Run, last_run: str = "") -> Shown:
    """Show the review in four numbers."""
    review = steps.review_run(run, last_run)
    return _numbers(
        run,
        {"gained": "number", "lost": "number", "outside": "number", "moved_accounts": "number"},
        gained=len(review.gained),
        lost=len(review.lost),
        outside=review.drift.loc[~review.drift["ok"], "territory"].nunique(),
        moved_accounts=len(steps.changes(run)),
    )


# ---------------------------------------------------------------------------- rows for figures


def findings(run: Run) -> pd.DataFrame:
    """Findings by rule: table, rule, severity, n, money."""
    rows = run.market.quality.groupby(["table", "rule", "severity"], as_index=False).agg(
        n=("key", "size"), money=("money", "sum")
    )
    return rows.sort_values(["n", "rule"], ascending=[False, True])


def findings_table(run: Run) -> Shown:
    """Show every kind of finding with its rows and money."""
    rows = findings(run)
    rows = rows.assign(
        rule=[run.words.label(f"rule.{r}") for r in rows["rule"]],
        table=[run.words.table_label(t) for t in rows["table"]],
    )
    kinds = {"table": "text", "rule": "text", "severity": "label", "n": "number", "money": "money0"}
    return table(rows, run.words, kinds, limit=60)


TRUST = {
    "table": "text",
    "rows": "number",
    "rows_used": "number",
    "complete": "percent1",
    "valid": "percent1",
    "unique": "percent1",
    "timely": "percent1",
    "score": "percent1",
    "money": "money0",
    "money_used": "money0",
}


def named_trust(trust: pd.DataFrame, words: Words) -> pd.DataFrame:
    """The scorecard of the tables under the names that readers know."""
    return trust.assign(table=[words.table_label(t) for t in trust["table"]])


def trust_table(run: Run) -> Shown:
    """Show how far each table can be trusted: complete, valid, unique, timely, with its money."""
    return table(named_trust(run.market.trust, run.words), run.words, TRUST)


def trust_tables(run: Run) -> Shown:
    """Show the scorecard of the tables, and below it what looks entered twice."""
    title = f"<h4>{run.words.say('report.duplicates')}</h4>" if len(run.market.duplicates) else ""
    return Shown(trust_table(run) + (title + duplicates_table(run) if title else ""))


def duplicates_table(run: Run) -> Shown:
    """Show what looks like one firm twice, with the reason; nothing of it was merged."""
    rows = run.market.duplicates
    names = run.market.accounts["name"]
    rows = rows.assign(
        name=rows["account_id"].map(names).fillna(""), reason=rows["rule"].astype(str)
    )
    kinds = {
        "account_id": "text",
        "name": "text",
        "merge_into": "text",
        "kind": "label",
        "reason": "label",
        "revenue": "money0",
    }
    return table(rows, run.words, kinds, limit=TOP)


def quality_chart(run: Run) -> go.Figure | Sentence:
    """Draw the findings about the data, a bar each."""
    rows = findings(run)
    return charts.quality_bars(rows, run.words) if len(rows) else NOTHING


def pareto_chart(run: Run) -> go.Figure | Sentence:
    """Draw how few customers make most of the sales."""
    rows = customers.pareto(steps.account_facts(run))
    return charts.pareto(rows, run.words) if len(rows) else NOTHING


def concentration_numbers(run: Run) -> Shown | Sentence:
    """Show how the sales of the whole are spread, one measure a line."""
    revenue = steps.account_facts(run)["revenue"]
    if not revenue.sum() > 0:
        return NOTHING
    found = customers.concentration(revenue[revenue > 0])
    kinds = dict.fromkeys(["top1_share", "top5_share", "top20_share"], "percent1")
    return _numbers(run, kinds | {"effective_number": "number", "gini": "percent"}, **found)


def concentration_tables(run: Run, *dimensions: str) -> Shown | Sentence:
    """Show how the sales of the whole are spread, and along each dimension: see below."""
    whole = concentration_numbers(run)
    return Shown("".join([whole, *(concentration_table(run, d) for d in dimensions)]))


def concentration_table(run: Run, dimension: str = "industry", n: int = TOP) -> Shown | Sentence:
    """Show how the sales are spread along a dimension, and inside each of its groups.

    industry, size_class, segment, area_id, or another column of the facts; territory (of today until
    it is drawn) and channel: see `steps.groups`. A line of text where the groups are not known.
    """
    facts, label = steps.account_facts(run), steps.groups(run, dimension)
    if not facts["revenue"].sum() > 0:
        return NOTHING
    if dimension in ("territory", "channel") and label.eq("").all():
        said = run.words.say("concentration.not_yet", dimension=run.words.label(dimension))
        return Shown(f"<p>{said}</p>")
    rows = customers.concentration_by(facts, label.rename(dimension))
    today = "territory" if run.has("decisions/territory") else "territory_today"
    heads = {"segment": "feature.segment", "area_id": "area", "territory": today}
    named = heads.get(dimension, dimension)
    rows[named] = [_group_name(run, dimension, name) for name in rows[dimension]]
    kinds = {
        named: "text",
        "customers": "number",
        "revenue": "money0",
        "share": "percent1",
        "top1_share": "percent",
        "top5_share": "percent",
        "top20_share": "percent",
        "effective_number": "number",
        "gini": "percent",
    }
    return table(rows, run.words, kinds, limit=n)


def _group_name(run: Run, dimension: str, name: str) -> str:
    if dimension == "area_id":
        return str(area_names(run).get(name, name))
    if dimension == "segment":
        return segment_names(run).get(name, name)
    if name in ("", "unknown") and dimension != "size_class":
        return run.words.label("not_given")
    return run.words.label(name or "unknown")


def nine_fields_chart(run: Run) -> go.Figure | Sentence:
    """Draw what accounts buy against what they could buy: see `customers.nine_fields`."""
    asked, facts = run.settings.customers, steps.account_facts(run)
    if not facts["white_space"].sum() > 0:
        return NOTHING
    rows = customers.nine_fields(facts, asked.abc_a, asked.abc_b)
    return charts.nine_fields(rows, run.words)


def rhythm_chart(run: Run) -> go.Figure | Sentence:
    """Draw who buys how and who is late."""
    rows = steps.rhythms(run)
    if rows.empty:
        return NOTHING
    found = rows.groupby(["rfm", "late"]).agg(n=("r", "size"), revenue=("revenue", "sum"))
    order = pd.MultiIndex.from_product([customers.RFM_NAMES, ["", "late", "at_risk"]])
    found = found.reindex(order.set_names(["rfm", "late"]), fill_value=0).reset_index()
    return charts.rhythm(found, run.words)


def segment_names(run: Run) -> dict[str, str]:
    """Segment -> what it is, in the reader's language."""
    profile = steps.find_segments(run).profile
    return {str(s): briefs.segment_name(run.words, str(s), row) for s, row in profile.iterrows()}


def segment_chart(run: Run) -> go.Figure | Sentence:
    """Draw customers by revenue and purchases, coloured by segment; bars where groups are by rule."""
    found, names = steps.find_segments(run), segment_names(run)
    if len(found.profile) < 2:  # noqa: PLR2004
        return NOTHING
    facts, often = steps.account_facts(run), steps.rfm(run)["frequency"]
    known = often.notna().any()
    points = pd.DataFrame({"revenue": facts["revenue"], "segment": found.label.map(names)})
    points["x"] = often if known else run.market.accounts["employees"]
    points["by"] = "frequency" if known else "employees"
    points["name"] = run.market.accounts["name"]
    points = points[(points["revenue"] > 0) & points["x"].gt(0)]
    if found.mode == "rules" or points.empty:
        return charts.segment_bars(found.profile.assign(name=pd.Series(names)), run.words)
    return charts.segment_map(points, run.words)


def win_rate_chart(run: Run) -> go.Figure | Sentence:
    """Draw the win rates of the whole base and of every segment, beside what counting would say."""
    rates, names = steps.win_rates(run), segment_names(run)
    if not (rates["won"] + rates["lost"]).sum() or steps.no_losses(run):
        return NOTHING
    whole = run.words.label("all_units")
    named = [names.get(g, g) if g else whole for g in rates["group"]]
    return charts.win_rates(rates.assign(name=named), run.words)


def deal_tables(run: Run) -> Shown | Sentence:
    """Show how deals of the past ended by segment, and below it the open ones by stage and age."""
    still = open_deals_table(run)
    title = f"<h4>{run.words.say('report.open_deals')}</h4>" if still else ""
    return Shown(win_rate_table(run) + title + still)


def win_rate_table(run: Run) -> Shown | Sentence:
    """Show win rates and cycles of the whole base and of every segment, the naive count beside them."""
    rates, names = steps.win_rates(run), segment_names(run)
    if not (rates["won"] + rates["lost"]).sum() or steps.no_losses(run):
        return NOTHING
    whole = run.words.label("all_units")
    ended = rates[["won", "lost", "open"]].astype(int).itertuples(index=False)
    rows = rates.assign(
        n_deals=[" / ".join(run.words.write(n, "number") for n in row) for row in ended],
        group=[names.get(g, g) if g else whole for g in rates["group"]],
        naive=rates["naive"].where(rates["won"] + rates["lost"] > 0),
        p_range=[_span(run, "percent", r.p_win, r.low, r.high) for r in rates.itertuples()],
        cycle_range=[
            _span(run, "number", r.cycle_median_m, r.cycle_low, r.cycle_high)
            for r in rates.itertuples()
        ],
    )
    kinds = {
        "group": "text",
        "n_deals": "text",
        "naive": "percent",
        "p_range": "text",
        "naive_median_m": "number",
        "cycle_range": "text",
    }
    return table(rows, run.words, kinds)


def _span(run: Run, kind: str, *middle_low_high: float) -> str:
    """Write a value with its range; "" where it is not known."""
    if any(pd.isna(x) for x in middle_low_high):
        return ""
    middle, low, high = (run.words.write(round(x, 2), kind) for x in middle_low_high)
    # Neither a blank nor the dash may break the line.
    return f"{middle} ({low}–\u2060{high})".replace(" ", "\u00a0")


def open_deals_table(run: Run) -> Shown | Sentence:
    """Show the open deals by stage and age with the chance of each, the naive count beside it."""
    rows = steps.open_by_stage(run)
    if rows.empty or steps.no_losses(run):
        return NOTHING
    named = {"n": "n_open", "age": "age_band", "expected": "expected_amount", "p_win": "p_age"}
    rows = rows.rename(columns=named)
    rows["stage"] = rows["stage"].replace("", run.words.label("not_known"))
    old = rows["age_band"] == list(AGES)[-1]
    rows.loc[old, "age_band"] += f" ({run.words.label('stale')})"
    kinds = {
        "stage": "text",
        "age_band": "text",
        "n_open": "number",
        "amount": "money0",
        "naive": "percent",
        "p_age": "percent",
        "expected_amount": "money0",
    }
    return table(rows, run.words, kinds)


def cycle_chart(run: Run) -> go.Figure | Sentence:
    """Draw how deals end as they grow older."""
    rows = steps.cycle_curves(run)
    if rows.empty or steps.no_losses(run):
        return NOTHING
    return charts.cycle_curves(rows, run.words, segment_names(run))


def ideal_chart(run: Run) -> go.Figure | Sentence:
    """Draw the card of the ideal customer: kinds of accounts with their win rates."""
    found = steps.ideal_customers(run)
    rows = tell.ideal_levels(run).head(TOP + 4)
    if rows.empty or found.kind == "lookalike":
        return NOTHING
    won = float(found.levels["won"].sum() / found.levels["n"].sum())
    return charts.ideal(rows.assign(base=won), found.calibration, run.words)


def white_space_chart(run: Run) -> go.Figure | Sentence:
    """Draw revenue and white space of the places with most of it."""
    rows = steps.white_space(run)
    return charts.white_space_bars(rows, run.words) if rows["white_space"].sum() > 0 else NOTHING


def white_space_areas(run: Run) -> gpd.GeoDataFrame:
    """White space of every area, or of every unit where there are no areas, with its shape."""
    market, columns = run.market, ["revenue", "white_space", "white_space_low", "white_space_high"]
    if len(market.areas):
        rows = steps.white_space(run).set_index("area_id")
        rows = rows.reindex(market.areas.index)[columns].fillna(0.0)
        return market.areas[["name", "geometry"]].join(rows)
    sums = steps.with_space_range(run).groupby("unit_id")[columns].sum()
    return market.units[["name", "geometry"]].join(sums).fillna(dict.fromkeys(columns, 0.0))


def white_space_map(run: Run) -> folium.Map | Sentence:
    """Draw where more could be sold, where units are places."""
    if not run.market.places or not steps.account_facts(run)["white_space"].sum() > 0:
        return NOTHING
    return maps.white_space_map(white_space_areas(run), run.words)


def attractive_areas(run: Run) -> pd.DataFrame:
    """Areas by attractiveness and ability to win with their decision; the best ranked have a label.

    `above` says whether it stands above or below.
    """
    rows = _with_names(run, steps.attractiveness(run)).sort_values("potential", ascending=False)
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


def unit_table(run: Run) -> gpd.GeoDataFrame:
    """Units with what is measured of them."""
    return run.market.units.join(steps.unit_measures(run))


def neighbor_lines(run: Run) -> pd.DataFrame:
    """Who touches whom, as pairs of points: lat_a, lon_a, lat_b, lon_b."""
    points = run.market.units[["lat", "lon"]]
    pairs = run.market.neighbors
    return pd.concat(
        [
            points.loc[pairs["unit_a"]].add_suffix("_a").reset_index(drop=True),
            points.loc[pairs["unit_b"]].add_suffix("_b").reset_index(drop=True),
        ],
        axis=1,
    )


def gain_table(run: Run) -> pd.DataFrame:
    """What the territories cost and what is proven: part (travel, change, bound, left), cost, kind."""
    found = steps.proof_of(steps.drawn_design(run))
    split = [("travel", found.cost_km), ("change", max(found.cost - found.cost_km, 0.0))]
    if steps.rules(run).terms.square:
        split = [("all_units", found.cost)]
    proven = [("bound", found.bound_km), ("left", found.cost - found.bound_km)]
    rows = pd.DataFrame([*split, *proven], columns=["part", "cost"])
    return _priced(run, rows[(rows["cost"] > 0) | (rows["part"] == "bound")])


def frontier_table(run: Run) -> pd.DataFrame:
    """Cost by tolerance: tolerance, cost, more (than this plan), bound, chosen, kind (see `_priced`)."""
    rows = steps.trade_frontier(run)
    chosen = rows["tolerance"] == next(iter(steps.rules(run).balance.values()))
    more = rows["cost"] - float(rows.loc[chosen, "cost"].iloc[0])
    return _priced(run, rows.assign(chosen=chosen, more=more), "cost", "more", "bound")


def count_table(run: Run) -> pd.DataFrame:
    """Travel and utilisation by number of territories; `chosen` marks this plan, `limit` how full."""
    asked, rows = steps.rules(run), steps.trade_counts(run).table
    return rows.assign(chosen=rows["n_territories"] == asked.n_territories, limit=asked.terms.limit)


def lock_table(run: Run) -> pd.DataFrame:
    """Price of every lock, the dearest first: name, lock, price, at_most, kind (see `_priced`)."""
    rows = _priced(run, steps.trade_locks(run), "price", "at_most")
    return rows.sort_values(["price", "name"], ascending=[False, True]).reset_index(drop=True)


def _priced(run: Run, rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Costs in currency a year; as shares of this plan's cost where travel is squared (`kind`)."""
    one = steps.worth(run)
    kind = "percent" if pd.isna(one) else "thousands"
    one = 1 / (steps.drawn_design(run).cost or 1.0) if pd.isna(one) else one
    money = {c: rows[c] * one for c in columns or ("cost", "bound") if c in rows}
    return rows.assign(**money, kind=kind)


def workload_by_class(run: Run) -> pd.DataFrame:
    """Hours a year by class of account: class, accounts, visit_h, call_h, travel_h."""
    facts = steps.counted(run)
    return facts.groupby("class", as_index=False).agg(
        accounts=("count", "size"),
        visit_h=("visit_h", "sum"),
        call_h=("call_h", "sum"),
        travel_h=("travel_h", "sum"),
    )


def sizing_chart(run: Run) -> go.Figure | Sentence:
    """Draw the profit over the number of reps; nothing where today's reps or sales are not known."""
    found = steps.size_sales_force(run)
    if found.profit.empty:
        return NOTHING
    return charts.sizing(found.profit, found.methods, found.present, run.words)


def sizing_table(run: Run) -> Shown:
    """Show the four methods side by side, and what a fifth more or less of each default does."""
    found, say = steps.size_sales_force(run), run.words.say
    rows = found.methods.assign(
        method=[run.words.label(f"sizing.{m}") for m in found.methods["method"]],
        remark=[say(f"sizing.lacks_{m}") if m else "" for m in found.methods["missing"]],
    )
    kinds = {"method": "text", "n_reps": "number", "low": "number", "high": "number"}
    shown = table(rows, run.words, kinds | {"remark": "text"})
    moved = found.defaults.assign(
        method=[run.words.label(f"sizing.{m}") for m in found.defaults["method"]],
        default=[run.words.label(f"default.{d}") for d in found.defaults["default"]],
    ).rename(columns={"low": "fifth_less", "high": "fifth_more"})
    kinds = {"method": "text", "default": "text", "fifth_less": "number", "fifth_more": "number"}
    title = f"<h4>{say('sizing.defaults')}</h4>"
    return Shown(shown + title + table(moved, run.words, kinds))


def cost_chart(run: Run) -> go.Figure | Sentence:
    """Draw what the pairs cost, by what it is for, and their sum beside that of today's pairs."""
    found, keys = steps.assign_reps(run), ["territory", "rep_id"]
    plan = found.costs.merge(found.rep, on=keys)
    if plan.empty:
        return NOTHING
    today = found.costs.merge(found.present, on=keys)
    today = today if run.market.has("assignments") else today.iloc[:0]
    return charts.costs(plan, today, run.words)


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


def budget_by_category(run: Run) -> pd.DataFrame:
    """Budget of the whole plan by category and quarter, in currency."""
    rows = steps.assemble_plan(run)["plan/budget"]
    found = rows.groupby(["category", "quarter"], as_index=False)["amount"].sum()
    return found.assign(amount=found["amount"] / 100)


# ---------------------------------------------------------------------------- tables for readers


def area_names(run: Run) -> pd.Series:
    """Name of every area, "" for a whole territory."""
    return run.market.areas["name"] if len(run.market.areas) else pd.Series(dtype=str)


def _with_names(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    names = area_names(run)
    shown = rows["area_id"].map(names).fillna(rows["territory"])
    return rows.assign(area=shown)


def target_table(run: Run) -> gpd.GeoDataFrame:
    """Areas with their decision and geometry: territories where there are no areas."""
    rows = _with_names(run, steps.assemble_plan(run)["plan/areas"])
    money = ["expected_contribution", "low", "high"]
    rows[money] = rows[money] / 100
    if len(run.market.areas):
        shapes = run.market.areas[["geometry"]].rename_axis("area_id").reset_index()
        return gpd.GeoDataFrame(shapes.merge(rows, on="area_id"), crs=shapes.crs)
    shapes = steps.territories(run).map[["territory", "geometry"]]
    return gpd.GeoDataFrame(shapes.merge(rows, on="territory"), crs=shapes.crs)


def top_areas(run: Run, n: int = TOP) -> Shown:
    """Show the best target areas."""
    rows = _with_names(run, steps.assemble_plan(run)["plan/areas"]).sort_values("rank")
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
        _span(run, "percent", r.p_win, r.p_win_low, r.p_win_high) or None for r in rows.itertuples()
    ]
    known = rows.columns[rows.notna().any()]
    # In one table they would not fit the page.
    return Shown(
        "".join(
            table(rows, run.words, {"territory": "text"} | {c: k[c] for c in k if c in known})
            for k in (BASE, CHANCES)
        )
    )


def reach_table(run: Run) -> Shown | Sentence:
    """Show how each channel reaches the customers, or say that there are no channels."""
    if not run.market.has("channels"):
        return run.words.say("missing.channels")
    return table(reach_by_channel(run), run.words, REACH)


def rep_names(run: Run) -> pd.Series:
    """rep_id -> name, those of overlays and the managers too."""
    both = [t["name"] for t in (run.market.reps, run.market.specialists) if len(t)]
    return pd.concat(both) if both else pd.Series(dtype=str)


def rep_table(run: Run) -> Shown:
    """Show who takes which territory, its hours, what the next best plan costs more, who takes over."""
    found, names = steps.assign_reps(run), rep_names(run)
    rows = found.load.merge(found.takeover[["territory", "next_rep", "extra"]], how="left")
    rows = rows.assign(
        rep=rows["rep_id"].map(names).fillna(run.words.label("VACANT")),
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
    by["manager"] = by["rep_id"].map(names).fillna(run.words.label("VACANT"))
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


# ---------------------------------------------------------------------------- maps and panels


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


def panel(run: Run) -> TerritoryPanel:
    """Open a panel in which the number of territories and the tolerances can be moved."""
    asked = steps.rules(run)

    def shown(
        card: pd.DataFrame, shapes: gpd.GeoDataFrame, design: Design | None
    ) -> tuple[gpd.GeoDataFrame, Shown, str]:
        kinds = {"territory": "text", "accounts": "number"}
        kinds |= {f"{measure}_index": "percent" for measure in asked.balance}
        said = tell.design(run.words, design) if design else run.words.say("before.all_there")
        return shapes, table(card.reset_index(), run.words, kinds), said.replace("**", "")

    def draw(count: int, balance: dict[str, float]) -> tuple[gpd.GeoDataFrame, Shown, str]:
        return shown(*steps.try_territories(run, count, balance))

    now = steps.territories(run)
    first = shown(now.card, now.map, now.design)
    return TerritoryPanel(asked.n_territories, asked.balance, draw, run.words, first)
