"""Millions of rows rolled up where they lie: by hand, against pandas, and the same in two databases."""

import contextlib
import csv
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from decimal import Decimal
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terrlib.cli import main
from terrlib.errors import DataError, SettingsError
from terrlib.inputs import files, rollup, rollup_files, texts
from terrlib.inputs.load import _trusted, load_market, simplest_settings
from terrlib.inputs.quality import LIKE_TOTAL, TOTALS, Ledger, is_total, read_column
from terrlib.inputs.read import read_table
from terrlib.inputs.settings import make_settings
from terrlib.inputs.tables import COLUMNS
from tests.bench_size import measure

ACCOUNTS = """account_id,lat,lon,area_id,potential
A,52.0,21.0,N,1000
B,52.2,21.2,N,
C,50.0,20.0,S,500.50
"""
# The last day is 2026-06-30: revenue is of the days after 2025-06-30.
SALES = """account_id,date,amount
A,2026-06-30,100.10
A,2025-07-01,0.20
A,2025-06-30,7
B,2026-01-01,5
B,2026-02-01,-5
C,2026-03-01,30
"""
DIRTY_ACCOUNTS = """account_id,lat,lon,potential
A,"52,123","21,0","1 000,50 zł"
 B ,52.2,21.2,20.5 zl
C,,,500
D,0,0,1
E,52,21,much
F,52,21,-1
,52,21,3
G,95,21,4
H,52,21,5,one too many
I,52
"""
DIRTY_SALES = """account_id;date;amount
A;2026-06-30;1 234,50 zł
A;3.02.2026;10.25 zl
B;2026-06-29T10:00:00;7
B;2026-02-30;11
B;3/4/26;13
B;2026-02-01;1,234
B;2026-02-01;
C;2026-02-01;500
Z;2026-02-01;17
A;2024-01-01;19
A;2026-07-01;23
A;2026-02-01
A;2026-02-01;1;2
"""


def written(folder, accounts=ACCOUNTS, sales=SALES, **asked):
    (folder / "accounts.csv").write_text(accounts, encoding="utf-8")
    tables = {"accounts": "accounts.csv"}
    if sales:
        (folder / "sales.csv").write_text(sales, encoding="utf-8")
        tables["sales"] = "sales.csv"
    return make_settings({"tables": tables, **asked})


def rolled(folder, *given, **asked):
    facts = rollup_files.roll_up_files(written(folder, *given, **asked), folder, folder / "out")
    return facts, table(folder / "out/accounts.csv"), table(folder / "out/quality.csv")


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def found(quality):
    return {
        (row["table"], row["rule"]): (int(row["n"]), row["money"], row["examples"])
        for row in quality
    }


def test_three_accounts_in_two_areas(tmp_path):
    facts, units, quality = rolled(tmp_path)
    north, south = units
    assert list(north.values()) == [
        *("N", "N", "52.100000", "21.100000", "100.30", "1000.00", "2", "1"),
    ]
    assert (south["account_id"], south["revenue"], south["potential"]) == ("S", "30.00", "500.50")
    assert found(quality) == {
        ("accounts", "blank_money"): (1, "0.00", "B"),
        ("sales", "older"): (1, "7.00", ""),
    }
    assert (facts["since"], facts["until"]) == ("2025-06-30", "2026-06-30")
    assert facts == json.loads((tmp_path / "out/rollup.json").read_text(encoding="utf-8"))
    assert facts["rows"]["sales"]["money_in_revenue"] == "130.30"


def test_the_quarter_planned_for_ends_what_counts(tmp_path):
    facts, units, quality = rolled(tmp_path, quarter="2026Q1")
    assert facts["until"] == "2025-12-31"
    assert [unit["revenue"] for unit in units] == ["7.20", "0.00"]
    late = found(quality)["sales", "after_as_of"]
    assert late == (4, "130.10", "2026-01-01 | 2026-02-01 | 2026-03-01")


def test_cells_are_as_wide_as_high_wherever_they_lie():
    """Two points 30 km apart never share a cell of 20 km; a point and its twin always do."""
    size, km = 20.0, rollup.KM_PER_DEGREE
    lat = np.repeat(np.linspace(-80, 80, 41), 3)
    step = np.tile([0.0, 0.0, 30.0], 41) / km / np.cos(np.radians(lat))
    frame = pd.DataFrame({"lat": lat, "lon": 10.0 + step})
    rows = ibis.memtable(frame.assign(i=range(len(frame))))
    cells = (
        rows.mutate(cell=rollup._cell_name(rollup._cell(rows, size)))
        .order_by("i")
        .to_pyarrow()["cell"]
        .to_pylist()
    )
    for one, twin, other in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        assert one == twin != other
    assert cells[60:62] == ["R00500C01056"] * 2  # at 0, 10: 90 and 190 degrees of 20 / 111.2


def test_dirt_is_counted_with_its_money_and_nothing_is_lost(tmp_path):
    facts, units, quality = rolled(tmp_path, DIRTY_ACCOUNTS, DIRTY_SALES, quarter="2026Q3")
    assert found(quality) == {
        ("accounts", "bad_line"): (2, "", "line 10: H,52,21,5,one too many | line 11: I,52"),
        ("accounts", "no_coordinates"): (3, "500.00", "C | D | G"),
        ("accounts", "no_id"): (1, "0.00", "(blank)"),
        ("accounts", "not_a_number"): (1, "", "E"),
        ("accounts", "out_of_range"): (1, "0.00", "F"),
        ("sales", "account_set_aside"): (1, "500.00", "C"),
        ("sales", "after_as_of"): (1, "23.00", "2026-07-01"),
        ("sales", "bad_line"): (2, "", "line 13: A;2026-02-01 | line 14: A;2026-02-01;1;2"),
        ("sales", "not_a_date"): (2, "24.00", "2026-02-30 | 3/4/26"),
        ("sales", "not_a_number"): (2, "", "(blank) | 1,234"),
        ("sales", "older"): (1, "19.00", ""),
        ("sales", "orphan"): (1, "17.00", "Z"),
    }
    assert sum(Decimal(unit["revenue"]) for unit in units) == Decimal("1251.75")
    assert sum(Decimal(unit["potential"]) for unit in units) == Decimal("1021.00")
    lines = {"accounts": 10, "sales": 13}
    for name, rows in facts["rows"].items():
        assert rows["read"] == lines[name] == rows["used"] + rows["set_aside"]
        aside = [row for row in quality if (row["table"], row["severity"]) == (name, "set_aside")]
        assert rows["set_aside"] == sum(int(row["n"]) for row in aside)
        assert Decimal(rows["money_set_aside"]) == sum(Decimal(row["money"] or 0) for row in aside)
        unknown = [row for row in aside if row["money"] == ""]
        assert rows["money_unknown"] == sum(int(row["n"]) for row in unknown)
        assert all("its money is unknown" in row["message"] for row in unknown)
    sales = facts["rows"]["sales"]
    assert sales["money_unknown"] == 4
    assert (sales["money_read"], sales["money_used"]) == ("1834.75", "1270.75")


STRANGE_ACCOUNTS = """\
account_id,name,country,internal,lat,lon
A,Alfa,PL,,52.1,21.1
B,Beta,Polska,nie,52.1,21.1
C,Firma testowa,,,52.1,21.1
D,Delta,,tak,52.1,21.1
E,Echo,Niemcy,,52.1,21.1
F,Fala,Mordor,,52.1,21.1
RAZEM,,,,,
,Suma,,,,
"""
STRANGE_SALES = """\
account_id,date,amount
A,2026-05-01,60.01
A,2026-06-01,-10
B,2026-06-02,40
C,2026-06-02,1
D,2026-06-02,2
E,2026-06-02,4
A,2026-06-03,8
A,2026-06-04,8
A,2026-06-05,8
A,2062-06-30,16
Z,2026-06-05,3
RAZEM,,140.01
suma,2026-06-30,140.01
,2026-06-30,140.01
,,140.01
,2026-06-30,2
"""


def test_totals_tests_strangers_and_mistyped_years_are_told_as_by_the_plain_reader(tmp_path):
    facts, units, quality = rolled(tmp_path, STRANGE_ACCOUNTS, STRANGE_SALES)
    assert found(quality) == {
        ("accounts", "foreign_country"): (1, "4.00", "E"),
        ("accounts", "internal_account"): (2, "3.00", "C | D"),
        ("accounts", "total_row"): (2, "0.00", "(blank) | RAZEM"),
        ("sales", "account_set_aside"): (3, "7.00", "C | D | E"),
        ("sales", "far_future"): (1, "16.00", "2062-06-30"),
        ("sales", "orphan"): (2, "5.00", "(blank) | Z"),
        ("sales", "total_row"): (4, "0.00", "suma"),
    }
    assert [(unit["revenue"], unit["n_accounts"]) for unit in units] == [("114.01", "3")]
    sales, asked = facts["rows"]["sales"], written(tmp_path, STRANGE_ACCOUNTS, STRANGE_SALES)
    assert (facts["until"], sales["money_read"], sales["read"]) == ("2026-06-30", "142.01", 16)
    plain = load_market(asked, tmp_path)
    assert plain.accounts["revenue"].sum() == 114.01
    aside = plain.set_aside["sales"].groupby("reason").size().to_dict()
    assert aside == {"total_row": 4, "far_future": 1, "orphan": 2, "account_set_aside": 3}


def test_the_settings_keep_other_countries_and_far_years(tmp_path):
    rules = {"far_future": "note", "internal_account": "note"}
    facts, units, quality = rolled(
        tmp_path, STRANGE_ACCOUNTS, STRANGE_SALES, quality={"countries": "keep", "rules": rules}
    )
    assert facts["until"] == "2062-06-30"
    assert units[0]["n_accounts"] == "6"
    assert not {"far_future", "foreign_country", "internal_account"} & {r["rule"] for r in quality}


def test_too_much_money_without_an_account_stops_the_roll_up(tmp_path):
    sales = SALES + "Z,2026-06-30,90\nY,2026-06-30,1\n"
    with pytest.raises(DataError, match=r"sales: [0-9.]+% .* 2 accounts .* Y, Z; at most 5% may"):
        rolled(tmp_path, ACCOUNTS, sales)
    assert rolled(tmp_path, ACCOUNTS, sales, quality={"max_orphan_revenue": 1})


@pytest.mark.parametrize("word", sorted(TOTALS | {"Łącznie", "OGÓŁEM"}))
def test_a_database_looks_for_every_word_of_a_total(word):
    assert is_total(word) and re.search(LIKE_TOTAL, word)


def test_an_account_on_two_rows_stops(tmp_path):
    with pytest.raises(DataError, match="1 values of account_id stand on 2 rows, such as A"):
        rolled(tmp_path, ACCOUNTS + "A,52,21,N,1\n")


@pytest.mark.parametrize(
    ("accounts", "sentence"),
    [
        ("", "accounts.csv is no table"),
        ("account_id,lat,lat\n1,2,3\n", "names of columns, each once"),
        ("account_id,town\n1,Łódź\n", "accounts: no column lat, lon"),
        ("account_id,lat,lon\n1,,\n", "no row can be used"),
    ],
)
def test_what_is_no_table_of_accounts_is_refused(tmp_path, accounts, sentence):
    with pytest.raises(DataError, match=sentence):
        rolled(tmp_path, accounts)


POLISH = ACCOUNTS.replace(",N,", ",Łódź,").replace(",S,", ",Jasło Śródmieście,")


@pytest.mark.parametrize("chunk", [7, 2**22])
@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "cp1250", "iso-8859-2", "utf-16", "lone returns", "zero bytes"]
)
def test_every_encoding_gives_the_same_bytes_as_utf8(tmp_path, monkeypatch, encoding, chunk):
    monkeypatch.setattr(files, "CHUNK", chunk)  # a letter may stand across two of them
    rolled(tmp_path, POLISH)
    want = [(tmp_path / "out" / f"{n}.csv").read_bytes() for n in ("accounts", "quality")]
    changed = {
        "lone returns": POLISH.replace("\n", "\r").encode(),
        "zero bytes": POLISH.replace("A,52.0", "A\0,52.0").encode(),
    }
    content = changed.get(encoding) or POLISH.encode(encoding)
    (tmp_path / "accounts.csv").write_bytes(content)
    asked = make_settings({"tables": {"accounts": "accounts.csv", "sales": "sales.csv"}})
    rollup_files.roll_up_files(asked, tmp_path, tmp_path / "other")
    assert want == [(tmp_path / "other" / f"{n}.csv").read_bytes() for n in ("accounts", "quality")]
    assert "Łódź".encode() in want[0]


def test_an_encoding_that_is_said_is_taken(tmp_path):
    written(tmp_path)
    (tmp_path / "accounts.csv").write_bytes(POLISH.encode("cp852"))
    spec = {"file": "accounts.csv", "encoding": "cp852"}
    asked = make_settings({"tables": {"accounts": spec}})
    rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")
    assert {u["account_id"] for u in table(tmp_path / "out/accounts.csv")} == {
        "Łódź",
        "Jasło Śródmieście",
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        # ľ in cp1250 and ž in iso-8859-2: no Polish letter tells them apart
        (ACCOUNTS.replace(",N,", ",\xbe,").encode("latin-1"), "say encoding: cp1250"),
        (ACCOUNTS.encode("utf-16")[:-1], "is not in utf-16"),
        (b"PK\x03\x04" + bytes(60), "an Excel or zip file by another name"),
        (bytes(range(1, 32)) * 9, "is no text file: save it as CSV"),
    ],
)
def test_an_encoding_in_doubt_is_refused_with_the_remedy(tmp_path, content, sentence):
    asked = written(tmp_path)
    (tmp_path / "accounts.csv").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")


def test_a_header_may_stand_lower_and_a_separator_be_said(tmp_path):
    tables = {"accounts": {"file": "accounts.csv", "header": 3}, "sales": "sales.csv"}
    title = "Customers of 2026\n\n" + ACCOUNTS + "D,1\n"
    asked = written(tmp_path, title, "sep=;\n" + SALES.replace(",", ";"))
    with pytest.raises(DataError, match="say which line, such as header: 5"):
        rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")
    facts = rollup_files.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "o")
    assert [unit["revenue"] for unit in table(tmp_path / "o/accounts.csv")] == ["100.30", "30.00"]
    assert facts["rows"]["accounts"]["read"] == 4
    assert found(table(tmp_path / "o/quality.csv"))["accounts", "bad_line"][2] == "line 7: D,1"


@pytest.mark.parametrize(
    ("amount", "day", "said", "revenue"),
    [
        (
            "1.234",
            "2026-06-30",
            {},
            "1.234 could mean 1.234 or 1234: say decimal: comma or decimal",
        ),
        ("1.234", "2026-06-30", {"decimal": "comma"}, "1234.00"),
        ("1.234", "2026-06-30", {"decimal": "point"}, "1.23"),
        ("5", "3/4/2026", {}, "3/4/2026 could be 3 April or 4 March: say dates: dmy or dates: mdy"),
        ("5", "3/4/2026", {"dates": "mdy"}, "5.00"),
    ],
)
def test_what_can_be_read_two_ways_is_asked(tmp_path, amount, day, said, revenue):
    written(tmp_path, ACCOUNTS, f"account_id,date,amount\nA,{day},{amount}\nA,{day},{amount}\n")
    tables = {"accounts": "accounts.csv", "sales": {"file": "sales.csv", **said}}
    asked = make_settings({"tables": tables})
    if ": say " in revenue:
        with pytest.raises(DataError, match="^sales: .*2 values such as " + revenue):
            rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")
        return
    rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")
    north = table(tmp_path / "out/accounts.csv")[0]
    assert Decimal(north["revenue"]) == pytest.approx(2 * Decimal(revenue), abs=Decimal("0.02"))


def test_a_query_is_refused_with_the_way_to_roll_it_up(tmp_path):
    tables = {"accounts": {"query": "select 1", "database": "crm.duckdb"}}
    with pytest.raises(SettingsError, match="accounts is a query, and files are rolled up here"):
        rollup_files.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "out")


def test_both_tables_ask_at_once(tmp_path):
    accounts = ACCOUNTS.replace("1000", "1.234").replace("500.50", "5")
    sales = "account_id,date,amount\nA,3/4/2026,1\n"
    with pytest.raises(DataError, match=r"^accounts: potential: .*; sales: date: .*tables\.sales$"):
        rolled(tmp_path, accounts, sales)


CURRENCIES = """account_id,date,amount,currency
A,2026-06-30,100,PLN
A,2026-06-30,10,euro
A,2026-06-30,7 €,
A,2026-06-30,3,USD
A,2026-06-30,1,
"""


def test_money_of_other_currencies_is_in_no_sum(tmp_path):
    facts, (north, _), quality = rolled(tmp_path, ACCOUNTS, CURRENCIES)
    assert north["revenue"] == "101.00"
    assert found(quality)["sales", "foreign_currency"] == (3, "", "EUR 17.00 | USD 3.00")
    sales = facts["rows"]["sales"]
    assert (sales["read"], sales["used"], sales["set_aside"]) == (5, 2, 3)
    assert (sales["money_read"], sales["money_unknown"]) == ("101.00", 3)


def test_money_of_other_currencies_is_turned_by_the_rates(tmp_path):
    quality = {"rates": {"EUR": 4.5}}
    facts, (north, _), findings = rolled(tmp_path, ACCOUNTS, CURRENCIES, quality=quality)
    assert north["revenue"] == "177.50"
    assert found(findings)["sales", "converted"] == (2, "76.50", "")
    assert found(findings)["sales", "foreign_currency"] == (1, "", "USD 3.00")
    assert facts["rows"]["sales"]["used"] == 4


def test_a_table_in_another_currency_stops(tmp_path):
    only = "account_id,date,amount\nA,2026-06-30,5 €\n"
    with pytest.raises(
        DataError, match="sales: all its money is in EUR, none in PLN: say currency"
    ):
        rolled(tmp_path, ACCOUNTS, only)


def test_an_account_in_another_currency_is_set_aside(tmp_path):
    accounts = "account_id,area_id,revenue,currency\n1,N,5,PLN\n2,N,7,EUR\n3,N,1 $,\n"
    facts, (unit,), quality = rolled(tmp_path, accounts, "")
    assert (unit["revenue"], unit["n_accounts"]) == ("5.00", "1")
    assert found(quality)["accounts", "foreign_currency"] == (2, "", "2 | 3")
    assert facts["rows"]["accounts"]["money_read"] == "5.00"


def test_formulas_are_written_as_text(tmp_path):
    accounts = "account_id,area_id,potential\n1,=1+1,5\n2,@A,-3\n@3,+x,much\n4,-5,4\n"
    _, units, quality = rolled(tmp_path, accounts, "")
    assert [unit["account_id"] for unit in units] == ["-5", "'=1+1"]
    assert found(quality)["accounts", "not_a_number"] == (1, "", "'@3")


def amount_texts(decimal, thousands):
    """Amounts as people write them, in one way or the other."""

    def text(cents, minus, word):
        whole = f"{cents // 100:,}".replace(",", thousands)
        bare = f"{whole}{decimal}{cents % 100:02d}" if cents % 100 else whole
        return f"{minus[0]}{bare}{word}{minus[1]}"

    return st.builds(
        text,
        st.integers(0, 10**8) | st.integers(1, 9).map(lambda n: n * 100_000),
        st.sampled_from([("", ""), ("", ""), ("-", ""), ("(", ")"), ("", "-")]),
        st.sampled_from(["", "", " zł", " zl", " PLN"]),
    )


PLAIN = [
    "1e3",
    "1_000",
    "5.",
    ".5",
    "+5",
    "1.234",
    "1.234 ",
    "1.234\t",
    "nan",
    "inf",
    "1.234e2",
    "-0",
]
PLAIN += [
    "2026-02-29",
    "2026-01-1 ",
    "1899-12-31",
    "1999-12-31",
    "2100-12-31",
    "2026-06-30T10:00",
    "2101-01-01",
]
PLAIN += ["9999999999999", "99999999999999", "0.125", "2026-06-30 10", "2026-06-30T1:00:00.5Z"]


@settings(max_examples=8, deadline=None)
@given(drawn=st.lists(st.text("0123456789.,-+eE_ \tTZ:n", max_size=11), min_size=60, max_size=90))
@pytest.mark.parametrize(
    ("table_", "name"), [("sales", "amount"), ("sales", "date"), ("accounts", "lat")]
)
def test_a_plain_text_means_what_it_means_to_the_plain_reader(table_, name, drawn):
    column = COLUMNS[table_][name]
    held = sorted({*PLAIN, *drawn})
    rows = ibis.memtable({"text": held})
    read = rows.mutate(value=texts._plain(rows["text"], column)).to_pyarrow().to_pylist()
    taken = [row for row in read if row["value"] is not None]
    for row in taken:
        alone = read_column(pd.Series([row["text"].strip()]), column, {})
        assert not alone.question, row
        value, want = row["value"], alone.found.iloc[0]
        assert value == want.date() if name == "date" else abs(float(value) - want) < 6e-5, row
    wanted = {"1999-12-31", "2026-06-30T10:00"} if name == "date" else {"5.", "1e3"}
    assert wanted <= {row["text"] for row in taken}


@st.composite
def files_of_sales(draw):
    """Draw lines of one or two ways of writing, with some words that are no amount or no day."""
    ways = st.sampled_from([(d, t) for d in ",." for t in ("", " ", "\u00a0", ".", ",") if d != t])
    amounts = amount_texts(*draw(ways)) | st.sampled_from(["", "brak", "5 €", "1e3", "x", "12%"])
    if draw(st.booleans()):
        amounts |= amount_texts(*draw(ways))
    day = st.dates(pd.Timestamp("2026-01-01").date(), pd.Timestamp("2026-06-30").date())
    way = draw(st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%dT10:00"]))
    dates = day.map(lambda d: d.strftime(way)) | st.sampled_from(["", "31.02.2026", "1.5.26"])
    lines = draw(
        st.lists(st.tuples(st.sampled_from("AB"), dates, amounts), min_size=1, max_size=12)
    )
    said = {
        "decimal": draw(st.sampled_from(["", "", "comma", "point"])),
        "dates": draw(st.sampled_from(["", "", "dmy", "mdy"])),
    }
    return lines, said


def as_plain(asked, folder):
    """Sums by account of the plain reader, or its refusal."""
    ledger = Ledger(asked.quality)
    rows = _trusted(asked, ledger, "sales", read_table(folder, "sales", asked.tables["sales"]))
    try:
        ledger.refuse()
    except DataError as refusal:
        return str(refusal)
    rows = rows[rows["date"].notna() & rows["amount"].notna()]
    return rows.groupby("account_id")["amount"].sum().round(2).to_dict()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=files_of_sales())
def test_the_same_sums_or_the_same_refusal_as_the_plain_reader(tmp_path, drawn):
    lines, said = drawn
    accounts = "account_id,area_id\nA,A\nB,B\n"
    written(tmp_path, accounts, "")
    with (tmp_path / "sales.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("account_id", "date", "amount"), *lines])
    tables = {"accounts": "accounts.csv", "sales": {"file": "sales.csv", **said}}
    asked = make_settings({"tables": tables})
    want = as_plain(asked, tmp_path)
    try:
        facts = rollup_files.roll_up_files(asked, tmp_path, tmp_path / "out")
    except DataError as refusal:
        assert str(refusal) == (
            want or "sales: no line has both a day and an amount that can be read"
        )
        return
    assert isinstance(want, dict), want
    got = {u["account_id"]: float(u["revenue"]) for u in table(tmp_path / "out/accounts.csv")}
    assert got == pytest.approx({"A": 0.0, "B": 0.0} | want, abs=0.005)
    sales = facts["rows"]["sales"]
    assert sales["read"] == len(lines) == sales["used"] + sales["set_aside"]


@pytest.mark.parametrize("name", ["../accounts.csv", "/etc/passwd", "*.csv", "none.csv"])
def test_no_file_outside_the_folder_and_no_pattern_is_read(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    written(folder)
    shutil.copy(folder / "accounts.csv", tmp_path)
    with pytest.raises(SettingsError):
        rollup_files.roll_up_files(
            make_settings({"tables": {"accounts": name}}), folder, tmp_path / "o"
        )
    (folder / "*.csv").write_text(ACCOUNTS, encoding="utf-8")
    with pytest.raises(SettingsError):
        rollup_files.roll_up_files(
            make_settings({"tables": {"accounts": name}}), folder, tmp_path / "o"
        )


def test_the_database_reads_the_named_files_only(tmp_path):
    for name in ("it's mine.csv", "secret.csv"):
        (tmp_path / name).write_text(ACCOUNTS, encoding="utf-8")
    db = rollup_files._duckdb([tmp_path / "it's mine.csv"], tmp_path / "spill")
    quoted = str(tmp_path / "it's mine.csv").replace("'", "''")
    assert len(db.con.execute(f"SELECT * FROM '{quoted}'").fetchall()) == 3
    for statement in (
        f"SELECT * FROM '{tmp_path / 'secret.csv'}'",
        f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'",
        "SET enable_external_access = true",
        f"SET allowed_paths = ['{tmp_path / 'secret.csv'}']",
    ):
        with pytest.raises(Exception, match=r"[Pp]ermission|locked|disabled|cannot be|Cannot"):
            db.con.execute(statement)
    assert not (tmp_path / "new.csv").exists()


def test_foreign_names_and_values_go_through_the_settings(tmp_path):
    other = ACCOUNTS.replace("account_id", "Id klienta").replace("potential", "Potencjał")
    asked = written(tmp_path, other)
    named = {"account_id": "Id klienta", "potential": "Potencjał"}
    tables = asked.model_dump()["tables"]
    tables["accounts"] |= {"columns": named, "values": {"area_id": {"S": "N"}}}
    rollup_files.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "out")
    (unit,) = table(tmp_path / "out/accounts.csv")
    assert (unit["potential"], unit["revenue"]) == ("1500.50", "130.30")
    tables["accounts"]["columns"] = {"potential": "Potencja"}
    with pytest.raises(DataError, match="has no column potential: Potencja"):
        rollup_files.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "out")


def test_without_sales_revenue_is_that_of_the_accounts(tmp_path):
    accounts = "account_id,lat,lon,revenue\n1,52,21,5\n2,52,21,0\n3,52,21,x\n"
    facts, (unit,), quality = rolled(tmp_path, accounts, "")
    assert (unit["revenue"], unit["potential"], unit["n_customers"]) == ("5.00", "", "1")
    assert found(quality) == {("accounts", "not_a_number"): (1, "", "3")}
    assert set(facts["rows"]) == {"accounts"}


def test_the_plan_takes_what_was_rolled_up(tmp_path, capsys):
    rng = np.random.default_rng(1)
    places = zip(rng.uniform(50, 53, 500), rng.uniform(17, 22, 500), strict=True)
    lines = [f"{i},{lat:.5f},{lon:.5f},{i}" for i, (lat, lon) in enumerate(places)]
    written(tmp_path, "\n".join(["account_id,lat,lon,potential", *lines]), "")
    (tmp_path / "settings.yml").write_text("tables: {accounts: accounts.csv}", encoding="utf-8")
    words = ["rollup", str(tmp_path / "settings.yml"), "--out", str(tmp_path / "units")]
    assert main([*words, "--resolution", "50"]) == 0
    said = capsys.readouterr().out
    assert "accounts: 500 rows read = 500 used + 0 set aside, with 0.00" in said
    path = tmp_path / "units/accounts.csv"
    assert str(path) in said
    market = load_market(simplest_settings(path), path.parent)
    assert market.accounts["potential"].sum() == sum(range(500))
    assert 20 < len(market.units) < 100
    assert market.quality["rule"].tolist() == ["no_revenue"]
    assert main([*words, "--resolution", "0"]) == 2


ids = st.sampled_from(["A", "B", "C", "D", " A", "Z"])
days = st.dates(pd.Timestamp("2024-06-01").date(), pd.Timestamp("2026-06-30").date())
cents = st.integers(-(10**9), 10**9)


@settings(max_examples=8, deadline=None)
@given(
    lines=st.lists(st.tuples(ids, days, cents), min_size=1, max_size=30),
    areas=st.lists(st.sampled_from(["N", "S"]), min_size=4, max_size=4),
)
def test_the_same_as_pandas(lines, areas):
    accounts = pd.DataFrame({"account_id": list("ABCD"), "area_id": areas, "potential": 1.25})
    sales = pd.DataFrame(lines, columns=["account_id", "date", "cents"])
    sales["amount"] = sales["cents"] / 100
    got = rollup.roll_up_tables(
        ibis.memtable(accounts),
        ibis.memtable(sales[["account_id", "date", "amount"]]),
        asked=make_settings({"quality": {"max_orphan_revenue": 1}}),
    )
    until = sales["date"].max()
    since = (pd.Timestamp(until) - pd.DateOffset(years=1)).date()
    year = sales[sales["date"] > since].assign(account_id=lambda t: t["account_id"].str.strip())
    revenue = year.groupby("account_id")["cents"].sum()
    accounts["cents"] = accounts["account_id"].map(revenue).fillna(0).astype(int)
    accounts["customer"] = accounts["cents"] > 0
    want = accounts.groupby("area_id").agg(
        cents=("cents", "sum"), n=("cents", "size"), customers=("customer", "sum")
    )
    units = got.units.set_index("account_id")
    assert units.index.tolist() == want.index.tolist()
    assert [int(Decimal(x) * 100) for x in units["revenue"]] == want["cents"].tolist()
    assert units["n_accounts"].tolist() == want["n"].tolist()
    assert units["n_customers"].tolist() == want["customers"].tolist()
    assert got.counts["sales"]["read"] == len(lines)
    assert Decimal(got.counts["sales"]["money_read"]) * 100 == int(sales["cents"].sum())
    once = rollup.roll_up(
        ibis.memtable(accounts),
        ibis.memtable(sales[["account_id", "date", "amount"]]),
        since,
        until,
    )
    money = {row["unit_id"]: row["revenue"] for row in once.to_pyarrow().to_pylist()}
    assert {k: int(v * 100) for k, v in money.items()} == want["cents"].to_dict()


@pytest.fixture(scope="module")
def postgres():
    """Start a real PostgreSQL for these tests alone, or skip and say why."""
    found = shutil.which("pg_config")
    places = [subprocess.check_output([found, "--bindir"], text=True).strip()] if found else []
    places += [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    path = os.pathsep.join([*places, os.environ.get("PATH", "")])
    initdb, pg_ctl = (shutil.which(name, path=path) for name in ("initdb", "pg_ctl"))
    if not (initdb and pg_ctl):
        pytest.skip("no PostgreSQL is installed: no initdb and pg_ctl")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    home = Path(tempfile.mkdtemp(prefix="pg"))
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:  # PostgreSQL refuses to be run by root
        try:
            shutil.chown(home, "postgres", "postgres")
        except LookupError:
            pytest.skip("PostgreSQL cannot be run by root, and there is no user postgres")

    def run(*words):
        done = subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            cwd=home,
            timeout=60,
            user="postgres" if root else None,
            group="postgres" if root else None,
            extra_groups=[] if root else None,
        )
        return done.stderr if done.returncode else ""

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = str(home / "data"), str(home / "log")
    options = f"-k {home} -p {port} -c listen_addresses='' -c fsync=off"
    fault = run(initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C")
    fault = fault or run(pg_ctl, "-D", data, "-w", "-l", log, "-o", options, "start")
    if fault:
        shutil.rmtree(home, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start: {fault[-200:]}")
    try:
        db = ibis.postgres.connect(host=str(home), port=port, user="tester", database="postgres")
        yield db
        db.disconnect()
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(home, ignore_errors=True)


def many(folder, n=3000):
    """Accounts and sales with some dirt, whose money and degrees are exact in decimals."""
    rng = np.random.default_rng(7)
    accounts = pd.DataFrame(
        {
            "account_id": [f"K{i:04d}" for i in range(n)],
            "lat": rng.integers(490_000, 540_000, n) / 10_000,
            "lon": rng.integers(140_000, 240_000, n) / 10_000,
            "potential": rng.integers(0, 10**7, n) / 100,
        }
    )
    accounts.loc[::97, ["lat", "lon"]] = np.nan
    sales = pd.DataFrame(
        {
            "account_id": [f"K{i:04d}" for i in rng.integers(0, n + 50, 10 * n)],
            "date": pd.Timestamp("2024-01-01").date()
            + pd.to_timedelta(rng.integers(0, 900, 10 * n), unit="D").to_pytimedelta(),
            "amount": rng.integers(-(10**5), 10**6, 10 * n) / 100,
        }
    )
    sales.loc[::1001, "amount"] = np.nan
    return accounts, sales


def bytes_of(result):
    return result.units.to_csv(index=False), result.quality.to_csv(index=False), result.counts


def test_csv_parquet_and_postgres_give_the_same_bytes(tmp_path, postgres):
    tables = dict(zip(("accounts", "sales"), many(tmp_path), strict=True))
    for name, rows in tables.items():
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        rows.to_parquet(tmp_path / f"{name}.parquet")
    written_bytes, counts = [], []
    for kind in ("csv", "parquet"):
        asked = make_settings({"tables": {name: f"{name}.{kind}" for name in tables}})
        facts = rollup_files.roll_up_files(asked, tmp_path, tmp_path / kind)
        written_bytes.append(
            [(tmp_path / kind / f"{n}.csv").read_bytes() for n in ("accounts", "quality")]
        )
        counts.append(facts["rows"])
    there = [postgres.create_table(n, rows) for n, rows in tables.items()]
    units, quality, count = bytes_of(rollup.roll_up_tables(*there))
    assert written_bytes[0] == written_bytes[1] == [units.encode(), quality.encode()]
    assert counts == [count, count]
    assert {"orphan", "no_coordinates", "account_set_aside", "not_a_number", "older"} <= set(
        pd.read_csv(tmp_path / "csv/quality.csv")["rule"]
    )


def test_postgres_reads_dirty_text_as_duckdb_does(tmp_path, postgres):
    accounts = pd.read_csv(
        _even(tmp_path / "a.csv", DIRTY_ACCOUNTS, 4), dtype=str, keep_default_na=False
    )
    sales = pd.read_csv(
        _even(tmp_path / "s.csv", DIRTY_SALES, 3, ";"), dtype=str, sep=";", keep_default_na=False
    )
    there = [
        postgres.create_table(name, rows)
        for name, rows in (("dirty_accounts", accounts), ("dirty_sales", sales))
    ]
    here = [ibis.memtable(accounts), ibis.memtable(sales)]
    before = pd.Timestamp("2026-07-01").date()
    one, other = (rollup.roll_up_tables(*rows, before) for rows in (here, there))
    assert bytes_of(one) == bytes_of(other)
    assert len(one.quality) == 10


FOREIGN_SALES = [
    ("A", "31/12/2025", "1.234,50 zł", ""),
    ("A", "2026-01-02T10:00:00Z", "12,5", "PLN"),
    ("A", "3/4/2026", "(2)", ""),
    ("A", "29.02.2024", "1,5 tys.", ""),
    ("A", "1 lutego 2026", "7-", ""),
    ("A\u00a0", "2026-02-29", "3", ""),
    ("B", "2026-02-01", "10", "euro"),
    ("B", "2026-02-01", "4 $", ""),
    ("B", "2026-02-01", "brak", ""),
    ("B", "2026-02-01", "99999999999999", ""),
    ("B", "2026-02-01", "1_000", ""),
]


@pytest.mark.parametrize("rates", [{}, {"EUR": 4.5}])
def test_postgres_reads_other_money_and_days_as_duckdb_does(postgres, rates):
    accounts = pd.DataFrame({"account_id": ["A", "B"], "lat": ["52,1", "N50"], "lon": ["21", "20"]})
    sales = pd.DataFrame(FOREIGN_SALES, columns=["account_id", "date", "amount", "currency"])
    name = f"foreign_{len(rates)}"
    there = [postgres.create_table(f"{name}_{i}", t) for i, t in enumerate((accounts, sales))]
    here = [ibis.memtable(accounts), ibis.memtable(sales)]
    asked = make_settings({"quality": {"rates": rates}})
    one, other = (rollup.roll_up_tables(*rows, asked=asked) for rows in (here, there))
    assert bytes_of(one) == bytes_of(other)
    revenue = dict(zip(one.units["lat"], one.units["revenue"], strict=True))
    assert revenue == {"50.000000": "45.00" if rates else "0.00", "52.100000": "1238.00"}
    assert one.counts["sales"]["read"] == 11
    assert one.counts["sales"]["money_unknown"] == (4 if rates else 5)


def _even(path, text, width, separator=","):
    rows = list(csv.reader(text.splitlines(), delimiter=separator))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(r for r in rows if len(r) == width)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_benchmark_in_small(kind, tmp_path):
    with contextlib.chdir(tmp_path):
        found = measure(kind, 2_000, 40_000, tmp_path)
    assert found["rows"] == 42_000
    assert found["ratio"] > 0
    assert found["peak_mb"] < 4096
