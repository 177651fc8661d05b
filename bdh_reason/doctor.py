"""What is installed and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from bdh_reason import __version__
from bdh_reason.machine import peak, processor
from bdh_reason.tracking import has_key, unpushed

BAD = "BAD: "  # what a line says before what has to be done
STEALS = "this release steals credentials: rotate yours, then `pip install 'lightning>=2.6.6,<2.7'`"
RUNS_CODE = "loading a checkpoint of Lightning's own format can run code: `pip install 'lightning>=2.6.6,<2.7'`"
KNOWN_BAD = {
    **{(package, version): STEALS for package in ("lightning", "pytorch-lightning") for version in ("2.6.2", "2.6.3")},
    **{(package, version): RUNS_CODE for package in ("lightning", "pytorch-lightning") for version in ("2.6.4", "2.6.5")},
}
PACKAGES = ("torch", "lightning", "pytorch-lightning", "numpy", "numba", "scipy", "pydantic", "wandb", "wandb-workspaces", "safetensors")
ROOM = 2.0  # GB; fewer, and a data set or a checkpoint may not fit


def findings() -> Iterator[str]:
    """One line a finding: what it is, and where something should be done, what; after `BAD` where it has to be."""
    yield f"bdh-reason {__version__} · Python {platform.python_version()} · {platform.platform()}"
    for package in PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield f"{package}: not installed" + ("" if package == "pytorch-lightning" else f" · pip install {package}")
            continue
        remedy = KNOWN_BAD.get((package, version))
        yield f"{package} {version}" + (f" · {BAD}{remedy}" if remedy else "")
    yield from _devices()
    yield _compiler()
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield f"free disk here: {disk:.1f} GB" + ("" if disk > ROOM else f" · {BAD}free some, or work elsewhere: runs and data sets are written below this folder")
    yield from _tracking()


def _devices() -> Iterator[str]:
    try:
        import torch

        from bdh_reason.bdh.room import free
        from bdh_reason.compiled.lanes import has
    except ImportError as error:
        yield f"CPU: {processor()} · {BAD}nothing can be trained: {error}"
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    products = "bf16 dot products" if has("avx512bf16") else "no bf16 dot products: precision bf16 saves memory there, not time"
    memory = free(torch.device("cpu")) / 1e9
    yield f"CPU: {processor()}, {cores} cores, {torch.get_num_threads()} torch threads, {products}" + (f", {memory:.1f} GB free" if memory < 1e6 else "")
    for index in range(torch.cuda.device_count()):
        name, (left, whole) = torch.cuda.get_device_name(index), torch.cuda.mem_get_info(index)
        known = f"peak {peak(name) / 1e12:,.0f} TFLOP/s in bf16" if peak(name) else "its peak is not known here: runs print no MFU"  # type: ignore[operator]
        yield f"GPU {index}: {name}, {left / 1e9:.1f} of {whole / 1e9:.1f} GB free, {known}"
    if not torch.cuda.device_count():
        hidden = shutil.which("nvidia-smi") and torch.version.cuda is None
        yield "GPU: none" + (" that this build of torch can use · install a torch with CUDA" if hidden else " · everything runs on the CPU")
    ways = [name for name, there in (("gloo", torch.distributed.is_gloo_available()), ("nccl", torch.distributed.is_nccl_available())) if there]
    yield f"several processes: {' and '.join(ways) or 'no'}" + (" · `train --devices auto` uses all GPUs" if torch.cuda.device_count() > 1 else "")


def _compiler() -> str:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    return f"C++ compiler: {compiler}" if compiler else "C++ compiler: none · large models train without Inductor, slower · a package named g++ brings one"


def _tracking() -> Iterator[str]:
    yield "W&B: a key is configured, runs are logged online" if has_key() else "W&B: no key, runs are logged offline · `wandb login` changes that"
    if mode := os.environ.get("WANDB_MODE"):
        yield f"W&B: WANDB_MODE={mode} decides · unset it to go by the key"
    if waiting := unpushed([Path("runs")]):
        yield f"W&B: {len(waiting)} offline runs under runs/ are not pushed · `bdh-reason dashboard sync` uploads them"
