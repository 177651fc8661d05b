"""Intervals over seeds against numbers worked out elsewhere, and what is read off curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from bdh_reason.compare.stats import area, estimate, longest_good, resampled

HORIZONS = np.array([4, 8, 16, 32])
SEEDS = np.array([[1.0, 0.95, 0.6, 0.1], [1.0, 0.9, 0.7, 0.2], [0.99, 0.97, 0.2, 0.05]])
PROBLEMS = np.full((3, 4), 200)
GOLDEN = [[0.984, 1.0], [0.895, 0.971], [0.204, 0.697], [0.053, 0.2]]  # 20,000 draws in a plain loop give the same to 0.004


def test_the_bootstrap_is_the_same_in_every_call_and_gives_these_numbers():
    drawn_WH = resampled(SEEDS, PROBLEMS)
    assert np.array_equal(drawn_WH, resampled(SEEDS, PROBLEMS))
    found = [estimate(float(value), drawn_W) for value, drawn_W in zip(SEEDS.mean(0), drawn_WH.T)]
    assert np.round([(low, high) for _, low, high in found], 3).tolist() == GOLDEN
    assert estimate(8, longest_good(HORIZONS, drawn_WH)) == (8, 4, 8)


def test_of_one_run_it_is_the_posterior_of_its_problems():
    drawn_WH = resampled(np.array([[0.0, 0.25, 1.0]]), np.array([[40, 40, 40]]), draws=40_000)
    for drawn_W, right in zip(drawn_WH.T, (0, 10, 40)):
        expected = beta(right + 0.5, 40 - right + 0.5).ppf([0.025, 0.5, 0.975])
        assert np.quantile(drawn_W, [0.025, 0.5, 0.975]) == pytest.approx(expected, abs=0.006)


def test_of_many_runs_without_noise_it_is_the_spread_of_their_mean():
    exact_R = np.linspace(0.3, 0.7, 41)
    drawn_WH = resampled(exact_R[:, None], np.full((41, 1), 10**9))
    assert drawn_WH.std() == pytest.approx(exact_R.std() / 41**0.5, rel=0.05)
    assert drawn_WH.mean() == pytest.approx(0.5, abs=0.002)


def test_problems_and_runs_both_widen_the_interval():
    def width(exact_R, n):
        _, low, high = estimate(0.5, resampled(np.array(exact_R)[:, None], np.full((len(exact_R), 1), n))[:, 0])
        return high - low

    assert width([0.5, 0.5, 0.5], 1000) < width([0.5, 0.5, 0.5], 50) < width([0.2, 0.5, 0.8], 50)
    assert width([0.2, 0.5, 0.8], 50) > 1.2 * width([0.5, 0.5, 0.5], 50)


@given(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_an_interval_holds_its_value(value, drawn):
    _, low, high = estimate(value, np.array(drawn))
    assert low <= value <= high


@pytest.mark.parametrize(
    ("exact", "longest"),
    [((1, 1, 1, 1), 32), ((1, 0.9, 0.89, 1), 8), ((0.89, 1, 1, 1), 0), ((1, 0, 0, 0), 4)],
)
def test_the_longest_good_horizon_ends_at_the_first_that_is_not(exact, longest):
    assert longest_good(HORIZONS, np.array([exact], float)).tolist() == [longest]


@pytest.mark.parametrize(
    ("horizons", "exact", "under"),
    [((4, 8, 16, 32), (1, 1, 1, 1), 1), ((4, 8, 16, 32), (1, 1, 0, 0), 0.5), ((2, 8), (1, 0), 0.5), ((2, 4, 32), (1, 1, 0), 0.625), ((7,), (0.3,), 0.3)],
)
def test_the_area_is_over_the_logarithm_of_the_horizon(horizons, exact, under):
    assert area(np.array(horizons), np.array([exact], float)).tolist() == pytest.approx([under])
