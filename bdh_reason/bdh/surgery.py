"""Surgery on BDH models: two become one, or one gets more neurons. Neurons stand side by side in each head, and each keeps its rotary frequency.

Everything in a layer is linear in how loud the neurons are (x, and so q·k twice over), as relu(c z) = c relu(z). Let the neurons of a piece be c times
as loud, with E divided by c, and their part in the read-out a is c² of what it was while y E is what it was. So Dx c and E share / c, with
c² = share (and with scaled scores c² = share · sqrt(n / n of the piece), which undoes the new divisor sqrt N), give

    a = sum of share · a of each piece on its own          y E = sum of share · y E of each piece

in every form, with and without LN. Plain concatenation is the same but for the scale, which the released form takes away again, up to the eps of LN;
the paper's form does not where the embedding is injected (LN(y E + v0)), nor does the norm-free form.

Axes: H heads (of all layers, where they are not shared), D width, N neurons of a head, M new neurons of a head.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn

from bdh_reason import rng
from bdh_reason.bdh.model import HOW, Model
from bdh_reason.errors import UserError

NEURONS = {"Dx_HDN": 2, "Dy_HDN": 2, "E_HND": 1}  # and the axis that they stand along
FREE = ("n", "pieces", *HOW)  # options in which joined models may differ


def concatenate(a: Model, b: Model) -> Model:
    """One model with the neurons of both, in each head those of `a` and then those of `b`; all other parameters are the mean of the two.

    Read-out and update are means too: a model joined with itself is the same function, and a state's first layer is sqrt(1/2) of the two on the same v.
    Options that may differ are `a`'s. Joined models can be joined again: each time the two count half.
    (arXiv 2509.26507, section 7.1, concatenates and averages without the scale.)
    Raises UserError for models that differ in anything but n, pieces and how they compute.
    """
    alike(a, b)
    n = a.config.n + b.config.n
    joined = _beside(a, n, pieces(b), _loud(a, n, 0.5), _loud(b, n, 0.5))
    others = {name: weight for name, weight in b.named_parameters() if name not in NEURONS}
    with torch.no_grad():
        for name, weight in joined.named_parameters():
            if name in others:
                weight.lerp_(others[name].to(weight), 0.5)
    return joined


def grow(model: Model, n: int, seed: int = 0) -> Model:
    """The same function with n neurons in all: the old ones first in each head, with their phases, then new ones drawn from `seed`.

    Not to change the function, new neurons must be silent in y E and in the scores q·k. E = 0 does the first. Dx = 0 would do the second to the last bit,
    but relu has no slope at 0, so that neither Dx, Dy nor E would ever get a gradient. Here Dx is drawn as in a fresh model and made faint, by the root
    of the smallest relative step of its dtype: in the scores, where x counts twice, that is below rounding, and E has a gradient at once, Dx and Dy
    with it. New neurons have the frequencies of a head of their number.
    Raises UserError unless n is more than before, a multiple of the heads, and with rotary positions even in each head.
    """
    config = model.config
    if n <= config.n or n % config.heads:
        raise UserError(f"n = {n} from {config.n} neurons", f"more neurons, a multiple of the {config.heads} heads")
    new = (n - config.n) // config.heads
    draw = rng.generator(seed, "grow", index=n)
    shape_HDM = (*model.Dx_HDN.shape[:2], new)
    Dx_HDM, Dy_HDM = (torch.from_numpy(draw.standard_normal(shape_HDM) * config.d**-0.5).to(model.Dx_HDN) for _ in range(2))
    faint = torch.finfo(Dx_HDM.dtype).eps ** 0.5
    return _beside(model, n, (new,), _loud(model, n, 1.0), (Dx_HDM * faint, Dy_HDM, torch.zeros_like(Dx_HDM).mT))


def pieces(model: Model) -> tuple[int, ...]:
    """Of how many neurons each a head is joined: one piece, where it grew as one."""
    return model.config.pieces or (model.config.n // model.config.heads,)


def alike(a: Model, b: Model) -> None:
    """Raises UserError for models that cannot be joined: other options, another vocabulary, other coordinates, feedback in one of them alone."""
    ours, theirs = ({key: value for key, value in asdict(model.config).items() if key not in FREE} for model in (a, b))
    for one, model in ((ours, a), (theirs, b)):
        one["vocabulary"] = model.vocabulary
        one["coordinates of sizes"] = [len(table) for table in model.coordinate_CD]
        one["feedback"] = model.feedback_VD is not None
    if differ := [key for key in ours if ours[key] != theirs[key]]:
        given, allowed = (", ".join(f"{key} = {one[key]}" for key in differ) for one in (theirs, ours))
        raise UserError(f"a model with {given}", f"{allowed}, as in the model it is joined to")


def _loud(model: Model, n: int, share: float) -> tuple[Tensor, ...]:
    """(Dx, Dy, E) of a piece that has this share in the read-out and in the update of a model of n neurons."""
    loud: float = (share * (n / model.config.n) ** (0.5 if model.config.scaled else 0)) ** 0.5
    return model.Dx_HDN.detach() * loud, model.Dy_HDN.detach(), model.E_HND.detach() * (share / loud)


def _beside(model: Model, n: int, more: tuple[int, ...], ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> Model:
    """A copy of the model with the neurons of both, head by head; `more` are the pieces that come after its own."""
    joined = deepcopy(model)
    joined.config = replace(model.config, n=n, pieces=(*pieces(model), *more))
    for (name, axis), one, other in zip(NEURONS.items(), ours, theirs):
        setattr(joined, name, nn.Parameter(torch.cat([one, other.to(one)], axis)))
    return joined
