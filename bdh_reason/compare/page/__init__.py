"""The page of all results: one HTML file that needs nothing else. Sections are in sections.py, looks and behaviour in page.css and page.js beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bdh_reason.compare.page import chart
from bdh_reason.compare.page.evidence import Evidence, Section
from bdh_reason.compare.page.figures import Figure, problems, scale
from bdh_reason.compare.page.html import mode, provenance, table
from bdh_reason.compare.page.sections import SECTIONS
from bdh_reason.compare.table import model_name
from bdh_reason.evaluate.page import fill, inside
from bdh_reason.evaluate.rows import Row

HERE = Path(__file__).parent
MOST = 300  # rows in the table of one figure


def page(evidence: Evidence) -> tuple[bytes, list[tuple[Figure, bytes]]]:
    """The page, and its figures, each with an SVG file of it."""
    sections = [section(evidence) for section in SECTIONS]
    parts = {
        "chart.css": chart.CSS,
        **{name: (HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")},
        "contents": "".join(f'<li><a href="#{section.name}">{section.title}</a></li>' for section in sections),
        "numbers": _numbers(evidence),
        "sections": "\n".join(_section(section, evidence) for section in sections),
        "left_out": _failures(evidence.failed) + _left_out(evidence.left_out, evidence.older),
        "files": ", ".join(f"<code>{escape(file.name)}</code>" for file in evidence.files),
        "films": inside(list(evidence.boards)),
        "rows": inside(_table([*evidence.rows, *evidence.learning])),
    }
    figures = [figure for section in sections for figure in section.figures]
    return fill(HERE / "page.html", parts).encode(), [(figure, chart.sheet(figure.panels, evidence.look)) for figure in figures]


def _section(section: Section, evidence: Evidence) -> str:
    figures = "".join(_figure(figure, evidence) for figure in section.figures)
    return f'<section id="{section.name}"><h2>{section.title}</h2><p class="about">{section.about}</p>{section.body}{figures}</section>'


def _figure(figure: Figure, evidence: Evidence) -> str:
    panels = "".join(chart.draw(panel, evidence.look) for panel in figure.panels)
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>"
    return f'<figure><div class="panels">{panels}</div>{caption}{_data(figure.rows)}{provenance(figure.rows)}</figure>'


def _data(rows: Sequence[Row]) -> str:
    """The rows behind a figure as a table, folded."""
    head = ("problems", "model", "mode", "depth", "slice", "n", "score [95 %]", "params", "FLOPs per answer", "training FLOPs", "set")
    title = "The numbers of this figure" + (f", the first {MOST:,} of {len(rows):,}" if len(rows) > MOST else "")
    return f"<details><summary>{title}</summary>{table(head, map(_line, rows[:MOST]), words=3)}</details>"


def _line(row: Row) -> tuple[str, ...]:
    depth, params = ("–" if number is None else f"{number:,}" for number in (row.depth, row.params))
    flops = ("–" if number is None else scale(number) for number in (row.flops_per_problem, row.train_flops))
    score = f"{row.bits_per_byte if row.exact_match is None else row.exact_match:.4f} [{row.ci_low:.4f}, {row.ci_high:.4f}]"
    about = (problems(row), model_name(row), mode(row), depth, row.difficulty or ("all" if row.horizon is None else f"horizon {row.horizon}"))
    return (*about, f"{row.n:,}", score, params, *flops, row.data_hash[:4])


def _numbers(evidence: Evidence) -> str:
    """What there is, in a line."""
    rows = [*evidence.rows, *evidence.learning]
    counted = {
        "rows": len(rows),
        "models": len({row.model for row in rows if row.arch}),
        "sets of problems": len({problems(row) for row in rows}),
        "replies checked": sum(row.n for row in rows if row.difficulty is None and row.bits_per_byte is None),
    }
    return "".join(f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in counted.items())


def _failures(failed: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(line)}</li>" for line in failed)
    return f'<p class="complaint">{len(failed):,} runs failed and have no result since:</p><ul>{listed}</ul>' if failed else ""


def _left_out(complaints: Sequence[str], older: int) -> str:
    also = f"<p>Of rows that answer the same question the newest counts: {older:,} older ones are not shown.</p>" if older else ""
    if not complaints:
        return f"{also}<p>No other line of these files was left out.</p>" if older else "<p>No line of these files was left out.</p>"
    listed = "".join(f"<li>{escape(complaint)}</li>" for complaint in complaints)
    return f'<p class="complaint">{len(complaints):,} lines or files were left out, nothing else:</p><ul>{listed}</ul>{also}'


def _table(rows: Sequence[Row]) -> dict[str, Any]:
    """All rows by columns, as page.js shows them; words are told once and then by their number, in `words`."""
    columns: dict[str, list[Any]] = {
        "problems": [problems(row) for row in rows],
        "model": [model_name(row) for row in rows],
        "depth": [row.depth for row in rows],
        "n": [row.n for row in rows],
        "measure": ["exact_match" if row.bits_per_byte is None else "bits_per_byte" for row in rows],
        "score": [_short(row.exact_match if row.bits_per_byte is None else row.bits_per_byte) for row in rows],
        "low": [_short(row.ci_low) for row in rows],
        "high": [_short(row.ci_high) for row in rows],
        "slice": [row.difficulty or "whole" for row in rows],
        "horizon": [row.horizon for row in rows],
        "mode": [mode(row) for row in rows],
        "arch": [row.arch or row.mode for row in rows],
        "params": [row.params for row in rows],
        "FLOPs per answer": [row.flops_per_problem for row in rows],
        "training FLOPs": [row.train_flops for row in rows],
        "seed": [row.seed for row in rows],
        "split": [row.split for row in rows],
        "set": [row.data_hash[:4] for row in rows],
        "commit": [row.commit for row in rows],
        "measured": [row.created[:16].replace("T", " ") for row in rows],
    }
    words = {name: list(dict.fromkeys(values)) for name, values in columns.items() if any(isinstance(value, str) for value in values)}
    places = {name: {word: place for place, word in enumerate(its)} for name, its in words.items()}
    return {"words": words, "columns": {name: [places[name][value] for value in its] if name in places else its for name, its in columns.items()}}


def _short(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
