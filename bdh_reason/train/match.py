"""Matched sizes: the width at which a recipe has as many parameters, training FLOPs or state floats as another recipe, or as one asks for."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import NamedTuple

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.train.plan import cost
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.sections import Alike, Choice

WIDEST = 1 << 20  # no figure is looked for beyond so many steps of a width


class Matched(NamedTuple):
    """The recipe in its new width, what it comes to, and how far that is from the target, as a share of the target."""

    recipe: Recipe
    figure: float
    mismatch: float


def figure(recipe: Recipe, by: Alike) -> float:
    """What a recipe comes to: its parameters, the FLOPs of its training, or the numbers it keeps after a problem."""
    its = cost(recipe)
    return {"params": float(its.params), "flops": its.training, "state": float(its.state)}[by]


def match(recipe: Recipe, by: Alike, target: float) -> Matched:
    """The recipe at the width nearest to `target`, with `match` saying by what.

    All options of `Model.widths` grow in proportion, to the nearest figure; then the last one alone is fitted, so that no neighbouring value of it is
    nearer. What another option decides alone (the d of a transformer its state) is as near as its own steps allow.
    Raises UserError for a target that no width reaches.
    """
    if not target > 0:
        raise UserError(f"a target of {target:g} {by}", "a positive number")
    config = recipe.model_options()
    grains = discover.model_module(recipe.model.name).Model.widths(config)
    base = {name: int(getattr(config, name)) for name in grains}
    first, last = next(iter(base)), list(base)[-1]
    grains = {name: gcd(grain, base[name]) for name, grain in grains.items()}

    def wide(widths: dict[str, int]) -> float:
        return figure(_of(recipe, widths, by), by)

    def together(count: int) -> dict[str, int]:
        share = count * grains[first] / base[first]
        return {name: max(round(base[name] * share / grain), 1) * grain for name, grain in grains.items()}

    widths = together(_nearest(lambda count: wide(together(count)), target))
    if wide({**widths, last: widths[last] + grains[last]}) > wide(widths):
        widths[last] = grains[last] * _nearest(lambda count: wide({**widths, last: count * grains[last]}), target)
    chosen, found = _of(recipe, widths, by), wide(widths)
    return Matched(chosen, found, found / target - 1)


def _of(recipe: Recipe, widths: dict[str, int], by: Alike) -> Recipe:
    model = Choice(name=recipe.model.name, options={**recipe.model.options, **widths})
    return recipe.model_copy(update={"model": model, "match": by})


def _nearest(figure: Callable[[int], float], target: float) -> int:
    """The whole number from 1 at which a figure that grows with it is nearest to the target."""
    high = 1
    while figure(high) < target:
        high *= 2
        if high > WIDEST:
            raise UserError(f"a target of {target:g}", "one that some width reaches")
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if figure(middle) < target else (low, middle)
    return min(low, high, key=lambda count: abs(figure(count) - target))
