"""The layer with heads bound to relations, compiled for the processor at hand: `blocks` is the way in, `groups` in the folder above the way to it."""

from pathlib import Path

from bdh_reason.compiled import keep_by_content

keep_by_content(Path(__file__).parent)
