# One command each, and each does its own set-up: `make demo` and `make test` need Python 3.11 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests and demo must not meet a home or settings of the person who runs them.
unexport KERNELKIT_HOME
# Where mkfs is, which the tests of a full disk call; not everyone's PATH has it.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: demo test test-all check format lab bench soak screenshots clean

demo: $(READY)  ## run the quickstart notebook against a real engine, without a browser
	$(BIN)/python notebooks/run_demo.py

# Most tests wait for processes and browsers rather than compute: three files at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile

test: $(READY) system check  ## what CI runs
	$(PYTEST) -m "not slow"

test-all: $(READY) system check  ## with the long matrices
	$(PYTEST)

check: $(READY)  ## format, lint, types, import contract, front-end unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/widget-tests $(VENV)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lab: $(READY)  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

bench: $(READY) system  ## the figures of docs/measurements, one JSON line each
	$(BIN)/python -m tests.benchmarks

screenshots: $(READY) system  ## the pictures of README and docs, of real runs in JupyterLab
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -q -n 0 tests/journeys/browser/test_pictures.py tests/journeys/browser/test_pictures_of_views.py

soak: $(READY)  ## many more simulated histories than `make test` has time for
	$(BIN)/python -m tests.simulation.soak

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(READY): pyproject.toml scripts/make-venv
	PYTHON="$(PYTHON)" scripts/make-venv $(VENV)
	touch $@

.PHONY: system
system:
	scripts/system-packages
