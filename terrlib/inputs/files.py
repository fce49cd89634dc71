"""Files of every kind as one table of text; what cannot be read for certain gets a sentence."""

from __future__ import annotations

import csv
import difflib
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, TypeVar

import geopandas as gpd
import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pyogrio

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.settings import TableFile
from terrlib.inputs.values import TWO_WAYS

POLISH = set("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–—’…§°€×«»\u00a0")
MAPS = {".geojson", ".json", ".gpkg", ".shp", ".zip"}
FOREIGN = {
    b"PK\x03\x04": "an Excel or zip file by another name: give it its own ending (.xlsx, .zip)",
    b"\xd0\xcf\x11\xe0": "an old or a locked Excel file: save it as .xlsx without a password",
    b"%PDF": "a PDF: export the table as CSV or Excel",
    b"PAR1\x15": "a Parquet file by another name: give it the ending .parquet",
    b"SQLite format 3\x00": "a database by another name: give it the ending .gpkg if it is a GeoPackage",
    b"\x1f\x8b": "packed: unpack it first",
}
LONGEST_LINE = 1_000_000
LARGEST_UNPACKED = 2**30
SUSPECT_UNPACKED = 64 * 2**20
MOST_PACKED = 150
MOST_CELLS = 100_000_000
LAST_ROW = 1_048_576
BINARY_SHARE = 0.05
HEADER_WITHIN = 50
NOTE_CELLS = 2
EXACT = 1e15
PIVOT_SHARE = 0.5
UNSAVED = float("nan")  # a formula whose value was never stored; as text it is blank
CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)
BREAKS = re.compile(r"\r\n|[\n\r\t\x0b\x0c\x85\u2028\u2029]")
FOOTER = re.compile(
    r"(grand totals?|copyright|\(c\)|©|confidential|poufne|generated (by|on)|report generated|"
    r"wygenerowan\w*|raport wygenerowan\w*|do not distribute)\b.*",
    re.IGNORECASE,
)
DBASE = re.compile(r"[A-Za-z]\w*,[CNFDL],\d+(,\d+)?")
T = TypeVar("T")
Rows = list[tuple[int, list[Any]]]


def text_table(path: Path, spec: TableFile) -> pd.DataFrame:
    """Read a text file whose cells are parted by commas, semicolons, tabs or bars.

    Raises
    ------
    DataError
        If it is no text, its encoding or its quotes leave doubt, or its rows are uneven.
    """
    text = _decoded(path, spec.encoding)
    lines = re.split(r"\r\n|\r|\n", text)
    long = next((i for i, line in enumerate(lines, 1) if len(line) > LONGEST_LINE), None)
    if long:
        raise DataError(
            f"{path.name} is no table: line {long} has {len(lines[long - 1]):,} characters"
        )
    if not any(line.strip() for line in lines):
        raise DataError(
            f"{path.name} is empty: it should hold a line of column names and rows below"
        )
    if hint := re.fullmatch(r"sep=([;,|\t])", lines[0].strip(), re.IGNORECASE):
        sep, text = hint[1], text[len(lines[0]) :]
    else:
        sep = _separator(lines)
    rows = [(n, row) for n, row in _records(path, text, sep) if any(c.strip() for c in row)]
    if not rows:
        raise DataError(f"{path.name} is no table: nothing stands between its separators")
    if DBASE.match(next(line for line in lines if line.strip()).replace('"', "")):
        raise DataError(
            f"{path.name} has the header of a dBase table, such as 'NAME,C,80': take type and "
            "width out of its first line, or give the .dbf with its .shp"
        )
    usual = Counter(len(row) for _, row in rows).most_common(1)[0][0]
    plain = len(rows[0][1]) == usual and all(cell.strip() for cell in rows[0][1][1:])
    at = 0 if plain and spec.header is None else _header(path, rows, spec.header)
    named = max((i + 1 for i, cell in enumerate(rows[at][1]) if cell.strip()), default=0)
    full = len(rows[at][1])
    footer = footer_lines([row for _, row in rows[at + 1 :]])
    uneven = [
        n
        for n, row in rows[at + 1 : len(rows) - footer]
        if len(row) < named or any(cell.strip() for cell in row[full:])
    ]
    if uneven:
        raise DataError(
            f"{path.name} is no table: its header has {named} columns, but {len(uneven)} rows have "
            f"more or fewer: line {', '.join(map(str, uneven[:5]))}"
            + (" and others" if len(uneven) > 5 else "")  # noqa: PLR2004
            + "; a cell that holds the separator or a line break belongs in quotes"
        )
    table = _framed(path, [(row + [""] * full)[:full] for _, row in rows[at:]])
    table.attrs["footer"] = footer
    return table


def footer_lines(rows: list[list[Any]]) -> int:
    """Count the lines below the rows in which a report says who made it, as CRMs write them.

    Examples
    --------
    >>> footer_lines([["K1", "A"], ["K2", ""], ["Grand Totals (2 records)"], ["Acme"]])
    2
    """
    notes: list[str] = []
    for row in reversed(rows):
        filled = [text for text in map(as_text, row) if text]
        if len(filled) > 1:
            break
        notes.append(filled[0] if filled else "")
    known = [i for i, text in enumerate(notes, 1) if FOOTER.fullmatch(text)]
    return known[-1] if known else 0


def sheet_table(path: Path, spec: TableFile) -> pd.DataFrame:
    """Read one sheet of an Excel file; its header may stand below a title.

    Returns
    -------
    DataFrame
        `attrs["epoch"]` is day 0 of the serial numbers in its cells; `attrs["unsaved"]` maps columns
        to their rows that hold a formula without a stored value, which are blank; `attrs["footer"]`
        is the number of the last lines that are no rows.

    Raises
    ------
    DataError
        If it is no Excel file, unpacks to too much, or has no such sheet.
    """
    _require_modest(path)
    book = guarded(
        path,
        lambda p: openpyxl.load_workbook(p, read_only=True, data_only=True, keep_links=False),
    )
    try:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        if isinstance(spec.sheet, int) and 0 <= spec.sheet < len(sheets):
            sheet = list(sheets.values())[spec.sheet]
        elif spec.sheet in sheets:
            sheet = sheets[str(spec.sheet)]
        else:
            near = difflib.get_close_matches(str(spec.sheet), list(sheets), n=1)
            raise DataError(
                f"{path.name} has no sheet {spec.sheet!r}"
                + (f" (did you mean {near[0]!r}?)" if near else "")
                + f"; its sheets are {some(list(sheets))}, counted from 0"
            )
        formulas = guarded(path, lambda p: _formulas(p, sheet.title))
        rows = guarded(path, lambda p: list(_filled_rows(p, sheet, formulas)))
        epoch = str(book.epoch.date())
    finally:
        book.close()
    if not rows:
        raise DataError(f"{path.name}: the sheet {sheet.title!r} is empty")
    at = _header(path, rows, spec.header)
    width = max(len(row) for _, row in rows[at:])
    cells = [row + [""] * (width - len(row)) for _, row in rows[at:]]
    table = _framed(path, cells)
    names = [as_text(name) for name in cells[0]]
    bare = {
        names[i]: [n for n, row in enumerate(cells[1:]) if row[i] is UNSAVED] for i in range(width)
    }
    table.attrs = {
        "epoch": epoch,
        "unsaved": {name: at for name, at in bare.items() if at},
        "footer": footer_lines(cells[1:]),
    }
    return table


def _formulas(path: Path, title: str) -> set[tuple[int, int]]:
    """Find the cells of a sheet that hold formulas; files without any are not read twice."""
    if not _holds_formulas(path):
        return set()
    book = openpyxl.load_workbook(path, read_only=True, keep_links=False)
    try:
        sheet = book[title]
        sheet.reset_dimensions()
        cells = (cell for row in sheet.iter_rows() for cell in row)
        return {(cell.row, cell.column) for cell in cells if cell.data_type == "f"}
    finally:
        book.close()


def _holds_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if not part.startswith("xl/worksheets/"):
                continue
            with archive.open(part) as file:
                end = b""
                while piece := file.read(2**20):
                    if b"<f" in end + piece:
                        return True
                    end = piece[-1:]
    return False


def column_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file as text.

    Raises
    ------
    DataError
        If it is damaged, too large, or has lists or records in its cells.
    """
    file = guarded(path, pq.ParquetFile)
    cells = file.metadata.num_rows * max(file.metadata.num_columns, 1)
    if cells > MOST_CELLS:
        raise DataError(
            f"{path.name} has {file.metadata.num_rows:,} rows: sum them first with terrlib rollup"
        )
    return guarded(path, lambda p: arrow_table(p.name, file.read()))


def arrow_table(name: str, table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into text.

    Raises
    ------
    DataError
        If its cells hold lists, records or bytes.

    Examples
    --------
    >>> arrow_table("t", pa.table({"id": ["007"], "x": [1.5], "n": [None]})).to_numpy().tolist()
    [['007', '1.5', '']]
    """
    kinds = {field.name: field.type for field in table.schema}
    nested = [c for c, kind in kinds.items() if pa.types.is_nested(kind) or _is_bytes(kind)]
    nested = [c for c in nested if c != "geometry"]
    if nested:
        raise DataError(
            f"{name} has {len(nested)} columns whose cells hold lists, records or bytes: "
            f"{some(nested)}; write them as plain columns"
        )
    kept = [i for i, field in enumerate(table.schema) if field.name != "geometry"]
    columns = [_texts_of(table.column(i)) for i in kept]
    frame = pd.DataFrame(dict(enumerate(columns)), dtype=str)
    frame.columns = [table.schema[i].name for i in kept]
    return frame


def map_table(path: Path, spec: TableFile) -> pd.DataFrame:
    """Read what a map says about its shapes, without the shapes."""
    found = _map(path, spec, read_geometry=False)
    return pd.DataFrame(
        {i: [as_text(v) for v in found.iloc[:, i]] for i in range(found.shape[1])}, dtype=str
    ).set_axis(list(found.columns), axis=1)


def shapes(path: Path, spec: TableFile) -> gpd.GeoDataFrame:
    """Read a map, turned to degrees.

    Raises
    ------
    DataError
        If it is no map, has no shapes, or several layers of which none was chosen.
    """
    found = _map(path, spec, read_geometry=True)
    if "geometry" not in found:
        raise DataError(f"{path.name} holds no shapes")
    if found.crs is None:
        return found.set_crs(4326)
    return guarded(path, lambda _: found.to_crs(4326))


def guarded(path: Path, read: Callable[[Path], T]) -> T:
    """Read, and turn whatever a damaged file makes a reader raise into a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path)
    except (DataError, SettingsError):
        raise
    except Exception as error:  # readers raise anything at all on a damaged file
        reason = " ".join(as_text(str(error)).split())[:160] or type(error).__name__
        raise DataError(f"{path.name} cannot be read: {reason}") from error


def as_text(value: object) -> str:
    r"""Write a cell as clean text: stripped, on one line, without control characters.

    Examples
    --------
    >>> [as_text(v) for v in (" a\u00a0b\n", 7.0, 1.234, None, date(2026, 12, 31))]
    ['a b', '7', '1.2340', '', '2026-12-31']
    """
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value.strip()
        text = CONTROLS.sub("", BREAKS.sub(" ", value))
        return text.replace("\u00a0", " ").replace("\u202f", " ").strip()
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, datetime):
        return str(value.date())
    if isinstance(value, float | Decimal | np.floating):
        return _number_as_text(value)
    return str(value) if isinstance(value, int | date) else as_text(str(value))


def _number_as_text(value: Any) -> str:
    if value != value:  # noqa: PLR0124
        return ""
    if abs(value) < EXACT and value == int(value):
        return str(int(value))
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    # A number is written with a point; one more zero says so where a text would leave doubt.
    return text + "0" if TWO_WAYS.fullmatch(text.lstrip("-")) else text


def some(names: list[Any], most: int = 5) -> str:
    """List the first of some names."""
    shown = ", ".join(str(name)[:60] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _decoded(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    foreign = [what for mark, what in FOREIGN.items() if content.startswith(mark)]
    if foreign:
        raise DataError(f"{path.name} is no text file but {foreign[0]}")
    if encoding or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        known = encoding or "utf-16"
        try:
            text = content.decode("utf-8-sig" if known == "utf-8" else known)
        except UnicodeError as error:
            raise DataError(f"{path.name} is not in {known}: {error}") from error
        return text.replace("\x00", "").removeprefix("\ufeff")
    controls = content.translate(None, bytes(c for c in range(256) if c > 31 or c in b"\t\n\r\f"))  # noqa: PLR2004
    if len(controls) > BINARY_SHARE * len(content) or content[:1] == b"\x00":
        raise DataError(f"{path.name} is no text file: save it as CSV, Excel (.xlsx) or Parquet")
    content = content.replace(b"\x00", b"")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = content.decode("utf-8", errors="replace")
        odd = broken.count("\ufffd")
        if sum(not c.isascii() for c in broken) > 2 * odd:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{path.name} is in UTF-8, but {odd} letters are broken, the first in line {line}: "
                "was it cut or joined? Export it again"
            ) from error
    read = {}
    for name in ("cp1250", "iso-8859-2"):
        text = content.decode(name, errors="replace")
        strange = sum(not c.isascii() and c not in POLISH for c in text)
        read[name] = (strange, text)
    (least, text), (other, twin) = sorted(read.values(), key=lambda pair: pair[0])
    if least == other and text != twin:
        raise DataError(
            f"{path.name} is not in UTF-8, and could be in cp1250 or iso-8859-2: save it as UTF-8, "
            "or say encoding: cp1250"
        )
    return text


def _separator(lines: list[str]) -> str:
    """Find the separator that gives most rows the same width."""
    sample = "\n".join(lines[:200])
    scores = {}
    for sep in (";", "\t", ",", "|"):
        try:
            rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=sep))
        except csv.Error:
            rows = []
        widths = Counter(len(row) for row in rows if any(cell.strip() for cell in row))
        width, often = widths.most_common(1)[0] if widths else (1, 0)
        scores[sep] = (often if width > 1 else 0, sample.count(sep))
    return max(scores, key=lambda sep: scores[sep])


def _records(path: Path, text: str, sep: str) -> Rows:
    """Part a text into rows with the line that each begins in; a stray quote is refused."""
    rows: Rows = []
    start = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=True)
    try:
        for row in reader:
            rows.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise DataError(
                f"{path.name} is no table: a cell that begins in line {start} has more than "
                f"{csv.field_size_limit():,} characters; is a quote missing?"
            ) from error
        # Quotes inside a quoted cell do no harm where every line is a row of its own.
        loose = list(csv.reader(io.StringIO(text, newline=""), delimiter=sep))
        if len(loose) == len(list(io.StringIO(text, newline=""))):
            return list(enumerate(loose, 1))
        raise DataError(
            f"{path.name}: the quotes in line {start} do not match, so that rows below could be "
            'swallowed; a quote inside a quoted cell is written twice ("")'
        ) from error
    for line, row in rows:
        if any("\n" in cell or "\r" in cell for cell in row) and _swallowed(row, sep):
            raise DataError(
                f"{path.name}: a quote that opens in line {line} swallows the rows below it; close "
                "it, or take it out"
            )
    return rows


def _swallowed(row: list[str], sep: str) -> bool:
    """Tell whether a cell holds a whole row: a line in it that begins as this row does."""
    first = _looks(row[0])
    for cell in row[1:]:
        below = BREAKS.split(cell.replace("\t", "\x00"))[1:]
        alike = any(sep in line and _looks(line.split(sep)[0]) == first for line in below)
        if first and alike and cell.count(sep) >= len(row) - 1:
            return True
    return False


def _looks(text: str) -> str:
    return re.sub(r"[0-9]+", "9", re.sub(r"[^\W\d_]+", "a", text.strip()))


def _header(path: Path, rows: Rows, asked: int | None) -> int:
    """Find the row of column names: the one asked for, or the first that is no title."""
    if asked is not None:
        at = next((i for i, (number, _) in enumerate(rows) if number == asked), None)
        if at is None:
            raise DataError(f"{path.name} has nothing in row {asked}, where its header should be")
        return at
    early = [*(row for _, row in rows[:HEADER_WITHIN]), []]
    pairs = enumerate(pairwise(early))
    return next((i for i, (row, below) in pairs if not _is_note(row, below)), 0)


def _is_note(row: list[Any], below: list[Any]) -> bool:
    """Tell a title, a note or the upper part of a header from a row of names."""
    filled = [i for i, cell in enumerate(row) if as_text(cell)]
    names = sum(_is_name(cell) for cell in row)
    # Two names may be all that a table has; rows below them must not be taken for its header.
    if len(filled) <= NOTE_CELLS and (names < NOTE_CELLS or as_text(row[filled[0]])[-1] == ":"):
        return True
    gaps = filled[-1] - filled[0] + 1 > len(filled)
    return gaps and sum(_is_name(cell) for cell in below) > len(filled)


def _is_name(cell: object) -> bool:
    text = as_text(cell)
    year = re.fullmatch(r"(19|20)[0-9]{2}", text)
    return year is not None or (isinstance(cell, str) and re.search(r"[^\W\d_]", text) is not None)


def _framed(path: Path, rows: list[list[Any]]) -> pd.DataFrame:
    """Make a table of a header and rows of the same width; columns of nothing fall away."""
    names = [as_text(cell) for cell in rows[0]]
    columns: dict[int, pd.Series] = {}
    for i in range(len(names)):
        cells = [row[i] if i < len(row) else "" for row in rows[1:]]
        column = pd.Series([as_text(cell) for cell in cells], dtype=str)
        if names[i] or (column != "").any():
            columns[i] = column
    bare = [i for i in columns if not names[i]]
    if len(bare) > PIVOT_SHARE * len(columns):
        raise DataError(
            f"{path.name} is no table: {len(bare)} of its {len(columns)} columns have no name, as in "
            "a pivot table or a report; export the rows it is made from, or say which line holds "
            "the names, such as header: 5"
        )
    table = pd.DataFrame(columns)
    table.columns = [names[i] or f"(column {i + 1})" for i in columns]
    return table


def _require_modest(path: Path) -> None:
    """Refuse a file that unpacks to more than it should, before anything is unpacked."""
    with path.open("rb") as file:
        head = file.read(64)
    foreign = [w for mark, w in FOREIGN.items() if head.startswith(mark) and mark != b"PK\x03\x04"]
    if foreign:
        raise DataError(f"{path.name} cannot be read: it is {foreign[0]}")
    parts = guarded(path, lambda p: zipfile.ZipFile(p).infolist())
    size, packed = sum(part.file_size for part in parts), path.stat().st_size
    if size > LARGEST_UNPACKED or (size > SUSPECT_UNPACKED and size > MOST_PACKED * packed):
        raise DataError(
            f"{path.name} would unpack from {packed / 2**20:,.1f} to {size / 2**20:,.0f} MiB and is "
            "not opened: save the one sheet that is needed as CSV"
        )
    guarded(path, _require_no_entities)


def _require_no_entities(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as file:
                    head = file.read(4096).replace(b"\x00", b"")
                if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                    raise DataError(
                        f"{path.name} defines entities in {part.filename}, which no spreadsheet "
                        "does: it is not opened"
                    )


def _filled_rows(
    path: Path, sheet: Any, formulas: set[tuple[int, int]]
) -> Iterator[tuple[int, list[Any]]]:
    sheet.reset_dimensions()  # what a file says of its size is not to be trusted
    cells = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells += len(row)
        if cells > MOST_CELLS or number > LAST_ROW:
            raise DataError(f"{path.name} has more cells than a sheet can hold: save it as CSV")
        values = [_cell(cell) for cell in row]
        for i, value in enumerate(values) if formulas else ():
            if value is None and (number, i + 1) in formulas:
                values[i] = UNSAVED
        while values and (values[-1] is None or values[-1] == ""):
            values.pop()
        if any(value is UNSAVED or as_text(value) for value in values):
            yield number, values


def _cell(cell: Any) -> Any:
    """Return a cell's value; a code kept as a number is shown as its format shows it."""
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # noqa: PLR0124
        shape = str(cell.number_format).replace("\\", "").replace('"', "")
        if re.fullmatch(r"0{2,}(-0+)*", shape) and value >= 0 and value == int(value):
            digits = str(int(value)).zfill(shape.count("0"))
            for i, sign in enumerate(shape):
                digits = digits[:i] + "-" + digits[i:] if sign == "-" else digits
            return digits
    return value


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _texts_of(column: pa.ChunkedArray) -> list[str]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts_of(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return (
            [v[:10] for v in _texts_of(column.cast(pa.timestamp("us", kind.tz), safe=False))]
            if (kind.unit == "ns")
            else [as_text(v) for v in column.to_pylist()]
        )
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return [as_text(None if v is None else np.float32(v)) for v in column.to_pylist()]
    return [as_text(v) for v in column.to_pylist()]


def _map(path: Path, spec: TableFile, *, read_geometry: bool) -> gpd.GeoDataFrame:
    kind = path.suffix.lower()
    where = str(path)
    # the encoding that is said may be that of a text file beside the map
    encoding: str | None = (kind in {".shp", ".zip"} and spec.encoding) or None
    if kind == ".zip":
        _require_modest(path)
        where = f"/vsizip/{path}"
        names = guarded(path, lambda p: zipfile.ZipFile(p).namelist())
        if not any(name.lower().endswith(".shp") for name in names):
            raise DataError(f"{path.name} holds no Shapefile; it holds {some(names)}")
        guarded(path, _require_shapes)
    else:
        with path.open("rb") as file:
            _require_kind(file, kind, path.name)
    if encoding is None and kind in {".shp", ".zip"}:
        encoding = guarded(path, _dbf_encoding)
    layers = [str(name) for name in guarded(path, lambda _: pyogrio.list_layers(where)[:, 0])]
    if spec.layer and spec.layer not in layers:
        near = difflib.get_close_matches(spec.layer, layers, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(f"{path.name} has no layer {spec.layer!r}{hint}; it has {some(layers)}")
    if not spec.layer and len(layers) != 1:
        raise DataError(
            f"{path.name} has {len(layers)} layers: {some(layers)}; say which, such as "
            f"layer: {layers[0] if layers else 'areas'}"
        )
    return guarded(
        path,
        lambda _: pyogrio.read_dataframe(
            where, layer=spec.layer or layers[0], encoding=encoding, read_geometry=read_geometry
        ),
    )


def _require_shapes(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".shp"):
                with archive.open(name) as file:
                    _require_kind(file, ".shp", f"{path.name}: {name}")


def _require_kind(file: IO[bytes], kind: str, said: str) -> None:
    """Refuse a map whose content is another thing: the reader would follow it to other files."""
    head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    begins = {".gpkg": b"SQLite format 3\x00", ".shp": b"\x00\x00\x27\x0a"}.get(kind, b"{")
    if not head.startswith(begins):
        name = {".gpkg": "GeoPackage", ".shp": "Shapefile"}.get(kind, "GeoJSON file")
        raise DataError(f"{said} is no {name}, whatever its ending says")


def _dbf_encoding(path: Path) -> str | None:
    """Tell the encoding of a Shapefile's table where the file does not: UTF-8 or cp1250."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = {name.lower(): name for name in archive.namelist()}
            if any(name.endswith(".cpg") for name in names):
                return None
            part = next((names[n] for n in sorted(names) if n.endswith(".dbf")), None)
            content = archive.read(part) if part else b""
    else:
        if path.with_suffix(".cpg").is_file() or path.with_suffix(".CPG").is_file():
            return None
        table = next(
            (p for p in (path.with_suffix(".dbf"), path.with_suffix(".DBF")) if p.is_file()), None
        )
        content = table.read_bytes() if table else b""
    rows = content[int.from_bytes(content[8:10], "little") :]
    try:
        rows.decode("utf-8")
    except UnicodeDecodeError:
        likely = {
            name: sum(not c.isascii() and c not in POLISH for c in rows.decode(name, "replace"))
            for name in ("cp1250", "iso-8859-2", "cp852")
        }
        return min(likely, key=lambda name: likely[name])
    return "utf-8"
