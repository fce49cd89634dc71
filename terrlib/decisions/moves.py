"""What changes hands, why, and what is at risk; and the cheapest single move that helps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.decisions.staffing import account_owner
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.geometry import great_circle_km
from terrlib.measures.relations import owners, share_lost
from terrlib.measures.scorecard import pieces

LONG_Y = 3
SEEN = 0.01  # of a fair share: the percentage point that reports show
NO_OWNER = "no_owner"
COLUMNS = ["account_id", "from_territory", "to_territory", "from_rep", "to_rep", "reason"]
REPAIRS = [
    "territory",
    "unit_id",
    "from_territory",
    "to_territory",
    "measure",
    "index_before",
    "index_after",
    "accounts",
    "revenue",
    "km",
]


def handover(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    rep: pd.DataFrame,
    settings: Settings,
    taken: pd.Series | None = None,
) -> pd.DataFrame:
    """List every account whose territory or rep is another than today.

    Parameters
    ----------
    market, facts
        The present alignment and what is measured of the accounts.
    territory
        unit_id -> territory.
    rep
        territory, rep_id.
    settings
        `staffing`: what a change of the rep costs.
    taken
        account_id -> rep of the overlay that does the work for it, where one does.

    Returns
    -------
    DataFrame, sorted by account_id
        account_id, from_territory, to_territory, from_rep, to_rep
        reason     override (placed by hand), other_territory, other_rep, or no_owner: nobody is
                   known to hold it today, so that it gets a rep but does not change hands
        revenue, pipeline, risk, risk_low, risk_high    currency a year; risk is the contribution
                   to expect to be lost, with its range
        level      low (nothing is bought or open), high (a deal is open and it buys, or it has
                   been a customer for three years) or medium disruption
        warm_by    day by which the next rep is introduced; NaT where no quarter is planned for
        Empty where no alignment is given.

    Notes
    -----
    The share lost depends on who gives and who takes, see `relations.share_lost`. The range is that
    of departures in the same study, from nothing to its highest, halved for a planned handover as
    the middle is.
    """
    money = ["revenue", "pipeline", "risk", "risk_low", "risk_high"]
    columns = [*COLUMNS, *money, "level", "warm_by"]
    if not len(market.assignments):
        kinds = dict.fromkeys(money, float) | {"warm_by": "datetime64[s]"}
        return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, str)) for c in columns})
    owner = account_owner(facts, territory, rep, taken)
    rows = pd.DataFrame(
        {
            "account_id": facts.index,
            "from_territory": market.held("territory").reindex(facts.index).fillna("").to_numpy(),
            "from_rep": owners(market).reindex(facts.index).to_numpy(),
            "to_territory": facts["unit_id"].map(territory).to_numpy(),
            "revenue": facts["revenue"].to_numpy(),
            "pipeline": facts["pipeline"].to_numpy(),
        }
    )
    rows["to_rep"] = owner.fillna("").to_numpy()
    new_rep = (rows["from_rep"] != rows["to_rep"]) & (rows["from_rep"] != "")
    elsewhere = (rows["from_territory"] != rows["to_territory"]) & (rows["from_territory"] != "")
    placed = market.overrides.drop_duplicates("unit_id", keep="last").set_index("unit_id")
    by_hand = facts["unit_id"].map(placed["territory"]).to_numpy() == rows["to_territory"]
    vacant = (market.held("rep_id").reindex(facts.index) == VACANT).to_numpy()
    taken_up = elsewhere | ~rows["to_rep"].isin(["", VACANT])
    rows["reason"] = np.select(
        [
            (rows["from_territory"] == "") | (vacant & taken_up),
            elsewhere & by_hand,
            elsewhere,
            new_rep,
        ],
        [NO_OWNER, "override", "other_territory", "other_rep"],
        "",
    )
    s = settings.staffing
    at_stake = settings.workload.margin * rows["revenue"].clip(lower=0) * new_rep
    lost = share_lost(market, facts, settings)
    to = rows["to_rep"].where(rows["to_rep"].isin(lost.columns), "")
    known = rows["from_rep"].where(rows["from_rep"].isin(lost.index), "")
    pair = zip(lost.index.get_indexer(known), lost.columns.get_indexer(to), strict=True)
    rows["risk"] = at_stake * np.array([lost.to_numpy()[i, j] for i, j in pair])
    rows["risk_low"] = at_stake * s.handover_factor * s.low_loss
    rows["risk_high"] = np.maximum(at_stake * s.handover_factor * s.high_loss, rows["risk"])
    quiet = (rows["pipeline"] <= 0) & (rows["revenue"] <= 0)
    since = pd.to_datetime(market.accounts["customer_since"]).reindex(facts.index)
    long = _years(since, market.as_of) >= LONG_Y
    large = ((rows["pipeline"] > 0) & (rows["revenue"] > 0)) | long
    rows["level"] = np.select([quiet | ~new_rep, large], ["low", "high"], "medium")
    days = rows["level"].map(dict(zip(("low", "medium", "high"), s.warm_days, strict=True)))
    dated = market.quarter[:4].isdigit()
    first = pd.Period(market.quarter, freq="Q").start_time if dated else pd.NaT
    rows["warm_by"] = first + pd.to_timedelta(days, unit="D")
    return rows.loc[rows["reason"] != "", columns].reset_index(drop=True)


def change_hands(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep of a handover the accounts that somebody holds today: who had nobody loses nobody.

    Examples
    --------
    >>> change_hands(pd.DataFrame({"account_id": ["a", "b"], "reason": ["no_owner", "other_rep"]}))
      account_id     reason
    1          b  other_rep
    """
    return rows[rows["reason"] != NO_OWNER]


def _years(since: pd.Series, as_of: pd.Timestamp | None) -> np.ndarray:
    """Years as a customer, 0 where not known."""
    if as_of is None:
        return np.zeros(len(since))
    return ((as_of - since).dt.days / 365.25).fillna(0.0).to_numpy(float)


def cheapest_moves(
    market: Market,
    measures: pd.DataFrame,
    territory: pd.Series,
    balance: dict[str, float],
    share: pd.Series,
) -> pd.DataFrame:
    """Find for each territory outside a tolerance the cheapest single unit over its border that helps.

    A move helps if it brings the territory nearer its fair share by at least `SEEN` of it, and
    pushes the other one no further out of it than its tolerance (or than it is); both stay in one
    piece.

    Parameters
    ----------
    market, measures
        Units, who touches whom; unit_id x measures.
    territory
        unit_id -> territory.
    balance
        Measure -> tolerance.
    share
        territory -> fair share, adding up to 1.

    Returns
    -------
    DataFrame, a row for each territory and measure that can be helped
        territory, unit_id, from_territory, to_territory, measure, index_before, index_after,
        accounts, revenue (moved), km (from the unit to the new territory's middle); of the moves
        that help, the one with the least revenue moved, ties by distance.
    """
    label = territory.reindex(measures.index)
    rows = []
    for measure, tolerance in balance.items():
        load = measures[measure].groupby(label).sum()
        target = share.reindex(load.index) * load.sum()
        index = load / target
        for name in index.index[(index - 1).abs() > tolerance + 1e-9]:
            found = _helpful(market, measures, label, measure, tolerance, name, load, target)
            rows += found[:1]
    return pd.DataFrame(rows, columns=REPAIRS)


def _helpful(
    market: Market,
    measures: pd.DataFrame,
    label: pd.Series,
    measure: str,
    tolerance: float,
    name: str,
    load: pd.Series,
    target: pd.Series,
) -> list[tuple[object, ...]]:
    full = load[name] > target[name]
    pairs = market.neighbors
    both = pd.concat([pairs, pairs.rename(columns={"unit_a": "unit_b", "unit_b": "unit_a"})])
    both = both.assign(a=label[both["unit_a"]].to_numpy(), b=label[both["unit_b"]].to_numpy())
    border = both[(both["a"] != both["b"]) & (both["a" if full else "b"] == name)]
    options = border[["unit_a", "a", "b"]].drop_duplicates().sort_values(["unit_a", "b"])
    place = market.units[["lat", "lon"]]
    found = []
    for unit, source, goal in options.itertuples(index=False):
        moved = measures.loc[unit, measure]
        after = load[name] - moved if full else load[name] + moved
        other = goal if full else source
        other_after = load[other] + moved if full else load[other] - moved
        worse = abs(other_after / target[other] - 1)
        allowed = max(tolerance, abs(load[other] / target[other] - 1))
        if (
            moved <= 0
            or abs(load[name] - target[name]) - abs(after - target[name]) < SEEN * target[name]
            or worse > allowed
        ):
            continue
        middle = place[label == goal].mean()
        km = float(great_circle_km(*place.loc[unit], *middle))
        found.append(
            (
                name,
                unit,
                source,
                goal,
                measure,
                load[name] / target[name],
                after / target[name],
                int(measures.loc[unit, "count"]),
                float(measures.loc[unit, "revenue"]),
                km,
            )
        )
    found.sort(key=lambda row: (row[8], row[9], row[1]))
    for row in found:
        changed = label.copy()
        changed[row[1]] = row[3]
        if (pieces(changed, pairs) == 1).all() and set(changed) == set(label):
            return [row]
    return []
