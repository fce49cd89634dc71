"""The same plan once more, by another way, and whether it came out the same."""

import os
import subprocess
import sys


def same_files(one, other):
    """Whether the decisions and the plan of two runs are the same, byte for byte."""
    for part in ("decisions", "plan"):
        names = sorted(path.name for path in (one / part).iterdir())
        assert names and names == sorted(path.name for path in (other / part).iterdir())
        for name in names:
            assert (one / part / name).read_bytes() == (other / part / name).read_bytes(), name


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
