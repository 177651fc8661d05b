"""The published set: a file keeps its part and names a bad line, and without a file it is fetched, or the user is told how to get it."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from click.testing import CliRunner

from bdh_reason.cli import cli
from bdh_reason.data import published as publishing
from bdh_reason.data.build import build
from bdh_reason.data.manifest import read
from bdh_reason.data.published import download, shares_of
from bdh_reason.data.read import open_split
from bdh_reason.errors import UserError
from bdh_reason.task import Problems
from bdh_reason.train.problems import splits
from bdh_reason.train.recipe import load


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows as the published files have them."""
    folder = tmp_path_factory.mktemp("set")
    build("sudoku", {}, folder, 300, shares=(1, 0, 0))
    problems: Problems = open_split(folder, "train")
    return [f"made,{bytes(prompt).decode()},{bytes(target).decode()},{i}" for i, (prompt, target) in enumerate(zip(problems.prompt, problems.target))]


def write(path, rows):
    path.write_text("\n".join(["source,question,answer,rating", *rows, ""]))
    return str(path)


def invoke(*arguments):
    return CliRunner().invoke(cli, ["data", "import", *map(str, arguments)])


@pytest.mark.parametrize(("name", "parts"), [("test.csv", {"test"}), ("train.csv", {"train", "validation"})])
def test_a_published_file_keeps_its_part(tmp_path, rows, name, parts):
    result = invoke("sudoku-extreme", "--csv", write(tmp_path / name, rows), "--out", tmp_path / "set")
    assert result.exit_code == 0, result.output
    counted = json.loads(result.output)["rows"]
    assert {split for split, count in counted.items() if count} == parts
    assert sum(counted.values()) == 300
    manifest = read(tmp_path / "set")
    assert (manifest.plan.task, "mix" in manifest.plan.config) == ("sudoku", False)


def test_rows_of_the_test_file_stay_in_their_order(tmp_path, rows):
    invoke("sudoku-extreme", "--csv", write(tmp_path / "test.csv", rows), "--out", tmp_path / "set")
    problems = open_split(tmp_path / "set", "test")
    assert [bytes(prompt).decode() for prompt in problems.prompt] == [row.split(",")[1] for row in rows]


def test_a_file_named_for_no_part_needs_to_be_told(tmp_path, rows):
    file = write(tmp_path / "some.csv", rows)
    assert isinstance(invoke("sudoku-extreme", "--csv", file, "--out", tmp_path / "set").exception, UserError)
    result = invoke("sudoku-extreme", "--csv", file, "--out", tmp_path / "set", "--only", "validation")
    assert json.loads(result.output)["rows"] == {"train": 0, "validation": 300, "test": 0}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda question, answer: (question, answer[::-1]), "line 4: the answer"),
        (lambda question, answer: (question, answer[1:] + answer[:1]), "line 4: the answer"),
        (lambda question, answer: ("." * 81, answer), "line 4: the puzzle has several solutions"),
        (lambda question, answer: ("11" + question[2:], answer), "line 4: the clues contradict each other"),
        (lambda question, answer: (question[1:], answer), "line 4: 80 symbols"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, spoil, words):
    source, question, answer, rating = rows[2].split(",")
    bad = ",".join([source, *spoil(question, answer), rating])
    result = invoke("sudoku-extreme", "--csv", write(tmp_path / "test.csv", [*rows[:2], bad, *rows[3:]]), "--out", tmp_path / "set")
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("only", "file"), [((), "train.csv"), (("--only", "test"), "test.csv")])
def test_without_a_file_it_is_fetched(tmp_path, rows, monkeypatch, only, file):
    asked = []
    hub = ModuleType("huggingface_hub")

    def fake(repository, name, repo_type):
        asked.append((repository, name, repo_type))
        return write(tmp_path / name, rows)

    hub.hf_hub_download = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert invoke("sudoku-extreme", "--out", tmp_path / "set", *only).exit_code == 0
    assert asked == [("sapientinc/sudoku-extreme", file, "dataset")]


def test_what_hinders_fetching_comes_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"needs huggingface_hub; pip install bdh-reason\[hub\], or get train.csv .* --csv"):
        download("sudoku-extreme", "train.csv")
    hub = ModuleType("huggingface_hub")

    def fail(*_, **__):
        raise ConnectionError("no network")

    hub.hf_hub_download = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(UserError, match=r"cannot get train.csv of sapientinc/sudoku-extreme: no network; try again"):
        download("sudoku-extreme", "train.csv")
    with pytest.raises(UserError, match=r"unknown file 'tset.csv'.*did you mean 'test.csv'"):
        download("sudoku-extreme", "tset.csv")


def test_unknown_sets_are_refused(tmp_path, rows):
    result = invoke("sudoku-extrem", "--csv", write(tmp_path / "test.csv", rows), "--out", tmp_path / "set")
    assert "did you mean 'sudoku-extreme'" in str(result.exception)
    assert isinstance(invoke("sudoku-extreme", "--task", "sudoku", "--out", tmp_path / "set").exception, UserError)


def test_the_shares_of_a_part():
    assert shares_of(publishing.Path("a/test.csv")) == (0, 0, 1)
    assert shares_of(publishing.Path("a/train.csv"))[2] == 0


def test_a_recipe_trains_on_the_first_problems_of_a_set_that_is_there(tmp_path, rows):
    recipe = load("sudoku-extreme-1k", {"data": {"size": 20}})
    with pytest.raises(UserError, match="no data set in"):
        splits(recipe, tmp_path, lambda done, total: None)
    write(tmp_path / "train.csv", rows)
    invoke("sudoku-extreme", "--csv", tmp_path / "train.csv", "--out", tmp_path / "sudoku-extreme")
    (found,) = splits(recipe, tmp_path, lambda done, total: None)
    assert len(found.train) == 20
    assert (found.train.prompt == open_split(tmp_path / "sudoku-extreme", "train").prompt[:20]).all()
    assert found.data_hash == read(tmp_path / "sudoku-extreme").hash
    with pytest.raises(UserError, match="holds problems of sudoku"):
        splits(load("sudoku6", {"data": {"folder": "sudoku-extreme"}}), tmp_path, lambda done, total: None)


def test_a_recipe_can_name_the_preset():
    recipe = load("sudoku9", {"task": {"name": "sudoku-extreme"}})
    assert recipe.build_task().name == "sudoku"
    assert recipe.build_task().config.mix == (16, 11, 12, 48, 12)
