"""An exam is fair: on problems no contender has seen, with rows that say what was asked."""

from dataclasses import replace

import numpy as np
import pytest
from test_train import recipe, run
from toy import installed

from bdh_reason.data.build import build
from bdh_reason.data.read import export, open_split
from bdh_reason.data.splits import only
from bdh_reason.errors import UserError
from bdh_reason.evaluate import exam
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import TEST, default_model, examine
from bdh_reason.train.checkpoint import read

pytestmark = pytest.mark.usefixtures(installed.__name__)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return run(tmp_path / "run", recipe(data={"size": 2000, "shares": [0.6, 0.2, 0.2]})).folder


def rows(trained, *names, **asked):
    return examine("toy", {}, names or (str(trained),), (1, 2), "cpu", trained.parent / "data", lambda *_: None, **asked)


def test_without_problems_the_models_own_test_split_is_read(trained):
    whole = [row for row in rows(trained) if row.difficulty is None]
    (folder,) = (trained.parent / "data").iterdir()
    assert [row.depth for row in whole] == [1, 2]
    assert {row.n for row in whole} == {len(np.unique(open_split(folder, "test").family))}, "every family once"
    assert {row.unseen for row in whole} == {True}
    assert {row.data_hash for row in whole} == {checkpoint(str(trained)).card.data_hash}


def test_problems_that_were_trained_on_are_refused(trained):
    build("toy", {}, trained.parent / "other", 300, shares=only("test"))
    with pytest.raises(UserError, match=r"problems are in the (train|validation) split"):
        rows(trained, folder=trained.parent / "other")
    assert rows(trained, "oracle", folder=trained.parent / "other")[0].exact_match == 1


def test_where_the_training_data_is_not_at_hand_the_row_says_so(trained, tmp_path):
    build("toy", {}, tmp_path / "far" / "other", 300, shares=only("test"))
    asked = {"root": tmp_path / "far", "folder": tmp_path / "far" / "other"}
    found = examine("toy", {}, (str(trained),), None, "cpu", progress=lambda *_: None, **asked)
    assert {row.unseen for row in found} == {None}
    assert {row.depth for row in found} == {3}, "as deep as it was validated"


def test_the_train_split_is_no_exam(trained):
    with pytest.raises(UserError, match="the train split"):
        rows(trained, split="train")
    assert {row.split for row in rows(trained, split="validation")} == {"validation"}


def test_the_slices_of_difficulty_add_up_to_the_whole(trained):
    whole, *slices = rows(trained, "chance", str(trained))[:4]
    assert len(slices) == len({row.difficulty for row in slices}) > 1
    assert sum(row.n for row in slices) == whole.n
    assert sum(row.n * row.exact_match for row in slices) == pytest.approx(whole.n * whole.exact_match)


def test_the_state_of_a_run_answers_like_its_averaged_weights(trained):
    card, tensors, _ = read(trained / "state.json")
    average = checkpoint(str(trained / "state.json"))
    assert average.card == card
    assert all(np.array_equal(average.weights[name], tensors[f"average.{name}"]) for name in checkpoint(str(trained)).weights)


def test_restarts_have_rows_of_their_own_with_their_number(trained):
    found = [row for row in rows(trained, mode="restarts", restarts=3, limit=20) if row.difficulty is None]
    assert [(row.mode, row.restarts, row.depth, row.first_right) for row in found] == [("restarts", 3, 1, None), ("restarts", 3, 2, None)]
    single = [row for row in rows(trained, limit=20) if row.difficulty is None]
    assert {row.restarts for row in single} == {None}
    for one, several in zip(single, found):
        assert several.exact_match >= one.exact_match, "the first run is among them"
        assert one.flops_per_problem <= several.flops_per_problem <= 3 * one.flops_per_problem


def test_a_row_tells_when_replies_were_first_right(trained):
    for row in rows(trained):
        assert row.first_right["never"] <= row.n * (1 - row.exact_match) + 1e-9
        assert (row.first_right["median"] is None) == (2 * row.first_right["never"] > row.n or row.first_right["never"] == row.n)


def test_problems_that_come_with_a_model_are_those_of_its_data_set(trained, monkeypatch):
    (folder,) = (trained.parent / "data").iterdir()
    (trained / TEST).write_bytes(b"".join(line[:-1] + b"\n" for line in export(folder, "test", 30).splitlines()))  # the toy reads its digits alone
    built = rows(trained, limit=30)
    monkeypatch.setattr(exam, "dataset", lambda *_: pytest.fail("a data set was built"))

    def far(task="toy", **asked):
        return examine(task, {}, (str(trained),), (1, 2), "cpu", trained.parent / "far", lambda *_: None, **asked)

    same = {"created": "", "problems_per_s": None}
    assert [replace(row, **same) for row in far(limit=30)] == [replace(row, **same) for row in built]
    for more in ({"limit": 31}, {}, {"limit": 3, "split": "validation"}):
        with pytest.raises(pytest.fail.Exception, match="was built"):
            far(**more)
    with pytest.raises(UserError, match="was trained on toy, not on sudoku"):
        far(limit=3, task="sudoku")
    (trained / TEST).write_bytes(open_split(folder, "train").prompt[0].tobytes()[:-1] + b"\n")
    with pytest.raises(UserError, match="not of the test split"):
        far(limit=1)


def test_the_model_trained_on_the_hardest_problems_answers_first(tmp_path, monkeypatch):
    monkeypatch.setattr(exam, "RELEASED", tmp_path)
    with pytest.raises(UserError, match="no released model"):
        default_model("toy")
    for name in ("toy", "toy-extreme-bdh"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").touch()
        assert default_model("toy") == str(tmp_path / name)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 3, "mode": "sideways"}, "unknown mode"),
        ({"folder": "x", "puzzles": "y"}, "one of them"),
        ({"mode": "restarts"}, "without --restarts"),
        ({"restarts": 3}, "with --restarts"),
    ],
)
def test_what_cannot_be_asked_is_refused(trained, asked, message):
    with pytest.raises(UserError, match=message):
        rows(trained, **asked)
