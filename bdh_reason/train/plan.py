"""What a recipe would cost, printed before anything is built: parameters and FLOPs are exact, memory and hours are estimates and say so."""

from __future__ import annotations

import torch

from bdh_reason.task import Board
from bdh_reason.train.checkpoint import PART
from bdh_reason.train.recipe import Recipe

PEAK = {"H100 SXM": 989.4e12, "H200": 989.5e12}  # dense bf16 FLOP/s by NVIDIA's data sheets
USED = 0.4  # the share of that peak a training step is assumed to reach
DEVICES = (1, 2, 4, 8)


def plan(recipe: Recipe) -> str:
    """Parameters, memory, FLOPs and hours for several numbers of GPUs; the model exists on torch's meta device only."""
    board = recipe.build_task().board(recipe.view, recipe.reading)
    with torch.device("meta"):
        model = recipe.build_model(board)
    params = model.size()
    forward = model.flops(board, recipe.depth, recipe.loop.feedback)
    burnt = recipe.burn_in.share * model.flops(board, round(sum(recipe.burn_in.steps) / 2), recipe.loop.feedback)
    total = (3.0 * forward + burnt) * recipe.batch * recipe.steps
    kept = _activations(recipe, params / (3 * model.config.d), board.tokens)
    copies = 16 + (4 if recipe.ema else 0)
    state = state_bytes(recipe, params, board)
    lines = [
        f"{recipe.name}: {recipe.model.name} {recipe.model.options} on {recipe.task.name} {recipe.task.options}, {recipe.view} view, depth {recipe.depth}",
        f"parameters           {params:,}",
        f"weights and AdamW    {params * copies / 1e9:.1f} GB (fp32 weights, gradients, two moments{', average' if recipe.ema else ''})",
        f"kept activations     {kept / 1e9:.2f} GB a problem, estimated, without recomputation",
        "memory of each GPU   " + ", ".join(f"{devices} GPU: {(copies * params + kept * recipe.batch / devices) / 1e9:,.0f} GB" for devices in DEVICES),
        f"whole state on disk  {state / 1e6:,.1f} MB in {-(-state // PART)} files of at most {PART / 1e6:.0f} MB",
        f"forward              {forward / 1e9:,.1f} GFLOP a problem ({recipe.depth} latent steps)",
        f"training             {total:.3g} FLOP ({recipe.steps:,} steps of {recipe.batch} problems, 3 × forward{' and burn-in' if burnt else ''})",
    ]
    for name, peak in PEAK.items():
        hours = ", ".join(f"{devices} GPU: {total / (peak * USED * devices) / 3600:,.1f} h" for devices in DEVICES)
        lines.append(f"{name:20} {hours} (at {USED:.0%} of {peak / 1e12:.0f} TFLOP/s)")
    return "\n".join(lines)


def state_bytes(recipe: Recipe, params: int, board: Board) -> int:
    """What a run keeps to go on exactly: weights, two moments, average, and the boards in flight. Names and counters (some kB) come on top."""
    board_bytes = board.tokens * (8 + 4 * recipe.model_options().d) + board.positions * (8 + 4 * len(board.symbols)) + 8
    return 4 * params * (4 if recipe.ema else 3) + (recipe.batch * board_bytes if recipe.carry.age > 1 else 0)


def _activations(recipe: Recipe, widest: float, tokens: int) -> float:
    """Bytes kept for the backward pass of one problem: about four tensors of the widest layer for each step."""
    return 4.0 * widest * tokens * recipe.depth * (2 if recipe.precision == "bf16" else 4)
