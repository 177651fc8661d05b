"""The comparison dashboard of W&B as code: one saved view of a project, in which lines are tasks, models and sizes and bands are seeds.

`definition` is pure: the same code gives the same JSON, which lies in results/dashboard.json. `save` sends it.
"""

from __future__ import annotations

from typing import Any

from bdh_reason.errors import RunError

NAME = "BDH and others"
VIEW = "nw-bdhreason-v"  # the view's own name in its project: saved again it is changed, not doubled
GROUPS = ("task", "arch", "size")
PINNED = ("config:arch", "config:size", "config:task", "config:seed", "config:match", "summary:eval/exact_match", "summary:eval/bits_per_byte")
BY = {"step": "optimiser step", "problems_seen": "problems seen", "train_flops": "training FLOPs"}
SCALES = {"params": "parameters", "train_flops": "training FLOPs", "state_floats": "floats of state", "flops_per_problem": "FLOPs of an answer"}


def _sections() -> dict[str, list[Any]]:
    """Panels by section."""
    from wandb_workspaces.reports.v2.interface import MediaBrowser, RunComparer, WeavePanelSummaryTable

    return {
        "Accuracy": [
            _bar("eval/exact_match", "exact_match, at the deepest or longest asked"),
            _bar("eval/bits_per_byte", "bits_per_byte"),
            *(_line("validation/exact_match", axis) for axis in BY),
            *(_line("validation/bits_per_byte", axis) for axis in ("step", "train_flops")),
            *(_line("train/loss", axis, log_y=True) for axis in BY),
            MediaBrowser(title="boards after the last step", media_keys=["boards"], num_columns=2),
            WeavePanelSummaryTable(table_name="rows"),
            RunComparer(diff_only="split"),
        ],
        "Scaling": [*(_scatter("exact_match", scale) for scale in SCALES), *(_scatter("bits_per_byte", scale) for scale in ("params", "train_flops"))],
        "Horizon": [
            _line("horizon/exact_match", "horizon", log_x=True),
            _line("horizon/cell_accuracy", "horizon", log_x=True),
            _bar("eval/H90", "H90: the longest horizon up to which exact_match is 0.9"),
            _bar("eval/area", "area under exact_match over log₂ of the horizon"),
            _scatter("area", "params"),
        ],
        "Depth": [_line(f"depth/{name}", "depth", log_x=True) for name in ("exact_match", "cell_accuracy", "bits_per_byte")],
        "Throughput": [
            *(_line(f"throughput/{name}_per_s", "step") for name in ("board_steps", "problems", "flops")),
            _bar("eval/problems_per_s", "problems answered a second"),
        ],
        "BDH inside": [
            *(_line(f"bdh/active_{name}_{when}", "step") for name in "xy" for when in ("first", "last")),
            _line("train/gradient_norm", "step", log_y=True),
        ],
    }


def _line(metric: str, axis: str, log_x: bool = False, log_y: bool = False) -> Any:
    from wandb_workspaces.reports.v2.interface import LinePlot

    title = f"{metric.split('/', 1)[1]} by {BY.get(axis, axis)}"
    bands: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
    return LinePlot(title=title, x=axis, y=[metric], log_x=log_x or axis == "train_flops", log_y=log_y, title_x=BY.get(axis, axis), **bands)


def _bar(metric: str, title: str) -> Any:
    from wandb_workspaces.reports.v2.interface import BarPlot

    return BarPlot(title=title, metrics=[metric], max_bars_to_show=40)


def _scatter(metric: str, scale: str) -> Any:
    from wandb_workspaces.reports.v2.interface import ScatterPlot, SummaryMetric

    return ScatterPlot(title=f"{metric} against {SCALES[scale]}", x=SummaryMetric(f"eval/{scale}"), y=SummaryMetric(f"eval/{metric}"), log_x=True)


def workspace(project: str, entity: str = "") -> Any:
    """The view as wandb-workspaces has it. Its ids, which would be drawn at random, come from where a panel stands."""
    from wandb_workspaces import workspaces
    from wandb_workspaces.expr import Config

    sections = []
    for name, panels in _sections().items():
        section = workspaces.Section(name=name, panels=panels, is_open=True)
        for place, panel in enumerate(panels):
            panel._id = f"{name.lower().replace(' ', '-')}-{place}"
        sections.append(section)
    runs = workspaces.RunsetSettings(groupby=[Config(group) for group in GROUPS], pinned_columns=list(PINNED))
    view = workspaces.Workspace(entity=entity, project=project, name=NAME, sections=sections, runset_settings=runs)
    view.settings.x_axis, view.settings.max_runs = "step", 100
    view._internal_name, view._internal_runset_id = VIEW, "bdh-reason"
    return view


def definition(project: str) -> dict[str, Any]:
    """What is saved, as JSON; it names no account."""
    spec = workspace(project)._to_model().spec.model_dump(by_alias=True, exclude_none=True, mode="json")
    return {"name": NAME, "project": project, "view": VIEW, "spec": spec}


def save(project: str, entity: str | None) -> str:
    """Saves the view in a project that is there or not, of the account's own entity where none is named; returns its address. Raises RunError where W&B
    does not take it.
    """
    import wandb
    from wandb_workspaces.workspaces.internal import View

    try:
        api = wandb.Api()
        chosen = entity or api.default_entity or ""
        api.create_project(project, chosen)
        view = workspace(project, chosen)
        try:
            view._internal_id = View.from_name(chosen, project, VIEW).id
        except ValueError:  # there is none yet
            view._internal_id = ""
        return str(view.save().url)
    except (wandb.errors.Error, OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"W&B did not take the dashboard: {error}") from error
