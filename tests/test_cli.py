"""The command line through its real entry point: exit codes, messages, and that standard output holds what it should."""

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from bdh_reason.cli import cli, main

ROOT = Path(__file__).parent.parent
TINY = ("--set", "steps=3", "--set", "batch=4", "--set", "data.size=400", "--set", "validation.problems=8", "--set", "validation.depth=2")


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def bdh_reason(*words: str, cwd: Path) -> Done:
    """Runs the program's own entry point in this process, which saves it the start of Python and torch."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["bdh-reason", *words])
        patch.setenv("WANDB_MODE", "disabled")
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a tiny trained 4×4 model in it."""
    folder = tmp_path_factory.mktemp("home")
    done = bdh_reason("train", "sudoku4", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 3
    assert "validation exact_match" in done.stderr
    return folder


def test_eval_prints_rows_and_nothing_else_and_adds_them_to_a_file(home):
    done = bdh_reason(
        *("eval", "--model", "runs/sudoku4", "--model", "chance", "--model", "oracle", "--depth", "1,2", "--limit", "20", "--json", "--rows", "rows.jsonl"),
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (home / "rows.jsonl").read_text() == done.stdout
    whole = {(row["model"], row["depth"]): row for row in rows if row["difficulty"] is None}
    assert set(whole) == {("sudoku4", 1), ("sudoku4", 2), ("chance", None), ("oracle", None)}
    assert all(0 < row["n"] <= 20 and row["ci_low"] <= row["exact_match"] <= row["ci_high"] for row in whole.values())
    assert whole["oracle", None]["exact_match"] == 1
    assert whole["sudoku4", 2]["flops_per_problem"] > whole["sudoku4", 1]["flops_per_problem"] > 0
    table = bdh_reason("table", "rows.jsonl", cwd=home)
    assert sum(line.startswith("| sudoku") for line in table.stdout.splitlines()) == len(rows)
    assert "Wilson" in table.stdout


def test_greedy_answers_byte_by_byte(home):
    done = bdh_reason("eval", "--model", "runs/sudoku4", "--depth", "1", "--mode", "greedy", "--limit", "4", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["mode"] == "greedy"


def test_a_file_of_puzzles_is_evaluated(home):
    (home / "mine.txt").write_text(puzzle(home) + "\n")
    done = bdh_reason("eval", "--model", "runs/sudoku4", "--puzzles", "mine.txt", "--depth", "2", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["split"] == "mine.txt"


def puzzle(home: Path) -> str:
    """A puzzle of the test split."""
    (folder,) = (home / "datasets").iterdir()
    shown = bdh_reason("data", "show", str(folder), cwd=home)
    return str(json.loads(shown.stdout.splitlines()[-1])["prompt"])


def test_solve_shows_boards_and_the_verdict_of_the_rules(home):
    done = bdh_reason("solve", "--model", "runs/sudoku4", "--depth", "3", puzzle(home), cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("╔") == 3
    assert re.findall(r"step (\d) of 3 · the reply (?:obeys|breaks) the rules", done.stdout) == ["1", "2", "3"]


def test_solve_writes_its_pictures(home):
    done = bdh_reason("solve", "--model", "runs/sudoku4", "--depth", "3", "--gif", "a.gif", "--html", "a.html", "--film", "a.json", puzzle(home), cwd=home)
    assert done.returncode == 0, done.stderr
    assert (home / "a.gif").read_bytes().startswith(b"GIF89a")
    assert "sudoku4 on sudoku" in (home / "a.html").read_text()
    film = json.loads((home / "a.json").read_text())
    assert (film["about"]["model"], film["about"]["depth"], len(film["captions"])) == ("sudoku4", 3, 4)


def test_an_autopsy_prints_a_line_for_each_failure_and_a_summary(home):
    done = bdh_reason("autopsy", "runs/sudoku4", "--depth", "2", "--limit", "8", cwd=home)
    assert done.returncode == 0, done.stderr
    failures = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr.startswith(f"{len(failures)} of ")


def test_data_is_exported_as_lines_that_can_be_read_again(home):
    (folder,) = (home / "datasets").iterdir()
    done = bdh_reason("data", "export", str(folder), "--limit", "3", "--out", "three.txt", cwd=home)
    count = json.loads(done.stdout)["problems"]
    assert json.loads(bdh_reason("data", "rate", "three.txt", "--set", "box=[2,2]", cwd=home).stdout)["rows"] == count


def test_data_is_built_audited_rated_and_imported(home):
    built = bdh_reason("data", "build", "sudoku", "--set", "box=[2,2]", "--size", "50", "--only", "test", "--out", "built", cwd=home)
    assert json.loads(built.stdout)["rows"] == {"train": 0, "validation": 0, "test": 50}
    assert bdh_reason("data", "audit", "built", cwd=home).returncode == 0
    (home / "list.txt").write_text(puzzle(home) + "\n")
    assert json.loads(bdh_reason("data", "rate", "list.txt", "--set", "box=[2,2]", cwd=home).stdout)["rows"] == 1
    imported = bdh_reason("data", "import", "list.txt", "--set", "box=[2,2]", "--only", "test", "--out", "imported", cwd=home)
    assert json.loads(imported.stdout)["rows"]["test"] == 1


def test_an_audit_that_finds_something_exits_with_1(home):
    bdh_reason("data", "build", "sudoku", "--set", "box=[2,2]", "--size", "50", "--out", "leaky", cwd=home)
    path = home / "leaky" / "train.target.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 3
    path.write_bytes(content)
    done = bdh_reason("data", "audit", "leaky", cwd=home)
    assert done.returncode == 1
    assert "SHA-256" in done.stdout
    assert "breaks the rules" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "sudoku7"), "unknown recipe 'sudoku7'"),
        (("train", "sudoku4", "--set", "stepz=1"), "did you mean 'steps'"),
        (("train", "sudoku4", "--set", "steps"), "key=value"),
        (("train", "sudoku4", "--set", "model.name=bhd"), "did you mean 'bdh'"),
        (("train", "sudoku4", "--max-time", "soon"), "e.g. 9m"),
        (("train", "sudoku4", *TINY, "--set", "batch=5"), "another recipe"),
        (("train", "sudoku4", *TINY, "--set", "data.folder=nowhere"), "another recipe"),  # said before there are data
        (("train", "sudoku4", "--device", "tpu"), "auto, cpu or cuda"),
        (("eval", "--task", "sudokku"), "unknown task 'sudokku'"),
        (("eval", "--task", "sudokku", "--model", "chance", "--data", "x"), "no data set in x"),
        (("eval", "--model", "runs/nothing"), "unknown model 'runs/nothing'"),
        (("eval", "--model", "runs/sudoku4", "--depth", "deep"), "numbers with commas"),
        (("eval", "--model", "runs/sudoku4", "--depth", "0"), "from 1"),
        (("eval", "--model", "runs/sudoku4", "--mode", "slow"), "allowed: greedy, in_place, restarts"),
        (("eval", "--model", "runs/sudoku4", "--mode", "restarts"), "without --restarts"),
        (("autopsy", "runs/sudoku4", "--sure", "2"), "a probability"),
        (("autopsy", "chance"), "chance is a guess"),
        (("solve", "--model", "runs/sudoku4", "--gif", "a.png", "12"), "the name of a .gif file"),
        (("solve", "--model", "runs/sudoku4", "--html", "no/a.html", "12"), "no folder no"),
        (("solve", "--model", "runs/sudoku4", "--gif", "/proc/a.gif", "12"), "cannot write to /proc/a.gif"),
        (("solve", "--model", "runs/sudoku4", "--film", "/proc/a.json", "12"), "cannot write to /proc/a.json"),
        (("probe", "runs/nothing", "--out", "/proc/probe"), "cannot write to /proc/probe/rows.jsonl"),
        (("solve", "--model", "runs/sudoku4", "--delay", "-1", "12"), "0 to 60 seconds"),
        (("solve", "--model", "runs/sudoku4", "--delay", "nan", "12"), "0 to 60 seconds"),
        (("solve", "--model", "chance", "12"), "chance is a guess; allowed: a trained model"),
        (("eval", "--model", "runs/sudoku4", "--split", "all"), "unknown split 'all'"),
        (("eval", "--model", "runs/sudoku4", "--rows", "runs"), "cannot write to runs"),
        (("eval", "--model", "chance"), "a guess and no problems"),
        (("eval", "--model", "runs/sudoku4", "--puzzles", "nothing.txt"), "cannot read nothing.txt"),
        (("solve", "--model", "runs/sudoku4", "12"), "line 1"),
        (("solve", "--model", "runs/sudoku4", "11.............."), "contradict"),
        (("solve", "--model", "runs/sudoku4", "................"), "several solutions"),
        (("solve", "--model", "runs/sudoku4", "12a............."), "line 1"),
        (("data", "build", "sudoku", "--size", "0", "--out", "x"), "1 or more"),
        (("data", "build", "sudoku", "--size", "9", "--out", "x", "--shares", "1,2"), "three numbers"),
        (("data", "build", "sudoku", "--size", "9", "--out", "x", "--shares", "1,0,0", "--only", "test"), "one of the two"),
        (("data", "export", "x", "--out", "."), "is a folder"),
        (("data", "audit", "nothing"), "no data set in nothing"),
        (("bench", "boards", "--puzzles", "runs"), "--puzzles with a task"),
        (("bench", "soduku"), "did you mean 'sudoku'"),
        (("report",), "no files of rows"),
        (("table",), "no files of rows"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(home, words, message):
    done = bdh_reason(*words, cwd=home)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_exam_that_fails_leaves_no_file_and_no_folder_behind(home):
    for words in (("eval", "--model", "chance", "--rows", "later/rows.jsonl"), ("probe", "runs/nothing", "--out", "later/probe")):
        assert bdh_reason(*words, cwd=home).returncode == 2
    assert not (home / "later").exists()


def test_a_report_that_cannot_be_written_is_told_before_rows_are_read(tmp_path):
    (tmp_path / "results" / "README.md").mkdir(parents=True)
    (tmp_path / "rows.jsonl").write_text("no row")
    done = bdh_reason("report", "rows.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write to results/README.md" in done.stderr


def test_a_fresh_process_ends_with_the_same_codes(home):
    for words, code in ((("--help",), 0), (("train", "sudoku7"), 2), (("eval", "--limit", "0"), 2)):
        done = subprocess.run([sys.executable, "-m", "bdh_reason", *words], capture_output=True, text=True, cwd=home, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_checkpoint_cut_short_is_refused(home):
    copy = home / "runs" / "cut"
    copy.mkdir()
    for path in (home / "runs" / "sudoku4").glob("model*"):
        (copy / path.name).write_bytes(path.read_bytes()[: -1 if path.suffix == ".safetensors" else None])
    done = bdh_reason("eval", "--model", "runs/cut", cwd=home)
    assert done.returncode == 2
    assert "cut short" in done.stderr


def test_doctor_tasks_and_models_answer(home):
    assert "torch" in bdh_reason("doctor", cwd=home).stdout
    assert "sudoku" in bdh_reason("tasks", cwd=home).stdout
    names = {json.loads(line)["name"] for line in bdh_reason("models", "--json", cwd=home).stdout.splitlines()}
    assert {"bdh", "transformer", "chance", "copy", "oracle"} <= names


def test_the_options_of_every_command_are_the_known_ones():
    snapshot = json.loads((ROOT / "tests" / "golden" / "cli.json").read_text())
    assert {name: sorted(option for parameter in command.params for option in parameter.opts) for name, command in commands(cli).items()} == snapshot


def commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    """Every command by its whole name."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found |= commands(command, f"{path}{name} ") if isinstance(command, click.Group) else {f"{path}{name}": command}
    return found


def test_a_file_of_something_else_is_not_told_line_by_line(tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"word {number}\n" for number in range(50)))
    done = bdh_reason("table", "words.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "words.txt, line 20 is no row" in done.stderr
    assert "line 21" not in done.stderr
    assert done.stderr.endswith("and 30 more\n")
