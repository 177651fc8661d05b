"""Files are written whole or not at all, and what the disk refuses is told to the user."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from bdh_reason.errors import BusyError, UnwritableError


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


def writable(path: Path) -> None:
    """Raises UnwritableError where a file could not be written: said before the work whose result it takes. Leaves nothing behind."""
    with writing(path):
        if path.exists():
            path.open("ab").close()
        else:  # what was made here and removed again could be another process's by then
            TemporaryFile(dir=next(parent for parent in path.parents if parent.exists())).close()


@contextmanager
def alone(folder: Path, wait: bool) -> Iterator[None]:
    """Keeps every other process that asks for the same out of a folder, which is made if need be; the hold ends with the process, however that ends.

    Where another one is in it: waits for it, or raises BusyError. A file system without such holds grants them all.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        hold = os.open(folder, os.O_RDONLY)
    try:
        _take(hold, folder, wait)
        yield
    finally:
        os.close(hold)


def _take(hold: int, folder: Path, wait: bool) -> None:
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if not wait:
            raise BusyError(f"another process is at work in {folder}", "one at a time", "wait for it or stop it, or choose another folder") from error
        print(f"waiting for another process that is at work in {folder}", file=sys.stderr, flush=True)
        fcntl.flock(hold, fcntl.LOCK_EX)
    except OSError:
        return  # no such holds here, as on some network drives


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A full disk, a folder one may not write to and their like are the user's to mend: OSError becomes UnwritableError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"{'free some space' if full else 'choose another place'}, then run the same command again: what is finished is kept"
        raise UnwritableError(f"cannot write to {folder}: {error.strerror or error}", "a folder that may be written to, with enough space", remedy) from error
