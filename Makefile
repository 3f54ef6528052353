# Two commands for newcomers, `make demo` and `make test`; each makes its own environment first.
PYTHON ?= python3
PYTHONS ?= 3.11 3.12 3.13
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all test-pythons test-bounds lint docs bench clean

demo: $(VENV)/.run-installed  ## evolve and score example rows on smollm2, which it fetches, and report; LM=nano fetches nothing
	$(BIN)/structq demo -o demo_out/responses.jsonl $(if $(LM),--lm $(LM))

test: $(VENV)/.dev-installed  ## the tests that take two or three minutes; three workers on two cores, as some of them wait
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow and not torch and not real and not browser"

test-all: test $(VENV)/.torch-installed  ## then the slow ones and those that need torch, smollm2 or a browser
	$(BIN)/structq pull smollm2
	$(BIN)/python -m pytest -m "slow or torch or real or browser"

test-pythons:  ## `make test` on each Python of PYTHONS="3.11 3.12 3.13", each in an environment of its own
	.ci/test-pythons $(PYTHONS)

test-bounds:  ## `make test` with the lowest, then with the newest dependencies that pyproject.toml allows
	.ci/test-bounds lowest newest

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs-installed  ## the site, into site/; it opens without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(VENV)/.torch-installed  ## every benchmark in turn; each prints its own command and figures
	@set -e; for script in benchmarks/*.py; do echo "$(BIN)/python $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) .venvs site demo_out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.run-installed

$(VENV)/.docs-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e ".[docs]"
	@touch $@ $(VENV)/.run-installed

$(VENV)/.torch-installed: $(VENV)/.dev-installed
	$(PIP) -e ".[test-torch,test-browser]"
	@touch $@
