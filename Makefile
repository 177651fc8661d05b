# The commands of the project. Everything runs in .venv, which `make setup` makes when it is missing.
SHELL := /bin/bash
BDH := .venv/bin/bdh-reason
ROWS ?= runs/sudoku-rows.jsonl
PUZZLE := .....5....1.2.5.413.......3....4.6..
# Large CPU tensors are up to twice as fast when glibc keeps freed memory instead of returning it.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 2000000000
export MALLOC_TOP_PAD_ := 500000000

.PHONY: setup sudoku test bench lint sudoku-1b

setup: .venv/.done

.venv/.done: pyproject.toml constraints.txt
	test -x .venv/bin/python || python3 -m venv .venv
	.venv/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

sudoku: setup
	$(BDH) train sudoku6
	$(BDH) train sudoku6-transformer
	$(BDH) data build sudoku --set box=[2,2] --size 2000 --seed 1 --only test --out datasets/sudoku-4x4
	$(BDH) data build sudoku --set box=[3,3] --size 1000 --seed 1 --only test --out datasets/sudoku-9x9
	for folder in datasets/sudoku-*; do $(BDH) data audit $$folder || exit 1; done
	rm -f $(ROWS)
	$(BDH) eval --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --model copy --model oracle \
	  --depth 8,16,32 --limit 2000 --rows $(ROWS) > /dev/null
	$(BDH) eval --data datasets/sudoku-4x4 --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --rows $(ROWS) > /dev/null
	$(BDH) eval --data datasets/sudoku-9x9 --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --rows $(ROWS) > /dev/null
	$(BDH) table $(ROWS)
	$(BDH) solve --model runs/sudoku6 --depth 32 "$(PUZZLE)"

test: setup
	.venv/bin/python -m pytest

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: setup
	$(BDH) bench sudoku $(if $(PUZZLES),--puzzles $(PUZZLES))

# A billion parameters on all GPUs that are here; SHARDED=1 cuts the weights (FSDP2), STEPS=100 takes so many steps on fewer puzzles. On several machines:
# torchrun or srun with the same arguments. Without a GPU, STEPS=1 DEVICE=cpu takes one real step of two puzzles, in 17 GB.
BIG := env -u MALLOC_MMAP_MAX_ -u MALLOC_TRIM_THRESHOLD_ -u MALLOC_TOP_PAD_ $(if $(STEPS),WANDB_MODE=disabled) $(BDH)
FEW := $(if $(STEPS),--set steps=$(STEPS) --set data.size=$(shell expr $(STEPS) \* 512 + 4000) \
  --set validation.problems=8 --set validation.depth=4) $(if $(filter cpu,$(DEVICE)),--set batch=2)
sudoku-1b: setup
	$(BIG) train sudoku-1b --plan $(FEW)
	$(BIG) train sudoku-1b --device $(or $(DEVICE),cuda) --devices auto $(if $(SHARDED),--sharded) $(FEW) \
	  || { code=$$?; test "$(DEVICE)" || echo "without a GPU: make sudoku-1b STEPS=1 DEVICE=cpu" >&2; exit $$code; }
	$(BIG) eval --model runs/sudoku-1b --limit $(if $(STEPS),8,1000) --device $(or $(DEVICE),cuda)
