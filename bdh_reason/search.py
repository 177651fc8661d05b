"""Exact search: variables that take one of a few values, units of variables that take different ones, and pairs of which the first takes the smaller.

A state holds for each variable the values it may still take, value s as bit s. Deduction takes a value from the rest of a unit once a variable has it, and
gives it to the only variable left for it where a unit needs every value. Then the search branches, depth first on an explicit stack.

Axes: N problems, M = N or 1 networks, X variables, U units of K variables, P pairs, L levels of a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from bdh_reason.errors import UserError

UNDECIDED = -1  # in place of a number of solutions, where the guesses ran out
NONE = -1  # in place of a pair's variables, where there is no pair
_DEAD, _OPEN, _SOLVED = 0, 1, 2
_DOUBT = 1_000  # guesses after which a clue counts as needed
_MOST = 1_000_000  # guesses that a solution may take


class Network(NamedTuple):
    """The rules of a problem; of the arrays along M one row serves all problems, or each has its own.

    values: how many there are · unit_MUK uint16: variables that take different values · shift_UK int64: what is added to their values before ·
    whole_U bool: whether every value occurs in the unit · less_MP2 int64: the first of a pair takes the smaller value; NONE, where there is no pair.
    """

    values: int
    unit_MUK: np.ndarray
    shift_UK: np.ndarray
    whole_U: np.ndarray
    less_MP2: np.ndarray


def network(values: int, unit_MUK: np.ndarray, whole: bool | Sequence[bool], shift_UK: np.ndarray | None = None, less_MP2: np.ndarray | None = None) -> Network:
    """The arrays as the search wants them; without shifts and without pairs where none are given."""
    units = unit_MUK.shape[1]
    shifts = np.zeros(unit_MUK.shape[1:]) if shift_UK is None else shift_UK
    pairs = np.zeros((1, 0, 2)) if less_MP2 is None else less_MP2
    whole_U = np.full(units, whole) if isinstance(whole, bool) else np.array(whole)
    return Network(values, *(np.array(part, kind, order="C") for part, kind in ((unit_MUK, np.uint16), (shifts, np.int64), (whole_U, bool), (pairs, np.int64))))


@dataclass(frozen=True)
class Solved:
    """solutions_N int64, counted up to the limit · guesses_N int64, branches taken · value_NX int64, the solution found last, if any."""

    solutions_N: np.ndarray
    guesses_N: np.ndarray
    value_NX: np.ndarray


def solve(net: Network, state_NX: np.ndarray, limit: int) -> Solved:
    """Counts the solutions up to `limit` where variable x may take the values state_NX[:, x], int64. Raises UserError where a million guesses did not do."""
    solved = Solved(*_solve(net, np.ascontiguousarray(state_NX), limit, _MOST))
    for i in np.flatnonzero(solved.solutions_N == UNDECIDED)[:1]:
        raise UserError(f"problem {i} (counted from 0) is not decided after {_MOST:,} guesses", remedy="give more clues")
    return solved


def fill(net: Network, rng: np.random.Generator, n: int) -> np.ndarray:
    """Random solutions, int64 [n, X]: every solution can come, not all equally often."""
    return _fill(net, rng, n)


def dig(net: Network, rng: np.random.Generator, value_NX: np.ndarray) -> np.ndarray:
    """Which variables to show of each solution, bool [N, X], so that it stays the only one; none can be spared but those of which
    1,000 guesses left that open.
    """
    return _dig(net, rng, 1 << np.ascontiguousarray(value_NX))


def obeyed(net: Network, value_NX: np.ndarray) -> np.ndarray:
    """Bool [N]: whether values obey all units and all pairs."""
    return _obeyed(net, np.ascontiguousarray(value_NX))


@njit(cache=True, nogil=True)
def _solve(net: Network, state_NX: np.ndarray, limit: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    solutions_N, guesses_N, value_NX = np.zeros(len(state_NX), np.int64), np.zeros(len(state_NX), np.int64), np.zeros_like(state_NX)
    stack_LX, nothing_X = _stack(state_NX.shape[1]), np.zeros(state_NX.shape[1], np.int64)
    for i in range(len(state_NX)):
        stack_LX[0] = state_NX[i]
        solutions_N[i], guesses_N[i] = _search(net, i, stack_LX, limit, most, nothing_X, value_NX[i])
    return solutions_N, guesses_N, value_NX


@njit(cache=True, nogil=True)
def _stack(variables: int) -> np.ndarray:
    """Room for a search: every level but the first has settled one more variable."""
    return np.zeros((variables + 1, variables), np.int64)


@njit(cache=True, nogil=True)
def _search(net: Network, i: int, stack_LX: np.ndarray, limit: int, most: int, known_X: np.ndarray, last_X: np.ndarray) -> tuple[int, int]:
    """The solutions of problem i from the state of level 0 but for a known one (as bits, or zeros), up to `limit`, and the guesses; the last one is kept."""
    unit_UK, less_P2 = net.unit_MUK[i % len(net.unit_MUK)], net.less_MP2[i % len(net.less_MP2)]
    solutions = guesses = level = 0
    while level >= 0:
        found = _propagate(net.values, unit_UK, net.shift_UK, net.whole_U, less_P2, stack_LX[level])
        if found == _OPEN:
            if guesses == most:
                return UNDECIDED, guesses
            guesses += 1
            x = _fewest(stack_LX[level])
            low = stack_LX[level, x] & known_X[x]  # another solution is found soonest near the known one
            if not low:
                low = stack_LX[level, x] & -stack_LX[level, x]
            for other in range(len(last_X)):
                stack_LX[level + 1, other] = stack_LX[level, other]
            stack_LX[level + 1, x] = low
            stack_LX[level, x] ^= low
            level += 1
            continue
        if found == _SOLVED:
            new = False
            for x in range(len(last_X)):
                last_X[x] = _size(stack_LX[level, x] - 1)
                new |= stack_LX[level, x] != known_X[x]
            solutions += new
            if solutions == limit:
                break
        level -= 1
    return solutions, guesses


@njit(cache=True, nogil=True)
def _fewest(state_X: np.ndarray) -> int:
    """The first of the variables with the fewest values, of those that have more than one."""
    best, fewest = 0, 64
    for x in range(len(state_X)):
        rest = state_X[x] & (state_X[x] - 1)
        if rest:
            values = _size(rest)
            if values < fewest:
                best, fewest = x, values
                if values == 1:
                    break
    return best


@njit(cache=True, nogil=True)
def _size(mask: int) -> int:
    """How many values a mask holds."""
    values = 0
    while mask:
        mask &= mask - 1
        values += 1
    return values


@njit(cache=True, nogil=True)
def _propagate(values: int, unit_UK: np.ndarray, shift_UK: np.ndarray, whole_U: np.ndarray, less_P2: np.ndarray, state_X: np.ndarray) -> int:
    """Deduces until nothing new follows: dead, open or solved. Written in one piece, for a call would cost more than a unit."""
    full, u, quiet = (1 << values) - 1, 0, 0
    while quiet <= len(unit_UK):
        if u == len(unit_UK):
            quiet = 0 if _compare(less_P2, state_X) else quiet + 1
            u = 0
            continue
        once = twice = taken = left = total = np.int64(0)
        for k in range(unit_UK.shape[1]):
            mask = state_X[unit_UK[u, k]] << shift_UK[u, k]
            twice |= once & mask
            once |= mask
            many = mask if mask & (mask - 1) else 0
            left |= many
            taken |= mask ^ many
            total += mask ^ many
        lone = left & ~twice if whole_U[u] else 0
        if taken != total or (whole_U[u] and once != full):  # the sum of two that are equal is another bit
            return _DEAD
        quiet += 1
        if left & taken | lone:
            quiet = 0
            for k in range(unit_UK.shape[1]):
                mask = state_X[unit_UK[u, k]] << shift_UK[u, k]
                if mask & (mask - 1):
                    kept = mask & lone if mask & lone else mask & ~taken
                    if not kept or kept & lone & (kept - 1):
                        return _DEAD
                    state_X[unit_UK[u, k]] = kept >> shift_UK[u, k]
        u += 1
    several = False
    for x in range(len(state_X)):
        if not state_X[x]:
            return _DEAD
        several |= state_X[x] & (state_X[x] - 1) != 0
    return _OPEN if several else _SOLVED


@njit(cache=True, nogil=True)
def _compare(less_P2: np.ndarray, state_X: np.ndarray) -> bool:
    """Takes from each pair what is not below or not above anything of the other; whether that changed something."""
    changed = False
    for p in range(len(less_P2)):
        a, b = less_P2[p]
        if a != NONE and state_X[a] and state_X[b]:
            below = state_X[b] >> 1
            for half in (1, 2, 4, 8, 16):
                below |= below >> half
            less = state_X[a] & below
            more = state_X[b] & -((less & -less) << 1)
            changed |= less != state_X[a] or more != state_X[b]
            state_X[a], state_X[b] = less, more
    return changed


@njit(cache=True, nogil=True)
def _fill(net: Network, rng: np.random.Generator, n: int) -> np.ndarray:
    """Random values for the variables with the fewest left, from the start again where that ends in a contradiction."""
    variables = net.unit_MUK.max() + 1
    value_NX, state_X = np.zeros((n, variables), np.int64), np.zeros(variables, np.int64)
    for i in range(n):
        unit_UK, less_P2 = net.unit_MUK[i % len(net.unit_MUK)], net.less_MP2[i % len(net.less_MP2)]
        found = _DEAD
        while found != _SOLVED:
            if found == _DEAD:
                state_X[:] = (1 << net.values) - 1
            x = _fewest(state_X)
            for _ in range(int(rng.random() * _size(state_X[x]))):
                state_X[x] &= state_X[x] - 1
            state_X[x] &= -state_X[x]
            found = _propagate(net.values, unit_UK, net.shift_UK, net.whole_U, less_P2, state_X)
        for x in range(variables):
            value_NX[i, x] = _size(state_X[x] - 1)
    return value_NX


@njit(cache=True, nogil=True)
def _dig(net: Network, rng: np.random.Generator, known_NX: np.ndarray) -> np.ndarray:
    """Takes clues away in random order, twice as many at a time while that leaves the solution the only one; else the last is kept in which another differs."""
    variables = known_NX.shape[1]
    shown_NX, order_X = np.ones(known_NX.shape, np.bool_), np.arange(variables)
    stack_LX, other_X = _stack(variables), np.zeros(variables, np.int64)
    for i in range(len(known_NX)):
        for x in range(variables - 1, 0, -1):
            y = int(rng.random() * (x + 1))
            order_X[x], order_X[y] = order_X[y], order_X[x]
        done, step, keep = 0, 1, variables
        while done < variables:
            taken_X = order_X[done : done + step]
            shown_NX[i, taken_X] = False
            last = _doubtful(net, i, stack_LX, known_NX[i], shown_NX[i], taken_X, other_X)
            if last < 0:
                done, step = done + len(taken_X), 2 * len(taken_X)
                done += done == keep
            else:
                shown_NX[i, taken_X] = True
                done, step, keep = done + (last == 0), max(1, last), done + last
    return shown_NX


@njit(cache=True, nogil=True)
def _doubtful(net: Network, i: int, stack_LX: np.ndarray, known_X: np.ndarray, shown_X: np.ndarray, taken_X: np.ndarray, other_X: np.ndarray) -> int:
    """The last of the clues that were taken in which another solution differs; -1 where there is none."""
    full = (1 << net.values) - 1
    for x in range(len(known_X)):
        stack_LX[0, x] = known_X[x] if shown_X[x] else full
    last = len(taken_X) - 1
    if last == 0:
        stack_LX[0, taken_X[0]] ^= known_X[taken_X[0]]
    one, most = int(np.int64(1)), int(np.int64(_DOUBT))  # plain numbers are types of their own for numba, and the search would be compiled twice
    found = _search(net, i, stack_LX, one, most, known_X, other_X)[0]
    if found == 0:
        return -1
    while found == 1 and 1 << other_X[taken_X[last]] == known_X[taken_X[last]]:
        last -= 1
    return last


@njit(cache=True, nogil=True)
def _obeyed(net: Network, value_NX: np.ndarray) -> np.ndarray:
    right_N = np.ones(len(value_NX), np.bool_)
    for i in range(len(value_NX)):
        unit_UK, less_P2 = net.unit_MUK[i % len(net.unit_MUK)], net.less_MP2[i % len(net.less_MP2)]
        twice = False
        for u in range(len(unit_UK)):
            seen = np.int64(0)
            for k in range(unit_UK.shape[1]):
                bit = 1 << value_NX[i, unit_UK[u, k]] + net.shift_UK[u, k]
                twice |= seen & bit != 0
                seen |= bit
        for p in range(len(less_P2)):
            a, b = less_P2[p]
            twice |= a != NONE and value_NX[i, a] >= value_NX[i, b]
        right_N[i] = not twice
    return right_N
