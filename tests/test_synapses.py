import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, permutation_test

from bdh_reason.bdh.synapses import attainable, check, halves, holm, search

seeds = st.integers(0, 2**32 - 1)
LABELS = np.arange(40) % 2 == 0


def fired(seed, planted):
    """40 sentences, 3 x 20 x 20 synapses that fire at random and half of the time not; `planted` ones fire with the concept."""
    draw = np.random.default_rng(seed)
    strength = np.maximum(draw.standard_normal((40, 3, 20, 20)), 0).astype(np.float32)
    for place in planted:
        strength[(slice(None), *place)] += LABELS * 2.0
    return strength


def answers(strength, present_S, seed=0):
    search_S = halves(present_S, np.random.default_rng(seed))
    places = search(((bool(present_S[place]), strength[place]) for place in np.flatnonzero(search_S)), 20)
    index = tuple(np.array(places).T)
    return check(places, np.stack([strength[place][index] for place in np.flatnonzero(~search_S)]), present_S[~search_S])


def test_planted_synapses_are_found_and_nothing_else():
    planted = {(0, 3, 4), (2, 19, 0)}
    assert {answer.place for answer in answers(fired(0, planted), LABELS) if answer.holm < 0.05} == planted


def test_shuffled_labels_find_nothing():
    strength = fired(0, {(0, 3, 4)})
    shuffled = [answers(strength, np.random.default_rng(seed).permutation(LABELS), seed) for seed in range(20)]
    assert all(len(found) == 20 for found in shuffled)
    assert sum(any(answer.holm < 0.05 for answer in found) for found in shuffled) <= 3  # one of twenty is expected


def test_the_search_alone_would_find_what_is_not_there():
    """Why the other half is needed: the same candidates, tested on the sentences they were chosen by."""
    strength = fired(0, [])
    places = search(zip(LABELS.tolist(), strength), 20)
    chosen = check(places, np.stack([sentence[tuple(np.array(places).T)] for sentence in strength]), LABELS)
    assert any(answer.holm < 0.05 for answer in chosen)


def test_candidates_are_those_of_the_largest_welch_t():
    strength = fired(1, [])
    with_, without = strength[LABELS].astype(float), strength[~LABELS].astype(float)
    t = (with_.mean(0) - without.mean(0)) / np.sqrt(with_.var(0) / 20 + without.var(0) / 20)
    best = [tuple(map(int, np.unravel_index(place, t.shape))) for place in np.argsort(-t, axis=None)[:20]]
    assert search(zip(LABELS.tolist(), strength), 20) == best


def test_synapses_that_never_fire_more_with_the_concept_are_no_candidates():
    strength = np.zeros((40, 2, 2))
    strength[~LABELS, 0, 0] = 1
    assert search(zip(LABELS.tolist(), strength), 20) == []
    assert check([], np.zeros((40, 0)), LABELS) == []
    strength[LABELS, 1, 0] = 1
    assert search(zip(LABELS.tolist(), strength), 20) == [(1, 0)]


def test_a_small_case_by_hand():
    """3, 4, 6 against 1, 2, 5: 7 of 9 pairs go up; of the 20 orders, 4 have 7 or more."""
    strength_SC = np.array([[3.0, 0], [4, 0], [6, 0], [1, 0], [2, 0], [5, 0]])
    one, silent = check([(0, 1), (2, 3)], strength_SC, np.array([1, 1, 1, 0, 0, 0], bool))
    assert (one.place, one.u, one.effect, one.p, one.holm) == ((0, 1), 7, pytest.approx(5 / 9), pytest.approx(4 / 20), pytest.approx(8 / 20))
    assert (silent.u, silent.effect, silent.p, silent.holm) == (4.5, 0, 1, 1)
    assert attainable(3, 3) == pytest.approx(1 / 20)


@given(seeds)
def test_a_test_is_scipys_and_the_effect_is_the_share_of_pairs_that_go_up_less_that_go_down(seed):
    draw = np.random.default_rng(seed)
    strength_S, present_S = draw.integers(0, 5, 30) / 4, np.arange(30) < 12
    if np.ptp(strength_S) == 0:
        return
    (answer,) = check([(0,)], strength_S[:, None], present_S)
    pairs = strength_S[present_S][:, None] - strength_S[~present_S]
    assert answer.effect == pytest.approx((pairs > 0).mean() - (pairs < 0).mean())
    assert answer.p == pytest.approx(mannwhitneyu(strength_S[:12], strength_S[12:], alternative="greater").pvalue)


def test_p_is_about_that_of_permuting_the_labels():
    draw = np.random.default_rng(0)
    with_, without = draw.standard_normal(15) + 0.7, draw.standard_normal(15)
    (answer,) = check([(0,)], np.append(with_, without)[:, None], np.arange(30) < 15)
    permuted = permutation_test((with_, without), lambda a, b: mannwhitneyu(a, b).statistic, alternative="greater", n_resamples=2000, rng=draw)
    assert answer.p == pytest.approx(permuted.pvalue, abs=0.02)


@pytest.mark.parametrize(
    ("p", "corrected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.6], [1, 1]), ([0.02], [0.02]), ([], []), ([0.01, 0.01, 0.9], [0.03, 0.03, 0.9])],
)
def test_holms_correction_by_hand(p, corrected):
    np.testing.assert_allclose(holm(np.array(p)), corrected)


@given(seeds, st.integers(1, 30), st.integers(1, 30))
def test_halves_take_half_of_each_label_and_the_seed_decides_which(seed, present, absent):
    present_S = np.random.default_rng(seed).permutation(np.arange(present + absent) < present)
    search_S = halves(present_S, np.random.default_rng(seed))
    assert (search_S[present_S].sum(), search_S[~present_S].sum()) == (present // 2, absent // 2)
    np.testing.assert_array_equal(search_S, halves(present_S, np.random.default_rng(seed)))
