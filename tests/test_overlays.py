"""Several ways of covering accounts at once: each account once in each, each measure counted once."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib import plan, steps, tables, tell
from terrlib.decisions import goals, overlays
from terrlib.decisions.channels import choose_channels, selling_partner
from terrlib.decisions.territories import draw
from terrlib.errors import DataError, InfeasibleError, PlanError, SettingsError
from terrlib.inputs.load import load_market
from terrlib.inputs.settings import make_settings
from terrlib.measures import facts as measuring
from terrlib.measures.facts import MEASURES
from terrlib.runs import open_run, read_table
from tests.test_channels import PARTNER, market_of
from tests.worlds import line_market

ACCOUNTS = """account_id,name,lat,lon,revenue,industry,employees
A1,Alfa,52.0,19.0,900,hotele,12
A2,Beta,52.0,19.3,100,gastronomia,3
A3,Gama,52.0,19.6,100,gastronomia,3
A4,Delta,52.0,19.9,800,hotele,40
A5,Eta,52.0,20.2,100,gastronomia,3
A6,Jota,52.0,20.5,100,gastronomia,3
"""
REPS = """rep_id,name,home_lat,home_lon,role,region
R1,Ala,52.0,19.0,field,
R2,Ola,52.0,20.5,field,
K1,Iga,52.0,19.5,kam,
M1,Jan,52.0,20.0,manager,Centrum
"""
KEY = "overlay,account_id\nkey,A1\nkey,A4\n"
ASKED = {
    "plan": "T",
    "quarter": "2026Q4",
    "tables": {
        "accounts": "accounts.csv",
        "reps": "reps.csv",
        "named_accounts": "named.csv",
    },
    "territories": {"count": 2, "balance": {"count": 0.4}},
    "overlays": {
        "key": {"by": "named", "balance": {"count": 0.4}, "credits": ["revenue", "workload_h"],
                "reps": "kam"},
        "hotels": {"by": "segment", "who": {"industry": "hotele"}, "balance": {"count": 0.4}},
    },
}  # fmt: skip


def folder_of(tmp_path, **texts):
    files = {"accounts": ACCOUNTS, "reps": REPS, "named": KEY} | texts
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def asked(**changes):
    return make_settings(ASKED | changes)


def run_of(tmp_path, monkeypatch, **changes):
    import yaml

    monkeypatch.setenv("TERRLIB_REPORTS", str(tmp_path / "reports"))
    folder_of(tmp_path)
    (tmp_path / "s.yml").write_text(yaml.safe_dump(ASKED | changes), encoding="utf-8")
    return open_run(str(tmp_path / "s.yml"))


def facts_of(market, **columns):
    facts = measuring.account_facts(
        market, make_settings({}), pd.Series("", index=market.accounts.index)
    )
    return facts.assign(**columns)


# ---------------------------------------------------------------------------- whose accounts count where


def test_named_goes_before_volume_and_what_nobody_claims_stays_in_the_field():
    market = line_market([9.0, 1.0, 0.0])
    facts = facts_of(market, abc=["A", "B", ""])
    both = make_settings(
        {
            "overlays": {
                "large": {"by": "volume", "who": {"abc": ["A", "B"]}, "credits": ["revenue"]},
                "key": {"by": "named", "who": ["A-a"], "credits": ["revenue", "count"]},
            }
        }
    )
    found = overlays.credit(market, facts, both)
    assert found["revenue"].tolist() == ["key", "large", "field"]
    assert found["count"].tolist() == ["key", "field", "field"]
    assert set(found["workload_h"]) == {"field"}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["A", "B", "C"]), min_size=3, max_size=6),
    st.lists(
        st.tuples(
            st.sampled_from(overlays.PRECEDENCE),
            st.sampled_from(["A", "B", "C"]),
            st.lists(st.sampled_from(MEASURES), unique=True),
        ),
        max_size=3,
    ),
    st.booleans(),
)
def test_every_measure_of_every_account_counts_exactly_once(classes, teams, exclusive):
    market = market_of([float(i + 1) for i in range(len(classes))], [PARTNER])
    rows = market.distributor_areas.assign(exclusive=exclusive)
    market = type(market)(**{**vars(market), "distributor_areas": rows})
    facts = facts_of(market, abc=classes)
    there = [(by, abc, credited) for by, abc, credited in teams if abc in classes]
    wanted = make_settings(
        {
            "overlays": {
                f"o{i}": {"by": by, "who": {"abc": abc}, "credits": credited}
                for i, (by, abc, credited) in enumerate(there)
            }
        }
    )
    where = overlays.credit(market, facts, wanted)
    for measure in MEASURES:
        sums = overlays.counted(facts, where)[measure].sum()
        sums += facts.loc[where[measure] == overlays.PARTNER, measure].sum()
        for name, one in wanted.overlays.items():
            inside = facts.loc[overlays.scope(market, facts, name, one)]
            if measure in one.credits:
                sums += overlays.counted(inside, where, name, one)[measure].sum()
        assert sums == pytest.approx(facts[measure].sum())


def test_an_overlay_that_is_credited_with_nothing_changes_nothing_in_the_field():
    market = line_market([9.0, 1.0, 5.0])
    facts = facts_of(market)
    wanted = make_settings({"overlays": {"extra": {"who": ["A-a", "A-c"]}}})
    assert overlays.counted(facts, overlays.credit(market, facts, wanted)).equals(facts)


def test_who_bought_a_product_line_of_late_may_have_a_team():
    sold = [
        {"account_id": a, "date": day, "amount": 1.0, "product_line": line}
        for a, day, line in (
            ("A-a", "2026-05-01", "tools"),
            ("A-a", "2026-06-01", "tools"),
            ("A-b", "2026-05-01", "paper"),
            ("A-c", "2024-05-01", "tools"),  # too long ago
        )
    ]
    market = line_market([9.0, 1.0, 5.0], sales=sold)
    market.sales["date"] = pd.to_datetime(market.sales["date"])
    facts = facts_of(market)
    team = overlays.Overlay(by="segment", who={"product_line": ["tools"]})
    assert overlays.scope(market, facts, "tools", team).tolist() == ["A-a"]
    wrong = overlays.Overlay(who={"product_line": ["toolz"]})
    with pytest.raises(SettingsError, match="did you mean 'tools'"):
        overlays.scope(market, facts, "tools", wrong)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"industri": "hotele"}, "did you mean 'industry'"),
        ({"abc": "Z"}, "there are A"),
        (["A-z"], "did you mean 'A-"),
        ({"abc": []}, "no account is in its scope"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(who, said):
    market = line_market([9.0])
    wanted = make_settings({"overlays": {"key": {"who": who}}})
    with pytest.raises(SettingsError, match=r"overlays\.key\.who") as told:
        overlays.credit(market, facts_of(market), wanted)
    assert said in str(told.value)


def test_a_name_that_is_the_fields_own_and_an_unknown_measure_are_refused():
    with pytest.raises(SettingsError, match=r"overlays.field: that is what"):
        make_settings({"overlays": {"field": {}}})
    for wrong in (5, {"abc": 1.5}, [["A"]]):
        with pytest.raises(SettingsError, match="who is a list of accounts like"):
            make_settings({"overlays": {"key": {"who": wrong}}})
    with pytest.raises(SettingsError, match="reps is a role like kam, or a list"):
        make_settings({"overlays": {"key": {"reps": 3}}})
    one = make_settings({"overlays": {"key": {"who": {"area_id": 1465}}}}).overlays["key"]
    assert one.who == {"area_id": ["1465"]}
    with pytest.raises(SettingsError, match="credits"):
        make_settings({"overlays": {"key": {"credits": ["sales"]}}})


@pytest.mark.parametrize(
    ("texts", "changes", "error", "said"),
    [
        ({"named": "overlay,account_id\nkei,A1\n"}, {}, DataError, "did you mean key"),
        (
            {"named": "overlay,account_id,territory\nkey,A1,K1\nkey,A1,K2\n"},
            {},
            DataError,
            "such as A1",
        ),
        ({}, {"overlays": {"key": {"by": "named", "reps": ["K9"]}}}, SettingsError, "'K9'"),
        (
            {},
            {"overlays": {"key": {"by": "named", "reps": ["K1"]}, "two": {"reps": "kam"}}},
            SettingsError,
            "works for key already",
        ),
    ],
)
def test_tables_that_contradict_the_settings_are_refused(tmp_path, texts, changes, error, said):
    folder = folder_of(tmp_path, **texts)
    if "overlays" in changes:
        changes["overlays"].setdefault("hotels", {})
    with pytest.raises(error) as told:
        load_market(asked(**changes), folder)
    assert said in str(told.value)


def test_a_named_account_that_there_is_not_is_set_aside(tmp_path):
    folder = folder_of(tmp_path, named=KEY + "key,A9\n")
    market = load_market(asked(), folder)
    assert market.set_aside["named_accounts"]["account_id"].tolist() == ["A9"]
    assert len(market.named_accounts) == 2


# ---------------------------------------------------------------------------- drawn, staffed, written


def test_two_overlays_at_once_are_drawn_staffed_and_written(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    assert run.market.reps.index.tolist() == ["R1", "R2"]
    checks = steps.write_plan(run)
    assert checks["ok"].all()
    for name, rep in (("key", ["K1"]), ("hotels", ["VACANT"])):
        folder = run.folder / "overlays" / name
        assert read_table(folder, "accounts")["account_id"].tolist() == ["A1", "A4"]
        assert read_table(folder, "decisions/rep")["rep_id"].tolist() == rep
        assert len(read_table(folder, "scorecard")) == 1
    field = read_table(run.folder, "scorecard")
    assert field["revenue"].astype(float).sum() == 400
    assert field["accounts"].astype(int).sum() == 6
    key = read_table(run.folder / "overlays" / "key", "scorecard")
    assert key["revenue"].astype(float).tolist() == [1700]
    # Their work is not in the field's either, and what is not credited stays there.
    whole = steps.account_facts(run)
    assert steps.counted(run).loc["A1", "workload_h"] == 0
    assert steps.unit_measures(run)["workload_h"].sum() == pytest.approx(
        whole["workload_h"].drop(["A1", "A4"]).sum()
    )
    assert steps.counted(run)["potential"].equals(whole["potential"])
    crm = read_table(run.folder, "accounts").set_index("account_id")["rep_id"]
    assert crm[["A1", "A4"]].tolist() == ["K1", "K1"]
    assert set(crm.drop(["A1", "A4"])) == {"R1", "R2"}
    html = tables.team_map(run).get_root().render()
    assert html.count('"className": "spider"') == 2 and "Iga" in html and "Ala" not in html
    assert "Iga" in tables.coverage_table(run)
    assert tables.region_table(run).count("<tr>") == 2
    assert "2,100" not in tell.overlays(run) and "1,700" in tell.overlays(run)
    # The finished files read back as they were decided.
    again = open_run(str(tmp_path / "s.yml"))
    assert steps.reps(steps.overlay_runs(again)["key"])["rep_id"].tolist() == ["K1"]


def test_reps_are_sized_for_their_own_work_and_sales(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    uncredited = ASKED["overlays"]["key"] | {"credits": []}
    alone = run_of(tmp_path, monkeypatch, overlays={"key": uncredited})
    methods = [steps.size_sales_force(r).methods.set_index("method") for r in (run, alone)]
    share = steps.counted(run)["workload_h"].sum() / steps.counted(alone)["workload_h"].sum()
    hours = [m.loc["workload", "n_reps"] for m in methods]
    assert 0 < share < 1 and hours[0] < hours[1]
    profit = [m.loc["profit", "n_reps"] for m in methods]
    # Sales of 400 against 2100: the best number grows with sales to the power of 1 / (1 - e).
    assert profit[0] / profit[1] == pytest.approx((400 / 2100) ** (1 / (1 - 0.31)))


def test_an_account_missing_or_twice_in_an_overlay_is_seen_by_the_gate(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    steps.write_plan(run)
    path = run.folder / "overlays" / "key" / "accounts.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    for broken in (lines[:-1], [*lines, lines[-1]]):
        path.write_text("\n".join(broken) + "\n", encoding="utf-8")
        with pytest.raises(PlanError, match=r"overlay.each_account_once \(key"):
            steps.check_run(run)


def test_what_is_counted_twice_is_seen_by_the_gate(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    steps.write_plan(run)
    path = run.folder / "scorecard.csv"
    rows = pd.read_csv(path)
    rows.loc[0, "revenue"] += 1700
    rows.to_csv(path, index=False)
    with pytest.raises(PlanError, match=r"counted_once.revenue \(3800.00, allowed: 2100.00\)"):
        steps.check_run(run)


def test_an_overlay_that_cannot_be_drawn_is_refused_under_its_name(tmp_path, monkeypatch):
    settings_ = asked(overlays={"key": {"by": "named", "count": 2, "balance": {"revenue": 0.01}}})
    market = load_market(settings_, folder_of(tmp_path))
    with pytest.raises(InfeasibleError, match=r"^overlays.key: "):
        steps.refuse_impossible(market, settings_)
    # What arithmetic does not see is refused in the same way when it is drawn.
    run = run_of(tmp_path, monkeypatch, overlays=settings_.model_dump(mode="json")["overlays"])
    with pytest.raises(InfeasibleError, match=r"^overlays.key: "):
        steps.draw_territories(steps.overlay_runs(run)["key"])


def test_a_named_account_may_be_given_its_territory(tmp_path, monkeypatch):
    both = ASKED["overlays"]["key"] | {"count": 2}
    run = run_of(tmp_path, monkeypatch, overlays={"key": both})
    named = "overlay,account_id,territory\nkey,A1,K2\nkey,A4,\n"
    (tmp_path / "named.csv").write_text(named, encoding="utf-8")
    run = open_run(str(tmp_path / "s.yml"))
    label = steps.territories(steps.overlay_runs(run)["key"]).territory
    assert label.to_dict() == {"A1": "K2", "A4": "K1"}


def test_named_accounts_of_one_unit_in_two_territories_are_refused():
    market = line_market([5.0, 5.0], accounts=[{}, {"unit_id": "a"}])
    rows = pd.DataFrame({"overlay": "key", "account_id": ["A-a", "A-b"], "territory": ["K1", "K2"]})
    market = type(market)(**{**vars(market), "named_accounts": rows})
    wanted = make_settings({"overlays": {"key": {"who": ["A-a", "A-b"]}}})
    with pytest.raises(DataError, match="such as a, are placed in several territories"):
        overlays.overlay_market(market, facts_of(market), wanted, "key")


# ---------------------------------------------------------------------------- regions


def test_regions_are_whole_territories_in_one_piece_led_by_the_nearest():
    market = line_market([1.0] * 8)
    names = list(market.units.index)
    territory = pd.Series([f"T{i // 2 + 1}" for i in range(8)], index=names)
    measures = measuring.unit_measures(facts_of(market), market.units.index)
    rolled = overlays.region_market(market, territory, measures)
    assert rolled.neighbors.to_numpy().tolist() == [["T1", "T2"], ["T2", "T3"], ["T3", "T4"]]
    wanted = overlays.region_settings(make_settings({"regions": {"balance": {"count": 0.1}}}), 2)
    by = measures.groupby(territory).sum().rename_axis("unit_id")
    label = draw(rolled, by, steps.rules_of(rolled, wanted), wanted.territories, 1).territory
    assert label["T1"] == label["T2"] != label["T3"] == label["T4"]
    leads = pd.DataFrame(
        {"home_lat": 52.0, "home_lon": [19.7, 19.0], "region": ["East", "West"]}, ["M1", "M2"]
    )
    found = overlays.lead_regions(label, rolled.units, leads, wanted).set_index("territory")
    assert found["region"].to_dict() == {"T1": "West", "T2": "West", "T3": "East", "T4": "East"}
    assert found.loc["T4", "rep_id"] == "M1"


def test_a_manager_makes_one_region_of_all_and_it_is_written(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    steps.write_plan(run)
    rows = read_table(run.folder, "region")
    assert rows["region"].unique().tolist() == ["Centrum"]
    assert rows["rep_id"].unique().tolist() == ["M1"]
    assert set(rows["territory"]) == set(steps.territories(run).territory)
    own = read_table(run.folder / "overlays" / "key", "region")
    assert own.to_numpy().tolist() == [["K1", "key", "VACANT"]]


def test_more_regions_than_territories_are_refused(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch, regions={"count": 3})
    with pytest.raises(InfeasibleError, match="3 regions cannot be made of 2 territories"):
        steps.regions(run)
    with pytest.raises(InfeasibleError, match="3 regions cannot be made of 2 territories"):
        steps.refuse_impossible(run.market, run.settings)


# ---------------------------------------------------------------------------- exclusive partners


def exclusive(market, areas, **changes):
    rows = market.distributor_areas
    rows = rows.assign(exclusive=rows["area_id"].isin(areas))
    return type(market)(**{**vars(market), "distributor_areas": rows, **changes})


def test_an_exclusive_area_is_left_to_the_partner_but_for_its_large_customers():
    market = exclusive(market_of([5.0, 5.0, 5.0], [PARTNER]), ["a", "b"])
    facts = facts_of(market, abc=["A", "B", "C"])
    assert overlays.exclusive_partner(market, facts).tolist() == ["", "D1", ""]
    own = overlays.counted(facts, overlays.credit(market, facts, make_settings({})))
    assert own["workload_h"].gt(0).tolist() == [True, False, True]
    assert measuring.unit_measures(own, market.units.index).loc["b"].tolist() == [0, 0, 0, 0]


def test_named_accounts_stay_direct_in_an_exclusive_area_and_other_teams_do_not():
    market = exclusive(market_of([5.0, 5.0], [PARTNER]), ["a", "b"])
    facts = facts_of(market, abc="B")
    teams = {
        "key": {"by": "named", "who": ["A-a"]},
        "all": {"by": "geography", "credits": ["revenue"]},
    }
    where = overlays.credit(market, facts, make_settings({"overlays": teams}))
    assert where.loc["A-a"].to_dict() == dict.fromkeys(MEASURES, "field") | {"revenue": "all"}
    assert set(where.loc["A-b"]) == {"partner"}


def test_a_contract_that_has_ended_and_an_area_to_be_sold_directly_leave_nothing():
    ended = PARTNER | {"contract_end": pd.Timestamp("2026-06-30")}
    for market in (
        exclusive(market_of([5.0], [ended]), ["a"]),
        exclusive(market_of([5.0], [PARTNER], must_direct=True), ["a"]),
    ):
        assert overlays.exclusive_partner(market, facts_of(market, abc="B")).tolist() == [""]


def test_a_territory_with_an_exclusive_area_is_hybrid_and_one_that_is_all_left_indirect():
    market = exclusive(market_of([1e6, 5.0, 5.0], [PARTNER | {"discount_rate": 0.3}]), ["b", "c"])
    facts = facts_of(market, abc="B")
    territory = pd.Series(["T1", "T1", "T2"], index=["a", "b", "c"])
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": "VACANT"})
    left = pd.DataFrame({"distributor_id": "D1", "sales": 5.0}, index=["A-b", "A-c"])
    own = overlays.counted(facts, overlays.credit(market, facts, make_settings({})))
    found = choose_channels(market, own, territory, rep, make_settings({}), left)
    rows = found.set_index("territory")
    assert rows["channel"].to_dict() == {"T1": "hybrid", "T2": "indirect"}
    assert set(rows["distributor_id"]) == {"D1"}
    assert set(rows["reason"]) == {"exclusive_contract"}


def test_areas_exclusive_to_two_partners_are_refused(tmp_path):
    (tmp_path / "areas.geojson").write_text("", encoding="utf-8")
    from terrlib.inputs.load import _distributor_areas

    rows = pd.DataFrame(
        {"distributor_id": ["D1", "D2"], "area_id": "x", "coverage_rate": 1.0, "exclusive": True}
    )
    with pytest.raises(DataError, match="exclusive to several partners, such as x"):
        _distributor_areas(rows)


def test_next_quarter_nothing_changes_hands_where_nothing_has_changed(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    steps.write_plan(run)
    today = (run.folder / "accounts.csv").read_text(encoding="utf-8")
    (tmp_path / "assignments.csv").write_text(today, encoding="utf-8")
    with_today = ASKED["tables"] | {"assignments": "assignments.csv"}
    again = run_of(tmp_path, monkeypatch, tables=with_today)
    assert not (again.market.quality["rule"] == "rep_unknown").any()
    assert steps.hand_over(again).empty
    assert steps.reps(steps.overlay_runs(again)["key"])["rep_id"].tolist() == ["K1"]


# ------------------------------------------------------------------- who sells, and who leads


def test_in_an_exclusive_area_only_what_the_contract_leaves_is_the_partners():
    # b is exclusive to D1 in a territory that is hybrid by contract alone; K is a key account there.
    facts = pd.DataFrame(
        {"unit_id": list("abbb"), "abc": ["B", "A", "B", "B"]},
        index=["outside", "large", "small", "key"],
    )
    territory = pd.Series("T1", index=["a", "b"])
    left = pd.Series({"small": "D1"})
    row = {"territory": "T1", "channel": "hybrid", "distributor_id": "D1"}
    contract = pd.DataFrame([row | {"reason": "exclusive_contract"}])
    found = selling_partner(facts, territory, contract, left, ["key"])
    assert found.to_dict() == {"outside": "", "large": "", "small": "D1", "key": ""}
    # Where the partner pays more besides, it sells to all but A customers and key accounts.
    pays = pd.DataFrame([row | {"reason": "hybrid_pays_more"}])
    found = selling_partner(facts, territory, pays, left, ["key"])
    assert found.to_dict() == {"outside": "D1", "large": "", "small": "D1", "key": ""}
    whole = pd.DataFrame([row | {"channel": "indirect", "reason": "indirect_pays_more"}])
    found = selling_partner(facts, territory, whole, left, ["key"])
    assert found.to_dict() == {"outside": "D1", "large": "D1", "small": "D1", "key": ""}
    crm = plan.accounts(
        line_market([1.0]), facts.assign(segment=""), territory, pd.Series(dtype=str), found
    )
    assert crm["channel"].tolist() == ["indirect", "indirect", "indirect", "direct"]


def test_what_a_contract_makes_us_pay_anyway_does_not_count_against_the_partner():
    # A hundred thousand of support is paid for the exclusive b; selling in a costs nothing more.
    partner = PARTNER | {"support_cost_year": 1e5}
    market = exclusive(market_of([1e4, 5.0], [partner]), ["b"])
    facts = facts_of(market, abc="B")
    territory = pd.Series("T1", index=["a", "b"])
    rep = pd.DataFrame({"territory": ["T1"], "rep_id": "VACANT"})
    left = pd.DataFrame({"distributor_id": "D1", "sales": 5.0}, index=["A-b"])
    own = overlays.counted(facts, overlays.credit(market, facts, make_settings({})))
    row = choose_channels(market, own, territory, rep, make_settings({}), left).iloc[0]
    assert row["indirect"] == pytest.approx(0.25 * (own["revenue"].sum() + own["ev"].sum() / 0.35))
    assert row["channel"] == "indirect" and row["reason"] == "indirect_pays_more"


LEADERS = REPS + "M2,Ewa,52.0,19.0,manager,key\nM3,Iza,52.0,19.0,manager,Zachód\n"
LEADERS += "C1,Uma,52.0,19.0,channel_manager,\n"


def test_who_leads_is_in_the_budget_to_the_grosz(tmp_path, monkeypatch):
    run_of(tmp_path, monkeypatch)
    costly = LEADERS.replace("role,region", "role,region,cost_year").splitlines()
    money = {"M1": 100_000.01, "M2": 50_000.02, "M3": 30_000.03, "C1": 20_000.04, "K1": 7.77}
    rows = [costly[0], *(f"{line},{money.get(line[:2], 90_000)}" for line in costly[1:])]
    (tmp_path / "reps.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run = open_run(str(tmp_path / "s.yml"))
    assert run.market.reps.index.tolist() == ["R1", "R2"]  # who manages partners holds no territory
    steps.write_plan(run)
    rows = read_table(run.folder, "plan/budget")
    by = rows.groupby("category")["amount"].sum()
    # M1 leads the region, M2 the overlay, M3 and C1 nothing of their own; all are paid, each once.
    assert by["management"] == 100_000_01 + 50_000_02 + 30_000_03 + 20_000_04
    assert by["sales_people"] == 2 * 90_000_00 + 7_77
    at = rows[rows["category"] == "management"].groupby("territory")["amount"].sum()
    assert (at > 0).all() and set(at.index) == set(steps.territories(run).territory)
    results = steps.area_results(run)
    assert results["management"].sum() == by["management"]
    assert (results["result"] == results["now"] + results["new"] - results["cost"]).all()
    own = read_table(run.folder / "overlays" / "key", "region")
    assert own["rep_id"].tolist() == ["M2"]


def test_a_manager_who_is_gone_leads_nothing_and_costs_nothing(tmp_path, monkeypatch):
    run_of(tmp_path, monkeypatch)
    head, *rows = REPS.strip().splitlines()
    gone = [f"{head},leaves", *(f"{r},{'2026-09-30' if r[:2] == 'M1' else ''}" for r in rows)]
    (tmp_path / "reps.csv").write_text("\n".join(gone) + "\n", encoding="utf-8")
    run = open_run(str(tmp_path / "s.yml"))
    assert steps.regions(run).empty
    assert "M1" not in {rep for team in steps.teams(run) for rep in team.rep["rep_id"]}


# ---------------------------------------------------------------------------- goals


def test_every_coin_of_the_goal_is_asked_of_one_team(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch, goals={"total": 1000.01, "over_assignment": 0.05})
    steps.write_plan(run)
    own = read_table(run.folder, "decisions/goal")
    key = read_table(run.folder / "overlays" / "key", "decisions/goal")
    assert own["amount"].sum() + key["amount"].sum() == 1000_01
    assert key["amount"].sum() > 0 and set(key["territory"]) == {"K1"}
    # The hotels are credited with nothing, so they are asked for nothing.
    assert read_table(run.folder / "overlays" / "hotels", "decisions/goal").empty
    line = read_table(run.folder, "plan/timeline")
    assert line["target"].sum() == 1000_01  # by place, whoever sells
    asked_of = {name: steps.quotas(one) for name, one in steps.overlay_runs(run).items()}
    assert asked_of["key"]["rep_id"].tolist() == ["K1"] and asked_of["hotels"].empty
    assert asked_of["key"]["amount"].sum() == round(key["amount"].sum() * 1.05)
    assert steps.quotas(run)["amount"].sum() == round(own["amount"].sum() * 1.05)
    # A goal that is asked twice is seen by the gate.
    path = run.folder / "overlays" / "key" / "decisions" / "goal.csv"
    rows = pd.read_csv(path)
    rows["amount"] += 1
    rows.to_csv(path, index=False)
    with pytest.raises(PlanError, match="goals_in_timeline"):
        steps.check_run(run)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_goals_are_credited_to_the_coin_quarter_by_quarter(data):
    n = data.draw(st.integers(1, 6))
    ids = [f"A{i}" for i in range(n)]
    numbers = st.lists(st.floats(0, 1e6), min_size=n, max_size=n)
    facts = pd.DataFrame({"ev": data.draw(numbers), "white_space": data.draw(numbers)}, index=ids)
    places = data.draw(st.lists(st.sampled_from(["T1", "T2"]), min_size=n, max_size=n))
    label = pd.Series(places, index=ids)
    team = data.draw(st.lists(st.sampled_from(["field", "key", "partner"]), min_size=n, max_size=n))
    teams = pd.DataFrame({"team": team, "territory": label}, index=ids)
    teams["territory"] = teams["territory"].where(teams["team"] != "key", "K1")
    table = pd.DataFrame(
        [(t, q, data.draw(st.integers(0, 10**9))) for t in ("T1", "T2") for q in ("Q1", "Q2")],
        columns=["territory", "quarter", "amount"],
    )
    found = goals.by_credit(table, facts, label, {"T1": 0.5, "T2": 0.2}, teams)
    for quarter in ("Q1", "Q2"):
        sums = [rows.loc[rows["quarter"] == quarter, "amount"].sum() for rows in (table, found)]
        assert sums[0] == sums[1]
    assert (found["amount"] >= 0).all()
    assert set(found.loc[found["team"] == "field", "territory"]) == {"T1", "T2"}


def test_a_draft_that_starts_from_a_finished_plan_has_its_overlays(tmp_path, monkeypatch):
    run = run_of(tmp_path, monkeypatch)
    steps.write_plan(run)
    run.folder.rename(run.folder.parent / "T-2026Q4")
    again = open_run("T-2026Q4")
    assert steps.write_plan(again)["ok"].all()
    assert (again.folder / "overlays" / "key" / "decisions" / "goal.csv").is_file()
