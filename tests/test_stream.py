"""Texts in training: what a place of the batch remembers goes on with it, through an interruption too, and what is learned is more than an alphabet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_train import PLACES, equal, interrupt, weights
from toy import installed

from bdh_reason import discover
from bdh_reason.errors import RunError, UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import examine
from bdh_reason.reason.generate import generate
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.reading import code_lengths
from bdh_reason.train.checkpoint import read
from bdh_reason.train.flight import tensors
from bdh_reason.train.plan import plan
from bdh_reason.train.problems import source, splits
from bdh_reason.train.recipe import Recipe, load, parse
from bdh_reason.train.run import Outcome, train
from bdh_reason.train.stream import Memory, read_on

STEPS = 10


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


def recipe(**changes: object) -> Recipe:
    given = {
        "name": "text",
        "task": {"name": "text", "options": {"order": 1, "letters": 6, "documents": 200, "length": 60, "window": 16}},
        "model": {"name": "bdh", "options": {"d": 8, "n": 32, "heads": 2, "relations": False}},
        "view": "cells",
        "reading": "sequence",
        "loop": {"feedback": False, "inject": False},
        "depth": 2,
        "loss": "last",
        "stream": True,
        "steps": STEPS,
        "batch": 6,
        "precision": "fp32",
        "optimiser": {"warmup": 2},
        "validation": {"every": 4, "problems": 6, "depth": 2},
    }
    return parse({**given, **changes}, "the test")


def run(folder: Path, chosen: Recipe | None = None) -> Outcome:
    chosen = chosen or recipe()
    return train(chosen, splits(chosen, folder.parent, lambda *_: None), folder, "cpu", True, None)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("step", [1, 5])
def test_interrupted_and_continued_is_bit_equal_to_undisturbed(stream, step, tmp_path, monkeypatch):
    chosen = recipe(stream=stream)
    assert run(tmp_path / "undisturbed", chosen).done == STEPS
    for place, (owner, method) in enumerate(PLACES):
        with monkeypatch.context() as patch:
            interrupt(step, patch, owner, method)
            with pytest.raises(RunError, match="interrupted"):
                run(tmp_path / f"{place}", chosen)
        assert run(tmp_path / f"{place}", chosen).done == STEPS
        assert equal(weights(tmp_path / f"{place}"), weights(tmp_path / "undisturbed"))
    assert ("flight.position" in weights(tmp_path / "0")) == stream


def test_reading_on_is_reading_every_document_from_its_beginning():
    chosen = recipe(batch=2)
    board = chosen.subject().board("cells", "sequence")
    model = chosen.build_model(board).double()
    thinker, windows = Reasoner(model, board, chosen.loop), source(chosen, *splits(chosen, Path(), lambda *_: None), 9)
    memory, read_so_far = None, [[], []]
    for step in range(9):
        batch = tensors(board, windows.at(step))
        loss, memory = read_on(thinker, memory, batch, chosen.depth)
        expected = []
        for place, (tokens_t, target_T) in enumerate(zip(*batch)):
            read_so_far[place] = [tokens_t] if tokens_t[0] == 0 else [*read_so_far[place], tokens_t]
            *_, logits_1tS = thinker.think(torch.cat(read_so_far[place])[None], chosen.depth)
            costs_T = torch.nn.functional.cross_entropy(logits_1tS[0, -len(target_T) :], target_T, ignore_index=-1, reduction="none")
            expected.append(costs_T[target_T >= 0])
        torch.testing.assert_close(loss, torch.cat(expected).mean().to(loss.dtype), rtol=1e-4, atol=1e-4)
        assert memory.started == 2 * (step + 1)
        assert not any(tensor.requires_grad for state in memory.states for tensor in state.tensors)
    again = Memory.restore(memory.tensors(), model)
    assert equal(again.tensors(), memory.tensors())
    assert [replace(state, tensors=()) for state in again.states] == [replace(state, tensors=()) for state in memory.states]


@pytest.mark.parametrize("stream", [True, False])
def test_a_small_model_soon_beats_the_alphabet_and_never_the_floor(stream, tmp_path):
    options = {"d": 32, "n": 128, "heads": 2, "relations": False}
    chosen = recipe(
        **{"stream": stream, "model": {"name": "bdh", "options": options}, "depth": 1, "steps": 60, "batch": 12, "ema": 0.9},
        optimiser={"lr": 1e-2, "warmup": 5},
        validation={"every": 60, "problems": 50, "depth": 1},
    )
    outcome = run(tmp_path / "run", chosen)
    corpus = chosen.subject()
    documents = corpus.documents("test")
    total = sum(map(len, documents))
    contender = checkpoint(str(tmp_path / "run"))
    bits = code_lengths(contender.reasoner(corpus, "cpu"), documents, 1, stream).sum() / total
    unigram = discover.codes()["unigram"](corpus.documents("train"), documents).sum() / total
    assert corpus.floor(documents).sum() / total < bits < unigram - 0.3
    assert (outcome.metric, outcome.validation) == ("bits_per_byte", read(tmp_path / "run" / "model.json").card.validation)
    assert abs(outcome.validation - bits) < 0.5
    thinker = contender.reasoner(corpus, "cpu")
    written_1t, _ = generate(thinker, thinker.begin(1, 1), np.zeros((1, 1), np.uint8), 60)
    assert np.isin(written_1t, np.unique(np.concatenate(documents))).mean() > 0.8


def test_the_best_weights_are_those_of_the_fewest_bits(tmp_path, monkeypatch):
    scores = iter([3.0, 2.0, 2.5])
    monkeypatch.setattr("bdh_reason.train.callbacks.Perusal.score", lambda *_: next(scores))
    assert run(tmp_path / "run").validation == 2.0
    assert read(tmp_path / "run" / "model.json").card.step == 8


def test_a_report_names_the_score(tmp_path, capsys):
    run(tmp_path / "run")
    assert "validation bits_per_byte" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "every"}, "stream = true"),
        ({"carry": {"age": 2}}, "stream = true"),
        ({"loop": {"noise": 1.0}}, "stream = true"),
        ({"data": {"size": 5}}, "no data for a text"),
        ({"task": {"name": "sudoku"}, "stream": False}, "data of size 0 for sudoku; allowed: 1 or more"),
        ({"task": {"name": "sudoku"}, "data": {"size": 5}}, "stream = true for sudoku"),
        ({"task": {"name": "text", "options": {"windoe": 3}}}, "did you mean 'window'"),
    ],
)
def test_a_recipe_that_does_not_go_with_texts_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        recipe(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "transformer", "options": {"d": 8, "heads": 2, "relations": False}}}, "memory grows with the text"),
        ({"view": "candidates"}, "view: cells"),
        ({"task": {"name": "text", "options": {"documents": 100, "length": 5, "window": 3000}}, "stream": False}, "windows of 3001 bytes"),
        ({"batch": 9000}, "9000 streams"),
        ({"task": {"name": "text", "options": {"path": "nowhere.txt"}}}, "cannot read nowhere.txt"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_anything_is_written(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "run", recipe(**changes))
    assert not (tmp_path / "run").exists()


def test_the_recipe_of_text_streams_through_a_bdh_whose_depth_is_its_layers():
    chosen = load("text", {})
    assert chosen.stream
    assert chosen.model_options().layers == 1
    assert chosen.depth == chosen.validation.depth
    assert "parameters           229,376" in plan(chosen)


def both() -> Recipe:
    """One set of weights for a task and for a text."""
    return recipe(
        **{"task": {"name": "toy"}, "data": {"size": 200, "shares": [0.6, 0.2, 0.2]}, "stream": False, "loop": {}},
        parts=[
            {"share": 0.5, "reading": "grid", "loss": "every", "carry": {"age": 2}},
            {"share": 0.5, "task": recipe().task.model_dump(), "stream": True, "loop": {"feedback": False, "inject": False}, "batch": 4},
        ],
    )


@pytest.mark.usefixtures(installed.__name__)
def test_one_set_of_weights_is_trained_on_a_task_and_on_a_text(tmp_path, monkeypatch):
    chosen = both()
    assert [one.name for one in chosen.each] == ["toy", "text"]
    outcome = run(tmp_path / "undisturbed", chosen)
    assert outcome.metric == "merit"
    with monkeypatch.context() as patch:
        interrupt(5, patch)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run", chosen)
    assert run(tmp_path / "run", chosen) == replace(outcome, folder=tmp_path / "run")
    kept = weights(tmp_path / "run")
    assert equal(kept, weights(tmp_path / "undisturbed"))
    assert {"flight.tokens_Bt", "flight1.position", "flight1.1.0"} <= set(kept)
    asked = (str(tmp_path / "run"),), None, "cpu", tmp_path, lambda *_: None
    (text,), (toy, *_) = (examine(task, {}, *asked) for task in ("text", "toy"))
    assert (text.mode, text.unseen, text.exact_match) == ("stream", True, None)
    assert (toy.mode, toy.unseen, toy.bits_per_byte) == ("in_place", True, None)
    assert text.weights == toy.weights


def test_scores_of_several_kinds_are_weighed_and_named(tmp_path):
    from bdh_reason.train.callbacks import Validation

    class Asked:
        def __init__(self, name, metric, sign):
            self.name, self.metric, self.sign = name, metric, sign

    text, task = Asked("text", "bits_per_byte", -1), Asked("toy", "exact_match", 1)
    lower, higher, mixed = (Validation(quizzes) for quizzes in ([text], [task, None], [text, task]))
    assert [(one.metric, one.sign) for one in (lower, higher, mixed)] == [("bits_per_byte", -1), ("exact_match", 1), ("merit", 1)]
    assert lower.as_good(2.0, 2.5)
    assert not lower.as_good(2.5, 2.0)
    assert higher.as_good(0.5, 0.5)
    assert not higher.as_good(0.4, 0.5)
    assert mixed.as_good(-1.0, None)
