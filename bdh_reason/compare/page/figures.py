"""Figures of rows: which rows are a line, which lines are a panel. Each function takes rows and returns one figure, without panels where no rows suit it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import floor, log10

from bdh_reason.compare import horizon, pairs
from bdh_reason.compare.page.chart import Forest, Panel, Point, Series, signed
from bdh_reason.compare.table import problem_name
from bdh_reason.evaluate.rows import Row

LINES, PANELS = 8, 12  # that a panel and a figure can hold
FEWEST = 10  # problems of a slice that is drawn
APART = 1.2  # how many times the least the greatest size is, from which a panel compares sizes
UNITS = ("", "k", "M", "G", "T", "P", "E")
WILSON = "Bands and whiskers are Wilson 95 % intervals over the problems of one seed, over islands where problems grew out of each other."


@dataclass(frozen=True)
class Figure:
    """name: of its file · rows: all that it is drawn from."""

    name: str
    caption: str
    panels: tuple[Panel | Forest, ...]
    rows: tuple[Row, ...]


def asked(rows: Iterable[Row]) -> list[Row]:
    """Rows of trained models on problems held out for the end, of the newest weights of each name; those of validation choose, and are not shown as results."""
    found = [row for row in rows if row.exact_match is not None and row.arch and row.split != "validation"]
    newest = {(row.model, row.seed): row.step for row in sorted(found, key=lambda row: row.created)}
    return [row for row in found if newest[row.model, row.seed] == row.step]


def called(task: str, model: str) -> str:
    """What a model or recipe is called beside others of its task: the same for one architecture on several tasks, where names are as of recipes."""
    return model.removeprefix(f"{task}-")


def problems(row: Row) -> str:
    """What a panel is about."""
    return problem_name(row) if row.split == "test" else f"{problem_name(row)} ({row.split})"


def scale(value: float) -> str:
    """A number with three digits and a letter for its thousands: 98624 is 98.6k."""
    value = float(f"{value:.3g}")
    power = min(max(floor(log10(abs(value)) / 3), 0), len(UNITS) - 1) if value else 0
    return f"{value / 1000**power:.3g}{UNITS[power]}"


def told(row: Row) -> str:
    """One score in words."""
    depth = "" if row.depth is None else f"{row.depth:,} steps: "
    return f"{depth}{row.exact_match:.4f} [{row.ci_low:.4f}, {row.ci_high:.4f}], n {row.n:,}"


def by_depth(rows: Sequence[Row]) -> Figure:
    """exact_match over latent steps."""
    caption = "The same weights, given more time to think: exact_match over latent steps at test."
    return _against("depth", rows, caption, "latent steps", lambda row: row.depth, str)


def by_compute(rows: Sequence[Row]) -> Figure:
    """exact_match over the FLOPs of an answer."""
    caption = "What an answer costs: exact_match over the floating-point operations of one answer, a mark for each depth."
    return _against("compute", rows, caption, "FLOPs per answer", lambda row: row.flops_per_problem, scale)


def by_parameters(rows: Sequence[Row]) -> Figure:
    """exact_match over parameters, each model at the depth most were asked at."""
    caption = "How large a model is: exact_match over parameters, at the latent steps that most models of a panel were asked at."
    return _against("parameters", _one_depth(rows), caption, "parameters", lambda row: row.params, scale, True)


def by_training(rows: Sequence[Row]) -> Figure:
    """exact_match over the FLOPs of training, each model at the depth most were asked at."""
    caption = "What training cost: exact_match over floating-point operations of training, at the latent steps that most models of a panel were asked at."
    return _against("training", _one_depth(rows), caption, "training FLOPs", lambda row: row.train_flops, scale, True)


def _one_depth(rows: Sequence[Row]) -> list[Row]:
    """Of each set of problems the rows at the depth that most models share, the deepest of those."""
    chosen = []
    for its in _sets(_whole(rows)).values():
        models = Counter(depth for depth, _ in {(row.depth or 0, row.model) for row in its})
        depth = max(models, key=lambda depth: (models[depth], depth))
        chosen += [row for row in its if (row.depth or 0) == depth]
    return chosen


def _whole(rows: Iterable[Row]) -> list[Row]:
    return [row for row in asked(rows) if row.difficulty is None and row.horizon is None]


def _sets(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by the name of their problems and their data, which is never mixed, those asked most first."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[problems(row), row.data_hash].append(row)
    named = Counter(name for name, _ in found)
    ordered = sorted(found.items(), key=lambda item: (-max(row.n for row in item[1]), item[0]))
    return {name if named[name] == 1 else f"{name}, set {data[:4]}": its for (name, data), its in ordered}


def _lines(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of the same model, those with the most problems first."""

    def whose(row: Row) -> tuple:
        return row.model, row.step or 0, row.seed or 0, row.mode, row.restarts or 0

    found = [list(its) for _, its in groupby(sorted(rows, key=whose), whose)]
    return sorted(found, key=lambda its: (-max(row.n for row in its), whose(its[0])))


def _against(
    name: str, rows: Sequence[Row], caption: str, x: str, of: Callable[[Row], float | None], text: Callable[[float], str], of_one_depth: bool = False
) -> Figure:
    """exact_match over something that a row tells, a panel for each set of problems on which that is not always the same."""
    panels, drawn, cut = list[Panel](), list[Row](), 0
    for title, its in _sets(row for row in _whole(rows) if of(row)).items():
        all_lines = [sorted(line, key=lambda row: of(row) or 0) for line in _lines(its)]
        lines = all_lines[:LINES]
        values = sorted({of(row) or 0.0 for line in lines for row in line})
        curved = of_one_depth or any(len(line) > 1 for line in lines)
        if values[-1] < APART * values[0] or not curved or len(panels) == PANELS:
            continue
        series = tuple(_series(line, lines, of) for line in lines)
        panels.append(Panel(title, x, "exact_match", series, _marks(values, text), log=True))
        drawn += [row for line in lines for row in line]
        cut += len(all_lines) - len(lines)
    return Figure(name, f"{caption} {WILSON}{_left_out(len(panels), cut)}", tuple(panels), tuple(drawn))


def _series(line: Sequence[Row], beside: Sequence[Sequence[Row]], of: Callable[[Row], float | None]) -> Series:
    return Series(called(line[0].task, line[0].model), _label(line[0], beside), tuple(_point(row, of(row) or 0.0) for row in line))


def _left_out(panels: int, lines: int) -> str:
    """What a figure had no room for."""
    also = f" {lines:,} more lines of these panels, those with the fewest problems, are in the table of all rows." if lines else ""
    return also + (" Other sets of problems are in the table of all rows." if panels == PANELS else "")


def _point(row: Row, x: float) -> Point:
    return Point(x, row.exact_match or 0.0, row.ci_low or 0.0, row.ci_high or 0.0, told(row))


def _label(row: Row, lines: Sequence[Sequence[Row]]) -> str:
    """What a line is called beside others: its model, and what tells it from lines of the same one."""
    same = [line[0] for line in lines if line[0].model == row.model]
    parts = [called(row.task, row.model)]
    parts += [f"seed {row.seed}"] if len({one.seed for one in same}) > 1 else []
    parts += [f"best of {row.restarts}"] if row.restarts else []
    return ", ".join(parts)


def _marks(values: Sequence[float], text: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
    """Marks of a logarithmic axis: the values where they are few and well apart, else round numbers around them."""
    if len(values) <= 7 and all(later >= 1.7 * value for value, later in pairwise(values)):
        return tuple((value, text(value)) for value in values)
    low, high = values[0] / 1.5, values[-1] * 1.5
    steps = (1, 2, 5) if high / low < 30 else (1, 3) if high / low < 1e4 else (1,)
    found = (step * 10.0**power for power in range(floor(log10(low)), floor(log10(high)) + 1) for step in steps)
    return tuple((value, text(value)) for value in found if low <= value <= high)


def by_difficulty(rows: Sequence[Row]) -> Figure:
    """exact_match over slices of difficulty, a line for each model and depth."""
    panels, drawn, cut = list[Panel](), list[Row](), 0
    for title, its in _sets(row for row in asked(rows) if row.difficulty is not None and row.horizon is None and row.n >= FEWEST).items():
        slices = sorted({row.difficulty or "" for row in its}, key=_hardness)
        if len(slices) < 2 or len(panels) == PANELS:
            continue
        lines = _lines(its)[:LINES]
        cut += len(_lines(its)) - len(lines)
        of_depth = [group for line in lines for group in _depths(line, 3 if len(lines) <= 3 else 1)]
        names = [(line[0].model, line[0].restarts) for line in of_depth]
        series = []
        for line in of_depth:
            ordered = sorted(line, key=lambda row: _hardness(row.difficulty or ""))
            points = tuple(_point(row, slices.index(row.difficulty or "")) for row in ordered)
            depth = f"{line[0].depth:,} steps" if names.count((line[0].model, line[0].restarts)) > 1 else ""
            series.append(
                Series(
                    called(line[0].task, line[0].model), depth if len(set(names)) == 1 else ", ".join(filter(None, (_label(line[0], of_depth), depth))), points
                )
            )
        who = f": {lines[0][0].model}" if len(set(names)) == 1 else ""
        panels.append(Panel(f"{title}{who}", "guesses in a proof", "exact_match", tuple(series), tuple(enumerate(slices))))
        drawn += [row for line in of_depth for row in line]
    caption = (
        "Hard problems apart from easy ones. Difficulty is the task's own measure; of Sudoku, how often a solver guesses until it has proved the solution. "
        "Slices of fewer than 10 problems are not drawn."
    )
    return Figure("difficulty", f"{caption} {WILSON}{_left_out(len(panels), cut)}", tuple(panels), tuple(drawn))


def _hardness(label: str) -> tuple[bool, float]:
    """Slices as they follow each other: ≤0, 0–2, …, >50."""
    return not label.startswith("≤"), float((re.findall(r"[\d.]+", label) or ["0"])[-1]) + label.startswith(">")


def _depths(line: Sequence[Row], most: int) -> list[list[Row]]:
    """A model's slices by depth: those depths at which it was asked the most problems, and of these the deepest."""
    its = defaultdict(list)
    for row in line:
        its[row.depth or 0].append(row)
    chosen = sorted(its, key=lambda depth: (-sum(row.n for row in its[depth]), -depth))[:most]
    return [its[depth] for depth in sorted(chosen) if len(its[depth]) > 1]


def by_horizon(curves: Sequence[horizon.Curve], rows: Sequence[Row]) -> Figure:
    """exact_match over the horizon of problems: the curves of these rows."""
    kinds: dict[str, list[horizon.Curve]] = defaultdict(list)
    for curve in curves:
        if len(curve.horizons) > 1:
            kinds[curve.problems].append(curve)
    labels = horizon.labels(curves)
    panels = tuple(_curves(title, {curve: labels[curve] for curve in its[:LINES]}) for title, its in list(kinds.items())[:PANELS])
    caption = (
        "Longer problems than those trained on, which are grey. Of one seed the band is Wilson's 95 % interval; of several the line is their mean and the band "
        "a hierarchical bootstrap, seeds first, problems within, as wide as Student's t for so few seeds. Dashed: 0.9. Dotted: uniform guessing. "
        f"{horizon.left_out(curves)}{_left_out(len(panels), sum(max(len(its) - LINES, 0) for its in list(kinds.values())[:PANELS]))}"
    ).rstrip()
    return Figure("horizon", caption, panels, tuple(row for row in rows if row.horizon is not None and row.difficulty is None) if panels else ())


def _curves(title: str, its: dict[horizon.Curve, str]) -> Panel:
    series = tuple(
        Series(
            called(curve.task, curve.model),
            label,
            tuple(Point(at, *point, f"horizon {at}: {point.value:.3f} [{point.low:.3f}, {point.high:.3f}]") for at, point in zip(curve.horizons, curve.exact)),
        )
        for curve, label in its.items()
    )
    trained = [at for curve in its for at in curve.trained]
    chance = sorted({at: share for curve in its for at, share in zip(curve.horizons, curve.chance)}.items())
    marks = _marks(sorted({float(at) for curve in its for at in curve.horizons}), lambda value: f"{value:g}")
    shaded = (min(trained), max(trained)) if trained else None
    title = title.removesuffix(" (test)")
    return Panel(title, "horizon", "exact_match", series, marks, log=True, shaded=shaded, dashed=0.9, dotted=tuple(chance))


def by_pair(rows: Sequence[Row]) -> Figure:
    """Differences within matched pairs, a forest for each thing that pairs share."""
    alike: dict[tuple[str, str, str], list[pairs.Pair]] = defaultdict(list)
    for pair in pairs.pairs(asked(rows)):
        bdh, other = (row.recipe or row.model if len(pair.runs) > 1 else row.model for row in (pair.bdh, pair.other))
        alike[bdh, other, pair.bdh.match or ""].append(pair)
    panels = [
        Forest(f"{bdh} less {other}, equal {match}", "← other better · difference in exact_match · BDH better →", tuple(map(_pair, its[: 2 * LINES])))
        for (bdh, other, match), its in list(alike.items())[:PANELS]
    ]
    shown = [pair for its in list(alike.values())[:PANELS] for pair in its[: 2 * LINES]]
    caption = f"A BDH against another architecture on the same problems, equal within 5 % in what the title says. {_methods(shown)} {pairs.uneven(asked(rows))}"
    return Figure("pairs", caption.rstrip(), tuple(panels), tuple(row for pair in shown for both in pair.runs for row in both))


def _methods(shown: Sequence[pairs.Pair]) -> str:
    """Where the intervals of these lines come from."""
    told = {
        True: "of rows that tell what came of each problem, have the 95 % interval of the paired gap as `bdh-reason compare` prints it: of one seed Bonett and "
        "Price's, of several Student's t over seeds and problems",
        False: "marked *, are of rows that do not tell what came of each problem: Newcombe's 95 % interval for two independent samples of one seed, on the "
        "same problems too wide, by as much as both models fail on the same ones",
    }
    counts = {paired: [pair.bdh.n for pair in shown if pair.paired == paired] for paired in told}
    return " ".join(f"{len(of)} of {len(shown)} lines, n {min(of):,} to {max(of):,}, {told[paired]}." for paired, of in counts.items() if of)


def _pair(pair: pairs.Pair) -> Series:
    value, low, high = pair.difference
    seeds = f", {len(pair.runs)} seeds" if len(pair.runs) > 1 else ""
    label = f"{problems(pair.bdh)}, {pair.bdh.depth} steps, n {pair.bdh.n:,}{seeds}{'' if pair.paired else ' *'}"
    return Series(called(pair.bdh.task, pair.bdh.model), label, (Point(value, 0.0, low, high, f"{signed(value, 3)} [{signed(low, 3)}, {signed(high, 3)}]"),))
