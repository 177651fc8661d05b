"""One text read without gradients on a CPU, of any length: the equations of `model` in windows, head by head, the synapses written in place.

A window of C tokens costs 6·C·n·d for the three maps, 4·C·n·d to read and to write the synapses and about 1.5·C²·(n + H·d) among its own tokens. No tensor is
wider than the neurons of one head, whatever the length (`paper` and `normfree` keep one for each head). A single token goes to `decode` where it can.
Axes: t tokens, D width, H heads, N neurons of a head.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bdh_reason.bdh import decode
from bdh_reason.bdh.places import Places, places
from bdh_reason.compiled.product import add_product, product
from bdh_reason.model import State

if TYPE_CHECKING:
    from bdh_reason.bdh.model import Model

BLOCK = 128  # tokens that look at all before them together: of the scores that a causal mask wipes out, only the last block's are computed


def fits(v_BtD: Tensor) -> bool:
    """Whether tokens are read here: of one text, at least one, on a CPU, in fp32 or float64, and nobody wants gradients."""
    plain = v_BtD.device.type == "cpu" and v_BtD.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return plain and len(v_BtD) == 1 and v_BtD.shape[1] > 0 and not torch.is_grad_enabled()


def step(model: Model, v_1tD: Tensor, v0_1tD: Tensor | None, state: State | None, size: int) -> tuple[Tensor, State | None]:
    """`Model.step` on a sequence, in windows of `size` tokens. The synapses of `state` are copied first, all of them once, unless it was given up."""
    tokens, position = v_1tD.shape[1], state.position if state else 0
    rhos_HND, parts_tD = _synapses(model, state, beyond=tokens > size), []
    read = decode.token if rhos_HND and tokens == 1 and decode.fits(model) else window
    for start in range(0, tokens, size):
        part_tD, part0_tD = v_1tD[0, start : start + size], None if v0_1tD is None else v0_1tD[0, start : start + size]
        where = places(model.config, len(part_tD), position + start, part_tD.dtype)
        parts_tD.append(read(model, part_tD, part0_tD, rhos_HND, where))
    after = state and State(state.kind, position + tokens, tuple(rho_HND[None] for rho_HND in rhos_HND), state.given)
    return torch.cat(parts_tD)[None], after


def _synapses(model: Model, state: State | None, beyond: bool) -> list[Tensor]:
    """The rho of each layer, to be written into; none where the whole text is one window that begins here."""
    if state is None and not beyond:
        return []
    before = state or model.blank(1)
    # What inference mode made, torch does not let anybody change outside of it.
    ours = before.given and all(tensor.is_inference() <= torch.is_inference_mode_enabled() for tensor in before.tensors)
    return [rho_1HND[0] for rho_1HND in (before if ours else before.give()).tensors]


def window(model: Model, v_tD: Tensor, v0_tD: Tensor | None, rhos_HND: list[Tensor], where: Places) -> Tensor:
    """All layers over the tokens of one window; the synapses are left as the next window finds them."""
    kept_HtN: list[Tensor | None] = [None] * model.config.heads
    for (Dx_HDN, Dy_HDN, E_HND), rho_HND in zip_longest(model._weights(), rhos_HND):
        update_tD = torch.zeros_like(v_tD)
        for h, before_tN in enumerate(kept_HtN):
            x_tN = product(v_tD, Dx_HDN[h], relu=True)
            if model.config.form != "released":
                kept_HtN[h] = x_tN = x_tN if before_tN is None else x_tN.add_(before_tN)
            a_tD = _attend(h, where.turned(x_tN), v_tD, None if rho_HND is None else rho_HND[h], where)
            y_tN = product(model._norm(a_tD), Dy_HDN[h], relu=True).mul_(x_tN)
            add_product(update_tD, y_tN, E_HND[h])
        v_tD = model._close(v_tD, update_tD, v0_tD)
    return v_tD


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
