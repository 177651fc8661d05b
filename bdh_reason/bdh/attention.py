"""BDH's attention: linear, without softmax, with the sparse positive activity x as query and as key (arXiv 2509.26507, Eq. 4, 5 and 8).

    quadratic   a_i = sum over j of mask_ij (q_i · k_j) v_j             every pair of tokens
    window      the same inside a window, and q_i rho for all before    a text in windows: the chunked form, and a state carried on
    recurrent   a = q rho;  rho <- (rho + k v^T) U                      one token

rho [B, H, N, D] holds all that was read, as the next token sees it. Rotary positions turn q and k by their absolute place, so rho never needs turning;
damping, the diagonal U, lets rho fade by exp(-slope) a token. Without gradients through time the caller detaches k and v.
Axes: H heads, B batch, t tokens, N neurons of a head, D width, G groups of k tokens. The value is the residual stream v, the same for all heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def quadratic(q_HBtN: Tensor, k_HBtN: Tensor, v_BtD: Tensor, mask_tt: Tensor | None) -> Tensor:
    """a_i = sum over j of mask_ij (q_i · k_j) v_j; `mask` is bool or weights, [t, t] or [H, 1, t, t], or None where every token sees every other and itself."""
    scores_HBtt = q_HBtN @ k_HBtN.mT
    if mask_tt is not None:
        scores_HBtt = scores_HBtt * mask_tt
    return scores_HBtt @ v_BtD


def everywhere(q_HBtN: Tensor, k_HBtN: Tensor, v_BtD: Tensor) -> Tensor:
    """`quadratic` without a mask, as one state that every token reads: cost t·N·D, not t²·(N + D)."""
    return q_HBtN @ (k_HBtN.mT @ v_BtD)


def within_groups(x_HBtN: Tensor, v_HBtD: Tensor, k: int) -> Tensor:
    """a_i = sum over j ≠ i in i's group of (x_i · x_j) v_j, for tokens sorted so that groups of k are neighbours; cost t·k, not t²."""
    heads, batch, tokens, neurons = x_HBtN.shape
    x_GkN = x_HBtN.reshape(-1, k, neurons)
    scores_Gkk = x_GkN @ x_GkN.mT
    others_kk = 1 - torch.eye(k, dtype=x_HBtN.dtype, device=x_HBtN.device)
    a_GkD = (scores_Gkk * others_kk) @ v_HBtD.reshape(len(x_GkN), k, -1)
    return a_GkD.view(heads, batch, tokens, -1)


def earlier(tokens: int, strict: bool, slope_H: Tensor | None, device: torch.device) -> Tensor:
    """The causal mask: bool [t, t], or with damping the weights exp(-slope · distance) [H, 1, t, t]. Strict: no token sees itself."""
    place_t = torch.arange(tokens, device=device)
    distance_tt = place_t[:, None] - place_t
    seen_tt = distance_tt >= strict
    return seen_tt if slope_H is None else fade(slope_H, distance_tt.clamp(min=0)) * seen_tt


def window(q_HBtN: Tensor, k_HBtN: Tensor, v_BtD: Tensor, rho_BHND: Tensor, strict: bool, slope_H: Tensor | None) -> tuple[Tensor, Tensor]:
    """The next tokens of a text of which `rho` holds the beginning: (a [H, B, t, D], rho after them)."""
    tokens, rho_HBND = q_HBtN.shape[2], rho_BHND.transpose(0, 1)
    before_HBtD, value_HBtD = q_HBtN @ rho_HBND, v_BtD[None]
    if slope_H is not None:
        place_t1 = torch.arange(tokens, device=v_BtD.device)[:, None]
        before_HBtD = before_HBtD * fade(slope_H, place_t1)
        value_HBtD = value_HBtD * fade(slope_H, tokens - place_t1)
        rho_HBND = rho_HBND * fade(slope_H, tokens)
    a_HBtD = quadratic(q_HBtN, k_HBtN, v_BtD, earlier(tokens, strict, slope_H, v_BtD.device)) + before_HBtD
    return a_HBtD, (rho_HBND + k_HBtN.mT @ value_HBtD).transpose(0, 1)


def recurrent(q_HB1N: Tensor, k_HB1N: Tensor, v_B1D: Tensor, rho_BHND: Tensor, strict: bool, slope_H: Tensor | None) -> tuple[Tensor, Tensor]:
    """`window` for one token, Eq. 8: read, write, fade; the same cost however long the text is."""
    rho_HBND = rho_BHND.transpose(0, 1)
    grown_HBND = rho_HBND + k_HB1N.mT @ v_B1D
    a_HB1D = q_HB1N @ (rho_HBND if strict else grown_HBND)
    if slope_H is not None:
        grown_HBND = grown_HBND * fade(slope_H, 1)
    return a_HB1D, grown_HBND.transpose(0, 1)


def fade(slope_H: Tensor, distance: Tensor | int) -> Tensor:
    """exp(-slope · distance) for each head, [H, 1, …], the two axes of `distance` last."""
    return torch.exp(-slope_H.view(-1, 1, 1, 1) * distance)


def slopes(heads: int) -> Tensor:
    """ALiBi's slopes 2^(-8/H), 2^(-16/H) … 2^-8, float64 [H] (Press 2021; here they damp a product and not the logarithm of one)."""
    return 2.0 ** (-8 * torch.arange(1, heads + 1, dtype=torch.float64) / heads)


def phases(tokens: int, neurons: int, position: int, device: torch.device) -> Tensor:
    """The angle of each pair of neurons at each token from `position` on, fp32 [t, N/2]: frequencies fall from 1 to 2^-16 radians a token over the N neurons.

    Computed in fp32 and reduced to one turn, as the released code does. N must be even.
    """
    turns_P = 2.0 ** (-16 * torch.arange(0, neurons, 2, device=device, dtype=torch.float32) / neurons) / (2 * math.pi)
    place_t = torch.arange(position, position + tokens, device=device, dtype=torch.float32)
    return (place_t[:, None] * turns_P) % 1 * (2 * math.pi)


def rotary(x_HBtN: Tensor, position: int = 0) -> Tensor:
    """Turns adjacent pairs of neurons by their `phases`; `position` is the place of the first token."""
    tokens, neurons = x_HBtN.shape[-2:]
    phase_tN = phases(tokens, neurons, position, x_HBtN.device).repeat_interleave(2, -1)
    turned_HBtN = torch.stack([-x_HBtN[..., 1::2], x_HBtN[..., ::2]], -1).flatten(-2)
    return x_HBtN * phase_tN.cos().to(x_HBtN.dtype) + turned_HBtN * phase_tN.sin().to(x_HBtN.dtype)
