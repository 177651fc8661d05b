"""BDH-GPU, released form, quadratic execution (arXiv 2509.26507; Eq. 4 as the released code places its residual and norms).

    x = relu(v Dx)                      a_h = sum over j of (x_h,i · x_h,j) v_j        linear attention, q = k
    y = relu(LN(a) Dy) * x              v <- LN(v + LN(y E) + v0)                      v0 = embedding, where the loop injects it

| paper | here | maps | the released code calls it |
|---|---|---|---|
| D_x | Dx_HDN | d -> n | encoder |
| D_y | Dy_HDN | d -> n | encoder_v |
| E | E_HND | n -> d | decoder |
| x, y | x_HBtN, y_HBtN | sparse, non-negative neuron activity | x_sparse, xy_sparse |
| a* | a_HBtD | attention read-out | yKV |
| v* | v_BtD | residual stream | x |

One copy of Dx, Dy, E serves every step. Reading "sequence" masks strictly (a token never attends to itself) and turns x by its position;
reading "grid" has no mask, except that heads may be bound to the board's relations: that is the paper's synapse graph G_s, given by the task.
Axes: B batch, t tokens, D width d, H heads, N neurons of a head (n = H·N).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from bdh_reason import model
from bdh_reason.bdh.attention import quadratic, rotary, within_groups
from bdh_reason.errors import UserError
from bdh_reason.task import Board


@dataclass(frozen=True)
class Config:
    """d width, n neurons in all heads; `relations` binds heads to the board's relations, `coordinates` adds learned row, column … embeddings."""

    d: int = 32
    n: int = 256
    heads: int = 4
    relations: bool = True
    coordinates: bool = False

    def __post_init__(self) -> None:
        if min(self.d, self.n, self.heads) < 1 or self.n % self.heads:
            raise UserError(f"n = {self.n} neurons in {self.heads} heads, d = {self.d}", "positive sizes, n divisible by heads")
        if self.n // self.heads % 2:
            raise UserError(f"{self.n // self.heads} neurons in a head", "an even number: rotary positions turn pairs of neurons")


EXAMPLES = (Config(d=12, n=48, heads=12), Config(d=12, n=48, heads=12, coordinates=True))


def norm(v: Tensor) -> Tensor:
    """LayerNorm over the last axis, without parameters."""
    return layer_norm(v, v.shape[-1:])


class Model(model.Model):
    """BDH on the contract of `bdh_reason.model`."""

    name = "bdh"

    def __init__(self, config: Config, board: Board) -> None:
        super().__init__(config, board)
        heads, neurons = config.heads, config.n // config.heads
        self.Dx_HDN = nn.Parameter(torch.randn(heads, config.d, neurons) * config.d**-0.5)
        self.Dy_HDN = nn.Parameter(torch.randn(heads, config.d, neurons) * config.d**-0.5)
        self.E_HND = nn.Parameter(torch.randn(heads, neurons, config.d) * config.n**-0.5)

    def step(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board) -> Tensor:
        bound = self.config.relations and board.groups_RGk is not None
        update_BtD = self._bound(v_BtD, board) if bound else self._free(v_BtD, board)
        v_BtD = v_BtD + norm(update_BtD)
        return norm(v_BtD if v0_BtD is None else v_BtD + v0_BtD)

    def _bound(self, v_BtD: Tensor, board: Board) -> Tensor:
        """Y E with each head inside the groups of its relation. Only d-wide tensors are regrouped; everything n-wide stays contiguous."""
        order_Ht, inverse_Ht = model.head_order(board, self.config.heads, v_BtD.device)
        v_HBtD = model.gather_heads(v_BtD, order_Ht)
        x_HBtN = (v_HBtD.flatten(1, 2) @ self.Dx_HDN).relu().view(*v_HBtD.shape[:3], -1)
        a_HBtD = within_groups(x_HBtN, v_HBtD, board.groups_RGk.shape[2])  # type: ignore[union-attr]
        return model.reorder_heads(self._gate(x_HBtN, a_HBtD), inverse_Ht).sum(0)

    def _free(self, v_BtD: Tensor, board: Board) -> Tensor:
        """Y E with every token in reach, or those that the reading or the relations allow."""
        tokens = v_BtD.shape[1]
        x_HBtN = (v_BtD @ self.Dx_HDN[:, None]).relu()
        if board.reading == "sequence":
            earlier_tt = torch.ones(tokens, tokens, dtype=torch.bool, device=v_BtD.device).tril(-1)
            a_HBtD = quadratic(rotary(x_HBtN), v_BtD, earlier_tt)
        elif self.config.relations:
            a_HBtD = quadratic(x_HBtN, v_BtD, model.head_mask(board, self.config.heads, v_BtD.device)[:, None])
        else:
            a_HBtD = quadratic(x_HBtN, v_BtD, None)
        return self._gate(x_HBtN, a_HBtD).sum(0)

    def _gate(self, x_HBtN: Tensor, a_HBtD: Tensor) -> Tensor:
        """(relu(LN(a) Dy) * x) E, head by head."""
        y_HBtN = (norm(a_HBtD).flatten(1, 2) @ self.Dy_HDN).relu().view_as(x_HBtN) * x_HBtN
        return (y_HBtN.flatten(1, 2) @ self.E_HND).view_as(a_HBtD)

    def step_flops(self, board: Board) -> int:
        tokens, config = board.tokens, self.config
        bound = config.relations and board.groups_RGk is not None
        reach = board.groups_RGk.shape[2] if bound and board.groups_RGk is not None else tokens
        return 2 * tokens * (3 * config.n * config.d + reach * (config.n + config.heads * config.d))

    def state_floats(self, board: Board, depth: int) -> int:
        return (depth * self.config.n if board.reading == "sequence" else board.tokens) * self.config.d
