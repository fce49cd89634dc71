"""Who buys from us, what they could buy, and which team each counts for (notebook 1)."""

from __future__ import annotations

from functools import cache

import pandas as pd

from terrlib.decisions import (
    overlays,
    segments,
)
from terrlib.measures import customers, ideal, profile, winning
from terrlib.measures import facts as measuring
from terrlib.measures.ideal import Ideal
from terrlib.measures.potential import Potential, area_potential
from terrlib.runs import (
    Run,
    overlay_run,
    read_facts,
    write_facts,
    write_findings,
)


@cache
def find_segments(run: Run) -> segments.Segments:
    """Find the segments of the customer base (notebook 01), under last quarter's names if given."""
    return segments.find_segments(run.market, run.settings, run.market.held("segment"))


@cache
def wallets(run: Run) -> Potential:
    """What every account could buy, and what that rests on (notebook 01)."""
    return measuring.wallets(run.market, run.settings)


@cache
def ideal_customers(run: Run) -> Ideal:
    """Which accounts are likely to buy, as far as past deals can tell (notebook 01)."""
    return ideal.ideal_customers(run.market, run.settings)


@cache
def rfm(run: Run) -> pd.DataFrame:
    """How lately, how often and for how much each customer buys, and who is late (notebook 01)."""
    return customers.rfm(run.market, run.settings)


@cache
def account_facts(run: Run) -> pd.DataFrame:
    """Everything that is measured of an account; segments as decided, else found here."""
    if run.field is not None:
        return _overlay_facts(run, run.field)
    kept = read_facts(run) if run.has("decisions/segment") else None
    if kept is not None and kept.index.equals(run.market.accounts.index):
        return kept
    return _facts(run, _segment(run), wallets(run))


def _facts(run: Run, segment: pd.Series, wallet: Potential | None = None) -> pd.DataFrame:
    ideal_ = ideal_customers(run)
    return measuring.account_facts(run.market, run.settings, segment, wallet, ideal_)


def write_segments(run: Run) -> pd.DataFrame:
    """Write `decisions/segment.csv` and every finding about the data."""
    write_findings(run)
    label = find_segments(run).label
    measured = label.equals(_segment(run))
    write_facts(run, account_facts(run) if measured else _facts(run, label))
    return run.write(
        "decisions/segment", pd.DataFrame({"account_id": label.index, "segment": label.to_numpy()})
    )


def _segment(run: Run) -> pd.Series:
    if run.has("decisions/segment"):
        label = run.read("decisions/segment").set_index("account_id")["segment"]
        if label.index.sort_values().equals(run.market.accounts.index):
            return label.reindex(run.market.accounts.index)
    return find_segments(run).label


@cache
def credit(run: Run) -> pd.DataFrame:
    """Where each measure of each account counts: see `decisions.overlays.credit`."""
    return overlays.credit(run.market, account_facts(run), run.settings)


@cache
def counted(run: Run) -> pd.DataFrame:
    """Facts of the accounts with 0 in what counts in an overlay or is left to a partner.

    What territories are balanced, staffed and judged by; the plan tables speak of every account.
    """
    if run.field is not None:
        return account_facts(run)
    return overlays.counted(account_facts(run), credit(run))


@cache
def overlay_runs(run: Run) -> dict[str, Run]:
    """Every overlay of a run, as a run of its own: drawn, staffed and written by the same steps."""
    market, facts, asked = run.market, account_facts(run), run.settings
    return {
        name: overlay_run(
            run,
            name,
            overlays.overlay_settings(asked, name),
            overlays.overlay_market(market, facts, asked, name),
        )
        for name in asked.overlays
    }


def _overlay_facts(run: Run, field: Run) -> pd.DataFrame:
    accounts, asked = run.market.accounts, field.settings.overlays[run.overlay]
    mine = account_facts(field).loc[accounts.index].assign(unit_id=accounts["unit_id"])
    return overlays.counted(mine, credit(field), run.overlay, asked)


def left_to_partners(run: Run) -> pd.DataFrame:
    """Accounts that an exclusive contract leaves to a partner: distributor_id, sales a year."""
    facts = account_facts(run)
    left = facts[(credit(run) == overlays.PARTNER).any(axis=1)]
    margin = max(run.settings.workload.margin, 1e-9)
    return pd.DataFrame(
        {
            "distributor_id": overlays.exclusive_partner(run.market, facts)[left.index],
            "sales": left["revenue"].clip(lower=0) + left["ev"] / margin,
        }
    )


@cache
def win_rates(run: Run) -> pd.DataFrame:
    """Win rates of the whole base and of every segment."""
    return winning.win_rates(run.market, account_facts(run)["segment"], run.settings)


@cache
def cycle_curves(run: Run) -> pd.DataFrame:
    """How deals end as they grow older, the whole base and every segment."""
    return winning.cycle_curves(run.market, account_facts(run)["segment"], run.settings)


@cache
def open_by_stage(run: Run) -> pd.DataFrame:
    """Chance of the open deals by stage and age: see `winning.open_by_stage`."""
    return winning.open_by_stage(run.market, run.settings)


@cache
def stale_deals(run: Run) -> dict[str, float]:
    """Open deals of a year or more: see `winning.stale_deals`."""
    return winning.stale_deals(run.market, run.settings)


@cache
def next_products(run: Run) -> pd.DataFrame:
    """The product line that each account lacks most: see `profile.next_best_product`."""
    return profile.next_best_product(run.market, account_facts(run))


def promising(run: Run) -> pd.DataFrame:
    """Prospects by industry and size, the most promising kind first: accounts, p_win, ev."""
    facts = account_facts(run)
    prospects = facts[facts["status"] == "prospect"]
    by = prospects.groupby(["industry", "size_class"], as_index=False).agg(
        accounts=("count", "size"), p_win=("p_win", "mean"), ev=("ev", "mean")
    )
    enough = by[by["accounts"] >= FEWEST_OF_A_KIND]
    by = enough if len(enough) else by
    return by.sort_values(["ev", "industry"], ascending=[False, True]).reset_index(drop=True)


FEWEST_OF_A_KIND = 5


def rhythms(run: Run) -> pd.DataFrame:
    """Customers of today with their scores and revenue."""
    rows = rfm(run).join(account_facts(run)[["revenue", "status"]])
    return rows[(rows["rfm"] != "") & (rows["status"] == "customer")]


def no_losses(run: Run) -> bool:
    """Whether losses are hardly recorded, so that no win rate can be known."""
    return ideal_customers(run).reason == "no_lost"


def with_space_range(run: Run) -> pd.DataFrame:
    """Facts of every account with the range of its white space: white_space_low, white_space_high."""
    facts = account_facts(run)
    low, high = (facts[f"potential_{end}"] - facts["revenue"] for end in ("low", "high"))
    return facts.assign(white_space_low=low, white_space_high=high)


@cache
def white_space(run: Run) -> pd.DataFrame:
    """Revenue and white space with its range by area, or by town without areas, most first.

    Columns: area_id ("" without areas), name, revenue, white_space, white_space_low,
    white_space_high, outside and n_outside (potential and number of firms that are not in the CRM).
    """
    facts, market = with_space_range(run), run.market
    place = (
        facts["area_id"].map(market.areas["name"]) if len(market.areas) else market.accounts["town"]
    )
    place = place.where(place.fillna("") != "", market.accounts["name"]).rename("name")
    columns = ["revenue", "white_space", "white_space_low", "white_space_high"]
    facts["area_id"] = facts["area_id"] if len(market.areas) else ""
    by = facts.groupby(["area_id", place])[columns].sum().reset_index()
    beyond = area_potential(market, facts, run.settings).set_index("area_id")
    beyond = beyond.loc[beyond["n_outside"] > 0, ["outside", "n_outside"]]
    # Where nobody is an account there may be firms all the same.
    alone = beyond.loc[~beyond.index.isin(by["area_id"])].reset_index()
    alone["name"] = alone["area_id"].map(market.areas["name"]).fillna(alone["area_id"])
    by = by.join(beyond, on="area_id")
    by = pd.concat([by, alone], ignore_index=True) if len(alone) else by
    numbers = [*columns, "outside", "n_outside"]
    by[numbers] = by[numbers].fillna(0.0)
    return by.sort_values(["white_space", "name"], ascending=[False, True]).reset_index(drop=True)
