"""A suite: one recipe in several arms and seeds, each cell of which is trained and examined alike, so that the arms can be compared.

The arms are the product of the axes: each axis names some changes of the recipe, an arm is one choice from each, and its name joins theirs. Where arms
that belong together differ in more than that, a suite has several such products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from bdh_reason.config import read_yaml
from bdh_reason.errors import UserError, unknown
from bdh_reason.train.recipe import Recipe, lay_over, load
from bdh_reason.train.sections import Positive, Section

FOLDER = Path(__file__).parent / "suites"


class Asked(Section):
    """One exam that every cell sits: `eval`'s options of the same names. Arms that are chosen between are compared on validation.

    Without a depth each thinks as deeply as it was validated. A recipe with horizons is asked its exam's.
    """

    depth: tuple[Positive, ...] | None = None
    data: str | None = None
    split: Literal["validation", "test"] = "validation"
    limit: Positive | None = None


Axes = Annotated[dict[str, dict[str, dict[str, Any]]], Field(min_length=1)]


class Suite(Section):
    """`settings` are laid over the recipe in every cell, the changes of an arm over those. `axes` is one product or a list of them."""

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    axes: Annotated[tuple[Axes, ...], BeforeValidator(lambda given: [given] if isinstance(given, dict) else given), Field(min_length=1)]
    seeds: tuple[int, ...] = Field(min_length=1)
    exams: tuple[Asked, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Cell:
    """One run: its arm, its seed and all that decides it."""

    arm: str
    recipe: Recipe

    @property
    def place(self) -> Path:
        """Where it lies in the folder of its suite; a result row names a model by the last part."""
        return Path(f"seed{self.recipe.seed}") / self.arm


def suite_names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(reference: str) -> tuple[str, Suite]:
    """A suite by name or by path, and its name. Raises UserError for an unknown one, unreadable YAML, an unknown key and a value out of range."""
    path = Path(reference) if reference.endswith((".yaml", ".yml")) else FOLDER / f"{reference}.yaml"
    if not path.is_file():
        raise unknown("suite", reference, suite_names())
    given = read_yaml(path.read_text(encoding="utf-8"), str(path))
    try:
        suite = Suite.model_validate(given, strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, problem['loc'])) or 'the content'} of {path}", remedy=problem["msg"]) from error
    return path.stem, suite


def cells(suite: Suite) -> list[Cell]:
    """All cells, the first seed of every arm before the second of any. Raises UserError for an arm that is no recipe, and for two of one name."""
    chosen = [(axes, names) for axes in suite.axes for names in product(*axes.values())]
    arms = {"-".join(names): [axis[name] for axis, name in zip(axes.values(), names)] for axes, names in chosen}
    if len(arms) < len(chosen):
        raise UserError(f"{len(chosen)} arms with {len(arms)} names", "a name of its own for every choice")
    return [_cell(suite, arm, changes, seed) for seed in suite.seeds for arm, changes in arms.items()]


def _cell(suite: Suite, arm: str, changes: list[dict[str, Any]], seed: int) -> Cell:
    laid: dict[str, Any] = {"name": arm}
    for change in (suite.settings, *changes, {"seed": seed}):
        laid = lay_over(laid, change)
    return Cell(arm, load(laid.pop("recipe", suite.recipe), laid))
