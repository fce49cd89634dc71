"""What is shown of the data and the customers (notebook 1), and how numbers are listed."""

from __future__ import annotations

import folium
import geopandas as gpd
import pandas as pd
import plotly.graph_objects as go

from terrlib import steps, tell
from terrlib.measures import customers
from terrlib.measures.winning import AGES
from terrlib.runs import Run
from terrlib.show import briefs, charts, maps
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence, Words

TOP = 10


def numbers(run: Run, kinds: dict[str, str], **values: float | None) -> Shown:
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


def customer_numbers(run: Run) -> Shown:
    """Show the customer base in five numbers."""
    facts = steps.account_facts(run)
    return numbers(
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
    return numbers(run, kinds | {"effective_number": "number", "gini": "percent"}, **found)


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
        p_range=[span(run, "percent", r.p_win, r.low, r.high) for r in rates.itertuples()],
        cycle_range=[
            span(run, "number", r.cycle_median_m, r.cycle_low, r.cycle_high)
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


def span(run: Run, kind: str, *middle_low_high: float) -> str:
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


def area_names(run: Run) -> pd.Series:
    """Name of every area, "" for a whole territory."""
    return run.market.areas["name"] if len(run.market.areas) else pd.Series(dtype=str)


def with_area_names(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the name of their area; of the territory where there are no areas."""
    names = area_names(run)
    shown = rows["area_id"].map(names).fillna(rows["territory"])
    return rows.assign(area=shown)
