from dataclasses import replace

import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.data.batches import Batches
from bdh_reason.errors import UserError
from bdh_reason.rng import generator

TASK = toy.Task(toy.Config())
PROBLEMS = TASK.generate(generator(0, "test"), 60)


class Still(toy.Task):
    """Without symmetries, so that a test can follow the rows."""

    def augment(self, rng, problems):
        return problems


class Drawing(toy.Task):
    """Shows the symmetries' generator instead of the problems."""

    def augment(self, rng, problems):
        return replace(problems, difficulty=rng.random(len(problems)))


def fields(problems):
    return [array.tobytes() for array in vars(problems).values()]


@given(size=st.integers(1, 60), seed=st.integers(), step=st.integers(0, 1000))
def test_a_batch_depends_on_nothing_but_its_name(size, seed, step):
    batches = Batches(PROBLEMS, TASK, size, seed)
    batches.at(step // 2)
    assert fields(batches.at(step)) == fields(Batches(PROBLEMS, TASK, size, seed).at(step))


@given(size=st.integers(1, 60), epochs=st.integers(1, 4))
def test_every_epoch_holds_every_problem_once(size, epochs):
    batches = Batches(PROBLEMS, TASK, size, 0)
    steps = -(-60 * epochs // size)
    rows = np.concatenate([batches.rows(step) for step in range(steps)])
    assert all(len(batches.rows(step)) == size for step in range(steps))
    for epoch in range(epochs):
        assert sorted(rows[epoch * 60 : (epoch + 1) * 60]) == list(range(60))


def test_epochs_and_seeds_are_shuffled_differently():
    orders = {tuple(Batches(PROBLEMS, TASK, 60, seed).rows(epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert tuple(range(60)) not in orders


def test_every_step_and_seed_draws_its_own_symmetries():
    draws = [Batches(PROBLEMS, Drawing(toy.Config()), 60, seed).at(step).difficulty for seed in range(3) for step in range(5)]
    assert len(np.unique(draws)) == 60 * 15


def test_augmentation_keeps_every_answer_right_and_its_family():
    batches = Batches(PROBLEMS, TASK, 60, 0)
    batch = batches.at(3)
    assert TASK.verify(batch.prompt, batch.target).all()
    np.testing.assert_array_equal(TASK.canonical(batch.prompt), PROBLEMS.family[batches.rows(3)])
    assert (batch.prompt != PROBLEMS.take(batches.rows(3)).prompt).any()


def test_without_symmetries_the_rows_are_the_split_s_own():
    batches = Batches(PROBLEMS, Still(toy.Config()), 20, 0)
    assert fields(batches.at(4)) == fields(PROBLEMS.take(batches.rows(4)))


@pytest.mark.parametrize("size", [0, -1, 61])
def test_a_batch_larger_than_the_split_is_refused_with_both_sizes(size):
    with pytest.raises(UserError, match=f"a batch of {size} from a split of 60 problems; allowed: 1 to 60"):
        Batches(PROBLEMS, TASK, size, 0)


def mixed(start, end=None, size=60, seed=0, steps=101):
    return Batches(PROBLEMS, TASK, size, seed, mix=np.array([start, end or start]), steps=steps)


def slices(rows):
    """The share of each slice of difficulty: up to 20, up to 30, above."""
    return np.bincount(np.searchsorted(TASK.edges, PROBLEMS.difficulty[rows], side="left"), minlength=3) / len(rows)


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), st.integers(0, 100))
def test_a_mix_is_drawn_in_its_shares_and_nothing_else_is(weights, step):
    share_S = np.array(weights) / sum(weights)
    drawn_S = slices(np.concatenate([mixed(share_S).rows(step + more) for more in range(20)]))
    assert not drawn_S[share_S == 0].any()
    np.testing.assert_allclose(drawn_S, share_S, atol=0.08)


def test_a_mix_goes_in_a_straight_line_from_its_start_to_its_end():
    batches = mixed([1, 0, 0], [0, 0.5, 0.5])
    assert slices(batches.rows(0)).tolist() == [1, 0, 0]
    assert slices(batches.rows(100))[0] == 0
    half_S = slices(np.concatenate([batches.rows(step) for step in range(40, 61)]))
    np.testing.assert_allclose(half_S, [0.5, 0.25, 0.25], atol=0.08)


@given(seed=st.integers(), step=st.integers(0, 200))
def test_a_mixed_batch_depends_on_nothing_but_its_name(seed, step):
    batches = mixed([0.2, 0.5, 0.3], [0.0, 0.5, 0.5], seed=seed)
    assert fields(batches.at(step)) == fields(mixed([0.2, 0.5, 0.3], [0.0, 0.5, 0.5], seed=seed).at(step))
    assert (batches.rows(step) != batches.rows(step + 1)).any()


def test_within_a_slice_every_problem_is_drawn_alike():
    count_N = np.bincount(np.concatenate([mixed([0, 1, 0]).rows(step) for step in range(200)]), minlength=60)
    drawn_N = count_N[count_N > 0]
    assert len(drawn_N) == (np.searchsorted(TASK.edges, PROBLEMS.difficulty, side="left") == 1).sum()
    assert drawn_N.min() > 0.7 * drawn_N.mean()


def test_a_share_of_a_slice_without_problems_is_refused_before_anything_is_trained():
    easy = PROBLEMS.take(PROBLEMS.difficulty <= 30)
    with pytest.raises(UserError, match="a share for slice 3 of difficulty, in which no training problem lies"):
        Batches(easy, TASK, 4, 0, mix=np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]), steps=1000)
    Batches(easy, TASK, 4, 0, mix=np.array([[0.5, 0.5, 0.0]] * 2))
