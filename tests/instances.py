"""Published instances as problems of the solver; they are read where a folder of them is given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from terrlib.solve.partition import FREE, Problem, touch_graph

# Instances are facts of others and not part of the product.
FOLDER = Path(os.environ.get("TERRLIB_INSTANCES", Path(__file__).parents[2] / "shared" / "bench"))
SMALL = [
    "ctdp_2DU60-05-1",
    "ctdp_2DU60-05-2",
    "ctdp_2DU80-05-1",
    "ctdp_2DU80-05-2",
    "ctdp_2DU100-05-1",
    "ctdp_2DU100-05-2",
    "ctdp_2DU100-05-3",
]
MIDDLE = [
    "ctdp_2DU120-05-1",
    "ctdp_2DU120-05-2",
    "ctdp_DU150-05-1",
    "ctdp_DU200-05-1",
    "ctdp_DU200-05-2",
]
TRACTS = ["hess_OK", "hess_IA", "hess_NE", "hess_WV", "hess_NV"]
TOWNS = [
    "towns_pl500_k10",
    "towns_pl2000_k40",
    "towns_pl2000_k100",
    "towns_de10000_k100",
    "towns_eu50000_k500",
]
ALL = [*SMALL, *MIDDLE, *TRACTS, *TOWNS]


def read_instance(name: str) -> dict:
    """The instance as published."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def as_problem(instance: dict) -> Problem:
    """The instance as a problem; every objective is one of ours."""
    xy = np.c_[instance["x"], instance["y"]].astype(float)
    load = np.asarray(instance["activity"], float)
    n, k = instance["n"], instance["k"]
    start, touch = touch_graph(n, np.asarray(instance["edges"], dtype=np.int64))
    kind, weight, matrix = instance["objective"], np.ones(n), None
    if kind == "hess":
        weight = load[:, 0] / 1e6
        matrix = np.rint(np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(2)))
    elif kind == "centroid_moment":
        weight = load[:, 0]
    return Problem(
        xy=xy,
        weight=weight,
        load=load,
        low=np.tile(np.asarray(instance["lower"], float), (k, 1)),
        high=np.tile(np.asarray(instance["upper"], float), (k, 1)),
        start=start,
        touch=touch,
        fixed=np.full(n, FREE),
        seed=np.full(k, FREE),
        square=kind != "pmedian",
        matrix=matrix,
    )


def leaving(present: np.ndarray, k: int) -> np.ndarray:
    """One account of every unit changes hands where the unit leaves its slot of today, (n, k, 1)."""
    there = (present[:, None] != FREE) & (present[:, None] != np.arange(k))
    return there[:, :, None].astype(float)
