"""The linear transformer ("Transformers are RNNs", Katharopoulos 2020): the transformer's blocks, in which a kernel takes the softmax's place.

    a_i = sum over j <= i of (phi(q_i) · phi(k_j)) v_j / sum over j <= i of phi(q_i) · phi(k_j)        phi(x) = elu(x) + 1 > 0

So a text is remembered in two sums, S of phi(k) v^T and z of phi(k), whatever its length. Positions are rotary, as in the transformer: they turn phi(q) and
phi(k) above the line but not below it (RoFormer, Su 2021, Eq. 19). On a grid there are no positions, and all j, or those of i's relation, are summed over.
Axes: B batch, t tokens, H heads, K width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import elu

from bdh_reason.model import State
from bdh_reason.task import Board

from . import transformer
from .gated_linear import chunked, chunks, recurrent, unordered
from .transformer import Cache, look, rotary

TINY = 1e-6  # added below the line, as the paper's code does: phi of a very negative number is 0


@dataclass(frozen=True)
class Config(transformer.Config):
    """The transformer's options. The same options have as many parameters as there: a step has layers · (4 d² + 3 d hidden + 2 d) + d.

    A latent step remembers layers · (d² / heads + d) numbers of a text, where BDH remembers layers · n · d: fewer heads remember more.
    """


EXAMPLES = (Config(d=24, heads=12, hidden=20, layers=2), Config(d=24, heads=12, hidden=20, coordinates=True))


class Block(transformer.Block):
    """The transformer's block with the kernel."""

    def attend(self, q_HBtK: Tensor, k_HBtK: Tensor, v_HBtK: Tensor, board: Board, cache: Cache | None, position: int) -> tuple[Tensor, Cache | None]:
        q_HBtK, k_HBtK = elu(q_HBtK) + 1, elu(k_HBtK) + 1
        if board.reading == "grid":
            return look(kernel_attention, q_HBtK, k_HBtK, v_HBtK, self.config, board), None
        heads, batch, tokens, width = q_HBtK.shape
        if cache:
            S_HBKK, z_HBK = (sum_BH.transpose(0, 1) for sum_BH in cache)
        else:
            S_HBKK, z_HBK = (self.out_DD.new_zeros(heads, batch, *shape) for shape in ((width, width), (width,)))
        below_HBt1 = (q_HBtK * (z_HBK[:, :, None] + k_HBtK.cumsum(2, dtype=z_HBK.dtype))).sum(-1, keepdim=True)
        read, never_11t = recurrent if tokens == 1 else chunked, z_HBK.new_zeros(1, 1, tokens)
        a_HBtK, S_HBKK = read(rotary(q_HBtK, position), rotary(k_HBtK, position), v_HBtK, never_11t, S_HBKK)
        z_HBK = z_HBK + k_HBtK.sum(2, dtype=z_HBK.dtype)
        return a_HBtK / (below_HBt1 + TINY), cache and (S_HBKK.transpose(0, 1), z_HBK.transpose(0, 1))


def kernel_attention(q_tK: Tensor, k_tK: Tensor, v_tK: Tensor, seen_tt: Tensor | None) -> Tensor:
    """The mean of v_j weighted by q_i · k_j, over the j that i sees; q and k have been through phi."""
    a_tK = unordered(q_tK, k_tK, torch.cat([v_tK, torch.ones_like(v_tK[..., :1])], -1), seen_tt)
    return a_tK[..., :-1] / (a_tK[..., -1:] + TINY)


class Model(transformer.Model):
    """The transformer's stack with these blocks."""

    name = "linear_attention"
    block = Block

    def blank(self, batch: int) -> State:
        """The sums S = 0 [B, H, K, K] and z = 0 [B, H, K] for each block."""
        config, width = self.config, self.config.d // self.config.heads
        S_BHKK, z_BHK = (self.token_VD.new_zeros(batch, config.heads, *shape) for shape in ((width, width), (width,)))
        return State(self.kind(), 0, (S_BHKK, z_BHK) * config.layers)

    def step_flops(self, board: Board) -> int:
        config = self.config
        return 2 * config.layers * (board.tokens * (4 * config.d**2 + 3 * config.d * config.hidden) + config.heads * self._reading(board))

    def _reading(self, board: Board) -> int:
        """Products of the attention of one head."""
        tokens, width, relations = board.tokens, self.config.d // self.config.heads, self.config.relations
        if board.reading == "sequence":
            count, size = chunks(tokens)
            return 2 * width**2 if tokens == 1 else count * size * (size * 2 * width + 2 * width**2)
        reach = board.groups_RGk.shape[2] if relations and board.groups_RGk is not None else tokens
        by_state = reach > width and (board.groups_RGk is not None or not relations)
        return tokens * (width * (width + 1) * 2 if by_state else reach * (2 * width + 1))

    def state_floats(self, board: Board, depth: int) -> int:
        config = self.config
        return depth * config.layers * (config.d**2 // config.heads + config.d) if board.reading == "sequence" else board.tokens * config.d
