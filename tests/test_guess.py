import numpy as np
import pytest
from toy import BLANK, Config, Task

from bdh_reason import discover
from bdh_reason.rng import generator

N = 5000


@pytest.fixture(scope="module")
def case():
    task = Task(Config())
    return task, task.generate(generator(0, "test"), N)


def replies(case, name, seed=0):
    task, problems = case
    shown_NT = problems.prompt.copy()
    reply_NT = discover.guesses()[name](task, problems.prompt, problems.scored, generator(seed, "guess", name))
    assert (problems.prompt == shown_NT).all(), "the prompt itself is left alone"
    assert (reply_NT.dtype, reply_NT.shape) == (np.uint8, shown_NT.shape)
    return reply_NT


def test_chance_keeps_the_clues_and_fills_with_every_symbol_equally_often(case):
    task, problems = case
    reply_NT = replies(case, "chance")
    assert (reply_NT == problems.prompt)[~problems.scored].all()
    symbols, counts = np.unique(reply_NT[problems.scored], return_counts=True)
    assert bytes(symbols) == task.board("cells", "grid").symbols
    assert ((counts - N / 10) ** 2 / (N / 10)).sum() < 33.7  # chi-square with 9 degrees of freedom: exceeded once in 10,000 draws
    assert task.verify(problems.prompt, reply_NT).mean() == pytest.approx(task.chance(problems), abs=0.02)


def test_chance_is_a_function_of_its_generator(case):
    assert (replies(case, "chance") == replies(case, "chance")).all()
    assert (replies(case, "chance") != replies(case, "chance", seed=1)).any()


def test_copy_leaves_blanks_blank_and_solves_nothing(case):
    task, problems = case
    reply_NT = replies(case, "copy")
    assert (reply_NT == problems.prompt).all()
    assert (reply_NT[problems.scored] == BLANK).all()
    assert not task.verify(problems.prompt, reply_NT).any()


def test_the_oracle_is_always_right(case):
    task, problems = case
    assert task.verify(problems.prompt, replies(case, "oracle")).all()


def test_only_the_oracle_asks_the_solver(case, monkeypatch):
    for method in ("verify", "solve", "solutions"):
        monkeypatch.setattr(Task, method, lambda *_: pytest.fail("asked"))
    replies(case, "chance"), replies(case, "copy")
    with pytest.raises(pytest.fail.Exception):
        replies(case, "oracle")
