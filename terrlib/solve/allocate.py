"""Money on concave curves: spend where the next coin returns most, until it is spent.

    maximise  sum_i V_i (1 - exp(-r_i x_i))   subject to  sum_i x_i = B,  lo_i <= x_i <= hi_i

The optimum has one marginal return, the multiplier, for every x_i inside its limits; the
multiplier is
found by bisection.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrlib.errors import InfeasibleError

HALVINGS = 200


def waterfill(
    value: NDArray[np.float64],
    rate: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    budget: float,
) -> tuple[NDArray[np.float64], float]:
    """Split a budget over curves V (1 - exp(-r x)).

    Parameters
    ----------
    value, rate
        (n,) V > 0 and r > 0 of each curve.
    low, high
        (n,) least and most to spend on each.
    budget
        To be spent, in the unit of `low`.

    Returns
    -------
    x, multiplier
        (n,) spending, adding up to the budget; return of the next coin.

    Raises
    ------
    InfeasibleError
        If the budget is below the sum of the least or above the sum of the most.

    Examples
    --------
    >>> x, price = waterfill(np.array([200.0, 100.0]), np.array([0.01, 0.01]), np.zeros(2),
    ...                      np.full(2, 500.0), 200.0)
    >>> x.round(2).tolist(), round(price, 3)
    ([134.66, 65.34], 0.52)
    """
    if not low.sum() - 1e-6 <= budget <= high.sum() + 1e-6:
        raise InfeasibleError(
            f"a budget of {budget:,.0f} cannot be split: the limits allow {low.sum():,.0f} to "
            f"{high.sum():,.0f}"
        )
    steepest = value * rate

    def spend(price: float) -> NDArray[np.float64]:
        return np.clip(np.log(np.maximum(steepest, 1e-300) / price) / rate, low, high)

    # Prices are searched on a log scale: returns span many orders of magnitude.
    least, most = np.log(1e-300), np.log(float(steepest.max()) + 1e-300)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        if spend(float(np.exp(middle))).sum() > budget:
            least = middle
        else:
            most = middle
    price = float(np.exp(most))
    x = spend(price)
    inner = (x > low) & (x < high)
    rest = budget - x.sum()
    if inner.any():
        x[np.flatnonzero(inner)[0]] += rest
    return x, price
