"""Training batches as a pure function of (seed, step, rank): no sampler state, so a run resumes at any step exactly as if it had not stopped.

Steps run on over the epochs: step s takes places s·size … s·size + size − 1 of an endless row of shuffled epochs, so every epoch holds every
problem exactly once and nothing is dropped at its end. `size` counts all ranks together; another number of ranks only cuts the same batch differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from bdh_reason.task import Problems, Task


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches that rank `rank` of `world` sees, `size` problems over all ranks, under random symmetries of the task.

    Raises UserError for a split smaller than a batch and for ranks that cannot share a batch evenly.
    """

    problems: Problems
    task: Task
    size: int
    seed: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.size <= len(self.problems):
            raise UserError(f"a batch of {self.size} from a split of {len(self.problems)} problems", f"1 to {len(self.problems)}", "build more data")
        if self.size % self.world or not 0 <= self.rank < self.world:
            raise UserError(f"a batch of {self.size} for rank {self.rank} of {self.world}", "a size that the ranks divide evenly")

    def at(self, step: int) -> Problems:
        """The batch of one step: size / world problems. The symmetries are drawn for all ranks together, so they do not hang on `world` either."""
        batch = self.problems.take(self.rows(step))
        augmented = self.task.augment(generator(self.seed, "augment", index=step), batch)
        share = self.size // self.world
        return augmented.take(slice(self.rank * share, (self.rank + 1) * share))

    def rows(self, step: int) -> np.ndarray:
        """int64 [size]: which problems the step takes over all ranks. They lie in at most two epochs, for a batch is never larger than the split."""
        total = len(self.problems)
        epoch, place = divmod(step * self.size, total)
        first = _order(self.seed, epoch, total)[place : place + self.size]
        if len(first) == self.size:
            return first
        return np.concatenate([first, _order(self.seed, epoch + 1, total)[: self.size - len(first)]])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, total: int) -> np.ndarray:
    """The order of one epoch, int64 [total]; the last few are kept, for drawing a million places takes longer than a batch."""
    order = generator(seed, "order", index=epoch).permutation(total)
    order.flags.writeable = False
    return order
