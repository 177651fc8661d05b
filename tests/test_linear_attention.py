"""Kernel attention is the transformer with another weight, in every form, and remembers a text of any length in two sums."""

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

from baselines import gated_linear, transformer
from baselines.linear_attention import Config, Model, kernel_attention
from bdh_reason.train.initial import initial

seeds = st.integers(0, 2**32 - 1)


def phi(x):
    return np.where(x > 0, x + 1, np.exp(x))


def stepped(model, v_BtD, board, sizes):
    """One step over a text that is read in parts."""
    state, answers = model.blank(len(v_BtD)), [v_BtD[:, :0]]
    for part_BtD in v_BtD.split(sizes, 1):
        a_BtD, state = model.step(part_BtD, None, board, state)
        answers.append(a_BtD)
    return torch.cat(answers, 1)


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_a_step_is_the_equations(kind, inject, bound):
    board = BOARDS[kind]
    bound = bound and bool(board.relations)
    model = initial(Model, Config(d=24, heads=12, hidden=8, layers=2, relations=bound), board, 0).double()
    for number, norm in enumerate(weight for name, weight in model.named_parameters() if name.endswith("norm.weight")):
        norm.data += 0.1 * normal(number, 24)
    seen, sequence = oracle_models.sees(board, 12, bound, itself=True), board.reading == "sequence"
    equations = partial(oracle_models.transformer_step, seen=seen, sequence=sequence, layers=2, phi=phi)
    oracle_models.check_step(model, board, inject, equations, atol=1e-4)  # rotary phases are fp32, and a little is added below the line


@given(seeds, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 5))
def test_chunks_of_any_size_in_any_parts_are_token_by_token_with_the_same_gradients(seed, sizes, chunk):
    tokens = sum(sizes)
    board = line("sequence", tokens)
    model, v_BtD = initial(Model, Config(d=12, heads=3, hidden=5, layers=2, relations=False), board, 0).double(), normal(seed, 2, tokens, 12)
    with patch.object(gated_linear, "CHUNK", chunk):
        together = stepped(model, v_BtD, board, sizes)
    singly, weight = stepped(model, v_BtD, board, 1), normal(0, 2, tokens, 12)
    torch.testing.assert_close(together, singly, rtol=1e-9, atol=1e-9)
    ours, theirs = (torch.autograd.grad((a * weight).sum(), list(model.blocks.parameters())) for a in (together, singly))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@given(seeds, st.integers(1, 9), st.booleans())
def test_a_grid_is_a_mean_whose_weights_are_the_kernel(seed, tokens, masked):
    q_tK, k_tK = normal(seed, 2, tokens, 4).abs()
    seen_tt = torch.from_numpy(np.random.default_rng(seed).random((tokens, tokens)) < 0.5) | torch.eye(tokens, dtype=torch.bool) if masked else None
    weight_tt = (q_tK[:, None] * k_tK).sum(-1) * (1 if seen_tt is None else seen_tt)
    v_tK = normal(seed + 1, tokens, 3)
    expected_tK = (weight_tt / weight_tt.sum(-1, keepdim=True)) @ v_tK
    torch.testing.assert_close(kernel_attention(q_tK, k_tK, v_tK, seen_tt), expected_tK, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("reading", ["sequence", "grid"])
def test_a_kernel_that_vanishes_leaves_finite_numbers_and_gradients(reading):
    board = line(reading, 40)
    model = initial(Model, Config(relations=False), board, 0)
    model.blocks[0].qkv_D3D.data *= 1e4
    v_BtD = normal(0, 2, 40, 48).float().requires_grad_()
    a_BtD = model.step(v_BtD, None, board, None)[0]
    assert a_BtD.isfinite().all()
    assert torch.autograd.grad(a_BtD.square().sum(), v_BtD)[0].isfinite().all()


@pytest.mark.parametrize("board", [line("sequence", tokens) for tokens in (1, 2, 32, 33, 100)] + [line("grid", 50), sudoku(2, 3, "candidates")])
@pytest.mark.parametrize("heads", [4, 12])
@pytest.mark.parametrize("bound", [True, False])
def test_flops_are_counted_for_every_form(board, heads, bound):
    model = Model(Config(d=48, heads=heads, hidden=5, layers=2, relations=bound and board.relations > 0), board)
    with FlopCounterMode(display=False) as counter:
        model.step(torch.zeros(1, board.tokens, 48), None, board, None)
    assert model.step_flops(board) == counter.get_total_flops()


def test_it_is_as_large_as_the_transformer_and_its_state_does_not_grow():
    board = BOARDS["candidates"]
    assert Model(Config(), board).size() == transformer.Model(transformer.Config(), board).size()
    short, long = line("sequence", 10), line("sequence", 1000)
    model = Model(Config(relations=False, layers=2), short)
    assert model.state_floats(short, 3) == model.state_floats(long, 3) == 3 * sum(tensor.numel() for tensor in model.blank(1).tensors)
