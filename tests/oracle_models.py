"""BDH and the baselines once more, in float64, one token and one head at a time: written from the equations, slow and obvious.

BDH is written in torch, so that its gradients are an oracle too; the baselines in numpy.

`sees[h][i]` lists the tokens that token i attends to in head h. Axes: t tokens, D width, H heads, N neurons of a head, K width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import layer_norm as torch_layer_norm

from bdh_reason.model import Model
from bdh_reason.task import Board

Sees = list[list[list[int]]]


def normal(seed: int, *shape: int) -> torch.Tensor:
    """Standard normal numbers in float64."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def check_step(model: Model, board: Board, inject: bool, equations: Callable[..., np.ndarray], atol: float) -> None:
    """Fails unless a step of a model in float64 is what `equations(weights, v_tD, v0_tD or None)` make of each of two boards or texts."""
    v_2tD, v0_2tD = normal(0, 2, 2, board.tokens, model.config.d)
    step_2tD = model.step(v_2tD, v0_2tD if inject else None, board, None)[0].detach().numpy()
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    for step_tD, v_tD, v0_tD in zip(step_2tD, v_2tD.numpy(), v0_2tD.numpy()):
        np.testing.assert_allclose(step_tD, equations(weights, v_tD, v0_tD if inject else None), atol=atol)


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


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def transformer_step(weights, v_tD: np.ndarray, v0_tD: np.ndarray | None, seen: Sees, sequence: bool, layers: int, phi=None) -> np.ndarray:
    """Pre-norm blocks, attention and then down(silu(gate) · up), and one norm at the end; v0 is added first.

    Attention is softmax(q·k / sqrt K) v, or with `phi` the kernel's sum (phi(q) turned · phi(k) turned) v / sum phi(q)·phi(k).
    """
    v_tD = v_tD if v0_tD is None else v_tD + v0_tD
    for layer in range(layers):
        block = {name.removeprefix(f"blocks.{layer}."): weight for name, weight in weights.items()}
        v_tD = v_tD + np.stack(_attention(block, v_tD, seen, sequence, phi)) @ block["out_DD"]
        for i, v_D in enumerate(v_tD):
            gate_F, up_F = np.split(rms_norm(v_D, block["hidden_norm.weight"]) @ block["gate_up_D2F"], 2)
            v_tD[i] = v_D + (silu(gate_F) * up_F) @ block["down_FD"]
    return np.stack([rms_norm(v_D, weights["norm.weight"]) for v_D in v_tD])


def _attention(block: dict[str, np.ndarray], v_tD: np.ndarray, seen: Sees, sequence: bool, phi=None) -> list[np.ndarray]:
    qkv_t3 = [np.split(rms_norm(v_D, block["attention_norm.weight"]) @ block["qkv_D3D"], 3) for v_D in v_tD]
    width = v_tD.shape[1] // len(seen)
    answers_tD = []
    for i in range(len(v_tD)):
        answer_D = np.empty(v_tD.shape[1])
        for h in range(len(seen)):
            of_head = slice(h * width, (h + 1) * width)
            turn = turn_halves if sequence else lambda part_K, _: part_K
            above, below = np.zeros(width), 0.0
            for j in seen[h][i]:
                q_K, k_K, v_K = qkv_t3[i][0][of_head], qkv_t3[j][1][of_head], qkv_t3[j][2][of_head]
                if phi:
                    weight, share = turn(phi(q_K), i) @ turn(phi(k_K), j), phi(q_K) @ phi(k_K)
                else:
                    weight = share = np.exp(turn(q_K, i) @ turn(k_K, j) / np.sqrt(width))
                above, below = above + weight * v_K, below + share
            answer_D[of_head] = above / below
        answers_tD.append(answer_D)
    return answers_tD


def gated_linear_step(weights, v_tD: np.ndarray, v0_tD: np.ndarray | None, seen: Sees, sequence: bool, config) -> np.ndarray:
    """Blocks of one memory for each head: a text fades in it by exp(-w) before each token is written w times as strong; a grid is summed up, unfaded."""
    v_tD = v_tD if v0_tD is None else v_tD + v0_tD
    hidden, keys = config.hidden, config.keys
    for layer in range(config.layers):
        block = {name: weights[f"blocks.{layer}.{name}"] for name in ("norm.weight", "in_DI", "write_H", "out_FD")}
        parts = [np.split(rms_norm(v_D, block["norm.weight"]) @ block["in_DI"], np.cumsum([hidden, hidden, keys, keys])) for v_D in v_tD]
        said_tF = np.empty((len(v_tD), hidden))
        for h, value_P in enumerate(np.split(np.arange(hidden), config.heads)):
            w_t = [np.log1p(np.exp(write_H[h] + block["write_H"][h])) for *_, write_H in parts]
            S_KP = np.zeros((keys, len(value_P)))
            for i, (_, gate_F, q_K, _, _) in enumerate(parts):
                if sequence:
                    S_KP = np.exp(-w_t[i]) * S_KP + np.outer(parts[i][3], w_t[i] * parts[i][0][value_P])
                else:
                    S_KP = sum(np.outer(parts[j][3], w_t[j] * parts[j][0][value_P]) for j in seen[h][i])
                said_tF[i, value_P] = rms_norm(q_K @ S_KP, np.ones(len(value_P))) * silu(gate_F[value_P])
        v_tD = v_tD + said_tF @ block["out_FD"]
    return np.stack([rms_norm(v_D, weights["norm.weight"]) for v_D in v_tD])


def lstm_step(weights, v_tD: np.ndarray, v0_tD: np.ndarray | None, sequence: bool, layers: int) -> np.ndarray:
    """i, f, g, o of [x, h] in every layer; c <- f c + i g; h <- o tanh(c). A grid is read from either end; what both say is added."""
    v_tD = v_tD if v0_tD is None else v_tD + v0_tD
    said_tH = _lstm(weights, v_tD, layers) + (0 if sequence else _lstm(weights, v_tD[::-1], layers)[::-1])
    return np.stack([rms_norm(v_D + h_H @ weights["out_HD"], weights["norm.weight"]) for v_D, h_H in zip(v_tD, said_tH)])


def _lstm(weights, x_tD: np.ndarray, layers: int) -> np.ndarray:
    for layer in range(layers):
        of_x, of_h, bias_x, bias_h = (weights[f"lstm.{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        h_H = c_H = np.zeros(of_h.shape[1])
        said = []
        for x_D in x_tD:
            i_H, f_H, g_H, o_H = np.split(of_x @ x_D + of_h @ h_H + bias_x + bias_h, 4)
            c_H = c_H / (1 + np.exp(-f_H)) + np.tanh(g_H) / (1 + np.exp(-i_H))
            h_H = np.tanh(c_H) / (1 + np.exp(-o_H))
            said.append(h_H)
        x_tD = np.stack(said)
    return x_tD
