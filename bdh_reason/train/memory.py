"""How much memory a run takes at its fullest, in each of its processes, before anything is built: weights, gradients and moments exactly, the rest nearly.

What is held for every parameter, in bytes: 4 weight, 8 moments, 4 average where there is one. During the backward pass besides: 4 gradient summed so far, 4
that of the latent step in hand, 2 the weight in bf16 where that is what is multiplied, and among several processes 4 for what they exchange. A run of one
step has no moments before its only backward pass is done. `sharded`: what is held between the steps is divided by the processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy

from bdh_reason.bdh.room import free
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner, Thought
from bdh_reason.train import ranks
from bdh_reason.train.recipe import Recipe

PROCESS = 0.75e9  # bytes of a process that has loaded what training needs
PASSING = 8  # tensors as wide as a head that a backward pass has in hand at once
ASKED_FROM = 10_000_000  # parameters; smaller models are not worth the question


@dataclass(frozen=True)
class Needed:
    """Bytes. peak: of a process at its fullest · each: kept for the backward pass of one problem of the part that keeps most."""

    peak: float
    each: int


def needed(recipe: Recipe, world: int = 1, sharded: bool = False) -> Needed:
    """What each of `world` processes needs. The model exists on torch's meta device only, where the tensors that autograd would keep are counted."""
    with torch.device("meta"):
        reasoners = recipe.reasoners()
    params, bf16 = reasoners[0].model.size(), recipe.precision == "bf16"
    each = [one.depth * kept(reasoner, bf16) for one, reasoner in zip(recipe.each, reasoners)]
    batches = [one.batch / world * (size + _passing(reasoner, bf16)) for one, reasoner, size in zip(recipe.each, reasoners, each)]
    copies = 4 + (4 if recipe.ema else 0)
    shared = world if sharded else 1
    between, first = (copies + 8) / shared, copies / shared
    backward = 4 + 4 + (2 if bf16 else 0) + (4 if world > 1 else 0) + (4 if shared > 1 else 0)
    forth = params * ((first if recipe.steps == 1 else between) + backward) + max(batches)
    return Needed(PROCESS + max(forth, params * (between + 4 / shared)), max(each))


def kept(reasoner: Reasoner, bf16: bool) -> int:
    """Bytes that autograd keeps of one problem for each latent step: two steps less one, so that what all steps share is left out."""
    return _kept(reasoner, 2, bf16) - _kept(reasoner, 1, bf16)


def _kept(reasoner: Reasoner, steps: int, bf16: bool) -> int:
    board, model = reasoner.board, reasoner.model
    blind = replace(reasoner, loop=replace(reasoner.loop, inject=False))  # to embed is to look at tokens; what is injected is added and not kept
    tokens_Bt = torch.zeros(1, board.tokens, dtype=torch.int64, device="meta")
    v_BtD = torch.zeros(1, board.tokens, model.config.d, device="meta", requires_grad=True)
    held: dict[int, torch.UntypedStorage] = {}
    losses = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for reply_BTS, _ in blind.go_on(tokens_Bt, Thought(v_BtD), steps):
            losses.append(cross_entropy(reply_BTS.float().flatten(0, 1), torch.zeros(reply_BTS.shape[1], dtype=torch.int64, device="meta")))
    return sum(storage.nbytes() for storage in held.values())


def _passing(reasoner: Reasoner, bf16: bool) -> float:
    """Bytes of one problem that come and go in a layer's backward pass, of one head at a time."""
    config, board = reasoner.model.config, reasoner.board
    width = reasoner.model.step_flops(board) / (6 * board.tokens * config.d)
    return PASSING * board.tokens * width / getattr(config, "heads", 1) * (2 if bf16 else 4)


def check(recipe: Recipe, device: torch.device, world: int, sharded: bool) -> None:
    """Raises UserError for a large model that the memory of this device cannot hold: what is needed, what is there, and what would help. The processes on one
    machine's CPU share its memory, so the first asks for all of them.
    """
    if device.type == "cpu" and ranks.rank():
        return
    with torch.device("meta"):
        if recipe.reasoners()[0].model.size() < ASKED_FROM:
            return
    here = world // ranks.nodes() if device.type == "cpu" else 1
    wanted, there = here * needed(recipe, world, sharded).peak, free(device)
    if wanted > there:
        remedy = "a smaller batch, model.options.recompute=true, ema=0, or more GPUs (with --sharded each holds less)"
        where = f"{device} in {here} processes" if here > 1 else str(device)
        where = f"{device} in {here} processes" if here > 1 else str(device)
        raise UserError(f"{recipe.name} needs {wanted / 1e9:.1f} GB on {where}", f"{there / 1e9:.1f} GB, what is free", remedy)


def wanted(recipe: Recipe) -> str:
    """What a recipe needs, in words."""
    alone, shared = needed(recipe), needed(recipe, 8)
    return f"{recipe.name} needs a GPU with {alone.peak / 1e9:,.0f} GB, or several, eight with {shared.peak / 1e9:,.0f} GB each"
