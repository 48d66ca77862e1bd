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
STACK ?= purchasely-clevertap-$(STAGE)

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
test: setup lint types ## the gate: format, lint, types, template, every test
	$(SAM) validate --lint
	$(SAM) build
	$(DEV)/pytest --numprocesses auto --dist loadfile --cov --cov-report=term tests/unit tests/template tests/integration tests/chaos
	$(DEV)/pytest tests/fuzz tests/runtime tests/end_to_end

.PHONY: lint
lint: .venv/dev/.project ## format and lint, checked
	$(DEV)/ruff format --check
	$(DEV)/ruff check

.PHONY: types
types: .venv/dev/.project ## the strict type checker
	$(DEV)/mypy

.PHONY: mutants
mutants: .venv/dev/.project ## which changes of a module no test notices: make mutants MODULE=mapping/mapper TESTS="tests/unit/test_mapping.py"
	$(DEV)/python -m mutants $(MODULE) $(TESTS)

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
	.venv/scan/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

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
	@$(MAKE) --no-print-directory protect

.PHONY: protect
protect: ## set the stack policy of what is deployed, and for prod termination protection
	aws cloudformation set-stack-policy --stack-name $(STACK) --stack-policy-body file://stack-policy.json
ifeq ($(STAGE),prod)
	aws cloudformation update-termination-protection --stack-name $(STACK) --enable-termination-protection
endif

.PHONY: clean
clean: ## remove what was built, and the environments
	@if [ -x $(DEV)/python ]; then $(DEV)/python -m local_stack down; fi
	rm -rf .aws-sam .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# ── Environments: one for each tool that pins what another pins differently ──────────────────────────────────────────

# The interpreter is found, never downloaded.
export UV_PYTHON_DOWNLOADS := never
UV := .venv/uv/bin/uv

.PHONY: setup
setup: ## make the environments in .venv/
	@$(MAKE) --silent --jobs 2 .venv/dev/.project .venv/sam/.made .venv/scan/.made .venv/stack/.made .venv/runtime/.made

.venv/dev/.made: layers/bridge/requirements.txt

# The lock files name every package there is with its hashes, so nothing is resolved and nothing else gets in.
.venv/uv/.made: tools/requirements/uv.txt
	@python=$$(tools/find-python) && "$$python" -m venv --clear .venv/uv
	@.venv/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/%/.made: tools/requirements/%.txt .venv/uv/.made
	@echo "$<: $$(grep -c == $<) packages into .venv/$*"
	@python=$$(tools/find-python) && "$$python" -m venv --clear .venv/$*
	@$(UV) pip install --quiet --python .venv/$*/bin/python --require-hashes --no-deps --requirement $<
	@$(UV) pip check --quiet --python .venv/$*/bin/python
	@touch $@

# `bridge` as its users get it; the tools that are not packaged are found by their folder.
.venv/dev/.project: .venv/dev/.made pyproject.toml
	@$(UV) pip install --quiet --python .venv/dev/bin/python --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)/tools" > .venv/dev/lib/python3.13/site-packages/tools.pth
	@touch $@

# ── Versions: the .in files say what is wanted, the .txt files pin all that comes with it ────────────────────────────

LOCK := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --python-version 3.13 \
	--custom-compile-command "make lock"

.PHONY: lock
lock: .venv/uv/.made ## pin every version anew
	$(LOCK) --upgrade tools/requirements/layer.in --output-file layers/bridge/requirements.txt
	@for name in dev sam scan stack runtime uv; do \
		$(LOCK) --upgrade tools/requirements/$$name.in --output-file tools/requirements/$$name.txt || exit 1; done
