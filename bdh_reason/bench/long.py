"""A long text read at once, in windows, against the plain form: time and memory of one layer; and how little memory a much longer one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bdh_reason.bdh import Config, Model, to_released_state_dict
from bdh_reason.bdh.released import TEXT
from bdh_reason.bench.measure import apart, row
from bdh_reason.bench.plain import plain
from bdh_reason.reason.loop import Loop, Reasoner

ROUNDS = 3
GIGABYTE = 1e9


@dataclass(frozen=True)
class Sizes:
    """`longest`, in tokens, has to do with `memory` bytes."""

    n: int = 8192
    d: int = 256
    heads: int = 4
    tokens: int = 8192
    longest: int = 65536
    memory: float = 4 * GIGABYTE


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """Each measurement in a process of its own, in turns; memory above weights and tokens."""
    costs = [[apart(form, sizes, sizes.tokens) for form in (windows, quadratic)] for _ in range(ROUNDS)]
    ours, theirs = ([min(of_form) for of_form in zip(*costs_of)] for costs_of in zip(*costs))
    size = f"n = {sizes.n:,}, d = {sizes.d}, {sizes.heads} heads, fp32, one layer forward"
    speed, theirs_speed = sizes.tokens / ours[0], sizes.tokens / theirs[0]
    yield row("long", f"speed at T = {sizes.tokens:,} in windows, against the plain quadratic form; {size}", speed, "tokens/s", theirs_speed)
    yield row("long", f"peak memory at T = {sizes.tokens:,}, against the plain quadratic form; {size}", ours[1] / GIGABYTE, "GB", theirs[1] / GIGABYTE)
    longest = apart(windows, sizes, sizes.longest)
    yield row("long", f"peak memory at T = {sizes.longest:,}, against what it may need; {size}", longest.peak / GIGABYTE, "GB", sizes.memory / GIGABYTE)


def windows(sizes: Sizes, tokens: int) -> Callable[[], Tensor]:
    """Our form."""
    thinker = Reasoner(_model(sizes), TEXT, Loop(feedback=False, inject=False))
    return _prepared(lambda tokens_1t: next(iter(thinker.think(tokens_1t, 1))), sizes, tokens)


def quadratic(sizes: Sizes, tokens: int) -> Callable[[], Tensor]:
    """The plain form."""
    weights = to_released_state_dict(_model(sizes))
    return _prepared(lambda tokens_1t: plain(tokens_1t, weights, sizes.heads, 1), sizes, tokens)


def _prepared(form: Callable[[Tensor], Tensor], sizes: Sizes, tokens: int) -> Callable[[], Tensor]:
    """Whatever is made once was made, by a text of five windows."""
    _read(form, 5 * sizes.d)
    return partial(_read, form, tokens)


def _read(form: Callable[[Tensor], Tensor], tokens: int) -> Tensor:
    with torch.inference_mode():
        return form(torch.arange(tokens)[None] * 7 % 256)


def _model(sizes: Sizes) -> Model:
    torch.manual_seed(0)
    return Model(Config(d=sizes.d, n=sizes.n, heads=sizes.heads, relations=False), TEXT, feedback=False)
