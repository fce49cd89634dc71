"""What the data and the customers say (notebook 1)."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.inputs.quality import row_name
from terrlib.measures import customers
from terrlib.measures.facts import share_bought
from terrlib.measures.winning import STALE_M
from terrlib.runs import Run
from terrlib.show import briefs
from terrlib.show.words import Sentence, Words, joined

NAMED = 3
FEWEST_SHOWN = 10
WHOLE = 0.9995  # a score from here on is written as 100.0%
SAME = 0.005  # win rates nearer than this are told as equal


def findings(
    words: Words, found: pd.DataFrame, trust: pd.DataFrame | None = None
) -> list[Sentence]:
    """Say every kind of finding, the gravest first: what, how many, how much money, what would help.

    Parameters
    ----------
    words
        Language and currency.
    found
        `Market.quality`.
    trust
        `Market.trust`, for the share of a table's money.
    """
    whole = trust.set_index("table")["money"].to_dict() if trust is not None else {}
    said = []
    for severity in ("stop", "set_aside", "note"):
        mine = found[found["severity"] == severity]
        if len(mine):
            said.append(words.say(f"quality.heading_{severity}"))
        for (table, rule), rows in mine.groupby(["table", "rule"]):
            money, total = float(rows["money"].sum()), whole.get(table, 0.0)
            share = {"share": money / total} if total > 0 and money > 0 else {}
            line = words.say(
                "quality.line_share" if share else "quality.line",
                table=words.table_label(str(table)),
                what=words.label(f"rule.{rule}"),
                n=len(rows),
                money=money,
                examples=[row_name(k) for k in rows["key"].astype(str).head(3) if k] or "–",
                **share,
            )
            kinds = rows["message"].astype(str).str.removeprefix("finding.").unique()
            helps = [words.help(kind) or words.help(str(rule)) for kind in kinds]
            said.append(joined("-", line, *dict.fromkeys(helps)))
    return said or [words.say("quality.clean")]


def trust(run: Run) -> Sentence:
    """Say how much of the data is used, which table is trusted least, and what looks entered twice."""
    say, rows = run.words.say, run.market.trust
    if rows.empty:
        return say("quality.no_doubles")
    worst = rows.loc[rows["score"].idxmin()]
    sold = rows.set_index("table").loc["sales" if "sales" in set(rows["table"]) else "accounts"]
    money = float(sold["money"])
    said = say(
        "quality.trusted" if money > 0 else "quality.trusted_rows",
        rows=rows["rows_used"].sum() / max(rows["rows"].sum(), 1),
        **({"money": float(sold["money_used"]) / money} if money > 0 else {}),
    )
    if worst["score"] < WHOLE:
        table = run.words.table_label(str(worst["table"]))
        said = joined(said, say("quality.least", table=table, score=float(worst["score"])))
    kinds = run.market.duplicates["kind"].value_counts()
    certain, likely = int(kinds.get("certain", 0)), int(kinds.get("likely", 0))
    key = "doubles" if certain and likely else "doubles_certain" if certain else "doubles_likely"
    twice = say(f"quality.{key}", certain=certain, likely=likely)
    return joined(said, twice if certain + likely else say("quality.no_doubles"))


def quality(run: Run) -> Sentence:
    """Say how many rows were used and how many were set aside, with the money they hold."""
    say, market = run.words.say, run.market
    aside = sum(len(rows) for rows in market.set_aside.values())
    rows = market.quality[market.quality["severity"] == "set_aside"]
    accounts = len(market.set_aside.get("accounts", ()))
    money = float(rows.loc[rows["table"] == "accounts", "money"].sum())
    notes = int((market.quality["severity"] == "note").sum())
    return joined(
        say("quality.used", accounts=len(market.accounts)),
        say("quality.aside", rows=aside, accounts=accounts, money=money) if aside else "",
        say("quality.notes", n=notes) if notes else "",
        trust(run),
    )


def concentration(run: Run) -> Sentence:
    """Say how much of the sales a few customers hold."""
    facts = steps.account_facts(run)
    revenue = facts.loc[facts["revenue"] > 0, "revenue"]
    if revenue.empty:
        return run.words.say("concentration.none")
    limit = run.settings.customers.top_customer
    found = customers.concentration(revenue, limit)
    said = run.words.say(
        "concentration.shares",
        top20=found["top20_share"],
        largest=found["top1_share"],
        effective=found["effective_number"],
        customers=len(revenue),
        a=int((facts["abc"] == "A").sum()),
    )
    name = run.market.accounts["name"].get(revenue.idxmax(), "")
    one = run.words.say("concentration.depends", name=str(name), limit=limit)
    return joined(said, one if found["depends_on_one"] else "")


def nine_fields(run: Run) -> Sentence:
    """Say how many firms buy little or nothing and could buy most, and which are the first."""
    say, asked, facts = run.words.say, run.settings.customers, steps.account_facts(run)
    if not facts["white_space"].sum():
        return say("headline.no_forecast")
    found = customers.new_sales(facts, asked.abc_a, asked.abc_b)
    if found.empty:
        return say("nine.none")
    return say(
        "nine.found",
        n=len(found),
        space=float(found["white_space"].sum()),
        share=float(found["white_space"].sum() / facts["white_space"].sum()),
        names=", ".join(run.market.accounts["name"].reindex(found.index[:NAMED])),
    )


def rhythm(run: Run) -> Sentence:
    """Say who is late against their own rhythm, and how much they buy in a year."""
    say, asked, rows = run.words.say, run.settings.customers, steps.rhythms(run)
    scored = rows[rows["overdue_ratio"].notna()]
    if rows.empty:
        return say("rhythm.none")
    if scored.empty:
        return say("rhythm.unknown")
    late = scored[scored["late"] != ""]
    if late.empty:
        return say("rhythm.on_time", n=len(scored), times=asked.late)
    risk = late[late["late"] == "at_risk"].sort_index()
    first = risk.sort_values("revenue", ascending=False, kind="stable").index[:NAMED]
    revenue = float(late["revenue"].sum())
    return joined(
        say("rhythm.late", n=len(late), revenue=revenue, of=len(scored), times=asked.late),
        say(
            "rhythm.at_risk",
            n=len(risk),
            revenue=float(risk["revenue"].sum()),
            times=asked.at_risk,
            names=", ".join(run.market.accounts["name"].reindex(first)),
        )
        if len(risk)
        else "",
    )


def segments(run: Run) -> Sentence:
    """Say whether there are natural segments, and whether a second method agrees."""
    return briefs.segment_statement(run.words, steps.find_segments(run))


def win_rate(run: Run) -> Sentence:
    """Say how often deals are won, and what a naive count would have said and why."""
    say, rates = run.words.say, steps.win_rates(run)
    whole = rates.loc[rates["group"] == ""].iloc[0]
    if not whole["won"] + whole["lost"]:
        return say("win_rate.none", assumed=float(whole["p_win"]), open=int(whole["open"]))
    if steps.no_losses(run):
        return say("win_rate.no_lost", won=int(whole["won"]))
    said = [say("win_rate.right", p=whole["p_win"], low=whole["low"], high=whole["high"])]
    if whole["won"]:
        said.append(say("win_rate.months", months=whole["cycle_m"]))
    if not whole["open"]:
        said.append(say("win_rate.all_closed"))
    elif abs(whole["naive"] - whole["p_win"]) < SAME:
        said.append(say("win_rate.same", open=int(whole["open"])))
    else:
        said.append(say("win_rate.naive", naive=whole["naive"], open=int(whole["open"])))
    if len(rates) > 1:
        said.append(say("win_rate.segments"))
    still = steps.open_by_stage(run)
    if len(still):
        amount = float(still["amount"].sum())
        said.append(
            say(
                "win_rate.by_stage" if run.market.has("stages") else "win_rate.stages",
                amount=amount,
                expected=float(still["expected"].sum()),
                naive=amount * float(whole["naive"]),
            )
        )
        said.append(_stale(run))
    return joined(*said)


def _stale(run: Run) -> Sentence:
    """Say which open deals are so old that somebody has to ask whether they are alive."""
    found = steps.stale_deals(run)
    if not found["n"]:
        return Sentence("")
    told = {"n": found["n"], "amount": found["amount"], "p": found["p_win"], "months": STALE_M}
    if not found["ended"]:
        return run.words.say("win_rate.stale_unknown", **told)
    return run.words.say("win_rate.stale", ended=found["ended"], won=found["won"], **told)


def ideal_customer(run: Run) -> Sentence:
    """Say what the ideal customer is, how sure that is, and which kind of prospect promises most."""
    say, found = run.words.say, steps.ideal_customers(run)
    best = steps.promising(run)
    said = [ideal_kind(run), _ideal_levels(run)]
    if len(best) and best["ev"].iloc[0] > 0:
        first = best.iloc[0]
        said.append(
            say(
                "ideal.best",
                industry=str(first["industry"]) or run.words.label("unknown"),
                size=run.words.label(str(first["size_class"])),
                ev=float(first["ev"]),
                n=int(first["accounts"]),
            )
        )
    if found.kind == "lookalike":
        said.append(_most_alike(run))
    if len(found.levels):
        said.append(say("ideal.only_pursued"))
    return joined(*said)


def ideal_kind(run: Run) -> Sentence:
    """Say what the chances of a win rest on, and why not on more."""
    found, m = steps.ideal_customers(run), steps.ideal_customers(run).metrics
    deals = {"deals": int(m["n_won"] + m["n_lost"]), "won": int(m["n_won"])}
    if found.kind in ("unknown", "lookalike"):
        assumed = run.settings.customers.win_rate
        said = run.words.say(f"ideal.{found.kind}_{found.reason}", assumed=assumed, **deals)
        return joined(said, _assumed_value(run))
    if found.reason == "tested":
        deals["deals"] = int(m["n_train"] + m["n_calibrate"])
        tested = {"test": int(m["n_test"]), "skill": m["brier_skill"], "lift": m["lift_10"]}
        return run.words.say("ideal.tested", **deals, **tested)
    why: dict[str, float] = {}
    if found.reason in ("no_skill", "bad_slope", "no_better"):
        deals["deals"] = int(m["n_train"] + m["n_calibrate"])
        why = {"test": int(m["n_test"]), "skill": m["brier_skill"]}
        why |= {"slope": m["slope"], "error": m["slope_se"]}
    return joined(
        run.words.say(f"ideal.{found.reason}", **deals, **why),
        run.words.say("ideal.cells"),
        _assumed_value(run),
    )


def _assumed_value(run: Run) -> Sentence:
    """Say what a win is taken to be worth where no win tells."""
    facts = steps.account_facts(run)
    if steps.ideal_customers(run).score["value"].notna().any() or not facts["white_space"].sum():
        return Sentence("")
    if not (facts["revenue"] > 0).any():
        return run.words.say("ideal.value_whole")
    return run.words.say("ideal.value_share", share=share_bought(facts))


def ideal_levels(run: Run) -> pd.DataFrame:
    """The card of the ideal customer under the names that readers know, the ideal first."""
    rows = steps.ideal_customers(run).levels
    rows = rows[rows["n"] >= FEWEST_SHOWN].sort_values(
        ["ideal", "low", "feature", "level"], ascending=[False, False, True, True], kind="stable"
    )
    named = [
        f"{run.words.label(f'feature.{f}')}: {_level(run, f, level)}"
        for f, level in zip(rows["feature"], rows["level"], strict=True)
    ]
    return rows.assign(name=named)


def _level(run: Run, feature: str, level: str) -> str:
    if not level:
        return run.words.label("unknown")
    if feature == "distance_km":
        return f"{level} km"
    return (
        run.words.label(f"level.{level}") if feature == "prior_customer" else run.words.label(level)
    )


def _ideal_levels(run: Run) -> Sentence:
    rows = ideal_levels(run)
    ideal = rows[rows["ideal"]]
    if rows.empty or steps.ideal_customers(run).kind == "lookalike":
        return Sentence("")
    if ideal.empty:
        return run.words.say("ideal.no_level")
    named = [
        run.words.say("ideal.level", name=r.name, rate=r.rate, low=r.low, high=r.high, n=int(r.n))
        for r in ideal.head(NAMED).itertuples()
    ]
    levels = steps.ideal_customers(run).levels
    base = float(levels["won"].sum() / levels["n"].sum())
    return joined(run.words.say("ideal.levels", base=base), "; ".join(named) + ".")


def _most_alike(run: Run) -> Sentence:
    score, status = steps.ideal_customers(run).score, run.market.accounts["status"]
    rank = score["percentile"][status.reindex(score.index) != "customer"].dropna()
    first = rank.sort_values(ascending=False, kind="stable").index[:NAMED]
    names = ", ".join(run.market.accounts["name"].reindex(first))
    return run.words.say("ideal.most_alike", names=names) if names else Sentence("")


def white_space(run: Run) -> Sentence:
    """Say how much more could be bought, and where most of it lies."""
    if not steps.account_facts(run)["white_space"].sum():
        return run.words.say("headline.no_forecast")
    facts = steps.account_facts(run)
    where = steps.white_space(run)
    prospects = facts.loc[facts["status"] != "customer", "white_space"].sum()
    basis = steps.wallets(run).basis
    relative = not basis.calibrated and basis.kind not in ("given", "revenue")
    total = run.words.say(
        "white_space.relative" if relative else "white_space.total",
        total=float(facts["white_space"].sum()),
        low=float(where["white_space_low"].sum()),
        high=float(where["white_space_high"].sum()),
        prospects=float(prospects),
        place=str(where.iloc[0]["name"]),
        most=float(where.iloc[0]["white_space"]),
    )
    beyond = float(where["outside"].sum())
    firms = round(float(where["n_outside"].sum()))
    outside = run.words.say("white_space.outside", x=beyond, n=firms) if beyond > 0 else ""
    return joined(total, outside, potential(run))


def potential(run: Run) -> Sentence:
    """Say what the potentials rest on, whether they are money or only ranks, and what a range holds."""
    basis = steps.wallets(run).basis
    how = run.words.say(f"potential.{basis.kind}", n=basis.n, tau=basis.tau)
    if basis.kind in ("given", "revenue"):
        return how
    level = "market" if basis.calibrated else "relative"
    span = "told" if basis.told else "scaled" if basis.calibrated else "model"
    return joined(
        how,
        run.words.say(f"potential.{level}"),
        run.words.say("potential.above", times=round(basis.above, 1))
        if basis.told and not basis.calibrated
        else "",
        run.words.say(f"potential.{span}", n=basis.told),
    )
