"""Slow and obvious ways to the same answers."""

from __future__ import annotations

from collections.abc import Iterator


def sudoku_solutions(box_rows: int, box_cols: int, clues: list[int]) -> Iterator[list[int]]:
    """Every solution of a board in reading order, 0 for a blank: try each digit in the blank that has the fewest left, one blank after the other."""
    n = box_rows * box_cols

    def units(cell: int) -> tuple[tuple[str, int], ...]:
        row, column = divmod(cell, n)
        return ("row", row), ("column", column), ("box", row // box_rows * n + column // box_cols)

    peers = [{other for other in range(n * n) if other != cell and set(units(cell)) & set(units(other))} for cell in range(n * n)]

    def extend(board: list[int], allowed: dict[int, set[int]]) -> Iterator[list[int]]:
        if not allowed:
            yield board
            return
        cell = min(allowed, key=lambda blank: len(allowed[blank]))
        for digit in allowed[cell]:
            rest = {blank: digits - {digit} if blank in peers[cell] else digits for blank, digits in allowed.items() if blank != cell}
            yield from extend([*board[:cell], digit, *board[cell + 1 :]], rest)

    if not any(clues[cell] and clues[cell] == clues[peer] for cell in range(n * n) for peer in peers[cell]):
        blanks = [cell for cell in range(n * n) if not clues[cell]]
        yield from extend(list(clues), {cell: set(range(1, n + 1)) - {clues[peer] for peer in peers[cell]} for cell in blanks})
