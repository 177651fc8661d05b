"""What a model remembers of a text, in a file: safetensors, which cannot run code, with a JSON header that says which model can read on."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize

from bdh_reason import files
from bdh_reason.errors import UserError
from bdh_reason.model import Model, State
from bdh_reason.reason.loop import States

SCHEMA = 1


def save(path: Path, states: States) -> None:
    """Writes the states of all steps, at least one; the file is whole or not there. Raises UserError where it cannot be written."""
    header = {"schema": SCHEMA, "kind": states[0].kind, "position": states[0].position, "tensors": [len(state.tensors) for state in states]}
    tensors = {f"{step}.{place}": tensor.detach().cpu() for step, state in enumerate(states) for place, tensor in enumerate(state.tensors)}
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    with files.writing(path.parent):
        files.replace(path, serialize(own, {"state": json.dumps(header)}))


def load(path: Path, model: Model) -> States:
    """The states of all steps, where the weights are. Raises UserError for a file that is missing or damaged, and for a state of another model."""
    if not path.is_file():
        raise UserError(f"no state at {path}", "a file that `save` wrote")
    try:
        with safe_open(path, "pt", str(model.token_VD.device)) as file:
            header = json.loads(file.metadata()["state"])
            counts, kind, position = header["tensors"], header["kind"], header["position"]
            tensors = [tuple(file.get_tensor(f"{step}.{place}") for place in range(count)) for step, count in enumerate(counts)]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}", "the file as `save` wrote it") from error
    if header.get("schema") != SCHEMA:
        raise UserError(f"{path} has schema version {header.get('schema')}", f"{SCHEMA}")
    states = tuple(State(kind, position, of_step) for of_step in tensors)
    for state in states:
        model.admit(state, len(state.tensors[0]))
    return states
