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
from typing import Any

import torch
from torch import Tensor

from bdh_reason.bdh import attention, chunks
from bdh_reason.bdh.tiles import LANES

Weights = tuple[Tensor, ...]  # Dx [H, D, N], Dy [H, D, N], E [H, N, D]
_TOKENS = 3000  # of a block, about: enough that its last, partly empty chunk is a small share, few enough that a batch is many blocks


def fits(v_BtD: Tensor, v0_BtD: Tensor | None, weights: Weights) -> bool:
    """Whether `layer` can be used: float32 on CPU, not under a tracer, at least one token, D and N multiples of 16."""
    given = [tensor for tensor in (v_BtD, v0_BtD, *weights) if tensor is not None]
    plain = all(type(tensor) in (Tensor, torch.nn.Parameter) and tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in given)
    whole = v_BtD.numel() > 0 and v_BtD.shape[-1] % LANES == 0 and weights[0].shape[-1] % LANES == 0
    return plain and whole and not torch.compiler.is_compiling()


def layer(v_BtD: Tensor, v0_BtD: Tensor | None, weights: Weights, order_Ht: Tensor, k: int, scale: float) -> Tensor:
    """out of the equations above, [B, t, D]. `order` sorts the tokens so that each head's groups of k are neighbours. Differentiable twice, see `plain`."""
    return _Layer.apply(v_BtD, v0_BtD, *weights, order_Ht, k, scale)  # type: ignore[no-any-return, no-untyped-call]


def plain(v_BtD: Tensor, v0_BtD: Tensor | None, weights: Weights, order_Ht: Tensor, k: int, scale: float) -> Tensor:
    """The same in torch's own operations: what gradients of gradients go through, and what tests hold the compiled code to."""
    Dx_HDN, Dy_HDN, E_HND = weights

    def norm(g: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(g, g.shape[-1:])

    v_HBtD = v_BtD[:, order_Ht].transpose(0, 1)
    x_HBtN = (v_HBtD @ Dx_HDN[:, None]).relu()
    a_HBtD = attention.within_groups(x_HBtN * scale**0.5, v_HBtD, k)
    y_HBtN = (norm(a_HBtD) @ Dy_HDN[:, None]).relu() * x_HBtN
    u_HBtD = torch.zeros_like(v_HBtD).index_put((torch.arange(len(order_Ht))[:, None], slice(None), order_Ht), (y_HBtN @ E_HND[:, None]).transpose(1, 2))
    sum_BtD = v_BtD + norm(u_HBtD.sum(0))
    return norm(sum_BtD if v0_BtD is None else sum_BtD + v0_BtD)


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Worker threads; a forked process has none of its parent's and makes its own."""
    return ThreadPoolExecutor(threads)


def _share(work: Callable[[int, slice], None], batch: int, tokens: int) -> None:
    """Calls work(block, tokens of the block) for all blocks of boards, on as many threads as torch may use."""
    blocks = _blocks(batch, tokens)
    starts = [batch * block // blocks * tokens for block in range(blocks + 1)]
    parts = [slice(*ends) for ends in zip(starts, starts[1:])]
    if blocks == 1 or torch.get_num_threads() == 1:
        for block, part in enumerate(parts):
            work(block, part)
    else:
        list(_pool(os.getpid(), torch.get_num_threads()).map(work, range(blocks), parts))


def _blocks(batch: int, tokens: int) -> int:
    return min(batch, max(batch * tokens // _TOKENS, 1))


def _flat(tensor_BtD: Tensor | None, like_BtD: Tensor) -> Any:
    """As an array [tokens of all boards, D]; none are none."""
    rows = like_BtD.shape[-1]
    return like_BtD.new_empty(0, rows).numpy() if tensor_BtD is None else tensor_BtD.detach().contiguous().view(-1, rows).numpy()


class _Layer(torch.autograd.Function):
    """Keeps v, v0, u and the weights."""

    @staticmethod
    def forward(ctx: Any, v_BtD: Tensor, v0_BtD: Tensor | None, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, order_Ht: Tensor, k: int, scale: float) -> Tensor:
        u_BtD, out_BtD = (torch.empty(v_BtD.shape) for _ in range(2))
        v_tD, v0_tD, u_tD, out_tD = (_flat(tensor, v_BtD) for tensor in (v_BtD, v0_BtD, u_BtD, out_BtD))
        weights, order = [weight.detach().contiguous().numpy() for weight in (Dx_HDN, Dy_HDN, E_HND)], order_Ht.numpy()
        at = chunks.places(v_BtD.shape[2], Dx_HDN.shape[2], k)

        def work(_: int, part: slice) -> None:
            workspace = torch.empty(at.size).numpy()
            chunks.forward(workspace, at, scale, order, v_tD[part], v0_tD[part], *weights, u_tD[part], out_tD[part])

        _share(work, *v_BtD.shape[:2])
        ctx.save_for_backward(v_BtD, v0_BtD, Dx_HDN, Dy_HDN, E_HND, order_Ht, u_BtD)
        ctx.k, ctx.scale = k, scale
        return out_BtD

    @staticmethod
    def backward(ctx: Any, grad_BtD: Tensor) -> Any:  # type: ignore[override]
        v_BtD, v0_BtD, Dx_HDN, Dy_HDN, E_HND, order_Ht, u_BtD = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (*_again(ctx, grad_BtD), None, None, None)
        v_tD, v0_tD, u_tD, grad_tD = (_flat(tensor, v_BtD) for tensor in (v_BtD, v0_BtD, u_BtD, grad_BtD))
        dv_BtD, dv0_BtD, du_BtD = torch.empty(v_BtD.shape), None if v0_BtD is None else torch.empty(v_BtD.shape), torch.empty(v_BtD.shape)
        dv_tD, dv0_tD, du_tD = (_flat(tensor, v_BtD) for tensor in (dv_BtD, dv0_BtD, du_BtD))
        weights, order = [weight.detach().contiguous().numpy() for weight in (Dx_HDN, Dy_HDN, E_HND)], order_Ht.numpy()
        at, (batch, tokens, _) = chunks.places(v_BtD.shape[2], Dx_HDN.shape[2], ctx.k), v_BtD.shape
        part_CH3ND = torch.empty(_blocks(batch, tokens), len(E_HND), 3, *E_HND.shape[1:]).numpy()

        def work(block: int, part: slice) -> None:
            given = v_tD[part], v0_tD[part], *weights, u_tD[part], grad_tD[part]
            chunks.backward(torch.empty(at.size).numpy(), at, ctx.scale, order, *given, dv_tD[part], dv0_tD[part], du_tD[part], part_CH3ND[block])

        _share(work, batch, tokens)
        dDx_HND, dDy_HND, dE_HND = torch.from_numpy(part_CH3ND.sum(0)).unbind(1)
        return dv_BtD, dv0_BtD, dDx_HND.mT, dDy_HND.mT, dE_HND, None, None, None


def _again(ctx: Any, grad_BtD: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again."""
    v_BtD, v0_BtD, *weights, order_Ht, _ = ctx.saved_tensors
    out_BtD = plain(v_BtD, v0_BtD, tuple(weights), order_Ht, ctx.k, ctx.scale)
    wanted = [tensor if tensor is not None and tensor.requires_grad else None for tensor in (v_BtD, v0_BtD, *weights)]
    found = iter(torch.autograd.grad(out_BtD, [tensor for tensor in wanted if tensor is not None], grad_BtD, create_graph=True))
    return tuple(None if tensor is None else next(found) for tensor in wanted)
