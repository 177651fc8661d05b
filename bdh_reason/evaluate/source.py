"""What a probe reads: windows of a text or fresh problems of a task.

Axes: B problems or windows, T positions.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import bdh, rng
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import MARK, Corpus, Subject, Task

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """What is read: prompts uint8 [B, T], the positions to fill (None in a text), and what a row says about them."""

    prompt_BT: np.ndarray
    scored_BT: np.ndarray | None
    about: Row


def inside(reasoner: Reasoner) -> bdh.Model:
    """The model, to look into. Raises UserError where it is not BDH."""
    if not isinstance(reasoner.model, bdh.Model):
        raise UserError(f"a model of kind {reasoner.model.name}", "bdh: it alone has neurons x and y and synapses")
    return reasoner.model


def digest(content: bytes, name: str) -> Row:
    """What a row says about what was read."""
    return {"source": name, "source_sha256": hashlib.sha256(content).hexdigest()}


def text(reasoner: Reasoner, path: Path, limit: int) -> Source:
    """The first windows of a file, as many bytes each as the model's board has positions."""
    check_text(reasoner)
    length, content = reasoner.board.positions, read(path)
    windows = min(limit, len(content) // length)
    if not windows:
        raise UserError(f"{path} has {len(content)} bytes", f"at least the {length} that the model reads at once")
    prompt_BT = np.frombuffer(content, np.uint8, windows * length).reshape(windows, length)
    return Source(prompt_BT, None, {**digest(content, path.name), "task": None, "config": None})


def fresh(reasoner: Reasoner, subject: Subject, limit: int, seed: int) -> Source:
    """What a task or a text known by name gives. Raises UserError as `problems` and `documents` do."""
    if isinstance(subject, Corpus):
        return documents(reasoner, subject, limit)
    assert isinstance(subject, Task)
    return problems(subject, limit, seed)


def documents(reasoner: Reasoner, corpus: Corpus, limit: int) -> Source:
    """The first windows of the test documents of a text, each document with its MARK before it. Raises UserError for a text that cannot be had."""
    check_text(reasoner)
    length = reasoner.board.positions
    row_t = np.concatenate([part for document in corpus.documents("test") for part in (np.array([MARK], np.uint8), document)])
    windows = min(limit, len(row_t) // length)
    if not windows:
        raise UserError(f"test documents of {len(row_t)} bytes", f"at least the {length} that the model reads at once")
    prompt_BT = row_t[: windows * length].reshape(windows, length)
    return Source(prompt_BT, None, {**digest(prompt_BT.tobytes(), "test documents"), "task": corpus.name, "config": corpus.about()})


def problems(task: Task, limit: int, seed: int) -> Source:
    """Fresh problems, a function of the seed; their digest is that of the prompts."""
    fresh = task.generate(rng.generator(seed, "probe", task.name), limit)
    about = {**digest(fresh.prompt.tobytes(), "generated"), "task": task.name, "config": asdict(task.config)}
    return Source(fresh.prompt, fresh.scored, about)


def check_text(reasoner: Reasoner) -> None:
    """Raises UserError where the model does not read bytes from left to right, as many as there are."""
    board = reasoner.board
    if board.view != "cells" or board.reading != "sequence" or len(reasoner.model.coordinate_CD):
        raise UserError(f"a text for a model that reads the {board.view} of a {board.reading}", "--task, or a model of sequences of bytes without coordinates")


def read(path: Path) -> bytes:
    """The bytes of a file. Raises UserError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "a file of text") from error
