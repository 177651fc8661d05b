"""An exam is fair: on problems no contender has seen, with rows that say what was asked."""

import numpy as np
import pytest
from test_train import recipe, run
from toy import installed

from bdh_reason.data.build import build
from bdh_reason.data.read import open_split
from bdh_reason.data.splits import only
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import examine

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
    assert {row.n for row in whole} == {len(open_split(folder, "test"))}
    assert {row.data_hash for row in whole} == {checkpoint(str(trained)).card.data_hash}


def test_problems_that_were_trained_on_are_refused(trained):
    build("toy", {}, trained.parent / "other", 300, shares=only("test"))
    with pytest.raises(UserError, match=r"problems are in the (train|validation) split"):
        rows(trained, folder=trained.parent / "other")
    assert rows(trained, "oracle", folder=trained.parent / "other")[0].exact_match == 1


def test_the_slices_of_difficulty_add_up_to_the_whole(trained):
    whole, *slices = rows(trained, "chance", str(trained))[:4]
    assert len(slices) == len({row.difficulty for row in slices}) > 1
    assert sum(row.n for row in slices) == whole.n
    assert sum(row.n * row.exact_match for row in slices) == pytest.approx(whole.n * whole.exact_match)


def test_the_state_of_a_run_answers_like_its_averaged_weights(trained):
    model, state = (checkpoint(str(trained / name)) for name in ("model.json", "state.json"))
    assert model.weights.keys() == state.weights.keys()
    if model.card.step == state.card.step:
        assert all(np.array_equal(model.weights[name], state.weights[name]) for name in model.weights)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 3, "mode": "sideways"}, "in_place or greedy"),
        ({"folder": "x", "puzzles": "y"}, "one of them"),
    ],
)
def test_what_cannot_be_asked_is_refused(trained, asked, message):
    with pytest.raises(UserError, match=message):
        rows(trained, **asked)
