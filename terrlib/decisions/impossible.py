"""Why no such territories can exist: arithmetic before any solver runs, then the smallest set of rules.

With u_1 >= u_2 >= ... the units' shares of a measure, k territories and a limit `most` of each:

    u_1 <= most                                  else one unit alone is too large
    u_(jk-j+1) + ... + u_(jk+1) <= most          the j + 1 smallest of the jk + 1 largest units: some
                                                 territory holds j + 1 of these (pigeonhole)
    some set of units adds up to within each territory's limits      (subset sums)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from terrlib.decisions.rules import (
    Rules,
    amounts_moved,
    blocks,
    compile_problem,
    graph,
    slots,
)
from terrlib.inputs.market import Market
from terrlib.show.words import Told, either, some
from terrlib.solve.milp import assign_units

FEW_UNITS = 16
MEMBERS = 3  # of a group that are named
ALIKE = 0.8  # from where two names are taken for one misspelt
CENTS = 100  # amounts have two digits
SUMS = 2_000_000  # subset sums that are listed at most
TINY = 1e-9
PAIRS = 7_000  # units times slots up to which a conflict is looked for
NODES, STEPS = 2_000, 50_000  # of the proof that a set of rules cannot hold
MOST_PERCENT = 100  # of a fair share: rules take no tolerance from there on


def impossible(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series | None = None
) -> list[Told]:
    """Reasons of plain arithmetic why no such territories can exist; none is no promise.

    Parameters
    ----------
    market
        Units, who touches whom, and who holds them today.
    measures
        unit_id x measures.
    rules
        What is asked.
    fixed
        unit_id -> territory it must be in.

    Returns
    -------
    list of Told
        Sentences with numbers and what would help.
    """
    fixed = pd.Series(dtype=str) if fixed is None else fixed
    k, n = rules.n_territories, len(measures)
    if k > n:
        return [Told("refusal.more_territories_than_units", k=k, n=n)]
    named = set(fixed) | {name for _, name in rules.protected}
    if len(named) > k:
        what = Told(f"refusal.overrides{'_and_protected' if rules.protected else ''}")
        several = {"named": len(named), "k": k, "spare": len(named) - k}
        return [Told("refusal.more_names_than_territories", what=what, **several)]
    reasons = list(_misspelt(market, measures, rules, fixed))
    reasons += _contradictions(market, measures, rules, fixed)
    for measure, tolerance in rules.balance.items():
        total = float(measures[measure].sum())
        if total <= 0:
            reasons.append(Told("refusal.nothing_to_balance", measure=measure))
            continue
        share = measures[measure] / total
        found = _too_large(market, share, rules, measure, tolerance)
        found += _sets_too_large(market, measures, share, rules, measure, tolerance, fixed)
        reasons += found or _too_coarse(measures[measure], share, rules, measure, tolerance)
    return reasons + _islands(market, measures, rules) + _caps(market, measures, rules, fixed)


def _help(needed: float, *ways: Told) -> Told:
    """What would help: the least tolerance that does, in whole per cent below 100, and other ways."""
    percent = float(np.ceil(round(needed * 100, 6)))
    allow = Told("refusal.allow_balance", balance=percent / 100)
    return either("or_else", *([allow] if percent < MOST_PERCENT else []), *ways)


def _misspelt(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> Iterator[Told]:
    """Territories that a rule names and that nobody knows, but that look like one of today's."""
    today = sorted(set(market.assignments["territory"]))
    for unit, name in fixed.items():
        near = difflib.get_close_matches(name, today, n=1, cutoff=ALIKE)
        # T10 beside T1 is a new number, not a slip of the pen.
        if near and name not in today and _letters(name) != _letters(near[0]):
            called = {"unit": market.units["name"][unit], "territory": name, "near": near[0]}
            yield Told("refusal.override_misspelt", **called)
    known = [*slots(market, measures, rules, fixed)["name"], *today]
    for unit, name in rules.forbidden:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or sorted(set(known))
            called = {"unit": market.units["name"][unit], "territory": name, "near": near}
            yield Told("refusal.forbidden_misspelt", **called)


def _letters(name: str) -> str:
    return "".join(c for c in name if not c.isdigit())


def _contradictions(  # noqa: C901
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> Iterator[Told]:
    """Rules that say two things of one unit."""
    names, k = market.units["name"], rules.n_territories
    kept: dict[str, str] = dict(fixed)
    for unit, territory in rules.protected:
        if kept.setdefault(unit, territory) != territory:
            why = "protected_overridden" if unit in fixed else "protected_elsewhere"
            told = {"unit": names[unit], "territory": territory, "other": kept[unit]}
            yield Told(f"refusal.{why}", **told)
    banned = set(rules.forbidden)
    for unit, territory in kept.items():
        if (unit, territory) in banned:
            yield Told("refusal.kept_and_forbidden", unit=names[unit], territory=territory)
    called = set(slots(market, measures, rules, fixed)["name"])
    for unit in sorted({unit for unit, _ in banned}):
        if called <= {territory for who, territory in banned if who == unit}:
            yield Told("refusal.forbidden_everywhere", unit=names[unit], k=k)
    for group in rules.together:
        wanted = sorted({kept[unit] for unit in group if unit in kept})
        if len(wanted) > 1:
            told = {"unit": names[group[0]], "n": len(group) - 1}
            yield Told("refusal.together_torn", **told, places=either("and", *map(Told, wanted)))
    block = blocks({unit: i for i, unit in enumerate(measures.index)}, rules.together)
    of_unit = pd.Series(block, index=measures.index)
    for group in rules.apart:
        if len(group) > k:
            many = {"n": len(group), "k": k, "spare": len(group) - k}
            first, second = names[group[0]], names[group[1]]
            yield Told("refusal.too_many_apart", first=first, second=second, **many)
        for a, b in combinations(group, 2):
            if of_unit[a] == of_unit[b] or (a in kept and kept.get(a) == kept.get(b)):
                key = "apart_but_bound" if a in kept else "apart_but_together"
                where = {"territory": kept[a]} if a in kept else {}
                yield Told(f"refusal.{key}", first=names[a], second=names[b], **where)


def _too_large(
    market: Market, share: pd.Series, rules: Rules, measure: str, tolerance: float
) -> list[Told]:
    """One unit, or the units that must share a territory, above the upper limit."""
    fair = float(rules.fair().max())
    most, names = (1 + tolerance) * fair, market.units["name"]
    big = share[share > most * (1 + TINY)].sort_values(ascending=False, kind="stable")
    if len(big):
        needed = float(big.iloc[0]) / fair - 1
        more = len(big) - 1
        ways = [Told("refusal.draw_fewer")]
        if len(set(rules.shares)) <= 1:
            at_most = max(int(np.floor((1 + tolerance) / float(big.iloc[0]))), 1)
            few = Told("refusal.draw_at_most", k=at_most)
            ways = [few if at_most > 1 else Told("refusal.balance_another")]
        if market.units.loc[big.index[0], "n_accounts"] > 1:
            ways.append(Told("refusal.split_unit"))
        return [
            Told(
                "refusal.unit_too_large",
                unit=names[big.index[0]],
                share=float(big.iloc[0]),
                measure=measure,
                most=most,
                others=Told("refusal.others_too_large", n=more) if more else "",
                help=_help(needed, *ways),
            )
        ]
    ranked, k = share.sort_values(ascending=False, kind="stable"), rules.n_territories
    for j in range(1, (len(ranked) - 1) // k + 1):
        least = float(ranked.iloc[j * k - j : j * k + 1].sum())
        if least > most * (1 + TINY):
            needed = least / fair - 1
            return [
                Told(
                    "refusal.pigeonhole",
                    n=j * k + 1,
                    m=j + 1,
                    share=least,
                    measure=measure,
                    most=most,
                    help=_help(needed, Told("refusal.draw_fewer")),
                )
            ]
    return []


def _sets_too_large(
    market: Market,
    measures: pd.DataFrame,
    share: pd.Series,
    rules: Rules,
    measure: str,
    tolerance: float,
    fixed: pd.Series,
) -> list[Told]:
    """Units locked into one territory by hand, by protection or by a group, above its limit."""
    slot = slots(market, measures, rules, fixed)
    most = dict(zip(slot["name"], (1 + tolerance) * slot["share"], strict=True))
    largest = float(slot["share"].max()) * (1 + tolerance)
    kept = dict(rules.protected) | dict(fixed)
    block = blocks({unit: i for i, unit in enumerate(measures.index)}, rules.together)
    of_unit = pd.Series(block, index=measures.index)
    where = of_unit.map({of_unit[unit]: name for unit, name in kept.items()}).dropna()
    reasons = []
    for name, value in share.reindex(where.index).groupby(where).sum().items():
        if value > most[str(name)] * (1 + TINY) and (where == name).sum() > 1:
            fair = most[str(name)] / (1 + tolerance)
            way = Told("refusal.take_out_of_overrides", share=value - most[str(name)])
            reasons.append(
                Told(
                    "refusal.overrides_too_large",
                    territory=name,
                    share=value,
                    measure=measure,
                    most=most[str(name)],
                    help=_help(value / fair - 1, way),
                )
            )
    for group in rules.together:
        value = float(share[of_unit == of_unit[group[0]]].sum())
        if value > largest * (1 + TINY):
            way = Told("refusal.take_out_of_group", share=value - largest)
            reasons.append(
                Told(
                    "refusal.group_too_large",
                    unit=market.units["name"][group[0]],
                    share=value,
                    measure=measure,
                    most=largest,
                    help=_help(value * (1 + tolerance) / largest - 1, way),
                )
            )
    return reasons


def _too_coarse(
    load: pd.Series, share: pd.Series, rules: Rules, measure: str, tolerance: float
) -> list[Told]:
    """A tolerance finer than the units allow: no set of them adds up to a fair share."""
    reach, k = _sums(load.to_numpy(float)), rules.n_territories
    if reach is None or k == 1:
        return []
    total = float(load.sum())
    shares = np.unique(rules.fair())
    offs = [np.abs(reach / (fair * total) - 1) for fair in shares]
    worst = int(np.argmax([off.min() for off in offs]))
    fair, off = shares[worst], offs[worst]
    if off.min() > tolerance * (1 + TINY) + TINY:
        low, high = (1 - tolerance) * fair, (1 + tolerance) * fair
        return [
            Told(
                "refusal.no_such_set",
                low=low,
                high=high,
                measure=measure,
                near=reach[off.argmin()] / total,
                n=len(share),
                help=_help(off.min(), Told("refusal.smaller_units")),
            )
        ]
    if rules.shares and len(set(rules.shares)) > 1:
        return []
    # Equal shares: the largest sums within the limit, k times, must reach the total; so the smallest.
    inside = reach[np.abs(reach * k / total - 1) <= tolerance * (1 + TINY) + TINY]
    low, high = float(inside.min()), float(inside.max())
    if low * k <= total * (1 + TINY) and high * k >= total * (1 - TINY):
        return []
    short = high * k < total
    next_ = reach[reach > high].min() if short else reach[reach < low].max()
    return [
        Told(
            "refusal.sums_short" if short else "refusal.sums_over",
            k=k,
            near=(high if short else low) / total,
            measure=measure,
            help=_help(abs(float(next_) * k / total - 1), Told("refusal.smaller_units")),
        )
    ]


def _sums(load: np.ndarray) -> np.ndarray | None:
    """Every sum that some set of units has, not 0; None where they are too many to list."""
    whole = np.round(load * CENTS)
    step = float(np.gcd.reduce(whole.astype(np.int64))) or 1.0
    if np.abs(load * CENTS - whole).max() < TINY * CENTS and whole.sum() <= SUMS * step:
        bits = 1
        for w in (whole / step).astype(np.int64).tolist():
            bits |= bits << w
        text = np.frombuffer(bin(bits)[:1:-1].encode(), dtype=np.uint8)
        return np.flatnonzero(text == ord("1"))[1:] * (step / CENTS)
    if len(load) > FEW_UNITS:
        return None
    sums = np.zeros(1)
    for w in load:
        sums = np.concatenate([sums, sums + w])
    return np.sort(sums)[1:]


def _islands(market: Market, measures: pd.DataFrame, rules: Rules) -> list[Told]:
    """A part of the map that touches nothing else must hold whole territories."""
    if not (rules.whole and market.places):
        return []
    start, touch = graph(market, measures.index)
    n = len(measures)
    count, part = connected_components(
        csr_array((np.ones(len(touch)), touch, start), shape=(n, n)), directed=False
    )
    if count == 1:
        return []
    if count > rules.n_territories:
        return [Told("refusal.too_many_parts", n=count, k=rules.n_territories)]
    reasons = []
    fair = float(rules.fair().min())
    for measure, tolerance in rules.balance.items():
        total = float(measures[measure].sum())
        load = np.bincount(part, weights=measures[measure].to_numpy()) / max(total, 1e-12)
        low = (1 - tolerance) * fair
        for c in np.flatnonzero(load < low * (1 - TINY)):
            inside = measures.index[part == c]
            reasons.append(
                Told(
                    "refusal.island_too_small",
                    unit=market.units["name"][inside[0]],
                    n=len(inside),
                    share=float(load[c]),
                    measure=measure,
                    low=low,
                    help=_help(1 - load[c] / fair, Told("refusal.add_ferry")),
                )
            )
    return reasons[:3]


def _caps(market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series) -> list[Told]:
    """A limit on change that is below what the balance alone makes move."""
    if not rules.caps or not len(market.assignments):
        return []
    slot = slots(market, measures, rules, fixed)
    kinds = list(rules.caps)
    amounts = amounts_moved(market, measures.index, slot["name"].tolist(), kinds)
    reasons = []
    for (kind, cap), moved_in in zip(rules.caps.items(), np.moveaxis(amounts, 2, 0), strict=True):
        # Each unit where least of it moves; leaving there costs what the next best moves more.
        best, ranked = moved_in.argmin(axis=1), np.sort(moved_in, axis=1)
        more_of = pd.Series(ranked[:, :2].max(axis=1) - ranked[:, 0], index=measures.index)
        sure = float(ranked[:, 0].sum())
        needed, why = sure, Told("refusal.why_vanish")
        for measure, tolerance in rules.balance.items():
            total = float(measures[measure].sum())
            moved = sure + sum(
                _least_moved(
                    measures.loc[best == t, measure],
                    more_of[best == t],
                    (1 + tolerance) * share * total,
                )
                for t, share in enumerate(slot["share"])
            )
            if moved > needed:
                needed, why = moved, Told("refusal.why_balance", measure=measure)
        if needed > cap * (1 + TINY) + TINY:
            more = int(np.ceil(round(needed, 6)))
            reasons.append(Told(f"refusal.cap_of_{kind}", more=more, why=why, cap=round(cap)))
    return reasons


def _least_moved(load: pd.Series, amount: pd.Series, most: float) -> float:
    """Least amount that leaves with a load of `load.sum() - most`, units split as one likes."""
    surplus = float(load.sum()) - most
    if surplus <= most * TINY:
        return 0.0
    rate = (amount / load.where(load > 0)).dropna().sort_values(kind="stable")
    took = np.minimum(
        load[rate.index], (surplus - (load[rate.index].cumsum().shift(fill_value=0))).clip(lower=0)
    )
    return float((took * rate).sum())


Named = tuple[str, str]


def said_group(market: Market, rule: str, units: Sequence[str]) -> Told:
    """Name a group of the table groups, with its first members."""
    rows = market.groups[market.groups["rule"] == rule]
    found = [
        str(name) for name, of_it in rows.groupby("group")["unit_id"] if set(of_it) == set(units)
    ]
    members = some(market.units["name"].reindex(list(units)).tolist(), MEMBERS)
    return Told("refusal.named_group", group=found[0], members=members) if found else members


def named_rules(rules: Rules, fixed: pd.Series) -> list[Named]:
    """List the rules that may be taken away one at a time, as kind and which."""
    found = [("balance", measure) for measure in rules.balance]
    found += [("together", ", ".join(group)) for group in rules.together]
    found += [("apart", ", ".join(group)) for group in rules.apart]
    found += [("cap", kind) for kind in rules.caps]
    for kind, there in (
        ("forbidden", bool(rules.forbidden)),
        ("protected", bool(rules.protected)),
        ("overrides", bool(len(fixed))),
        ("pieces", rules.whole),
    ):
        found += [(kind, "")] if there else []
    return found


def without(  # noqa: PLR0911
    rules: Rules, fixed: pd.Series, gone: Named
) -> tuple[Rules, pd.Series]:
    """Return the rules and overrides without one of `named_rules`."""
    kind, which = gone
    if kind == "balance":
        left = {m: t for m, t in rules.balance.items() if m != which}
        return replace(rules, balance=left), fixed
    if kind == "together":
        groups = tuple(g for g in rules.together if ", ".join(g) != which)
        return replace(rules, together=groups), fixed
    if kind == "apart":
        return replace(rules, apart=tuple(g for g in rules.apart if ", ".join(g) != which)), fixed
    if kind == "cap":
        return changed(rules, f"max_{which}", None), fixed
    if kind == "overrides":
        return rules, fixed.iloc[:0]
    if kind == "pieces":
        return replace(rules, whole=False), fixed
    return changed(rules, kind, ()), fixed


def changed(rules: Rules, name: str, value: object) -> Rules:
    """Return the rules with one of them replaced."""
    return replace(rules, **{name: value})  # type: ignore[arg-type]


def conflict(
    market: Market, measures: pd.DataFrame, rules: Rules, fixed: pd.Series
) -> tuple[Named, ...]:
    """Find the smallest set of rules that cannot hold together, by taking away one after another.

    A set is only left smaller where a branch and bound proves that what is left cannot hold, so
    the set returned is proven; taking away any one of it was not proven to be impossible.

    Returns
    -------
    tuple
        Of (kind, which); () where it could not be proven that the rules conflict.

    Notes
    -----
    The deletion filter of Chinneck and Dravnieks (1991).
    """

    def cannot(asked: Rules, held: pd.Series) -> bool:
        problem, _ = compile_problem(market, measures, asked, held)
        free = np.zeros((problem.n, problem.k))
        return assign_units(problem, free, NODES, steps=STEPS).proven_none

    if len(measures) * rules.n_territories > PAIRS or not cannot(rules, fixed):
        return ()
    kept = []
    for name in named_rules(rules, fixed):
        fewer = without(rules, fixed, name)
        if cannot(*fewer):
            rules, fixed = fewer
        else:
            kept.append(name)
    return tuple(kept)
