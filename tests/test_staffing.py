"""Who takes which territory: markets of a row of squares, every rule by hand, brute force on few."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrlib import steps, tables, tell
from terrlib.decisions.moves import handover
from terrlib.decisions.staffing import COMPONENTS, VACANT, assign_reps
from terrlib.errors import DataError, SettingsError
from terrlib.inputs.settings import Settings
from terrlib.measures import facts as measuring
from terrlib.measures import relations, workload
from terrlib.measures.fairness import by_group, rep_fairness
from terrlib.measures.workload import nights, tour_share
from terrlib.runs import open_run
from terrlib.solve.assign import EMPTY, assign, assign_many
from tests.worlds import line_market

BLANK = {"fte": 1.0, "skills": "", "home_lat": 52.0, "home_lon": 19.0, "cost_year": 120_000.0}
HALVES = pd.Series({"a": "T1", "b": "T2"})


def reps(*changes):
    rows = enumerate(changes, 1)
    return [{"rep_id": f"R{i}", "name": f"Rep {i}"} | BLANK | change for i, change in rows]


def facts_of(market):
    return measuring.account_facts(market, Settings(), pd.Series("", index=market.accounts.index))


def staffed(market, territory=HALVES, asked=None):
    return assign_reps(market, facts_of(market), territory, asked or Settings())


def holder(found):
    return dict(found.rep.itertuples(index=False))


def why(found, territory, rep):
    rows = found.costs.set_index(["territory", "rep_id"])
    return rows.loc[(territory, rep), "why"]


# ------------------------------------------------------------------------- rules that forbid a pair


def test_a_rep_takes_no_accounts_in_a_language_it_does_not_speak():
    german = [{"language": "de", "potential": 500.0}, {"language": "pl", "potential": 500.0}]
    market = line_market([10.0, 10.0], reps=reps({"languages": "pl"}, {"languages": "pl|de"}),
                         accounts=german)  # fmt: skip
    found = staffed(market)
    assert holder(found) == {"T1": "R2", "T2": "R1"} and why(found, "T1", "R1") == "language"


def test_a_rep_who_has_left_takes_nothing_and_one_to_come_in_time_does():
    market = line_market([10.0, 10.0], reps=reps({"leaves": "2026-09-30"}, {"hired": "2026-10-15"}))
    found = staffed(market)
    assert sorted(holder(found).values()) == ["R2", VACANT]
    assert why(found, "T1", "R1") == "away"
    late = line_market([10.0, 10.0], reps=reps({}, {"hired": "2027-02-01"}))
    assert why(staffed(late), "T1", "R2") == "away"


def test_too_far_from_home_is_forbidden_or_costs_a_move():
    far = {"home_lon": 25.0, "max_home_km": 100.0}
    stays = staffed(line_market([10.0, 10.0], reps=reps({}, far)))
    assert why(stays, "T1", "R2") == "too_far" and VACANT in holder(stays).values()
    moves = staffed(line_market([10.0, 10.0], reps=reps({}, far | {"can_relocate": True})))
    cost = moves.costs.set_index(["territory", "rep_id"])["relocation"]
    assert cost[("T1", "R2")] == 30_000 and cost[("T1", "R1")] == 0


def test_accounts_of_one_site_are_one_stop_for_the_rep_too():
    apart = line_market([1e6, 1e6, 1e6, 1e6], reps=reps({}))
    alike = [{}, {}, {"site_id": "A-a", "lon": 19.0, "x_km": 0.0}, {"site_id": "A-b"}]
    alike[3] |= {"lon": 19.1, "x_km": float(apart.accounts.loc["A-b", "x_km"])}
    joined = line_market([1e6, 1e6, 1e6, 1e6], reps=reps({}), accounts=alike)
    two = line_market([1e6, 1e6], reps=reps({}))
    one = pd.Series("T1", index=list("abcd"))
    travel = [
        staffed(market, one.reindex(market.units.index)).costs["travel"].iloc[0]
        for market in (apart, joined, two)
    ]
    assert travel[1] == pytest.approx(travel[2]) and travel[0] > travel[1]


def test_a_territory_that_nobody_may_take_is_named_with_the_reason():
    german = [{"language": "de", "potential": 500.0}, {"language": "pl", "potential": 500.0}]
    market = line_market([10.0, 10.0], reps=reps({"languages": "pl"}), accounts=german)
    found = staffed(market)
    assert found.nobody.to_numpy().tolist() == [["T1", "language"]]
    assert holder(found) == {"T1": VACANT, "T2": "R1"}


# ------------------------------------------------------------------------------- costs


def test_a_junior_on_large_accounts_and_a_new_hire_cost_what_they_lose():
    told = [{"potential": 100_000.0}, {"potential": 100_000.0}]
    people = reps({"seniority": "junior"}, {"hired": "2026-08-01"})
    market = line_market([10_000.0, 10_000.0], reps=people, accounts=told)
    found = staffed(market).costs.set_index(["territory", "rep_id"])
    ev = facts_of(market)["ev"]["A-a"]
    assert found.loc[("T1", "R1"), "seniority"] == pytest.approx(0.10 * ev)  # all with A accounts
    assert found.loc[("T1", "R2"), "seniority"] == 0
    ramp = 1 - np.mean([0.25, 0.60, 0.85, 1.0])
    assert found.loc[("T1", "R2"), "ramp"] == pytest.approx(ramp * ev)
    assert found.loc[("T1", "R1"), "ramp"] == 0


def test_who_knows_the_industry_loses_less_of_an_account():
    told = [{"industry": i} for i in ("inns", "inns", "mills")]
    held = [
        {"account_id": f"A-{a}", "territory": "T", "rep_id": r}
        for a, r in zip("abc", ("R1", "R2", "R3"), strict=True)
    ]
    market = line_market([90.0, 50.0, 70.0], reps=reps({}, {}, {}), accounts=told, assignments=held)
    lost = relations.share_lost(market, facts_of(market), Settings())
    full = 0.5 * 0.154
    assert lost.loc["R1", "R2"] == pytest.approx(full * 0.6)  # the same industry
    assert lost.loc["R1", "R3"] == pytest.approx(full)  # another
    assert lost.loc["R1", ""] == pytest.approx(full * 0.8)  # nothing known
    assert lost.loc["R1", "R1"] == 0
    territory = pd.Series({"a": "T1", "b": "T2", "c": "T3"})
    costs = staffed(market, territory).costs.set_index(["territory", "rep_id"])
    assert costs.loc[("T1", "R3"), "relationship"] == pytest.approx(0.35 * 90 * full)
    rep = pd.DataFrame({"territory": ["T1", "T2", "T3"], "rep_id": ["R3", "R2", "R1"]})
    moves = handover(market, facts_of(market), territory, rep, Settings()).set_index("account_id")
    assert moves.loc["A-a", "risk"] == pytest.approx(0.35 * 90 * full)
    assert moves.loc["A-a", "risk_low"] == 0
    assert moves.loc["A-a", "risk_high"] == pytest.approx(0.35 * 90 * 0.5 * 0.176)


def test_accounts_with_more_at_stake_are_introduced_later_but_surely():
    held = [{"account_id": "A-a", "territory": "T1", "rep_id": "R1"}]
    market = line_market([90.0, 5.0], reps=reps({}, {}), assignments=held,
                         accounts=[{"customer_since": pd.Timestamp("2020-01-01")}, {}])  # fmt: skip
    rep = pd.DataFrame({"territory": ["T1", "T2"], "rep_id": ["R2", "R1"]})
    moves = handover(market, facts_of(market), HALVES, rep, Settings()).set_index("account_id")
    assert moves.loc["A-a", "level"] == "high"
    assert moves.loc["A-a", "warm_by"] == pd.Timestamp("2026-10-01") + pd.Timedelta(days=90)


def test_a_night_away_joins_two_days():
    w = Settings().workload
    near, far = (tour_share(np.array([100.0]), np.array([h]), np.zeros(1), w) for h in (1.9, 2.1))
    assert near[0][0] == pytest.approx(2 * far[0][0])  # the way home is shared by twice the stops
    assert nights(np.array([1.9, 2.1]), w).tolist() == [0.0, 0.1]  # one night in ten visits


def test_the_users_own_minutes_count_where_they_are_given():
    rows = [{"unit_id": u, "to": "R1", "km": 500.0, "minutes": 60.0} for u in "ab"]
    market = line_market([10_000.0, 10_000.0], reps=reps({}, {}), travel=rows)
    costs = staffed(market).costs.set_index(["territory", "rep_id"])["travel"]
    assert costs[("T1", "R1")] > 5 * costs[("T1", "R2")]


def test_visits_are_taken_from_what_was_recorded():
    rows = [
        {"account_id": f"A-{u}", "date": day, "kind": "visit", "minutes": 40.0}
        for u in "abcdefghij"
        for day in ("2026-03-01", "2026-05-01", "2026-07-01")
    ]
    market = line_market([1e5] * 10 + [1.0], activities=rows)
    facts = facts_of(market)
    a = facts[facts["class"] == "A"]
    few = len(a) < 10  # the tenth makes 80% of sales together with the others
    assert not few or (a["visits"] == 24).all()
    told = pd.Series("A", index=market.accounts.index[:10])
    done = workload.as_recorded(market, told, Settings()).workload.classes["A"]
    assert (done.visits, done.visit_min, done.calls) == (3.0, 40.0, 0.0)
    plain = workload.as_recorded(line_market([1.0]), told, Settings())
    assert plain.workload.classes["A"].visits == 24


# ------------------------------------------------------------------------- locks, vacancies, regret


def test_a_lock_and_a_ban_hold_and_have_their_price():
    people = reps({"home_lon": 19.0}, {"home_lon": 19.1})
    plain = staffed(line_market([1e5, 1e5], reps=people))
    assert holder(plain) == {"T1": "R1", "T2": "R2"}
    for rows in (
        [{"territory": "T1", "rep_id": "R2", "rule": "lock", "reason": ""}],
        [{"territory": "T1", "rep_id": "R1", "rule": "ban", "reason": ""}],
    ):
        found = staffed(line_market([1e5, 1e5], reps=people, rep_locks=rows))
        assert holder(found) == {"T1": "R2", "T2": "R1"}
        assert found.locks["price"].iloc[0] == pytest.approx(found.total - plain.total)
        assert found.locks["price"].iloc[0] > 0


def test_a_lock_on_a_territory_that_is_not_there_is_refused():
    rows = [{"territory": "T9", "rep_id": "R1", "rule": "lock", "reason": ""}]
    with pytest.raises(SettingsError, match="there is no territory 'T9'; there are T1, T2"):
        staffed(line_market([1.0, 1.0], reps=reps({}, {}), rep_locks=rows))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("T1,R1,keep,\n", "a rule is lock or ban, not 'keep'"),
        ("T1,R7,lock,\n", "1 of the reps are not in the table of reps, such as 'R7'"),
        ("T1,R1,lock,\nT1,R2,,\n", "'T1' is locked to 2 reps"),
    ],
)
def test_locks_that_cannot_be_meant_are_refused(tmp_path, text, said):
    from terrlib.inputs.load import load_market
    from terrlib.inputs.settings import load_settings

    (tmp_path / "a.csv").write_text("account_id,lat,lon,revenue\na,52,19,1\nb,52,19.1,1\n")
    (tmp_path / "r.csv").write_text("rep_id,home_lat,home_lon\nR1,52,19\nR2,52,19\n")
    (tmp_path / "l.csv").write_text("territory,rep_id,rule,reason\n" + text)
    (tmp_path / "s.yml").write_text("tables: {accounts: a.csv, reps: r.csv, rep_locks: l.csv}\n")
    with pytest.raises(DataError, match=said):
        load_market(load_settings(tmp_path / "s.yml"), tmp_path)


def test_a_rep_may_hold_two_territories_and_no_more_hours_than_there_are():
    one = staffed(line_market([10.0, 10.0], reps=reps({"max_territories": 2.0})))
    assert holder(one) == {"T1": "R1", "T2": "R1"}
    half = reps({"max_territories": 2.0, "fte": 0.05})
    tight = staffed(line_market([1e5, 1e5], reps=half))  # 61 hours for some 80 each
    assert VACANT in holder(tight).values()


def test_who_could_take_over_is_named_with_what_it_costs_more():
    people = reps({"home_lon": 19.0}, {"home_lon": 19.1}, {"home_lon": 19.3})
    found = staffed(line_market([1e5, 1e5], reps=people))
    row = found.takeover.set_index("territory").loc["T1"]
    costs = found.costs.set_index(["territory", "rep_id"])["total"]
    cheapest = min(("R2", "R3"), key=lambda r: costs[("T1", r)])
    assert row["rep_id"] == "R1" and row["next_rep"] == cheapest
    assert row["extra"] == pytest.approx(costs[("T1", cheapest)] - costs[("T1", "R1")])


def test_parts_add_up_and_nobody_is_sent_where_it_may_not_go(sample):
    market, asked = sample
    label = pd.Series("", index=market.accounts.index)
    facts = measuring.account_facts(market, asked, label)
    territory = facts["area_id"].str[:2].groupby(facts["unit_id"]).first()
    territory = territory.reindex(market.units.index).fillna("02")
    found = assign_reps(market, facts, territory, asked)
    assert np.allclose(found.costs[COMPONENTS].sum(axis=1), found.costs["total"])
    pairs = found.costs.merge(found.rep, on=["territory", "rep_id"])
    assert not pairs["forbidden"].any()
    held = found.rep.loc[found.rep["rep_id"] != VACANT, "rep_id"]
    assert held.is_unique


# ------------------------------------------------------------------------------- the model itself

COSTS = st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=3, max_size=5)


@settings(max_examples=40, deadline=None)
@given(COSTS, st.data())
def test_the_model_with_hours_is_as_good_as_trying_everything(rows, data):
    cost = np.array(rows, float)
    n, m = cost.shape
    hours = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n * m, max_size=n * m)), float)
    hours = hours.reshape(n, m)
    limit = np.array(data.draw(st.lists(st.integers(1, 15), min_size=m, max_size=m)), float)
    most = np.array(data.draw(st.lists(st.integers(1, 3), min_size=m, max_size=m)))
    forbidden = np.zeros((n, m), dtype=bool)
    forbidden[0, 0] = True
    empty = np.full(n, 100.0)
    _, total = assign_many(cost, forbidden, empty, hours, limit, most)
    best = np.inf
    for way in itertools.product(range(-1, m), repeat=n):
        load, count, spent, fits = np.zeros(m), np.zeros(m, int), 0.0, True
        for i, j in enumerate(way):
            if j < 0:
                spent += 100.0
                continue
            load[j] += hours[i, j]
            count[j] += 1
            spent += cost[i, j]
            fits &= not forbidden[i, j]
        if fits and (load <= limit).all() and (count <= most).all():
            best = min(best, spent)
    assert total == pytest.approx(best)


SIDES = st.integers(1, 7)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_up_to_seven_by_seven_nothing_is_cheaper_and_a_lock_never_saves(n, m, seed):
    """Every way is tried, column by column (a set of taken columns is all that matters of the past)."""
    rng = np.random.default_rng(seed)
    cost, empty = rng.integers(0, 40, (n, m)).astype(float), rng.integers(20, 60, n).astype(float)
    forbidden = rng.random((n, m)) < 0.2
    least = {0: 0.0}
    for i in range(n):
        after = {}
        for taken, spent in least.items():
            ways = [(taken, spent + empty[i])]
            ways += [
                (taken | 1 << j, spent + cost[i, j])
                for j in range(m)
                if not taken >> j & 1 and not forbidden[i, j]
            ]
            for key, total in ways:
                after[key] = min(total, after.get(key, np.inf))
        least = after
    _, total = assign(cost, forbidden, empty)
    assert total == pytest.approx(min(least.values()))
    locked = forbidden.copy()
    i, j = rng.integers(n), rng.integers(m)
    locked[i], locked[:, j] = True, True
    locked[i, j] = forbidden[i, j]
    assert assign(cost, locked, empty)[1] >= total - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 50), min_size=5, max_size=5), min_size=5, max_size=5))
def test_one_each_is_the_same_by_both_models(rows):
    cost = np.array(rows, float)
    none, empty = np.zeros((5, 5), dtype=bool), np.full(5, 300.0)
    free = np.full((5, 5), 1.0), np.full(5, 9.0), np.ones(5, int)
    one, many = assign(cost, none, empty), assign_many(cost, none, empty, *free)
    assert one[1] == pytest.approx(many[1]) and (many[0] != EMPTY).all()


def test_what_would_leave_one_more_vacant_is_no_amount_of_money():
    # Who may not take the other's territory cannot be replaced: the price is a vacancy, not a sum.
    languages = [{"language": x, "potential": 2e6} for x in ("de", "pl")]
    people = reps({"languages": "de", "cost_year": 900_000.0}, {"languages": "pl"})
    found = staffed(line_market([1e6, 1e6], reps=people, accounts=languages))
    assert holder(found) == {"T1": "R1", "T2": "R2"}
    assert found.load["regret"].isna().all()


def test_a_rep_is_not_taken_from_its_customers_to_fill_a_vacancy():
    # One rep for two alike: to vacate the territory with its own customers loses them.
    held = [
        {"account_id": "A-a", "territory": "T1", "rep_id": "R1"},
        {"account_id": "A-b", "territory": "T2", "rep_id": VACANT},
    ]
    market = line_market([1e6, 1e6], reps=reps({"home_lon": 19.1}), assignments=held)
    assert holder(staffed(market)) == {"T1": "R1", "T2": VACANT}
    assert relations.owners(market).tolist() == ["R1", ""]


def test_today_is_compared_without_those_who_are_gone():
    held = [
        {"account_id": f"A-{u}", "territory": t, "rep_id": r}
        for u, t, r in (("a", "T1", "R1"), ("b", "T2", "R2"))
    ]
    people = reps({"leaves": "2026-06-30"}, {})
    found = staffed(line_market([10.0, 10.0], reps=people, assignments=held))
    assert found.present.to_numpy().tolist() == [["T2", "R2"]]
    pair = found.costs.set_index(["territory", "rep_id"]).loc[("T2", "R2"), "total"]
    assert found.present_total == pytest.approx(pair)


# ------------------------------------------------------------------------------------------ fairness


def test_groups_are_compared_before_and_after_and_nobody_alone():
    market = line_market(
        [10.0, 10.0, 10.0, 0.0],
        reps=reps({"seniority": "junior"}, {"fte": 0.5}, {"fte": 0.5}, {"seniority": "senior"}),
    )
    facts = facts_of(market)
    held = pd.Series(["R1", "R2", "R3", "R4"], index=facts.index)
    plan = rep_fairness(market, facts, held, Settings())
    rows = by_group(plan, plan)
    # One junior and one senior would be persons and not groups.
    assert rows["trait"].tolist() == ["part_time", "part_time"]
    assert rows["reps"].tolist() == [2, 2]
    assert rows["load"].tolist() == rows["load_today"].tolist()
    assert rows["load"][1] == pytest.approx(plan["load"][["R2", "R3"]].mean())
    assert by_group(plan, plan.iloc[:0])["load_today"].isna().all()
    assert by_group(plan.iloc[:1], plan).empty


def test_the_page_on_fairness_names_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRLIB_REPORTS", str(tmp_path / "reports"))
    lines = [f"A{i},{52 + i / 10},19.0,{100 * i},{'T1' if i < 4 else 'T2'}" for i in range(1, 7)]
    text = "account_id,lat,lon,revenue,territory\n" + "\n".join(lines)
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    people = "rep_id,name,home_lat,home_lon,fte\nR1,Zenobia,52.1,19,1\nR2,Ambroży,52.6,19,0.5\n"
    (tmp_path / "r.csv").write_text(people, encoding="utf-8")
    asked = "territories: {count: 2, balance: {count: 0.5}}\n"
    for locale in ("pl", "en"):
        head = f"locale: {locale}\nquarter: 2026Q4\ntables: {{accounts: a.csv, reps: r.csv}}\n"
        (tmp_path / "s.yml").write_text(head + asked, encoding="utf-8")
        run = open_run(str(tmp_path / "s.yml"))
        shown = f"{tell.rep_fairness(run)} {tables.fairness_table(run)}"
        shown += tables.fairness_chart(run).to_json()
        assert "Zenobia" not in shown and "Ambro" not in shown
        assert "R1" in shown


# ----------------------------------------------------------------------------------- on the map


def test_lines_lead_from_the_home_to_all_hours_of_the_territory(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRLIB_REPORTS", str(tmp_path / "reports"))
    rows = [f"A{i},{52 + i / 10},19.0,{100 * i}" for i in range(1, 9)]
    (tmp_path / "a.csv").write_text("account_id,lat,lon,revenue\n" + "\n".join(rows), "utf-8")
    people = "rep_id,home_lat,home_lon,leaves\nR1,52.1,19,\nR2,52.7,19,2026-01-01\n"
    (tmp_path / "r.csv").write_text(people, encoding="utf-8")
    (tmp_path / "s.yml").write_text(
        "quarter: 2026Q4\ntables: {accounts: a.csv, reps: r.csv}\n"
        "territories: {count: 2, balance: {count: 0.3}}\n",
        encoding="utf-8",
    )
    run = open_run(str(tmp_path / "s.yml"))
    lines = tables.spider(run)
    assert set(lines["rep_id"]) == {"R1"}
    assert (lines[["home_lat", "home_lon"]].drop_duplicates().to_numpy() == [[52.1, 19.0]]).all()
    card = steps.territories(run).card["workload_h"]
    sums = lines.groupby("territory")["workload_h"].sum()
    assert sums.to_dict() == pytest.approx(card[sums.index].to_dict())
    html = tables.staff_map(run).get_root().render()
    assert html.count('"className": "spider"') == len(lines)
    # A vacant territory has no lines, and who is gone no home.
    assert html.count("L.circleMarker(\n                [52.7,") == 0
