"""What the commands share: options, and how their words become numbers."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from bdh_reason.errors import UserError

TOLD = 20  # complaints
SAY_EVERY = 30.0  # seconds between two lines of progress that is not watched
ROOTS = {"datasets": Path("datasets"), "runs": Path("runs")}
settings = click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change one option; the value is YAML. May be repeated.")
online = click.option("--online", is_flag=True, help="Log to W&B online or not at all. [default: online with a key, else offline]")
as_json = click.option("--json", "json_lines", is_flag=True, help="Print JSON lines.")


def numbers(option: str, given: str | None) -> tuple[int, ...] | None:
    """What an option of several numbers was given, each once, from the smallest; None where it was not given."""
    if given is None:
        return None
    try:
        return tuple(sorted({int(number) for number in given.split(",")}))
    except ValueError as error:
        raise UserError(f"{option} {given}", "numbers with commas, e.g. 16,64,256") from error


def seconds(time: str | None) -> float | None:
    if time is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", time)
    if not match:
        raise UserError(f"--max-time {time}", "a number and s, m or h, e.g. 9m")
    return min(float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]], 1e8)


def device(device: str, needs: Callable[[], str] = str) -> str:
    """The word cpu or cuda. `needs` says, where there is no CUDA device, what would do."""
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {device}", "auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda, but no CUDA device is here", "cpu", needs())
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"


def cards(device: str) -> list[str]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; none where `device` is cpu."""
    import torch

    number = torch.cuda.device_count() if device == "cuda" else 0
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in given.split(",")][:number] if given else [str(index) for index in range(number)]


def progress(what: str) -> Any:
    """A progress callback (done, total) that keeps one line on standard error up to date; where that is no terminal, another line every so often."""
    said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        if sys.stderr.isatty():
            click.echo(f"\r{what}: {done:,} of {total:,}", err=True, nl=done >= total)
        elif time.monotonic() - said >= SAY_EVERY:
            said = time.monotonic()
            click.echo(f"{what}: {done:,} of {total:,}", err=True)

    return show


def complain(complaints: Iterable[Any]) -> None:
    """What was left out, once everything else is done. Raises UserError where that is anything; a file that is no file of rows is not told line by line."""
    if told := [str(complaint) for complaint in complaints]:
        more = f"\nand {len(told) - TOLD:,} more" if len(told) > TOLD else ""
        raise UserError("left out, and nothing else:\n" + "\n".join(told[:TOLD]) + more)
