# Every workflow in one place: `make help`. Targets only call what a user can call.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SCALE ?= small
N ?= 3
THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow bench bench-compare lint lock clean

help:  ## list the workflows
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/installed  ## make .venv with the locked dependencies

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[notebook,dev]'
	touch $@

demo: install  ## the whole plan on the small world: published defect to frozen certificate, with pages
	$(BIN)/segment5b demo --scale small

test: install  ## the whole test suite, notebooks included
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m 'not slow and not browser and not authority'

test-slow: install  ## tests that take longer or need a browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m '(slow or browser) and not authority'

bench: install  ## SCALE=tiny|small|medium|authority [N=3] [ONLY="S4 chain"] [OUT=json]: time, memory, floors, growth
	$(BIN)/python -m benchmarks run --scale $(SCALE) --repetitions $(N) --threads $(THREADS) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))

bench-compare: install  ## BASE=json [NEW=json]: ratios with spreads; NEW is the newest result of the same scale
	$(BIN)/python -m benchmarks compare $(BASE) $(NEW)

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: install  ## resolve the dependencies again and write requirements.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header \
	  --no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

clean:  ## remove the virtual environment and caches; outputs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
