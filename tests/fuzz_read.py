"""Damage files at random for some minutes: `python tests/fuzz_read.py --minutes 10 [--seed 1]`.

With `--rollup` the text files go through the roll-up instead. Every damaged file must give a table
or a sentence of terrlib's own. The first that does anything else is kept beside its seed, and the
script fails.
"""

import argparse
import io
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import geopandas as gpd
import pandas as pd
from shapely.geometry import box

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.quality import Ledger, typed
from terrlib.inputs.read import read_shapes, read_table
from terrlib.inputs.rollup_files import roll_up_files
from terrlib.inputs.settings import TableFile, make_settings

DIRT = [
    *(b'"', b"\n", b"\r", b";", b",", b"\t", b"\x00", b"\xff", b"\xc5", b"\xef\xbb\xbf", b"\x1a"),
    *(b"1,234", b"3/4/2026", b"1e999", b"=1+1", b"NaN", b"-", b"(", b"{", b"[", b"<", b"&"),
    *(b"\xff\xfe", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"9" * 400, b"\n" * 50),
]


def seeds():
    """Return small sound files of every kind, by name."""
    frame = pd.DataFrame(
        {
            "account_id": ["007", "008", "009"],
            "date": ["31.12.2026", "2026-12-31", "1.2.2026"],
            "amount": ["1 234,50 zł", "-5", "12,5"],
            "product_line": ["Żółć", 'a "b"', "N/A"],
            "area_id": ["0201", "0202", "1465"],
        }
    )
    shapes = gpd.GeoDataFrame(frame, geometry=[box(i, 50, i + 1, 51) for i in range(3)], crs=4326)
    found = {
        "a.csv": frame.to_csv(index=False).encode(),
        "b.csv": frame.to_csv(index=False, sep=";").encode("cp1250"),
        "c.csv": frame.to_csv(index=False, sep="\t").encode("utf-16"),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frame.assign(amount=[1.5, -5, None]).to_excel(root / "d.xlsx", index=False)
        frame.assign(amount=[1.5, -5, None]).to_parquet(root / "e.parquet")
        shapes.to_file(root / "f.geojson", driver="GeoJSON")
        shapes.to_file(root / "g.gpkg")
        shapes.rename(columns={"product_line": "line", "account_id": "account"}).to_file(
            root / "h.shp.zip"
        )
        for path in sorted(root.glob("[d-h].*")):
            found[path.name] = path.read_bytes()
    return found


def mutated(content, seed):
    """Damage some bytes; in a zip half of the time inside one of its parts."""
    rng = random.Random(seed)
    if content[:2] == b"PK" and rng.random() < 0.7:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        chosen = rng.choice(sorted(parts))
        parts[chosen] = _damaged(parts[chosen], rng)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        return out.getvalue()
    return _damaged(content, rng)


def _damaged(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(damaged) + 1)
        kind = rng.randrange(6)
        if kind == 0 and damaged:
            damaged[min(at, len(damaged) - 1)] = rng.randrange(256)
        elif kind == 1:
            damaged[at:at] = rng.choice(DIRT)
        elif kind == 2:
            del damaged[at : at + rng.randrange(1, 40)]
        elif kind == 3:
            damaged[at:at] = damaged[at : at + rng.randrange(1, 200)]
        elif kind == 4:
            damaged[at : at + 1] = rng.randbytes(rng.randrange(1, 9))
        elif rng.random() < 0.2:
            del damaged[at:]
    return bytes(damaged)


def survives(folder, name, content):
    """Read and type a file; return what became of it. Anything but a table or a refusal raises."""
    (folder / name).write_bytes(content)
    spec = TableFile(file=name)
    outcome = "table"
    try:
        rows = read_table(folder, "sales", spec)
        assert not rows.isna().any().any()
        assert all(isinstance(cell, str) for cell in rows.to_numpy().ravel())
        if {"account_id", "date", "amount"} <= set(rows):
            ledger = Ledger()
            used = typed(ledger, "sales", rows)
            aside = sum(len(part) for part in ledger.aside.get("sales", []))
            assert len(used) + aside == len(rows)
    except (DataError, SettingsError) as refusal:
        assert 20 < len(str(refusal)) < 2000
        outcome = "refused"
    if Path(name).suffix in {".geojson", ".gpkg", ".zip"}:
        try:
            read_shapes(folder, spec)
        except (DataError, SettingsError):
            outcome += ", no shapes"
    return outcome


def rolls_up(folder, name, content):
    """Roll up a file of sales; return what became of it. No row may be lost on the way."""
    (folder / name).write_bytes(content)
    (folder / "accounts.csv").write_text("account_id,area_id\n007,N\n008,N\n009,S\n")
    asked = make_settings({"tables": {"accounts": "accounts.csv", "sales": name}})
    try:
        facts = roll_up_files(asked, folder, folder / "out")
    except (DataError, SettingsError) as refusal:
        assert 20 < len(str(refusal)) < 2000
        return "refused"
    sales = facts["rows"]["sales"]
    assert sales["read"] == sales["used"] + sales["set_aside"]
    return "rolled up"


def main():
    """Fuzz for the minutes asked; print what became of the files of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rollup", action="store_true")
    asked = parser.parse_args()
    judge = rolls_up if asked.rollup else survives
    sound, tally, slowest = seeds(), Counter(), (0.0, "", 0)
    names = sorted(name for name in sound if not asked.rollup or name.endswith(".csv"))
    seed = asked.seed
    end = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            name = names[seed % len(names)]
            content = mutated(sound[name], seed)
            before = time.monotonic()
            try:
                tally[name, judge(Path(folder), name, content)] += 1
            except BaseException:
                Path(f"fuzz-{seed}-{name}").write_bytes(content)
                print(f"seed {seed}: {name} is kept as fuzz-{seed}-{name}")
                raise
            slowest = max(slowest, (time.monotonic() - before, name, seed))
            seed += 1
    for (name, outcome), count in sorted(tally.items()):
        print(f"{name:14} {outcome:20} {count:7}")
    print(
        f"seeds {asked.seed} to {seed - 1}, none failed; slowest {slowest[0]:.1f} s, seed {slowest[2]}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
