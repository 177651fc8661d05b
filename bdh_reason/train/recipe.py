"""A recipe: everything that decides a training run, typed and frozen, read from YAML. Each option is declared here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError, model_validator

from bdh_reason import discover
from bdh_reason.config import configure, read_text, read_yaml
from bdh_reason.data.shots import stretched
from bdh_reason.errors import UserError, unknown
from bdh_reason.model import Model
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.task import Board, Corpus, Reading, Subject, Task, View
from bdh_reason.train.initial import initial
from bdh_reason.train.sections import (
    Alike,
    BurnIn,
    Carry,
    Choice,
    Context,
    Count,
    Data,
    Decay,
    Horizons,
    Mix,
    Optimiser,
    Part,
    Positive,
    Section,
    Supervision,
    Thinking,
    Validation,
    beside,
)

FOLDER = Path(__file__).parent / "recipes"


class Recipe(Section):
    """One training run. `depth` latent steps are trained through; `ema` averages the weights; `match` says what this run has in common with
    the one it is compared to; `start` is the checkpoint whose weights it begins with, instead of fresh ones. `loss`: on the last step, or on every
    `loss_stride`-th counted back from it down to `loss_from` (1 is the first). `parts` share the steps of one run and its one set of weights, and each
    is a recipe again (`each`); `horizons` are parts of one task. `stream`: of a text each place of the batch reads document after document, and what it
    remembers goes with it from one window to the next (truncated backpropagation through time); else every window stands alone.
    `frozen`: the first so many neurons in each head of a BDH keep the weights they start with. No `steps` give the starting weights as a checkpoint.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    task: Choice
    model: Choice
    data: Data = Data()
    view: View = "candidates"
    reading: Reading = "grid"
    loop: Thinking = Loop()
    depth: Positive = 8
    loss: Supervision = "every"
    loss_from: Positive = 1
    loss_stride: Positive = 1
    carry: Carry = Carry()
    burn_in: BurnIn = BurnIn()
    mix: Mix = Mix()
    context: Context = Context()
    stream: bool = False
    steps: Count
    batch: Positive = 64
    optimiser: Optimiser = Optimiser()
    ema: Decay = 0.998
    precision: Literal["fp32", "bf16"] = "bf16"
    seed: int = 0
    start: str | None = None
    frozen: Count = 0
    match: Literal["", Alike] = ""
    validation: Validation = Validation()
    parts: tuple[Part, ...] = ()
    horizons: Horizons | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        """What no field can say alone. Raises UserError."""
        if self.parts and self.horizons:
            raise UserError("parts and horizons in one recipe", "one of them")
        for asked in ("train", "exam") if self.horizons else ():
            horizons = getattr(self.horizons, asked)
            if twice := {horizon for horizon in horizons if horizons.count(horizon) > 1}:
                raise UserError(f"horizon {min(twice)} twice in horizons.{asked} = {list(horizons)}", "every horizon once")
        if abs(sum(self.shares) - 1) > 1e-9:
            raise UserError(f"parts with shares of {', '.join(f'{share:g}' for share in self.shares)}", f"shares that add up to 1, not to {sum(self.shares):g}")
        if self.frozen and (self.model.name != "bdh" or self.frozen > (config := self.model_options()).n // config.heads):
            raise UserError(f"frozen = {self.frozen} neurons in each head of {self.model.name}", "0, or with bdh at most as many as there are")
        for one in self.each:
            one._agrees()
        return self

    def _agrees(self) -> None:
        """`_fits_together` of one part."""
        kind = discover.kind(self.task.name)
        slices, text = len(kind.edges) + 1, issubclass(kind, Corpus)
        if (self.data != Data()) if text else not self.data.size:
            raise UserError(f"data of size {self.data.size} for {self.task.name}", "no data for a text, which brings its own" if text else "1 or more problems")
        if self.stream and not (text and self.loss == "last" and self.carry.age == 1 and not self.burn_in.share and not self.loop.noise):
            raise UserError(f"stream = true for {self.task.name}", "a text, loss: last, and no carry, burn_in or noise")
        if self.context != Context() and (text or not self.context.examples or self.reading == "grid" or self.loop.noise or self.model_options().coordinates):
            raise UserError(f"context with {self.context}", "examples: 1 or more, of a task with reading: sequence, no noise and no learned coordinates")
        if self.loss_from > self.depth:
            raise UserError(f"loss_from = {self.loss_from} of {self.depth} latent steps", f"1 to {self.depth}")
        if self.burn_in.steps[0] > self.burn_in.steps[1]:
            raise UserError(f"burn_in.steps = {self.burn_in.steps}", "the fewest steps, then the most")
        for weights in (self.mix.start, self.mix.end):
            if weights and (len(weights) != slices or not sum(weights)):
                raise UserError(f"mix of {weights}", f"{slices} weights, one for each slice of difficulty of {self.task.name}, not all 0")
        if self.mix.end and not self.mix.start:
            raise UserError("mix.end without mix.start", "both, or none")

    @property
    def each(self) -> tuple[Recipe, ...]:
        """A recipe of its own for every part of the run, named by its task, horizon and, where these are not enough, place; a plain one is its own part."""
        parts = [self.of(part) for part in self._parts()]
        names = [part.name for part in parts]
        return tuple(
            part if names.count(part.name) == 1 else part.model_copy(update={"name": f"{part.name}-part{place}"}) for place, part in enumerate(parts, 1)
        ) or (self,)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the optimiser steps that each part has."""
        return tuple(part.share for part in self._parts()) or (1.0,)

    def _parts(self) -> tuple[Part, ...]:
        """The parts, those of the horizons too; none in a plain recipe."""
        task, trained = self.task, self.horizons.train if self.horizons else ()
        options = [discover.at_horizon(task.name, task.options, horizon) for horizon in trained]
        return self.parts or tuple(Part(share=1 / len(trained), task=Choice(name=task.name, options=chosen)) for chosen in options)

    @property
    def ladder(self) -> tuple[int, ...]:
        """The horizons that its exam asks; none where the recipe speaks of none."""
        return (self.horizons.exam or discover.kind(self.task.name).ladder) if self.horizons else ()

    def of(self, part: Part) -> Recipe:
        """The recipe of one part: its own words laid over this one's."""
        own = part.own()
        if part.validation:
            own["validation"] = self.validation.model_copy(update=part.validation.model_dump())
        task = own.get("task", self.task)
        if discover.is_text(task.name):
            own.setdefault("data", Data())  # it brings its own
        horizon = task.options.get(discover.kind(task.name).horizon)
        name = task.name if horizon is None else f"{task.name}-{horizon}"
        return self.model_copy(update={**own, "name": name, "parts": (), "horizons": None})

    @property
    def supervised(self) -> range:
        """The latent steps (from 1) that a loss is taken on, the last one first."""
        return range(self.depth, self.depth - 1 if self.loss == "last" else self.loss_from - 1, -self.loss_stride)

    def subject(self) -> Subject:
        """The task or the text in this recipe's configuration."""
        return discover.build(self.task.name, self.task.options)

    def build_task(self) -> Task:
        """The task in this recipe's configuration. Raises UserError for a text."""
        return discover.build_task(self.task.name, self.task.options)

    def model_options(self) -> Any:
        """The model's own `Config`. Raises UserError for an unknown model or option."""
        config = discover.model_module(self.model.name).Config
        return configure(config, self.model.options, f"the options of model {self.model.name}")

    def build_model(self, board: Board) -> Model:
        """The model with fresh weights that depend on `seed` alone; it has what any part's loop needs."""
        feedback = any(one.loop.feedback for one in self.each)
        return initial(discover.model_module(self.model.name).Model, self.model_options(), board, self.seed, feedback)

    def reasoners(self) -> tuple[Reasoner, ...]:
        """One fresh model before the board of every part, made for the first grid among them: a text has no relations to bind its heads to.
        Where one part reads bytes all do, and the candidates of another are spelled in bytes.

        Raises UserError for a board that a task does not have or that the model cannot read.
        """
        boards = [stretched(one.subject().board(one.view, one.reading), one.context.examples) for one in self.each]
        boards = [board.within(max(other.vocabulary for other in boards)) for board in boards]
        model = self.build_model(next((board for board in boards if board.reading == "grid"), boards[0]))
        for board in boards:
            model.check(board)
        return tuple(Reasoner(model, board, one.loop) for board, one in zip(boards, self.each))


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
    given = read_yaml(read_text(path, "a recipe in YAML"), str(path))
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
        recipe.reasoners()
    for horizon in recipe.ladder:
        discover.build_task(recipe.task.name, discover.at_horizon(recipe.task.name, recipe.task.options, horizon))
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
        return unknown("key", ".".join(path), beside(Recipe, path), where)
    if problem["type"] == "missing":
        return UserError(f"no {'.'.join(path)} in {where}", "a recipe that names its task and its model")
    return UserError(f"{'.'.join(path)} = {problem['input']!r} in {where}", remedy=problem["msg"])
