# One set of commands for people, pre-commit, .ci/run and GitHub Actions.
PYTHON ?= python

.PHONY: check lint types test test-slow benchmarks
check: lint types test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	lint-imports

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -n 2

test-slow:
	$(PYTHON) -m pytest -m slow --timeout=0

benchmarks:
	$(PYTHON) -m tests.benchmarks
