"""What logging to W&B costs a training run, as a share of its steps: the time of this process and of wandb's own, offline, at the default interval."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bdh_reason import rng
from bdh_reason.bench.boards import train
from bdh_reason.bench.measure import fastest, row
from bdh_reason.tracking import Identity, start
from bdh_reason.train.callbacks import Keeper, Quiz, Validation
from bdh_reason.train.flight import tensors
from bdh_reason.train.module import Learner
from bdh_reason.train.recipe import Recipe, load
from bdh_reason.train.tracking import EVERY, Tracker, Tracking

ROUNDS = 3
AIM = 2.0  # per cent of a training step


@dataclass(frozen=True)
class Sizes:
    """The recipes whose steps are taken, and how many lines are logged."""

    recipes: tuple[str, ...] = ("sudoku6", "groups")
    lines: int = 200


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """Two rows a recipe: the share of all logging, a line every EVERY steps and more after each validation; and one line beside one step. A step is forward
    and backward alone, which overstates the share.
    """
    for name in sizes.recipes:
        recipe = load(name, {})
        learner, quiz, step = prepared(recipe)
        (seconds,) = fastest(ROUNDS, step)
        with TemporaryDirectory() as folder:
            line, validated = logging(learner, quiz, Path(folder), sizes.lines)
        share = 100 * (line / EVERY + validated / recipe.validation.every) / seconds
        about = f"{name}, batch {recipe.batch}, depth {learner.each[0].depth}"
        yield row("tracking", f"share of a training step, a line every {EVERY} steps and validations, against the aim; {about}", share, "%", AIM)
        yield row("tracking", f"one line, against one step; {about}", line * 1e3, "ms", seconds * 1e3)


def prepared(recipe: Recipe) -> tuple[Learner, Quiz, Callable[[], None]]:
    """A learner that has taken one step, its first part's validation, and that part's step."""
    learner, first = Learner(recipe.reasoners(), recipe), recipe.each[0]
    task, reasoner = first.build_task(), learner.reasoners[0]
    problems = task.generate(rng.generator(0, "bench"), first.batch)
    batch = tensors(reasoner.board, problems)
    step = train(reasoner, batch, first.depth, recipe.precision == "bf16")
    loss = learner.loss(batch).detach()
    learner.told = {"loss": loss, "gradient_norm": loss, "learning_rate": loss}
    learner.done, learner.flights[learner.part] = EVERY, learner.landed
    return learner, Quiz(first.name, task, problems, first.validation.depth), step


def logging(learner: Learner, quiz: Quiz, folder: Path, lines: int) -> tuple[float, float]:
    """Seconds of one line, and of one after a validation above that."""
    validation = Validation([quiz])
    keeper = Keeper(folder, validation, [""], None, "", [])
    run = start(folder, Identity("bench", "bench", "train"), "offline")
    tracker = Tracker(run, validation, keeper, (), Tracking())
    tracker.on_train_start(None, learner)
    for _ in range(2):  # the first round is not counted
        begun = busy()
        for _ in range(lines):
            tracker.on_train_batch_end(None, learner)
        line = (busy() - begun) / lines
    validation.scores, validation.latest, validation.at = {quiz.name: 0.5}, 0.5, learner.done
    for _ in range(2):
        begun = busy()
        tracker.on_train_batch_end(None, learner)
    validated = max(busy() - begun - line, 0.0)
    run.finish()
    return line, validated


def busy() -> float:
    """Processor seconds of this process and, where the system tells, of those it started."""
    ticks, me = 0, str(os.getpid())
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if rest[1] == me:
            ticks += int(rest[11]) + int(rest[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
