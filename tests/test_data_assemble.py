import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st
from toy import installed

from bdh_reason.data import build as building
from bdh_reason.data.assemble import load, save
from bdh_reason.data.build import build
from bdh_reason.data.manifest import FILES, read
from bdh_reason.data.read import open_split
from bdh_reason.data.splits import SPLITS
from bdh_reason.errors import RunError, UserError
from bdh_reason.rng import generator
from bdh_reason.task import Problems

SIZE, CHUNKS = 300, 10  # nine chunks of 32 and one of 12
pytestmark = pytest.mark.usefixtures(installed.__name__, "_small_chunks")


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(building, "CHUNK", 32)


def interrupt(*_args, **_options):
    raise KeyboardInterrupt


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def whole(folder: Path) -> Problems:
    return Problems.concatenate([open_split(folder, split) for split in SPLITS])


@pytest.mark.parametrize("at", range(CHUNKS))
def test_a_build_stopped_in_any_chunk_continues_to_the_same_set(tmp_path, monkeypatch, at):
    wanted = build("toy", {}, tmp_path / "wanted", SIZE).hash
    honest, calls = toy.Task.generate, []

    def generate(self, rng, n):
        calls.append(n)
        if len(calls) == at + 1:
            raise KeyboardInterrupt
        return honest(self, rng, n)

    monkeypatch.setattr(toy.Task, "generate", generate)
    with pytest.raises(RunError, match="the same command goes on"):
        build("toy", {}, tmp_path / "set", SIZE)
    with pytest.raises(UserError, match="interrupted; run the same build again"):
        open_split(tmp_path / "set", "train")
    assert build("toy", {}, tmp_path / "set", SIZE).hash == wanted
    assert len(calls) == CHUNKS + 1, "finished chunks are made once"


def test_a_build_stopped_at_any_rename_continues_to_the_same_set(tmp_path, monkeypatch):
    wanted = build("toy", {}, tmp_path / "wanted", SIZE)
    renames = 1 + CHUNKS + len(FILES) + 1  # the plan, the chunks, the arrays, the manifest
    honest = os.replace
    for stop in range(renames):
        calls = []

        def replace(source, target, stop=stop, calls=calls):
            calls.append(target)
            if len(calls) == stop + 1:
                raise KeyboardInterrupt
            honest(source, target)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(RunError, match="the same command goes on"):
            build("toy", {}, tmp_path / f"{stop}", SIZE)
        monkeypatch.setattr(os, "replace", honest)
        with pytest.raises(UserError, match="interrupted"):
            read(tmp_path / f"{stop}")
        assert build("toy", {}, tmp_path / f"{stop}", SIZE) == wanted
        assert contents(tmp_path / f"{stop}") == contents(tmp_path / "wanted")


def test_a_build_stopped_before_the_work_folder_was_cleared_is_whole(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", interrupt)
        with pytest.raises(RunError, match="the same command goes on"):
            build("toy", {}, tmp_path, SIZE)
    assert len(whole(tmp_path)) == SIZE
    build("toy", {}, tmp_path, SIZE)
    assert set(contents(tmp_path)) == {*FILES, "manifest.json"}


def test_a_set_that_lost_its_manifest_is_built_again(tmp_path):
    wanted = build("toy", {}, tmp_path, SIZE)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match="no data set"):
        open_split(tmp_path, "train")
    assert build("toy", {}, tmp_path, SIZE) == wanted


def test_a_finished_set_that_was_damaged_is_not_taken_for_the_result(tmp_path):
    build("toy", {}, tmp_path, SIZE)
    (tmp_path / "test.family.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"test.family.npy has 0 bytes.*remove the folder and build the data again"):
        build("toy", {}, tmp_path, SIZE)


def _kept_after_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    with monkeypatch.context() as patch:
        patch.setattr(building, "assemble", interrupt)
        with pytest.raises(RunError, match="the same command goes on"):
            build("toy", {}, folder, SIZE)
    return sorted((folder / "building").glob("*.chunk"))


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:99] + bytes([raw[99] ^ 1]) + raw[100:]]
)
def test_a_damaged_chunk_is_made_again(tmp_path, monkeypatch, damage):
    wanted = build("toy", {}, tmp_path / "wanted", SIZE)
    chunk = _kept_after_interruption(tmp_path / "set", monkeypatch)[4]
    chunk.write_bytes(damage(chunk.read_bytes()))
    assert build("toy", {}, tmp_path / "set", SIZE) == wanted


@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_flipped_byte_of_a_chunk_is_noticed(tmp_path_factory, position, flip):
    path = tmp_path_factory.getbasetemp() / "flipped.chunk"
    save(path, toy.Task(toy.Config()).generate(generator(0, "test"), 20))
    assert load(path) is not None
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] ^= flip
    path.write_bytes(raw)
    assert load(path) is None


@pytest.mark.parametrize(("workers", "finished", "ending"), [(1, 4, signal.SIGKILL), (2, CHUNKS - 1, signal.SIGKILL), (2, CHUNKS - 1, signal.SIGINT)])
def test_a_killed_build_continues_to_the_same_set(tmp_path, workers, finished, ending, request):
    wanted = build("toy", {}, tmp_path / "wanted", SIZE)
    code = f"""
from pathlib import Path
from bdh_reason.data import build
build.CHUNK = 32
if __name__ == "__main__":
    build.build("toy", {{}}, Path({str(tmp_path / "set")!r}), {SIZE}, workers={workers})
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    path = os.pathsep.join([str(request.getfixturevalue(installed.__name__)), str(Path(__file__).parent), str(Path(__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "TOY_HANGS": str(tmp_path / "marker")}
    with subprocess.Popen([sys.executable, script], env=environment, start_new_session=True, stderr=subprocess.PIPE) as process:
        while len(list((tmp_path / "set" / "building").glob("*.chunk"))) < finished:
            assert process.poll() is None
        if ending == signal.SIGINT:
            os.killpg(process.pid, ending)  # as a terminal does: the workers get it too
        else:
            process.send_signal(ending)
        _, errors = process.communicate(timeout=30)  # ends when the workers have let go of the pipe too: they do not outlive their parent
    assert errors.count(b"Traceback") == (ending == signal.SIGINT), "only the build itself speaks of the interruption"
    with pytest.raises(UserError, match="interrupted"):
        open_split(tmp_path / "set", "train")
    assert build("toy", {}, tmp_path / "set", SIZE) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"size": 99}, "size is 300 there and 99 here"),
        ({"options": {"digits": 7}}, "config is"),
        ({"shares": (0.8, 0.1, 0.1)}, "shares"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_plan_in_the_folder_is_refused_with_the_difference(tmp_path, monkeypatch, change, words, finished):
    plan = {"task": "toy", "options": {}, "folder": tmp_path, "size": SIZE, "seed": 0}
    if finished:
        build(**plan)
    else:
        _kept_after_interruption(tmp_path, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(UserError, match=words):
        build(**{**plan, **change})
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"holds other files: thesis.tex"):
        build("toy", {}, tmp_path, SIZE)
    assert contents(tmp_path) == {"thesis.tex": b""}


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file.set.*what is finished is kept"):
        build("toy", {}, tmp_path / "file" / "set", SIZE)


@pytest.mark.parametrize("limit", [100, 1_000, 5_000])  # bytes a file: the plan, a chunk, an array is too long
def test_a_full_disk_is_the_users_error_and_leaves_no_set(tmp_path, limit):
    wanted = build("toy", {}, tmp_path / "wanted", 2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # writing past it fails as it does on a full disk
    try:
        with pytest.raises(UserError, match=r"cannot write to .*enough space"):
            build("toy", {}, tmp_path / "set", 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(UserError):
        open_split(tmp_path / "set", "train")
    assert build("toy", {}, tmp_path / "set", 2000) == wanted
