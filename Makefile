# All workflows: `make help`. Targets only call public commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SCALE ?= small
N ?= 3
THREADS ?= 2

# Stored notebooks (tests/notebooks/stored) are executed and compared, each in a kernel of this environment.
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg \
  --nbval-cell-timeout 300 --nbval-kernel-startup-timeout 120

# Workers and kernels start from compiled files: where Python may not keep them, starting is a good part of `make test`.
unexport PYTHONDONTWRITEBYTECODE

# The allocators of Arrow and Polars keep what they have: giving pages back and asking for them again is a tenth of
# the time of tests on small worlds.
test test-slow notebooks: export MIMALLOC_PURGE_DELAY = -1
test test-slow notebooks: export _RJEM_MALLOC_CONF = dirty_decay_ms:-1,muzzy_decay_ms:-1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow notebooks notebooks-stored golden-renew bench bench-compare \
  certificate shape lint lock clean

help:  ## list the workflows
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

install: $(VENV)/installed  ## make .venv with the locked dependencies

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[notebook,dev]'
	touch $@

demo: install  ## the whole plan on the small world: published defect to frozen certificate, with pages
	$(BIN)/segment5b demo --scale small

test: install  ## the whole test suite, notebooks included
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(NBVAL) -m 'not slow and not browser and not authority'

test-slow: install  ## tests that take longer or need a browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m '(slow or browser) and not authority'

notebooks: install  ## only the notebooks: executed on the tiny world, compared with their stored outputs
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(NBVAL) tests/notebooks

notebooks-stored: install  ## store the notebooks' outputs again; read the difference before you commit it
	$(BIN)/python -m tests.notebooks.store_outputs

golden-renew: install  ## pin the tiny world's outputs again (tests/golden), and list the changes
	$(BIN)/python -m tests.golden.renew

bench: install  ## SCALE=tiny|small|medium|authority [N=3] [ONLY="S4 chain"] [OUT=json]: time, memory, floors, growth
	$(BIN)/python -m benchmarks run --scale $(SCALE) --repetitions $(N) --threads $(THREADS) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))

bench-compare: install  ## BASE=json [NEW=json]: ratios with spreads; NEW is the newest result of the same scale
	$(BIN)/python -m benchmarks compare $(BASE) $(NEW)

certificate: install  ## [RUN=@candidate] OUT=json: a certified run's verdicts, and all decisions that led to it
	$(BIN)/python -m benchmarks certificate $(RUN) --out $(OUT)

shape: install  ## [JSON=1]: size of the checkout, import cycles, upward imports, names defined in several modules
	@$(BIN)/python -m benchmarks shape $(if $(JSON),--json)

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
