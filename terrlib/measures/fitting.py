"""Response curves from history: what spending brought, area by area and month by month."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]
FEWEST_ROWS, FEWEST_LEADS, FEWEST_CV = 24, 200, 0.3
HELD_OUT = 0.25  # of the months, the last ones
MONTHS = 12
BOUNDS = [
    (-9.0, 3.0),
    (-4.0, 4.0),
    (-6.0, 2.2),
]  # base, rate at mean spending, carry-over (log, logit)
START = (-5.0, 0.0, -1.0)
# Weak beliefs about rate and carry-over, as one standard normal each: money was spent neither far
# below saturation nor far above it, and a quarter of its effect carries over. A short history that
# cannot tell a straight line from a curve would else promise leads without end.
CENTRE, PRECISION = np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 1.0])
TRIES = 40
AT_BOUND = 1e-3
NUDGE = 1e-4
FLOOR = 0.01  # of the mean leads: what a model expects at the least, so that it is never infinitely wrong
SPREAD = 1.5  # variance over mean above which counts are taken as negative binomial
TAIL = 1.2816  # standard errors of an interval of 8 in 10


@dataclass(frozen=True)
class Fit:
    """What a channel's history tells.

    Attributes
    ----------
    why
        "" where the curve may be used; else few_months, few_leads, steady or no_better.
    rows, leads, cv
        Area-months, leads, and variation of spending per account (standard deviation over mean).
    top
        Leads of an account in a month with spending without limit, of an average area.
    rate
        1 / money: rate of saturation by money steadily spent on an account in a month.
    carry
        Share of a month's effect that carries over to the next.
    area
        Area -> its leads relative to the average, shrunk by how little it tells.
    spread
        (2, 2) covariance of the logarithms of top and rate.
    deviance, constant
        Deviance of the months held out, of this curve and of one cost per lead.
    """

    why: str
    rows: int = 0
    leads: float = 0.0
    cv: float = 0.0
    top: float = 0.0
    rate: float = 0.0
    carry: float = 0.0
    area: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    spread: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    deviance: float = float("nan")
    constant: float = float("nan")


@dataclass(frozen=True)
class _Rows:
    """Months of areas as arrays; adstock needs each area's months in their order."""

    area: NDArray[np.int64]
    season: NDArray[np.int64]
    month: NDArray[np.int64]
    money: Floats  # (areas, months) spent per account
    size: Floats
    leads: Floats

    @property
    def spent(self) -> Floats:
        return np.asarray(self.money[self.area, self.month] * self.size)

    def part(self, here: NDArray[np.bool_]) -> _Rows:
        return _Rows(
            self.area[here],
            self.season[here],
            self.month[here],
            self.money,
            self.size[here],
            self.leads[here],
        )


def fit(history: pd.DataFrame) -> Fit:
    """Fit the response of one channel.

    Leads of an area and month are Poisson, or negative binomial where they vary more, with mean
    size exp(area + season) (base + 1 - exp(-rate adstock)): effects of areas and of calendar months
    (a month still to come has none of its own), and spending per account that carries over. Areas
    are shrunk to their average (gamma-Poisson, empirical Bayes). Rate and carry-over have weak
    normal priors on the log and logit scale, centred where spending was.

    Parameters
    ----------
    history
        month (any day of it), area, size (accounts that can be reached), spend (money), leads. One
        row for an area and month; a month without a row had no spending that is known.

    Returns
    -------
    Fit
        Usable only with 24 area-months or more, 200 leads or more, spending that varies (CV above
        0.3), and last months that it foretells better than a constant cost per lead does.

    Examples
    --------
    >>> fit(pd.DataFrame({"month": [], "area": [], "size": [], "spend": [], "leads": []})).why
    'few_months'
    """
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    # Matrices this small are slower on many threads, and their sums then depend on how many there are.
    with threadpool_limits(1):
        return _fit(history)


def _fit(history: pd.DataFrame) -> Fit:
    table = history[history["size"] > 0].sort_values(["area", "month"], kind="stable")
    intensity = table["spend"] / table["size"]
    rows, total = len(table), float(table["leads"].sum())
    cv = float(intensity.std(ddof=0) / intensity.mean()) if rows and intensity.mean() > 0 else 0.0
    bare = Fit("", rows, total, cv)
    if rows < FEWEST_ROWS:
        return replace(bare, why="few_months")
    if total < FEWEST_LEADS:
        return replace(bare, why="few_leads")
    if cv <= FEWEST_CV:
        return replace(bare, why="steady")
    data, names = _arrays(table)
    months = np.unique(data.month)
    cut = months[len(months) - max(1, int(np.ceil(HELD_OUT * len(months))))]
    past, later = data.part(data.month < cut), data.part(data.month >= cut)
    deviance = constant = float("nan")
    if past.leads.sum() > 0 and past.money.sum() > 0:
        seen = _Model(past)
        deviance = _deviance(later.leads, seen.expect(later))
        price = past.leads.sum() / max(float(past.spent.sum()), 1e-12)
        constant = _deviance(later.leads, price * later.spent)
    if not deviance < constant:
        return replace(bare, why="no_better", deviance=deviance, constant=constant)
    model = _Model(data)
    top, rate, spread = model.curve()
    return replace(
        bare,
        top=top,
        rate=rate,
        carry=model.carry,
        area=pd.Series(model.area, index=names),
        spread=spread,
        deviance=deviance,
        constant=constant,
    )


def _arrays(table: pd.DataFrame) -> tuple[_Rows, pd.Index]:
    area, names = pd.factorize(table["area"], sort=True)
    when = pd.to_datetime(table["month"]).dt.to_period("M")
    month = (when.dt.year * MONTHS + when.dt.month - 1).to_numpy(np.int64)
    season = month % MONTHS
    month = month - month.min()
    money = np.zeros((len(names), int(month.max()) + 1))
    size, leads = table["size"].to_numpy(float), table["leads"].to_numpy(float)
    np.add.at(money, (area, month), table["spend"].to_numpy(float) / size)
    return _Rows(area.astype(np.int64), season, month, money, size, leads), pd.Index(names)


def _adstock(money: Floats, carry: float) -> Floats:
    """Spending with what carries over; before the history there was as much as on average."""
    out, before = np.empty_like(money), money.mean(axis=1) / (1 - carry)
    for m in range(money.shape[1]):
        before = money[:, m] + carry * before
        out[:, m] = before
    return out


def _deviance(seen: Floats, expected: Floats) -> float:
    """Poisson deviance, 2 sum(y log(y / mu) - (y - mu))."""
    mu = np.maximum(expected, FLOOR * max(float(seen.mean()), 1e-12))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(seen > 0, seen * np.log(seen / mu), 0.0)
    return float(2 * (part - (seen - mu)).sum())


class _Model:
    """The fitted model: the curve by a search, the effects by a generalised linear model within it."""

    last: Any = None  # the generalised linear model as fitted last

    def __init__(self, rows: _Rows) -> None:
        import statsmodels.api as sm  # slow to import

        self.rows, self.sm = rows, sm
        self.unit = 1 / max(float(rows.money.mean()), 1e-12)
        told = np.bincount(rows.area, rows.leads, len(rows.money)) > 0
        self.use = told[rows.area]  # an area without a lead says nothing of the curve
        r = rows.part(self.use)
        areas, seasons = np.unique(r.area), np.unique(r.season)
        self.seasons = seasons
        self.design = np.hstack(
            [(r.area[:, None] == areas) * 1.0, (r.season[:, None] == seasons[1:]) * 1.0]
        )
        self.n_areas = len(areas)
        self.alpha = 0.0
        self.theta = self._search(START)
        if self._dispersion() > SPREAD:
            mu = self.last.mu
            over = ((r.leads - mu) ** 2 - mu).sum() / (mu**2).sum()
            self.alpha = max(float(over), 1e-6)
            self.theta = self._search(tuple(self.theta))
        self._settle()

    def _family(self) -> object:
        families = self.sm.families
        return families.NegativeBinomial(alpha=self.alpha) if self.alpha else families.Poisson()

    def _offset(self, theta: Floats, rows: _Rows) -> Floats:
        """Logarithm of base + 1 - exp(-rate adstock)."""
        carry = float(expit(theta[2]))
        stock = _adstock(rows.money, carry)[rows.area, rows.month] * (1 - carry)
        return np.log(np.exp(theta[0]) - np.expm1(-np.exp(theta[1]) * self.unit * stock))

    def _bend(self, theta: Floats, rows: _Rows) -> Floats:
        """(n, 3) derivative of the offset."""
        ends = [(theta + s * NUDGE * e) for e in np.eye(3) for s in (1.0, -1.0)]
        up, down = (
            np.stack([self._offset(t, rows) for t in ends[side::2]], axis=1) for side in (0, 1)
        )
        return (up - down) / (2 * NUDGE)

    def _search(self, start: tuple[float, ...]) -> Floats:
        r = self.rows.part(self.use)
        scale = np.log(r.size)

        def loss(theta: Floats) -> tuple[float, Floats]:
            offset = self._offset(theta, r) + scale
            model = self.sm.GLM(
                r.leads, self.design, family=self._family(), offset=offset, hasconst=False
            )
            # The effects of the last try are near those of this one.
            before = None if self.last is None else self.last.params
            self.last = model.fit(start_params=before, wls_method="qr", tol=1e-8)
            mu = self.last.mu
            # At the best effects they add nothing to the derivative by the curve.
            pull = (r.leads - mu) / (1 + self.alpha * mu)
            away = PRECISION * (theta - CENTRE)
            loss = -float(self.last.llf) + float(away @ (theta - CENTRE)) / 2
            return loss, away - self._bend(theta, r).T @ pull

        best = minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=BOUNDS, options={"maxiter": TRIES}
        )
        loss(best.x)
        return np.asarray(best.x)

    def _dispersion(self) -> float:
        free = max(len(self.last.mu) - self.design.shape[1] - len(BOUNDS), 1)
        mu = self.last.mu
        seen = self.rows.part(self.use).leads
        return float(((seen - mu) ** 2 / (mu * (1 + self.alpha * mu))).sum() / free)

    def _settle(self) -> None:
        """Average area, its seasons with mean 1, and how each area differs, shrunk."""
        rows, coef = self.rows, np.asarray(self.last.params)
        season = np.concatenate([[0.0], coef[self.n_areas :]])
        level = np.exp(season)
        self.season = np.ones(MONTHS)
        self.season[self.seasons] = level / level.mean()
        shape = np.exp(self._offset(self.theta, rows)) * rows.size * self.season[rows.season]
        self.level = float(rows.leads.sum() / shape.sum())
        n = len(rows.money)
        seen = np.bincount(rows.area, rows.leads, n)
        due = np.bincount(rows.area, shape * self.level, n)
        noise = max(1.0, self._dispersion())
        between = max(
            float((((seen - due) ** 2) - noise * due).sum() / max((due**2).sum(), 1e-12)), 0.0
        )
        self.area = (
            (seen / noise + 1 / between) / (due / noise + 1 / between) if between else np.ones(n)
        )
        self.noise = noise
        self.carry = float(expit(self.theta[2]))

    def expect(self, rows: _Rows) -> Floats:
        """Leads expected of other months of the same areas."""
        shape = np.exp(self._offset(self.theta, rows)) * rows.size * self.season[rows.season]
        return np.asarray(self.level * self.area[rows.area] * shape)

    def curve(self) -> tuple[float, float, Floats]:
        """Leads of an account and month at the most, rate of saturation, covariance of their logs."""
        r, theta = self.rows.part(self.use), self.theta
        mu = self.last.mu
        jacobian = np.hstack([self.design, self._bend(theta, r)])
        weight = mu / (1 + self.alpha * mu)
        # A parameter at its bound is taken as known.
        at_bound = [
            min(abs(t - low), abs(high - t)) < AT_BOUND
            for t, (low, high) in zip(theta, BOUNDS, strict=True)
        ]
        free = np.concatenate([np.ones(self.design.shape[1], bool), ~np.array(at_bound)])
        information = (jacobian[:, free] * weight[:, None]).T @ jacobian[:, free]
        known = np.concatenate([np.zeros(self.design.shape[1]), PRECISION])[free]
        information = information / self._dispersion() + np.diag(known)
        full = np.zeros((len(free), len(free)))
        full[np.ix_(free, free)] = np.linalg.pinv(information)
        pick = np.zeros((2, len(free)))
        pick[0, : self.n_areas] = 1 / self.n_areas
        pick[1, len(free) - 2] = 1.0
        rate = float(np.exp(theta[1]) * self.unit)
        return self.level, rate, np.asarray(pick @ full @ pick.T)
