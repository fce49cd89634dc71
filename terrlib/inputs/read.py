"""Files as they come out of a CRM, an ERP or a spreadsheet, read as text and then as what they mean."""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from pathlib import Path

import geopandas as gpd
import pandas as pd

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.settings import TableFile

LARGEST_BYTES = 512 * 2**20
POLISH = set("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–—’…§°€×«»\u00a0")
YES = {"1", "true", "t", "yes", "y", "tak", "prawda", "x"}
NO = {"0", "false", "f", "no", "n", "nie", "fałsz", "falsz", ""}


def inside(folder: Path, name: str) -> Path:
    """Find a file of the data folder, and none outside it.

    Raises
    ------
    SettingsError
        If the name leaves the folder, or there is no such file (with the nearest name).
    """
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise SettingsError(
            f"{name!r} lies outside the data folder: a settings file may only name files in it"
        )
    if not path.is_file():
        there = sorted(p.name for p in root.iterdir() if p.is_file())
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the data folder holds {_some(there)}"
        raise SettingsError(f"there is no file {name!r} in the data folder: {hint}")
    if path.stat().st_size > LARGEST_BYTES:
        raise DataError(f"{name} has {path.stat().st_size / 2**20:,.0f} MiB; at most 512 are read")
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
        File, sheet, and how its columns are called there.

    Returns
    -------
    DataFrame of str
        Cells stripped of blanks, no-break spaces among them; nothing is NaN. Columns that `spec`
        does not map keep their names.

    Raises
    ------
    SettingsError
        If the file is outside the folder or absent.
    DataError
        If it is no table, or lacks a mapped column.
    """
    path = inside(folder, spec.file)
    kind = path.suffix.lower()
    if kind in {".xlsx", ".xlsm"}:
        rows = _excel(path, spec)
    elif kind in {".parquet", ".pq"}:
        rows = _guarded(path, pd.read_parquet)
    elif kind in {".geojson", ".gpkg", ".shp", ".json"}:
        rows = pd.DataFrame(_shapes(path).drop(columns="geometry"))
    else:
        rows = _csv(path)
    rows.columns = [str(c).strip().lstrip("\ufeff") for c in rows.columns]
    _require_table(path, rows)
    rows = rows.map(_as_text).astype(str)
    missing = [f"{ours}: {theirs}" for ours, theirs in spec.columns.items() if theirs not in rows]
    if missing:
        near = difflib.get_close_matches(missing[0].split(": ")[1], list(rows.columns), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(
            f"{spec.file} ({table}) has no column {_some(missing)}{hint}; its columns are "
            f"{_some(list(rows.columns), 12)}"
        )
    taken = {theirs: ours for ours, theirs in spec.columns.items()}
    # A mapped name wins: a foreign column that happens to have our name is another thing.
    clash = [c for c in rows.columns if c in spec.columns and c not in taken]
    rows = rows.rename(columns={c: f"{c} (file)" for c in clash}).rename(columns=taken)
    for column, names in spec.values.items():  # noqa: PD011
        if column in rows:
            rows[column] = rows[column].map(lambda v, n=names: n.get(v, v))
    return rows


def read_shapes(folder: Path, spec: TableFile) -> gpd.GeoDataFrame | None:
    """Read the polygons of the areas: area_id, geometry in EPSG:4326, one row an area; None if none.

    Raises
    ------
    DataError
        If the file is no map, or its shapes carry no area_id.
    """
    name = spec.geometry or spec.file
    if Path(name).suffix.lower() not in {".geojson", ".json", ".gpkg", ".shp"}:
        return None
    shapes = _shapes(inside(folder, name))
    theirs = spec.columns.get("area_id", "area_id")
    key = next((c for c in (theirs, "area_id", "id") if c in shapes.columns), None)
    if key is None:
        raise DataError(
            f"{name}: no property 'area_id' on its shapes; they carry {_some(list(shapes.columns[:-1]))}"
        )
    shapes = shapes.assign(area_id=shapes[key].map(_as_text))[["area_id", "geometry"]]
    parts = shapes.groupby("area_id")["area_id"].transform("size")
    shapes = shapes.assign(parts=parts)
    return shapes.dissolve("area_id", as_index=False) if (parts > 1).any() else shapes


def number(text: str) -> float:
    """Read a number as people write it; NaN for a blank.

    Raises
    ------
    ValueError
        If it is no number.

    Examples
    --------
    >>> [number(t) for t in ("1 234,50 zł", "$1,963.10 ", "1.234.567", "-5", "12,5", "(100)")]
    [1234.5, 1963.1, 1234567.0, -5.0, 12.5, -100.0]
    """
    bare = re.sub(r"[\s\u00a0\u202f$€£]|zł|pln|usd|eur", "", text, flags=re.IGNORECASE)
    if not bare:
        return float("nan")
    if re.fullmatch(r"\(.+\)", bare):
        bare = "-" + bare[1:-1]
    if re.search(r"[^0-9.,+\-eE]", bare):
        raise ValueError(text)
    if "," in bare and "." in bare:
        thousands, point = (".", ",") if bare.rfind(",") > bare.rfind(".") else (",", ".")
        bare = bare.replace(thousands, "").replace(point, ".")
    elif re.fullmatch(r"[+-]?\d{1,3}([.,]\d{3}){2,}", bare):
        bare = re.sub(r"[.,]", "", bare)
    elif "," in bare:
        bare = bare.replace(",", "" if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", bare) else ".")
    return float(bare)


def degrees(text: str) -> float:
    r"""Read a latitude or longitude: decimal, or in degrees, minutes and seconds; NaN for a blank.

    Raises
    ------
    ValueError
        If it is no coordinate.

    Examples
    --------
    >>> [round(degrees(t), 4) for t in ("52,229", "52°13'47\"N", "0.5 W", "637 123,45")]
    [52.229, 52.2297, -0.5, 637123.45]
    """
    bare = re.sub(r"\s", "", text).upper()
    if re.fullmatch(r"[+-]?\d{1,3},\d+", bare):
        value = float(bare.replace(",", "."))
        if abs(value) <= 180:  # noqa: PLR2004
            return value
    mark = re.fullmatch(
        r"([NSEW])?([+-]?\d{1,3}(?:[.,]\d+)?)[°º]?"
        r"(?:(?<=[°º])(\d{1,2}(?:[.,]\d+)?)['′’](?:(\d{1,2}(?:[.,]\d+)?)(?:[\"″”]|''|′′))?)?([NSEW])?",
        bare,
    )
    if not mark or not re.search("[NSEW°º]", bare):
        return number(text)
    before, *parts, after = mark.groups()
    whole, minutes, seconds = (float((part or "0").replace(",", ".")) for part in parts)
    if (before and after) or max(minutes, seconds) >= 60:  # noqa: PLR2004
        raise ValueError(text)
    size = abs(whole) + minutes / 60 + seconds / 3600
    return -size if parts[0].startswith("-") or (before or after) in {"S", "W"} else size


def day(text: str) -> pd.Timestamp:
    """Read a day, ISO or Polish; NaT for a blank.

    Raises
    ------
    ValueError
        If it is no day, or one that could be read two ways (3/4/2026).

    Examples
    --------
    >>> [str(day(t).date()) for t in ("2026-04-03", "3.04.2026", "2026-04-03T10:00:00")]
    ['2026-04-03', '2026-04-03', '2026-04-03']
    """
    if not text:
        return pd.NaT
    if found := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})([T ].*)?", text):
        year, month, date = (int(part) for part in found.groups()[:3])
    elif found := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
        date, month, year = (int(part) for part in found.groups())
    else:
        raise ValueError(text)
    return pd.Timestamp(year=year, month=month, day=date)


def flag(text: str) -> bool | None:
    """Read yes or no in English or Polish; None for a blank.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> [flag(t) for t in ("tak", "NO", "1", "")]
    [True, False, True, None]
    """
    low = text.lower()
    if low in YES:
        return True
    if low in NO:
        return False if low else None
    raise ValueError(text)


def fold(text: str) -> str:
    """Fold a name for comparing: lower case, no accents, no punctuation, no legal form.

    Examples
    --------
    >>> fold("Łódzka Spółka „Żuk” Sp. z o.o.")
    'lodzka spolka zuk'
    """
    low = text.lower().translate(str.maketrans("łø", "lo"))
    low = unicodedata.normalize("NFKD", low).encode("ascii", "ignore").decode()
    low = re.sub(
        r"\b(sp\.?\s*z\s*o\.?\s*o\.?|s\.?\s?a\.?|s\.?\s?c\.?|sp\.?\s*j\.?|llc|inc|ltd)(?=\W|$)",
        " ",
        low,
    )
    return " ".join(re.sub(r"[^a-z0-9]+", " ", low).split())


def _csv(path: Path) -> pd.DataFrame:
    text = _decoded(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(
            f"{path.name} is empty: it should hold a line of column names and rows below"
        )
    counts = {sep: lines[0].count(sep) for sep in (";", "\t", ",", "|")}
    sep = max(counts, key=lambda s: counts[s])
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=sep, strict=False))
    except csv.Error as error:
        raise DataError(f"{path.name} cannot be read as a table: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    width = len(rows[0])
    uneven = [i for i, row in enumerate(rows[1:], 2) if len(row) != width]
    if uneven and any(cell.strip() for i in uneven for cell in rows[i - 1][width:]):
        raise DataError(
            f"{path.name} is no table: its header has {width} columns, but {len(uneven)} rows have "
            f"more or fewer, the first is row {uneven[0]}"
        )
    even = [(row + [""] * width)[:width] for row in rows[1:]]
    return pd.DataFrame(even, columns=rows[0])


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if b"\x00" in content[:4096]:
        raise DataError(f"{path.name} is no text file: save it as CSV, Excel (.xlsx) or Parquet")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass  # not UTF-8: one of the two older Polish encodings
    read = {}
    for encoding in ("cp1250", "iso-8859-2"):
        text = content.decode(encoding, errors="replace")
        strange = sum(not c.isascii() and c not in POLISH for c in text)
        read[encoding] = (strange, text)
    (least, text), (other, _) = sorted(read.values(), key=lambda pair: pair[0])
    if least == other:
        raise DataError(
            f"{path.name} is not in UTF-8, and could be in cp1250 or iso-8859-2: save it as UTF-8"
        )
    return text


def _excel(path: Path, spec: TableFile) -> pd.DataFrame:
    return _guarded(
        path, lambda p: pd.read_excel(p, sheet_name=spec.sheet, dtype=str, keep_default_na=False)
    )


def _shapes(path: Path) -> gpd.GeoDataFrame:
    shapes = _guarded(path, gpd.read_file)
    if "geometry" not in shapes:
        raise DataError(f"{path.name} holds no shapes")
    return shapes.to_crs(4326) if shapes.crs is not None else shapes.set_crs(4326)


def _guarded(path: Path, read):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    try:
        return read(path)
    except Exception as error:  # readers raise anything at all on a damaged file
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path.name} cannot be read: {reason}") from error


def _require_table(path: Path, rows: pd.DataFrame) -> None:
    named = [c for c in rows.columns if c and not c.startswith("Unnamed")]
    if len(named) < 2 or not len(rows):  # noqa: PLR2004
        raise DataError(
            f"{path.name} is no table: it should hold a line of column names and rows below; found "
            f"{len(rows)} rows and the columns {_some(named) or 'none'}"
        )
    twice = [c for c in named if list(rows.columns).count(c) > 1]
    if twice:
        raise DataError(
            f"{path.name} has {len(twice)} columns of the same name: {_some(sorted(set(twice)))}"
        )


def _as_text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return ""
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace("\u00a0", " ").replace("\u202f", " ").strip()


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(str(name)[:60] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
