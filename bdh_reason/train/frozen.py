"""Neurons that do not learn: the first of every head of a BDH, whose weights stay what they are bit by bit while all others move.

Without a gradient they would still shrink by weight decay and move on by old momentum; so they are put back after each step. The embedding, the read-out
and the feedback are no neurons and go on learning.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bdh_reason.bdh.surgery import NEURONS


class Frozen:
    """Remembers the first `neurons` of each head of a model as they are now."""

    def __init__(self, model: nn.Module, neurons: int) -> None:
        self.weights = [(getattr(model, name), axis) for name, axis in NEURONS.items()] if neurons else []
        self.neurons = neurons
        self.kept = [self._of(weight.detach(), axis).clone() for weight, axis in self.weights]

    def _of(self, tensor: Tensor, axis: int) -> Tensor:
        return tensor.narrow(axis, 0, self.neurons)

    def mask(self) -> None:
        """Takes their gradient away, so that the norm to be clipped is that of the others."""
        for weight, axis in self.weights:
            if weight.grad is not None:
                self._of(weight.grad, axis).zero_()

    @torch.no_grad()
    def restore(self) -> None:
        """Puts them back."""
        for (weight, axis), kept in zip(self.weights, self.kept):
            self._of(weight, axis).copy_(kept)
