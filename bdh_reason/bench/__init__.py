"""Benchmarks: `bench, case, value, unit, against, ratio, device`, where ratio is value / against and the case says against what.

The package's own are modules of this folder with a function `bench()`; a task's folder brings its own in a function `bench(puzzles)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bdh_reason import discover
from bdh_reason.errors import UserError, unknown

BDH = ("layer", "boards", "decode", "long")
OWN = (*BDH, "families", "report", "tracking")


def bench(what: str, puzzles: Path | None) -> Iterator[dict[str, Any]]:
    """The rows of one benchmark. Raises UserError for something that has none and for a folder that does not exist."""
    if puzzles and not puzzles.is_dir():
        raise UserError(f"{puzzles} is no folder", "a folder of puzzle lists")
    if what in OWN and puzzles:
        raise UserError(f"bench {what} with --puzzles", "--puzzles with a task")
    if what in OWN:
        return importlib.import_module(f"{__name__}.{what}").bench()
    known = {name: module for name in discover.task_names() if hasattr(module := discover.task_module(name), "bench")}
    if what not in known:
        raise unknown("benchmark", what, {*OWN, *known})
    return known[what].bench(puzzles)


def sentence(row: dict[str, Any]) -> str:
    """One measurement for people."""
    return f"{row['bench']} {row['case']}: {row['value']:,.4g} {row['unit']}, {row['ratio']:,.2f} × {row['against']:,.4g}, on {row['device']}"
