# Every target sets up what it needs. Only Python 3.10+ (and, to plan or deploy, Terraform) must be there already.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup cli synth check test test-more test-slow test-terraform test-transitions test-posture fuzz e2e e2e-aws e2e-azure e2e-gcp lint bench docs docs-serve dist release sbom golden pictures lock update newest oldest terraform validate diff deploy destroy test-cluster source probe export push stack clean

PYTHON ?= python3
LOCK_PYTHON ?= python3.10
# The engine: cdktf, or cdktn for CDK Terrain, whose packages and rewritten source live in engines/cdktn.
CDK ?= cdktf
TERRAFORM_BINARY_NAME ?= terraform
STACK ?=
DEPLOYMENTS ?= deployments.yaml
ALLOW ?=
PROCESSES ?= auto
ifeq ($(CDK),cdktf)
AT :=
UP :=
TESTED := .
else ifeq ($(CDK),cdktn)
AT := engines/cdktn/
UP := ../../
TESTED := engines/cdktn/source
export PIPENV_PIPFILE := $(CURDIR)/$(AT)Pipfile
else
$(error CDK must be cdktf or cdktn, got $(CDK))
endif
# PATH says it all; pipenv, a third of a second, is for the variables of a .env file.
RUN := $(if $(wildcard $(AT).env),pipenv run )
PYTEST = cd $(TESTED); $(RUN)pytest -n $(PROCESSES) --dist worksteal
# The only deployment of the file, where none is named.
NAME = $(or $(STACK),$(shell $(AT).venv/bin/python tools/stack.py ""))
# For what pip builds: nothing but constructs/.
BUILD_WITH = PIP_BUILD_CONSTRAINT=tools/build.txt

export CDK TERRAFORM_BINARY_NAME DEPLOYMENTS
export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_IGNORE_VIRTUALENVS := 1
export PIPENV_VERBOSITY := -1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CHECKPOINT_DISABLE := 1
export DISABLE_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1
export PATH := $(CURDIR)/$(AT).venv/bin:$(CURDIR)/.pipenv/bin:$(CURDIR)/$(AT)node_modules/.bin:$(PATH)

help: ## List the targets
	@echo "Use it. One deployment: STACK=name; another file: DEPLOYMENTS=file"
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 20
	@echo "Work on it:"
	@grep -hE '^[a-z0-9-]+:.*##[+] ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*##[+] (.*)/  \1\t\2/' | expand -t 20

setup: $(AT).venv/.ready ## Make .venv with everything from Pipfile.lock; make CDK=cdktn ... does all of this with CDK Terrain

.pipenv/bin/pipenv: tools/pipenv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and f"Python 3.10 or newer is needed, {sys.executable} is {sys.version.split()[0]}: try make PYTHON=python3.12")'
	@echo "installing pipenv into .pipenv, once: about 15 seconds" >&2
	@$(PYTHON) -m venv --clear .pipenv
	@.pipenv/bin/python -m pip install --quiet --requirement tools/pipenv.txt
	@touch $@

$(AT).venv/.ready: $(AT)Pipfile.lock constructs/pyproject.toml | .pipenv/bin/pipenv
	@test -x $(AT).venv/bin/python || $(PYTHON) -m venv $(AT).venv
	@echo "installing the Python packages of $(AT)Pipfile.lock into $(AT).venv, once: one to three minutes" >&2
	@PIP_BUILD_CONSTRAINT=$(UP)tools/build.txt .pipenv/bin/pipenv sync --dev --quiet
	@touch $@

ifeq ($(CDK),cdktn)
$(AT).venv/.ready: | source
endif

source: # the project, written anew for CDK Terrain: a second
	@$(PYTHON) tools/cdktn.py

cli: $(AT)node_modules/.ready ## Install the command of the engine (needs no Node of its own)

$(AT)node_modules/.ready: $(AT)package-lock.json $(AT).venv/.ready
	@echo "installing the $(CDK) command into $(AT)node_modules, once: about half a minute" >&2
	@cd ./$(AT); npm ci --no-fund --no-audit --loglevel=error
	@touch $@

synth: $(AT).venv/.ready ## Write the Terraform JSON of every deployment to cdktf.out/
	@$(RUN)python main.py

check: $(AT).venv/.ready ## Say who is trusted, where values go, when they expire: make check [STACK=aws-example]
	@$(RUN)astro-xcom check $(STACK)

test: $(AT).venv/.ready ## Run the unit tests
	@$(PYTEST)

test-more: $(AT).venv/.ready cli ##+ Run test-terraform, test-slow and test-posture at once: what is applied is applied once
	@$(PYTEST) -m '(terraform or slow) and not long'

test-slow: $(AT).venv/.ready ##+ Run the tests that load the providers eagerly
	@$(PYTEST) -m slow

test-terraform: $(AT).venv/.ready cli ##+ Run the tests with real Terraform core and real Helm
	@$(PYTEST) -m 'terraform and not posture and not long'

test-transitions: $(AT).venv/.ready cli ##+ Run every edit of an applied deployment (a quarter of an hour; CI runs the worst)
	@$(PYTEST) -m terraform tests/transitions

fuzz: $(AT).venv/.ready ##+ Try hostile input for some minutes: make fuzz [SEED=1] (make test tries a little of it)
	@FUZZ_SECONDS=600 FUZZ_SEED=$(or $(SEED),$$RANDOM) $(PYTEST) -s tests/hostile/test_fuzz.py

test-posture: $(AT).venv/.ready ##+ Run the security scanners (installs them once)
	@$(PYTEST) -m posture tests/posture

e2e e2e-aws e2e-azure e2e-gcp: PROCESSES = 4  # they wait a lot
e2e: $(AT).venv/.ready ##+ Run real Airflow against emulators, on every cloud (installs Airflow three times, once); ALL=1 with what CI leaves out
	@$(PYTEST) -m 'e2e$(if $(ALL),, and not long)' tests/e2e

e2e-aws e2e-azure e2e-gcp: $(AT).venv/.ready
	@$(PYTEST) -m e2e tests/e2e/test_$(@:e2e-%=%).py

test-cluster: $(AT).venv/.ready ##+ Run the tests with a real Kubernetes API server (builds it with Go, once: minutes; or KUBECONFIG)
	@$(PYTEST) -m cluster -n 1 tests/cluster tests/e2e

lint: $(AT).venv/.ready ##+ Check style and types
	@$(RUN)ruff format --check .
	@$(RUN)ruff check .
	@cd $(TESTED); $(RUN)mypy

bench: $(AT).venv/.ready ##+ Time synthesis and write docs/benchmarks.md (some minutes)
	@$(RUN)python benchmarks/run.py --write docs/benchmarks.md

docs: .docs/.ready ##+ Build the documentation in site/
	@.docs/bin/mkdocs build --strict

docs-serve: .docs/.ready ##+ Show the documentation on http://127.0.0.1:8000 and build it again on each change
	@.docs/bin/mkdocs serve

.docs/.ready: docs/requirements.txt
	@echo "installing MkDocs into .docs, once: about 20 seconds" >&2
	@$(PYTHON) -m venv --clear .docs
	@.docs/bin/python -m pip install --quiet --requirement docs/requirements.txt
	@touch $@

dist: $(AT).venv/.ready ##+ Build wheel and sdist of the package constructs/ in dist/, for CDKTF and for CDK Terrain
	@rm -rf dist
	@$(RUN)python tools/cdktn.py
	@for source in constructs engines/cdktn/source/constructs; do \
	$(RUN)uv build --quiet --build-constraints tools/build.txt --no-create-gitignore --out-dir dist "$$source"; done

release: $(AT).venv/.ready ##+ Check that changelog, version, git tag and addresses agree, then build dist/
	@$(RUN)python tools/release.py
	@$(MAKE) --no-print-directory dist sbom

sbom: .sbom/.ready ##+ Write what the packages of dist/ were tested with, beside them (CycloneDX)
	@for source in . engines/cdktn; do \
	wheel=$$(echo dist/cdk$$(test "$$source" = . && echo tf || echo tn)_astro_xcom-*.whl); package=$$(test "$$source" = . || echo "$$source/source/")constructs; \
	.sbom/bin/cyclonedx-py pipenv --mc-type library --pyproject "$$package/pyproject.toml" --output-reproducible --of JSON -o "$${wheel%-py3-none-any.whl}.cdx.json" "$$source"; done

.sbom/.ready: tools/sbom.txt
	@$(PYTHON) -m venv --clear .sbom
	@.sbom/bin/python -m pip install --quiet --requirement tools/sbom.txt
	@touch $@

golden: $(AT).venv/.ready ##+ Rewrite the goldens and the generated pages of docs/, then read their diff
	@$(RUN)python -m astro_xcom.schema > docs/deployments.schema.json
	@$(RUN)python tools/reference.py
	@UPDATE_GOLDEN=1 $(RUN)pytest -q tests/test_golden.py tests/test_examples.py tests/test_texts.py
	@$(MAKE) --no-print-directory pictures

pictures: $(AT).venv/.ready ##+ Draw docs/pictures anew
	@$(RUN)astro-xcom graph --file tests/example/deployments.yaml --output docs/pictures

lock: .pipenv/bin/pipenv $(if $(AT),source) ##+ Resolve Pipfile.lock and package-lock.json anew (with the oldest Python, so that it fits all)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cp -r $(AT)Pipfile $(AT)package.json constructs tools "$$folder"; cd "$$folder"; \
	test -z "$(AT)" || { mkdir source; cp -r "$(CURDIR)/$(AT)source/constructs" source; }; export PIPENV_PIPFILE="$$folder/Pipfile"; \
	$(LOCK_PYTHON) -m venv .venv; $(BUILD_WITH) $(CURDIR)/.pipenv/bin/pipenv lock --dev; npm install --package-lock-only --no-fund --no-audit --loglevel=error; \
	python3 $(CURDIR)/tools/locked.py $(if $(AT),$(CURDIR)/Pipfile.lock); cp Pipfile.lock package-lock.json $(CURDIR)/./$(AT)

update: $(AT).venv/.ready lock ##+ Renew every lock file: what tests, docs, builds and users install; then say what changed
	@$(MAKE) --no-print-directory CDK=cdktn lock
	@$(RUN)python tools/update.py
	@$(RUN)python tools/update.py changes

newest: $(AT).venv/.ready ##+ Try the newest Airflow, pre-releases included, with the newest packages (blocks nothing)
	@export AGENT_AIRFLOW='apache-airflow>=3.3.0b1,<4' PIP_PRE=1; $(PYTEST) -m e2e tests/e2e

oldest: $(AT).venv/.ready ##+ Try the oldest Airflow that is supported, with the newest packages (blocks nothing)
	@export AGENT_AIRFLOW=tests/e2e/airflow-3.2.in; $(PYTEST) -m e2e tests/e2e

terraform:
	@command -v "$(TERRAFORM_BINARY_NAME)" > /dev/null || { echo "Terraform or OpenTofu 1.10 or newer is needed to plan and deploy, and there is no $(TERRAFORM_BINARY_NAME) command: for OpenTofu, TERRAFORM_BINARY_NAME=tofu; for Terraform see https://developer.hashicorp.com/terraform/install"; exit 1; }

validate: synth terraform ## Let Terraform validate every stack (downloads the providers)
	@for stack in $$($(RUN)python -c 'import json; print(*json.load(open("cdktf.out/manifest.json"))["stacks"])'); do echo "$$stack"; stack=cdktf.out/stacks/$$stack; "$$TERRAFORM_BINARY_NAME" -chdir="$$stack" init -backend=false -input=false > /dev/null; "$$TERRAFORM_BINARY_NAME" -chdir="$$stack" validate; done

diff: stack terraform cli ## Plan one deployment: make diff STACK=aws-example
	@test -t 1 || export CI=1; $(RUN)$(CDK) diff "$(NAME)"

deploy: stack synth terraform cli ## Say what an apply does, then apply it: make deploy STACK=aws-example [ALLOW=code]
	@$(RUN)python tools/deploy.py "$(NAME)" $(foreach code,$(ALLOW),--allow=$(code))

destroy: stack synth terraform cli ## Destroy one deployment; fails while its storage is protected from destroy
	@$(RUN)python tools/deploy.py --destroy "$(NAME)" $(foreach code,$(ALLOW),--allow=$(code))

probe: stack terraform $(AT).venv/.ready ## Show with Jobs in the cluster that XComs work: make probe STACK=aws-example
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; probe=($(RUN)astro-xcom probe "$(NAME)" --state "$$folder/state.json"); \
	"$$TERRAFORM_BINARY_NAME" -chdir="cdktf.out/stacks/$(NAME)" show -json > "$$folder/state.json"; \
	"$${probe[@]}" --output "$$folder/probe.yaml"; eval "$$("$${probe[@]}" --delete)"; kubectl apply -f "$$folder/probe.yaml"; \
	status=0; "$${probe[@]}" --kubectl || status=$$?; eval "$$("$${probe[@]}" --delete)"; exit $$status

export: $(AT).venv/.ready ## Write the Terraform JSON to commit to terraform/
	@$(RUN)astro-xcom export terraform

push: stack $(AT).venv/.ready ## Run one deployment in HCP Terraform: make push STACK=aws-example
	@$(RUN)astro-xcom push "$(NAME)" $(foreach code,$(ALLOW),--allow=$(code))

stack: $(AT).venv/.ready # before anything else is installed, and before minutes pass
	@$(RUN)python tools/stack.py "$(STACK)" > /dev/null

clean: ## Remove what the targets made, but never state
	@rm -rf engines/cdktn/.venv engines/cdktn/node_modules engines/cdktn/source
	@rm -rf .venv .pipenv .docs .sbom site node_modules cdktf.out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
