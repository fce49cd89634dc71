"""Who owns each territory: every cost in money a year, the assignment exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.facts import planning_year
from terrlib.measures.geometry import great_circle_km
from terrlib.measures.workload import capacity_h, field_days, local_hop_km, visit_travel
from terrlib.solve.assign import EMPTY, assign, regret

VACANT = "VACANT"
COMPONENTS = ["travel", "relationship", "skill", "capacity", "change"]
UNUSED_SHARE = 0.3


@dataclass(frozen=True)
class Staffing:
    """Reps and territories.

    Attributes
    ----------
    rep
        territory, rep_id: `VACANT` where nobody.
    costs
        territory, rep_id, travel, relationship, skill, capacity, change, total, forbidden: every
        pair, currency a year.
    load
        territory, rep_id, workload_h (with this rep's travel), capacity_h, utilisation, regret: what
        the best plan without this pair would cost more.
    total, present_total
        Cost a year of this assignment, and of leaving every rep where most of their revenue is.
    """

    rep: pd.DataFrame
    costs: pd.DataFrame
    load: pd.DataFrame
    total: float
    present_total: float


def assign_reps(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> Staffing:
    """Give every territory the rep that costs least overall, or leave it vacant.

    Parameters
    ----------
    market, facts
        Reps with homes, skills, part time; what is measured of the accounts.
    territory
        unit_id -> territory.
    settings
        `staffing` and `workload`.

    Returns
    -------
    Staffing
        Without reps every territory is vacant.
    """
    names = sorted(territory.unique())
    reps = market.reps
    if not len(reps):
        return _unstaffed(facts, territory, names)
    pairs = _pairs(market, facts, territory, settings)
    shape = (len(names), len(reps))
    total = pairs["total"].to_numpy().reshape(shape)
    banned = pairs["forbidden"].to_numpy().reshape(shape)
    ev = facts["ev"].groupby(facts["unit_id"].map(territory)).sum().reindex(names).fillna(0.0)
    empty = settings.staffing.vacancy_loss * ev.to_numpy() + pairs["total"].abs().max() + 1
    chosen, cost = assign(total, banned, empty)
    ids = np.append(reps.index.to_numpy(dtype=object), VACANT)
    rep = pd.DataFrame({"territory": names, "rep_id": ids[chosen]})
    extra = regret(total, banned, empty, chosen, cost)
    load = rep.merge(
        pairs[["territory", "rep_id", "workload_h", "capacity_h"]],
        how="left",
        on=["territory", "rep_id"],
    )
    base = facts["workload_h"].groupby(facts["unit_id"].map(territory)).sum()
    load["workload_h"] = load["workload_h"].fillna(load["territory"].map(base)).fillna(0.0)
    load["capacity_h"] = load["capacity_h"].fillna(0.0)
    load["utilisation"] = load["workload_h"] / load["capacity_h"].where(load["capacity_h"] > 0)
    load["regret"] = extra
    held = chosen != EMPTY
    paid = float(total[np.flatnonzero(held), chosen[held]].sum())
    costs = pairs[["territory", "rep_id", *COMPONENTS, "total", "forbidden"]]
    return Staffing(rep, costs, load, paid, _present_cost(market, facts, territory, costs, names))


def _pairs(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> pd.DataFrame:
    """Cost of every territory with every rep, a row each, territories slowest."""
    s, w = settings.staffing, settings.workload
    year = planning_year(market)
    full = capacity_h(settings, year, market.country)
    days = field_days(settings, year, market.country)
    label = facts["unit_id"].map(territory)
    owner = market.assignments.drop_duplicates("account_id").set_index("account_id")["rep_id"]
    owner = owner.reindex(facts.index).fillna("")
    rows = []
    present = _holder(facts, label, owner)
    for name in sorted(territory.unique()):
        mine = facts[label == name]
        place = market.accounts.loc[mine.index]
        visits = mine["visits"].to_numpy(float)
        hop = local_hop_km(place[["x_km", "y_km"]].to_numpy(float), visits, days)
        known = owner[mine.index]
        revenue = mine["revenue"].clip(lower=0)
        for rep in market.reps.itertuples():
            home = great_circle_km(place["lat"], place["lon"], rep.home_lat, rep.home_lon)
            km, hours = visit_travel(home, hop, w)
            cost_year = w.rep_cost_year if pd.isna(rep.cost_year) else rep.cost_year
            cap = full * rep.fte
            rate = cost_year / (full * rep.fte)
            travel_h = float(visits @ hours)
            need = float(mine["visit_h"].sum() + mine["call_h"].sum()) + travel_h
            broken = float(revenue[(known != rep.Index) & (known != "")].sum())
            loss = s.handover_factor * s.transition_loss * (1 - s.similarity_saving * 0.5)
            over, under = max(0.0, need - cap), max(0.0, cap - need)
            per_hour = float(mine["ev"].sum()) / max(need, 1.0)
            rows.append(
                {
                    "territory": name,
                    "rep_id": rep.Index,
                    "travel": float(visits @ km) * w.km_rate + travel_h * rate,
                    "relationship": w.margin * loss * broken,
                    "skill": s.skill_penalty * _unskilled(mine, rep.skills),
                    "capacity": over * per_hour + under * rate * UNUSED_SHARE,
                    "change": 0.0 if present.get(name, rep.Index) == rep.Index else s.switch_cost,
                    "workload_h": need,
                    "capacity_h": cap,
                    "forbidden": need > s.capacity_limit * cap,
                }
            )
    pairs = pd.DataFrame(rows)
    pairs["total"] = pairs[COMPONENTS].sum(axis=1)
    return pairs


def _unskilled(mine: pd.DataFrame, skills: str) -> float:
    """Expected contribution in industries that a rep does not know; a rep without skills knows all."""
    known = {skill.strip() for skill in str(skills).split("|") if skill.strip()}
    if not known:
        return 0.0
    return float(mine.loc[(mine["industry"] != "") & ~mine["industry"].isin(known), "ev"].sum())


def _holder(facts: pd.DataFrame, label: pd.Series, owner: pd.Series) -> dict[str, str]:
    """Territory -> rep who holds most of its revenue today."""
    rows = pd.DataFrame({"territory": label, "rep_id": owner, "revenue": facts["revenue"] + 1e-6})
    rows = (
        rows[rows["rep_id"] != ""].groupby(["territory", "rep_id"], as_index=False)["revenue"].sum()
    )
    rows = rows.sort_values(["revenue", "rep_id"], ascending=[False, True], kind="stable")
    return dict(rows.drop_duplicates("territory")[["territory", "rep_id"]].itertuples(index=False))


def _present_cost(
    market: Market, facts: pd.DataFrame, territory: pd.Series, costs: pd.DataFrame, names: list[str]
) -> float:
    """Cost if every territory took the rep who holds most of its revenue, each rep once."""
    label = facts["unit_id"].map(territory)
    owner = market.assignments.drop_duplicates("account_id").set_index("account_id")["rep_id"]
    owner = owner.reindex(facts.index).fillna("")
    held = pd.crosstab(label, owner, values=facts["revenue"], aggfunc="sum")
    held = held.reindex(index=names, columns=market.reps.index).fillna(0.0)
    chosen, _ = assign(-held.to_numpy(float), None, np.ones(len(names)))
    table = costs.set_index(["territory", "rep_id"])["total"]
    pairs = [(n, market.reps.index[j]) for n, j in zip(names, chosen, strict=True) if j != EMPTY]
    return float(table.loc[pairs].sum()) if pairs else 0.0


def _unstaffed(facts: pd.DataFrame, territory: pd.Series, names: list[str]) -> Staffing:
    hours = facts["workload_h"].groupby(facts["unit_id"].map(territory)).sum().reindex(names)
    rep = pd.DataFrame({"territory": names, "rep_id": VACANT})
    load = rep.assign(
        workload_h=hours.fillna(0.0).to_numpy(), capacity_h=0.0, utilisation=np.nan, regret=0.0
    )
    costs = pd.DataFrame(columns=["territory", "rep_id", *COMPONENTS, "total", "forbidden"])
    return Staffing(rep, costs, load, 0.0, 0.0)
