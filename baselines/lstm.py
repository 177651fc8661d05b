"""The LSTM baseline (Hochreiter and Schmidhuber 1997; torch's): one token after the other through a small state, the positive control for state tracking.

A step reads the tokens through `layers` LSTM layers of width `hidden` and adds what they say to the residual stream: v <- norm(v + h out).
On a grid the same weights read the tokens in reading order twice, from the first on and from the last on, and both h are added, so that every position
sees every other and one set of weights serves grids and texts. Reading in order is what this model is: it binds nothing to relations, and it does not read
candidates, a view whose point is that no digit, row or column has a name.
Axes: B batch, t tokens, D width, L layers, H hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bdh_reason import model
from bdh_reason.errors import UserError
from bdh_reason.model import State
from bdh_reason.task import Board


@dataclass(frozen=True)
class Config:
    """d width, `hidden` width of the `layers` LSTM layers; learned coordinates as in BDH, relations never.

    To match sizes: a step has 4 hidden (d + hidden + 2) parameters in the first layer, 8 hidden (hidden + 1) in each further one, and (hidden + 1) d more;
    a latent step remembers 2 · layers · hidden numbers of a text, where BDH remembers layers · n · d.
    """

    d: int = 48
    hidden: int = 53
    layers: int = 1
    relations: bool = False
    coordinates: bool = False

    def __post_init__(self) -> None:
        if min(self.d, self.hidden, self.layers) < 1:
            raise UserError(f"d = {self.d}, hidden = {self.hidden}, layers = {self.layers}", "positive sizes")
        if self.relations:
            raise UserError("relations=true for an lstm", "relations=false: it reads in order, and has no heads to bind to relations")


EXAMPLES = (Config(d=12, hidden=10, layers=2), Config(d=12, hidden=10, coordinates=True))


class Model(model.Model):
    """The LSTM on the contract of `bdh_reason.model`."""

    name = "lstm"
    views = ("cells",)

    def __init__(self, config: Config, board: Board, feedback: bool = True) -> None:
        super().__init__(config, board, feedback)
        self.lstm = nn.LSTM(config.d, config.hidden, config.layers, batch_first=True)
        for layer in range(config.layers):
            with torch.no_grad():  # gates open for remembering: Jozefowicz 2015
                getattr(self.lstm, f"bias_ih_l{layer}")[config.hidden : 2 * config.hidden] = 1
        self.out_HD = nn.Parameter(torch.randn(config.hidden, config.d) * config.hidden**-0.5)
        self.norm = nn.RMSNorm(config.d)

    @staticmethod
    def widths(config: Config) -> dict[str, int]:
        return {"d": 1, "hidden": 1}

    def step(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board, state: State | None) -> tuple[Tensor, State | None]:
        if v0_BtD is not None:
            v_BtD = v_BtD + v0_BtD
        if not v_BtD.shape[1]:
            return v_BtD, state
        if board.reading == "grid":
            there_BtH, back_BtH = self.lstm(torch.cat([v_BtD, v_BtD.flip(1)]))[0].chunk(2)
            h_BtH = there_BtH + back_BtH.flip(1)
        else:
            before = tuple(tensor.transpose(0, 1).contiguous() for tensor in state.tensors) if state else None
            h_BtH, after = self.lstm(v_BtD, before)
            after = tuple(tensor.transpose(0, 1).to(self.out_HD) for tensor in after)  # autocast would leave it in half precision
            state = state and State(state.kind, state.position + v_BtD.shape[1], after)
        return self.norm(v_BtD + h_BtH @ self.out_HD), state

    def blank(self, batch: int) -> State:
        """Hidden state and cell 0 [B, L, H]."""
        zeros_BLH = self.token_VD.new_zeros(batch, self.config.layers, self.config.hidden)
        return State(self.kind(), 0, (zeros_BLH, zeros_BLH))

    def step_flops(self, board: Board) -> int:
        config = self.config
        layers = 4 * config.hidden * (config.d + config.hidden + (config.layers - 1) * 2 * config.hidden)
        return 2 * board.tokens * (layers * (2 if board.reading == "grid" else 1) + config.hidden * config.d)

    def state_floats(self, board: Board, depth: int) -> int:
        return 2 * depth * self.config.layers * self.config.hidden if board.reading == "sequence" else board.tokens * self.config.d
