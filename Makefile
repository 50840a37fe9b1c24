PYTHON ?= python3
# On Linux machines without a GPU this release is the small CPU build; override it for a GPU: make demo TORCH=torch
TORCH ?= torch==2.13.*
BIN := .venv/bin

.PHONY: demo test lint tests fuzz clean

demo: .venv/installed ## the main job, end to end, with the default models
	rm -rf demo
	$(BIN)/nonesuch generate demo --identities 100 --images 10 --seed 0
	$(BIN)/nonesuch verify demo

test: .venv/installed-for-tests ## everything that must hold
	$(MAKE) --jobs 2 lint tests # mypy needs one core for a minute

tests: .venv/installed-for-tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

fuzz: .venv/installed-for-tests ## damaged files, a thousand for each reader
	FUZZ=1000 OMP_NUM_THREADS=1 $(BIN)/pytest tests/fuzz

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "nonesuch needs Python 3.10 or newer; name one: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/pip install --quiet --editable ".[onnx,lmdb,report,diffusers,llm,flip,test]"
	@touch $@

clean:
	rm -rf .venv demo
