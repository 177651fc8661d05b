import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SHAPES, full_board, puzzles, shapes, small_shapes

from bdh_reason.errors import UserError
from tasks.sudoku.formats import read, to_bytes, to_grid, write_csv, write_lines
from tasks.sudoku.shape import Shape

FOUR = Shape(2, 2)
PUZZLE, ANSWER = "..3..4..2......1", "1234341221434321"
batches = shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.lists(puzzles(shape), min_size=1, max_size=4).map(np.concatenate)))


@given(batches)
def test_bytes_are_decoded_into_what_was_encoded(case):
    shape, grid_NT = case
    byte_NT = to_bytes(shape, grid_NT)
    assert byte_NT.dtype == np.uint8
    assert (to_grid(shape, byte_NT) == grid_NT).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_only_the_symbols_of_the_shape_are_digits(shape):
    byte_NT = np.arange(256, dtype=np.uint8)[None]
    digit_NT = to_grid(shape, byte_NT)
    assert sorted(byte_NT[digit_NT > 0].tolist()) == sorted(shape.symbols)
    assert digit_NT[0, list(shape.symbols)].tolist() == list(range(1, shape.n + 1))


@given(batches, st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_read_as_they_were_written(case, zeros, small, end):
    shape, grid_NT = case
    text = write_lines(shape, grid_NT)
    text = text.replace(".", "0") if zeros else text
    text = text.lower() if small else text
    listing = read(shape, text.replace("\n", end), "file")
    assert (listing.puzzle_NT == grid_NT).all()
    assert listing.line_N.tolist() == list(range(1, len(grid_NT) + 1))
    assert listing.answer_NT is None
    assert listing.rating_N is None


@given(small_shapes.flatmap(lambda shape: st.tuples(st.just(shape), puzzles(shape))), st.floats(0, 1e6, width=32))
def test_csv_is_read_as_it_was_written(case, rating):
    shape, puzzle_1T = case
    answer_1T = full_board(shape)
    question_1T = np.where(puzzle_1T > 0, answer_1T, 0)
    text = write_csv(shape, "made here, today", question_1T, answer_1T, np.array([round(rating, 2)], np.float32))
    listing = read(shape, text, "file.csv")
    assert text.startswith("source,question,answer,rating\n")
    assert (listing.puzzle_NT == question_1T).all()
    assert (listing.answer_NT == answer_1T).all()
    assert listing.rating_N == pytest.approx([rating], rel=1e-4, abs=0.01)
    assert listing.line_N.tolist() == [2]


def test_comments_and_empty_lines_are_skipped_and_counted():
    listing = read(FOUR, f"# easy, for a start\n\n{PUZZLE}\n\n#\n  {PUZZLE.replace('.', '0')}  \n", "file.sdm")
    assert listing.line_N.tolist() == [3, 6]
    assert (listing.puzzle_NT[0] == listing.puzzle_NT[1]).all()


def test_a_csv_may_hold_questions_alone_and_in_any_column():
    listing = read(FOUR, f"rating,question\n7,{PUZZLE}\n", "file.csv")
    assert listing.rating_N is not None
    assert listing.rating_N.tolist() == [7]
    assert listing.answer_NT is None
    assert (read(FOUR, f"question\n{PUZZLE}\n", "file.csv").puzzle_NT == listing.puzzle_NT).all()


BAD = {
    "short": (f"{PUZZLE}\n{PUZZLE[1:]}", 2, "15 symbols", "16 symbols for the 4×4 board"),
    "long": (f"{PUZZLE}\n\n{PUZZLE}.", 3, "17 symbols", "16 symbols for the 4×4 board"),
    "stray symbol": (f"{PUZZLE}\n{PUZZLE[:3]}x{PUZZLE[4:]}", 2, "'x' at place 4", "1-4, and . or 0"),
    "digit of a larger board": (f"#\n{PUZZLE[:15]}5", 2, "'5' at place 16", "1-4"),
    "symbol beyond ASCII": (f"{PUZZLE[:2]}é{PUZZLE[3:]}", 1, "'é' at place 3", "1-4"),
    "byte order mark": ("\ufeff" + PUZZLE[1:], 1, "at place 1", "1-4"),
    "clash": (f"{PUZZLE}\n3{PUZZLE[1:]}", 2, "contradict", "no symbol twice"),
    "another header without a comma": (f"puzzle\n{PUZZLE}", 1, "6 symbols", "16 symbols"),
    "no question": ("source,puzzle\n", 1, "columns source, puzzle", "question"),
    "CSV clash": (f"question,rating\n{PUZZLE},1\n3{PUZZLE[1:]},1\n", 3, "contradict", "no symbol twice"),
    "CSV short question": (f"question,rating\n{PUZZLE[1:]},1\n", 2, "15 symbols", "16"),
    "CSV missing answer": (f"question,answer\n{PUZZLE},{ANSWER}\n{PUZZLE}\n", 3, "the answer has 0 symbols", "16"),
    "CSV answer with blanks": (f"question,answer\n{PUZZLE},.{ANSWER[1:]}\n", 2, "breaks the rules", "every symbol once"),
    "CSV answer that breaks a rule": (f"question,answer\n{PUZZLE},2{ANSWER[1:]}\n", 2, "breaks the rules", "every symbol once"),
    "CSV answer that changes a clue": (f"question,answer\n{PUZZLE},{ANSWER}\n{PUZZLE},2{ANSWER[1:2]}1{ANSWER[3:]}\n", 3, "changes a clue", "every clue"),
    "CSV rating": (f"question,rating\n{PUZZLE},1\n{PUZZLE},hard\n", 3, "'hard'", "a finite number"),
    "CSV rating without end": (f"question,rating\n{PUZZLE},inf\n", 2, "'inf'", "a finite number"),
    "CSV quotes": (f'question,rating\n"{PUZZLE}" ,1\n', 2, "expected after", "CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_the_file_the_line_and_what_is_allowed(case):
    text, line, given_part, allowed = BAD[case]
    with pytest.raises(UserError) as caught:
        read(FOUR, text, "puzzles/bad.txt")
    assert caught.value.given.startswith(f"puzzles/bad.txt, line {line}: ")
    assert given_part in caught.value.given
    assert allowed in caught.value.allowed


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "source,question,answer,rating\n"])
def test_a_file_without_puzzles_is_refused(text):
    with pytest.raises(UserError, match=r"no puzzle in empty\.txt"):
        read(FOUR, text, "empty.txt")
