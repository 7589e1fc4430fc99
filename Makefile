# The developer's whole interface. Every target installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
TESTS_AT_ONCE ?= 2
export BENTOML_DO_NOT_TRACK ?= True
export BENTOML_CONFIG ?= $(CURDIR)/configuration.yaml

.DEFAULT_GOAL := help
.PHONY: help install demo test test-extras fuzz tools audit check serve eval-demo train-demo bench-quick lock bento clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/runtime  ## create .venv from the hash-checked lock file

demo: .venv/runtime  ## start the service with the embedded model, transcribe samples/, stop
	@$(BIN)/python -m scripts.demo

test: .venv/dev  ## run every test, with coverage
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(TESTS_AT_ONCE) --dist loadfile
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-extras: .venv/dev  ## install what a few tests need beside: torch, the vocabulary of openai-whisper
	@# Without hashes: torch is a build for the CPU on some indexes and for CUDA on others.
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps openai-whisper==20250625

fuzz: .venv/dev  ## try properties with many examples; FUZZ_SECONDS (60) of hostile uploads and containers
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(BIN)/python -m pytest -q tests/fuzz --timeout 0
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -m hypothesis tests/unit --timeout 0

tools: .venv/bin/promtool  ## get what some tests need from Debian's packages (as root)
	@command -v redis-server >/dev/null || scripts/get_packages.sh redis-server
	@command -v chromium >/dev/null || scripts/get_packages.sh chromium fonts-liberation
	@/usr/bin/python3 -c 'import swift' 2>/dev/null || scripts/get_packages.sh python3-swift
	@$(MAKE) --no-print-directory .venv/bin/render_chart

audit: .venv/dev  ## known weaknesses and licences of everything that is served
	@$(BIN)/python -m scripts.audit
	@$(BIN)/python -m scripts.licences

check: .venv/dev  ## ruff and strict mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

serve: .venv/runtime  ## serve on PORT (3000) with WHISPER_MODEL (base, fetched on first start)
	@$(BIN)/python -m scripts.download_models --if-missing
	@$(BIN)/bentoml serve service:TranscriptionService

eval-demo: .venv/dev  ## measure the embedded model on fresh synthetic speech, write its card
	@$(BIN)/python -m models.training.evaluate

bench-quick: .venv/dev  ## show in minutes that the benchmark works; docs/PERFORMANCE.md has the real one
	@$(BIN)/python -m benchmarks.benchmark --quick

train-demo: .venv/dev  ## train the embedded model again, resumable, about 75 minutes on two cores
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[train]'
	@# Features are made beside the training: a second pool of BLAS threads would only fight for the cores.
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m models.training.train

bento: .venv/runtime  ## package the service as a Bento
	@$(BIN)/bentoml build

lock: .venv/dev  ## resolve pyproject.toml into the two lock files again
	@$(BIN)/python -m scripts.lock

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/runtime: requirements.lock | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@# The command `transcribe`, as a link to this folder; everything that it needs is there already.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/promtool: | .venv/bin/python
	@scripts/get_promtool.sh $(CURDIR)/.venv/bin

.venv/bin/render_chart: scripts/render_chart/main.go | .venv/bin/python
	@scripts/get_render_chart.sh $(CURDIR)/.venv/bin

.venv/dev: requirements-dev.lock .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
