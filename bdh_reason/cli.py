"""The command line: each command parses its options, calls one function and prints. Heavy imports stay inside the commands.

Exit codes: 0 done, 2 the user's mistake (one message, no traceback), 1 anything else. With --json, standard output holds JSON lines and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from bdh_reason import __version__
from bdh_reason.errors import RunError, UserError

ROOTS = {"datasets": Path("datasets"), "runs": Path("runs")}
settings = click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change one option; the value is YAML. May be repeated.")
as_json = click.option("--json", "json_lines", is_flag=True, help="Print JSON lines.")


def main() -> None:
    """The entry point: turns our own errors into one line and an exit code."""
    try:
        cli()
    except UserError as error:
        click.echo(f"bdh-reason: {error}", err=True)
        sys.exit(2)
    except RunError as error:
        click.echo(f"bdh-reason: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Which architectures can reason inside their latent state, without writing their thoughts down?"""


@cli.group()
def data() -> None:
    """Build, check and look at data sets."""


@data.command("build")
@click.argument("task")
@click.option("--size", type=int, required=True, help="Problems in all splits together.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to build in; an interrupted build continues there.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--shares", default="0.9,0.05,0.05", show_default=True, help="Shares of train, validation and test.")
@click.option("--only", metavar="SPLIT", help="Put everything into one split instead.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes; the result does not depend on it.")
@settings
def data_build(task: str, size: int, out: Path, seed: int, shares: str, only: str | None, workers: int, pairs: tuple[str, ...]) -> None:
    """Generate problems of TASK into a folder."""
    from bdh_reason.config import words
    from bdh_reason.data.build import build

    manifest = build(task, words(pairs), out, size, seed, _shares(shares, only), workers, _progress(f"building {task}"))
    click.echo(json.dumps({"folder": str(out), "rows": manifest.rows, "families": manifest.families, "hash": manifest.hash}))


@data.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", default="sudoku", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--shares", default="0.9,0.05,0.05", show_default=True)
@click.option("--only", metavar="SPLIT", help="Put everything into one split instead.")
@settings
def data_import(file: Path, task: str, out: Path, shares: str, only: str | None, pairs: tuple[str, ...]) -> None:
    """Make a data set of a FILE of puzzles: lines, CSV or .sdm."""
    from bdh_reason.config import words
    from bdh_reason.data.build import import_file

    manifest = import_file(task, words(pairs), file, out, _shares(shares, only))
    click.echo(json.dumps({"folder": str(out), "rows": manifest.rows, "families": manifest.families, "hash": manifest.hash}))


@data.command("audit")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def data_audit(folders: tuple[Path, ...]) -> None:
    """Check every file and every row of data sets, and that no family is in two splits. Exit code 1 where something is wrong."""
    from bdh_reason.data.audit import audit

    report = audit(*folders, progress=_progress("auditing"))
    for finding in report.findings:
        click.echo(finding)
    click.echo(f"{report.rows} rows checked, {len(report.findings)} findings", err=True)
    sys.exit(1 if report.findings else 0)


@data.command("rate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", default="sudoku", show_default=True)
@settings
def data_rate(file: Path, task: str, pairs: tuple[str, ...]) -> None:
    """Measure how hard the puzzles of a FILE are."""
    from bdh_reason.config import words
    from bdh_reason.data.build import read_file
    from bdh_reason.data.rate import rate
    from bdh_reason.discover import build_task

    chosen = build_task(task, words(pairs))
    click.echo(json.dumps(rate(chosen, read_file(chosen, file))))


@data.command("show")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True)
@click.option("--row", type=int, default=0, show_default=True)
def data_show(folder: Path, split: str, row: int) -> None:
    """Show one problem of a data set."""
    from bdh_reason.data.read import show

    about = show(folder, split, row)
    click.echo(f"{about.pop('picture')}\n{json.dumps(about)}")


@cli.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/RECIPE]")
@click.option("--data", "root", type=click.Path(path_type=Path), default=ROOTS["datasets"], show_default=True, help="Where data sets are built.")
@click.option("--max-time", metavar="TIME", help="Stop after this long, e.g. 90s, 9m, 2h; the same command goes on later.")
@click.option("--resume", type=click.Choice(["auto", "never"]), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--plan", is_flag=True, help="Print parameters, memory, FLOPs and hours, and build nothing.")
@settings
def train(recipe: str, out: Path | None, root: Path, max_time: str | None, resume: str, device: str, plan: bool, pairs: tuple[str, ...]) -> None:
    """Train by RECIPE (a name or a YAML file); continues a run that was stopped."""
    from bdh_reason.config import words
    from bdh_reason.train.recipe import load

    chosen = load(recipe, words(pairs))
    if plan:
        from bdh_reason.train.plan import plan as make_plan

        click.echo(make_plan(chosen))
        return
    from bdh_reason.train.problems import splits
    from bdh_reason.train.run import train as run

    seconds = _seconds(max_time)
    folder = out or ROOTS["runs"] / chosen.name
    outcome = run(chosen, splits(chosen, root, _progress("building data")), folder, _device(device), resume == "auto", seconds)
    done = {"run": str(outcome.folder), "step": outcome.done, "of": chosen.steps, "validation_exact_match": outcome.validation}
    click.echo(json.dumps(done))


@cli.command("eval")
@click.option("--task", default="sudoku", show_default=True)
@click.option("--model", "models", multiple=True, metavar="REF", help="A run's folder, a released name or a guess (chance, copy, oracle); may be repeated.")
@click.option("--data", "folder", type=click.Path(path_type=Path), help="A data set. [default: the model's own]")
@click.option("--split", default="test", show_default=True, help="Choose on validation, report on test.")
@click.option("--puzzles", type=click.Path(path_type=Path), help="A file of puzzles instead.")
@click.option("--depth", help="Latent steps, one or more numbers, e.g. 16,64. [default: as deep as the model was validated]")
@click.option("--mode", default="in_place", show_default=True, help="in_place or greedy.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first problems.")
@click.option("--device", default="auto", show_default=True)
@click.option("--datasets", type=click.Path(path_type=Path), default=ROOTS["datasets"], show_default=True, help="Where the models' data sets are.")
@click.option("--rows", type=click.Path(path_type=Path), help="A JSONL file to add the rows to.")
@as_json
@settings
def evaluate(task: str, models: tuple[str, ...], device: str, depth: str | None, datasets: Path, rows: Path | None, **asked: Any) -> None:
    """Score models on held-out problems, without chain of thought; every reply is verified by the rules."""
    from bdh_reason.compare.table import table
    from bdh_reason.config import words
    from bdh_reason.evaluate.exam import examine
    from bdh_reason.evaluate.rows import append

    json_lines, pairs = asked.pop("json_lines"), asked.pop("pairs")
    results = examine(task, words(pairs), models, _depths(depth), _device(device), datasets, _progress("evaluating"), **asked)
    if any(row.unseen is None and row.arch for row in results):
        click.echo(f"a model's training data is not under {datasets}: nothing says whether it has seen these problems", err=True)
    click.echo("\n".join(row.line() for row in results) if json_lines else table(results))
    if rows:
        append(rows, results)


@cli.command()
@click.argument("puzzle")
@click.option("--task", default="sudoku", show_default=True)
@click.option("--model", metavar="REF", help="A run's folder or a released name.")
@click.option("--depth", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--delay", type=float, default=0.1, show_default=True, help="Seconds between two steps in a terminal.")
@settings
def solve(puzzle: str, task: str, model: str | None, depth: int, delay: float, pairs: tuple[str, ...]) -> None:
    """Watch a model solve PUZZLE: the board after each latent step, blanks coloured by confidence, and whether the reply obeys the rules."""
    from bdh_reason.config import words
    from bdh_reason.evaluate.watch import play

    play(task, words(pairs), puzzle, model, depth, delay)


@cli.command("table")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--write", is_flag=True, help="Write results/README.md from results/rows instead of printing.")
def show_table(files: tuple[Path, ...], write: bool) -> None:
    """Rows as a table."""
    from bdh_reason.compare.table import table, write_readme
    from bdh_reason.evaluate.rows import read

    chosen = files or tuple(sorted(Path("results/rows").glob("*.jsonl")))
    if not chosen:
        raise UserError("no files of rows", "files that `eval --rows` wrote, or a clone with results/rows")
    click.echo(write_readme(chosen) if write else table(read(chosen)))


@cli.command()
@as_json
def tasks(json_lines: bool) -> None:
    """List the tasks."""
    from bdh_reason.discover import task_module, task_names

    _list({name: task_module(name) for name in task_names()}, json_lines)


@cli.command("models")
@as_json
def list_models(json_lines: bool) -> None:
    """List the models and the guesses."""
    from bdh_reason.discover import guesses, model_module, model_names

    _list({**{name: model_module(name) for name in model_names()}, **guesses()}, json_lines)


@cli.command()
@click.argument("what")
@click.option("--puzzles", type=click.Path(path_type=Path), help="A folder of puzzle lists to measure on.")
@as_json
def bench(what: str, puzzles: Path | None, json_lines: bool) -> None:
    """Measure speed; WHAT is a task's name."""
    from bdh_reason.bench import bench as measure

    for line in measure(what, puzzles, json_lines):
        click.echo(line)


@cli.command()
def doctor() -> None:
    """Say what is installed, what is known to be bad, and what to do."""
    from bdh_reason.doctor import findings

    for line in findings():
        click.echo(line)


def _list(found: dict[str, Any], json_lines: bool) -> None:
    for name, thing in found.items():
        about = (thing.__doc__ or "").strip().splitlines()[0]
        click.echo(json.dumps({"name": name, "about": about}, ensure_ascii=False) if json_lines else f"{name:12} {about}")


def _shares(shares: str, only: str | None) -> tuple[float, ...]:
    from bdh_reason.data.splits import only as all_into

    try:
        return all_into(only) if only else tuple(float(share) for share in shares.split(","))
    except ValueError as error:
        raise UserError(f"--shares {shares}", "three numbers, e.g. 0.9,0.05,0.05") from error


def _depths(depth: str | None) -> tuple[int, ...] | None:
    if depth is None:
        return None
    try:
        return tuple(sorted({int(number) for number in depth.split(",")}))
    except ValueError as error:
        raise UserError(f"--depth {depth}", "numbers with commas, e.g. 16,64,256") from error


def _seconds(time: str | None) -> float | None:
    if time is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", time)
    if not match:
        raise UserError(f"--max-time {time}", "a number and s, m or h, e.g. 9m")
    return min(float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]], 1e8)


def _device(device: str) -> str:
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {device}", "auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda, but no CUDA device is here", "cpu")
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"


def _progress(what: str) -> Any:
    """A progress callback (done, total) that keeps one line on standard error up to date, in a terminal only."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{what}: {done:,} of {total:,}", err=True, nl=done >= total)

    return show
