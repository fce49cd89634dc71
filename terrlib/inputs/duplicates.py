"""Accounts that look like one firm entered twice: proposed with a reason, never merged in silence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from stdnum.pl import nip

from terrlib.inputs.values import fold

NEAR = 0.9
BLOCK, WINDOW = 60, 20
PILE = 10
COLUMNS = ["account_id", "merge_into", "kind", "rule", "reason", "revenue"]
REASONS = {
    "tax_and_place": "the same tax number and place",
    "tax_only": "the same tax number, and one of them has no place",
    "tax_other_street": "the same tax number and town, another street",
    "name_and_postal_code": "the same name and postal code",
    "name_and_town": "the same name and town",
    "near_name": "nearly the same name in one postal code or town",
    "one_firm": "one firm, {n} sites: the same tax number in different places",
    "one_site": "one site, {n} accounts: the same address or point, so one stop",
}
CERTAIN = ("tax_and_place", "tax_only")
STREET = re.compile(r"^(ul|ulica|al|aleja|os|osiedle|pl|plac) ")


def propose(accounts: pd.DataFrame, country: str = "PL") -> pd.DataFrame:
    """Propose which accounts to merge, and name firms of several sites and sites of several firms.

    Parameters
    ----------
    accounts
        account_id, name, tax_id, street, postal_code, town, lat, lon (NaN where the point is not
        the account's own), revenue.
    country
        Tax numbers of PL must be valid to count.

    Returns
    -------
    DataFrame, sorted by kind and by what it would be merged into
        account_id
        merge_into   the account of its group with most revenue, ties by id; "" where nothing is
                     to be merged
        kind         certain, likely, firm (one firm with several sites), site (one stop)
        rule         key of `REASONS`
        reason       in words
        revenue      of the account

    Notes
    -----
    No account is compared with all others: only those that share a tax number, a name, or (for
    names that differ by a letter) a postal code or town. Equal names in different towns are
    different customers; so are accounts whose tax numbers, postal codes or streets contradict each
    other. Numbers in a name count: shop 12 is not shop 13.

    Examples
    --------
    >>> rows = pd.DataFrame({"account_id": ["1", "2"], "name": ["Żuk Sp. z o.o.", "ZUK"],
    ...     "tax_id": "", "street": "", "postal_code": "00-950", "town": "", "lat": float("nan"),
    ...     "lon": float("nan"), "revenue": [1.0, 5.0]})
    >>> propose(rows)[["account_id", "merge_into", "kind"]].to_numpy().tolist()
    [['1', '2', 'likely']]
    """
    rows = accounts.reset_index(drop=True)
    if not len(rows):
        return nothing()
    keys = _keys(rows, country)
    edges = _edges(keys)
    sure = _groups(len(rows), edges[edges["rule"].isin(CERTAIN)])
    every = _groups(len(rows), edges)
    order = pd.DataFrame({"id": rows["account_id"].astype(str), "revenue": _revenue(rows)})
    order = order.sort_values(["revenue", "id"], ascending=[False, True], kind="stable")
    order = order.assign(at=order.index)
    best = order.groupby(every[order.index])["at"].transform("first").sort_index()
    extra = best.index[best.to_numpy() != best.index.to_numpy()]
    certain = sure[extra] == sure[best[extra].to_numpy()]
    found = pd.concat(
        [
            pd.DataFrame(
                {
                    "at": extra[certain == is_sure],
                    "kind": kind,
                    "rule": _why(edges, extra[certain == is_sure], rules),
                }
            )
            for kind, is_sure, rules in (("certain", True, CERTAIN), ("likely", False, REASONS))
        ]
        + [_firms(keys, sure), _sites(keys, every)],
        ignore_index=True,
    )
    if "n" not in found:
        found["n"] = 0
    merged = found["kind"].isin(["certain", "likely"]).to_numpy()
    into = order["id"].sort_index().to_numpy()[best[found["at"]].to_numpy()]
    out = pd.DataFrame(
        {
            "account_id": order["id"].sort_index().to_numpy()[found["at"]],
            "merge_into": np.where(merged, into, ""),
            "kind": found["kind"],
            "rule": found["rule"],
            "reason": [
                REASONS[r].format(n=int(n))
                for r, n in zip(found["rule"], found["n"].fillna(0), strict=True)
            ],
            "revenue": _revenue(rows)[found["at"]],
        }
    )
    return out.sort_values(["kind", "merge_into", "account_id"], kind="stable", ignore_index=True)


def nothing() -> pd.DataFrame:
    """No proposal."""
    return pd.DataFrame({c: pd.Series(dtype=float if c == "revenue" else str) for c in COLUMNS})


def _revenue(rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.asarray(rows["revenue"].fillna(0.0), dtype=float)


def _keys(rows: pd.DataFrame, country: str) -> pd.DataFrame:
    """What accounts are compared by: at, name, tax, town, postal, street, point; "" where unknown."""
    tax = rows["tax_id"].str.replace(r"[^0-9A-Za-z]", "", regex=True).str.upper()
    if country == "PL":
        tax = tax.str.removeprefix("PL")
        tax = tax.where(tax.map(lambda t: len(set(t)) > 1 and nip.is_valid(t)), "")
    return _place_keys(rows).assign(name=rows["name"].map(fold), tax=tax)


def _place_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Where accounts are: at, town, postal, street, point; "" where unknown."""
    point = rows["lat"].round(5).astype(str) + " " + rows["lon"].round(5).astype(str)
    return pd.DataFrame(
        {
            "at": np.arange(len(rows)),
            "town": rows["town"].map(fold),
            "postal": rows["postal_code"].str.replace(r"\W", "", regex=True).str.lower(),
            "street": rows["street"].map(fold).str.replace(STREET, "", regex=True),
            "point": point.where(rows["lat"].notna() & rows["lon"].notna(), ""),
        }
    )


def _edges(keys: pd.DataFrame) -> pd.DataFrame:
    """Pairs to merge, the surest first: a, b, rule."""
    nowhere = (keys[["town", "postal", "point"]] == "").all(axis=1)
    homeless = keys[(keys["tax"] != "") & keys["tax"].isin(keys.loc[nowhere, "tax"])]
    placed = homeless.sort_values("at", key=lambda at: nowhere[at], kind="stable")
    first = placed.groupby("tax")["at"].transform("first")
    lone = (first != placed["at"]) & nowhere[placed["at"]].to_numpy()
    parts = [
        *(_star(keys, ["tax", place], ["street"], "tax_and_place") for place in _PLACES),
        pd.DataFrame({"a": first[lone], "b": placed.loc[lone, "at"], "rule": "tax_only"}),
        *(_star(keys, ["tax", place], [], "tax_other_street") for place in ("town", "postal")),
        _star(keys, ["name", "postal"], ["tax", "street"], "name_and_postal_code"),
        _star(keys, ["name", "town"], ["tax", "postal", "street"], "name_and_town"),
        _near(keys),
    ]
    return pd.concat(parts, ignore_index=True)


_PLACES = ("town", "postal", "point")


def _star(keys: pd.DataFrame, by: Sequence[str], apart: Sequence[str], rule: str) -> pd.DataFrame:
    """Join every row with the first of those that agree in `by` and do not contradict in `apart`.

    Where a group holds several values of a column of `apart`, each value is a group of its own, and
    so are the rows without one: they could belong to any of them.
    """
    known = keys[(keys[list(by)] != "").all(axis=1)]
    known = known[known.duplicated(list(by), keep=False)]
    split = []
    for column in apart:
        values = known[column].where(known[column] != "")
        several = values.groupby([known[c] for c in by]).transform("nunique") > 1
        split.append(known[column].where(several, ""))
    groups = [*(known[c] for c in by), *split]
    first = known["at"].groupby(groups).transform("first")
    pairs = pd.DataFrame({"a": first, "b": known["at"], "rule": rule})
    return pairs[pairs["a"] != pairs["b"]]


def _near(keys: pd.DataFrame) -> pd.DataFrame:
    """Pairs of names that differ by little, inside one postal code, or one town where none is known."""
    block = np.where(keys["postal"] != "", "p" + keys["postal"], "t" + keys["town"])
    rows = keys.assign(block=block, words=keys["name"].map(lambda n: " ".join(sorted(n.split()))))
    rows = rows[(rows["words"] != "") & (rows["block"] != "t")]
    rows = rows[rows["block"].duplicated(keep=False)].sort_values(["block", "words", "at"])
    found = []
    for _, group in rows.groupby("block", sort=False):
        members = list(group.itertuples(index=False))
        reach = len(members) if len(members) <= BLOCK else WINDOW
        for i, one in enumerate(members):
            found += [
                (one.at, two.at, "near_name")
                for two in members[i + 1 : i + 1 + reach]
                if one.words != two.words and _alike(one, two)
            ]
    return pd.DataFrame(found, columns=["a", "b", "rule"])


def _alike(one: object, two: object) -> bool:
    for column in ("tax", "street", "town"):
        mine, other = getattr(one, column), getattr(two, column)
        if mine and other and mine != other:
            return False
    a, b = one.words, two.words  # type: ignore[attr-defined]
    if re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return False
    # The cheap bounds first: most pairs end there.
    match = SequenceMatcher(None, a, b, autojunk=False)
    return (
        match.real_quick_ratio() >= NEAR and match.quick_ratio() >= NEAR and match.ratio() >= NEAR
    )


def _groups(n: int, edges: pd.DataFrame) -> NDArray[np.int32]:
    a, b = edges["a"].to_numpy(int), edges["b"].to_numpy(int)
    graph = coo_array((np.ones(len(edges)), (a, b)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1])


def _why(edges: pd.DataFrame, rows: pd.Index, rules: Sequence[str] | dict[str, str]) -> list[str]:
    """Tell the surest reason that joins each row with another."""
    allowed = edges[edges["rule"].isin(list(rules))]
    ends = pd.concat(
        [
            allowed[["a", "rule"]].set_axis(["at", "rule"], axis=1),
            allowed[["b", "rule"]].set_axis(["at", "rule"], axis=1),
        ]
    )
    rank = {rule: i for i, rule in enumerate(REASONS)}
    ends = ends.assign(rank=ends["rule"].map(rank)).sort_values("rank", kind="stable")
    return ends.drop_duplicates("at").set_index("at")["rule"].reindex(rows).tolist()


def _firms(keys: pd.DataFrame, sure: NDArray[np.int32]) -> pd.DataFrame:
    """Rows of firms that have more than one site."""
    known = keys[keys["tax"] != ""]
    sites = (
        pd.Series(sure, index=keys.index)[known.index].groupby(known["tax"]).transform("nunique")
    )
    return _named(known["at"][sites > 1], sites[sites > 1], "firm", "one_firm")


def sites(accounts: pd.DataFrame) -> pd.Series:
    """Find which accounts a rep meets at one stop: one address, or one point that is no pile.

    Parameters
    ----------
    accounts
        As for `propose`.

    Returns
    -------
    Series, account_id -> site_id
        The least account_id at the site; its own where it is alone or its place is not known.

    Examples
    --------
    >>> rows = pd.DataFrame({"account_id": ["1", "2"], "name": ["Żuk", "Bąk"], "tax_id": "",
    ...     "street": "Długa 1", "postal_code": "00-950", "town": "", "lat": float("nan"),
    ...     "lon": float("nan"), "revenue": [1.0, 5.0]})
    >>> sites(rows).to_dict()
    {'1': '1', '2': '1'}
    """
    rows = accounts.reset_index(drop=True)
    own = rows["account_id"].astype(str)
    if not len(rows):
        return own.set_axis(own)
    site = _places(_place_keys(rows))
    return own.groupby(site.where(site != "", "alone " + own)).transform("min").set_axis(own)


def _places(keys: pd.DataFrame) -> pd.Series:
    """Address, else the point where it is no pile, else ""."""
    place = np.where(keys["postal"] != "", keys["postal"], keys["town"])
    address = pd.Series(place, index=keys.index) + "|" + keys["street"]
    known = (keys["street"] != "") & (place != "")
    crowd = keys.groupby("point")["at"].transform("size")
    return address.where(known, keys["point"].where(crowd < PILE, ""))


def _sites(keys: pd.DataFrame, every: NDArray[np.int32]) -> pd.DataFrame:
    """Rows of places where several firms are."""
    site = _places(keys)
    site = site[site != ""]
    firms = pd.Series(every, index=keys.index)[site.index].groupby(site).transform("nunique")
    size = site.groupby(site).transform("size")
    return _named(keys["at"][site.index][firms > 1], size[firms > 1], "site", "one_site")


def _named(at: pd.Series, n: pd.Series, kind: str, rule: str) -> pd.DataFrame:
    return pd.DataFrame({"at": at, "kind": kind, "rule": rule, "n": n})
