# The commands of this repository. `make` alone lists them.

PYTHON ?= python3
SERVER ?= auto
VENV   := .venv
BIN    := $(VENV)/bin
UV     := UV_PYTHON_DOWNLOADS=never $(BIN)/uv
SYNC   := pip sync --quiet --require-hashes --build-constraints requirements/build.txt

# In CI the skipped tests must be those of the committed list.
PYTEST_FLAGS ?= $(if $(CI),--skips-equal tests/ci-skips.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check environments lock proto bench detection clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(VENV)/stamp ## make .venv with everything, .venv/bin/modelmeter included
	@echo "ready: $(BIN)/modelmeter"

demo: $(VENV)/stamp ## show it: a real model server, real flights, a fault found (SERVER=mlserver|triton|kserve)
	@$(BIN)/modelmeter demo --server $(SERVER)

test: $(VENV)/stamp environments ## everything CI runs: ruff, mypy, pytest with real servers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest $(PYTEST_FLAGS)

check: $(VENV)/stamp ## the quick part: ruff, mypy, and the tests that start nothing real
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not real"

environments: $(VENV)/stamp ## make the environments of the model servers under .cache/envs
	@$(BIN)/python -m sidecar.demo.environment mlserver triton kserve rest

bench: .cache/envs/bench/stamp ## measure what docs/performance.md states (ARGS=… for bench)
	@$(BIN)/python -m bench $(ARGS)

detection: $(VENV)/stamp ## measure what docs/detection.md states (ARGS=--quick: seven minutes)
	@$(BIN)/python -m bench.detection $(ARGS)

lock: $(VENV)/stamp ## write requirements/*.txt anew from requirements/*.in and pyproject.toml
	@requirements/lock

proto: $(VENV)/stamp ## write sidecar/decode/proto/*_pb2.py anew from the .proto files beside them
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. sidecar/decode/proto/*.proto

clean: ## remove what these commands made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

# uv installs the rest; it comes by pip from a file with hashes, as everything does.
$(BIN)/uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	  "modelmeter needs Python 3.11 or later; this one is " + sys.version.split()[0] + ". Try: make setup PYTHON=python3.12")'
	@echo "making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/stamp: $(BIN)/uv requirements/development.txt requirements/build.txt pyproject.toml
	@echo "installing into $(VENV) …"
	@$(UV) $(SYNC) --python $(VENV) requirements/development.txt
	@$(UV) pip install --quiet --python $(VENV) --no-deps --build-constraints requirements/build.txt --editable .
	@touch $@

.cache/envs/bench/stamp: $(VENV)/stamp requirements/bench.txt
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) $(SYNC) --python $(@D) requirements/bench.txt
	@touch $@
