"""What is said of forecast and goals (notebook 5)."""

from __future__ import annotations

import pandas as pd

from terrlib import steps
from terrlib.decisions.backtest import FEWEST_ORIGINS
from terrlib.decisions.goals import COVER
from terrlib.decisions.timeline import RANGE
from terrlib.inputs.settings import PARTNER
from terrlib.runs import Run
from terrlib.show.words import Sentence, Words, joined
from terrlib.tell.reps import overlay_name

UNSUPPORTED = 0.3  # a goal less likely than this is called unsupported
LEVERS = ("rep_more", "budget_more", "win_more")
EVEN, RANKED = 0.15, 0.3  # variation of stretch, and rank correlation, up to which goals are fair
HEALTHY = (0.55, 0.70)  # share of quotas reached, by practice


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
    return joined(*said)


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
    return joined(
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
    return joined(*said)


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
        evenness(run.words, known["stretch"], seen["cv"]),
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
    return joined(*said)


def evenness(words: Words, ratio: pd.Series, cv: float) -> Sentence:
    """Say whether quotas ask as much of all: a small deviation is not even where one lies far out."""
    if cv > EVEN:
        return words.say("stretch.uneven", limit=EVEN)
    far = float((ratio / ratio.mean() - 1).abs().max())
    return words.say("stretch.even" if far <= EVEN else "stretch.ends", limit=EVEN, far=far)


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
        return joined(*said, say("payback.no_cost"))
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
    return joined(*said)


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
    return joined(*said)


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
