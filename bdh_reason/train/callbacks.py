"""What happens around the optimiser steps of a run: validation, checkpoints, and a line or a bar that says how it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bdh_reason.data.shots import exam, spelled
from bdh_reason.errors import UserError
from bdh_reason.reason.context import in_context
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import in_place
from bdh_reason.reason.reading import code_lengths
from bdh_reason.task import Problems, Task
from bdh_reason.train import ranks
from bdh_reason.train.checkpoint import Card, read, write
from bdh_reason.train.flight import Flight, burn_in
from bdh_reason.train.module import Learner, cool_down
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.shards import like, own, unsharded
from bdh_reason.train.stream import Memory

KEEP_EVERY = 15.0  # seconds between two states on disk: what a killed run can lose
KEEP_SHARE = 20  # a large state is kept more rarely: this many times as long as it took to write
SAY_EVERY = 30.0  # seconds between two lines of a report that is not watched


@dataclass(frozen=True)
class Quiz:
    """What one part is validated on. Anything with a `name`, a `metric`, its `sign` (1: the higher the better, −1: the lower) and a `score` can be asked in
    its stead.
    """

    metric: ClassVar[str] = "exact_match"
    sign: ClassVar[int] = 1
    name: str
    task: Task
    problems: Problems
    depth: int

    def score(self, reasoner: Reasoner) -> float:
        """exact_match."""
        reply_NT = in_place(reasoner, self.problems.prompt, self.problems.scored, (self.depth,))[self.depth]
        return float(self.task.verify(self.problems.prompt, reply_NT).mean())


@dataclass(frozen=True)
class Recital(Quiz):
    """The same after as many solved `examples`, other ones of these problems; this share of the streams in a `cipher`.

    Raises UserError for fewer problems than that.
    """

    examples: int
    cipher: float

    def __post_init__(self) -> None:
        if len(self.problems) <= self.examples:
            given = f"{self.examples} examples and {len(self.problems)} validation problems"
            raise UserError(given, "more problems than examples", "a larger validation.problems or data.size")

    def score(self, reasoner: Reasoner) -> float:
        """exact_match."""
        asked = self.problems
        shown_NKt, key = exam(asked, reasoner.board.symbols, self.examples, self.cipher, 0)
        reply_NT = in_context(reasoner, asked.prompt, asked.scored, shown_NKt, (self.examples,), self.depth)[self.examples]
        return float(self.task.verify(asked.prompt, spelled(reply_NT, asked.scored, key.back_NC)).mean())


@dataclass(frozen=True)
class Perusal:
    """The same of a text: validation documents, read as in training, on and on or in windows."""

    metric: ClassVar[str] = "bits_per_byte"
    sign: ClassVar[int] = -1
    name: str
    documents: Sequence[np.ndarray]
    depth: int
    stream: bool

    def score(self, reasoner: Reasoner) -> float:
        """bits_per_byte."""
        return float(code_lengths(reasoner, self.documents, self.depth, self.stream).sum() / sum(map(len, self.documents)))


class Validation(Callback):
    """Scores of the averaged weights, one for each part that has a quiz: kept in `scores`, their mean in `latest`. Of several processes the first asks,
    and tells the others.

    Where the parts are scored in different ways the mean is of exact_match and minus bits_per_byte, and is called merit.
    """

    def __init__(self, quizzes: Sequence[Quiz | Perusal | None]) -> None:
        self.quizzes = quizzes
        self.kinds = {(quiz.metric, quiz.sign) for quiz in quizzes if quiz}
        self.metric, self.sign = next(iter(self.kinds)) if len(self.kinds) == 1 else ("merit", 1)
        self.scores: dict[str, float] = {}
        self.latest: float | None = None
        self.at = 0  # the optimiser step of the latest

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        if learner.done % learner.recipe.validation.every and learner.done < learner.recipe.steps:
            return
        with learner.average.within(learner.model), unsharded(learner):
            asked = () if ranks.rank() else zip(self.quizzes, learner.reasoners)
            self.scores = ranks.told({quiz.name: quiz.score(reasoner) for quiz, reasoner in asked if quiz})
        quizzes = [quiz for quiz in self.quizzes if quiz]
        merits = [quiz.sign * self.scores[quiz.name] for quiz in quizzes]
        self.latest, self.at = self.sign * sum(merits) / len(merits), learner.done

    def as_good(self, score: float, best: float | None) -> bool:
        """Whether a score is at least as good as the best so far."""
        return best is None or self.sign * score >= self.sign * best

    def words(self) -> str:
        """The latest scores for a line of a report."""
        if self.latest is None:
            return f"{self.metric} –"
        each = ", ".join(f"{name} {score:.3f}" for name, score in self.scores.items())
        return f"{self.metric} {self.latest:.3f}{f' ({each})' if len(self.scores) > 1 else ''}"


class Keeper(Callback):
    """Writes `state` from time to time, at the end and when terminated, and `model` whenever validation is at least as good as ever.

    Before a cool-down the weights jump about and a few hundred problems flatter some of them: what was best there does not stand once it has begun.
    A run that ends before its first validation leaves its averaged weights as `model` all the same.
    """

    def __init__(self, folder: Path, validation: Validation, data: list[str], best: float | None, wandb_id: str, parents: list[dict[str, Any]]) -> None:
        self.folder, self.validation, self.data, self.best, self.wandb_id = folder, validation, data, best, wandb_id
        self.parents = parents
        self.best_at = read(folder / "model.json").card.step if (folder / "model.json").exists() else 0
        self.kept_at, self.took, self.spent = time.monotonic(), 0.0, 0.0  # when, how long, and how long all of them
        self.burnt_flops = 0.0

    def on_fit_start(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        self.burnt_flops = sum(self.burnt(learner, step) for step in range(learner.done))

    def burnt(self, learner: Learner, step: int) -> float:
        """Forward FLOPs of one optimiser step without a gradient."""
        part = int(learner.turns.part_S[step])
        steps = burn_in(learner.each[part], step)
        return float(forward_flops(learner.each[part], learner.reasoners[part], steps)) if steps else 0.0

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        self.burnt_flops += self.burnt(learner, learner.done - 1)
        latest = self.validation.latest
        outdated = self.best_at < cool_down(learner.recipe) <= learner.done
        if latest is not None and self.validation.at == learner.done and (outdated or self.validation.as_good(latest, self.best)):
            self.best, self.best_at = latest, learner.done
            self.put(learner)
        if ranks.anyone(time.monotonic() - self.kept_at > max(KEEP_EVERY, KEEP_SHARE * self.took)):
            self.keep(learner)

    def on_train_end(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        if learner.done and not (self.folder / "model.json").exists():
            self.put(learner)
        self.keep(learner)

    def on_exception(self, trainer: Any, learner: Learner, exception: BaseException) -> None:  # type: ignore[override]
        if isinstance(exception, SIGTERMException):  # raised between two steps; after any other exception the last state on disk stands
            self.keep(learner)

    def put(self, learner: Learner) -> None:
        """Writes the averaged weights."""
        write(self.folder, "model", self.card(learner), learner.average.of(learner.model))

    def keep(self, learner: Learner) -> None:
        """Writes the whole state of the run."""
        begun = time.monotonic()
        write(self.folder, "state", self.card(learner), state_tensors(learner))
        self.kept_at, self.took = time.monotonic(), time.monotonic() - begun
        self.spent += self.took

    def card(self, learner: Learner) -> Card:
        """What the next checkpoint says about itself."""
        recipe = learner.recipe.model_dump(mode="json")
        return Card(recipe, learner.done, self.data[0], self.best, self.flops(learner), self.wandb_id, self.parents, self.data[1:])

    def flops(self, learner: Learner) -> float:
        """What the weights have cost so far, their parents' cost included."""
        trained = sum(
            3.0 * int(done) * forward_flops(one, reasoner, one.depth)
            for one, reasoner, done in zip(learner.each, learner.reasoners, learner.turns.done_SP[learner.done])
        )
        return trained + self.burnt_flops + sum(parent["train_flops"] for parent in self.parents)


def forward_flops(recipe: Recipe, reasoner: Reasoner, steps: int) -> int:
    """FLOPs of so many latent steps forward on a batch of one part."""
    return recipe.batch * reasoner.model.flops(reasoner.board, steps, recipe.loop.feedback)


def state_tensors(learner: Learner) -> dict[str, torch.Tensor]:
    """Weights, their average, the optimiser's moments and the boards in flight as one flat mapping, the same for any number of processes; all must ask."""
    weights = {f"weight.{name}": weight.data for name, weight in learner.model.named_parameters()}
    average = {f"average.{name}": weight for name, weight in learner.average.weights.items()}
    moments = learner.optimizers().state_dict()["state"]  # type: ignore[union-attr]
    optimiser = {f"optimiser.{index}.{key}": value for index, state in moments.items() for key, value in state.items()}
    flights = [(place, flight) for place, flight in enumerate(learner.flights) if flight]
    held = [(place, flight.tensors() if isinstance(flight, Memory) else flight._asdict()) for place, flight in flights]
    up = {f"{_flight(place)}{name}": value if name in COMMON else ranks.rows(value) for place, tensors in held for name, value in tensors.items()}
    return {**weights, **average, **optimiser, **up}


COMMON = ("started", "position")  # of a flight: one for all processes, not a row for each place of the batch


def _flight(part: int) -> str:
    """How the tensors of a part's flight begin in a state: the only part's as they did before there were several."""
    return f"flight{part or ''}."


def restore(learner: Learner, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of `state_tensors`, into a learner of the same recipe. Takes the weights and moments out of `tensors`, so that none is held twice."""
    for kind, held in (("weight", dict(learner.model.named_parameters())), ("average", learner.average.weights)):
        for name, weight in held.items():
            own(weight.detach()).copy_(own(like(tensors.pop(f"{kind}.{name}"), weight)))
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key in [key for key in tensors if key.startswith("optimiser.")]:
        _, index, moment = key.split(".")
        value = tensors.pop(key)
        state.setdefault(int(index), {})[moment] = like(value, weights[int(index)]) if value.ndim else value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    device = learner.model.token_VD.device
    for part, one in enumerate(learner.each):
        flight = {key.removeprefix(_flight(part)): value for key, value in tensors.items() if key.startswith(_flight(part))}
        flight = {name: (value if name in COMMON else value[ranks.share(one.batch)]).to(device) for name, value in flight.items()}
        if flight:
            learner.flights[part] = Memory.restore(flight, learner.model) if learner.each[part].stream else Flight(**flight)


class Report(Callback):
    """Problems started, loss, validation score, trained board-steps/s and time left on standard error: a live bar in a terminal, lines elsewhere."""

    def __init__(self, validation: Validation, lines: int = 20) -> None:
        self.validation, self.lines = validation, lines
        self.bar: Progress | None = None

    def on_train_start(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        self.begun, self.said, self.first = time.monotonic(), time.monotonic(), learner.done
        self.loss: torch.Tensor | None = None
        if sys.stderr.isatty():
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.row = self.bar.add_task(learner.recipe.name, total=learner.recipe.steps, completed=learner.done, note="")
            self.bar.start()

    def on_train_batch_end(self, trainer: Any, learner: Learner, outputs: Any, *_: Any) -> None:  # type: ignore[override]
        loss, total, now = learner.mean, learner.recipe.steps, time.monotonic()
        self.loss = loss.clone() if self.loss is None else self.loss.lerp_(loss, 0.02)  # stays where it is: to read it is to wait for it
        if learner.done == total or now - self.said > (0.5 if self.bar else SAY_EVERY) or not (self.bar or learner.done % max(total // self.lines, 1)):
            self.said = now
            self.say(learner, (now - self.begun) / (learner.done - self.first))

    def say(self, learner: Learner, seconds: float) -> None:
        """One line or one stroke of the bar; `seconds` is what an optimiser step takes."""
        recipe, seen = learner.recipe, int(learner.problems_seen)
        speed = sum(share * one.batch * one.depth for share, one in zip(recipe.shares, learner.each)) / seconds
        note = f"{seen:,} problems · loss {self.loss:.4f} · validation {self.validation.words()} · {speed:,.0f} board-steps/s"
        if self.bar:
            self.bar.update(self.row, completed=learner.done, note=note)
        else:
            left = (recipe.steps - learner.done) * seconds
            print(f"{recipe.name} {learner.done}/{recipe.steps} · {note} · {left:,.0f} s left", file=sys.stderr, flush=True)

    def teardown(self, trainer: Any, learner: Learner, stage: str) -> None:  # type: ignore[override]
        if self.bar:
            self.bar.stop()
