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

.PHONY: setup lock demo test test-older test-lowest lint bench docs page page-static e2e wheel sdist release test-gpu

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
	$(LOCKED) "torch==$(TORCH)" --editable ".[lab,tables,tune,app,telemetry,ssl,hub,tensorboard,dev]"
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

test-gpu: .venv/lab.stamp  ## what needs an NVIDIA GPU: precision, determinism, memory, a step of every system, several devices
	$(BIN)/python -m pytest -m gpu tests/training/test_gpu.py

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

# Time of all files in the wheel: the last commit's, or without git the changelog's.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2> /dev/null \
  || $(PYTHON) -c "import os; print(int(os.path.getmtime('CHANGELOG.md')))")
INSTALLED := .venv-release/installed/bin/python

# The wheel is built from the sdist and from this tree, and both must be equal to the last bit. The list of parts (SBOM)
# is that of the server: what the Docker image installs by hash.
release: .venv/lab.stamp  ## wheel, sdist, SBOM (CycloneDX) and SHA256SUMS, into dist/
	rm -rf dist build .venv-release
	if command -v npm > /dev/null; then $(MAKE) page; fi
	umask 022 && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(BIN)/python -m build --outdir dist
	umask 022 && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(BIN)/python -m build --wheel --outdir dist/again
	cmp dist/*.whl dist/again/*.whl
	rm -r dist/again
	$(PYTHON) -m venv --without-pip .venv-release/installed
	$(BIN)/python -m pip --python $(INSTALLED) install --quiet --require-hashes --requirement requirements/app.txt
	$(BIN)/python -m pip --python $(INSTALLED) install --quiet --no-deps dist/*.whl
	$(PYTHON) -m venv .venv-release/tools
	.venv-release/tools/bin/python -m pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7.2,<8"
	.venv-release/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file "$$(ls dist/*.whl | sed 's/-py3.*/.cdx.json/')" $(INSTALLED)
	cd dist && $(abspath $(BIN))/python -c "import hashlib, pathlib; [print(hashlib.sha256(p.read_bytes()).hexdigest(), p, sep='  ') for p in sorted(pathlib.Path().iterdir())]" > ../SHA256SUMS
	mv SHA256SUMS dist/
	@echo "serkit: dist/ is what to publish; check a download with: sha256sum --check SHA256SUMS"
