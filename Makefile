# Needs Python 3.11 or newer and make. `make setup` makes .venv here; nothing is installed elsewhere.
PYTHON ?= python3
TORCH ?= 2.13.0

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.PHONY: setup demo test lint bench docs wheel

setup: .venv/lab.stamp  ## everything: train, test, export

.venv/core.stamp: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# Without an NVIDIA card the CPU build of torch is enough; where pip knows no such build, the common one does.
.venv/lab.stamp: .venv/core.stamp
	command -v nvidia-smi > /dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$(TORCH)+cpu" 2> /dev/null \
	  || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$(TORCH)" --editable ".[lab,tune,app,dev]"
	touch $@

demo: .venv/core.stamp  ## recognise made-up clips, and AUDIO=file, folder or pattern
	$(BIN)/python examples/demo.py $(AUDIO)

test: .venv/lab.stamp  ## all tests; SERKIT_CORPORA=folder adds the real recordings
	$(BIN)/python -m pytest --numprocesses auto

lint: .venv/lab.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/lab.stamp  ## speed and memory, as ratios
	$(BIN)/python benchmarks/run.py

docs: .venv/lab.stamp  ## API reference in site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pdoc>=15"
	$(BIN)/pdoc serkit --output-directory site

wheel: .venv/lab.stamp
	$(BIN)/python -m build --wheel
