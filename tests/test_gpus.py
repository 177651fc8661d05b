"""`scale run` on several GPUs is one process for each, and all of the plan."""

import json
import os
import sys

import pytest
import torch
from click.testing import CliRunner
from test_suite import sizes
from toy import installed

from bdh_reason.cli import cli, options
from bdh_reason.evaluate.rows import read

pytestmark = pytest.mark.usefixtures(installed.__name__)
ARMS = {"one": {}, "two": {"model": {"options": {"n": 32}}}, "three": {"start": "joined", "model": {"options": {"n": 48}}}}


def test_several_gpus_share_the_cells_and_what_waited_for_another_is_done_last(tmp_path, monkeypatch, capfd):
    suite = json.loads((path := sizes(tmp_path)).read_text()) | {"axes": {"arm": ARMS}, "merges": {"joined": ["one", "two"]}, "seeds": [0]}
    path.write_text(json.dumps(suite))
    words = ["scale", "run", str(path), "--out", str(tmp_path / "runs"), "--data", str(tmp_path / "data"), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["bdh-reason", *words])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, [path or "." for path in sys.path])))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr("bdh_reason.cli.options.cards", lambda device: ["0", "1"])
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert (done.exit_code, done.stdout.splitlines()) == (0, [f"seed0/{arm} done" for arm in ("one", "two", "joined", "three")])
    assert len(capfd.readouterr().out.splitlines()) == 2 * 4, "each has said how it found them"
    rows = read([tmp_path / "runs" / "rows.jsonl"])
    assert sorted(row.model for row in rows if row.difficulty is None and row.depth == 1) == ["joined", "one", "three", "two"]
    suite["axes"]["arm"]["two"]["batch"] = 10_000
    path.write_text(json.dumps(suite))
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 1


def test_gpus_have_the_names_that_they_are_given(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert (options.cards("cuda"), options.cards("cpu")) == (["0", "1"], [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-7,-1,5")
    assert options.cards("cuda") == ["3", "GPU-7"]
