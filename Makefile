# wheelfarm. Two commands do everything: `make wheels` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MATRIX ?= matrix.toml
WHEELHOUSE ?= wheelhouse
ARGS ?=
# `make wheels ONLY=lxml` restricts a run to one package.
ONLY_OPTION := $(if $(ONLY),--only $(ONLY))

.PHONY: help wheels test test-comparisons test-hostile venv unit coverage lint engine doctor plan promote docs site interfaces bench-applications bench-audit bench-detection bench-migration bench-report bench-speed bench-survey house requirements clean

help: ## Show this list.
	@echo "wheelfarm: native wheels for CPython 3.14 and 3.14t, each with a verdict"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo
	@echo "Variables: MATRIX=FILE WHEELHOUSE=DIR ONLY=NAME PYTHON=python3.11-or-newer ARGS='more options'"

wheels: $(VENV)/ready engine ## Build, audit, import and judge everything in matrix.toml; fill wheelhouse/simple/.
	@$(BIN)/wheelfarm run --matrix $(MATRIX) --wheelhouse $(WHEELHOUSE) $(ONLY_OPTION) $(ARGS)

test: lint unit engine ## Run every check and test; installs what they need.
	@$(BIN)/pytest -n 2 --dist loadfile -m "not comparisons" tests/integration $(ARGS)
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow" tests/hostile $(ARGS)

test-comparisons: $(VENV)/ready engine ## Measure with CPython 3.13, and with the JIT, which are compiled for that.
	@$(BIN)/pytest -v -m comparisons tests/integration $(ARGS)

test-hostile: $(VENV)/ready engine ## Attack the farm with packages, index answers and shards of our own; every attack must be contained.
	@$(BIN)/pytest -v --tb=short --hostile-json benchmarks/out/hostile.json tests/hostile $(ARGS)

venv: $(VENV)/ready ## Make the virtual environment.

unit: $(VENV)/ready ## Run the tests that need no container engine.
	@$(BIN)/pytest -n auto --dist worksteal tests/unit $(ARGS)

coverage: $(VENV)/ready ## Run the unit tests and measure what they cover; fail below the floor of pyproject.toml.
	@mkdir -p benchmarks/out
	@$(BIN)/pytest -n auto --dist worksteal tests/unit --cov --cov-report=term --cov-report=json:benchmarks/out/coverage.json $(ARGS)

lint: $(VENV)/ready ## Check style, types and workflows.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/zizmor --offline --quiet --no-progress --strict-collection .github
	@$(BIN)/zizmor --offline --quiet --no-progress --strict-collection --config .github/zizmor.yml examples/platforms/github-actions/deploy.yml

engine: $(VENV)/ready ## Make sure a container engine answers; install and start one where none does (root).
	@$(BIN)/wheelfarm engine

doctor: $(VENV)/ready ## Check whether this machine can run the farm.
	@$(BIN)/wheelfarm doctor

plan: $(VENV)/ready ## Show what `make wheels` would do.
	@$(BIN)/wheelfarm plan --matrix $(MATRIX) --wheelhouse $(WHEELHOUSE) $(ONLY_OPTION) $(ARGS)

promote: $(VENV)/ready ## Move what passes its gates from wheelhouse/canary/ to wheelhouse/simple/; ARGS=--list shows what waits.
	@$(BIN)/wheelfarm promote --matrix $(MATRIX) --wheelhouse $(WHEELHOUSE) $(ARGS)

docs: $(VENV)/ready ## Generate the schemas, docs/findings.md and docs/cli.md from the code.
	@$(BIN)/python -m builder.generate.docs docs
	@$(BIN)/python -m builder.generate.cli_reference docs/cli.md

site: $(VENV)/ready ## Build the documentation as a site with search into site/; a broken link fails.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/ is built; to read it with search: $(BIN)/python -m http.server --directory site --bind 127.0.0.1"

interfaces: $(VENV)/ready ## Make images/interfaces/ anew from the images of the last run.
	@$(BIN)/python -m builder.generate.interfaces

bench-audit: $(VENV)/ready engine benchmarks/.tools/ready ## Ask wheelfarm and other tools about wheels with planted faults.
	@$(BIN)/python -m benchmarks.audit benchmarks/.tools benchmarks/out/audit.json

bench-detection: $(VENV)/ready engine ## Ask the farm about packages and releases whose threading faults are known.
	@$(BIN)/python -m benchmarks.detection benchmarks/out/detection benchmarks/out/detection.json $(ARGS)

bench-report: $(VENV)/ready ## Time index and report of 2,000 packages, and the overview in Chromium.
	@$(BIN)/python -m benchmarks.report benchmarks/out/report.json $(ARGS)

bench-applications: $(VENV)/ready engine ## Install whole applications offline, judge the most used packages, and time the survey.
	@$(BIN)/python -m benchmarks.applications benchmarks/out/applications benchmarks/out/applications.json $(ARGS)

bench-speed: $(VENV)/ready engine ## Measure how fast the farm is and how it grows; ARGS='--only scale' needs no idle machine.
	@$(BIN)/python -m benchmarks.speed benchmarks/out/speed benchmarks/out/speed.json $(ARGS)

bench-migration: $(VENV)/ready engine ## Measure planted slow-downs, and time a rollback of 10,000 packages.
	@$(BIN)/python -m benchmarks.migration benchmarks/out/migration benchmarks/out/migration.json $(ARGS)

bench-survey: $(VENV)/ready ## Time the survey of a lock file of 130 packages, with and without caches.
	@$(BIN)/python -m benchmarks.survey benchmarks/out/survey benchmarks/out/survey.json

benchmarks/.tools/ready: benchmarks/audit-tools.txt
	@$(PYTHON) -m venv --clear benchmarks/.tools
	@benchmarks/.tools/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

house: $(VENV)/ready ## Print figures about how readable builder/ is; ARGS='--worst 20' lists the densest functions.
	@$(BIN)/python -m benchmarks.house $(ARGS)

requirements: $(VENV)/ready ## Pin the newest requirements, with hashes and without addresses.
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 pyproject.toml --group dev -o requirements/farm.txt
	for tools in builder verify index; do \
	  $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --python-version 3.14 images/$$tools-tools.in -o images/$$tools-tools.txt || exit 1; \
	done
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 benchmarks/audit-tools.in -o benchmarks/audit-tools.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 benchmarks/corpus-tools.in -o benchmarks/corpus-tools.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.14 benchmarks/fromager.in -o benchmarks/fromager.txt
	$(BIN)/uv pip compile -q --upgrade --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.14 --python-platform x86_64-manylinux_2_28 benchmarks/survey.in -o benchmarks/survey.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 tests/integration/upload-servers.in -o tests/integration/upload-servers.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.14 tests/integration/clients.in -o tests/integration/clients.txt

clean: ## Remove the virtual environment and caches; the wheelhouse stays.
	rm -rf $(VENV) .tools site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/ready: requirements/farm.txt pyproject.toml requirements/make-venv.sh
	@sh requirements/make-venv.sh $(PYTHON) $(VENV)
	@touch $@
