"""results/bdh.md: the forms of BDH that are here, and how fast they ran where `bench --write` was called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from bdh_reason import __version__
from bdh_reason.bdh import model
from bdh_reason.files import replace, writing

PAGE = Path("results/bdh.md")
FORMS = f"""# BDH: forms and speed

Written by `bdh-reason bench --write`. Whatever is called fast below is held by tests to a slow float64 BDH written from the
equations (tests/oracle_models.py), itself or through the plain path in torch's own operations, forwards and, where it has any, in its gradients.

| option of the model | values |
| --- | --- |
| form | {", ".join(get_args(model.Form))} |
| positions in a text | {", ".join(get_args(model.Positions))}; `coordinates` adds learned ones |
| who attends to whom | all earlier tokens (`strict`: without itself), every token of a grid, or in bound heads those of a relation of the board |
| execution | {", ".join(get_args(model.Execution))}; token by token through a carried state |
| scores | as they are, or `scaled` by 1 / sqrt N |
| weights | `shared` by all layers of a step, or each layer's own |
| backward | {", ".join(get_args(model.Backward))}; `recompute` makes x and y again |
"""
AIMS = """| benchmark | aimed for |
| --- | --- |
| layer | 6 × the plain form in fp32 and 3.5 × under bf16 autocast on CPUs with bf16 units, 2 × in fp32 on others |
| layer | with x and y made again ≤ 0.35 of what the plain form keeps, at ≤ 1.25 of the time |
| layer, on CUDA | 0.35, 0.50 and 0.60 of the dense bf16 peak at d = 256, 512 and 1,024 |
| boards | 3,000 board-steps/s in training at d = 32, n = 256 on two cores |
| decode | speed far into a text ≥ 0.91 of that near its beginning; ≥ 100 × reading all again at 4,096; ≥ 3 × dense synapses at 12 % active |
| long | ≥ 15 × the plain form at T = 8,192 in ≤ 0.10 of its memory; T = 65,536 in under 4 GB |
"""


def write(rows: Iterable[dict[str, Any]]) -> Path:
    """The page, written whole. Ratio is value by against; of time and memory less is better."""
    found = list(rows)
    lines = [f"| {row['bench']} | {row['case']} | {row['value']:,.4g} {row['unit']} | {row['against']:,.4g} | {row['ratio']:,.2f} |" for row in found]
    devices = ", ".join(dict.fromkeys(row["device"] for row in found))
    head = f"## Measured on {devices} (bdh-reason {__version__})\n\n| benchmark | case | value | against | ratio |\n| --- | --- | --: | --: | --: |\n"
    text = f"{FORMS}\n{head}" + "\n".join(lines) + f"\n\n## What was aimed for\n\n{AIMS}"
    with writing(PAGE.parent):
        PAGE.parent.mkdir(exist_ok=True)
        replace(PAGE, text.encode())
    return PAGE
