"""Texts in training that are read on from step to step: what each place of the batch remembers is handed on, and gradients stop between two windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bdh_reason.errors import UserError
from bdh_reason.model import Model, State
from bdh_reason.reason.loop import Reasoner, States
from bdh_reason.train import ranks
from bdh_reason.train.flight import Batch
from bdh_reason.train.recipe import Recipe


@dataclass(frozen=True)
class Memory:
    """What an optimiser step on streams hands on: one state for each latent step, and how many windows were read so far, int64 []."""

    states: States
    started: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """All of it as a flat mapping; `restore` undoes it."""
        held = {f"{step}.{place}": tensor for step, state in enumerate(self.states) for place, tensor in enumerate(state.tensors)}
        return {**held, "started": self.started, "position": torch.tensor([state.position for state in self.states])}

    @staticmethod
    def restore(tensors: dict[str, Tensor], model: Model) -> Memory:
        """The memory that `tensors` came from, of a model of the same kind."""
        states = []
        for step, position in enumerate(tensors["position"].tolist()):
            names = sorted((name for name in tensors if name.startswith(f"{step}.")), key=lambda name: int(name.partition(".")[2]))
            states.append(State(model.kind(), position, tuple(tensors[name] for name in names)))
        return Memory(tuple(states), tensors["started"])


def check(recipe: Recipe, reasoner: Reasoner) -> None:
    """Raises UserError for streams through a model whose memory grows with the text: nothing would ever take it back."""
    board, model = reasoner.board, reasoner.model
    if recipe.stream and model.state_floats(replace(board, positions=2 * board.positions), 1) > model.state_floats(board, 1):
        raise UserError(f"stream = true with {model.name}, whose memory grows with the text", "stream: false, or a model with a state of one size")


def read_on(reasoner: Reasoner, memory: Memory | None, batch: Batch, depth: int) -> tuple[Tensor, Memory]:
    """The loss of the next windows, cross-entropy after the last latent step, and what is handed on. Where a window begins with the text's MARK, a document
    does, and nothing of the one before is remembered.
    """
    tokens_Bt, target_BT = batch
    new_B = tokens_Bt[:, 0] == reasoner.board.blank
    states = reasoner.begin(len(tokens_Bt), depth)
    if memory and ranks.anyone(not new_B.all()):  # else places are counted anew, too: far from 0 rotary phases lose their precision
        states = tuple(state.forget(new_B) for state in memory.states)
    reply_BTS, states = reasoner.read(tokens_Bt, states)
    loss = cross_entropy(reply_BTS.float().flatten(0, 1), target_BT.flatten(), ignore_index=-1)
    started = len(tokens_Bt) * ranks.world() + (memory.started if memory else torch.zeros_like(tokens_Bt[0, 0]))
    return loss, Memory(tuple(state.detach() for state in states), started)
