"""The benchmarks at sizes that take no time; how fast anything is, no test asks."""

from __future__ import annotations

import json

import oracle_models
import pytest
import torch
from click.testing import CliRunner

from bdh_reason import bench, discover
from bdh_reason.bdh import Config, Model, to_released_state_dict
from bdh_reason.bdh.released import TEXT
from bdh_reason.bench import boards, decode, families, layer, long, measure, report, tracking
from bdh_reason.bench.plain import plain, residuals, stream
from bdh_reason.cli import cli
from bdh_reason.errors import UserError
from bdh_reason.train.initial import initial

ROW = {"bench": "long", "case": "one", "value": 3.0, "unit": "GB", "against": 2.0, "ratio": 1.5, "device": "here"}
TINY = {"d": 8, "heads": 2}
DECODE = decode.Sizes(**TINY, n=32, many=512, layers=2, near=4, far=9, again=5)
LONG = long.Sizes(**TINY, n=32, tokens=50, longest=60)
BOARDS = boards.Sizes(((16, 64),), box=(2, 2), batch=2, depth=2)
TRACKING = tracking.Sizes(recipes=("sudoku4",), lines=1)
FAMILIES = families.Sizes(bytes=9_000)
LAYER = layer.Sizes(**TINY, n=32, layers=2, batch=2, tokens=7)


def model():
    return initial(Model, Config(d=8, n=32, heads=2, layers=3, relations=False), TEXT, 0, feedback=False).double()


def test_the_plain_form_is_the_released_code_and_a_stream_of_it_is_the_same():
    weights, tokens_Bt = to_released_state_dict(model()), torch.arange(34).view(2, 17) * 5 % 256
    logits_BtV = plain(tokens_Bt, weights, 2, 3)
    torch.testing.assert_close(logits_BtV, oracle_models.released_logits(weights, 2, 3, tokens_Bt), rtol=0, atol=1e-5)  # fp32 frequencies, computed otherwise
    rhos_HND = [torch.zeros(2, 16, 8, dtype=torch.float64) for _ in range(3)]
    for place, token in enumerate(tokens_Bt[0].tolist()):
        torch.testing.assert_close(stream(token, weights, 2, rhos_HND, place)[0], logits_BtV[0, place], rtol=0, atol=1e-10)
    assert len(list(residuals(tokens_Bt, weights, 2, 3))) == 4


def test_our_forms_are_the_plain_form():
    weights = to_released_state_dict(long._model(LONG))
    with torch.no_grad():
        expected_1tV = plain(torch.arange(50)[None] * 7 % 256, weights, 2, 1)
    for form in (long.windows, long.quadratic):
        torch.testing.assert_close(form(LONG, 50)(), expected_1tV, rtol=0, atol=1e-4)


@pytest.mark.parametrize("share", [0.05, 0.12, 0.3])
def test_the_share_of_active_neurons_is_the_one_asked_for(share):
    with torch.no_grad():
        thinned, text_1t = decode._model(DECODE, 512), torch.arange(64)[None]
        assert decode.thin(thinned, text_1t, share) == pytest.approx(share, abs=0.02)
        entering = list(residuals(text_1t, to_released_state_dict(thinned), 2, 2))[:-1]
    assert torch.stack([v_B1tD @ thinned.Dx_HDN > 0 for v_B1tD in entering]).double().mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("module", "sizes", "rows"),
    [(layer, LAYER, 16), (boards, BOARDS, 3), (decode, DECODE, 3), (long, LONG, 3), (families, FAMILIES, 6), (report, 120, 3), (tracking, TRACKING, 2)],
)
def test_every_target_has_a_row_with_its_ratio(module, sizes, rows, monkeypatch):
    for name in ("ROUNDS", "BYTES"):
        monkeypatch.setattr(module, name, 1, raising=False)
    monkeypatch.setattr(discover, "task_names", lambda: ["groups", "sudoku", "flipflop"])
    found = list(module.bench(sizes))
    assert len(found) == rows
    for row in found:
        assert list(row) == ["bench", "case", "value", "unit", "against", "ratio", "device"]
        assert row["bench"] == module.__name__.split(".")[-1]
        assert row["ratio"] == row["value"] / row["against"] > 0
        assert "against" in row["case"]
        assert row["device"].endswith("1 thread")


def fills(megabytes):
    """What a process of its own runs: it takes memory, and lets it go."""
    return lambda: torch.ones(megabytes, 250_000).sum()


def test_memory_is_what_one_run_takes_at_its_peak():
    small, large = (measure.apart(fills, megabytes) for megabytes in (1, 200))
    assert large.peak - small.peak == pytest.approx(199e6, rel=0.2)
    assert large.seconds > 0


def test_benchmarks_are_found_by_name_and_printed_for_people_or_programs(monkeypatch):
    monkeypatch.setattr(long, "bench", lambda: iter([ROW]))
    assert list(bench.bench("long", None)) == [ROW]
    printed = CliRunner().invoke(cli, ["bench", "long", "--json"])
    assert (printed.exit_code, [json.loads(line) for line in printed.stdout.splitlines()]) == (0, [ROW])
    assert bench.sentence(ROW) == "long one: 3 GB, 1.50 × 2, on here"
    with pytest.raises(UserError, match=r"boards, decode, families, layer, long, report, sudoku, tracking.*did you mean 'long'"):
        bench.bench("lonk", None)


def test_the_page_holds_every_form_and_every_row(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for module in (layer, boards, decode, long):
        monkeypatch.setattr(module, "bench", lambda: iter([ROW]))
    assert CliRunner().invoke(cli, ["bench", "--write"]).exit_code == 0
    page = (tmp_path / "results" / "bdh.md").read_text(encoding="utf-8")
    assert page.count("| long | one | 3 GB | 2 | 1.50 |") == 4
    assert "Measured on here" in page
    assert all(name in page for name in ("normfree", "rotary+alibi", "chunked", "compiled"))


@pytest.mark.parametrize("arguments", [[], ["long", "--write"]])
def test_it_is_either_one_benchmark_or_the_page(arguments):
    assert isinstance(CliRunner().invoke(cli, ["bench", *arguments]).exception, UserError)
