"""A suite: one recipe in several arms and seeds, each cell of which is trained and examined alike, so that the arms can be compared.

The arms are the product of the axes: each axis names some changes of the recipe, an arm is one choice from each, and its name joins theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from bdh_reason.config import read_yaml
from bdh_reason.errors import UserError, unknown
from bdh_reason.train.recipe import Recipe, lay_over, load
from bdh_reason.train.sections import Positive, Section

FOLDER = Path(__file__).parent / "suites"
P = TypeVar("P", bound=Section)


class Asked(Section):
    """One exam that every cell sits: `eval`'s options of the same names. Arms that are chosen between are compared on validation.

    Without a depth each thinks as deeply as it was validated. A recipe with horizons is asked its exam's.
    """

    depth: tuple[Positive, ...] | None = None
    data: str | None = None
    split: Literal["validation", "test"] = "validation"
    limit: Positive | None = None


class Suite(Section):
    """`settings` are laid over the recipe in every cell, the changes of an arm over those."""

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    axes: dict[str, dict[str, dict[str, Any]]] = Field(min_length=1)
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
    return read_plan(Suite, "suite", reference, FOLDER)


def read_plan(cls: type[P], kind: str, reference: str, folder: Path) -> tuple[str, P]:
    """A plan of some kind by path, or by name out of a folder, and its name; raises as `load_suite` does."""
    path = Path(reference) if reference.endswith((".yaml", ".yml")) else folder / f"{reference}.yaml"
    if not path.is_file():
        raise unknown(kind, reference, [known.stem for known in folder.glob("*.yaml")])
    given = read_yaml(path.read_text(encoding="utf-8"), str(path))
    try:
        plan = cls.model_validate(given, strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, problem['loc'])) or 'the content'} of {path}", remedy=problem["msg"]) from error
    return path.stem, plan


def cells(suite: Suite) -> list[Cell]:
    """All cells, the first seed of every arm before the second of any. Raises UserError for an arm that is no recipe."""
    arms = {"-".join(names): [axis[name] for axis, name in zip(suite.axes.values(), names)] for names in product(*suite.axes.values())}
    return [_cell(suite, arm, changes, seed) for seed in suite.seeds for arm, changes in arms.items()]


def _cell(suite: Suite, arm: str, changes: list[dict[str, Any]], seed: int) -> Cell:
    laid: dict[str, Any] = {"name": arm}
    for change in (suite.settings, *changes, {"seed": seed}):
        laid = lay_over(laid, change)
    return Cell(arm, load(laid.pop("recipe", suite.recipe), laid))
