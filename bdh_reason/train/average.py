"""The exponential moving average of the weights, which validation, evaluation and released checkpoints use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bdh_reason.train.shards import exchange, own


class Average:
    """Keeps a second copy of a model's weights; with `decay` 0 it keeps none and the average is the model itself.

    The decay starts low, min(decay, (1 + s) / (10 + s)) at update s, so that the first random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in model.named_parameters()} if decay else {}

    def follow(self, model: nn.Module) -> None:
        """Goes where the model's weights have gone, to an accelerator for one."""
        for name, weight in model.named_parameters() if self.weights else ():
            self.weights[name] = self.weights[name].to(weight.device)

    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards the weights after optimiser step `step` (from 1)."""
        if self.decay:
            keep = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_([own(weight) for weight in self.weights.values()], [own(weight.detach()) for weight in model.parameters()], 1 - keep)

    def of(self, model: nn.Module) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return self.weights or {name: weight.detach() for name, weight in model.named_parameters()}

    @contextmanager
    def within(self, model: nn.Module) -> Iterator[None]:
        """The model holds the averaged weights inside this block, and its own again after it."""
        pairs = [(weight, self.weights[name]) for name, weight in model.named_parameters() if self.weights]
        for weight, average in pairs:
            exchange(weight, average)
        try:
            yield
        finally:
            for weight, average in pairs:
                exchange(weight, average)
