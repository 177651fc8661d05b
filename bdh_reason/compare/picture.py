"""A figure as a file."""

from __future__ import annotations

import io
from typing import Any


def svg(figure: Any) -> bytes:
    """A matplotlib figure as SVG; the same figure gives the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "probe", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
