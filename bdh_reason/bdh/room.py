"""Whether a sequence fits into memory, asked before it is tried, so that the answer can name the form that would fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bdh_reason.bdh import inference
from bdh_reason.errors import UserError

if TYPE_CHECKING:
    from bdh_reason.bdh.model import Config

ASKED_FROM = 4096  # tokens; shorter sequences are not worth the question


def needed(config: Config, batch: int, tokens: int, window: int, kept: bool, alone: bool = False) -> int:
    """Numbers that one step holds at once, at least: scores and masked scores, three n-wide activities, and rho before and after a window.

    Of one window; of all of them where they are `kept` for a backward pass. Texts that are read `alone` or a few at a time, by `inference`, hold one head's
    at a time: the scores of a block, three activities, and beside all rho what one head adds.
    """
    if alone:
        neurons, texts = config.n // config.heads, min(batch, inference.together(window))
        synapses = 0 if window >= tokens else (config.layers * config.n + neurons) * config.d
        return min(window, inference.BLOCK) * window + texts * (3 * window * neurons + synapses)
    times = -(-tokens // window) * config.layers if kept else 1
    synapses = 0 if window >= tokens else 2 * config.n * config.d
    return batch * times * (2 * config.heads * window**2 + 3 * window * config.n + synapses)


def free(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 1 << 62  # a system that does not say


def check(config: Config, v_BtD: Tensor, window: int) -> None:
    """Raises UserError for a sequence that memory cannot hold in this form: what is needed, what is there, and the form that would fit."""
    (batch, tokens, _), device = v_BtD.shape, v_BtD.device
    if tokens < ASKED_FROM:
        return
    alone = config.backward != "autograd" and inference.fits(v_BtD)
    size = 2 if torch.is_autocast_enabled(device.type) else v_BtD.element_size()
    there = free(device)
    wanted, chunked = (size * needed(config, batch, tokens, part, torch.is_grad_enabled(), alone) for part in (window, config.d))
    if wanted > there:
        form, remedy = "chunked", "shorter windows with a carried state, or a smaller batch"
        if window >= tokens:
            form, remedy = "quadratic", f"execution=chunked needs {chunked / 1e9:.1f} GB" + (f": then {remedy}" if chunked > there else "")
        raise UserError(f"{tokens} tokens × {batch} need {wanted / 1e9:.1f} GB in the {form} form", f"{there / 1e9:.1f} GB, what is free", remedy)
