"""A film as data of JSON, and as one HTML file that needs nothing else: no network, no library. Its looks and its keys are in film.css and film.js, which
the page of all results plays boards with too.

Axes: F frames, T positions, S symbols.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason.evaluate.film import SURE, Film

HOME = Path(__file__).parent


def told(film: Film) -> dict[str, Any]:
    """The film as film.js plays it; probabilities are kept as one byte each, base64 [F, T, S], and what is sure stays sure in them."""
    belief_FTS = np.where(film.belief_FTS >= SURE, np.ceil(film.belief_FTS * 255), np.floor(film.belief_FTS * 255)).clip(0, 255)
    return {
        "title": film.title,
        "symbols": film.symbols,
        "sure": int(np.ceil(np.float32(SURE) * 255)),
        "row": film.row_T.tolist(),
        "column": film.column_T.tolist(),
        "region": film.region_T.tolist(),
        "prompt": bytes(film.prompt_T).decode("latin-1"),
        "scored": film.scored_T.tolist(),
        "belief": base64.b64encode(belief_FTS.astype(np.uint8).tobytes()).decode(),
        "clash": [np.flatnonzero(clash_T).tolist() for clash_T in film.clash_FT],
        "right": film.right_F.tolist(),
        "captions": [film.caption(frame) for frame in range(len(film))],
    }


def inside(content: Any) -> str:
    """JSON as it may stand inside a script element: no text can end the script."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def fill(template: Path, parts: Mapping[str, str]) -> str:
    """The template with a part, or a file of the player, in place of each {{name}}."""
    return re.sub(r"{{([\w.]+)}}", lambda found: parts[found[1]] if found[1] in parts else (HOME / found[1]).read_text("utf-8"), template.read_text("utf-8"))


def page(film: Film) -> bytes:
    """The film's page."""
    return fill(HOME / "film.html", {"film": inside(told(film))}).encode()
