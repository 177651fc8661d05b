"""What an optimiser step starts from and hands on; and whatever the options, a run in slices is the run that was not stopped."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_train import STEPS, _without_tracking, equal, interrupt, killed, recipe, run, weights
from torch.nn.functional import cross_entropy
from toy import installed

from bdh_reason.errors import RunError, UserError
from bdh_reason.reason.loop import Thought
from bdh_reason.rng import generator
from bdh_reason.train import checkpoint
from bdh_reason.train.checkpoint import read
from bdh_reason.train.flight import Flight, burn_in, land, noise, tensors
from bdh_reason.train.module import Learner, learning_rate
from bdh_reason.train.plan import state_bytes
from bdh_reason.train.recipe import load, recipe_names

pytestmark = pytest.mark.usefixtures(installed.__name__, _without_tracking.__name__)

OPTIONS = {
    "loss": {"depth": 4, "loss_from": 2, "loss_stride": 2},
    "carry": {"carry": {"age": 3}},
    "burn-in": {"burn_in": {"share": 0.5, "steps": [2, 5]}},
    "mix": {"mix": {"start": [1, 1, 1], "end": [0, 1, 3]}},
    "wsd": {"optimiser": {"warmup": 2, "decay": "wsd", "cooldown": 0.4}},
}
ALL = {**{key: value for options in OPTIONS.values() for key, value in options.items()}, "precision": "bf16"}
BURNING = {"burn_in": {"share": 1.0, "steps": [3, 3]}}


def learner(**changes):
    chosen = recipe(**changes)
    return Learner(chosen.reasoners(), chosen)


def batch(learner, seed=0):
    problems = learner.recipe.build_task().generate(generator(seed, "test"), learner.recipe.batch)
    return tensors(learner.reasoners[0].board, problems)


def step(learner, boards):
    """An optimiser step that changes no weight."""
    loss = learner.loss(boards)
    learner.done, learner.flights = learner.done + 1, [learner.landed]
    return loss


def rollout(learner, boards, depth, at=0):
    """Replies [depth] and thoughts [depth] of one rollout from the start of optimiser step `at`."""
    start_BtD = noise(learner.reasoners[0], learner.recipe.seed, at, boards[0])
    return list(zip(*learner.reasoners[0].go_on(boards[0], learner.reasoners[0].wake(boards[0], start_BtD), depth)))


def mean_loss(boards, replies):
    return torch.stack([cross_entropy(reply_BTS.flatten(0, 1), boards[1].flatten(), ignore_index=-1) for reply_BTS in replies]).mean()


@pytest.mark.parametrize("options", [*OPTIONS.values(), ALL], ids=[*OPTIONS, "all"])
def test_interrupted_and_continued_is_bit_equal_to_undisturbed(options, tmp_path, monkeypatch):
    chosen = recipe(**options)
    assert run(tmp_path / "undisturbed", chosen).done == STEPS
    for at in (1, 6):
        with monkeypatch.context() as patch:
            interrupt(at, patch)
            with pytest.raises(RunError, match="interrupted"):
                run(tmp_path / "run", chosen)
    assert run(tmp_path / "run", chosen).done == STEPS
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))
    cards = [read(tmp_path / name / "state.json").card for name in ("run", "undisturbed")]
    assert cards[0].train_flops == cards[1].train_flops
    assert not equal(weights(tmp_path / "run"), run(tmp_path / "plain") and weights(tmp_path / "plain")), "the option does something"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_continues_to_the_same_weights_and_the_same_boards_in_flight(kind, tmp_path):
    run(tmp_path / "undisturbed", recipe(**ALL))
    killed(kind, tmp_path / "run", ALL)
    assert 0 < read(tmp_path / "run" / "state.json").card.step < STEPS
    assert run(tmp_path / "run", recipe(**ALL)).done == STEPS
    assert {name for name in weights(tmp_path / "run") if name.startswith("flight.")}
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))


@given(depth=st.integers(1, 9), first=st.integers(1, 9), stride=st.integers(1, 9))
def test_a_loss_is_taken_on_the_last_step_and_every_so_many_before_it(depth, first, stride):
    if first > depth:
        with pytest.raises(UserError, match=f"loss_from = {first} of {depth} latent steps"):
            recipe(depth=depth, loss_from=first)
        return
    supervised = recipe(depth=depth, loss_from=first, loss_stride=stride).supervised
    assert set(supervised) == {step for step in range(first, depth + 1) if (depth - step) % stride == 0}
    assert set(recipe(depth=depth, loss="last").supervised) == {depth}
    assert set(recipe(depth=depth).supervised) == set(range(1, depth + 1))


def test_the_loss_is_the_mean_over_the_supervised_steps():
    trained = learner(**OPTIONS["loss"])
    boards = batch(trained)
    replies, _ = rollout(trained, boards, 4)
    assert trained.loss(boards).item() == pytest.approx(mean_loss(boards, [replies[1], replies[3]]).item())


def test_boards_that_are_carried_go_on_where_they_were_and_feel_no_gradient_of_the_past():
    trained = learner(carry={"age": 3}, loop={"noise": 1.0})
    boards = (batch(trained)[0], torch.full_like(batch(trained)[1], 3))  # nobody replies 333333 3
    replies, thoughts = rollout(trained, boards, 6)
    losses = [step(trained, boards), step(trained, batch(trained, seed=1)), step(trained, batch(trained, seed=2))]
    for leg, loss in enumerate(losses):
        torch.testing.assert_close(loss, mean_loss(boards, replies[2 * leg : 2 * leg + 2]))
    assert trained.problems_seen == 8
    step(trained, fresh := batch(trained, seed=3))
    assert trained.problems_seen == 16
    torch.testing.assert_close(trained.flights[0].v_BtD, rollout(trained, fresh, 2, at=3)[1][-1].v_BtD)
    assert not any(tensor.requires_grad for tensor in trained.flights[0])
    assert not torch.equal(thoughts[1].v_BtD, thoughts[3].v_BtD)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8), st.integers(2, 4))
def test_solved_and_old_boards_leave_and_only_their_places_are_taken(places, limit):
    age_B, solved_B = (torch.tensor(column) for column in zip(*places))
    age_B = age_B % limit
    size = len(places)
    target_BT = torch.tensor([[-1, 2, 0]]).repeat(size, 1)
    said_BT = torch.where(solved_B[:, None], torch.tensor([1, 2, 0]), torch.tensor([1, 2, 1]))
    reply_BTS = torch.nn.functional.one_hot(said_BT, 3).float()
    flight = Flight(torch.ones(size, 5), target_BT, torch.zeros(size, 5, 2), torch.zeros(size, 3, 3), age_B, torch.tensor(7))
    landed = land(flight, (flight.tokens_Bt, target_BT), Thought(torch.ones(size, 5, 2), reply_BTS.softmax(-1)), reply_BTS, limit)
    stays_B = ~solved_B & (age_B + 1 < limit)
    assert landed.age_B.tolist() == torch.where(stays_B, age_B + 1, 0).tolist()
    assert landed.started == 7 + (age_B == 0).sum()
    assert not landed.belief_BTS[~stays_B].any(), "a new board is fed nothing"
    tokens_Bt, new_BT = landed.take_in((torch.zeros(size, 5), target_BT + 1))
    assert tokens_Bt[:, 0].tolist() == stays_B.float().tolist()
    assert ((new_BT == target_BT).all(1) == stays_B).all()


@pytest.mark.parametrize("feedback", [True, False])
def test_a_new_board_among_old_ones_thinks_as_if_all_were_new(feedback):
    trained = learner(carry={"age": 3}, loop={"noise": 1.0, "feedback": feedback})
    step(trained, batch(trained))
    half_B = torch.arange(8) % 2
    (flight,) = trained.flights
    trained.flights = [flight._replace(age_B=half_B, belief_BTS=flight.belief_BTS * half_B[:, None, None])]
    step(trained, fresh := batch(trained, seed=1))
    alone_BtD = rollout(trained, fresh, 2, at=1)[1][-1].v_BtD
    torch.testing.assert_close(trained.flights[0].v_BtD[half_B == 0], alone_BtD[half_B == 0])
    assert not torch.isclose(trained.flights[0].v_BtD[half_B == 1], alone_BtD[half_B == 1]).all(-1).any()


def test_every_step_and_seed_has_its_own_starts_and_a_calm_loop_has_none():
    trained = learner(loop={"noise": 1.0})
    tokens_Bt, _ = batch(trained)
    starts = [noise(trained.reasoners[0], seed, step, tokens_Bt) for seed in (0, 1) for step in (0, 1, 0)]
    assert torch.equal(starts[0], starts[2])
    assert len({start_BtD.sum().item() for start_BtD in starts}) == 4
    assert starts[0].std().item() == pytest.approx(1, abs=0.1)
    assert noise(learner(loop={}).reasoners[0], 0, 0, tokens_Bt) is None


def test_a_share_of_the_batches_is_burnt_in_for_a_number_of_steps_in_the_range():
    chosen = recipe(burn_in={"share": 0.2, "steps": [32, 512]})
    burnt = np.array([burn_in(chosen, step) for step in range(2000)])
    assert (burnt > 0).mean() == pytest.approx(0.2, abs=0.03)
    asked = burnt[burnt > 0]
    assert 32 <= asked.min() < 45
    assert 500 < asked.max() <= 512
    assert [burn_in(chosen, step) for step in range(20)] == burnt[:20].tolist()
    assert not any(burn_in(recipe(), step) for step in range(100))
    assert burn_in(recipe(**BURNING), 0) == 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_burnt_in_steps_come_before_the_trained_ones_and_get_no_gradient(precision):
    trained = learner(**BURNING, precision=precision)
    boards = batch(trained)
    loss = trained.loss(boards)
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in trained.model.named_parameters()}
    trained.model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        _, thoughts = rollout(trained, boards, 3)
        replies = [reply_BTS.float() for reply_BTS, _ in trained.reasoners[0].go_on(boards[0], Thought(*(part.detach() for part in thoughts[-1])), 2)]
    expected = mean_loss(boards, replies)
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, weight in trained.model.named_parameters():
        assert gradients[name].any(), name
        torch.testing.assert_close(gradients[name], weight.grad, msg=name)


def test_what_burning_in_costs_is_counted(tmp_path):
    run(tmp_path / "plain", recipe())
    run(tmp_path / "burnt", recipe(**BURNING))
    plain, burnt = (read(tmp_path / name / "state.json").card.train_flops for name in ("plain", "burnt"))
    trained = learner()
    assert burnt - plain == STEPS * 8 * trained.model.flops(trained.reasoners[0].board, 3, feedback=True)


@pytest.mark.parametrize("changes", [{}, {"carry": {"age": 5}}])
def test_a_state_lies_in_parts_of_a_size_that_the_plan_foresees(changes, tmp_path, monkeypatch):
    chosen = recipe(**changes, batch=64, ema=0.9)
    monkeypatch.setattr(checkpoint, "PART", 10_000)
    run(tmp_path / "run", chosen)
    sizes = [path.stat().st_size for path in (tmp_path / "run").glob("state-*")]
    assert len(sizes) == -(-sum(sizes) // 10_000) > 1
    trained = learner(**changes)
    assert sum(sizes) == pytest.approx(state_bytes(chosen, trained.model.size(), [trained.reasoners[0].board]), abs=5000)
    assert weights(tmp_path / "run")


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("sudoku-extreme")])
def test_the_state_of_a_run_in_slices_can_move_between_borrowed_machines(name):
    chosen = load(name, {})
    board = chosen.build_task().board(chosen.view, chosen.reading)
    assert state_bytes(chosen, chosen.build_model(board).size(), [board]) <= 7.9 * checkpoint.PART


def test_a_stable_rate_falls_in_a_line_at_the_end():
    chosen = recipe(steps=100, optimiser={"lr": 1.0, "warmup": 10, "final": 0.1, "decay": "wsd", "cooldown": 0.2})
    rates = [learning_rate(chosen, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert set(rates[10:81]) == {1.0}
    assert np.diff(rates[80:]) == pytest.approx([-0.9 / 20] * 19)
    assert rates[-1] == pytest.approx(0.1, abs=0.05)


def test_a_run_that_has_not_cooled_down_may_end_later_or_sooner_and_no_other_may(tmp_path, monkeypatch):
    def slice_(steps, stop=None, **options):
        chosen = recipe(steps=steps, **{"optimiser": {"warmup": 2, "decay": "wsd", "cooldown": 0.5}, **options})
        with monkeypatch.context() as patch:
            if stop is None:
                return run(tmp_path / "run", chosen).done
            interrupt(stop - 1, patch)
            with pytest.raises(RunError, match="interrupted"):
                run(tmp_path / "run", chosen)

    run(tmp_path / "undisturbed", recipe(steps=8, optimiser={"warmup": 2, "decay": "wsd", "cooldown": 0.5}))
    slice_(20, stop=3)
    with pytest.raises(UserError, match="another recipe"):
        slice_(3)
    assert slice_(8) == 8
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))
    with pytest.raises(UserError, match="steps: 8 there, 20 here"):
        slice_(20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"burn_in": {"steps": [5, 2]}}, r"burn_in.steps = \(5, 2\)"),
        ({"burn_in": {"share": 2.0}}, "burn_in.share = 2.0"),
        ({"carry": {"agee": 2}}, "unknown key 'carry.agee'.*did you mean 'carry.age'"),
        ({"carry": {"age": 0}}, "carry.age = 0"),
        ({"mix": {"start": [1, 2]}}, "allowed: 3 weights, one for each slice of difficulty of toy"),
        ({"mix": {"start": [0, 0, 0]}}, "not all 0"),
        ({"mix": {"end": [1, 0, 0]}}, "mix.end without mix.start"),
        ({"optimiser": {"decay": "linear"}}, "optimiser.decay = 'linear'"),
    ],
)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(UserError, match=message):
        recipe(**changes)
