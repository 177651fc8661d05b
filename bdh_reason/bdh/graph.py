"""BDH as local rules on neurons and synapses: Table 1 and Eq. 6 of arXiv 2509.26507, for a handful of neurons, written to be read and played with.

Neuron i holds three numbers, X(i), Y(i) and A(i); the synapse from i to j holds one number σ_l(i,j) for each layer l. None is ever negative. A rule
sees one neuron, or two neurons and the synapse between them, and nothing else. A token takes L layers, a layer four rounds (u and all G are parameters):

| round | function | along the edges | at home |
|---|---|---|---|
| 4l | `spread` | X(i), σ_l(i,j) → A(j) | before that, every synapse fades: σ_l := u σ_l |
| 4l+1 | `write` | X(i), Y(j) → σ_l(i,j), G_s(i,j) times as much: what fires together wires together | Y := 0 |
| 4l+2 | `compete` | A(i) → Y^e(j) through G_y^e, A(i) → Y^i(j) through G_y^i | Y += (Y^e − Y^i)^+ X: only active neurons win; A := 0 |
| 4l+3 | `recruit` | Y(i) → X^e(j) through G_x^e, Y(i) → X^i(j) through G_x^i | X += (X^e − X^i)^+ |

Reading comes before writing, so a token never meets its own trace: σ as `spread` reads it is Σ_{τ<t} y_{τ,l-1} x_{τ,l}^T U^{t-τ} (Eq. 16).

The tests show numerically, to rounding: Observation 1 (these rounds are Eq. 6, with any G_s and a u for every synapse), Observation 4 (the norm-free
tensor form, Eq. 7, is the same system: same x, same y, ρ = E σ), Claim 3 and a form of Claim 4 (`with_hubs`: 2d more neurons, 5nd edges, 2nd synapses).

Where Table 1 and Eq. 6 part, this file follows Eq. 6. (1) Read by its letters, Table 1 writes Y(i), X(j) → σ(i,j), which turns the synapse round;
Eq. 6 and the paper's section 2.4 have the pulse x at its near end. (2) Fading after the reading, as the table may also be read, spares every trace one u.

Rotary positions are not local rules. Appendix C.1 takes U diagonal: a synapse fades by itself. A rotation mixes the synapses of two neurons, which is
a rule on three nodes, and makes them negative. The algebra does not care: ρ = E σ holds for every U, as U acts from the right and E from the left,
and storing absolute phases (turned x both written and read, u = 1) gives the same x and y, as a test shows.

The released code is another system. It keeps its residual in v, d wide, and makes x anew in each step; here x adds up over the layers and v = E y.
It normalises (LayerNorm compares all neurons at once: not local) and turns instead of fading. Its state is not E σ of these rules.

Axes: N neurons, D width (the low rank), L layers. Matrices act on columns: M_NN[j, i] is the weight of the edge from i to j, the paper's M(i,j).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdh_reason.errors import UserError


@dataclass(frozen=True)
class Circuit:
    """Excitatory and inhibitory edges among the same neurons; weights are never negative, a missing edge is a zero."""

    excite_NN: np.ndarray
    inhibit_NN: np.ndarray

    def __call__(self, pulse_N: np.ndarray) -> np.ndarray:
        """What is left of excitation after inhibition, at each neuron: (e − i)^+."""
        return positive(self.excite_NN @ pulse_N - self.inhibit_NN @ pulse_N)


@dataclass(frozen=True)
class Graph:
    """The parameters of BDH, the same for all layers, float64 [N, N] each.

    `Gs_NN` says which synapses exist and how fast they learn, `u_NN` what share of a synapse a token leaves, 0 to 1. `relay_NN` are plain wires
    for Y, all zero in Table 1; `with_hubs` needs them. Raises UserError for other shapes, negative or infinite weights, u above 1.
    """

    Gx: Circuit
    Gy: Circuit
    Gs_NN: np.ndarray
    u_NN: np.ndarray
    relay_NN: np.ndarray

    def __post_init__(self) -> None:
        square = (len(self.Gs_NN), len(self.Gs_NN))
        matrices = (self.Gx.excite_NN, self.Gx.inhibit_NN, self.Gy.excite_NN, self.Gy.inhibit_NN, self.Gs_NN, self.u_NN, self.relay_NN)
        if any(matrix.shape != square for matrix in matrices):
            raise UserError(f"matrices of shapes {[matrix.shape for matrix in matrices]}", f"{square}, the shape that Gs has, for all seven, and square")
        if not all(np.isfinite(matrix).all() and (matrix >= 0).all() for matrix in matrices):
            raise UserError("a negative or infinite weight", "weights from 0 on", "a negative weight belongs, with its sign turned, in the inhibitory circuit")
        if (self.u_NN > 1).any():
            raise UserError(f"u = {self.u_NN.max()}", "0 to 1: the share of a synapse that stays after a token")


@dataclass(frozen=True)
class State:
    """Everything that changes: three numbers at a neuron, and at a synapse one number for each layer."""

    X_N: np.ndarray
    Y_N: np.ndarray
    A_N: np.ndarray
    sigma_LNN: np.ndarray


def positive(values: np.ndarray) -> np.ndarray:
    """(z)^+, the threshold: how a neuron compares is left open, as in the paper."""
    return np.maximum(values, 0)


def silence(neurons: int, layers: int) -> np.ndarray:
    """The synapses [L, N, N] before the first token: all zero."""
    return np.zeros((layers, neurons, neurons))


def spread(graph: Graph, state: State, layer: int) -> State:
    """Round 4l, inference from state: synapses fade, then X(i), σ(i,j) → A(j)."""
    sigma_LNN = state.sigma_LNN.copy()
    sigma_LNN[layer] *= graph.u_NN
    return replace(state, A_N=state.A_N + sigma_LNN[layer] @ state.X_N, sigma_LNN=sigma_LNN)


def write(graph: Graph, state: State, layer: int) -> State:
    """Round 4l+1, Hebbian learning: X(i), Y(j) → σ(i,j) where G_s has a synapse; Y is the pulse of the layer before and then ends."""
    sigma_LNN = state.sigma_LNN.copy()
    sigma_LNN[layer] += graph.Gs_NN * np.outer(state.Y_N, state.X_N)
    return replace(state, Y_N=np.zeros_like(state.Y_N), sigma_LNN=sigma_LNN)


def compete(graph: Graph, state: State, layer: int) -> State:
    """Round 4l+2: what was read excites and inhibits, and of the neurons above threshold those win that are active in X."""
    return replace(state, Y_N=state.Y_N + graph.Gy(state.A_N) * state.X_N, A_N=np.zeros_like(state.A_N))


def recruit(graph: Graph, state: State, layer: int) -> State:
    """Round 4l+3, inference from parameters: the winners' pulses excite and inhibit X, through hubs where there are some (Observation 5)."""
    Y_N = state.Y_N + graph.relay_NN @ state.Y_N
    return replace(state, X_N=state.X_N + graph.Gx(Y_N), Y_N=Y_N)


ROUNDS = (spread, write, compete, recruit)


def token(graph: Graph, sigma_LNN: np.ndarray, x_N: np.ndarray, y_N: np.ndarray) -> list[State]:
    """One token through all layers: the state on arrival, then after each of the 4L rounds; `[-1].sigma_LNN` is the memory for the next token.

        sigma_LNN = silence(neurons, layers)
        for y_N in pulses:
            sigma_LNN = token(graph, sigma_LNN, np.zeros(neurons), y_N)[-1].sigma_LNN

    x_N and y_N are x_{t,0} and y_{t,0} of Eq. 6; the paper leaves open what X is between tokens, zero is a plain choice. Arriving is one `recruit`,
    so with layers counted from 1, `states[4 * l - 4].X_N` is x_{t,l}, the synapses of layer l at `states[4 * l - 3]` are σ_{t-1,l} as they were read,
    and `states[4 * l - 1].Y_N` is y_{t,l}. The last X is what Table 1 hands to the reader.
    """
    states = [recruit(graph, State(x_N, y_N, np.zeros_like(x_N), sigma_LNN), 0)]
    for layer in range(len(sigma_LNN)):
        for step in ROUNDS:
            states.append(step(graph, states[-1], layer))
    return states


def from_low_rank(Dx_ND: np.ndarray, Dy_ND: np.ndarray, E_DN: np.ndarray, u_N: np.ndarray) -> Graph:
    """The graph that is the norm-free model (Observation 4, Eq. 9): G^e and G^i are the positive and negative parts of D E, every synapse exists.

    u_N is the diagonal of U. Raises UserError where shapes or u do not fit.
    """
    neurons = _neurons(Dx_ND, Dy_ND, E_DN, u_N)
    Gx, Gy = (Circuit(positive(D_ND @ E_DN), positive(-D_ND @ E_DN)) for D_ND in (Dx_ND, Dy_ND))
    return Graph(Gx, Gy, np.ones((neurons, neurons)), np.tile(u_N, (neurons, 1)), np.zeros((neurons, neurons)))


def with_hubs(Dx_ND: np.ndarray, Dy_ND: np.ndarray, E_DN: np.ndarray, u_N: np.ndarray) -> Graph:
    """The same model with O(nd) edges and synapses in place of n² (Claims 3 and 4): after the n neurons come 2d hubs, one per sign of E's rows.

    Y goes to the hubs, h = (E^+ y, E^- y), and from there to X; only hubs have synapses, which hold (E^+ σ, E^- σ), so ρ is the first half less the
    second; what is read arrives at the hubs and goes on to Y. An embedding v needs no y: it can arrive at the hubs as (v^+, v^-). The paper's Claim 4
    pays for the way to the hubs with a second layer, this graph with a second hop in round 4l+3. Raises UserError where shapes or u do not fit.
    """
    neurons, hubs = _neurons(Dx_ND, Dy_ND, E_DN, u_N), 2 * len(E_DN)
    to_hubs, from_hubs = ((neurons, 0), (0, hubs)), ((0, hubs), (neurons, 0))

    def circuit(D_ND: np.ndarray) -> Circuit:
        parts = positive(D_ND), positive(-D_ND)
        return Circuit(np.pad(np.hstack(parts), from_hubs), np.pad(np.hstack(parts[::-1]), from_hubs))

    relay_NN = np.pad(np.vstack([positive(E_DN), positive(-E_DN)]), to_hubs)
    u_NN = np.tile(np.append(u_N, np.ones(hubs)), (neurons + hubs, 1))
    return Graph(circuit(Dx_ND), circuit(Dy_ND), np.pad(np.ones((hubs, neurons)), to_hubs), u_NN, relay_NN)


def _neurons(Dx_ND: np.ndarray, Dy_ND: np.ndarray, E_DN: np.ndarray, u_N: np.ndarray) -> int:
    """N, after a look at the shapes."""
    if not (Dx_ND.ndim == 2 and Dx_ND.shape == Dy_ND.shape == E_DN.shape[::-1] and u_N.shape == Dx_ND.shape[:1]):
        raise UserError(f"Dx {Dx_ND.shape}, Dy {Dy_ND.shape}, E {E_DN.shape}, u {u_N.shape}", "Dx and Dy [n, d], E [d, n], u [n]")
    return len(Dx_ND)
