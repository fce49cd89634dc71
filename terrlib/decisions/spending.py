"""How we reach the customers and what we spend on it: the budget over territory and channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.money import split_exact
from terrlib.solve.allocate import waterfill

MECHANICAL_N = 10
EVIDENCE = "mechanical"
COLUMNS = [
    "territory",
    "channel",
    "reachable",
    "no_consent",
    "amount",
    "contacts",
    "leads",
    "leads_low",
    "leads_high",
    "wins",
    "sales",
    "marginal",
    "evidence",
]
SATURATION = 3.0


@dataclass(frozen=True)
class Spending:
    """The budget and what it should bring.

    Attributes
    ----------
    cells
        territory, channel, reachable, no_consent (accounts), amount (minor units), contacts, leads,
        leads_low, leads_high, wins, sales (currency), marginal (contribution of the next unit of
        money), evidence.
    total, contingency
        Minor units.
    next_zloty
        Contribution that one more unit of money would bring.
    """

    cells: pd.DataFrame
    total: int
    contingency: int
    next_zloty: float


def reachable(market: Market, facts: pd.DataFrame, consent: str) -> pd.Series:
    """Tell of every account whether a channel may reach it: in scope, and with the consent it needs.

    Parameters
    ----------
    market, facts
        Accounts with their consents; lost accounts are out of scope.
    consent
        none, email, phone or sms; Polish law asks for it beforehand, and missing means no.
    """
    scope = ~facts["status"].isin(["lost", "inactive"])
    column = f"consent_{consent}"
    return scope & market.accounts[column] if column in market.accounts else scope


def split_budget(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> Spending:
    """Split the year's budget so that the next unit of money brings the same everywhere.

    Leads of x spent on M reachable accounts at c a contact and response rate r:
    r M (1 - exp(-x / (c M))): a contact at random, each account counted once.

    Parameters
    ----------
    market, facts
        Channels, consents, and what is measured of the accounts.
    territory
        unit_id -> territory.
    settings
        `budget`; without a total nothing is spent.

    Returns
    -------
    Spending
        Amounts and contingency add up to the total, to the grosz. A channel's fixed cost is paid in
        every territory where it is used; a channel that does not earn it is not used there.
    """
    cells = _curves(market, facts, territory, settings)
    total = round((settings.budget.total or 0.0) * 100)
    if not total or cells.empty:
        blank = cells.assign(amount=0) if len(cells) else pd.DataFrame(columns=COLUMNS)
        return Spending(_results(blank)[COLUMNS], 0, 0, 0.0)
    reserve = round(total * settings.budget.contingency)
    spend = (total - reserve) / 100
    used = cells["value"].to_numpy() * (1 - np.exp(-SATURATION)) > cells["fixed_cost"].to_numpy()
    used &= (cells["reachable"] > 0).to_numpy()
    if not used.any():
        return Spending(_results(cells.assign(amount=0))[COLUMNS], total, total, 0.0)
    fixed = np.where(used, cells["fixed_cost"], 0.0)
    full = cells["cost_per_contact"] * cells["reachable"] * np.maximum(cells["max_contacts"], 1.0)
    value = np.where(used, cells["value"], 1e-9)
    rate = 1 / np.maximum(cells["cost_per_contact"] * cells["reachable"], 1e-9).to_numpy()
    high = np.where(used, np.maximum(full, 1.0), 0.0)
    free = min(max(spend - fixed.sum(), 0.0), float(high.sum()))
    x, price = waterfill(value, rate, np.zeros(len(cells)), high, free)
    step = round(settings.budget.round_to * 100)
    keys = (cells["territory"] + "/" + cells["channel"]).tolist()
    whole = round((float(x.sum()) + float(fixed.sum())) * 100)
    whole = min(whole - whole % step, total - reserve)
    amounts = split_exact(whole, (x + fixed).tolist(), keys, step)
    found = _results(cells.assign(amount=amounts))
    return Spending(found[COLUMNS], total, total - int(sum(amounts)), price)


def _curves(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> pd.DataFrame:
    """A row for each territory and channel: who can be reached and what a lead is worth."""
    label = facts["unit_id"].map(territory)
    scope = ~facts["status"].isin(["lost", "inactive"])
    rows = []
    for channel in market.channels.itertuples():
        may = reachable(market, facts, str(channel.consent_needed))
        rate = channel.lead_to_opp_rate
        rate = settings.budget.lead_to_deal_rate if pd.isna(rate) else rate
        worth = facts["p_win"] * facts["value"]
        for name in sorted(territory.unique()):
            here = label == name
            who = here & may
            mean = float(worth[who].mean()) if who.any() else 0.0
            p = float(facts.loc[who, "p_win"].mean()) if who.any() else 0.0
            rows.append(
                {
                    "territory": name,
                    "channel": channel.Index,
                    "reachable": int(who.sum()),
                    "no_consent": int((here & scope & ~may).sum()),
                    "cost_per_contact": channel.cost_per_contact,
                    "fixed_cost": channel.fixed_cost,
                    "max_contacts": channel.max_contacts,
                    "response": channel.response_rate,
                    "opp_rate": rate,
                    "p_win": p,
                    "sales_per_lead": rate * mean,
                    "value": channel.response_rate
                    * int(who.sum())
                    * rate
                    * mean
                    * settings.workload.margin,
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values(["territory", "channel"]).reset_index(drop=True) if rows else table


def _results(cells: pd.DataFrame) -> pd.DataFrame:
    """What the amounts should bring."""
    if cells.empty or "response" not in cells:
        return cells.reindex(columns=COLUMNS)
    net = np.maximum(cells["amount"] / 100 - cells["fixed_cost"], 0.0) * (cells["amount"] > 0)
    people = cells["reachable"].clip(lower=1)
    most = cells["reachable"] * cells["max_contacts"].clip(lower=1)
    contacts = np.minimum(np.floor(net / cells["cost_per_contact"]), most)
    reached = 1 - np.exp(-contacts / people)
    leads = cells["response"] * cells["reachable"] * reached
    low, high = (
        stats.beta.ppf(
            q, cells["response"] * MECHANICAL_N + 0.5, (1 - cells["response"]) * MECHANICAL_N + 0.5
        )
        for q in (0.1, 0.9)
    )
    base = cells["reachable"] * reached
    sales = leads * cells["sales_per_lead"]
    slope = cells["value"] / (cells["cost_per_contact"] * people) * np.exp(-contacts / people)
    return cells.assign(
        contacts=contacts.astype(int),
        leads=leads,
        leads_low=np.minimum(low * base, leads),
        leads_high=np.maximum(high * base, leads),
        wins=leads * cells["opp_rate"] * cells["p_win"],
        sales=sales,
        marginal=slope,
        evidence=EVIDENCE,
    )
