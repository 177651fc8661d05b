"""The benchmark's rows; how fast anything is, no test asks."""

from __future__ import annotations

import sys

import pytest

from bdh_reason.errors import UserError
from tasks.sudoku.bench import bench


def test_every_target_has_a_row_with_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[bench.__module__], "_ISLAND", 64)  # the package has a function of the module's name
    for name in ("17_clue_10k.txt", "magictour_top1465.txt"):
        (tmp_path / name).write_text("3.....6....5.....94.8.9.17..2..7..9......3........9..4.7.....36...3.68.....85....\n")
    for folder, solver_rows in ((None, 1), (tmp_path, 2)):
        rows = list(bench(folder))
        assert [row["bench"] for row in rows] == ["solver"] * solver_rows + ["generator", "generator", "augmentation", "canonical form"]
        for row in rows:
            assert list(row) == ["bench", "case", "value", "unit", "against", "ratio", "device"]
            assert row["ratio"] == row["value"] / row["against"]
            assert row["device"].endswith(", 1 core")


def test_a_folder_without_the_lists_is_refused_by_name(tmp_path):
    (tmp_path / "17_clue_10k.txt").touch()
    with pytest.raises(UserError, match=r"no magictour_top1465\.txt in"):
        next(bench(tmp_path))
