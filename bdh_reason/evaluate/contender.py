"""Who answers: a trained checkpoint or a guess. A reference is a checkpoint's folder or JSON, a name under results/checkpoints, or a guess's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdh_reason import discover
from bdh_reason.errors import UserError, unknown
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import Task
from bdh_reason.train.checkpoint import Card, read
from bdh_reason.train.recipe import Recipe, parse

RELEASED = Path(__file__).resolve().parents[2] / "results" / "checkpoints"  # of the clone, wherever the command is run


@dataclass(frozen=True)
class Contender:
    """A checkpoint that can be put on any board of its view: its folder, its card, its recipe and its weights."""

    name: str
    folder: Path
    card: Card
    recipe: Recipe
    weights: dict[str, Any]
    sha256: str

    def reasoner(self, task: Task, device: str) -> Reasoner:
        """The model before the board of `task`, in its own view and reading. Raises UserError where the weights do not fit that board."""
        home = self.recipe.build_task()
        if task.name != home.name:
            raise UserError(f"{self.name} was trained on {home.name}, not on {task.name}", home.name)
        model = self.recipe.build_model(home.board(self.recipe.view, self.recipe.reading))
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise UserError(f"{self.name}: the weights do not fit its recipe", "a checkpoint as training wrote it") from error
        board = task.board(self.recipe.view, self.recipe.reading)
        model.check(board)
        return Reasoner(model.to(device).eval(), board, self.recipe.loop)


def released() -> list[str]:
    """The names of the checkpoints that came with the clone."""
    return sorted(path.parent.name for path in RELEASED.glob("*/model.json"))


def checkpoint(reference: str) -> Contender:
    """The contender that a reference names. Raises UserError for one that does not exist or cannot be read, and for a guess."""
    path = next((path for path in (Path(reference), RELEASED / reference) if path.exists()), None)
    if path is None:
        if reference in discover.guesses():
            raise UserError(f"{reference} is a guess", f"a trained model: the folder of a run, or {', '.join(released())}")
        raise unknown("model", reference, [*released(), *discover.guesses()], "results/checkpoints and the guesses, and no such folder of a run")
    if path.is_dir():
        path /= "model.json"
    if path.suffix != ".json":
        raise UserError(f"{path} is no checkpoint", "the folder of a run, or its model.json")
    card, weights, sha256 = read(path)
    name = path.parent.name if path.stem == "model" else f"{path.parent.name}/{path.stem}"
    if path.stem == "state":
        average = {key.removeprefix("average."): value for key, value in weights.items() if key.startswith("average.")}
        weights = average or {key.removeprefix("weight."): value for key, value in weights.items() if key.startswith("weight.")}
    return Contender(name, path.parent, card, parse(card.recipe, str(path)), weights, sha256)
