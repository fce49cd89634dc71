"""From files to a market: every fault counted, nothing lost."""

import geopandas as gpd
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from terrlib.errors import DataError, SettingsError
from terrlib.inputs.load import load_market, simplest_settings
from terrlib.inputs.read import read_table
from terrlib.inputs.settings import TableFile, load_settings, make_settings, resolved
from terrlib.inputs.values import day, flag, number

ROWS = [(f"K{i:02d}", f"Firma {i}", 52 + i / 50, 21 + i / 50, 100 + i) for i in range(12)]
HEAD = "account_id,name,lat,lon,revenue"


def written(folder, rows=ROWS, head=HEAD, name="accounts.csv", encoding="utf-8"):
    text = "\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n"
    (folder / name).write_bytes(text.encode(encoding))
    return folder


def market_of(folder, **asked):
    asked.setdefault("tables", {"accounts": "accounts.csv"})
    return load_market(make_settings(asked), folder)


def rules(market):
    return market.quality["rule"].value_counts().to_dict()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1250", "iso-8859-2"])
def test_polish_letters_in_every_encoding_that_poles_use(tmp_path, encoding):
    rows = [("1", "Żółć i Świt", 52, 21, 1), ("2", "Łąka", 52.1, 21, 2)]
    written(tmp_path, rows, encoding=encoding)
    table = read_table(tmp_path, "accounts", TableFile(file="accounts.csv"))
    assert table["name"].tolist() == ["Żółć i Świt", "Łąka"]


def test_semicolons_and_decimal_commas_give_the_same_market(tmp_path):
    written(tmp_path)
    plain = market_of(tmp_path).accounts
    lines = (tmp_path / "accounts.csv").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.replace(",", ";").replace(".", ",") for line in lines)
    (tmp_path / "accounts.csv").write_text(text, encoding="cp1250")
    pd.testing.assert_frame_equal(market_of(tmp_path).accounts, plain)


@pytest.mark.parametrize("suffix", ["xlsx", "parquet"])
def test_excel_and_parquet_are_read_alike(tmp_path, suffix):
    written(tmp_path)
    table = pd.DataFrame(ROWS, columns=HEAD.split(","))
    path = tmp_path / f"accounts.{suffix}"
    table.to_excel(path, index=False) if suffix == "xlsx" else table.to_parquet(path)
    other = market_of(tmp_path, tables={"accounts": path.name}).accounts
    pd.testing.assert_frame_equal(other, market_of(tmp_path).accounts)


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([" ", "\u00a0", "\u202f", ""]))
def test_numbers_come_back_however_they_are_written(value, space):
    polish = f"{value:,.2f}".replace(",", space).replace(".", ",") + " zł"
    assert number(polish) == pytest.approx(float(value))
    assert number(f"${value:,.2f} ") == pytest.approx(float(value))


def test_an_ambiguous_date_and_a_strange_flag_are_no_guess():
    for text in ("3/4/2026", "1931", "soon"):
        with pytest.raises(ValueError, match=text):
            day(text)
    with pytest.raises(ValueError, match="maybe"):
        flag("maybe")


def test_foreign_names_go_through_the_mapping(tmp_path):
    written(tmp_path, head="Id,Nazwa,Szer,Dlug,Obrot")
    columns = {
        "account_id": "Id",
        "name": "Nazwa",
        "lat": "Szer",
        "lon": "Dlug",
        "revenue": "Obrot",
    }
    tables = {"accounts": {"file": "accounts.csv", "columns": columns}}
    assert len(market_of(tmp_path, tables=tables).accounts) == len(ROWS)
    columns["lat"] = "Szerr"
    with pytest.raises(DataError, match=r"no column lat: Szerr \(did you mean 'Szer'\?\)"):
        market_of(tmp_path, tables=tables)


def test_every_stop_is_listed_at_once(tmp_path):
    written(tmp_path, [*ROWS, ROWS[0]])
    (tmp_path / "reps.csv").write_text("rep_id,name\nR1,Ewa\n", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        market_of(tmp_path, tables={"accounts": "accounts.csv", "reps": "reps.csv"})
    assert "1 values of account_id stand on 2 rows, such as K00" in str(refusal.value)
    assert "reps: no column home_lat, home_lon" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x00\x01\x02", "is no text file"),
        (b"", "is empty"),
        (b"foo\nbar\n", "is no table"),
        (b"a,b\n1,2\n1,2,3,4\n", "1 rows have more or fewer"),
    ],
)
def test_a_file_that_is_no_table_gets_a_sentence(tmp_path, content, sentence):
    (tmp_path / "accounts.csv").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        market_of(tmp_path)


def test_no_file_name_leaves_the_data_folder(tmp_path):
    (tmp_path / "secret.csv").write_text(HEAD, encoding="utf-8")
    inner = tmp_path / "data"
    inner.mkdir()
    for name in ("../secret.csv", str(tmp_path / "secret.csv")):
        with pytest.raises(SettingsError, match="outside the data folder"):
            market_of(inner, tables={"accounts": name})
    written(inner)
    with pytest.raises(SettingsError, match=r"did you mean 'accounts\.csv'"):
        market_of(inner, tables={"accounts": "acounts.csv"})


def test_dirt_is_set_aside_with_its_money(tmp_path):
    dirt = [
        ("Z0", "zero", 0, 0, 10),
        ("Z1", "blank", "", "", 20),
        ("Z2", "swapped", 21.1, 52.1, 30),
        ("Z3", "far", 41.0, -80.6, 40),
        ("Z4", "money", 52.1, 21.1, "lots"),
        ("RAZEM", "", 52.1, 21.1, 1000),
    ]
    market = market_of(written(tmp_path, [*ROWS, *dirt]))
    found = market.quality[market.quality["severity"] == "set_aside"].set_index("key")
    assert found["rule"].to_dict() == {
        "Z0": "no_coordinates",
        "Z1": "no_coordinates",
        "Z2": "swapped_coordinates",
        "Z3": "far_away",
        "Z4": "not_a_number",
        "RAZEM": "total_row",
    }
    assert found["money"].to_dict() == {"Z0": 10, "Z1": 20, "Z2": 30, "Z3": 40, "Z4": 0, "RAZEM": 0}
    assert len(market.accounts) + len(market.set_aside["accounts"]) == len(ROWS) + len(dirt)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["52.1", "", "x", "0", "91"]), st.sampled_from(["21", "", "0", "200"])
        ),
        max_size=8,
    )
)
def test_rows_in_are_rows_used_and_rows_set_aside(tmp_path_factory, places):
    folder = tmp_path_factory.mktemp("rows")
    bad = [(f"X{i}", "n", lat, lon, 5) for i, (lat, lon) in enumerate(places)]
    market = market_of(written(folder, [*ROWS, *bad]))
    aside = len(market.set_aside.get("accounts", ()))
    assert len(market.accounts) + aside == len(ROWS) + len(bad)


def test_ids_that_are_not_there_are_made_and_it_is_said(tmp_path):
    rows = [row[1:] for row in ROWS]
    market = market_of(written(tmp_path, rows, "name,lat,lon,revenue"))
    assert rules(market)["id_made"] == 1
    assert market.accounts.index[0] == "000002"


def test_rows_after_the_last_day_that_counts_change_nothing(tmp_path):
    written(tmp_path)
    sales = "account_id,date,amount\nK01,2026-09-01,50\nK01,2026-08-01,70\n"
    tables = {"accounts": "accounts.csv", "sales": "sales.csv"}
    (tmp_path / "sales.csv").write_text(sales, encoding="utf-8")
    before = market_of(tmp_path, tables=tables, quarter="2026Q4")
    (tmp_path / "sales.csv").write_text(sales + "K02,2026-10-05,9999\n", encoding="utf-8")
    after = market_of(tmp_path, tables=tables, quarter="2026Q4")
    pd.testing.assert_frame_equal(before.accounts, after.accounts)
    assert after.accounts.loc["K01", "revenue"] == 120
    assert rules(after)["after_as_of"] == 1
    assert market_of(tmp_path, tables=tables).quarter == "2026Q4"
    assert market_of(tmp_path).quarter == "undated"


def areas_of(folder, boxes):
    frame = gpd.GeoDataFrame(
        {"area_id": list(boxes), "name": list(boxes)}, geometry=list(boxes.values()), crs=4326
    )
    frame.to_file(folder / "areas.geojson", driver="GeoJSON")
    rows = [(f"K{i}", "n", b.centroid.y, b.centroid.x, 5) for i, b in enumerate(boxes.values())]
    written(folder, rows)
    return {"accounts": "accounts.csv", "areas": "areas.geojson"}


def test_areas_touch_along_a_border_and_not_at_a_corner(tmp_path):
    boxes = {
        "west": box(20, 52, 20.5, 52.5),
        "east": box(20.5, 52, 21, 52.5),
        "north": box(20.5, 52.5, 21, 53),
    }
    market = market_of(tmp_path, tables=areas_of(tmp_path, boxes), units="areas", crs=2180)
    pairs = set(market.neighbors.itertuples(index=False, name=None))
    assert pairs == {("east", "west"), ("east", "north")}
    assert market.accounts["unit_id"].tolist() == ["west", "east", "north"]


def test_a_ferry_joins_an_island(tmp_path):
    boxes = {"land": box(20, 52, 20.5, 52.5), "isle": box(22, 52, 22.5, 52.5)}
    tables = areas_of(tmp_path, boxes)
    alone = market_of(tmp_path, tables=tables, units="areas", crs=2180)
    assert rules(alone)["unit_without_neighbor"] == 2
    (tmp_path / "ferries.csv").write_text("unit_a,unit_b\nland,isle\n", encoding="utf-8")
    joined = market_of(
        tmp_path, tables={**tables, "neighbors": "ferries.csv"}, units="areas", crs=2180
    )
    assert joined.neighbors.to_numpy().tolist() == [["isle", "land"]]


def test_accounts_on_one_point_are_one_unit_and_cells_tile_the_land(tmp_path):
    market = market_of(written(tmp_path, [*ROWS, ("K99", "upstairs", 52, 21, 7)]))
    assert market.accounts.loc["K99", "unit_id"] == "K00"
    assert len(market.units) == len(ROWS)
    flat = market.units.to_crs(32634)
    whole = flat.geometry.union_all().area
    assert flat.geometry.area.sum() == pytest.approx(whole, rel=1e-6)


def test_the_usual_names_are_known_without_a_mapping(tmp_path):
    written(tmp_path, head="ID,Nazwa,Latitude,Longitude,Obroty")
    found = simplest_settings(tmp_path / "accounts.csv")
    assert len(load_market(found, tmp_path).accounts) == len(ROWS)
    assert found.plan == "accounts"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("teritories: {count: 3}", "unknown key 'teritories': did you mean 'territories'"),
        ("territories: {cont: 3}", "unknown key 'cont': did you mean 'count'"),
        ("tables: {acounts: x}", "unknown table 'acounts': did you mean 'accounts'"),
        ("quarter: 2026", "quarter"),
        ("seed: -1\nlocale: de", "locale"),
        ("- a\n- b", "holds no settings"),
        ("plan: [", "cannot be read as settings"),
    ],
)
def test_a_wrong_setting_gets_a_sentence(tmp_path, text, sentence):
    (tmp_path / "settings.yml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=sentence):
        load_settings(tmp_path / "settings.yml")


def test_resolved_settings_load_back_to_the_same(tmp_path):
    asked = make_settings({"plan": "A", "tables": {"accounts": "a.csv"}, "seed": 7})
    (tmp_path / "s.yml").write_text(resolved(asked), encoding="utf-8")
    assert load_settings(tmp_path / "s.yml").model_dump() == asked.model_dump()
