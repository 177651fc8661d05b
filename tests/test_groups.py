"""The compiled layer for heads bound to relations against the plain one: same numbers, same gradients, whatever the board, the batch and the threads."""

import copy
import io
import pickle
from dataclasses import replace

import pytest
import torch
from boards import sudoku
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_models import normal

from bdh_reason.bdh import Config, Model, groups
from bdh_reason.train.initial import initial

BOARDS = {box: sudoku(*box, "candidates") for box in ((2, 2), (2, 3), (3, 3))}
seeds = st.integers(0, 2**32 - 1)
configurations = st.builds(
    Config,
    d=st.sampled_from([16, 32, 48]),
    n=st.sampled_from([64, 128, 192]),
    heads=st.just(4),
    layers=st.integers(1, 2),
    shared=st.booleans(),
    scaled=st.booleans(),
)


def scene(config, box, batch, seed, inject=True):
    """A model drawn from the seed, its board, v and v0."""
    board = BOARDS[box]
    v_BtD, v0_BtD = normal(seed, 2, batch, board.tokens, config.d)
    return initial(Model, config, board, seed), board, v_BtD, v0_BtD if inject else None


def step(model, board, v_BtD, v0_BtD, steps=1):
    """out, and the gradients of a fixed projection of it, in the model's precision."""
    v_BtD = v_BtD.to(model.E_HND.dtype, copy=True).requires_grad_()
    v0_BtD = None if v0_BtD is None else v0_BtD.to(model.E_HND.dtype, copy=True).requires_grad_()
    out_BtD = v_BtD
    for _ in range(steps):
        out_BtD = model.step(out_BtD, v0_BtD, board, None)[0]
    wanted = [tensor for tensor in (v_BtD, v0_BtD, model.Dx_HDN, model.Dy_HDN, model.E_HND) if tensor is not None]
    return [out_BtD.detach(), *torch.autograd.grad((out_BtD * normal(0, *out_BtD.shape).to(out_BtD)).sum(), wanted)]


def distance(ours, theirs):
    """The largest relative difference of two lists of tensors, each measured as a whole (Frobenius)."""
    return max(float((one.double() - other).norm() / (1e-9 + other.norm())) for one, other in zip(ours, theirs, strict=True))


def exact(model, *given, **options):
    """`step` on the plain path in double precision."""
    return step(copy.deepcopy(model).double(), *given, **options)


@settings(max_examples=30, derandomize=True)  # where a neuron is within rounding of its threshold, every float32 gradient is another one: about 1 draw in 100
@given(configurations, st.sampled_from(sorted(BOARDS)), st.sampled_from([1, 2, 5]), st.booleans(), seeds)
def test_the_step_and_all_gradients_are_those_of_the_plain_path_in_double_precision(config, box, batch, inject, seed):
    model, board, v_BtD, v0_BtD = scene(config, box, batch, seed, inject)
    ours, theirs = step(model, board, v_BtD, v0_BtD), exact(model, board, v_BtD, v0_BtD)
    assert distance(ours[:1], theirs[:1]) < 1e-5
    assert distance(ours, theirs) < 1e-4


needs_dots = pytest.mark.skipif(not groups.DOTS, reason="this processor has no bf16 dot products")


@needs_dots
@settings(max_examples=15, derandomize=True)
@given(configurations, st.sampled_from(sorted(BOARDS)), st.sampled_from([1, 5]), st.booleans(), seeds)
def test_under_autocast_the_step_is_as_near_to_double_precision_as_the_plain_one(config, box, batch, inject, seed):
    scenery = scene(config, box, batch, seed, inject)
    expected = exact(*scenery)
    with torch.autocast("cpu", torch.bfloat16):
        ours = step(*scenery)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(groups, "fits", lambda *_: False)
            theirs = step(*scenery)
    for one, other, right in zip(ours, theirs, expected, strict=True):
        assert one.dtype == torch.float32
        assert 1e-4 < distance([one], [right]) < 2 * distance([other], [right]) + 1e-3


def test_gradients_add_up_over_several_steps_of_one_graph():
    scenery = scene(Config(d=32, n=128), (2, 3), 3, 0)
    assert distance(step(*scenery, steps=4), exact(*scenery, steps=4)) < 1e-4


def test_a_large_batch_has_several_blocks_and_the_same_bits_on_any_number_of_threads():
    scenery, threads = scene(Config(d=16, n=64), (3, 3), 13, 0), torch.get_num_threads()
    assert groups._count(13, 729) == 2
    runs = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            runs.append(step(*scenery))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for run in runs[1:] for one, other in zip(run, runs[0]))
    assert distance(runs[0], exact(*scenery)) < 1e-4


@pytest.mark.parametrize(("wrong", "fitting"), [({"d": 12}, False), ({"n": 96}, False), ({"form": "paper"}, False), ({"relations": False}, False), ({}, True)])
def test_what_does_not_fit_goes_the_plain_way(wrong, fitting, monkeypatch):
    calls, board = [], BOARDS[2, 2]
    monkeypatch.setattr(groups, "layer", lambda v_BtD, *_: calls.append(1) or v_BtD)
    model = initial(Model, Config(**{"d": 32, "n": 64, **wrong}), board, 0)
    model.step(torch.randn(2, board.tokens, model.config.d), None, board, None)
    model.double().step(torch.randn(2, board.tokens, model.config.d).double(), None, board, None)
    assert len(calls) == fitting


def test_an_empty_batch_and_strided_inputs_are_fine():
    model, board, v_BtD, v0_BtD = scene(Config(d=32, n=64), (2, 2), 2, 0)
    assert model.step(v_BtD[:0].float(), None, board, None)[0].shape == (0, board.tokens, 32)
    strided_BtD = v_BtD.float().transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided_BtD.is_contiguous()
    assert torch.equal(model.step(strided_BtD, v0_BtD.float(), board, None)[0], step(model, board, v_BtD, v0_BtD)[0])


def test_who_wants_gradients_of_gradients_is_told_and_gets_them_by_autograd():
    model, board, v_BtD, v0_BtD = scene(Config(d=16, n=64, scaled=True), (2, 2), 1, 0)

    def slope(each):
        v = v_BtD.to(each.E_HND.dtype, copy=True).requires_grad_()
        out_BtD = each.step(v, v0_BtD.to(v), board, None)[0]
        return v, torch.autograd.grad(out_BtD.pow(3).sum(), v, create_graph=True)[0]

    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope(model)[1].square().sum().backward()
    found, doubled = [], copy.deepcopy(model).double()
    model.config = replace(model.config, backward="autograd")
    for each in (model, doubled):
        v, slope_BtD = slope(each)
        found.append(torch.autograd.grad(slope_BtD.square().sum(), [v, each.Dx_HDN, each.Dy_HDN, each.E_HND]))
    assert distance(*found) < 1e-3


def test_evaluation_modes_give_the_same_and_models_are_kept_as_ever():
    model, board, v_BtD, v0_BtD = scene(Config(d=32, n=64), (2, 2), 2, 0)
    expected_BtD = step(model, board, v_BtD, v0_BtD)[0]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(model.step(v_BtD.float(), v0_BtD.float(), board, None)[0], expected_BtD)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = Model(model.config, board)
    other.load_state_dict(torch.load(buffer))
    for again in (other, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(step(again, board, v_BtD, v0_BtD)[0], expected_BtD)


def test_a_planted_error_in_one_weight_is_seen():
    scenery = scene(Config(d=32, n=64), (2, 2), 2, 0)
    expected = exact(*scenery)
    with torch.no_grad():
        scenery[0].E_HND[3, 5, 7] += 0.05
    assert all(distance([one], [other]) > 1e-4 for one, other in zip(step(*scenery), expected))
