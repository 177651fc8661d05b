"""A film as one HTML file that needs nothing else: no network, no library. How it looks and what the keys do is in film.html beside this file.

Axes: F frames, T positions, S symbols.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np

from bdh_reason.evaluate.film import SURE, Film

TEMPLATE = Path(__file__).with_name("film.html")


def page(film: Film) -> bytes:
    """The page's bytes; probabilities are kept as one byte each, base64 [F, T, S], and what is sure stays sure in them."""
    belief_FTS = np.where(film.belief_FTS >= SURE, np.ceil(film.belief_FTS * 255), np.floor(film.belief_FTS * 255)).clip(0, 255)
    content = {
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
    told = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # no text can end the script
    return TEMPLATE.read_text(encoding="utf-8").replace("FILM", told, 1).encode()
