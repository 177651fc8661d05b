"""Gated linear attention: a memory that fades by what is read (Mamba-2, Dao and Gu 2024; GLA, Yang 2023). One block, for head h and token i:

    S_h,i = exp(-w_h,i) S_h,i-1 + k_i (w_h,i v_h,i)^T        a_h,i = S_h,i^T q_i        v <- v + (norm(a) * silu(gate)) out

w = softplus(map of the token + bias) > 0 is how much a head writes of a token and how fast it lets go of the rest: Mamba-2's step size, whose A is 1
here, since every head is normed by itself, as in GLA, and so only the fading needs a rate. As in Mamba-2 queries and keys are one for all heads, the inner
layer is wide, and there is no other feed-forward layer. Order is in the fading alone: no positions, and no short convolution before the memory.

On a grid nothing comes before anything else, so nothing fades: a_i = sum over j of (q_i · k_j) w_j v_j, in heads bound to relations where asked.
Axes: B batch, t tokens, D width, H heads, K width of queries and keys, P width of a head's values, F = H·P, I all a token is mapped to, n chunks of C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, rms_norm, silu, softplus

from bdh_reason.errors import UserError
from bdh_reason.model import State
from bdh_reason.task import Board

from . import transformer
from .transformer import Cache, look

CHUNK = 32  # most tokens that are read at once


@dataclass(frozen=True)
class Config:
    """d width, `hidden` width of the values of all heads and of the gate, `keys` width of queries and keys, `layers` blocks a step.

    To match sizes: a step has layers · (d (3 hidden + 2 keys + heads + 1) + heads) + d parameters; a latent step remembers layers · keys · hidden numbers
    of a text, where BDH remembers layers · n · d.
    """

    d: int = 48
    heads: int = 4
    hidden: int = 144
    keys: int = 36
    layers: int = 1
    relations: bool = True
    coordinates: bool = False

    def __post_init__(self) -> None:
        if min(self.d, self.heads, self.hidden, self.keys, self.layers) < 1 or self.hidden % self.heads:
            given = f"d = {self.d}, hidden = {self.hidden} in {self.heads} heads, keys = {self.keys}, layers = {self.layers}"
            raise UserError(given, "positive sizes, hidden a multiple of the heads")


EXAMPLES = (Config(d=12, heads=12, hidden=24, keys=6, layers=2), Config(d=12, heads=12, hidden=24, keys=6, coordinates=True))


class Block(nn.Module):
    """The memory and its gate, added to the residual stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.widths = config, (config.hidden, config.hidden, config.keys, config.keys, config.heads)
        self.norm = nn.RMSNorm(config.d)
        self.in_DI = nn.Parameter(torch.randn(config.d, sum(self.widths)) * config.d**-0.5)
        self.write_H = nn.Parameter(torch.logspace(-3, 0, config.heads).expm1().log())  # softplus of it: memories of 1,000 tokens to 1
        self.out_FD = nn.Parameter(torch.randn(config.hidden, config.d) * config.hidden**-0.5)

    def forward(self, v_BtD: Tensor, board: Board, cache: Cache | None, position: int) -> tuple[Tensor, Cache | None]:
        """[B, t, D] -> [B, t, D], and the memory with these tokens in it where one was given."""
        heads = self.config.heads
        value_BtF, gate_BtF, q_BtK, k_BtK, write_BtH = (self.norm(v_BtD) @ self.in_DI).split(self.widths, -1)
        write_HBt = softplus(write_BtH + self.write_H).permute(2, 0, 1)
        value_HBtP = value_BtF.unflatten(2, (heads, -1)).permute(2, 0, 1, 3) * write_HBt[..., None]
        if board.reading == "sequence":
            S_HBKP = cache[0].transpose(0, 1) if cache else self.out_FD.new_zeros(heads, len(v_BtD), self.config.keys, value_HBtP.shape[-1])
            read = recurrent if v_BtD.shape[1] == 1 else chunked
            a_HBtP, S_HBKP = read(q_BtK[None], k_BtK[None], value_HBtP, -write_HBt, S_HBKP)
            cache = cache and (S_HBKP.transpose(0, 1),)
        else:
            a_HBtP = look(unordered, q_BtK[None], k_BtK[None], value_HBtP, self.config, board)
        a_BtF = rms_norm(a_HBtP, a_HBtP.shape[-1:]).permute(1, 2, 0, 3).flatten(2)
        return v_BtD + (a_BtF * silu(gate_BtF)) @ self.out_FD, cache


def recurrent(q_HB1K: Tensor, k_HB1K: Tensor, v_HB1P: Tensor, fade_HB1: Tensor, S_HBKP: Tensor) -> tuple[Tensor, Tensor]:
    """One token: S <- exp(fade) S + k v^T; a = q S. Also what it costs to go on after a long text."""
    S_HBKP = fade_HB1[..., None].exp() * S_HBKP + k_HB1K.mT @ v_HB1P
    return q_HB1K @ S_HBKP, S_HBKP


def chunked(q_HBtK: Tensor, k_HBtK: Tensor, v_HBtP: Tensor, fade_HBt: Tensor, S_HBKP: Tensor) -> tuple[Tensor, Tensor]:
    """`recurrent` for any number of tokens: from token to token inside equal chunks, through S between them. fade <= 0, and no exponent is above 0.

    Axes of size 1 stand for all heads or texts. Chunks are filled up with tokens that write nothing and let nothing fade.
    """
    tokens = v_HBtP.shape[2]
    count, size = chunks(tokens)
    filling = count * size - tokens
    q_HBnCK, k_HBnCK, v_HBnCP = (torch.unflatten(pad(part, (0, 0, 0, filling)), 2, (count, size)) for part in (q_HBtK, k_HBtK, v_HBtP))
    since_HBnC = torch.unflatten(pad(fade_HBt, (0, filling)), 2, (count, size)).cumsum(-1)
    whole_HBn1 = since_HBnC[..., -1:]
    seen_CC = torch.ones(size, size, dtype=torch.bool, device=v_HBtP.device).tril()
    left_HBnCC = (since_HBnC[..., None] - since_HBnC[..., None, :]).masked_fill(~seen_CC, float("-inf")).exp()
    a_HBnCP = (q_HBnCK @ k_HBnCK.mT * left_HBnCC) @ v_HBnCP
    written_HBnKP = (k_HBnCK * (whole_HBn1 - since_HBnC)[..., None].exp()).mT @ v_HBnCP
    before = []
    for left_HB11, written_HBKP in zip(whole_HBn1[..., None].exp().unbind(2), written_HBnKP.unbind(2)):
        before.append(S_HBKP)
        S_HBKP = left_HB11 * S_HBKP + written_HBKP
    a_HBnCP = a_HBnCP + (q_HBnCK * since_HBnC[..., None].exp()) @ torch.stack(before, 2)
    return a_HBnCP.flatten(2, 3)[:, :, :tokens], S_HBKP


def chunks(tokens: int) -> tuple[int, int]:
    """How many chunks of what equal size, at least one of one token: (n, C)."""
    count = max(-(-tokens // CHUNK), 1)
    return count, max(-(-tokens // count), 1)


def unordered(q_tK: Tensor, k_tK: Tensor, v_tP: Tensor, seen_tt: Tensor | None) -> Tensor:
    """a_i = sum over j that i sees of (q_i · k_j) v_j; None lets every token see every other, and many of them through one state."""
    if seen_tt is None and q_tK.shape[-2] > q_tK.shape[-1]:
        return q_tK @ (k_tK.mT @ v_tP)
    scores_tt = q_tK @ k_tK.mT
    return (scores_tt if seen_tt is None else scores_tt * seen_tt) @ v_tP


class Model(transformer.Model):
    """The transformer's stack with these blocks."""

    name = "gated_linear"
    block = Block

    @staticmethod
    def widths(config: Any) -> dict[str, int]:
        return {"d": 1, "keys": 1, "hidden": config.heads}

    def blank(self, batch: int) -> State:
        """A memory S = 0 [B, H, K, P] for each block."""
        config = self.config
        S_BHKP = self.token_VD.new_zeros(batch, config.heads, config.keys, config.hidden // config.heads)
        return State(self.kind(), 0, (S_BHKP,) * config.layers)

    def step_flops(self, board: Board) -> int:
        config, tokens = self.config, board.tokens
        maps = config.d * (3 * config.hidden + 2 * config.keys + config.heads)
        return 2 * config.layers * (tokens * maps + self._reading(board))

    def _reading(self, board: Board) -> int:
        """Products of what is between the maps of one block."""
        config, tokens, synapses = self.config, board.tokens, 2 * self.config.keys * self.config.hidden
        if board.reading == "sequence":
            count, size = chunks(tokens)
            return synapses if tokens == 1 else count * size * (size * (config.keys + config.hidden) + synapses)
        grouped = config.relations and board.groups_RGk is not None
        reach = board.groups_RGk.shape[2] if grouped and board.groups_RGk is not None else tokens
        if reach > config.keys and (grouped or not config.relations):
            return tokens * synapses
        return tokens * reach * (config.keys * (config.heads if grouped else 1) + config.hidden)

    def state_floats(self, board: Board, depth: int) -> int:
        config = self.config
        return depth * config.layers * config.keys * config.hidden if board.reading == "sequence" else board.tokens * config.d
