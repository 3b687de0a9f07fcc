# What people type. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

# The first Python on PATH that is new enough; `make PYTHON=… demo` takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Three workers for two cores: tests wait for processes and sockets a third of the time, and are independent of each other.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS ?= $(shell expr $(CORES) + \( $(CORES) + 1 \) / 2)
# Tests of real servers share those, which are busier than the tests.
REAL_WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -q

.PHONY: help demo test test-long test-real test-argocd test-heavy gitops-check gitops-picture train check bench image lock clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.sandbox ## Promote a model on this machine, from a Hub to a commit in git, and show what happened
	@$(BIN)/python -m modelcar_sandbox.demo

test: $(VENV)/.dev ## Run the tests
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not heavy and not long and not node and not argocd"

test-real: $(VENV)/.dev ## Run the tests that need real servers, whose addresses are in the environment (REAL_…)
	$(PYTEST) -n $(REAL_WORKERS) --dist loadscope -m "(real or node) and not argocd and not long"

test-argocd: $(VENV)/.dev ## Run the tests that stand in for controllers beside a real Argo CD (REAL_ARGOCD_NAMESPACE, REAL_KUBECONFIG, REAL_BIN)
	$(PYTEST) -m argocd

gitops-check: $(VENV)/.dev ## Check the GitOps tree as kustomize, kubectl or oc renders it (part of `make test`)
	$(PYTEST) -n $(WORKERS) --dist worksteal tests/gitops_tree

gitops-picture: $(VENV)/.dev ## Draw the pictures of the GitOps tree anew (docs/images/gitops-*.svg)
	@PYTHONPATH=tests $(BIN)/python -m gitops_tree.pictures

test-long: $(VENV)/.dev ## Run the tests that move many GiB, minutes each
	$(PYTEST) -n $(CORES) --dist worksteal --timeout 900 -m "long and not heavy and not node and not argocd"

test-heavy: .venv-heavy/.train ## Load and train the demo model with torch (in a venv of its own)
	.venv-heavy/bin/python -m pytest -q -m heavy

train: .venv-heavy/.train ## Fine-tune the demo model for real on this machine's CPU, and see its loss go down (installs torch)
	@.venv-heavy/bin/python -m modelcar_sandbox.demo_training

check: $(VENV)/.dev ## Format, lint and type-check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(VENV)/.dev .venv-peers/.peers ## Time pushes beside what registry and source give alone, and beside other tools; an hour
	$(BIN)/python benchmarks/push.py
	$(BIN)/python benchmarks/sources.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/pipelines.py

# Other tools, each at its newest, in a venv of their own; a benchmark leaves out what is not there.
.venv-peers/.peers:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on PATH."; exit 1; }
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/pip install -q --disable-pip-version-check olot oras && touch $@ || echo "olot and oras cannot be installed; going on without."

# A step image that a cluster uses has a name there: `make IMAGE=quay.io/team/modelcar-python:0.1.0 image`.
TARGET ?= step
IMAGE ?= localhost/modelcar-$(TARGET)-python:dev
BUILDER ?= $(shell command -v podman || command -v buildah)
image: ## Build the image that pipeline steps run in, or a workbench's (TARGET=workbench), with podman or buildah
	@test -n "$(BUILDER)" || { echo "podman or buildah is needed, and neither is on PATH."; exit 1; }
	$(BUILDER) build -f components/Containerfile --target $(TARGET) $(BASE_IMAGE:%=--build-arg BASE_IMAGE=%) -t $(IMAGE) .

lock: ## Pin the dependencies anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		pyproject.toml requirements/build.in --extra sandbox --extra dev -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml requirements/build.in --extra sandbox -c requirements/dev.txt -o requirements/sandbox.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml requirements/build.in -c requirements/dev.txt -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml requirements/build.in --extra workbench -c requirements/dev.txt -o requirements/workbench.txt

clean: ## Remove what was set up and made here
	rm -rf .venv .venv-* .demo .demo-training .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.sandbox: requirements/sandbox.txt pyproject.toml
	$(call install,requirements/sandbox.txt)
	@touch $@

# TORCH is one release, so that trainings come out alike; `TORCH='torch==… --index-url …' make train` takes another.
TORCH ?= torch==2.13.0
.venv-heavy/.train: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on PATH."; exit 1; }
	@echo "Setting up .venv-heavy with torch …"
	@test -x .venv-heavy/bin/python || $(PYTHON) -m venv .venv-heavy
	@.venv-heavy/bin/pip install -q --disable-pip-version-check $(TORCH)
	@.venv-heavy/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@.venv-heavy/bin/pip install -q --disable-pip-version-check --no-build-isolation -e '.[train]'
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(call install,requirements/dev.txt)
	@touch $(VENV)/.sandbox $@

# Pinned packages with their hashes first, then the project itself without looking for anything more.
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on PATH."; exit 1; }
	@echo "Setting up $(VENV) from $(1) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
endef
