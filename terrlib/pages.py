"""The report of a run: page one, a page for each notebook, a page for each territory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
import pandas as pd

from terrlib import steps, tables, tell
from terrlib.decisions.staffing import owner_of
from terrlib.inputs.market import VACANT
from terrlib.inputs.settings import FIELD, assumptions
from terrlib.runs import NOTEBOOKS, Run, read_notes
from terrlib.show import maps, report
from terrlib.show.report import Page, bullets
from terrlib.show.tables import table
from terrlib.show.words import Words, plain

TOP = 10
HASH = 10


def write_notebook_page(folder: Path, notebook: str, words: Words) -> Path:
    """Write one executed notebook as a page without code.

    Parameters
    ----------
    folder
        Folder of the run.
    notebook
        Name without ending.
    words
        Language of the page.
    """
    nb = nbformat.read(folder / "notebooks" / f"{notebook}.ipynb", as_version=4)
    path = folder / f"{notebook}.html"
    html = report.notebook_page(nb, words, words.label(notebook), _links(words))
    path.write_text(html, encoding="utf-8")
    return path


def write_pages(run: Run, last_run: str = "") -> Path:
    """Write `index.html` and one page for each territory; return the path of the index.

    `last_run` is the earlier run that the plan is compared with, as for `steps.review_run`.
    """
    assets = run.folder / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "plotly.min.js").write_text(report.plotly_script(), encoding="utf-8")
    for name in steps.territories(run).card.index:
        page = report.render(_territory(run, str(name)), run.words)
        (run.folder / territory_file(str(name))).write_text(page, encoding="utf-8")
    index = run.folder / "index.html"
    index.write_text(report.render(_index(run, last_run), run.words), encoding="utf-8")
    return index


def territory_file(name: str) -> str:
    """File of a territory's page; the name is data, so no character of it may mean anything to a path.

    Examples
    --------
    >>> territory_file("T01")
    'territory_T01.html'
    """
    bare = "".join(c if c.isalnum() and c.isascii() else "-" for c in name)
    return f"territory_{bare}.html" if bare == name else f"territory_{bare}_{_hash(name)}.html"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH]


def _links(words: Words) -> list[tuple[str, str]]:
    pages = [(f"{name}.html", words.label(name)) for name in sorted(NOTEBOOKS)]
    return [("index.html", words.say("report.index")), *pages]


def _index(run: Run, last_run: str) -> Page:
    say, drawn = run.words.say, steps.territories(run)
    homes = run.market.reps[["name", "home_lat", "home_lon"]] if len(run.market.reps) else None
    sections: list[tuple[tuple[str, str], ...]] = [
        (
            (
                say("report.map"),
                report.map_html(maps.territory_map(drawn.map, run.words, homes, height=520), 520),
            ),
        ),
        (
            (say("report.decisions"), bullets(decisions(run))),
            (say("report.timeline"), _fan(run, tables.fan_table(run))),
        ),
        ((say("report.targets"), tables.top_areas(run, 5)),),
        ((say("report.territories"), _territory_table(run)),),
        ((say("report.warnings"), bullets(warnings(run, last_run))),),
        ((say("report.quality"), tables.findings_table(run)),),
        (
            (
                say("report.assumptions"),
                f"<p class='note'>{say('report.assumptions_note')}</p>"
                + report.assumptions_table(assumptions(run.settings), run.words),
            ),
        ),
    ]
    return Page(
        title=say("report.title", plan=run.settings.plan),
        subtitle=_subtitle(run),
        lead=plain(tell.headline(run)),
        tiles=_tiles(run),
        sections=sections,
        links=_links(run.words)[1:],
        footer=_footer(run),
    )


def _subtitle(run: Run) -> str:
    if run.market.as_of is None:
        return plain(run.words.say("report.subtitle_undated"))
    day = run.words.write(run.market.as_of, "date")
    return plain(run.words.say("report.subtitle", quarter=run.market.quarter, as_of=day))


def _footer(run: Run) -> str:
    notes = read_notes(run.folder)
    inputs = _hash("".join(notes["inputs"].values()))
    return plain(
        run.words.say(
            "report.footer", run=run.name, settings=notes["settings"][:HASH], inputs=inputs
        )
    )


def _tiles(run: Run) -> list[tuple[str, str]]:
    drawn, words = steps.territories(run), run.words
    year = steps.expected_year(run)
    goal = int(steps.set_goals(run).table["amount"].sum()) / 100
    first = next(iter(steps.rules(run).balance))
    index = drawn.card[f"{first}_index"]
    span = f"{words.write(index.min(), 'percent')} – {words.write(index.max(), 'percent')}"
    tiles = [(span, words.label(f"{first}_index"))]
    if year["mean"] > 0:
        expected = words.write(year["mean"], "short"), words.label("expected")
        asked = [(words.write(goal, "short"), words.label("goal"))]
        tiles = [*(asked if steps.goal_given(run) else []), expected, *tiles]
    if steps.split_budget(run).total:
        tiles.append(
            (words.write(steps.split_budget(run).total / 100, "short"), words.label("budget"))
        )
    if run.market.has("assignments"):
        tiles.append(
            (words.write(len(steps.changes(run)), "number"), words.label("moved_accounts"))
        )
    space = float(steps.account_facts(run)["white_space"].sum())
    if space:
        tiles.append((words.write(space, "short"), words.label("white_space")))
    return tiles


def _known(run: Run) -> list[str]:
    """Which of revenue and potential anything is known of: what nobody knows is not shown as 0."""
    facts = steps.account_facts(run)
    return [name for name in ("revenue", "potential") if facts[name].any()]


def _fan(run: Run, rows: pd.DataFrame) -> str:
    if rows[["target", "mean", "p90"]].fillna(0.0).to_numpy().any():
        return report.fan_svg(rows, run.words)
    return bullets([run.words.say("headline.no_forecast")])


def decisions(run: Run) -> list[str]:
    """What waits for a manager, each with its money."""
    say, found = run.words.say, []
    rep = steps.reps(run)
    vacant = rep.loc[rep["rep_id"] == VACANT, "territory"].tolist()
    if vacant and run.market.has("reps"):
        found.append(say("decide.vacant", n=len(vacant), names=", ".join(vacant)))
    for name, team in steps.overlay_runs(run).items():
        rows = steps.reps(team)
        empty = rows.loc[rows["rep_id"] == VACANT, "territory"].tolist()
        if empty:
            called = f"{tell.overlay_name(run, name)}: {', '.join(empty)}"
            found.append(say("decide.vacant", n=len(empty), names=called))
    moves = steps.changes(run)
    if len(moves):
        found.append(say("decide.moves", n=len(moves), risk=float(moves["risk"].sum())))
    gap = (
        int(steps.set_goals(run).table["amount"].sum()) / 100
        - steps.forecast_sales(run).year["mean"]
    )
    if gap > 1 and steps.goal_given(run):
        found.append(say("decide.goal", gap=gap))
    channel = steps.selling(run)
    bound = steps.bound_by_contract(run)
    talk = (channel["channel"] != "direct") & ~channel["territory"].isin(bound)
    partners = channel.loc[talk, "territory"].tolist()
    if partners:
        found.append(say("decide.partners", names=", ".join(partners)))
    consent = run.market.accounts[["consent_email", "consent_phone", "consent_sms"]].any(axis=1)
    if run.market.has("channels") and not consent.all():
        known = run.market.accounts["consents_known"].any()
        key = "decide.consents" if known else "decide.consents_unknown"
        found.append(say(key, n=int((~consent).sum())))
    kinds = run.market.duplicates["kind"].value_counts() if len(run.market.duplicates) else {}
    twice = int(kinds.get("certain", 0)) + int(kinds.get("likely", 0))
    if twice:
        found.append(say("decide.twice", n=twice))
    if not run.market.has("reps"):
        found.append(say("decide.no_reps", n=len(rep)))
    return [str(line) for line in found] or [say("decide.none")]


def warnings(run: Run, last_run: str = "") -> list[str]:
    """What a manager has to know before trusting the plan."""
    absent = [line.removeprefix("- ") for line in tell.missing(run).split("\n")]
    proof = [str(tell.drawn(run))] if steps.proof(run) else []
    aside = run.market.quality[run.market.quality["severity"] == "set_aside"]
    by = (
        aside[aside["table"] == "accounts"]
        .groupby("rule")
        .agg(n=("key", "size"), money=("money", "sum"))
    )
    lines = [
        f"{run.words.label(f'rule.{rule}')}: {run.words.write(row.n, 'account')}, {run.words.write(row.money, 'money0')}"
        for rule, row in zip(by.index, by.itertuples(index=False), strict=True)
    ]
    beside = [str(tell.overlays(run))] if (steps.credit(run) != FIELD).any(axis=None) else []
    apart = str(tell.apart(run, steps.review_run(run, last_run))) if last_run else ""
    told = [apart] if apart else []
    return [*proof, *beside, *told, str(tell.quality(run)), *lines, *absent]


def _territory_table(run: Run) -> str:
    card = steps.territories(run).card.reset_index()
    rep = owner_of(steps.reps(run))
    names = run.market.reps["name"] if len(run.market.reps) else pd.Series(dtype=str)
    card["rep"] = card["territory"].map(rep).map(names).fillna(run.words.label(VACANT))
    kinds = {
        "territory": "text",
        "town": "text",
        "rep": "text",
        "accounts": "number",
    }
    kinds |= dict.fromkeys(_known(run), "short")
    kinds |= {f"{m}_index": "percent" for m in steps.rules(run).balance}
    html: str = table(card, run.words, kinds, limit=200)
    for name in card["territory"]:
        cell = f'<td class="t">{report.escape(name)}</td>'
        html = html.replace(
            cell,
            f"<td class='t'><a href='{territory_file(name)}'>{report.escape(name)}</a></td>",
            1,
        )
    return html


def _assumed_chance(run: Run) -> str:
    """Say that chances are assumed, and by whom, where no deal has closed; else nothing."""
    if run.market.opportunities["is_closed"].fillna(value=False).astype(bool).any():
        return ""
    rows = assumptions(run.settings)
    default = rows.loc[rows["setting"] == "customers.win_rate", "source"]
    source = run.words.label("settings_given")
    if len(default):
        source = run.words.source("customers.win_rate", str(default.iloc[0]))
    assumed = run.settings.customers.win_rate
    return f"<p class='note'>{plain(run.words.say('report.assumed_chance', assumed=assumed, source=source))}</p>"


def _territory(run: Run, name: str) -> Page:
    words, drawn = run.words, steps.territories(run)
    card = drawn.card.loc[name]
    base = steps.customer_base(run).set_index("territory").loc[name]
    facts = steps.account_facts(run)
    mine = facts[facts["unit_id"].map(drawn.territory) == name].join(
        run.market.accounts[["name", "town"]].rename(columns={"town": "place"})
    )
    customer_kinds = {
        "name": "text",
        "place": "text",
        "industry": "text",
        "revenue": "money0",
        "white_space": "money0",
        "pipeline": "money0",
    }
    best = mine[mine["status"] == "customer"].sort_values(
        ["revenue", "name"], ascending=[False, True]
    )
    late, lacking = steps.rfm(run)["late"], steps.next_products(run)
    if (lacking["product_line"] != "").any():
        best = best.assign(next_product=lacking["product_line"])
        customer_kinds |= {"next_product": "text"}
    if late.reindex(best.index).ne("").any():
        best = best.assign(rhythm="late." + late.where(late != "", "none"))
        customer_kinds |= {"rhythm": "label"}
    new = mine[mine["status"] != "customer"].sort_values(["ev", "name"], ascending=[False, True])
    moves = steps.hand_over(run)
    moves = moves[moves["to_territory"] == name].assign(
        name=lambda m: m["account_id"].map(run.market.accounts["name"]),
        level=lambda m: "disruption_" + m["level"],
    )
    rep = steps.reps(run)
    owner = ", ".join(
        rep.loc[rep["territory"] == name, "rep_id"].map(
            lambda r: run.market.reps["name"].get(r, words.label(VACANT))
        )
    )
    goals = tables.goal_table(run)
    goals = goals[goals["territory"] == name]
    sections: list[tuple[tuple[str, str], ...]] = [
        (
            (
                words.say("report.map"),
                report.map_html(maps.territory_map(drawn.map, words, only=name, height=360), 360),
            ),
            (words.say("report.goals"), _fan(run, goals)),
        ),
        (
            (
                words.say("report.who"),
                f"<p>{report.escape(plain(tables.customer_paragraph(run, name)))}</p>",
            ),
        ),
    ]
    if len(best):
        customers = table(best.head(TOP), words, customer_kinds)
        sections.append(((words.say("report.customers"), customers),))
    if "potential" in _known(run):
        kinds = {
            "name": "text",
            "place": "text",
            "industry": "text",
            "white_space": "money0",
            "chance": "percent",
            "ev": "money0",
        }
        prospects = table(new.head(TOP).rename(columns={"p_win": "chance"}), words, kinds)
        sections.append(((words.say("report.prospects"), _assumed_chance(run) + prospects),))
    cells = steps.split_budget(run).cells
    if len(cells):
        spent = cells[cells["territory"] == name].assign(
            channel_name=lambda c: [steps.channel_name(run, x) for x in c["channel"]],
            amount=lambda c: c["amount"] / 100,
        )
        for what in ("lead", "win"):
            some = spent[f"{what}s"].where((spent[f"{what}s"] > 0) & (spent["amount"] > 0))
            spent[f"cost_per_{what}"] = spent["amount"] / some
        sections.append(((words.say("report.reach"), table(spent, words, tables.REACH)),))
    if len(moves):
        kinds = {
            "name": "text",
            "from_territory": "text",
            "from_rep": "text",
            "to_rep": "text",
            "revenue": "money0",
            "risk": "money0",
            "level": "label",
        }
        shown = moves.sort_values(["risk", "account_id"], ascending=[False, True])
        sections.append(((words.say("report.handover"), table(shown, words, kinds, limit=15)),))
    tiles = [
        (words.write(int(card["accounts"]), "number"), words.label("accounts")),
        *[
            (words.write(float(base[m]), "short"), words.label(m))
            for m, needs in (("revenue", "revenue"), ("white_space", "potential"))
            if needs in _known(run)
        ],
        *[
            (words.write(float(card[f"{m}_index"]), "percent"), words.label(f"{m}_index"))
            for m in steps.rules(run).balance
        ],
        (owner, words.label("rep")),
    ]
    title = f"{name} · {card['town']}" if card["town"] else name
    return Page(
        title,
        _subtitle(run),
        tiles=tiles,
        sections=sections,
        links=_links(words)[:1],
        footer=_footer(run),
    )
