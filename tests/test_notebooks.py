"""Every notebook has the same anatomy, speaks both languages, and runs in a real kernel."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from terrlib.runs import NOTEBOOKS, in_language

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
HEADLINE = {"keep_output", "nbval-check-output"}


def cells(path, kind):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def test_there_are_eight():
    assert {path.stem for path in PATHS} == set(NOTEBOOKS)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_title_table_parameters_and_short_cells(path):
    texts, codes = cells(path, "markdown"), cells(path, "code")
    assert re.match(r"# \d\. .+\? · .+\?\n", texts[0].source)
    for word in ("Decyduje · Decides", "Potrzebuje · Needs", "Dalej · Next"):
        assert word in texts[0].source
    assert [tags(c) for c in codes].count({"parameters"}) == 1
    assert tags(codes[0]) == {"parameters"}
    assert len(codes) <= 24
    for cell in codes:
        tree = ast.parse(cell.source)
        assert len(cell.source.split("\n")) <= 12
        kinds = (ast.FunctionDef, ast.For, ast.While, ast.Try, ast.With)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree))
        imported = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert set(imported) <= {"terrlib"}


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_each_line_of_text_is_polish_and_english(path):
    for cell in cells(path, "markdown"):
        for line in cell.source.split("\n"):
            if line.strip(" |-"):
                said = line.count(" · ")
                assert said >= 1 or line.startswith("| **"), line
                assert in_language(line, "pl") != in_language(line, "en"), line
                assert " · " not in in_language(line, "pl") + in_language(line, "en"), line


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_one_headline_output_is_kept_and_no_other(path):
    codes = cells(path, "code")
    (headline,) = [c for c in codes if tags(c) >= HEADLINE]
    assert headline.outputs and headline.execution_count
    assert all(not c.outputs for c in codes if c is not headline)


def test_no_number_of_a_result_is_typed_into_prose():
    for path in PATHS:
        for cell in cells(path, "markdown"):
            prose = re.sub(
                r"`[^`]*`|\([^)]*\)|^#+ \d\.|^\d\. | · \d\. |\[\d\.|notebooks? \d|notatnika \d|\d (do|to) \d",
                "",
                cell.source,
                flags=re.M,
            )
            assert not re.search(r"\d", prose), (path.stem, prose)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_it_runs_alone_in_a_real_kernel_and_its_headline_has_not_changed(path, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "--nbval-cell-timeout=300",
            "-q",
            "-p",
            "no:cacheprovider",
            "--override-ini=addopts=",
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parent,
        env=os.environ | {"TERRLIB_REPORTS": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_language_is_chosen_line_by_line_and_cell_by_cell():
    assert in_language("# 2. Gdzie? · Where?\n\nA · B", "en") == "# 2. Where?\n\nB"
    assert in_language("# 2. Gdzie? · Where?\n\nA · B", "pl") == "# 2. Gdzie?\n\nA"
    line = "| **Decyduje · Decides** | nic · nothing |"
    assert in_language(line, "en") == "| **Decides** | nothing |"
    assert in_language(line, "pl") == "| **Decyduje** | nic |"
    assert in_language("1. Zapisz · 1. Save", "en") == "1. Save"
