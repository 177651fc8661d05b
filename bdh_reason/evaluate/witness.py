"""What the rules say of every step on the way, seen from outside: the model is shown none of it.

Axes: N problems, B problems of a batch, T positions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bdh_reason.task import Task


class Witness:
    """For each problem the first step whose reply obeys the rules, and the first step after it that breaks them again; 0 for never."""

    def __init__(self, task: Task, prompt_NT: np.ndarray) -> None:
        self.task, self.prompt_NT = task, prompt_NT
        self.first_N, self.left_N = np.zeros((2, len(prompt_NT)), np.int64)

    def see(self, rows: slice, step: int, reply_BT: np.ndarray) -> None:
        """The replies of some problems after one step; the steps of a problem come in their order."""
        right_B = self.task.verify(self.prompt_NT[rows], reply_BT)
        first_B, left_B = self.first_N[rows], self.left_N[rows]
        left_B[~right_B & (first_B > 0) & (left_B == 0)] = step
        first_B[right_B & (first_B == 0)] = step

    def upto(self, depth: int, rows_N: np.ndarray) -> dict[str, Any]:
        """Of the problems that `rows` (bool [N]) selects: median and 90 % of the steps until the first right reply within `depth`, counting those that
        were never right as infinitely late (None), how many were never right, and how many were right once and left it.
        """
        first_N, left_N = self.first_N[rows_N], self.left_N[rows_N]
        late_N = np.sort(np.where((first_N > 0) & (first_N <= depth), first_N, np.iinfo(np.int64).max))
        median, p90 = (int(late_N[-(-share * len(late_N) // 100) - 1]) for share in (50, 90))
        never = int((late_N > depth).sum())
        left = int(((left_N > 0) & (left_N <= depth)).sum())
        return {"median": median if median <= depth else None, "p90": p90 if p90 <= depth else None, "never": never, "left": left}
