"""Runs of several seeds as one score: what is pooled, and by which interval."""

from dataclasses import replace

import numpy as np
import pytest
from test_table import ROW

from bdh_reason.compare.report import report
from bdh_reason.compare.seeds import HEAD, pooled, table
from bdh_reason.compare.stats import estimates, resampled, student

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


def test_texts_are_pooled_by_students_t():
    (its,) = pooled([replace(run, exact_match=None, bits_per_byte=2 + run.seed / 10, scored_bytes=9, floor=1.5) for run in RUNS])
    assert its.score == student([2.0, 2.1, 2.2])
    assert "1.5000" in table([its])


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
