"""Rows as W&B runs. The rows are the truth: whatever happens to a project there, it can be filled again from them, and the same rows make the same runs.

One run for each model on each kind of problems, with a curve over the latent steps; or, of problems with a horizon, one for each depth, with a curve over
the horizon. One more run holds all rows as a table.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bdh_reason.compare.horizon import curves, horizon_options
from bdh_reason.compare.table import latest, problem_name
from bdh_reason.errors import RunError
from bdh_reason.evaluate.rows import Row
from bdh_reason.tracking import Identity, Job, named, start

POINT = ("exact_match", "ci_low", "ci_high", "cell_accuracy", "bits_per_byte", "floor", "chance", "n")
TOTAL = (*POINT, "depth", "horizon", "params", "state_floats", "flops_per_problem", "train_flops", "problems_per_s")


@dataclass(frozen=True)
class Told:
    """What one run says: points of its curve, its summary, and rows for a table."""

    who: Identity
    history: tuple[dict[str, Any], ...] = ()
    summary: dict[str, Any] = field(default_factory=dict)
    table: tuple[Row, ...] = ()


def told(rows: Sequence[Row], group: str, job: Job, project: str, entity: str | None) -> list[Told]:
    """All runs that rows come to, the table last. Of rows that answer the same question the newest stays; failures are left out."""
    newest = [row for row in latest(rows) if not row.error]
    option = horizon_options([row for row in newest if row.horizon is not None])
    alike: dict[str, list[Row]] = defaultdict(list)
    names: dict[str, dict[str, Any]] = {}
    for row in newest:
        if row.difficulty is None:
            config = {key: value for key, value in row.config.items() if row.horizon is None or key != option[row.task]}
            about = _about(replace(row, config=config))
            alike[identity := json.dumps([project, group, about], sort_keys=True)].append(row)
            names[identity] = about
    runs = []
    for identity, its in alike.items():
        about, row = names[identity], its[0]
        config = {**named(row.arch or row.model, row.params, row.task, row.seed, row.match), **about}
        name = f"{row.model} on {about['problems']}"
        who = Identity(name, group, job, config, _id(identity), project=project, entity=entity)
        runs.append(_curve(who, its))
    whole = Identity(f"rows of {group}", group, "report", {}, _id(json.dumps([project, group])), project=project, entity=entity)
    return [*runs, Told(whole, summary={"rows/count": len(newest)}, table=tuple(newest))]


def _id(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _about(row: Row) -> dict[str, Any]:
    """What the rows of one run have in common, by names of its config."""
    kept = ("model", "recipe", "step", "weights", "task_version", "split", "mode", "restarts", "context")
    only = {"data_hash": row.data_hash} if row.horizon is None else {"depth": row.depth}
    return {"problems": f"{problem_name(row)} ({row.split})", **{name: getattr(row, name) for name in kept}, **only}


def _curve(who: Identity, rows: Sequence[Row]) -> Told:
    """The run of one model: of two rows at the same place that with more problems."""
    axis = "depth" if rows[0].horizon is None else "horizon"
    at = {getattr(row, axis): row for row in sorted(rows, key=lambda row: row.n)}
    places = sorted(place for place in at if place is not None)
    history = tuple({axis: place, **{f"{axis}/{name}": value for name, value in _values(at[place], POINT).items()}} for place in places)
    last = at[places[-1]] if places else rows[0]
    summary = {f"eval/{name}": value for name, value in _values(last, TOTAL).items()}
    for curve in curves(list(at.values())) if len(places) > 1 else ():  # one horizon is no curve
        summary |= {"eval/H90": curve.h90.value, "eval/area": curve.area.value}
    return Told(who, history, summary)


def _values(row: Row, names: Sequence[str]) -> dict[str, float]:
    return {name: value for name in names if (value := getattr(row, name)) is not None}


def log(runs: Sequence[Told], folder: Path, mode: str) -> Iterator[str]:
    """Logs each as a run of its own, in place of any of the same id, and yields its name. Offline runs lie in `folder`/wandb.

    Raises RunError where W&B is to be online and does not answer.
    """
    for told in runs:
        for older in folder.glob(f"wandb/*run-*-{told.who.id}"):
            shutil.rmtree(older)
        run = start(folder, told.who, mode)
        if mode == "online" and run.offline:
            run.finish()
            raise RunError("W&B does not answer: the same command makes the same runs later")
        for point in told.history:
            run.log(point)
        if told.table:
            run.log({"rows": _table(told.table)})
        run.summary.update(told.summary)
        run.finish()
        yield told.who.name


def _table(rows: Sequence[Row]) -> Any:
    import wandb

    columns: list[str | int] = [field.name for field in fields(Row)]
    lines = [[json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value for value in asdict(row).values()] for row in rows]
    return wandb.Table(columns=columns, data=lines, allow_mixed_types=True)
