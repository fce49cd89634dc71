"""When each new area is opened, and what has to be done by when."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from terrlib.errors import DataError
from terrlib.inputs.settings import Settings

Floats = NDArray[np.float64]
KEYS = ["territory", "area_id"]
LAUNCHED = "attack"
NODES = 20_000
GAP = 1e-6
YEAR_Q = 4


class Task(NamedTuple):
    """A task of opening an area: days from the start of its quarter, who does it, what it waits for."""

    key: str
    first_d: int
    last_d: int
    owner: str
    after: tuple[str, ...] = ()


# Days are assumptions from practice; a task waits for those it depends on, however late they end.
TASKS = (
    Task("data_cleanup", -45, -31, "analyst"),
    Task("rep_named", -30, -30, "manager"),
    Task("handover", -30, 60, "rep", ("rep_named",)),
    Task("mailing", -14, -14, "marketing", ("data_cleanup",)),
    Task("first_visits", 0, 45, "rep", ("rep_named", "mailing")),
    Task("event", 60, 60, "marketing", ("first_visits",)),
    Task("review", 90, 90, "manager", ("event", "handover")),
)


def waves(
    areas: pd.DataFrame,
    quarters: int,
    settings: Settings,
    vacant: frozenset[str] = frozenset(),
    budget: Floats | None = None,
) -> pd.Series:
    """Choose the quarter in which each area is opened.

    Maximise the contribution of the horizon, each quarter discounted, where at most so many areas
    open in a quarter, an area of a vacant territory waits for a hire, and what has been spent by the
    end of a quarter is at most what was given by then.

    Parameters
    ----------
    areas
        territory, area_id, value (contribution a year once open), cost (of the horizon, spent
        evenly from its start on): currency.
    quarters
        Length of the horizon.
    settings
        `timeline`: max_launches, hires_per_quarter, discount_quarter.
    vacant
        Territories without a rep.
    budget
        (quarters,) currency given in each quarter; without limit where not given.

    Returns
    -------
    Series, (territory, area_id) -> quarter from 0
        `quarters` where the area is not opened within the horizon.

    Notes
    -----
    Mixed-integer program with a variable for each area and quarter and one for each hire, solved by
    HiGHS to a gap of a millionth, at most 20,000 nodes.

    Examples
    --------
    One area a quarter: the better one first.

    >>> areas = pd.DataFrame({"territory": "T1", "area_id": ["x", "y"], "value": [4.0, 8.0],
    ...     "cost": 0.0})
    >>> waves(areas, 2, Settings(timeline={"max_launches": 1})).tolist()
    [1, 0]
    """
    rows = areas.sort_values(KEYS).reset_index(drop=True)
    index = pd.MultiIndex.from_frame(rows[KEYS])
    n, q = len(rows), quarters
    if not n:
        return pd.Series(dtype=int, index=index)
    t = settings.timeline
    discount = (1 - t.discount_quarter) ** np.arange(q)
    worth = discount[::-1].cumsum()[::-1]
    gain = rows["value"].to_numpy(float)[:, None] / YEAR_Q * worth[None]
    names = sorted(set(rows["territory"]) & vacant)
    hire = {name: n * q + i * q for i, name in enumerate(names)}
    size = n * q + len(names) * q
    limits: list[tuple[sparse.csr_array, Floats]] = []

    def at_most(triples: list[tuple[int, int, float]], bound: Floats) -> None:
        r, c, v = zip(*triples, strict=True)
        limits.append((sparse.csr_array((v, (r, c)), shape=(len(bound), size)), bound))

    at_most([(a, a * q + k, 1.0) for a in range(n) for k in range(q)], np.ones(n))
    at_most([(k, a * q + k, 1.0) for a in range(n) for k in range(q)], np.full(q, t.max_launches))
    if names:
        at_most([(i, hire[m] + k, 1.0) for i, m in enumerate(names) for k in range(q)],
                np.ones(len(names)))  # fmt: skip
        at_most([(k, hire[m] + k, 1.0) for m in names for k in range(q)],
                np.full(q, float(t.hires_per_quarter)))  # fmt: skip
        triples, row = [], 0
        for a, name in enumerate(rows["territory"]):
            if name not in hire:
                continue
            for k in range(q):
                triples.append((row, a * q + k, 1.0))
                triples += [(row, hire[name] + j, -1.0) for j in range(k + 1)]
                row += 1
        at_most(triples, np.zeros(row))
    if budget is not None:
        cost = rows["cost"].to_numpy(float)
        at_most(
            [
                (k, a * q + s, cost[a] * (k - s + 1) / (q - s))
                for a in range(n)
                for k in range(q)
                for s in range(k + 1)
            ],
            np.asarray(budget, float).cumsum(),
        )
    matrix = sparse.vstack([m for m, _ in limits], format="csr")
    upper = np.concatenate([b for _, b in limits])
    found = milp(
        -np.concatenate([gain.ravel(), np.zeros(size - n * q)]),
        integrality=np.ones(size),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, upper),
        options={"node_limit": NODES, "mip_rel_gap": GAP},
    )
    start = np.full(n, q)
    if found.x is not None:
        chosen = np.round(found.x[: n * q]).reshape(n, q)
        # An area that would lose money is opened in no quarter, even where that costs nothing.
        chosen[gain.max(axis=1) <= 0] = 0
        opened = chosen.any(axis=1)
        start[opened] = chosen[opened].argmax(axis=1)
    return pd.Series(start, index=index, dtype=int, name="start")


def into_reach(reached: pd.DataFrame, start: pd.Series, quarters: list[str]) -> pd.DataFrame:
    """Put the quarter in which areas are opened into the reach plan.

    Parameters
    ----------
    reached
        `plan/reach`: territory, area_id, wave, start, ...
    start
        (territory, area_id) -> quarter from 0 of the areas that are opened.
    quarters
        Names of the horizon and of the quarter after it, which stands for "later".
    """
    if not len(start) or not len(reached):
        return reached
    key = pd.MultiIndex.from_frame(reached[KEYS])
    at = start.reindex(key).to_numpy(float)
    out, known = reached.copy(), ~np.isnan(at)
    out.loc[known, "wave"] = at[known].astype(int) + 1
    if quarters[0][:4].isdigit():
        begins = pd.to_datetime([pd.Period(q, freq="Q").start_time for q in quarters])
        out.loc[known, "start"] = begins[at[known].astype(int)]
    return out


def gantt(
    start: pd.Series,
    quarters: list[str],
    country: str,
    as_of: pd.Timestamp | None = None,
    tasks: tuple[Task, ...] = TASKS,
) -> pd.DataFrame:
    """Date every task of every area that is opened, on working days.

    Parameters
    ----------
    start
        (territory, area_id) -> quarter from 0, as `waves`.
    quarters
        Names; without dates there is no calendar and the table is empty.
    country
        ISO code, for public holidays.
    as_of
        Nothing begins on this day or before it.
    tasks
        Template.

    Returns
    -------
    DataFrame
        territory, area_id, wave (from 1), task, start, end (working days, end >= start), owner,
        depends_on (keys, separated by a bar)

    Raises
    ------
    DataError
        If tasks wait for one another in a circle, or for one that is not there.

    Examples
    --------
    >>> start = pd.Series([0], index=pd.MultiIndex.from_tuples([("T1", "x")], names=KEYS))
    >>> plan = gantt(start, ["2027Q1"], "PL").set_index("task")
    >>> plan.loc["first_visits", ["start", "end"]].dt.strftime("%Y-%m-%d").tolist()
    ['2027-01-04', '2027-02-18']
    """
    columns = [*KEYS, "wave", "task", "start", "end", "owner", "depends_on"]
    order = in_order(tasks)
    opened = start[start < len(quarters)] if len(start) else start
    if not len(opened) or not quarters[0][:4].isdigit():
        return pd.DataFrame(columns=columns)
    days = working_days(quarters, country)
    by_key = {task.key: task for task in tasks}
    first = None if as_of is None else as_of + pd.Timedelta(days=1)
    rows = []
    for wave in sorted(set(opened)):
        begin = pd.Period(quarters[wave], freq="Q").start_time
        dated: dict[str, tuple[pd.Timestamp, pd.Timestamp]] = {}
        for key in order:
            task = by_key[key]
            day = begin + pd.Timedelta(days=task.first_d)
            earliest = [dated[other][1] for other in task.after] + ([first] if first else [])
            day = _working(days, max([day, *earliest]))
            last = day + pd.Timedelta(days=task.last_d - task.first_d)
            dated[key] = (day, _working(days, last))
        rows += [
            (*area, wave + 1, task.key, *dated[task.key], task.owner, "|".join(task.after))
            for area in opened.index[opened == wave]
            for task in tasks
        ]
    return pd.DataFrame(rows, columns=columns)


def in_order(tasks: tuple[Task, ...]) -> list[str]:
    """Order tasks so that none comes before one it waits for.

    Raises
    ------
    DataError
        If they wait for one another in a circle, or for one that is not there.

    Examples
    --------
    >>> in_order((Task("b", 0, 0, "", ("a",)), Task("a", 0, 0, "")))
    ['a', 'b']
    """
    keys = {task.key for task in tasks}
    for task in tasks:
        missing = [other for other in task.after if other not in keys]
        if missing or task.last_d < task.first_d:
            if missing:
                raise DataError("refusal.task_waits_for_none", task=task.key, other=missing[0])
            raise DataError("refusal.task_ends_early", task=task.key)
    try:
        return list(TopologicalSorter({task.key: task.after for task in tasks}).static_order())
    except CycleError as error:
        circle = " -> ".join(str(key) for key in error.args[1])
        raise DataError("refusal.task_circle", circle=circle) from None


def working_days(quarters: list[str], country: str) -> pd.DatetimeIndex:
    """Working days around quarters: no weekends, no public holidays of the country."""
    first = pd.Period(quarters[0], freq="Q").start_time - pd.DateOffset(years=1)
    last = pd.Period(quarters[-1], freq="Q").end_time + pd.DateOffset(years=2)
    try:
        free = holidays.country_holidays(country, years=range(first.year, last.year + 1))
    except NotImplementedError:
        free = holidays.HolidayBase()
    days = pd.bdate_range(first.normalize(), last.normalize())
    return days[~days.isin(pd.to_datetime(list(free)))]


def _working(days: pd.DatetimeIndex, day: pd.Timestamp) -> pd.Timestamp:
    """The day itself, or the next one worked."""
    return days[min(int(days.searchsorted(day)), len(days) - 1)]
