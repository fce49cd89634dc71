"""The ways terrlib says no.

Every message says what is wrong, how many or how much, the first examples, and what would help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from terrlib.show.words import Told


class TerrlibError(ValueError):
    """Base of every refusal; the command line says it in the plan's language and nothing else.

    Parameters
    ----------
    said
        `<group>.<sentence>` of the locale files, a sentence, or several to be told at once; other
        text stays as it is.
    **values
        What the sentence is filled with.

    Attributes
    ----------
    said
        The message, in English as `str` has it; `Words.tell` says it in a reader's language.

    Examples
    --------
    >>> from terrlib.show.words import Words
    >>> refusal = TerrlibError("refusal.no_file", file="a.csv")
    >>> str(refusal), Words("pl", "PLN").tell(refusal.said)
    ('there is no file a.csv', 'nie ma pliku a.csv')
    """

    def __init__(self, said: str | Sequence[str], /, **values: Any) -> None:
        if not isinstance(said, str):
            said = said[0] if len(said) == 1 else Told("refusal.several", several=list(said))
        self.said = said if isinstance(said, Told) else Told(said, **values)
        super().__init__(self.said)


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
