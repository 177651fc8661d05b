"""The LightningModule: it receives a reasoner and a recipe and joins them to an optimiser. What is learned, and how, is decided elsewhere."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bdh_reason.errors import RunError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.train import ranks
from bdh_reason.train.average import Average
from bdh_reason.train.flight import Batch, Flight, land, take_off
from bdh_reason.train.frozen import Frozen
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.shards import clip, shard
from bdh_reason.train.stream import Memory, read_on
from bdh_reason.train.turns import turns

LOOK_EVERY = 50  # optimiser steps between two looks at the loss on an accelerator, which has to wait for each


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of optimiser step `step` (from 0): linear warm-up, then down to `final` of the peak at the last step, as `Optimiser` says."""
    optimiser = recipe.optimiser
    left = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    if optimiser.decay == "wsd":
        left = min(1.0, (recipe.steps - step) / max(optimiser.cooldown * recipe.steps, 1))
    return optimiser.lr * min((step + 1) / max(optimiser.warmup, 1), optimiser.final + (1 - optimiser.final) * left)


def cool_down(recipe: Recipe) -> float:
    """The optimiser step from which on a "wsd" run cools down; 0 where the rate falls all the time."""
    optimiser = recipe.optimiser
    return recipe.steps * (1 - optimiser.cooldown) if optimiser.decay == "wsd" else 0.0


class Learner(lightning.LightningModule):
    """Trains the one model of all reasoners, each before the board of a part of the recipe; `done` counts finished optimiser steps over all slices of a
    run, `flights` is what the last step of each part handed on, `told` is what may be logged of the last step; to read it is to wait for it.
    """

    def __init__(self, reasoners: tuple[Reasoner, ...], recipe: Recipe, done: int = 0) -> None:
        super().__init__()
        self.model, self.reasoners, self.recipe, self.done = reasoners[0].model, reasoners, recipe, done
        self.each, self.turns = recipe.each, turns(recipe.shares, recipe.steps)
        self.average = Average(self.model, recipe.ema)
        self.flights: list[Flight | Memory | None] = [None] * len(reasoners)
        self.lately: dict[str, Tensor] = {}
        self.frozen = Frozen(self.model, 0)
        self.told: dict[str, Tensor] = {}
        self.mean = torch.tensor(math.nan)  # loss of the last step, over all processes
        self.landed: Flight | Memory | None = None  # the next flight of the part in hand, before the optimiser step is finished

    def configure_model(self) -> None:
        """Lightning calls this once the processes know each other; under FSDP2 it has a mesh of them."""
        mesh = getattr(self.trainer.strategy, "device_mesh", None)
        if mesh is not None and not hasattr(self, "unshard"):
            shard(self, mesh["data_parallel"])
            self.average = Average(self.model, self.recipe.ema)

    @property
    def part(self) -> int:
        """Whose turn the step in hand is."""
        return int(self.turns.part_S[self.done])

    @property
    def problems_seen(self) -> Tensor:
        """How many boards were started so far, int64 []; it stays on its device, for to read it is to wait for it."""
        done_P = self.turns.done_SP[self.done]
        seen = [flight.started if flight else torch.tensor(done * one.batch) for flight, done, one in zip(self.flights, done_P, self.each)]
        return torch.stack([started.to(self.model.token_VD.device) for started in seen]).sum()

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the scored positions, the mean over the supervised latent steps, of the boards in flight; those of `batch`, which is one of
        the part whose turn it is, take free places. Of streams, that of the bytes that are read next.
        """
        recipe, reasoner, flight = self.each[self.part], self.reasoners[self.part], self.flights[self.part]
        if recipe.stream:
            with self._precision():
                loss, self.landed = read_on(reasoner, flight if isinstance(flight, Memory) else None, batch, recipe.depth)
            return loss * ranks.portion(batch[1] >= 0)
        flight = flight if isinstance(flight, Flight) else None
        batch = flight.take_in(batch) if flight else batch
        tokens_Bt, target_BT = batch
        losses = []
        with self._precision():  # its own: weights that autocast casts without a gradient must not be met again with one
            start = take_off(reasoner, recipe, flight, tokens_Bt, self.done)
        with self._precision():
            for step, (reply_BTS, thought) in enumerate(reasoner.go_on(tokens_Bt, start, recipe.depth), 1):  # noqa: B007
                if step in recipe.supervised:
                    losses.append(cross_entropy(reply_BTS.float().flatten(0, 1), target_BT.flatten(), ignore_index=-1))
        self.landed = land(flight, batch, thought, reply_BTS, recipe.carry.age)
        return torch.stack(losses).mean() * ranks.portion(target_BT >= 0)

    def forward(self, batch: Batch) -> Tensor:
        """`loss`: what DDP and FSDP2 prepare weights and gradients around."""
        return self.loss(batch)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.model.token_VD.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = self(batch)
        self.mean = ranks.total(loss.detach()) / ranks.world()
        if (loss.device.type == "cpu" or self.done % LOOK_EVERY == 0) and not math.isfinite(value := self.mean.item()):
            raise RunError(f"the loss is {value} at step {self.done + 1}: checkpoints written before it stand; a lower optimiser.lr may help")
        self.told = self._losses(self.mean)
        return loss

    def _losses(self, loss: Tensor) -> dict[str, Tensor]:
        """What is told of the losses: this step's or, of several parts, a running mean of each, because every n-th step may be one part's alone."""
        if len(self.each) == 1:
            return {"loss": loss}
        name = self.each[self.part].name
        self.lately[name] = self.lately[name].lerp(loss, 0.05) if name in self.lately else loss
        return {"loss": torch.stack(list(self.lately.values())).mean(), **{f"loss/{name}": mean for name, mean in self.lately.items()}}

    def on_train_start(self) -> None:
        self.frozen = Frozen(self.model, self.recipe.frozen)

    def on_train_batch_start(self, *_: Any) -> None:
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = learning_rate(self.recipe, self.done)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.frozen.mask()
        norm = clip(self.model.parameters(), self.recipe.optimiser.clip)
        self.told |= {"gradient_norm": norm, "learning_rate": torch.tensor(learning_rate(self.recipe, self.done))}

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        super().optimizer_step(*args, **options)
        self.frozen.restore()
        self.flights[self.part], self.done = self.landed, self.done + 1
        self.average.update(self.model, self.done)
        for weight in self.model.parameters():
            weight.grad = None  # validation, checkpoints and the next forward pass can use the room

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.average.follow(self.model)  # Lightning has just moved what it knows of
        matrices = [weight for weight in self.model.parameters() if min(weight.shape) > 1 and weight.ndim > 1]
        others = [weight for weight in self.model.parameters() if min(weight.shape) == 1 or weight.ndim == 1]
        options = self.recipe.optimiser
        groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=options.lr, betas=options.betas, fused=True)  # holds no copies
