"""Gaps on the same problems: tests against scipy and against what they promise, and only what is comparable is compared."""

import base64
import json
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t
from test_table import ROW

from bdh_reason import rng
from bdh_reason.compare import paired
from bdh_reason.compare.gaps import HEAD, compare, line, table
from bdh_reason.errors import UserError
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.rows import Found

N = 40


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_less_half_of_what_was_seen(more, fewer):
    exact = binomtest(min(more, fewer), more + fewer).pvalue if more + fewer else 1.0
    seen = binomtest(more, more + fewer).pvalue - binomtest(min(more, fewer) - 1, more + fewer).pvalue if more != fewer and min(more, fewer) else 0.0
    p = paired.mcnemar(more, fewer)
    assert p == paired.mcnemar(fewer, more)
    assert 0 <= p <= exact + 1e-12
    assert (p == 1) == (more == fewer)
    if seen:
        assert p == pytest.approx(exact - seen / 2)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_flips_count_every_way_to_flip(gaps):
    sums = [abs(sum(sign * gap for sign, gap in zip(signs, gaps))) for signs in product((1, -1), repeat=len(gaps))]
    assert paired.flips(np.array(gaps)) == pytest.approx(np.mean([its >= abs(sum(gaps)) for its in sums]))


def test_flips_of_many_single_problems_agree_with_mcnemar():
    gap_U = np.array([1] * 40 + [-1] * 20 + [0] * 100)
    assert paired.flips(gap_U) == pytest.approx(binomtest(20, 60).pvalue, abs=0.005)
    assert paired.flips(np.zeros(7)) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_nor_changes_their_order(given_p):
    p_T = np.array(given_p)
    adjusted = paired.holm(p_T)
    assert (adjusted >= p_T).all()
    assert adjusted.max() <= 1
    assert (np.diff(adjusted[np.argsort(p_T)]) >= 0).all()
    assert adjusted.min() == min(1, len(p_T) * p_T.min())


def test_holm_by_hand():
    assert paired.holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_an_interval_holds_its_gap_and_lies_between_minus_one_and_one(more, fewer, others):
    n = more + fewer + others or 1
    gap, p, _ = paired.of_problems(more, fewer, n)
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert gap.value == (more - fewer) / n
    assert 0 <= p <= 1


def test_intervals_cover_and_tests_do_not_cry_wolf():
    """600 simulated exams each; at 95 % some 570 are covered, with a deviation of 5."""
    source = rng.generator(0, "coverage")

    def problems():
        first, second = source.random((2, 100)) < np.array([[0.8], [0.7]])
        return paired.of_problems(int((first & ~second).sum()), int((second & ~first).sum()), 100), 0.1

    def islands():
        easy_I1 = source.normal(0, 0.25, (20, 1))
        first, second = (source.random((20, 10)) < np.clip(0.6 + sign * easy_I1, 0, 1) for sign in (1, -1))
        return paired.of_islands((first.astype(int) - second).sum(1), np.full(20, 10), int((first != second).sum())), 0.0

    def seeds():
        gap_R1, item_U = source.normal(0, 0.05, (3, 1)), source.normal(0, 0.15, 400)
        first, second = source.random((3, 400)) < 0.6 + gap_R1 + item_U, source.random((3, 400)) < 0.5 - item_U
        return paired.of_seeds(first.astype(int) - second, np.ones(400)), 0.1

    for simulate, low in ((problems, 0.93), (islands, 0.92), (seeds, 0.91)):
        drawn = [simulate() for _ in range(600)]
        assert low < np.mean([test.gap.low <= truth <= test.gap.high for test, truth in drawn]) <= 1
        assert simulate is not islands or np.mean([test.p < 0.05 for test, _ in drawn]) < 0.08


def test_the_interval_over_seeds_is_satterthwaites_worked_out_by_hand():
    gap_RU = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 1, 0], [1, -1, 0, 1, 1]])
    gap, p, _ = paired.of_seeds(gap_RU, np.ones(5))
    seeds, units = np.var([0.4, 0.4, 0.4]) / 3, np.var(gap_RU.mean(0), ddof=1) / 5  # all seeds have the same mean: the units alone count
    reach = t.ppf(0.975, 4) * np.sqrt(seeds + units)
    assert gap == pytest.approx((0.4, 0.4 - reach, 0.4 + reach))
    assert p == pytest.approx(2 * t.sf(0.4 / np.sqrt(units), 4))
    gap_RU[2, 1] = 1
    gap, p, _ = paired.of_seeds(gap_RU, np.ones(5))
    seeds, units = np.var([0.4, 0.4, 0.8], ddof=1) / 3, np.var(gap_RU.mean(0), ddof=1) / 5
    freedom = (seeds + units) ** 2 / (seeds**2 / 2 + units**2 / 4)
    reach = t.ppf(0.975, freedom) * np.sqrt(seeds + units)
    assert gap == pytest.approx((1.6 / 3, 1.6 / 3 - reach, 1.6 / 3 + reach))
    assert p == pytest.approx(2 * t.sf(1.6 / 3 / np.sqrt(seeds + units), freedom))


def test_seeds_that_all_agree_still_have_an_interval():
    gap, p, method = paired.of_seeds(np.zeros((3, 50)), np.ones(50))
    assert gap.low < 0 < gap.high
    assert p == 1
    assert "alike" in method
    assert paired.of_seeds(np.ones((2, 2)), np.ones(2)).p == 0.5
    gap, p, _ = paired.of_seeds(np.ones((3, 8)), np.ones(8))
    assert gap.low < 1 == gap.high
    assert p == 2 / 2**8
    gap, p, method = paired.of_seeds(np.full((3, 8), 0.25), np.ones(8))  # texts: each costs a quarter of a bit a byte more
    assert (gap.low, gap.high, p) == (-np.inf, np.inf, 2 / 2**8)
    assert "Bonett" not in method
    assert paired.of_islands(np.zeros(4), np.full(4, 5), 0).gap.high > 0.1
    assert paired.of_islands(np.array([3.0]), np.array([5]), 3).gap == (0.6, -1, 1)


@given(st.integers(2, 4), st.integers(1, 12), st.integers(0, 2**32))
def test_a_gap_of_shares_and_its_interval_never_leave_minus_one_to_one(runs, units, seed):
    gap_RU = np.random.default_rng(seed).integers(-1, 2, (runs, units))
    gap, p, _ = paired.of_shares(gap_RU, np.ones(units))
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert 0 <= p <= 1
    assert gap.value == paired.of_seeds(gap_RU, np.ones(units)).gap.value


def test_two_seeds_that_disagree_or_one_problem_leave_all_shares_possible():
    gap_RU = np.repeat([[1, 0], [0, 0]], [90, 10], axis=1)
    assert paired.of_seeds(gap_RU, np.ones(100)).gap.high > 5
    assert paired.of_shares(gap_RU, np.ones(100)).gap == (0.45, -1, 1)
    assert paired.of_shares(np.ones((3, 1)), np.ones(1)).gap == (1, -1, 1)


def test_seeds_that_disagree_on_problems_are_told_within_one_and_on_texts_are_not():
    rows = [found(name, np.arange(N) < right, seed=seed) for name, of_seeds in (("a", (38, 39)), ("b", (39, 1))) for seed, right in enumerate(of_seeds)]
    (gap,) = compare(rows, "a", ["b"])
    assert (gap.test.gap.low, gap.test.gap.high) == (-1, 1)
    costs = {("a", 0): 300.0, ("a", 1): 900.0, ("b", 0): 500.0, ("b", 1): 100.0}
    rows = [
        found(
            name, [True] * 2, seed=seed, outcomes=outcomes.pack_costs(np.array([bits, bits + 9]), np.full(2, 100)), exact_match=None, bits_per_byte=bits / 100
        )
        for (name, seed), bits in costs.items()
    ]
    (gap,) = compare(rows, "a", ["b"])
    assert gap.test.gap.high > 1


@given(st.lists(st.booleans(), max_size=70))
def test_outcomes_come_back_from_their_bits(right):
    packed = outcomes.pack(np.array(right, bool))
    assert outcomes.unpack(packed, len(right)).tolist() == right
    assert len(packed) <= (len(right) / 8 + 1) * 4 / 3 + 4


def test_outcomes_of_another_number_of_problems_are_no_outcomes():
    packed = outcomes.pack(np.ones(9, bool))
    for wrong in (8, 17):
        with pytest.raises(ValueError, match=r"16 bits|for 8"):
            outcomes.unpack(packed, wrong)
    costs = outcomes.pack_costs(np.array([1.5, 2.0]), np.array([8, 16]))
    assert outcomes.unpack_costs(costs, 2).tolist() == [[1.5, 8], [2, 16]]
    with pytest.raises(ValueError, match="reshape"):
        outcomes.unpack_costs(costs, 3)


def test_the_name_of_items_depends_on_each_and_on_their_order():
    items = np.arange(12, dtype=np.uint8).reshape(4, 3)
    names = {outcomes.name(items), outcomes.name(items[::-1]), outcomes.name(items[:3]), outcomes.name([items[:1].ravel(), items[1:].ravel()])}
    assert len(names) == 4
    assert outcomes.runs(np.array([0, 0, 3, 5, 5, 5])) == [2, 1, 3]


def found(model, right, line=1, **changes):
    right_N = np.array(right, bool)
    about = {"n": len(right), "items": "abc", "data_hash": "d" * 64, "outcomes": outcomes.pack(right_N), "exact_match": float(right_N.mean()), "seed": 0}
    return Found(replace(ROW, model=model, recipe=model, **{**about, **changes}), f"rows.jsonl, line {line}")


def answers(seed, share=0.7):
    return rng.generator(seed, "answers").random(N) < share


def cells(text):
    return [dict(zip(HEAD, (cell.strip() for cell in line.strip("|").split("|")))) for line in text.split("\n\n")[0].splitlines()[2:]]


def test_two_models_are_compared_problem_by_problem():
    one, two = answers(1, 0.9), answers(2, 0.5)
    (gap,) = compare([found("a", one), found("b", two), found("b", two, difficulty="≤0"), found("c", two)], "a", ["b"])
    assert gap.alone == ((one & ~two).sum(), (two & ~one).sum())
    assert gap.test.gap.value == pytest.approx(one.mean() - two.mean())
    assert gap.scores == pytest.approx((one.mean(), two.mean()))
    (line,) = cells(table([gap]))
    assert (line["models"], line["n"], line["score"], line["beside"], line["seeds"]) == ("a − b", str(N), "exact_match", "3e-21", "1")
    assert "McNemar mid-p" in line["method"]


def test_seeds_are_paired_and_several_lines_are_corrected_together():
    rows = [found(name, answers(100 * place + seed), seed=seed) for place, name in enumerate("abc") for seed in (0, 1, 2)]
    random.Random(0).shuffle(rows)
    gaps = compare(rows, "a", ["b", "c"])
    assert [(its.models, its.seeds) for its in gaps] == [(("a", "b"), 3), (("a", "c"), 3)]
    assert [its.p_holm for its in gaps] == paired.holm(np.array([its.test.p for its in gaps])).tolist()
    assert "t over 3 seeds" in cells(table(gaps))[0]["method"]


def test_islands_are_flipped_whole():
    one, two = answers(1, 0.9), answers(2, 0.5)
    sizes = {"islands": 4, "island_sizes": [10] * 4}
    (gap,) = compare([found("a", one, **sizes), found("b", two, **sizes)], "a", ["b"])
    assert gap.test.p == paired.flips((one.astype(int) - two).reshape(4, 10).sum(1))
    assert cells(table([gap]))[0]["n"] == f"{N} on 4"


def test_texts_are_compared_document_by_document():
    bytes_n, one, two = np.full(30, 100), answers(1)[:30] * 5 + 200.0, np.full(30, 210.0)
    rows = [
        found(name, [True] * 30, outcomes=outcomes.pack_costs(bits_n, bytes_n), exact_match=None, bits_per_byte=bits_n.sum() / 3000, floor=1.9)
        for name, bits_n in (("a", one), ("b", two))
    ]
    (gap,) = compare(rows, "a", ["b"])
    assert gap.test.gap.value == pytest.approx((one.sum() - two.sum()) / 3000)
    assert gap.test.gap.low < gap.test.gap.value < gap.test.gap.high < 0
    assert gap.test.p < 1e-3
    assert cells(table([gap]))[0]["beside"] == "1.9000"


def test_one_document_leaves_the_interval_open_and_its_line_is_json():
    rows = [
        found(name, [True], outcomes=outcomes.pack_costs(np.array([bits]), np.array([100.0])), exact_match=None, bits_per_byte=bits / 100)
        for name, bits in (("a", 200.0), ("b", 210.0))
    ]
    (gap,) = compare(rows, "a", ["b"])
    assert json.loads(json.dumps(line(gap), allow_nan=False))["test"]["gap"] == {"value": pytest.approx(-0.1), "low": None, "high": None}


def test_older_rows_of_two_exams_are_told_that_they_cannot_be_compared():
    old = [found("a", answers(1), line=number, items=None, outcomes=None) for number in (1, 2)]
    with pytest.raises(UserError, match=r"line 2 does not tell what came of each problem; allowed: rows of schema version 7"):
        compare([*old, found("b", answers(2))], "a", ["b"])


def test_depths_in_common_are_compared_and_single_ones_side_by_side():
    one, two = answers(1), answers(2)
    gaps = compare([found("a", one, depth=depth) for depth in (8, 16)] + [found("b", two, depth=depth) for depth in (16, 64)], "a", ["b"])
    assert [its.depths for its in gaps] == [(16, 16)]
    gaps = compare([found("a", one, depth=8), found("b", two, depth=1)], "a", ["b"])
    assert [its.depths for its in gaps] == [(8, 1)]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"items": "xyz"}, "rows.jsonl, line 2: 40 problems xyz.*as in rows.jsonl, line 1.*evaluate both"),
        ({"data_hash": "e" * 64}, "line 2: 40 problems abc of data eeeeeeeeeeee"),
        ({"outcomes": None}, "line 2 does not tell.*evaluate again"),
        ({"config": {"box": [3, 3]}}, "b answered sudoku 9×9"),
        ({"seed": 4}, None),
        ({"difficulty": "≤0"}, "no rows of b"),
    ],
)
def test_what_cannot_be_compared_is_named_by_file_and_line(other, message):
    rows = [found("a", answers(1)), found("b", answers(2), line=2, **other)]
    if message is None:
        assert compare(rows, "a", ["b"])[0].seeds == 1
        return
    with pytest.raises(UserError, match=message):
        compare(rows, "a", ["b"])


def test_of_several_sets_of_problems_those_in_common_are_compared():
    rows = [found("a", answers(1)), found("a", answers(2), items="more"), found("b", answers(3), items="more")]
    (gap,) = compare(rows, "a", ["b"])
    assert gap.scores[0] == answers(2).mean()
    rows = [found("a", answers(seed), seed=seed) for seed in (0, 1)] + [found("b", answers(2)), found("b", answers(3), line=9, seed=1, items="more")]
    with pytest.raises(UserError, match=r"line 9: 40 problems more"):
        compare(rows, "a", ["b"])


def test_two_rows_of_one_run_are_named_until_a_step_says_which():
    rows = [found("a", answers(1)), found("b", answers(2), line=2, step=5), found("b", answers(3), line=3, step=6)]
    with pytest.raises(UserError, match=r"line 2 and rows.jsonl, line 3 are both of b, seed 0"):
        compare(rows, "a", ["b"])
    assert compare(rows, "a", ["b@6"])[0].models == ("a", "b@6")


def test_packed_bits_are_plain_base64_of_the_highest_bit_first():
    assert base64.b64decode(outcomes.pack(np.array([1, 0, 0, 0, 0, 0, 0, 1, 1], bool))) == bytes([0b10000001, 0b10000000])
