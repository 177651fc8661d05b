"""Frozen neurons do not change by one bit while the others learn; and a run of no steps is the weights it starts with."""

from __future__ import annotations

import pytest
import torch
from test_parts import BDH
from test_train import _without_tracking, equal, interrupt, recipe, run, weights
from toy import installed

from bdh_reason.bdh.surgery import NEURONS
from bdh_reason.errors import RunError, UserError
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.merge import enlarge
from bdh_reason.train.checkpoint import read
from bdh_reason.train.frozen import Frozen

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)


def grown(tmp_path, **changes):
    """A recipe that goes on from a model that was trained and got more neurons; the old ones frozen."""
    run(tmp_path / "before", recipe(model=BDH))
    enlarge(str(tmp_path / "before"), 24, 0, tmp_path / "grown")
    options = {**BDH["options"], "n": 24, "pieces": [8, 4]}
    return recipe(**{"model": {"name": "bdh", "options": options}, "start": str(tmp_path / "grown"), "frozen": 8, "seed": 1, **changes})


def parts(folder, kind):
    """(old, new) of every tensor of neurons, and all others, of a checkpoint."""
    tensors = read(folder / f"{kind}.json").tensors
    prefix = "weight." if kind == "state" else ""
    old = {name: tensors[prefix + name].narrow(axis, 0, 8) for name, axis in NEURONS.items()}
    new = {name: tensors[prefix + name].narrow(axis, 8, 4) for name, axis in NEURONS.items() if tensors[prefix + name].shape[axis] > 8}
    return old, new, {name: tensors[prefix + name] for name in ("token_VD", "readout_DV", "feedback_VD")}


def test_old_neurons_keep_every_bit_while_new_ones_and_the_rest_learn(tmp_path):
    chosen = grown(tmp_path, optimiser={"lr": 0.05, "warmup": 1, "weight_decay": 1.0})
    run(tmp_path / "run", chosen)
    before, _, _ = parts(tmp_path / "before", "model")
    _, silent, rest = parts(tmp_path / "grown", "model")
    for kind in ("model", "state"):
        old, new, other = parts(tmp_path / "run", kind)
        assert equal(old, before)
        assert not any(torch.equal(new[name], silent[name]) for name in new)
        assert not any(torch.equal(other[name], rest[name]) for name in other)


def test_without_being_frozen_they_change(tmp_path):
    run(tmp_path / "run", grown(tmp_path, frozen=0))
    old, _, _ = parts(tmp_path / "run", "state")
    before, _, _ = parts(tmp_path / "before", "model")
    assert not any(torch.equal(old[name], before[name]) for name in old)


def test_what_is_not_put_back_shrinks(tmp_path, monkeypatch):
    monkeypatch.setattr(Frozen, "restore", lambda self: None)
    run(tmp_path / "run", grown(tmp_path))
    assert not equal(parts(tmp_path / "run", "state")[0], parts(tmp_path / "before", "model")[0]), "a mask of the gradient alone would not do"


def test_interrupted_and_continued_is_bit_equal_to_undisturbed(tmp_path, monkeypatch):
    chosen = grown(tmp_path)
    run(tmp_path / "undisturbed", chosen)
    with monkeypatch.context() as patch:
        interrupt(4, patch)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run", chosen)
    run(tmp_path / "run", chosen)
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))


def test_a_grown_model_has_its_parents_lessons_and_none_of_its_own(tmp_path):
    grown(tmp_path)
    before, after = checkpoint(str(tmp_path / "before")), checkpoint(str(tmp_path / "grown"))
    assert after.lessons() == before.lessons()
    assert len(after.lessons()) == 1
    assert after.card.train_flops == before.card.train_flops
    assert (after.recipe.model.options["n"], after.recipe.model.options["pieces"]) == (24, [8, 4])


def test_a_run_of_no_steps_is_a_checkpoint_of_what_it_starts_with(tmp_path):
    fresh = run(tmp_path / "fresh", recipe(model=BDH, steps=0))
    assert (fresh.done, fresh.validation) == (0, None)
    again = recipe(model=BDH).reasoners()[0].model
    assert equal(read(tmp_path / "fresh" / "model.json").tensors, dict(again.named_parameters()))
    assert checkpoint(str(tmp_path / "fresh")).lessons() == []
    run(tmp_path / "run", recipe(model=BDH))
    run(tmp_path / "same", recipe(model=BDH, steps=0, start=str(tmp_path / "run"), seed=3))
    assert equal(read(tmp_path / "same" / "model.json").tensors, read(tmp_path / "run" / "model.json").tensors)
    assert checkpoint(str(tmp_path / "same")).lessons() == checkpoint(str(tmp_path / "run")).lessons()
    with pytest.raises(UserError, match="another recipe"):
        run(tmp_path / "run", recipe(model=BDH, steps=0))


@pytest.mark.parametrize(("model", "frozen"), [("lstm", 1), ("bdh", 9)])
def test_only_neurons_that_are_there_can_be_frozen(model, frozen):
    options = BDH["options"] if model == "bdh" else {"relations": False}
    with pytest.raises(UserError, match=f"frozen = {frozen} neurons in each head of {model}"):
        recipe(model={"name": model, "options": options}, reading="sequence", frozen=frozen)
