# The commands of this project. Each sets up what it needs by itself; `make` alone lists them.

# Settings: PYTHON=python3.12 picks the interpreter (3.11 to 3.13), PORT the port, DYNAMODB_URL another
# engine than the embedded one, STAGE the stage to package or to deploy, ALARM_EMAIL the address for its
# alarms, QUIET_HOURS and MONTHLY_BUDGET what they watch. Packaging and deploying need Python 3.13, on which the functions run.
PYTHON ?=
GIVEN_PORT := $(PORT)
PORT := $(or $(PORT),8000)
BIN := .venv/bin
NODE := $(shell command -v npm)

# The official validators, an engine for races, and axe: where Node.js is present (CI has it).
NODE_SET_UP := $(if $(NODE),tests/validator/node_modules/.set-up tests/engines/node_modules/.set-up \
	tests/browser/node_modules/.set-up)
DYNOXIDE ?= $(shell ls $(CURDIR)/tests/engines/node_modules/@dynoxide/linux-x64/dynoxide 2>/dev/null)

STACK_OPTIONS = $(ALARM_EMAIL:%=--alarm-email '%') $(QUIET_HOURS:%=--quiet-hours %) $(MONTHLY_BUDGET:%=--monthly-budget %)

# One more than there are processors: many tests wait for a server or an engine of their own. At most 5.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 4 ] && n=4; echo $$((n + 1)))

.DEFAULT_GOAL := help
.PHONY: help run demo test prove lint audit certify bench package rehearse plan deploy rollback releases unlock remove lock clean named-stage \
	set-up-run set-up-dev
export PYTHON

help:  ## List these commands.
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

run: set-up-run  ## Serve on PORT (8000); DYNAMODB_URL picks another engine than the embedded moto.
	@$(BIN)/openbooking serve --port '$(PORT)'

demo: set-up-run  ## Book and cancel a session as a Broker would, on the running server (PORT picks one).
	@$(BIN)/openbooking demo $(if $(GIVEN_PORT),--port '$(GIVEN_PORT)')

test: lint $(NODE_SET_UP) .venv-audit/.set-up  ## Run every check that CI runs.
	DYNOXIDE=$(DYNOXIDE) $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadscope --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90

prove: set-up-dev $(NODE_SET_UP)  ## Run the tests that take long: races with killed processes, two releases side by side.
	DYNOXIDE=$(DYNOXIDE) $(BIN)/python -m pytest -m proof

lint: set-up-dev  ## Check style, types and import contracts only.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Needs the network: it asks PyPI. So it is not a part of `make test`; the example pipeline runs it.
audit: set-up-run .venv-audit/.set-up  ## Check the packages that run for known vulnerabilities.
	@$(BIN)/python -m openbooking.deployment.vulnerabilities

# SUITE is a checkout of the OpenActive Test Suite; RUNS and FEATURES choose parts, OPTIONS adds options.
certify: set-up-dev $(NODE_SET_UP)  ## Run the official test suite in SUITE in all its configurations.
	@test -n "$(SUITE)" || { echo "Name a checkout of the suite: make certify SUITE=../openactive-test-suite" >&2; exit 2; }
	@DYNOXIDE=$(DYNOXIDE) $(BIN)/openbooking certify --suite '$(SUITE)' $(RUNS:%=--run %) $(FEATURES:%=--feature %) $(OPTIONS)

bench: set-up-dev $(NODE_SET_UP)  ## Measure, and write docs/performance.md.
	DYNOXIDE=$(DYNOXIDE) $(BIN)/python -m bench

package: set-up-dev  ## Make dist/: the Lambda zips and the templates of STAGE.
	$(BIN)/openbooking stage package $(if $(STAGE),--stage $(STAGE))

rehearse: set-up-dev  ## Deploy from start to end against an imitation of AWS on this machine.
	$(BIN)/openbooking stage rehearse $(if $(STAGE),--stage $(STAGE))

plan: set-up-dev named-stage  ## Show what a deployment of STAGE would change on AWS.
	@$(BIN)/openbooking stage plan --stage $(STAGE) $(STACK_OPTIONS)

# DRIFT=keep or DRIFT=repair: what to do with what others have changed since the last deployment.
deploy: set-up-dev named-stage  ## Deploy STAGE to AWS, and check that it answers.
	@$(BIN)/openbooking stage deploy --stage $(STAGE) $(STACK_OPTIONS) $(DRIFT:%=--drift %)

rollback: set-up-dev named-stage  ## Put the release of STAGE before the current one back, or RELEASE=0007.
	@$(BIN)/openbooking stage rollback --stage $(STAGE) $(RELEASE:%=--release %) $(DRIFT:%=--drift %)

releases: set-up-dev named-stage  ## List the releases of STAGE.
	@$(BIN)/openbooking stage releases --stage $(STAGE)

unlock: set-up-dev named-stage  ## Release the lock of STAGE that a command which was cut off has left.
	@$(BIN)/openbooking stage unlock --stage $(STAGE)

remove: set-up-dev named-stage  ## Take STAGE down; DATA=delete deletes its data too.
	@$(BIN)/openbooking stage remove --stage $(STAGE) $(if $(filter delete,$(DATA)),--data)

named-stage:
	@test -n "$(STAGE)" || { echo "Name the stage: make $(MAKECMDGOALS) STAGE=dev" >&2; exit 2; }

lock: set-up-dev  ## Write the lock files after a change of requirements*.txt.
	@sh scripts/lock.sh

clean:  ## Remove everything that these commands made.
	rm -rf .venv .venv-audit .local build dist tests/*/node_modules .mypy_cache .pytest_cache .ruff_cache *.egg-info

set-up-run:
	@sh scripts/set-up.sh run

set-up-dev:
	@sh scripts/set-up.sh dev

# checkov and pip-audit need other versions than the tests do.
.venv-audit/.set-up: requirements-audit.lock
	@if $(BIN)/python -m venv .venv-audit && .venv-audit/bin/pip install --quiet --require-hashes -r $<; then touch $@; \
	elif [ -n "$$CI" ]; then exit 1; \
	else echo "pip could not install checkov and pip-audit; their tests are skipped." >&2; rm -rf .venv-audit; fi

# Where npm cannot install, the tests that need it are skipped with a message; in CI that is a failure.
tests/%/node_modules/.set-up: tests/%/package.json tests/%/package-lock.json
	@if npm ci --prefix tests/$* --no-audit --no-fund --loglevel=error; then touch $@; \
	elif [ -n "$$CI" ]; then exit 1; \
	else echo "npm could not install tests/$*; the tests that need it are skipped." >&2; rm -rf tests/$*/node_modules; fi
