"""Looking inside a trained BDH: rows of how many neurons are active, of the graph between them, and of synapses that answer to one concept.

Every row names the weights, what was read, the seed, and how many of what its numbers rest on; `method` says how they were taken.
Axes: B problems or windows, t tokens, T positions, S steps, L layers, n neurons of all heads, Q different degrees.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bdh_reason import discover, rng
from bdh_reason.bdh import neurons
from bdh_reason.bdh.probe import active, neuron_graphs, observed
from bdh_reason.data.build import Progress
from bdh_reason.errors import UserError
from bdh_reason.evaluate import source as source_of
from bdh_reason.evaluate.concept import concept, sentences
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import commit, device_name, versions
from bdh_reason.evaluate.source import Source, inside
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import device_of, starting_noise

BATCH = 16
NEURONS = 4096  # beyond, communities would take more than a few minutes
EDGES = (4, 8, 16)  # for each neuron
DRAWS = 5
Row = dict[str, Any]


def probe(
    reference: str,
    text: Path | None,
    task: str | None,
    options: Mapping[str, Any],
    labelled: Path | None,
    depth: int | None,
    limit: int,
    seed: int,
    device: str,
    progress: Progress,
) -> list[Row]:
    """All rows of one model on a text, on the test documents of a corpus or on fresh problems of a task, at most `limit` windows or problems, as deep as it
    was validated or as asked.

    `labelled` is a file of sentences that have a concept or not. Raises UserError for neither or both of text and task, for a model that is not BDH, for a
    text that it cannot read or that is too short, and for a file of sentences that is malformed or too short for any synapse to be significant.
    """
    if (text is None) == (task is None):
        raise UserError("both --text and --task" if text else "neither --text nor --task", "one of them")
    if text and options:
        raise UserError("--set without --task", "--set configures the task whose problems are read")
    contender = checkpoint(reference)
    recipe = contender.recipe
    known = next((one.task.options for one in recipe.each if one.task.name == task), {})
    chosen = discover.build(task, {**known, **options}) if task else None
    home = chosen or next((one for one in recipe.each if discover.is_text(one.task.name)), recipe.each[0]).subject()
    reasoner, depth = contender.reasoner(home, device), depth or contender.like(home).validation.depth
    inside(reasoner)
    source = source_of.fresh(reasoner, chosen, limit, seed) if chosen else source_of.text(reasoner, text or Path(), limit)
    given = sentences(reasoner, labelled) if labelled else None
    tested = concept(reasoner, given, depth, seed, progress) if given else []
    rows = [*_density(reasoner, source, depth, seed, progress), *_graphs(reasoner, seed, progress), *tested]
    about = {**_about(contender, reasoner, device), "depth": depth, "seed": seed}
    return [{**about, **row} for row in rows]


def _about(contender: Contender, reasoner: Reasoner, device: str) -> Row:
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": contender.name,
        "training_seed": contender.recipe.seed,
        "weights": contender.sha256,
        "trained_steps": contender.card.step,
        "params": reasoner.model.size(),
        "device": device_name(device),
        "versions": versions(),
        "commit": commit(),
    }


def _think(reasoner: Reasoner, prompt_BT: np.ndarray, depth: int, seed: int, first: int) -> Iterator[Tensor]:
    tokens_Bt = torch.from_numpy(reasoner.board.expand(prompt_BT)).to(device_of(reasoner))
    yield from reasoner.think(tokens_Bt, depth, starting_noise(reasoner, np.arange(first, first + len(prompt_BT)), seed))


@torch.inference_mode()
def _density(reasoner: Reasoner, source: Source, depth: int, seed: int, progress: Progress) -> list[Row]:
    """The share of active neurons by step, layer and position; for problems also at the positions to fill and at those that are shown."""
    parts, total = [], len(source.prompt_BT)
    for first in range(0, total, BATCH):
        progress(first, total)
        steps = _think(reasoner, source.prompt_BT[first : first + BATCH], depth, seed, first)
        seen = observed(inside(reasoner), reasoner.board, steps, active)
        parts.append(np.array([[torch.cat(windows, 2).cpu().numpy() for windows in step] for step in seen]))
    progress(total, total)
    counts_SL2Bt = np.concatenate(parts, 3)
    share_SL2BT = counts_SL2Bt.reshape(*counts_SL2Bt.shape[:4], reasoner.board.positions, -1).mean(-1) / reasoner.model.config.n
    where = {"all": np.ones(source.prompt_BT.shape, bool)}
    if source.scored_BT is not None:
        where |= {"scored": source.scored_BT, "shown": ~source.scored_BT}
    return [
        {"probe": "density", "step": step + 1, "layer": layer + 1, "where": name, **_share(share_2BT, chosen_BT), **source.about}
        for step, share_L2BT in enumerate(share_SL2BT)
        for layer, share_2BT in enumerate(share_L2BT)
        for name, chosen_BT in where.items()
        if chosen_BT.any()
    ]


def _share(share_2BT: np.ndarray, chosen_BT: np.ndarray) -> Row:
    """x, y: the mean over problems of the share at the chosen positions of each, its standard error, and the mean of each position over problems."""
    has_B = chosen_BT.any(1)
    row: Row = {"problems": int(has_B.sum()), "positions": int(chosen_BT.sum())}
    for name, share_BT in zip("xy", share_2BT):
        share_B = np.where(chosen_BT, share_BT, 0).sum(1)[has_B] / chosen_BT.sum(1)[has_B]
        row[name], row[f"{name}_error"] = float(share_B.mean()), float(share_B.std(ddof=1) / len(share_B) ** 0.5) if len(share_B) > 1 else None
        row[f"{name}_by_position"] = share_BT.mean(0).round(6).tolist() if chosen_BT.all() else None
    return {**row, "method": "share of all neurons above 0; error: standard error over problems or windows"}


def _graphs(reasoner: Reasoner, seed: int, progress: Progress) -> list[Row]:
    """Degrees and modularity of G = Dx E at several numbers of edges, beside random graphs."""
    config = reasoner.model.config
    if config.n > NEURONS:
        print(f"the graph of {config.n:,} neurons is not measured: at most {NEURONS:,}", file=sys.stderr)
        return []
    rows, graphs = [], [G_nn.cpu().numpy() for G_nn in neuron_graphs(inside(reasoner))]
    for number, G_nn in enumerate(graphs):
        for place, edges in enumerate(EDGES):
            progress(number * len(EDGES) + place, len(graphs) * len(EDGES))
            draw = rng.generator(seed, "probe graph", f"{edges}", number)
            graph_nn, threshold = neurons.strongest(G_nn, edges * config.n)
            about = {
                **{"probe": "graph", "layer": None if config.shared else number + 1, "neurons": config.n, "edges": int(graph_nn.sum())},
                **{"threshold": threshold, "deviation": float(G_nn.std())},
            }
            rows += [{**about, **_degrees(graph_nn)}, {**about, **_communities(graph_nn, config.d, config.heads, draw)}]
    progress(1, 1)
    return rows


def _degrees(graph_nn: np.ndarray) -> Row:
    """In- and out-degrees: how many neurons have each, and the power law of their tails."""
    row: Row = {"probe": "degrees"}
    for name, axis in (("out", 1), ("in", 0)):
        degree_n = graph_nn.sum(axis)
        tail = neurons.tail(degree_n)
        value_Q, count_Q = np.unique(degree_n, return_counts=True)
        row |= {name: {"degrees": value_Q.tolist(), "counts": count_Q.tolist(), "tail": tail and asdict(tail)}}
    return {**row, "method": "largest positive entries of Dx E without loops; discrete power law by maximum likelihood, cut-off of least KS distance"}


def _communities(graph_nn: np.ndarray, d: int, heads: int, draw: np.random.Generator) -> Row:
    def louvain(graph_nn: np.ndarray) -> float:
        return neurons.modularity(graph_nn, neurons.communities(graph_nn, int(draw.integers(2**32))))

    n, edges = len(graph_nn), int(graph_nn.sum())
    measured = {
        "modularity": [louvain(graph_nn) for _ in range(DRAWS)],
        "same_degrees": [louvain(neurons.same_degrees(graph_nn, draw)) for _ in range(DRAWS)],
        "gaussian": [louvain(neurons.gaussian(n, d, edges, draw)) for _ in range(DRAWS)],
    }
    spread = {name: {"mean": float(np.mean(values)), "deviation": float(np.std(values, ddof=1)), "draws": DRAWS} for name, values in measured.items()}
    by_heads = neurons.modularity(graph_nn, np.repeat(np.arange(heads), n // heads))
    method = f"directed modularity, Louvain once a draw; the model's draws differ in Louvain's order alone; {neurons.SWAPS} double-edge swaps an edge"
    return {"probe": "modularity", **spread, "of_heads": by_heads, "method": method}
