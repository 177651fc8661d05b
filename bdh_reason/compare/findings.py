"""What the BDH paper (arXiv 2509.26507) found in its models of language, beside the same in tiny ones: the rows of the suite `findings` and of its probes.

Figures of the paper are claimed: nobody ran its models here. They are of 19 to 38 million parameters and more, trained on hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bdh_reason.compare.stats import student
from bdh_reason.compare.table import latest, markdown
from bdh_reason.evaluate.rows import Row

Probed = dict[str, Any]
EDGES = 8  # for each neuron
LEVEL = 0.05
ARMS = {"en": "English alone", "fr": "French alone", "joined": "joined, untouched", "tuned": "joined, tuned on both", "fresh": "fresh weights"}
FREE = (0.0, float("inf"))  # what a measure can be
BOUNDS = {"x": (0.0, 100.0), "y": (0.0, 100.0), "modularity": (-1.0, 1.0), "same_degrees": (-1.0, 1.0), "gaussian": (-1.0, 1.0), "answers": (0.0, 50.0)}
BOUNDS |= {"effect": (-1.0, 1.0)}
TEXTS = {"europarl-en": "English", "europarl-fr": "French"}
CLAIMED = {
    "x": "about 5 % (section 4.1)",
    "y": "4 to 7.5 % on new text, 2.5 % on repeated (section 6.4)",
    "modularity": "clearly above 0, its value only in a plot (section 5.5)",
    "same_degrees": "–",
    "gaussian": "near 0 (section 5.5)",
    "answers": "currency and country, found by search and not corrected for it (section 6.3)",
    "effect": "0.86, U = 2,368 of 2,500, on the sentences at hand (section 6.3)",
}
LOSSES = {
    "own": "loss 0.31 to 0.36 (Table 2)",
    "other": "loss 0.64 to 0.77 into English, 2.2 to 2.6 out of it (Table 2)",
    "joined": "loss 0.39 to 0.43 into English, 0.77 to 1.45 out of it (Table 2)",
    "tuned": "restored by a little joint training, no figure (section 7.1)",
}


def findings(rows: Sequence[Row], probed: Sequence[Probed]) -> str:
    """The section as Markdown; empty where there are no such rows."""
    lines = [*_inside(_newest(probed)), *_joined(rows)]
    if not lines:
        return ""
    return f"""## The paper's findings, in tiny models

BDH on one language of a Europarl sample each; the mean with Student's t interval over three seeds or more, else every seed's own value. The right column is
what the paper says of its own, far larger models: claimed, not measured here, and where losses stand there they are nats of translations and not bits of one
language.

{markdown(("what", "of", "seeds", "n each", "here [95 %]", "claimed by the paper"), lines)}"""


def _newest(probed: Sequence[Probed]) -> list[Probed]:
    """The rows of the last look at each model of each training seed."""
    last = {(row["model"], row["training_seed"]): row["created"] for row in sorted(probed, key=lambda row: str(row["created"]))}
    return [row for row in probed if row["created"] == last[row["model"], row["training_seed"]]]


def _inside(probed: Sequence[Probed]) -> list[tuple[str, ...]]:
    """Lines of what probes saw in the models, one for each measure and arm."""
    measures: dict[str, tuple[str, Callable[[list[Probed]], float | None]]] = {
        "x": ("active neurons in x, % of all", lambda rows: _share(rows, "x")),
        "y": ("active neurons in y, % of all", lambda rows: _share(rows, "y")),
        "modularity": (f"modularity of Dx E, {EDGES} edges a neuron", lambda rows: _modularity(rows, "modularity")),
        "same_degrees": ("the same of random graphs of its degrees", lambda rows: _modularity(rows, "same_degrees")),
        "gaussian": ("the same of Gaussian products", lambda rows: _modularity(rows, "gaussian")),
        "answers": ("synapses that answer to currency, of 50 candidates, corrected", _answers),
        "effect": ("rank-biserial effect of the candidate that the search put first, on other sentences", _effect),
    }
    lines: list[tuple[str, ...]] = []
    for name, (title, measure) in measures.items():
        for arm, of in ARMS.items():
            seeds = sorted({row["training_seed"] for row in probed if row["model"] == arm})
            seen = (measure([row for row in probed if row["model"] == arm and row["training_seed"] == seed]) for seed in seeds)
            if values := [value for value in seen if value is not None]:
                asked = _asked(name, [row for row in probed if row["model"] == arm])
                lines.append((title, of, str(len(values)), asked, _text(values, *BOUNDS[name]), CLAIMED[name]))
    return lines


def _asked(name: str, rows: list[Probed]) -> str:
    """What a measure was taken on, in each seed."""
    if name in ("x", "y"):
        return f"{min(row['positions'] for row in rows if row['probe'] == 'density'):,} bytes"
    if name in ("answers", "effect"):
        return f"{min(row['present'] + row['absent'] for row in rows if row['probe'] == 'synapse'):,} sentences"
    return f"{min(row['neurons'] for row in rows if row['probe'] == 'modularity'):,} neurons"


def _share(rows: list[Probed], name: str) -> float | None:
    """Percent, the mean over steps and layers."""
    shares = [row[name] for row in rows if row["probe"] == "density" and row["where"] == "all"]
    return 100 * float(np.mean(shares)) if shares else None


def _modularity(rows: list[Probed], name: str) -> float | None:
    found = [row[name]["mean"] for row in rows if row["probe"] == "modularity" and row["edges"] == EDGES * row["neurons"]]
    return float(np.mean(found)) if found else None


def _answers(rows: list[Probed]) -> float | None:
    """How many candidates fire more with the concept than without it, in sentences that the search has not seen."""
    found = [row["holm"] for row in rows if row["probe"] == "synapse"]
    return float(sum(p < LEVEL for p in found)) if found else None


def _effect(rows: list[Probed]) -> float | None:
    """That of the candidate that the search put first: it was chosen on other sentences than those of the test."""
    return next((float(row["effect"]) for row in rows if row["probe"] == "synapse"), None)


def _joined(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Lines of what either language costs each arm."""
    known = [row for row in latest(rows) if row.arch == "bdh" and row.config.get("source") in TEXTS and row.model in ARMS]
    lines: list[tuple[str, ...]] = []
    for source, text in TEXTS.items():
        for arm, of in ARMS.items():
            its = [row for row in known if row.config["source"] == source and row.model == arm and row.bits_per_byte is not None]
            costs, asked = [row.bits_per_byte or 0.0 for row in its], min((row.n for row in its), default=0)
            role = ("own" if source.endswith(arm) else "other") if arm in ("en", "fr") else arm
            if costs:
                lines.append((f"bits_per_byte of {text}", of, str(len(costs)), f"{asked:,} documents", _text(costs), LOSSES.get(role, "–")))
    return lines


def _text(values: Sequence[float], least: float = FREE[0], most: float = FREE[1]) -> str:
    """The mean and its interval, within what can be; of two seeds an interval would say little but that they are two."""
    if len(values) < 3:
        return ", ".join(f"{value:.3g}" for value in values)
    value, low, high = student(values)
    return f"{value:.3g} [{max(low, least):.3g}, {min(high, most):.3g}]"
