"""The command line: each command parses its options, calls one function and prints. Heavy imports stay inside the commands.

Exit codes: 0 done, 2 the user's mistake (one message, no traceback), 1 anything else. With --json, standard output holds JSON lines and nothing else.
"""

from __future__ import annotations

import os
import sys

import click

from bdh_reason import __version__
from bdh_reason.cli.adapt import adapt
from bdh_reason.cli.dashboard import dashboard
from bdh_reason.cli.data import data
from bdh_reason.cli.merge import merge
from bdh_reason.cli.probe import probe
from bdh_reason.cli.show import bench, compare, doctor, list_models, show_table, tasks, write_report
from bdh_reason.cli.suite import scale, suite
from bdh_reason.cli.think import dissect, evaluate, solve, train
from bdh_reason.errors import RunError, UserError


def main() -> None:
    """The entry point: turns our own errors into one line and an exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # torch's idle threads soon sleep: awake they would take the processor from the compiled layer's
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


COMMANDS = (data, train, suite, scale, merge, adapt, evaluate, dissect, solve, probe, show_table, compare, write_report, dashboard, tasks, list_models)
for command in (*COMMANDS, bench, doctor):
    cli.add_command(command)
