"""Attention of heads that are bound to relations between few tokens, without gradients on a CPU: the scores that a mask would wipe out are never made.

Axes: H heads, t tokens, N neurons of a head, D width, k tokens that one may look at.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from bdh_reason.bdh.decode import FREE
from bdh_reason.compiled.product import product
from bdh_reason.task import Board

SPARSE = 16  # times as many tokens as one of them looks at: from there on single scores are cheaper than a product of all


@lru_cache(maxsize=8)
def _seen(board: Board) -> tuple[np.ndarray | Tensor, ...]:
    """Of each relation whom every token looks at, int32 [t, k] with -1 for nobody, or where they are many its mask, bool [t, t]."""
    found: list[np.ndarray | Tensor] = []
    for mask_tt in board.mask_RTT if board.mask_RTT is not None else ():
        k = int(mask_tt.sum(1).max())
        near_tk = np.argsort(~mask_tt, axis=1, kind="stable")[:, :k].astype(np.int32)
        near_tk[~np.take_along_axis(mask_tt, near_tk, 1)] = -1
        found.append(near_tk if SPARSE * k <= len(mask_tt) else torch.from_numpy(mask_tt))
    return tuple(found)


def attend(board: Board, h: int, q_tN: Tensor, v_tD: Tensor) -> Tensor:
    """`attention.quadratic` of head h, whose relation is that of its number: a_i = sum over j that i looks at of (q_i · q_j) v_j."""
    relations = _seen(board)
    seen = relations[h % len(relations)]
    if isinstance(seen, Tensor):
        return product(product(q_tN, q_tN.mT).mul_(seen), v_tD)
    a_tD = torch.empty_like(v_tD)
    _near(q_tN.detach().numpy(), v_tD.detach().numpy(), seen, a_tD.numpy())
    return a_tD


@njit(cache=True, nogil=True, fastmath=FREE)
def _near(q_tN: np.ndarray, v_tD: np.ndarray, near_tk: np.ndarray, a_tD: np.ndarray) -> None:
    for i in range(len(q_tN)):
        a_tD[i] = 0
        for j in near_tk[i]:
            if j >= 0:
                score = q_tN[i, 0] * q_tN[j, 0]
                for n in range(1, q_tN.shape[1]):
                    score += q_tN[i, n] * q_tN[j, n]
                for d in range(v_tD.shape[1]):
                    a_tD[i, d] += score * v_tD[j, d]
