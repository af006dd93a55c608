"""L-BFGS for one point as a plain NumPy loop, written from the algorithm's description."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Reference:
    x: np.ndarray
    iterations: int
    status: str


def lbfgs(
    value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    *,
    history: int,
    gradient_tolerance: float,
    max_iterations: int,
    decrease_tolerance: float,
    armijo: float,
    shrink: float,
    trials: int,
    curvature: str,
) -> Reference:
    value, gradient = value_and_gradient(x)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for iteration in range(1, max_iterations + 1):
        q = gradient.copy()
        weights = []
        for s, d in reversed(pairs):
            a = (s @ q) / (s @ d)
            q -= a * d
            weights.append(a)
        if pairs:
            s, d = pairs[-1]
            q *= (s @ d) / (d @ d)
        for (s, d), a in zip(pairs, reversed(weights), strict=True):
            q += (a - (d @ q) / (s @ d)) * s
        p = -q
        lengths = [shrink**-t for t in range(trials)]
        candidates = [x + a * p for a in lengths]
        values = [value_and_gradient(c)[0] for c in candidates]  # all in parallel, as in the paper
        slope = float(gradient @ p)
        fits = [v < value + armijo * a * slope for v, a in zip(values, lengths, strict=True)]
        if not any(fits):
            done = np.max(np.abs(gradient)) < gradient_tolerance
            return Reference(x, iteration, "CONVERGED" if done else "LINE_SEARCH_FAILED")
        best = fits.index(True)
        new_value, new_gradient = value_and_gradient(candidates[best])
        s, d = candidates[best] - x, new_gradient - gradient
        if curvature == "any" or s @ d > np.finfo(np.float64).eps * (d @ d):
            pairs = [*pairs, (s, d)][-history:]
        decrease = value - new_value
        x, value, gradient = candidates[best], new_value, new_gradient
        if np.max(np.abs(gradient)) < gradient_tolerance:
            return Reference(x, iteration, "CONVERGED")
        if decrease < decrease_tolerance:
            return Reference(x, iteration, "STALLED")
    return Reference(x, max_iterations, "ITERATION_LIMIT")
