# Everything runs in .venv, which `make setup` makes; only git, make and Python >= 3.11 are needed.
PYTHON ?= python3
BIN := .venv/bin
DEMO_OUT ?= out/demo
DEMO_ARGS ?= --train-size 5000 --test-size 1000 --epochs 3

.PHONY: help setup demo test test-all verify mutate fuzz fuzz-workers lint format check golden recipes wrong-inputs results bench bench-short
help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready  ## make .venv with mixaug and all that the commands here need
.venv/.ready: .venv/.demo
	$(BIN)/python -m pip install --quiet --editable ".[lab,tensorflow,torch,jax]" --group dev
	@if [ "$$(uname)" = Linux ]; then $(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/triton "triton>=3.4"; fi
	@touch $@

.venv/.demo: pyproject.toml  # what the command line needs: 440 MB to download, a third of what the tests need
	@$(PYTHON) -c 'import sys; sys.exit("mixaug needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[lab,tensorflow]"
	@touch $@

demo: .venv/.demo  ## mix photographs, train with and without mixing, name the files to open
	$(BIN)/mixaug preview --data photos --rows 4 --out $(DEMO_OUT)/preview.png
	@if [ -e $(DEMO_OUT)/compare/config.json ]; then set -x; $(BIN)/mixaug compare --resume $(DEMO_OUT)/compare; \
	else set -x; $(BIN)/mixaug compare --model small --seeds 2 $(DEMO_ARGS) --out $(DEMO_OUT)/compare; fi
	@printf '\nOpen these:\n  %s\n  %s\n' "$(DEMO_OUT)/preview.png" "$(DEMO_OUT)/compare/report.html"

test: setup  ## run the tests, the examples in docstrings among them (nine minutes on two cores)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

test-all: test  ## and those that it leaves out: all combinations, long runs (eight minutes more)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m full

verify: setup  ## what takes hours: fuzzing, mistakes made on purpose, long distributions; write docs/verification.md
	$(BIN)/python tools/verify.py $(VERIFY_ARGS)

mutate: setup  # make mistakes on purpose, and say which of them make test notices: make mutate MUTATE_ARGS="kernels epoch"
	$(BIN)/python tools/mutate.py $(MUTATE_ARGS)

fuzz: setup  ## random batches through every door: make fuzz FUZZ_ARGS="--cases 100000 --seed 1"
	$(BIN)/python tests/fuzz/fuzz_doors.py $(FUZZ_ARGS)

fuzz-workers: setup  # the same with workers, forks and damaged caches, 300 cases
	$(BIN)/python tests/fuzz/fuzz_workers.py $(FUZZ_ARGS)

lint: setup  ## formatting, lint, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: setup  ## format and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

check: lint test  ## what a change must pass

golden: setup  ## draw tests/recipes/golden.json anew, when a law of the draw is changed on purpose
	$(BIN)/python tools/make_golden.py

recipes: setup  ## write docs/recipes.md anew; train for its table where there are other recipes
	$(BIN)/python tools/make_recipes.py

wrong-inputs: setup  ## write docs/wrong-inputs.md anew, with the errors that the code raises now
	$(BIN)/python tools/make_wrong_inputs.py

results: setup  ## write docs/results.md anew from the published runs in results/
	$(BIN)/python tools/make_results.py

bench: setup .venv/peers/.ready  ## measure beside other libraries, write docs/benchmarks.md (ten minutes)
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

bench-short: setup .venv/peers/.ready  # the same in little more than a minute, to out/bench-short: only that it runs
	$(BIN)/python -m benchmarks.run --short $(BENCH_ARGS)

.venv/peers/.ready: benchmarks/peers.txt .venv/.ready
	@$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/peers -r benchmarks/peers.txt \
	  && touch $@ || echo "not all peers could be installed: their rows will say so"
