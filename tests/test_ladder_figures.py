"""Ladders are drawn as lines over size, and forests of pairs can be read."""

import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_page import BDH, evidence, told

from bdh_reason.compare.page import _figure, chart, figures, forests, ladders, page
from bdh_reason.compare.seeds import pooled

SIZES = (100_000, 300_000, 1_000_000, 3_000_000)


def cell(arch, size, seed, text=False):
    """A row of a ladder."""
    name = f"{size}-{arch}-{'text' if text else 'sudoku'}"
    row = replace(BDH, model=name, recipe=name, arch=arch, params=size, seed=seed, train_flops=size * 1e8, n=300)
    bits = 3.0 - size / 4e6 + seed / 100 + 0.2 * (arch == "bdh")
    its = {
        "task": "text",
        "exact_match": None,
        "chance": None,
        "bits_per_byte": bits,
        "ci_low": bits - 0.01,
        "ci_high": bits + 0.01,
        "floor": 2.1,
        "match": None,
    }
    return replace(row, **its) if text else replace(row, exact_match=0.9 + seed / 100 + size / 1e8)


ROWS = [cell(arch, size, seed, text) for text in (False, True) for arch in ("transformer", "bdh") for size in SIZES for seed in (0, 1, 2)]


@pytest.mark.parametrize("draw", [figures.by_parameters, figures.by_training])
def test_every_rung_is_a_point_of_its_architecture_and_its_seeds_are_one(draw):
    figure = draw(ROWS)
    assert [panel.y for panel in figure.panels] == ["exact_match", "bits_per_byte"]
    for panel in figure.panels:
        assert [one.label for one in panel.series] == ["bdh", "transformer"]
        assert [len(one.points) for one in panel.series] == [4, 4]
        assert all(point.x < later.x for one in panel.series for point, later in zip(one.points, one.points[1:]))
        assert all("3 seeds" in point.told for one in panel.series for point in one.points)
    assert len(figure.rows) == len(ROWS)
    assert "more lines" not in figure.caption


def test_a_rung_is_the_mean_of_its_seeds_as_tables_have_it_and_one_seed_has_its_own_interval():
    seeds = [cell("bdh", SIZES[0], seed) for seed in (0, 1, 2)]
    assert ladders.score(seeds) == pooled(seeds)[0].score
    assert ladders.score(seeds[:1]) == (seeds[0].exact_match, seeds[0].ci_low, seeds[0].ci_high)


def test_two_sizes_are_no_ladder_and_other_models_stay_beside_one():
    assert ladders.ladders([row for row in ROWS if row.params in SIZES[:2]]) == []
    beside = [replace(BDH, model=f"m{size}", recipe=None, params=size, data_hash="e" * 64) for size in (10_000, 90_000)]
    assert [len(panel.series) for panel in figures.by_parameters([*ROWS, *beside]).panels] == [2, 2, 2]


def test_choices_slices_and_failures_are_no_part_of_a_ladder():
    assert ladders.ladders([replace(row, split="validation") for row in ROWS]) == []
    assert ladders.ladders([replace(row, difficulty="0–2") for row in ROWS]) == []


@given(st.lists(st.floats(0, 8), min_size=1, max_size=6))
def test_marks_are_few_and_hold_all_values(values):
    marks = ladders.heights(values, None)
    places = [place for place, _ in marks]
    assert 2 <= len(marks) <= 7 or max(values) == min(values)
    assert places[0] <= min(values) + 1e-9
    assert max(values) <= places[-1] + 1e-6
    assert len({text for _, text in marks}) == len(marks)


def test_a_page_of_ladders_holds_their_numbers():
    html = page(evidence(ROWS))[0].decode()
    assert "3.1750 [3.1650, 3.1850]" in html
    assert "0.9010 [" in html


def test_colours_tell_architectures_apart():
    look = evidence(ROWS).look
    assert look["bdh"] != look["transformer"]


def boxes(drawn):
    """Where the texts of an SVG stand, about: (left, top, right, bottom)."""
    found = []
    for left, base, about, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" ([^>]*)>([^<]*)</text>', drawn):
        wide = len(text) * {"title": 8.2, "label": 6.4, "soft": 5.9}[re.search(r'class="(\w+)"', about)[1]]
        start = float(left) - wide * (0.5 if "middle" in about else 1.0 if "end" in about else 0.0)
        found.append((start, float(base) - 10, start + wide, float(base) + 2))
    return found


def test_no_text_of_a_forest_lies_on_another_or_runs_out_of_it():
    mix = {"box": [3, 3], "clues": None, "mix": [16, 11, 12, 48, 12]}
    long = {"recipe": "sudoku-extreme-bdh", "model": "sudoku-extreme-bdh", "config": mix}
    other = {**long, "arch": "transformer", "recipe": "sudoku-extreme-transformer", "model": "sudoku-extreme-transformer", "params": 24600}
    rows = [
        replace(told(BDH, seed, share), n=4000, depth=depth, **its) for depth in (16, 1024) for seed in (0, 1) for share, its in ((0.9, long), (0.8, other))
    ]
    (panel,) = forests.by_pair([replace(row, outcomes=None) for row in rows]).panels
    its = boxes(chart.draw(panel, {}))
    assert len(its) > 10
    assert all(left >= 0 and right <= chart.WIDTH for left, _, right, _ in its)
    for (left, top, right, bottom), (start, up, end, down) in combinations(its, 2):
        assert right <= start or end <= left or bottom <= up or down <= top


@pytest.mark.parametrize("edge", [0.0, 0.3, 1.0, 6.0, float("inf")])
def test_a_forest_has_an_axis_for_every_interval(edge):
    drawn = chart.draw(chart.Forest("t", "x", (chart.Series("s", "a\nb", (chart.Point(0.1, 0, -edge, edge, "told"),)),)), {})
    assert "inf" not in drawn
    assert "nan" not in drawn
    assert 3 <= len(re.findall('text-anchor="middle"', drawn)) <= 11


def test_names_in_captions_are_text():
    figure = figures.Figure("f", "<img src=x>", (), ())
    assert "<img" not in _figure(figure, evidence([]))
