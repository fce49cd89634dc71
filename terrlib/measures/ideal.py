"""Which accounts are worth a deal: the chance to win them, what a win is worth, who is ideal."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings
from terrlib.measures.customers import size_class
from terrlib.measures.geometry import nearest_km
from terrlib.measures.winning import (
    DAYS_PER_MONTH,
    HORIZON_M,
    LOST,
    OPEN,
    WON,
    assumed_chance,
    deals,
    ends_won,
    first_purchase,
    incidence,
    months_to_win,
    pooled_draws,
    wilson,
    win_rates,
)

Array = NDArray[np.float64]

# In this order features are let in as long as there are deals enough to learn them.
FEATURES = (
    "log_employees",
    "prior_customer",
    "segment",
    "industry",
    "type",
    "distance_km",
    "size_class",
    "lead_source",
    "region",
)
NUMBERS = ("log_employees", "prior_customer", "distance_km")
CARD = ("segment", "industry", "size_class", "region", "prior_customer")
LUCK = 0.10  # chance that any level at all is called ideal where none is
DISTANCES = {"0-25": 25.0, "25-50": 50.0, "50-100": 100.0, "100+": np.inf}

EVENTS_PER_FEATURE = 10  # Peduzzi and others (1996)
FEWEST_WON = 50
FEWEST_FOR_BOOSTING = 100
FEWEST_VALUES = 30
FEWEST_ALIKE = 10
FEWEST_TESTED = 20
WON_WITHOUT_LOSSES = 0.70
SLOPES = (0.7, 1.3)
ISOTONIC_FROM = 1000  # scikit-learn: isotonic calibration overfits well below this
MATURE = 0.80
SLICES = (0.60, 0.80)
RARE = 20
ALIKE = 1e-6  # logits nearer than this are one score
FOLDS = 5
REFITS = 40
BINS = 10
CALIBRATION = ["bin", "n", "won", "expected", "observed", "low", "high"]
LEVELS = ["feature", "level", "n", "won", "rate", "low", "high", "lift"]
LEVELS += ["median_value", "median_cycle_m", "ideal"]


@dataclass(frozen=True)
class Ideal:
    """The ideal customer, and how near every account comes.

    Attributes
    ----------
    kind
        What the scores are: `logistic` or `boosting` (a model that stood its test), `cells` (win
        rates of kinds of accounts, drawn towards the whole), `lookalike` (a rank, no chance),
        `unknown` (the assumption of the settings).
    reason
        Why: `tested`; `no_skill`, `bad_slope`, `no_better` (a model was tried and may not speak: no
        better than one rate, too bold or too timid, no better than cells); `few_won`, `few_lost`,
        `few_mature` (too few deals for a model); `no_lost` (losses are not recorded); `no_deals`
        (none has closed).
    metrics
        n_won, n_lost; base (win rate, open deals counted) and anchor (added to every logit so that
        all deals have this rate on average). Where a model was tried: n_train, n_calibrate, n_test,
        n_open (deals as old as those of the test, and open still), n_features, immature_m (deals
        younger are left out), challenger_gain and challenger_se (log-loss, 0 where boosting was not
        tried); of the test: base_rate, auc, log_loss, brier, brier_skill (against the rate of the
        test itself), slope and its standard error slope_se, ece, lift_10; brier_cells (what cells
        would have had).
    calibration
        bin, n, won, expected, observed, low, high (95%, Wilson) of the test, lowest chance first.
    levels
        feature, level, n, won, rate, low, high (80%, Wilson), lift, median_value (currency),
        median_cycle_m, ideal (above the rate of all, with a chance of a tenth that any level
        is called so by luck; Bonferroni). Of closed deals: they compare levels,
        and are too low as chances. For a lookalike n counts accounts, and won those ever won.
    score
        Indexed by account_id, sorted: p_win, p_win_low, p_win_high (80%), value (a won deal,
        currency), icp_ev (p_win * value * margin, currency), percentile (0 to 1, of icp_ev or of
        likeness).
    """

    kind: str
    reason: str
    metrics: dict[str, float]
    calibration: pd.DataFrame
    levels: pd.DataFrame
    score: pd.DataFrame


def ideal_customers(market: Market, settings: Settings, segment: pd.Series | None = None) -> Ideal:
    """Learn from past deals which accounts are likely to buy, and test whether that can be known.

    Parameters
    ----------
    market
        With or without opportunities.
    settings
        `customers.kappa`, `customers.win_rate`, `customers.min_closed_deals`, `workload.margin`,
        `seed`.
    segment
        account_id -> segment, only where it was known before the deals. Segments made of sales, as
        by `find_segments`, tell who was won: scores look better than they are, in the test too.

    Returns
    -------
    Ideal

    Notes
    -----
    Only what is known when a deal begins is used: never its amount, stage, dates of closing or
    owner, and nothing of persons. The youngest fifth of the deals that are old enough tests; the
    deals that had ended before the first of them was opened teach: the first three quarters to end
    train, the others calibrate and anchor. So no slice knows an outcome that was not known on the
    day it ends. Deals open on that day teach nothing but the rate to which scores are anchored, and
    deals of the test that are open still are left out of it (`n_open`): few at an age by which four
    fifths of the wins have come. Boosting replaces L2-logistic regression only if its log-loss on
    rolling origins is better by more than a standard error. Fewer than ten wins or losses for a
    feature leave that feature out.

    Closed deals are not all deals: slow wins are still open. Weights by the chance of being closed
    cannot give back wins slower than the record of a slice is long, so scores are anchored: all
    logits move by one number, so that all deals, open or closed, have the win rate of `win_rates`
    on average. That assumes that wins are about as slow for every kind of account.

    A model may speak only if in its test it beats the plain rate and the rates of cells, and its
    calibration slope lies in [0.7, 1.3]. With 300 deals in the test that slope has a standard error
    of about 0.4: even a right model is often refused, and cells are the safer answer.

    Accounts that nobody pursued are not in the sample: where they differ from those pursued, scores
    are guesses.

    References
    ----------
    Elkan and Noto (2008), doi:10.1145/1401890.1401920, for deals without losses. Duan (1983),
    doi:10.1080/01621459.1983.10478017, for the mean of an amount whose logarithm is predicted.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> accounts = pd.DataFrame({"industry": "", "region": "", "employees": np.nan, "lat": 52.0,
    ...     "lon": 19.0, "status": "prospect"}, index=["A", "B"])
    >>> none = pd.DataFrame(columns=["account_id", "date", "amount", "created_date", "close_date",
    ...     "type", "lead_source", "is_won", "home_lat", "home_lon"])
    >>> market = SimpleNamespace(accounts=accounts, reps=none, sales=none, opportunities=none,
    ...     as_of=None)
    >>> found = ideal_customers(market, Settings())
    >>> found.kind, found.reason, float(found.score["p_win"].iloc[0])
    ('unknown', 'no_deals', 0.2)
    """
    import sklearn.ensemble  # noqa: F401  # only what is imported by now is held to one thread
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    # One thread: sums come out the same everywhere.
    with threadpool_limits(1):
        return _ideal(_Past.of(market, settings, segment))


def shrunken_rate(won: Any, n: Any, p0: float, kappa: float) -> Any:
    """Win rate of a few deals, drawn towards that of all as by `kappa` more deals of the rate p0.

    Examples
    --------
    >>> [round(shrunken_rate(w, n, 0.25, 20), 3) for w, n in ((0, 3), (2, 10), (9, 20), (40, 120))]
    [0.217, 0.233, 0.35, 0.321]
    """
    return (won + kappa * p0) / (n + kappa)


def known_at_start(
    market: Market, starts: pd.DataFrame, segment: pd.Series | None = None
) -> pd.DataFrame:
    """What is known of an account on the day a deal begins.

    Parameters
    ----------
    market
        Accounts, and homes of reps, sales and won deals if given.
    starts
        account_id, created_date, type, lead_source of each deal.
    segment
        account_id -> segment, if known by then.

    Returns
    -------
    DataFrame, indexed like `starts`
        industry, size_class, region, segment, type, lead_source   texts, "" where unknown
        log_employees    logarithm of 1 + employees, the median where unknown
        prior_customer   1 if there was a sale or a won deal before, else 0
        distance_km      to the nearest home of a rep, as the crow flies, 0 without reps

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> accounts = pd.DataFrame({"industry": "", "region": "", "employees": np.nan, "lat": 52.0,
    ...     "lon": 19.0, "status": "prospect"}, index=["A", "B"])
    >>> sale = pd.DataFrame({"account_id": ["A"], "date": pd.to_datetime(["2026-03-01"]),
    ...     "amount": [5.0]})
    >>> none = pd.DataFrame(columns=["account_id", "close_date", "home_lat", "home_lon"])
    >>> market = SimpleNamespace(accounts=accounts, reps=none, sales=sale, opportunities=none,
    ...     as_of=None)
    >>> starts = pd.DataFrame({"account_id": "A", "type": "", "lead_source": "",
    ...     "created_date": pd.to_datetime(["2026-03-01", "2026-03-02"])})
    >>> known_at_start(market, starts)["prior_customer"].tolist()
    [0.0, 1.0]
    """
    accounts, owner = market.accounts, starts["account_id"]
    table = pd.DataFrame(index=accounts.index)
    table["industry"], table["region"] = accounts["industry"], accounts["region"]
    table["size_class"] = size_class(accounts["employees"])
    table["segment"] = "" if segment is None else segment.reindex(accounts.index)
    size = accounts["employees"].astype(float)
    middle = size.median() if size.notna().any() else 0.0
    table["log_employees"] = np.log1p(size.fillna(middle).clip(lower=0))
    homes = market.reps[["home_lat", "home_lon"]].astype(float).dropna()
    table["distance_km"] = 0.0
    if len(homes):
        away = nearest_km(accounts[["lat", "lon"]], homes)
        table["distance_km"] = np.nan_to_num(away, nan=0.0)
    found = table.reindex(owner).set_axis(starts.index)
    first = first_purchase(market).reindex(owner).to_numpy("datetime64[s]")
    begun = starts["created_date"].to_numpy("datetime64[s]")
    found["prior_customer"] = (first < begun).astype(float)
    found[["type", "lead_source"]] = starts[["type", "lead_source"]]
    texts = [name for name in FEATURES if name not in NUMBERS]
    found[texts] = found[texts].astype(object).where(found[texts].notna(), "").astype(str)
    return found[list(FEATURES)]


@dataclass(frozen=True)
class _Past:
    """Everything that scores are made of: deals and accounts with what is known of them."""

    market: Market
    settings: Settings
    deals: pd.DataFrame  # indexed by opp_id, oldest first: outcome, months, amount, created, ended
    x: pd.DataFrame  # the same rows: what was known
    accounts: pd.DataFrame  # indexed by account_id, sorted: what is known today
    base: float  # win rate of all deals, open ones counted

    @classmethod
    def of(cls, market: Market, settings: Settings, segment: pd.Series | None) -> _Past:
        starts = market.opportunities
        table = deals(market)
        table["created"] = pd.to_datetime(starts["created_date"])
        table["ended"] = pd.to_datetime(starts["close_date"]).where(table["outcome"] != OPEN)
        order = table.rename_axis("opp_id").sort_values(["created", "opp_id"], kind="stable").index
        table = table.loc[order]
        x = known_at_start(market, starts.loc[order], segment)
        today = pd.DataFrame({"account_id": market.accounts.index.sort_values()})
        today["created_date"] = pd.Timestamp.max.floor("D").as_unit("s")
        today["type"] = today["lead_source"] = ""
        accounts = known_at_start(market, today.set_index("account_id", drop=False), segment)
        # The next deal of an account is of the type that such accounts mostly have.
        for was, rows in x.groupby("prior_customer"):
            usual = rows["type"].value_counts().sort_index().idxmax()
            accounts.loc[accounts["prior_customer"] == was, "type"] = usual
        whole = win_rates(market, pd.Series(dtype=str), settings).iloc[0]
        base, closed = float(whole["p_win"]), whole["won"] + whole["lost"]
        if whole["won"] < FEWEST_WON:
            # A handful of deals, all lost, does not mean that nobody will ever buy.
            assumed, kappa = settings.customers.win_rate, settings.customers.kappa
            base = shrunken_rate(closed * base, closed, assumed, kappa)
        return cls(market, settings, table, x, accounts, base)

    @property
    def closed(self) -> pd.Series:
        return self.deals["outcome"] != OPEN

    @property
    def won(self) -> pd.Series:
        return (self.deals["outcome"] == WON).astype(float)


def _ideal(past: _Past) -> Ideal:
    won, lost = (int((past.deals["outcome"] == o).sum()) for o in (WON, LOST))
    counts: dict[str, float] = {"n_won": won, "n_lost": lost, "base": past.base}
    none = pd.DataFrame(columns=CALIBRATION)
    if not won + lost:
        return Ideal(
            "unknown", "no_deals", counts, none, pd.DataFrame(columns=LEVELS), _guess(past)
        )
    enough = won + lost >= past.settings.customers.min_closed_deals
    if not lost or (enough and won / (won + lost) > WON_WITHOUT_LOSSES):
        return _lookalike(past, counts)
    levels = _levels(past.x[past.closed], past.deals[past.closed])
    reason, tried = "few_won" if won < FEWEST_WON else "few_lost", None
    if min(won, lost) >= FEWEST_WON:
        tried = _try_model(past)
        reason = tried.verdict
    if tried is not None:
        counts, none = counts | tried.metrics, tried.calibration
    if tried is not None and reason == "tested":
        p, low, high, anchor = tried.chances(past)
        kind = tried.kind
    else:
        p, low, high, anchor = _cells(past)
        kind = "cells"
    score = _score(past, p, low, high)
    return Ideal(kind, reason, counts | {"anchor": anchor}, none, levels, score)


def _guess(past: _Past) -> pd.DataFrame:
    assumed = assumed_chance(past.settings)
    return _score(past, *(np.full(len(past.accounts), p) for p in assumed))


def _score(past: _Past, p: Array, low: Array, high: Array) -> pd.DataFrame:
    score = pd.DataFrame({"p_win": p, "p_win_low": low, "p_win_high": high}, past.accounts.index)
    score["value"] = _values(past)
    score["icp_ev"] = score["p_win"] * score["value"] * past.settings.workload.margin
    score["percentile"] = score["icp_ev"].rank(pct=True)
    return score


# The model ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tried:
    """A calibrated model and how it did on deals it had not seen."""

    kind: str
    verdict: str
    metrics: dict[str, float]
    calibration: pd.DataFrame
    columns: list[str] = field(default_factory=list)
    slices: tuple[pd.Index, pd.Index] = (pd.Index([]), pd.Index([]))

    def chances(self, past: _Past) -> tuple[Array, Array, Array, float]:
        """Chance of every account with its 80% interval, and the anchor."""
        # What was tested is what speaks: it is not fitted anew on the deals of the test.
        train, hold = self.slices
        encode = _encoder(self.columns).fit(past.x.loc[train])
        seen, held, every = (encode.transform(past.x.loc[i]) for i in (train, hold, past.x.index))
        ways, share = _ways(past, self.columns)
        asked = [encode.transform(way) for way in ways]
        y, z = (past.won.loc[i].to_numpy() for i in (train, hold))

        def scored(model: Any, base: float) -> tuple[Array, float]:
            move = _anchor(_chance(model, every), base)
            parts = [
                s * _moved(_chance(model, way), move) for s, way in zip(share, asked, strict=True)
            ]
            return np.sum(parts, axis=0), move

        seed = past.settings.seed
        p, anchor = scored(_fitted(self.kind, seed, (seen, y), (held, z)), past.base)
        rng = np.random.default_rng(seed)
        again = []
        for base in pooled_draws(past.market, past.settings)[:REFITS]:
            i, j = (rng.integers(len(a), size=len(a)) for a in (y, z))
            model = _fitted(self.kind, seed, (seen[i], y[i]), (held[j], z[j]))
            again.append(scored(model, float(base))[0])
        low, high = np.quantile(again, [0.1, 0.9], axis=0)
        # All refits lean the same way, by their penalty. No chance is surer than without it: than
        # the deals that stand behind each feature allow.
        behind = (len(y) + len(z)) / seen.shape[1]
        least = np.array([wilson(chance, behind) for chance in p]).T
        return p, np.minimum(low, least[0]), np.maximum(high, least[1]), anchor


def _try_model(past: _Past) -> _Tried:
    table = past.deals
    curve = incidence(table["months"].to_numpy(), table["outcome"].to_numpy())
    immature_m = months_to_win(curve, MATURE)
    # Of the youngest deals only the quick ones are closed, and those are mostly lost.
    last = past.market.as_of - pd.Timedelta(days=immature_m * DAYS_PER_MONTH)
    mature = table[table["created"] <= last]
    metrics = {"immature_m": immature_m}
    empty = pd.DataFrame(columns=CALIBRATION)
    few = _Tried("", "few_mature", metrics, empty)
    closed = mature[mature["outcome"] != OPEN]
    if not len(closed):
        return few
    second = closed["created"].iloc[int(SLICES[1] * len(closed))]
    # On the day of the first deal of the test this is all that is known: what had ended by then.
    known = table[table["ended"] < second].sort_values("ended", kind="stable")
    if not len(known):
        return few
    first = known["ended"].iloc[int(SLICES[0] / SLICES[1] * len(known))]
    train, hold = known.index[known["ended"] < first], known.index[known["ended"] >= first]
    asked = mature[mature["created"] >= second]
    test = asked.index[asked["outcome"] != OPEN]
    slices = {"n_train": train, "n_calibrate": hold, "n_test": test}
    metrics |= {name: float(len(rows)) for name, rows in slices.items()}
    metrics["n_open"] = float(len(asked) - len(test))
    won = past.won
    if any(len(i) < FEWEST_TESTED or won[i].nunique() < 2 for i in slices.values()):  # noqa: PLR2004
        return _Tried("", "few_mature", metrics, empty)
    y = won[train].to_numpy()
    columns = _affordable(past.x.loc[train], int(min(y.sum(), len(y) - y.sum())))
    if not columns:
        return _Tried("", "few_mature", metrics, empty)
    kind, metrics = _challenge(past, train, columns, metrics)
    columns = list(FEATURES) if kind == "boosting" else columns
    encode = _encoder(columns).fit(past.x.loc[train])
    seen, held, new = (encode.transform(past.x.loc[i]) for i in slices.values())
    metrics["n_features"] = float(seen.shape[1])
    model = _fitted(kind, past.settings.seed, (seen, y), (held, won[hold].to_numpy()))
    base, opened = _base_on(past, second)
    move = _anchor(_chance(model, encode.transform(past.x.loc[opened])), base)
    p, outcome = _moved(_chance(model, new), move), won[test].to_numpy()
    found, calibration = _tested(p, outcome)
    cells = _rates_of_cells(past, known.index)[2]
    plain = _moved(cells[test].to_numpy(), _anchor(cells[opened].to_numpy(), base))
    metrics["brier_cells"] = float(((plain - outcome) ** 2).mean())
    verdict = "tested"
    if not found["brier_skill"] > 0:
        verdict = "no_skill"
    elif not SLOPES[0] <= found["slope"] <= SLOPES[1]:
        verdict = "bad_slope"
    elif found["brier"] >= metrics["brier_cells"]:
        verdict = "no_better"
    return _Tried(kind, verdict, metrics | found, calibration, columns, (train, hold))


def _base_on(past: _Past, day: pd.Timestamp) -> tuple[float, pd.Index]:
    """Win rate of the deals opened before a day, by what was known on it; and those deals."""
    rows = past.deals[past.deals["created"] < day]
    ended = (rows["ended"] < day).to_numpy()
    age = ((day - rows["created"]).dt.days / DAYS_PER_MONTH).clip(0.01, HORIZON_M)
    curve = incidence(
        np.where(ended, rows["months"], age), np.where(ended, rows["outcome"].to_numpy(), OPEN)
    )
    return float(ends_won(curve)), rows.index


def _affordable(x: pd.DataFrame, events: int, without: Sequence[str] = ()) -> list[str]:
    """Features, the most telling first, until ten events stand behind each column."""
    left, kept = events // EVENTS_PER_FEATURE, []
    for name in FEATURES:
        if name in without or x[name].nunique() < 2:  # noqa: PLR2004
            continue
        often = x[name].value_counts() >= RARE
        # Rare levels become one, and one level says what the others leave.
        cost = 1 if name in NUMBERS else max(1, int(often.sum()) + int(not often.all()) - 1)
        if cost <= left:
            kept.append(name)
            left -= cost
    return kept


def _encoder(columns: list[str]) -> Any:
    from sklearn.compose import ColumnTransformer  # slow to import
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    levels = OneHotEncoder(
        min_frequency=RARE, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    numbers = [c for c in columns if c in NUMBERS]
    texts = [c for c in columns if c not in NUMBERS]
    return ColumnTransformer([("number", StandardScaler(), numbers), ("level", levels, texts)])


def _classifier(kind: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import
    from sklearn.linear_model import LogisticRegression

    if kind == "boosting":
        return HistGradientBoostingClassifier(
            max_depth=3, min_samples_leaf=20, early_stopping=True, random_state=seed
        )
    return LogisticRegression(C=1.0, max_iter=1000)


def _fitted(kind: str, seed: int, train: tuple[Array, Array], hold: tuple[Array, Array]) -> Any:
    """Fit on one slice, calibrate on the next."""
    from sklearn.calibration import CalibratedClassifierCV  # slow to import
    from sklearn.frozen import FrozenEstimator

    model = _classifier(kind, seed).fit(*train)
    method = "isotonic" if len(hold[1]) >= ISOTONIC_FROM else "sigmoid"
    return CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(*hold)


def _challenge(
    past: _Past, train: pd.Index, columns: list[str], metrics: dict[str, float]
) -> tuple[str, dict[str, float]]:
    """Let boosting try to be better than regression on deals that follow those it learned from."""
    from sklearn.metrics import log_loss  # slow to import
    from sklearn.model_selection import TimeSeriesSplit

    y, x = past.won[train].to_numpy(), past.x.loc[train]
    gains = []
    if min(y.sum(), len(y) - y.sum()) >= FEWEST_FOR_BOOSTING:
        tables = {
            "logistic": _encoder(columns).fit_transform(x),
            "boosting": _encoder(list(FEATURES)).fit_transform(x),
        }
        for early, late in TimeSeriesSplit(FOLDS).split(y):
            if len(set(y[early])) > 1:
                loss = {
                    kind: log_loss(
                        y[late],
                        _chance(
                            _classifier(kind, past.settings.seed).fit(t[early], y[early]), t[late]
                        ),
                        labels=[0, 1],
                    )
                    for kind, t in tables.items()
                }
                gains.append(loss["logistic"] - loss["boosting"])
    gain = float(np.mean(gains)) if gains else 0.0
    se = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    kind = "boosting" if len(gains) > 1 and gain > se else "logistic"
    return kind, metrics | {"challenger_gain": gain, "challenger_se": se}


def _tested(p: Array, y: Array) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure chances against what came."""
    import statsmodels.api as sm  # slow to import
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score  # slow to import

    rate = float(y.mean())
    brier = float(brier_score_loss(y, p))
    slope = slope_se = np.nan
    said = _logit(p)
    if np.ptp(said) > ALIKE:
        with warnings.catch_warnings():
            # Outcomes that the scores tell apart without a fault have no slope: it comes out huge.
            warnings.simplefilter("ignore")
            fitted = sm.Logit(y, sm.add_constant(said)).fit(disp=0)
        slope, slope_se = float(fitted.params[1]), float(fitted.bse[1])
    order = np.argsort(-p, kind="stable")
    best = order[: max(1, len(p) // 10)]
    rows = []
    bins = np.array_split(order[::-1], min(BINS, max(1, len(p) // 20)))
    for number, part in enumerate(bins, start=1):
        n, won = len(part), int(y[part].sum())
        low, high = wilson(won / n, n, 0.95)
        rows.append((number, n, won, float(p[part].mean()), won / n, low, high))
    table = pd.DataFrame(rows, columns=CALIBRATION)
    off = (table["expected"] - table["observed"]).abs()
    return {
        "base_rate": rate,
        "auc": float(roc_auc_score(y, p)),
        "log_loss": float(log_loss(y, p)),
        "brier": brier,
        "brier_skill": 1 - brier / (rate * (1 - rate)),
        "slope": slope,
        "slope_se": slope_se,
        "ece": float(off @ table["n"] / table["n"].sum()),
        "lift_10": float(y[best].mean()) / rate,
    }, table


def _ways(past: _Past, columns: list[str]) -> tuple[list[pd.DataFrame], Array]:
    """Accounts with each lead source a deal may come by, and how often it does."""
    if "lead_source" not in columns:
        return [past.accounts], np.ones(1)
    share = past.x["lead_source"].value_counts(normalize=True).sort_index()
    return [past.accounts.assign(lead_source=s) for s in share.index], share.to_numpy(float)


def _chance(model: Any, x: Array) -> Array:
    return np.asarray(model.predict_proba(x)[:, 1], dtype=float)


def _logit(p: Array) -> Array:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _moved(p: Array, move: float) -> Array:
    from scipy.special import expit

    return np.asarray(expit(_logit(p) + move))


def _anchor(p: Array, base: float) -> float:
    """What to add to the logits of chances so that their mean is the base rate."""
    from scipy.optimize import brentq

    base = min(max(base, 1e-4), 1 - 1e-4)
    return float(brentq(lambda move: _moved(p, move).mean() - base, -25.0, 25.0))


# Without a model ----------------------------------------------------------------------------------


def _cell(x: pd.DataFrame) -> pd.Series:
    known = x["segment"].ne("").any()
    return x["segment" if known else "industry"] + "/" + x["size_class"]


def _rates_of_cells(past: _Past, rows: pd.Index) -> tuple[pd.DataFrame, float, pd.Series]:
    """Rate and number of deals of every cell, of these deals; their rate; the rate of all deals."""
    kappa, kind = past.settings.customers.kappa, _cell(past.x)
    done = past.won[rows].groupby(kind[rows]).agg(["sum", "size"])
    p0 = float(np.clip(past.won[rows].mean(), 0.01, 0.99))
    done["rate"] = shrunken_rate(done["sum"], done["size"], p0, kappa)
    return done, p0, kind.map(done["rate"]).fillna(p0).astype(float)


def _cells(past: _Past) -> tuple[Array, Array, Array, float]:
    """Win rates of kinds of accounts, drawn towards the whole, and anchored like a model."""
    done, p0, of_deals = _rates_of_cells(past, past.deals.index[past.closed])
    anchor = _anchor(of_deals.to_numpy(), past.base)
    mine = _cell(past.accounts)
    p = _moved(mine.map(done["rate"]).fillna(p0).to_numpy(float), anchor)
    # What a cell borrows from the whole is no evidence of its own.
    n = mine.map(done["size"]).fillna(0).clip(lower=1).to_numpy(float)
    low, high = np.array([wilson(a, b) for a, b in zip(p, n, strict=True)]).T
    return p, low, high, anchor


def _lookalike(past: _Past, counts: dict[str, float]) -> Ideal:
    """Rank accounts by their likeness to those won, where nobody wrote down what was lost."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # slow to import

    x = past.accounts
    owners = past.deals.loc[past.deals["outcome"] == WON]
    s = pd.Series(x.index.isin(owners["account_id"]), x.index).astype(float)
    nothing = np.full(len(x), np.nan)
    score = _score(past, nothing, nothing, nothing)
    own = owners.groupby("account_id")[["amount", "months"]].median().reindex(x.index)
    levels = _levels(
        x.drop(columns=["type", "lead_source", "prior_customer"]),
        own.assign(outcome=np.where(s > 0, WON, LOST)),
    )
    few = min(s.sum(), len(s) - s.sum()) < FEWEST_ALIKE
    # Having bought before is what is asked here, so it may not be part of the answer.
    columns = _affordable(x, int(s.sum()), without=["prior_customer", "type", "lead_source"])
    none = pd.DataFrame(columns=CALIBRATION)
    del counts["base"]  # won over won
    if few or not columns:
        return Ideal("unknown", "no_lost", counts, none, levels, _guess(past))
    model, table = _classifier("logistic", past.settings.seed), _encoder(columns).fit_transform(x)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=past.settings.seed)
    seen = cross_val_predict(model, table, s, cv=folds, method="predict_proba")[:, 1]
    # Elkan and Noto: P(won) = P(known to be won) / c, c the mean of the first among those won.
    c = float(seen[s.to_numpy() > 0].mean())
    like = pd.Series(np.minimum(seen / c, 1.0), x.index)
    score["percentile"] = like.rank(pct=True)
    return Ideal("lookalike", "no_lost", counts | {"c": c}, none, levels, score)


# What a win is worth, and the card ----------------------------------------------------------------


def _values(past: _Past) -> Array:
    """Value of a won deal for every account: ridge on its logarithm, smeared back (Duan 1983)."""
    from sklearn.linear_model import Ridge  # slow to import
    from sklearn.pipeline import make_pipeline

    won = (past.deals["outcome"] == WON) & (past.deals["amount"] > 0)
    amount = past.deals.loc[won, "amount"].to_numpy(float)
    columns = _affordable(past.x[won], len(amount), without=["lead_source"])
    if len(amount) < FEWEST_VALUES or not columns:
        return np.full(len(past.accounts), np.median(amount) if len(amount) else np.nan)
    model = make_pipeline(_encoder(columns), Ridge(alpha=1.0))
    model.fit(past.x[won], np.log(amount))
    smear = np.exp(np.log(amount) - model.predict(past.x[won])).mean()
    return np.asarray(np.exp(model.predict(past.accounts)) * smear)


def _levels(x: pd.DataFrame, done: pd.DataFrame) -> pd.DataFrame:
    """The card: how each level of each feature does."""
    won = done["outcome"] == WON
    base = float(won.mean())
    parts: dict[str, pd.Series] = {name: x[name] for name in CARD if name in x}
    if "prior_customer" in parts:
        parts["prior_customer"] = x["prior_customer"].map({0.0: "no", 1.0: "yes"})
    edges = [-np.inf, *DISTANCES.values()]
    near = pd.cut(x["distance_km"], edges, labels=list(DISTANCES), right=False)
    parts["distance_km"] = near.astype(str)
    rows = []
    for feature, level in parts.items():
        if level.nunique() < 2:  # noqa: PLR2004
            continue
        for name in sorted(set(level), key=_by_number):
            here = level == name
            n, wins = int(here.sum()), int(won[here].sum())
            low, high = wilson(wins / n, n)
            value, cycle = done.loc[here & won, "amount"], done.loc[here & won, "months"]
            rows.append(
                {
                    "feature": feature,
                    "level": name,
                    "n": n,
                    "won": wins,
                    "rate": wins / n,
                    "low": low,
                    "high": high,
                    "lift": wins / n / base if base else np.nan,
                    "median_value": value.median(),
                    "median_cycle_m": cycle.median(),
                }
            )
    table = pd.DataFrame(rows, columns=LEVELS)
    # Among many levels some lie high by luck: each is asked as much more as there are of them.
    level = 1 - 2 * LUCK / max(len(table), 1)
    sure = [wilson(r, n, level)[0] > base for r, n in zip(table["rate"], table["n"], strict=True)]
    return table.assign(ideal=np.array(sure, dtype=bool))


def _by_number(name: str) -> tuple[float, str]:
    digits = re.match(r"\d+", name)
    return (float(digits.group()) if digits else np.inf, name)
