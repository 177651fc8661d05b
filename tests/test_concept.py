"""A synapse planted in a model of text is found, and a shuffled labelling finds none."""

import numpy as np
import pytest
import torch
from boards import line

from bdh_reason.bdh import Config, Model
from bdh_reason.bdh.probe import observed
from bdh_reason.evaluate.concept import concept, sentences, strength
from bdh_reason.reason.loop import Loop, Reasoner
from bdh_reason.train.initial import initial


def dollar_model():
    """Neurons 0 and 1 of head 0 see the byte $ and nothing else does: y of 0 in layer 1, x of 1 in layer 2, so synapse 0 → 1 is that of the dollar."""
    board = line("sequence", 9)
    config = Config(d=16, n=16, heads=2, relations=False, layers=2, positions="none")
    model = initial(Model, config, board, 0, feedback=False)
    dollar_D, text_D = (torch.tensor(signs * (16 // len(signs))).float() / 4 for signs in ([1, -1], [1, 1, -1, -1]))
    with torch.no_grad():
        for weight_XD in (model.token_VD, model.E_HND, model.Dx_HDN.mT, model.Dy_HDN.mT):
            weight_XD -= weight_XD.mean(-1, keepdim=True)
            weight_XD -= (weight_XD @ dollar_D)[..., None] * dollar_D
        model.token_VD += text_D
        model.token_VD[ord("$")] += 4 * dollar_D
        model.Dx_HDN[0, :, :2] = 2 * dollar_D[:, None]
        model.Dy_HDN[0, :, 0] = 2 * text_D
    return Reasoner(model, board, Loop(feedback=False, inject=False))


def test_a_synapse_joins_a_neuron_to_those_of_the_next_layer_and_of_the_next_step():
    reasoner, text_T = dollar_model(), np.frombuffer(b"ab$cab", np.uint8)
    model, board = reasoner.model.double(), reasoner.board
    v_1tD = torch.nn.functional.layer_norm(model.embed(torch.from_numpy(text_T.astype(np.int64))[None], board), (16,))
    seen = []
    for _ in range(2):
        steps = (v_1tD := model.step(v_1tD, None, board, None)[0] for _ in range(1))
        seen += [windows[0] for layers in observed(model, board, steps, lambda x, y: (x, y)) for windows in layers]
    strength_KHNN = strength(reasoner, text_T, 2)
    assert strength_KHNN.shape == (3, 2, 8, 8)
    for place in range(3):
        expected_HNN = torch.einsum("hti,htj->hij", seen[place][1][:, 0], seen[place + 1][0][:, 0]) / 6
        np.testing.assert_allclose(strength_KHNN[place], expected_HNN.detach(), atol=1e-12)


def labelled(path, shuffled=False):
    """40 lines of random letters, of which half hold a dollar."""
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(list("abcdefgh "), 12)) for _ in range(40)]
    texts = [f"{text[:6]}${text[6:]}" if place % 2 else text for place, text in enumerate(texts)]
    present = np.arange(40) % 2 == 1
    rows = zip(draw.permutation(present) if shuffled else present, texts)
    path.write_text("".join(f"{'present' if has else 'absent'}\t{text}\n" for has, text in rows))
    return path


def test_a_planted_synapse_is_found(tmp_path):
    reasoner = dollar_model()
    rows = concept(reasoner, sentences(reasoner, labelled(tmp_path / "sentences")), 1, 0, lambda done, total: None)
    assert {(row["present"], row["absent"], row["search_sentences"], row["searched"]) for row in rows} == {(10, 10, 20, 2 * 8 * 8)}
    found = {(row["layer"], row["head"], row["i"], row["j"]): row for row in rows if row["holm"] < 0.05}
    planted = found[2, 0, 0, 1]
    assert (planted["effect"], planted["u"], planted["step"]) == (1, 100, 1)


@pytest.mark.parametrize("seed", range(3))
def test_a_shuffled_labelling_finds_none(tmp_path, seed):
    reasoner = dollar_model()
    rows = concept(reasoner, sentences(reasoner, labelled(tmp_path / "sentences", shuffled=True)), 1, seed, lambda done, total: None)
    assert rows
    assert all(row["holm"] > 0.05 for row in rows)
