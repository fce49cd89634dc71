"""Is the plan fair to the reps: work and opportunity apart, and would anybody rather swap."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import gini
from terrlib.measures.facts import planning_year
from terrlib.measures.relations import new_hires
from terrlib.measures.workload import capacity_h

ENVY = 0.10  # a swap that promises less than a tenth more is no reason to envy
FULL = 1.0
BAND = 0.15
TRAITS = ("part_time", "new", "seniority")
FEWEST = 2  # members of a group that is spoken of


def rep_fairness(
    market: Market, facts: pd.DataFrame, holder: pd.Series, settings: Settings
) -> pd.DataFrame:
    """Measure what every rep has to do and what there is to win.

    Parameters
    ----------
    market, facts
        Reps; what is measured of every account.
    holder
        account_id -> rep_id, "" or anything that is no rep for nobody.
    settings
        `workload` and `timeline.ramp`.

    Returns
    -------
    DataFrame, indexed by rep_id: all reps of the table
        accounts         count
        workload_h       hours a year that its accounts need
        capacity_h       hours a year it has
        load             workload over capacity                                     share
        opportunity      expected contribution of new sales                  currency a year
        per_hour         opportunity by hour of capacity                       currency
        part_time, new   whether it works less than full time; was hired within the ramp
        seniority        as in the table of reps, "" where it is not given

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> reps = pd.DataFrame({"fte": [1.0, 0.5], "hired": pd.NaT, "seniority": ""}, index=["R1", "R2"])
    >>> market = SimpleNamespace(reps=reps, quarter="2026Q4", country="PL", as_of=None)
    >>> facts = pd.DataFrame({"workload_h": [606.0, 606.0], "ev": [10.0, 20.0]}, index=["a", "b"])
    >>> found = rep_fairness(market, facts, pd.Series({"a": "R1", "b": "R2"}), Settings())
    >>> found["load"].tolist(), found["part_time"].tolist()
    ([0.5, 1.0], [False, True])
    """
    reps = market.reps
    by = facts[["workload_h", "ev"]].groupby(holder.reindex(facts.index).fillna(""))
    full = capacity_h(settings, planning_year(market), market.country)
    table = pd.DataFrame(index=reps.index)
    table["accounts"] = by.size().reindex(reps.index).fillna(0).astype(int)
    table["workload_h"] = by["workload_h"].sum().reindex(reps.index).fillna(0.0)
    table["capacity_h"] = full * reps["fte"].astype(float)
    table["load"] = table["workload_h"] / table["capacity_h"]
    table["opportunity"] = by["ev"].sum().reindex(reps.index).fillna(0.0)
    table["per_hour"] = table["opportunity"] / table["capacity_h"]
    table["part_time"] = reps["fte"].astype(float) < FULL
    table["new"] = new_hires(market, settings)
    table["seniority"] = reps["seniority"].fillna("")
    return table


def spread(values: pd.Series) -> dict[str, float]:
    """How unequal values are: ratio, the largest over the least (inf where that is 0), gini, near.

    `gini` is 0 where all are alike and nears 1 where one has everything; `near` counts the values
    within 15% of the mean, the band of sales practice.

    Examples
    --------
    >>> found = spread(pd.Series([90.0, 100.0, 110.0, 130.0, 70.0]))
    >>> round(found["ratio"], 2), round(found["gini"], 3), found["near"]
    (1.86, 0.112, 3.0)
    """
    least = float(values.min()) if len(values) else 0.0
    ratio = float(values.max()) / least if least > 0 else float("inf")
    near = float(((values / values.mean() - 1).abs() <= BAND).sum()) if values.sum() > 0 else 0.0
    return {"ratio": ratio, "gini": gini(values), "near": near}


def envy(costs: pd.DataFrame, rep: pd.DataFrame, opportunity: pd.Series) -> pd.DataFrame:
    """Find reps who would rather have another's territory, all that it takes counted.

    Parameters
    ----------
    costs
        territory, rep_id, travel, skill, forbidden of every pair, see `staffing.Staffing`.
    rep
        territory, rep_id.
    opportunity
        territory -> expected contribution, currency a year.

    Returns
    -------
    DataFrame, the greatest gain first
        rep_id, territory, wanted, gain    what a swap would bring that rep more a year; more than a
        tenth of what it has. Only territories that it may take are counted.

    Notes
    -----
    A division is free of envy where nobody prefers another's share (Foley 1967). What a rep has of a
    territory is its opportunity less the way there and less what it cannot sell for want of skill.
    """
    worth = costs.assign(
        worth=costs["territory"].map(opportunity) - costs["travel"] - costs["skill"]
    )
    own = worth.merge(rep, on=["territory", "rep_id"])[["rep_id", "territory", "worth"]]
    other = worth[~worth["forbidden"].astype(bool)]
    pairs = own.merge(other, on="rep_id", suffixes=("", "_wanted"))
    # A territory that nobody has is no share of anybody's.
    held = set(rep["territory"][rep["rep_id"].isin(costs["rep_id"])])
    pairs = pairs[pairs["territory_wanted"].isin(held)]
    pairs["gain"] = pairs["worth_wanted"] - pairs["worth"]
    pairs = pairs[pairs["gain"] > ENVY * pairs["worth"].abs()]
    first = pairs.sort_values(
        ["rep_id", "gain", "territory_wanted"], ascending=[True, False, True], kind="stable"
    ).drop_duplicates("rep_id")
    table = first.rename(columns={"territory_wanted": "wanted"})
    table = table[["rep_id", "territory", "wanted", "gain"]]
    return table.sort_values(["gain", "rep_id"], ascending=[False, True]).reset_index(drop=True)


def by_group(plan: pd.DataFrame, today: pd.DataFrame) -> pd.DataFrame:
    """Mean load and opportunity by hour of groups of reps, today and in the plan.

    A group of one is left out, for it would be about a person; and so is what does not differ.

    Parameters
    ----------
    plan, today
        As `rep_fairness`; `today` may be empty.

    Returns
    -------
    DataFrame
        trait (part_time, new, seniority), value, reps, load_today, load, per_hour_today, per_hour;
        NaN where today is not known

    Examples
    --------
    >>> plan = pd.DataFrame(
    ...     {"part_time": [True, True, False, False], "new": False, "seniority": "",
    ...      "load": [1.0, 0.8, 0.7, 0.7], "per_hour": [2.0, 2.0, 3.0, 3.0]}
    ... )
    >>> by_group(plan, plan.iloc[:0])[["trait", "value", "load"]].to_numpy().tolist()
    [['part_time', 'no', 0.7], ['part_time', 'yes', 0.9]]
    """
    parts = []
    for trait in TRAITS:
        value = plan[trait]
        value = value.map({True: "yes", False: "no"}) if value.dtype == bool else value
        size = value[value != ""].value_counts()
        size = size[size >= FEWEST]
        if len(size) < 2:  # noqa: PLR2004
            continue
        rows = pd.DataFrame({"trait": trait, "value": size.index, "reps": size.to_numpy()})
        for column in ("load", "per_hour"):
            for when, table in (("_today", today), ("", plan)):
                means = (
                    table[column].groupby(value).mean() if len(table) else pd.Series(dtype=float)
                )
                rows[column + when] = np.round(means.reindex(size.index).to_numpy(float), 12)
        parts.append(rows)
    columns = ["trait", "value", "reps", "load_today", "load", "per_hour_today", "per_hour"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts).sort_values(["trait", "value"])[columns].reset_index(drop=True)
