"""The only birthplace of randomness: every draw in the project comes from a generator named by what it is for.

Neighbouring seeds share nothing, because the name (seed, purpose, split, index) is hashed and not added up.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, purpose: str, split: str = "", index: int = 0) -> int:
    """A 64-bit number that depends on every part of the name and on nothing else."""
    name = f"{seed}\x1f{purpose}\x1f{split}\x1f{index}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "little")


def generator(seed: int, purpose: str, split: str = "", index: int = 0) -> np.random.Generator:
    """A numpy generator for one purpose, e.g. `generator(0, "generate", "train", 17)`."""
    return np.random.Generator(np.random.Philox(derive(seed, purpose, split, index)))
