"""The written backward pass is that of autograd, whatever the board, the form of the scores, or what was kept."""

from dataclasses import replace

import pytest
import torch
from boards import BOARDS, line
from hypothesis import given, settings
from hypothesis import strategies as st

from bdh_reason.bdh import Config, Model, layer
from bdh_reason.train.initial import initial

LINE = line("sequence", 9)
configurations = st.builds(
    Config,
    d=st.just(6),
    n=st.just(24),
    heads=st.just(3),
    relations=st.just(False),
    layers=st.integers(1, 3),
    shared=st.booleans(),
    positions=st.sampled_from(["rotary", "alibi", "rotary+alibi", "none"]),
    scaled=st.booleans(),
    strict=st.booleans(),
    execution=st.just("quadratic"),
    pieces=st.sampled_from([(), (2, 6)]),
)


def stepped(config, board, tokens, dtype=torch.float64, autocast=False, inject=True):
    """v after two steps, and the gradients of a random projection of it in the first v, in v0 and in every weight."""
    model = initial(Model, config, board, 0).to(dtype)
    source = torch.Generator().manual_seed(tokens)
    v_BtD, v0_BtD, projection_BtD = (torch.randn(2, tokens, config.d, generator=source, dtype=torch.float64).to(dtype) for _ in range(3))
    inputs = [v_BtD.requires_grad_(), v0_BtD.requires_grad_(), model.Dx_HDN, model.Dy_HDN, model.E_HND]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for _ in range(2):
            v_BtD, _ = model.step(v_BtD, v0_BtD if inject else None, board, None)
    gradients = torch.autograd.grad((v_BtD * projection_BtD).sum(), inputs, allow_unused=True, materialize_grads=True)
    return [v_BtD.detach(), *gradients]


def same(ours, theirs, close):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=close * (1 + float(other.abs().max()) if other.numel() else 1))


@settings(max_examples=60)
@given(configurations, st.sampled_from([0, 1, 2, 3, 5, 8, 13]), st.booleans(), st.booleans())
def test_texts_have_the_gradients_of_autograd(config, tokens, recompute, inject):
    written = stepped(replace(config, backward="written", recompute=recompute), LINE, tokens, inject=inject)
    # phases are fp32 in both, products of many turns of them are not ordered alike
    same(written, stepped(replace(config, backward="autograd"), LINE, tokens, inject=inject), 1e-6 if "rotary" in config.positions else 1e-10)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("kind", BOARDS)
def test_boards_have_the_gradients_of_autograd(kind, bound, scaled):
    board = BOARDS[kind]
    config = Config(d=6, n=48, heads=12, relations=bound and bool(board.relations), scaled=scaled, positions="none")
    one, other = (stepped(replace(config, backward=backward), board, board.tokens) for backward in ("written", "autograd"))
    same(one, other, 1e-10)


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_in_bfloat16_it_errs_no_more_than_autograd_does(positions):
    config = Config(d=32, n=256, heads=4, relations=False, positions=positions)
    exact = stepped(replace(config, backward="autograd"), LINE, 20)
    plain, written = (stepped(replace(config, backward=backward), LINE, 20, torch.float32, autocast=True) for backward in ("autograd", "written"))
    for true, theirs, ours in zip(exact, plain, written, strict=True):
        assert (ours - true).norm() <= 1.5 * (theirs - true).norm() + 1e-3 * true.norm()


def test_what_is_made_again_is_bit_equal():
    config = Config(d=32, n=256, heads=4, relations=False, backward="written")
    for ours, theirs in zip(*(stepped(replace(config, recompute=recompute), LINE, 12, torch.float32) for recompute in (True, False)), strict=True):
        assert torch.equal(ours, theirs)


def kept(config):
    """Numbers that one step of two texts of 16 tokens keeps for its backward pass, besides weights."""
    model, sizes = initial(Model, config, LINE, 0), {}

    def note(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    v_BtD = torch.randn(2, 16, config.d, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.step(v_BtD, None, LINE, None)
    return sum(sizes.values())


def test_nothing_as_wide_as_the_neurons_is_kept_when_it_is_made_again():
    plain, written, again = (
        kept(Config(d=8, n=4096, heads=4, relations=False, backward=backward, recompute=recompute))
        for backward, recompute in (("autograd", False), ("written", False), ("written", True))
    )
    weights, wide = 3 * 8 * 4096, 2 * 16 * 4096
    assert again < weights + wide / 2 < written <= weights + 3.5 * wide < plain


def test_weights_that_were_written_to_are_cast_anew():
    config = Config(d=6, n=24, heads=3, relations=False, backward="written")
    model, v_BtD = initial(Model, config, LINE, 0), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    before_BtD, _ = model.step(v_BtD, None, LINE, None)
    with torch.no_grad():
        model.Dx_HDN.mul_(-1)
    after_BtD, _ = model.step(v_BtD, None, LINE, None)
    with torch.no_grad():
        expected_BtD, _ = model.step(v_BtD, None, LINE, None)
    assert not torch.allclose(before_BtD, after_BtD)
    torch.testing.assert_close(after_BtD, expected_BtD)


def test_a_backward_pass_under_autocast_works_in_the_type_of_its_forward_pass():
    model, found = initial(Model, Config(d=6, n=24, heads=3, relations=False, backward="written"), LINE, 0), []
    v_BtD = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    for autocast in (False, True):
        out_BtD, _ = model.step(v_BtD, None, LINE, None)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found.append(torch.autograd.grad((out_BtD * v_BtD).sum(), model.Dx_HDN)[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)


def trained(backward):
    """Dx after three steps of an optimiser that writes to weights without torch counting it."""
    model = initial(Model, Config(d=6, n=24, heads=3, relations=False, backward=backward), LINE, 0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    v_BtD = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimiser.zero_grad()
        out_BtD = model.step(model.step(v_BtD, None, LINE, None)[0], None, LINE, None)[0]
        (out_BtD * v_BtD).sum().backward()
        optimiser.step()
    return model.Dx_HDN.detach()


def test_a_fused_optimiser_trains_it_too():
    torch.testing.assert_close(trained("written"), trained("autograd"), rtol=0, atol=1e-4)


def test_weights_that_were_exchanged_are_cast_anew():
    config = Config(d=6, n=24, heads=3, relations=False, backward="written")
    model, other = (initial(Model, config, LINE, seed) for seed in (0, 1))
    v_BtD = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    model.step(v_BtD, None, LINE, None)
    for weight, new in zip(model.parameters(), other.parameters()):
        weight.data = new.data.clone()
    assert torch.equal(model.step(v_BtD, None, LINE, None)[0], other.step(v_BtD, None, LINE, None)[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's compiler looks at it
def test_compiled_it_is_the_same(capsys):
    config = Config(d=6, n=24, heads=3, relations=False)
    one, other = (stepped(replace(config, backward=backward, recompute=True), LINE, 8) for backward in ("compiled", "written"))
    same(one, other, 1e-10)
    assert capsys.readouterr().err == ""


def test_without_a_compiler_it_says_so_once_and_goes_on(monkeypatch, capsys):
    def broken(*_):
        raise torch._dynamo.exc.TorchDynamoException("no C++ compiler\nand a long tale")

    layer.compiled_by_inductor.cache_clear()
    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    config = Config(d=6, n=24, heads=3, relations=False, backward="compiled")
    same(stepped(config, LINE, 8), stepped(replace(config, backward="written"), LINE, 8), 0)
    layer.compiled_by_inductor.cache_clear()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"the layer's {name} pass runs without Inductor: no C++ compiler" for name in ("forward", "backward")]
