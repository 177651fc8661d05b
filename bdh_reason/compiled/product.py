"""Matrix products on a CPU. torch sends fp32 to MKL; oneDNN, which torch brings along, is faster on AMD processors."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

ROWS = 8  # with fewer, the time goes into reading the right side, and MKL reads it faster


@cache
def one_dnn() -> bool:
    """Whether this torch has oneDNN's product under the name that its own compiler uses, and it does what it should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        ones_22 = torch.ones(2, 2)
        return bool(torch.equal(torch.ops.mkldnn._linear_pointwise(ones_22, -ones_22, None, "none", [], ""), -2 * ones_22))
    except (AttributeError, RuntimeError):
        return False


def product(left: Tensor, right: Tensor, relu: bool = False) -> Tensor:
    """The product left [i, k] @ right [k, j], then relu where asked for; both may be transposed views."""
    if left.dtype == torch.float32 and len(left) >= ROWS and one_dnn():
        result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.mT, None, "none", [], "")
    else:
        result = left @ right
    return result.relu_() if relu else result  # not oneDNN's own relu: it makes 0 of NaN


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds left @ right to `total`, in place."""
    if total.dtype == torch.float32 and left.shape[1] >= ROWS and one_dnn():
        total += product(left, right)
    else:
        total.addmm_(left, right)


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """The product left [i, k] @ right [k, j], through `product` where that is faster; can be differentiated, and compiled by Inductor."""
    fp32 = left.device.type == "cpu" and left.dtype == torch.float32
    result: Tensor = _closed(left, right) if fp32 else left @ right
    return result


@torch.library.custom_op("bdh_reason::product", mutates_args=())
def _closed(left: Tensor, right: Tensor) -> Tensor:
    """`product` as one operation that Inductor does not look into: it knows oneDNN's only with weights that are constants."""
    return product(left, right)


@_closed.register_fake
def _(left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty(left.shape[0], right.shape[1])


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _slopes(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    left, right = ctx.saved_tensors
    return _closed(grad, right.mT), _closed(left.mT, grad)


_closed.register_autograd(_slopes, setup_context=_keep)
