"""A rule that holds or not, with its value and its limit; and the gate that lets nothing else by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from terrlib.errors import PlanError
from terrlib.show.words import Told


@dataclass(frozen=True)
class Check:
    """One rule of a finished plan.

    Attributes
    ----------
    check
        What must hold, as a key of the sentences in `show/locale` under `check`.
    ok
        Whether it holds.
    value, limit
        What was found and what is allowed, as text.
    """

    check: str
    ok: bool
    value: str = ""
    limit: str = ""


def as_table(checks: Iterable[Check]) -> pd.DataFrame:
    """List checks as a table with the columns check, ok, value, limit.

    Examples
    --------
    >>> as_table([Check("one_piece", True, "1", "1")]).loc[0, "check"]
    'one_piece'
    """
    rows = [(c.check, c.ok, c.value, c.limit) for c in checks]
    return pd.DataFrame(rows, columns=["check", "ok", "value", "limit"])


def require(checks: Iterable[Check]) -> pd.DataFrame:
    """Return the checks as a table, or refuse if one of them does not hold.

    Raises
    ------
    PlanError
        Naming every check that does not hold, with its value and limit.

    Examples
    --------
    >>> require([Check("one_piece", False, "T1 has 2 pieces", "1")])
    Traceback (most recent call last):
    ...
    terrlib.errors.PlanError: 1 of 1 checks does not hold: one_piece (T1 has 2 pieces, allowed: 1)
    """
    checks = list(checks)
    broken = [c for c in checks if not c.ok]
    if broken:
        told = [
            Told("refusal.check_broken", check=c.check, value=c.value, limit=c.limit)
            for c in broken
        ]
        if len(broken) == 1:
            raise PlanError("refusal.checks_broken_one", of=len(checks), broken=told)
        raise PlanError("refusal.checks_broken", n=len(broken), of=len(checks), broken=told)
    return as_table(checks)
