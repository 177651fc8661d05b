"""Batches of a text are a function of seed and step; streams read every document from its beginning and in order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.data.windows import Windows
from bdh_reason.errors import UserError
from bdh_reason.task import MARK, Corpus


class Given(Corpus):
    """Training documents as they are given."""

    name = "given"
    version = "1"

    def __init__(self, documents):
        self.found = [np.frombuffer(document, np.uint8) for document in documents]

    def splits(self):
        return {"train": self.found, "validation": [], "test": []}

    def about(self):
        return {"source": "given"}


def letters(length, first):
    return bytes((first + place) % 255 + 1 for place in range(length))


texts = st.lists(st.integers(1, 40), min_size=3, max_size=12).map(lambda sizes: Given([letters(size, 7 * place) for place, size in enumerate(sizes)]))


@pytest.mark.parametrize("stream", [False, True])
@given(text=texts, seed=st.integers(0, 9), step=st.integers(0, 50))
def test_prompts_are_the_bytes_before_their_targets(stream, text, seed, step):
    size, length = 2, 5
    if sum(map(len, text.found)) < 12:
        return
    batch = Windows(text, size, length, seed, stream).at(step)
    again = Windows(text, size, length, seed, stream).at(step)
    assert np.array_equal(batch.prompt, again.prompt)
    assert batch.prompt.shape == batch.target.shape == batch.scored.shape == (size, length)
    assert (batch.prompt.dtype, batch.target.dtype, batch.scored.dtype, batch.family.dtype) == (np.uint8, np.uint8, np.bool_, np.uint64)
    assert batch.scored.any(1).all()
    for prompt_T, target_T, scored_T in zip(batch.prompt, batch.target, batch.scored):
        known = scored_T[1:]
        assert np.array_equal(prompt_T[1:][known], target_T[:-1][known])


def test_another_step_or_seed_is_another_batch():
    text = Given([letters(3000, 0)])
    batches = [Windows(text, 4, 16, seed).at(step).prompt.tobytes() for seed in (0, 1) for step in (0, 1)]
    assert len(set(batches)) == 4
    assert Windows(text, 4, 16, 0).at(0).scored.all()


def streams(text, size, length, steps, seed=0):
    """What each place reads: documents as bytes, each begun anew at a MARK."""
    windows, read = Windows(text, size, length, seed, stream=True), [[] for _ in range(size)]
    for step in range(steps):
        batch = windows.at(step)
        for place in range(size):
            prompt_T, kept = batch.prompt[place], batch.target[place][batch.scored[place]].tobytes()
            if prompt_T[0] == MARK:
                read[place].append(b"")
            assert read[place], "every place begins with a document"
            assert prompt_T[0] == MARK or prompt_T[0] == read[place][-1][-1]
            read[place][-1] += kept
    return read


@given(texts, st.integers(1, 3))
def test_every_place_reads_whole_documents_in_order(text, size):
    length = 4
    total = sum(-(-len(document) // length) for document in text.found)
    known = {document.tobytes() for document in text.found}
    for documents in streams(text, size, length, total // size):
        assert all(document in known for document in documents[:-1])
        assert any(document.startswith(documents[-1]) for document in known)


def test_an_epoch_reads_almost_every_document_once_and_the_next_in_another_order():
    text = Given([letters(20 + place % 5, 51 * place) + bytes([1 + place]) for place in range(200)])
    total = sum(-(-len(document) // 8) for document in text.found)
    counts = Counter(document for documents in streams(text, 4, 8, total // 4) for document in documents)
    assert sum(counts.values()) <= 204
    assert len(counts) >= 196
    first, second = (streams(text, 4, 8, 3, seed) for seed in (0, 1))
    assert first != second
    windows = Windows(text, 4, 8, 0, stream=True)
    assert (windows.at(total // 4).prompt[:, 0] == MARK).all(), "an epoch begins with documents at every place"
    assert not np.array_equal(windows.at(0).target, windows.at(total // 4).target)


def test_a_text_with_too_few_windows_is_refused():
    text = Given([letters(30, 0)])
    with pytest.raises(UserError, match="windows of 41 bytes"):
        Windows(text, 1, 40, 0)
    with pytest.raises(UserError, match="5 streams through a text of 1 documents"):
        Windows(text, 5, 8, 0, stream=True)
    with pytest.raises(UserError, match="no document of"):
        Windows(Given([]), 1, 8, 0)
