"""Training batches of a text, as a pure function of (seed, step): windows from anywhere, or streams whose windows follow each other.

Streams: in each epoch the documents are shuffled and laid in a row of windows, the last of each document filled up. Every place of the batch begins where
a document does, at equal distances, and reads on from step to step; the next epoch begins when the places have read as much as the row holds. So every
window is read about once an epoch, and a window that begins with the text's MARK says that what was remembered belongs to another document.

Axes: B places of the batch, T bytes of a window, D documents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from bdh_reason.task import MARK, Corpus, Problems


@dataclass(frozen=True, eq=False)
class Windows:
    """The batches of `size` windows of `length` bytes from the training documents.

    Raises UserError for a text that cannot be had, and for one with too few windows or, of streams, documents.
    """

    corpus: Corpus
    size: int
    length: int
    seed: int
    stream: bool = False

    def __post_init__(self) -> None:
        held = len(self._windows_D)
        if self.stream and held < self.size:  # two would begin with the same document and read on alike
            raise UserError(f"{self.size} streams through a text of {held} documents", f"up to {held}", "a smaller batch, shorter documents or a longer text")
        self.at(0)

    @cached_property
    def _windows_D(self) -> np.ndarray:
        return np.array([-(-len(document) // self.length) for document in self.corpus.documents("train")])

    def at(self, step: int) -> Problems:
        """The windows of one step: prompt, the bytes before those of the target, which are scored; filled up with MARK, which is not.

        difficulty is 0; family is a hash of the prompt.
        """
        target_BT, scored_BT, before_B = self._read_on(step) if self.stream else self._anywhere(step)
        prompt_BT = np.where(scored_BT, np.concatenate([before_B[:, None], target_BT[:, :-1]], 1), np.uint8(MARK))
        family_B = np.array([int.from_bytes(hashlib.sha256(prompt_T).digest()[:8], "little") for prompt_T in prompt_BT], np.uint64)
        return Problems(prompt_BT, target_BT, scored_BT, np.zeros(self.size, np.float32), family_B)

    def _anywhere(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row_BT = self.corpus.windows(generator(self.seed, "windows", index=step), self.size, self.length + 1)
        return row_BT[:, 1:], np.ones((self.size, self.length), bool), row_BT[:, 0]

    def _read_on(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(target, scored, the byte before the first) of each place."""
        documents, total = self.corpus.documents("train"), int(self._windows_D.sum())
        apart = total // self.size
        epoch, turn = divmod(step, apart)
        order_D = generator(self.seed, "document order", index=epoch).permutation(len(documents))
        end_D = np.cumsum(self._windows_D[order_D])
        first_D = end_D - self._windows_D[order_D]
        begin_B = first_D[np.searchsorted(first_D, np.arange(self.size) * apart) % len(documents)]
        window_B = (begin_B + turn) % total
        place_B = np.searchsorted(end_D, window_B, side="right")
        start_B = (window_B - first_D[place_B]) * self.length
        target_BT = np.full((self.size, self.length), MARK, np.uint8)
        before_B = np.full(self.size, MARK, np.uint8)
        for b, (document, start) in enumerate(zip(order_D[place_B], start_B)):
            part_t = documents[document][start : start + self.length]
            target_BT[b, : len(part_t)] = part_t
            before_B[b] = documents[document][start - 1] if start else MARK
        return target_BT, target_BT != MARK, before_B
