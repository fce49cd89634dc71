"""Reading what people really export: every row comes back, or a sentence says why not."""

import datetime as dt
import io
import sqlite3
import zipfile
from decimal import Decimal

import geopandas as gpd
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box

from terrlib.cli import main
from terrlib.errors import DataError, SettingsError
from terrlib.inputs import files, query, read
from terrlib.inputs.load import load_market
from terrlib.inputs.quality import Ledger, repair_codes, typed
from terrlib.inputs.read import read_shapes, read_table
from terrlib.inputs.settings import TableFile, load_settings, make_settings
from terrlib.inputs.values import BLANKS, days, number, numbers, repaired
from tests.fuzz_read import mutated, seeds, survives
from tests.worlds import said

NAMES = ["Żółć i Świt", "Łąka Źrebię", "Ćma"]


def table_of(folder, content, name="t.csv", **asked):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(folder, "accounts", TableFile(file=name, **asked))


def refusal(folder, content, name="t.csv", **asked):
    with pytest.raises(DataError) as caught:
        table_of(folder, content, name, **asked)
    return str(caught.value)


def series(*texts):
    return pd.Series(texts, dtype=str)


# ------------------------------------------------------------------------------------ text files


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250", "iso-8859-2"])
def test_every_separator_in_every_encoding(tmp_path, sep, encoding):
    text = sep.join(["id", "name", "x"]) + "\r\n"
    text += "".join(sep.join([f"0{i}", name, "7"]) + "\r\n" for i, name in enumerate(NAMES))
    found = table_of(tmp_path, text.encode(encoding))
    assert found.to_numpy().tolist() == [[f"0{i}", name, "7"] for i, name in enumerate(NAMES)]
    assert list(found) == ["id", "name", "x"]


def test_an_encoding_that_leaves_doubt_can_be_said(tmp_path):
    content = b"id,name\n1,\xb1\xb9\n"
    assert "say encoding: cp1250" in refusal(tmp_path, content)
    assert table_of(tmp_path, content, encoding="cp1250")["name"].tolist() == ["±ą"]
    assert table_of(tmp_path, "id,n\n1,Łuk\n".encode("cp852"), encoding="cp852")["n"][0] == "Łuk"


def test_letters_alike_in_both_encodings_leave_no_doubt(tmp_path):
    assert table_of(tmp_path, "id,name\n1,Müller\n".encode("cp1250"))["name"].tolist() == ["Müller"]


def test_broken_utf_8_is_not_taken_for_an_older_encoding(tmp_path):
    content = "id,name\n1,Żółć\n2,Świt\n".encode() + b"3,Ma\xc5\n"
    assert "1 letters are broken, the first in line 4" in refusal(tmp_path, content)


def test_semicolons_win_over_decimal_commas(tmp_path):
    found = table_of(tmp_path, "id;lat;lon\n1;52,1;21,2\n2;52,3;21,4\n")
    assert found["lat"].tolist() == ["52,1", "52,3"]


def test_a_spreadsheet_may_say_its_separator(tmp_path):
    assert list(table_of(tmp_path, "sep=|\na,x|b\n1|2\n")) == ["a,x", "b"]


def test_mixed_line_ends_blank_lines_and_cells_on_two_lines(tmp_path):
    found = table_of(tmp_path, 'id,note\r\n1,"ul. A\nm. 2"\n\n2,b\r3,"x, ""y"""\r\n,\n')
    assert found["note"].tolist() == ["ul. A m. 2", "b", 'x, "y"']


def test_quotes_inside_a_quoted_cell_do_no_harm_on_one_line(tmp_path):
    found = table_of(tmp_path, 'id,street,x\n1,Joanny 2"B",5\n2,"Joanny 2"B" C",6\n')
    assert found["x"].tolist() == ["5", "6"]


@pytest.mark.parametrize(
    ("stray", "line"),
    [
        ('id,name,x\n1,a,5\n2,"b,6\n3,c,7\n4,d,8\n', 3),
        ('id,name,x\n1,a,5\n2,"b,6\n3,c,7\n4,"d,8\n', 3),
        ('id,name,x\n1,a,5\n2,"b,6\n3,c",7\n4,d,8\n', 3),
        ('id,name,x\n1,a,5\n2,"b,6\n3,c,7\n4,d",8\n', 3),
    ],
)
def test_a_stray_quote_swallows_nothing(tmp_path, stray, line):
    assert f"line {line}" in refusal(tmp_path, stray)


def test_a_note_with_commas_on_two_lines_is_no_stray_quote(tmp_path):
    found = table_of(tmp_path, 'id,note\nK1,"Hello, John\nThanks, Eve"\nK2,b\n')
    assert found["note"].tolist() == ["Hello, John Thanks, Eve", "b"]


def test_uneven_rows_are_named_by_line(tmp_path):
    told = refusal(tmp_path, "a,b\n1,2\n\n" + "1,2,3\n" * 6)
    assert "6 rows have more or fewer: line 4, 5, 6, 7, 8 and others" in told
    assert "line 3" in refusal(tmp_path, "a,b,c\n1,2,3\n4,Firma\n5,6,7\n")
    assert len(table_of(tmp_path, "a,b,,\n1,2\n1,2,,,,\n")) == 2


def test_control_characters_and_nul_bytes_fall_out(tmp_path):
    found = table_of(
        tmp_path,
        b"id,name,x\n1,a\x00b\x07c\x0bd,\x1b[31mred\n2,x\xc2\xa0y,\xe2\x80\xaez\n" + b"3,,\n" * 20,
    )
    assert found.to_numpy()[:2].tolist() == [["1", "abc d", "[31mred"], ["2", "x y", "z"]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "is no text file"),
        (b"PK\x03\x04abc", "an Excel or zip file by another name"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old or a locked Excel file"),
        (b"id,name\n1," + b"x" * 10_000_000 + b"\n", "line 2 has 10,000,002 characters"),
        (b'id,name\n1,"' + b"x\n" * 100_000 + b'"\n', "a cell that begins in line 2"),
        (b"id,name\n", "found 0 rows"),
        (b" \n\n", "is empty"),
        (b"id,id\n1,2\n", "2 columns of the same name"),
        (b"Sum of close_value,,,,\n,,,,\nagent,Won,,,\nx,1,2,3,4\ny,1,2,3,4\n", "pivot table"),
        (b'"NAME_1,C,80","NAME_2,C,80"\nDolny,Slask\n', "header of a dBase table"),
    ],
)
def test_what_is_no_table_gets_a_sentence(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_table(tmp_path, "accounts", TableFile(file="t.csv"))


def test_a_file_too_large_points_at_the_rollup(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(read.LARGEST_BYTES + 1)
    with pytest.raises(DataError, match="terrlib rollup"):
        read_table(tmp_path, "accounts", TableFile(file="t.csv"))


def test_a_title_above_the_header_of_a_text_file(tmp_path):
    text = "Raport sprzedaży;;\nStan na:;2026-12-31;\n\nid;name;x\n1;a;5\n2;b;6\n"
    assert table_of(tmp_path, text)["id"].tolist() == ["1", "2"]
    assert list(table_of(tmp_path, "a;b\nid;name\n1;a\n", header=2)) == ["id", "name"]
    assert "nothing in row 9" in refusal(tmp_path, text, header=9)


def test_a_remark_beside_two_columns_is_no_header(tmp_path):
    book_of(tmp_path, ("S", [["id", "name"], ["1", "a"], ["2", "b", "remark"]]))
    found = table_of(tmp_path, (tmp_path / "t.xlsx").read_bytes(), "t.xlsx")
    assert found["id"].tolist() == ["1", "2"]


def test_the_lower_row_of_a_header_of_two_rows_is_taken(tmp_path):
    rows = [[None, "2025", None, "2026", None], ["id", "Q1", "Q2", "Q3", "Q4"], ["1", 5, 6, 7, 8]]
    book_of(tmp_path, ("S", rows))
    found = table_of(tmp_path, (tmp_path / "t.xlsx").read_bytes(), "t.xlsx")
    assert list(found) == ["id", "Q1", "Q2", "Q3", "Q4"]


def test_row_numbers_need_no_name(tmp_path):
    found = table_of(tmp_path, ",name,town\n0,x,y\n1,z,w\n")
    assert found.to_numpy().tolist() == [["0", "x", "y"], ["1", "z", "w"]]
    book_of(tmp_path, ("S", [[None, "name", "town"], [0, "x", "y"], [1, "z", "w"]]))
    assert table_of(tmp_path, (tmp_path / "t.xlsx").read_bytes(), "t.xlsx").equals(found)


def test_one_long_row_does_not_become_the_header(tmp_path):
    text = "id,name,x\nK1,a,north\nK2,Firma, sp. z o.o.,south\nK3,b,east\n"
    assert "1 rows have more or fewer: line 3" in refusal(tmp_path, text)


def test_repeated_headers_are_set_aside_and_nothing_is_lost(tmp_path):
    text = "id,amount,date\nA,5,2026-01-01\nid,amount,date\nB,6,2026-01-02\n"
    rows = table_of(tmp_path, text, columns={"account_id": "id"})
    ledger = Ledger()
    used = typed(ledger, "sales", rows)
    assert used["account_id"].tolist() == ["A", "B"]
    assert ledger.table()["rule"].tolist() == ["repeated_header"]
    assert len(rows) == len(used) + len(ledger.aside["sales"][0]) == 3


def test_a_row_with_two_faults_is_set_aside_once(tmp_path):
    ledger = Ledger()
    text = "account_id,date,amount\nA,soon,lots\n"
    assert not len(typed(ledger, "sales", table_of(tmp_path, text)))
    assert [len(part) for part in ledger.aside["sales"]] == [1]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_no_row_is_lost(tmp_path_factory, rows, sep, end):
    import csv

    folder = tmp_path_factory.getbasetemp()
    rows = [[f"K{i}", *row] for i, row in enumerate(rows)]
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["id", "a", "b", "c"], *rows]
    )
    found = table_of(folder, out.getvalue(), "lost.csv", encoding="utf-8")
    assert found["id"].tolist() == [row[0] for row in rows]
    assert found.iloc[:, 1:].to_numpy().tolist() == [
        [files.as_text(cell) for cell in row[1:]] for row in rows
    ]


# --------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 234,50 zł", 1234.5),
        ("1\u00a0234,50zł", 1234.5),
        ("1\u202f234\u202f567", 1234567),
        ("$1,963.10 ", 1963.1),
        ("1.234,56", 1234.56),
        ("1'234'567.50", 1234567.5),
        ("1’234,50", 1234.5),
        ("(100)", -100),
        ("(1 234,50 zł)", -1234.5),
        ("-5", -5),
        ("−5", -5),
        ("5-", -5),
        ("-$5.25", -5.25),
        ("1,5 tys. zł", 1500),
        ("2 mln", 2_000_000),
        ("PLN 12", 12),
        ("100,-", 100),
        ("1,5E+06", 1_500_000),
        ("0,125", 0.125),
        ("12%", 0.12),
        (".5", 0.5),
    ],
)
def test_money_as_people_write_it(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["1,23,456", "12 34", "--5", "-5-", "1e999", "5 km", "b.d.", "#ARG!", "1.2.3", "٣"]
)
def test_what_is_no_number_is_not_made_one(text):
    with pytest.raises(ValueError, match=r".+"):
        number(text)


def test_the_whole_column_says_what_a_comma_means():
    assert numbers(series("1,234", "0,5")).found.tolist() == [1.234, 0.5]
    assert numbers(series("1,234", "1 000,5")).found.tolist() == [1.234, 1000.5]
    assert numbers(series("1,234", "7.5")).found.tolist() == [1234, 7.5]
    assert numbers(series("1.234", "1.234.567")).found.tolist() == [1234, 1234567]
    assert numbers(series("1.234"), decimal="point").found.tolist() == [1.234]
    assert numbers(series("1.234"), decimal="comma").found.tolist() == [1234]
    assert numbers(series("52,123", "21"), most=90).found.tolist() == [52.123, 21]
    assert "1 values such as 1.234 could mean" in numbers(series("1.234", "5")).question


def test_a_column_of_both_kinds_reads_what_is_plain_and_counts_the_rest():
    both = numbers(series("3333.6", "1 234,50 zł", "1,234"))
    assert both.found.tolist()[:2] == [3333.6, 1234.5]
    assert both.bad.tolist() == [False, False, True]
    assert not both.question


def test_a_question_stops_the_run_and_the_settings_answer_it(tmp_path):
    (tmp_path / "a.csv").write_text("account_id;lat;lon;revenue\n1;52;21;1.234\n2;52;21;5\n")
    asked = {"tables": {"accounts": "a.csv"}}
    with pytest.raises(DataError, match=r"revenue: 1 values such as 1\.234 .*say decimal: comma"):
        load_market(make_settings(asked), tmp_path)
    asked = {"tables": {"accounts": {"file": "a.csv", "decimal": "comma"}}}
    assert load_market(make_settings(asked), tmp_path).accounts["revenue"].tolist() == [1234, 5]


@given(st.lists(st.decimals(-(10**8), 10**8, places=2), min_size=1, max_size=5))
def test_a_column_comes_back_in_both_conventions(values):
    polish = [f"{v:,.2f}".replace(",", " ").replace(".", ",") for v in values]
    german = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in values]
    for texts in (polish, german, [f"{v:,.2f}" for v in values]):
        assert numbers(series(*texts)).found.tolist() == [float(v) for v in values]


def test_words_for_a_blank_are_counted_and_stay_where_they_are_values(tmp_path):
    words = ["N/A", "NA", "brak", "-", "n/d", "#N/D!", "#N/A", "NULL"]
    assert {w.lower() for w in words} <= BLANKS
    text = "account_id,date,amount,product_line\n"
    text += "".join(f"{i},2026-01-01,{w},{w}\n" for i, w in enumerate(words))
    ledger = Ledger()
    used = typed(ledger, "sales", table_of(tmp_path, text))
    assert used["amount"].isna().all()
    assert used["product_line"].tolist() == words
    assert ledger.table()["rule"].value_counts().to_dict() == {"blank_word": len(words)}
    assert days(series(*words)).blank.all()


# ----------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    "text",
    [
        *("2026-12-31", "2026-12-31T10:00:00Z", "2026-12-31 23:59:59.999+01:00", "20261231"),
        *("31.12.2026", "31-12-2026", "31/12/2026", "12/31/2026", "31.12.2026 r.", "2026/12/31"),
        *("31 gru 2026", "31 grudnia 2026 r.", "31-gru-2026", "Dec 31, 2026", "31 XII 2026"),
        "12/31/2026 11:59 PM",
    ],
)
def test_days_as_people_write_them(text):
    assert days(series(text)).found.tolist() == [pd.Timestamp("2026-12-31")]


@pytest.mark.parametrize(
    "text",
    [
        "31.12.26",
        "2026-02-30",
        "00.00.0000",
        "46387",
        "1931",
        "31 foo 2026",
        "2026-13-01",
        "0001-01-01",
    ],
)
def test_what_is_no_day_is_bad(text):
    read_ = days(series(text))
    assert read_.bad.tolist() == [True]
    assert read_.found.isna().all()
    assert not read_.question


def test_the_whole_column_proves_the_order_or_it_is_asked():
    found = days(series("3/4/2026", "31/12/2026"))
    assert found.found.dt.month.tolist() == [4, 12]
    assert days(series("3/4/2026", "12/31/2026")).found.dt.month.tolist() == [3, 12]
    assert days(series("3/4/2026", "5/5/2026")).question.startswith("1 values such as 3/4/2026")
    assert days(series("3-4-2026")).question
    assert days(series("3/4/2026", "31/12/2026", "12/31/2026")).question  # proves both: neither
    assert days(series("5/5/2026")).found.dt.day.tolist() == [5]
    assert days(series("3/4/2026"), "dmy").found.dt.month.tolist() == [4]
    assert days(series("3/4/2026"), "mdy").found.dt.month.tolist() == [3]
    assert days(series("3.4.2026")).found.dt.month.tolist() == [4]


def test_days_turned_by_a_spreadsheet_are_not_taken_for_years():
    assert "turned by a spreadsheet" in days(series("1931/5/18", "2005/5/18")).question
    assert not days(series("2026/5/18", "2005/5/18")).question


def test_an_ambiguous_date_stops_the_run_and_the_settings_answer_it(tmp_path):
    (tmp_path / "a.csv").write_text("account_id,lat,lon\n1,52,21\n")
    (tmp_path / "s.csv").write_text("account_id,date,amount\n1,3/4/2026,5\n1,3.4.26,7\n")
    asked = {"tables": {"accounts": "a.csv", "sales": "s.csv"}}
    with pytest.raises(DataError, match=r"3 April or 4 March: say dates: dmy or dates: mdy"):
        load_market(make_settings(asked), tmp_path)
    asked["tables"]["sales"] = {"file": "s.csv", "dates": "dmy"}
    market = load_market(make_settings(asked), tmp_path)
    assert market.sales["date"].tolist() == [pd.Timestamp("2026-04-03")]
    found = said(market).set_index("rule")["message"]
    assert "a year of two digits is not guessed" in found["not_a_date"]


@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31)), min_size=1, max_size=6))
def test_no_order_is_ever_guessed(values):
    texts = series(*(f"{v.day}/{v.month}/{v.year}" for v in values))
    read_ = days(texts)
    if not read_.question:
        proven = any(v.day > 12 for v in values)
        assert proven or all(v.day == v.month for v in values)
        assert read_.found.dt.date.tolist() == values


# ----------------------------------------------------------------------------------------- codes


def test_lost_zeros_come_back_where_it_is_certain():
    assert repaired(series("42420.0", "950", "1234", "00950"), "postal_code")[0].tolist() == [
        *("42420", "950", "01234", "00950")
    ]
    austrian = series("1010", "6020", "80331")
    assert repaired(austrian, "postal_code")[0].tolist() == austrian.tolist()
    assert repaired(series("201", "1465", "3201.0"), "area_id")[0].tolist() == [
        "0201",
        "1465",
        "3201",
    ]
    plain = series(*map(str, range(1, 33)))
    assert repaired(plain, "area_id")[0].tolist() == plain.tolist()
    known = {"02", "14"}
    assert repaired(series("2.0", "14", "3", ""), "area_id", known)[0].tolist() == [
        "02",
        "14",
        "3",
        "",
    ]
    assert repaired(series("9001000001.0"), "tax_id")[0].tolist() == ["9001000001"]


def test_a_repaired_code_is_noted():
    ledger = Ledger()
    rows = pd.DataFrame({"account_id": ["1", "2"], "area_id": ["2.0", "14"]}, dtype=str)
    rows = repair_codes(ledger, "accounts", rows, series("02", "14"))
    assert rows["area_id"].tolist() == ["02", "14"]
    assert ledger.table()[["key", "rule", "value"]].to_numpy().tolist() == [
        ["1", "code_repaired", "2.0"]
    ]


def test_areas_find_their_shapes_with_zeros_lost_on_either_side(tmp_path):
    ids = ["0201", "0202", "1465"]
    boxes = [box(20 + i, 52, 21 + i, 53) for i in range(3)]
    gpd.GeoDataFrame({"area_id": [int(i) for i in ids]}, geometry=boxes, crs=4326).to_file(
        tmp_path / "areas.geojson", driver="GeoJSON"
    )
    (tmp_path / "areas.csv").write_text("area_id,name\n201.0,a\n0202,b\n1465,c\n")
    (tmp_path / "a.csv").write_text(
        "account_id,area_id,lat,lon\n1,201,52.5,20.5\n2,1465,52.5,22.5\n"
    )
    areas = {"file": "areas.csv", "geometry": "areas.geojson"}
    market = load_market(make_settings({"tables": {"accounts": "a.csv", "areas": areas}}), tmp_path)
    assert market.areas.index.tolist() == ids
    assert market.accounts["area_id"].tolist() == ["0201", "1465"]
    assert (market.quality["rule"] == "code_repaired").sum() == 2


# ----------------------------------------------------------------------------------------- Excel


def book_of(folder, *sheets, name="t.xlsx"):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(folder / name)
    return book


def test_a_sheet_by_name_or_number_and_a_header_below_a_title(tmp_path):
    rows = [
        ["Raport sprzedaży"],
        [],
        ["Stan na:", dt.date(2026, 12, 31)],
        [],
        ["id", "name", "x", None],
    ]
    rows += [[1, "a", 1.5], [2, "b", 1.234], [3, None, None]]
    book_of(tmp_path, ("Info", [["czytaj", "mnie"], ["a", "b"]]), ("Dane", rows))
    for sheet in ("Dane", 1):
        spec = TableFile(file="t.xlsx", sheet=sheet)
        found = read_table(tmp_path, "accounts", spec)
        assert found.to_numpy().tolist() == [["1", "a", "1.5"], ["2", "b", "1.2340"], ["3", "", ""]]
    with pytest.raises(DataError, match=r"no sheet 'Dana' \(did you mean 'Dane'\?\)"):
        read_table(tmp_path, "accounts", TableFile(file="t.xlsx", sheet="Dana"))
    spec = TableFile(file="t.xlsx", sheet="Dane", header=5)
    assert list(read_table(tmp_path, "accounts", spec)) == ["id", "name", "x"]


def test_a_stray_remark_beside_the_data_does_not_move_the_header(tmp_path):
    rows = [
        ["id", "name", "town"],
        ["1", "a", "x"],
        ["2", "b", "y", None, "remark"],
        ["3", "c", "z"],
    ]
    book_of(tmp_path, ("S", rows))
    found = read_table(tmp_path, "accounts", TableFile(file="t.xlsx"))
    assert found["id"].tolist() == ["1", "2", "3"]
    assert found["(column 5)"].tolist() == ["", "remark", ""]


def test_dates_serials_codes_and_faults_in_cells(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["account_id", "date", "amount", "postal_code"])
    sheet.append([1001, dt.datetime(2026, 12, 31, 10, 0), 5, 950])
    sheet.append([1002.0, 46387, "#N/A", 950])
    sheet.append(["007", "31.12.2026", 1.234, "00-950"])
    sheet["D2"].number_format, sheet["D3"].number_format = "00000", "00\\-000"
    book.save(tmp_path / "t.xlsx")
    rows = read_table(tmp_path, "sales", TableFile(file="t.xlsx"))
    assert rows["postal_code"].tolist() == ["00950", "00-950", "00-950"]
    used = typed(Ledger(), "sales", rows)
    assert used["account_id"].tolist() == ["1001", "1002", "007"]
    assert set(used["date"]) == {pd.Timestamp("2026-12-31")}
    assert used["amount"].tolist()[::2] == [5, 1.234]


def test_a_pivot_in_a_sheet_gets_a_sentence(tmp_path):
    rows = [["Suma z obrotu", None, None, None, None], ["region", "2025", None, None, None]]
    rows += [["a", 1, 2, 3, 4], ["b", 1, 2, 3, 4]]
    book_of(tmp_path, ("S", rows))
    with pytest.raises(DataError, match="pivot table"):
        read_table(tmp_path, "accounts", TableFile(file="t.xlsx"))


def repacked(path, changes):
    """Write an Excel file again with some of its parts replaced."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **changes}.items():
            archive.writestr(name, content)


def test_bombs_are_not_opened(tmp_path):
    book_of(tmp_path, ("S", [["id", "name"], [1, "a"]]))
    path = tmp_path / "t.xlsx"
    whole = path.read_bytes()
    repacked(path, {"xl/media/x.bin": b"0" * (files.SUSPECT_UNPACKED + 1)})
    with pytest.raises(DataError, match="would unpack from"):
        read_table(tmp_path, "accounts", TableFile(file="t.xlsx"))
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    repacked(path, {"xl/worksheets/sheet1.xml": entity + sheet})
    with pytest.raises(DataError, match="defines entities"):
        read_table(tmp_path, "accounts", TableFile(file="t.xlsx"))


def test_what_a_sheet_says_of_its_size_is_not_trusted(tmp_path):
    book_of(tmp_path, ("S", [["id", "name"], [1, "a"]]))
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    huge = sheet.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    assert huge != sheet
    repacked(path, {"xl/worksheets/sheet1.xml": huge})
    assert read_table(tmp_path, "accounts", TableFile(file="t.xlsx")).shape == (1, 2)
    far = sheet.replace(b'<row r="2"', b'<row r="999999999"')
    repacked(path, {"xl/worksheets/sheet1.xml": far})
    with pytest.raises(DataError, match="more cells than a sheet can hold"):
        read_table(tmp_path, "accounts", TableFile(file="t.xlsx"))


def test_a_locked_or_old_excel_file_gets_a_sentence(tmp_path):
    assert "old or a locked Excel file" in refusal(tmp_path, b"\xd0\xcf\x11\xe0" * 9, "t.xlsx")
    assert "no Excel file" in refusal(tmp_path, b"id,name\n1,a\n", "t.xlsx")


# -------------------------------------------------------------------------------- Parquet and maps


def test_parquet_of_every_plain_kind(tmp_path):
    frame = pd.DataFrame(
        {
            "id": pd.Categorical(["007", "N/A"]),
            "when": pd.to_datetime(["2026-12-31 10:00", None]),
            "zone": pd.to_datetime(["2026-12-31 10:00", None]).tz_localize("Europe/Warsaw"),
            "day": [dt.date(2026, 12, 31), None],
            "exact": [Decimal("1.234"), None],
            "float": [1.234, None],
            "short": pd.Series([0.1, None], dtype="float32"),
            "whole": pd.array([7, None], dtype="Int64"),
            "flag": [True, None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path, "accounts", TableFile(file="t.parquet"))
    day = "2026-12-31"
    first = ["007", day, day, day, "1.2340", "1.2340", "0.1", "7", "True"]
    assert found.to_numpy().tolist() == [first, ["N/A", *[""] * 8]]


def test_nested_columns_are_refused(tmp_path):
    table = pa.table({"id": ["1"], "tags": [["a", "b"]], "raw": [b"x"]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="2 columns whose cells hold lists, records or bytes: tags"):
        read_table(tmp_path, "accounts", TableFile(file="t.parquet"))


def shapes_of(folder, name, **asked):
    frame = gpd.GeoDataFrame(
        {"area_id": ["01", "02"], "name": ["Żółć", "Śnieg"]},
        geometry=[box(20, 52, 21, 53), box(21, 52, 22, 53)],
        crs=4326,
    ).to_crs(2180)
    frame.to_file(folder / name, **asked)
    return frame


def test_a_layer_of_a_geopackage_is_chosen(tmp_path):
    shapes_of(tmp_path, "t.gpkg", layer="gminy")
    assert read_table(tmp_path, "areas", TableFile(file="t.gpkg"))["area_id"].tolist() == [
        "01",
        "02",
    ]
    gpd.GeoDataFrame({"x": [1]}, geometry=[Point(0, 0)], crs=4326).to_file(
        tmp_path / "t.gpkg", layer="biura"
    )
    with pytest.raises(DataError, match="2 layers: gminy, biura; say which"):
        read_table(tmp_path, "areas", TableFile(file="t.gpkg"))
    spec = TableFile(file="t.gpkg", layer="gminy")
    assert read_table(tmp_path, "areas", spec)["name"].tolist() == ["Żółć", "Śnieg"]
    assert read_shapes(tmp_path, spec).total_bounds == pytest.approx([20, 52, 22, 53], abs=0.1)
    with pytest.raises(DataError, match="did you mean 'gminy'"):
        read_table(tmp_path, "areas", TableFile(file="t.gpkg", layer="gmina"))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("says", [True, False])
def test_a_shapefile_in_cp1250_plain_or_zipped(tmp_path, zipped, says):
    shapes_of(tmp_path, "t.shp", encoding="cp1250")
    if not says:
        (tmp_path / "t.cpg").unlink()
    if zipped:
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            for path in sorted(tmp_path.glob("t.[!z]*")):
                archive.write(path, path.name)
    spec = TableFile(file="t.zip" if zipped else "t.shp")
    assert read_table(tmp_path, "areas", spec)["name"].tolist() == ["Żółć", "Śnieg"]
    assert read_shapes(tmp_path, spec)["area_id"].tolist() == ["01", "02"]


def test_a_map_that_is_another_thing_opens_no_other_file(tmp_path):
    vrt = '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc</SrcDataSource>'
    assert "is no GeoJSON file" in refusal(tmp_path, vrt, "t.geojson")
    assert "is no GeoPackage" in refusal(tmp_path, vrt, "t.gpkg")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.csv", "id,name\n1,a\n")
    with pytest.raises(DataError, match="holds no Shapefile"):
        read_table(tmp_path, "areas", TableFile(file="t.zip"))


# --------------------------------------------------------------------------------------- queries


@pytest.fixture
def database(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("ibis")
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as link:
        link.execute("CREATE TABLE firma AS SELECT '007' id, 'Żółć' nazwa, 1.5::DECIMAL(9,3) obrot")
        link.execute("INSERT INTO firma VALUES ('008', NULL, 1.234)")
    return tmp_path


def test_a_query_gives_a_table(database):
    spec = TableFile(
        query="SELECT id, nazwa, obrot FROM firma ORDER BY id",
        database="crm.duckdb",
        columns={"account_id": "id"},
    )
    found = read_table(database, "accounts", spec)
    assert list(found) == ["account_id", "nazwa", "obrot"]
    assert found.to_numpy().tolist() == [["007", "Żółć", "1.5000"], ["008", "", "1.2340"]]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM nowhere",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT content, 1 FROM read_text('{folder}/secret.csv')",
        "DROP TABLE firma",
        "SELECT 1 a, 2 b; DROP TABLE firma",
        "COPY firma TO '{folder}/out.csv'",
        "SELECT",
    ],
)
def test_a_query_reads_only_its_database(database, text):
    (database / "secret.csv").write_text("a,b\n1,2\n")
    spec = TableFile(query=text.format(folder=database), database="crm.duckdb")
    with pytest.raises(DataError, match="query"):
        read_table(database, "accounts", spec)
    assert not (database / "out.csv").exists()


def test_too_many_rows_are_refused(database, monkeypatch):
    monkeypatch.setattr(query, "MOST_ROWS", 1)
    spec = TableFile(query="SELECT * FROM firma", database="crm.duckdb")
    with pytest.raises(DataError, match="more than 1 rows"):
        read_table(database, "accounts", spec)


def test_an_address_is_never_shown(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="environment variable") as caught:
        make_settings(
            {"tables": {"accounts": {"query": "SELECT 1", "database": "postgresql://u:hush@h/d"}}}
        )
    assert "hush" not in str(caught.value)
    spec = TableFile(query="SELECT 1 a, 2 b", database="${CRM_DATABASE}")
    monkeypatch.delenv("CRM_DATABASE", raising=False)
    with pytest.raises(SettingsError, match="CRM_DATABASE is not set"):
        read_table(tmp_path, "accounts", spec)
    monkeypatch.setenv("CRM_DATABASE", "hush")
    with pytest.raises(SettingsError, match="holds no address") as caught:
        read_table(tmp_path, "accounts", spec)
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("CRM_DATABASE", "postgresql://user:hush@127.0.0.1:1/nowhere")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path, "accounts", spec)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert (
        "hush" not in make_settings({"tables": {"accounts": spec.model_dump()}}).model_dump_json()
    )


def test_a_query_without_ibis_gets_a_sentence(tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(query.importlib, "import_module", absent)
    with pytest.raises(DataError, match="a query needs ibis"):
        query.asked("SELECT 1", address="postgresql://h/d")


def test_any_other_database_is_read_through_ibis(tmp_path, monkeypatch):
    pytest.importorskip("ibis.backends.sqlite")
    with sqlite3.connect(tmp_path / "crm.sqlite") as link:
        link.execute("CREATE TABLE firma (id TEXT, obrot REAL)")
        link.execute("INSERT INTO firma VALUES ('007', 1.234)")
    monkeypatch.setenv("CRM_DATABASE", f"sqlite://{tmp_path}/crm.sqlite")
    spec = TableFile(query="SELECT id, obrot FROM firma", database="${CRM_DATABASE}")
    assert read_table(tmp_path, "accounts", spec).to_numpy().tolist() == [["007", "1.2340"]]
    spec = TableFile(query="SELECT nope FROM firma", database="${CRM_DATABASE}")
    with pytest.raises(DataError, match="the query cannot be answered") as caught:
        read_table(tmp_path, "accounts", spec)
    assert "crm.sqlite" not in str(caught.value)


@pytest.mark.parametrize(
    "asked", [{}, {"file": "a.csv", "query": "SELECT 1"}, {"query": "SELECT 1"}, {"database": "x"}]
)
def test_a_table_is_a_file_or_a_query(asked):
    with pytest.raises(SettingsError, match="a file, or a query with its database"):
        make_settings({"tables": {"accounts": asked}})


# ------------------------------------------------------------------------------------------ fuzz

SEEDS = seeds()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=400), name=st.sampled_from(sorted(SEEDS)))
def test_any_bytes_give_a_table_or_a_sentence(tmp_path, content, name):
    survives(tmp_path, name, content)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(sorted(SEEDS)), seed=st.integers(0, 2**32))
def test_damaged_files_give_a_table_or_a_sentence(tmp_path, name, seed):
    survives(tmp_path, name, mutated(SEEDS[name], seed))


def test_a_shapefile_in_an_archive_may_not_lead_elsewhere(tmp_path):
    outside = tmp_path / "outside.geojson"
    gpd.GeoDataFrame({"a": ["x"]}, geometry=[box(0, 0, 1, 1)], crs=4326).to_file(outside)
    source = f"<OGRVRTDataSource><OGRVRTLayer name='areas'><SrcDataSource>{outside}</SrcDataSource>"
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        archive.writestr("areas.shp", f"{source}</OGRVRTLayer></OGRVRTDataSource>")
    with pytest.raises(DataError, match="is no Shapefile, whatever its ending says"):
        read_shapes(folder, TableFile(file="t.zip"))


@pytest.mark.parametrize("name", ["a\x00.csv", "a" * 300 + ".csv"])
def test_what_cannot_be_the_name_of_a_file_gets_a_sentence(tmp_path, name):
    with pytest.raises(SettingsError, match="is no name of a file"):
        read_table(tmp_path, "accounts", TableFile(file=name))


def test_an_order_of_days_that_is_said_is_kept():
    found = days(series("3/4/2026", "31/12/2026"), order="mdy")
    assert found.found.dt.month.tolist()[0] == 3
    assert found.bad.tolist() == [False, True]


@pytest.mark.parametrize(("key", "value"), [("crs", 999999), ("crs", 4326), ("quarter", "0000Q1")])
def test_settings_that_mean_nothing_get_a_sentence(key, value):
    with pytest.raises(SettingsError, match=key):
        make_settings({key: value})


def test_formulas_that_no_program_has_worked_out_are_counted(tmp_path):
    rows = [["account_id", "lat", "lon", "revenue"]]
    rows += [[f"K{i}", 52 + i / 10, 21.0, "=1+1" if i < 3 else 7] for i in range(5)]
    book_of(tmp_path, ("Dane", rows), name="accounts.xlsx")
    table = read_table(tmp_path, "accounts", TableFile(file="accounts.xlsx"))
    assert table.attrs["formulas"] == {"revenue": 3}
    (tmp_path / "s.yml").write_text("tables: {accounts: accounts.xlsx}\n")
    market = load_market(load_settings(tmp_path / "s.yml"), tmp_path)
    (line,) = said(market).query("rule == 'formula_without_value'")["message"]
    assert line.startswith("revenue: 3 formulas without a stored value")
    assert market.accounts["revenue"].sum() == 14


def test_deals_are_closed_by_their_stage_where_no_column_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("account_id,lat,lon\nA,52,21\nB,52.1,21\n")
    (tmp_path / "o.csv").write_text(
        "opp_id,account_id,created_date,close_date,stage,amount\n"
        "1,A,2026-01-01,2026-02-01,Closed Won,5\n2,A,2026-01-01,2026-02-01,closedlost,5\n"
        "3,B,2026-01-01,,Oferta,5\n"
    )
    (tmp_path / "s.yml").write_text("tables: {accounts: a.csv, opportunities: o.csv}\n")
    market = load_market(load_settings(tmp_path / "s.yml"), tmp_path)
    deals = market.opportunities
    assert deals["is_closed"].tolist() == [True, True, False]
    assert deals["is_won"].tolist() == [True, False, False]
    (line,) = said(market).query("rule == 'closed_by_stage'")["message"]
    assert "won 1, lost 1; taken for open: Oferta" in line


def test_a_stop_of_the_areas_is_told_with_the_others(tmp_path):
    (tmp_path / "a.csv").write_text("account_id,area_id,revenue\nA,1,5\n")
    (tmp_path / "r.csv").write_text("area_id,name\n1,x\n")
    (tmp_path / "s.csv").write_text("account_id,date,amount\nZ,2026-01-01,900\nA,2026-01-01,5\n")
    (tmp_path / "s.yml").write_text("tables: {accounts: a.csv, areas: r.csv, sales: s.csv}\n")
    with pytest.raises(DataError) as told:
        load_market(load_settings(tmp_path / "s.yml"), tmp_path)
    assert "no shapes" in str(told.value) and "sales" in str(told.value)


def test_a_picture_called_xlsx_is_told_to_be_no_excel_file(tmp_path):
    (tmp_path / "photo.xlsx").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(DataError, match=r"photo\.xlsx is no Excel file"):
        read_table(tmp_path, "accounts", TableFile(file="photo.xlsx"))


def test_a_file_that_is_not_there_is_met_with_the_nearest_name(tmp_path, capsys):
    (tmp_path / "settings.yml").write_text("plan: A\n")
    assert main(["check", str(tmp_path / "settings.yaml")]) == 2
    assert "did you mean settings.yml?" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "nowhere" / "settings.yaml")]) == 2
    assert "did you mean" not in capsys.readouterr().err
