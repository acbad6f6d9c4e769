# Every target sets up what it needs by itself, and is quick when that is there already.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUNDLE := graph/server/graphiql/dist/index.html
GRAPHIQL_SOURCES := $(shell find graph/server/graphiql -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
SHOP := examples/shop
SHOP_PACKAGES := $(SHOP)/node_modules/.package-lock.json
SHOP_BUNDLE := $(SHOP)/dist/manifest.json
SHOP_SOURCES := schema.graphql $(shell find $(SHOP) -type f -not -path '*/node_modules/*' \
	-not -path '*/dist/*' -not -path '*/src/gql/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup serve shop test prove bench check fmt lock clean

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/dev $(BUNDLE)  ## Install everything a developer needs into .venv

serve: $(VENV)/run $(BUNDLE)  ## Start the store: http://127.0.0.1:8000/graphql
	$(BIN)/graph serve

shop: $(SHOP_PACKAGES)  ## Start the shop beside `make serve`: http://127.0.0.1:5173
	@$(NODE); cd $(SHOP) && npm run --silent dev

test: $(VENV)/dev $(BUNDLE) $(SHOP_BUNDLE)  ## Run the tests against a real PostgreSQL
	$(BIN)/pytest -n auto

prove: $(VENV)/dev $(BUNDLE)  ## Prove at length that nothing is oversold, doubled or lost
	GRAPH_PROVE_ROUNDS=$${GRAPH_PROVE_ROUNDS:-10} $(BIN)/pytest -n auto tests/prove

bench: $(VENV)/run  ## Measure graph beside other servers: ARGS="--workload nested --rounds 9"
	$(BIN)/python -m bench $(ARGS)

check: $(VENV)/dev  ## Lint, types, import contracts, schema drift, migrations drift
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/graph schema --check
	$(BIN)/pytest tests/store/test_migrations.py tests/store/test_migration_effects.py

fmt: $(VENV)/dev  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(VENV)/dev  ## Renew the locked versions in requirements/
	$(eval LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --upgrade)
	$(LOCK) --group build -o requirements/run.txt
	$(LOCK) --group build --group dev -o requirements/dev.txt
	$(eval LOCK_GROUP := $(BIN)/uv pip compile --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --upgrade)
	$(LOCK_GROUP) --group node -o requirements/node.txt
	$(LOCK_GROUP) --group generators -o requirements/generators.txt
	$(LOCK_GROUP) --group strawchemy -o requirements/strawchemy.txt

clean:  ## Remove all that was installed, built or stored
	rm -rf $(VENV) .graph dist graph/server/graphiql/dist graph/server/graphiql/node_modules
	rm -rf $(SHOP)/dist $(SHOP)/node_modules $(SHOP)/src/gql
	rm -rf bench/.node bench/.strawchemy bench/peers/*/node_modules tests/clients/node_modules
	rm -rf .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find graph tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was made from: the set-up is neither missing nor stale.
$(VENV)/python: requirements/run.txt requirements/dev.txt
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/python requirements/run.txt pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements/dev.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# vite writes the page even when it fails.
.DELETE_ON_ERROR:

# A Node that is missing, or not one that vite takes, comes from a wheel into .venv.
NODE_SUFFICES := [a, b] = process.versions.node.split(".").map(Number); \
	process.exit(a == 20 && b >= 19 || a == 22 && b >= 12 || a > 22 ? 0 : 1)
NODE := set -e; export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	{ npm --version && node -e '$(NODE_SUFFICES)'; } >/dev/null 2>&1 \
		|| $(BIN)/pip install --quiet --require-hashes -r requirements/node.txt

$(BUNDLE): $(GRAPHIQL_SOURCES) | $(VENV)/python
	@echo "Bundling GraphiQL into $(@D)"
	@$(NODE); cd graph/server/graphiql && npm ci --loglevel=error && npm run --silent build

$(SHOP_PACKAGES): $(SHOP)/package-lock.json | $(VENV)/python
	@$(NODE); cd $(SHOP) && npm ci --loglevel=error
	@touch $@

$(SHOP_BUNDLE): $(SHOP_PACKAGES) $(SHOP_SOURCES)
	@echo "Checking and building the shop into $(@D)"
	@$(NODE); cd $(SHOP) && npm run --silent build
