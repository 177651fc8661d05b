"""Runs in W&B, with the real client: offline runs read back by its own reader, online ones and pushed ones against a server on the loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import wandb
from click.testing import CliRunner
from PIL import Image
from test_dashboard import shown
from test_table import ROW
from test_train import interrupt, recipe, run
from toy import installed
from wandb_stub import Handler, Stub

from bdh_reason import tracking
from bdh_reason.cli import cli
from bdh_reason.compare.refill import log, told
from bdh_reason.errors import RunError, UserError
from bdh_reason.evaluate.rows import append
from bdh_reason.suite import run as suite
from bdh_reason.suite.plan import load_plan
from bdh_reason.train.tracking import Tracking

pytestmark = pytest.mark.usefixtures(installed.__name__)
KEY = "local-" + "a" * 40
HORIZONS = tuple(replace(ROW, task="toy", config={"digits": h}, horizon=h, arch="bdh", seed=0, exact_match=1 - h / 100, data_hash=f"{h}") for h in (4, 8, 16))
DEPTHS = tuple(replace(ROW, depth=depth, exact_match=depth / 100, n=n, arch="bdh", seed=0) for depth, n in ((16, 100), (64, 100), (64, 900)))
SLICE = replace(ROW, difficulty="hard", seed=0)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no settings and no files of whoever runs the tests; wandb reads its environment once, so it begins anew."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr("bdh_reason.train.tracking.EVERY", 2)
    wandb.teardown()
    yield
    assert "WANDB_MODE" not in os.environ
    wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with Stub() as stub:
        yield stub


def signed_in(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    wandb.teardown()


def command(*words: str) -> str:
    done = CliRunner().invoke(cli, ["dashboard", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def records(folder: Path) -> list[dict]:
    """What wandb's own reader finds in a run's folder."""
    (file,) = folder.glob("*.wandb")
    reader = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    return [json.loads(line) for line in subprocess.run(reader, capture_output=True, text=True, check=True).stdout.splitlines()]


def curves(server: Stub) -> dict[str, list[dict]]:
    """The history of every run but of tables, whose place is drawn at random."""
    return {name: [line for line in server.lines(name) if "rows" not in line] for name in server.runs}


def picture(*_: object) -> list[Image.Image]:
    return [Image.new("RGB", (3, 3))]


def test_a_run_in_two_slices_is_logged_offline_reads_back_and_is_pushed_as_one(tmp_path, monkeypatch, server, capsys):
    asked = Tracking("ladder", draw=picture)
    with monkeypatch.context() as patch:
        interrupt(5, patch)
        with pytest.raises(RunError, match="interrupted"):
            run(tmp_path / "run", tracking=asked)
    run(tmp_path / "run", tracking=asked)
    assert capsys.readouterr().err.count("W&B: logging offline") == 2
    first, second = tracking.unpushed([tmp_path])
    found = records(first)
    (about,) = [record["run"] for record in found if record["type"] == "run"]
    assert (about["project"], about["run_group"], about["job_type"]) == ("bdh-reason", "ladder", "train")
    config = about["config"]["update"]
    assert {name: config[name] for name in ("arch", "task", "seed", "match")} == {"arch": "bdh", "task": "toy", "seed": 0, "match": "none"}
    assert config["size"] == tracking.short(config["params"])
    axes = {
        record["metric"]["glob_name"]: record["metric"]["step_metric"] for record in found if record["type"] == "metric" and "step_metric" in record["metric"]
    }
    assert axes == tracking.AXES
    lines = [record["history"]["item"] for record in found if record["type"] == "history"]
    assert [(line["step"], line["problems_seen"]) for line in lines if "train/loss" in line] == [(2, 16), (4, 32), (6, 48)]
    of_training = {name for name in shown() if name.split("/")[0] in ("train", "validation", "throughput", "bdh")}
    assert of_training - {"validation/bits_per_byte"} <= {*lines[1]}, "what the dashboard shows is logged"
    assert set(lines[1]) >= {"train_flops", *lines[0]}
    assert sorted(record["artifact"]["type"] for record in found if record["type"] == "artifact") == ["dataset", "model"]

    signed_in(server, monkeypatch)
    assert "2 runs pushed" in command("sync", str(tmp_path))
    assert "0 runs pushed" in command("sync", str(tmp_path))
    (file,) = second.glob("*.wandb")
    os.utime(file, (time.time() + 1, time.time() + 1))
    assert tracking.unpushed([tmp_path]) == [second], "written since"
    (name,) = server.runs
    assert [line["step"] for line in server.lines(name) if "train/loss" in line] == [2, 4, 6, 8, 10]
    assert sorted({its["artifactTypeName"] for its in server.artifacts}) == ["dataset", "model"]
    uploads = " ".join(server.uploads)
    assert all(part in uploads for part in ("media/images/boards", "artifact/model.json", ".safetensors", "artifact/manifest.json"))
    assert (second.name.split("run-")[1] > first.name.split("run-")[1], server.runs[name]["exitcode"]) == (True, 0)


def test_a_connection_lost_in_mid_run_loses_no_row(tmp_path, monkeypatch, server):
    signed_in(server, monkeypatch)
    server.drop = 2
    run(tmp_path / "run", tracking=Tracking(online=True))
    (name,) = server.runs
    assert server.dropped == 2
    assert [line["step"] for line in server.lines(name) if "train/loss" in line] == [2, 4, 6, 8, 10]


def test_what_a_connection_lost_for_good_has_cut_is_pushed_later(tmp_path, monkeypatch, server):
    signed_in(server, monkeypatch)
    monkeypatch.setattr(tracking, "GIVE_UP", 1)
    server.drop = 10**6
    list(log(told(DEPTHS, "suite", "eval", "p", None)[:1], tmp_path, "online"))
    (name,) = server.runs
    assert server.lines(name) == []
    server.drop = 0
    assert tracking.unpushed([tmp_path]) == []
    assert "1 runs pushed" in command("sync", str(tmp_path), "--unfinished")
    assert [line["depth"] for line in server.lines(name)] == [16, 64]


def test_a_line_that_is_no_row_is_named_and_the_others_become_runs(tmp_path, server):
    append(tmp_path / "suite.jsonl", [*HORIZONS, *DEPTHS])
    with (tmp_path / "suite.jsonl").open("a") as file:
        file.write('{"half\n')
    with pytest.raises(UserError, match=r"suite\.jsonl, line 7 is no row"):
        command("refill", "suite.jsonl")
    assert len(tracking.unpushed([tmp_path])) == 3


def test_the_same_rows_make_the_same_runs_however_often(tmp_path, monkeypatch, server):
    append(tmp_path / "suite.jsonl", [*HORIZONS, *DEPTHS, SLICE])
    for _ in range(2):
        assert "3 runs in group suite, offline" in command("refill", "suite.jsonl")
    assert len(tracking.unpushed([tmp_path])) == 3
    signed_in(server, monkeypatch)
    assert "3 runs pushed" in command("sync")
    pushed = curves(server)
    assert "3 runs in group suite" in command("refill", "suite.jsonl", "--online")
    assert curves(server) == pushed
    jobs = {server.config(name).get("task"): (server.runs[name]["jobType"], server.runs[name]["groupName"]) for name in server.runs}
    assert jobs == {"toy": ("eval", "suite"), "sudoku": ("eval", "suite"), None: ("report", "suite")}
    by_task = {server.config(name).get("task"): name for name in server.runs}
    assert [(line["horizon"], line["horizon/exact_match"]) for line in pushed[by_task["toy"]]] == [(4, 0.96), (8, 0.92), (16, 0.84)]
    assert [(line["depth"], line["depth/exact_match"], line["depth/n"]) for line in pushed[by_task["sudoku"]]] == [(16, 0.16, 100), (64, 0.64, 900)]
    assert server.runs[by_task["toy"]]["summary"]["eval/H90"] == 8
    assert server.runs[by_task["sudoku"]]["summary"]["eval/exact_match"] == 0.64
    (table,) = {content for name, content in server.uploads.items() if "media/table/rows" in name}
    assert len(json.loads(table)["data"]) == 7, "slices too"


def test_a_dashboard_saved_again_is_changed_and_not_doubled(monkeypatch, server):
    signed_in(server, monkeypatch)
    assert all("/me/p" in command("--project", "p") for _ in range(2))
    (view,) = server.views.values()
    assert (view["projectName"], view["type"]) == ("p", "project-view")
    assert json.loads(view["spec"])["section"]["panelBankConfig"]["sections"][0]["name"] == "Accuracy"
    monkeypatch.setattr(Stub, "on_UpsertView2", lambda *_: {"upsertView": None})
    with pytest.raises(RunError, match="did not take the dashboard"):
        command("--project", "p")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "sudoku4", "--online"],
        ["suite", "run", "suite-small", "--online"],
        ["scale", "run", "small", "--online"],
        ["dashboard", "--online"],
        ["dashboard", "refill", __file__, "--online"],
    ],
)
def test_online_without_a_key_is_refused_before_anything_is_done(words, tmp_path):
    error = CliRunner().invoke(cli, words).exception
    assert isinstance(error, UserError)
    assert "--online without an API key" in str(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == []


@pytest.mark.parametrize("online", [True, False])
def test_a_suite_logs_its_trainings_as_it_was_asked(online, tmp_path, monkeypatch):
    logs = []

    def train(*args):
        logs.append(args[-1])
        raise ValueError("enough")

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(suite, "splits", lambda *_: None)
    monkeypatch.setattr(suite, "train", train)
    places = suite.Places(*(tmp_path / name for name in ("runs", "data", "rows.jsonl", "probes.jsonl")))
    assert next(suite.run(load_plan("suite-small"), places, "cpu", None, lambda *_: None, online))[1] == "failed"
    assert [(log.group, log.online) for log in logs] == [("runs", online)]


def test_rows_wait_for_a_server_that_does_not_take_the_key(tmp_path, monkeypatch, server):
    signed_in(server, monkeypatch)
    monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", Handler.refuse)
    with pytest.raises(RunError, match="does not answer"):
        list(log(told(DEPTHS, "suite", "eval", "p", None), tmp_path, "online"))


def test_training_that_must_be_online_does_not_begin_without_an_answer_and_leaves_what_lies_there(tmp_path, monkeypatch, server):
    run(tmp_path / "run", recipe(steps=2))
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json")}
    signed_in(server, monkeypatch)
    monkeypatch.setattr(server.server.RequestHandlerClass, "do_POST", Handler.refuse)
    for folder, resume in (("run", False), ("new", True)):
        with pytest.raises(UserError, match="--online, but W&B does not take the run"):
            run(tmp_path / folder, tracking=Tracking(online=True), resume=resume)
        assert {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json")} == before
    assert len(tracking.unpushed([tmp_path])) == 1, "only the run that was asked to be offline"


def test_an_empty_mode_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "")
    run(tmp_path / "run", recipe(steps=1))
    assert len(tracking.unpushed([tmp_path])) == 1


def test_the_mode_is_what_the_environment_says_and_the_key_allows(tmp_path, monkeypatch):
    assert tracking.mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + KEY)
    assert tracking.mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking.mode() == "disabled"
    with pytest.raises(UserError, match="--online while WANDB_MODE=disabled"):
        tracking.mode(online=True)
    monkeypatch.delenv("WANDB_MODE")
    assert [tracking.short(count) for count in (0, 98_624, 25_296_896, 10**9)] == ["0", "98.6k", "25.3M", "1B"]
