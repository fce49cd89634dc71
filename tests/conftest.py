"""What several tests share: one finished run of the sample, made by the command a user types."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a finished run, or the fixtures of a file, go to one worker."""
    for item in items:
        shared = "sample_run" in item.fixturenames
        group = "sample_run" if shared else item.nodeid.split("::")[0]
        if shared or not group.endswith(("test_notebooks.py", "test_solve.py")):
            item.add_marker(pytest.mark.xdist_group(group))


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
