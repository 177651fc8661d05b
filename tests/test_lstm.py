"""The LSTM is its equations, reads grids from either end, and tracks a state, which is what it is here for."""

from functools import partial

import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS, line
from oracle_models import normal
from torch.utils.flop_counter import FlopCounterMode

from baselines.lstm import Config, Model
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial


@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", ["cells", "plain", "sequence"])
def test_a_step_is_the_equations(kind, inject):
    board = BOARDS[kind]
    model = initial(Model, Config(d=6, hidden=5, layers=2), board, 0).double()
    model.norm.weight.data += 0.1 * normal(0, 6)
    oracle_models.check_step(model, board, inject, partial(oracle_models.lstm_step, sequence=kind == "sequence", layers=2), atol=1e-10)


def test_one_set_of_weights_reads_grids_and_texts():
    grid, text = line("grid", 9), line("sequence", 9)
    model, v_BtD = initial(Model, Config(), grid, 0), normal(0, 2, 9, 48).float()
    model.check(text)
    turned_BtD = model.step(v_BtD.flip(1), None, grid, None)[0].flip(1)
    torch.testing.assert_close(turned_BtD, model.step(v_BtD, None, grid, None)[0])
    assert not torch.allclose(model.step(v_BtD, None, text, None)[0], turned_BtD)


def test_gates_begin_open_for_remembering_in_every_layer():
    model = initial(Model, Config(d=4, hidden=3, layers=2), BOARDS["cells"], 0)
    for layer in range(2):
        bias = getattr(model.lstm, f"bias_ih_l{layer}")
        assert (bias == 1).tolist() == [3 <= number < 6 for number in range(12)]
        assert bias.requires_grad


def test_a_state_read_in_half_precision_is_kept_in_full():
    board = line("sequence", 9)
    model = initial(Model, Config(), board, 0)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = model.step(normal(0, 2, 9, 48).float(), None, board, model.blank(2))
    assert [tensor.dtype for tensor in state.tensors] == [torch.float32] * 2
    model.step(normal(0, 2, 9, 48).float(), None, board, state)


def test_the_counts_are_those_of_the_docstring():
    config, board = Config(d=7, hidden=5, layers=3), line("sequence", 40)
    model = Model(config, board)
    assert model.size() - 3 * 256 * 7 == 4 * 5 * (7 + 5 + 2) + 2 * 8 * 5 * (5 + 1) + (5 + 1) * 7
    assert model.state_floats(board, 2) == 2 * sum(tensor.numel() for tensor in model.blank(1).tensors) == 2 * 2 * 3 * 5
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.double().step(torch.zeros(1, 40, 7, dtype=torch.float64), None, board, None)
    assert model.step_flops(board) == counter.get_total_flops()


def parity(rng, batch, tokens):
    """Random bits as letters, and the parity of all up to each."""
    bits_BT = rng.integers(0, 2, (batch, tokens))
    return torch.from_numpy(bits_BT + ord("a")), torch.from_numpy(bits_BT.cumsum(1) % 2)


def test_it_learns_parity_and_keeps_it_on_texts_four_times_as_long():
    rng, board = np.random.default_rng(0), line("sequence", 16)
    thinker = Reasoner(initial(Model, Config(d=16, hidden=16), board, 0, False), board, Loop(feedback=False, inject=False))
    optimiser = torch.optim.Adam(thinker.model.parameters(), lr=0.01)
    for _ in range(250):
        tokens_BT, parity_BT = parity(rng, 32, 16)
        (logits_BTS,) = thinker.think(tokens_BT, 1)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits_BTS.mT, parity_BT).backward()
        optimiser.step()
    tokens_BT, parity_BT = parity(rng, 64, 64)
    (logits_BTS,) = thinker.think(tokens_BT, 1)
    assert (logits_BTS[..., :2].argmax(-1) == parity_BT).float().mean() > 0.99


@pytest.mark.parametrize("wrong", [{"d": 0}, {"hidden": 0}, {"layers": 0}, {"relations": True}])
def test_options_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError):
        Config(**wrong)
