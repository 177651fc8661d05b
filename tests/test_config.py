from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.config import configure, line_of, read_yaml, words
from bdh_reason.errors import UserError


@dataclass(frozen=True)
class Config:
    box: tuple[int, int] = (3, 3)
    clues: int = 0
    rate: float = 0.5
    minimal: bool = False
    style: str = "plain"
    limit: int | None = None


def test_nothing_given_is_the_defaults():
    assert configure(Config, {}, "here") == Config()


def test_values_arrive_in_their_declared_form():
    config = configure(Config, {"box": [2, 3], "clues": 7, "rate": 1, "minimal": True, "style": "x", "limit": 4}, "here")
    assert config == Config((2, 3), 7, 1.0, True, "x", 4)
    assert type(config.rate) is float, "a data set must not depend on whether 1 or 1.0 was written"
    assert type(config.box) is tuple


def test_an_unknown_key_names_the_place_and_the_nearest_key():
    with pytest.raises(UserError, match=r"unknown key 'minimum' in here.*did you mean 'minimal'"):
        configure(Config, {"minimum": True}, "here")


@pytest.mark.parametrize(
    "options",
    [
        {"box": 3},
        {"box": "33"},
        {"box": ["a", 3]},
        {"box": [2.5, 3]},
        {"clues": "7"},
        {"clues": 7.0},
        {"clues": True},
        {"clues": None},
        {"rate": "fast"},
        {"rate": False},
        {"minimal": 1},
        {"style": 5},
    ],
)
def test_a_value_of_another_type_is_refused_with_its_key(options):
    with pytest.raises(UserError, match=rf"{next(iter(options))} = .* in here; allowed: a value like"):
        configure(Config, options, "here")


def test_words_are_read_as_nested_yaml():
    assert words(["size=100", "model.d=64", "model.name=bdh", "box=[2, 3]", "note=a=b"]) == {
        "size": 100,
        "model": {"d": 64, "name": "bdh"},
        "box": [2, 3],
        "note": "a=b",
    }


@pytest.mark.parametrize("pair", ["size", "=3", "size=[1", "day=2020-13-45", "a.b.=1", ".a=1"])
def test_a_word_that_is_no_pair_is_refused(pair):
    with pytest.raises(UserError, match=r"allowed: key=value|not YAML"):
        words([pair])


def test_a_key_cannot_be_both_a_value_and_a_section():
    with pytest.raises(UserError, match="model"):
        words(["model=bdh", "model.d=64"])


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.integers(), max_size=4))
def test_words_undo_writing_them_out(options):
    assert words(f"x.{key}={value}" for key, value in options.items()).get("x", {}) == options


def test_the_line_of_an_entry_is_found_by_its_keys():
    text = "# first\na:\n  b: 1\n  c:\n    - x: 1\n    - y: 2\nd: 3\n"
    lines = {(): 1, ("a",): 2, ("a", "c"): 4, ("a", "c", "1"): 6, ("a", "c", "1", "y"): 6, ("d",): 7, ("a", "c", "z"): 4, ("q",): 1}
    assert {keys: line_of(text, keys) for keys in lines} == lines


def test_a_key_that_stands_twice_is_named_with_its_line():
    for text, key, line in (("a: 1\nb: 2\na: 3", "'a'", 3), ("- x: {5e-4: 1,\n  0.0005: 2}", "0.0005", 2), ("a: {b: {}}\nc:\n  d: {e: 1, e: 1}", "'e'", 3)):
        with pytest.raises(UserError, match=rf"the key {key} twice in f.yaml, line {line}; allowed: every key once"):
            read_yaml(text, "f.yaml")
    assert read_yaml("a: &x {k: 1}\nb: {<<: *x, k: 2}\nc: [*x, *x]\n=: 1", "f.yaml") == {"a": {"k": 1}, "b": {"k": 2}, "c": [{"k": 1}] * 2, "=": 1}
    assert read_yaml("", "f.yaml") is None
    assert read_yaml("&a [*a]", "f.yaml")
