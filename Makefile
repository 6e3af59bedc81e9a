# Every target sets itself up: `make demo` and `make test` need only Python 3.11+, git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_LATENCY_MS ?= 2
# One more than cores, for tests wait half of their time for Ray to start, but at most 4.
TEST_WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + os.cpu_count()))')
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup

.PHONY: demo test test-fast test-all gpu check clean

# The whole of snugnet on scikit-learn's digits: train, search, extract, study, report. It starts from nothing each time.
demo: export OMP_NUM_THREADS = 1
demo: $(READY)
	rm -rf runs/digits runs/digits-subnet
	$(BIN)/snugnet describe experiments/digits.toml
	$(BIN)/snugnet train experiments/digits.toml --run runs/digits
	$(BIN)/snugnet search runs/digits --trials 80
	$(BIN)/snugnet front runs/digits
	$(BIN)/snugnet extract runs/digits --latency-ms $(DEMO_LATENCY_MS) --out runs/digits-subnet
	$(BIN)/snugnet measure runs/digits-subnet --backend onnxruntime
	$(BIN)/snugnet study run experiments/digits.toml --run runs/digits
	$(BIN)/snugnet study fit runs/digits/study --x params --x train_size --y loss_nats --law additive
	$(BIN)/snugnet report runs/digits

test test-fast test-all: export OMP_NUM_THREADS = 1
test: $(READY)
	$(PYTEST) -m "not thorough"

test-fast: $(READY)
	$(PYTEST) -m "not slow and not thorough"

test-all: $(READY)
	$(PYTEST)

# On a machine with a CUDA GPU: the tests that need one, and the figures of the kernels.
gpu: $(READY)
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks.gpu --out benchmarks/results/gpu.parquet

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("snugnet needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	# Compiling all of torch and ray takes longer than unpacking them, and most modules are never imported.
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@
