"""What a model is put before. A task: problems as arrays, a board that turns them into tokens, rules that verify replies. A corpus: a text.

Axes: N problems, T positions of the prompt, S symbols a reply may use, K coordinates, R relations, G groups, k members of a group.
Each is one file (or one folder) under `tasks/` that exports `Config` (a frozen dataclass) and `Task` or `Corpus`; nothing else registers it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from bdh_reason.errors import UserError

View = Literal["cells", "candidates"]
Reading = Literal["grid", "sequence"]
OPEN, GIVEN, EXCLUDED = 0, 1, 2  # the three tokens of the candidate view
BYTES = (256, 256)  # the vocabulary of cells and texts
MARK = 0  # the byte before every document of a text; inside none


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
    OPEN, GIVEN or EXCLUDED; one logit each. spelled: the same in the vocabulary of bytes, for weights that read text too: the tokens are the bytes
    1, 2 and 3, which stand in no text, and a candidate's logit is that of GIVEN. reading "grid": every position sees every other;
    "sequence": strictly left to right.
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
    spelled: bool = False

    def within(self, vocabulary: tuple[int, int]) -> Board:
        """What a model of that vocabulary reads: candidates are spelled where it reads bytes, else the board as it is."""
        return replace(self, spelled=True) if self.view == "candidates" and vocabulary == BYTES else self

    @property
    def tokens(self) -> int:
        """Tokens the model sees: T, or T·S in the candidate view."""
        return self.positions * (len(self.symbols) if self.view == "candidates" else 1)

    @property
    def vocabulary(self) -> tuple[int, int]:
        """(different tokens, logits per token): the interface a model of this view needs."""
        return (3, 1) if self.view == "candidates" and not self.spelled else BYTES

    @property
    def answers(self) -> slice:
        """Which logits of a token say anything about the reply."""
        return slice(GIVEN + 1, GIVEN + 2) if self.spelled else slice(None)

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
        return tokens_NTS.reshape(len(prompt_NT), -1) + self.spelled

    def collapse(self, logits_BtV: Any) -> Any:
        """Logits per token [B, tokens, V], of which only the `answers`, -> logits per position and symbol [B, T, S]; torch tensors and numpy arrays alike."""
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


class Subject(ABC):
    """What tasks and corpora have in common. An instance is one configuration: `Task(Config(...))`."""

    name: ClassVar[str]
    version: ClassVar[str]
    edges: ClassVar[tuple[float, ...]] = ()  # upper ends of the difficulty slices of a result table; the last slice is open
    horizon: ClassVar[str] = ""  # the option of Config that says how far a problem reaches, where a task has one: a curve is drawn over it
    ladder: ClassVar[tuple[int, ...]] = ()  # values of that option from the smallest to the largest, the steps of a curve
    config: Any

    @abstractmethod
    def board(self, view: View, reading: Reading) -> Board:
        """The board of this configuration. Raises UserError for a view or reading it does not have."""


class Task(Subject):
    """The contract of a task; `tests/test_every_task.py` holds every task found on disk to it."""

    apart: bool = False  # whether problems of different families may be akin; the splits of a data set are then grown apart, with `grow`

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

    def islands(self, problems: Problems, call_N: np.ndarray) -> np.ndarray:
        """int64 [N], equal for problems that may fail together, where `apart` is set: here those of one call of `grow`, which `call_N`, int64 [N], counts."""
        return call_N

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


class Corpus(Subject):
    """The contract of a text: documents of bytes, split by their content and scored in bits per byte; there is nothing to verify.

    Its `Config` has at least `window`, the bytes that are read at once. Before a document stands MARK, so that its first byte is predicted too.
    """

    @abstractmethod
    def splits(self) -> Mapping[str, Sequence[np.ndarray]]:
        """The documents of "train", "validation" and "test", uint8 each and none empty. Raises UserError for a text that cannot be had."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What a result row says of the text: its name and the options that matter, and no place on a disk."""

    def traces(self, document: np.ndarray) -> set[bytes]:
        """What a document is known by, in whatever text: who was trained on most of these has seen it."""
        return {document.tobytes()}

    def floor(self, documents: Sequence[np.ndarray]) -> np.ndarray | None:
        """What each document costs in bits under the source that wrote it, float64 [n]; None where nobody knows that source."""
        return None

    def documents(self, split: str) -> Sequence[np.ndarray]:
        """Those of one split, or of "all". Raises UserError as `splits` does, and for a split without a document."""
        found = self.splits()
        chosen = [document for documents in found.values() for document in documents] if split == "all" else found[split]
        if not len(chosen):
            raise UserError(f"no document of {self.about()} is in {split}", "more text, or shorter documents")
        return chosen

    def board(self, view: View, reading: Reading) -> Board:
        """A line of `window` bytes, read from left to right."""
        if (view, reading) != ("cells", "sequence"):
            raise UserError(f"a text in the view {view} as a {reading}", "view: cells, reading: sequence")
        length = self.config.window
        return Board(view, reading, length, bytes(range(256)), MARK, np.zeros((length, 0), np.int16))

    def windows(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        """Stretches of the training documents, each with its MARK, from anywhere in the row of them all, uint8 [n, length].

        Raises UserError where all documents together are shorter.
        """
        if len(self._row) < length:
            raise UserError(f"windows of {length} bytes from a text of {len(self._row)}", "shorter windows or a longer text")
        start_n = rng.integers(0, len(self._row) - length + 1, n)
        return self._row[start_n[:, None] + np.arange(length)]

    @cached_property
    def _row(self) -> np.ndarray:
        mark = np.array([MARK], np.uint8)
        return np.concatenate([part for document in self.documents("train") for part in (mark, document)])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all documents and of which split each is in: the `data_hash` of a result row."""
        digest = hashlib.sha256()
        for split, documents in self.splits().items():
            digest.update(f"{split} {[len(document) for document in documents]}".encode())
            for document in documents:
                digest.update(document.tobytes())
        return digest.hexdigest()
