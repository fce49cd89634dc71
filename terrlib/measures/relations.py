"""What is lost when an account gets another rep."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terrlib.inputs.market import VACANT, Market
from terrlib.inputs.settings import Settings
from terrlib.measures.winning import DAYS_PER_MONTH

UNKNOWN = 0.5  # similarity of reps of whom nothing is known


def owners(market: Market) -> pd.Series:
    """account_id -> rep who holds it today, "" where nobody is known to."""
    held = market.held("rep_id").reindex(market.accounts.index).fillna("").astype(str)
    return held.where(held != VACANT, "")


def similarity(owner: pd.Series, facts: pd.DataFrame) -> pd.DataFrame:
    """Tell how alike the industries are that reps sell to today: the cosine of their revenues.

    Parameters
    ----------
    owner
        account_id -> rep, "" for nobody.
    facts
        Indexed by account_id: industry, revenue.

    Returns
    -------
    DataFrame, rep x rep
        0 to 1; reps without revenue are not in it.

    Examples
    --------
    >>> facts = pd.DataFrame({"industry": ["inns", "inns", "bakers"], "revenue": [3.0, 1.0, 1.0]})
    >>> similarity(pd.Series(["R1", "R2", "R2"]), facts).round(2).loc["R1", "R2"]
    np.float64(0.71)
    """
    rows = facts.assign(owner=owner, revenue=facts["revenue"].clip(lower=0))
    rows = rows[(rows["owner"] != "") & (rows["revenue"] > 0)]
    sold = rows.pivot_table(index="owner", columns="industry", values="revenue", aggfunc="sum")
    sold = sold.fillna(0.0)
    length = np.linalg.norm(sold.to_numpy(float), axis=1, keepdims=True)
    unit = sold.to_numpy(float) / np.maximum(length, 1e-12)
    return pd.DataFrame(np.clip(unit @ unit.T, 0, 1), sold.index.tolist(), sold.index.tolist())


def new_hires(market: Market, settings: Settings) -> pd.Series:
    """rep_id -> whether the rep was hired within the months of the ramp; not where no day is given."""
    hired = pd.to_datetime(market.reps["hired"])
    if market.as_of is None or hired.empty:
        return pd.Series(index=market.reps.index, data=[False] * len(hired), dtype=bool)
    return (market.as_of - hired).dt.days / DAYS_PER_MONTH < 3 * len(settings.timeline.ramp)


def share_lost(market: Market, facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Share of an account's contribution to expect to be lost when it goes from one rep to another.

    Parameters
    ----------
    market, facts
        Who holds what today; industry and revenue of every account.
    settings
        `staffing.transition_loss`, `similarity_saving`, `handover_factor`, `new_hire_loss`.

    Returns
    -------
    DataFrame, rep today x rep to come, and "" for one who is not known
        0 on the diagonal.

    Notes
    -----
    Shi, Sridhar, Grewal and Lilien (2017, doi:10.1509/jm.14.0477): a departure of a rep costs 13.2
    to 17.6% of yearly sales; what the next one knows of the industry saves part of it, new hires
    lose more. A planned handover should lose less, by the `handover_factor`.
    """
    s = settings.staffing
    owner = owners(market)
    alike = similarity(owner, facts)
    names = [*sorted({*market.reps.index.astype(str), *owner} - {""}), ""]
    alike = alike.reindex(index=names, columns=names).fillna(UNKNOWN)
    fresh = new_hires(market, settings)
    times = np.where(pd.Index(names).isin(fresh.index[fresh]), 1 + s.new_hire_loss, 1.0)
    lost = s.handover_factor * s.transition_loss * (1 - s.similarity_saving * alike) * times
    return lost.mask(np.eye(len(names), dtype=bool), 0.0)
