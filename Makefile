# `make demo` and `make test` set up everything that they need: a virtual environment in .venv and nothing else.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= text,speaker,speech,face,face-yolo-cpu,asr,quality,wheels,feast,redis,postgres,exchange,ray,s3,train,finetune,cpu-kernels,dev
WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
CACHE := $(CURDIR)/.cache
STUBS := $(CACHE)/stub_wheels
STAMP := $(VENV)/.installed-with

# Nothing is fetched from a model hub; one thread per test process, since there is a process per core; what Numba
# compiles is kept, since librosa's first use costs half a minute otherwise.
OFFLINE := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
RUN_ENV := $(OFFLINE) NUMBA_CACHE_DIR=$(CACHE)/numba FEAST_USAGE=False TOKENIZERS_PARALLELISM=false
TEST_ENV := $(RUN_ENV) OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive POLARS_MAX_THREADS=2

.PHONY: help demo test test-long lint style layout walls types format bench venv wheel-check clean
.DEFAULT_GOAL := help

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## the whole way on a made-up corpus: ingest, extract, Feast, pull, train
	$(RUN_ENV) $(BIN)/affectstore demo

test: venv ## the tests, without those marked long
	$(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --durations 10 $(PYTEST_ARGS)

test-long: venv ## the tests that are marked long
	$(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --durations 10 -m long $(PYTEST_ARGS) \
		|| test $$? -eq 5  # pytest's word for: no test is that long yet

lint: style layout walls ## style, formatting, the walls between the rooms

style: venv
	$(BIN)/ruff check --output-format concise .

layout: venv
	$(BIN)/ruff format --check --output-format concise .

walls: venv
	$(BIN)/lint-imports --no-logo

types: venv ## mypy, strict
	$(BIN)/mypy

format: venv ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv ## every measured comparison in tests/benchmarks, one after the other
	@set -e; for file in tests/benchmarks/bench_*.py; do \
		echo "== $$file"; PYTHONPATH=$(CURDIR) $(RUN_ENV) $(BIN)/python "$$file"; \
	done

venv: $(STAMP) ## the virtual environment, installed again when pyproject.toml or constraints.txt changed

# Bytecode is compiled at install even where the shell forbids it: `import torch` costs 7 s each time otherwise.
$(STAMP): pyproject.toml constraints.txt infra/stub_wheels.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing affectstore[$(EXTRAS)] into $(VENV): a minute or two"
	@$(BIN)/python infra/stub_wheels.py $(STUBS) > /dev/null
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip install -qq --disable-pip-version-check \
		--find-links $(STUBS) --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@case ",$(EXTRAS)," in *,face-yolo-cpu,*) env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip install -qq \
		--disable-pip-version-check --no-deps --constraint constraints.txt ultralytics;; esac
	@echo "$(EXTRAS)" > $@

wheel-check: ## build the wheel, install it alone in an empty environment, run what a user runs first
	rm -rf build/wheel
	$(PYTHON) -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	env -u PYTHONDONTWRITEBYTECODE build/wheel/venv/bin/python -m pip install -qq \
		--disable-pip-version-check --constraint constraints.txt build/wheel/affectstore-*.whl
	cd build/wheel && env -u PYTHONPATH sh -ec '\
		venv/bin/affectstore --version; \
		venv/bin/affectstore --help > help.txt; \
		venv/bin/python -c "from affectstore import open_store; print(open_store)"; \
		venv/bin/affectstore init --root store; \
		venv/bin/affectstore status --root store; \
		cd venv/lib/python3*/site-packages/feature_repo && ls -A .feastignore feature_store.yaml definitions.py quality.toml'

clean: ## remove what was built, the environment included
	rm -rf $(VENV) .cache build dist demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
