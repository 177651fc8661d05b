import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle_models
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from bdh_reason import bdh
from bdh_reason.bdh.released import TEXT
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.rng import generator
from bdh_reason.train.initial import initial

GOLDEN = Path(__file__).parent / "golden" / "text.json"
FORMS = ("released", "paper")
SMALL = bdh.Config(d=16, n=128, heads=4, relations=False, layers=3)


def weights(seed, d=16, neurons=32, heads=4, scale=0.3):
    """A state dict as the released code has it."""
    rng = np.random.default_rng(seed)
    shapes = {
        "decoder": (heads * neurons, d),
        "encoder": (heads, d, neurons),
        "encoder_v": (heads, d, neurons),
        "lm_head": (d, 256),
        "embed.weight": (256, d),
    }
    return {name: torch.from_numpy(scale * rng.standard_normal(shape, np.float32)) for name, shape in shapes.items()}


def logits(model, tokens_Bt, depth=1):
    return list(Reasoner(model, TEXT, Loop(feedback=False, inject=False)).think(tokens_Bt, depth))[-1]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(0, 90), st.integers(1, 4))
def test_released_weights_give_the_released_logits(seed, length, layers):
    given_dict = weights(seed)
    tokens_Bt = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (2, length)))
    expected = oracle_models.released_logits(given_dict, 4, layers, tokens_Bt)
    torch.testing.assert_close(logits(bdh.from_released_state_dict(given_dict, 4, layers), tokens_Bt), expected, rtol=0, atol=1e-4)


def test_released_weights_come_back_exactly():
    given_dict = weights(0)
    back = bdh.to_released_state_dict(bdh.from_released_state_dict(given_dict, 4, 2))
    assert set(back) == set(given_dict)
    assert all(torch.equal(back[name], given_dict[name]) for name in back)


def test_layers_of_a_step_are_steps_without_feedback_and_injection():
    tokens_Bt = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 20)))
    three, one = (bdh.from_released_state_dict(weights(0), 4, layers) for layers in (3, 1))
    torch.testing.assert_close(logits(three, tokens_Bt), logits(one, tokens_Bt, depth=3))
    assert not torch.allclose(logits(three, tokens_Bt), logits(one, tokens_Bt, depth=2), atol=1e-2)


def test_the_official_configuration_has_25_296_896_parameters():
    with torch.device("meta"):
        model = bdh.Model(bdh.Config(d=256, n=32_768, heads=4, relations=False, layers=6), TEXT, feedback=False)
    assert model.size() == 25_296_896


def test_what_is_not_a_released_state_dict_is_refused():
    whole = weights(0)
    for wrong in ({name: whole[name] for name in whole if name != "lm_head"}, {**whole, "lm_gate": whole["lm_head"]}):
        with pytest.raises(UserError, match="lm_head"):
            bdh.from_released_state_dict(wrong, 4, 2)
    for wrong, heads in (({**whole, "encoder": whole["encoder"][:, :, :-2]}, 4), (whole, 2)):
        with pytest.raises(UserError, match="do not go together"):
            bdh.from_released_state_dict(wrong, heads, 2)
    with pytest.raises(UserError, match="3 heads"):
        bdh.from_released_state_dict(whole, 3, 2)


@pytest.mark.parametrize("change", [{"form": "paper"}, {"shared": False}, {"positions": "alibi"}, {"scaled": True}, {"strict": False}, {"pieces": (8, 24)}])
def test_a_model_that_the_released_code_cannot_hold_is_refused(change):
    with pytest.raises(UserError, match="released form"):
        bdh.to_released_state_dict(bdh.Model(replace(SMALL, **change), TEXT, feedback=False))


def test_a_feedback_table_is_not_lost_in_silence():
    with pytest.raises(UserError, match="no feedback"):
        bdh.to_released_state_dict(bdh.Model(SMALL, TEXT))


def first_losses(form):
    """Ten steps of AdamW on the next byte of a periodic text, in float64 so that they do not hang on the processor."""
    model = initial(bdh.Model, replace(SMALL, form=form), TEXT, 0, feedback=False).double()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(10):
        word_Bt = generator(0, "golden text", index=step).integers(97, 123, (8, 5))
        text_Bt = torch.from_numpy(np.tile(word_Bt, 5))
        loss = cross_entropy(logits(model, text_Bt[:, :-1]).flatten(0, 1), text_Bt[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("form", FORMS)
def test_the_first_losses_of_a_text_are_golden(form):
    assert first_losses(form) == pytest.approx(json.loads(GOLDEN.read_text())[form], rel=1e-4)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({form: first_losses(form) for form in FORMS}, indent=1) + "\n")
