"""Duplicates, keys, totals, currencies and countries: every rule by hand, every row and grosz kept."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib import tables, tell
from terrlib.cli import main
from terrlib.errors import DataError, SettingsError
from terrlib.inputs import duplicates, quality
from terrlib.inputs.files import NUMBER, as_it_was, harmless
from terrlib.inputs.load import load_market
from terrlib.inputs.quality import RULES, Ledger, amounts, money_of, severities
from terrlib.inputs.settings import Quality, Settings, make_settings
from terrlib.inputs.tables import COLUMNS
from terrlib.inputs.trust import trust
from terrlib.inputs.values import each
from terrlib.measures.winning import open_deals
from terrlib.runs import Run, read_table, write_findings, write_table
from terrlib.show.words import Words

ROWS = [
    {"account_id": f"K{i:02d}", "name": f"Firma {i}x", "lat": 52 + i / 50, "lon": 21 + i / 50}
    for i in range(12)
]
EVIL = [
    '=HYPERLINK("http://x")',
    "+48 600 100 200",
    "-cmd|' /C calc'!A0",
    "@SUM(1)",
    "＝1+1",
    "'=1",
    "''@x",
    "'plain",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1)) | `c` $m$",
]


def market_of(folder, accounts, asked=None, **more):
    """A market of the twelve firms and some more, with further tables given as rows."""
    given_tables = {
        "accounts": [*({"revenue": 100 + i} | r for i, r in enumerate(ROWS)), *accounts]
    }
    for name, rows in (given_tables | more).items():
        pd.DataFrame(rows).astype(object).fillna("").to_csv(folder / f"{name}.csv", index=False)
    files = {name: f"{name}.csv" for name in given_tables | more}
    return load_market(make_settings({"tables": files, "quality": asked or {}}), folder)


def firm(key, **more):
    return {
        "account_id": key,
        "name": f"Nazwa {key}",
        "lat": 52.1,
        "lon": 21.3,
        "revenue": 50,
    } | more


def found(market, rule):
    rows = market.quality[market.quality["rule"] == rule]
    return dict(zip(rows["key"], rows["severity"], strict=True))


# ---------------------------------------------------------------------------- duplicates


def accounts_of(rows):
    blank = {"name": "", "tax_id": "", "street": "", "postal_code": "", "town": "", "revenue": 0.0}
    lone = [
        {"account_id": str(i), "lat": np.nan, "lon": np.nan} | blank | r for i, r in enumerate(rows)
    ]
    return pd.DataFrame(lone)


def proposed(rows):
    out = duplicates.propose(accounts_of(rows))
    return [tuple(r) for r in out[["account_id", "merge_into", "kind", "rule"]].to_numpy()]


NIP, OTHER = "5260250995", "9001000001"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (
            {"tax_id": NIP, "town": "Łódź"},
            {"tax_id": "526-025-09-95", "town": "LODZ"},
            "tax_and_place",
        ),
        ({"tax_id": NIP, "town": "Łódź"}, {"tax_id": NIP}, "tax_only"),
        (
            {"tax_id": NIP, "town": "Łódź", "street": "ul. Długa 1"},
            {"tax_id": NIP, "town": "Łódź", "street": "Krótka 2"},
            "tax_other_street",
        ),
        (
            {"name": "Żuk S.A.", "postal_code": "00-950"},
            {"name": "ZUK", "postal_code": "00950"},
            "name_and_postal_code",
        ),
        (
            {"name": "Żuk", "town": "Łódź"},
            {"name": "Żuk sp. z o.o.", "town": "lodz"},
            "name_and_town",
        ),
        (
            {"name": "Hurtownia Zielony Jeż", "town": "Łódź"},
            {"name": "Zielony Jerz Hurtownia", "town": "Łódź"},
            "near_name",
        ),
    ],
)
def test_one_firm_twice_is_proposed_with_its_reason(a, b, said):
    kind = "certain" if said in duplicates.CERTAIN else "likely"
    merge = [r for r in proposed([a | {"revenue": 1.0}, b | {"revenue": 9.0}]) if r[1]]
    assert merge == [("0", "1", kind, said)]
    assert [r[:2] for r in proposed([a, b]) if r[1]] == [("1", "0")]  # a tie goes by id


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"name": "Friendly Bike", "town": "Łódź"}, {"name": "Friendly Bike", "town": "Kutno"}),
        (
            {"name": "Żuk", "town": "Łódź", "tax_id": NIP},
            {"name": "Żuk", "town": "Łódź", "tax_id": OTHER},
        ),
        ({"name": "Sklep Ryś 12", "town": "Łódź"}, {"name": "Sklep Ryś 13", "town": "Łódź"}),
        (
            {"name": "Żuk", "town": "Łódź", "street": "Długa 1"},
            {"name": "Żuk", "town": "Łódź", "street": "Nowa 2"},
        ),
        ({"tax_id": "1111111111", "town": "Łódź"}, {"tax_id": "1111111111", "town": "Łódź"}),
        ({}, {}),
    ],
)
def test_different_customers_are_left_alone(a, b):
    assert [r for r in proposed([a, b]) if r[1]] == []


def test_branches_are_one_firm_and_neighbours_one_site():
    branches = [{"tax_id": NIP, "town": town} for town in ("Łódź", "Kutno", "Radom")]
    assert {r[1:] for r in proposed(branches)} == {("", "firm", "one_firm")}
    assert "one firm, 3 sites" in duplicates.propose(accounts_of(branches))["reason"][0]
    house = [{"name": n, "town": "Łódź", "street": "Długa 1"} for n in ("Piekarz", "Szewc")]
    assert proposed(house) == [("0", "", "site", "one_site"), ("1", "", "site", "one_site")]
    point = [{"name": n, "lat": 52.1, "lon": 21.0} for n in ("Piekarz", "Szewc")]
    assert {r[2] for r in proposed(point)} == {"site"}
    pile = [{"name": f"n{c}", "lat": 52.1, "lon": 21.0} for c in "abcdefghijk"]
    assert proposed(pile) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "Żuk SA", "zuk", "Lis"]),
            st.sampled_from(["", NIP, OTHER, "123"]),
            st.sampled_from(["Łódź", "Kutno"]),
            st.integers(0, 3),
        ),
        max_size=7,
    )
)
def test_groups_are_those_of_brute_force(rows):
    rows = [dict(zip(("name", "tax_id", "town", "revenue"), r, strict=True)) for r in rows]
    tax = [r["tax_id"] if r["tax_id"] in {NIP, OTHER} else "" for r in rows]
    name = [quality.fold(r["name"]) for r in rows]
    group = list(range(len(rows)))
    for i, j in itertools.combinations(range(len(rows)), 2):
        here = [
            k for k, r in enumerate(rows) if r["town"] == rows[i]["town"] and name[k] == name[i]
        ]
        firms = {tax[k] for k in here} - {""}
        same_name = name[i] == name[j] != "" and (len(firms) < 2 or tax[i] == tax[j])
        if rows[i]["town"] == rows[j]["town"] and (tax[i] == tax[j] != "" or same_name):
            group = [group[i] if g == group[j] else g for g in group]
    best = {
        g: min(
            (k for k in range(len(rows)) if group[k] == g), key=lambda k: (-rows[k]["revenue"], k)
        )
        for g in set(group)
    }
    expected = {(str(k), str(best[g])) for k, g in enumerate(group) if best[g] != k}
    assert {r[:2] for r in proposed(rows) if r[1]} == expected


# ---------------------------------------------------------------------------- keys and totals


def test_rows_without_an_account_stop_the_run_above_the_limit(tmp_path):
    sales = [{"account_id": "K01", "date": "2026-09-01", "amount": 90}]
    sales += [{"account_id": "GHOST", "date": "2026-09-02", "amount": 10}]
    with pytest.raises(DataError, match=r"10\.0% of the sales .* GHOST; at most 5% may"):
        market_of(tmp_path, [], sales=sales)
    market = market_of(tmp_path, [], {"max_orphan_revenue": 0.1}, sales=sales)
    assert list(found(market, "orphan").values()) == ["set_aside"]


def test_sales_of_an_account_set_aside_are_no_strangers(tmp_path):
    sales = [{"account_id": "Z", "date": "2026-09-01", "amount": 90}]
    market = market_of(tmp_path, [firm("Z", lat="", lon="")], sales=sales)
    assert found(market, "no_coordinates") == {"Z": "set_aside"}
    assert market.quality.set_index("rule").loc["account_set_aside", "money"] == 90
    assert not found(market, "orphan")


@pytest.mark.parametrize("kept", [0, 11])
def test_ids_that_lost_their_zeros_find_their_account_in_every_table(tmp_path, kept):
    ids = [f"{i:06d}" for i in range(1, 13)]
    own = [row | {"account_id": one, "revenue": 1} for row, one in zip(ROWS, ids, strict=True)]
    stripped = [one if i < kept else one.lstrip("0") for i, one in enumerate(ids)]
    tables = {
        "accounts": own,
        "sales": [{"account_id": one, "date": "2026-09-01", "amount": 5} for one in stripped],
        "activities": [{"account_id": one, "date": "2026-09-01"} for one in stripped],
        "assignments": [{"account_id": one, "territory": "T"} for one in stripped],
        "opportunities": [
            {"opp_id": f"O{one}", "account_id": one, "created_date": "2026-09-01", "amount": 5}
            | {"is_closed": "no", "is_won": "no"}
            for one in stripped
        ],
        "overrides": [{"unit_id": stripped[-1], "territory": "T", "reason": "r"}],
    }
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    files = {name: f"{name}.csv" for name in tables}
    market = load_market(make_settings({"tables": files}), tmp_path)
    for rows in (market.sales, market.activities, market.assignments, market.opportunities):
        assert sorted(rows["account_id"]) == ids
    assert market.overrides["unit_id"].tolist() == [ids[-1]]
    noted = market.quality[market.quality["rule"] == "code_repaired"]
    assert noted["table"].value_counts().to_dict() == {
        "activities": 12 - kept,
        "assignments": 12 - kept,
        "opportunities": 12 - kept,
        "overrides": 1,
        "sales": 12 - kept,
    }


def test_one_industry_in_two_spellings_is_one(tmp_path):
    kinds = ["hotele", "Hotele", "hotele", "HOTELE ", "handel", "Handel"]
    rows = [firm(f"H{i}", lat=52.2 + i / 20, industry=kind) for i, kind in enumerate(kinds)]
    market = market_of(tmp_path, rows)
    told = market.accounts["industry"].loc[[f"H{i}" for i in range(6)]]
    assert told.tolist() == ["hotele"] * 4 + ["Handel"] * 2
    assert found(market, "spelling_merged") == {"H1": "note", "H3": "note", "H4": "note"}


@pytest.mark.parametrize("name", ["TEST nie używać", "Firma testowa - do usunięcia"])
def test_a_test_account_gets_no_territory(tmp_path, name):
    market = market_of(tmp_path, [firm("Z", name=name)])
    assert found(market, "internal_account") == {"Z": "set_aside"}
    assert "Z" not in market.accounts.index


def test_areas_and_territories_that_are_nowhere_are_told(tmp_path, capsys):
    given_tables = {
        "assignments": [{"account_id": r["account_id"], "territory": "Rejon 1"} for r in ROWS],
        "overrides": [
            {"unit_id": "K01", "territory": "T03", "reason": "r"},
            {"unit_id": "K02", "territory": "Rejon 1", "reason": "r"},
        ],
        "distributors": [{"distributor_id": "P1", "discount_rate": 0.2}],
        "distributor_areas": [
            {"distributor_id": "P1", "area_id": "podlaskie", "coverage_rate": 0.8}
            | {"exclusive": "tak"}
        ],
    }
    market = market_of(tmp_path, [], **given_tables)
    assert list(found(market, "unknown_area").values()) == ["set_aside"]
    assert len(found(market, "unknown_territory")) == 1
    assert not len(market.distributor_areas)
    files = "".join(f"  {name}: {name}.csv\n" for name in ["accounts", *given_tables])
    text = f"locale: en\nterritories: {{count: 2}}\ntables:\n{files}"
    (tmp_path / "settings.yml").write_text(text, encoding="utf-8")
    main(["check", str(tmp_path / "settings.yml")])
    told = capsys.readouterr().out
    assert "Give a table areas with its area_id." in told
    assert "no present territory is called so" in told


def test_a_consent_that_is_not_known_is_none_and_known_to_be_unknown(tmp_path):
    rows = [
        firm("A", consent_email="nie"),
        firm("B", lat=52.2),
        firm("C", lat=52.3, consent_sms="tak"),
    ]
    accounts = market_of(tmp_path, rows).accounts.loc[["A", "B", "C"]]
    assert accounts["consents_known"].tolist() == [True, False, True]
    assert not accounts["consent_email"].any()


def test_an_id_that_two_accounts_fit_stays_unknown(tmp_path):
    sales = [{"account_id": "07", "date": "2026-09-01", "amount": 5}]
    market = market_of(
        tmp_path, [firm("007"), firm("7", lat=52.3)], {"max_orphan_revenue": 1}, sales=sales
    )
    assert len(found(market, "orphan")) == 1
    assert not found(market, "code_repaired")


def test_totals_are_found_by_name_and_by_their_sum(tmp_path):
    rows = [
        firm("", name="P O L S K A", revenue=99_999),
        firm("", name="Mazowsze", revenue=sum(100 + i for i in range(12))),
        firm("00", name="Razem", revenue=sum(100 + i for i in range(12))),
        firm("", name="Bez kodu", revenue=7),
        firm("S1", name="Suma", revenue=5),
    ]
    rows[2]["account_id"] = ""
    market = market_of(tmp_path, rows)
    reason = market.set_aside["accounts"].set_index("name")["reason"].to_dict()
    assert reason == {
        "P O L S K A": "total_row",
        "Mazowsze": "total_row",
        "Razem": "total_row",
        "Bez kodu": "no_id",
    }
    assert "S1" in market.accounts.index
    totals = market.quality[market.quality["rule"] == "total_row"]
    assert (totals["money"] == 0).all() and "99999" in set(totals["value"])


def test_countries_by_code_and_by_name(tmp_path):
    rows = [
        firm(k, country=c)
        for k, c in zip("abcde", ("Niemcy", "DE", "Polska", "pl", "??"), strict=True)
    ]
    market = market_of(tmp_path, rows)
    assert found(market, "foreign_country") == {"a": "set_aside", "b": "set_aside"}
    assert found(market, "unknown_country") == {"e": "note"}
    kept = market_of(tmp_path, rows, {"countries": "keep"})
    assert (
        found(kept, "foreign_country") == {"a": "note", "b": "note"} and "a" in kept.accounts.index
    )


def test_a_file_of_another_country_is_told_so(tmp_path):
    pd.DataFrame([r | {"country": "USA"} for r in ROWS]).to_csv(tmp_path / "a.csv", index=False)
    asked = make_settings({"tables": {"accounts": "a.csv"}})
    with pytest.raises(DataError, match="every account is in US, none in PL: say country: US"):
        load_market(asked, tmp_path)


def test_currencies_are_converted_by_a_rate_or_set_aside_with_their_money(tmp_path):
    rows = [
        firm("E", revenue="10,01 €"),
        firm("U", revenue=20, currency="usd"),
        firm("P", revenue="5 zł"),
    ]
    market = market_of(tmp_path, rows)
    assert found(market, "foreign_currency") == {"E": "set_aside", "U": "set_aside"}
    aside = market.set_aside["accounts"].set_index("account_id")["revenue"]
    assert aside.to_dict() == {"E": 10.01, "U": 20.0}
    rated = market_of(tmp_path, rows, {"rates": {"EUR": 4.3}})
    assert rated.accounts["revenue"][["E", "P"]].tolist() == [43.04, 5.0]
    assert found(rated, "converted") == {"E": "note"}
    assert found(rated, "foreign_currency") == {"U": "set_aside"}


def test_status_words_of_both_languages(tmp_path):
    words = {
        "klient": "customer",
        "Potencjalny": "prospect",
        "były": "lost",
        "NIEAKTYWNY": "inactive",
        "Lead": "prospect",
        "Customer": "customer",
        "Former customer": "lost",
        "kosmita": "customer",
    }
    market = market_of(tmp_path, [firm(f"s{i}", status=w) for i, w in enumerate(words)])
    assert market.accounts["status"][[f"s{i}" for i in range(8)]].tolist() == list(words.values())
    assert found(market, "unknown_status") == {"s7": "note"}
    assert set(found(market, "status_mapped")) == {"s0", "s1", "s2", "s3", "s4", "s6"}
    without = market_of(tmp_path, [firm("x", status="zamknięty")], {"inactive": "aside"})
    assert "x" not in without.accounts.index and found(without, "inactive") == {"x": "set_aside"}


def test_negative_sales_are_kept_or_left_out_of_the_revenue(tmp_path):
    sales = [
        {"account_id": k, "date": "2026-09-01", "amount": a}
        for k, a in (("K01", 90), ("K01", -30), ("K02", -5))
    ]
    kept = market_of(tmp_path, [], sales=sales)
    assert kept.accounts["revenue"][["K01", "K02"]].tolist() == [60, -5]
    assert found(kept, "negative_account") == {"K02": "note"}
    left = market_of(tmp_path, [], {"negative": "aside"}, sales=sales)
    assert left.accounts["revenue"][["K01", "K02"]].tolist() == [90, 0]
    assert len(left.set_aside["sales"]) == 2


def test_test_accounts_are_set_aside_and_a_firm_named_like_one_is_not(tmp_path):
    rows = [firm("a", name="TEST 1"), firm("b", name="Test-Med"), firm("c", internal="tak")]
    assert found(market_of(tmp_path, rows), "internal_account") == {
        "a": "set_aside",
        "c": "set_aside",
    }


# ---------------------------------------------------------------------------- severities


def test_every_rule_may_stop_and_no_change_goes_past_what_makes_sense():
    fixed = 0
    for rule, kind in itertools.product(RULES, ("stop", "set_aside", "note")):
        try:
            assert severities(Quality(rules={rule: kind}))[rule] == kind
        except SettingsError as refusal:
            assert rule in str(refusal)
            fixed += 1
            assert kind != "stop"
    assert fixed
    for rule in ("duplicate_id", "missing_column", "no_id", "not_a_number", "orphan"):
        with pytest.raises(SettingsError, match="cannot be note, only stop or set_aside"):
            severities(Quality(rules={rule: "note"}))
    with pytest.raises(SettingsError, match="did you mean 'far_away'"):
        Ledger(Quality(rules={"far_awy": "note"}))


def test_a_severity_from_the_settings_is_what_happens(tmp_path):
    far = [firm("F", lat=41.0, lon=-80.6)]
    assert "F" in market_of(tmp_path, far, {"rules": {"far_away": "note"}}).accounts.index
    with pytest.raises(
        DataError,
        match=r"accounts: the point lies far .*: quality.rules makes it a stop \(1 row worth 50, such as F",
    ):
        market_of(tmp_path, far, {"rules": {"far_away": "stop"}})
    twice = market_of(tmp_path, [firm("K01")], {"rules": {"duplicate_id": "set_aside"}})
    assert twice.accounts.loc["K01", "name"] == "Firma 1x"
    assert found(twice, "duplicate_id") == {"K01": "set_aside"}
    reps = [{"rep_id": "R", "name": "Ewa"}]
    bare = market_of(tmp_path, [], {"rules": {"missing_column": "set_aside"}}, reps=reps)
    assert not bare.has("reps") and len(bare.set_aside["reps"]) == 1


def test_a_stop_lists_all_stops_and_check_shows_the_other_findings_too(tmp_path, capsys):
    pd.DataFrame([firm("K"), firm("K"), *ROWS]).to_csv(tmp_path / "accounts.csv", index=False)
    (tmp_path / "reps.csv").write_text("rep_id,name\nR1,Ewa\n", encoding="utf-8")
    text = "tables: {accounts: accounts.csv, reps: reps.csv}\nlocale: pl\n"
    (tmp_path / "settings.yml").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / "settings.yml")]) == 2
    out, refusal = capsys.readouterr()
    assert "Zatrzymane" in out and "home_lat" in refusal
    assert "account_id powtarza się w 2 wierszach (wartości: 1, na przykład K)" in refusal


# ---------------------------------------------------------------------------- conservation


def totals_of(raw, column):
    """Rows that say they are a total, or have no code and sum two or more that stand together."""
    coded = ~raw["account_id"].isin(["", "RAZEM"])
    value = pd.Series(amounts(raw[column]), index=raw.index)
    found = raw["account_id"] == "RAZEM"
    for at in raw.index[raw["account_id"] == ""]:
        before = coded.loc[:at].iloc[:-1][::-1].cummin()
        after = coded.loc[at:].iloc[1:].cummin()
        for block in (before.index[before], after.index[after], coded.index[coded]):
            if len(block) > 1 and value[at] > 0:
                found[at] |= abs(value[block].sum() - value[at]) <= 0.01 * len(raw)
    return found


AMOUNT = st.sampled_from(["10", "-3,50", "1 000,01 zł", "7 €", "lots", ""])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["K01", "K02", "GHOST", "", "RAZEM"]),
            st.sampled_from(["2026-09-01", "2026-09-31", ""]),
            AMOUNT,
        ),
        min_size=1,
        max_size=10,
    ),
    st.lists(
        st.tuples(st.sampled_from(["52.1", "", "200"]), AMOUNT, st.sampled_from(["", "DE"])),
        max_size=6,
    ),
    st.sampled_from(["keep", "aside"]),
)
def test_every_row_and_every_grosz_is_used_or_in_a_file(tmp_path_factory, sold, firms, negative):
    folder = tmp_path_factory.mktemp("kept")
    sales = [dict(zip(("account_id", "date", "amount"), row, strict=True)) for row in sold]
    sales.append({"account_id": "K03", "date": "2026-09-01", "amount": "1"})
    deals = [
        {
            "opp_id": f"O{i}",
            "account_id": r["account_id"],
            "created_date": r["date"],
            "is_closed": "nie",
            "is_won": "nie",
            "amount": r["amount"],
        }
        for i, r in enumerate(sales)
    ]
    rows = [firm(f"X{i}", lat=a, revenue=b, country=c) for i, (a, b, c) in enumerate(firms)]
    asked = {"negative": negative, "max_orphan_revenue": 1}
    for more in ({"sales": sales, "opportunities": deals}, {}):
        market = market_of(folder, rows, asked, **more)
        run = Run("x", folder / "run", None, Settings(), market, Words("en", "PLN"))
        write_findings(run)
        for table, column in (
            ("accounts", "revenue"),
            ("sales", "amount"),
            ("opportunities", "amount"),
        ):
            if table not in market.given or (table == "accounts" and more):
                continue
            raw = pd.read_csv(folder / f"{table}.csv", dtype=str, keep_default_na=False)
            raw = raw[(raw != "").any(axis=1)]  # a blank line is no row
            written = folder / "run" / "set_aside" / f"{table}.csv"
            aside = read_table(folder / "run", f"set_aside/{table}") if written.is_file() else None
            used = getattr(market, table)
            total = 0 if aside is None else (aside["reason"] == "total_row").sum()
            assert len(raw) == len(used) + (0 if aside is None else len(aside))
            totals = totals_of(raw, column) & (table == "sales")
            data = raw[~totals]
            kept = (
                0.0
                if aside is None
                else amounts(aside[aside["reason"] != "total_row"][column]).sum()
            )
            assert round(amounts(data[column]).sum(), 2) == round(used[column].sum() + kept, 2)
            row = market.trust.set_index("table").loc[table]
            assert (row["rows"], row["rows_used"]) == (len(raw), len(used))
            assert row["money"] == pytest.approx(amounts(data[column]).sum())
            assert row["money_used"] == pytest.approx(used[column].sum())
            assert total == totals.sum()


def test_money_of_a_row_still_in_text():
    rows = pd.DataFrame({"revenue": ["", "1 234,50 zł"], "potential": ["7", "9999"]})
    assert money_of(rows) == [0.0, 1234.5]  # never the one of some rows and the other of the rest
    assert money_of(rows[["potential"]]) == [7.0, 9999.0]


# ---------------------------------------------------------------------------- the answer


def test_scores_by_hand(tmp_path):
    ledger = Ledger()
    used = pd.DataFrame(
        {
            "account_id": ["a", "b"],
            "name": ["A", ""],
            "lat": 52.0,
            "lon": 21.0,
            "area_id": "",
            "revenue": [60.0, 20.0],
        }
    )
    bad = pd.DataFrame({"account_id": ["c", "SUM"], "revenue": [20.0, 100.0], "name": ["C", ""]})
    ledger.aside["accounts"] = [bad.assign(reason=["no_coordinates", "total_row"])]
    sales = pd.DataFrame({"account_id": "a", "date": [pd.Timestamp("2026-03-16")], "amount": [5.0]})
    alike = pd.DataFrame({"account_id": ["b"], "kind": ["certain"]})
    as_of = pd.Timestamp("2026-03-16")
    score = trust(
        {"accounts": used, "sales": sales}, ledger, {"accounts", "sales"}, alike, as_of, "2026Q4"
    )
    one, two = score.set_index("table").loc[["accounts", "sales"]].itertuples()
    assert (one.rows, one.rows_used, one.money, one.money_used) == (4, 2, 100.0, 80.0)
    assert (one.complete, one.valid, one.unique) == (0.6, 0.8, 0.8)
    assert np.isnan(one.timely) and one.score == pytest.approx((0.6 * 0.8 * 0.8) ** (1 / 3))
    assert two.timely == pytest.approx((365 - 198) / (365 - 31))  # 16 March to 30 September


def test_check_and_notebook_show_it_in_both_languages(tmp_path, capsys):
    rows = [firm("a", lat="", lon="", name="<b>|x"), firm("b", tax_id="123")]
    market = market_of(tmp_path, rows)
    for locale, word, helps in (("pl", "kompletne", "Podaj lat"), ("en", "complete", "Give lat")):
        assert (
            main(
                ["check", str(tmp_path / "accounts.csv"), "--locale", locale, "--territories", "2"]
            )
            == 0
        )
        out = capsys.readouterr().out
        assert word in out and helps in out and "\\" not in out
        run = Run("x", tmp_path, None, Settings(), market, Words(locale, "PLN"))
        assert word in tables.trust_table(run) and tell.trust(run)
        tables.duplicates_table(run)


# ---------------------------------------------------------------------------- safety


def test_texts_like_formulas_are_text_for_a_spreadsheet_and_come_back(tmp_path):
    rows = pd.DataFrame({"name": EVIL, "n": ["-5", "+1.5", "-1e3", *["x"] * (len(EVIL) - 3)]})
    write_table(tmp_path, "set_aside/accounts", rows)
    read = pd.read_csv(tmp_path / "set_aside/accounts.csv", dtype=str, keep_default_na=False)
    assert not read["name"].str.match(r"[=+\-@＝]").any()
    assert read["n"].tolist()[:3] == ["-5", "+1.5", "-1e3"]
    pd.testing.assert_frame_equal(read_table(tmp_path, "set_aside/accounts"), rows)
    keys = pd.DataFrame({"account_id": ["=1+1", "-a"], "segment": ["@x", "s"]})
    write_table(tmp_path, "decisions/segment", keys)
    assert ",=" not in (tmp_path / "decisions/segment.csv").read_text(encoding="utf-8")
    back = read_table(tmp_path, "decisions/segment")
    assert set(back["account_id"]) == {"=1+1", "-a"} and set(back["segment"]) == {"@x", "s"}


@given(st.text("'=+-@\t\r\nx1. ＝", max_size=6))
def test_any_text_comes_back(text):
    safe = harmless(text)
    assert as_it_was(safe) == text
    assert safe[:1] not in set("=+-@\t\r\n＝") or NUMBER.fullmatch(safe) or not safe


def test_what_cannot_be_seen_is_taken_out(tmp_path):
    rows = [firm("a", name="Fir\u202ema\u200b\u0007 A"), firm("b", name="Dwie\nlinie")]
    market = market_of(tmp_path, rows)
    assert market.accounts["name"][["a", "b"]].tolist() == ["Firma A", "Dwie linie"]


def test_names_that_are_markup_are_text_in_tables_sentences_and_charts():
    from terrlib.show import charts
    from terrlib.show.words import plain

    words = Words("en", "PLN")
    for evil in EVIL:
        said = words.say("review.drift", n=1, names=evil)
        assert "<script" not in said and "[x](" not in said and " $m$" not in said
        assert " ".join(evil.split()) in plain(said)
    space = {"white_space": 1.0, "white_space_low": 0.5, "white_space_high": 2.0, "outside": 0.0}
    where = pd.DataFrame({"name": EVIL, "revenue": 1.0, **space})
    assert "<script" not in " ".join(charts.white_space_bars(where, words).data[0].y)


def test_the_duplicates_of_the_sample_are_those_planted():
    from terrlib.inputs.settings import load_settings

    root = Path(__file__).parents[1]
    market = load_market(load_settings(root / "data/sample/settings.yml"), root / "data/sample")
    faults = pd.read_csv(root / "tests/truth/faults.csv", dtype=str)
    planted = set(faults.loc[faults["fault"] == "entered_twice", "key"])
    rows = market.duplicates[market.duplicates["merge_into"] != ""]
    assert {*rows["account_id"], *rows["merge_into"]} == planted
    assert (rows["kind"] == "certain").all()


def test_money_that_was_read_already_is_not_read_again():
    """1.234 as a number leaves no doubt, whatever texts of rows set aside stand beside it."""
    mixed = pd.Series([1.234, "7", "1 234,50 zł", None, "x"], dtype=object)
    assert amounts(mixed).tolist() == [1.234, 7.0, 1234.5, 0.0, 0.0]


def test_every_distinct_text_is_read_once():
    seen = []
    found = each(pd.Series(["b", "a", "b"], index=[3, 3, 1]), lambda t: seen.append(t) or t.upper())
    assert seen == ["b", "a"]
    assert (found.tolist(), found.index.tolist()) == (["B", "A", "B"], [3, 3, 1])


# ---------------------------------------------------------------------------- lines and days astray


FOOTER = [
    "Grand Totals (12 records)",
    "Copyright © 2000-2026 salesforce.com",
    "Generated by X",
    "Firma Testowa S.A.",
]
SALES = [{"account_id": "K00", "date": f"2026-01-{day:02d}", "amount": 10} for day in range(1, 13)]


def test_a_firm_that_begins_like_a_footer_stays(tmp_path):
    market = market_of(tmp_path, [firm("C", name="Copyright Media")])
    assert "C" in market.accounts.index


def test_one_mistyped_year_does_not_move_the_last_day(tmp_path):
    late = {"account_id": "K01", "date": "2062-01-05", "amount": 7}
    market = market_of(tmp_path, [], sales=[*SALES, late])
    assert str(market.as_of.date()) == "2026-01-12"
    assert market.accounts["revenue"].sum() == 120
    (money,) = market.quality.query("rule == 'far_future'")["money"]
    assert money == 7
    kept = market_of(tmp_path, [], {"rules": {"far_future": "note"}}, sales=[*SALES, late])
    assert kept.as_of.year == 2062 and found(kept, "far_future") == {"row 14": "note"}


def test_the_last_lines_of_a_report_are_no_accounts(tmp_path):
    market = market_of(tmp_path, [{"account_id": line} for line in FOOTER])
    assert len(market.accounts) == len(ROWS)
    assert found(market, "footer") == dict.fromkeys(FOOTER, "set_aside")
    assert list(market.set_aside["accounts"]["reason"]) == ["footer"] * len(FOOTER)
    assert market.trust.set_index("table").loc["accounts", "valid"] == 1


def test_the_lines_a_salesforce_report_ends_with_need_no_separators(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "accounts.csv", index=False)
    with (tmp_path / "accounts.csv").open("a", encoding="utf-8") as file:
        file.write("\n".join(['"Grand Totals (12 records)"', "", *FOOTER[1:]]))
    market = load_market(make_settings({"tables": {"accounts": "accounts.csv"}}), tmp_path)
    assert len(market.accounts) == len(ROWS)
    assert set(found(market, "footer")) == set(FOOTER)


def test_a_deal_without_an_amount_is_worth_nobody_knows_what(tmp_path):
    deal = {"account_id": "K01", "created_date": "2026-01-05", "is_closed": "no", "is_won": "no"}
    deals = [{"opp_id": "O1", "amount": 10} | deal, {"opp_id": "O2", "amount": ""} | deal]
    market = market_of(tmp_path, [], opportunities=deals)
    assert market.opportunities["amount"].isna().tolist() == [False, True]
    assert found(market, "blank_amount") == {"O2": "note"}
    assert open_deals(market, Settings())["amount"].tolist() == [10, 0]


def test_a_deal_that_closed_after_the_last_day_is_open_and_its_last_stage_is_not_told(tmp_path):
    day = {
        "account_id": "K01",
        "is_closed": "yes",
        "is_won": "yes",
        "stage": "Wygrana",
        "amount": 10,
    }
    deals = [
        {"opp_id": "O1", "created_date": "2026-01-05", "close_date": "2026-02-10"} | day,
        {"opp_id": "O2", "created_date": "2026-03-05", "close_date": "2026-03-05"} | day,
        {"opp_id": "O3", "created_date": "2026-03-05", "close_date": "2026-03-06"} | day,
    ]
    alone = market_of(tmp_path, [], opportunities=deals)
    assert not found(alone, "closed_after_as_of") and alone.opportunities["is_won"].all()
    sold = [{"account_id": "K01", "date": "2026-03-05", "amount": 1}]
    market = market_of(tmp_path, [], sales=sold, opportunities=deals)
    assert found(market, "closed_after_as_of") == {"O3": "note"}
    table = market.opportunities
    assert table["is_closed"].tolist() == table["is_won"].tolist() == [True, True, False]
    assert table["stage"].tolist() == ["Wygrana", "Wygrana", ""]


@pytest.mark.parametrize("revenue", [None, "", 0])
def test_a_market_without_any_revenue_is_told_so(tmp_path, revenue):
    rows = pd.DataFrame(ROWS).assign(revenue=revenue)
    rows = rows if revenue is not None else rows.drop(columns="revenue")
    rows.to_csv(tmp_path / "accounts.csv", index=False)
    market = load_market(make_settings({"tables": {"accounts": "accounts.csv"}}), tmp_path)
    assert found(market, "no_revenue") == {"K00": "note"} and not found(market, "blank_money")
    assert not found(market_of(tmp_path, []), "no_revenue")


def test_help_names_only_the_table_that_could_help(tmp_path):
    lost = {"lat": "", "lon": ""}
    rows = [
        firm("A", **lost),
        firm("B", **lost, town="Iłża"),
        firm("C", **lost, postal_code="00-950"),
    ]
    for one, tables_named in zip(rows, ([], ["gazetteer"], ["postal_centroids"]), strict=True):
        quality_ = market_of(tmp_path, [one]).quality
        text = " ".join(tell.findings(Words("en", "PLN"), quality_))
        named = [t for t in ("gazetteer", "postal_centroids") if t in text.replace("\\", "")]
        assert named == tables_named


# ---------------------------------------------------------------------------- nothing is lost

DIRTY = ["", "A", "A", "007", "suma", "RAZEM", "Grand Totals", "N/A", "Test", "K00"]
MONEY = ["", "0", "7.01", "-3.30", "1 234,50 zł", "5 €", "lots", "1e5", "99999999.99", "12"]
DATES = ["", "2026-01-05", "5.01.2026", "2062-01-05", "soon", "31.02.2026", "2026-03-31"]
PLACES = ["", "52.1", "21.2", "0", "400", "52,3 N", "5797000", "-80.6"]
ROW_OF = {
    "accounts": {
        "account_id": DIRTY,
        "name": ["Alfa", "", "Test", "Suma"],
        "lat": PLACES,
        "lon": PLACES,
        "revenue": MONEY,
        "country": ["", "PL", "Niemcy", "Mordor"],
        "status": ["", "klient", "nieaktywny", "?"],
    },
    "sales": {"account_id": [*DIRTY, "K01"], "date": DATES, "amount": MONEY},
    "opportunities": {
        "opp_id": DIRTY,
        "account_id": DIRTY,
        "created_date": DATES,
        "close_date": DATES,
        "is_closed": ["yes", "no", "", "?"],
        "is_won": ["yes", "no", ""],
        "amount": MONEY,
    },
    "assignments": {"account_id": DIRTY, "territory": ["T1", "T2", ""]},
    "activities": {"account_id": DIRTY, "date": DATES, "minutes": ["", "10", "9999", "x"]},
}
ASKED = {
    "rates": {"EUR": 4.3},
    "max_orphan_revenue": 1,
    "rules": {"duplicate_id": "set_aside", "two_territories": "set_aside"},
}


CELLS = {
    **dict.fromkeys(("key", "text"), DIRTY),
    **dict.fromkeys(("number", "money", "share"), ("", "0", "0.5", "-3.30", "1 234,57 zł", "lots")),
    "degrees": PLACES,
    "date": DATES,
    "flag": ["yes", "nie", "", "?"],
}


def grosze(column):
    return sum(round(100 * value) for value in amounts(column))


@given(table=st.sampled_from(list(COLUMNS)), data=st.data())
@settings(deadline=None)
def test_the_gate_keeps_or_sets_aside_every_row_and_grosz_of_every_table(table, data):
    columns = COLUMNS[table].values()
    cells = st.tuples(*(st.sampled_from(CELLS[c.kind]) for c in columns))
    drawn = data.draw(st.lists(cells, min_size=1, max_size=8))
    rows = pd.DataFrame(drawn, columns=list(COLUMNS[table]), dtype=str)
    ledger = Ledger(Quality(**ASKED))
    used = quality.typed(ledger, table, rows)
    aside = pd.concat([rows.head(0).assign(reason=""), *ledger.aside.get(table, [])])
    assert len(rows) == len(used) + len(aside)
    for column in [c.name for c in columns if c.kind == "money"]:
        assert grosze(rows[column]) == grosze(used[column]) + grosze(aside[column])


@given(data=st.data(), aside=st.booleans())
@settings(max_examples=15, deadline=None)
def test_every_row_of_the_linked_tables_is_used_or_set_aside(data, aside):
    texts = {
        name: [
            {c: data.draw(st.sampled_from(cells), c) for c, cells in columns.items()}
            for _ in range(data.draw(st.integers(1, 6), name))
        ]
        for name, columns in ROW_OF.items()
    }
    texts["accounts"] = [{"revenue": "100.10"} | r for r in ROWS] + texts["accounts"]
    texts["sales"] += [{"account_id": "K02", "date": "2026-01-07", "amount": "11.11"}]
    # A line of nothing is no row of a file.
    texts = {t: [r for r in rows if any(map(str, r.values()))] for t, rows in texts.items()}
    chosen = {"inactive": "aside", "negative": "aside"} if aside else {"countries": "keep"}
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in texts.items():
            pd.DataFrame(rows).to_csv(Path(folder, f"{name}.csv"), index=False)
        asked = {"tables": {t: f"{t}.csv" for t, rows in texts.items() if rows}}
        market = load_market(make_settings(asked | {"quality": ASKED | chosen}), Path(folder))
    for name in asked["tables"]:
        used, out = getattr(market, name), market.set_aside.get(name, ())
        assert len(texts[name]) == len(used) + len(out), name


def test_a_row_of_a_list_that_stands_twice_is_counted_once(tmp_path):
    lock = {"territory": "T1", "rep_id": "R1", "rule": "ban"}
    reps = [{"rep_id": "R1", "home_lat": 52.1, "home_lon": 21.1}]
    market = market_of(tmp_path, [], reps=reps, rep_locks=[lock, lock])
    assert len(market.rep_locks) == 1 and found(market, "repeated_row") == {"row 3": "set_aside"}
