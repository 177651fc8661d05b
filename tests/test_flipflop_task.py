"""A bit of memory against a machine of two states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.flipflop import Config, Task

configs = st.builds(Config, length=st.integers(8, 50).map(lambda half: 2 * half), ignored=st.sampled_from([0.0, 0.5, 0.8, 0.98]))


@given(configs, st.integers(0, 99))
def test_reads_give_what_was_written_last_and_difficulty_is_how_long_ago(config, seed):
    problems = Task(config).generate(generator(seed, "test"), 5)
    for prompt_T, target_T, difficulty in zip(problems.prompt, problems.target, problems.difficulty):
        prompt, target = (bytes(byte_T).decode() for byte_T in (prompt_T, target_T))
        memory, written, farthest, expected = "", 0, 0, ""
        for place in range(0, len(prompt), 2):
            do, bit = prompt[place : place + 2]
            if do == "w":
                memory, written = bit, place // 2
            if do == "r":
                assert bit == "."
                bit, farthest = memory, max(farthest, place // 2 - written)
            expected += do + bit
        assert target == expected
        assert difficulty == farthest
        assert prompt[0] == "w"
        assert prompt[-2] == "r"


@pytest.mark.parametrize("ignored", [0.0, 0.8, 0.98])
def test_instructions_come_in_the_shares_asked_for(ignored):
    do_NI = Task(Config(1024, ignored)).sample(generator(0, "test"), 200)[:, 2:-2:2]
    shares = [float((do_NI == ord(do)).mean()) for do in "iwr"]
    assert shares == pytest.approx([ignored, (1 - ignored) / 2, (1 - ignored) / 2], abs=0.01)


SMALL = Task(Config(length=16))


@pytest.mark.parametrize(
    ("prompt", "good"),
    [
        ("w0i1i1r.w1w0i0r.", True),
        ("i0i1i1r.w1w0i0r.", False),
        ("w0i1i1r.w1w0i0w1", False),
        ("w0i1i1r1w1w0i0r.", False),
        ("w0i1i1r.w.w0i0r.", False),
        ("w0i1i1r.w2w0i0r.", False),
        ("w0i1x1r.w1w0i0r.", False),
    ],
)
def test_what_is_a_stream(prompt, good):
    assert SMALL.well_formed(np.frombuffer(prompt.encode(), np.uint8)[None]).tolist() == [good]


def test_exchanged_and_ignored_bits_make_no_other_problem_and_anything_else_does():
    texts = ["w0i1i1r.w1w0i0r.", "w1i1i1r.w0w1i0r.", "w0i0i0r.w1w0i1r.", "w1i1i1r.w1w1i0r.", "w0w1i1r.w1w0i0r.", "w0i1i1i0w1w0i0r."]
    family_N = SMALL.canonical(np.array([list(text.encode()) for text in texts], np.uint8))
    assert len({*family_N[:3].tolist()}) == 1
    assert len(np.unique(family_N)) == 4


@pytest.mark.parametrize("options", [{"length": 15}, {"length": 17}, {"length": 8194}, {"ignored": 1.0}, {"ignored": -0.1}, {"ignored": float("nan")}])
def test_impossible_streams_are_the_users_mistake(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Config(**options)
