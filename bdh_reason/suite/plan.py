"""A suite: one recipe in several arms and seeds, each cell of which is trained and examined alike, so that the arms can be compared.

The arms are the product of the axes: each axis names some changes of the recipe, an arm is one choice from each, and its name joins theirs. Where arms
that belong together differ in more than that, a suite has several such products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from bdh_reason.config import read_yaml
from bdh_reason.errors import UserError, unknown
from bdh_reason.train.recipe import Recipe, lay_over, load
from bdh_reason.train.sections import Positive, Section

FOLDER = Path(__file__).parent / "suites"
P = TypeVar("P", bound=Section)


class Asked(Section):
    """One exam that every cell sits: `eval`'s options of the same names. Arms that are chosen between are compared on validation.

    Without a task each is asked everything that it was trained on; a task is asked of all, also of those that were not.
    Without a depth each thinks as deeply as it was validated. A recipe with horizons is asked its exam's.
    """

    task: str | None = None
    depth: tuple[Positive, ...] | None = None
    data: str | None = None
    split: Literal["validation", "test"] = "validation"
    limit: Positive | None = None


Axes = Annotated[dict[str, dict[str, dict[str, Any]]], Field(min_length=1)]


class Look(Section):
    """What `probe` looks at in some arms: the test documents of a text, and sentences with a concept or without it, a file beside the suite's."""

    arms: tuple[str, ...]
    task: str
    concept: str | None = None
    limit: Positive = 64


class Suite(Section):
    """`settings` are laid over the recipe in every cell, the changes of an arm over those. `axes` is one product or a list of them. `merges`: arms that
    are not trained but joined of two others, neuron by neuron. The `start` of an arm may be another arm.
    """

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    axes: Annotated[tuple[Axes, ...], BeforeValidator(lambda given: [given] if isinstance(given, dict) else given), Field(min_length=1)]
    seeds: tuple[int, ...] = Field(min_length=1)
    exams: tuple[Asked, ...] = Field(min_length=1)
    merges: dict[str, tuple[str, str]] = Field(default_factory=dict)
    probes: tuple[Look, ...] = ()

    def asked(self, arm: str) -> list[Asked | Look]:
        """The exams of an arm, then its probes."""
        return [*self.exams, *(look for look in self.probes if arm in look.arms)]


@dataclass(frozen=True)
class Cell:
    """One run: its arm, its seed and all that decides it; of a merge the arms that are joined, and the first one's recipe."""

    arm: str
    recipe: Recipe
    joins: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Where it lies in the folder of its suite; a result row names a model by the last part."""
        return Path(f"seed{self.recipe.seed}") / self.arm


def suite_names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def place(reference: str, folder: Path = FOLDER) -> Path:
    """The file that a path or a name of a plan means; what a suite needs besides lies in its folder."""
    return Path(reference) if reference.endswith((".yaml", ".yml")) else folder / f"{reference}.yaml"


def load_suite(reference: str) -> tuple[str, Suite]:
    """A suite by name or by path, and its name. Raises UserError for an unknown one, unreadable YAML, an unknown key and a value out of range."""
    return read_plan(Suite, "suite", reference, FOLDER)


def read_plan(cls: type[P], kind: str, reference: str, folder: Path) -> tuple[str, P]:
    """A plan of some kind by path, or by name out of a folder, and its name; raises as `load_suite` does."""
    path = place(reference, folder)
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
    """All cells, the first seed of every arm before the second of any, and each after the arms that it is made of.

    Raises UserError for an arm that is no recipe, for two of one name, and for a merge or a probe of arms that there are not.
    """
    chosen = [(axes, names) for axes in suite.axes for names in product(*axes.values())]
    arms = {"-".join(names): [axis[name] for axis, name in zip(axes.values(), names)] for axes, names in chosen}
    if len(arms) < len(chosen):
        raise UserError(f"{len(chosen)} arms with {len(arms)} names", "a name of its own for every choice")
    for arm in [*(arm for pair in suite.merges.values() for arm in pair), *(arm for look in suite.probes for arm in look.arms)]:
        if arm not in (*arms, *suite.merges):
            raise unknown("arm", arm, (*arms, *suite.merges))
    return [cell for seed in suite.seeds for cell in _ordered(suite, [_cell(suite, arm, changes, seed) for arm, changes in arms.items()])]


def _ordered(suite: Suite, trained: list[Cell]) -> list[Cell]:
    """The cells of a seed: each merge as soon as both its arms are there, arms that start with a merge last."""
    later = [cell for cell in trained if cell.recipe.start in suite.merges]
    cells = [cell for cell in trained if cell not in later]
    for name, joins in suite.merges.items():
        first = next((cell for cell in cells if cell.arm == joins[0]), None)
        if first is None:
            raise UserError(f"merge {name} of {joins[0]}, which starts with a merge or comes later", "arms that are there before it")
        cells.append(Cell(name, first.recipe, joins))
    return cells + later


def _cell(suite: Suite, arm: str, changes: list[dict[str, Any]], seed: int) -> Cell:
    laid: dict[str, Any] = {"name": arm}
    for change in (suite.settings, *changes, {"seed": seed}):
        laid = lay_over(laid, change)
    return Cell(arm, load(laid.pop("recipe", suite.recipe), laid))
