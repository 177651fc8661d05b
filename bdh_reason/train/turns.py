"""Whose turn it is: each optimiser step is one batch of one part, in an order that the shares alone decide.

The k-th batch (from 0) of a part with share s is due at (k + ½) / s, and the steps take what is due first (the divisor method of Sainte-Laguë). So the parts
alternate as evenly as they can, their counts are exact whenever all shares come out whole, and a longer run begins as a shorter one does.

Axes: S steps, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Turns(NamedTuple):
    """part int64 [S]: whose step it is · done int64 [S + 1, P]: how many steps each part has had before it."""

    part_S: np.ndarray
    done_SP: np.ndarray


def turns(shares: Sequence[float], steps: int) -> Turns:
    """The order of the first `steps` steps among parts with these shares, which are positive and add up to 1."""
    due_P = [(np.arange(int(share * (steps + len(shares))) + 2) + 0.5) / share for share in shares]
    whose_D = np.repeat(np.arange(len(shares)), [len(due_D) for due_D in due_P])
    part_S = whose_D[np.argsort(np.concatenate(due_P), kind="stable")][:steps]
    had_SP = np.cumsum(part_S[:, None] == np.arange(len(shares)), 0)
    return Turns(part_S, np.concatenate([np.zeros((1, len(shares)), np.int64), had_SP]))
