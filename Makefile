# The verbs. Each works in a fresh clone. No logic here: see Snakefile and src/advgen.
PYTHON ?= python3
STUDY ?= config/config.yaml
ARGS ?=
BIN := .venv/bin
SHELL := bash
INSTALL := $(BIN)/pip install --disable-pip-version-check --no-deps
# what pip warns of is how this machine is set up; its progress and its errors are shown
UNWARNED := 2> >(grep -v '^WARNING: ' >&2)
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --custom-compile-command 'make lock' \
	pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test mutants stale-test slurm-test kill-test gpu-test browser-test container-test bench check docs docs-site lock clean \
	help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(BIN)/.run  ## set up, then run the study: make run, or make run STUDY=my.yaml
	gpus=$$(python -c 'from advgen.io.devices import slots; print(len(slots()))'); \
	snakemake --cores all $$([ $$gpus -gt 0 ] && echo --resources gpu=$$gpus) $(ARGS) --config study=$(STUDY)

test: $(BIN)/.test  ## set up, then all tests
	python -m pytest -n 3 --dist loadgroup $(ARGS)  # one more than two cores: some wait for what they started

mutants: $(BIN)/.test  ## small faults in attacks, metrics, plan and CV: do the tests notice? (half an hour at most)
	python tests/mutants/run.py $(ARGS)

stale-test: $(BIN)/.test  ## small faults in all of the package: is every job whose result they change stale? (half an hour)
	python tests/mutants/stale.py $(ARGS)

slurm-test: $(BIN)/.test  ## the spine study and its faults on a SLURM started here (root and apt; ten minutes)
	tests/slurm/install.sh
	python -m pytest tests/slurm $(ARGS)

kill-test: $(BIN)/.test  ## the spine study killed at 30 random moments (half an hour)
	python -m pytest tests/kill $(ARGS)

gpu-test: $(BIN)/.test  ## on a GPU what a CPU gives, and how fast; its table goes into docs/gpu.md (ten minutes at most)
	python -m tests.on_a_gpu.run $(ARGS)

browser-test: $(BIN)/.test  ## the pages in headless Chromium: accessible, on a phone, in the dark, printed (a minute)
	python -m pytest tests/browser $(ARGS)

container-test: $(BIN)/.test  ## the Dockerfile's steps in a fresh Debian made by debootstrap (root, 20 GB, ten minutes)
	python -m pytest tests/container $(ARGS)

bench: $(BIN)/.test  ## ours beside what the field uses (half an hour): CV, large studies (ARGS="200 10000"), both labs
	python benchmarks/cv.py
	python benchmarks/scale.py $(ARGS)
	snakemake --cores all results/classifiers/cnn/seed0/classifier.safetensors \
	    results/classifiers/fc100/seed0/classifier.safetensors results/gans/dcgan/seed0/generator.safetensors
	python benchmarks/attacks.py
	python benchmarks/generative.py

check: $(BIN)/.test  ## style, types, imports, generated files, Snakemake's lint
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	snakefmt --check Snakefile workflow
	python -m tools.docs --check
	python -m tools.size
	-python -m tools.prose --count
	python tests/lint.py

docs: $(BIN)/.test  ## write the pages that the code tells again: config keys, rules, results, costs on a GPU
	python -m tools.docs
	python -m tests.gpu.costs

docs-site: $(BIN)/.test  ## the documentation as pages: build/site/index.html
	python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/site

lock: $(BIN)/python  ## write requirements*.lock again from pyproject.toml (ARGS=--upgrade: with the newest versions)
	$(BIN)/pip install --disable-pip-version-check 'uv>=0.13.9,<0.14'
	$(LOCK) --extra test -o requirements-test.lock $(ARGS)
	$(LOCK) --extra slurm --extra colour -o requirements.lock -c requirements-test.lock $(ARGS)

clean:  ## delete results, but not the downloads, nor what is kept so that nothing is computed twice
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name 'datasets*' ! -name cache -exec rm -rf {} +
	mkdir -p results/datasets && find results/datasets -name '*.parquet' -delete

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "advgen needs Python 3.11 or newer; say which: make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# the lock files name every package there is, so that nothing else is looked for
$(BIN)/.run: requirements.lock $(BIN)/python pyproject.toml
	$(INSTALL) --require-hashes -r $< $(UNWARNED)
	$(INSTALL) --no-build-isolation -e . $(UNWARNED)
	touch $@

$(BIN)/.test: requirements-test.lock $(BIN)/python pyproject.toml
	$(INSTALL) --require-hashes -r $< $(UNWARNED)
	$(INSTALL) --no-build-isolation -e . $(UNWARNED)
	touch $@ $(BIN)/.run
