# All commands of a developer. Every target installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
TESTS_AT_ONCE ?= 3
# In the order of tests/conftest.py, which has the slow files first.
PYTEST = -m pytest --numprocesses $(TESTS_AT_ONCE) --no-loadscope-reorder
export BENTOML_DO_NOT_TRACK ?= True
export BENTOML_CONFIG ?= $(CURDIR)/configuration.yaml
# Images and some machines set it. The tests start dozens of services from this tree, and each would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo image-test test coverage test-extras fuzz tools audit check serve eval-demo train-demo bench-quick lock bento clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/runtime  ## create .venv from the hash-checked lock file

demo: .venv/runtime  ## start the service with MODEL (base; offline: the embedded one), transcribe samples/, stop it
	@$(BIN)/python -m scripts.demo $(if $(MODEL),--model '$(MODEL)')

test: .venv/dev  ## run every test
	$(BIN)/python $(PYTEST)

coverage: .venv/dev  ## as test, a fifth slower, and fail below 85 % of the lines and branches
	@$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-extras: .venv/dev  ## install what a few more tests need: torch, the vocabulary of openai-whisper, two released models
	@# Without hashes: depending on the index, torch is a build for CPU or for CUDA.
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps openai-whisper==20250625
	@$(BIN)/python -m scripts.download_models --if-missing --model base --model tiny.en

fuzz: .venv/dev  ## try properties with many examples; FUZZ_SECONDS (60) of hostile uploads and containers
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(BIN)/python -m pytest -q tests/fuzz --timeout 0
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -m hypothesis tests/unit --timeout 0
	@# More than 3,000 requests by schema.
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q tests/integration/test_contract.py --timeout 0

tools: .venv/bin/prometheus  ## install the Debian and npm packages that some tests need (as root)
	@command -v redis-server >/dev/null || scripts/get_packages.sh redis-server
	@command -v chromium >/dev/null || scripts/get_packages.sh chromium fonts-liberation
	@/usr/bin/python3 -c 'import swift' 2>/dev/null || scripts/get_packages.sh python3-swift
	@command -v ip >/dev/null || scripts/get_packages.sh iproute2
	@command -v npm >/dev/null || scripts/get_packages.sh nodejs npm
	@$(MAKE) --no-print-directory .venv/typescript/node_modules .venv/voice_agents/installed

audit: .venv/dev  ## check the deployed packages for vulnerabilities and licences
	@$(BIN)/python -m scripts.audit
	@$(BIN)/python -m scripts.licences

check: .venv/dev  ## ruff, import rules, file and class sizes, strict mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/python -m scripts.check_sizes
	@$(BIN)/mypy

serve: .venv/runtime  ## serve on PORT (3000) with WHISPER_MODEL (base, downloaded on first start)
	@$(BIN)/python -m scripts.download_models --if-missing
	@$(BIN)/bentoml serve service:TranscriptionService

eval-demo: .venv/dev  ## evaluate the embedded model on new synthetic speech and write its model card
	@$(BIN)/python -m models.training.evaluate

bench-quick: .venv/dev  ## a benchmark of a few minutes, as a test of itself; see docs/PERFORMANCE.md
	@$(BIN)/python -m benchmarks.benchmark --quick

evaluate: .venv/dev  ## errors of the transcripts on the recordings in DATA, with MODEL (base); see docs/ACCURACY.md
	@$(BIN)/python -m benchmarks.evaluate --model $${MODEL:-base} $(if $(DATA),--data $(DATA)) $(OPTIONS)

train-demo: .venv/dev  ## train the embedded model again: resumable, about 75 minutes on two cores
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[train]'
	@# Features are computed in parallel with training: BLAS threads would compete with it for the cores.
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m models.training.train

image-test: .venv/runtime  ## build the image without Docker, run it hardened, stop it with a job (as root)
	@scripts/image_test.sh

bento: .venv/runtime  ## build the Bento
	@$(BIN)/bentoml build

lock: .venv/dev  ## resolve pyproject.toml into the two lock files
	@$(BIN)/python -m scripts.lock

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Of the pinned tools, the one that installs all others: in seconds, where pip takes minutes.
.venv/bin/uv: | .venv/bin/python
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > .venv/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock

# $(1): the folder of a Python. $(2): a lock file. Where uv cannot, pip may: it knows the indexes of this machine.
define install_lock
	$(BIN)/uv pip install --quiet --python $(1)/python --compile-bytecode --require-hashes -r $(2) || \
		$(1)/pip install --quiet --disable-pip-version-check --require-hashes -r $(2)
endef

.venv/runtime: requirements.lock | .venv/bin/uv
	$(call install_lock,$(BIN),requirements.lock)
	@# The command `transcribe`, as a link to this folder; its dependencies are installed already.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/prometheus: | .venv/bin/python
	@scripts/get_prometheus.sh $(CURDIR)/.venv/bin

.venv/typescript/node_modules: tests/support/typescript/package-lock.json | .venv/bin/python
	@mkdir -p $(@D)
	@cp tests/support/typescript/package.json tests/support/typescript/package-lock.json $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --loglevel error
	@touch $@

# LiveKit and Pipecat need other versions of what is in .venv.
.venv/voice_agents/installed: tests/support/voice_agents/requirements.lock | .venv/bin/uv
	$(PYTHON) -m venv $(@D)
	$(call install_lock,$(@D)/bin,$<)
	@touch $@

.venv/dev: requirements-dev.lock .venv/runtime
	$(call install_lock,$(BIN),requirements-dev.lock)
	@touch $@
