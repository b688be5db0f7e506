# One environment, .venv, for everything. Another Python: make demo PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# One thread per process: small models on few cores run fastest so, and results do not depend on the core count.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help
.PHONY: help demo test test-lmms test-browser slow check format figures families reference bench build clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

demo: $(READY)  ## set up, then measure the shipped models and write bapa-demo/report.html
	$(BIN)/bapa demo

test: $(READY)  ## set up, then run the tests
	$(BIN)/pytest -n $(JOBS) -m "not slow"

test-lmms: $(READY)  ## set up lmms-eval too, then run its tests
	$(INSTALL) '.[dev,lmms]'
	$(BIN)/pytest tests/integrations/test_lmms_eval.py

test-browser: $(READY)  ## set up gradio too, then run the explorer in Chromium (apt-get install chromium)
	$(INSTALL) '.[dev,explore,browser]'
	$(BIN)/pytest tests/integrations/test_explore.py

slow: $(READY)  ## run the tests that take minutes
	$(BIN)/pytest -m slow --timeout 3600

check: $(READY)  ## lint and type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## sort imports and format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

figures: demo  ## make the pictures and tables of README.md again
	for name in center uniform; do $(BIN)/bapa measure reference:$$name --probe bapa-demo/probe \
	  --scheme native --scheme bapa --scheme bapa:distance=native --out bapa-demo/$$name || exit 1; done
	$(BIN)/python docs/figures.py bapa-demo/bottom bapa-demo/top bapa-demo/center bapa-demo/uniform

families: $(READY)  ## run every check on every family and write docs/families.md again
	PYTHONPATH=. $(BIN)/python docs/families.py

bench: $(READY)  ## speed and memory, as ratios measured side by side
	for name in overhead measure compose occlusion flow; do PYTHONPATH=. $(BIN)/python benchmarks/$$name.py || exit 1; done

reference: $(READY)  ## train the shipped reference models again (minutes each)
	for skew in bottom top center uniform; do $(BIN)/python -m bapa.reference train --skew $$skew --seed 1 --out build/reference/$$skew || exit 1; done

build: $(READY)  ## build the wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:  ## remove everything that can be made again, the environment included
	rm -rf .venv bapa-demo build dist .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bapa needs Python 3.10 or newer, found " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[dev]'
	@touch $@
