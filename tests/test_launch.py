"""When areas are opened: against every possibility on tiny cases, and days that are worked."""

from itertools import product

import holidays
import numpy as np
import pandas as pd
import pytest

from terrlib.decisions.launch import KEYS, TASKS, Task, gantt, in_order, waves
from terrlib.errors import DataError
from terrlib.inputs.settings import Settings

QUARTERS = ["2026Q4", "2027Q1", "2027Q2", "2027Q3"]


def areas(values, costs=None, territories=None):
    n = len(values)
    return pd.DataFrame(
        {
            "territory": territories or ["T1"] * n,
            "area_id": [f"x{i}" for i in range(n)],
            "value": np.array(values, float),
            "cost": np.array(costs or [0.0] * n, float),
        }
    )


def settings(**timeline):
    return Settings(timeline=timeline)


def value_of(rows, starts, q, asked, vacant, budget):
    """Contribution of a choice, or None where it breaks a rule: written without the program."""
    t = asked.timeline
    for k in range(q):
        if sum(s == k for s in starts) > t.max_launches:
            return None
        spent = sum(
            r.cost * (k - s + 1) / (q - s)
            for r, s in zip(rows.itertuples(), starts, strict=True)
            if s <= k
        )
        if spent > sum(budget[: k + 1]) + 1e-9:
            return None
    first = {}
    for r, s in zip(rows.itertuples(), starts, strict=True):
        if r.territory in vacant and s < q:
            first[r.territory] = min(first.get(r.territory, q), s)
    # Hires can be made early: by the end of quarter k at most (k + 1) x the limit are needed.
    for k in range(q):
        if sum(v <= k for v in first.values()) > (k + 1) * t.hires_per_quarter:
            return None
    d = 1 - t.discount_quarter
    return sum(
        r.value / 4 * sum(d**k for k in range(s, q))
        for r, s in zip(rows.itertuples(), starts, strict=True)
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_choice_is_better(seed):
    rng = np.random.default_rng(seed)
    n, q = 4, 3
    where = [f"T{k}" for k in rng.integers(0, 3, n)]
    rows = areas(rng.integers(-2, 20, n), rng.integers(0, 9, n).tolist(), where)
    vacant = frozenset(t for t in set(where) if rng.random() < 0.5)
    budget = rng.integers(1, 8, q).astype(float)
    asked = settings(
        max_launches=int(rng.integers(1, 3)), hires_per_quarter=int(rng.integers(0, 2))
    )
    found = waves(rows, q, asked, vacant, budget)
    rows = rows.sort_values(KEYS)
    mine = value_of(rows, found.tolist(), q, asked, vacant, budget)
    every = [
        value_of(rows, starts, q, asked, vacant, budget)
        for starts in product(range(q + 1), repeat=n)
    ]
    assert mine is not None
    assert mine == pytest.approx(max(v for v in every if v is not None), abs=1e-6)


def test_what_does_not_fit_waits_and_what_loses_is_never_opened():
    found = waves(areas([5, 4, 3, -1]), 2, settings(max_launches=1))
    assert found.tolist() == [0, 1, 2, 2]
    assert waves(areas([]), 4, Settings()).empty
    assert waves(areas([9.0]), 4, settings(hires_per_quarter=0), frozenset(["T1"])).tolist() == [4]


def test_the_order_of_rows_does_not_count():
    rows = areas([5, 4, 3, 2, 2, 2])
    again = rows.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(waves(rows, 4, Settings()), waves(again, 4, Settings()))


def dated(as_of=None):
    start = pd.Series(
        [0, 1, 4],
        index=pd.MultiIndex.from_tuples([("T1", "a"), ("T1", "b"), ("T2", "c")], names=KEYS),
    )
    return gantt(start, QUARTERS, "PL", as_of)


def test_tasks_fall_on_working_days_and_wait_for_one_another():
    found = dated(pd.Timestamp("2026-09-30"))
    free = holidays.country_holidays("PL", years=range(2025, 2029))
    for column in ("start", "end"):
        assert (found[column].dt.dayofweek < 5).all()
        assert not found[column].dt.date.isin(list(free)).any()
    assert (found["end"] >= found["start"]).all()
    assert (found["start"] > "2026-09-30").all()
    for (_, _), mine in found.groupby(KEYS):
        by = mine.set_index("task")
        for task, row in by.iterrows():
            for other in filter(None, row["depends_on"].split("|")):
                assert by.loc[other, "end"] <= row["start"], (task, other)
    assert set(found["area_id"]) == {"a", "b"}  # c is not opened within the horizon
    assert len(found) == 2 * len(TASKS)


def test_an_undated_plan_has_no_calendar():
    start = pd.Series([0], index=pd.MultiIndex.from_tuples([("T1", "a")], names=KEYS))
    assert gantt(start, ["Q+1", "Q+2"], "PL").empty


def test_a_circle_of_tasks_is_named():
    with pytest.raises(DataError, match="in a circle: "):
        in_order((Task("a", 0, 1, "", ("b",)), Task("b", 0, 1, "", ("a",))))
    with pytest.raises(DataError, match="'a' waits for 'z', which is no task"):
        in_order((Task("a", 0, 1, "", ("z",)),))
