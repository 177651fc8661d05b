"""A film as an animated GIF: candidates fade with their probability, what is sure is one large symbol, givens are bold, contradictions flash.

Axes: F frames, T positions, S symbols.
"""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bdh_reason.evaluate.film import Film

PAPER, SHADE, LINE, INK = (252, 251, 248), (243, 240, 232), (214, 209, 198), (34, 32, 28)
BELIEF, RIGHT, WRONG = (26, 92, 190), (24, 128, 72), (200, 38, 38)
FLASH = ((255, 196, 190), (255, 226, 221))  # a contradiction's cell, two frames each
SCALE, MARGIN, CAPTION, LEVELS = 2, 14, 40, 12  # drawn larger by SCALE and shrunk; lengths in pixels
FIRST, EACH, LAST = 800, 180, 3500  # milliseconds of a frame

Colour = tuple[int, int, int]


def gif(film: Film) -> bytes:
    """The GIF's bytes: as many frames as the film, for ever, with a pause at the end."""
    palette = _palette()
    first, *rest = (_draw(film, frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in range(len(film)))
    durations = [FIRST, *[EACH] * (len(rest) - 1), LAST]
    target = io.BytesIO()
    first.save(target, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)  # optimize: only what changes is written
    return target.getvalue()


def still(film: Film) -> Image.Image:
    """The last frame alone."""
    return _draw(film, len(film) - 1)


def _palette() -> Image.Image:
    """The colours of every frame: what is drawn on what, and the shades between them."""
    pairs = ((PAPER, BELIEF, 16), (PAPER, INK, 10), (SHADE, INK, 8), (PAPER, LINE, 3), (PAPER, RIGHT, 6), (PAPER, WRONG, 6))
    flashes = tuple((flash, WRONG, 6) for flash in FLASH)
    image = Image.new("P", (1, 1))
    image.putpalette([channel for low, high, steps in (*pairs, *flashes) for step in range(steps) for channel in _blend(low, high, step / (steps - 1))])
    return image


def _draw(film: Film, frame: int) -> Image.Image:
    """One frame."""
    rows, columns = int(film.row_T.max()) + 1, int(film.column_T.max()) + 1
    cell = SCALE * max(44, min(84, 468 // max(rows, columns)))
    margin = SCALE * MARGIN
    size = columns * cell + 2 * margin, rows * cell + 2 * margin + SCALE * CAPTION
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    corners = [(margin + int(column) * cell, margin + int(row) * cell) for row, column in zip(film.row_T, film.column_T)]
    sure_T, clash_T, done = film.sure_FT[frame], film.clash_FT[frame], frame == len(film) - 1
    for position, corner in enumerate(corners):
        flash = FLASH[0] if done else FLASH[frame // 2 % 2]
        ground = flash if clash_T[position] else PAPER if film.scored_T[position] else SHADE
        draw.rectangle((*corner, corner[0] + cell, corner[1] + cell), ground)
        colour = WRONG if clash_T[position] else BELIEF if film.scored_T[position] else INK
        if sure_T[position]:
            _symbol(draw, film, frame, position, corner, cell, colour)
        else:
            _candidates(draw, film.symbols, film.belief_FTS[frame, position], corner, cell)
    _lines(draw, film, corners, cell)
    _caption(draw, film, frame, size, margin)
    return image.resize((size[0] // SCALE, size[1] // SCALE), Image.Resampling.LANCZOS)


def _symbol(draw: ImageDraw.ImageDraw, film: Film, frame: int, position: int, corner: tuple[int, int], cell: int, colour: Colour) -> None:
    """The one symbol of a position; a given one is bold."""
    blank = film.scored_T[position]
    text = film.symbols[film.belief_FTS[frame, position].argmax()] if blank else chr(film.prompt_T[position])
    middle = corner[0] + cell / 2, corner[1] + cell / 2
    draw.text(middle, text, colour, _font(cell * 0.6), "mm", stroke_width=0 if blank else round(cell * 0.018), stroke_fill=colour)


def _candidates(draw: ImageDraw.ImageDraw, symbols: str, belief_S: np.ndarray, corner: tuple[int, int], cell: int) -> None:
    """All symbols of a position, small and in places of their own, as strong as the square root of their probability."""
    across = math.ceil(math.sqrt(len(symbols)))
    pitch = cell * 0.9 / across
    for place, (symbol, belief) in enumerate(zip(symbols, belief_S)):
        if level := round(LEVELS * math.sqrt(belief)):
            row, column = divmod(place, across)
            middle = corner[0] + cell * 0.05 + (column + 0.5) * pitch, corner[1] + cell * 0.05 + (row + 0.5) * pitch
            draw.text(middle, symbol, _blend(PAPER, BELIEF, level / LEVELS), _font(pitch * 0.92), "mm")


def _lines(draw: ImageDraw.ImageDraw, film: Film, corners: list[tuple[int, int]], cell: int) -> None:
    """Thin lines around every position, thick ones where a region or the board ends."""
    at = {(int(row), int(column)): int(region) for row, column, region in zip(film.row_T, film.column_T, film.region_T)}
    for thick in (False, True):  # thick ones last, above the thin
        for (row, column), (x, y) in zip(at, corners):
            here = at[row, column]
            sides = {
                (-1, 0): (x, y, x + cell, y),
                (1, 0): (x, y + cell, x + cell, y + cell),
                (0, -1): (x, y, x, y + cell),
                (0, 1): (x + cell, y, x + cell, y + cell),
            }
            for (down, right), side in sides.items():
                if (at.get((row + down, column + right)) != here) == thick:
                    draw.line(side, INK if thick else LINE, SCALE * 2 if thick else SCALE)


def _caption(draw: ImageDraw.ImageDraw, film: Film, frame: int, size: tuple[int, int], margin: int) -> None:
    """Which step, how it stands, and a bar that fills."""
    left, right = film.caption(frame)
    done = frame == len(film) - 1
    colour = INK if not done else RIGHT if film.right_F[frame] else WRONG
    font, middle = _font(SCALE * 17), size[1] - SCALE * (CAPTION / 2 + 6)
    draw.text((margin, middle), left, INK, font, "lm")
    draw.text((size[0] - margin, middle), right, colour, font, "rm", stroke_width=1 if done else 0, stroke_fill=colour)
    low, width = size[1] - SCALE * 11, size[0] - 2 * margin
    draw.rectangle((margin, low, margin + width, low + SCALE * 3), LINE)
    draw.rectangle((margin, low, margin + width * frame / max(len(film) - 1, 1), low + SCALE * 3), colour if done else BELIEF)


def _blend(ground: Colour, colour: Colour, share: float) -> Colour:
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(ground, colour))
    return red, green, blue


@cache
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font inside Pillow, so that none has to be shipped or found."""
    return ImageFont.load_default(size)
