"""The folder of a run: what lies there goes when the new run can begin, and no two are at work in it."""

from __future__ import annotations

import pytest
from test_train import STEPS, WIDER, _without_tracking, recipe, run
from toy import installed

from bdh_reason.errors import UserError
from bdh_reason.files import alone
from bdh_reason.train.checkpoint import read

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)


def test_who_begins_anew_keeps_the_old_run_until_the_new_one_can_begin(tmp_path, monkeypatch):
    old = run(tmp_path / "run").folder
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    for wrong in ({"start": "nobody"}, {"start": str(old), "model": {"name": "bdh", "options": WIDER}}):
        with pytest.raises(UserError):
            run(old, recipe(**wrong), resume=False)
        assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_MODE", "bogus")
        with pytest.raises(UserError, match="WANDB_MODE=bogus"):
            run(old, resume=False)
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    sha256 = read(old / "model.json").sha256
    run(old, recipe(start=str(old)), resume=False)
    assert read(old / "model.json").card.parents[0]["sha256"] == sha256, "even where it starts with the weights that it replaces"


def test_two_trainings_in_one_folder_are_refused(tmp_path):
    run(tmp_path / "run", max_seconds=0)
    with alone(tmp_path / "run", wait=False), pytest.raises(UserError, match="another process is at work in"):
        run(tmp_path / "run")
    assert run(tmp_path / "run").done == STEPS
