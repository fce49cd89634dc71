"""What is to be sold: a total split over territories and quarters, to the last grosz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from terrlib.decisions.timeline import Forecast, next_quarters, reaches, settled, spread_out
from terrlib.errors import InfeasibleError
from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import FIELD, Settings
from terrlib.measures.customers import gini
from terrlib.measures.winning import WON, deals
from terrlib.money import split_exact

CLAMPS = 50
YEAR_M = 12
MONTHS = 3
COVER = "COVER"
CAPS = {"min_growth", "max_growth"}
FEWEST = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Goals:
    """Goals and where their total comes from.

    Attributes
    ----------
    table
        territory, quarter, amount: minor units; of all accounts there, whoever is credited.
    basis
        targets (the table), total (the settings) or forecast (its mean).
    credited
        team, territory, quarter, amount: the same money where it is credited, minor units: `FIELD` (the
        run's own territories), an overlay with its territories, or `PARTNER` in those it lies in.
    quotas
        territory, rep_id, amount: what reps are asked, goals credited to the run's own territories
        plus over-assignment, minor units. COVER is what a rep new to the job is not asked yet and
        somebody has to cover.
    parts
        territory, base (new sales of the last as many months, currency; NaN where not known),
        bottom_up (forecast, currency), potential_share, omega (shares), target (minor units),
        growth (over the base; NaN without one), capped (none, lo, hi).
    caps
        held (growth is within its caps), lifted (the total leaves no room for them), none (no base).
    """

    table: pd.DataFrame
    basis: str
    credited: pd.DataFrame
    quotas: pd.DataFrame
    parts: pd.DataFrame
    caps: str


def set_goals(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    expected: Forecast,
    settings: Settings,
    rep: pd.DataFrame | None = None,
    teams: pd.DataFrame | None = None,
) -> Goals:
    """Split the goal by what is expected and what could be bought, then over the quarters.

    Parameters
    ----------
    market, facts, territory
        The market, what is measured, who is where.
    expected
        The forecast; its shape over the quarters is that of seasons and of effort after its lag.
    settings
        `goals`.
    rep
        territory, rep_id for quotas.
    teams
        account_id -> team, territory: where its sales are credited, see `by_credit`; all to the run's
        own territories where not given.

    Returns
    -------
    Goals
        Quarters add up to the table of targets where it is given, territories to the total; so does
        what is credited.

    Raises
    ------
    InfeasibleError
        If caps that the settings set themselves leave no room for the total. The default caps are
        lifted instead, and `caps` says so.

    Examples
    --------
    See `reconcile` and `two_way`, of which this is the sum.
    """
    names = sorted(territory.unique())
    quarters = next_quarters(market.quarter, settings.timeline.quarters)
    mean = expected.table.pivot_table(index="territory", columns="quarter", values="mean")
    mean = mean.reindex(index=names, columns=quarters)
    by_quarter, basis = _total(market, quarters, mean, settings)
    total = int(sum(by_quarter))
    label = facts["unit_id"].map(territory)
    space = facts["white_space"].groupby(label).sum().reindex(names).fillna(0.0).to_numpy()
    bottom_up = mean.sum(axis=1).to_numpy()
    base = last_year(market, label, names, len(quarters) * MONTHS)
    omega = _omega(market, label, names, settings)
    step = round(settings.goals.round_to * 100)
    caps = "held" if base is not None else "none"
    try:
        amounts = reconcile(total, bottom_up, space, base, settings, step, names, omega)
    except InfeasibleError:
        if CAPS & settings.goals.model_fields_set:
            raise
        caps = "lifted"
        amounts = reconcile(total, bottom_up, space, None, settings, step, names, omega)
    cells = two_way(amounts, by_quarter, mean.to_numpy())
    index = pd.MultiIndex.from_product([names, quarters], names=["territory", "quarter"])
    table = pd.DataFrame({"amount": cells.reshape(-1)}, index=index).reset_index()
    parts = _parts(names, base, bottom_up, space, omega, amounts, settings, caps, step)
    if teams is None:
        teams = pd.DataFrame({"team": FIELD, "territory": label})
    credited = by_credit(table, facts, label, dict(zip(names, omega, strict=True)), teams)
    asked = team_quotas(market, credited[credited["team"] == FIELD], rep, settings)
    return Goals(table, basis, credited, asked, parts, caps)


def by_credit(
    table: pd.DataFrame,
    facts: pd.DataFrame,
    label: pd.Series,
    omega: Mapping[str, float],
    teams: pd.DataFrame,
) -> pd.DataFrame:
    """Move the goal of every territory to those who are credited with its accounts, each coin once.

    Parameters
    ----------
    table
        territory, quarter, amount: minor units.
    facts
        Indexed by account_id: ev, white_space.
    label
        account_id -> territory.
    omega
        territory -> weight of what could still be bought against what is expected, as for the goal
        itself: an account's part of its territory's goal is that of both in it.
    teams
        Indexed by account_id: team, territory of that team.

    Returns
    -------
    DataFrame
        team, territory, quarter, amount: adds up to `table`, quarter by quarter; every territory of
        a team has a row for every quarter, and so has every one of `table` for `FIELD`.

    Examples
    --------
    Half of what could be sold in T1 is with b, a key account:

    >>> table = pd.DataFrame({"territory": ["T1"], "quarter": ["2026Q4"], "amount": [101]})
    >>> facts = pd.DataFrame({"ev": [1.0, 1.0], "white_space": [5.0, 5.0]}, index=["a", "b"])
    >>> teams = pd.DataFrame({"team": ["field", "key"], "territory": ["T1", "K1"]}, index=["a", "b"])
    >>> by_credit(table, facts, pd.Series({"a": "T1", "b": "T1"}), {"T1": 0.5}, teams)["amount"].tolist()
    [51, 50]
    """
    rows = teams.reindex(facts.index).assign(place=label)
    weight = pd.Series(0.0, index=facts.index)
    for column, share in (("ev", 1 - label.map(omega)), ("white_space", label.map(omega))):
        whole = facts[column].clip(lower=0.0).groupby(label).transform("sum")
        weight += share * (facts[column].clip(lower=0.0) / whole.where(whole > 0)).fillna(0.0)
    parts = weight.groupby([rows["place"], rows["team"], rows["territory"]]).sum()
    found = [(FIELD, row.territory, row.quarter, 0) for row in table.itertuples(index=False)]
    for place, quarter, amount in table[["territory", "quarter", "amount"]].itertuples(index=False):
        keys, shares = [(FIELD, place)], [1.0]
        if place in parts.index.get_level_values(0):
            here = parts.loc[place]
            keys, shares = list(here.index), here.tolist()
        names = ["\t".join(key) for key in keys]
        for (team, to), part in zip(keys, split_exact(amount, shares, names), strict=True):
            found.append((team, to, quarter, part))
    columns = ["team", "territory", "quarter"]
    by = pd.DataFrame(found, columns=[*columns, "amount"])
    return by.groupby(columns, as_index=False)["amount"].sum()


def team_quotas(
    market: Market, credited: pd.DataFrame, rep: pd.DataFrame | None, settings: Settings
) -> pd.DataFrame:
    """What the reps of one team are asked: see `quotas`.

    Parameters
    ----------
    market
        Its reps are the team's.
    credited
        territory, quarter, amount of that team, minor units.
    rep
        territory, rep_id.
    settings
        `goals`, `timeline.ramp`.
    """
    by = credited.groupby("territory")["amount"].sum()
    quarters = next_quarters(market.quarter, settings.timeline.quarters)
    ramps = _ramps(market, rep, settings, quarters)
    return quotas(list(by.index), by.tolist(), rep, settings, ramps)


def _parts(
    names: list[str],
    base: Floats | None,
    bottom_up: Floats,
    space: Floats,
    omega: Floats,
    amounts: list[int],
    settings: Settings,
    caps: str,
    step: int,
) -> pd.DataFrame:
    target = np.array(amounts, dtype=np.int64)
    known = np.full(len(names), np.nan) if base is None else np.where(base > 0, base / 100, np.nan)
    growth = target / 100 / known - 1
    g, slack = settings.goals, step / 100 / known
    at = np.select(
        [growth >= g.max_growth - slack, growth <= g.min_growth + slack], ["hi", "lo"], "none"
    )
    return pd.DataFrame(
        {
            "territory": names,
            "base": known,
            "bottom_up": bottom_up,
            "potential_share": space / space.sum() if space.sum() > 0 else 1 / len(names),
            "omega": omega,
            "target": target,
            "growth": growth,
            "capped": at if caps == "held" else "none",
        }
    )


def last_year(market: Market, label: pd.Series, names: list[str], months: int) -> Floats | None:
    """New sales of the last months by today's territories: won deals, minor units.

    Parameters
    ----------
    label
        account_id -> territory.
    names
        Territories.
    months
        As many as the goal is for.

    Returns
    -------
    (territories,) array, or None
        None where the record of deals does not reach back that far: nothing can be said of growth.
    """
    table = deals(market)
    if not len(table) or market.as_of is None:
        return None
    begin = market.as_of - pd.DateOffset(months=months)
    if market.opportunities["created_date"].min() > begin:
        return None
    won = market.opportunities.loc[table.index[table["outcome"] == WON]]
    won = won[won["close_date"] > begin]
    if won.empty:
        return None
    amount = won["amount"].astype(float).groupby(won["account_id"].map(label)).sum()
    return np.asarray(amount.reindex(names).fillna(0.0) * 100, dtype=float)


def _omega(market: Market, label: pd.Series, names: list[str], settings: Settings) -> Floats:
    """Weight of potential: as set, or K / (K + won deals of two years): thin history, more potential.

    Credibility of a history, as actuaries use it (Buehlmann 1967).
    """
    asked = settings.goals.omega
    if asked != "credibility":
        return np.full(len(names), float(asked))
    table, k = deals(market), settings.goals.credibility_deals
    won = market.opportunities.loc[table.index[table["outcome"] == WON]]
    if market.as_of is not None:
        won = won[won["close_date"] > market.as_of - pd.DateOffset(years=2)]
    n = won["account_id"].map(label).value_counts().reindex(names).fillna(0.0)
    return np.asarray(k / (k + n), dtype=float)


def _ramps(
    market: Market, rep: pd.DataFrame | None, settings: Settings, quarters: list[str]
) -> dict[str, float]:
    """Share of a settled rep's year that each rep of the plan can do, by day of hire and leave."""
    if rep is None or not len(market.reps):
        return {}
    ids = [str(r) for r in rep["rep_id"] if r in market.reps.index]
    return {r: float(settled(market, r, settings, quarters).mean()) for r in ids}


def _total(
    market: Market, quarters: list[str], mean: pd.DataFrame, settings: Settings
) -> tuple[list[int], str]:
    """Goal of every quarter in minor units, and where it comes from."""
    given = market.targets.groupby("quarter")["amount"].sum()
    if len(given) and all(q in given.index for q in quarters):
        return [round(float(given[q]) * 100) for q in quarters], "targets"
    shape = np.maximum(mean.sum(axis=0).to_numpy(float), 0.0)
    if settings.goals.total:
        return split_exact(round(settings.goals.total * 100), shape.tolist(), quarters), "total"
    return split_exact(round(float(shape.sum()) * 100), shape.tolist(), quarters), "forecast"


def reconcile(
    total: int,
    expected: np.ndarray,
    potential: np.ndarray,
    base: np.ndarray | None,
    settings: Settings,
    step: int,
    names: list[str],
    omega: Floats | None = None,
) -> list[int]:
    """Split a goal by forecast and potential, growth over the base held between caps.

    Parameters
    ----------
    total
        Minor units.
    expected, potential
        (n,) forecast and potential of each part.
    base
        (n,) last year's sales in minor units, or None where growth is not capped; nor is that of a
        part whose base is 0.
    settings
        `goals`: omega, min_growth, max_growth.
    step
        Round to this many minor units.
    names
        Names of the parts, to break ties.
    omega
        (n,) weight of potential of each part; that of the settings where not given.

    Raises
    ------
    InfeasibleError
        If the caps leave no room for the total.

    Examples
    --------
    >>> reconcile(1_000_000_000, np.array([4.0, 3, 2]), np.array([3.0, 3, 4]),
    ...           np.array([360e6, 280e6, 220e6]), Settings(), 1, ["a", "b", "c"])
    [373903226, 318096774, 308000000]
    """
    if omega is None:
        assert settings.goals.omega != "credibility"  # it needs a history, which is not known here
        omega = np.full(len(expected), settings.goals.omega)
    parts = np.zeros(len(expected))
    for weight, values in ((1 - omega, expected), (omega, potential)):
        share = values / values.sum() if values.sum() > 0 else np.full(len(values), 1 / len(values))
        parts = parts + weight * share
    if base is None:
        return split_exact(total, parts.tolist(), names, step)
    low = np.where(base > 0, base * (1 + settings.goals.min_growth), 0.0)
    high = np.where(base > 0, base * (1 + settings.goals.max_growth), np.inf)
    if not low.sum() <= total <= high.sum():
        short = low.sum() - total if total < low.sum() else total - high.sum()
        amounts = {"goal": total, "low": low.sum(), "high": high.sum(), "short": short}
        money = {name: float(amount) / 100 for name, amount in amounts.items()}
        raise InfeasibleError("refusal.goal_beyond_caps", **money)
    amount = parts / parts.sum() * total
    held = np.zeros(len(parts), dtype=bool)
    for _ in range(CLAMPS):
        clipped = np.clip(amount, low, high)
        gap = total - clipped.sum()
        if abs(gap) < 0.5:  # noqa: PLR2004
            break
        # Hold only the side that makes the gap, so that no part is held for nothing.
        held |= (amount > high) if gap > 0 else (amount < low)
        amount = np.where(held, clipped, amount)
        free = ~held
        if not free.any():
            break
        rest, weight = total - amount[held].sum(), parts[free]
        amount[free] = rest * (weight / weight.sum() if weight.sum() > 0 else 1 / free.sum())
    return split_exact(total, np.clip(amount, low, high).tolist(), names, step)


def two_way(rows: list[int], columns: list[int], weight: np.ndarray) -> np.ndarray:
    """Fill a table of whole numbers whose rows and columns add up as given.

    Rows are split by the column totals still open and the weights; what is left goes where there is
    room, the largest first.

    Examples
    --------
    >>> two_way([60, 40], [50, 50], np.ones((2, 2))).tolist()
    [[30, 30], [20, 20]]
    """
    shape = np.maximum(weight, 0.0) + 1e-9 * max(float(weight.max(initial=0.0)), 1.0)
    fit = shape.copy()
    for _ in range(200):  # iterative proportional fitting, Deming and Stephan 1940
        fit *= (np.array(rows, float) / np.maximum(fit.sum(axis=1), 1e-300))[:, None]
        fit *= np.array(columns, float) / np.maximum(fit.sum(axis=0), 1e-300)
    # Where fitting has not come to its end a row may hold too much: only rows that lack are filled.
    fit *= np.minimum(np.array(rows, float) / np.maximum(fit.sum(axis=1), 1e-300), 1.0)[:, None]
    out = np.floor(fit + 1e-4).astype(np.int64)
    row_left = np.array(rows) - out.sum(axis=1)
    column_left = np.array(columns) - out.sum(axis=0)
    for i in np.argsort(-row_left, kind="stable"):
        for j in np.argsort(-(fit[i] - out[i]), kind="stable"):
            take = min(row_left[i], column_left[j])
            if take > 0:
                out[i, j] += take
                row_left[i] -= take
                column_left[j] -= take
    return out


def quotas(
    names: list[str],
    amounts: list[int],
    rep: pd.DataFrame | None,
    settings: Settings,
    ramp: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """What reps are asked: the goal of their territory plus over-assignment, exact in sum.

    Parameters
    ----------
    names, amounts
        Territories and their goals, minor units.
    rep
        territory, rep_id; all vacant where not given.
    settings
        `goals`: over_assignment, and what becomes of what a new rep cannot do yet: a row COVER of
        the territory, or spread over the reps who are settled.
    ramp
        rep_id -> share of a settled rep's year.

    Examples
    --------
    A rep who can do half is asked for half; the other half is a row of its own.

    >>> rep = pd.DataFrame({"territory": ["a", "b"], "rep_id": ["R1", "R2"]})
    >>> quotas(["a", "b"], [1000, 1000], rep, Settings(goals={"over_assignment": 0}), {"R2": 0.5})
    ...     # doctest: +NORMALIZE_WHITESPACE
      territory rep_id  amount
    0         a     R1    1000
    1         b     R2     500
    2         b  COVER     500
    """
    extra = round(sum(amounts) * (1 + settings.goals.over_assignment))
    asked = split_exact(extra, amounts, names) if sum(amounts) else list(amounts)
    owner = {} if rep is None else dict(rep[["territory", "rep_id"]].itertuples(index=False))
    ids = [owner.get(name, VACANT) for name in names]
    share = [min((ramp or {}).get(str(r), 1.0), 1.0) for r in ids]
    does = [round(a * s) for a, s in zip(asked, share, strict=True)]
    short = [a - d for a, d in zip(asked, does, strict=True)]
    able = [a if s == 1 and r != VACANT else 0 for a, s, r in zip(asked, share, ids, strict=True)]
    rows = list(zip(names, ids, does, strict=True))
    if sum(short) and settings.goals.ramp_shortfall == "spread" and any(able):
        more = split_exact(sum(short), able, names)
        rows = [(n, r, d + m) for (n, r, d), m in zip(rows, more, strict=True)]
    else:
        rows += [(n, COVER, s) for n, s in zip(names, short, strict=True) if s]
    return pd.DataFrame(
        sorted(rows, key=lambda row: row[0]), columns=["territory", "rep_id", "amount"]
    )


def reconciliation(
    found: Goals, expected: Forecast, simple: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Compare the goal with what is expected.

    Parameters
    ----------
    found, expected
        The goals and the forecast of the model.
    simple
        mean, p10, p50, p90 of a simple rule that was closer in the past: gap and chance are then
        its own, so that a headline never mixes two forecasts.

    Returns
    -------
    dict
        top_down (the goal), bottom_up (the model's territories added up), expected (of the headline),
        gap (top_down - expected): currency; gap_rate: share of top_down; chance: of reaching the
        goal, by the draws, or by the range of the simple rule.
    """
    top = int(found.table["amount"].sum()) / 100
    mean = (simple or expected.year)["mean"]
    by_draws = float((expected.draws_total >= top).mean())
    return {
        "top_down": top,
        "bottom_up": expected.year["mean"],
        "expected": mean,
        "gap": top - mean,
        "gap_rate": (top - mean) / top if top else 0.0,
        "chance": reaches(simple, top) if simple else by_draws,
    }


def stretch(
    found: Goals, expected: Forecast, facts: pd.DataFrame, territory: pd.Series
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Measure whether quotas ask as much of everybody, and how likely each is to be reached.

    Returns
    -------
    DataFrame
        territory, rep_id, quota, expected (currency), stretch (quota over expected), chance (share
        of draws in which the territory sells its quota). Expected and drawn is that part of the
        territory's sales which is credited to it, as of its goal.
    dict
        n: territories with a forecast; cv, gini of stretch; rho_size, rho_per_hour: Spearman's
        rank correlation of stretch with expected sales and with potential by hour of work, NaN
        below four territories or where nothing differs; spread: largest less smallest chance;
        reaching: expected share of quotas reached.
    """
    asked = found.quotas[found.quotas["rep_id"] != COVER].set_index("territory")
    draws = spread_out(expected.of_territories().sum(axis=2, dtype=float), expected.widened)
    names = sorted(set(expected.parts.places.get_level_values(0)))
    mean = expected.table.groupby("territory")["mean"].sum().reindex(names)
    whole = found.table.groupby("territory")["amount"].sum().reindex(names)
    field = found.credited[found.credited["team"] == FIELD]
    own = field.groupby("territory")["amount"].sum().reindex(names)
    part = (own / whole.where(whole > 0)).fillna(1.0)
    mean, draws = mean * part, draws * part.to_numpy()
    quota = (asked["amount"] / 100).reindex(names).fillna(0.0)
    rows = pd.DataFrame(
        {
            "territory": names,
            "rep_id": asked["rep_id"].reindex(names).to_numpy(),
            "quota": quota.to_numpy(),
            "expected": mean.to_numpy(),
            "stretch": (quota / mean.where(mean > 0)).to_numpy(),
            "chance": (draws >= quota.to_numpy()).mean(axis=0),
        }
    )
    known = rows.dropna(subset="stretch")
    of = facts.groupby(facts["unit_id"].map(territory))[["potential", "workload_h"]].sum()
    hourly = (of["potential"] / of["workload_h"].where(of["workload_h"] > 0)).reindex(
        known["territory"]
    )
    even = gini(known["stretch"]) if len(known) else float("nan")
    return rows, {
        "n": float(len(known)),
        "cv": float(known["stretch"].std(ddof=0) / known["stretch"].mean())
        if len(known)
        else float("nan"),
        "gini": float(even),
        "rho_size": _rank(known["stretch"], known["expected"]),
        "rho_per_hour": _rank(known["stretch"], hourly),
        "spread": float(rows["chance"].max() - rows["chance"].min()),
        "reaching": float(rows["chance"].mean()),
    }


def _rank(a: pd.Series, b: pd.Series) -> float:
    x, y = a.to_numpy(float), b.to_numpy(float)
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    if len(x) <= FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)
