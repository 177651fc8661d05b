"""Texts by name or by place: files that are there, or known ones that are downloaded. No byte of a known text is used before its SHA-256 was compared."""

from __future__ import annotations

import hashlib
import io
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bdh_reason.errors import UserError
from bdh_reason.files import replace, writing

from . import parallel

FOLDER = Path("datasets/text")  # where known texts are kept unless the user names another folder
WAIT = 60  # seconds until a server that says nothing is given up


@dataclass(frozen=True)
class File:
    """A file that is known by its content: its name on disk, its SHA-256, and the addresses whose contents it is, one after the other.

    Of an archive (zip) it is all texts in the order of their names.
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]


_RAW = "https://raw.githubusercontent.com"
_SAMPLE = f"{_RAW}/mjlaali/europarl/a796a50df6b8842b27cffeb250d92625055a41b3/europarl.uima/resources/sample"
_DAYS = (17, 18, 19, 21)

PLAYS = File(
    "tinyshakespeare.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    (f"{_RAW}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
)
SPEECHES = File(
    "state_union.txt",
    "765d0df9e899d3d88664adba872f1ce226b2f0b19f5223808ffb884617da8526",
    (f"{_RAW}/nltk/nltk_data/5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/state_union.zip",),
)
ENGLISH = File(
    "europarl_sample_en.txt",
    "a9c4299c554a241bd1edf49f1d034a6f0023f854486ff18638d5d8fc69fd7102",
    tuple(f"{_SAMPLE}/en/ep-00-01-{day}.txt" for day in _DAYS),
)
FRENCH = File(
    "europarl_sample_fr.txt",
    "45f3cfb0e84742b17a03b51da6eeade080282f155119eaaea5bbf2da0de86606",
    tuple(f"{_SAMPLE}/fr/ep-00-01-{day}.txt" for day in _DAYS),
)


def _alone(text: bytes) -> bytes:
    """One side of a parallel text: the lines with words in them."""
    return b"\n".join(line for line in parallel.spoken(text) if line) + b"\n"


KNOWN: dict[str, tuple[tuple[File, ...], Callable[..., bytes]]] = {
    "tinyshakespeare": ((PLAYS,), bytes),
    "state_union": ((SPEECHES,), bytes),
    "europarl": ((ENGLISH, FRENCH), lambda *texts: parallel.join((b"en", b"fr"), texts)),
    "europarl-en": ((ENGLISH,), _alone),
    "europarl-fr": ((FRENCH,), _alone),
}


def known(name: str, folder: Path) -> list[bytes]:
    """The text of this name from the files in `folder`, which are downloaded into it where they are not there.

    Raises UserError where that cannot be, and for a file with another SHA-256; nothing is written then.
    """
    files, make = KNOWN[name]
    return [make(*(_file(file, folder) for file in files))]


def _file(file: File, folder: Path) -> bytes:
    path = folder / file.name
    remedy = f"or put {file.name} (SHA-256 {file.sha256}) into a folder yourself and name that folder as path"
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "a file that may be read") from error
    if content is not None:
        _check(file, content, str(path), "the file as it was published; remove this one")
        return content
    content = b"".join(_download(address, remedy) for address in file.addresses)
    _check(file, content, " and ".join(file.addresses), remedy)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, content)
    return content


def _check(file: File, content: bytes, where: str, remedy: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise UserError(f"{where}: SHA-256 {found} of {len(content):,} bytes", f"{file.sha256}, that of {file.name}", remedy)


def _download(address: str, remedy: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=WAIT) as answer:
            content: bytes = answer.read()
        if not address.endswith(".zip"):
            return content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return b"".join(archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".txt"))
    except (OSError, zipfile.BadZipFile) as error:  # no network, no such page, half an answer
        raise UserError(f"cannot get {address}: {error}", remedy=f"try again with a network, {remedy}") from error


def at(path: Path) -> list[bytes]:
    """The bytes of a file, or of every file in a folder in the order of their paths; hidden ones are left out.

    Raises UserError for what cannot be read, for nothing but empty files, and for a file with a NUL byte in it, which is no text.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts))
    texts = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}", "a file or a folder of text") from error
        if b"\0" in content:
            raise UserError(f"{file} is no text: byte {content.index(0)} is NUL", "a file or a folder of text")
        texts.append(content)
    if not any(text.strip() for text in texts):
        raise UserError(f"{path} holds no text", "at least one window of it")
    return texts
