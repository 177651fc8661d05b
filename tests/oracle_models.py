"""BDH and the transformer once more, in float64, one token and one head at a time: written from the equations, slow and obvious.

BDH is written in torch, so that its gradients are an oracle too; the transformer in numpy.

`sees[h][i]` lists the tokens that token i attends to in head h. Axes: t tokens, D width, H heads, N neurons of a head, K width of a head.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import layer_norm as torch_layer_norm

from bdh_reason.task import Board

Sees = list[list[list[int]]]


def sees(board: Board, heads: int, bound: bool, itself: bool) -> Sees:
    """Who attends to whom: the strictly (or with `itself`, weakly) earlier tokens of a sequence; the group or the mask of each bound head; else all."""
    tokens = range(board.tokens)
    if board.reading == "sequence":
        return [[[j for j in tokens if j < i or (itself and j == i)] for i in tokens]] * heads
    if not bound:
        return [[list(tokens) for _ in tokens]] * heads
    if board.groups_RGk is None:
        return [[[j for j in tokens if board.mask_RTT[h % board.relations, i, j]] for i in tokens] for h in range(heads)]
    groups = [{int(i): group_k.tolist() for group_k in groups_Gk for i in group_k} for groups_Gk in board.groups_RGk]
    return [[[j for j in groups[h % board.relations][i] if itself or j != i] for i in tokens] for h in range(heads)]


def layer_norm(v_D: torch.Tensor) -> torch.Tensor:
    return (v_D - v_D.mean()) / torch.sqrt(((v_D - v_D.mean()) ** 2).mean() + 1e-5)


def turn_neighbours(x_N: torch.Tensor, position: int) -> torch.Tensor:
    """BDH's rotary positions: neurons 2i and 2i+1 are the two parts of a complex number, turned by position · 2^(-16 · 2i / N)."""
    turned = []
    for i in range(0, len(x_N), 2):
        angle = position * 2.0 ** (-16 * i / len(x_N))
        turned.append(x_N[i] * math.cos(angle) - x_N[i + 1] * math.sin(angle))
        turned.append(x_N[i] * math.sin(angle) + x_N[i + 1] * math.cos(angle))
    return torch.stack(turned)


def turn_halves(q_K: np.ndarray, position: int) -> np.ndarray:
    """The transformer's: numbers i and i + K/2 are one complex number, turned by position · 10,000^(-2i / K)."""
    half = len(q_K) // 2
    pairs = [complex(q_K[i], q_K[i + half]) * np.exp(1j * position * 10_000.0 ** (-2 * i / len(q_K))) for i in range(half)]
    return np.array([pair.real for pair in pairs] + [pair.imag for pair in pairs])


def bdh_score(config, h: int, q_N: torch.Tensor, k_N: torch.Tensor, i: int, j: int, sequence: bool) -> torch.Tensor:
    """q_i · k_j: both turned by their places, divided by sqrt N, damped by exp(-distance · 2^(-8 (h + 1) / H)), as the configuration says."""
    if sequence and "rotary" in config.positions:
        q_N, k_N = (torch.cat([turn_neighbours(part, place) for part in x_N.split(config.pieces or len(x_N))]) for x_N, place in ((q_N, i), (k_N, j)))
    damping = math.exp(-(i - j) * 2 ** (-8 * (h + 1) / config.heads)) if sequence and "alibi" in config.positions else 1.0
    return q_N @ k_N * damping / (math.sqrt(len(q_N)) if config.scaled else 1.0)


def bdh_step(weights, config, v_tD: torch.Tensor, v0_tD: torch.Tensor | None, seen: Sees, sequence: bool) -> torch.Tensor:
    """Each layer: x = relu(v Dx); a_i = sum of score(x_i, x_j) v_j; y = relu(LN(a) Dy) * x; released: v <- LN(v + LN(sum of y E) + v0).

    Paper: x = x of the layer before + relu(v Dx), v <- LN(sum of y E + v0). Normfree: the same without LN.
    """
    norm = (lambda v_D: v_D) if config.form == "normfree" else layer_norm
    v, v0, tokens = list(v_tD), [0] * len(v_tD) if v0_tD is None else list(v0_tD), range(len(v_tD))
    x = {(h, i): 0 for h in range(config.heads) for i in tokens}
    for layer in range(config.layers):
        update = [torch.zeros_like(v_D) for v_D in v]
        for h in range(config.heads):
            Dx_DN, Dy_DN, E_ND = (weights[name][h if config.shared else layer * config.heads + h] for name in ("Dx_HDN", "Dy_HDN", "E_HND"))
            for i in tokens:
                x[h, i] = (v[i] @ Dx_DN).relu() + (0 if config.form == "released" else x[h, i])
            for i in tokens:
                a_D = sum((bdh_score(config, h, x[h, i], x[h, j], i, j, sequence) * v[j] for j in seen[h][i]), torch.zeros_like(v[i]))
                update[i] = update[i] + ((norm(a_D) @ Dy_DN).relu() * x[h, i]) @ E_ND
        v = [norm((v[i] + layer_norm(update[i]) if config.form == "released" else update[i]) + v0[i]) for i in tokens]
    return torch.stack(v) if v else v_tD


def released_logits(state_dict, n_head: int, n_layer: int, tokens_Bt: torch.Tensor) -> torch.Tensor:
    """The released code's pass, operation by operation, without dropout (facts: LN after the embedding, strict mask, v as value, rotary on x alone)."""
    encoder, encoder_v, decoder = (state_dict[name] for name in ("encoder", "encoder_v", "decoder"))
    (_, d, neurons), tokens = encoder.shape, tokens_Bt.shape[1]

    def norm(v):
        return torch_layer_norm(v, (d,))

    cycles = torch.tensor([65536 ** (-2 * (place // 2) / neurons) / (2 * math.pi) for place in range(neurons)])
    phase = (torch.arange(tokens).float()[:, None] * cycles) % 1 * 2 * math.pi
    v = norm(state_dict["embed.weight"][tokens_Bt])[:, None]
    for _ in range(n_layer):
        x = torch.relu(v @ encoder)
        turned = torch.empty_like(x)
        turned[..., 0::2], turned[..., 1::2] = -x[..., 1::2], x[..., 0::2]
        key = x * phase.cos() + turned * phase.sin()
        a = torch.tril(key @ key.transpose(2, 3), diagonal=-1) @ v
        y = torch.relu(norm(a) @ encoder_v) * x
        merged = y.transpose(1, 2).reshape(len(tokens_Bt), 1, tokens, n_head * neurons)
        v = norm(v + norm(merged @ decoder))
    return v[:, 0] @ state_dict["lm_head"]


def rms_norm(v_D: np.ndarray, weight_D: np.ndarray) -> np.ndarray:
    return v_D / np.sqrt((v_D**2).mean() + np.finfo(np.float64).eps) * weight_D


def transformer_step(weights: dict[str, np.ndarray], v_tD: np.ndarray, v0_tD: np.ndarray | None, seen: Sees, sequence: bool, layers: int) -> np.ndarray:
    """Pre-norm blocks, softmax(q·k / sqrt K) v and then down(silu(gate) · up), and one norm at the end; v0 is added first."""
    v_tD = v_tD if v0_tD is None else v_tD + v0_tD
    for layer in range(layers):
        block = {name.removeprefix(f"blocks.{layer}."): weight for name, weight in weights.items()}
        v_tD = v_tD + np.stack(_attention(block, v_tD, seen, sequence)) @ block["out_DD"]
        for i, v_D in enumerate(v_tD):
            gate_F, up_F = np.split(rms_norm(v_D, block["hidden_norm.weight"]) @ block["gate_up_D2F"], 2)
            v_tD[i] = v_D + (gate_F / (1 + np.exp(-gate_F)) * up_F) @ block["down_FD"]
    return np.stack([rms_norm(v_D, weights["norm.weight"]) for v_D in v_tD])


def _attention(block: dict[str, np.ndarray], v_tD: np.ndarray, seen: Sees, sequence: bool) -> list[np.ndarray]:
    qkv_t3 = [np.split(rms_norm(v_D, block["attention_norm.weight"]) @ block["qkv_D3D"], 3) for v_D in v_tD]
    width = v_tD.shape[1] // len(seen)
    answers_tD = []
    for i in range(len(v_tD)):
        answer_D = np.empty(v_tD.shape[1])
        for h in range(len(seen)):
            of_head = slice(h * width, (h + 1) * width)
            turn = turn_halves if sequence else lambda part_K, _: part_K
            query_K = turn(qkv_t3[i][0][of_head], i)
            weight_J = np.exp([query_K @ turn(qkv_t3[j][1][of_head], j) / np.sqrt(width) for j in seen[h][i]])
            answer_D[of_head] = weight_J / weight_J.sum() @ np.stack([qkv_t3[j][2][of_head] for j in seen[h][i]])
        answers_tD.append(answer_D)
    return answers_tD
