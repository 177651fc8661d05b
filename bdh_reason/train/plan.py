"""What a recipe would cost, printed before anything is built: parameters and FLOPs are exact, memory and hours are estimates and say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bdh_reason.machine import PEAKS
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import Board
from bdh_reason.train.checkpoint import PART
from bdh_reason.train.memory import needed
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.turns import turns

PEAK = {"H100 SXM": PEAKS["H100"], "H200": PEAKS["H200"]}
USED = 0.4  # the share of that peak a training step is assumed to reach
DEVICES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Cost:
    """params: trainable parameters · training: FLOPs of the whole run, exact up to what burning in is expected to take · state: numbers that go on after a
    problem of the first part, `Model.state_floats` · memory: estimated bytes at the fullest, of one process.
    """

    params: int
    training: float
    state: int
    memory: float


def cost(recipe: Recipe) -> Cost:
    """What a recipe takes; the model exists on torch's meta device only."""
    with torch.device("meta"):
        reasoners = recipe.reasoners()
    params, steps = reasoners[0].model.size(), turns(recipe.shares, recipe.steps).done_SP[-1].tolist()
    training = sum(_training(one, reasoner) * count for one, reasoner, count in zip(recipe.each, reasoners, steps))
    state = reasoners[0].model.state_floats(reasoners[0].board, recipe.each[0].depth)
    return Cost(params, training, state, needed(recipe).peak)


def plan(recipe: Recipe) -> str:
    """Parameters, memory, FLOPs and hours for several numbers of GPUs; the model exists on torch's meta device only."""
    with torch.device("meta"):
        reasoners = recipe.reasoners()
    each, params, copies = recipe.each, reasoners[0].model.size(), 20 if recipe.ema else 16
    steps, total = turns(recipe.shares, recipe.steps).done_SP[-1].tolist(), cost(recipe).training
    read = sum(4 * one.batch * its.model.state_floats(its.board, one.depth) for one, its in zip(each, reasoners) if one.stream)
    state = state_bytes(recipe, params, [reasoner.board for reasoner in reasoners]) + read
    lines = [
        *(_about(recipe, one) for one in each),
        f"parameters           {params:,}",
        f"weights and AdamW    {params * copies / 1e9:.1f} GB (fp32 weights, gradients, two moments{', average' if recipe.ema else ''})",
        f"kept activations     {needed(recipe).each / 1e6:,.1f} MB a problem, counted on tensors without values",
        f"memory on a CPU      {needed(recipe).peak / 1e9:,.1f} GB, estimated",
        *(f"memory of each GPU   {_memory(recipe, sharded)}, estimated{', --sharded' if sharded else ''}" for sharded in (False, True)),
        f"whole state on disk  {state / 1e6:,.1f} MB in {-(-state // PART)} files of at most {PART / 1e6:.0f} MB",
        *(f"forward              {_forward(one, its, one.depth) / 1e9:,.1f} GFLOP a problem ({one.depth} latent steps)" for one, its in zip(each, reasoners)),
        *(f"steps                {count:,} of {one.batch} problems ({one.name})" for one, count in zip(each, steps)),
        f"training             {total:.3g} FLOP (3 × forward{' and burn-in' if any(one.burn_in.share for one in each) else ''})",
    ]
    for name, peak in PEAK.items():
        hours = ", ".join(f"{devices} GPU: {total / (peak * USED * devices) / 3600:,.1f} h" for devices in DEVICES)
        lines.append(f"{name:20} {hours} (at {USED:.0%} of {peak / 1e12:.0f} TFLOP/s)")
    return "\n".join(lines)


def _memory(recipe: Recipe, sharded: bool) -> str:
    counts = [devices for devices in DEVICES if not any(one.batch % devices for one in recipe.each)]
    return ", ".join(f"{devices} GPU: {needed(recipe, devices, sharded).peak / 1e9:,.0f} GB" for devices in counts)


def _about(recipe: Recipe, one: Recipe) -> str:
    return f"{recipe.name}: {one.model.name} {one.model.options} on {one.task.name} {one.task.options}, {one.view} view, depth {one.depth}"


def _forward(recipe: Recipe, reasoner: Reasoner, steps: int) -> int:
    """FLOPs of so many latent steps on one problem of a part."""
    return reasoner.model.flops(reasoner.board, steps, recipe.loop.feedback)


def _training(recipe: Recipe, reasoner: Reasoner) -> float:
    """FLOPs of one optimiser step of a part; those of burning in are what is expected of them."""
    burnt = recipe.burn_in.share * _forward(recipe, reasoner, round(sum(recipe.burn_in.steps) / 2))
    return (3.0 * _forward(recipe, reasoner, recipe.depth) + burnt) * recipe.batch


def state_bytes(recipe: Recipe, params: int, boards: Sequence[Board]) -> int:
    """What a run keeps to go on exactly: weights, two moments, average, and every part's boards in flight. Names and counters (some kB) come on top."""
    width = recipe.model_options().d
    size = [board.tokens * (8 + 4 * width) + board.positions * (8 + 4 * len(board.symbols)) + 8 for board in boards]
    flights = sum(one.batch * board_bytes for one, board_bytes in zip(recipe.each, size) if one.carry.age > 1)
    return 4 * params * (4 if recipe.ema else 3) + flights
