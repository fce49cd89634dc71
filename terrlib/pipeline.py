"""The whole plan in one go: every notebook in its order, every gate, then the finished folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from terrlib import pages, steps
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import Settings
from terrlib.runs import NOTEBOOKS, execute, note, open_run, publish, resume, run_name
from terrlib.show.words import Words


def make_run(
    settings: Settings,
    data: Path,
    reports: Path,
    last: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """Plan a market: execute every notebook, pass the gates, publish the folder.

    The run is built in `.<run>.partial`; if that is there from an earlier start with the same
    inputs and settings, notebooks that are done are not executed again. A finished run of the same
    name is replaced only when the new one is whole.

    Parameters
    ----------
    settings, data
        What is asked, and the folder of its tables.
    reports
        Folder to write to.
    last
        Folder of an earlier run to compare with, or None.
    tell
        Called with a line of progress.

    Returns
    -------
    Path
        The finished run's folder.

    Raises
    ------
    TerrlibError
        SettingsError, DataError, InfeasibleError or PlanError: what to mend. The unfinished folder
        stays for looking at.
    """
    market = load_market(settings, data)
    steps.refuse_impossible(market, settings)
    name = run_name(settings, market)
    reports = reports.resolve()
    partial = reports / f".{name}.partial"
    done = resume(partial, name, settings, data, last)
    seconds = dict(done)
    words = Words(settings.locale, settings.currency)
    with ThreadPoolExecutor(1) as pool:
        exported = []
        for notebook in _progress([n for n in NOTEBOOKS if n not in done], settings):
            began = time.monotonic()
            execute(notebook, partial, settings.locale, last)
            seconds[notebook] = round(time.monotonic() - began, 1)
            note(partial, seconds=seconds)
            exported.append(pool.submit(pages.write_notebook_page, partial, notebook, words))
        for page in exported:
            page.result()
    tell(words.say("run.pages"))
    pages.write_pages(open_run(str(partial)))
    return publish(partial, reports / name)


def _progress(notebooks: list[str], settings: Settings) -> Iterator[str]:
    words = Words(settings.locale, settings.currency)
    with tqdm(total=len(notebooks), bar_format="{n_fmt}/{total_fmt} |{bar:24}| {desc}") as bar:
        for notebook in notebooks:
            bar.set_description_str(words.say(f"progress.{notebook[:2]}"))
            yield notebook
            bar.update()
        bar.set_description_str("")
