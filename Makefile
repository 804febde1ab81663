# make run: serve on this machine. make test: everything that has to hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint check lock example bench chaos clean

run: $(VENV)/.runtime
	@exec $(BIN)/uwsd serve

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The environment of examples/agnpy, which the service `sed` computes in.
example: examples/agnpy/.venv/.installed

# What docs/performance.md promises, measured. PARTS="waits --sqlite": a part; PARTS=--help: which.
bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(PARTS)

# Pin the newest versions that pyproject.toml allows.
lock: $(VENV)/.test
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --all-extras --upgrade \
	    --no-annotate --group build pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade \
	    --no-annotate --group test --constraints requirements.lock --output-file requirements-test.lock

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

examples/agnpy/.venv/.installed: examples/agnpy/requirements.lock
	$(PYTHON) -m venv examples/agnpy/.venv
	examples/agnpy/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Kills of everything at random moments: docs/reliability.md. CHAOS="local --seed 5 --minutes 1": which.
chaos: $(VENV)/.test
	$(BIN)/python -m tests.chaos $(CHAOS)

clean:
	rm -rf $(VENV) examples/agnpy/.venv
