"""Every puzzle of the house: clues, and the one solution that is left; held against trying everything."""

from itertools import permutations, product

import numpy as np
import pytest
from test_latin import square_is_right

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks import colouring, latin, queens

BLANK = ord(".")
TASKS = {
    "latin": latin.Task(latin.Config(4)),
    "futoshiki": latin.Task(latin.Config(4, signs=True)),
    "colouring": colouring.Task(colouring.Config(10)),
    "queens": queens.Task(queens.Config(6)),
}


@pytest.fixture(params=TASKS)
def task(request):
    return TASKS[request.param]


def test_no_clue_can_be_spared(task):
    problems = task.generate(generator(0, "test"), 10)
    for prompt_T in problems.prompt:
        for place in task.places[prompt_T[task.places] != BLANK]:
            fewer_1T = prompt_T[None].copy()
            fewer_1T[0, place] = BLANK
            assert task.solutions(fewer_1T).tolist() == [2]


def test_difficulty_is_what_a_proof_takes(task):
    problems = task.generate(generator(0, "test"), 200)
    easy_NT = np.where(np.arange(task.positions) == problems.scored.argmax(1)[:, None], BLANK, problems.target).astype(np.uint8)
    assert (task.difficulty(easy_NT) == 0).all()
    assert task.difficulty(problems.target).sum() == 0
    assert problems.difficulty.sum() > 0 or task is TASKS["latin"]


def test_what_is_not_well_formed_leaves_the_others_alone(task):
    problems = task.generate(generator(0, "test"), 4)
    prompt_NT = problems.prompt.copy()
    prompt_NT[1] = ord("!")
    assert task.solutions(prompt_NT).tolist() == [1, 0, 1, 1]
    assert task.verify(prompt_NT, np.where(prompt_NT == ord("!"), prompt_NT, problems.target)).tolist() == [True, False, True, True]
    assert task.solutions(prompt_NT[1:2]).tolist() == [0]
    with pytest.raises(UserError, match=f"'!!!.* has no solution as {task.name} with Config"):
        task.solve(prompt_NT)


def replies(task, prompt_T):
    """The prompt with every choice of symbols in its blanks; of queens and squares only what has no symbol twice in a row, and none given anew."""
    places = task.places[prompt_T[task.places] == BLANK]
    for symbols in product(task.symbols, repeat=len(places)):
        reply_T = prompt_T.copy()
        reply_T[places] = symbols
        yield reply_T


def right(task, reply_T):
    """The rules in words."""
    text = reply_T.tobytes().decode()
    if task.name == "latin":
        return square_is_right(text, 4, task.config.signs)
    if task.name == "queens":
        column = [ord(letter) for letter in text]
        return all(column[a] != column[b] and abs(column[a] - column[b]) != a - b for a in range(len(text)) for b in range(a))
    pairs = [text[start : start + 2] for start in range(0, len(text), 2)]
    colour = dict(pairs[task.edges_E :])
    return all(colour[a] != colour[b] for a, b in pairs[: task.edges_E])


def test_solutions_are_those_that_trying_everything_finds(task):
    rng = generator(1, "test")
    target_NT = task.generate(rng, 12).target
    blanks_N = rng.integers(2, 7, len(target_NT))
    counts = set()
    for target_T, blanks in zip(target_NT, blanks_N):
        prompt_T = target_T.copy()
        prompt_T[rng.permutation(task.places)[:blanks]] = BLANK
        reply_RT = np.array(list(replies(task, prompt_T)))[:5000]
        if target_T.tobytes() not in {reply_T.tobytes() for reply_T in reply_RT}:
            reply_RT = np.concatenate([reply_RT, target_T[None]])
        right_R = [right(task, reply_T) for reply_T in reply_RT]
        assert task.verify(np.broadcast_to(prompt_T, reply_RT.shape), reply_RT).tolist() == right_R
        if len(reply_RT) == len(task.symbols) ** blanks:
            counts.add(min(2, sum(right_R)))
            assert task.solutions(prompt_T[None]).tolist() == [min(2, sum(right_R))]
    assert 1 in counts


def test_a_full_board_of_queens_is_right_or_wrong_as_the_rules_say():
    task = TASKS["queens"]
    board_NT = np.array(list(permutations(b"abcdef")), np.uint8)
    assert task.verify(board_NT, board_NT).tolist() == [right(task, board_T) for board_T in board_NT]
    assert task.solutions(board_NT).sum() == 4
