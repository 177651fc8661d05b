"""How often a cell was begun and nobody heard of it again: the kernel kills a process that wants too much memory, and the next one would fare no better."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bdh_reason.errors import RunError
from bdh_reason.files import replace, writing

MOST = 3


@contextmanager
def counted(mark: Path, kept: list[str]) -> Iterator[None]:
    """An attempt, of which the file `mark` tells until it ends in its own words, be it an error or an interrupt.

    `kept` says what earlier ones left: whoever left anything new did not fail, and the count begins anew. Raises RunError after MOST that left nothing.
    """
    now = hashlib.sha256("\n".join(kept).encode()).hexdigest()
    told = json.loads(mark.read_bytes()) if mark.exists() else {}
    before = told["begun"] if told.get("kept") == now else 0
    if before >= MOST:
        raise RunError(f"begun {before} times and killed each time before anything new was kept, often for want of memory: remove {mark.name} to try again")
    with writing(mark.parent):
        mark.parent.mkdir(parents=True, exist_ok=True)
        replace(mark, json.dumps({"kept": now, "begun": before + 1}).encode())
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)
