"""Joined models are the mean of what they were, grown ones are what they were, and every neuron keeps its phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from boards import BOARDS, line
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import bdh_of_texts
from torch.nn.functional import layer_norm

from bdh_reason.bdh import Config, Model, attention
from bdh_reason.bdh.surgery import concatenate, grow
from bdh_reason.errors import UserError
from bdh_reason.reason import memory
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial

LINE = line("sequence", 9)  # texts may be of any other length
TEXT = Config(d=4, n=16, heads=2, relations=False)
seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from([(), (2, 6)])
configurations = bdh_of_texts(16, (2, 6), layers=st.integers(1, 2), execution=st.sampled_from(["quadratic", "chunked"]))
PLAIN = Loop()
loops = st.builds(Loop, feedback=st.booleans(), inject=st.booleans())
every_grid = pytest.mark.parametrize("kind", [kind for kind in BOARDS if kind != "sequence"])


def fresh(config, seed, board=LINE, dtype=torch.float64):
    return initial(Model, config, board, seed).to(dtype)


def prompts(board, seed, length):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, board.vocabulary[0], (2, length)))


def logits(model, tokens_Bt, board=LINE, loop=PLAIN):
    """Of two steps, or of one in the norm-free form, whose numbers grow with the fourth power in every layer."""
    return list(Reasoner(model, board, loop).think(tokens_Bt, 1 if model.config.form == "normfree" else 2))[-1]


def same(one, other, close=1e-9):
    """Equal but for rounding, in units of the largest number."""
    scale = 1 + other.abs().max() if other.numel() else 1
    torch.testing.assert_close(one / scale, other / scale, rtol=0, atol=close)


@given(configurations, seeds, st.integers(0, 21), loops)
def test_a_model_joined_with_itself_gives_its_own_logits(config, seed, tokens, loop):
    model, tokens_Bt = fresh(config, seed), prompts(LINE, seed, tokens)
    twice = concatenate(model, model)
    same(logits(twice, tokens_Bt, loop=loop), logits(model, tokens_Bt, loop=loop))
    same(logits(concatenate(twice, model), tokens_Bt, loop=loop), logits(model, tokens_Bt, loop=loop))


@every_grid
@settings(max_examples=10)
@given(seed=seeds, bound=st.booleans(), coordinates=st.booleans(), form=st.sampled_from(["released", "paper"]), shared=st.booleans(), loop=loops)
def test_so_it_does_on_every_grid_and_when_it_grows(kind, seed, bound, coordinates, form, shared, loop):
    board = BOARDS[kind]
    config = Config(d=6, n=24, heads=12, relations=bound and bool(board.relations), coordinates=coordinates, form=form, layers=2, shared=shared)
    model, tokens_Bt = fresh(config, seed, board), prompts(board, seed, board.tokens)
    for other in (concatenate(model, model), grow(model, 72, seed)):
        same(logits(other, tokens_Bt, board, loop), logits(model, tokens_Bt, board, loop))


def keys(model, v_BtD, position):
    """q = k of the first layer in each head, by the model's own pieces one after another: [H, B, t, N]."""
    config = model.config
    x_HBtN = (v_BtD @ model.Dx_HDN[: config.heads, None]).relu()
    turn = attention.rotary if "rotary" in config.positions else lambda part, place: part
    q_HBtN = torch.cat([turn(part, position) for part in x_HBtN.split(config.pieces or config.n // config.heads, -1)], -1)
    return q_HBtN * (config.n // config.heads) ** -0.25 if config.scaled else q_HBtN


def mean_step(models, v_BtD):
    """One layer on a text, in which every model reads and answers for itself and the read-outs and updates are averaged before the next LN."""
    config = models[0].config
    norm = (lambda v: v) if config.form == "normfree" else (lambda v: layer_norm(v, v.shape[-1:]))
    slope_H = attention.slopes(config.heads) if "alibi" in config.positions else None
    mask_tt = attention.earlier(v_BtD.shape[1], config.strict, slope_H, v_BtD.device)
    a_HBtD = sum(attention.quadratic(keys(model, v_BtD, 0), keys(model, v_BtD, 0), v_BtD, mask_tt) for model in models) / len(models)
    update_BtD = torch.zeros_like(v_BtD)
    for model in models:
        y_HBtN = (norm(a_HBtD) @ model.Dy_HDN[: config.heads, None]).relu() * (v_BtD @ model.Dx_HDN[: config.heads, None]).relu()
        update_BtD = update_BtD + (y_HBtN @ model.E_HND[: config.heads, None]).sum(0) / len(models)
    return norm(v_BtD + norm(update_BtD) if config.form == "released" else update_BtD)


@given(configurations, layouts, st.sampled_from([8, 16, 32]), seeds, st.integers(0, 21))
def test_two_models_joined_average_their_readouts_and_updates(config, layout, n, seed, tokens):
    config = replace(config, layers=1)
    other = replace(config, n=n, pieces=layout if n == 16 else ())
    models, v_BtD = (fresh(config, seed), fresh(other, seed + 1)), torch.from_numpy(np.random.default_rng(seed).standard_normal((2, tokens, 4)))
    joined = concatenate(*models)
    same(joined.step(v_BtD, None, LINE, None)[0], mean_step(models, v_BtD))
    for name in ("token_VD", "readout_DV", "feedback_VD"):
        torch.testing.assert_close(getattr(joined, name), (getattr(models[0], name) + getattr(models[1], name)) / 2)


@given(configurations, st.sampled_from([8, 16, 32]), seeds, st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_a_joined_state_is_the_states_of_both_side_by_side_in_each_head(config, n, seed, sizes):
    models = fresh(config, seed), fresh(replace(config, n=n, pieces=()), seed + 1)
    joined, v_BtD = concatenate(*models), torch.from_numpy(np.random.default_rng(seed).standard_normal((2, sum(sizes), 4)))
    ours, *theirs = ([model.blank(2)] for model in (joined, *models))
    for part_BtD in v_BtD.split(sizes, 1):
        for model, states in zip((joined, *models), (ours, *theirs)):
            states.append(model.step(part_BtD, None, LINE, states[-1])[1])
    same(ours[-1].tensors[0], 0.5**0.5 * torch.cat([states[-1].tensors[0] for states in theirs], 2), 1e-12)  # of the first layer: later ones see other v


def test_a_joined_models_state_goes_through_a_file_and_is_refused_elsewhere(tmp_path):
    joined = concatenate(fresh(TEXT, 0), fresh(TEXT, 1))
    other_layout = concatenate(fresh(replace(TEXT, n=8), 0), fresh(replace(TEXT, n=24), 1))
    memory.save(tmp_path / "state", (joined.blank(2),))
    assert memory.load(tmp_path / "state", joined)[0].kind == joined.kind()
    for stranger in (other_layout, fresh(replace(TEXT, n=32), 0)):
        with pytest.raises(UserError, match="pieces"):
            memory.load(tmp_path / "state", stranger)
    assert "pieces" not in fresh(TEXT, 0).kind(), "states from before there were pieces still go on"


@given(configurations, seeds, st.integers(0, 21), loops, st.sampled_from([20, 24, 48]))
def test_a_grown_model_gives_the_same_logits_and_streams_them(config, seed, tokens, loop, n):
    model, tokens_Bt = fresh(config, seed), prompts(LINE, seed, tokens)
    grown = grow(model, n, seed)
    same(logits(grown, tokens_Bt, loop=loop), logits(model, tokens_Bt, loop=loop))
    thinker, replies = Reasoner(grown, LINE, loop), []
    states = thinker.begin(2, 1)
    for token_B1 in tokens_Bt.split(1, 1):
        reply_BtS, states = thinker.read(token_B1, states)
        replies.append(reply_BtS)
    same(torch.cat(replies, 1), next(thinker.think(tokens_Bt, 1)))


def test_one_layer_grows_and_is_joined_to_twelve_digits():
    model, tokens_Bt = fresh(replace(TEXT, d=16, n=64), 0), prompts(LINE, 0, 40)
    for other in (grow(model, 96), concatenate(model, model)):
        torch.testing.assert_close(logits(other, tokens_Bt), logits(model, tokens_Bt), rtol=0, atol=1e-12)


def test_a_model_in_single_precision_grows_within_rounding():
    model, tokens_Bt = fresh(replace(TEXT, d=16, n=64, layers=2), 0, dtype=torch.float32), prompts(LINE, 0, 40)
    torch.testing.assert_close(logits(grow(model, 128), tokens_Bt), logits(model, tokens_Bt), rtol=0, atol=1e-4)


@pytest.mark.parametrize("operation", [lambda model: grow(model, 32), lambda model: concatenate(model, model)])
def test_without_their_phases_the_neurons_answer_otherwise(operation):
    model, tokens_Bt = fresh(TEXT, 0), prompts(LINE, 0, 20)
    changed = operation(model)
    same(logits(changed, tokens_Bt), logits(model, tokens_Bt))
    changed.config = replace(changed.config, pieces=())
    with pytest.raises(AssertionError):
        same(logits(changed, tokens_Bt), logits(model, tokens_Bt), 1e-3)


@pytest.mark.parametrize("form", ["released", "paper", "normfree"])
def test_new_neurons_learn_and_would_not_with_a_dx_of_zero(form):
    tokens_Bt = prompts(LINE, 0, 20)

    def gradients(model, of):
        model.zero_grad()
        logits(model, tokens_Bt).square().mean().backward()
        return [getattr(model, name).grad[part].abs().max() for name, part in of.items()]

    new = {"Dx_HDN": np.s_[:, :, 8:], "Dy_HDN": np.s_[:, :, 8:], "E_HND": np.s_[:, 8:]}
    grown = grow(fresh(replace(TEXT, form=form), 0, dtype=torch.float32), 32)
    assert gradients(grown, new)[2] > 0
    torch.optim.AdamW(grown.parameters(), 1e-3).step()
    assert grown.E_HND[:, 8:].abs().max() > 5e-4, "half a learning rate in one step"
    assert all(gradient > 0 for gradient in gradients(grown, new))
    silent = grow(fresh(replace(TEXT, form=form), 0, dtype=torch.float32), 32)
    silent.Dx_HDN.data[:, :, 8:] = 0
    assert gradients(silent, new) == [0, 0, 0]


def test_growth_is_a_function_of_the_seed_and_keeps_what_was_there():
    model = fresh(TEXT, 0)
    one, again, other = (grow(model, 32, seed) for seed in (0, 0, 1))
    assert torch.equal(one.Dx_HDN, again.Dx_HDN)
    assert not torch.equal(one.Dx_HDN, other.Dx_HDN)
    assert all(torch.equal(getattr(one, name)[part], getattr(model, name)) for name, part in (("Dx_HDN", np.s_[:, :, :8]), ("E_HND", np.s_[:, :8])))
    assert grow(one, 40).config.pieces == (8, 8, 4)
    assert model.config == TEXT


@pytest.mark.parametrize("n", [16, 8, 33, 18])
def test_growth_to_what_is_no_head_is_refused(n):
    with pytest.raises(UserError, match=r"neurons, a multiple|even"):
        grow(fresh(TEXT, 0), n)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"d": 8}, "d = 8"),
        ({"heads": 4}, "heads = 4"),
        ({"form": "paper"}, "form = paper"),
        ({"layers": 2}, "layers = 2"),
        ({"shared": False}, "shared = False"),
        ({"positions": "alibi"}, "positions = alibi"),
        ({"scaled": True}, "scaled = True"),
        ({"strict": False}, "strict = False"),
        ({"coordinates": True}, "coordinates = True"),
    ],
)
def test_unlike_models_are_not_joined(change, named):
    with pytest.raises(UserError, match=named):
        concatenate(fresh(TEXT, 0), fresh(replace(TEXT, **change), 0))


def test_models_of_other_vocabularies_sizes_or_feedback_are_not_joined():
    model, grid = fresh(TEXT, 0), replace(TEXT, coordinates=True)
    for other, named in ((fresh(TEXT, 0, BOARDS["candidates"]), "vocabulary"), (initial(Model, TEXT, LINE, 0, feedback=False).double(), "feedback")):
        with pytest.raises(UserError, match=named):
            concatenate(model, other)
    with pytest.raises(UserError, match="coordinates of sizes"):
        concatenate(fresh(grid, 0, line("grid", 6)), fresh(grid, 0, line("grid", 7)))
    assert concatenate(model, fresh(replace(TEXT, n=8, execution="chunked", through_time=False), 0)).config.execution == "auto"


@pytest.mark.parametrize("pieces", [(8, 8), (3, 5), (8, 0), (-2, 10), ("8",), (True, 7)])
def test_pieces_that_are_no_head_are_refused(pieces):
    with pytest.raises(UserError, match="pieces"):
        replace(TEXT, pieces=pieces)
