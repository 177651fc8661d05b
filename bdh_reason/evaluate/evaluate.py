"""Problems and a contender in, rows out. Every reply is verified by the task's rules; the stored target only serves cell_accuracy.

Axes: N problems, T positions.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import __version__, discover, rng
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender
from bdh_reason.evaluate.metrics import cell_accuracy, difficulty_slices, wilson
from bdh_reason.evaluate.rows import Row
from bdh_reason.reason.predict import greedy, in_place
from bdh_reason.task import Problems, Task


@dataclass(frozen=True)
class Exam:
    """What is asked: the task, the problems, which split or file they are, and the hash of where they come from."""

    task: Task
    problems: Problems
    split: str
    data_hash: str


@dataclass(frozen=True)
class Sitting:
    """One set of replies uint8 [N, T], how they came about, and how long they took (None where that was not measured)."""

    about: dict[str, Any]
    reply_NT: np.ndarray
    seconds: float | None


def sit_model(contender: Contender, exam: Exam, depths: tuple[int, ...], mode: str, device: str, seed: int = 0) -> Iterator[Sitting]:
    """A trained model's replies at each depth. Mode in_place shares one rollout between the depths, greedy answers byte by byte."""
    if mode not in ("in_place", "greedy"):
        raise UserError(f"mode {mode!r}", "in_place or greedy")
    if not depths or min(depths) < 1:
        raise UserError(f"depths {depths}", "one or more numbers from 1, e.g. 16,64")
    reasoner = contender.reasoner(exam.task, device)
    prompt_NT, scored_NT, recipe = exam.problems.prompt, exam.problems.scored, contender.recipe
    replies, seconds = {}, dict[int, float]()
    begun = time.perf_counter()
    if mode == "in_place":
        replies = in_place(reasoner, prompt_NT, scored_NT, depths, seed=seed)
        seconds[max(depths)] = time.perf_counter() - begun
    for depth in depths if mode == "greedy" else ():
        begun = time.perf_counter()
        replies[depth] = greedy(reasoner, prompt_NT, scored_NT, depth, seed=seed)
        seconds[depth] = time.perf_counter() - begun
    rounds = 1.0 if mode == "in_place" else float(scored_NT.sum(1).mean())
    for depth in sorted(depths):
        about = {
            "model": contender.name,
            "recipe": recipe.name,
            "arch": recipe.model.name,
            "seed": recipe.seed,
            "step": contender.card.step,
            "weights": contender.sha256,
            "params": reasoner.model.size(),
            "state_floats": reasoner.model.state_floats(reasoner.board, depth),
            "flops_per_problem": rounds * reasoner.model.flops(reasoner.board, depth, recipe.loop.feedback),
            "train_flops": contender.card.train_flops,
            "match": recipe.match or None,
            "mode": mode,
            "depth": depth,
            "device": device_name(device),
            "dtype": "fp32",
        }
        yield Sitting(about, replies[depth], seconds.get(depth))


def sit_guess(name: str, exam: Exam, seed: int = 0) -> Sitting:
    """The replies of a baseline without weights."""
    begun = time.perf_counter()
    draw = rng.generator(seed, "guess", name)
    reply_NT = discover.guesses()[name](exam.task, exam.problems.prompt, exam.problems.scored, draw)
    nothing = dict.fromkeys(("recipe", "arch", "seed", "step", "weights", "state_floats", "flops_per_problem", "train_flops", "match", "depth"))
    about = {**nothing, "model": name, "params": 0, "mode": "guess", "device": device_name("cpu"), "dtype": "none"}
    return Sitting(about, reply_NT, time.perf_counter() - begun)


def mark(exam: Exam, sitting: Sitting, unseen: bool | None) -> list[Row]:
    """The row over all problems, then one for each slice of difficulty; `unseen` as the row tells it."""
    task, problems = exam.task, exam.problems
    right_N = task.verify(problems.prompt, sitting.reply_NT)
    slices = difficulty_slices(problems.difficulty, task.edges).items()
    return [_row(exam, sitting, unseen, right_N, label, rows_N) for label, rows_N in ((None, np.ones(len(problems), bool)), *slices)]


def _row(exam: Exam, sitting: Sitting, unseen: bool | None, right_N: np.ndarray, label: str | None, rows_N: np.ndarray) -> Row:
    problems, n, right = exam.problems.take(rows_N), int(rows_N.sum()), int(right_N[rows_N].sum())
    low, high = wilson(right, n)
    return Row(
        **sitting.about,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=exam.task.name,
        task_version=exam.task.version,
        config=asdict(exam.task.config),
        split=exam.split,
        difficulty=label,
        horizon=None,
        n=n,
        unseen=unseen,
        exact_match=right / n,
        ci_low=low,
        ci_high=high,
        cell_accuracy=cell_accuracy(problems.target, sitting.reply_NT[rows_N], problems.scored),
        bits_per_byte=None,
        chance=exam.task.chance(problems),
        problems_per_s=len(exam.problems) / sitting.seconds if sitting.seconds and label is None else None,
        versions=versions(),
        commit=commit(),
        data_hash=exam.data_hash,
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
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"
