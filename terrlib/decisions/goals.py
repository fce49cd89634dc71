"""What is to be sold: a total split over territories and quarters, to the last grosz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terrlib.decisions.timeline import Forecast, next_quarters
from terrlib.errors import InfeasibleError
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.money import split_exact

CLAMPS = 50


@dataclass(frozen=True)
class Goals:
    """Goals and where their total comes from.

    Attributes
    ----------
    table
        territory, quarter, amount: minor units.
    basis
        targets (the table), total (the settings) or forecast (its mean).
    quotas
        territory, rep_id, amount: what reps are asked, goals plus over-assignment, minor units.
    """

    table: pd.DataFrame
    basis: str
    quotas: pd.DataFrame


def set_goals(
    market: Market,
    facts: pd.DataFrame,
    territory: pd.Series,
    expected: Forecast,
    settings: Settings,
    rep: pd.DataFrame | None = None,
) -> Goals:
    """Split the goal by what is expected and what could be bought, then over the quarters.

    Parameters
    ----------
    market, facts, territory
        The market, what is measured, who is where.
    expected
        The forecast.
    settings
        `goals`.
    rep
        territory, rep_id for quotas.

    Returns
    -------
    Goals
        Quarters add up to the table of targets where it is given, territories to the total.
    """
    names = sorted(territory.unique())
    quarters = next_quarters(market.quarter, settings.timeline.quarters)
    mean = expected.table.pivot_table(index="territory", columns="quarter", values="mean")
    mean = mean.reindex(index=names, columns=quarters)
    by_quarter, basis = _total(market, quarters, mean, settings)
    total = int(sum(by_quarter))
    space = facts["white_space"].groupby(facts["unit_id"].map(territory)).sum().reindex(names)
    amounts = reconcile(
        total,
        mean.sum(axis=1).to_numpy(),
        space.fillna(0.0).to_numpy(),
        None,
        settings,
        round(settings.goals.round_to * 100),
        names,
    )
    cells = two_way(amounts, by_quarter, mean.to_numpy())
    index = pd.MultiIndex.from_product([names, quarters], names=["territory", "quarter"])
    table = pd.DataFrame({"amount": cells.reshape(-1)}, index=index).reset_index()
    return Goals(table, basis, quotas(names, amounts, rep, settings))


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
) -> list[int]:
    """Split a goal by forecast and potential, growth over the base held between caps.

    Parameters
    ----------
    total
        Minor units.
    expected, potential
        (n,) forecast and potential of each part.
    base
        (n,) last year's sales in minor units, or None where growth is not capped.
    settings
        `goals`: omega, min_growth, max_growth.
    step
        Round to this many minor units.
    names
        Names of the parts, to break ties.

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
    omega = settings.goals.omega
    parts = np.zeros(len(expected))
    for weight, values in ((1 - omega, expected), (omega, potential)):
        share = values / values.sum() if values.sum() > 0 else np.full(len(values), 1 / len(values))
        parts = parts + weight * share
    if base is None:
        return split_exact(total, parts.tolist(), names, step)
    low = base * (1 + settings.goals.min_growth)
    high = base * (1 + settings.goals.max_growth)
    if not low.sum() <= total <= high.sum():
        raise InfeasibleError(
            f"a goal of {total / 100:,.2f} does not fit the growth caps, which allow {low.sum() / 100:,.2f} "
            f"to {high.sum() / 100:,.2f}: change goals.min_growth, goals.max_growth or the goal"
        )
    amount = parts * total
    held = np.zeros(len(parts), dtype=bool)
    for _ in range(CLAMPS):
        clipped = np.clip(amount, low, high)
        gap = total - clipped.sum()
        # Hold only the side that makes the gap, so that no part is held for nothing.
        new = (amount > high) if gap > 0 else (amount < low)
        if abs(gap) < 0.5:  # noqa: PLR2004
            amount = clipped
            break
        held |= new
        amount = np.where(held, clipped, amount)
        rest = total - amount[held].sum()
        amount[~held] = parts[~held] / parts[~held].sum() * rest
    return split_exact(total, amount.tolist(), names, step)


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
    out = np.floor(fit + 1e-6).astype(np.int64)
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
    names: list[str], amounts: list[int], rep: pd.DataFrame | None, settings: Settings
) -> pd.DataFrame:
    """What reps are asked: the goal of their territory plus over-assignment, exact in sum."""
    extra = round(sum(amounts) * (1 + settings.goals.over_assignment))
    asked = split_exact(extra, amounts, names) if sum(amounts) else list(amounts)
    owner = {} if rep is None else dict(rep[["territory", "rep_id"]].itertuples(index=False))
    ids = [owner.get(name, "VACANT") for name in names]
    return pd.DataFrame({"territory": names, "rep_id": ids, "amount": asked})
