"""The row: one result with everything a reader needs to attack it. Rows are written by `eval` alone, as lines of JSON; torch is not needed to read them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bdh_reason.errors import UserError
from bdh_reason.evaluate import outcomes
from bdh_reason.files import sync, writing

SCHEMA = 7
SINCE = {2: ("restarts", "first_right"), 3: ("islands",), 4: ("trained", "excluded"), 5: ("scored_bytes", "context", "floor"), 6: ("sequence",)}
SINCE |= {7: ("items", "outcomes", "island_sizes", "error")}
ADDED = {old: tuple(name for schema, names in SINCE.items() if schema > old for name in names) for old in range(1, SCHEMA)}  # what older rows lack: None there


@dataclass(frozen=True)
class Row:
    """Null (None) where a field does not apply.

    config: the task's options · arch, step, weights: the model's kind, its optimiser steps, the SHA-256 of its checkpoint · unseen: whether the
    problems' families were compared with those it was trained on, null where that data set was not at hand · problems_per_s: at the deepest depth of a
    rollout, over all problems · params, state_floats, flops_per_problem (forward, at this depth), train_flops: what the answer cost ·
    restarts: runs from other starting states among which the rules chose, null for one run · first_right: of one rollout the steps until the first
    right reply, `median` and `p90` over all n (null where that many were never right), and how many were `never` right or right and `left` it again ·
    difficulty: the slice, None in the row over all · ci_low, ci_high: Wilson 95 %, by island where the problems grew on
    `islands` and may fail together, null where they are independent · chance: expected exact_match of uniform guessing ·
    horizon: that of the problems, where their task has one · trained: the horizons the model was trained on · excluded: problems left out of the exam for
    all who sat it, because one of them was trained on their family, null where such an exam is refused · context: in mode in_context how many solved
    examples the model read before the problem, and in mode cipher too, where they alone told how answers are spelled · sequence: of a model trained on one
    task after the other the `plan`, its `tasks` in order, which `task` is asked here, after which `stage` (0: fresh weights, 1: the first task), and by what
    `strategy` the model went on after the first, null before that · items: a hash of the
    problems in their order · outcomes: which of them were right, a bit each, of texts what each cost (`evaluate.outcomes`) · island_sizes: how many
    neighbours in that order grew on each of the `islands` · error: why there is no score; all other fields then say only what was tried.

    Of a text the problems are documents: bits_per_byte is what all `scored_bytes` cost together, ci_low and ci_high are its 95 % interval over documents
    (null for one alone), floor is what they cost under the source that wrote them, where that is known, and scores of replies are null. mode "stream": a
    byte is predicted from all before it in its document; "windows": in windows of which it has `context` bytes or more, where there are so many; "code": by
    a code without a model.
    """

    created: str
    task: str
    task_version: str
    config: dict[str, Any]
    split: str
    model: str
    recipe: str | None
    arch: str | None
    seed: int | None
    step: int | None
    weights: str | None
    params: int | None
    state_floats: int | None
    flops_per_problem: float | None
    train_flops: float | None
    match: str | None
    mode: str
    depth: int | None
    difficulty: str | None
    horizon: int | None
    n: int
    unseen: bool | None
    exact_match: float | None
    ci_low: float | None
    ci_high: float | None
    cell_accuracy: float | None
    bits_per_byte: float | None
    chance: float | None
    problems_per_s: float | None
    device: str
    dtype: str
    versions: dict[str, str]
    commit: str
    data_hash: str
    restarts: int | None = None
    first_right: dict[str, Any] | None = None
    islands: int | None = None
    trained: list[int] | None = None
    excluded: int | None = None
    scored_bytes: int | None = None
    context: int | None = None
    floor: float | None = None
    sequence: dict[str, Any] | None = None
    items: str | None = None
    outcomes: str | None = None
    island_sizes: list[int] | None = None
    error: str | None = None
    schema: int = SCHEMA

    @property
    def score(self) -> str:
        """The score that counts, by name."""
        if self.error:
            return self.error
        return f"exact_match {self.exact_match:.4f}" if self.bits_per_byte is None else f"bits_per_byte {self.bits_per_byte:.4f}"

    @property
    def impossible(self) -> str:
        """What in it no exam gives, in a few words; empty where nothing is wrong."""
        if self.error:
            return ""
        if self.exact_match is None:
            scored = self.bits_per_byte is not None and self.scored_bytes is not None and (self.ci_low is None) == (self.ci_high is None)
        else:
            scored = 0 <= self.exact_match <= 1 and None not in (self.ci_low, self.ci_high, self.cell_accuracy, self.chance)
        if not scored:
            return "no whole score"
        for name in ("n", "depth", "horizon"):
            if (value := getattr(self, name)) is not None and value < 1:
                return f"{name} = {value}"
        if self.outcomes is not None and not outcomes.fits(self.outcomes, self.n, self.exact_match is None):
            return f"outcomes that are not those of {self.n:,} problems"
        if self.island_sizes is not None and (len(self.island_sizes), sum(self.island_sizes)) != (self.islands, self.n):
            return f"islands that do not hold {self.n:,} problems"
        return ""

    def line(self) -> str:
        """The row as one line of JSON. Raises UserError for a number that is none."""
        try:
            return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise UserError(f"a result of {self.model} that is no number", "finite numbers", "its weights have diverged: train with a lower rate") from error


NAMES = {field.name for field in fields(Row)}
FIELDS = {schema: NAMES - set(ADDED.get(schema, ())) for schema in (*ADDED, SCHEMA)}


class Found(NamedTuple):
    """A row and where it stands, e.g. `rows.jsonl, line 7`."""

    row: Row
    where: str


def append(path: Path, rows: Iterable[Row]) -> None:
    """Adds rows to a file in one write, so that a reader never sees half of one. Raises UserError where it cannot be written."""
    add(path, [row.line() for row in rows])


def add(path: Path, lines: Iterable[str]) -> None:
    """`append` of rows that are lines already; where a killed writer left half a line, they begin after it."""
    text = "".join(line + "\n" for line in lines)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if size := file.seek(0, os.SEEK_END):
                file.seek(size - 1)
                text = text if file.read(1) == b"\n" else "\n" + text
            file.write(text.encode())
            sync(file)


def read(paths: Iterable[Path]) -> list[Row]:
    """All rows of some files. Raises the first complaint of `survey`, and UserError naming a file that cannot be read."""
    rows, complaints = survey(paths)
    if complaints:
        raise complaints[0]
    return rows


def survey(paths: Iterable[Path]) -> tuple[list[Row], list[UserError]]:
    """The rows of some files, and the complaints of `locate`."""
    found, complaints = locate(paths)
    return [its.row for its in found], complaints


def locate(paths: Iterable[Path]) -> tuple[list[Found], list[UserError]]:
    """All rows of some files and where each stands, and a complaint for each line that is none, is of another schema version or repeats an earlier one; such a
    line is left out and nothing else. Raises UserError naming a file that cannot be read.
    """
    found, complaints, seen = [], [], dict[bytes, str]()
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            place = f"{path}, line {number}"
            first = seen.setdefault(line, place)
            try:
                if first != place:
                    raise UserError(f"{place} repeats {first}", "each row once", "remove the line")
                found.append(Found(_row(line, place), place))
            except UserError as complaint:
                complaints.append(complaint)
    return found, complaints


def _lines(path: Path) -> list[bytes]:
    """As bytes: what is torn inside a character is one line that is no row."""
    try:
        return path.read_bytes().removesuffix(b"\n").split(b"\n") if path.stat().st_size else []
    except OSError as error:
        raise UserError(f"cannot read rows from {path}: {error}", "a file that `bdh-reason eval` wrote") from error


def _row(line: bytes, place: str) -> Row:
    parse, validate = _readers()
    try:
        content = parse(line, allow_inf_nan=False)
        schema = content["schema"]
        if content.keys() != FIELDS.get(schema):
            raise UserError(f"{place} has schema version {schema}", f"{SCHEMA} with exactly its fields", "evaluate again")
        row: Row = validate(line, strict=True)
    except (ValueError, KeyError, TypeError) as error:  # pydantic's are ValueErrors
        raise UserError(f"{place} is no row", "lines that `bdh-reason eval` wrote", "remove the line") from error
    if wrong := row.impossible:
        raise UserError(f"{place} is no row: {wrong}", "lines that `bdh-reason eval` wrote", "remove the line")
    return row if schema == SCHEMA else replace(row, schema=SCHEMA)


@cache
def _readers() -> tuple[Callable[..., Any], Callable[..., Row]]:
    """What json.loads does in twice the time, and what makes a row of a line."""
    from pydantic import TypeAdapter
    from pydantic_core import from_json

    return from_json, TypeAdapter(Row).validate_json
