"""A solved width is the best there is: no neighbour is nearer, what was asked is said, and the shape stays."""

from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.train.match import figure, match
from bdh_reason.train.recipe import Recipe, load

SIDES = {
    "bdh": {},
    "looped": {"name": "transformer", "options": {"d": 48, "heads": 4, "hidden": 128}},
    "plain": {"name": "transformer", "options": {"d": 32, "heads": 4, "hidden": 80, "layers": 4}},
    "linear": {"name": "linear_attention", "options": {"d": 48, "heads": 4, "hidden": 128}},
    "gated": {"name": "gated_linear", "options": {"d": 48, "heads": 4, "hidden": 144, "keys": 36}},
    "lstm": {"name": "lstm", "options": {"d": 48, "hidden": 56, "relations": False}},
}


def side(name: str, task: str) -> Recipe:
    options = {"relations": False} if task == "text" else {}
    view = {"view": "cells", "reading": "sequence"} if name == "lstm" else {}
    return load(task, {**view, "model": {**SIDES[name], "options": {**SIDES[name].get("options", {}), **options}}})


@settings(max_examples=5)
@given(st.sampled_from(sorted(SIDES)), st.sampled_from(["sudoku4", "text"]), st.sampled_from(["params", "flops"]), st.floats(0.3, 40))
def test_no_neighbouring_width_is_nearer(name, task, by, times):
    recipe = side(name, task)
    target = figure(recipe, by) * times
    found = match(recipe, by, target)
    assert found.figure == figure(found.recipe, by)
    assert found.mismatch == pytest.approx(found.figure / target - 1)
    assert found.recipe.match == by
    assert_no_neighbour_is_nearer(found.recipe, by, target)


def assert_no_neighbour_is_nearer(recipe: Recipe, by: str, target: float) -> None:
    config = recipe.model_options()
    grains = discover.model_module(recipe.model.name).Model.widths(config)
    last = list(grains)[-1]
    step, here = gcd(grains[last], getattr(config, last)), abs(figure(recipe, by) - target)
    for width in (getattr(config, last) - step, getattr(config, last) + step):
        if width > 0:
            other = recipe.model_copy(update={"model": recipe.model.model_copy(update={"options": {**recipe.model.options, last: width}})})
            assert abs(figure(other, by) - target) >= here


@pytest.mark.parametrize("name", ["bdh", "looped", "plain", "lstm"])
def test_what_a_text_leaves_in_memory_is_matched_too(name):
    recipe = side(name, "text")
    found = match(recipe, "state", 3 * figure(recipe, "state"))
    assert abs(found.mismatch) < 0.1
    assert found.recipe.match == "state"


@pytest.mark.parametrize("name", sorted(SIDES))
def test_its_own_size_leaves_a_recipe_as_it_is(name):
    recipe = side(name, "sudoku4")
    found = match(recipe, "params", figure(recipe, "params"))
    assert (found.mismatch, found.recipe.model_options()) == (0, recipe.model_options())


def test_a_matched_model_keeps_its_shape_and_comes_close():
    recipe = side("looped", "sudoku4")
    for times in (3, 30, 300):
        found = match(recipe, "params", times * figure(recipe, "params"))
        config = found.recipe.model_options()
        assert abs(found.mismatch) < 0.02
        assert config.hidden / config.d == pytest.approx(128 / 48, rel=0.35)


@pytest.mark.parametrize("target", [0, -1, float("nan"), 1e40])
def test_a_target_that_no_width_reaches_is_refused(target):
    with pytest.raises(UserError, match="target"):
        match(side("bdh", "sudoku4"), "params", target)
