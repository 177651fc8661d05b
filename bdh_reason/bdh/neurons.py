"""Measures of a directed graph of neurons: its strongest edges, the tails of its degrees, its communities, and the random graphs it is held against.

Graphs are bool [n, n], from row to column, without loops. Axes: n neurons, d width, M edges, K neurons of a tail, Q different degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

LEAST = 25  # neurons that a tail must have
SWAPS = 10  # swaps tried for each edge


def strongest(G_nn: np.ndarray, edges: int) -> tuple[np.ndarray, float]:
    """The `edges` largest positive weights between different neurons, or all of them where there are fewer, and the smallest that was taken."""
    weight_nn = np.maximum(G_nn, 0)
    np.fill_diagonal(weight_nn, 0)
    edges = min(edges, int(np.count_nonzero(weight_nn)))
    graph_nn, taken_M = np.zeros(G_nn.shape, bool), np.argpartition(weight_nn, -max(edges, 1), axis=None)[weight_nn.size - edges :]
    graph_nn.flat[taken_M] = True
    return graph_nn, float(weight_nn.flat[taken_M].min(initial=np.inf))


def same_degrees(graph_nn: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A random graph in which every neuron has its in- and its out-degree: pairs of edges swap their ends where that makes no loop and no double edge."""
    swapped_nn, (source_M, target_M) = graph_nn.copy(), np.nonzero(graph_nn)
    _swap(swapped_nn, source_M, target_M, draw.integers(0, max(len(source_M), 1), (SWAPS * len(source_M), 2)))
    return swapped_nn


@njit(cache=True, nogil=True)
def _swap(graph_nn: np.ndarray, source_M: np.ndarray, target_M: np.ndarray, pairs_P2: np.ndarray) -> None:
    for one, other in pairs_P2:
        a, b, c, d = source_M[one], target_M[one], source_M[other], target_M[other]
        if a != d and c != b and not graph_nn[a, d] and not graph_nn[c, b]:
            graph_nn[a, b] = graph_nn[c, d] = False
            graph_nn[a, d] = graph_nn[c, b] = True
            target_M[one], target_M[other] = d, b


def gaussian(n: int, d: int, edges: int, draw: np.random.Generator) -> np.ndarray:
    """The strongest edges of a product of two Gaussian matrices, [n, d] times [d, n]."""
    return strongest(draw.standard_normal((n, d), np.float32) @ draw.standard_normal((d, n), np.float32), edges)[0]


def communities(graph_nn: np.ndarray, seed: int) -> np.ndarray:
    """int64 [n]: the community of each neuron that Louvain's method finds (Blondel 2008, the directed form, by networkx); neurons without edges are alone."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(graph_nn)))
    graph.add_edges_from(np.argwhere(graph_nn).tolist())
    community_n = np.empty(len(graph_nn), np.int64)
    for number, members in enumerate(nx.community.louvain_communities(graph, weight=None, seed=seed)):
        community_n[list(members)] = number
    return community_n


def modularity(graph_nn: np.ndarray, community_n: np.ndarray) -> float:
    """The share of edges inside communities less what it would be by degrees alone (Leicht and Newman 2008); 0 for a graph without edges."""
    count = int(community_n.max()) + 1
    out_C, in_C = (np.bincount(community_n, graph_nn.sum(axis), count) for axis in (1, 0))
    edges, inside = graph_nn.sum(), graph_nn[community_n[:, None] == community_n].sum()
    return float(inside / edges - out_C @ in_C / edges**2) if edges else 0.0


@dataclass(frozen=True)
class Tail:
    """A power law k^-exponent for degrees k ≥ cutoff (Clauset, Shalizi and Newman 2009, discrete).

    error: of the exponent · neurons: in the tail · distance: Kolmogorov–Smirnov · ratio, p: the logarithm of the likelihood over that of a geometric
    tail, and Vuong's two-sided p of it; below 0 the geometric one fits better.
    """

    exponent: float
    error: float
    cutoff: int
    neurons: int
    distance: float
    ratio: float
    p: float


def tail(degree_n: np.ndarray) -> Tail | None:
    """The power law, by maximum likelihood, whose cut-off gives the least Kolmogorov–Smirnov distance, among tails of at least 25 neurons and 3 degrees.

    None where there is no such tail.
    """
    fits = []
    for cutoff in np.unique(degree_n[degree_n > 0])[:-2]:
        degree_K = degree_n[degree_n >= cutoff]
        if len(degree_K) >= LEAST:
            fits.append(_fit(degree_K, int(cutoff)))
    return min(fits, key=lambda fit: fit.distance, default=None)


def _fit(degree_K: np.ndarray, cutoff: int) -> Tail:
    from scipy.optimize import minimize_scalar
    from scipy.special import zeta

    mean_log = float(np.log(degree_K).mean())
    exponent = float(minimize_scalar(lambda a: a * mean_log + math.log(zeta(a, cutoff)), bounds=(1.01, 30), method="bounded").x)
    value_Q, count_Q = np.unique(degree_K, return_counts=True)
    left_Q = 1 - zeta(exponent, value_Q + 1) / zeta(exponent, cutoff)
    distance = float(np.abs(np.cumsum(count_Q) / len(degree_K) - left_Q).max())
    excess = float(degree_K.mean()) - cutoff
    geometric_K = (degree_K - cutoff) * math.log(excess / (1 + excess)) - math.log(1 + excess)
    gain_K = -exponent * np.log(degree_K) - math.log(zeta(exponent, cutoff)) - geometric_K
    p = math.erfc(abs(float(gain_K.sum())) / (float(gain_K.std()) * math.sqrt(2 * len(gain_K))))
    return Tail(exponent, (exponent - 1) / math.sqrt(len(degree_K)), cutoff, len(degree_K), distance, float(gain_K.sum()), p)
