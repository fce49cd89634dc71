"""The five tables of a plan, the columns of every file of a run, and whether it may be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from terrlib.checks import Check
from terrlib.decisions.reach import firms_outside, in_scope, reachable
from terrlib.decisions.spending import Spending
from terrlib.decisions.staffing import owner_of
from terrlib.decisions.targeting import TARGETED
from terrlib.decisions.timeline import Forecast, next_quarters
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.profile import area_profile
from terrlib.measures.workload import yearly_cost
from terrlib.money import split_exact, to_minor

UNALLOCATED = "UNALLOCATED"
MANAGEMENT = "management"
BY_CHANNEL = ["marketing", "events"]
YEAR_Q = 4
COSTS = [
    *BY_CHANNEL, "sales_people", MANAGEMENT, "travel", "partner_support", "contingency",
]  # fmt: skip
ROUNDED = 1e-6


def _columns(text: str) -> dict[str, str]:
    """Read `name kind, name kind, ...`."""
    return dict(part.split() for part in text.split(","))


# What each column of each file is: keys sort the rows; money is whole minor units in memory.
COLUMNS: dict[str, dict[str, str]] = {
    "decisions/segment": _columns("account_id key, segment id"),
    "decisions/territory": _columns("unit_id key, territory id"),
    "decisions/overrides": _columns("unit_id key, territory id, reason text, who text, date date"),
    "decisions/rep": _columns("territory key, rep_id key"),
    "decisions/channel": _columns("territory key, channel id, distributor_id id, reason id"),
    "decisions/budget": _columns(
        "territory key, channel key, amount money, least money, most money, binding id"
    ),
    "decisions/goal": _columns("territory key, quarter quarter, amount money"),
    "decisions/moves": _columns(
        "account_id key, from_territory id, to_territory id, from_rep id, to_rep id, reason id"
    ),
    "plan/areas": _columns(
        "territory key, area_id key, rank number, decision id, expected_contribution money, "
        "low money, high money, prob_top share, reason id"
    ),
    "plan/customers": _columns(
        "territory key, area_id key, n_customers number, n_prospects number, revenue money, "
        "potential money, white_space money, abc_a_share share, top_industry text, p_win "
        "share, consent_email_rate share, consent_phone_rate share, n_best_prospects number, "
        "growth_rate share, wallet_share share, p_win_low share, p_win_high share, cycle_m number, "
        "top3_industries text, size_mix text, top_needs text, distributor_coverage share"
    ),
    "plan/reach": _columns(
        "territory key, area_id key, channel key, wave number, start date, reachable number, "
        "no_consent number, contacts number, spend money, leads number, leads_low number, "
        "leads_high number, wins number, sales money, evidence id, opps number, wins_low number, "
        "wins_high number, sales_low money, sales_high money, cost_per_lead number, "
        "cost_per_opp number, cost_per_win number, owner id, outside number"
    ),
    "plan/budget": _columns(
        "territory key, area_id key, channel key, category key, quarter quarter, amount money"
    ),
    "plan/timeline": _columns(
        "territory key, quarter quarter, target money, mean money, p10 money, p50 money, p90 money"
    ),
    "accounts": _columns(
        "account_id key, territory id, rep_id id, channel id, effective_date date, segment id, name text"
    ),
    "region": _columns("territory key, region id, rep_id id"),
    "quality": _columns(
        "table key, key key, rule key, severity id, field id, value text, message text, money "
        "number"
    ),
    "duplicates": _columns(
        "kind key, merge_into key, account_id key, rule id, reason text, revenue number"
    ),
    "checks": _columns("check key, ok id, value text, limit text"),
}


def _areas_of(facts: pd.DataFrame, territory: pd.Series) -> pd.DataFrame:
    """Facts with the labels every plan table is keyed by."""
    return facts.assign(territory=facts["unit_id"].map(territory))


def customer_base(market: Market, facts: pd.DataFrame, territory: pd.Series) -> pd.DataFrame:
    """Describe the customer base of every area: as `COLUMNS["plan/customers"]`.

    Columns as in `area_profile`; what is not known is blank. Potential is revenue and white space
    to the last penny.
    """
    table = area_profile(market, facts, territory, ["territory", "area_id"])
    for amount in ("revenue", "white_space"):
        table[amount] = to_minor(table[amount])
    table["potential"] = table["white_space"] + table["revenue"]
    return table.fillna({"abc_a_share": 0.0})[list(COLUMNS["plan/customers"])]


def reach(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    areas: pd.DataFrame,
    spent: Spending,
    rep: pd.DataFrame,
    settings: Settings,
) -> pd.DataFrame:
    """Drill the budget of each territory and channel down to its areas, by who can be reached there.

    Splitting money in proportion to reachable accounts leaves every lead where it was: the curve of
    a territory is the sum of the curves of its areas. The owner is the territory's rep where a
    channel takes a rep's hours, else marketing; costs are currency, blank where nothing is
    expected. Returns `COLUMNS["plan/reach"]`.
    """
    rows = _areas_of(facts, territory)
    scope = in_scope(rows)
    wave = (
        areas.set_index(["territory", "area_id"])["decision"]
        .map({"attack": 1, "grow": 2, "test": 2, "defend": 2, "partner": 3})
        .fillna(3)
    )
    quarters = next_quarters(market.quarter, 3)
    out = []
    parts = ["leads", "leads_low", "leads_high", "opps", "wins", "wins_low", "wins_high"]
    holder = owner_of(rep)
    firms = firms_outside(market, facts, rows["territory"], settings)
    for cell in spent.cells.itertuples(index=False):
        may = reachable(market, facts, str(market.channels.loc[cell.channel, "consent_needed"]))
        mine = rows["territory"] == cell.territory
        here = areas.loc[areas["territory"] == cell.territory, "area_id"].tolist()
        can = rows.loc[mine & may, "area_id"].value_counts().reindex(here).fillna(0).astype(int)
        not_ = (
            rows.loc[mine & scope & ~may, "area_id"]
            .value_counts()
            .reindex(here)
            .fillna(0)
            .astype(int)
        )
        if not here:
            continue
        open_to = 0.0 if market.channels.loc[cell.channel, "named"] else 1.0
        beyond = open_to * firms.reindex([(cell.territory, a) for a in here]).fillna(0.0).to_numpy()
        weights = (can + beyond).tolist()
        share = np.array(weights) / (sum(weights) or 1.0)
        by_rep = market.channels.loc[cell.channel, "rep_h"] > 0
        frame = pd.DataFrame(
            {
                "territory": cell.territory,
                "area_id": here,
                "channel": cell.channel,
                "reachable": can.to_numpy(),
                "outside": beyond,
                "no_consent": not_.to_numpy(),
                "contacts": split_exact(int(cell.contacts), weights, here),
                "spend": split_exact(int(cell.amount), weights, here),
                "evidence": cell.evidence,
                "owner": holder.get(cell.territory, VACANT) if by_rep else "marketing",
            }
        )
        for part in ("sales_low", "sales", "sales_high"):
            frame[part] = split_exact(round(float(getattr(cell, part)) * 100), weights, here)
        for part in parts:
            frame[part] = getattr(cell, part) * share
        out.append(frame)
    if not out:
        return pd.DataFrame(columns=list(COLUMNS["plan/reach"]))
    table = pd.concat(out, ignore_index=True)
    # Shares are rounded apart; a range still holds what lies between its ends.
    table["sales_low"] = table[["sales_low", "sales"]].min(axis=1)
    table["sales_high"] = table[["sales_high", "sales"]].max(axis=1)
    for what, result in (("lead", "leads"), ("opp", "opps"), ("win", "wins")):
        some = (table[result] > 0) & (table["spend"] > 0)
        table[f"cost_per_{what}"] = (table["spend"] / 100 / table[result]).where(some).round(2)
    key = pd.MultiIndex.from_frame(table[["territory", "area_id"]])
    table["wave"] = wave.reindex(key).to_numpy(int)
    dated = quarters[0][:4].isdigit()
    table["start"] = [
        pd.Period(quarters[w - 1], freq="Q").start_time if dated else pd.NaT for w in table["wave"]
    ]
    return table[list(COLUMNS["plan/reach"])]


def costs(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    teams: Sequence[Team],
    channel: pd.DataFrame,
    areas: pd.DataFrame,
    spent: Spending,
    reached: pd.DataFrame,
    settings: Settings,
) -> pd.DataFrame:
    """Put every cost of a year of the plan on its area.

    Categories: marketing and events (the budget by channel), sales_people and travel (reps, by
    workload), management (those who lead them, by the same workload), partner_support, contingency;
    unallocated is money that no channel would earn back, on the territory UNALLOCATED. The people are
    those of the run's own territories and of every overlay. Each amount is split exactly over areas.

    Returns
    -------
    DataFrame
        territory, area_id, channel, category, amount: minor units a year
    """
    line = market.channels["category"]
    cost: list[tuple[str, str, str, str, int]] = [
        (r.territory, r.area_id, r.channel, str(line[r.channel]), int(r.spend))
        for r in reached.itertuples(index=False)
        if r.spend
    ]
    if spent.unallocated:
        cost.append((UNALLOCATED, "", "", "unallocated", spent.unallocated))
    for team in teams:
        cost += people(team, facts, territory, settings)
    cost += _partners(market, channel, areas)
    if spent.contingency:
        names = sorted(territory.unique())
        space = (
            facts["white_space"]
            .groupby(facts["unit_id"].map(territory))
            .sum()
            .reindex(names)
            .fillna(0)
        )
        parts = split_exact(spent.contingency, space.tolist(), names)
        for name, part in zip(names, parts, strict=True):
            ids = areas.loc[areas["territory"] == name, "area_id"].tolist()
            shares = split_exact(part, [1.0] * len(ids), ids)
            cost += [(name, a, "", "contingency", x) for a, x in zip(ids, shares, strict=True)]
    keys = ["territory", "area_id", "channel", "category"]
    table = pd.DataFrame(cost, columns=[*keys, "amount"])
    return table.groupby(keys, as_index=False)["amount"].sum() if len(table) else table


def budget(year: pd.DataFrame, reached: pd.DataFrame, quarters: Sequence[str]) -> pd.DataFrame:
    """Spread the costs of a year over the quarters of the horizon: as `COLUMNS["plan/budget"]`.

    A year is four quarters: a horizon of eight costs twice as much, one of two half. What goes to a
    channel begins with the wave of its area; all else is spread evenly.

    Parameters
    ----------
    year
        As `costs` returned it.
    reached
        territory, area_id, wave (from 1).
    quarters
        Names.

    Examples
    --------
    >>> year = pd.DataFrame({"territory": ["T1"], "area_id": "x", "channel": "", "category": "travel",
    ...     "amount": [1001]})
    >>> none = pd.DataFrame({"territory": [], "area_id": [], "wave": []})
    >>> [int(budget(year, none, list("abcdefgh"[:n]))["amount"].sum()) for n in (2, 4, 8)]
    [501, 1001, 2002]
    """
    first = reached.drop_duplicates(["territory", "area_id"])
    places = zip(first["territory"], first["area_id"], strict=True)
    wave = dict(zip(places, first["wave"].astype(int), strict=True))
    rows = []
    keys = ["category", "territory", "channel"]
    parts_of = year.groupby(keys)["amount"].sum()
    due: dict[tuple[str, ...], int] = {}
    for _, line in parts_of.groupby(level=0):
        whole = over_horizon(int(line.sum()), len(quarters))
        names = ["\t".join(key) for key in line.index]
        due |= dict(zip(line.index, split_exact(whole, line.tolist(), names), strict=True))
    for (category, name, by), part in year.groupby(keys):
        ids, whole = part["area_id"].tolist(), due[category, name, by]
        for area, amount in zip(ids, split_exact(whole, part["amount"].tolist(), ids), strict=True):
            late = wave.get((name, area), 1) if category in BY_CHANNEL else 1
            begin = min(late, len(quarters)) - 1
            parts = split_exact(amount, [float(q >= begin) for q in range(len(quarters))], quarters)
            rows += [(name, area, by, category, *p) for p in zip(quarters, parts, strict=True)]
    columns = list(COLUMNS["plan/budget"])
    return pd.DataFrame(rows, columns=columns).sort_values(columns[:-1], ignore_index=True)


def over_horizon(year: int, quarters: int) -> int:
    """Minor units that a yearly amount comes to in so many quarters, half a unit up.

    Examples
    --------
    >>> over_horizon(1001, 4), over_horizon(1001, 2)
    (1001, 501)
    """
    return (year * quarters + YEAR_Q // 2) // YEAR_Q


class Team(NamedTuple):
    """People who serve accounts: those of the run's own territories or of an overlay, or who lead them.

    Attributes
    ----------
    reps
        Indexed by rep_id: cost_year, fte.
    rep
        territory, rep_id.
    served
        account_id -> territory of this team.
    hours
        Indexed by account_id: workload_h, travel_km that this team spends.
    category
        What their cost is called in the budget.
    """

    reps: pd.DataFrame
    rep: pd.DataFrame
    served: pd.Series
    hours: pd.DataFrame
    category: str = "sales_people"


def people(
    team: Team, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> list[tuple[str, str, str, str, int]]:
    """What people and their travel cost, split by hours over the areas they work in.

    Parameters
    ----------
    team
        Who serves which accounts. A rep of several territories costs once.
    facts, territory
        Indexed by account_id: unit_id, area_id; unit_id -> the run's own territory.
    settings
        `workload`.

    Returns
    -------
    list of (territory, area_id, "", the team's category or travel, minor units a year)

    Examples
    --------
    >>> team = Team(
    ...     pd.DataFrame({"cost_year": [100.0], "fte": 1.0}, index=["K1"]),
    ...     pd.DataFrame({"territory": ["KA1", "KA2"], "rep_id": ["K1", "K1"]}),
    ...     pd.Series({"a": "KA1", "b": "KA2"}),
    ...     pd.DataFrame({"workload_h": [3.0, 1.0], "travel_km": 0.0}, index=["a", "b"]),
    ... )
    >>> facts = pd.DataFrame({"unit_id": ["u", "v"], "area_id": ""}, index=["a", "b"])
    >>> found = people(team, facts, pd.Series({"u": "T1", "v": "T2"}), Settings())
    >>> [(row[0], row[-1]) for row in found if row[3] == "sales_people"]
    [('T1', 7500), ('T2', 2500)]
    """
    rows = _areas_of(facts, territory)[["territory", "area_id"]].join(
        team.hours[["workload_h", "travel_km"]], how="inner"
    )
    served, found = team.served.reindex(rows.index), []
    yearly = yearly_cost(team.reps, settings) if len(team.reps) else pd.Series(dtype=float)
    rows["travel_km"] /= served.map(team.rep["territory"].value_counts())  # of several reps: shared
    for rep_id, mine in team.rep.groupby("rep_id", sort=False)["territory"]:
        if rep_id not in team.reps.index:
            continue
        here = rows[served.isin(mine)].groupby(["territory", "area_id"]).sum()
        if here.empty:
            continue
        ids = ["\t".join(key) for key in here.index]
        cost = split_exact(round(yearly[rep_id] * 100), here["workload_h"].tolist(), ids)
        ways = here["travel_km"].sum() * settings.workload.km_rate
        travel = split_exact(round(ways * 100), here["travel_km"].tolist(), ids)
        for category, amounts in ((team.category, cost), ("travel", travel)):
            found += [
                (name, area, "", category, x)
                for (name, area), x in zip(here.index, amounts, strict=True)
            ]
    return found


def area_results(
    facts: pd.DataFrame,
    territory: pd.Series,
    partner: pd.Series,
    year: pd.DataFrame,
    reached: pd.DataFrame,
    market: Market,
    settings: Settings,
) -> pd.DataFrame:
    """Profit and loss of every area for the year planned: what it brings less every cost on it.

    Parameters
    ----------
    facts, territory, partner, market
        What is measured, who is where, account_id -> distributor_id that sells ("" where we do), and
        the partners' discounts.
    year, reached
        As `costs` and `reach` returned them.
    settings
        `workload.margin`.

    Returns
    -------
    DataFrame
        territory, area_id; now (contribution of today's revenue), new (contribution of new sales
        from the reach plan), one column for each category of cost, cost, result: minor units.
        result = now + new - cost. A partner's discount is taken off the margin where the partner
        sells; off that of new sales by the share of an area's expected contribution.
    """
    keys = ["territory", "area_id"]
    discount = partner.map(market.distributors["discount_rate"]).astype(float).fillna(0.0)
    rows = _areas_of(facts, territory)
    rows["margin"] = settings.workload.margin - discount.reindex(rows.index)
    by = [rows[k] for k in keys]
    now = to_minor((rows["revenue"] * rows["margin"]).groupby(by).sum())
    table = now.rename("now").to_frame()
    new = reached.groupby(keys)["sales"].sum().reindex(table.index).fillna(0) / 100
    weight = rows["ev"].clip(lower=0.0) + ROUNDED
    kept = (rows["margin"] * weight).groupby(by).sum() / weight.groupby(by).sum()
    table["new"] = to_minor(new * kept.reindex(table.index))
    costs = year[year["territory"] != UNALLOCATED].pivot_table(
        index=keys, columns="category", values="amount", aggfunc="sum", fill_value=0
    )
    costs = costs.reindex(table.index, fill_value=0).reindex(columns=COSTS, fill_value=0)
    table = table.join(costs.astype("int64"))
    table["cost"] = table[COSTS].sum(axis=1)
    table["result"] = table["now"] + table["new"] - table["cost"]
    return table.reset_index()


def _partners(
    market: Market, channel: pd.DataFrame, areas: pd.DataFrame
) -> list[tuple[str, str, str, str, int]]:
    found = []
    for row in channel.itertuples(index=False):
        if row.channel == "direct" or row.distributor_id not in market.distributors.index:
            continue
        support = round(
            float(market.distributors.loc[row.distributor_id, "support_cost_year"]) * 100
        )
        ids = areas.loc[areas["territory"] == row.territory, "area_id"].tolist()
        parts = split_exact(support, [1.0] * len(ids), ids)
        found += [
            (row.territory, a, "", "partner_support", x) for a, x in zip(ids, parts, strict=True)
        ]
    return found


def timeline(goal: pd.DataFrame, expected: Forecast) -> pd.DataFrame:
    """Put the goal beside the forecast of every territory and quarter: `COLUMNS["plan/timeline"]`."""
    table = expected.table.merge(
        goal.rename(columns={"amount": "target"}), on=["territory", "quarter"]
    )
    for column in ("mean", "p10", "p50", "p90"):
        table[column] = to_minor(table[column])
    return table[list(COLUMNS["plan/timeline"])]


def accounts(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    owner: pd.Series,
    partner: pd.Series,
) -> pd.DataFrame:
    """What a CRM imports: every account with its territory, rep and channel, from the first day on.

    `owner` is account_id -> rep_id; `partner` account_id -> distributor_id, "" where we sell: an
    account is direct or indirect, whatever its territory.
    """
    dated = market.quarter[:4].isdigit()
    start = pd.Period(market.quarter, freq="Q").start_time if dated else pd.NaT
    return pd.DataFrame(
        {
            "account_id": facts.index,
            "territory": facts["unit_id"].map(territory).to_numpy(),
            "rep_id": owner.reindex(facts.index).to_numpy(),
            "channel": np.where(partner.reindex(facts.index) == "", "direct", "indirect"),
            "effective_date": start,
            "segment": facts["segment"].to_numpy(),
            "name": market.accounts["name"].reindex(facts.index).to_numpy(),
        }
    )


def check_plan(tables: Mapping[str, pd.DataFrame], elsewhere: int = 0) -> list[Check]:
    """Recompute from the written files everything that must hold in a plan.

    Parameters
    ----------
    tables
        Name of a file without ending -> its rows as read back, money in minor units. Files of a part
        that is not decided yet may be missing; what rests on them is not checked.
    elsewhere
        Goals that overlays are credited with, minor units.
    """
    t = tables
    found = []
    names = set(t["decisions/territory"]["territory"])
    for name in (
        "decisions/rep",
        "decisions/channel",
        "decisions/goal",
        "plan/areas",
        "plan/customers",
        "plan/timeline",
    ):
        here = set(t[name]["territory"])
        found.append(
            Check(
                f"same_territories.{name.replace('/', '_')}",
                here == names,
                str(len(here)),
                str(len(names)),
            )
        )
    crm = t["accounts"]
    found.append(_equal("each_account_once", crm["account_id"].nunique(), len(crm)))
    found.append(
        _equal("accounts_have_territories", int(crm["territory"].isin(names).sum()), len(crm))
    )
    found.append(
        _equal("segments_for_all", t["decisions/segment"]["account_id"].nunique(), len(crm))
    )
    rep = t["decisions/rep"]
    held = rep.loc[rep["rep_id"] != VACANT, "rep_id"]
    found.append(_equal("rep_once", held.nunique(), len(held)))
    found.append(
        _same_money(
            "goals_in_timeline",
            int(t["plan/timeline"]["target"].sum()),
            int(t["decisions/goal"]["amount"].sum()) + elsewhere,
        )
    )
    line = t["plan/timeline"]
    ordered = (line["p10"] <= line["p50"]) & (line["p50"] <= line["p90"])
    found.append(_equal("ranges_in_order", int(ordered.sum()), len(line)))
    found += _budget_checks(t)
    reached = t["plan/reach"]
    consenting = (reached["reachable"] + reached["outside"] > 0) | (reached["contacts"] == 0)
    found.append(_equal("only_reachable_contacted", int(consenting.sum()), len(reached)))
    between = pd.Series(data=True, index=reached.index)
    for part in ("leads", "wins", "sales"):
        between &= reached[f"{part}_low"] <= reached[part] + ROUNDED
        between &= reached[part] <= reached[f"{part}_high"] + ROUNDED
    found.append(_equal("results_within_range", int(between.sum()), len(reached)))
    areas = t["plan/areas"]
    found.append(_equal("ranks_once", int(areas["rank"].nunique()), len(areas)))
    within = areas["prob_top"].between(0, 1) & (areas["low"] <= areas["expected_contribution"])
    within &= areas["expected_contribution"] <= areas["high"]
    found.append(_equal("contribution_within_range", int(within.sum()), len(areas)))
    keys = ["territory", "area_id"]
    targeted = set(
        areas.loc[areas["decision"].isin(TARGETED), keys].itertuples(index=False, name=None)
    )
    for name in ("plan/customers", "plan/reach"):
        there = set(t[name][keys].itertuples(index=False, name=None))
        if len(t[name]):
            found.append(
                _equal(
                    f"target_areas_in.{name.split('/')[1]}", len(targeted & there), len(targeted)
                )
            )
    base = t["plan/customers"]
    enough = base["potential"] >= base["white_space"]
    found.append(_equal("white_space_within_potential", int(enough.sum()), len(base)))
    if "decisions/moves" in t and len(t["decisions/moves"]):
        moved = t["decisions/moves"]
        now = moved["account_id"].map(crm.set_index("account_id")["territory"])
        found.append(
            _equal("moves_lead_to_the_plan", int((now == moved["to_territory"]).sum()), len(moved))
        )
    return found


def _budget_checks(t: Mapping[str, pd.DataFrame]) -> list[Check]:
    """Check that the budget over areas and quarters is the one decided, each amount within its limits."""
    found = []
    money, reached = t["plan/budget"], t["plan/reach"]
    marketing = money[money["category"].isin(BY_CHANNEL)]
    n = max(money["quarter"].nunique(), t["plan/timeline"]["quarter"].nunique())
    decided = t["decisions/budget"]
    unspent = decided["territory"] == UNALLOCATED
    idle = money.loc[money["category"] == "unallocated", "amount"].sum()
    found.append(
        _same_money(
            "unallocated_named",
            int(idle),
            over_horizon(int(decided.loc[unspent, "amount"].sum()), n),
        )
    )
    held = (decided["amount"] == 0) | (
        (decided["least"] <= decided["amount"]) & (decided["amount"] <= decided["most"])
    )
    found.append(_equal("amounts_within_limits", int((held | unspent).sum()), len(decided)))
    spent = decided[~unspent].groupby(["territory", "channel"])["amount"].sum()
    drilled = (
        marketing.groupby(["territory", "channel"])["amount"].sum().reindex(spent.index).fillna(0)
    )
    due = spent.map(lambda amount: over_horizon(int(amount), n))
    # A part of a year is rounded within the total of its line: a cell may be off by a grosz.
    off = ((drilled - due).abs() - float(n % YEAR_Q > 0)).clip(lower=0)
    found.append(_same_money("budget_adds_up", int(off.sum()), 0))
    found.append(
        _same_money("reach_spends_the_budget", int(reached["spend"].sum()), int(spent.sum()))
    )
    return found


def once_each(name: str, inside: pd.Index, crm: pd.DataFrame, territories: set[str]) -> Check:
    """Check that an overlay holds each account in its scope once, and none else.

    Parameters
    ----------
    name
        The overlay.
    inside
        account_id in scope.
    crm
        Its written `accounts.csv`.
    territories
        Its territories.

    Examples
    --------
    >>> crm = pd.DataFrame({"account_id": ["a", "a"], "territory": ["K1", "K2"]})
    >>> once_each("key", pd.Index(["a"]), crm, {"K1", "K2"}).ok
    False
    """
    placed = crm.loc[crm["territory"].isin(territories), "account_id"]
    ok = placed.is_unique and len(placed) == len(crm) and set(placed) == set(inside)
    return Check("overlay.each_account_once", ok, f"{name}: {len(placed)}", str(len(inside)))


def counted_once(
    facts: pd.DataFrame,
    left: pd.DataFrame,
    cards: Mapping[str, pd.DataFrame],
    by_overlay: Mapping[str, list[str]],
) -> list[Check]:
    """Check that what every overlay is credited with, and what partners take, add up to the whole.

    Parameters
    ----------
    facts
        Of every account: workload_h, potential, revenue.
    left
        The rows of accounts that are left to partners.
    cards
        field and every overlay -> its written scorecard.
    by_overlay
        Overlay -> the measures it is credited with; the run's own territories count all that no
        other does.

    Returns
    -------
    list of Check
        One for each of workload_h, potential and revenue, to six digits of the whole.
    """
    found = []
    for measure in ("workload_h", "potential", "revenue"):
        count = [n for n in cards if n not in by_overlay or measure in by_overlay[n]]
        sums = sum(pd.to_numeric(cards[n][measure]).sum() for n in count) + left[measure].sum()
        whole = float(facts[measure].sum())
        ok = abs(float(sums) - whole) <= 1e-6 * max(abs(whole), 1.0)
        found.append(Check(f"counted_once.{measure}", ok, f"{float(sums):.2f}", f"{whole:.2f}"))
    return found


def _equal(name: str, value: int, limit: int) -> Check:
    return Check(name, value == limit, str(value), str(limit))


def _same_money(name: str, value: int, limit: int) -> Check:
    """Compare minor units; said in currency, as all amounts in files are."""
    return Check(name, value == limit, f"{value / 100:.2f}", f"{limit / 100:.2f}")
