"""Who owns each territory, where partners sell, and what changes hands (notebook 3)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pandas as pd

from terrlib import plan
from terrlib.decisions import (
    channels,
    moves,
    overlays,
    staffing,
)
from terrlib.inputs.load import CHANNEL_MANAGER
from terrlib.measures import facts as measuring
from terrlib.measures import relations
from terrlib.measures.fairness import envy, rep_fairness
from terrlib.measures.workload import capacity_h
from terrlib.runs import (
    Run,
)
from terrlib.steps.customers import account_facts, counted, credit, left_to_partners, overlay_runs
from terrlib.steps.territories import regions, territories


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


def capacity(run: Run) -> float:
    """Hours a year that a full-time rep has for customers."""
    return capacity_h(run.settings, measuring.planning_year(run.market), run.market.country)
