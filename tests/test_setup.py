"""The two commands of the README build from what is listed, and from nothing else."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMED_BY_THE_USER = 9


def test_the_conda_environment_lists_the_same_packages():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = {Requirement(text) for text in listed if isinstance(text, str)}
    by_name = {r.name: str(r.specifier) for r in conda}
    assert by_name.pop("python") == PROJECT["requires-python"]
    by_name.pop("pip")
    ours = {
        Requirement(text).name: str(Requirement(text).specifier) for text in PROJECT["dependencies"]
    }
    assert len(by_name) == NAMED_BY_THE_USER
    assert by_name == {name: ours[name] for name in by_name}
    assert {"pip": ["-e .[dev]"]} in listed


@pytest.mark.parametrize("text", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_what_is_installed_satisfies_the_project(text):
    need = Requirement(text)
    assert need.specifier.contains(metadata.version(need.name))


def test_the_lock_holds_names_and_exact_versions_only():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    locked = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {Requirement(text).name.lower() for text in wanted} <= locked


def test_no_other_lock_is_committed():
    assert not list(ROOT.glob("*.lock.*")) and not (ROOT / "uv.lock").exists()


def test_make_alone_lists_the_commands():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z]+):.*## ", text, flags=re.MULTILINE))
    assert {"plan", "test", "lab", "check", "bench", "sample", "clean"} <= described


def test_the_readme_holds_the_data_dictionary_of_the_code():
    from terrlib.inputs.tables import data_dictionary

    assert data_dictionary().strip() in (ROOT / "README.md").read_text(encoding="utf-8")
