# Every command works from an empty clone: .venv is built from requirements.lock when it is needed.
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

$(READY): requirements.lock pyproject.toml
	@echo "Building .venv from requirements.lock (a minute or two, once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "terrlib needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock 2>&1 | $(BIN)/python -c 'import sys; [print("." if l.startswith(("Collecting", "Requirement")) else "\n" + l.strip()[:100] + "\n" if l.startswith(("Installing", "ERROR", "Successfully")) else "", end="", flush=True) for l in sys.stdin]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

setup: $(READY)  ## build .venv from requirements.lock

plan: $(READY)  ## plan the sample; the last line is the path of the report
	@$(BIN)/terrlib plan data/sample/settings.yml

lab: $(READY)  ## open JupyterLab at 00_start_here
	@$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: $(READY)  ## run every test
	@$(BIN)/python -m pytest

check: $(READY)  ## ruff, format and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)  ## draw the published instances; then time the whole plan of the sample
	@$(BIN)/python tests/bench_territories.py
	@$(BIN)/python tests/bench.py

bench-size: $(READY)  ## a million accounts and 20 million sales lines against a plain group-by
	@$(BIN)/python -m tests.bench_size

bench-routes: .venv-peers/.ready  ## weeks of every rep of the sample routed by PyVRP, against the travel formula
	@.venv-peers/bin/python -m tests.bench_routes

bench-peers: .venv-peers/.ready  ## the same instances by other open tools, in a .venv-peers of their own
	@.venv-peers/bin/python tests/bench_peers.py

.venv-peers/.ready: requirements.lock pyproject.toml
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock --editable '.[peers]'
	@touch $@

sample: $(READY)  ## make data/sample again (needs npm)
	@$(BIN)/python data/make_sample.py

clean:  ## remove .venv and .venv-peers, caches and unfinished runs
	rm -rf .venv .venv-peers .pytest_cache .ruff_cache .mypy_cache .hypothesis reports/.*.partial
	find terrlib tests data -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup plan lab test check bench bench-size bench-routes bench-peers sample clean
.DEFAULT_GOAL := help
