"""A sequence: one model learns some tasks one after the other, by several strategies and with several seeds, and after each it is asked all of them.

The first task is learned alike by all strategies: plain goes on training; replay gives a share of the steps to the tasks before; grow adds neurons to a BDH
and keeps those it had frozen; merge trains a fresh BDH on the task alone and joins it to what there is, neuron beside neuron, each time half and half.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bdh_reason import discover
from bdh_reason.errors import UserError, unknown
from bdh_reason.suite.plan import read_plan
from bdh_reason.task import Task
from bdh_reason.train.recipe import Recipe, lay_over, load, parse
from bdh_reason.train.sections import Part, Positive, Quiz, Section

FOLDER = Path(__file__).parent / "sequences"
STRATEGIES = ("plain", "replay", "grow", "merge")
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Sequence(Section):
    """`settings` are laid over the recipe of every task, a task's own words over those; `steps: 0` among them is a stage that learns nothing.

    replay: the share of the steps that all tasks before have together. grow: how many neurons each task after the first adds.
    Asked is `split` of every task's own data, its first `limit` problems, as deeply as it is validated.
    """

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = Field(min_length=2)
    strategies: tuple[str, ...] = Field(min_length=1)
    replay: Fraction = 0.5
    grow: Positive = 128
    seeds: tuple[int, ...] = Field(min_length=1)
    split: Literal["validation", "test"] = "test"
    limit: Positive | None = None


@dataclass(frozen=True)
class Stage:
    """One cell: what is learned in it, and where it lies beside the others. `before` is the place of the stage that it goes on from, where there is one;
    strategy is None for fresh weights and for the first task, which all strategies share.
    """

    number: int
    strategy: str | None
    recipe: Recipe
    place: Path
    before: Path | None


def sequence_names() -> list[str]:
    """The sequences that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_sequence(reference: str) -> tuple[str, Sequence]:
    """A sequence by name or by path, and its name. Raises UserError as `plan.load_suite` does, and for an unknown strategy."""
    name, sequence = read_plan(Sequence, "sequence", reference, FOLDER)
    for strategy in sequence.strategies:
        if strategy not in STRATEGIES:
            raise unknown("strategy", strategy, STRATEGIES, f"sequence {name}")
    return name, sequence


def recipes(name: str, sequence: Sequence, seed: int) -> list[Recipe]:
    """What is learned of each task, alone and in order.

    Raises UserError for a task that is a text or has parts, and for tasks that cannot share one model.
    """
    found = []
    for task, changes in sequence.tasks.items():
        laid: dict[str, Any] = {}
        for change in (sequence.settings, changes, {"seed": seed, "name": name}):
            laid = lay_over(laid, change)
        recipe = load(laid.pop("recipe", sequence.recipe), laid)
        if recipe.parts or recipe.horizons or not issubclass(discover.kind(recipe.task.name), Task):
            raise UserError(f"{task} in sequence {name} has parts or horizons, or is a text", "one task at one horizon", "horizons: null")
        found.append(recipe)
    kinds = [(one.model.model_dump(), {"feedback": one.loop.feedback}) for one in found]
    if different := next((kind for kind in kinds if kind != kinds[0]), None):
        raise UserError(f"models {different} and {kinds[0]} in sequence {name}", "one model for all its tasks, in settings")
    return found


def stages(name: str, sequence: Sequence) -> list[Stage]:
    """All stages, each after the one it goes on from, the first seed before the second. Raises UserError as `recipes`, and for growth of what is no BDH."""
    found = []
    for seed in sequence.seeds:
        alone, root = recipes(name, sequence, seed), Path(f"seed{seed}")
        places = [Path(f"{number}-{task}") for number, task in enumerate(sequence.tasks, 1)]
        found.append(Stage(0, None, alone[0].model_copy(update={"steps": 0}), root / "0-fresh", None))
        found.append(Stage(1, None, alone[0], root / places[0], root / "0-fresh"))
        for strategy in sequence.strategies:
            if strategy in ("grow", "merge") and alone[0].model.name != "bdh":
                raise UserError(f"strategy {strategy} for model {alone[0].model.name}", "bdh: its neurons can stand side by side")
            before = root / places[0]
            for number in range(2, len(alone) + 1):
                recipe, place = _learned(strategy, sequence, alone[:number], name), root / strategy / places[number - 1]
                found.append(Stage(number, strategy, recipe, place, before))
                before = place
    return found


def part(recipe: Recipe, share: float) -> Part:
    """A recipe of one part as a part of a run."""
    quiz = Quiz(problems=recipe.validation.problems, depth=recipe.validation.depth)
    own = {field: getattr(recipe, field) for field in Part.model_fields if field not in ("share", "validation")}
    return Part(share=share, validation=quiz, **own)


def _learned(strategy: str, sequence: Sequence, alone: list[Recipe], name: str) -> Recipe:
    """What is trained in the stage of the last of these tasks, without its start."""
    *earlier, latest = [one for one in alone[:-1] if one.steps] + alone[-1:]
    given = latest.model_dump(mode="json") | {"name": f"{name}-{strategy}"}
    if strategy == "replay" and earlier:
        shares = [sequence.replay / len(earlier)] * len(earlier)
        given["parts"] = [part(one, share).model_dump(mode="json") for one, share in zip([*earlier, latest], [*shares, 1 - sequence.replay])]
    if strategy == "grow":
        config, times = latest.model_options(), sum(one.steps > 0 for one in alone[1:])
        own, more = config.n // config.heads, sequence.grow // config.heads
        if times:
            given["model"]["options"] |= {"n": config.n + times * sequence.grow, "pieces": [*(config.pieces or [own]), *[more] * times]}
        given["frozen"] = own + (times - 1) * more if latest.steps else 0
    return parse(given, f"sequence {name}")
