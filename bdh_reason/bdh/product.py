"""Matrix products without gradients on a CPU. torch sends fp32 to MKL; oneDNN, which torch brings along, is faster on AMD processors."""

from __future__ import annotations

from functools import cache

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
