"""Tables as they come out of a CRM, an ERP, a spreadsheet or a database, under terrlib's names."""

from __future__ import annotations

import difflib
from pathlib import Path

import geopandas as gpd
import pandas as pd

from terrlib.errors import DataError, SettingsError
from terrlib.inputs import files, query
from terrlib.inputs.settings import TableFile
from terrlib.inputs.values import repaired
from terrlib.show.words import Told, some

LARGEST_BYTES = 512 * 2**20


LONGEST_NAME = 250  # bytes: what file systems take


def inside(folder: Path, name: str, largest: int = LARGEST_BYTES) -> Path:
    """Find a file of the data folder, at most so large, and none outside it.

    Raises
    ------
    SettingsError
        If the name leaves the folder, or there is no such file (with the nearest name).
    """
    root = folder.resolve()
    if "\x00" in name or len(name.encode()) > LONGEST_NAME:
        raise SettingsError("refusal.no_file_name", name=name[:40])
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise SettingsError("refusal.outside_folder", name=name)
    if not path.is_file():
        there = sorted(p.name for p in root.iterdir() if p.is_file())
        near = difflib.get_close_matches(name, there, n=1)
        known = Told("refusal.folder_holds", names=some(there))
        hint = Told("refusal.did_you_mean_quoted", name=near[0]) if near else known
        raise SettingsError("refusal.no_file_in_folder", name=name, hint=hint)
    if path.stat().st_size > largest:
        mib = {"size": round(path.stat().st_size / 2**20), "most": round(largest / 2**20)}
        raise DataError("refusal.too_large_file", file=name, **mib)
    return path


def read_table(folder: Path, table: str, spec: TableFile) -> pd.DataFrame:
    """Read a table as text, under terrlib's column names.

    Parameters
    ----------
    folder
        The data folder.
    table
        What the table is, for messages.
    spec
        File or query, sheet or layer, and how its columns are called there.

    Returns
    -------
    DataFrame of str
        Every row that is not blank. Cells are stripped of blanks, no-break spaces among them;
        nothing is NaN. Columns that `spec` does not map keep their names. `attrs["file"]` holds
        what the gate has to know: the header as written, `dates`, `decimal`, and the epoch of a
        spreadsheet.

    Raises
    ------
    SettingsError
        If the file is outside the folder or absent.
    DataError
        If it is no table, or lacks a mapped column.
    """
    rows = _rows(folder, spec)
    name = spec.file or Told("refusal.the_query")
    rows.columns = [files.as_text(column) for column in rows.columns]
    _require_table(name, rows)
    epoch, formulas = rows.attrs.get("epoch", ""), rows.attrs.get("formulas", {})
    missing = [f"{ours}: {theirs}" for ours, theirs in spec.columns.items() if theirs not in rows]
    if missing:
        near = difflib.get_close_matches(missing[0].split(": ")[1], list(rows.columns), n=1)
        raise DataError(
            "refusal.no_mapped_column",
            file=name,
            table=table,
            missing=some(missing),
            hint=Told("refusal.hint_in_brackets", name=near[0]) if near else "",
            columns=some(list(rows.columns), 12),
        )
    header = list(rows.columns)
    taken = {theirs: ours for ours, theirs in spec.columns.items()}
    # A mapped name wins: a foreign column that happens to have our name is another thing.
    clash = [c for c in rows.columns if c in spec.columns and c not in taken]
    rows = rows.rename(columns={c: f"{c} (file)" for c in clash}).rename(columns=taken)
    for column, names in spec.values.items():  # noqa: PD011
        if column in rows:
            rows[column] = rows[column].map(lambda v, n=names: n.get(v, v))
    rows.attrs = {
        "file": {"header": header, "dates": spec.dates, "decimal": spec.decimal, "epoch": epoch},
        "formulas": {taken.get(column, column): n for column, n in formulas.items()},
    }
    return rows


def repeated_headers(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows of `read_table` are the header once more, as in files joined end to end."""
    header = rows.attrs.get("file", {}).get("header")
    if not header or not len(rows):
        return pd.Series(data=False, index=rows.index)
    written = rows.iloc[:, : len(header)]  # what was made of these columns stands behind them
    names = pd.Series(header, index=written.columns)
    return (written.iloc[:, 0] == header[0]) & written.eq(names).all(axis=1)


def read_shapes(folder: Path, spec: TableFile) -> gpd.GeoDataFrame | None:
    """Read the polygons of the areas: area_id, geometry in EPSG:4326, one row an area; None if none.

    Raises
    ------
    DataError
        If the file is no map, or its shapes carry no area_id.
    """
    name = spec.geometry or spec.file
    if Path(name).suffix.lower() not in files.MAPS:
        return None
    path = inside(folder, name)
    shapes = files.shapes(path, spec)
    theirs = spec.columns.get("area_id", "area_id")
    key = next((c for c in (theirs, "area_id", "id") if c in shapes.columns), None)
    if key is None:
        carried = some([c for c in shapes.columns if c != "geometry"])
        raise DataError("refusal.no_area_id", file=name, names=carried)
    ids, _ = repaired(shapes[key].map(files.as_text).astype(str), "area_id")
    shapes = shapes.assign(area_id=ids)[["area_id", "geometry"]]
    parts = shapes.groupby("area_id")["area_id"].transform("size")
    shapes = shapes.assign(parts=parts)
    if not ids.duplicated().any():
        return shapes
    return files.guarded(path, lambda _: shapes.dissolve("area_id", as_index=False))


def _rows(folder: Path, spec: TableFile) -> pd.DataFrame:
    if spec.query:
        address = query.address_of(spec.database)
        file = "" if address else str(inside(folder, spec.database))
        answer = query.asked(spec.query, file=file, address=address)
        return files.arrow_table(Told("refusal.the_query"), answer)
    path = inside(folder, spec.file)
    kind = path.suffix.lower()
    if kind in {".xlsx", ".xlsm"}:
        return files.sheet_table(path, spec)
    if kind in {".parquet", ".pq"}:
        return files.column_table(path)
    if kind in files.MAPS:
        return files.map_table(path, spec)
    return files.text_table(path, spec)


def _require_table(name: str, rows: pd.DataFrame) -> None:
    named = [c for c in rows.columns if c and not c.startswith("(column ")]
    if len(named) < 2 or not len(rows):  # noqa: PLR2004
        columns = some(named) if named else Told("refusal.none")
        raise DataError("refusal.no_table", file=name, n=len(rows), columns=columns)
    twice = [c for c in named if list(rows.columns).count(c) > 1]
    if twice:
        names = some(sorted(set(twice)))
        raise DataError("refusal.same_names", file=name, n=len(twice), names=names)
