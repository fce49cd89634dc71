"""Past forecasts made again: a world of seasons, where last year wins, and one of long cycles."""

import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.backtest import (
    as_known,
    backtest,
    headline,
    inflow,
    stage_scores,
    won_by_quarter,
)
from terrlib.decisions.timeline import forecast_of
from terrlib.inputs.settings import Settings
from tests.test_timeline import QUARTERS, deal
from tests.test_winning import with_stages
from tests.worlds import line_market


def seasons(years=(2022, 2023, 2024, 2025)):
    """Nine of ten sales come in the last quarter, every year the same, closed on the day."""
    rows = []
    for year in years:
        for quarter in (1, 2, 3, 4):
            day = f"{year}-{3 * quarter:02d}-10"
            for i in range(27 if quarter == 4 else 1):
                rows.append(deal(f"{year}{quarter}{i}", day, day, True, 100.0))
    return line_market([1.0], opportunities=rows, as_of="2025-12-31", quarter="2026Q1")


def growing(seed=2, n=900):
    """Deals begin twice as often from year to year and take nine months: the pipeline tells."""
    rng = np.random.default_rng(seed)
    born = pd.Timestamp("2022-01-01") + pd.to_timedelta(np.sort(1460 * rng.random(n) ** 0.5), "D")
    rows = []
    for i, day in enumerate(born):
        end = day + pd.Timedelta(days=float(rng.gamma(9, 30)))
        known = end <= pd.Timestamp("2025-12-31")
        rows.append(
            deal(i, day.normalize(), end.normalize() if known else None,
                 bool(known and rng.random() < 0.3), float(rng.gamma(2, 50)))
        )  # fmt: skip
    return line_market([1.0], opportunities=rows, as_of="2025-12-31", quarter="2026Q1")


def test_last_year_wins_where_only_seasons_count_and_the_headline_follows():
    market = seasons()
    found = backtest(market, Settings())
    assert found.best == "last_year" and found.origins == 8
    assert found.scores.loc["last_year", "wape"] == 0
    assert found.scores.loc["ours", "wape"] > 0.1
    said = headline(market, found, QUARTERS, Settings())
    assert said is not None and said["mean"] == said["p10"] == said["p90"] == 3000


def test_ours_wins_where_the_pipeline_tells_and_the_headline_stays():
    market = growing()
    found = backtest(market, Settings())
    assert found.best == "ours" and found.widen >= 1
    assert found.scores.loc["ours", "wape"] < 0.8 * found.scores["wape"].drop("ours").min()
    assert headline(market, found, QUARTERS, Settings()) is None
    assert (found.scores["n"] == found.scores["n"].iloc[0]).all()
    s = found.scores.loc["ours"]
    assert s["coverage_low"] <= s["coverage"] <= s["coverage_high"]


def test_stages_that_tell_make_past_chances_better_and_others_no_worse():
    told, noise = (stage_scores(with_stages(noise=n), Settings()) for n in (False, True))
    assert told["by_stage"] < 0.85 * told["by_age"] and told["n"] > 100
    assert noise["by_stage"] < 1.02 * noise["by_age"]
    assert stage_scores(seasons(), Settings()) == {}


def test_an_origin_knows_nothing_of_what_came_later():
    market = growing()
    then = as_known(market, pd.Timestamp("2024-12-31"))
    day = market.opportunities["created_date"]
    later = market.opportunities[day > "2024-12-31"]
    changed = line_market(
        [1.0],
        opportunities=[
            {"opp_id": i, **r} for i, r in market.opportunities[day <= "2024-12-31"].iterrows()
        ],
        as_of="2024-12-31",
    )
    assert len(later) > 50
    a, b = (inflow(m, QUARTERS, Settings()).mean() for m in (then, changed))
    assert a == pytest.approx(b)


@pytest.mark.parametrize("months", [0, 15])
def test_a_short_record_is_not_tested_and_says_why(months):
    rows = [deal(i, "2025-10-01", "2025-11-01", True) for i in range(months)]
    found = backtest(line_market([1.0], opportunities=rows), Settings())
    assert found.reason == ("short" if months else "no_deals")
    assert found.best == "" and found.widen == 1 and found.rows.empty
    assert headline(line_market([1.0]), found, QUARTERS, Settings()) is None


def test_full_quarters_only():
    assert won_by_quarter(seasons((2025,))).tolist() == [100, 100, 100, 2700]


def test_ranges_learnt_from_a_record_hold_what_the_truth_then_brings():
    """A record of a known truth is learnt from; 200 futures of that truth follow its open deals."""
    born_a_month, p, size = 14, 0.3, 300.0
    within, quarters = [], []
    rng = np.random.default_rng(11)
    for world in range(10):
        begun = rng.integers(0, 36, 36 * born_a_month)
        life, wins = rng.gamma(4, 1.5, len(begun)), rng.random(len(begun)) < p
        amount = rng.gamma(1.5, size / 1.5, len(begun))
        start = pd.Timestamp("2023-10-01")
        rows = []
        for i in range(len(begun)):
            day = start + pd.Timedelta(days=int(begun[i] * 30.4))
            end = day + pd.Timedelta(days=float(life[i] * 30.4))
            known = end <= pd.Timestamp("2026-09-30")
            rows.append(
                deal(i, day, end.normalize() if known else None, bool(known and wins[i]), amount[i])
            )
        market = line_market([1.0], opportunities=rows)
        asked = Settings(timeline={"draws": 2000}, seed=world)
        found = forecast_of(inflow(market, QUARTERS, asked), asked)
        age = 36 - begun
        alive = np.flatnonzero(life > age)
        for _ in range(20):
            shock = np.ones(4)
            level = rng.normal()
            for q in range(4):
                shock[q] = np.exp(0.15 * level - 0.15**2 / 2)
                level = 0.5 * level + np.sqrt(0.75) * rng.normal()
            came = np.zeros(4)
            pool = rng.gamma(4, 1.5, 20_000)
            for i in alive:  # an open deal lives on from its age, and its end is not decided yet
                left = rng.choice(pool[pool > age[i]]) - age[i] if (pool > age[i]).any() else 1.0
                if left < 12 and rng.random() < p:
                    came[int(left // 3)] += amount[i]
            for month in range(12):
                for _ in range(rng.poisson(born_a_month)):
                    left = month + rng.random() + rng.gamma(4, 1.5)
                    if left < 12 and rng.random() < p:
                        came[int(left // 3)] += rng.gamma(1.5, size / 1.5)
            came *= shock
            quarters.extend(
                (came >= found.total["p10"].to_numpy()) & (came <= found.total["p90"].to_numpy())
            )
            within.append(found.year["p10"] <= came.sum() <= found.year["p90"])
    assert len(within) == 200
    assert 0.70 <= np.mean(within) <= 0.90
    assert 0.70 <= np.mean(quarters) <= 0.90
