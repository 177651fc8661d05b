"""What a model is: embed a board once, step as often as one likes, read a reply out at any time.

Axes: B batch, t tokens of the board, D width, V logits per token, S symbols of a reply, H heads, G groups of k tokens (G·k = t).
The depth is an argument of `reason.loop`, never of a model: the same weights can think for 8 or 1,024 steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bdh_reason.errors import UserError
from bdh_reason.task import Board, View


@dataclass(frozen=True)
class State:
    """What one latent step keeps of a text after `position` tokens; `kind` says which models can go on from it.

    The first axis of every tensor is the batch, and zeros remember nothing. Reading on leaves a state as it was, unless it is `given` up: then whoever
    reads on may write into its tensors, so that a long memory is not copied for every token, and only the newest state says what was read.
    """

    kind: dict[str, Any]
    position: int
    tensors: tuple[Tensor, ...]
    given: bool = False

    def give(self) -> State:
        """A copy, without its past, that reading on may write into; this one stays as it is."""
        return replace(self, tensors=tuple(tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in self.tensors), given=True)

    def keep(self) -> State:
        """The same, from now on not to be written into."""
        return replace(self, given=False)

    def detach(self) -> State:
        """The same without its past: gradients stop here (truncated backpropagation through time)."""
        return replace(self, tensors=tuple(tensor.detach() for tensor in self.tensors))

    def forget(self, ended_B: Tensor) -> State:
        """A state in which the texts that `ended`, bool [B], start anew; positions are relative, so they go on counting."""
        return replace(self, tensors=tuple(tensor.masked_fill(ended_B.view(-1, *[1] * (tensor.ndim - 1)), 0) for tensor in self.tensors))


class Model(nn.Module, ABC):
    """The contract of a model, and the three maps that are the same for all of them: embedding, readout, feedback.

    A model module exports `Config` (a frozen dataclass with at least `d`, `relations`, `coordinates` and, to bind heads, `heads`) and
    `Model(config, board, feedback)`; only the board's vocabulary and, with learned coordinates, its size are built into the weights.
    A loop without feedback needs no table for it: `feedback=False` leaves it out. `views`: the boards it reads; a model to which tokens are what they
    are by their order has no use for candidates.
    `tests/test_every_model.py` holds each one to this, with the small configurations in the module's `EXAMPLES` or else the default one.
    """

    name: ClassVar[str]
    views: ClassVar[tuple[View, ...]] = ("cells", "candidates")

    def __init__(self, config: Any, board: Board, feedback: bool = True) -> None:
        super().__init__()
        tokens, logits = board.vocabulary
        self.config = config
        self.vocabulary = board.vocabulary
        self.token_VD = nn.Parameter(torch.randn(tokens, config.d) * 0.5)
        self.readout_DV = nn.Parameter(torch.randn(config.d, logits) * 0.02)
        self.feedback_VD = nn.Parameter(torch.randn(logits, config.d) * 0.02) if feedback else None
        sizes = coordinate_sizes(board) if config.coordinates else []
        self.coordinate_CD = nn.ParameterList(torch.randn(size, config.d) * 0.5 for size in sizes)
        if config.relations and board.reading == "sequence":
            self._refuse_relations(board)
        self.check(board)

    @staticmethod
    def widths(config: Any) -> dict[str, int]:
        """The options that make a model wider, in proportion, each with the number that it grows by; the last one is what a size is fitted with."""
        return {"d": 1}

    def check(self, board: Board) -> None:
        """Raises UserError where the board is of a view not read here or not trained in, or of another size than learned coordinates, or is a grid without
        relations to bind the heads to. A model made for a grid reads sequences too, with free heads: those have no relations.
        """
        if board.view not in self.views:
            raise UserError(f"a board in the {board.view} view for a model of kind {self.name}", f"view = {' or '.join(self.views)}")
        if board.vocabulary != self.vocabulary:
            raise UserError(f"a board in the {board.view} view", "the view the model was trained in")
        sizes, trained = coordinate_sizes(board), [len(table) for table in self.coordinate_CD]
        if trained and sizes != trained:
            raise UserError(f"a board with coordinates {sizes}", f"{trained}, the size the model was trained on")
        if self.config.relations and board.reading == "grid":
            if not board.relations:
                self._refuse_relations(board)
            if self.bound_heads % board.relations:
                raise UserError(f"{self.bound_heads} heads on a board of {board.relations} relations", f"a multiple of {board.relations} heads")

    @staticmethod
    def _refuse_relations(board: Board) -> None:
        raise UserError(f"relations=true on a {board.reading} with {board.relations} relations", "relations=false, or a grid with relations")

    @property
    def bound_heads(self) -> int:
        """How many heads are bound to a board's relations, where relations bind heads."""
        return int(self.config.heads)

    def embed(self, tokens_Bt: Tensor, board: Board) -> Tensor:
        """Tokens int64 [B, t] -> v0 [B, t, D]. Raises UserError for a token outside the vocabulary."""
        outside_Bt = (tokens_Bt < 0) | (tokens_Bt >= len(self.token_VD))
        if outside_Bt.any():
            raise UserError(f"token {tokens_Bt[outside_Bt][0]}", f"0 to {len(self.token_VD) - 1}, the {len(self.token_VD)} tokens of the vocabulary")
        v0_BtD = self.token_VD[tokens_Bt]
        if self.coordinate_CD:
            where_tK = torch.as_tensor(board.coordinates_TK, dtype=torch.int64, device=v0_BtD.device)
            v0_BtD = v0_BtD + sum(table[where_tK[:, axis]] for axis, table in enumerate(self.coordinate_CD))
        return v0_BtD

    def readout(self, v_BtD: Tensor, board: Board) -> Tensor:
        """[B, t, D] -> logits [B, t, V], those that answer on this board."""
        return v_BtD @ self.readout_DV[:, board.answers]

    def feed(self, belief_BTS: Tensor, board: Board) -> Tensor:
        """A reply's probabilities [B, T, S] -> what they add to the residual stream [B, t, D]. Raises UserError where the model has no feedback."""
        if self.feedback_VD is None:
            raise UserError("a loop with feedback for a model without it", "feedback=false, or a model trained with feedback")
        if board.view == "candidates":
            return belief_BTS.reshape(len(belief_BTS), -1, 1) * self.feedback_VD[board.answers]
        return belief_BTS @ self.feedback_VD[list(board.symbols)]

    @abstractmethod
    def step(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board, state: State | None) -> tuple[Tensor, State | None]:
        """One latent step: v [B, t, D] -> v [B, t, D]; v0 (the embedding) is injected again where it is given.

        `state` is what this step keeps of the text before these tokens, and the one returned includes them. None: the text begins here and is not kept.
        """

    @abstractmethod
    def blank(self, batch: int) -> State:
        """The state of one latent step before the first token of `batch` texts."""

    def kind(self) -> dict[str, Any]:
        """What a state must have in common with the model that goes on from it."""
        return {"model": self.name, "dtype": str(self.token_VD.dtype).removeprefix("torch."), **asdict(self.config)}

    def admit(self, state: State, batch: int) -> None:
        """Raises UserError for a state of another kind of model or of another batch."""
        ours, theirs = self.kind(), state.kind
        if differ := [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]:
            given, allowed = (", ".join(f"{key} = {kind.get(key)}" for key in differ) for kind in (theirs, ours))
            raise UserError(f"a state of a model with {given}", allowed)
        if wrong := [len(tensor) for tensor in state.tensors if len(tensor) != batch]:
            raise UserError(f"a state of {wrong[0]} texts", f"{batch}, as many as are read on")

    @abstractmethod
    def step_flops(self, board: Board) -> int:
        """Multiply-adds times two of one forward `step` on one problem, matrix products only, as torch's own counter counts."""

    @abstractmethod
    def state_floats(self, board: Board, depth: int) -> int:
        """Numbers the model must keep to go on after this board: v on a grid; in a sequence the memory (synapses, keys and values) of every step."""

    def flops(self, board: Board, depth: int, feedback: bool) -> int:
        """Forward FLOPs of `depth` steps with a readout after each, on one problem, without the embedding look-up."""
        width = self.config.d
        readout = 2 * board.tokens * width * len(range(self.vocabulary[1])[board.answers])
        feed = 2 * board.positions * width * len(board.symbols) if feedback and board.view == "cells" else 0
        return depth * (self.step_flops(board) + readout) + (depth - 1) * feed

    def size(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def coordinate_sizes(board: Board) -> list[int]:
    """How many rows, columns, boxes … the board has: one learned table each."""
    return [int(axis.max()) + 1 for axis in board.coordinates_TK.T]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is remembered must serve training as well
def head_order(board: Board, bound: int, device: torch.device, free: int = 0) -> tuple[Tensor, Tensor]:
    """For heads bound to the board's relations in turn: the token order [H, t] that puts groups side by side, and its inverse; `free` heads more keep the
    board's order.
    """
    order_Ht = torch.as_tensor(board.groups_RGk, dtype=torch.int64, device=device).flatten(1).repeat(bound // board.relations, 1)
    order_Ht = torch.cat([order_Ht, torch.arange(board.tokens, device=device).expand(free, -1)])
    return order_Ht, order_Ht.argsort(1)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def head_mask(board: Board, bound: int, device: torch.device, free: int = 0) -> Tensor:
    """The same binding for relations that do not partition the board: which tokens each head may relate, bool [H, t, t]; a free head all."""
    bound_Htt = torch.as_tensor(board.mask_RTT, device=device).repeat(bound // board.relations, 1, 1)
    return torch.cat([bound_Htt, bound_Htt.new_ones(free, board.tokens, board.tokens)])


def gather_heads(v_BtD: Tensor, order_Ht: Tensor) -> Tensor:
    """[B, t, D] -> [H, B, t, D], each head in its own token order."""
    return v_BtD[:, order_Ht].transpose(0, 1)


def reorder_heads(a_HBtD: Tensor, order_Ht: Tensor) -> Tensor:
    """Puts the tokens of each head in the given order; with the inverse order it undoes `gather_heads`."""
    return a_HBtD.gather(2, order_Ht[:, None, :, None].expand_as(a_HBtD))
