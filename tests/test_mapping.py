"""Which foreign column is which of ours: by name, by content, and how sure."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib.cli import main
from terrlib.inputs.load import load_market, read_lone, simplest_settings
from terrlib.inputs.mapping import CERTAIN, LEAST, NAMES, as_yaml, guess_table, propose
from terrlib.inputs.settings import load_settings, make_settings
from terrlib.inputs.tables import COLUMNS

IOWA = Path(__file__).parents[2] / "shared" / "real" / "iowa"
N = 24
TOWNS = ["Warszawa", "Kraków", "Iłża", "Rząśnia"]
REGIONS = ["mazowieckie", "małopolskie", "mazowieckie", "łódzkie"]
CODES = ["00-950", "31-100", "27-100", "98-332"]
TAX = ["9001000001", "9001000076", "5260250995", "5252344078"]
IDS = [f"0015g00000{i:05d}AAC" for i in range(N)]
FIRMS = [f"Piekarnia Żuraw {i} Sp. z o.o." for i in range(N)]


def turn(values):
    return [values[i % len(values)] for i in range(N)]


LAT = [f"{51 + i / 7:.5f}" for i in range(N)]
LON = [f"{16 + i / 5:.5f}" for i in range(N)]
DAYS = [f"2026-03-{i + 1:02d}" for i in range(N)]
STAMPS = [f"2025-03-{i + 1:02d}T09:00:00.000Z" for i in range(N)]
MONEY = [f"{1000 + 37 * i},50 zł" for i in range(N)]

SALESFORCE_ACCOUNTS = {
    "Id": IDS,
    "IsDeleted": ["false"] * N,
    "Name": FIRMS,
    "Type": turn(["Customer - Direct", "Prospect"]),
    "ParentId": turn(["", IDS[0]]),
    "BillingStreet": [f"ul. Długa {i}" for i in range(N)],
    "BillingCity": turn(TOWNS),
    "BillingState": turn(REGIONS),
    "BillingPostalCode": turn(CODES),
    "BillingLatitude": LAT,
    "BillingLongitude": LON,
    "ShippingLatitude": [""] * N,
    "ShippingLongitude": [""] * N,
    "Phone": [f"+48 600 000 {i:03d}" for i in range(N)],
    "Industry": turn(["Food", "Retail", "Energy"]),
    "AnnualRevenue": [str(10**6 + 7919 * i) for i in range(N)],
    "NumberOfEmployees": turn(["3", "12", "300"]),
    "OwnerId": turn(["0055g000001AAB", "0055g000002AAB"]),
    "CreatedDate": STAMPS,
    "LastModifiedDate": STAMPS,
    "NIP__c": turn(TAX),
}
SALESFORCE_OPPORTUNITIES = {
    "Id": [f"0065g00000{i:05d}AAC" for i in range(N)],
    "AccountId": turn(IDS[:5]),
    "Name": [f"Deal {i}" for i in range(N)],
    "StageName": turn(["Prospecting", "Closed Won", "Closed Lost"]),
    "Amount": [f"{900 + i}.0" for i in range(N)],
    "ExpectedRevenue": [f"{90 + i}.5" for i in range(N)],
    "CloseDate": DAYS,
    "Type": turn(["New Business", "Existing Business"]),
    "LeadSource": turn(["Web", "Referral"]),
    "IsClosed": turn(["false", "true", "true"]),
    "IsWon": turn(["false", "true", "false"]),
    "OwnerId": turn(["0055g000001AAB", "0055g000002AAB"]),
    "CreatedDate": STAMPS,
    "LastModifiedDate": STAMPS,
}
HUBSPOT_COMPANIES = {
    "Record ID": [str(9000000 + 7 * i) for i in range(N)],
    "Company name": FIRMS,
    "Company owner": turn(["Ewa Lis", "Jan Dąb"]),
    "Create Date": [f"{d} 09:00" for d in DAYS],
    "City": turn(TOWNS),
    "State/Region": turn(REGIONS),
    "Postal Code": turn(CODES),
    "Latitude": LAT,
    "Longitude": LON,
    "Industry": turn(["FOOD_PRODUCTION", "RETAIL"]),
    "Lifecycle Stage": turn(["Lead", "Customer", "Opportunity"]),
    "Number of Employees": turn(["3", "12", "300"]),
    "Annual Revenue": [str(10**6 + 7919 * i) for i in range(N)],
}
HUBSPOT_DEALS = {
    "Record ID": [str(7000000 + 7 * i) for i in range(N)],
    "Deal Name": [f"Deal {i}" for i in range(N)],
    "Deal Stage": turn(["Appointment Scheduled", "Closed Won", "Closed Lost"]),
    "Close Date": [f"{d} 12:00" for d in DAYS],
    "Deal owner": turn(["Ewa Lis", "Jan Dąb"]),
    "Amount": [str(900 + i) for i in range(N)],
    "Create Date": [f"{d} 12:00" for d in DAYS],
    "Associated Company": turn(FIRMS[:5]),
    "Associated Company IDs": turn(["9000000", "9000007", "9000014"]),
    "Is Closed Won": turn(["false", "true", "false"]),
    "Is Deal Closed?": turn(["false", "true", "true"]),
    "Deal Type": turn(["newbusiness", "existingbusiness"]),
    "Original Traffic Source": turn(["Organic Search", "Offline Sources"]),
}
POLISH_ERP = {
    "Lp.": [str(i + 1) for i in range(N)],
    "Kod klienta": [f"K{i:04d}" for i in range(N)],
    "Kontrahent": FIRMS,
    "NIP": turn(TAX),
    "Ulica": [f"ul. Długa {i}" for i in range(N)],
    "Kod pocztowy": turn(CODES),
    "Miejscowość": turn(TOWNS),
    "Województwo": turn(REGIONS),
    "Szer. geogr.": [v.replace(".", ",") for v in LAT],
    "Dł. geogr.": [v.replace(".", ",") for v in LON],
    "Branża": turn(["piekarnie", "handel"]),
    "Liczba pracowników": turn(["3", "12", "300"]),
    "Obrót netto 2024 [zł]": MONEY[::-1],
    "Obrót netto 2025 [zł]": MONEY,
    "Opiekun": turn(["Ewa Lis", "Jan Dąb"]),
    "Zgoda e-mail": turn(["tak", "nie"]),
    "Klient od": [f"{i + 1}.05.2019" for i in range(N)],
}
POLISH_SALES = {
    "Nr faktury": [f"FV/{i}/2026" for i in range(N)],
    "Data wystawienia": [f"{i + 1:02d}.03.2026" for i in range(N)],
    "Kod kontrahenta": turn(["K0001", "K0002", "K0003"]),
    "Wartość netto": MONEY,
    "Wartość brutto": MONEY[::-1],
    "Grupa towarowa": turn(["papier", "odzież BHP"]),
}
POLISH_REPS = {
    "Symbol PH": [f"PH{i:02d}" for i in range(N)],
    "Imię i nazwisko": [
        f"{first} {last}"
        for first in ("Ewa", "Jan", "Ada")
        for last in ("Lis", "Dąb", "Wilk", "Żuk", "Jeż", "Ryś", "Łoś", "Kos", "Sum", "Bąk")
    ][:N],
    "Etat": turn(["1", "0,5", "1"]),
    "Stanowisko": turn(["przedstawiciel handlowy", "KAM"]),
    "Miasto zamieszkania": turn(TOWNS),
    "Data zatrudnienia": [f"{i % 28 + 1}.05.2019" for i in range(N)],
    "Koszt roczny": ["168 000,00 zł"] * N,
}
POLISH_DEALS = {
    "Nr szansy": [f"SZ/{i:04d}" for i in range(N)],
    "Nr klienta": turn(["K0001", "K0002", "K0003"]),
    "Data utworzenia": [f"{i % 28 + 1:02d}.03.2026" for i in range(N)],
    "Planowane zamknięcie": [f"{i % 28 + 1:02d}.06.2026" for i in range(N)],
    "Etap": turn(["Nowa", "Oferta", "Wygrana"]),
    "Kwota": MONEY,
    "Opiekun": turn(["PH01", "PH02"]),
}
PLACE = ["town", "region", "postal_code"]
EXPORTS = [
    (SALESFORCE_ACCOUNTS, "accounts", {
        "account_id": "Id", "name": "Name", "lat": "BillingLatitude", "lon": "BillingLongitude",
        "status": "Type", "industry": "Industry", "employees": "NumberOfEmployees",
        "town": "BillingCity", "street": "BillingStreet",
        "region": "BillingState", "postal_code": "BillingPostalCode",
        "tax_id": "NIP__c",
    }),
    (SALESFORCE_OPPORTUNITIES, "opportunities", {
        "opp_id": "Id", "account_id": "AccountId", "created_date": "CreatedDate",
        "close_date": "CloseDate", "stage": "StageName", "is_closed": "IsClosed",
        "is_won": "IsWon", "amount": "Amount", "type": "Type", "lead_source": "LeadSource",
        "rep_id": "OwnerId",
    }),
    (HUBSPOT_COMPANIES, "accounts", {
        "account_id": "Record ID", "name": "Company name", "lat": "Latitude", "lon": "Longitude",
        "status": "Lifecycle Stage", "industry": "Industry", "employees": "Number of Employees",
        "town": "City", "region": "State/Region", "postal_code": "Postal Code",
    }),
    (HUBSPOT_DEALS, "opportunities", {
        "opp_id": "Record ID", "account_id": "Associated Company IDs",
        "created_date": "Create Date", "close_date": "Close Date", "stage": "Deal Stage",
        "is_closed": "Is Deal Closed?", "is_won": "Is Closed Won", "amount": "Amount",
        "type": "Deal Type", "lead_source": "Original Traffic Source", "rep_id": "Deal owner",
    }),
    (POLISH_ERP, "accounts", {
        "account_id": "Kod klienta", "name": "Kontrahent", "lat": "Szer. geogr.",
        "lon": "Dł. geogr.", "revenue": "Obrót netto 2025 [zł]", "industry": "Branża",
        "employees": "Liczba pracowników", "town": "Miejscowość", "region": "Województwo",
        "postal_code": "Kod pocztowy", "tax_id": "NIP", "consent_email": "Zgoda e-mail",
        "customer_since": "Klient od", "street": "Ulica",
    }),
    (POLISH_SALES, "sales", {
        "account_id": "Kod kontrahenta", "date": "Data wystawienia", "amount": "Wartość netto",
        "product_line": "Grupa towarowa",
    }),
    (POLISH_REPS, "reps", {
        "rep_id": "Symbol PH", "name": "Imię i nazwisko", "home_town": "Miasto zamieszkania",
        "role": "Stanowisko", "fte": "Etat", "cost_year": "Koszt roczny",
        "hired": "Data zatrudnienia",
    }),
    (POLISH_DEALS, "opportunities", {
        "opp_id": "Nr szansy", "account_id": "Nr klienta", "created_date": "Data utworzenia",
        "close_date": "Planowane zamknięcie", "stage": "Etap", "amount": "Kwota",
        "rep_id": "Opiekun",
    }),
]  # fmt: skip
NAMED = [
    "salesforce accounts",
    "salesforce deals",
    "hubspot companies",
    "hubspot deals",
    "erp",
    "sales",
    "reps",
    "deals of an erp",
]


def found_in(rows, table="accounts"):
    return propose(pd.DataFrame(rows), table).set_index("column")


def written(folder, rows, name="export.csv", encoding="utf-8"):
    pd.DataFrame(rows).to_csv(folder / name, index=False, sep=";", encoding=encoding)
    return folder / name


@pytest.mark.parametrize(("rows", "table", "expected"), EXPORTS, ids=NAMED)
def test_an_export_is_told_and_all_its_columns_are_sure(rows, table, expected):
    assert guess_table(pd.DataFrame(rows))[0] == table
    found = found_in(rows, table)
    assert found["theirs"].to_dict() == expected
    assert found["sure"].min() >= CERTAIN


@pytest.mark.parametrize("rows", [SALESFORCE_ACCOUNTS, HUBSPOT_COMPANIES, POLISH_ERP])
def test_a_lone_export_becomes_a_market_without_a_mapping(tmp_path, rows):
    path = written(tmp_path, rows, encoding="cp1250")
    market = load_market(simplest_settings(path), tmp_path)
    assert len(market.accounts) == N
    assert market.accounts["town"].tolist() == turn(TOWNS)
    assert set(market.accounts["status"]) <= {"customer", "prospect"}
    assert "unknown_status" not in set(market.quality["rule"])


def test_the_customers_own_turnover_is_not_our_revenue():
    found = found_in(SALESFORCE_ACCOUNTS)
    assert "revenue" not in found.index and "potential" not in found.index
    text = as_yaml(found.reset_index(), "a.csv", "accounts", pd.DataFrame(SALESFORCE_ACCOUNTS))
    assert "# not used: AnnualRevenue (the customer's own turnover" in text


def test_all_time_revenue_is_no_certain_revenue():
    found = found_in({**HUBSPOT_COMPANIES, "Total Revenue": MONEY})
    assert LEAST < found.loc["revenue", "sure"] < CERTAIN
    assert "all time" in found.loc["revenue", "why"]


def test_headers_without_meaning_are_told_by_content_and_never_sure_by_it_where_it_could_be_other():
    kept = ["Kod klienta", "Kontrahent", "NIP", "Kod pocztowy", "Miejscowość", "Województwo",
            "Szer. geogr.", "Dł. geogr.", "Liczba pracowników", "Obrót netto 2025 [zł]"]  # fmt: skip
    rows = {f"c{i}": POLISH_ERP[name] for i, name in enumerate(kept, 1)}
    found = found_in(rows)
    assert found["theirs"].to_dict() == {
        "account_id": "c1", "name": "c2", "tax_id": "c3", "postal_code": "c4", "town": "c5",
        "region": "c6", "lat": "c7", "lon": "c8", "employees": "c9", "revenue": "c10",
    }  # fmt: skip
    assert found["why"].str.startswith("by content alone").all()
    assert set(found.index[found["sure"] >= CERTAIN]) == {"tax_id", "postal_code", "region"}
    assert guess_table(pd.DataFrame(rows))[0] == "accounts"


def test_swapped_coordinates_keep_their_names_and_are_not_believed():
    rows = {**POLISH_ERP, "Szer. geogr.": LON, "Dł. geogr.": LAT}
    found = found_in(rows)
    for column, theirs in (("lat", "Szer. geogr."), ("lon", "Dł. geogr.")):
        assert found.loc[column, "theirs"] == theirs
        assert found.loc[column, "sure"] < 0.5
        assert "look swapped" in found.loc[column, "why"]


@pytest.mark.parametrize(
    ("column", "name", "cells", "why"),
    [
        ("employees", "Liczba pracowników", turn(["10-49", "50-249"]), "no numbers of people"),
        ("lat", "Latitude", [str(48000 + i) for i in range(N)], "outside -90 to 90"),
        ("customer_since", "Klient od", ["3/4/2026"] * N, "read two ways"),
        ("customer_since", "Klient od", ["dawno"] * N, "no days"),
        ("postal_code", "Kod pocztowy", ["Warszawa"] * N, "no postal codes"),
        ("consent_email", "Zgoda e-mail", turn(["być może", "tak"]), "neither yes nor no"),
        ("revenue", "Obrót", turn(["dużo", "mało"]), "no numbers"),
        ("revenue", "Obrót (tys. zł)", MONEY, "in thousands"),
        ("industry", "Branża", FIRMS, "nearly every text is another"),
    ],
)
def test_content_that_contradicts_a_name_leaves_a_guess(column, name, cells, why):
    found = found_in({"Kod klienta": POLISH_ERP["Kod klienta"], name: cells})
    assert found.loc[column, "theirs"] == name
    assert LEAST <= found.loc[column, "sure"] < CERTAIN
    assert why in found.loc[column, "why"]


def test_an_id_that_repeats_is_taken_all_the_same_so_that_the_gate_can_say_so(tmp_path):
    path = written(tmp_path, {**POLISH_ERP, "Kod klienta": turn(["K1", "K2", "K3"])})
    columns = simplest_settings(path).tables["accounts"].columns
    assert columns["account_id"] == "Kod klienta"


def test_a_column_under_our_own_name_stays_and_none_is_put_on_it(tmp_path):
    path = written(tmp_path, {**POLISH_ERP, "revenue": MONEY})
    assert "revenue" not in simplest_settings(path).tables["accounts"].columns


@pytest.mark.parametrize(("rows", "table", "expected"), EXPORTS, ids=NAMED)
def test_the_order_of_the_columns_plays_no_part(rows, table, expected):
    frame = pd.DataFrame(rows)
    turned = propose(frame[frame.columns[::-1]], table)
    pd.testing.assert_frame_equal(turned, propose(frame, table))


@pytest.mark.parametrize(("rows", "table", "expected"), EXPORTS, ids=NAMED)
def test_the_yaml_loads_as_settings_with_the_same_mapping(rows, table, expected):
    frame = pd.DataFrame(rows)
    text = as_yaml(propose(frame, table), "mój plik: #1.csv", table, frame)
    loaded = make_settings(yaml.safe_load(text)).tables[table]
    assert loaded.columns == expected
    assert loaded.file == "mój plik: #1.csv"


ODD = [
    "Lat\n  evil: true",
    "lat: !!python/object/apply:os.system [ls]",
    "<script>alert(1)</script> lat",
    "'lat\" # lon",
    "lat\u2028x",
    "\x1b[31mlat",
    "{lat}",
    "- lat",
    "*lat",
    "%lat",
    "null",
]


@pytest.mark.parametrize("name", ODD)
def test_a_header_that_is_code_comes_out_as_text(name):
    # A row that maps it, whatever the proposal would say, and one that leaves it out.
    mapped = pd.DataFrame(
        [("lat", name, 0.5, f"why {name}")], columns=["column", "theirs", "sure", "why"]
    )
    rows = pd.DataFrame({name: ["1"], "other " + name: ["2"]})
    text = as_yaml(mapped, name, "accounts", rows)
    assert yaml.safe_load(text) == {
        "tables": {"accounts": {"file": name, "columns": {"lat": name}}}
    }
    assert all(c.isprintable() for line in text.split("\n") for c in line)


CELLS = st.sampled_from([*LAT[:3], *LON[:3], *DAYS[:2], "", "tak", "nie", "K1", "K2", *TAX, *CODES,
                         *TOWNS, *REGIONS, *MONEY[:2], "1e999", "9" * 400, "½", "0"])  # fmt: skip
HEADS = st.one_of(
    st.sampled_from([name for rows, _, _ in EXPORTS for name in rows]),
    st.sampled_from([c for table in NAMES for c in COLUMNS[table]]),
    st.text(max_size=12),
)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(sorted(NAMES)))
def test_every_foreign_column_at_most_once_and_every_one_over_the_threshold(data, table):
    heads = data.draw(st.lists(HEADS, min_size=1, max_size=8))
    n = data.draw(st.integers(0, 5))
    cells = [data.draw(st.lists(CELLS, min_size=n, max_size=n)) for _ in heads]
    rows = pd.DataFrame(dict(enumerate(cells)), dtype=str).set_axis(heads, axis=1)
    found = propose(rows, table)
    assert not found["theirs"].duplicated().any() and not found["column"].duplicated().any()
    assert found["sure"].between(LEAST, 1).all()
    assert set(found["column"]) <= set(COLUMNS[table])
    assert set(found["theirs"]) <= set(heads)
    text = as_yaml(found, "a.csv", table, rows)
    assert make_settings(yaml.safe_load(text)).tables[table].columns == dict(
        zip(found["column"], found["theirs"], strict=True)
    )


def test_check_prints_the_proposal_and_goes_on(tmp_path, capsys):
    path = written(tmp_path, POLISH_ERP)
    assert main(["check", str(path), "--territories", "2", "--locale", "en"]) == 0
    told = capsys.readouterr().out
    assert "account_id: Kod klienta  # 94%" in told
    assert "export.csv looks like a table of accounts" in told
    assert "The data can be used" in told
    (tmp_path / "settings.yml").write_text(told.split("\n\n")[0], encoding="utf-8")
    assert len(load_market(load_settings(tmp_path / "settings.yml"), tmp_path).accounts) == N


def test_check_of_a_table_that_is_no_accounts_stops_with_a_friendly_sentence(tmp_path, capsys):
    assert main(["check", str(written(tmp_path, POLISH_SALES))]) == 0
    told = capsys.readouterr().out
    assert "date: Data wystawienia  # 9" in told
    assert "looks like a table of sales" in told
    assert "beside a table of accounts" in told


@pytest.mark.parametrize("rows", [POLISH_REPS, POLISH_DEALS], ids=["reps", "deals"])
def test_telling_columns_tell_a_table_that_lacks_others(tmp_path, capsys, rows):
    few = dict(list(rows.items())[:1] + list(rows.items())[2:])
    few.pop("Data utworzenia", None)
    whole = guess_table(pd.DataFrame(rows))
    table, sure = guess_table(pd.DataFrame(few))
    assert table == whole[0]
    assert sure > CERTAIN
    assert main(["check", str(written(tmp_path, rows)), "--locale", "en"]) == 0
    told = capsys.readouterr().out
    assert f"{whole[1]:.0%} sure" in told
    assert "needed, and not found" not in told


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ("szer.", "dł."),
        ("szer. geogr.", "dł. geogr."),
        ("szer. geogr.", "dług."),
        ("szer.", "dług. geogr."),
    ],
)
def test_short_names_of_coordinates_are_as_sure_as_long_ones(tmp_path, lat, lon):
    names = {"Szer. geogr.": lat, "Dł. geogr.": lon}
    rows = {names.get(name, name): cells for name, cells in POLISH_ERP.items()}
    found = found_in(rows)
    assert found.loc[["lat", "lon"], "theirs"].tolist() == [lat, lon]
    assert found.loc["lat", "sure"] == found.loc["lon", "sure"] >= CERTAIN
    path = written(tmp_path, rows)
    assert len(load_market(simplest_settings(path), tmp_path).accounts) == N


def test_check_prints_the_proposal_before_it_refuses(tmp_path, capsys):
    rows = {k: v for k, v in POLISH_ERP.items() if "geogr" not in k}
    main(["check", str(written(tmp_path, rows)), "--territories", "2"])
    told = capsys.readouterr()
    assert "# lat: needed, and not found" in told.out
    assert "postal_code: Kod pocztowy" in told.out


@pytest.mark.skipif(not IOWA.is_dir(), reason=f"the real files are not at {IOWA}")
def test_the_raw_real_files_are_told():
    stores = read_lone(IOWA / "stores_2022Q3.csv")
    given = yaml.safe_load((Path(__file__).parent / "real" / "iowa.yml").read_text("utf-8"))
    assert guess_table(stores)[0] == "accounts"
    found = propose(stores).set_index("column")
    used = given["tables"]["accounts"]["columns"]
    assert found["theirs"].to_dict() == used
    # A and I are no words: what they mean is asked.
    assert found.index[found["sure"] < CERTAIN].tolist() == ["status"]
    assert guess_table(read_lone(IOWA / "monthly_sales_2022.csv"))[0] == "sales"


def test_check_of_a_lone_table_ends_with_the_next_command(tmp_path, capsys):
    path = written(tmp_path, POLISH_ERP)
    assert main(["check", str(path), "--locale", "en"]) == 0
    assert f"terrlib plan {path} --territories K" in capsys.readouterr().out


def test_metres_are_coordinates_and_months_are_no_millions():
    rows = pd.DataFrame(
        {
            "Nr klienta": [f"{i:04d}" for i in range(N)],
            "X": [f"{600_000 + 937.5 * i}" for i in range(N)],
            "Y": [f"{480_000 + 731.5 * i}" for i in range(N)],
            "Sprzedaż netto 12 m-cy": MONEY,
        }
    )
    found = propose(rows).set_index("column")
    assert found.loc[["lat", "lon"], "theirs"].tolist() == ["Y", "X"]
    assert (found.loc[["lat", "lon"], "sure"] > CERTAIN).all()
    assert "million" not in found.loc["revenue", "why"]
