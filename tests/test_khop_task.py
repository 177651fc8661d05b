"""Pointers against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.khop import Config, Task

configs = st.integers(1, 8).flatmap(lambda hops: st.builds(Config, hops=st.just(hops), nodes=st.integers(max(4, 2 * hops), 20), starts=st.integers(1, 4)))


@given(configs, st.integers(0, 99))
def test_answers_are_what_a_dictionary_says_and_no_way_is_shorter(config, seed):
    task = Task(config)
    problems = task.generate(generator(seed, "test"), 5)
    for prompt_T, target_T in zip(problems.prompt, problems.target):
        prompt, target = (bytes(byte_T).decode() for byte_T in (prompt_T, target_T))
        listed = 2 * config.nodes
        follows = {prompt[k]: prompt[k + 1] for k in range(0, listed, 2)}
        leads = {then: node for node, then in follows.items()}
        assert set(follows) == set(leads) == set(task.symbols.decode())
        starts = set()
        for k in range(listed, len(prompt), config.hops + 2):
            node = back = prompt[k]
            starts.add(node)
            for hop in range(config.hops):
                node, back = follows[node], leads[back]
                assert node != prompt[k]
                assert hop == config.hops - 1 or node != target[k + config.hops + 1], "met before the last hop"
                assert back != target[k + config.hops + 1] or 2 * config.hops == config.nodes, "met on a shorter way back"
            assert target[k : k + config.hops + 2] == prompt[k] + ">" * config.hops + node
        assert len(starts) == config.starts


SMALL = Task(Config(hops=2, nodes=4, starts=1))


@pytest.mark.parametrize(
    ("prompt", "good"),
    [
        ("abbccddaa>>.", True),
        ("dabcabcdb>>.", True),
        ("abbacddca>>.", False),  # two cycles
        ("aabbccdda>>.", False),
        ("abbccaaaa>>.", False),  # d is missing
        ("abbccddea>>.", False),
        ("abbccddae>>.", False),
        ("abbccddaa>..", False),
        ("abbccddaa>>c", False),
        ("abbccddba>>.", False),  # leads into a cycle
    ],
)
def test_only_one_cycle_through_all_nodes_is_a_list(prompt, good):
    assert SMALL.well_formed(np.frombuffer(prompt.encode(), np.uint8)[None]).tolist() == [good]


def test_lists_that_differ_in_names_are_one_family_and_others_are_not():
    prompts = ["abbccddaa>>.", "cddaabbcc>>.", "bccddaaba>>.", "abbccddab>>.", "abccbddaa>>."]
    family_N = SMALL.canonical(np.array([list(prompt.encode()) for prompt in prompts], np.uint8))
    assert family_N[0] == family_N[1]
    assert len(np.unique(family_N)) == 4


def test_every_node_is_as_likely_to_be_the_answer():
    task = Task(Config(hops=3, nodes=16, starts=4))
    counts = np.bincount(task.generate(generator(0, "test"), 4_000).target[:, -1], minlength=256)
    assert np.count_nonzero(counts) == 16
    assert counts[counts > 0].min() > 150


@pytest.mark.parametrize("options", [{"hops": 33}, {"hops": 5, "nodes": 8}, {"nodes": 3}, {"nodes": 93}, {"starts": 0}, {"starts": 9, "nodes": 8}])
def test_impossible_lists_are_the_users_mistake(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Config(**{"hops": 1} | options)
