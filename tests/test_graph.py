"""Graph BDH against the paper's equations, written here once more as plain recurrences that know nothing of rounds.

Axes: T tokens, L layers, N neurons, D width. Matrices act on columns, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.bdh import graph as rules
from bdh_reason.bdh.graph import ROUNDS, Circuit, Graph, State, compete, from_low_rank, recruit, silence, spread, token, with_hubs, write
from bdh_reason.errors import UserError

Round = Callable[[Graph, State, int], State]
Run = list[np.ndarray]  # x_{t,l}, y_{t,l} and the memory as it was read, [T, L, …] each, l = 1 … L
NODES = ("X_N", "Y_N", "A_N")
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Case:
    """A norm-free model (Dx, Dy, E and the diagonal of U) and the tokens it gets: x_{t,0} and y_{t,0}."""

    model: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    x_TN: np.ndarray
    y_TN: np.ndarray
    layers: int


def drawn(seed: int, n: int, d: int, layers: int, tokens: int, fading: bool = True) -> Case:
    rng = np.random.default_rng(seed)
    Dx_ND, Dy_ND, E_DN = rng.standard_normal((n, d)), rng.standard_normal((n, d)), rng.standard_normal((d, n)) / (n * d) ** 0.5
    x_TN, y_TN = rng.uniform(size=(2, tokens, n)) * (rng.uniform(size=(2, tokens, n)) < 0.6)
    return Case((Dx_ND, Dy_ND, E_DN, rng.uniform(size=n) if fading else np.ones(n)), x_TN, y_TN, layers)


cases = st.builds(drawn, seeds, st.integers(1, 7), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.booleans())
HARD = [drawn(seed, n=6, d=3, layers=3, tokens=4) for seed in range(5)]


def random_graph(seed: int, n: int) -> Graph:
    """No low rank, many edges missing, a u for every synapse."""
    rng = np.random.default_rng(seed)
    one, two, three, four, Gs_NN = rng.uniform(size=(5, n, n)) * (rng.uniform(size=(5, n, n)) < 0.4)
    return Graph(Circuit(one, two), Circuit(three, four), Gs_NN, rng.uniform(size=(n, n)), np.zeros((n, n)))


def relu(z: np.ndarray) -> np.ndarray:
    return z * (z > 0)


def gathered(rows: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]) -> Run:
    return [np.array([[layer[part] for layer in row] for row in rows]) for part in range(3)]


def tensor_form(case: Case, U_NN: np.ndarray | None = None) -> Run:
    """Eq. 7 (Eq. 8 without LayerNorm): ρ := (ρ + E y x^T) U, x := x + (D_x E y)^+, y := (D_y ρ x)^+ ⊙ x, with ρ of the token before."""
    Dx_ND, Dy_ND, E_DN, u_N = case.model
    U_NN = np.diag(u_N) if U_NN is None else U_NN
    rho_LDN, rows = np.zeros((case.layers, *E_DN.shape)), []
    for x_N, y_N in zip(case.x_TN, case.y_TN):
        row = []
        for layer in range(case.layers):
            v_D, before_DN = E_DN @ y_N, rho_LDN[layer].copy()
            x_N = x_N + relu(Dx_ND @ v_D)
            rho_LDN[layer] = (before_DN + v_D[:, None] * x_N) @ U_NN
            y_N = relu(Dy_ND @ (before_DN @ x_N)) * x_N
            row.append((x_N, y_N, before_DN))
        rows.append(row)
    return gathered(rows)


def equation_6(graph: Graph, case: Case) -> Run:
    """Eq. 6: σ := (σ + y x^T ⊙ G_s) U, x := x + ((G_x^e − G_x^i) y)^+, y := ((G_y^e − G_y^i) σ x)^+ ⊙ x, with σ of the token before; a u for each synapse."""
    Gx_NN, Gy_NN = graph.Gx.excite_NN - graph.Gx.inhibit_NN, graph.Gy.excite_NN - graph.Gy.inhibit_NN
    sigma_LNN, rows = [np.zeros_like(Gx_NN)] * case.layers, []
    for x_N, y_N in zip(case.x_TN, case.y_TN):
        row = []
        for layer in range(case.layers):
            x_N, before_NN, earlier_N = x_N + relu(Gx_NN @ y_N), sigma_LNN[layer], y_N
            y_N = relu(Gy_NN @ before_NN @ x_N) * x_N
            sigma_LNN[layer] = (before_NN + earlier_N[:, None] * x_N * graph.Gs_NN) * graph.u_NN
            row.append((x_N, y_N, before_NN))
        rows.append(row)
    return gathered(rows)


def played(graph: Graph, case: Case) -> Run:
    """The rounds, token after token; where the graph has hubs they are silent on arrival. No number is ever negative."""
    hubs, sigma_LNN, rows = len(graph.Gs_NN) - case.x_TN.shape[1], silence(len(graph.Gs_NN), case.layers), []
    for x_N, y_N in zip(case.x_TN, case.y_TN):
        states = token(graph, sigma_LNN, np.pad(x_N, (0, hubs)), np.pad(y_N, (0, hubs)))
        assert len(states) == 4 * case.layers + 1
        assert all((getattr(state, name) >= 0).all() for state in states for name in (*NODES, "sigma_LNN"))
        layers = [(states[4 * layer : 4 * layer + 4], layer) for layer in range(case.layers)]
        rows.append([(before.X_N, after.Y_N, read.sigma_LNN[layer]) for (before, read, _, after), layer in layers])
        sigma_LNN = states[-1].sigma_LNN
    return gathered(rows)


def same(ours: Run, theirs: Run) -> None:
    """Equal to rounding, each layer of each token on its own scale: these systems grow and fade by many orders of magnitude."""
    for one, other in zip(ours, theirs, strict=True):
        for ours_t, theirs_t in zip(one.reshape(-1, *one.shape[2:]), other.reshape(-1, *other.shape[2:]), strict=True):
            np.testing.assert_allclose(ours_t, theirs_t, rtol=0, atol=1e-9 * np.abs(theirs_t).max() + 1e-300)


def same_system(graph: Graph, case: Case) -> None:
    """Observation 4, step by step."""
    x_TLN, y_TLN, sigma_TLNN = played(graph, case)
    same([x_TLN, y_TLN, case.model[2] @ sigma_TLNN], tensor_form(case))


@given(cases)
def test_observation_4_the_norm_free_model_is_the_graph_with_rho_equal_to_e_sigma(case: Case) -> None:
    same_system(from_low_rank(*case.model), case)


@given(cases, seeds)
def test_observation_1_the_rounds_are_equation_6_on_any_graph(case: Case, seed: int) -> None:
    graph = random_graph(seed, case.x_TN.shape[1])
    same(played(graph, case), equation_6(graph, case))


@given(cases)
def test_equation_16_a_token_reads_the_traces_of_earlier_tokens_only_each_faded_once_a_token(case: Case) -> None:
    (x_TLN, y_TLN, read_TLNN), u_N = played(from_low_rank(*case.model), case), case.model[3]
    written_TLN = np.concatenate([case.y_TN[:, None], y_TLN], axis=1)
    for t in range(len(case.x_TN)):
        for layer in range(case.layers):
            traces = [np.outer(written_TLN[tau, layer], x_TLN[tau, layer] * u_N ** (t - tau)) for tau in range(t)]
            trace_NN = sum(traces, np.zeros((len(u_N), len(u_N))))
            np.testing.assert_allclose(read_TLNN[t, layer], trace_NN, rtol=0, atol=1e-9 * trace_NN.max())


@given(cases)
def test_only_neurons_that_are_active_in_x_win_a_pulse_y(case: Case) -> None:
    x_TLN, y_TLN, _ = played(from_low_rank(*case.model), case)
    assert not y_TLN[x_TLN == 0].any()
    assert not y_TLN[0].any(), "the first token has nothing to read"


def edges(step: Round, graph: Graph, state: State) -> np.ndarray:
    """The edges [to, from] that carry this round's messages from neuron to neuron; bool [N, N]."""
    if step is compete:
        return graph.Gy.excite_NN + graph.Gy.inhibit_NN > 0
    if step is recruit:
        return graph.Gx.excite_NN + graph.Gx.inhibit_NN > 0
    return np.zeros_like(state.sigma_LNN[0], bool) if step is write else state.sigma_LNN[0] > 0


def stays_near(step: Round, graph: Graph, state: State, changed: State, k: int) -> bool:
    """Whether a change at neuron k, or at a synapse from it, moves only k, neurons that k has an edge to, and synapses that end at k."""
    one, other = step(graph, state, 0), step(graph, changed, 0)
    moved_N = np.any([getattr(one, name) != getattr(other, name) for name in NODES], axis=0)
    moved_NN = (one.sigma_LNN != other.sigma_LNN)[0]
    k_N = np.arange(len(moved_N)) == k
    near_N = edges(step, graph, changed)[:, k] | k_N
    near_NN = ((graph.Gs_NN > 0) | (changed.sigma_LNN[0] > 0)) & (k_N[:, None] | k_N)
    return bool((near_N | ~moved_N).all() and (near_NN | ~moved_NN).all())


def random_state(seed: int, graph: Graph) -> State:
    rng = np.random.default_rng(seed)
    return State(*rng.uniform(size=(3, len(graph.Gs_NN))), (rng.uniform(size=graph.Gs_NN.shape) * (graph.Gs_NN > 0))[None])


def perturbed(state: State, name: str, k: int, j: int) -> State:
    array = getattr(state, name).copy()
    array[(0, j, k) if name == "sigma_LNN" else k] += 1.0
    return replace(state, **{name: array})


@pytest.mark.parametrize("step", ROUNDS)
@given(seed=seeds, n=st.integers(2, 7), name=st.sampled_from((*NODES, "sigma_LNN")), k=st.integers(0, 6), j=st.integers(0, 6))
def test_a_round_carries_a_change_along_one_edge_and_no_further(step: Round, seed: int, n: int, name: str, k: int, j: int) -> None:
    graph = random_graph(seed, n)
    state = random_state(seed, graph)
    assert stays_near(step, graph, state, perturbed(state, name, k % n, j % n), k % n)


def normalised(graph: Graph, state: State, layer: int) -> State:
    """A LayerNorm on what was read: every neuron hears of every other."""
    A_N = spread(graph, state, layer).A_N
    return replace(state, A_N=(A_N - A_N.mean()) / np.sqrt(A_N.var() + 1e-5))


def written_everywhere(graph: Graph, state: State, layer: int) -> State:
    return write(replace(graph, Gs_NN=np.ones_like(graph.Gs_NN)), state, layer)


@pytest.mark.parametrize("step", [normalised, written_everywhere])
def test_rounds_that_are_not_local_are_noticed(step: Round) -> None:
    graph = random_graph(0, 6)
    state = random_state(0, graph)
    assert not all(stays_near(step, graph, state, perturbed(state, "X_N", k, 0), k) for k in range(6))


def fades_after_reading(graph: Graph, state: State, layer: int) -> State:
    return replace(spread(graph, state, layer), A_N=state.sigma_LNN[layer] @ state.X_N)


def writes_by_the_letters_of_table_1(graph: Graph, state: State, layer: int) -> State:
    return replace(write(graph, replace(state, X_N=state.Y_N, Y_N=state.X_N), layer), X_N=state.X_N)


WRONG_ROUNDS: dict[str, tuple[Round, ...]] = {
    "write before read": (write, spread, compete, recruit),
    "write the pulse of this layer": (spread, compete, write, recruit),
    "fade after reading": (fades_after_reading, write, compete, recruit),
    "synapses turned round": (spread, writes_by_the_letters_of_table_1, compete, recruit),
    "Y is not reset": (spread, lambda g, s, layer: replace(write(g, s, layer), Y_N=s.Y_N), compete, recruit),
    "A is not reset": (spread, write, lambda g, s, layer: replace(compete(g, s, layer), A_N=s.A_N), recruit),
    "no competition": (spread, write, lambda g, s, layer: replace(s, Y_N=g.Gy(s.A_N), A_N=s.A_N * 0), recruit),
    "X does not add up": (spread, write, compete, lambda g, s, layer: recruit(g, replace(s, X_N=s.X_N * 0), layer)),
    "one synapse for all layers": (lambda g, s, layer: spread(g, s, 0), lambda g, s, layer: write(g, s, 0), compete, recruit),
    "no recruiting": (spread, write, compete, lambda g, s, layer: s),
}
WRONG_GRAPHS: dict[str, Callable[[Graph], Graph]] = {
    "no fading": lambda g: replace(g, u_NN=np.ones_like(g.u_NN)),
    "fading at the other end": lambda g: replace(g, u_NN=g.u_NN.T),
    "excitation and inhibition of X exchanged": lambda g: replace(g, Gx=Circuit(g.Gx.inhibit_NN, g.Gx.excite_NN)),
    "excitation and inhibition of Y exchanged": lambda g: replace(g, Gy=Circuit(g.Gy.inhibit_NN, g.Gy.excite_NN)),
    "no inhibition": lambda g: replace(g, Gy=Circuit(g.Gy.excite_NN, g.Gy.inhibit_NN * 0)),
    "circuits of X and Y exchanged": lambda g: replace(g, Gx=g.Gy, Gy=g.Gx),
    "edges turned round": lambda g: replace(g, Gx=Circuit(g.Gx.excite_NN.T, g.Gx.inhibit_NN.T)),
    "synapses of a neuron cut": lambda g: replace(g, Gs_NN=g.Gs_NN * (np.arange(len(g.Gs_NN)) > 0)),
}


@pytest.mark.parametrize("wrong", [*WRONG_ROUNDS, *WRONG_GRAPHS])
def test_every_wrong_system_is_noticed(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ROUNDS", WRONG_ROUNDS.get(wrong, ROUNDS))
    for case in HARD:
        graph = from_low_rank(*case.model)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            same_system(WRONG_GRAPHS.get(wrong, lambda g: g)(graph), case)


@given(cases)
def test_claims_3_and_4_two_hubs_for_each_row_of_e_carry_the_same_system_on_few_edges(case: Case) -> None:
    (Dx_ND, Dy_ND, E_DN, _), graph = case.model, with_hubs(*case.model)
    d, n = E_DN.shape
    for circuit, D_ND in ((graph.Gx, Dx_ND), (graph.Gy, Dy_ND)):
        through_NN = (circuit.excite_NN - circuit.inhibit_NN) @ graph.relay_NN
        np.testing.assert_allclose(through_NN[:n, :n], D_ND @ E_DN, atol=1e-12)
        assert sum(np.count_nonzero(matrix) for matrix in (circuit.excite_NN, circuit.inhibit_NN, graph.relay_NN)) <= 3 * n * d
    assert np.count_nonzero(graph.Gs_NN) == 2 * n * d
    x_TLN, y_TLN, read_TLNN = (part[..., :n] for part in played(graph, case))
    same([x_TLN, y_TLN, read_TLNN[..., n : n + d, :] - read_TLNN[..., n + d :, :]], tensor_form(case))
    v_D = E_DN @ case.y_TN[0]
    arrived = token(graph, silence(n + 2 * d, 1), np.zeros(n + 2 * d), np.concatenate([np.zeros(n), relu(v_D), relu(-v_D)]))[0]
    np.testing.assert_allclose(arrived.X_N[:n], relu(Dx_ND @ v_D), atol=1e-12)


def turn(x_N: np.ndarray, turns: int) -> np.ndarray:
    """Neurons 2i and 2i + 1 as one complex number, turned by turns / (i + 1) radians."""
    pairs = (x_N[::2] + 1j * x_N[1::2]) * np.exp(1j * turns / (1 + np.arange(len(x_N) // 2)))
    return np.stack([pairs.real, pairs.imag], 1).ravel()


@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(2, 5))
def test_rotary_positions_in_absolute_phases_keep_rho_equal_to_e_sigma_but_not_the_signs(seed: int, pairs: int, layers: int, tokens: int) -> None:
    n, case = 2 * pairs, drawn(seed, 2 * pairs, 2, layers, tokens, fading=False)
    graph, sigma_LNN, rows = from_low_rank(*case.model), silence(n, layers), []
    for t, (x_N, y_N) in enumerate(zip(case.x_TN, case.y_TN)):
        state, row = State(x_N, y_N, np.zeros(n), sigma_LNN), []
        for layer in range(layers):
            state = recruit(graph, state, layer)
            x_N, turned_N, read_NN = state.X_N, turn(state.X_N, t), state.sigma_LNN[layer]
            assert t != 3 or x_N[0] == 0 or turned_N[0] < 0, "a negative signal, which no rule of Table 1 sends"
            state = write(graph, spread(graph, replace(state, X_N=turned_N), layer), layer)
            state = compete(graph, replace(state, X_N=x_N), layer)
            row.append((x_N, state.Y_N, case.model[2] @ np.array([turn(row_N, -t) for row_N in read_NN])))
        rows.append(row)
        sigma_LNN = state.sigma_LNN
    same(gathered(rows), tensor_form(case, np.array([turn(row_N, -1) for row_N in np.eye(n)])))


def test_graphs_and_matrices_that_do_not_fit_are_refused() -> None:
    graph = from_low_rank(np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 2)), np.ones(2))
    for changes, message in (
        ({"Gs_NN": -np.ones((2, 2))}, "negative or infinite"),
        ({"relay_NN": np.full((2, 2), np.inf)}, "negative or infinite"),
        ({"u_NN": np.full((2, 2), 1.5)}, "stays after a token"),
        ({"Gx": Circuit(np.ones((2, 3)), np.ones((2, 2)))}, "shapes"),
        ({"Gs_NN": np.ones((2, 3))}, "shapes"),
    ):
        with pytest.raises(UserError, match=message):
            replace(graph, **changes)
    for build in (from_low_rank, with_hubs):
        for shapes in (((3, 2), (3, 2), (3, 2), 3), ((3, 2), (3, 2), (2, 3), 2), ((3, 2), (3, 1), (2, 3), 3)):
            with pytest.raises(UserError, match=r"u \[n\]"):
                build(*map(np.ones, shapes))
