"""Draw the published instances with what a user would pick instead, ours and theirs in one run.

Run by `make bench-peers`. Every answer comes from a child process of its own and goes through
tests/judge.py. Options: names of instances, `--large` to add towns_de10000_k100.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, `tests` is no package yet

from terrlib.solve.partition import travel  # noqa: E402
from tests import instances  # noqa: E402
from tests.bench_territories import OUT, reference, tiny, write  # noqa: E402
from tests.judge import Verdict, judge  # noqa: E402

COLUMNS = [
    "instance",
    "tool",
    "version",
    "objective",
    "ratio",
    "worst_breach",
    "broken_territories",
    "ok",
    "seconds",
    "cpu_seconds",
    "settings",
]
NAMES = [
    "ctdp_2DU100-05-1",
    "ctdp_DU200-05-1",
    *instances.TRACTS,
    "towns_pl500_k10",
    "towns_pl2000_k40",
    "towns_pl2000_k100",
]
LARGE = "towns_de10000_k100"
LIMIT = 240.0  # seconds after which a peer is given up
STEPS = 2_500_000  # of ReCom: steps x units in two territories, one to three minutes
BURST = 10


def rank(instance: dict, verdict: Verdict) -> tuple[float, float]:
    """Order answers: those that keep more of the rules first, then the cheaper."""
    wrong = abs(verdict.territories - instance["k"]) + verdict.broken + verdict.breach
    return (0.0 if verdict.ok else wrong, verdict.objective)


def centre_and_slack(instance: dict) -> tuple[float, float]:
    """Middle of the bounds of the first measure, and how far from it they are, as a share."""
    low, high = instance["lower"][0], instance["upper"][0]
    return (low + high) / 2, (high - low) / (high + low)


def frame(instance: dict):
    """Units as a table with their neighbours, as spopt takes them."""
    import geopandas
    import libpysal

    xy = np.c_[instance["x"], instance["y"]].astype(float)
    load = np.asarray(instance["activity"], float)[:, 0]
    table = geopandas.GeoDataFrame(
        {"x": xy[:, 0], "y": xy[:, 1], "load": load},
        geometry=geopandas.points_from_xy(xy[:, 0], xy[:, 1]),
    )
    near: dict[int, list[int]] = {i: [] for i in range(instance["n"])}
    for i, j in instance["edges"]:
        near[i].append(j)
        near[j].append(i)
    return table, libpysal.weights.W(near, silence_warnings=True)


def ours(instance: dict):
    """The product, as `make bench` runs it."""
    from terrlib.solve.solver import solve

    return solve(instances.as_problem(instance), seed=1).label, "seed 1, effort 1"


def k_means_constrained(instance: dict):
    """Equal counts: it bounds how many units are in a cluster, not what they weigh."""
    from k_means_constrained import KMeansConstrained

    n, k = instance["n"], instance["k"]
    model = KMeansConstrained(
        k, size_min=n // k, size_max=math.ceil(n / k), n_init=10, random_state=1, n_jobs=1
    )
    return model.fit_predict(np.c_[instance["x"], instance["y"]]), "equal counts, n_init 10"


def max_p(instance: dict):
    """At least the lower bound in each region; the number of regions is its own choice."""
    from spopt.region import MaxPHeuristic

    table, near = frame(instance)
    model = MaxPHeuristic(
        table,
        near,
        ["x", "y"],
        "load",
        instance["lower"][0],
        max_iterations_construction=5,
        max_iterations_sa=1,
    )
    np.random.seed(1)  # noqa: NPY002 (what the tool draws from)
    model.solve()
    settings = "threshold = lower bound, 5 starts, 1 annealing each"
    return np.asarray(model.labels_).astype(int), settings


def skater(instance: dict):
    """As many clusters as wanted, of at least half the mean number of units."""
    from spopt.region import Skater

    table, near = frame(instance)
    floor = max(instance["n"] // instance["k"] // 2, 1)
    model = Skater(table, near, ["x", "y"], n_clusters=instance["k"], floor=floor)
    model.solve()
    return np.asarray(model.labels_).astype(int), f"floor {floor} units"


def metis(instance: dict):
    """Contiguous, near edges dear to cut; the best of several tolerances and seeds."""
    import pymetis

    problem = instances.as_problem(instance)
    near = pymetis.CSRAdjacency(problem.start.tolist(), problem.touch.tolist())
    load = np.asarray(instance["activity"], float)
    whole = np.rint(1e6 * (load / load.sum(0)).mean(1)).astype(int)
    xy = np.c_[instance["x"], instance["y"]].astype(float)
    away = np.sqrt(
        ((np.repeat(xy, np.diff(problem.start), axis=0) - xy[problem.touch]) ** 2).sum(1)
    )
    weight = np.clip(np.rint(100 * np.median(away) / np.maximum(away, 1e-9)), 1, 10_000).astype(int)
    slack, answers = max(round(1000 * centre_and_slack(instance)[1]), 1), []
    for factor in sorted({1, max(slack // 5, 1), max(slack // 2, 1), slack}):
        for eweights in (None, weight.tolist()):
            for seed in range(20):
                options = pymetis.Options(ufactor=factor, seed=seed, contig=1, niter=50)
                _, part = pymetis.part_graph(
                    instance["k"],
                    near,
                    vweights=whole.tolist(),
                    eweights=eweights,
                    recursive=False,
                    options=options,
                )
                label = np.asarray(part)
                edges = "1/distance" if eweights else "no"
                settings = f"contiguous, ufactor {factor}, {edges} edge weights"
                answers.append((rank(instance, judge(instance, label)), seed, settings, label))
    best = min(answers, key=lambda answer: answer[:3])
    return best[3], f"{best[2]}, best of {len(answers)}"


def recom(instance: dict):
    """ReCom in short bursts on the objective, dearer by the breach of the other measures."""
    from functools import lru_cache, partial

    import networkx
    from gerrychain import Graph, Partition, updaters
    from gerrychain.constraints import within_percent_of_ideal_population
    from gerrychain.optimization import SingleMetricOptimizer
    from gerrychain.partition import recursive_tree_part
    from gerrychain.proposals import recom as step
    from gerrychain.tree import bipartition_tree

    problem, draw = instances.as_problem(instance), random.Random(1)
    target, slack = centre_and_slack(instance)
    slack *= 0.999  # a little inside
    plain = networkx.Graph()
    plain.add_nodes_from((i, {"load": row[0]}) for i, row in enumerate(instance["activity"]))
    plain.add_edges_from(instance["edges"])
    graph = Graph.from_networkx(plain)
    first = recursive_tree_part(graph, range(instance["k"]), target, "load", slack, rng=draw)

    @lru_cache(maxsize=4 * instance["k"])
    def of(nodes: frozenset[int]) -> tuple[float, float]:
        units = np.array(sorted(nodes))
        load = problem.load[units].sum(0)
        over = np.maximum(problem.low[0] - load, load - problem.high[0]) / problem.high[0]
        away = travel(problem, units)[units].sum(0).min()
        return float(away), max(over.max(), 0.0)

    def value(partition) -> float:
        cost, breach = zip(*map(of, partition.parts.values()), strict=True)
        return sum(cost) * (1 + 10 * max(breach))

    start = Partition(graph, first, {"population": updaters.Tally("load", alias="population")})
    cut = partial(bipartition_tree, max_attempts=1000, allow_pair_reselection=True)
    search = SingleMetricOptimizer(
        partial(step, pop_col="load", pop_target=target, epsilon=slack, bipartition_tree_fn=cut),
        within_percent_of_ideal_population(start, slack),
        start,
        value,
        maximize=False,
        rng=draw,
    )
    bursts = int(np.clip(STEPS / (2 * instance["n"] / instance["k"]), 500, 50_000)) // BURST
    for _ in search.short_bursts(BURST, bursts):
        pass
    settings = f"{bursts} short bursts of {BURST} steps, epsilon {slack:.4f}"
    return np.asarray(search.best_part.assignment_vector, dtype=int), settings


TOOLS = {
    "terrlib": ("terrlib", ours),
    "k-means-constrained": ("k-means-constrained", k_means_constrained),
    "METIS": ("pymetis", metis),
    "gerrychain ReCom": ("gerrychain", recom),
    "spopt max-p": ("spopt", max_p),
    "spopt SKATER": ("spopt", skater),
}


def child(name: str, tool: str, labels: str) -> None:
    """Draw one instance with one tool; the labels to a file, figures as one line of JSON."""
    instance, draw = instances.read_instance(name), TOOLS[tool][1]
    began = time.perf_counter()
    if tool == "terrlib":
        draw(tiny(instance))  # compiling is not drawing
    begun, busy = time.perf_counter(), time.process_time()
    label, settings = draw(instance)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
    if tool == "terrlib":
        settings += f"; compiled in {begun - began:.1f} s before"
    np.savetxt(labels, label, fmt="%d")
    print(json.dumps({"seconds": seconds, "cpu": cpu, "settings": settings}))


def measure(name: str, tool: str) -> dict:
    """One row of peers.csv; not ok, with the reason as settings, where there is no answer."""
    row, package = dict.fromkeys(COLUMNS, "") | {"instance": name, "tool": tool}, TOOLS[tool][0]
    try:
        row["version"] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return row | {"ok": False, "settings": f"{package} is not installed"}
    with tempfile.TemporaryDirectory() as folder:
        labels = str(Path(folder) / "labels.txt")
        command = [sys.executable, __file__, "--child", name, tool, labels]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=LIMIT
            )
        except subprocess.TimeoutExpired:
            return row | {"ok": False, "settings": f"no answer in {LIMIT:g} s"}
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            return row | {"ok": False, "settings": f"failed: {why[:150]}"}
        found = json.loads(done.stdout.splitlines()[-1])
        label = np.loadtxt(labels, dtype=float, ndmin=1).astype(int)
    instance = instances.read_instance(name)
    verdict = judge(instance, label)
    settings = found["settings"]
    if verdict.territories != instance["k"]:
        settings += f"; {verdict.territories} territories, wanted {instance['k']}"
    return row | {
        "objective": repr(verdict.objective),
        "ratio": f"{verdict.objective / reference(instance['known']):.5f}",
        "worst_breach": f"{verdict.breach:.5f}",
        "broken_territories": verdict.broken,
        "ok": verdict.ok,
        "seconds": f"{found['seconds']:.2f}",
        "cpu_seconds": f"{found['cpu']:.2f}",
        "settings": settings,
    }


def main(arguments: list[str]) -> None:
    """Run the comparison and write it."""
    names = [a for a in arguments if a != "--large"] or NAMES
    if "--large" in arguments and LARGE not in names:
        names = [*names, LARGE]
    if absent := [name for name in names if not (instances.FOLDER / f"{name}.json").exists()]:
        print(f"absent from {instances.FOLDER} (set TERRLIB_INSTANCES): {', '.join(absent)}")
    names, rows = [name for name in names if name not in absent], []
    for tool, name in itertools.product(TOOLS, names):
        rows.append(row := measure(name, tool))
        rows.sort(key=lambda row: names.index(row["instance"]))
        write(OUT / "peers.csv", COLUMNS, rows)
        print(
            f"{name:20}{tool:20}{row['ratio']:>9}{row['worst_breach']:>9}"
            f"{row['broken_territories']!s:>4}{row['ok']!s:>6}{row['seconds']:>8}"
            f"{row['cpu_seconds']:>8}  {row['settings']}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
    else:
        main(sys.argv[1:])
