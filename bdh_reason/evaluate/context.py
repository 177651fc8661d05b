"""Rows of learning in context: a model with frozen weights reads solved examples of a task, then answers a problem from what it remembers of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bdh_reason import discover
from bdh_reason.data import shots
from bdh_reason.data.build import Progress
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import Exam, Sitting, mark, of_model
from bdh_reason.evaluate.exam import exams
from bdh_reason.evaluate.rows import Row
from bdh_reason.evaluate.seen import exclude_seen, refuse_seen
from bdh_reason.reason.context import in_context
from bdh_reason.train.sections import Choice, Part


def examine(
    model: str,
    task: str,
    counts: Sequence[int],
    cipher: bool,
    depth: int | None,
    device: str,
    root: Path,
    progress: Progress,
    folder: Path | None = None,
    split: str = "test",
    horizons: tuple[int, ...] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> list[Row]:
    """Rows of a model on the problems that `exam.examine` would ask, for each number of solved examples in `counts`; the examples are other problems of the
    same exam, the same ones for every model, and more of them begin with the same.

    A task that the model was never trained on is asked from a data set like its own. With `cipher` the answers of each stream are spelled in a way that only
    its examples tell. Without `depth` it thinks as deeply as it was validated.
    Raises UserError for an unknown task, for more examples than other problems, for a model that does not remember what it reads, and as `exam.examine`.
    """
    shots.check(counts)
    discover.build_task(task, {})
    contender = _before(checkpoint(model), task)
    rows: list[Row] = []
    for exam in exams(task, {}, contender, root, progress, folder, split, None, limit, horizons):
        fair = exam if exam.excluded is None else exclude_seen([contender], exam, root)
        rows += _sit(contender, fair, counts, cipher, depth, device, refuse_seen(contender, fair, root), seed)
    return rows


def _before(contender: Contender, task: str) -> Contender:
    """The contender as it is, or, of another task, with its first part's words for that."""
    known = {discover.resolve(one.task.name)[0] for one in contender.recipe.each}
    first = contender.recipe.each[0]
    return contender if discover.resolve(task)[0] in known else replace(contender, recipe=first).before(Part(share=1, task=Choice(name=task)))


def _sit(contender: Contender, exam: Exam, counts: Sequence[int], cipher: bool, depth: int | None, device: str, unseen: bool | None, seed: int) -> list[Row]:
    """The rows of one exam."""
    problems, reasoner = exam.problems, contender.reasoner(exam.task, device)
    if max(counts) >= len(problems):
        raise UserError(f"{max(counts)} shots in an exam of {len(problems)} problems", f"0 to {len(problems) - 1}, as one of them is asked")
    chosen = depth or contender.like(exam.task).validation.depth
    shown_NKt, key = shots.exam(problems, reasoner.board.symbols, max(counts), float(cipher), seed)
    replies = in_context(reasoner, problems.prompt, problems.scored, shown_NKt, tuple(counts), chosen)
    rows = []
    for count in sorted(set(counts)):
        stream = replace(reasoner, board=shots.stretched(reasoner.board, count))
        about = {**of_model(contender, stream, chosen, 1.0, device), "mode": "cipher" if cipher else "in_context", "context": count, "restarts": None}
        reply_NT = shots.spelled(replies[count], problems.scored, key.back_NC)
        rows += mark(exam, Sitting({**about, "trained": contender.horizons(exam.task.name)}, reply_NT, None), unseen)
    return rows
