"""The processes that share one run: who this one is, and what they say to each other. Started by `launch`, by torchrun or by SLURM; else there is one.

Every process takes its own rows of the same batch, so that 1, 2 or 4 of them see the same batches and their gradients differ by rounding alone. What is
decided by a clock, a signal or a score is decided for all at once. Small words go through gloo, on the CPU, so that no accelerator is waited for; sums of
numbers that lie on the device through the device's own group.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from bdh_reason import copies
from bdh_reason.errors import UserError

PATIENCE = timedelta(days=1)  # the others wait while the first builds data or validates
_words: list[Any] = []  # the group for small words, while there is one


def rank() -> int:
    """Which process this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def environment() -> Any:
    """Lightning's name for what started this process beside others, or None. SLURM is not asked to requeue: the run ends whole, and its command goes on."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ and int(os.environ["SLURM_NTASKS"]) > 1:  # inside srun
        return SLURMEnvironment(auto_requeue=False)
    return None


def portion(counted: Tensor) -> Tensor | float:
    """What a mean over this process's `counted` numbers weighs in the mean over all processes, where the mean of their gradients is taken."""
    if world() == 1:
        return 1.0
    mine = counted.sum()
    return mine * world() / total(mine)


def nodes() -> int:
    """On how many machines the processes are."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return world() // int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ.get("SLURM_NNODES", "1")) if world() > 1 else 1


def launch(devices: int) -> None:
    """Does this command in `devices` processes that share the run, and ends with their exit code. Does nothing for one or where others were started."""
    if devices == 1 or environment() is not None:
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": devices, "LOCAL_WORLD_SIZE": devices, "GROUP_RANK": 0}
    shared |= {"TORCHELASTIC_RUN_ID": port, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", 1)}  # as torchrun, whose names these are
    ranks = ({**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in range(devices))
    sys.exit(copies.run([{name: str(value) for name, value in its.items()} for its in ranks], together=True))


def count(given: str, device: str, batches: list[int]) -> int:
    """How many processes `--devices` asks for. auto: one on a CPU, else of the GPUs here the most that every batch can be cut for.

    Raises UserError for what is no number, for more GPUs than there are, and for a batch that so many cannot share.
    """
    here = torch.cuda.device_count() if device == "cuda" else None
    if given == "auto":
        return max(number for number in range(1, (here or 1) + 1) if not any(batch % number for batch in batches))
    if not given.isdigit() or not int(given):
        raise UserError(f"--devices {given}", "auto, or a number from 1")
    if here is not None and int(given) > here:
        raise UserError(f"--devices {given}, but {here} GPUs are here", f"1 to {here}")
    for batch in batches:
        _part(batch, int(given))
    return int(given)


@contextmanager
def together(device: str) -> Iterator[None]:
    """Inside this block the processes that were started together know each other."""
    started = environment()
    if started is None or started.world_size() == 1:
        yield
        return
    os.environ |= {"MASTER_ADDR": started.main_address, "MASTER_PORT": str(started.main_port)}
    place = torch.device("cuda", started.local_rank()) if device == "cuda" else None
    if place:
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place else "gloo", rank=started.global_rank(), world_size=started.world_size(), device_id=place)
    _words.append(dist.new_group(backend="gloo", timeout=PATIENCE))
    try:
        yield
    finally:
        _words.clear()
        dist.destroy_process_group()


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through this block before the others do, so that what it makes is there for them. Where it fails there, the others end with its
    exit code and leave it to say why.
    """
    if rank() and (code := told(None)):
        raise SystemExit(code)
    try:
        yield
    except BaseException as error:
        if not rank():
            told(2 if isinstance(error, UserError) else 1)
        raise
    if not rank():
        told(0)


def share(size: int) -> slice:
    """The rows of a batch of `size` that are this process's. Raises UserError where they cannot be shared evenly."""
    part = _part(size, world())
    return slice(rank() * part, (rank() + 1) * part)


def _part(size: int, processes: int) -> int:
    if size % processes:
        raise UserError(f"a batch of {size} for {processes} processes", "a batch that they divide evenly")
    return size // processes


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes, where the tensor lies."""
    if world() > 1:
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def anyone(wish: bool) -> bool:
    """Whether any process says yes."""
    if world() == 1:
        return wish
    said = torch.tensor([int(wish)])
    dist.all_reduce(said, dist.ReduceOp.MAX, _words[0])
    return bool(said)


def told(words: Any) -> Any:
    """What the first process says."""
    if world() == 1:
        return words
    box = [words]
    dist.broadcast_object_list(box, 0, _words[0], torch.device("cpu"))
    return box[0]


def rows(tensor: Tensor) -> Tensor:
    """Everybody's rows of a tensor, one process's after the other's, on the CPU where there are several."""
    if world() == 1:
        return tensor
    mine = tensor.detach().cpu().contiguous()
    parts = [torch.empty_like(mine) for _ in range(world())]
    dist.all_gather(parts, mine, _words[0])
    return torch.cat(parts)
