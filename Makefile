# Every target sets up what it needs. Only Python 3.10+ (and, to plan or deploy, Terraform) must be there already.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup cli synth test test-all lint golden schema lock validate diff deploy destroy clean

PYTHON ?= python3
LOCK_PYTHON ?= python3.10
STACK ?= *
PIPENV_VERSION := 2026.10.3

export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_IGNORE_VIRTUALENVS := 1
export PIPENV_VERBOSITY := -1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CHECKPOINT_DISABLE := 1
export DISABLE_VERSION_CHECK := 1
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.pipenv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.ready ## Make .venv with everything from Pipfile.lock

.pipenv/bin/pipenv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and f"Python 3.10 or newer is needed, {sys.executable} is {sys.version.split()[0]}: try make PYTHON=python3.12")'
	@$(PYTHON) -m venv .pipenv
	@.pipenv/bin/python -m pip install --quiet pipenv==$(PIPENV_VERSION)

.venv/.ready: Pipfile.lock constructs/pyproject.toml | .pipenv/bin/pipenv
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.pipenv/bin/pipenv sync --dev --quiet
	@touch $@

cli: node_modules/.ready ## Install the cdktf command (needs no Node of its own)

node_modules/.ready: package-lock.json .venv/.ready
	@npm ci --no-fund --no-audit --loglevel=error
	@touch $@

synth: .venv/.ready ## Write the Terraform JSON of every deployment to cdktf.out/
	@pipenv run python main.py

test: .venv/.ready ## Run the unit tests
	@pipenv run pytest

