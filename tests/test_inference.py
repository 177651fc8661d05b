"""A text read without gradients, in windows or by its active neurons, is the text of the equations; and a state that somebody keeps stays what it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_models
import pytest
import torch
from boards import line
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_models import normal
from strategies import bdh_of_texts

from bdh_reason.bdh import Config, Model, decode, inference
from bdh_reason.bdh.released import TEXT
from bdh_reason.compiled import product
from bdh_reason.reason import memory
from bdh_reason.reason.generate import generate
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial

LINE = line("sequence", 9)
seeds = st.integers(0, 2**32 - 1)
configurations = bdh_of_texts(24, (4, 8))
parts = st.lists(st.sampled_from([0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17]), min_size=1, max_size=5)  # windows hold 4 tokens, and begin above 16


def model_of(config, share=1.0, seed=0):
    """In float64; only about a `share` of the neurons can ever be active."""
    model = initial(Model, config, LINE, 0).double()
    alive_N = torch.from_numpy(np.random.default_rng(seed).random(model.Dx_HDN.shape[2]) < share)
    with torch.no_grad():
        model.Dx_HDN *= alive_N
    return model


def reasoner(config):
    return Reasoner(initial(Model, config, TEXT, 0, feedback=False).double(), TEXT, Loop(feedback=False, inject=False))


def in_parts(model, v_1tD, v0_1tD, sizes, given_up):
    """The text in parts of these sizes, and the state after them."""
    state, read = model.blank(len(v_1tD)), []
    state, start = state.give() if given_up else state, 0
    for size in sizes:
        part = slice(start, start := start + size)
        v_1pD, state = model.step(v_1tD[:, part], None if v0_1tD is None else v0_1tD[:, part], LINE, state)
        read.append(v_1pD)
    return torch.cat(read, 1), state


def same(ours, theirs, close):
    """Equal to `close` in units of the largest number."""
    scale = 1 + theirs.abs().max() if theirs.numel() else 1
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=close)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Texts of a few tokens have several blocks, and not all are read together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "BLOCK", 3)
        patch.setattr(inference, "TOKENS", 9)
        yield


@settings(max_examples=40)
@given(configurations, parts, seeds, st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_every_form_read_in_any_parts_is_the_equations(config, sizes, seed, inject, given_up, share):
    v_1tD, v0_1tD = normal(seed, 2, 1, tokens := sum(sizes), 4)
    v0_1tD, model = v0_1tD if inject else None, model_of(config, share, seed)
    differentiable = model.step(v_1tD, v0_1tD, LINE, model.blank(1))
    seen = oracle_models.sees(line("sequence", tokens), 2, False, itself=not config.strict)
    with torch.no_grad():
        expected_tD = oracle_models.bdh_step(model.state_dict(), config, v_1tD[0], None if v0_1tD is None else v0_1tD[0], seen, True)
        whole_1tD, _ = model.step(v_1tD, v0_1tD, LINE, None)
        read_1tD, state = in_parts(model, v_1tD, v0_1tD, sizes, given_up)
    for ours_1tD in (whole_1tD, read_1tD):
        same(ours_1tD[0], expected_tD, 1e-3 if "rotary" in config.positions else 1e-10)  # rotary phases are fp32
        same(ours_1tD, differentiable[0].detach(), 1e-10)
    assert state.position == tokens
    for rho_BHND, expected_BHND in zip(state.tensors, differentiable[1].tensors):
        same(rho_BHND, expected_BHND.detach(), 1e-10)


@settings(max_examples=25)
@given(configurations, parts, seeds, st.booleans(), st.sampled_from([0.1, 1.0]))
def test_several_texts_are_read_as_autograd_reads_them(config, sizes, seed, inject, share):
    v_5tD, v0_5tD = normal(seed, 2, 5, sum(sizes), 4)
    v0_5tD, model = v0_5tD if inject else None, model_of(config, share, seed)
    plain_5tD, plain = model.step(v_5tD, v0_5tD, LINE, model.blank(5))
    with torch.no_grad():
        whole_5tD, _ = model.step(v_5tD, v0_5tD, LINE, None)
        read_5tD, state = in_parts(model, v_5tD, v0_5tD, sizes, False)
    for ours, theirs in ((whole_5tD, plain_5tD), (read_5tD, plain_5tD), *zip(state.tensors, plain.tensors)):
        same(ours, theirs.detach(), 1e-10)


@pytest.mark.parametrize("positions", ["rotary", "alibi", "rotary+alibi", "none"])
@pytest.mark.parametrize("form", ["released", "paper", "normfree"])
def test_single_precision_is_double_precision_to_1e_4(form, positions):
    config = Config(d=32, n=512, relations=False, form=form, positions=positions, layers=3)
    double = model_of(config)
    with torch.no_grad():
        for weight in (double.Dx_HDN, double.E_HND):
            weight *= 0.5 if form == "normfree" else 1  # without LN numbers grow with every layer
        single, v_1tD = model_of(config).float(), normal(0, 1, 140, 32)
        single.load_state_dict(double.state_dict())
        sizes = [100, 1, 1, 1, 37]
        same(in_parts(single, v_1tD.float(), None, sizes, True)[0].double(), in_parts(double, v_1tD, None, sizes, True)[0], 1e-4)


def test_odd_heads_without_rotary_positions_are_decoded_too():
    model, v_1tD = model_of(Config(d=5, n=21, heads=3, relations=False, positions="none")), normal(0, 1, 9, 5)
    with torch.no_grad():
        same(in_parts(model, v_1tD, None, [1] * 9, True)[0], model.step(v_1tD, None, LINE, None)[0], 1e-10)


@pytest.mark.parametrize("sizes", [[5], [1], [30], [30, 1, 1, 5]])
@pytest.mark.parametrize("positions", ["rotary", "rotary+alibi"])
def test_a_state_that_somebody_keeps_is_never_altered_and_one_given_up_is(positions, sizes):
    model = model_of(Config(d=4, n=24, heads=2, relations=False, positions=positions, layers=2))
    with torch.no_grad():
        _, kept = in_parts(model, normal(0, 1, 3, 4), None, [3], False)
        copies, given_up = [rho_BHND.clone() for rho_BHND in kept.tensors], kept.give()
        for start in (kept, given_up):
            state, v_1tD = start, normal(1, 1, sum(sizes), 4)
            for part_1tD in v_1tD.split(sizes, 1):
                _, state = model.step(part_1tD, None, LINE, state)
            assert state.given == start.given
        for rho_BHND, copy_BHND, given_BHND, newest_BHND in zip(kept.tensors, copies, given_up.tensors, state.tensors):
            assert torch.equal(rho_BHND, copy_BHND)
            assert not torch.equal(given_BHND, copy_BHND)
            assert given_BHND.data_ptr() == newest_BHND.data_ptr(), "nothing was copied"


def test_what_was_read_keeps_its_value_when_the_stream_goes_on_from_a_plain_state():
    model = model_of(Config(d=4, n=24, heads=2, relations=False))
    with torch.no_grad():
        _, first = model.step(normal(0, 1, 1, 4), None, LINE, model.blank(1))
        copy_BHND = first.tensors[0].clone()
        model.step(normal(1, 1, 1, 4), None, LINE, first)
        assert torch.equal(first.tensors[0], copy_BHND)
        assert not model.blank(1).tensors[0].any()


def test_a_state_given_up_in_inference_mode_goes_on_outside_of_it():
    model, v_1tD = model_of(Config(d=4, n=24, heads=2, relations=False)), normal(0, 1, 30, 4)
    with torch.inference_mode():
        _, inside = in_parts(model, v_1tD[:, :9], None, [8, 1], True)
    with torch.no_grad():
        rest_1tD = torch.cat([model.step(part_1tD, None, LINE, inside)[0] for part_1tD in v_1tD[:, 9:].split([21, 0], 1)], 1)
        same(rest_1tD, model.step(v_1tD, None, LINE, None)[0][:, 9:], 1e-10)
        same(model.step(v_1tD[:, 9:10], None, LINE, inside)[0], rest_1tD[:, :1], 1e-10)


def test_a_state_saved_in_the_middle_of_a_stream_goes_on(tmp_path):
    thinker, tokens_1t = reasoner(Config(d=12, n=48, heads=2, relations=False, layers=2)), torch.arange(40)[None]
    with torch.no_grad():
        whole_1tS = next(thinker.think(tokens_1t, 1))
        states = tuple(state.give() for state in thinker.begin(1, 1))
        for token_11 in tokens_1t[:, :20].split(1, 1):
            _, states = thinker.read(token_11, states)
        memory.save(tmp_path / "state", states)
        thinker.read(tokens_1t[:, 20:], states)
        rest_1tS, _ = thinker.read(tokens_1t[:, 20:], memory.load(tmp_path / "state", thinker.model))
    same(rest_1tS, whole_1tS[:, 20:], 1e-10)


def test_decoding_notices_new_weights():
    model, other = model_of(config := Config(d=4, n=24, heads=2, relations=False)), initial(Model, config, LINE, 1).double()
    with torch.inference_mode():
        in_parts(model, normal(0, 1, 3, 4), None, [1] * 3, True)
    model.load_state_dict(other.state_dict())
    with torch.no_grad():
        for own, fresh in ((model, other), (model.float(), other.float())):
            v_1tD = normal(0, 1, 3, 4).to(own.E_HND)
            assert torch.equal(in_parts(own, v_1tD, None, [1] * 3, True)[0], in_parts(fresh, v_1tD, None, [1] * 3, True)[0])


def test_decoding_notices_what_a_fused_optimiser_wrote():
    model = model_of(config := Config(d=4, n=24, heads=2, relations=False))
    optimiser, v_1tD = torch.optim.SGD(model.parameters(), lr=0.1, fused=True), normal(0, 1, 3, 4)
    with torch.no_grad():
        in_parts(model, v_1tD, None, [1] * 3, True)
    (model.step(v_1tD, None, LINE, None)[0] * normal(1, 1, 3, 4)).sum().backward()
    optimiser.step()
    fresh = Model(config, LINE).double()
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        same(in_parts(model, v_1tD, None, [1] * 3, True)[0], in_parts(fresh, v_1tD, None, [1] * 3, True)[0], 1e-12)


@pytest.mark.parametrize("weight", ["Dx_HDN", "Dy_HDN", "E_HND"])
def test_a_number_that_is_none_does_not_disappear(weight):
    model = model_of(Config(d=4, n=24, heads=2, relations=False))
    with torch.no_grad():
        getattr(model, weight)[:] = float("nan")
        assert in_parts(model, normal(0, 1, 3, 4), None, [1] * 3, True)[0].isnan().any()
        assert model.float().step(normal(0, 1, 12, 4).float(), None, LINE, None)[0].isnan().any()


def test_only_single_tokens_of_one_undamped_text_without_gradients_are_decoded(monkeypatch):
    calls, token = [], decode.token
    monkeypatch.setattr(decode, "token", lambda *given: calls.append(1) or token(*given))
    config = Config(d=4, n=24, heads=2, relations=False)
    for change, batch, tokens, count in (({}, 1, 1, 1), ({}, 2, 1, 0), ({}, 1, 2, 0), ({"positions": "alibi"}, 1, 1, 0), ({"form": "paper"}, 1, 1, 1)):
        calls.clear()
        model = model_of(replace(config, **change))
        with torch.no_grad():
            model.step(normal(0, batch, tokens, 4), None, LINE, model.blank(batch))
        assert len(calls) == count
    calls.clear()
    model.step(normal(0, 1, 1, 4), None, LINE, model.blank(1))
    assert not calls
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert not inference.fits(normal(0, 1, 1, 4))


def test_generation_decodes_every_byte_after_the_prompt_and_leaves_the_given_states_alone(monkeypatch):
    thinker, calls, token = reasoner(Config(d=12, n=48, heads=2, relations=False)), [], decode.token
    monkeypatch.setattr(decode, "token", lambda *given: calls.append(1) or token(*given))
    _, before = generate(thinker, thinker.begin(1, 2), np.frombuffer(b"abc", np.uint8)[None], 2, temperature=0)
    copies = [state.tensors[0].clone() for state in before]
    calls.clear()
    runs = [generate(thinker, before, np.frombuffer(b"xy", np.uint8)[None], 6, temperature=0) for _ in range(2)]
    assert len(calls) == 2 * 5 * 2, "five bytes after the prompt, two steps each, twice"
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert all(torch.equal(state.tensors[0], copy) for state, copy in zip(before, copies))
    assert not any(state.given for state in runs[0][1])


@given(seeds, st.integers(0, 20), st.integers(1, 20), st.integers(1, 20), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_products_are_products(seed, i, k, j, relu, left_turned, right_turned, without_one_dnn):
    left, right = normal(seed, i, k).float(), normal(seed + 1, k, j).float()
    left, right = left.T.contiguous().T if left_turned else left, right.T.contiguous().T if right_turned else right
    expected = (left.double() @ right.double()).relu() if relu else left.double() @ right.double()
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        if without_one_dnn:
            patch.setattr(product, "one_dnn", lambda: False)
        torch.testing.assert_close(product.product(left, right, relu).double(), expected, rtol=1e-5, atol=1e-5)
        total = torch.ones(i, j)
        product.add_product(total, left, right)
    torch.testing.assert_close(total.double(), 1 + left.double() @ right.double(), rtol=1e-5, atol=1e-5)
