"""A suite: one recipe in several arms and seeds, each cell of which is trained and examined alike, so that the arms can be compared.

The arms are the product of the axes: each axis names some changes of the recipe, an arm is one choice from each, and its name joins theirs. Where arms
that belong together differ in more than that, a suite has several such products. A suite with an axis `size` is a ladder: its rungs can be laid on a curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from bdh_reason import discover
from bdh_reason.config import line_of, read_text, read_yaml
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.errors import UserError, unknown
from bdh_reason.train.match import figure, match
from bdh_reason.train.recipe import Recipe, lay_over, load
from bdh_reason.train.sections import Alike, Positive, Section, beside

FOLDER = Path(__file__).parent / "suites"
SIZE = "size"  # the axis of a ladder
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


Axes = Annotated[dict[str, Annotated[dict[str, dict[str, Any]], Field(min_length=1)]], Field(min_length=1)]


class Look(Section):
    """What `probe` looks at in some arms: the test documents of a text, and sentences with a concept or without it, a file beside the suite's."""

    arms: tuple[str, ...]
    task: str
    concept: str | None = None
    limit: Positive = 64


class Pairing(Section):
    """Along an axis all choices but the first get the width at which they have as many parameters, training FLOPs or state floats as the first has."""

    axis: str
    by: Alike = "params"


class Suite(Section):
    """`settings` are laid over the recipe in every cell, the changes of an arm over those; then `match` sets widths. `axes` is one product or a list of
    them. `merges`: arms that are not trained but joined of two others, neuron by neuron. The `start` of an arm may be another arm.
    """

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    axes: Annotated[tuple[Axes, ...], BeforeValidator(lambda given: [given] if isinstance(given, dict) else given), Field(min_length=1)]
    match: Pairing | None = None
    seeds: tuple[int, ...] = Field(min_length=1)
    exams: tuple[Asked, ...] = Field(min_length=1)
    merges: dict[str, tuple[str, str]] = Field(default_factory=dict)
    probes: tuple[Look, ...] = ()

    def asked(self, arm: str) -> list[Asked | Look]:
        """The exams of an arm, then its probes."""
        return [*self.exams, *(look for look in self.probes if arm in look.arms)]


@dataclass(frozen=True)
class Cell:
    """One run: its arm, its seed and all that decides it; of a merge the arms that are joined, and the first one's recipe.

    choices: what its arm is, by axis · mismatch: how far its size is from that of the first choice along the matched axis, as a share; None where it has
    no pair.
    """

    arm: str
    recipe: Recipe
    joins: tuple[str, ...] = ()
    choices: dict[str, str] = field(default_factory=dict)
    mismatch: float | None = None

    @property
    def place(self) -> Path:
        """Where it lies in the folder of its suite; a result row names a model by the last part."""
        return Path(f"seed{self.recipe.seed}") / self.arm


@dataclass(frozen=True)
class Plan:
    """A suite that was read: its name, its file (what it needs besides lies beside it), and its cells in the order in which they run."""

    name: str
    path: Path
    suite: Suite
    cells: tuple[Cell, ...]


def suite_names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def place(reference: str, folder: Path = FOLDER) -> Path:
    """The file that a path or a name of a plan means; what a suite needs besides lies in its folder."""
    return Path(reference) if reference.endswith((".yaml", ".yml")) else folder / f"{reference}.yaml"


def read_plan(cls: type[P], kind: str, reference: str, folder: Path) -> tuple[str, P]:
    """A plan of some kind by path, or by name out of a folder, and its name. Raises UserError for an unknown one, and, with the file and the line, for
    unreadable YAML, an unknown key and a value out of range.
    """
    path = place(reference, folder)
    if not path.is_file():
        raise unknown(kind, reference, [known.stem for known in folder.glob("*.yaml")])
    text = read_text(path, f"a {kind} in YAML")
    given = read_yaml(text, str(path))
    try:
        return path.stem, cls.model_validate(given, strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        keys = [str(key) for key in problem["loc"]]
        if problem["type"] == "missing":
            raise UserError(f"no {'.'.join(keys)} in {path}, line {line_of(text, keys[:-1])}", remedy=f"a {kind} has to say it") from error
        if keys[:1] == ["axes"] and isinstance(given["axes"], dict):
            keys = [keys[0], *keys[2:]]
        if keys[-1:] == ["[key]"]:
            where = f"{path}, line {line_of(text, keys[:-1])}"
            raise UserError(f"the key {problem['input']!r} of {where}, which YAML reads as no text", "text", "put it in quotes as it stands there") from error
        where = f"{path}, line {line_of(text, keys)}"
        if problem["type"] == "extra_forbidden":
            raise unknown("key", ".".join(keys), beside(cls, keys), where) from error
        raise UserError(f"{'.'.join(keys) or 'the content'} of {where}", remedy=problem["msg"]) from error


def load_plan(reference: str) -> Plan:
    """A suite by name or by path, and its cells. Raises UserError as `read_plan` does, and, with file and line, for an arm that is no recipe, two arms of one
    name or that are the same run, a seed that is there twice, a merge or a probe of arms that there are not, and an exam of what an arm is not trained on.
    """
    name, suite = read_plan(Suite, "suite", reference, FOLDER)
    text = Lines(place(reference))
    if twice := {seed for seed in suite.seeds if suite.seeds.count(seed) > 1}:
        raise UserError(f"seed {min(twice)} twice in {text.where('seeds')}", "every seed once", "the same run would be done again")
    if suite.match and (missing := [axes for axes in suite.axes if suite.match.axis not in axes]):
        raise unknown("axis", suite.match.axis, missing[0], text.where("match", "axis"))
    first = _ordered(suite, list(_trained(suite, text)))
    _examinable(suite, first, text)
    return Plan(name, text.path, suite, tuple(_reseeded(cell, seed) for seed in suite.seeds for cell in first))


def _examinable(suite: Suite, cells: Sequence[Cell], text: Lines) -> None:
    """Raises UserError, with file and line, for an exam or a probe of a task that does not exist, and for an exam of one that an arm is not trained on."""
    for number, look in enumerate(suite.probes):
        with text.at("probes", str(number), "task"):
            discover.resolve(look.task)
    for number, asked in enumerate(suite.exams):
        if asked.task is None:
            continue
        with text.at("exams", str(number), "task"):
            task = discover.resolve(asked.task)[0]
            for cell in cells:
                if task not in (known := {discover.resolve(one.task.name)[0] for one in cell.recipe.each}):
                    raise UserError(f"task {asked.task}, on which {cell.arm} is not trained", ", ".join(sorted(known)))


def find_data(plan: Plan, root: Path) -> None:
    """Raises UserError, with file and line, for the data set of an exam that is not under `root`, or is of another task than is asked."""
    for number, asked in enumerate(plan.suite.exams):
        if asked.data is None:
            continue
        with Lines(plan.path).at("exams", str(number), "data"):
            held = read_manifest(root / asked.data).plan.task
            for task in [asked.task] if asked.task else dict.fromkeys(one.task.name for cell in plan.cells for one in cell.recipe.each):
                if discover.resolve(task)[0] != held:
                    raise UserError(f"{root / asked.data} holds problems of task {held}", task)


@dataclass(frozen=True)
class Lines:
    """A file of which complaints name the line."""

    path: Path

    def where(self, *keys: str) -> str:
        """The file and the line of an entry; the several products of `axes` are numbered, one alone may be or not."""
        text = self.path.read_text(encoding="utf-8")
        plain = keys if isinstance(read_yaml(text, str(self.path))["axes"], list) or keys[0] != "axes" else (keys[0], *keys[2:])
        return f"{self.path}, line {line_of(text, plain)}"

    @contextmanager
    def at(self, *keys: str) -> Iterator[None]:
        """What is wrong inside this block is told with the file and the line of an entry."""
        try:
            yield
        except UserError as error:
            raise UserError(f"{self.where(*keys)}: {error.given}", error.allowed, error.remedy) from error


def _trained(suite: Suite, text: Lines) -> Iterator[Cell]:
    """The first seed of every arm that is trained."""
    known: dict[str, str] = {}
    for number, axes in enumerate(suite.axes):
        for names in product(*axes.values()):
            choices, arm = dict(zip(axes, names)), "-".join(names)
            here = ("axes", str(number), *list(choices.items())[-1])
            try:
                cell = _cell(suite, axes, choices, suite.seeds[0])
            except UserError as error:
                raise UserError(f"arm {arm} of {text.where(*here)}: {error.given}", error.allowed, error.remedy) from error
            if arm in known.values():
                raise UserError(f"two arms named {arm}, one in {text.where(*here)}", "a name of its own for every choice")
            if (same := known.setdefault(cell.recipe.model_copy(update={"name": "x"}).model_dump_json(), arm)) != arm:
                raise UserError(f"{same} and {arm} of {text.where(*here)} are the same run", "arms that differ", "remove one of them")
            yield cell


def _ordered(suite: Suite, trained: list[Cell]) -> list[Cell]:
    """The cells of a seed: each merge as soon as both its arms are there, arms that start with a merge last."""
    arms = [*(cell.arm for cell in trained), *suite.merges]
    for arm in [*(arm for pair in suite.merges.values() for arm in pair), *(arm for look in suite.probes for arm in look.arms)]:
        if arm not in arms:
            raise unknown("arm", arm, arms)
    later = [cell for cell in trained if cell.recipe.start in suite.merges]
    cells = [cell for cell in trained if cell not in later]
    for name, joins in suite.merges.items():
        first = next((cell for cell in cells if cell.arm == joins[0]), None)
        if first is None:
            raise UserError(f"merge {name} of {joins[0]}, which starts with a merge or comes later", "arms that are there before it")
        cells.append(Cell(name, first.recipe, joins))
    return cells + later


def _reseeded(cell: Cell, seed: int) -> Cell:
    return replace(cell, recipe=cell.recipe.model_copy(update={"seed": seed}))


def _cell(suite: Suite, axes: Axes, choices: dict[str, str], seed: int) -> Cell:
    recipe, pairing, arm = _recipe(suite, axes, choices, seed), suite.match, "-".join(choices.values())
    if pairing is None:
        return Cell(arm, recipe, choices=choices)
    first = {**choices, pairing.axis: next(iter(axes[pairing.axis]))}
    if choices == first:
        return Cell(arm, recipe.model_copy(update={"match": pairing.by}), choices=choices)
    solved = match(recipe, pairing.by, figure(_recipe(suite, axes, first, seed), pairing.by))
    return Cell(arm, solved.recipe, choices=choices, mismatch=solved.mismatch)


def _recipe(suite: Suite, axes: Axes, choices: dict[str, str], seed: int) -> Recipe:
    laid: dict[str, Any] = {"name": "-".join(choices.values())}
    for change in (suite.settings, *(axes[axis][name] for axis, name in choices.items()), {"seed": seed}):
        laid = lay_over(laid, change)
    return load(laid.pop("recipe", suite.recipe), laid)
