"""How often deals are won and how long it takes, with open deals counted right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from terrlib.inputs.market import Market
from terrlib.inputs.settings import Settings

HORIZON_M = 36
DAYS_PER_MONTH = 30.4375
OPEN, WON, LOST = 0, 1, 2
DRAWS = 200
LOOKS = 4
STALE_M = 12.0
AGES = {"0-3": 0.0, "3-6": 3.0, "6-12": 6.0, "12+": STALE_M}


def deals(market: Market) -> pd.DataFrame:
    """List opportunities as durations.

    Returns
    -------
    DataFrame, indexed by opp_id
        account_id
        months     age when closed, or on the last day that counts       months
        outcome    0 open, 1 won, 2 lost; closed after that day is open
        amount     value                                                 currency
    """
    table, as_of = market.opportunities, market.as_of
    if not len(table) or as_of is None:
        columns = {"account_id": str, "months": float, "outcome": int, "amount": float}
        return pd.DataFrame({c: pd.Series(dtype=t) for c, t in columns.items()})
    closed = table["is_closed"].astype(bool) & (table["close_date"] <= as_of)
    end = table["close_date"].where(closed, as_of)
    days = (end - table["created_date"]).dt.days.clip(lower=0)
    return pd.DataFrame(
        {
            "account_id": table["account_id"],
            "months": np.clip(days / DAYS_PER_MONTH, 0.01, HORIZON_M),
            "outcome": np.where(closed, np.where(table["is_won"], WON, LOST), OPEN),
            "amount": table["amount"],
        }
    )


def first_purchase(market: Market) -> pd.Series:
    """Day of the first sale or won deal of every account, or since when it is a customer.

    Returns
    -------
    Series, account_id -> day
        The earliest that any table tells; accounts without one are left out.
    """
    every = _bought(market)
    if "customer_since" in market.accounts:
        since = pd.to_datetime(market.accounts["customer_since"].dropna())
        since = since.rename_axis("account_id").rename("date").reset_index()
        every = pd.concat([every, since.astype(every.dtypes)], ignore_index=True)
    return every.groupby("account_id")["date"].min()


def _bought(market: Market) -> pd.DataFrame:
    """Account and day of everything known to have been bought: sales, and deals won."""
    done = deals(market)
    won = market.opportunities.loc[done.index[done["outcome"] == WON]]
    sold = market.sales.loc[market.sales["amount"] > 0, ["account_id", "date"]]
    ended = won[["account_id", "close_date"]].set_axis(["account_id", "date"], axis=1)
    kinds = {"account_id": str, "date": "datetime64[us]"}
    return pd.concat([d.astype(kinds) for d in (sold, ended)], ignore_index=True)


def status_before(market: Market, settings: Settings, when: pd.DataFrame) -> pd.Series:
    """What an account was on the eve of a day, whatever it is today.

    Parameters
    ----------
    market
        Its sales, won deals and `customer_since`.
    settings
        `customers.rfm_months`: who has bought nothing for so long is lost.
    when
        account_id and date of each question.

    Returns
    -------
    Series, indexed like `when`
        prospect    has bought nothing before that day
        customer    has bought, or is no prospect today and nobody tells since when
        lost        has bought, but not lately; needs sales that reach back so far, or an account that
                    is lost or inactive today and of which no purchase is known

    Examples
    --------
    A deal that was won makes a customer, but it was opened with a prospect:

    >>> from types import SimpleNamespace
    >>> deal = pd.DataFrame({"account_id": ["a"], "amount": 1.0, "is_closed": True, "is_won": True,
    ...     "created_date": pd.to_datetime(["2026-01-01"]), "close_date": pd.to_datetime(["2026-03-01"])})
    >>> none = pd.DataFrame(columns=["account_id", "date", "amount"])
    >>> market = SimpleNamespace(accounts=pd.DataFrame({"status": ["customer"]}, index=["a"]),
    ...     opportunities=deal, sales=none, as_of=pd.Timestamp("2026-09-30"),
    ...     has=lambda table: False)
    >>> days = pd.DataFrame({"account_id": "a", "date": pd.to_datetime(["2026-01-01", "2026-03-02"])})
    >>> status_before(market, Settings(), days).tolist()
    ['prospect', 'customer']
    """
    asked = when.reset_index(drop=True)
    asked = asked.astype({"account_id": str, "date": "datetime64[us]"})
    days = first_purchase(market).reindex(asked["account_id"]).to_numpy("datetime64[us]")
    first = pd.Series(days, asked.index)
    today = asked["account_id"].map(market.accounts["status"])
    bought = first < asked["date"]
    lost = first.isna() & today.isin(["lost", "inactive"])
    if market.has("sales"):
        every = _bought(market).sort_values("date", kind="stable")
        last = pd.merge_asof(
            asked.reset_index().sort_values("date", kind="stable"),
            every.assign(last=every["date"]),
            on="date",
            by="account_id",
            allow_exact_matches=False,
        ).set_index("index")["last"]
        since = asked["date"] - pd.DateOffset(months=settings.customers.rfm_months)
        told = market.sales["date"].min() <= since
        lost |= told & (first < since) & ~(last.reindex(asked.index) >= since)
    unknown = first.isna() & (today == "customer")
    named = np.select([lost, bought | unknown], ["lost", "customer"], "prospect")
    return pd.Series(named, index=when.index)


def deals_a_year(market: Market, settings: Settings) -> pd.Series:
    """How many deals an account starts in a year, by what it was before they were opened.

    Parameters
    ----------
    market
        With or without opportunities.
    settings
        `customers.opportunity_rate` counts as `customers.kappa` accounts that were watched for a
        year; it stands alone where there are no opportunities.

    Returns
    -------
    Series, status -> deals in a year
        Of prospect, customer, lost and inactive; the last two are alike.

    Notes
    -----
    Deals of the last twelve months, by the status of their accounts on the eve (`status_before`),
    over the years that all accounts were of this status, as seen on four days of the twelve months.
    A deal that made a customer is one of a prospect: what an account is today would say that no
    prospect ever asks, since those who did have become customers.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> none = pd.DataFrame({"account_id": [], "amount": []})
    >>> market = SimpleNamespace(opportunities=none, as_of=None)
    >>> deals_a_year(market, Settings()).unique().tolist()
    [0.1]
    """
    assumed, kappa = settings.customers.opportunity_rate, settings.customers.kappa
    names = ["prospect", "customer", "lost", "inactive"]
    table, end = market.opportunities, market.as_of
    if not len(table) or end is None:
        return pd.Series(assumed, index=names)
    opened = table.rename(columns={"created_date": "date"})[["account_id", "date"]]
    opened = opened[(opened["date"] > end - pd.DateOffset(years=1)) & (opened["date"] <= end)]
    seen = status_before(market, settings, opened).value_counts()
    ago = (np.arange(LOOKS) + 0.5) / LOOKS * 365
    watched = pd.DataFrame(
        {
            "account_id": np.tile(market.accounts.index, LOOKS),
            "date": np.repeat(end - pd.to_timedelta(ago, unit="D"), len(market.accounts)),
        }
    )
    years = status_before(market, settings, watched).value_counts() / LOOKS
    seen, years = (s.reindex(names).fillna(0.0).rename(None) for s in (seen, years))
    rate = (seen + kappa * assumed) / (years + kappa)
    rate["inactive"] = rate["lost"]
    return rate


def incidence(
    months: NDArray[np.float64],
    outcome: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Cumulative incidence of winning and losing by month, by Aalen and Johansen.

    Parameters
    ----------
    months, outcome
        Age and outcome (0 open, 1 won, 2 lost) of each deal.
    weights
        How often each deal counts, >= 0; once where not given.

    Returns
    -------
    (HORIZON_M + 1, 2) array
        Probability of being won, and lost, by month 0, 1, ..., 36.

    Examples
    --------
    >>> incidence(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 2, 1, 2]))[-1].tolist()
    [0.5, 0.5]
    """
    from statsmodels.duration.survfunc import CumIncidenceRight  # slow to import

    grid = np.arange(HORIZON_M + 1, dtype=float)
    curves = np.zeros((HORIZON_M + 1, 2))
    weights = np.ones(len(months)) if weights is None else weights
    counts = weights > 0
    if not (outcome[counts] > 0).any():
        return curves
    # With weights statsmodels leaves out its variance, which divides by zero at the last closed deal.
    found = CumIncidenceRight(months[counts], outcome[counts], freq_weights=weights[counts])
    for cause in range(min(2, len(found.cinc))):
        at = np.searchsorted(found.times, grid, side="right") - 1
        curve = np.concatenate([[0.0], found.cinc[cause]])
        curves[:, cause] = curve[at + 1]
    return curves


def win_rates(market: Market, groups: pd.Series, settings: Settings) -> pd.DataFrame:
    """Win rate and sales cycle by group, open deals counted as open.

    Parameters
    ----------
    market
        With or without opportunities.
    groups
        account_id -> group, such as a segment.
    settings
        `customers.kappa` closed deals of the whole base stand beside those of a group; `seed`.

    Returns
    -------
    DataFrame, the whole base first, under the group ""
        group, n, won, lost, open   counts
        naive                   won over closed, 0 where nothing closed       share
        naive_low, naive_high   its 80% interval, as if nothing were open     share
        p_win                   share of deals that are won in the end        share
        low, high               80% interval of p_win                         share
        naive_cycle_m           mean time to the wins so far, NaN without     months
        naive_median_m          median of the same                            months
        cycle_m                 mean time to a win, open deals counted        months
        cycle_median_m          median of the same                            months
        cycle_low, cycle_high   its 80% interval; NaN without a win           months
        tail                    deals of unknown end where the record stops   share

    Without one closed deal `p_win` and the cycle are those of the settings.

    Notes
    -----
    Curves are by Aalen and Johansen (1978); a group of n closed deals gets
    (n * own + kappa * whole base) / (n + kappa). Won over closed is too low wherever deals are lost
    faster than they are won. `p_win` lets the deals of `tail` end as those before them.

    Examples
    --------
    Two are lost after a month, one is won after eight, one is two months old and open: of the two
    that outlived the first month, the one whose end is known was won.

    >>> from types import SimpleNamespace
    >>> begun = ["2026-01-01", "2026-01-01", "2026-01-01", "2026-08-01"]
    >>> ended = ["2026-02-01", "2026-02-01", "2026-09-01", "2026-12-01"]
    >>> table = pd.DataFrame({"account_id": "a", "amount": 1.0,
    ...     "created_date": pd.to_datetime(begun), "close_date": pd.to_datetime(ended),
    ...     "is_closed": [True, True, True, False], "is_won": [False, False, True, False]})
    >>> market = SimpleNamespace(opportunities=table, as_of=pd.Timestamp("2026-09-30"))
    >>> rates = win_rates(market, pd.Series({"a": ""}), Settings())
    >>> rates[["naive", "p_win", "naive_cycle_m"]].round(2).values.tolist()
    [[0.33, 0.5, 7.98]]
    """
    return pd.DataFrame([_rate(c, settings) for c in _curves(market, groups, settings)])


def assumed_chance(settings: Settings) -> tuple[float, float, float]:
    """Win rate where no deal tells it, from half to twice the assumption of the settings.

    Examples
    --------
    >>> assumed_chance(Settings())
    (0.2, 0.1, 0.4)
    """
    p = settings.customers.win_rate
    return p, p / 2, min(1.0, p * 2)


def cycle_curves(market: Market, groups: pd.Series, settings: Settings) -> pd.DataFrame:
    """How deals end as they grow older, by group.

    Parameters
    ----------
    market, groups, settings
        As for `win_rates`.

    Returns
    -------
    DataFrame, the whole base first, under the group ""; empty where no deal has closed
        group
        month        age of a deal, 0 to 36                            months
        won, lost    share of deals that have ended so by this age     share
        open         share still open                                  share
        low, high    80% interval of `won`                             share

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> none = pd.DataFrame({"account_id": []})
    >>> market = SimpleNamespace(opportunities=none, as_of=None)
    >>> cycle_curves(market, pd.Series(dtype=str), Settings()).empty
    True
    """
    columns = ["group", "month", "won", "lost", "open", "low", "high"]
    parts = []
    for c in _curves(market, groups, settings):
        if not c.curve[-1].sum():
            return pd.DataFrame(columns=columns)
        won, lost = c.curve.T
        band = [
            _interval(p, sd, max(c.closed, 1))
            for p, sd in zip(won, c.draws[:, :, 0].std(axis=0), strict=True)
        ]
        low, high = np.array(band).T
        table = {"group": c.group, "month": np.arange(HORIZON_M + 1), "won": won, "lost": lost}
        parts.append(
            pd.DataFrame(table | {"open": np.clip(1 - won - lost, 0, 1), "low": low, "high": high})
        )
    return pd.concat(parts, ignore_index=True)


def ends_won(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of deals won in the end; what outlives the record ends as what came before it.

    Examples
    --------
    >>> float(ends_won(np.array([[0.0, 0.0], [0.2, 0.6]])))
    0.25
    """
    won, lost = curve[..., -1, 0], curve[..., -1, 1]
    return won / np.maximum(won + lost, 1e-12)


def months_to_win(curve: NDArray[np.float64], share: float) -> float:
    """Age by which a share of all wins has come, between whole months by a straight line.

    Examples
    --------
    >>> round(months_to_win(np.array([[0.0, 0.0], [0.1, 0.6], [0.2, 0.8]]), 0.75), 2)
    1.5
    """
    won = curve[:, 0]
    return float(np.interp(share * won[-1], won, np.arange(len(won)))) if won[-1] else np.nan


def pooled_draws(market: Market, settings: Settings) -> NDArray[np.float64]:
    """Win rates of the whole base that the deals seen would allow: one for every draw of them.

    Returns
    -------
    (DRAWS,) array
        Shares; their spread is what is not known of the win rate.
    """
    whole = _curves(market, pd.Series(dtype=str), settings)[0]
    return np.asarray(ends_won(whole.draws))


@dataclass(frozen=True)
class _Curve:
    """Curve of one group, shrunk, with its draws: (DRAWS, HORIZON_M + 1, 2)."""

    group: str
    deals: pd.DataFrame
    kappa: float
    curve: NDArray[np.float64]
    draws: NDArray[np.float64]

    @property
    def closed(self) -> int:
        return int((self.deals["outcome"] != OPEN).sum())


def _curves(market: Market, groups: pd.Series, settings: Settings) -> list[_Curve]:
    # The library has no covariance of the two curves, and without it no variance of the share won,
    # nor any of a shrunk curve. Drawing the deals again, with a seed, has both.
    table = deals(market).sort_index()
    months, outcome = table["months"].to_numpy(), table["outcome"].to_numpy()
    group = table["account_id"].map(groups).astype(object).fillna("").to_numpy(str)
    rng = np.random.default_rng(settings.seed)
    n = max(len(table), 1)
    weights = rng.multinomial(n, np.full(n, 1 / n), DRAWS).astype(float)[:, : len(table)]
    pool = incidence(months, outcome)
    pools = np.array([incidence(months, outcome, w) for w in weights])
    found = [_Curve("", table, 0.0, pool, pools)]
    for name in sorted(set(group) - {""}):
        here = group == name
        kappa, closed = settings.customers.kappa, int((outcome[here] != OPEN).sum())
        own = incidence(months[here], outcome[here])
        owns = np.array([incidence(months[here], outcome[here], w[here]) for w in weights])
        curve, draws = (
            (closed * a + kappa * b) / (closed + kappa) for a, b in ((own, pool), (owns, pools))
        )
        found.append(_Curve(str(name), table[here], kappa, curve, draws))
    return found


def _rate(c: _Curve, settings: Settings) -> dict[str, float | str | int]:
    won_in = c.deals.loc[c.deals["outcome"] == WON, "months"]
    won, lost = len(won_in), int((c.deals["outcome"] == LOST).sum())
    naive = won / c.closed if c.closed else 0.0
    naive_low, naive_high = wilson(naive, c.closed)
    row: dict[str, float | str | int] = {
        "group": c.group,
        "n": len(c.deals),
        "won": won,
        "lost": lost,
        "open": len(c.deals) - c.closed,
        "naive": naive,
        "naive_low": naive_low,
        "naive_high": naive_high,
        "naive_cycle_m": float(won_in.mean()),
        "naive_median_m": float(won_in.median()),
    }
    months = settings.timeline.cycle_months
    if not c.curve[-1].sum():
        p, low, high = assumed_chance(settings)
        return row | {
            "p_win": p,
            "low": low,
            "high": high,
            "cycle_m": months,
            "cycle_median_m": months,
            "cycle_low": np.nan,
            "cycle_high": np.nan,
            "tail": 1.0,
        }
    p = float(ends_won(c.curve))
    low, high = _interval(p, float(ends_won(c.draws).std()), max(c.closed, 1))
    steps = np.diff(c.curve[:, 0])
    middle = np.arange(HORIZON_M) + 0.5
    # A draw without a win has no median.
    drawn = [months_to_win(curve, 0.5) for curve in c.draws if curve[-1, 0] > 0]
    soon, late = np.quantile(drawn, [0.1, 0.9]) if steps.sum() and drawn else (np.nan, np.nan)
    median = months_to_win(c.curve, 0.5) if steps.sum() else months
    return row | {
        "p_win": p,
        "low": low,
        "high": high,
        "cycle_m": float(steps @ middle / steps.sum()) if steps.sum() else months,
        "cycle_median_m": median,
        "cycle_low": float(np.fmin(soon, median)) if steps.sum() else np.nan,
        "cycle_high": float(np.fmax(late, median)) if steps.sum() else np.nan,
        "tail": float(max(0.0, 1 - c.curve[-1].sum())),
    }


def _interval(p: float, sd: float, most: float) -> tuple[float, float]:
    """Wilson's interval of as many deals as would give this spread, all of them closed.

    Never of more than have closed: three deals, all lost, are alike in every draw, and what a small
    group borrows from the whole base is no evidence of its own.
    """
    p = min(max(p, 0.0), 1.0)
    worth = p * (1 - p) / sd**2 if sd > 0 else most
    return wilson(p, min(worth, most))


def wilson(p: float, n: float, level: float = 0.80) -> tuple[float, float]:
    """Interval of a rate seen in n cases, by Wilson.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(0.25, 100)]
    [0.199, 0.309]
    """
    if n <= 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.5 + level / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def open_deals(market: Market, settings: Settings) -> pd.DataFrame:
    """Chance and timing of every open deal, given its age, and its stage where `stages` tells it.

    Parameters
    ----------
    market
        Deals; `stages` says when each entered which stage.
    settings
        `customers.kappa` closed deals of any stage stand beside those that went through the stage.

    Returns
    -------
    DataFrame, indexed by opp_id
        account_id
        amount     value                                              currency
        age_m      age                                                months
        p_win      chance of a win, given the age                     share
        by_month   36 chances of being won in each coming month; they add up to p_win

    Notes
    -----
    (CIF_w(end) - CIF_w(age) + tail * p) / S(age): what is still won by deals of this age, and of what
    outlives the record the win rate p of all. Few deals tell of great ages, and who never closes a
    lost deal leaves it to grow old: n deals that ended at this age or later stand beside
    `customers.kappa` of the rate p. Where no win has come yet, p and the months are those of the
    settings.

    Each stage has a clock of its own: the curve of a stage is that of every deal that ever entered
    it, from that day on. A stage of n closed deals counts n / (n + kappa), the curve of all deals by
    their age the rest.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> deal = pd.DataFrame({"account_id": ["a"], "amount": 1.0, "is_closed": False, "is_won": False,
    ...     "created_date": pd.to_datetime(["2026-01-01"]), "close_date": pd.to_datetime(["2026-12-01"])})
    >>> market = SimpleNamespace(opportunities=deal, as_of=pd.Timestamp("2026-09-30"), stages=[])
    >>> open_deals(market, Settings())["p_win"].round(3).tolist()
    [0.2]
    """
    table = deals(market)
    still = table[table["outcome"] == OPEN]
    months, outcome = table["months"].to_numpy(), table["outcome"].to_numpy()
    curve = incidence(months, outcome)
    steps, p = np.diff(curve[:, 0]), float(ends_won(curve))
    if not curve[-1, 0]:
        steps = lag_pmf(settings.timeline.cycle_months, 0.6, HORIZON_M - 1)
        p = settings.customers.win_rate
    by_age = _by_age(curve, months[outcome != OPEN], steps, p, settings.customers.kappa)
    by_month = by_age[_whole_months(still["months"])]
    by_month = _by_stage(market, table, still, by_month, steps, settings.customers.kappa)
    return pd.DataFrame(
        {
            "account_id": still["account_id"],
            "amount": still["amount"].fillna(0.0),
            "age_m": still["months"],
            "p_win": by_month.sum(axis=1),
            "by_month": list(by_month),
        },
        index=still.index,
    )


def stale_deals(market: Market, settings: Settings) -> dict[str, float]:
    """Count the deals open for a year or more, and what is known of deals that ended so late.

    Returns
    -------
    dict
        n, amount       open deals of that age: count, currency
        ended, won      deals of the past that ended at that age or later; those of them won   count
        p_win           mean chance of the open ones, as of `open_deals`; NaN without any      share

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> deal = pd.DataFrame({"account_id": ["a"], "amount": 9.0, "is_closed": False, "is_won": False,
    ...     "created_date": pd.to_datetime(["2025-01-01"]), "close_date": pd.to_datetime(["2026-12-01"])})
    >>> market = SimpleNamespace(opportunities=deal, as_of=pd.Timestamp("2026-09-30"), stages=[])
    >>> stale_deals(market, Settings())
    {'n': 1, 'amount': 9.0, 'ended': 0, 'won': 0, 'p_win': 0.2}
    """
    table = deals(market)
    late = table.loc[table["months"] >= STALE_M, "outcome"]
    still = open_deals(market, settings)
    still = still[still["age_m"] >= STALE_M]
    return {
        "n": len(still),
        "amount": float(still["amount"].sum()),
        "ended": int((late != OPEN).sum()),
        "won": int((late == WON).sum()),
        "p_win": float(still["p_win"].mean()),
    }


def _by_age(
    curve: NDArray[np.float64],
    ended: NDArray[np.float64],
    steps: NDArray[np.float64],
    p: float,
    kappa: float,
) -> NDArray[np.float64]:
    """(HORIZON_M + 1, HORIZON_M) chance to be won in each coming month, by months of age."""
    won, alive = curve[:, 0], np.clip(1 - curve.sum(axis=1), 0, 1)
    left = won[-1] - won + alive[-1] * p
    own = np.divide(left, alive, out=np.full(HORIZON_M + 1, p), where=alive > 1e-9)  # noqa: PLR2004
    told = (ended[None] >= np.arange(HORIZON_M + 1)[:, None]).sum(axis=1)
    found = np.zeros((HORIZON_M + 1, HORIZON_M))
    for age, chance in enumerate((told * own + kappa * p) / (told + kappa)):
        coming = steps[age:] if steps[age:].sum() > 0 else steps
        found[age, : len(coming)] = chance * coming / coming.sum()
    return found


def _whole_months(months: pd.Series) -> NDArray[np.int64]:
    return np.floor(months).clip(upper=HORIZON_M).to_numpy(np.int64)


def _by_stage(
    market: Market,
    table: pd.DataFrame,
    still: pd.DataFrame,
    by_month: NDArray[np.float64],
    steps: NDArray[np.float64],
    kappa: float,
) -> NDArray[np.float64]:
    """Move chances by age towards those of the stage that each open deal is in."""
    if not len(market.stages) or not len(still):
        return by_month
    rows = market.stages[market.stages["opp_id"].isin(table.index)]
    rows = rows.sort_values(["opp_id", "date"], kind="stable")
    last = rows.drop_duplicates("opp_id", keep="last").set_index("opp_id").reindex(still.index)
    first = rows.drop_duplicates(["opp_id", "stage"]).join(table, on="opp_id")
    end = market.opportunities["close_date"].where(table["outcome"] != OPEN, market.as_of)
    days = (first["opp_id"].map(end) - first["date"]).dt.days.clip(lower=0)
    first["months"] = np.clip(days / DAYS_PER_MONTH, 0.01, HORIZON_M)
    clock = first.set_index(["opp_id", "stage"])["months"]
    found = by_month.copy()
    for stage, mine in first.groupby("stage"):
        here = (last["stage"] == stage).to_numpy()
        ended = mine.loc[mine["outcome"] != OPEN, "months"].to_numpy()
        if not here.any() or not len(ended):
            continue
        curve = incidence(mine["months"].to_numpy(), mine["outcome"].to_numpy())
        won = np.diff(curve[:, 0])
        by_age = _by_age(curve, ended, won if won.any() else steps, float(ends_won(curve)), kappa)
        keys = pd.MultiIndex.from_product([still.index[here], [stage]])
        own = by_age[_whole_months(clock.loc[keys])]
        found[here] = (len(ended) * own + kappa * by_month[here]) / (len(ended) + kappa)
    return found


def open_by_stage(market: Market, settings: Settings) -> pd.DataFrame:
    """Chance of the open deals by stage and age, beside what a count of closed deals would say.

    Parameters
    ----------
    market, settings
        As for `open_deals`.

    Returns
    -------
    DataFrame, one row for each stage and age that has open deals, sorted; stages as written
        stage      "" where none is given
        age        0-3, 3-6, 6-12, 12+                                     months
        n          deals                                                   count
        amount     their value                                             currency
        p_win      mean chance of a win, given the age of each             share
        expected   sum of chance times value                               currency
        naive      won over closed, of all deals; NaN where none closed    share

    Notes
    -----
    Without the table `stages` the chance is by age only: what stage a closed deal was in at the same
    age no other table tells, so a stage may not change it.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> none = pd.DataFrame({"account_id": [], "amount": [], "stage": []})
    >>> open_by_stage(SimpleNamespace(opportunities=none, as_of=None), Settings()).empty
    True
    """
    columns = ["stage", "age", "n", "amount", "p_win", "expected", "naive"]
    table = deals(market)
    closed = int((table["outcome"] != OPEN).sum())
    if len(table) == closed:
        return pd.DataFrame(columns=columns)
    still = open_deals(market, settings)
    still["stage"] = market.opportunities["stage"].reindex(still.index).fillna("").astype(str)
    edges = [*AGES.values(), np.inf]
    still["age"] = pd.cut(still["age_m"], edges, labels=list(AGES), right=False)
    still["expected"] = still["p_win"] * still["amount"].fillna(0.0)
    by = still.groupby(["stage", "age"], observed=True)
    found = by.agg(
        n=("p_win", "size"),
        amount=("amount", "sum"),
        p_win=("p_win", "mean"),
        expected=("expected", "sum"),
    ).reset_index()
    won = int((table["outcome"] == WON).sum())
    return found.assign(age=found["age"].astype(str), naive=won / closed if closed else np.nan)


def lag_pmf(mean_m: float, cv: float, last_m: int) -> NDArray[np.float64]:
    """Spread a lag over months: a gamma distribution cut at half months, its tail in the last one.

    Parameters
    ----------
    mean_m
        Mean, months, > 0.
    cv
        Standard deviation over mean.
    last_m
        Last month.

    Returns
    -------
    (last_m + 1,) array
        Probability of a lag of 0, 1, ... months; adds up to 1.

    Examples
    --------
    >>> lag_pmf(5, 0.6, 24)[:3].round(5).tolist()
    [0.00509, 0.06741, 0.13218]
    """
    shape = 1 / cv**2
    edges = np.concatenate([[0.0], np.arange(last_m) + 0.5, [np.inf]])
    return np.diff(stats.gamma.cdf(edges, shape, scale=mean_m / shape))
