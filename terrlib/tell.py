"""What a run says, in sentences: each function takes a run and answers one question of a notebook."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.decisions.backtest import FEWEST_ORIGINS
from terrlib.decisions.channels import CONTRACT
from terrlib.decisions.goals import COVER
from terrlib.decisions.moves import SEEN
from terrlib.decisions.overlays import managers
from terrlib.decisions.spending import AS_GOOD, WITHIN, hours_bind, steepness
from terrlib.decisions.staffing import VACANT, away
from terrlib.decisions.targeting import CERTAIN, SOUGHT
from terrlib.decisions.territories import Curve, Design
from terrlib.decisions.timeline import RANGE
from terrlib.inputs.quality import row_name
from terrlib.inputs.settings import PARTNER, TABLES
from terrlib.measures import customers
from terrlib.measures.facts import planning_year, share_bought
from terrlib.measures.fairness import BAND, ENVY, by_group, spread
from terrlib.measures.fitting import FEWEST_LEADS, FEWEST_ROWS
from terrlib.measures.response import FITTED, JUDGED, MECHANICAL
from terrlib.measures.sizing import FAR, FLAT
from terrlib.measures.winning import STALE_M
from terrlib.measures.workload import field_days, has_calendar, workdays, yearly_cost
from terrlib.plan import MANAGEMENT, YEAR_Q, over_horizon
from terrlib.review import Review
from terrlib.runs import Run
from terrlib.show import briefs
from terrlib.show.words import Sentence, Words

NOTHING = Sentence("")  # said already by the section before
NAMED = 3
UNSUPPORTED = 0.3  # a goal less likely than this is called unsupported
LEVERS = ("rep_more", "budget_more", "win_more")
EVEN, RANKED = 0.15, 0.3  # variation of stretch, and rank correlation, up to which goals are fair
HEALTHY = (0.55, 0.70)  # share of quotas reached, by practice
FEWEST_SHOWN = 10
STEEP = 3  # times the elasticity that studies found
WHOLE = 0.9995  # a score from here on is written as 100.0%
SAME = 0.005  # win rates nearer than this are told as equal
CHEAP = 1e-6  # of the whole cost: less counts as nothing


def _join(*sentences: str) -> Sentence:
    return Sentence(" ".join(s for s in sentences if s))


def headline(run: Run) -> Sentence:
    """Say the whole plan in a sentence: territories, expected sales with their range, the goal."""
    say, card = run.words.say, steps.territories(run).card
    revenue = float(steps.account_facts(run)["revenue"].sum())
    drawn_ = say(
        "headline.territories" if revenue else "headline.territories_bare",
        n=len(card),
        accounts=int(card["accounts"].sum()),
        **({"revenue": revenue} if revenue else {}),
    )
    year = steps.expected_year(run)
    if year["mean"] <= 0:
        return _join(drawn_, say("headline.no_forecast"))
    expected = say(
        "headline.forecast",
        quarters=len(steps.forecast_sales(run).total),
        mean=year["mean"],
        low=year["p10"],
        high=year["p90"],
        sure=RANGE,
    )
    if not steps.goal_given(run):
        return _join(drawn_, expected, say("headline.no_goal"))
    seen = steps.goal_and_forecast(run)
    return _join(
        drawn_, expected, say("headline.goal", goal=seen["top_down"], chance=seen["chance"])
    )


def missing(run: Run) -> Sentence:
    """Say in one sentence each what could not be done for lack of tables."""
    say = run.words.say
    absent = [name for name in TABLES if name not in run.market.given and name in _NEEDED]
    if not absent:
        return say("missing.nothing")
    return Sentence("\n".join(f"- {say(f'missing.{name}')}" for name in absent))


_NEEDED = ("reps", "sales", "opportunities", "areas", "channels", "distributors", "assignments")


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
            said.append(_join("-", line, *dict.fromkeys(helps)))
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
        said = _join(said, say("quality.least", table=table, score=float(worst["score"])))
    kinds = run.market.duplicates["kind"].value_counts()
    certain, likely = int(kinds.get("certain", 0)), int(kinds.get("likely", 0))
    key = "doubles" if certain and likely else "doubles_certain" if certain else "doubles_likely"
    twice = say(f"quality.{key}", certain=certain, likely=likely)
    return _join(said, twice if certain + likely else say("quality.no_doubles"))


def quality(run: Run) -> Sentence:
    """Say how many rows were used and how many were set aside, with the money they hold."""
    say, market = run.words.say, run.market
    aside = sum(len(rows) for rows in market.set_aside.values())
    rows = market.quality[market.quality["severity"] == "set_aside"]
    accounts = len(market.set_aside.get("accounts", ()))
    money = float(rows.loc[rows["table"] == "accounts", "money"].sum())
    notes = int((market.quality["severity"] == "note").sum())
    return _join(
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
    return _join(said, one if found["depends_on_one"] else "")


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
    return _join(
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
    return _join(*said)


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
    return _join(*said)


def ideal_kind(run: Run) -> Sentence:
    """Say what the chances of a win rest on, and why not on more."""
    found, m = steps.ideal_customers(run), steps.ideal_customers(run).metrics
    deals = {"deals": int(m["n_won"] + m["n_lost"]), "won": int(m["n_won"])}
    if found.kind in ("unknown", "lookalike"):
        assumed = run.settings.customers.win_rate
        said = run.words.say(f"ideal.{found.kind}_{found.reason}", assumed=assumed, **deals)
        return _join(said, _assumed_value(run))
    if found.reason == "tested":
        deals["deals"] = int(m["n_train"] + m["n_calibrate"])
        tested = {"test": int(m["n_test"]), "skill": m["brier_skill"], "lift": m["lift_10"]}
        return run.words.say("ideal.tested", **deals, **tested)
    why: dict[str, float] = {}
    if found.reason in ("no_skill", "bad_slope", "no_better"):
        deals["deals"] = int(m["n_train"] + m["n_calibrate"])
        why = {"test": int(m["n_test"]), "skill": m["brier_skill"]}
        why |= {"slope": m["slope"], "error": m["slope_se"]}
    return _join(
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
    return _join(run.words.say("ideal.levels", base=base), "; ".join(named) + ".")


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
    return _join(total, outside, potential(run))


def potential(run: Run) -> Sentence:
    """Say what the potentials rest on, whether they are money or only ranks, and what a range holds."""
    basis = steps.wallets(run).basis
    how = run.words.say(f"potential.{basis.kind}", n=basis.n, tau=basis.tau)
    if basis.kind in ("given", "revenue"):
        return how
    level = "market" if basis.calibrated else "relative"
    span = "told" if basis.told else "scaled" if basis.calibrated else "model"
    return _join(
        how,
        run.words.say(f"potential.{level}"),
        run.words.say("potential.above", times=round(basis.above, 1))
        if basis.told and not basis.calibrated
        else "",
        run.words.say(f"potential.{span}", n=basis.told),
    )


def units(run: Run) -> Sentence:
    """Say what the map is made of and who touches whom."""
    market = run.market
    touching = 2 * len(market.neighbors) / max(len(market.units), 1)
    many = (market.quality["rule"] == "grid_made").any()
    return run.words.say(
        f"units.{'grid' if many else run.settings.units}",
        n=len(market.units),
        accounts=len(market.accounts),
        touching=touching,
    )


def workload(run: Run) -> Sentence:
    """Say how many hours the market needs and how many full-time reps that is."""
    hours = float(steps.counted(run)["workload_h"].sum())
    capacity = steps.capacity(run)
    say = run.words.say
    said = [say("workload.total", hours=hours, capacity=capacity, reps=hours / capacity)]
    w, country, year = run.settings.workload, run.market.country, planning_year(run.market)
    said.append(
        say(
            "workload.capacity" if has_calendar(country) else "workload.no_calendar",
            days=field_days(run.settings, year, country),
            workdays=workdays(year, country),
            year=str(year),
            day=w.hours_per_day,
            admin=w.admin_share,
            country=country,
        )
    )
    said.append(say("workload.classes"))
    elsewhere = float(steps.account_facts(run)["workload_h"].sum()) - hours
    if elsewhere > 0.5:  # noqa: PLR2004
        said.append(say("workload.elsewhere", hours=elsewhere))
    planned = run.settings.workload.classes
    for name, done in steps.recorded_visits(run).items():
        now, was = done.visits, planned[name].visits
        said.append(say("workload.recorded", name=name, now=now, was=was, minutes=done.visit_min))
    return _join(*said)


def sizing(run: Run) -> Sentence:
    """Say between which numbers of reps the profit is as good as equal, and where today's lies."""
    say, found = run.words.say, steps.size_sales_force(run)
    methods = found.methods.set_index("method")
    hours = float(methods.loc["workload", "n_reps"])
    use = run.settings.sizing.use_target
    work = say("sizing.work", n=hours, use=use)
    best = methods.loc["profit"]
    if best["missing"]:
        return _join(work, say("sizing.no_profit"), say(f"sizing.lacks_{best['missing']}"))
    low, high = float(best["low"]), float(best["high"])
    inside = (
        "inside" if low <= found.present <= high else "below" if found.present < low else "above"
    )
    return _join(
        say("sizing.flat", low=low, high=high, flat=FLAT),
        say(f"sizing.{inside}", present=found.present),
        work,
        say("sizing.far", far=FAR[1] - 1) if found.far else "",
    )


def drawn(run: Run) -> Sentence:
    """Say how good the territories are, with the proven bound, and what they move."""
    found = steps.proof(run)
    if found is None:
        return run.words.say("before.all_there")
    return _join(design(run.words, found), _travel(run, found), moved(run, found))


def _travel(run: Run, found: steps.Proof) -> Sentence:
    """Say how much of the travel alone could be saved, where the proof leaves out the price of change."""
    apart = "change" in found.relaxed and found.change > 0 and found.bound_km < found.cost_km
    if not apart or steps.rules(run).terms.square:
        return Sentence("")
    return run.words.say("drawn.travel", gap=1 - found.bound_km / found.cost_km)


def design(words: Words, found: Design | steps.Proof) -> Sentence:
    """Say how good a design is: optimal only where that is proven, else how much could be gained."""
    if found.status == "optimal":
        return words.say("drawn.optimal")
    left_out = ", ".join(words.label(f"relaxed.{rule}") for rule in found.relaxed)
    return _join(
        words.say("drawn.feasible", gap=found.gap),
        words.say("drawn.relaxed", names=left_out) if left_out else "",
    )


def moved(run: Run, found: steps.Proof) -> Sentence:
    """Say how many accounts go to another territory, and the loss to expect."""
    if not run.market.has("assignments"):
        return Sentence("")
    if not found.moved_accounts:
        return run.words.say("drawn.unmoved")
    said = run.words.say("drawn.moved", n=found.moved_accounts, revenue=found.moved_revenue)
    loss = run.words.say("drawn.loss", loss=found.change) if found.change > 0 else ""
    return _join(said, loss)


def gain(run: Run) -> Sentence:
    """Say what the territories cost, the least that is proven, and so what could be gained at most."""
    found = steps.proof_of(steps.drawn_design(run))
    sure = found.change - (found.cost - found.cost_km) * steps.worth(run)
    rest = run.words.say("gain.sure", x=sure) if sure > 1 else ""
    travel, change = (x * steps.worth(run) for x in (found.cost_km, found.cost - found.cost_km))
    if change > 1:
        rest = _join(run.words.say("gain.parts", travel=travel, change=change), rest)
    if found.status == "optimal":
        return _join(run.words.say("gain.none", cost=_amount(run, found.cost)), rest)
    left = run.words.say(
        "gain.left",
        cost=_amount(run, found.cost),
        bound=_amount(run, found.bound_km),
        left=_amount(run, found.cost - found.bound_km),
        gap=found.gap,
    )
    return _join(left, _travel(run, found), rest)


def _amount(run: Run, cost: float) -> str:
    """Write a cost of the solver as currency a year, or as a share of this plan's where it is squared."""
    one = steps.worth(run)
    if pd.isna(one):
        return run.words.say("gain.share", x=cost / (steps.drawn_design(run).cost or 1.0))
    return run.words.say("gain.money", x=cost * one)


def frontier(run: Run) -> Sentence:
    """Say what a tighter and a wider tolerance would cost and save."""
    say, rows = run.words.say, steps.trade_frontier(run)
    measure, asked = next(iter(steps.rules(run).balance.items()))
    there = rows.dropna(subset="cost")
    now = float(there.loc[there["tolerance"] == asked, "cost"].iloc[0])
    none = rows.loc[rows["cost"].isna(), "tolerance"]
    said = [say("frontier.asked", measure=run.words.label(measure), tolerance=asked)]
    tight, wide = there.iloc[0], there.iloc[-1]
    if tight["tolerance"] < asked:
        more = _amount(run, tight["cost"] - now)
        said.append(say("frontier.tighter", tolerance=tight["tolerance"], more=more))
    if len(none):
        said.append(say("frontier.none", tolerance=float(none.max())))
    if wide["tolerance"] > asked:
        saved = now - wide["cost"]
        key = "frontier.wider" if saved > CHEAP * now else "frontier.same"
        said.append(say(key, tolerance=wide["tolerance"], less=_amount(run, saved)))
    if len(steps.rules(run).balance) > 1:
        said.append(say("frontier.others"))
    surely = (rows["status"] != "feasible") | (rows["tolerance"] == asked)
    return _join(*said, "" if surely.all() else say("frontier.quick"))


def counts(run: Run) -> Sentence:
    """Say what more and fewer territories change, which number is cheapest, and why it is picked."""
    say, curve, asked = run.words.say, steps.trade_counts(run), steps.rules(run)
    rows = curve.table[curve.table["n_territories"].isin(curve.designs)]
    if len(curve.table) == 1:
        return say("counts.one", n=asked.n_territories)
    few, many = rows.iloc[0], rows.iloc[-1]
    best = rows[rows["n_territories"] == curve.picked].iloc[0]
    used = {"most": few["utilisation"], "least": many["utilisation"]}
    span = say(
        "counts.span" if run.market.places else "counts.no_travel",
        few=int(few["n_territories"]),
        many=int(many["n_territories"]),
        dear=float(few["travel_money"]),
        cheap=float(many["travel_money"]),
        limit=asked.terms.limit,
        **used,
    )
    why = say(f"counts.{curve.reason}", n=curve.picked, total=float(best["total"]))
    other = curve.picked != asked.n_territories
    said = [span, _part_time(run), why, *_next_count(run, curve, best)]
    return _join(*said, say("counts.asked", n=asked.n_territories) if other else "")


def _part_time(run: Run) -> str:
    """Say how many full-time reps the territories are, where some are part-time."""
    asked = steps.rules(run)
    n, fte = asked.n_territories, sum(asked.shares)
    return run.words.say("counts.part_time", n=n, fte=fte) if len(set(asked.shares)) > 1 else ""


def _next_count(run: Run, curve: Curve, best: pd.Series) -> list[str]:
    """Say by how much the picked number is the cheapest, and whether that is surely so."""
    rows = curve.table[curve.table["n_territories"].isin(curve.designs)]
    rows = rows[(rows["n_territories"] != curve.picked) & rows["fits"].astype(bool)]
    if curve.reason != "least_total" or rows.empty:
        return []
    second = rows.loc[rows["total"].astype(float).idxmin()]
    more, say = float(second["total"] - best["total"]), run.words.say
    said: list[str] = [say("counts.next", n=int(second["n_territories"]), more=more)]
    left = float(second["cost"] - second["bound"]) * steps.worth(run)
    return [*said, say("counts.close", left=left)] if left > more else said


def locks(run: Run) -> Sentence:
    """Say how many locks there are, which cost nothing, and which is dearest."""
    say, rows = run.words.say, steps.trade_locks(run)
    if rows.empty:
        return _join(_overrides(run), say("locks.none"))
    known = rows.dropna(subset="price")
    paid = known[known["price"] > CHEAP * steps.drawn_design(run).cost]
    said = [
        say(
            "locks.free" if len(paid) else "locks.all_free",
            free=len(known) - len(paid),
            all=len(known),
        )
    ]
    if len(paid):
        price = _amount(run, float(paid["price"].max()))
        dearest = str(paid.loc[paid["price"].idxmax(), "name"])
        said.append(say("locks.dearest", which=dearest, price=price))
    if len(rows) > len(known):
        said.append(say("locks.more", n=len(rows) - len(known)))
    return _join(_overrides(run), *said)


def _overrides(run: Run) -> Sentence:
    """Say which units were placed by hand, and that they are where they were put."""
    fixed = steps.fixed(run.market)
    if fixed.empty:
        return Sentence("")
    territory = steps.territories(run).territory.reindex(fixed.index)
    return run.words.say("overrides.kept", n=len(fixed), kept=int((territory == fixed).sum()))


def fairness(run: Run) -> Sentence:
    """Say which territory has most and least of each balanced measure, and how it is today."""
    say, drawn_ = run.words.say, steps.territories(run)
    said = []
    for measure, tolerance in steps.rules(run).balance.items():
        index = drawn_.card[f"{measure}_index"]
        said.append(
            say(
                "fairness.measure",
                measure=run.words.label(measure).capitalize(),
                most=str(index.idxmax()),
                high=float(index.max()),
                least=str(index.idxmin()),
                low=float(index.min()),
                tolerance=tolerance,
            )
        )
        if len(drawn_.present):
            today = drawn_.present[f"{measure}_index"]
            said.append(say("fairness.today", low=float(today.min()), high=float(today.max())))
    return _join(*said)


def staffing(run: Run) -> Sentence:
    """Say how many territories have a rep, why others have none, and what was fixed by hand."""
    if not run.market.has("reps"):
        return run.words.say("missing.reps")
    say, found, moves = run.words.say, steps.assign_reps(run), steps.changes(run)
    vacant = found.rep.loc[found.rep["rep_id"] == VACANT, "territory"]
    said = [say("staffing.done", n=len(found.rep) - len(vacant), vacant=len(vacant))]
    there = run.market.reps[~away(run.market, run.market.reps)]
    most = int(there["max_territories"].astype(float).fillna(1.0).sum())
    if len(vacant) and most < len(found.rep):
        said.append(say("staffing.short", reps=len(there), most=most, n=len(found.rep)))
    spare = there.index[~there.index.isin(found.rep["rep_id"])]
    if len(spare):
        names = ", ".join(there.loc[spare, "name"].astype(str))
        said.append(say("staffing.spare", n=len(spare), names=names))
    only = found.load.loc[
        found.load["regret"].isna() & (found.load["rep_id"] != VACANT), "territory"
    ]
    if len(only):
        said.append(say("staffing.only", names=", ".join(only)))
    said += [
        say("staffing.nobody", territory=name, why=run.words.label(f"why.{why}"))
        for name, why in found.nobody.itertuples(index=False)
    ]
    if run.market.has("assignments"):
        held = run.market.accounts.index.isin(run.market.assignments["account_id"]).sum()
        said.append(say("staffing.kept", share=1 - len(moves) / max(held, 1)))
    for lock in found.locks.itertuples(index=False):
        name = str(run.market.reps["name"].get(lock.rep_id, lock.rep_id))
        key = "vacancy" if pd.isna(lock.price) else "free" if lock.price < 1 else "price"
        said.append(
            say(f"staffing.{lock.rule}_{key}", rep=name, territory=lock.territory, price=lock.price)
        )
    return _join(*said)


def rep_fairness(run: Run) -> Sentence:
    """Say how evenly work and opportunity are shared, before and after, and who would rather swap.

    About territories and groups, never about a person: no name, and nobody is ranked.
    """
    if not run.market.has("reps"):
        return run.words.say("missing.reps")
    say, found = run.words.say, steps.fairness(run)
    said = []
    for measure in ("load", "per_hour"):
        parts = []
        for rows, when in ((found.plan, measure), (found.today, "today")):
            if len(rows):
                now = spread(rows[measure])
                some = {"near": int(now["near"]), "of": len(rows), "band": BAND}
                some["gini"] = now["gini"]
                if now["ratio"] == float("inf"):
                    nothing = int((rows[measure] <= 0).sum())
                    parts.append(say(f"fair.{when}_none", **some, n=nothing))
                else:
                    parts.append(say(f"fair.{when}", **some, ratio=now["ratio"]))
        said.append(_join(*parts))
    envious = say("fair.no_envy", limit=ENVY)
    if len(found.envy):
        gain = float(found.envy["gain"].max())
        envious = say("fair.envy", n=len(found.envy), limit=ENVY, gain=gain)
    said += [_widest_gap(run, found), envious]
    return Sentence("\n".join([f"{say('fair.what')}\n", *(f"- {s}" for s in said if s)]))


def _widest_gap(run: Run, found: steps.Fairness) -> Sentence:
    """Say between which two groups of one kind loads differ most."""
    rows = by_group(found.plan, found.today)
    if rows.empty:
        return Sentence("")
    ends = rows.groupby("trait")["load"].agg(["min", "max", "idxmin", "idxmax"])
    widest = ends.loc[(ends["max"] - ends["min"]).idxmax()]
    high, low = rows.loc[int(widest["idxmax"])], rows.loc[int(widest["idxmin"])]
    names = [run.words.label(f"{row['trait']}.{row['value']}") for row in (high, low)]
    most, least = float(high["load"]), float(low["load"])
    return run.words.say("fair.groups", high=names[0], low=names[1], most=most, least=least)


def overlays(run: Run) -> Sentence:
    """Say who serves accounts beside the territories, what counts there, what partners were left."""
    say, said, teams = run.words.say, [], steps.overlay_runs(run)
    for name, team in teams.items():
        card, named = steps.territories(team).card, overlay_name(run, name)
        credited = run.settings.overlays[name].credits
        said.append(
            say(
                "overlays.team" if credited else "overlays.shadow",
                name=named,
                territories=len(card),
                accounts=int(card["accounts"].sum()),
                revenue=float(
                    steps.account_facts(run)["revenue"][team.market.accounts.index].sum()
                ),
                hours=float(card["workload_h"].sum()),
                **({"measures": ", ".join(map(run.words.label, credited))} if credited else {}),
            )
        )
        empty = int((steps.reps(team)["rep_id"] == VACANT).sum())
        if empty:
            said.append(say("overlays.vacant", name=named, n=empty))
    if teams:
        said.append(say("overlays.hours"))
    left = steps.account_facts(run).loc[steps.left_to_partners(run).index]
    if len(left):
        said.append(
            say("overlays.partner", accounts=len(left), revenue=float(left["revenue"].sum()))
        )
    return _join(*said) if said else say("overlays.none")


def overlay_name(run: Run, name: str) -> str:
    """Name of an overlay for readers: its label, else as the settings call it."""
    label = run.words.label(f"overlay.{name}")
    return name.replace("_", " ") if label == f"overlay.{name}" else label


def regions(run: Run) -> Sentence:
    """Say which regions the territories make up, and who leads each."""
    say, rows = run.words.say, steps.regions(run)
    if rows.empty:
        return say("regions.none")
    names, said = run.market.specialists.get("name", pd.Series(dtype=str)), []
    for region, mine in rows.groupby("region"):
        first = mine["rep_id"].iloc[0]
        lead = {"manager": str(names[first])} if first in names.index else {}
        key = "regions.region" if lead else "regions.nobody"
        said.append(say(key, region=str(region), territories=len(mine), **lead))
    lead = managers(run.market)
    if len(lead):
        cost = float(yearly_cost(lead, run.settings).sum())
        said.append(say("regions.cost", cost=cost, line=run.words.label(MANAGEMENT)))
    return _join(say("regions.made", n=rows["region"].nunique()), *said)


def load(run: Run) -> Sentence:
    """Say whose week is fullest and emptiest."""
    table = steps.assign_reps(run).load
    table = table[table["capacity_h"] > 0]
    if table.empty:
        return run.words.say("missing.reps")
    top, low = table["utilisation"].idxmax(), table["utilisation"].idxmin()
    said = run.words.say(
        "load.range",
        most=str(table.loc[top, "territory"]),
        high=float(table.loc[top, "utilisation"]),
        least=str(table.loc[low, "territory"]),
        low=float(table.loc[low, "utilisation"]),
    )
    hours = float(steps.assign_reps(run).load["workload_h"].sum())
    nearest = float(steps.counted(run)["workload_h"].sum())
    if round(hours) == round(nearest):
        return said
    return _join(said, run.words.say("load.homes", hours=hours, nearest=nearest))


def costs(run: Run) -> Sentence:
    """Say what the assignment costs a year, beside leaving the reps where they are."""
    found = steps.assign_reps(run)
    if not run.market.has("reps"):
        return run.words.say("missing.reps")
    if not run.market.has("assignments"):
        return run.words.say("costs.no_present", total=float(found.total))
    key = "costs.same" if abs(found.total - found.present_total) < 1 else "costs.total"
    return run.words.say(key, total=float(found.total), present=float(found.present_total))


def channels(run: Run) -> Sentence:
    """Say where a partner sells instead of a rep."""
    if not run.market.has("distributors"):
        return run.words.say("missing.distributors")
    chosen = steps.choose_channels(run)
    ours = int((chosen["channel"] == "direct").sum())
    names = chosen.loc[chosen["channel"] != "direct", "territory"]
    said = [
        run.words.say(
            "channels.split", direct=ours, partner=len(names), names=", ".join(names) or "—"
        )
    ]
    for key, reason in (("contract", CONTRACT), ("hybrid", "hybrid_pays_more")):
        some = chosen.loc[chosen["reason"] == reason, "territory"]
        if len(some):
            sold = steps.sold_by(run)
            here = steps.account_facts(run)["unit_id"].map(steps.territories(run).territory)
            theirs = sold[here.isin(some)] != ""
            said.append(
                run.words.say(
                    f"channels.{key}",
                    names=", ".join(some),
                    partner=int(theirs.sum()),
                    ours=int((~theirs).sum()),
                )
            )
    return _join(*said)


def handover(run: Run) -> Sentence:
    """Say how many accounts change hands and what is at risk."""
    if not run.market.has("assignments"):
        return run.words.say("missing.assignments")
    moves = steps.changes(run)
    vacant = moves[moves["to_rep"] == VACANT]
    total = run.words.say(
        "handover.total",
        n=len(moves),
        revenue=float(moves["revenue"].sum()),
        share=float(moves["revenue"].sum())
        / max(float(steps.account_facts(run)["revenue"].sum()), 1.0),
        risk=float(moves["risk"].sum()),
        low=float(moves["risk_low"].sum()),
        high=float(moves["risk_high"].sum()),
    )
    said = [total]
    if len(vacant):
        revenue = float(vacant["revenue"].sum())
        said.append(run.words.say("handover.vacant", n=len(vacant), revenue=revenue))
    every = steps.hand_over(run)
    fresh = every[~every.index.isin(moves.index)]
    if len(fresh):
        revenue = float(fresh["revenue"].sum())
        said.append(run.words.say("handover.no_owner", n=len(fresh), revenue=revenue))
    return _join(*said)


def reach(run: Run) -> Sentence:
    """Say how many accounts may not be contacted for want of consent."""
    if not run.market.has("channels"):
        return run.words.say("missing.channels")
    if not run.market.accounts["consents_known"].any():
        return run.words.say("reach.consents_unknown", accounts=len(run.market.accounts))
    consent = run.market.accounts[["consent_email", "consent_phone", "consent_sms"]]
    without = int((~consent.any(axis=1)).sum())
    said = [run.words.say("reach.consent", without=without, accounts=len(consent))]
    firms = steps.split_budget(run).reach.cells.groupby("channel")["outside"].sum()
    if firms.max() > 0:
        names = ", ".join(steps.channel_name(run, str(c)) for c in firms.index[firms > 0])
        share = run.settings.customers.accessible_share
        said.append(run.words.say("reach.outside", n=firms.max(), names=names, share=share))
    return _join(*said)


def consents(run: Run) -> Sentence:
    """Say what the missing consents are worth."""
    say = run.words.say
    if not run.market.has("channels"):
        return NOTHING
    rows = steps.split_budget(run).reach.consents
    if not len(rows):
        return say("consents.none_needed")
    by = rows.groupby("consent")[["accounts", "value"]].sum()
    lines = [
        say(
            "consents.line",
            consent=run.words.label(f"consent_{consent}"),
            n=int(row["accounts"]),
            value=float(row["value"]),
        )
        for consent, row in by.iterrows()
    ]
    best = rows.loc[rows["value"].idxmax()]
    worth = say("consents.worth", territory=best["territory"], most=float(best["value"]))
    return _join(say("consents.lead"), "; ".join(lines) + ".", worth)


def responses(run: Run) -> Sentence:
    """Say what the response curves rest on, why no better, and which are steeper than studies found."""
    say, market = run.words.say, run.market
    if not market.has("channels"):
        return NOTHING
    spent = steps.split_budget(run)
    found = spent.reach.channels
    named = found["channel"].map(lambda channel: steps.channel_name(run, channel))
    said = [
        say(f"responses.{grade}", names=", ".join(named[found["evidence"] == grade]))
        for grade in (FITTED, JUDGED, MECHANICAL)
        if (found["evidence"] == grade).any()
    ]
    for row, name in zip(found.itertuples(), named, strict=True):
        if row.why and row.why != "no_history":
            need = FEWEST_ROWS if row.why == "few_months" else FEWEST_LEADS
            said.append(
                say(
                    f"responses.why.{row.why}",
                    channel=name,
                    rows=int(row.rows),
                    leads=float(row.leads),
                    need=need,
                )
            )
        if row.unused:
            said.append(say("responses.unused", channel=name, rows=int(row.unused)))
    steep = steepness(spent, market, run.settings)
    steep = steep[steep["elasticity"] > STEEP * steep["usual"]]
    if len(steep):
        names = ", ".join(steps.channel_name(run, channel) for channel in steep["channel"])
        said.append(say("responses.steep", times=STEEP, names=names))
    return _join(*said)


def budget(run: Run) -> Sentence:
    """Say how the budget is split, to the grosz."""
    spent = steps.split_budget(run)
    if not spent.total:
        return run.words.say("budget.none")
    if not spent.cells["amount"].sum():
        return run.words.say(
            "budget.none_worth", total=spent.total / 100, contingency=spent.contingency / 100
        )
    top = spent.cells.groupby("channel")["amount"].sum().sort_values(ascending=False)
    split = run.words.say(
        "budget.split",
        total=spent.total / 100,
        marketing=int(spent.cells["amount"].sum()) / 100,
        contingency=spent.contingency / 100,
        channel=steps.channel_name(run, str(top.index[0])),
        most=int(top.iloc[0]) / 100,
        wins=float(spent.cells["wins"].sum()),
    )
    cells = spent.cells
    said = [split, run.words.say("budget.star") if cells["binding"].any() else ""]
    if ((cells["amount"] == 0) & (cells["marginal"] > 0)).any():
        said.append(run.words.say("budget.idle"))
    if spent.unallocated:
        said.append(run.words.say("budget.unallocated", amount=spent.unallocated / 100))
    n = run.settings.timeline.quarters
    if n != YEAR_Q:
        amount = over_horizon(spent.total, n) / 100
        said.append(run.words.say("budget.horizon", quarters=n, amount=amount))
    for channel, where in hours_bind(spent).groupby("channel"):
        name = steps.channel_name(run, str(channel))
        said.append(run.words.say("budget.hours", channel=name, n=len(where)))
    return _join(*said)


def next_zloty(run: Run) -> Sentence:
    """Say what one more unit of money would bring in contribution."""
    spent = steps.split_budget(run)
    if not spent.total:
        return NOTHING
    key = "budget.next_pays" if spent.next_zloty >= 1 else "budget.next_does_not_pay"
    said = [run.words.say(key, value=float(spent.next_zloty))]
    totals = steps.doubt_budget(run).totals
    if len(totals):
        more, now = totals.iloc[-1], totals.loc[totals["total"] == spent.spendable].iloc[0]
        said.append(
            run.words.say(
                "budget.larger",
                total=float(more["total"]),
                contribution=float(more["contribution"]),
                now=float(now["contribution"]),
            )
        )
    return _join(*said)


def doubt(run: Run) -> Sentence:
    """Say how much the exact split matters, and whether a plain one would do."""
    say, found = run.words.say, steps.doubt_budget(run)
    if not len(found.regret):
        return NOTHING
    widest = found.band.loc[(found.band["high"] - found.band["low"]).idxmax()]
    regret = found.regret.groupby(["scenario", "channel"])["regret"].max()
    plain = float(regret["proportional"].max())
    guessed = regret.drop("proportional")
    low, high = run.settings.budget.doubt
    together = float(guessed.xs("", level=1).max())
    said = [
        say(
            "doubt.band",
            channel=steps.channel_name(run, str(widest["channel"])),
            territory=widest["territory"],
            low=float(widest["low"]),
            high=float(widest["high"]),
            amount=float(widest["amount"]),
            within=WITHIN,
        ),
        say(
            "doubt.all" if together <= WITHIN else "doubt.all_matters",
            low=low,
            high=high,
            regret=together,
        ),
    ]
    alone = guessed[guessed.index.get_level_values(1) != ""]
    if len(alone) and alone.max() > WITHIN:
        name = steps.channel_name(run, str(alone.idxmax()[1]))
        said.append(say("doubt.one", channel=name, regret=float(alone.max())))
    said.append(say("doubt.as_good" if plain < AS_GOOD else "doubt.not_as_good", regret=plain))
    return _join(*said)


def area_results(run: Run) -> Sentence:
    """Say which areas pay for what is spent on them."""
    rows = steps.area_results(run)
    if not len(rows):
        return run.words.say("results.none")
    by = rows.groupby("territory")["result"].sum()
    return run.words.say(
        "results.areas",
        n=int((rows["result"] > 0).sum()),
        m=len(rows),
        result=int(rows["result"].sum()) / 100,
        best=str(by.idxmax()),
        high=int(by.max()) / 100,
        worst=str(by.idxmin()),
        low=int(by.min()) / 100,
        now=int(rows["now"].sum()) / 100,
        new=int(rows["new"].sum()) / 100,
        cost=int(rows["cost"].sum()) / 100,
    )


def targets(run: Run) -> Sentence:
    """Say in how many areas new sales are sought, what they promise, and how sure the first are."""
    areas = steps.assemble_plan(run)["plan/areas"]
    sought = areas[areas["decision"].isin(SOUGHT)]
    if not len(sought) or not sought["expected_contribution"].sum():
        return run.words.say("headline.no_forecast")
    first = sought.sort_values("rank").iloc[0]
    names = run.market.areas["name"] if len(run.market.areas) else {}
    return run.words.say(
        "targets.sought",
        n=len(sought),
        share=float(sought["expected_contribution"].sum() / areas["expected_contribution"].sum()),
        first=str(names.get(first["area_id"], first["territory"])),
        money=int(first["expected_contribution"]) / 100,
        low=int(first["low"]) / 100,
        high=int(first["high"]) / 100,
        certain=int((sought["prob_top"] >= CERTAIN).sum()),
        sure=CERTAIN,
    )


def forecast(run: Run) -> Sentence:
    """Say the expected new sales of the whole horizon with their range, and where they come from."""
    found, simple = steps.forecast_sales(run), steps.simple_rule(run)
    if found.year["mean"] <= 0:
        return run.words.say("headline.no_forecast")
    say, year = run.words.say, found.year
    said = [say("forecast.year", mean=year["mean"], low=year["p10"], high=year["p90"], sure=RANGE)]
    if simple is not None:
        tested = steps.backtest_forecast(run)
        said.insert(
            0,
            say(
                "forecast.simple",
                rule=run.words.label(f"method.{tested.best}"),
                theirs=float(tested.scores.loc[tested.best, "wape"]),
                ours=float(tested.scores.loc["ours", "wape"]),
                mean=simple["mean"],
                low=simple["p10"],
                high=simple["p90"],
            ),
        )
    by = found.sources[["pipeline", "leads", "reps"]].sum()
    said.append(say("forecast.sources", **(by / by.sum()).astype(float).to_dict()))
    if found.parts.after >= 1:
        said.append(say("forecast.after", after=found.parts.after))
    if found.widened > 1:
        said.append(say("forecast.widened", factor=found.widened))
    if not run.market.has("reps"):
        said.append(say("forecast.no_reps"))
    return _join(*said)


def backtest(run: Run) -> Sentence:
    """Say how far past forecasts were off beside simple rules, and whether their ranges held."""
    say, found = run.words.say, steps.backtest_forecast(run)
    if found.reason:
        return say(f"backtest.{found.reason}", n=found.origins, least=FEWEST_ORIGINS)
    ours, others = found.scores.loc["ours"], found.scores.drop("ours")
    rule = str(others["wape"].idxmin())
    first = say(
        "backtest.ours" if found.best == "ours" else "backtest.naive",
        n=found.origins,
        wape=float(ours["wape"]),
        rule=run.words.label(f"method.{rule}"),
        other=float(others.loc[rule, "wape"]),
    )
    side = "too_low" if ours["bias"] < 0 else "too_high"
    stages = steps.stage_scores(run)
    worse = bool(stages) and stages["by_stage"] > stages["by_age"]
    return _join(
        first,
        say(f"backtest.{side}", bias=abs(float(ours["bias"]))),
        say(
            "backtest.coverage",
            sure=RANGE,
            coverage=float(ours["coverage"]),
            cases=int(ours["n"]),
            low=float(ours["coverage_low"]),
            high=float(ours["coverage_high"]),
        ),
        say(
            "backtest.stages_worse" if worse else "backtest.stages",
            n=int(stages["n"]),
            gain=abs(1 - stages["by_stage"] / max(stages["by_age"], 1e-12)),
        )
        if stages
        else "",
    )


def goals(run: Run) -> Sentence:
    """Say the goal, where it comes from, how likely it is, and what would help where it is not."""
    if steps.forecast_sales(run).year["mean"] <= 0:
        return run.words.say("headline.no_forecast")
    say, found = run.words.say, steps.set_goals(run)
    seen = steps.goal_and_forecast(run)
    given = steps.goal_given(run)
    said = [say(f"goals.{found.basis}", total=seen["top_down"])]
    if given:
        said.append(goal_gap(run.words, seen["gap"], seen["chance"]))
        if round(seen["gap"]) > 0:
            said.append(say("goals.gap_rate", rate=seen["gap_rate"]))
        if steps.simple_rule(run) is not None:
            said.append(say("goals.by_rule", model=seen["bottom_up"]))
    asked = run.settings.goals
    said.append(
        say(
            f"goals.caps_{found.caps}",
            low=asked.min_growth,
            high=asked.max_growth,
            n=int((found.parts["capped"] != "none").sum()),
        )
    )
    said += _credited(run)
    if given and seen["chance"] < UNSUPPORTED:
        said.append(_levers(run))
    short = found.quotas.loc[found.quotas["rep_id"] == COVER, "amount"].sum()
    if short:
        said.append(say("goals.cover", short=int(short) / 100))
    return _join(*said)


def _credited(run: Run) -> list[Sentence]:
    """Say what part of the goal overlays and partners are asked for."""
    say, rows = run.words.say, steps.set_goals(run).credited
    by, said = rows.groupby("team")["amount"].sum() / 100, []
    for name, one in steps.overlay_runs(run).items():
        if by.get(name, 0.0) > 0:
            asked = steps.quotas(one)
            people = one.market.reps["name"] if len(one.market.reps) else {}
            each = [
                f"{people.get(r.rep_id, run.words.label(r.rep_id))} ({r.territory}) "
                + run.words.write(r.amount / 100, "money0")
                for r in asked.itertuples(index=False)
            ]
            team = overlay_name(run, name)
            said.append(say("goals.team", name=team, total=float(by[name]), each="; ".join(each)))
    if by.get(PARTNER, 0.0) > 0:
        said.append(say("goals.partner", total=float(by[PARTNER])))
    return said


def _levers(run: Run) -> Sentence:
    rows = steps.compare_scenarios(run).set_index("scenario")
    rows = rows[rows.index.isin(LEVERS) & (rows["more"] > 1) & ~rows["noise"]]
    if rows.empty:
        return run.words.say("goals.no_levers")
    rows = rows.sort_values("more", ascending=False)
    levers = ", ".join(
        f"{run.words.label(f'scenario.{key}')} {run.words.write(float(more), 'short')}"
        for key, more in rows["more"].items()
    )
    return run.words.say("goals.unsupported", levers=levers)


def stretch(run: Run) -> Sentence:
    """Say whether quotas ask as much of everybody, and how likely they are to be reached."""
    say = run.words.say
    rows, seen = steps.goal_stretch(run)
    known = rows.dropna(subset="stretch")
    if known.empty:
        return say("stretch.none")
    low, high = known["stretch"].idxmin(), known["stretch"].idxmax()
    said = [
        say(
            "stretch.span",
            low=float(known.loc[low, "stretch"]),
            least=str(known.loc[low, "territory"]),
            high=float(known.loc[high, "stretch"]),
            most=str(known.loc[high, "territory"]),
            cv=seen["cv"],
            gini=seen["gini"],
            n=len(known),
        ),
        _evenness(run.words, known["stretch"], seen["cv"]),
    ]
    if abs(seen["rho_size"]) > RANKED:
        side = "small_asked" if seen["rho_size"] < 0 else "large_asked"
        said.append(say(f"stretch.{side}", rho=seen["rho_size"]))
    worst, best = known["chance"].idxmin(), known["chance"].idxmax()
    said.append(
        say(
            "stretch.chance",
            least=float(known.loc[worst, "chance"]),
            worst=str(known.loc[worst, "territory"]),
            most=float(known.loc[best, "chance"]),
            best=str(known.loc[best, "territory"]),
            reaching=seen["reaching"],
            healthy_low=HEALTHY[0],
            healthy_high=HEALTHY[1],
        )
    )
    return _join(*said)


def _evenness(words: Words, ratio: pd.Series, cv: float) -> Sentence:
    """Say whether quotas ask as much of all: a small deviation is not even where one lies far out."""
    if cv > EVEN:
        return words.say("stretch.uneven", limit=EVEN)
    far = float((ratio / ratio.mean() - 1).abs().max())
    return words.say("stretch.even" if far <= EVEN else "stretch.ends", limit=EVEN, far=far)


def launches(run: Run) -> Sentence:
    """Say how many areas are opened when, which first, and which have to wait."""
    say, start = run.words.say, steps.launches(run)
    n = run.settings.timeline.quarters
    if start.empty:
        return say("launch.none")
    opened = start[start < n]
    said = []
    if len(opened):
        first = opened[opened == opened.min()].index[: run.settings.timeline.max_launches]
        names = ", ".join(steps.area_name(run, *place) for place in first)
        most = run.settings.timeline.max_launches
        said.append(say("launch.opened", n=len(opened), most=most, names=names))
    if len(opened) < len(start):
        said.append(say("launch.later", n=len(start) - len(opened)))
    tasks = steps.launch_tasks(run)
    if len(tasks):
        said.append(say("launch.tasks", start=tasks["start"].min(), end=tasks["end"].max()))
    elif len(opened):
        said.append(say("launch.undated"))
    return _join(*said)


def payback(run: Run) -> Sentence:
    """Say when the first sale comes, and when the margin of new sales has paid for the plan."""
    say, found = run.words.say, steps.forecast_sales(run)
    if found.year["mean"] <= 0:
        return say("headline.no_forecast")
    said = []
    first = found.first_sale
    quarter = run.market.quarter
    if first.notna().any() and quarter[:4].isdigit():
        begin = pd.Period(quarter, freq="Q").start_time
        month = begin + pd.DateOffset(months=int(first.max()) - 1)
        said.append(say("payback.first_sale", month=month, none=int(first.isna().sum())))
    if not steps.horizon_cost(run).to_numpy().sum():
        return _join(*said, say("payback.no_cost"))
    rows = steps.break_even(run)
    whole = rows.iloc[0]
    if not whole["p50"]:
        said.append(say("payback.never", chance=float(whole["chance"])))
    else:
        late = whole["p90"] or say("payback.later")
        said.append(say("payback.by", middle=whole["p50"], chance=float(whole["chance"])))
        said.append(say("payback.range", early=whole["p10"], late=late))
    own = rows.iloc[1:]
    paying = int((own["p50"] != "").sum())
    said += [say("payback.territories", n=paying, all=len(own)), say("payback.cost")]
    return _join(*said)


def matters(run: Run) -> Sentence:
    """Say which assumptions new sales and contribution hang on most."""
    say, rows = run.words.say, steps.what_matters(run)
    if rows.empty:
        return say("matters.none")
    name = {key: run.words.label(f"assume.{key}") for key in rows["assumption"]}
    first = rows.iloc[0]
    said = [say("matters.most", first=name[first["assumption"]], swing=float(first["swing"]))]
    if len(rows) > 1 and rows.iloc[1]["swing"] > 0:
        second = rows.iloc[1]
        said.append(
            say("matters.next", second=name[second["assumption"]], swing=float(second["swing"]))
        )
    gain = rows["contribution_high"] - rows["contribution_low"]
    top = gain.idxmax()
    key = rows.loc[top, "assumption"]
    said.append(say("matters.contribution", first=name[key], swing=float(gain[top])))
    return _join(*said)


def scenarios(run: Run) -> Sentence:
    """Say what each other plan would change, or that luck would hide it."""
    say, rows = run.words.say, steps.compare_scenarios(run)
    if rows["mean"].iloc[0] <= 0:
        return say("scenario.none")
    said = [
        say(
            "scenario.noise" if row.noise else "scenario.row",
            name=run.words.label(f"scenario.{row.scenario}").capitalize(),
            more=float(row.more),
            low=float(row.more_low),
            high=float(row.more_high),
            gain=float(row.contribution_more),
        )
        + (
            " " + say("scenario.after", after=float(row.after_more))
            if abs(row.after_more) > max(abs(row.more), 1.0)
            else ""
        )
        for row in rows.iloc[1:].itertuples()
    ]
    lines = "\n".join(f"- {line}" for line in said)
    if "rep_more" not in set(rows["scenario"]):
        return Sentence(lines)
    quarters = run.settings.timeline.quarters
    return Sentence(f"{lines}\n\n{say('scenario.rep_more', quarters=quarters)}")


def goal_gap(words: Words, gap: float, chance: float) -> Sentence:
    """Say how far the goal lies above or below the forecast, and how likely it is.

    Examples
    --------
    >>> goal_gap(Words("en", "PLN"), -5.0, 0.75)
    'It lies 5 PLN below the forecast; the chance of reaching it is 75%.'
    """
    side = "equal" if not round(gap) else "above" if gap > 0 else "below"
    return words.say(f"goals.{side}", gap=abs(gap), chance=chance)


def checks(run: Run, table: pd.DataFrame) -> Sentence:
    """Say that every check holds."""
    return run.words.say("checks.all", n=len(table), ok=int(table["ok"].sum()))


def written(run: Run, name: str, rows: pd.DataFrame) -> Sentence:
    """Say which file was written, and with how many rows."""
    return run.words.say("run.written", file=f"{name}.csv", n=len(rows))


def gained_and_lost(run: Run, review: Review) -> Sentence:
    """Say how many accounts came and went since the earlier run."""
    if not review.compared:
        return run.words.say("review.first")
    said = run.words.say("review.accounts", gained=len(review.gained), lost=len(review.lost))
    return _join(said, apart(run, review))


def apart(run: Run, review: Review) -> Sentence:
    """Say of how many accounts the earlier run and who holds them today disagree, and of which."""
    if review.apart.empty:
        return Sentence("")
    names = run.market.accounts["name"]
    first = [
        run.words.say(
            "review.one_apart",
            name=str(names[row.account_id]),
            planned=row.planned or run.words.label("VACANT"),
            held=row.held or run.words.label("nobody"),
        )
        for row in review.apart.head(NAMED).itertuples(index=False)
    ]
    return run.words.say("review.apart", n=len(review.apart), first="; ".join(first))


def drift(run: Run, review: Review) -> Sentence:
    """Say which territories of the alignment in force are outside their tolerance."""
    names = review.drift.loc[~review.drift["ok"], "territory"].unique()
    key = "review.drift" if len(names) else "review.no_drift"
    said = run.words.say(key, n=len(names), names=", ".join(map(str, names)))
    if not review.filled:
        return said
    whole = "review.whole_plan" if review.compared else "review.whole_today"
    return _join(said, run.words.say(whole, n=review.filled))


def repairs(run: Run, review: Review) -> Sentence:
    """Say which single moves would help, and for how many territories none does."""
    helped = review.repairs["territory"].nunique() if len(review.repairs) else 0
    outside = review.drift.loc[~review.drift["ok"], "territory"].nunique()
    if not outside:
        return run.words.say("review.nothing_to_repair")
    return run.words.say("review.repairs", helped=helped, outside=outside, seen=SEEN)
