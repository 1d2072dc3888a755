# Every target needs only Python 3.11+ (and Go 1.26 for e2e and cluster); .venv is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test faults faults-simulated lint format schema e2e e2e-full bench bench-quick bench-plant cluster lock clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 25

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gc-tuner needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## Watch the loop tune three simulated services (under 20 s)
	@$(BIN)/gc-tuner demo

test: $(STAMP) ## Unit, property, scenario and contract tests
	@$(BIN)/pytest --numprocesses auto --dist loadfile

faults-simulated: $(STAMP) ## Three simulated days of faults, 24 hours each (4 min); make test runs four hours of each
	@$(BIN)/pytest tests/scenarios/test_faults.py --day

faults: $(STAMP) ## Faults on the real parts, for docs/reliability.md (half an hour; FAULT="a name" for one)
	@$(BIN)/python -m tests.faults $(if $(FAULT),"$(FAULT)")

lint: $(STAMP) ## Format check, lint, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schema: $(STAMP) ## Write the chart's values.schema.json anew from the settings
	@$(BIN)/python -m tests.unit.chart.schema

e2e: $(STAMP) ## The loop on a real API server, Prometheus and Go services (first run builds them: ~15 min)
	@$(BIN)/pytest tests/e2e

e2e-full: $(STAMP) ## The same with the tests that take long (about an hour and a half)
	@$(BIN)/pytest tests/e2e --full

bench: $(STAMP) ## How well gc-tuner tunes and what it costs, for docs/benchmarks.md (3 h; SCENARIO=name for one)
	@$(BIN)/python -m tests.benchmark $(if $(SCENARIO),quality --scenario $(SCENARIO))

bench-quick: $(STAMP) ## A look at the same: one scenario in short, nothing is written (9 min)
	@$(BIN)/python -m tests.benchmark quality --quick --scenario steady

bench-plant: $(STAMP) ## How near the simulation is to a real service (15 min)
	@$(BIN)/pytest tests/benchmark -rP

cluster: $(STAMP) ## Start that cluster for use by hand, until Ctrl-C
	@$(BIN)/python -m tests.e2e.testbed

lock: $(STAMP) ## Renew the hash-locked requirements after a change in pyproject.toml
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet --disable-pip-version-check uv
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --output-file requirements.txt
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml --output-file requirements-dev.txt

clean: ## Remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
