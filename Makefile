# The doors of this project. Each sets up by itself what it needs.

# The first Python from 3.11 to 3.13 there is; PYTHON=... chooses another.
PYTHON ?= $(firstword $(foreach each,python3.13 python3.12 python3.11 python3,$(shell \
	$(each) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $(each))))
PORT := $(or $(PORT),8000)
BIN := .venv/bin
SET_UP := .venv/.set-up
NODE := $(shell command -v npm)

# The official validators, an engine for races, and axe: where Node.js is present (CI has it).
NODE_SET_UP := $(if $(NODE),tests/validator/node_modules/.set-up tests/engines/node_modules/.set-up \
	tests/browser/node_modules/.set-up)
DYNOXIDE ?= $(shell ls $(CURDIR)/tests/engines/node_modules/@dynoxide/linux-x64/dynoxide 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run demo test lint bench package rehearse deploy clean

help:  ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

run: $(SET_UP)  ## Serve on PORT (8000); DYNAMODB_URL picks another engine than the embedded moto.
	@$(BIN)/openbooking serve --port $(PORT)

demo: $(SET_UP)  ## Play a Broker's journey against what `make run` serves.
	@$(BIN)/openbooking demo $(if $(filter-out 8000,$(PORT)),--url http://localhost:$(PORT))

test: lint $(NODE_SET_UP)  ## Everything that CI checks.
	DYNOXIDE=$(DYNOXIDE) $(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=90

lint: $(SET_UP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(SET_UP) $(NODE_SET_UP)  ## Measure, and write docs/performance.md.
	DYNOXIDE=$(DYNOXIDE) $(BIN)/python -m bench

package: $(SET_UP)  ## Make dist/: the Lambda zip and the templates.
	$(BIN)/openbooking stage package $(if $(STAGE),--stage $(STAGE))

rehearse: $(SET_UP)  ## Deploy from start to end against an imitation of AWS on this machine.
	$(BIN)/openbooking stage rehearse $(if $(STAGE),--stage $(STAGE))

deploy: $(SET_UP)  ## Deploy STAGE to AWS.
	@test -n "$(STAGE)" || { echo "Say which stage: make deploy STAGE=dev" >&2; exit 2; }
	$(BIN)/openbooking stage deploy --stage $(STAGE)

clean:  ## Remove what the doors have made.
	rm -rf .venv .local build dist tests/*/node_modules .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(SET_UP): requirements.txt requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed." >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON) (once)..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Where npm cannot install, the tests that need it are skipped and say so; in CI that is a failure.
tests/%/node_modules/.set-up: tests/%/package.json tests/%/package-lock.json
	@if npm ci --prefix tests/$* --no-audit --no-fund --loglevel=error; then touch $@; \
	elif [ -n "$$CI" ]; then exit 1; \
	else echo "npm could not install tests/$*; the tests that need it are skipped." >&2; rm -rf tests/$*/node_modules; fi
