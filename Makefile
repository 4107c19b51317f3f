# The commands that people and CI run; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run course test lint format bench bench-audit bench-pii bench-sft bench-dpo bench-gpu bench-eval bench-gateway bench-limits bench-serve bench-loadgen bench-controller soak fuzz-gateway peer-clients cluster-up cluster-load cluster-down e2e images docs locks clean

PYTHON ?= python3
export PYTHON
VARIANT ?= 10
SOURCES := platform/core/src platform/runtime/src platform/cli/src platform/controller/src jobs/src services/gateway/src
CLUSTER = PYTHONPATH=tools/cluster $(DEV)/python -m practicum_cluster
DEV = $$(tools/ensure-env.sh dev)/bin

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.practicum-ready ## make .venv with the practicum command

.venv/.practicum-ready: requirements/base.txt platform/core/pyproject.toml platform/runtime/pyproject.toml platform/cli/pyproject.toml jobs/pyproject.toml services/gateway/pyproject.toml tools/ensure-env.sh
	tools/install-command.sh
	touch $@

run: setup ## weeks 1 to 3 with a real model on this machine, ending in three evidence packs
	.venv/bin/practicum run week-01 week-02 week-03 --profile quick

course: setup ## every week of a course (VARIANT=8, 10 or 12), in order; ends with experiments/course.json; goes on where it was stopped
	.venv/bin/python tools/run_course.py --variant $(VARIANT) $(COURSE_ARGS)

test: ## all tests; creates their environment
	tools/run-tests.sh $(PYTEST_ARGS)

lint: ## ruff, mypy, import-linter, lock and text checks
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy $(SOURCES) jobs/eval_compare.py tools/cluster/practicum_cluster
	PYTHONPATH=$(subst $(eval ) ,:,$(SOURCES)) $(DEV)/lint-imports --no-cache
	tools/check-tree.sh

format: ## format the code
	$(DEV)/ruff check --fix .
	$(DEV)/ruff format .

bench: bench-audit bench-pii bench-sft bench-dpo bench-gpu bench-eval bench-gateway bench-limits bench-serve bench-loadgen bench-controller ## every bench

bench-audit: ## the data audit compared with datasketch and Presidio
	tests/bench/bench-audit.sh

bench-pii: ## recall by kind and false alarms of the search for personal data and secrets
	PYTHONPATH=platform/core/src:jobs/src $(DEV)/python tests/bench/bench_pii.py

bench-sft: ## fine-tuning compared with a plain TRL script
	tests/bench/bench-sft.sh

bench-dpo: ## preference training compared with a plain TRL script
	tests/bench/bench-sft.sh --stage dpo

bench-gpu: ## fine-tuning on a GPU compared with a plain TRL script; without a package index see bench-gpu.sh
	tests/bench/bench-gpu.sh

bench-eval: ## an evaluation: its statistics, and 500 items by vLLM beside the bare engine and lm-evaluation-harness
	tests/bench/bench-eval.sh

bench-gateway: ## what the gateway adds to a request, beside a bare pass-through and LiteLLM
	PEERS_GATEWAY=$$(tools/ensure-env.sh peers-gateway) PYTHONPATH=platform/core/src:jobs/src:services/gateway/src:tests/stand $(DEV)/python tests/bench/bench_gateway.py $(BENCH_ARGS)

bench-serve: ## from `practicum serve` to the first token beside bare vLLM, and how load slows vLLM and the tests' engine
	tests/bench/bench-serve.sh

bench-limits: ## a token limit under racing clients in real time: this gateway, two over Redis, and LiteLLM
	PEERS_GATEWAY=$$(tools/ensure-env.sh peers-gateway) PYTHONPATH=platform/core/src:jobs/src:services/gateway/src:tests/stand $(DEV)/python tests/bench/bench_limits.py

soak: ## steady load for MINUTES (10) with a fault every three: what grows, and whether tokens add up
	PYTHONPATH=platform/core/src:jobs/src:services/gateway/src:platform/runtime/src:tests/stand $(DEV)/python tests/bench/soak.py --minutes $(or $(MINUTES),10) $(SOAK_ARGS)

fuzz-gateway: ## requests that schemathesis makes of the gateway's description
	FUZZ=$$(tools/ensure-env.sh fuzz) PYTHONPATH=platform/core/src:jobs/src:services/gateway/src:tests/stand $(DEV)/python tests/bench/fuzz_gateway.py

peer-clients: ## clients of other projects against a gateway before vLLM: OpenAI's, guidellm, vLLM's bench, lm-evaluation-harness
	PYTHONPATH=$(subst $(eval ) ,:,$(SOURCES)) $(DEV)/python tests/bench/peer_clients.py

bench-loadgen: ## the load generator beside guidellm: delay of requests, highest rate
	tests/bench/bench-loadgen.sh

cluster-up: ## a bare cluster with Kueue and KubeRay (root); uses $$KUBECONFIG or kind if there is one
	$(CLUSTER) up

images: ## build the images of images/ with docker or buildah
	tools/images/build.sh

cluster-load: ## build the images and load them into the nodes of that cluster
	$(CLUSTER) load $(IMAGES)

e2e: ## the part of `test` that runs weeks in pods, from chart to evidence; on the cluster of $$KUBECONFIG, or a bare one (root)
	PRACTICUM_E2E_KUBECONFIG="$${KUBECONFIG:-}" $(DEV)/python -m pytest -m e2e $(PYTEST_ARGS) tests/cluster

cluster-down: ## stop that cluster and remove everything it left
	$(CLUSTER) down

docs: ## generated reference pages, manifests and custom resource definitions, and the website in build/site
	$(DEV)/python tools/build_reference.py
	$(DEV)/python tools/build_manifests.py
	$(DEV)/python tools/build_dashboards.py
	$(DEV)/python tools/render_chart.py
	$$(tools/ensure-env.sh site)/bin/python tools/build_site.py build/site

bench-controller: ## the controller on a real API server with 100, 1,000 and 10,000 week jobs
	PYTHONPATH=$(subst $(eval ) ,:,$(SOURCES)):tools/cluster:tests/stand $(DEV)/python tests/bench/bench_controller.py

locks: ## compile requirements/*.txt from requirements/*.in
	tools/compile-locks.sh

clean: ## remove what make created in this checkout (the cache stays)
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
