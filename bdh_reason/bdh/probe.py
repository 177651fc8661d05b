"""Looking inside a model while it thinks, and at the graph that its weights draw between neurons.

Axes: B batch, t tokens, D width, H heads, N neurons of a head, n = H·N neurons of all heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from bdh_reason.bdh.model import Model
from bdh_reason.model import head_order, reorder_heads
from bdh_reason.task import Board

R = TypeVar("R")


def observed(model: Model, board: Board, steps: Iterable[object], measure: Callable[[Tensor, Tensor], R]) -> Iterator[list[list[R]]]:
    """Runs `steps`, each one latent step of `model` on `board`, and yields what was seen in each: [layer][window] -> measure(x_HBtN, y_HBtN).

    Tokens are in the board's order; a text that is read in windows has several, else there is one. Raises RuntimeError where a step was computed by
    other means than the model's own `_gate`, so that there is nothing to see.
    """
    layers, seen = model.config.layers, list[R]()
    with _watching(model, board, lambda x_HBtN, y_HBtN: seen.append(measure(x_HBtN, y_HBtN))):
        for _ in steps:
            if not seen or len(seen) % layers:
                raise RuntimeError(f"{len(seen)} layers were seen in a step of {layers}: the model was not run on its plain path")
            yield [seen[layer::layers] for layer in range(layers)]
            seen.clear()


@contextmanager
def _watching(model: Model, board: Board, see: Callable[[Tensor, Tensor], None]) -> Iterator[None]:
    """While open, the plain path is taken and every layer shows its x and y. Heads bound to relations have their tokens in the order of groups: undone here."""
    config, gate = model.config, model._gate
    bound = model.config.relations and board.groups_RGk is not None
    inverse_Ht = head_order(board, model.bound_heads, model.E_HND.device, config.free)[1] if bound else None

    def watched(x_HBtN: Tensor, a_HBtD: Tensor, Dy_HDN: Tensor, E_HND: Tensor) -> Tensor:
        y_HBtN = (model._norm(a_HBtD).flatten(1, 2) @ Dy_HDN).relu().view_as(x_HBtN) * x_HBtN
        see(*(z_HBtN if inverse_Ht is None else reorder_heads(z_HBtN, inverse_Ht) for z_HBtN in (x_HBtN, y_HBtN)))
        return gate(x_HBtN, a_HBtD, Dy_HDN, E_HND)

    model._gate, model.config = watched, replace(config, backward="autograd")  # type: ignore[method-assign]
    try:
        yield
    finally:
        model.config = config
        del model._gate


def active(x_HBtN: Tensor, y_HBtN: Tensor) -> Tensor:
    """How many neurons of all heads are above zero, int64 [2, B, t]: in x, in y."""
    return torch.stack([(z_HBtN > 0).sum((0, 3)) for z_HBtN in (x_HBtN, y_HBtN)])


def written(before_HtN: Tensor, x_HtN: Tensor) -> Tensor:
    """What a text writes into its synapses, per token, [H, N, N]: the mean over tokens of y_i x_j, y of the layer before, x of this one (Eq. 16).

    That is sigma at the end of the text over its length, without rotation and fading, taken from y and x themselves, so it holds for every form.
    """
    return before_HtN.mT @ x_HtN / x_HtN.shape[1]


def neuron_graphs(model: Model) -> list[Tensor]:
    """G = Dx E as float32 [n, n] for every set of weights: what a unit of y_i adds to x_j of the next layer, before LN and relu (section 5.5).

    One graph where the layers share their weights; else graph l joins E of layer l to Dx of the layer after it, which for the last is the first.
    """
    sets = model._weights()[: 1 if model.config.shared else model.config.layers]
    following = [*sets[1:], sets[0]]
    return [(E_HND.flatten(0, 1) @ Dx_HDN.transpose(0, 1).flatten(1)).detach().float() for (_, _, E_HND), (Dx_HDN, _, _) in zip(sets, following)]
