"""The floor and the ceiling of every table: baselines without weights. Each maps (task, prompt [N, T], scored [N, T], rng) to replies uint8 [N, T]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bdh_reason.task import Task


def chance(task: Task, prompt_NT: np.ndarray, scored_NT: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keeps the clues and fills every scored position with a uniformly random symbol."""
    board = task.board("cells", "grid")
    random_NT = board.spell(rng.integers(0, len(board.symbols), prompt_NT.shape))
    return np.where(scored_NT, random_NT, prompt_NT)


def copy(task: Task, prompt_NT: np.ndarray, scored_NT: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copies the clues and leaves every blank blank: what a model that learned nothing but copying would score."""
    return prompt_NT.copy()


def oracle(task: Task, prompt_NT: np.ndarray, scored_NT: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The task's own exact solver: shows that the verifier accepts right replies and that the problems can be solved."""
    return task.solve(prompt_NT)


GUESSES: dict[str, Callable[[Task, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {"chance": chance, "copy": copy, "oracle": oracle}
