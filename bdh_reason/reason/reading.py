"""What texts cost a model in bits: every byte of a document is predicted from those before it, the first from the MARK that stands before them all.

As streams: the document is read in order and everything before a byte is remembered. In windows: each of `board.positions` bytes, begun half a window
after the one before it, stands alone, and only what is new in it is scored.

Axes: B documents or windows, T bytes of a window, S symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import ROOM, device_of
from bdh_reason.task import MARK


def code_lengths(reasoner: Reasoner, documents: Sequence[np.ndarray], depth: int, stream: bool) -> np.ndarray:
    """Bits of each document after `depth` latent steps a byte, float64 [n]. Raises UserError as `Reasoner.read` does."""
    bits_n, length = np.zeros(len(documents)), reasoner.board.positions
    batch = max(1, ROOM[device_of(reasoner).type != "cpu"] // length)
    with torch.inference_mode():
        if stream:
            order_n = np.argsort([len(document) for document in documents], kind="stable")
            for chosen in (order_n[start : start + batch] for start in range(0, len(order_n), batch)):
                bits_n[chosen] = _stream(reasoner, [documents[n] for n in chosen], depth)
        else:
            places = [(n, start) for n, document in enumerate(documents) for start in starts(len(document), length)]
            for chosen_B in (places[start : start + batch] for start in range(0, len(places), batch)):
                np.add.at(bits_n, [n for n, _ in chosen_B], _windows(reasoner, [(documents[n], start) for n, start in chosen_B], depth))
    return bits_n


def starts(size: int, length: int) -> range:
    """Where the windows of a document of `size` bytes begin. Only a first window has fewer than `context` bytes before those it scores."""
    step = length - context(length)
    return range(0, max(size - length, 0) + step, step)


def context(length: int) -> int:
    """How many bytes the first scored byte of a later window has before it in its window, its own predecessor included."""
    return length - length // 2


def _stream(reasoner: Reasoner, documents: Sequence[np.ndarray], depth: int) -> np.ndarray:
    length, longest = reasoner.board.positions, max(map(len, documents))
    text_BT = np.full((len(documents), 1 + -(-longest // length) * length), MARK, np.uint8)
    for row_T, document in zip(text_BT, documents):
        row_T[1 : 1 + len(document)] = document
    states, bits_n = reasoner.begin(len(documents), depth), np.zeros(len(documents))
    for start in range(0, longest, length):
        prompt_BT, target_BT = text_BT[:, start : start + length], text_BT[:, start + 1 : start + length + 1]
        logits_BTS, states = reasoner.read(_tokens(reasoner, prompt_BT), states)
        bits_n += _bits(logits_BTS, target_BT, target_BT != MARK)
    return bits_n


def _windows(reasoner: Reasoner, places: Sequence[tuple[np.ndarray, int]], depth: int) -> np.ndarray:
    """Bits of what is new in windows of documents that begin at the given places, float64 [B]."""
    length = reasoner.board.positions
    text_BT = np.full((len(places), length + 1), MARK, np.uint8)
    for row_T, (document, start) in zip(text_BT, places):
        part_t = np.concatenate([np.array([MARK], np.uint8), document])[start : start + length + 1]
        row_T[: len(part_t)] = part_t
    new_BT = (np.array([start for _, start in places])[:, None] == 0) | (np.arange(length) >= context(length))
    *_, logits_BTS = reasoner.think(_tokens(reasoner, text_BT[:, :-1]), depth)
    return _bits(logits_BTS, text_BT[:, 1:], new_BT & (text_BT[:, 1:] != MARK))


def _tokens(reasoner: Reasoner, prompt_BT: np.ndarray) -> Tensor:
    return torch.from_numpy(prompt_BT.astype(np.int64)).to(device_of(reasoner))


def _bits(logits_BTS: Tensor, target_BT: np.ndarray, scored_BT: np.ndarray) -> np.ndarray:
    """−log2 of the probability of the scored bytes of each row, summed, float64 [B]."""
    wanted_BT = torch.from_numpy(np.where(scored_BT, target_BT.astype(np.int64), -1)).to(logits_BTS.device)
    nats_BT = cross_entropy(logits_BTS.mT.float(), wanted_BT, ignore_index=-1, reduction="none")
    bits_B: np.ndarray = (nats_BT.double().sum(1) / math.log(2)).cpu().numpy()
    return bits_B
