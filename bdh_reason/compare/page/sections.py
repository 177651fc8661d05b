"""The sections of the page: each is one function from the evidence to a section, and SECTIONS is their order. A section without rows says so in a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from bdh_reason.compare import adapt, seeds
from bdh_reason.compare.horizon import overview
from bdh_reason.compare.language import twins
from bdh_reason.compare.page import figures, forests
from bdh_reason.compare.page.evidence import Evidence, Section
from bdh_reason.compare.page.figures import Figure, asked, problems, scale
from bdh_reason.compare.page.html import Html, interval, mode, of_markdown, provenance, table
from bdh_reason.compare.table import board_name, model_name
from bdh_reason.evaluate.rows import Row

MOST = 30  # lines of one set of problems in a table


def headline(evidence: Evidence) -> Section:
    """The newest weights of every model on every set of problems, guesses beside them."""
    lines: list[Sequence[str]] = []
    shown: list[Row] = []
    models = asked(evidence.rows)
    guesses = [row for row in evidence.rows if row.exact_match is not None and not row.arch and row.model != "copy"]
    sets: dict[str, list[Row]] = defaultdict(list)
    for row in [*models, *guesses]:
        if row.difficulty is None and row.horizon is None and row.split != "validation":
            sets[problems(row)].append(row)
    for title, its in sorted(sets.items(), key=lambda item: -max(row.n for row in item[1]))[: figures.PANELS]:
        best = {row.model: max(one.exact_match or 0 for one in its if one.model == row.model) for row in its}
        ordered = sorted(its, key=lambda row: (bool(row.arch), best[row.model], row.model, row.depth or 0), reverse=True)
        lines += [[title], *_cut([_score(row, evidence.colour(row)) for row in ordered])]
        shown += ordered[:MOST]
    head = ("model", "thinking", "exact_match [95 %]", "n", "blanks right", "chance", "params", "training FLOPs", "set")
    about = (
        "Whole problems solved, every reply checked by the rules of its task. A line is one seed; the newest weights of each name. Lines with the same set "
        "answered the same problems. Where n says <em>on</em>, problems grew on that many islands and the interval is by island."
    )
    body = f'<div class="headline">{table(head, lines, words=3)}</div>{provenance(shown)}' if shown else ""
    return Section("results", "Results", about if shown else "There are no rows of problems yet.", body)


def _cut(lines: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """As many as a table holds, and how many more there are."""
    more = len(lines) - MOST
    return [*lines[:MOST], *([[f"and {more:,} more, in the table of all rows"]] if more > 0 else [])]


def _score(row: Row, colour: int) -> tuple[str, ...]:
    score = interval(row.exact_match or 0.0, row.ci_low, row.ci_high, colour)
    thinking = mode(row) if row.depth is None else f"{row.depth:,} steps" + ("" if row.mode == "in_place" else f", {mode(row)}")
    count = f"{row.n:,}" + (f" on {row.islands:,}" if row.islands else "")
    chance = "0" if not row.chance else f"{row.chance:.0e}"
    training = "–" if row.train_flops is None else scale(row.train_flops)
    return (model_name(row), thinking, score, count, f"{row.cell_accuracy:.4f}", chance, f"{row.params or 0:,}", training, row.data_hash[:4])


def over_seeds(evidence: Evidence) -> Section:
    """Recipes that ran with several seeds."""
    found = seeds.pooled(evidence.rows)
    if not found:
        return Section("seeds", "Over seeds", "No recipe ran with several seeds on the same problems yet.")
    body = table(seeds.HEAD, map(seeds.cells, found), words=3) + provenance([its.row for its in found])
    return Section("seeds", "Over seeds", f"Runs that differ in nothing but their seed, as one score. {seeds.NOTE}", body)


def boards(evidence: Evidence) -> Section:
    """The player of boards."""
    if not evidence.boards:
        return Section("boards", "Watch it think", "There are no boards yet: <code>bdh-reason solve --film results/boards/NAME.json PUZZLE</code> writes one.")
    options = "".join(f'<option value="{place}">{escape(_board(film))}</option>' for place, film in enumerate(evidence.boards))
    about = (
        "One board after each latent step. Small digits are candidates, as strong as the model believes in them; a large one it is sure of, dashed cells "
        "contradict each other. The boards were picked to be looked at, they are no sample."
    )
    body = (
        f'<div class="stage"><div><label>Board <select id="board">{options}</select></label><div id="player"></div>'
        '<p class="hint">Keys: left and right arrow, Home, End, space.</p><noscript><p>The steps need JavaScript.</p></noscript></div>'
        f'<div id="course"></div></div>{_films(evidence.boards)}'
    )
    return Section("boards", "Watch it think", about, body)


def _board(film: Mapping[str, Any]) -> str:
    about, right = film["about"], film["right"]
    blanks = sum(film["scored"])
    end = f"solved at step {right.index(True)}" if right[-1] else f"not solved in {len(right) - 1} steps"
    return f"{board_name(about['task'], about['config'])}, {blanks} blanks: {end}"


def _films(films: Sequence[Mapping[str, Any]]) -> str:
    head = ("board", "model", "params", "steps", "weights", "commit", "device")
    of = [film["about"] for film in films]
    lines = [
        (_board(film), f"{its['model']} @{its['step']}", f"{its['params']:,}", f"{its['depth']:,}", its["weights"][:12], its["commit"], its["device"])
        for film, its in zip(films, of)
    ]
    return f'<details class="provenance"><summary>Where these boards come from</summary>{table(head, lines, words=2)}</details>'


def drawn(name: str, title: str, about: str, missing: str, draw: Callable[[Sequence[Row]], Figure]) -> Callable[[Evidence], Section]:
    """A section of one figure."""

    def section(evidence: Evidence) -> Section:
        figure = draw(evidence.rows)
        return Section(name, title, about, figures=(figure,)) if figure.panels else Section(name, title, missing)

    return section


def horizons(evidence: Evidence) -> Section:
    """Problems longer than those trained on."""
    figure = figures.by_horizon(evidence.curves, evidence.rows)
    if not figure.panels:
        return Section("horizon", "Longer problems", "No model was asked at several horizons yet.")
    about = (
        "Beyond the lengths that were trained on. In the table the longest horizon up to which exact_match is at least 0.9 (0: nowhere), and the area under "
        "the curve over log₂ of the horizon (1: always right), each with its 95 % interval by bootstrap."
    )
    return Section("horizon", "Longer problems", about, of_markdown(overview(evidence.curves)), (figure,))


def language(evidence: Evidence) -> Section:
    """Texts, and the models that read both texts and puzzles."""
    texts = [row for row in evidence.rows if row.bits_per_byte is not None]
    if not texts:
        return Section(
            "language", "Language beside Sudoku", "No rows of texts yet: nothing is known here of what puzzles cost a model's language, or the other way round."
        )
    top = max(max(row.bits_per_byte or 0, row.ci_high or 0) for row in texts)
    lines: list[Sequence[str]] = []
    for title in dict.fromkeys(map(problems, texts)):
        lines_of: list[Sequence[str]] = []
        for row in sorted((row for row in texts if problems(row) == title), key=lambda row: row.bits_per_byte or 0):
            score = interval(row.bits_per_byte or 0, row.ci_low, row.ci_high, evidence.colour(row), span=(0, top))
            floor = "–" if row.floor is None else f"{row.floor:.4f}"
            solved = [one for one in asked(evidence.rows) if one.weights == row.weights and one.weights and one.difficulty is None]
            best = max(solved, key=lambda one: (one.n, one.depth or 0), default=None)
            also = "–" if best is None else f"{best.exact_match:.4f} on {problems(best)}, {best.depth} steps"
            lines_of.append((model_name(row), score, floor, f"{row.n:,}", f"{row.params or 0:,}", also))
        lines += [[title], *_cut(lines_of)]
    about = (
        "Bits per byte of whole documents, less is better; intervals are over documents, 95 %. The last column is the same weights on puzzles. Where twins of "
        "the same kind and seed were trained on one of both alone, a table tells what having both costs, a line for every twin: the gap is paired by seed, "
        "its interval Student's t."
    )
    both = twins(evidence.rows)
    head = ("model", "bits_per_byte [95 %]", "floor", "documents", "params", "the same weights on puzzles")
    return Section("language", "Language beside Sudoku", about, (of_markdown(both, words=3) if both else "") + table(head, lines) + provenance(texts))


def learning(evidence: Evidence) -> Section:
    """What models learn after training: from solved examples in context, and from one task after the other."""
    sequences, contexts, _ = adapt.apart(evidence.learning)
    found = adapt.matrices(sequences)
    about = (
        "Solved examples in context, carried by the state; tasks learned one after the other. ACC is the mean exact_match on all tasks at the end, BWT "
        "what later tasks did to earlier ones, FWT what earlier ones did for later ones."
    )
    tables = [*([adapt.contexts(contexts)] if contexts else []), *([adapt.sequences(found)] if found else [])]
    if not tables:
        return Section("learning", "Learning after training", "No rows of learning after training yet.")
    return Section("learning", "Learning after training", about, of_markdown("\n\n".join(tables)) + provenance([*contexts, *sequences]))


def costs(evidence: Evidence) -> Section:
    """What a model costs to keep, to train and to ask."""
    timed = [row for row in asked(evidence.rows) if row.problems_per_s and row.difficulty is None]
    if not timed:
        return Section("costs", "What it costs", "No row tells how long answers took yet.")
    lines: list[Sequence[str]] = []
    for title in dict.fromkeys(map(problems, sorted(timed, key=lambda row: -row.n))):
        its = sorted((row for row in timed if problems(row) == title), key=lambda row: (row.model, row.depth or 0))
        lines += [[title], *_cut([_cost(row) for row in its])]
    about = (
        "State floats are what a model carries from step to step for one problem. Speed is of whole exams at the depth told, on the device told, where other "
        "work may have run beside it."
    )
    head = ("model", "device", "params", "state floats", "training FLOPs", "depth", "FLOPs per answer", "problems/s")
    return Section("costs", "What it costs", about, table(head, lines, words=2) + provenance(timed))


def _cost(row: Row) -> tuple[str, ...]:
    training, answer, state = ("–" if number is None else scale(number) for number in (row.train_flops, row.flops_per_problem, row.state_floats))
    name = model_name(row) + (f", best of {row.restarts}" if row.restarts else "")
    return (name, row.device, f"{row.params or 0:,}", state, training, f"{row.depth or 0:,}", answer, f"{row.problems_per_s:.3g}")


def claims(evidence: Evidence) -> Section:
    """What others say of themselves."""
    lines = [
        (claim["system"], Html(f'<span class="claimed">{escape(claim["score"])}</span>'), claim["effort"], claim["about"], claim["params"], _source(claim))
        for claim in evidence.claims
    ]
    about = (
        "Published figures for Sudoku-Extreme, as their authors state them. <strong>None of this was run here</strong>, and protocols differ from line to line."
    )
    head = ("system", "claimed", "effort", "protocol, as far as told", "parameters", "source")
    return Section("claims", "What others claim", about, table(head, lines, words=6))


def _source(claim: Mapping[str, Any]) -> Html:
    return Html(f'<a href="{escape(claim["url"])}">{escape(claim["source"])}</a>')


def explorer(evidence: Evidence) -> Section:
    """All rows; page.js fills the table."""
    body = (
        '<form id="filters" aria-label="Filters"></form><p id="count" role="status" aria-live="polite"></p>'
        '<div class="wide" tabindex="0" role="region" aria-label="All rows"><table id="every"><thead></thead><tbody></tbody></table></div>'
        '<button type="button" id="more" hidden>Show more</button>'
        '<noscript><p>The table needs JavaScript; <a href="README.md">README.md</a> holds the same rows.</p></noscript>'
    )
    return Section("rows", "All rows", "Every row, validation and slices of difficulty included. A column's title sorts by it.", body)


SECTIONS: tuple[Callable[[Evidence], Section], ...] = (
    headline,
    over_seeds,
    boards,
    drawn(
        "depth",
        "More time to think",
        "Latent steps cost nothing but time: the weights stay the same.",
        "No model was asked at several depths yet.",
        figures.by_depth,
    ),
    drawn("difficulty", "Harder problems", "Where models stop solving.", "No rows by difficulty yet.", figures.by_difficulty),
    horizons,
    drawn("compute", "Compute of an answer", "The same as depth, at what it costs.", "No model was asked at several depths yet.", figures.by_compute),
    drawn(
        "parameters",
        "Parameters",
        "Size, beside other things that differ too.",
        "No models of different sizes answered the same kind of problems yet.",
        figures.by_parameters,
    ),
    drawn(
        "training",
        "Compute of training",
        "More training, beside other things that differ too.",
        "No models of different training answered the same kind of problems yet.",
        figures.by_training,
    ),
    drawn(
        "pairs",
        "BDH against a transformer",
        "Matched pairs on the same problems. BDH is allowed to lose.",
        "No matched pairs yet: no rows of two architectures with something equal.",
        forests.by_pair,
    ),
    language,
    learning,
    costs,
    claims,
    explorer,
)
