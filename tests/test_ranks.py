"""Several processes are one: the same batches, the same weights up to rounding, one end, one state that any number of them goes on from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bdh_reason import copies
from bdh_reason.errors import UserError
from bdh_reason.train import ranks
from bdh_reason.train.checkpoint import read
from bdh_reason.train.module import Learner
from bdh_reason.train.problems import splits
from bdh_reason.train.recipe import load
from bdh_reason.train.run import train

STEPS = 6
RECIPE = """
name: shared
task: {name: sudoku, options: {box: [2, 2]}}
model: {name: bdh, options: {d: 16, n: 96, heads: 6, coordinates: true, backward: written}}
view: cells
data: {size: 300, shares: [0.6, 0.2, 0.2]}
loop: {noise: 0.5}
depth: 2
steps: 6
batch: 8
precision: fp32
optimiser: {warmup: 2, clip: 0.01}
carry: {age: 3}
validation: {every: 4, problems: 4, depth: 2}
"""
# the second process is told to stop; the first one and torchrun are not
TOLD = """
import os, signal
from bdh_reason.cli import main
from bdh_reason.train.module import Learner
whole = Learner.optimizer_step
def step(self, *args, **options):
    whole(self, *args, **options)
    if self.done == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
Learner.optimizer_step = step
main()
"""


@pytest.fixture
def recipe_alone(tmp_path, monkeypatch):
    """A folder with the recipe."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, [path or "." for path in sys.path])))
    monkeypatch.chdir(tmp_path)
    Path("shared.yaml").write_text(RECIPE)
    Path("told.py").write_text(TOLD)
    return tmp_path


@pytest.fixture
def place(recipe_alone):
    """That with data; the run `alone` of one process lies in it."""
    assert by_one(recipe_alone / "alone") == STEPS
    return recipe_alone


def by_one(folder: Path) -> int:
    """The steps done by a run of this process, which goes on with what lies in the folder."""
    recipe = load("shared.yaml", {})
    return train(recipe, splits(recipe, Path("datasets"), lambda *_: None), folder, "cpu", True, None).done


def command(*words: str, after: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Python with these words and the train command's."""
    words = (*words, "train", "shared.yaml", "--out", "run", "--device", "cpu", *after)
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300, check=False)


def assert_alike(one: Path, other: Path) -> None:
    """The weights, moments and boards in flight of two runs are the same up to the order in which numbers were added."""
    ours, theirs = (read(folder / "state.json").tensors for folder in (one, other))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        most = tensor.double().abs().max().item()
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-4 * most, msg=lambda text, name=name: f"{name}: {text}")


def test_two_processes_with_ddp_end_together_when_one_is_told_to_and_one_process_goes_on(place):
    ended = command("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "told.py")
    assert ended.returncode == 1, ended.stderr
    assert "interrupted: the state is whole" in ended.stderr
    assert read(place / "run" / "state.json").card.step == 3
    assert by_one(place / "run") == STEPS
    assert_alike(place / "alone", place / "run")


def test_two_processes_with_shards_go_on_with_the_run_of_one(place, monkeypatch):
    def broken_off(self, *args, **options):
        if self.done == 3:
            self.trainer.should_stop = True
        whole(self, *args, **options)

    whole = Learner.optimizer_step
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "optimizer_step", broken_off)
        assert by_one(place / "run") == 4
    done = command("-m", "bdh_reason", after=("--devices", "2", "--sharded"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"step": 6') == 1  # the first process speaks for both
    assert done.stderr.count("continues after step 4 of 6") == 1
    assert_alike(place / "alone", place / "run")
    assert read(place / "run" / "model.json").card.step == read(place / "alone" / "model.json").card.step


@pytest.mark.parametrize(
    ("given", "message"),
    [("none", "--devices none"), ("0", "--devices 0"), ("3", "a batch of 8 for 3 processes")],
)
def test_a_number_of_processes_that_makes_no_sense_is_refused_before_any_starts(given, message):
    with pytest.raises(UserError, match=message):
        ranks.count(given, "cpu", [12, 8])


def test_auto_takes_the_most_gpus_that_every_batch_can_be_cut_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 7)
    assert ranks.count("auto", "cuda", [12, 8]) == 4
    assert ranks.count("auto", "cpu", [12, 8]) == 1
    with pytest.raises(UserError, match="7 GPUs are here"):
        ranks.count("8", "cuda", [8])


def test_alone_a_process_launches_copies_of_itself_and_what_was_launched_does_not(monkeypatch):
    started = []
    monkeypatch.setattr(copies, "run", lambda environments, together: started.append((environments, together)) or 2)
    ranks.launch(1)
    with pytest.raises(SystemExit, match="2"):
        ranks.launch(4)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    ranks.launch(4)
    ((environments, together),) = started
    assert together
    assert [(its["RANK"], its["LOCAL_RANK"], its["WORLD_SIZE"]) for its in environments] == [(str(rank), str(rank), "4") for rank in range(4)]
    assert len({its["MASTER_PORT"] for its in environments}) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "start=nowhere"), "nowhere"),
        (("--set", "data.folder=nothing"), "nothing"),
        (("--sharded", "--set", "model.options.backward=auto"), "--sharded on"),
    ],
)
def test_a_mistake_is_told_once_and_is_the_mistake_of_all(words, told, recipe_alone):
    done = command("-m", "bdh_reason", after=("--devices", "2", *words))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("building")]
    assert line.startswith("bdh-reason: ")
    assert told in line


def test_one_process_has_nothing_to_agree_on():
    with ranks.together("cpu"), ranks.first_alone():
        assert (ranks.rank(), ranks.world(), ranks.nodes(), ranks.told("word")) == (0, 1, 1, "word")
        assert ranks.share(8) == slice(0, 8)
        assert not ranks.anyone(False)
