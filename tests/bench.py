"""Time the whole plan of the sample against what its kernels cost alone; prints both.

Run by `make bench`. The bare cost is eight kernels started one after the other that each import
terrlib and nothing else.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import nbformat
import papermill

from terrlib.inputs.settings import load_settings
from terrlib.pipeline import make_run
from terrlib.runs import NOTEBOOKS, sample_folder

RUNS = 3


def bare_kernels(folder: Path) -> float:
    """Seconds to start a kernel for every notebook and import terrlib in it."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import terrlib as tl")])
    nb.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    path = folder / "bare.ipynb"
    nbformat.write(nb, path)
    began = time.monotonic()
    for _ in NOTEBOOKS:
        papermill.execute_notebook(str(path), str(path), progress_bar=False)
    return time.monotonic() - began


def whole_plan(folder: Path) -> float:
    """Seconds to plan the sample."""
    settings = load_settings(sample_folder() / "settings.yml")
    began = time.monotonic()
    make_run(settings, sample_folder(), folder)
    return time.monotonic() - began


def main() -> None:
    """Print the median of both, and their ratio."""
    rows = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            rows.append((whole_plan(Path(folder)), bare_kernels(Path(folder))))
    plan, bare = (sorted(column)[RUNS // 2] for column in zip(*rows, strict=True))
    print(f"whole plan of the sample    {plan:6.1f} s   (median of {RUNS})")
    print(f"same kernels, import only   {bare:6.1f} s")
    print(f"ratio                       {plan / bare:6.2f}   (wanted: at most 2)")


if __name__ == "__main__":
    main()
