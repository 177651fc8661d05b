"""A suite runs every arm with every seed, never twice, and goes on where it was stopped."""

import json
from pathlib import Path

import pytest
from test_train import recipe
from toy import installed

from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import read
from bdh_reason.suite import run as running
from bdh_reason.suite.plan import FOLDER, cells, load_suite, suite_names
from bdh_reason.suite.run import Places, run
from bdh_reason.train.recipe import lay_over

pytestmark = pytest.mark.usefixtures(installed.__name__)
ARMS = {"size": {"narrow": {}, "wide": {"model": {"options": {"n": 32}}}}, "noise": {"still": {"loop": {"noise": 0.0}}, "noisy": {}}}


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def plan(tmp_path) -> Path:
    (tmp_path / "base.yaml").write_text(recipe().model_dump_json())
    suite = {"recipe": str(tmp_path / "base.yaml"), "settings": {"steps": 3}, "axes": ARMS, "seeds": [0, 1], "exams": [{"depth": [1, 2]}]}
    (tmp_path / "sizes.yaml").write_text(json.dumps(suite))
    return tmp_path / "sizes.yaml"


def go(plan, seconds=None):
    places = Places(plan.parent / "runs", plan.parent / "data", plan.parent / "rows.jsonl")
    return list(run(load_suite(str(plan))[1], places, "cpu", seconds, lambda *_: None))


def test_the_cells_are_every_choice_of_every_axis_with_every_seed(plan):
    name, suite = load_suite(str(plan))
    found = cells(suite)
    assert name == "sizes"
    assert [str(cell.place) for cell in found[:4]] == ["seed0/narrow-still", "seed0/narrow-noisy", "seed0/wide-still", "seed0/wide-noisy"]
    assert [cell.recipe.seed for cell in found] == [0] * 4 + [1] * 4
    assert [(cell.recipe.model.options["n"], cell.recipe.loop.noise) for cell in found[:4]] == [(16, 0.0), (16, 0.5), (32, 0.0), (32, 0.5)]
    assert {cell.recipe.steps for cell in found} == {3}


def test_several_products_of_axes_are_one_plan_and_no_two_arms_have_one_name(plan):
    given = json.loads(plan.read_text())
    plan.write_text(json.dumps({**given, "axes": [ARMS, {"other": {"longer": {"steps": 4}}}]}))
    found = cells(load_suite(str(plan))[1])
    assert [cell.arm for cell in found] == ["narrow-still", "narrow-noisy", "wide-still", "wide-noisy", "longer"] * 2
    assert [cell.recipe.steps for cell in found[:5]] == [3, 3, 3, 3, 4]
    plan.write_text(json.dumps({**given, "axes": [ARMS, {"other": {"narrow-still": {}}}]}))
    with pytest.raises(UserError, match="5 arms with 4 names"):
        cells(load_suite(str(plan))[1])


def test_every_cell_is_trained_and_examined_once(plan, monkeypatch):
    assert all(whole for _, whole in go(plan))
    rows = read([plan.parent / "rows.jsonl"])
    whole = {(row.model, row.seed, row.depth, row.split) for row in rows if row.difficulty is None}
    assert whole == {(f"{size}-{noise}", seed, depth, "validation") for size in ARMS["size"] for noise in ARMS["noise"] for seed in (0, 1) for depth in (1, 2)}
    before = (plan.parent / "rows.jsonl").read_bytes()
    monkeypatch.setattr(running, "examine", lambda *_, **__: pytest.fail("a cell was examined again"))
    assert all(whole for _, whole in go(plan))
    assert (plan.parent / "rows.jsonl").read_bytes() == before


def test_a_suite_stops_when_its_time_is_over_and_goes_on(plan, monkeypatch):
    assert go(plan, seconds=0) == []
    honest = running.train
    with monkeypatch.context() as patch:
        patch.setattr(running, "train", lambda *args: honest(*args[:-1], 1e-3))
        assert [whole for _, whole in go(plan)] == [False] * 8
    assert not (plan.parent / "rows.jsonl").exists(), "what is not whole is not examined"
    assert [whole for _, whole in go(plan)] == [True] * 8


def test_suites_that_come_with_the_package_are_plans_of_recipes():
    assert suite_names() == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    for name in suite_names():
        assert cells(load_suite(name)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, "seeds"),
        ({"axes": {}}, "axes"),
        ({"axes": []}, "axes"),
        ({"arms": 3}, "arms"),
        ({"exams": [{"depth": [0]}]}, "exams.0.depth"),
        ({"exams": [{"depth": [1], "split": "train"}]}, "split"),
        ({"axes": {"a": {"b": {"stepz": 3}}}}, "stepz"),
        ({"recipe": "nobody"}, "nobody"),
    ],
)
def test_what_is_no_suite_is_refused(change, message, plan):
    plan.write_text(json.dumps({**json.loads(plan.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        cells(load_suite(str(plan))[1])
    with pytest.raises(UserError, match="ablation"):
        load_suite("ablatoin")


def test_another_name_brings_its_own_options():
    base = {"model": {"name": "bdh", "options": {"n": 64}}, "steps": 3}
    assert lay_over(base, {"model": {"name": "transformer"}}) == {"model": {"name": "transformer"}, "steps": 3}
    assert lay_over(base, {"model": {"name": "bdh", "options": {"d": 8}}})["model"]["options"] == {"n": 64, "d": 8}
