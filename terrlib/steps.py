"""Each step of a plan as one call on a run: the same call in its own notebook and in later ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from terrlib import plan, review
from terrlib.checks import Check, as_table, require
from terrlib.decisions import (
    backtest,
    channels,
    goals,
    launch,
    moves,
    overlays,
    scenarios,
    segments,
    spending,
    staffing,
    targeting,
    timeline,
)
from terrlib.decisions import rules as asking
from terrlib.decisions import territories as drawing
from terrlib.errors import InfeasibleError, SettingsError
from terrlib.inputs.load import CHANNEL_MANAGER
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings, VisitClass
from terrlib.inputs.settings import Territories as Asked
from terrlib.measures import customers, ideal, profile, relations, sizing, winning
from terrlib.measures import facts as measuring
from terrlib.measures import scorecard as judging
from terrlib.measures.fairness import envy, rep_fairness
from terrlib.measures.ideal import Ideal
from terrlib.measures.potential import Potential, area_potential
from terrlib.measures.workload import as_recorded, capacity_h
from terrlib.runs import (
    Run,
    finished_run,
    note,
    overlay_run,
    read_facts,
    read_notes,
    read_table,
    write_facts,
    write_findings,
    write_map,
)
from terrlib.show.words import Sentence


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


# ---------------------------------------------------------------------------- 01 customers


@cache
def find_segments(run: Run) -> segments.Segments:
    """Find the segments of the customer base (notebook 01), under last quarter's names if given."""
    return segments.find_segments(run.market, run.settings, run.market.held("segment"))


@cache
def wallets(run: Run) -> Potential:
    """What every account could buy, and what that rests on (notebook 01)."""
    return measuring.wallets(run.market, run.settings)


@cache
def ideal_customers(run: Run) -> Ideal:
    """Which accounts are likely to buy, as far as past deals can tell (notebook 01)."""
    return ideal.ideal_customers(run.market, run.settings)


@cache
def rfm(run: Run) -> pd.DataFrame:
    """How lately, how often and for how much each customer buys, and who is late (notebook 01)."""
    return customers.rfm(run.market, run.settings)


@cache
def account_facts(run: Run) -> pd.DataFrame:
    """Everything that is measured of an account; segments as decided, else found here."""
    if run.field is not None:
        return _overlay_facts(run, run.field)
    kept = read_facts(run) if run.has("decisions/segment") else None
    if kept is not None and kept.index.equals(run.market.accounts.index):
        return kept
    return _facts(run, _segment(run), wallets(run))


def _facts(run: Run, segment: pd.Series, wallet: Potential | None = None) -> pd.DataFrame:
    ideal_ = ideal_customers(run)
    return measuring.account_facts(run.market, run.settings, segment, wallet, ideal_)


def write_segments(run: Run) -> pd.DataFrame:
    """Write `decisions/segment.csv` and every finding about the data."""
    write_findings(run)
    label = find_segments(run).label
    measured = label.equals(_segment(run))
    write_facts(run, account_facts(run) if measured else _facts(run, label))
    return run.write(
        "decisions/segment", pd.DataFrame({"account_id": label.index, "segment": label.to_numpy()})
    )


def _segment(run: Run) -> pd.Series:
    if run.has("decisions/segment"):
        label = run.read("decisions/segment").set_index("account_id")["segment"]
        if label.index.sort_values().equals(run.market.accounts.index):
            return label.reindex(run.market.accounts.index)
    return find_segments(run).label


# ---------------------------------------------------------------------------- overlays


@cache
def credit(run: Run) -> pd.DataFrame:
    """Where each measure of each account counts: see `decisions.overlays.credit`."""
    return overlays.credit(run.market, account_facts(run), run.settings)


@cache
def counted(run: Run) -> pd.DataFrame:
    """Facts of the accounts with 0 in what counts in an overlay or is left to a partner.

    What territories are balanced, staffed and judged by; the plan tables speak of every account.
    """
    if run.field is not None:
        return account_facts(run)
    return overlays.counted(account_facts(run), credit(run))


@cache
def overlay_runs(run: Run) -> dict[str, Run]:
    """Every overlay of a run, as a run of its own: drawn, staffed and written by the same steps."""
    market, facts, asked = run.market, account_facts(run), run.settings
    return {
        name: overlay_run(
            run,
            name,
            overlays.overlay_settings(asked, name),
            overlays.overlay_market(market, facts, asked, name),
        )
        for name in asked.overlays
    }


def _overlay_facts(run: Run, field: Run) -> pd.DataFrame:
    accounts, asked = run.market.accounts, field.settings.overlays[run.overlay]
    mine = account_facts(field).loc[accounts.index].assign(unit_id=accounts["unit_id"])
    return overlays.counted(mine, credit(field), run.overlay, asked)


def teams(run: Run) -> list[plan.Team]:
    """Everybody who serves accounts, in the territories and every overlay, and who leads them.

    A manager leads a region or an overlay; who manages partners, the territories that sell through
    one. Who leads nothing of the kind leads all territories.
    """
    lead, served = overlays.managers(run.market), []
    for one in (run, *overlay_runs(run).values()):
        at = counted(one)["unit_id"].map(territories(one).territory)
        ways = counted(one).assign(travel_km=0.0)
        served.append(plan.Team(one.market.reps, reps(one), at, counted(one)))
        served.append(plan.Team(lead, regions(one), at, ways, plan.MANAGEMENT))
    busy = {rep_id for team in served for rep_id in team.rep["rep_id"]}
    sold = selling(run)
    partners = sold.loc[sold["channel"] != "direct", "territory"]
    for rows, names in (
        (lead[~lead.index.isin(busy)], sold["territory"]),
        (
            overlays.managers(run.market, CHANNEL_MANAGER),
            partners if len(partners) else sold["territory"],
        ),
    ):
        each = pd.MultiIndex.from_product([names, rows.index], names=["territory", "rep_id"])
        first = served[1]
        served.append(first._replace(reps=rows, rep=each.to_frame(index=False)))
    return served


def left_to_partners(run: Run) -> pd.DataFrame:
    """Accounts that an exclusive contract leaves to a partner: distributor_id, sales a year."""
    facts = account_facts(run)
    left = facts[(credit(run) == overlays.PARTNER).any(axis=1)]
    margin = max(run.settings.workload.margin, 1e-9)
    return pd.DataFrame(
        {
            "distributor_id": overlays.exclusive_partner(run.market, facts)[left.index],
            "sales": left["revenue"].clip(lower=0) + left["ev"] / margin,
        }
    )


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
    manager = lead[0] if lead else staffing.VACANT
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


# ---------------------------------------------------------------------------- 02 territories


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


# ---------------------------------------------------------------------------- 03 reps, channels


@cache
def assign_reps(run: Run) -> staffing.Staffing:
    """Give every territory a rep, or say that it is vacant (notebook 03)."""
    return staffing.assign_reps(run.market, counted(run), territories(run).territory, run.settings)


class Fairness(NamedTuple):
    """How fair the plan is to the reps, and how fair today is: see `measures.fairness`."""

    plan: pd.DataFrame
    today: pd.DataFrame
    envy: pd.DataFrame


@cache
def fairness(run: Run) -> Fairness:
    """Measure work and opportunity of every rep, today and in the plan (notebook 03).

    Those who leave before the quarter planned for are not in the plan's.
    """
    market, facts, asked = run.market, counted(run), run.settings
    territory = facts["unit_id"].map(territories(run).territory)
    owner = staffing.owner_of(reps(run))
    # Who is gone has no work to be unfair about; today's reps still hold what overlays will take.
    planned = rep_fairness(market, facts, territory.map(owner), asked)[
        ~staffing.away(market, market.reps)
    ]
    held, whole = relations.owners(market), account_facts(run)
    today = rep_fairness(market, whole, held, asked) if (held != "").any() else pd.DataFrame()
    found = envy(assign_reps(run).costs, reps(run), facts["ev"].groupby(territory).sum())
    return Fairness(planned, today, found)


@cache
def choose_channels(run: Run) -> pd.DataFrame:
    """Decide for every territory whether a rep or a partner sells (notebook 03)."""
    return channels.choose_channels(
        run.market,
        counted(run),
        territories(run).territory,
        reps(run),
        run.settings,
        left_to_partners(run),
    )


def sold_by(run: Run) -> pd.Series:
    """Who sells to every account: account_id -> distributor_id, "" where we do."""
    facts, left = account_facts(run), left_to_partners(run)["distributor_id"]
    taken = taken_by_overlays(run)
    ours = () if taken is None else taken.index
    return channels.selling_partner(facts, territories(run).territory, selling(run), left, ours)


def reps(run: Run) -> pd.DataFrame:
    """Territory and rep as decided, else assigned here."""
    if run.has("decisions/rep"):
        return run.read("decisions/rep")
    return assign_reps(run).rep


def selling(run: Run) -> pd.DataFrame:
    """Territory and channel as decided, else chosen here."""
    if run.has("decisions/channel"):
        return run.read("decisions/channel")
    return choose_channels(run)


@cache
def hand_over(run: Run) -> pd.DataFrame:
    """Every account that changes hands against the present alignment, with what is at risk."""
    return moves.handover(
        run.market,
        account_facts(run),
        territories(run).territory,
        reps(run),
        run.settings,
        taken_by_overlays(run),
    )


def changes(run: Run) -> pd.DataFrame:
    """Accounts of the handover that somebody holds today: see `moves.change_hands`."""
    return moves.change_hands(hand_over(run))


@cache
def account_owner(run: Run) -> pd.Series:
    """Rep of every account: the territory's, or the overlay's where that is credited with the work."""
    label, rep = territories(run).territory, reps(run)
    return staffing.account_owner(account_facts(run), label, rep, taken_by_overlays(run))


def taken_by_overlays(run: Run) -> pd.Series | None:
    """account_id -> rep of the overlay that is credited with its work; None without overlays."""
    taken = []
    for name, one in overlay_runs(run).items():
        owner = account_owner(one)
        taken.append(owner[credit(run).loc[owner.index, "workload_h"] == name])
    return pd.concat(taken) if taken else None


def write_reps(run: Run) -> pd.DataFrame:
    """Write who owns each territory and through which channel it sells, in every overlay too."""
    for one in overlay_runs(run).values():
        write_reps(one)
        facts = account_facts(one)
        ours = pd.Series("", index=facts.index)
        crm = plan.accounts(one.market, facts, territories(one).territory, account_owner(one), ours)
        one.write("accounts", crm)
    if run.field is None:
        run.write("decisions/channel", choose_channels(run))
    return run.write("decisions/rep", assign_reps(run).rep)


# ---------------------------------------------------------------------------- 04 budget, 05 goals


@cache
def split_budget(run: Run) -> spending.Spending:
    """Split the budget over territory and channel (notebook 04)."""
    return spending.split_budget(
        run.market, account_facts(run), territories(run).territory, run.settings, reps(run)
    )


def write_budget(run: Run) -> pd.DataFrame:
    """Write `decisions/budget.csv`; what is left unspent stands in a row of its own."""
    spent = split_budget(run)
    rows = spent.cells[["territory", "channel", "amount", "least", "most", "binding"]]
    if spent.unallocated:
        idle = {"territory": plan.UNALLOCATED, "channel": "", "amount": spent.unallocated}
        idle |= {"least": 0, "most": spent.unallocated, "binding": ""}
        rows = pd.concat([rows, pd.DataFrame([idle])], ignore_index=True)
    return run.write("decisions/budget", rows)


@cache
def doubt_budget(run: Run) -> spending.Doubt:
    """Tell how far the split of the budget can be trusted (notebook 04)."""
    return spending.doubt_of(split_budget(run), run.settings)


@cache
def target_areas(run: Run) -> pd.DataFrame:
    """Rank the areas by what new sales they promise: `plan/areas`."""
    return targeting.target_areas(
        run.market,
        account_facts(run),
        territories(run).territory,
        selling(run),
        run.settings,
        reps(run),
    )


@cache
def whole_budget(run: Run) -> pd.DataFrame:
    """Every cost of the plan by area and quarter: `plan/budget`."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return plan.budget(year_costs(run), reach_plan(run), quarters)


@cache
def year_costs(run: Run) -> pd.DataFrame:
    """Every cost of a year of the plan by area (notebook 04): see `plan.costs`."""
    return plan.costs(
        run.market,
        account_facts(run),
        territories(run).territory,
        teams(run),
        selling(run),
        target_areas(run),
        split_budget(run),
        reach_plan(run),
        run.settings,
    )


@cache
def area_results(run: Run) -> pd.DataFrame:
    """Profit and loss of every area (notebook 04)."""
    return plan.area_results(
        account_facts(run),
        territories(run).territory,
        sold_by(run),
        year_costs(run),
        reach_plan(run),
        run.market,
        run.settings,
    )


@cache
def reach_plan(run: Run) -> pd.DataFrame:
    """The reach plan with the quarters in which areas are opened: `plan/reach`."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters + 1)
    return launch.into_reach(_reached(run), launches(run), quarters)


@cache
def _reached(run: Run) -> pd.DataFrame:
    return plan.reach(
        run.market,
        account_facts(run),
        territories(run).territory,
        target_areas(run),
        split_budget(run),
        reps(run),
        run.settings,
    )


@cache
def launches(run: Run) -> pd.Series:
    """Choose the quarter in which each area to attack is opened: see `launch.waves` (notebook 05)."""
    areas = target_areas(run)
    rows = areas[(areas["decision"] == launch.LAUNCHED) & (areas["expected_contribution"] > 0)]
    spend = _reached(run).groupby(launch.KEYS)["spend"].sum()
    cost = spend.reindex(pd.MultiIndex.from_frame(rows[launch.KEYS])).fillna(0.0) / 100
    rows = rows.assign(value=rows["expected_contribution"] / 100, cost=cost.to_numpy(float))
    held, n = reps(run), run.settings.timeline.quarters
    vacant = held.loc[held["rep_id"] == "VACANT", "territory"] if run.market.has("reps") else []
    given = np.full(n, float(rows["cost"].sum()) / n)
    return launch.waves(rows, n, run.settings, frozenset(vacant), given)


@cache
def launch_tasks(run: Run) -> pd.DataFrame:
    """Date the tasks of every area that is opened: see `launch.gantt` (notebook 05)."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return launch.gantt(launches(run), quarters, run.market.country, run.market.as_of)


@cache
def backtest_forecast(run: Run) -> backtest.Backtest:
    """Forecast again from past quarters (notebook 05)."""
    return backtest.backtest(run.market, run.settings)


@cache
def stage_scores(run: Run) -> dict[str, float]:
    """Score chances of past open deals with and without their stages: see `backtest.stage_scores`."""
    return backtest.stage_scores(run.market, run.settings)


@cache
def simple_rule(run: Run) -> dict[str, float] | None:
    """What a simple rule expects of the horizon, where it was closer in the past; else None."""
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    return backtest.headline(run.market, backtest_forecast(run), quarters, run.settings)


def expected_year(run: Run) -> dict[str, float]:
    """New sales of the whole horizon as the headline gives them: mean, p10, p50, p90."""
    return simple_rule(run) or forecast_sales(run).year


def goal_given(run: Run) -> bool:
    """Whether anybody set a goal; else the plan's is what is expected."""
    return set_goals(run).basis != "forecast"


def goal_and_forecast(run: Run) -> dict[str, float]:
    """Compare the goal with the forecast of the headline: see `goals.reconciliation`."""
    return goals.reconciliation(set_goals(run), forecast_sales(run), simple_rule(run))


@cache
def forecast_sales(run: Run) -> timeline.Forecast:
    """Forecast new sales by territory and quarter, with ranges (notebook 05)."""
    return timeline.forecast(
        run.market,
        account_facts(run),
        territories(run).territory,
        reps(run),
        split_budget(run),
        run.settings,
        selling(run),
        starts(run),
        backtest_forecast(run).widen,
    )


def area_name(run: Run, territory: str, area_id: str) -> str:
    """Name of an area, or of the territory where there are none."""
    if not len(run.market.areas) or area_id not in run.market.areas.index:
        return territory
    return str(run.market.areas.loc[area_id, "name"])


def starts(run: Run) -> pd.Series:
    """Quarter of the horizon, from 0, in which the reach plan begins in each area."""
    reached = reach_plan(run)
    return reached.groupby(launch.KEYS)["wave"].first().astype(int) - 1


def horizon_cost(run: Run) -> pd.DataFrame:
    """Cost of the plan by territory and quarter, currency: see `plan.budget`."""
    rows = whole_budget(run)
    quarters = timeline.next_quarters(run.market.quarter, run.settings.timeline.quarters)
    names = sorted(territories(run).territory.unique())
    table = rows.pivot_table(index="territory", columns="quarter", values="amount", aggfunc="sum")
    return table.reindex(index=names, columns=quarters).astype(float).fillna(0.0) / 100


@cache
def break_even(run: Run) -> pd.DataFrame:
    """Say when new sales have paid for the plan: territory ("" is the whole), p10, p50, p90, chance."""
    expected, cost = forecast_sales(run), horizon_cost(run)
    quarters, margin = expected.parts.quarters, run.settings.workload.margin
    draws = expected.of_territories()
    rows = [
        {"territory": name}
        | timeline.break_even(draws[:, i], cost.loc[name].to_numpy(), margin, quarters)
        for i, name in enumerate(cost.index)
    ]
    whole = timeline.break_even(draws.sum(axis=1), cost.sum().to_numpy(), margin, quarters)
    return pd.DataFrame([{"territory": ""} | whole, *rows])


def _world(run: Run) -> scenarios.World:
    return scenarios.World(
        run.market,
        account_facts(run),
        territories(run).territory,
        reps(run),
        split_budget(run),
        run.settings,
        selling(run),
        starts(run),
        float(horizon_cost(run).to_numpy().sum()),
    )


@cache
def compare_scenarios(run: Run) -> pd.DataFrame:
    """Compare the plan with others that might be (notebook 05)."""
    return scenarios.compare(scenarios.scenarios(_world(run)), run.settings)


@cache
def what_matters(run: Run) -> pd.DataFrame:
    """Move every assumption by itself (notebook 05)."""
    return scenarios.tornado(_world(run))


@cache
def goal_stretch(run: Run) -> tuple[pd.DataFrame, dict[str, float]]:
    """Measure whether quotas are fair and within reach (notebook 05)."""
    territory = territories(run).territory
    return goals.stretch(set_goals(run), forecast_sales(run), account_facts(run), territory)


@cache
def set_goals(run: Run) -> goals.Goals:
    """Set the goal of every territory and quarter (notebook 05)."""
    return goals.set_goals(
        run.market,
        account_facts(run),
        territories(run).territory,
        forecast_sales(run),
        run.settings,
        reps(run),
        credited_to(run),
    )


def credited_to(run: Run) -> pd.DataFrame:
    """Where the sales of every account are credited: account_id -> team, territory of that team."""
    facts = account_facts(run)
    rows = pd.DataFrame({"team": credit(run)["revenue"]})
    rows["territory"] = facts["unit_id"].map(territories(run).territory)
    for name, one in overlay_runs(run).items():
        mine = rows.index[rows["team"] == name]
        served = account_facts(one)["unit_id"].map(territories(one).territory)
        rows.loc[mine, "territory"] = served.reindex(mine)
    return rows


def own_goals(run: Run) -> pd.DataFrame:
    """Goals credited to the territories of a run, or of an overlay: territory, quarter, amount.

    Of a run's own territories what its partners are asked is part.
    """
    rows = set_goals(run.field or run).credited
    mine = (overlays.FIELD, overlays.PARTNER) if run.field is None else (run.overlay,)
    rows = rows[rows["team"].isin(mine)]
    return rows.groupby(["territory", "quarter"], as_index=False)["amount"].sum()


def quotas(run: Run) -> pd.DataFrame:
    """What reps are asked: territory, rep_id, amount; of the run's own territories or an overlay's."""
    if run.field is None:
        return set_goals(run).quotas
    return goals.team_quotas(run.market, own_goals(run), reps(run), run.settings)


def write_goals(run: Run) -> pd.DataFrame:
    """Write `decisions/goal.csv` of the run and of every overlay: each coin where it is credited."""
    for one in overlay_runs(run).values():
        one.write("decisions/goal", own_goals(one))
    return run.write("decisions/goal", own_goals(run))


# ---------------------------------------------------------------------------- 06 plan, 07 review


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


def capacity(run: Run) -> float:
    """Hours a year that a full-time rep has for customers."""
    return capacity_h(run.settings, measuring.planning_year(run.market), run.market.country)


def channel_name(run: Run, channel: str) -> str:
    """Name of a channel in the language of the run."""
    return str(run.market.channels.loc[channel, f"label_{run.words.locale}"])


def channel_names(run: Run) -> dict[str, str]:
    """Names of all channels in the language of the run."""
    return {channel: channel_name(run, channel) for channel in run.market.channels.index}


@cache
def win_rates(run: Run) -> pd.DataFrame:
    """Win rates of the whole base and of every segment."""
    return winning.win_rates(run.market, account_facts(run)["segment"], run.settings)


@cache
def cycle_curves(run: Run) -> pd.DataFrame:
    """How deals end as they grow older, the whole base and every segment."""
    return winning.cycle_curves(run.market, account_facts(run)["segment"], run.settings)


@cache
def open_by_stage(run: Run) -> pd.DataFrame:
    """Chance of the open deals by stage and age: see `winning.open_by_stage`."""
    return winning.open_by_stage(run.market, run.settings)


@cache
def stale_deals(run: Run) -> dict[str, float]:
    """Open deals of a year or more: see `winning.stale_deals`."""
    return winning.stale_deals(run.market, run.settings)


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
def next_products(run: Run) -> pd.DataFrame:
    """The product line that each account lacks most: see `profile.next_best_product`."""
    return profile.next_best_product(run.market, account_facts(run))


@cache
def attractiveness(run: Run) -> pd.DataFrame:
    """How attractive every area is against our ability to win there, with what is decided."""
    areas = assemble_plan(run)["plan/areas"][["territory", "area_id", "decision", "rank"]]
    found = targeting.attractiveness(run.market, account_facts(run), territories(run).territory)
    return found.merge(areas, on=["territory", "area_id"], validate="one_to_one")


def promising(run: Run) -> pd.DataFrame:
    """Prospects by industry and size, the most promising kind first: accounts, p_win, ev."""
    facts = account_facts(run)
    prospects = facts[facts["status"] == "prospect"]
    by = prospects.groupby(["industry", "size_class"], as_index=False).agg(
        accounts=("count", "size"), p_win=("p_win", "mean"), ev=("ev", "mean")
    )
    enough = by[by["accounts"] >= FEWEST_OF_A_KIND]
    by = enough if len(enough) else by
    return by.sort_values(["ev", "industry"], ascending=[False, True]).reset_index(drop=True)


FEWEST_OF_A_KIND = 5


def rhythms(run: Run) -> pd.DataFrame:
    """Customers of today with their scores and revenue."""
    rows = rfm(run).join(account_facts(run)[["revenue", "status"]])
    return rows[(rows["rfm"] != "") & (rows["status"] == "customer")]


def no_losses(run: Run) -> bool:
    """Whether losses are hardly recorded, so that no win rate can be known."""
    return ideal_customers(run).reason == "no_lost"


def with_space_range(run: Run) -> pd.DataFrame:
    """Facts of every account with the range of its white space: white_space_low, white_space_high."""
    facts = account_facts(run)
    low, high = (facts[f"potential_{end}"] - facts["revenue"] for end in ("low", "high"))
    return facts.assign(white_space_low=low, white_space_high=high)


@cache
def white_space(run: Run) -> pd.DataFrame:
    """Revenue and white space with its range by area, or by town without areas, most first.

    Columns: area_id ("" without areas), name, revenue, white_space, white_space_low,
    white_space_high, outside and n_outside (potential and number of firms that are not in the CRM).
    """
    facts, market = with_space_range(run), run.market
    place = (
        facts["area_id"].map(market.areas["name"]) if len(market.areas) else market.accounts["town"]
    )
    place = place.where(place.fillna("") != "", market.accounts["name"]).rename("name")
    columns = ["revenue", "white_space", "white_space_low", "white_space_high"]
    facts["area_id"] = facts["area_id"] if len(market.areas) else ""
    by = facts.groupby(["area_id", place])[columns].sum().reset_index()
    beyond = area_potential(market, facts, run.settings).set_index("area_id")
    beyond = beyond.loc[beyond["n_outside"] > 0, ["outside", "n_outside"]]
    # Where nobody is an account there may be firms all the same.
    alone = beyond.loc[~beyond.index.isin(by["area_id"])].reset_index()
    alone["name"] = alone["area_id"].map(market.areas["name"]).fillna(alone["area_id"])
    by = by.join(beyond, on="area_id")
    by = pd.concat([by, alone], ignore_index=True) if len(alone) else by
    numbers = [*columns, "outside", "n_outside"]
    by[numbers] = by[numbers].fillna(0.0)
    return by.sort_values(["white_space", "name"], ascending=[False, True]).reset_index(drop=True)
