"""The contract of bdh_reason.task, held against every task found on disk. A module may export `EXAMPLES`, the configurations to try."""

from contextlib import suppress
from dataclasses import fields

import numpy as np
import pytest

from bdh_reason import discover
from bdh_reason.config import words
from bdh_reason.errors import UserError
from bdh_reason.lines import Line
from bdh_reason.rng import generator
from bdh_reason.task import Problems, Task

COUNT = 24
DTYPES = {"prompt": np.uint8, "target": np.uint8, "scored": np.bool_, "difficulty": np.float32, "family": np.uint64}
CASES = [
    pytest.param((name, config), id=f"{name}-{number}")
    for name in discover.task_names()
    for number, config in enumerate(getattr(discover.task_module(name), "EXAMPLES", (discover.task_module(name).Config(),)))
]


@pytest.fixture(scope="module", params=CASES)
def case(request) -> tuple[Task, Problems]:
    name, config = request.param
    task = discover.task_module(name).Task(config)
    return task, task.generate(generator(0, "test"), COUNT)


def boards(task):
    """Every board the task offers; it refuses the views and readings that it lacks."""
    for view in ("cells", "candidates"):
        for reading in ("grid", "sequence"):
            with suppress(UserError):
                yield task.board(view, reading)


def corruptions(problems):
    """Each problem's target once for every scored position and every other symbol there: (row of the problem, reply)."""
    symbols = np.unique(problems.target)
    for row, target_T in enumerate(problems.target):
        for position in np.flatnonzero(problems.scored[row]):
            for symbol in symbols[symbols != target_T[position]]:
                reply_T = target_T.copy()
                reply_T[position] = symbol
                yield row, reply_T


def same(one, other):
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Problems))


def test_the_default_configuration_makes_a_task_with_a_name_and_a_version():
    for name in discover.task_names():
        module = discover.task_module(name)
        task = module.Task(module.Config())
        assert task.name == name
        assert task.version
        assert list(task.edges) == sorted(set(task.edges))


@pytest.mark.parametrize("name", discover.task_names())
def test_the_docstring_shows_an_instance_that_the_task_verifies(name):
    shown = discover.instance(name)
    task = discover.build_task(name, words(shown["options"].split()))
    problems = task.read(shown["prompt"], name)
    assert problems.prompt[0].tobytes().decode("latin-1") == shown["prompt"]
    assert task.verify(problems.prompt, np.frombuffer(shown["reply"].encode("latin-1"), np.uint8)[None]).tolist() == [True]
    assert float(shown["chance"]) == pytest.approx(task.chance(problems), rel=0.06)


@pytest.mark.parametrize("name", [name for name in discover.task_names() if discover.task_module(name).Task.horizon])
def test_the_ladder_climbs_from_the_smallest_horizon_to_the_largest(name):
    module = discover.task_module(name)
    horizon, ladder = module.Task.horizon, module.Task.ladder
    assert len(ladder) > 2
    assert list(ladder) == sorted(set(ladder))
    sizes = []
    for value in ladder:
        task = discover.build_task(name, {horizon: value})
        problems = task.generate(generator(0, "test"), 2)
        assert task.verify(problems.prompt, problems.target).all()
        sizes.append(problems.prompt.shape[1])
    assert sizes == sorted(sizes)
    for value in (0, -ladder[0], 10**9, True, 2.5, str(ladder[0])):
        with pytest.raises(UserError, match=horizon):
            discover.build_task(name, {horizon: value})


def test_any_bytes_are_a_prompt_that_is_answered_or_none(case):
    task, problems = case
    if not isinstance(task, Line):
        return
    rng = generator(4, "test")
    prompt_NT = np.repeat(problems.prompt, 20, 0)
    place_N = rng.integers(0, prompt_NT.shape[1], len(prompt_NT))
    prompt_NT[np.arange(len(prompt_NT)), place_N] = rng.choice(np.append(np.unique(problems.target), (0, 9, 46, 62, 255)), len(prompt_NT))
    prompt_NT[-20:] = rng.integers(0, 256, prompt_NT[-20:].shape)
    answered_N = task.solutions(prompt_NT) > 0
    assert answered_N.any()
    assert not answered_N[-20:].any()
    assert task.verify(prompt_NT[answered_N], task.solve(prompt_NT[answered_N])).all()
    with pytest.raises(UserError, match=task.name):
        task.solve(prompt_NT)


def test_problems_have_the_declared_shapes_and_types(case):
    _, problems = case
    assert len(problems) == COUNT
    assert problems.prompt.shape == problems.target.shape == problems.scored.shape
    assert problems.difficulty.shape == problems.family.shape == (COUNT,)
    assert {name: getattr(problems, name).dtype for name in DTYPES} == DTYPES
    assert np.isfinite(problems.difficulty).all()


def test_problems_are_a_function_of_the_generator_alone(case):
    task, problems = case
    assert same(problems, task.generate(generator(0, "test"), COUNT))
    assert not np.array_equal(problems.prompt, task.generate(generator(1, "test"), COUNT).prompt)
    assert len(task.generate(generator(0, "test"), 0)) == 0


def test_exactly_the_blank_positions_are_scored(case):
    task, problems = case
    for board in boards(task):
        assert np.array_equal(problems.scored, problems.prompt == board.blank)
    assert problems.scored.any(1).all()


def test_targets_keep_the_prompt_and_use_the_symbols_of_the_reply(case):
    task, problems = case
    assert (problems.prompt == problems.target)[~problems.scored].all()
    for board in boards(task):
        assert (board.index(problems.target)[problems.scored] >= 0).all()


def test_targets_and_the_solvers_replies_are_verified(case):
    task, problems = case
    assert task.verify(problems.prompt, problems.target).tolist() == [True] * COUNT
    assert task.verify(problems.prompt, task.solve(problems.prompt)).tolist() == [True] * COUNT


def test_generated_problems_have_one_solution_and_it_is_the_target(case):
    task, problems = case
    assert task.solutions(problems.prompt).tolist() == [1] * COUNT
    assert np.array_equal(task.solve(problems.prompt)[problems.scored], problems.target[problems.scored])


def test_every_single_wrong_symbol_is_caught(case):
    task, problems = case
    rows, replies = zip(*corruptions(problems.take(slice(6))))
    assert not task.verify(problems.prompt[list(rows)], np.array(replies)).any()


def test_blanks_left_open_and_foreign_bytes_are_caught(case):
    task, problems = case
    first = np.arange(COUNT), problems.scored.argmax(1)
    for byte in (0, 255, problems.prompt[first][0]):
        reply_NT = problems.target.copy()
        reply_NT[first] = byte
        assert not task.verify(problems.prompt, reply_NT).any()
    assert not task.verify(problems.prompt, problems.prompt).any()


def test_a_changed_clue_is_caught_even_in_a_reply_that_obeys_the_rules(case):
    task, problems = case
    others_NT = np.roll(problems.target, 1, 0)
    kept_N = ((problems.prompt == others_NT) | problems.scored).all(1)
    assert not kept_N.all()
    assert not task.verify(problems.prompt, others_NT)[~kept_N].any()


def test_augmented_problems_are_the_same_problems_in_another_guise(case):
    task, problems = case
    changed = task.augment(generator(2, "test"), problems)
    assert changed is problems or not np.array_equal(changed.prompt, problems.prompt), "without symmetries the problems themselves"
    assert task.verify(changed.prompt, changed.target).all()
    assert np.array_equal(changed.family, problems.family)
    assert np.array_equal(changed.difficulty, problems.difficulty)
    assert np.array_equal(changed.scored.sum(1), problems.scored.sum(1))
    assert {name: getattr(changed, name).dtype for name in DTYPES} == DTYPES
    assert same(changed, task.augment(generator(2, "test"), problems))
    for board in boards(task):
        assert np.array_equal(changed.scored, changed.prompt == board.blank)


def test_families_are_unchanged_by_symmetries_and_tell_problems_apart(case):
    task, problems = case
    assert np.array_equal(task.canonical(problems.prompt), problems.family)
    assert np.array_equal(task.canonical(task.augment(generator(3, "test"), problems).prompt), problems.family)
    assert len(np.unique(problems.family)) > 1


def test_boards_turn_prompts_into_tokens_of_their_vocabulary(case):
    task, problems = case
    for board in boards(task):
        token_Nt = board.expand(problems.prompt)
        assert token_Nt.shape == (COUNT, board.tokens)
        assert token_Nt.dtype == np.int64
        assert token_Nt.min() >= 0
        assert token_Nt.max() < board.vocabulary[0]
        assert len(np.unique(token_Nt, axis=0)) == len(np.unique(problems.prompt, axis=0)), "no two prompts look alike"


def test_tokens_have_coordinates_and_relations_partition_them(case):
    task, _ = case
    for board in boards(task):
        assert board.coordinates_TK.dtype == np.int16
        assert len(board.coordinates_TK) == board.tokens
        for groups_Gk in () if board.groups_RGk is None else board.groups_RGk:
            assert groups_Gk.dtype == np.int32
            assert np.array_equal(np.sort(groups_Gk, axis=None), np.arange(board.tokens))
        assert board.mask_RTT is None or board.mask_RTT.shape[1:] == (board.tokens, board.tokens)


def test_logits_collapse_to_positions_and_symbols_and_spell_a_reply(case):
    task, problems = case
    for board in boards(task):
        choice_NT = np.maximum(board.index(problems.target), 0)
        assert np.array_equal(board.index(board.spell(choice_NT)), choice_NT)
        logits_BtV = np.zeros((2, board.tokens, board.vocabulary[1]), np.float32)
        logits_BTS = board.collapse(logits_BtV)
        assert logits_BTS.shape == (2, board.positions, len(board.symbols))
        for symbol in (0, len(board.symbols) - 1):  # the logit of a token is the logit of what it stands for
            position = board.positions - 1
            token, output = (position * len(board.symbols) + symbol, 0) if board.view == "candidates" else (position, board.symbols[symbol])
            logits_BtV[0, token, output] = symbol + 1
            assert board.collapse(logits_BtV)[0, position, symbol] == symbol + 1


def test_a_board_that_does_not_exist_is_the_users_mistake(case):
    task, _ = case
    assert any(True for _ in boards(task))
    for view, reading in (("pixels", "grid"), ("cells", "backwards")):
        with pytest.raises(UserError, match=view if view == "pixels" else reading):
            task.board(view, reading)


def test_prompts_of_another_length_are_the_users_mistake(case):
    task, problems = case
    for board in boards(task):
        with pytest.raises(UserError):
            board.expand(problems.prompt[:, 1:])


def test_chance_is_a_probability_that_falls_with_the_positions_to_fill(case):
    task, problems = case
    assert 0 <= task.chance(problems) < 1
    blanks_N = problems.scored.sum(1)
    chances = [task.chance(problems.take(blanks_N == blanks)) for blanks in np.unique(blanks_N)]
    assert chances == sorted(chances, reverse=True)


def test_the_picture_shows_every_symbol_of_the_reply(case):
    task, problems = case
    picture = task.render(problems.prompt[0], problems.target[0])
    assert set(problems.target[0].tobytes().decode("latin-1")) <= set(picture)
    assert "\x1b" not in picture
    assert task.render(problems.prompt[0], problems.prompt[0]) != picture


def test_the_board_can_be_drawn_around_any_cells(case):
    task, problems = case
    cells = [f"<{number}>" for number in range(problems.prompt.shape[1])]
    picture = task.picture(cells)
    assert all(picture.count(cell) == 1 for cell in cells)


def test_an_unreadable_text_is_the_users_mistake_and_names_the_source(case):
    task, _ = case
    for text in ("", "\x00 not a problem \x00\n"):
        with pytest.raises(UserError, match=r"nowhere\.txt"):
            task.read(text, "nowhere.txt")
