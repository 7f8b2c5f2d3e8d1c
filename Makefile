# What a developer runs. `make` alone lists the targets.

PYTHON ?= python3
WORKERS ?= 2
REVIEWED ?=
TARGET ?= all
SECONDS_EACH ?= 600

BIN := .venv/bin
# Only errors are printed: warnings are about this machine's package sources.
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# Node.js comes as a wheel.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix refimpl/js

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help demo demo-frameworks test lint bench crossings claims vectors conformance power fuzz fuzz-differential docs site viewer clean

help:  ## list the targets
	sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

demo: .venv/.ready  ## convert a real Keras model to .etui and back, and show what was kept
	$(BIN)/python refimpl/examples/demo.py
	if test -e .venv/.frameworks; then $(BIN)/python refimpl/examples/relay.py --out out/relay; \
	    else echo 'The second act, a relay of Keras, PyTorch and JAX, needs the frameworks: make demo-frameworks'; fi

demo-frameworks: .venv/.frameworks demo  ## the same with its second act: train in Keras, resume in PyTorch, go on in JAX

test: .venv/.frameworks .venv/.js  ## run every test, those against the real frameworks included (WORKERS=2)
	files=$$(mktemp -d) && trap 'rm -rf "$$files"' EXIT && PATH="$(CURDIR)/$(BIN):$$PATH" \
	    $(BIN)/python -m pytest --quiet --numprocesses=$(WORKERS) --dist=loadfile --basetemp="$$files/tests"

lint: .venv/.tools .venv/.js  ## check style, types, and that every MUST has a test
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m etui_conformance.traceability check
	$(NPM) run --silent lint

bench: .venv/.ready  ## measure speed and memory beside other formats and the physical limit (half an hour), and write the page
	$(BIN)/python refimpl/benchmarks/import_time.py
	$(BIN)/python refimpl/benchmarks/speed.py --write refimpl/docs/benchmarks.md --json refimpl/benchmarks/results/speed.json

crossings: .venv/.frameworks  ## measure how models and training go from one framework to another, and write the pages
	OMP_NUM_THREADS=1 $(BIN)/python refimpl/benchmarks/crossing.py --write
	OMP_NUM_THREADS=1 $(BIN)/python refimpl/benchmarks/resume.py --write refimpl/docs/transfer.md

claims: .venv/.tools  ## stamp the tests' claims; after a review of changed clauses: REVIEWED="W-1 W-2"
	$(BIN)/python -m etui_conformance.traceability stamp $(if $(REVIEWED),--reviewed $(REVIEWED))
	$(BIN)/ruff format --quiet refimpl/tests conformance

vectors: .venv/.tools  ## write the golden vectors of the conformance suite anew
	$(BIN)/python conformance/generators/vectors.py
	$(BIN)/python conformance/generators/semantics.py
	$(BIN)/python conformance/generators/formats.py

conformance: .venv/.tools  ## run the conformance suite against the reference library; the report is out/conformance/report.html
	$(BIN)/etui-conformance run --adapter reference --report out/conformance

power: .venv/.tools  ## run every mutant of the reference library against the suite (a quarter of an hour), and write down its killer
	$(BIN)/python -m etui_conformance.power --remember --json out/power.json
	$(BIN)/python conformance/generators/proof_pages.py

fuzz: .venv/.fuzz  ## fuzz every parser, guided by coverage, for 10 minutes each (TARGET=json SECONDS_EACH=60)
	$(BIN)/python refimpl/fuzz/run.py --target $(TARGET) --seconds $(SECONDS_EACH)

fuzz-differential: .venv/.js  ## find where the reference and the JavaScript library differ (SECONDS_EACH=60)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python refimpl/fuzz/differential.py --seconds $(SECONDS_EACH)

docs: .venv/.frameworks  ## put the real output into the examples of the pages, and judge the matrix of formats anew
	$(BIN)/python refimpl/examples/pages.py --write
	rm -rf out/matrix
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python refimpl/tests/formats/matrix.py out/matrix --docs refimpl/docs/formats-matrix.md

site: .venv/.tools  ## build the documentation site into out/site
	$(BIN)/mkdocs build --quiet --strict --site-dir out/site

viewer: .venv/.js  ## build the viewer's page anew from its source
	$(NPM) run --silent build:viewer

clean:  ## remove the environment, caches and outputs
	rm -rf .venv build dist out .mypy_cache .pytest_cache .ruff_cache .hypothesis refimpl/js/node_modules refimpl/js/dist
	find refimpl conformance -name __pycache__ -prune -exec rm -rf {} +

# Each stamp is a stage of .venv, so that a second run installs nothing: the library, then the developers' tools, then
# the JavaScript package and the frameworks that only the tests need.

.venv/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo 'Etui needs Python 3.11 or newer, which "$(PYTHON)" is not; name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	echo 'Installing Etui into .venv …'
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade 'pip>=25.1'
	$(INSTALL) --editable '.[cli,hdf5,tensorflow]'
	touch $@

.venv/.tools: .venv/.ready
	echo 'Installing the tools for tests, style and documentation …'
	$(INSTALL) --group lint --group test --group docs
	touch $@

.venv/.js: .venv/.tools refimpl/js/package-lock.json \
        $(shell find refimpl/js/src refimpl/js/adapter refimpl/js/test refimpl/js/viewer -name '*.ts' -o -name '*.tsx')
	echo 'Building the JavaScript package …'
	test refimpl/js/node_modules/.package-lock.json -nt refimpl/js/package-lock.json || $(NPM) ci --silent --no-audit --no-fund --ignore-scripts
	$(NPM) run --silent build
	touch $@

.venv/.fuzz: .venv/.tools
	echo 'Installing the fuzzer …'
	$(INSTALL) --group fuzz
	touch $@

.venv/.frameworks: .venv/.tools
	echo 'Installing Keras, TensorFlow, JAX and torch, about 3 GB …'
	$(INSTALL) --group frameworks
	$(INSTALL) --no-deps --group tf-keras
	touch $@
