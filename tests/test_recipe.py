"""A recipe says exactly what it knows; anything else is an error that points at the nearest right thing."""

import pytest
from pydantic import ValidationError

from bdh_reason.errors import UserError
from bdh_reason.train.plan import plan
from bdh_reason.train.recipe import load, parse, recipe_names

SMALL = "sudoku4"


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_comes_back_from_a_checkpoint(name):
    recipe = load(name, {})
    assert parse(recipe.model_dump(mode="json"), "a checkpoint") == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stpes": 3}, "unknown key 'stpes'.*did you mean 'steps'"),
        ({"optimiser": {"lrr": 1.0}}, "unknown key 'optimiser.lrr'.*did you mean 'optimiser.lr'"),
        ({"loop": 5}, "loop = 5; allowed: a mapping"),
        ({"match": "banana"}, "match = 'banana'"),
        ({"name": "../x"}, "name = '../x'"),
        ({"optimiser": {"betas": [1.0, 1.0]}}, "optimiser.betas.0 = 1.0"),
        ({"optimiser": {"lr": float("inf")}}, "optimiser.lr"),
        ({"loop": {"nois": 1.0}}, "unknown key 'nois' in loop.*did you mean 'noise'"),
        ({"steps": -1}, "steps = -1"),
        ({"steps": "many"}, "steps = 'many'"),
        ({"view": "sideways"}, "view = 'sideways'"),
        ({"data": {"shares": [0.5, 0.5]}}, "data.shares"),
        ({"task": {"options": {"bocks": [2, 2]}}}, "unknown key 'bocks'.*did you mean 'box'"),
        ({"model": {"options": {"headz": 2}}}, "unknown key 'headz'.*did you mean 'heads'"),
        ({"model": {"name": "bhd"}}, "unknown model 'bhd'.*did you mean 'bdh'"),
        ({"task": {"name": "sudokou"}}, "unknown task 'sudokou'.*did you mean 'sudoku'"),
    ],
)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(UserError, match=message):
        load(SMALL, changes)


def test_an_unknown_recipe_and_a_file_that_is_no_recipe_are_named(tmp_path):
    with pytest.raises(UserError, match=r"unknown recipe 'sudoku7'.*did you mean"):
        load("sudoku7", {})
    for text, message in ((b"- 1", "holds no mapping"), (b"a: [", "is not YAML"), (b"a: \xff", "not text in UTF-8: byte 3")):
        (tmp_path / "mine.yaml").write_bytes(text)
        with pytest.raises(UserError, match=message):
            load(str(tmp_path / "mine.yaml"), {})


@pytest.mark.parametrize(("asked", "given"), [("train", {"train": [4, 8, 4]}), ("exam", {"train": [4, 8], "exam": [16, 4, 16, 4]})])
def test_a_horizon_twice_is_refused(asked, given):
    with pytest.raises(UserError, match=rf"horizon 4 twice in horizons\.{asked} = "):
        load("flipflop", {"horizons": given})


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError):
        load(SMALL, {}).steps = 5


def test_weights_depend_on_the_seed_alone():
    recipe, other = load(SMALL, {}), load(SMALL, {"seed": 1})
    board = recipe.build_task().board(recipe.view, recipe.reading)
    first, again, different = (chosen.build_model(board).token_VD for chosen in (recipe, recipe, other))
    assert first.equal(again)
    assert not first.equal(different)


def test_the_plan_of_a_billion_parameters_counts_them_without_building_them():
    text = plan(load("sudoku-1b", {}))
    assert "1,001,155,584" in text
    assert "8 GPU" in text


def test_a_loop_without_feedback_trains_no_table_for_it():
    fed, unfed = (load(SMALL, {"loop": {"feedback": feedback}}) for feedback in (True, False))
    board = fed.build_task().board("candidates", "grid")
    assert fed.build_model(board).feedback_VD is not None
    assert unfed.build_model(board).feedback_VD is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "lstm"}}, "candidates view for a model of kind lstm; allowed: view = cells"),
        ({"model": {"name": "bdh", "options": {"heads": 2}}}, "2 heads on a board of 4 relations"),
        ({"view": "cells", "reading": "sequence"}, "relations=true on a sequence"),
    ],
)
def test_a_board_that_the_model_does_not_read_is_refused_before_anything_is_built(change, message):
    with pytest.raises(UserError, match=message):
        parse({**load(SMALL, {}).model_dump(mode="json"), **change}, "a recipe")
