"""A checkpoint is read whole or not at all."""

import json

import pytest
import torch

from bdh_reason.errors import RunError, UserError
from bdh_reason.train.checkpoint import Card, read, write

CARD = Card({"name": "x"}, 3, "hash", 0.5, 1e9, "")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "model", CARD, {"weight": torch.arange(6.0).view(2, 3)})
    return tmp_path


def test_what_is_read_is_what_was_written(folder):
    card, tensors = read(folder / "model.json")
    assert card == CARD
    assert torch.equal(tensors["weight"], torch.arange(6.0).view(2, 3))


def test_a_newer_checkpoint_replaces_the_older(folder):
    write(folder, "model", Card({"name": "x"}, 4, "hash", 0.6, 1e9, ""), {"weight": torch.zeros(1)})
    assert read(folder / "model.json")[0].step == 4
    assert len(list(folder.glob("*.safetensors"))) == 1


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"!", lambda content: b""])
def test_weights_cut_short_or_changed_are_refused(folder, damage):
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(UserError, match=r"cut short or changed|missing"):
        read(folder / "model.json")


@pytest.mark.parametrize("damage", [lambda about: about[:-20], lambda about: "[]", lambda about: about.replace('"step"', '"stop"')])
def test_a_damaged_card_is_refused(folder, damage):
    path = folder / "model.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match="damaged"):
        read(path)


def test_another_schema_version_is_refused(folder):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(UserError, match="schema version 99"):
        read(path)


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        read(tmp_path / "model.json")


def test_weights_that_are_not_finite_never_replace_good_ones(folder):
    with pytest.raises(RunError, match="not finite"):
        write(folder, "model", Card({"name": "x"}, 4, "hash", 0.6, 1e9, ""), {"weight": torch.tensor([float("nan")])})
    assert read(folder / "model.json")[0] == CARD


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        write(tmp_path / "file", "model", CARD, {"weight": torch.zeros(1)})
