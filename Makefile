# Everything a person or CI does here. Needs make and Python 3.13; whatever else it takes comes into .venv/.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# No compiled files between the sources: `sam build` takes them for changes.
export PYTHONDONTWRITEBYTECODE := 1
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/build/sam

DEV := .venv/dev/bin
# sam wants the runtime's own Python first on PATH.
SAM := PATH="$(CURDIR)/.venv/sam/bin:$$PATH" .venv/sam/bin/sam
STAGE ?= dev

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## the whole way on this machine: build, deploy, send, see what CleverTap got
	@$(DEV)/python -m local_stack demo

.PHONY: up
up: setup ## start the local stack, or bring it up to date, and print its webhook URL
	@$(DEV)/python -m local_stack up

.PHONY: down
down: .venv/dev/.project ## stop the local stack
	@$(DEV)/python -m local_stack down

.PHONY: test
test: setup ## the gate: format, lint, types, template, every test
	$(DEV)/ruff format --check
	$(DEV)/ruff check
	$(DEV)/mypy
	$(SAM) validate --lint
	$(SAM) build
	$(DEV)/pytest --numprocesses auto --dist loadfile tests/unit tests/template tests/integration tests/chaos
	$(DEV)/pytest tests/fuzz tests/runtime tests/end_to_end

.PHONY: chaos
chaos: setup ## some minutes of faults and kills: counts what is lost, doubled, stale
	$(DEV)/python -m chaos

.PHONY: bench
bench: .venv/dev/.project .venv/sam/.made .venv/runtime/.made .venv/stack/.made ## measure cold starts, rates, calls, memory and costs as ratios; writes docs/performance.md
	$(DEV)/python -m benchmark

.PHONY: bench-quick
bench-quick: .venv/dev/.project .venv/sam/.made .venv/runtime/.made ## the same in a fifth of the time, without the deployed stack and the page
	$(DEV)/python -m benchmark --quick

.PHONY: scan
scan: .venv/scan/.made ## look for weaknesses in the template
	@mkdir -p build/scan
	@# checkov 3.3.30 stumbles over a !Select of numbers.
	@sed 's/!Select \[!Ref MaxConcurrency, .*/!Ref MaxConcurrency/' template.yaml > build/scan/template.yaml
	.venv/scan/bin/checkov --file build/scan/template.yaml --framework cloudformation --compact --quiet --skip-download

.PHONY: fast
fast: .venv/dev/.project ## the unit tests only
	$(DEV)/pytest tests/unit

.PHONY: test-tools
test-tools: setup ## the tests of the benchmark and the local stack, which are not in the gate
	$(DEV)/pytest tests/tools

.PHONY: format
format: .venv/dev/.project ## put the code into its format
	$(DEV)/ruff format
	$(DEV)/ruff check --fix

.PHONY: build
build: .venv/sam/.made ## build functions and layer for Lambda
	$(SAM) build

.PHONY: deploy
deploy: build ## deploy to the AWS account that you are signed in to: make deploy STAGE=prod
	$(SAM) deploy --config-env $(STAGE)

.PHONY: clean
clean: ## remove what was built, and the environments
	@if [ -x $(DEV)/python ]; then $(DEV)/python -m local_stack down; fi
	rm -rf .aws-sam .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# ── Environments: one for each tool that pins what another pins differently ──────────────────────────────────────────

.PHONY: setup
setup: ## make the environments in .venv/
	@$(MAKE) --silent --jobs 2 .venv/dev/.project .venv/sam/.made .venv/scan/.made .venv/stack/.made .venv/runtime/.made

.venv/dev/.made: layers/bridge/requirements.txt

.venv/%/.made: tools/requirements/%.txt
	@tools/make-environment $*
	@touch $@

# Again when a package has come: an editable install knows only those that it has seen.
.venv/dev/.project: .venv/dev/.made pyproject.toml $(wildcard layers/bridge/*/__init__.py tools/*/__init__.py)
	@mkdir -p build
	@$(DEV)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . \
		2> build/setup-project.log || { cat build/setup-project.log >&2; exit 1; }
	@touch $@

# ── Versions: the .in files say what is wanted, the .txt files pin all that comes with it ────────────────────────────

.PHONY: lock
lock: ## pin every version anew
	$(call freeze,layer,layers/bridge/requirements.txt)
	$(call freeze,dev,tools/requirements/dev.txt)
	$(call freeze,sam,tools/requirements/sam.txt)
	$(call freeze,scan,tools/requirements/scan.txt)
	$(call freeze,stack,tools/requirements/stack.txt)
	$(call freeze,runtime,tools/requirements/runtime.txt)

define freeze
	@echo "$(2)"
	@rm -rf build/lock && python=$$(tools/find-python) && "$$python" -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/requirements/$(1).in
	@{ echo "# Written by \`make lock\` from tools/requirements/$(1).in: that file says why."; \
	   build/lock/bin/python -m pip freeze; } > build/lock.txt && mv build/lock.txt $(2)
	@rm -rf build/lock
endef
