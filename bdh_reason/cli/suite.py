"""`bdh-reason suite`: many runs as one plan."""

from __future__ import annotations

from pathlib import Path

import click

from bdh_reason.cli import options


@click.group()
def suite() -> None:
    """Train and examine the arms and seeds of a suite, cell by cell."""


@suite.command("plan")
@click.argument("name")
def plan(name: str) -> None:
    """List the cells of suite NAME (a name or a YAML file): where each lies, its parameters, optimiser steps and FLOPs. A wrong name gets the list of those
    there are.
    """
    from bdh_reason.suite.plan import cells, load_suite
    from bdh_reason.train.plan import cost

    total, found = 0.0, cells(load_suite(name)[1])
    for cell in found:
        recipe, (params, flops) = cell.recipe, cost(cell.recipe)
        total += flops
        size = f"{params:,} parameters  {recipe.steps} steps of {recipe.batch} × {recipe.depth}  {flops / 1e12:.3g} TFLOP"
        click.echo(f"{cell.place}  {recipe.task.name}  {recipe.model.name}  {size}")
    click.echo(f"{len(found)} cells, {total / 1e15:.3g} PFLOP to train")


@suite.command("run")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs. [default: runs/NAME]")
@click.option("--data", "root", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where data sets are built.")
@click.option("--rows", type=click.Path(path_type=Path), help="The JSONL file that rows are added to. [default: OUT/rows.jsonl]")
@click.option("--probes", type=click.Path(path_type=Path), help="That of its probes. [default: OUT/probes.jsonl]")
@click.option("--max-time", metavar="TIME", help="Stop after this long, e.g. 30m; the same command goes on later.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def run(name: str, out: Path | None, root: Path, rows: Path | None, probes: Path | None, max_time: str | None, device: str) -> None:
    """Run what is missing of suite NAME, the first seed of every arm before the second of any."""
    from bdh_reason.suite.plan import load_suite, place
    from bdh_reason.suite.run import Places
    from bdh_reason.suite.run import run as run_suite

    stem, chosen = load_suite(name)
    folder = out or options.ROOTS["runs"] / stem
    places = Places(folder, root, rows or folder / "rows.jsonl", probes or folder / "probes.jsonl", place(name).parent)
    for cell, whole in run_suite(chosen, places, options.device(device), options.seconds(max_time), options.progress("building data")):
        click.echo(f"{cell.place} {'done' if whole else 'stopped by the time, goes on in the next run'}")
