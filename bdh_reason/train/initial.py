"""Fresh weights: a function of the seed alone, whatever was drawn before."""

from __future__ import annotations

from typing import Any

import torch

from bdh_reason import rng
from bdh_reason.model import Model
from bdh_reason.task import Board


def initial(cls: type[Model], config: Any, board: Board, seed: int, feedback: bool = True) -> Model:
    """`cls(config, board, feedback)` initialised from `seed`; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.derive(seed, "initial weights") >> 1)
        return cls(config, board, feedback)
