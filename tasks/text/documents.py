"""A text in documents: lines that were there before are left out, and what remains is cut where it pauses; the content of each decides its split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from . import parallel

SPLITS = ("train", "validation", "test")
REPEAT = 24  # bytes from which on a line is kept once; shorter ones (names of speakers, "Ay.") may come again
LINE = 2048  # bytes; a longer line is cut


def cut(texts: Iterable[bytes], size: int) -> list[bytes]:
    """Documents of about `size` bytes: each ends at the first empty line after so many, at the first line's end after twice as many, or with its text.

    No line of REPEAT bytes or more is in two documents, and no document is twice.
    """
    seen: set[bytes] = set()
    return list(dict.fromkeys(document for text in texts for document in _cut(text, size, seen) if document.strip()))


def _cut(text: bytes, size: int, seen: set[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    length = 0
    for line in text.splitlines(keepends=True):
        words = line.strip()
        if len(words) >= REPEAT:
            if words in seen:
                continue
            seen.add(words)
        for piece in (line[start : start + LINE] for start in range(0, len(line), LINE)):
            held.append(piece)
            length += len(piece)
            if length >= (2 * size if words else size):
                yield b"".join(held)
                held, length = [], 0
    yield b"".join(held)


def long_lines(document: bytes) -> set[bytes]:
    """The lines of a document that are in no other; of a line and its translation each by itself, so that either language alone is known again."""
    return {words for line in document.splitlines() for said in parallel.TAG.split(line) if len(words := said.strip()) >= REPEAT}


def by_split(documents: Iterable[bytes], shares: tuple[float, float, float]) -> dict[str, list[np.ndarray]]:
    """Documents uint8 by split. A document's SHA-256 is a point of [0, 1): the same document is in the same split, whatever stands around it."""
    found: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    ends = np.cumsum(shares[:2])
    for document in documents:
        point = int.from_bytes(hashlib.sha256(document).digest()[:8], "little") / 2**64
        found[SPLITS[int(np.searchsorted(ends, point, side="right"))]].append(np.frombuffer(document, np.uint8))
    return found
