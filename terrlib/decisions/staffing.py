"""Who owns each territory: every cost in money a year, the assignment exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.errors import SettingsError
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import planning_year
from terrlib.measures.geometry import drive_h, great_circle_km, road_km
from terrlib.measures.relations import new_hires, owners, share_lost
from terrlib.measures.workload import (
    as_stops,
    capacity_h,
    field_days,
    local_hop_km,
    nights,
    tour_share,
    yearly_cost,
)
from terrlib.solve.assign import EMPTY, assign, assign_many, regret

COMPONENTS = [
    "travel", "relationship", "skill", "seniority", "ramp", "capacity", "relocation", "change",
]  # fmt: skip
WHY = ["banned", "locked", "language", "away", "too_far", "over_capacity"]
UNUSED_SHARE = 0.3
PAIRS = ["territory", "rep_id", *COMPONENTS, "total", "forbidden", "why"]


@dataclass(frozen=True)
class Staffing:
    """Reps and territories.

    Attributes
    ----------
    rep
        territory, rep_id: `VACANT` where nobody.
    costs
        territory, rep_id, travel, relationship, skill, seniority, ramp, capacity, relocation, change,
        total, forbidden, why ("" or the first rule that forbids it: banned, locked, language, away,
        too_far, over_capacity): every pair, currency a year.
    load
        territory, rep_id, workload_h (with this rep's travel), capacity_h, utilisation, regret: what
        the best plan without this pair would cost more; NaN where one more would be vacant.
    nobody
        territory, why: those that no rep may take, and the rule that forbids most of them.
    locks
        territory, rep_id, rule, price: what the best plan would cost less without it; NaN where it
        makes one more vacant.
    takeover
        territory, rep_id, next_rep, extra, utilisation: who would take it over at the least cost if
        its rep left, what that costs more a year, and how full the week of that rep would be then.
    present
        territory, rep_id: every rep left where most of their revenue is, each once; without those
        who are gone, and territories that then have nobody.
    total, present_total
        Cost a year of this assignment, and of the present one.
    """

    rep: pd.DataFrame
    costs: pd.DataFrame
    load: pd.DataFrame
    nobody: pd.DataFrame
    locks: pd.DataFrame
    takeover: pd.DataFrame
    present: pd.DataFrame
    total: float
    present_total: float


def assign_reps(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> Staffing:
    """Give every territory the rep that costs least overall, or leave it vacant.

    Parameters
    ----------
    market, facts
        Reps with homes, skills, part time, languages, days, locks; what is measured of the accounts.
    territory
        unit_id -> territory.
    settings
        `staffing` and `workload`.

    Returns
    -------
    Staffing
        Without reps every territory is vacant.

    Raises
    ------
    SettingsError
        If a lock names a territory that there is not.

    Notes
    -----
    minimise the sum of the costs of pairs and of vacancies, each territory with one rep or vacant.
    Where each rep holds one territory at most this is the assignment problem; else a rep's hours
    join the model, and HiGHS solves it to the proof; hours that do not fit are priced for each territory
    by itself. A territory is vacant only where no admissible
    assignment fills more of them.
    """
    names = sorted(territory.unique())
    reps = market.reps
    unknown = sorted(set(market.rep_locks["territory"]) - set(names))
    if unknown:
        raise SettingsError("refusal.no_such_territory", name=unknown[0], names=names[:8])
    if not len(reps):
        return _unstaffed(facts, territory, names)
    pairs = _pairs(market, facts, territory, settings)
    problem = _Problem.of(market, facts, territory, settings, pairs, names)
    chosen, cost = problem.solve(problem.forbidden)
    ids = np.append(reps.index.to_numpy(dtype=object), VACANT)
    rep = pd.DataFrame({"territory": names, "rep_id": ids[chosen]})
    load = rep.merge(
        pairs[["territory", "rep_id", "workload_h", "capacity_h"]],
        how="left",
        on=["territory", "rep_id"],
    )
    base = facts["workload_h"].groupby(facts["unit_id"].map(territory)).sum()
    load["workload_h"] = load["workload_h"].fillna(load["territory"].map(base)).fillna(0.0)
    load["capacity_h"] = load["capacity_h"].fillna(0.0)
    held = load.groupby("rep_id")["workload_h"].transform("sum").where(rep["rep_id"] != VACANT)
    load["utilisation"] = held / load["capacity_h"].where(load["capacity_h"] > 0)
    load["regret"] = problem.regret(chosen, cost)
    costs = pairs[PAIRS]
    present = _present(market, facts, territory, pairs, names)
    placed = chosen != EMPTY
    paid = float(problem.cost[np.flatnonzero(placed), chosen[placed]].sum())
    return Staffing(
        rep,
        costs,
        load,
        _nobody(costs),
        _lock_prices(market, pairs, problem, cost),
        _takeover(pairs, load),
        present,
        paid,
        float(costs.merge(present, on=["territory", "rep_id"])["total"].sum()),
    )


def owner_of(rep: pd.DataFrame) -> pd.Series:
    """Rep of every territory, the first where it has several.

    Parameters
    ----------
    rep
        territory, rep_id, as in `decisions/rep.csv`.

    Returns
    -------
    Series
        territory -> rep_id; `VACANT` where nobody.

    Examples
    --------
    >>> owner_of(pd.DataFrame({"territory": ["T1", "T1"], "rep_id": ["R1", "R2"]})).to_dict()
    {'T1': 'R1'}
    """
    return rep.drop_duplicates("territory").set_index("territory")["rep_id"]


def account_owner(
    facts: pd.DataFrame, territory: pd.Series, rep: pd.DataFrame, taken: pd.Series | None = None
) -> pd.Series:
    """Rep of every account: account_id -> rep_id.

    Parameters
    ----------
    facts
        Indexed by account_id: unit_id.
    territory
        unit_id -> territory.
    rep
        territory, rep_id.
    taken
        account_id -> rep of the overlay that does the work for it, where one does.

    Examples
    --------
    >>> facts = pd.DataFrame({"unit_id": ["u", "u"]}, index=["a", "b"])
    >>> rep = pd.DataFrame({"territory": ["T1"], "rep_id": ["R1"]})
    >>> account_owner(facts, pd.Series({"u": "T1"}), rep, pd.Series({"b": "K1"})).to_dict()
    {'a': 'R1', 'b': 'K1'}
    """
    owner = facts["unit_id"].map(territory).map(owner_of(rep))
    return owner if taken is None else taken.reindex(facts.index).fillna(owner)


@dataclass(frozen=True)
class _Problem:
    """The assignment as arrays: territories in rows, reps in columns."""

    cost: NDArray[np.float64]
    forbidden: NDArray[np.bool_]
    empty: NDArray[np.float64]
    wall: float
    hours: NDArray[np.float64]
    limit: NDArray[np.float64]
    most: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        market: Market,
        facts: pd.DataFrame,
        territory: pd.Series,
        settings: Settings,
        pairs: pd.DataFrame,
        names: list[str],
    ) -> _Problem:
        shape = (len(names), len(market.reps))
        ev = facts["ev"].groupby(facts["unit_id"].map(territory)).sum().reindex(names).fillna(0.0)
        # Dearer than all else together: a territory is vacant only where it has to be.
        # Twice the sum, so that a vacancy saved or made is told from money, whatever pairs go with it.
        wall = 2 * float(pairs.groupby("territory")["total"].max().abs().sum()) + 1
        # Who had a rep and has none loses what a stranger would lose, and new sales beside.
        broken = _left_alone(market, facts, territory, settings).reindex(names).fillna(0.0)
        empty = settings.staffing.vacancy_loss * ev.to_numpy() + broken.to_numpy() + wall
        full = capacity_h(settings, planning_year(market), market.country)
        fte = market.reps["fte"].to_numpy(float)
        return cls(
            pairs["total"].to_numpy().reshape(shape),
            pairs["forbidden"].to_numpy().reshape(shape),
            empty,
            wall,
            pairs["workload_h"].to_numpy().reshape(shape),
            settings.staffing.capacity_limit * full * fte,
            _most(market).to_numpy(int),
        )

    def solve(self, forbidden: NDArray[np.bool_]) -> tuple[NDArray[np.int64], float]:
        if (self.most <= 1).all():
            return assign(self.cost, forbidden, self.empty)
        return assign_many(self.cost, forbidden, self.empty, self.hours, self.limit, self.most)

    def regret(self, chosen: NDArray[np.int64], total: float) -> NDArray[np.float64]:
        return self.money(regret(self.solve, self.forbidden, chosen, total))

    def money(self, extra: NDArray[np.float64]) -> NDArray[np.float64]:
        """Extra costs, NaN where it is not money but one more vacancy that is in the way."""
        return np.where(extra >= self.wall / 2, np.nan, np.maximum(extra, 0.0))


def _pairs(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> pd.DataFrame:
    """Cost of every territory with every rep, a row each, territories slowest."""
    s, w = settings.staffing, settings.workload
    year = planning_year(market)
    full = capacity_h(settings, year, market.country)
    days = field_days(settings, year, market.country)
    label = facts["unit_id"].map(territory)
    owner = owners(market)
    present = _holder(facts, label, owner)
    lost, fresh = share_lost(market, facts, settings), new_hires(market, settings)
    slow = 1 - float(np.mean(settings.timeline.ramp))
    gone, yearly = away(market, market.reps), yearly_cost(market.reps, settings)
    rows = []
    for name in sorted(territory.unique()):
        mine = facts[label == name]
        place = market.accounts.loc[mine.index]
        stops = as_stops(place, mine["visits"])
        stops["unit_id"] = place.groupby("site_id")["unit_id"].first()
        visits = stops["visits"].to_numpy(float)
        hop = local_hop_km(stops[["x_km", "y_km"]].to_numpy(float), visits, days)
        held = (
            mine["revenue"].clip(lower=0).groupby(owner[mine.index]).sum().drop("", errors="ignore")
        )
        ev = mine["ev"]
        own_sold = float(ev.sum())
        large = float(ev[mine["abc"] == "A"].sum() + ev[mine["tier"] == "A"].sum())
        middle = place[["lat", "lon"]].mean()
        for rep in market.reps.itertuples():
            out, out_h = _way(market, stops, rep, settings)
            km, hours = tour_share(out, out_h, hop, w)
            cap = full * rep.fte
            rate = yearly[rep.Index] / cap
            travel_h = float(visits @ hours)
            need = float(mine["visit_h"].sum() + mine["call_h"].sum()) + travel_h
            broken = float(held @ lost.loc[held.index, rep.Index]) if len(held) else 0.0
            over, under = max(0.0, need - cap), max(0.0, cap - need)
            per_hour = own_sold / max(need, 1.0)
            home = great_circle_km(rep.home_lat, rep.home_lon, middle["lat"], middle["lon"])
            far = bool(road_km(np.array([float(home)]), w)[0] > _or(rep.max_home_km, np.inf))
            moves = far and rep.can_relocate is True
            junior = rep.seniority == "junior" and large > s.junior_limit * own_sold > 0
            row = {
                "territory": name,
                "rep_id": rep.Index,
                "travel": float(visits @ km) * w.km_rate
                + travel_h * rate
                + float(visits @ nights(out_h, w)) * w.hotel_night,
                "relationship": w.margin * broken,
                "skill": s.skill_penalty * _unskilled(mine, rep.skills),
                "seniority": s.junior_penalty * large if junior else 0.0,
                "ramp": slow * own_sold if fresh[rep.Index] else 0.0,
                "capacity": over * per_hour + under * rate * UNUSED_SHARE,
                "relocation": s.relocation_cost if moves else 0.0,
                "change": 0.0 if present.get(name, rep.Index) == rep.Index else s.switch_cost,
                "workload_h": need,
                "capacity_h": cap,
            }
            ruled_out = {
                "language": _unspoken(place, ev, rep.languages) > s.language_limit * own_sold,
                "away": gone[rep.Index],
                "too_far": far and not moves,
                "over_capacity": need > s.capacity_limit * cap,
            }
            rows.append(row | ruled_out)
    pairs = pd.DataFrame(rows)
    pairs["total"] = pairs[COMPONENTS].sum(axis=1)
    pairs["banned"], pairs["locked"] = _ruled(market.rep_locks, market, pairs)
    pairs["forbidden"] = pairs[WHY].any(axis=1)
    pairs["why"] = pairs[WHY].astype(bool).idxmax(axis=1).where(pairs["forbidden"], "")
    return pairs


def _left_alone(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> pd.Series:
    """Contribution lost where a territory with reps today gets none: territory -> currency a year."""
    owner = owners(market)[facts.index]
    lost = owner.map(share_lost(market, facts, settings)[""]).where(owner != "", 0.0)
    money = settings.workload.margin * facts["revenue"].clip(lower=0) * lost
    return money.groupby(facts["unit_id"].map(territory)).sum()


def _way(
    market: Market, stops: pd.DataFrame, rep: object, settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Km and hours from a rep's home, one way: the user's own where the matrix knows the rep."""
    w, own = settings.workload, market.travel
    home = great_circle_km(stops["lat"], stops["lon"], rep.home_lat, rep.home_lon)  # type: ignore[attr-defined]
    km = road_km(np.asarray(home, float), w)
    hours = drive_h(km, w)
    given = own[own["to"] == rep.Index].drop_duplicates("unit_id").set_index("unit_id")  # type: ignore[attr-defined]
    if not len(given):
        return km, hours
    own_km, own_min = (
        stops["unit_id"].map(given[c].astype(float)).to_numpy(float) for c in ("km", "minutes")
    )
    km = np.where(np.isnan(own_km), km, own_km)
    hours = np.where(np.isnan(own_min), drive_h(km, w), own_min / 60)
    return km, hours


def _ruled(locks: pd.DataFrame, market: Market, pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Pairs that a ban rules out, and those that a lock on another pair does."""
    asked = {
        rule: set(rows[["territory", "rep_id"]].itertuples(index=False, name=None))
        for rule, rows in locks.groupby("rule")
    }
    key = list(pairs[["territory", "rep_id"]].itertuples(index=False, name=None))
    held = asked.get("lock", set())
    ban = pd.Series([pair in asked.get("ban", set()) for pair in key], pairs.index)
    mine = pd.Series([pair in held for pair in key], pairs.index)
    fixed = [name for name, _ in held]
    # A territory that is fixed is nobody else's, and a rep whose territories are all fixed is taken.
    count = pd.Series([rep for _, rep in held], dtype=object).value_counts()
    full = count.reindex(market.reps.index).fillna(0) >= _most(market)
    taken = pairs["territory"].isin(fixed) | pairs["rep_id"].map(full).astype(bool)
    return ban, taken & ~mine


def _most(market: Market) -> pd.Series:
    """Territories that each rep may hold."""
    return market.reps["max_territories"].astype(float).fillna(1.0)


def away(market: Market, reps: pd.DataFrame) -> pd.Series:
    """Who is not there in the quarter planned for: rep_id -> gone before it, or hired after it."""
    if not market.quarter[:4].isdigit() or not len(reps):
        return pd.Series(data=False, index=reps.index, dtype=bool)
    first = pd.Period(market.quarter, freq="Q").start_time
    hired, leaves = pd.to_datetime(reps["hired"]), pd.to_datetime(reps["leaves"])
    return (hired > first + pd.DateOffset(months=3)) | (leaves < first)


def _parts(text: object) -> set[str]:
    """Read "a|b" as a set; nothing from a blank."""
    return {part.strip() for part in str(text).split("|") if part.strip()} - {"nan"}


def _unskilled(mine: pd.DataFrame, skills: object) -> float:
    """Expected contribution in industries that a rep does not know; a rep without skills knows all."""
    known = _parts(skills)
    if not known:
        return 0.0
    return float(mine.loc[(mine["industry"] != "") & ~mine["industry"].isin(known), "ev"].sum())


def _unspoken(place: pd.DataFrame, ev: pd.Series, languages: object) -> float:
    """Expected contribution of accounts that speak none of a rep's languages."""
    known = _parts(languages)
    if not known or "language" not in place:
        return 0.0
    spoken = place["language"].fillna("").astype(str)
    return float(ev[(spoken != "") & ~spoken.isin(known)].sum())


def _or(value: object, other: float) -> float:
    return other if pd.isna(value) else float(value)  # type: ignore[arg-type]


def _holder(facts: pd.DataFrame, label: pd.Series, owner: pd.Series) -> dict[str, str]:
    """Territory -> rep who holds most of its revenue today."""
    rows = pd.DataFrame({"territory": label, "rep_id": owner, "revenue": facts["revenue"] + 1e-6})
    rows = (
        rows[rows["rep_id"] != ""].groupby(["territory", "rep_id"], as_index=False)["revenue"].sum()
    )
    rows = rows.sort_values(["revenue", "rep_id"], ascending=[False, True], kind="stable")
    return owner_of(rows).to_dict()


def _nobody(costs: pd.DataFrame) -> pd.DataFrame:
    """Territories that no rep may take, with the rule that forbids most of the reps."""
    shut = costs.groupby("territory").filter(lambda rows: bool(rows["forbidden"].all()))
    why = shut.groupby("territory")["why"].agg(lambda w: w.value_counts().sort_index().idxmax())
    return why.reset_index() if len(why) else pd.DataFrame(columns=["territory", "why"])


def _lock_prices(
    market: Market, pairs: pd.DataFrame, problem: _Problem, cost: float
) -> pd.DataFrame:
    nature, rows = pairs[WHY[2:]].any(axis=1), []
    for lock in market.rep_locks.itertuples():
        banned, locked = _ruled(market.rep_locks.drop(index=lock.Index), market, pairs)
        forbidden = (nature | banned | locked).to_numpy().reshape(problem.cost.shape)
        price = problem.money(np.array(cost - problem.solve(forbidden)[1]))
        rows.append((lock.territory, lock.rep_id, lock.rule, float(price)))
    return pd.DataFrame(rows, columns=["territory", "rep_id", "rule", "price"])


def _takeover(pairs: pd.DataFrame, load: pd.DataFrame) -> pd.DataFrame:
    """For every territory with a rep, who else could take it at the least cost."""
    nature = [w for w in WHY if w not in ("locked", "over_capacity")]
    can = pairs[~pairs[nature].any(axis=1)].sort_values(
        ["territory", "total", "rep_id"], kind="stable"
    )
    used = load.groupby("rep_id")["workload_h"].sum()
    rows = []
    for row in load[load["rep_id"] != VACANT].itertuples(index=False):
        mine = can[(can["territory"] == row.territory)]
        own = pairs[(pairs["territory"] == row.territory) & (pairs["rep_id"] == row.rep_id)]
        other = mine[mine["rep_id"] != row.rep_id].head(1)
        if len(other):
            first = other.iloc[0]
            full = used.get(first["rep_id"], 0.0) + first["workload_h"]
            extra = float(first["total"] - own["total"].iloc[0])
            share = float(full / first["capacity_h"])
            rows.append((row.territory, row.rep_id, first["rep_id"], extra, share))
    columns = ["territory", "rep_id", "next_rep", "extra", "utilisation"]
    return pd.DataFrame(rows, columns=columns)


def _present(
    market: Market, facts: pd.DataFrame, territory: pd.Series, pairs: pd.DataFrame, names: list[str]
) -> pd.DataFrame:
    """Give every territory the rep who holds most of its revenue, each rep once."""
    label = facts["unit_id"].map(territory)
    held = pd.crosstab(label, owners(market), values=facts["revenue"], aggfunc="sum")
    held = held.reindex(index=names, columns=market.reps.index).fillna(0.0)
    gone = pairs["away"].to_numpy(bool).reshape(held.shape)
    chosen, _ = assign(-held.to_numpy(float), gone, np.ones(len(names)))
    rows = [(n, market.reps.index[j]) for n, j in zip(names, chosen, strict=True) if j != EMPTY]
    return pd.DataFrame(rows, columns=["territory", "rep_id"], dtype=str)


def _unstaffed(facts: pd.DataFrame, territory: pd.Series, names: list[str]) -> Staffing:
    hours = facts["workload_h"].groupby(facts["unit_id"].map(territory)).sum().reindex(names)
    rep = pd.DataFrame({"territory": names, "rep_id": VACANT})
    load = rep.assign(
        workload_h=hours.fillna(0.0).to_numpy(), capacity_h=0.0, utilisation=np.nan, regret=0.0
    )
    none = pd.DataFrame(columns=["territory", "rep_id", "rule", "price"])
    takeover = pd.DataFrame(columns=["territory", "rep_id", "next_rep", "extra", "utilisation"])
    nobody = pd.DataFrame(columns=["territory", "why"])
    return Staffing(
        rep, pd.DataFrame(columns=PAIRS), load, nobody, none, takeover, rep.iloc[:0], 0.0, 0.0
    )
