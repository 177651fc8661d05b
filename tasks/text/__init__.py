"""Text, byte by byte: a file or a folder, a known text, or a made-up language whose floor in bits per byte is known.

Documents of some 2,048 bytes fall into train, validation and test by their content, and a line of 24 bytes or more is in one of them only. `europarl`
holds pairs of lines like `<F:en>The debate is closed.<T:fr>Le débat est clos.`, half of them the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import task
from bdh_reason.errors import UserError, unknown
from bdh_reason.rng import generator

from . import sources
from .documents import by_split, cut, long_lines
from .synthetic import CONTEXTS, LETTERS, Language

MANY, SHORT = 200, 100  # a short text is cut into about so many documents of at least so many bytes, so that every split gets some
PRESETS = {name: {"source": name} for name in sources.KNOWN}


@dataclass(frozen=True)
class Config:
    """source: the name of a known text; without one the text lies at `path`, a file or a folder, and without that too it is the made-up language.

    path of a known text: the folder of its files, into which they are downloaded where there is a network (default: datasets/text) · window: bytes read at
    once · document: bytes of a document, about; fewer in a text that would have too few of them · shares of train, validation and test · of the made-up
    language: a chain of `order` over so many `letters`, and its `documents` of `length` letters, a function of `seed`.
    """

    source: str = ""
    path: str = ""
    window: int = 256
    document: int = 2048
    shares: tuple[float, float, float] = (0.9, 0.05, 0.05)
    order: int = 2
    letters: int = 16
    documents: int = 1000
    length: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if self.source and self.source not in sources.KNOWN:
            raise unknown("text", self.source, sources.KNOWN)
        if self.window < 2 or self.document < 1 or self.documents < 1 or not 1 <= self.order <= 4 or self.length < self.order:
            raise UserError(f"a text with {self}", "a window of 2 or more, a document and documents of 1 or more, an order of 1 to 4, a length from it on")
        if not 2 <= self.letters <= len(LETTERS) or self.letters**self.order > CONTEXTS:
            raise UserError(f"{self.letters} letters in a chain of order {self.order}", f"2 to {len(LETTERS)} letters, and up to {CONTEXTS:,} contexts")
        if len(self.shares) != 3 or not all(0 <= share <= 1 for share in self.shares) or abs(sum(self.shares) - 1) > 1e-9:
            raise UserError(f"shares {self.shares}", "three numbers from 0 to 1 (train, validation, test) that add up to 1")


class Corpus(task.Corpus):
    """Text on the contract of `bdh_reason.task`; nothing is read or made before it is asked for."""

    name = "text"
    version = "1"

    def __init__(self, config: Config) -> None:
        self.config = config
        made_up = not config.source and not config.path
        self.language = Language(config.order, config.letters, config.seed) if made_up else None

    def splits(self) -> dict[str, list[np.ndarray]]:
        return self._splits

    def about(self) -> dict[str, Any]:
        config = self.config
        if self.language:
            return {"source": "synthetic", **{key: getattr(config, key) for key in ("order", "letters", "documents", "length", "seed")}}
        return {"source": config.source or Path(config.path).name}

    def traces(self, document: np.ndarray) -> set[bytes]:
        return long_lines(document.tobytes()) or super().traces(document)

    def floor(self, documents: Sequence[np.ndarray]) -> np.ndarray | None:
        return np.array([self.language.bits(document) for document in documents]) if self.language else None

    @cached_property
    def _splits(self) -> dict[str, list[np.ndarray]]:
        config = self.config
        if self.language:
            written_nT = self.language.write(generator(config.seed, "synthetic text"), config.documents, config.length)
            return by_split(dict.fromkeys(document_T.tobytes() for document_T in written_nT), config.shares)
        texts = sources.known(config.source, Path(config.path) if config.path else sources.FOLDER) if config.source else sources.at(Path(config.path))
        documents = cut(texts, min(config.document, max(SHORT, sum(map(len, texts)) // MANY)))
        if (length := sum(map(len, documents))) <= config.window:
            raise UserError(f"{self.about()['source']} holds {length} bytes of text", f"more than the {config.window} of a window")
        return by_split(documents, config.shares)
