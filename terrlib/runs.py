"""A run's folder: what it reads and writes, where it came from, and how its notebooks are executed.

The only module that knows paths.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import pandas as pd

from terrlib import errors
from terrlib.errors import PlanError, SettingsError, TerrlibError
from terrlib.inputs.files import as_it_was, harmless
from terrlib.inputs.load import load_market
from terrlib.inputs.market import Market
from terrlib.inputs.settings import (
    Settings,
    change_settings,
    language,
    load_settings,
    make_settings,
    resolved,
)
from terrlib.plan import COLUMNS
from terrlib.show.words import Told, Words

HOME = Path(__file__).parent
NOTEBOOKS = (
    "01_customers",
    "02_territories",
    "03_reps",
    "04_budget",
    "05_timeline",
    "06_plan",
    "07_review",
    "00_start_here",
)
FACTS = ".facts.parquet"
LONGEST_SOCKET = 80
PACKAGES = ("terrlib", "pandas", "geopandas", "numpy", "scipy", "scikit-learn", "highspy", "numba")


@dataclass(frozen=True, eq=False)
class Run:
    """One plan in the making, or a finished one that is being looked at.

    Attributes
    ----------
    name
        `<plan>-<quarter>[-<scenario>]`.
    folder
        Where this run writes; never a finished run.
    base
        A finished run whose decisions are read where this folder has none, or None.
    settings, market, words
        What was asked, the trusted tables, and the language to speak.
    overlay, field
        Name of the overlay that this is, and the run that it belongs to; "" and None for a run.
    """

    name: str
    folder: Path
    base: Path | None
    settings: Settings
    market: Market
    words: Words
    overlay: str = ""
    field: Run | None = None

    def has(self, table: str) -> bool:
        """Tell whether a file of this run, like `decisions/territory`, is there with rows."""
        return any(_rows(root / f"{table}.csv") for root in self._roots())

    def holds(self, table: str) -> bool:
        """Tell whether a file of this run is there, with rows or without."""
        return any((root / f"{table}.csv").is_file() for root in self._roots())

    def read(self, table: str) -> pd.DataFrame:
        """Read a file of this run; money comes as whole minor units, ids as text.

        Raises
        ------
        PlanError
            If the run has no such file.
        """
        for root in self._roots():
            if (root / f"{table}.csv").is_file():
                return read_table(root, table)
        raise PlanError("refusal.not_decided", run=self.name, table=table)

    def write(self, table: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Write a file of the contract: its columns only, sorted by key; return what was written."""
        return write_table(self.folder, table, rows)

    def _roots(self) -> list[Path]:
        return [self.folder] + ([self.base] if self.base else [])


def overlay_run(run: Run, name: str, settings: Settings, market: Market) -> Run:
    """Open an overlay of a run, which writes and reads in `overlays/<name>/` of its folder."""
    base = run.base / "overlays" / name if run.base else None
    folder = run.folder / "overlays" / name
    return Run(f"{run.name}/{name}", folder, base, settings, market, run.words, name, run)


# ---------------------------------------------------------------------------- tables on disk


def read_table(root: Path, table: str) -> pd.DataFrame:
    """Read one CSV of a run: money as int64 minor units, keys and texts as str, blanks as "".

    The apostrophe that `write_table` put before a text like a formula is taken off again.

    Parameters
    ----------
    root
        Folder of the run.
    table
        Name without ending, like `plan/budget`; a table outside the contract is read as text.
    """
    kinds = COLUMNS.get(table, {})
    rows = pd.read_csv(root / f"{table}.csv", dtype=str, keep_default_na=False, encoding="utf-8")
    for column in rows.columns:
        kind = kinds.get(column, "text")
        if kind == "money":
            rows[column] = _to_minor_text(rows[column])
        elif kind in {"number", "share"}:
            rows[column] = pd.to_numeric(rows[column], errors="coerce")
        else:
            rows[column] = rows[column].map(as_it_was)
    return rows


def write_table(root: Path, table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Write one CSV of a run by the file contract.

    Money is written as decimal currency with two digits, rows are sorted by their key columns, and
    a text or id that a spreadsheet would take for a formula gets an apostrophe before it, which
    `read_table` takes off again. Numbers, negative ones too, stay as they are.

    Raises
    ------
    PlanError
        If a column of the contract is missing.
    """
    kinds = COLUMNS.get(table) or dict.fromkeys(rows.columns, "text")
    missing = [column for column in kinds if column not in rows.columns]
    if missing:
        raise PlanError("refusal.lacks_columns", table=table, columns=missing)
    out = rows[list(kinds)].copy()
    keys = [column for column, kind in kinds.items() if kind in {"key", "quarter"}]
    if keys:
        out = out.sort_values(keys, kind="stable")
    for column, kind in kinds.items():
        if kind == "money":
            out[column] = [_decimal(int(amount)) for amount in out[column]]
        elif kind == "date":
            out[column] = pd.to_datetime(out[column]).dt.strftime("%Y-%m-%d").fillna("")
        elif kind in {"text", "key", "id"}:
            out[column] = [harmless(value) for value in out[column]]
        elif kind in {"number", "share"}:
            out[column] = pd.to_numeric(out[column]).round(6)
    path = root / f"{table}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    out.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    return rows[list(kinds)]


def _decimal(minor: int) -> str:
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def _to_minor_text(column: pd.Series) -> pd.Series:
    # Text to whole grosze without a float between, so that large amounts keep their last digit.
    return column.map(lambda text: int(text.replace(".", "") or 0)).astype("int64")


def _rows(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8") as lines:
        next(lines, None)
        return next(lines, None) is not None


# ---------------------------------------------------------------------------- opening a run


def open_run(run: str = "", data: str = "", **changes: Any) -> Run:
    """Open a run from a notebook.

    Parameters
    ----------
    run
        "" plans the sample as a draft; the name of a finished run under `reports_folder()` opens a
        draft that starts from its decisions; a settings file plans what it asks as a draft; the
        folder of an unfinished run continues it.
    data
        Folder of the tables of a settings file, where it is not the file's own.
    **changes
        Settings to try in a draft, `territories__count=12` for `territories.count`; None keeps the
        setting.

    Returns
    -------
    Run

    Raises
    ------
    SettingsError
        If there is no such run, or settings are changed of a run that is being built.
    """
    asked = {k.replace("__", "."): v for k, v in changes.items() if v not in (None, "", {})}
    reports = reports_folder()
    if not run or Path(run).suffix in {".yml", ".yaml"}:
        file = Path(run).resolve() if run else sample_folder() / "settings.yml"
        _speak(*language(file))
        settings = change_settings(load_settings(file), asked)
        folder = Path(data).resolve() if data else file.parent
        return _draft(settings, folder, reports, base=None)
    root = _folder_of(run)
    notes = read_notes(root)
    settings, tables = make_settings(notes["asked"]), Path(notes["data"])
    if not root.name.endswith(".partial"):
        return _draft(change_settings(settings, asked), tables, root.parent, base=root)
    if asked:
        raise SettingsError("refusal.being_built", run=root.name)
    words = _speak(settings.locale, settings.currency)
    return Run(notes["run"], root, None, settings, load_market(settings, tables), words)


def finished_run(run: str) -> Path:
    """Folder of a finished run, by its name under `reports_folder()` or its path.

    Raises
    ------
    SettingsError
        If there is no such run, or it is not finished.
    """
    root = _folder_of(run)
    if root.name.endswith((".partial", "-draft")):
        raise SettingsError("refusal.not_finished_run", run=run)
    return root


def _folder_of(run: str) -> Path:
    reports = reports_folder()
    root = Path(run) if Path(run).is_absolute() else reports / run
    if not (root / "run.json").is_file():
        known = sorted(path.parent.name for path in reports.glob("*/run.json"))
        names = known or Told("refusal.none")
        raise SettingsError("refusal.no_run", run=run, folder=reports.name, names=names)
    return root


def _draft(settings: Settings, data: Path, reports: Path, base: Path | None) -> Run:
    words = _speak(settings.locale, settings.currency)
    market = load_market(settings, data)
    name = f"{run_name(settings, market)}-draft"
    folder = reports / name
    # Decisions of another question would be mixed with this one's: such a draft begins anew.
    resume(folder, name, settings, data, base)
    return Run(name, folder, base, settings, market, words)


def _speak(locale: str, currency: str) -> Words:
    """The reader's words, in which a notebook, where this is one, shows refusals from here on."""
    from IPython import get_ipython

    words = Words(locale, currency)

    def show(shell: Any, kind: type, refusal: TerrlibError, trace: Any, **_: Any) -> Any:
        return shell.showtraceback((kind, kind(words.tell(refusal.said)), trace))

    if notebook := get_ipython():
        notebook.set_custom_exc((TerrlibError,), show)
    return words


def run_name(settings: Settings, market: Market) -> str:
    """Name a run: `<plan>-<quarter>[-<scenario>]`."""
    return "-".join(part for part in (settings.plan, market.quarter, settings.scenario) if part)


def sample_folder() -> Path:
    """Folder of the sample that comes with terrlib."""
    inside, beside = HOME / "sample", HOME.parent / "data" / "sample"
    return inside if inside.is_dir() else beside


def reports_folder() -> Path:
    """Folder of a notebook's runs: `TERRLIB_REPORTS`, else the repository's or the current `reports/`."""
    if named := os.environ.get("TERRLIB_REPORTS"):
        return Path(named).resolve()
    beside = HOME.parent / "reports"
    return beside if beside.is_dir() else Path("reports").resolve()


def notebook_folder() -> Path:
    """Folder of the notebooks that come with terrlib."""
    inside, beside = HOME / "notebooks", HOME.parent / "notebooks"
    return inside if inside.is_dir() else beside


# ---------------------------------------------------------------------------- provenance


def note_run(folder: Path, name: str, settings: Settings, data: Path, **more: Any) -> None:
    """Write `settings.yml`, with every default marked, and `run.json`, where it all came from."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yml").write_text(resolved(settings), encoding="utf-8")
    notes = {
        "run": name,
        "version": metadata.version("terrlib"),
        "seed": settings.seed,
        "asked": settings.model_dump(mode="json", exclude_unset=True),
        "data": str(data.resolve()),
        "inputs": input_hashes(settings, data),
        "settings": _sha(resolved(settings).encode()),
        "packages": {package: metadata.version(package) for package in PACKAGES},
        "python": platform.python_version(),
        **more,
    }
    _write_json(folder / "run.json", notes)


def read_notes(folder: Path) -> dict[str, Any]:
    """Read `run.json` of a run."""
    notes: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return notes


def _write_json(path: Path, notes: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(notes, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def input_hashes(settings: Settings, data: Path) -> dict[str, str]:
    """Sha256 of every input file, by its name in the settings."""
    files = {f for t in settings.tables.values() for f in (t.file, t.geometry, t.database) if f}
    return {f: _sha((data / f).read_bytes()) for f in sorted(files) if (data / f).is_file()}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ---------------------------------------------------------------------------- unfinished and finished


def resume(
    partial: Path, name: str, settings: Settings, data: Path, last: Path | None
) -> dict[str, float]:
    """Keep an unfinished folder of the same question, else start an empty one.

    Returns
    -------
    dict
        Notebook -> seconds, for every notebook that is already done.
    """
    old = read_notes(partial) if (partial / "run.json").is_file() else {}
    question = {
        "inputs": input_hashes(settings, data),
        "settings": _sha(resolved(settings).encode()),
        "version": metadata.version("terrlib"),
        "last": last.name if last else "",
    }
    if all(old.get(key) == value for key, value in question.items()):
        done: dict[str, float] = old.get("seconds", {})
        return done
    shutil.rmtree(partial, ignore_errors=True)
    note_run(partial, name, settings, data, last=question["last"])
    return {}


def note(folder: Path, **more: Any) -> None:
    """Add to `run.json` of a run."""
    _write_json(folder / "run.json", read_notes(folder) | more)


def publish(partial: Path, final: Path) -> Path:
    """Rename a whole run to its final name; the run it replaces goes only then."""
    (partial / FACTS).unlink(missing_ok=True)
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return final


# ---------------------------------------------------------------------------- notebooks


def execute(notebook: str, folder: Path, locale: str, last: Path | None = None) -> None:
    """Execute one notebook for a run, in the run's language, into `notebooks/` of its folder.

    Raises
    ------
    TerrlibError
        The refusal that the notebook met, in its own words.
    SettingsError
        If the notebook does not know a parameter (papermill would run on with its default).
    """
    import nbformat
    import papermill
    from traitlets.config import Config

    nb = nbformat.read(notebook_folder() / f"{notebook}.ipynb", as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = in_language(cell.source, locale)
    parameters = {"run": str(folder.resolve())}
    if notebook == "07_review":
        parameters["last_run"] = str(last.resolve()) if last else ""
    path = folder / "notebooks" / f"{notebook}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    known = papermill.inspect_notebook(str(path))
    if unknown := set(parameters) - set(known):
        raise SettingsError("refusal.no_parameter", notebook=notebook, names=sorted(unknown))
    with TemporaryDirectory(prefix="terrlib-") as sockets:
        try:
            papermill.execute_notebook(
                str(path),
                str(path),
                parameters=parameters,
                progress_bar=False,
                kernel_name="python3",
                config=Config({"KernelManager": _transport(sockets)}),
            )
        except papermill.PapermillExecutionError as error:
            raise _refusal(error.ename, error.evalue) from error


def _transport(folder: str) -> dict[str, str]:
    """Talk to a kernel over files of its own where paths are short enough for that, else over TCP."""
    short = len(folder) < LONGEST_SOCKET
    return {"transport": "ipc", "ip": f"{folder}/k"} if os.name == "posix" and short else {}


def _refusal(name: str, text: str) -> Exception:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, TerrlibError):
        return kind(text)
    return RuntimeError(f"{name}: {text}")


def in_language(source: str, locale: str) -> str:
    """Keep one language of a notebook's text, which says things in Polish · in English.

    Parameters
    ----------
    source
        Markdown. In each line, and in each cell of a table line, what stands before " · " is
        Polish and what stands after it English; text without " · " is for both.
    locale
        pl or en.

    Examples
    --------
    >>> in_language("## Gdzie są klienci? · Where are the customers?", "en")
    '## Where are the customers?'
    >>> in_language("| **Decyduje · Decides** | `rep` |", "pl")
    '| **Decyduje** | `rep` |'
    """
    return "\n".join(
        "|".join(_choose(part, locale) for part in line.split("|")) for line in source.split("\n")
    )


def _choose(part: str, locale: str) -> str:
    if " · " not in part:
        return part
    polish, english = part.split(" · ", 1)
    if locale == "pl":
        bold = polish.lstrip().startswith("**") and polish.count("**") == 1
        return polish + ("**" if bold else "") + (" " if part.endswith(" ") else "")
    lead = polish[: len(polish) - len(polish.lstrip("# *"))]
    number = polish[len(lead) :].split(" ", 1)[0]
    if lead.startswith("#") and number.rstrip(".").isdigit():
        lead += f"{number} "
    return lead + english


def said_findings(words: Words, found: pd.DataFrame) -> pd.DataFrame:
    """Give every finding of `Market.quality` its sentence in a reader's language, as plain text."""
    pairs = list(zip(found["message"], found["values"], strict=True))
    said = {pair: words.tell(Told(pair[0], **dict(pair[1]))) for pair in set(pairs)}
    return found.assign(message=[said[pair] for pair in pairs]).drop(columns="values")


def write_findings(run: Run) -> None:
    """Write `quality.csv`, `duplicates.csv` and, for each table, the rows set aside if there are any."""
    run.write("quality", said_findings(run.words, run.market.quality))
    if len(run.market.duplicates.columns):
        run.write("duplicates", run.market.duplicates)
    shutil.rmtree(run.folder / "set_aside", ignore_errors=True)
    for table, rows in run.market.set_aside.items():
        if len(rows):
            known = rows.astype(object).where(rows.notna(), "").astype(str)
            write_table(run.folder, f"set_aside/{table}", known)


def write_facts(run: Run, facts: pd.DataFrame) -> None:
    """Keep what was measured of the accounts for the next notebooks; a finished run has no such file."""
    facts.to_parquet(run.folder / FACTS)


def read_facts(run: Run) -> pd.DataFrame | None:
    """Read what an earlier notebook of this run measured; None where it is not there."""
    path = run.folder / FACTS
    return pd.read_parquet(path) if path.is_file() else None


def write_map(run: Run, territories: gpd.GeoDataFrame) -> None:
    """Write `territories.geojson`: one feature per territory, in its name's order."""
    path = run.folder / "territories.geojson"
    path.write_text(territories.sort_values("territory").to_json(), encoding="utf-8")
