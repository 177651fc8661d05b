"""Restarts are a mode of their own: the rules pick, the residual where they accept none, and the target never."""

from dataclasses import replace

import numpy as np
import pytest
from test_predict import reasoner
from toy import Config, Task

from bdh_reason.errors import UserError
from bdh_reason.evaluate.restarts import residual, restarts
from bdh_reason.reason.predict import fill, in_place, rollout
from bdh_reason.rng import derive, generator

TASK = Task(Config())
RUNS, DEPTHS = 6, (2, 3)


@pytest.fixture(scope="module")
def case():
    problems = TASK.generate(generator(0, "test"), 23)
    return reasoner(TASK.board("cells", "grid"), noise=3.0), problems.prompt, problems.scored


def single(case, run, depth):
    """Replies and residuals of one run, problem by problem."""
    thinker, prompt_NT, scored_NT = case
    reply_NT, moved_N = np.empty_like(prompt_NT), np.empty(len(prompt_NT))

    def look(moment):
        if moment.step == depth:
            reply_NT[moment.rows] = fill(thinker, prompt_NT[moment.rows], scored_NT[moment.rows], moment.logits_BTS)
            moved_N[moment.rows] = residual(moment)

    rollout(thinker, prompt_NT, depth, look, batch=1, seed=derive(0, "restart", index=run) if run else 0)
    return reply_NT, moved_N


def test_one_run_is_the_single_rollout(case):
    replies, taken = restarts(case[0], TASK, *case[1:], DEPTHS, 1)
    expected = in_place(*case, DEPTHS)
    for depth in DEPTHS:
        assert (replies[depth] == expected[depth]).all()
        assert taken[depth] == 1


def test_the_first_accepted_reply_is_taken_and_else_the_stillest(case):
    replies, taken = restarts(case[0], TASK, *case[1:], DEPTHS, RUNS)
    for depth in DEPTHS:
        runs = [single(case, run, depth) for run in range(RUNS)]
        right_RN = np.array([TASK.verify(case[1], reply_NT) for reply_NT, _ in runs])
        still_N = np.array([moved_N for _, moved_N in runs]).argmin(0)
        pick_N = np.where(right_RN.any(0), right_RN.argmax(0), still_N)
        assert len(set(pick_N[~right_RN.any(0)])) > 1, "the residual has something to choose"
        assert right_RN.any(0).sum() > right_RN[0].sum(), "restarts help here"
        expected_NT = np.stack([runs[run][0][n] for n, run in enumerate(pick_N)])
        assert (replies[depth] == expected_NT).all()
        assert taken[depth] == pytest.approx(np.where(right_RN.any(0), right_RN.argmax(0) + 1, RUNS).mean())


def test_a_problem_gets_the_same_reply_whatever_is_asked_beside_it(case):
    thinker, prompt_NT, scored_NT = case
    whole, _ = restarts(thinker, TASK, prompt_NT, scored_NT, (3,), RUNS)
    part, _ = restarts(thinker, TASK, prompt_NT[:9], scored_NT[:9], (3,), RUNS)
    assert (whole[3][:9] == part[3]).all()


def test_runs_that_would_all_be_the_same_are_refused(case):
    thinker = replace(case[0], loop=replace(case[0].loop, noise=0.0))
    with pytest.raises(UserError, match="starting noise"):
        restarts(thinker, TASK, *case[1:], DEPTHS, 2)
    with pytest.raises(UserError, match="1 or more"):
        restarts(thinker, TASK, *case[1:], DEPTHS, 0)
