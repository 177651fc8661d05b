"""Every model remembers a text exactly: in parts, token by token, through a file, with gradients or without; and refuses what is not its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from boards import BOARDS, line
from hypothesis import given, settings
from hypothesis import strategies as st

from bdh_reason import bdh, discover
from bdh_reason.errors import UserError
from bdh_reason.reason import memory
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial

DEPTH = 2
MODELS = [
    (name, replace(config, relations=False, coordinates=False))
    for name in discover.model_names()
    for config in getattr(discover.model_module(name), "EXAMPLES", (discover.model_module(name).Config(),))
    if not config.coordinates
]
every_model = pytest.mark.parametrize(("name", "config"), MODELS, ids=[f"{name}{number}" for number, (name, _) in enumerate(MODELS)])
loops = st.builds(Loop, feedback=st.booleans(), inject=st.booleans())
seeds = st.integers(0, 2**32 - 1)
PLAIN = Loop()


def reasoner(name, config, loop=PLAIN):
    board = line("sequence", 9)
    return Reasoner(initial(discover.model_module(name).Model, config, board, 0).double(), board, loop)


def text(seed, length, batch=2):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (batch, length)))


def in_parts(thinker, tokens_Bt, sizes):
    """The logits of all parts side by side, and the states at the end."""
    states, replies = thinker.begin(len(tokens_Bt), DEPTH), []
    for part_Bt in tokens_Bt.split(sizes, 1):
        reply_BtS, states = thinker.read(part_Bt, states)
        replies.append(reply_BtS)
    return torch.cat(replies, 1), states


def parameters(thinker, loss):
    """Gradients of all parameters, one after another."""
    weights = list(thinker.model.parameters())
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)])


@every_model
@settings(max_examples=8)
@given(seed=seeds, sizes=st.lists(st.integers(0, 20), min_size=1, max_size=4), loop=loops)
def test_a_text_read_in_parts_is_the_text_read_at_once(name, config, seed, sizes, loop):
    thinker, tokens_Bt = reasoner(name, config, loop), text(seed, sum(sizes))
    whole = list(thinker.think(tokens_Bt, DEPTH))[-1]
    parts, _ = in_parts(thinker, tokens_Bt, sizes)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-9)
    weight = torch.from_numpy(np.random.default_rng(seed).standard_normal(whole.shape))
    torch.testing.assert_close(parameters(thinker, (parts * weight).sum()), parameters(thinker, (whole * weight).sum()), rtol=1e-7, atol=1e-7)


@every_model
@pytest.mark.parametrize("prompt", [1, 6])
def test_a_stream_goes_on_from_what_was_read_in_parallel(name, config, prompt):
    thinker, tokens_Bt = reasoner(name, config), text(0, 60)
    whole = list(thinker.think(tokens_Bt, DEPTH))[-1]
    stream, states = in_parts(thinker, tokens_Bt, [prompt] + [1] * (60 - prompt))
    torch.testing.assert_close(stream, whole, rtol=0, atol=1e-9)
    assert [state.position for state in states] == [60, 60]
    assert [len(tensor) for state in states for tensor in state.tensors] == [2] * sum(len(state.tensors) for state in states)


@every_model
def test_the_numbers_a_model_says_it_keeps_are_those_in_its_states(name, config):
    thinker = reasoner(name, config)
    _, states = thinker.read(text(0, thinker.board.tokens, batch=1), thinker.begin(1, DEPTH))
    kept = sum(tensor.numel() for state in states for tensor in state.tensors if tensor.is_floating_point())
    assert kept == thinker.model.state_floats(thinker.board, DEPTH)


@every_model
def test_a_text_of_nothing_changes_nothing(name, config):
    thinker = reasoner(name, config)
    _, states = thinker.read(text(0, 5), thinker.begin(2, DEPTH))
    reply_BtS, same = thinker.read(text(0, 0), states)
    assert reply_BtS.shape == (2, 0, 3)
    assert all(torch.equal(one, other) for before, after in zip(states, same) for one, other in zip(before.tensors, after.tensors))


@every_model
def test_what_was_read_matters_and_stays_as_it_was(name, config):
    thinker = reasoner(name, config)
    _, states = thinker.read(text(0, 5), thinker.begin(2, DEPTH))
    first, _ = thinker.read(text(1, 5), states)
    second, _ = thinker.read(text(1, 5), states)
    fresh, _ = thinker.read(text(1, 5), thinker.begin(2, DEPTH))
    assert torch.equal(first, second)
    assert not torch.allclose(first, fresh)


@every_model
def test_a_text_that_ended_starts_anew_and_the_others_go_on(name, config):
    thinker = reasoner(name, config)
    _, states = thinker.read(text(0, 7), thinker.begin(2, DEPTH))
    kept, _ = thinker.read(text(1, 7), states)
    fresh, _ = thinker.read(text(1, 7), thinker.begin(2, DEPTH))
    mixed, _ = thinker.read(text(1, 7), tuple(state.forget(torch.tensor([True, False])) for state in states))
    torch.testing.assert_close(mixed[0], fresh[0], rtol=0, atol=1e-4)  # rotary phases are fp32, and the places are others
    assert torch.equal(mixed[1], kept[1])
    assert not torch.allclose(kept[0], fresh[0], atol=1e-3)


@every_model
def test_gradients_reach_the_windows_before_and_stop_where_a_state_is_detached(name, config):
    thinker = reasoner(name, config)
    for detached in (True, False):
        _, states = thinker.read(text(0, 6), thinker.begin(2, DEPTH))
        written = [tensor for state in states for tensor in state.tensors if tensor.is_floating_point()]
        states = tuple(state.detach() for state in states) if detached else states
        reply_BtS, _ = thinker.read(text(1, 6), states)
        gradients = torch.autograd.grad(reply_BtS.square().sum(), written, allow_unused=True)
        assert [gradient is None for gradient in gradients] == [detached] * len(written)
        assert detached or all(gradient.any() for gradient in gradients)


def test_without_gradients_through_time_every_token_is_a_window_whose_state_was_detached():
    _, config = MODELS[0]
    thinker = reasoner("bdh", replace(config, through_time=False))
    tokens_Bt, full = text(0, 60), reasoner("bdh", config)
    whole = list(thinker.think(tokens_Bt, DEPTH))[-1]
    assert torch.equal(whole, list(full.think(tokens_Bt, DEPTH))[-1])
    states, replies = full.begin(2, DEPTH), []
    for token_B1 in tokens_Bt.split(1, 1):
        reply_B1S, states = full.read(token_B1, states)
        states = tuple(state.detach() for state in states)
        replies.append(reply_B1S)
    expected = parameters(full, torch.cat(replies, 1).square().sum())
    torch.testing.assert_close(parameters(thinker, whole.square().sum()), expected, rtol=1e-7, atol=1e-7)
    assert not torch.allclose(parameters(full, list(full.think(tokens_Bt, DEPTH))[-1].square().sum()), expected)


@every_model
def test_a_state_survives_a_file(name, config, tmp_path):
    thinker = reasoner(name, config)
    _, states = thinker.read(text(0, 5), thinker.begin(2, DEPTH))
    memory.save(tmp_path / "state", states)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    expected, _ = thinker.read(text(1, 5), states)
    assert torch.equal(thinker.read(text(1, 5), memory.load(tmp_path / "state", thinker.model))[0], expected)


def test_a_file_that_is_damaged_missing_or_cannot_be_written_is_refused(tmp_path):
    thinker, path = reasoner(*MODELS[0]), tmp_path / "state"
    with pytest.raises(UserError, match="no state"):
        memory.load(path, thinker.model)
    memory.save(path, thinker.begin(2, DEPTH))
    content = path.read_bytes()
    for damaged in (content[:-1], content[:40], b"", content.replace(b"position", b"pusition"), content.replace(b"schema", b"skhema")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"damaged|schema"):
            memory.load(path, thinker.model)
    with pytest.raises(UserError, match=r"cannot write to .*no folder"):
        memory.save(tmp_path / "no folder" / "state", thinker.begin(2, DEPTH))


CHANGES = [{"d": 24}, {"n": 96}, {"heads": 6}, {"positions": "none"}, {"form": "paper"}, {"layers": 2}, {"scaled": True}, {"strict": False}]


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_a_model_that_differs_is_refused_and_the_difference_named(change, tmp_path):
    name, config = MODELS[0]
    thinker, other = reasoner(name, config), reasoner(name, replace(config, **change))
    memory.save(tmp_path / "state", other.begin(2, DEPTH))
    ((key, value),) = change.items()
    for use in (lambda: thinker.read(text(0, 3), other.begin(2, DEPTH)), lambda: memory.load(tmp_path / "state", thinker.model)):
        with pytest.raises(UserError, match=f"{key} = {value}; allowed: {key} = {getattr(config, key)}"):
            use()


def test_a_state_of_another_dtype_another_model_or_another_batch_is_refused():
    thinker, double = reasoner(*MODELS[0]), reasoner(*MODELS[0]).begin(2, DEPTH)
    with pytest.raises(UserError, match="3 texts"):
        thinker.read(text(0, 3), thinker.begin(3, DEPTH))
    with pytest.raises(UserError, match="model = transformer"):
        thinker.read(text(0, 3), reasoner(*MODELS[-1]).begin(2, DEPTH))
    thinker.model.float()
    with pytest.raises(UserError, match="dtype = float64; allowed: dtype = float32"):
        thinker.read(text(0, 3), double)


def test_how_a_model_computes_is_no_part_of_what_it_remembers():
    name, config = MODELS[0]
    one, other = (reasoner(name, replace(config, execution=execution)) for execution in ("quadratic", "chunked"))
    _, states = one.read(text(0, 30), one.begin(2, DEPTH))
    torch.testing.assert_close(other.read(text(1, 30), states)[0], one.read(text(1, 30), states)[0], rtol=0, atol=1e-9)


@every_model
def test_what_has_no_order_or_learned_places_is_not_read_in_parts(name, config):
    thinker = reasoner(name, config)
    placed = Reasoner(discover.model_module(name).Model(replace(config, coordinates=True), thinker.board).double(), thinker.board, Loop())
    for unfit in (replace(thinker, board=BOARDS["plain"]), placed):
        with pytest.raises(UserError, match="read in parts"):
            unfit.read(text(0, 3), unfit.begin(2, DEPTH))
    with pytest.raises(UserError, match="no states"):
        thinker.read(text(0, 3), ())


@every_model
def test_bytes_outside_the_vocabulary_are_refused(name, config):
    thinker = reasoner(name, config)
    for token in (-1, 256):
        with pytest.raises(UserError, match=f"token {token}; allowed: 0 to 255"):
            list(thinker.think(torch.tensor([[5, token]]), 1))


@every_model
def test_a_model_without_feedback_has_no_table_for_it_and_refuses_a_loop_with_feedback(name, config):
    model, board = discover.model_module(name).Model, line("sequence", 9)
    bare, full = (model(config, board, feedback) for feedback in (False, True))
    assert full.size() - bare.size() == full.feedback_VD.numel()
    assert len(list(Reasoner(bare, board, Loop(feedback=False)).think(text(0, 9), 2))) == 2
    with pytest.raises(UserError, match="feedback=false"):
        list(Reasoner(bare, board, Loop()).think(text(0, 9), 2))


def test_the_state_of_bdh_is_the_sum_of_what_its_layers_wrote():
    """One layer, no positions: rho = sum over tokens of x v^T, for each head."""
    thinker = reasoner("bdh", bdh.Config(d=6, n=24, heads=4, relations=False, positions="none"), Loop(feedback=False, inject=False))
    model, tokens_Bt = thinker.model, text(0, 30)
    _, (state,) = thinker.read(tokens_Bt, thinker.begin(2, 1))
    (rho_BHND,) = state.tensors
    v_BtD = torch.nn.functional.layer_norm(model.embed(tokens_Bt, thinker.board), (6,))
    x_BHtN = (v_BtD[:, None] @ model.Dx_HDN).relu()
    torch.testing.assert_close(rho_BHND, torch.einsum("bhtn,btd->bhnd", x_BHtN, v_BtD))
    assert rho_BHND.numel() == 2 * model.state_floats(thinker.board, 1)


@pytest.mark.parametrize("carried", [True, False])
def test_a_carried_state_teaches_what_one_window_cannot_know(carried):
    """The second window asks for the letter that the first one named; backpropagation is truncated between them."""
    config = bdh.Config(d=16, n=128, heads=2, relations=False, positions="none", layers=2)
    thinker = reasoner("bdh", config, Loop(feedback=False, inject=False))
    optimiser = torch.optim.Adam(thinker.model.parameters(), lr=0.01)
    for step in range(60):
        letter_B = torch.from_numpy(np.random.default_rng(step).integers(0, 3, 32))
        states = thinker.begin(32, 1)
        _, states = thinker.read(torch.stack([torch.full((32,), ord(":")), letter_B + ord("a")], 1), states)
        states = tuple(state.detach() if carried else state.forget(torch.ones(32, dtype=torch.bool)) for state in states)
        reply_B2S, _ = thinker.read(torch.tensor([[ord(":"), ord("?")]]).expand(32, 2), states)
        loss = torch.nn.functional.cross_entropy(reply_B2S[:, -1], letter_B)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (loss < 0.1) == carried, loss
