"""`bdh-reason suite` and `bdh-reason scale`: many runs as one plan. A ladder is a suite with an axis of sizes, so both have the same plan and run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from bdh_reason.cli import options
from bdh_reason.errors import UserError

root_option = click.option(
    "--data", "root", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where data sets are built."
)


@click.group()
def suite() -> None:
    """Train and examine the arms and seeds of a suite, cell by cell."""


@click.group()
def scale() -> None:
    """The same of a ladder, a suite with an axis of sizes, and what its rows say; and models of matched size."""


@click.command("plan")
@click.argument("name")
@root_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@options.as_json
def plan(name: str, root: Path, device: str, json_lines: bool) -> None:
    """List the cells of suite NAME (a name or a YAML file): parameters, FLOPs, memory and hours of each. A wrong name gets the list of those there are."""
    from bdh_reason.suite.plan import find_data, load_plan
    from bdh_reason.suite.price import prices, sentence, total

    where, chosen = options.device(device), load_plan(name)
    find_data(chosen, root)
    lines = list(prices(chosen, where))
    click.echo("\n".join(json.dumps(line) if json_lines else sentence(line) for line in lines))
    click.echo(total(lines, where), err=json_lines)


@click.command("run")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs. [default: runs/NAME]")
@root_option
@click.option("--rows", type=click.Path(path_type=Path), help="The JSONL file that rows are added to. [default: OUT/rows.jsonl]")
@click.option("--probes", type=click.Path(path_type=Path), help="That of its probes. [default: OUT/probes.jsonl]")
@click.option("--max-time", metavar="TIME", help="Stop after this long, e.g. 30m; the same command goes on later.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@options.online
def run(name: str, out: Path | None, root: Path, rows: Path | None, probes: Path | None, max_time: str | None, device: str, online: bool) -> None:
    """Run what is missing of suite NAME, the first seed of every arm before the second of any. A cell that fails is a row that says why, and exit code 1.

    Several GPUs share the cells: each has a process of its own. So do more processes with this command, here or elsewhere on the same files.
    """
    from bdh_reason import copies
    from bdh_reason.suite.plan import load_plan
    from bdh_reason.suite.run import Places
    from bdh_reason.suite.run import run as run_suite

    chosen = load_plan(name)
    folder = out or options.ROOTS["runs"] / chosen.name
    places = Places(folder, root, rows or folder / "rows.jsonl", probes or folder / "probes.jsonl")
    words = {"stopped": "stopped by the time, goes on in the next run", "busy": "is another process's", "waits": "waits for an arm that is not done"}
    where, seconds, begun, failed = options.device(device), options.seconds(max_time), time.monotonic(), False
    if len(cards := options.cards(where)) > 1:
        if code := copies.run([{"CUDA_VISIBLE_DEVICES": card} for card in cards], together=False):
            sys.exit(code)
        seconds = None if seconds is None else seconds - (time.monotonic() - begun)  # for what waited for an arm that another had in hand
    for cell, status in run_suite(chosen, places, where, seconds, options.progress("building data"), online):
        click.echo(f"{cell.place} {words.get(status, status)}")
        failed |= status == "failed"
    if failed:
        sys.exit(1)


@scale.command("fit")
@click.argument("name")
@click.option("--rows", "files", type=click.Path(path_type=Path), multiple=True, help="Its rows; may be repeated. [default: runs/NAME/rows.jsonl]")
@options.as_json
def fit(name: str, files: tuple[Path, ...], json_lines: bool) -> None:
    """Lay laws through the rungs of ladder NAME, loss against parameters, FLOPs and data; of fewer than six sizes print the gaps of its pairs.

    Lines that are no rows are left out and named, with exit code 2.
    """
    from bdh_reason.compare import gaps
    from bdh_reason.evaluate.rows import locate
    from bdh_reason.suite.fit import fit as lay
    from bdh_reason.suite.fit import lines, table
    from bdh_reason.suite.plan import load_plan

    chosen = load_plan(name)
    rows, complaints = locate(files or (options.ROOTS["runs"] / chosen.name / "rows.jsonl",))
    found = lay(chosen, rows)
    if found.missing:
        click.echo(f"{found.missing} of {len(chosen.cells)} cells have no result", err=True)
    if found.older:
        click.echo(f"{found.older} rows are left out: their runs were trained on since, and the newest weights count", err=True)
    if not found.curves:
        click.echo(f"{found.rungs} sizes: too few for a law, only the gaps of the pairs", err=True)
    text = table(found) if found.curves else gaps.table(found.gaps)
    click.echo("\n".join(json.dumps(line) for line in lines(found)) if json_lines else text)
    options.complain(complaints)


@scale.command("match")
@click.argument("recipe")
@click.option(
    "--by", type=click.Choice(["params", "flops", "state"]), default="params", show_default=True, help="Parameters, FLOPs of training or state floats."
)
@click.option("--target", type=float, help="How many.")
@click.option("--like", metavar="RECIPE", help="As many as that recipe has.")
@options.settings
@options.as_json
def match(recipe: str, by: str, target: float | None, like: str | None, pairs: tuple[str, ...], json_lines: bool) -> None:
    """Solve for the width at which RECIPE, with --set, is as large as asked; prints its options and the mismatch left."""
    from bdh_reason.config import words
    from bdh_reason.train.match import figure
    from bdh_reason.train.match import match as solve
    from bdh_reason.train.recipe import load

    if (target is None) == (like is None):
        raise UserError("--target and --like" if like else "neither --target nor --like", "one of them")
    chosen = load(recipe, words(pairs))
    wanted = target if like is None else figure(load(like, {}), by)  # type: ignore[arg-type]
    found = solve(chosen, by, float(wanted or 0))  # type: ignore[arg-type]
    its = found.recipe.model
    if json_lines:
        click.echo(json.dumps({"model": its.name, "options": its.options, "by": by, "target": wanted, "figure": found.figure, "mismatch": found.mismatch}))
    else:
        click.echo(f"{its.name} {its.options}: {found.figure:,.0f} {by}, {found.mismatch:+.3%} of {wanted:,.0f}")


for group in (suite, scale):
    group.add_command(plan)
    group.add_command(run)
