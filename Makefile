# `make demo` and `make test` set everything up first; see README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: setup demo test lint format icarus chromium clean
.NOTPARALLEL:

setup: $(VENV)/.complete

# The stamp is made last, so an interrupted set-up starts again.
$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "SDANN needs Python 3.11 or later; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/sdann demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Installs Icarus Verilog where it may; the tests that need it fail without, and say how to install it.
icarus:
	@scripts/install_icarus.sh

# The same with Chromium, for the tests of the report's page.
chromium:
	@scripts/install_chromium.sh

# One file stays on one worker, so that its builds are made once.
test: setup icarus chromium lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
