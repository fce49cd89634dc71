"""A proof that no territories can cost less: the k-median problem without balance and pieces.

Lagrangian relaxation of "each unit once" (Cornuejols, Fisher and Nemhauser 1977): with a reward
v_i for
serving unit i, a centre j is worth  sum_i min(0, w_i d_ij - v_i);  the k cheapest centres and the
sum of
the rewards are a lower bound for any v. Rewards follow a subgradient.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

STEPS = 300
WORK = 1_500_000_000
PATIENCE = 20


def median_bound(
    xy: NDArray[np.float64], weight: NDArray[np.float64], k: int, upper: float
) -> float:
    """Lower bound on the travel to k centres that are units.

    Parameters
    ----------
    xy, weight
        (n, 2) km and (n,).
    k
        Number of centres.
    upper
        Cost of a known solution; steers the steps, not the validity.

    Returns
    -------
    float
        At most the cost of any solution; 0 at the least.

    Examples
    --------
    >>> xy = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [6.0, 0.0]])
    >>> round(median_bound(xy, np.ones(4), 2, 2.0), 3)
    2.0
    """
    n = len(xy)
    if k >= n:
        return 0.0
    reward = weight * _kth_nearest(xy, k)
    best, scale, since = 0.0, 1.0, 0
    for _ in range(int(min(STEPS, max(20, WORK // (n * n))))):
        worth = np.empty(n)
        _worth(xy, weight, reward, worth)
        chosen = np.argsort(worth, kind="stable")[:k]
        value = float(reward.sum() + worth[chosen].sum())
        if value > best + 1e-12 * abs(best):
            best, since = value, 0
        else:
            since += 1
            if since == PATIENCE:
                scale, since = scale / 2, 0
        served = np.zeros(n)
        _served(xy, weight, reward, chosen, served)
        slope = 1.0 - served
        norm = float(slope @ slope)
        if not norm:
            break
        reward = np.maximum(reward + scale * max(upper - value, 1e-9 * upper) / norm * slope, 0.0)
    return best


def _kth_nearest(xy: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Half the mean distance to a random k of the units: a fair first guess of the reward."""
    step = max(1, len(xy) // max(k, 1))
    spread = xy[::step][:, None, :] - xy[None, :, :]
    return np.sqrt((spread**2).sum(2)).min(axis=0) * 1.5


@njit(cache=True, nogil=True)
def _worth(xy, weight, reward, worth):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = len(weight)
    for j in range(n):
        total = 0.0
        for i in range(n):
            dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
            gain = weight[i] * np.sqrt(dx * dx + dy * dy) - reward[i]
            if gain < 0.0:
                total += gain
        worth[j] = total


@njit(cache=True, nogil=True)
def _served(xy, weight, reward, chosen, served):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for j in chosen:
        for i in range(len(weight)):
            dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
            if weight[i] * np.sqrt(dx * dx + dy * dy) < reward[i]:
                served[i] += 1.0
