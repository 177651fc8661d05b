"""A merged checkpoint is examined and solves like any other, and forgets nothing of what its parents saw."""

from __future__ import annotations

import json

import pytest
from test_cli import bdh_reason
from test_train import recipe, run
from toy import installed

from bdh_reason.data.read import open_split
from bdh_reason.train.checkpoint import read


@pytest.fixture
def home(request, tmp_path, monkeypatch):
    """Three small trained models: `a` and `other` of the same data, `b` of its own, and a transformer."""
    request.getfixturevalue(installed.__name__)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    short = {"steps": 2, "validation": {"every": 2, "problems": 4, "depth": 2}}
    for name, changes in {
        "a": {"seed": 0},
        "other": {"seed": 1},
        "b": {"data": {"size": 300, "seed": 1, "shares": [0.6, 0.2, 0.2]}},
        "loud": {"loop": {"noise": 0.25}},
        "transformer": {"model": {"name": "transformer", "options": {"d": 8, "heads": 2, "relations": False}}},
    }.items():
        run(tmp_path / name, recipe(name=name, **short, **changes))
    return tmp_path


def data_of(home, name):
    """The folder of the data set that a model was trained on."""
    data_hash = read(home / name / "model.json").card.data_hash
    return next(path.parent for path in (home / "data").glob("*/manifest.json") if json.loads(path.read_text())["hash"] == data_hash)


def families(home, name):
    """Prompts by family of the train and validation splits that a model has seen."""
    parts = [open_split(data_of(home, name), split) for split in ("train", "validation")]
    return {int(family): bytes(prompt_T[:-1]).decode() for part in parts for family, prompt_T in zip(part.family, part.prompt)}


def unlike(seen):
    """A prompt of none of these families: its digits, sorted, are another number."""
    return next(digits for digits in (f"{number:06d}" for number in range(10**6)) if int("".join(sorted(digits))) not in seen)


def asked(home, model, *puzzles):
    (home / "mine.txt").write_text("\n".join(puzzles) + "\n")
    return bdh_reason("eval", "--task", "toy", "--model", model, "--puzzles", "mine.txt", "--datasets", "data", "--depth", "2", "--json", cwd=home)


def test_a_merged_checkpoint_is_examined_solves_and_merges_again(home):
    done = bdh_reason("merge", "a", "other", "--out", "c", cwd=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"model": "c", "neurons": 32, "pieces": [8, 8], "params": read_size(home / "c")}
    again = bdh_reason("eval", "--task", "toy", "--model", "c", "--model", "a", "--datasets", "data", "--depth", "1,2", "--json", cwd=home)
    rows = [row for row in map(json.loads, again.stdout.splitlines()) if row["difficulty"] is None]
    assert [(row["model"], row["recipe"], row["depth"], row["unseen"]) for row in rows[:2]] == [("c", "a-other", 1, True), ("c", "a-other", 2, True)]
    assert rows[0]["train_flops"] == pytest.approx(2 * rows[2]["train_flops"])
    assert bdh_reason("solve", "--task", "toy", "--model", "c", "--depth", "2", "123456", cwd=home).returncode == 0
    assert bdh_reason("merge", "c", "a", "--out", "deep/d", cwd=home).returncode == 0
    assert read(home / "deep" / "d" / "model.json").card.recipe["model"]["options"]["pieces"] == [8, 8, 8]


def read_size(folder):
    return sum(tensor.numel() for tensor in read(folder / "model.json").tensors.values())


def test_the_card_of_a_merged_model_tells_of_both_parents(home):
    assert bdh_reason("merge", "a", "b", "--out", "c", cwd=home).returncode == 0
    card, parents = read(home / "c" / "model.json").card, [read(home / name / "model.json") for name in ("a", "b")]
    known = [(parent["name"], parent["sha256"], parent["step"], parent["data_hash"]) for parent in card.parents]
    assert known == [(name, parent.sha256, 2, parent.card.data_hash) for name, parent in zip(("a", "b"), parents)]
    assert (card.step, card.validation) == (4, None)
    assert card.data() == {parent.card.data_hash for parent in parents}
    assert "parents" not in json.loads((home / "a" / "model.json").read_text()), "other cards are as they were"


def test_what_either_parent_was_trained_on_is_no_exam_even_for_a_grandchild(home):
    assert bdh_reason("merge", "a", "b", "--out", "c", cwd=home).returncode == 0
    assert bdh_reason("merge", "a", "c", "--out", "d", cwd=home).returncode == 0
    of_a, of_b = families(home, "a"), families(home, "b")
    in_b = next(prompt for family, prompt in of_b.items() if family not in of_a)
    in_a = next(prompt for family, prompt in of_a.items() if family not in of_b)
    new = unlike(of_a | of_b)
    assert asked(home, "a", in_b).returncode == 0, "the first parent alone has not seen it"
    for model in ("c", "d"):
        for puzzle in (in_a, in_b):
            refused = asked(home, model, new, puzzle)
            assert refused.returncode == 2
            assert "1 problems are in the" in refused.stderr
        assert json.loads(asked(home, model, new).stdout.splitlines()[0])["unseen"] is True


@pytest.mark.parametrize(("lost", "kept"), ["ab", "ba"])
def test_where_one_parents_data_is_not_at_hand_the_row_does_not_say_unseen(home, lost, kept):
    assert bdh_reason("merge", "a", "b", "--out", "c", cwd=home).returncode == 0
    data_of(home, lost).rename(home / "elsewhere")
    new = unlike(families(home, kept))
    done = asked(home, "c", new)
    assert json.loads(done.stdout.splitlines()[0])["unseen"] is None
    assert "nothing says whether" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "transformer", "--out", "c"), "is a transformer"),
        (("a", "loud", "--out", "c"), "loop = Loop(feedback=True, inject=True, noise=0.25)"),
        (("a", "chance", "--out", "c"), "chance is a guess"),
        (("a", "nobody", "--out", "c"), "unknown model 'nobody'"),
        (("a", "other", "--out", "b"), "exists and holds something else"),
        (("a", "other", "--out", "mine.txt"), "exists and holds something else"),
        (("a", "b"), "--out"),
    ],
)
def test_a_merge_that_cannot_be_is_refused_and_writes_nothing(home, words, message):
    (home / "mine.txt").write_text("")
    before = (home / "b" / "model.json").read_bytes()
    done = bdh_reason("merge", *words, cwd=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert not (home / "c").exists()
    assert (home / "b" / "model.json").read_bytes() == before


def test_the_same_merge_may_be_done_twice_and_no_other_in_its_place(home):
    for _ in range(2):
        assert bdh_reason("merge", "a", "other", "--out", "c", cwd=home).returncode == 0
    assert bdh_reason("merge", "a", "b", "--out", "c", cwd=home).returncode == 2
