# Sets up what it needs, then does it. `make help` lists the targets.
#
#   PYTHON   the Python that makes the environment, 3.11 or later      [python3]
#   JAX      the lock of the environment: cpu, cuda12 or cuda13        [cpu]
#   CORES    cores for the workflow                                    [all]
#   TEST_WORKERS   processes for the tests                             [2]
#   PRESET   whose report or archive is made: smoke, laptop or paper   [smoke]
#   BUNDLE, INTO, CELL   an archive, a new folder to unpack it to, a cell to train again
#   BENCH    options of `make bench`, as in benchmarks/README.md       []
#   W2BENCHMARK_MIRROR (environment)   a folder that holds Mix3toMix10/*.pt, if there is one

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
JAX ?= cpu
TEST_WORKERS ?= 2
CORES ?= $(shell nproc 2>/dev/null || echo 2)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(JAX)
RULES := Snakefile rules

PRESET ?= smoke
CRATE_VENV := .venv-crate
CRATE_READY := $(CRATE_VENV)/.ready

BENCH ?=
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
BENCH_RECORD ?= benchmarks/results/latest.json
BENCH_DOCUMENT ?= docs/performance.md
BENCH_PYTHON := PYTHONPATH=src:. $(BENCH_VENV)/bin/python

# Compiled programs outlive the jobs that compiled them.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What a shell says of every Python, and of where pip installs, is not for this environment.
unexport PYTHONHOME PYTHONINSPECT PYTHONOPTIMIZE PYTHONSTARTUP PYTHONWARNINGS
unexport PIP_PREFIX PIP_TARGET PIP_USER

SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) --show-failed-logs --quiet host reason

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# ---------------------------------------------------------------- the evaluation

.PHONY: smoke laptop paper-dry-run
smoke: $(READY) ## the evaluation at a tiny budget, to runs/smoke/evaluation.pdf
	@$(call evaluate,smoke)

laptop: $(READY) ## n = 2, 4, 8, all methods, under two hours on 2 cores
	@$(call evaluate,laptop)

paper-dry-run: $(READY) ## what the paper's settings would run
	@$(BIN)/snakemake --dry-run --quiet rules

# Everything of the preset $(1), or everything but the PDF where TeX is neither there nor installable.
define evaluate
	code=0; scripts/install_tex.sh || code=$$?; \
	case $$code in \
	    0) target=all ;; \
	    3) target=everything_but_pdf ;; \
	    *) exit $$code ;; \
	esac; \
	$(SNAKEMAKE) --configfile presets/$(1).yaml -- $$target; \
	if [ $$target = all ]; then \
	    echo "The evaluation: runs/$(1)/evaluation.pdf  (tables: runs/$(1)/tables, figures: runs/$(1)/figures)"; \
	else \
	    echo "Tables are in runs/$(1)/tables, figures in runs/$(1)/figures."; \
	    echo "There is NO evaluation.pdf, since TeX is missing (see above). With it, run \`make $(1)\` again."; \
	fi
endef

# ---------------------------------------------------------------- for reviewers

PRESET_FILE = $(if $(filter paper,$(PRESET)),,--configfile presets/$(PRESET).yaml)
PRESET_FOLDER = $(if $(filter paper,$(PRESET)),.,runs/$(PRESET))

.PHONY: html bundle bundle-crate verify unpack rebuild retrain
html: $(READY) ## report.html of PRESET: one page that works offline
	@$(BIN)/snakemake $(PRESET_FILE) --report report.html \
	    --report-stylesheet $(CURDIR)/rules/report.css -- all
	@echo "The report: $(PRESET_FOLDER)/report.html"

bundle: $(READY) ## the archive of PRESET for reviewers, bundle.zip; trains what is missing
	@$(SNAKEMAKE) $(PRESET_FILE) -- bundle
	@echo "The archive: $(PRESET_FOLDER)/bundle.zip"

bundle-crate: $(CRATE_READY) ## is BUNDLE a Workflow Run RO-Crate? by roc-validator, without a network
	@$(CRATE_VENV)/bin/python scripts/validate_crate.py $(BUNDLE)

verify: $(READY) ## check BUNDLE: hashes, crate, tables, a sample of cells; no GPU, no TeX
	@$(BIN)/python -m w2dual verify $(BUNDLE)

unpack: $(READY) ## unpack BUNDLE to the new folder INTO, after checking that it is safe
	@$(BIN)/python -m w2dual unpack $(BUNDLE) --into $(INTO)

rebuild: $(READY) ## in an unpacked archive: all tables and figures again, without training
	@$(BIN)/python -m w2dual rebuild

retrain: $(READY) ## in an unpacked archive: train CELL again and compare its numbers
	@$(BIN)/python -m w2dual retrain $(CELL)

# An environment of its own: roc-validator needs an older rich than flax does.
$(CRATE_READY): envs/crate.txt
	@[ -x $(CRATE_VENV)/bin/python ] || $(PYTHON) -m venv $(CRATE_VENV)
	@$(CRATE_VENV)/bin/python -m pip install --quiet --require-hashes -r envs/crate.txt
	@touch $@

# ---------------------------------------------------------------- checks

.PHONY: test test-slurm test-slurm-smoke kill-test lint format
test: $(READY) $(CRATE_READY) lint ## every check: linters, types, unit and workflow tests
	@scripts/install_tex.sh || [ $$? = 3 ]
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

test-slurm: $(READY) ## the workflow on a real SLURM cluster on this machine, as root; minutes
	@scripts/install_slurm.sh
	$(BIN)/python -m tests.slurm.run

test-slurm-smoke: $(READY) ## `make smoke` on that cluster: the same tables, byte for byte? ~20 min
	@scripts/install_slurm.sh
	@$(MAKE) smoke
	$(BIN)/python -m tests.slurm.smoke --local .

kill-test: $(READY) ## kill a training job 20 times; does it end with the same bits? ~10 min
	$(BIN)/python -m tests.slow.kill --kills 20

lint: $(READY) ## linters, formatters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check $(RULES)
	$(BIN)/pyright
	$(BIN)/snakemake --lint

format: $(READY) ## format Python and rules in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt $(RULES)

# ---------------------------------------------------------------- how fast it is

.PHONY: bench bench-render
bench: $(BENCH_READY) ## times beside other libraries, to docs/performance.md; half an hour on 2 idle cores
	$(BENCH_PYTHON) -m benchmarks.run --out $(BENCH_RECORD) $(BENCH)
	@$(MAKE) bench-render

bench-render: $(BENCH_READY) ## tables and figure of docs/performance.md, from a record
	$(BENCH_PYTHON) -m benchmarks.render $(BENCH_RECORD) --document $(BENCH_DOCUMENT)

# An environment of its own: what the libraries compared with need does not touch the other one.
$(BENCH_READY): envs/bench.txt
	@echo "Setting up $(BENCH_VENV), once; a minute ..."
	@[ -x $(BENCH_VENV)/bin/python ] || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --require-hashes -r envs/bench.txt
	@touch $@

# ---------------------------------------------------------------- the environment

.PHONY: env lock clean
env: $(READY) ## the environment, .venv

# pip, and not uv, so that nothing but Python is needed; every file is checked against its hash.
$(READY): envs/$(JAX).txt envs/tools.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "w2dual needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Set PYTHON=..." >&2; exit 1; }
	@echo "Setting up $(VENV) (JAX for $(JAX)), once; a few minutes ..."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r envs/$(JAX).txt -r envs/tools.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.ready-*
	@touch $@

LOCK := $(BIN)/uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

lock: $(READY) ## pin anew what envs/*.in ask for
	@# cpu.txt first: the others follow its versions.
	@for name in cpu cuda12 cuda13 tools bench crate; do \
	    echo "envs/$$name.in -> envs/$$name.txt"; \
	    (cd envs && ../$(LOCK) $$name.in --output-file $$name.txt); \
	done
	@$(BIN)/python envs/export_conda.py

clean: ## remove what presets made, and caches; keep the environment and the paper's results
	rm -rf runs .cache .pytest_cache .ruff_cache .hypothesis
