"""`bdh-reason dashboard`: the comparison dashboard in W&B, and what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdh_reason import tracking
from bdh_reason.cli import options
from bdh_reason.errors import UserError

online_too = click.option("--online", is_flag=True, help="Online or not at all. [default: online with a key, else offline]")
entity_of = click.option("--entity", help="The account or team in W&B. [default: the key's own]")


@click.group(invoke_without_command=True)
@click.option("--project", default=tracking.PROJECT, show_default=True)
@entity_of
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/dashboard.json"), show_default=True, help="The file, without a key.")
@online_too
@click.pass_context
def dashboard(context: click.Context, project: str, entity: str | None, out: Path, online: bool) -> None:
    """Build the comparison dashboard and save it in W&B; without an account write its definition to a file."""
    if context.invoked_subcommand:
        return
    from bdh_reason.compare.dashboard import definition, save
    from bdh_reason.files import replace, writing

    if tracking.mode(online) == "online":
        click.echo(save(project, entity))
        return
    with writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        replace(out, (json.dumps(definition(project), indent=1, ensure_ascii=False) + "\n").encode())
    later = f"after `wandb login`, `bdh-reason dashboard --project {project} --online` saves the same there"
    click.echo(f"wrote {out}, and nothing in W&B (no key, or WANDB_MODE says so): {later}", err=True)


@dashboard.command("refill")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--group", help="The ladder or suite. [default: the file's name; of a rows.jsonl its folder's]")
@click.option("--job", type=click.Choice(["eval", "scale"]), default="eval", show_default=True)
@click.option("--project", default=tracking.PROJECT, show_default=True)
@entity_of
@click.option("--out", type=click.Path(path_type=Path), default=options.ROOTS["runs"] / "refill", show_default=True, help="Where the runs' own files lie.")
@online_too
def refill(files: tuple[Path, ...], group: str | None, job: tracking.Job, project: str, entity: str | None, out: Path, online: bool) -> None:
    """Make W&B runs out of rows; the same rows again replace them. Without FILES: all of results/rows.

    Lines that are no rows are left out and named, with exit code 2.
    """
    from bdh_reason.compare.refill import log, told
    from bdh_reason.evaluate.rows import survey
    from bdh_reason.files import writing

    chosen = files or tuple(sorted(Path("results/rows").glob("*.jsonl")))
    if not chosen:
        raise UserError("no files of rows", "files that `eval --rows` wrote, or a clone with results/rows")
    mode, show = tracking.mode(online), options.progress("logging")
    complaints: list[UserError] = []
    for path in chosen if mode != "disabled" else ():
        name = group or (path.resolve().parent.name if path.stem == "rows" else path.stem)
        rows, wrong = survey([path])
        complaints += wrong
        runs = told(rows, name, job, project, entity)
        with writing(out):
            for done, _ in enumerate(log(runs, out, mode), 1):
                show(done, len(runs))
        later = "" if mode == "online" else f", offline in {out}/wandb: `bdh-reason dashboard sync {out}` uploads them"
        click.echo(f"{path}: {len(runs)} runs in group {name}{later}", err=True)
    options.complain(complaints)


@dashboard.command("sync")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--project", help="Another project than the runs name themselves.")
@entity_of
@click.option("--unfinished", is_flag=True, help="Also online runs, which a lost connection may have cut.")
def sync(folders: tuple[Path, ...], project: str | None, entity: str | None, unfinished: bool) -> None:
    """Push the offline runs that lie anywhere in FOLDERS. [default: runs]"""
    runs = tracking.unpushed(folders or (options.ROOTS["runs"],), unfinished)
    if runs:
        tracking.sync(runs, project, entity)
    click.echo(f"{len(runs)} runs pushed", err=True)
