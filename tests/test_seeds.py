"""Runs of several seeds as one score: what is pooled, and by which interval."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from test_table import ROW

from bdh_reason.compare.paired import of_seeds
from bdh_reason.compare.report import report
from bdh_reason.compare.seeds import HEAD, pooled, table
from bdh_reason.compare.stats import estimates, resampled, student
from bdh_reason.evaluate.metrics import by_document

SCORES = (0.9, 0.8, 0.7)
RUNS = [replace(ROW, recipe="arm", model=f"arm-{seed}", seed=seed, n=200, exact_match=score, horizon=None) for seed, score in enumerate(SCORES)]


def test_seeds_are_pooled_by_the_hierarchical_bootstrap():
    (its,) = pooled(RUNS)
    (expected,) = estimates(np.array([0.8]), resampled(np.array(SCORES)[:, None], np.full((3, 1), 200)))
    assert its.score == pytest.approx(expected)
    assert its.seeds == (0, 1, 2)
    assert its.score.high - its.score.low > max(SCORES) - min(SCORES)


def test_islands_count_as_one_problem_each():
    (wide,) = pooled([replace(run, islands=5, exact_match=0.8) for run in RUNS])
    (narrow,) = pooled([replace(run, exact_match=0.8) for run in RUNS])
    assert wide.score.high - wide.score.low > narrow.score.high - narrow.score.low


def of_texts(costs, reach, n=200):
    """Rows of a text, a seed each; `reach` is that of their own intervals over n documents."""
    about = {"exact_match": None, "scored_bytes": 9, "floor": 1.5, "n": n}
    ends = [(None, None) if reach is None else (cost - reach, cost + reach) for cost in costs]
    return [replace(run, **about, bits_per_byte=cost, ci_low=low, ci_high=high) for run, cost, (low, high) in zip(RUNS, costs, ends)]


def test_texts_are_pooled_over_seeds_and_documents():
    costs = [2.0, 2.1, 2.2]
    (its,) = pooled(of_texts(costs, 0.3))
    seeds, documents = 0.1**2 / 3, (0.3 / t.ppf(0.975, 199)) ** 2
    freedom = (seeds + documents) ** 2 / (seeds**2 / 2 + documents**2 / 199)
    assert its.score == pytest.approx((2.1, *(2.1 + sign * t.ppf(0.975, freedom) * np.sqrt(seeds + documents) for sign in (-1, 1))))
    assert "1.5000" in table([its])
    (certain,) = pooled(of_texts(costs, 0.0))
    assert certain.score == pytest.approx(student(costs))


@given(st.floats(0, 1), st.floats(0, 0.01))
def test_equal_seeds_do_not_hide_that_documents_differ(reach, apart):
    (its,) = pooled(of_texts([2.0, 2.0 + apart, 2.0], reach))
    assert its.score.high - its.score.low >= 2 * reach - 1e-9


@given(st.integers(0, 2**32))
def test_it_is_the_interval_of_a_gap_over_seeds_where_documents_are_as_hard_for_all(seed):
    source = np.random.default_rng(seed)
    bytes_N, hard_N = source.integers(500, 1500, 40), source.normal(2, 0.2, 40)
    bits_RN = (hard_N + source.normal(0, 0.05, (3, 1))) * bytes_N
    costs = bits_RN.sum(1) / bytes_N.sum()
    rows = [replace(row, ci_high=by_document(bits_N, bytes_N)[1]) for row, bits_N in zip(of_texts(list(costs), 0.1, n=40), bits_RN)]
    (its,) = pooled(rows)
    assert its.score == pytest.approx(of_seeds(bits_RN, bytes_N).gap, rel=1e-3)


def test_of_one_document_the_interval_is_open_and_not_shown():
    (its,) = pooled(of_texts([2.0, 2.1], None, n=1))
    assert its.score == (pytest.approx(2.05), -np.inf, np.inf)
    assert "| 2.0500 |" in table([its])


@pytest.mark.parametrize(("steps", "shown"), [((150, 150, 150), "150"), ((75, 150, 150), "75, 150, 150"), ((None, None, None), "–")])
def test_the_best_on_validation_may_be_of_other_steps_and_the_table_says_so(steps, shown):
    (its,) = pooled([replace(run, step=step) for run, step in zip(RUNS, steps)])
    assert its.steps == steps
    assert dict(zip(HEAD, (cell.strip() for cell in table([its]).splitlines()[2].strip("|").split("|"))))["step"] == shown


@pytest.mark.parametrize(
    "change",
    [
        *({"data_hash": "other"}, {"depth": 99}, {"mode": "greedy"}, {"recipe": "other"}, {"recipe": None}, {"params": 7}, {"n": 201}, {"horizon": 4}),
        *({"difficulty": "≤0"}, {"error": "lost"}, {"seed": 0}, {"seed": None}, {"task_version": "2"}, {"split": "validation"}),
    ],
)
def test_only_what_differs_in_nothing_but_its_seed_is_pooled(change):
    assert pooled([RUNS[0], replace(RUNS[1], **change)]) == []


def test_the_report_shows_one_line_for_each_recipe():
    lines = [line for line in report(RUNS).splitlines() if line.startswith("| sudoku") and "0, 1, 2" in line]
    (cells,) = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert dict(zip(HEAD, cells))["mean [95 %]"].startswith("0.8000 [")
    assert "hierarchical bootstrap" in report(RUNS)
    assert "hierarchical bootstrap" not in report(RUNS[:1])
