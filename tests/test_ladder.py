"""A ladder can be killed anywhere and goes on, a cell that fails is a row, and its rows say what they can and no more."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from test_cli import bdh_reason
from test_train import interrupt, recipe
from toy import installed

from bdh_reason import rng
from bdh_reason.compare import gaps
from bdh_reason.compare.refill import told
from bdh_reason.compare.report import report
from bdh_reason.errors import UserError
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.rows import Row, append, locate, read
from bdh_reason.files import alone
from bdh_reason.suite import run as running
from bdh_reason.suite.fit import fit, lines, table
from bdh_reason.suite.plan import Plan, load_plan
from bdh_reason.suite.price import prices
from bdh_reason.suite.run import Places, run
from bdh_reason.train.module import Learner

pytestmark = pytest.mark.usefixtures(installed.__name__)
TRANSFORMER = {"model": {"name": "transformer", "options": {"d": 8, "heads": 2, "hidden": 16, "relations": False, "coordinates": True}}}
RUN = ("created", "problems_per_s", "commit", "weights")  # what two runs do not share; the last is a hash of the weights and of the id that W&B gave the run


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def ladder(tmp_path) -> Path:
    (tmp_path / "base.yaml").write_text(recipe(steps=6).model_dump_json())
    sizes = {str(n): {"model": {"options": {"n": n}}} for n in (16, 64)}
    suite = {"recipe": str(tmp_path / "base.yaml"), "axes": {"size": sizes, "arch": {"bdh": {}, "transformer": TRANSFORMER}}}
    suite |= {"match": {"axis": "arch", "by": "params"}, "seeds": [0], "exams": [{"split": "test"}]}
    return write(tmp_path, suite)


def write(folder: Path, suite: dict) -> Path:
    (folder / "rungs.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in suite.items()))
    return folder / "rungs.yaml"


def go(ladder: Path, name: str = "runs") -> list[str]:
    places = Places(ladder.parent / name, ladder.parent / "data", ladder.parent / name / "rows.jsonl", ladder.parent / name / "probes.jsonl")
    return [status for _, status in run(load_plan(str(ladder)), places, "cpu", None, lambda *_: None)]


def results(folder: Path) -> list[dict]:
    return [{name: value for name, value in asdict(row).items() if name not in RUN} for row in read([folder / "rows.jsonl"])]


def stop_at(point: str, count: int, ladder: str) -> None:
    """In the child process of `killed`: runs the ladder, and waits to be killed when something is done for the count-th time."""
    from bdh_reason.train import callbacks

    owner = Learner if point == "optimizer_step" else running
    whole, left = getattr(owner, point), [count]

    def counted(*args, **options):
        left[0] -= 1
        if not left[0]:
            print("here", flush=True)
            signal.pause()
        return whole(*args, **options)

    callbacks.KEEP_EVERY = 0.0
    setattr(owner, point, counted)
    go(Path(ladder))


def killed(point: str, count: int, ladder: Path) -> None:
    code = f"import test_ladder; test_ladder.stop_at({point!r}, {count}, {str(ladder)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        assert any(line == "here\n" for line in child.stdout), "it ended before it could be killed"
        child.kill()


def test_a_ladder_killed_twice_has_the_rows_of_an_undisturbed_one(ladder):
    assert go(ladder, "undisturbed") == ["done"] * 4
    killed("_add", 2, ladder)  # the rows of the second cell are in its record and not in the file
    assert len({row["model"] for row in results(ladder.parent / "runs")}) == 1
    killed("optimizer_step", 4, ladder)  # the third cell is half trained
    assert len({row["model"] for row in results(ladder.parent / "runs")}) == 2
    assert go(ladder) == ["done"] * 4
    assert results(ladder.parent / "runs") == results(ladder.parent / "undisturbed")
    assert go(ladder) == ["done"] * 4
    assert results(ladder.parent / "runs") == results(ladder.parent / "undisturbed"), "nothing was done twice"


def test_pairs_have_as_many_parameters_and_the_plan_says_how_nearly(ladder):
    cells = load_plan(str(ladder)).cells
    assert [cell.arm for cell in cells] == ["16-bdh", "16-transformer", "64-bdh", "64-transformer"]
    params = {line["place"]: line["params"] for line in prices(load_plan(str(ladder)), "cpu")}
    for size in ("16", "64"):
        one, two = (params[f"seed0/{size}-{arch}"] for arch in ("bdh", "transformer"))
        cell = next(cell for cell in cells if cell.arm == f"{size}-transformer")
        assert cell.mismatch == pytest.approx(two / one - 1)
        assert abs(cell.mismatch) < 0.03
    assert [(cell.recipe.match, cell.mismatch is None) for cell in cells] == [("params", True), ("params", False)] * 2
    done = bdh_reason("scale", "plan", str(ladder), cwd=ladder.parent)
    assert done.stdout.count(" parameters") == 4
    assert re.search(r"params [+-]\d\.\d\d%", done.stdout)
    assert all(word in done.stdout.splitlines()[-1] for word in ("4 cells", "FLOP", " h ", "GB", "assumed"))
    assert [json.loads(line)["params"] for line in bdh_reason("suite", "plan", str(ladder), "--json", cwd=ladder.parent).stdout.splitlines()] == [
        *params.values()
    ]


def test_a_cell_that_fails_is_one_row_the_others_are_done_and_the_exit_code_is_1(ladder):
    suite = _content(ladder)
    suite["axes"]["size"]["64"]["batch"] = 10_000
    write(ladder.parent, suite)
    for _ in range(2):  # again: it is tried again, and its row is there already
        done = bdh_reason("scale", "run", str(ladder), "--out", "runs", "--data", "data", cwd=ladder.parent)
        assert done.returncode == 1, done.stderr
        assert done.stdout.splitlines() == [f"seed0/{arm}" for arm in ("16-bdh done", "16-transformer done", "64-bdh failed", "64-transformer failed")]
        rows = read([ladder.parent / "runs" / "rows.jsonl"])
        failed = [row for row in rows if row.error]
        assert [(row.recipe, row.seed, row.n, row.exact_match) for row in failed] == [("64-bdh", 0, 0, None), ("64-transformer", 0, 0, None)]
        assert all("UserError: a batch of 10000" in str(row.error) for row in failed)
    assert "64-bdh, seed 0, on toy failed: UserError: a batch of 10000" in report(rows)
    assert len(told(rows, "g", "eval", "p", None)[-1].table) == len(rows) - 2, "a failure has no point on a dashboard"
    suite["axes"]["size"]["64"]["batch"] = 8
    write(ladder.parent, suite)
    assert go(ladder) == ["done"] * 4
    assert "failed" not in report(read([ladder.parent / "runs" / "rows.jsonl"])), "what has a result since is no failure"


def _content(ladder: Path) -> dict:
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in ladder.read_text().splitlines())}


def test_an_interrupt_is_no_failure_and_leaves_no_row(ladder, monkeypatch):
    interrupt(2, monkeypatch)
    done = bdh_reason("scale", "run", str(ladder), "--out", "runs", "--data", "data", cwd=ladder.parent)
    assert done.returncode == 1
    assert "the same command continues" in done.stderr
    assert not (ladder.parent / "runs" / "rows.jsonl").exists()


def test_a_cell_that_another_process_is_at_is_left_to_it(ladder):
    with alone(ladder.parent / "runs" / "holds" / "seed0" / "16-bdh", wait=False):
        assert go(ladder) == ["busy", "done", "done", "done"]
    assert go(ladder) == ["done"] * 4


def rung(size: int, n: int) -> dict:
    return {"model": {"options": {"n": n}}, "depth": 2, "steps": 6 + size}


@pytest.fixture
def long(ladder) -> Plan:
    """A ladder of six rungs, of which only the rows will be made up."""
    suite = _content(ladder)
    suite["axes"]["size"] = {f"s{size}": rung(size, 16 << size) for size in range(6)}
    return load_plan(str(write(ladder.parent, {**suite, "seeds": [0, 1]})))


def located(path: Path) -> list:
    found, complaints = locate([path])
    assert complaints == []
    return found


def made_up(plan: Plan, path: Path, n: int = 4000, exponent: float = 0.4) -> list:
    """Rows of every cell of a plan, whose error falls with size by a known law; transformers are worse by the same share everywhere."""
    known = {name: None if str(field.type).endswith("| None") else {} for name, field in Row.__dataclass_fields__.items()}
    known |= dict.fromkeys(("created", "task_version", "split", "mode", "device", "dtype", "commit"), "x")
    rows = []
    for cell, price in zip(plan.cells, prices(plan, "cpu")):
        worse = 1.3 if cell.recipe.model.name == "transformer" else 1.0
        error = worse * (0.05 + 0.2 * (price["params"] / 2000) ** -exponent) * np.exp(rng.generator(cell.recipe.seed, cell.arm).normal(0, 0.01))
        right_n = np.arange(n) >= round(n * error)
        about = {"task": "toy", "recipe": cell.recipe.name, "model": cell.arm, "arch": cell.recipe.model.name, "seed": cell.recipe.seed, "depth": 3, "n": n}
        about |= {"params": price["params"], "train_flops": price["train_flops"], "exact_match": float(right_n.mean()), "chance": 0.1, "data_hash": "d" * 64}
        about |= dict.fromkeys(("ci_low", "ci_high", "cell_accuracy"), about["exact_match"])
        row = Row(**{**known, **about, "schema": 7, "items": "abc", "outcomes": outcomes.pack(right_n)})
        rows.append(row)
    append(path, rows)
    return located(path)


def test_six_rungs_make_a_law_that_has_the_known_exponent_in_its_interval(long, tmp_path):
    found = fit(long, made_up(long, tmp_path / "made.jsonl"), draws=100)
    assert (found.rungs, found.missing, found.gaps) == (6, 0, [])
    assert [(curve.arm, len(curve.loss_P)) for curve in found.curves] == [("bdh", 12), ("transformer", 12)]
    for curve in found.curves:
        law = curve.laws["parameters"]
        assert law.exponent.low <= 0.4 <= law.exponent.high
        assert set(curve.x["data"]) == {8.0 * (6 + size) for size in range(6)}
        assert all(curve.laws.values())
    text = table(found)
    assert text.count("\n| toy") == 6
    assert re.search(r"s0 [+-]\d\.\d%, s1 ", text)
    assert "Huber" in text
    assert [json.loads(json.dumps(line))["against"] for line in lines(found)] == ["parameters", "training FLOPs", "data"] * 2


def test_fewer_rungs_give_only_the_gaps_of_pairs(ladder, tmp_path):
    plan = load_plan(str(ladder))
    found = fit(plan, made_up(plan, tmp_path / "made.jsonl"))
    assert (found.rungs, found.curves) == (2, [])
    assert [its.models for its in found.gaps] == [("16 bdh", "16 transformer"), ("64 bdh", "64 transformer")]
    assert all(its.test.gap.low > 0 for its in found.gaps)
    assert "McNemar" in gaps.table(found.gaps)
    done = bdh_reason("scale", "fit", str(ladder), "--rows", str(tmp_path / "made.jsonl"), "--json", cwd=tmp_path)
    assert "too few for a law" in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_of_a_ladder_that_was_prolonged_the_newest_weights_count(ladder, tmp_path):
    plan = load_plan(str(ladder))
    found = made_up(plan, tmp_path / "made.jsonl")
    older = [its._replace(row=replace(its.row, weights="before", created="2000", exact_match=0.0)) for its in found]
    fitted = fit(plan, [*found, *older])
    assert fitted.older == len(found)
    assert fitted.gaps == fit(plan, found).gaps


def test_what_did_not_vary_is_not_fitted_and_missing_cells_are_counted(long, tmp_path):
    found = made_up(long, tmp_path / "made.jsonl")
    same = Plan(long.name, long.path, long.suite, tuple(replace(cell, recipe=cell.recipe.model_copy(update={"steps": 6})) for cell in long.cells))
    curve = fit(same, found[1:], draws=20)
    assert curve.missing == 1
    assert [its.laws["data"] for its in curve.curves] == [None, None]
    assert "not fitted: 6 values are needed" in table(curve)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_hash": "e" * 64}, r"made.jsonl, line 3: .* of data eeeeeeeeeeee.*made.jsonl, line 1.*evaluate both on the same"),
        ({"items": "xyz"}, r"line 3: .* xyz"),
        ({"recipe": "16-bdh", "params": None}, r"line 1 and .*line 3 are both of .*one row of each run"),
        ({"recipe": "16-bdh"}, r"line 3: 16-bdh of 7,736 parameters; allowed: 6,584, as in the plan"),
        ({"step": 600}, r"line 3: \S+ at step 600; allowed: step \d+, or one before"),
        ({"step": 1}, r"line 3: \S+ at step 1; allowed"),
    ],
)
def test_rows_that_do_not_belong_together_are_named_by_file_and_line(change, message, ladder, tmp_path):
    path = tmp_path / "made.jsonl"
    made_up(load_plan(str(ladder)), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | (change if place == 2 else {})) + "\n" for place, row in enumerate(rows)))
    with pytest.raises(UserError, match=message):
        fit(load_plan(str(ladder)), located(path))


def test_data_is_that_of_the_weights_which_may_be_the_best_of_an_earlier_validation(long, tmp_path):
    early = [replace(cell, recipe=cell.recipe.model_copy(update={"validation": cell.recipe.validation.model_copy(update={"every": 3})})) for cell in long.cells]
    found = [its._replace(row=replace(its.row, step=3)) for its in made_up(long, tmp_path / "made.jsonl")]
    assert {tuple(set(curve.x["data"])) for curve in fit(replace(long, cells=tuple(early)), found, draws=20).curves} == {(8.0 * 3,)}


def test_a_line_that_is_no_row_or_of_another_schema_is_named_and_loses_nothing_else(ladder, tmp_path):
    path = tmp_path / "made.jsonl"
    made_up(load_plan(str(ladder)), path)
    whole = bdh_reason("scale", "fit", str(ladder), "--rows", str(path), cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first, "{half a row", json.dumps({**json.loads(first), "schema": 99}), *others]) + "\n")
    done = bdh_reason("scale", "fit", str(ladder), "--rows", str(path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, whole.stdout)
    assert f"{path}, line 2 is no row" in done.stderr
    assert f"{path}, line 3 has schema version 99" in done.stderr


def test_a_suite_without_sizes_is_no_ladder(ladder):
    suite = _content(ladder)
    suite["axes"] = {"arch": suite["axes"]["arch"]}
    with pytest.raises(UserError, match=r"rungs.yaml is no ladder; allowed: a suite with an axis named size"):
        fit(load_plan(str(write(ladder.parent, suite))), [])


def test_one_model_is_made_as_large_as_another_from_the_command_line(tmp_path):
    done = bdh_reason("scale", "match", "sudoku6-transformer", "--like", "sudoku6", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["target"] == 24736
    assert abs(found["mismatch"]) < 0.005
    assert found["figure"] == pytest.approx(found["target"] * (1 + found["mismatch"]))
    assert "params, " in bdh_reason("scale", "match", "sudoku6", "--target", "1e6", cwd=tmp_path).stdout
    for wrong in ((), ("--like", "sudoku6", "--target", "3")):
        done = bdh_reason("scale", "match", "sudoku6", *wrong, cwd=tmp_path)
        assert (done.returncode, "one of them" in done.stderr) == (2, True)
