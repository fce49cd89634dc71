"""Tables that a database gives: one SELECT, read and never written."""

from __future__ import annotations

import importlib
import os
import re
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from terrlib.errors import DataError, SettingsError

MOST_ROWS = 1_000_000


def address_of(database: str) -> str:
    """Find the address that an environment variable holds; "" if `database` names a file.

    Raises
    ------
    SettingsError
        If there is no such variable, or it holds no address; what it holds is never shown.

    Examples
    --------
    >>> address_of("crm.duckdb")
    ''
    """
    found = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", database)
    if not found:
        return ""
    address = os.environ.get(found[1], "")
    if "://" not in address:
        key = "refusal.no_address" if address else "refusal.no_variable"
        raise SettingsError(key, variable=found[1])
    return address


def asked(query: str, *, file: str = "", address: str = "") -> pa.Table:
    """Ask a database.

    Parameters
    ----------
    query
        One SELECT.
    file
        A DuckDB file; it is opened for reading, and the query reaches no other file.
    address
        Where another database is; nothing of it gets into a message.

    Raises
    ------
    DataError
        If ibis or DuckDB is not installed, the database cannot be reached, the query fails, or more than a
        million rows come.
    """
    try:
        # extras: only a query needs them
        driver = importlib.import_module("duckdb" if file else "ibis")
    except ImportError:
        raise DataError("refusal.query_needs") from None
    if not re.match(r"\s*(select|with)\b", query, re.IGNORECASE):
        raise DataError("refusal.query_one_select")
    secrets = [address, *re.findall(r"://([^/@]*)@", address), *re.findall(r":([^:/@]+)@", address)]
    try:
        table = _from_file(driver, query, file) if file else _from(driver, query, address)
    except Exception as error:  # drivers raise anything at all
        reason = " ".join(str(error).split())
        for secret in filter(None, secrets):
            reason = reason.replace(secret, "***")
        told = error.said if isinstance(error, DataError) else reason[:300]
        raise DataError("refusal.query_failed", reason=told) from None
    if table.num_rows > MOST_ROWS:
        raise DataError("refusal.query_too_many", n=MOST_ROWS)
    return table


def _from_file(duckdb: Any, query: str, file: str) -> pa.Table:
    # A query may come with somebody else's settings: it must not read the files of this machine.
    shut = {"enable_external_access": "false", "lock_configuration": "true"}
    with duckdb.connect(file, read_only=True, config=shut) as link:
        statements = link.extract_statements(query)
        if len(statements) != 1:
            raise DataError("refusal.query_statements", n=len(statements))
        # A row more than can be taken tells that there are too many.
        return link.sql(statements[0].query).limit(MOST_ROWS + 1).to_arrow_table()


def _from(ibis: Any, query: str, address: str) -> pa.Table:
    link = ibis.connect(address)
    try:
        if link.name == "postgres":
            link.raw_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").close()
        return link.sql(query).limit(MOST_ROWS + 1).to_pyarrow()
    finally:
        link.disconnect()
