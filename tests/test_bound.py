"""The transformer's step with heads bound to relations, the fast way against the plain one: same numbers, same gradients, whatever the board and the batch."""

import copy

import numpy as np
import pytest
import torch
from boards import sudoku
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_models import normal

from baselines import linear_attention
from baselines.transformer import Config, Model, bound, softmax
from bdh_reason.train.initial import initial

BOARDS = {(box, view): sudoku(*box, view) for box in ((2, 2), (2, 3), (3, 3)) for view in ("candidates", "cells")}
seeds = st.integers(0, 2**32 - 1)
SMALL = BOARDS[(2, 3), "candidates"]
CANDIDATES = Config(d=48, heads=4, hidden=20)


@st.composite
def configurations(draw, relations=4):
    heads, width = relations * draw(st.integers(1, 2)), draw(st.sampled_from([4, 12, 16, 20, 24, 36]))
    return Config(d=heads * width, heads=heads, hidden=draw(st.integers(1, 40)), layers=draw(st.integers(1, 2)))


def scene(config, board, batch, seed, inject=True):
    """A model drawn from the seed, with norms that do something, its board, v and v0."""
    model = initial(Model, config, board, seed)
    for number, (name, weight) in enumerate(model.named_parameters()):
        weight.data += 0.1 * normal(number, config.d) if name.endswith("norm.weight") else 0
    v_BtD, v0_BtD = normal(seed, 2, batch, board.tokens, config.d)
    return model, board, v_BtD, v0_BtD if inject else None


def step(model, board, v_BtD, v0_BtD, steps=1):
    """out, and the gradients of a fixed projection of it, in the model's precision."""
    v_BtD, v0_BtD = (None if of is None else of.to(model.token_VD.dtype, copy=True).requires_grad_() for of in (v_BtD, v0_BtD))
    out_BtD = v_BtD
    for _ in range(steps):
        out_BtD = model.step(out_BtD, v0_BtD, board, None)[0]
    wanted = [tensor for tensor in (v_BtD, v0_BtD, *model.blocks.parameters(), *model.norm.parameters()) if tensor is not None]
    return [out_BtD.detach(), *torch.autograd.grad((out_BtD * normal(0, *out_BtD.shape).to(out_BtD)).sum(), wanted)]


def plain(*scenery, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bound, "fits", lambda *_: False)
        return step(*scenery, **options)


def exact(model, *scenery, **options):
    """The plain way in double precision."""
    return step(copy.deepcopy(model).double(), *scenery, **options)


def distance(ours, theirs):
    """The largest relative difference of two lists of tensors, each measured as a whole (Frobenius)."""
    return max(float((one.double() - other).norm() / (1e-9 + other.norm())) for one, other in zip(ours, theirs, strict=True))


@settings(max_examples=30)
@given(st.data(), st.sampled_from(sorted(BOARDS)), st.sampled_from([1, 2, 5]), st.booleans(), seeds)
def test_the_step_and_all_gradients_are_those_of_the_plain_path_in_double_precision(data, which, batch, inject, seed):
    board = BOARDS[which]
    scenery = scene(data.draw(configurations(board.relations)), board, batch, seed, inject)
    ours, theirs = step(*scenery), exact(*scenery)
    assert distance(ours[:1], theirs[:1]) < 1e-5
    assert distance(ours, theirs) < 1e-4


@settings(max_examples=15)
@given(configurations(), st.sampled_from([1, 5]), st.booleans(), seeds)
def test_under_autocast_the_step_is_as_near_to_double_precision_as_the_plain_one(config, batch, inject, seed):
    scenery = scene(config, SMALL, batch, seed, inject)
    expected = exact(*scenery)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = step(*scenery), plain(*scenery)
    for one, other, right in zip(ours, theirs, expected, strict=True):
        assert one.dtype == torch.float32
        assert 1e-5 < distance([one], [right]) < 1.5 * distance([other], [right]) + 3e-3


def test_a_batch_in_parts_over_several_steps_is_the_batch(monkeypatch):
    scenery = scene(CANDIDATES, SMALL, 7, 0)
    monkeypatch.setattr(bound, "TOKENS", 3 * SMALL.tokens)
    seen, whole = [], bound._step
    monkeypatch.setattr(bound, "_step", lambda v_StD, *rest: seen.append(len(v_StD)) or whole(v_StD, *rest))
    assert distance(step(*scenery, steps=3), exact(*scenery, steps=3)) < 1e-4
    assert seen == [3, 3, 1] * 3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's compiler looks at it
def test_compiled_it_is_the_same(monkeypatch, capsys):
    scenery = scene(CANDIDATES, SMALL, 2, 0)
    with torch.autocast("cpu", torch.bfloat16):
        expected = step(*scenery)
        monkeypatch.setattr(bound, "COMPILED_FROM", 0)
        assert distance(step(*scenery), expected) < 1e-2
    assert capsys.readouterr().err == ""


def test_without_a_compiler_it_says_so_once_and_goes_on(monkeypatch, capsys):
    def broken(*_):
        raise torch._dynamo.exc.TorchDynamoException("no C++ compiler\nand a long tale")

    scenery = scene(CANDIDATES, SMALL, 2, 0)
    expected = step(*scenery)
    bound.compiled_by_inductor.cache_clear()
    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    monkeypatch.setattr(bound, "COMPILED_FROM", 0)
    assert all(torch.equal(one, other) for _ in range(2) for one, other in zip(step(*scenery), expected))
    bound.compiled_by_inductor.cache_clear()
    assert capsys.readouterr().err.splitlines() == ["the transformer's step runs without Inductor: no C++ compiler"]


@pytest.mark.parametrize(
    ("cls", "config", "fitting"),
    [
        (Model, CANDIDATES, True),
        (Model, Config(d=24, heads=4, hidden=20), False),
        (Model, Config(d=48, heads=4, hidden=20, relations=False), False),
        (linear_attention.Model, linear_attention.Config(d=48, heads=4, hidden=20), False),
    ],
    ids=["fits", "narrow", "unbound", "another attention"],
)
def test_what_does_not_fit_goes_the_plain_way(cls, config, fitting, monkeypatch):
    calls, model = [], initial(cls, config, SMALL, 0)
    monkeypatch.setattr(bound, "step", lambda v_BtD, *_: calls.append(1) or v_BtD)
    v_BtD = normal(0, 2, SMALL.tokens, config.d)
    model.step(v_BtD.float(), None, SMALL, None)
    with torch.autocast("cpu", torch.float16):
        model.step(v_BtD.float(), None, SMALL, None)
    model.step(v_BtD[:0].float(), None, SMALL, None)
    model.double().step(v_BtD, None, SMALL, None)
    assert len(calls) == fitting


def test_without_gradients_and_from_strided_inputs_it_is_the_same():
    model, board, v_BtD, v0_BtD = scene(CANDIDATES, SMALL, 3, 0)
    expected_BtD = step(model, board, v_BtD, v0_BtD)[0]
    strided_BtD = v_BtD.float().transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided_BtD.is_contiguous()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(model.step(strided_BtD, v0_BtD.float(), board, None)[0], expected_BtD)


def test_large_scores_and_what_is_not_a_number_are_as_in_the_plain_path():
    model, board, v_BtD, _ = scene(CANDIDATES, SMALL, 2, 0)
    model.blocks[0].qkv_D3D.data *= 100
    assert distance(step(model, board, v_BtD, None)[:1], exact(model, board, v_BtD, None)[:1]) < 1e-3
    v_BtD[1, 7] = float("nan")
    ours, theirs = (way(model, board, v_BtD, None)[0].isnan() for way in (step, plain))
    assert torch.equal(ours, theirs)
    assert not theirs[0].any()


def test_who_wants_gradients_of_gradients_is_told():
    model, board, v_BtD, _ = scene(CANDIDATES, SMALL, 1, 0)
    v_BtD = v_BtD.float().requires_grad_()
    (slope_BtD,) = torch.autograd.grad(model.step(v_BtD, None, board, None)[0].pow(3).sum(), v_BtD, create_graph=True)
    with pytest.raises(RuntimeError, match="softmax_in_groups_backward"):
        slope_BtD.square().sum().backward()


def test_a_planted_error_in_the_groups_is_seen(monkeypatch):
    scenery = scene(CANDIDATES, SMALL, 2, 0)
    expected, rows = exact(*scenery), softmax.rows
    bound._rows.cache_clear()
    monkeypatch.setattr(softmax, "rows", lambda order_Ht, *rest: rows(np.roll(order_Ht, 1, 1), *rest))
    assert distance(step(*scenery), expected) > 1e-2
    bound._rows.cache_clear()
