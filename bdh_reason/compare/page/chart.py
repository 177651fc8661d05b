"""Charts drawn from numbers as SVG: for a page, coloured by its CSS variables, and as files of their own. Nothing here knows what the numbers mean."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

from bdh_reason.evaluate.page import HOME

WIDTH, HEIGHT = 420, 274
LEFT, TOP, BOTTOM = 34, 46, 230  # of the plot; its right end leaves room for the names of the lines
GAP, ROW = 14, 66  # between names; of a line of a forest
LETTER = 6.7  # how wide a letter of a name is, about; of a title somewhat more
WIDE = 48  # letters of a title in one line
CSS = (Path(__file__).with_name("chart.css")).read_text(encoding="utf-8")
LIGHT = dict(re.findall(r"(--[\w-]+): light-dark\((#\w+)", (HOME / "colours.css").read_text(encoding="utf-8")))
COLOURS = sum(name.startswith("--series-") for name in LIGHT)
SHARES = ((0.0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1.0, "1"))
MARKS = (  # told apart without colours too
    '<circle cx="{x}" cy="{y}" r="3.6" class="mark"/>',
    '<path d="M{x} {y}m-3.3-3.3h6.6v6.6h-6.6z" class="mark"/>',
    '<path d="M{x} {y}m0-4.4l3.8 6.8h-7.6z" class="mark"/>',
    '<path d="M{x} {y}m0-4.6l4.2 4.6l-4.2 4.6l-4.2-4.6z" class="mark"/>',
    '<path d="M{x} {y}m0 4.4l3.8-6.8h-7.6z" class="mark"/>',
)


class Point(NamedTuple):
    """x, the value y with the ends of its interval, and what is told of it."""

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True)
class Series:
    """Points from left to right. name: whose they are, which decides the look · label: what is written beside them."""

    name: str
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """One plot. across, up: marks of the axes as (value, text); the vertical axis goes from its first to its last · log: of the horizontal one ·
    shaded: a stretch of it that is set off · dashed: a height · dotted: (x, y) of a line that is nobody's.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...] = SHARES
    log: bool = False
    shaded: tuple[float, float] | None = None
    dashed: float | None = None
    dotted: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Forest:
    """Differences, one below the other. series: each of one point, whose x is the difference and low and high its interval; y is not used; of a
    label the second line says more.
    """

    title: str
    x: str
    series: tuple[Series, ...]


Look = Mapping[str, int]  # the place of a name in the palette


def draw(panel: Panel | Forest, look: Look) -> str:
    """An SVG element; who cannot see it is told its axes and where each line begins and ends."""
    inside, height = (_forest(panel, look), _tall(panel)) if isinstance(panel, Forest) else (_plot(panel, look), HEIGHT)
    told = escape(f"{panel.title}, {_axes(panel)}. {_told(panel)}")
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{told}">{inside}</svg>'


def sheet(panels: Sequence[Panel | Forest], look: Look) -> bytes:
    """The panels side by side as a file of its own, in the light colours, which needs no page around it."""
    across = min(3, len(panels))
    tall = max(_tall(panel) if isinstance(panel, Forest) else HEIGHT for panel in panels)
    width, height = across * WIDTH, -(-len(panels) // across) * tall
    places = [f'x="{place % across * WIDTH}" y="{place // across * tall}" width="{WIDTH}" height="{tall}"' for place in range(len(panels))]
    drawn = "".join(draw(panel, look).replace("<svg ", f'<svg {place} preserveAspectRatio="xMidYMin" ', 1) for panel, place in zip(panels, places))
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{CSS}</style><rect width="100%" height="100%" style="fill:var(--paper)"/>{drawn}</svg>\n'
    )
    return re.sub(r"var\((--[\w-]+)\)", lambda found: LIGHT[found[1]], text).encode()


def signed(value: float, digits: int) -> str:
    """A difference, with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _axes(panel: Panel | Forest) -> str:
    return panel.x if isinstance(panel, Forest) else f"{panel.y} over {panel.x}"


def _told(panel: Panel | Forest) -> str:
    """Every series in words, by its first and last point."""
    ends = ((one.label, one.points[0].told, one.points[-1].told if len(one.points) > 1 else "") for one in panel.series)
    return ". ".join(f"{label.replace(chr(10), ', ')}: {first}" + (f" … {last}" if last else "") for label, first, last in ends)


def _colour(series: Series, look: Look) -> str:
    return f'style="color:var(--series-{look.get(series.name, 0) % COLOURS})"'


def _mark(series: Series, look: Look, x: float, y: float) -> str:
    return MARKS[look.get(series.name, 0) % len(MARKS)].format(x=f"{x:.1f}", y=f"{y:.1f}")


def _text(x: float, y: float, text: str, about: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {about}>{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{kind}"/>'


class _Scale:
    """From values to places in the plot of a panel."""

    def __init__(self, panel: Panel) -> None:
        self.log = panel.log
        values = [self._of(x) for x in (*(point.x for one in panel.series for point in one.points), *(value for value, _ in panel.across))]
        first, last = min(values), max(values)
        room = (last - first) * 0.05 or max(abs(first), 10) * 0.05
        self.first, self.last = first - room, last + room
        self.right = WIDTH - min(max(LETTER * max(len(one.label) for one in panel.series) + 26, 24), 210)
        self.bottom, self.top = panel.up[0][0], panel.up[-1][0]

    def _of(self, x: float) -> float:
        return math.log2(x) if self.log else x

    def x(self, x: float) -> float:
        share = (self._of(x) - self.first) / (self.last - self.first)
        return LEFT + min(max(share, 0.0), 1.0) * (self.right - LEFT)

    def y(self, y: float) -> float:
        share = (y - self.bottom) / (self.top - self.bottom)
        return BOTTOM - min(max(share, 0.0), 1.0) * (BOTTOM - TOP)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)


def _plot(panel: Panel, look: Look) -> str:
    scale = _Scale(panel)
    title = textwrap.shorten(panel.title, WIDE, placeholder=" …")
    parts = [_text(2, 14, title, 'class="title"'), _text(2, 32, panel.y, 'class="soft"')]
    if panel.shaded:
        start, end = (scale.x(x) for x in panel.shaded)
        parts.append(f'<rect x="{start - 5:.1f}" y="{TOP}" width="{end - start + 10:.1f}" height="{BOTTOM - TOP}" class="shaded"/>')
    for value, text in panel.up:
        parts.append(_rule(LEFT, scale.y(value), scale.right, scale.y(value), "grid"))
        parts.append(_text(LEFT - 5, scale.y(value) + 4, text, 'class="soft" text-anchor="end"'))
    for value, text in panel.across:
        parts.append(_rule(scale.x(value), BOTTOM, scale.x(value), BOTTOM + 4, "axis"))
        parts.append(_text(scale.x(value), BOTTOM + 16, text, 'class="soft" text-anchor="middle"'))
    parts.append(_rule(LEFT, BOTTOM, scale.right, BOTTOM, "axis"))
    parts.append(_text((LEFT + scale.right) / 2, BOTTOM + 34, panel.x, 'class="soft" text-anchor="middle"'))
    if panel.dashed is not None:
        parts.append(_rule(LEFT, scale.y(panel.dashed), scale.right, scale.y(panel.dashed), "dashed"))
    if panel.dotted:
        parts.append(f'<path d="{scale.path(panel.dotted)}" class="dotted"/>')
    parts += [_line(one, scale, look) for one in panel.series]
    return "".join(parts) + _labels(panel.series, scale, look)


def _line(one: Series, scale: _Scale, look: Look) -> str:
    points = one.points
    parts = []
    if len(points) > 1 and scale.log:
        around = [(point.x, point.high) for point in points] + [(point.x, point.low) for point in points[::-1]]
        parts.append(f'<path d="{scale.path(around)}Z" class="band"/>')
    if len(points) > 1:
        parts.append(f'<path d="{scale.path((point.x, point.y) for point in points)}" class="line"/>')
    for point in points:
        x, y = scale.x(point.x), scale.y(point.y)
        whisker = _rule(x, scale.y(point.low), x, scale.y(point.high), "whisker")
        parts.append(f"<g><title>{escape(f'{one.label}, {point.told}')}</title>{whisker}{_mark(one, look, x, y)}</g>")
    return f"<g {_colour(one, look)}>{''.join(parts)}</g>"


def _labels(series: Sequence[Series], scale: _Scale, look: Look) -> str:
    """The names right of the plot, each as near to the end of its line as the others let it."""
    wanted = sorted((scale.y(one.points[-1].y), place) for place, one in enumerate(series) if one.label)
    heights: list[float] = []
    for height, _ in wanted:
        heights.append(max(height, heights[-1] + GAP if heights else height))
    for place in range(len(heights) - 1, -1, -1):  # those pushed out below move all above them up
        below = heights[place + 1] - GAP if place + 1 < len(heights) else BOTTOM + 2.0
        heights[place] = min(heights[place], below)
    parts = []
    for (end, place), height in zip(wanted, heights):
        one = series[place]
        leader = _rule(scale.x(one.points[-1].x) + 5, end, scale.right + 8, height, "leader")
        name = _text(scale.right + 22, height + 4, one.label, 'class="label"')
        parts.append(f"<g {_colour(one, look)}>{leader}{_mark(one, look, scale.right + 14, height)}</g>{name}")
    return "".join(parts)


def _title(title: str) -> list[str]:
    """In two lines where one has no room for it."""
    return [_text(2, 14 + 16 * line, text, 'class="title"') for line, text in enumerate(textwrap.wrap(title, WIDE, max_lines=2, placeholder=" …"))]


def _tall(panel: Forest) -> int:
    return TOP + ROW * len(panel.series) + 42


def _forest(panel: Forest, look: Look) -> str:
    """Each difference below its name and its number, with the line of no difference through all; what lies outside -1 to 1 is drawn at the edge."""
    edge = min(max(0.02, *(abs(end) for one in panel.series for point in one.points for end in (point.low, point.high))), 1.0) * 1.05
    middle, half, bottom = WIDTH / 2, WIDTH / 2 - 12, TOP + ROW * len(panel.series)
    parts = [*_title(panel.title), _rule(12, bottom + 4, WIDTH - 12, bottom + 4, "axis")]
    step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if edge / step < 4), 0.5)
    for place in range(-int(0.93 * edge / step), int(0.93 * edge / step) + 1):
        x = middle + place * step / edge * half
        parts += [
            _rule(x, bottom + 4, x, bottom + 8, "axis"),
            _text(x, bottom + 20, signed(place * step, 2) if place else "0", 'class="soft" text-anchor="middle"'),
        ]
    parts.append(_text(middle, bottom + 36, panel.x, 'class="soft" text-anchor="middle"'))
    for place, one in enumerate(panel.series):
        point, top = one.points[0], TOP + ROW * place
        low, at, high = (middle + min(max(value / edge, -1.0), 1.0) * half for value in (point.low, point.x, point.high))
        head, _, more = one.label.partition("\n")
        parts.append(_rule(middle, top + 44, middle, top + 62, "dashed"))
        parts += [_text(12, top + 10, head, 'class="label"'), _text(12, top + 25, more, 'class="soft"'), _text(12, top + 40, point.told, 'class="label"')]
        parts.append(f"<g {_colour(one, look)}>{_rule(low, top + 53, high, top + 53, 'whisker')}{_mark(one, look, at, top + 53)}</g>")
    return "".join(parts)
