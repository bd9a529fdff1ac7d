# Penfold: `make run` for a mail host on loopback, `make test` for everything that must hold.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
N      ?= 500
T      ?= 60

.PHONY: run test check lint unit system interop torture bench fuzz docs clean peers format

$(VENV)/.ready: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Penfold needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Penfold needs Python 3.11 or newer; $(PYTHON) is older"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/.ready
	$(BIN)/penfold demo

test: $(VENV)/.ready
	@tools/peers.sh
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not slow'
	$(BIN)/python -m pytest -m slow -n 2 --dist loadgroup -p no:randomly

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/rfcmap.py --check
	$(BIN)/python tools/gendocs.py --check

format: $(VENV)/.ready
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

torture: $(VENV)/.ready
	$(BIN)/python -m bench.torture --kills $(N)

bench: $(VENV)/.ready
	$(BIN)/python -m bench.all

fuzz: $(VENV)/.ready
	$(BIN)/python -m fuzz.run --seconds $(T)

docs: $(VENV)/.ready
	$(BIN)/python tools/gendocs.py
	$(BIN)/python tools/rfcmap.py --write

clean:
	rm -rf $(VENV) var build dist
