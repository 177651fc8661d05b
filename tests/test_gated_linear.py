"""The gated memory is the sum that defines it in every form, forwards and backwards, and a wrong sum would be seen."""

from functools import partial
from unittest.mock import patch

import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS, line, sudoku
from hypothesis import given
from hypothesis import strategies as st
from oracle_models import normal
from torch.utils.flop_counter import FlopCounterMode

from baselines import gated_linear
from baselines.gated_linear import Config, Model, chunked, recurrent, unordered
from bdh_reason.errors import UserError
from bdh_reason.train.initial import initial

HEADS, BATCH, KEYS, WIDTH = 2, 2, 3, 2
seeds = st.integers(0, 2**32 - 1)
parts = st.lists(st.integers(0, 7), max_size=4)


def drawn(seed, tokens, shared):
    """q, k [1 or H, B, t, K], v [H, B, t, P], fade [H, B, t] <= 0 and the S before, in float64, which want gradients."""
    heads = 1 if shared else HEADS
    q, k = normal(seed, 2, heads, BATCH, tokens, KEYS)
    v, fade, S = normal(seed + 1, HEADS, BATCH, tokens, WIDTH), -normal(seed + 2, HEADS, BATCH, tokens).square(), normal(seed + 3, HEADS, BATCH, KEYS, WIDTH)
    return [part.clone().requires_grad_() for part in (q, k, v, fade, S)]


def by_definition(q, k, v, fade, S):
    """a_i = exp(fade_1 + … + fade_i) q_i S + sum over j <= i of exp(fade_j+1 + … + fade_i) (q_i · k_j) v_j."""
    a = [torch.zeros(HEADS, BATCH, 0, WIDTH, dtype=torch.float64)]
    for i in range(v.shape[2]):
        read = [(q[:, :, i, :, None] * S).sum(2) * fade[:, :, : i + 1].sum(2).exp()[..., None]]
        read += [(q[:, :, i] * k[:, :, j]).sum(-1, keepdim=True) * fade[:, :, j + 1 : i + 1].sum(2).exp()[..., None] * v[:, :, j] for j in range(i + 1)]
        a.append(sum(read)[:, :, None])
    return torch.cat(a, 2)


def in_parts(form, sizes, q, k, v, fade, S):
    """The text in parts of the given sizes, the state handed on."""
    answers = [torch.zeros(HEADS, BATCH, 0, WIDTH, dtype=torch.float64)]
    for q_, k_, v_, fade_ in zip(*(part.split(sizes, 2) for part in (q, k, v, fade)), strict=True) if sizes else ():
        a, S = form(q_, k_, v_, fade_, S)
        answers.append(a)
    return torch.cat(answers, 2), S


def gradients(a, S, inputs):
    loss = (a * normal(0, *a.shape)).sum() + (S * normal(1, *S.shape)).sum()
    return torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)


@given(seeds, st.integers(0, 12), st.booleans())
def test_token_by_token_is_the_sum(seed, tokens, shared):
    inputs = drawn(seed, tokens, shared)
    a, _ = in_parts(recurrent, [1] * tokens, *inputs)
    torch.testing.assert_close(a, by_definition(*inputs), rtol=1e-10, atol=1e-10)


@given(seeds, parts, st.integers(1, 5), st.booleans())
def test_chunks_of_any_size_in_any_parts_are_token_by_token_with_the_same_gradients(seed, sizes, chunk, shared):
    inputs = drawn(seed, sum(sizes), shared)
    with patch.object(gated_linear, "CHUNK", chunk):
        together = in_parts(chunked, sizes, *inputs)
    singly = in_parts(recurrent, [1] * sum(sizes), *inputs)
    torch.testing.assert_close(together, singly, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients(*together, inputs), gradients(*singly, inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("wrong", ["fade of the token before", "strict", "state lost", "first token lost", "heads exchanged"])
def test_a_wrong_sum_would_be_seen(wrong):
    q, k, v, fade, S = inputs = drawn(0, 9, False)
    corrupt = {
        "fade of the token before": lambda: by_definition(q, k, v, fade.roll(1, 2), S),
        "strict": lambda: by_definition(q, k, v, fade, S) - (q * k).sum(-1, keepdim=True) * v,
        "state lost": lambda: by_definition(q, k, v, fade, torch.zeros_like(S)),
        "first token lost": lambda: by_definition(q, k, torch.cat([0 * v[:, :, :1], v[:, :, 1:]], 2), fade, S),
        "heads exchanged": lambda: by_definition(q, k, v, fade.flip(0), S),
    }
    with patch.object(gated_linear, "CHUNK", 4):
        a, _ = chunked(*inputs)
    torch.testing.assert_close(a, by_definition(*inputs), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(a, corrupt[wrong](), atol=1e-3)


@pytest.mark.parametrize("fade", [0.0, -1e-6, -3.0, -1e4, -1e30])
def test_in_single_precision_the_strongest_and_the_weakest_fading_stay_exact(fade):
    q, k, v, _, S = (part.detach().float() for part in drawn(0, 80, True))
    fading = torch.full((HEADS, BATCH, 80), fade).requires_grad_()
    a, last = chunked(q, k, v, fading, S)
    expected, expected_last = in_parts(recurrent, [1] * 80, *(part.double() for part in (q, k, v, fading, S)))
    torch.testing.assert_close(a.double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(last.double(), expected_last, rtol=1e-3, atol=1e-3)
    assert torch.autograd.grad(a.sum() + last.sum(), fading)[0].isfinite().all()


@given(seeds, st.integers(1, 9), st.booleans())
def test_without_order_the_state_and_the_pairs_are_the_sum(seed, tokens, masked):
    q, k, v, _, _ = drawn(seed, tokens, True)
    seen = torch.from_numpy(np.random.default_rng(seed).random((tokens, tokens)) < 0.5) if masked else None
    weight = (q[..., :, None, :] * k[..., None, :, :]).sum(-1) * (1 if seen is None else seen)
    torch.testing.assert_close(unordered(q, k, v, seen), (weight[..., None] * v[..., None, :, :]).sum(-2))


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_a_step_is_the_equations(kind, inject, bound):
    board = BOARDS[kind]
    bound = bound and bool(board.relations)
    config = Config(d=6, heads=12, hidden=24, keys=5, layers=2, relations=bound)
    model = initial(Model, config, board, 0).double()
    for number, (_, weight) in enumerate(model.named_parameters()):
        weight.data += 0.1 * normal(number, *weight.shape)
    seen, sequence = oracle_models.sees(board, 12, bound, itself=True), board.reading == "sequence"
    oracle_models.check_step(model, board, inject, partial(oracle_models.gated_linear_step, seen=seen, sequence=sequence, config=config), atol=1e-9)


@pytest.mark.parametrize("board", [line("sequence", tokens) for tokens in (1, 2, 32, 33, 100)] + [line("grid", 50), sudoku(2, 3, "candidates")])
@pytest.mark.parametrize("bound", [True, False])
def test_flops_are_counted_for_every_form(board, bound):
    model = Model(Config(d=6, heads=12, hidden=24, keys=5, layers=2, relations=bound and board.relations > 0), board)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.step(torch.zeros(1, board.tokens, 6), None, board, None)
    assert model.step_flops(board) == counter.get_total_flops()


def test_fresh_heads_remember_one_token_to_a_thousand():
    write_H = torch.nn.functional.softplus(initial(Model, Config(), BOARDS["candidates"], 0).blocks[0].write_H)
    torch.testing.assert_close(write_H, torch.tensor([1e-3, 1e-2, 1e-1, 1.0]))


def test_the_size_is_that_of_the_docstring():
    model = Model(Config(d=10, heads=3, hidden=12, keys=7, layers=2), BOARDS["cells"])
    assert model.size() - 3 * 256 * 10 == 2 * (10 * (3 * 12 + 2 * 7 + 3 + 1) + 3) + 10


@pytest.mark.parametrize("wrong", [{"d": 0}, {"hidden": 0}, {"layers": 0}, {"heads": 0}, {"keys": 0}, {"hidden": 50, "heads": 4}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError):
        Config(**wrong)
