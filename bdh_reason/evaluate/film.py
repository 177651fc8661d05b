"""A board's beliefs step by step, ready to be drawn: the same frames for every picture (gif.py, page.py). Nothing here draws, and no target is seen.

Axes: F frames (the blank board, then one after each step), T positions, S symbols, G groups of k positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.files import replace, writable, writing
from bdh_reason.task import Board, Task

SURE = 0.9  # probability from which a blank shows one symbol instead of its candidates


@dataclass(frozen=True)
class Film:
    """row, column: int [T], the place of each position · region: int [T], what thick lines divide, equal everywhere where the task has none ·
    belief: float32 [F, T, S], one for a given symbol · clash: bool [F, T], positions of a group that are sure of the same symbol · right: bool [F],
    what the rules say of the reply, which fills every blank with its likeliest symbol.
    """

    title: str
    symbols: str
    row_T: np.ndarray
    column_T: np.ndarray
    region_T: np.ndarray
    prompt_T: np.ndarray
    scored_T: np.ndarray
    belief_FTS: np.ndarray
    clash_FT: np.ndarray
    right_F: np.ndarray

    def __len__(self) -> int:
        return len(self.belief_FTS)

    @property
    def sure_FT(self) -> np.ndarray:
        """Which positions show one symbol, bool [F, T]."""
        return ~self.scored_T | (self.belief_FTS.max(-1) >= SURE)

    def caption(self, frame: int) -> tuple[str, str]:
        """(which step, how it stands) of one frame, in words."""
        steps = len(self) - 1
        still, clashing = int((~self.sure_FT[frame]).sum()), int(self.clash_FT[frame].sum())
        if frame == steps:
            return f"step {frame} of {steps}", "the reply obeys the rules" if self.right_F[frame] else "the reply breaks the rules"
        return f"step {frame} of {steps}", f"{still} open" + (f", {clashing} in conflict" if clashing else "")


def layout(task: Task) -> Board:
    """The task's board of cells. Raises UserError for a task whose positions have no rows and columns of their own."""
    board = task.board("cells", "grid")
    where_TK = board.coordinates_TK
    if where_TK.shape[1] < 2 or len(np.unique(where_TK[:, :2], axis=0)) < board.positions:
        raise UserError(f"a picture of task {task.name}", "tasks whose positions lie in rows and columns", "without a file for the film it is shown as text")
    return board


def film(task: Task, title: str, prompt_T: np.ndarray, scored_T: np.ndarray, beliefs: Sequence[np.ndarray]) -> Film:
    """The film of `beliefs`, probabilities [T, S] after each step. Before the first step every symbol of a blank is equally likely.

    Groups count as "each symbol once" where they are no larger than the alphabet; others cannot clash. Raises UserError as `layout` does.
    """
    board = layout(task)
    given_TS = np.eye(len(board.symbols), dtype=np.float32)[board.index(prompt_T)] * (board.index(prompt_T) >= 0)[:, None]
    blank_TS = np.full(given_TS.shape, 1 / len(board.symbols), np.float32)
    belief_FTS = np.where(scored_T[:, None], np.stack([blank_TS, *beliefs]).astype(np.float32), given_TS)
    reply_FT = np.where(scored_T, board.spell(belief_FTS.argmax(-1)), prompt_T)
    right_F = task.verify(np.broadcast_to(prompt_T, reply_FT.shape), reply_FT)
    right_F[0] &= not scored_T.any()  # nothing was answered yet
    row_T, column_T = board.coordinates_TK[:, 0].astype(int), board.coordinates_TK[:, 1].astype(int)
    region_T = board.coordinates_TK[:, 2].astype(int) if board.coordinates_TK.shape[1] > 2 else np.zeros_like(row_T)
    return Film(title, board.symbols.decode("latin-1"), row_T, column_T, region_T, prompt_T, scored_T, belief_FTS, _clashes(board, belief_FTS), right_F)


def _clashes(board: Board, belief_FTS: np.ndarray) -> np.ndarray:
    """Which positions are sure of a symbol that another one of their group is sure of, bool [F, T]."""
    sure_FTS = belief_FTS >= SURE
    clash_FT = np.zeros(belief_FTS.shape[:2], bool)
    if board.groups_RGk is None or board.groups_RGk.shape[2] > len(board.symbols):
        return clash_FT
    for group_k in board.groups_RGk.reshape(-1, board.groups_RGk.shape[2]):
        sure_FkS = sure_FTS[:, group_k]
        clash_FT[:, group_k] |= (sure_FkS & (sure_FkS.sum(1, keepdims=True) > 1)).any(-1)
    return clash_FT


def check(path: Path | None, suffix: str) -> None:
    """Raises UserError for a file to write that is of another kind, is a folder, lies in none or cannot be written: said before anything is thought about."""
    if path and (path.suffix.lower() != suffix or path.is_dir()):
        raise UserError(f"the film into {path}", f"the name of a {suffix} file")
    if path and not path.parent.is_dir():
        raise UserError(f"no folder {path.parent} for {path.name}", "a folder that is there")
    if path:
        writable(path)


def write(path: Path, content: bytes) -> None:
    """The picture's file, whole or not at all. Raises UserError where it cannot be written."""
    with writing(path.parent):
        replace(path, content)
