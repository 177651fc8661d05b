"""Words in groups against permutations that move things about, and the laws that groups and automorphisms obey."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.groups import GROUPS, Config, Task, group

ORDERS = {"Z2": (2, 1), "Z60": (60, 16), "A5": (60, 120), "S5": (120, 120)}


@pytest.mark.parametrize("name", GROUPS)
def test_the_tables_are_groups_of_the_right_order(name):
    product_GG = group(name).product_GG.astype(int)
    order = len(product_GG)
    assert order == ORDERS[name][0]
    assert np.array_equal(product_GG[0], np.arange(order)), "element 0 is the identity"
    assert (np.sort(product_GG, 1) == np.arange(order)).all(), "dividing is possible"
    assert np.array_equal(product_GG[product_GG], product_GG[:, product_GG]), "(ab)c = a(bc)"
    assert np.array_equal(product_GG, product_GG.T) == name.startswith("Z")


@pytest.mark.parametrize("name", GROUPS)
def test_automorphisms_are_all_different_and_keep_products(name):
    product_GG, automorphism_AG = (table.astype(int) for table in group(name))
    assert len(np.unique(automorphism_AG, axis=0)) == ORDERS[name][1]
    for image_G in automorphism_AG:
        assert np.array_equal(image_G[product_GG], product_GG[image_G][:, image_G])


def test_a5_is_simple_and_s5_is_not():
    """The normal subgroup that one element generates: its conjugates, multiplied until nothing is new."""

    def normal_closure(name, element):
        product_GG, _ = group(name)
        inverse_G = np.argmin(product_GG, 1)
        known = {int(product_GG[product_GG[inverse_G[g], element], g]) for g in range(len(product_GG))}
        while (grown := known | {int(product_GG[a, b]) for a, b in product(known, known)}) != known:
            known = grown
        return len(known)

    assert {normal_closure("A5", element) for element in range(1, 60)} == {60}
    assert {normal_closure("S5", element) for element in range(1, 120)} == {60, 120}


def test_products_in_s5_move_five_things_one_permutation_after_the_other():
    from itertools import permutations

    all_permutations = list(permutations(range(5)))
    task = Task(Config("S5", 50))
    problems = task.generate(generator(0, "test"), 20)
    letters = task.symbols.decode("latin-1")
    for prompt_T, target_T in zip(problems.prompt, problems.target):
        place = list(range(5))  # where each of five things is
        for element, running in zip(prompt_T[::2], target_T[1::2]):
            place = [all_permutations[letters.index(chr(element))][where] for where in place]
            assert all_permutations[letters.index(chr(running))] == tuple(place)


@pytest.mark.parametrize(("name", "modulus"), [("Z2", 2), ("Z60", 60)])
def test_products_in_cyclic_groups_are_sums(name, modulus):
    task = Task(Config(name, 40))
    problems = task.generate(generator(0, "test"), 20)
    number_NL, running_NL = (np.vectorize(task.symbols.index)(byte_NT) for byte_NT in (problems.prompt[:, ::2], problems.target[:, 1::2]))
    assert np.array_equal(running_NL, np.cumsum(number_NL, 1) % modulus)


@given(seeds, st.sampled_from(["Z60", "A5", "S5"]))
def test_two_words_are_one_family_if_and_only_if_an_automorphism_takes_one_to_the_other(seed, name):
    task, rng = Task(Config(name, 4)), np.random.default_rng(seed)
    few = rng.integers(0, len(task.symbols), 3)
    word_NL = np.concatenate([rng.choice(few, (12, 4)), rng.integers(0, len(task.symbols), (4, 4))])
    prompt_NT = np.full((16, 8), ord("."), np.uint8)
    prompt_NT[:, ::2] = np.frombuffer(task.symbols, np.uint8)[word_NL]
    family_N = task.canonical(prompt_NT)
    images_NAL = group(name).automorphism_AG[:, word_NL].swapaxes(0, 1)
    same_NN = (images_NAL[:, None] == word_NL[None, :, None]).all(-1).any(-1)
    assert np.array_equal(family_N[:, None] == family_N, same_NN)


def test_z2_has_no_symmetry_and_few_problems():
    task = Task(Config("Z2", 4))
    problems = task.generate(generator(0, "test"), 500)
    assert task.augment(generator(1, "test"), problems) is problems
    assert len(np.unique(problems.family)) == 16


def test_all_elements_occur_everywhere_about_alike():
    counts_G = np.bincount(Task(Config("S5", 64)).sample(generator(0, "test"), 2_000)[:, ::2].ravel(), minlength=256)
    assert np.count_nonzero(counts_G) == 120
    assert counts_G[counts_G > 0].min() > 0.8 * 2_000 * 64 / 120


@pytest.mark.parametrize("options", [{"group": "S4"}, {"length": 3}, {"length": 1025}])
def test_a_group_or_a_length_that_is_not_there_is_the_users_mistake(options):
    with pytest.raises(UserError, match=next(iter(options))):
        Config(**options)
