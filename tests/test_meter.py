"""What a run says of its speed is by the clock, without the first step, validation and checkpoints."""

from types import SimpleNamespace

import pytest
from test_train import recipe
from toy import installed

from bdh_reason.train import meter, ranks
from bdh_reason.train.meter import Meter
from bdh_reason.train.module import Learner

pytestmark = pytest.mark.usefixtures(installed.__name__)
CARD = "NVIDIA H100 80GB HBM3"


def said(steps, first, each, monkeypatch, capsys, processes=1, name=CARD):
    """The line of speed after a run on a made-up clock, of steps of 3 × 1e14 FLOPs, the first takes longer; a validation of 50 s is at every fourth."""
    now = [1000.0]
    monkeypatch.setattr(meter, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(meter, "forward_flops", lambda *_: 1e14)
    monkeypatch.setattr(meter, "processor", lambda: name)
    monkeypatch.setattr(ranks, "world", lambda: processes)
    chosen = recipe(steps=steps)
    keeper, learner = SimpleNamespace(spent=0.0), Learner(chosen.reasoners(), chosen)
    watch = Meter(keeper, False)
    for step in range(1, steps + 1):
        watch.on_train_batch_start(None, learner)
        now[0] += first if step == 1 else each
        if step == 7:  # a state is kept in between two looks
            keeper.spent += 30
            now[0] += 30
        learner.done = step
        watch.on_train_batch_end(None, learner)
        now[0] += 50 if step % 4 == 0 else 0
    watch.on_train_end(None, learner)
    line, held = capsys.readouterr().err.splitlines()
    assert held.startswith("toy: ")
    assert held.endswith(" GB at its fullest")
    return line


def test_the_first_step_validation_and_checkpoints_are_no_part_of_a_step(monkeypatch, capsys):
    line = said(10, 100.0, 2.0, monkeypatch, capsys)
    assert line == "toy: 2 s a step · 3e+14 FLOP a step · 1.5e+14 FLOP/s · MFU 15.2% of 1 × 989 TFLOP/s"


def test_the_only_step_is_counted(monkeypatch, capsys):
    line = said(1, 6.0, 0.0, monkeypatch, capsys)
    assert line == "toy: 6 s a step · 3e+14 FLOP a step · 5e+13 FLOP/s · MFU 5.1% of 1 × 989 TFLOP/s"


def test_several_processes_have_the_peaks_of_all_and_an_unknown_one_has_none(monkeypatch, capsys):
    assert said(3, 9.0, 1.0, monkeypatch, capsys, processes=2).endswith("3e+14 FLOP/s · MFU 15.2% of 2 × 989 TFLOP/s")
    assert said(3, 9.0, 1.0, monkeypatch, capsys, name="a card").endswith("3e+14 FLOP/s · no MFU: the peak of a card is not known here")
