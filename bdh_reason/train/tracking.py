"""Weights & Biases: online when a key is configured, otherwise offline with one line that says so. The rows of `eval` stay the truth."""

from __future__ import annotations

import importlib.util
import netrc
import os
import sys
from pathlib import Path
from typing import Any

from bdh_reason.errors import UserError
from bdh_reason.train.recipe import Recipe

PROJECT = "bdh-reason"
MODES = ("online", "offline", "disabled")


def has_key() -> bool:
    """Whether an API key lies in the environment or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any("wandb" in host or "coreweave" in host for host in hosts)


def wandb_logger(recipe: Recipe, folder: Path, run_id: str | None) -> Any:
    """A Lightning logger for one run, or None where wandb is not installed; `run_id` continues an earlier slice."""
    if importlib.util.find_spec("wandb") is None:
        print("W&B: wandb is not installed, this run is not logged", file=sys.stderr)
        return None
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    asked = os.environ.get("WANDB_MODE")
    if asked not in (None, "", *MODES):
        raise UserError(f"WANDB_MODE={asked}", ", ".join(MODES))
    mode = asked or ("online" if has_key() else "offline")
    try:
        run = _init(recipe, folder, run_id, mode)
    except wandb.errors.CommError:
        print("W&B: a key is configured, but nothing answers", file=sys.stderr)
        mode = "offline"
        run = _init(recipe, folder, run_id, mode)
    if mode == "offline":
        print(f"W&B: logging offline to {folder}/wandb (no key or no network; `wandb sync` uploads it later)", file=sys.stderr)
    return WandbLogger(experiment=run)


def _init(recipe: Recipe, folder: Path, run_id: str | None, mode: str) -> Any:
    import wandb

    return wandb.init(
        project=PROJECT,
        name=folder.name,
        dir=folder,
        id=run_id or None,
        resume="allow" if run_id else None,
        group=recipe.name,
        job_type="train",
        mode=mode,  # type: ignore[arg-type]
        config=config(recipe),
        settings=wandb.Settings(silent=True, console="off", init_timeout=20, x_disable_stats=mode != "online"),
    )


def config(recipe: Recipe) -> dict[str, Any]:
    """The flat names that dashboards group and filter by, and the whole recipe beside them."""
    size = "x".join(str(side) for side in recipe.task.options.get("box", ()))
    names = {"arch": recipe.model.name, "size": size, "task": recipe.task.name, "seed": recipe.seed, "match": recipe.match}
    return {**names, "recipe": recipe.model_dump(mode="json")}
