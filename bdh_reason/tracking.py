"""Weights & Biases: how runs begin, what they are called, and how offline ones are pushed. Nothing here imports wandb before a run is logged.

Online where a key is configured, otherwise offline with one line that says so. The rows of `eval` stay the truth.
"""

from __future__ import annotations

import importlib.util
import netrc
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bdh_reason.errors import RunError, UserError

PROJECT = "bdh-reason"
MODES = ("online", "offline", "disabled")
AXES = {"train/*": "step", "validation/*": "step", "throughput/*": "step", "bdh/*": "step", "horizon/*": "horizon", "depth/*": "depth"}
UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))
GIVE_UP = 120  # seconds that the end of a run waits for a lost connection; what is not uploaded then lies on the disk
Job = Literal["train", "eval", "scale", "report"]


@dataclass(frozen=True)
class Identity:
    """What a run is called: `group` is its ladder or suite; the same `id` again replaces the run, or goes on with it where it `continues`.

    `config`: what dashboards group and filter by, as `named` makes it, and whatever else.
    """

    name: str
    group: str
    job: Job
    config: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    continues: bool = False
    project: str = PROJECT
    entity: str | None = None


def named(arch: str, params: int | None, task: str, seed: int | None, match: str | None) -> dict[str, Any]:
    """The flat names that every run's config has."""
    return {"arch": arch, "size": short(params or 0), "params": params or 0, "task": task, "seed": seed, "match": match or "none"}


def short(count: int) -> str:
    """Three digits of a number of parameters, e.g. 98.6k."""
    unit, letter = next(((unit, letter) for unit, letter in UNITS if count >= unit), (1, ""))
    return f"{count / unit:.3g}{letter}"


def has_key() -> bool:
    """Whether an API key lies in the environment or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    own = os.environ.get("WANDB_BASE_URL", "")
    return any("wandb" in host or "coreweave" in host or host in own for host in hosts)


def mode(online: bool = False) -> str:
    """One of MODES: what WANDB_MODE says, else online where there is a key. Raises UserError for another word there, and where online is asked (there or
    by `online`) and there is no key or no wandb.
    """
    asked = os.environ.get("WANDB_MODE", "")
    if not asked:
        os.environ.pop("WANDB_MODE", None)  # wandb would take the empty word for a mode
    if asked not in ("", *MODES):
        raise UserError(f"WANDB_MODE={asked}", ", ".join(MODES))
    if online and asked not in ("", "online"):
        raise UserError(f"--online while WANDB_MODE={asked}", "one of them")
    chosen = "online" if online else asked or ("online" if has_key() else "offline")
    if chosen == "online" and not has_key():
        given = "--online" if online else "WANDB_MODE=online"
        raise UserError(f"{given} without an API key of W&B", "a key in WANDB_API_KEY or the netrc file", "`wandb login` puts one there; without it: offline")
    if importlib.util.find_spec("wandb") is None and chosen != "disabled":
        if online:
            raise UserError("--online, but wandb is not installed", remedy="pip install wandb wandb-workspaces")
        print("W&B: wandb is not installed, nothing is logged", file=sys.stderr)
        return "disabled"
    return chosen


def start(folder: Path, who: Identity, mode: str, must: bool = False) -> Any:
    """A wandb run with the axes of AXES, whose files lie in `folder`/wandb; offline where nothing answers or the key is not taken. Raises UserError there
    where it `must` be online.
    """
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = _init(folder, who, mode)
    except (wandb.errors.CommError, wandb.errors.UsageError) as error:
        wandb.teardown()  # its service would hold the id
        if must:
            said, remedy = str(error).partition("\n")[0], "try again later, or without --online: `dashboard sync` then pushes it"
            raise UserError(f"--online, but W&B does not take the run: {said}", remedy=remedy) from error
        print(f"W&B: a key is configured, but logging goes offline: {error}", file=sys.stderr)
        run = _init(folder, who, "offline")
    for axis in dict.fromkeys(AXES.values()):
        run.define_metric(axis)
    for names, axis in AXES.items():
        run.define_metric(names, step_metric=axis)
    return run


def _init(folder: Path, who: Identity, mode: str) -> Any:
    import wandb

    return wandb.init(
        project=who.project,
        entity=who.entity,
        name=who.name,
        dir=folder,
        id=who.id,
        resume="allow" if who.continues else None,
        group=who.group,
        job_type=who.job,
        mode=mode,  # type: ignore[arg-type]
        config=dict(who.config),
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", init_timeout=20, finish_timeout=GIVE_UP, x_disable_stats=mode != "online"),
    )


def unpushed(folders: Iterable[Path], unfinished: bool = False) -> list[Path]:
    """The offline runs anywhere in some folders that were not pushed since they were last written, oldest first; with `unfinished` also online ones, whose
    upload may have been cut.
    """
    kinds = ("offline-run-*", *(("run-*",) if unfinished else ()))
    found = {file for folder in folders for kind in kinds for file in folder.rglob(f"wandb/{kind}/run-*.wandb")}
    return sorted((file.parent for file in found if not _pushed(file)), key=lambda run: run.name.split("run-", 1)[1])


def _pushed(file: Path) -> bool:
    mark = file.with_name(f"{file.name}.synced")
    return mark.exists() and mark.stat().st_mtime >= file.stat().st_mtime


def sync(runs: Iterable[Path], project: str | None, entity: str | None) -> None:
    """Pushes runs with wandb's own command, whose words go to standard error. Raises UserError without a key, RunError where it does not succeed."""
    mode(online=True)
    options = [*(("--project", project) if project else ()), *(("--entity", entity) if entity else ())]
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "--include-synced", *options, *map(str, runs)]
    if subprocess.run(command, stdout=2, check=False).returncode:
        raise RunError("W&B did not take every run: those that are left stay on the disk, the same command goes on")
