"""Weights of the released code (github.com/pathwaycom/bdh) in and out: its `state_dict` has five tensors, under other names.

Axes: V tokens or logits, D width, H heads, N neurons of a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from bdh_reason.bdh.model import HOW, Config, Model
from bdh_reason.errors import UserError
from bdh_reason.task import Board

TEXT = Board("cells", "sequence", 1, bytes(range(256)), 0, np.zeros((1, 0), np.int16))  # the model is not bound to this length
NAMES = {"embed.weight": "token_VD", "lm_head": "readout_DV", "encoder": "Dx_HDN", "encoder_v": "Dy_HDN", "decoder": "E_HND"}


def from_released_state_dict(state_dict: Mapping[str, Tensor], n_head: int, n_layer: int) -> Model:
    """The model with these weights. One step without feedback and injection is the released code's whole pass of `n_layer` layers:

        next(Reasoner(model, TEXT, Loop(feedback=False, inject=False)).think(tokens, 1))  # its logits

    Raises UserError where a tensor is missing, too many, or of a shape that does not go with the others.
    """
    if set(state_dict) != set(NAMES):
        raise UserError(f"tensors {', '.join(sorted(state_dict))}", ", ".join(sorted(NAMES)))
    n, d = state_dict["decoder"].shape
    model = Model(Config(d=d, n=n, heads=n_head, relations=False, layers=n_layer), TEXT, feedback=False)
    ours = {NAMES[name]: tensor.view(n_head, n // n_head, d) if name == "decoder" else tensor for name, tensor in state_dict.items()}
    try:
        model.to(state_dict["decoder"].dtype).load_state_dict(ours)
    except RuntimeError as error:
        raise UserError(f"tensors that do not go together: {error}", f"the weights of {n_head} heads, d = {d}, n = {n}, 256 bytes") from error
    return model


def to_released_state_dict(model: Model) -> dict[str, Tensor]:
    """The way back. Raises UserError for a model that the released code cannot hold: another form, more than the five tensors, options it does not have."""
    config, ours = model.config, model.state_dict()
    if replace(config, **HOW) != Config(d=config.d, n=config.n, heads=config.heads, relations=False, layers=config.layers):
        raise UserError(f"{config}", "the released form, with its defaults and shared layers")
    if set(ours) != set(NAMES.values()):
        raise UserError(f"weights {', '.join(ours)}", f"{', '.join(NAMES.values())}: the released code has no feedback and no coordinates")
    return {theirs: ours[name].flatten(0, 1) if theirs == "decoder" else ours[name] for theirs, name in NAMES.items()}
