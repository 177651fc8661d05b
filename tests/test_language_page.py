"""The page on language: twins are paired by exam, kind and seed, and claims of the paper stand beside measures, never among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_table import EMPTY

from bdh_reason.compare.findings import findings
from bdh_reason.compare.language import page, pairs, score, twins
from bdh_reason.compare.report import write
from bdh_reason.compare.stats import student
from bdh_reason.evaluate.rows import append

ROW = replace(EMPTY, created="2026-11-22T10:00:00+00:00", split="test", arch="bdh", config={}, mode="in_place", depth=8, n=1000, data_hash="a")
PUZZLES = replace(ROW, task="sudoku", exact_match=0.9, ci_low=0.8, ci_high=1.0, cell_accuracy=0.9, chance=0.0)
TEXT = replace(ROW, task="text", config={"source": "book"}, mode="stream", depth=4, data_hash="b", bits_per_byte=3.0, scored_bytes=9)


def trio(seed, both=0.9, alone=0.9, together=3.0, apart=3.0, **changes):
    """The four rows of one seed: weights trained on both, and twins."""
    rows = [
        replace(PUZZLES, model="both", weights=f"both{seed}", exact_match=both),
        replace(TEXT, model="both", weights=f"both{seed}", bits_per_byte=together),
        replace(PUZZLES, model="alone", weights=f"puzzles{seed}", exact_match=alone),
        replace(TEXT, model="prose", weights=f"prose{seed}", bits_per_byte=apart),
    ]
    kind = changes.get("arch", "bdh")
    return [replace(row, seed=seed, model=f"{kind}-{row.model}", weights=f"{kind}-{row.weights}", **changes) for row in rows]


def line(table, word):
    return next(line for line in table.splitlines() if word in line)


def test_twins_are_of_the_same_exam_kind_and_seed():
    rows = [*trio(0), *trio(1), *trio(0, arch="transformer")]
    found = pairs(rows)
    alone = {"sudoku": "alone", "book": "prose"}
    assert {key[:3] for key in found} == {(f"{arch}-both", f"{arch}-{alone[what]}", what) for arch in ("bdh", "transformer") for what in alone}
    assert sorted(len(of) for of in found.values()) == [1, 1, 2, 2]
    for change in ({"depth": 9}, {"data_hash": "z"}, {"seed": 7}, {"arch": "lstm"}, {"mode": "windows"}, {"n": 5}, {"split": "validation"}):
        both, text, alone, prose = trio(0)
        assert not pairs([both, text, replace(alone, **change), replace(prose, **change)])
    assert not twins(trio(0)[2:])


def test_of_several_twins_none_is_chosen_by_its_score():
    worse = [replace(row, model=f"{row.model}-2", weights=f"{row.weights}-2") for row in trio(0, alone=0.1, apart=9.0)[2:]]
    for rows in ([*trio(0), *worse], [*worse, *trio(0)]):
        found = pairs(rows)
        assert {key[1]: score(pair.alone) for key, (pair,) in found.items()} == {"bdh-alone": 0.9, "bdh-prose": 3.0, "bdh-alone-2": 0.1, "bdh-prose-2": 9.0}
        assert len(twins(rows).splitlines()) == 2 + 4


def test_of_a_twin_that_was_trained_on_the_newest_weights_count():
    older = [replace(row, step=1, weights=f"{row.weights}-1") for row in trio(0, alone=0.1, apart=9.0)[2:]]
    newer = [row if row.model.endswith("both") else replace(row, step=2) for row in trio(0)]
    assert sorted(score(pair.alone) for its in pairs([*newer, *older]).values() for pair in its) == [0.9, 3.0]


def test_the_gap_is_paired_and_its_direction_is_that_of_the_score():
    table = twins([*trio(0, 0.90, 0.93, 3.3, 3.0), *trio(1, 0.80, 0.82, 3.06, 3.0)])
    assert "-2.50 points" in line(table, "sudoku")
    assert "+6.00 %" in line(table, "book")
    gap = student([3.0, 2.0])
    assert f"[{-gap.high:+.2f}, {-gap.low:+.2f}]" in line(table, "sudoku")


@pytest.mark.parametrize(
    ("losses", "word"), [([0.001, 0.0012, 0.0011], "yes"), ([0.03, 0.031, 0.029], "no"), ([0.03, -0.02, 0.01], "open"), ([0.03], "open"), ([-0.02], "open")]
)
def test_an_aim_is_reached_only_where_the_whole_interval_is_within_it(losses, word):
    rows = [row for seed, loss in enumerate(losses) for row in trio(seed, 0.9 - loss, 0.9, 3 * (1 + 2 * loss), 3.0)]
    for exam in ("sudoku", "book"):
        assert line(twins(rows), exam).split("|")[-2].strip() == word


def test_students_interval():
    assert student([2.0]) == (2.0, 2.0, 2.0)
    mean, low, high = student([1.0, 2.0, 3.0])
    assert (mean, round(low, 3), round(high, 3)) == (2.0, -0.484, 4.484)


def probes(model="en", seed=0, created="2026-11-22", y=0.1, holm=0.5):
    about = {"model": model, "training_seed": seed, "created": created}
    modules = {"modularity": {"mean": 0.4}, "same_degrees": {"mean": 0.3}, "gaussian": {"mean": 0.2}}
    return [
        {**about, "probe": "density", "where": "all", "positions": 4096, "x": 0.25, "y": y},
        {**about, "probe": "density", "where": "shown", "positions": 9999, "x": 0.9, "y": 0.9},
        {**about, "probe": "modularity", "neurons": 10, "edges": 80, **modules},
        {**about, "probe": "modularity", "neurons": 10, "edges": 40, **{name: {"mean": 0.9} for name in modules}},
        {**about, "probe": "synapse", "present": 25, "absent": 24, "effect": 0.25, "holm": holm},
        {**about, "probe": "synapse", "present": 25, "absent": 24, "effect": 0.75, "holm": 0.01},
    ]


def test_findings_are_measures_over_seeds_with_the_papers_claims_beside_them():
    text = findings([], [*probes(created="2026-11-21", y=0.9), *probes(), *probes(seed=1, y=0.2, holm=0.04)])
    cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in text.splitlines() if row.startswith("| ")}
    assert cells["active neurons in x, % of all"][:4] == ["English alone", "2", "4,096 bytes", "25, 25"]
    assert cells["active neurons in y, % of all"][3] == "10, 20"
    assert cells["modularity of Dx E, 8 edges a neuron"][2:4] == ["10 neurons", "0.4, 0.4"]
    assert cells["the same of Gaussian products"][3:] == ["0.2, 0.2", "near 0 (section 5.5)"]
    assert cells["synapses that answer to currency, of 50 candidates, corrected"][2:4] == ["49 sentences", "1, 2"]
    assert cells["rank-biserial effect of the candidate that the search put first, on other sentences"][3] == "0.25, 0.25"
    three = findings([], [*probes(), *probes(seed=1, holm=0.04), *probes(seed=2)])
    assert "| 1.33 [0, 2.77] |" in three, "no interval leaves what can be"
    assert "claimed, not measured here" in text


def test_what_a_language_costs_is_named_by_whose_model_it_is():
    rows = [
        replace(TEXT, model=model, weights=f"{model}{seed}", seed=seed, config={"source": source}, bits_per_byte=2.0 + seed)
        for model in ("en", "fr", "joined", "somebody")
        for source in ("europarl-en", "europarl-fr")
        for seed in (0, 1)
    ]
    lines = [row for row in findings(rows, []).splitlines() if "bits_per_byte of" in row]
    assert len(lines) == 6
    assert "own" not in lines[0]
    assert "0.31 to 0.36" in lines[0]
    assert "into English" in lines[1]
    assert "0.31 to 0.36" in next(row for row in lines if "of French | French alone" in row)


def test_the_page_is_written_with_the_readme_and_only_where_there_is_something_to_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "rows" / "a.jsonl"
    append(path, trio(0)[2:])
    assert page(trio(0)[2:], [], []) == ""
    assert Path("results/language.md") not in write([path])[0]
    append(path, trio(0)[:2])
    assert Path("results/language.md") in write([path])[0]
    assert "## Language against Sudoku" in (tmp_path / "results" / "language.md").read_text(encoding="utf-8")
