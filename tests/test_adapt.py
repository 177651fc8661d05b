"""Tables of learning after training come from rows alone: the scores of Lopez-Paz and Ranzato, and columns by the number of examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_rows import ROW

from bdh_reason.compare.adapt import contexts, matrices, scores, sequences
from bdh_reason.compare.report import report
from bdh_reason.compare.table import latest
from bdh_reason.evaluate.metrics import wilson

TASKS = ("a", "b", "c")
FRESH, FIRST = [0.0, 0.1, 0.2], [0.9, 0.15, 0.25]
LATER = {"plain": [[0.3, 0.8, 0.5], [0.1, 0.4, 0.7]], "replay": [[0.8, 0.8, 0.2], [0.8, 0.8, 0.6]]}


def row(stage, strategy, task, exact, seed=0, n=1000, **changes):
    low, high = wilson(round(exact * n), n)
    about = {"plan": "lines", "tasks": list(TASKS), "stage": stage, "strategy": strategy, "task": task}
    given = {"sequence": about, "task": task, "seed": seed, "n": n, "exact_match": exact, "ci_low": low, "ci_high": high, "params": 10 + stage}
    return replace(
        ROW, **{"created": "2026", "bits_per_byte": None, "islands": None, "difficulty": None, "horizon": None, "mode": "in_place", **given, **changes}
    )


def rows(seed=0, **changes):
    shared = [(0, None, FRESH), (1, None, FIRST)]
    later = [(stage, strategy, exact) for strategy, two in LATER.items() for stage, exact in enumerate(two, 2)]
    return [row(stage, strategy, task, exact, seed, **changes) for stage, strategy, its in shared + later for task, exact in zip(TASKS, its)]


def test_the_scores_are_those_of_the_paper():
    plain, replay = matrices(rows())
    assert [plain.acc.value, plain.bwt.value, plain.fwt.value] == pytest.approx([0.4, ((0.1 - 0.9) + (0.4 - 0.8)) / 2, ((0.15 - 0.1) + (0.5 - 0.2)) / 2])
    assert replay.bwt.value == pytest.approx(-0.05)
    assert [[cell.value for cell in stage] for stage in plain.exact] == [FRESH, FIRST, *LATER["plain"]]
    assert plain.params == (10, 13)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_scores_by_loops_as_the_paper_writes_them(size, seed):
    exact_IJ = np.random.default_rng(seed).random((size + 1, size))
    R, b = exact_IJ[1:], exact_IJ[0]
    acc = sum(R[size - 1, i] for i in range(size)) / size
    bwt = sum(R[size - 1, i] - R[i, i] for i in range(size - 1)) / (size - 1)
    fwt = sum(R[i - 1, i] - b[i] for i in range(1, size)) / (size - 1)
    assert scores(exact_IJ) == pytest.approx([acc, bwt, fwt])
    assert scores(np.stack([exact_IJ, exact_IJ]))[1] == pytest.approx([acc, bwt, fwt])


def test_a_task_that_is_kept_is_not_forgotten_and_one_corrupted_row_is_seen():
    kept = [one for one in rows() if one.sequence["strategy"] != "plain"]
    same = [replace(one, exact_match=FIRST[TASKS.index(one.task)]) if one.sequence["stage"] > 1 else one for one in kept]
    (matrix,) = matrices(same)
    assert matrix.bwt.value == 0
    spoiled = [replace(one, exact_match=0.0) if (one.sequence["stage"], one.task) == (3, "a") else one for one in same]
    assert matrices(spoiled)[0].bwt.value == pytest.approx(-0.45)
    assert matrices(spoiled)[0].acc.value == pytest.approx(matrix.acc.value - 0.3)


def test_seeds_are_averaged_and_only_whole_runs_count():
    worse = [replace(one, exact_match=one.exact_match / 2) for one in rows(seed=1)]
    plain, _ = matrices(rows() + worse)
    assert plain.seeds == (0, 1)
    assert plain.acc.value == pytest.approx(0.3)
    assert plain.acc.low < 0.3 < plain.acc.high
    assert plain.acc.high - plain.acc.low > 3 * (matrices(rows())[0].acc.high - matrices(rows())[0].acc.low), "seeds differ more than problems do"
    assert [matrix.seeds for matrix in matrices(rows() + worse[:-1])] == [(0, 1), (0,)]
    assert matrices([one for one in rows() if one.sequence["stage"]]) == []


def test_intervals_hold_their_values_and_of_two_rows_for_one_cell_the_newer_counts():
    for matrix in matrices(rows()):
        for value, low, high in (matrix.acc, matrix.bwt, matrix.fwt, *(cell for stage in matrix.exact for cell in stage)):
            assert low <= value <= high
    newer = row(3, "plain", "c", 0.0, created="2027")
    assert matrices([newer, *rows()])[0].exact[3][2].value == 0


def test_the_report_of_a_sequence_is_its_tables_and_nothing_of_it_is_in_others():
    text = report(rows())
    assert text == sequences(matrices(rows()))
    assert "| plain, after | a (n 1,000, chance" in text
    assert "| 3. c | 0.100 [" in text
    assert text.count("fresh weights") == 2
    assert "| plain | 0 | 3,000 | 10 | 13 | 0.400 [" in text


def shots(count, exact, mode="in_context"):
    return replace(row(0, None, "a", exact), sequence=None, mode=mode, context=count, cell_accuracy=0.5)


def test_examples_in_context_are_columns():
    found = [shots(0, 0.25), shots(2, 0.5), shots(2, 0.75, "cipher")]
    text = contexts(found)
    head, _, plain, cipher = text.splitlines()
    assert head.endswith("| 0 shots | 2 shots |")
    assert "0.250 [" in plain
    assert "0.500 [" in plain
    assert cipher.count("0.750 [") == 1
    assert "|  |" in cipher
    assert report(found) == text
    horizon = [replace(one, horizon=4, config={"length": 4}) for one in found]
    assert report(horizon) == contexts(horizon), "no point of a curve over horizons"


def test_rows_that_differ_in_shots_or_stage_are_all_kept():
    found = [*rows(), shots(0, 0.1), shots(1, 0.1)]
    assert len(latest(found + found)) == len(found)
