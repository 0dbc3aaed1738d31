# Needs Python 3.11 or newer and make. `make setup` makes .venv here; nothing is installed elsewhere.
PYTHON ?= python3
TORCH ?= 2.13.0
# Versions that `make setup` installs; empty: the newest that pyproject.toml allows.
LOCK ?= requirements/all.txt

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Not quiet: shows what it downloads.
LOCKED := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on $(if $(LOCK),--constraint $(LOCK))

.PHONY: setup lock demo test test-older test-lowest lint bench docs page page-static e2e wheel sdist

setup: .venv/lab.stamp  ## everything: train, test, export

.venv/core.stamp: pyproject.toml $(LOCK)
	@echo "serkit: 1 of 3: the environment .venv, and what recognition needs (about 200 MB)"
	$(PYTHON) -m venv .venv
	$(LOCKED) --editable .
	touch $@

# Without an NVIDIA card the CPU build of torch is enough; where pip knows no such build, the common one does.
.venv/lab.stamp: .venv/core.stamp
	@echo "serkit: 2 of 3: torch (about 700 MB installed)"
	command -v nvidia-smi > /dev/null \
	  || $(LOCKED) "torch==$(TORCH)+cpu" 2> /dev/null \
	  || true
	@echo "serkit: 3 of 3: the lab, the server and the tests"
	$(LOCKED) "torch==$(TORCH)" --editable ".[lab,tables,tune,app,ssl,hub,tensorboard,dev]"
	touch $@

# For every Python from 3.11 on and every system; the names of no package index.
RESOLVE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url

lock: .venv/core.stamp  ## newest allowed versions into requirements/
	$(INSTALL) "uv>=0.9"
	echo "torch==$(TORCH)" | $(RESOLVE) --all-extras --no-emit-package torch --output-file requirements/all.txt pyproject.toml -
	$(RESOLVE) --extra app --generate-hashes --constraint requirements/all.txt --output-file requirements/app.txt pyproject.toml

demo: .venv/core.stamp  ## recognise made-up clips, and AUDIO=file, folder or pattern
	$(BIN)/python examples/demo.py $(AUDIO)

test: .venv/lab.stamp  ## all tests; SERKIT_CORPORA=folder adds the real recordings
	$(BIN)/python -m pytest --numprocesses auto

# Without the tests of exported files and of encoders: onnxruntime always takes what the processor has.
test-older: .venv/lab.stamp  ## the tests of numbers again, as a processor without AVX-512 computes
	$(BIN)/python tests/older_processor.py $(BIN)/python -m pytest --numprocesses auto \
	  -k "not onnx and not export and not encoder" tests/features tests/networks \
	  tests/methods tests/evaluation tests/recognition tests/training/test_loop.py tests/training/test_precision.py

# uv resolves to the lowest versions, which pip cannot.
LOWEST := .venv-lowest/bin/python -m uv pip install --quiet --python .venv-lowest/bin/python
test-lowest:  ## core and server with the oldest libraries that pyproject.toml allows, and without the lab
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST) --resolution lowest-direct --editable ".[app]"
	$(LOWEST) pytest pytest-xdist hypothesis httpx2 onnx srt webvtt-py praatio
	.venv-lowest/bin/python -m pytest --numprocesses auto tests/test_audio*.py tests/recognition tests/app \
	  tests/cli/test_predict.py tests/cli/test_stream_command.py tests/cli/test_timelines_command.py tests/cli/test_serve.py

lint: .venv/lab.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/lab.stamp  ## speed and memory, as ratios
	$(BIN)/python benchmarks/run.py

docs: .venv/lab.stamp  ## the documentation site in site/; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --fresh-env --doctree-dir site/.doctrees docs site
	@rm -rf jupyter_execute  # notebooks that myst-nb would have run
	@echo "serkit: open site/index.html"

page/node_modules/.stamp: page/package-lock.json
	cd page && npm ci --silent
	touch $@

page: page/node_modules/.stamp  ## the page of `serkit serve`, into src/serkit/app/page/dist; needs npm
	cd page && npm run --silent build

page-static: page/node_modules/.stamp  ## the page as static files that need no server, into page/build/static; needs npm
	cd page && npm run --silent static

# Debian's Chromium; no browser is downloaded.
CHROMIUM := $(firstword $(shell command -v chromium chromium-browser google-chrome 2> /dev/null))

e2e: .venv/lab.stamp  ## the page in a real Chromium; needs npm and chromium
ifeq ($(shell command -v npm 2> /dev/null),)
	@echo "e2e: left out, there is no npm"
else ifeq ($(CHROMIUM),)
	@echo "e2e: left out, there is no chromium"
else
	$(MAKE) page page-static
	cd page && npm run --silent check && npm test --silent
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "playwright>=1.55"
	CHROMIUM=$(CHROMIUM) $(BIN)/python -m pytest page/e2e
endif

# With the page where there is npm; without it the server says how to build it.
wheel: .venv/lab.stamp
	if command -v npm > /dev/null; then $(MAKE) page; fi
	$(BIN)/python -m build --wheel

sdist: .venv/lab.stamp  ## everything that is needed to build, test and change it
	$(BIN)/python -m build --sdist
