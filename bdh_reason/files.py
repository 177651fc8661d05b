"""Files are written whole or not at all, and what the disk refuses is told to the user."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bdh_reason.errors import UserError


def replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: under another name, on the disk, then renamed."""
    draft = path.with_name(path.name + ".draft")
    with draft.open("wb") as file:
        file.write(content)
        sync(file)
    os.replace(draft, path)


def sync(file: Any) -> None:
    """Nothing counts as written before the disk has it."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A full disk, a folder one may not write to and their like are the user's to mend: OSError becomes UserError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"{'free some space' if full else 'choose another place'}, then run the same command again: what is finished is kept"
        raise UserError(f"cannot write to {folder}: {error.strerror or error}", "a folder that may be written to, with enough space", remedy) from error
