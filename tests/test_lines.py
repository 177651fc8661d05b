"""What tasks of one line share, held against a toy: two digits, and for each of two blanks the last digit of their sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Computed, check_whole, fingerprint, kept, renamed
from bdh_reason.rng import generator


@dataclass(frozen=True)
class Config:
    size: int = 2


class Sums(Computed):
    name: ClassVar[str] = "sums"
    version: ClassVar[str] = "1"
    form: ClassVar[str] = "two digits and two blanks"
    horizon: ClassVar[str] = "size"
    symbols = b"0123456789"
    positions = 4
    width = 2

    def sample(self, rng, n):
        return np.pad(rng.integers(48, 58, (n, 2), np.uint8), ((0, 0), (0, 2)), constant_values=BLANK)

    def well_formed(self, prompt_NT):
        return ((prompt_NT[:, :2] >= 48) & (prompt_NT[:, :2] < 58)).all(1) & (prompt_NT[:, 2:] == BLANK).all(1)

    def answer(self, prompt_NT):
        assert self.well_formed(prompt_NT).all(), "asked for the answer to a prompt that is none"
        total_N1 = (prompt_NT[:, :2].astype(int) - 48).sum(1, keepdims=True) % 10 + 48
        return np.concatenate([prompt_NT[:, :2], total_N1.repeat(2, 1)], 1).astype(np.uint8)

    def canonical_form(self, prompt_NT):
        assert self.well_formed(prompt_NT).all(), "asked for the form of a prompt that is none"
        return np.sort(prompt_NT[:, :2], 1)


TASK = Sums(Config())


def lines(*texts):
    return np.array([list(text.encode("latin-1")) for text in texts], np.uint8)


def test_problems_carry_what_follows_from_their_prompts():
    problems = TASK.generate(generator(0, "test"), 50)
    assert np.array_equal(problems.scored, problems.prompt == BLANK)
    assert (problems.difficulty == 2).all()
    assert TASK.verify(problems.prompt, problems.target).all()
    assert TASK.chance(problems) == pytest.approx(0.01)


def test_only_the_prompt_with_its_answer_is_right_and_nothing_is_right_for_what_is_no_prompt():
    prompts = lines("12..", "12..", "12..", "12..", "1x..", "....", "1233")
    replies = lines("1233", "1234", "2133", "12..", "1x33", "0000", "1233")
    assert TASK.verify(prompts, replies).tolist() == [True] + [False] * 6
    assert TASK.solutions(prompts).tolist() == [1, 1, 1, 1, 0, 0, 0]
    with pytest.raises(UserError, match=r"'1x\.\.' is no problem of sums.*two digits and two blanks"):
        TASK.solve(prompts)


def test_families_are_of_the_form_and_what_is_no_prompt_has_its_own():
    family_N = TASK.canonical(lines("12..", "21..", "13..", "x1..", "1x.."))
    assert family_N[0] == family_N[1]
    assert len(np.unique(family_N)) == 4


def test_bytes_are_exchanged_problem_by_problem():
    problems = TASK.read("12..\n34..", "here.txt")
    byte_NC = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    byte_NC[1, [ord("3"), ord("4")]] = ord("4"), ord("3")
    changed = renamed(problems, byte_NC)
    assert changed.prompt.tobytes() == b"12..43.."
    assert changed.target.tobytes() == b"12334377"
    assert changed.family is problems.family


def test_prompts_are_read_one_a_line():
    problems = TASK.read("12..\n\n  99.. \r\n", "here.txt")
    assert problems.prompt.tobytes() == b"12..99.."
    assert problems.target.tobytes() == b"12339988"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", r"no problem in here\.txt"),
        ("12..\n\n123..\n", r"here\.txt, line 3: 5 characters; allowed: 4 bytes for Config\(size=2\): two digits"),
        ("12..\n1→..", r"here\.txt, line 2: '→'"),
        ("12..\n1\xe9..", r"here\.txt, line 2: the problem has no solution; allowed: exactly one: two digits"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, message):
    with pytest.raises(UserError, match=message):
        TASK.read(text, "here.txt")


def test_a_prompt_with_several_solutions_is_refused(monkeypatch):
    monkeypatch.setattr(Sums, "solutions", lambda self, prompt_NT: np.full(len(prompt_NT), 2))
    with pytest.raises(UserError, match=r"line 1: the problem has several solutions"):
        TASK.read("12..", "here.txt")


def test_pictures_have_rows_and_a_reply_stands_beside_its_prompt():
    assert TASK.picture(["<a>", "<b>", "<c>", "<d>"]) == "<a><b>\n<c><d>"
    assert TASK.render(*lines("12..", "1233")) == "12   12\n..   33"


def test_a_reply_keeps_the_clues_or_not():
    assert kept(lines("12..", "12..", "12.."), lines("1299", "12..", "1399")).tolist() == [True, True, False]


@pytest.mark.parametrize("value", [0, 5, -1, True, 2.0, "2", None])
def test_what_is_no_whole_number_of_the_range_is_refused(value):
    check_whole("size of sums", 1, 1, 4)
    check_whole("size of sums", 4, 1, 4)
    with pytest.raises(UserError, match=r"size of sums = .*from 1 to 4"):
        check_whole("size of sums", value, 1, 4)


def test_hashes_tell_rows_apart_by_value_and_place_and_not_by_type():
    rows_NK = np.array([(one, other) for one in range(64) for other in range(64)], np.uint8)
    assert len(np.unique(fingerprint(rows_NK))) == 64**2
    assert np.array_equal(fingerprint(rows_NK), fingerprint(rows_NK.astype(np.int64)))
    assert fingerprint(np.array([[97]], np.uint8)).tolist() == [0xAF63DC4C8601EC8C]  # of the reference implementation
