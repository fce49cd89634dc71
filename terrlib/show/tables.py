"""Tables for readers: labels in their language, numbers as they write them, text as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape, unescape
from typing import Any

import pandas as pd

from terrlib.show.words import Words

NUMERIC = {"money", "money0", "short", "percent", "percent1", "number", "km", "hours"}


class Shown(str):
    """HTML that a notebook and a report show as it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


def table(rows: pd.DataFrame, words: Words, kinds: Mapping[str, str], limit: int = 30) -> Shown:
    """Render a table.

    Parameters
    ----------
    rows
        Any table; columns that `kinds` does not name are left out.
    words
        Language and currency.
    kinds
        Column -> how to write it: money0, percent, number, hours, km, ..., "text" for data, "label"
        for a key that has a name in both languages.
    limit
        Rows shown; a line below says how many more there are.

    Returns
    -------
    Shown
        An HTML table, or a word where there are no rows; every text from data is escaped.

    Examples
    --------
    >>> rows = pd.DataFrame({"name": ["<b>Łódź</b>"], "share": [0.5]})
    >>> print(table(rows, Words("en", "PLN"), {"name": "text", "share": "percent"})[:23])
    <table class="terrlib">
    """
    if rows.empty:
        return Shown(f"<p class='more'>{escape(words.say('table.none'))}</p>")
    head = "".join(
        f'<th class="{_side(kind)}">{escape(words.label(column))}</th>'
        for column, kind in kinds.items()
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_side(kind)}">{_cell(value, kind, words)}</td>'
            for value, kind in zip(row, kinds.values(), strict=True)
        )
        + "</tr>"
        for row in rows[list(kinds)].head(limit).itertuples(index=False)
    )
    more = len(rows) - limit
    foot = f"<p class='more'>{escape(words.say('table.more', n=more))}</p>" if more > 0 else ""
    return Shown(
        f'<table class="terrlib"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}'
    )


def text_table(rows: pd.DataFrame, words: Words, kinds: Mapping[str, str]) -> str:
    """Write a table for a terminal: columns aligned, two blanks between them.

    Examples
    --------
    >>> rows = pd.DataFrame({"name": ["Łódź", "Ur"], "share": [0.5, 0.25]})
    >>> print(text_table(rows, Words("en", "PLN"), {"name": "text", "share": "percent"}))
    name  share
    Łódź    50%
    Ur      25%
    """
    cells = [[words.label(column) for column in kinds]]
    for row in rows[list(kinds)].itertuples(index=False):
        cells.append(
            [unescape(_cell(v, kind, words)) for v, kind in zip(row, kinds.values(), strict=True)]
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(kinds))]
    lines = (
        "  ".join(
            cell.rjust(width) if _side(kind) == "n" else cell.ljust(width)
            for cell, width, kind in zip(line, widths, kinds.values(), strict=True)
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def _side(kind: str) -> str:
    return "n" if kind in NUMERIC else "t"


def _cell(value: Any, kind: str, words: Words) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if kind == "text":
        return escape(str(value)) or "–"
    if kind == "label":
        return escape(words.label(str(value))) if str(value) else "–"
    return escape(words.write(value, kind))
