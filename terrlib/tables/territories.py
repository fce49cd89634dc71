"""What is shown of the map (notebook 2)."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import plotly.graph_objects as go

from terrlib import steps, tell
from terrlib.decisions.territories import Design
from terrlib.runs import Run
from terrlib.show import charts
from terrlib.show.panels import TerritoryPanel
from terrlib.show.tables import Shown, table
from terrlib.show.words import NOTHING, Sentence


def balance_numbers(run: Run) -> Shown:
    """Show each territory with its index of every balanced measure."""
    card = steps.territories(run).card.reset_index()
    kinds = {"territory": "text", "town": "text", "accounts": "number"}
    kinds |= {f"{measure}_index": "percent" for measure in steps.rules(run).balance}
    return table(card, run.words, kinds | {"pieces": "number"})


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
