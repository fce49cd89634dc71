"""Response curves: the leads that money brings, with what each curve rests on.

Three grades. FITTED: estimated from a history of spending and leads. JUDGED: drawn through what a
manager answered (Little 1970). MECHANICAL: from a response rate and a number of contacts alone.
A curve is a row of a table, so that a thousand of them are evaluated at once:

    form    leads of x spent in a year                            scale     a          b
    touch   top E[1 - (1-a)^min(T, b)], T Poisson(x / scale)      money     rate       contacts
    exp     top (1 - exp(-x / scale))                             money     -          -
    hill    top z^b / (a + z^b), z = x / scale                    money     d          c
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc

from terrlib.errors import DataError

Floats = NDArray[np.float64]
FITTED, JUDGED, MECHANICAL = "fitted", "judged", "mechanical"
HALF_MORE = 1.5
STEP = 1e-6  # of the scale, where a slope at nothing is taken a little above it


def leads(curves: pd.DataFrame, x: Floats) -> Floats:
    """Leads a year that spending brings.

    Parameters
    ----------
    curves
        form, top (leads, or accounts of touch), scale (money), a, b.
    x
        (n,) or (n, k) money spent in a year on each curve.

    Returns
    -------
    (n,) or (n, k) leads

    Examples
    --------
    >>> one = pd.DataFrame({"form": ["touch"], "top": [100.0], "scale": [500.0], "a": [0.1], "b": [1.0]})
    >>> leads(one, np.array([500.0])).round(3).tolist()  # 0.1 100 (1 - 1/e)
    [6.321]
    """
    top, z, a, b, form = _parts(curves, x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        touch = 1 - np.exp(-a * z) * gammaincc(b, z * (1 - a)) - (1 - a) ** b * gammainc(b, z)
        hill = np.where(z > 0, z**b / (a + z**b), 0.0)
    found = np.select([form == "touch", form == "hill"], [touch, hill], -np.expm1(-z))
    return np.asarray(top * np.maximum(found, 0.0))


def slope(curves: pd.DataFrame, x: Floats) -> Floats:
    """Leads that the next unit of money brings; arguments as `leads`.

    Examples
    --------
    >>> one = pd.DataFrame({"form": ["exp"], "top": [50.0], "scale": [100.0], "a": [0.0], "b": [1.0]})
    >>> slope(one, np.array([0.0])).tolist()
    [0.5]
    """
    top, z, a, b, form = _parts(curves, x)
    scale = _across(curves["scale"], x)
    z = np.where(form == "hill", np.maximum(z, STEP), z)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        touch = a * np.exp(-a * z) * gammaincc(b, z * (1 - a))
        hill = a * b * z ** (b - 1) / (a + z**b) ** 2
    found = np.select([form == "touch", form == "hill"], [touch, hill], np.exp(-z))
    return np.asarray(top / scale * found)


def _across(column: pd.Series, x: Floats) -> NDArray:
    values = column.to_numpy()
    return values if x.ndim == 1 else values[:, None]


def _parts(curves: pd.DataFrame, x: Floats) -> tuple[Floats, Floats, Floats, Floats, NDArray]:
    top, scale, a, b, form = (_across(curves[c], x) for c in ("top", "scale", "a", "b", "form"))
    a = np.where(form == "exp", 0.5, a)  # of no meaning there, and kept from warnings
    return top, np.maximum(x, 0.0) / scale, a, np.where(form == "exp", 1.0, b), form


def touches(reachable: float, cost: float, rate: float, contacts: float) -> dict[str, object]:
    """Mechanical curve: contacts fall on accounts at random, each takes so many at most.

    Parameters
    ----------
    reachable
        Accounts.
    cost
        Of a contact, money.
    rate
        Chance that a contact becomes a lead.
    contacts
        The most an account gets; infinity for no limit.

    Examples
    --------
    >>> touches(100, 5, 0.1, 1)["scale"]
    500.0
    """
    return {
        "form": "touch",
        "top": float(reachable),
        "scale": float(max(reachable, 1) * cost),
        "a": float(rate),
        "b": float(max(contacts, 1.0)),
    }


def adbudg(zero: float, half_more: float, saturation: float) -> tuple[float, float]:
    """Constants c and d of Little's curve a + (b-a) x^c / (d + x^c), x = 1 and index 1 today.

    Parameters
    ----------
    zero, half_more, saturation
        Index of leads (1 = today's) with no spending, with half as much again, and with any amount.

    Raises
    ------
    DataError
        If the answers do not rise: below 1, above 1, above that.

    Notes
    -----
    Little 1970, Models and managers. c above 1 makes an S.

    Examples
    --------
    >>> [round(x, 6) for x in adbudg(0.3, 1.25, 1.8)]
    [1.677272, 1.142857]
    """
    a, s150, b = zero, half_more, saturation
    if not 0 <= a < 1 < s150 < b:
        raise DataError("refusal.no_curve_of_answers", a=a, s150=s150, b=b)
    d = (b - 1) / (1 - a)
    q = (s150 - a) / (b - a)
    c = np.log(d * q / (1 - q)) / np.log(HALF_MORE)
    if not c > 0:
        raise DataError("refusal.no_rise", a=a, s150=s150, b=b)
    return float(c), float(d)


def judged(
    zero: float, half_more: float, saturation: float, spend: float, brought: float
) -> dict[str, object]:
    """Judged curve of leads above those that come by themselves.

    Parameters
    ----------
    zero, half_more, saturation
        As `adbudg`.
    spend, brought
        Money spent a year today, and leads it brings; both above 0.

    Examples
    --------
    >>> curve = pd.DataFrame([judged(0.3, 1.25, 1.8, 1000.0, 40.0)])
    >>> leads(curve, np.array([1000.0])).round(6).tolist()  # 40 (1 - 0.3)
    [28.0]
    """
    c, d = adbudg(zero, half_more, saturation)
    return {"form": "hill", "top": brought * (saturation - zero), "scale": spend, "a": d, "b": c}


def two_points(spend: float, once: float, twice: float) -> tuple[float, float]:
    """Ceiling L and rate k of L (1 - exp(-k x)) through the leads at x and at 2 x.

    Raises
    ------
    DataError
        If twice the money does not bring more, or brings twice as much or more.

    Examples
    --------
    >>> ceiling, k = two_points(10_000, 20, 32)
    >>> round(ceiling, 6), f"{k:.6e}"
    (50.0, '5.108256e-05')
    """
    if not 0 < once < twice < 2 * once or spend <= 0:
        raise DataError("refusal.no_flattening", once=once, spend=spend, twice=twice)
    k = -np.log(twice / once - 1) / spend
    return float(once / -np.expm1(-k * spend)), float(k)


def tangent(a: float, b: float) -> float:
    """Spending, in units of the scale, from which a Hill curve is worth more than any mix with nothing.

    There the line from nothing touches the curve; 0 where the curve has no S (b up to 1).

    Examples
    --------
    >>> round(tangent(1.142857, 2.0), 4)
    1.069
    """
    return float((a * (b - 1)) ** (1 / b)) if b > 1 else 0.0


def elasticity(curves: pd.DataFrame, x: Floats) -> Floats:
    """Percent more leads for one percent more money; NaN where there are none. As `leads`."""
    found = leads(curves, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(found > 0, slope(curves, x) * x / found, np.nan)
