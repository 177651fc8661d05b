"""Training batches as a pure function of (seed, step): no sampler state, so a run resumes at any step exactly as if it had not stopped.

Steps run on over the epochs: step s takes places s·size … s·size + size − 1 of an endless row of shuffled epochs, so every epoch holds every
problem exactly once and nothing is dropped at its end. Processes that share a run cut the same batch, so that their number changes nothing.
With a mix, each place is drawn anew, first its slice of difficulty and then a problem of that slice, so that no step has to know the ones before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from bdh_reason.task import Problems, Task


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of `size` problems, under random symmetries of the task.

    mix: the shares of the task's slices of difficulty in a batch at step 0 and at step `steps` − 1, float [2, slices], in a straight line between them.
    Raises UserError for a split smaller than a batch and for a share of an empty slice.
    """

    problems: Problems
    task: Task
    size: int
    seed: int
    mix: np.ndarray | None = None
    steps: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.size <= len(self.problems):
            raise UserError(f"a batch of {self.size} from a split of {len(self.problems)} problems", f"1 to {len(self.problems)}", "build more data")
        for slice_, members in enumerate(() if self.mix is None else self._slices):
            if not len(members) and self.mix[:, slice_].any():  # type: ignore[index]
                raise UserError(f"a share for slice {slice_ + 1} of difficulty, in which no training problem lies", "0 there", "or build more data")

    def at(self, step: int) -> Problems:
        """The batch of one step."""
        return self.task.augment(generator(self.seed, "augment", index=step), self.problems.take(self.rows(step)))

    def rows(self, step: int) -> np.ndarray:
        """int64 [size]: which problems the step takes. Without a mix they lie in at most two epochs, for no batch is larger than the split."""
        if self.mix is not None:
            return self._mixed(step)
        total = len(self.problems)
        epoch, place = divmod(step * self.size, total)
        first = _order(self.seed, epoch, total)[place : place + self.size]
        if len(first) == self.size:
            return first
        return np.concatenate([first, _order(self.seed, epoch + 1, total)[: self.size - len(first)]])

    def _mixed(self, step: int) -> np.ndarray:
        start_S, end_S = self.mix  # type: ignore[misc]
        draw = generator(self.seed, "mix", index=step)
        slice_N = draw.choice(len(start_S), self.size, p=start_S + min(step / max(self.steps - 1, 1), 1) * (end_S - start_S))
        size_N = np.array([len(members) for members in self._slices])[slice_N]
        return np.array([self._slices[slice_][place] for slice_, place in zip(slice_N, draw.integers(size_N))])

    @cached_property
    def _slices(self) -> list[np.ndarray]:
        """The problems of each slice of difficulty, as result tables cut them: up to the first edge, above it up to the second, …, above the last."""
        slice_N = np.searchsorted(self.task.edges, self.problems.difficulty, side="left")
        return [np.flatnonzero(slice_N == place) for place in range(len(self.task.edges) + 1)]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, total: int) -> np.ndarray:
    """The order of one epoch, int64 [total]; the last few are kept, for drawing a million places takes longer than a batch."""
    order = generator(seed, "order", index=epoch).permutation(total)
    order.flags.writeable = False
    return order
