"""Boards in flight: what the trained latent steps of an optimiser step go on from, and what they hand on to the next optimiser step.

A new board takes a free place of the batch and starts from its embedding and noise. It leaves when its reply after the last step is its target, or after
`carry.age` optimiser steps; with age 1 every batch is new. Before the trained steps a batch may think without a gradient (burn-in).
Axes: B places of the batch, t tokens, D width, T positions, S symbols.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bdh_reason import rng
from bdh_reason.reason.loop import Reasoner, Thought
from bdh_reason.task import Board, Problems
from bdh_reason.train import ranks
from bdh_reason.train.recipe import Recipe

Batch = tuple[Tensor, Tensor]


def tensors(board: Board, problems: Problems) -> Batch:
    """Tokens int64 [B, t] and right symbols int64 [B, T], −1 where nothing is scored."""
    target_BT = np.where(problems.scored, board.index(problems.target), -1)
    return torch.from_numpy(board.expand(problems.prompt)), torch.from_numpy(target_BT)


class Flight(NamedTuple):
    """What an optimiser step hands on: boards, their targets and thoughts, for how many optimiser steps each has been up (0: its place is free), and
    how many boards all processes have taken in so far. It is part of the state of a run.
    """

    tokens_Bt: Tensor
    target_BT: Tensor
    v_BtD: Tensor
    belief_BTS: Tensor
    age_B: Tensor
    started: Tensor

    def take_in(self, batch: Batch) -> Batch:
        """The boards in flight, and those of `batch` in the free places."""
        tokens_Bt, target_BT = (torch.where(self.age_B[:, None] == 0, new, old) for new, old in zip(batch, self))
        return tokens_Bt, target_BT


def take_off(reasoner: Reasoner, recipe: Recipe, flight: Flight | None, tokens_Bt: Tensor, step: int) -> Thought:
    """What the trained latent steps of optimiser step `step` go on from: a function of the flight, the recipe's seed and the step."""
    thought = reasoner.wake(tokens_Bt, noise(reasoner, recipe.seed, step, tokens_Bt))
    if flight is not None:
        v_BtD = torch.where(flight.age_B[:, None, None] == 0, thought.v_BtD, flight.v_BtD)
        thought = Thought(v_BtD, flight.belief_BTS if reasoner.loop.feedback else None)
    with torch.no_grad():
        for _, later in reasoner.go_on(tokens_Bt, thought, burn_in(recipe, step)):
            thought = later
    return thought


def noise(reasoner: Reasoner, seed: int, step: int, tokens_Bt: Tensor) -> Tensor | None:
    """Unit noise [B, t, D] for the starts of one optimiser step, or None where the loop wants none."""
    if not reasoner.loop.noise:
        return None
    source = torch.Generator(tokens_Bt.device).manual_seed(rng.derive(seed, "training start", index=step) >> 1)
    (batch, tokens), width = tokens_Bt.shape, reasoner.model.config.d
    whole_BtD = torch.randn(batch * ranks.world(), tokens, width, generator=source, device=tokens_Bt.device)
    return whole_BtD[ranks.share(len(whole_BtD))]


def burn_in(recipe: Recipe, step: int) -> int:
    """How many latent steps optimiser step `step` thinks without a gradient first."""
    draw, plan = rng.generator(recipe.seed, "burn-in", index=step), recipe.burn_in
    return int(draw.integers(*plan.steps, endpoint=True)) if draw.random() < plan.share else 0


@torch.no_grad()
def land(flight: Flight | None, batch: Batch, thought: Thought, reply_BTS: Tensor, limit: int) -> Flight | None:
    """What is handed on after the trained steps, or None where no board may stay."""
    if limit == 1:
        return None
    tokens_Bt, target_BT = batch
    age_B, started = (flight.age_B, flight.started) if flight else (torch.zeros_like(tokens_Bt[:, 0]), torch.zeros_like(tokens_Bt[0, 0]))
    solved_B = ((reply_BTS.argmax(-1) == target_BT) | (target_BT < 0)).all(1)
    stays_B = ~solved_B & (age_B + 1 < limit)
    belief_BTS = torch.zeros_like(reply_BTS, dtype=torch.float32) if thought.belief_BTS is None else thought.belief_BTS.float()
    kept_BTS = belief_BTS * stays_B[:, None, None]  # a new board is fed nothing before its first step
    return Flight(tokens_Bt, target_BT, thought.v_BtD.detach().float(), kept_BTS, (age_B + 1) * stays_B, started + ranks.total((age_B == 0).sum()))
