"""The recurrent-depth loop, the same for every model: embed once, then feed the current reply back, inject the embedding, step, read out.
Of a text each step keeps its own memory, so that it can be read in parts, down to single tokens.

Axes: B batch, t tokens, D width, T positions, S symbols. A plain language model is this loop with feedback and injection off and one loss
at the end. Nothing here, and nothing in `predict`, ever sees a target or a solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

from torch import Tensor
from torch.nn.functional import layer_norm

from bdh_reason.errors import UserError
from bdh_reason.model import Model, State
from bdh_reason.task import Board

States = tuple[State, ...]


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
        for _, reply_BTS in self.trace(tokens_Bt, depth, start_BtD):
            yield reply_BTS

    def trace(self, tokens_Bt: Tensor, depth: int, start_BtD: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `think`, with the latent state itself: (v [B, t, D], reply logits [B, T, S]) after each step."""
        for v_BtD, reply_BTS, _ in self._steps(tokens_Bt, repeat(None, depth), start_BtD):
            yield v_BtD, reply_BTS

    def begin(self, batch: int, depth: int) -> States:
        """What `depth` steps remember of `batch` texts before the first token."""
        return (self.model.blank(batch),) * depth

    def read(self, tokens_Bt: Tensor, states: States) -> tuple[Tensor, States]:
        """The next tokens of a text, as many as one likes: the logits [B, t, S] after the last step, and what each step remembers now.

        Reading in parts gives what reading at once would. Gradients flow through the states; `State.detach` stops them, `State.forget` starts texts anew.
        Raises UserError where the states are not of this model or of this batch, and on boards whose tokens have no order or learned places.
        """
        if self.board.reading == "grid" or len(self.model.coordinate_CD):
            raise UserError("a text read in parts on a grid, or with learned coordinates", "reading=sequence and coordinates=false")
        if not states:
            raise UserError("no states to read on from", "those of at least one step")
        for state in states:
            self.model.admit(state, len(tokens_Bt))
        steps = list(self._steps(tokens_Bt, states))
        return steps[-1][1], tuple(state for _, _, state in steps if state)

    def _steps(self, tokens_Bt: Tensor, states: Iterable[State | None], start_BtD: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, State | None]]:
        """The loop itself, one step for each state: (v, reply, what the step remembers now)."""
        model, board, loop = self.model, self.board, self.loop
        v0_BtD = model.embed(tokens_Bt, board)
        v_BtD = v0_BtD if start_BtD is None else v0_BtD + loop.noise * start_BtD
        v_BtD = layer_norm(v_BtD, v_BtD.shape[-1:])
        reply_BTS: Tensor | None = None
        for state in states:
            if loop.feedback and reply_BTS is not None:
                v_BtD = v_BtD + model.feed(reply_BTS.softmax(-1), board)
            v_BtD, state = model.step(v_BtD, v0_BtD if loop.inject else None, board, state)
            reply_BTS = board.collapse(model.readout(v_BtD))
            yield v_BtD, reply_BTS, state
