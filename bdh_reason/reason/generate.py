"""Text goes on, byte by byte, through the state: the prompt is read once, and each further byte costs the same however much was read.

Axes: B texts, t tokens read at once, S symbols.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bdh_reason import rng
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner, States
from bdh_reason.reason.predict import device_of


def choose(logits_BS: Tensor, temperature: float, top_k: int, source: np.random.Generator) -> np.ndarray:
    """One symbol index for each text, int64 [B], drawn from softmax(logits / temperature) among the `top_k` likeliest; temperature 0 takes the likeliest."""
    if not temperature >= 0 or not 1 <= top_k <= logits_BS.shape[-1]:
        raise UserError(f"temperature {temperature}, top_k {top_k}", f"a temperature of at least 0, a top_k from 1 to {logits_BS.shape[-1]}")
    best_BK, index_BK = (part.cpu().numpy() for part in logits_BS.double().topk(top_k))
    gumbel_BK = source.gumbel(size=best_BK.shape)  # the largest of logits plus Gumbel noise is a draw from their softmax
    drawn_B = (best_BK + temperature * gumbel_BK).argmax(1)
    return index_BK[np.arange(len(index_BK)), drawn_B]


def generate(
    reasoner: Reasoner, states: States, prompt_Bt: np.ndarray, count: int, temperature: float = 1.0, top_k: int = 256, seed: int = 0
) -> tuple[np.ndarray, States]:
    """`count` further bytes of each text, uint8 [B, count], and the states that have read all but the last of them.

    `states` hold what stands before the prompt, one for each latent step (`reasoner.begin(B, depth)`: nothing). `top_k` above the number of symbols means all.
    Raises UserError for an empty prompt, a state that does not fit, a negative temperature and a top_k below 1.
    """
    if not prompt_Bt.shape[1]:
        raise UserError("an empty prompt", "at least one byte")
    source, symbols = rng.generator(seed, "generate text"), len(reasoner.board.symbols)
    bytes_BT = np.empty((len(prompt_Bt), count), np.uint8)
    with torch.inference_mode():
        states = tuple(state.give() for state in states)
        for place in range(count):
            latest_Bt = prompt_Bt if place == 0 else bytes_BT[:, place - 1 : place]
            logits_BtS, states = reasoner.read(torch.from_numpy(latest_Bt.astype(np.int64)).to(device_of(reasoner)), states)
            bytes_BT[:, place] = reasoner.board.spell(choose(logits_BtS[:, -1], temperature, min(top_k, symbols), source))
    return bytes_BT, tuple(state.keep() for state in states)
