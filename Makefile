# Every target makes its own .venv first when it is missing; nothing else has to be run before.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev-demo
BENCH := .venv-bench
READY_BENCH := $(BENCH)/.ready
PYTEST_ARGS ?=
BENCH_ARGS ?=
MATRIX_ARGS ?=
DEMO_OUT ?= demo-out

.PHONY: help setup demo app test check format bench bench-check matrix clean

help:
	@echo "make demo    set up, then turn two real clips into pictures: $(DEMO_OUT)/*/index.html"
	@echo "make app     set up, then open the dashboard on http://127.0.0.1:8501"
	@echo "make test    set up, then run the tests (PYTEST_ARGS='-m \"not slow\"' for the quick ones)"
	@echo "make check   ruff, and mypy --strict on c3d_viz"
	@echo "make bench   compare with other tools, write benchmarks/results.json"
	@echo "make bench-check  has a measured ratio got worse since then?"
	@echo "make matrix  the quick tests on every Python with the lowest and the newest libraries"
	@echo "make format  let ruff tidy the code"
	@echo "make clean   remove what was built, .venv included"

setup: $(READY)

$(READY): pyproject.toml constraints.txt tools/setup_venv.py
	@$(PYTHON) tools/setup_venv.py --venv $(VENV) --extras dev,demo

$(READY_BENCH): $(READY) tools/setup_peers.py
	@$(BIN)/python tools/setup_peers.py --venv $(BENCH)

demo: $(READY)
	$(BIN)/c3d-viz demo -o $(DEMO_OUT) --overwrite

app: $(READY)
	$(BIN)/c3d-viz app

# Two processes of one thread each, then the browser alone: half the time of one after the other.
test: $(READY)
ifdef PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser"
	$(BIN)/python -m pytest -m browser
endif

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict c3d_viz

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_BENCH)
	$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

bench-check: $(READY)
	$(BIN)/python -m benchmarks.check

matrix:
	$(PYTHON) tools/matrix.py $(MATRIX_ARGS)

clean:
	rm -rf $(VENV) $(BENCH) $(DEMO_OUT) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache test-artefacts
