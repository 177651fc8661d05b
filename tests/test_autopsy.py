"""An autopsy finds what was put there: a mind whose every step is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy import Config, Task

from bdh_reason.errors import UserError
from bdh_reason.evaluate.autopsy import autopsy, summary
from bdh_reason.evaluate.evaluate import Exam
from bdh_reason.reason.loop import Loop, Thought
from bdh_reason.rng import generator

TASK = Task(Config())
DEPTH, COMMITTED, WRONG = 40, 7, 4
ENDS = ("right", "fixed point", "oscillation", "moving")


class Scripted:
    """Problem n ends as ENDS[n % 4]; the wrong ones are unsure of a wrong digit first and sure of it from step COMMITTED."""

    board, loop = TASK.board("cells", "grid"), Loop()
    model = SimpleNamespace(parameters=lambda: iter([torch.zeros(1)]), step_flops=lambda _: 1, config=SimpleNamespace(d=1))

    def __init__(self, problems):
        self.number = {prompt_T.tobytes(): n for n, prompt_T in enumerate(problems.prompt)}
        self.target_NT = self.board.index(problems.target)

    def wake(self, tokens_Bt, start_BtD=None):
        return None

    def go_on(self, tokens_Bt, thought, depth):
        number_B = [self.number[row.numpy().astype(np.uint8).tobytes()] for row in tokens_Bt]
        for step in range(1, depth + 1):
            v_BtD = torch.stack([self.state(ENDS[n % 4], step) for n in number_B])
            choice_BT = torch.from_numpy(self.target_NT[number_B])
            wrong_B = torch.tensor([n % 4 > 0 for n in number_B])
            choice_BT[wrong_B, -1] = (choice_BT[wrong_B, -1] + WRONG) % 10
            yield torch.nn.functional.one_hot(choice_BT, 10) * (12.0 if step >= COMMITTED else 2.0), Thought(v_BtD)

    def state(self, end, step):
        place = {"moving": step, "oscillation": step % 3}.get(end, 0)
        return torch.nn.functional.one_hot(torch.full((7,), place), 64).double()


@pytest.fixture(scope="module")
def exam():
    return Exam(TASK, TASK.generate(generator(3, "test"), 12), "test", "")


def test_the_failures_are_found_with_their_first_mistake_and_their_end(exam):
    contender = SimpleNamespace(name="scripted", reasoner=lambda *_: Scripted(exam.problems))
    failures = autopsy(contender, exam, DEPTH, 0.9, "cpu")
    assert [failure.problem for failure in failures] == [n for n in range(12) if n % 4]
    for failure in failures:
        n, right = failure.problem, int(exam.problems.target[failure.problem, -1]) - ord("0")
        assert failure.end == ENDS[n % 4]
        assert failure.period == (3 if failure.end == "oscillation" else None)
        assert (failure.committed, failure.position, failure.symbol) == (COMMITTED, 6, str((right + WRONG) % 10))
        assert (failure.wrong, failure.depth, failure.difficulty) == (1, DEPTH, exam.problems.difficulty[n])
        assert failure.prompt.encode() == exam.problems.prompt[n].tobytes()
        assert failure.reply[-1] == failure.symbol
        assert (failure.moved == 0) == (failure.end == "fixed point")
        assert json.loads(failure.line())["family"] == f"{int(exam.problems.family[n]):016x}"
    told = summary(failures, 12, 0.9)
    assert "9 of 12 failed" in told
    assert f"at step {COMMITTED} in the median" in told
    assert "3 oscillation" in told


def test_a_mind_that_is_never_sure_never_commits(exam):
    contender = SimpleNamespace(name="scripted", reasoner=lambda *_: Scripted(exam.problems))
    failures = autopsy(contender, exam, COMMITTED - 1, 0.9, "cpu")
    assert {(failure.committed, failure.position, failure.symbol) for failure in failures} == {(None, None, None)}
    assert "9 without one" in summary(failures, 12, 0.9)
    assert summary([], 12, 0.9) == "0 of 12 failed"


@pytest.mark.parametrize(("depth", "sure"), [(1, 0.9), (4, 0.0), (4, 1.1)])
def test_what_is_no_depth_or_probability_is_refused(exam, depth, sure):
    with pytest.raises(UserError, match="2 or more steps"):
        autopsy(SimpleNamespace(), exam, depth, sure, "cpu")
