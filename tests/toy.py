"""A small task for the tests of everything that handles tasks: `digits` digits, then the last digit of their sum.

`371946.` is answered by `371946` and `0`. The digits may be permuted, so a family is a multiset of digits. With `modulus=5` a problem has two solutions.
It is installed as another package's task would be: through an entry point, which fresh processes find too.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from bdh_reason import discover, task
from bdh_reason.errors import UserError
from bdh_reason.task import Board, Problems, Reading, View

ZERO, BLANK = ord("0"), ord(".")
CALLS = count(1)


@dataclass(frozen=True)
class Config:
    digits: int = 6
    modulus: int = 10


def hang_once(marker: Path) -> None:
    """Hangs in the fifth call of a process, if it is the first to make `marker`: lets a test end a build while one worker is busy and the others are idle."""
    if next(CALLS) == 5:
        with suppress(FileExistsError):
            marker.touch(exist_ok=False)
            signal.pause()


class Task(task.Task):
    name = "toy"
    version = "1"
    edges = (20.0, 30.0)
    horizon = "digits"
    ladder = (2, 3, 4, 6, 8, 12)

    def __init__(self, config: Config) -> None:
        self.config = config

    def board(self, view: View, reading: Reading) -> Board:
        positions = self.config.digits + 1
        return Board(view, reading, positions, b"0123456789", BLANK, np.arange(positions, dtype=np.int16)[:, None])

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        hang_once(Path(os.environ.get("TOY_HANGS", os.devnull)))
        if 10 % self.config.modulus:
            raise UserError(f"modulus {self.config.modulus}", "5 or 10")
        return self._problems(rng.integers(0, 10, (n, self.config.digits)))

    def _problems(self, digits_ND: np.ndarray) -> Problems:
        blank_N1 = np.full((len(digits_ND), 1), BLANK)
        prompt_NT = np.concatenate([digits_ND + ZERO, blank_N1], 1).astype(np.uint8)
        difficulty_N = digits_ND.sum(1).astype(np.float32)
        return Problems(prompt_NT, self.solve(prompt_NT), prompt_NT == BLANK, difficulty_N, self.canonical(prompt_NT))

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        order_ND = rng.permuted(np.tile(np.arange(self.config.digits), (len(problems), 1)), axis=1)
        order_NT = np.pad(order_ND, ((0, 0), (0, 1)), constant_values=self.config.digits)
        prompt_NT, target_NT = (np.take_along_axis(array_NT, order_NT, 1) for array_NT in (problems.prompt, problems.target))
        return Problems(prompt_NT, target_NT, problems.scored, problems.difficulty, problems.family)

    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        kept_N = (prompt_NT[:, :-1] == reply_NT[:, :-1]).all(1)
        total_N = (prompt_NT[:, :-1].astype(int) - ZERO).sum(1)
        last_N = reply_NT[:, -1].astype(int) - ZERO
        return kept_N & (last_N >= 0) & (last_N < 10) & (last_N % self.config.modulus == total_N % self.config.modulus)

    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        reply_NT = prompt_NT.copy()
        reply_NT[:, -1] = (prompt_NT[:, :-1].astype(int) - ZERO).sum(1) % self.config.modulus + ZERO
        return reply_NT

    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        return np.full(len(prompt_NT), min(2, 10 // self.config.modulus), np.int64)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        sorted_ND = np.sort(prompt_NT[:, :-1].astype(np.uint64) - np.uint64(ZERO), 1)
        return sorted_ND @ np.uint64(10) ** np.arange(self.config.digits, dtype=np.uint64)

    def chance(self, problems: Problems) -> float:
        return 0.1

    def read(self, text: str, source: str) -> Problems:
        lines = text.split()
        for number, line in enumerate(lines, 1):
            if len(line) != self.config.digits or not line.isdigit():
                raise UserError(f"{source}, line {number}: {line!r}", f"{self.config.digits} digits")
        return self._problems(np.array([[int(digit) for digit in line] for line in lines]).reshape(-1, self.config.digits))

    def render(self, prompt_T: np.ndarray, reply_T: np.ndarray) -> str:
        return f"{bytes(prompt_T).decode()} -> {bytes(reply_T).decode()}"

    def picture(self, cells: Sequence[str]) -> str:
        return " ".join(cells)


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installs the task for one test; yields the folder that a subprocess needs on its path, beside this one."""
    site = tmp_path_factory.mktemp("site")
    record = site / "toy-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (record / "entry_points.txt").write_text("[bdh_reason.tasks]\ntoy = toy\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no test cuts the power, and waiting for the disk would double the time
    discover._named.cache_clear()
    yield site
    discover._named.cache_clear()
