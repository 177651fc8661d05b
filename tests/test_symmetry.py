"""Families against a list of all guises."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from strategies import seeds

from bdh_reason.rng import generator
from bdh_reason.symmetry import NOBODY, of_square, refined

BOARDS = np.array(list(product(b"ab", repeat=9)), np.uint8)
EXCHANGE = bytes.maketrans(b"ab", b"ba")


def guises(group, board_T):
    return {rename_B[board_T[place_T]].tobytes() for place_T, rename_B in zip(group.place_GT, group.rename_GB)}


@pytest.mark.parametrize(("group", "size", "classes"), [(of_square(3), 8, 102), (of_square(3).doubled(EXCHANGE), 16, 51)], ids=["square", "exchanged"])
def test_two_boards_are_of_one_family_exactly_where_one_is_a_guise_of_the_other(group, size, classes):
    seen = [guises(group, board_T) for board_T in BOARDS]
    assert max(map(len, seen)) == size
    assert len({min(images) for images in seen}) == classes  # known by Burnside's lemma
    family_N = group.family(BOARDS)
    assert len(np.unique(family_N)) == classes
    for images, family in zip(seen, family_N):
        assert (group.family(np.array([list(image) for image in images], np.uint8)) == family).all()


def test_random_guises_are_shared_by_all_arrays_of_a_row_and_all_of_them_come():
    group = of_square(3).doubled(EXCHANGE)
    board_NT = np.tile(np.frombuffer(b"aabababbb", np.uint8), (400, 1))
    same_NT = np.tile(np.arange(9, dtype=np.uint8), (400, 1))
    one_NT, place_NT = group.transform(generator(0, "test"), board_NT, same_NT)
    assert {row.tobytes() for row in one_NT} == guises(group, board_NT[0])
    moved_NT = np.take_along_axis(board_NT, place_NT.astype(int), 1)
    exchanged_N = moved_NT[:, 0] != one_NT[:, 0]
    assert ((moved_NT != one_NT) == exchanged_N[:, None]).all()
    assert exchanged_N.any()
    assert not exchanged_N.all()


def triples(*edges, of=6):
    """Edges as triples with a vertex of their own kind, and the colours of all vertices."""
    return np.array([[(*edge, of) for edge in edges]], np.int16), np.append(np.zeros(of, np.uint64), np.uint64(1))


RING = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
TRIANGLES = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
PATH = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 4)]


@given(seeds)
def test_renaming_vertices_and_reordering_triples_changes_no_family(seed):
    rng = np.random.default_rng(seed)
    triple_1E3, colour_V = triples(*PATH)
    name_V = np.append(rng.permutation(6), 6)
    other_1E3 = rng.permuted(name_V[rng.permuted(triple_1E3, axis=2)][:, rng.permutation(6)], axis=2).astype(np.int16)
    assert refined(other_1E3, colour_V) == refined(triple_1E3, colour_V)


def test_refinement_tells_graphs_apart_but_not_regular_ones():
    ring, triangles, path = (refined(*triples(*edges))[0] for edges in (RING, TRIANGLES, PATH))
    assert ring != path
    assert ring == triangles  # merged at worst: what colour refinement cannot see


def test_a_triple_that_is_not_there_does_not_count_and_colours_do():
    triple_1E3, colour_V = triples(*PATH)
    longer_1E3 = np.concatenate([triple_1E3, [[(NOBODY, 3, 2)]]], 1).astype(np.int16)
    assert refined(longer_1E3, colour_V) == refined(triple_1E3, colour_V)
    assert refined(triple_1E3[:, 1:], colour_V) != refined(triple_1E3, colour_V)
    colour_V[0] = 2
    assert refined(triple_1E3, colour_V) != refined(*triples(*PATH))
