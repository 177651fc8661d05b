"""BDH and the transformer once more, in float64 numpy, one token and one head at a time: written from the equations, slow and obvious.

`sees[h][i]` lists the tokens that token i attends to in head h. Axes: t tokens, D width, H heads, N neurons of a head, K width of a head.
"""

from __future__ import annotations

import numpy as np

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


def layer_norm(v_D: np.ndarray) -> np.ndarray:
    return (v_D - v_D.mean()) / np.sqrt(v_D.var() + 1e-5)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def turn_neighbours(x_N: np.ndarray, position: int) -> np.ndarray:
    """BDH's rotary positions: neurons 2i and 2i+1 are one complex number, turned by position · 2^(-16 · 2i / N)."""
    size = len(x_N)
    pairs = [complex(x_N[2 * i], x_N[2 * i + 1]) * np.exp(1j * position * 2.0 ** (-16 * 2 * i / size)) for i in range(size // 2)]
    return np.array([part for pair in pairs for part in (pair.real, pair.imag)])


def turn_halves(q_K: np.ndarray, position: int) -> np.ndarray:
    """The transformer's: numbers i and i + K/2 are one complex number, turned by position · 10,000^(-2i / K)."""
    half = len(q_K) // 2
    pairs = [complex(q_K[i], q_K[i + half]) * np.exp(1j * position * 10_000.0 ** (-2 * i / len(q_K))) for i in range(half)]
    return np.array([pair.real for pair in pairs] + [pair.imag for pair in pairs])


def bdh_step(weights: dict[str, np.ndarray], v_tD: np.ndarray, v0_tD: np.ndarray | None, seen: Sees, sequence: bool) -> np.ndarray:
    """x = relu(v Dx); a_i = sum of (x_i · x_j) v_j; y = relu(LN(a) Dy) * x; v <- LN(v + LN(sum of y E) + v0)."""
    Dx_HDN, Dy_HDN, E_HND = (weights[name] for name in ("Dx_HDN", "Dy_HDN", "E_HND"))
    update_tD = np.zeros_like(v_tD)
    for h in range(len(Dx_HDN)):
        x_tN = [relu(v_D @ Dx_HDN[h]) for v_D in v_tD]
        key_tN = [turn_neighbours(x_N, place) if sequence else x_N for place, x_N in enumerate(x_tN)]
        for i, x_N in enumerate(x_tN):
            a_D = sum((key_tN[i] @ key_tN[j] * v_tD[j] for j in seen[h][i]), np.zeros(v_tD.shape[1]))
            update_tD[i] += (relu(layer_norm(a_D) @ Dy_HDN[h]) * x_N) @ E_HND[h]
    injected_tD = np.zeros_like(v_tD) if v0_tD is None else v0_tD
    return np.stack([layer_norm(v_D + layer_norm(update_D) + v0_D) for v_D, update_D, v0_D in zip(v_tD, update_tD, injected_tD)])


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
