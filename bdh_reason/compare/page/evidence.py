"""What a page is made from, and what its sections are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bdh_reason.compare.horizon import Curve, curves
from bdh_reason.compare.page.chart import COLOURS
from bdh_reason.compare.page.figures import Figure, asked, called, problems
from bdh_reason.evaluate.rows import Row


@dataclass(frozen=True)
class Evidence:
    """rows: of those that answer the same question the newest · learning: those of learning after training, never among the others · boards: films as
    evaluate/page.py tells them · claims: what others say, never mixed with rows · files: that rows were read from · left_out: what is wrong with lines that
    are no rows · older: how many rows are not among these because newer ones answer the same question · failed: a sentence for each run without a result.
    """

    rows: Sequence[Row]
    boards: Sequence[Mapping[str, Any]]
    claims: Sequence[Mapping[str, Any]]
    files: Sequence[Path]
    left_out: Sequence[str]
    learning: Sequence[Row] = ()
    older: int = 0
    failed: Sequence[str] = ()

    @cached_property
    def look(self) -> dict[str, int]:
        """Each model's place in the palette, the same in all figures: the first that none of those beside it has, those with the most rows first."""
        beside: dict[str, set[str]] = defaultdict(set)
        for row in asked(self.rows):
            beside[problems(row)].add(_name(row))
        look: dict[str, int] = {}
        for name, _ in sorted(Counter(map(_name, asked(self.rows))).items(), key=lambda item: (-item[1], item[0])):
            taken = {look[other] for its in beside.values() if name in its for other in its if other in look}
            look[name] = next((place for place in range(COLOURS) if place not in taken), len(look) % COLOURS)
        for place, arch in enumerate(sorted({row.arch for row in self.rows if row.arch})):  # lines of ladders are those of architectures
            look.setdefault(arch, place % COLOURS)
        return look

    def colour(self, row: Row) -> int:
        """Of the model of a row; that of the last for guesses."""
        return self.look.get(_name(row), COLOURS - 1)

    @cached_property
    def curves(self) -> list[Curve]:
        """Those of rows with a horizon."""
        return curves(self.rows)


def _name(row: Row) -> str:
    return called(row.task, row.model if row.horizon is None else row.recipe or row.model)


@dataclass(frozen=True)
class Section:
    """name: its anchor · about: a sentence below its title · figures: drawn after its body."""

    name: str
    title: str
    about: str
    body: str = ""
    figures: tuple[Figure, ...] = ()
