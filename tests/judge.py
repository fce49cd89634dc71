"""Judge labels on a published instance from the definition, knowing nothing of how they were made.

    pmedian           sum_i d(i, c)                       c the unit of the territory with least sum
    hess              sum_i people_i * rint(d(i, c))^2 / 1e6                            c likewise
    centroid_moment   sum_i a_i * |x_i - g|^2             g the a-weighted mean of the territory

A breach is how far a measure is outside its bounds, as a share of the middle of the bounds. The
module uses nothing of terrlib.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

BREACH = 1e-9
BLOCK = 1000  # units at a time: all pairs of a big territory do not fit in memory


@dataclass(frozen=True)
class Verdict:
    """What the judge found; `broken` counts territories in more than one piece."""

    objective: float
    breach: float
    broken: int
    territories: int
    ok: bool


def judge(instance: dict, labels: np.ndarray) -> Verdict:
    """Judge labels; raises ValueError where they are not one whole number for every unit."""
    labels = np.asarray(labels)
    if labels.shape != (instance["n"],) or labels.dtype.kind not in "iu":
        raise ValueError(f"{instance['name']}: wanted {instance['n']} whole numbers")
    members = defaultdict(list)
    for unit, label in enumerate(labels.tolist()):
        members[label].append(unit)
    territories = list(members.values())
    breach = max(worst_breach(instance, units) for units in territories)
    broken = count_broken(instance["edges"], labels.tolist(), territories)
    return Verdict(
        objective=float(sum(cost(instance, units) for units in territories)),
        breach=breach,
        broken=broken,
        territories=len(territories),
        ok=breach <= BREACH and broken == 0 and len(territories) == instance["k"],
    )


def cost(instance: dict, units: list[int]) -> float:
    """Travel of one territory."""
    points = np.array([(instance["x"][i], instance["y"][i]) for i in units], float)
    amount = np.array([instance["activity"][i][0] for i in units], float)
    kind = instance["objective"]
    if kind == "centroid_moment":
        middle = amount @ points / amount.sum()
        return float(amount @ np.square(points - middle).sum(axis=1))
    if kind not in ("pmedian", "hess"):
        raise ValueError(f"unknown objective: {kind}")
    sums = []
    for begin in range(0, len(units), BLOCK):
        away = cdist(points[begin : begin + BLOCK], points)
        sums.append(away.sum(axis=1) if kind == "pmedian" else np.rint(away) ** 2 @ amount / 1e6)
    return float(np.concatenate(sums).min())


def worst_breach(instance: dict, units: list[int]) -> float:
    """Greatest breach over the measures of one territory; 0 inside every bound."""
    total = np.array([instance["activity"][i] for i in units], float).sum(axis=0)
    low, high = np.array(instance["lower"], float), np.array(instance["upper"], float)
    outside = np.maximum(low - total, total - high) / ((low + high) / 2)
    return max(float(outside.max()), 0.0)


def count_broken(edges: list, labels: list[int], territories: list[list[int]]) -> int:
    """Count territories that a walk from one of their units does not cover."""
    beside = defaultdict(list)
    for i, j in edges:
        if labels[i] == labels[j]:
            beside[i].append(j)
            beside[j].append(i)
    broken = 0
    for units in territories:
        seen, ahead = {units[0]}, [units[0]]
        while ahead:
            fresh = set(beside[ahead.pop()]) - seen
            seen |= fresh
            ahead.extend(fresh)
        broken += len(seen) < len(units)
    return broken


if __name__ == "__main__":
    import json

    if len(sys.argv) != 3:
        raise SystemExit("usage: judge.py INSTANCE.json LABELS.txt")
    chosen = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(judge(chosen, np.loadtxt(sys.argv[2], dtype=int, ndmin=1)))
