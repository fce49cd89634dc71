"""What happened since the earlier plan, which territories drifted, and what single move would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from terrlib.decisions.moves import cheapest_moves
from terrlib.decisions.territories import Rules, fair_shares, present_territory
from terrlib.inputs.market import VACANT, Market


@dataclass(frozen=True)
class Review:
    """A comparison with an earlier run, or with today's alignment where there is none.

    Attributes
    ----------
    compared
        Whether an earlier run was given.
    gained, lost
        account_id, name, territory: accounts that are new, and those that are gone.
    apart
        account_id, planned, held: where the earlier run placed an account and who holds it today,
        as "territory, rep", where the two disagree; "" where nobody does. What changes hands is
        told against who holds it today.
    filled
        How many units nobody held, which count in a territory they touch.
    drift
        territory, measure, index, tolerance, ok: the earlier alignment measured with today's data.
    repairs
        As `decisions.moves.cheapest_moves` returns them.
    """

    compared: bool
    gained: pd.DataFrame
    lost: pd.DataFrame
    apart: pd.DataFrame
    filled: int
    drift: pd.DataFrame
    repairs: pd.DataFrame


def review(
    last: Mapping[str, pd.DataFrame],
    market: Market,
    facts: pd.DataFrame,
    measures: pd.DataFrame,
    territory: pd.Series,
    rules: Rules,
) -> Review:
    """Measure the alignment in force with today's data.

    Parameters
    ----------
    last
        `decisions/territory` and `accounts` of the earlier run; empty for none.
    market, facts, measures
        Today's data.
    territory
        unit_id -> territory of the new plan; used for accounts gained.
    rules
        Tolerances and fair shares.
    """
    label = facts["unit_id"].map(territory)
    name = market.accounts["name"].reindex(facts.index)
    now = pd.DataFrame(
        {"account_id": facts.index, "name": name.to_numpy(), "territory": label.to_numpy()}
    )
    if last:
        before = last["accounts"].reindex(columns=list(now), fill_value="")
        gained = now[~now["account_id"].isin(before["account_id"])]
        lost = before[~before["account_id"].isin(now["account_id"])]
        held = last["decisions/territory"].set_index("unit_id")["territory"]
    else:
        gained, lost = now.head(0), now.head(0)
        held = present_territory(market)
    held = held.reindex(measures.index)
    filled = int(held.isna().sum()) if held.notna().any() else 0
    in_force = _filled(held, market)
    if in_force.empty:
        in_force = territory.reindex(measures.index)
    share = (
        fair_shares(in_force, measures, rules)
        if in_force.nunique() == rules.n_territories
        else None
    )
    if share is None:
        names = sorted(in_force.unique())
        share = pd.Series(1 / len(names), index=names)
    rows = []
    for measure, tolerance in rules.balance.items():
        load = measures[measure].groupby(in_force).sum()
        index = load / (share.reindex(load.index) * max(float(load.sum()), 1e-12))
        for name, value in index.items():
            rows.append(
                (name, measure, float(value), tolerance, bool(abs(value - 1) <= tolerance + 1e-9))
            )
    drift = pd.DataFrame(rows, columns=["territory", "measure", "index", "tolerance", "ok"])
    repairs = cheapest_moves(market, measures, in_force, rules.balance, share)
    apart = _apart(last, market)
    gained, lost = gained.reset_index(drop=True), lost.reset_index(drop=True)
    return Review(bool(last), gained, lost, apart, filled, drift, repairs)


def _apart(last: Mapping[str, pd.DataFrame], market: Market) -> pd.DataFrame:
    """Compare who holds what today with the earlier run; a rep who is not given is no difference."""
    if not last or not len(market.assignments):
        return pd.DataFrame(columns=["account_id", "planned", "held"])
    planned = last["accounts"].set_index("account_id")[["territory", "rep_id"]]
    planned = planned[planned.index.isin(market.accounts.index)].replace(VACANT, "")
    held = pd.DataFrame({c: market.held(c) for c in planned}).reindex(planned.index, fill_value="")
    held = held.replace(VACANT, "")
    unlike = planned != held
    unlike["rep_id"] &= (planned["rep_id"] != "") & (held["rep_id"] != "")
    both = pd.DataFrame({"planned": _who(planned), "held": _who(held)})
    return both[unlike.any(axis=1)].sort_index().reset_index()


def _who(rows: pd.DataFrame) -> pd.Series:
    return (rows["territory"] + ", " + rows["rep_id"]).str.strip(", ")


def _filled(held: pd.Series, market: Market) -> pd.Series:
    """Give units that nobody held the territory of a unit they touch, so that the map has no holes."""
    held = held.copy()
    if held.isna().all():
        return held.dropna()
    pairs = market.neighbors
    both = pd.concat([pairs, pairs.rename(columns={"unit_a": "unit_b", "unit_b": "unit_a"})])
    while held.isna().any():
        near = both.assign(territory=both["unit_b"].map(held)).dropna(subset="territory")
        near = near[near["unit_a"].isin(held.index[held.isna()])]
        if near.empty:
            return held.fillna(sorted(held.dropna().unique())[0])
        near = near.sort_values(["unit_a", "territory", "unit_b"]).drop_duplicates("unit_a")
        held = held.fillna(near.set_index("unit_a")["territory"])
    return held
