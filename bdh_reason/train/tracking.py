"""A training run as W&B sees it: what is logged every EVERY optimiser steps, after validations, and at the end. wandb is imported when a run begins."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback

from bdh_reason import tracking
from bdh_reason.bdh import Model
from bdh_reason.bdh.probe import active, observed
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import watch
from bdh_reason.task import Problems, Task
from bdh_reason.train.callbacks import Keeper, Quiz, Validation
from bdh_reason.train.module import Learner
from bdh_reason.train.problems import Splits, Texts
from bdh_reason.train.recipe import Recipe

EVERY = 50  # optimiser steps
LOOKED_AT = 4  # boards whose neurons are counted after a validation
SHOWN = 4  # boards as pictures
HEAVY = 100e6  # bytes of weights from which on only their card is logged, with its SHA-256
Draw = Callable[[Task, Reasoner, Problems, int], Sequence[Any]]


@dataclass(frozen=True)
class Tracking:
    """What is asked of the log: `group`, the ladder or suite of the run, its recipe where there is none · `online`: a key is a must · `draw`: pictures of
    solved boards (task, reasoner, problems, depth), none where a task has none.
    """

    group: str = ""
    job: tracking.Job = "train"
    online: bool = False
    draw: Draw = lambda *_: ()


UNASKED = Tracking()


def begin(recipe: Recipe, params: int, folder: Path, run_id: str | None, asked: Tracking) -> Any:
    """A wandb run, or None where nothing is logged: in every process but the first, and where wandb is disabled or missing. `run_id` continues an earlier
    slice. Raises UserError as `tracking.mode` and `tracking.start` do.
    """
    if getattr(rank_zero_only, "rank", 0) or (mode := tracking.mode(asked.online)) == "disabled":
        return None
    tasks = "+".join(dict.fromkeys(one.task.name for one in recipe.each))
    config = {**tracking.named(recipe.model.name, params, tasks, recipe.seed, recipe.match), "recipe": recipe.name, "options": recipe.model_dump(mode="json")}
    who = tracking.Identity(folder.name, asked.group or recipe.name, asked.job, config, run_id or None, bool(run_id))
    run = tracking.start(folder, who, mode, asked.online)
    if run.offline:
        print(f"W&B: logging offline to {folder}/wandb (no key or no network); `bdh-reason dashboard sync {folder}` uploads it later", file=sys.stderr)
    return run


class Tracker(Callback):
    """Logs by optimiser step, problems seen and FLOPs. Rates are of all that happened since the last line, validations included."""

    def __init__(self, run: Any, validation: Validation, keeper: Keeper, splits: Sequence[Splits | Texts], asked: Tracking) -> None:
        self.run, self.validation, self.keeper, self.splits, self.asked = run, validation, keeper, splits, asked
        self.last: dict[str, float] = {}

    def on_train_start(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        self.last = self.counts(learner)

    def counts(self, learner: Learner) -> dict[str, float]:
        """Where the run stands: what the axes of its curves count, and the clock."""
        return {"step": learner.done, "problems_seen": int(learner.problems_seen), "train_flops": self.keeper.flops(learner), "clock": time.monotonic()}

    def on_train_batch_end(self, trainer: Any, learner: Learner, *_: Any) -> None:  # type: ignore[override]
        validated = self.validation.latest is not None and self.validation.at == learner.done
        if validated or learner.done % EVERY == 0 or learner.done == learner.recipe.steps:
            self.run.log(self.line(learner, validated))

    def line(self, learner: Learner, validated: bool) -> dict[str, float]:
        """One line of the history."""
        now = self.counts(learner)
        gone = {name: now[name] - self.last[name] for name in now}
        self.last = now
        board_steps = sum(share * one.batch * one.depth for share, one in zip(learner.recipe.shares, learner.each))
        done = {"board_steps": board_steps * gone["step"], "problems": gone["problems_seen"], "flops": gone["train_flops"]}
        rates = {f"throughput/{name}_per_s": count / gone["clock"] for name, count in done.items()}
        told = {f"train/{name}": float(value) for name, value in learner.told.items()}
        axes = {name: now[name] for name in ("step", "problems_seen", "train_flops")}
        return {**axes, **told, **rates, **(self.scores(learner) if validated else {})}

    def scores(self, learner: Learner) -> dict[str, float]:
        """Of the validation just done, and how many neurons of a BDH were active."""
        validation = self.validation
        scores = {f"validation/{validation.metric}": float(validation.latest or 0.0)}
        asked = [(quiz, reasoner, one.depth) for quiz, reasoner, one in zip(validation.quizzes, learner.reasoners, learner.each) if quiz]
        if len(asked) > 1:
            scores |= {f"validation/{quiz.metric}/{quiz.name}": validation.scores[quiz.name] for quiz, _, _ in asked}
        boards = next(((quiz, reasoner, depth) for quiz, reasoner, depth in asked if isinstance(quiz, Quiz)), None)
        if boards and isinstance(learner.model, Model) and not hasattr(learner, "unshard"):  # this process has a part of the weights only
            with learner.average.within(learner.model):
                scores |= inside(learner.model, *boards)
        return scores

    def on_train_end(self, trainer: Any, learner: Learner) -> None:  # type: ignore[override]
        if not learner.done:
            return
        import wandb

        self.run.summary.update({"params": learner.model.size(), "best_validation": self.keeper.best})
        pictures: list[Any] = []
        with learner.average.within(learner.model):
            for quiz, reasoner in zip(self.validation.quizzes, learner.reasoners):
                if isinstance(quiz, Quiz) and not hasattr(learner, "unshard"):
                    pictures += self.asked.draw(quiz.task, reasoner, quiz.problems.take(slice(SHOWN)), quiz.depth)
        if pictures:
            self.run.log({"boards": [wandb.Image(picture) for picture in pictures], "step": learner.done})
        for artifact in (checkpoint(self.run, self.keeper.folder), *(data(one.task.name, its) for one, its in zip(learner.each, self.splits))):
            self.run.log_artifact(artifact)

    def teardown(self, trainer: Any, learner: Learner, stage: str) -> None:  # type: ignore[override]
        self.run.finish()

    def on_exception(self, trainer: Any, learner: Learner, exception: BaseException) -> None:  # type: ignore[override]
        self.run.finish(exit_code=1)


def inside(model: Model, quiz: Quiz, reasoner: Reasoner, depth: int) -> dict[str, float]:
    """The shares of neurons active in x and y, over all layers and tokens, in the first and in the last of `depth` latent steps."""
    seen = list(observed(model, reasoner.board, watch(reasoner, quiz.problems.prompt[:LOOKED_AT], depth), active))
    counts = {when: torch.stack([torch.cat(windows, 2) for windows in step]) for when, step in (("first", seen[0]), ("last", seen[-1]))}
    means = {when: (count_L2Bt.double().mean((0, 2, 3)) / model.config.n).tolist() for when, count_L2Bt in counts.items()}
    return {f"bdh/active_{name}_{when}": share for when, mean in means.items() for name, share in zip("xy", mean)}


def checkpoint(run: Any, folder: Path) -> Any:
    """The best weights so far and their card as an artifact; of heavy ones the card alone."""
    import wandb

    about = json.loads((folder / "model.json").read_bytes())
    told = {name: about[name] for name in ("step", "validation", "train_flops", "sha256")}
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=told)
    artifact.add_file(str(folder / "model.json"))
    weights = sorted(folder.glob(f"{about['weights']}*"))
    for path in weights if sum(path.stat().st_size for path in weights) <= HEAVY else ():
        artifact.add_file(str(path))
    return artifact


def data(task: str, splits: Splits | Texts) -> Any:
    """What says which data a part was trained on, without the data: a manifest, or of a text its name and hash."""
    import wandb

    artifact = wandb.Artifact(f"data-{task}-{splits.data_hash[:12]}", type="dataset", metadata={"hash": splits.data_hash})
    if isinstance(splits, Splits) and splits.manifest:
        artifact.add_file(str(splits.manifest), name="manifest.json")
    else:
        with artifact.new_file("manifest.json", mode="w") as file:
            json.dump({"task": task, "hash": splits.data_hash}, file)
    return artifact
