"""The same plan once more, by another way, and whether it came out the same."""

import os
import subprocess
import sys


def differing(one, other):
    """Files of the decisions and the plan of two runs that are not the same, byte for byte."""
    parts = [folder / part for folder in (one, other) for part in ("decisions", "plan")]
    names = {f"{part.name}/{path.name}" for part in parts for path in part.iterdir()}
    assert names
    both = {n for n in names if (one / n).is_file() and (other / n).is_file()}
    same = {n for n in both if (one / n).read_bytes() == (other / n).read_bytes()}
    return sorted(names - same)


def plan_without_notebooks(settings, reports, data=""):
    """Plan in a fresh process of another hash seed, by the calls that the notebooks make."""
    code = "import sys, terrlib as tl; tl.write_plan(tl.open_run(*sys.argv[1:]))"
    subprocess.run(
        [sys.executable, "-c", code, str(settings), str(data)],
        env=os.environ | {"TERRLIB_REPORTS": str(reports), "PYTHONHASHSEED": "7"},
        check=True,
    )
    (folder,) = reports.iterdir()
    return folder
