"""A recipe: everything that decides a training run, typed and frozen, read from YAML. Each option is declared here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bdh_reason import discover
from bdh_reason.config import configure, read_yaml
from bdh_reason.errors import UserError, unknown
from bdh_reason.reason.loop import Loop
from bdh_reason.task import Board, Reading, Task, View
from bdh_reason.train.initial import initial

FOLDER = Path(__file__).parent / "recipes"
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Choice(Section):
    """Something found by name, with its own options: `{name: bdh, options: {d: 32}}`; the options are checked by its `Config`."""

    name: str
    options: dict[str, Any] = {}


class Data(Section):
    """The problems to generate: `size` in all, split by family into train, validation and test by `shares`.

    With a `folder` they are a data set that is there, e.g. an imported one, under the root of data sets: its first `size` training problems.
    """

    folder: str | None = None
    size: Positive
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
    warmup: Annotated[int, Field(ge=0)] = 100
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


class Mix(Section):
    """How much of a batch comes from each slice of difficulty (up to the task's first edge, the second, …, above the last); need not add up to 1.

    The weights go in a straight line from `start` at the first step to `end` at the last, where there is one. Without a start: the data as they are.
    """

    start: tuple[Weight, ...] = ()
    end: tuple[Weight, ...] = ()

    def shares(self) -> np.ndarray | None:
        """The shares at the first and at the last step, float [2, slices], or None where the data are taken as they are."""
        return np.array([np.array(weights) / sum(weights) for weights in (self.start, self.end or self.start)]) if self.start else None


class Validation(Section):
    """Every `every` optimiser steps: exact_match on the first `problems` of the validation split at `depth`, with the averaged weights."""

    every: Positive = 200
    problems: Positive = 256
    depth: Positive = 16


def _loop(given: Any) -> Loop:
    if not isinstance(given, Loop | dict):
        raise UserError(f"loop = {given!r}", "a mapping, e.g. {noise: 0.5}")
    return given if isinstance(given, Loop) else configure(Loop, given, "loop")


class Recipe(Section):
    """One training run. `depth` latent steps are trained through; `ema` averages the weights; `match` says what this run has in common with
    the one it is compared to; `start` is the checkpoint whose weights it begins with, instead of fresh ones. `loss`: on the last step, or on every
    `loss_stride`-th counted back from it down to `loss_from` (1 is the first).
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    task: Choice
    model: Choice
    data: Data
    view: View = "candidates"
    reading: Reading = "grid"
    loop: Annotated[Loop, BeforeValidator(_loop)] = Loop()
    depth: Positive = 8
    loss: Literal["every", "last"] = "every"
    loss_from: Positive = 1
    loss_stride: Positive = 1
    carry: Carry = Carry()
    burn_in: BurnIn = BurnIn()
    mix: Mix = Mix()
    steps: Positive
    batch: Positive = 64
    optimiser: Optimiser = Optimiser()
    ema: Decay = 0.998
    precision: Literal["fp32", "bf16"] = "bf16"
    seed: int = 0
    start: str | None = None
    match: Literal["", "params", "flops", "state"] = ""
    validation: Validation = Validation()

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        """What no field can say alone. Raises UserError."""
        slices = len(discover.task_module(self.task.name).Task.edges) + 1
        if self.loss_from > self.depth:
            raise UserError(f"loss_from = {self.loss_from} of {self.depth} latent steps", f"1 to {self.depth}")
        if self.burn_in.steps[0] > self.burn_in.steps[1]:
            raise UserError(f"burn_in.steps = {self.burn_in.steps}", "the fewest steps, then the most")
        for weights in (self.mix.start, self.mix.end):
            if weights and (len(weights) != slices or not sum(weights)):
                raise UserError(f"mix of {weights}", f"{slices} weights, one for each slice of difficulty of {self.task.name}, not all 0")
        if self.mix.end and not self.mix.start:
            raise UserError("mix.end without mix.start", "both, or none")
        return self

    @property
    def supervised(self) -> range:
        """The latent steps (from 1) that a loss is taken on, the last one first."""
        return range(self.depth, self.depth - 1 if self.loss == "last" else self.loss_from - 1, -self.loss_stride)

    def build_task(self) -> Task:
        """The task in this recipe's configuration."""
        return discover.build_task(self.task.name, self.task.options)

    def model_options(self) -> Any:
        """The model's own `Config`. Raises UserError for an unknown model or option."""
        config = discover.model_module(self.model.name).Config
        return configure(config, self.model.options, f"the options of model {self.model.name}")

    def build_model(self, board: Board) -> Any:
        """The model with fresh weights that depend on `seed` alone."""
        return initial(discover.model_module(self.model.name).Model, self.model_options(), board, self.seed, self.loop.feedback)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(reference: str, changes: dict[str, Any]) -> Recipe:
    """A recipe by name or by path, with `changes` (a nested mapping, e.g. `{"model": {"options": {"d": 64}}}`) laid over it.

    Raises UserError for an unknown recipe, unreadable YAML, an unknown key (naming the nearest) and a value out of range.
    """
    path = Path(reference) if reference.endswith((".yaml", ".yml")) else FOLDER / f"{reference}.yaml"
    if not path.is_file():
        raise unknown("recipe", reference, recipe_names())
    try:
        given = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8", "a recipe in YAML") from error
    if not isinstance(given, dict):
        raise UserError(f"{path} holds no mapping", "key: value lines")
    return parse(lay_over({"name": path.stem, **given}, changes), str(path))


def parse(given: dict[str, Any], where: str) -> Recipe:
    """A recipe from a plain mapping, e.g. the one inside a checkpoint. Raises UserError as `load` does, and where the model does not read the board."""
    try:
        recipe = Recipe.model_validate_json(_json(given))
    except ValidationError as error:
        raise _explain(error, where) from error
    with torch.device("meta"):  # no weights yet, but a model that does not read such a board says so before anything is built
        recipe.build_model(recipe.build_task().board(recipe.view, recipe.reading))
    return recipe


def _json(given: dict[str, Any]) -> str:
    import json

    try:
        return json.dumps(given)
    except TypeError as error:
        raise UserError(f"a recipe value that is no number, text, list or mapping: {error}") from error


def lay_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The changes laid over a nested mapping: mappings are merged, everything else is replaced; so is a mapping that gets another name, whose options
    would not be those of its new owner.
    """
    merged = {} if "name" in changes and "options" in base and changes["name"] != base.get("name") else dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged


def _explain(error: ValidationError, where: str) -> UserError:
    """The first complaint of pydantic, as one of ours."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        section: Any = Recipe
        for part in path[:-1]:
            section = section.model_fields[part].annotation
        return unknown("key", ".".join(path), {".".join([*path[:-1], name]) for name in section.model_fields}, where)
    if problem["type"] == "missing":
        return UserError(f"no {'.'.join(path)} in {where}", "a recipe that names its task and its model")
    return UserError(f"{'.'.join(path)} = {problem['input']!r} in {where}", remedy=problem["msg"])
