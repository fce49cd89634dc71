"""Words, tables and panels: both languages say the same, and text from data stays text."""

import re
import string
from dataclasses import replace
from importlib import resources

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from shapely.geometry import box

from terrlib import pages, steps, tables, tell
from terrlib.checks import Check
from terrlib.decisions.territories import Curve
from terrlib.errors import InfeasibleError
from terrlib.inputs.load import load_market
from terrlib.inputs.quality import FIXED, RULES
from terrlib.inputs.settings import Settings, assumptions, make_settings
from terrlib.plan import _same_money
from terrlib.runs import Run
from terrlib.show import charts, maps
from terrlib.show.panels import TerritoryPanel
from terrlib.show.report import bullets, fan_svg, notebook_page
from terrlib.show.tables import Shown, table
from terrlib.show.words import LOCALES, Words, texts
from tests.worlds import line_market, said

PL, EN = Words("pl", "PLN"), Words("en", "PLN")
EVIL = "<img src=x onerror=alert(1)> **x** [a](b)"


def fields(text):
    return sorted({name for _, name, _, _ in string.Formatter().parse(str(text)) if name})


@pytest.mark.parametrize("locale", LOCALES)
def test_a_language_says_nothing_twice(locale):
    class Strict(yaml.SafeLoader):
        """Refuses a key that stands twice in one group."""

    def group(loader, node):
        pairs = loader.construct_pairs(node, deep=True)
        assert len(dict(pairs)) == len(pairs), [k for k, _ in pairs]
        return dict(pairs)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, group)
    text = (
        resources.files("terrlib.show").joinpath(f"locale/{locale}.yml").read_text(encoding="utf-8")
    )
    assert yaml.load(text, Strict)


def test_both_languages_hold_the_same_keys_and_placeholders():
    polish, english = texts("pl"), texts("en")
    assert set(polish) == set(english)
    sentences = [key for key in polish if not key.startswith("noun.")]
    assert [k for k in sentences if fields(polish[k]) != fields(english[k])] == []
    assert [k for k in sentences if not str(polish[k]).strip()] == []


def test_every_rule_and_every_assumption_has_its_words():
    for words in ("pl", "en"):
        assert {f"label.rule.{rule}" for rule in RULES} <= set(texts(words))
        listed = set(assumptions(Settings())["setting"])
        assert {f"source.{setting}" for setting in listed} <= set(texts(words))


def test_polish_counts_as_poles_do():
    assert [PL.write(n, "territory").split()[-1] for n in (1, 3, 5, 12, 22)] == [
        "terytorium",
        "terytoria",
        "terytoriów",
        "terytoriów",
        "terytoria",
    ]


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (PL, "money", "1 234 567,89 zł"),
        (EN, "money", "1,234,567.89 PLN"),
        (PL, "short", "1,2 mln zł"),
        (EN, "short", "1.2 M PLN"),
        (PL, "thousands", "1 235 tys. zł"),
        (PL, "money0", "1 234 568 zł"),
    ],
)
def test_money_as_its_reader_writes_it(words, kind, said):
    assert words.write(1234567.89, kind).replace("\u00a0", " ") == said


def test_an_unknown_sentence_is_an_error_with_the_nearest():
    with pytest.raises(KeyError, match=r"did you mean 'table\.more'"):
        EN.say("table.moer")


def test_text_from_data_is_escaped_in_sentences_and_tables():
    said = EN.say("overrides.kept", n=1, kept=1) + EN.say("review.drift", n=1, names=EVIL)
    assert "<img" not in said and "\\*\\*x" in said
    shown = table(pd.DataFrame({"name": [EVIL]}), EN, {"name": "text"})
    assert "<img" not in shown and "&lt;img" in shown


def squares(*names):
    shapes = [box(19 + i, 52, 20 + i, 53) for i in range(len(names))]
    return gpd.GeoDataFrame(
        {"territory": names, "town": ["A"] * len(names), "accounts": 3}, geometry=shapes, crs=4326
    )


def test_maps_ask_no_network_and_escape_names():
    html = maps.territory_map(squares(EVIL, "T2"), EN).get_root().render()
    assert "https://" not in html.replace("https://leafletjs.com", "") and "<img src=x" not in html
    assert html.count('"className": "territory"') == 2


def test_neighbours_differ_in_colour():
    colors = maps.territory_colors(squares(*"abcdef"))
    assert all(colors[a] != colors[b] for a, b in zip("abcde", "bcdef", strict=True))


def test_a_panel_follows_its_sliders_and_shows_refusals_as_text():
    asked = []

    def draw(count, balance):
        asked.append((count, balance))
        if count > 5:
            raise InfeasibleError("nothing <holds>")
        return squares("T1"), Shown("<table></table>"), "fine"

    panel = TerritoryPanel(3, {"revenue": 0.15}, draw, EN, (squares("T1"), Shown(""), "first"))
    assert asked == [] and panel.said.value == "first"
    panel.count.value = 4
    assert asked == [(4, {"revenue": 0.15})] and panel.said.value == "fine"
    assert "count: 4" in panel.line.value
    panel.tolerance["revenue"].value = 0.2
    assert asked[-1] == (4, {"revenue": 0.2})
    panel.count.value = 6
    assert "nothing &lt;holds&gt;" in panel.said.value


def test_a_fan_of_one_quarter_and_of_none_known_goal_is_drawn():
    rows = pd.DataFrame(
        {"quarter": ["2026Q4"], "target": [0.0], "mean": [5.0], "p10": [1.0], "p90": [9.0]}
    )
    assert fan_svg(rows, PL).startswith("<svg")
    assert bullets(["a &lt;b&gt;"]) == "<ul><li>a &lt;b&gt;</li></ul>"


# ---------------------------------------------------------------------------- the trade


def proof(**change):
    plain = steps.Proof("feasible", 10.0, 8.0, 6.0, 0.4, ("pieces", "change"), 2.0, 1, 50.0)
    return plain._replace(**change)


def test_a_heuristic_never_poses_as_optimal():
    for words, sure in ((PL, "lepszych terytoriów przy tych regułach nie ma"), (EN, "no better")):
        assert sure in tell.design(words, proof(status="optimal", gap=0.0, relaxed=()))
        said = tell.design(words, proof())
        assert sure not in said and words.write(0.4, "percent1") in said.replace("\u00a0", " ")
        assert words.label("relaxed.pieces") in said and words.label("relaxed.change") in said
        assert words.label("relaxed.pieces") not in tell.design(words, proof(relaxed=()))


def trade(folder, words=EN, *, overrides=("a", "T1"), **territories):
    """A run of seven units in a row, held by two territories today."""
    held = [
        {"account_id": f"A-{u}", "territory": t} for u, t in zip("abcdefg", "1111122", strict=True)
    ]
    given = {"assignments": [row | {"territory": f"T{row['territory']}"} for row in held]}
    if overrides:
        given["overrides"] = [dict(zip(("unit_id", "territory"), overrides, strict=True))]
    asked = {"count": 2, "balance": {"revenue": 0.3}} | territories
    settings = make_settings({"territories": asked})
    return Run("x", folder, None, settings, line_market([3, 1, 1, 1, 1, 2, 1], **given), words)


@pytest.mark.parametrize("words", [PL, EN])
@pytest.mark.parametrize("travel", ["distance", "square"])
def test_the_trade_is_told_in_both_languages_and_units(tmp_path, words, travel):
    run = trade(tmp_path, words, travel=travel)
    rows = tables.frontier_table(run)
    assert rows["chosen"].sum() == 1 and rows.loc[rows["chosen"], "more"].tolist() == [0.0]
    assert rows["kind"].unique().tolist() == ["percent" if travel == "square" else "thousands"]
    gained = tables.gain_table(run).set_index("part")["cost"]
    whole = gained.drop(["bound", "left"], errors="ignore").sum()
    assert whole == pytest.approx(gained.get("bound", 0) + gained.get("left", 0))
    for tells in (tell.gain, tell.frontier, tell.counts, tell.locks, tell.drawn):
        text = tells(run)
        assert text and not re.search(r"[{}]|\bnan\b", text, re.IGNORECASE), text
    charts.gain(tables.gain_table(run), words)
    charts.frontier(rows, words)
    charts.counts(tables.count_table(run), words)
    charts.lock_prices(tables.lock_table(run), words)


def test_counts_around_the_one_asked_and_the_range_itself(tmp_path):
    around = tables.count_table(trade(tmp_path))
    assert around.loc[around["chosen"], "n_territories"].tolist() == [2]
    assert set(around["n_territories"]) == {1, 2, 3, 4}
    ranged = trade(tmp_path, count=[2, 3])
    assert steps.trade_counts(ranged) is steps.try_range(ranged)


def test_what_was_not_drawn_is_shown_as_such():
    rows = pd.DataFrame(
        {
            "tolerance": [0.1, 0.2],
            "cost": [np.nan, 5.0],
            "more": [np.nan, 0.0],
            "bound": [np.nan, 4.0],
            "chosen": [False, True],
            "kind": "short",
        }
    )
    notes = [note.text for note in charts.frontier(rows, PL).layout.annotations]
    assert notes == ["brak"]
    locks = pd.DataFrame(
        {"name": ["a → T1", "b"], "lock": ["overrides", "together"], "price": [0.0, np.nan]}
    ).assign(at_most=[5.0, np.nan])
    _, bars = charts.lock_prices(locks.assign(kind="short"), PL).data
    assert [text.replace("\u00a0", " ") for text in bars.text] == ["nic (≤ 5 zł)"]


def test_each_measure_has_the_band_of_its_own_tolerance():
    card = pd.DataFrame({"count_index": [0.9, 1.1], "revenue_index": [0.8, 1.2]}, ["T1", "T2"])
    shown = charts.balance(card, card.iloc[:0], PL, {"count": 0.1, "revenue": 0.2})
    assert [(s.y0, s.y1) for s in shown.layout.shapes] == [(0.9, 1.1), (0.8, 1.2)]


def test_the_picked_number_is_told_beside_the_next_and_how_sure_that_is(tmp_path, monkeypatch):
    run = trade(tmp_path)
    rows = [
        {"n_territories": n, "total": total, "cost": 9.0, "bound": bound, "fits": True}
        for n, total, bound in ((2, 1_000.0, 9.0), (3, 1_500.0, 9.0), (4, 9_000.0, 0.0))
    ]
    table = pd.DataFrame(rows).assign(utilisation=0.5, travel_money=1.0)
    curve = Curve(table, 2, "least_total", dict.fromkeys((2, 3, 4)))
    monkeypatch.setattr(steps, "trade_counts", lambda _: curve)
    sure = str(EN.say("counts.next", n=3, more=500.0))
    assert sure in tell.counts(run) and "other reasons may decide" not in tell.counts(run)
    table.loc[1, "bound"] = 9.0 - 600 / steps.worth(run)  # three may be 600 cheaper yet
    assert f"{sure} {EN.say('counts.close', left=600.0)}" in tell.counts(run)


def test_nothing_fixed_has_no_price(tmp_path):
    run = trade(tmp_path, overrides=None)
    assert tell.locks(run) == EN.say("locks.none")
    assert charts.lock_prices(tables.lock_table(run), EN) is None


# ---------------------------------------------------------------------------- as people read it


def sentence(text):
    return text.replace("\u00a0", " ").replace("*", "")


def test_parts_of_a_rep_are_told():
    assert PL.write(3.3, "rep") == "3,3 pełnego etatu" and PL.write(3, "rep") == "3 pełne etaty"
    assert EN.write(3.3, "rep").startswith("3.3 ")


@pytest.mark.parametrize("words", [PL, EN])
def test_a_caption_names_a_band_only_where_one_is_drawn(words):
    rows = pd.DataFrame({"quarter": ["2026Q4"], "target": [4.0], "mean": [5.0]})
    band = "Pasmo" if words is PL else "Band"
    assert band in fan_svg(rows.assign(p10=1.0, p90=9.0), words)
    assert band not in fan_svg(rows.assign(p10=5.0, p90=5.0), words)


def test_a_goal_that_nobody_gave_is_neither_drawn_nor_named():
    rows = pd.DataFrame({"quarter": ["2026Q4"], "mean": [5.0], "p10": [1.0], "p90": [9.0]})
    for target in (4.0, float("nan")):
        drawn, known = fan_svg(rows.assign(target=target), PL), target > 0
        assert ("Schodki" in drawn) is known and ("#f28e2b" in drawn) is known
        assert "nan" not in drawn


def test_a_heading_under_which_nothing_is_shown_is_left_out():
    def code(shown):
        data = {"text/markdown": shown, "text/plain": "x"}
        return nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data)])

    cells = [nbformat.v4.new_markdown_cell(f"## {name}?") for name in ("Empty", "Full")]
    prose = nbformat.v4.new_markdown_cell("## Told?\n\nWhy.")
    nb = nbformat.v4.new_notebook(
        cells=[cells[0], code(""), cells[1], code("said"), prose, code("")]
    )
    page = notebook_page(nb, EN, "title", [])
    assert "Empty?" not in page and "Full?" in page and "Told?" in page


def test_quotas_of_which_one_lies_far_out_are_not_called_even():
    said = [
        tell.evenness(EN, pd.Series(ratio), cv)
        for ratio, cv in (([0.9, 1.1], 0.1), ([0.92, 1.0, 1.29], 0.14), ([0.5, 1.5], 0.5))
    ]
    assert [text.split(" ")[2] for text in said] == ["even", "is", "uneven"]
    assert "by 21%" in said[1].replace("\u00a0", " ")


@pytest.mark.parametrize("n", [1, 2, 5])
def test_polish_sentences_agree_with_every_number(n):
    said = PL.say("decide.moves", n=n, risk=1.0) + PL.say("review.drift", n=n, names="T1")
    assert f"zmieniają opiekuna: {n};" in said and f"poza tolerancją: {n} (T1)" in said
    plan = PL.say("headline.territories", n=n, accounts=n, revenue=5.0)
    assert plan.startswith(f"Plan: {PL.write(n, 'territory')}, razem {PL.write(n, 'account')} ")


def test_a_goal_below_the_forecast_is_told_without_a_sign():
    assert sentence(tell.goal_gap(PL, -5.0, 0.7)).startswith("Jest o 5 zł niższy")
    assert sentence(tell.goal_gap(PL, 5.0, 0.2)).startswith("Jest o 5 zł wyższy")
    assert "prognozy" not in tell.goal_gap(PL, 0.2, 0.5)


def test_maps_are_where_they_belong_without_waiting():
    drawn = maps.territory_map(squares("T1", "T2"), EN).get_root().render()
    assert re.search(r'"?zoomAnimation"?: false', drawn)


def test_checks_are_written_with_the_decimal_sign_of_their_reader(tmp_path):
    found = pd.DataFrame(
        {
            "check": ["balance_revenue"],
            "ok": [True],
            "value": ["T1: 1.05"],
            "limit": ["0.85 - 1.15"],
        }
    )
    assert "T1: 1,05" in tables.checks_table(trade(tmp_path, PL), found)
    assert "T1: 1.05" in tables.checks_table(trade(tmp_path, EN), found)


def test_amounts_of_checks_are_in_currency():
    assert _same_money("goals_in_timeline", 1234, 1234) == Check(
        "goals_in_timeline", True, "12.34", "12.34"
    )


def test_territories_without_reps_and_firms_entered_twice_wait_for_a_decision(tmp_path):
    run = trade(tmp_path)
    assert any("No reps are given" in line for line in pages.decisions(run))
    twice = pd.DataFrame({"kind": ["certain", "likely", "site"]})
    run = replace(run, market=replace(run.market, duplicates=twice))
    assert any("entered twice: 2" in line for line in pages.decisions(run))


def test_an_assumed_chance_is_marked_with_its_source(tmp_path):
    run = trade(tmp_path)
    assert "assumed to be 20% (assumption" in sentence(pages._assumed_chance(run))
    mine = replace(run, settings=make_settings({"customers": {"win_rate": 0.3}}))
    assert "30% (given in the settings)" in sentence(pages._assumed_chance(mine))
    deal = {"opp_id": "O", "account_id": "A-a", "is_closed": True, "is_won": True}
    won = replace(run, market=line_market([1, 1], opportunities=[deal]))
    assert pages._assumed_chance(won) == ""


def test_firms_of_no_industry_are_not_called_of_unknown_size(tmp_path):
    run = trade(tmp_path)
    assert "not given" in tables.concentration_table(run, "industry")
    assert "size unknown" in tables.concentration_table(run, "size_class")


def test_every_finding_but_a_refusal_has_its_sentence_in_the_language_of_the_plan(tmp_path):

    kept = set(RULES) - FIXED
    for words in ("pl", "en"):
        assert {f"finding.{rule}" for rule in kept} <= set(texts(words))
        assert not [
            text for key, text in texts(words).items() if "{n:number} accounts" in str(text)
        ]
    rows = "lat,lon,status,revenue\n52,21,Aktywny,x\n52.1,21,Aktywny,5\n"
    (tmp_path / "a.csv").write_text(rows)
    market = load_market(make_settings({"tables": {"accounts": "a.csv"}}), tmp_path)
    pl, en = (said(market, locale).set_index("rule")["message"] for locale in ("pl", "en"))
    assert pl["id_made"].endswith("powstały z numerów wierszy (2 wiersze)")
    assert en["status_mapped"] == "status Aktywny read as customer (1 account)"
    assert pl["status_mapped"] == "status Aktywny odczytany jako customer (1 firma)"
    assert pl["not_a_number"] == "revenue: tego nie da się odczytać jako liczby"
