"""Watching a model think: the board after each latent step, blanks coloured by confidence, and the verdict of the rules.

Axes: T positions, S symbols.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.evaluate import commit, of_model, versions
from bdh_reason.evaluate.exam import default_model
from bdh_reason.evaluate.film import Film, check, film, layout, write
from bdh_reason.reason.predict import fill, watch
from bdh_reason.task import Task

SURE = ((0.99, "32"), (0.9, "92"), (0.6, "33"), (0.0, "31"))  # probability from which a blank is green, bright green, yellow, red
CLUE = "1"


def play(
    task: str,
    options: Mapping[str, Any],
    puzzle: str,
    model: str | None,
    depth: int,
    delay: float,
    gif: Path | None = None,
    html: Path | None = None,
    board: Path | None = None,
) -> None:
    """Draws every step in place in a terminal; elsewhere prints steps 1, 2, 4, 8 … and the last. Writes the film of the steps to `gif`, to `html`, and
    to `board` as JSON with what a row says of the model, for `bdh-reason report`.

    Raises UserError for what is not one puzzle, for a delay that is none, for files that cannot be written, and for tasks without a picture where a film
    is asked for.
    """
    if not 0 <= delay <= 60:
        raise UserError(f"--delay {delay:g}", "0 to 60 seconds")
    check(gif, ".gif")
    check(html, ".html")
    check(board, ".json")
    contender = checkpoint(model or default_model(task))
    chosen = discover.build_task(task, {**contender.of(discover.resolve(task)[0])[0].task.options, **options})
    if gif or html or board:
        layout(chosen)
    problems = chosen.read(puzzle, "the puzzle")
    if len(problems) != 1:
        raise UserError(f"{len(problems)} puzzles", "one puzzle; `eval --puzzles FILE` takes many")
    reasoner = contender.reasoner(chosen, "cpu")
    prompt_1T, scored_1T = problems.prompt, problems.scored
    beliefs: list[np.ndarray] = []
    console = Console()
    frames = _frames(chosen, reasoner, prompt_1T, scored_1T, depth, beliefs)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for _, frame in frames:
                live.update(Text.from_ansi(frame), refresh=True)
                time.sleep(delay)
    else:
        for step, frame in frames:
            if step & (step - 1) == 0 or step == depth:
                console.print(Text.from_ansi(frame), soft_wrap=True)
    if gif or html or board:
        seen = film(chosen, f"{contender.name} on {task}", prompt_1T[0], scored_1T[0], beliefs)
        about = {"task": chosen.name, "config": asdict(chosen.config), **of_model(contender, reasoner, depth, 1, "cpu")}
        _write(seen, {**about, "commit": commit(), "versions": versions()}, gif, html, board)


def _write(seen: Film, about: Mapping[str, Any], gif: Path | None, html: Path | None, board: Path | None) -> None:
    if gif:
        from bdh_reason.evaluate.gif import gif as animate

        write(gif, animate(seen))
    if html or board:
        from bdh_reason.evaluate.page import page, told

        if html:
            write(html, page(seen))
        if board:
            write(board, json.dumps({"about": about, **told(seen)}, ensure_ascii=False).encode())


def _frames(task: Task, reasoner: Any, prompt_1T: np.ndarray, scored_1T: np.ndarray, depth: int, beliefs: list[np.ndarray]) -> Iterator[tuple[int, str]]:
    """(step, the board as text) one after another; the beliefs [T, S] are added to `beliefs`."""
    for step, belief_1TS in enumerate(watch(reasoner, prompt_1T, depth), 1):
        reply_1T = fill(reasoner, prompt_1T, scored_1T, belief_1TS)
        beliefs.append(belief_1TS[0].cpu().numpy())
        sure_T = beliefs[-1].max(-1)
        right = bool(task.verify(prompt_1T, reply_1T)[0])
        verdict = "obeys the rules" if right else "breaks the rules"
        blanks = sure_T[scored_1T[0]]
        mean = f"mean confidence of the blanks {blanks.mean():.3f}" if len(blanks) else "no blanks"
        yield step, f"{picture(task, reply_1T[0], scored_1T[0], sure_T)}\nstep {step} of {depth} · the reply {verdict} · {mean}"


def picture(task: Task, reply_T: np.ndarray, scored_T: np.ndarray, sure_T: np.ndarray) -> str:
    """The board with clues in bold and every filled blank in the colour of its confidence (ANSI codes)."""
    colours = [next(colour for least, colour in SURE if sure >= least) if scored else CLUE for sure, scored in zip(sure_T, scored_T)]
    return task.picture([f"\x1b[{colour}m{chr(byte)}\x1b[0m" for colour, byte in zip(colours, reply_T)])
