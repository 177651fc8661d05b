"""The floor and the ceiling of every table: baselines without weights. Each maps (task, prompt [N, T], scored [N, T], rng) to replies uint8 [N, T].

Of texts they are codes: each maps (training documents, documents) to bits float64 [n], of every byte of a document from the first on.
Axes: N problems, n documents, T positions, L bytes of all documents one after another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from bdh_reason.task import MARK, Task


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

Documents = Sequence[np.ndarray]


def unigram(known: Documents, documents: Documents) -> np.ndarray:
    """How often each byte is: what a model that learned nothing but the alphabet would need."""
    return _interpolated(known, documents, 0)


def order2(known: Documents, documents: Documents) -> np.ndarray:
    """How often each byte follows the two before it: what a table without any thinking would need."""
    return _interpolated(known, documents, 2)


def deflate(known: Documents, documents: Documents) -> np.ndarray:
    """What zlib needs, which knows the last 32 kB of the training documents."""
    memory = b"".join(document.tobytes() for document in known)[-(1 << 15) :]

    def packed(document: np.ndarray) -> int:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=memory)
        return 8 * len(packer.compress(document.tobytes()) + packer.flush())

    return np.array([packed(document) for document in documents], np.float64)


def _interpolated(known: Documents, documents: Documents, order: int) -> np.ndarray:
    """Bits under counts of up to `order` bytes of context, each order mixed with the one below by how many successors a context has had (Witten, Bell 1991)."""
    share_L = np.full(sum(map(len, documents)), 1 / 256)
    for reach in range(order + 1):
        gram, count = np.unique(_grams(known, reach), return_counts=True)
        context, first = np.unique(gram >> 8, return_index=True)
        total, kinds = np.add.reduceat(count, first), np.diff(np.append(first, len(gram)))
        asked_L = _grams(documents, reach)
        seen_L = _look(gram, count, asked_L)
        total_L, kinds_L = (_look(context, values, asked_L >> 8) for values in (total, kinds))
        share_L = np.where(total_L, (seen_L + kinds_L * share_L) / np.maximum(total_L + kinds_L, 1), share_L)
    ends = np.cumsum([len(document) for document in documents])
    return np.add.reduceat(-np.log2(share_L), np.append(0, ends[:-1]))


def _grams(documents: Documents, reach: int) -> np.ndarray:
    """Each byte with the `reach` before it as one number, int64 [L]; before a document stand MARKs."""
    grams = []
    for document in documents:
        padded = np.concatenate([np.full(reach, MARK), document]).astype(np.int64)
        grams.append(sum((padded[place : place + len(document)] << 8 * (reach - place) for place in range(reach + 1)), np.zeros(len(document), np.int64)))
    return np.concatenate(grams)


def _look(keys: np.ndarray, values: np.ndarray, wanted_L: np.ndarray) -> np.ndarray:
    """The value of each wanted key, which are sorted, or 0 where it is none of them."""
    place_L = np.minimum(np.searchsorted(keys, wanted_L), len(keys) - 1)
    return np.where(keys[place_L] == wanted_L, values[place_L], 0)


CODES: dict[str, Callable[[Documents, Documents], np.ndarray]] = {"unigram": unigram, "order2": order2, "deflate": deflate}
