"""The recurrent-depth loop, the same for every model: embed once, then feed the current reply back, inject the embedding, step, read out.
Of a text each step keeps its own memory, so that it can be read in parts, down to single tokens.

Axes: B batch, t tokens, D width, T positions, S symbols. A plain language model is this loop with feedback and injection off and one loss
at the end. Nothing here, and nothing in `predict`, ever sees a target or a solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import layer_norm

from bdh_reason.errors import UserError
from bdh_reason.model import Model, State
from bdh_reason.task import Board

States = tuple[State, ...]


class Thought(NamedTuple):
    """All that a rollout hands from step to step: v [B, t, D], and the reply's probabilities [B, T, S] that the next step is fed.

    Before the first step, and in a loop without feedback, there is no belief; where some boards of a batch have one, zeros feed nothing to the others.
    """

    v_BtD: Tensor
    belief_BTS: Tensor | None = None


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
        for reply_BTS, _ in self.go_on(tokens_Bt, self.wake(tokens_Bt, start_BtD), depth):
            yield reply_BTS

    def wake(self, tokens_Bt: Tensor, start_BtD: Tensor | None = None) -> Thought:
        """The thought before the first step; `start` as in `think`."""
        v_BtD = self.model.embed(tokens_Bt, self.board)
        if start_BtD is not None:
            v_BtD = v_BtD + self.loop.noise * start_BtD
        return Thought(layer_norm(v_BtD, v_BtD.shape[-1:]))

    def go_on(self, tokens_Bt: Tensor, thought: Thought, depth: int) -> Iterator[tuple[Tensor, Thought]]:
        """Yields the reply logits [B, T, S] and the thought after each of `depth` further steps: n steps and then m are n + m steps."""
        for reply_BTS, later, _ in self._steps(tokens_Bt, thought, repeat(None, depth)):
            yield reply_BTS, later

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
        steps = list(self._steps(tokens_Bt, self.wake(tokens_Bt), states))
        return steps[-1][0], tuple(state for *_, state in steps if state)

    def _steps(self, tokens_Bt: Tensor, thought: Thought, states: Iterable[State | None]) -> Iterator[tuple[Tensor, Thought, State | None]]:
        """The loop itself, one step for each state."""
        model, board, loop = self.model, self.board, self.loop
        v0_BtD = model.embed(tokens_Bt, board) if loop.inject else None
        v_BtD, belief_BTS = thought
        for state in states:
            if belief_BTS is not None:
                v_BtD = v_BtD + model.feed(belief_BTS, board)
            v_BtD, state = model.step(v_BtD, v0_BtD, board, state)
            reply_BTS = board.collapse(model.readout(v_BtD, board))
            belief_BTS = reply_BTS.softmax(-1) if loop.feedback else None
            yield reply_BTS, Thought(v_BtD, belief_BTS), state
