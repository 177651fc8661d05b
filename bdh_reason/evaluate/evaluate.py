"""Problems and a contender in, rows out. Every reply is verified by the task's rules; the stored target only serves cell_accuracy.

Axes: N problems, T positions.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import __version__, discover, rng
from bdh_reason.errors import UserError, unknown
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.contender import Contender
from bdh_reason.evaluate.metrics import cell_accuracy, clustered, difficulty_slices, wilson
from bdh_reason.evaluate.restarts import restarts as pick
from bdh_reason.evaluate.rows import Row
from bdh_reason.evaluate.witness import Witness
from bdh_reason.machine import processor
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import Moment, fill, greedy, rollout
from bdh_reason.task import Problems, Task

MODES = ("in_place", "restarts", "greedy")


@dataclass(frozen=True)
class Exam:
    """What is asked: the task, the problems, which split or file they are, and the hash of where they come from.

    island_N int64 [N]: equal for problems that grew from the same roots and may fail together; None where all are independent.
    excluded: how many problems were left out because somebody who sits it was trained on their family; None where such problems are refused.
    """

    task: Task
    problems: Problems
    split: str
    data_hash: str
    island_N: np.ndarray | None = None
    excluded: int | None = None

    def take(self, rows: Any) -> Exam:
        """The same exam with the problems that `rows` (a slice, an index array or a mask) selects."""
        return replace(self, problems=self.problems.take(rows), island_N=None if self.island_N is None else self.island_N[rows])


@dataclass(frozen=True)
class Sitting:
    """One set of replies uint8 [N, T], how they came about, and how long they took (None where that was not measured)."""

    about: dict[str, Any]
    reply_NT: np.ndarray
    seconds: float | None


See = Callable[[slice, int, np.ndarray], None]


def unwatched(rows: slice, step: int, reply_BT: np.ndarray) -> None:
    """Nobody looks on."""


def sit_model(
    contender: Contender, exam: Exam, depths: tuple[int, ...], mode: str, device: str, seed: int = 0, restarts: int | None = None, see: See = unwatched
) -> Iterator[Sitting]:
    """A trained model's replies at each depth. Mode in_place is one rollout for all depths, whose every step is shown to `see`, (rows, step, replies);
    restarts is several of them and the rules' pick; greedy answers byte by byte.

    Raises UserError for an unknown mode, for depths below 1, and where `restarts` is given without its mode or the other way round.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if not depths or min(depths) < 1:
        raise UserError(f"depths {depths}", "one or more numbers from 1, e.g. 16,64")
    if (mode == "restarts") != (restarts is not None):
        raise UserError(f"--mode {mode} {'without' if restarts is None else 'with'} --restarts", "--mode restarts --restarts 8, or neither")
    reasoner = contender.reasoner(exam.task, device)
    replies, seconds, rounds = _replies(reasoner, exam, depths, mode, seed, restarts, see)
    for depth in sorted(depths):
        about = {**of_model(contender, reasoner, depth, rounds[depth], device), "mode": mode, "restarts": restarts}
        yield Sitting({**about, "trained": contender.horizons(exam.task.name)}, replies[depth], seconds.get(depth))


def of_model(contender: Contender, reasoner: Reasoner, depth: int, rounds: float, device: str) -> dict[str, Any]:
    """What a row says of a trained model that answers a problem with `rounds` rollouts of `depth` steps."""
    recipe = contender.recipe
    return {
        "model": contender.name,
        "recipe": recipe.name,
        "arch": recipe.model.name,
        "seed": recipe.seed,
        "step": contender.card.step,
        "weights": contender.sha256,
        "params": reasoner.model.size(),
        "state_floats": reasoner.model.state_floats(reasoner.board, depth),
        "flops_per_problem": rounds * reasoner.model.flops(reasoner.board, depth, reasoner.loop.feedback),
        "train_flops": contender.card.train_flops,
        "match": recipe.match or None,
        "depth": depth,
        "device": device_name(device),
        "dtype": "fp32",
    }


def _replies(
    reasoner: Reasoner, exam: Exam, depths: tuple[int, ...], mode: str, seed: int, restarts: int | None, see: See
) -> tuple[dict[int, np.ndarray], dict[int, float], dict[int, float]]:
    """By depth: the replies, the seconds where they belong to that depth alone, and how many rollouts a problem took."""
    prompt_NT, scored_NT = exam.problems.prompt, exam.problems.scored
    replies, seconds = {depth: np.empty_like(prompt_NT) for depth in depths}, dict[int, float]()
    rounds = dict.fromkeys(depths, 1.0)

    def look(moment: Moment) -> None:
        rows, step = moment.rows, moment.step
        reply_BT = fill(reasoner, prompt_NT[rows], scored_NT[rows], moment.logits_BTS)
        see(rows, step, reply_BT)
        if step in replies:
            replies[step][rows] = reply_BT

    begun = time.perf_counter()
    if mode == "greedy":
        for depth in depths:
            begun = time.perf_counter()
            replies[depth] = greedy(reasoner, prompt_NT, scored_NT, depth, seed=seed)
            seconds[depth] = time.perf_counter() - begun
        return replies, seconds, dict.fromkeys(depths, float(scored_NT.sum(1).mean()))
    if mode == "restarts":
        replies, rounds = pick(reasoner, exam.task, prompt_NT, scored_NT, depths, restarts or 1, seed)
    else:
        rollout(reasoner, prompt_NT, max(depths), look, seed=seed)
    seconds[max(depths)] = time.perf_counter() - begun
    return replies, seconds, rounds


def sit_guess(name: str, exam: Exam, seed: int = 0) -> Sitting:
    """The replies of a baseline without weights."""
    begun = time.perf_counter()
    draw = rng.generator(seed, "guess", name)
    reply_NT = discover.guesses()[name](exam.task, exam.problems.prompt, exam.problems.scored, draw)
    return Sitting({**of_guess(name), "mode": "guess"}, reply_NT, time.perf_counter() - begun)


def of_guess(name: str) -> dict[str, Any]:
    """What a row says of a baseline without weights."""
    nothing = dict.fromkeys(
        ("recipe", "arch", "seed", "step", "weights", "state_floats", "flops_per_problem", "train_flops", "match", "depth", "restarts", "trained")
    )
    return {**nothing, "model": name, "params": 0, "device": device_name("cpu"), "dtype": "none"}


def mark(exam: Exam, sitting: Sitting, unseen: bool | None, witness: Witness | None = None) -> list[Row]:
    """The row over all problems, then one for each slice of difficulty; `unseen` as the row tells it, `witness` where one saw the rollout."""
    task, problems = exam.task, exam.problems
    right_N = task.verify(problems.prompt, sitting.reply_NT)
    slices = difficulty_slices(problems.difficulty, task.edges).items() if task.edges else ()
    parts = ((None, np.ones(len(problems), bool)), *slices)
    return [_row(exam, sitting, unseen, right_N, label, rows_N, witness) for label, rows_N in parts]


def _row(exam: Exam, sitting: Sitting, unseen: bool | None, right_N: np.ndarray, label: str | None, rows_N: np.ndarray, witness: Witness | None) -> Row:
    problems, n, right_n = exam.problems.take(rows_N), int(rows_N.sum()), right_N[rows_N]
    island_n = None if exam.island_N is None else exam.island_N[rows_N]
    low, high = wilson(int(right_n.sum()), n) if island_n is None else clustered(right_n, island_n)
    return Row(
        **sitting.about,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=exam.task.name,
        task_version=exam.task.version,
        config=asdict(exam.task.config),
        split=exam.split,
        difficulty=label,
        horizon=getattr(exam.task.config, exam.task.horizon) if exam.task.horizon else None,
        n=n,
        unseen=unseen,
        islands=None if island_n is None else len(np.unique(island_n)),
        exact_match=float(right_n.mean()),
        ci_low=low,
        ci_high=high,
        cell_accuracy=cell_accuracy(problems.target, sitting.reply_NT[rows_N], problems.scored),
        bits_per_byte=None,
        chance=exam.task.chance(problems),
        problems_per_s=len(exam.problems) / sitting.seconds if sitting.seconds and label is None else None,
        versions=versions(),
        commit=commit(),
        data_hash=exam.data_hash,
        first_right=witness.upto(sitting.about["depth"], rows_N) if witness else None,
        excluded=exam.excluded,
        items=outcomes.name(problems.prompt),
        outcomes=outcomes.pack(right_n),
        island_sizes=None if island_n is None else outcomes.runs(island_n),
    )


@cache
def versions() -> dict[str, str]:
    """What ran: Python and the packages that can change a number."""
    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "numba", "lightning")}
    return {"bdh-reason": __version__, "python": platform.python_version(), **packages}


@cache
def commit() -> str:
    """The commit of the clone this package runs from, with + where its code was changed or added to; empty outside a clone of this project."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / ".git").exists():
        return ""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "bdh_reason", "tasks", "baselines") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def device_name(device: str) -> str:
    """The processor's or the accelerator's own name, and how many cores torch may use."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {torch.get_num_threads()} threads"
