# Two commands are the whole set-up: `make demo` and `make test`. `make help` lists the others.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down test lint format bench evaluate tune requirements clean
VENV := .venv/bin
PACKAGES := api cli cypher interest_graph models workers
PYTEST_ARGS ?=

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 15

setup: ## Make .venv with the pinned packages (done by itself when needed)
	@sh scripts/setup.sh

demo: setup ## Load real purchases, train, and see a list change after one event (ONCE=1 stops by itself)
	@$(VENV)/interest-graph demo $(if $(filter 1,$(ONCE)),--once) $(DEMO_ARGS)

up: setup ## Start the local stack and leave it running
	@$(VENV)/interest-graph up --detach

down: ## Stop the local stack
	@$(VENV)/interest-graph down

test: setup ## Run every test against a real Neo4j and Redis (PYTEST_ARGS="-k word" for some)
	@$(VENV)/python -m pytest $(PYTEST_ARGS)

lint: setup ## Lint, types and import contracts
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache

format: setup ## Format the code and fix what can be fixed safely
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

evaluate: setup ## Compare all models on all data sets, with committed hyperparameters (ARGS="--seeds 5")
	@sh scripts/evaluate.sh evaluate

tune: setup ## Tune all models on all data sets, each with one budget: hours, resumable
	@ARGS="$${ARGS:---trials 40 --minutes 20}" sh scripts/evaluate.sh tune

bench: setup ## Run every benchmark and write docs/performance.md: hours, resumable (ARGS="--quick")
	@OMP_NUM_THREADS=1 $(VENV)/python -m benchmarks $(ARGS)

requirements: ## Pin the newest packages that pyproject.toml allows
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --upgrade -o requirements.txt

clean: ## Stop the stack and remove its data, .venv and every cache of this clone
	@if [ -x $(VENV)/interest-graph ]; then $(VENV)/interest-graph down; fi
	rm -rf .interest-graph .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache dist *.egg-info
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Neo4j's jars, shared by all clones, stay in $${XDG_CACHE_HOME:-$$HOME/.cache}/interest-graph"
