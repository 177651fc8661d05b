"""Sample boards as pictures: what a model believes at the end of its thinking, and what the rules say of it."""

from __future__ import annotations

from PIL.Image import Image

from bdh_reason.errors import UserError
from bdh_reason.evaluate.film import film, layout
from bdh_reason.evaluate.gif import still
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import watch
from bdh_reason.task import Problems, Task


def boards(task: Task, reasoner: Reasoner, problems: Problems, depth: int) -> list[Image]:
    """A picture of every problem after `depth` latent steps; none of a task whose positions have no places."""
    try:
        layout(task)
    except UserError:
        return []
    *_, belief_NTS = watch(reasoner, problems.prompt, depth)
    last_NTS = belief_NTS.cpu().numpy()
    shown = zip(problems.prompt, problems.scored, last_NTS)
    return [still(film(task, task.name, prompt_T, scored_T, [belief_TS] * depth)) for prompt_T, scored_T, belief_TS in shown]
