"""Names of territories persist: T3 on the new map is the place people called T3."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from scipy.optimize import linear_sum_assignment

from terrlib.errors import DataError

TWO_DIGITS = 10


def keep_names(
    new: pd.Series, old: pd.Series, weight: pd.Series, forced: dict[object, str] | None = None
) -> pd.Series:
    """Rename the territories of a new design so that places keep their old names.

    A solver numbers territories in any order; people do not. Old and new names are matched so
    that as much weight as possible stays under the name it had. A new territory that takes
    nothing from any old one, or for which no old name is left, gets the next free name.

    Parameters
    ----------
    new, old
        unit_id -> territory, this plan and the last one. Units that `old` does not know count
        for nothing, so a map that has grown or been redrawn is no problem.
    weight
        unit_id -> how much it matters that the unit keeps its name (>= 0; revenue, hours, ...),
        for every unit of `new`.
    forced
        New label -> name it must have, because somebody placed a unit there by hand.

    Returns
    -------
    Series, unit_id -> territory
        `new`, in its own order, under the kept names. Which units are together is unchanged.

    Raises
    ------
    DataError
        If a unit of `new` has no weight.

    Notes
    -----
    The best matching is a linear assignment problem, solved exactly [1]_ in O(k^3) for k
    territories. Matching by greatest overlap first would not be optimal.

    References
    ----------
    .. [1] Crouse, D. F. (2016). On implementing 2D rectangular assignment algorithms. IEEE
       Transactions on Aerospace and Electronic Systems 52(4). doi:10.1109/TAES.2016.140952

    Examples
    --------
    The solver called the north 0 and the south 1; last year they were T2 and T1:

    >>> old = pd.Series({"Gdynia": "T2", "Sopot": "T2", "Zakopane": "T1"})
    >>> new = pd.Series({"Gdynia": 0, "Sopot": 0, "Zakopane": 1, "Tarnów": 1})
    >>> revenue = pd.Series({"Gdynia": 5.0, "Sopot": 1.0, "Zakopane": 2.0, "Tarnów": 1.0})
    >>> keep_names(new, old, weight=revenue).to_dict()
    {'Gdynia': 'T2', 'Sopot': 'T2', 'Zakopane': 'T1', 'Tarnów': 'T1'}
    """
    weight = weight.reindex(new.index)
    if weight.isna().any():
        lost = weight.index[weight.isna()]
        raise DataError("refusal.no_weight", n=len(lost), names=list(lost[:3]))
    names: dict[object, str] = dict(forced or {})
    labels = sorted(set(new) - set(names))
    known = old.reindex(new.index)
    known = known.where(~known.isin(set(names.values())))
    overlap = pd.crosstab(new, known, values=weight, aggfunc="sum").reindex(labels).fillna(0.0)
    shared = overlap.to_numpy(dtype=float)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    for i, j in zip(rows, columns, strict=True):
        if shared[i, j] > 0:
            names[overlap.index[i]] = str(overlap.columns[j])
    fresh = fresh_names(new.nunique(), set(old.dropna()) | set(names.values()))
    for label in labels:
        if label not in names:
            names[label] = next(fresh)
    return new.map(names).astype(str).rename("territory")


def fresh_names(k: int, taken: set[str], prefix: str = "T") -> Iterator[str]:
    """Yield names that are not taken: T1, T2, ... or T01, T02, ... where there are ten or more.

    Examples
    --------
    >>> next(fresh_names(3, {"T1"}))
    'T2'
    >>> next(fresh_names(2, set(), "KA"))
    'KA1'
    """
    width = 2 if k >= TWO_DIGITS else 1
    number = 0
    while True:
        number += 1
        name = f"{prefix}{number:0{width}d}"
        if name not in taken:
            yield name
