"""Everything at once: three measures, homes, locks and a limit on change, sample and real input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions import territories as drawing
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import Settings, change_settings, load_settings
from terrlib.measures import facts as measuring
from terrlib.steps import fixed, rules_of

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "data" / "sample"
IOWA = HERE.parents[1] / "shared" / "real" / "iowa"
MEASURES = {"workload_h": 0.25, "potential": 0.30, "count": 0.35}
pytestmark = pytest.mark.slow


def measured(market, settings):
    facts = measuring.account_facts(market, settings, pd.Series("", index=market.accounts.index))
    return measuring.unit_measures(facts, market.units.index).sort_index()


def drawn(market, settings: Settings):
    """Draw; every rule is then recomputed from the labels alone."""
    measures, asked, held = measured(market, settings), rules_of(market, settings), fixed(market)
    design = drawing.draw(
        market, measures, asked, settings.territories, settings.seed, held, explain=False
    )
    broken = [
        check
        for check in drawing.checks(market, measures, design.territory, asked, design.share)
        if not check.ok
    ]
    assert not broken
    assert design.bound_km <= design.cost
    assert design.status == "optimal" or design.relaxed or design.gap > 0
    return design


def test_the_sample_with_three_measures_homes_locks_and_a_limit_on_change():
    settings = load_settings(SAMPLE / "settings.yml")
    market = load_market(settings, SAMPLE)
    held = market.assignments.drop_duplicates("account_id").set_index("account_id")["territory"]
    revenue = market.accounts["revenue"].clip(lower=0).reindex(held.index).sum()
    settings = change_settings(
        settings,
        {
            "territories.balance": MEASURES,
            "territories.centres": "homes",
            "territories.change.max_revenue": round(0.35 * float(revenue)),
        },
    )
    design = drawn(market, settings)
    assert design.territory.nunique() == 16
    assert design.moved_revenue <= 0.35 * revenue + 1
    assert len(fixed(market)) == 2
    rules = rules_of(market, settings)
    assert len(rules.balance) == 3
    assert rules.protected


@pytest.mark.skipif(not IOWA.is_dir(), reason=f"the real files are not at {IOWA}")
def test_iowa_with_three_measures_eight_homes_locks_and_a_limit_on_change():
    settings = load_settings(HERE / "real" / "iowa.yml")
    market = load_market(settings, IOWA)
    today = drawn(market, settings)
    accounts = market.accounts
    place = accounts["unit_id"].map(today.territory)
    names = sorted(place.unique())
    # Homes: the largest store of every territory that is drawn first; locks: two stores stay.
    first = accounts.assign(territory=place, size=accounts["potential"].fillna(0))
    homes = first.sort_values(["territory", "size"]).groupby("territory").tail(1)
    reps = pd.DataFrame(
        {
            "name": names,
            "home_lat": homes["lat"].to_numpy(),
            "home_lon": homes["lon"].to_numpy(),
            "role": "field",
            "fte": 1.0,
            "seniority": "mid",
            "skills": "",
            "cost_year": np.nan,
        },
        index=pd.Index([f"R{i}" for i in range(8)], name="rep_id"),
    )
    assigned = pd.DataFrame(
        {
            "account_id": accounts.index,
            "territory": place.to_numpy(),
            "rep_id": place.map(dict(zip(names, reps.index, strict=True))).to_numpy(),
        }
    )
    units = today.territory.index[[10, 500]]
    locks = pd.DataFrame(
        {
            "unit_id": units,
            "territory": today.territory[units].to_numpy(),
            "reason": "",
            "who": "",
            "date": "",
        }
    )
    given = market.given | {"reps", "assignments", "overrides"}
    market = type(market)(
        **{
            **vars(market),
            "reps": reps,
            "assignments": assigned,
            "overrides": locks,
            "given": given,
        }
    )
    settings = change_settings(
        settings,
        {
            "territories.balance": {"potential": 0.05, "workload_h": 0.20, "count": 0.30},
            "territories.centres": "homes",
            "territories.change.max_accounts": 900,
        },
    )
    design = drawn(market, settings)
    assert design.territory.nunique() == 8
    assert design.moved_accounts <= 900
    assert set(design.centre.index) == set(names)
