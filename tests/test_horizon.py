"""Curves are drawn from rows alone: which runs are one curve, what stands in its table, and that its picture is always the same."""

import random
from dataclasses import replace

import pytest
from test_table import ROW, cells

from bdh_reason.compare.horizon import curves, overview, tables
from bdh_reason.compare.page.chart import sheet
from bdh_reason.compare.page.figures import by_horizon
from bdh_reason.compare.report import report, write
from bdh_reason.evaluate.rows import append

HORIZONS = (4, 8, 16)
EXACT = {0: (1.0, 0.95, 0.5), 1: (1.0, 0.85, 0.1), 2: (0.99, 0.97, 0.3)}


def row(horizon, exact=0.5, **changes):
    about = {"task": "words", "config": {"group": "S5", "length": horizon, "width": 8}, "horizon": horizon, "recipe": "arm", "model": "arm", "seed": 0}
    about |= {"depth": 6, "n": 200, "exact_match": exact, "ci_low": exact / 2, "ci_high": (1 + exact) / 2, "chance": 1 / 120, "trained": [4, 8], "excluded": 3}
    return replace(ROW, **{**about, **changes})


def seeds(**changes):
    return [row(horizon, exact, **{"seed": seed, **changes}) for seed, its in EXACT.items() for horizon, exact in zip(HORIZONS, its)]


def test_the_seeds_of_a_recipe_are_one_curve_of_their_mean():
    (curve,) = curves(random.Random(0).sample(seeds(), len(seeds())))
    assert (curve.problems, curve.model, curve.seeds, curve.horizons, curve.trained) == ("words, group S5, width 8 (test)", "arm", (0, 1, 2), HORIZONS, (4, 8))
    assert [point.value for point in curve.exact] == pytest.approx([2.99 / 3, 2.77 / 3, 0.3])
    assert all(point.low < point.value < point.high for point in curve.exact)
    assert curve.h90.value == 8
    assert curve.area.value == pytest.approx(((2.99 + 2.77) / 6 + (2.77 / 3 + 0.3) / 2) / 2)


def test_a_curve_of_one_seed_has_its_rows_own_intervals():
    (curve,) = curves(seeds()[:3])
    assert [tuple(point) for point in curve.exact] == [(exact, exact / 2, (1 + exact) / 2) for exact in EXACT[0]]
    assert (curve.h90.value, curve.seeds) == (8, (0,))
    assert curve.area.low < curve.area.value < curve.area.high


@pytest.mark.parametrize(
    "change",
    [{"recipe": "other"}, {"depth": 7}, {"mode": "greedy"}, {"params": 3}, {"split": "validation"}, {"restarts": 2}, {"task": "other"}, {"arch": "lstm"}],
)
def test_what_is_not_the_same_question_is_another_curve(change):
    assert len(curves([*seeds(), *seeds(**change)])) == 2


def test_other_options_than_the_horizon_are_other_problems():
    others = [replace(one, config={**one.config, "group": "Z2"}) for one in seeds()]
    assert [curve.problems for curve in curves([*seeds(), *others])] == ["words, group S5, width 8 (test)", "words, group Z2, width 8 (test)"]


def test_two_runs_of_one_seed_are_not_taken_for_two_seeds():
    found = curves([*seeds(), *seeds(model="tuned")])
    assert [(curve.model, curve.seeds) for curve in found] == [("arm", (0, 1, 2)), ("tuned", (0, 1, 2))]


def test_of_two_rows_that_answer_the_same_question_the_newer_stays_and_that_is_said():
    newer = row(16, 0.0625, created="2026-11-23")
    for rows in ([*seeds()[:3], newer], [newer, *seeds()[:3]]):
        (curve,) = curves(rows)
        assert [point.value for point in curve.exact] == [1.0, 0.95, 0.0625]
        assert curve.older == 1
        for told in (tables([curve]), by_horizon([curve], rows).caption, report(rows)):
            assert "Left out because of newer ones of the same model and seed: 1 of arm (rows)." in told
    assert "Left out" not in tables(curves(seeds()))


def test_a_curve_never_joins_two_sets_of_weights():
    """Of a model that was trained on since and asked again only the new answers are left, also where it was asked less."""
    later = row(16, 0.25, created="2026-11-23", weights="trained on")
    (curve,) = curves([*seeds()[:3], later])
    assert (curve.horizons, [point.value for point in curve.exact], curve.older) == ((16,), [0.25], 3)


def test_seeds_are_compared_at_the_horizons_that_all_were_asked():
    assert curves([*seeds(), row(32, seed=1)])[0].horizons == HORIZONS
    found = curves([row(4), row(8, seed=1, model="late")])
    assert [(curve.model, curve.horizons) for curve in found] == [("arm", (4,)), ("late", (8,))]


def test_rows_without_a_horizon_and_slices_of_difficulty_have_no_curve():
    assert curves([ROW, row(4, difficulty="≤3")]) == []


def test_islands_count_as_one_problem_each():
    def width(**changes):
        low, high = curves(seeds(**changes))[0].exact[1][1:]
        return high - low

    assert width(islands=10) > width(islands=200) == width()


def test_a_table_has_a_line_for_each_curve_a_column_for_each_horizon_and_chance_below():
    guess = [row(horizon, 0.01, recipe=None, model="chance", arch=None, params=0, depth=None, seed=None, mode="guess", trained=None) for horizon in (4, 32)]
    title, _, head, _, first, second, last = tables(curves([*seeds(), *guess])).splitlines()
    assert title == "### words, group S5, width 8 (test)"
    assert cells(head) == ["model", "params", "mode", "depth", "seeds", "n each", "trained on", "H90", "area", "4", "8", "16", "32"]
    assert {len(cells(line)) for line in (head, first, second, last)} == {13}
    shown = dict(zip(cells(head), cells(first)))
    assert (shown["model"], shown["depth"], shown["seeds"], shown["trained on"], shown["H90"], shown["32"]) == ("arm", "6", "0, 1, 2", "4–8", "8 [4, 8]", "")
    assert shown["8"].startswith("0.923 [0.7")
    shown = dict(zip(cells(head), cells(second)))
    assert (shown["model"], shown["depth"], shown["seeds"], shown["trained on"], shown["8"]) == ("chance", "–", "–", "–", "")
    assert cells(last)[-4:] == ["0.008"] * 4


def test_rows_are_reported_with_their_curves_where_there_are_several_horizons():
    assert "H90" in report(seeds())
    assert "H90" not in report([ROW, row(4)])


def test_the_same_rows_give_the_same_picture_in_any_order():
    many = [*seeds(), *seeds(task="other"), *seeds(recipe="words-lstm", model="words-lstm")]
    first = sheet(by_horizon(curves(many), many).panels, {})
    assert first == sheet(by_horizon(curves(many[::-1]), many).panels, {})
    assert first != sheet(by_horizon(curves(many[:-1]), many).panels, {})
    for word in (b"words, group S5, width 8<", b">arm<", b">lstm<", b"exact_match"):
        assert word in first


def test_a_legend_tells_depths_only_where_one_model_thinks_at_several():
    rows = [*seeds(), *seeds(depth=12), *seeds(recipe="words-lstm", model="words-lstm", depth=1)]
    picture = sheet(by_horizon(curves(rows), rows).panels, {})
    assert all(word in picture for word in (b">arm, depth 6<", b">arm, depth 12<", b">lstm<"))


def test_the_overview_has_a_line_for_each_problem_and_one_column_for_a_model_on_all_tasks():
    rows = [*seeds(recipe="words-lstm", model="words-lstm"), *seeds(recipe="other-lstm", model="other-lstm", task="other", depth=1), *seeds(depth=1)]
    head, _, other, words = overview(curves(rows)).splitlines()
    assert cells(head) == ["problems", "trained on", "examined on", "n each, seeds", "arm", "lstm"]
    assert cells(other)[:5] == ["other, group S5, width 8 (test)", "4–8", "4–16", "200, 3", ""]
    assert cells(words)[4] == cells(words)[5] == cells(other)[5]
    assert cells(words)[4].startswith("8 [4, 8] · 0.79 [0.")


def test_the_readme_gets_a_section_and_its_figure_and_no_line_a_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "rows" / "a.jsonl"
    append(path, [ROW])
    write([path])
    assert "Horizons" not in (tmp_path / "results" / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / "results" / "figures" / "horizon.svg").exists()
    append(path, seeds())
    write([path])
    boards, curved = (tmp_path / "results" / "README.md").read_text(encoding="utf-8").split("## Horizons")
    assert "words" not in boards
    assert "(figures/horizon.svg)" in curved
    assert "left out (27 in all rows together)" in curved
    picture = (tmp_path / "results" / "figures" / "horizon.svg").read_bytes()
    write([path])
    assert (tmp_path / "results" / "figures" / "horizon.svg").read_bytes() == picture
