"""Accounts on the map: from metres, texts, postal codes and towns, each marked with how precisely."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import MultiPolygon, Polygon, box

from terrlib.errors import DataError, SettingsError
from terrlib.inputs import places
from terrlib.inputs.load import load_market
from terrlib.inputs.quality import Ledger
from terrlib.inputs.settings import load_settings, make_settings
from terrlib.inputs.values import degrees, fold
from tests.worlds import said

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
IOWA = ROOT.parent / "shared" / "real" / "iowa"
ROWS = pd.DataFrame(
    {
        "account_id": [f"K{i:02d}" for i in range(12)],
        "lat": [52 + i / 50 for i in range(12)],
        "lon": [21 + i / 50 for i in range(12)],
        "revenue": 100.0,
        "town": "",
        "region": "",
        "postal_code": [f"05-{i // 2:03d}" for i in range(12)],
    }
)


def market_of(folder, rows, tables=None, areas=None, **asked):
    rows.to_csv(folder / "accounts.csv", index=False)
    named = {"accounts": "accounts.csv"}
    for name, table in (tables or {}).items():
        pd.DataFrame(table).to_csv(folder / f"{name}.csv", index=False)
        named[name] = f"{name}.csv"
    if areas is not None:
        ids = list(dict.fromkeys(areas["area_id"]))
        frame = gpd.GeoDataFrame(areas, crs=4326)
        frame[["area_id", "geometry"]].to_file(folder / "areas.geojson")
        table = pd.DataFrame({"area_id": ids, "name": ids})
        if "region" in areas:
            table["region"] = pd.Series(areas["region"]).head(len(ids))
        table.to_csv(folder / "areas.csv", index=False)
        named["areas"] = {"file": "areas.csv", "geometry": "areas.geojson"}
    return load_market(make_settings({"tables": named, **asked}), folder)


def added(**values):
    row = {"account_id": "Z", "lat": "", "lon": "", "revenue": 7.0}
    return pd.concat([ROWS, pd.DataFrame([{**row, **values}])]).fillna("")


def found(market, key="Z"):
    return set(market.quality.loc[market.quality["key"] == key, "rule"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("52.2297", 52.2297),
        ("52,2297 N", 52.2297),
        ("52,229", 52.229),
        ("52°13'47\"N", 52.229722),
        ("52° 13′ 47,5″ N", 52.229861),
        ("S 33°30'", -33.5),
        ("21.5W", -21.5),
        ("-0°30'", -0.5),
        ("486 123,45", 486123.45),
    ],
)
def test_coordinates_are_read_as_people_write_them(text, value):
    assert degrees(text) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("text", ["abc", "52°75'N", "N52S", "52 N 21 E", "52.2, 21.0"])
def test_what_is_no_coordinate_is_no_guess(text):
    with pytest.raises(ValueError, match=r"."):
        degrees(text)


@given(st.floats(0, 89.99), st.sampled_from("NS"))
def test_degrees_minutes_seconds_come_back(value, side):
    whole, rest = divmod(value * 3600, 3600)
    minutes, seconds = divmod(rest, 60)
    seconds = min(round(seconds, 3), 59.999)
    back = degrees(f"{whole:.0f}°{minutes:.0f}'{seconds:.3f}\"{side}")
    assert back == pytest.approx(value if side == "N" else -value, abs=2e-6)


@pytest.mark.parametrize("code", [2180, 2178, 3857])
@pytest.mark.parametrize("order", [False, True])
def test_columns_of_metres_come_back_as_degrees(tmp_path, code, order):
    x, y = Transformer.from_crs(4326, code, always_xy=True).transform(ROWS["lon"], ROWS["lat"])
    if order and code == 2180:
        return  # near the diagonal both orders are in Poland: the northing is lat, as named
    rows = ROWS.assign(lat=x if order else y, lon=y if order else x)
    market = market_of(tmp_path, rows)
    np.testing.assert_allclose(market.accounts["lat"], ROWS["lat"], atol=1e-6)
    np.testing.assert_allclose(market.accounts["lon"], ROWS["lon"], atol=1e-6)
    (message,) = said(market).query("rule == 'read_as_projected'")["message"]
    assert f"read as EPSG:{code}, " in message and "(12 accounts)" in message


def test_two_zones_that_fit_are_a_question_until_the_settings_answer(tmp_path):
    x, y = Transformer.from_crs(4326, 32634, always_xy=True).transform(ROWS["lon"], ROWS["lat"])
    rows = ROWS.assign(lat=y, lon=x)
    with pytest.raises(DataError, match="EPSG:32633 or EPSG:32634"):
        market_of(tmp_path, rows)
    market = market_of(tmp_path, rows, crs=32634)
    np.testing.assert_allclose(market.accounts["lat"], ROWS["lat"], atol=1e-6)


def test_a_single_row_in_metres_is_set_aside_with_the_system_named(tmp_path):
    market = market_of(tmp_path, added(lat=486000, lon=637000))
    assert found(market) == {"projected_coordinates"}
    assert "EPSG:2180" in said(market).set_index("key").loc["Z", "message"]


def test_swapped_ones_are_turned_only_when_asked(tmp_path):
    rows = added(lat=21.1, lon=52.1)
    assert found(market_of(tmp_path, rows)) == {"swapped_coordinates"}
    market = market_of(tmp_path, rows, geography={"swapped": "turn"})
    assert "coordinates_turned" in found(market)
    assert market.accounts.loc["Z", ["lat", "lon"]].tolist() == [52.1, 21.1]
    every = ROWS.assign(lat=ROWS["lon"], lon=ROWS["lat"])
    with pytest.raises(DataError, match="swapped on 12 of 12 rows"):
        market_of(tmp_path, every)
    market = market_of(tmp_path, every, geography={"swapped": "turn"})
    assert market.accounts["lat"].tolist() == ROWS["lat"].tolist()


def test_a_point_abroad_is_found_even_among_few(tmp_path):
    rows = added(lat=45.0, lon=9.0).tail(5)
    assert found(market_of(tmp_path, rows)) == {"far_away"}
    # Elsewhere than in the country of the settings nobody is thrown out.
    assert len(market_of(tmp_path, ROWS.assign(lat=ROWS["lat"] - 10), country="PL").accounts) == 12


def test_a_postal_code_places_only_when_asked_and_only_where_it_is_small(tmp_path):
    rows = added(postal_code="05-002")
    assert found(market_of(tmp_path, rows)) == {"no_coordinates"}
    asked = {"geography": {"by_postal_code": True}}
    market = market_of(tmp_path, rows, **asked)
    assert found(market) == {"placed_by_postal_code"}
    z = market.accounts.loc["Z"]
    assert (z["geo_quality"], z["lat"]) == ("postal", pytest.approx(52.09))
    assert market.accounts["geo_quality"].value_counts().to_dict() == {"exact": 12, "postal": 1}
    far = [*(52 + i / 10 for i in range(12)), ""]
    wide = rows.assign(postal_code="05-000", lat=far)
    assert found(market_of(tmp_path, wide, **asked)) == {"no_coordinates"}


def test_postal_centroids_and_a_stated_precision(tmp_path):
    middle = [{"postal_code": "99-999", "lat": 52.3, "lon": 21.3}]
    rows = added(postal_code="99-999").assign(geo_quality="")
    rows.iloc[0, rows.columns.get_loc("geo_quality")] = "town"
    rows.iloc[1, rows.columns.get_loc("geo_quality")] = "superb"
    market = market_of(tmp_path, rows, {"postal_centroids": middle})
    assert market.accounts.loc["Z", ["lat", "geo_quality"]].tolist() == [52.3, "postal"]
    assert market.accounts.loc["K00", "geo_quality"] == "town"
    assert found(market, "K01") == {"unknown_geo_quality"}


def test_every_name_that_two_polish_towns_share_is_a_question_without_its_region(tmp_path):
    towns = pd.read_csv(SAMPLE / "gazetteer.csv")
    alike = towns.groupby(towns["town"].map(fold))["region"].agg(["nunique", "size"])
    alike = alike[(alike["nunique"] >= 2) & (alike["nunique"] == alike["size"])]
    pairs = towns[towns["town"].map(fold).isin(alike.index[:30])].reset_index(drop=True)
    assert len(pairs) >= 40
    asked = pd.DataFrame({"account_id": [f"Q{i}" for i in pairs.index], "town": pairs["town"]})
    rows = pd.concat([ROWS, asked]).fillna("")
    market = market_of(tmp_path, rows, {"gazetteer": towns})
    ours = said(market)
    ours = ours[ours["key"].isin(asked["account_id"])]
    assert set(ours["rule"]) == {"which_town"} and len(ours) == len(pairs)
    assert all(f"{r} (" in m for r, m in zip(pairs["region"], ours.set_index("key").loc[
        asked["account_id"], "message"], strict=True))  # fmt: skip
    rows = pd.concat([ROWS, asked.assign(region=pairs["region"])]).fillna("")
    market = market_of(tmp_path, rows, {"gazetteer": towns})
    placed = market.accounts.loc[asked["account_id"]]
    assert placed["lat"].tolist() == pairs["lat"].tolist()
    assert set(placed["geo_quality"]) == {"town"}


def test_a_guess_outside_the_stated_area_gives_way_to_its_middle(tmp_path):
    areas = {"area_id": ["1", "2"], "geometry": [box(20, 51, 21.05, 53), box(21.05, 51, 22, 53)]}
    asked = {"areas": areas, "geography": {"by_postal_code": True}}
    market = market_of(tmp_path, added(postal_code="05-002", area_id="1"), **asked)
    assert found(market) == {"placed_by_postal_code", "placed_in_area"}
    assert market.accounts.loc["Z", ["area_id", "geo_quality"]].tolist() == ["1", "area"]
    assert market.accounts.loc["Z", "lon"] < 21.05


def test_another_region_than_stated_is_noted_where_the_names_agree(tmp_path):
    areas = {
        "area_id": ["1", "2"],
        "geometry": [box(20, 51, 21.05, 53), box(21.05, 51, 22, 53)],
        "region": ["łódzkie", "mazowieckie"],
    }
    market = market_of(tmp_path, added(lat=52.1, lon=21.01, region="Mazowieckie"), areas=areas)
    assert found(market) == {"other_region_than_stated"}
    assert found(market_of(tmp_path, added(lat=52.1, lon=21.01, region="MZ"), areas=areas)) == set()


def test_a_pile_of_several_postal_codes_is_a_town(tmp_path):
    pile = ROWS.assign(lat=52.5, lon=21.5)
    pile = pile.assign(account_id="P" + pile["account_id"])
    market = market_of(tmp_path, pd.concat([ROWS, pile]))
    assert (market.quality["rule"] == "many_on_one_point").sum() == 12
    assert market.accounts["geo_quality"].value_counts().to_dict() == {"exact": 12, "town": 12}
    same = pd.concat([ROWS, pile.assign(postal_code="05-500")])
    assert set(market_of(tmp_path, same).accounts["geo_quality"]) == {"exact"}


def test_the_nearest_area_is_the_nearest_and_no_farther_than_stated(tmp_path):
    rng = np.random.default_rng(3)
    corners = [(20.0, 52.0), (20.6, 52.0), (20.0, 52.4), (20.6, 52.4)]
    shapes = [box(x, y, x + 0.4, y + 0.3) for x, y in corners]
    areas = {"area_id": list("abcd"), "geometry": shapes}
    rows = pd.DataFrame(
        {
            "account_id": [f"N{i:03d}" for i in range(200)],
            "lat": rng.uniform(51.8, 52.9, 200).round(5),
            "lon": rng.uniform(19.8, 21.2, 200).round(5),
        }
    )
    asked = {"areas": areas, "crs": 2180, "geography": {"nearest_km": 8}}
    market = market_of(tmp_path, rows, **asked)
    to = Transformer.from_crs(4326, 2180, always_xy=True).transform
    flat = [shapely.transform(s, lambda c: np.column_stack(to(*c.T))) for s in shapes]
    points = shapely.points(*to(rows["lon"].to_numpy(), rows["lat"].to_numpy()))
    away = np.array([[shape.distance(point) for shape in flat] for point in points])
    near = pd.Series(np.array(list("abcd"))[away.argmin(1)], index=rows["account_id"])
    within = away.min(1) <= 8000
    assert 20 < (within & (away.min(1) > 0)).sum() < 150 and not within.all()
    assert market.accounts["area_id"].to_dict() == near[within].to_dict()
    assert set(market.set_aside["accounts"]["account_id"]) == set(near.index[~within])


def test_areas_are_repaired_measured_and_refused_as_names(tmp_path):
    bow = Polygon([(20, 51), (20.5, 51.5), (20.5, 51), (20, 51.5)])
    ring = box(21, 52, 22, 53).difference(box(21.4, 52.4, 21.6, 52.6))
    over = box(21.9, 52, 22.5, 53)
    areas = {"area_id": ["1", "2", "3"], "geometry": [bow, ring, over]}
    market = market_of(tmp_path, ROWS.iloc[:6], areas=areas, crs=2180)
    told = said(market).query("table == 'areas'").set_index("rule")["message"]
    assert {"area_repaired", "area_overlap", "area_gap"} <= set(told.index)
    km2 = {r: float(told[r].split(" km2")[-2].split()[-1].replace(",", "")) for r in told.index}
    degree = 111.2**2
    assert km2["area_repaired"] == pytest.approx(degree / 8 * np.cos(np.radians(51.25)), rel=0.02)
    assert km2["area_overlap"] == pytest.approx(degree / 10 * np.cos(np.radians(52.5)), rel=0.02)
    assert km2["area_gap"] == pytest.approx(degree / 25 * np.cos(np.radians(52.5)), rel=0.02)
    assert "% of the outline" in told["area_gap"] and "overlaps 3 by" in told["area_overlap"]
    two = [box(20, 51, 21, 52), box(21, 52, 22, 53)]
    far = MultiPolygon([box(15, 51, 15.5, 51.5)])
    twice = {"area_id": ["1", "2", "2"], "geometry": [*two, far]}
    market = market_of(tmp_path, ROWS.iloc[:6], areas=twice)
    assert (
        "of the same area_id (2)" in said(market).set_index("rule").loc["area_in_parts", "message"]
    )
    named = {"area_id": ["kielecki", "bielski", "bielski"], "geometry": [*two, far]}
    with pytest.raises(DataError, match=r"1 names stand for shapes .* such as bielski"):
        market_of(tmp_path, ROWS.iloc[:6], areas=named)


def test_many_accounts_become_a_grid_unless_units_were_asked(tmp_path):
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "account_id": [f"G{i:04d}" for i in range(600)],
            "lat": rng.normal(52, 0.3, 600).round(5),
            "lon": rng.normal(21, 0.3, 600).round(5),
        }
    )
    few = {"grid_above": 500, "grid_resolution": 5}
    market = market_of(tmp_path, rows, geography=few)
    assert "(600 accounts, at most 500)" in " ".join(said(market)["message"])
    assert 10 < len(market.units) < 200 and market.units["n_accounts"].sum() == 600
    reached, pairs = {market.units.index[0]}, market.neighbors.to_numpy()
    for _ in pairs:
        reached |= {u for pair in pairs if reached & set(pair) for u in pair}
        if len(reached) == len(market.units):
            break
    assert len(reached) == len(market.units)
    pd.testing.assert_frame_equal(
        market_of(tmp_path, rows, geography=few, units="grid").units, market.units
    )
    assert len(market_of(tmp_path, rows, geography=few, units="accounts").units) == 600


TEXTS = ["52.1", "21.1", "", "0", "x", "52°6'N", "486000", "637000", "91", "-5", "1e9"]


@examples(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(TEXTS),
            st.sampled_from(TEXTS),
            st.sampled_from(["05-001", "00-000", ""]),
            st.sampled_from(["Brzeziny", "Nowhere", "", "!"]),
        ),
        max_size=8,
    ),
    st.sampled_from(["aside", "turn"]),
)
def test_rows_in_are_rows_used_and_rows_set_aside(tmp_path_factory, dirt, swapped):
    folder = tmp_path_factory.mktemp("rows")
    shutil.copy(SAMPLE / "gazetteer.csv", folder)
    extra = pd.DataFrame(dirt, columns=["lat", "lon", "postal_code", "town"])
    rows = pd.concat([ROWS, extra.assign(account_id=[f"D{i}" for i in extra.index])]).fillna("")
    geography = {"swapped": swapped, "by_postal_code": True}
    towns = pd.read_csv(SAMPLE / "gazetteer.csv").head(300)
    market = market_of(folder, rows, {"gazetteer": towns}, geography=geography)
    aside = market.set_aside.get("accounts", pd.DataFrame({"account_id": []}))["account_id"]
    assert sorted([*market.accounts.index, *aside]) == sorted(rows["account_id"])
    assert market.accounts[["lat", "lon", "x_km", "y_km"]].notna().all(axis=None)
    assert market.accounts["geo_quality"].isin(["exact", "postal", "town", "area"]).all()


def test_the_gazetteer_knows_the_towns_of_the_sample():
    towns = pd.read_csv(SAMPLE / "gazetteer.csv")
    assert (SAMPLE / "gazetteer.csv").stat().st_size < 150_000 and len(towns) > 2000
    accounts = pd.read_csv(SAMPLE / "accounts.csv", dtype=str, keep_default_na=False)
    known = set(zip(towns["town"].map(fold), towns["region"], strict=True))
    there = [(fold(t), r) in known for t, r in accounts[["town", "region"]].to_numpy()]
    assert np.mean(there) > 0.9


@pytest.mark.skipif(not IOWA.is_dir(), reason=f"the real files are not at {IOWA}")
def test_stores_of_iowa_without_coordinates_are_placed_by_postal_code_when_asked():
    settings = load_settings(ROOT / "tests" / "real" / "iowa.yml")
    before = load_market(settings, IOWA)
    lost = before.quality.query("rule == 'no_coordinates'")["key"]
    assert len(lost) == 125
    asked = settings.model_dump(exclude_unset=True) | {"geography": {"by_postal_code": True}}
    after = load_market(make_settings(asked), IOWA)
    placed = after.quality.query("rule == 'placed_by_postal_code'")["key"]
    assert len(placed) == 111 and set(placed) <= set(lost)
    assert (after.accounts.loc[placed, "geo_quality"] == "postal").all()
    assert len(after.accounts) == len(before.accounts) + len(placed)


def test_a_pile_is_left_out_where_the_settings_say_so(tmp_path):
    piled = ROWS.assign(lat=52.0, lon=21.0)
    apart = ROWS.assign(account_id=[f"N{i}" for i in range(12)])
    rows = pd.concat([piled, apart.assign(lat=apart["lat"] + 0.3)])
    market = market_of(tmp_path, rows, quality={"rules": {"many_on_one_point": "set_aside"}})
    assert set(market.accounts.index) == set(apart["account_id"])
    assert len(market.set_aside["accounts"]) == len(piled)


@pytest.mark.parametrize("rule", ["projected_coordinates", "which_town", "repeated_header"])
def test_rows_without_a_place_cannot_merely_be_noted(tmp_path, rule):
    with pytest.raises(SettingsError, match="no plan can be made with such rows"):
        market_of(tmp_path, ROWS, quality={"rules": {rule: "note"}})


def test_accounts_that_have_areas_and_no_points_are_placed_there(tmp_path):
    areas = {"area_id": ["1", "2"], "geometry": [box(20, 51, 21.05, 53), box(21.05, 51, 22, 53)]}
    rows = [{"account_id": f"K{i}", "name": f"F{i}", "area_id": str(1 + i % 2)} for i in range(6)]
    market = market_of(tmp_path, pd.DataFrame(rows), areas=areas, units="areas")
    assert len(market.accounts) == 6 and set(market.accounts["area_id"]) == {"1", "2"}


def test_a_stated_projection_is_used_in_a_country_terrlib_does_not_know(tmp_path):
    czech = ROWS.assign(lat=ROWS["lat"] - 2.5, lon=ROWS["lon"] - 6)
    x, y = Transformer.from_crs(4326, 32633, always_xy=True).transform(czech["lon"], czech["lat"])
    market = market_of(tmp_path, czech.assign(lat=y, lon=x), crs=32633, country="CZ")
    np.testing.assert_allclose(market.accounts["lat"], czech["lat"], atol=1e-6)
    np.testing.assert_allclose(market.accounts["lon"], czech["lon"], atol=1e-6)


# ---------------------------------------------------------------------------- countries


@pytest.mark.parametrize(
    ("name", "lat", "lon", "abroad"),
    [
        ("Berlin", 52.52, 13.40, True),
        ("Praha", 50.08, 14.43, True),
        ("Kaliningrad", 54.71, 20.51, True),
        ("Lviv", 49.84, 24.03, True),
        ("Zgorzelec", 51.15, 15.01, False),
        ("Hel", 54.61, 18.80, False),
    ],
)
def test_a_point_in_another_country_than_stated_is_told(tmp_path, name, lat, lon, abroad):
    rows = added(name=name, lat=lat, lon=lon, country="PL")
    assert ("foreign_country" in found(market_of(tmp_path, rows))) == abroad
    kept = market_of(tmp_path, rows, quality={"countries": "keep"})
    assert "Z" in kept.accounts.index


def test_no_polish_town_lies_abroad_and_nobody_is_thrown_out_by_a_default():
    towns = pd.read_csv(SAMPLE / "gazetteer.csv")
    rows = towns.assign(account_id=towns.index.astype(str), country="")
    assert len(places._without_foreign(Ledger(), rows, "PL")) == len(towns)
    west = rows.assign(lon=rows["lon"] - 12)
    assert len(places._without_foreign(Ledger(), west, "PL")) == len(towns)


def test_towns_place_accounts_of_a_file_without_coordinates(tmp_path):
    towns = {"town": ["Iłża"], "lat": [51.16], "lon": [21.24]}
    rows = pd.DataFrame({"account_id": ["a", "b"], "town": ["ILZA", "Iłża"], "revenue": 1})
    market = market_of(tmp_path, rows, {"gazetteer": towns})
    assert market.accounts[["lat", "geo_quality"]].to_numpy().tolist() == [[51.16, "town"]] * 2
    with pytest.raises(
        DataError, match=r"a table gazetteer \(town, lat, lon\) tells where they are"
    ):
        market_of(tmp_path, rows)


TOWNS_OF_REPS = {
    "town": ["Łódź", "Opole", "Opole"],
    "region": ["łódzkie", "opolskie", "lubelskie"],
    "lat": [51.77, 50.67, 51.15],
    "lon": [19.47, 17.93, 21.97],
}


def reps_of(folder, rows, tables=None, **asked):
    return market_of(folder, ROWS, {"reps": rows} | (tables or {}), **asked)


def test_homes_of_reps_are_found_by_town_region_and_postal_code(tmp_path):
    rows = [
        {"rep_id": "R1", "home_town": "ŁÓDŹ"},
        {"rep_id": "R2", "home_town": "Opole", "home_region": "opolskie"},
        {"rep_id": "R3", "home_postal_code": "00-001"},
    ]
    codes = {"postal_code": ["00-001"], "lat": [52.2], "lon": [21.0]}
    given_tables = {"gazetteer": TOWNS_OF_REPS, "postal_centroids": codes}
    market = reps_of(tmp_path, rows, given_tables)
    homes = market.reps[["home_lat", "home_lon"]].to_numpy().tolist()
    assert homes == [[51.77, 19.47], [50.67, 17.93], [52.2, 21.0]]
    found_ = market.quality[market.quality["table"] == "reps"]
    assert found_[["key", "rule"]].to_numpy().tolist() == [
        ["R3", "home_by_postal_code"],
        ["R1", "home_by_town"],
        ["R2", "home_by_town"],
    ]


@pytest.mark.parametrize(
    ("rep", "sentence"),
    [
        ({"home_lat": 0, "home_lon": 0}, r"no home is known \(1\): R3 \(Jan Nowak\)"),
        ({"home_town": "Opole"}, r"R3 \(Jan Nowak\): which Opole: lubelskie .*, opolskie"),
        ({"home_town": "Nigdzie"}, r"no home is known \(1\): R3 \(Jan Nowak\)"),
        ({"home_lat": 50.3, "home_lon": 95}, r"homes outside PL.*\(1\): R3 \(Jan Nowak\)"),
        ({"home_lat": 21, "home_lon": 52}, r"homes outside PL.*\(1\): R3 \(Jan Nowak\)"),
    ],
)
def test_a_rep_without_a_home_is_named(tmp_path, rep, sentence):
    good = {"rep_id": "R1", "home_lat": 52.1, "home_lon": 21.1}
    rows = [good, {"rep_id": "R3", "name": "Jan Nowak"} | rep]
    with pytest.raises(DataError, match=sentence):
        reps_of(tmp_path, rows, {"gazetteer": TOWNS_OF_REPS})
    rules = {"no_home": "set_aside", "home_far_away": "set_aside"}
    market = reps_of(tmp_path, rows, {"gazetteer": TOWNS_OF_REPS}, quality={"rules": rules})
    assert market.reps.index.tolist() == ["R1"]
    assert market.set_aside["reps"]["rep_id"].tolist() == ["R3"]


def test_towns_of_reps_need_a_gazetteer(tmp_path):
    with pytest.raises(
        DataError, match=r"a table gazetteer .* tells where they are by their home_town"
    ):
        reps_of(tmp_path, [{"rep_id": "R1", "home_town": "Łódź"}])
