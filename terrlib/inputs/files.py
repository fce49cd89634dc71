"""Files of every kind as one table of text; what cannot be read for certain gets a sentence."""

from __future__ import annotations

import codecs
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
from terrlib.show.words import Told, some

POLISH = set("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–—’…§°€×«»\u00a0")
MAPS = {".geojson", ".json", ".gpkg", ".shp", ".zip"}
# What a spreadsheet takes for a formula, or has an apostrophe before it already; numbers stay.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?")
FOREIGN = {
    b"PK\x03\x04": "zip",
    b"\xd0\xcf\x11\xe0": "old_excel",
    b"%PDF": "pdf",
    b"PAR1\x15": "parquet",
    b"SQLite format 3\x00": "database",
    b"\x1f\x8b": "packed",
}
LONGEST_LINE = 1_000_000
LARGEST_UNPACKED = 2**30
SUSPECT_UNPACKED = 64 * 2**20
MOST_PACKED = 150
MOST_CELLS = 100_000_000
LAST_ROW = 1_048_576
BINARY_SHARE = 0.05
STRAY = bytes(set(range(32)) - set(b"\t\n\r\f"))  # control bytes that no text has
UTF16 = {b"\xff\xfe", b"\xfe\xff"}
CHUNK = 2**22
HEADER_WITHIN = 50
NOTE_CELLS = 2
EXACT = 1e15
PIVOT_SHARE = 0.5
CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)
BREAKS = re.compile(r"\r\n|[\n\r\t\x0b\x0c\x85\u2028\u2029]")
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
        raise DataError("refusal.long_line", file=path.name, line=long, n=len(lines[long - 1]))
    if not any(line.strip() for line in lines):
        raise DataError("refusal.empty", file=path.name)
    if hint := re.fullmatch(r"sep=([;,|\t])", lines[0].strip(), re.IGNORECASE):
        sep, text = hint[1], text[len(lines[0]) :]
    else:
        sep = separator(lines)
    rows = [(n, row) for n, row in _records(path, text, sep) if any(c.strip() for c in row)]
    if not rows:
        raise DataError("refusal.only_separators", file=path.name)
    if DBASE.match(next(line for line in lines if line.strip()).replace('"', "")):
        raise DataError("refusal.dbase_header", file=path.name)
    usual = Counter(len(row) for _, row in rows).most_common(1)[0][0]
    plain = len(rows[0][1]) == usual and all(cell.strip() for cell in rows[0][1][1:])
    at = 0 if plain and spec.header is None else _header(path, rows, spec.header)
    named = max((i + 1 for i, cell in enumerate(rows[at][1]) if cell.strip()), default=0)
    full = len(rows[at][1])
    uneven = [
        n
        for n, row in rows[at + 1 :]
        if len(row) < named or any(cell.strip() for cell in row[full:])
    ]
    if uneven:
        first = ", ".join(map(str, uneven[:5]))
        many = len(uneven) > 5  # noqa: PLR2004
        raise DataError(
            "refusal.uneven_rows",
            file=path.name,
            columns=named,
            n=len(uneven),
            lines=Told("refusal.and_others", lines=first) if many else first,
        )
    return _framed(path, [row[:full] for _, row in rows[at:]])


def sheet_table(path: Path, spec: TableFile) -> pd.DataFrame:
    """Read one sheet of an Excel file; its header may stand below a title.

    Returns
    -------
    DataFrame
        `attrs["epoch"]` is day 0 of the serial numbers in its cells.

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
                "refusal.no_sheet",
                file=path.name,
                sheet=spec.sheet,
                hint=Told("refusal.hint_in_brackets", name=near[0]) if near else "",
                sheets=some(list(sheets)),
            )
        title = sheet.title
        rows = guarded(path, lambda p: list(_filled_rows(p, sheet)))
        epoch = str(book.epoch.date())
    finally:
        book.close()
    if not rows:
        raise DataError("refusal.empty_sheet", file=path.name, sheet=title)
    at = _header(path, rows, spec.header)
    width = max(len(row) for _, row in rows[at:])
    table = _framed(path, [row + [""] * (width - len(row)) for _, row in rows[at:]])
    table.attrs["epoch"] = epoch
    table.attrs["formulas"] = _without_value(path, title, rows[at][0], list(table.columns))
    return table


def _without_value(path: Path, title: str, header: int, columns: list[Any]) -> dict[str, int]:
    """Count, by column, formulas whose value the program that wrote the file did not store."""
    if not _has_formulas(path):
        return {}
    count: dict[str, int] = {}
    with_formulas = guarded(path, lambda p: openpyxl.load_workbook(p, read_only=True))
    stored = guarded(path, lambda p: openpyxl.load_workbook(p, read_only=True, data_only=True))
    try:
        sheets = (book[title] for book in (with_formulas, stored))
        rows = zip(*(sheet.iter_rows(min_row=header + 1) for sheet in sheets), strict=True)
        for written, read in rows:
            for name, cell, value in zip(columns, written, read, strict=False):
                if cell.data_type == "f" and value.value is None:
                    count[str(name)] = count.get(str(name), 0) + 1
    finally:
        with_formulas.close()
        stored.close()
    return count


def _has_formulas(path: Path) -> bool:
    """Whether any sheet holds a formula at all: most do not, and are not read a second time."""
    with zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            if name.startswith("xl/worksheets/"):
                with packed.open(name) as sheet:
                    before = b""
                    while part := sheet.read(2**20):
                        if b"<f>" in before + part or b"<f " in before + part:
                            return True
                        before = part[-3:]
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
        raise DataError("refusal.too_many_rows", file=path.name, n=file.metadata.num_rows)
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
        raise DataError("refusal.nested_columns", file=name, n=len(nested), columns=some(nested))
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
        raise DataError("refusal.holds_no_shapes", file=path.name)
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
        raise DataError("refusal.unreadable", file=path.name, reason=reason) from error


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


def harmless(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would take for a formula.

    Examples
    --------
    >>> [harmless(v) for v in ("=1+1", "@A", "-5", "T1", 7)]
    ["'=1+1", "'@A", '-5', 'T1', 7]
    """
    if not isinstance(value, str) or not FORMULA.match(value) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def as_it_was(text: str) -> str:
    """Take the apostrophe of `harmless` off again."""
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def _number_as_text(value: Any) -> str:
    if value != value:  # noqa: PLR0124
        return ""
    if abs(value) < EXACT and value == int(value):
        return str(int(value))
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    # A number is written with a point; one more zero says so where a text would leave doubt.
    return text + "0" if TWO_WAYS.fullmatch(text.lstrip("-")) else text


def _decoded(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    _require_text(path.name, content[:64])
    if encoding or content[:2] in UTF16:
        known = encoding or "utf-16"
        try:
            text = content.decode("utf-8-sig" if known == "utf-8" else known)
        except UnicodeError as error:
            told = {"file": path.name, "encoding": known, "reason": str(error)}
            raise DataError("refusal.not_in_encoding", **told) from error
        return text.replace("\x00", "").removeprefix("\ufeff")
    _require_no_binary(path.name, content)
    content = content.replace(b"\x00", b"")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = content.decode("utf-8", errors="replace")
        odd = broken.count("\ufffd")
        if sum(not c.isascii() for c in broken) > 2 * odd:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError("refusal.broken_letters", file=path.name, n=odd, line=line) from error
    return content.decode(old_encoding(path.name, _bytes_of(content)), errors="replace")


def encoding_of(path: Path, asked: str = "") -> str:
    """Tell the encoding of a text file of any size; "" where it is UTF-8 as it stands.

    Parameters
    ----------
    path
        A text file.
    asked
        The encoding where it is known.

    Raises
    ------
    DataError
        If it is no text file, or its encoding leaves doubt.
    """
    head = next(_chunks(path), b"")
    _require_text(path.name, head)
    if asked or head[:2] in UTF16:
        return "" if asked == "utf-8" else asked or "utf-16"
    _require_no_binary(path.name, head)
    sound, clean = _as_utf8(path)
    if sound and clean:
        return ""
    if sound:
        return "utf-8"  # but for zero bytes, or lines that end with a return alone
    letters, odd = _letters(path)
    often = sum(map(_bytes_of, _chunks(path)), np.zeros(256, np.int64))
    return "" if letters > 2 * odd else old_encoding(path.name, often)


def _as_utf8(path: Path) -> tuple[bool, bool]:
    """Tell whether a file is UTF-8, and whether its lines end as usual and hold no zero bytes."""
    decoder, ended, returned, zero = codecs.getincrementaldecoder("utf-8")(), False, False, False
    try:
        for chunk in _chunks(path):
            zero = zero or b"\x00" in chunk
            ended = ended or b"\n" in chunk
            returned = returned or b"\r" in chunk
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False, False
    return True, not zero and (ended or not returned)


def _letters(path: Path) -> tuple[int, int]:
    """Count what is no ASCII in a file read as UTF-8, and what of it is broken."""
    letters = odd = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        while text := file.read(CHUNK):
            if not text.isascii():
                letters += len(text) - len(text.encode("ascii", "ignore"))
                odd += text.count("\ufffd")
    return letters, odd


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _require_text(name: str, head: bytes) -> None:
    foreign = [what for mark, what in FOREIGN.items() if head.startswith(mark)]
    if foreign:
        raise DataError("refusal.foreign_file", file=name, what=Told(f"refusal.is_{foreign[0]}"))


def _bytes_of(content: bytes) -> np.ndarray:
    return np.bincount(np.frombuffer(content, np.uint8), minlength=256)


def _require_no_binary(name: str, content: bytes) -> None:
    stray = content.translate(None, bytes(set(range(256)) - set(STRAY)))
    if len(stray) > BINARY_SHARE * len(content) or content[:1] == b"\x00":
        raise DataError("refusal.no_text", file=name)


def old_encoding(name: str, often: np.ndarray) -> str:
    """Tell cp1250 from iso-8859-2 by how often each byte stands in a text.

    Raises
    ------
    DataError
        If it could be either, and the letters would differ.
    """
    letters = {
        encoding: [bytes([byte]).decode(encoding, "replace") for byte in range(256)]
        for encoding in ("cp1250", "iso-8859-2")
    }
    strange = {
        encoding: sum(
            int(n)
            for n, letter in zip(often, read, strict=True)
            if not letter.isascii() and letter not in POLISH
        )
        for encoding, read in letters.items()
    }
    differ = any(n and one != other for n, one, other in zip(often, *letters.values(), strict=True))
    if differ and strange["cp1250"] == strange["iso-8859-2"]:
        raise DataError("refusal.which_encoding", file=name)
    return min(strange, key=lambda encoding: strange[encoding])


def separator(lines: list[str]) -> str:
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
            where = {"file": path.name, "line": start}
            raise DataError("refusal.long_cell", **where, n=csv.field_size_limit()) from error
        # Quotes inside a quoted cell do no harm where every line is a row of its own.
        loose = list(csv.reader(io.StringIO(text, newline=""), delimiter=sep))
        if len(loose) == len(list(io.StringIO(text, newline=""))):
            return list(enumerate(loose, 1))
        raise DataError("refusal.unmatched_quotes", file=path.name, line=start) from error
    for line, row in rows:
        if any("\n" in cell or "\r" in cell for cell in row) and _swallowed(row, sep):
            raise DataError("refusal.swallowing_quote", file=path.name, line=line)
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
            raise DataError("refusal.no_header_there", file=path.name, row=asked)
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
        raise DataError("refusal.pivot", file=path.name, n=len(bare), of=len(columns))
    table = pd.DataFrame(columns)
    table.columns = [names[i] or f"(column {i + 1})" for i in columns]
    return table


def _require_modest(path: Path) -> None:
    """Refuse a file that unpacks to more than it should, before anything is unpacked."""
    with path.open("rb") as file:
        head = file.read(64)
    foreign = [w for mark, w in FOREIGN.items() if head.startswith(mark) and mark != b"PK\x03\x04"]
    if foreign:
        what = Told(f"refusal.is_{foreign[0]}")
        raise DataError("refusal.foreign_book", file=path.name, what=what)
    parts = guarded(path, lambda p: zipfile.ZipFile(p).infolist())
    size, packed = sum(part.file_size for part in parts), path.stat().st_size
    if size > LARGEST_UNPACKED or (size > SUSPECT_UNPACKED and size > MOST_PACKED * packed):
        mib = {"packed": packed / 2**20, "size": round(size / 2**20)}
        raise DataError("refusal.zip_bomb", file=path.name, **mib)
    guarded(path, _require_no_entities)


def _require_no_entities(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as file:
                    head = file.read(4096).replace(b"\x00", b"")
                if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                    raise DataError("refusal.entities", file=path.name, part=part.filename)


def _filled_rows(path: Path, sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    sheet.reset_dimensions()  # what a file says of its size is not to be trusted
    cells = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells += len(row)
        if cells > MOST_CELLS or number > LAST_ROW:
            raise DataError("refusal.too_many_cells", file=path.name)
        values = [_cell(cell) for cell in row]
        while values and (values[-1] is None or values[-1] == ""):
            values.pop()
        if any(as_text(value) for value in values):
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
            raise DataError("refusal.no_shapefile", file=path.name, names=some(names))
        guarded(path, _require_shapes)
    else:
        with path.open("rb") as file:
            _require_kind(file, kind, path.name)
    if encoding is None and kind in {".shp", ".zip"}:
        encoding = guarded(path, _dbf_encoding)
    layers = [str(name) for name in guarded(path, lambda _: pyogrio.list_layers(where)[:, 0])]
    if spec.layer and spec.layer not in layers:
        near = difflib.get_close_matches(spec.layer, layers, n=1)
        raise DataError(
            "refusal.no_layer",
            file=path.name,
            layer=spec.layer,
            hint=Told("refusal.hint_in_brackets", name=near[0]) if near else "",
            layers=some(layers),
        )
    if not spec.layer and len(layers) != 1:
        raise DataError(
            "refusal.which_layer",
            file=path.name,
            n=len(layers),
            layers=some(layers),
            first=layers[0] if layers else "areas",
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
        name = {".gpkg": "gpkg", ".shp": "shp"}.get(kind, "geojson")
        raise DataError(f"refusal.another_kind_{name}", file=said)


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
