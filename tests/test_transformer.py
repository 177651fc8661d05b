from functools import partial

import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS
from hypothesis import given
from hypothesis import strategies as st
from oracle_models import normal
from torch.nn.functional import scaled_dot_product_attention

from baselines.transformer import Config, Model, rotary, softmax_attention
from bdh_reason.errors import UserError
from bdh_reason.train.initial import initial

seeds = st.integers(0, 2**32 - 1)


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
    equations = partial(oracle_models.transformer_step, seen=seen, sequence=sequence, layers=2)
    oracle_models.check_step(model, board, inject, equations, atol=1e-5 if sequence else 1e-10)  # rotary phases are fp32


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_without_gradients_it_reads_the_same(kind, bound):
    board = BOARDS[kind]
    model = initial(Model, Config(d=24, heads=12, hidden=8, layers=2, relations=bound and bool(board.relations)), board, 0)
    v_3tD, v0_3tD = normal(0, 2, 3, board.tokens, 24).float()
    plain_3tD = model.step(v_3tD, v0_3tD, board, None)[0].detach()
    with torch.no_grad():
        torch.testing.assert_close(model.step(v_3tD, v0_3tD, board, None)[0], plain_3tD, rtol=1e-4, atol=1e-5)
        state = model.blank(3) if board.reading == "sequence" else None
        torch.testing.assert_close(model.step(v_3tD, v0_3tD, board, state)[0], plain_3tD, rtol=1e-4, atol=1e-5)


@given(seeds, st.integers(1, 9), st.integers(1, 4), st.sampled_from(["all", "causal", "random"]))
def test_attention_is_torchs(seed, tokens, pairs, reach):
    q_HBtK, k_HBtK, v_HBtK = normal(seed, 3, 4, 2, tokens, 2 * pairs)
    random_tt = torch.from_numpy(np.random.default_rng(seed).random((tokens, tokens)) < 0.5) | torch.eye(tokens, dtype=torch.bool)
    seen_tt = {"all": None, "causal": torch.ones(tokens, tokens, dtype=torch.bool).tril(), "random": random_tt}[reach]
    torch.testing.assert_close(softmax_attention(q_HBtK, k_HBtK, v_HBtK, seen_tt), scaled_dot_product_attention(q_HBtK, k_HBtK, v_HBtK, seen_tt))


@given(seeds, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_rotary_scores_depend_on_the_distance_alone(seed, i, j, shift):
    q_K, k_K = normal(seed, 2, 8)
    query_tK, key_tK = rotary(q_K.expand(61, 8)), rotary(k_K.expand(61, 8))
    torch.testing.assert_close(query_tK[i] @ key_tK[j], query_tK[i + shift] @ key_tK[j + shift], atol=1e-4, rtol=0)
    torch.testing.assert_close(query_tK[i].norm(), q_K.norm(), atol=1e-5, rtol=0)
    torch.testing.assert_close(query_tK[i], torch.from_numpy(oracle_models.turn_halves(q_K.numpy(), i)), atol=1e-5, rtol=0)


def test_layers_are_not_tied():
    one, two = (Model(Config(layers=layers), BOARDS["candidates"]) for layers in (1, 2))
    block = sum(weight.numel() for weight in one.blocks.parameters())
    assert two.size() - one.size() == block == 4 * 48**2 + 3 * 48 * 104 + 2 * 48


@pytest.mark.parametrize("wrong", [{"d": 0}, {"hidden": 0}, {"layers": 0}, {"heads": 0}, {"d": 50, "heads": 4}, {"d": 12, "heads": 4}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError):
        Config(**wrong)
