"""What a measurement was taken on, and what it could have reached."""

from __future__ import annotations

import platform
import re
from pathlib import Path

PEAKS = {  # dense bf16 FLOP/s by NVIDIA's data sheets; a name stands for all that have its words, unless a longer one does
    "A100": 312e12,
    "H100": 989.4e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H200": 989.5e12,
    "H200 NVL": 835.5e12,
}


def processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def peak(device: str) -> float | None:
    """Dense bf16 FLOP/s of a device by its name, or None where that is not known here, as of the slices that MIG cuts."""
    words = set(re.findall(r"[A-Za-z0-9]+", device))
    found = [name for name in PEAKS if words.issuperset(name.split()) and "MIG" not in words]
    return PEAKS[max(found, key=len)] if found else None
