"""Solved examples before a problem, as a stream that is read from left to right: each example is its prompt and then its answer, both with all their bytes.

With a cipher the symbols of all answers in one stream are exchanged in one way, drawn for that stream: how an answer is spelled there can be learned from
its examples alone, and rules judge a reply after its symbols were exchanged back.

Axes: N problems, T positions, K examples before each, M streams, C the 256 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bdh_reason import rng
from bdh_reason.data.batches import Batches
from bdh_reason.errors import UserError
from bdh_reason.task import Board, Problems


class Cipher(NamedTuple):
    """What stands for each byte of an answer, and what undoes it: uint8 [N, C] both."""

    there_NC: np.ndarray
    back_NC: np.ndarray


def ciphers(draw: np.random.Generator, symbols: bytes, n: int, share: float) -> Cipher:
    """Exchanges of these symbols, n of them: a random one with the chance `share`, else every byte stands for itself."""
    there_NC = np.tile(np.arange(256, dtype=np.uint8), (n, 1))
    back_NC, symbol_NS = there_NC.copy(), np.tile(np.frombuffer(symbols, np.uint8), (n, 1))
    image_NS = np.where(draw.random((n, 1)) < share, draw.permuted(symbol_NS, axis=1), symbol_NS)
    np.put_along_axis(there_NC, symbol_NS.astype(np.int64), image_NS, 1)
    np.put_along_axis(back_NC, image_NS.astype(np.int64), symbol_NS, 1)
    return Cipher(there_NC, back_NC)


def spelled(reply_NT: np.ndarray, scored_NT: np.ndarray, byte_NC: np.ndarray) -> np.ndarray:
    """Replies uint8 [N, T] with the bytes of their scored positions exchanged for those that byte_NC has in their place."""
    return np.where(scored_NT, np.take_along_axis(byte_NC, reply_NT.astype(np.int64), 1), reply_NT)


def others(draw: np.random.Generator, n: int, count: int) -> np.ndarray:
    """For each of n problems `count` different other ones, int64 [n, count]; a larger count begins with the same ones.

    Raises UserError where there are not as many.
    """
    if not 0 <= count < n:
        raise UserError(f"{count} examples out of {n} problems, one of which is asked", f"0 to {n - 1}")
    chosen_NK = np.array([draw.permutation(n - 1)[:count] for _ in range(n)], np.int64).reshape(n, count)
    return chosen_NK + (chosen_NK >= np.arange(n)[:, None])


def shown(problems: Problems, chosen_NK: np.ndarray, byte_NC: np.ndarray) -> np.ndarray:
    """The solved examples of each stream one after another, uint8 [N, K, 2T]; byte_NC spells the answers of stream N."""
    n, count = chosen_NK.shape
    flat = problems.take(chosen_NK.ravel())
    answer_XT = spelled(flat.target, flat.scored, np.repeat(byte_NC, count, 0))
    return np.concatenate([flat.prompt, answer_XT], 1).reshape(n, count, 2 * problems.prompt.shape[1])


def stretched(board: Board, examples: int) -> Board:
    """The board of a stream of so many examples and one more prompt."""
    times = 2 * examples + 1
    if times == 1:
        return board
    return replace(board, positions=times * board.positions, coordinates_TK=np.tile(board.coordinates_TK, (times, 1)))


def streams(problems: Problems, examples: int, byte_MC: np.ndarray) -> Problems:
    """M (examples + 1) problems as M streams, in each of which every problem is asked, and then shown with its answer, the last one only asked.

    Difficulty and family are those of the last.
    """
    each, positions = examples + 1, problems.prompt.shape[1]
    answer_NT = spelled(problems.target, problems.scored, np.repeat(byte_MC, each, 0))

    def row(asked_NT: np.ndarray, told_NT: np.ndarray) -> np.ndarray:
        return np.stack([asked_NT, told_NT], 1).reshape(len(byte_MC), -1)[:, :-positions]

    scored_NT = problems.scored
    return Problems(
        row(problems.prompt, answer_NT),
        row(answer_NT, answer_NT),
        row(scored_NT, np.zeros_like(scored_NT)),
        problems.difficulty[examples::each],
        problems.family[examples::each],
    )


@dataclass(frozen=True, eq=False)
class Lessons:
    """Batches of streams, as a pure function of the step: each takes `examples` + 1 problems of `batches`, whose size is a multiple of that."""

    batches: Batches
    examples: int
    cipher: float

    def at(self, step: int) -> Problems:
        """The streams of one step."""
        problems = self.batches.at(step)
        draw = rng.generator(self.batches.seed, "ciphers", index=step)
        symbols = self.batches.task.board("cells", "sequence").symbols
        return streams(problems, self.examples, ciphers(draw, symbols, len(problems) // (self.examples + 1), self.cipher).there_NC)


def exam(problems: Problems, symbols: bytes, count: int, cipher: float, seed: int) -> tuple[np.ndarray, Cipher]:
    """For each problem of an exam its `count` solved examples out of the others, uint8 [N, count, 2T], and the key of its stream.

    Raises UserError as `others` does.
    """
    n = len(problems)
    chosen_NK = others(rng.generator(seed, "examples"), n, count)
    key = ciphers(rng.generator(seed, "ciphers of an exam"), symbols, n, cipher)
    return shown(problems, chosen_NK, key.there_NC), key


def check(shots: Sequence[int]) -> None:
    """Raises UserError unless these are numbers of examples."""
    if not shots or min(shots) < 0:
        raise UserError(f"shots {', '.join(map(str, shots)) or 'of no number'}", "numbers from 0, e.g. 0,1,2,4")
