"""Tensors to the bytes of a safetensors file and back, piece by piece: no more than one tensor, and one piece of a file, is held beside the tensors themselves.

The file: the length of a JSON header (8 bytes, little-endian), the header (name: dtype, shape, first and last byte), and the numbers of one tensor after the
other (github.com/huggingface/safetensors, "Format"). Nothing in it can run code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bdh_reason.train import ranks
from bdh_reason.train.shards import own, whole

CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
KINDS = {code: dtype for dtype, code in CODES.items()}
BLOCK = 1 << 24  # numbers looked at, at once


def _order(tensors: dict[str, Tensor]) -> list[str]:
    """The widest numbers first, so that every tensor begins at a multiple of its own number's size; among these by name."""
    return sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))


def _header(tensors: dict[str, Tensor]) -> bytes:
    about, end = {}, 0
    for name in _order(tensors):
        tensor = tensors[name]
        begin, end = end, end + tensor.numel() * tensor.itemsize
        about[name] = {"dtype": CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def size(tensors: dict[str, Tensor]) -> int:
    """The bytes of the whole file."""
    return len(_header(tensors)) + sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())


def content(tensors: dict[str, Tensor]) -> Iterator[memoryview]:
    """The file from beginning to end. Of tensors in shards all processes must go through it."""
    yield memoryview(_header(tensors))
    for name in _order(tensors):
        yield _bytes(whole(tensors[name].detach()).cpu().contiguous())


def _bytes(tensor: Tensor) -> memoryview:
    """A contiguous tensor's own memory."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def cut(stream: Iterable[memoryview], length: int) -> Iterator[bytes]:
    """The same bytes in pieces of one length, the last one shorter."""
    piece = bytearray()
    for part in stream:
        while len(part):
            taken = part[: length - len(piece)]
            piece += taken
            part = part[len(taken) :]
            if len(piece) == length:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)


def not_finite(tensors: dict[str, Tensor]) -> str | None:
    """The name of a tensor that is not finite, if any process has one."""
    bad = [name for name, tensor in tensors.items() if not all(torch.isfinite(block).all() for block in torch.split(own(tensor.detach()).reshape(-1), BLOCK))]
    return next(iter(bad), "a shard") if ranks.anyone(bool(bad)) else None


def read(parts: Iterable[Path], seen: Any) -> dict[str, Tensor] | None:
    """The tensors of a file that lies in small `parts`; None where it is no such file. `seen` (of hashlib) is updated with every byte."""
    whole = _Joined(parts, seen)
    length = int.from_bytes(whole.take(8), "little")
    if length > whole.held - 8:
        return None
    try:
        about = json.loads(whole.take(length))
        places = sorted((entry["data_offsets"], name, KINDS[entry["dtype"]], entry["shape"]) for name, entry in about.items() if name != "__metadata__")
        ends = [0, *(end for (_, end), *_ in places)]
        sizes = [torch.Size(shape).numel() * dtype.itemsize for *_, dtype, shape in places]
        if ends[-1] != whole.held - 8 - length or [[begin, begin + size] for begin, size in zip(ends, sizes)] != [place for place, *_ in places]:
            return None
        tensors = {name: torch.empty(shape, dtype=dtype) for _, name, dtype, shape in places}
    except (ValueError, KeyError, AttributeError, TypeError, RuntimeError):
        return None
    for _, name, *_ in places:
        whole.fill(_bytes(tensors[name]))
    return tensors


class _Joined:
    """Several files read as one."""

    def __init__(self, parts: Iterable[Path], seen: Any) -> None:
        self.parts, self.seen, self.rest = list(parts), seen, memoryview(b"")
        self.held = sum(part.stat().st_size for part in self.parts)

    def take(self, length: int) -> bytes:
        """The next bytes; zeros after the end."""
        room = bytearray(min(length, self.held))
        self.fill(memoryview(room))
        return bytes(room)

    def fill(self, room: memoryview) -> None:
        """Reads as many bytes as there is room for."""
        while len(room) and (self.rest or self.parts):
            if not self.rest:
                self.rest = memoryview(self.parts.pop(0).read_bytes())
                self.seen.update(self.rest)
            count = min(len(room), len(self.rest))
            room[:count], self.rest, room = self.rest[:count], self.rest[count:], room[count:]
