"""Splits that are grown apart: the same bytes however they are built, no solution class in two splits, and an audit that would see one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from bdh_reason.data import build as building
from bdh_reason.data.audit import audit
from bdh_reason.data.build import build
from bdh_reason.data.manifest import FILES, read
from bdh_reason.data.read import calls, export, exported_calls, independent, open_split
from bdh_reason.data.splits import SPLITS, only, rows_of
from bdh_reason.errors import RunError
from bdh_reason.evaluate.exam import choose, islands
from bdh_reason.evaluate.metrics import clustered
from bdh_reason.task import Problems
from tasks.sudoku import canonical, formats
from tasks.sudoku.shape import Shape

NINE = Shape(3, 3)
SIZE, SHARES = 150, (0.6, 0.2, 0.2)
QUICK = {"mix": [2, 1, 1, 0, 0]}


@pytest.fixture(autouse=True)
def _small_islands(monkeypatch):
    monkeypatch.setattr(building, "ISLAND", 40)
    monkeypatch.setattr(building, "EXAM_ISLAND", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "ISLAND", 40)
        patch.setattr(building, "EXAM_ISLAND", 8)
        build("sudoku-extreme", QUICK, tmp_path_factory.mktemp("set") / "set", SIZE, shares=SHARES)
    return next(tmp_path_factory.getbasetemp().glob("set*/set"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def solution_classes(problems: Problems) -> set[bytes]:
    return {row.tobytes() for row in canonical.canonical(NINE, formats.to_grid(NINE, np.array(problems.target)))}


def test_the_splits_have_the_asked_rows_and_share_neither_puzzle_nor_solution(folder):
    splits = [open_split(folder, split) for split in SPLITS]
    assert [len(split) for split in splits] == [90, 30, 30] == rows_of(SIZE, SHARES)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not solution_classes(splits[one]) & solution_classes(splits[other])
        assert not set(splits[one].family.tolist()) & set(splits[other].family.tolist())
    assert audit(folder).findings == ()


def test_the_same_bytes_for_two_workers_and_after_an_interruption(folder, tmp_path, monkeypatch):
    build("sudoku-extreme", QUICK, tmp_path / "two", SIZE, shares=SHARES, workers=2)
    assert contents(tmp_path / "two") == contents(folder)
    honest, made = building._generate, []

    def interrupted(plan, work, number):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        return honest(plan, work, number)

    with monkeypatch.context() as patch:
        patch.setattr(building, "_generate", interrupted)
        with pytest.raises(RunError, match="the same command goes on"):
            build("sudoku-extreme", QUICK, tmp_path / "again", SIZE, shares=SHARES)
    build("sudoku-extreme", QUICK, tmp_path / "again", SIZE, shares=SHARES)
    assert contents(tmp_path / "again") == contents(folder)


def test_the_audit_finds_another_puzzle_with_a_solution_of_train_in_test(folder):
    task = building.discover.build_task("sudoku", {})
    train = open_split(folder, "train").take(slice(0, 1))
    prompt_1T = np.array(train.prompt)
    prompt_1T[0, np.flatnonzero(train.scored[0])[0]] = train.target[0, np.flatnonzero(train.scored[0])[0]]
    family_1 = task.canonical(prompt_1T)
    planted = replace(train, prompt=prompt_1T, scored=prompt_1T == formats.BLANK, family=family_1)
    assert family_1 != train.family
    manifest = building.prepare(folder, building.plan_of("sudoku-extreme", QUICK, SIZE, SHARES, 0))
    before = contents(folder)
    try:
        for name, (split, field) in FILES.items():
            if split == "test":
                array = np.load(folder / name)
                array[2] = getattr(planted, field)[0]
                np.save(folder / name, array)
        replace(manifest, sha256={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}).write(folder)
        assert audit(folder).findings == (f"{folder}, test: the kin belongs into another split: 1 row: 2",)
    finally:
        for name, content in before.items():
            (folder / name).write_bytes(content)


def test_sets_of_other_seeds_and_shares_keep_out_of_each_others_splits(folder, tmp_path):
    build("sudoku-extreme", QUICK, tmp_path / "test", 40, seed=1, shares=only("test"))
    assert not solution_classes(open_split(tmp_path / "test", "test")) & solution_classes(open_split(folder, "train"))
    assert audit(folder, tmp_path / "test").findings == ()


@pytest.mark.parametrize(("size", "shares", "rows"), [(10, (1, 0, 0), [10, 0, 0]), (1, (0.5, 0.5, 0), [1, 0, 0]), (100, (0.9, 0.05, 0.05), [90, 5, 5])])
def test_rows_are_whole_and_add_up(size, shares, rows):
    assert rows_of(size, shares) == rows


def test_exams_grow_on_islands_of_their_own_size_and_rows_say_on_which(folder):
    plan = read(folder).plan
    assert [sum(part[0] == split for part in building._layout(plan)) for split in SPLITS] == [3, 4, 4]
    test, rows = open_split(folder, "test"), np.array([0, 7, 8, 29])
    task, call_N = plan.build_task(), calls(plan, "test", rows)
    assert islands(task, test.take(rows), call_N).tolist() == [0, 0, 1, 3]
    assert islands(task, test.take(rows[1:]), call_N[1:]) is None, "one of each island: none resembles another"
    assert islands(task, test.take(rows), None) is None
    assert calls(replace(plan, source="a list"), "test", rows) is None
    assert calls(building.plan_of("sudoku", {}, 9, SHARES, 0), "test", rows) is None


def test_a_file_of_exported_problems_tells_its_islands_itself(folder):
    """So the file of a released model does, whatever the size of islands was when it grew; where it tells none, one island is all that may be said."""
    content = export(folder, "test", 20).decode()
    rows = independent(open_split(folder, "test"))[:20]
    assert exported_calls(content).tolist() == (rows // 8).tolist()
    assert len(content.split()) == 20
    assert exported_calls(content.replace("\n\n", "\n")).tolist() == [0] * 20


def test_automata_of_one_rule_are_one_island_whatever_call_they_are_from(tmp_path):
    """A model that knows half of the rules is right in as many problems of every chunk: only by rule does the interval tell how few rules were asked."""
    build("automaton", {"radius": 1, "width": 16}, tmp_path / "few", 600, shares=only("test"))
    exam = choose("automaton", {}, None, tmp_path, lambda *_: None, tmp_path / "few")
    _, rule_N = np.unique(exam.task.kin(exam.problems), return_inverse=True)
    assert len(np.unique(exam.island_N)) == rule_N.max() + 1 < 30 < len(rule_N)
    assert len(np.unique(np.stack([exam.island_N, rule_N]), axis=1).T) == rule_N.max() + 1, "the same islands"
    low, high = clustered(rule_N % 2 == 0, exam.island_N)
    assert high - low > 0.3
    assert np.diff(clustered(rule_N % 2 == 0, np.arange(len(rule_N)) // 8)) < 0.15
    build("automaton", {}, tmp_path / "many", 100, shares=only("test"))
    assert choose("automaton", {}, None, tmp_path, lambda *_: None, tmp_path / "many").island_N is None, "every problem has a rule of its own"


def test_a_set_that_was_built_before_exams_had_islands_of_their_own_keeps_its_hash(folder):
    manifest = read(folder)
    about = json.loads((folder / "manifest.json").read_bytes())
    del about["plan"]["exam_chunk"], about["hash"], about["package"], about["schema"]
    assert replace(manifest, plan=replace(manifest.plan, exam_chunk=0)).hash == hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    assert manifest.hash != replace(manifest, plan=replace(manifest.plan, exam_chunk=0)).hash
