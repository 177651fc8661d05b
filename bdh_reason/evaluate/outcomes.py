"""What came of each problem of an exam, small enough for a row: the truth of a comparison on the same problems.

Of problems a bit each, right or wrong; of texts what each document cost. Axes: N problems or documents.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np


def pack(right_N: np.ndarray) -> str:
    """Bool [N] as base64 of its bits, the first problem in the highest bit of the first byte: 668 characters for 4,000 problems."""
    return base64.b64encode(np.packbits(right_N).tobytes()).decode()


def unpack(packed: str, n: int) -> np.ndarray:
    """Bool [N], what was packed. Raises ValueError where that is not the outcomes of n problems."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(packed, validate=True), np.uint8)).astype(bool)
    if len(bits) != -(-n // 8) * 8 or bits[n:].any():
        raise ValueError(f"{len(bits)} bits for {n} problems")
    return bits[:n]


def pack_costs(bits_N: np.ndarray, bytes_N: np.ndarray) -> str:
    """What each document cost in bits, and its bytes, as base64 of float32 [N, 2], little-endian."""
    return base64.b64encode(np.stack([bits_N, bytes_N], 1).astype("<f4").tobytes()).decode()


def unpack_costs(packed: str, n: int) -> np.ndarray:
    """float64 [N, 2], bits and bytes of each document. Raises ValueError where that is not the cost of n documents."""
    return np.frombuffer(base64.b64decode(packed, validate=True), "<f4").reshape(n, 2).astype(np.float64)


def fits(packed: str, n: int, costs: bool) -> bool:
    """Whether that may be what `pack`, or `pack_costs`, made of n: base64 of as many bytes."""
    try:
        return len(base64.b64decode(packed, validate=True)) == (8 * n if costs else -(-n // 8))
    except ValueError:
        return False


def name(items: Iterable[Any]) -> str:
    """The hash of the items in their order, arrays of bytes: rows with the same one are about the same problems."""
    digest = hashlib.sha256()
    for item in items:
        content = np.ascontiguousarray(item).tobytes()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def runs(island_N: np.ndarray) -> list[int]:
    """How many problems each island has, in their order; those of an island are neighbours."""
    return [int(size) for size in np.diff(np.flatnonzero(np.diff(island_N, prepend=-1, append=-1)))]
