"""`bdh-reason table`, `compare`, `report`, `tasks`, `models`, `bench`, `doctor`: what there is and how it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bdh_reason.cli import options
from bdh_reason.errors import RunError, UserError

ROWS = Path("results/rows")


@click.command("table")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def show_table(files: tuple[Path, ...]) -> None:
    """Rows as a table. Lines that are no rows are left out and named, with exit code 2."""
    from bdh_reason.compare.report import report
    from bdh_reason.evaluate.rows import survey

    rows, complaints = survey(_files(files))
    click.echo(report(rows))
    options.complain(complaints)


@click.command("report")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def write_report(files: tuple[Path, ...]) -> None:
    """Rows as a page to look at: writes results/report.html, its figures and results/README.md.

    Lines that are no rows are left out and named, on the page too, with exit code 2.
    """
    from bdh_reason.compare.report import RESULTS, write
    from bdh_reason.files import writable

    for name in ("report.html", "README.md", "language.md", "figures/curve.svg") if RESULTS.is_dir() else ():
        writable(RESULTS / name)
    written, complaints = write(_files(files))
    for path in written:
        click.echo(path)
    options.complain(complaints)


@click.command()
@click.argument("first")
@click.argument("others", nargs=-1, required=True)
@click.option("--rows", "files", type=click.Path(path_type=Path), multiple=True, help="Files of rows; may be repeated. [default: those of results/rows]")
@options.as_json
def compare(first: str, others: tuple[str, ...], files: tuple[Path, ...], json_lines: bool) -> None:
    """Compare model FIRST with others on the same problems, from rows alone: the gap with its interval, McNemar's test, Holm over the table.
    Lines that are no rows are left out and named, with exit code 2.

    A name is a model's, a recipe's for all its seeds, or NAME@STEP.
    """
    from bdh_reason.compare.gaps import compare as gaps_of
    from bdh_reason.compare.gaps import line, table
    from bdh_reason.evaluate.rows import locate

    found, complaints = locate(_files(files))
    gaps = gaps_of(found, first, others)
    click.echo("\n".join(json.dumps(line(gap)) for gap in gaps) if json_lines else table(gaps))
    options.complain(complaints)


def _files(given: tuple[Path, ...]) -> tuple[Path, ...]:
    chosen = given or tuple(sorted(ROWS.glob("*.jsonl")))
    if not chosen:
        raise UserError("no files of rows", "files that `eval --rows` wrote, or a clone with results/rows")
    return chosen


@click.command()
@options.as_json
def tasks(json_lines: bool) -> None:
    """List the tasks with their horizons and an instance of each, the texts, and the presets of their options."""
    from bdh_reason.discover import instance, kind, presets, subject_names, task_module

    found: dict[str, dict[str, Any]] = {}
    for name in subject_names():
        found[name] = {"about": _about(task_module(name)), "horizon": kind(name).horizon, "ladder": kind(name).ladder, **instance(name)}
    for name, (task, chosen) in presets().items():
        found[name] = {"about": f"{task} with {', '.join(f'{key}={value}' for key, value in chosen.items())}"}
    _list(found, json_lines)


@click.command("models")
@options.as_json
def list_models(json_lines: bool) -> None:
    """List the architectures of recipes, the released models and the guesses."""
    from bdh_reason.discover import codes, guesses, model_module, model_names
    from bdh_reason.train.checkpoint import released

    found = {name: _about(model_module(name)) for name in model_names()}
    found |= dict.fromkeys(released(), "A released checkpoint, for --model.")
    found |= {name: _about(guess) for name, guess in {**guesses(), **codes()}.items()}
    _list({name: {"about": about} for name, about in found.items()}, json_lines)


@click.command()
@click.argument("what", required=False)
@click.option("--puzzles", type=click.Path(path_type=Path), help="A folder of puzzle lists to measure on.")
@click.option("--write", is_flag=True, help="Measure BDH, all four, and write results/bdh.md.")
@options.as_json
def bench(what: str | None, puzzles: Path | None, write: bool, json_lines: bool) -> None:
    """Measure speed; WHAT is layer, boards, decode, long, families, report, tracking or a task's name."""
    from bdh_reason.bench import BDH, sentence
    from bdh_reason.bench import bench as measure
    from bdh_reason.bench.page import write as write_page

    if (what is None) != write:
        raise UserError("WHAT and --write" if write else "neither WHAT nor --write", "one of them")
    rows = []
    for name in [what] if what else BDH:
        for row in measure(name, puzzles):
            click.echo(json.dumps(row) if json_lines else sentence(row))
            rows.append(row)
    if write:
        click.echo(f"wrote {write_page(rows)}", err=True)


@click.command()
def doctor() -> None:
    """Say what is installed, what is known to be bad, and what to do. Exit code 1 where something has to be done."""
    from bdh_reason.doctor import BAD, findings

    bad = 0
    for line in findings():
        click.echo(line)
        bad += BAD in line
    if bad:
        raise RunError(f"{bad} of these say {BAD}do what they say")


def _about(thing: Any) -> str:
    return str((thing.__doc__ or "").strip().splitlines()[0])


def _list(found: dict[str, dict[str, Any]], json_lines: bool) -> None:
    width = max(map(len, found))
    for name, facts in found.items():
        if json_lines:
            click.echo(json.dumps({"name": name, **facts}, ensure_ascii=False))
            continue
        click.echo(f"{name:{width}}  {facts['about']}")
        if facts.get("ladder"):
            click.echo(f"{'':{width}}  horizon: {facts['horizon']} from {facts['ladder'][0]:,} to {facts['ladder'][-1]:,}")
        if "prompt" in facts:
            click.echo(f"{'':{width}}  {facts['options']}, chance {facts['chance']}: {facts['prompt']} → {facts['reply']}")
