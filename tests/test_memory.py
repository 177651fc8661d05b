"""What a run needs is counted before anything is built, and what is counted is what autograd keeps."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from bdh_reason.errors import UserError
from bdh_reason.train import memory
from bdh_reason.train.memory import check, kept, needed, wanted
from bdh_reason.train.module import Learner
from bdh_reason.train.recipe import load, recipe_names

SMALL = {"data": {"size": 100}, "batch": 1, "model": {"options": {"d": 64, "n": 768, "heads": 12}}}


def recipe(**options):
    return load("sudoku-1b", {**SMALL, "model": {"options": {**SMALL["model"]["options"], "backward": "written", **options}}, "precision": "fp32"})


@pytest.mark.parametrize("recompute", [False, True])
def test_what_is_counted_without_values_is_what_autograd_keeps(recompute):
    chosen = recipe(recompute=recompute)
    reasoner = chosen.reasoners()[0]
    learner = Learner((reasoner,), chosen)
    tokens_Bt = torch.zeros(1, 81, dtype=torch.int64)

    def held(steps):
        learner.each = (chosen.model_copy(update={"depth": steps}),)
        storages = {}
        with saved_tensors_hooks(lambda tensor: storages.setdefault(tensor.untyped_storage()._cdata, tensor) is None or tensor, lambda tensor: tensor):
            learner.loss((tokens_Bt, torch.zeros(1, 81, dtype=torch.int64)))
        return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())

    with torch.device("meta"):
        blind = chosen.reasoners()[0]
    assert kept(blind, bf16=False) == pytest.approx(held(3) - held(2), rel=0.02)


def test_to_make_again_is_to_keep_less_and_bf16_is_half():
    with torch.device("meta"):
        full, lean = (recipe(recompute=recompute, n=12288).reasoners()[0] for recompute in (False, True))
    assert kept(lean, bf16=False) < kept(full, bf16=False) / 2
    assert kept(full, bf16=True) == pytest.approx(kept(full, bf16=False) / 2, rel=0.2)


def test_recomputing_changes_no_gradient():
    gradients = []
    for recompute in (False, True):
        chosen = recipe(recompute=recompute)
        learner = Learner(chosen.reasoners(), chosen)
        tokens_Bt = torch.arange(81)[None] % 10
        learner.loss((tokens_Bt, tokens_Bt.clamp(max=8))).backward()
        gradients.append([weight.grad for weight in learner.model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_counted(name):
    chosen = load(name, {})
    assert 0 < needed(chosen).each < needed(chosen).peak


def test_a_billion_parameters_fit_into_22_gb_for_one_step_and_shards_are_smaller():
    one = load("sudoku-1b", {"steps": 1, "batch": 2})
    assert needed(one).peak < 22e9
    whole = load("sudoku-1b", {})
    assert needed(whole, 8, sharded=True).peak < needed(whole, 8).peak < needed(whole).peak < 80e9
    assert "needs a GPU with" in wanted(whole)


def test_a_model_that_does_not_fit_is_refused_with_what_would_help(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 10e9)
    with pytest.raises(UserError, match=r"needs 1\d\.\d GB on cpu; allowed: 10.0 GB.*smaller batch"):
        check(load("sudoku-1b", {"steps": 1, "batch": 2}), torch.device("cpu"), 1, False)
    check(recipe(), torch.device("cpu"), 1, False)  # too small for the question


def test_processes_on_one_cpu_share_its_memory(monkeypatch):
    one = load("sudoku-1b", {"steps": 1, "batch": 2})
    monkeypatch.setattr(memory, "free", lambda device: 1.5 * needed(one, 2).peak)
    check(one, torch.device("cuda"), 2, False)
    with pytest.raises(UserError, match="GB on cpu in 2 processes"):
        check(one, torch.device("cpu"), 2, False)


def test_every_byte_of_a_parameter_counts_in_the_billion():
    """By hand: what the module's first lines say is held during the backward pass, less activations, which as many problems again tell; and after it."""
    weight, moments, average, gradients, bf16, exchange = 4, 8, 4, 8, 2, 4
    for changes, world, sharded, each in (
        ({"steps": 1}, 1, False, weight + gradients + bf16),
        ({}, 1, False, weight + moments + gradients + bf16),
        ({"ema": 0.9}, 1, False, weight + moments + average + gradients + bf16),
        ({"precision": "fp32"}, 1, False, weight + moments + gradients),
        ({}, 2, False, weight + moments + gradients + bf16 + exchange),
        ({"steps": 1}, 2, True, weight / 2 + gradients + bf16 + exchange + 4),
        ({"ema": 0.9}, 4, True, (weight + moments + average) / 4 + gradients + bf16 + exchange + 4),
    ):
        chosen = load("sudoku-1b", changes)
        half = chosen.model_copy(update={"batch": chosen.batch // 2})
        with torch.device("meta"):
            params = chosen.reasoners()[0].model.size()
        assert params > 1e9
        held = 2 * needed(half, world, sharded).peak - needed(chosen, world, sharded).peak - memory.PROCESS
        assert held / params == pytest.approx(each), (changes, world, sharded)
    few = load("sudoku-1b", {"steps": 1, "batch": 1})
    assert (needed(few).peak - memory.PROCESS) / params == pytest.approx(weight + moments + gradients / 2)
