# The whole development manual: `make setup`, `make demo`, `make test`; for the image `make image`, `make image-test`,
# `make release`.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TRAIN_STAMP := $(VENV)/.installed-train
# Only llama.cpp's core is compiled, in several variants of its CPU backend: docs/adr/0001 and 0007.
export CMAKE_ARGS := -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE=$(CURDIR)/requirements/llama.cmake \
  -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON \
  -DCMAKE_INSTALL_BINDIR=llama_cpp/lib -DCMAKE_INSTALL_LIBDIR=llama_cpp/lib

ARCH ?= amd64
BASE ?= docker.io/library/debian:bookworm-slim
ENGINE ?= $(shell command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1 && echo docker || echo podman)
# Rootful podman in a machine without its own cgroups needs these (Docker takes neither).
BUILD_FLAGS ?= $(if $(findstring podman,$(ENGINE)),--isolation=chroot --pull=missing --format docker --timestamp $(EPOCH))
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' mlb_offline/__init__.py)
REVISION = $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
EPOCH = $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
IMAGE ?= localhost/mlb-offline:$(VERSION)
RELEASE ?= build/release/mlb-offline-$(VERSION)-$(ARCH)
MEDIA_MB ?= 4000
WHEELHOUSE := build/wheelhouse/$(ARCH)
TINY := build/image/models/mlb-tiny-random.gguf

.PHONY: setup train-setup demo starter test lint types unit bench lock docs wheelhouse image image-test release llama clean

setup: $(STAMP)

$(STAMP): requirements/build.txt requirements/dev.txt requirements/llama.cmake pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	cmp -s requirements/llama.cmake $(VENV)/lib/python3*/site-packages/llama_cpp/lib/recipe.cmake || $(MAKE) llama
	touch $@

# What trains judges, and what tests that; the evaluator and the image do without. On Linux PyPI's torch may bring CUDA.
train-setup: $(TRAIN_STAMP)

$(TRAIN_STAMP): $(STAMP) requirements/train.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -c requirements/train.txt --no-build-isolation --editable '.[train]'
	touch $@

# pip's cache can hold a wheel that was compiled otherwise, such as for one machine only: out with it, and compile anew.
llama:
	-$(PY) -m pip cache remove 'llama_cpp_python*'
	mkdir -p build && awk '/^[a-z]/ { on = /^llama-cpp-python==/ } on' requirements/dev.txt > build/llama.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation --no-deps \
	  --force-reinstall -r build/llama.txt

demo: setup
	$(VENV)/bin/mlb-offline demo --out demo-out

# The starter bundle, sealed anew from bundles/src/starter (bundles/README.md).
starter: setup
	$(VENV)/bin/mlb-offline bundle lint bundles/src/starter --against bundles/src/demo
	$(PY) -m mlb_offline.demo.starter

test: lint types unit

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: setup train-setup
	$(VENV)/bin/mypy

unit: setup train-setup
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

wheelhouse: $(WHEELHOUSE)/requirements.txt

$(WHEELHOUSE)/requirements.txt: $(STAMP) requirements/runtime.txt requirements/llama.cmake deploy/wheelhouse.py \
    $(shell git ls-files mlb_offline)
	$(PY) deploy/wheelhouse.py $(WHEELHOUSE)

# The demonstration's model, written here because the image does without the package that writes it.
$(TINY): $(STAMP) mlb_offline/demo/tiny_gguf.py
	mkdir -p $(@D)
	$(PY) -m mlb_offline.demo.tiny_gguf $@

image: wheelhouse $(TINY)
	$(ENGINE) build $(BUILD_FLAGS) $(CACHE) --build-arg BASE=$(BASE) --build-arg ARCH=$(ARCH) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$(REVISION) --build-arg SOURCE_DATE_EPOCH=$(EPOCH) --platform linux/$(ARCH) \
	  $(if $(EXTRA_MODELS),--build-arg EXTRA_MODELS=$(EXTRA_MODELS)) $(if $(EXTRA_BUNDLES),--build-arg EXTRA_BUNDLES=$(EXTRA_BUNDLES)) \
	  --tag $(IMAGE) .

# The engine's global and run flags for machines that need some: MLB_ENGINE, MLB_FLAGS.
image-test: image
	MLB_IMAGE=$(IMAGE) MLB_ENGINE="$(or $(MLB_ENGINE),$(ENGINE))" MLB_FLAGS="$(MLB_FLAGS)" \
	  $(PY) -m pytest tests/image --no-header -s

release: image
	$(PY) deploy/release.py --engine "$(ENGINE)" --image $(IMAGE) --version $(VERSION) --revision $(REVISION) \
	  --arch $(ARCH) --base $(BASE) --epoch $(EPOCH) --media-mb $(MEDIA_MB) --out $(RELEASE) \
	  $(if $(RELEASE_KEY),--key $(RELEASE_KEY))

clean:
	rm -rf build demo-out .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
