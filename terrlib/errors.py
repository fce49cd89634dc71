"""The ways terrlib says no.

Every message says what is wrong, how many or how much, the first examples, and what would help.
"""

from __future__ import annotations

from typing import Any


class TerrlibError(ValueError):
    """Base of every refusal; the command line prints its message and nothing else."""


class SettingsError(TerrlibError):
    """The settings file asks for something that does not exist or cannot be."""


class DataError(TerrlibError):
    """The tables cannot be trusted; the message lists every fault at once.

    Attributes
    ----------
    findings
        Every finding made until then, as `Market.quality` holds them, or None.
    """

    findings: Any = None


class InfeasibleError(TerrlibError):
    """No set of territories, reps or amounts satisfies the rules; the message names the reason."""


class PlanError(TerrlibError):
    """A finished run would break one of its checks; nothing is published."""
