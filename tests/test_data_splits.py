import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bdh_reason.data.splits import SHARES, SPLITS, assign, check_shares, only
from bdh_reason.errors import UserError

FAMILIES = arrays.arrays(np.uint64, st.integers(0, 200))


@st.composite
def shares(draw: st.DrawFn) -> tuple[float, float, float]:
    train, validation, test = (draw(st.integers(0, 20)) for _ in range(3))
    total = train + validation + test
    return (train / total, validation / total, test / total) if total else SHARES


@given(FAMILIES, FAMILIES, shares())
def test_a_family_has_one_split_whatever_stands_beside_it(some_N, more_N, shares):
    together = assign(np.concatenate([some_N, more_N]), shares)
    np.testing.assert_array_equal(together, np.concatenate([assign(some_N, shares), assign(more_N, shares)]))
    assert set(together) <= {0, 1, 2}


@given(shares())
def test_the_shares_are_met_even_by_consecutive_numbers(shares):
    counts = np.bincount(assign(np.arange(20_000, dtype=np.uint64), shares), minlength=3)
    np.testing.assert_allclose(counts / 20_000, shares, atol=0.02)


@given(FAMILIES, shares())
def test_a_share_of_nothing_gets_nothing(family_N, shares):
    counts = np.bincount(assign(family_N, shares), minlength=3)
    assert all(count == 0 for count, share in zip(counts, shares) if share == 0)


@given(FAMILIES, shares(), shares())
def test_train_of_one_set_never_meets_test_of_another_with_no_larger_shares(family_N, one, other):
    train_N, test_N = assign(family_N, one) == 0, assign(family_N, other) == 2
    if one[0] + other[2] <= 1:
        assert not (train_N & test_N).any()


@pytest.mark.parametrize("split", SPLITS)
def test_only_puts_everything_into_one_split(split):
    assert set(assign(np.arange(999, dtype=np.uint64), only(split))) == {SPLITS.index(split)}


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match=r"unknown split 'tests'.*did you mean 'test'"):
        only("tests")


@pytest.mark.parametrize("bad", [(1.0,), (0.5, 0.5), (0.9, 0.05, 0.1), (1.1, -0.1, 0.0), (float("nan"), 0.5, 0.5), (1, 0, 0, 0)])
def test_shares_that_do_not_add_up_are_refused(bad):
    with pytest.raises(UserError, match=r"shares .* add up to 1"):
        check_shares(bad)


def test_good_shares_come_back_as_floats():
    assert check_shares([1, 0, 0]) == (1.0, 0.0, 0.0)
