"""Every model that `discover` finds keeps the contract of `bdh_reason.model`: a new file is tested with no new test code.

A module may export EXAMPLES, small configurations that go with boards of three and of four relations; else its default `Config()` is tested. A model is
tested on the boards of its `views`, and that it refuses the others.
The golden losses are written anew by `python tests/test_every_model.py`; do so only after a change that is meant to change what a model computes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from boards import BOARDS, masked, prompts, sudoku
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.rng import generator
from bdh_reason.task import Board
from bdh_reason.train.initial import initial

GOLDEN = Path(__file__).parent / "golden"
NAMES = discover.model_names()
EXAMPLES = [(name, config) for name in NAMES for config in getattr(discover.model_module(name), "EXAMPLES", (discover.model_module(name).Config(),))]
READ = {name: [kind for kind, board in BOARDS.items() if board.view in discover.model_module(name).Model.views] for name in NAMES}


def each(examples):
    return pytest.mark.parametrize(("name", "config"), examples, ids=[f"{name}{number}" for number, (name, _) in enumerate(examples)])


every_example = each(EXAMPLES)
every_example_of_candidates = each([(name, config) for name, config in EXAMPLES if "candidates" in READ[name]])
every_example_with_relations = each([(name, config) for name, config in EXAMPLES if config.relations])
every_reading = pytest.mark.parametrize(("name", "config", "kind"), [(name, config, kind) for name, config in EXAMPLES for kind in READ[name]])
boxes = st.sampled_from([(2, 2), (2, 3)])
seeds = st.integers(0, 2**32 - 1)


def fit(config, board, **changes):
    """The configuration with relations where the board has some."""
    return replace(config, **{"relations": config.relations and board.relations > 0, **changes})


def reasoner(name, config, board, feedback=True, seed=0):
    """Weights in float64, drawn from the seed, before the board."""
    model = initial(discover.model_module(name).Model, fit(config, board), board, seed).double().eval()
    return Reasoner(model, board, Loop(feedback=feedback))


def tokens(board: Board, prompt_NT: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(board.expand(prompt_NT))


def some(board, n, seed=0):
    """Tokens of n random prompts."""
    return tokens(board, prompts(board, np.random.default_rng(seed), n))


def replies(thinker, tokens_Bt, depth=3):
    """Logits [depth, B, T, S]."""
    return torch.stack(list(thinker.think(tokens_Bt, depth))).detach()


@every_reading
def test_replies_have_one_finite_logit_for_each_symbol_of_each_position(name, config, kind):
    board = BOARDS[kind]
    logits = replies(reasoner(name, config, board), some(board, 2))
    assert logits.shape == (3, 2, board.positions, len(board.symbols))
    assert logits.isfinite().all()
    assert logits.std(-1).max() > 0


@every_reading
def test_the_counts_are_what_is_there(name, config, kind):
    board = BOARDS[kind]
    model = reasoner(name, config, board).model
    assert model.size() == sum(np.prod(weight.shape) for weight in model.state_dict().values()), "no hidden buffers, nothing frozen"
    assert isinstance(model.state_floats(board, 3), int)
    assert model.state_floats(board, 3) == model.state_floats(board, 1) * (3 if board.reading == "sequence" else 1) > 0


@pytest.mark.parametrize("feedback", [True, False])
@every_reading
def test_flops_are_those_that_torch_counts(name, config, kind, feedback):
    board = BOARDS[kind]
    thinker = reasoner(name, config, board, feedback)
    for depth in (1, 3):
        with FlopCounterMode(display=False) as counter:
            replies(thinker, some(board, 1), depth)
        assert thinker.model.flops(board, depth, feedback) == counter.get_total_flops()


@every_reading
def test_the_seed_alone_decides_what_is_thought(name, config, kind):
    board = BOARDS[kind]
    one, same, other = (replies(reasoner(name, config, board, seed=seed), some(board, 2)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


@every_reading
def test_a_gradient_reaches_every_parameter_even_after_thinking_without_one(name, config, kind):
    board = replace(BOARDS[kind])  # one that nothing is remembered about
    thinker = reasoner(name, config, board)
    with torch.inference_mode():
        replies(thinker, some(board, 1))
    *_, reply_BTS = thinker.think(some(board, 4), 2)
    weight_BTS = torch.from_numpy(np.random.default_rng(0).standard_normal(reply_BTS.shape))
    (reply_BTS.log_softmax(-1) * weight_BTS).sum().backward()
    assert [name for name, weight in thinker.model.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@every_reading
def test_a_reply_does_not_depend_on_the_rest_of_the_batch(name, config, kind):
    board = BOARDS[kind]
    thinker, tokens_Bt = reasoner(name, config, board), some(board, 4)
    together = replies(thinker, tokens_Bt)
    for row in range(4):
        torch.testing.assert_close(replies(thinker, tokens_Bt[row : row + 1])[:, 0], together[:, row], rtol=0, atol=1e-10)


@every_reading
def test_half_precision_stays_finite(name, config, kind):
    board = BOARDS[kind]
    thinker = reasoner(name, config, board)
    thinker.model.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert replies(thinker, some(board, 2), depth=32).isfinite().all()


@every_example
@settings(max_examples=15)
@given(seed=seeds, place=st.integers(0, 8), byte=st.integers(0, 255))
def test_a_sequence_is_read_from_left_to_right(name, config, seed, place, byte):
    board = BOARDS["sequence"]
    prompt_NT = prompts(board, np.random.default_rng(seed), 2)
    prompt_NT[1] = prompt_NT[0]
    prompt_NT[1, place] = byte
    prompt_NT[1, place:] = np.roll(prompt_NT[1, place:], 1)
    logits = replies(reasoner(name, config, board), tokens(board, prompt_NT), depth=4)
    torch.testing.assert_close(logits[:, 0, :place], logits[:, 1, :place], rtol=0, atol=1e-12)


@every_example
def test_a_grid_is_read_in_both_directions_and_a_sequence_from_its_past(name, config):
    for kind, reader, changed in (("plain", 0, -1), ("plain", -1, 0), ("sequence", -1, 0)):
        board = BOARDS[kind]
        prompt_NT = np.full((2, board.positions), board.blank, np.uint8)
        prompt_NT[1, changed] = board.symbols[0]
        one, other = replies(reasoner(name, config, board), tokens(board, prompt_NT)).unbind(1)
        assert not torch.allclose(one[-1, reader], other[-1, reader]), (kind, reader)


def lines(rng, size, count):
    """A permutation of size · count lines that keeps bands of `size` together."""
    return np.concatenate([band * size + rng.permutation(size) for band in rng.permutation(count)])


def moved(board, prompt_NT, logits_NTS, row_n, column_n, digit_n):
    """The prompts and logits after row r went to row_n[r], column c to column_n[c] and digit s to digit_n[s]."""
    n = len(digit_n)
    to_T = (row_n[:, None] * n + column_n).ravel()
    new_prompt_NT, new_logits_NTS = np.empty_like(prompt_NT), torch.empty_like(logits_NTS)
    renamed_NT = board.spell(digit_n[board.index(prompt_NT)])
    new_prompt_NT[:, to_T] = np.where(prompt_NT == board.blank, prompt_NT, renamed_NT)
    new_logits_NTS[:, to_T[:, None], digit_n] = logits_NTS
    return new_prompt_NT, new_logits_NTS


@every_example_of_candidates
@settings(max_examples=10)
@given(box=boxes, seed=seeds)
def test_candidates_know_no_digit_row_or_column_by_name(name, config, box, seed):
    """Digits, bands, stacks and the lines in them may be permuted. A transposition exchanges two relations, so it is no symmetry of the heads."""
    rng, (box_rows, box_cols), board = np.random.default_rng(seed), box, sudoku(*box, "candidates")
    thinker, prompt_NT = reasoner(name, replace(config, coordinates=False), board), prompts(board, rng, 2)
    logits = replies(thinker, tokens(board, prompt_NT), depth=2)[-1]
    symmetry = lines(rng, box_rows, box_cols), lines(rng, box_cols, box_rows), rng.permutation(len(board.symbols))
    new_prompt_NT, expected = moved(board, prompt_NT, logits, *symmetry)
    torch.testing.assert_close(replies(thinker, tokens(board, new_prompt_NT), depth=2)[-1], expected, rtol=0, atol=1e-10)


@every_example_of_candidates
def test_a_permutation_that_breaks_the_boxes_changes_what_candidates_think(name, config):
    rng, board = np.random.default_rng(0), sudoku(2, 2, "candidates")
    thinker, prompt_NT = reasoner(name, replace(config, coordinates=False), board), prompts(board, rng, 2)
    logits = replies(thinker, tokens(board, prompt_NT))[-1]
    new_prompt_NT, kept = moved(board, prompt_NT, logits, np.array([0, 2, 1, 3]), np.arange(4), np.arange(4))
    assert not torch.allclose(replies(thinker, tokens(board, new_prompt_NT))[-1], kept)


@every_example_of_candidates
def test_weights_of_candidates_fit_candidates_of_every_size_and_no_cells(name, config):
    small, large = sudoku(2, 2, "candidates"), sudoku(2, 3, "candidates")
    config = replace(config, coordinates=False)
    trained, fresh = reasoner(name, config, small), reasoner(name, config, large, seed=1)
    trained.model.check(large)
    with pytest.raises(UserError, match="cells view"):
        trained.model.check(BOARDS["cells"])
    fresh.model.load_state_dict(trained.model.state_dict())
    tokens_Bt = some(large, 2)
    assert torch.equal(replies(replace(trained, board=large), tokens_Bt), replies(fresh, tokens_Bt))


@pytest.mark.parametrize("view", ["cells", "candidates"])
@every_example_with_relations
def test_a_mask_says_the_same_as_groups(name, config, view):
    grouped = sudoku(2, 2, view)
    thinker, tokens_Bt = reasoner(name, config, grouped), some(grouped, 2)
    expected = replies(thinker, tokens_Bt)
    free = replies(Reasoner(reasoner(name, replace(config, relations=False), grouped).model, grouped, thinker.loop), tokens_Bt)
    assert not torch.allclose(expected, free), "the relations matter"
    errors = [(replies(replace(thinker, board=masked(grouped, itself)), tokens_Bt) - expected).abs().max() for itself in (True, False)]
    assert min(errors) < 1e-10, "with the token itself or without, as the model's groups have it"
    assert max(errors) > 1e-6


@every_example
def test_a_board_that_does_not_fit_is_refused(name, config):
    cells, candidates = BOARDS["cells"], BOARDS["candidates"]
    placed = reasoner(name, replace(config, coordinates=True), cells).model
    placed.check(cells)
    with pytest.raises(UserError, match=r"coordinates \[6, 6, 6\]; allowed: \[4, 4, 4\]"):
        placed.check(sudoku(2, 3, "cells"))
    with pytest.raises(UserError, match="candidates view"):
        placed.check(candidates)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_reads_cells_and_a_view_it_does_not_read_is_refused_before_it_is_built(name):
    module = discover.model_module(name)
    assert "cells" in module.Model.views
    for kind in set(BOARDS) - set(READ[name]):
        with pytest.raises(UserError, match=rf"a board in the {BOARDS[kind].view} view for a model of kind {name}; allowed: view = cells"):
            module.Model(module.Config(), BOARDS[kind])


@every_example_with_relations
def test_relations_that_are_not_there_or_cannot_be_shared_out_are_refused(name, config):
    cells, model = BOARDS["cells"], discover.model_module(name).Model
    bound = model(replace(config, coordinates=False), cells)
    for board in (BOARDS["plain"], BOARDS["sequence"], replace(cells, reading="sequence")):
        for look in (lambda board: model(config, board), *([bound.check] if board.reading == "grid" else [])):
            with pytest.raises(UserError, match=f"relations=true on a {board.reading} with {board.relations} relations"):
                look(board)
    many = replace(cells, groups_RGk=cells.groups_RGk.repeat(config.heads, 0))
    for board in (many, masked(many, itself=True)):
        for look in (bound.check, lambda board: model(config, board)):
            with pytest.raises(UserError, match=f"{bound.bound_heads} heads on a board of {3 * config.heads} relations"):
                look(board)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_configuration_reads_the_first_board(name):
    board = BOARDS[READ[name][0]]
    assert replies(reasoner(name, discover.model_module(name).Config(), board), some(board, 2)).isfinite().all()


def first_losses(name, kind):
    """The losses of ten steps of AdamW that learn to copy the clues, in float64 so that they do not hang on the processor."""
    board = BOARDS[kind]
    config = next(config for example, config in EXAMPLES if example == name)
    thinker = reasoner(name, config, board)
    optimiser = torch.optim.AdamW(thinker.model.parameters(), lr=0.03)
    losses = []
    for step in range(10):
        prompt_BT = prompts(board, generator(0, "golden", kind, step), 8)
        target_BT = torch.from_numpy(board.index(prompt_BT))
        thought = thinker.think(tokens(board, prompt_BT), 3)
        loss = torch.stack([cross_entropy(reply_BTS.mT, target_BT, ignore_index=-1) for reply_BTS in thought]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_the_first_losses_are_golden(name):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    assert list(golden) == READ[name]
    for kind, losses in golden.items():
        assert first_losses(name, kind) == pytest.approx(losses, rel=1e-4), kind


if __name__ == "__main__":
    for name in NAMES:
        (GOLDEN / f"{name}.json").write_text(json.dumps({kind: first_losses(name, kind) for kind in READ[name]}, indent=1) + "\n")
