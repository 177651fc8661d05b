"""The sections of a recipe: what may be said of data, optimiser, carried boards and so on. Frozen; each option is declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bdh_reason.config import configure
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Loop
from bdh_reason.task import Reading, View

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Supervision = Literal["every", "last"]
Alike = Literal["params", "flops", "state"]  # what two runs that are compared have in common
Decay = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def beside(section: Any, path: Sequence[str]) -> set[str]:
    """The keys that may stand where the last of `path` does, each with what leads there, e.g. `data.size`; digits count the entries of a list."""
    for part in path[:-1]:
        section = section if part.isdigit() else _inside(section.model_fields[part].annotation)
    return {".".join([*path[:-1], name]) for name in section.model_fields}


def _inside(annotation: Any) -> Any:
    """The section that an annotation is of, e.g. Part in tuple[Part, ...]."""
    kinds = get_args(annotation)
    return _inside(kinds[0]) if kinds else annotation


class Choice(Section):
    """Something found by name, with its own options: `{name: bdh, options: {d: 32}}`; the options are checked by its `Config`."""

    name: str
    options: dict[str, Any] = {}


class Data(Section):
    """The problems to generate: `size` in all, split by family into train, validation and test by `shares`.

    With a `folder` they are a data set that is there, e.g. an imported one, under the root of data sets: its first `size` training problems.
    A text brings its own: nothing of this is said.
    """

    folder: str | None = None
    size: Count = 0
    seed: int = 0
    shares: tuple[Share, Share, Share] = (0.9, 0.05, 0.05)


class Optimiser(Section):
    """AdamW: linear warm-up to `lr`, then down to `final` of it; weight decay on matrices only; gradients clipped to norm `clip`.

    decay "cosine": over the whole run. "wsd" (warm-up, stable, decay): in a line over the last `cooldown` of the steps, so that a run whose cool-down
    has not begun goes on under a larger or smaller `steps` as if that had been planned.
    """

    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2e-3
    decay: Literal["cosine", "wsd"] = "cosine"
    cooldown: Share = 0.2
    final: Share = 0.05
    warmup: Count = 100
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    clip: Annotated[float, Field(gt=0)] = 1.0


class Carry(Section):
    """How many optimiser steps a board may stay in flight, each going on from its last thought; it leaves earlier once its reply is the target."""

    age: Positive = 1


class BurnIn(Section):
    """`share` of the batches think for a number of steps from `steps[0]` to `steps[1]` without a gradient before the trained ones."""

    share: Share = 0.0
    steps: tuple[Positive, Positive] = (32, 512)


class Context(Section):
    """With `examples` a place of the batch is a stream of so many problems and one more, each asked and then shown with its answer (`data.shots`); what is
    validated is the last one. cipher: the share of the streams whose answers are spelled in a way that only their examples tell.
    """

    examples: Count = 0
    cipher: Share = 0.0


class Mix(Section):
    """How much of a batch comes from each slice of difficulty (up to the task's first edge, the second, …, above the last); need not add up to 1.

    The weights go in a straight line from `start` at the first step to `end` at the last, where there is one. Without a start: the data as they are.
    """

    start: tuple[Weight, ...] = ()
    end: tuple[Weight, ...] = ()

    def shares(self) -> np.ndarray | None:
        """The shares at the first and at the last step, float [2, slices], or None where the data are taken as they are."""
        return np.array([np.array(weights) / sum(weights) for weights in (self.start, self.end or self.start)]) if self.start else None


class Quiz(Section):
    """exact_match on the first `problems` of the validation split at `depth`."""

    problems: Positive = 256
    depth: Positive = 16


class Validation(Quiz):
    """A quiz every `every` optimiser steps, with the averaged weights."""

    every: Positive = 200


def _loop(given: Any) -> Loop:
    if not isinstance(given, Loop | dict):
        raise UserError(f"loop = {given!r}", "a mapping, e.g. {noise: 0.5}")
    return given if isinstance(given, Loop) else configure(Loop, given, "loop")


Thinking = Annotated[Loop, BeforeValidator(_loop)]


class Part(Section):
    """`share` of the optimiser steps are each one batch of this part. What it says besides replaces the recipe's own word, section by section."""

    share: Annotated[float, Field(gt=0, le=1)]
    task: Choice | None = None
    data: Data | None = None
    view: View | None = None
    reading: Reading | None = None
    loop: Thinking | None = None
    depth: Positive | None = None
    loss: Supervision | None = None
    loss_from: Positive | None = None
    loss_stride: Positive | None = None
    carry: Carry | None = None
    burn_in: BurnIn | None = None
    mix: Mix | None = None
    stream: bool | None = None
    batch: Positive | None = None
    validation: Quiz | None = None

    def own(self) -> dict[str, Any]:
        """The fields of a recipe that this part has a word on."""
        return {name: value for name in type(self).model_fields if name not in ("share", "validation") and (value := getattr(self, name)) is not None}


class Horizons(Section):
    """Values of the option that is the task's horizon. Trained on in equal shares, each a data set of `data.size` problems of its own; examined at
    `exam`, or at every step of the task's ladder.
    """

    train: Annotated[tuple[Positive, ...], Field(min_length=1)]
    exam: tuple[Positive, ...] = ()
