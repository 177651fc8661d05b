"""The LightningModule: it receives a reasoner and a recipe and joins them to an optimiser. What is learned, and how, is decided elsewhere."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bdh_reason import rng
from bdh_reason.errors import RunError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import Board, Problems
from bdh_reason.train.average import Average
from bdh_reason.train.recipe import Recipe

Batch = tuple[Tensor, Tensor, Tensor]


def tensors(board: Board, problems: Problems) -> Batch:
    """Tokens int64 [B, t], right symbols int64 [B, T] and scored positions bool [B, T]."""
    parts = board.expand(problems.prompt), board.index(problems.target), problems.scored
    return tuple(torch.from_numpy(part) for part in parts)  # type: ignore[return-value]


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of optimiser step `step` (from 0): linear warm-up, then a cosine down to `final` of the peak at the last step."""
    optimiser = recipe.optimiser
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return optimiser.lr * min((step + 1) / max(optimiser.warmup, 1), optimiser.final + (1 - optimiser.final) * cosine)


class Learner(lightning.LightningModule):
    """Trains `reasoner.model`; `done` counts finished optimiser steps over all slices of a run."""

    def __init__(self, reasoner: Reasoner, recipe: Recipe, done: int = 0) -> None:
        super().__init__()
        self.model, self.reasoner, self.recipe, self.done = reasoner.model, reasoner, recipe, done
        self.average = Average(self.model, recipe.ema)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the scored positions: the mean over all latent steps, or that of the last."""
        tokens_Bt, target_BT, scored_BT = batch
        target_M = target_BT[scored_BT]
        with torch.autocast(tokens_Bt.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            replies = [reply_BTS[scored_BT] for reply_BTS in self.reasoner.think(tokens_Bt, self.recipe.depth, self._start(tokens_Bt))]
        supervised = replies if self.recipe.loss == "every" else replies[-1:]
        return torch.stack([cross_entropy(reply_MS.float(), target_M) for reply_MS in supervised]).mean()

    def _start(self, tokens_Bt: Tensor) -> Tensor | None:
        if not self.recipe.loop.noise:
            return None
        source = torch.Generator(tokens_Bt.device).manual_seed(rng.derive(self.recipe.seed, "training start", index=self.done) >> 1)
        return torch.randn(*tokens_Bt.shape, self.model.config.d, generator=source, device=tokens_Bt.device)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = self.loss(batch)
        if not math.isfinite(value := loss.item()):
            raise RunError(f"the loss is {value} at step {self.done + 1}: checkpoints written before it stand; a lower optimiser.lr may help")
        self.log_dict({"loss": value, "problems_seen": float(self.done * self.recipe.batch)})
        return loss

    def on_train_batch_start(self, *_: Any) -> None:
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = learning_rate(self.recipe, self.done)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.log("gradient_norm", torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimiser.clip))

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        super().optimizer_step(*args, **options)
        self.done += 1
        self.average.update(self.model, self.done)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        matrices = [weight for weight in self.model.parameters() if min(weight.shape) > 1 and weight.ndim > 1]
        others = [weight for weight in self.model.parameters() if min(weight.shape) == 1 or weight.ndim == 1]
        options = self.recipe.optimiser
        groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=options.lr, betas=options.betas)
