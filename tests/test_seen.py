"""Exams over horizons: fresh problems of each, the same for all who sit, and none of a family that anybody was trained on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_cli import bdh_reason
from test_parts import horizons
from test_train import _without_tracking, run
from toy import installed

from bdh_reason.data.build import build
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import independent, open_split
from bdh_reason.data.splits import only
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.evaluate import Exam
from bdh_reason.evaluate.exam import examine
from bdh_reason.evaluate.seen import exclude_seen, refuse_seen

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)


@pytest.fixture
def home(tmp_path):
    """A model trained on toys of 2 and 3 digits, of which it has seen many, and another that has seen others."""
    for name, seed in (("run", 0), ("other", 1)):
        train = horizons(steps=2, horizons={"train": [2, 3], "exam": [3, 4, 8]}, data={"size": 300, "seed": seed, "shares": [0.3, 0.2, 0.5]})
        run(tmp_path / name, train)
    return tmp_path


def asked(home, *names, **options):
    found = examine("toy", {}, tuple(str(home / name) for name in names or ("run",)), (1,), "cpu", home / "data", lambda *_: None, **options)
    return {row.horizon: row for row in found if row.difficulty is None and row.model == (names or ("run",))[0]}


def seen(home, name, digits):
    """The families of so many digits that a model was trained on."""
    hashes = checkpoint(str(home / name)).card.data()
    folders = [path.parent for path in (home / "data").glob("*/manifest.json") if read_manifest(path.parent).hash in hashes]
    its = [open_split(folder, split) for folder in folders for split in ("train", "validation")]
    return np.concatenate([problems.family for problems in its if problems.prompt.shape[1] == digits + 1])


def fresh(home, digits):
    """The exam at one horizon as it was made, every family once."""
    for path in (home / "data").glob("toy-exam-*/manifest.json"):
        if read_manifest(path.parent).plan.config["digits"] == digits:
            problems = open_split(path.parent, "test")
            return problems.take(independent(problems))
    raise AssertionError


def test_a_recipe_with_horizons_is_asked_its_ladder_and_others_on_request(home):
    rows = asked(home, limit=60)
    assert list(rows) == [3, 4, 8]
    assert {tuple(row.trained) for row in rows.values()} == {(2, 3)}
    assert {row.config["digits"] for row in rows.values()} == {3, 4, 8}
    assert {row.unseen for row in rows.values()} == {True}
    assert list(asked(home, limit=60, horizons=(2, 12))) == [2, 12]


def test_families_that_were_trained_on_are_left_out_and_counted(home):
    row = asked(home, limit=200, horizons=(3,))[3]
    made = fresh(home, 3)
    strangers_N = ~np.isin(made.family, seen(home, "run", 3))
    assert 0 < strangers_N.sum() < len(made)
    assert (row.n, row.excluded) == (strangers_N.sum(), (~strangers_N).sum())


def test_all_who_sit_an_exam_sit_the_same(home):
    one, other, both = (asked(home, *names, limit=200, horizons=(3,))[3] for names in (("run",), ("other",), ("run", "other")))
    families = set(fresh(home, 3).family.tolist())
    strangers = families - set(seen(home, "run", 3).tolist()) - set(seen(home, "other", 3).tolist())
    assert both.n == len(strangers) < min(one.n, other.n)
    assert both.excluded == len(families) - both.n
    guessed = examine("toy", {}, ("oracle",), None, "cpu", home / "data", lambda *_: None, horizons=(3,), limit=200)[0]
    assert (guessed.n, guessed.excluded, guessed.exact_match) == (len(families), 0, 1)


def test_an_exam_is_made_once_of_problems_that_no_data_set_begins_with(home):
    asked(home, limit=60, horizons=(4,))
    made = fresh(home, 4)
    changed = [path.stat().st_mtime_ns for path in sorted((home / "data").glob("*/*"))]
    asked(home, limit=60, horizons=(4,))
    assert [path.stat().st_mtime_ns for path in sorted((home / "data").glob("*/*"))] == changed
    build("toy", {"digits": 4}, home / "same", 60, shares=only("test"))
    assert not np.array_equal(made.prompt, open_split(home / "same", "test").prompt[: len(made)])


def test_a_horizon_at_which_everything_was_trained_on_is_left_out_and_said(home, capsys):
    run(home / "whole", horizons(steps=2, horizons={"train": [2]}, data={"size": 3000, "shares": [0.9, 0.1, 0.0]}))
    assert list(asked(home, "whole", limit=40, horizons=(2, 4))) == [4]
    assert "toy at horizon 2: all" in capsys.readouterr().err
    done = bdh_reason("eval", "--task", "toy", "--model", "whole", "--datasets", "data", "--horizon", "2", "--limit", "40", cwd=home)
    assert done.returncode == 2
    assert "nobody was trained on" in done.stderr


def test_on_validation_and_by_data_set_a_model_of_horizons_is_asked_its_parts(home):
    assert list(asked(home, split="validation")) == [2, 3]
    build("toy", {"digits": 6}, home / "mine", 40, shares=only("test"))
    (row,) = asked(home, folder=home / "mine").values()
    assert (row.horizon, row.excluded) == (6, None)


def test_a_problem_of_another_size_is_another_problem_whatever_its_family(home):
    asked(home, limit=60, horizons=(4,))
    trained, problems = checkpoint(str(home / "run")), fresh(home, 4)
    planted = replace(problems, family=np.resize(seen(home, "run", 3), len(problems)))
    exam = Exam(horizons().each[1].build_task(), planted, "test", "x")
    assert exclude_seen([trained], exam, home / "data").excluded == 0
    assert refuse_seen(trained, exam, home / "data") is True
    assert refuse_seen(trained, exam, home / "far") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--horizon", "13"), "horizon 13 of task toy; allowed: 2 to 12"),
        (("--horizon", "4,1"), "horizon 1 of task toy"),
        (("--horizon", "far"), "--horizon far; allowed: numbers with commas"),
        (("--horizon", "4", "--data", "x"), "--horizon beside --data"),
        (("--horizon", "4", "--split", "validation"), "--horizon beside --data, --puzzles or --split"),
        (("--horizon", "4", "--task", "sudoku"), "run was trained on toy, not on sudoku"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_built(home, words, message):
    before = sorted((home / "data").iterdir())
    done = bdh_reason("eval", "--task", "toy", "--model", "run", "--datasets", "data", *words, cwd=home)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert sorted((home / "data").iterdir()) == before


def test_a_task_without_a_horizon_has_no_exam_at_one(tmp_path):
    done = bdh_reason("eval", "--model", "chance", "--horizon", "4", cwd=tmp_path)
    assert done.returncode == 2
    assert "horizon 4 of task sudoku, which has none" in done.stderr


def test_the_command_prints_rows_with_their_horizon(home):
    words = ("--horizon", "8,3", "--limit", "30", "--depth", "1", "--json")
    done = bdh_reason("eval", "--task", "toy", "--model", "run", "--model", "chance", "--datasets", "data", *words, cwd=home)
    assert done.returncode == 0, done.stderr
    rows = [row for row in map(json.loads, done.stdout.splitlines()) if row["difficulty"] is None]
    assert [(row["model"], row["horizon"]) for row in rows] == [("run", 3), ("chance", 3), ("run", 8), ("chance", 8)]
    assert rows[0]["n"] == rows[1]["n"]
