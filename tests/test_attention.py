"""Every way to compute BDH's attention is the sum that defines it, forwards and backwards."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.bdh import attention

HEADS, BATCH, NEURONS, WIDTH = 2, 2, 4, 3
seeds = st.integers(0, 2**32 - 1)
dampings = st.sampled_from([None, (0.5, 0.01)])


def slope(damping):
    return None if damping is None else torch.tensor(damping, dtype=torch.float64)


def drawn(seed, tokens):
    """q [H, B, t, N], k alike and v [B, t, D] in float64, which want gradients."""
    rng = np.random.default_rng(seed)
    shapes = (HEADS, BATCH, tokens, NEURONS), (HEADS, BATCH, tokens, NEURONS), (BATCH, tokens, WIDTH)
    return [torch.from_numpy(rng.standard_normal(shape)).requires_grad_() for shape in shapes]


def by_definition(q, k, v, strict, damping):
    """a_i = sum over j < i (or j <= i) of exp(-slope (i - j)) (q_i · k_j) v_j, one number at a time."""
    a = torch.zeros(HEADS, BATCH, q.shape[2], WIDTH, dtype=torch.float64)
    rows = [[[torch.zeros(WIDTH, dtype=torch.float64) for _ in range(q.shape[2])] for _ in range(BATCH)] for _ in range(HEADS)]
    for h, b, i in np.ndindex(HEADS, BATCH, q.shape[2]):
        for j in range(i if strict else i + 1):
            fade = 1.0 if damping is None else np.exp(-damping[h] * (i - j))
            rows[h][b][i] = rows[h][b][i] + fade * (q[h, b, i] * k[h, b, j]).sum() * v[b, j]
    return torch.stack([torch.stack([torch.stack(row) for row in part]) for part in rows]) if q.shape[2] else a


def read(q, k, v, sizes, strict, damping, rho):
    """The text in windows of the given sizes; windows of one token in the recurrent form."""
    answers, start = [], 0
    for size in sizes:
        rows = slice(start, start := start + size)
        form = attention.recurrent if size == 1 else attention.window
        a, rho = form(q[:, :, rows], k[:, :, rows], v[:, rows], rho, strict, slope(damping))
        answers.append(a)
    return torch.cat([torch.zeros(HEADS, BATCH, 0, WIDTH, dtype=torch.float64), *answers], 2), rho


def at_rest():
    return torch.zeros(BATCH, HEADS, NEURONS, WIDTH, dtype=torch.float64)


def same(one, other, inputs):
    """Equal to 1e-10, and so are the gradients of a random projection."""
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal(one.shape))
    gradients = [torch.autograd.grad((a * weight).sum(), inputs, allow_unused=True, materialize_grads=True) for a in (one, other) if a.requires_grad]
    for ours, theirs in zip(*gradients) if len(gradients) == 2 else ():
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@given(seeds, st.integers(0, 9), st.booleans(), dampings)
def test_the_quadratic_form_is_the_sum(seed, tokens, strict, damping):
    q, k, v = drawn(seed, tokens)
    a = attention.quadratic(q, k, v, attention.earlier(tokens, strict, slope(damping), v.device))
    same(a, by_definition(q, k, v, strict, damping), [q, k, v])


@given(seeds, st.lists(st.integers(0, 5), max_size=5), st.booleans(), dampings)
def test_windows_of_any_size_are_the_sum(seed, sizes, strict, damping):
    q, k, v = drawn(seed, sum(sizes))
    a, _ = read(q, k, v, sizes, strict, damping, at_rest())
    same(a, by_definition(q, k, v, strict, damping), [q, k, v])


@given(seeds, st.integers(0, 9), st.booleans(), dampings)
def test_token_by_token_is_the_sum(seed, tokens, strict, damping):
    q, k, v = drawn(seed, tokens)
    a, _ = read(q, k, v, [1] * tokens, strict, damping, at_rest())
    same(a, by_definition(q, k, v, strict, damping), [q, k, v])


@given(seeds, st.integers(0, 5), st.integers(0, 5), st.booleans(), dampings)
def test_the_state_does_not_depend_on_the_windows_and_is_the_damped_sum_of_what_was_written(seed, first, second, strict, damping):
    q, k, v = drawn(seed, tokens := first + second)
    _, once = read(q, k, v, [tokens], strict, damping, at_rest())
    _, twice = read(q, k, v, [first, second], strict, damping, at_rest())
    _, singly = read(q, k, v, [1] * tokens, strict, damping, at_rest())
    expected = at_rest()
    for b, h, i in np.ndindex(BATCH, HEADS, tokens):
        expected[b, h] += torch.outer(k[h, b, i], v[b, i]).detach() * (1.0 if damping is None else np.exp(-damping[h] * (tokens - i)))
    for rho in (once, twice, singly):
        torch.testing.assert_close(rho.detach(), expected, rtol=1e-10, atol=1e-10)


@given(seeds, st.integers(0, 9))
def test_one_state_that_everyone_reads_is_attention_without_a_mask(seed, tokens):
    q, k, v = drawn(seed, tokens)
    same(attention.everywhere(q, k, v), attention.quadratic(q, k, v, None), [q, k, v])


def test_damping_and_strictness_matter():
    q, k, v = drawn(0, 5)
    plain = by_definition(q, k, v, True, None)
    assert not torch.allclose(plain, by_definition(q, k, v, False, None))
    assert not torch.allclose(plain, by_definition(q, k, v, True, (0.5, 0.01)))


@given(seeds, st.integers(0, 50), st.integers(0, 9))
def test_rotary_positions_go_on_where_they_stopped(seed, position, tokens):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((position + tokens, 8)))
    assert torch.equal(attention.rotary(x)[position:], attention.rotary(x[position:], position))


@pytest.mark.parametrize("heads", [1, 4, 8])
def test_slopes_are_alibis(heads):
    slopes = attention.slopes(heads)
    assert slopes[-1] == 2.0**-8
    torch.testing.assert_close(slopes[1:] / slopes[:-1], slopes.new_full((heads - 1,), 2.0 ** (-8 / heads)))
