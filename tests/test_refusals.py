"""What terrlib says when it refuses: one sentence in two languages, wherever it is shown."""

import ast
import pickle
import re
import string
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import terrlib
from terrlib.cli import main
from terrlib.decisions.impossible import impossible
from terrlib.decisions.rules import Rules
from terrlib.decisions.territories import draw
from terrlib.errors import DataError, InfeasibleError
from terrlib.inputs.settings import Territories
from terrlib.show.words import Told, Words, texts
from tests.test_territories import measured
from tests.worlds import line_market

PL = Words("pl", "PLN")
SAYING = {"DataError", "SettingsError", "InfeasibleError", "PlanError", "TerrlibError", "Told"}


def said_in_the_house():
    """Every sentence that the code names by a plain key, and what it fills it with."""
    for path in Path(terrlib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node, "func", None)
            name = getattr(called, "id", getattr(called, "attr", ""))
            if isinstance(node, ast.Call) and name in SAYING and node.args:
                key = node.args[0]
                starred = any(keyword.arg is None for keyword in node.keywords)
                yield f"{path.name}:{node.lineno}", key, node.keywords, starred


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(str(text)) if name}


def test_every_refusal_is_a_sentence_of_the_locale_files_and_fills_it():
    known, found = texts("pl"), 0
    for where, key, keywords, starred in said_in_the_house():
        assert not isinstance(key, ast.BinOp), where
        first = key.values[0] if isinstance(key, ast.JoinedStr) else None  # noqa: PD011
        if isinstance(first, ast.Constant) and first.value != "EPSG:":
            assert any(one.startswith(first.value) and "." in first.value for one in known), where
        if isinstance(key, ast.Constant):
            found += 1
            assert key.value in known, (where, key.value)
            given, asked = {k.arg for k in keywords} - {None}, fields(known[key.value])
            assert given == asked or (starred and given < asked), (where, given ^ asked)
    assert found > 100


def test_other_text_is_data_and_stays_as_it_is():
    refusal = InfeasibleError("nothing <holds>, but {this}")
    assert str(refusal) == PL.tell(refusal.said) == "nothing <holds>, but {this}"


def test_a_sentence_survives_being_sent_to_another_process():
    told = Told("refusal.no_file", file="a_b*.csv")
    again = pickle.loads(pickle.dumps(DataError([told, told])))
    assert str(again) == "there is no file a_b*.csv; there is no file a_b*.csv"
    assert PL.tell(again.said) == "nie ma pliku a_b*.csv; nie ma pliku a_b*.csv"


IMPOSSIBLE = {
    "one unit above the limit": (
        line_market([10, 10, 10, 90]),
        Rules(2, {"revenue": 0.3}),
        {},
        "d alone holds 75.0% of revenue, but a territory may hold at most 65.0%: allow a balance of "
        "50% or more, or balance another measure",
        "na samą jednostkę d przypada 75,0% całości (obroty), a na terytorium może przypaść "
        "najwyżej 65,0%: dopuść odchylenie 50% lub większe albo równoważ inną miarę",
    ),
    "locked sets above it": (
        line_market([1, 1, 1, 1]),
        Rules(2, {"count": 0.2}),
        {"a": "x", "b": "x", "c": "x"},
        "the units placed by hand in x hold 75.0% of count, but a territory may hold at most 60.0%: "
        "allow a balance of 50% or more, or take at least 15.0% of it out of the overrides",
        "na jednostki ustalone ręcznie w x przypada 75,0% całości (liczba firm), a na to terytorium "
        "może przypaść najwyżej 60,0%: dopuść odchylenie 50% lub większe albo wycofaj ze zmian "
        "ręcznych co najmniej 15,0% całości",
    ),
    "an island below the limit": (
        replace(line_market([5, 5, 5, 1]), neighbors=line_market([5, 5, 5, 1]).neighbors[:2]),
        Rules(2, {"revenue": 0.3}),
        {},
        "d and what it touches (1 units) touch nothing else and hold 6.2% of revenue, but a "
        "territory must hold at least 35.0%: allow a balance of 88% or more, or put a ferry or "
        "bridge into the table neighbors",
        "d i wszystko, z czym się styka (1 jednostka), to wyspa z 6,2% całości (obroty), a na "
        "terytorium musi przypaść co najmniej 35,0%: dopuść odchylenie 88% lub większe albo dopisz "
        "prom lub most do tabeli neighbors",
    ),
    "a tolerance finer than the units": (
        line_market([1, 1, 1, 1]),
        Rules(2, {"count": 0.1}, shares=(1.0, 0.5)),
        {},
        "no set of units holds between 30.0% and 36.7% of count, the nearest holds 25.0%: the "
        "tolerance is finer than the 4 units allow; allow a balance of 25% or more, or use smaller "
        "units",
        "żaden zestaw jednostek nie daje od 30,0% do 36,7% całości (liczba firm), najbliższy daje "
        "25,0%: przy tylu jednostkach (4) odchylenie jest za małe; dopuść odchylenie 25% lub większe "
        "albo weź mniejsze jednostki",
    ),
    "more territories than units": (
        line_market([1, 1]),
        Rules(5),
        {},
        "5 territories cannot be made of 2 units: draw at most 2, or use smaller units",
        "2 jednostki to za mało na 5 terytoriów: liczba terytoriów może wynosić najwyżej 2, chyba "
        "że jednostki będą mniejsze",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_the_five_impossible_problems_are_explained_in_both_languages(case):
    market, rules, fixed, english, polish = IMPOSSIBLE[case]
    said = impossible(market, measured(market), rules, pd.Series(fixed, dtype=str))
    assert english in said
    assert polish in [PL.tell(reason) for reason in said]


def test_rules_that_conflict_are_named_in_polish():
    market = line_market([1] * 6)
    rules = Rules(2, {"count": 0.4}, together=(("a", "f"),), apart=(("b", "c"),), max_accounts=9)
    with pytest.raises(InfeasibleError) as refused:
        draw(market, measured(market), rules, Territories(), 1)
    told = PL.tell(refused.value.said)
    assert told.startswith("tych reguł nie da się pogodzić: ")
    assert "a, f: razem" in told and "terytoria w jednym kawałku" in told


# Words that no Polish sentence holds, and that hardly any English one does without.
ENGLISH = re.compile(
    r"\b(the|is|are|of|and|should|cannot|there|such|has|have|not|with|was|more|than|its)\b"
)
FIRMS = "account_id,lat,lon,revenue\nA,52,21,1 000\nB,52.1,21,x\nC,52.2,21,30\n"
TWICE = FIRMS + "A,52.3,21,7\n"
STOPS = {
    "no such file": ("tables: {accounts: acounts.csv}\n", FIRMS, "„acounts.csv”: czy chodzi o"),
    "outside": ("tables: {accounts: ../a.csv}\n", FIRMS, "leży poza folderem danych"),
    "no accounts": ("plan: A\n", FIRMS, "w ustawieniach nie ma tabeli firm"),
    "unknown key": ("teritories: {count: 2}\n", FIRMS, "nieznany klucz „teritories”"),
    "key within": ("territories: {cuont: 2}\n", FIRMS, "(w territories)"),
    "out of range": ("seed: -1\n", FIRMS, "seed: powinno być co najmniej 0, a nie -1"),
    "another word": ("units: cells\n", FIRMS, "powinno to być 'accounts' lub 'areas' lub"),
    "no number": ("timeline: {draws: many}\n", FIRMS, "powinna to być liczba całkowita"),
    "a value": ("quarter: 2026-4\n", FIRMS, "powinno wyglądać jak 2026Q4"),
    "empty file": ("tables: {accounts: a.csv}\n", "", "a.csv jest pusty"),
    "ids twice": ("tables: {accounts: a.csv}\n", TWICE, "account_id powtarza się w 2 wierszach"),
    "no place": ("tables: {accounts: a.csv}\n", "account_id,name\nA,x\n", "brak kolumny lat, lon"),
    "by rule": (
        "tables: {accounts: a.csv}\nquality: {rules: {not_a_number: stop}}\n",
        FIRMS,
        "firmy: revenue: tego nie da się odczytać jako liczby; według quality.rules to zatrzymuje "
        "plan (1 wiersz, na przykład B)",
    ),
    "how many": ("tables: {accounts: a.csv}\nquality: {rules: {not_a_number: note}}\n", FIRMS, ""),
    "too many": (
        "tables: {accounts: a.csv}\nterritories: {count: 5}\n",
        FIRMS,
        "Niewykonalne: 2 jednostki to za mało na 5 terytoriów",
    ),
}


@pytest.mark.parametrize("case", STOPS)
def test_a_stop_on_the_command_line_speaks_polish_only(case, tmp_path, capsys):
    asked, firms, told = STOPS[case]
    (tmp_path / "a.csv").write_text(firms, encoding="utf-8")
    settings = tmp_path / "s.yml"
    settings.write_text("locale: pl\n" + asked, encoding="utf-8")
    assert main(["check", str(settings)]) == 2
    refusal = capsys.readouterr().err.replace("\u00a0", " ").replace(str(tmp_path), "")
    assert told in refusal and not ENGLISH.search(refusal), refusal


def test_a_notebook_shows_a_refusal_in_the_language_of_its_run(tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    (tmp_path / "a.csv").write_text("account_id,name\nA,x\n", encoding="utf-8")
    settings = tmp_path / "s.yml"
    settings.write_text("locale: pl\ntables: {accounts: a.csv}\n", encoding="utf-8")
    shell, shown = InteractiveShell.instance(), []
    try:
        shell._showtraceback = lambda kind, refusal, _: shown.append((kind, str(refusal)))
        shell.run_cell(f"import terrlib as tl; tl.open_run({str(settings)!r})")
    finally:
        InteractiveShell.clear_instance()
    assert shown[0][0] is DataError and shown[0][1].startswith("firmy: brak kolumny lat, lon")
