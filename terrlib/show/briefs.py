"""What the tables of customers say, as names and paragraphs in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from terrlib.decisions.segments import FEWEST, REST, Segments
from terrlib.show.words import Sentence, Words, joined

CLEAR = 1.0
TRAITS = 2
CLASS = 2  # place of the ABC class in a rule: industry/size/class
# Sentence -> columns that it says; without one of them it is not said.
PARAGRAPH = {
    "who": ("n_customers", "n_prospects"),
    "revenue": ("revenue",),
    "growth_more": ("growth_more",),
    "growth_less": ("growth_less",),
    "abc": ("abc_a_share",),
    "elsewhere": ("elsewhere",),
    "space": ("potential", "white_space"),
    "industries": ("top3_industries",),
    "win": ("p_win", "p_win_low", "p_win_high"),
    "cycle": ("cycle_m",),
    "needs": ("top_needs",),
    "lost": ("top_lost_reasons",),
    "consent": ("consent_email_rate", "consent_phone_rate"),
    "partner": ("distributor_coverage",),
}


def segment_name(words: Words, segment: str, row: Mapping[Any, Any] | pd.Series) -> str:
    """Say what a segment is: by what sets it apart, or by its rule.

    Parameters
    ----------
    words
        Language of the reader.
    segment
        Its label, which stays what it is in every language.
    row
        Its row of `Segments.profile`: drivers, top_industry.

    Returns
    -------
    str
        Label and name. Named are two differences to the others of at least one standard deviation:
        revenue first, then the greatest, employees last, for a large buyer says as much. The
        industry is the most common one.

    Examples
    --------
    >>> row = {"drivers": "revenue:+2.1|frequency:+1.4|growth:-0.1", "top_industry": "hotele"}
    >>> segment_name(Words("en", "PLN"), "S1", row)
    'S1: large, frequent buyers (hotele)'
    >>> segment_name(Words("pl", "PLN"), "S1", row)
    'S1: duzi, częsti klienci (hotele)'
    >>> segment_name(Words("en", "PLN"), "hotele/small/*", {"drivers": "", "top_industry": "hotele"})
    'hotele, small (10 to 49)'
    """
    if not re.fullmatch(r"S[0-9]+", segment):
        parts = [
            words.say("briefs.class", name=part) if place == CLASS else words.label(part)
            for place, part in enumerate(segment.split("/"))
            if part not in (REST, "")
        ]
        return ", ".join(parts) or words.say("briefs.the_rest")
    apart = [driver.split(":") for driver in str(row["drivers"]).split("|") if driver]
    clear = [(feature, float(by)) for feature, by in apart if abs(float(by)) >= CLEAR]
    clear.sort(key=lambda pair: {"revenue": 0, "employees": 2}.get(pair[0], 1))
    traits = [words.say(f"trait.{name}_{'more' if by > 0 else 'less'}") for name, by in clear]
    key = "briefs.segment" if traits else "briefs.segment_plain"
    said = words.say(key, segment=segment, traits=", ".join(traits[:TRAITS]))
    industry = str(row["top_industry"])
    return f"{said} ({industry})" if industry else str(said)


def segment_statement(words: Words, found: Segments) -> Sentence:
    """Say how the segments were made, and whether a second method agrees."""
    rows = found.profile
    if found.mode == "clusters":
        best = found.selection[found.selection["chosen"]].iloc[0]
        said = words.say(
            "briefs.clusters", n=len(rows), z=best["z"], stable=float(best["min_jaccard"])
        )
    elif found.selection.empty:
        said = words.say("briefs.few", least=FEWEST)
        if len(rows) > 1:
            said = joined(said, words.say("briefs.grouped", n=len(rows)))
    elif len(rows) == 1:
        said = words.say("briefs.one")
    else:
        said = words.say("briefs.rules", n=len(rows), smallest=int(rows["n"].min()))
    return joined(said, "" if found.bic_agrees else words.say(f"briefs.bic_{found.mode}"))


def area_paragraph(words: Words, name: str, row: Mapping[Any, Any] | pd.Series) -> Sentence:
    """Describe the customer base of a territory in a paragraph; what is not known is not said.

    Parameters
    ----------
    words
        Language and currency.
    name
        What the territory or area is called.
    row
        Its row of `measures.profile.area_profile`: every number said is one of its values.

    Examples
    --------
    >>> row = {"n_customers": 2, "n_prospects": 1, "revenue": 0.0, "potential": 0.0}
    >>> area_paragraph(Words("en", "PLN"), "T01", row)
    '**T01** has 2 customers and 1 prospect. Nothing is known of what they buy.'
    """
    told = _told(row)
    said = [
        words.say(f"profile.{key}", name=name, **{column: told[column] for column in columns})
        for key, columns in PARAGRAPH.items()
        if all(column in told for column in columns)
    ]
    if "revenue" not in told and "potential" not in told:
        said.append(words.say("profile.nothing"))
    if "consent_email_rate" in row and "consent_email_rate" not in told:
        said.append(words.say("profile.consents_unknown"))
    return joined(*said)


def _told(row: Mapping[Any, Any] | pd.Series) -> dict[str, Any]:
    """Keep what is known and worth a sentence, under the names that the sentences use."""
    told = {str(key): value for key, value in dict(row).items() if _known(value)}
    growth = told.pop("growth_rate", 0.0)
    if growth:
        told["growth_more" if growth > 0 else "growth_less"] = abs(growth)
    for column in ("revenue", "elsewhere", "potential", "white_space", "distributor_coverage"):
        if not told.get(column, 0.0) > 0:
            told.pop(column, None)
    for column in ("top3_industries", "top_lost_reasons"):
        if column in told:
            told[column] = _listed(told[column])
    if "top_needs" in told:
        told["top_needs"] = told["top_needs"].replace("|", ", ")
    return told


def _known(value: Any) -> bool:
    return value != "" and not pd.isna(value)


def _listed(counts: str) -> str:
    """Write "inns 12|bakers 8" as "inns (12), bakers (8)"."""
    parts = [part.rpartition(" ") for part in counts.split("|")]
    return ", ".join(f"{name} ({n})" for name, _, n in parts)
