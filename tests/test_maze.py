import networkx
import numpy as np
import pytest

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.maze import Config, Task

SMALL, MEDIUM = Task(Config(5)), Task(Config(13))
#   S..   two ways of equal length around the block, none through it
RING = "S....", ".###.", ".###.", ".###.", "....G"


def as_bytes(*rows):
    return np.array([list("".join(rows).encode())], np.uint8)


def graph(prompt_T, size):
    """The free cells, joined to their neighbours; the ends."""
    cells = prompt_T.reshape(size, size)
    free = networkx.grid_2d_graph(size, size)
    free.remove_nodes_from([tuple(place) for place in np.argwhere(cells == ord("#"))])
    return free, *(tuple(np.argwhere(cells == ord(end))[0]) for end in "SG")


@pytest.mark.parametrize("size", [5, 9, 21])
def test_the_one_shortest_way_is_the_target_and_difficulty_its_detour(size):
    problems = Task(Config(size)).generate(generator(0, "test"), 30)
    for prompt_T, target_T, difficulty in zip(problems.prompt, problems.target, problems.difficulty):
        free, start, goal = graph(prompt_T, size)
        (way,) = networkx.all_shortest_paths(free, start, goal)
        assert {tuple(place) for place in np.argwhere(target_T.reshape(size, size) == ord("o"))} == set(way[1:-1])
        assert len(way) - 1 >= size
        assert difficulty == len(way) - 1 - abs(start[0] - goal[0]) - abs(start[1] - goal[1])


def test_most_mazes_have_several_ways_and_all_cells_are_connected():
    free = [graph(prompt_T, 13)[0] for prompt_T in MEDIUM.generate(generator(0, "test"), 30).prompt]
    assert all(networkx.is_connected(maze) for maze in free)
    assert np.mean([maze.number_of_edges() >= maze.number_of_nodes() for maze in free]) > 0.9


def test_shortest_ways_are_counted_as_listing_them_does():
    problems, rng = MEDIUM.generate(generator(0, "test"), 60), generator(1, "test")
    prompt_NT = np.where((problems.prompt == ord("#")) & (rng.random(problems.prompt.shape) < 0.3), ord("."), problems.prompt).astype(np.uint8)
    prompt_NT = np.where((prompt_NT == ord(".")) & (rng.random(prompt_NT.shape) < 0.1), ord("#"), prompt_NT).astype(np.uint8)
    counts = []
    for prompt_T in prompt_NT:
        free, start, goal = graph(prompt_T, 13)
        counts.append(min(2, sum(1 for _ in networkx.all_shortest_paths(free, start, goal))) if networkx.has_path(free, start, goal) else 0)
    assert MEDIUM.solutions(prompt_NT).tolist() == counts
    assert set(counts) == {0, 1, 2}


def test_any_shortest_way_is_right_and_nothing_else():
    prompt = as_bytes(*RING)
    first, second = ("Soooo", "-###o", "-###o", "-###o", "----G"), ("S----", "o###-", "o###-", "o###-", "ooooG")
    both, part = ("Soooo", "o###o", "o###o", "o###o", "ooooG"), ("Sooo-", "-###o", "-###o", "-###o", "----G")
    open_end = ("Soooo", "-###o", "-###o", "-###o", "---oG")
    for reply, expected in ((first, True), (second, True), (both, False), (part, False), (open_end, False)):
        assert SMALL.verify(prompt, as_bytes(*reply)).tolist() == [expected]
    assert SMALL.solutions(prompt).tolist() == [2]
    with pytest.raises(UserError, match="line 1: the problem has several solutions"):
        SMALL.read("".join(RING), "maze.txt")


def test_a_way_that_is_longer_than_need_be_is_wrong():
    prompt = as_bytes("S...G", ".###.", ".....", "#####", "#####")
    assert SMALL.verify(prompt, as_bytes("SoooG", "-###-", "-----", "#####", "#####")).all()
    assert not SMALL.verify(prompt, as_bytes("S---G", "o###o", "ooooo", "#####", "#####")).any()


@pytest.mark.parametrize(
    "rows", [("S....",) * 5, ("G....",) + (".....",) * 4, ("S##..", "###..", ".....", ".....", "....G"), ("S...G", "#x###") + ("#####",) * 3]
)
def test_what_is_no_maze_with_a_way_has_no_solution(rows):
    assert SMALL.solutions(as_bytes(*rows)).tolist() == [0]
    assert not SMALL.verify(as_bytes(*rows), as_bytes(*(row.replace(".", "o") for row in rows))).any()
    with pytest.raises(UserError, match="has no way as maze with Config"):
        SMALL.solve(as_bytes(*rows))


def test_exchanged_ends_are_the_same_family():
    problems = MEDIUM.generate(generator(0, "test"), 20)
    swapped_NT = np.frombuffer(bytes.maketrans(b"SG", b"GS"), np.uint8)[problems.prompt]
    assert np.array_equal(MEDIUM.canonical(swapped_NT), problems.family)
    assert len(np.unique(problems.family)) == 20


def test_cells_are_related_to_their_neighbours_and_themselves():
    (mask_TT,) = SMALL.board("cells", "grid").mask_RTT
    assert np.flatnonzero(mask_TT[0]).tolist() == [0, 1, 5]
    assert np.flatnonzero(mask_TT[12]).tolist() == [7, 11, 12, 13, 17]


@pytest.mark.parametrize("size", [3, 12, 65, 9.0, "9"])
def test_other_sizes_are_refused(size):
    with pytest.raises(UserError, match="size"):
        Config(size)
