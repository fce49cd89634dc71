"""What is said of reach, budget and launches (notebook 4)."""

from __future__ import annotations

from terrlib import steps
from terrlib.decisions.spending import AS_GOOD, WITHIN, hours_bind, steepness
from terrlib.measures.fitting import FEWEST_LEADS, FEWEST_ROWS
from terrlib.measures.response import FITTED, JUDGED, MECHANICAL
from terrlib.plan import YEAR_Q, over_horizon
from terrlib.runs import Run
from terrlib.show.words import NOTHING, Sentence, joined

STEEP = 3  # times the elasticity that studies found


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
    return joined(*said)


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
    return joined(say("consents.lead"), "; ".join(lines) + ".", worth)


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
    return joined(*said)


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
    return joined(*said)


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
    return joined(*said)


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
    return joined(*said)


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
    return joined(*said)
