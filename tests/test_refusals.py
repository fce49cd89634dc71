"""What terrlib says when it refuses: one sentence in two languages, wherever it is shown."""

import ast
import pickle
import string
from pathlib import Path

import terrlib
from terrlib.errors import DataError, InfeasibleError
from terrlib.show.words import Told, Words, texts

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
        if isinstance(key, ast.JoinedStr):
            start = key.values[0].value if isinstance(key.values[0], ast.Constant) else ""
            assert any(one.startswith(start) and "." in start for one in known), where
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
