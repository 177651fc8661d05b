"""Pieces of HTML that sections are made of: tables, intervals, and where numbers come from. Whatever is text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from bdh_reason.compare.table import model_name
from bdh_reason.evaluate.rows import Row

SEEN = {True: "no family in common", False: "not compared", None: "training data not at hand"}


class Html(str):
    """Text that is HTML already, and is not escaped."""


def table(head: Sequence[str], lines: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table that scrolls by itself where it is too wide; `words` columns are text, the others numbers. A line of one cell is the
    title of those below it.
    """
    kinds = ["" if place < words else ' class="number"' for place in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head, kinds))
    body = "".join(_row(line, kinds) for line in lines)
    label = escape(", ".join(head))
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def of_markdown(text: str, words: int = 1) -> str:
    """Tables of Markdown, with headings between them, as HTML."""
    return "".join(f"<h3>{escape(block.lstrip('# '))}</h3>" if block.startswith("#") else _table(block, words) for block in text.split("\n\n") if block)


def _table(block: str, words: int) -> str:
    head, _, *lines = ([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines())
    return table(head, lines, words)


def _row(line: Sequence[str], kinds: Sequence[str]) -> str:
    if len(line) == 1:
        return f'<tr class="group"><th scope="colgroup" colspan="{len(kinds)}"><span>{escape(line[0])}</span></th></tr>'
    return f"<tr>{''.join(_cell(cell, kind, place) for place, (cell, kind) in enumerate(zip(line, kinds)))}</tr>"


def _cell(cell: str, kind: str, place: int) -> str:
    text = cell if isinstance(cell, Html) else escape(cell)
    return f'<th scope="row"{kind}>{text}</th>' if place == 0 else f"<td{kind}>{text}</td>"


def interval(value: float, low: float | None, high: float | None, colour: int, span: tuple[float, float] = (0.0, 1.0)) -> Html:
    """A number, its interval in brackets, and both as a small picture."""
    ends = "" if low is None or high is None else f' <span class="ends">[{low:.4f}, {high:.4f}]</span>'
    at, start, stop = (
        4 + 92 * min(max((end - span[0]) / (span[1] - span[0] or 1), 0), 1) for end in (value, value if low is None else low, value if high is None else high)
    )
    drawn = f'<path d="M4 6H96" class="track"/><path d="M{start:.1f} 6H{stop:.1f}" class="whisker"/><circle cx="{at:.1f}" cy="6" r="3.4"/>'
    picture = f'<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="xMinYMid" aria-hidden="true" style="color:var(--series-{colour})">{drawn}</svg>'
    return Html(f"{value:.4f}{ends}{picture}")


def mode(row: Row) -> str:
    return f"best of {row.restarts}" if row.restarts else row.mode.replace("_", " ")


def provenance(rows: Sequence[Row]) -> str:
    """Where numbers come from, folded: rows, problems, seeds, commits, data, weights, devices and versions."""
    if not rows:
        return ""
    created = sorted(row.created for row in rows)
    facts = {
        "Rows": f"{len(rows):,}, measured {created[0][:16].replace('T', ' ')} to {created[-1][:16].replace('T', ' ')} UTC",
        "Problems": f"n from {min(row.n for row in rows):,} to {max(row.n for row in rows):,}",
        "Seeds": _several(str(row.seed) for row in rows if row.seed is not None),
        "Commits": _several(row.commit for row in rows),
        "Data (SHA-256)": _several(row.data_hash[:12] for row in rows),
        "Weights (SHA-256)": _several(f"{model_name(row)} {row.weights[:12]}" for row in rows if row.weights),
        "Devices": _several(f"{row.device}, {row.dtype}" for row in rows),
        "Software": _several(" ".join(f"{name} {version}" for name, version in row.versions.items()) for row in rows),
        "Compared with training data": _several(SEEN[row.unseen] for row in rows),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    return f'<details class="provenance"><summary>Where these numbers come from</summary><dl>{listed}</dl></details>'


def _several(words: Iterable[str], most: int = 12) -> str:
    """Each once, in order; the first of very many."""
    found = sorted(filter(None, set(words)))
    return " · ".join(found[:most]) + (f" · and {len(found) - most:,} more" if len(found) > most else "")
