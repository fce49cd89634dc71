"""The rules of the map, the map and its regions, and what another map would cost (notebook 2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import geopandas as gpd
import pandas as pd
from tqdm.auto import tqdm

from terrlib import plan
from terrlib.checks import Check, as_table, require
from terrlib.decisions import (
    overlays,
    segments,
)
from terrlib.decisions import rules as asking
from terrlib.decisions import territories as drawing
from terrlib.errors import InfeasibleError, SettingsError
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings, VisitClass
from terrlib.inputs.settings import Territories as Asked
from terrlib.measures import facts as measuring
from terrlib.measures import scorecard as judging
from terrlib.measures import sizing
from terrlib.measures.workload import as_recorded
from terrlib.runs import (
    Run,
    note,
    read_notes,
    read_table,
    write_map,
)
from terrlib.steps.customers import account_facts, counted, credit, left_to_partners, overlay_runs


class Territories(NamedTuple):
    """What notebook 02 decides, measured by the judge and not by the solver."""

    design: drawing.Design | None
    territory: pd.Series
    card: pd.DataFrame
    present: pd.DataFrame
    map: gpd.GeoDataFrame
    checks: pd.DataFrame


class Proof(NamedTuple):
    """What is proven of a design, and what it moves: see `decisions.territories.Design`."""

    status: str
    cost: float
    cost_km: float
    bound_km: float
    gap: float
    relaxed: tuple[str, ...]
    change: float
    moved_accounts: int
    moved_revenue: float


def bound_by_contract(run: Run) -> set[str]:
    """Territories with accounts that a contract leaves to a partner, whatever pays more."""
    left = account_facts(run).loc[left_to_partners(run).index, "unit_id"]
    return set(left.map(territories(run).territory))


@cache
def regions(run: Run) -> pd.DataFrame:
    """Territories rolled up to regions, each with a manager: territory, region, rep_id.

    Drawn as territories are, with the territories as units; empty where no regions are asked for.
    Where they are, an overlay is a region of its own, led by the manager of that name.

    Raises
    ------
    InfeasibleError
        If there are no such regions.
    """
    if run.field is not None:
        return _overlay_region(run, run.field)
    count = _region_count(run)
    if not count:
        return pd.DataFrame(columns=["territory", "region", "rep_id"])
    if run.has("region"):
        kept = run.read("region")
        if set(kept["territory"]) == set(territories(run).territory):
            return kept
    market, measures, asked = _region_rules(run, count)
    how, seed = run.settings.territories, run.settings.seed
    label = drawing.draw(market, measures, asked, how, seed).territory
    return overlays.lead_regions(label, market.units, _leads(run), run.settings)


def _leads(run: Run) -> pd.DataFrame:
    """Managers of the run's own regions."""
    leads = overlays.managers(run.market)
    return leads[~leads["region"].isin(list(run.settings.overlays))] if len(leads) else leads


def _region_count(run: Run) -> int:
    return run.settings.regions.count or len(_leads(run))


def _overlay_region(run: Run, field: Run) -> pd.DataFrame:
    leads = overlays.managers(field.market)
    lead = list(leads.index[leads["region"] == run.overlay]) if len(leads) else []
    names = sorted(territories(run).territory.unique()) if lead or _region_count(field) else []
    manager = lead[0] if lead else VACANT
    return pd.DataFrame({"territory": names, "region": run.overlay, "rep_id": manager})


def _region_rules(run: Run, count: int) -> tuple[Market, pd.DataFrame, drawing.Rules]:
    territory = territories(run).territory
    overlays.refuse_few_territories(count, territory.nunique())
    market = overlays.region_market(run.market, territory, unit_measures(run))
    measures = unit_measures(run).groupby(territory).sum().rename_axis("unit_id")
    return market, measures, rules_of(market, overlays.region_settings(run.settings, count))


def region_checks(run: Run, rows: pd.DataFrame) -> list[Check]:
    """Recompute from the labels that regions are whole and as balanced as asked."""
    if rows.empty:
        return []
    market, measures, asked = _region_rules(run, rows["region"].nunique())
    label = rows.set_index("territory")["region"].reindex(measures.index)
    found = drawing.checks(market, measures, label, asked)
    kept = [c for c in found if c.check != "overrides_kept"]
    return [replace(c, check=f"regions.{c.check}") for c in kept]


def overlay_checks(run: Run) -> list[Check]:
    """Recompute from the written files that overlays cover their scope once and count nothing twice."""
    facts, asked = account_facts(run), run.settings.overlays
    cards = {overlays.FIELD: read_table(run.folder, "scorecard")}
    found: list[Check] = []
    for name, one in overlay_runs(run).items():
        crm = read_table(one.folder, "accounts")
        label = read_table(one.folder, "decisions/territory").set_index("unit_id")["territory"]
        label = label.reindex(one.market.units.index)
        inside = overlays.scope(run.market, facts, name, asked[name])
        found += [
            replace(c, check=f"overlay.{c.check}", value=f"{name}: {c.value}")
            for c in drawing.checks(one.market, unit_measures(one), label, rules(one))
            if c.check != "overrides_kept" or len(one.market.overrides)
        ]
        found.append(plan.once_each(name, inside, crm, set(label.dropna())))
        cards[name] = read_table(one.folder, "scorecard")
    left = facts[(credit(run) == overlays.PARTNER).any(axis=1)]
    by_overlay = {name: [str(m) for m in one.credits] for name, one in asked.items()}
    return found + plan.counted_once(facts, left, cards, by_overlay) if asked else found


def recorded_visits(run: Run) -> dict[str, VisitClass]:
    """Visit classes whose visits are taken from recorded activities, with what was recorded."""
    kinds, planned = account_facts(run)["class"], run.settings.workload.classes
    done = as_recorded(run.market, kinds, run.settings).workload.classes
    return {name: done[name] for name in done if done[name] != planned[name]}


@cache
def size_sales_force(run: Run) -> sizing.Sizing:
    """Ask four methods how many reps there should be (notebook 02)."""
    wanted = run.settings.goals.total or float(run.market.targets["amount"].fillna(0.0).sum())
    # What overlays and partners serve is neither work nor sales of these reps; nor is its target.
    own, whole = counted(run), account_facts(run)
    sold = float(whole["revenue"].sum())
    share = float(own["revenue"].sum()) / sold if sold > 0 else 1.0
    where = credit(run)["workload_h"]
    mine = where.index[where == overlays.FIELD]
    deals = run.market.opportunities
    market = replace(run.market, opportunities=deals[deals["account_id"].isin(mine)])
    return sizing.size_sales_force(market, own, run.settings, wanted * share)


DEFAULT_TOLERANCE = 0.15


def rules_of(market: Market, settings: Settings) -> drawing.Rules:
    """Make the rules that territories have to satisfy out of the settings.

    Raises
    ------
    SettingsError
        If there is neither a number of territories nor a table of reps to count.
    """
    return range_of(market, settings)[-1]


def range_of(market: Market, settings: Settings) -> list[drawing.Rules]:
    """Make the rules for every number of territories that is asked: one, or each of a range.

    Raises
    ------
    SettingsError
        If there is neither a number of territories nor a table of reps to count.
    """
    count = settings.territories.count or len(market.reps)
    if not count:
        raise SettingsError("refusal.how_many_territories")
    low, high = count if isinstance(count, tuple) else (count, count)
    by_fte = settings.territories.fair_share_by_fte
    fte = tuple(sorted(market.reps["fte"], reverse=True)) if by_fte else ()
    change = settings.territories.change
    return [
        drawing.Rules(
            n_territories=k,
            balance=balance_of(market, settings),
            shares=fte if len(fte) == k else (),
            together=asking.groups_of(market, "together"),
            apart=asking.groups_of(market, "apart"),
            forbidden=tuple(
                market.forbidden[["unit_id", "territory"]].itertuples(index=False, name=None)
            ),
            protected=asking.protected_units(market),
            max_accounts=change.max_accounts,
            max_revenue=change.max_revenue,
            whole=market.places and settings.territories.whole,
            prefix=settings.territories.prefix,
            terms=asking.terms_of(market, settings),
        )
        for k in range(low, high + 1)
    ]


def balance_of(market: Market, settings: Settings) -> dict[str, float]:
    """Measure -> tolerance: of the settings, else potential, revenue or the count, whichever is there."""
    if settings.territories.balance:
        return dict(settings.territories.balance)
    for measure in ("potential", "revenue"):
        if market.accounts[measure].fillna(0).gt(0).any():
            return {measure: DEFAULT_TOLERANCE}
    return {"count": DEFAULT_TOLERANCE}


@cache
def try_range(run: Run) -> drawing.Curve | None:
    """Draw every number of a range and pick one; None where one number is asked for."""
    asked = range_of(run.market, run.settings)
    if len(asked) == 1:
        return None
    how, seed = run.settings.territories, run.settings.seed
    return drawing.curve(run.market, unit_measures(run), asked, how, seed, fixed(run.market))


def rules(run: Run) -> drawing.Rules:
    """Rules that the territories of a run have to satisfy; of a range, those of the number decided."""
    asked = {one.n_territories: one for one in range_of(run.market, run.settings)}
    if len(asked) == 1:
        return next(iter(asked.values()))
    if run.has("decisions/territory"):
        count = run.read("decisions/territory")["territory"].nunique()
        if count in asked:
            return asked[count]
    picked = try_range(run)
    assert picked is not None
    return asked[picked.picked]


def refuse_impossible(market: Market, settings: Settings) -> None:
    """Refuse territories that arithmetic alone shows cannot exist, before anything is planned.

    Raises
    ------
    InfeasibleError
        With every reason, its numbers and what would help.
    DataError, SettingsError
        Where the matrix of travel lacks a pair, or a territory a rep.
    """
    label = pd.Series("", index=market.accounts.index)
    if any("segment" in one.who for one in settings.overlays.values()):
        label = segments.find_segments(market, settings, market.held("segment")).label
    facts = measuring.account_facts(market, settings, label)
    where = overlays.credit(market, facts, settings)
    for name, one in settings.overlays.items():
        part = overlays.overlay_market(market, facts, settings, name)
        mine = overlays.counted(facts, where, name, one).loc[part.accounts.index]
        mine = mine.assign(unit_id=part.accounts["unit_id"])
        with _under_its_name(name):
            _refuse(part, overlays.overlay_settings(settings, name), mine)
    _refuse(market, settings, overlays.counted(facts, where))
    most = max(one.n_territories for one in range_of(market, settings))
    overlays.refuse_few_territories(settings.regions.count or 0, most)


@contextmanager
def _under_its_name(overlay: str) -> Iterator[None]:
    """Say of which overlay a refusal speaks."""
    try:
        yield
    except InfeasibleError as none:
        if not overlay:
            raise
        raise InfeasibleError("refusal.of_overlay", overlay=overlay, why=none.said) from none


def _refuse(market: Market, settings: Settings, facts: pd.DataFrame) -> None:
    measures = measuring.unit_measures(facts, market.units.index)
    asked, held = range_of(market, settings), fixed(market)
    possible = [one for one in asked if not drawing.impossible(market, measures, one, held)]
    if not possible:
        how, seed = settings.territories, settings.seed
        drawing.refuse_impossible(market, measures, asked[0], how, seed, held)
    # What the rules refer to has to be there too: every pair of a matrix, a rep for each territory.
    drawing.compile_problem(market, measures.sort_index(), possible[0], held)


@cache
def unit_measures(run: Run) -> pd.DataFrame:
    """Workload, potential, revenue and count of every unit."""
    return measuring.unit_measures(counted(run), run.market.units.index)


@cache
def draw_territories(run: Run) -> Territories:
    """Draw the territories, keep their names, and have them measured (notebook 02)."""
    market, picked = run.market, try_range(run)
    asked = rules(run)
    if picked is not None and asked.n_territories == picked.picked:
        design = picked.designs[picked.picked]
        return _measured(run, design, design.territory, asked)
    with _under_its_name(run.overlay):
        design = drawing.draw(
            market,
            unit_measures(run),
            asked,
            run.settings.territories,
            run.settings.seed,
            fixed(market),
        )
    return _measured(run, design, design.territory, asked)


@cache
def territories(run: Run) -> Territories:
    """Territories as decided, else drawn here, with their measures."""
    if run.has("decisions/territory"):
        rows = run.read("decisions/territory")
        label = rows.set_index("unit_id")["territory"]
        if label.index.sort_values().equals(run.market.units.index):
            label = label.reindex(run.market.units.index)
            return _measured(run, None, label, rules(run))
    return draw_territories(run)


def fixed(market: Market) -> pd.Series:
    """Overrides as unit_id -> territory, the last one where a unit has several."""
    return drawing.overrides(market)


def _measured(
    run: Run, design: drawing.Design | None, territory: pd.Series, asked: drawing.Rules
) -> Territories:
    market, facts = run.market, counted(run)
    of_account = facts["unit_id"].map(territory)
    shares = (
        drawing.fair_shares(territory, unit_measures(run), asked, market)
        if design is None
        else design.share
    )
    card = judging.scorecard(market, facts, of_account, territory, shares)
    present = pd.DataFrame()
    if market.has("assignments"):
        held = market.held("territory").reindex(facts.index).dropna()
        present = judging.scorecard(market, account_facts(run), held, None, None)
    shapes = judging.territory_shapes(market, territory).merge(
        card.reset_index(), on="territory", validate="one_to_one"
    )
    checks = drawing.checks(market, unit_measures(run), territory, asked, shares)
    return Territories(design, territory, card, present, shapes, as_table(checks))


def write_territories(run: Run) -> pd.DataFrame:
    """Write the territories, the overrides, the map and both scorecards, if every rule holds.

    Regions and the territories of every overlay are written with them.
    """
    for one in overlay_runs(run).values():
        write_territories(one)
    drawn = territories(run)
    require([Check(*row) for row in drawn.checks.itertuples(index=False)])
    run.write("decisions/overrides", run.market.overrides)
    write_map(run, drawn.map)
    if drawn.design is not None and run.field is None:
        note(run.folder, proof=proof_of(drawn.design)._asdict())
    run.write("scorecard", drawn.card.reset_index())
    if len(drawn.present):
        run.write("scorecard_present", drawn.present.reset_index())
    if len(region := regions(run)):
        require(region_checks(run, region) if run.field is None else [])
        run.write("region", region)
    label = drawn.territory
    return run.write(
        "decisions/territory", pd.DataFrame({"unit_id": label.index, "territory": label.to_numpy()})
    )


def try_territories(
    run: Run, count: int, balance: dict[str, float]
) -> tuple[pd.DataFrame, gpd.GeoDataFrame, drawing.Design]:
    """Draw other territories for a panel; writes nothing.

    Raises
    ------
    InfeasibleError
        If there are none.
    """
    now = rules(run)
    shares = now.shares if count == now.n_territories else ()
    asked = replace(now, n_territories=count, balance=balance, shares=shares)
    design = drawing.draw(
        run.market,
        unit_measures(run),
        asked,
        run.settings.territories,
        run.settings.seed,
        fixed(run.market),
    )
    drawn = _measured(run, design, design.territory, asked)
    return drawn.card, drawn.map, design


WIDTHS = (0.6, 1.4, 2.0)  # times the tolerance asked
AROUND = (-1, 1, 2)  # territories more than asked
LOCKS = 12  # priced at most


@cache
def trade_frontier(run: Run) -> pd.DataFrame:
    """Draw with tighter and wider tolerances: what balance costs (see `decisions.frontier`)."""
    asked = rules(run)
    first = next(iter(asked.balance.values()))
    return drawing.frontier(
        run.market,
        unit_measures(run),
        asked,
        _quick(run),
        run.settings.seed,
        [t for t in (round(first * width, 2) for width in WIDTHS) if 0 < t < 1 and t != first],
        fixed(run.market),
        drawn_design(run),
        _bar(run, "frontier"),
    )


@cache
def trade_counts(run: Run) -> drawing.Curve:
    """Draw more and fewer territories than asked; the range itself where one is asked."""
    if (curve := try_range(run)) is not None:
        return curve
    asked, reps = rules(run), run.market.reps["fte"].sort_values(ascending=False)
    k, most = asked.n_territories, len(run.market.units)
    near = [] if asked.terms.homes else [k + more for more in AROUND if 1 <= k + more <= most]
    equal = len(reps) if run.settings.territories.fair_share_by_fte else 0
    shares = {equal: tuple(reps), k: asked.shares}
    return drawing.curve(
        run.market,
        unit_measures(run),
        [replace(asked, n_territories=n, shares=shares.get(n, ())) for n in sorted([k, *near])],
        _quick(run),
        run.settings.seed,
        fixed(run.market),
        {k: drawn_design(run)},
        _bar(run, "counts"),
    )


@cache
def trade_locks(run: Run) -> pd.DataFrame:
    """Price every lock, by name: how much less it would cost without (see `decisions.lock_prices`)."""
    table = drawing.lock_prices(
        run.market,
        unit_measures(run),
        rules(run),
        _quick(run),
        run.settings.seed,
        fixed(run.market),
        drawn_design(run),
        LOCKS,
        _bar(run, "locks"),
    )
    name = run.market.units["name"].to_dict()
    return table.assign(
        name=[
            _lock_name(lock, which, name)
            for lock, which in zip(table["lock"], table["which"], strict=True)
        ]
    )


def _lock_name(lock: str, which: str, name: dict[str, str]) -> str:
    """Name a lock by the names of its units, not by their ids."""
    if lock not in ("overrides", "protected", "forbidden"):
        return ", ".join(name.get(unit, unit) for unit in which.split(", "))
    unit, _, territory = which.rpartition(": ")
    return f"{name.get(unit, unit)} {'↛' if lock == 'forbidden' else '→'} {territory}"


def proof_of(design: drawing.Design) -> Proof:
    """Take from a design what is proven of it."""
    return Proof(*(getattr(design, name) for name in Proof._fields))


def proof(run: Run) -> Proof | None:
    """What is proven of the territories: as drawn here, or as noted when they were written."""
    if (design := territories(run).design) is not None:
        return proof_of(design)
    noted = read_notes(run.folder).get("proof")
    return None if noted is None else Proof(**noted)


def worth(run: Run) -> float:
    """What one unit of a design's cost is in currency a year; nan where travel is squared."""
    terms = rules(run).terms
    return float("nan") if terms.square else asking.money(run.market, terms)


def drawn_design(run: Run) -> drawing.Design:
    """Draw the territories, with what is proven about them."""
    design = draw_territories(run).design
    assert design is not None
    return design


def _quick(run: Run) -> Asked:
    """Search once: the trade asks for many maps, each only for its cost."""
    return run.settings.territories.model_copy(update={"starts": 1, "effort": 1})


def _bar(run: Run, what: str) -> drawing.Follow:
    return partial(tqdm, desc=run.words.say(f"progress.{what}"), leave=False)
