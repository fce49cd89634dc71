"""The benchmark: its judge, and the form of its tables."""

from __future__ import annotations

import csv
import importlib.util

import numpy as np
import pytest

from tests import bench_territories, instances
from tests.judge import judge

LINE = {
    "name": "line",
    "n": 4,
    "k": 2,
    "x": [0, 1, 2, 6],
    "y": [0, 0, 0, 0],
    "activity": [[1], [1], [1], [3]],
    "edges": [[0, 1], [1, 2], [2, 3]],
    "lower": [2],
    "upper": [4],
    "objective": "pmedian",
}


@pytest.mark.parametrize(
    ("kind", "objective"), [("pmedian", 2.0), ("hess", 2e-6), ("centroid_moment", 2.0)]
)
def test_judge_by_hand(kind, objective):
    """0, 1, 2 around 1 and 6 on its own: 1 + 1 away, squared or not."""
    found = judge({**LINE, "objective": kind}, np.array([7, 7, 7, 3]))
    assert found.objective == pytest.approx(objective)
    assert (found.ok, found.breach, found.broken, found.territories) == (True, 0.0, 0, 2)


def test_judge_finds_what_is_broken():
    in_pieces = judge(LINE, np.array([0, 1, 0, 1]))
    assert (in_pieces.ok, in_pieces.broken, in_pieces.breach) == (False, 2, 0.0)
    unfair = judge(LINE, np.array([0, 1, 1, 1]))
    assert (unfair.ok, unfair.broken, unfair.breach) == (False, 0, pytest.approx(1 / 3))
    assert not judge(LINE, np.array([0, 0, 1, 2])).ok
    with pytest.raises(ValueError, match="4 whole numbers"):
        judge(LINE, np.array([0, 1]))


@pytest.mark.parametrize("name", ["ctdp_2DU60-05-1", "hess_OK", "towns_pl500_k10"])
def test_judge_agrees_with_the_judge_of_the_instances(name):
    path = instances.FOLDER / "score.py"
    if not path.exists() or not (instances.FOLDER / f"{name}.json").exists():
        pytest.skip(f"the published instances are not in {instances.FOLDER}")
    spec = importlib.util.spec_from_file_location("outside_judge", path)
    outside = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(outside)
    instance, rng = instances.read_instance(name), np.random.default_rng(1)
    near = np.argsort(np.argsort(instance["x"])) * instance["k"] // instance["n"]
    for labels in (near, rng.integers(instance["k"], size=instance["n"])):
        ours, theirs = judge(instance, labels), outside.score(instance, labels)
        assert ours.objective == pytest.approx(theirs["objective"], rel=1e-9)
        assert ours.breach == pytest.approx(theirs["worst_breach"], abs=1e-9)
        assert ours.broken == theirs["broken_territories"]
        assert (ours.territories, ours.ok) == (theirs["territories"], theirs["ok"])


def test_table_has_the_columns_that_are_promised(tmp_path):
    found = {"objective": 2.0, "ratio": 1.0, "gap": 0.0, "seconds": 0.1, "peak_mb": 100.0}
    path = tmp_path / "territories.csv"
    bench_territories.write(path, bench_territories.COLUMNS, [bench_territories.row("a", found)])
    with path.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["instance", "objective", "ratio", "gap", "seconds", "peak_mb"]
    assert [float(x) for x in rows[1][1:]] == [2.0, 1.0, 0.0, 0.1, 100.0]


def test_every_instance_has_a_target():
    assert set(bench_territories.TARGETS) == set(instances.ALL)
