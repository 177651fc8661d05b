"""Byte by byte through the state: the same speed however much was read, against reading all again, and against synapses that are not sparse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bdh_reason.bdh import Config, Model, to_released_state_dict
from bdh_reason.bdh.released import TEXT
from bdh_reason.bench.measure import fastest, row
from bdh_reason.bench.plain import plain, residuals, stream
from bdh_reason.reason.loop import Loop, Reasoner

ROUNDS = 15
BYTES = 8  # read in a round


@dataclass(frozen=True)
class Sizes:
    """n neurons for the contexts, `many` where active neurons are gathered, a `share` of them active."""

    d: int = 256
    n: int = 8192
    many: int = 32768
    heads: int = 4
    layers: int = 6
    near: int = 256
    far: int = 32768
    again: int = 4096
    share: float = 0.12


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """All in fp32, one text."""
    with torch.no_grad():
        yield from contexts(sizes)
        yield gathered(sizes)


def contexts(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Bytes a second far into a text against near its beginning, and against the plain form that reads the whole prefix for each byte."""
    model, about = _model(sizes, sizes.n), f"n = {sizes.n:,}, d = {sizes.d}, {sizes.layers} layers"
    near, far, again = fastest(ROUNDS, *(_reader(model, _text(length)) for length in (sizes.near, sizes.far, sizes.again)))
    case = f"streaming at context {sizes.far:,}, against context {sizes.near:,}; {about}"
    yield row("decode", case, BYTES / far, "bytes/s", BYTES / near)
    prefix_1t, weights = _text(sizes.again), to_released_state_dict(model)
    (whole,) = fastest(1, lambda: plain(prefix_1t, weights, sizes.heads, sizes.layers))
    case = f"streaming at context {sizes.again:,}, against the plain form that reads all of it for each byte; {about}"
    yield row("decode", case, BYTES / again, "bytes/s", 1 / whole)


def gathered(sizes: Sizes) -> dict[str, Any]:
    """Only active neurons, against the plain form through dense synapses that are written in place."""
    model, text_1t = _model(sizes, sizes.many), _text(64)
    share = thin(model, text_1t, sizes.share)
    weights, rhos_HND = to_released_state_dict(model), [tensor[0] for tensor in model.blank(1).give().tensors]
    places = iter(range(1 << 62))
    dense = partial(_times, lambda: stream(int(text_1t[0, (place := next(places)) % 64]), weights, sizes.heads, rhos_HND, place))
    ours, theirs = fastest(ROUNDS, _reader(model, text_1t), dense)
    about = f"n = {sizes.many:,}, d = {sizes.d}, {sizes.layers} layers"
    case = f"{share:.1%} of x active (random weights and a threshold) and gathered, against dense synapses; {about}"
    return row("decode", case, BYTES / ours, "bytes/s", BYTES / theirs)


def thin(model: Model, text_1t: Tensor, share: float) -> float:
    """Lets only about a `share` of x be active, as in models of text that others trained; returns the share that is, over all layers and tokens of the text.

    One coordinate of v is held high, by the embedding and by E, and Dx takes a threshold from it for every neuron, found by halving.
    """
    config, weights = model.config, to_released_state_dict(model)
    model.token_VD[:, 0], model.E_HND[..., 0] = 8, 0.4 * config.n**-0.5
    low, high = 0.0, 1.0
    for _ in range(12):
        model.Dx_HDN[:, 0] = -(low + high) / 2
        entering = list(residuals(text_1t, weights, config.heads, config.layers))[:-1]
        active = float(torch.stack([(v_B1tD @ weights["encoder"] > 0).double().mean() for v_B1tD in entering]).mean())
        low, high = (low, (low + high) / 2) if active < share else ((low + high) / 2, high)
    return active


def _reader(model: Model, text_1t: Tensor) -> Callable[[], None]:
    """Reads on, some bytes at each call, from where the text ends."""
    reasoner = Reasoner(model, TEXT, Loop(feedback=False, inject=False))
    _, states = reasoner.read(text_1t, tuple(state.give() for state in reasoner.begin(1, 1)))

    def further() -> None:
        nonlocal states
        _, states = reasoner.read(text_1t[:, states[0].position % text_1t.shape[1]][:, None], states)

    return partial(_times, further)


def _times(run: Callable[[], Any]) -> None:
    for _ in range(BYTES):
        run()


def _text(length: int) -> Tensor:
    """Bytes [1, t]."""
    return torch.arange(length)[None] * 7 % 256


def _model(sizes: Sizes, n: int) -> Model:
    torch.manual_seed(0)
    return Model(Config(d=sizes.d, n=n, heads=sizes.heads, relations=False, layers=sizes.layers), TEXT, feedback=False)
