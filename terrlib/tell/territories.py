"""What the map says (notebook 2)."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.decisions.territories import Curve, Design
from terrlib.measures.facts import planning_year
from terrlib.measures.sizing import FAR, FLAT
from terrlib.measures.workload import field_days, has_calendar, workdays
from terrlib.runs import Run
from terrlib.show.words import Sentence, Words, joined

CHEAP = 1e-6  # of the whole cost: less counts as nothing


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
    return joined(*said)


def sizing(run: Run) -> Sentence:
    """Say between which numbers of reps the profit is as good as equal, and where today's lies."""
    say, found = run.words.say, steps.size_sales_force(run)
    methods = found.methods.set_index("method")
    hours = float(methods.loc["workload", "n_reps"])
    use = run.settings.sizing.use_target
    work = say("sizing.work", n=hours, use=use)
    best = methods.loc["profit"]
    if best["missing"]:
        return joined(work, say("sizing.no_profit"), say(f"sizing.lacks_{best['missing']}"))
    low, high = float(best["low"]), float(best["high"])
    inside = (
        "inside" if low <= found.present <= high else "below" if found.present < low else "above"
    )
    return joined(
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
    return joined(design(run.words, found), _travel(run, found), moved(run, found))


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
    return joined(
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
    return joined(said, loss)


def gain(run: Run) -> Sentence:
    """Say what the territories cost, the least that is proven, and so what could be gained at most."""
    found = steps.proof_of(steps.drawn_design(run))
    sure = found.change - (found.cost - found.cost_km) * steps.worth(run)
    rest = run.words.say("gain.sure", x=sure) if sure > 1 else ""
    travel, change = (x * steps.worth(run) for x in (found.cost_km, found.cost - found.cost_km))
    if change > 1:
        rest = joined(run.words.say("gain.parts", travel=travel, change=change), rest)
    if found.status == "optimal":
        return joined(run.words.say("gain.none", cost=_amount(run, found.cost)), rest)
    left = run.words.say(
        "gain.left",
        cost=_amount(run, found.cost),
        bound=_amount(run, found.bound_km),
        left=_amount(run, found.cost - found.bound_km),
        gap=found.gap,
    )
    return joined(left, _travel(run, found), rest)


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
    return joined(*said, "" if surely.all() else say("frontier.quick"))


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
    return joined(*said, say("counts.asked", n=asked.n_territories) if other else "")


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
        return joined(_overrides(run), say("locks.none"))
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
    return joined(_overrides(run), *said)


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
    return joined(*said)
