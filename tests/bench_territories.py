"""Draw the published instances and say how far each answer is from the best known; exit 1 if a rule or a
target is missed.

Run by `make bench`. Every instance runs in a child process of its own, so that its peak memory is its
own; a tiny problem of the same kind is solved there first, so that compiling is timed apart.
Options: names of instances to run only these, `--once` for single runs.
"""

from __future__ import annotations

import csv
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, `tests` is no package yet

from tests import instances  # noqa: E402
from tests.judge import judge  # noqa: E402

OUT = ROOT / "reports" / "bench"
COLUMNS = ["instance", "objective", "ratio", "gap", "seconds", "peak_mb"]
RUNS, SHORT = 5, 15.0  # runs to take the median of, where the limit is at most SHORT seconds
LONG_EFFORT = 5
LONG_LIMIT = 300.0


@dataclass(frozen=True)
class Target:
    """What an instance is held to; inf where nothing is asked."""

    seconds: float
    ratio: float = math.inf
    gap: float = math.inf
    optimal: bool = False
    peak_mb: float = math.inf
    long_gap: float = math.inf


TARGETS = {
    **{name: Target(5, 1 + 1e-6, optimal=True) for name in instances.SMALL},
    **{name: Target(10, 1 + 1e-9) for name in instances.MIDDLE},
    **{name: Target(10, 1.0001, gap=0.01) for name in ("hess_OK", "hess_IA", "hess_NE")},
    **{name: Target(10, 1.0001, long_gap=0.02) for name in ("hess_WV", "hess_NV")},
    "towns_pl500_k10": Target(5, 1.50),
    "towns_pl2000_k40": Target(15, 1.63),
    "towns_pl2000_k100": Target(15, 1.90),
    "towns_de10000_k100": Target(60, 1.47),
    "towns_eu50000_k500": Target(180, peak_mb=4096),
}


def reference(known: dict) -> float:
    """The figure that ratios are to: the optimum, else the best known, else unbalanced k-means."""
    return next((known[key] for key in ("optimum", "best", "kmeans_moment") if known.get(key)), 0.0)


def tiny(instance: dict) -> dict:
    """Make a small instance of the same kind: 6 x 6 units in a grid, 3 territories."""
    side, measures = 6, len(instance["activity"][0])
    cells = [(i, j) for i in range(side) for j in range(side)]
    beside = [(c, c + 1) for c in range(side**2) if c % side < side - 1]
    return {
        **instance,
        "name": "tiny",
        "n": len(cells),
        "k": 3,
        "x": [10.0 * i for i, _ in cells],
        "y": [10.0 * j for _, j in cells],
        "activity": [[100.0] * measures] * len(cells),
        "edges": beside + [(c, c + side) for c in range(side * (side - 1))],
        "lower": [1000.0] * measures,
        "upper": [1400.0] * measures,
    }


def child(name: str, runs: int, effort: int, labels: Path) -> None:
    """Solve one instance `runs` times and print the figures as one line of JSON."""
    from terrlib.solve.solver import solve

    instance = instances.read_instance(name)
    began = time.perf_counter()
    solve(instances.as_problem(tiny(instance)), seed=1, effort=1)
    compiling = time.perf_counter() - began
    problem, seconds, answers = instances.as_problem(instance), [], []
    for _ in range(runs):
        began = time.perf_counter()
        answers.append(solve(problem, seed=1, effort=effort))
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / (1024**2 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere
    np.savetxt(labels, answers[0].label, fmt="%d")
    figures = {
        "bound": answers[0].bound,
        "status": answers[0].status,
        "seconds": statistics.median(seconds),
        "runs": runs,
        "peak_mb": peak_mb,
        "compiling": compiling,
        "same": all((a.label == answers[0].label).all() for a in answers),
    }
    print(json.dumps(figures))


def measure(name: str, runs: int, effort: int = 1, suffix: str = "") -> dict:
    """Run an instance in a child and judge its labels; figures, or {"error": why}."""
    labels = OUT / "labels" / f"{name}{suffix}.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--child", name, str(runs), str(effort), str(labels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    found = json.loads(done.stdout.splitlines()[-1])
    instance = instances.read_instance(name)
    verdict = judge(instance, np.loadtxt(labels, dtype=int, ndmin=1))
    known = reference(instance["known"])
    return {
        **found,
        "n": instance["n"],
        "verdict": verdict,
        "objective": verdict.objective,
        "ratio": verdict.objective / known if known else math.nan,
        "gap": (verdict.objective - found["bound"]) / verdict.objective,
    }


def missed(found: dict, target: Target) -> list[str]:
    """Say what of its target an answer misses."""
    wrong = {
        "ratio": found["ratio"] > target.ratio,
        "gap": not found["gap"] <= target.gap,
        "seconds": found["seconds"] > target.seconds,
        "memory": found["peak_mb"] > target.peak_mb,
        "proof": target.optimal and found["status"] != "optimal",
    }
    if target.gap == math.inf:
        wrong["gap"] = False  # nothing asked, and a bound may not be there
    return [what for what, is_wrong in wrong.items() if is_wrong]


def wanted(target: Target) -> str:
    """A target in a few characters."""
    parts = [f"{target.seconds:g} s"]
    if target.ratio < math.inf:
        parts.append(f"ratio {target.ratio:.7g}")
    if target.gap < math.inf:
        parts.append(f"gap {target.gap:.0%}")
    if target.optimal:
        parts.append("proven")
    if target.peak_mb < math.inf:
        parts.append(f"{target.peak_mb:g} MB")
    return ", ".join(parts)


def row(name: str, found: dict) -> dict:
    """One row of territories.csv."""
    return {
        "instance": name,
        "objective": repr(found["objective"]),
        "ratio": f"{found['ratio']:.7f}",
        "gap": f"{found['gap']:.7f}",
        "seconds": f"{found['seconds']:.3f}",
        "peak_mb": f"{found['peak_mb']:.0f}",
    }


def write(path: Path, columns: list[str], rows: list[dict]) -> None:
    """Write rows as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def breach_of(found: dict) -> str:
    """Say how an answer breaks the rules; empty where it keeps them."""
    if "error" in found:
        return f"BROKEN: {found['error']}"
    v = found["verdict"]
    if v.ok:
        return ""
    return f"BROKEN: breach {v.breach:.2e}, {v.broken} in pieces, {v.territories} territories"


def scaling(results: dict[str, dict]) -> None:
    """Print and write seconds per n log n of the towns."""
    rows = []
    for name, found in results.items():
        if name.startswith("towns_"):
            n = found["n"]
            per = found["seconds"] / (n * math.log(n))
            rows.append({"instance": name, "n": n, "seconds": f"{found['seconds']:.3f}"})
            rows[-1]["seconds_per_n_log_n"] = f"{per:.3e}"
    if not rows:
        return
    write(OUT / "scaling.csv", list(rows[0]), rows)
    print("\nscaling, seconds per n log n (n units, natural logarithm)")
    for line in rows:
        print(f"{line['instance']:20}{line['n']:>7}{line['seconds_per_n_log_n']:>12}")


def main(arguments: list[str]) -> int:
    """Run the benchmark; 1 where an answer breaks a rule or misses a target."""
    once = "--once" in arguments
    names = [a for a in arguments if a != "--once"] or instances.ALL
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"no such instance: {', '.join(unknown)}; there are {', '.join(instances.ALL)}")
        return 2
    absent = [name for name in names if not (instances.FOLDER / f"{name}.json").exists()]
    if absent:
        print(f"absent from {instances.FOLDER} (set TERRLIB_INSTANCES): {', '.join(absent)}")
    head = f"{'instance':20}{'objective':>16}{'ratio':>10}{'gap':>9}{'seconds':>9}{'peak_mb':>9}"
    print(f"{head}{'compile':>9}  target")
    rows, results, broken = [], {}, False
    for name in (name for name in names if name not in absent):
        target = TARGETS[name]
        found = measure(name, RUNS if target.seconds <= SHORT and not once else 1)
        fault = breach_of(found)
        broken |= bool(fault)
        if "error" in found:
            print(f"{name:20}{fault}", flush=True)
            continue
        results[name] = found
        rows.append(row(name, found))
        write(OUT / "territories.csv", COLUMNS, rows)
        faults = missed(found, target)
        verdict = fault or (f"MISSED {', '.join(faults)}" if faults else "met")
        verdict += "" if found["same"] else "; BROKEN: runs with one seed differ"
        broken |= bool(faults) or not found["same"]
        print(
            f"{name:20}{found['objective']:16.6g}{found['ratio']:10.5f}{found['gap']:9.3%}"
            f"{found['seconds']:9.2f}{found['peak_mb']:9.0f}{found['compiling']:9.1f}"
            f"  {wanted(target)}: {verdict}",
            flush=True,
        )
        if target.long_gap < math.inf:
            broken |= longer(name, target, rows)
            write(OUT / "territories.csv", COLUMNS, rows)
    scaling(results)
    return int(broken)


def longer(name: str, target: Target, rows: list[dict]) -> bool:
    """Run once more with more effort for the proof; True where the answer is broken or misses."""
    found = measure(name, 1, LONG_EFFORT, "_long")
    fault = breach_of(found)
    if "error" in found:
        print(f"  {name} with effort {LONG_EFFORT}: {fault}", flush=True)
        return True
    rows.append(row(f"{name} effort {LONG_EFFORT}", found))
    met = found["gap"] <= target.long_gap and found["seconds"] <= LONG_LIMIT
    print(
        f"  {name} with effort {LONG_EFFORT}: ratio {found['ratio']:.5f}, gap {found['gap']:.3%},"
        f" {found['seconds']:.1f} s  (gap {target.long_gap:.0%} within {LONG_LIMIT:g} s:"
        f" {fault or ('met' if met else 'MISSED')})",
        flush=True,
    )
    return bool(fault) or not met


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
    else:
        raise SystemExit(main(sys.argv[1:]))
