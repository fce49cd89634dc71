"""What is asked of territories, and the same as arrays for the solver.

travel, a year     hours worked at a unit / hours of a day = days, each one drive out and back, so
                   an hour of workload and a km away cost
                   2 / hours_per_day * (km_rate + rep_cost_year / hours a year / speed)
change, once       an account that changes hands costs
                   revenue * margin * transition_loss * handover_factor + switch_cost
travel squared     a square km counts as one km over the typical distance, so that a price in money
                   weighs against it as it would against plain km at that distance
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from terrlib.decisions.naming import fresh_names
from terrlib.errors import DataError, SettingsError
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import MEASURES, planning_year
from terrlib.measures.geometry import great_circle_km
from terrlib.measures.workload import capacity_h, field_days
from terrlib.show.words import Told
from terrlib.solve.partition import FREE, Problem, touch_graph

Pairs = tuple[tuple[str, str], ...]
Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Terms:
    """How travel and change are measured, and what they cost.

    Attributes
    ----------
    square
        Whether travel counts squared.
    homes
        Whether centres are the reps' homes.
    circuity
        Road km of a straight km.
    km_money, minute_money
        Currency a year of one workload hour one km, or one minute, away.
    price
        0 redraws freely; 1 counts the expected loss in full.
    loss, switch
        Share of an account's revenue lost when it changes hands, and a fixed amount for each.
    capacity_h, rep_cost, limit
        Hours a year of a full-time rep, what one costs, and how full a year may be (1 is full).
    """

    square: bool = False
    homes: bool = False
    circuity: float = 1.0
    km_money: float = 1.0
    minute_money: float = 1.0
    price: float = 0.0
    loss: float = 0.0
    switch: float = 0.0
    capacity_h: float = 0.0
    rep_cost: float = 0.0
    limit: float = 1.0


@dataclass(frozen=True)
class Rules:
    """What every acceptable set of territories must satisfy.

    Attributes
    ----------
    n_territories
        How many, >= 1.
    balance
        Measure -> tolerance: 0.15 allows 85% to 115% of a fair share.
    shares
        Fair share of each slot, largest first, in any unit; () means equal.
    together, apart
        Groups of units in one territory; groups of which no two are in one.
    forbidden, protected
        (unit, territory): where it may not be; where it has to stay.
    max_accounts, max_revenue
        At most so much may change hands; None is no limit.
    whole
        Whether territories are in one piece; they are not where units are no places.
    prefix
        What new names begin with: T makes T1, T2, ...
    terms
        How travel and change are measured, and what they cost.
    """

    n_territories: int
    balance: dict[str, float] = field(default_factory=dict)
    shares: tuple[float, ...] = ()
    together: Groups = ()
    apart: Groups = ()
    forbidden: Pairs = ()
    protected: Pairs = ()
    max_accounts: float | None = None
    max_revenue: float | None = None
    whole: bool = True
    prefix: str = "T"
    terms: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        if self.n_territories < 1:
            raise SettingsError("refusal.no_territories_asked", k=self.n_territories)
        for measure, tolerance in self.balance.items():
            if measure not in MEASURES:
                near = difflib.get_close_matches(measure, MEASURES, n=1)
                known = Told("refusal.known_are", names=list(MEASURES))
                hint = Told("refusal.did_you_mean_quoted", name=near[0]) if near else known
                raise SettingsError("refusal.unknown_measure", measure=measure, hint=hint)
            if not 0 < tolerance < 1:
                raise SettingsError("refusal.tolerance_out_of_range", tolerance=tolerance)
        if self.shares and len(self.shares) != self.n_territories:
            several = {"n": len(self.shares), "k": self.n_territories}
            raise SettingsError("refusal.shares_and_territories", **several)

    def fair(self) -> np.ndarray:
        """Fair share of each slot, adding up to 1."""
        share = np.array(self.shares or [1.0] * self.n_territories)
        return share / share.sum()

    @property
    def caps(self) -> dict[str, float]:
        """The limits on what may change hands that are set: accounts, revenue."""
        both = {"accounts": self.max_accounts, "revenue": self.max_revenue}
        return {name: float(cap) for name, cap in both.items() if cap is not None}


def terms_of(market: Market, settings: Settings) -> Terms:
    """Take from the settings what travel and change cost."""
    w, s, t = settings.workload, settings.staffing, settings.territories
    year = planning_year(market)
    hour = w.rep_cost_year / (field_days(settings, year, market.country) * w.hours_per_day)
    km = w.km_rate + hour / w.speeds_kmh[1]
    return Terms(
        square=t.travel == "square",
        homes=t.centres == "homes",
        circuity=w.circuity_long,
        km_money=2 / w.hours_per_day * km,
        minute_money=2 / w.hours_per_day * km * w.speeds_kmh[1] / 60,
        price=t.change.price if len(market.assignments) else 0.0,
        loss=w.margin * s.transition_loss * s.handover_factor,
        switch=s.switch_cost,
        capacity_h=capacity_h(settings, year, market.country),
        rep_cost=w.rep_cost_year,
        limit=s.capacity_limit,
    )


def groups_of(market: Market, rule: str) -> Groups:
    """List the groups of one rule of the table groups, each with its units."""
    rows = market.groups[market.groups["rule"] == rule]
    return tuple(tuple(sorted(units)) for _, units in rows.groupby("group")["unit_id"])


def protected_units(market: Market) -> Pairs:
    """List (unit, territory) of every account that must not change hands and is held today."""
    held = market.held("territory").reindex(market.accounts.index)
    kept = market.accounts["protected"].astype(bool) & held.notna()
    pairs = pd.DataFrame({"unit": market.accounts["unit_id"], "territory": held})[kept]
    return tuple(sorted(set(pairs.itertuples(index=False, name=None))))


def present_territory(market: Market) -> pd.Series:
    """Territory that holds most revenue of each unit today: unit_id -> territory."""
    if not len(market.assignments):
        return pd.Series(dtype=str)
    return holdings(market)["territory"]


def held_amounts(market: Market) -> pd.DataFrame:
    """Accounts and revenue that each territory holds in each unit today.

    Returns
    -------
    DataFrame
        unit_id, territory
        accounts, revenue   of those that somebody holds; a vacancy has nothing to lose
        rank                the greater, the more of the unit is the territory's, a vacancy's too
    """
    rows = market.accounts[["unit_id", "revenue"]].assign(territory=market.held("territory"))
    rows = rows.dropna(subset="territory")
    rows["revenue"] = rows["revenue"].clip(lower=0)
    rows["rank"] = rows["revenue"] + 1
    rows["accounts"] = (market.held("rep_id").reindex(rows.index) != VACANT).astype(int)
    rows["revenue"] *= rows["accounts"]
    sums = ["accounts", "revenue", "rank"]
    return rows.groupby(["unit_id", "territory"], as_index=False)[sums].sum()


def holdings(market: Market) -> pd.DataFrame:
    """Who holds most of each unit today, and how much of it.

    Returns
    -------
    DataFrame indexed by unit_id
        territory           with most revenue there
        accounts, revenue   that it holds there
    """
    load = held_amounts(market)
    load = load.sort_values(["unit_id", "rank", "territory"], ascending=[True, False, True])
    return load.drop_duplicates("unit_id").set_index("unit_id").drop(columns="rank")


def amounts_moved(
    market: Market, units: pd.Index, names: Sequence[str], kinds: Sequence[str]
) -> np.ndarray:
    """What changes hands of every unit in every territory: what others hold there today, (n, k, c)."""
    load, moved = held_amounts(market), []
    for kind in kinds:
        wide = load.pivot(index="unit_id", columns="territory", values=kind)  # noqa: PD010
        wide = wide.reindex(index=units).fillna(0.0)
        own = wide.reindex(columns=list(names), fill_value=0.0)
        moved.append((wide.sum(axis=1).to_numpy()[:, None] - own.to_numpy()).clip(0))
    return np.stack(moved, axis=2).astype(float)


def slots(market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series) -> pd.DataFrame:
    """Give every slot its name and fair share before anything is solved.

    Names are those that rules refer to, then those of today, largest first, then new ones; where
    slots belong to reps, a rep's slot is called as the territory that the rep holds today.

    Returns
    -------
    DataFrame, a row for each slot
        name, rep_id ("" where slots belong to nobody), share (adding up to 1)
    """
    k = rules.n_territories
    today = present_territory(market).reindex(measures.index).dropna()
    size = measures["revenue"].reindex(today.index).groupby(today).sum()
    order = list(size.sort_index().sort_values(ascending=False, kind="stable").index)
    order += sorted(set(market.assignments["territory"]) - set(order))  # they lead no unit
    must = sorted(set(fixed) | {name for _, name in rules.protected})
    names = [*must, *(str(name) for name in order if name not in must)][:k]
    fresh = fresh_names(k, set(today) | set(must), rules.prefix)
    names += [next(fresh) for _ in range(k - len(names))]
    rep = [""] * k
    if len(market.reps) == k and (rules.shares or rules.terms.homes):
        reps = market.reps.sort_index().sort_values("fte", ascending=False, kind="stable")
        rep = [str(one) for one in reps.index]
        held = market.assignments.groupby("rep_id")["territory"].agg(lambda t: t.mode().iloc[0])
        wanted = [held.get(one) for one in rep]
        left = [name for name in names if name not in wanted]
        used: set[str] = set()
        placed = []
        for name in wanted:
            fits = name in names and name not in used
            placed.append(str(name) if fits else "")
            used.add(placed[-1])
        left = [name for name in names if name not in used]
        names = [name or left.pop(0) for name in placed]
    return pd.DataFrame({"name": names, "rep_id": rep, "share": rules.fair()})


def graph(market: Market, units: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Touch graph of units as the lists `start`, `touch`."""
    place = pd.Series(np.arange(len(units)), index=units)
    pairs = np.column_stack(
        [place[market.neighbors["unit_a"]].to_numpy(), place[market.neighbors["unit_b"]].to_numpy()]
    ).astype(np.int64)
    return touch_graph(len(units), pairs)


def compile_problem(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> tuple[Problem, pd.DataFrame]:
    """Turn tables into arrays; return the problem and its slots (see `slots`)."""
    units, slot = measures.index, slots(market, measures, rules, fixed)
    place = {unit: i for i, unit in enumerate(units)}
    number = {name: t for t, name in enumerate(slot["name"])}
    held = pd.Series(dict(rules.protected), dtype=object)
    held = fixed.combine_first(held) if len(fixed) else held
    at = pd.Series(held, dtype=object).map(number).reindex(units)
    chosen = [m for m in rules.balance if measures[m].sum() > 0] or ["count"]
    load = measures[chosen].to_numpy(float)
    tolerance = np.array([rules.balance.get(m, np.inf) for m in chosen])  # inf: nothing to balance
    target = slot["share"].to_numpy()[:, None] * load.sum(axis=0)[None]
    weight = measures["workload_h"].to_numpy(float)
    if not weight.sum():
        weight = measures["count"].to_numpy(float)
    xy = market.units.loc[units, ["x_km", "y_km"]].to_numpy(float) * rules.terms.circuity
    start, touch = graph(market, units)
    banned = [(place[u], number[t]) for u, t in rules.forbidden if t in number and u in place]
    apart = [
        (place[a], place[b])
        for group in rules.apart
        for i, a in enumerate(group)
        for b in group[i + 1 :]
    ]
    matrix, home = _ways(market, units, rules, slot)
    problem = Problem(
        xy=xy if market.places else np.zeros_like(xy),
        weight=weight,
        load=load,
        low=np.maximum(target * (1 - tolerance), 0.0),
        high=target * (1 + tolerance),
        start=start,
        touch=touch,
        fixed=at.fillna(FREE).to_numpy(np.int64),
        seed=_begin_at_homes(market, slot),
        square=rules.terms.square,
        matrix=matrix,
        home=home,
        whole=rules.whole and market.places,
        banned=np.array(banned, dtype=np.int64) if banned else None,
        block=blocks(place, rules.together) if rules.together else None,
        apart=np.array(apart, dtype=np.int64) if apart else None,
        **_change(market, units, rules, number),
    )
    if problem.price is not None and rules.terms.square and market.places:
        factor = typical_km(problem)
        problem = Problem(**{**vars(problem), "price": problem.price * factor})
    return problem, slot


def blocks(place: dict[str, int], groups: Groups) -> np.ndarray:
    """Number the blocks of units that stay together; groups that share a unit are one block."""
    block = np.arange(len(place))
    for group in groups:
        inside = np.isin(block, block[[place[unit] for unit in group]])
        block[inside] = block[inside].min()
    return block


def money(market: Market, terms: Terms) -> float:
    """Currency of one workload hour times one unit of travel (km, or a minute of the matrix)."""
    timed = len(market.travel) and market.travel["minutes"].notna().any()
    return terms.minute_money if timed else terms.km_money


def _change(
    market: Market, units: pd.Index, rules: Rules, number: dict[str, int]
) -> dict[str, np.ndarray | None]:
    """Arrays of today's slots, the price of leaving them, and the limits on what changes hands.

    A unit leaves the territory that holds most of it. What a limit counts is exact: of a unit that
    several hold, the accounts of the others.
    """
    if not len(market.assignments):
        return {}
    held = holdings(market).reindex(units)
    present = held["territory"].map(number).fillna(FREE).to_numpy(np.int64)
    own = held[["accounts", "revenue"]].fillna(0.0)
    terms = rules.terms
    found: dict[str, np.ndarray | None] = {"present": present}
    if terms.price:
        lost = terms.loss * own["revenue"] + terms.switch * own["accounts"]
        found["price"] = (terms.price * lost / money(market, terms)).to_numpy(float)
    if rules.caps:
        found["moved"] = amounts_moved(market, units, list(number), list(rules.caps))
        found["cap"] = np.array(list(rules.caps.values()))
    return found


def _ways(
    market: Market, units: pd.Index, rules: Rules, slot: pd.DataFrame
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the user's matrix between units, and the ways to given homes; None where there is none."""
    if not market.places:  # nowhere is a centre, and every way there is none
        return None, np.zeros((len(units), len(slot)))
    if not rules.terms.homes:
        return (_table(market, units, units) if len(market.travel) else None), None
    if (slot["rep_id"] == "").any():
        several = {"reps": len(market.reps), "k": rules.n_territories}
        raise SettingsError("refusal.homes_need_reps", **several)
    if len(market.travel):
        return None, _table(market, units, pd.Index(slot["rep_id"]))
    reps, at = market.reps.loc[slot["rep_id"]], market.units.loc[units]
    away = great_circle_km(
        at["lat"].to_numpy()[:, None],
        at["lon"].to_numpy()[:, None],
        reps["home_lat"].to_numpy(float)[None],
        reps["home_lon"].to_numpy(float)[None],
    )
    return None, away * rules.terms.circuity


def _table(market: Market, units: pd.Index, to: pd.Index) -> np.ndarray:
    """Read the table travel as a matrix.

    Raises
    ------
    DataError
        With the number of pairs that are missing, and the first.
    """
    column = "minutes" if market.travel["minutes"].notna().any() else "km"
    wide = market.travel.dropna(subset=column).pivot_table(
        index="unit_id", columns="to", values=column, aggfunc="first"
    )
    away = wide.reindex(index=units, columns=to).to_numpy(float)
    same = np.asarray(units)[:, None] == np.asarray(to)[None]
    away = np.where(same & np.isnan(away), 0.0, away)
    if (lost := np.argwhere(np.isnan(away))).size:
        first = [Told("refusal.pair", one=units[i], other=to[j]) for i, j in lost[:3]]
        many = {"n": len(lost), "of": away.size, "column": column}
        raise DataError("refusal.travel_incomplete", **many, first=first)
    return away


def typical_km(problem: Problem) -> float:
    """Weighted mean distance to the middle of all, over the root of the number of slots."""
    weight = problem.weight / max(float(problem.weight.sum()), 1e-12)
    if problem.home is not None:
        return max(float((weight * problem.home.min(axis=1)).sum()), 1e-9)
    if problem.matrix is not None:
        away = problem.matrix @ weight
    else:
        away = np.sqrt(((problem.xy - weight @ problem.xy) ** 2).sum(axis=1))
    return max(float((weight * away).sum()) / np.sqrt(problem.k), 1e-9)


def _begin_at_homes(market: Market, slot: pd.DataFrame) -> np.ndarray:
    """Begin the small territory of a part-time rep around that rep's home; others anywhere."""
    seed = np.full(len(slot), FREE)
    place = market.units.sort_index()[["lat", "lon"]].to_numpy()
    for t, (rep_id, share) in enumerate(zip(slot["rep_id"], slot["share"], strict=True)):
        if rep_id and share < slot["share"].max():
            rep = market.reps.loc[rep_id]
            away = great_circle_km(place[:, 0], place[:, 1], rep["home_lat"], rep["home_lon"])
            seed[t] = int(np.argmin(away))
    return seed
