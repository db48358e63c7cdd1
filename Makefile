# make lab    open the start page in JupyterLab
# make class  serve the pages without code for a class (CLASS="--Voila.ip=0.0.0.0" to others as well)
# make test   everything that continuous integration checks
# make wheel  the wheel, built, installed outside the checkout without extras, and used there
# make crystals   GPAW, the optional engine for layers and spin-orbit coupling (Debian, Ubuntu)
# All make .venv and install into it first, and again only when pyproject.toml has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: lab class test check unit notebooks browser wheel crystals clean

lab: $(VENV)/installed-lab
	$(BIN)/python -m workbench lab

class: $(VENV)/installed-lab
	$(BIN)/python -m workbench class $(CLASS)

test: check unit notebooks browser

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/nbstripout --verify notebooks/*.ipynb

unit: $(VENV)/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) tests --ignore=tests/browser
	$(ONE_THREAD) $(BIN)/pytest --doctest-modules workbench

notebooks: $(VENV)/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --nbmake --nbmake-timeout=120 notebooks

browser: $(VENV)/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/browser

wheel: $(VENV)/installed-dev
	BIN=$(CURDIR)/$(BIN) tests/installed_wheel.sh

# GPAW compiles against two libraries of the system, which its settings file names.
crystals: $(VENV)/installed-lab
	dpkg -s libxc-dev libopenblas-dev > /dev/null 2>&1 || \
		$(SUDO) apt-get install -y --no-install-recommends libxc-dev libopenblas-dev gcc
	printf "mpi = False\ncompiler = 'gcc'\nlibraries = ['xc', 'openblas']\n" > $(VENV)/gpaw.py
	GPAW_CONFIG=$(CURDIR)/$(VENV)/gpaw.py $(BIN)/python -m pip install --quiet 'gpaw>=26,<27'

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# One call of pip, so that it resolves PyTorch together with everything that depends on it.
$(VENV)/installed-lab: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[all]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[all,dev]'
	@touch $@ $(VENV)/installed-lab
