"""What failures have in common, looked at afterwards: where a failed board first went wrong, and how its thinking ended.

The stored target is used here to judge the model's beliefs; nothing of it reaches the model.
Axes: N problems, B problems of a batch, T positions, P latest steps, t tokens, D width.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender
from bdh_reason.evaluate.evaluate import Exam
from bdh_reason.evaluate.restarts import residual
from bdh_reason.reason.predict import Moment, fill, rollout

PERIODS = 16  # the longest oscillation that is looked for, in steps
STILL = 1e-3  # a state that moves less in a step, root mean square of numbers of size 1, is a fixed point


@dataclass(frozen=True)
class Failure:
    """One failed problem: its place in the exam, its family, difficulty, prompt and last reply, and the `wrong` blanks of that reply.

    committed, position, symbol: the step of the first wrong commitment, where and to what (None where no blank was ever wrong with that much
    probability) · end: "fixed point" (the state stands still), "oscillation" (it returns every `period` steps) or "moving" ·
    moved: how far the last step moved the state, root mean square.
    """

    model: str
    depth: int
    problem: int
    family: str
    difficulty: float
    prompt: str
    reply: str
    wrong: int
    committed: int | None
    position: int | None
    symbol: str | None
    end: str
    period: int | None
    moved: float

    def line(self) -> str:
        """The failure as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def autopsy(contender: Contender, exam: Exam, depth: int, sure: float, device: str, seed: int = 0) -> list[Failure]:
    """The failures of one rollout of `depth` steps, in the order of the exam. A blank is committed where its likeliest symbol has probability `sure`.

    Raises UserError for a probability or a depth that is none, and for boards that do not fit the weights.
    """
    if not 0 < sure <= 1 or depth < 2:
        raise UserError(f"--sure {sure} --depth {depth}", "a probability above 0 and up to 1, and 2 or more steps")
    reasoner = contender.reasoner(exam.task, device)
    problems, board = exam.problems, reasoner.board
    target_NT = torch.from_numpy(board.index(problems.target))
    committed_N3 = np.zeros((len(problems), 3), np.int64)  # step (0 for never), position, symbol
    past: dict[int, deque[Tensor]] = {}
    found: dict[int, Failure] = {}

    def look(moment: Moment) -> None:
        rows, step = moment.rows, moment.step
        scored_BT = torch.from_numpy(problems.scored[rows])
        belief_BT, choice_BT = moment.logits_BTS.softmax(-1).cpu().max(-1)
        wrong_BT = (scored_BT & (choice_BT != target_NT[rows]) & (belief_BT >= sure)).numpy()
        (new_M,) = np.nonzero(wrong_BT.any(1) & (committed_N3[rows, 0] == 0))
        position_M = (belief_BT.numpy() * wrong_BT)[new_M].argmax(1)
        committed_N3[rows][new_M] = np.column_stack([np.full(len(new_M), step), position_M, choice_BT.numpy()[new_M, position_M]])
        past.setdefault(rows.start, deque(maxlen=PERIODS + 1)).append(moment.v_BtD)
        if step < depth:
            return
        reply_BT = fill(reasoner, problems.prompt[rows], problems.scored[rows], moment.logits_BTS)
        ends, moved_B = _ends(list(past.pop(rows.start))), residual(moment)
        for b in np.flatnonzero(~exam.task.verify(problems.prompt[rows], reply_BT)):
            found[rows.start + b] = failure(rows.start + int(b), reply_BT[b], *ends[b], float(moved_B[b]))

    def failure(n: int, reply_T: np.ndarray, end: str, period: int | None, moved: float) -> Failure:
        step, position, symbol = (int(number) for number in committed_N3[n])
        family, wrong = f"{int(problems.family[n]):016x}", int(((reply_T != problems.target[n]) & problems.scored[n]).sum())
        prompt, reply = (bytes(byte_T).decode("latin-1") for byte_T in (problems.prompt[n], reply_T))
        where: tuple[int | None, int | None, str | None] = (step, position, chr(board.symbols[symbol])) if step else (None, None, None)
        return Failure(contender.name, depth, n, family, float(problems.difficulty[n]), prompt, reply, wrong, *where, end, period, moved)

    rollout(reasoner, problems.prompt, depth, look, seed=seed)
    return [found[n] for n in sorted(found)]


def _ends(states: list[Tensor]) -> list[tuple[str, int | None]]:
    """(end, period) of each problem of a batch from its last states [B, t, D], oldest first: an oscillation comes back to within a tenth of a step."""
    *before, last = states
    distance_PB = torch.stack([(last - v_BtD).square().mean((1, 2)).sqrt() for v_BtD in reversed(before)]).double().cpu().numpy()
    ends: list[tuple[str, int | None]] = []
    for distance_P in distance_PB.T:
        (back,) = np.nonzero(distance_P < 0.1 * distance_P[0])
        ends.append(("fixed point", None) if distance_P[0] < STILL else ("oscillation", int(back[0]) + 1) if len(back) else ("moving", None))
    return ends


def summary(failures: list[Failure], asked: int, sure: float) -> str:
    """One line on what they have in common."""
    if not failures:
        return f"0 of {asked:,} failed"
    committed = sorted(failure.committed for failure in failures if failure.committed)
    ends = ", ".join(f"{count} {end}" for end, count in Counter(failure.end for failure in failures).most_common())
    difficulty = np.median([failure.difficulty for failure in failures])
    first = f"the first wrong commitment (probability ≥ {sure:g}) at step {committed[len(committed) // 2]} in the median" if committed else ""
    none = f"{len(failures) - len(committed)} without one" if len(committed) < len(failures) else ""
    parts = [f"{len(failures):,} of {asked:,} failed", ends, f"median difficulty {difficulty:g}", first, none]
    return "; ".join(part for part in parts if part)
