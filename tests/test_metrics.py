import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.evaluate.metrics import cell_accuracy, clustered, difficulty_slices, wilson

counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # these four: Newcombe, Statistics in Medicine 17 (1998) 857, Table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0000, 0.2775),  # n / (n + z²) and its mirror image
        (10, 10, 0.7225, 1.0000),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_the_interval_is_that_of_the_literature(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(counts)
def test_the_interval_solves_its_equation(count):
    """Its ends are the proportions p whose z-score is ±1.96: |k/n − p| = z sqrt(p (1 − p) / n)."""
    successes, n = count
    for end in wilson(successes, n):
        assert abs(successes / n - end) == pytest.approx(1.959963984540054 * math.sqrt(max(0.0, end * (1 - end)) / n), abs=1e-7)


@given(counts)
def test_the_interval_holds_the_proportion_lies_in_0_to_1_and_has_a_mirror_image(count):
    successes, n = count
    low, high = wilson(successes, n)
    assert -1e-12 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1 + 1e-12
    assert low < high
    mirrored = wilson(n - successes, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


@given(counts, st.integers(2, 100))
def test_the_interval_shrinks_with_n_and_grows_with_the_confidence(count, more):
    successes, n = count
    low, high = wilson(successes, n)
    more_low, more_high = wilson(successes * more, n * more)
    sure_low, sure_high = wilson(successes, n, 0.99)
    assert more_high - more_low < high - low < sure_high - sure_low


@given(st.lists(st.booleans(), min_size=8, max_size=60), st.integers(1, 6))
def test_problems_that_always_fail_together_are_worth_one_each(right, copies):
    """Every island is one problem `copies` times: the interval is that of the islands, but for the t quantile and the n − 1 of a variance."""
    right_I = np.array(right)
    low, high = clustered(right_I.repeat(copies), np.arange(len(right)).repeat(copies))
    assert (low, high) == pytest.approx(clustered(right_I, np.arange(len(right))), abs=1e-12 if copies == 1 else 0.02)
    alone_low, alone_high = wilson(int(right_I.sum()), len(right))
    assert low <= alone_low + 1e-12
    assert alone_high - 1e-12 <= high


def test_the_interval_by_island_holds_the_truth_as_often_as_it_says():
    """30 islands of 32, whose success rates spread widely: 95 % of 2,000 such samples, where taking problems for independent gets far fewer."""
    rng, held, naive = np.random.default_rng(0), 0, 0
    island_N = np.arange(30).repeat(32)
    for _ in range(2000):
        right_N = rng.random(960) < rng.beta(1.8, 0.2, 30).repeat(32)
        low, high = clustered(right_N, island_N)
        held += low <= 0.9 <= high
        low, high = wilson(int(right_N.sum()), 960)
        naive += low <= 0.9 <= high
    assert 0.93 <= held / 2000 <= 0.975
    assert naive / 2000 < 0.6


def test_one_island_says_nothing():
    assert clustered(np.array([True, False, True]), np.zeros(3, int)) == (0, 1)


@st.composite
def marked(draw):
    """Targets, the positions to fill (at least one) and a generator."""
    n, positions = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scored_NT = rng.random((n, positions)) < draw(st.floats(0, 1))
    scored_NT[draw(st.integers(0, n - 1)), draw(st.integers(0, positions - 1))] = True
    return rng.integers(49, 58, (n, positions)).astype(np.uint8), scored_NT, rng


@given(marked())
def test_every_wrong_blank_counts_and_no_wrong_clue_does(case):
    target_NT, scored_NT, rng = case
    assert cell_accuracy(target_NT, target_NT, scored_NT) == 1
    wrong_NT = rng.random(target_NT.shape) < 0.5
    reply_NT = np.where(wrong_NT, target_NT + 1, target_NT)
    blanks = int(scored_NT.sum())
    assert cell_accuracy(target_NT, reply_NT, scored_NT) == pytest.approx((blanks - int((wrong_NT & scored_NT).sum())) / blanks)
    assert cell_accuracy(target_NT, np.where(scored_NT, target_NT, 0), scored_NT) == 1
    assert cell_accuracy(target_NT, np.where(scored_NT, 0, target_NT), scored_NT) == 0


def test_cells_weigh_the_same_in_problems_of_few_and_of_many_blanks():
    target_NT = np.zeros((2, 4), np.uint8)
    scored_NT = np.array([[True, False, False, False], [True, True, True, False]])
    reply_NT = np.array([[1, 1, 1, 1], [0, 0, 0, 1]], np.uint8)
    assert cell_accuracy(target_NT, reply_NT, scored_NT) == 0.75


def test_where_nothing_is_to_be_filled_nothing_is_wrong():
    clues_NT = np.ones((2, 4), np.uint8)
    assert cell_accuracy(clues_NT, clues_NT, np.zeros((2, 4), bool)) == 1


difficulties = st.lists(st.floats(0, 12, width=32) | st.integers(0, 12), max_size=30).map(lambda values: np.array(values, np.float32))
edge_sets = st.lists(st.integers(0, 10), unique=True, max_size=5).map(lambda edges: tuple(float(edge) for edge in sorted(edges)))


@given(difficulties, edge_sets)
def test_slices_share_out_the_problems(difficulty_N, edges):
    slices = difficulty_slices(difficulty_N, edges)
    assert sum((rows_N.astype(int) for rows_N in slices.values()), np.zeros(len(difficulty_N), int)).tolist() == [1] * len(difficulty_N)
    assert all(rows_N.any() for rows_N in slices.values()), "an empty slice has no score"
    bounds = [-math.inf, *edges, math.inf]
    for rows_N in slices.values():
        places = {next(place for place, upper in enumerate(bounds[1:]) if value <= upper) for value in difficulty_N[rows_N].tolist()}
        assert len(places) == 1, "a slice lies between two neighbouring edges, its upper one included"


def test_slices_are_named_by_their_edges_in_order():
    assert list(difficulty_slices(np.array([11, 1, 0, 10, 0.5]), (0.0, 1.0, 10.0))) == ["≤0", "0–1", "1–10", ">10"]
    assert list(difficulty_slices(np.array([3.0, 0.0]), (0.0, 2.5))) == ["≤0", ">2.5"]
    assert list(difficulty_slices(np.array([3.0]), ())) == ["all"]
