"""How a run ends before its last step: after a whole step, and of several processes after the same one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback

from bdh_reason.errors import InterruptedRunError
from bdh_reason.train import ranks


class Ending(Callback):
    """Ctrl-C ends the run after the step in hand, so that the state kept is that of a whole step; a second one ends it at once.

    Of several processes any that gets it, or SIGTERM, or SIGUSR1 (SLURM's `--signal`), ends all after the step in hand. They take no second one: torchrun
    hands on to its processes what a terminal has sent them already. Those that are not done 30 s later are killed; then the last state on disk stands.
    """

    def __init__(self) -> None:
        self.asked = self.agreed = False

    def ask(self, *_: Any) -> None:
        """The handler of the signals."""
        self.asked = True
        if ranks.world() == 1:
            signal.signal(signal.SIGINT, self.before)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside this block the signals are heard. Raises InterruptedRunError at its end where they ended the run."""
        self.before = signal.signal(signal.SIGINT, self.ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self.before)
        if self.agreed:
            raise InterruptedRunError("interrupted: the state is whole, the same command continues")

    def on_train_start(self, trainer: Any, learner: Any) -> None:  # type: ignore[override]
        for kind in (signal.SIGTERM, signal.SIGUSR1) if ranks.world() > 1 else ():
            signal.signal(kind, self.ask)  # Lightning's own answer to SIGTERM waits for a word of processes that may not have got it

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:  # type: ignore[override]
        if ranks.anyone(self.asked):
            self.agreed = trainer.should_stop = True
