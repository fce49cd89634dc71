"""The sample as other programs write it gives the same market and the same plan."""

import csv
import io
import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from terrlib.inputs.load import load_market
from terrlib.inputs.settings import load_settings
from terrlib.inputs.tables import COLUMNS
from tests.replay import differing, plan_without_notebooks

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
NUMBERS = {"number", "money", "share", "degrees"}


def as_a_polish_spreadsheet_saves_it(path: Path, table: str) -> None:
    """Write a table again in cp1250, with semicolons and decimal commas."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    kinds = [COLUMNS[table][name].kind if name in COLUMNS[table] else "text" for name in rows[0]]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(rows[0])
    for row in rows[1:]:
        pairs = zip(row, kinds, strict=True)
        writer.writerow(
            [cell.replace(".", ",") if kind in NUMBERS else cell for cell, kind in pairs]
        )
    path.write_bytes(out.getvalue().encode("cp1250"))


def as_excel(path: Path, table: str) -> None:
    """Write a table into a workbook as text, under the old name."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.to_excel(path.with_suffix(".xlsx"), index=False)


@pytest.fixture(scope="module")
def plain():
    return load_market(load_settings(SAMPLE / "settings.yml"), SAMPLE)


def assert_same(market, other) -> None:
    for name, table in vars(market).items():
        same = vars(other)[name]
        if isinstance(table, gpd.GeoDataFrame):
            assert table.geometry.geom_equals(same.geometry).all(), name
            table, same = table.drop(columns="geometry"), same.drop(columns="geometry")
        if isinstance(table, pd.DataFrame):
            if name != "quality":  # which shows cells as they were written
                pd.testing.assert_frame_equal(pd.DataFrame(same), pd.DataFrame(table), obj=name)
        elif name != "set_aside":
            assert same == table, name
    counts = {name: len(rows) for name, rows in market.set_aside.items()}
    assert {name: len(rows) for name, rows in other.set_aside.items()} == counts


def test_cp1250_with_semicolons_and_decimal_commas(plain, sample_run, tmp_path):
    folder = shutil.copytree(SAMPLE, tmp_path / "data")
    settings = load_settings(folder / "settings.yml")
    for table, spec in settings.tables.items():
        as_a_polish_spreadsheet_saves_it(folder / spec.file, table)
    other = load_market(settings, folder)
    assert_same(plain, other)
    pd.testing.assert_series_equal(other.quality["rule"], plain.quality["rule"])
    pd.testing.assert_series_equal(other.quality["money"], plain.quality["money"])
    planned = plan_without_notebooks(folder / "settings.yml", tmp_path / "reports")
    assert not differing(sample_run, planned)


def test_excel(plain, tmp_path):
    folder = shutil.copytree(SAMPLE, tmp_path / "data")
    text = (folder / "settings.yml").read_text(encoding="utf-8")
    for table in ("accounts", "reps", "opportunities"):
        as_excel(folder / f"{table}.csv", table)
        text = text.replace(f" {table}.csv", f" {table}.xlsx")  # not named_accounts.csv
    (folder / "settings.yml").write_text(text, encoding="utf-8")
    assert_same(plain, load_market(load_settings(folder / "settings.yml"), folder))
