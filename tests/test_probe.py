"""Looking inside: activity against the equations, and the command from end to end."""

import json
from pathlib import Path

import numpy as np
import oracle_models
import pytest
import torch
from boards import BOARDS, line
from test_cli import bdh_reason
from test_concept import labelled

from bdh_reason.bdh import EXAMPLES, Config, Model
from bdh_reason.bdh.probe import active, neuron_graphs, observed, written
from bdh_reason.compare.probe import write
from bdh_reason.evaluate import probe
from bdh_reason.train import checkpoint
from bdh_reason.train.initial import initial
from bdh_reason.train.recipe import parse

ROOT = Path(__file__).parent.parent
RELEASED = ROOT / "results" / "checkpoints" / "sudoku"
TEXT = {"task": {"name": "sudoku", "options": {"box": [2, 2]}}, "view": "cells", "reading": "sequence", "loop": {"feedback": False, "inject": False}}


def both(x_HBtN, y_HBtN):
    return x_HBtN, y_HBtN


def look(model, board, v_BtD, v0_BtD=None):
    """One step observed: (x, y) of each layer, and the step's v."""
    stepped = []
    steps = (stepped.append(model.step(v_BtD, v0_BtD, board, None)[0]) or None for _ in range(1))
    (layers,) = observed(model, board, steps, both)
    return [tuple(torch.cat(parts, 2) for parts in zip(*windows)) for windows in layers], stepped[0]


def equations(model, v_tD, seen, sequence):
    """x and y of one layer of the released form, [H, t, N], one token and one head at a time."""
    weights, config, rows = model.state_dict(), model.config, []
    for h in range(config.heads):
        x_tN = (v_tD @ weights["Dx_HDN"][h]).relu()
        y_tN = torch.zeros_like(x_tN)
        for i in range(len(v_tD)):
            a_D = sum((oracle_models.bdh_score(config, h, x_tN[i], x_tN[j], i, j, sequence) * v_tD[j] for j in seen[h][i]), torch.zeros_like(v_tD[i]))
            y_tN[i] = (oracle_models.layer_norm(a_D) @ weights["Dy_HDN"][h]).relu() * x_tN[i]
        rows.append((x_tN, y_tN))
    return tuple(torch.stack(part) for part in zip(*rows))


def drawn(board, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((2, board.tokens, width)))


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_activity_is_the_equations_token_by_token_in_the_boards_order(kind, bound):
    board = BOARDS[kind]
    bound = bound and bool(board.relations)
    model = initial(Model, Config(d=6, n=24, heads=12, relations=bound, layers=2), board, 0).double()
    v_2tD, sequence = drawn(board, 6), board.reading == "sequence"
    seen = oracle_models.sees(board, 12, bound, itself=not sequence and not (bound and board.groups_RGk is not None))
    layers, _ = look(model, board, v_2tD)
    one = Config(d=6, n=24, heads=12, relations=bound)
    for x_H2tN, y_H2tN in layers:
        for row in range(2):
            x_HtN, y_HtN = equations(model, v_2tD[row], seen, sequence)
            torch.testing.assert_close(x_H2tN[:, row], x_HtN, rtol=0, atol=1e-5)
            torch.testing.assert_close(y_H2tN[:, row], y_HtN, rtol=0, atol=1e-5)
            counts_22t = active(x_H2tN, y_H2tN)
            expected_2t = torch.stack([(x_HtN > 1e-9).sum((0, 2)), (y_HtN > 1e-9).sum((0, 2))])
            torch.testing.assert_close(counts_22t[:, row], expected_2t)
        v_2tD = torch.stack([oracle_models.bdh_step(model.state_dict(), one, v_tD, None, seen, sequence) for v_tD in v_2tD])


@pytest.mark.parametrize("config", EXAMPLES)
def test_looking_changes_nothing_and_what_is_seen_makes_the_next_v(config):
    """Every form: E applied to the y that was seen gives the v that the step returns, and the model is afterwards as it was."""
    board = BOARDS["candidates"] if config.relations else BOARDS["plain"]
    model = initial(Model, config, board, 0).double()
    v_2tD, v0_2tD = drawn(board, config.d), drawn(board, config.d, 1)
    layers, stepped_2tD = look(model, board, v_2tD, v0_2tD)
    assert len(layers) == config.layers
    for (_, y_H2tN), (_, _, E_HND) in zip(layers, model._weights()):
        v_2tD = model._close(v_2tD, torch.einsum("hbtn,hnd->btd", y_H2tN, E_HND), v0_2tD)
    torch.testing.assert_close(v_2tD, stepped_2tD)
    assert "_gate" not in vars(model)
    torch.testing.assert_close(model.step(drawn(board, config.d), v0_2tD, board, None)[0], stepped_2tD, rtol=0, atol=0)


def test_a_text_read_in_windows_shows_what_reading_at_once_shows_and_the_first_token_nothing():
    board, seen = line("sequence", 23), []
    for execution in ("quadratic", "chunked"):
        model = initial(Model, Config(d=4, n=16, heads=2, relations=False, layers=2, execution=execution), board, 0).double()
        seen.append(look(model, board, drawn(board, 4))[0])
    for (x, y), (x_too, y_too) in zip(*seen):
        torch.testing.assert_close(x, x_too)
        torch.testing.assert_close(y, y_too)
        assert active(x, y)[1, :, 0].tolist() == [0, 0]
        assert active(x, y)[1, :, 1:].sum() > 0


def test_a_step_computed_by_other_means_is_not_taken_for_silence():
    board = BOARDS["sequence"]
    model = initial(Model, Config(d=4, n=16, heads=2, relations=False), board, 0)
    with pytest.raises(RuntimeError, match="plain path"):
        list(observed(model, board, [None], both))


def test_what_is_written_is_the_mean_of_products():
    y_HtN, x_HtN = (torch.from_numpy(np.random.default_rng(seed).random((2, 5, 3))) for seed in (0, 1))
    expected = sum(y_HtN[1, t, 2] * x_HtN[1, t, 0] for t in range(5)) / 5
    torch.testing.assert_close(written(y_HtN, x_HtN)[1, 2, 0], expected)


@pytest.mark.parametrize("shared", [True, False])
def test_the_neuron_graph_is_what_one_neuron_sends_to_another(shared):
    model = initial(Model, Config(d=5, n=12, heads=2, relations=False, layers=2, shared=shared), BOARDS["sequence"], 0)
    graphs = neuron_graphs(model)
    assert [graph.shape for graph in graphs] == [(12, 12)] * (1 if shared else 2)
    E_HND, following = model.E_HND, 0 if shared else 2  # neuron 7 is number 1 of head 1, neuron 4 number 4 of head 0
    torch.testing.assert_close(graphs[0][7, 4], E_HND[1, 1] @ model.Dx_HDN[following + 0, :, 4])
    if not shared:
        torch.testing.assert_close(graphs[1][7, 4], E_HND[3, 1] @ model.Dx_HDN[0, :, 4])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Runs: a small model of text, a transformer; texts and sentences."""
    folder = tmp_path_factory.mktemp("home")
    released = checkpoint.read(RELEASED / "model.json").card
    options = {"d": 8, "n": 16, "heads": 2, "relations": False, "layers": 2}
    for name, model in (("text", {"name": "bdh", "options": options}), ("other", {"name": "transformer", "options": {"d": 8, "heads": 2, "relations": False}})):
        card = checkpoint.Card(**{**vars(released), "recipe": {**released.recipe, **TEXT, "name": name, "model": model}})
        recipe = parse(card.recipe, "a test")
        checkpoint.write(folder / name, "model", card, recipe.build_model(recipe.build_task().board("cells", "sequence")).state_dict())
    (folder / "short").write_text("too short")
    (folder / "book").write_text("In the beginning there was a probe. " * 9)
    labelled(folder / "sentences")
    (folder / "few").write_text("present\ta\nabsent\tb\n" * 12)
    (folder / "wrong").write_text("present\ta\nperhaps\tb\n")
    return folder


def test_the_released_checkpoint_is_probed_on_problems_of_its_task(tmp_path):
    done = bdh_reason("probe", str(RELEASED), "--task", "sudoku", "--limit", "3", "--depth", "2", "--json", "--out", "seen", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    assert (tmp_path / "seen" / "rows.jsonl").read_text() == done.stdout
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"rows.jsonl", "density.svg", "degrees.svg", "modularity.svg"}
    card = json.loads((RELEASED / "model.json").read_text())
    assert {(row["weights"], row["model"], row["seed"], row["depth"]) for row in rows} == {(card["sha256"], "sudoku", 0, 2)}
    assert all(row["method"] for row in rows)
    density = {(row["step"], row["where"]): row for row in rows if row["probe"] == "density"}
    assert set(density) == {(step, where) for step in (1, 2) for where in ("all", "scored", "shown")}
    whole, scored, shown = (density[2, where] for where in ("all", "scored", "shown"))
    assert (whole["problems"], whole["positions"]) == (3, 3 * 81)
    assert scored["positions"] + shown["positions"] == whole["positions"]
    assert len(whole["source_sha256"]) == 64
    for name in "xy":
        assert np.mean(whole[f"{name}_by_position"]) == pytest.approx(whole[name], abs=1e-5)
        assert min(scored[name], shown[name]) <= whole[name] <= max(scored[name], shown[name])
    assert 0 < whole["y"] < whole["x"] < 1
    for row in rows:
        if row["probe"] == "degrees":
            for way in ("out", "in"):
                assert np.dot(row[way]["degrees"], row[way]["counts"]) == row["edges"]
                assert sum(row[way]["counts"]) == row["neurons"] == 256
        if row["probe"] == "modularity":
            assert row["modularity"]["mean"] > row["same_degrees"]["mean"]


def test_figures_are_functions_of_the_rows(home, tmp_path):
    done = bdh_reason("probe", "text", "--text", "book", "--json", cwd=home)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for name in ("one", "two"):
        write(tmp_path / name, rows)
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 4
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_text_is_probed_twice_alike_and_without_out_nothing_is_written(home):
    before = sorted(home.rglob("*"))
    words = ("probe", "text", "--text", "book", "--concept", "sentences", "--depth", "2", "--limit", "4", "--json")
    first, second = (bdh_reason(*words, cwd=home) for _ in range(2))
    assert first.returncode == 0, first.stderr
    undated = [[{**json.loads(line), "created": ""} for line in done.stdout.splitlines()] for done in (first, second)]
    assert undated[0] == undated[1]
    assert sorted(home.rglob("*")) == before
    density = [row for row in undated[0] if row["probe"] == "density"]
    assert [(row["step"], row["layer"], row["where"], row["problems"], row["positions"]) for row in density] == [
        (step, layer, "all", 4, 64) for step in (1, 2) for layer in (1, 2)
    ]
    assert all(row["y_by_position"][0] == 0 for row in density)
    assert {row["probe"] for row in undated[0]} == {"density", "degrees", "modularity", "synapse"}


def test_people_get_a_line_for_each_row(home):
    done = bdh_reason("probe", "text", "--text", "book", "--concept", "sentences", cwd=home)
    rows = bdh_reason("probe", "text", "--text", "book", "--concept", "sentences", "--json", cwd=home).stdout.splitlines()
    assert len(done.stdout.splitlines()) == len(rows)
    assert "active in x 0." in done.stdout
    assert "modularity of the model's G" in done.stdout
    assert "effect" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("text",), "neither --text nor --task"),
        (("text", "--text", "book", "--task", "sudoku"), "both --text and --task"),
        (("text", "--text", "book", "--set", "box=[2,2]"), "--set without --task"),
        (("text", "--text", "book", "--concept", "sentences", "--depth", "1000000"), "1 to 16,777,216"),
        (("text", "--text", "nothing"), "cannot read nothing"),
        (("text", "--text", "short"), "at least the 16"),
        (("text", "--text", "book", "--concept", "wrong"), "wrong, line 2"),
        (("text", "--text", "book", "--concept", "few"), "14 of each"),
        (("text", "--text", "book", "--concept", "nothing"), "cannot read nothing"),
        (("text", "--task", "sudokku"), "unknown task 'sudokku'"),
        (("other", "--text", "book"), "kind transformer"),
        (("text", "--text", "book", "--out", "book/folder"), "cannot write to book/folder"),
        (("chance", "--text", "book"), "chance is a guess"),
        (("nothing", "--text", "book"), "unknown model 'nothing'"),
        ((str(RELEASED), "--text", "book"), "the candidates of a grid"),
        ((str(RELEASED), "--task", "sudoku", "--concept", "sentences"), "the candidates of a grid"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(home, words, message):
    done = bdh_reason("probe", *words, cwd=home)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stdout == ""


def test_a_graph_too_large_is_left_out_with_a_word(home, monkeypatch):
    monkeypatch.setattr(probe, "NEURONS", 15)
    done = bdh_reason("probe", "text", "--text", "book", "--json", cwd=home)
    assert "16 neurons is not measured: at most 15" in done.stderr
    assert {json.loads(line)["probe"] for line in done.stdout.splitlines()} == {"density"}
