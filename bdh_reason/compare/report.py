"""What rows say as a whole: for a terminal, and as the pages of results/. Reads rows and nothing else; torch is not needed.

What only the pages need is imported when they are written: a table is there sooner.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdh_reason.compare import adapt, horizon, seeds
from bdh_reason.compare.table import failures, first_right, latest, table
from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import Row, survey
from bdh_reason.files import replace, writing

if TYPE_CHECKING:
    from bdh_reason.compare.page.evidence import Evidence
    from bdh_reason.compare.page.figures import Figure

RESULTS = Path("results")
CLAIMS = Path(__file__).with_name("claims.yaml")
ABOUT = ("commit", "config", "depth", "device", "model", "params", "step", "task", "weights")  # of what a film says it shows
NEEDED = ("about", "belief", "captions", "clash", "column", "prompt", "region", "right", "row", "scored", "sure", "symbols", "title")  # of a film


PROBLEMS = """exact_match: the share of n whole problems whose reply the rules accept, and its Wilson 95 % interval, by island where n is on islands. chance: of
uniform guessing; the oracle gets 1. cells: the share of blank cells."""
TEXTS = """bits_per_byte: over all bytes of so many documents, and its 95 % interval over documents, Student's t. floor: of the source that wrote the text."""


def report(rows: Sequence[Row]) -> str:
    """All rows in a table, and tables over horizons where a model was asked several, over examples in context and over the stages of sequences; how the
    numbers came about, and what failed.
    """
    scored = [row for row in rows if not row.error]
    sequences, contexts, others = adapt.apart(scored)
    notes = [note for note, text in ((PROBLEMS, False), (TEXTS, True)) if any((row.bits_per_byte is not None) == text for row in others)]
    found = [curve for curve in horizon.curves(others) if len(curve.horizons) > 1]
    parts = [
        table(others) if others or not rows else "",
        *notes,
        seeds.table(seeds.pooled(others)),
        f"{horizon.overview(found)}\n\n{horizon.tables(found)}\n\n{_about_horizons(others)}" if found else "",
        adapt.contexts(contexts) if contexts else "",
        adapt.sequences(adapt.matrices(sequences)) if sequences else "",
        _failures(rows),
    ]
    return "\n\n".join(part for part in parts if part)


def write(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Writes results/report.html, its figures under results/figures, results/README.md and where it has anything to say results/language.md, from rows, from
    the boards under results/boards and from probes under results/probes. Returns what was written, and what is wrong with lines, boards and probes that
    were left out. Raises UserError outside a clone and where there are no rows.
    """
    import yaml

    from bdh_reason.compare import language
    from bdh_reason.compare.page import page
    from bdh_reason.compare.page.evidence import Evidence

    if not RESULTS.is_dir() or not files:
        raise UserError(f"no rows in {RESULTS / 'rows'}", "a clone with rows that `bdh-reason eval --rows` wrote")
    rows, complaints = survey(files)
    (boards, unplayable), (probed, unread) = _boards(), _probes()
    left_out = [*map(str, complaints), *unplayable, *unread]
    scored = [row for row in rows if not row.error]
    newest = latest(scored)
    if not newest:
        remedy = "; ".join([*failures(rows), *left_out])
        raise UserError(f"no row with a result in {', '.join(map(str, files))}", "files that `bdh-reason eval --rows` wrote", remedy)
    sequences, contexts, others = adapt.apart(newest)
    claims, older = yaml.safe_load(CLAIMS.read_text(encoding="utf-8")), len(scored) - len(newest)
    evidence = Evidence(others, boards, claims, files, left_out, [*sequences, *contexts], older, failures(rows))
    html, figures = page(evidence)
    learned = _adapt(sequences, contexts) if sequences or contexts else ""
    told = language.page(others, [row for its in probed.values() for row in its], map(str, [*files, *probed]))
    contents = {Path("figures", f"{figure.name}.svg"): drawn for figure, drawn in figures}
    contents |= {Path("README.md"): _readme(evidence, [figure for figure, _ in figures], learned).encode(), Path("report.html"): html}
    contents |= {Path("language.md"): told.encode()} if told else {}
    with writing(RESULTS):
        (RESULTS / "figures").mkdir(exist_ok=True)
        for name, content in contents.items():
            replace(RESULTS / name, content)
    return [RESULTS / name for name in contents], left_out


def _failures(rows: Sequence[Row]) -> str:
    return "\n".join(f"- {line}" for line in failures(rows))


def _probes() -> tuple[dict[Path, list[dict[str, Any]]], list[str]]:
    """The rows of probes by file, and what is wrong with files that were left out."""
    from bdh_reason.compare import probe

    found, complaints = {}, []
    for path in sorted((RESULTS / "probes").glob("*.jsonl")):
        try:
            found[path] = probe.read([path])
        except UserError as error:
            complaints.append(str(error))
    return found, complaints


def _boards() -> tuple[list[dict[str, Any]], list[str]]:
    """The films that `solve --film` wrote, by the names of their files, and what is wrong with others."""
    films, complaints = [], []
    for path in sorted((RESULTS / "boards").glob("*.json")):
        try:
            film = json.loads(path.read_text(encoding="utf-8"))
            if not film["right"]:
                raise ValueError("no steps")
            films.append({name: film[name] for name in NEEDED} | {"about": {name: film["about"][name] for name in ABOUT}})
        except (OSError, ValueError, KeyError, TypeError) as error:
            complaints.append(f"{path} is no board ({error!r}); write it again with `bdh-reason solve --film`")
    return films, complaints


def _readme(evidence: Evidence, figures: Sequence[Figure], learned: str) -> str:
    """The same rows as tables, and what was learned after training."""
    rows, files = evidence.rows, evidence.files
    boards = [row for row in rows if row.horizon is None]
    whole = [row for row in boards if row.difficulty is None]
    slices = [row for row in boards if row.difficulty is not None]
    devices = "; ".join(sorted({row.device for row in rows}))
    text = f"""# Results

Generated by `bdh-reason report` from {", ".join(f"`{file}`" for file in files)}: {len(rows)} rows, every reply verified by the rules of its task.
Of rows that answer the same question the newest counts: {evidence.older} older ones are left out.
The same as a page, with boards that can be watched: [report.html](report.html).
exact_match counts whole boards, with its Wilson 95 % interval; bits_per_byte is over all bytes of a text, its interval is over documents.
Problems of a mix grow out of each other and may fail together: where n says on how many
islands they grew, the interval is by island; older rows of a mix took them for independent, and their intervals are too narrow. Sets of the same name are
of different seeds or sizes. cells counts blank cells; chance is the expected exact_match of uniform guessing; GFLOP is one forward answer at that depth.
Measured on: {devices}.

{table(whole)}

{_over_seeds(rows)}## By difficulty

{table(slices)}

## Steps until the first right reply

Of single rollouts, as far as their depth. The rules looked on after every step; the model was not told.

{first_right(boards)}
"""
    drawn = "".join(f"\n![{figure.name}](figures/{figure.name}.svg)\n\n{figure.caption}\n" for figure in figures)
    failed = "".join(f"- {line}\n" for line in evidence.failed)
    text += f"\n## What failed\n\n{failed}" if failed else ""
    return text + (_horizons(rows, evidence.curves) if evidence.curves else "") + learned + (f"\n## Figures\n{drawn}" if figures else "")


def _over_seeds(rows: Sequence[Row]) -> str:
    """The section of recipes that ran with several seeds."""
    told = seeds.table(seeds.pooled(rows))
    return f"## Over seeds\n\n{told}\n\n" if told else ""


def _adapt(sequences: Sequence[Row], contexts: Sequence[Row]) -> str:
    """The section of what was learned after training."""
    return f"""
## Learning after training

Examples in context: weights are frozen, and so many solved problems are read before the one that is asked; in mode cipher only they tell how answers are
spelled. exact_match with its 95 % interval, and the share of right cells.

{adapt.contexts(contexts)}

Sequences: exact_match on every task after each one was learned, the first line that of fresh weights; the interval is Wilson's, of several seeds a
hierarchical bootstrap. ACC is the mean of the last line, BWT how much tasks lost or gained after they were learned (forgetting is −BWT), FWT what the ones
before gave a task before it was learned (Lopez-Paz and Ranzato 2017).

{adapt.sequences(adapt.matrices(sequences))}
"""


def _horizons(rows: Sequence[Row], found: Sequence[horizon.Curve]) -> str:
    """The section of the curves."""
    return f"""
## Horizons

{_about_horizons(rows)} The first table has H90 and the area of each model.

{horizon.overview(found)}

{horizon.tables(found)}
"""


def _about_horizons(rows: Sequence[Row]) -> str:
    """How the numbers of curves came about."""
    asked = [row for row in rows if row.horizon is not None and row.difficulty is None]
    fewest, most = min(row.n for row in asked), max(row.n for row in asked)
    excluded = sum(row.excluded or 0 for row in asked)
    return f"""exact_match on problems of each horizon, every family once, {fewest:,} to {most:,} problems. With one seed the
interval is Wilson's, 95 %; with several the value is their mean and the interval a hierarchical bootstrap, seeds first, problems within. H90 is the longest
horizon up to which every one asked is at least 0.9, 0 where there is none; area is that under the curve over log₂ of the horizon, 1 for always right.
Problems of families that somebody in the same exam was trained on were left out ({excluded:,} in all rows together)."""
