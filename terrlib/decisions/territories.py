"""Where to draw the lines: territories in one piece, each measure within its own tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from terrlib.checks import Check
from terrlib.decisions.impossible import (
    NODES,
    PAIRS,
    STEPS,
    Named,
    changed,
    conflict,
    impossible,
    named_rules,
    said_group,
    without,
)
from terrlib.decisions.naming import keep_names
from terrlib.decisions.rules import (
    Rules,
    Terms,
    amounts_moved,
    compile_problem,
    money,
    present_territory,
    slots,
)
from terrlib.errors import InfeasibleError
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Territories
from terrlib.measures.scorecard import pieces
from terrlib.show.words import Told, either, says
from terrlib.solve.milp import assign_units
from terrlib.solve.partition import Problem, Solution, evaluate, excess
from terrlib.solve.solver import NotFound, solve

__all__ = [
    "Curve",
    "Design",
    "Rules",
    "Terms",
    "checks",
    "compile_problem",
    "curve",
    "draw",
    "fair_shares",
    "frontier",
    "impossible",
    "lock_prices",
    "present_territory",
    "refuse_impossible",
]
WIDER = (1.25, 1.5, 2.0, 3.0, 5.0)
WIDEST = 0.95
HALVINGS = 4
CLASH_PAIRS = (
    1_500  # units times slots up to which a conflict is looked for where balance is missed
)
OFF = 1e-9
Follow = Callable[[Sequence[Any]], Iterable[Any]]  # hands on one after the other, like tqdm


@dataclass(frozen=True)
class Design:
    """Territories as drawn, with what is proven about them.

    Attributes
    ----------
    territory
        unit_id -> name.
    share
        territory -> fair share, adding up to 1.
    cost_km
        Travel: workload hours times km by road (or minutes of the matrix) to the centres.
    change
        Expected loss of the accounts that change hands, currency, times the price of change.
    moved_accounts, moved_revenue
        How many accounts are held by another territory today, and their revenue.
    cost
        What was minimised: travel (squared where asked) and change, in the unit of travel.
    bound_km, gap
        Proven: no territories under these rules cost less than `bound_km`, in the unit of `cost`;
        gap = (cost - bound) / cost.
    bound_here
        The same for these centres; nan where it was not asked.
    status
        optimal (proven) or feasible.
    relaxed
        The rules that the proof leaves out, like pieces; () where none.
    work
        Moves tried.
    centre
        territory -> unit at its centre, or the rep whose home it is; "" where it is no unit.
    """

    territory: pd.Series
    share: pd.Series
    cost_km: float
    change: float
    moved_accounts: int
    moved_revenue: float
    cost: float
    bound_km: float
    gap: float
    bound_here: float
    status: str
    relaxed: tuple[str, ...]
    work: int
    centre: pd.Series


@dataclass(frozen=True)
class Curve:
    """Several numbers of territories, and the one that was picked.

    Attributes
    ----------
    table
        n_territories, cost, travel_km, bound, gap, status, utilisation (workload over the hours
        there are), travel_money, rep_money, change_money, total (currency a year), fits (whether the
        utilisation is within the limit), refused (the reason where there are none).
    picked
        The number of territories.
    reason
        least_total: the cheapest of those whose utilisation fits; fullest: none fits, so the most
        territories; no_capacity: hours are unknown, so the cheapest of all.
    designs
        Number -> design.
    """

    table: pd.DataFrame
    picked: int
    reason: str
    designs: dict[int, Design]


def refuse_impossible(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series | None = None,
) -> None:
    """Refuse what arithmetic alone shows to be impossible, with the widening that was tried and works.

    Raises
    ------
    InfeasibleError
        With every reason, its numbers and what would help.
    """
    fixed = pd.Series(dtype=str) if fixed is None else fixed
    if reasons := impossible(market, measures, rules, fixed):
        tried = any(says(reason, "refusal.allow_balance") for reason in reasons)
        works = [_wider(market, measures, rules, how, seed, fixed)] if tried else []
        free = replace(rules, max_accounts=None, max_revenue=None)
        if rules.caps and not impossible(market, measures, free, fixed):
            works = _fewest_moved(market, measures, rules, fixed)
        raise InfeasibleError([*reasons, *works])


def draw(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series | None = None,
    *,
    explain: bool = True,
) -> Design:
    """Draw territories that keep every rule.

    Parameters
    ----------
    market
        Units, who touches whom, and the present alignment whose names are kept.
    measures
        unit_id x workload_h, potential, revenue, count.
    rules
        How many, how balanced, and what else must hold.
    how
        `starts`, `effort`: how much to search.
    seed
        Same seed, same map.
    fixed
        unit_id -> territory it must be in.
    explain
        Whether a refusal looks for the rules that conflict and for a wider balance that works.

    Returns
    -------
    Design

    Raises
    ------
    InfeasibleError
        With the arithmetic where that decides; else with the smallest set of rules found that cannot
        hold together, the nearest miss, and the smallest wider balance found that works.
    """
    fixed = pd.Series(dtype=str) if fixed is None else fixed
    measures = measures.sort_index()
    if explain:
        refuse_impossible(market, measures, rules, how, seed, fixed)
    elif reasons := impossible(market, measures, rules, fixed):
        raise InfeasibleError(reasons)
    problem, slot = compile_problem(market, measures, rules, fixed)
    try:
        found = solve(problem, seed, how.effort, how.starts)
    except NotFound as none:
        said = _nearest(rules, problem, none)
        if explain:
            reached = _reached(measures, rules, slot, none)
            said = _why_not(market, measures, rules, how, seed, fixed, said, reached, none.work)
        raise InfeasibleError(said) from none
    return _design(market, measures, rules, fixed, problem, slot, found)


def _design(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    fixed: pd.Series,
    problem: Problem,
    slot: pd.DataFrame,
    found: Solution,
) -> Design:
    """Translate slots back to names, and measure what moves from the labels alone."""
    label = pd.Series(found.label, index=measures.index)
    names = _names(market, measures, rules, fixed, slot, label)
    of_slot = names.groupby(label).first()
    share = slot["share"].groupby(of_slot).sum().rename_axis("territory")
    plain = replace(problem, square=False, price=None)
    travel, _ = evaluate(plain, found.label)
    _, centre = evaluate(replace(problem, price=None), found.label)
    at = [
        slot["rep_id"][t] if problem.home is not None else ("" if c < 0 else str(measures.index[c]))
        for t, c in enumerate(centre)
    ]
    moved, revenue = moves(market, names)
    gap = (found.cost - found.bound) / found.cost if found.cost > 0 else 0.0
    return Design(
        territory=names,
        share=share,
        cost_km=travel,
        change=rules.terms.price * (rules.terms.loss * revenue + rules.terms.switch * moved),
        moved_accounts=moved,
        moved_revenue=revenue,
        cost=found.cost,
        bound_km=found.bound,
        gap=max(gap, 0.0),
        bound_here=found.bound if problem.home is not None else found.bound_here,
        status=found.status,
        relaxed=found.relaxed,
        work=found.work,
        centre=pd.Series(at, index=of_slot.reindex(range(problem.k)).to_numpy()),
    )


def _names(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    fixed: pd.Series,
    slot: pd.DataFrame,
    label: pd.Series,
) -> pd.Series:
    """Name the slots; where no rule and no price speaks of today's names, match them by overlap."""
    terms = rules.terms
    bound = terms.price > 0 or terms.homes or len(set(rules.shares)) > 1
    bound = bound or bool(rules.caps or rules.forbidden or rules.protected)
    if bound or not len(market.assignments):
        return label.map(slot["name"]).rename("territory")
    forced = {t: name for t, name in slot["name"].items() if name in set(fixed)}
    weight = measures["revenue"] + measures["count"] * 1e-6
    return keep_names(label, present_territory(market), weight, forced)


def moves(market: Market, territory: pd.Series) -> tuple[int, float]:
    """Count the accounts whose territory is another than today, and add up their revenue.

    Who is held by nobody today, or by a vacancy, changes no hands.
    """
    somebodys = market.held("territory")[market.held("rep_id") != VACANT]
    held = somebodys.reindex(market.accounts.index).dropna()
    gone = held.index[(market.accounts.loc[held.index, "unit_id"].map(territory) != held)]
    return len(gone), float(market.accounts.loc[gone, "revenue"].clip(lower=0).sum())


# ---------------------------------------------------------------------------- when there are none


def _why_not(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series,
    nearest: list[Told],
    reached: list[Told],
    work: int,
) -> list[Told]:
    """Say which rules cannot hold together, how near the nearest came, and what works."""
    # Where only balance is missed, and the proof would take long, how finely it can be kept is enough.
    long = bool(reached) and len(measures) * rules.n_territories > CLASH_PAIRS
    clash = () if long else conflict(market, measures, rules, fixed)
    if clash:
        said = Told("refusal.clash", rules=[_called(market, rule) for rule in clash])
    else:
        said = Told("refusal.not_found", k=rules.n_territories, work=work)
    works = reached or [*nearest, _wider(market, measures, rules, how, seed, fixed)]
    if any(kind == "cap" for kind, _ in clash):
        works = _fewest_moved(market, measures, rules, fixed) or works
    return [said, *works, *_fewer(market, measures, rules, how, seed, fixed, clash)]


def _fewer(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series,
    clash: tuple[Named, ...],
) -> list[Told]:
    """Try without each of the rules that conflict, and say which of them it is enough to give up."""
    enough = []
    for rule in clash:
        if rule[0] == "balance":
            continue
        fewer, held = without(rules, fixed, rule)
        try:
            draw(market, measures, fewer, how, seed, held, explain=False)
        except InfeasibleError:
            continue
        enough.append(_called(market, rule))
    if not enough:
        return []
    return [Told("refusal.found_without", rules=either("or_without", *enough))]


def _called(market: Market, rule: Named) -> Told:
    """Name a rule in a sentence."""
    kind, which = rule
    if kind in ("together", "apart"):
        group = said_group(market, kind, which.split(", "))
        return Told(f"refusal.rule_{kind}", group=group)
    if kind == "balance":
        return Told("refusal.rule_balance", measure=which)
    return Told(f"refusal.rule_{kind}{'_' if which else ''}{which}")


def _nearest(rules: Rules, problem: Problem, none: NotFound) -> list[Told]:
    """How near the nearest labels came."""
    if none.label is None or not rules.balance or "balance" not in none.broken:
        broken = [Told(f"refusal.broken_{rule}") for rule in none.broken]
        return [Told("refusal.nearest_breaks", rules=broken)] if broken else []
    off = excess(problem, none.label) / np.maximum(problem.low + problem.high, 1e-12) * 2
    measures = list(rules.balance)
    measure = measures[int(off.max(axis=0).argmax())]
    return [Told("refusal.nearest_misses", measure=measure, off=float(off.max()))]


def _reached(
    measures: pd.DataFrame, rules: Rules, slot: pd.DataFrame, none: NotFound
) -> list[Told]:
    """Say the finest balance that the search reached; [] where it reached nothing but for balance.

    The labels that it ended with keep every other rule, so they are territories under it.
    """
    if not none.work or none.broken != ("balance",):
        return []
    return [_allow(rules, _needed(measures, rules, none.label, slot))]


def _needed(
    measures: pd.DataFrame, rules: Rules, label: np.ndarray, slot: pd.DataFrame
) -> dict[str, float]:
    """Tolerances that labels need, none below what is asked, rounded up to two digits."""
    index = _index(measures[list(rules.balance)], label, slot["share"].to_numpy())
    off = np.abs(index - 1).max(axis=0)
    return {
        m: t if x <= t + OFF else _round_up(float(x))
        for (m, t), x in zip(rules.balance.items(), off, strict=True)
    }


def _round_up(value: float) -> float:
    digits = 1 - int(np.floor(np.log10(value)))
    return float(round(np.ceil(round(value * 10**digits, 6)) / 10**digits, digits))


def _allow(rules: Rules, needed: dict[str, float]) -> Told:
    """Say the wider balance, as the command line takes it."""
    wide = {m: t for m, t in needed.items() if t > rules.balance[m]}
    found = ", ".join(f"{m}: {t:.10g}" for m, t in wide.items())
    ask = " ".join(f"--balance {m}:{t:.10g}" for m, t in needed.items())
    return Told("refusal.finest_balance", found=found, asked=ask)


def _wider(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series,
) -> Told:
    """Find by trial the smallest wider balance with which territories exist, and say it.

    All tolerances are widened alike until territories are found; then the factor is halved in
    towards the last that failed. The tolerances named are those that the territories found need.
    """

    def needed(factor: float) -> dict[str, float] | None:
        wide = {m: min(t * factor, WIDEST) for m, t in rules.balance.items()}
        asked = replace(rules, balance=wide)
        if impossible(market, measures, asked, fixed):
            return None
        problem, slot = compile_problem(market, measures, asked, fixed)
        try:
            label = solve(problem, seed, 1, how.starts).label
        except NotFound:
            return None
        return _needed(measures, rules, label, slot)

    low, best = 1.0, None
    largest = WIDEST / min(rules.balance.values(), default=1.0)
    for factor in sorted({*(f for f in WIDER if f < largest), 10.0, largest}):
        high, best = factor, needed(factor)
        if best:
            break
        low = factor
    if not best:
        return Told("refusal.no_wider")
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        closer = needed(middle)
        high, low, best = (middle, low, closer) if closer else (high, middle, best)
    wide = ", ".join(f"{m}: {t:.10g}" for m, t in best.items() if t > rules.balance[m])
    return Told("refusal.found_with", balance=wide)


def _fewest_moved(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> list[Told]:
    """Find how little has to change hands under all the other rules, and say the limits that work.

    Of two limits the sum of what is moved over what may be is least.
    """
    free = replace(rules, max_accounts=None, max_revenue=None)
    problem, slot = compile_problem(market, measures, free, fixed)
    if problem.n * problem.k > PAIRS:
        return []
    caps = np.array(list(rules.caps.values()))
    moved = amounts_moved(market, measures.index, slot["name"].tolist(), list(rules.caps))
    cost = (moved / np.maximum(caps, 1.0)).sum(axis=2)
    label = assign_units(problem, cost, NODES, steps=STEPS).label
    if label is None:
        return []
    needed = np.maximum(moved[np.arange(problem.n), label].sum(axis=0), caps)
    found = [
        f"max_{kind}: {int(np.ceil(round(most, 6)))}"
        for kind, most in zip(rules.caps, needed, strict=True)
    ]
    return [Told("refusal.found_with_limits", limits=found)]


def _index(load: pd.DataFrame, label: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Measures of each slot over its fair share, (k, m)."""
    sums = np.zeros((len(share), load.shape[1]))
    np.add.at(sums, label, load.to_numpy(float))
    return sums / np.maximum(share[:, None] * load.to_numpy(float).sum(axis=0)[None], 1e-12)


# ---------------------------------------------------------------------------- comparing


def curve(
    market: Market,
    measures: pd.DataFrame,
    asked: Sequence[Rules],
    how: Territories,
    seed: int,
    fixed: pd.Series | None = None,
    ready: Mapping[int, Design] | None = None,
    follow: Follow = iter,
) -> Curve:
    """Draw every number of territories that is asked, and pick one.

    total = travel in money + number * cost of a rep + change; picked is the least total among the
    numbers whose utilisation (hours of work over hours there are) is within the limit.

    Parameters
    ----------
    market, measures, how, seed, fixed
        As in `draw`.
    asked
        The rules for each number.
    ready
        Number -> design that is there already.
    follow
        Called with what is to be drawn; shows how far it is.

    Raises
    ------
    InfeasibleError
        If there are territories for none of the numbers.
    """
    rows, designs, ready = [], {}, ready or {}
    for rules in follow(asked):
        k, terms = rules.n_territories, rules.terms
        try:
            found = ready.get(k) or draw(market, measures, rules, how, seed, fixed, explain=False)
        except InfeasibleError as reason:
            rows.append({"n_territories": k, "status": "none", "refused": reason.said})
            continue
        designs[k] = found
        fte = sum(rules.shares) if rules.shares else float(k)
        hours = fte * terms.capacity_h
        travel = found.cost_km * money(market, terms) if market.places else 0.0
        used = float(measures["workload_h"].sum()) / hours if hours else np.nan
        row = {
            "n_territories": k,
            "cost": found.cost,
            "travel_km": found.cost_km,
            "bound": found.bound_km,
            "gap": found.gap,
            "status": found.status,
            "utilisation": used,
            "travel_money": travel,
            "rep_money": fte * terms.rep_cost,
            "change_money": found.change,
            "total": travel + fte * terms.rep_cost + found.change,
            "refused": "",
        }
        rows.append(row | {"fits": not used > terms.limit})
    table = pd.DataFrame(rows)
    if not designs:
        ends = {"low": asked[0].n_territories, "high": asked[-1].n_territories}
        raise InfeasibleError("refusal.no_number_works", **ends, why=rows[-1]["refused"])
    drawn = table[table["n_territories"].isin(designs)]
    fits = drawn[drawn["fits"].astype(bool)]
    if not len(fits):
        return Curve(table, int(drawn["n_territories"].max()), "fullest", designs)
    best = fits.loc[fits["total"].astype(float).idxmin(), "n_territories"]
    known = bool(drawn["utilisation"].notna().any())
    return Curve(table, int(best), "least_total" if known else "no_capacity", designs)


def frontier(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    tolerances: Sequence[float],
    fixed: pd.Series | None = None,
    present: Design | None = None,
    follow: Follow = iter,
) -> pd.DataFrame:
    """Draw with one tolerance after another for the first measure: what balance costs in travel.

    The tolerances of the other measures go with it in proportion.
    What keeps a tight tolerance keeps a wide one, so the cheapest of the tighter ones counts too;
    what is proven for a wide tolerance holds for a tight one, so the highest of these bounds counts.

    Parameters
    ----------
    market, measures, rules, how, seed, fixed
        As in `draw`.
    tolerances
        Of the first measure.
    present
        The design for the tolerance of the rules, which then need not be drawn again.
    follow
        Called with what is to be drawn; shows how far it is.

    Returns
    -------
    DataFrame, a row for each tolerance, ascending
        tolerance, cost, bound (in the unit of travel), gap, status (none where there are none)
    """
    asked, rows = next(iter(rules.balance.values()), 1.0), []
    for tolerance in follow(sorted({*tolerances, asked} if present else tolerances)):
        wide = {m: min(t * tolerance / asked, WIDEST) for m, t in rules.balance.items()}
        tight = replace(rules, balance=wide)
        try:
            found = (present if tolerance == asked else None) or draw(
                market, measures, tight, how, seed, fixed, explain=False
            )
        except InfeasibleError:
            rows.append((tolerance, np.inf, -np.inf))
        else:
            rows.append((tolerance, found.cost, found.bound_km))
    table = pd.DataFrame(rows, columns=["tolerance", "cost", "bound"])
    table["cost"] = table["cost"].cummin()
    table["bound"] = table["bound"][::-1].cummax()[::-1]
    there = np.isfinite(table["cost"])
    table["gap"] = ((table["cost"] - table["bound"]) / table["cost"].where(table["cost"] > 0)).clip(
        lower=0
    )
    proven = table["cost"] - table["bound"] <= OFF * table["cost"].abs()
    table["status"] = np.select([~there, proven], ["none", "optimal"], "feasible")
    return table.assign(
        cost=table["cost"].where(there),
        bound=table["bound"].where(there & (table["bound"] > -np.inf)),
    )


def lock_prices(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series | None = None,
    present: Design | None = None,
    most: int | None = None,
    follow: Follow = iter,
) -> pd.DataFrame:
    """Price every lock: what the territories cost with all rules, less what they cost without that one.

    The territories with all rules keep the others too, so they count as an answer without the lock
    and no price is below 0; those drawn without a lock that keep it all the same count as an answer
    with all rules. A price is at most what is proven for the rules without the lock.

    Parameters
    ----------
    market, measures, rules, how, seed, fixed
        As in `draw`.
    present
        The design with all rules; drawn here where None.
    most
        How many to price at most; the price of the rest is nan.
    follow
        Called with what is to be drawn; shows how far it is.

    Returns
    -------
    DataFrame, a row for each override, protected unit, forbidden pair, group and limit
        lock      overrides, protected, forbidden, together, apart or cap
        which     the unit and territory, or the units of the group
        price     in the unit of travel
        at_most   proven: it is not more
        money     currency a year (price in money; nan where travel is squared)
    """
    fixed = pd.Series(dtype=str) if fixed is None else fixed
    base = present or draw(market, measures, rules, how, seed, fixed)
    locks = _locks(rules, fixed)
    most, rows, best = len(locks) if most is None else most, [], base.cost
    for lock, which, fewer, held in follow(locks[:most]):
        try:
            free = draw(market, measures, fewer, how, seed, held, explain=False)
        except InfeasibleError:
            rows.append((lock, which, base.cost, 0.0))
            continue
        if _keeps(market, measures, rules, fixed, free):
            best = min(best, free.cost)
        rows.append((lock, which, free.cost, free.bound_km))
    rows += [(lock, which, np.nan, np.nan) for lock, which, _, _ in locks[most:]]
    table = pd.DataFrame(rows, columns=["lock", "which", "cost", "bound"])
    table["price"] = (best - table.pop("cost").astype(float)).clip(lower=0)
    table["at_most"] = (best - table.pop("bound").astype(float)).clip(lower=0)
    one = np.nan if rules.terms.square else money(market, rules.terms)
    return table.assign(money=table["price"].astype(float) * one)


def _keeps(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series, found: Design
) -> bool:
    held = bool((found.territory.reindex(fixed.index) == fixed).all())
    return held and all(c.ok for c in checks(market, measures, found.territory, rules, found.share))


def _locks(rules: Rules, fixed: pd.Series) -> list[tuple[str, str, Rules, pd.Series]]:
    """Every lock, with the rules and overrides that are left without it.

    An override that keeps a protected account where it is goes together with that protection.
    """
    twice = [pair for pair in rules.protected if fixed.get(pair[0]) == pair[1]]
    found = [
        (
            "overrides",
            f"{unit}: {name}",
            changed(rules, "protected", tuple(p for p in rules.protected if p != (unit, name))),
            fixed.drop(unit),
        )
        for unit, name in fixed.items()
    ]
    for kind in ("protected", "forbidden"):
        pairs = getattr(rules, kind)
        found += [
            (
                kind,
                f"{unit}: {name}",
                changed(rules, kind, tuple(p for p in pairs if p != (unit, name))),
                fixed,
            )
            for unit, name in pairs
            if kind == "forbidden" or (unit, name) not in twice
        ]
    for kind, which in named_rules(rules, fixed):
        if kind in ("together", "apart", "cap"):
            found.append((kind, which, *without(rules, fixed, (kind, which))))
    return found


# ---------------------------------------------------------------------------- checking


def checks(
    market: Market,
    measures: pd.DataFrame,
    territory: pd.Series,
    rules: Rules,
    share: pd.Series | None = None,
) -> list[Check]:
    """Recompute from the labels every rule that territories must keep.

    Parameters
    ----------
    market, measures, rules
        What was asked.
    territory
        unit_id -> territory.
    share
        territory -> fair share; by name, else matched by size, where None.
    """
    k = territory.nunique()
    found = [
        Check("number_of_territories", k == rules.n_territories, str(k), str(rules.n_territories)),
        Check(
            "every_unit_once",
            territory.index.is_unique
            and territory.notna().all()
            and set(territory.index) == set(measures.index),
            str(len(territory)),
            str(len(measures)),
        ),
    ]
    if rules.whole and market.places:
        split = pieces(territory, market.neighbors)
        found.append(Check("one_piece", bool((split == 1).all()), str(int(split.max())), "1"))
    share = fair_shares(territory, measures, rules, market) if share is None else share
    for measure, tolerance in rules.balance.items():
        load = measures[measure].groupby(territory).sum()
        index = load / (share.reindex(load.index) * max(float(load.sum()), 1e-12))
        off = (index - 1).abs()
        found.append(
            Check(
                f"balance_{measure}",
                bool(off.max() <= tolerance + OFF),
                f"{off.idxmax()}: {index[off.idxmax()]:.4f}",
                f"{1 - tolerance:.4f} - {1 + tolerance:.4f}",
            )
        )
    fixed = overrides(market)
    kept = int((territory.reindex(fixed.index) == fixed).sum())
    found.append(Check("overrides_kept", kept == len(fixed), str(kept), str(len(fixed))))
    return found + _rule_checks(market, territory, rules)


def _rule_checks(market: Market, territory: pd.Series, rules: Rules) -> list[Check]:
    """Checks of the rules that were given: none for a rule that nobody asked for."""
    label = territory.to_dict()
    held = {
        "together_kept": [len({label[u] for u in group}) == 1 for group in rules.together],
        "apart_kept": [len({label[u] for u in group}) == len(group) for group in rules.apart],
        "forbidden_kept": [label[unit] != name for unit, name in rules.forbidden],
        "protected_kept": [label[unit] == name for unit, name in rules.protected],
    }
    found = [
        Check(name, all(kept), str(sum(kept)), str(len(kept)))
        for name, kept in held.items()
        if kept
    ]
    moved = dict(zip(("accounts", "revenue"), moves(market, territory), strict=True))
    for kind, cap in rules.caps.items():
        ok = moved[kind] <= cap * (1 + OFF)
        digits = 2 if kind == "revenue" else 0
        value, limit = f"{moved[kind]:.{digits}f}", f"{cap:.{digits}f}"
        found.append(Check(f"moved_{kind}", bool(ok), value, limit))
    return found


def overrides(market: Market) -> pd.Series:
    """Overrides as unit_id -> territory, the last one where a unit has several."""
    rows = market.overrides.drop_duplicates("unit_id", keep="last")
    return rows.set_index("unit_id")["territory"]


def fair_shares(
    territory: pd.Series, measures: pd.DataFrame, rules: Rules, market: Market | None = None
) -> pd.Series:
    """Give each territory its fair share: by the name of its slot, else by size.

    Parameters
    ----------
    territory
        unit_id -> territory.
    measures, rules
        What was asked.
    market
        Whose reps and present alignment name the slots; None matches the slots' shares to the
        territories by size of their first balanced measure.
    """
    if market is not None and territory.nunique() == rules.n_territories:
        slot = slots(market, measures.sort_index(), rules, overrides(market)).set_index("name")
        if set(slot.index) == set(territory):
            return slot["share"].sort_index()
    first = next(iter(rules.balance), "count")
    load = measures[first].groupby(territory).sum()
    order = load.sort_index().sort_values(ascending=False, kind="stable").index
    return pd.Series(np.sort(rules.fair())[::-1], index=order).sort_index()
