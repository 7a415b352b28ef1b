# The targets are the same commands that CI runs. `make help` lists them.
SHELL := /bin/bash
VENV := .venv/bin
# A file of tests stays with one worker: its containers and its platform are shared inside it.
TWO := -n 2 --dist loadfile
# Each is `python -m bench.NAME`, and says with --help what it measures.
BENCHES := platform tool_call durable_step turns live_runs task_start cancel snapshots viewers wake_ups retention policy llm_call
ATTACKS := tests/tools/test_attacks*.py tests/tools/test_secrets.py tests/tools/test_deployments.py
.DEFAULT_GOAL := help
.PHONY: help conformance judges peers test-stack chaos attacks tools-reference recordings setup setup-dev demo up compose-up compose-down compose-logs test test-fast check web web-check dashboards bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

setup: ## Install what is missing: Docker, Python packages, base image
	@scripts/setup

setup-dev: ## The same, and what the tests need
	@scripts/setup --dev

demo: setup ## Fix a real bug in a container and have the platform check it; no key, no network
	@$(VENV)/python scripts/demo.py

up: setup web ## Start the platform and print its URL; Ctrl-C stops it
	@$(VENV)/hypercode up

compose-up: setup web ## The whole stack in containers: Postgres, Redis, Prometheus, Grafana; prints its URL
	@deploy/images/build-services
	@deploy/images/build
	@scripts/compose up

compose-down: ## Stop the stack; its data stays in volumes
	@scripts/compose down

compose-logs: ## Follow the stack's logs
	@scripts/compose logs

web: ## Build the web UI into the package, when its sources changed
	@scripts/web build

check: ## Style, types, import contracts: seconds
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/lint-imports
	$(VENV)/basedpyright

web-check: ## The web's lint, types, contracts and unit tests
	@scripts/web check

test-fast: ## Tests that need no container engine
	$(VENV)/pytest -q $(TWO) -m "not docker and not browser and not stack"

test: setup-dev check web web-check ## Everything: fast layers first, then containers and the browser
	$(VENV)/pytest -q $(TWO) -m "not docker and not browser and not stack"
	$(VENV)/pytest -q $(TWO) -m "(docker or browser) and not stack"

test-stack: setup-dev web ## The stack in containers: a task in the browser, who reaches whom, services killed under load
	@deploy/images/build-services
	@deploy/images/build
	$(VENV)/pytest -q -m stack

chaos: setup-dev ## Kill every part of the platform, 200 times each way, at random moments; writes docs/reference/promises.md (half an hour and more)
	HYPERCODE_KILL_ROUNDS=200 $(VENV)/pytest -q -s --timeout=0 tests/tools/test_kill_rounds.py
	HYPERCODE_KILL_ROUNDS=200 HYPERCODE_BUDGET_KILLS=40 HYPERCODE_PROMISES=docs/reference/promises.md \
		$(VENV)/pytest -q -s --timeout=0 -m promise

conformance: setup-dev ## The official MCP suite against the tool server and the agents' client, both revisions
	@scripts/judges conformance

judges: setup-dev ## Others that judge the tool server: inspector, scanner, fuzzer
	@scripts/judges judges

peers: setup-dev ## The file and git attacks on two published servers and on ours, side by side
	@scripts/judges peers

dashboards: ## Write Grafana's dashboards anew
	$(VENV)/python deploy/grafana/generate.py

attacks: ## The attack table over both revisions of MCP, the race in its full 20,000 rounds (minutes)
	RACE_ROUNDS=20000 $(VENV)/pytest -q -s $(ATTACKS) | grep -v -e tool_call -e policy.loaded
	HYPERCODE_TEST_REVISION=legacy $(VENV)/pytest -q $(ATTACKS)

recordings: ## Record the runs anew that every `make test` replays, in real containers (minutes)
	$(VENV)/python scripts/record_replays.py

tools-reference: ## Write docs/reference/tools.md anew from the tools' schemas
	$(VENV)/python -m scripts.tools_reference

bench: setup-dev ## Measure what docs/reference/benchmarks.md states (half an hour)
	@for each in $(BENCHES); do echo "$$each"; $(VENV)/python -m bench.$$each || exit 1; done

clean: ## Remove what was built here (not the platform's data: see `hypercode purge`)
	rm -rf .venv .tools dist web/node_modules web/.next src/hypercode/gateway/_static
