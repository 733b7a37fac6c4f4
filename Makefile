# Everything runs in .venv, which `make setup` creates. Requirements: git, make and Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
DEMO_OUT ?= out/demo
DEMO_ARGS ?= --train-size 5000 --test-size 1000 --epochs 3

.PHONY: help setup demo test test-all verify mutate fuzz fuzz-workers lint format check golden recipes wrong-inputs results bench bench-short
help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready  ## create .venv with mixaug and everything that these commands need
.venv/.ready: .venv/.demo
	$(BIN)/python -m pip install --quiet --editable ".[lab,tensorflow,torch,jax]" --group dev
	@if [ "$$(uname)" = Linux ]; then $(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/triton "triton>=3.4"; fi
	@touch $@

.venv/.demo: pyproject.toml  # the requirements of the command line: 440 MB to download, a third of those of the tests
	@$(PYTHON) -c 'import sys; sys.exit("mixaug needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[lab,tensorflow]"
	@touch $@

demo: .venv/.demo  ## mix photographs, train with and without mixing, write a report
	$(BIN)/mixaug preview --data photos --rows 4 --out $(DEMO_OUT)/preview.png
	@if [ -e $(DEMO_OUT)/compare/config.json ]; then set -x; $(BIN)/mixaug compare --resume $(DEMO_OUT)/compare; \
	else set -x; $(BIN)/mixaug compare --model small --seeds 2 $(DEMO_ARGS) --out $(DEMO_OUT)/compare; fi
	@printf '\nOpen these:\n  %s\n  %s\n' "$(DEMO_OUT)/preview.png" "$(DEMO_OUT)/compare/report.html"

test: setup  ## run the tests, including the examples in docstrings (nine minutes on two cores)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

test-all: test  ## also run the tests marked full: all combinations, long training (eight minutes more)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m full

verify: setup  ## run fuzzing, mutations and tests of distributions (hours); write docs/verification.md
	$(BIN)/python tools/verify.py $(VERIFY_ARGS)

mutate: setup  # check which mutations of the code make test detects: make mutate MUTATE_ARGS="kernels epoch"
	$(BIN)/python tools/mutate.py $(MUTATE_ARGS)

fuzz: setup  ## mix random batches through every adapter: make fuzz FUZZ_ARGS="--cases 100000 --seed 1"
	$(BIN)/python tests/fuzz/fuzz_doors.py $(FUZZ_ARGS)

fuzz-workers: setup  # the same with workers, forks and damaged kernel caches, 300 cases
	$(BIN)/python tests/fuzz/fuzz_workers.py $(FUZZ_ARGS)

lint: setup  ## check formatting, lint and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: setup  ## format, and fix what the linter can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

check: lint test  ## run lint and test

golden: setup  ## rewrite tests/recipes/golden.json after an intended change of the draws
	$(BIN)/python tools/make_golden.py

recipes: setup  ## write docs/recipes.md; train for its table if the recipes have changed
	$(BIN)/python tools/make_recipes.py

wrong-inputs: setup  ## write docs/wrong-inputs.md with the current errors
	$(BIN)/python tools/make_wrong_inputs.py

results: setup  ## write docs/results.md from the published runs in results/
	$(BIN)/python tools/make_results.py

bench: setup .venv/peers/.ready  ## compare with other libraries, write docs/benchmarks.md (ten minutes)
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

bench-short: setup .venv/peers/.ready  # a short run of the benchmarks to out/bench-short, to see that they run
	$(BIN)/python -m benchmarks.run --short $(BENCH_ARGS)

.venv/peers/.ready: benchmarks/peers.txt .venv/.ready
	@$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/peers -r benchmarks/peers.txt \
	  && touch $@ || echo "some libraries could not be installed; their rows will contain the error"
