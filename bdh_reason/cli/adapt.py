"""`bdh-reason adapt`: what a trained model still learns, in context or from one task after the other."""

from __future__ import annotations

from pathlib import Path

import click

from bdh_reason.cli import options


@click.group()
def adapt() -> None:
    """Learning after training: from solved examples in context, or from one task after the other."""


@adapt.command("context")
@click.argument("model")
@click.option("--task", required=True, help="Any task that the model can read, trained on it or not.")
@click.option("--shots", "shots", default="0,1,2,4", show_default=True, help="Numbers of solved examples before each problem.")
@click.option("--cipher", is_flag=True, help="Exchange the symbols of all answers of a stream: only its examples tell how.")
@click.option("--data", "folder", type=click.Path(path_type=Path), help="A data set. [default: the model's own]")
@click.option("--split", default="test", show_default=True, help="Choose on validation, report on test.")
@click.option("--horizon", help="Fresh problems of these horizons instead, e.g. 4,16,64. [default: those of the model's recipe, where it has some]")
@click.option("--depth", type=click.IntRange(min=1), help="Latent steps. [default: as deep as the model was validated]")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Only the first problems; how many at a horizon.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of which examples are shown.")
@click.option("--device", default="auto", show_default=True)
@click.option("--datasets", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where data sets are.")
@click.option("--rows", type=click.Path(path_type=Path), help="A JSONL file to add the rows to.")
@options.as_json
def context(
    model: str,
    task: str,
    shots: str,
    cipher: bool,
    folder: Path | None,
    split: str,
    horizon: str | None,
    depth: int | None,
    limit: int,
    seed: int,
    device: str,
    datasets: Path,
    rows: Path | None,
    json_lines: bool,
) -> None:
    """Ask MODEL problems after so many solved examples of the same task, with its weights as they are: exact_match against the number of examples."""
    from bdh_reason.compare.report import report
    from bdh_reason.evaluate.context import examine
    from bdh_reason.evaluate.rows import append
    from bdh_reason.files import writable

    if rows:
        writable(rows)
    counts, horizons = options.numbers("--shots", shots) or (), options.numbers("--horizon", horizon)
    where, show = options.device(device), options.progress("evaluating")
    results = examine(model, task, counts, cipher, depth, where, datasets, show, folder, split, horizons, limit, seed)
    click.echo("\n".join(row.line() for row in results) if json_lines else report(results))
    if rows:
        append(rows, results)


@adapt.command("sequence")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs. [default: runs/NAME]")
@click.option("--data", "root", type=click.Path(path_type=Path), default=options.ROOTS["datasets"], show_default=True, help="Where data sets are built.")
@click.option("--rows", type=click.Path(path_type=Path), help="The JSONL file that rows are added to. [default: OUT/rows.jsonl]")
@click.option("--max-time", metavar="TIME", help="Stop after this long, e.g. 30m; the same command goes on later.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--plan", is_flag=True, help="List the stages and train nothing.")
def sequence(name: str, out: Path | None, root: Path, rows: Path | None, max_time: str | None, device: str, plan: bool) -> None:
    """Run what is missing of sequence NAME (a name or a YAML file), then print the scores of all tasks after each stage. A wrong name gets the list."""
    from bdh_reason.suite.sequence import load_sequence, stages

    stem, chosen = load_sequence(name)
    if plan:
        for stage in stages(stem, chosen):
            one = stage.recipe
            goes_on = f", from {stage.before}" if stage.strategy else ""
            click.echo(f"{stage.place}  {one.task.name}  {one.model.name}  {one.steps} steps of {one.batch} × {one.depth}{goes_on}")
        return
    from bdh_reason.compare.report import report
    from bdh_reason.evaluate.rows import read
    from bdh_reason.suite.run import Places
    from bdh_reason.suite.stages import run

    folder = out or options.ROOTS["runs"] / stem
    places = Places(folder, root, rows or folder / "rows.jsonl", folder / "probes.jsonl")
    for stage, whole in run(stem, chosen, places, options.device(device), options.seconds(max_time), options.progress("building data")):
        click.echo(f"{stage.place} {'done' if whole else 'stopped by the time, goes on in the next run'}", err=True)
    if places.rows.is_file():
        click.echo(report([row for row in read([places.rows]) if row.sequence and row.sequence["plan"] == stem]))
