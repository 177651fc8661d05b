from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from toy import Config, Task

from bdh_reason.evaluate.witness import Witness
from bdh_reason.rng import generator

TASK = Task(Config())
histories = st.integers(1, 12).flatmap(lambda steps: st.lists(st.lists(st.booleans(), min_size=steps, max_size=steps), min_size=1, max_size=7))


@given(histories, st.integers(1, 3))
def test_steps_are_counted_as_by_hand(histories, batch):
    right_NF = np.array(histories)
    count, steps = right_NF.shape
    problems = TASK.generate(generator(0, "test"), count)
    wrong_NT = problems.target.copy()
    wrong_NT[:, -1] = (wrong_NT[:, -1] - ord("0") + 1) % 10 + ord("0")
    witness = Witness(TASK, problems.prompt)
    for start in range(0, count, batch):
        rows = slice(start, start + batch)
        for step in range(1, steps + 1):
            witness.see(rows, step, np.where(right_NF[rows, step - 1, None], problems.target[rows], wrong_NT[rows]))
    for depth in range(1, steps + 1):
        firsts = sorted(next((step for step in range(1, depth + 1) if history[step - 1]), 99) for history in histories)
        left = sum(any(a and not b for a, b in pairwise(history[:depth])) for history in histories)
        found = witness.upto(depth, np.ones(count, bool))
        assert found["never"] == firsts.count(99)
        assert found["left"] == left
        median, p90 = (next(first for place, first in enumerate(firsts, 1) if place * 100 >= share * count) for share in (50, 90))
        assert (found["median"] or 99, found["p90"] or 99) == (median, p90)


def test_a_slice_counts_its_own_problems_only():
    problems = TASK.generate(generator(0, "test"), 4)
    witness = Witness(TASK, problems.prompt)
    reply_NT = problems.target.copy()
    reply_NT[2:, -1] = ord("x")
    witness.see(slice(0, 4), 1, reply_NT)
    assert witness.upto(1, np.array([True, True, False, False])) == {"median": 1, "p90": 1, "never": 0, "left": 0}
    assert witness.upto(1, np.array([False, False, True, True])) == {"median": None, "p90": None, "never": 2, "left": 0}
