# make run: the demo survey, up to results/report/index.html.   make test: every check.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test lint types clean

run: .venv/installed
	snakemake --cores all

test: .venv/installed-dev lint types
	python -m pytest

lint: .venv/installed-dev
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile workflow/rules/*.smk
	snakemake --lint

types: .venv/installed-dev
	mypy

clean:
	rm -rf .snakemake results/* logs benchmarks/*/

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch first: what comes after must not pull in another build of it
.venv/installed: constraints.txt pyproject.toml | .venv/bin/python
	$(INSTALL) torch
	$(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable '.[dev]'
	touch $@
