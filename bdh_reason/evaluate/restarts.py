"""Several runs from different starting states, and the pick: a mode of its own, because the rules take part in the answer.

Axes: N problems, M problems still asked, B problems of a batch, T positions, t tokens, D width.
"""

from __future__ import annotations

import numpy as np

from bdh_reason import rng
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.reason.predict import Moment, fill, rollout
from bdh_reason.task import Task


def restarts(
    reasoner: Reasoner, task: Task, prompt_NT: np.ndarray, scored_NT: np.ndarray, depths: tuple[int, ...], runs: int, seed: int = 0
) -> tuple[dict[int, np.ndarray], dict[int, float]]:
    """Replies uint8 [N, T] for each depth, and how many runs a problem took there in the mean.

    The first run is that of mode in_place, the others start from noise named by the problem's number and the run's. The first reply that the rules
    accept is taken, and the problem asks no more; where none of `runs` is accepted, the reply whose latent state moved least in its last step.
    No target is seen. Raises UserError for a number of runs below 1, and for a loop without noise, whose runs would all be the same.
    """
    if runs < 1:
        raise UserError(f"--restarts {runs}", "1 or more")
    if runs > 1 and not reasoner.loop.noise:
        raise UserError(f"{runs} restarts of a model without starting noise", "a model trained with loop.noise", "all its runs would be the same")
    replies = {depth: np.empty_like(prompt_NT) for depth in depths}
    accepted = {depth: np.zeros(len(prompt_NT), bool) for depth in depths}
    least = {depth: np.empty(len(prompt_NT)) for depth in depths}
    taken = dict.fromkeys(depths, 0)
    for run in range(runs):
        (asked_M,) = np.nonzero(~np.all(list(accepted.values()), 0))
        for depth in depths:
            taken[depth] += int((~accepted[depth]).sum())

        def weigh(moment: Moment, asked_M: np.ndarray = asked_M, first: bool = run == 0) -> None:
            if (depth := moment.step) not in replies:
                return
            asked_B = asked_M[moment.rows]
            reply_BT = fill(reasoner, prompt_NT[asked_B], scored_NT[asked_B], moment.logits_BTS)
            right_B, moved_B = task.verify(prompt_NT[asked_B], reply_BT), residual(moment)
            better_B = ~accepted[depth][asked_B] & (right_B | (moved_B < least[depth][asked_B]) | first)
            replies[depth][asked_B[better_B]] = reply_BT[better_B]
            least[depth][asked_B[better_B]] = moved_B[better_B]
            accepted[depth][asked_B] |= right_B

        rollout(reasoner, prompt_NT[asked_M], max(depths), weigh, seed=_seed(seed, run), number_N=asked_M)
    return replies, {depth: count / max(len(prompt_NT), 1) for depth, count in taken.items()}


def residual(moment: Moment) -> np.ndarray:
    """How far a step moved the latent state of each problem: the root of the mean square over its numbers, float64 [B]; infinite for the first step."""
    if moment.before_BtD is None:
        return np.full(len(moment.v_BtD), np.inf)
    return (moment.v_BtD - moment.before_BtD).square().mean((1, 2)).sqrt().double().cpu().numpy()


def _seed(seed: int, run: int) -> int:
    return rng.derive(seed, "restart", index=run) if run else seed
