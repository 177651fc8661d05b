"""The dashboard's definition: the one in the repository is what the code builds, and it shows what is logged."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from test_table import ROW

from bdh_reason import tracking
from bdh_reason.cli import cli
from bdh_reason.compare.dashboard import GROUPS, definition
from bdh_reason.compare.refill import POINT, TOTAL, told

ROOT = Path(__file__).parent.parent


def test_the_definition_in_the_repository_is_what_the_code_builds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "has_key", lambda: False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    done = CliRunner().invoke(cli, ["dashboard"], catch_exceptions=False)
    assert "wandb login" in done.stderr
    assert (tmp_path / "results" / "dashboard.json").read_bytes() == (ROOT / "results" / "dashboard.json").read_bytes()


def sections() -> list[dict[str, Any]]:
    return definition("p")["spec"]["section"]["panelBankConfig"]["sections"]


def shown() -> set[str]:
    """The metrics that any panel names."""
    panels = [json.dumps(panel["config"]) for section in sections() for panel in section["panels"]]
    return {name for panel in panels for name in re.findall(r'"(?:summary:)?([a-z]+/\w+)"', panel)}


def test_one_horizon_is_no_curve_and_has_no_area():
    rows = [replace(ROW, task="words", config={"length": at}, horizon=at, mode="in_place", depth=6, chance=0.1) for at in (8, 16)]
    one, two = (told(rows[:count], "g", "eval", "p", None)[0].summary for count in (1, 2))
    assert not {"eval/H90", "eval/area"} & set(one)
    assert {"eval/H90", "eval/area"} <= set(two)


def test_every_section_is_there_and_lines_are_grouped_by_what_every_run_has():
    assert [section["name"] for section in sections()] == ["Accuracy", "Scaling", "Horizon", "Depth", "Throughput", "BDH inside"]
    ids = [panel["__id__"] for section in sections() for panel in section["panels"]]
    assert len(set(ids)) == len(ids)
    (runs,) = definition("p")["spec"]["section"]["runSets"]
    assert [key["name"] for key in runs["grouping"]] == [f"{name}.value" for name in GROUPS]
    assert set(GROUPS) <= set(tracking.named("bdh", 1, "toy", 0, ""))


def test_every_panel_of_evaluations_shows_something_that_rows_hold():
    held = {"eval": {*TOTAL, "H90", "area"}, "horizon": {*POINT}, "depth": {*POINT}}
    asked = [name.split("/") for name in shown()]
    assert {kind for kind, _ in asked} == {*held, "train", "validation", "throughput", "bdh"}
    assert [(kind, metric) for kind, metric in asked if kind in held and metric not in held[kind]] == []
