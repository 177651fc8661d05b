"""One set of weights is trained on several parts: each keeps its own boards, all their data count, and a run in slices is the run that was not stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from boards import BOARDS
from test_cli import bdh_reason
from test_train import _without_tracking, equal, interrupt, recipe, run, weights
from toy import installed

from bdh_reason import discover
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import open_split
from bdh_reason.errors import RunError, UserError
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train import problems
from bdh_reason.train.checkpoint import read
from bdh_reason.train.flight import tensors
from bdh_reason.train.initial import initial
from bdh_reason.train.module import Learner
from bdh_reason.train.problems import source, splits
from bdh_reason.train.recipe import parse
from bdh_reason.train.run import train
from bdh_reason.train.turns import turns

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)

STEPS = 12
BDH = {"name": "bdh", "options": {"d": 8, "n": 16, "heads": 2, "relations": False}}
DATA = {"size": 200, "shares": [0.6, 0.2, 0.2]}
MIXTURE = [
    {"share": 0.5, "carry": {"age": 3}},
    {"share": 0.25, "task": {"name": "toy", "options": {"digits": 3}}, "batch": 4, "depth": 3, "burn_in": {"share": 0.5, "steps": [1, 3]}},
    {"share": 0.25, "task": {"name": "toy", "options": {"digits": 2}}, "reading": "sequence", "loop": {"feedback": False}, "validation": {"depth": 1}},
]


def mixture(**changes):
    return recipe(**{"model": BDH, "steps": STEPS, "parts": MIXTURE, **changes})


def horizons(**changes):
    return recipe(**{"model": BDH, "steps": STEPS, "horizons": {"train": [2, 4, 3]}, **changes})


def data_sets(folder):
    return {read_manifest(path.parent).hash: path.parent for path in folder.glob("*/manifest.json")}


def test_interrupted_and_continued_is_bit_equal_to_undisturbed_with_every_parts_boards_in_flight(tmp_path, monkeypatch):
    chosen = mixture(parts=[*MIXTURE[:1], {**MIXTURE[1], "carry": {"age": 4}}, MIXTURE[2]])
    assert run(tmp_path / "undisturbed", chosen).done == STEPS
    for at in (1, 4, 7):
        with monkeypatch.context() as patch:
            interrupt(at, patch)
            with pytest.raises(RunError, match="interrupted"):
                run(tmp_path / "run", chosen)
    assert run(tmp_path / "run", chosen).done == STEPS
    kept = weights(tmp_path / "run")
    assert equal(kept, weights(tmp_path / "undisturbed"))
    assert {name.split(".")[0] for name in kept if name.startswith("flight")} == {"flight", "flight1"}
    assert kept["flight.tokens_Bt"].shape == (8, 7)
    assert kept["flight1.tokens_Bt"].shape == (4, 4)
    cards = [read(tmp_path / name / "state.json").card for name in ("run", "undisturbed")]
    assert cards[0].train_flops == cards[1].train_flops
    assert not equal(kept, run(tmp_path / "even", mixture(parts=[{**part, "share": 1 / 3} for part in MIXTURE])) and weights(tmp_path / "even"))


def test_every_step_is_one_batch_of_the_part_whose_turn_it_is(tmp_path, monkeypatch):
    chosen, seen = mixture(), []
    whole = Learner.loss
    monkeypatch.setattr(Learner, "loss", lambda self, batch: seen.append(batch) or whole(self, batch))
    run(tmp_path / "run", chosen)
    of = splits(chosen, tmp_path / "data", lambda *_: None)
    drawn = [source(one, its, 100) for one, its in zip(chosen.each, of)]
    boards = [reasoner.board for reasoner in chosen.reasoners()]
    part_S, done_SP = turns(chosen.shares, STEPS)
    assert np.bincount(part_S).tolist() == [6, 3, 3]
    for step, batch in enumerate(seen):
        expected = tensors(boards[part_S[step]], drawn[part_S[step]].at(done_SP[step, part_S[step]]))
        assert all(torch.equal(got, wanted) for got, wanted in zip(batch, expected))


def test_the_cost_of_a_run_is_the_sum_of_its_parts(tmp_path):
    chosen = mixture(parts=[{key: value for key, value in part.items() if key != "burn_in"} for part in MIXTURE])
    run(tmp_path / "run", chosen)
    trained = Learner(chosen.reasoners(), chosen)
    flops = [reasoner.model.flops(reasoner.board, one.depth, one.loop.feedback) for one, reasoner in zip(chosen.each, trained.reasoners)]
    assert [(one.batch, one.depth) for one in chosen.each] == [(8, 2), (4, 3), (8, 2)]
    assert read(tmp_path / "run" / "state.json").card.train_flops == 3 * (6 * 8 * flops[0] + 3 * 4 * flops[1] + 3 * 8 * flops[2])


def test_a_report_says_each_parts_score_and_the_best_model_is_the_one_of_the_best_mean(tmp_path, capsys, monkeypatch):
    scores = iter([(0.2, 0.4, 0.9), (0.5, 0.5, 0.2), (0.1, 0.7, 0.8), (0.1, 0.1, 0.1)])
    coming: list[float] = []

    def score(self, reasoner):
        if not coming:
            coming.extend(next(scores))
        return coming.pop(0)

    monkeypatch.setattr("bdh_reason.train.callbacks.Quiz.score", score)
    outcome = run(tmp_path / "run", mixture(validation={"every": 3, "problems": 4, "depth": 2}))
    assert "validation exact_match 0.500 (toy 0.200, toy-3 0.400, toy-2 0.900)" in capsys.readouterr().err
    assert outcome.validation == pytest.approx(1.6 / 3)
    assert read(tmp_path / "run" / "model.json").card.step == 9


def test_the_card_names_the_data_of_every_part_and_another_set_in_any_is_refused(tmp_path):
    run(tmp_path / "run", mixture())
    card = read(tmp_path / "run" / "state.json").card
    assert card.data() == {card.data_hash, *card.others} == set(data_sets(tmp_path / "data"))
    assert len(card.data()) == 3
    chosen = splits(mixture(), tmp_path / "data", lambda *_: None)
    with pytest.raises(UserError, match="other data"):
        train(mixture(), (*chosen[:2], chosen[0]), tmp_path / "run", "cpu", True, None)


def test_a_plain_recipe_is_a_run_of_one_part_and_its_card_is_as_it_was(tmp_path):
    plain = recipe()
    assert plain.each == (plain,)
    assert plain.shares == (1.0,)
    run(tmp_path / "run", plain)
    assert "others" not in read(tmp_path / "run" / "state.json").card.content()


def test_a_part_has_its_own_words_and_the_recipes_for_the_rest():
    first, second, third = mixture(validation={"every": 7, "problems": 5, "depth": 3}).each
    assert [one.name for one in (first, second, third)] == ["toy", "toy-3", "toy-2"]
    assert (first.carry.age, second.carry.age) == (3, 1)
    assert (second.batch, second.depth, second.loop.noise, third.loop.noise) == (4, 3, 0.5, 0.0)
    assert (third.validation.every, third.validation.problems, third.validation.depth) == (7, 256, 1)
    assert [one.each for one in (first, second)] == [(first,), (second,)]
    assert [one.name for one in mixture(parts=[{"share": 0.5}, {"share": 0.5, "batch": 4}]).each] == ["toy-part1", "toy-part2"]


def test_a_recipe_with_parts_comes_back_from_a_checkpoint():
    for chosen in (mixture(), horizons()):
        assert parse(chosen.model_dump(mode="json"), "a checkpoint") == chosen


def test_horizons_are_parts_of_equal_share_with_data_sets_of_their_own(tmp_path):
    chosen = horizons()
    assert chosen.shares == (1 / 3,) * 3
    assert [one.task.options["digits"] for one in chosen.each] == [2, 4, 3]
    assert chosen.ladder == (2, 3, 4, 6, 8, 12)
    assert horizons(horizons={"train": [2], "exam": [3, 6]}).ladder == (3, 6)
    assert recipe().ladder == ()
    found = splits(chosen, tmp_path, lambda *_: None)
    assert [its.train.prompt.shape[1] for its in found] == [3, 5, 4]
    assert {sum(read_manifest(path).rows.values()) for path in data_sets(tmp_path).values()} == {200}


@pytest.mark.parametrize(("feedback", "table"), [((False, True), True), ((False, False), False)])
def test_there_is_a_table_for_feedback_where_any_part_feeds_back(feedback, table):
    reasoners = mixture(parts=[{"share": 0.5, "loop": {"feedback": feeds}} for feeds in feedback]).reasoners()
    assert (reasoners[0].model.feedback_VD is not None) == table
    assert [reasoner.loop.feedback for reasoner in reasoners] == list(feedback)
    assert reasoners[0].model is reasoners[1].model


@pytest.mark.parametrize("name", [name for name in discover.model_names() if discover.model_module(name).Config().relations])
def test_a_model_bound_to_the_relations_of_a_grid_reads_a_text_as_one_that_is_not(name):
    module, (cells, line) = discover.model_module(name), (BOARDS[kind] for kind in ("cells", "sequence"))
    config = next(config for config in module.EXAMPLES if config.relations and not config.coordinates)
    bound, free = initial(module.Model, config, cells, 0), initial(module.Model, replace(config, relations=False), line, 0)
    bound.check(line)
    free.load_state_dict(bound.state_dict())
    tokens_Bt = torch.arange(2 * line.tokens).view(2, -1) + 40
    replies = [list(Reasoner(model, line, Loop()).think(tokens_Bt, 2))[-1] for model in (bound, free)]
    assert torch.equal(*replies)
    assert bound.step_flops(line) == free.step_flops(line)
    assert bound.state_floats(line, 3) == free.state_floats(line, 3)


def test_parts_that_share_families_across_splits_are_refused(tmp_path):
    with pytest.raises(UserError, match="the data set leaks: leak between"):
        splits(mixture(parts=[{"share": 0.5}, {"share": 0.5, "data": {"size": 100, "shares": [0.2, 0.2, 0.6]}}]), tmp_path, lambda *_: None)


def test_a_part_with_too_few_different_problems_to_validate_on_is_trained_all_the_same(tmp_path, capsys):
    few = {"task": {"name": "toy", "options": {"digits": 2}}, "data": {"size": 60, "shares": [0.999, 0.0, 0.001]}}
    outcome = run(tmp_path / "run", mixture(parts=[{"share": 0.5, **few}, {"share": 0.5}]))
    said = capsys.readouterr().err
    assert "toy-2 has no validation problems" in said
    assert outcome.validation is not None
    asked = bdh_reason("eval", "--task", "toy", "--model", "run", "--horizon", "2", "--limit", "30", "--datasets", "data", "--json", cwd=tmp_path)
    assert json.loads(asked.stdout.splitlines()[0])["excluded"] > 0
    with pytest.raises(UserError, match="no part has validation problems"):
        splits(mixture(parts=[{"share": 0.5, **few}, {"share": 0.5, **few, "batch": 4}]), tmp_path / "data", lambda *_: None)


REFUSED = [
    ({"parts": [{"share": 0.5}, {"share": 0.4}]}, "shares that add up to 1, not to 0.9"),
    ({"parts": [{"share": 0.0}, {"share": 1.0}]}, "parts.0.share = 0.0"),
    ({"parts": [{"share": 1.0, "bacht": 3}]}, "unknown key 'parts.0.bacht'.*did you mean 'parts.0.batch'"),
    ({"parts": [{"share": 1.0, "carry": {"agee": 3}}]}, "did you mean 'parts.0.carry.age'"),
    ({"parts": [{"share": 1.0, "depth": 2, "loss_from": 3}]}, "loss_from = 3 of 2"),
    ({"parts": [{"share": 1.0, "validation": {"every": 3}}]}, "unknown key 'parts.0.validation.every'"),
    ({"parts": [{"share": 1.0}], "horizons": {"train": [2]}}, "parts and horizons"),
    ({"parts": [{"share": 1.0, "task": {"name": "tyo"}}]}, "unknown task 'tyo'"),
    ({"horizons": {"train": [2, 13]}}, "horizon 13 of task toy; allowed: 2 to 12, its digits"),
    ({"horizons": {"train": [2], "exam": [1]}}, "horizon 1 of task toy"),
    ({"horizons": {"train": []}}, "horizons.train"),
    ({"horizons": {"train": [2]}, "task": {"name": "sudoku"}}, "horizon 2 of task sudoku, which has none"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(UserError, match=message):
        mixture(**{"parts": [], **changes})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("[{share: 0.5}, {share: 0.4}]", "shares that add up to 1"),
        ("[{share: 0.5}, {share: 0.5, reading: sequence}]", "unknown reading 'sequence' in the candidates view of sudoku"),
        ("[{share: 1.0, view: cells, reading: sequence}]", "relations=true on a sequence"),
        ("[{share: 0.5, view: cells}, {share: 0.5, view: cells, task: {name: toy}}]", "relations=true on a grid with 0 relations"),
        ("[{share: 0.5}, {share: 0.5, batch: 5000}]", "a batch of 5000 from a split"),
    ],
)
def test_what_cannot_be_trained_together_is_refused_before_anything_is_written(parts, message, tmp_path):
    model = ("--set", "model.options.heads=12", "--set", "model.options.n=264")
    done = bdh_reason("train", "sudoku4", *model, "--set", "data.size=400", "--set", f"parts={parts}", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "runs").exists()
    assert "5000" in parts or not list(tmp_path.iterdir())


def test_an_exam_on_what_any_part_was_trained_on_is_refused(tmp_path):
    run(tmp_path / "run", mixture())
    for folder in data_sets(tmp_path / "data").values():
        digits = open_split(folder, "train").prompt[0, :-1]
        (tmp_path / "mine.txt").write_text(bytes(digits).decode() + "\n")
        words = ("--puzzles", "mine.txt", "--set", f"digits={len(digits)}", "--datasets", "data")
        done = bdh_reason("eval", "--task", "toy", "--model", "run", *words, cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert "1 problems are in the train split of run" in done.stderr


def test_the_folders_of_a_recipe_of_one_part_are_where_they_were(tmp_path):
    assert problems.place(recipe(), tmp_path) == tmp_path / "toy-f7419ac87b88"
