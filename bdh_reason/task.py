"""What a task is: problems as arrays, a board that turns them into tokens, rules that verify replies.

Axes: N problems, T positions of the prompt, S symbols a reply may use, K coordinates, R relations, G groups, k members of a group.
A task is one file (or one folder) under `tasks/` that exports `Config` (a frozen dataclass) and `Task`; nothing else registers it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from bdh_reason.errors import UserError

View = Literal["cells", "candidates"]
Reading = Literal["grid", "sequence"]
OPEN, GIVEN, EXCLUDED = 0, 1, 2  # the three tokens of the candidate view


@dataclass(frozen=True)
class Problems:
    """Problems as a struct of arrays: a million problems are five arrays.

    prompt uint8 [N, T], the bytes shown · target uint8 [N, T], a right reply · scored bool [N, T], the positions to fill ·
    difficulty float32 [N], in the task's own unit · family uint64 [N], equal for problems that are the same under the task's symmetries.
    """

    prompt: np.ndarray
    target: np.ndarray
    scored: np.ndarray
    difficulty: np.ndarray
    family: np.ndarray

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Any) -> Problems:
        """The problems that `rows` (a slice, an index array or a mask) selects."""
        return Problems(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence[Problems]) -> Problems:
        """One batch out of several; at least one part."""
        return Problems(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Problems)))


@dataclass(frozen=True, eq=False)
class Board:
    """How a model sees a problem of T positions whose reply uses S symbols.

    view "cells": one token per position, its byte; logits over the 256 bytes. view "candidates": one token per (position, symbol),
    OPEN, GIVEN or EXCLUDED; one logit each. reading "grid": every position sees every other; "sequence": strictly left to right.
    groups_RGk int32: relation r splits the tokens into G groups of k that constrain each other; mask_RTT bool: the same for relations
    that do not partition the board. coordinates_TK int16: row, column, box … of each token.
    """

    view: View
    reading: Reading
    positions: int
    symbols: bytes
    blank: int
    coordinates_TK: np.ndarray
    groups_RGk: np.ndarray | None = None
    mask_RTT: np.ndarray | None = None

    @property
    def tokens(self) -> int:
        """Tokens the model sees: T, or T·S in the candidate view."""
        return self.positions * (len(self.symbols) if self.view == "candidates" else 1)

    @property
    def vocabulary(self) -> tuple[int, int]:
        """(different tokens, logits per token): the interface a model of this view needs."""
        return (3, 1) if self.view == "candidates" else (256, 256)

    @property
    def relations(self) -> int:
        """R, the number of relations; 0 for plain text."""
        return next((len(relation) for relation in (self.groups_RGk, self.mask_RTT) if relation is not None), 0)

    @cached_property
    def _symbols(self) -> np.ndarray:
        return np.frombuffer(self.symbols, np.uint8).astype(np.int64)

    def expand(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Prompt bytes uint8 [N, T] -> tokens int64 [N, tokens]. Raises UserError for prompts of another length."""
        if prompt_NT.ndim != 2 or prompt_NT.shape[1] != self.positions:
            raise UserError(f"prompts of shape {prompt_NT.shape}", f"[N, {self.positions}] for this board")
        if self.view == "cells":
            return prompt_NT.astype(np.int64)
        prompt_NT1 = prompt_NT[:, :, None]
        tokens_NTS = np.where(prompt_NT1 == self._symbols, GIVEN, np.where(prompt_NT1 == self.blank, OPEN, EXCLUDED))
        return tokens_NTS.reshape(len(prompt_NT), -1)

    def collapse(self, logits_BtV: Any) -> Any:
        """Logits per token [B, tokens, V] -> logits per position and symbol [B, T, S]; torch tensors and numpy arrays alike."""
        if self.view == "cells":
            return logits_BtV[..., self._symbols]
        return logits_BtV.reshape(-1, self.positions, len(self.symbols))

    def spell(self, choice_NT: np.ndarray) -> np.ndarray:
        """Symbol indices [N, T] -> reply bytes uint8 [N, T]."""
        return self._symbols[choice_NT].astype(np.uint8)

    def index(self, reply_NT: np.ndarray) -> np.ndarray:
        """Reply bytes [N, T] -> symbol indices int64 [N, T], -1 where a byte is no symbol; the inverse of `spell`."""
        table = np.full(256, -1, np.int64)
        table[self._symbols] = np.arange(len(self.symbols))
        return table[reply_NT]


class Task(ABC):
    """The contract of a task. An instance is one configuration: `Task(Config(...))`.

    `tests/test_every_task.py` holds every task found on disk to it.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    edges: ClassVar[tuple[float, ...]] = ()  # upper ends of the difficulty slices of a result table; the last slice is open
    horizon: ClassVar[str] = ""  # the option of Config that says how far a problem reaches, where a task has one: a curve is drawn over it
    ladder: ClassVar[tuple[int, ...]] = ()  # values of that option from the smallest to the largest, the steps of a curve
    apart: bool = False  # whether problems of one call of `generate` are akin; the splits of a data set are then grown apart, with `grow`
    config: Any

    @abstractmethod
    def board(self, view: View, reading: Reading) -> Board:
        """The board of this configuration. Raises UserError for a view or reading the task does not have."""

    @abstractmethod
    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        """N fresh problems, a function of `rng` alone. Raises UserError where the configuration cannot be met."""

    def grow(self, rng: np.random.Generator, n: int, belongs: Callable[[np.ndarray], np.ndarray]) -> Problems:
        """N fresh problems for one split, a function of `rng` and of `belongs` (kin uint64 [N] -> bool [N]: what is of this split).

        Where `apart` is set. Raises UserError where the configuration cannot be met.
        """
        raise NotImplementedError(f"task {self.name} does not grow its splits apart")

    def kin(self, problems: Problems) -> np.ndarray:
        """uint64 [N], equal for problems that may not lie in different splits; at least those of one family."""
        return problems.family

    @abstractmethod
    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """The same problems under random symmetries of the task: same families, same difficulty, still right."""

    @abstractmethod
    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether a reply obeys the rules and keeps the prompt's clues. Sees no stored solution."""

    @abstractmethod
    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Replies of an exact solver, uint8 [N, T]: the oracle of tables, audits and tests. No model may call it.

        Raises UserError for a prompt without a solution.
        """

    @abstractmethod
    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """int64 [N]: how many solutions a prompt has, counted up to 2."""

    @abstractmethod
    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """uint64 [N]: a hash of each prompt's canonical form under all symmetries of the task; the `family`."""

    @abstractmethod
    def chance(self, problems: Problems) -> float:
        """The expected exact_match of a guesser that fills every scored position with a uniform symbol."""

    @abstractmethod
    def read(self, text: str, source: str) -> Problems:
        """Problems from a text in a format users have. Raises UserError naming `source` and the line."""

    @abstractmethod
    def render(self, prompt_T: np.ndarray, reply_T: np.ndarray) -> str:
        """A picture of one problem and its reply for a terminal, without colours."""

    @abstractmethod
    def picture(self, cells: Sequence[str]) -> str:
        """The board drawn around T given texts, each one character wide when printed: lets a caller colour them."""
