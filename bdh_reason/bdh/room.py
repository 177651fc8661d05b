"""Whether a sequence fits into memory, asked before it is tried, so that the answer can name the form that would fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bdh_reason.errors import UserError
from bdh_reason.task import Board

ASKED_FROM = 4096  # shorter sequences are not worth the question


def needed(config: Any, batch: int, tokens: int, window: int, kept: bool, size: int) -> int:
    """Bytes one step takes at least: scores and masked scores of a window, four n-wide tensors of a window (of all tokens where they are `kept`
    for a backward pass), two states where there is more than one window; numbers of `size` bytes.
    """
    scores = 2 * config.heads * window**2 * (-(-tokens // window) if kept else 1)
    active = 4 * (tokens * config.layers if kept else window) * config.n
    states = 0 if window >= tokens else config.layers * config.n * config.d * (tokens // window if kept else 2)
    return size * batch * (scores + active + states)


def free(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 1 << 62  # a system that does not say


def check(config: Any, v_BtD: Tensor, board: Board, window: int) -> None:
    """Raises UserError for a sequence that memory cannot hold in this form: what is needed, what is there, and the form that would fit."""
    batch, tokens, _ = v_BtD.shape
    if tokens < ASKED_FROM or board.reading == "grid":
        return
    kept, size, there = torch.is_grad_enabled(), v_BtD.element_size(), free(v_BtD.device)
    if (wanted := needed(config, batch, tokens, window, kept, size)) <= there:
        return
    chunked = needed(config, batch, tokens, config.d, kept, size)
    form = "quadratic" if window >= tokens else "chunked"
    fits = "execution=chunked" if form == "quadratic" and chunked <= there else "shorter windows with a carried state, or a smaller batch"
    raise UserError(
        f"{tokens} tokens in a batch of {batch} need {wanted / 1e9:.1f} GB in the {form} form and {there / 1e9:.1f} GB are free",
        f"{fits} ({chunked / 1e9:.1f} GB in the chunked form)",
    )
