# One set of commands for people, pre-commit, .ci/run and GitHub Actions.
PYTHON ?= python

.PHONY: check lint types test test-slow test-long docs links benchmarks
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
	$(PYTHON) -m pytest -n 2 -m slow

test-long:
	$(PYTHON) -m pytest -n 2 -m long --timeout=0

# Warnings are errors: links between pages, headings, names in the API.
docs:
	$(PYTHON) -m sphinx -b html -W --keep-going -q docs build/docs

# Links to other sites; needs the network, so not a part of the checks.
links:
	$(PYTHON) -m sphinx -b linkcheck -q docs build/links

benchmarks:
	$(PYTHON) -m tests.benchmarks
