"""Replies without chain of thought: prompts go in, bytes come out; the answer path has no access to targets, rules or solvers.

Axes: N problems, B batch, T positions, t tokens, S symbols, D width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bdh_reason import rng
from bdh_reason.reason.loop import Reasoner

ROOM = (1 << 12, 1 << 18)  # tokens of a batch: few on a CPU, whose cache they should fit into; many on an accelerator
WIDE = (1 << 25, 1 << 30)  # numbers of a tensor between two products: of a billion parameters one puzzle's fill 0.1 GB


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


@torch.inference_mode()
def trace(reasoner: Reasoner, prompt_BT: np.ndarray, depth: int, seed: int = 0, number_B: np.ndarray | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """(latent state v [B, t, D], reply logits [B, T, S]) after each latent step.

    A problem's number names its random starting state; without `number` they are counted from 0.
    """
    tokens_Bt = torch.from_numpy(reasoner.board.expand(prompt_BT)).to(device_of(reasoner))
    start_BtD = starting_noise(reasoner, np.arange(len(prompt_BT)) if number_B is None else number_B, seed)
    for logits_BTS, thought in reasoner.go_on(tokens_Bt, reasoner.wake(tokens_Bt, start_BtD), depth):
        yield thought.v_BtD, logits_BTS


def watch(reasoner: Reasoner, prompt_BT: np.ndarray, depth: int, seed: int = 0, number_B: np.ndarray | None = None) -> Iterator[Tensor]:
    """Probabilities [B, T, S] of the reply after each latent step: what `solve` draws. `number` as in `trace`."""
    for _, logits_BTS in trace(reasoner, prompt_BT, depth, seed, number_B):
        yield logits_BTS.softmax(-1)


def fill(reasoner: Reasoner, prompt_BT: np.ndarray, scored_BT: np.ndarray, belief_BTS: Tensor) -> np.ndarray:
    """The likeliest symbol, by probabilities or logits, at every scored position, the prompt's own byte elsewhere: uint8 [B, T]."""
    return np.where(scored_BT, reasoner.board.spell(belief_BTS.argmax(-1).cpu().numpy()), prompt_BT)


class Moment(NamedTuple):
    """One step of one batch: which problems (a slice of N), which step (from 1), v [B, t, D] before it (None before the first) and after it, and the
    reply's logits [B, T, S].
    """

    rows: slice
    step: int
    before_BtD: Tensor | None
    v_BtD: Tensor
    logits_BTS: Tensor


def _width(reasoner: Reasoner) -> int:
    """About how many numbers a token is between two products of a step: the neurons of a BDH, of any other model as many as its FLOPs speak of."""
    return max(1, reasoner.model.step_flops(reasoner.board) // (6 * reasoner.board.tokens * reasoner.model.config.d))


def rollout(
    reasoner: Reasoner,
    prompt_NT: np.ndarray,
    depth: int,
    look: Callable[[Moment], None],
    batch: int | None = None,
    seed: int = 0,
    number_N: np.ndarray | None = None,
) -> None:
    """Shows every step of every problem to `look`, batch by batch: what is kept does not grow with the depth. `number` as in `trace`.

    Without `batch` one is chosen by tokens, so that a board of any size fits. On a CPU each of torch's threads thinks about a batch of its own, and
    `look` is called by all of them, in order within a batch. Neither changes a reply.
    """
    number_N = np.arange(len(prompt_NT)) if number_N is None else number_N
    on_cpu = device_of(reasoner).type == "cpu"
    batch = batch or max(1, min(ROOM[not on_cpu], WIDE[not on_cpu] // _width(reasoner)) // reasoner.board.tokens)

    def think(start: int) -> None:
        rows, before_BtD = slice(start, start + batch), None
        for step, (v_BtD, logits_BTS) in enumerate(trace(reasoner, prompt_NT[rows], depth, seed, number_N[rows]), 1):
            look(Moment(rows, step, before_BtD, v_BtD, logits_BTS))
            before_BtD = v_BtD

    starts = range(0, len(prompt_NT), batch)
    threads = min(torch.get_num_threads(), len(starts)) if on_cpu else 1
    if threads <= 1:
        deque(map(think, starts), maxlen=0)
        return
    # threads that share one batch wait for each other at every operation, which on a busy machine costs ten times the work itself
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            deque(pool.map(think, starts), maxlen=0)
        finally:
            pool.shutdown(cancel_futures=True)


def in_place(
    reasoner: Reasoner,
    prompt_NT: np.ndarray,
    scored_NT: np.ndarray,
    depths: tuple[int, ...],
    batch: int | None = None,
    seed: int = 0,
    number_N: np.ndarray | None = None,
) -> dict[int, np.ndarray]:
    """All scored positions at once. One rollout serves every depth asked for: {depth: replies uint8 [N, T]}. The rest as in `rollout`."""
    replies = {depth: np.empty_like(prompt_NT) for depth in depths}

    def keep(moment: Moment) -> None:
        if moment.step in replies:
            replies[moment.step][moment.rows] = fill(reasoner, prompt_NT[moment.rows], scored_NT[moment.rows], moment.logits_BTS)

    rollout(reasoner, prompt_NT, max(depths), keep, batch, seed, number_N)
    return replies


def greedy(reasoner: Reasoner, prompt_NT: np.ndarray, scored_NT: np.ndarray, depth: int, batch: int | None = None, seed: int = 0) -> np.ndarray:
    """Left to right: the first open position is filled, its byte joins the prompt, and the model thinks again; as many bytes as the reply has."""
    shown_NT, open_NT = prompt_NT.copy(), scored_NT.copy()
    while open_NT.any():
        (rows,) = np.nonzero(open_NT.any(1))
        first = open_NT[rows].argmax(1)
        filled_NT = in_place(reasoner, shown_NT[rows], open_NT[rows], (depth,), batch, seed, rows)[depth]
        shown_NT[rows, first] = filled_NT[np.arange(len(rows)), first]
        open_NT[rows, first] = False
    return shown_NT
