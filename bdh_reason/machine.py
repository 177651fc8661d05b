"""What a measurement was taken on."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]
