"""What several tests share: one finished run of the sample, made by the command a user types."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


def pytest_xdist_make_scheduler(config, log):
    """Give tests that share the sample's run, or the fixtures of a file, to one worker.

    The marks of `--dist loadgroup` do nothing under pytest 9.2 (pytest-xdist issue 1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatTheyShare(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            if file.endswith(("test_notebooks.py", "test_solve.py")):
                return nodeid
            text = (ROOT / file).read_text(encoding="utf-8") if file.startswith("tests") else ""
            return "sample_run" if "sample_run" in text else file

    return ByWhatTheyShare(config, log)


@pytest.fixture(scope="session")
def sample():
    """Return the sample's market and what is asked of it."""
    from terrlib.inputs.load import load_market
    from terrlib.inputs.settings import load_settings

    asked = load_settings(ROOT / "data/sample/settings.yml")
    return load_market(asked, ROOT / "data/sample"), asked


@pytest.fixture(scope="session")
def truth():
    """What was planted in the sample, by account_id."""
    table = pd.read_csv(ROOT / "tests/truth/accounts.csv", dtype={"account_id": str})
    return table.set_index("account_id")


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory):
    """Folder of the sample's finished run."""
    from terrlib.cli import main

    out = tmp_path_factory.mktemp("reports")
    assert main(["plan", str(ROOT / "data/sample/settings.yml"), "--out", str(out)]) == 0
    return next(path for path in out.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="session")
def browser():
    """Return a real Chromium without a network, or skip."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not found:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ]
        chromium = play.chromium.launch(executable_path=found, args=flags)
        yield chromium
        chromium.close()
