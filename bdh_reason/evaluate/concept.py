"""Rows of the synapses of a model that answer to one concept: candidates from one half of the sentences, tested on the other half.

Axes: t tokens, S sentences, C candidates, H heads, N neurons of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdh_reason import rng
from bdh_reason.bdh import synapses
from bdh_reason.bdh.probe import observed, written
from bdh_reason.data.build import Progress
from bdh_reason.errors import UserError
from bdh_reason.evaluate.source import check_text, digest, inside, read
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import device_of

CANDIDATES = 50
SYNAPSES = 2**24
METHOD = "mean over tokens of y_i x_j, y of the layer before; Welch t on one half, one-sided Mann-Whitney on the other, Holm over the candidates"
Row = dict[str, Any]


@dataclass(frozen=True)
class Sentences:
    """Sentences as bytes, whether each has the concept (bool [S]), and what a row says about their file."""

    texts: list[np.ndarray]
    present_S: np.ndarray
    about: Row


def sentences(reasoner: Reasoner, path: Path) -> Sentences:
    """The labelled sentences of a file: lines of `present` or `absent`, a tab and a sentence.

    Raises UserError naming the first line that is none, for a model that reads no text, and for so few that no synapse could be significant.
    """
    check_text(reasoner)
    content, texts, labels = read(path), [], []
    for number, line in enumerate(content.splitlines(), 1):
        label, _, sentence = line.partition(b"\t")
        if label not in (b"present", b"absent") or not sentence.strip():
            raise UserError(f"{path}, line {number} is no labelled sentence", "`present` or `absent`, a tab, a sentence")
        texts.append(np.frombuffer(sentence, np.uint8))
        labels.append(label == b"present")
    held = [(labels.count(label) + 1) // 2 for label in (True, False)]
    least = synapses.attainable(*held) * CANDIDATES
    if least > synapses.LEVEL:
        given = f"{path}: sentences with the concept {labels.count(True)}, without it {labels.count(False)}"
        raise UserError(given, f"enough for a test on half of them to show something among {CANDIDATES} candidates", "14 of each are")
    return Sentences(texts, np.array(labels, bool), digest(content, path.name))


def concept(reasoner: Reasoner, given: Sentences, depth: int, seed: int, progress: Progress) -> list[Row]:
    """One row a candidate, those that fired most selectively in the first half first.

    Raises UserError for a model of one layer at depth 1, in which no neuron fires before another, and for more synapses than can be searched.
    """
    config = inside(reasoner).config
    transitions, neurons = depth * config.layers - 1, config.n // config.heads
    count = transitions * config.heads * neurons**2
    if not 0 < count <= SYNAPSES:
        raise UserError(f"{count:,} synapses between the layers of {depth} steps", f"1 to {SYNAPSES:,}", "--depth changes it")
    search_S, done = synapses.halves(given.present_S, rng.generator(seed, "probe concept")), 0

    def fired(chosen_S: np.ndarray) -> Iterator[tuple[bool, np.ndarray]]:
        nonlocal done
        for place in np.flatnonzero(chosen_S):
            progress(done := done + 1, len(given.texts))
            yield bool(given.present_S[place]), strength(reasoner, given.texts[place], depth)

    places = synapses.search(fired(search_S), CANDIDATES)
    index = tuple(np.array(places, np.int64).reshape(-1, 4).T)
    strength_SC = np.stack([of_sentence[index] for _, of_sentence in fired(~search_S)])
    present_S = given.present_S[~search_S]
    about = {
        **{"searched": count, "search_sentences": int(search_S.sum()), "candidates": len(places)},
        **{"present": int(present_S.sum()), "absent": int((~present_S).sum()), **given.about, "method": METHOD},
    }
    answers = synapses.check(places, strength_SC, present_S)
    return [{"probe": "synapse", **_place(answer, config.layers), **about} for answer in answers]


def _place(answer: synapses.Answer, layers: int) -> Row:
    """The synapse of `head` from neuron i of the layer before to neuron j of this one, and its test; steps and layers count from 1."""
    transition, head, i, j = answer.place
    tested = {key: value for key, value in asdict(answer).items() if key != "place"}
    return {"step": (transition + 1) // layers + 1, "layer": (transition + 1) % layers + 1, "head": head, "i": i, "j": j, **tested}


@torch.inference_mode()
def strength(reasoner: Reasoner, text_T: np.ndarray, depth: int) -> np.ndarray:
    """How strongly every synapse fires in a sentence, float32 [transitions, H, N, N]."""
    tokens_1t = torch.from_numpy(text_T.astype(np.int64))[None].to(device_of(reasoner))
    seen = observed(inside(reasoner), reasoner.board, reasoner.think(tokens_1t, depth), lambda x_H1tN, y_H1tN: (x_H1tN[:, 0], y_H1tN[:, 0]))
    activity = [[torch.cat(parts, 1) for parts in zip(*windows)] for step in seen for windows in step]
    return np.stack([written(y_HtN, x_HtN).cpu().numpy() for (_, y_HtN), (x_HtN, _) in pairwise(activity)])
