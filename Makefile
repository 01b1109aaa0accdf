# `make demo` and `make test` set up everything that they need; `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Tests start a hundred processes, which need not compile the package again.
unexport PYTHONDONTWRITEBYTECODE

PORT ?= 8000
ARGS ?=
# Steps that `make oracle` takes.
STEPS ?= 20000
# BROWSER=no leaves out the tests that need a Chromium.
BROWSER ?= yes
# COVERAGE=no runs the tests without measuring it, in two thirds of the time.
COVERAGE ?= yes

VENV := .venv
# From the project's own environment; `make demo VENV=...` may name another folder.
BIN := $(VENV)/bin
MANAGE := $(BIN)/python examples/snippets/manage.py

MEASURED := $(if $(filter no,$(COVERAGE)),,-m coverage run)
OF_PROTOCOL := --include='*/wsrequest/protocol/*' --fail-under=100
PROTOCOL_TESTS := tests/protocol tests/test_protocol_md.py tests/test_protocol_stream.py
BRANCHES := COVERAGE_FILE=build/branches/data $(BIN)/python -m coverage
NO_BROWSER := $(if $(filter no,$(BROWSER)),-m "not browser")
step = @printf '\033[1m==> %s\033[0m\n' "$(1)"
# Says what it is at; all that pip said where it fails.
install = scripts/pip_install.sh $(BIN)/python --editable '$(1)'

.PHONY: help
help: ## This list
	@printf 'django-websocket-request: what make can do\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: PORT=8000 (demo), BROWSER=no and COVERAGE=no (test), ARGS="-k name" (quick), STEPS=20000 (oracle)\n'

# --- environments -----------------------------------------------------------------------------------

$(BIN)/python:
	$(call step,Making $(VENV))
	@scripts/make_venv.sh $(VENV)

# A stamp says which extras are in; it is older than pyproject.toml when they have to be looked at again.
$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(call step,Installing the package and what its demo needs (a minute or two, once))
	@if ! [ $(VENV)/.dev -nt pyproject.toml ]; then $(call install,.[demo]); fi
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(call step,Installing the package and its tools (a minute or two, once))
	@$(call install,.[dev])
	@touch $@ $(VENV)/.demo

.PHONY: setup
setup: $(VENV)/.dev ## Make .venv with everything that developing needs

# --- the demo ---------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.demo ## Run the demo on http://127.0.0.1:8000/ (PORT=... for another)
	$(call step,Preparing the demo's database)
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) seed
	@printf '\n  The demo is at \033[1mhttp://127.0.0.1:%s/\033[0m (Ctrl+C stops it)\n\n' $(PORT)
	@exec $(BIN)/python -m uvicorn --app-dir examples/snippets --host 127.0.0.1 --port $(PORT) \
		--ws-per-message-deflate false --log-level warning demo.asgi:application

# --- tests ------------------------------------------------------------------------------------------

.PHONY: chromium
chromium:
	@if [ "$(BROWSER)" != no ]; then scripts/chromium.sh; fi

.PHONY: node
node: $(VENV)/.dev
	@PYTHON=$(abspath $(BIN)/python) scripts/node.sh true

.PHONY: test
test: $(VENV)/.dev chromium node ## Run every test, and hold the coverage to its limits
	$(call step,Tests)
	@rm -rf build/coverage && mkdir -p build/coverage
	@PYTHONMALLOC=default scripts/run_tests.sh $(BIN)/python -X dev $(MEASURED) -m pytest $(NO_BROWSER) $(ARGS)
ifneq ($(COVERAGE),no)
	@$(BIN)/python -m coverage combine --quiet
	$(call step,Coverage: at least 95 % of the package)
	@$(BIN)/python -m coverage report
	$(call step,Coverage: every branch of protocol/)
	@$(BIN)/python -m coverage report $(OF_PROTOCOL)
endif

# What random examples reach does not count, so that few of them do.
.PHONY: branches
branches: $(VENV)/.dev ## Hold every branch of protocol/, by its own tests alone
	$(call step,Coverage: every branch of protocol/)
	@rm -rf build/branches && mkdir -p build/branches
	@$(BRANCHES) run -m pytest --quiet --hypothesis-profile=brief $(PROTOCOL_TESTS) $(ARGS)
	@$(BRANCHES) combine --quiet
	@$(BRANCHES) report $(OF_PROTOCOL)

.PHONY: quick
quick: $(VENV)/.dev ## Run tests without coverage, browser or Node.js: make quick ARGS="-k name"
	@PYTHONMALLOC=default $(BIN)/python -X dev -m pytest -m "not browser and not node" $(ARGS)

.PHONY: js
js: $(VENV)/.dev ## Build the browser's client into the package, and say what it weighs
	@PYTHON=$(abspath $(BIN)/python) scripts/node.sh node build.mjs

.PHONY: js-test
js-test: $(VENV)/.dev ## Run the units of the browser's client, and check its types: make js-test ARGS="-t name"
	@PYTHON=$(abspath $(BIN)/python) scripts/node.sh node node_modules/typescript/bin/tsc --noEmit
	@PYTHON=$(abspath $(BIN)/python) scripts/node.sh node node_modules/vitest/vitest.mjs run --dir tests $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Send a real server any frame, ten times as many as `make test` does (FUZZ=... for more)
	@FUZZ=$${FUZZ:-10} PYTHONMALLOC=default $(BIN)/python -X dev -m pytest tests/session/test_any_frame.py $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## Kill, stall and cut brokers, workers and connections, for minutes (FAULTS_SEED=... repeats a run)
	@FAULTS=1 PYTHONMALLOC=default $(BIN)/python -X dev -m pytest $(addprefix --randomly-seed=,$(FAULTS_SEED)) \
		tests/faults tests/push/brokers/test_redis_failover.py tests/subscribe/test_gap.py $(ARGS)

.PHONY: oracle
oracle: $(VENV)/.dev ## Change rows at random and see that live answers keep up: make oracle STEPS=20000 (ORACLE_SEED=... repeats a run)
	@ORACLE_STEPS=$(STEPS) PYTHONMALLOC=default $(BIN)/python -X dev -m pytest -s tests/live/oracle $(ARGS)

.PHONY: architecture
architecture: $(VENV)/.dev ## Run the test of who may import whom
	@$(BIN)/python -m pytest --quiet tests/test_architecture.py

.PHONY: wheel-test
wheel-test: $(BIN)/python ## Build the wheel, install it in a clean environment, run the tests against it
	@scripts/wheel_test.sh "$$(readlink -f $(BIN)/python)" newest $(ARGS)

.PHONY: matrix
matrix: ## The same on the newest and the oldest pair of Python and Django
	@scripts/matrix.sh $(ARGS)

.PHONY: suites
suites: $(VENV)/.dev ## Run Django's and DRF's own test suites, each request as a message
	@$(BIN)/python -m tests.suites $(ARGS)

.PHONY: suites-short
suites-short: $(VENV)/.dev ## A share of these suites, in under two minutes
	@$(BIN)/python -m tests.suites --short $(ARGS)

# --- checks -----------------------------------------------------------------------------------------

.PHONY: lint
lint: $(VENV)/.dev ## Check style and formatting with ruff
	$(call step,Lint)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: format
format: $(VENV)/.dev ## Format the code, and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

.PHONY: types
types: $(VENV)/.dev ## Check types: mypy --strict, and pyright on the public names
	$(call step,Types: mypy --strict)
	@$(BIN)/mypy
	$(call step,Types: what a user's pyright sees)
	@$(BIN)/basedpyright

# --- the rest ---------------------------------------------------------------------------------------

.PHONY: bench
bench: $(VENV)/.dev ## Measure: requests over the socket against HTTP servers
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-connections
bench-connections: $(VENV)/.dev ## Measure: memory of a connection, thousands of them, slow views, floods, streams
	@$(BIN)/python -m benchmarks.connections $(ARGS)

.PHONY: bench-push
bench-push: $(VENV)/.dev ## Measure: events to a thousand subscribers against Channels, and ten thousand that come back
	@$(BIN)/python -m benchmarks.push $(ARGS)

.PHONY: bench-live
bench-live: $(VENV)/.dev ## Measure: what live costs reads and writes, and how fast a commit reaches who watches
	@$(BIN)/python -m benchmarks.live $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## Build the documentation into build/docs; a warning fails
	$(call step,Documentation)
	@$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --nitpicky --quiet -b html docs build/docs
	@printf '  build/docs/index.html\n'

.PHONY: support-table
support-table: $(VENV)/.dev ## Renew the table of transports and servers in docs/reference/transports.md
	@WRITE_SUPPORT_TABLE=1 $(BIN)/python -X dev -m pytest --quiet tests/transports/shared --deselect tests/transports/shared/test_table.py $(ARGS)

.PHONY: clean
clean: ## Remove .venv and everything that was built
	rm -rf $(VENV) build dist artifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
