import numpy as np
import pytest
from strategies import SHAPES, full_board

from tasks.sudoku import render
from tasks.sudoku.shape import Shape


def test_a_4x4_board_looks_like_this():
    grid_T = np.array([0, 0, 3, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1])
    picture = render.picture(Shape(2, 2), render.cells(Shape(2, 2), grid_T))
    assert picture.splitlines() == ["╔═════╦═════╗", "║ · · ║ 3 · ║", "║ · 4 ║ · · ║", "╠═════╬═════╣", "║ 2 · ║ · · ║", "║ · · ║ · 1 ║", "╚═════╩═════╝"]
    assert picture in (render.__doc__ or "").replace("\n    ", "\n"), "the file shows this picture"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lines_are_equally_long_and_every_cell_stands_in_its_place(shape):
    board_T = full_board(shape)[0]
    lines = render.picture(shape, render.cells(shape, board_T)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == shape.n + shape.box_cols + 1
    inside = [[symbol for symbol in line if symbol not in "║ "] for line in lines if "═" not in line]
    assert "".join(map("".join, inside)) == "".join(chr(shape.symbols[digit - 1]) for digit in board_T)
    assert {line.count("║") for line in lines if "═" not in line} == {shape.box_rows + 1}


def test_cells_may_carry_colour_codes():
    shape = Shape(2, 3)
    plain = render.cells(shape, full_board(shape)[0])
    coloured = render.picture(shape, [f"<{symbol}>" for symbol in plain])
    assert coloured.replace("<", "").replace(">", "") == render.picture(shape, plain)


def test_the_puzzle_stands_left_of_the_reply():
    shape = Shape(3, 3)
    board_T = full_board(shape)[0]
    puzzle_T = np.where(np.arange(81) % 3, 0, board_T)
    for line, left, right in zip(
        render.render(shape, puzzle_T, board_T).splitlines(),
        render.picture(shape, render.cells(shape, puzzle_T)).splitlines(),
        render.picture(shape, render.cells(shape, board_T)).splitlines(),
    ):
        assert line.startswith(left)
        assert line.endswith(right)
