"""What a probe saw, from its rows alone: lines for people and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bdh_reason.compare.picture import svg
from bdh_reason.errors import UserError
from bdh_reason.files import replace, writing

Row = dict[str, Any]
NAMES = {"modularity": "the model's G", "same_degrees": "same degrees", "gaussian": "Gaussian product"}


def lines(rows: Sequence[Row]) -> list[str]:
    """Each measurement in a line."""
    return [_LINES[row["probe"]](row) for row in rows]


def _density(row: Row) -> str:
    x, y = (f"{row[name]:.4f}" + ("" if row[f"{name}_error"] is None else f" ± {row[f'{name}_error']:.4f}") for name in "xy")
    where = "" if row["where"] == "all" else f", {row['where']} positions"
    return f"step {row['step']} layer {row['layer']}{where}: active in x {x}, in y {y} (n = {row['problems']})"


def _degrees(row: Row) -> str:
    return f"{row['edges']:,} edges: " + "; ".join(f"{name}-degrees {_tail(row[name]['tail'])}" for name in ("out", "in"))


def _tail(tail: Row | None) -> str:
    if tail is None:
        return "without a tail that could be fitted"
    law = f"k^-{tail['exponent']:.2f} ± {tail['error']:.2f} from k = {tail['cutoff']} ({tail['neurons']} neurons, KS {tail['distance']:.3f}"
    return f"{law}; log-likelihood over a geometric tail {tail['ratio']:+.1f}, p = {tail['p']:.2g})"


def _modularity(row: Row) -> str:
    measured = ", ".join(f"{name} {row[key]['mean']:.3f} ± {row[key]['deviation']:.3f}" for key, name in NAMES.items())
    return f"{row['edges']:,} edges: modularity of {measured} ({row['modularity']['draws']} draws each); of the heads {row['of_heads']:.3f}"


def _synapse(row: Row) -> str:
    place = f"step {row['step']} layer {row['layer']} head {row['head']} synapse {row['i']} → {row['j']}"
    return f"{place}: U = {row['u']:g} of {row['present'] * row['absent']}, effect {row['effect']:.2f}, p = {row['p']:.2g}, corrected {row['holm']:.2g}"


_LINES: dict[str, Callable[[Row], str]] = {"density": _density, "degrees": _degrees, "modularity": _modularity, "synapse": _synapse}


def write(folder: Path, rows: Sequence[Row]) -> None:
    """The rows and the figures of them into a folder, each file whole. Raises UserError where it cannot be written."""
    files = {f"{name}.svg": svg(figure) for name, figure in figures(rows).items()}
    files["rows.jsonl"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace(folder / name, content)


def read(paths: Sequence[Path]) -> list[Row]:
    """The rows of some files. Raises UserError naming the line that is none."""
    rows: list[Row] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                rows.append({"probe": json.loads(line)["probe"], **json.loads(line)})
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}, line {number} is no row of a probe", "lines that `bdh-reason probe` wrote", "remove the line") from error
    return rows


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures by name: density by step and by position, and, where there are graphs, degrees and modularity."""
    of = {name: [row for row in rows if row["probe"] == name] for name in _LINES}
    drawn = {"density": density(of["density"])}
    if of["degrees"]:
        drawn |= {"degrees": degrees(of["degrees"]), "modularity": modularity(of["modularity"])}
    return drawn


def _axes(*titles: str) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(titles), 3.6), layout="constrained")
    axes = [figure.add_subplot(1, len(titles), place) for place in range(1, len(titles) + 1)]
    for axis, title in zip(axes, titles):
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3, linewidth=0.5)
    return figure, axes


def density(rows: Sequence[Row]) -> Any:
    """Left: x and y by latent step, a line for each kind of position, its last layer. Right: by position, last step."""
    last = max(row["layer"] for row in rows)
    rows = [row for row in rows if row["layer"] == last]
    figure, (by_step, by_position) = _axes(f"active neurons by latent step (layer {last})", "active neurons by position, last step")
    for name, colour in (("x", "C0"), ("y", "C1")):
        for where, style in (("all", "-"), ("scored", "--"), ("shown", ":")):
            chosen = [row for row in rows if row["where"] == where]
            if chosen:
                by_step.plot([row["step"] for row in chosen], [row[name] for row in chosen], style, color=colour, label=f"{name}, {where}", marker=".")
        final = max((row for row in rows if row["where"] == "all"), key=lambda row: row["step"])
        by_position.plot(final[f"{name}_by_position"], color=colour, label=name, linewidth=1)
    by_step.set_xlabel("step")
    by_position.set_xlabel("position")
    for axis in (by_step, by_position):
        axis.set_ylabel("share of neurons")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
    return figure


def degrees(rows: Sequence[Row]) -> Any:
    """How many neurons have at least k edges, out and in, on logarithmic axes; dashed: the fitted power law."""
    figure, axes = _axes("out-degrees", "in-degrees")
    for axis, name in zip(axes, ("out", "in")):
        for number, row in enumerate(rows):
            degree, count = row[name]["degrees"], row[name]["counts"]
            above = [sum(count[place:]) / sum(count) for place in range(len(count))]
            shown = [(k, share) for k, share in zip(degree, above) if k]
            axis.plot(*zip(*shown), ".", color=f"C{number}", markersize=3, label=_graph(row))
            if tail := row[name]["tail"]:
                start = tail["neurons"] / sum(count)
                line = [start * (k / tail["cutoff"]) ** (1 - tail["exponent"]) for k in (tail["cutoff"], max(degree))]
                axis.plot((tail["cutoff"], max(degree)), line, "--", color=f"C{number}", linewidth=1)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("degree k")
        axis.set_ylabel("share of neurons with at least k")
        axis.legend(fontsize=7)
    return figure


def modularity(rows: Sequence[Row]) -> Any:
    """Modularity of the neuron graph and of the random graphs, mean and standard deviation over draws."""
    figure, (axis,) = _axes("modularity")
    for number, (key, name) in enumerate(NAMES.items()):
        places = [place + 0.12 * (number - 1) for place in range(len(rows))]
        axis.errorbar(places, [row[key]["mean"] for row in rows], [row[key]["deviation"] for row in rows], fmt="o", markersize=4, capsize=3, label=name)
    axis.plot(range(len(rows)), [row["of_heads"] for row in rows], "k_", label="heads as communities")
    axis.set_xticks(range(len(rows)), [_graph(row) for row in rows], fontsize=7)
    axis.legend(fontsize=7)
    return figure


def _graph(row: Row) -> str:
    return f"{row['edges']:,} edges" + (f", layer {row['layer']}" if row["layer"] else "")
