import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS, line, sudoku
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.bdh import Config, Model
from bdh_reason.bdh.attention import quadratic, rotary, within_groups
from bdh_reason.errors import UserError
from bdh_reason.train.initial import initial

SMALL = Config(d=6, n=48, heads=12)
seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_a_step_is_the_equations(kind, inject, bound):
    board = BOARDS[kind]
    bound = bound and bool(board.relations)
    model = initial(Model, Config(d=6, n=24, heads=12, relations=bound), board, 0).double()
    v_2tD, v0_2tD = normal(0, 2, 2, board.tokens, 6)
    step_2tD = model.step(v_2tD, v0_2tD if inject else None, board, None)[0].detach().numpy()
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    seen = oracle_models.sees(board, 12, bound, itself=board.reading == "grid" and not (bound and board.groups_RGk is not None))
    sequence = board.reading == "sequence"
    for row in range(2):
        injected_tD = v0_2tD[row].numpy() if inject else None
        expected_tD = oracle_models.bdh_step(weights, model.config, v_2tD[row].numpy(), injected_tD, seen, sequence)
        np.testing.assert_allclose(step_2tD[row], expected_tD, atol=1e-5 if sequence else 1e-10)  # rotary phases are fp32


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
    torch.testing.assert_close(turned_tN[i], torch.from_numpy(oracle_models.turn_neighbours(x_N.numpy(), i)), atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("wrong", [{"d": 0}, {"n": 0}, {"heads": 0}, {"n": 30, "heads": 4}, {"n": 12, "heads": 4}, {"heads": -1}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError):
        Config(**wrong)
