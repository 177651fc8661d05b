"""What is written piece by piece is a file that safetensors reads, and the other way round; damage is never taken for tensors."""

import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from bdh_reason.train import pieces

TENSORS = {
    "long": torch.arange(-3, 4),
    "empty": torch.zeros(0, 3),
    "alone": torch.tensor(2.5),
    "half": torch.linspace(-1, 1, 5).bfloat16(),
    "turned": torch.arange(6.0).view(2, 3).T,
    "said": torch.tensor([True, False]),
    "double": torch.ones(2, dtype=torch.float64),
}


def parts(folder, content, length):
    """The files that bytes lie in."""
    paths = []
    for number, piece in enumerate(pieces.cut([memoryview(content)], length)):
        paths.append(folder / f"{number}")
        paths[-1].write_bytes(piece)
    return paths


OURS, THEIRS = b"".join(pieces.content(TENSORS)), save({name: tensor.contiguous() for name, tensor in TENSORS.items()})


def test_safetensors_reads_the_bytes_and_every_tensor_is_where_its_numbers_can_be_used():
    found = load(OURS)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert pieces.size(TENSORS) == len(OURS) == len(THEIRS)
    length = int.from_bytes(OURS[:8], "little")
    for name, about in json.loads(OURS[8 : 8 + length]).items():
        assert (8 + length + about["data_offsets"][0]) % TENSORS[name].itemsize == 0


@pytest.mark.parametrize("content", [OURS, THEIRS], ids=["ours", "theirs"])
@pytest.mark.parametrize("length", [1, 7, 64, 10_000])
def test_what_lies_in_pieces_of_any_length_is_read_whole(content, length, tmp_path):
    seen = hashlib.sha256()
    found = pieces.read(parts(tmp_path, content, length), seen)
    assert found is not None
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in TENSORS.items())
    assert seen.hexdigest() == hashlib.sha256(content).hexdigest()


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(1, 8))
def test_cutting_loses_nothing(stream, length):
    cut = list(pieces.cut(map(memoryview, stream), length))
    assert b"".join(cut) == b"".join(stream)
    assert all(len(piece) == length for piece in cut[:-1])
    assert all(cut)


def header(**changes):
    about = {"one": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}
    text = json.dumps(about).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (1 << 62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"\xff\xfe{}",
        header(shape=[3]),
        header(shape=[-1, -2]),
        header(shape="2"),
        header(dtype="F31"),
        header(data_offsets=[1, 9]),
        header(data_offsets=[0]),
        header() + b"more",
        header()[:-1],
    ],
)
def test_what_is_no_such_file_is_none(content, tmp_path):
    assert pieces.read(parts(tmp_path, content, 1000), hashlib.sha256()) is None
    whole = pieces.read(parts(tmp_path, header(), 1000), hashlib.sha256())
    assert whole is not None
    assert torch.equal(whole["one"], load(header())["one"])


def test_a_number_that_is_not_finite_is_found_in_any_block(monkeypatch):
    monkeypatch.setattr(pieces, "BLOCK", 4)
    bad = torch.zeros(3, 3)
    assert pieces.not_finite({"good": bad, "count": torch.arange(9)}) is None
    bad[2, 2] = torch.inf
    assert pieces.not_finite({"good": torch.zeros(1), "bad": bad}) == "bad"
