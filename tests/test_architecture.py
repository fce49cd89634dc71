"""The layout shows the architecture: data flows one way."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "terrlib"
ROOMS = [
    "show.words",
    "errors",
    "money",
    "inputs.settings",
    "inputs.tables",
    "inputs.values",
    "inputs.files",
    "inputs.query",
    "inputs.read",
    "inputs.names",
    "inputs.mapping",
    "inputs.duplicates",
    "inputs.quality",
    "inputs.trust",
    "inputs.places",
    "inputs.units",
    "inputs.market",
    "inputs.load",
    "inputs.texts",
    "inputs.rollup",
    "inputs.rollup_files",
    "checks",
    "measures",
    "solve",
    "decisions",
    "plan",
    "review",
    "show",
    "runs",
    "steps",
    "tell",
    "tables",
    "pages",
    "pipeline",
    "cli",
]
SOLVERS_MAY_IMPORT = {
    "__future__",
    "collections",
    "concurrent",
    "dataclasses",
    "typing",
    "math",
    "heapq",
} | {
    "numpy",
    "scipy",
    "highspy",
    "numba",
}
MODULES = sorted(p for p in HOUSE.rglob("*.py") if p.name != "__init__.py")


def name_of(path):
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts)


def room_of(module):
    fits = [i for i, room in enumerate(ROOMS) if module == room or module.startswith(room + ".")]
    return fits[0] if fits else None


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def terrlib_modules_of(path):
    known = {name_of(p) for p in MODULES}
    for name in imports_of(path):
        parts = name.removeprefix("terrlib.").split(".")
        if name.startswith("terrlib"):
            found = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
            yield from [m for m in found if m in known][:1]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_a_room_and_imports_only_from_rooms_above(path):
    here = room_of(name_of(path))
    assert here is not None, f"{name_of(path)} has no room"
    wrong = [m for m in terrlib_modules_of(path) if room_of(m) > here]
    assert not wrong, f"{name_of(path)} imports from below: {wrong}"


@pytest.mark.parametrize("path", sorted((HOUSE / "solve").glob("*.py")), ids=lambda p: p.stem)
def test_solvers_know_only_numbers(path):
    foreign = {
        name.split(".")[0]
        for name in imports_of(path)
        if not name.startswith(("terrlib.solve", "terrlib.errors"))
    }
    assert foreign <= SOLVERS_MAY_IMPORT, f"{path.name} imports {foreign - SOLVERS_MAY_IMPORT}"


def test_only_the_doors_of_the_house_know_paths():
    reading = {
        "inputs.settings",
        "inputs.files",
        "inputs.read",
        "inputs.load",
        "inputs.rollup_files",
    }
    reading |= {"runs", "pages", "pipeline", "cli"}
    for path in MODULES:
        if name_of(path) not in reading and not name_of(path).startswith("show"):
            assert "pathlib.Path" not in set(imports_of(path)), name_of(path)
