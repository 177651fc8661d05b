"""The recurrent-depth loop, the same for every model: embed once, then feed the current reply back, inject the embedding, step, read out.

Axes: B batch, t tokens, D width, T positions, S symbols. A plain language model is this loop with feedback and injection off and one loss
at the end. Nothing here, and nothing in `predict`, ever sees a target or a solver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import layer_norm

from bdh_reason.model import Model
from bdh_reason.task import Board


@dataclass(frozen=True)
class Loop:
    """feedback: the softmax of the current reply re-enters before each step · inject: so does the embedding ·
    noise: standard deviation of a random starting state added to the embedding.
    """

    feedback: bool = True
    inject: bool = True
    noise: float = 0.0


@dataclass(frozen=True)
class Reasoner:
    """A model with the board it looks at and the loop it thinks in."""

    model: Model
    board: Board
    loop: Loop

    def think(self, tokens_Bt: Tensor, depth: int, start_BtD: Tensor | None = None) -> Iterator[Tensor]:
        """Yields the reply logits [B, T, S] after each of `depth` steps; `start` (unit noise) is scaled by `loop.noise` and added to the embedding."""
        model, board, loop = self.model, self.board, self.loop
        v0_BtD = model.embed(tokens_Bt, board)
        v_BtD = v0_BtD if start_BtD is None else v0_BtD + loop.noise * start_BtD
        v_BtD = layer_norm(v_BtD, v_BtD.shape[-1:])
        reply_BTS: Tensor | None = None
        for _ in range(depth):
            if loop.feedback and reply_BTS is not None:
                v_BtD = v_BtD + model.feed(reply_BTS.softmax(-1), board)
            v_BtD = model.step(v_BtD, v0_BtD if loop.inject else None, board)
            reply_BTS = board.collapse(model.readout(v_BtD))
            yield reply_BTS
