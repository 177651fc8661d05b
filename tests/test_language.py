"""Scores of texts: in bits per byte over whole documents, with what they rest on, and never of a text that was trained on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import bdh_reason
from test_stream import recipe, run

from bdh_reason import discover
from bdh_reason.compare.table import table
from bdh_reason.data.build import quiet
from bdh_reason.errors import UserError
from bdh_reason.evaluate.exam import examine
from bdh_reason.evaluate.merge import merge
from bdh_reason.evaluate.metrics import by_document
from bdh_reason.reason.reading import code_lengths, context

CODES = discover.codes()
texts = st.binary(max_size=30).map(lambda text: np.frombuffer(text, np.uint8))
known = st.lists(st.binary(min_size=1, max_size=60).map(lambda text: np.frombuffer(text, np.uint8)), min_size=1, max_size=4)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with two small models, one that streams and one that reads windows, and a text that they have not read."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    for stream in (True, False):
        run(tmp_path / ("streaming" if stream else "windowed"), recipe(stream=stream, steps=2))
    (tmp_path / "new.txt").write_bytes(b"\n".join(b"A line of text with number %d in it." % n for n in range(600)))
    return tmp_path


def asked(*models, task="text", options=None, **more):
    return examine(task, options or {}, models, None, "cpu", None, quiet, **more)


def test_every_contender_gets_a_row_that_says_what_it_rests_on(home):
    rows = asked("streaming", "windowed", "unigram", "order2", "deflate")
    corpus = recipe().subject()
    documents = corpus.documents("test")
    assert [row.mode for row in rows] == ["stream", "windows", "code", "code", "code"]
    assert [row.context for row in rows] == [None, context(16), None, None, None]
    for row in rows:
        assert (row.n, row.scored_bytes, row.split, row.data_hash) == (len(documents), sum(map(len, documents)), "test", corpus.hash)
        assert row.floor == pytest.approx(corpus.floor(documents).sum() / row.scored_bytes)
        assert row.floor < row.bits_per_byte
        assert row.ci_low < row.bits_per_byte < row.ci_high
        assert (row.exact_match, row.cell_accuracy, row.chance) == (None, None, None)
    assert [row.unseen for row in rows] == [True, True, None, None, None]
    assert rows[3].bits_per_byte < rows[2].bits_per_byte, "two bytes of context help"
    assert "windows, context 8" in table(rows)
    assert table(rows).count("\n") == 6


def test_a_row_is_the_sum_of_its_documents(home):
    (row,) = asked("streaming", limit=3)
    from bdh_reason.evaluate.contender import checkpoint

    contender = checkpoint("streaming")
    corpus = contender.recipe.subject()
    documents = corpus.documents("test")[:3]
    bits_n = code_lengths(contender.reasoner(corpus, "cpu"), documents, 2, stream=True)
    assert (row.n, row.depth) == (3, 2)
    assert row.bits_per_byte == pytest.approx(bits_n.sum() / 180)
    assert (row.ci_low, row.ci_high) == by_document(bits_n, np.full(3, 60))


def test_a_file_is_read_whole_and_named_without_its_place(home):
    rows = asked("streaming", "order2", text=home / "new.txt")
    assert [(row.split, row.scored_bytes, row.unseen) for row in rows] == [("new.txt", (home / "new.txt").stat().st_size, seen) for seen in (True, None)]
    assert all(str(home) not in row.line() for row in rows)
    assert "new.txt (new.txt)" in table(rows)
    with pytest.raises(UserError, match="nothing that it could learn from"):
        asked("order2", text=home / "new.txt")


def test_what_was_trained_on_is_refused_whole_or_in_part(home):
    with pytest.raises(UserError, match="the train split of streaming"):
        asked("streaming", split="train")
    assert asked("streaming", split="validation")[0].unseen
    train = recipe().subject().documents("train")
    (home / "seen.txt").write_bytes(b"\n".join(document.tobytes() for document in train[:5]))
    with pytest.raises(UserError, match="streaming was trained on"):
        asked("streaming", text=home / "seen.txt")
    (home / "quoted.txt").write_bytes((home / "new.txt").read_bytes()[:20000] + b"\n" + train[0].tobytes())
    assert asked("streaming", text=home / "quoted.txt")[0].unseen, "a line that somebody quotes does not make a text seen"


@pytest.mark.parametrize("name", ["test", "validation", "train"])
def test_a_file_that_is_named_like_a_split_is_a_file(home, name):
    (home / name).write_bytes((home / "new.txt").read_bytes())
    run(home / "own", recipe(steps=2, task={"name": "text", "options": {"path": name, "window": 16, "document": 300}}))
    with pytest.raises(UserError, match="own was trained on 'A line of text"):
        asked("own", options={"window": 16, "document": 300}, text=home / name)
    assert asked("streaming", text=home / name)[0].unseen


def test_a_text_that_is_not_at_hand_leaves_the_question_open(home):
    chosen = recipe(steps=2, task={"name": "text", "options": {"path": "new.txt", "window": 16, "document": 300}})
    run(home / "own", chosen)
    assert asked("own")[0].unseen
    assert asked("own", task="text", options={"path": ""})[0].unseen
    (home / "new.txt").rename(home / "moved.txt")
    assert asked("own", options={"path": "moved.txt"})[0].unseen
    assert asked("own", task="text", options={"path": ""})[0].unseen is None


def test_a_merged_model_has_read_what_its_parents_read(home):
    options = {"path": "new.txt", "window": 16, "document": 300}
    run(home / "own", recipe(steps=2, seed=1, task={"name": "text", "options": options}))
    merge("streaming", "own", home / "both")
    with pytest.raises(UserError, match="both was trained on 'A line of text"):
        asked("both", text=home / "new.txt")
    assert asked("both")[0].unseen


def test_rows_are_printed_and_added_and_a_table_is_made_of_them(home):
    done = bdh_reason("eval", "--task", "text", "--model", "streaming", "--model", "unigram", "--depth", "1,2", "--json", "--rows", "rows.jsonl", cwd=home)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (home / "rows.jsonl").read_text() == done.stdout
    assert [(row["model"], row["depth"]) for row in rows] == [("streaming", 1), ("streaming", 2), ("unigram", None)]
    shown = bdh_reason("table", "rows.jsonl", cwd=home)
    assert sum(line.startswith("|") for line in shown.stdout.splitlines()) == 2 + len(rows)
    assert "bits_per_byte" in shown.stdout


def test_a_file_is_trained_on_probed_and_listed(home):
    (home / "prose.txt").write_bytes((home / "new.txt").read_bytes())
    tiny = ("steps=2", "batch=2", "model.options.n=32", "model.options.d=16", "task.options.document=300", "task.options.window=32", "validation.problems=2")
    done = bdh_reason("train", "text", "--text", "prose.txt", *(word for change in tiny for word in ("--set", change)), cwd=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["validation_bits_per_byte"] > 0
    probed = bdh_reason("probe", "runs/text", "--text", "prose.txt", "--limit", "2", "--json", cwd=home)
    assert probed.returncode == 0, probed.stderr
    assert {"density", "degrees", "modularity"} <= {json.loads(line)["probe"] for line in probed.stdout.splitlines()}
    listed = {json.loads(line)["name"] for words in ("tasks", "models") for line in bdh_reason(words, "--json", cwd=home).stdout.splitlines()}
    assert {"text", "tinyshakespeare", "state_union", "europarl", "unigram", "order2", "deflate"} <= listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", "--task", "text"), "no --model given"),
        (("eval", "--task", "text", "--model", "chance"), "chance"),
        (("eval", "--task", "text", "--model", "streaming", "--puzzles", "x"), "--text, --split, --depth and --limit"),
        (("eval", "--task", "text", "--model", "streaming", "--horizon", "4"), "--text, --split"),
        (("eval", "--task", "text", "--model", "streaming", "--mode", "greedy"), "--text, --split, --depth and --limit"),
        (("eval", "--task", "text", "--model", "streaming", "--depth", "0"), "from 1"),
        (("eval", "--task", "text", "--model", "streaming", "--split", "all"), "unknown split 'all'"),
        (("eval", "--task", "text", "--model", "streaming", "--text", "nothing"), "cannot read nothing"),
        (("eval", "--task", "text", "--model", "streaming", "--text", "empty.txt"), "empty.txt holds no text"),
        (("eval", "--task", "text", "--model", "sudoku"), "trained on sudoku, not on text"),
        (("eval", "--task", "tinyshakespeare", "--model", "unigram", "--set", "path=."), "SHA-256"),
        (("eval", "--task", "sudoku", "--model", "chance", "--text", "new.txt"), "--text with sudoku"),
        (("eval", "--model", "streaming"), "streaming was trained on text, not on sudoku"),
        (("train", "text", "--text", "empty.txt"), "empty.txt holds no text"),
        (("train", "text", "--text", "short.txt"), "5 bytes of text"),
        (("train", "sudoku4", "--text", "new.txt"), "unknown key 'path'"),
        (("data", "build", "text", "--size", "5", "--out", "x"), "text is a text"),
        (("solve", "--task", "text", "--model", "streaming", "abc"), "text is a text"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(home, words, message):
    (home / "empty.txt").touch()
    (home / "short.txt").write_bytes(b"short")
    (home / "tinyshakespeare.txt").write_bytes(b"To be, or not to be\n")
    done = bdh_reason(*words, cwd=home)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (home / "runs").exists()


@given(known, texts, st.sampled_from(["unigram", "order2"]))
def test_a_code_spends_what_its_probabilities_allow(learned, text, name):
    """The 256 documents that go on from a text by one byte cost, as probabilities, what the text itself costs."""
    code = CODES[name]
    longer = [np.append(text, byte).astype(np.uint8) for byte in range(256)]
    bits_n = code(learned, longer)
    assert bits_n.shape == (256,)
    before = code(learned, [text])[0] if len(text) else 0.0
    assert (2.0 ** (before - bits_n)).sum() == pytest.approx(1)


def test_a_code_has_learned_from_what_it_knows():
    repeated = [np.frombuffer(b"abcabcabcabc" * 20, np.uint8)]
    asked_n = [np.frombuffer(b"abcabcabc" * 4, np.uint8)]
    costs = {name: code(repeated, asked_n)[0] / 36 for name, code in CODES.items()}
    assert costs["order2"] < 0.5 < 1.5 < costs["unigram"] < 1.7
    assert costs["deflate"] < 2


def test_the_interval_of_bits_per_byte_is_over_documents():
    bits_N, bytes_N = np.array([100.0, 300.0] * 50), np.full(100, 100)
    assert by_document(bits_N, bytes_N) == pytest.approx((2 - 0.199, 2 + 0.199), abs=1e-3)
    assert by_document(np.full(9, 5.0), np.full(9, 10)) == pytest.approx((0.5, 0.5))
    assert by_document(bits_N[:1], bytes_N[:1]) == (None, None)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_the_interval_over_documents_holds_the_truth_as_often_as_it_says(n):
    """Documents of different sizes and rates; of ten a percentile bootstrap would hold it 88 times in 100, of two 50 times."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(2000):
        bytes_N = rng.integers(500, 4500, n)
        low, high = by_document(bytes_N * (1.7 + 0.25 * rng.gamma(4, 0.5, n)), bytes_N)
        held += low <= 2.2 <= high
    assert 0.91 <= held / 2000 <= 0.97
