"""A training step, forward and backward, against the plain form in fp32 and under bf16 autocast: time, and what is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bdh_reason.bdh import Config, Model, to_released_state_dict
from bdh_reason.bdh.released import TEXT
from bdh_reason.bench.measure import fastest, row
from bdh_reason.bench.plain import plain
from bdh_reason.machine import peak
from bdh_reason.reason.loop import Loop, Reasoner

ROUNDS = 5
SHAPES = (256, 81), (256, 1024), (512, 81), (512, 1024), (1024, 81), (1024, 1024)  # d and T of the figures on CUDA
Step = Callable[[], None]


@dataclass(frozen=True)
class Sizes:
    """A model of `layers` layers and a batch of texts."""

    d: int = 192
    n: int = 3072
    heads: int = 4
    layers: int = 6
    batch: int = 16
    tokens: int = 81


def bench(sizes: Sizes = Sizes()) -> Iterator[dict[str, Any]]:
    """Rows of time and memory; where CUDA is at hand also the share of the dense bf16 peak at several widths and lengths."""
    where = "cuda" if torch.cuda.is_available() else "cpu"
    runs = {
        "plain fp32": listing(sizes, where, bf16=False),
        "plain bf16 autocast": listing(sizes, where, bf16=True),
        "fp32, compiled": ours(sizes, where, bf16=False),
        "bf16, compiled": ours(sizes, where, bf16=True),
        "bf16, compiled, x and y made again": ours(sizes, where, bf16=True, recompute=True),
        "bf16, not compiled": ours(sizes, where, bf16=True, backward="written"),
        "bf16, backward by autograd": ours(sizes, where, bf16=True, backward="autograd"),
    }
    names, (fp32, bf16, *_) = list(runs), runs
    kept = {name: bytes_kept(run) / 1e6 for name, run in runs.items()}
    seconds = dict(zip(runs, fastest(ROUNDS, *runs.values())))
    size = f"d={sizes.d}, n={sizes.n}, {sizes.heads} heads, {sizes.layers} layers, batch {sizes.batch}, T={sizes.tokens}"
    for name in names[2:]:
        for against in (fp32, bf16):
            yield row("layer", f"training steps, {name}, against {against}; {size}", 1 / seconds[name], "steps/s", 1 / seconds[against], where)
    for name in names[2:]:
        yield row("layer", f"kept for the backward pass, {name}, against {fp32}", kept[name], "MB", kept[fp32], where)
    once, again = "bf16, compiled", "bf16, compiled, x and y made again"
    yield row("layer", f"time of a step, {again}, against kept", seconds[again] * 1e3, "ms", seconds[once] * 1e3, where)
    if where == "cuda":
        yield from shares_of_peak()


def shares_of_peak() -> Iterator[dict[str, Any]]:
    """FLOP/s of training steps, three times the model's own count of the forward pass, against the card's peak; nothing for a card without a known one."""
    highest = peak(torch.cuda.get_device_name()) or 0.0
    for d, tokens in SHAPES if highest else ():
        sizes = Sizes(d=d, n=32 * d, batch=max(1, 64 * 81 // tokens), tokens=tokens)
        flops = 3 * sizes.batch * _model(sizes, "auto", recompute=False).step_flops(replace(TEXT, positions=tokens))
        (seconds,) = fastest(ROUNDS, ours(sizes, "cuda", bf16=True))
        yield row("layer", f"training, bf16, against the dense peak; {sizes}", flops / seconds / 1e12, "TFLOP/s", highest / 1e12, "cuda")
        torch.cuda.empty_cache()


def listing(sizes: Sizes, where: str, bf16: bool) -> Step:
    """A step of the plain form."""
    weights = {name: weight.detach().clone().to(where).requires_grad_() for name, weight in to_released_state_dict(_model(sizes, "auto", False)).items()}
    return _step(lambda tokens_Bt: plain(tokens_Bt, weights, sizes.heads, sizes.layers), list(weights.values()), sizes, where, bf16)


def ours(sizes: Sizes, where: str, bf16: bool, backward: str = "compiled", recompute: bool = False) -> Step:
    """A step of the model."""
    model = _model(sizes, backward, recompute).to(where)
    thinker = Reasoner(model, TEXT, Loop(feedback=False, inject=False))
    return _step(lambda tokens_Bt: next(iter(thinker.think(tokens_Bt, 1))), list(model.parameters()), sizes, where, bf16)


def _model(sizes: Sizes, backward: Any, recompute: bool) -> Model:
    torch.manual_seed(0)
    options = {"relations": False, "execution": "quadratic", "backward": backward, "recompute": recompute}
    return Model(Config(d=sizes.d, n=sizes.n, heads=sizes.heads, layers=sizes.layers, **options), TEXT, feedback=False)


def _step(form: Callable[[Tensor], Tensor], weights: list[Tensor], sizes: Sizes, where: str, bf16: bool) -> Step:
    tokens_Bt = (torch.arange(sizes.batch * sizes.tokens, device=where) * 7 % 256).view(sizes.batch, -1)

    def step() -> None:
        for weight in weights:
            weight.grad = None
        with torch.autocast(where, torch.bfloat16, enabled=bf16):
            logits_BtV = form(tokens_Bt)
        torch.nn.functional.cross_entropy(logits_BtV.float().flatten(0, 1), tokens_Bt.flatten()).backward()  # type: ignore[no-untyped-call]

    return step


def bytes_kept(step: Step) -> int:
    """Bytes that autograd keeps from the forward to the backward pass of a step, weights included, each storage once."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(sizes.values())
