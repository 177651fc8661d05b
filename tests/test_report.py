"""What `report` writes from files of rows, and what it says of those that it left out."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_page import BDH, film

from bdh_reason.compare import report
from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import append


def test_a_report_writes_page_figures_and_readme_and_names_what_it_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = tmp_path / "results" / "rows" / "a.jsonl"
    append(rows, [replace(BDH, depth=8), replace(BDH, depth=16)])
    with rows.open("a") as file:
        file.write("no JSON\n" + replace(BDH, depth=8).line() + "\n" + replace(BDH, depth=32).line() + "\n")
    (tmp_path / "results" / "boards").mkdir()
    (tmp_path / "results" / "boards" / "a.json").write_text(json.dumps(film()))
    (tmp_path / "results" / "boards" / "b.json").write_text("{}")
    (tmp_path / "results" / "boards" / "c.json").write_text(json.dumps(film() | {"right": []}))
    written, complaints = report.write([Path("results/rows/a.jsonl")])
    assert set(map(str, written)) == {"results/report.html", "results/README.md", "results/figures/depth.svg"}
    assert [complaint[: complaint.index(" is no") + 6] for complaint in complaints if "is no" in complaint] == [
        "results/rows/a.jsonl, line 3 is no",
        "results/boards/b.json is no",
        "results/boards/c.json is no",
    ]
    assert "line 4 repeats results/rows/a.jsonl, line 1" in complaints[1]
    assert len(complaints) == 4
    html = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert json.loads(re.search(r'id="films">(.*?)</script>', html)[1])[0]["title"] == "six on sudoku"
    assert json.loads(re.search(r'id="table">(.*?)</script>', html)[1])["columns"]["depth"] == [8, 16, 32]
    assert "(figures/depth.svg)" in (tmp_path / "results" / "README.md").read_text(encoding="utf-8")


def test_a_report_says_how_many_older_rows_it_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("results/rows/a.jsonl")
    append(path, [BDH, replace(BDH, created="2026-11-23", exact_match=0.5), replace(BDH, created="2026-11-24", error="lost", exact_match=None)])
    report.write([path])
    for name, said in (("README.md", "1 older ones are left out"), ("report.html", "1 older ones are not shown")):
        assert said in Path("results", name).read_text(encoding="utf-8")


def test_a_run_that_failed_is_told_on_every_page_until_it_has_a_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, failed = Path("results/rows/a.jsonl"), replace(BDH, model="unlucky", recipe="unlucky", error="RunError: no room <left>", exact_match=None)
    append(path, [failed])
    with pytest.raises(UserError, match=r"no row with a result .*unlucky, seed 0, .* failed: RunError"):
        report.write([path])
    append(path, [BDH])
    report.write([path])
    pages = [Path("results", name).read_text(encoding="utf-8") for name in ("README.md", "report.html")]
    assert ["unlucky, seed 0, on" in page for page in pages] == [True, True]
    assert "no room &lt;left&gt;" in pages[1]
    append(path, [replace(BDH, model="unlucky", recipe="unlucky", created="2999")])
    report.write([path])
    assert "no room" not in Path("results/README.md").read_text(encoding="utf-8")


def test_files_without_a_row_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "a.jsonl").write_text("no JSON\n")
    with pytest.raises(UserError, match="line 1 is no row"):
        report.write([Path("a.jsonl")])
    assert list((tmp_path / "results").iterdir()) == []


def test_report_and_table_never_import_torch(tmp_path):
    append(tmp_path / "results" / "rows" / "a.jsonl", [replace(BDH, horizon=horizon, depth=8) for horizon in (4, 8)])
    run = "import sys, bdh_reason.cli as c; sys.argv = ['', '{}']\ntry: c.main()\nexcept SystemExit as end: assert not end.code, end.code\n"
    check = "sys.exit(' '.join({'torch', 'numba', 'lightning', 'matplotlib', 'polars'} & set(sys.modules)) or 0)"
    for command in ("report", "table"):
        code = f"import sys; sys.path.insert(0, {str(Path(report.__file__).parents[2])!r})\n{run.format(command)}{check}"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
