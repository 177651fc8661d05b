"""Boards as bytes and as text: what a model reads and what people keep in files.

Files: one puzzle a line (also `.sdm`), blanks `.` or `0`, lines that are empty or begin with `#` skipped; or CSV with a header, in the published
Sudoku-Extreme form `source,question,answer,rating`, of which `question` alone is needed. Letters beyond 9 may be small. The content decides which.

Axes: N boards, T cells. Grids are uint8 [N, T], 0 for a blank, digits 1…n; bytes are uint8 [N, T] of characters.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdh_reason.errors import UserError

from . import rules
from .shape import BLANK, Shape

_STRAY = 255


@dataclass(frozen=True)
class Listing:
    """What a file holds: puzzle uint8 [N, T] · line int64 [N], where each stands · answer uint8 [N, T] and rating float32 [N], None if not given."""

    puzzle_NT: np.ndarray
    line_N: np.ndarray
    answer_NT: np.ndarray | None = None
    rating_N: np.ndarray | None = None


def to_bytes(shape: Shape, grid_NT: np.ndarray) -> np.ndarray:
    """Grids -> bytes, one symbol per digit and `.` per blank."""
    return np.frombuffer(bytes([BLANK]) + shape.symbols, np.uint8)[grid_NT]


def to_grid(shape: Shape, byte_NT: np.ndarray) -> np.ndarray:
    """Bytes -> grids, the inverse of `to_bytes`; a byte that is no symbol of this shape counts as a blank."""
    table = np.zeros(256, np.uint8)
    table[np.frombuffer(shape.symbols, np.uint8)] = np.arange(1, shape.n + 1)
    return table[byte_NT]


def read(shape: Shape, text: str, source: str) -> Listing:
    """The puzzles of `text`, which stands in `source`.

    Raises UserError with `source` and the line for a wrong length, a stray symbol, clues that clash, a rating that is no number, and an answer that
    breaks the rules or changes a clue. Whether a puzzle has one solution is not asked here.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and ("," in lines[0][1] or lines[0][1] == "question"):
        numbers, columns = _columns(text, source)
    else:
        numbers, columns = [number for number, _ in lines], {"question": [line for _, line in lines]}
    if not numbers:
        raise UserError(f"no puzzle in {source}", f"lines of {_wanted(shape)}; or CSV with a column `question`")
    puzzle_NT = _decode(shape, columns["question"], numbers, source)
    _refuse(rules.clashes(shape, puzzle_NT), numbers, source, "the clues contradict each other", "no symbol twice in a row, column or box")
    answer_NT = rating_N = None
    if "answer" in columns:
        answer_NT = _decode(shape, columns["answer"], numbers, source, "the answer has ")
        _refuse(((puzzle_NT != 0) & (puzzle_NT != answer_NT)).any(1), numbers, source, "the answer changes a clue", "every clue in its place")
        _refuse(~rules.valid(shape, answer_NT), numbers, source, "the answer breaks the rules", "every symbol once in each row, column and box")
    if "rating" in columns:
        rating_N = np.array([_number(text, f"{source}, line {number}") for text, number in zip(columns["rating"], numbers)], np.float32)
    return Listing(puzzle_NT, np.array(numbers), answer_NT, rating_N)


def write_lines(shape: Shape, grid_NT: np.ndarray) -> str:
    """One board a line, blanks as `.`."""
    return "".join(row_T.tobytes().decode() + "\n" for row_T in to_bytes(shape, grid_NT))


def write_csv(shape: Shape, source: str, puzzle_NT: np.ndarray, answer_NT: np.ndarray, rating_N: np.ndarray) -> str:
    """The published CSV form; `source` is the text of its first column, the same in every row."""
    puzzles, answers = (write_lines(shape, grid_NT).splitlines() for grid_NT in (puzzle_NT, answer_NT))
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("source", "question", "answer", "rating"))
    rows.writerows((source, *row[:2], f"{row[2]:g}") for row in zip(puzzles, answers, rating_N.tolist()))
    return out.getvalue()


def _columns(text: str, source: str) -> tuple[list[int], dict[str, list[str]]]:
    """The line of each row of a CSV text, and its columns by name."""
    rows = csv.DictReader(io.StringIO(text), restval="", strict=True)
    try:
        numbered = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise UserError(f"{source}, line {rows.reader.line_num}: {error}", "CSV as RFC 4180 describes it") from error
    names = rows.fieldnames or ()
    if "question" not in names:
        raise UserError(f"{source}, line 1: columns {', '.join(names)}", "source,question,answer,rating, of which `question` is needed")
    return [number for number, _ in numbered], {name: [row[name] for _, row in numbered] for name in names}


def _decode(shape: Shape, texts: Sequence[str], numbers: Sequence[int], source: str, what: str = "") -> np.ndarray:
    """Texts -> grids; UserError, in which `what` says whose symbols they are, for the first one that is not a board of this shape."""
    for number, text in zip(numbers, texts):
        if len(text) != shape.cells:
            raise UserError(f"{source}, line {number}: {what}{len(text)} symbols", _wanted(shape), "for another board set `box`, e.g. box=[2,3] for 6×6")
    table = np.full(256, _STRAY, np.uint8)
    for symbols in (shape.symbols, shape.symbols.lower()):
        table[np.frombuffer(symbols, np.uint8)] = np.arange(1, shape.n + 1)
    table[[BLANK, ord("0")]] = 0
    byte_NT = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8).reshape(-1, shape.cells)
    grid_NT = table[byte_NT]
    for i, cell in np.argwhere(grid_NT == _STRAY)[:1]:
        raise UserError(f"{source}, line {numbers[i]}: {what}{texts[i][cell]!r} at place {cell + 1}", _wanted(shape))
    return grid_NT


def _wanted(shape: Shape) -> str:
    symbols = shape.symbols.decode()
    return f"{shape.cells} symbols for the {shape.n}×{shape.n} board: {symbols[0]}-{symbols[-1]}, and . or 0 for a blank"


def _refuse(bad_N: np.ndarray, numbers: Sequence[int], source: str, given: str, allowed: str) -> None:
    """UserError for the first bad puzzle."""
    for i in np.flatnonzero(bad_N)[:1]:
        raise UserError(f"{source}, line {numbers[i]}: {given}", allowed)


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{place}: rating {text!r}", "a finite number")
    return value
