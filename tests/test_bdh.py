from dataclasses import replace

import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS, line, sudoku
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_models import normal
from strategies import bdh_of_texts
from torch.utils.flop_counter import FlopCounterMode

from bdh_reason.bdh import Config, Model, graph
from bdh_reason.bdh.attention import quadratic, rotary, within_groups
from bdh_reason.errors import UserError
from bdh_reason.train.initial import initial

LINE = line("sequence", 9)  # texts may be of any other length
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_a_step_is_the_equations(kind, inject, bound):
    board = BOARDS[kind]
    bound = bound and bool(board.relations)
    model = initial(Model, Config(d=6, n=24, heads=12, relations=bound), board, 0).double()
    v_2tD, v0_2tD = normal(0, 2, 2, board.tokens, 6)
    step_2tD = model.step(v_2tD, v0_2tD if inject else None, board, None)[0]
    seen = oracle_models.sees(board, 12, bound, itself=board.reading == "grid" and not (bound and board.groups_RGk is not None))
    sequence = board.reading == "sequence"
    for row in range(2):
        expected_tD = oracle_models.bdh_step(model.state_dict(), model.config, v_2tD[row], v0_2tD[row] if inject else None, seen, sequence)
        torch.testing.assert_close(step_2tD[row], expected_tD, rtol=0, atol=1e-5 if sequence else 1e-10)  # rotary phases are fp32


@pytest.mark.parametrize("kind", [kind for kind, board in BOARDS.items() if board.relations])
def test_free_heads_see_the_whole_board_and_bound_ones_their_relation(kind):
    board = BOARDS[kind]
    model = initial(Model, Config(d=6, n=28, heads=14, free=2), board, 0).double()
    v_1tD = normal(0, 1, board.tokens, 6)
    seen = oracle_models.sees(board, 12, True, itself=board.groups_RGk is None) + oracle_models.sees(board, 2, False, itself=True)
    expected_tD = oracle_models.bdh_step(model.state_dict(), model.config, v_1tD[0], None, seen, False)
    torch.testing.assert_close(model.step(v_1tD, None, board, None)[0][0], expected_tD, rtol=0, atol=1e-10)


def gradients(v_BtD, inputs):
    """Of a random projection of v; zeros where an input plays no part."""
    loss = (v_BtD * normal(0, *v_BtD.shape).to(v_BtD)).sum()
    return torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True) if loss.requires_grad else ()


def step(config, v_BtD, v0_BtD, dtype=torch.float64):
    """One step on a line of text by a model drawn from seed 0: v, and the gradients of the v before and of all weights."""
    model = initial(Model, config, LINE, 0).to(dtype)
    v_BtD = v_BtD.to(dtype, copy=True).requires_grad_()
    stepped_BtD, _ = model.step(v_BtD, v0_BtD if v0_BtD is None else v0_BtD.to(dtype), LINE, None)
    return stepped_BtD.detach(), gradients(stepped_BtD, [v_BtD, model.Dx_HDN, model.Dy_HDN, model.E_HND])


configurations = bdh_of_texts(16, (2, 6))
lengths = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 21])  # windows hold 4 tokens, and begin above 16


def same(one, other, close):
    """Equal v and equal gradients, `close` in units of the largest number."""
    for ours, theirs in zip((one[0], *one[1]), (other[0], *other[1])):
        scale = 1 + theirs.abs().max() if theirs.numel() else 1
        torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=close)


@settings(max_examples=40)
@given(configurations, lengths, seeds, st.booleans())
def test_every_form_of_the_model_is_the_equations_forwards_and_backwards(config, tokens, seed, inject):
    v_1tD, v0_1tD = normal(seed, 2, 1, tokens, 4)
    model = initial(Model, config, LINE, 0).double()
    inputs = [v_tD := v_1tD[0].clone().requires_grad_(), model.Dx_HDN, model.Dy_HDN, model.E_HND]
    seen = oracle_models.sees(line("sequence", tokens), 2, False, itself=not config.strict)
    expected_tD = oracle_models.bdh_step(dict(model.named_parameters()), config, v_tD, v0_1tD[0] if inject else None, seen, True)
    expected = expected_tD[None].detach(), [gradient[None] if place == 0 else gradient for place, gradient in enumerate(gradients(expected_tD[None], inputs))]
    same(step(config, v_1tD, v0_1tD if inject else None), expected, 1e-3 if "rotary" in config.positions else 1e-10)  # rotary phases are fp32


@settings(max_examples=40)
@given(configurations, lengths, seeds, st.booleans())
def test_quadratic_chunked_and_chosen_execution_agree(config, tokens, seed, inject):
    v_BtD, v0_BtD = normal(seed, 2, 2, tokens, 4)
    one, *others = (step(replace(config, execution=execution), v_BtD, v0_BtD if inject else None) for execution in ("quadratic", "chunked", "auto"))
    for other in others:
        same(one, other, 1e-10)


@pytest.mark.parametrize("positions", ["rotary", "alibi", "rotary+alibi", "none"])
@pytest.mark.parametrize("form", ["released", "paper"])
def test_executions_agree_in_single_precision(form, positions):
    config = Config(d=32, n=512, relations=False, form=form, positions=positions, layers=3)
    v_BtD = normal(0, 1, 300, 32)
    one, other = (step(replace(config, execution=execution), v_BtD, None, torch.float32) for execution in ("quadratic", "chunked"))
    same(one, other, 1e-4)


@given(seeds, st.integers(1, 3), st.integers(1, 6), st.sampled_from(["alibi", "none"]))
def test_the_normfree_form_is_the_graph_of_local_rules_and_rho_is_e_sigma(seed, layers, tokens, positions):
    model = initial(Model, Config(d=3, n=6, heads=1, relations=False, form="normfree", layers=layers, positions=positions), LINE, seed).double()
    Dx_DN, Dy_DN, E_ND = (weight[0].detach().numpy() for weight in (model.Dx_HDN, model.Dy_HDN, model.E_HND))
    u = np.exp(-(2.0**-8)) if positions == "alibi" else 1.0
    rules, sigma_LNN = graph.from_low_rank(Dx_DN.T, Dy_DN.T, E_ND.T, np.full(6, u)), graph.silence(6, layers)
    y_tN, expected_tD = np.random.default_rng(seed).uniform(size=(tokens, 6)), []
    for y_N in y_tN:
        states = graph.token(rules, sigma_LNN, np.zeros(6), y_N)
        sigma_LNN = states[-1].sigma_LNN
        expected_tD.append(states[4 * layers - 1].Y_N @ E_ND)
    v_1tD, state = model.step(torch.from_numpy(y_tN @ E_ND)[None], None, LINE, model.blank(1))
    np.testing.assert_allclose(v_1tD[0].detach(), expected_tD, atol=1e-10)
    for rho_ND, sigma_NN in zip((rho_BHND[0, 0] for rho_BHND in state.tensors), sigma_LNN):
        np.testing.assert_allclose(rho_ND.detach(), u * sigma_NN.T @ E_ND, atol=1e-10)


def test_the_faster_execution_is_chosen_and_can_be_forced():
    board = line("sequence", 1)
    auto, quadratic_, chunked = (Model(Config(d=4, n=16, relations=False, execution=execution), board) for execution in ("auto", "quadratic", "chunked"))
    assert [auto.window(tokens, board) for tokens in (1, 16, 17, 1000)] == [1, 16, 4, 4]
    assert [quadratic_.window(tokens, board) for tokens in (1, 17)] == [1, 17]
    assert [chunked.window(tokens, board) for tokens in (1, 17)] == [4, 4]
    assert auto.window(1000, line("grid", 1000)) == 1000


@pytest.mark.parametrize("execution", ["quadratic", "chunked"])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("tokens", [3, 16, 17, 33])
def test_flops_of_long_texts_and_wide_grids_are_those_that_torch_counts(tokens, strict, execution):
    for reading in ("sequence", "grid"):
        board = line(reading, tokens)
        model = Model(Config(d=4, n=16, heads=2, relations=False, layers=2, strict=strict, execution=execution), board)
        with FlopCounterMode(display=False) as counter:
            model.step(torch.randn(1, tokens, 4), None, board, None)
        assert model.step_flops(board) == counter.get_total_flops()


def test_half_precision_is_finite_at_the_official_width():
    board = line("sequence", 33)
    for form in ("released", "paper"):
        model = initial(Model, Config(d=16, n=32_768, heads=4, relations=False, form=form, layers=3, execution="chunked"), board, 0)
        with torch.autocast("cpu", torch.bfloat16):
            v_BtD, _ = model.step(torch.randn(1, 33, 16, generator=torch.Generator().manual_seed(0)), None, board, None)
        v_BtD.float().square().sum().backward()
        assert v_BtD.isfinite().all()
        assert all(weight.grad.isfinite().all() for weight in (model.Dx_HDN, model.Dy_HDN, model.E_HND))


@given(seeds, st.integers(1, 4), st.integers(2, 5))
def test_attention_within_groups_leaves_out_the_token_itself(seed, groups, k):
    tokens = groups * k
    x_HBtN, v_HBtD = normal(seed, 3, 2, tokens, 4), normal(seed + 1, 3, 2, tokens, 5)
    group_t = np.arange(tokens) // k
    others_tt = torch.from_numpy((group_t[:, None] == group_t) & ~np.eye(tokens, dtype=bool))
    scores_HBtt = torch.einsum("hbin,hbjn->hbij", x_HBtN, x_HBtN) * others_tt
    torch.testing.assert_close(within_groups(x_HBtN, v_HBtD, k), torch.einsum("hbij,hbjd->hbid", scores_HBtt, v_HBtD))


@given(seeds, st.integers(1, 8))
def test_the_first_position_of_a_sequence_attends_to_nothing_at_all(seed, tokens):
    earlier_tt = torch.ones(tokens, tokens, dtype=torch.bool).tril(-1)
    x_HBtN = rotary(normal(seed, 2, 3, tokens, 4))
    a_HBtD = quadratic(x_HBtN, x_HBtN, normal(seed, 3, tokens, 5), earlier_tt)
    assert (a_HBtD[:, :, 0] == 0).all()
    board = line("sequence", tokens)
    v_BtD = normal(seed, 3, tokens, 6)
    step_BtD = initial(Model, Config(d=6, n=24, heads=2, relations=False), board, seed).double().step(v_BtD, None, board, None)[0]
    assert torch.equal(step_BtD[:, 0], torch.nn.functional.layer_norm(v_BtD[:, 0], (6,))), "y is 0 there, so the step adds nothing"


@pytest.mark.parametrize("kind", BOARDS)
def test_neuron_activity_is_never_negative_and_not_all_zero(kind, monkeypatch):
    board, gate, seen = BOARDS[kind], Model._gate, []
    config = Config(d=24, n=24, heads=12, relations=bool(board.relations))
    model = initial(Model, config, board, 0)
    model.E_HND.data = torch.eye(24).view(12, 2, 24)  # so that the sum over heads of y E shows each neuron's y

    def spy(self, x_HBtN, a_HBtD, *weights):
        y_BtN = (update_HBtD := gate(self, x_HBtN, a_HBtD, *weights)).sum(0)
        seen.extend([x_HBtN, y_BtN])
        return update_HBtD

    monkeypatch.setattr(Model, "_gate", spy)
    model.step(torch.randn(2, board.tokens, 24, generator=torch.Generator().manual_seed(0)), None, board, None)
    x_HBtN, y_BtN = seen
    for activity in (x_HBtN, y_BtN):
        assert (activity >= 0).all()
        assert (activity > 0).any()
        assert (activity == 0).any(), "and it is sparse"
    assert y_BtN.count_nonzero() < x_HBtN.count_nonzero(), "y gates x"


@given(seeds, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_rotary_scores_depend_on_the_distance_alone(seed, i, j, shift):
    x_N, z_N = normal(seed, 2, 8)
    turned_tN, other_tN = rotary(x_N.expand(61, 8)), rotary(z_N.expand(61, 8))
    torch.testing.assert_close(turned_tN[i] @ other_tN[j], turned_tN[i + shift] @ other_tN[j + shift], atol=1e-4, rtol=0)
    torch.testing.assert_close(turned_tN[i].norm(), x_N.norm(), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned_tN[i], oracle_models.turn_neighbours(x_N, i), atol=1e-5, rtol=0)


def test_rotary_turns_something():
    x_tN = normal(0, 8).expand(5, 8)
    assert torch.equal(rotary(x_tN)[0], x_tN[0])
    assert not torch.isclose(rotary(x_tN)[4], x_tN[4], atol=1e-3)[:2].any(), "the fastest pair turns by 4 radians"


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6))
def test_parameters_are_3nd_for_the_neurons_and_three_tables(d, heads, pairs):
    n = 2 * pairs * heads
    for board, tokens, logits in ((sudoku(2, 2, "candidates"), 3, 1), (line("sequence", 5), 256, 256)):
        model = Model(Config(d=d, n=n, heads=heads, relations=False), board)
        assert model.size() == 3 * n * d + d * (tokens + 2 * logits)


def test_learned_coordinates_cost_one_vector_each():
    plain, placed = (Model(Config(d=6, n=24, heads=12, coordinates=coordinates), BOARDS["cells"]) for coordinates in (False, True))
    assert placed.size() - plain.size() == 6 * (4 + 4 + 4)


@pytest.mark.parametrize("wrong", [{"d": 0}, {"n": 0}, {"heads": 0}, {"n": 30, "heads": 4}, {"n": 12, "heads": 4}, {"heads": -1}, {"layers": 0}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError):
        Config(**wrong)


def test_an_odd_head_is_refused_only_where_pairs_are_turned():
    assert Config(n=12, heads=4, positions="alibi").n == 12
    with pytest.raises(UserError, match="3 neurons in a head"):
        Config(n=12, heads=4, positions="rotary+alibi")


@pytest.mark.parametrize(("option", "wrong", "meant"), [("form", "papper", "paper"), ("positions", "rotery", "rotary"), ("execution", "chunk", "chunked")])
def test_an_option_that_does_not_exist_is_named_with_the_nearest(option, wrong, meant):
    with pytest.raises(UserError, match=f"unknown {option} '{wrong}'.*did you mean '{meant}'"):
        Config(**{option: wrong})
