# Every command of this project, each from nothing: a target makes the virtual environment it
# needs with plain pip, installs only the extras it needs, and does so again only when
# pyproject.toml or constraints.txt changed.
#
#   make demo       the notebook of examples/08_notebook, run in the terminal, as a page of HTML
#   make notebook   the same notebook in JupyterLab                ARGS=--no-browser
#   make tour       what the nodes, processes and pools of beampy do: examples/tour.py
#   make test       the quick tests (what is not marked slow)      ARGS="-k name -x"
#   make test-all   every test, with ten minutes of random kills for the pool   BEAMPY_SOAK_SECONDS=20
#   make polars-tests   bring polars' own tests from PyPI, for `make test`
#   make check      formatting, lint, types
#   make format     repair what `make check` says of formatting and lint, where a tool can
#   make bench      the benchmarks                                 ARGS=--smoke
#   make clean      remove the environment and the caches
#
# Another Python, beside the first:  make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

PY  := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input

EXTRAS_demo     := examples,notebook
EXTRAS_notebook := examples,notebook,lab
EXTRAS_tour     := examples
EXTRAS_test     := examples,notebook,test
EXTRAS_test-all := examples,notebook,test,browser
EXTRAS_check    := examples,notebook,test,check

EXAMPLE := examples/08_notebook

# The trees that the checkers read: those that hold Python files.
CODE := $(foreach d,beampy nodes examples benchmarks tests/typing,$(if $(shell find $(d) -name '*.py' 2>/dev/null | head -n 1),$(d)))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo notebook tour test test-all chromium polars-tests check check-format check-lint check-mypy check-pyright format \
	bench clean

help:
	@sed -n '5,16s/^#//p' Makefile

demo: $(VENV)/.installed-demo
	@$(PY) $(EXAMPLE)/demo.py $(ARGS)

# On this machine only; it prints its address, with the token that opens it. Ctrl-C ends it, and the cluster with it.
notebook: $(VENV)/.installed-notebook
	@$(PY) -m jupyterlab --ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS) $(EXAMPLE)/delays.ipynb

tour: $(VENV)/.installed-tour
	@$(PY) examples/tour.py $(ARGS)

test: $(VENV)/.installed-test
	@$(PY) -m pytest -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test-all chromium
	@$(PY) tests/polars/fetch.py
	@BEAMPY_SOAK_SECONDS=$${BEAMPY_SOAK_SECONDS:-600} $(PY) -m pytest $(ARGS)

# The browser that notebooks are tested in. Where it cannot be installed those tests skip, and say so.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "installing chromium"; \
	        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
	        || echo "chromium cannot be installed here"; \
	    fi; }

# For tests/polars, which skip without them, and say so. Where they cannot be had that is said, and is no failure.
polars-tests: $(VENV)/.installed-test
	@$(PY) tests/polars/fetch.py

# One target for each checker, so that `make --keep-going check` hears them all.
check: check-format check-lint check-mypy check-pyright

check-format: $(VENV)/.installed-check
	$(PY) -m ruff format --check .

check-lint: $(VENV)/.installed-check
	$(PY) -m ruff check .

check-mypy: $(VENV)/.installed-check
	$(PY) -m mypy --strict $(CODE)

check-pyright: $(VENV)/.installed-check
	$(PY) -m pyright --pythonpath $(PY) $(CODE)

format: $(VENV)/.installed-check
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/.installed-bench
	@command -v erl >/dev/null || echo "bench: no Erlang here (erl): its rows are left out"
	@$(PY) -m benchmarks.run $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# --- environments ---------------------------------------------------------------------------

INSTALLED := $(foreach target,demo notebook tour test test-all check,$(VENV)/.installed-$(target))
$(INSTALLED): $(VENV)/.installed-%: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing beampy[$(EXTRAS_$*)] into $(VENV)"
	@$(PIP) install -qq --constraint constraints.txt --editable '.[$(EXTRAS_$*)]'
	@touch $@

# The peers to compare with are guests: one that cannot be installed here only loses its rows.
$(VENV)/.installed-bench: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing beampy and the peers of its benchmarks into $(VENV)"
	@$(PIP) install -qq --constraint constraints.txt --editable .
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' \
	| while read -r peer; do \
	    $(PIP) install -qq --constraint constraints.txt "$$peer" </dev/null \
	    || echo "bench: $$peer cannot be installed here: its rows are left out"; \
	done
	@touch $@

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "There is no $(PYTHON) here. Name a Python >= 3.11:  make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "beampy needs Python >= 3.11, and $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	    echo "Name another one:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    apt="apt-get install -y $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "$(PYTHON) cannot make environments: $$apt"; \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$apt -qq; \
	    else \
	        echo "$(PYTHON) cannot make environments (no ensurepip). On Debian or Ubuntu:  sudo $$apt" >&2; exit 1; \
	    fi; }
	@echo "making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
