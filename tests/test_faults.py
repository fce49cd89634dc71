# A fault stands on one line, however long it gets.
# ruff: noqa: E501
"""Thirty faults that real files have, each in a small file, and the sentence or counted line it gets.

`python -m tests.test_faults` prints the table: fault, what answers it, and the answer.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from terrlib.cli import main
from terrlib.errors import TerrlibError
from terrlib.inputs import mapping
from terrlib.inputs.load import load_market, read_lone
from terrlib.inputs.settings import make_settings
from tests.worlds import said

HEAD = ["account_id", "name", "lat", "lon", "revenue", "postal_code", "town"]
Row = dict[str, str]
Files = dict[str, str | bytes]


def firms(count: int = 12, **columns: str) -> list[Row]:
    """Firms near Warsaw, none like another."""
    return [
        {
            "account_id": f"K{i:02d}",
            "name": f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[i]}lfa",
            "lat": f"{52 + i / 50:.2f}",
            "lon": f"{21 + i / 50:.2f}",
            "revenue": f"{100 + i}",
            "postal_code": f"00-{100 + i}",
            "town": "Warszawa",
            **columns,
        }
        for i in range(count)
    ]


def one(**columns: str) -> list[Row]:
    """The firms and one more, which is at fault."""
    odd = firms(1)[0] | {"account_id": "Z", "name": "Zeta", "lat": "52.11", "lon": "21.07"}
    rows = firms()
    extra = {name: "" for name in columns if name not in odd}
    return [row | extra for row in rows] + [odd | columns]


def text_of(rows: list[Row], sep: str = ",") -> str:
    """A table as CSV."""
    quoted = [
        [f'"{cell}"' if sep in cell or '"' in cell else cell for cell in row.values()]
        for row in rows
    ]
    return "\n".join([sep.join(rows[0]), *(sep.join(row) for row in quoted)]) + "\n"


def areas(*boxes: tuple[str, str, list[tuple[float, float]]]) -> str:
    """Polygons with an id and a region, as GeoJSON."""
    shapes = [
        {
            "type": "Feature",
            "properties": {"area_id": name, "name": name, "region": region},
            "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
        }
        for name, region, corners in boxes
    ]
    return json.dumps({"type": "FeatureCollection", "features": shapes})


SQUARE = [(20.5, 51.5), (21.5, 51.5), (21.5, 52.5), (20.5, 52.5)]
BOW = [(20.5, 51.5), (21.5, 52.5), (21.5, 51.5), (20.5, 52.5)]
FAR_AREA = [(17.0, 54.0), (17.2, 54.0), (17.2, 54.2), (17.0, 54.2)]


def answers(files: Files, **asked: object) -> dict[str, str]:
    """What the data gate says of some files: rule -> message; a refusal under "refused"."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            (folder / file).write_bytes(content)
        tables = {Path(file).stem: file for file in files}
        try:
            market = load_market(make_settings({"tables": tables, **asked}), folder)
        except TerrlibError as refusal:
            return {"refused": str(refusal)}
        lines = said(market).drop_duplicates("rule").set_index("rule")["message"]
        n = market.quality["rule"].value_counts()
        told = {rule: f"{n[rule]} x {message}" for rule, message in lines.items()}
        names = "|".join(market.accounts["name"])
        money = f"{market.accounts['revenue'].sum():.2f}"
        extra = {"industries": "|".join(sorted(set(market.accounts["industry"])))}
        return told | {"names": names, "revenue": money, "units": str(len(market.units))} | extra


def accounts(rows: list[Row], **asked: object) -> Callable[[], dict[str, str]]:
    """Say what the gate answers to a file of accounts."""
    return lambda: answers({"accounts.csv": text_of(rows)}, **asked)


def with_areas(rows: list[Row], shapes: str) -> Callable[[], dict[str, str]]:
    """Say what the gate answers to accounts and areas."""
    files: Files = {"accounts.csv": text_of(rows), "areas.geojson": shapes}
    return lambda: answers(files, units="accounts")


def with_sales(*lines: str, **asked: object) -> Callable[[], dict[str, str]]:
    """Say what the gate answers to accounts and sales."""
    sales = "\n".join(["account_id,date,amount", *lines]) + "\n"
    files: Files = {"accounts.csv": text_of(firms()), "sales.csv": sales}
    return lambda: answers(files, **asked)


def lying_column() -> dict[str, str]:
    """A column named like a number of employees, which holds money."""
    rows = [row | {"Household Income": f"{107186 + i}"} for i, row in enumerate(firms())]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "accounts.csv"
        path.write_text(text_of(rows), encoding="utf-8")
        lone = read_lone(path)
    taken = mapping.certain(mapping.propose(lone, "accounts"))
    return {"not taken": "Household Income" if "Household Income" not in taken.values() else ""}


def too_large_unit() -> dict[str, str]:
    """One firm above what a territory may hold."""
    with tempfile.TemporaryDirectory() as name, io.StringIO() as told:
        path = Path(name) / "accounts.csv"
        path.write_text(text_of(one(revenue="9000")), encoding="utf-8")
        asked = ["check", str(path), "--territories", "4", "--balance", "revenue:0.15"]
        with redirect_stdout(told), redirect_stderr(told):
            main(asked)
        return {"impossible": told.getvalue().strip().splitlines()[-1]}


PILE = [row | {"lat": "52.23", "lon": "21.01"} for row in firms(26)[12:]]
REGION = [row | {"region": "pomorskie"} for row in firms()]
FAULTS: list[tuple[int, str, Callable[[], dict[str, str]], str, str]] = [
    (1, "0,0 as coordinates", accounts(one(lat="0", lon="0")), "no_coordinates", "1 x"),
    (2, "a town of another continent", accounts(one(lat="41.02", lon="-80.6")), "far_away", "1 x"),
    (3, "piled on the middle of a town", accounts(firms() + PILE), "many_on_one_point", "14 x"),
    (4, "in no area", with_areas(one(lat="53.9", lon="18.0"), areas(("a", "x", SQUARE), ("b", "x", FAR_AREA))), "outside_areas", "1 x"),
    (5, "no coordinates", accounts(one(lat="", lon="")), "no_coordinates", "give lat and lon"),
    (6, "latitude and longitude swapped", accounts(one(lat="21.07", lon="52.11")), "swapped_coordinates", "1 x"),
    (7, "money as text", accounts(one(revenue="$1,963.10 "), currency="USD"), "revenue", "3229.10"),
    (8, "a comma of thousands in some cells", accounts(one(revenue="1,234")), "refused", "1,234"),
    (9, "days turned by a spreadsheet", with_sales("K01,1931/5/18,5", "K02,2005/5/18,6"), "refused", "date"),
    (10, "negative sales", with_sales("K01,2026-05-01,-5", "K01,2026-05-02,50"), "negative_amount", "1 x"),
    (11, "stated region is not where the point lies", with_areas(REGION, areas(("a", "mazowieckie", SQUARE), ("b", "pomorskie", FAR_AREA))), "other_region_than_stated", "12 x"),
    (12, "zeros lost from postal codes", accounts(one(postal_code="1234.0")), "code_repaired", "1 x"),
    (13, "a total among the rows", accounts(one(account_id="", name="P O L S K A")), "total_row", "1 x"),
    (14, "byte order mark and semicolons", lambda: answers({"accounts.csv": text_of(firms(), ";").encode("utf-8-sig")}), "units", "12"),
    (15, "areas of one name", with_areas(firms(), areas(("bielski", "x", SQUARE), ("bielski", "x", FAR_AREA))), "refused", "bielski"),
    (16, "one name written two ways", accounts(one(name="ALFA sp. z o.o.", postal_code="00-100", lat="52.00", lon="21.00")), "same_name_and_place", "1 x"),
    (17, "N/A as an industry", accounts([row | {"industry": "N/A"} for row in firms()]), "industries", "N/A"),
    (18, "a customer twice", accounts(one(name="Alfa", postal_code="00-100", lat="52.00", lon="21.00")), "same_name_and_place", "not merged"),
    (19, "inactive accounts", accounts(one(status="inactive")), "inactive", "1 x"),
    (20, "sales of nobody", with_sales("K01,2026-05-01,500", "K99,2026-05-02,5"), "orphan", "1 x"),
    (21, "a firm far from all others", accounts(one(lat="47.6", lon="-122.3", postal_code="27601")), "far_away", "1 x"),
    (22, "many firms at one address", accounts(one(lat="52.00", lon="21.00", postal_code="00-100")), "units", "12"),
    (23, "a column whose name lies", lying_column, "not taken", "Household Income"),
    (24, "a unit above the fair share", too_large_unit, "impossible", "alone holds"),
    (25, "a polygon that crosses itself", with_areas(firms(), areas(("a", "x", BOW), ("b", "x", FAR_AREA))), "area_repaired", "1 x"),
    (27, "blanks that cannot be seen", accounts(one(name="\u00a0WakeFern ")), "names", "|WakeFern"),
    (28, "no town in the town", accounts(one(town="vendas@creditparts.com.br", lat="", lon="")), "no_coordinates", "1 x"),
    (29, "no table of data", lambda: answers({"accounts.csv": "NAME_1,C,80\nx\n"}), "refused", "dBase"),
    (30, "two countries in one file", accounts(one(country="Austria")), "foreign_country", "1 x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "fault", "ask", "key", "part"), FAULTS, ids=[f"{n} {what}" for n, what, *_ in FAULTS]
)
def test_a_fault_gets_its_line(number, fault, ask, key, part):
    found = ask()
    assert key in found, found
    assert part in found[key], found[key]


def test_an_enclosed_unit_is_kept_with_its_neighbour():
    """Fault 26: a town within its ring has one neighbour; a map that parts them is in pieces."""
    ring = [(20.0, 51.0), (22.0, 51.0), (22.0, 53.0), (20.0, 53.0)]
    hole = {"type": "Polygon", "coordinates": [[*ring, ring[0]], [*SQUARE[::-1], SQUARE[-1]]]}
    town = json.loads(areas(("town", "x", SQUARE)))["features"][0]
    around = {"type": "Feature", "properties": {"area_id": "ring"}, "geometry": hole}
    shapes = json.dumps({"type": "FeatureCollection", "features": [town, around]})
    found = answers({"accounts.csv": text_of(firms()), "areas.geojson": shapes}, units="areas")
    assert found["units"] == "2"
    assert "unit_without_neighbor" not in found


if __name__ == "__main__":
    for number, fault, ask, key, _ in FAULTS:
        print(f"| {number} | {fault} | {key} | {ask().get(key, 'MISSING')[:200]} |")
