"""The one kind of error a user can cause, and the search for what they may have meant. Nothing here imports anything heavy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import PurePath


class UserError(Exception):
    """A mistake in what the user gave: the command line shows this message alone and ends with exit code 2.

    `given` says what was wrong and where, `allowed` what would have been right, `remedy` what to do next.
    """

    def __init__(self, given: str, allowed: str = "", remedy: str = "") -> None:
        self.given, self.allowed, self.remedy = given, allowed, remedy
        super().__init__(given, allowed, remedy)

    def __str__(self) -> str:
        parts = [self.given, f"allowed: {self.allowed}" if self.allowed else "", self.remedy]
        return "; ".join(part for part in parts if part)


class UnwritableError(UserError):
    """Something that the disk refuses, whatever is written."""


class BusyError(UserError):
    """Something that another process is at."""


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> UserError:
    """The error for a name that does not exist: it lists the names that do and points at the nearest one."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    place = f" in {where}" if where else ""
    hint = f"did you mean {nearest[0]!r}?" if nearest else ""
    if name.endswith((".yaml", ".yml")) and (stem := PurePath(name).stem) in names:
        hint = f"there is no such file; the name alone, {stem}, stands for the {kind} that comes with the package"
    return UserError(f"unknown {kind} {name!r}{place}", ", ".join(names) or "none", hint)


class RunError(Exception):
    """A run that cannot go on through no mistake of the user: shown without a traceback, exit code 1."""


class InterruptedRunError(RunError):
    """A run that was told to stop; what it had done is whole, and the same command continues."""
