import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from boards import BOARDS, prompts
from hypothesis import given
from hypothesis import strategies as st
from toy import Config as ToyConfig
from toy import Task as Toy

from bdh_reason import bdh, discover
from bdh_reason.evaluate.evaluate import Exam, sit_model
from bdh_reason.reason import predict
from bdh_reason.reason.loop import Loop, Reasoner, Thought
from bdh_reason.reason.predict import greedy, in_place, watch
from bdh_reason.rng import generator
from bdh_reason.train.initial import initial

seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(list(BOARDS))
LINE = BOARDS["sequence"]


def reasoner(board, noise=0.0, coordinates=True):
    """Fresh weights that tell the positions apart, so that no two symbols are ever equally likely."""
    config = bdh.Config(d=12, n=48, heads=12, relations=board.relations > 0, coordinates=coordinates)
    return Reasoner(initial(bdh.Model, config, board, 0).double(), board, Loop(noise=noise))


def questions(board, seed, n):
    """Prompts uint8 [n, T] and the positions to fill bool [n, T], which are some of the blanks."""
    rng = np.random.default_rng(seed)
    prompt_NT = prompts(board, rng, n)
    return prompt_NT, (prompt_NT == board.blank) & (rng.random(prompt_NT.shape) < 0.8)


class Known:
    """Stands in for a reasoner on the line: what it believes depends on every byte it is shown, and it remembers what it was shown."""

    board, loop = LINE, Loop()
    model = SimpleNamespace(parameters=lambda: iter([torch.zeros(1)]), step_flops=lambda _: 0, config=SimpleNamespace(d=1))

    def __init__(self):
        self.shown, self.steps = [], 0

    def favourite(self, prompt_BT, step):
        place_T = np.arange(prompt_BT.shape[1])
        return (prompt_BT.astype(int) @ (place_T + 1) + step)[:, None] // (place_T + 1) % len(self.board.symbols)

    def wake(self, tokens_Bt, start_BtD=None):
        return Thought(torch.zeros(len(tokens_Bt), 1, 1))

    def go_on(self, tokens_Bt, thought, depth):
        self.shown.append(tokens_Bt.numpy().astype(np.uint8))
        for step in range(1, depth + 1):
            self.steps += 1
            favourite_BT = torch.from_numpy(self.favourite(tokens_Bt.numpy(), step))
            yield torch.nn.functional.one_hot(favourite_BT, len(self.board.symbols)).float(), thought


@given(seeds, kinds)
def test_clues_and_unscored_positions_are_copied_and_the_rest_are_symbols(seed, kind):
    board = BOARDS[kind]
    prompt_NT, scored_NT = questions(board, seed, 3)
    shown_NT = prompt_NT.copy()
    for reply_NT in (in_place(reasoner(board), prompt_NT, scored_NT, (2,))[2], greedy(reasoner(board), prompt_NT, scored_NT, 1)):
        assert (reply_NT.dtype, reply_NT.shape) == (np.uint8, prompt_NT.shape)
        assert (reply_NT == prompt_NT)[~scored_NT].all()
        assert np.isin(reply_NT[scored_NT], list(board.symbols)).all()
    assert (prompt_NT == shown_NT).all(), "the prompt itself is left alone"


@given(seeds)
def test_in_place_gives_the_likeliest_symbol_after_each_depth(seed):
    prompt_NT, scored_NT = questions(LINE, seed, 3)
    known = Known()
    replies = in_place(known, prompt_NT, scored_NT, (4, 1, 3))
    assert set(replies) == {1, 3, 4}
    assert (len(known.shown), known.steps) == (1, 4), "one rollout serves all depths, and no step is taken in vain"
    for depth, reply_NT in replies.items():
        assert (reply_NT == np.where(scored_NT, LINE.spell(known.favourite(prompt_NT, depth)), prompt_NT)).all()


@given(seeds, kinds, st.sampled_from([0.0, 1.0]))
def test_several_depths_in_one_run_are_several_runs(seed, kind, noise):
    thinker = reasoner(BOARDS[kind], noise)
    asked = questions(BOARDS[kind], seed, 2)
    together = in_place(thinker, *asked, (1, 2, 5))
    for depth, reply_NT in together.items():
        assert (in_place(thinker, *asked, (depth,))[depth] == reply_NT).all()


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("kind", BOARDS)
def test_the_batch_size_changes_no_reply(kind, noise):
    thinker, asked = reasoner(BOARDS[kind], noise), questions(BOARDS[kind], 0, 7)
    for answer in (lambda batch: in_place(thinker, *asked, (3,), batch, seed=5)[3], lambda batch: greedy(thinker, *asked, 2, batch, seed=5)):
        replies = [answer(batch) for batch in (1, 3, 7, 128)]
        assert all((reply_NT == replies[0]).all() for reply_NT in replies)


def test_noise_depends_on_the_seed_and_on_the_number_of_the_problem():
    thinker = reasoner(BOARDS["plain"], noise=1.0)
    prompt_NT = prompts(BOARDS["plain"], np.random.default_rng(0), 1).repeat(3, 0)
    one, again, other = (torch.stack(list(watch(thinker, prompt_NT, 2, seed))) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one[:, 0], one[:, 1])
    renumbered = torch.stack(list(watch(thinker, prompt_NT[:1], 2, 0, np.array([2]))))
    torch.testing.assert_close(renumbered[:, 0], one[:, 2])


@given(seeds)
def test_greedy_fills_the_scored_positions_from_left_to_right_and_reads_what_it_wrote(seed):
    prompt_NT, scored_NT = questions(LINE, seed, 4)
    known = Known()
    reply_NT = greedy(known, prompt_NT, scored_NT, depth=2)
    most = int(scored_NT.sum(1).max())
    assert len(known.shown) == most
    shown = [[] for _ in range(most)]
    for prompt_T, scored_T, reply_T in zip(prompt_NT, scored_NT, reply_NT):
        written_1T = prompt_T[None].copy()
        for step, place in enumerate(np.flatnonzero(scored_T)):
            shown[step].append(written_1T[0].tolist())
            written_1T[0, place] = LINE.symbols[known.favourite(written_1T, 2)[0, place]]
        assert reply_T.tolist() == written_1T[0].tolist()
    assert [shown_BT.tolist() for shown_BT in known.shown] == shown


@given(seeds, kinds, st.sampled_from([0.0, 1.0]))
def test_greedy_with_one_blank_is_in_place(seed, kind, noise):
    board = BOARDS[kind]
    prompt_NT, _ = questions(board, seed, 4)
    scored_NT = np.zeros(prompt_NT.shape, bool)
    scored_NT[np.arange(4), np.random.default_rng(seed).integers(0, board.positions, 4)] = True
    thinker = reasoner(board, noise)
    assert (greedy(thinker, prompt_NT, scored_NT, 3) == in_place(thinker, prompt_NT, scored_NT, (3,))[3]).all()


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_greedy_reply_does_not_depend_on_when_the_others_are_done(noise):
    thinker = reasoner(LINE, noise)
    prompt_NT = np.full((2, LINE.positions), LINE.blank, np.uint8)
    scored_NT = np.ones(prompt_NT.shape, bool)
    few_NT = scored_NT & (np.arange(LINE.positions) < [[1], [LINE.positions]])
    assert (greedy(thinker, prompt_NT, scored_NT, 2)[1] == greedy(thinker, prompt_NT, few_NT, 2)[1]).all()


def test_no_problems_get_no_replies():
    nothing_NT, none_NT = np.empty((0, LINE.positions), np.uint8), np.empty((0, LINE.positions), bool)
    assert in_place(Known(), nothing_NT, none_NT, (1,))[1].shape == greedy(Known(), nothing_NT, none_NT, 1).shape == nothing_NT.shape


def test_no_parameter_lets_a_target_or_a_task_in():
    allowed = {"reasoner", "prompt", "scored", "belief", "depth", "depths", "batch", "seed", "number", "look"}
    local = [function for name, function in inspect.getmembers(predict, inspect.isfunction) if function.__module__ == predict.__name__]
    loop = (Reasoner.think, Reasoner.wake, Reasoner.go_on)
    for function in (*local, *loop):
        taken = {name.split("_")[0] for name in inspect.signature(function).parameters}
        assert taken <= allowed | ({"self", "tokens", "start", "thought"} if function in loop else set()), function


def tasks():
    """The toy and every task found, with a name."""
    yield "toy", lambda: Toy(ToyConfig())
    for name in discover.task_names():
        module = discover.task_module(name)
        yield name, lambda module=module: module.Task(getattr(module, "EXAMPLES", (module.Config(),))[0])


@pytest.mark.parametrize("mode", ["in_place", "greedy"])
@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in tasks()])
def test_a_poisoned_target_and_a_broken_solver_change_no_reply(make, mode, monkeypatch):
    task = make()
    problems = task.generate(generator(0, "test"), 3)
    thinker = reasoner(task.board("cells", "grid"))
    recipe = SimpleNamespace(name="poison", seed=0, match="", loop=thinker.loop, model=SimpleNamespace(name="bdh"))
    contender = SimpleNamespace(
        name="tiny", recipe=recipe, card=SimpleNamespace(train_flops=0.0, step=1), sha256="", horizons=lambda _: None, reasoner=lambda *_: thinker
    )

    def sit(target):
        exam = Exam(task, replace(problems, target=target), "test", "")
        return [sitting.reply_NT for sitting in sit_model(contender, exam, (1, 2), mode, "cpu")]

    expected = sit(problems.target)
    for method in ("generate", "augment", "verify", "solve", "solutions", "canonical", "chance"):
        monkeypatch.setattr(type(task), method, lambda *_: pytest.fail("the answer path asked the task"))
    garbage = np.random.default_rng(0).integers(0, 256, problems.target.shape, np.uint8)
    for target in (garbage, object()):
        for reply_NT, expected_NT in zip(sit(target), expected, strict=True):
            assert (reply_NT == expected_NT).all()
