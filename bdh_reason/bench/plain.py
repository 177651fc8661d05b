"""The plain form that every ratio is against: the operations of the paper's listing in eager PyTorch, quadratic and recomputed, without dropout.

The weights are the released code's (`bdh.to_released_state_dict`). `stream` is the same for one token through dense synapses, rho in place.
Axes: B batch, t tokens, D width, H heads, N neurons of a head, V logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

Weights = Mapping[str, Tensor]


def plain(tokens_Bt: Tensor, weights: Weights, heads: int, layers: int) -> Tensor:
    """Logits [B, t, V] of a whole text."""
    *_, v_B1tD = residuals(tokens_Bt, weights, heads, layers)
    return v_B1tD[:, 0] @ weights["lm_head"]


def residuals(tokens_Bt: Tensor, weights: Weights, heads: int, layers: int) -> Iterator[Tensor]:
    """The residual stream v [B, 1, t, D] as it enters each layer, and after the last."""
    (batch, tokens), n = tokens_Bt.shape, len(weights["decoder"])
    place_t = torch.arange(tokens, device=tokens_Bt.device)
    yield (v_B1tD := _norm(weights["embed.weight"][tokens_Bt][:, None]))
    for _ in range(layers):
        x_BHtN = torch.relu(v_B1tD @ weights["encoder"])
        q_BHtN = _turned(x_BHtN, place_t)
        a_BHtD = (q_BHtN @ q_BHtN.mT).tril(diagonal=-1) @ v_B1tD
        y_BHtN = torch.relu(_norm(a_BHtD) @ weights["encoder_v"]) * x_BHtN
        y_B1tn = y_BHtN.transpose(1, 2).reshape(batch, 1, tokens, n)
        yield (v_B1tD := _norm(v_B1tD + _norm(y_B1tn @ weights["decoder"])))


def stream(token: int, weights: Weights, heads: int, rhos_HND: list[Tensor], position: int) -> Tensor:
    """Logits [1, V] after one more token; each layer's rho is read and then written in place, all of it."""
    v_1D, place_1 = _norm(weights["embed.weight"][[token]]), torch.tensor([position])
    for rho_HND in rhos_HND:
        x_H1N = torch.relu(v_1D @ weights["encoder"])
        q_H1N = _turned(x_H1N, place_1)
        a_H1D = q_H1N @ rho_HND
        rho_HND.baddbmm_(q_H1N.mT, v_1D.expand(heads, 1, -1))
        y_H1N = torch.relu(_norm(a_H1D) @ weights["encoder_v"]) * x_H1N
        v_1D = _norm(v_1D + _norm(y_H1N.reshape(1, -1) @ weights["decoder"]))
    return v_1D @ weights["lm_head"]


def _norm(v: Tensor) -> Tensor:
    return layer_norm(v, v.shape[-1:])


def _turned(x_N: Tensor, place_t: Tensor) -> Tensor:
    """Rotary positions of [..., t, N] by strided slices: neighbours 2i, 2i + 1 turn by place · 2^(-16 · 2i / N) radians."""
    even_N = torch.arange(x_N.shape[-1], device=x_N.device, dtype=torch.float32) // 2 * 2
    cycles_tN = place_t[:, None] * (2.0 ** (-16 * even_N / x_N.shape[-1]) / (2 * math.pi))
    phase_tN = cycles_tN % 1 * (2 * math.pi)
    crossed_N = torch.stack((-x_N[..., 1::2], x_N[..., ::2]), -1).view(x_N.shape)
    return (x_N * phase_tN.cos()).to(x_N.dtype) + (crossed_N * phase_tN.sin()).to(x_N.dtype)  # so under autocast they stay bf16
