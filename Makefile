# Each target works in a fresh clone. The logic is in Snakefile and src/advgen.
PYTHON ?= python3
STUDY ?= config/config.yaml
ARGS ?=
BIN := .venv/bin
SHELL := bash
INSTALL := $(BIN)/pip install --disable-pip-version-check --no-deps
# hides pip's warnings about the machine; its progress and its errors stay visible
HIDE_WARNINGS := 2> >(grep -v '^WARNING: ' >&2)
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --custom-compile-command 'make lock' \
	pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test mutants stale-test slurm-test kill-test gpu-test browser-test container-test bench check docs docs-site lock clean \
	help

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(BIN)/.run  ## install, then run the study: make run, or make run STUDY=my.yaml
	gpus=$$(python -c 'from advgen.io.devices import slots; print(len(slots()))'); \
	snakemake --cores all $$([ $$gpus -gt 0 ] && echo --resources gpu=$$gpus) $(ARGS) --config study=$(STUDY)

test: $(BIN)/.test  ## install, then run all tests
	python -m pytest -n 3 --dist loadgroup $(ARGS)  # three processes on two cores, because some tests wait for subprocesses

mutants: $(BIN)/.test  ## inject small faults: do the tests notice? (an hour at most)
	python tests/mutants/run.py $(ARGS)

stale-test: $(BIN)/.test  ## inject small faults: is every job whose result changes stale? (half an hour)
	python tests/mutants/stale.py $(ARGS)

slurm-test: $(BIN)/.test  ## run a study with faults on a local SLURM (root and apt; ten minutes)
	tests/slurm/install.sh
	python -m pytest tests/slurm $(ARGS)

kill-test: $(BIN)/.test  ## kill a study at 30 random moments (half an hour)
	python -m pytest tests/kill $(ARGS)

gpu-test: $(BIN)/.test  ## compare a GPU with a CPU and update docs/gpu.md (ten minutes at most)
	python -m tests.on_a_gpu.run $(ARGS)

browser-test: $(BIN)/.test  ## test the pages in headless Chromium: accessibility, small screens, dark mode, print (a minute)
	python -m pytest tests/browser $(ARGS)

container-test: $(BIN)/.test  ## run the Dockerfile's steps in a fresh Debian (root, 20 GB, ten minutes)
	python -m pytest tests/container $(ARGS)

bench: $(BIN)/.test  ## compare speed with other libraries: CV, large studies (ARGS="200 10000"), attacks, GANs (half an hour)
	python benchmarks/cv.py
	python benchmarks/scale.py $(ARGS)
	snakemake --cores all results/classifiers/cnn/seed0/classifier.safetensors \
	    results/classifiers/fc100/seed0/classifier.safetensors results/gans/dcgan/seed0/generator.safetensors
	python benchmarks/attacks.py
	python benchmarks/generative.py

check: $(BIN)/.test  ## check style, types, imports, generated files, size, wording and Snakemake's lint
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	snakefmt --check Snakefile workflow
	python -m tools.docs --check
	python -m tools.size
	python -m tools.prose
	python -m tools.names
	python tests/lint.py

docs: $(BIN)/.test  ## generate pages from the code: config keys, rules, results, costs on a GPU
	python -m tools.docs
	python -m tests.gpu.costs

docs-site: $(BIN)/.test  ## build the documentation: build/site/index.html
	python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/site

lock: $(BIN)/python  ## update requirements*.lock from pyproject.toml (ARGS=--upgrade: to the newest versions)
	$(BIN)/pip install --disable-pip-version-check 'uv>=0.13.9,<0.14'
	$(LOCK) --extra test -o requirements-test.lock $(ARGS)
	$(LOCK) --extra slurm --extra colour -o requirements.lock -c requirements-test.lock $(ARGS)

clean:  ## delete results, but keep downloads and the cache
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name 'datasets*' ! -name cache -exec rm -rf {} +
	mkdir -p results/datasets && find results/datasets -name '*.parquet' -delete

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "advgen needs Python 3.11 or newer; select it with: make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# the lock files contain all packages, so pip resolves nothing
$(BIN)/.run: requirements.lock $(BIN)/python pyproject.toml
	$(INSTALL) --require-hashes -r $< $(HIDE_WARNINGS)
	$(INSTALL) --no-build-isolation -e . $(HIDE_WARNINGS)
	touch $@

$(BIN)/.test: requirements-test.lock $(BIN)/python pyproject.toml
	$(INSTALL) --require-hashes -r $< $(HIDE_WARNINGS)
	$(INSTALL) --no-build-isolation -e . $(HIDE_WARNINGS)
	touch $@ $(BIN)/.run
