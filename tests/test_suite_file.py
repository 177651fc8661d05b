"""What is wrong in the file of a suite is told with its line before anything is done."""

import json
from pathlib import Path

import pytest
from test_suite import sizes
from toy import installed

from bdh_reason.errors import UserError
from bdh_reason.suite.plan import load_plan

pytestmark = pytest.mark.usefixtures(installed.__name__)


@pytest.fixture
def plan(tmp_path) -> Path:
    return sizes(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, r"seeds of .*sizes.yaml, line 6"),
        ({"seeds": [0, 1, 0]}, r"seed 0 twice in .*sizes.yaml, line 6"),
        ({"axes": {}}, r"axes of .*line 5"),
        ({"axes": []}, r"axes of .*line 5"),
        ({"seedz": [3]}, r"unknown key 'seedz' in .*sizes.yaml, line 8.*did you mean 'seeds'"),
        ({"exams": [{"depth": [0]}]}, "exams.0.depth.* line 7"),
        ({"exams": [{"depth": [1], "split": "train"}]}, "split"),
        (
            {"exams": [{"deep": [1]}]},
            r"unknown key 'exams.0.deep' in .*sizes.yaml, line 7; allowed: exams.0.data, exams.0.depth, .*mean 'exams.0.depth'",
        ),
        ({"exams": [{"task": "sudokoo"}]}, r"sizes.yaml, line 7: unknown task 'sudokoo'.*did you mean 'sudoku'"),
        ({"exams": [{"task": "sudoku"}]}, r"line 7: task sudoku, on which narrow-still is not trained; allowed: toy"),
        ({"axes": {"size": {}}}, r"axes.size of .*line 5.*at least 1 item"),
        ({"axes": {"a": {"b": {"stepz": 3}}}}, r"arm b of .*sizes.yaml, line 5: unknown key 'stepz'.*did you mean 'steps'"),
        ({"axes": {"a": {"b": {}, "c": {"depth": 2}}}}, "b and c of .*line 5 are the same run"),
        ({"recipe": "nobody"}, "nobody"),
        ({"match": {"axis": "sizee"}}, r"unknown axis 'sizee' in .*line 8.*did you mean 'size'"),
        ({"match": {"axis": "size", "by": "luck"}}, "match.by of .*line 8"),
    ],
)
def test_what_is_no_suite_is_refused(change, message, plan):
    given = {**json.loads(plan.read_text()), **change}
    plan.write_text("# a comment\n\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in given.items()))
    with pytest.raises(UserError, match=message):
        load_plan(str(plan))
    with pytest.raises(UserError, match="ablation"):
        load_plan("ablatoin")


@pytest.mark.parametrize("key", ["axes", "recipe", "seeds", "exams"])
def test_what_is_not_said_is_named(key, plan):
    plan.write_text(json.dumps({name: value for name, value in json.loads(plan.read_text()).items() if name != key}))
    with pytest.raises(UserError, match=rf"no {key} in .*sizes.yaml, line 1; a suite has to say it"):
        load_plan(str(plan))


def test_a_size_that_stands_twice_is_no_rung_that_is_lost(plan):
    plan.write_text(plan.read_text().replace('"narrow": {}', '"wide": {}'))
    with pytest.raises(UserError, match=r"the key 'wide' twice in .*sizes.yaml, line 1"):
        load_plan(str(plan))


def test_a_path_to_a_suite_of_the_package_is_told_its_name_and_a_real_one_is_read(plan):
    with pytest.raises(UserError, match=r"unknown suite 'ladders/small.yaml'.*the name alone, small, stands for the suite that comes with the package"):
        load_plan("ladders/small.yaml")
    (plan.parent / "small.yaml").write_text(plan.read_text())
    assert len(load_plan(str(plan.parent / "small.yaml")).cells) == 8


def test_a_name_that_yaml_reads_as_a_number_wants_quotes_and_a_file_of_another_encoding_is_named(plan):
    given = json.loads(plan.read_text())
    plan.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in {**given, "axes": 0}.items()).replace("axes: 0", "axes:\n  lr:\n    5e-4: {}"))
    with pytest.raises(UserError, match=r"the key 0.0005 of .*sizes.yaml, line 5, which YAML reads as no text; .*put it in quotes"):
        load_plan(str(plan))
    plan.write_text(plan.read_text().replace("5e-4", '"5e-4"'))
    assert [cell.arm for cell in load_plan(str(plan)).cells] == ["5e-4", "5e-4"]
    plan.write_bytes(b"seeds: \xff")
    with pytest.raises(UserError, match=r"sizes.yaml is not text in UTF-8: byte 7; allowed: a suite in YAML"):
        load_plan(str(plan))
