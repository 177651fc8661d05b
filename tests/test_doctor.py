"""Whatever is amiss has a line that says what to do."""

import importlib.metadata
import shutil
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from bdh_reason import doctor
from bdh_reason.cli import cli
from bdh_reason.errors import RunError


def lines():
    return "\n".join(doctor.findings())


def test_a_sound_installation_has_nothing_that_must_be_done():
    result = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("bdh-reason", "torch", "CPU:", "GPU", "several processes: gloo", "C++ compiler", "free disk", "W&B"):
        assert word in result.output


@pytest.mark.parametrize("package", ["lightning", "pytorch-lightning"])
@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_releases_that_steal_are_named_and_fail(package, version, monkeypatch):
    found = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == package else found(name))
    assert f"{package} {version} · BAD: this release steals credentials: rotate yours" in lines()
    with pytest.raises(RunError, match="1 of these say BAD"):
        CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)


def test_what_is_missing_is_named_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for place, pushed in (("a", False), ("ladder/seed0/16-bdh", False), ("b", True)):
        (folder := tmp_path / "runs" / place / "wandb" / "offline-run-1").mkdir(parents=True)
        for end in ("", ".synced") if pushed else ("",):
            (folder / f"run-1.wandb{end}").touch()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, int(1e9)))
    told = lines()
    for words in (
        "C++ compiler: none",
        "free disk here: 1.0 GB · BAD: free some",
        "WANDB_MODE=offline decides",
        "2 offline runs under runs/ are not pushed · `bdh-reason dashboard sync` uploads them",
    ):
        assert words in told


def test_without_torch_the_doctor_says_so():
    script = """
import importlib.metadata, sys
sys.modules["torch"] = None
found = importlib.metadata.version
def version(name):
    if name == "torch":
        raise importlib.metadata.PackageNotFoundError
    return found(name)
importlib.metadata.version = version
from bdh_reason.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script, "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "torch: not installed · pip install torch" in done.stdout
    assert "BAD: nothing can be trained" in done.stdout
    assert "W&B" in done.stdout
    assert "Traceback" not in done.stderr


def test_gpus_are_listed_with_their_peaks(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: ("NVIDIA H200", "NVIDIA Unheard Of")[index])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (int(140e9), int(150e9)))
    told = lines()
    assert "GPU 0: NVIDIA H200, 140.0 of 150.0 GB free, peak 990 TFLOP/s in bf16" in told or "peak 989 TFLOP/s" in told
    assert "GPU 1: NVIDIA Unheard Of, 140.0 of 150.0 GB free, its peak is not known" in told
    assert "train --devices auto" in told
