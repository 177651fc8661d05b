"""Following pointers: a shuffled list says which node follows which; from each start, `>` for every hop, and a blank for the node that is reached.

`ab` says that b follows a. All nodes lie on one cycle, at least twice as many as there are hops, so that no way to the answer is shorter than the hops
asked for. The horizon is their number. Problems are the same where renaming the nodes takes one to the other; the order of the list is no symmetry, for
without it all lists would be one.

    options  nodes=6 hops=2 starts=2
    prompt   bfeafdacdecbd>>.f>>.
    reply    bfeafdacdecbd>>af>>e
    chance   2.8e-02

After Sanford, Hsu and Telgarsky (2024, "Transformers, parallel computation, and logarithmic depth"), with a permutation in place of a random string.

Axes: N problems, T positions, M nodes, S starts.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Computed, check_whole, renamed
from bdh_reason.task import Problems

_HOP = ord(">")
_LETTERS = (string.ascii_letters + string.digits + "".join(mark for mark in string.punctuation if mark not in ".>")).encode()


@dataclass(frozen=True)
class Config:
    """`hops`: how many pointers are followed from each of `starts` nodes, out of `nodes`."""

    hops: int = 4
    nodes: int = 64
    starts: int = 8

    def __post_init__(self) -> None:
        check_whole("nodes of khop", self.nodes, 4, len(_LETTERS))
        check_whole("hops of khop", self.hops, 1, 32)
        check_whole("starts of khop", self.starts, 1, self.nodes)
        if 2 * self.hops > self.nodes:
            raise UserError(f"hops = {self.hops} on a cycle of {self.nodes} nodes", f"up to {self.nodes // 2}, half of the way round")


EXAMPLES = (Config(hops=1, nodes=8, starts=3), Config(hops=5, nodes=12, starts=12))


class Task(Computed):
    """A list of pointers, then the questions."""

    name: ClassVar[str] = "khop"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "hops"
    ladder: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    form: ClassVar[str] = "pairs of nodes that make up one cycle, then for each start its node, a > for each hop, and a blank"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.symbols = _LETTERS[: config.nodes]
        self.positions = 2 * config.nodes + config.starts * (config.hops + 2)
        self._letter_M = np.frombuffer(self.symbols, np.uint8)
        self._node_C = np.full(256, 255, np.uint8)
        self._node_C[self._letter_M] = np.arange(config.nodes)

    def coordinates(self) -> np.ndarray:
        """The pair or the question; the byte's place in it."""
        pairs, questions = (config := self.config).nodes, config.starts
        pair_T2, question_T2 = (np.indices(shape).reshape(2, -1).T for shape in ((pairs, 2), (questions, config.hops + 2)))
        return np.concatenate([pair_T2, question_T2 + np.array([pairs, 0])]).astype(np.int16)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        nodes, starts, hops = self.config.nodes, self.config.starts, self.config.hops
        cycle_NM, place_NM, start_NM = (rng.permuted(np.tile(np.arange(nodes, dtype=np.uint8), (n, 1)), axis=1) for _ in range(3))
        row_N1 = np.arange(n)[:, None]
        pair_NM2 = np.stack([cycle_NM[row_N1, place_NM], cycle_NM[row_N1, (place_NM + 1) % nodes]], 2)
        question_NSk = np.full((n, starts, hops + 2), _HOP, np.uint8)
        question_NSk[:, :, 0] = self._letter_M[start_NM[:, :starts]]
        question_NSk[:, :, -1] = BLANK
        return np.concatenate([self._letter_M[pair_NM2].reshape(n, 2 * nodes), question_NSk.reshape(n, starts * (hops + 2))], 1)

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        question_NSk = self._questions(prompt_NT)
        asked_N = (self._node_C[question_NSk[:, :, 0]] != 255).all(1) & (question_NSk[:, :, -1] == BLANK).all(1)
        return asked_N & (question_NSk[:, :, 1:-1] == _HOP).all((1, 2)) & _one_cycle(self._pairs(prompt_NT))

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        reply_NT = prompt_NT.copy()
        question_NSk = self._questions(reply_NT)
        question_NSk[:, :, -1] = self._letter_M[_follow(self._pairs(prompt_NT), self._node_C[question_NSk[:, :, 0]], self.config.hops)]
        return reply_NT

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem with its nodes renamed."""
        byte_NC = np.tile(np.arange(256, dtype=np.uint8), (len(problems), 1))
        byte_NC[:, self._letter_M] = rng.permuted(np.tile(self._letter_M, (len(problems), 1)), axis=1)
        return renamed(problems, byte_NC)

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A node is called by its place on the left of the list: what follows each, and the starts."""
        pair_NM2, start_NS = self._pairs(prompt_NT), self._node_C[self._questions(prompt_NT)[:, :, 0]]
        place_NM = np.argsort(pair_NM2[:, :, 0], 1).astype(np.uint8)
        return np.take_along_axis(place_NM, np.concatenate([pair_NM2[:, :, 1], start_NS], 1).astype(np.int64), 1)

    def _pairs(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The nodes of the list, uint8 [N, M, 2]; 255 for bytes that are none."""
        return self._node_C[prompt_NT[:, : 2 * self.config.nodes]].reshape(len(prompt_NT), self.config.nodes, 2)

    def _questions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A view of the questions' bytes, uint8 [N, S, hops + 2]."""
        return prompt_NT[:, 2 * self.config.nodes :].reshape(len(prompt_NT), self.config.starts, self.config.hops + 2)


@njit(cache=True, nogil=True)
def _one_cycle(pair_NM2: np.ndarray) -> np.ndarray:
    """Bool [N]: whether every node is followed by one, and all by way of all others by themselves."""
    whole_N = np.empty(len(pair_NM2), np.bool_)
    nodes = pair_NM2.shape[1]
    next_M = np.empty(nodes, np.uint8)
    for i in range(len(pair_NM2)):
        next_M[:] = 255
        for k in range(nodes):
            node, then = pair_NM2[i, k]
            if node < nodes and then < nodes:
                next_M[node] = then
        node, steps = next_M[0], 1
        while 0 < node < nodes and steps < nodes:
            node = next_M[node]
            steps += 1
        whole_N[i] = node == 0 and steps == nodes
    return whole_N


@njit(cache=True, nogil=True)
def _follow(pair_NM2: np.ndarray, start_NS: np.ndarray, hops: int) -> np.ndarray:
    """The nodes reached from the starts, uint8 [N, S]."""
    reached_NS = start_NS.copy()
    next_M = np.empty(pair_NM2.shape[1], np.uint8)
    for i in range(len(pair_NM2)):
        next_M[pair_NM2[i, :, 0]] = pair_NM2[i, :, 1]
        for s in range(start_NS.shape[1]):
            for _ in range(hops):
                reached_NS[i, s] = next_M[reached_NS[i, s]]
    return reached_NS
