"""What happens around the optimiser steps of a run: validation, checkpoints, and a line or a bar that says how it goes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bdh_reason.reason.predict import in_place
from bdh_reason.task import Problems, Task
from bdh_reason.train.checkpoint import Card, write
from bdh_reason.train.module import Learner

KEEP_EVERY = 15.0  # seconds between two states on disk: what a killed run can lose


class Validation(Callback):
    """exact_match of the averaged weights on the first validation problems, logged as `validation/exact_match` and kept in `latest`."""

    def __init__(self, task: Task, problems: Problems) -> None:
        self.task, self.problems = task, problems
        self.latest: float | None = None
        self.at = 0  # the optimiser step of the latest

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        plan, problems = learner.recipe.validation, self.problems
        if learner.done % plan.every and learner.done < learner.recipe.steps:
            return
        with learner.average.within(learner.model):
            reply_NT = in_place(learner.reasoner, problems.prompt, problems.scored, (plan.depth,))[plan.depth]
        self.latest, self.at = float(self.task.verify(problems.prompt, reply_NT).mean()), learner.done
        learner.log("validation/exact_match", self.latest)


class Keeper(Callback):
    """Writes `state` from time to time, at the end and when terminated, and `model` whenever validation is at least as good as ever.

    A run that ends before its first validation leaves its averaged weights as `model` all the same.
    """

    def __init__(self, folder: Path, validation: Validation, data_hash: str, best: float | None, wandb_id: str) -> None:
        self.folder, self.validation, self.data_hash, self.best, self.wandb_id = folder, validation, data_hash, best, wandb_id
        self.kept_at = time.monotonic()
        self.flops_per_step = 0.0

    def on_fit_start(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        recipe = learner.recipe
        forward = learner.model.flops(learner.reasoner.board, recipe.depth, recipe.loop.feedback)
        self.flops_per_step = 3.0 * forward * recipe.batch

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        latest = self.validation.latest
        if latest is not None and self.validation.at == learner.done and (self.best is None or latest >= self.best):
            self.best = latest
            write(self.folder, "model", self.card(learner), learner.average.of(learner.model))
        if time.monotonic() - self.kept_at > KEEP_EVERY:
            self.keep(learner)

    def on_train_end(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        if learner.done and not (self.folder / "model.json").exists():
            write(self.folder, "model", self.card(learner), learner.average.of(learner.model))
        self.keep(learner)

    def on_exception(self, trainer: Any, learner: Learner, exception: BaseException) -> None:  # type: ignore[override]
        if isinstance(exception, SIGTERMException):  # raised between two steps; after any other exception the last state on disk stands
            self.keep(learner)

    def keep(self, learner: Learner) -> None:
        """Writes the whole state of the run."""
        write(self.folder, "state", self.card(learner), state_tensors(learner))
        self.kept_at = time.monotonic()

    def card(self, learner: Learner) -> Card:
        """What the next checkpoint says about itself."""
        recipe = learner.recipe.model_dump(mode="json")
        return Card(recipe, learner.done, self.data_hash, self.best, self.flops_per_step * learner.done, self.wandb_id)


def state_tensors(learner: Learner) -> dict[str, torch.Tensor]:
    """Weights, their average and the optimiser's moments as one flat mapping."""
    weights = {f"weight.{name}": weight.data for name, weight in learner.model.named_parameters()}
    average = {f"average.{name}": weight for name, weight in learner.average.weights.items()}
    moments = learner.optimizers().state_dict()["state"]  # type: ignore[union-attr]
    optimiser = {f"optimiser.{index}.{key}": value for index, state in moments.items() for key, value in state.items()}
    return {**weights, **average, **optimiser}


def restore(learner: Learner, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of `state_tensors`, into a learner of the same recipe."""
    for name, weight in learner.model.named_parameters():
        weight.data.copy_(tensors[f"weight.{name}"])
    for name, average in learner.average.weights.items():
        average.copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, moment = key.split(".")
            state.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


class Report(Callback):
    """Loss, validation exact_match, problems/s and time left on standard error: a live bar in a terminal, a plain line now and then elsewhere."""

    def __init__(self, validation: Validation, lines: int = 20) -> None:
        self.validation, self.lines = validation, lines
        self.bar: Progress | None = None

    def on_train_start(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        self.begun, self.first, self.loss = time.monotonic(), learner.done, float("nan")
        if sys.stderr.isatty():
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.row = self.bar.add_task(learner.recipe.name, total=learner.recipe.steps, completed=learner.done, note="")
            self.bar.start()

    def on_train_batch_end(self, trainer: Any, learner: Learner, outputs: Any, *_: Any) -> None:  # type: ignore[override]
        loss = outputs["loss"].item()
        self.loss = loss if self.loss != self.loss else 0.98 * self.loss + 0.02 * loss
        seconds = time.monotonic() - self.begun
        speed = (learner.done - self.first) * learner.recipe.batch / seconds
        exact = "–" if self.validation.latest is None else f"{self.validation.latest:.3f}"
        note = f"loss {self.loss:.4f} · validation exact_match {exact} · {speed:,.0f} problems/s"
        total = learner.recipe.steps
        if self.bar:
            self.bar.update(self.row, completed=learner.done, note=note)
        elif learner.done % max(total // self.lines, 1) == 0 or learner.done == total:
            left = (total - learner.done) * learner.recipe.batch / speed
            print(f"{learner.recipe.name} {learner.done}/{total} · {note} · {left:,.0f} s left", file=sys.stderr, flush=True)

    def teardown(self, trainer: Any, learner: Learner, stage: str) -> None:  # type: ignore[override]
        if self.bar:
            self.bar.stop()
