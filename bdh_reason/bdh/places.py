"""What depends on the places of neighbouring tokens alone: rotary phases and damping, computed once for all heads and layers, without gradients.

Axes: t tokens, H heads, N neurons of a head, P pairs of neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bdh_reason.bdh import attention

if TYPE_CHECKING:
    from bdh_reason.bdh.model import Config


@dataclass(frozen=True)
class Places:
    """For tokens that follow `position` others: how their q is turned and scaled, and with damping how much of what was written is left.

    seen_Htt: of a token's own window · since_Ht1: of all before the window · left_Ht1: of a token when the window is over · whole_H11: of all before, then.
    """

    scale: float
    strict: bool
    turn_tP: Tensor | None
    seen_Htt: Tensor | None = None
    since_Ht1: Tensor | None = None
    left_Ht1: Tensor | None = None
    whole_H11: Tensor | None = None

    def turned(self, x: Tensor) -> Tensor:
        """From x [t, N] or [H, t, N] to q: each pair of neurons as a complex number turned by its phase, times the scale."""
        if self.turn_tP is not None:
            pairs = torch.view_as_complex(x.view(*x.shape[:-1], -1, 2)) * self.turn_tP
            x = torch.view_as_real(pairs).flatten(-2)
        return x if self.scale == 1 else x * self.scale


def places(config: Config, tokens: int, position: int, dtype: torch.dtype) -> Places:
    """Of `tokens` tokens from `position` on."""
    neurons, turn_tP = config.n // config.heads, None
    if "rotary" in config.positions:
        phase_tP = attention.phases(config.pieces or (neurons,), tokens, position, torch.device("cpu"))
        turn_tP = torch.complex(phase_tP.cos().to(dtype), phase_tP.sin().to(dtype))
    plain = Places(neurons**-0.25 if config.scaled else 1.0, config.strict, turn_tP)
    if "alibi" not in config.positions:
        return plain
    slope_H, place_t1 = attention.slopes(config.heads).to(dtype), torch.arange(tokens)[:, None]
    seen_H1tt = attention.earlier(tokens, config.strict, slope_H, slope_H.device)
    fades = (attention.fade(slope_H, distance)[:, 0] for distance in (place_t1, tokens - place_t1, torch.tensor([[tokens]])))
    return Places(plain.scale, plain.strict, turn_tP, seen_H1tt[:, 0], *fades)
