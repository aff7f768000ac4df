# One command each. Needs only make and python3 >= 3.11 (with its venv module); everything else goes into .venv.
PYTHON ?= python3
# Which optional packages are installed; CI wants all of them, as its tests skip nothing.
EXTRAS ?= dev,test
BIN := .venv/bin
STAMP := .venv/.installed
# What `make demo` and `make up` need is a small part of it.
DEMO_STAMP := .venv/.installed-for-demo

.PHONY: help setup demo up down test check format bench bench-daemon bench-logs bench-places bench-stores chaos clean

help:
	@echo "make demo    run the numbers job as a Celery chord through the REST API and print its result"
	@echo "make up      start the whole stack with the example; make down stops it"
	@echo "make test    run every test (services come from wheels; RabbitMQ's tests need Debian's server)"
	@echo "make check   lint, formatting, types, architecture"
	@echo "make bench   measure against the bare Celery canvas; PEER=dagster measures Dagster too"
	@echo "make chaos   kill and freeze everything under 5 x 100 runs; print what was lost (nothing)"
	@echo "make bench-daemon  measure queue, clock, sensors and recovery"
	@echo "make bench-logs  measure how soon printed lines are seen"
	@echo "make bench-places  measure what a container costs a step (needs Docker)"
	@echo "make bench-stores  measure the memory that a value of 1 GiB takes on its way to S3"
	@echo "make clean   remove .venv, caches and built files"

setup: $(STAMP)

$(DEMO_STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Orchord needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ echo "python3 lacks its venv module. On Debian: apt-get install python3-venv"; rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,examples]'
	@touch $(DEMO_STAMP)

$(STAMP): $(DEMO_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $(STAMP)

demo: $(DEMO_STAMP)
	@$(BIN)/python examples/demo.py

up: $(DEMO_STAMP)
	@$(BIN)/python examples/dev_stack.py up

down:
	@test ! -x $(BIN)/python || $(BIN)/python examples/dev_stack.py down

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist worksteal tests/e2e tests/integration
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore=tests/e2e --ignore=tests/integration

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/architecture

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py $(if $(PEER),--peer $(PEER))

bench-daemon: $(STAMP)
	$(BIN)/python benchmarks/daemon.py

bench-logs: $(STAMP)
	$(BIN)/python benchmarks/logs.py

bench-places: $(STAMP)
	$(BIN)/python benchmarks/places.py

bench-stores: $(STAMP)
	$(BIN)/python benchmarks/stores.py

chaos: $(STAMP)
	$(BIN)/python tests/chaos/chaos.py --seeds $(or $(SEEDS),5) --runs $(or $(RUNS),100)

clean: down
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .orchord build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
