"""Texts read without gradients on a CPU, of any length: the equations of `model` in windows, head by head, the synapses written in place.

A window of C tokens costs 6·C·n·d for the three maps, 4·C·n·d to read and to write the synapses and about 1.5·C²·(n + H·d) among its own tokens. No tensor is
wider than the neurons of one head, whatever the length (`paper` and `normfree` keep one for each head). A single token goes to `decode` where it can.
Axes: B texts, S of them at a time, t tokens of a text, M = S·t, D width, H heads, N neurons of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bdh_reason.bdh import decode, near
from bdh_reason.bdh.places import Places, places
from bdh_reason.compiled.product import add_product, product
from bdh_reason.model import State
from bdh_reason.task import Board

if TYPE_CHECKING:
    from bdh_reason.bdh.model import Model

BLOCK = 128  # tokens that look at all before them together: of the scores that a causal mask wipes out, only the last block's are computed
TOKENS = 1024  # of texts that are read together, about: enough for the maps, few enough for the cache

Attend = Callable[[int, int, int, Tensor, Tensor], Tensor]  # (layer, head, which text, x [t, N], v [t, D]) -> a [t, D]


def fits(v_BtD: Tensor) -> bool:
    """Whether tokens are read here: at least one, on a CPU, in fp32 or float64, and nobody wants gradients."""
    plain = v_BtD.device.type == "cpu" and v_BtD.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return plain and v_BtD.numel() > 0 and not torch.is_grad_enabled()


def together(tokens: int) -> int:
    """How many texts or boards of which so many tokens are read at once are read side by side."""
    return max(1, TOKENS // tokens)


def step(model: Model, v_BtD: Tensor, v0_BtD: Tensor | None, state: State | None, size: int) -> tuple[Tensor, State | None]:
    """`Model.step` on a sequence, in windows of `size` tokens, a few short texts at a time. The synapses of `state` are copied first, all of them once, unless
    it was given up.
    """
    batch, tokens, _ = v_BtD.shape
    rhos_BHND, parts_BtD, count = _synapses(state), [], together(min(tokens, size))
    for rows in (slice(start, start + count) for start in range(0, batch, count)):
        own_SHND = [rho_BHND[rows] for rho_BHND in rhos_BHND]
        if state is None and tokens > size:
            own_SHND = list(model.blank(len(v_BtD[rows])).give().tensors)
        parts_BtD.append(_read(model, v_BtD[rows], None if v0_BtD is None else v0_BtD[rows], own_SHND, state.position if state else 0, size))
    after = state and State(state.kind, state.position + tokens, tuple(rhos_BHND), state.given)
    return torch.cat(parts_BtD), after


def _synapses(state: State | None) -> list[Tensor]:
    """The rho of each layer, to be written into; none without a state."""
    if state is None:
        return []
    # What inference mode made, torch does not let anybody change outside of it.
    ours = state.given and all(tensor.is_inference() <= torch.is_inference_mode_enabled() for tensor in state.tensors)
    return list((state if ours else state.give()).tensors)


def _read(model: Model, v_StD: Tensor, v0_StD: Tensor | None, rhos_SHND: list[Tensor], position: int, size: int) -> Tensor:
    """All windows of a few texts."""
    parts_StD = []
    for start in range(0, v_StD.shape[1], size):
        part_StD, part0_StD = v_StD[:, start : start + size], None if v0_StD is None else v0_StD[:, start : start + size]
        where = places(model.config, part_StD.shape[1], position + start, v_StD.dtype)
        if rhos_SHND and v_StD.shape[:2] == (1, 1) and decode.fits(model):
            token_1D = decode.token(model, part_StD[0], None if part0_StD is None else part0_StD[0], [rho_SHND[0] for rho_SHND in rhos_SHND], where)
            parts_StD.append(token_1D[None])
        else:
            parts_StD.append(window(model, part_StD, part0_StD, rhos_SHND, where))
    return torch.cat(parts_StD, 1)


def window(model: Model, v_StD: Tensor, v0_StD: Tensor | None, rhos_SHND: list[Tensor], where: Places) -> Tensor:
    """All layers over the tokens of one window; the synapses are left as the next window finds them."""

    def attend(layer: int, h: int, s: int, x_tN: Tensor, v_tD: Tensor) -> Tensor:
        return _attend(h, where.turned(x_tN), v_tD, rhos_SHND[layer][s, h] if rhos_SHND else None, where)

    return _layers(model, v_StD, v0_StD, attend)


def look(model: Model, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board) -> Tensor:
    """`Model.step` on a grid whose relations are masks, a few boards at a time."""
    config, count = model.config, together(v_BtD.shape[1])
    scale = (config.n // config.heads) ** -0.25 if config.scaled else 1.0

    def attend(_: int, h: int, s: int, x_tN: Tensor, v_tD: Tensor) -> Tensor:
        return near.attend(board, h, x_tN if scale == 1 else x_tN * scale, v_tD)

    parts = zip(torch.split(v_BtD, count), repeat(None) if v0_BtD is None else torch.split(v0_BtD, count))
    return torch.cat([_layers(model, v_StD, v0_StD, attend) for v_StD, v0_StD in parts])


def _layers(model: Model, v_StD: Tensor, v0_StD: Tensor | None, attend: Attend) -> Tensor:
    """All layers, head by head; attention text by text."""
    kept_HMN: list[Tensor | None] = [None] * model.config.heads
    for layer, (Dx_HDN, Dy_HDN, E_HND) in enumerate(model._weights()):
        v_MD = v_StD.flatten(0, 1)
        update_MD = torch.zeros_like(v_MD)
        for h, before_MN in enumerate(kept_HMN):
            x_MN = product(v_MD, Dx_HDN[h], relu=True)
            if model.config.form != "released":
                kept_HMN[h] = x_MN = x_MN if before_MN is None else x_MN.add_(before_MN)
            x_StN = x_MN.view(*v_StD.shape[:2], -1)
            a_MD = torch.cat([attend(layer, h, s, x_StN[s], v_StD[s]) for s in range(len(v_StD))])
            y_MN = product(model._norm(a_MD), Dy_HDN[h], relu=True).mul_(x_MN)
            add_product(update_MD, y_MN, E_HND[h])
        v_StD = model._close(v_StD, update_MD.view_as(v_StD), v0_StD)
    return v_StD


def _attend(h: int, q_tN: Tensor, v_tD: Tensor, rho_ND: Tensor | None, where: Places) -> Tensor:
    """`attention.window` for one head, with rho written in place; without a rho `attention.quadratic`."""
    a_tD, value_tD = torch.empty_like(v_tD), v_tD
    for start in range(0, len(q_tN), BLOCK):
        rows, until = slice(start, start + BLOCK), slice(0, start + BLOCK)
        scores_tt = product(q_tN[rows], q_tN[until].mT)
        scores_tt = scores_tt.tril_(start - where.strict) if where.seen_Htt is None else scores_tt.mul_(where.seen_Htt[h, rows, until])
        a_tD[rows] = product(scores_tt, v_tD[until])
    if rho_ND is None:
        return a_tD
    before_tD = product(q_tN, rho_ND)
    if where.since_Ht1 is not None and where.left_Ht1 is not None and where.whole_H11 is not None:
        before_tD *= where.since_Ht1[h]
        value_tD = v_tD * where.left_Ht1[h]
        rho_ND *= where.whole_H11[h]
    add_product(rho_ND, q_tN.mT, value_tD)
    return a_tD.add_(before_tD)
