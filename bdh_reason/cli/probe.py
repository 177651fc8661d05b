"""`bdh-reason probe`: look inside a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdh_reason.cli import options


@click.command()
@click.argument("model")
@click.option("--text", type=click.Path(path_type=Path), help="A file for the model to read, byte by byte.")
@click.option("--task", metavar="NAME", help="Fresh problems of a task instead, or test documents of a text.")
@click.option("--concept", type=click.Path(path_type=Path), help="Sentences to search synapses of one concept in: present or absent, a tab, the sentence.")
@click.option("--depth", type=click.IntRange(min=1), help="Latent steps. [default: as deep as the model was validated]")
@click.option("--limit", type=click.IntRange(min=1), default=64, show_default=True, help="Problems, or windows of the text.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the rows and for figures of them.")
@options.as_json
@options.settings
def probe(
    model: str,
    text: Path | None,
    task: str | None,
    concept: Path | None,
    depth: int | None,
    limit: int,
    seed: int,
    device: str,
    out: Path | None,
    json_lines: bool,
    pairs: tuple[str, ...],
) -> None:
    """Look inside MODEL, a BDH: how many neurons are active, the graph between them, synapses that answer to a concept."""

    from bdh_reason.compare.probe import lines, write
    from bdh_reason.config import words
    from bdh_reason.evaluate.probe import probe as look
    from bdh_reason.files import writable

    if out:
        writable(out / "rows.jsonl")
    rows = look(model, text, task, words(pairs), concept, depth, limit, seed, options.device(device), options.progress("probing"))
    click.echo("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) if json_lines else "\n".join(lines(rows)))
    if out:
        write(out, rows)
