import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.rng import derive, generator

NAMES = st.tuples(st.integers(), st.text(max_size=5), st.text(max_size=5), st.integers(0, 10**6))


def test_the_stream_of_a_name_is_golden():
    assert derive(0, "generate", "train", 17) == 8289646878784236374
    assert generator(0, "generate", "train", 17).integers(0, 100, 8).tolist() == [1, 44, 91, 18, 30, 40, 51, 32]


@given(NAMES, NAMES)
def test_every_part_of_the_name_matters(one, other):
    assert (derive(*one) == derive(*other)) == (one == other)


def test_neighbouring_seeds_and_indices_share_nothing():
    streams = [generator(seed, "generate", index=index).integers(0, 2**63, 100) for seed in range(4) for index in range(4)]
    assert len(np.unique(np.concatenate(streams))) == 1600


def test_a_draw_does_not_depend_on_other_draws():
    generator(1, "other").random(1000)
    np.testing.assert_array_equal(generator(0, "x").random(5), generator(0, "x").random(5))
