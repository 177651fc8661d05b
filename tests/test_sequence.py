"""A sequence learns its tasks in order by every strategy, asks all of them after each, never twice, and goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_cli import bdh_reason
from test_parts import BDH
from test_train import _without_tracking, equal, interrupt, recipe
from toy import installed

from bdh_reason.bdh.surgery import NEURONS
from bdh_reason.compare.adapt import matrices, sequences
from bdh_reason.errors import RunError, UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.rows import read
from bdh_reason.suite import stages as running
from bdh_reason.suite.run import Places
from bdh_reason.suite.sequence import STRATEGIES, load_sequence, recipes, sequence_names, stages
from bdh_reason.suite.stages import run
from bdh_reason.train import checkpoint as checkpoints
from bdh_reason.train.turns import turns

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)
TASKS = {"three": {"task": {"options": {"digits": 3}}}, "two": {"task": {"options": {"digits": 2}}}, "four": {"task": {"options": {"digits": 4}}}}


def write(folder: Path, **changes: object) -> Path:
    (folder / "base.yaml").write_text(
        recipe(model=BDH, reading="sequence", loop={}, steps=4, validation={"every": 2, "problems": 8, "depth": 2}).model_dump_json()
    )
    given = {"recipe": str(folder / "base.yaml"), "tasks": TASKS, "strategies": list(STRATEGIES), "grow": 8, "seeds": [0]}
    (folder / "digits.yaml").write_text(json.dumps({**given, **changes}))
    return folder / "digits.yaml"


def go(plan, seconds=None):
    places = Places(plan.parent / "runs", plan.parent / "data", plan.parent / "rows.jsonl", plan.parent / "probes.jsonl")
    return list(run(*load_sequence(str(plan)), places, "cpu", seconds, lambda *_: None))


def rows(plan):
    return read([plan.parent / "rows.jsonl"])


def tensors(plan, place):
    return checkpoints.read(plan.parent / "runs" / place / "model.json").tensors


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sequence that was run undisturbed; a module's fixture cannot ask for a function's, so the task is installed by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        generator = installed.__wrapped__(tmp_path_factory, patch)
        next(generator)
        plan = write(tmp_path_factory.mktemp("sequence"))
        assert all(done for _, done in go(plan))
        next(generator, None)
    return plan


def test_every_stage_is_learned_from_the_one_before_and_asked_every_task_once(whole, monkeypatch):
    found = {(row.sequence["strategy"], row.sequence["stage"], row.sequence["task"], row.config["digits"]) for row in rows(whole)}
    digits = {"three": 3, "two": 2, "four": 4}
    places = [(None, 0), (None, 1), *((strategy, number) for strategy in STRATEGIES for number in (2, 3))]
    assert found == {(*place, task, digits[task]) for place in places for task in digits}
    assert len(rows(whole)) == len(found)
    before = (whole.parent / "rows.jsonl").read_bytes()
    monkeypatch.setattr(running, "sit", lambda *_, **__: pytest.fail("a stage was examined again"))
    assert all(done for _, done in go(whole))
    assert (whole.parent / "rows.jsonl").read_bytes() == before


def test_rows_say_what_was_learned_so_far_and_what_it_cost(whole):
    for row in rows(whole):
        stage, strategy = row.sequence["stage"], row.sequence["strategy"]
        assert row.trained == sorted([3, 2, 4][:stage])
        assert row.unseen
        grown = {"grow": 8 * (stage - 1), "merge": 16 * (stage - 1)}.get(strategy, 0)
        assert row.params == rows(whole)[0].params + 3 * 8 * grown
    cost = {(row.sequence["strategy"], row.sequence["stage"]): row.train_flops for row in rows(whole)}
    assert cost[None, 0] == 0
    assert 0 < cost[None, 1] < cost["plain", 2] < cost["plain", 3] < cost["grow", 3]


def test_grown_models_keep_all_earlier_neurons_bit_by_bit(whole):
    first, second, third = (tensors(whole, f"seed0/{place}") for place in ("1-three", "grow/2-two", "grow/3-four"))
    for name, axis in NEURONS.items():
        assert torch.equal(second[name].narrow(axis, 0, 8), first[name])
        assert torch.equal(third[name].narrow(axis, 0, 12), second[name])
        assert third[name].shape[axis] == 16
    assert not equal({"readout": second["readout_DV"]}, {"readout": third["readout_DV"]})


def test_merged_models_hold_the_neurons_of_models_that_learned_alone(whole):
    alone, before = (checkpoint(str(whole.parent / "runs" / "seed0" / place)) for place in ("merge/2-two-own", "1-three"))
    merged = checkpoint(str(whole.parent / "runs" / "seed0" / "merge" / "2-two"))
    assert alone.recipe.start is None
    assert [about["sha256"] for about in merged.card.parents] == [alone.sha256, before.sha256]
    assert torch.equal(merged.weights["Dy_HDN"], torch.cat([alone.weights["Dy_HDN"], before.weights["Dy_HDN"]], 2))


def test_replay_gives_its_share_to_the_tasks_before_and_the_rest_to_the_new_one(tmp_path):
    name, sequence = load_sequence(str(write(tmp_path, replay=0.25, strategies=["replay"])))
    second, third = (stage.recipe for stage in stages(name, sequence) if stage.number > 1)
    assert second.shares == pytest.approx((0.25, 0.75))
    assert third.shares == pytest.approx((0.125, 0.125, 0.75))
    assert [one.task.options["digits"] for one in third.each] == [3, 2, 4]
    done_SP = turns(third.shares, 80).done_SP
    assert done_SP[-1].tolist() == [10, 10, 60]
    alone = recipes(name, sequence, 0)
    assert [(one.validation, one.depth, one.batch) for one in third.each] == [(one.validation, one.depth, one.batch) for one in alone]


def test_a_stage_of_no_steps_repeats_the_scores_of_the_one_before(tmp_path):
    plan = write(tmp_path, tasks={**TASKS, "two": {**TASKS["two"], "steps": 0}})
    assert all(done for _, done in go(plan))
    for matrix in matrices(rows(plan)):
        assert matrix.exact[2] == matrix.exact[1], matrix.strategy
    assert [matrix.params[1] - matrix.params[0] for matrix in matrices(rows(plan))] == [0, 0, 3 * 8 * 8, 3 * 8 * 16]
    assert all(row.trained == ([] if row.sequence["stage"] == 0 else [3, 4] if row.sequence["stage"] == 3 else [3]) for row in rows(plan))


def dies_after(place, patch):
    """The process ends as soon as this function has done its work, before anything is made of it."""
    honest = getattr(running, place)

    def last(*args, **options):
        honest(*args, **options)
        raise MemoryError(place)

    patch.setattr(running, place, last)


def test_stopped_by_time_or_interrupted_and_continued_it_ends_as_if_undisturbed(whole, tmp_path, monkeypatch):
    plan = write(tmp_path)
    assert go(plan, seconds=0) == []
    honest = running.train
    with monkeypatch.context() as patch:
        patch.setattr(running, "train", lambda *args: honest(*args[:-1], 1e-3))
        assert [(stage.number, done) for stage, done in go(plan)] == [(0, True), (1, False)]
    for _ in range(2):
        with monkeypatch.context() as patch:
            interrupt(3, patch)
            with pytest.raises(RunError, match="interrupted"):
                go(plan)
    for place in ("enlarge", "join", "sit", "train"):
        with monkeypatch.context() as patch:
            dies_after(place, patch)
            with pytest.raises(MemoryError, match=place):
                go(plan)
    assert all(done for _, done in go(plan))
    for stage in stages(*load_sequence(str(plan))):
        assert equal(tensors(plan, stage.place), tensors(whole, stage.place)), stage.place
    scores = [{(row.sequence["strategy"], row.sequence["stage"], row.sequence["task"]): row.exact_match for row in rows(one)} for one in (plan, whole)]
    assert scores[0] == scores[1]
    assert len(rows(plan)) == len(rows(whole))


def test_the_command_prints_the_stages_or_runs_them_and_prints_the_matrices(whole, tmp_path):
    done = bdh_reason("adapt", "sequence", str(whole), "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 + 2 * len(STRATEGIES)
    assert "seed0/grow/3-four  toy  bdh  4 steps of 8 × 2, from seed0/grow/2-two" in done.stdout
    folders = ("--out", str(whole.parent / "runs"), "--data", str(whole.parent / "data"), "--rows", str(whole.parent / "rows.jsonl"))
    done = bdh_reason("adapt", "sequence", str(whole), *folders, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == sequences(matrices(rows(whole)))
    assert done.stderr.count(" done") == 2 + 2 * len(STRATEGIES)
    refused = bdh_reason("adapt", "sequence", "line", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "unknown sequence 'line'" in refused.stderr


def test_sequences_that_come_with_the_package_are_plans():
    assert sequence_names()
    for name in sequence_names():
        assert stages(*load_sequence(name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ["replai"]}, "unknown strategy 'replai' in sequence digits; allowed: grow, merge, plain, replay; did you mean 'replay'"),
        ({"strategies": []}, "strategies"),
        ({"tasks": {"three": TASKS["three"]}}, "tasks"),
        ({"tasks": {**TASKS, "one": {"task": {"name": "tyo"}}}}, "unknown task 'tyo'"),
        ({"tasks": {**TASKS, "text": {"recipe": "text"}}}, "is a text"),
        ({"tasks": {**TASKS, "many": {"horizons": {"train": [2, 3]}}}}, "many in sequence digits has parts or horizons"),
        ({"tasks": {**TASKS, "wide": {"model": {"options": {"n": 32}}}}}, "one model for all its tasks"),
        ({"tasks": {**TASKS, "fed": {"loop": {"feedback": False}}}}, "one model for all its tasks"),
        ({"replay": 1.0}, "replay"),
        ({"grow": 7}, "multiple of the heads"),
        ({"settings": {"stepz": 3}}, "stepz"),
        ({"settings": {"model": {"name": "lstm", "options": {"relations": False}}}}, "strategy grow for model lstm"),
        ({"settings": {"model": {"name": "lstm", "options": {"relations": False}}}, "strategies": ["merge"]}, "strategy merge for model lstm"),
    ],
)
def test_what_is_no_sequence_is_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        stages(*load_sequence(str(write(tmp_path, **changes))))
    with pytest.raises(UserError, match="unknown sequence 'line'"):
        load_sequence("line")


def test_a_model_that_is_no_bdh_learns_by_the_other_strategies(tmp_path):
    plan = write(tmp_path, settings={"model": {"name": "lstm", "options": {"d": 8, "hidden": 8, "relations": False}}}, strategies=["plain", "replay"])
    assert all(done for _, done in go(plan))
    assert {row.arch for row in rows(plan)} == {"lstm"}
    assert [matrix.strategy for matrix in matrices(rows(plan))] == ["plain", "replay"]
