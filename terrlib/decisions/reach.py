"""Whom we may reach and what it takes: accounts by channel, missing consents, response curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.inputs.tables import CONSENTS
from terrlib.measures import response
from terrlib.measures.fitting import MONTHS, TAIL, Fit, fit
from terrlib.measures.potential import outside
from terrlib.measures.response import FITTED, JUDGED, MECHANICAL

OUT_OF_SCOPE = ["lost", "inactive"]
CURVE = ["form", "top", "scale", "a", "b", "var_top", "var_both", "var_rate"]
CELLS = [
    "territory",
    "channel",
    "reachable",
    "outside",
    "no_consent",
    "cost_per_contact",
    "fixed_cost",
    "max_contacts",
    "rep_h",
    "opp_rate",
    "p_win",
    "p_win_low",
    "p_win_high",
    "sales_per_lead",
    "value",
    "evidence",
    *CURVE,
]


@dataclass(frozen=True)
class Reach:
    """Who can be reached, and what money brings there.

    Attributes
    ----------
    cells
        territory, channel; reachable, no_consent (accounts); outside (firms that are no accounts,
        for channels that need no name); cost_per_contact, fixed_cost (currency); max_contacts; rep_h
        (hours of a rep for a contact); opp_rate, p_win, p_win_low, p_win_high (shares);
        sales_per_lead, value (sales and contribution of a lead, currency);
        evidence (fitted, judged, mechanical); form, top, scale, a, b (see `measures.response`);
        var_top, var_both, var_rate (covariance of the logarithms of top and rate of a fitted curve).
    channels
        channel, evidence, why (what a better grade lacks), rows, leads (of the history), unused
        (rows of the history where nobody can be reached), cv, deviance, constant.
    consents
        territory, consent, accounts, value (contribution a year that they promise, currency): who
        would become reachable with the consent.
    """

    cells: pd.DataFrame
    channels: pd.DataFrame
    consents: pd.DataFrame


def in_scope(facts: pd.DataFrame) -> pd.Series:
    """Tell of every account whether it is anybody's aim: neither lost nor inactive."""
    return ~facts["status"].isin(OUT_OF_SCOPE)


def reachable(market: Market, facts: pd.DataFrame, consent: str) -> pd.Series:
    """Tell of every account whether a channel may reach it: in scope, and with the consent it needs.

    Parameters
    ----------
    market, facts
        Accounts with their consents; lost accounts are out of scope.
    consent
        none, email, phone, sms or post. Polish law (art. 398 of the Electronic Communications Law)
        asks for the first three beforehand: what is missing means no.
    """
    scope = in_scope(facts)
    if consent == "none":
        return scope
    return scope & market.accounts[f"consent_{consent}"].reindex(facts.index, fill_value=False)


def firms_outside(
    market: Market, facts: pd.DataFrame, label: pd.Series, settings: Settings
) -> pd.Series:
    """Count the firms that are no accounts and could be won, where their area is planned.

    Channels that need no contact known by name (advertising, events) reach them too.

    Parameters
    ----------
    market
        `market_structure`: without it nothing is known of such firms.
    facts
        Indexed by account_id: area_id and what `potential.outside` needs.
    label
        account_id -> territory. An area of several territories is shared out as its accounts are;
        firms of an area without an account are nobody's yet and not counted.
    settings
        `customers.accessible_share`.

    Returns
    -------
    Series, (territory, area_id) -> firms
    """
    here = facts["area_id"].astype(str).groupby([label, facts["area_id"].astype(str)]).size()
    here.index.names = ["territory", "area_id"]
    if not len(market.market_structure):
        return here * 0.0
    known = outside(market, facts, settings).set_index("area_id")["n_outside"]
    area = here.index.get_level_values("area_id")
    share = here / here.groupby(level="area_id").transform("sum")
    firms = known.reindex(area).fillna(0.0).to_numpy(float) * settings.customers.accessible_share
    return share * firms


def reach_customers(
    market: Market, facts: pd.DataFrame, territory: pd.Series, settings: Settings
) -> Reach:
    """Find who can be reached in each territory by each channel, and draw its response curve.

    Parameters
    ----------
    market
        Channels and consents; `responses` (what spending brought) and `judged` (what managers
        expect) where there are any.
    facts
        What is measured of the accounts.
    territory
        unit_id -> territory.
    settings
        `budget`, `workload.margin`.

    Returns
    -------
    Reach
        A curve is fitted where the history allows it, else judged, else mechanical.
    """
    label = facts["unit_id"].map(territory)
    names = sorted(territory.unique())
    firms = firms_outside(market, facts, label, settings).groupby(level="territory").sum()
    firms = firms.reindex(names).fillna(0.0)
    cells, channels = [], []
    for channel in market.channels.itertuples():
        may = reachable(market, facts, channel.consent_needed)
        found, effect, said = _evidence(market, facts, channel, may)
        others = firms * (not channel.named)
        here = _base(facts, label, names, may, others, channel, settings)
        here = pd.concat([here, _curves(here, channel, found, effect, label, may)], axis=1)
        cells.append(here.assign(evidence=said["evidence"]))
        channels.append({"channel": channel.Index, **said})
    keys = ["territory", "channel"]
    table = pd.concat(cells) if cells else pd.DataFrame(columns=CELLS)
    return Reach(
        table.sort_values(keys).reset_index(drop=True)[CELLS],
        pd.DataFrame(channels),
        missing_consents(market, facts, label),
    )


def missing_consents(market: Market, facts: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
    """Price the consents that the channels need and accounts have not given.

    Parameters
    ----------
    market, facts
        Channels, consents, and `ev` of the accounts.
    label
        account_id -> territory, or another group.

    Returns
    -------
    DataFrame
        territory, consent, accounts, value: expected contribution a year of the accounts in scope
        without the consent. An account without two consents stands in both rows: values of
        consents are not to be added up.
    """
    needed = sorted(set(market.channels["consent_needed"]) & set(CONSENTS))
    scope, rows = in_scope(facts), []
    for consent in needed:
        without = scope & ~reachable(market, facts, consent)
        found = facts[without].groupby(label[without])["ev"].agg(["size", "sum"])
        found.columns = ["accounts", "value"]
        rows.append(found.rename_axis("territory").reset_index().assign(consent=consent))
    columns = ["territory", "consent", "accounts", "value"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _base(
    facts: pd.DataFrame,
    label: pd.Series,
    names: list[str],
    may: pd.Series,
    others: pd.Series,
    channel: Any,
    settings: Settings,
) -> pd.DataFrame:
    """Who can be reached in each territory, and what a lead is worth there.

    Firms that are no accounts are worth what prospects reached there are, or all who are reached
    where there is no prospect.
    """
    rate = channel.lead_to_opp_rate
    rate = settings.budget.lead_to_deal_rate if pd.isna(rate) else rate
    can = facts[may].assign(worth=facts["p_win"] * facts["value"])
    of = can.groupby(label[may])
    columns = ["worth", "p_win", "p_win_low", "p_win_high"]
    mean = of[columns].mean().reindex(names).fillna(0.0)
    new = can["status"] == "prospect"
    alike = can.loc[new, columns].groupby(label[may][new]).mean().reindex(names).fillna(mean)
    size = of.size().reindex(names).fillna(0.0)
    part = others / (size + others).where(others > 0, 1.0)
    mean = mean.mul(1 - part, axis=0) + alike.mul(part, axis=0)
    scope = in_scope(facts)
    table = pd.DataFrame(
        {
            "territory": names,
            "channel": channel.Index,
            "reachable": size.to_numpy(int),
            "outside": others.to_numpy(float),
            "no_consent": label[scope & ~may].value_counts().reindex(names).fillna(0).to_numpy(int),
        }
    )
    for name in ("cost_per_contact", "fixed_cost", "max_contacts", "rep_h"):
        table[name] = float(getattr(channel, name))
    table["opp_rate"] = float(rate)
    for name in ("p_win", "p_win_low", "p_win_high"):
        table[name] = mean[name].to_numpy()
    table["sales_per_lead"] = rate * mean["worth"].to_numpy()
    table["value"] = table["sales_per_lead"] * settings.workload.margin
    return table


def _evidence(
    market: Market, facts: pd.DataFrame, channel: Any, may: pd.Series
) -> tuple[Fit | pd.Series | None, pd.Series, dict[str, object]]:
    """What a channel's curve can rest on: a fit, a judgement, or nothing; effects of accounts; a note."""
    name = channel.Index
    past, effect_of, unused = _history(market, facts, name, may)
    found = fit(past) if len(past) else Fit("no_history")
    said: dict[str, object] = {
        "why": found.why,
        "rows": found.rows,
        "leads": found.leads,
        "unused": unused,
        "cv": found.cv,
        "deviance": found.deviance,
        "constant": found.constant,
    }
    if not found.why:
        effect = effect_of.map(found.area).fillna(1.0)
        return found, effect, {"evidence": FITTED, **said}
    plain = pd.Series(1.0, index=facts.index)
    answers = market.judged[market.judged["channel"] == name]
    if len(answers):
        answer = answers.iloc[0].copy()
        year = _last_year(past)
        for column in ("spend", "leads"):
            if pd.isna(answer[column]):
                answer[column] = year[column]
        if answer["spend"] > 0 and answer["leads"] > 0:
            return answer, plain, {"evidence": JUDGED, **said}
        said["why"] = "no_level"
    return None, plain, {"evidence": MECHANICAL, **said}


def _history(
    market: Market, facts: pd.DataFrame, channel: str, may: pd.Series
) -> tuple[pd.DataFrame, pd.Series, int]:
    """History of a channel with the accounts it can reach; area of each account; rows of no use.

    An area of the history is an area, else a territory of today, else the whole market.
    """
    rows = market.responses[market.responses["channel"] == channel]
    held = market.held("territory").reindex(facts.index).fillna("")
    by_area = (rows["area_id"] != "").any()
    of = ("area/" + facts["area_id"]) if by_area else ("territory/" + held)
    if not (rows["area_id"] + rows["territory"] != "").any():
        of = pd.Series("whole", index=facts.index)
    area = np.select(
        [rows["area_id"] != "", rows["territory"] != ""],
        ["area/" + rows["area_id"], "territory/" + rows["territory"]],
        "whole",
    )
    size = of[may].value_counts()
    past = pd.DataFrame(
        {
            "month": pd.to_datetime(rows["month"]).dt.to_period("M").dt.to_timestamp(),
            "area": area.astype(object),
            "spend": rows["spend"].astype(float),
            "leads": rows["leads"].astype(float),
        }
    )
    past = past.groupby(["month", "area"], as_index=False)[["spend", "leads"]].sum()
    past["size"] = past["area"].map(size).fillna(0.0)
    return past, of, int((past["size"] <= 0).sum())


def _last_year(past: pd.DataFrame) -> pd.Series:
    if past.empty:
        return pd.Series({"spend": 0.0, "leads": 0.0})
    recent = past[past["month"] > past["month"].max() - pd.DateOffset(months=MONTHS)]
    return recent[["spend", "leads"]].sum()


def _curves(
    cells: pd.DataFrame,
    channel: Any,
    found: Fit | pd.Series | None,
    effect: pd.Series,
    label: pd.Series,
    may: pd.Series,
) -> pd.DataFrame:
    """One curve for each territory, as `measures.response` reads them."""
    people = (cells["reachable"] + cells["outside"]).to_numpy(float)
    some = np.maximum(people, 1.0)
    curves: dict[str, object] = dict.fromkeys(CURVE, 0.0)
    if isinstance(found, Fit):
        # A year's money, spent evenly on all who can be reached there.
        weight = effect[may].groupby(label[may]).sum().reindex(cells["territory"]).fillna(0.0)
        spread = found.spread
        curves |= {
            "form": "exp",
            "top": MONTHS * found.top * weight.to_numpy(),
            "scale": MONTHS * some / found.rate,
            "b": 1.0,
            "var_top": spread[0, 0],
            "var_both": spread[0, 1],
            "var_rate": spread[1, 1],
        }
    elif found is not None:
        whole = response.judged(
            found["zero"], found["plus50"], found["saturation"], found["spend"], found["leads"]
        )
        share = some / max(people.sum(), 1.0)
        curves |= whole | {
            "top": whole["top"] * share * (people > 0),
            "scale": whole["scale"] * share,
        }
    else:
        one = response.touches(
            1,
            channel.cost_per_contact,
            channel.response_rate,
            channel.max_contacts,
        )
        curves |= one | {"top": people, "scale": one["scale"] * some}
    return pd.DataFrame(curves, index=cells.index)


def scaled(curves: pd.DataFrame, factor: pd.Series | float) -> pd.DataFrame:
    """Curves if contacts or money brought so many times the leads they are thought to bring.

    Examples
    --------
    >>> one = pd.DataFrame([response.touches(10, 1, 0.2, 1)])
    >>> float(scaled(one, 0.5)["a"].iloc[0])
    0.1
    """
    times = pd.Series(factor, index=curves.index)
    touch = curves["form"] == "touch"
    return curves.assign(
        a=np.where(touch, (curves["a"] * times).clip(upper=1.0), curves["a"]),
        top=np.where(touch, curves["top"], curves["top"] * times),
    )


def lead_range(
    cells: pd.DataFrame, x: np.ndarray, doubt: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Range of leads, eight in ten: from the fit where fitted, else the doubt about a rate.

    Parameters
    ----------
    cells
        With curves and evidence.
    x
        (n,) money spent on each.
    doubt
        Factors on rates that nobody measured.
    """
    middle = response.leads(cells, x)
    low, high = (response.leads(scaled(cells, factor), x) for factor in doubt)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = x / cells["scale"].to_numpy()
        pull = np.where(z > 0, z / np.expm1(z), 1.0)
    variance = cells["var_top"] + 2 * pull * cells["var_both"] + pull**2 * cells["var_rate"]
    times = np.exp(TAIL * np.sqrt(np.maximum(variance.to_numpy(float), 0.0)))
    fitted = (cells["evidence"] == FITTED).to_numpy()
    return np.where(fitted, middle / times, low), np.where(fitted, middle * times, high)
