"""Answers after solved examples: the examples are read through the state, weights as they are, and the problem is answered from what is remembered.

The state after some examples is where both the next example and the problem are read on from, so that one reading serves every number of them.
Axes: N problems, K examples before each, T positions, B batch, t tokens, S symbols.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import ROOM, device_of, fill


def in_context(
    reasoner: Reasoner, prompt_NT: np.ndarray, scored_NT: np.ndarray, shown_NKt: np.ndarray, shots: tuple[int, ...], depth: int
) -> dict[int, np.ndarray]:
    """{shots: replies uint8 [N, T]} after the first so many examples, all scored positions at once; `shown` uint8 [N, K, t] are the examples as text.

    Raises UserError for more shots than examples, for starting noise, which a state does not begin with, and as `Reasoner.read` does.
    """
    if max(shots) > shown_NKt.shape[1]:
        raise UserError(f"{max(shots)} shots of {shown_NKt.shape[1]} examples", "as many as are shown, or fewer")
    if reasoner.loop.noise:
        raise UserError(f"examples in context with noise = {reasoner.loop.noise}", "a model trained with loop.noise: 0")
    replies = {count: np.empty_like(prompt_NT) for count in shots}
    batch = max(1, ROOM[device_of(reasoner).type != "cpu"] // (2 * prompt_NT.shape[1]))
    with torch.inference_mode():
        for rows in (slice(start, start + batch) for start in range(0, len(prompt_NT), batch)):
            states = reasoner.begin(len(prompt_NT[rows]), depth)
            for count in range(max(shots) + 1):
                if count:
                    _, states = reasoner.read(_tokens(reasoner, shown_NKt[rows, count - 1]), states)
                if count in replies:
                    logits_BTS, _ = reasoner.read(_tokens(reasoner, prompt_NT[rows]), states)
                    replies[count][rows] = fill(reasoner, prompt_NT[rows], scored_NT[rows], logits_BTS)
    return replies


def _tokens(reasoner: Reasoner, bytes_Bt: np.ndarray) -> Tensor:
    return torch.from_numpy(bytes_Bt.astype(np.int64)).to(device_of(reasoner))
