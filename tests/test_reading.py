"""What a text costs is what the whole prefix says, in streams and in windows, whatever the lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason import bdh, discover
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.reason.reading import code_lengths, context, starts
from bdh_reason.task import MARK
from bdh_reason.train.initial import initial

BOARD = discover.build_corpus("text", {"window": 8}).board("cells", "sequence")
LOOP = Loop(feedback=False, inject=False)
DEPTH = 2
SOFTMAX = discover.model_module("transformer").Config(d=8, heads=2, hidden=8, relations=False)
MODELS = {"bdh": bdh.Config(d=6, n=24, heads=2, relations=False), "transformer": SOFTMAX}
REASONERS = {name: Reasoner(initial(discover.model_module(name).Model, config, BOARD, 0, False).double(), BOARD, LOOP) for name, config in MODELS.items()}
documents = st.lists(st.binary(min_size=1, max_size=40).map(lambda text: np.maximum(np.frombuffer(text, np.uint8), 1)), min_size=1, max_size=5)


def costs(thinker, text, first, last):
    """Bits of the bytes first … last − 1 of a text, from one look at all before the last."""
    tokens_1t = torch.from_numpy(text[None, : last - 1].astype(np.int64))
    with torch.no_grad():
        *_, logits_1tS = thinker.think(tokens_1t, DEPTH)
    share_t = logits_1tS.log_softmax(-1)[0].numpy()[np.arange(last - 1), text[1:last]] / -math.log(2)
    return share_t[first - 1 :].sum()


def marked(document):
    return np.concatenate([[MARK], document])


@pytest.mark.parametrize("name", MODELS)
@given(documents)
def test_a_stream_costs_what_the_whole_document_costs(name, given_documents):
    thinker = REASONERS[name]
    expected = [costs(thinker, marked(document), 1, 1 + len(document)) for document in given_documents]
    np.testing.assert_allclose(code_lengths(thinker, given_documents, DEPTH, stream=True), expected, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@given(documents)
def test_windows_cost_each_byte_once_with_the_context_that_is_stated(name, given_documents):
    thinker, length = REASONERS[name], BOARD.positions
    expected = []
    for document in given_documents:
        text, bits = marked(document), 0.0
        for start in starts(len(document), length):
            last = min(start + length + 1, len(text))
            first = 1 if start == 0 else context(length) + 1
            bits += costs(thinker, text[start:last], first, last - start)
        expected.append(bits)
    np.testing.assert_allclose(code_lengths(thinker, given_documents, DEPTH, stream=False), expected, rtol=1e-5)
    short = [document[:length] for document in given_documents]
    np.testing.assert_allclose(code_lengths(thinker, short, DEPTH, False), code_lengths(thinker, short, DEPTH, True), rtol=1e-5)


@given(st.integers(1, 200), st.integers(2, 20))
def test_windows_cover_a_document_without_a_gap_or_an_overlap_of_what_is_scored(size, length):
    scored = [byte for start in starts(size, length) for byte in range(start + (context(length) if start else 0), min(start + length, size))]
    assert scored == list(range(size))
    assert all(start < size for start in starts(size, length))
