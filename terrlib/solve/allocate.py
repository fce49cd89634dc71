"""Money on curves: spend where the next coin returns most, until it is spent.

    maximise   sum_i V_i(x_i) - hurdle (x_i + fixed_i y_i)
    subject to sum_i (x_i + fixed_i y_i) <= budget,  row limits on the same amounts,
               x_i = 0 unless y_i,  least_i <= x_i <= high_i where y_i

Where every curve is concave and nothing else binds, one marginal return holds for every x_i inside
its limits, and bisection finds it. Else the curves are cut into straight pieces and HiGHS decides
what is used (y); a curve with an S is used from where the line from nothing touches it, or not at
all. What is used settled, the money is split anew on finer and finer pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, vstack

from terrlib.errors import InfeasibleError
from terrlib.solve.milp import load_model, solver

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Curve = Callable[[Floats], Floats]
ROUNDS, ABREAST = 14, 15  # of looking for the price, each of so many prices at once
INNER = 50  # halvings of an amount at a given price
SEGMENTS = 60
FINER = 3  # times the pieces are made finer about the answer
NODES = 2_000
GAP = 1e-5
NARROW = 1e-9  # of the largest amount: a narrower piece has only rounding for a slope
BENT = 1e-9  # of the value: less is no bend of a curve


@dataclass(frozen=True)
class Offer:
    """What money can be spent on.

    Attributes
    ----------
    value, slope
        (n, k) amounts -> (n, k) values, and returns of the next coin. Values rise from 0 at 0.
    high
        (n,) most to spend on each.
    least
        (n,) least to spend where anything is spent.
    fixed
        (n,) paid beside where anything is spent.
    share
        (r, n) weights of the amounts x + fixed y in each row, 0 or more.
    row_low, row_high
        (r,) limits of the rows.
    load, load_high
        (s, n) weights of the amounts x alone (hours), and (s,) their limits.
    hurdle
        Return below which money is left unspent; 0 spends all that brings anything.
    """

    value: Curve
    slope: Curve
    high: Floats
    least: Floats
    fixed: Floats
    share: Floats
    row_low: Floats
    row_high: Floats
    load: Floats
    load_high: Floats
    hurdle: float = 0.0


@dataclass(frozen=True)
class Split:
    """Spending (n,) without fixed costs, what is used (n,), return of the next coin, worth of it all."""

    x: Floats
    used: Mask
    price: float
    value: float


def plain(value: Curve, slope: Curve, high: Floats, **more: object) -> Offer:
    """Offer without fixed costs, least amounts and rows, but for what is given.

    Examples
    --------
    >>> plain(lambda x: x, lambda x: x, np.ones(2)).share.shape
    (0, 2)
    """
    n = len(high)
    none, empty = np.zeros(n), np.zeros((0, n))
    bare = Offer(
        value, slope, high, none, none, empty, np.zeros(0), np.zeros(0), empty, np.zeros(0)
    )
    return replace(bare, **more)  # type: ignore[arg-type]


def waterfill(
    slope: Curve, low: Floats, high: Floats, budget: float, floor: float = 0.0
) -> tuple[Floats, float]:
    """Split a budget over concave curves so that the next coin returns the same everywhere.

    Parameters
    ----------
    slope
        (n, k) amounts -> (n, k) returns of the next coin, never rising with the amount.
    low, high
        (n,) least and most to spend on each.
    budget
        To be spent, in the unit of `low`.
    floor
        Return below which money is left unspent.

    Returns
    -------
    x, price
        (n,) spending, adding up to the budget unless the floor holds some back; return of the
        next coin.

    Raises
    ------
    InfeasibleError
        If the budget is below the sum of the least or above the sum of the most.

    Examples
    --------
    >>> value, rate = np.array([[200.0], [100.0]]), 0.01
    >>> x, price = waterfill(lambda x: value * rate * np.exp(-rate * x), np.zeros(2),
    ...                      np.full(2, 500.0), 200.0)
    >>> x.round(2).tolist(), round(price, 3)
    ([134.66, 65.34], 0.52)
    """
    if not low.sum() - 1e-6 <= budget <= high.sum() + 1e-6:
        limits = {"low": float(low.sum()), "high": float(high.sum())}
        raise InfeasibleError("refusal.budget_beyond_limits", budget=budget, **limits)

    at_low, at_high = slope(low[:, None]), slope(high[:, None])

    def spend(prices: Floats) -> Floats:
        """(n, k) amounts at each of k prices."""
        under, over = (np.repeat(side[:, None], len(prices), axis=1) for side in (low, high))
        for _ in range(INNER):
            middle = (under + over) / 2
            more = slope(middle) > prices
            under, over = np.where(more, middle, under), np.where(more, over, middle)
        # Limits are met to the coin, not to the last halving.
        ends = [at_low <= prices, at_high > prices]
        return np.select(
            ends, [low[:, None] + 0 * under, high[:, None] + 0 * under], (under + over) / 2
        )

    # Prices are searched on a log scale: returns span many orders of magnitude.
    steepest = float(at_low.max(initial=0.0))
    if floor:
        x = spend(np.array([floor]))[:, 0]
        if x.sum() <= budget:
            return x, floor
    least, most = np.log(max(floor, steepest * 1e-15, 1e-300)), np.log(max(steepest, 1e-300) * 2)
    for _ in range(ROUNDS):
        prices = np.linspace(least, most, ABREAST + 2)
        over = np.flatnonzero(spend(np.exp(prices)).sum(axis=0) > budget)
        at = int(over[-1]) if len(over) else 0
        least, most = prices[at], prices[min(at + 1, ABREAST + 1)]
    price = float(np.exp(most))
    x = spend(np.array([price]))[:, 0]
    # A straight piece has one return over its whole length: the halvings leave it all or nothing.
    for i in np.argsort(-slope(x[:, None])[:, 0], kind="stable"):
        rest = budget - x.sum()
        x[i] = np.clip(x[i] + rest, low[i], high[i])
        if abs(budget - x.sum()) <= 1e-9 * max(budget, 1.0):
            break
    return x, price


def allocate(offer: Offer, budget: float, segments: int = SEGMENTS) -> Split:
    """Split a budget so that nothing else is worth more.

    Parameters
    ----------
    offer
        Curves and limits.
    budget
        The most that may be spent.
    segments
        Straight pieces of each curve while it is decided what is used.

    Raises
    ------
    InfeasibleError
        If the limits of the rows cannot hold together.

    Examples
    --------
    >>> offer = plain(lambda x: 10 * np.sqrt(x), lambda x: 5 / np.sqrt(np.maximum(x, 1e-9)),
    ...     np.full(2, 100.0))
    >>> allocate(offer, 50.0).x.round(3).tolist()
    [25.0, 25.0]
    """
    # Nothing gets more than there is: that bends an S where the money ends.
    offer = replace(offer, high=np.minimum(offer.high, np.maximum(budget - offer.fixed, 0.0)))
    start = np.maximum(worth_from(offer), offer.least)
    free = (start <= 0) & (offer.fixed <= 0)
    simple = free.all() and not len(offer.row_low) and not len(offer.load_high)
    used = offer.high > 0 if simple else _choose(offer, start, budget, segments)
    return _settle(offer, start, used, budget)


def _settle(offer: Offer, start: Floats, used: Mask, budget: float) -> Split:
    """Split the money on what is used."""
    low, high = np.where(used, start, 0.0), np.where(used, offer.high, 0.0)
    left = budget - float(offer.fixed[used].sum())
    if len(offer.row_low) or len(offer.load_high):
        x, price = _refine(offer, low, high, used, left)
    else:
        spendable = min(max(left, float(low.sum())), float(high.sum()))
        x, price = waterfill(offer.slope, low, high, spendable, offer.hurdle)
        if left > high.sum():
            price = offer.hurdle  # everything is bought already
    x = np.where(used, x, 0.0)
    return Split(x, used, price, float(offer.value(x[:, None]).sum()))


def _mesh(start: Floats, high: Floats, segments: int) -> Floats:
    """(n, k+1) amounts from start to high, closer together where curves bend most."""
    return start[:, None] + (high - start)[:, None] * (np.arange(segments + 1) / segments) ** 2


def worth_from(offer: Offer) -> Floats:
    """Find the amount from which on each curve is concave and worth its place: 0 where it is concave.

    The upper hull of the curve leaves nothing along a straight line; where that line ends, the
    curve begins.

    Returns
    -------
    (n,) array
        To half a percent of `high`, which is the answer where a curve only ever bends upwards.

    Examples
    --------
    x^2 / (1 + x^2) is worth most of a coin at 1:

    >>> offer = plain(lambda x: x**2 / (1 + x**2), lambda x: 2 * x / (1 + x**2) ** 2, np.full(1, 5.0))
    >>> worth_from(offer).round(2).tolist()
    [1.0]
    """
    points = _mesh(np.zeros_like(offer.high), offer.high, 10 * SEGMENTS)
    values = offer.value(points)
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = np.where(points > 0, values / points, 0.0)
    best = np.argmax(steep, axis=1)
    rows = np.arange(len(best))
    # A concave curve is steepest at once.
    bent = steep[rows, best] > steep[:, 1] * (1 + BENT) + 1e-300
    return np.where(bent, points[rows, best], 0.0)


def entering(offer: Offer) -> Floats:
    """Find the most that each coin spent on a curve can return, fixed costs among the coins.

    Returns
    -------
    (n,) array
        The slope at nothing of a concave curve without a fixed cost; 0 where nothing can be spent.

    Examples
    --------
    The root of x with a fixed cost of 4 returns most of a coin at 4: 2 for 8.

    >>> offer = plain(np.sqrt, lambda x: 0.5 / np.sqrt(np.maximum(x, 1e-9)), np.full(1, 9.0),
    ...     fixed=np.full(1, 4.0))
    >>> entering(offer).round(3).tolist()
    [0.25]
    """
    points = np.maximum(_mesh(offer.least, offer.high, 10 * SEGMENTS)[:, 1:], 1e-300)
    each = (offer.value(points) / (points + offer.fixed[:, None])).max(axis=1)
    flat_ = (offer.least <= 0) & (offer.fixed <= 0)
    at_once = np.where(flat_, offer.slope(np.zeros((len(each), 1)))[:, 0], 0.0)
    return np.where(offer.high > 0, np.maximum(each, at_once), 0.0)


def _pieces(offer: Offer, points: Floats) -> tuple[Floats, Floats]:
    """(n, k) widths and slopes of the pieces between points; slopes never rise."""
    width = np.diff(points, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = np.where(
            width > NARROW * points[:, -1:], np.diff(offer.value(points), axis=1) / width, np.inf
        )
    # A piece without width, where two points fall together, has no slope of its own.
    steep = np.minimum.accumulate(np.maximum(steep, 0.0), axis=1)
    return width, np.where(np.isinf(steep), 0.0, steep)


def _choose(offer: Offer, start: Floats, budget: float, segments: int) -> Mask:
    """What is used, by a mixed-integer program over straight pieces."""
    n = len(start)
    usable = (offer.high > 0) & (start <= offer.high)
    width, steep = _pieces(offer, _mesh(np.where(usable, start, 0.0), offer.high, segments))
    pieces, k = n * segments, segments
    i = np.repeat(np.arange(n), k)
    once = start + offer.fixed
    cost = np.concatenate(
        [
            -(steep - offer.hurdle).reshape(-1),
            -(offer.value(start[:, None])[:, 0] - offer.hurdle * once),
        ]
    )
    upper = np.concatenate([np.where(usable[:, None], width, 0.0).reshape(-1), usable * 1.0])
    total = csr_array(np.concatenate([np.ones(pieces), once])[None])
    rows, low, high = [total], [np.array([-np.inf])], [np.array([budget])]
    for weights, once_, below, above in (
        (offer.share, once, offer.row_low, offer.row_high),
        (offer.load, start, np.full(len(offer.load_high), -np.inf), offer.load_high),
    ):
        if len(weights):
            rows.append(csr_array(np.hstack([np.repeat(weights, k, axis=1), weights * once_])))
            low.append(below)
            high.append(above)
    # Each piece is bought only where the whole is used: tighter than one row for all pieces.
    tied = np.flatnonzero((once > 0)[i] & (upper[:pieces] > 0))
    at = np.arange(len(tied))
    links = coo_array(
        (
            np.concatenate([np.ones(len(tied)), -upper[tied]]),
            (np.concatenate([at, at]), np.concatenate([tied, pieces + i[tied]])),
        ),
        shape=(len(tied), pieces + n),
    )
    rows.append(csr_array(links))
    low.append(np.full(len(tied), -np.inf))
    high.append(np.zeros(len(tied)))
    whole = np.concatenate([np.zeros(pieces), (once > 0) * 1.0])
    free = np.flatnonzero(once <= 0)
    bounds = np.zeros(pieces + n)
    bounds[pieces + free] = upper[pieces + free]
    matrix = csr_array(vstack(rows))
    highs = solver(NODES, GAP)
    load_model(highs, cost, matrix, np.concatenate(low), np.concatenate(high), upper)
    highs.changeColsIntegrality(
        len(whole),
        np.arange(len(whole), dtype=np.int32),
        np.array([highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger])[
            whole.astype(int)
        ],
    )
    highs.run()
    found = np.asarray(highs.getSolution().col_value)
    if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible or len(found) < len(whole):
        raise InfeasibleError("refusal.no_split", budget=budget)
    return np.where(once > 0, found[pieces:] > 0.5, usable)  # noqa: PLR2004


def _refine(
    offer: Offer, low: Floats, high: Floats, used: Mask, left: float
) -> tuple[Floats, float]:
    """Split the money on what is used under row limits, by linear programs ever finer."""
    points = _mesh(low, high, SEGMENTS)
    x, price = low, 0.0
    for step in range(FINER + 1):
        highs, width = _program(offer, points, used, left)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise InfeasibleError("refusal.no_split", budget=left)
        found = highs.getSolution()
        x = points[:, 0] + np.asarray(found.col_value).reshape(width.shape).sum(axis=1)
        price = offer.hurdle + max(-float(found.row_dual[0]), 0.0)
        if step < FINER:
            gap = np.diff(points, axis=1)
            at = np.minimum(
                np.argmax(points[:, 1:] >= x[:, None] - 1e-12, axis=1), gap.shape[1] - 1
            )
            near = np.array(
                [[gap[r, max(a - 1, 0) : a + 2].max(initial=0.0)] for r, a in enumerate(at)]
            )
            fine = np.clip(
                x[:, None] + near * np.linspace(-1, 1, SEGMENTS + 1), low[:, None], high[:, None]
            )
            points = np.sort(np.hstack([_mesh(low, high, SEGMENTS // 3), fine]), axis=1)
    return np.clip(x, low, high), price


def _program(offer: Offer, points: Floats, used: Mask, left: float) -> tuple[highspy.Highs, Floats]:
    """Linear program over the pieces between points of what is used; its first row is the budget."""
    width, steep = _pieces(offer, points)
    k = width.shape[1]
    begin = points[:, 0]
    rows = [csr_array(np.ones((1, width.size)))]
    low, high = [np.array([-np.inf])], [np.array([left - begin.sum()])]
    for weights, below, above, fixed in (
        (offer.share, offer.row_low, offer.row_high, np.where(used, offer.fixed, 0.0)),
        (offer.load, np.full(len(offer.load_high), -np.inf), offer.load_high, np.zeros(len(used))),
    ):
        if len(weights):
            rows.append(csr_array(np.repeat(weights, k, axis=1)))
            have = weights @ (begin + fixed)
            low.append(below - have)
            high.append(above - have)
    highs = solver(NODES, GAP)
    load_model(
        highs,
        -(steep - offer.hurdle).reshape(-1),
        csr_array(vstack(rows)),
        np.concatenate(low),
        np.concatenate(high),
        width.reshape(-1),
    )
    return highs, width


def flat(offer: Offer, split: Split, within: float, segments: int = 20) -> tuple[Floats, Floats]:
    """Least and most that each amount may be while the whole is worth nearly as much.

    Parameters
    ----------
    offer, split
        What was offered, and its best split.
    within
        Share of the value that may be lost.
    segments
        Straight pieces of each curve, below it: what is returned is surely within.

    Returns
    -------
    low, high
        (n,) amounts, fixed costs apart; as much money is spent as by `split`, on what it uses.

    Examples
    --------
    >>> offer = plain(lambda x: 10 * np.sqrt(x), lambda x: 5 / np.sqrt(np.maximum(x, 1e-9)),
    ...     np.full(2, 100.0))
    >>> low, high = flat(offer, allocate(offer, 50.0), 0.01)
    >>> bool(low[0] < 20 < 30 < high[0])
    True
    """
    start = np.where(split.used, np.maximum(worth_from(offer), offer.least), 0.0)
    top = np.where(split.used, offer.high, 0.0)
    points = np.sort(
        np.hstack([_mesh(start, top, segments), np.clip(split.x, start, top)[:, None]])
    )
    highs, width = _program(offer, points, split.used, float(split.x.sum()))
    n, k = width.shape
    highs.changeRowBounds(0, float(split.x.sum() - start.sum()), float(split.x.sum() - start.sum()))
    _, steep = _pieces(offer, points)
    need = split.value * (1 - within) - float(offer.value(start[:, None]).sum())
    columns = np.arange(n * k, dtype=np.int32)
    highs.addRow(need, highspy.kHighsInf, n * k, columns, steep.reshape(-1))
    low, high = split.x.copy(), split.x.copy()
    highs.changeColsCost(n * k, columns, np.zeros(n * k))
    for i in np.flatnonzero(split.used):
        mine = columns[i * k : (i + 1) * k]
        for sign, ends, pick in ((1.0, low, min), (-1.0, high, max)):
            highs.changeColsCost(k, mine, np.full(k, sign))
            highs.run()
            if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                there = np.asarray(highs.getSolution().col_value)[mine].sum()
                ends[i] = pick(ends[i], float(start[i] + there))
        highs.changeColsCost(k, mine, np.zeros(k))
    return low, high


def round_within(
    amount: Floats, least: Floats, most: Floats, share: Floats, row_low: Floats, row_high: Floats
) -> Ints:
    """Round amounts up or down to whole steps: the sum is kept, and so are all limits.

    The steps go to the largest remainders that the limits allow. Where limits are whole steps and
    rows fall into two families that each share out the amounts (such as areas and channels), there
    is always such a rounding.

    Parameters
    ----------
    amount
        (n,) in steps; their sum is rounded down.
    least, most
        (n,) in whole steps.
    share, row_low, row_high
        (r, n) of 0 and 1, and (r,) limits in whole steps.

    Raises
    ------
    InfeasibleError
        If no rounding keeps the limits.

    Examples
    --------
    >>> round_within(np.array([1.4, 1.6, 0.0]), np.zeros(3), np.full(3, 9.0), np.zeros((0, 3)),
    ...     np.zeros(0), np.zeros(0)).tolist()
    [1, 2, 0]
    """
    down = np.clip(np.floor(amount + 1e-6), least, most)
    rest = np.clip(amount - down, 0.0, 1.0)
    room = ((most - down) >= 1) & (amount > down + 1e-9)
    total = int(np.floor(amount.sum() + 1e-6) - down.sum())
    if not len(row_low) and 0 <= total <= room.sum():
        up = np.zeros(len(amount), dtype=np.int64)
        up[np.argsort(-np.where(room, rest, -1.0), kind="stable")[:total]] = 1
        return down.astype(np.int64) + up
    # Earlier amounts win ties, whatever the solver would do.
    weight = rest - 1e-7 * np.arange(len(rest)) / max(len(rest), 1)
    matrix = np.vstack([np.ones(len(rest)), share])
    have = matrix @ down
    found = milp(
        -weight,
        integrality=np.ones(len(rest)),
        bounds=Bounds(0, room.astype(float)),
        constraints=LinearConstraint(
            matrix,
            np.concatenate([[total], row_low - have[1:]]),
            np.concatenate([[total], row_high - have[1:]]),
        ),
    )
    if found.x is None:
        raise InfeasibleError("refusal.not_rounded")
    return (down + np.round(found.x)).astype(np.int64)
