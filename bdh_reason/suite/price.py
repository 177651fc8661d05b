"""What a suite would take, before anything is run: parameters and FLOPs are exact, memory and hours are estimates and say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bdh_reason.evaluate.evaluate import device_name
from bdh_reason.machine import PEAKS, peak
from bdh_reason.suite.plan import Plan
from bdh_reason.train.plan import USED, cost

THREAD = 200e9  # FLOP/s of a training step on one thread of a processor with bf16 dot products, where layers are compiled; others are slower


def speed(device: str) -> tuple[float, str]:
    """FLOP/s that training is assumed to reach on a device, and why."""
    import torch

    name = device_name(device)
    if device == "cpu":
        threads = torch.get_num_threads()
        return THREAD * threads, f"{name}: {THREAD / 1e9:.0f} GFLOP/s a thread assumed, of bf16 dot products"
    known = peak(name)
    highest = known or min(PEAKS.values())
    return highest * USED, f"{name}: {'' if known else 'unknown peak, '}{USED:.0%} of {highest / 1e12:.1f} TFLOP/s assumed"


def prices(plan: Plan, device: str) -> Iterator[dict[str, Any]]:
    """A line for each cell that is trained, as JSON: what is run, and what it takes."""
    known: dict[str, Any] = {}  # seeds cost the same
    rate, _ = speed(device)
    for cell in plan.cells:
        if cell.joins:
            continue
        its = known.setdefault(cell.arm, cost(cell.recipe))
        yield {
            "place": str(cell.place),
            "task": cell.recipe.task.name,
            "arch": cell.recipe.model.name,
            "steps": cell.recipe.steps,
            "batch": cell.recipe.batch,
            "depth": cell.recipe.depth,
            "params": its.params,
            "match": cell.recipe.match or None,
            "mismatch": cell.mismatch,
            "state_floats": its.state,
            "train_flops": its.training,
            "memory": its.memory,
            "hours": its.training / rate / 3600,
        }


def sentence(price: dict[str, Any]) -> str:
    """One of these lines for people."""
    pair = "" if price["mismatch"] is None else f" ({price['match']} {price['mismatch']:+.2%})"
    work = f"{price['steps']:,} steps of {price['batch']} × {price['depth']}"
    cost = f"{price['params']:,} parameters{pair}, {price['train_flops']:.3g} FLOP, {price['memory'] / 1e9:.2f} GB, {price['hours']:.2f} h"
    return f"{price['place']}  {price['task']}  {price['arch']}  {work}  {cost}"


def total(lines: list[dict[str, Any]], device: str) -> str:
    """All of them together."""
    hours, flops, memory = (sum(line[name] for line in lines) for name in ("hours", "train_flops", "memory"))
    largest = max(line["memory"] for line in lines) if memory else 0.0
    return (
        f"{len(lines)} cells, {flops:.3g} FLOP of training, {hours:.1f} h of it, {largest / 1e9:.2f} GB at most, estimated ({speed(device)[1]}); exams on top"
    )
