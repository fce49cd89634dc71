"""Where to draw the lines: territories in one piece, each measure within its own tolerance."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from terrlib.checks import Check
from terrlib.decisions.naming import keep_names
from terrlib.errors import InfeasibleError, SettingsError
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Territories
from terrlib.measures.facts import MEASURES
from terrlib.measures.geometry import great_circle_km
from terrlib.measures.scorecard import pieces
from terrlib.solve.bound import median_bound
from terrlib.solve.construct import first_labels
from terrlib.solve.improve import improve
from terrlib.solve.partition import FREE, Problem, Solution, excess, touch_graph

PROPOSALS_PER_UNIT = 4_000
RELAXED = "balance_and_pieces"


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
    """

    n_territories: int
    balance: dict[str, float] = field(default_factory=dict)
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.n_territories < 1:
            raise SettingsError(
                f"the number of territories must be at least 1, not {self.n_territories}"
            )
        for measure, tolerance in self.balance.items():
            if measure not in MEASURES:
                near = difflib.get_close_matches(measure, MEASURES, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(MEASURES)}"
                raise SettingsError(f"unknown measure {measure!r} to balance: {hint}")
            if not 0 < tolerance < 1:
                raise SettingsError(
                    f"a tolerance must lie between 0 and 1, like 0.15, not {tolerance}"
                )
        if self.shares and len(self.shares) != self.n_territories:
            raise SettingsError(
                f"{len(self.shares)} fair shares for {self.n_territories} territories"
            )

    def fair(self) -> np.ndarray:
        """Fair share of each slot, adding up to 1."""
        share = np.array(self.shares or [1.0] * self.n_territories)
        return share / share.sum()


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
        Workload-weighted straight km to the centres.
    bound_km, gap
        No territories can have less than `bound_km`; gap = (cost - bound) / cost.
    status
        optimal (proven) or feasible.
    relaxed
        What the bound leaves out.
    work
        Moves tried.
    """

    territory: pd.Series
    share: pd.Series
    cost_km: float
    bound_km: float
    gap: float
    status: str
    relaxed: str
    work: int


def impossible(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series | None = None
) -> list[str]:
    """Reasons of plain arithmetic why no such territories can exist; none is no promise.

    Parameters
    ----------
    market
        Units and who touches whom.
    measures
        unit_id x measures.
    rules
        What is asked.
    fixed
        unit_id -> territory it must be in.

    Returns
    -------
    list of str
        Sentences with numbers and what would help.
    """
    k, n = rules.n_territories, len(measures)
    if k > n:
        return [
            f"{k} territories cannot be made of {n} units: draw at most {n}, or use smaller units"
        ]
    reasons = []
    names = market.units["name"]
    fair = rules.fair()
    for measure, tolerance in rules.balance.items():
        total = float(measures[measure].sum())
        if total <= 0:
            reasons.append(
                f"{measure} is 0 everywhere, so it cannot be balanced: balance another measure"
            )
            continue
        most = (1 + tolerance) * float(fair.max())
        share = measures[measure] / total
        big = share[share > most].sort_values(ascending=False, kind="stable")
        if len(big):
            at_most = int(np.floor((1 + tolerance) / float(big.iloc[0])))
            needed = float(big.iloc[0]) / float(fair.max()) - 1
            others = f", and {len(big) - 1} more units are too large" if len(big) > 1 else ""
            ways = [f"draw at most {max(at_most, 1)} territories"]
            if market.units.loc[big.index[0], "n_accounts"] > 1:
                ways.insert(0, "split the unit (units: accounts)")
            if needed < 1:
                ways.append(f"or allow a balance of {np.ceil(needed * 100):.0f}% or more")
            help_ = ", ".join(ways)
            reasons.append(
                f"{names[big.index[0]]} alone holds {big.iloc[0]:.1%} of {measure}, but a territory may "
                f"hold at most {most:.1%}{others}: {help_}"
            )
        reasons += _locked(measures[measure] / total, most, measure, fixed)
    if fixed is not None and fixed.nunique() > k:
        reasons.append(
            f"the overrides name {fixed.nunique()} territories, but only {k} are asked for"
        )
    return reasons + _islands(market, measures, rules)


def _locked(share: pd.Series, most: float, measure: str, fixed: pd.Series | None) -> list[str]:
    if fixed is None or fixed.empty:
        return []
    held = share.reindex(fixed.index).fillna(0.0).groupby(fixed).sum()
    return [
        f"the units placed by hand in {name} hold {value:.1%} of {measure}, but a territory may hold at "
        f"most {most:.1%}: take some of them out of the overrides"
        for name, value in held[held > most].items()
        if (fixed == name).sum() > 1
    ]


def _islands(market: Market, measures: pd.DataFrame, rules: Rules) -> list[str]:
    """A part of the map that touches nothing else must hold whole territories."""
    graph = _graph(market, measures.index)
    from scipy.sparse import csr_array

    n = len(measures)
    count, part = connected_components(
        csr_array((np.ones(len(graph[1])), graph[1], graph[0]), shape=(n, n)), directed=False
    )
    if count == 1:
        return []
    reasons = []
    fair = rules.fair()
    for measure, tolerance in rules.balance.items():
        total = float(measures[measure].sum())
        load = np.bincount(part, weights=measures[measure].to_numpy()) / max(total, 1e-12)
        low = (1 - tolerance) * float(fair.min())
        for c in np.flatnonzero(load < low):
            inside = measures.index[part == c]
            reasons.append(
                f"{market.units['name'][inside[0]]} and what it touches ({len(inside)} units) touch "
                f"nothing else and hold {load[c]:.1%} of {measure}, but a territory must hold at least "
                f"{low:.1%}: put a ferry or bridge into the table neighbors"
            )
    return reasons[:3]


def _graph(market: Market, units: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    place = pd.Series(np.arange(len(units)), index=units)
    pairs = np.column_stack(
        [place[market.neighbors["unit_a"]].to_numpy(), place[market.neighbors["unit_b"]].to_numpy()]
    ).astype(np.int64)
    return touch_graph(len(units), pairs)


def compile_problem(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> tuple[Problem, list[str]]:
    """Turn tables into arrays; return the problem and the names that overrides gave to slots."""
    units = measures.index
    fair = rules.fair()
    names = sorted(fixed.unique())
    slot = fixed.map({name: i for i, name in enumerate(names)}).reindex(units)
    chosen = [m for m in rules.balance if measures[m].sum() > 0] or ["count"]
    load = measures[chosen].to_numpy(float)
    total = load.sum(axis=0)
    tolerance = np.array([rules.balance.get(m, 0.999999) for m in chosen])
    target = fair[:, None] * total[None]
    weight = measures["workload_h"].to_numpy(float)
    if not weight.sum():
        weight = measures["count"].to_numpy(float)
    start, touch = _graph(market, units)
    problem = Problem(
        xy=market.units.loc[units, ["x_km", "y_km"]].to_numpy(float),
        weight=weight,
        load=load,
        low=target * (1 - tolerance),
        high=target * (1 + tolerance),
        start=start,
        touch=touch,
        fixed=slot.fillna(FREE).to_numpy(np.int64),
        seed=_begin_at_homes(market, rules),
    )
    return problem, names


def _begin_at_homes(market: Market, rules: Rules) -> np.ndarray:
    """Begin the small territory of a part-time rep around that rep's home; others anywhere."""
    seed = np.full(rules.n_territories, FREE)
    if not rules.shares or len(market.reps) != rules.n_territories:
        return seed
    reps = market.reps.sort_index().sort_values("fte", ascending=False, kind="stable")
    place = market.units.sort_index()[["lat", "lon"]].to_numpy()
    for slot, rep in enumerate(reps.itertuples()):
        if rep.fte < max(rules.shares):
            away = great_circle_km(place[:, 0], place[:, 1], rep.home_lat, rep.home_lon)
            seed[slot] = int(np.argmin(away))
    return seed


def draw(
    market: Market,
    measures: pd.DataFrame,
    rules: Rules,
    how: Territories,
    seed: int,
    fixed: pd.Series | None = None,
) -> Design:
    """Draw territories that keep every rule.

    Parameters
    ----------
    market
        Units, who touches whom, and the present alignment whose names are kept.
    measures
        unit_id x workload_h, potential, revenue, count.
    rules
        How many, and how balanced.
    how
        `starts`: how many first solutions to try.
    seed
        Same seed, same map.
    fixed
        unit_id -> territory it must be in.

    Returns
    -------
    Design

    Raises
    ------
    InfeasibleError
        With the arithmetic where that decides; else with the nearest that was found.
    """
    fixed = pd.Series(dtype=str) if fixed is None else fixed
    measures = measures.sort_index()
    if reasons := impossible(market, measures, rules, fixed):
        raise InfeasibleError("; ".join(reasons))
    problem, forced = compile_problem(market, measures, rules, fixed)
    found = _solve(problem, how, seed, list(rules.balance))
    slot = pd.Series(found.label, index=measures.index)
    names = keep_names(
        slot,
        present_territory(market),
        measures["revenue"] + measures["count"] * 1e-6,
        dict[object, str](enumerate(forced)),
    )
    share = pd.Series(rules.fair()).groupby(names.groupby(slot).first()).sum()
    gap = (found.cost - found.bound) / found.cost if found.cost > 0 else 0.0
    return Design(
        territory=names,
        share=share,
        cost_km=found.cost,
        bound_km=found.bound,
        gap=max(gap, 0.0),
        status="optimal" if gap < 1e-9 else "feasible",  # noqa: PLR2004
        relaxed=RELAXED,
        work=found.proposals,
    )


def _solve(problem: Problem, how: Territories, seed: int, measures: list[str]) -> Solution:
    best: Solution | None = None
    nearest, tried = np.inf, 0
    worst = (0, 0)
    for start in range(how.starts):
        label = first_labels(problem, np.random.default_rng([seed, start]))
        proposals = PROPOSALS_PER_UNIT * problem.n
        label, cost, ok, work = improve(problem, label, seed * 1000 + start * 100, proposals)
        tried += work
        if ok and (best is None or cost < best.cost - 1e-9):
            best = Solution(label, cost, 0.0, tried)
        if not ok:
            off = excess(problem, label) / np.maximum(problem.low + problem.high, 1e-12) * 2
            if off.max() < nearest:
                nearest = float(off.max())
                where = np.unravel_index(int(off.argmax()), off.shape)
                worst = (int(where[0]), int(where[1]))
    if best is None:
        measure = measures[worst[1]] if measures else "count"
        half = float(
            (problem.high[worst] - problem.low[worst]) / (problem.high[worst] + problem.low[worst])
        )
        raise InfeasibleError(
            f"no {problem.k} territories were found that are in one piece and within the tolerance of "
            f"each measure ({how.starts} starts, {tried:,} moves tried); the nearest misses {measure} by "
            f"{nearest:.1%} of a fair share: allow {measure}: {half + nearest + 0.005:.2f}, fewer "
            "territories, or more starts (territories.starts)"
        )
    bound = median_bound(problem.xy, problem.weight, problem.k, best.cost)
    return Solution(best.label, best.cost, min(bound, best.cost), tried)


def present_territory(market: Market) -> pd.Series:
    """Territory that holds most revenue of each unit today: unit_id -> territory."""
    if not len(market.assignments):
        return pd.Series(dtype=str)
    held = market.assignments.drop_duplicates("account_id").set_index("account_id")["territory"]
    rows = market.accounts[["unit_id", "revenue"]].assign(territory=held).dropna(subset="territory")
    rows["revenue"] = rows["revenue"].clip(lower=0) + 1.0
    load = rows.groupby(["unit_id", "territory"], as_index=False)["revenue"].sum()
    load = load.sort_values(["unit_id", "revenue", "territory"], ascending=[True, False, True])
    return load.drop_duplicates("unit_id").set_index("unit_id")["territory"]


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
        territory -> fair share; matched by size where None.
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
    split = pieces(territory, market.neighbors)
    found.append(Check("one_piece", bool((split == 1).all()), str(int(split.max())), "1"))
    share = fair_shares(territory, measures, rules) if share is None else share
    for measure, tolerance in rules.balance.items():
        load = measures[measure].groupby(territory).sum()
        index = load / (share.reindex(load.index) * max(float(load.sum()), 1e-12))
        off = (index - 1).abs()
        found.append(
            Check(
                f"balance_{measure}",
                bool(off.max() <= tolerance + 1e-9),
                f"{off.idxmax()}: {index[off.idxmax()]:.4f}",
                f"{1 - tolerance:.4f} - {1 + tolerance:.4f}",
            )
        )
    fixed = market.overrides.drop_duplicates("unit_id", keep="last").set_index("unit_id")[
        "territory"
    ]
    kept = int((territory.reindex(fixed.index) == fixed).sum())
    found.append(Check("overrides_kept", kept == len(fixed), str(kept), str(len(fixed))))
    return found


def fair_shares(territory: pd.Series, measures: pd.DataFrame, rules: Rules) -> pd.Series:
    """Match the slots' fair shares to territories by size of their first balanced measure."""
    first = next(iter(rules.balance), "count")
    load = measures[first].groupby(territory).sum()
    order = load.sort_index().sort_values(ascending=False, kind="stable").index
    return pd.Series(np.sort(rules.fair())[::-1], index=order).sort_index()
