"""What a run really took, beside what was foreseen: seconds a step, FLOP/s, their share of the device's peak, and memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from bdh_reason.machine import peak, processor
from bdh_reason.train import ranks
from bdh_reason.train.callbacks import Keeper, forward_flops
from bdh_reason.train.memory import ASKED_FROM, needed
from bdh_reason.train.module import LOOK_EVERY, Learner


class Meter(Callback):
    """Two lines on standard error after the last step, by the first process. The first step of several is not counted, because it compiles; validation and
    checkpoints are no part of a step. FLOPs are those of the plan: three times a forward pass, and nothing for what is computed again.
    """

    def __init__(self, keeper: Keeper, sharded: bool) -> None:
        self.keeper, self.sharded = keeper, sharded
        self.seconds, self.flops, self.steps = 0.0, 0.0, 0
        self.begun: float | None = None
        self.counted = 0.0  # FLOPs since then

    def on_train_batch_start(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        if self.begun is None:
            self.begun, self.aside, self.counted, self.since = time.monotonic(), self.keeper.spent, 0.0, learner.done

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        part = int(learner.turns.part_S[learner.done - 1])
        one, reasoner = learner.each[part], learner.reasoners[part]
        self.counted += 3.0 * forward_flops(one, reasoner, one.depth)
        last = learner.done == learner.recipe.steps
        if not (last or self.steps == 0 or learner.done % LOOK_EVERY == 0 or learner.done % learner.recipe.validation.every == 0):
            return
        if learner.device.type == "cuda":
            torch.cuda.synchronize()
        steps, took = learner.done - self.since, time.monotonic() - self.begun - (self.keeper.spent - self.aside)  # type: ignore[operator]
        self.begun = None
        if self.steps == 0:
            self.first = steps, took, self.counted
        else:
            self.seconds, self.flops = self.seconds + took, self.flops + self.counted
        self.steps += steps

    def on_train_end(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        if self.steps and not ranks.rank():
            steps, seconds, flops = self.first if self.steps == self.first[0] else (self.steps - self.first[0], self.seconds, self.flops)
            print(speed(learner, seconds / steps, flops / steps), memory(learner, self.sharded), sep="\n", file=sys.stderr, flush=True)


def speed(learner: Learner, seconds: float, flops: float) -> str:
    """Of one optimiser step."""
    name = torch.cuda.get_device_name(learner.device) if learner.device.type == "cuda" else processor()
    highest, each = peak(name), ranks.world()
    used = f"no MFU: the peak of {name} is not known here"
    if highest:
        used = f"MFU {flops / seconds / (highest * each):.1%} of {each} × {highest / 1e12:,.0f} TFLOP/s"
    return f"{learner.recipe.name}: {seconds:,.3g} s a step · {flops:.3g} FLOP a step · {flops / seconds:.3g} FLOP/s · {used}"


def memory(learner: Learner, sharded: bool) -> str:
    """The most that the first process held: of the device's memory, or on a CPU of all that was its."""
    held = torch.cuda.max_memory_allocated(learner.device) if learner.device.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    words = f"{learner.recipe.name}: {held / 1e9:,.2f} GB at its fullest"
    if learner.model.size() < ASKED_FROM:
        return words
    asked = needed(learner.recipe, ranks.world(), sharded)
    return f"{words}, {asked.peak / 1e9:,.2f} GB were estimated · {asked.each / 1e6:,.1f} MB kept for the backward pass of a problem"
