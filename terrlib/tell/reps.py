"""What is said of reps, teams and partners (notebook 3)."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.decisions.channels import CONTRACT
from terrlib.decisions.overlays import managers
from terrlib.decisions.staffing import away
from terrlib.inputs.market import VACANT
from terrlib.measures.fairness import BAND, ENVY, by_group, spread
from terrlib.measures.workload import yearly_cost
from terrlib.plan import MANAGEMENT
from terrlib.runs import Run
from terrlib.show.words import Sentence, joined


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
    return joined(*said)


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
        said.append(joined(*parts))
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
    return joined(*said) if said else say("overlays.none")


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
    return joined(say("regions.made", n=rows["region"].nunique()), *said)


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
    return joined(said, run.words.say("load.homes", hours=hours, nearest=nearest))


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
    return joined(*said)


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
    return joined(*said)
