# `make demo` shows an order live, `make serve` starts the service, `make test` runs the checks and tests,
# `.ci/run` all that CI runs.
# Data lies in BROJOBS_DATA_DIR, /var/tmp/brojobs-<uid> unless set: a place that works for root and for anybody
# (run as root, the embedded PostgreSQL is another user, and in a home directory the way to it would have to be opened).

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
SERVE_ARGS ?=
REPLAY_ARGS ?=
BENCH_ARGS ?=
PYTEST_ARGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo serve sandbox test lint format pytest soak scenarios bench profile migrate replay docs lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything pinned (does nothing when nothing changed)

# Every package comes from the lock with its hash, the build backend too, so that installing runs nothing unpinned.
# A `python -m venv` that failed leaves a .venv without pip: that one is made anew.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making .venv"; $(PYTHON) -m venv --clear .venv; } || \
		{ echo "Python 3.11 with venv is needed; on Debian 12: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## an order's life over HTTP on a real database, its replay, its invariants
	@$(BIN)/brojobs demo

serve: $(STAMP) ## the service, until Ctrl-C; SERVE_ARGS="--port 8001" for another port
	@$(BIN)/brojobs serve $(SERVE_ARGS)

sandbox: ## the service with tokens for whoever asks and a clock of your own
	@$(MAKE) --no-print-directory serve SERVE_ARGS="--sandbox $(SERVE_ARGS)"

migrate: $(STAMP) ## bring the database of BROJOBS_DATABASE_URL to this version
	@$(BIN)/brojobs migrate

replay: $(STAMP) ## the history of an order: make replay ORDER=<id>; REPLAY_ARGS="--lang en --json"
	@test -n "$(ORDER)" || { echo "which order? make replay ORDER=<id>" >&2; exit 2; }
	@$(BIN)/brojobs replay $(ORDER) $(REPLAY_ARGS)

test: lint pytest ## linters, types, import layers, tests

lint: $(STAMP) ## everything that reads the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pytest: $(STAMP) ## the tests alone; PYTEST_ARGS="tests/api -x" for some
	$(BIN)/pytest -q $(PYTEST_ARGS)

soak: $(STAMP) ## the randomised and concurrent tests at full size; takes long
	BROJOBS_TEST_SOAK=1 BROJOBS_READER_EVENTS=20000 $(BIN)/pytest -q $(PYTEST_ARGS) \
		tests/domain/test_machine.py tests/domain/test_exploration.py tests/http/test_machine.py tests/http/test_races.py \
		tests/http/test_kills.py tests/case/test_tampering.py tests/store/test_feed.py tests/store/test_lost_commit.py tests/store/test_outages.py \
		tests/application/test_two_processes.py

scenarios: $(STAMP) ## play stories against a service of this checkout; BROJOBS_TEST_SCENARIOS names their folder
	$(BIN)/python scripts/play_scenarios.py

bench: $(STAMP) ## how fast it is, beside its peers; BENCH_ARGS="--seconds 2 --rounds 1" to try it
	@$(BIN)/python -m benchmarks.commands $(BENCH_ARGS)

profile: $(STAMP) ## where the service's time goes under load: benchmarks/results/profile.svg and .md
	@$(BIN)/python -m benchmarks.profiling

docs: $(STAMP) ## write the pages that are made from code
	$(BIN)/python scripts/make_docs.py
	$(BIN)/python -m tests.console.reference

lock: $(STAMP) ## pin the newest packages that pyproject.toml allows
	$(BIN)/python scripts/lock.py
	@$(MAKE) --no-print-directory setup
