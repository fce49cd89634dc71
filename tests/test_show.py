"""Words, tables and panels: both languages say the same, and text from data stays text."""

import string

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import box

from terrlib.errors import InfeasibleError
from terrlib.inputs.quality import RULES
from terrlib.inputs.settings import Settings, assumptions
from terrlib.show import maps
from terrlib.show.panels import TerritoryPanel
from terrlib.show.report import bullets, fan_svg
from terrlib.show.tables import Shown, table
from terrlib.show.words import Words, texts

PL, EN = Words("pl", "PLN"), Words("en", "PLN")
EVIL = "<img src=x onerror=alert(1)> **x** [a](b)"


def fields(text):
    return sorted({name for _, name, _, _ in string.Formatter().parse(str(text)) if name})


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
