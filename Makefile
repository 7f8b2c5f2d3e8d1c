# What a developer runs. `make` alone lists the targets.

PYTHON ?= python3
WORKERS ?= 2
REVIEWED ?=

BIN := .venv/bin
# Only errors are printed: warnings are about this machine's package sources.
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help demo test lint bench claims clean

help:  ## list the targets
	sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/.ready  ## convert a real Keras model to .etui and back, and show what was kept
	$(BIN)/python refimpl/examples/demo.py

test: .venv/.frameworks  ## run every test, those against the real frameworks included (WORKERS=2)
	$(BIN)/python -m pytest --quiet --numprocesses=$(WORKERS) --dist=worksteal

lint: .venv/.tools  ## check style, types, and that every MUST has a test
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m etui_conformance.traceability check

bench: .venv/.ready  ## measure save, open and load against safetensors and a plain write
	$(BIN)/python refimpl/benchmarks/storage.py
	$(BIN)/python refimpl/benchmarks/import_time.py

claims: .venv/.tools  ## stamp the tests' claims; after a review of changed clauses: REVIEWED="W-1 W-2"
	$(BIN)/python -m etui_conformance.traceability stamp $(if $(REVIEWED),--reviewed $(REVIEWED))
	$(BIN)/ruff format --quiet refimpl/tests conformance

clean:  ## remove the environment, caches and outputs
	rm -rf .venv build dist out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find refimpl conformance -name __pycache__ -prune -exec rm -rf {} +

# Each stamp is a stage of .venv, so that a second run installs nothing: the library, then the developers' tools,
# then the frameworks that only the tests need.

.venv/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo 'Etui needs Python 3.11 or newer, which "$(PYTHON)" is not; name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	echo 'Installing Etui into .venv …'
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade 'pip>=25.1'
	$(INSTALL) --editable '.[cli,hdf5]'
	touch $@

.venv/.tools: .venv/.ready
	echo 'Installing the tools for tests and style …'
	$(INSTALL) --group lint --group test
	touch $@

.venv/.frameworks: .venv/.tools
	echo 'Installing Keras, TensorFlow, JAX and torch, about 3 GB …'
	$(INSTALL) --group frameworks
	$(INSTALL) --no-deps --group tf-keras
	touch $@
