"""`bdh-reason train`, `eval`, `solve`: make a model, examine it, watch it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bdh_reason.cli import options


@click.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/RECIPE]")
@click.option("--data", "root", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where data sets are built.")
@click.option("--text", type=click.Path(path_type=Path), help="A file or folder, for a recipe of text. [default: what the recipe says]")
@click.option("--max-time", metavar="TIME", help="Train this long, e.g. 90s, 9m, 2h, after the data are built; the same command goes on later.")
@click.option("--resume", type=click.Choice(["auto", "never"]), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@options.online
@click.option("--devices", default="1", show_default=True, help="auto (all GPUs here) or a number: so many processes share each batch. Not under torchrun.")
@click.option("--sharded", is_flag=True, help="Each process holds a part of weights and moments between steps (FSDP2); else all of them (DDP).")
@click.option("--plan", is_flag=True, help="Print parameters, memory, FLOPs and hours, and build nothing.")
@options.settings
def train(
    recipe: str,
    out: Path | None,
    root: Path,
    text: Path | None,
    max_time: str | None,
    resume: str,
    device: str,
    online: bool,
    devices: str,
    sharded: bool,
    plan: bool,
    pairs: tuple[str, ...],
) -> None:
    """Train by RECIPE (a name or a YAML file); continues a run that was stopped. A name that does not exist gets the list of those that do.

    Several processes share a run when started by torchrun (`torchrun --nproc-per-node 8 -m bdh_reason train RECIPE`), by srun, or by --devices.
    """
    from bdh_reason.config import words
    from bdh_reason.train.recipe import load

    chosen = load(recipe, words([*pairs, f"task.options.path={json.dumps(str(text))}"] if text else pairs))
    if plan:
        from bdh_reason.train.plan import plan as make_plan

        click.echo(make_plan(chosen))
        return
    from bdh_reason import tracking
    from bdh_reason.evaluate.samples import boards
    from bdh_reason.train import ranks
    from bdh_reason.train.memory import wanted
    from bdh_reason.train.problems import splits
    from bdh_reason.train.run import refuse_another
    from bdh_reason.train.run import train as run
    from bdh_reason.train.tracking import Tracking

    tracking.mode(online)  # a missing key is told before data are built
    seconds, where = options.seconds(max_time), options.device(device, lambda: wanted(chosen))
    folder, log = out or options.ROOTS["runs"] / chosen.name, Tracking(online=online, draw=boards)
    if resume == "auto":
        refuse_another(chosen, folder)
    ranks.launch(ranks.count(devices, where, [one.batch for one in chosen.each]))
    with ranks.together(where):
        with ranks.first_alone():
            data = splits(chosen, root, options.progress("building data"))
        outcome = run(chosen, data, folder, where, resume == "auto", seconds, log, sharded)
        if not ranks.rank():
            done = {"run": str(outcome.folder), "step": outcome.done, "of": chosen.steps, f"validation_{outcome.metric}": outcome.validation}
            click.echo(json.dumps(done))


@click.command("eval")
@click.option("--task", default="sudoku", show_default=True)
@click.option("--model", "models", multiple=True, metavar="REF", help="A run's folder, a released name or a guess (`models` lists them); may be repeated.")
@click.option("--data", "folder", type=click.Path(path_type=Path), help="A data set. [default: the model's own]")
@click.option("--split", default="test", show_default=True, help="Choose on validation, report on test.")
@click.option("--puzzles", type=click.Path(path_type=Path), help="A file of puzzles instead.")
@click.option("--text", type=click.Path(path_type=Path), help="All of a file or folder, for a model of text. [default: the test split of its own text]")
@click.option("--horizon", help="Fresh problems of these horizons instead, e.g. 4,16,64. [default: those of the model's recipe, where it has some]")
@click.option("--depth", help="Latent steps, one or more numbers, e.g. 16,64. [default: as deep as the model was validated]")
@click.option("--mode", default="in_place", show_default=True, help="in_place, restarts or greedy.")
@click.option("--restarts", type=click.IntRange(min=1), help="Runs of mode restarts; the rules pick.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first problems; how many at a horizon. [default: all; 1,000]")
@click.option("--device", default="auto", show_default=True)
@click.option("--datasets", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where the models' data sets are.")
@click.option("--rows", type=click.Path(path_type=Path), help="A JSONL file to add the rows to.")
@options.as_json
@options.settings
def evaluate(task: str, models: tuple[str, ...], device: str, depth: str | None, datasets: Path, rows: Path | None, horizon: str | None, **asked: Any) -> None:
    """Score models on held-out problems, without chain of thought; every reply is verified by the rules. Texts are scored in bits per byte."""
    from bdh_reason.compare.report import report
    from bdh_reason.config import words
    from bdh_reason.evaluate.exam import examine
    from bdh_reason.evaluate.rows import append
    from bdh_reason.files import writable

    json_lines, pairs = asked.pop("json_lines"), asked.pop("pairs")
    if rows:
        writable(rows)
    depths, horizons = options.numbers("--depth", depth), options.numbers("--horizon", horizon)
    show = options.progress("evaluating")
    results = examine(task, words(pairs), models, depths, options.device(device), datasets, show, horizons=horizons, **asked)
    if any(row.unseen is None and row.arch for row in results):
        click.echo(f"a model's training data is not at hand (under {datasets}, or its text): nothing says whether it has seen these problems", err=True)
    click.echo("\n".join(row.line() for row in results) if json_lines else report(results))
    if rows:
        append(rows, results)


@click.command("autopsy")
@click.argument("model", required=False)
@click.option("--task", default="sudoku", show_default=True)
@click.option("--data", "folder", type=click.Path(path_type=Path), help="A data set. [default: the model's own]")
@click.option("--split", default="test", show_default=True)
@click.option("--puzzles", type=click.Path(path_type=Path), help="A file of puzzles instead.")
@click.option("--depth", type=int, default=64, show_default=True, help="Latent steps.")
@click.option("--sure", type=float, default=0.9, show_default=True, help="Probability from which a blank counts as committed.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first problems.")
@click.option("--device", default="auto", show_default=True)
@click.option("--datasets", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where the models' data sets are.")
@options.settings
def dissect(model: str | None, task: str, depth: int, sure: float, device: str, datasets: Path, pairs: tuple[str, ...], **asked: Any) -> None:
    """Say of every problem that MODEL fails where it first went wrong and how its thinking ended, as JSON lines."""
    from bdh_reason.config import words
    from bdh_reason.evaluate.autopsy import autopsy, summary
    from bdh_reason.evaluate.contender import checkpoint
    from bdh_reason.evaluate.exam import choose, default_model

    contender = checkpoint(model or default_model(task))
    exam = choose(task, words(pairs), contender, datasets, options.progress("building data"), **asked)
    failures = autopsy(contender, exam, depth, sure, options.device(device))
    for failure in failures:
        click.echo(failure.line())
    click.echo(summary(failures, len(exam.problems), sure), err=True)


@click.command()
@click.argument("puzzle")
@click.option("--task", default="sudoku", show_default=True)
@click.option("--model", metavar="REF", help="A run's folder or a released name.")
@click.option("--depth", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--delay", type=float, default=0.1, show_default=True, help="Seconds between two steps in a terminal.")
@click.option("--gif", type=click.Path(path_type=Path), help="Write the steps as an animated picture.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the steps as a page that needs no network.")
@click.option("--film", type=click.Path(path_type=Path), help="Write the steps as JSON, for the page of `report` in results/boards.")
@options.settings
def solve(puzzle: str, task: str, model: str | None, depth: int, delay: float, pairs: tuple[str, ...], **files: Path | None) -> None:
    """Watch a model solve PUZZLE: the board after each latent step, blanks coloured by confidence, and whether the reply obeys the rules."""
    from bdh_reason.config import words
    from bdh_reason.evaluate.watch import play

    play(task, words(pairs), puzzle, model, depth, delay, files["gif"], files["html"], files["film"])
