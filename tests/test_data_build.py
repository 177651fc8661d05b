import json
import os
from pathlib import Path

import numpy as np
import pytest
import toy
from toy import installed

from bdh_reason.data import build as building
from bdh_reason.data.build import build, import_file
from bdh_reason.data.manifest import DTYPES, FILES
from bdh_reason.data.read import open_split
from bdh_reason.data.splits import SPLITS, only
from bdh_reason.errors import UserError
from bdh_reason.task import Problems

SIZE, CHUNKS = 300, 10  # nine chunks of 32 and one of 12
pytestmark = pytest.mark.usefixtures(installed.__name__, "_small_chunks")


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(building, "CHUNK", 32)


def die(*_args):
    os._exit(1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def whole(folder: Path) -> Problems:
    return Problems.concatenate([open_split(folder, split) for split in SPLITS])


def test_a_set_holds_what_the_generator_made_split_by_family(tmp_path):
    manifest = build("toy", {}, tmp_path / "set", SIZE, seed=3)
    task, problems = toy.Task(toy.Config()), whole(tmp_path / "set")
    parts = [task.generate(building.generator(3, "generate", index=i), 12 if i == CHUNKS - 1 else 32) for i in range(CHUNKS)]
    assert sorted(map(bytes, problems.prompt)) == sorted(map(bytes, Problems.concatenate(parts).prompt))
    assert task.verify(problems.prompt, problems.target).all()
    np.testing.assert_array_equal(problems.family, task.canonical(problems.prompt))
    families = {split: set(open_split(tmp_path / "set", split).family.tolist()) for split in SPLITS}
    assert not families["train"] & families["test"] | families["train"] & families["validation"] | families["validation"] & families["test"]
    assert manifest.rows == {split: len(open_split(tmp_path / "set", split)) for split in SPLITS}
    assert manifest.families == {split: len(families[split]) for split in SPLITS}


def test_repeated_families_are_counted_apart(tmp_path):
    manifest = build("toy", {"digits": 1}, tmp_path / "set", SIZE, shares=(0.5, 0.2, 0.3))
    assert sum(manifest.rows.values()) == SIZE
    assert sum(manifest.families.values()) == 10


def test_the_same_plan_gives_the_same_bytes_for_one_worker_and_two(tmp_path):
    one = build("toy", {}, tmp_path / "one", SIZE)
    two = build("toy", {}, tmp_path / "two", SIZE, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert one.hash == two.hash


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": SIZE + 1}, {"shares": (0.5, 0.25, 0.25)}, {"options": {"digits": 7}}])
def test_the_hash_depends_on_every_part_of_the_plan(tmp_path, change):
    plan = {"task": "toy", "options": {}, "size": SIZE, "seed": 0}
    assert build(folder=tmp_path / "a", **plan).hash != build(folder=tmp_path / "b", **{**plan, **change}).hash


def test_a_default_written_out_is_the_same_plan(tmp_path):
    assert build("toy", {}, tmp_path / "a", SIZE).hash == build("toy", {"digits": 6}, tmp_path / "b", SIZE).hash


def test_every_file_is_a_plain_array_and_nothing_else_is_left(tmp_path):
    build("toy", {}, tmp_path, SIZE)
    assert set(contents(tmp_path)) == {*FILES, "manifest.json"}
    for name, (_, field) in FILES.items():
        assert np.load(tmp_path / name).dtype == DTYPES[field]


def test_progress_ends_at_the_size(tmp_path):
    seen = []
    build("toy", {}, tmp_path, SIZE, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (0, SIZE)
    assert seen[-1] == (SIZE, SIZE)


def test_a_worker_that_dies_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_generate", die)
    with pytest.raises(UserError, match="a worker died"):
        list(building._in_processes("plan", "work", [3, 4], 2))


def test_what_the_generator_refuses_in_a_worker_reaches_the_user(tmp_path):
    with pytest.raises(UserError, match="modulus"):
        build("toy", {"modulus": 3}, tmp_path, SIZE, workers=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 0}, "size 0; allowed: 1 or more"),
        ({"workers": 0}, "workers 0"),
        ({"task": "toi"}, "unknown task 'toi'.*did you mean 'toy'"),
        ({"options": {"digit": 3}}, "unknown key 'digit' in the options of task toy.*did you mean 'digits'"),
        ({"options": {"digits": "x"}}, "digits = 'x'"),
        ({"shares": (1, 1, 1)}, "shares"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        build(**{"task": "toy", "options": {}, "folder": tmp_path / "set", "size": SIZE, **change})
    assert not (tmp_path / "set").exists()


def test_a_generator_that_gives_too_few_is_a_bug_of_the_task(tmp_path, monkeypatch):
    honest = toy.Task.generate
    monkeypatch.setattr(toy.Task, "generate", lambda self, rng, n: honest(self, rng, n - 1))
    with pytest.raises(ValueError, match="task toy generated 31 problems where 32 were asked for"):
        build("toy", {}, tmp_path, SIZE)


def test_an_imported_file_becomes_a_set_in_its_order(tmp_path):
    lines = [f"{number:06d}" for number in range(100)]
    (tmp_path / "file.txt").write_text("\n".join(lines), encoding="utf-8-sig")  # spreadsheets put a mark before the first line
    manifest = import_file("toy", {}, tmp_path / "file.txt", tmp_path / "set", only("test"))
    problems = open_split(tmp_path / "set", "test")
    assert [bytes(prompt).decode() for prompt in problems.prompt] == [f"{line}." for line in lines]
    assert manifest.plan.source.startswith("file.txt sha256:")
    assert import_file("toy", {}, tmp_path / "file.txt", tmp_path / "set", only("test")) == manifest
    with pytest.raises(UserError, match=r"split 'train' of .* has no rows; allowed: test"):
        open_split(tmp_path / "set", "train")


def test_an_imported_file_is_split_by_family(tmp_path):
    (tmp_path / "file.txt").write_text("\n".join(f"{number:06d}" for number in range(3000)))
    assert all(import_file("toy", {}, tmp_path / "file.txt", tmp_path / "set").rows.values())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"123456\n12345\n", "file.txt, line 2: '12345'; allowed: 6 digits"),
        (b"", "holds no problems"),
        (b"12\xff", "byte 2 is not UTF-8"),
        (None, "cannot read .*file.txt"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_written(tmp_path, content, words):
    if content is not None:
        (tmp_path / "file.txt").write_bytes(content)
    with pytest.raises(UserError, match=words):
        import_file("toy", {}, tmp_path / "file.txt", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_manifest_can_be_read_without_this_package(tmp_path):
    manifest = build("toy", {}, tmp_path, SIZE)
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert content["hash"] == manifest.hash
    assert content["plan"]["config"] == {"digits": 6, "modulus": 10}
    assert content["plan"]["task_version"] == toy.Task.version
