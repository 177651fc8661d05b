"""What is installed and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from bdh_reason import __version__

KNOWN_BAD = {
    ("lightning", "2.6.2"): "this release steals credentials: rotate yours, then `pip install 'lightning>=2.6.6,<2.7'`",
    ("lightning", "2.6.3"): "this release steals credentials: rotate yours, then `pip install 'lightning>=2.6.6,<2.7'`",
    ("lightning", "2.6.5"): "loading a checkpoint of Lightning's own format can run code: `pip install 'lightning>=2.6.6,<2.7'`",
}
PACKAGES = ("torch", "lightning", "numpy", "numba", "scipy", "pydantic", "wandb", "wandb-workspaces", "safetensors")


def findings() -> Iterator[str]:
    """One line a finding: what it is, and where something should be done, what."""
    yield f"bdh-reason {__version__} · Python {platform.python_version()} · {platform.platform()}"
    for package in PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield f"{package}: not installed · pip install {package}"
            continue
        remedy = KNOWN_BAD.get((package, version))
        yield f"{package} {version}" + (f" · BAD: {remedy}" if remedy else "")
    yield _devices()
    compiler = shutil.which("g++") or shutil.which("clang++")
    yield f"C++ compiler: {compiler}" if compiler else "C++ compiler: none · only torch.compile needs one"
    yield f"free disk here: {shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB"
    from bdh_reason.tracking import has_key

    yield "W&B: a key is configured, runs are logged online" if has_key() else "W&B: no key, runs are logged offline · `wandb login` changes that"


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"devices: {cores} CPU cores, {torch.get_num_threads()} torch threads, " + (f"CUDA: {', '.join(gpus)}" if gpus else "no CUDA device")
