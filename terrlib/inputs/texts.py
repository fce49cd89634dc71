# ruff: noqa: PD003, PD004  # these are names of ibis
"""Columns of text in a database become values by the rules of the plain reader.

What is plain is read where it lies. Every other distinct text is fetched once, read by the plain
reader itself and joined back, so that no rule of reading is said twice, and none differs between
databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from terrlib.errors import DataError
from terrlib.inputs.files import BREAKS, CONTROLS, as_text
from terrlib.inputs.quality import all_foreign, asked_of, currency_code, currency_sign, read_column
from terrlib.inputs.settings import Settings, TableFile
from terrlib.inputs.tables import COLUMNS, Column
from terrlib.inputs.values import CLOCK, Reading
from terrlib.show.words import Told

MONEY = dt.Decimal(17, 4)  # as many digits as `LARGEST` has, and the smallest part
WHOLE = dt.Decimal(18, 2)  # a cast rounds alike in both databases
SMALLEST = Decimal("0.0001")
LARGEST = 1e13
BATCH = 200_000
# Patterns that RE2 and PostgreSQL read alike; what they take has one meaning in every column. Three
# digits behind a point may be thousands, unless they are degrees.
AMOUNT = r"^-?[0-9]{1,12}([.]([0-9]{1,2}|[0-9]{4,18}))?$"
DEGREES = r"^-?[0-9]{1,3}([.][0-9]{1,18})?$"
DAY = (
    r"^((19|20)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))|((19|20)(0[48]|[2468][048]|[13579][26])|2000)-02-29)"
)
TIME = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
NO = ibis.literal(value=False)
HALF = "0.5"  # stands for all plain numbers with a point
KINDS: dict[str, tuple[str, dt.DataType]] = {
    "money": (AMOUNT, MONEY),
    "degrees": (DEGREES, dt.float64),
    "date": (DAY + CLOCK + "$", dt.date),
}
# As `files.as_text` cleans; a database holds neither zero bytes nor halves of letters.
STEER = CONTROLS.pattern.replace("\x00", "\x01").replace("\ud800-\udfff", "")
GAPS = BREAKS.pattern.encode().decode("unicode_escape").replace("]", "\u00a0\u202f]")
Read = Callable[[list[str]], dict[str, Any]]


def kept(rows: ir.Table, like: ir.Table | None = None) -> ir.Table:
    """Compute rows once, as a temporary table that goes with the connection (of `like`)."""
    backend = ibis.get_backend(rows if like is None else like)
    return backend.create_table(ibis.util.gen_name("terrlib"), rows, temp=True)


def fetched(expression: ir.Table) -> list[dict[str, Any]]:
    """Fetch some few rows."""
    rows: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return rows


def identifier(column: ir.Value) -> ir.StringValue:
    """Clean an id as `files.as_text` does."""
    text = column.cast(str).fill_null("")
    clean = text.re_replace(GAPS, " ").re_replace(STEER, "")
    return text.re_search("[^ -~]").ifelse(clean, text).strip()


def unclean(rows: ir.Table, column: str) -> bool:
    """Tell whether `identifier` would change any text of a column: looking costs less than cleaning."""
    if column not in rows.columns:
        return False
    text = rows[column].cast(str)
    odd = rows.filter(text.isnull() | text.re_search("[^!-~]"))
    return bool(fetched(odd.select(column).limit(1)))


def typed(
    tables: Mapping[str, ir.Table], names: Mapping[str, Sequence[str]], asked: Settings
) -> dict[str, ir.Table]:
    """Turn the columns of tables into numbers and days, and tell foreign money apart.

    Parameters
    ----------
    tables
        By name; of one database.
    names
        By table: its columns of numbers and days that are used. One that is absent is all blank.
    asked
        Its tables say `decimal` and `dates`; currency and quality.rates what money is.

    Returns
    -------
    dict of ibis Tables
        Each with the other columns as they were, and for each of `names` a column of values, NULL
        where there is none, one `<name>_bad`, true where a text is no such value, and one
        `<name>_text`, the text that is not plain. `foreign` is the currency of money that cannot be
        counted, else NULL; `converted` is true where money was turned into the run's.

    Raises
    ------
    DataError
        If a column can be read in two ways, with the question, or all money is foreign; all at once.
    """
    found, said = {}, []
    for table, rows in tables.items():
        spec = asked.tables.get(table) or TableFile(file=table)
        values, questions = _values(rows, table, names[table], spec, asked.currency)
        said += [Told("refusal.stop", table=table, what=question) for question in questions]
        try:
            found[table] = _in_currency(values, table, names[table], asked)
        except DataError as fault:
            said.append(fault.said)
    if said:
        raise DataError(said)
    return found


def _values(
    rows: ir.Table, table: str, names: Sequence[str], spec: TableFile, currency: str
) -> tuple[ir.Table, list[Told]]:
    columns = [COLUMNS[table][name] for name in names]
    there = [c for c in columns if c.name in rows.columns]
    texts = [c for c in there if not _fits(rows[c.name], c)]
    held = rows
    rows = rows.mutate(
        **{k: v for c in columns for k, v in _blank(c).items() if c not in there},
        **{k: v for c in there for k, v in _first(rows[c.name], c, text=c in texts).items()},
    )
    if not texts:
        return rows, []
    rows = kept(rows)  # text is parsed once
    counts = fetched(rows.agg(**{c.name: rows[f"{c.name}_text"].count() for c in texts}))[0]
    questions = []
    for column in [c for c in texts if counts[c.name]]:
        halves = [] if spec.decimal or not _with_point(held, column) else [HALF]
        rows, question = _by_the_reader(rows, table, column, spec, halves, currency)
        questions += [question] if question else []
    return rows, questions


def _fits(column: ir.Value, kind: Column) -> bool:
    held = column.type()
    if kind.kind == "date":
        return bool(held.is_date() or held.is_timestamp())
    return bool(held.is_numeric() and not held.is_boolean())


def _blank(column: Column) -> dict[str, ir.Value]:
    kind = KINDS[column.kind][1]
    return _named(column, ibis.null(kind), NO, ibis.null(str))


def _named(column: Column, value: ir.Value, bad: ir.Value, text: ir.Value) -> dict[str, ir.Value]:
    return {column.name: value, f"{column.name}_bad": bad, f"{column.name}_text": text}


def _first(held: ir.Value, column: Column, *, text: bool) -> dict[str, ir.Value]:
    """Read what is plain; keep the text of the rest."""
    kind = KINDS[column.kind][1]
    if not text:
        if held.type().is_timestamp() or held.type().is_date():
            return _named(column, held.cast(kind), NO, ibis.null(str))
        if _is_small(held.type()):
            return _named(column, held.cast(kind), NO, ibis.null(str))
        small = held.abs() < LARGEST
        value = small.ifelse(held, None).cast(kind)
        return _named(column, value, (~small).fill_null(NO), ibis.null(str))
    held = held.cast(str)
    value = _plain(held, column)
    rest = value.isnull().ifelse(held.nullif(""), None)
    return _named(column, value, NO, rest)


def _is_small(kind: dt.DataType) -> bool:
    """Tell whether a type holds nothing above `LARGEST`."""
    if isinstance(kind, dt.Decimal) and kind.precision and kind.scale is not None:
        return 10 ** (kind.precision - kind.scale) <= LARGEST
    return isinstance(kind, dt.Int8 | dt.Int16 | dt.Int32 | dt.UInt8 | dt.UInt16 | dt.UInt32)


def _with_point(raw: ir.Table, column: Column) -> bool:
    """Tell whether a plain number of the column is written with a point."""
    if column.kind == "date":
        return False
    text = raw[column.name].cast(str)
    pointed = raw.filter(text.contains("."), _plain(text, column).notnull())
    return bool(fetched(pointed.select(column.name).limit(1)))


def _plain(held: ir.StringValue, column: Column) -> ir.Value:
    """Read the texts that have one meaning in every column; NULL for the rest."""
    pattern, kind = KINDS[column.kind]
    sure = held.re_search(pattern)
    read = sure.ifelse(held.substr(0, 10) if column.kind == "date" else held, None).cast(kind)
    if ibis.get_backend(held).name != "duckdb":
        return read
    # DuckDB tries a cast several times faster than a pattern. It takes more texts, such as 1e3,
    # which all mean the same to the plain reader; those that do not are left to it.
    if column.kind == "date":
        return ibis.cases((held.like("20__-__-__"), held.try_cast(kind)), (sure, read))
    if column.kind == "money":
        odd = held.contains("_") | held.like("%.___%")
        return odd.ifelse(None, held).try_cast(kind)
    value = held.contains("_").ifelse(None, held).try_cast(kind)
    return (value.abs() < LARGEST).ifelse(value, None)


def _by_the_reader(
    rows: ir.Table, table: str, column: Column, spec: TableFile, more: list[str], currency: str
) -> tuple[ir.Table, Told | None]:
    """Let the plain reader read every distinct text that is left; return its question, if any."""
    file: dict[str, str] = {"dates": spec.dates, "decimal": spec.decimal}
    text = f"{column.name}_text"
    odd = rows.filter(rows[text].notnull()).select(text=rows[text])
    # Texts of one shape say the same of the whole column: one of each settles how all are read.
    shapes = fetched(
        odd.group_by(shape=_shape(odd["text"], column))
        .agg(first=odd["text"].min(), n=odd.count())
        .order_by("first")
    )
    proofs = [as_text(row["first"]) for row in shapes] + more
    often = pd.Series([row["n"] for row in shapes] + [0] * len(more))
    settled = read_column(pd.Series(proofs, dtype=str), column, file, often)
    if settled.question:
        return rows, asked_of(table, column, settled)

    def read(texts: list[str]) -> dict[str, Any]:
        clean = pd.Series([as_text(text) for text in texts] + proofs, dtype=str)
        reading = read_column(clean, column, file)
        return _as_arrow(clean, reading, column, currency, len(texts))

    return _joined(rows, column.name, read), None


def _shape(text: ir.StringValue, column: Column) -> ir.StringValue:
    if column.kind == "date":
        return text.re_replace(TIME, "")
    return text.translate("123456789", "9" * 9)


def _as_arrow(
    clean: pd.Series, reading: Reading, column: Column, currency: str, n: int
) -> dict[str, Any]:
    found, bad = reading.found.iloc[:n], reading.bad.iloc[:n]
    if column.kind == "date":
        day = pa.array(found.dt.date, pa.date32(), from_pandas=True)
        return {"read_value": day, "read_bad": bad}
    huge = found.abs() >= LARGEST
    found, bad = found.mask(huge), bad | huge
    if column.kind != "money":
        return {"read_value": pa.array(found, pa.float64(), from_pandas=True), "read_bad": bad}
    exact = [
        None if np.isnan(v) else Decimal(repr(float(v))).quantize(SMALLEST, ROUND_HALF_UP)
        for v in found
    ]
    sign = currency_sign(clean.iloc[:n], currency)
    return {"read_value": pa.array(exact, pa.decimal128(17, 4)), "read_bad": bad, "read_sign": sign}


def _joined(rows: ir.Table, name: str, read: Read) -> ir.Table:
    """Put what is read of each distinct text beside the rows that hold it."""
    text = f"{name}_text"
    both = _beside(rows, text, read)
    news = {
        name: ibis.coalesce(both[name], both["read_value"]),
        f"{name}_bad": both["read_bad"].fill_null(NO),
    }
    if "read_sign" in both.columns:
        news[f"{name}_sign"] = both["read_sign"]
    return kept(both.mutate(**news).select(*dict.fromkeys([*rows.columns, *news])))


def _beside(rows: ir.Table, text: str, read: Read) -> ir.Table:
    odd = rows.filter(rows[text].notnull()).select(read_text=rows[text]).distinct()
    parts = [pa.table({"read_text": texts, **read(texts)}) for texts in _batches(odd)]
    know = kept(ibis.memtable(pa.concat_tables(parts)), like=rows)
    return rows.left_join(know, rows[text] == know["read_text"])


def _batches(texts: ir.Table) -> Iterator[list[str]]:
    """Fetch texts; as a list, which takes ten times the room, only some at a time."""
    column = texts.to_pyarrow().column(0)
    for start in range(0, len(column), BATCH):
        yield column.slice(start, BATCH).to_pylist()


# Money of other currencies.


def _in_currency(rows: ir.Table, table: str, names: Sequence[str], asked: Settings) -> ir.Table:
    """Turn money into the run's currency by the rates given; name the currency of the rest."""
    money = [name for name in names if COLUMNS[table][name].kind == "money"]
    rows = _with_code(rows)
    code = _code(rows, money)
    codes = {asked.currency} if code is None else _known(rows, code, names)
    foreign = sorted(codes - {"", asked.currency})
    if code is None or not foreign:
        return rows.mutate(foreign=ibis.null(str), converted=NO)
    rates = {c: Decimal(repr(rate)) for c, rate in asked.quality.rates.items() if c in foreign}
    unknown = [c for c in foreign if c not in rates]
    if not codes - set(unknown):
        raise DataError("refusal.stop", table=table, what=all_foreign(unknown, asked.currency))
    news = {
        "foreign": code.isin(unknown).ifelse(code, None) if unknown else ibis.null(str),
        "converted": code.isin(list(rates)) if rates else NO,
    }
    for name in money if rates else []:
        turned = [
            (code == c, (rows[name] * ibis.literal(r)).cast(WHOLE).cast(MONEY))
            for c, r in rates.items()
        ]
        news[name] = ibis.cases(*turned, else_=rows[name]).cast(MONEY)
    return rows.mutate(**news)


def _code(rows: ir.Table, money: Sequence[str]) -> ir.Value | None:
    """Return the currency as written, in a column of its own or beside an amount; None if nowhere."""
    signs = [f"{name}_sign" for name in reversed(money)]
    parts = [rows[c].nullif("") for c in ("code", *signs) if c in rows.columns]
    return ibis.coalesce(*parts, "") if parts else None


def _with_code(rows: ir.Table) -> ir.Table:
    """Turn the words of the column `currency` into codes."""
    if "currency" not in rows.columns:
        return rows
    rows = rows.mutate(currency=rows["currency"].cast(str))
    if not fetched(rows.agg(n=rows["currency"].nullif("").count()))[0]["n"]:
        return rows

    def read(texts: list[str]) -> dict[str, Any]:
        return {"read_code": [currency_code(as_text(text)) for text in texts]}

    both = _beside(rows, "currency", read)
    return kept(both.mutate(code=both["read_code"]).select(*rows.columns, "code"))


def _known(rows: ir.Table, code: ir.Value, names: Sequence[str]) -> set[str]:
    """Return the currencies of the rows that can be read."""
    sound = rows.mutate(known=code).filter(*(~rows[f"{name}_bad"] for name in names))
    return {row["known"] for row in fetched(sound.select("known").distinct())}
