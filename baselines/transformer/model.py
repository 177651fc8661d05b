"""The transformer baseline: pre-norm blocks of softmax attention and SwiGLU (Vaswani 2017; Shazeer 2020; Su 2021 for rotary positions).

`layers` different blocks make one step. Looped: few layers, many steps of the loop (weights shared over depth). Plain: many layers, one step.
It reads the same boards as BDH: all tokens of a grid, strictly causal sequences, heads bound to relations inside groups of k.
Axes: B batch, t tokens, D width, H heads, K width of a head, F width of the feed-forward layer, G groups of k tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from bdh_reason import model
from bdh_reason.compiled.product import product
from bdh_reason.errors import UserError
from bdh_reason.model import State
from bdh_reason.task import Board

from . import bound

Cache = tuple[Tensor, ...]  # of one block; here which tokens are remembered, bool [B, t], and all keys and values [B, H, t, K]


@dataclass(frozen=True)
class Config:
    """d width, `heads` of width d / heads, `hidden` width of the SwiGLU, `layers` blocks a step; relations and coordinates as in BDH."""

    d: int = 48
    heads: int = 4
    hidden: int = 104
    layers: int = 1
    relations: bool = True
    coordinates: bool = False

    def __post_init__(self) -> None:
        if min(self.d, self.heads, self.hidden, self.layers) < 1 or self.d % self.heads or self.d // self.heads % 2:
            raise UserError(f"d = {self.d} in {self.heads} heads, hidden = {self.hidden}, layers = {self.layers}", "positive sizes, an even d / heads")


EXAMPLES = (Config(d=24, heads=12, hidden=20, layers=2), Config(d=24, heads=12, hidden=20, coordinates=True))


class Block(nn.Module):
    """Attention, then SwiGLU, each added to the residual stream after its own norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        d, hidden = config.d, config.hidden
        self.attention_norm, self.hidden_norm = nn.RMSNorm(d), nn.RMSNorm(d)
        self.qkv_D3D = nn.Parameter(torch.randn(d, 3 * d) * d**-0.5)
        self.out_DD = nn.Parameter(torch.randn(d, d) * d**-0.5)
        self.gate_up_D2F = nn.Parameter(torch.randn(d, 2 * hidden) * d**-0.5)
        self.down_FD = nn.Parameter(torch.randn(hidden, d) * hidden**-0.5)

    def forward(self, v_BtD: Tensor, board: Board, cache: Cache | None, position: int) -> tuple[Tensor, Cache | None]:
        """[B, t, D] after `position` tokens -> [B, t, D], and the cache with these tokens in it where one was given."""
        config, qkv_BtD = self.config, _map(self.attention_norm(v_BtD), self.qkv_D3D).chunk(3, -1)
        q_HBtK, k_HBtK, v_HBtK = (part.reshape(*part.shape[:2], config.heads, config.d // config.heads).permute(2, 0, 1, 3) for part in qkv_BtD)
        a_HBtK, cache = self.attend(q_HBtK, k_HBtK, v_HBtK, board, cache, position)
        v_BtD = v_BtD + _map(a_HBtK.permute(1, 2, 0, 3).flatten(2), self.out_DD)
        gate_BtF, up_BtF = _map(self.hidden_norm(v_BtD), self.gate_up_D2F).chunk(2, -1)
        return v_BtD + _map(silu(gate_BtF) * up_BtF, self.down_FD), cache

    def weights(self) -> bound.Layer:
        """All of them, in the order of their use."""
        return self.attention_norm.weight, self.qkv_D3D, self.out_DD, self.hidden_norm.weight, self.gate_up_D2F, self.down_FD

    def attend(self, q_HBtK: Tensor, k_HBtK: Tensor, v_HBtK: Tensor, board: Board, cache: Cache | None, position: int) -> tuple[Tensor, Cache | None]:
        """What every head reads [H, B, t, K], and the cache; other kinds of attention replace this."""
        if board.reading == "sequence":
            return recall(rotary(q_HBtK, position), rotary(k_HBtK, position), v_HBtK, cache)
        return look(softmax_attention, q_HBtK, k_HBtK, v_HBtK, self.config, board), None


def _read_only(v: Tensor) -> bool:
    """Whether nobody wants gradients of fp32 on a CPU, where torch's own operations for that are faster than the equations."""
    return v.device.type == "cpu" and v.dtype == torch.float32 and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def _map(v_BtD: Tensor, weight_DF: Tensor) -> Tensor:
    """[B, t, D] -> [B, t, F]."""
    return product(v_BtD.flatten(0, 1), weight_DF).view(*v_BtD.shape[:2], -1) if _read_only(v_BtD) else v_BtD @ weight_DF


def look(attend: Callable[..., Tensor], q_HBtK: Tensor, k_HBtK: Tensor, v_HBtK: Tensor, config: Any, board: Board) -> Tensor:
    """`attend(q, k, v, seen)` on a grid: each head inside its relation, or every token sees every other. q and k may be one for all heads."""
    if config.relations and board.groups_RGk is not None:
        order_Ht, inverse_Ht = model.head_order(board, config.heads, q_HBtK.device)
        sorted_HBtK = (model.reorder_heads(part.expand(config.heads, -1, -1, -1), order_Ht) for part in (q_HBtK, k_HBtK, v_HBtK))
        q_HBGkK, k_HBGkK, v_HBGkK = (torch.unflatten(part, 2, board.groups_RGk.shape[1:]) for part in sorted_HBtK)
        return model.reorder_heads(attend(q_HBGkK, k_HBGkK, v_HBGkK, None).flatten(2, 3), inverse_Ht)
    return attend(q_HBtK, k_HBtK, v_HBtK, model.head_mask(board, config.heads, q_HBtK.device)[:, None] if config.relations else None)


def recall(q_HBtK: Tensor, k_HBtK: Tensor, v_HBtK: Tensor, cache: Cache | None) -> tuple[Tensor, Cache | None]:
    """Causal attention to the tokens at hand and to those in the cache."""
    _, batch, tokens, _ = q_HBtK.shape
    if cache is None and _read_only(q_HBtK):
        return scaled_dot_product_attention(q_HBtK, k_HBtK, v_HBtK, is_causal=True), None
    seen_tt = torch.ones(tokens, tokens, dtype=torch.bool, device=q_HBtK.device).tril()
    if cache is None:
        return softmax_attention(q_HBtK, k_HBtK, v_HBtK, seen_tt), None
    known_BT, k_BHTK, v_BHTK = cache
    seen_BtT = torch.cat([known_BT[:, None].expand(-1, tokens, -1), seen_tt.expand(batch, -1, -1)], 2)
    known_BT = torch.cat([known_BT, known_BT.new_ones(batch, tokens)], 1)
    k_BHTK, v_BHTK = torch.cat([k_BHTK, k_HBtK.transpose(0, 1)], 2), torch.cat([v_BHTK, v_HBtK.transpose(0, 1)], 2)
    return softmax_attention(q_HBtK, k_BHTK.transpose(0, 1), v_BHTK.transpose(0, 1), seen_BtT), (known_BT, k_BHTK, v_BHTK)


def softmax_attention(q_tK: Tensor, k_tK: Tensor, v_tK: Tensor, seen_tt: Tensor | None) -> Tensor:
    """softmax(q·k / sqrt K) v over the last two axes; `seen` is bool and broadcasts, None lets every token see every other."""
    if _read_only(q_tK):
        return scaled_dot_product_attention(q_tK, k_tK, v_tK, seen_tt)
    scores_tt = q_tK @ k_tK.mT * q_tK.shape[-1] ** -0.5
    if seen_tt is not None:
        scores_tt = scores_tt.masked_fill(~seen_tt, float("-inf"))
    return scores_tt.softmax(-1) @ v_tK


def rotary(q_tK: Tensor, position: int = 0) -> Tensor:
    """Turns the pair (i, i + K/2) by position · 10,000^(-2i/K) (RoFormer, Eq. 34, in the half-split layout), from the first token's `position` on."""
    tokens, width = q_tK.shape[-2:]
    speed_K = 10_000.0 ** (-torch.arange(0, width, 2, device=q_tK.device) / width)
    phase_tK = torch.arange(position, position + tokens, device=q_tK.device)[:, None] * speed_K
    cos_tK, sin_tK = phase_tK.cos().to(q_tK.dtype), phase_tK.sin().to(q_tK.dtype)
    first_tK, second_tK = q_tK.chunk(2, -1)
    return torch.cat([first_tK * cos_tK - second_tK * sin_tK, first_tK * sin_tK + second_tK * cos_tK], -1)


class Model(model.Model):
    """The transformer on the contract of `bdh_reason.model`; other kinds of blocks make other models of the same stack."""

    name = "transformer"
    block: ClassVar[type[nn.Module]] = Block

    def __init__(self, config: Any, board: Board, feedback: bool = True) -> None:
        super().__init__(config, board, feedback)
        self.blocks = nn.ModuleList(self.block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.d)

    @staticmethod
    def widths(config: Config) -> dict[str, int]:
        """Heads of whole quarters of a register, for `bound`."""
        return {"d": 4 * config.heads, "hidden": 1}

    def step(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board, state: State | None) -> tuple[Tensor, State | None]:
        config = self.config
        if state is None and self.block is Block and config.relations and board.groups_RGk is not None:
            layers: list[bound.Layer] = [block.weights() for block in self.blocks]  # type: ignore[operator]
            if bound.fits(v_BtD, v0_BtD, layers, config.heads):
                order_Ht, _ = model.head_order(board, config.heads, v_BtD.device)
                return bound.step(v_BtD, v0_BtD, layers, self.norm.weight, order_Ht, board.groups_RGk.shape[2]), None
        if v0_BtD is not None:
            v_BtD = v_BtD + v0_BtD
        memory: list[Tensor] = []
        position, tokens = state.position if state else 0, v_BtD.shape[1]
        caches = zip(*[iter(state.tensors)] * (len(state.tensors) // len(self.blocks))) if state else repeat(None)
        for block, cache in zip(self.blocks, caches):
            v_BtD, cache = block(v_BtD, board, cache, position)
            memory.extend(cache or ())
        return self.norm(v_BtD), state and State(state.kind, position + tokens, tuple(memory))

    def blank(self, batch: int) -> State:
        """An empty cache of keys and values for each block."""
        config = self.config
        none_BH0K = self.token_VD.new_zeros(batch, config.heads, 0, config.d // config.heads)
        known_B0 = torch.zeros(batch, 0, dtype=torch.bool, device=none_BH0K.device)
        return State(self.kind(), 0, (known_B0, none_BH0K, none_BH0K) * config.layers)

    def step_flops(self, board: Board) -> int:
        tokens, config = board.tokens, self.config
        bound = config.relations and board.groups_RGk is not None
        reach = board.groups_RGk.shape[2] if bound and board.groups_RGk is not None else tokens
        block = 4 * config.d**2 + 3 * config.d * config.hidden + 2 * reach * config.d
        return 2 * tokens * config.layers * block

    def state_floats(self, board: Board, depth: int) -> int:
        return board.tokens * self.config.d * (2 * depth * self.config.layers if board.reading == "sequence" else 1)
