"""Solved examples in context: read through the state they are what reading all at once is, no example is the problem asked, and only rules judge."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from boards import line
from hypothesis import given
from hypothesis import strategies as st
from test_cli import bdh_reason
from test_parts import BDH
from test_train import _without_tracking, equal, interrupt, recipe, run, weights
from toy import Config, Task, installed

from bdh_reason import discover
from bdh_reason.data import shots
from bdh_reason.errors import RunError, UserError
from bdh_reason.evaluate import context
from bdh_reason.evaluate.context import examine
from bdh_reason.evaluate.exam import examine as plain
from bdh_reason.reason.context import in_context
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.checkpoint import read
from bdh_reason.train.flight import tensors
from bdh_reason.train.initial import initial
from bdh_reason.train.module import Learner
from bdh_reason.train.problems import source, splits

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)
TASK = Task(Config(digits=3))
seeds = st.integers(0, 2**32 - 1)
READERS = ["bdh", "gated_linear", "linear_attention", "lstm", "transformer"]


def toy(n, seed=0):
    return TASK.generate(np.random.default_rng(seed), n)


def reader(name, seed=0):
    module = discover.model_module(name)
    board = TASK.board("cells", "sequence")
    config = replace(getattr(module, "EXAMPLES", (module.Config(),))[0], relations=False, coordinates=False)
    return Reasoner(initial(module.Model, config, board, seed).double().eval(), board, Loop())


def lessons(**changes):
    return recipe(**{"model": BDH, "reading": "sequence", "loop": {}, "context": {"examples": 2, "cipher": 0.5}, **changes})


@given(seeds, st.integers(1, 12), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_cipher_is_undone_by_its_key_and_leaves_prompts_alone(seed, n, share):
    problems = toy(n, seed)
    key = shots.ciphers(np.random.default_rng(seed), b"0123456789", n, share)
    there_NT = shots.spelled(problems.target, problems.scored, key.there_NC)
    assert np.array_equal(shots.spelled(there_NT, problems.scored, key.back_NC), problems.target)
    assert np.array_equal(there_NT[~problems.scored], problems.target[~problems.scored])
    if not share:
        assert np.array_equal(there_NT, problems.target)


def test_as_many_streams_are_in_a_cipher_as_asked_for():
    for share, low, high in ((0.0, 0, 0), (0.3, 0.25, 0.35), (1.0, 0.99, 1)):
        there_NC = shots.ciphers(np.random.default_rng(0), b"0123456789", 2000, share).there_NC
        assert low <= (there_NC != np.arange(256)).any(1).mean() <= high


@given(seeds, st.integers(2, 9), st.data())
def test_examples_are_other_problems_and_more_begin_with_the_same(seed, n, data):
    few, many = sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))))
    chosen = [shots.others(np.random.default_rng(seed), n, count) for count in (few, many)]
    assert np.array_equal(chosen[0], chosen[1][:, :few])
    for place, others in enumerate(chosen[1]):
        assert len({*others.tolist(), place}) == many + 1
    with pytest.raises(UserError, match=f"{n} examples out of {n}"):
        shots.others(np.random.default_rng(seed), n, n)


@given(seeds, st.integers(0, 3))
def test_a_training_stream_is_the_stream_of_an_exam_with_every_problem_asked(seed, examples):
    problems = toy(4 * (examples + 1), seed)
    key = shots.ciphers(np.random.default_rng(seed), b"0123456789", 4, 1.0)
    made = shots.streams(problems, examples, key.there_NC)
    place_MK = np.arange(len(problems)).reshape(4, examples + 1)
    shown_MKt = shots.shown(problems, place_MK[:, :-1], key.there_NC)
    assert np.array_equal(made.prompt, np.concatenate([shown_MKt.reshape(4, -1), problems.prompt[place_MK[:, -1]]], 1))
    assert made.scored.sum() == problems.scored.sum()
    assert np.array_equal(made.scored, made.prompt == ord("."))
    assert np.array_equal(made.target[made.scored].reshape(4, -1), key.there_NC[np.arange(4)[:, None], problems.target[:, -1].reshape(4, -1)])
    assert np.array_equal(made.family, problems.family[place_MK[:, -1]])
    assert shots.stretched(TASK.board("cells", "sequence"), examples).positions == made.prompt.shape[1]


@pytest.mark.parametrize("name", READERS)
def test_what_is_carried_over_examples_is_what_reading_them_at_once_gives(name):
    thinker, problems = reader(name), toy(7)
    shown_NKt, _ = shots.exam(problems, thinker.board.symbols, 3, 1.0, 0)
    replies = in_context(thinker, problems.prompt, problems.scored, shown_NKt, (0, 1, 3), 2)
    for count, reply_NT in replies.items():
        stream_Nt = np.concatenate([shown_NKt[:, :count].reshape(7, -1), problems.prompt], 1)
        *_, logits_NtS = thinker.think(torch.from_numpy(stream_Nt.astype(np.int64)), 2)
        assert np.array_equal(reply_NT[:, -1], thinker.board.spell(logits_NtS[:, -1].argmax(-1).numpy()))
        assert np.array_equal(reply_NT[:, :-1], problems.prompt[:, :-1])


def test_the_order_of_examples_is_read():
    thinker, problems = reader("bdh"), toy(40)
    shown_NKt, _ = shots.exam(problems, thinker.board.symbols, 3, 0.0, 0)
    ways = [in_context(thinker, problems.prompt, problems.scored, shown, (3,), 2)[3] for shown in (shown_NKt, shown_NKt[:, ::-1])]
    assert not np.array_equal(*ways)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("lessons")


def ask(folder, counts=(0, 2), **options):
    given = {"task": "toy", "cipher": False, "depth": None, **options}
    task, cipher, depth = (given.pop(name) for name in ("task", "cipher", "depth"))
    return examine(str(folder / "run"), task, counts, cipher, depth, "cpu", folder / "data", lambda *_: None, **given)


def test_no_examples_are_a_plain_exam_and_rows_say_how_many_there_were(tmp_path):
    run(tmp_path / "run", lessons())
    rows = ask(tmp_path)
    known = plain("toy", {}, (str(tmp_path / "run"),), None, "cpu", tmp_path / "data", lambda *_: None)
    whole = {row.context: row for row in rows if row.difficulty is None}
    assert {(row.mode, row.context, row.unseen) for row in rows} == {("in_context", 0, True), ("in_context", 2, True)}
    same = ("exact_match", "ci_low", "ci_high", "cell_accuracy", "n", "params", "data_hash", "weights", "flops_per_problem", "state_floats", "depth")
    assert {name: getattr(whole[0], name) for name in same} == {name: getattr(known[0], name) for name in same}
    assert whole[2].flops_per_problem > 4 * whole[0].flops_per_problem
    assert whole[2].ci_low <= whole[2].exact_match <= whole[2].ci_high


def test_replies_are_judged_by_rules_after_the_cipher_is_undone(tmp_path, monkeypatch):
    run(tmp_path / "run", lessons())

    def knows(spoil):
        """Who knows every cipher answers in it; with `spoil` one wrongly."""

        def answer(reasoner, prompt_NT, scored_NT, shown_NKt, counts, depth):
            problems = recipe(model=BDH).build_task()._problems(prompt_NT[:, :-1].astype(int) - 48)
            n = len(prompt_NT)
            key = shots.ciphers(shots.rng.generator(0, "ciphers of an exam"), reasoner.board.symbols, n, 1.0)
            reply_NT = shots.spelled(problems.target, scored_NT, key.there_NC)
            reply_NT[:spoil, -1] = np.where(reply_NT[:spoil, -1] == 48, 49, 48)
            return dict.fromkeys(counts, reply_NT)

        return answer

    for spoil in (0, 1):
        monkeypatch.setattr(context, "in_context", knows(spoil))
        row = ask(tmp_path, cipher=True)[0]
        assert row.mode == "cipher"
        assert row.exact_match == row.cell_accuracy == 1 - spoil / row.n


def test_a_task_it_was_never_trained_on_is_asked_too_and_nothing_claims_that_it_was(tmp_path):
    run(tmp_path / "run", lessons())
    row = ask(tmp_path, task="flipflop", limit=20)[0]
    assert (row.task, row.trained, row.n) == ("flipflop", [], 20)


def test_the_command_prints_a_column_for_each_number_of_examples(tmp_path):
    run(tmp_path / "run", lessons())
    words = ("adapt", "context", "run", "--task", "toy", "--shots", "0,2", "--datasets", "data")
    done = bdh_reason(*words, "--rows", "rows.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| 0 shots | 2 shots |" in done.stdout
    lines = bdh_reason(*words, "--json", cwd=tmp_path).stdout.splitlines()
    assert [json.loads(line)["context"] for line in lines] == [json.loads(line)["context"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    refused = bdh_reason(*words, "--limit", "2", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "2 shots in an exam of 2 problems" in refused.stderr


def test_the_examples_of_an_exam_do_not_hang_on_how_many_are_asked_for(tmp_path):
    run(tmp_path / "run", lessons())
    one, other = ask(tmp_path, (1,))[0], next(row for row in ask(tmp_path, (0, 1, 3)) if row.context == 1)
    assert replace(one, created="") == replace(other, created="")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "toys"}, "unknown task 'toys'"),
        ({"task": "text"}, "text is a text"),
        ({"counts": (500,)}, "500 shots in an exam of"),
        ({"counts": (-1, 2)}, "numbers from 0"),
        ({"counts": ()}, "numbers from 0"),
        ({"limit": 2, "counts": (2,)}, "2 shots in an exam of 2 problems; allowed: 0 to 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message, trained):
    if not (trained / "run").exists():
        run(trained / "run", lessons(steps=1))
    with pytest.raises(UserError, match=message):
        ask(trained, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reading": "grid"}, "read in parts on a grid"),
        ({"model": {**BDH, "options": {**BDH["options"], "coordinates": True}}}, "learned coordinates"),
        ({"loop": {"noise": 0.5}}, "noise"),
    ],
)
def test_a_model_that_does_not_remember_what_it_reads_is_refused(changes, message, tmp_path):
    run(tmp_path / "run", lessons(**{"context": {}, "steps": 1, **changes}))
    with pytest.raises(UserError, match=message):
        ask(tmp_path)
    with pytest.raises(UserError, match="context with"):
        lessons(**changes)


def test_a_validation_too_small_for_its_examples_is_refused_before_training(tmp_path):
    few = lessons(context={"examples": 9}, data={"size": 900, "shares": [0.6, 0.2, 0.2]}, validation={"every": 4, "problems": 9, "depth": 2})
    with pytest.raises(UserError, match="9 examples and 9 validation problems"):
        run(tmp_path / "run", few)
    assert not (tmp_path / "run").exists()


def test_training_on_streams_is_training_on_what_an_exam_shows_and_resumes_bit_equal(tmp_path, monkeypatch):
    chosen = lessons(carry={"age": 2})
    assert run(tmp_path / "undisturbed", chosen).done == 10
    with monkeypatch.context() as patch:
        interrupt(4, patch)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run", chosen)
    run(tmp_path / "run", chosen)
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))
    (its,) = splits(chosen, tmp_path / "data", lambda *_: None)
    batch = source(chosen, its, 10).at(3)
    learner = Learner(chosen.reasoners(), chosen)
    assert batch.prompt.shape == (8, 5 * 7)
    assert tensors(learner.reasoners[0].board, batch)[0].shape == (8, 35)
    model, board = learner.model, line("sequence", 7)
    flops = model.flops(replace(board, positions=35, symbols=b"0123456789"), chosen.depth, True)
    assert read(tmp_path / "run" / "state.json").card.train_flops == 3 * 10 * 8 * flops
