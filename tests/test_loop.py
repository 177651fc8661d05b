from dataclasses import replace

import numpy as np
import pytest
import torch
from boards import BOARDS, prompts
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import layer_norm

from bdh_reason.bdh import EXAMPLES, Model
from bdh_reason.reason.loop import Loop, Reasoner, Thought
from bdh_reason.train.initial import initial

every_board = pytest.mark.parametrize("kind", BOARDS)
on_and_off = st.sampled_from([True, False])


def reasoner(kind, **loop):
    board = BOARDS[kind]
    model = initial(Model, replace(EXAMPLES[0], relations=board.relations > 0), board, 0)
    return Reasoner(model.double(), board, Loop(**loop))


def some(kind, n=2):
    board = BOARDS[kind]
    return torch.from_numpy(board.expand(prompts(board, np.random.default_rng(0), n)))


def start(kind, n=2):
    return torch.from_numpy(np.random.default_rng(1).standard_normal((n, BOARDS[kind].tokens, EXAMPLES[0].d)))


@every_board
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_there_is_one_reply_for_each_step(kind, depth):
    assert len(list(reasoner(kind).think(some(kind), depth))) == depth


@every_board
def test_without_feedback_and_injection_the_loop_is_the_plain_recurrence(kind):
    thinker, board = reasoner(kind, feedback=False, inject=False), BOARDS[kind]
    v_BtD = layer_norm(thinker.model.embed(some(kind), board), (EXAMPLES[0].d,))
    for reply_BTS in thinker.think(some(kind), 4):
        v_BtD = thinker.model.step(v_BtD, None, board, None)[0]
        assert torch.equal(reply_BTS, board.collapse(thinker.model.readout(v_BtD, board)))


@every_board
def test_feedback_and_injection_enter_before_each_step(kind):
    thinker, board = reasoner(kind), BOARDS[kind]
    model = thinker.model
    v0_BtD = model.embed(some(kind), board)
    first, second = thinker.think(some(kind), 2)
    v_BtD = model.step(layer_norm(v0_BtD, (EXAMPLES[0].d,)), v0_BtD, board, None)[0]
    assert torch.equal(first, board.collapse(model.readout(v_BtD, board)))
    fed_BtD = torch.zeros_like(v_BtD)
    for position in range(board.positions):
        for place, (symbol, belief_B) in enumerate(zip(board.symbols, first.softmax(-1)[:, position].T)):
            token, row = (position * len(board.symbols) + place, 0) if board.view == "candidates" else (position, symbol)
            fed_BtD[:, token] += belief_B[:, None] * model.feedback_VD[row]
    v_BtD = model.step(v_BtD + fed_BtD, v0_BtD, board, None)[0]
    torch.testing.assert_close(second, board.collapse(model.readout(v_BtD, board)), rtol=0, atol=1e-12)


@every_board
def test_feedback_and_injection_each_make_a_difference(kind):
    thoughts = [list(reasoner(kind, feedback=feedback, inject=inject).think(some(kind), 2))[-1] for feedback in (True, False) for inject in (True, False)]
    assert not any(torch.allclose(one, other) for place, one in enumerate(thoughts) for other in thoughts[:place])


@given(st.integers(0, 6), st.integers(0, 6), st.sampled_from(list(BOARDS)), on_and_off, on_and_off)
def test_the_first_replies_do_not_depend_on_how_long_it_will_think(one, other, kind, feedback, inject):
    thinker = reasoner(kind, feedback=feedback, inject=inject)
    for short, long in zip(thinker.think(some(kind), one), thinker.think(some(kind), other)):
        assert torch.equal(short, long)


@every_board
def test_without_noise_the_start_is_ignored(kind):
    thinker = reasoner(kind, noise=0.0)
    for calm, given_start in zip(thinker.think(some(kind), 3), thinker.think(some(kind), 3, start(kind))):
        assert torch.equal(calm, given_start)


@every_board
def test_noise_is_the_scale_of_the_start(kind):
    calm, one, two, doubled = (
        next(reasoner(kind, noise=noise).think(some(kind), 1, factor * start(kind))) for noise, factor in ((0.0, 1), (0.5, 1), (1.0, 1), (0.5, 2))
    )
    torch.testing.assert_close(two, doubled)
    assert not torch.allclose(one, two)
    assert not torch.allclose(one, calm)


def test_nothing_is_thought_before_it_is_asked_for(monkeypatch):
    thinker, steps = reasoner("plain"), []
    step = Model.step
    monkeypatch.setattr(Model, "step", lambda *args: steps.append(1) or step(*args))
    thought = thinker.think(some("plain"), 1_000_000)
    next(thought), next(thought)
    assert len(steps) == 2


@given(st.integers(0, 4), st.integers(1, 4), st.sampled_from(list(BOARDS)), on_and_off, on_and_off)
def test_some_steps_and_then_some_more_are_one_rollout(first, more, kind, feedback, inject):
    thinker, tokens_Bt = reasoner(kind, feedback=feedback, inject=inject, noise=1.0), some(kind)
    thought = thinker.wake(tokens_Bt, start(kind))
    for _, later in thinker.go_on(tokens_Bt, thought, first):
        thought = later
    in_two = [reply_BTS for reply_BTS, _ in thinker.go_on(tokens_Bt, thought, more)]
    in_one = list(thinker.think(tokens_Bt, first + more, start(kind)))[first:]
    for one, two in zip(in_one, in_two, strict=True):
        assert torch.equal(one, two)


@every_board
def test_zeros_feed_a_board_nothing(kind):
    thinker, tokens_Bt = reasoner(kind), some(kind)
    v_BtD, _ = thinker.wake(tokens_Bt)
    nothing_BTS = torch.zeros(2, BOARDS[kind].positions, len(BOARDS[kind].symbols)).double()
    plain, fed = (next(thinker.go_on(tokens_Bt, Thought(v_BtD, belief), 1))[0] for belief in (None, nothing_BTS))
    torch.testing.assert_close(plain, fed, rtol=0, atol=1e-12)


def test_candidates_spelled_in_bytes_are_the_same_three_tokens_and_one_logit():
    """Weights of bytes whose rows 1, 2, 3, column 2 and feedback 2 are those of weights of candidates think the same."""
    plain, spelled = BOARDS["candidates"], BOARDS["candidates"].within((256, 256))
    assert (spelled.vocabulary, plain.within((3, 1)), BOARDS["cells"].within((256, 256))) == ((256, 256), plain, BOARDS["cells"])
    few, many = (initial(Model, EXAMPLES[0], board, 0).double() for board in (plain, spelled))
    with torch.no_grad():
        for name, weight in few.named_parameters():
            rows = {"token_VD": slice(1, 4), "feedback_VD": slice(2, 3), "readout_DV": (slice(None), slice(2, 3))}.get(name, ...)
            many.get_parameter(name)[rows] = weight
    prompt_NT = np.random.default_rng(0).choice(np.frombuffer(plain.symbols + bytes([plain.blank]), np.uint8), (3, plain.positions))
    thinking = [Reasoner(model, board, Loop()).think(torch.from_numpy(board.expand(prompt_NT)), 3) for model, board in ((few, plain), (many, spelled))]
    for expected_BTS, reply_BTS in zip(*thinking):
        torch.testing.assert_close(reply_BTS, expected_BTS, rtol=0, atol=1e-12)
    readout = 2 * plain.tokens * EXAMPLES[0].d
    assert many.flops(spelled, 1, feedback=False) == few.flops(plain, 1, feedback=False) == few.step_flops(plain) + readout
