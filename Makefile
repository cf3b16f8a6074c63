# The whole development manual: `make setup`, `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Only llama.cpp's core is compiled, in several variants of its CPU backend: docs/adr/0001 and 0007.
export CMAKE_ARGS := -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE=$(CURDIR)/requirements/llama.cmake \
  -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON \
  -DCMAKE_INSTALL_BINDIR=llama_cpp/lib -DCMAKE_INSTALL_LIBDIR=llama_cpp/lib

.PHONY: setup demo test lint types unit bench lock docs clean

setup: $(STAMP)

$(STAMP): requirements/build.txt requirements/dev.txt requirements/llama.cmake pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(VENV)/bin/mlb-offline demo --out demo-out

test: lint types unit

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: setup
	$(VENV)/bin/mypy

unit: setup
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n auto
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

bench: setup
	$(PY) -m bench.run_throughput

docs: setup
	$(PY) -m mlb_offline.cli.reference > docs/cli.md

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes -o requirements/build.txt requirements/build.in
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes -o requirements/runtime.txt pyproject.toml
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --extra demo --extra dev -c requirements/runtime.txt -o requirements/dev.txt pyproject.toml

clean:
	rm -rf build demo-out .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
