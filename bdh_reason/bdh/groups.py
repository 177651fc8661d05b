"""BDH's layer with heads bound to relations, as one operation on CPU: everything n-wide stays in the cache, and backward makes it again.

Forward, for head h, token i and the k - 1 others j of its group (form released, on a grid):

    x = relu(v Dx)    s_ij = scale (x_i · x_j)    a_i = sum over j of s_ij v_j    b = LN(a)    r = relu(b Dy)    y = r * x
    u = sum over h of y E        out = LN(v + LN(u) + v0)

Backward, with g' for the gradient of g. Of z = LN(g) over D numbers, with deviation 1/q:  g' = q (z' - mean(z') - z mean(z' * z)) =: back(z', z, q).

    o' = back(out', out, q)      v' = v0' = o'      u' = back(o', LN(u), q)      both LN made again from v, v0 and u, which are all that is kept
    y' = u' E^T        E' = sum over i of y_i^T u'_i
    r' = y' * x        x' = y' * r                                               y = r * x
    p' = r' where r > 0, else 0        Dy' = sum over i of b_i^T p'_i        b' = p' Dy^T        a' = back(b', b, q)
    m_ij = a'_i · v_j                                                            the gradient of s_ij: a_i holds s_ij v_j, and a_j holds s_ij v_i,
    x'_i += scale sum over j of (m_ij + m_ji) x_j                                so s_ij's is m_ij + m_ji; s_ii is no part of a
    v'_j += sum over i of s_ij a'_i                                              s is symmetric
    x' <- x' where x > 0, else 0       Dx' = sum over i of v_i^T x'_i        v' += x' Dx^T

Boards are split into blocks of a size that depends on the boards alone, blocks over threads; every block has its own sums for the weights, which are
added in the order of the blocks: results are the same, to the bit, for any number of threads.
Axes: B batch, t tokens, D width, H heads, N neurons of a head.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bdh_reason.bdh.compiled import blocks, chunks, halves
from bdh_reason.compiled.lanes import LANES, has

Weights = tuple[Tensor, ...]  # Dx [H, D, N], Dy [H, D, N], E [H, N, D]
DOTS = has("avx512bf16")  # bf16 dot products
_TOKENS = 5800  # of a block, about: few enough that a batch is several, enough that empty columns in its last chunk are a small share


def fits(v_BtD: Tensor, v0_BtD: Tensor | None, weights: Weights) -> bool:
    """Whether `layer` can be used: float32 on CPU, not under a tracer, D and N multiples of 16."""
    given = [tensor for tensor in (v_BtD, v0_BtD, *weights) if tensor is not None]
    plain = all(type(tensor) in (Tensor, torch.nn.Parameter) and tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in given)
    whole = v_BtD.shape[-1] % LANES == 0 and weights[0].shape[-1] % LANES == 0
    return plain and whole and not torch.compiler.is_compiling()


def layer(v_BtD: Tensor, v0_BtD: Tensor | None, weights: Weights, order_Ht: Tensor, k: int, scale: float) -> Tensor:
    """The layer above, [B, t, D]. `order` sorts the tokens so that each head's groups of k are neighbours. Can be differentiated once."""
    width, neurons = weights[0].shape[1:]
    at = (halves if _halved() else chunks).places(width, neurons, k)
    return _Layer.apply(v_BtD, v0_BtD, *weights, order_Ht, at, scale)  # type: ignore[no-any-return, no-untyped-call]


def _halved() -> bool:
    return DOTS and torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Worker threads; a forked process has none of its parent's and makes its own."""
    return ThreadPoolExecutor(threads)


@lru_cache(maxsize=64)
def _rows(order_Ht: Tensor, boards: int, k: int) -> np.ndarray:
    return blocks.rows(order_Ht.numpy(), boards, k)


def _count(batch: int, tokens: int) -> int:
    """How many blocks: a power of two, two at least, where there are as many boards."""
    return max(min(batch, 1 << max((batch * tokens // _TOKENS).bit_length() - 1, 1)), 1)


def _share(work: Callable[[int, slice, np.ndarray], None], v_BtD: Tensor, order_Ht: Tensor, k: int) -> None:
    """Calls work(block, its part of [B, t, D] as one row of numbers, its chunks) for all blocks, on as many threads as torch may use."""
    (batch, tokens, width), threads = v_BtD.shape, torch.get_num_threads()
    count = _count(batch, tokens)
    ends = [batch * block // count for block in range(count + 1)]
    parts = [slice(start * tokens * width, end * tokens * width) for start, end in pairwise(ends)]
    tables = [_rows(order_Ht, end - start, k) for start, end in pairwise(ends)]
    list((map if min(threads, count) == 1 else _pool(os.getpid(), threads).map)(work, range(count), parts, tables))


def _flat(tensor_BtD: Tensor | None) -> Any:
    """As one row of numbers; none are none."""
    return np.empty(0, np.float32) if tensor_BtD is None else tensor_BtD.detach().contiguous().view(-1).numpy()


class _Layer(torch.autograd.Function):
    """Keeps v, v0, u and the weights."""

    @staticmethod
    def forward(
        ctx: Any, v_BtD: Tensor, v0_BtD: Tensor | None, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, order_Ht: Tensor, at: Any, scale: float
    ) -> Tensor:
        u_BtD, out_BtD = v_BtD.new_empty(v_BtD.shape), v_BtD.new_empty(v_BtD.shape)
        v, v0, u, out = (_flat(tensor) for tensor in (v_BtD, v0_BtD, u_BtD, out_BtD))
        weights = tuple(weight.detach().contiguous().numpy() for weight in (Dx_HDN, Dy_HDN, E_HND))

        def work(_: int, part: slice, row_HCc: np.ndarray) -> None:
            blocks.forward(v_BtD.new_empty(at.size).numpy(), at, scale, row_HCc, weights, v[part], v0[part], u[part], out[part])

        _share(work, v_BtD, order_Ht, at.members)
        ctx.save_for_backward(v_BtD, v0_BtD, Dx_HDN, Dy_HDN, E_HND, order_Ht, u_BtD)
        ctx.at, ctx.scale = at, scale
        return out_BtD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BtD: Tensor) -> Any:  # type: ignore[override]
        (v_BtD, v0_BtD, Dx_HDN, Dy_HDN, E_HND, order_Ht, u_BtD), at = ctx.saved_tensors, ctx.at
        v, v0, u, grad = (_flat(tensor) for tensor in (v_BtD, v0_BtD, u_BtD, grad_BtD))
        dv_BtD, dv0_BtD, du_BtD = (None if tensor is None else v_BtD.new_empty(v_BtD.shape) for tensor in (v_BtD, v0_BtD, u_BtD))
        dv, dv0, du = (_flat(tensor) for tensor in (dv_BtD, dv0_BtD, du_BtD))
        weights = tuple(weight.detach().contiguous().numpy() for weight in (Dx_HDN, Dy_HDN, E_HND))
        part_CH3ND = np.empty((_count(*v_BtD.shape[:2]), len(E_HND), 3, *E_HND.shape[1:]), np.float32)

        def work(block: int, part: slice, row_HCc: np.ndarray) -> None:
            given, made = (v[part], v0[part], u[part], grad[part]), (dv[part], dv0[part], du[part], part_CH3ND[block])
            blocks.backward(v_BtD.new_empty(at.size).numpy(), at, ctx.scale, row_HCc, weights, given, made)

        _share(work, v_BtD, order_Ht, at.members)
        dDx_HND, dDy_HND, dE_HND = torch.from_numpy(part_CH3ND.sum(0)).unbind(1)
        return dv_BtD, dv0_BtD, dDx_HND.mT, dDy_HND.mT, dE_HND, None, None, None
