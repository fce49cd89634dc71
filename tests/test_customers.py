"""Who buys how much and how regularly: by hand, and whatever names, money and order are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terrlib.inputs.load import load_market
from terrlib.inputs.settings import Settings, load_settings
from terrlib.measures import customers
from tests.worlds import line_market

ROOT = Path(__file__).parents[1]


def sale(account, date, amount, line="paper"):
    return {"account_id": account, "date": date, "amount": amount, "product_line": line}


def buying_every_month(account, months, amount=100.0, end="2026-09"):
    """One purchase on the tenth of each of the last months."""
    last = pd.Period(end, "M")
    return [sale(account, f"{last - i}-10", amount) for i in range(months)]


@pytest.fixture(scope="module")
def sample():
    asked = load_settings(ROOT / "data/sample/settings.yml")
    return load_market(asked, ROOT / "data/sample"), asked


def test_a_credit_note_is_money_back_but_no_purchase():
    rows = [sale("A-a", "2026-08-01", 500.0), sale("A-a", "2026-09-20", -200.0)]
    one = customers.rfm(line_market([1.0], sales=rows), Settings()).loc["A-a"]
    assert (one["monetary"], one["frequency"], one["recency_d"]) == (300.0, 1, 60)


def test_a_split_invoice_is_one_month_of_purchase():
    rows = [sale("A-a", "2026-09-01", 1.0), sale("A-a", "2026-09-30", 1.0)]
    one = customers.rfm(line_market([1.0], sales=rows), Settings()).loc["A-a"]
    assert (one["frequency"], one["recency_d"]) == (1, 0)
    assert np.isnan(one["gap_d"])


def test_prospects_are_not_scored_and_without_sales_nobody_is():
    rows = buying_every_month("A-a", 4)
    found = customers.rfm(line_market([1.0, 0.0], sales=rows), Settings())
    assert found.loc["A-b", customers.RFM_NUMBERS].isna().all()
    assert found.loc["A-b", ["rfm", "late"]].tolist() == ["", ""]
    none = customers.rfm(line_market([1.0] * 20), Settings())
    assert len(none) == 20
    assert none[customers.RFM_NUMBERS].isna().all(axis=None)
    assert none.columns.tolist() == found.columns.tolist()


@pytest.mark.parametrize(
    ("days", "said"), [(30, ""), (45, ""), (46, "late"), (76, "late"), (77, "at_risk")]
)
def test_a_monthly_customer_is_late_after_one_and_a_half_months(days, said):
    last = pd.Timestamp("2026-09-30") - pd.Timedelta(days=days)
    rows = [sale("A-a", last - pd.DateOffset(months=i), 1.0) for i in range(3)]
    one = customers.rfm(line_market([1.0], sales=rows), Settings()).loc["A-a"]
    assert one["gap_d"] == pytest.approx(30.4375)
    assert one["late"] == said


def test_two_purchases_are_no_rhythm():
    rows = [sale("A-a", "2025-01-10", 1.0), sale("A-a", "2025-02-10", 1.0)]
    one = customers.rfm(line_market([1.0], sales=rows), Settings()).loc["A-a"]
    assert one["late"] == ""
    assert np.isnan(one["overdue_ratio"])


def test_few_customers_get_three_scores_and_many_five():
    def scored(n):
        market = line_market([1.0] * n)
        rows = [
            r
            for i, a in enumerate(market.accounts.index)
            for r in buying_every_month(a, 1, i + 1.0)
        ]
        return customers.rfm(line_market([1.0] * n, sales=rows), Settings())

    assert sorted(scored(24)["m"].unique()) == [1, 3, 5]
    assert scored(25)["m"].value_counts().sort_index().tolist() == [5, 5, 5, 5, 5]


def test_equal_customers_get_equal_scores():
    rows = [r for a in "abcde" for r in buying_every_month(f"A-{a}", 6)]
    found = customers.rfm(line_market([1.0] * 5, sales=rows), Settings())
    assert found[["r", "f", "m"]].nunique().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ((4, 4, 4), "champion"),
        ((5, 5, 3), "loyal"),
        ((1, 4, 5), "loyal"),
        ((4, 2, 4), "big_new"),
        ((2, 3, 5), "at_risk"),
        ((1, 2, 1), "lost"),
        ((2, 2, 2), "regular"),
        ((3, 3, 3), "regular"),
    ],
)
def test_the_first_rule_that_fits_names_a_customer(scores, name):
    row = pd.DataFrame([scores], columns=["r", "f", "m"])
    assert customers._named_by_rule(row).tolist() == [name]


def test_scores_do_not_depend_on_currency_names_or_order(sample):
    market, asked = sample
    scores = customers.rfm(market, asked)
    shuffled = market.sales.sample(frac=1, random_state=1)
    dear = replace(market, sales=shuffled.assign(amount=shuffled["amount"] * 8))
    other = customers.rfm(dear, asked)
    assert other["monetary"].equals(scores["monetary"] * 8)
    pd.testing.assert_frame_equal(other.drop(columns="monetary"), scores.drop(columns="monetary"))
    turned = {a: a[::-1] + "x" for a in market.accounts.index}
    renamed = replace(
        market,
        accounts=market.accounts.rename(index=turned).sort_index(),
        sales=market.sales.assign(account_id=market.sales["account_id"].map(turned)),
    )
    back = customers.rfm(renamed, asked).rename(index={v: k for k, v in turned.items()})
    pd.testing.assert_frame_equal(back.loc[scores.index], scores, check_names=False)


def test_later_sales_change_nothing(sample):
    market, asked = sample
    later = market.sales.head(50).assign(date=market.as_of + pd.Timedelta(days=3))
    more = replace(market, sales=pd.concat([market.sales, later], ignore_index=True))
    pd.testing.assert_frame_equal(customers.rfm(more, asked), customers.rfm(market, asked))


def facts(rows):
    names = ["abc", "revenue", "potential", "industry"]
    table = pd.DataFrame(rows, columns=names, index=[f"x{i}" for i in range(len(rows))])
    return table.assign(white_space=table["potential"] - table["revenue"])


def test_nine_fields_hold_every_account_once():
    table = facts(
        [("A", 90.0, 90.0, ""), ("C", 1.0, 60.0, ""), ("", 0.0, 50.0, ""), ("", 0.0, 0.0, "")]
    )
    fields = customers.nine_fields(table)
    assert len(fields) == 12
    assert fields["n"].sum() == len(table)
    for column in ("revenue", "potential", "white_space"):
        assert fields[column].sum() == table[column].sum()
    there = fields[fields["n"] > 0].set_index(["abc", "abc_potential"])["n"].to_dict()
    assert there == {("A", "A"): 1, ("C", "A"): 1, ("", "A"): 1, ("", "C"): 1}
    assert customers.new_sales(table).index.tolist() == ["x1", "x2"]


def test_equal_white_space_is_listed_by_id():
    table = facts([("", 0.0, 5.0, ""), ("", 0.0, 5.0, "")]).iloc[::-1]
    assert customers.new_sales(table).index.tolist() == ["x0", "x1"]


def test_concentration_by_industry():
    rows = [("A", 60.0, 0.0, "inns"), ("B", 20.0, 0.0, "inns"), ("C", 20.0, 0.0, "bakers")]
    table = facts([*rows, ("", 0.0, 9.0, "bakers"), ("", 0.0, 9.0, "")])
    found = customers.concentration_by(table, "industry").set_index("industry")
    assert found.index.tolist() == ["inns", "bakers", ""]
    assert found["n"].tolist() == [2, 2, 1]
    assert found["customers"].tolist() == [2, 1, 0]
    assert found["share"].tolist() == [0.8, 0.2, 0.0]
    assert found["effective_number"].tolist()[:2] == pytest.approx([80**2 / 4000, 1.0])
    assert found.loc["", ["top1_share", "effective_number"]].isna().all()
    assert found["depends_on_one"].tolist() == [True, True, False]


def test_concentration_by_labels_of_any_decision_and_of_nothing():
    table = facts([("A", 6.0, 0.0, ""), ("A", 2.0, 0.0, "")])
    label = pd.Series({"x0": "T1", "x1": "T2"}, name="territory")
    found = customers.concentration_by(table, label)
    assert found["territory"].tolist() == ["T1", "T2"]
    nothing = customers.concentration_by(table.assign(revenue=0.0), label)
    assert nothing["share"].isna().all()
    assert not nothing["depends_on_one"].any()


def test_groups_add_up_and_money_has_no_unit(sample):
    market, _ = sample
    table = market.accounts
    for dimension in ("industry", "region"):
        found = customers.concentration_by(table, dimension)
        assert found["n"].sum() == len(table)
        assert found["share"].sum() == pytest.approx(1)
        dear = customers.concentration_by(table.assign(revenue=table["revenue"] * 8), dimension)
        pd.testing.assert_frame_equal(dear.drop(columns="revenue"), found.drop(columns="revenue"))


def test_one_customer_above_a_tenth_is_flagged():
    assert customers.concentration(pd.Series([11.0] + [89 / 30] * 30))["depends_on_one"]
    assert not customers.concentration(pd.Series([10.0] + [3.0] * 30))["depends_on_one"]


def test_the_spread_inside_a_group_is_that_of_its_customers():
    rows = [("A", m, 0.0, "inns") for m in (4.0, 2.0, 2.0, 1.0, 1.0)] + [("A", 9.0, 0.0, "mills")]
    table = facts([*rows, ("", 0.0, 0.0, "inns")])
    found = customers.concentration_by(table, "industry").set_index("industry")
    alone = customers.concentration(pd.Series([4.0, 2.0, 2.0, 1.0, 1.0]))
    for measure in customers.SPREAD:
        assert found.loc["inns", measure] == pytest.approx(alone[measure])
    assert found.loc["mills", customers.SPREAD].tolist() == [1, 1, 1, 1, 0]


def test_the_curve_of_sales_by_hand():
    table = facts([("B", 1.0, 0.0, ""), ("A", 3.0, 0.0, ""), ("", 0.0, 0.0, "")])
    found = customers.pareto(table)
    assert found["share"].tolist() == [0.75, 1.0] and found["abc"].tolist() == ["A", "B"]
    assert customers.pareto(table.assign(revenue=0.0)).empty
