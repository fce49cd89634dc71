"""What an account could buy, from us or anybody, and what of it we do not sell yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from terrlib.errors import DataError
from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.inputs.values import fold

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
FEWEST_CUSTOMERS = 40
FEWEST_BOOSTED = 100
FEWEST_ALIKE = 5
FEWEST_TOLD = 20
COMMON = 20
SHRINK = 20.0
TENURE_M = 12
FOLDS = 5
CELL_TAU, SEGMENT_TAU = 0.75, 0.5
BOOSTED_REFITS = 0.25  # of the refits; a boosted model takes several times as long
RANGE = (0.1, 0.9)


@dataclass(frozen=True)
class Basis:
    """What the potentials of a run rest on.

    Attributes
    ----------
    kind
        Who spoke for the accounts without a given potential: linear or boosted (a quantile model),
        cell, segment or revenue; given where every potential was given.
    tau
        Quantile of what customers buy that counts as a wallet.
    n
        Customers that taught it: bought, and have been customers for a year where that is known.
    size
        Column that says how large a firm is: employees, annual_turnover or "".
    pinball
        Out-of-fold loss of each quantile model tried, of log revenue; lower is better.
    calibrated
        Whether potentials add up to the market size; else they are only relative: good for ranks
        and shares, not as money.
    factor
        What modelled potentials were multiplied by; 1 where relative.
    told
        Accounts with a given potential that set the ranges of the others; 0 where there were too few.
    above
        Their given potentials over what a model says of them, on average; 1 where there were too few.
    """

    kind: str
    tau: float
    n: int
    size: str = ""
    pinball: Mapping[str, float] = field(default_factory=dict)
    calibrated: bool = False
    factor: float = 1.0
    told: int = 0
    above: float = 1.0


@dataclass(frozen=True)
class Potential:
    """Potential of every account, and what it rests on.

    Attributes
    ----------
    table
        Indexed by account_id, see `account_potential`.
    basis
        Model, quantile, losses, whether calibrated.
    """

    table: pd.DataFrame
    basis: Basis


@dataclass(frozen=True)
class _Estimate:
    """Wallets by one way of estimating; NaN where it cannot speak.

    `above` is the mean wallet of accounts that are estimated alike, over the estimate.
    """

    mid: Floats
    low: Floats
    high: Floats
    above: float
    basis: Basis


def account_potential(
    facts: pd.DataFrame, settings: Settings, structure: pd.DataFrame | None = None
) -> Potential:
    """Estimate the realistic wallet of every account.

    A given potential wins; then a high quantile of what customers of like size, industry and
    segment buy, by regression where 40 customers teach it; then the best in class, revenue by
    size in a cell of segment and size; then the median of the segment; else what it buys today.

    Parameters
    ----------
    facts
        Indexed by account_id: status, revenue, potential (given, NaN where not), employees,
        annual_turnover, segment, industry, size_class, tenure_m (months as a customer, NaN where
        not known), and area_id where there is a `structure`.
    settings
        `customers.potential_quantile`, `potential_refits`, `market_size` (currency a year),
        `served_share`, `accessible_share`; `seed`.
    structure
        area_id, industry, size_class, n_firms; firms outside the CRM count in the market size.

    Returns
    -------
    Potential
        Its table has the index of `facts` and the columns

        potential       money a year, never less than the revenue           currency
        potential_low, potential_high   80% range of the account's own wallet; equal to it
                        where given                                         currency
        potential_src   given, quantile, cell, segment or revenue
        white_space     potential less revenue, >= 0                        currency
        wallet_share    revenue over potential, 0 where neither is known    share

    Raises
    ------
    DataError
        If the market size is below what is bought or given already.

    Notes
    -----
    The wallet as a high conditional quantile follows Perlich, Rosset, Lawrence and Zadrozny (2007).
    Its range is of the wallet of one account, not of the mean of its like. Where 20 accounts or more
    have a given potential beside a modelled one, these calibrate it (split conformal prediction,
    Lei and others 2018): it reaches from the 10% to the 90% quantile of given over modelled, and
    holds four wallets of five if those who told theirs are like the others. Else it supposes that
    customers above the quantile buy all they need from us, and that wallets of firms alike scatter
    as far below it, in ratio, as above; the error of the model comes on top, by refits on customers
    drawn again. Where even the best-served buy elsewhere, such ranges, and all potentials, are too low
    by one factor, which no data on our own sales can tell: ranks stand, and a market size sets the
    level right. A market size is a mean, so ranges are then put about the mean; and where it says
    that even the best-served buy only 1 / factor of their wallets, these shares differ too: half the
    logarithm of the factor widens the range, as an error independent of the others.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), doi:10.1080/01621459.2017.1307116.

    Examples
    --------
    Nothing is known but what one firm buys and what another has said:

    >>> facts = pd.DataFrame({"status": "customer", "revenue": [5.0, 2.0], "potential": [np.nan, 8.0],
    ...     "employees": np.nan, "annual_turnover": np.nan, "segment": "", "industry": "",
    ...     "size_class": "unknown", "tenure_m": np.nan}, index=["a", "b"])
    >>> account_potential(facts, Settings()).table["potential"].tolist()
    [5.0, 8.0]
    """
    rows = facts.sort_index()
    revenue = rows["revenue"].clip(lower=0).to_numpy(float)
    told = rows["potential"].to_numpy(float)
    given = ~np.isnan(told)
    mid, low, high = revenue.copy(), revenue.copy(), revenue.copy()
    src = np.full(len(rows), "revenue", dtype=object)
    above = np.ones(len(rows))
    basis = Basis("given" if given.all() else "revenue", settings.customers.potential_quantile, 0)
    if not given.all():
        for name, found in _estimates(rows, settings):
            speaks = ~np.isnan(found.mid) & (src == "revenue")
            above[speaks] = found.above
            mid, low, high = (
                np.where(speaks, new, old)
                for new, old in ((found.mid, mid), (found.low, low), (found.high, high))
            )
            src[speaks] = name
            basis = found.basis if basis.kind == "revenue" and speaks.any() else basis
    mid, low, high = (np.where(given, told, v) for v in (mid, low, high))
    src[given] = "given"
    table = pd.DataFrame({"potential": mid, "potential_low": low, "potential_high": high})
    table = table.set_axis(rows.index).assign(potential_src=src)
    factor = _factor(rows, table, revenue, settings, structure)
    if factor is not None:
        basis = replace(basis, calibrated=True, factor=factor)
        table = _about_the_mean(table, above, 1.0 if basis.told else max(factor, 1.0))
    return Potential(_floored(table, revenue, basis.factor).reindex(facts.index), basis)


def _about_the_mean(table: pd.DataFrame, above: Floats, factor: float) -> pd.DataFrame:
    """Put ranges about the mean, wider by what a factor says of customers who buy elsewhere too."""
    modelled = ~table["potential_src"].isin(["given", "revenue"]) & (table["potential"] > 0)
    for column, sign in (("potential_low", -1), ("potential_high", 1)):
        apart = np.log((table[column] / table["potential"]).where(modelled, 1.0))
        if factor > 1:
            apart = sign * np.hypot(apart, np.log(factor) / 2)
        around = table["potential"] * np.exp(apart) / above
        table[column] = around.where(modelled, table[column])
    return table


def _floored(table: pd.DataFrame, revenue: Floats, factor: float) -> pd.DataFrame:
    """Scale what was modelled; nobody could buy less than it does."""
    scale = np.where(table["potential_src"].isin(["given", "revenue"]), 1.0, factor)
    mid = np.maximum(table["potential"] * scale, revenue)
    return table.assign(
        potential=mid,
        potential_low=np.minimum(np.maximum(table["potential_low"] * scale, revenue), mid),
        potential_high=np.maximum(table["potential_high"] * scale, mid),
        white_space=mid - revenue,
        wallet_share=np.divide(revenue, mid, out=np.zeros_like(revenue), where=mid.to_numpy() > 0),
    )


def _factor(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    revenue: Floats,
    settings: Settings,
    structure: pd.DataFrame | None,
) -> float | None:
    """Find what modelled potentials must be multiplied by to make up the market; None if nothing."""
    asked = settings.customers
    modelled = ~table["potential_src"].isin(["given", "revenue"]) & (table["potential"] > 0)
    if asked.market_size is None or not modelled.any():
        return None
    size = asked.market_size * asked.served_share

    def beyond(factor: float) -> float:
        scaled = _floored(table, revenue, factor)
        total = float(scaled["potential"].sum())
        if structure is not None and len(structure):
            total += _unseen(structure, rows.assign(**scaled), settings)["potential_outside"].sum()
        return total - size

    least = beyond(0.0)
    if least > 0:
        raise DataError("refusal.market_too_small", size=size, bought=least + size)
    top = 1.0
    while beyond(top) < 0:
        top *= 2
    return float(brentq(beyond, 0.0, top, xtol=1e-14, rtol=1e-14))


def _estimates(rows: pd.DataFrame, settings: Settings) -> list[tuple[str, _Estimate]]:
    """Every way of estimating that can speak, the best first."""
    import sklearn.ensemble  # noqa: F401  # only what is imported by now is held to one thread
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    revenue = rows["revenue"].clip(lower=0)
    buying = (revenue > 0) & ~rows["status"].isin(["lost", "inactive"])
    teach = (buying & ~(rows["tenure_m"] < TENURE_M)).to_numpy()
    column = max(("employees", "annual_turnover"), key=lambda c: (rows[c] > 0)[teach].sum())
    size = rows[column].where(rows[column] > 0)
    # By value, not by id: the same customers under other names make the same folds and draws.
    order = np.lexsort((rows["industry"], rows["segment"], size, revenue))
    who = order[teach[order]]
    sized = who[size.notna().to_numpy()[who]]
    found: list[tuple[str, _Estimate]] = []
    with threadpool_limits(1):
        if len(sized) >= FEWEST_CUSTOMERS:
            found.append(("quantile", _by_regression(rows, size, sized, settings)))
        elif len(sized) >= FEWEST_ALIKE:
            found.append(("cell", _by_cells(rows, size, sized, settings)))
        if len(who) >= FEWEST_ALIKE and (rows["segment"] != rows["segment"].iloc[0]).any():
            wallet = revenue.to_numpy(float)
            if found:
                wallet = np.fmax(found[0][1].mid, wallet)
            found.append(("segment", _by_segment(rows, wallet, who, settings)))
    return found


def _ranged(
    fit: Callable[[NDArray[np.int64]], Floats],
    y: Floats,
    who: Places,
    told: Floats,
    refits: int,
    basis: Basis,
) -> _Estimate:
    """Fit, and see how far the wallets of single accounts lie from the fit.

    `fit` takes places in `who` and returns the log wallet of every account; `y` is the log money of
    `who`, `told` the log potential that an account has given, NaN where none.
    """
    n, tau = len(y), basis.tau
    mid = fit(np.arange(n))
    off = np.sort((told - mid)[~np.isnan(told - mid)])
    if len(off) >= FEWEST_TOLD:
        # The next account is as likely to come before, between or after any of those that told.
        tail = max(int(RANGE[0] * (len(off) + 1)), 1)
        low, high = mid + off[tail - 1], mid + off[-tail]
        above = float(np.exp(off).mean())
        basis = replace(basis, told=len(off), above=above)
        return _Estimate(np.exp(mid), np.exp(low), np.exp(high), above, basis)
    # Fit again on customers drawn again, each time with a wallet of its own about the fit.
    rng = np.random.default_rng(n)
    off = y - mid[who]
    side = 2 * (rng.permutation(refits) + 0.5) / refits - 1
    own = np.sign(side) * (np.quantile(off, tau + (1 - tau) * np.abs(side)) - np.quantile(off, tau))
    draws = np.stack([fit(np.sort(rng.integers(n, size=n))) + shift for shift in own])
    low, high = np.quantile(draws, RANGE, axis=0)
    return _Estimate(np.exp(mid), np.exp(low), np.exp(high), float(np.exp(own).mean()), basis)


def _by_regression(
    rows: pd.DataFrame, size: pd.Series, who: Places, settings: Settings
) -> _Estimate:
    from sklearn.ensemble import HistGradientBoostingRegressor  # slow to import
    from sklearn.linear_model import QuantileRegressor
    from sklearn.metrics import mean_pinball_loss
    from sklearn.model_selection import KFold

    tau, refits = settings.customers.potential_quantile, settings.customers.potential_refits
    y = np.log(rows["revenue"].to_numpy(float)[who])
    # From their medians, so that neither the currency nor the unit of size matters to the solver.
    middle, log_size = float(np.median(y)), np.log(size.to_numpy(float))
    kinds = ["industry"] if rows["segment"].equals(rows["industry"]) else ["segment", "industry"]
    dummies = [d for column in kinds for d in _common(rows[column], who)]
    x = np.column_stack([log_size - np.median(log_size[who]), *dummies])
    known = ~np.isnan(log_size)
    models = {
        "linear": QuantileRegressor(quantile=tau, alpha=0, solver="highs"),
        "boosted": HistGradientBoostingRegressor(
            loss="quantile",
            quantile=tau,
            max_iter=60,
            max_depth=3,
            monotonic_cst=[1] + [0] * len(dummies),
            early_stopping=False,
            random_state=settings.seed,
        ),
    }
    folds = list(KFold(FOLDS, shuffle=True, random_state=settings.seed).split(y))

    def predict(kind: str, drawn: Places, asked: NDArray[Any]) -> Floats:
        model = models[kind].fit(x[who[drawn]], y[drawn] - middle)
        return middle + model.predict(x[asked])

    loss = {
        kind: np.array(
            [
                mean_pinball_loss(y[test], predict(kind, train, who[test]), alpha=tau)
                for train, test in folds
            ]
        )
        for kind in (models if len(y) >= FEWEST_BOOSTED else ["linear"])
    }
    gain = loss["linear"] - loss.get("boosted", loss["linear"])
    kind = "boosted" if gain.mean() > gain.std(ddof=1) / np.sqrt(FOLDS) else "linear"
    basis = Basis(
        kind, tau, len(y), str(size.name), {k: round(float(v.mean()), 9) for k, v in loss.items()}
    )

    def fit(drawn: Places) -> Floats:
        out = np.full(len(x), np.nan)
        out[known] = predict(kind, drawn, known)
        return out

    if kind == "boosted":
        refits = max(int(refits * BOOSTED_REFITS), 20)
    return _ranged(fit, y, who, _told(rows), refits, basis)


def _told(rows: pd.DataFrame) -> Floats:
    """Log potentials that were given; NaN where none was, or nothing."""
    return np.log(rows["potential"].where(rows["potential"] > 0).to_numpy(float))


def _common(names: pd.Series, who: Places) -> list[Floats]:
    """A column of zeros and ones for each name that enough customers have, less one if they are all."""
    count = names.iloc[who].value_counts()
    count = count.sort_index().sort_values(ascending=False, kind="stable")
    often = [name for name in count.index[count >= COMMON] if name]
    if count.reindex(often).sum() == len(who):
        often = often[1:]
    return [(names == name).to_numpy(float) for name in often]


def _by_cells(rows: pd.DataFrame, size: pd.Series, who: Places, settings: Settings) -> _Estimate:
    """Best in class: money by size in a cell of segment and size, shrunk to segment, and that to all."""
    segment = rows["segment"].astype(str)
    cell = segment + "/" + rows["size_class"].astype(str)
    rate = (rows["revenue"] / size).iloc[who].to_numpy(float)

    def fit(drawn: Places) -> Floats:
        base = np.full(len(rows), np.quantile(rate[drawn], CELL_TAU))
        for names in (segment, cell):
            base = _shrunk(names, who[drawn], rate[drawn], CELL_TAU, base)
        return np.log(base * size.to_numpy(float))

    basis = Basis("cell", CELL_TAU, len(who), str(size.name))
    y = np.log(rows["revenue"].to_numpy(float)[who])
    return _ranged(fit, y, who, _told(rows), settings.customers.potential_refits, basis)


def _by_segment(rows: pd.DataFrame, wallet: Floats, who: Places, settings: Settings) -> _Estimate:
    """Middle of what is modelled, or bought, in the segment."""
    segment = rows["segment"]

    def fit(drawn: Places) -> Floats:
        base = np.full(len(segment), np.median(wallet[who[drawn]]))
        return np.log(_shrunk(segment, who[drawn], wallet[who[drawn]], SEGMENT_TAU, base))

    basis = Basis("segment", SEGMENT_TAU, len(who))
    refits = settings.customers.potential_refits
    return _ranged(fit, np.log(wallet[who]), who, _told(rows), refits, basis)


def _shrunk(names: pd.Series, who: Places, values: Floats, tau: float, base: Floats) -> Floats:
    """Quantile by name, n values of its own beside 20 of `base`."""
    groups = pd.Series(values).groupby(names.to_numpy()[who])
    n = names.map(groups.size()).fillna(0.0).to_numpy(float)
    own = names.map(groups.quantile(tau)).to_numpy(float)
    return (n * np.where(n > 0, own, 0.0) + SHRINK * base) / (n + SHRINK)


def outside(market: Market, facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Estimate what firms that are not in the CRM could buy, by area.

    Parameters
    ----------
    market
        `market_structure`: how many firms there are of each industry and size.
    facts
        Indexed by account_id: area_id, industry, size_class, potential, potential_low,
        potential_high. An account without an industry or a size class counts in no cell.
    settings
        `customers.accessible_share`.

    Returns
    -------
    DataFrame, one row for each area of the table, sorted; empty where the table was not given
        area_id
        n_outside           firms of the table beyond the accounts of their kind      count
        potential_outside   those x the median potential of their kind x the share
                            that could be won at all                                 currency a year
        low, high           the same by the ranges of the potentials                  currency a year

    Notes
    -----
    The median of an industry and size, n accounts, is shrunk by n / (n + 20) to that of its size, and
    that to the median of all accounts. Texts are compared without regard to case and accents.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> facts = pd.DataFrame({"area_id": ["P"], "industry": ["bakery"], "size_class": ["small"],
    ...     "potential": [100.0], "potential_low": [80.0], "potential_high": [150.0]})
    >>> structure = pd.DataFrame({"area_id": ["P"], "industry": ["Bakery"], "size_class": ["small"],
    ...     "n_firms": [11]})
    >>> market = SimpleNamespace(market_structure=structure)
    >>> outside(market, facts, Settings()).set_index("area_id").loc["P"].tolist()
    [10.0, 300.0, 240.0, 450.0]
    """
    return _unseen(market.market_structure, facts, settings)


def _unseen(structure: pd.DataFrame, facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    kind = structure["industry"].map(fold) + "/" + structure["size_class"].map(fold)
    size = facts["size_class"].astype(str)
    ours = facts["industry"].astype(str).map(fold) + "/" + size
    seen = (facts["area_id"].astype(str) + "|" + ours).value_counts()
    known = (structure["area_id"] + "|" + kind).map(seen).astype(float).fillna(0.0)
    firms = (structure["n_firms"].astype(float) - known).clip(lower=0.0)
    named = {"potential_outside": "potential", "low": "potential_low", "high": "potential_high"}
    table = structure[["area_id"]].assign(n_outside=firms)
    all_of = np.arange(len(facts))
    # Cells that no account is in are asked for too: theirs is the middle of their size.
    classes = pd.concat([size, structure["size_class"].map(fold)], ignore_index=True)
    cells = pd.concat([ours, kind], ignore_index=True)
    for column, measure in named.items():
        value = facts[measure].to_numpy(float)
        middle = np.full(len(cells), np.median(value) if len(value) else 0.0)
        for names in (classes, cells):
            middle = _shrunk(names, all_of, value, SEGMENT_TAU, middle)
        table[column] = firms * middle[len(facts) :] * settings.customers.accessible_share
    return table.groupby("area_id", as_index=False).sum()


def area_potential(market: Market, facts: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Add up what could be bought in every area, inside and outside the CRM.

    Parameters
    ----------
    market, facts, settings
        See `outside`.

    Returns
    -------
    DataFrame, one row for each area that is planned, has accounts or is in the structure, sorted
        area_id
        crm         potential of the accounts                               currency a year
        outside     of firms that are not accounts                          currency a year
        total       both                                                    currency a year
        low, high   sums of the ranges of each: as if all erred alike, the safe side, since an
                    error of the model's level is shared by all             currency a year
        n_outside   firms that are not accounts                             count

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> facts = pd.DataFrame({"area_id": ["P", "P"], "industry": "bakery", "size_class": "small",
    ...     "potential": [90.0, 110.0], "potential_low": 80.0, "potential_high": 150.0})
    >>> structure = pd.DataFrame({"area_id": ["P"], "industry": ["bakery"], "size_class": ["small"],
    ...     "n_firms": [12]})
    >>> market = SimpleNamespace(areas=pd.DataFrame(index=["P"]), market_structure=structure)
    >>> area_potential(market, facts, Settings()).set_index("area_id").loc["P"].tolist()
    [200.0, 300.0, 500.0, 400.0, 750.0, 10.0]
    """
    unseen = outside(market, facts, settings).set_index("area_id")
    own = facts.groupby("area_id")[["potential", "potential_low", "potential_high"]].sum()
    ids = pd.Index(
        sorted({*own.index, *unseen.index, *market.areas.index.astype(str)}), name="area_id"
    )
    own, unseen = own.reindex(ids).fillna(0.0), unseen.reindex(ids).fillna(0.0)
    table = pd.DataFrame({"crm": own["potential"], "outside": unseen["potential_outside"]})
    table["total"] = table["crm"] + table["outside"]
    table["low"] = own["potential_low"] + unseen["low"]
    table["high"] = own["potential_high"] + unseen["high"]
    table["n_outside"] = unseen["n_outside"]
    return table.reset_index()
