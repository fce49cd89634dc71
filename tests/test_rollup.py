"""Millions of rows rolled up where they lie: by hand, against pandas, and the same in two databases."""

import contextlib
import csv
import json
import os
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
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib.cli import main
from terrlib.errors import DataError, SettingsError
from terrlib.inputs import rollup
from terrlib.inputs.load import load_market, simplest_settings
from terrlib.inputs.settings import make_settings
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
 B ,52.2,21.2,$20.5
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
A;3.02.2026;$10.25
B;2026-06-29T10:00:00;7
B;2026-02-30;11
B;3/4/2026;13
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
    facts = rollup.roll_up_files(written(folder, *given, **asked), folder, folder / "out")
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
        rows.mutate(cell=rollup._cell(rows, size)).order_by("i").to_pyarrow()["cell"].to_pylist()
    )
    for one, twin, other in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        assert one == twin != other
    assert cells[60:62] == ["R00500C01056"] * 2  # at 0, 10: 90 and 190 degrees of 20 / 111.2


def test_dirt_is_counted_with_its_money_and_nothing_is_lost(tmp_path):
    facts, units, quality = rolled(tmp_path, DIRTY_ACCOUNTS, DIRTY_SALES, quarter="2026Q3")
    assert found(quality) == {
        ("accounts", "bad_line"): (2, "0.00", "line 10: H,52,21,5,one too many | line 11: I,52"),
        ("accounts", "no_coordinates"): (3, "500.00", "C | D | G"),
        ("accounts", "no_id"): (1, "0.00", "(blank)"),
        ("accounts", "not_a_number"): (1, "0.00", "E"),
        ("accounts", "out_of_range"): (1, "0.00", "F"),
        ("sales", "account_set_aside"): (1, "500.00", "C"),
        ("sales", "after_as_of"): (1, "23.00", "2026-07-01"),
        ("sales", "bad_line"): (2, "0.00", "line 13: A;2026-02-01 | line 14: A;2026-02-01;1;2"),
        ("sales", "not_a_date"): (2, "24.00", "2026-02-30 | 3/4/2026"),
        ("sales", "not_a_number"): (2, "0.00", "(blank) | 1,234"),
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
        assert Decimal(rows["money_set_aside"]) == sum(Decimal(row["money"]) for row in aside)
    sales = facts["rows"]["sales"]
    assert (sales["money_read"], sales["money_used"]) == ("1834.75", "1270.75")


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


def test_an_old_encoding_is_refused_in_a_sentence(tmp_path):
    asked = written(tmp_path)
    (tmp_path / "accounts.csv").write_bytes(ACCOUNTS.replace("N", "Łódź").encode("cp1250"))
    with pytest.raises(DataError, match="is no text in UTF-8"):
        rollup.roll_up_files(asked, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["../accounts.csv", "/etc/passwd", "*.csv", "none.csv"])
def test_no_file_outside_the_folder_and_no_pattern_is_read(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    written(folder)
    shutil.copy(folder / "accounts.csv", tmp_path)
    with pytest.raises(SettingsError):
        rollup.roll_up_files(make_settings({"tables": {"accounts": name}}), folder, tmp_path / "o")
    (folder / "*.csv").write_text(ACCOUNTS, encoding="utf-8")
    with pytest.raises(SettingsError):
        rollup.roll_up_files(make_settings({"tables": {"accounts": name}}), folder, tmp_path / "o")


def test_the_database_reads_the_named_files_only(tmp_path):
    for name in ("it's mine.csv", "secret.csv"):
        (tmp_path / name).write_text(ACCOUNTS, encoding="utf-8")
    db = rollup._duckdb([tmp_path / "it's mine.csv"], tmp_path / "spill")
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
    rollup.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "out")
    (unit,) = table(tmp_path / "out/accounts.csv")
    assert (unit["potential"], unit["revenue"]) == ("1500.50", "130.30")
    tables["accounts"]["columns"] = {"potential": "Potencja"}
    with pytest.raises(DataError, match="has no column potential: Potencja"):
        rollup.roll_up_files(make_settings({"tables": tables}), tmp_path, tmp_path / "out")


def test_without_sales_revenue_is_that_of_the_accounts(tmp_path):
    accounts = "account_id,lat,lon,revenue\n1,52,21,5\n2,52,21,0\n3,52,21,x\n"
    facts, (unit,), quality = rolled(tmp_path, accounts, "")
    assert (unit["revenue"], unit["potential"], unit["n_customers"]) == ("5.00", "", "1")
    assert found(quality) == {("accounts", "not_a_number"): (1, "0.00", "3")}
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
    assert not len(market.quality)
    assert main([*words, "--resolution", "0"]) == 2


texts = st.sampled_from(["A", "B", "C", "D", " A", "Z"])
days = st.dates(pd.Timestamp("2024-06-01").date(), pd.Timestamp("2026-06-30").date())
cents = st.integers(-(10**9), 10**9)


@settings(max_examples=8, deadline=None)
@given(
    lines=st.lists(st.tuples(texts, days, cents), min_size=1, max_size=30),
    areas=st.lists(st.sampled_from(["N", "S"]), min_size=4, max_size=4),
)
def test_the_same_as_pandas(lines, areas):
    accounts = pd.DataFrame({"account_id": list("ABCD"), "area_id": areas, "potential": 1.25})
    sales = pd.DataFrame(lines, columns=["account_id", "date", "cents"])
    sales["amount"] = sales["cents"] / 100
    got = rollup.roll_up_tables(
        ibis.memtable(accounts), ibis.memtable(sales[["account_id", "date", "amount"]])
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
        facts = rollup.roll_up_files(asked, tmp_path, tmp_path / kind)
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
