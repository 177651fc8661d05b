"""BDH's attention: linear, without softmax, with the sparse positive activity x as query and as key (arXiv 2509.26507, Eq. 4).

Axes: H heads, B batch, t tokens, N neurons of a head, D width, G groups of k tokens. The value is the residual stream v, the same for all heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def within_groups(x_HBtN: Tensor, v_HBtD: Tensor, k: int) -> Tensor:
    """a_i = sum over j ≠ i in i's group of (x_i · x_j) v_j, for tokens sorted so that groups of k are neighbours; cost t·k, not t²."""
    heads, batch, tokens, neurons = x_HBtN.shape
    x_GkN = x_HBtN.reshape(-1, k, neurons)
    scores_Gkk = x_GkN @ x_GkN.mT
    others_kk = 1 - torch.eye(k, dtype=x_HBtN.dtype, device=x_HBtN.device)
    a_GkD = (scores_Gkk * others_kk) @ v_HBtD.reshape(len(x_GkN), k, -1)
    return a_GkD.view(heads, batch, tokens, -1)


def quadratic(x_HBtN: Tensor, v_BtD: Tensor, mask_tt: Tensor | None) -> Tensor:
    """a_i = sum over j of mask_ij (x_i · x_j) v_j; `mask` is bool [t, t] or [H, 1, t, t], or None where every token sees every other and itself."""
    scores_HBtt = x_HBtN @ x_HBtN.mT
    if mask_tt is not None:
        scores_HBtt = scores_HBtt * mask_tt
    return scores_HBtt @ v_BtD


def rotary(x_HBtN: Tensor) -> Tensor:
    """Turns adjacent pairs of neurons by position times frequency; frequencies fall from 1 to 2^-16 radians a token over the N neurons.

    Phases are computed in fp32 and reduced to one turn, as the released code does. N must be even.
    """
    tokens, neurons = x_HBtN.shape[-2:]
    pair_N = torch.arange(neurons, device=x_HBtN.device, dtype=torch.float32) // 2 * 2
    turns_N = 2.0 ** (-16 * pair_N / neurons) / (2 * math.pi)
    phase_tN = (torch.arange(tokens, device=x_HBtN.device, dtype=torch.float32)[:, None] * turns_N) % 1 * (2 * math.pi)
    turned_HBtN = torch.stack([-x_HBtN[..., 1::2], x_HBtN[..., ::2]], -1).flatten(-2)
    return x_HBtN * phase_tN.cos().to(x_HBtN.dtype) + turned_HBtN * phase_tN.sin().to(x_HBtN.dtype)
