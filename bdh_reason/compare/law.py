"""A power law with a floor through the runs of a ladder: loss = E + A x^-α, x being parameters, training FLOPs or data.

By Huber's loss on the logarithm (Hoffmann et al. 2022, arXiv 2203.15556), from many starts and down to the bottom: fits that stop early have intervals that
are far too narrow (Besiroglu et al. 2024, arXiv 2404.10102). Axes: P points (runs), W fits that are made at once, 3 parameters (log A, log E, log α).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from bdh_reason import rng
from bdh_reason.compare.stats import Estimate, estimates

HUBER = 0.02  # the residual, as a share of the loss, from which on it counts by its size and no longer by its square
SIZES = 6  # fewer do not say what a curve does
DRAWS = 1000
STEPS = 200
LOWEST, HIGHEST = np.array([-30.0, -30.0, -5.0]), np.array([30.0, 30.0, 1.5])  # of log A at the middle of x, log E, log α


class Law(NamedTuple):
    """exponent: α · floor: E · scale: A x^-α at x = `at`, the middle of the points · residual_P: log of what was seen over what is fitted · doubt: why the
    points do not tell a law, empty where they do.
    """

    exponent: Estimate
    floor: Estimate
    at: float
    scale: Estimate
    residual_P: np.ndarray
    doubt: str = ""

    def loss(self, x: float) -> float:
        """What is fitted at x."""
        return float(self.floor.value + self.scale.value * (x / self.at) ** -self.exponent.value)


def fit(x_P: np.ndarray, loss_P: np.ndarray, draws: int = DRAWS) -> Law:
    """The law, with 95 % intervals by refitting `draws` times to itself times residuals drawn anew, widened for the three parameters they were fitted by.

    The points are runs, several of each size; x and the losses are positive. The draws are the same in every call.
    """
    from scipy.stats import norm, t

    at = float(np.exp(np.log(x_P).mean()))
    u_P, y_P = np.log(x_P / at), np.log(loss_P)
    starts = [
        (np.log(spread), np.log(loss_P.min() * share), np.log(exponent))
        for share, exponent, spread in product((0.02, 0.5, 0.95), (0.05, 0.2, 0.5, 1.5), (np.ptp(loss_P) / 2 + 1e-6, loss_P.mean()))
    ]
    found_W3 = _descend(np.array(starts), u_P, np.broadcast_to(y_P, (len(starts), len(y_P))))
    best_3 = found_W3[np.argmin(_cost(_residual(found_W3, u_P, y_P)))]
    residual_P = -_residual(best_3[None], u_P, y_P)[0]
    source, points = rng.generator(0, "law"), len(y_P)
    wide_P = (residual_P - residual_P.mean()) * np.sqrt(points / (points - 3)) * float(t.ppf(0.975, points - 3) / norm.ppf(0.975))
    drawn_WP = y_P - residual_P + wide_P[source.integers(points, size=(draws, points))]
    fits_W3 = _descend(np.tile(best_3, (draws, 1)), u_P, drawn_WP)
    scale, floor, exponent = estimates(np.exp(best_3), np.exp(fits_W3))
    return Law(exponent, floor, at, scale, residual_P, _doubt(float(best_3[2]), y_P - residual_P, residual_P))


def _doubt(log_exponent: float, fitted_P: np.ndarray, residual_P: np.ndarray) -> str:
    """Why a fit is no law: its exponent ran to the end of what is tried, or over all sizes it changes less than the points lie off it."""
    if not LOWEST[2] + 1e-3 < log_exponent < HIGHEST[2] - 1e-3:
        return "the exponent runs to the end of what is tried"
    if np.ptp(fitted_P) <= max(2 * float(residual_P.std()), 1e-4):
        return "over all sizes it changes less than runs differ from it"
    return ""


def _residual(theta_W3: np.ndarray, u_P: np.ndarray, y_WP: np.ndarray) -> np.ndarray:
    """Log of the law less log of what was seen, [W, P]."""
    scale_W1, floor_W1, exponent_W1 = (theta_W3[:, place, None] for place in range(3))
    return np.asarray(np.logaddexp(scale_W1 - np.exp(exponent_W1) * u_P, floor_W1) - y_WP)


def _cost(residual_WP: np.ndarray) -> np.ndarray:
    """Huber's loss, [W]."""
    size_WP = np.abs(residual_WP)
    return np.asarray(np.where(size_WP < HUBER, size_WP**2 / 2, HUBER * (size_WP - HUBER / 2)).sum(1))


def _descend(theta_W3: np.ndarray, u_P: np.ndarray, y_WP: np.ndarray) -> np.ndarray:
    """Levenberg and Marquardt's way down, all fits at once; Huber's loss by reweighting."""
    damping_W = np.full(len(theta_W3), 1e-2)
    residual_WP = _residual(theta_W3, u_P, y_WP)
    for _ in range(STEPS):
        exponent_W1 = np.exp(theta_W3[:, 2, None])
        fading_WP = 1 / (1 + np.exp(np.clip(theta_W3[:, 1, None] - theta_W3[:, 0, None] + exponent_W1 * u_P, -60, 60)))
        slope_WP3 = np.stack([fading_WP, 1 - fading_WP, -fading_WP * exponent_W1 * u_P], 2)
        weight_WP = np.minimum(1, HUBER / np.maximum(np.abs(residual_WP), 1e-300))
        normal_W33 = np.einsum("wpa,wp,wpb->wab", slope_WP3, weight_WP, slope_WP3)
        gradient_W3 = np.einsum("wpa,wp->wa", slope_WP3, weight_WP * residual_WP)
        step_W3 = np.linalg.solve(normal_W33 + (damping_W[:, None, None] + 1e-12) * np.eye(3), gradient_W3[..., None])[..., 0]
        tried_W3 = np.clip(theta_W3 - np.clip(step_W3, -2, 2), LOWEST, HIGHEST)
        tried_WP = _residual(tried_W3, u_P, y_WP)
        better_W = _cost(tried_WP) < _cost(residual_WP)
        theta_W3, residual_WP = np.where(better_W[:, None], tried_W3, theta_W3), np.where(better_W[:, None], tried_WP, residual_WP)
        damping_W = np.clip(damping_W * np.where(better_W, 0.3, 4.0), 1e-9, 1e9)
    return theta_W3
