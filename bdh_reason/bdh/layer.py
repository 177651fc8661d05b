"""A layer's update with the backward pass written out: what training runs where it is large enough to matter.

    x = relu(v Dx)      q = turn(x)      S = (q qᵀ) · mask      a = S v      r = relu(LN(a) Dy)      y = r · x      u = y E

    dE = yᵀ du          dy = du Eᵀ       dr = dy · x  where r > 0            dDy = LN(a)ᵀ dr         da = LN'(dr Dyᵀ)
    dS = (da vᵀ) · mask                  dq = (dS + dSᵀ) q                   dx = dy · r + turnᵀ(dq)  where x > 0
    dDx = vᵀ dx         dv = Sᵀ da + dx Dxᵀ

Queries are keys: one product gives the gradient of both. Nothing n-wide is transposed or copied: the heads lie one after another, [H, M, N], weights
are cast to the working type once an optimiser step, and with rotary positions the neurons are laid out with the first of each pair before all second
ones (the same permutation of Dx, Dy and E, which leaves u as it is), so that turning works on halves. x, q and r are kept for the backward pass, or made
again. `compiled` puts the same functions through Inductor, which joins the passes between the products.

Axes: M = B·t tokens of a batch, D width, H heads (1 where all heads see the same v), N neurons of a head, groups of k tokens that attend to each other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import layer_norm
from torch.utils.weak import WeakTensorKeyDictionary

Turn = tuple[Tensor, Tensor] | None
_casts: Any = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Attention:
    """Groups of `k` neighbouring tokens attend to each other: scores times `mask`, which broadcasts to [H, M / k, k, k]; with rotary positions, cos and
    sin of the phases [k, N / 2].
    """

    k: int
    mask: Tensor
    turn: Turn = None


def update(v_HMD: Tensor, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, attention: Attention, recompute: bool, compiled: bool) -> Tensor:
    """What the layer adds to v: of each head, [H, M, D], or the sum over the heads, [1, M, D], where v is the same for all.

    The products are in autocast's type, or in v's. Can be differentiated once, in v and in the weights. `recompute` keeps no n-wide tensor.
    """
    kind = v_HMD.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else v_HMD.dtype
    with torch.autocast(kind, enabled=False):
        return _apply(v_HMD, Dx_HDN, Dy_HDN, E_HND, dtype, attention, recompute, compiled)


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, v_HMD: Tensor, Dx: Tensor, Dy: Tensor, E: Tensor, dtype: torch.dtype, attention: Attention, recompute: bool, compiled: bool
    ) -> Tensor:
        paired = attention.turn is not None
        weights = tuple(_cast(weight, dtype, axis if paired else None) for weight, axis in ((Dx, 2), (Dy, 2), (E, 1)))
        turn = attention.turn and tuple(part.to(dtype) for part in attention.turn)
        v, mask = v_HMD.to(dtype), attention.mask.to(dtype)
        u_HMD, x, q, r, S, a = _run(forward, compiled)(v, *weights, mask, turn, attention.k)
        ctx.how, ctx.turn, ctx.compiled, ctx.like = (attention.k, paired), turn, compiled, v_HMD.dtype
        ctx.save_for_backward(v, *weights, mask, S, a, *(() if recompute else (x, q, r)))
        return u_HMD.to(v_HMD.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, du_HMD: Tensor) -> tuple[Tensor | None, ...]:
        v, Dx, Dy, E, mask, S, a, *active = ctx.saved_tensors
        k, paired = ctx.how
        x, q, r = active or _run(activity, ctx.compiled)(v, Dx, Dy, a, ctx.turn, k)
        dv, *weights = _run(backward, ctx.compiled)(du_HMD.to(v.dtype), v, Dx, Dy, E, mask, ctx.turn, k, S, a, x, q, r)
        dDx, dDy, dE = (_pairs(weight.float(), axis) if paired else weight.to(ctx.like) for weight, axis in zip(weights, (2, 2, 1)))
        return dv.to(ctx.like), dDx, dDy, dE, None, None, None, None


_apply: Any = _Update.apply  # torch does not annotate it


def activity(v_HMD: Tensor, Dx_HDN: Tensor, Dy_HDN: Tensor, a_HMD: Tensor, turn: Turn, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """(x, q, r), the n-wide tensors that a backward pass needs, from the d-wide ones."""
    x_HMN = torch.bmm(v_HMD.expand(len(Dx_HDN), -1, -1), Dx_HDN).relu()
    return x_HMN, _turned(x_HMN, turn, k, 1), torch.bmm(_norm(a_HMD), Dy_HDN).relu()


def forward(v_HMD: Tensor, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, mask: Tensor, turn: Turn, k: int) -> tuple[Tensor, ...]:
    """(u, x, q, r, S, a); u is summed over the heads where v has only one."""
    x_HMN = torch.bmm(v_HMD.expand(len(Dx_HDN), -1, -1), Dx_HDN).relu()
    q_HMN = _turned(x_HMN, turn, k, 1)
    q_HGkN = _grouped(q_HMN, k)
    S_HGkk = (q_HGkN @ q_HGkN.mT) * mask
    a_HMD = (S_HGkk @ _grouped(v_HMD, k)).flatten(1, 2)
    r_HMN = torch.bmm(_norm(a_HMD), Dy_HDN).relu()
    u_HMD = torch.bmm(r_HMN * x_HMN, E_HND)
    return (u_HMD if len(v_HMD) > 1 else u_HMD.sum(0, keepdim=True)), x_HMN, q_HMN, r_HMN, S_HGkk, a_HMD


def backward(
    du_HMD: Tensor,
    v_HMD: Tensor,
    Dx_HDN: Tensor,
    Dy_HDN: Tensor,
    E_HND: Tensor,
    mask: Tensor,
    turn: Turn,
    k: int,
    S_HGkk: Tensor,
    a_HMD: Tensor,
    x_HMN: Tensor,
    q_HMN: Tensor,
    r_HMN: Tensor,
) -> tuple[Tensor, ...]:
    """(dv, dDx, dDy, dE) by the equations above."""
    heads = len(Dx_HDN)
    du_HMD = du_HMD.expand(heads, -1, -1)
    dE_HND = torch.bmm((r_HMN * x_HMN).mT, du_HMD)
    dy_HMN = torch.bmm(du_HMD, E_HND.mT)
    dr_HMN = torch.where(r_HMN > 0, dy_HMN * x_HMN, 0)
    dDy_HDN = torch.bmm(_norm(a_HMD).mT, dr_HMN)
    da_HGkD = _grouped(_norm_backward(torch.bmm(dr_HMN, Dy_HDN.mT), a_HMD), k)
    dS_HGkk = (da_HGkD @ _grouped(v_HMD, k).mT) * mask
    dq_HMN = ((dS_HGkk + dS_HGkk.mT) @ _grouped(q_HMN, k)).flatten(1, 2)
    dx_HMN = torch.where(x_HMN > 0, dy_HMN * r_HMN + _turned(dq_HMN, turn, k, -1), 0)
    dDx_HDN = torch.bmm(v_HMD.mT.expand(heads, -1, -1), dx_HMN)
    dv_HMD = torch.bmm(dx_HMN, Dx_HDN.mT) + (S_HGkk.mT @ da_HGkD).flatten(1, 2)
    return (dv_HMD if len(v_HMD) > 1 else dv_HMD.sum(0, keepdim=True)), dDx_HDN, dDy_HDN, dE_HND


def _grouped(z_HMX: Tensor, k: int) -> Tensor:
    return torch.unflatten(z_HMX, 1, (-1, k))


def _norm(a_HMD: Tensor) -> Tensor:
    return layer_norm(a_HMD, a_HMD.shape[-1:])


def _norm_backward(dc_HMD: Tensor, a_HMD: Tensor) -> Tensor:
    """Gradient of LayerNorm without parameters, in fp32 or finer."""
    wide = torch.promote_types(a_HMD.dtype, torch.float32)
    variance_HM1, mean_HM1 = torch.var_mean(a_HMD.to(wide), -1, correction=0, keepdim=True)
    scale_HM1 = (variance_HM1 + 1e-5).rsqrt()
    c_HMD, dc_HMD = (a_HMD - mean_HM1) * scale_HM1, dc_HMD.to(wide)
    return ((dc_HMD - dc_HMD.mean(-1, keepdim=True) - c_HMD * (dc_HMD * c_HMD).mean(-1, keepdim=True)) * scale_HM1).to(a_HMD.dtype)


def _turned(x_HMN: Tensor, turn: Turn, k: int, way: int) -> Tensor:
    """Each token's pairs of neurons turned by its phases, forth or back (`way` 1 or -1); the first of each pair lie in the first half."""
    if turn is None:
        return x_HMN
    (cos_kP, sin_kP), (first, second) = turn, _grouped(x_HMN, k).chunk(2, -1)
    return torch.cat([first * cos_kP - second * (way * sin_kP), second * cos_kP + first * (way * sin_kP)], -1).flatten(1, 2)


def _halves(weight: Tensor, axis: int) -> Tensor:
    """The neurons along `axis` with the first of each pair before all second ones."""
    return torch.unflatten(weight, axis, (-1, 2)).transpose(axis, axis + 1).flatten(axis, axis + 1)


def _pairs(weight: Tensor, axis: int) -> Tensor:
    """The way back from `_halves`."""
    return torch.unflatten(weight, axis, (2, -1)).transpose(axis, axis + 1).flatten(axis, axis + 1)


def _cast(weight: Tensor, dtype: torch.dtype, axis: int | None) -> Tensor:
    """The weight in the working type, with its neurons along `axis` in halves; made once until the weight is written to."""
    known = _casts.setdefault(weight, {})
    if (dtype, axis) not in known or known[dtype, axis][0] != weight._version:
        plain = weight.detach()
        known[dtype, axis] = weight._version, (plain if axis is None else _halves(plain, axis)).to(dtype).contiguous()
    return known[dtype, axis][1]


def _run(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    return _compile(function) if compiled else function


@lru_cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function through Inductor; where that finds no compiler, the function itself from then on, with one line that says so."""
    attempt, usable = torch.compile(function, dynamic=False), True

    def run(*inputs: Any) -> Any:
        nonlocal usable
        if usable:
            try:
                return attempt(*inputs)
            except torch._dynamo.exc.TorchDynamoException as error:
                usable = False
                reason = str(error).strip().splitlines()[0]
                print(f"the layer's {function.__name__} pass runs without Inductor: {reason}", file=sys.stderr)
        return function(*inputs)

    return run
