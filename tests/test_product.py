"""Products with gradients; that they are products at all is a test of `inference`."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.compiled.product import matmul


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
def test_gradients_of_products_and_theirs_are_torchs(i, k, j, turned, seed):
    source = torch.Generator().manual_seed(seed)
    left, right = torch.randn(i, k, generator=source), torch.randn(*((j, k) if turned else (k, j)), generator=source)
    found = []
    for product, dtype in ((matmul, torch.float32), (torch.matmul, torch.float64)):
        inputs = [tensor.to(dtype).requires_grad_() for tensor in (left, right)]
        out = product(inputs[0], inputs[1].mT if turned else inputs[1])
        first = torch.autograd.grad(out.pow(3).sum(), inputs, create_graph=True)
        found.append([out, *first, *torch.autograd.grad(sum(slope.square().sum() for slope in first), inputs)])
    for one, other in zip(*found):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=float(1e-5 * other.detach().abs().max()))
