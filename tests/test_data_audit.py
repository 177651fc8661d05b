import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import toy
from toy import installed

from bdh_reason.data import audit as auditing
from bdh_reason.data import build as building
from bdh_reason.data.audit import audit, leaks
from bdh_reason.data.build import build
from bdh_reason.data.manifest import FILES, SCHEMA, read
from bdh_reason.data.read import open_split
from bdh_reason.data.splits import SPLITS
from bdh_reason.errors import UserError

SIZE = 500
pytestmark = pytest.mark.usefixtures(installed.__name__, "_small_chunks")


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(building, "CHUNK", 128)
    monkeypatch.setattr(auditing, "BLOCK", 100)


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """Builds a set with a dishonest generator: `change` gets each chunk's problems."""

    def build_with(change):
        honest = toy.Task.generate
        with monkeypatch.context() as patch:
            patch.setattr(toy.Task, "generate", lambda self, rng, n: change(honest(self, rng, n)))
            build("toy", {}, tmp_path / "planted", SIZE)
        return tmp_path / "planted"

    return build_with


def _row(folder, prompt):
    """`split: row` of a prompt in a set, in the words of a finding."""
    for split in SPLITS:
        rows = np.flatnonzero((open_split(folder, split).prompt == prompt).all(1))
        if len(rows):
            return split, int(rows[0])
    raise AssertionError


def test_a_clean_set_has_no_findings_and_every_row_is_looked_at(tmp_path):
    build("toy", {}, tmp_path, SIZE)
    seen = []
    report = audit(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert report.findings == ()
    assert report.rows == SIZE
    assert seen[-1] == (SIZE, SIZE)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found_in_any_file(tmp_path, name):
    build("toy", {}, tmp_path, SIZE)
    raw = bytearray((tmp_path / name).read_bytes())
    raw[-1] ^= 1
    (tmp_path / name).write_bytes(raw)
    assert f"{tmp_path / name} has another SHA-256 than its manifest" in audit(tmp_path).findings


@pytest.mark.parametrize("place", range(0, 128, 3))
def test_a_damaged_header_is_a_finding_and_no_crash(tmp_path, place):
    build("toy", {}, tmp_path, 100)
    raw = bytearray((tmp_path / "train.prompt.npy").read_bytes())
    raw[place] ^= 0x15
    (tmp_path / "train.prompt.npy").write_bytes(raw)
    assert any("train.prompt.npy has another SHA-256" in finding for finding in audit(tmp_path).findings)


def test_a_missing_file_is_found_and_the_other_splits_are_still_checked(tmp_path):
    rows = build("toy", {}, tmp_path, SIZE).rows
    (tmp_path / "test.target.npy").unlink()
    report = audit(tmp_path)
    assert f"{tmp_path / 'test.target.npy'} is missing" in report.findings
    assert report.rows == SIZE - rows["test"]


def test_a_leak_is_found_and_its_family_named_although_the_stored_family_hides_it(plant):
    prompts = toy.Task(toy.Config()).read("123456", "").prompt  # of family 654321

    def hide(problems):
        prompt_NT, family_N = problems.prompt.copy(), problems.family.copy()
        prompt_NT[:100] = prompts
        family_N[:100] = np.arange(100) + 10**9
        target_NT = toy.Task(toy.Config()).solve(prompt_NT)
        return replace(problems, prompt=prompt_NT, target=target_NT, family=family_N)

    folder = plant(hide)
    findings = audit(folder).findings
    pairs = {finding.partition(":")[0] for finding in findings if finding.startswith("leak") and finding.endswith(f"1 family: {654321:016x}")}
    assert f"leak between train of {folder} and test of {folder}" in pairs
    assert any("the stored family is not the prompt's: " in finding for finding in findings)
    assert any("the family belongs into another split: " in finding for finding in findings)
    assert leaks(folder) == (), "the quick check believes what is stored"


def test_a_row_copied_from_train_to_test_is_found_even_with_its_checksums_put_right(tmp_path):
    manifest = build("toy", {}, tmp_path, SIZE)
    train, family = open_split(tmp_path, "train"), open_split(tmp_path, "train").family[7]
    for name, (split, field) in FILES.items():
        if split == "test":
            array = np.load(tmp_path / name)
            array[2] = getattr(train, field)[7]
            np.save(tmp_path / name, array)
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in FILES}
    replace(manifest, sha256=digests).write(tmp_path)
    leak = f"leak between train of {tmp_path} and test of {tmp_path}: 1 family: {family:016x}"
    assert set(audit(tmp_path).findings) == {leak, f"{tmp_path}, test: the family belongs into another split: 1 row: 2"}
    assert leaks(tmp_path) == (leak,)


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("target", lambda old: (old - 48 + 1) % 10 + 48, "the target breaks the rules"),
        ("scored", lambda old: old ^ True, "the scored positions are not those the target fills"),
    ],
)
def test_one_wrong_row_is_found_and_named(plant, field, change, words):
    def spoil(problems):
        if len(problems) < 128:  # the last chunk alone
            wrong = getattr(problems, field).copy()
            wrong[5, -1] = change(wrong[5, -1])
            return replace(problems, **{field: wrong})
        return problems

    folder = plant(spoil)
    rng = building.generator(0, "generate", index=3)
    split, row = _row(folder, toy.Task(toy.Config()).generate(rng, SIZE % 128).prompt[5])
    assert audit(folder).findings == (f"{folder}, {split}: {words}: 1 row: {row}",)


def test_a_clue_that_is_scored_is_found(plant):
    def spoil(problems):
        scored_NT = problems.scored.copy()
        scored_NT[:, 0] = True
        return replace(problems, scored=scored_NT)

    assert any("scored positions are not those" in finding for finding in audit(plant(spoil)).findings)


def test_problems_with_several_solutions_or_none_are_found(tmp_path, monkeypatch):
    rows = build("toy", {"modulus": 5}, tmp_path, SIZE).rows
    wanted = [f"{tmp_path}, {split}: the prompt has several solutions: {rows[split]} rows: 0, 1, 2, 3, 4 …" for split in SPLITS]
    assert list(audit(tmp_path).findings) == wanted
    monkeypatch.setattr(toy.Task, "solutions", lambda self, prompt_NT: np.zeros(len(prompt_NT), np.int64))
    assert list(audit(tmp_path).findings) == [finding.replace("several solutions", "no solution") for finding in wanted]


def test_a_test_set_that_another_set_trains_on_is_found(tmp_path):
    for name, shares in (("a", (1, 0, 0)), ("b", (0, 0, 1)), ("c", (1, 0, 0))):
        build("toy", {}, tmp_path / name, SIZE, shares=shares)
    shared = read(tmp_path / "a").families["train"]
    (finding,) = audit(tmp_path / "a", tmp_path / "b").findings
    assert finding.startswith(f"leak between train of {tmp_path / 'a'} and test of {tmp_path / 'b'}: {shared} families: ")
    assert leaks(tmp_path / "a", tmp_path / "b") == (finding,)
    assert audit(tmp_path / "a", tmp_path / "c").findings == (), "two training sets may share families"


def test_sets_of_equal_shares_and_other_seeds_share_no_family_between_splits(tmp_path):
    build("toy", {"digits": 3}, tmp_path / "a", SIZE)
    build("toy", {"digits": 3}, tmp_path / "b", SIZE, seed=1)
    assert audit(tmp_path / "a", tmp_path / "b").findings == ()


def test_what_is_no_data_set_cannot_be_audited(tmp_path):
    with pytest.raises(UserError, match="no data set"):
        audit(tmp_path)
    build("toy", {}, tmp_path / "set", SIZE)
    content = json.loads((tmp_path / "set" / "manifest.json").read_text())
    (tmp_path / "set" / "manifest.json").write_text(json.dumps({**content, "schema": SCHEMA + 1}))
    with pytest.raises(UserError, match="schema version"):
        audit(tmp_path / "set")
