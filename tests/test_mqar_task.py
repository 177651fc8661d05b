"""Recall against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.mqar import Config, Task

shares, letters = st.sampled_from([0.0, 0.25, 0.75]), st.sampled_from([1, 2])
configs = st.builds(Config, pairs=st.integers(4, 40), queries=st.integers(1, 12), rewritten=shares, letters=letters)


def records(line, letters=2):
    """(key, value) after (key, value)."""
    return [(line[k : k + letters], line[k + letters]) for k in range(0, len(line), letters + 1)]


@given(configs, st.integers(0, 99))
def test_answers_are_what_a_dictionary_holds_at_last(config, seed):
    problems = Task(config).generate(generator(seed, "test"), 5)
    for prompt_T, target_T in zip(problems.prompt, problems.target):
        prompt, target = (records(bytes(byte_T).decode(), config.letters) for byte_T in (prompt_T, target_T))
        memory = dict(prompt[: config.pairs])
        assert len(memory) == config.keys == config.pairs - round(config.rewritten * config.pairs)
        assert target[: config.pairs] == prompt[: config.pairs]
        assert target[config.pairs :] == [(key, memory[key]) for key, _ in prompt[config.pairs :]]
        assert all(value == "." for _, value in prompt[config.pairs :])
        asked = [key for key, _ in prompt[config.pairs :]]
        assert all(len(set(asked[k : k + config.keys])) == len(asked[k : k + config.keys]) for k in range(0, len(asked), config.keys))


SMALL = Task(Config(pairs=4, queries=2))


def prompts(*texts):
    return np.array([list(text.encode()) for text in texts], np.uint8)


@pytest.mark.parametrize(
    ("prompt", "good"),
    [
        ("aaAbbBccCddDaa.bb.", True),
        ("aaAaaBccCddDaa.aa.", True),  # written twice: the last one wins
        ("aaAbbBccCddDaa.ba.", False),  # never written
        ("aaAbbBccCdddaa.bb.", False),
        ("aaAbBBccCddDaa.cc.", False),
        ("aaAbbBccCd.Daa.bb.", False),
        ("aaAbbBccCddDaa.bbB", False),
        ("aaAbbBccC\x00\xffDaa.bb.", False),
    ],
)
def test_keys_are_small_values_large_and_queries_known(prompt, good):
    assert SMALL.well_formed(np.frombuffer(prompt.encode("latin-1"), np.uint8)[None]).tolist() == [good]


def test_the_last_value_wins():
    assert SMALL.solve(prompts("aaAaaBccCaaDaa.cc.")).tobytes() == b"aaAaaBccCaaDaaDccC"


def test_names_of_keys_and_values_do_not_matter_and_which_are_the_same_does():
    base = "aaAbbBccAddDaa.cc."
    same, others = "x1Zq)Yaaz".replace("z", "Z") + "ddAx1.aa.", ("aaAbbBccCddDaa.cc.", "aaAbbBccAddDaa.bb.", "aaAaaBccAddDaa.cc.")
    family_N = SMALL.canonical(prompts(base, same, *others))
    assert family_N[0] == family_N[1]
    assert len(np.unique(family_N)) == 4


@pytest.mark.parametrize(("letters", "pairs"), [(1, 67), (2, 4096)])
def test_all_keys_are_drawn_and_the_largest_problem_holds_nearly_all(letters, pairs):
    task = Task(Config(pairs, 2, letters=letters))
    problems = task.generate(generator(0, "test"), 2)
    keys = [{key for key, _ in records(bytes(prompt_T).decode(), letters)} for prompt_T in problems.prompt]
    assert [len(of_one) for of_one in keys] == [pairs, pairs]
    assert len(keys[0] | keys[1]) > 0.99 * task.config.names
    assert task.config.names == 67**letters


def test_keys_of_one_byte_are_one_byte():
    task = Task(Config(pairs=4, queries=2, letters=1))
    assert task.solve(prompts("aAbBaCdDa.d.")).tobytes() == b"aAbBaCdDaCdD"
    assert task.well_formed(prompts("aAbBaCdDa.d.", "aAbBaCdDa.c.", "aAbBaCdda.d.", "aAbBaCdDa.dD", "AAbBaCdDb.d.")).tolist() == [True, *[False] * 4]


def test_augmented_problems_have_fresh_keys():
    task = Task(Config(pairs=8, queries=4, rewritten=0.5))
    problems = task.generate(generator(0, "test"), 200)
    changed = task.augment(generator(1, "test"), problems)
    firsts = {bytes(prompt_T[:2]) for prompt_T in changed.prompt}
    assert len(firsts) > 180
    assert np.array_equal(task.augment(generator(2, "test"), changed).family, problems.family)


@pytest.mark.parametrize(
    "options",
    [{"pairs": 3}, {"pairs": 4097}, {"letters": 0}, {"letters": 3}, {"queries": 0}, {"rewritten": 0.8}, {"rewritten": -0.1}, {"rewritten": float("nan")}],
)
def test_impossible_lists_are_the_users_mistake(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Config(**options)


def test_more_keys_than_one_byte_can_name_are_refused_and_rewriting_them_is_not():
    with pytest.raises(UserError, match="68 keys of 1 byte; allowed: up to 67; letters=2"):
        Config(68, letters=1)
    assert Config(128, rewritten=0.5, letters=1).keys == 64
