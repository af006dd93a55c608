"""[MMv1]: the conjugate's argmin by Adam from a random start, at every step.

x_hat(y) minimises D(x) - <x, y>; then one step of D on mean(D(x) - D(x_hat(y))), after which D is
clamped to be convex. C, of which the inverse map is the gradient, is trained in the same way with
source and target in each other's place; the two share nothing but the batch. Adam on x_hat stops
where the mean over the batch of sqrt(mean_i (grad D(x_hat) - y)_i^2) is below `tolerance`.
Source: Taghvaei and Jalali, 2019; MMv1_test_hd_benchmark.ipynb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, Int

from w2dual import rng
from w2dual.training.methods.base import Batch, Batches, Params
from w2dual.training.methods.two_potentials import (
    Both,
    BothState,
    Points,
    TwoPotentials,
    common,
    own,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind: of Adam on the conjugate's argmin.

    Attributes:
        inner_iterations: at most.
        inner_learning_rate: constant.
        inner_tolerance: see the module's head.
    """

    inner_iterations: int
    inner_learning_rate: float
    inner_tolerance: float


class LossesAndIterations(NamedTuple):
    """Of one update, for each seed: as `Losses`, and Adam's iterations for both argmins."""

    loss: Float[Array, " seeds"]
    potential_loss: Float[Array, " seeds"]
    inverse_loss: Float[Array, " seeds"]
    inner_iterations: Float[Array, " seeds"]


class Inner(NamedTuple):
    """Adam on the argmins of a batch of each seed; a seed whose batch has converged stays."""

    x: Batch
    optimizer: Any
    gradient: Batch
    running: Bool[Array, " seeds"]
    iterations: Int[Array, " seeds"]


@dataclass(frozen=True)
class MMv1(TwoPotentials):
    """The method."""

    inner: Settings
    metrics = LossesAndIterations

    def train(
        self, state: BothState, batches: Batches, over: str | None
    ) -> tuple[Both, Both, LossesAndIterations]:
        """Find both argmins, then take one step on D and one on C."""
        x, y = batches.source(), batches.target()
        start = self.start(state.step, x, over)
        forward = self.argmin(state.params.potential, y, start, over)
        backward = self.argmin(state.params.inverse, x, start, over)
        both, optimizer, (loss, there, back) = self.step_both(
            self.loss, state, x, y, stop_gradient(forward.x), stop_gradient(backward.x), over=over
        )
        iterations = (forward.iterations + backward.iterations).astype(jnp.float32)
        return both, optimizer, LossesAndIterations(loss, there, back, iterations)

    def loss(
        self, params: Both, x: Points, y: Points, x_hat: Points, y_hat: Points
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        """Return the sum of D's loss and C's of one seed, and the parts."""
        forward = jnp.mean(self.value(params.potential, x) - self.value(params.potential, x_hat))
        backward = jnp.mean(self.value(params.inverse, y) - self.value(params.inverse, y_hat))
        return forward + backward, (forward + backward, forward, backward)

    def start(self, step: Int[Array, ""], points: Batch, over: str | None) -> Batch:
        """Return where Adam starts: uniform on [0, 1)^n, the same for every seed.

        # DIFFERS: all seeds have the same starts, and D and C. Argmins are of convex functions, so
        that a start decides how long it takes, and little else.
        """
        key = rng.at(rng.stream(0, "mmv1 start"), step)
        size, n = points.shape[1:]
        devices, place = (
            (1, 0) if over is None else (jax.lax.psum(1, over), jax.lax.axis_index(over))
        )
        starts = jax.random.uniform(key, (devices * size, n))
        mine = jax.lax.dynamic_slice_in_dim(starts, place * size, size)
        return jnp.broadcast_to(mine, points.shape)

    def argmin(self, params: Params, y: Batch, start: Batch, over: str | None) -> Inner:
        """Minimise D(x) - <x, y> for each y of each seed; the start is tested too."""
        adam = optax.adam(self.inner.inner_learning_rate)

        def slope(x: Batch) -> Batch:
            return jax.vmap(self.gradient)(params, x) - y

        def unfinished(gradient: Batch) -> Bool[Array, " seeds"]:
            rms = jnp.mean(jnp.sqrt(jnp.mean(gradient**2, axis=-1)), axis=-1)
            return (rms if over is None else jax.lax.pmean(rms, over)) >= self.inner.inner_tolerance

        def advance(now: Inner) -> Inner:
            updates, optimizer = adam.update(now.gradient, now.optimizer)
            moved: Any = optax.apply_updates(now.x, updates)
            x = jnp.where(now.running[:, None, None], moved, now.x)
            gradient = slope(x)
            return Inner(
                x,
                optimizer,
                gradient,
                now.running & unfinished(gradient),
                now.iterations + now.running,
            )

        gradient = slope(start)
        zeros = jnp.zeros(start.shape[0], jnp.int32)
        first = Inner(start, adam.init(start), gradient, unfinished(gradient), zeros)
        limit = self.inner.inner_iterations
        return jax.lax.while_loop(
            lambda now: jnp.any(now.running) & (jnp.max(now.iterations) < limit), advance, first
        )


def make(settings: Mapping[str, Any], dimension: int) -> MMv1:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return MMv1(**common(settings, dimension), inner=own(Settings, settings))
