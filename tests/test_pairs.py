"""Matched pairs: equal in what they name and in training, and how nearly."""

from dataclasses import replace

import pytest
from test_page import BDH, OTHER, told

from bdh_reason.compare.page import forests
from bdh_reason.compare.pairs import pairs, uneven


def test_pairs_of_unequal_training_are_left_out_and_counted():
    for flops, matched in ((2e12, True), (1.6e12, True), (2.5e12, True), (1.59e12, False), (2.51e12, False), (None, False), (0.0, False)):
        rows = [BDH, replace(OTHER, train_flops=flops)]
        assert [len(pairs(rows)), "1 more" in uneven(rows)] == ([1, False] if matched else [0, True])
    left = forests.by_pair([BDH, OTHER, replace(BDH, depth=8, train_flops=4e12), replace(OTHER, depth=8)])
    assert "1 more, equal in that but not in training" in left.caption
    assert "six less six-transformer (× 2.00)" in left.caption
    assert [len(panel.series) for panel in left.panels] == [1]
    assert "not in training" not in forests.by_pair([BDH, OTHER]).caption


def test_a_pair_says_how_nearly_it_is_equal():
    (pair,) = pairs([BDH, replace(OTHER, train_flops=1.9e12)])
    assert (pair.training, pair.equality) == (pytest.approx(2 / 1.9), "params +0.8%, training FLOPs × 1.05")
    (pair,) = pairs([replace(BDH, match="flops"), replace(OTHER, match="flops", train_flops=1.95e12)])
    assert pair.equality == "training FLOPs × 1.03"
    rows = [told(row, seed, 0.9, train_flops=flops) for row, each in ((BDH, (1e12, 2e12)), (OTHER, (2e12, 2e12))) for seed, flops in enumerate(each)]
    assert "(× 0.75)" in uneven(rows)  # over all seeds


def test_gaps_are_worked_out_only_where_sizes_are_equal(monkeypatch):
    monkeypatch.setattr("bdh_reason.compare.pairs.gap", None)  # to call it is an error
    assert pairs([told(BDH, 0, 0.9), told(replace(OTHER, params=30000), 0, 0.8)]) == []
    assert len(pairs([told(BDH, 0, 0.9), told(OTHER, 0, 0.8)])) == 1
