"""A suite runs every arm with every seed, never twice, and goes on where it was stopped."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_train import recipe
from toy import installed

from bdh_reason.cli.suite import suite as suite_cli
from bdh_reason.compare import probe
from bdh_reason.data.build import build
from bdh_reason.errors import InterruptedRunError, RunError, UserError
from bdh_reason.evaluate.rows import read
from bdh_reason.suite import run as running
from bdh_reason.suite.plan import FOLDER, load_plan, suite_names
from bdh_reason.suite.run import Places, run
from bdh_reason.train import checkpoint
from bdh_reason.train.plan import cost
from bdh_reason.train.recipe import lay_over

pytestmark = pytest.mark.usefixtures(installed.__name__)
ARMS = {"size": {"narrow": {}, "wide": {"model": {"options": {"n": 32}}}}, "noise": {"still": {"loop": {"noise": 0.0}}, "noisy": {}}}


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def plan(tmp_path) -> Path:
    return sizes(tmp_path)


def sizes(tmp_path: Path) -> Path:
    """A suite of four arms and two seeds."""
    (tmp_path / "base.yaml").write_text(recipe().model_dump_json())
    suite = {"recipe": str(tmp_path / "base.yaml"), "settings": {"steps": 3}, "axes": ARMS, "seeds": [0, 1], "exams": [{"depth": [1, 2]}]}
    (tmp_path / "sizes.yaml").write_text(json.dumps(suite))
    return tmp_path / "sizes.yaml"


def go(plan, seconds=None):
    places = Places(plan.parent / "runs", plan.parent / "data", plan.parent / "rows.jsonl", plan.parent / "probes.jsonl")
    return list(run(load_plan(str(plan)), places, "cpu", seconds, lambda *_: None))


def test_the_cells_are_every_choice_of_every_axis_with_every_seed(plan):
    its = load_plan(str(plan))
    found = its.cells
    assert its.name == "sizes"
    assert [str(cell.place) for cell in found[:4]] == ["seed0/narrow-still", "seed0/narrow-noisy", "seed0/wide-still", "seed0/wide-noisy"]
    assert [cell.recipe.seed for cell in found] == [0] * 4 + [1] * 4
    assert [(cell.recipe.model.options["n"], cell.recipe.loop.noise) for cell in found[:4]] == [(16, 0.0), (16, 0.5), (32, 0.0), (32, 0.5)]
    assert {cell.recipe.steps for cell in found} == {3}


def test_several_products_of_axes_are_one_plan_and_no_two_arms_have_one_name(plan):
    given = json.loads(plan.read_text())
    plan.write_text(json.dumps({**given, "axes": [ARMS, {"other": {"longer": {"steps": 4}}}]}))
    found = load_plan(str(plan)).cells
    assert [cell.arm for cell in found] == ["narrow-still", "narrow-noisy", "wide-still", "wide-noisy", "longer"] * 2
    assert [cell.recipe.steps for cell in found[:5]] == [3, 3, 3, 3, 4]
    plan.write_text(json.dumps({**given, "axes": [ARMS, {"other": {"narrow-still": {}}}]}))
    with pytest.raises(UserError, match=r"two arms named narrow-still, one in .*sizes.yaml, line 1"):
        load_plan(str(plan))


def test_the_plan_tells_parameters_and_flops_of_every_cell_and_of_all(plan):
    *lines, last = CliRunner().invoke(suite_cli, ["plan", str(plan)]).stdout.splitlines()
    found = load_plan(str(plan)).cells
    sizes = [cell.recipe.reasoners()[0].model.size() for cell in found]
    told = [(line.split()[0], line.split("  ")[4].split(" parameters")[0]) for line in lines]
    assert told == [(str(cell.place), f"{size:,}") for cell, size in zip(found, sizes)]
    assert last.startswith(f"8 cells, {sum(cost(cell.recipe).training for cell in found):.3g} FLOP of training")


def test_every_cell_is_trained_and_examined_once(plan, monkeypatch):
    assert {status for _, status in go(plan)} == {"done"}
    rows = read([plan.parent / "rows.jsonl"])
    whole = {(row.model, row.seed, row.depth, row.split) for row in rows if row.difficulty is None}
    assert whole == {(f"{size}-{noise}", seed, depth, "validation") for size in ARMS["size"] for noise in ARMS["noise"] for seed in (0, 1) for depth in (1, 2)}
    before = (plan.parent / "rows.jsonl").read_bytes()
    for again in ("train", "examine"):
        monkeypatch.setattr(running, again, lambda *_, **__: pytest.fail("a cell was done again"))
    assert {status for _, status in go(plan)} == {"done"}
    assert (plan.parent / "rows.jsonl").read_bytes() == before


def test_a_suite_stops_when_its_time_is_over_and_goes_on(plan, monkeypatch):
    assert go(plan, seconds=0) == []
    honest = running.train
    with monkeypatch.context() as patch:
        patch.setattr(running, "train", lambda *args: honest(*args[:-2], 1e-3, args[-1]))
        assert [status for _, status in go(plan)] == ["stopped"] * 8
    assert not (plan.parent / "rows.jsonl").exists(), "what is not whole is not examined"
    assert [status for _, status in go(plan)] == ["done"] * 8


@pytest.fixture
def pair(plan):
    """Two cells."""
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "axes": {"noise": ARMS["noise"]}, "seeds": [0]}))
    return plan


class Killed(BaseException):
    """In place of SIGKILL, after which nothing is tidied up."""


def kill(plan, monkeypatch, before=lambda *_: None):
    """A call whose process dies in its first training, after what `before` does."""

    def die(recipe, data, folder, *_):
        before(folder)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(running, "train", die)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(Killed):
            go(plan)


def test_a_cell_that_is_killed_again_and_again_fails_in_a_row_and_the_others_go_on(pair, monkeypatch):
    for _ in range(1 + 3):  # the first leaves its data
        kill(pair, monkeypatch)
    for _ in range(2):
        statuses = go(pair)
        assert [status for _, status in statuses] == ["failed", "done"]
    (failure,) = [row for row in read([pair.parent / "rows.jsonl"]) if row.error]
    assert failure.error.startswith("RunError: begun 3 times and killed each time before anything new was kept")
    (pair.parent / "runs" / "seed0" / "still-begun.json").unlink()
    assert {status for _, status in go(pair)} == {"done"}


def test_a_cell_that_gets_on_may_be_killed_as_often_as_it_likes(pair, monkeypatch):
    def get_on(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "state.json").open("a") as file:
            file.write("on")

    monkeypatch.setattr(running, "refuse_another", lambda *_: None)
    for _ in range(1 + 2):
        kill(pair, monkeypatch)
    for _ in range(5):
        kill(pair, monkeypatch, get_on)
    for _ in range(2):
        kill(pair, monkeypatch)
    (pair.parent / "runs" / "seed0" / "still" / "state.json").unlink()
    assert {status for _, status in go(pair)} == {"done"}


def test_what_ends_in_its_own_words_is_no_kill(pair, monkeypatch):
    def interrupted(*_):
        raise InterruptedRunError("terminated")

    with monkeypatch.context() as patch:
        patch.setattr(running, "train", interrupted)
        for _ in range(4):
            with pytest.raises(InterruptedRunError):
                go(pair)
    assert {status for _, status in go(pair)} == {"done"}


def test_another_recipe_in_a_folder_is_seen_before_data_are_built(pair, monkeypatch):
    go(pair)
    pair.write_text(json.dumps({**json.loads(pair.read_text()), "settings": {"steps": 3, "batch": 4}}))
    monkeypatch.setattr(running, "splits", lambda *_: pytest.fail("built"))
    assert {status for _, status in go(pair)} == {"failed"}
    assert all("another recipe" in row.error for row in read([pair.parent / "rows.jsonl"]) if row.error)


def test_data_of_an_exam_and_files_of_rows_are_looked_for_before_anything_is_trained(pair, monkeypatch):
    monkeypatch.setattr(running, "train", lambda *_: pytest.fail("trained"))
    home = pair.parent
    for places in ({"rows": home}, {"rows": Path("/proc/nope/x")}, {"probes": home}):
        given = {"runs": home / "runs", "datasets": home / "data", "rows": home / "rows.jsonl", "probes": home / "probes.jsonl", **places}
        pair.write_text(json.dumps({**json.loads(pair.read_text()), "probes": [{"arms": ["still"], "task": "text"}]}))
        with pytest.raises(UserError, match="cannot write to"):
            list(run(load_plan(str(pair)), Places(**given), "cpu", None, lambda *_: None))
    pair.write_text(json.dumps({**json.loads(pair.read_text()), "exams": [{"data": "mine"}]}))
    with pytest.raises(UserError, match=r"sizes.yaml, line 1: no data set in .*data/mine"):
        go(pair)
    asked = CliRunner().invoke(suite_cli, ["plan", str(pair), "--data", str(home / "data")])
    assert "no data set in" in str(asked.exception)
    build("sudoku", {"box": [2, 2]}, home / "data" / "mine", 20, 0, (0.5, 0.5, 0.0))
    with pytest.raises(UserError, match=r"sizes.yaml, line 1: .*data/mine holds problems of task sudoku; allowed: toy"):
        go(pair)


def test_suites_that_come_with_the_package_are_plans_of_recipes():
    assert suite_names() == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    for name in suite_names():
        assert load_plan(name).cells


@pytest.fixture
def texts(tmp_path) -> Path:
    """Two arms of text, their merge, and one that starts with it."""
    tiny = {"task": {"options": {"documents": 60, "length": 64, "window": 16}}, "model": {"options": {"d": 8, "n": 16, "heads": 2}}, "steps": 2, "batch": 2}
    after = {"start": "joined", "model": {"options": {"n": 32, "pieces": [8, 8]}}, "parts": [{"share": 0.5}, {"share": 0.5, "task": other()}]}
    suite = {
        **{"recipe": "text", "settings": {**tiny, "validation": {"every": 2, "problems": 2}}, "seeds": [0]},
        **{"axes": {"arm": {"after": after, "one": {}, "two": {"task": other()}}}, "merges": {"joined": ["one", "two"]}},
        **{"exams": [{"task": "text", "split": "test"}], "probes": [{"arms": ["one", "joined"], "task": "text", "limit": 2, "concept": "words.tsv"}]},
    }
    (tmp_path / "words.tsv").write_text("".join(f"present\tab{n}\nabsent\tba{n}\n" for n in range(20)))
    (tmp_path / "texts.yaml").write_text(json.dumps(suite))
    return tmp_path / "texts.yaml"


def other():
    return {"name": "text", "options": {"documents": 60, "length": 64, "window": 16, "seed": 1}}


def test_arms_are_joined_as_soon_as_they_are_there_and_an_arm_starts_with_what_they_became(texts):
    assert [(cell.arm, status) for cell, status in go(texts)] == [(arm, "done") for arm in ("one", "two", "joined", "after")]
    cards = {arm: checkpoint.read(texts.parent / "runs" / "seed0" / arm / "model.json") for arm in ("joined", "after")}
    assert [parent["name"] for parent in cards["joined"].card.parents] == ["one", "two"]
    assert [parent["sha256"] for parent in cards["after"].card.parents] == [cards["joined"].sha256]
    assert [row.model for row in read([texts.parent / "rows.jsonl"])] == ["one", "two", "joined", "after"]


def test_an_arm_waits_for_what_it_is_made_of(texts, monkeypatch):
    honest = running.train

    def broken(chosen, *args):
        if chosen.name == "two":
            raise RunError("no luck")
        return honest(chosen, *args)

    with monkeypatch.context() as patch:
        patch.setattr(running, "train", broken)
        assert [status for _, status in go(texts)] == ["done", "failed", "waits", "waits"]
    assert [status for _, status in go(texts)] == ["done"] * 4


def test_a_probe_looks_once_at_the_arms_that_it_names(texts):
    for _ in range(2):
        go(texts)
        seen = probe.read([texts.parent / "probes.jsonl"])
        assert list(dict.fromkeys(row["model"] for row in seen)) == ["one", "joined"]
        assert {row["probe"] for row in seen} == {"density", "degrees", "modularity", "synapse"}
        assert sum(row["probe"] == "density" for row in seen) == 2 * 4
        assert {row["training_seed"] for row in seen} == {0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": {"joined": ["one", "three"]}}, "unknown arm 'three'"),
        ({"probes": [{"arms": ["nobody"], "task": "text"}]}, "unknown arm 'nobody'"),
        ({"merges": {"joined": ["after", "two"]}}, "which starts with a merge"),
    ],
)
def test_merges_and_probes_are_of_arms_that_there_are(change, message, texts):
    texts.write_text(json.dumps({**json.loads(texts.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        load_plan(str(texts))


def test_every_task_of_an_arm_is_examined(plan):
    mixed = [{"share": 0.5}, {"share": 0.5, "task": other(), "view": "cells", "reading": "sequence", "loop": {"feedback": False}}]
    settings = {"steps": 2, "validation": {"every": 2, "problems": 2}, "parts": mixed, "model": {"options": {"coordinates": False}}}
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "axes": {"arm": {"both": settings}}, "seeds": [0], "settings": {}}))
    assert {status for _, status in go(plan)} == {"done"}
    rows = [row for row in read([plan.parent / "rows.jsonl"]) if row.difficulty is None and row.depth == 1]
    assert [row.task for row in rows] == ["toy", "text"]
    assert len({row.weights for row in rows}) == 1


def test_another_name_brings_its_own_options():
    base = {"model": {"name": "bdh", "options": {"n": 64}}, "steps": 3}
    assert lay_over(base, {"model": {"name": "transformer"}}) == {"model": {"name": "transformer"}, "steps": 3}
    assert lay_over(base, {"model": {"name": "bdh", "options": {"d": 8}}})["model"]["options"] == {"n": 64, "d": 8}


def test_a_file_that_was_cut_off_inside_a_letter_takes_rows(tmp_path):
    path, record = tmp_path / "rows.jsonl", tmp_path / "record.jsonl"
    path.write_bytes('{"difficulty": "0–'.encode()[:-1])
    record.write_text('{"a": "≤0"}\n{"b": 1}\n', encoding="utf-8")
    for _ in range(2):
        running._add(record, path)
    assert path.read_bytes().split(b"\n")[1:] == ['{"a": "≤0"}'.encode(), b'{"b": 1}', b""]
