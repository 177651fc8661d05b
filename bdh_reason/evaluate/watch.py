"""Watching a model think: the board after each latent step, blanks coloured by confidence, and the verdict of the rules.

Axes: T positions, S symbols.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import configured, default_model
from bdh_reason.reason.predict import fill, watch
from bdh_reason.task import Task

SURE = ((0.99, "32"), (0.9, "92"), (0.6, "33"), (0.0, "31"))  # probability from which a blank is green, bright green, yellow, red
CLUE = "1"


def play(task: str, options: Mapping[str, Any], puzzle: str, model: str | None, depth: int, delay: float) -> None:
    """Draws every step in place in a terminal; elsewhere prints steps 1, 2, 4, 8 … and the last."""
    contender = checkpoint(model or default_model(task))
    chosen = configured(task, {**contender.recipe.task.options, **options})
    problems = chosen.read(puzzle, "the puzzle")
    if len(problems) != 1:
        raise UserError(f"{len(problems)} puzzles", "one puzzle; `eval --puzzles FILE` takes many")
    reasoner = contender.reasoner(chosen, "cpu")
    prompt_1T, scored_1T = problems.prompt, problems.scored
    console = Console()
    frames = _frames(chosen, reasoner, prompt_1T, scored_1T, depth)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for _, frame in frames:
                live.update(Text.from_ansi(frame), refresh=True)
                time.sleep(delay)
    else:
        for step, frame in frames:
            if step & (step - 1) == 0 or step == depth:
                console.print(Text.from_ansi(frame), soft_wrap=True)


def _frames(task: Task, reasoner: Any, prompt_1T: np.ndarray, scored_1T: np.ndarray, depth: int) -> Iterator[tuple[int, str]]:
    for step, belief_1TS in enumerate(watch(reasoner, prompt_1T, depth), 1):
        reply_1T = fill(reasoner, prompt_1T, scored_1T, belief_1TS)
        sure_T = belief_1TS[0].amax(-1).cpu().numpy()
        right = bool(task.verify(prompt_1T, reply_1T)[0])
        verdict = "obeys the rules" if right else "breaks the rules"
        blanks = sure_T[scored_1T[0]]
        mean = f"mean confidence of the blanks {blanks.mean():.3f}" if len(blanks) else "no blanks"
        yield step, f"{picture(task, reply_1T[0], scored_1T[0], sure_T)}\nstep {step} of {depth} · the reply {verdict} · {mean}"


def picture(task: Task, reply_T: np.ndarray, scored_T: np.ndarray, sure_T: np.ndarray) -> str:
    """The board with clues in bold and every filled blank in the colour of its confidence (ANSI codes)."""
    colours = [next(colour for least, colour in SURE if sure >= least) if scored else CLUE for sure, scored in zip(sure_T, scored_T)]
    return task.picture([f"\x1b[{colour}m{chr(byte)}\x1b[0m" for colour, byte in zip(colours, reply_T)])
