import random
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from bdh_reason.compare.report import write
from bdh_reason.compare.table import HEAD, latest, problem_name, table
from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import Row, append

SOME = {"str": "x", "int": 1, "float": 0.5}
EMPTY = Row(**{field.name: SOME.get(str(field.type), {} if str(field.type).startswith("dict") else None) for field in fields(Row) if field.name != "schema"})
ROW = replace(EMPTY, created="2026-11-22T10:00:00+00:00", task="sudoku", config={"box": [2, 3]}, split="test", model="bdh-6", params=24800, depth=16)
ROW = replace(ROW, n=2000, exact_match=0.9785, ci_low=0.9712, ci_high=0.984, cell_accuracy=0.99123, chance=3e-21, flops_per_problem=1.5e9, device="a CPU")


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_is_markdown_with_one_line_a_row_and_the_same_columns_in_each():
    guess = replace(ROW, model="chance", params=None, depth=None, flops_per_problem=None, chance=0.0, difficulty="≤0")
    head, rule, first, second = table([ROW, guess]).splitlines()
    assert {len(cells(line)) for line in (head, rule, first, second)} == {len(HEAD)}
    assert cells(head) == list(HEAD)
    assert set("".join(cells(rule))) == {"-", ":"}
    shown = dict(zip(HEAD, cells(first)))
    assert shown["problems"] == "sudoku 6×6 (test)"
    assert (shown["model"], shown["params"], shown["depth"], shown["difficulty"], shown["n"]) == ("bdh-6", "24,800", "16", "all", "2,000")
    assert (shown["exact_match [95 %]"], shown["cells"]) == ("0.9785 [0.9712, 0.9840]", "0.9912")
    assert (shown["chance"], shown["GFLOP"]) == ("3e-21", "1.5")
    assert cells(table([replace(ROW, step=600)]).splitlines()[2])[HEAD.index("model")] == "bdh-6 @600"
    assert cells(table([replace(ROW, islands=32)]).splitlines()[2])[HEAD.index("n")] == "2,000 on 32"
    shown = dict(zip(HEAD, cells(second)))
    assert (shown["params"], shown["depth"], shown["difficulty"], shown["chance"], shown["GFLOP"]) == ("0", "–", "≤0", "0", "–")


def test_problems_are_named_by_their_board():
    assert problem_name(ROW) == "sudoku 6×6"
    assert problem_name(replace(ROW, config={"size": 7, "clues": None})) == "sudoku, size 7"
    for mix in ([1, 0, 2], (1, 0, 2)):  # from a file, or fresh
        assert problem_name(replace(ROW, config={"box": [3, 3], "mix": mix})) == "sudoku 9×9, mix 1/0/2"


@pytest.mark.parametrize("order", [1, -1])
def test_the_newest_of_rows_that_answer_the_same_question_stays(order):
    newer = replace(ROW, created="2026-11-23T09:00:00+00:00", exact_match=0.5, device="another CPU", commit="abc")
    assert latest([ROW, newer][::order]) == [newer]
    assert latest([ROW, replace(ROW, exact_match=0.5)]) == [replace(ROW, exact_match=0.5)], "of one second, the later line"


@pytest.mark.parametrize("change", [{"task": "y"}, {"config": {"box": [2, 2]}}, {"split": "y"}, {"model": "y"}, {"seed": 2}, {"mode": "greedy"}, {"depth": 8}])
def test_rows_that_answer_different_questions_all_stay(change):
    assert len(latest([ROW, replace(ROW, **change), replace(ROW, difficulty="≤0", **change)])) == 3


def test_rows_are_ordered_by_problems_model_and_depth_and_slices_follow_their_whole_from_easy_to_hard():
    slices = (None, "≤0", "0–2", "2–10", "10–50", ">50")
    ordered = [
        replace(ROW, config={"box": box}, model=model, depth=depth, difficulty=difficulty)
        for box in ([2, 2], [2, 3])
        for model, depths in (("bdh", (8, 16, 128)), ("chance", (None,)))
        for depth in depths
        for difficulty in slices
    ]
    assert latest(ordered) == ordered
    blocks = [ordered[start : start + len(slices)] for start in range(0, len(ordered), len(slices))]
    random.Random(0).shuffle(blocks)
    assert latest([row for block in blocks for row in block]) == ordered


def test_the_readme_holds_the_newest_rows_whole_and_by_difficulty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "rows" / "a.jsonl"
    append(path, [ROW, replace(ROW, difficulty="≤0", exact_match=1.0), replace(ROW, created="2026-11-23", exact_match=0.125)])
    write([path])
    whole, by_difficulty = (tmp_path / "results" / "README.md").read_text(encoding="utf-8").split("## By difficulty")
    assert "0.1250" in whole
    assert "0.9785" not in whole
    assert "≤0" in by_difficulty
    assert "≤0" not in whole
    assert {path.name for path in (tmp_path / "results").iterdir() if path.is_file()} == {"README.md", "report.html"}, "no draft is left"


def test_without_rows_or_outside_a_clone_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    append(tmp_path / "a.jsonl", [ROW])
    for files in ([], [tmp_path / "a.jsonl"]):
        with pytest.raises(UserError, match="no rows"):
            write(files)
    assert not (tmp_path / "results").exists()


def test_reading_rows_needs_no_torch():
    check = "import sys, bdh_reason.compare.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
