# Sets up what it needs, then does it. `make help` lists the targets.
#
#   PYTHON   the Python that makes the environment, 3.11 or later      [python3]
#   JAX      the lock of the environment: cpu, cuda12 or cuda13        [cpu]
#   CORES    cores for the workflow                                    [all]
#   TEST_WORKERS   processes for the tests                             [2]
#   PRESET   whose report or archive is made: smoke, laptop or paper   [smoke]
#   BUNDLE, INTO, CELL   an archive, a new folder to unpack it to, a cell to train again
#   BENCH    options of `make bench`, as in benchmarks/README.md       []
#   BENCH_RECORD, BENCH_DOCUMENT   what it records, and the page that gets its tables   [benchmarks/results/latest.json, docs/performance.md]
#   CELLS    cells of `make gpu-count`, such as hd16-mlp-cycle-none     [all of the paper's config]
#   VENV     the folder of the environment                             [.venv]
#   CRATE_VENV, BENCH_VENV, GPU_COUNT_VENV   those of `make test`, `bench` and `gpu-count`   [.venv-crate, .venv-bench, .venv-gpu-count]
#   W2BENCHMARK_MIRROR (environment)   a folder that holds Mix3toMix10/*.pt, and for images CelebA64/*.pt
#
# A value is one word of the commands, exactly as it was given: spaces, quotes, brackets and `$` too.
# BENCH and CELLS alone are several words.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
JAX ?= cpu
TEST_WORKERS ?= 2
ifndef CORES
CORES := $(shell nproc 2>/dev/null || echo 2)
endif

VENV ?= .venv
RULES := Snakefile rules

PRESET ?= smoke
BUNDLE ?=
INTO ?=
CELL ?=
CRATE_VENV ?= .venv-crate

BENCH ?=
BENCH_VENV ?= .venv-bench
GPU_COUNT_VENV ?= .venv-gpu-count
CELLS ?=
BENCH_RECORD ?= benchmarks/results/latest.json
BENCH_DOCUMENT ?= docs/performance.md

# What a variable holds, as one word of a shell: `value` keeps make from expanding a `$` in it.
quote = '$(subst ','\'',$(value $(1)))'
# The same of one that has to be given.
given = $(if $(value $(1)),$(call quote,$(1)),$(error set $(1)=..., as in the first lines of the Makefile))
BIN = $(call quote,VENV)/bin
BENCH_PYTHON = PYTHONPATH=src:. $(call quote,BENCH_VENV)/bin/python
GPU_COUNT_PYTHON = PYTHONPATH=src:. $(call quote,GPU_COUNT_VENV)/bin/python

# Compiled programs outlive the jobs that compiled them.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What a shell says of every Python, and of where pip installs, is not for this environment.
unexport PYTHONHOME PYTHONINSPECT PYTHONOPTIMIZE PYTHONSTARTUP PYTHONWARNINGS
unexport PIP_PREFIX PIP_TARGET PIP_USER

SNAKEMAKE = $(BIN)/snakemake --cores $(call quote,CORES) --show-failed-logs --quiet host reason

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# ---------------------------------------------------------------- the evaluation

.PHONY: smoke laptop paper-budget paper-dry-run
smoke: env ## the evaluation at a tiny budget, to runs/smoke/evaluation.pdf
	@$(call evaluate,smoke)

laptop: env ## n = 2, 4, 8, all methods, two hours and more on 2 cores
	@$(call evaluate,laptop)

paper-budget: env ## cells of n = 2 and 4 at the paper's budget, a seed each; hours, resumes where it stopped
	@cells=$$($(BIN)/python -m benchmarks.paper_budget missing); \
	    [ -z "$$cells" ] || $(SNAKEMAKE) --keep-going --configfile presets/paper_budget.yaml -- \
	    $$(printf 'results/train/%s/metrics.json ' $$cells)
	@$(BIN)/python -m benchmarks.paper_budget keep runs/paper_budget/results/train
	@$(BIN)/python -m benchmarks.paper_budget render

paper-dry-run: env ## what the paper's settings would run
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

ifeq ($(value PRESET),paper)
PRESET_FILE =
PRESET_FOLDER = .
else
PRESET_FILE = --configfile presets/$(call quote,PRESET).yaml
PRESET_FOLDER = runs/$(call quote,PRESET)
endif

.PHONY: html bundle bundle-crate verify unpack rebuild retrain
html: env ## report.html of PRESET: one page that works offline
	@$(BIN)/snakemake $(PRESET_FILE) --report report.html \
	    --report-stylesheet $(call quote,CURDIR)/rules/report.css -- all
	@echo "The report:" $(PRESET_FOLDER)/report.html

bundle: env ## the archive of PRESET for reviewers, bundle.zip; trains what is missing
	@$(SNAKEMAKE) $(PRESET_FILE) -- bundle
	@echo "The archive:" $(PRESET_FOLDER)/bundle.zip

bundle-crate: crate-env ## is BUNDLE a Workflow Run RO-Crate? by roc-validator, without a network
	@$(call quote,CRATE_VENV)/bin/python scripts/validate_crate.py $(call given,BUNDLE)

verify: env ## check BUNDLE: hashes, crate, tables, a sample of cells; no GPU, no TeX
	@$(BIN)/python -m w2dual verify $(call given,BUNDLE)

unpack: env ## unpack BUNDLE to the new folder INTO, after checking that it is safe
	@$(BIN)/python -m w2dual unpack $(call given,BUNDLE) --into $(call given,INTO)

rebuild: env ## in an unpacked archive: all tables and figures again, without training
	@$(BIN)/python -m w2dual rebuild

retrain: env ## in an unpacked archive: train CELL again and compare its numbers
	@$(BIN)/python -m w2dual retrain $(call given,CELL)

# An environment of its own: roc-validator needs an older rich than flax does.
.PHONY: crate-env
crate-env:
	@$(call unless_ready,$(call quote,CRATE_VENV),.ready,envs/crate.txt); \
	[ -x "$$venv/bin/python" ] || $(call quote,PYTHON) -m venv "$$venv"; \
	"$$venv/bin/python" -m pip install --quiet --require-hashes -r envs/crate.txt; \
	touch -- "$$ready"

# ---------------------------------------------------------------- checks

.PHONY: check test test-slurm test-slurm-smoke kill-test lint format
check: env lint ## while you work: linters, types and the unit tests that compile nothing; about a minute
	$(BIN)/python -m pytest -n $(call quote,TEST_WORKERS) --dist loadfile --fast tests/unit

# Linters run beside the tests. What they say comes in one piece: at once where one fails, else last.
test: env crate-env ## every check: linters, types, unit and workflow tests
	@scripts/install_tex.sh || [ $$? = 3 ]
	@said=$$(mktemp); linting=; code=0; \
	trap 'kill $$linting 2>/dev/null || :; rm -f -- "$$said"' EXIT; \
	{ $(MAKE) lint >"$$said" 2>&1 || { printf '\n\n'; cat -- "$$said"; exit 1; }; } & linting=$$!; \
	$(BIN)/python -m pytest -n $(call quote,TEST_WORKERS) --dist loadfile \
	    --no-loadscope-reorder || code=$$?; \
	if wait $$linting; then cat -- "$$said"; \
	else code=1; echo "make lint: FAILED, see above" >&2; fi; \
	exit $$code

test-long: env ## the tests that `make test` leaves out for their time, a few minutes
	$(BIN)/python -m pytest -n $(call quote,TEST_WORKERS) --long

test-slurm: env ## the workflow on a real SLURM cluster on this machine, as root; minutes
	@scripts/install_slurm.sh
	$(BIN)/python -m tests.slurm.run

test-slurm-smoke: env ## `make smoke` on that cluster: the same tables, byte for byte? ~20 min
	@scripts/install_slurm.sh
	@$(MAKE) smoke
	$(BIN)/python -m tests.slurm.smoke --local .

kill-test: env ## kill a training job 20 times; does it end with the same bits? ~10 min
	$(BIN)/python -m tests.slow.kill --kills 20

lint: env ## linters, formatters, types, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check $(RULES)
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright
	$(BIN)/snakemake --lint

format: env ## format Python and rules in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt $(RULES)

# ---------------------------------------------------------------- how fast it is

.PHONY: bench bench-render
bench: bench-env ## times next to other libraries, to docs/performance.md; half an hour on 2 idle cores
	$(BENCH_PYTHON) -m benchmarks.run --out $(call quote,BENCH_RECORD) $(BENCH)
	@$(MAKE) bench-render

bench-render: bench-env ## tables and figure of docs/performance.md, from a record
	$(BENCH_PYTHON) -m benchmarks.render $(call quote,BENCH_RECORD) \
	    --document $(call quote,BENCH_DOCUMENT)

.PHONY: gpu-count gpu-check gpu-tables gpu-count-env
gpu-count: gpu-count-env ## what a step launches on an H100, compiled without one; all cells, or CELLS; resumes
	$(GPU_COUNT_PYTHON) -m benchmarks.gpu_count write $(CELLS)

gpu-check: gpu-count-env ## does any cell of reference/gpu/launches.csv launch more than it did?
	$(GPU_COUNT_PYTHON) -m benchmarks.gpu_count check $(CELLS)

gpu-tables: env ## write the tables of GPUs in docs/performance.md from reference/gpu
	@$(BIN)/python -m benchmarks.gpu_tables

# An environment of its own: XLA for CUDA and ptxas are half a gigabyte.
gpu-count-env:
	@$(call unless_ready,$(call quote,GPU_COUNT_VENV),.ready,envs/gpu_count.txt); \
	echo "Setting up $$venv, once; minutes ..."; \
	[ -x "$$venv/bin/python" ] || $(call quote,PYTHON) -m venv "$$venv"; \
	"$$venv/bin/python" -m pip install --quiet --require-hashes -r envs/gpu_count.txt; \
	touch -- "$$ready"

# An environment of its own: what the libraries compared with need does not touch the other one.
.PHONY: bench-env
bench-env:
	@$(call unless_ready,$(call quote,BENCH_VENV),.ready,envs/bench.txt); \
	echo "Setting up $$venv, once; a minute ..."; \
	[ -x "$$venv/bin/python" ] || $(call quote,PYTHON) -m venv "$$venv"; \
	"$$venv/bin/python" -m pip install --quiet --require-hashes -r envs/bench.txt; \
	touch -- "$$ready"

# ---------------------------------------------------------------- the environment

# Begins a recipe that sets an environment up: ends it where the folder $(1) has the stamp $(2), newer
# than the files $(3). The stamp is no target of make's, whose names cannot have all characters.
define unless_ready
venv=$(1); ready=$$venv/$(2); stale=; \
	for file in $(3); do \
	    [ -e "$$file" ] || { echo "no such file: $$file" >&2; exit 1; }; \
	    [ -e "$$ready" ] && [ ! "$$file" -nt "$$ready" ] || stale=yes; \
	done; \
	[ -n "$$stale" ] || exit 0
endef

LOCKED = envs/$(call quote,JAX).txt

.PHONY: env lock clean
# pip, and not uv, so that nothing but Python is needed; every file is checked against its hash.
env: ## the environment, .venv
	@$(call unless_ready,$(call quote,VENV),.ready-$(call quote,JAX),$(LOCKED) envs/tools.txt envs/data.txt pyproject.toml); \
	python=$(call quote,PYTHON); \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "w2dual needs Python 3.11 or later; $$python is $$("$$python" -V 2>&1). Set PYTHON=..." >&2; exit 1; }; \
	echo "Setting up $$venv (JAX for" $(call quote,JAX)"), once; a few minutes ..."; \
	[ -x "$$venv/bin/python" ] || "$$python" -m venv "$$venv"; \
	rm -f -- "$$venv"/.ready-*; \
	"$$venv/bin/python" -m pip install --quiet --require-hashes -r $(LOCKED) -r envs/tools.txt; \
	"$$venv/bin/python" -m pip install --quiet --no-deps --require-hashes -r envs/data.txt; \
	"$$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	touch -- "$$ready"

LOCK = --no-config pip compile --quiet --upgrade --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

lock: env ## pin again what envs/*.in ask for
	@# cpu.txt first: the others follow its versions.
	@uv=$$(realpath -- $(BIN)/uv); \
	for name in cpu cuda12 cuda13 tools bench crate gpu_count; do \
	    echo "envs/$$name.in -> envs/$$name.txt"; \
	    (cd envs && "$$uv" $(LOCK) "$$name.in" --output-file "$$name.txt"); \
	done; \
	echo "envs/data.in -> envs/data.txt"; \
	(cd envs && "$$uv" $(LOCK) --no-deps data.in --output-file data.txt)
	@$(BIN)/python envs/export_conda.py

clean: ## remove what presets made, and caches; keep the environment and the paper's results
	rm -rf runs .cache .pytest_cache .ruff_cache .hypothesis
