"""Copies of a command are one command: one exit code, and signals reach all."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bdh_reason import copies

HERE = str(Path(__file__).parents[1])

# what each copy does is in WHAT, its number in MINE
COPY = """
import os, sys, time
what, _, code = os.environ["WHAT"].partition(":")
print(os.environ["MINE"], what, *sys.argv[1:], flush=True)
if what == "exit":
    sys.exit(int(code))
time.sleep(60)
"""


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """`python -m bdh_reason` is COPY."""
    (tmp_path / "bdh_reason").mkdir()
    (tmp_path / "bdh_reason" / "__init__.py").touch()
    (tmp_path / "bdh_reason" / "__main__.py").write_text(COPY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bdh-reason", "train", "x"])


def run(*whats, together=True):
    return copies.run([{"MINE": str(number), "WHAT": what} for number, what in enumerate(whats)], together)


def test_the_highest_exit_code_is_that_of_all_and_what_they_say_passes_through(copied, capfd):
    assert run("exit:0", "exit:0") == 0
    assert run("exit:2", "exit:0", "exit:1", together=False) == 2
    assert "0 exit train x" in capfd.readouterr().out.splitlines()


def test_of_copies_that_work_together_one_that_fails_ends_all_and_its_code_counts(copied):
    assert run("wait", "exit:2") == 2


def test_one_that_does_not_end_when_told_is_killed(copied, monkeypatch):
    sent = []

    def send(process, kind):
        sent.append(kind)
        if kind == signal.SIGKILL:
            os.kill(process.pid, kind)

    monkeypatch.setattr(copies, "GRACE", 0.1)
    monkeypatch.setattr(subprocess.Popen, "send_signal", send)
    assert run("wait", "exit:2") == 2
    assert sent == [signal.SIGTERM, signal.SIGKILL]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handed_on_to_all(kind, copied, capfd):
    def when_both_wait():
        said = ""
        while said.count("wait") < 2:
            time.sleep(0.05)
            said += capfd.readouterr().out
        os.kill(os.getpid(), kind)

    before = signal.getsignal(kind)
    (thread := threading.Thread(target=when_both_wait)).start()
    assert run("wait", "wait", together=False) == 128 + kind
    thread.join()
    assert signal.getsignal(kind) is before


def works(process):
    """Whether a process is there and not only waits for somebody to take its exit code."""
    try:
        return (Path("/proc") / process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_no_copy_outlives_a_parent_that_is_killed(copied, tmp_path):
    begin = "import sys; from bdh_reason import copies; copies.run([{'MINE': '0', 'WHAT': 'wait'}, {'MINE': '1', 'WHAT': 'wait'}], True)"
    environment = {**os.environ, "PYTHONPATH": HERE}
    with (tmp_path / "said").open("w") as said, subprocess.Popen([sys.executable, "-P", "-c", begin], stdout=said, env=environment) as parent:
        while (tmp_path / "said").read_text().count("wait") < 2:
            time.sleep(0.05)
        children = (Path("/proc") / str(parent.pid) / "task" / str(parent.pid) / "children").read_text().split()
        parent.kill()
    assert len(children) == 2
    while any(works(child) for child in children):
        time.sleep(0.05)
