"""Replies without chain of thought: prompts go in, bytes come out; the answer path has no access to targets, rules or solvers.

Axes: N problems, B batch, T positions, t tokens, S symbols, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bdh_reason import rng
from bdh_reason.reason.loop import Reasoner


def device_of(reasoner: Reasoner) -> torch.device:
    """Where the model's weights are."""
    return next(reasoner.model.parameters()).device


def starting_noise(reasoner: Reasoner, number_B: np.ndarray, seed: int) -> Tensor | None:
    """Unit noise [B, t, D] for random starting states, or None where the loop wants none.

    It depends on the seed and on each problem's number alone: not on the batch, not on the device.
    """
    if not reasoner.loop.noise:
        return None
    shape = (reasoner.board.tokens, reasoner.model.config.d)
    noise_BtD = [rng.generator(seed, "start", index=int(number)).standard_normal(shape, np.float32) for number in number_B]
    return torch.from_numpy(np.stack(noise_BtD)).to(device_of(reasoner))


def watch(reasoner: Reasoner, prompt_BT: np.ndarray, depth: int, seed: int = 0, number_B: np.ndarray | None = None) -> Iterator[Tensor]:
    """Probabilities [B, T, S] of the reply after each latent step: what `solve` draws and what `in_place` reads at the end.

    A problem's number names its random starting state; without `number` they are counted from 0.
    """
    with torch.inference_mode():
        tokens_Bt = torch.from_numpy(reasoner.board.expand(prompt_BT)).to(device_of(reasoner))
        start_BtD = starting_noise(reasoner, np.arange(len(prompt_BT)) if number_B is None else number_B, seed)
        for logits_BTS in reasoner.think(tokens_Bt, depth, start_BtD):
            yield logits_BTS.softmax(-1)


def fill(reasoner: Reasoner, prompt_BT: np.ndarray, scored_BT: np.ndarray, belief_BTS: Tensor) -> np.ndarray:
    """The likeliest symbol at every scored position, the prompt's own byte elsewhere: uint8 [B, T]."""
    return np.where(scored_BT, reasoner.board.spell(belief_BTS.argmax(-1).cpu().numpy()), prompt_BT)


def in_place(
    reasoner: Reasoner,
    prompt_NT: np.ndarray,
    scored_NT: np.ndarray,
    depths: tuple[int, ...],
    batch: int = 128,
    seed: int = 0,
    number_N: np.ndarray | None = None,
) -> dict[int, np.ndarray]:
    """All scored positions at once. One rollout serves every depth asked for: {depth: replies uint8 [N, T]}. `number` as in `watch`."""
    number_N = np.arange(len(prompt_NT)) if number_N is None else number_N
    replies = {depth: np.empty_like(prompt_NT) for depth in depths}
    for start in range(0, len(prompt_NT), batch):
        rows = slice(start, start + batch)
        for step, belief_BTS in enumerate(watch(reasoner, prompt_NT[rows], max(depths), seed, number_N[rows]), 1):
            if step in replies:
                replies[step][rows] = fill(reasoner, prompt_NT[rows], scored_NT[rows], belief_BTS)
    return replies


def greedy(reasoner: Reasoner, prompt_NT: np.ndarray, scored_NT: np.ndarray, depth: int, batch: int = 128, seed: int = 0) -> np.ndarray:
    """Left to right: the first open position is filled, its byte joins the prompt, and the model thinks again; as many bytes as the reply has."""
    shown_NT, open_NT = prompt_NT.copy(), scored_NT.copy()
    while open_NT.any():
        (rows,) = np.nonzero(open_NT.any(1))
        first = open_NT[rows].argmax(1)
        filled_NT = in_place(reasoner, shown_NT[rows], open_NT[rows], (depth,), batch, seed, rows)[depth]
        shown_NT[rows, first] = filled_NT[np.arange(len(rows)), first]
        open_NT[rows, first] = False
    return shown_NT
