"""Weights of which every process holds a shard (FSDP2): cut once, put together for a step or a validation, and tensor by tensor for a checkpoint.

All weights are one unit that stays whole between the forward and the backward pass, because every latent step uses all of them: what is saved is the
optimiser's moments and the gradients between steps, not the weights of a step in hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def shard(module: nn.Module, mesh: Any) -> None:
    """Cuts all weights of a module, each along its longest side that the processes of the mesh divide evenly, else along the first."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard

    def placement(weight: nn.Parameter) -> Any:
        even = [side for side in range(weight.ndim) if weight.shape[side] % mesh.size() == 0]
        return Shard(max(even, key=lambda side: weight.shape[side], default=0))

    fully_shard(module, mesh=mesh, reshard_after_forward=False, shard_placement_fn=placement)


@contextmanager
def unsharded(module: Any) -> Iterator[None]:
    """Inside this block every process has all weights. All processes must enter it; it does nothing where nothing was cut."""
    cut = hasattr(module, "unshard")
    if cut:
        module.unshard()
    try:
        yield
    finally:
        if cut:
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be cut; then all processes must ask for it."""
    return tensor.full_tensor() if _cut(tensor) else tensor  # type: ignore[attr-defined]


def own(tensor: Tensor) -> Tensor:
    """The memory that a tensor has in this process."""
    return tensor.to_local() if _cut(tensor) else tensor  # type: ignore[attr-defined]


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor, which every process has, cut as `other` is."""
    if not _cut(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)  # type: ignore[attr-defined]


def exchange(one: Tensor, other: Tensor) -> None:
    """Two tensors, which are cut alike, get each other's numbers. Of shards that is done in place, because FSDP2 holds on to their memory."""
    if not _cut(one):
        one.data, other.data = other.data, one.data
        return
    first, second = own(one.detach()), own(other)
    held = first.clone()
    first.copy_(second)
    second.copy_(held)


def _cut(tensor: Tensor) -> bool:
    """Whether it is a DTensor; to ask by its type would import torch.distributed.tensor, which takes its time."""
    return type(tensor) is not Tensor and hasattr(tensor, "full_tensor")


def clip(weights: Any, norm: float) -> Tensor:
    """Gradients scaled to at most this norm over all weights; returns what it was."""
    return whole(torch.nn.utils.clip_grad_norm_(weights, norm))
