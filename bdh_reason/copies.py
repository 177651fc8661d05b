"""The same command as several processes, one for each device: their words pass through, and what this process is told they are told."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that a process is sent when the one that began it is gone
POLL, GRACE = 0.1, 30.0  # seconds between two looks, and those from being told to end to being killed


def run(environments: Sequence[Mapping[str, str]], together: bool) -> int:
    """Begins the command once in each of these environments, laid over this one's, and waits for all; returns the highest exit code, as a shell counts.

    SIGINT, SIGTERM and SIGUSR1 are handed on; on Linux the copies are told to end where this process is killed. Where they do their work `together`,
    one that fails is the end of all, and its exit code counts.
    """
    sys.stdout.flush()
    command = [sys.executable, "-m", "bdh_reason", *sys.argv[1:]]
    kinds, running = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1), list[subprocess.Popen[bytes]]()

    def tell(kind: int, *_: Any) -> None:
        for process in running:
            if process.poll() is None:
                process.send_signal(kind)

    before = {kind: signal.signal(kind, tell) for kind in kinds}
    try:
        for environment in environments:  # in groups of their own, or a terminal's Ctrl-C would reach them twice
            running.append(subprocess.Popen(command, env={**os.environ, **environment}, process_group=0, preexec_fn=_end_with_parent))
        while None in (codes := [process.poll() for process in running]):
            time.sleep(POLL)
            if together and any(codes):
                tell(signal.SIGTERM)
                _end(running)
                break
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    return max(code if code >= 0 else 128 - code for code in codes if code is not None)


def _end_with_parent() -> None:
    """SIGKILL leaves no time to hand anything on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Waits for processes that were told to end, and kills those that do not."""
    last = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(0.0, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
