"""How hard a set of problems is, in the task's own unit of difficulty.

Axes: N problems.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bdh_reason.task import Problems, Task

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def rate(task: Task, problems: Problems) -> dict[str, Any]:
    """Rows, distinct families, mean blanks, mean and quantiles of difficulty, and rows and shares of the slices that the task's `edges` cut.

    A slice holds the difficulties above the edge before it, up to and including its own; the last one has no upper end (None). At least one problem.
    """
    slice_N = np.searchsorted(task.edges, problems.difficulty, side="left")
    counts = np.bincount(slice_N, minlength=len(task.edges) + 1)
    return {
        "rows": len(problems),
        "families": len(np.unique(problems.family)),
        "blanks": float(problems.scored.sum(1).mean()),
        "mean": float(problems.difficulty.mean(dtype=np.float64)),
        "quantiles": dict(zip(QUANTILES, np.quantile(problems.difficulty, QUANTILES).tolist())),
        "slices": [{"to": to, "rows": int(rows), "share": int(rows) / len(problems)} for to, rows in zip((*task.edges, None), counts)],
    }
