import json

import numpy as np
import pytest
import toy
from toy import installed

from bdh_reason.data.build import build
from bdh_reason.data.manifest import FILES, SCHEMA, read
from bdh_reason.data.read import open_split, show
from bdh_reason.errors import UserError

SIZE = 400
pytestmark = pytest.mark.usefixtures(installed.__name__)


@pytest.fixture
def folder(tmp_path):
    build("toy", {}, tmp_path, SIZE)
    return tmp_path


def _edit_manifest(folder, change):
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def test_a_split_is_mapped_and_cannot_be_written_to(folder):
    problems = open_split(folder, "train")
    assert isinstance(problems.prompt, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        problems.prompt[0] = 0


def test_what_is_read_is_what_was_written(folder):
    manifest = read(folder)
    assert manifest == build("toy", {}, folder, SIZE)
    assert sum(len(open_split(folder, split)) for split in manifest.rows) == SIZE


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_shortened_file_is_named_whatever_split_is_opened(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name} has \d+ bytes; allowed: \d+ bytes"):
        open_split(folder, "train")
    path.unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        open_split(folder, "test")


def test_an_array_with_a_damaged_header_is_refused(folder):
    path = folder / "train.prompt.npy"
    path.write_bytes(path.read_bytes().replace(b"'|u1'", b"'|i1'"))
    with pytest.raises(UserError, match=r"train.prompt.npy is int8 .*; allowed: uint8, \d+ rows"):
        open_split(folder, "train")
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(UserError, match=r"train.prompt.npy is no array"):
        open_split(folder, "train")


def test_another_schema_version_is_refused(folder):
    _edit_manifest(folder, lambda content: content.update(schema=SCHEMA + 1))
    with pytest.raises(UserError, match=f"schema version {SCHEMA + 1}; allowed: {SCHEMA}.*; build the data again"):
        open_split(folder, "train")


def test_another_version_of_the_task_is_refused(folder, monkeypatch):
    monkeypatch.setattr(toy.Task, "version", "2")
    with pytest.raises(UserError, match=r"data of toy@1; allowed: toy@2"):
        open_split(folder, "train")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["plan"].update(seed=1),
        lambda content: content["rows"].update(train=1),
        lambda content: content["sha256"].update({"test.prompt.npy": "0"}),
        lambda content: content.update(hash="0"),
        lambda content: content.pop("hash"),
        lambda content: content.pop("plan"),
        lambda content: content.pop("schema"),
        lambda content: content.update(more=1),
        lambda content: content["plan"].update(more=1),
    ],
)
def test_an_edited_manifest_is_refused(folder, change):
    _edit_manifest(folder, change)
    with pytest.raises(UserError, match=r"manifest.json is damaged or was edited"):
        open_split(folder, "train")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_manifest_that_is_cut_short_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest.json is damaged"):
        read(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no data set in .*nothing; allowed: a folder with manifest.json"):
        open_split(tmp_path / "nothing", "train")


def test_an_unknown_split_is_refused(folder):
    with pytest.raises(UserError, match=r"unknown split 'valid'.*did you mean 'validation'"):
        open_split(folder, "valid")


def test_show_tells_all_about_one_problem(folder):
    shown = show(folder, "test", 3)
    problems = open_split(folder, "test")
    assert shown["prompt"].encode() == bytes(problems.prompt[3])
    assert shown["picture"] == f"{shown['prompt']} -> {shown['target']}"
    assert shown["family"] == f"{problems.family[3]:016x}"
    assert shown["blanks"] == 1
    json.dumps(shown)


@pytest.mark.parametrize("row", [-1, SIZE])
def test_show_refuses_a_row_that_is_not_there(folder, row):
    with pytest.raises(UserError, match=rf"row {row} of split 'test'; allowed: 0 to"):
        show(folder, "test", row)
