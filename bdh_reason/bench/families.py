"""How fast the tasks with a horizon make and check problems: at the smallest horizon problems a second, at the largest bytes of prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bdh_reason import discover, rng
from bdh_reason.bench.measure import fastest, row

ROUNDS = 5
GENERATED, VERIFIED, BYTES = 50_000, 200_000, 20e6  # a second, what was aimed for
PATIENCE = 1.0  # seconds that a round may take


@dataclass(frozen=True)
class Sizes:
    """How many bytes of prompts are made at a time, where they can be made in PATIENCE, and how many problems are made to see that."""

    bytes: int = 2_000_000
    trial: int = 64


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """Three rows a task, in its default configuration but for the horizon, against what was aimed for."""
    for name in discover.task_names():
        kind = discover.task_module(name).Task
        for horizon in kind.ladder[:1] + kind.ladder[-1:]:
            task = discover.build_task(name, {kind.horizon: horizon})
            positions = task.generate(rng.generator(0, "bench"), 1).prompt.shape[1]
            (trial,) = fastest(1, lambda task=task: task.generate(rng.generator(0, "bench"), sizes.trial))  # type: ignore[misc]
            n = max(1, min(sizes.bytes // positions, int(sizes.trial * PATIENCE / trial)))
            case = f"{name}, {kind.horizon} = {horizon:,}, against the aim"
            (seconds,) = fastest(ROUNDS, lambda task=task, n=n: task.generate(rng.generator(0, "bench"), n))  # type: ignore[misc]
            if horizon == kind.ladder[-1]:
                yield row("families", f"generating {case}", n * positions / seconds, "bytes/s", BYTES)
                continue
            yield row("families", f"generating {case}", n / seconds, "problems/s", GENERATED)
            problems = task.generate(rng.generator(0, "bench"), n)
            (seconds,) = fastest(ROUNDS, lambda task=task, problems=problems: task.verify(problems.prompt, problems.target))  # type: ignore[misc]
            yield row("families", f"verifying {case}", n / seconds, "problems/s", VERIFIED)
