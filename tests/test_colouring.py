import numpy as np
import pytest

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.colouring import Config, Task

TASK = Task(Config(10))


def parts(task, text):
    pairs = [text[start : start + 2] for start in range(0, len(text), 2)]
    return pairs[: task.edges_E], dict(pairs[task.edges_E :])


@pytest.mark.parametrize("nodes", [10, 25, 52])
def test_graphs_are_simple_planted_and_of_three_classes_of_a_size(nodes):
    task = Task(Config(nodes))
    for target_T in task.generate(generator(0, "test"), 10).target:
        edges, colour = parts(task, target_T.tobytes().decode())
        assert len({frozenset(edge) for edge in edges}) == len(edges) == 5 * nodes // 2
        assert all(colour[a] != colour[b] for a, b in edges)
        sizes = [list(colour.values()).count(symbol) for symbol in "123"]
        assert max(sizes) - min(sizes) <= 1


def test_any_proper_colouring_that_keeps_the_given_part_is_right():
    target = TASK.generate(generator(0, "test"), 1).target[0].tobytes().decode()
    edges, colour = parts(TASK, target)
    renamed = "".join(edges) + "".join(node + "231"["123".index(symbol)] for node, symbol in colour.items())
    empty = "".join(edges) + "".join(node + "." for node in colour)
    prompts, replies = (np.array([list(text.encode()) for text in texts], np.uint8) for texts in ((empty, empty, target), (target, renamed, renamed)))
    assert TASK.verify(prompts, replies).tolist() == [True, True, False]
    assert TASK.solutions(prompts).tolist() == [2, 2, 1]
    assert TASK.difficulty(prompts[:1])[0] > 0


def test_a_changed_edge_is_another_family_and_the_order_of_edges_is_not():
    problems = TASK.generate(generator(0, "test"), 30)
    turned_NT = problems.prompt.copy()
    turned_NT[:, :4] = problems.prompt[:, [2, 3, 1, 0]]
    assert np.array_equal(TASK.canonical(turned_NT), problems.family)
    twice_NT = problems.prompt.copy()
    twice_NT[:, :2] = problems.prompt[:, 2:4]
    assert (TASK.canonical(twice_NT) != problems.family).all()


def test_the_picture_lists_edges_and_then_nodes():
    prompt = "gfhaiebhfiajehdhjejbfefhjhjifaedcdadgdchgciajcdbaga.b3c.d2e.f.g.h.i.j."
    assert TASK.picture(prompt).splitlines() == [
        "gf ha ie bh fi aj eh dh je jb",
        "fe fh jh ji fa ed cd ad gd ch",
        "gc ia jc db ag",
        "a. b3 c. d2 e. f. g. h. i. j.",
    ]


def test_on_a_grid_heads_see_the_pair_or_everything_and_a_sequence_has_no_relations():
    pair_TT, every_TT = TASK.board("cells", "grid").mask_RTT
    assert [tuple(np.flatnonzero(seen_T)) for seen_T in pair_TT[:4]] == [(0, 1), (0, 1), (2, 3), (2, 3)]
    assert pair_TT.sum() == 2 * TASK.positions
    assert every_TT.all()
    assert not TASK.board("cells", "sequence").relations


@pytest.mark.parametrize("nodes", [9, 53, 12.0, True])
def test_other_numbers_of_nodes_are_refused(nodes):
    with pytest.raises(UserError, match="nodes"):
        Config(nodes)
