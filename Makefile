# Two commands for newcomers, `make demo` and `make test`; each makes its own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all lint bench clean

demo: $(VENV)/.run-installed  ## evolve and score example rows on smollm2, which it fetches; LM=nano fetches nothing
	$(BIN)/structq demo -o demo_out/responses.jsonl $(if $(LM),--lm $(LM))

test: $(VENV)/.dev-installed  ## the tests that take a minute or two
	$(BIN)/python -m pytest -m "not slow and not torch and not real"

test-all: test $(VENV)/.torch-installed  ## then the slow ones and those that need torch or smollm2
	$(BIN)/structq pull smollm2
	$(BIN)/python -m pytest -m "slow or torch or real"

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.torch-installed  ## every benchmark in turn; each prints its own command and figures
	@set -e; for script in benchmarks/*.py; do echo "$(BIN)/python $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) demo_out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.run-installed

$(VENV)/.torch-installed: $(VENV)/.dev-installed
	$(PIP) -e ".[test-torch]"
	@touch $@
