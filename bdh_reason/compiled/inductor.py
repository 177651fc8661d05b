"""Functions of tensors through PyTorch's compiler, Inductor, which joins the passes between the products."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch


@lru_cache
def compiled_by_inductor(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """The function through Inductor; where that finds no compiler, the function itself from then on, with one line that says so of `what` it does."""
    attempt, usable = torch.compile(function, dynamic=False), True

    def run(*inputs: Any) -> Any:
        nonlocal usable
        if usable:
            try:
                return attempt(*inputs)
            except torch._dynamo.exc.TorchDynamoException as error:
                usable = False
                print(f"{what} runs without Inductor: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        return function(*inputs)

    return run
