# The verbs. Each works in a fresh clone. No logic here: see Snakefile and src/advgen.
PYTHON ?= python3
STUDY ?= config/config.yaml
ARGS ?=
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test mutants slurm-test kill-test browser-test bench check docs clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(BIN)/.run  ## set up, then run the study: make run, or make run STUDY=my.yaml
	gpus=$$(python -c 'from advgen.devices import slots; print(len(slots()))'); \
	snakemake --cores all $$([ $$gpus -gt 0 ] && echo --resources gpu=$$gpus) $(ARGS) --config study=$(STUDY)

test: $(BIN)/.test  ## set up, then all tests
	python -m pytest -n 2 --dist loadgroup $(ARGS)

mutants: $(BIN)/.test  ## small faults in attacks, metrics, plan and CV: do the tests notice? (half an hour at most)
	python tests/mutants/run.py $(ARGS)

slurm-test: $(BIN)/.test  ## the spine study and its faults on a SLURM started here (root and apt; ten minutes)
	tests/slurm/install.sh
	python -m pytest tests/slurm $(ARGS)

kill-test: $(BIN)/.test  ## the spine study killed at 30 random moments (half an hour)
	python -m pytest tests/kill $(ARGS)

browser-test: $(BIN)/.test  ## the pages in headless Chromium: accessible, on a phone, in the dark, printed (a minute)
	python -m pytest tests/browser $(ARGS)

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
	python -m advgen config-docs --check
	python tests/lint.py

docs: $(BIN)/.test  ## write config/README.md and config/config.schema.json again
	python -m advgen config-docs

clean:  ## delete results, but not the downloads
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name 'datasets*' -exec rm -rf {} +
	mkdir -p results/datasets && find results/datasets -name '*.parquet' -delete

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "advgen needs Python 3.11 or newer; say which: make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

$(BIN)/.run: $(BIN)/python pyproject.toml
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -e .
	touch $@

$(BIN)/.test: $(BIN)/python pyproject.toml
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -e '.[test]'
	touch $@ $(BIN)/.run
