"""The whole plan in one go: every notebook in its order, every gate, then the finished folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from terrlib import pages, steps
from terrlib.errors import TerrlibError
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import Settings
from terrlib.runs import Run, execute, note, publish, resume, run_name
from terrlib.show.words import Words, plain

# Which notebooks have to be done before one may begin.
AFTER: dict[str, tuple[str, ...]] = {
    "01_customers": (),
    "02_territories": ("01_customers",),
    "03_reps": ("02_territories",),
    "04_budget": ("03_reps",),
    "05_timeline": ("04_budget",),
    "07_review": ("03_reps",),
    "06_plan": ("05_timeline", "07_review"),
    "00_start_here": ("06_plan",),
}
KERNELS = 2


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
        stays for looking at; a note of the refusal names it.
    """
    market = load_market(settings, data)
    steps.refuse_impossible(market, settings)
    name = run_name(settings, market)
    reports = reports.resolve()
    partial = reports / f".{name}.partial"
    done = resume(partial, name, settings, data, last)
    words = Words(settings.locale, settings.currency)
    try:
        with ThreadPoolExecutor(1) as exporter:
            exported = [
                exporter.submit(pages.write_notebook_page, partial, notebook, words)
                for notebook in _execute_all(partial, done, settings.locale, last, words)
            ]
            for page in exported:
                page.result()
        tell(words.say("run.pages"))
        whole = Run(name, partial, None, settings, market, words)
        pages.write_pages(whole, str(last.resolve()) if last else "")
    except TerrlibError as refusal:
        refusal.add_note(plain(words.say("run.left", folder=str(partial))))
        raise
    return publish(partial, reports / name)


def _execute_all(
    partial: Path, done: dict[str, float], locale: str, last: Path | None, words: Words
) -> Iterator[str]:
    """Execute the notebooks that are not done, two at a time where none waits for the other."""
    todo = [notebook for notebook in AFTER if notebook not in done]
    finished = set(done)
    running: dict[Future[None], tuple[str, float]] = {}
    with ThreadPoolExecutor(KERNELS) as pool, _bar(len(todo)) as bar:
        while todo or running:
            for notebook in [n for n in todo if finished.issuperset(AFTER[n])]:
                todo.remove(notebook)
                began = time.monotonic()
                running[pool.submit(execute, notebook, partial, locale, last)] = notebook, began
            bar.set_description_str(
                words.say(f"progress.{min(n for n, _ in running.values())[:2]}")
            )
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                notebook, began = running.pop(future)
                future.result()
                finished.add(notebook)
                done = done | {notebook: round(time.monotonic() - began, 1)}
                note(partial, seconds=done)
                bar.update()
                yield notebook
        bar.set_description_str("")


def _bar(total: int) -> tqdm:
    return tqdm(total=total, bar_format="{n_fmt}/{total_fmt} |{bar:24}| {desc}", mininterval=0)
