"""A layer's update with the backward pass written out: what training runs where it is large enough to matter.

    x = relu(v Dx)      q = turn(x)      S = (q qᵀ) · mask      a = S v      r = relu(LN(a) Dy)      y = r · x      u = y E

    dE = yᵀ du          dy = du Eᵀ       dr = dy · x  where r > 0            dDy = LN(a)ᵀ dr         da = LN'(dr Dyᵀ)
    dS = (da vᵀ) · mask                  dq = (dS + dSᵀ) q                   dx = dy · r + turnᵀ(dq)  where x > 0
    dDx = vᵀ dx         dv = Sᵀ da + dx Dxᵀ

Queries are keys: one product gives the gradient of both. A head at a time, so that on a CPU what is n-wide comes out of the cache; nothing n-wide is
transposed or copied; weights are cast to the working type once an optimiser step, and with rotary positions the neurons are laid out with the first of
each pair before all second ones (the same permutation of Dx, Dy and E, which leaves u as it is), so that turning works on halves. x, q and r are kept for
the backward pass, or made again. `compiled` puts the same functions through Inductor, which joins the passes between the products.

Axes: M = B·t tokens of a batch, D width, H heads (1 where all heads see the same v), N neurons of a head, G groups of k tokens that attend to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import layer_norm
from torch.utils.weak import WeakTensorKeyDictionary

from bdh_reason.compiled.inductor import compiled_by_inductor
from bdh_reason.compiled.product import matmul

Turn = tuple[Tensor, Tensor] | None
_casts: Any = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Attention:
    """Groups of `k` neighbouring tokens attend to each other: scores times `mask`, [1 or H, 1 or k, 1 or k]; with rotary positions, cos and sin of the
    phases [k, N / 2].
    """

    k: int
    mask_Hkk: Tensor
    turn: Turn = None


def update(v_HMD: Tensor, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, attention: Attention, recompute: bool, compiled: bool) -> Tensor:
    """What the layer adds to v: of each head, [H, M, D], or the sum over the heads, [1, M, D], where v is the same for all.

    The products are in autocast's type, or in v's. Can be differentiated once, in v and in the weights. `recompute` keeps no n-wide tensor.
    """
    meta = v_HMD.is_meta  # nothing is computed, but a plan counts what would be kept
    kind = "cpu" if meta else v_HMD.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else v_HMD.dtype
    with torch.autocast(kind, enabled=False):
        return _apply(v_HMD, Dx_HDN, Dy_HDN, E_HND, dtype, attention, recompute, compiled and not meta)


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, v_HMD: Tensor, Dx: Tensor, Dy: Tensor, E: Tensor, dtype: torch.dtype, attention: Attention, recompute: bool, compiled: bool
    ) -> Tensor:
        paired = attention.turn is not None
        weights = [_cast(weight, dtype, axis if paired else None) for weight, axis in ((Dx, 2), (Dy, 2), (E, 1))]
        turn = attention.turn and tuple(part.to(dtype) for part in attention.turn)
        inputs = _heads(len(Dx), v_HMD.to(dtype), *weights, attention.mask_Hkk.to(dtype))
        last = 3 if recompute else 6  # of (u, S, a, x, q, r)
        update_HMD, *kept = zip(*(_run(forward, compiled)(*head, turn, attention.k)[:last] for head in inputs))
        ctx.weights = Dx, Dy, E
        ctx.heads, ctx.k, ctx.turn, ctx.compiled, ctx.like, ctx.own = len(Dx), attention.k, turn, compiled, v_HMD.dtype, len(v_HMD) > 1
        ctx.save_for_backward(*sum(inputs, ()), *sum(kept, ()))
        return _together(update_HMD, ctx.own).to(v_HMD.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, du_HMD: Tensor) -> tuple[Tensor | None, ...]:
        for weight in ctx.weights:
            _casts.pop(weight, None)  # an optimiser may write to it next: fused ones do so without torch counting it
        saved, dv, inputs = ctx.saved_tensors, [], 5 * ctx.heads
        made = [torch.empty_like(weight, dtype=ctx.like) for weight in ctx.weights]  # filled head by head: a second copy of a billion would be felt
        du_HMD = du_HMD.to(saved[0].dtype)
        with torch.autocast(du_HMD.device.type, enabled=False):  # whatever the caller has on: the working type was chosen in the forward pass
            for h in range(ctx.heads):
                v, Dx, Dy, E, mask = saved[5 * h : 5 * h + 5]
                S, a, *active = saved[inputs + h :: ctx.heads]
                x, q, r = active or _run(activity, ctx.compiled)(v, Dx, Dy, a, ctx.turn, ctx.k)
                du_MD = du_HMD[h if ctx.own else 0]
                dv_MD, *parts = _run(backward, ctx.compiled)(du_MD, v, Dx, Dy, E, mask, ctx.turn, ctx.k, S, a, x, q, r)
                dv.append(dv_MD)
                for weight, part, axis in zip(made, parts, (1, 1, 0)):
                    weight[h] = part if ctx.turn is None else _pairs(part, axis)
        return _together(dv, ctx.own).to(ctx.like), *made, None, None, None, None


_apply: Any = _Update.apply  # torch does not annotate it


def _heads(heads: int, *inputs_H: Tensor) -> list[tuple[Tensor, ...]]:
    """Each head's part of the inputs; what has one part for all is everybody's."""
    return [tuple(input_H[h if len(input_H) > 1 else 0] for input_H in inputs_H) for h in range(heads)]


def _together(parts: Sequence[Tensor], own: bool) -> Tensor:
    """One head after another, or their sum as if of one head."""
    whole = torch.stack(tuple(parts))
    return whole if own else whole.sum(0, keepdim=True)


def activity(v_MD: Tensor, Dx_DN: Tensor, Dy_DN: Tensor, a_MD: Tensor, turn: Turn, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """(x, q, r) of one head, the n-wide tensors that a backward pass needs, from the d-wide ones."""
    x_MN = matmul(v_MD, Dx_DN).relu()
    return x_MN, _turned(x_MN, turn, k, 1), matmul(_norm(a_MD), Dy_DN).relu()


def forward(v_MD: Tensor, Dx_DN: Tensor, Dy_DN: Tensor, E_ND: Tensor, mask_kk: Tensor, turn: Turn, k: int) -> tuple[Tensor, ...]:
    """(u, S, a, x, q, r) of one head."""
    x_MN = matmul(v_MD, Dx_DN).relu()
    q_MN = _turned(x_MN, turn, k, 1)
    q_GkN = _grouped(q_MN, k)
    S_Gkk = (q_GkN @ q_GkN.mT) * mask_kk
    a_MD = (S_Gkk @ _grouped(v_MD, k)).flatten(0, 1)
    r_MN = matmul(_norm(a_MD), Dy_DN).relu()
    return matmul(r_MN * x_MN, E_ND), S_Gkk, a_MD, x_MN, q_MN, r_MN


def backward(
    du_MD: Tensor,
    v_MD: Tensor,
    Dx_DN: Tensor,
    Dy_DN: Tensor,
    E_ND: Tensor,
    mask_kk: Tensor,
    turn: Turn,
    k: int,
    S_Gkk: Tensor,
    a_MD: Tensor,
    x_MN: Tensor,
    q_MN: Tensor,
    r_MN: Tensor,
) -> tuple[Tensor, ...]:
    """(dv, dDx, dDy, dE) of one head by the equations above."""
    dE_ND = matmul((r_MN * x_MN).mT, du_MD)
    dy_MN = matmul(du_MD, E_ND.mT)
    dr_MN = torch.where(r_MN > 0, dy_MN * x_MN, 0)
    dDy_DN = matmul(_norm(a_MD).mT, dr_MN)
    da_GkD = _grouped(_norm_backward(matmul(dr_MN, Dy_DN.mT), a_MD), k)
    dS_Gkk = (da_GkD @ _grouped(v_MD, k).mT) * mask_kk
    dq_MN = ((dS_Gkk + dS_Gkk.mT) @ _grouped(q_MN, k)).flatten(0, 1)
    dx_MN = torch.where(x_MN > 0, dy_MN * r_MN + _turned(dq_MN, turn, k, -1), 0)
    dDx_DN = matmul(v_MD.mT, dx_MN)
    dv_MD = matmul(dx_MN, Dx_DN.mT) + (S_Gkk.mT @ da_GkD).flatten(0, 1)
    return dv_MD, dDx_DN, dDy_DN, dE_ND


def _grouped(z_MX: Tensor, k: int) -> Tensor:
    return torch.unflatten(z_MX, 0, (-1, k))


def _norm(a_MD: Tensor) -> Tensor:
    return layer_norm(a_MD, a_MD.shape[-1:])


def _norm_backward(dc_MD: Tensor, a_MD: Tensor) -> Tensor:
    """Gradient of LayerNorm without parameters, in fp32 or finer."""
    wide = torch.promote_types(a_MD.dtype, torch.float32)
    variance_M1, mean_M1 = torch.var_mean(a_MD.to(wide), -1, correction=0, keepdim=True)
    scale_M1 = (variance_M1 + 1e-5).rsqrt()
    c_MD, dc_MD = (a_MD - mean_M1) * scale_M1, dc_MD.to(wide)
    return ((dc_MD - dc_MD.mean(-1, keepdim=True) - c_MD * (dc_MD * c_MD).mean(-1, keepdim=True)) * scale_M1).to(a_MD.dtype)


def _turned(x_MN: Tensor, turn: Turn, k: int, way: int) -> Tensor:
    """Each token's pairs of neurons turned by its phases, forth or back (`way` 1 or -1); the first of each pair lie in the first half."""
    if turn is None:
        return x_MN
    (cos_kP, sin_kP), (first, second) = turn, _grouped(x_MN, k).chunk(2, -1)
    return torch.cat([first * cos_kP - second * (way * sin_kP), second * cos_kP + first * (way * sin_kP)], -1).flatten(0, 1)


def _halves(weight: Tensor, axis: int) -> Tensor:
    """The neurons along `axis` with the first of each pair before all second ones."""
    return torch.unflatten(weight, axis, (-1, 2)).transpose(axis, axis + 1).flatten(axis, axis + 1)


def _pairs(weight: Tensor, axis: int) -> Tensor:
    """The way back from `_halves`."""
    return torch.unflatten(weight, axis, (2, -1)).transpose(axis, axis + 1).flatten(axis, axis + 1)


def _cast(weight: Tensor, dtype: torch.dtype, axis: int | None) -> Tensor:
    """The weight in the working type, with its neurons along `axis` in halves; made once until a backward pass, or until torch counts a write."""
    known, version = _casts.setdefault(weight, {}), (weight.data_ptr(), weight._version)
    if (dtype, axis) not in known or known[dtype, axis][0] != version:
        plain = weight.detach()
        known[dtype, axis] = version, (plain if axis is None else _halves(plain, axis)).to(dtype).contiguous()
    return known[dtype, axis][1]


def _run(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    return compiled_by_inductor(function, f"the layer's {function.__name__} pass") if compiled else function
