"""`bdh-reason data`: build, import, audit, rate, show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bdh_reason.cli import options
from bdh_reason.errors import UserError


@click.group()
def data() -> None:
    """Build, check and look at data sets."""


@data.command("build")
@click.argument("task")
@click.option("--size", type=int, required=True, help="Problems in all splits together.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to build in; an interrupted build continues there.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--shares", help="Shares of train, validation and test.  [default: 0.9,0.05,0.05]")
@click.option("--only", metavar="SPLIT", help="Put everything into one split instead.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes; the result does not depend on it.")
@options.settings
def data_build(task: str, size: int, out: Path, seed: int, shares: str | None, only: str | None, workers: int, pairs: tuple[str, ...]) -> None:
    """Generate problems of TASK into a folder."""
    from bdh_reason.config import words
    from bdh_reason.data.build import build

    manifest = build(task, words(pairs), out, size, seed, _shares(shares, only), workers, options.progress(f"building {task}"))
    click.echo(json.dumps({"folder": str(out), "rows": manifest.rows, "families": manifest.families, "hash": manifest.hash}))


@data.command("import")
@click.argument("source")
@click.option("--csv", type=click.Path(path_type=Path), help="A file of the published set that SOURCE names.")
@click.option("--task", help="The task of a file.  [default: sudoku]")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--shares", help="Shares of train, validation and test.  [default: 0.9,0.05,0.05; published files keep their part]")
@click.option("--only", metavar="SPLIT", help="Put everything into one split instead.")
@options.settings
def data_import(source: str, csv: Path | None, task: str | None, out: Path, shares: str | None, only: str | None, pairs: tuple[str, ...]) -> None:
    """Make a data set of a file of puzzles (lines, CSV or .sdm), or of a published set.

    SOURCE is the file, or the set's name: sudoku-extreme. Its train.csv, or with --only test its test.csv, is fetched where no --csv is given.
    """
    from bdh_reason.config import words
    from bdh_reason.data.build import import_file
    from bdh_reason.data.published import download, published, shares_of, task_of

    file = Path(source)
    if csv or (source in published() and not file.is_file()):
        if task:
            raise UserError(f"--task {task} beside the published set {source}", "one of the two")
        task = task_of(source)
        file = csv or download(source, "test.csv" if only == "test" else "train.csv")
        split = _shares(shares, only) if shares or only else shares_of(file)
    else:
        split = _shares(shares, only)
    manifest = import_file(task or "sudoku", words(pairs), file, out, split)
    click.echo(json.dumps({"folder": str(out), "rows": manifest.rows, "families": manifest.families, "hash": manifest.hash}))


@data.command("audit")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def data_audit(folders: tuple[Path, ...]) -> None:
    """Check every file and every row of data sets, and that no family is in two splits. Exit code 1 where something is wrong."""
    from bdh_reason.data.audit import audit

    report = audit(*folders, progress=options.progress("auditing"))
    for finding in report.findings:
        click.echo(finding)
    click.echo(f"{report.rows} rows checked, {report.repeats} of them repeat a family of their split, {len(report.findings)} findings", err=True)
    sys.exit(1 if report.findings else 0)


@data.command("rate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", default="sudoku", show_default=True)
@options.settings
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


@data.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first problems.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def data_export(folder: Path, split: str, limit: int | None, out: Path) -> None:
    """Write the prompts of a data set as lines, each family once, e.g. as a released model's test.txt."""
    from bdh_reason.data.read import export
    from bdh_reason.files import replace, writing

    if out.is_dir():
        raise UserError(f"--out {out} is a folder", "the name of a file")
    content = export(folder, split, limit)
    with writing(out.parent):
        replace(out, content)
    click.echo(json.dumps({"file": str(out), "problems": len(content.split())}))


def _shares(shares: str | None, only: str | None) -> tuple[float, ...]:
    from bdh_reason.data.splits import SHARES
    from bdh_reason.data.splits import only as all_into

    if shares is not None and only is not None:
        raise UserError(f"--shares {shares} and --only {only}", "one of the two")
    if shares is None:
        return SHARES if only is None else all_into(only)
    try:
        return tuple(float(share) for share in shares.split(","))
    except ValueError as error:
        raise UserError(f"--shares {shares}", "three numbers, e.g. 0.9,0.05,0.05") from error
