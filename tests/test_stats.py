"""Intervals over seeds against numbers worked out elsewhere, and what is read off curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm, t

from bdh_reason.compare.stats import _t975, area, estimates, longest_good, resampled

HORIZONS = np.array([4, 8, 16, 32])
SEEDS = np.array([[1.0, 0.95, 0.6, 0.1], [1.0, 0.9, 0.7, 0.2], [0.99, 0.97, 0.2, 0.05]])
PROBLEMS = np.full((3, 4), 200)
GOLDEN = [[0.977, 1.0], [0.838, 1.0], [0.0, 1.0], [0.0, 0.33]]  # `plainly` gives the same to 0.005


def test_the_bootstrap_is_the_same_in_every_call_and_gives_these_numbers():
    drawn_WH = resampled(SEEDS, PROBLEMS)
    assert np.array_equal(drawn_WH, resampled(SEEDS, PROBLEMS))
    found = estimates(SEEDS.mean(0), drawn_WH)
    assert np.round([(low, high) for _, low, high in found], 3).tolist() == GOLDEN
    assert estimates(np.array([8]), longest_good(HORIZONS, drawn_WH)[:, None]) == [(8, 4, 8)]


def plainly(exact_RH, n_RH, draws=20_000):
    """The same bootstrap with fresh shares in every draw."""
    source, runs, right_RH = np.random.Generator(np.random.Philox(1)), len(exact_RH), exact_RH * n_RH
    drawn_WR = source.integers(runs, size=(draws, runs))
    drawn_WH = source.beta(right_RH[drawn_WR] + 0.5, (n_RH - right_RH)[drawn_WR] + 0.5).mean(1)
    wider = t.ppf(0.975, runs - 1) / norm.ppf(0.975) * (runs / (runs - 1)) ** 0.5 if runs > 1 else 1.0
    return (drawn_WH + (wider - 1) * (exact_RH[drawn_WR].mean(1) - exact_RH.mean(0))).clip(0, 1)


@pytest.mark.parametrize("runs", [1, 2, 3, 8])
@pytest.mark.parametrize(("middle", "spread"), [(0.0, 0.0), (0.3, 0.0), (0.7, 0.02), (0.9, 0.05), (0.95, 0.05)])
def test_draws_that_share_what_is_kept_are_like_draws_of_their_own(runs, middle, spread):
    exact_RH = (middle + spread * np.linspace(-1, 1, runs))[:, None] * np.array([1, 0.99, 0.9, 0.5])
    both = [drawn_of(exact_RH, np.full(exact_RH.shape, 500)) for drawn_of in (resampled, plainly)]
    read = [np.column_stack([drawn_WH, area(HORIZONS, drawn_WH), longest_good(HORIZONS, drawn_WH)]) for drawn_WH in both]
    found, plain = ([ends[1:] for ends in estimates(drawn_WX.mean(0), drawn_WX)] for drawn_WX in read)
    width = np.diff(plain)
    assert (np.abs(np.array(found) - plain)[:-1] <= 0.08 * width[:-1]).all()
    assert read[0].mean(0)[:-1] == pytest.approx(read[1].mean(0)[:-1], abs=float(0.03 * width[:-1].max()))
    assert np.bincount(read[0][:, -1].astype(int), minlength=33) / 4000 == pytest.approx(
        np.bincount(read[1][:, -1].astype(int), minlength=33) / 20_000, abs=0.05
    )


def test_the_draws_of_two_horizons_are_independent_but_for_their_runs():
    drawn_WH = resampled(np.full((3, 2), 0.5), np.full((3, 2), 100))
    assert abs(np.corrcoef(drawn_WH.T)[0, 1]) < 0.05
    drawn_WH = resampled(np.array([[0.2, 0.1], [0.8, 0.9]]), np.full((2, 2), 10**6))
    assert np.corrcoef(drawn_WH.T)[0, 1] > 0.99


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_the_ends_are_the_draws_that_numpy_counts_off(drawn):
    ((_, low, high),) = estimates(np.array([0.5]), np.array(drawn)[:, None])
    below, above = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    assert (low, high) == (min(below, 0.5), max(above, 0.5))


def test_of_one_run_it_is_the_posterior_of_its_problems():
    drawn_WH = resampled(np.array([[0.0, 0.25, 1.0]]), np.array([[40, 40, 40]]), draws=40_000)
    for drawn_W, right in zip(drawn_WH.T, (0, 10, 40)):
        expected = beta(right + 0.5, 40 - right + 0.5).ppf([0.025, 0.5, 0.975])
        assert np.quantile(drawn_W, [0.025, 0.5, 0.975]) == pytest.approx(expected, abs=0.006)


def test_of_many_runs_without_noise_it_is_the_spread_of_their_mean():
    exact_R = np.linspace(0.3, 0.7, 41)
    drawn_WH = resampled(exact_R[:, None], np.full((41, 1), 10**9))
    assert drawn_WH.std() == pytest.approx(t.ppf(0.975, 40) / norm.ppf(0.975) * exact_R.std(ddof=1) / 41**0.5, rel=0.02)
    assert drawn_WH.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(("runs", "least"), [(2, 0.92), (3, 0.92), (5, 0.92)])
def test_nineteen_of_twenty_intervals_hold_the_truth_however_few_the_seeds(runs, least):
    source, held = np.random.default_rng(runs), 0
    for _ in range(300):
        exact_R = source.binomial(1000, (0.6 + 0.1 * source.standard_normal(runs)).clip(0, 1)) / 1000
        ((_, low, high),) = estimates(exact_R[None].mean(1), resampled(exact_R[:, None], np.full((runs, 1), 1000)))
        held += low <= 0.6 <= high
    assert least <= held / 300 <= 0.99


def test_problems_and_runs_both_widen_the_interval():
    def width(exact_R, n):
        ((_, low, high),) = estimates(np.array([0.5]), resampled(np.array(exact_R)[:, None], np.full((len(exact_R), 1), n)))
        return high - low

    assert width([0.5, 0.5, 0.5], 1000) < width([0.5, 0.5, 0.5], 50) < width([0.2, 0.5, 0.8], 50)
    assert width([0.2, 0.5, 0.8], 50) > 1.2 * width([0.5, 0.5, 0.5], 50)


@given(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_an_interval_holds_its_value(value, drawn):
    ((_, low, high),) = estimates(np.array([value]), np.array(drawn)[:, None])
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


@pytest.mark.parametrize("freedom", [*range(1, 12), 40, 199])
def test_students_quantile_is_that_of_scipy(freedom):
    assert _t975(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=1e-9)
