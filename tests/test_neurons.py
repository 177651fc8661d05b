import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import zeta

from bdh_reason.bdh.neurons import Tail, communities, gaussian, modularity, same_degrees, strongest, tail

seeds = st.integers(0, 2**32 - 1)
HALVES = np.repeat([0, 1], 40)


def sparse(seed, n=30, share=0.15):
    graph_nn = np.random.default_rng(seed).random((n, n)) < share
    np.fill_diagonal(graph_nn, False)
    return graph_nn


def planted(seed):
    """Two communities of 40 neurons: an edge inside is ten times as likely as one between them."""
    likely_nn = np.where(HALVES[:, None] == HALVES, 0.2, 0.02)
    graph_nn = np.random.default_rng(seed).random(likely_nn.shape) < likely_nn
    np.fill_diagonal(graph_nn, False)
    return graph_nn


@given(seeds, st.integers(0, 130))
def test_the_strongest_edges_are_the_largest_positive_weights_between_different_neurons(seed, edges):
    G_nn = np.random.default_rng(seed).standard_normal((11, 11))
    graph_nn, threshold = strongest(G_nn, edges)
    weights = sorted((G_nn[i, j] for i in range(11) for j in range(11) if i != j and G_nn[i, j] > 0), reverse=True)[:edges]
    assert sorted(G_nn[graph_nn], reverse=True) == weights
    assert threshold == min(weights, default=np.inf)


@given(seeds, st.sampled_from([0.0, 0.02, 0.15, 0.6, 1.0]))
def test_swapping_keeps_every_degree_and_makes_no_loop(seed, share):
    graph_nn = sparse(seed, share=share)
    swapped_nn = same_degrees(graph_nn, np.random.default_rng(seed))
    for axis in (0, 1):
        np.testing.assert_array_equal(swapped_nn.sum(axis), graph_nn.sum(axis))
    assert not swapped_nn.diagonal().any()
    if share == 0.15:
        assert (swapped_nn != graph_nn).mean() > 0.1


@given(seeds)
def test_modularity_is_that_of_networkx(seed):
    graph_nn, community_n = sparse(seed), np.random.default_rng(seed).integers(0, 4, 30)
    graph = nx.from_numpy_array(graph_nn, create_using=nx.DiGraph)
    parts = [set(np.flatnonzero(community_n == part).tolist()) for part in np.unique(community_n)]
    assert modularity(graph_nn, community_n) == pytest.approx(nx.community.modularity(graph, parts, weight=None))
    assert modularity(np.zeros((30, 30), bool), community_n) == 0


def test_planted_communities_are_found_and_swapping_or_a_gaussian_product_has_none():
    graph_nn, draw = planted(0), np.random.default_rng(0)
    found_n = communities(graph_nn, 0)
    assert abs(np.corrcoef(found_n > 0, HALVES)[0, 1]) == 1
    assert modularity(graph_nn, found_n) > 0.35
    for null_nn in (same_degrees(graph_nn, draw), gaussian(80, 80, int(graph_nn.sum()), draw)):
        assert null_nn.sum() == graph_nn.sum()
        assert modularity(null_nn, communities(null_nn, 0)) < 0.25
        assert modularity(null_nn, HALVES) == pytest.approx(0, abs=0.1)


def test_communities_are_a_function_of_the_seed():
    graph_nn = sparse(1, n=60)
    np.testing.assert_array_equal(communities(graph_nn, 3), communities(graph_nn, 3))
    assert len({communities(graph_nn, seed).tobytes() for seed in range(5)}) > 1


def test_a_power_law_is_recovered_and_preferred_to_a_geometric_tail():
    draw = np.random.default_rng(0)
    fit = tail(draw.zipf(2.5, 4000))
    assert abs(fit.exponent - 2.5) < 4 * fit.error
    assert fit.cutoff < 8
    assert fit.ratio > 0
    assert fit.p < 0.05
    fit = tail(draw.geometric(0.1, 4000))
    assert fit.ratio < 0 or fit.p > 0.05


def test_the_exponent_is_the_likeliest_and_the_numbers_are_those_of_the_definition():
    """Degrees 1, 1, … by hand: the likelihood on a grid, the distance and the error from their definitions."""
    degree_n = np.repeat([1, 2, 3], [30, 8, 2])
    fit = tail(degree_n)
    grid = np.linspace(1.5, 5, 3501)
    likelihood = -grid * np.log(degree_n).sum() - len(degree_n) * np.log(zeta(grid, 1))
    assert fit.exponent == pytest.approx(grid[likelihood.argmax()], abs=0.002)
    model_Q = np.cumsum(np.array([1, 2, 3.0]) ** -fit.exponent) / zeta(fit.exponent, 1)
    expected = {"cutoff": 1, "neurons": 40, "error": (fit.exponent - 1) / 40**0.5, "distance": np.abs(np.array([30, 38, 40]) / 40 - model_Q).max()}
    assert {name: getattr(fit, name) for name in expected} == pytest.approx(expected)
    assert isinstance(fit, Tail)


@pytest.mark.parametrize("degree_n", [np.full(100, 7), np.zeros(100, int), np.repeat([1, 2], 50), np.arange(20)])
def test_no_tail_is_fitted_to_too_few_degrees_or_neurons(degree_n):
    assert tail(degree_n) is None
