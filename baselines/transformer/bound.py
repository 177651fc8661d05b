"""A step on boards whose heads are bound to relations, on a CPU: the blocks of `model`, a few boards at a time, so that what lies between is in the cache.

Attention is one compiled operation (`softmax`) that finds the groups itself; large training steps go through Inductor, which joins what lies between the
products and derives the backward pass.
Axes: B batch, S boards at a time, t tokens of a board, M = S·t, D width, H heads, K width of a head, F width of the feed-forward layer; C chunks of c columns
are those of `softmax`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import rms_norm, silu

from bdh_reason.compiled.inductor import compiled_by_inductor
from bdh_reason.compiled.lanes import LANES
from bdh_reason.compiled.product import matmul

from . import softmax

Layer = tuple[Tensor, ...]  # attention_norm [D], qkv [D, 3D], out [D, D], hidden_norm [D], gate_up [D, 2F], down [F, D]
TOKENS = 6144  # at a time, about: few enough for the cache, enough for the products
COMPILED_FROM = 1 << 28  # products of tokens and weights: below it compiling costs more than it brings


def fits(v_BtD: Tensor, v0_BtD: Tensor | None, layers: list[Layer], heads: int) -> bool:
    """Whether `step` can be used: float32 on CPU, under autocast bf16, not under a tracer, K a multiple of 4."""
    given = [tensor for tensor in (v_BtD, v0_BtD, *sum(layers, ())) if tensor is not None]
    plain = all(type(tensor) in (Tensor, Parameter) and tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in given)
    whole = v_BtD.numel() > 0 and v_BtD.shape[-1] // heads % 4 == 0
    return plain and whole and _dtype() in (torch.float32, torch.bfloat16) and not torch.compiler.is_compiling()


def step(v_BtD: Tensor, v0_BtD: Tensor | None, layers: list[Layer], norm_D: Tensor, order_Ht: Tensor, k: int) -> Tensor:
    """All layers and the norm after them, [B, t, D]. `order` sorts the tokens so that each head's groups of k are neighbours. Differentiable once."""
    (batch, tokens, _), dtype = v_BtD.shape, _dtype()
    size = -(-batch // -(-batch * tokens // TOKENS))
    large = torch.is_grad_enabled() and batch * tokens * sum(weight.numel() for layer in layers for weight in layer) >= COMPILED_FROM
    run = compiled_by_inductor(_step, "the transformer's step") if large else _step
    parts = zip(torch.split(v_BtD, size), repeat(None) if v0_BtD is None else torch.split(v0_BtD, size))
    with torch.autocast("cpu", enabled=False):
        return torch.cat([run(v_StD, v0_StD, layers, norm_D, _rows(order_Ht, len(v_StD), k), dtype) for v_StD, v0_StD in parts])


def _step(v_StD: Tensor, v0_StD: Tensor | None, layers: list[Layer], norm_D: Tensor, row_HCc: Tensor, dtype: torch.dtype) -> Tensor:
    v_MD = (v_StD if v0_StD is None else v_StD + v0_StD).flatten(0, 1)
    for attention_norm_D, qkv_D3D, out_DD, hidden_norm_D, gate_up_D2F, down_FD in layers:
        normal_MD = rms_norm(v_MD, v_MD.shape[-1:], attention_norm_D).to(dtype)
        a_MD = _look(matmul(normal_MD, qkv_D3D.to(dtype)), row_HCc)
        v_MD = v_MD + matmul(a_MD, out_DD.to(dtype))
        normal_MD = rms_norm(v_MD, v_MD.shape[-1:], hidden_norm_D).to(dtype)
        gate_MF, up_MF = matmul(normal_MD, gate_up_D2F.to(dtype)).chunk(2, -1)
        v_MD = v_MD + matmul(silu(gate_MF) * up_MF, down_FD.to(dtype))
    return rms_norm(v_MD, v_MD.shape[-1:], norm_D).view_as(v_StD)


def _dtype() -> torch.dtype:
    """The type of products."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is remembered must serve training as well
def _rows(order_Ht: Tensor, boards: int, k: int) -> Tensor:
    return torch.from_numpy(softmax.rows(order_Ht.numpy(), boards, k))


@torch.library.custom_op("bdh_reason::softmax_in_groups", mutates_args=())
def _look(qkv_M3D: Tensor, row_HCc: Tensor) -> Tensor:
    """[M, 3D] -> [M, D]."""
    a_MD = qkv_M3D.new_empty(len(qkv_M3D), qkv_M3D.shape[1] // 3)
    at, w = _room(qkv_M3D, row_HCc)
    softmax.forward(w, at, row_HCc.numpy(), _flat(qkv_M3D), _flat(a_MD))
    return a_MD


@torch.library.custom_op("bdh_reason::softmax_in_groups_backward", mutates_args=())
def _look_back(qkv_M3D: Tensor, row_HCc: Tensor, grad_MD: Tensor) -> Tensor:
    """The gradient [M, 3D] from that of `_look`."""
    made_M3D = qkv_M3D.new_empty(qkv_M3D.shape)
    at, w = _room(qkv_M3D, row_HCc)
    softmax.backward(w, at, row_HCc.numpy(), _flat(qkv_M3D), _flat(grad_MD), _flat(made_M3D))
    return made_M3D


@_look.register_fake
def _(qkv_M3D: Tensor, row_HCc: Tensor) -> Tensor:
    return qkv_M3D.new_empty(len(qkv_M3D), qkv_M3D.shape[1] // 3)


@_look_back.register_fake
def _(qkv_M3D: Tensor, row_HCc: Tensor, grad_MD: Tensor) -> Tensor:
    return qkv_M3D.new_empty(qkv_M3D.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _slopes(ctx: Any, grad_MD: Tensor) -> tuple[Tensor, None]:
    return _look_back(*ctx.saved_tensors, grad_MD), None


_look.register_autograd(_slopes, setup_context=_keep)


def _room(qkv_M3D: Tensor, row_HCc: Tensor) -> tuple[softmax.Places, np.ndarray]:
    heads, _, columns = row_HCc.shape
    at = softmax.places(heads, qkv_M3D.shape[1] // 3 // heads, columns // LANES)
    return at, np.empty(at.size, np.float32)


def _flat(tensor: Tensor) -> np.ndarray:
    """As one row of numbers; of bf16 the bits."""
    row = tensor.contiguous().view(-1)
    return (row.view(torch.int16) if row.dtype == torch.bfloat16 else row).numpy()
