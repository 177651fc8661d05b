"""A run that is stopped anywhere and continued ends in exactly the weights of one that was not."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from toy import installed

from bdh_reason.errors import RunError, UserError
from bdh_reason.train.average import Average
from bdh_reason.train.callbacks import Validation
from bdh_reason.train.checkpoint import read, write
from bdh_reason.train.module import Learner, learning_rate
from bdh_reason.train.problems import splits
from bdh_reason.train.recipe import Recipe, parse
from bdh_reason.train.run import Outcome, train

pytestmark = pytest.mark.usefixtures(installed.__name__)
STEPS = 10
WIDER = {"d": 16, "n": 16, "heads": 2, "relations": False, "coordinates": True}


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


def recipe(**changes: object) -> Recipe:
    given = {
        "name": "toy",
        "task": {"name": "toy"},
        "model": {"name": "bdh", "options": {"d": 8, "n": 16, "heads": 2, "relations": False, "coordinates": True}},
        "data": {"size": 200, "shares": [0.6, 0.2, 0.2]},
        "view": "cells",
        "loop": {"noise": 0.5},
        "depth": 2,
        "steps": STEPS,
        "batch": 8,
        "precision": "fp32",
        "optimiser": {"warmup": 2},
        "validation": {"every": 4, "problems": 16, "depth": 3},
    }
    return parse({**given, **changes}, "the test")


def run(folder: Path, chosen: Recipe | None = None, **options: object) -> Outcome:
    chosen = chosen or recipe()
    return train(chosen, splits(chosen, folder.parent / "data", lambda *_: None), folder, "cpu", **{"resume": True, "max_seconds": None, **options})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read(folder / "state.json")[1]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def undisturbed(tmp_path):
    assert run(tmp_path / "undisturbed").done == STEPS
    return weights(tmp_path / "undisturbed")


def interrupt(step, monkeypatch, owner=Learner, method="optimizer_step"):
    """Ctrl-C arrives when `method` of the learner or its average is called at `step`."""
    whole = getattr(owner, method)

    def pressed(self, *args, **options):
        if (args[1] if owner is Average else self.done) == step:
            signal.raise_signal(signal.SIGINT)
        return whole(self, *args, **options)

    monkeypatch.setattr(owner, method, pressed)


PLACES = [(Learner, "loss"), (Learner, "configure_gradient_clipping"), (Learner, "optimizer_step"), (Average, "update")]


@pytest.mark.parametrize("step", [1, 4, STEPS - 2])
@pytest.mark.parametrize(("owner", "method"), PLACES, ids=lambda place: getattr(place, "__name__", place))
def test_interrupted_and_continued_is_bit_equal_to_undisturbed(step, owner, method, tmp_path, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(step, patch, owner, method)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run")
    assert 0 < read(tmp_path / "run" / "state.json")[0].step <= step + 1
    assert run(tmp_path / "run").done == STEPS
    assert equal(weights(tmp_path / "run"), undisturbed)


def test_slices_by_time_add_up_to_the_undisturbed_run(tmp_path, undisturbed, monkeypatch):
    whole = Learner.optimizer_step
    monkeypatch.setattr(Learner, "optimizer_step", lambda self, *args, **options: (time.sleep(0.1), whole(self, *args, **options)))
    assert 0 < run(tmp_path / "run", max_seconds=0.25).done < STEPS
    assert run(tmp_path / "run").done == STEPS
    assert equal(weights(tmp_path / "run"), undisturbed)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_fails_and_continues_to_the_same_weights(kind, tmp_path, undisturbed):
    killed(kind, tmp_path / "run", {})
    assert run(tmp_path / "run").done == STEPS
    assert equal(weights(tmp_path / "run"), undisturbed)


def killed(kind: signal.Signals, folder: Path, changes: dict[str, object]) -> None:
    """Another process begins the run and is sent the signal in its sixth step."""
    code = f"import sys, test_train, pathlib; test_train.slow(); test_train.run(pathlib.Path(sys.argv[1]), test_train.recipe(**{changes!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line == "step 5\n":
            break
    child.send_signal(kind)
    child.communicate()
    assert child.returncode not in (0, 2)


def slow() -> None:
    """In the child process of `killed`: says which step it is at, takes its time, and keeps the state after every step."""
    from bdh_reason.train import callbacks

    callbacks.KEEP_EVERY = 0.0
    whole = Learner.optimizer_step

    def step(self, *args, **options):
        print(f"step {self.done}", flush=True)
        time.sleep(0.2)
        whole(self, *args, **options)

    Learner.optimizer_step = step  # type: ignore[method-assign]


def test_a_loss_that_is_no_number_stops_and_the_good_checkpoint_stands(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(5, patch)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run")
    good = weights(tmp_path / "run")
    whole = Learner.loss
    monkeypatch.setattr(Learner, "loss", lambda self, batch: whole(self, batch) * (float("nan") if self.done == 7 else 1))
    with pytest.raises(RunError, match="loss is nan at step 8"):
        run(tmp_path / "run")
    assert equal(weights(tmp_path / "run"), good)


def test_weights_that_are_not_finite_are_never_written(tmp_path, monkeypatch):
    whole = Learner.optimizer_step

    def poison(self, *args, **options):
        whole(self, *args, **options)
        if self.done == STEPS:
            self.model.token_VD.data[0, 0] = float("inf")

    monkeypatch.setattr(Learner, "optimizer_step", poison)
    with pytest.raises(RunError, match="not finite"):
        run(tmp_path / "run", recipe(validation={"every": 100, "problems": 4, "depth": 1}))
    assert not list((tmp_path / "run").glob("state*"))


def test_what_was_best_before_the_cool_down_does_not_stand_in_it(tmp_path, monkeypatch):
    """Validated after 2, 4 … 10 steps, cooling down from 6 on; the scores fall, but for the last but one."""
    scores = iter([0.9, 0.8, 0.3, 0.4, 0.2])

    def scored(self, trainer, learner, *_):
        if learner.done % 2 == 0:
            self.latest, self.at = next(scores), learner.done

    monkeypatch.setattr(Validation, "on_train_batch_end", scored)
    cooling = recipe(optimiser={"warmup": 2, "decay": "wsd", "cooldown": 0.4})
    interrupt(4, monkeypatch)
    with pytest.raises(RunError, match="interrupted"):
        run(tmp_path / "run", cooling)
    assert read(tmp_path / "run" / "model.json").card.step == 2
    run(tmp_path / "run", cooling)
    kept = read(tmp_path / "run" / "model.json").card
    assert (kept.step, kept.validation) == (8, 0.4)


def test_a_finished_run_is_not_trained_again(tmp_path):
    run(tmp_path / "run")
    before = (tmp_path / "run" / "state.json").read_bytes()
    assert run(tmp_path / "run").done == STEPS
    assert (tmp_path / "run" / "state.json").read_bytes() == before


def test_another_recipe_or_other_data_in_the_folder_is_refused(tmp_path):
    run(tmp_path / "run")
    with pytest.raises(UserError, match=r"another recipe \(batch: 8 there, 4 here\)"):
        run(tmp_path / "run", recipe(batch=4))
    card, tensors, _ = read(tmp_path / "run" / "state.json")
    write(tmp_path / "run", "state", replace(card, data_hash="0" * 64), tensors)
    with pytest.raises(UserError, match="other data"):
        run(tmp_path / "run")
    assert run(tmp_path / "run", recipe(batch=4), resume=False).done == STEPS
    assert read(tmp_path / "run" / "model.json")[0].recipe["batch"] == 4, "nothing of the run before is left"


def test_a_run_starts_with_a_checkpoints_weights_and_says_whose(tmp_path, monkeypatch):
    first = run(tmp_path / "first").folder
    begun, honest = [], Learner.loss
    monkeypatch.setattr(Learner, "loss", lambda self, batch: begun.append({k: v.clone() for k, v in self.model.state_dict().items()}) or honest(self, batch))
    second = recipe(start=str(first), data={"size": 300, "shares": [0.6, 0.2, 0.2]})
    interrupt(4, monkeypatch)
    with pytest.raises(RunError, match="interrupted"):
        run(tmp_path / "second", second)
    assert run(tmp_path / "second", second).done == STEPS
    card, weights_first, sha256 = read(first / "model.json")
    assert equal(begun[0], weights_first)
    later = read(tmp_path / "second" / "model.json").card
    assert later.parents == [{"name": "first", "sha256": sha256, **card.content()}]
    of_its_own = read(first / "state.json").card.train_flops
    assert read(tmp_path / "second" / "state.json").card.train_flops == pytest.approx(card.train_flops + of_its_own)
    assert later.data() == {card.data_hash, later.data_hash}
    assert len(later.data()) == 2, "an exam refuses what either run has seen"
    for wrong, message in (({"start": "nobody"}, "nobody"), ({"start": str(first), "model": {"name": "bdh", "options": WIDER}}, "another model")):
        with pytest.raises(UserError, match=message):
            run(tmp_path / "third", recipe(**wrong))


def test_a_run_that_ends_before_its_first_validation_can_be_evaluated(tmp_path, monkeypatch):
    interrupt(2, monkeypatch)
    with pytest.raises(RunError, match="interrupted"):
        run(tmp_path / "run", recipe(validation={"every": 9, "problems": 4, "depth": 1}))
    assert read(tmp_path / "run" / "model.json")[0].validation is None


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        run(tmp_path / "file" / "run")


def test_a_mode_of_tracking_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "bogus")
    with pytest.raises(UserError, match="WANDB_MODE=bogus; allowed: online, offline, disabled"):
        run(tmp_path / "run")


def test_training_learns(tmp_path):
    learnable = recipe(steps=80, optimiser={"lr": 0.02, "warmup": 5}, loop={}, validation={"every": 80, "problems": 40, "depth": 2})
    (chosen,) = splits(learnable, tmp_path / "data", lambda *_: None)
    board = learnable.build_task().board("cells", "grid")
    from bdh_reason.train.flight import tensors

    untrained = Learner(learnable.reasoners(), learnable)
    batch = tensors(board, chosen.train.take(list(range(len(chosen.train)))))
    before = untrained.loss(batch).item()
    run(tmp_path / "run", learnable)
    untrained.model.load_state_dict(read(tmp_path / "run" / "model.json")[1])
    assert untrained.loss(batch).item() < 0.99 * before


@pytest.mark.parametrize(("changes", "seen"), [({}, "80 problems"), ({"carry": {"age": 5}}, r"(1[6-9]|[23]\d) problems")])
def test_a_report_says_how_many_problems_were_seen_and_how_fast(changes, seen, tmp_path, capsys):
    run(tmp_path / "run", recipe(loop={}, optimiser={"lr": 1e-9}, task={"name": "toy", "options": {"digits": 2}}, **changes))
    assert re.search(rf"toy 10/10 · {seen} · loss \d\.\d+ · validation exact_match \d\.\d+ · [\d,]+ board-steps/s · 0 s left", capsys.readouterr().err)


def test_a_batch_that_cannot_be_made_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("bdh_reason.data.batches.Batches.at", lambda *_: (_ for _ in ()).throw(RunError("no batch")))
    with pytest.raises(RunError, match="no batch"):
        run(tmp_path / "run")


def test_the_learning_rate_warms_up_and_falls_to_its_end():
    chosen = recipe(steps=100, optimiser={"lr": 1.0, "warmup": 10, "final": 0.1})
    rates = [learning_rate(chosen, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1, abs=0.05)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
