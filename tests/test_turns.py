"""The parts of a run take turns as evenly as their shares say, whatever the number of steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.train.turns import turns

weights = st.lists(st.integers(1, 12), min_size=1, max_size=6)


@given(weights, st.integers(1, 4))
def test_over_a_period_of_the_shares_every_part_has_exactly_its_steps(weights, periods):
    period = sum(weights)
    part_S, done_SP = turns([weight / period for weight in weights], periods * period)
    assert done_SP[period * periods].tolist() == [weight * periods for weight in weights]
    assert np.bincount(part_S[:period], minlength=len(weights)).tolist() == weights


@given(weights, st.integers(1, 300))
def test_no_part_is_ever_far_from_its_share_and_every_step_belongs_to_one(weights, steps):
    share_P = np.array(weights) / sum(weights)
    part_S, done_SP = turns(share_P.tolist(), steps)
    assert (np.diff(done_SP, axis=0).argmax(1) == part_S).all()
    assert (np.diff(done_SP, axis=0).sum(1) == 1).all()
    away_SP = np.abs(done_SP - share_P * np.arange(steps + 1)[:, None])
    assert (away_SP <= 0.5 + share_P * len(weights) / 2 + 1e-9).all()


@given(weights, st.integers(1, 100), st.integers(0, 100))
def test_a_longer_run_begins_as_a_shorter_one(weights, steps, more):
    shares = [weight / sum(weights) for weight in weights]
    assert np.array_equal(turns(shares, steps + more).part_S[:steps], turns(shares, steps).part_S)


@pytest.mark.parametrize(
    ("shares", "order"),
    [((1.0,), [0, 0, 0, 0]), ((0.5, 0.5), [0, 1, 0, 1]), ((0.75, 0.25), [0, 0, 1, 0, 0, 0, 1, 0]), ((1 / 3, 1 / 3, 1 / 3), [0, 1, 2, 0, 1, 2])],
)
def test_turns_alternate(shares, order):
    assert turns(shares, len(order)).part_S.tolist() == order
