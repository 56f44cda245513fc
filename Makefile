# Two commands: `make reproduce` computes the main results, `make test` proves the library.
# Both make their own virtual environment, so they work where the system's pip refuses to install.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: reproduce test processors docs lint format notebooks clean
.DEFAULT_GOAL := help

help: ## Say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

reproduce: $(VENV)/.installed-repro ## Install, then compute the quick form of every result
	$(BIN)/ntklab reproduce --quick $(ARGS)

test: $(VENV)/.installed-test ## Install with the test extra, then lint, type-check and test
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

# What MKL (torch), OpenBLAS (numpy, scipy), torch's own loops and numba are told to take for the
# processor: an old one on one thread, then one of AMD's on two. On x86-64 alone.
OLD := MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem ATEN_CPU_CAPABILITY=default \
	NUMBA_CPU_NAME=generic OMP_NUM_THREADS=1
AMD := MKL_CBWR=AVX2 OPENBLAS_CORETYPE=Zen ATEN_CPU_CAPABILITY=avx2 \
	NUMBA_CPU_NAME=znver3 OMP_NUM_THREADS=2

processors: $(VENV)/.installed-test ## Test as other processors round (ARGS="tests/spectra" for some)
	$(OLD) $(BIN)/python -m pytest $(ARGS)
	$(AMD) $(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-test ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs ## Build the pages and the reference into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

format: $(VENV)/.installed-test ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/.installed-test ## Run every notebook from its text twin (ARGS="02 05" for some)
	$(BIN)/python notebooks/build.py $(ARGS)

clean: ## Remove the virtual environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp a choice of extras: installing again is needed only after pyproject.toml has changed.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@touch $@
