"""The report of a run: page one, a page for each notebook, a page for each territory."""

from __future__ import annotations

from pathlib import Path

import nbformat

from terrlib import steps, tables, tell
from terrlib.inputs.settings import assumptions
from terrlib.runs import NOTEBOOKS, Run, read_map, read_notes, read_table
from terrlib.show import report
from terrlib.show.words import Words


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
    path.write_text(report.notebook_page(nb, words, _links(words)), encoding="utf-8")
    return path


def write_pages(run: Run) -> Path:
    """Write `index.html` and one page for each territory; return the path of the index."""
    folder = run.folder
    assets = folder / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "plotly.min.js").write_text(report.plotly_script(), encoding="utf-8")
    page = _page(run)
    for territory in page.scorecard["territory"]:
        path = folder / f"territory_{_file(territory)}.html"
        path.write_text(report.territory_page(page, territory), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(report.index_page(page), encoding="utf-8")
    return index
