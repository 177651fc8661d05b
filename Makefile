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
	$(BDH) data build sudoku --set box=[2,2] --size 2000 --only test --out datasets/sudoku-4x4
	$(BDH) data build sudoku --set box=[3,3] --size 500 --only test --out datasets/sudoku-9x9
	rm -f $(ROWS)
	$(BDH) eval --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --model copy --model oracle \
	  --depth 8,16,32 --limit 2000 --rows $(ROWS) > /dev/null
	$(BDH) eval --data datasets/sudoku-4x4 --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --depth 32 --rows $(ROWS) > /dev/null
	$(BDH) eval --data datasets/sudoku-9x9 --model runs/sudoku6 --model runs/sudoku6-transformer --model chance --depth 64 --rows $(ROWS) > /dev/null
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

sudoku-1b: setup
	$(BDH) train sudoku-1b --plan
