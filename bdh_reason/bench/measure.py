"""How to measure: times in turns, peak memory in a process of its own, and the row."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bdh_reason.machine import processor


class Cost(NamedTuple):
    """Of one run: seconds, and bytes at its peak above what was there before."""

    seconds: float
    peak: int


def row(bench: str, case: str, value: float, unit: str, against: float, where: str = "cpu") -> dict[str, Any]:
    """One measurement on this machine's CPU, or on its CUDA device; the case names both sides."""
    here = f"{processor()}, {(threads := torch.get_num_threads())} thread{'s' * (threads > 1)}"
    device = torch.cuda.get_device_name() if where == "cuda" else here
    return {"bench": bench, "case": case, "value": value, "unit": unit, "against": against, "ratio": value / against, "device": device}


def fastest(rounds: int, *runs: Callable[[], Any]) -> list[float]:
    """The least seconds of each run in so many rounds. They take turns, so that a busy machine is busy for all of them; one round before is not counted."""
    seconds = [[_seconds(run) for run in runs] for _ in range(rounds + 1)]
    return [min(of_run[1:]) for of_run in zip(*seconds)]


def apart(prepare: Callable[..., Callable[[], Any]], *sizes: Any) -> Cost:
    """What `prepare(*sizes)()` costs in a fresh process, without what `prepare` costs."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_cost, torch.get_num_threads(), prepare, sizes).result()


def _cost(threads: int, prepare: Callable[..., Callable[[], Any]], sizes: tuple[Any, ...]) -> Cost:
    torch.set_num_threads(threads)
    run = prepare(*sizes)
    before = _resident("VmRSS")
    return Cost(_seconds(run), max(_resident("VmHWM") - before, 1))


def _seconds(run: Callable[[], Any]) -> float:
    """Of one thread the processor's time, which a busy machine changes least; of several the wall clock's."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begun = clock()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - begun


def _resident(which: str) -> int:
    """Bytes this process has in memory: now (VmRSS) or at most so far (VmHWM); 0 where the system does not say."""
    known = Path("/proc/self/status")
    lines = [line.split() for line in known.read_text().splitlines() if line.startswith(which)] if known.exists() else []
    return int(lines[0][1]) * 1024 if lines else 0
