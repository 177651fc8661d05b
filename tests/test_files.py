"""A folder is one process's at a time, whoever it is that dies in it."""

import errno
import subprocess
import sys

import pytest

from bdh_reason.errors import UserError
from bdh_reason.files import alone, writable

IN = "import sys, time; from pathlib import Path; from bdh_reason.files import alone\n"


def another(folder, then):
    """Another process that is in the folder by now, and what it does `then`."""
    code = f"{IN}with alone(Path(sys.argv[1]), wait=False):\n    print('in', flush=True)\n    {then}"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"in\n"
    return process


def test_who_comes_second_is_refused_or_waits_and_says_so(tmp_path):
    with another(tmp_path / "run", "sys.stdin.read()") as first:
        with pytest.raises(UserError, match="another process is at work in"), alone(tmp_path / "run", wait=False):
            pytest.fail("two at once")
        with another(tmp_path / "other", "sys.stdin.read()") as second:
            second.stdin.close()
        first.stdin.close()
        with alone(tmp_path / "run", wait=True):
            assert first.wait() == 0
    with alone(tmp_path / "run", wait=False):
        pass
    assert list((tmp_path / "run").iterdir()) == [], "nothing is left behind"


def test_one_who_waits_is_told_and_one_who_is_killed_lets_go(tmp_path):
    with another(tmp_path, "time.sleep(600)") as first:
        waiting = subprocess.Popen([sys.executable, "-c", f"{IN}with alone(Path(sys.argv[1]), wait=True): print('mine')", str(tmp_path)], stdout=-1, stderr=-1)
        assert waiting.stderr.readline().startswith(b"waiting for another process that is at work in")
        first.kill()
        assert waiting.communicate()[0] == b"mine\n"


def test_where_there_are_no_holds_nobody_is_kept_out(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", none)
    with alone(tmp_path, wait=False), alone(tmp_path, wait=True):
        pass


def test_whether_a_file_can_be_written_is_known_without_a_trace(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path in ("file", "new", "no/folder/yet"):
        writable(tmp_path / path)
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=f"cannot write to {path}"):
            writable(path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match="cannot write to"), alone(place, wait=True):
            pytest.fail("there is no such folder")
