"""Two texts that are translations of each other, line by line, as one: `<F:en>A good year.<T:fr>Une bonne année.` (the BDH paper's form, appendix B.1)."""

from __future__ import annotations

import hashlib
import re

from bdh_reason.errors import UserError

PAIR = re.compile(rb"<F:(\w\w)>(.*)<T:(\w\w)>(.*)", re.DOTALL)
TAG = re.compile(rb"<[FT]:\w\w>")


def encode(source: bytes, said: bytes, target: bytes, meant: bytes) -> bytes:
    """What was `said` in the language `source`, and what it means in `target`, as one line. Raises UserError for what `decode` would not give back."""
    line = b"<F:%b>%b<T:%b>%b" % (source, said, target, meant)
    if b"\n" in line or len(TAG.findall(line)) != 2 or not PAIR.fullmatch(line):
        raise UserError(f"a pair of lines {line.decode('utf-8', 'replace')!r}", "two languages of two letters, and lines without such tags in them")
    return line


def decode(line: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """(source, said, target, meant) of a line that `encode` made. Raises UserError for any other."""
    found = PAIR.fullmatch(line)
    if found is None or b"\n" in line or len(TAG.findall(line)) != 2:
        raise UserError(f"{line.decode('utf-8', 'replace')!r} is no pair of lines", "<F:en>a line<T:fr>its translation")
    source, said, target, meant = found.groups()
    return source, said, target, meant


def spoken(text: bytes) -> list[bytes]:
    """The lines of a transcript; empty where one holds no words but a tag of Europarl's: a chapter, a speaker, a paragraph."""
    return [b"" if line.startswith(b"<") else line.strip() for line in text.split(b"\n")]


def join(languages: tuple[bytes, bytes], texts: tuple[bytes, bytes]) -> bytes:
    """All pairs of lines that both have words, a line each, in either direction by a coin that the pair itself is.

    Raises UserError for texts of different numbers of lines.
    """
    first, second = map(spoken, texts)
    if len(first) != len(second):
        raise UserError(f"texts of {len(first)} and {len(second)} lines", "translations line by line")
    lines = []
    for pair in zip(first, second):
        if all(pair):
            turn = 1 - 2 * (hashlib.sha256(b"\n".join(pair)).digest()[0] & 1)
            (source, target), (said, meant) = languages[::turn], pair[::turn]
            lines.append(encode(source, said, target, meant))
    return b"\n".join(lines) + b"\n"
