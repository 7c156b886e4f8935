# Every verb makes the environment it needs, once: type `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.installed
RUN := $(VENV)/bin/python
ARGS ?=
WORKERS ?= 4
SCENARIO ?= storm
MANAGER ?=
DURATION ?=
PICTURES ?= docs/images

.PHONY: help test load lint types format docs matrix test-all test-lowest test-wheel bench picture schema lock clean

# An older Python would get as far as pip, and leave an environment that is of no use.
CHECK = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Python 3.11 or later is needed, and '$(PYTHON)' is not: name one, as in make PYTHON=python3.13" >&2; exit 1; }
# What pip says itself is about conflicts, where there is no index to ask.
OFFLINE = echo "==> pip could not install: is a package index in reach? The same verb goes on from here" >&2; exit 1

help: ## show this list
	@echo "flock-ws: the verbs"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
		| awk -F '\t' '{ printf "  make %-11s %s\n", $$1, $$2 }'
	@echo
	@echo "  ARGS='...' is passed on to the program behind the verb, e.g. make test ARGS='-k evict -x'"

$(STAMP): pyproject.toml constraints.txt
	@$(CHECK)
	@echo "==> 1/3 making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "==> 2/3 upgrading pip to the pinned version"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip || { $(OFFLINE); }
	@echo "==> 3/3 installing flock-ws and its tools as constraints.txt pins them (a minute, once)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[all]' --group dev || { $(OFFLINE); }
	@touch $@
	@echo "==> $(VENV) is ready"

# More workers than cores, since much of the suite waits for sockets; files in the order of conftest.py.
SUITE = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# What the suite starts, a hundred processes, need not compile the packages each anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP) ## run the test suite
	@$(RUN) -m pytest $(SUITE)

load: $(STAMP) ## run a load test against the reference server: a verdict in about a minute (MANAGER=module:factory, SCENARIO=, DURATION=)
	@$(RUN) -m flock_ws load --scenario $(SCENARIO) \
		$(if $(MANAGER),--manager $(MANAGER)) $(if $(DURATION),--duration $(DURATION)) $(ARGS)

lint: $(STAMP) ## check style and format
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

format: $(STAMP) ## format the code and mend what can be mended by itself
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

types: $(STAMP) ## check types (mypy strict everywhere, pyright strict as our users see us)
	@$(RUN) -m mypy
	@$(VENV)/bin/basedpyright --project tests/typing --pythonpath $(RUN)

test-all: ## run the suite on Python 3.11, 3.12 and 3.13 (those that are installed; a missing one is an error)
	@set -e; for version in 3.11 3.12 3.13; do \
		python=; \
		for candidate in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
			"$$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null \
				&& { python=$$candidate; break; } || true; \
		done; \
		[ -n "$$python" ] \
			|| { echo "Python $$version is not installed: install it, or run 'make test' for $$($(PYTHON) --version) alone" >&2; exit 1; }; \
		echo "==> the suite on Python $$version"; \
		$(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-$$version; \
	done

test-lowest: ## run the suite on the lowest versions of our dependencies that pyproject.toml allows
	@$(CHECK)
	@rm -rf .venv-lowest && $(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	@.venv-lowest/bin/uv pip install --quiet --python .venv-lowest --resolution lowest-direct \
		--editable '.[all]' --group test --group types
	@.venv-lowest/bin/python -m pytest $(SUITE)

docs: $(STAMP) ## build the documentation into build/docs, strictly: a warning is an error
	@$(RUN) -m sphinx --quiet --fail-on-warning --builder html docs build/docs
	@echo "open build/docs/index.html"

matrix: $(STAMP) ## run every check on every faulty and every correct manager, in virtual time, and compare with docs/kill-matrix.md
	@mkdir -p build
	@$(RUN) benchmarks/kill_matrix.py --virtual --compare docs/kill-matrix.md > build/kill-matrix.md
	@echo "every fault is killed by a check that is meant for it, as docs/kill-matrix.md says"

test-wheel: $(STAMP) ## build the wheel, and test it and each extra where this tree is out of reach
	@VENV=$(VENV) WORKERS=$(WORKERS) .ci/wheel $(ARGS)

bench: $(STAMP) ## measure the cost of one delivery side by side with the common pattern
	@$(RUN) benchmarks/fan_out.py $(ARGS)

picture: $(STAMP) ## photograph a storm's report and the live page for README and docs (needs chromium; PICTURES=folder)
	@$(RUN) benchmarks/report_picture.py --output $(PICTURES)/load-report.png
	@$(RUN) benchmarks/page_picture.py --output $(PICTURES)/page.webp

schema: $(STAMP) ## write the JSON Schema of run.json anew, after a change of the record
	@$(RUN) -m loadtests.report.documents > run.schema.json && mv run.schema.json loadtests/report/

lock: ## write constraints.txt anew from pyproject.toml (for maintainers)
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	@.venv-lock/bin/uv pip compile pyproject.toml --all-extras --group dev --universal --upgrade --python-version 3.11 \
		--quiet --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file constraints.lock
	@{ echo "# Written by 'make lock'. What every verb of the Makefile installs, on every supported Python."; \
		echo "pip==26.3"; grep -vE '^(flock-ws|-e|--)' constraints.lock; } > constraints.txt
	@rm -rf constraints.lock .venv-lock

clean: ## remove what the verbs made
	@rm -rf .venv .venv-3.* .venv-l* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis runs run.json
