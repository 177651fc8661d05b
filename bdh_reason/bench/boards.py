"""Boards in the candidate view: latent steps a second in training and in thinking, the compiled layer against autograd in eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bdh_reason import discover, rng
from bdh_reason.bdh import Config, Model
from bdh_reason.bench.measure import fastest, row
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.flight import Batch, tensors

ROUNDS = 3


@dataclass(frozen=True)
class Sizes:
    """Widths (d, n) of the model, boards of `box`, and how many think for how long."""

    widths: tuple[tuple[int, int], ...] = ((32, 256), (64, 512))
    box: tuple[int, int] = (3, 3)
    batch: int = 32
    depth: int = 8


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """For each width: training in fp32 and bf16, thinking in fp32. On a CPU; elsewhere the same model runs through `bench layer`."""
    task = discover.build_task("sudoku", {"box": list(sizes.box)})
    board = task.board("candidates", "grid")
    batch = tensors(board, task.generate(rng.generator(0, "bench"), sizes.batch))
    for d, n in sizes.widths:
        here, plain = (Reasoner(Model(Config(d=d, n=n, backward=backward), board), board, Loop()) for backward in ("auto", "autograd"))  # type: ignore[arg-type]
        for bf16, what, run in ((False, "training, fp32", train), (True, "training, bf16", train), (False, "thinking, fp32", think)):
            ours, theirs = fastest(ROUNDS, *(run(reasoner, batch, sizes.depth, bf16) for reasoner in (here, plain)))
            steps = sizes.batch * sizes.depth
            yield row("boards", f"{what}, against autograd; {board.positions} cells, d = {d}, n = {n}, 4 heads", steps / ours, "board-steps/s", steps / theirs)


def train(reasoner: Reasoner, batch: Batch, depth: int, bf16: bool) -> Callable[[], None]:
    """Forward and backward with a loss on every step."""
    tokens_Bt, target_BT = batch

    def run() -> None:
        reasoner.model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            replies = list(reasoner.think(tokens_Bt, depth))
        torch.stack([_loss(reply_BTS, target_BT) for reply_BTS in replies]).mean().backward()  # type: ignore[no-untyped-call]

    return run


def think(reasoner: Reasoner, batch: Batch, depth: int, bf16: bool) -> Callable[[], None]:
    """Forward alone."""

    @torch.inference_mode()
    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for _ in reasoner.think(batch[0], depth):
                pass

    return run


def _loss(reply_BTS: Tensor, target_BT: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(reply_BTS.float().flatten(0, 1), target_BT.flatten(), ignore_index=-1)
