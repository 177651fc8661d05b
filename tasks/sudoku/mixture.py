"""Puzzles in asked shares of difficulty out of nothing, extreme ones included.

Random minimal puzzles are seldom hard, but the neighbours of a hard puzzle (vicinity.py) often are. So a pool of roots climbs: of all neighbours of
the roots the hardest are freed of superfluous clues and become the next roots, no more than a third of them from one first root, so that some
different ones stay. Once up they go on from neighbours of the same level, and what they pass is what is wanted: around roots that need some 80
guesses, two fifths of the puzzles need 11 to 50 and a tenth needs more. A climb ends after a while and another begins from new roots, for some get
stuck, and puzzles of one climb resemble each other. Random minimal puzzles make up the easy share.

All puzzles of a mixture have different solutions (as far as kin.py tells them apart). The effort is counted in generations, never in seconds.

Axes: N, M puzzles, R roots, B difficulty slices, T cells. Boards are uint8, 0 for a blank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bdh_reason.errors import UserError

from .generator import minimal, strip
from .kin import kin
from .rating import difficulty
from .shape import Shape
from .solver import solve
from .symmetry import transform
from .vicinity import neighbours

Belongs = Callable[[np.ndarray], np.ndarray]  # kin uint64 [N] -> bool [N]: whether a puzzle may be used
EASY = 2  # slices that random minimal puzzles fill
_ROOTS, _OF_ONE = 96, 32  # how many roots, and how many of them may come from the same first root
_CLIMBS, _GENERATIONS = 20, 40  # how many climbs, and how long each; most are up after 15 to 25 generations
_FIRST = 2000  # random minimal puzzles, from the hardest of which a climb starts
_LEVEL = 1.6  # the guesses a root should need, in lower edges of the hardest slice that is asked for; more is no better
_UP = 0.75  # the part of that level which the roots need on average to be up


class _Basket:
    """Collects puzzles until each slice of difficulty has what it should; the first of a kin is taken, the others are passed over."""

    def __init__(self, shape: Shape, edges: Sequence[float], wanted_B: np.ndarray, belongs: Belongs) -> None:
        self.shape, self.edges, self.wanted_B, self.belongs = shape, edges, wanted_B, belongs
        empty_NT = np.empty((0, shape.cells), np.uint8)
        self.puzzle_NT, self.solution_NT = empty_NT, empty_NT
        self.difficulty_N, self.kin_N = np.empty(0, np.float32), np.empty(0, np.uint64)

    @property
    def missing_B(self) -> np.ndarray:
        """int64 [B]: how many puzzles each slice still lacks."""
        return self.wanted_B - np.bincount(self._slice(self.difficulty_N), minlength=len(self.wanted_B))

    def offer(self, puzzle_NT: np.ndarray, solution_NT: np.ndarray, slices: slice = slice(None)) -> None:
        """Takes what fits into `slices`, in order."""
        missing_B = np.zeros_like(self.wanted_B)
        missing_B[slices] = self.missing_B[slices]
        kin_N = kin(self.shape, solution_NT)
        first_N = np.zeros(len(kin_N), bool)
        first_N[np.unique(kin_N, return_index=True)[1]] = True
        new_N = np.flatnonzero(first_N & self.belongs(kin_N) & ~np.isin(kin_N, self.kin_N))
        difficulty_N = difficulty(self.shape, puzzle_NT[new_N])
        slice_N = self._slice(difficulty_N)
        taken_N = np.sort(np.concatenate([np.flatnonzero(slice_N == b)[:missing] for b, missing in enumerate(missing_B)]))
        rows = new_N[taken_N]
        self.puzzle_NT, self.solution_NT = np.concatenate([self.puzzle_NT, puzzle_NT[rows]]), np.concatenate([self.solution_NT, solution_NT[rows]])
        self.difficulty_N, self.kin_N = np.concatenate([self.difficulty_N, difficulty_N[taken_N]]), np.concatenate([self.kin_N, kin_N[rows]])

    def _slice(self, difficulty_N: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.edges, difficulty_N, side="left")


def mixture(
    shape: Shape, rng: np.random.Generator, n: int, shares: Sequence[float], edges: Sequence[float], belongs: Belongs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many puzzles as `n` says in random order, `shares` of them in the slices that `edges` cut, all of whose kin `belongs`.

    Returns the puzzles uint8 [n, T], their solutions uint8 [n, T] and their difficulty float32 [n].
    Raises UserError, saying what was reached, where 20 climbs do not fill the shares.
    """
    basket = _Basket(shape, edges, quotas(n, shares), belongs)
    for _ in range(_CLIMBS):
        if basket.missing_B[:EASY].any():
            puzzle_NT = minimal(shape, rng, n)
            basket.offer(puzzle_NT, solve(shape, puzzle_NT, 1).first_NT, slice(EASY))
    for _ in range(_CLIMBS):
        if basket.missing_B.any():
            _climb(rng, basket)
    if basket.missing_B.any():
        raise _short(basket)
    order_N = rng.permutation(n)
    return basket.puzzle_NT[order_N], basket.solution_NT[order_N], basket.difficulty_N[order_N]


def quotas(n: int, shares: Sequence[float]) -> np.ndarray:
    """int64 [B]: n in whole numbers as close to the shares as can be; what is left over goes to the largest remainders."""
    exact_B = n * np.array(shares, float) / sum(shares)
    quota_B = np.floor(exact_B).astype(np.int64)
    quota_B[np.argsort(quota_B - exact_B, kind="stable")[: n - quota_B.sum()]] += 1
    return quota_B


def _climb(rng: np.random.Generator, basket: _Basket) -> None:
    """Climbs from random puzzles, and once up fills the basket from what it passes. No solution is passed twice, so it has to move on."""
    shape, slowest = basket.shape, int(np.flatnonzero(basket.wanted_B)[-1])
    level = _LEVEL * basket.edges[max(slowest - 1, 1)]
    start_NT = minimal(shape, rng, _FIRST)
    chosen_R, height = _hardest(shape, rng, start_NT, np.arange(_FIRST), level)
    root_RT, first_R, passed = start_NT[chosen_R], np.arange(len(chosen_R)), np.empty(0, np.uint64)
    for _ in range(_GENERATIONS):
        puzzle_MT, solution_MT, root_M = neighbours(shape, rng, root_RT)
        kin_M = kin(shape, solution_MT)
        new_M = np.sort(np.unique(kin_M, return_index=True)[1])
        new_M = new_M[~np.isin(kin_M[new_M], passed)]
        passed = np.concatenate([passed, kin_M[new_M]])
        if height >= _UP * level:
            basket.offer(puzzle_MT[new_M], solution_MT[new_M])
        if not len(new_M) or not basket.missing_B.any():
            return
        chosen_R, height = _hardest(shape, rng, puzzle_MT[new_M], first_R[root_M[new_M]], level)
        root_RT, first_R = strip(shape, rng, puzzle_MT[new_M[chosen_R]]), first_R[root_M[new_M[chosen_R]]]


def _short(basket: _Basket) -> UserError:
    """What a basket lacks, as an error."""
    names = ["without a guess", *(f"of more than {edge:g} guesses" for edge in basket.edges)]
    found = [f"{wanted - missing} of {wanted} puzzles {name}" for name, wanted, missing in zip(names, basket.wanted_B, basket.missing_B) if missing]
    effort = f"after {_CLIMBS} climbs of {_GENERATIONS} generations"
    return UserError(f"the mix of difficulties was not reached {effort}: {', '.join(found)}", remedy="ask for a smaller share of these")


def _hardest(shape: Shape, rng: np.random.Generator, puzzle_MT: np.ndarray, first_M: np.ndarray, level: float) -> tuple[np.ndarray, float]:
    """Which puzzles become roots: the hardest up to `level`, those above it being equal, at most _OF_ONE from one first root; and their mean guesses,
    none counted above `level`.

    One count of guesses on a random isomorph is enough here; a fixed one would breed puzzles that are hard in their own orientation alone.
    """
    guesses_M = np.minimum(solve(shape, transform(shape, rng, puzzle_MT)[0], 1).guesses_N, level)
    order_M = np.lexsort((rng.random(len(guesses_M)), -guesses_M))
    by_first_M = np.argsort(first_M[order_M], kind="stable")
    sorted_M = first_M[order_M][by_first_M]
    rank_M = np.empty(len(order_M), np.int64)
    rank_M[by_first_M] = np.arange(len(order_M)) - np.searchsorted(sorted_M, sorted_M)
    chosen_R = order_M[rank_M < _OF_ONE][:_ROOTS]
    return chosen_R, float(guesses_M[chosen_R].mean())
