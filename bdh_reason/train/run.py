"""One training run, or one slice of it: data, model, trainer, checkpoints. The same command continues where the last slice stopped."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, IterableDataset

from bdh_reason.errors import InterruptedRunError, UserError
from bdh_reason.files import alone, writing
from bdh_reason.train import ranks
from bdh_reason.train.average import Average
from bdh_reason.train.callbacks import Keeper, Perusal, Quiz, Recital, Report, Validation, restore
from bdh_reason.train.checkpoint import Card, locate, read, read_card
from bdh_reason.train.ending import Ending
from bdh_reason.train.flight import Batch, tensors
from bdh_reason.train.memory import check as check_memory
from bdh_reason.train.meter import Meter
from bdh_reason.train.module import Learner, learning_rate
from bdh_reason.train.problems import Source, Splits, Texts, source
from bdh_reason.train.recipe import Recipe, parse
from bdh_reason.train.stream import check as check_stream
from bdh_reason.train.tracking import UNASKED, Tracker, Tracking, begin


@dataclass(frozen=True)
class Outcome:
    """Where the run lies, the optimiser steps it has finished, and its best validation score: `metric` says which."""

    folder: Path
    done: int
    validation: float | None
    metric: str


class Stream(IterableDataset[Batch]):
    """The batches of steps done … steps − 1, each from the source of the part whose turn it is and made while the one before is in use."""

    def __init__(self, sources: Sequence[Source], learner: Learner) -> None:
        self.sources, self.learner = sources, learner

    def __iter__(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as worker:
            coming = worker.submit(self._batch, self.learner.done)
            for step in range(self.learner.done + 1, self.learner.recipe.steps):
                ready, coming = coming.result(), worker.submit(self._batch, step)
                yield ready
            yield coming.result()

    def _batch(self, step: int) -> Batch:
        turns = self.learner.turns
        part = int(turns.part_S[step])
        rows = ranks.share(self.learner.each[part].batch)
        return tensors(self.learner.reasoners[part].board, self.sources[part].at(int(turns.done_SP[step, part])).take(rows))


def train(
    recipe: Recipe,
    splits: Sequence[Splits | Texts],
    folder: Path,
    device: str,
    resume: bool,
    max_seconds: float | None,
    tracking: Tracking = UNASKED,
    sharded: bool = False,
) -> Outcome:
    """Trains on the splits of every part until the recipe's last step, `max_seconds`, or an interrupt; the state on disk is whole in every case.

    Inside `ranks.together` all processes call it and share the batches; `sharded` (FSDP2) each holds a part of weights and moments between the steps. The
    state is the same for any number of them, so that a run may go on with more or fewer. Raises UserError for a state of another recipe or of other data,
    while another run trains in the folder, for what `_check` says and as `tracking.begin` does; RunError for a loss that is no number.
    """
    with ranks.first_alone():
        _check(recipe, device, sharded)
    learner = Learner(recipe.reasoners(), recipe)
    validation = Validation([quiz(one, its) for one, its in zip(learner.each, splits)])
    sources = [source(one, its, int(count)) for one, its, count in zip(learner.each, splits, learner.turns.done_SP[-1])]
    goes_on = resume and (folder / "state.json").exists()
    with ExitStack() as held:
        with ranks.first_alone():  # what may refuse does before anything there is removed
            parents = [] if goes_on else _begin(learner, recipe)
            if not ranks.rank():
                held.enter_context(alone(folder, wait=False))
            card, kept = _state(recipe, splits, folder) if goes_on else (None, {})
            learner.done, best = (card.step, card.validation) if card else (0, None)
            if card and learner.done >= recipe.steps:
                return Outcome(folder, learner.done, best, validation.metric)
            log = begin(recipe, learner.model.size(), folder, card.wandb_id if card else None, tracking) if recipe.steps else None
            if not resume and not ranks.rank():
                _clear(folder)
        if learner.done and not ranks.rank():
            print(f"{folder} continues after step {learner.done} of {recipe.steps}", file=sys.stderr)
        keeper = Keeper(folder, validation, [its.data_hash for its in splits], best, log.id if log else "", card.parents if card else parents)
        if not recipe.steps:
            keeper.put(learner)
            return Outcome(folder, 0, None, validation.metric)
        told: list[Callback] = [Tracker(log, validation, keeper, splits, tracking)] if log else []
        callbacks = [Meter(keeper, sharded), validation, keeper, *told, *([] if ranks.rank() else [Report(validation)]), ending := Ending()]
        if kept:
            learner.configure_optimizers = _restoring(learner, kept)  # type: ignore[method-assign]
        _fit(_trainer(recipe, callbacks, device, max_seconds, sharded), learner, Stream(sources, learner), folder, ending)
    return Outcome(folder, learner.done, keeper.best, validation.metric)


def _clear(folder: Path) -> None:
    """Removes an earlier run, what names its weights before them."""
    with writing(folder):
        for kind in ("model", "state"):
            for old in (folder / f"{kind}.json", *folder.glob(f"{kind}-*.safetensors*")):
                old.unlink(missing_ok=True)


def _fit(trainer: lightning.Trainer, learner: Learner, stream: Stream, folder: Path, ending: Ending) -> None:
    try:
        with ending.watching():
            trainer.fit(learner, DataLoader(stream, batch_size=None, pin_memory=isinstance(trainer.accelerator, CUDAAccelerator)))
    except SIGTERMException as end:  # a SystemExit with code 0, as if the run were done
        raise InterruptedRunError(f"terminated at step {learner.done}: the state in {folder} is whole, the same command continues") from end


def _check(recipe: Recipe, device: str, sharded: bool) -> None:
    """Raises UserError, before any weights are made, where memory cannot hold the run, where the processes cannot share a batch, for what shards cannot do
    (weights in part frozen, and a CPU's own layer), and as `stream.check` does.
    """
    for one in recipe.each:
        ranks.share(one.batch)
    if sharded and ranks.world() > 1 and recipe.frozen:
        raise UserError(f"--sharded with frozen = {recipe.frozen}", "frozen = 0, or without --sharded")
    if sharded and ranks.world() > 1 and device == "cpu" and getattr(recipe.model_options(), "backward", "") == "auto":
        why = "the CPU's own layer holds on to the memory of the weights, which shards have to give back"
        raise UserError("--sharded on a CPU with backward = auto", "model.options.backward = written or compiled", why)
    check_memory(recipe, torch.device(device), ranks.world(), sharded)
    with torch.device("meta"):
        for one, reasoner in zip(recipe.each, recipe.reasoners()):
            check_stream(one, reasoner)


def _restoring(learner: Learner, kept: dict[str, torch.Tensor]) -> Any:
    """`configure_optimizers` that hands out an optimiser with the kept state; weights and average are restored with it."""

    def configure() -> torch.optim.Optimizer:
        optimiser = Learner.configure_optimizers(learner)
        restore(learner, optimiser, kept)
        return optimiser

    return configure


def _state(recipe: Recipe, splits: Sequence[Splits | Texts], folder: Path) -> tuple[Card, dict[str, torch.Tensor]]:
    refuse_another(recipe, folder)
    card, kept, _ = read(folder / "state.json")
    there, here = [card.data_hash, *card.others], [its.data_hash for its in splits]
    if there != here:
        known, given = next((one[:12], other[:12]) for one, other in zip(there, here) if one != other)
        raise UserError(f"{folder} was trained on other data ({known}, not {given})", "the same data", "choose another --out")
    return card, kept


def refuse_another(recipe: Recipe, folder: Path) -> None:
    """Raises UserError where a run lies in a folder that `recipe` would not have begun so: said before data are built for it."""
    if not (folder / "state.json").exists():
        return
    card = read_card(folder / "state.json")
    if not _goes_on(begun := parse(card.recipe, str(folder / "state.json")), recipe, card.step):
        mine, theirs = recipe.model_dump(mode="json"), begun.model_dump(mode="json")
        differing = [f"{key}: {theirs.get(key)} there, {mine[key]} here" for key in mine if mine[key] != theirs.get(key)]
        raise UserError(f"{folder} holds a run of another recipe ({'; '.join(differing)})", "the same recipe", "choose another --out, or --resume never")


def _begin(learner: Learner, recipe: Recipe) -> list[dict[str, Any]]:
    """Gives a new run the weights that it starts with; returns whose they are. Raises UserError where they do not fit the model."""
    if recipe.start is None:
        return []
    card, weights, sha256 = read(path := locate(recipe.start))
    try:
        learner.model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"start = {recipe.start}: weights of another model", "a checkpoint of the same model and options") from error
    learner.average = Average(learner.model, recipe.ema)
    return [{"name": path.parent.name, "sha256": sha256, **card.content()}]


def _goes_on(begun: Recipe, recipe: Recipe, done: int) -> bool:
    """Whether the steps done so far are what `recipe` would have done: the same recipe, or one that only ends sooner or later and begins as this one did."""
    ends = {"steps": recipe.steps} if not any(one.mix.end for one in recipe.each) and recipe.steps >= done else {}
    return begun.model_copy(update=ends) == recipe and all(learning_rate(begun, step) == learning_rate(recipe, step) for step in range(done))


def quiz(recipe: Recipe, splits: Splits | Texts) -> Quiz | Perusal | None:
    """The validation of a recipe of one part, where there are problems for it."""
    asked = recipe.validation
    if isinstance(splits, Texts):
        return Perusal(recipe.name, splits.validation[: asked.problems], asked.depth, recipe.stream)
    if splits.validation is None:
        return None
    about = (recipe.name, recipe.build_task(), splits.validation.take(slice(0, asked.problems)), asked.depth)
    return Recital(*about, recipe.context.examples, recipe.context.cipher) if recipe.context.examples else Quiz(*about)


def _trainer(recipe: Recipe, callbacks: list[Callback], device: str, max_seconds: float | None, sharded: bool) -> lightning.Trainer:
    for noisy in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # batches are made faster than workers could send them
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # Lightning 2.6.6 under torch 2.13
    if max_seconds is not None:
        callbacks.append(Timer(timedelta(seconds=max_seconds), verbose=False))
    return lightning.Trainer(
        accelerator="gpu" if device.startswith("cuda") else "cpu",
        devices=ranks.world() // ranks.nodes(),
        num_nodes=ranks.nodes(),
        strategy=_strategy(recipe, sharded),
        plugins=ranks.environment(),
        max_epochs=1,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _strategy(recipe: Recipe, sharded: bool) -> Any:
    """Lightning's for one process, DDP, or FSDP2. DDP is told where a step may leave a weight without a gradient: that of another part, or of feedback that
    a single latent step has no use for.
    """
    if ranks.world() == 1:
        return "auto"
    if sharded:
        return ModelParallelStrategy(data_parallel_size=ranks.world(), tensor_parallel_size=1)
    return DDPStrategy(gradient_as_bucket_view=True, find_unused_parameters=len(recipe.each) > 1 or recipe.depth == 1)
