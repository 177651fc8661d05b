"""Text is split by its content, known texts by name are what their SHA-256 says, and the made-up language costs exactly what it is said to."""

from __future__ import annotations

import hashlib
import io
import re
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from bdh_reason.task import MARK, Corpus

TEXT = discover.task_module("text")
SOURCES, PARALLEL, DOCUMENTS = TEXT.sources, TEXT.sources.parallel, TEXT.documents
PROSE = b"\n".join(b"Line %d says something that no other line says.%b" % (n, b"\n" if n % 7 == 0 else b"") for n in range(2000))
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n<"), max_size=12).map(str.encode)
chains = st.builds(TEXT.Language, order=st.integers(1, 3), letters=st.integers(2, 5), seed=st.integers(0, 99))


def corpus(path="", **options) -> Corpus:
    return discover.build_corpus("text", {"path": str(path), **options})


@pytest.fixture
def prose(tmp_path):
    (tmp_path / "prose.txt").write_bytes(PROSE)
    return tmp_path / "prose.txt"


def test_documents_are_the_text_and_no_line_is_in_two_splits(prose):
    text = corpus(prose, document=500)
    splits = text.splits()
    assert {split: len(documents) > 0 for split, documents in splits.items()} == {"train": True, "validation": True, "test": True}
    whole = b"\n".join(document.tobytes() for document in text.documents("all"))
    assert sorted(whole.split()) == sorted(PROSE.split())
    of = {split: set().union(*(text.traces(document) for document in documents)) for split, documents in splits.items()}
    assert not of["train"] & of["test"] | of["train"] & of["validation"] | of["validation"] & of["test"]
    assert sum(map(len, of.values())) == 2000
    assert all(0 < len(document) <= 1100 and document.dtype == np.uint8 for document in text.documents("all"))


def test_the_split_of_a_document_depends_on_its_content_alone(prose, tmp_path):
    whole = corpus(prose, shares=[0.5, 0.25, 0.25]).splits()
    for number, document in enumerate(corpus(prose).documents("all")):
        (tmp_path / "parts" / f"{-number:05d}").mkdir(parents=True)
        (tmp_path / "parts" / f"{-number:05d}" / "a.txt").write_bytes(document.tobytes())
    apart = corpus(tmp_path / "parts", shares=[0.5, 0.25, 0.25])
    for split, documents in apart.splits().items():
        assert {document.tobytes() for document in documents} == {document.tobytes() for document in whole[split]}
    assert apart.hash != corpus(prose, shares=[0.5, 0.25, 0.25]).hash, "another order is another text"


LINES = (b"", b"Ay.", b"A line that is long enough to count.", b"Another one of the same kind, see.")


@given(st.lists(st.sampled_from(LINES), max_size=12), st.integers(1, 80))
def test_long_lines_are_kept_once_and_short_ones_as_often_as_they_come(given_lines, size):
    kept = b"\n".join(DOCUMENTS.cut([b"\n".join(given_lines)] * 2, size))
    long_lines = {line for line in given_lines if len(line) >= DOCUMENTS.REPEAT}
    assert all(kept.count(line) == 1 for line in long_lines)
    documents = DOCUMENTS.cut([b"\n".join(given_lines)], size)
    assert len(set(documents)) == len(documents)
    assert all(len(document) < 2 * size + 40 for document in documents)


def test_a_folder_is_read_whole_and_in_order_but_for_hidden_files(tmp_path):
    for name in ("b.txt", "a/z.txt", ".hidden", ".git/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert SOURCES.at(tmp_path) == [b"a/z.txt", b"b.txt"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "holds no text"),
        (b" \n\n", {}, "holds no text"),
        (b"short", {}, "5 bytes of text; allowed: more than the 256"),
        (b"nul\0" * 99, {}, "byte 3 is NUL"),
        (b"x" * 300, {"window": 1}, "a window of 2 or more"),
        (b"x" * 300, {"shares": [0.5, 0.5, 0.5]}, "add up to 1"),
        (b"x" * 300, {"source": "tinyshakespear"}, "did you mean 'tinyshakespeare'"),
        (b"x" * 300, {"letters": 27, "order": 4}, "contexts"),
    ],
)
def test_a_text_that_is_none_is_refused(tmp_path, content, options, message):
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(UserError, match=message):
        corpus(tmp_path / "text", **options).documents("train")


def test_either_language_of_pairs_is_known_again_alone(tmp_path):
    """Whoever was trained on translations has read both sides of them: an exam on one of them is no news to it."""
    (tmp_path / "pairs.txt").write_bytes(PARALLEL.join((b"en", b"fr"), (ENGLISH, FRENCH)))
    (tmp_path / "english.txt").write_bytes(ENGLISH)
    known = corpus(tmp_path / "pairs.txt", document=500)
    seen = set().union(*(known.traces(document) for document in known.documents("all")))
    alone = corpus(tmp_path / "english.txt", document=500)
    for document in alone.documents("all"):
        if traces := {line for line in alone.traces(document) if line.startswith(b"English sentence")}:
            assert traces <= seen


def test_a_missing_text_and_a_split_without_a_document_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        corpus(tmp_path / "absent").splits()
    (tmp_path / "one.txt").write_bytes(PROSE[:1000])
    text = corpus(tmp_path / "one.txt", shares=[1, 0, 0])
    assert len(text.documents("train")) > 2
    with pytest.raises(UserError, match=r"no document of .*one.txt.* is in test"):
        text.documents("test")


@given(lines, lines)
def test_a_pair_of_lines_comes_back_from_its_form(said, meant):
    line = PARALLEL.encode(b"en", said, b"fr", meant)
    assert line == b"<F:en>%b<T:fr>%b" % (said, meant)
    assert PARALLEL.decode(line) == (b"en", said, b"fr", meant)


@pytest.mark.parametrize("said", [b"two\nlines", b"a tag <T:fr> inside", b"<F:en>"])
def test_what_the_form_could_not_tell_apart_is_refused(said):
    for pair in ((said, b"x"), (b"x", said)):
        with pytest.raises(UserError, match="pair of lines"):
            PARALLEL.encode(b"en", pair[0], b"fr", pair[1])
    for line in (b"no tags", b"<F:en>x", said + b"<F:en>a<T:fr>b"):
        with pytest.raises(UserError, match="no pair of lines"):
            PARALLEL.decode(line)


ENGLISH = b"<CHAPTER ID=1>\n" + b"\n".join(b"English sentence number %d." % n for n in range(500)) + b"\n<P>\nand no translation\n"
FRENCH = b"<CHAPTER ID=1>\n" + b"\n".join(b"Phrase en langue fran\xc3\xa7aise %d." % n for n in range(500)) + b"\n<P>\n\n"


@pytest.fixture
def web(monkeypatch, tmp_path):
    """The addresses of the known texts, answered from here."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for name in ("z/b.txt", "z/a.txt", "z/README"):
            files.writestr(name, PROSE[:900] + name.encode())
    pages = {"a://plays": PROSE, "a://en/1": ENGLISH[:99], "a://en/2": ENGLISH[99:], "a://fr": FRENCH, "a://z.zip": archive.getvalue()}
    joined = PROSE[:900] + b"z/a.txt" + PROSE[:900] + b"z/b.txt"

    def known(name, content, *addresses):
        return SOURCES.File(name, hashlib.sha256(content).hexdigest(), addresses)

    english, french = known("en.txt", ENGLISH, "a://en/1", "a://en/2"), known("fr.txt", FRENCH, "a://fr")
    files = {"tinyshakespeare": (known("plays.txt", PROSE, "a://plays"),), "state_union": (known("speeches.txt", joined, "a://z.zip"),)}
    files |= {"europarl": (english, french), "europarl-en": (english,), "europarl-fr": (french,)}
    monkeypatch.setattr(SOURCES, "KNOWN", {name: (files[name], make) for name, (_, make) in SOURCES.KNOWN.items()})

    def answer(address, timeout):
        if address not in pages:
            raise urllib.error.URLError("no network")
        return io.BytesIO(pages[address])

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return pages


def test_known_texts_are_downloaded_once_and_compared(web, tmp_path):
    folder = tmp_path / "known"
    (plays,), (speeches,) = SOURCES.known("tinyshakespeare", folder), SOURCES.known("state_union", folder)
    assert plays == PROSE
    assert speeches.endswith(b"z/b.txt"), "the texts of an archive in the order of their names"
    web.clear()
    assert SOURCES.known("tinyshakespeare", folder) == [PROSE]
    assert sorted(path.name for path in folder.iterdir()) == ["plays.txt", "speeches.txt"]


def test_the_parallel_text_has_pairs_in_both_directions_and_each_side_can_be_had_alone(web, tmp_path):
    (text,), (english,), (french,) = (SOURCES.known(name, tmp_path) for name in ("europarl", "europarl-en", "europarl-fr"))
    pairs = [PARALLEL.decode(line) for line in text.splitlines()]
    assert len(pairs) == 500
    assert 200 < sum(source == b"en" for source, *_ in pairs) < 300
    for source, said, target, meant in pairs:
        assert {source, target} == {b"en", b"fr"}
        one, other = (said, meant) if source == b"en" else (meant, said)
        assert re.findall(rb"\d+", one) == re.findall(rb"\d+", other)
    assert english == b"\n".join([*ENGLISH.split(b"\n")[1:501], b"and no translation", b""])
    assert french.count(b"\n") == 500


def test_a_text_that_differs_or_cannot_be_had_is_refused_and_nothing_is_written(web, tmp_path):
    web["a://plays"] += b"x"
    with pytest.raises(UserError, match=r"a://plays: SHA-256 .*put plays.txt"):
        SOURCES.known("tinyshakespeare", tmp_path / "known")
    del web["a://plays"]
    with pytest.raises(UserError, match=r"cannot get a://plays: .*no network.*put plays.txt"):
        SOURCES.known("tinyshakespeare", tmp_path / "known")
    web["a://z.zip"] = b"no archive"
    with pytest.raises(UserError, match=r"cannot get a://z.zip"):
        SOURCES.known("state_union", tmp_path / "known")
    assert not (tmp_path / "known").exists()
    (tmp_path / "plays.txt").write_bytes(PROSE[1:])
    with pytest.raises(UserError, match=r"plays.txt: SHA-256"):
        SOURCES.known("tinyshakespeare", tmp_path)
    with pytest.raises(UserError, match="line by line"):
        PARALLEL.join((b"en", b"fr"), (b"a\nb", b"a"))


@given(chains)
def test_the_chain_is_stationary_and_its_documents_cost_what_is_expected(chain):
    contexts, letters = chain.next_Ck.shape
    np.testing.assert_allclose(chain.next_Ck.sum(1), 1)
    shift_CC = np.zeros((contexts, contexts))
    for context in range(contexts):
        for letter in range(letters):
            shift_CC[context, (context * letters + letter) % contexts] += chain.next_Ck[context, letter]
    np.testing.assert_allclose(chain.stationary_C @ shift_CC, chain.stationary_C, atol=1e-9)
    bits_n = np.array([chain.bits(document) for document in chain.write(generator(0, "test"), 400, 40)])
    assert abs(bits_n.mean() - chain.expected(40)) < 5 * bits_n.std() / 20 + 1e-9


@given(chains)
def test_the_costs_of_all_documents_of_a_length_are_those_of_a_probability(chain):
    length = chain.order + 1
    digit_nT = np.indices((chain.letters,) * length).reshape(length, -1).T
    document_nT = np.frombuffer(TEXT.LETTERS, np.uint8)[digit_nT]
    bits_n = np.array([chain.bits(document_T) for document_T in document_nT])
    assert (2.0**-bits_n).sum() == pytest.approx(1)
    assert (2.0**-bits_n) @ bits_n == pytest.approx(chain.expected(length)), "the mean cost is the entropy, to the last bit"


def test_the_made_up_text_is_a_function_of_its_options_and_its_floor_is_that_of_its_documents():
    one, same, other = (corpus(documents=50, length=60, seed=seed) for seed in (0, 0, 1))
    assert one.hash == same.hash != other.hash
    documents = one.documents("all")
    assert len(documents) == 50
    np.testing.assert_allclose(one.floor(documents), [one.language.bits(document) for document in documents])
    assert corpus("somewhere").floor(documents) is None


def test_windows_are_stretches_of_the_training_documents_with_their_marks(prose):
    text = corpus(prose)
    row = b"\0" + b"\0".join(document.tobytes() for document in text.documents("train"))
    found_nT = text.windows(generator(0, "test"), 50, 300)
    assert (found_nT.shape, found_nT.dtype) == ((50, 300), np.uint8)
    assert all(window_T.tobytes() in row for window_T in found_nT)
    assert (found_nT == MARK).any()
    assert np.array_equal(found_nT, text.windows(generator(0, "test"), 50, 300))
    with pytest.raises(UserError, match="windows of 1000000 bytes"):
        text.windows(generator(0, "test"), 1, 10**6)


def test_what_a_row_says_of_a_text_names_no_place_on_a_disk(prose):
    assert corpus(prose).about() == {"source": "prose.txt"}
    assert discover.build_corpus("europarl", {"path": str(prose.parent)}).about() == {"source": "europarl"}
    assert corpus(seed=3).about()["seed"] == 3


def test_a_text_is_a_line_of_bytes_and_no_task():
    board = corpus().board("cells", "sequence")
    assert (board.tokens, board.vocabulary, board.blank, len(board.symbols)) == (256, (256, 256), MARK, 256)
    for view, reading in (("candidates", "sequence"), ("cells", "grid")):
        with pytest.raises(UserError, match="reading: sequence"):
            corpus().board(view, reading)
    assert "text" not in discover.task_names()
    assert {"text", "sudoku"} <= set(discover.subject_names())
    with pytest.raises(UserError, match="has no problems"):
        discover.build_task("europarl", {})
    with pytest.raises(UserError, match="no text; allowed: text"):
        discover.build_corpus("sudoku", {})
    assert discover.is_text("europarl")
    assert not discover.is_text("sudoku")
    assert not discover.is_text("nothing")
