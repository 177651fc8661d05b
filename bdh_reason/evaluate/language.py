"""Texts and contenders in, rows in bits per byte out, on documents that no contender was trained on.

Axes: n documents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import discover
from bdh_reason.data.build import Progress
from bdh_reason.data.splits import check_split
from bdh_reason.errors import UserError
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import commit, of_guess, of_model, versions
from bdh_reason.evaluate.metrics import by_document
from bdh_reason.evaluate.rows import Row
from bdh_reason.reason.reading import code_lengths, context, starts
from bdh_reason.task import Corpus

SLICE = 64  # documents between two signs of progress


@dataclass(frozen=True)
class Passage:
    """What is read: documents of a corpus, which split or file they are, and the corpus that codes without a model learn from.

    whole: whether they are all of a file, whatever its name, and not a split.
    """

    corpus: Corpus
    documents: Sequence[np.ndarray]
    split: str
    school: Corpus | None
    whole: bool = False


def examine(
    task: str,
    options: Mapping[str, Any],
    models: tuple[str, ...],
    depths: tuple[int, ...] | None,
    device: str,
    progress: Progress,
    split: str,
    text: Path | None,
    limit: int | None,
) -> list[Row]:
    """Rows of every contender on the same documents: all of `text`, or a split of the first model's own text or of what `task` and `options` say.

    Without `depths` each model thinks as deeply as it was validated. A model that was trained on streams reads each document as one; others read windows.
    Raises UserError for unknown names, for a text that cannot be had, for models of something else, and for documents that a contender was trained on.
    """
    contenders = {name: None if name in discover.codes() else checkpoint(name) for name in models}
    passage = _choose(task, options, next((contender for contender in contenders.values() if contender), None), split, text, limit)
    rows = []
    for done, (name, contender) in enumerate(contenders.items()):

        def show(read: int, before: int = done * len(passage.documents)) -> None:
            progress(before + read, len(contenders) * len(passage.documents))

        rows += [_code(name, passage)] if contender is None else _read(contender, passage, depths, device, show)
        show(len(passage.documents))
    return rows


def _choose(task: str, options: Mapping[str, Any], trained: Contender | None, split: str, text: Path | None, limit: int | None) -> Passage:
    check_split(split)
    home = trained.of(discover.resolve(task)[0])[0] if trained else None
    own = home.task if home and task == discover.resolve(task)[0] else None
    if text:
        given = discover.build_corpus(discover.resolve(task)[0], {**options, "path": str(text)})
        return Passage(given, given.documents("all")[:limit], text.name, discover.build_corpus(home.task.name, home.task.options) if home else None, True)
    corpus = discover.build_corpus(own.name if own else task, {**(own.options if own else {}), **options})
    return Passage(corpus, corpus.documents(split)[:limit], split, corpus)


def _code(name: str, passage: Passage) -> Row:
    """The row of a code without a model, which learns from the training documents."""
    if passage.school is None:
        raise UserError(f"{name} and nothing that it could learn from", "--model with a run's folder beside it, or --split instead of --text")
    begun = time.perf_counter()
    bits_n = discover.codes()[name](passage.school.documents("train"), passage.documents)
    return _row(passage, {**of_guess(name), "mode": "code"}, bits_n, time.perf_counter() - begun, None)


def _read(contender: Contender, passage: Passage, depths: tuple[int, ...] | None, device: str, show: Callable[[int], None]) -> list[Row]:
    """The rows of a model, one for each depth."""
    own = contender.like(passage.corpus)
    reasoner, stream = contender.reasoner(own.subject(), device), own.stream  # in windows of its own length
    unseen, length, documents = refuse_seen(contender, passage), reasoner.board.positions, passage.documents
    windows = sum(-(-len(document) // length) if stream else len(starts(len(document), length)) for document in documents) / len(documents)
    rows = []
    for depth in sorted(depths or (own.validation.depth,)):
        if depth < 1:
            raise UserError(f"depths {depths}", "one or more numbers from 1, e.g. 4")
        begun, bits = time.perf_counter(), []
        for start in range(0, len(documents), SLICE):
            show(start)
            bits.append(code_lengths(reasoner, documents[start : start + SLICE], depth, stream))
        about = {**of_model(contender, reasoner, depth, windows, device), "restarts": None, "trained": None, "mode": "stream" if stream else "windows"}
        rows.append(_row(passage, about, np.concatenate(bits), time.perf_counter() - begun, unseen, None if stream else context(length)))
    return rows


def refuse_seen(contender: Contender, passage: Passage) -> bool | None:
    """True if no document was trained on; None where a text it was trained on is not at hand.

    Raises UserError where most of what a document says is in the training or validation documents of the model, of its parents or of theirs.
    """
    seen, whole = set[bytes](), True
    if passage.split == "train" and not passage.whole and passage.corpus.hash in contender.card.data():
        raise UserError(f"the train split of {contender.name}", "validation or test")
    for one, data_hash in contender.lessons():
        if data_hash == passage.corpus.hash and passage.split in ("validation", "test") and not passage.whole:
            continue  # splits of one text have nothing in common
        if isinstance(corpus := one.subject(), Corpus):
            known = _read_by(corpus, data_hash)
            seen, whole = seen | (known or set()), whole and known is not None
    for document in passage.documents:
        traces = passage.corpus.traces(document)
        if 2 * len(traces & seen) > len(traces):
            begins = bytes(document[:40]).decode("utf-8", "replace")
            raise UserError(f"{contender.name} was trained on {begins!r} …", "a text it has not seen", "without --text its own test split is read")
    return True if whole else None


def _read_by(corpus: Corpus, data_hash: str) -> set[bytes] | None:
    """The traces of what a model was trained and validated on, or None where the text is not at hand, or is another by now."""
    try:
        if corpus.hash != data_hash:
            return None
    except UserError:
        return None
    return set().union(*(corpus.traces(document) for split in ("train", "validation") for document in corpus.splits()[split]))


def _row(passage: Passage, about: dict[str, Any], bits_n: np.ndarray, seconds: float, unseen: bool | None, reach: int | None = None) -> Row:
    corpus, bytes_n = passage.corpus, np.array([len(document) for document in passage.documents])
    low, high = by_document(bits_n, bytes_n)
    floor_n, total = corpus.floor(passage.documents), int(bytes_n.sum())
    return Row(
        **about,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=corpus.name,
        task_version=corpus.version,
        config=corpus.about(),
        split=passage.split,
        difficulty=None,
        horizon=None,
        n=len(bits_n),
        unseen=unseen,
        exact_match=None,
        ci_low=low,
        ci_high=high,
        cell_accuracy=None,
        bits_per_byte=float(bits_n.sum() / total),
        chance=None,
        problems_per_s=len(bits_n) / seconds,
        versions=versions(),
        commit=commit(),
        data_hash=corpus.hash,
        scored_bytes=total,
        context=reach,
        floor=None if floor_n is None else float(floor_n.sum() / total),
        items=outcomes.name(passage.documents),
        outcomes=outcomes.pack_costs(bits_n, bytes_n),
    )
