"""How long a page of 10,000 rows takes to write and a table of them to print, in processes of their own, and how large the page is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bdh_reason import rng
from bdh_reason.bench.measure import row
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.rows import Row, append

ROUNDS = 3
SECONDS = {"report": 10.0, "table": 1.0}  # what was aimed for
BYTES = 5e6
N = 1000  # problems of a row
STEP = 1.06  # from one size to the next: only those of one rung are equal within 5 %
SLICES = (None, "≤0", "0–2", "2–10", "10–50", ">50")


def bench(size: int = 10_000) -> Iterator[dict[str, Any]]:
    """The least seconds of some rounds of each command, of the processor and with the start of Python, then the bytes of the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        append(folder / "results" / "rows" / "many.jsonl", many(size))
        for command, aim in SECONDS.items():
            least = min(_seconds(command, folder) for _ in range(ROUNDS))
            yield row("report", f"{command} of {size:,} rows, against the aim", least, "s", aim)
        page = (folder / "results" / "report.html").stat().st_size
        yield row("report", f"page of {size:,} rows, against the aim", page, "bytes", BYTES)


def _seconds(command: str, folder: Path) -> float:
    """The processor's time of one run, which a busy machine changes least."""
    here, before = str(Path(__file__).parents[2]), os.times()
    subprocess.run([sys.executable, "-m", "bdh_reason", command], cwd=folder, env={**os.environ, "PYTHONPATH": here}, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def many(size: int) -> Iterator[Row]:
    """Rows of made-up exams, each third of the models another kind: a ladder of two architectures on six tasks, curves over horizons, and slices of difficulty;
    in several seeds, at several depths, and all tell what came of each problem.
    """
    nothing: dict[str, Any] = dict.fromkeys(("bits_per_byte", "problems_per_s"))
    always: dict[str, Any] = {"task_version": "1", "split": "test", "step": 1000, "mode": "in_place", "device": "a device", "dtype": "fp32", "n": N}
    for number in range(size):
        place, rest = number % len(SLICES), number // len(SLICES)
        depth, seed, arch, model = (16, 64)[rest % 2], rest // 2 % 3, ("bdh", "transformer")[rest // 6 % 2], rest // 12
        right_N = rng.generator(number, "many").random(N) < 0.2 + 0.79 * (number * 7919 % 997) / 997
        share, params = float(right_N.mean()), round(1000 * STEP**model)
        yield Row(
            **nothing,
            **always,
            **_asked(model, place),
            created=f"2026-11-{1 + seed:02d}T10:00:00+00:00",
            model=f"{arch}-{model}-{seed}",
            recipe=f"{arch}-{model}",
            arch=arch,
            seed=seed,
            weights=f"{rest // 2:064x}",
            params=params,
            match="params",
            state_floats=4096,
            flops_per_problem=1e3 * depth * params,
            train_flops=1e9 * params,
            depth=depth,
            unseen=True,
            exact_match=share,
            ci_low=share * 0.97,
            ci_high=min(1.0, share * 1.02),
            cell_accuracy=share,
            chance=1e-9,
            items="0" * 16,
            outcomes=outcomes.pack(right_N),
            versions={"bdh-reason": "0"},
            commit=f"{model:012x}",
        )


def _asked(model: int, place: int) -> dict[str, Any]:
    """What a row says of its problems: a task of the ladder, a horizon, or a slice of difficulty."""
    if model % 3 == 1:
        horizon = {"config": {"group": f"G{model}", "length": 4 << place}, "horizon": 4 << place, "trained": [4, 8], "excluded": 0}
        return {"task": "groups", "difficulty": None, "data_hash": "f" * 64, **horizon}
    box, difficulty, data = ([2 + place, 3], None, place) if model % 3 else ([3, 3], SLICES[place], len(SLICES) + model)
    return {"task": "sudoku", "config": {"box": box}, "horizon": None, "difficulty": difficulty, "data_hash": f"{data:064x}"}
