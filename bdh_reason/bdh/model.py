"""BDH-GPU in its three forms (arXiv 2509.26507). One layer, for every head h and token i:

    x = relu(v Dx)                      a_h = sum over j of (x_h,i · x_h,j) v_j        linear attention, q = k
    y = relu(LN(a) Dy) * x              v <- LN(v + LN(y E) + v0)                      v0 = embedding, where the loop injects it

That is the form `released`: the residual stream is v. In the form `paper` (Eq. 4 and 8) it is x: x <- x + relu(v Dx) from layer to layer of a step,
from zero, and v <- LN(y E + v0). `normfree` (Eq. 7) is `paper` without any LN.

| paper | here | maps | the released code calls it |
|---|---|---|---|
| D_x | Dx_HDN | d -> n | encoder |
| D_y | Dy_HDN | d -> n | encoder_v |
| E | E_HND | n -> d | decoder |
| x, y | x_HBtN, y_HBtN | sparse, non-negative neuron activity | x_sparse, xy_sparse |
| a* | a_HBtD | attention read-out | yKV |
| v* | v_BtD | residual stream | x |
| rho | rho_BHND | synapses, one state for each layer | – |

One copy of Dx, Dy, E serves every step. Reading "sequence" masks strictly (a token never attends to itself) and turns x by its position;
reading "grid" has no mask, except that heads may be bound to the board's relations: that is the paper's synapse graph G_s, given by the task.
Axes: B batch, t tokens, D width d, H heads, N neurons of a head (n = H·N).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from bdh_reason import model
from bdh_reason.bdh import attention, decode, groups, inference, layer, room
from bdh_reason.errors import UserError, unknown
from bdh_reason.model import State
from bdh_reason.task import Board

Form = Literal["released", "paper", "normfree"]
Positions = Literal["rotary", "alibi", "rotary+alibi", "none"]
Execution = Literal["auto", "quadratic", "chunked"]
Backward = Literal["auto", "autograd", "written", "compiled"]


@dataclass(frozen=True)
class Config:
    """d width, n neurons in all heads; `relations` binds heads to the board's relations, all but the last `free` ones, which see the whole board
    (without relations all do); `coordinates` adds learned row, column … embeddings.

    A step has `layers` layers, with the same weights where they are `shared`. scaled: scores are divided by sqrt N. execution: from token to token, or
    through a state, of which a sequence has one for each window (auto: above 4 d tokens). For sequences: `positions`; strict: a token does not see
    itself; through_time: gradients flow into what earlier tokens wrote (else k and v are constants, section 7.2); pieces: of how many neurons each
    the heads were joined (`surgery`), so that every neuron keeps its rotary frequency; none for heads that grew as one.

    backward: by autograd, or for the released form by `bdh.layer`: written, or written and compiled. auto: on CPU `bdh.groups` where heads are bound to
    groups, else compiled from a few hundred million products on, where compiling pays. Where nobody wants gradients, texts and grids with masks are read by
    `bdh.inference` on CPU, unless by autograd is asked for.
    recompute: x and y are made again instead of kept.
    """

    d: int = 32
    n: int = 256
    heads: int = 4
    relations: bool = True
    free: int = 0
    coordinates: bool = False
    form: Form = "released"
    layers: int = 1
    shared: bool = True
    positions: Positions = "rotary"
    scaled: bool = False
    strict: bool = True
    execution: Execution = "auto"
    through_time: bool = True
    backward: Backward = "auto"
    recompute: bool = False
    pieces: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.d, self.n, self.heads, self.layers) < 1 or self.n % self.heads:
            raise UserError(f"d = {self.d}, n = {self.n} neurons in {self.heads} heads, {self.layers} layers", "positive sizes, n a multiple of the heads")
        for option, names in (("form", Form), ("positions", Positions), ("execution", Execution), ("backward", Backward)):
            if (given := getattr(self, option)) not in get_args(names):
                raise unknown(option, given, get_args(names))
        if "rotary" in self.positions and self.n // self.heads % 2:
            raise UserError(f"{self.n // self.heads} neurons in a head", "an even number: rotary positions turn pairs of neurons")
        if not 0 <= self.free < self.heads:
            raise UserError(f"free = {self.free} of {self.heads} heads", f"0 to {self.heads - 1}, so that a head is left to bind")
        self._check_pieces()

    def _check_pieces(self) -> None:
        neurons, whole = self.n // self.heads, 2 if "rotary" in self.positions else 1
        if self.pieces and (any(type(piece) is not int or piece < 1 or piece % whole for piece in self.pieces) or sum(self.pieces) != neurons):
            raise UserError(f"pieces = {list(self.pieces)}", f"numbers of neurons that add up to the {neurons} of a head, with rotary positions even ones")


EXAMPLES = (
    Config(d=12, n=48, heads=12),
    Config(d=12, n=48, heads=12, coordinates=True),
    Config(d=12, n=48, heads=12, form="paper", layers=2, positions="rotary+alibi", scaled=True, pieces=(2, 2)),
    Config(d=12, n=36, heads=12, layers=2, shared=False, positions="alibi", execution="chunked"),
    Config(d=12, n=52, heads=13, free=1),
)


HOW: dict[str, Any] = {"execution": "auto", "through_time": True, "backward": "auto", "recompute": False}  # how it is computed, which no state depends on
COMPILED_FROM = 1 << 28  # products of v and Dx: below it compiling costs more than it brings


@lru_cache(maxsize=4)  # a mask has t² numbers
@torch.inference_mode(False)  # what is remembered must serve training as well
def attended(config: Config, board: Board, tokens: int, device: torch.device) -> layer.Attention:
    """Who attends to whom, for `bdh.layer`: the groups of a relation, what each head may relate, every token, or those before."""
    scale, neurons = (config.n // config.heads) ** -0.5 if config.scaled else 1.0, config.n // config.heads
    if board.reading == "sequence":
        slope_H = attention.slopes(config.heads).to(device) if "alibi" in config.positions else None
        phase_tP = attention.phases(config.pieces or (neurons,), tokens, 0, device)
        turn = (phase_tP.cos(), phase_tP.sin()) if "rotary" in config.positions else None
        return layer.Attention(tokens, attention.earlier(tokens, config.strict, slope_H, device).double().view(-1, tokens, tokens) * scale, turn)
    if not config.relations:
        return layer.Attention(tokens, torch.full((1, 1, 1), scale, device=device, dtype=torch.float64))
    if board.groups_RGk is None:
        return layer.Attention(tokens, model.head_mask(board, config.heads - config.free, device, config.free).double() * scale)
    k = board.groups_RGk.shape[2]
    return layer.Attention(k, (1 - torch.eye(k, device=device, dtype=torch.float64))[None] * scale)


def norm(v: Tensor) -> Tensor:
    """LayerNorm over the last axis, without parameters."""
    return layer_norm(v, v.shape[-1:])


class Model(model.Model):
    """BDH on the contract of `bdh_reason.model`. Without shared weights, Dx, Dy and E hold the heads of all layers, one layer after another."""

    name = "bdh"

    def __init__(self, config: Config, board: Board, feedback: bool = True) -> None:
        super().__init__(config, board, feedback)
        heads, neurons = config.heads * (1 if config.shared else config.layers), config.n // config.heads
        self.Dx_HDN = nn.Parameter(torch.randn(heads, config.d, neurons) * config.d**-0.5)
        self.Dy_HDN = nn.Parameter(torch.randn(heads, config.d, neurons) * config.d**-0.5)
        self.E_HND = nn.Parameter(torch.randn(heads, neurons, config.d) * config.n**-0.5)

    @property
    def bound_heads(self) -> int:
        return self.config.heads - self.config.free  # type: ignore[no-any-return]

    @staticmethod
    def widths(config: Config) -> dict[str, int]:
        """In whole registers of the compiled layer (`bdh.groups`)."""
        return {"d": 16, "n": 16 * config.heads}

    def step(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board, state: State | None) -> tuple[Tensor, State | None]:
        size = self.window(v_BtD.shape[1], board)
        if board.reading == "sequence":
            room.check(self.config, v_BtD, size)
            if self.config.backward != "autograd" and inference.fits(v_BtD):
                return inference.step(self, v_BtD, v0_BtD, state, size)
            if torch.is_grad_enabled():
                decode.forget(self)
        elif self.config.backward != "autograd" and self.config.relations and not self.config.free and board.groups_RGk is None and inference.fits(v_BtD):
            return inference.look(self, v_BtD, v0_BtD, board), None
        if state is None and size >= v_BtD.shape[1]:
            return self._layers(v_BtD, v0_BtD, board, (None,) * self.config.layers, 0)[0], None
        before, read = state or self.blank(len(v_BtD)), []
        rhos, position = before.tensors, before.position
        for part_BtD, part0_BtD in zip(torch.split(v_BtD, size, 1), repeat(None) if v0_BtD is None else torch.split(v0_BtD, size, 1)):
            part_BtD, rhos = self._layers(part_BtD, part0_BtD, board, rhos, position)
            position += part_BtD.shape[1]
            read.append(part_BtD)
        return torch.cat(read, 1), state and State(state.kind, position, rhos)

    def window(self, tokens: int, board: Board) -> int:
        """How many of `tokens` tokens are read at once: all, or d of them, as many keys as the state has columns."""
        return self.config.d if board.reading == "sequence" and self._by_state(tokens) else max(tokens, 1)

    def _by_state(self, tokens: int) -> bool:
        """Whether attention goes through a state of n rows of d and not from token to token: cheaper from 2 d tokens on, faster from about 4 d."""
        return self.config.execution == "chunked" or (self.config.execution == "auto" and tokens > 4 * self.config.d)

    def _layers(self, v_BtD: Tensor, v0_BtD: Tensor | None, board: Board, rhos: tuple[Any, ...], position: int) -> tuple[Tensor, tuple[Any, ...]]:
        """All layers over tokens that are read at once, and their rho after them; without a rho the text begins here and nothing is kept.

        Of bound heads only d-wide tensors are regrouped; everything n-wide stays contiguous.
        """
        config, x_HBtN, written = self.config, None, []
        bound = config.relations and board.groups_RGk is not None
        order_Ht, inverse_Ht = model.head_order(board, self.bound_heads, v_BtD.device, config.free) if bound else (None, None)
        whole = config.form == "released" and config.backward == "auto" and not config.free
        if order_Ht is not None and whole and groups.fits(v_BtD, v0_BtD, self._weights()[0]):
            scale, k = (config.n // config.heads) ** -0.5 if config.scaled else 1.0, board.groups_RGk.shape[2]  # type: ignore[union-attr]
            for weights in self._weights():
                v_BtD = groups.layer(v_BtD, v0_BtD, weights, order_Ht, k, scale)
            return v_BtD, (None,) * config.layers
        by_hand = rhos[0] is None and self._by_hand(v_BtD, board)
        for (Dx_HDN, Dy_HDN, E_HND), rho_BHND in zip(self._weights(), rhos):
            v_HBtD = v_BtD[None] if order_Ht is None else model.gather_heads(v_BtD, order_Ht)
            if by_hand:
                update_HBtD = self._written(v_HBtD, Dx_HDN, Dy_HDN, E_HND, board)
            else:
                new_HBtN = (v_HBtD.flatten(1, 2) @ Dx_HDN).relu().view(config.heads, *v_BtD.shape[:2], config.n // config.heads)
                x_HBtN = new_HBtN if x_HBtN is None or config.form == "released" else x_HBtN + new_HBtN
                a_HBtD, rho_BHND = self._attend(x_HBtN, v_HBtD, board, rho_BHND, position)
                update_HBtD = self._gate(x_HBtN, a_HBtD, Dy_HDN, E_HND)
            update_BtD = (update_HBtD if inverse_Ht is None else model.reorder_heads(update_HBtD, inverse_Ht)).sum(0)
            v_BtD = self._close(v_BtD, update_BtD, v0_BtD)
            written.append(rho_BHND)
        return v_BtD, tuple(written)

    def _by_hand(self, v_BtD: Tensor, board: Board) -> bool:
        """Whether the layers' gradients are those written out in `bdh.layer`."""
        config, products = self.config, v_BtD.numel() * self.config.n
        by_state = board.reading == "grid" and not config.relations and self._by_state(v_BtD.shape[1])
        two_kinds = config.free > 0 and board.groups_RGk is not None
        able = torch.is_grad_enabled() and config.form == "released" and config.through_time and products > 0 and not by_state and not two_kinds
        return able and (config.backward in ("written", "compiled") or (config.backward == "auto" and products >= COMPILED_FROM))

    def _weights(self) -> list[tuple[Tensor, ...]]:
        """(Dx, Dy, E) of each layer."""
        if self.config.shared:
            return [(self.Dx_HDN, self.Dy_HDN, self.E_HND)] * self.config.layers
        return list(zip(*(weight.chunk(self.config.layers) for weight in (self.Dx_HDN, self.Dy_HDN, self.E_HND))))

    def _attend(self, x_HBtN: Tensor, v_HBtD: Tensor, board: Board, rho_BHND: Tensor | None, position: int) -> tuple[Tensor, Tensor | None]:
        """(a, rho after these tokens)."""
        config, tokens = self.config, x_HBtN.shape[2]
        q_HBtN = x_HBtN * x_HBtN.shape[-1] ** -0.25 if config.scaled else x_HBtN
        if board.reading == "grid":
            return self._look(q_HBtN, v_HBtD, board), None
        q_HBtN = attention.rotary(q_HBtN, position, config.pieces) if "rotary" in config.positions else q_HBtN
        k_HBtN, v_BtD = (q_HBtN, v_HBtD[0]) if config.through_time else (q_HBtN.detach(), v_HBtD[0].detach())
        slope_H = attention.slopes(config.heads).to(self.E_HND) if "alibi" in config.positions else None
        if rho_BHND is None:
            return attention.quadratic(q_HBtN, k_HBtN, v_BtD, attention.earlier(tokens, config.strict, slope_H, v_BtD.device)), None
        read = attention.recurrent if tokens == 1 else attention.window
        return read(q_HBtN, k_HBtN, v_BtD, rho_BHND, config.strict, slope_H)

    def _look(self, q_HBtN: Tensor, v_HBtD: Tensor, board: Board) -> Tensor:
        """The read-out a on a grid: each bound head inside its relation, in a free one every token sees every other and itself."""
        free, bound = self.config.free, self.bound_heads
        if not self.config.relations:
            return self._look_around(q_HBtN, v_HBtD)
        if board.groups_RGk is None:
            return attention.quadratic(q_HBtN, q_HBtN, v_HBtD, model.head_mask(board, bound, v_HBtD.device, free)[:, None])
        a_HBtD = attention.within_groups(q_HBtN[:bound], v_HBtD[:bound], board.groups_RGk.shape[2])
        return torch.cat([a_HBtD, self._look_around(q_HBtN[bound:], v_HBtD[bound:])]) if free else a_HBtD

    def _look_around(self, q_HBtN: Tensor, v_HBtD: Tensor) -> Tensor:
        by_state = self._by_state(q_HBtN.shape[2])
        return attention.everywhere(q_HBtN, q_HBtN, v_HBtD) if by_state else attention.quadratic(q_HBtN, q_HBtN, v_HBtD, None)

    def _norm(self, v: Tensor) -> Tensor:
        return v if self.config.form == "normfree" else norm(v)

    def _written(self, v_HBtD: Tensor, Dx_HDN: Tensor, Dy_HDN: Tensor, E_HND: Tensor, board: Board) -> Tensor:
        """The update of one layer through `bdh.layer`: of each bound head, else of all heads together."""
        config = self.config
        look = attended(config, board, v_HBtD.shape[2], v_HBtD.device)
        update_HMD = layer.update(v_HBtD.flatten(1, 2), Dx_HDN, Dy_HDN, E_HND, look, config.recompute, config.backward != "written")
        return update_HMD.view_as(v_HBtD)

    def _gate(self, x_HBtN: Tensor, a_HBtD: Tensor, Dy_HDN: Tensor, E_HND: Tensor) -> Tensor:
        """(relu(LN(a) Dy) * x) E, head by head."""
        y_HBtN = (self._norm(a_HBtD).flatten(1, 2) @ Dy_HDN).relu().view_as(x_HBtN) * x_HBtN
        return (y_HBtN.flatten(1, 2) @ E_HND).view_as(a_HBtD)

    def _close(self, v_BtD: Tensor, update_BtD: Tensor, v0_BtD: Tensor | None) -> Tensor:
        """The next v: the residual stream of the released form, else y E alone; with the embedding where it is injected."""
        v_BtD = v_BtD + norm(update_BtD) if self.config.form == "released" else update_BtD
        return self._norm(v_BtD if v0_BtD is None else v_BtD + v0_BtD)

    def blank(self, batch: int) -> State:
        """Synapses at rest: rho = 0 [B, H, N, D] for each layer."""
        config = self.config
        rho_BHND = self.E_HND.new_zeros(batch, config.heads, config.n // config.heads, config.d)
        return State(self.kind(), 0, (rho_BHND,) * config.layers)

    def kind(self) -> dict[str, Any]:
        kind = {key: value for key, value in super().kind().items() if key not in (*HOW, "pieces")}
        return {**kind, "pieces": list(self.config.pieces)} if self.config.pieces else kind  # a list, as it comes back from a file

    def step_flops(self, board: Board) -> int:
        config, tokens = self.config, board.tokens
        size, pair, synapses = self.window(tokens, board), config.n + config.heads * config.d, 2 * config.n * config.d
        parts = [min(size, tokens - start) for start in range(0, tokens, size)]
        around = tokens * (synapses if board.reading == "grid" and self._by_state(tokens) else pair * tokens)
        if len(parts) > 1:
            attending = tokens * synapses + sum(part**2 for part in parts if 1 < part < tokens) * pair
        elif config.relations and board.groups_RGk is not None:
            attending = (tokens * pair * board.groups_RGk.shape[2] * self.bound_heads + around * config.free) // config.heads
        else:
            attending = tokens * pair * tokens if config.relations else around
        return 2 * config.layers * (tokens * 3 * config.n * config.d + attending)

    def state_floats(self, board: Board, depth: int) -> int:
        return (depth * self.config.layers * self.config.n if board.reading == "sequence" else board.tokens) * self.config.d
