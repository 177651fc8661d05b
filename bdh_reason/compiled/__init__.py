"""What compiled functions of tasks and models share, and where numba keeps them: in a folder named by the sources of all of them.

numba looks at the file of a function and not at those of the functions it calls, so after an update it would go on with what it had compiled.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba

_HERE = Path(__file__).parent


def keep_by_content(folder: Path) -> None:
    """Has to run before any function of `folder` is compiled. The place is inside NUMBA_CACHE_DIR, where the user names one, else beside the sources. Where
    those are not writable numba's own place is as good: nobody updates there.
    """
    sources = b"".join(path.read_bytes() for path in sorted([*folder.glob("*.py"), *_HERE.glob("*.py")]))
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named or os.access(folder, os.W_OK):
        place = Path(named or folder / "__pycache__") / hashlib.sha256(sources).hexdigest()[:16]
        numba.config.CACHE_DIR = str(place)  # type: ignore[attr-defined]
