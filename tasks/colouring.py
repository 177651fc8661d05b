"""Colouring: one of three colours for every node of a graph, so that no edge joins two of a colour. Some are given and leave exactly one way to go on.

A prompt lists the edges, two letters each, and then every node with its colour, or `.` for a colour to be found:

    options  nodes=10
    prompt   gfhaiebhfiajehdhjejbfefhjhjifaedcdadgdchgciajcdbaga.b3c.d2e.f.g.h.i.j.
    reply    gfhaiebhfiajehdhjejbfefhjhjifaedcdadgdchgciajcdbaga3b3c3d2e3f2g1h1i1j2
    chance   1.5e-04

The graph is planted: the nodes are split into three classes of a size, five edges for every two nodes are drawn between classes, and a colour is given
where it cannot be spared, or where 1,000 guesses would leave that open, as they did for none of 38,615 at 52 nodes. The horizon is the number of
nodes, chance is 3^-blanks. An edge list and no adjacency matrix, because it grows with the nodes and not with their square; a model has to find a node by
its letter.

Axes: N problems, T = 2E + 2V positions, E edges, V nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numba import njit

from bdh_reason import symmetry
from bdh_reason.lines import BLANK, check_whole, renamed
from bdh_reason.puzzles import Puzzle
from bdh_reason.search import Network, network
from bdh_reason.task import Board, Problems, Reading, View

NAMES = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
COLOURS = np.frombuffer(b"123", np.uint8)


@dataclass(frozen=True)
class Config:
    """`nodes` of the graph, which has five edges for every two of them."""

    nodes: int = 16

    def __post_init__(self) -> None:
        check_whole("nodes of colouring", self.nodes, 10, len(NAMES))


EXAMPLES = (Config(10), Config(), Config(25))  # the configurations that tests run over


class Task(Puzzle):
    """A graph in the text, some colours, and the others to be found."""

    name: ClassVar[str] = "colouring"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "nodes"
    ladder: ClassVar[tuple[int, ...]] = (12, 16, 24, 32, 48)
    form: ClassVar[str] = "two letters for each edge, then each letter with its colour 1, 2, 3 or a ."
    symbols = COLOURS.tobytes()

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.edges_E = 5 * config.nodes // 2
        self.positions = 2 * (self.edges_E + config.nodes)
        self.places = np.arange(2 * self.edges_E + 1, self.positions, 2)

    def coordinates(self) -> np.ndarray:
        """Whether in an edge or beside a colour; the place in the pair. A node is found by its letter, wherever it stands."""
        place_T = np.arange(self.positions)
        return np.stack([place_T >= 2 * self.edges_E, place_T % 2], 1).astype(np.int16)

    def board(self, view: View, reading: Reading) -> Board:
        """The bytes; as a grid, which has no order, one relation joins the two of a pair, and another everything with everything."""
        board = super().board(view, reading)
        pair_T = np.arange(self.positions) // 2
        return replace(board, mask_RTT=np.stack([pair_T[:, None] == pair_T, np.ones((self.positions,) * 2, bool)])) if reading == "grid" else board

    def picture(self, cells: Sequence[str]) -> str:
        """The edges, ten in a row, and below them the nodes."""
        pairs = ["".join(cells[start : start + 2]) for start in range(0, len(cells), 2)]
        rows = [part[start : start + 10] for part in (pairs[: self.edges_E], pairs[self.edges_E :]) for start in range(0, len(part), 10)]
        return "\n".join(" ".join(row) for row in rows)

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        name_V = NAMES[: self.config.nodes]
        return np.isin(prompt_NT[:, : 2 * self.edges_E], name_V).all(1) & (prompt_NT[:, 2 * self.edges_E :: 2] == name_V).all(1)

    def network(self, prompt_NT: np.ndarray) -> Network:
        """The ends of each edge take different values."""
        return network(3, self._edges(prompt_NT), False)

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        class_V = np.arange(self.config.nodes) % 3
        colour_NV = rng.permuted(rng.permuted(np.arange(3)[None].repeat(n, 0), axis=1)[:, class_V], axis=1)
        return self.dug(rng, self._text(_plant(rng, colour_NV, self.edges_E), COLOURS[colour_NV]))

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Nodes and colours renamed, the edges and the ends of each in another order."""
        n, row_N1 = len(problems), np.arange(len(problems))[:, None]
        byte_NB = np.tile(np.arange(256, dtype=np.uint8), (n, 1))
        byte_NB[:, COLOURS] = rng.permuted(np.tile(COLOURS, (n, 1)), axis=1)
        changed = renamed(problems, byte_NB)
        name_NV = rng.permuted(np.tile(np.arange(self.config.nodes), (n, 1)), axis=1)
        edge_NE2 = rng.permuted(name_NV[row_N1[:, :, None], self._edges(problems.prompt)], axis=2)
        edge_NE2 = edge_NE2[row_N1, rng.random((n, self.edges_E)).argsort(1)]
        prompt_NT, target_NT = (self._text(edge_NE2, byte_NT[:, self.places][row_N1, name_NV.argsort(1)]) for byte_NT in (changed.prompt, changed.target))
        return Problems(prompt_NT, target_NT, prompt_NT == BLANK, problems.difficulty, problems.family)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """What colour refinement sees of the graph and its given colours: classes may be merged and are never split."""
        nodes = self.config.nodes
        edge_NE3 = np.insert(self._edges(prompt_NT), 2, nodes + 3, axis=2)
        colour_NV = self.board("cells", "grid").index(prompt_NT[:, self.places])
        node_NV = np.where(colour_NV < 0, symmetry.NOBODY, np.arange(nodes))
        given_NV3 = np.stack([node_NV, nodes + colour_NV, np.full_like(node_NV, nodes + 4)], 2)
        kind_V = np.repeat(np.arange(4, dtype=np.uint64), (nodes, 3, 1, 1))  # nodes, colours, and what is in every edge and in every given colour
        return symmetry.refined(np.concatenate([edge_NE3, given_NV3], 1).astype(np.int16), kind_V)

    def _edges(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The nodes at the ends of each edge, int64 [N, E, 2]; 0 for what is no name."""
        node_B = np.zeros(256, np.int64)
        node_B[NAMES[: self.config.nodes]] = np.arange(self.config.nodes)
        return node_B[prompt_NT[:, : 2 * self.edges_E]].reshape(len(prompt_NT), self.edges_E, 2)

    def _text(self, edge_NE2: np.ndarray, colour_NV: np.ndarray) -> np.ndarray:
        node_NV2 = np.stack(np.broadcast_arrays(NAMES[: self.config.nodes], colour_NV), 2)
        return np.concatenate([NAMES[edge_NE2], node_NV2], 1).reshape(len(edge_NE2), self.positions)


@njit(cache=True, nogil=True)
def _plant(rng: np.random.Generator, colour_NV: np.ndarray, edges: int) -> np.ndarray:
    """Random edges between nodes of different colours, no two between the same nodes, int64 [N, E, 2]."""
    edge_NE2 = np.empty((len(colour_NV), edges, 2), np.int64)
    nodes = colour_NV.shape[1]
    joined_VV = np.full((nodes, nodes), -1)
    for i in range(len(colour_NV)):
        e = 0
        while e < edges:
            a, b = int(rng.random() * nodes), int(rng.random() * nodes)
            if colour_NV[i, a] != colour_NV[i, b] and joined_VV[a, b] != i:
                joined_VV[a, b] = joined_VV[b, a] = i
                edge_NE2[i, e, 0], edge_NE2[i, e, 1] = a, b
                e += 1
    return edge_NE2
