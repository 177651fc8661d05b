import numpy as np
import pytest
import torch
from boards import BOARDS, line
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason import bdh, rng
from bdh_reason.bdh.released import TEXT
from bdh_reason.errors import UserError
from bdh_reason.reason.generate import choose, generate
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial

DEPTH = 2
PROMPT = np.frombuffer(b"abcabdbca.", np.uint8).reshape(2, 5)


def reasoner(board=TEXT):
    config = bdh.Config(d=12, n=48, heads=2, relations=False)
    return Reasoner(initial(bdh.Model, config, board, 0, feedback=False).double(), board, Loop(feedback=False, inject=False))


def recomputed(thinker, prompt_Bt, count):
    """Greedy bytes from the whole prefix each time, as the released code does it."""
    for _ in range(count):
        logits_BtS = list(thinker.think(torch.from_numpy(prompt_Bt.astype(np.int64)), DEPTH))[-1]
        prompt_Bt = np.concatenate([prompt_Bt, thinker.board.spell(logits_BtS[:, -1:].argmax(-1).numpy())], 1)
    return prompt_Bt[:, -count:]


def test_generating_through_the_state_is_generating_from_the_whole_prefix():
    thinker = reasoner()
    bytes_BT, states = generate(thinker, thinker.begin(2, DEPTH), PROMPT, 70, temperature=0)
    np.testing.assert_array_equal(bytes_BT, recomputed(thinker, PROMPT, 70))
    assert states[0].position == 5 + 70 - 1


def test_a_text_may_go_on_from_a_state():
    thinker = reasoner()
    whole_BT, _ = generate(thinker, thinker.begin(2, DEPTH), PROMPT, 8, temperature=0)
    first_BT, states = generate(thinker, thinker.begin(2, DEPTH), PROMPT, 3, temperature=0)
    rest_BT, _ = generate(thinker, states, first_BT[:, -1:], 5, temperature=0)
    np.testing.assert_array_equal(np.concatenate([first_BT, rest_BT], 1), whole_BT)


def test_only_symbols_of_the_board_are_written_and_the_seed_decides_which():
    thinker = reasoner(line("sequence", 9))
    one, same, other = (generate(thinker, thinker.begin(2, DEPTH), PROMPT, 40, seed=seed)[0] for seed in (0, 0, 1))
    assert set(one.ravel()) == set(b"abc")
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_every_byte_after_the_prompt_is_read_alone(monkeypatch):
    thinker, read, lengths = reasoner(), Reasoner.read, []
    monkeypatch.setattr(Reasoner, "read", lambda self, tokens_Bt, states: lengths.append(tokens_Bt.shape[1]) or read(self, tokens_Bt, states))
    generate(thinker, thinker.begin(2, DEPTH), PROMPT, 6)
    assert lengths == [5, 1, 1, 1, 1, 1]


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3), st.integers(1, 4))
def test_draws_are_the_softmax_of_the_likeliest(seed, temperature, top_k):
    logits_S = torch.from_numpy(np.random.default_rng(seed).standard_normal(4))
    drawn_B = choose(logits_S.expand(4000, 4), temperature, top_k, rng.generator(seed, "test"))
    kept = logits_S.argsort(descending=True)[:top_k]
    share_S = torch.zeros(4, dtype=torch.float64)
    share_S[kept] = (logits_S[kept] / temperature).softmax(0)
    np.testing.assert_allclose(np.bincount(drawn_B, minlength=4) / 4000, share_S, atol=0.05)  # six standard errors


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}])
def test_wishes_that_mean_nothing_are_refused(wrong):
    thinker = reasoner()
    with pytest.raises(UserError, match="temperature"):
        generate(thinker, thinker.begin(2, DEPTH), PROMPT, 1, **wrong)


def test_an_empty_prompt_and_a_grid_are_refused():
    thinker = reasoner()
    with pytest.raises(UserError, match="empty prompt"):
        generate(thinker, thinker.begin(2, DEPTH), PROMPT[:, :0], 1)
    grid = reasoner(BOARDS["plain"])
    with pytest.raises(UserError, match="read in parts"):
        generate(grid, grid.begin(2, DEPTH), PROMPT, 1)
