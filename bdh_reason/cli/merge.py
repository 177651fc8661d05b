"""`bdh-reason merge`: two models become one."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the merged model.")
def merge(a: str, b: str, out: Path) -> None:
    """Join the BDH models A and B (runs' folders or released names), neuron beside neuron in each head; the rest is averaged."""
    from bdh_reason.evaluate.merge import merge as join

    joined = join(a, b, out)
    click.echo(json.dumps({"model": str(out), "neurons": joined.config.n, "pieces": joined.config.pieces, "params": joined.size()}))
