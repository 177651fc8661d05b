"""Automata against strings and Wolfram's numbers, and rules that stay in their split."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.data.audit import audit
from bdh_reason.data.build import build
from bdh_reason.data.read import open_split
from bdh_reason.data.splits import SPLITS
from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.automaton import Config, Task

configs = st.builds(Config, steps=st.integers(1, 5), radius=st.integers(1, 2), width=st.integers(5, 12))


def after(rule, row, steps, radius):
    """The row as a string after so many steps."""
    for _ in range(steps):
        ring = row[-radius:] + row + row[:radius]
        row = "".join(rule[int(ring[x : x + 2 * radius + 1], 2)] for x in range(len(row)))
    return row


def prompts(config, *shown):
    return np.array([list(f"{text}{'>' * config.steps}{'.' * config.width}".encode()) for text in shown], np.uint8)


@given(configs, st.integers(0, 99))
def test_answers_are_the_rows_after_all_steps(config, seed):
    problems = Task(config).generate(generator(seed, "test"), 5)
    for target_T in problems.target:
        rule, row = bytes(target_T[: (table := 2 ** (2 * config.radius + 1))]).decode(), bytes(target_T[table:]).decode()
        row, _, answer = row.partition(">" * config.steps)
        assert answer == after(rule, row, config.steps, config.radius)


def test_rule_110_and_rule_90_do_what_they_are_known_for():
    config = Config(steps=3, radius=1, width=9)
    rules = [f"{number:08b}"[::-1] for number in (110, 90)]
    reply_NT = Task(config).solve(prompts(config, *(rule + "000010000" for rule in rules)))
    assert [bytes(reply_T[-9:]) for reply_T in reply_NT] == [b"011010000", b"010101010"]


def images(rule, row):
    """All that mirroring, exchanging and turning make of a rule of radius 1 and a row."""
    numbers = ["".join(bits) for bits in product("01", repeat=3)]
    for mirror, flip in product((False, True), repeat=2):
        exchange = str.maketrans("01", "10" if flip else "01")
        of = {number: rule[int((number[::-1] if mirror else number).translate(exchange), 2)].translate(exchange) for number in numbers}
        seen = (row[::-1] if mirror else row).translate(exchange)
        for turn in range(len(row)):
            yield "".join(of[number] for number in numbers), seen[turn:] + seen[:turn]


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 15))
def test_images_of_a_problem_are_one_family_and_lead_to_images_of_its_answer(rule, other, row):
    config = Config(steps=2, radius=1, width=4)
    task, rule, other, row = Task(config), f"{rule:08b}", f"{other:08b}", f"{row:04b}"
    orbit = list(images(rule, row))
    family_N = task.canonical(prompts(config, *(first + second for first, second in orbit), other + row))
    assert len(np.unique(family_N[:-1])) == 1
    assert (family_N[-1] == family_N[0]) == ((other, row) in orbit)
    expected = sorted(orbit_answer for _, orbit_answer in images(rule, after(rule, row, 2, 1)))
    assert sorted(after(first, second, 2, 1) for first, second in orbit) == expected


def test_there_are_88_rules_of_radius_1():
    config = Config(steps=1, radius=1, width=3)
    task = Task(config)
    prompt_NT = prompts(config, *(f"{rule:08b}001" for rule in range(256)))
    kin_N = task.kin(task.problems(prompt_NT, task.solve(prompt_NT)))
    assert len(np.unique(kin_N)) == 88


@pytest.mark.parametrize("config", [Config(2), Config(2, radius=1, width=64)])
def test_kin_survives_symmetries_and_says_only_the_rule(config):
    task = Task(config)
    problems = task.generate(generator(0, "test"), 50)
    assert np.array_equal(task.kin(task.augment(generator(1, "test"), problems)), task.kin(problems))
    again_NT = problems.prompt.copy()
    again_NT[:, 2 ** (2 * config.radius + 1)] ^= 1
    assert np.array_equal(task.kin(task.problems(again_NT, task.answer(again_NT))), task.kin(problems))
    assert not np.array_equal(task.canonical(again_NT), problems.family)


def test_no_rule_lies_in_two_splits(tmp_path):
    manifest = build("automaton", {"radius": 1, "width": 8}, tmp_path, 600, shares=(0.6, 0.2, 0.2))
    assert manifest.rows == {"train": 360, "validation": 120, "test": 120}
    report = audit(tmp_path)
    assert report.findings == ()
    assert report.repeats == 600 - sum(manifest.families.values()) > 0
    task = Task(Config(radius=1, width=8))
    rules = [set(task.kin(open_split(tmp_path, split)).tolist()) for split in SPLITS]
    assert sum(map(len, rules)) == len(set.union(*rules)) > 60


def test_a_split_without_rules_is_refused(monkeypatch):
    monkeypatch.setattr("tasks.automaton._TRIES", 3)
    with pytest.raises(UserError, match="too few rules"):
        Task(Config()).grow(generator(0, "test"), 5, lambda kin_N: np.zeros(len(kin_N), bool))


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 33}, {"radius": 3}, {"width": 4}, {"width": 65}])
def test_impossible_automata_are_the_users_mistake(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Config(**options)
