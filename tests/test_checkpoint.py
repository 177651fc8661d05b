"""A checkpoint is read whole or not at all."""

import json
from dataclasses import replace

import pytest
import torch

from bdh_reason.errors import RunError, UserError
from bdh_reason.train import checkpoint
from bdh_reason.train.checkpoint import Card, read, write

CARD = Card({"name": "x"}, 3, "hash", 0.5, 1e9, "")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "model", CARD, {"weight": torch.arange(6.0).view(2, 3)})
    return tmp_path


def test_what_is_read_is_what_was_written(folder):
    card, tensors, _ = read(folder / "model.json")
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


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """The folder of a state in three parts, one of which a single tensor overflows."""
    monkeypatch.setattr(checkpoint, "PART", 1000)
    write(tmp_path, "state", CARD, {"long": torch.arange(500.0), "short": torch.ones(3)})
    return tmp_path


def test_what_is_too_large_for_one_file_lies_in_parts_and_is_read_whole(parts):
    assert sorted(path.name for path in parts.glob("state-*")) == [f"state-0000003.safetensors.{number}" for number in range(3)]
    assert all(path.stat().st_size <= 1000 for path in parts.glob("state-*"))
    _, tensors, _ = read(parts / "state.json")
    assert torch.equal(tensors["long"], torch.arange(500.0))
    assert torch.equal(tensors["short"], torch.ones(3))


def test_parts_are_replaced_as_whole_files_are(parts):
    write(parts, "state", replace(CARD, step=4), {"short": torch.ones(3)})
    assert [path.name for path in parts.glob("state-*")] == ["state-0000004.safetensors"]
    write(parts, "state", replace(CARD, step=5), {"long": torch.zeros(300)})
    assert sorted(path.name for path in parts.glob("state-*")) == ["state-0000005.safetensors.0", "state-0000005.safetensors.1"]


@pytest.mark.parametrize("number", range(3))
def test_a_part_that_is_missing_or_of_another_state_is_refused(parts, number):
    part = parts / f"state-0000003.safetensors.{number}"
    content = part.read_bytes()
    part.write_bytes(content[::-1])
    with pytest.raises(UserError, match="cut short or changed"):
        read(parts / "state.json")
    part.unlink()
    with pytest.raises(UserError, match=rf"{part.name} is missing"):
        read(parts / "state.json")
