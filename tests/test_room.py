from dataclasses import replace

import pytest
import torch
from boards import line

from bdh_reason.bdh import Config, Model, room
from bdh_reason.errors import UserError

CONFIG = Config(d=8, n=32, heads=2, relations=False, execution="quadratic")
LINE = line("sequence", 9)


def step(config, tokens, batch=1):
    with torch.inference_mode():
        return Model(config, LINE).step(torch.randn(batch, tokens, config.d), None, LINE, None)[0]


def test_a_sequence_that_memory_cannot_hold_is_refused_with_the_form_that_would(monkeypatch):
    monkeypatch.setattr(room, "free", lambda device: 100_000_000)
    assert step(CONFIG, 5000, batch=2).isfinite().all(), "one text after the other"
    with pytest.raises(UserError, match=r"5000 tokens × 2 need 0.8 GB in the quadratic form; allowed: 0.1 GB, what is free; execution=chunked needs 0.0 GB$"):
        step(replace(CONFIG, backward="autograd"), 5000, batch=2)
    assert step(Config(d=8, n=32, heads=2, relations=False), 5000).isfinite().all(), "the form that is chosen fits"
    monkeypatch.setattr(room, "free", lambda device: 1000)
    for execution in ("quadratic", "chunked"):
        with pytest.raises(UserError, match="shorter windows with a carried state"):
            step(Config(d=8, n=32, heads=2, relations=False, execution=execution), 5000)


def test_a_sequence_kept_for_a_backward_pass_needs_more(monkeypatch):
    monkeypatch.setattr(room, "free", lambda device: 2_000_000)
    chunked = Config(d=8, n=32, heads=2, relations=False)
    assert step(chunked, 5000).isfinite().all()
    with pytest.raises(UserError, match="in the chunked form"):
        Model(chunked, LINE).step(torch.randn(1, 5000, 8), None, LINE, None)


def test_a_text_that_is_forced_through_autograds_form_needs_what_that_form_holds(monkeypatch):
    monkeypatch.setattr(room, "free", lambda device: 100_000_000)
    assert step(CONFIG, 5000).isfinite().all()
    with pytest.raises(UserError, match="in the quadratic form"):
        step(Config(d=8, n=32, heads=2, relations=False, execution="quadratic", backward="autograd"), 5000)


def test_short_sequences_are_not_asked_about_and_this_machine_has_memory(monkeypatch):
    assert room.free(torch.device("cpu")) > 1e6
    monkeypatch.setattr(room, "free", lambda device: 0)
    assert step(CONFIG, 100).isfinite().all()


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("tokens", [5000, 20_000])
def test_the_need_grows_with_the_square_in_one_form_or_head_by_head_with_the_length_and_not_at_all_in_the_other(tokens, alone):
    for window, factor in ((None, 2 if alone else 4), (8, 1)):
        once, twice = (room.needed(CONFIG, 1, length, window or length, kept=False, alone=alone) for length in (tokens, 2 * tokens))
        assert twice / once == pytest.approx(factor, rel=0.02)
