"""Heads that look at few tokens make only those scores, and read what autograd's form reads."""

from dataclasses import replace

import pytest
import torch
from oracle_models import normal

from bdh_reason.bdh import Config, Model, near
from bdh_reason.train.initial import initial
from tasks import colouring, latin, maze, queens

BOARDS = {
    "maze": maze.Task(maze.Config(9)).board("cells", "grid"),
    "small maze": maze.Task(maze.Config(5)).board("cells", "grid"),
    "futoshiki": latin.Task(latin.Config(6, signs=True)).board("cells", "grid"),
    "queens": queens.Task(queens.Config(6)).board("candidates", "grid"),
    "colouring": colouring.Task(colouring.Config(12)).board("cells", "grid"),
}
FORMS = [{}, {"scaled": True, "layers": 2, "shared": False}, {"form": "paper", "layers": 2}, {"form": "normfree"}]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_read_without_gradients_as_with_them(name, options, monkeypatch):
    board, config = BOARDS[name], Config(d=8, n=48, heads=12, **options)
    model = initial(Model, config, board, 0).double()
    v_3tD, v0_3tD = normal(0, 2, 3, board.tokens, 8)
    plain_3tD = model.step(v_3tD, v0_3tD, board, None)[0].detach()
    looked, honest = [], near.attend
    monkeypatch.setattr(near, "attend", lambda *given: looked.append(1) or honest(*given))
    with torch.no_grad():
        torch.testing.assert_close(model.step(v_3tD, v0_3tD, board, None)[0], plain_3tD, rtol=1e-9, atol=1e-9)
        assert looked
        looked.clear()
        model.config = replace(config, backward="autograd")
        torch.testing.assert_close(model.step(v_3tD, v0_3tD, board, None)[0], plain_3tD, rtol=1e-9, atol=1e-9)
    assert not looked, "autograd's form stays what the others are held against"


@pytest.mark.parametrize("name", BOARDS)
def test_single_precision_is_double_precision_to_1e_4(name):
    board = BOARDS[name]
    model = initial(Model, Config(d=16, n=192, heads=12), board, 0)
    v_3tD = normal(0, 3, board.tokens, 16)
    with torch.no_grad():
        ours_3tD = model.step(v_3tD.float(), None, board, None)[0].double()
        torch.testing.assert_close(ours_3tD, model.double().step(v_3tD, None, board, None)[0], rtol=0, atol=1e-4)


def test_few_are_listed_and_many_are_a_mask():
    (listed,), (masked,) = near._seen(BOARDS["maze"]), near._seen(BOARDS["small maze"])
    assert listed.shape == (81, 5)
    assert (listed >= 0).sum() == 81 + 4 * 9 * 8, "itself and both ends of every pair of neighbours"
    assert masked.shape == (25, 25)
