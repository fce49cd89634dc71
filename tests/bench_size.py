"""A million accounts and twenty million sales lines: terrlib's roll-up against a plain group-by.

Run by `make bench-size`. The files are made by DuckDB from a fixed seed in a temporary folder. For
each format a fresh process scans and groups both files by plain DuckDB, and another one rolls them
up, on the same two threads; seconds are of the work without the start of the process, twice in turn,
the better one each. Ends with 1 if the roll-up takes over three times as long, or 4 GiB.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]
ACCOUNTS, LINES = 1_000_000, 20_000_000
COLUMNS = ["format", "rows", "seconds_plain", "seconds_ours", "ratio", "peak_mb"]
MOST_RATIO, MOST_MB, RUNS = 3, 4096, 2
SEED = 1


def make(folder: Path, accounts: int, lines: int) -> None:
    """Write both tables as CSV and Parquet: three years of sales, some dirt of each kind."""
    con = duckdb.connect(config={"threads": 2, "memory_limit": "3GB"})

    def draw(row: str, salt: int, below: int) -> str:
        return f"(hash({row} * 1000 + {salt} + {SEED} * 100) % {below})::BIGINT"

    con.execute(f"""
        CREATE VIEW accounts AS SELECT 'A' || lpad(i::VARCHAR, 8, '0') AS account_id,
            'Firma ' || i AS name,
            CASE WHEN i % 1000 <> 7 THEN round(49.2 + {draw("i", 1, 52000)} / 10000.0, 4) END AS lat,
            round(14.3 + {draw("i", 2, 95000)} / 10000.0, 4) AS lon,
            ({draw("i", 3, 10_000_000)} / 100.0)::DECIMAL(12, 2) AS potential
        FROM range({accounts}) AS t(i)""")
    con.execute(f"""
        CREATE VIEW sales AS SELECT
            'A' || lpad({draw("i", 4, accounts + accounts // 1000)}::VARCHAR, 8, '0') AS account_id,
            DATE '2023-07-01' + {draw("i", 5, 1096)}::INTEGER AS date,
            CASE WHEN i % 100000 <> 3
                THEN ({draw("i", 6, 500_000)} / 100.0 - 100)::DECIMAL(12, 2) END AS amount,
            'line ' || (i % 7) AS product_line
        FROM range({lines}) AS t(i)""")
    for name in ("accounts", "sales"):
        for kind, how in (("csv", "HEADER"), ("parquet", "FORMAT parquet")):
            path = folder / f"{name}.{kind}"
            con.execute(f"COPY (SELECT * FROM {name}) TO '{path}' ({how})")
    con.close()


def plain(kind: str, folder: Path) -> None:
    """Scan both files and group them, no more."""
    config = {"threads": 2, "memory_limit": "3GB", "temp_directory": str(folder / "spill")}
    con = duckdb.connect(config=config)
    con.execute(f"""
        CREATE TEMP TABLE by_account AS
        SELECT account_id, count(*) AS n, sum(amount) AS money
        FROM '{folder}/sales.{kind}' GROUP BY ALL""")
    con.execute(f"""
        SELECT floor(lat * 10), floor(lon * 7), count(*), sum(potential), avg(lat), avg(lon)
        FROM '{folder}/accounts.{kind}' GROUP BY 1, 2""").fetchall()


def ours(kind: str, folder: Path) -> None:
    """Roll up, as `terrlib rollup` does."""
    from terrlib.inputs.rollup_files import roll_up_files
    from terrlib.inputs.settings import make_settings

    tables = {name: f"{name}.{kind}" for name in ("accounts", "sales")}
    facts = roll_up_files(make_settings({"tables": tables}), folder, folder / f"out_{kind}")
    for rows in facts["rows"].values():
        assert rows["read"] == rows["used"] + rows["set_aside"]


def child(what: str, kind: str, folder: Path) -> None:
    """Do one of both, and print its seconds and the peak memory of this process."""
    if what == "ours":
        import terrlib.inputs.rollup_files  # noqa: F401  # its import is no work
    began = time.monotonic()
    {"plain": plain, "ours": ours}[what](kind, folder)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


def measure(kind: str, accounts: int, lines: int, folder: Path, runs: int = 1) -> dict:
    """Time both on one format, in processes of their own, in turn."""
    if not (folder / "sales.parquet").exists():
        make(folder, accounts, lines)
    took: dict[str, list[dict]] = {"plain": [], "ours": []}
    for _ in range(runs):
        for what, found in took.items():
            words = [sys.executable, "-m", "tests.bench_size", "--child", what, kind, str(folder)]
            done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    plain_s, ours_s = (min(run["seconds"] for run in found) for found in took.values())
    return {
        "format": kind,
        "rows": accounts + lines,
        "seconds_plain": round(plain_s, 2),
        "seconds_ours": round(ours_s, 2),
        "ratio": round(ours_s / plain_s, 2),
        "peak_mb": round(max(run["peak_mb"] for run in took["ours"])),
    }


def main(arguments: list[str]) -> int:
    """Measure both formats; print and write the table."""
    if arguments[:1] == ["--child"]:
        child(arguments[1], arguments[2], Path(arguments[3]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(kind, ACCOUNTS, LINES, Path(folder), RUNS) for kind in ("csv", "parquet")]
    path = ROOT / "reports/bench/size.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("".join(f"{name:>15}" for name in COLUMNS))
    for row in rows:
        print("".join(f"{value:>15}" for value in row.values()))
    wanted = [row["ratio"] <= MOST_RATIO and row["peak_mb"] < MOST_MB for row in rows]
    print(f"wanted: ratio at most {MOST_RATIO}, less than {MOST_MB} MB: {all(wanted)}")
    return 0 if all(wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
