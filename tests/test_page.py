"""The page says what the rows say, and nothing else: which rows a figure shows, that sections without rows say so, and that numbers can be traced."""

import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_table import ROW

from bdh_reason.compare import gaps, report
from bdh_reason.compare.page import chart, figures, forests, page
from bdh_reason.compare.page.evidence import Evidence
from bdh_reason.compare.page.sections import SECTIONS
from bdh_reason.compare.pairs import difference, pairs
from bdh_reason.compare.stats import Estimate
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.metrics import wilson
from bdh_reason.evaluate.rows import Found

BDH = replace(ROW, model="six", arch="bdh", seed=0, step=500, match="params", weights="a" * 64, mode="in_place", data_hash="d" * 64, commit="c0ffee")
BDH = replace(BDH, train_flops=2e12, state_floats=6912, problems_per_s=12.5, unseen=True)
OTHER = replace(BDH, model="six-transformer", arch="transformer", params=24600, exact_match=0.95, ci_low=0.94, ci_high=0.96, weights="b" * 64)
VOID = {"meta", "link", "br", "input", "circle", "path", "rect"}


def evidence(rows, **given):
    return Evidence(**{"rows": rows, "boards": [], "claims": [], "files": [Path("a.jsonl")], "left_out": []} | given)


def film(title="six on sudoku"):
    about = {
        "model": "six",
        "step": 5,
        "params": 7,
        "depth": 2,
        "weights": "w" * 64,
        "commit": "c",
        "device": "a CPU",
        "task": "sudoku",
        "config": {"box": [2, 2]},
    }
    its = dict.fromkeys(report.NEEDED, 0) | {
        "about": about,
        "title": title,
        "scored": [True, False],
        "right": [False, True, True],
        "captions": [["a", "b"]] * 3,
    }
    return {name: its[name] for name in report.NEEDED}


class Parsed(HTMLParser):
    """Tags must be closed in order; ids, texts and links are kept."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.links, self.loads, self.texts = [], [], [], [], []
        self.feed(html.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        self.ids += [about["id"]] if "id" in about else []
        self.links += [about["href"]] if tag == "a" else []
        self.loads += [about[name] for name in ("src", "srcset", "data") if name in about] + ([about["href"]] if tag == "link" else [])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(text)


@pytest.mark.parametrize("rows", [[], [ROW], [BDH, OTHER], [replace(BDH, difficulty=label) for label in ("≤0", "0–2")]])
def test_a_page_of_any_rows_is_well_formed_and_loads_nothing(rows):
    parsed = Parsed(page(evidence(rows, boards=[film()]))[0])
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert parsed.loads == ["data:,"]
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    assert all(section.__call__ and name in parsed.ids for section in SECTIONS for name in [section(evidence(rows)).name])


def test_the_same_rows_in_any_order_give_the_same_page():
    rows = [replace(one, depth=depth, exact_match=depth / 100, data_hash=digit * 64) for one in (BDH, OTHER) for depth in (8, 16, 64) for digit in "de"]
    assert page(evidence(rows))[0] == page(evidence(rows))[0]
    first, second = (report.latest(random.Random(seed).sample(rows, len(rows))) for seed in (0, 1))
    assert page(evidence(first)) == page(evidence(second))


def test_what_is_not_there_is_said_in_a_sentence():
    text = " ".join(Parsed(page(evidence([BDH]))[0]).texts)
    for sentence in ("No rows of texts yet", "No matched pairs yet", "No model was asked at several horizons yet", "There are no boards yet"):
        assert sentence in text
    assert "No matched pairs yet" not in " ".join(Parsed(page(evidence([BDH, OTHER]))[0]).texts)


def test_texts_stand_beside_what_the_same_weights_do_on_puzzles():
    text = replace(BDH, bits_per_byte=2.5, exact_match=None, config={"source": "a book"}, task="text", floor=1.25, cell_accuracy=None, chance=None)
    alone = [replace(BDH, model="alone", weights="1" * 64, exact_match=0.99), replace(text, model="prose", weights="2" * 64, bits_per_byte=2.0)]
    (section,) = re.findall(r'<section id="language">.*?</section>', page(evidence([BDH, text, *alone]))[0].decode(), re.DOTALL)
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", section, re.DOTALL)
    assert {"<span>a book</span>", "1.2500", "0.9785 on sudoku 6×6, 16 steps", "+25.00 %", "-1.15 points"} <= set(cells)


def test_what_is_learned_after_training_has_a_section_of_its_own_and_is_among_all_rows():
    shots = [replace(BDH, mode="in_context", context=count, exact_match=count / 10) for count in (0, 2)]
    html = page(evidence([BDH], learning=shots))[0].decode()
    parts = dict(re.findall(r'<section id="(\w+)">(.*?)</section>', html, re.DOTALL))
    assert "2 shots" in parts["learning"]
    assert "0.200 [" in parts["learning"]
    assert "in context" not in parts["results"]
    assert json.loads(re.search(r'id="table">(.*?)</script>', html)[1])["columns"]["depth"] == [16] * 3


def test_texts_of_rows_cannot_break_the_page():
    wild = "<script>alert(1)</script>&\"'"
    rows = [replace(BDH, model=wild, depth=depth, device=wild, commit=wild, data_hash=wild, split=wild) for depth in (8, 16)]
    html, drawn = page(evidence(rows, boards=[film(wild)], left_out=[wild]))
    Parsed(html)
    assert b"<script>alert" not in html
    assert all(b"<script>" not in content for _, content in drawn)


def test_each_figure_tells_its_rows_method_commit_data_and_device():
    rows = [replace(BDH, depth=depth, device="a certain CPU", data_hash="feed" * 16) for depth in (8, 16)]
    html = page(evidence(rows))[0].decode()
    panel = re.search(r"<figure>.*?</figure>", html, re.DOTALL)[0]
    for word in ("Wilson 95 %", "c0ffee", "feedfeedfeed", "a certain CPU", "n from 2,000 to 2,000", "no family in common", "<td>16</td>"):
        assert word in panel.replace(' class="number"', "")


def test_lines_left_out_are_told_on_the_page():
    assert "a.jsonl, line 7 is no row" in page(evidence([BDH], left_out=["a.jsonl, line 7 is no row"]))[0].decode()


def test_claims_are_shown_apart_from_what_was_measured():
    claimed = {"system": "Them", "score": "99.9 %", "effort": "1", "about": "–", "params": "–", "source": "arXiv", "url": "https://arxiv.org/abs/0"}
    parts = re.findall(r'<section id="(\w+)">(.*?)</section>', page(evidence([BDH], claims=[claimed]))[0].decode(), re.DOTALL)
    assert [name for name, text in parts if "99.9 %" in text] == ["claims"]
    assert "six" not in dict(parts)["claims"]
    for claim in yaml.safe_load(report.CLAIMS.read_text(encoding="utf-8")):
        assert set(claim) == set(claimed)
        assert all(claim.values())


def test_models_on_the_same_problems_differ_in_colour_and_keep_it_on_others():
    sets = {"a": range(8), "b": range(6, 12), "c": (3, 20)}
    rows = [replace(BDH, model=f"m{place}", config={"kind": kind}) for kind, places in sets.items() for place in places]
    look = evidence(rows).look
    for places in sets.values():
        assert len({look[f"m{place}"] for place in places}) == len(places)
    assert set(look.values()) == set(range(chart.COLOURS))
    assert len({chart.LIGHT[f"--series-{place}"] for place in range(chart.COLOURS)}) == chart.COLOURS
    many = evidence([replace(BDH, model=f"m{place}") for place in range(20)]).look
    assert set(many.values()) == set(range(chart.COLOURS))


def test_only_the_newest_weights_and_problems_held_out_for_the_end_are_drawn():
    old = replace(BDH, step=100, created="2026-11-01", exact_match=0.1)
    choosing = replace(BDH, split="validation", exact_match=0.2)
    assert figures.asked([BDH, old, choosing, replace(BDH, arch=None)]) == [BDH]


def test_a_line_is_one_model_on_the_same_problems():
    rows = [replace(BDH, depth=depth, data_hash=digit * 64, model=model) for depth in (8, 16) for digit in "de" for model in ("one", "other")]
    panels = figures.by_depth(rows).panels
    assert [panel.title[-10:] for panel in panels] == [", set dddd", ", set eeee"]  # data are never mixed in one comparison
    assert [sorted(one.label for one in panel.series) for panel in panels] == [["one", "other"]] * 2
    assert [[point.x for point in one.points] for panel in panels for one in panel.series] == [[8, 16]] * 4
    assert figures.by_depth(rows[:4]).panels == ()


def test_slices_are_drawn_from_easy_to_hard_and_tiny_ones_not():
    labels = (">50", "≤0", "2–10", "0–2", "10–50")
    rows = [replace(BDH, difficulty=label, exact_match=place / 10) for place, label in enumerate(labels)]
    (panel,) = figures.by_difficulty([*rows, replace(BDH, difficulty="2–10", depth=99, n=9)]).panels
    assert [text for _, text in panel.across] == ["≤0", "0–2", "2–10", "10–50", ">50"]
    assert [point.y for point in panel.series[0].points] == [0.1, 0.3, 0.2, 0.4, 0.0]


def test_a_panel_holds_what_can_be_told_apart():
    rows = [replace(BDH, model=f"m{place}", depth=depth, n=100 + place) for place in range(20) for depth in (8, 16)]
    (panel,) = figures.by_depth(rows).panels
    assert {one.name for one in panel.series} == {f"m{place}" for place in range(12, 20)}
    assert "12 more lines" in figures.by_depth(rows).caption


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e18)), min_size=1, max_size=8), st.booleans())
def test_every_point_and_name_lies_inside_its_chart(points, log):
    series = tuple(chart.Series(f"s{place}", f"s{place}", (chart.Point(x, y, y / 2, (1 + y) / 2, "told"),)) for place, (y, x) in enumerate(points))
    drawn = chart.draw(chart.Panel("t", "x", "y", series, (), log=log), {})
    heights = [float(height) for height in re.findall(r' y="(-?[\d.]+)"', drawn)]
    widths = [float(width) for width in re.findall(r"[ M](-?[\d.]+) -?[\d.]+L", drawn)]
    assert "nan" not in drawn
    assert all(0 <= height <= chart.HEIGHT for height in heights)
    assert all(0 <= width <= chart.WIDTH for width in widths)
    names = sorted(float(height) for height in re.findall(r'y="([\d.]+)" class="label"', drawn))
    assert len(names) == len(points)
    assert all(later - height >= chart.GAP - 0.2 for height, later in pairwise(names))


def test_a_chart_as_a_file_needs_no_page():
    rows = [replace(BDH, depth=depth) for depth in (8, 16)]
    drawn = chart.sheet(figures.by_depth(rows).panels, {}).decode()
    assert "var(" not in drawn
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.5, "0.5"), (999, "999"), (999.9, "1k"), (98624, "98.6k"), (2.04e15, "2.04P"), (1e21, "1e+03E")])
def test_large_numbers_have_three_digits_and_a_letter(value, text):
    assert figures.scale(value) == text


def test_pairs_are_of_the_same_problems_and_of_what_is_equal():
    assert [(pair.bdh.model, pair.other.model) for pair in pairs([OTHER, BDH])] == [("six", "six-transformer")]
    assert pairs([BDH, OTHER])[0].mismatch == pytest.approx(24800 / 24600 - 1)
    for change in ({"depth": 8}, {"data_hash": "e"}, {"match": None}, {"match": "flops"}, {"params": 30000}, {"seed": 1}, {"n": 7}, {"arch": "bdh"}):
        assert pairs([BDH, replace(OTHER, **change)]) == []


def told(row, seed, share, **changes):
    """A row that tells what came of each of 400 problems."""
    right_N = np.random.default_rng([seed, int(share * 100)]).random(400) < share
    packed = {"n": 400, "items": "same", "outcomes": outcomes.pack(right_N), "exact_match": float(right_N.mean())}
    return replace(row, seed=seed, **{**packed, **changes})


def test_pairs_that_tell_what_came_of_each_problem_have_the_gap_of_compare_over_their_seeds():
    rows = [told(row, seed, share) for row, share in ((BDH, 0.9), (OTHER, 0.8)) for seed in (0, 1, 2)]
    (pair,) = pairs(random.Random(0).sample(rows, len(rows)))
    (gap,) = gaps.compare([Found(row, str(place)) for place, row in enumerate(rows)], "six", ["six-transformer"])
    assert (pair.paired, len(pair.runs)) == (True, 3)
    assert pair.difference == pytest.approx(gap.test.gap)
    figure = forests.by_pair(rows)
    assert [one.label for one in figure.panels[0].series] == ["sudoku 6×6\n16 steps, n 400, 3 seeds, params +0.8%, training FLOPs × 1.00"]
    assert "1 of 1 lines, n 400 to 400, of rows that tell what came of each problem" in figure.caption
    assert "Newcombe" not in figure.caption
    assert len(figure.rows) == 6


def test_pairs_that_do_not_tell_it_are_independent_samples_and_marked_so():
    rows = [told(BDH, 0, 0.9), told(OTHER, 0, 0.8), told(BDH, 1, 0.9), told(OTHER, 1, 0.8, outcomes=None), told(BDH, 2, 0.9), told(OTHER, 2, 0.8, items="z")]
    found = pairs(rows)
    assert sorted((pair.paired, pair.bdh.seed) for pair in found) == [(False, 1), (False, 2), (True, 0)]
    alone = next(pair for pair in found if pair.bdh.seed == 1)
    assert alone.difference == difference(*(Estimate(row.exact_match, row.ci_low, row.ci_high) for row in rows[2:4]))
    figure = forests.by_pair(rows)
    assert sorted(" *" in one.label for one in figure.panels[0].series) == [False, True, True]
    assert "1 of 3 lines" in figure.caption
    assert "2 of 3 lines, n 400 to 400, marked *" in figure.caption


def test_two_runs_of_one_recipe_and_seed_are_not_taken_for_seeds():
    rows = [told(row, seed, 0.9, recipe=row.arch) for row in (BDH, OTHER) for seed in (0, 1)]
    again = replace(rows[0], model="again", weights="c" * 64)
    assert [len(pair.runs) for pair in pairs(rows)] == [2]
    assert [len(pair.runs) for pair in pairs([*rows, again])] == [1, 1, 1]


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says():
    draw, n, p, q = np.random.default_rng(0), 200, 0.9, 0.8
    held = 0
    for right, other in zip(draw.binomial(n, p, 400), draw.binomial(n, q, 400)):
        _, low, high = difference(*(Estimate(count / n, *wilson(int(count), n)) for count in (right, other)))
        held += low <= p - q <= high
    assert 0.92 <= held / 400 <= 0.98
