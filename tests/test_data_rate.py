import json

import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.data.rate import rate
from bdh_reason.rng import generator

TASK = toy.Task(toy.Config())  # its difficulty is the sum of the digits, cut at 20 and 30


def test_a_hand_counted_example():
    rated = rate(TASK, TASK.read("000000 111111 004466 664400 336666 999999", "here"))
    assert rated["rows"] == 6
    assert rated["families"] == 5
    assert rated["blanks"] == 1
    assert rated["mean"] == pytest.approx((0 + 6 + 20 + 20 + 30 + 54) / 6)
    assert rated["slices"] == [{"to": 20, "rows": 4, "share": 4 / 6}, {"to": 30, "rows": 1, "share": 1 / 6}, {"to": None, "rows": 1, "share": 1 / 6}]
    assert (rated["quantiles"][0.0], rated["quantiles"][0.5], rated["quantiles"][1.0]) == (0, 20, 54)
    json.dumps(rated)


@given(st.integers(1, 300), st.integers(0, 5))
def test_every_problem_lies_in_one_slice(count, seed):
    problems = TASK.generate(generator(seed, "test"), count)
    slices = rate(TASK, problems)["slices"]
    assert sum(part["rows"] for part in slices) == count
    assert sum(part["share"] for part in slices) == pytest.approx(1)
    assert slices[0]["rows"] == (problems.difficulty <= 20).sum()
    assert slices[-1]["rows"] == (problems.difficulty > 30).sum()


def test_a_task_without_edges_has_one_slice(monkeypatch):
    monkeypatch.setattr(toy.Task, "edges", ())
    assert rate(TASK, TASK.read("123456", "here"))["slices"] == [{"to": None, "rows": 1, "share": 1.0}]
