"""Files of any size rolled up by DuckDB: opened, turned into UTF-8, followed, and written."""

from __future__ import annotations

import csv
import json
import platform
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from tqdm import tqdm

from terrlib.errors import DataError, SettingsError
from terrlib.inputs import files
from terrlib.inputs.read import inside
from terrlib.inputs.rollup import (
    NUMBERS,
    SHOWN,
    SIZE_KM,
    TEXTS,
    Follow,
    Rolled,
    findings_table,
    roll_up_tables,
)
from terrlib.inputs.settings import Settings, TableFile
from terrlib.show.words import Told, Words, either

LARGEST_BYTES = 256 * 2**30
PARQUET = {".parquet", ".pq"}
TEXT = {".csv", ".txt", ".tsv"}
HEAD = 2**20


def roll_up_files(
    settings: Settings, folder: Path, out: Path, size_km: float = SIZE_KM
) -> dict[str, Any]:
    """Roll up the files of the settings' accounts and sales by DuckDB, in at most 3 GB, and write it.

    Writes accounts.csv (one row a unit, which `terrlib plan` takes), quality.csv and rollup.json.

    Parameters
    ----------
    settings, folder
        What is asked, and the folder of its tables; DuckDB can read these two files and no other.
    out
        Folder to write to.
    size_km
        Side of a cell where no account carries an area_id.

    Returns
    -------
    dict
        What rollup.json holds.

    Raises
    ------
    SettingsError, DataError
        What to mend.
    """
    began, words = time.monotonic(), Words(settings.locale, settings.currency)
    if "accounts" not in settings.tables:
        raise SettingsError("refusal.no_accounts_named")
    if not 1 <= size_km <= 1000:  # noqa: PLR2004
        raise SettingsError("refusal.bad_resolution", km=size_km)
    named: dict[str, TableFile] = {
        t: settings.tables[t] for t in ("accounts", "sales") if t in settings.tables
    }
    asked = [t for t, spec in named.items() if spec.query]
    if asked:
        raise SettingsError("refusal.rollup_of_query", table=asked[0])
    paths = {t: inside(folder, spec.file, LARGEST_BYTES) for t, spec in named.items()}
    before = pd.Period(settings.quarter, freq="Q").start_time.date() if settings.quarter else None
    with tempfile.TemporaryDirectory() as spill:
        copies = {t: Path(spill) / f"{t}.csv" for t in paths}
        db = _duckdb([*paths.values(), *copies.values()], Path(spill))
        try:
            with _progress(db.con, 6 if "sales" in named else 4, words) as follow:
                follow("rollup.opening")
                rows = {t: _opened(db, t, paths[t], copies[t], spec) for t, spec in named.items()}
                rolled = roll_up_tables(
                    rows["accounts"], rows.get("sales"), before, size_km, follow, settings
                )
                rolled = _with_rejects(db, rolled, paths, words)
        except ibis.common.exceptions.IbisError as error:
            raise DataError("refusal.rollup_failed", reason=_short(error)) from error
        except Exception as error:  # DuckDB says all sorts of things of a damaged file
            if type(error).__module__.split(".")[0] not in {"duckdb", "_duckdb"}:
                raise
            names = either("or", *(Told(path.name) for path in paths.values()))
            raise DataError("refusal.no_rollup_of", files=names, reason=_short(error)) from error
        finally:
            db.disconnect()
    facts = {
        "rows": rolled.counts,
        "units": len(rolled.units),
        "since": rolled.since and rolled.since.isoformat(),
        "until": rolled.until and rolled.until.isoformat(),
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": _peak_mb(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("terrlib", "duckdb", "ibis-framework")},
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, table in (("accounts", rolled.units), ("quality", rolled.quality)):
        table.map(files.harmless).to_csv(
            out / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8"
        )
    (out / "rollup.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def _duckdb(paths: list[Path], spill: Path) -> Any:
    """Open a database in memory that can read these files, and write nowhere but to `spill`."""
    db = ibis.duckdb.connect(
        memory_limit="3GB",
        threads=2,
        temp_directory=str(spill),
        preserve_insertion_order=False,
        autoinstall_known_extensions=False,
    )
    # How far a query is can then be asked by `_progress`; DuckDB itself prints nothing.
    db.raw_sql("SET enable_progress_bar = true")
    db.raw_sql("SET enable_progress_bar_print = false")
    allowed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    db.raw_sql(f"SET allowed_paths = [{allowed}]")
    db.raw_sql("SET enable_external_access = false")
    db.raw_sql("SET lock_configuration = true")
    return db


def _opened(db: Any, table: str, path: Path, copy: Path, spec: TableFile) -> ir.Table:
    """Open a file as a table under terrlib's names, of the columns that are used.

    DuckDB reads no encoding but UTF-8: another one is turned into it, as `copy`.
    """
    if set("*?[") & set(str(path)):
        raise SettingsError("refusal.pattern_in_name", file=spec.file)
    kind = path.suffix.lower()
    if kind in PARQUET:
        rows = db.read_parquet(str(path), table_name=f"file_{table}")
    elif kind in TEXT:
        source = _in_utf8(path, copy, spec.encoding)
        heads, separator, above = _header(path.name, source, spec.header)
        rows = db.read_csv(
            str(source),
            table_name=f"file_{table}",
            auto_detect=False,
            header=True,
            skip=above,
            delim=separator,
            quote='"',
            escape='"',
            columns=dict.fromkeys(heads, "VARCHAR"),
            store_rejects=True,
            rejects_scan=f"scans_{table}",
            rejects_table=f"rejects_{table}",
            rejects_limit=0,
        )
    else:
        raise SettingsError("refusal.rollup_kinds", file=spec.file, table=table)
    missing = [f"{ours}: {theirs}" for ours, theirs in spec.columns.items() if theirs not in rows]
    if missing:
        found = {"file": spec.file, "table": table, "columns": list(rows.columns[:12])}
        raise DataError("refusal.no_such_column", **found, missing=missing)
    used = (*TEXTS[table], *NUMBERS[table])
    own = {c: c for c in rows.columns if c not in spec.columns and c not in spec.columns.values()}
    names = {ours: theirs for ours, theirs in (own | spec.columns).items() if ours in used}
    if not names:
        raise DataError("refusal.no_useful_column", file=spec.file, table=table, names=used)
    rows = rows.select(**{ours: rows[theirs] for ours, theirs in names.items()})
    known = {c: values for c, values in spec.values.items() if c in names}  # noqa: PD011
    return rows.mutate(
        **{c: rows[c].cast(str).strip().substitute(values) for c, values in known.items()}
    )


def _in_utf8(path: Path, copy: Path, encoding: str) -> Path:
    """Return the file where it is in UTF-8, else a copy that is."""
    found = files.encoding_of(path, encoding)
    if not found:
        return path
    # What was asked for has to fit; what was found is read as the plain reader reads it.
    errors = "strict" if encoding or found == "utf-16" else "replace"
    try:
        with (
            path.open(encoding=found, errors=errors) as source,
            copy.open("w", encoding="utf-8", newline="\n") as target,
        ):
            while text := source.read(HEAD):
                target.write(text.replace("\0", "").replace("\ufeff", ""))
    except UnicodeError as error:
        told = {"file": path.name, "encoding": found}
        raise DataError("refusal.not_in_encoding", **told, reason=str(error)) from error
    except OSError as error:
        told = {"file": path.name, "encoding": found}
        raise DataError("refusal.no_copy", **told, reason=error.strerror) from error
    return copy


def _header(name: str, path: Path, asked: int | None) -> tuple[list[str], str, int]:
    """Return the names and the separator of a CSV file, and how many lines stand above them."""
    with path.open("rb") as file:
        lines = file.read(HEAD).decode("utf-8-sig", errors="replace").splitlines()
    hint = re.fullmatch(r"sep=([;,|\t])", lines[0].strip(), re.IGNORECASE) if lines else None
    above = asked - 1 if asked else int(bool(hint))
    separator = hint[1] if hint else files.separator(lines[above:])
    names = [
        files.as_text(cell) for cell in next(csv.reader(lines[above:], delimiter=separator), [])
    ]
    if len(names) < 2 or len({name.lower() for name in names}) < len(names) or "" in names:  # noqa: PLR2004
        line = lines[above] if above < len(lines) else ""
        raise DataError("refusal.bad_header", file=name, found=line[:60])
    return names, separator, above


def _with_rejects(db: Any, rolled: Rolled, paths: dict[str, Path], words: Words) -> Rolled:
    """Add the lines of CSV files that are no rows."""
    found, counts = rolled.quality, dict(rolled.counts)
    for table in paths:
        if paths[table].suffix.lower() in PARQUET:
            continue
        # The file may have been scanned more than once, and a line may have several faults.
        bad = f"(SELECT line, min(csv_line) AS text FROM rejects_{table} GROUP BY line)"
        (n,) = db.con.execute(f"SELECT count(*) FROM {bad}").fetchone()
        if not n:
            continue
        low = db.con.execute(f"SELECT line, text FROM {bad} ORDER BY line LIMIT {SHOWN}").fetchall()
        first = [
            words.tell(Told("rollup.line", line=line, text=str(text).strip()[:60]))
            for line, text in low
        ]
        found = pd.concat([found, findings_table([(table, "bad_line", n, 0, first)], words)])
        seen = counts[table]
        more = ("read", "set_aside", "money_unknown")
        counts[table] = seen | {key: seen[key] + n for key in more}
    found = found.sort_values(["table", "rule"], kind="stable").reset_index(drop=True)
    return Rolled(rolled.units, found, counts, rolled.since, rolled.until)


@contextmanager
def _progress(con: Any, steps: int, words: Words) -> Iterator[Follow]:
    """Show a bar that moves with the steps, and within one as far as DuckDB knows."""
    done, stop = [-1], threading.Event()
    bar = tqdm(total=100 * steps, bar_format="{percentage:3.0f}% |{bar:24}| {desc} [{elapsed}]")

    def follow(what: str) -> None:
        done[0] += 1
        bar.set_description_str(words.say(what))
        bar.update(max(0, 100 * done[0] - bar.n))

    def watch() -> None:
        while not stop.wait(0.5):
            part = max(0.0, min(99.0, getattr(con, "query_progress", float)()))
            bar.update(max(0.0, 100 * done[0] + part - bar.n))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield follow
        bar.update(100 * steps - bar.n)
    finally:
        stop.set()
        watcher.join()
        bar.close()


def _peak_mb() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
